/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the owners are to do, as plainly as it can be written: every object that can be named has
 * its place in an array, and whatever is looked for is looked for everywhere.
 */
#ifndef ARIZMQ_TEST_OWNERS_MODEL_H
#define ARIZMQ_TEST_OWNERS_MODEL_H

#include "gateway/owners.h"

enum { MODEL_NODES = 6, MODEL_KINDS = 4, MODEL_IDS = 8 };

struct model_owner {
    unsigned node;
    unsigned claims;
    bool is_live;
    bool has_ended;
    bool was_counted; /* in the census under way */
    uint64_t began;   /* to live */
};

struct model_object {
    uint64_t seen; /* 0: unknown */
    unsigned count;
    struct model_owner owner[OWNERS_OF_ONE_MAX];
};

struct model {
    uint32_t max;
    uint32_t count;
    uint64_t now;
    uint64_t evicted;
    bool in_census[MODEL_NODES][MODEL_KINDS];
    bool is_away[MODEL_NODES];
    struct model_object object[MODEL_KINDS][MODEL_IDS];
};

void model_init(struct model *model, uint32_t max);
void model_find(const struct model *model, unsigned kind, unsigned id, struct owners_found *out);
unsigned model_calls(const struct model *model, unsigned node);
void model_learn(struct model *model, unsigned node, unsigned kind, unsigned id);
void model_end(struct model *model, unsigned node, unsigned kind, unsigned id);
void model_claim(struct model *model, unsigned node, unsigned kind, unsigned id);
void model_release(struct model *model, unsigned node, unsigned kind, unsigned id, bool failed);
void model_forget(struct model *model, unsigned node);
void model_admit(struct model *model, unsigned node);
void model_begin_census(struct model *model, unsigned node, unsigned kind);
void model_end_census(struct model *model, unsigned node, unsigned kind);

#endif
