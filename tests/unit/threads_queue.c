/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The queue between two threads: many records of random lengths through a small ring, so that it
 * is now full and now empty. Order and content are checked. A plain program, because Criterion
 * cannot run under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/queue.h"

enum {
    CAPACITY = 8192,
    RECORDS = 300000,
    LENGTH_MAX = 700,
};

struct head {
    uint64_t number;
    uint64_t seed;
};

static struct queue *queue;

/* xorshift64: both threads can make the same numbers. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t make_body(uint64_t seed, char *bytes)
{
    size_t length = (size_t)(next_random(&seed) % LENGTH_MAX);
    for (size_t i = 0; i < length; i += sizeof seed) {
        uint64_t word = next_random(&seed);
        memcpy(bytes + i, &word, sizeof word);
    }
    return length;
}

static void *write_records(void *result)
{
    uint64_t *times_full = result;
    uint64_t state = 88172645463325252U;
    static char bytes[LENGTH_MAX + sizeof(uint64_t)];
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct head head = {i, next_random(&state)};
        struct queue_part parts[] = {{&head, sizeof head}, {bytes, make_body(head.seed, bytes)}};
        size_t reserve = i % 5 == 0 ? CAPACITY / 4 : 0;
        while (queue_push(queue, parts, 2, reserve) != ARIZMQ_OK) {
            ++*times_full;
            sched_yield();
        }
        if (queue_used(queue) > CAPACITY) {
            fprintf(stderr, "%zu bytes in use of %d\n", queue_used(queue), CAPACITY);
            exit(EXIT_FAILURE);
        }
    }
    return NULL;
}

static void check_record(uint64_t number, const char *record, size_t length)
{
    static char bytes[LENGTH_MAX + sizeof(uint64_t)];
    struct head head;
    memcpy(&head, record, sizeof head);
    size_t wanted = make_body(head.seed, bytes);
    if (head.number != number || length != sizeof head + wanted ||
        memcmp(record + sizeof head, bytes, wanted) != 0) {
        fprintf(stderr, "record %llu is not what was pushed\n", (unsigned long long)number);
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    uint64_t times_full = 0;
    uint64_t times_empty = 0;
    pthread_t writer;
    if (queue_create(CAPACITY, &queue) != ARIZMQ_OK ||
        pthread_create(&writer, NULL, write_records, &times_full) != 0) {
        fprintf(stderr, "no queue or no thread\n");
        return EXIT_FAILURE;
    }
    for (uint64_t i = 0; i < RECORDS;) {
        size_t length = 0;
        const char *record = queue_front(queue, &length);
        if (record == NULL) {
            times_empty++;
            sched_yield();
            continue;
        }
        check_record(i++, record, length);
        queue_pop(queue);
    }
    pthread_join(writer, NULL);
    size_t length = 0;
    if (queue_front(queue, &length) != NULL || queue_used(queue) != 0) {
        fprintf(stderr, "something is left\n");
        return EXIT_FAILURE;
    }
    queue_destroy(&queue);
    printf("%d records; the queue was full %llu times, empty %llu times\n", RECORDS,
           (unsigned long long)times_full, (unsigned long long)times_empty);
    return EXIT_SUCCESS;
}
