/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A plan in words, for the log: what the operator has changed, by the names that he knows it by.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ops/reload_plan.h"

/* A line that grows; `rest` counts what found no room. */
struct line {
    char *out;
    size_t size;
    size_t used;
    unsigned rest;
};

enum { ROOM_FOR_REST = 24 }; /* "; and 4294967295 more" */

/* Appends a piece as a whole, with `separator` before it unless it is the first. */
__attribute__((format(printf, 3, 4))) static void say(struct line *line, const char *separator,
                                                      const char *format, ...)
{
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    const char *before = line->used > 0 ? separator : "";
    if (line->rest > 0 ||
        line->used + strlen(before) + strlen(piece) + ROOM_FOR_REST >= line->size) {
        line->rest++;
        return;
    }
    line->used +=
        (size_t)snprintf(line->out + line->used, line->size - line->used, "%s%s", before, piece);
}

static void end(struct line *line)
{
    if (line->rest > 0) {
        snprintf(line->out + line->used, line->size - line->used, "; and %u more", line->rest);
    }
}

/* "password" of "nodes[].password". */
static const char *key_within(const char *key)
{
    return strstr(key, "[].") + strlen("[].");
}

static const char *node_name(const struct reload_plan *plan, unsigned index)
{
    return config_has_node(plan->after, index) ? plan->after->nodes[index].name
                                               : plan->before->nodes[index].name;
}

static void say_node(struct line *line, const struct reload_plan *plan,
                     const struct reload_action *action)
{
    const char *name = node_name(plan, action->index);
    switch (action->what) {
    case RELOAD_NODE_ADD:
        say(line, "; ", "node %s added", name);
        break;
    case RELOAD_NODE_REMOVE:
        say(line, "; ", "node %s removed", name);
        break;
    case RELOAD_NODE_HAND_OVER:
        say(line, "; ", "node %s: %s (hand-over)", name, key_within(action->key));
        break;
    case RELOAD_NODE_APPLY:
        say(line, "; ", "node %s: %s", name, key_within(action->key));
        break;
    case RELOAD_APP_ADD:
        say(line, "; ", "%s/%s added", name, plan->after->nodes[action->index].apps[action->app]);
        break;
    case RELOAD_APP_REMOVE:
        say(line, "; ", "%s/%s removed", name,
            plan->before->nodes[action->index].apps[action->app]);
        break;
    case RELOAD_APP_HEAR_ALL:
        say(line, "; ", "%s/%s: subscribe_all (hand-over)", name,
            plan->after->nodes[action->index].apps[action->app]);
        break;
    default: /* RELOAD_APP_HEAR_LESS */
        say(line, "; ", "%s/%s: no subscribe_all (reconnect)", name,
            plan->after->nodes[action->index].apps[action->app]);
        break;
    }
}

static void say_view(struct line *line, const struct reload_plan *plan,
                     const struct reload_action *action)
{
    const struct config *config = action->what == RELOAD_VIEW_REMOVE ? plan->before : plan->after;
    const struct config_publish *view = &config->publish[action->index];
    if (action->what == RELOAD_VIEW_APPLY) {
        say(line, "; ", "publish[%s].%s", view->endpoint, key_within(action->key));
    } else {
        say(line, "; ", "view %s on %s %s", config_view_name(view->view), view->endpoint,
            action->what == RELOAD_VIEW_ADD ? "added" : "removed");
    }
}

void reload_plan_print(const struct reload_plan *self, char *out, size_t out_size)
{
    struct line line = {.out = out, .size = out_size};
    out[0] = '\0';
    for (unsigned i = 0; i < self->actions_count; i++) {
        const struct reload_action *action = &self->actions[i];
        if (action->what <= RELOAD_APP_HEAR_LESS) {
            say_node(&line, self, action);
        } else if (action->what <= RELOAD_VIEW_APPLY) {
            say_view(&line, self, action);
        } else if (action->what == RELOAD_APPLY) {
            say(&line, "; ", "%s", action->key);
        }
    }
    end(&line);
}

void reload_plan_print_restart(const struct reload_plan *self, char *out, size_t out_size)
{
    struct line line = {.out = out, .size = out_size};
    out[0] = '\0';
    for (unsigned i = 0; i < self->actions_count; i++) {
        const struct reload_action *action = &self->actions[i];
        if (action->what == RELOAD_VIEW_RESTART) {
            say(&line, ", ", "publish[%s].%s", self->after->publish[action->index].endpoint,
                key_within(action->key));
        } else if (action->what == RELOAD_RESTART_FOR) {
            say(&line, ", ", "%s", action->key);
        }
    }
    end(&line);
}
