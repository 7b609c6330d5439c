/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sets a fault case up, sorts what the subscriber receives by node, and takes everything down with
 * the checks that hold in every case. Called by the cases; it waits for conditions only.
 */
#include "fault.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <utlist.h>

#include "arizmq/error.h"

static const char password[] = "pw-7Hq2-never-logged";
/* "lab:" and it, as in an Authorization header. */
static const char password_encoded[] = "bGFiOnB3LTdIcTItbmV2ZXItbG9nZ2Vk";

void fault_fail(struct fault *fault, const char *format, ...)
{
    va_list arguments;
    char text[1024];
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (unsigned i = 0; i < fault->peers_count; i++) {
        if (fault->peers[i].asterisk) {
            fprintf(stderr, "-- node %s\n", fault->peers[i].node.name);
            process_dump(fault->peers[i].asterisk->process);
        }
        if (fault->peers[i].proxy) {
            process_dump(fault->peers[i].proxy->process);
        }
    }
    if (fault->daemon) {
        fprintf(stderr, "-- daemon\n");
        process_dump(fault->daemon->process);
    }
    cr_assert_fail("%s", text);
    abort();
}

void fault_write_time(char out[64])
{
    struct timespec now;
    struct tm tm;
    char date[24];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    snprintf(out, 64, "%s.%03ld+0000", date, now.tv_nsec / 1000000);
}

/* ---- start ---- */

void fault_use_names(const char *library)
{
    const char *before = getenv("ASAN_OPTIONS");
    char options[512];
    /* AddressSanitizer wants to be the first library, and need not be. */
    snprintf(options, sizeof options, "%s%sverify_asan_link_order=0", before ? before : "",
             before ? ":" : "");
    setenv("ASAN_OPTIONS", options, 1);
    setenv("LD_PRELOAD", library, 1);
}

static void peer_start(struct fault *fault, const struct fault_node *node)
{
    struct fault_peer *peer = &fault->peers[fault->peers_count++];
    peer->node = *node;
    if (node->is_absent) {
        peer->port = harness_free_port();
        peer->ends_down = true;
        return;
    }
    const char *options[16] = {"--password", password, "--version",
                               node->version ? node->version : "22"};
    for (int i = 0; node->fake_options && node->fake_options[i]; i++) {
        cr_assert_lt(i, 11);
        options[4 + i] = node->fake_options[i];
    }
    peer->asterisk = fake_start_asterisk(options);
    cr_assert_not_null(peer->asterisk, "the fake Asterisk does not start");
    peer->port = peer->asterisk->port;
    if (!node->has_proxy) {
        fake_do(peer->asterisk, "stop-listening");
        return;
    }
    peer->proxy = fake_start_proxy(peer->port);
    cr_assert_not_null(peer->proxy, "the fault proxy does not start");
    fake_do(peer->proxy, "%s", node->proxy_fault ? node->proxy_fault : "refuse");
    peer->port = peer->proxy->port;
}

static void config_write_url(FILE *file, const struct fault_peer *peer)
{
    const char *url = peer->node.url ? peer->node.url : "ws://127.0.0.1:%u/ari";
    const char *port = strstr(url, "%u");
    if (port) {
        fprintf(file, "%.*s%u%s", (int)(port - url), url, peer->port, port + 2);
    } else {
        fputs(url, file);
    }
}

static char *config_write(const struct fault *fault, const struct fault_options *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    fputs("nodes:\n", file);
    for (unsigned i = 0; i < fault->peers_count; i++) {
        const struct fault_node *node = &fault->peers[i].node;
        fprintf(file, "  - name: %s\n    url: ", node->name);
        config_write_url(file, &fault->peers[i]);
        fprintf(file,
                "\n    username: lab\n    password: %s\n    apps: [%s]\n    subscribe_all: %s\n"
                "    liveness_ms: %d\n    backoff_min_ms: 20\n    backoff_max_ms: %d\n%s",
                node->password ? node->password : password, node->app ? node->app : "ivr",
                node->subscribe_all ? "true" : "false",
                node->liveness_ms ? node->liveness_ms : FAULT_LIVENESS_MS,
                node->backoff_max_ms ? node->backoff_max_ms : 200, node->extra ? node->extra : "");
    }
    int sndhwm = options->sndhwm ? options->sndhwm : 1000000;
    fprintf(file,
            "publish:\n"
            "  - {view: events, endpoint: \"ipc://DIR/events\", sndhwm: %d}\n"
            "  - {view: objects, endpoint: \"ipc://DIR/objects\", sndhwm: %d}\n"
            "heartbeat_ms: 50\n"
            /* No comparison after a connect, whose events would come between those expected. */
            "state: {enabled: false}\n%s",
            sndhwm, sndhwm, options->extra ? options->extra : "");
    fclose(file);
    return text;
}

