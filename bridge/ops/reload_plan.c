/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Two configurations in, a list of actions out, by the table in reload_keys.c. Nodes are the same
 * where they stand in the same slot, applications where they have the same name, views where they
 * have the same endpoint. reload.c has it made in a thread of its own and carries it out;
 * reload_print.c puts it into words.
 */
#include "ops/reload_plan.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "ops/config_compare.h"
#include "ops/reload_keys.h"

/* What is compared at the moment. */
struct comparison {
    struct reload_plan *plan;
    unsigned index; /* of the node or view */
    const struct config_node *before;
    const struct config_node *after;
    const struct config_publish *view_before;
    const struct config_publish *view_after;
    bool subscribe_differs;
};

static void add(struct reload_plan *plan, struct reload_action action)
{
    if (plan->actions_count == plan->actions_room) {
        unsigned room = plan->actions_room == 0 ? 64 : plan->actions_room * 2;
        struct reload_action *actions = realloc(plan->actions, room * sizeof *actions);
        if (actions == NULL) {
            plan->is_incomplete = true;
            return;
        }
        plan->actions = actions;
        plan->actions_room = room;
    }
    plan->actions[plan->actions_count++] = action;
}

static void take_back(struct reload_plan *plan, const struct config_value *value)
{
    if (config_value_take_back(value) != ARIZMQ_OK) {
        plan->is_incomplete = true;
    }
}

/* --- nodes */

static bool is_same_server(const struct config_node *one, const struct config_node *other)
{
    return one->use_tls == other->use_tls && one->port == other->port &&
           strcmp(one->host, other->host) == 0 && strcmp(one->path, other->path) == 0;
}

static void hand_over(struct comparison *comparison, const char *key)
{
    comparison->plan->slots[comparison->index] |= RELOAD_IS_HANDED_OVER;
    add(comparison->plan, (struct reload_action){.what = RELOAD_NODE_HAND_OVER,
                                                 .index = comparison->index,
                                                 .key = key});
}

static void on_node_value(void *owner, const struct config_value *value)
{
    struct comparison *comparison = owner;
    const struct reload_key *key = reload_key_find(value->path);
    switch (key->effect) {
    case RELOAD_HAND_OVER:
        if (strcmp(key->path, "nodes[].url") != 0 ||
            !is_same_server(comparison->before, comparison->after)) {
            hand_over(comparison, key->path);
            return;
        }
        break; /* another way to write the same */
    case RELOAD_SUBSCRIBE:
        comparison->subscribe_differs = true;
        return;
    default:
        break;
    }
    add(comparison->plan, (struct reload_action){.what = RELOAD_NODE_APPLY,
                                                 .index = comparison->index,
                                                 .key = key->path});
}

/* A file of the same name with other content. */
static void compare_files(struct comparison *comparison)
{
    const struct config_tls *before = &comparison->before->tls;
    const struct config_tls *after = &comparison->after->tls;
    const struct {
        const char *key;
        const char *name_before;
        const char *name_after;
        const struct config_digest *before;
        const struct config_digest *after;
    } files[] = {
        {"nodes[].tls.ca_file", before->ca_file, after->ca_file, &before->ca_digest,
         &after->ca_digest},
        {"nodes[].tls.cert_file", before->cert_file, after->cert_file, &before->cert_digest,
         &after->cert_digest},
        {"nodes[].tls.key_file", before->key_file, after->key_file, &before->key_digest,
         &after->key_digest},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i].name_before != NULL && files[i].name_after != NULL &&
            strcmp(files[i].name_before, files[i].name_after) == 0 &&
            memcmp(files[i].before, files[i].after, sizeof *files[i].before) != 0) {
            hand_over(comparison, reload_key_find(files[i].key)->path);
        }
    }
}

static bool has_app(const struct config_node *node, const char *app)
{
    for (unsigned i = 0; i < node->apps_count; i++) {
        if (strcmp(node->apps[i], app) == 0) {
            return true;
        }
    }
    return false;
}

bool reload_hears_all(const struct config_node *node, const char *app)
{
    return node->subscribe_all && strcmp(node->subscribe_all_app, app) == 0;
}

static void compare_apps(struct comparison *comparison)
{
    const struct config_node *before = comparison->before;
    const struct config_node *after = comparison->after;
    bool is_acted_on = false;
    for (unsigned i = 0; i < before->apps_count; i++) {
        if (!has_app(after, before->apps[i])) {
            add(comparison->plan, (struct reload_action){.what = RELOAD_APP_REMOVE,
                                                         .index = comparison->index,
                                                         .app = i});
        }
    }
    for (unsigned i = 0; i < after->apps_count; i++) {
        struct reload_action action = {
            .what = RELOAD_APP_ADD, .index = comparison->index, .app = i};
        if (has_app(before, after->apps[i])) {
            bool did = reload_hears_all(before, after->apps[i]);
            bool does = reload_hears_all(after, after->apps[i]);
            if (did == does) {
                continue;
            }
            action.what = does ? RELOAD_APP_HEAR_ALL : RELOAD_APP_HEAR_LESS;
            action.key = reload_key_find("nodes[].subscribe_all")->path;
            is_acted_on = true;
        }
        add(comparison->plan, action);
    }
    if (comparison->subscribe_differs && !is_acted_on) {
        add(comparison->plan,
            (struct reload_action){.what = RELOAD_NODE_APPLY,
                                   .index = comparison->index,
                                   .key = reload_key_find("nodes[].subscribe_all")->path});
    }
}

