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
    bool is_asked; /* a question is under way */
    unsigned next; /* that one */
    bool is_again;
    struct exchange exchange;
};

struct census {
    struct fleet *fleet;
    struct owners *owners;
    struct transport *transport;
    struct census_node *nodes; /* CONFIG_SLOTS_MAX, by slot */
};

int census_create(struct fleet *fleet, struct owners *owners, struct transport *transport,
                  struct census **out)
{
    struct census *census = calloc(1, sizeof *census);
    if (census == NULL) {
        return ARIZMQ_ENOMEM;
    }
    census->nodes = calloc(CONFIG_SLOTS_MAX, sizeof *census->nodes);
    if (census->nodes == NULL) {
        free(census);
        return ARIZMQ_ENOMEM;
    }
    census->fleet = fleet;
    census->owners = owners;
    census->transport = transport;
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

/* Begins anew where that is wanted. */
static void end(struct census_node *asked);

static void ask(struct census_node *asked)
{
    struct census *census = asked->census;
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
        end(asked);
    }
}

static void end(struct census_node *asked)
{
    asked->is_asked = asked->is_again;
    asked->is_again = false;
    asked->next = QUESTION_INFO;
    if (asked->is_asked) {
        ask(asked);
    }
}

static void on_answer(void *owner, struct exchange_answer *answer)
{
    struct census_node *asked = owner;
    struct census *census = asked->census;
    const char *name = census->fleet->nodes[asked->node].config->name;
    enum object_kind kind = questions[asked->next].kind;
    if (!fleet_has_node(census->fleet, asked->node)) {
        end(asked); /* it was removed meanwhile */
        return;
    }
    if (answer->outcome != EXCHANGE_ANSWERED) {
        log_warning("census", "GET %s: %s", questions[asked->next].uri, answer->error);
        end(asked); /* the other questions would fare no better */
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
    if (++asked->next < QUESTIONS) {
        ask(asked);
    } else {
        end(asked);
    }
}

void census_begin(struct census *self, unsigned node)
{
    struct census_node *asked = &self->nodes[node];
    if (asked->is_asked) {
        asked->is_again = true;
        return;
    }
    *asked = (struct census_node){.census = self, .node = node, .is_asked = true};
    ask(asked);
}

void census_forget(struct census *self, unsigned node)
{
    self->nodes[node].is_again = false;
}

bool census_is_asking(const struct census *self, unsigned node)
{
    return self->nodes[node].is_asked;
}
