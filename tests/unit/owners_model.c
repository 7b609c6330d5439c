/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The model of the owners. It shares nothing with them but the shape of an answer.
 */
#include "owners_model.h"

#include <string.h>

void model_init(struct model *model, uint32_t max)
{
    memset(model, 0, sizeof *model);
    model->max = max;
}

static bool is_current(const struct model_owner *owner)
{
    return owner->is_live || owner->claims > 0 || !owner->has_ended;
}

static bool any_current(const struct model_object *object)
{
    for (unsigned i = 0; i < object->count; i++) {
        if (is_current(&object->owner[i])) {
            return true;
        }
    }
    return false;
}

static void drop_owner(struct model_object *object, unsigned at)
{
    for (unsigned i = at; i + 1 < object->count; i++) {
        object->owner[i] = object->owner[i + 1];
    }
    object->count--;
}

static void drop_ended(struct model_object *object)
{
    for (unsigned i = object->count; i-- > 0;) {
        if (!is_current(&object->owner[i])) {
            drop_owner(object, i);
        }
    }
}

static struct model_owner *find_owner(struct model_object *object, unsigned node)
{
    for (unsigned i = 0; i < object->count; i++) {
        if (object->owner[i].node == node) {
            return &object->owner[i];
        }
    }
    return NULL;
}

/* An ended one before a current one, among equals the one seen longest ago. */
static void make_room(struct model *model)
{
    struct model_object *victim = NULL;
    for (unsigned i = 0; i < MODEL_KINDS * MODEL_IDS; i++) {
        struct model_object *object = &model->object[i / MODEL_IDS][i % MODEL_IDS];
        if (object->seen == 0) {
            continue;
        }
        if (victim == NULL || any_current(object) < any_current(victim) ||
            (any_current(object) == any_current(victim) && object->seen < victim->seen)) {
            victim = object;
        }
    }
    model->evicted += any_current(victim);
    memset(victim, 0, sizeof *victim);
    model->count--;
}

static struct model_owner *get_owner(struct model *model, unsigned node, unsigned kind, unsigned id)
{
    struct model_object *object = &model->object[kind][id];
    if (model->is_away[node]) {
        return NULL;
    }
    if (object->seen == 0) {
        if (model->count >= model->max) {
            make_room(model);
        }
        model->count++;
    }
    struct model_owner *owner = find_owner(object, node);
    if (owner == NULL && object->count == OWNERS_OF_ONE_MAX) {
        drop_ended(object);
    }
    if (owner == NULL && object->count == OWNERS_OF_ONE_MAX) {
        return NULL;
    }
    if (owner == NULL) {
        owner = &object->owner[object->count++];
        *owner = (struct model_owner){.node = node};
    }
    object->seen = ++model->now;
    return owner;
}

void model_find(const struct model *model, unsigned kind, unsigned id, struct owners_found *out)
{
    const struct model_object *object = &model->object[kind][id];
    bool current = any_current(object);
    out->count = 0;
    out->has_ended = object->seen > 0 && !current;
    for (unsigned i = 0; i < object->count; i++) {
        if (is_current(&object->owner[i]) == current) {
            out->node[out->count++] = object->owner[i].node;
        }
    }
}

unsigned model_calls(const struct model *model, unsigned node)
{
    unsigned calls = 0;
    for (unsigned id = 0; id < MODEL_IDS; id++) {
        const struct model_object *object = &model->object[OBJECT_CHANNEL][id];
        for (unsigned i = 0; i < object->count; i++) {
            calls += object->owner[i].node == node && object->owner[i].is_live;
        }
    }
    return calls;
}

void model_learn(struct model *model, unsigned node, unsigned kind, unsigned id)
{
    struct model_owner *owner = get_owner(model, node, kind, id);
    if (owner == NULL) {
        return;
    }
    bool is_new = !owner->is_live;
    owner->began = is_new ? model->now : owner->began;
    owner->is_live = true;
    owner->has_ended = false;
    owner->was_counted = true;
    if (is_new) {
        drop_ended(&model->object[kind][id]);
    }
}