static void compare_node(struct reload_plan *plan, unsigned index, struct config *after)
{
    bool was_there = config_has_node(plan->before, index);
    bool is_there = config_has_node(after, index);
    if (was_there != is_there) {
        plan->slots[index] |= is_there ? RELOAD_IS_ADDED : RELOAD_IS_REMOVED;
        add(plan, (struct reload_action){.what = is_there ? RELOAD_NODE_ADD : RELOAD_NODE_REMOVE,
                                         .index = index});
    } else if (is_there) {
        struct comparison comparison = {.plan = plan,
                                        .index = index,
                                        .before = &plan->before->nodes[index],
                                        .after = &after->nodes[index]};
        config_compare("nodes[]", comparison.before, &after->nodes[index], on_node_value,
                       &comparison);
        compare_files(&comparison);
        compare_apps(&comparison);
    }
}

/* --- views */

static const char *topic_of(const struct config_publish *view)
{
    return view->topic != NULL ? view->topic : config_view_topic(view->view);
}

static void on_view_value(void *owner, const struct config_value *value)
{
    struct comparison *comparison = owner;
    const struct reload_key *key = reload_key_find(value->path);
    bool needs_restart = key->effect == RELOAD_RESTART;
    if (strcmp(key->path, "publish[].topic") == 0 &&
        strcmp(topic_of(comparison->view_before), topic_of(comparison->view_after)) == 0) {
        return; /* the view's own, written out or not */
    }
    add(comparison->plan,
        (struct reload_action){.what = needs_restart ? RELOAD_VIEW_RESTART : RELOAD_VIEW_APPLY,
                               .index = comparison->index,
                               .key = key->path});
    if (needs_restart) {
        take_back(comparison->plan, value);
    }
}

/* Endpoints that take any free port may be there several times: those are told apart by what they
 * publish, too. Returns the index in `before`, or -1. */
static int find_view(const struct reload_plan *plan, const struct config_publish *wanted,
                     const bool *is_used)
{
    int found = -1;
    for (unsigned i = 0; i < plan->before->publish_count; i++) {
        const struct config_publish *view = &plan->before->publish[i];
        if (is_used[i] || strcmp(view->endpoint, wanted->endpoint) != 0) {
            continue;
        }
        if (view->view == wanted->view && strcmp(topic_of(view), topic_of(wanted)) == 0) {
            return (int)i;
        }
        found = found < 0 ? (int)i : found;
    }
    return found;
}

static void compare_views(struct reload_plan *plan, struct config *after)
{
    bool is_used[CONFIG_PUBLISH_MAX] = {false};
    for (unsigned i = 0; i < after->publish_count; i++) {
        int from = find_view(plan, &after->publish[i], is_used);
        plan->view_from[i] = from;
        if (from < 0) {
            add(plan, (struct reload_action){.what = RELOAD_VIEW_ADD, .index = i});
            continue;
        }
        is_used[from] = true;
        struct comparison comparison = {.plan = plan,
                                        .index = i,
                                        .view_before = &plan->before->publish[from],
                                        .view_after = &after->publish[i]};
        config_compare("publish[]", comparison.view_before, &after->publish[i], on_view_value,
                       &comparison);
    }
    for (unsigned i = 0; i < plan->before->publish_count; i++) {
        if (!is_used[i]) {
            add(plan, (struct reload_action){.what = RELOAD_VIEW_REMOVE, .index = i});
        }
    }
}

/* --- the rest */

static void on_value(void *owner, const struct config_value *value)
{
    struct comparison *comparison = owner;
    const struct reload_key *key = reload_key_find(value->path);
    bool needs_restart = key->effect == RELOAD_RESTART;
    add(comparison->plan,
        (struct reload_action){.what = needs_restart ? RELOAD_RESTART_FOR : RELOAD_APPLY,
                               .key = key->path});
    if (needs_restart) {
        take_back(comparison->plan, value);
    }
}

int reload_plan_create(const struct config *before, struct config *after, struct reload_plan **out)
{
    struct reload_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL) {
        return ARIZMQ_ENOMEM;
    }
    plan->before = before;
    plan->after = after;
    plan->slots_count =
        before->nodes_count > after->nodes_count ? before->nodes_count : after->nodes_count;
    plan->slots = calloc(plan->slots_count + 1UL, sizeof *plan->slots);
    if (plan->slots == NULL) {
        reload_plan_destroy(&plan);
        return ARIZMQ_ENOMEM;
    }
    for (unsigned i = 0; i < plan->slots_count; i++) {
        compare_node(plan, i, after);
    }
    compare_views(plan, after);
    struct comparison comparison = {.plan = plan};
    config_compare("", before, after, on_value, &comparison);
    if (plan->is_incomplete) {
        reload_plan_destroy(&plan);
        return ARIZMQ_ENOMEM;
    }
    *out = plan;
    return ARIZMQ_OK;
}

void reload_plan_destroy(struct reload_plan **self)
{
    if (*self != NULL) {
        free((*self)->actions);
        free((*self)->slots);
        free(*self);
        *self = NULL;
    }
}

bool reload_plan_is_empty(const struct reload_plan *self)
{
    for (unsigned i = 0; i < self->actions_count; i++) {
        enum reload_do what = self->actions[i].what;
        if (what != RELOAD_RESTART_FOR && what != RELOAD_VIEW_RESTART) {
            return false;
        }
    }
    return true;
}

bool reload_app_is_removed(const struct reload_plan *self, unsigned slot, const char *app)
{
    return !config_has_node(self->after, slot) || !has_app(&self->after->nodes[slot], app);
}
