/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests for arizmq/takeover become letters to the event thread, its reports become replies.
 * command.c hands the requests in, gateway.c the reports. Shapes:
 * schemas/arizmq-takeover.schema.json.
 */
#include "gateway/takeover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "gateway/body.h"
#include "gateway/command_private.h"

static const char uri[] = "arizmq/takeover";

bool takeover_is_meant(const struct request *request)
{
    return strcmp(request->uri, uri) == 0;
}

static void refuse(struct command *command, enum reply_error error, const char *message)
{
    zmq_msg_t body;
    body_from_error(message, &body);
    struct reply reply = {.source = "bridge",
                          .status_code = reply_error_status(error),
                          .reason_phrase = reply_error_reason(error),
                          .content_type = "application/json",
                          .error = reply_error_word(error)};
    command_answer_own(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

/* --- what is asked */

struct asked {
    enum takeover_verb verb;
    uint64_t epoch;
    bool is_opening;
    unsigned links_count;
    struct takeover_link *links; /* malloc()ed; room for all that are configured */
    char *successor;             /* malloc()ed JSON text; NULL: none */
};

static void asked_release(struct asked *asked)
{
    free(asked->links);
    free(asked->successor);
}

static bool contains(const json_t *array, const char *text)
{
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(array, index, item)
    {
        const char *value = json_string_value(item);
        if (value != NULL && strcmp(value, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Those of this bridge's links that stand in `wanted`: {"pbx1": ["ivr"]}. */
static int read_links(const struct config *config, const json_t *wanted, struct asked *asked)
{
    asked->links = calloc(config_count_links(config) + 1UL, sizeof *asked->links);
    if (asked->links == NULL) {
        return ARIZMQ_ENOMEM;
    }
    for (unsigned node = 0; node < config->nodes_count; node++) {
        if (!config_has_node(config, node)) {
            continue;
        }
        const json_t *apps = json_object_get(wanted, config->nodes[node].name);
        for (unsigned i = 0; i < config->nodes[node].apps_count; i++) {
            if (contains(apps, config->nodes[node].apps[i])) {
                asked->links[asked->links_count++] =
                    (struct takeover_link){.node = node, .application = i};
            }
        }
    }
    return ARIZMQ_OK;
}

/* What ArizmqStopping will tell of the other bridge. */
static char *print_successor(const json_t *body)
{
    static const char *const members[] = {"epoch", "version", "views", "gateway"};
    json_t *successor = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *value = json_object_get(body, members[i]);
        if (value != NULL) {
            json_object_set(successor, members[i], value);
        }
    }
    char *text = json_dumps(successor, JSON_COMPACT);
    json_decref(successor);
    return text;
}

/* Returns NULL, or what is wrong. */
static const char *read_body(const struct config *config, const struct request *request,
                             struct asked *asked)
{
    json_t *body = json_loadb(request->body != NULL ? request->body : "", request->body_length,
                              JSON_REJECT_DUPLICATES, NULL);
    const json_t *epoch = json_object_get(body, "epoch");
    const json_t *links = json_object_get(body, "links");
    const char *wrong = NULL;
    if (!json_is_integer(epoch) || json_integer_value(epoch) <= 0) {
        wrong = "the body is a JSON object with \"epoch\", which is the other bridge's, an integer "
                "above 0";
    } else if (!json_is_object(links)) {
        wrong = "\"links\" is an object that has the applications of each node: "
                "{\"pbx1\": [\"ivr\"]}";
    } else {
        asked->epoch = (uint64_t)json_integer_value(epoch);
        asked->is_opening = json_is_true(json_object_get(body, "opening"));
        asked->successor = print_successor(body);
        if (asked->successor == NULL || read_links(config, links, asked) != ARIZMQ_OK) {
            wrong = "no memory";
        }
    }
    json_decref(body);
    return wrong;
}

/* DELETE arizmq/takeover?epoch=E */
static const char *read_query(const struct request *request, struct asked *asked)
{
    static const char prefix[] = "epoch=";
    size_t length = sizeof prefix - 1;
    char *end = NULL;
    if (strncmp(request->query, prefix, length) == 0) {
        asked->epoch = strtoull(request->query + length, &end, 10);
    }
    return end != NULL && *end == '\0' && asked->epoch > 0
               ? NULL
               : "the query is epoch=E, where E is the epoch of the other bridge";
}

static int send_letter(struct takeover *takeover, const struct asked *asked)
{
    size_t links_size = asked->links_count * sizeof *asked->links;
    size_t text_size = asked->successor != NULL ? strlen(asked->successor) : 0;
    size_t length = sizeof(struct takeover_letter) + links_size + text_size;
    char *bytes = malloc(length);
    if (bytes == NULL) {
        return ARIZMQ_ENOMEM;
    }
    struct takeover_letter letter = {.config = takeover->config,
                                     .epoch = asked->epoch,
                                     .verb = (uint16_t)asked->verb,
                                     .is_opening = asked->is_opening,
                                     .links_count = (uint32_t)asked->links_count};
    memcpy(bytes, &letter, sizeof letter);
    if (links_size > 0) {
        memcpy(bytes + sizeof letter, asked->links, links_size);
    }
    if (text_size > 0) {
        memcpy(bytes + sizeof letter + links_size, asked->successor, text_size);
    }
    int result = post_send(takeover->post, POST_TAKEOVER, 0, takeover->letters + 1, bytes, length);
    free(bytes);
    takeover->letters += result == ARIZMQ_OK;
    return result;
}

/* Its client waits no longer; the report, when it comes, will find nobody. */
static void drop(void *owner, struct command *command)
{
    (void)owner;
    command->letter = 0;
}

/* Sends the letter, and holds the command until it is answered. */
static void pass_on(struct takeover *takeover, struct command *command, const struct asked *asked)
{
    if (takeover->commands->count >= takeover->config->gateway.max_requests) {
        command_refuse_overloaded(command);
    } else if (send_letter(takeover, asked) != ARIZMQ_OK) {
        refuse(command, REPLY_OVERLOADED, "no room between the threads (gateway.feed_bytes)");
    } else {
        command->letter = takeover->letters;
        command_hold(command, drop, NULL);
    }
}

void takeover_ask(struct takeover *self, struct command *command)
{
    const struct request *request = &command->request;
    struct asked asked = {.verb = TAKEOVER_READ};
    const char *wrong = NULL;
    if (strcmp(request->method, "POST") == 0) {
        asked.verb = TAKEOVER_BEGIN;
        wrong = read_body(self->config, request, &asked);
    } else if (strcmp(request->method, "DELETE") == 0) {
        asked.verb = TAKEOVER_END;
        wrong = read_query(request, &asked);
    } else if (strcmp(request->method, "GET") != 0) {
        refuse(command, REPLY_BAD_METHOD, "this resource of the bridge knows GET, POST and DELETE");
        return;
    }
    if (!self->config->gateway.takeover && asked.verb != TAKEOVER_READ) {
        refuse(command, REPLY_DENIED,
               "this bridge may not be taken over (gateway.takeover: false)");
    } else if (wrong != NULL) {
        refuse(command, REPLY_BAD_REQUEST, wrong);
    } else {
        pass_on(self, command, &asked);
    }
    asked_release(&asked);
}

/* --- what is answered */

static json_t *number_or_null(uint64_t value)
{
    return value != 0 ? json_integer((json_int_t)value) : json_null();
}

static json_t *print_links(const struct config *config, const struct takeover_report *report)
{
    static const char *const states[] = {
        [TAKEOVER_LINK_UP] = "up",
        [TAKEOVER_LINK_TAKEN] = "taken",
        [TAKEOVER_LINK_DOWN] = "down",
        [TAKEOVER_LINK_LEFT] = "left",
    };
    json_t *links = json_array();
    for (unsigned i = 0; i < report->links_count; i++) {
        const struct takeover_report_link *link = &report->links[i];
        if (!config_has_node(config, link->link.node) ||
            link->link.application >= config->nodes[link->link.node].apps_count) {
            continue; /* a reload has removed it since */
        }
        const struct config_node *node = &config->nodes[link->link.node];
        json_t *object = json_object();
        json_object_set_new(object, "node", json_string(node->name));
        json_object_set_new(object, "app", json_string(node->apps[link->link.application]));
        json_object_set_new(object, "state", json_string(states[link->state]));
        json_object_set_new(object, "missing_since_ms",
                            number_or_null(link->missing_since_ns / 1000000U));
        json_array_append_new(links, object);
    }
    return links;
}

static char *print_report(const struct takeover *takeover, const struct takeover_report *report)
{
    static const char *const states[] = {
        [TAKEOVER_NONE] = "none",
        [TAKEOVER_PREPARING] = "preparing",
        [TAKEOVER_UNDER_WAY] = "under_way",
        [TAKEOVER_COMPLETE] = "complete",
    };
    json_t *json = json_object();
    json_object_set_new(json, "version", json_string(ARIZMQ_VERSION));
    json_object_set_new(json, "epoch", number_or_null(takeover->epoch));
    json_object_set_new(json, "seq", json_integer((json_int_t)report->seq));
    json_object_set_new(json, "state", json_string(states[report->state]));
    json_object_set_new(json, "successor_epoch", number_or_null(report->epoch));
    json_object_set_new(json, "timeout_ms",
                        json_integer(takeover->config->gateway.takeover_timeout_ms));
    json_object_set_new(json, "remaining_ms", json_integer((json_int_t)report->remaining_ms));
    json_object_set_new(json, "outcome",
                        report->outcome[0] != '\0' ? json_string(report->outcome) : json_null());
    json_object_set_new(json, "links", print_links(takeover->config, report));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void reply_report(struct takeover *takeover, struct command *command,
                         const struct takeover_report *report)
{
    char *text = print_report(takeover, report);
    zmq_msg_t body;
    if (text == NULL || body_from_text(text, strlen(text), &body) != ARIZMQ_OK) {
        refuse(command, REPLY_OVERLOADED, "no memory");
        return;
    }
    struct reply reply = {.source = "bridge",
                          .status_code = 200,
                          .reason_phrase = "OK",
                          .content_type = "application/json"};
    command_answer_own(command, &reply, &body, NULL);
    zmq_msg_close(&body);
}

static void answer(struct takeover *takeover, struct command *command,
                   const struct takeover_report *report)
{
    char message[TAKEOVER_OUTCOME_SIZE + 64];
    switch (report != NULL ? report->verdict : TAKEOVER_NO_MEMORY) {
    case TAKEOVER_OK:
        reply_report(takeover, command, report);
        return;
    case TAKEOVER_OTHER:
        if (report->epoch != 0) {
            snprintf(message, sizeof message,
                     "the bridge of epoch %" PRIu64 " is taking over; nothing was changed",
                     report->epoch);
        } else {
            snprintf(message, sizeof message, "no takeover is under way%s%s",
                     report->outcome[0] != '\0' ? "; the last one: " : "", report->outcome);
        }
        refuse(command, REPLY_CONFLICT, message);
        return;
    case TAKEOVER_RELOADING:
        refuse(command, REPLY_CONFLICT,
               "the configuration is just being read again; nothing was changed, try later");
        return;
    case TAKEOVER_STOPPING:
        refuse(command, REPLY_STOPPING, "the bridge is stopping; nothing was changed");
        return;
    case TAKEOVER_NO_MEMORY:
        break;
    }
    refuse(command, REPLY_OVERLOADED, "no memory; nothing was changed");
}

void takeover_answer(struct takeover *self, uint64_t number, struct takeover_report *report)
{
    struct command *command = NULL;
    DL_SEARCH_SCALAR(self->commands->first, command, letter, number);
    if (command != NULL) { /* else its client's time was over */
        answer(self, command, report);
    }
    free(report);
}
