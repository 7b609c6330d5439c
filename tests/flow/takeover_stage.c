/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Starts bridges and reads what each publishes. A stream in which a number is missing or a counter
 * jumps fails the test at once; numbers that came twice are counted.
 */
#include "flow/takeover_stage.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"

static const char *const apps[RELAY_APPS] = {"ivr", "queue", "vip"};

void relay_create(struct relay *relay)
{
    *relay = (struct relay){0};
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        relay->asterisk[i] = fake_start_asterisk(NULL);
        cr_assert_not_null(relay->asterisk[i]);
        fake_do(relay->asterisk[i], "stop-listening");
        relay->proxy[i] = fake_start_proxy(relay->asterisk[i]->port);
        cr_assert_not_null(relay->proxy[i]);
    }
    for (unsigned i = 0; i < RELAY_APPS; i++) {
        relay->seen[i] = calloc(RELAY_NUMBERS_MAX + 1, 1);
        cr_assert_not_null(relay->seen[i]);
    }
}

static void bridge_release(struct relay_bridge *bridge)
{
    subscriber_destroy(&bridge->subscriber);
    counter_tracker_destroy(&bridge->tracker);
    json_decref(bridge->gap);
    json_decref(bridge->stopping);
}

void relay_destroy(struct relay *relay)
{
    for (unsigned i = 0; i < relay->bridges; i++) {
        if (relay->bridge[i].daemon != NULL) {
            cr_assert_eq(daemon_stop(&relay->bridge[i].daemon, RELAY_TIMEOUT_MS),
                         relay->bridge[i].status);
        }
        bridge_release(&relay->bridge[i]);
    }
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        cr_assert_eq(fake_stop(&relay->proxy[i]), 0);
        cr_assert_eq(fake_stop(&relay->asterisk[i]), 0);
    }
    for (unsigned i = 0; i < RELAY_APPS; i++) {
        free(relay->seen[i]);
    }
}

void relay_show(struct relay *relay)
{
    for (unsigned i = 0; i < relay->bridges; i++) {
        if (relay->bridge[i].daemon != NULL) {
            fprintf(stderr, "bridge %u:\n", i);
            process_dump(relay->bridge[i].daemon->process);
        }
    }
}

static unsigned count_connected(const struct relay *relay)
{
    unsigned connected = 0;
    for (unsigned i = 0; i < relay->bridges; i++) {
        connected += relay->bridge[i].connected;
    }
    return connected;
}

void relay_listen(struct relay *relay, unsigned connected)
{
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        fake_do(relay->asterisk[i], "listen");
    }
    RELAY_UNTIL(relay, count_connected(relay) == connected);
}

/* --- bridges */

static void write_node(FILE *file, const struct relay *relay, unsigned i,
                       const struct relay_options *options)
{
    static const char *const of_node[RELAY_NODES] = {"ivr, queue", "vip"};
    static const char *const all_of_node[RELAY_NODES] = {"ivr", "vip"};
    const struct fake *peer = options->uses_proxy[i] ? relay->proxy[i] : relay->asterisk[i];
    fprintf(file,
            "  - {name: pbx%u, url: \"ws://127.0.0.1:%u/ari\", username: lab, password: %s, "
            "apps: [%s], subscribe_all: true, subscribe_all_app: %s, backoff_min_ms: 10, "
            "backoff_max_ms: 50, liveness_ms: 60000, replaced_retry_ms: 200, rest: %s}\n",
            i + 1, peer->port, options->password[i] != NULL ? options->password[i] : "secret",
            options->lacks_queue && i == 0 ? "ivr" : of_node[i], all_of_node[i],
            i == 0 ? "websocket" : "http");
}

static struct daemon *start_daemon(const struct relay *relay, const char *from,
                                   const struct relay_options *options)
{
    char *config = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&config, &size);
    cr_assert_not_null(file);
    const char *directory = options->directory != NULL ? options->directory : "DIR";
    fputs("nodes:\n", file);
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        if (!options->lacks_node[i]) {
            write_node(file, relay, i, options);
        }
    }
    fprintf(file,
            "publish:\n  - {view: events, endpoint: \"ipc://%s/events\", sndhwm: 10000000}\n"
            "gateway: {%s endpoint: \"ipc://%s/gateway\"}\nheartbeat_ms: 50\n%s",
            directory, options->gateway != NULL ? options->gateway : "", directory,
            options->extra != NULL ? options->extra : "");
    fclose(file);
    const char *arguments[] = {"--takeover", from, "--takeover-wait",
                               options->wait != NULL ? options->wait : "500", NULL};
    struct daemon *daemon = daemon_start(
        &(struct daemon_options){.config = config, .arguments = from != NULL ? arguments : NULL});
    free(config);
    cr_assert_not_null(daemon);
    return daemon;
}

struct relay_bridge *relay_start(struct relay *relay, const char *from,
                                 const struct relay_options *options)
{
    static const struct relay_options usual = {0};
    cr_assert_lt(relay->bridges, (unsigned)RELAY_BRIDGES_MAX);
    struct relay_bridge *bridge = &relay->bridge[relay->bridges++];
    bridge->daemon = start_daemon(relay, from, options != NULL ? options : &usual);
    bridge->tracker = counter_tracker_create(0);
    bridge->subscriber = subscriber_create(bridge->daemon->events_endpoint, "");
    cr_assert_not_null(bridge->subscriber);
    RELAY_UNTIL(relay, bridge->epoch != 0);
    return bridge;
}

