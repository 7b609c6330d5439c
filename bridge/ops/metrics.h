/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Every counter and gauge of the daemon, declared once with its help. Names are Prometheus's
 * (counters end in _total, units are in the name). A place that discards something adds to one of
 * these in the line where it discards.
 *
 * Each metric has one writing thread; any thread may read.
 */
#ifndef ARIZMQ_OPS_METRICS_H
#define ARIZMQ_OPS_METRICS_H

#include <stdint.h>
#include <stdio.h>

/* X(identifier, type, name, help) */
#define METRICS_TABLE(X)                                                                           \
    X(EVENTS, counter, "arizmq_events_total", "Messages taken off Asterisk's WebSockets")          \
    X(EVENT_BYTES, counter, "arizmq_event_bytes_total", "Bytes of these messages")                 \
    X(EVENTS_UNPARSED, counter, "arizmq_events_unparsed_total",                                    \
      "Messages that were no JSON object with a string type; published as ArizmqUnparsed")         \
    X(EVENTS_UNKNOWN, counter, "arizmq_events_unknown_total",                                      \
      "Events of a type that the object table does not name; published all the same")              \
    X(EVENTS_OWN_RESPONSES, counter, "arizmq_events_own_responses_total",                          \
      "RESTResponses to the bridge's own requests; not published")                                 \
    X(EVENTS_REFUSED_SIZE, counter, "arizmq_events_refused_size_total",                            \
      "Events discarded because they were larger than limits.max_event_bytes")                     \
    X(EVENTS_REFUSED_UTF8, counter, "arizmq_events_refused_utf8_total",                            \
      "Text messages that were not valid UTF-8; the connection was closed with 1007")              \
    X(EVENTS_REFUSED_MEMORY, counter, "arizmq_events_refused_memory_total",                        \
      "Events discarded because no memory could be had")                                           \
    X(OBJECTS_DROPPED, counter, "arizmq_objects_dropped_total",                                    \
      "Objects of an event beyond the 16th, for which no message was made")                        \
    X(TOPICS_CUT, counter, "arizmq_topics_cut_total",                                              \
      "Topics in which a token was cut to keep the topic within 512 bytes")                        \
    X(MESSAGES, counter, "arizmq_messages_total", "Messages handed to the PUB sockets, all views") \
    X(MESSAGES_FAILED, counter, "arizmq_messages_failed_total",                                    \
      "Messages that a PUB socket refused")                                                        \
    X(HEARTBEATS, counter, "arizmq_heartbeats_total", "Heartbeats handed to the PUB sockets")      \
    X(COUNTERS_EVICTED, counter, "arizmq_counters_evicted_total",                                  \
      "Topic counters dropped because limits.max_counters was reached")                            \
    X(COUNTERS, gauge, "arizmq_counters", "Topic counters held, all views")                        \
    X(COUNTERS_MAX, gauge, "arizmq_counters_max", "limits.max_counters, of each view and depth")   \
    X(EVENT_BYTES_MAX, gauge, "arizmq_event_bytes_max", "limits.max_event_bytes")                  \
    X(RECEIVE_BUFFER_BYTES, gauge, "arizmq_receive_buffer_bytes", "limits.receive_buffer_bytes")   \
    X(HEARTBEAT_FIRST_TOKENS_MAX, gauge, "arizmq_heartbeat_first_tokens_max",                      \
      "limits.heartbeat_first_tokens")                                                             \
    X(STOP_TIMEOUT_MS, gauge, "arizmq_stop_timeout_milliseconds", "stop_timeout_ms")               \
    X(SUBSCRIPTIONS, counter, "arizmq_subscriptions_total",                                        \
      "Prefixes newly subscribed to, all views (the second subscriber of a prefix adds none)")     \
    X(UNSUBSCRIPTIONS, counter, "arizmq_unsubscriptions_total",                                    \
      "Prefixes whose last subscriber left")                                                       \
    X(SUBSCRIBER_MESSAGES_IGNORED, counter, "arizmq_subscriber_messages_ignored_total",            \
      "Messages from subscribers that were no subscription")                                       \
    X(LINKS, gauge, "arizmq_links", "Configured links: one for each node and application")         \
    X(LINKS_UP, gauge, "arizmq_links_up", "Links that receive events now")                         \
    X(LINKS_STANDBY, gauge, "arizmq_links_standby",                                                \
      "Links whose application was taken over by another client")                                  \
    X(CONNECTS, counter, "arizmq_connects_total", "WebSocket handshakes that succeeded")           \
    X(CONNECTS_FAILED, counter, "arizmq_connects_failed_total",                                    \
      "Attempts to connect that failed, whatever the reason")                                      \
    X(CONNECTS_REFUSED, counter, "arizmq_connects_refused_total",                                  \
      "Attempts that Asterisk answered with something other than 101")                             \
    X(DISCONNECTS, counter, "arizmq_disconnects_total", "Established links that ended")            \
    X(LIVENESS_FAILURES, counter, "arizmq_liveness_failures_total",                                \
      "Links closed because nothing was heard within liveness_ms")                                 \
    X(FRAMES_STALLED, counter, "arizmq_frames_stalled_total",                                      \
      "Links closed because a frame began and its rest did not come")                              \
    X(PROTOCOL_ERRORS, counter, "arizmq_protocol_errors_total",                                    \
      "Links closed because the peer broke RFC 6455")                                              \
    X(REPLACED, counter, "arizmq_applications_replaced_total", "ApplicationReplaced received")     \
    X(GAPS, counter, "arizmq_gaps_total", "ArizmqGap events published")                            \
    X(SUBSCRIBE_ALL_MENDED, counter, "arizmq_subscribe_all_mended_total",                          \
      "Connects on which Asterisk had ignored subscribeAll and it was asked for over REST")        \
    X(FRAGMENTS, counter, "arizmq_fragments_total", "Continuation frames received")                \
    X(CONTROL_FRAMES, counter, "arizmq_control_frames_total",                                      \
      "Ping, pong and close frames received")                                                      \
    X(LOG_LINES_DROPPED, counter, "arizmq_log_lines_dropped_total",                                \
      "Lines of the log that stderr would not take at once")                                       \
    X(EVENTS_MEMBERS_DROPPED, counter, "arizmq_event_members_dropped_total",                       \
      "Members of an event beyond the 64th, in which no object was looked for")                    \
    X(REST_REQUESTS, counter, "arizmq_rest_requests_total",                                        \
      "The bridge's own ARI requests over HTTP")                                                   \
    X(REST_FAILURES, counter, "arizmq_rest_failures_total",                                        \
      "Of these: without an answer, or with one of status 400 and up")

#define METRICS_ENUM(identifier, type, name, help) METRIC_##identifier,
enum metric { METRICS_TABLE(METRICS_ENUM) METRICS_COUNT };
#undef METRICS_ENUM

void metrics_add(enum metric metric, uint64_t amount);
void metrics_set(enum metric metric, uint64_t value);
uint64_t metrics_get(enum metric metric);

/* Writes all of them in Prometheus's text format (version 0.0.4). */
void metrics_write(FILE *out);

#endif
