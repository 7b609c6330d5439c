/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests to the gateway and their replies, for flow tests.
 */
#include "ask.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/scene.h"

enum { FRAMES_MAX = 100000 };

struct asker {
    void *context;
    void *socket;
    unsigned asked;
};

struct asker *asker_create(const char *endpoint)
{
    struct asker *asker = calloc(1, sizeof *asker);
    int timeout = FLOW_TIMEOUT_MS;
    int none = 0;
    cr_assert_not_null(asker);
    asker->context = zmq_ctx_new();
    asker->socket = zmq_socket(asker->context, ZMQ_DEALER);
    cr_assert_not_null(asker->socket);
    zmq_setsockopt(asker->socket, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    zmq_setsockopt(asker->socket, ZMQ_LINGER, &none, sizeof none);
    cr_assert_eq(zmq_connect(asker->socket, endpoint), 0, "%s", endpoint);
    return asker;
}

void asker_destroy(struct asker **self)
{
    zmq_close((*self)->socket);
    zmq_ctx_term((*self)->context);
    free(*self);
    *self = NULL;
}

static void receive(struct asker *asker, struct answer *out)
{
    size_t capacity = 0;
    zmq_msg_t header;
    zmq_msg_init(&header);
    cr_assert_geq(zmq_msg_recv(&header, asker->socket, 0), 0, "no reply: %s",
                  zmq_strerror(zmq_errno()));
    *out = (struct answer){.header =
                               json_loadb(zmq_msg_data(&header), zmq_msg_size(&header), 0, NULL)};
    cr_assert_not_null(out->header, "%.*s", (int)zmq_msg_size(&header),
                       (char *)zmq_msg_data(&header));
    int more = zmq_msg_more(&header);
    zmq_msg_close(&header);
    while (more) {
        cr_assert_lt(out->frames, FRAMES_MAX);
        if (out->frames == capacity) {
            capacity = capacity > 0 ? capacity * 2 : 64;
            zmq_msg_t *grown = malloc(capacity * sizeof *grown);
            for (size_t i = 0; i < out->frames; i++) {
                zmq_msg_init(&grown[i]);
                zmq_msg_move(&grown[i], &out->frame[i]);
            }
            free(out->frame);
            out->frame = grown;
        }
        zmq_msg_init(&out->frame[out->frames]);
        cr_assert_geq(zmq_msg_recv(&out->frame[out->frames], asker->socket, 0), 0);
        more = zmq_msg_more(&out->frame[out->frames++]);
    }
    cr_assert_geq(out->frames, 1, "a reply without body frame");
}

void asker_send(struct asker *self, const char *method, const char *uri, const char *node,
                const char *request_id)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:i}", "method", method, "uri", uri, "request_id",
                                request_id, "timeout_ms", FLOW_TIMEOUT_MS);
    cr_assert_not_null(request);
    if (node != NULL) {
        json_object_set_new(request, "node", json_string(node));
    }
    char *text = json_dumps(request, JSON_COMPACT);
    cr_assert_geq(zmq_send(self->socket, text, strlen(text), 0), 0);
    free(text);
    json_decref(request);
}

void asker_receive(struct asker *self, const char *request_id, struct answer *out)
{
    receive(self, out);
    const char *id = json_string_value(json_object_get(out->header, "request_id"));
    cr_assert(request_id == NULL || strcmp(id, request_id) == 0, "%s, not %s", id, request_id);
}

void asker_get_with(struct asker *self, const char *uri, json_t *query_strings, struct answer *out)
{
    char id[32];
    snprintf(id, sizeof id, "ask-%u", ++self->asked);
    json_t *request = json_pack("{s:s, s:s, s:s, s:i}", "method", "GET", "uri", uri, "request_id",
                                id, "timeout_ms", FLOW_TIMEOUT_MS);
    cr_assert_not_null(request);
    if (query_strings != NULL) {
        json_object_set_new(request, "query_strings", query_strings);
    }
    char *text = json_dumps(request, JSON_COMPACT);
    cr_assert_geq(zmq_send(self->socket, text, strlen(text), 0), 0);
    free(text);
    json_decref(request);
    receive(self, out);
    cr_assert_str_eq(json_string_value(json_object_get(out->header, "request_id")), id);
}

void asker_get(struct asker *self, struct answer *out, const char *uri, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, uri);
    cr_assert_gt(vasprintf(&text, uri, arguments), 0);
    va_end(arguments);
    asker_get_with(self, text, NULL, out);
    free(text);
}

void answer_clear(struct answer *answer)
{
    for (size_t i = 0; i < answer->frames; i++) {
        zmq_msg_close(&answer->frame[i]);
    }
    free(answer->frame);
    json_decref(answer->header);
    *answer = (struct answer){0};
}

long long answer_number(const struct answer *answer, const char *name)
{
    const json_t *value = json_object_get(answer->header, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

const char *answer_error(const struct answer *answer)
{
    const char *word = json_string_value(json_object_get(answer->header, "error"));
    return word != NULL ? word : "";
}
