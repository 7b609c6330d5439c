/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a reload does with each key of the configuration.
 */
#ifndef ARIZMQ_OPS_RELOAD_KEYS_H
#define ARIZMQ_OPS_RELOAD_KEYS_H

#include <stddef.h>

enum reload_effect {
    RELOAD_NODES,     /* nodes are told apart by it: they come and go */
    RELOAD_APPS,      /* so are a node's applications */
    RELOAD_HAND_OVER, /* the node's connections are handed over to new ones */
    RELOAD_SUBSCRIBE, /* the applications concerned connect anew where they must */
    RELOAD_VIEWS,     /* views are told apart by it: they come and go */
    RELOAD_AT_ONCE,   /* holds from now on */
    RELOAD_RESTART,   /* the running value stays until the bridge is started again */
};

struct reload_key {
    const char *path; /* as in config_rules: "nodes[].liveness_ms" */
    enum reload_effect effect;
};

extern const struct reload_key reload_keys[];
extern const size_t reload_keys_count;

/* NULL where there is none. */
const struct reload_key *reload_key_find(const char *path);

#endif
