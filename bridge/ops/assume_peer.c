/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Requests to the gateway of another bridge, and its answers, over a DEALER socket. assume.c
 * decides what is asked. An answer that does not belong to the last request is dropped.
 */
#include "ops/assume_peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/log.h"

enum { INTRODUCE_MS = 5000, LINGER_MS = 1000 };

void assume_peer_close(struct assume_peer *self)
{
    zsock_destroy(&self->socket);
    free(self->endpoint);
    json_decref(self->links);
    *self = (struct assume_peer){0};
}

/* --- requests and answers */

void assume_peer_send(struct assume_peer *self, const char *method, const char *uri,
                      const json_t *body)
{
    char id[32];
    snprintf(id, sizeof id, "takeover-%" PRIu64, ++self->requests);
    json_t *header = json_pack("{s:s, s:s, s:s}", "method", method, "uri", uri, "request_id", id);
    char *text = json_dumps(header, JSON_COMPACT);
    char *body_text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    /* What could not be sent will not be answered, which is noticed. */
    if (text != NULL && (body == NULL || body_text != NULL)) {
        if (body_text != NULL) {
            zstr_sendx(self->socket, text, body_text, NULL);
        } else {
            zstr_send(self->socket, text);
        }
    }
    json_decref(header);
    free(text);
    free(body_text);
    self->is_asked = true;
    self->sent_ms = clock_monotonic_ms();
}

static json_t *load(zframe_t *frame)
{
    return frame != NULL ? json_loadb((const char *)zframe_data(frame), zframe_size(frame), 0, NULL)
                         : NULL;
}

/* Whether the header is of the answer to the last request; then *status is its status code. */
static bool is_awaited(const struct assume_peer *peer, const json_t *header, int *status)
{
    char id[32];
    snprintf(id, sizeof id, "takeover-%" PRIu64, peer->requests);
    const char *found = json_string_value(json_object_get(header, "request_id"));
    *status = (int)json_integer_value(json_object_get(header, "status_code"));
    return found != NULL && strcmp(found, id) == 0 && *status > 0;
}

int assume_peer_receive(struct assume_peer *self, json_t **out)
{
    *out = NULL;
    while (self->is_asked && (zsock_events(self->socket) & ZMQ_POLLIN) != 0) {
        zmsg_t *message = zmsg_recv(self->socket);
        if (message == NULL) {
            return 0;
        }
        int status = 0;
        json_t *header = load(zmsg_first(message));
        json_t *body = load(zmsg_next(message));
        zmsg_destroy(&message);
        bool is_it = is_awaited(self, header, &status);
        json_decref(header);
        if (is_it) {
            self->is_asked = false;
            self->heard_wall_ns = clock_wall_ns();
            *out = body;
            return status;
        }
        log_debug("takeover", "%s: an answer to something else was dropped", self->endpoint);
        json_decref(body);
    }
    return 0;
}

/* --- who it is */

/* "*" and 0.0.0.0 are the same address. */
static const char *without_wildcard(const char *endpoint)
{
    static const char any[] = "tcp://*:";
    static const char zeros[] = "tcp://0.0.0.0:";
    if (strncmp(endpoint, any, sizeof any - 1) == 0) {
        return endpoint + sizeof any - 1;
    }
    return strncmp(endpoint, zeros, sizeof zeros - 1) == 0 ? endpoint + sizeof zeros - 1 : endpoint;
}

/* A port that the system chooses is never the same. */
static bool is_same(const char *a, const char *b)
{
    size_t length = strlen(a);
    bool is_chosen = strncmp(a, "tcp://", 6) == 0 && strcmp(a + length - 2, ":*") == 0;
    return !is_chosen && strcmp(without_wildcard(a), without_wildcard(b)) == 0;
}

/* The endpoint of ours that is `theirs`, too; NULL: none. */
static const char *find_clash(const struct config *config, const char *theirs)
{
    if (theirs == NULL) {
        return NULL;
    }
    for (unsigned i = 0; i < config->publish_count; i++) {
        if (is_same(config->publish[i].endpoint, theirs)) {
            return config->publish[i].endpoint;
        }
    }
    bool is_gateway = config->gateway.enabled && is_same(config->gateway.endpoint, theirs);
    return is_gateway ? config->gateway.endpoint : NULL;
}

static const char *endpoint_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "endpoint"));
}

/* libzmq would let one of them take an ipc:// address from the other without a word. */
static int compare_endpoints(const struct assume_peer *peer, const struct config *config,
                             const json_t *info, char *error, size_t error_size)
{
    const char *clash = find_clash(config, endpoint_of(json_object_get(info, "gateway")));
    size_t index = 0;
    json_t *view = NULL;
    json_array_foreach(json_object_get(info, "views"), index, view)
    {
        if (clash == NULL) {
            clash = find_clash(config, endpoint_of(view));
        }
    }
    if (clash != NULL) {
        snprintf(
            error, error_size,
            "--takeover: %s belongs to the running bridge at %s; a bridge that takes over needs "
            "endpoints of its own",
            clash, peer->endpoint);
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}

static int ask_for_info(struct assume_peer *peer, json_t **out)
{
    assume_peer_send(peer, "GET", "arizmq/info", NULL);
    uint64_t until_ms = peer->sent_ms + INTRODUCE_MS;
    int status = 0;
    while (status == 0) {
        uint64_t now_ms = clock_monotonic_ms();
        zmq_pollitem_t item = {.socket = zsock_resolve(peer->socket), .events = ZMQ_POLLIN};
        if (now_ms >= until_ms || zmq_poll(&item, 1, (long)(until_ms - now_ms)) < 0) {
            return 0;
        }
        status = assume_peer_receive(peer, out);
    }
    return status;
}

int assume_peer_introduce(struct assume_peer *self, const char *endpoint,
                          const struct config *config, char *error, size_t error_size)
{
    self->endpoint = strdup(endpoint);
    self->socket = zsock_new(ZMQ_DEALER);
    if (self->endpoint == NULL || self->socket == NULL) {
        snprintf(error, error_size, "--takeover: no memory");
        return ARIZMQ_ENOMEM;
    }
    zsock_set_linger(self->socket, LINGER_MS);
    zsock_set_ipv6(self->socket, strchr(endpoint, '[') != NULL);
    if (zsock_connect(self->socket, "%s", endpoint) < 0) {
        snprintf(error, error_size,
                 "--takeover: \"%s\" is no endpoint; allowed: tcp://HOST:PORT, ipc://PATH",
                 endpoint);
        return ARIZMQ_EINVALID;
    }
    json_t *info = NULL;
    int status = ask_for_info(self, &info);
    int result = ARIZMQ_OK;
    if (status == 0) {
        snprintf(error, error_size,
                 "--takeover: no bridge answers at %s within %d ms; nothing was taken over",
                 endpoint, INTRODUCE_MS);
        zsock_set_linger(self->socket, 0);
        result = ARIZMQ_ENOTFOUND;
    } else if (status != 200) {
        snprintf(error, error_size,
                 "--takeover: %s answers %d when asked for arizmq/info; nothing was taken over",
                 endpoint, status);
        result = ARIZMQ_EINVALID;
    } else {
        result = compare_endpoints(self, config, info, error, error_size);
    }
    json_decref(info);
    return result;
}
