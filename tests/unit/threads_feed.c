/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The feed between two threads: the command thread sleeps on the eventfd, as it does in the daemon,
 * and must be woken for each answer and each thing handed over; nothing may be lost, doubled or out
 * of order, though the room is small. A plain program, because Criterion cannot run under
 * ThreadSanitizer.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/feed.h"
#include "ops/metrics.h"

enum { ANSWERS = 100000, WAKE_WITHIN_MS = 20000 };

static struct feed *feed;
static _Atomic uint64_t answers;
static uint64_t objects;
static uint64_t last_object;

static void *tell(void *unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= ANSWERS; i++) {
        char id[32];
        int length = snprintf(id, sizeof id, "%020llu", (unsigned long long)i);
        struct event event = {.received_ns = i, .object_count = 1};
        event.objects[0] = (struct event_object){
            .kind = object_kind_names[OBJECT_CHANNEL], .part = {{id, (size_t)length}}, .parts = 1};
        feed_event(feed, 0, &event);
        char *text = malloc(sizeof id);
        if (text == NULL) {
            abort();
        }
        memcpy(text, id, sizeof id);
        if (i % 2 == 0) {
            feed_answer(feed, i, text, (size_t)length, true);
        } else {
            feed_hand(feed, FEED_SNAPSHOT, i, text, free);
        }
        if (i % 64 == 0) {
            sched_yield(); /* lets the other side fall asleep now and then */
        }
    }
    while (answers < ANSWERS) { /* what was held back */
        feed_flush(feed);
        sched_yield();
    }
    return NULL;
}

static void fail(const char *what, uint64_t number)
{
    fprintf(stderr, "%s at %llu\n", what, (unsigned long long)number);
    exit(EXIT_FAILURE);
}

static void on_object(void *owner, unsigned node, enum object_kind kind, const char *id,
                      size_t length, bool has_ended)
{
    char text[32] = "";
    memcpy(text, id, length < sizeof text ? length : 0);
    uint64_t number = strtoull(text, NULL, 10);
    if (owner != NULL || node != 0 || kind != OBJECT_CHANNEL || has_ended ||
        number <= last_object) {
        fail("another object", number);
    }
    last_object = number;
    objects++;
}

static void on_link(void *owner, unsigned node, unsigned application, enum feed_link state,
                    const char *detail)
{
    (void)owner;
    (void)node;
    (void)application;
    (void)detail;
    fail("a link that was not told", (uint64_t)state);
}

static void on_thing(void *owner, enum feed_thing what, uint64_t number, void *thing)
{
    (void)owner;
    if (number != ++answers || number % 2 == 0 || what != FEED_SNAPSHOT ||
        strtoull(thing, NULL, 10) != number) {
        fail("another thing", number);
    }
    free(thing);
}

static void on_answer(void *owner, uint64_t number, char *text, size_t length, bool was_sent)
{
    (void)owner;
    if (number != ++answers || length != 20 || strtoull(text, NULL, 10) != number || !was_sent) {
        fail("another answer", number);
    }
    free(text);
}

int main(void)
{
    static const struct feed_handler handler = {on_object, on_link, on_answer, on_thing};
    struct config_node node = {.name = "pbx1"};
    struct config config = {.nodes = &node, .nodes_count = 1, .gateway = {.feed_bytes = 4096}};
    pthread_t teller;
    if (feed_create(&config, &feed) != ARIZMQ_OK ||
        pthread_create(&teller, NULL, tell, NULL) != 0) {
        fail("no feed or no thread", 0);
    }
    uint64_t wakes = 0;
    while (answers < ANSWERS) {
        struct pollfd ready = {.fd = feed_fd(feed), .events = POLLIN};
        if (poll(&ready, 1, WAKE_WITHIN_MS) != 1) {
            fail("not woken", answers);
        }
        wakes++;
        feed_take(feed, &handler, NULL);
    }
    pthread_join(teller, NULL);
    if (feed_events(feed, 0) != ANSWERS || objects + metrics_get(METRIC_FEED_DROPPED) != ANSWERS) {
        fail("objects neither told nor counted", objects);
    }
    feed_destroy(&feed);
    printf("%d answers, %llu objects, %llu wakes\n", ANSWERS, (unsigned long long)objects,
           (unsigned long long)wakes);
    return EXIT_SUCCESS;
}
