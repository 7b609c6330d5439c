/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which node gets a request. The gateway asks once for each request, after the feed was taken and
 * the request's ids were read; fleet and owners are only looked at. A refusal says what is wrong,
 * where, and what would help.
 */
#include "gateway/route.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <unistr.h>

#include "gateway/quote.h"

enum {
    ROUTE_LIST_BYTES = 300, /* of a list in a message: what to do must still fit behind it */
};

/* What a request's mentions are to the decision. */
enum route_class { ROUTE_NAMED, ROUTE_GUESSED, ROUTE_CHOSEN };

/* What the owners know of the mentions of one class. */
struct route_survey {
    unsigned known;
    bool is_conflict; /* more than one node has them */
    unsigned node;    /* else: the one that has them */
    unsigned told;    /* of the known: named in the message */
};

/* --- Messages */

/* Appends what has room; foreign text only as quote_text() leaves it. The end is never a part of a
 * character. */
__attribute__((format(printf, 2, 3))) static void say(struct route *route, const char *format, ...)
{
    char *message = route->refusal.message;
    size_t used = strlen(message);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message + used, REQUEST_ERROR_SIZE - used, format, arguments);
    va_end(arguments);
    const uint8_t *broken = u8_check((const uint8_t *)message, strlen(message));
    if (broken != NULL) {
        message[(const char *)broken - message] = '\0';
    }
}

/* A list in the message may grow by one more. */
static bool has_room(const struct route *route)
{
    return strlen(route->refusal.message) < ROUTE_LIST_BYTES;
}

static void refuse(struct route *route, enum reply_error error)
{
    route->verdict = ROUTE_REFUSED;
    route->has_node = false;
    route->refusal.error = error;
    route->refusal.message[0] = '\0';
}

static const char *node_name(const struct fleet *fleet, unsigned node)
{
    return fleet->nodes[node].config->name;
}

/* Names the nodes for which `wanted` says so: "pbx1, pbx2". Returns how many there are. */
static unsigned say_nodes(struct route *route, const struct fleet *fleet,
                          bool (*wanted)(const struct fleet *fleet, unsigned node, const char *app),
                          const char *app)
{
    unsigned count = 0;
    unsigned told = 0;
    for (unsigned i = 0; i < fleet->slots; i++) {
        if (fleet_has_node(fleet, i) && wanted(fleet, i, app)) {
            if (has_room(route)) {
                say(route, "%s%s", count > 0 ? ", " : "", node_name(fleet, i));
                told++;
            }
            count++;
        }
    }
    if (told < count) {
        say(route, " and %u more", count - told);
    }
    return count;
}

static bool is_any(const struct fleet *fleet, unsigned node, const char *app)
{
    (void)fleet, (void)node, (void)app;
    return true;
}

static bool is_down(const struct fleet *fleet, unsigned node, const char *app)
{
    (void)app;
    return !fleet_is_up(fleet, node);
}

/* --- One node */

static void refuse_down(struct route *route, const struct fleet *fleet, unsigned node)
{
    char quoted[QUOTE_SIZE];
    refuse(route, REPLY_NODE_DOWN);
    route->node = node;
    route->has_node = true;
    say(route, "node %s is down", node_name(fleet, node));
    const struct fleet_node *down = &fleet->nodes[node];
    for (unsigned i = 0; i < down->config->apps_count; i++) {
        if (down->apps[i].last_error[0] != '\0') {
            const char *error = down->apps[i].last_error;
            say(route, " (%s)", quote_text(error, strlen(error), quoted));
            break;
        }
    }
    say(route, "; nothing was sent: try again when it is up");
}

static void send_to(struct route *route, const struct fleet *fleet, unsigned node)
{
    if (!fleet_is_up(fleet, node)) {
        refuse_down(route, fleet, node);
        return;
    }
    route->verdict = ROUTE_TO_NODE;
    route->node = node;
    route->has_node = true;
}

static void send_to_named(struct route *route, const struct fleet *fleet, const char *name)
{
    int node = fleet_find(fleet, name);
    if (node >= 0) {
        send_to(route, fleet, (unsigned)node);
        return;
    }
    char quoted[QUOTE_SIZE];
    refuse(route, REPLY_NO_SUCH_NODE);
    say(route, "no node is named %s; use one of ", quote_text(name, strlen(name), quoted));
    say_nodes(route, fleet, is_any, NULL);
}