int relay_start_in_vain(struct relay *relay, const char *from, const struct relay_options *options,
                        char log[512])
{
    static const struct relay_options usual = {0};
    struct daemon *daemon = start_daemon(relay, from, options != NULL ? options : &usual);
    int status = process_wait(daemon->process, RELAY_TIMEOUT_MS);
    const char *line = daemon_await_log(daemon, "start_failed", NULL, 0);
    snprintf(log, 512, "%s", line != NULL ? line : "");
    daemon_stop(&daemon, RELAY_TIMEOUT_MS);
    return status;
}

/* --- events */

void relay_flood(struct relay *relay, unsigned events)
{
    fake_do(relay->asterisk[0], "flood %d %u ivr queue late=14", RELAY_NUMBERS_MAX, events);
    fake_do(relay->asterisk[1], "flood %d %u vip late=14", RELAY_NUMBERS_MAX, events);
}

uint64_t relay_end_flood(struct relay *relay, uint64_t *dropped)
{
    uint64_t sent = 0;
    uint64_t lost = 0;
    for (unsigned i = 0; i < RELAY_NODES; i++) {
        fake_do(relay->asterisk[i], "flood-stop");
        const char *event = fake_await_event(relay->asterisk[i], "flood stopped", RELAY_TIMEOUT_MS);
        sent += (uint64_t)fake_number(event, "sent");
        lost += (uint64_t)fake_number(event, "dropped");
    }
    if (dropped != NULL) {
        *dropped = lost;
    }
    return sent;
}

/* Each ends with ,"application":"APP","serial":N}. False for any other event. */
static bool take_number(struct relay *relay, const struct subscriber_message *message)
{
    const char *at = message->event + message->event_length;
    while (at > message->event && *at != ',') {
        at--;
    }
    uint64_t n = 0;
    if (sscanf(at, ",\"serial\":%" SCNu64 "}", &n) != 1) {
        return false;
    }
    for (unsigned i = 0; i < RELAY_APPS; i++) {
        size_t length = strlen(apps[i]);
        if (strncmp(at - 1 - length, apps[i], length) == 0 && at[-2 - (ptrdiff_t)length] == '"') {
            cr_assert(n >= 1 && n <= RELAY_NUMBERS_MAX);
            relay->doubled += relay->seen[i][n] > 0;
            relay->numbers += relay->seen[i][n]++ == 0;
            return true;
        }
    }
    cr_assert_fail("an event of no application here: %s", message->event);
    return false;
}

static void take_own(struct relay_bridge *bridge, const struct subscriber_message *message)
{
    json_t *event = json_loadb(message->event, message->event_length, 0, NULL);
    const char *type = json_string_value(json_object_get(event, "type"));
    cr_assert_not_null(type, "%s", message->event);
    bool is_handover = json_is_true(json_object_get(event, "handover"));
    if (strcmp(type, "ArizmqNodeConnected") == 0) {
        bridge->handed_over += is_handover;
        bridge->connected += !is_handover;
    } else if (strcmp(type, "ArizmqNodeDisconnected") == 0) {
        bridge->disconnected++;
        snprintf(bridge->reason, sizeof bridge->reason, "%s",
                 json_string_value(json_object_get(event, "reason")));
    } else if (strcmp(type, "ArizmqGap") == 0) {
        bridge->gaps++;
        json_decref(bridge->gap);
        bridge->gap = json_incref(event);
    } else if (strcmp(type, "ArizmqStopping") == 0) {
        bridge->stopping = json_incref(event);
    }
    json_decref(event);
}

static void take(struct relay *relay, struct relay_bridge *bridge,
                 const struct subscriber_message *message)
{
    cr_assert(counter_tracker_add(bridge->tracker, message), "%s",
              counter_tracker_first_jump(bridge->tracker));
    cr_assert(bridge->epoch == 0 || bridge->epoch == message->stamp.epoch);
    bridge->epoch = message->stamp.epoch;
    if (subscriber_message_is_heartbeat(message)) {
        return;
    }
    cr_assert_null(bridge->stopping, "after ArizmqStopping: %s", message->event);
    bridge->last_seq = message->stamp.seq;
    if (take_number(relay, message)) {
        bridge->numbers++;
    } else {
        take_own(bridge, message);
    }
}

void relay_turn(struct relay *relay)
{
    bool is_idle = true;
    for (unsigned i = 0; i < relay->bridges; i++) {
        struct relay_bridge *bridge = &relay->bridge[i];
        struct subscriber_message message;
        for (int k = 0; k < 10000 && bridge->subscriber != NULL &&
                        subscriber_receive(bridge->subscriber, 0, &message) == ARIZMQ_OK;
             k++) {
            take(relay, bridge, &message);
            subscriber_message_clear(&message);
            is_idle = false;
        }
    }
    if (is_idle) {
        usleep(1000);
    }
}

int relay_await_end(struct relay *relay, struct relay_bridge *bridge)
{
    int status = ARIZMQ_ENOTFOUND;
    RELAY_UNTIL(relay, (status = process_wait(bridge->daemon->process, 0)) != ARIZMQ_ENOTFOUND);
    bridge->status = status;
    if (status < 128) {
        RELAY_UNTIL(relay, bridge->stopping != NULL);
    }
    return status;
}
