/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Every counter and gauge of the daemon, declared once with its help. Names are Prometheus's
 * (counters end in _total, units are in the name). A place that discards something adds to one of
 * these in the line where it discards.
 *
 * Each metric has one writing thread, unless all that write it use metrics_add_shared(); any thread
 * may read.
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
    X(MESSAGES_UNWANTED, counter, "arizmq_messages_unwanted_total",                                \
      "Messages that were counted, kept and not sent: nobody has subscribed to anything in the "   \
      "view")                                                                                      \
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
    X(COALESCE_MS, gauge, "arizmq_coalesce_milliseconds", "limits.coalesce_ms")                    \
    X(RELOADS, counter, "arizmq_reloads_total", "Configurations loaded again and applied")         \
    X(RELOADS_REFUSED, counter, "arizmq_reloads_refused_total",                                    \
      "Configurations not applied, because something was wrong with them; all stayed as it was")   \
    X(LAST_RELOAD, gauge, "arizmq_last_reload_timestamp_seconds",                                  \
      "When the configuration was last loaded again and applied; 0: never")                        \
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
    X(HANDOVERS, counter, "arizmq_handovers_total",                                                \
      "Connections that took over from one that was still open")                                   \
    X(HANDOVERS_FAILED, counter, "arizmq_handovers_failed_total",                                  \
      "Attempts to open such a connection that failed")                                            \
    X(TAKEOVERS_FAILED, counter, "arizmq_takeovers_failed_total",                                  \
      "Other bridges that were to take over and did not; what they had was taken back")            \
    X(TAKEOVER_TIMEOUT_MS, gauge, "arizmq_takeover_timeout_ms", "gateway.takeover_timeout_ms")     \
    X(LINKS_LEAVING, gauge, "arizmq_links_leaving",                                                \
      "Connections that were taken over from and are not closed yet")                              \
    X(LIVENESS_FAILURES, counter, "arizmq_liveness_failures_total",                                \
      "Links closed because nothing was heard within liveness_ms")                                 \
    X(FRAMES_STALLED, counter, "arizmq_frames_stalled_total",                                      \
      "Links closed because a frame began and its rest did not come")                              \
    X(PROTOCOL_ERRORS, counter, "arizmq_protocol_errors_total",                                    \
      "Links closed because the peer broke RFC 6455")                                              \
    X(REPLACED, counter, "arizmq_applications_replaced_total",                                     \
      "Applications that another client or another bridge took over")                              \
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
      "Of these: without an answer, or with one of status 400 and up")                             \
    X(SEQ, gauge, "arizmq_seq", "Number of the last event published")                              \
    X(GATEWAY_REQUESTS, counter, "arizmq_gateway_requests_total", "Requests of clients received")  \
    X(GATEWAY_BYTES, counter, "arizmq_gateway_bytes_total",                                        \
      "Bytes of these, without return paths")                                                      \
    X(GATEWAY_REPLIES, counter, "arizmq_gateway_replies_total", "Replies handed to the socket")    \
    X(GATEWAY_MALFORMED, counter, "arizmq_gateway_malformed_total",                                \
      "Requests answered with bad_request or too_large")                                           \
    X(GATEWAY_NO_PATH, counter, "arizmq_gateway_no_path_total",                                    \
      "Messages dropped because they could not be taken off the socket whole")                     \
    X(GATEWAY_UNDELIVERABLE, counter, "arizmq_gateway_undeliverable_total",                        \
      "Replies whose client was gone or had stopped reading")                                      \
    X(GATEWAY_OVERLOADED, counter, "arizmq_gateway_overloaded_total",                              \
      "Requests answered with overloaded; nothing was sent")                                       \
    X(GATEWAY_UNKNOWN, counter, "arizmq_gateway_outcome_unknown_total",                            \
      "Requests answered with outcome_unknown: sent, and no answer in time")                       \
    X(GATEWAY_LATE, counter, "arizmq_gateway_late_answers_total",                                  \
      "Answers of Asterisk that came after their request was told outcome_unknown")                \
    X(GATEWAY_REPEATED, counter, "arizmq_gateway_repeated_total",                                  \
      "Requests that were not run because their request_id had been, or was being")                \
    X(GATEWAY_ASKED_ALL, counter, "arizmq_gateway_asked_all_total",                                \
      "Requests put to all nodes, since nobody was known to have their object")                    \
    X(GATEWAY_UNDER_WAY, gauge, "arizmq_gateway_under_way", "Requests taken and not answered yet") \
    X(GATEWAY_MAX_REQUESTS, gauge, "arizmq_gateway_max_requests", "gateway.max_requests")          \
    X(GATEWAY_MAX_REQUESTS_PER_NODE, gauge, "arizmq_gateway_max_requests_per_node",                \
      "gateway.max_requests_per_node")                                                             \
    X(GATEWAY_MAX_REQUEST_BYTES, gauge, "arizmq_gateway_max_request_bytes",                        \
      "gateway.max_request_bytes")                                                                 \
    X(GATEWAY_MAX_BODY_BYTES, gauge, "arizmq_gateway_max_body_bytes", "gateway.max_body_bytes")    \
    X(GATEWAY_MAX_REPLY_BYTES, gauge, "arizmq_gateway_max_reply_bytes", "gateway.max_reply_bytes") \
    X(GATEWAY_ANSWER_TIMEOUT_MS, gauge, "arizmq_gateway_answer_timeout_ms",                        \
      "gateway.answer_timeout_ms")                                                                 \
    X(HTTP_REQUESTS, counter, "arizmq_http_requests_total", "Commands put on an HTTP connection")  \
    X(HTTP_CONNECTS, counter, "arizmq_http_connects_total",                                        \
      "HTTP connections opened for commands")                                                      \
    X(HTTP_RETRIES, counter, "arizmq_http_retries_total",                                          \
      "Safe requests sent again because a kept connection ended under them")                       \
    X(HTTP_FAILURES, counter, "arizmq_http_failures_total",                                        \
      "Commands over HTTP without an answer that could be passed on")                              \
    X(OVER_WS_REQUESTS, counter, "arizmq_over_ws_requests_total",                                  \
      "Commands sent over a WebSocket (rest: websocket)")                                          \
    X(OVER_WS_FALLBACKS, counter, "arizmq_over_ws_fallbacks_total",                                \
      "Of these nodes' commands: sent over HTTP, because a WebSocket cannot carry them")           \
    X(OWNERS, gauge, "arizmq_owners", "Objects whose node is remembered, ended ones among them")   \
    X(OWNERS_MAX, gauge, "arizmq_owners_max", "gateway.max_objects")                               \
    X(OWNERS_EVICTED, counter, "arizmq_owners_evicted_total",                                      \
      "Live objects forgotten because gateway.max_objects was reached")                            \
    X(OWNERS_FORGOTTEN, counter, "arizmq_owners_forgotten_total",                                  \
      "Objects not remembered for want of memory, or because four other nodes have them")          \
    X(FEED_MAX_BYTES, gauge, "arizmq_feed_max_bytes", "gateway.feed_bytes")                        \
    X(FEED_DROPPED, counter, "arizmq_feed_dropped_total",                                          \
      "What the command thread was not told because gateway.feed_bytes or all memory was in use")  \
    X(ONCE_REQUESTS, gauge, "arizmq_once_requests", "Request ids remembered")                      \
    X(ONCE_MAX_REQUESTS, gauge, "arizmq_once_max_requests", "gateway.once_max_requests")           \
    X(ONCE_MAX_BYTES, gauge, "arizmq_once_max_bytes", "gateway.once_max_bytes")                    \
    X(ONCE_WINDOW_MS, gauge, "arizmq_once_window_ms", "gateway.once_window_ms")                    \
    X(ONCE_BYTES, gauge, "arizmq_once_bytes", "Bytes of stored replies")                           \
    X(ONCE_EVICTED, counter, "arizmq_once_evicted_total",                                          \
      "Request ids forgotten within gateway.once_window_ms because a bound was reached")           \
    X(ONCE_INCOMPLETE, counter, "arizmq_once_incomplete_total",                                    \
      "Replies not stored whole: a body larger than gateway.once_max_bytes, or no memory")         \
    X(HISTORY_EVENTS, gauge, "arizmq_history_events", "Events kept in memory")                     \
    X(HISTORY_BYTES, gauge, "arizmq_history_bytes", "Memory that they take, with all it costs")    \
    X(HISTORY_MAX_BYTES, gauge, "arizmq_history_max_bytes", "history.max_bytes")                   \
    X(HISTORY_MAX_AGE_MS, gauge, "arizmq_history_max_age_ms", "history.max_age_ms")                \
    X(HISTORY_OLDEST, gauge, "arizmq_history_oldest_seq",                                          \
      "Number of the oldest event kept; one more than arizmq_seq where none is")                   \
    X(HISTORY_TRIMMED, counter, "arizmq_history_trimmed_total",                                    \
      "Events that left history because of its bounds")                                            \
    X(HISTORY_HOLES, counter, "arizmq_history_holes_total",                                        \
      "Events published and not kept: larger than history.max_bytes allows, or no memory")         \
    X(HISTORY_PAGES, counter, "arizmq_history_pages_total",                                        \
      "GET arizmq/history answered with 200, memory and journal together")                         \
    X(HISTORY_MESSAGES, counter, "arizmq_history_messages_total", "Messages in these replies")     \
    X(HISTORY_COMPACTED, counter, "arizmq_history_compacted_total",                                \
      "GET arizmq/history answered with compacted")                                                \
    X(HISTORY_UNREAD_BYTES, gauge, "arizmq_history_unread_bytes",                                  \
      "Memory of replies with messages that their clients have not taken yet")                     \
    X(HISTORY_MAX_UNREAD_BYTES, gauge, "arizmq_history_max_unread_bytes",                          \
      "history.max_unread_bytes")                                                                  \
    X(HISTORY_MAX_PAGE_MESSAGES, gauge, "arizmq_history_max_page_messages",                        \
      "history.max_page_messages")                                                                 \
    X(HISTORY_MAX_PAGE_BYTES, gauge, "arizmq_history_max_page_bytes", "history.max_page_bytes")    \
    X(STATE_OBJECTS, gauge, "arizmq_state_objects", "Objects whose last value is kept")            \
    X(STATE_BYTES, gauge, "arizmq_state_bytes", "Memory that they take, with all it costs")        \
    X(STATE_MAX_OBJECTS, gauge, "arizmq_state_max_objects", "state.max_objects")                   \
    X(STATE_MAX_BYTES, gauge, "arizmq_state_max_bytes", "state.max_bytes")                         \
    X(STATE_RECONCILE_PER_S, gauge, "arizmq_state_reconcile_per_second", "state.reconcile_per_s")  \
    X(STATE_LEFT_OUT, counter, "arizmq_state_left_out_total",                                      \
      "Objects not kept because a bound of state or all memory was reached")                       \
    X(SNAPSHOTS, counter, "arizmq_snapshots_total",                                                \
      "Snapshots of the state made; several requests may share one")                               \
    X(SNAPSHOT_VALUES_INVALID, counter, "arizmq_snapshot_values_invalid_total",                    \
      "Values left out of a snapshot because they are no JSON")                                    \
    X(RECONCILES, counter, "arizmq_reconciles_total",                                              \
      "Comparisons of a link's objects with what Asterisk has, after a connect")                   \
    X(RECONCILES_FAILED, counter, "arizmq_reconciles_failed_total",                                \
      "Comparisons given up because Asterisk did not answer as it should")                         \
    X(OBJECTS_FOUND, counter, "arizmq_objects_found_total",                                        \
      "Objects that a comparison found to be new (ArizmqObjectFound)")                             \
    X(OBJECTS_CHANGED, counter, "arizmq_objects_changed_total",                                    \
      "Objects that a comparison found to have changed (ArizmqObjectFound)")                       \
    X(OBJECTS_LOST, counter, "arizmq_objects_lost_total",                                          \
      "Objects that a comparison found to be gone (ArizmqObjectLost)")                             \
    X(NODES_RESTARTED, counter, "arizmq_nodes_restarted_total",                                    \
      "Reconnects to an Asterisk that was started anew, each application of it counted")           \
    X(STATE_EVICTED, counter, "arizmq_state_evicted_total",                                        \
      "Devices forgotten to make room for others, the one told of longest ago first")              \
    X(JOURNAL_STORED_SEQ, gauge, "arizmq_journal_stored_seq",                                      \
      "Up to here every event of this run is on disk, or recorded as missing; 0 without a "        \
      "journal")                                                                                   \
    X(JOURNAL_LAG, gauge, "arizmq_journal_lag_events", "Events published and not yet on disk")     \
    X(JOURNAL_EVENTS, counter, "arizmq_journal_events_total", "Events committed to disk")          \
    X(JOURNAL_COMMITS, counter, "arizmq_journal_commits_total", "Transactions committed")          \
    X(JOURNAL_COMMIT_US, counter, "arizmq_journal_commit_microseconds_total",                      \
      "Time that writing and committing took")                                                     \
    X(JOURNAL_FAILURES, counter, "arizmq_journal_failures_total",                                  \
      "Attempts to open, write or tidy the journal that failed; they are repeated")                \
    X(JOURNAL_FAILING, gauge, "arizmq_journal_failing",                                            \
      "1 while the last attempt to open or write the journal has failed")                          \
    X(JOURNAL_HOLES, counter, "arizmq_journal_holes_total",                                        \
      "Ranges of events recorded as missing from the journal")                                     \
    X(JOURNAL_MISSED, counter, "arizmq_journal_missed_total", "Events in these ranges")            \
    X(JOURNAL_BYTES, gauge, "arizmq_journal_bytes", "Size of the journal's files on disk")         \
    X(JOURNAL_RUNS, gauge, "arizmq_journal_runs", "Runs of the bridge that the journal has")       \
    X(JOURNAL_PAGES, counter, "arizmq_journal_pages_total",                                        \
      "Replies to GET arizmq/history made from the journal")                                       \
    X(JOURNAL_READ_FAILURES, counter, "arizmq_journal_read_failures_total",                        \
      "Requests for history that could not be answered because the journal could not be read")     \
    X(JOURNAL_MAX_BYTES, gauge, "arizmq_journal_max_bytes", "journal.max_bytes")                   \
    X(JOURNAL_MAX_AGE_MS, gauge, "arizmq_journal_max_age_ms", "journal.max_age_ms")                \
    X(JOURNAL_COMMIT_MS, gauge, "arizmq_journal_commit_ms", "journal.commit_ms")

#define METRICS_ENUM(identifier, type, name, help) METRIC_##identifier,
enum metric { METRICS_TABLE(METRICS_ENUM) METRICS_COUNT };
#undef METRICS_ENUM

void metrics_add(enum metric metric, uint64_t amount);
void metrics_set(enum metric metric, uint64_t value);

/* For metrics that several threads add to. */
void metrics_add_shared(enum metric metric, uint64_t amount);

uint64_t metrics_get(enum metric metric);

/* Writes all of them, and the tallies of the links (ops/tally.h), in Prometheus's text format
 * (version 0.0.4), and a last line "# EOF". */
void metrics_write(FILE *out);

#endif