static const struct fault_node healthy = {
    .name = "healthy", .app = "vip", .subscribe_all = true, .liveness_ms = 60000};

struct fault *fault_start(const struct fault_options *options)
{
    struct fault *fault = calloc(1, sizeof *fault);
    cr_assert_not_null(fault);
    for (int i = 0; i < FAULT_NODES_MAX && options->nodes[i].name; i++) {
        peer_start(fault, &options->nodes[i]);
    }
    if (!options->is_alone) {
        peer_start(fault, &healthy);
    }
    char *config = config_write(fault, options);
    struct daemon_options daemon_options = {.config = config};
    fault->daemon = daemon_start(&daemon_options);
    free(config);
    cr_assert_not_null(fault->daemon);
    for (unsigned i = 0; i < 2; i++) {
        fault->trackers[i] = counter_tracker_create(i);
    }
    fault->subscriber = subscriber_create(fault->daemon->events_endpoint, "");
    cr_assert_not_null(fault->subscriber);
    if (subscriber_join(fault->subscriber, FAULT_TIMEOUT_MS)) {
        fault_fail(fault, "no heartbeat came");
    }
    if (!options->is_alone) {
        fault_open(fault, &fault->peers[fault->peers_count - 1]);
    }
    return fault;
}

struct fault_peer *fault_peer(struct fault *fault, unsigned index)
{
    cr_assert_lt(index, fault->peers_count);
    return &fault->peers[index];
}

void fault_listen(struct fault_peer *peer)
{
    fake_do(peer->proxy ? peer->proxy : peer->asterisk, peer->proxy ? "clear" : "listen");
}

void fault_open(struct fault *fault, struct fault_peer *peer)
{
    fault_listen(peer);
    fault_await(fault, peer, "connected");
    json_t *own = fault_expect_own(fault, peer, "ArizmqNodeConnected", NULL, NULL);
    cr_assert(json_is_false(json_object_get(own, "reconnect")));
}

/* ---- what the subscriber sees ---- */

static struct fault_peer *peer_of(struct fault *fault, const char *topic)
{
    const char *node = topic;
    for (int i = 0; i < 2 && node; i++) {
        node = strchr(node, '/');
        node = node ? node + 1 : NULL;
    }
    for (unsigned i = 0; node && i < fault->peers_count; i++) {
        size_t length = strlen(fault->peers[i].node.name);
        if (strncmp(node, fault->peers[i].node.name, length) == 0 && node[length] == '/') {
            return &fault->peers[i];
        }
    }
    return NULL;
}

/* Takes one message in. False when none came in the time. */
static bool receive_one(struct fault *fault, int timeout_ms)
{
    struct subscriber_message message;
    int result = subscriber_receive(fault->subscriber, timeout_ms, &message);
    if (result == ARIZMQ_ENOTFOUND) {
        return false;
    }
    cr_assert_eq(result, ARIZMQ_OK, "a message without three frames");
    for (unsigned i = 0; i < 2 && !fault->is_filtered; i++) {
        if (!counter_tracker_add(fault->trackers[i], &message)) {
            fault_fail(fault, "a counter jumped: %s",
                       counter_tracker_first_jump(fault->trackers[i]));
        }
    }
    if (subscriber_message_is_heartbeat(&message)) {
        subscriber_message_clear(&fault->heartbeat);
        fault->heartbeat = message;
        return true;
    }
    struct fault_message *kept = calloc(1, sizeof *kept);
    cr_assert_not_null(kept);
    kept->message = message;
    struct fault_peer *peer = peer_of(fault, message.topic);
    if (peer) {
        LL_APPEND(peer->received, kept);
    } else {
        LL_APPEND(fault->of_no_node, kept);
    }
    return true;
}

/* The message that fault_next() lent out; one at a time. */
static struct fault_message *lent;

static const struct subscriber_message *take(struct fault_message **list)
{
    if (lent) {
        subscriber_message_clear(&lent->message);
        free(lent);
    }
    lent = *list;
    LL_DELETE(*list, lent);
    return &lent->message;
}

static bool await_message(struct fault *fault, const struct fault_peer *peer, int timeout_ms)
{
    int64_t deadline = harness_now_ms() + timeout_ms;
    while (!peer->received) {
        int64_t left = deadline - harness_now_ms();
        if (left < 0) {
            return false;
        }
        receive_one(fault, (int)left);
    }
    return true;
}

const struct subscriber_message *fault_poll(struct fault *fault, struct fault_peer *peer,
                                            int timeout_ms)
{
    return await_message(fault, peer, timeout_ms) ? take(&peer->received) : NULL;
}

const struct subscriber_message *fault_peek(struct fault *fault, struct fault_peer *peer)
{
    if (!await_message(fault, peer, FAULT_TIMEOUT_MS)) {
        fault_fail(fault, "no message of node %s came", peer->node.name);
    }
    return &peer->received->message;
}

