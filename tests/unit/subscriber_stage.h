/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the subscriber's tests begin and end with.
 */
#ifndef ARIZMQ_UNIT_SUBSCRIBER_STAGE_H
#define ARIZMQ_UNIT_SUBSCRIBER_STAGE_H

#include <criterion/criterion.h>

#include "arizmq/error.h"
#include "bridge_double.h"

/* The run of most bridges here: long before the subscriber was created. */
enum { STAGE_EPOCH = 1000 };

/* A subscriber with these options to this bridge, which has heard of its prefixes. */
static inline struct arizmq_subscriber *
stage_subscribe_with(struct arizmq_subscriber_options options, struct arizmq_endpoint endpoint,
                     struct bridge *bridge)
{
    struct arizmq_subscriber *subscriber = NULL;
    options.endpoints = &endpoint;
    options.endpoints_count = 1;
    cr_assert_eq(arizmq_subscriber_create(&options, &subscriber), ARIZMQ_OK);
    for (size_t i = 0; i < options.prefixes_count; i++) {
        bridge_await(bridge, options.prefixes[i], NULL);
    }
    if (options.view == NULL) {
        bridge_await(bridge, "ArizmqHeartbeat/", "ArizmqStopping/", NULL);
    }
    return subscriber;
}

static inline struct arizmq_endpoint stage_endpoint(const struct bridge *bridge)
{
    return (struct arizmq_endpoint){.events = bridge->events_endpoint,
                                    .gateway = bridge->gateway_endpoint};
}

static inline struct arizmq_subscriber *stage_subscribe(struct bridge *bridge, const char *prefix)
{
    const struct arizmq_subscriber_options options = {.prefixes = &prefix, .prefixes_count = 1};
    return stage_subscribe_with(options, stage_endpoint(bridge), bridge);
}

static inline void stage_end(struct arizmq_subscriber **subscriber, struct bridge **bridge)
{
    arizmq_subscriber_destroy(subscriber);
    cr_assert_null(*subscriber);
    bridge_destroy(bridge);
}

#endif
