/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The gateway of a running bridge, as the bridge that takes over from it speaks to it: one request
 * at a time. Belongs to the event thread; only assume_peer_introduce() waits.
 */
#ifndef ARIZMQ_OPS_ASSUME_PEER_H
#define ARIZMQ_OPS_ASSUME_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include <czmq.h>
#include <jansson.h>

#include "ops/config.h"

struct assume_peer {
    char *endpoint;
    zsock_t *socket;
    uint64_t requests;      /* sent so far: the number of the last one */
    bool is_asked;          /* its answer has not come yet */
    uint64_t sent_ms;       /* monotonic: the last request */
    uint64_t heard_wall_ns; /* the last answer */
    uint32_t timeout_ms;    /* its gateway.takeover_timeout_ms */

    /* assume.c */
    bool is_ready; /* it lets this bridge open its connections */
    bool is_over;  /* nothing more is asked of it */
    json_t *links; /* as it last reported them; NULL: never */
};

/* Connects, asks who it is, and compares its endpoints with those of `config`; waits at most a few
 * seconds. Returns ARIZMQ_OK; else ARIZMQ_E… with one line in error[error_size]. Either way
 * assume_peer_close() frees. */
int assume_peer_introduce(struct assume_peer *self, const char *endpoint,
                          const struct config *config, char *error, size_t error_size);

void assume_peer_close(struct assume_peer *self);

/* Sends a request; `body` is borrowed, NULL for none. */
void assume_peer_send(struct assume_peer *self, const char *method, const char *uri,
                      const json_t *body);

/* Takes the answer, if it has come: its status code, and in *out its body, which json_decref()
 * frees (NULL where there is no JSON). 0: not yet. */
int assume_peer_receive(struct assume_peer *self, json_t **out);

#endif