const struct subscriber_message *fault_next(struct fault *fault, struct fault_peer *peer)
{
    fault_peek(fault, peer);
    return take(&peer->received);
}

void fault_event(struct fault_peer *peer, char out[FAULT_EVENT_SIZE])
{
    char time[64];
    fault_write_time(time);
    snprintf(out, FAULT_EVENT_SIZE,
             "{\"type\":\"ChannelUserevent\",\"timestamp\":\"%s\",\"eventname\":\"f\","
             "\"userevent\":{\"n\":%u,\"eventname\":\"f\",\"text\":\"J\xc3\xbcrg \\u00e9 "
             "\xf0\x9f\x93\x9e\"},\"asterisk_id\":\"02:00:00:00:00:22\",\"application\":\"%s\"}",
             time, ++peer->events, peer->node.app ? peer->node.app : "ivr");
}

void fault_expect(struct fault *fault, struct fault_peer *peer, const char *text, size_t length)
{
    const struct subscriber_message *message = fault_next(fault, peer);
    if (message->event_length != length || memcmp(message->event, text, length) != 0) {
        fault_fail(fault, "node %s: expected %.200s (%zu bytes), not %.200s (%zu bytes)",
                   peer->node.name, text, length, message->event, message->event_length);
    }
}

void fault_pass(struct fault *fault, struct fault_peer *peer)
{
    char event[FAULT_EVENT_SIZE];
    fault_event(peer, event);
    fake_do(peer->asterisk, "send %s", event);
    fault_expect(fault, peer, event, strlen(event));
}

void fault_pass_healthy(struct fault *fault)
{
    fault_pass(fault, &fault->peers[fault->peers_count - 1]);
}

json_t *fault_expect_own(struct fault *fault, struct fault_peer *peer, const char *type,
                         const char *member, const char *value)
{
    const struct subscriber_message *message = fault_next(fault, peer);
    json_decref(fault->own);
    fault->own = json_loadb(message->event, message->event_length, 0, NULL);
    const char *found = json_string_value(json_object_get(fault->own, "type"));
    const char *node = json_string_value(json_object_get(fault->own, "node"));
    if (!found || strcmp(found, type) != 0 || !node || strcmp(node, peer->node.name) != 0) {
        fault_fail(fault, "node %s: expected %s, not %.300s", peer->node.name, type,
                   message->event);
    }
    const char *got = member ? json_string_value(json_object_get(fault->own, member)) : NULL;
    if (member && (!got || strcmp(got, value) != 0)) {
        fault_fail(fault, "%s: %s is not \"%s\": %.300s", type, member, value, message->event);
    }
    return fault->own;
}

void fault_expect_reconnect(struct fault *fault, struct fault_peer *peer, const char *gap_reason)
{
    json_t *own = fault_expect_own(fault, peer, "ArizmqNodeConnected", NULL, NULL);
    cr_assert(json_is_true(json_object_get(own, "reconnect")));
    own = fault_expect_own(fault, peer, "ArizmqGap", "reason", gap_reason);
    const char *from = json_string_value(json_object_get(own, "from"));
    const char *to = json_string_value(json_object_get(own, "to"));
    cr_assert_leq(strcmp(from, to), 0, "a gap from %s to %s", from, to);
}

/* ---- log and metrics ---- */

const char *fault_expect_log(struct fault *fault, const char *event, const char *text)
{
    const char *line = daemon_await_log(fault->daemon, event, text, FAULT_TIMEOUT_MS);
    if (!line) {
        fault_fail(fault, "no log line \"%s: …%s\"", event, text ? text : "");
    }
    return line;
}

#define NAME_OF(identifier, type, name, help) name,
static const char *const metric_names[METRICS_COUNT] = {METRICS_TABLE(NAME_OF)};
#undef NAME_OF

static const char *metric_line(struct fault *fault, enum metric metric, int timeout_ms)
{
    char begin[128];
    snprintf(begin, sizeof begin, "%s ", metric_names[metric]);
    const char *line = process_await_line(fault->daemon->process, PROCESS_STDERR,
                                          process_line_begins_with, begin, timeout_ms);
    return line ? line + strlen(begin) : NULL;
}

uint64_t fault_metric(struct fault *fault, enum metric metric)
{
    /* Every dump ends with the last of the table, so that its line says that this dump is here;
     * lines of earlier dumps, which nobody asked for, are passed over. */
    const enum metric last = (enum metric)(METRICS_COUNT - 1);
    process_signal(fault->daemon->process, SIGUSR1);
    const char *end = metric_line(fault, last, FAULT_TIMEOUT_MS);
    if (!end) {
        fault_fail(fault, "no metrics came");
    }
    const char *found = metric == last ? end : NULL;
    for (const char *line; (line = metric_line(fault, metric, 0)) != NULL;) {
        found = line;
    }
    cr_assert_not_null(found, "no metric %s", metric_names[metric]);
    return strtoull(found, NULL, 10);
}