static void end_owner(struct model_owner *owner)
{
    owner->is_live = false;
    owner->has_ended = true;
}

void model_end(struct model *model, unsigned node, unsigned kind, unsigned id)
{
    struct model_owner *owner = get_owner(model, node, kind, id);
    if (owner != NULL) {
        end_owner(owner);
    }
}

void model_claim(struct model *model, unsigned node, unsigned kind, unsigned id)
{
    struct model_owner *owner = get_owner(model, node, kind, id);
    if (owner != NULL) {
        owner->claims++;
    }
}

void model_release(struct model *model, unsigned node, unsigned kind, unsigned id, bool failed)
{
    struct model_object *object = &model->object[kind][id];
    struct model_owner *owner = find_owner(object, node);
    if (owner == NULL || owner->claims == 0) {
        return;
    }
    owner->claims--;
    object->seen = ++model->now;
    if (failed && owner->claims == 0 && !owner->is_live && !owner->has_ended) {
        drop_owner(object, (unsigned)(owner - object->owner));
    }
    if (object->count == 0) {
        memset(object, 0, sizeof *object);
        model->count--;
    }
}

/* The one seen last among those that `node` alone keeps from having ended; NULL: none. */
static struct model_object *next_to_end(struct model *model, unsigned node)
{
    struct model_object *found = NULL;
    for (unsigned i = 0; i < MODEL_KINDS * MODEL_IDS; i++) {
        struct model_object *object = &model->object[i / MODEL_IDS][i % MODEL_IDS];
        struct model_owner *owner = find_owner(object, node);
        if (owner == NULL || object->count == 1 || !any_current(object)) {
            continue;
        }
        struct model_object without = *object;
        drop_owner(&without, (unsigned)(owner - object->owner));
        if (!any_current(&without) && (found == NULL || object->seen > found->seen)) {
            found = object;
        }
    }
    return found;
}

void model_forget(struct model *model, unsigned node)
{
    struct model_object *object = NULL;
    while ((object = next_to_end(model, node)) != NULL) {
        drop_owner(object, (unsigned)(find_owner(object, node) - object->owner));
        object->seen = ++model->now;
    }
    for (unsigned i = 0; i < MODEL_KINDS * MODEL_IDS; i++) {
        object = &model->object[i / MODEL_IDS][i % MODEL_IDS];
        struct model_owner *owner = find_owner(object, node);
        if (owner != NULL) {
            drop_owner(object, (unsigned)(owner - object->owner));
        }
        if (object->seen > 0 && object->count == 0) {
            memset(object, 0, sizeof *object);
            model->count--;
        }
    }
    memset(model->in_census[node], 0, sizeof model->in_census[node]);
    model->is_away[node] = true;
}

void model_admit(struct model *model, unsigned node)
{
    model->is_away[node] = false;
}

void model_begin_census(struct model *model, unsigned node, unsigned kind)
{
    model->in_census[node][kind] = true;
    for (unsigned id = 0; id < MODEL_IDS; id++) {
        struct model_owner *owner = find_owner(&model->object[kind][id], node);
        if (owner != NULL) {
            owner->was_counted = false;
        }
    }
}

/* Of those that end, the one that has lived longest. */
static struct model_object *next_missing(struct model *model, unsigned node, unsigned kind)
{
    struct model_object *found = NULL;
    uint64_t began = UINT64_MAX;
    for (unsigned id = 0; id < MODEL_IDS; id++) {
        struct model_object *object = &model->object[kind][id];
        const struct model_owner *owner = find_owner(object, node);
        if (owner != NULL && owner->is_live && !owner->was_counted && owner->began < began) {
            began = owner->began;
            found = object;
        }
    }
    return found;
}

void model_end_census(struct model *model, unsigned node, unsigned kind)
{
    if (!model->in_census[node][kind]) {
        return;
    }
    model->in_census[node][kind] = false;
    struct model_object *object = NULL;
    while ((object = next_missing(model, node, kind)) != NULL) {
        end_owner(find_owner(object, node));
        object->seen = ++model->now;
    }
}