/* --- Owners */

static enum route_class class_of(const struct mention *mention)
{
    if (mention->is_guess) {
        return ROUTE_GUESSED;
    }
    return mention->is_chosen ? ROUTE_CHOSEN : ROUTE_NAMED;
}

static void say_owner(struct route *route, const struct fleet *fleet, const struct mention *mention,
                      unsigned kind, const struct owners_found *found)
{
    bool is_first = route->refusal.message[0] == '\0';
    char quoted[QUOTE_SIZE];
    say(route, "%s%s %s %s on", is_first ? "" : ", ", object_kind_names[kind],
        quote_text(mention->id, mention->length, quoted), found->has_ended ? "was" : "is");
    for (unsigned i = 0; i < found->count; i++) {
        say(route, "%s %s", i > 0 ? " and" : "", node_name(fleet, found->node[i]));
    }
}

/* Asks the owners for one mention as one kind; tells in `explain`, unless it is NULL. An id to be
 * chosen again after its object has ended binds nobody. */
static void survey_one(struct route_survey *survey, const struct fleet *fleet,
                       const struct owners *owners, const struct mention *mention, unsigned kind,
                       struct route *explain)
{
    struct owners_found found;
    owners_find(owners, (enum object_kind)kind, mention->id, mention->length, &found);
    if (found.count == 0 || (found.has_ended && class_of(mention) == ROUTE_CHOSEN)) {
        return;
    }
    survey->is_conflict = survey->is_conflict || found.count > 1 ||
                          (survey->known > 0 && survey->node != found.node[0]);
    survey->node = found.node[0];
    survey->known++;
    if (explain != NULL && has_room(explain)) {
        survey->told++;
        say_owner(explain, fleet, mention, kind, &found);
    }
}

static struct route_survey survey_class(const struct fleet *fleet, const struct owners *owners,
                                        const struct mentions *mentions, enum route_class class,
                                        struct route *explain)
{
    struct route_survey survey = {0};
    for (unsigned i = 0; i < mentions->count; i++) {
        const struct mention *mention = &mentions->item[i];
        if (class_of(mention) != class) {
            continue;
        }
        unsigned first = mention->kind == MENTION_ANY_KIND ? OBJECT_CHANNEL : mention->kind;
        unsigned last = mention->kind == MENTION_ANY_KIND ? OBJECT_RECORDING : mention->kind;
        for (unsigned kind = first; kind <= last; kind++) {
            survey_one(&survey, fleet, owners, mention, kind, explain);
        }
    }
    return survey;
}

/* Goes by the owners of one class. Returns false where nobody is known to have any of it. */
static bool send_to_owner(struct route *route, const struct fleet *fleet,
                          const struct owners *owners, const struct mentions *mentions,
                          enum route_class class)
{
    struct route_survey survey = survey_class(fleet, owners, mentions, class, NULL);
    if (survey.known == 0) {
        return false;
    }
    if (!survey.is_conflict) {
        send_to(route, fleet, survey.node);
        return true;
    }
    refuse(route, REPLY_CONFLICT);
    survey = survey_class(fleet, owners, mentions, class, route);
    if (survey.told < survey.known) {
        say(route, " and %u more", survey.known - survey.told);
    }
    say(route, "; a command runs on one node: send one for each, or say which in \"node\"");
    return true;
}

static const struct mention *first_named(const struct mentions *mentions)
{
    for (unsigned i = 0; i < mentions->count; i++) {
        if (class_of(&mentions->item[i]) == ROUTE_NAMED) {
            return &mentions->item[i];
        }
    }
    return NULL;
}

/* --- No owner */