void fault_expect_metric(struct fault *fault, enum metric metric, uint64_t value)
{
    uint64_t found = fault_metric(fault, metric);
    if (found != value) {
        fault_fail(fault, "%s is %llu, not %llu", metric_names[metric], (unsigned long long)found,
                   (unsigned long long)value);
    }
}

const char *fault_await(struct fault *fault, struct fault_peer *peer, const char *prefix)
{
    const char *line = fake_await_event(peer->asterisk, prefix, FAULT_TIMEOUT_MS);
    if (!line) {
        fault_fail(fault, "node %s: no event \"%s\" at the fake", peer->node.name, prefix);
    }
    return line;
}

size_t fault_count(struct fault_peer *peer, const char *prefix)
{
    fake_do(peer->asterisk, "stats"); /* events before its answer are all here then */
    return fake_count_events(peer->asterisk, prefix);
}

/* ---- stop ---- */

void fault_terminate(struct fault *fault)
{
    int64_t begin = harness_now_ms();
    if (process_signal(fault->daemon->process, SIGTERM)) {
        return; /* ended before, with the status checked below */
    }
    int status = process_wait(fault->daemon->process, FAULT_TIMEOUT_MS);
    fault->stop_ms = harness_now_ms() - begin;
    if (status != 0) {
        fault_fail(fault, "the daemon ended with %d", status);
    }
}

static void check_last_messages(struct fault *fault)
{
    for (unsigned i = 0; i < fault->peers_count; i++) {
        struct fault_peer *peer = &fault->peers[i];
        if (!peer->ends_down) {
            fault_expect_own(fault, peer, "ArizmqNodeDisconnected", "reason", "stopping");
        }
    }
    while (!fault->of_no_node) {
        if (!receive_one(fault, FAULT_TIMEOUT_MS)) {
            fault_fail(fault, "no ArizmqStopping came");
        }
    }
    uint64_t seq = fault->of_no_node->message.stamp.seq;
    cr_assert_eq(strncmp(fault->of_no_node->message.topic, "ArizmqStopping/-/-/-/", 21), 0, "%s",
                 fault->of_no_node->message.topic);
    while (fault->heartbeat.stamp.seq != seq) {
        if (!receive_one(fault, FAULT_TIMEOUT_MS)) {
            fault_fail(fault, "no heartbeat came after ArizmqStopping");
        }
    }
    take(&fault->of_no_node);
    for (unsigned i = 0; i < fault->peers_count; i++) {
        if (fault->peers[i].received) {
            fault_fail(fault, "node %s: nobody expected %.300s", fault->peers[i].node.name,
                       fault->peers[i].received->message.event);
        }
    }
    cr_assert_null(fault->of_no_node, "a message after ArizmqStopping");
}

static void check_log(struct fault *fault)
{
    static const char *const never[] = {password, password_encoded, "Sanitizer", "runtime error"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        for (int stream = 0; stream < PROCESS_STREAMS; stream++) {
            if (process_count_lines(fault->daemon->process, (enum process_stream)stream,
                                    process_line_contains, never[i]) > 0) {
                fault_fail(fault, "the log holds \"%s\"", never[i]);
            }
        }
    }
    if (daemon_count_log(fault->daemon, "node_state") > 0) {
        fault_fail(fault, "a link's connection ended in a state where it has none");
    }
}

void fault_stop(struct fault **self)
{
    struct fault *fault = *self;
    fault_terminate(fault);
    check_last_messages(fault);
    check_log(fault);
    cr_assert_eq(daemon_stop(&fault->daemon, FAULT_TIMEOUT_MS), 0);
    for (unsigned i = 0; i < fault->peers_count; i++) {
        struct fault_peer *peer = &fault->peers[i];
        if (!peer->asterisk) {
            continue;
        }
        long long pongs = fake_number(fake_do(peer->asterisk, "stats"), "pong");
        cr_assert_eq(pongs, peer->pings, "node %s: %lld pongs for %u pings", peer->node.name, pongs,
                     peer->pings);
        cr_assert_eq(fake_stop(&peer->asterisk), 0);
        if (peer->proxy) {
            cr_assert_eq(fake_stop(&peer->proxy), 0);
        }
    }
    subscriber_destroy(&fault->subscriber);
    subscriber_message_clear(&fault->heartbeat);
    counter_tracker_destroy(&fault->trackers[0]);
    counter_tracker_destroy(&fault->trackers[1]);
    json_decref(fault->own);
    if (lent) {
        subscriber_message_clear(&lent->message);
        free(lent);
        lent = NULL;
    }
    free(fault);
    *self = NULL;
}
