/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One line for each key of the configuration: what a reload does where its value has changed.
 * reload_plan.c reads it; a test sees to it that no key is missing. README.md tells the same to
 * people.
 */
#include "ops/reload_keys.h"

#include <string.h>

const struct reload_key reload_keys[] = {
    {"nodes", RELOAD_NODES},
    {"nodes[].name", RELOAD_NODES},
    {"nodes[].url", RELOAD_HAND_OVER},
    {"nodes[].username", RELOAD_HAND_OVER},
    {"nodes[].password", RELOAD_HAND_OVER},
    /* What is in it counts as the password; where it lies makes no difference. */
    {"nodes[].password_file", RELOAD_AT_ONCE},
    {"nodes[].apps", RELOAD_APPS},
    {"nodes[].apps[]", RELOAD_APPS},
    {"nodes[].subscribe_all", RELOAD_SUBSCRIBE},
    {"nodes[].subscribe_all_app", RELOAD_SUBSCRIBE},
    {"nodes[].tls.ca_file", RELOAD_HAND_OVER},
    {"nodes[].tls.cert_file", RELOAD_HAND_OVER},
    {"nodes[].tls.key_file", RELOAD_HAND_OVER},
    {"nodes[].tls.verify", RELOAD_HAND_OVER},
    {"nodes[].connect_timeout_ms", RELOAD_AT_ONCE},
    {"nodes[].liveness_ms", RELOAD_AT_ONCE},
    {"nodes[].backoff_min_ms", RELOAD_AT_ONCE},
    {"nodes[].backoff_max_ms", RELOAD_AT_ONCE},
    {"nodes[].on_replaced", RELOAD_AT_ONCE},
    {"nodes[].replaced_retry_ms", RELOAD_AT_ONCE},
    {"nodes[].rest", RELOAD_AT_ONCE},
    {"nodes[].rest_connections", RELOAD_AT_ONCE},
    {"publish", RELOAD_VIEWS},
    {"publish[].endpoint", RELOAD_VIEWS},
    /* Counters, history and subscribers are those of the view as it began. */
    {"publish[].view", RELOAD_RESTART},
    {"publish[].topic", RELOAD_RESTART},
    /* libzmq sends another mark to every connection, one that is just ending among them, which can
     * crash it; and under a smaller one a subscriber that has read all can count as full for good.
     */
    {"publish[].sndhwm", RELOAD_RESTART},
    {"limits.max_event_bytes", RELOAD_AT_ONCE},
    {"limits.max_counters", RELOAD_AT_ONCE},
    {"limits.heartbeat_first_tokens", RELOAD_AT_ONCE},
    {"limits.coalesce_ms", RELOAD_AT_ONCE},
    /* libwebsockets has its buffer once and for all. */
    {"limits.receive_buffer_bytes", RELOAD_RESTART},
    {"gateway.enabled", RELOAD_RESTART},
    {"gateway.endpoint", RELOAD_RESTART},
    {"gateway.timeout_ms", RELOAD_AT_ONCE},
    {"gateway.max_timeout_ms", RELOAD_AT_ONCE},
    {"gateway.answer_timeout_ms", RELOAD_AT_ONCE},
    {"gateway.max_requests", RELOAD_AT_ONCE},
    {"gateway.max_requests_per_node", RELOAD_AT_ONCE},
    /* libzmq's ZMQ_MAXMSGSIZE, of connections that are there, cannot be changed. */
    {"gateway.max_request_bytes", RELOAD_RESTART},
    {"gateway.max_body_bytes", RELOAD_AT_ONCE},
    {"gateway.max_request_line_bytes", RELOAD_AT_ONCE},
    {"gateway.max_reply_bytes", RELOAD_AT_ONCE},
    {"gateway.max_objects", RELOAD_AT_ONCE},
    /* Two threads use the queue without a lock. */
    {"gateway.feed_bytes", RELOAD_RESTART},
    {"gateway.once_window_ms", RELOAD_AT_ONCE},
    {"gateway.once_max_requests", RELOAD_AT_ONCE},
    {"gateway.once_max_bytes", RELOAD_AT_ONCE},
    {"gateway.takeover", RELOAD_AT_ONCE},
    {"gateway.takeover_timeout_ms", RELOAD_AT_ONCE},
    {"history.max_bytes", RELOAD_AT_ONCE},
    {"history.max_age_ms", RELOAD_AT_ONCE},
    {"history.max_page_messages", RELOAD_AT_ONCE},
    {"history.max_page_bytes", RELOAD_AT_ONCE},
    {"history.max_unread_bytes", RELOAD_AT_ONCE},
    {"journal.path", RELOAD_RESTART},
    {"journal.max_bytes", RELOAD_AT_ONCE},
    {"journal.max_age_ms", RELOAD_AT_ONCE},
    {"journal.commit_ms", RELOAD_AT_ONCE},
    {"state.enabled", RELOAD_RESTART},
    {"state.max_objects", RELOAD_AT_ONCE},
    {"state.max_bytes", RELOAD_AT_ONCE},
    {"state.reconcile_per_s", RELOAD_AT_ONCE},
    {"heartbeat_ms", RELOAD_AT_ONCE},
    {"stop_timeout_ms", RELOAD_AT_ONCE},
    {"io_threads", RELOAD_RESTART},
    {"log.level", RELOAD_AT_ONCE},
};

const size_t reload_keys_count = sizeof reload_keys / sizeof reload_keys[0];

const struct reload_key *reload_key_find(const char *path)
{
    for (size_t i = 0; i < reload_keys_count; i++) {
        if (strcmp(reload_keys[i].path, path) == 0) {
            return &reload_keys[i];
        }
    }
    return NULL;
}