static void send_unknown(struct route *route, const struct fleet *fleet,
                         const struct request *request, const struct mention *mention)
{
    if (request_is_safe(request) && fleet->up > 0) {
        route->verdict = ROUTE_ASK_ALL;
        return;
    }
    char quoted[QUOTE_SIZE];
    bool may_be_down = fleet->up < fleet->count;
    refuse(route, may_be_down ? REPLY_NODE_DOWN : REPLY_NO_SUCH_OBJECT);
    say(route, "no node is known to have %s %s", object_kind_names[mention->kind],
        quote_text(mention->id, mention->length, quoted));
    if (!may_be_down) {
        say(route, "; check the id, or say in \"node\" where it is to be looked for");
        return;
    }
    say(route, ", and these are down that may have it: ");
    route->has_node = say_nodes(route, fleet, is_down, NULL) == 1;
    for (unsigned i = 0; i < fleet->slots; i++) {
        route->node = fleet_has_node(fleet, i) && !fleet_is_up(fleet, i) ? i : route->node;
    }
    say(route, "; nothing was sent: try again when they are up");
}

static bool is_free(const struct fleet *fleet, unsigned node, const char *app)
{
    return app == NULL ? fleet_is_up(fleet, node) : fleet_app_is_up(fleet, node, app);
}

/* The least loaded of the nodes that are up, as `app` where that is not NULL; or -1. What is under
 * way counts as calls do, so that a burst of originates spreads before the first is answered. */
static int least_loaded(const struct fleet *fleet, const struct owners *owners, const char *app)
{
    int best = -1;
    unsigned best_load = 0;
    for (unsigned i = 0; i < fleet->slots; i++) {
        unsigned load = owners_calls(owners, i) + fleet->nodes[i].under_way;
        if (is_free(fleet, i, app) && (best < 0 || load < best_load)) {
            best = (int)i;
            best_load = load;
        }
    }
    return best;
}

static bool any_has_app(const struct fleet *fleet, const char *app)
{
    for (unsigned i = 0; i < fleet->slots; i++) {
        if (fleet_has_app(fleet, i, app)) {
            return true;
        }
    }
    return false;
}

static void send_to_any(struct route *route, const struct fleet *fleet, const struct owners *owners,
                        const struct request *request, const struct mentions *mentions)
{
    char quoted[QUOTE_SIZE];
    bool is_configured = mentions->app != NULL && any_has_app(fleet, mentions->app);
    if (request->app != NULL && !is_configured) {
        refuse(route, REPLY_NO_SUCH_NODE);
        say(route, "no node is configured to be application %s; say in \"node\" which is meant: ",
            quote_text(request->app, strlen(request->app), quoted));
        say_nodes(route, fleet, is_any, NULL);
        return;
    }
    const char *app = is_configured ? mentions->app : NULL;
    int node = least_loaded(fleet, owners, app);
    if (node >= 0) {
        send_to(route, fleet, (unsigned)node);
        return;
    }
    refuse(route, REPLY_NODE_DOWN);
    if (app == NULL) {
        say(route, "no node is up: ");
        say_nodes(route, fleet, is_any, NULL);
        say(route, "; nothing was sent: try again when one is up");
        return;
    }
    say(route, "no node is connected as application %s, which is for ",
        quote_text(app, strlen(app), quoted));
    say_nodes(route, fleet, fleet_has_app, app);
    say(route, "; nothing was sent: try again later, or say in \"node\" which");
}

static unsigned only_node(const struct fleet *fleet)
{
    unsigned node = 0;
    while (!fleet_has_node(fleet, node)) {
        node++;
    }
    return node;
}

void route_find(const struct fleet *fleet, const struct owners *owners,
                const struct request *request, const struct mentions *mentions, struct route *out)
{
    out->has_node = false;
    out->node = 0;
    if (request->node != NULL) {
        send_to_named(out, fleet, request->node);
        return;
    }
    if (fleet->count == 1) {
        send_to(out, fleet, only_node(fleet));
        return;
    }
    if (send_to_owner(out, fleet, owners, mentions, ROUTE_NAMED) ||
        send_to_owner(out, fleet, owners, mentions, ROUTE_GUESSED) ||
        send_to_owner(out, fleet, owners, mentions, ROUTE_CHOSEN)) {
        return;
    }
    const struct mention *unknown = first_named(mentions);
    if (unknown != NULL) {
        send_unknown(out, fleet, request, unknown);
        return;
    }
    send_to_any(out, fleet, owners, request, mentions);
}
