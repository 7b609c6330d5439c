/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A journal's database in a directory of its own, and batches of events whose every byte follows
 * from their seq (history_helpers.h), for the tests of the journal.
 */
#ifndef ARIZMQ_TESTS_JOURNAL_HELPERS_H
#define ARIZMQ_TESTS_JOURNAL_HELPERS_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "history_helpers.h"
#include "keep/journal_store.h"

static char journal_directory[64];
static char journal_path[128];

static inline void make_directory(void)
{
    strcpy(journal_directory, "/tmp/arizmq-unit-XXXXXX");
    if (mkdtemp(journal_directory) == NULL) {
        abort();
    }
    snprintf(journal_path, sizeof journal_path, "%s/journal.db", journal_directory);
}

static inline int remove_one(const char *path, const struct stat *status, int kind,
                             struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static inline void remove_directory(void)
{
    nftw(journal_directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct journal_view both_views[] = {
    {0, "events", "tcp://127.0.0.1:5555"},
    {1, "objects", "tcp://127.0.0.1:5556"},
};

static inline struct journal_run run_of(uint64_t epoch)
{
    return (struct journal_run){
        .epoch = epoch, .started_ns = epoch * 1000, .views_count = 2, .views = both_views};
}

/* Adds an event as history would have it. */
static inline void batch_add(struct journal_batch *batch, uint64_t seq, struct written what)
{
    zmq_msg_t payload;
    written_payload(seq, what.size, &payload);
    int result = journal_batch_add(batch, seq, written_ns(seq), &payload, JOURNAL_TRIMMED);
    for (unsigned i = 0; result == ARIZMQ_OK && i < what.messages; i++) {
        struct topic topic;
        uint64_t count[WRITTEN_COUNTS];
        written_topic(seq, i, &topic);
        for (unsigned k = 0; k < WRITTEN_COUNTS; k++) {
            count[k] = written_count(seq, i, k);
        }
        result = journal_batch_add_message(batch, i % 2, (struct span){topic.bytes, topic.length},
                                           count, WRITTEN_COUNTS);
    }
    if (result != ARIZMQ_OK) {
        abort();
    }
    zmq_msg_close(&payload);
}

/* Writes events first to last as one batch. */
static inline int store_events(struct journal_store *store, uint64_t epoch, uint64_t first,
                               uint64_t last, struct written what, struct journal_error *error)
{
    struct journal_batch *batch = NULL;
    if (journal_batch_create(UINT64_MAX, &batch) != ARIZMQ_OK) {
        abort();
    }
    journal_batch_clear(batch, first - 1);
    for (uint64_t seq = first; seq <= last; seq++) {
        batch_add(batch, seq, what);
    }
    struct journal_run run = run_of(epoch);
    int result = journal_store_write(store, &run, batch, error);
    journal_batch_destroy(&batch);
    return result;
}

/* What is wrong with a packed message, NULL if it is as it was written. */
static inline const char *wrong_packed(const struct journal_message *message, uint64_t seq,
                                       unsigned i)
{
    struct topic topic;
    written_topic(seq, i, &topic);
    if (message->view != i % 2 || message->counts != WRITTEN_COUNTS) {
        return "another view or number of counts";
    }
    if (message->topic.length != topic.length ||
        memcmp(message->topic.bytes, topic.bytes, topic.length) != 0) {
        return "another topic";
    }
    for (unsigned k = 0; k < message->counts; k++) {
        if (message->count[k] != written_count(seq, i, k)) {
            return "another count";
        }
    }
    return NULL;
}

/* What is wrong with an event read back, NULL if it is as it was written. */
static inline const char *wrong_row(const struct journal_row *row, struct written what)
{
    struct span text = journal_row_text(row);
    if (text.bytes == NULL || text.length != what.size ||
        row->received_ns != written_ns(row->seq)) {
        return "another size, or another time";
    }
    for (size_t at = 0; at < what.size; at++) {
        if ((unsigned char)text.bytes[at] != written_byte(row->seq, at)) {
            return "other bytes";
        }
    }
    struct span rest = row->messages;
    for (unsigned i = 0; i < what.messages; i++) {
        struct journal_message message;
        if (journal_pack_take(&rest, &message) != ARIZMQ_OK) {
            return "too few messages";
        }
        const char *wrong = wrong_packed(&message, row->seq, i);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return rest.length > 0 ? "too many messages" : NULL;
}

/* Checks a range of events that is read. */
struct row_check {
    struct written what;
    uint64_t next; /* the seq that must come */
    uint64_t count;
    uint64_t most; /* then it is enough; 0: never */
    const char *wrong;
};

static inline int check_row(void *owner, const struct journal_row *row)
{
    struct row_check *check = owner;
    check->wrong = row->seq != check->next ? "another seq" : wrong_row(row, check->what);
    check->next = row->seq + 1;
    check->count++;
    return check->wrong != NULL || check->count == check->most ? ARIZMQ_ECLOSED : ARIZMQ_OK;
}

#endif
