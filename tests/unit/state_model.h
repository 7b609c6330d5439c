/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the state is to hold, as plainly as it can be written: every object that can be named has
 * its place in an array, and its value is a text. And events for it, by what they do.
 */
#ifndef ARIZMQ_TEST_STATE_MODEL_H
#define ARIZMQ_TEST_STATE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "event/objects.h"
#include "keep/snapshot.h"
#include "keep/state.h"

enum { MODEL_LINKS = 3, MODEL_IDS = 10, MODEL_VALUE_MAX = 1500 };

enum model_act {
    MODEL_BEGIN,
    MODEL_UPDATE,
    MODEL_END,
    MODEL_STASIS_END,
    MODEL_MENTION,
    MODEL_ACTS
};

struct model_entry {
    bool is_held;
    bool has_ended;
    uint64_t ended_ns;
    char value[MODEL_VALUE_MAX];
};

struct model_link {
    bool hears_all;
    struct model_entry entry[OBJECT_KINDS][MODEL_IDS];
};

struct model {
    struct model_link link[MODEL_LINKS];
};

/* One event of a link about one object. */
struct model_event {
    enum model_act act;
    enum object_kind kind;
    unsigned id;      /* below MODEL_IDS */
    unsigned version; /* another one gives another value, of another length */
    uint64_t received_ns;
};

/* Writes the object that the event tells of. */
void model_write_value(const struct model_event *event, char out[MODEL_VALUE_MAX]);

/* Writes the id. */
void model_write_id(enum object_kind kind, unsigned id, char out[32]);

/* Folds it into the model. */
void model_fold(struct model_link *self, const struct model_event *event);

/* Folds it into the state, as event `seq`. */
void model_send(struct state_link *link, const struct model_event *event, uint64_t seq);

/* Folds any text into the state. */
void model_send_text(struct state_link *link, const char *text, uint64_t seq, uint64_t received_ns);

/* A random event of any kind. */
struct model_event model_random(uint64_t *random, uint64_t received_ns);

/* Asserts that the link holds exactly what the model does. */
void model_assert_link(const struct model_link *self, const struct state_link *link);

/* Asserts that the snapshot, of `kinds`, shows the model, in which link i is snapshot->links[i]. */
void model_assert_snapshot(const struct model *self, const struct snapshot *snapshot,
                           unsigned kinds);

#endif
