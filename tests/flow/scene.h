/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What most flow tests begin with: fake Asterisks, the daemon, and subscribers that are there
 * before the first link is up, so that they get every message from number 1 on.
 */
#ifndef ARIZMQ_FLOW_SCENE_H
#define ARIZMQ_FLOW_SCENE_H

#include "flow/stream.h"
#include "harness/daemon.h"
#include "harness/fake.h"
#include "harness/subscriber.h"

/* The most that a test waits for one thing; a sanitizer makes everything ten times slower. */
enum { FLOW_TIMEOUT_MS = 120000 };

#define FLOW_EVENTS_TOPIC  "{type}/{app}/{node}/{id}/"
#define FLOW_OBJECTS_TOPIC "{kind}/{id}/{type}/{node}/"

/* Both views on the endpoints that struct daemon knows. Nothing may be dropped in these tests, so
 * the high-water mark is out of reach. */
#define FLOW_VIEWS                                                                                 \
    "publish:\n"                                                                                   \
    "  - {view: events, endpoint: \"ipc://DIR/events\", sndhwm: 10000000}\n"                       \
    "  - {view: objects, endpoint: \"ipc://DIR/objects\", sndhwm: 10000000}\n"

/* The same, and nothing is published that the fake does not send or that a connection does not
 * bring about: no comparison after a connect. So everything can be counted. */
#define FLOW_PUBLISH FLOW_VIEWS "state: {enabled: false}\n"

/* One node of `nodes:`, for printf: name, port, applications. Tries quickly to connect; asks for a
 * sign of life late, since a sanitized daemon on a busy machine is slow. */
#define FLOW_NODE                                                                                  \
    "  - {name: %s, url: \"ws://127.0.0.1:%u/ari\", username: lab, password: secret,"              \
    " apps: [%s], backoff_min_ms: 10, backoff_max_ms: 20, liveness_ms: 60000"
#define FLOW_NODE_END "}\n"

/* Starts the daemon with this configuration; fails the test where it does not start. DIR stands
 * for its directory. */
struct daemon *scene_start_daemon(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* SIGTERM; fails the test if its status is not 0. */
void scene_stop_daemon(struct daemon **daemon);

/* A subscriber to everything in a view; `joined` waits for a heartbeat. Fail the test. */
struct subscriber *scene_subscribe(const char *endpoint);
struct subscriber *scene_subscribe_and_join(const char *endpoint);

/* Starts a fake Asterisk that does not listen yet. */
struct fake *scene_start_deaf_fake(void);
/* Lets it listen and waits until that many links are connected. */
void scene_let_connect(struct fake *fake, unsigned links);

/* Receives the next message, waiting for it; fails the test. */
void scene_receive(struct subscriber *subscriber, struct subscriber_message *out);

/* Receives, checks with `stream` and discards until a heartbeat has come that tells of `seq` or
 * more. Fails the test when a message that is not the bridge's own comes before. */
void scene_await_quiet(struct subscriber *subscriber, struct stream *stream, uint64_t seq);

/* The value of a metric, from the dump that SIGUSR1 asks for. */
uint64_t scene_metric(struct daemon *daemon, const char *name);
/* Asks until it is at least `wanted`; fails the test. */
void scene_await_metric(struct daemon *daemon, const char *name, uint64_t wanted);

#endif
