/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Three questions, one after the other, to each node that comes up. gateway.c begins it. What a
 * list does not name, and no event names meanwhile, has ended while the node was away. A question
 * without a good answer is logged and leaves what is known as it is: the next time that the node
 * comes up it is asked again.
 */
#include "gateway/census.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "gateway/learn.h"
#include "ops/log.h"

enum question { QUESTION_INFO, QUESTION_CHANNELS, QUESTION_BRIDGES, QUESTIONS };

static const struct {
    const char *uri;
    enum object_kind kind; /* of the list; unused for asterisk/info */
} questions[QUESTIONS] = {
    [QUESTION_INFO] = {"asterisk/info", OBJECT_KINDS},
    [QUESTION_CHANNELS] = {"channels", OBJECT_CHANNEL},
    [QUESTION_BRIDGES] = {"bridges", OBJECT_BRIDGE},
};

struct census_node {
    struct census *census;
    unsigned node;
    unsigned next; /* question to be asked; QUESTIONS: none is under way */
    bool is_again;
    struct exchange exchange;
};

struct census {
    struct fleet *fleet;
    struct owners *owners;
    struct transport *transport;
    struct census_node *nodes;
};

int census_create(struct fleet *fleet, struct owners *owners, struct transport *transport,
                  struct census **out)
{
    struct census *census = calloc(1, sizeof *census);
    if (census == NULL) {
        return ARIZMQ_ENOMEM;
    }
    census->nodes = calloc(fleet->count, sizeof *census->nodes);
    if (census->nodes == NULL) {
        free(census);
        return ARIZMQ_ENOMEM;
    }
    census->fleet = fleet;
    census->owners = owners;
    census->transport = transport;
    for (unsigned i = 0; i < fleet->count; i++) {
        census->nodes[i] = (struct census_node){.census = census, .node = i, .next = QUESTIONS};
    }
    *out = census;
    return ARIZMQ_OK;
}

void census_destroy(struct census **self)
{
    if (*self != NULL) {
        free((*self)->nodes);
        free(*self);
        *self = NULL;
    }
}

static void take_version(struct census_node *asked, const char *text, size_t length)
{
    json_t *info = json_loadb(text, length, 0, NULL);
    const char *version =
        json_string_value(json_object_get(json_object_get(info, "system"), "version"));
    char *copy = version != NULL ? strdup(version) : NULL;
    if (copy != NULL) {
        struct fleet_node *node = &asked->census->fleet->nodes[asked->node];
        free(node->version);
        node->version = copy;
    }
    json_decref(info);
}

static void on_answer(void *owner, struct exchange_answer *answer);

static void ask_next(struct census_node *asked)
{
    struct census *census = asked->census;
    if (asked->next == QUESTIONS && asked->is_again) {
        asked->is_again = false;
        asked->next = QUESTION_INFO;
    }
    if (asked->next == QUESTIONS) {
        return;
    }
    enum object_kind kind = questions[asked->next].kind;
    if (kind != OBJECT_KINDS) {
        owners_begin_census(census->owners, asked->node, kind);
    }
    struct exchange_order order = {
        .node = asked->node, .method = "GET", .uri = questions[asked->next].uri, .query = ""};
    if (transport_send(census->transport, &order, on_answer, asked, &asked->exchange) !=
        ARIZMQ_OK) {
        log_error("census", "%s: no memory to ask it for its %s",
                  census->fleet->nodes[asked->node].config->name, order.uri);
        asked->next = QUESTIONS;
    }
}

static void on_answer(void *owner, struct exchange_answer *answer)
{
    struct census_node *asked = owner;
    struct census *census = asked->census;
    const char *name = census->fleet->nodes[asked->node].config->name;
    enum object_kind kind = questions[asked->next].kind;
    if (answer->outcome != EXCHANGE_ANSWERED) {
        log_warning("census", "GET %s: %s", questions[asked->next].uri, answer->error);
        asked->next = QUESTIONS; /* the other questions would fare no better */
        ask_next(asked);
        return;
    }
    const char *text = zmq_msg_data(answer->body);
    size_t length = zmq_msg_size(answer->body);
    if (answer->status_code != 200) {
        log_warning("census", "GET %s: %s: Asterisk answered %d %s", questions[asked->next].uri,
                    name, answer->status_code, answer->reason_phrase);
    } else if (kind == OBJECT_KINDS) {
        take_version(asked, text, length);
    } else {
        unsigned count = learn_from_reply(census->owners, asked->node, text, length);
        owners_end_census(census->owners, asked->node, kind);
        log_debug("census", "%s: %u %s", name, count, questions[asked->next].uri);
    }
    asked->next++;
    ask_next(asked);
}

void census_begin(struct census *self, unsigned node)
{
    struct census_node *asked = &self->nodes[node];
    if (asked->next != QUESTIONS) {
        asked->is_again = true;
        return;
    }
    asked->next = QUESTION_INFO;
    ask_next(asked);
}
