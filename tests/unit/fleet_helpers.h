/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A configuration of two or three nodes for tests: pbx1 is ivr and queue, pbx2 is ivr, pbx3 is
 * other.
 */
#ifndef ARIZMQ_TEST_FLEET_HELPERS_H
#define ARIZMQ_TEST_FLEET_HELPERS_H

#include "ops/config.h"

static inline const struct config *fleet_config(unsigned nodes_count)
{
    static char *apps1[] = {"ivr", "queue"};
    static char *apps2[] = {"ivr"};
    static char *apps3[] = {"other"};
    static struct config_node nodes[] = {
        {.name = "pbx1", .apps = apps1, .apps_count = 2},
        {.name = "pbx2", .apps = apps2, .apps_count = 1},
        {.name = "pbx3", .apps = apps3, .apps_count = 1},
    };
    static struct config config[4];
    config[nodes_count].nodes = nodes;
    config[nodes_count].nodes_count = nodes_count;
    return &config[nodes_count];
}

#endif
