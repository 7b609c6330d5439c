/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From the frames that came to a reply that is understood. dealer.c calls reply_read() with what it
 * received; from then on the reply belongs to whoever asked. No byte of a frame is copied.
 */
#include "client/reply.h"

#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"

void reply_free_frames(zmq_msg_t *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zmq_msg_close(&frames[i]);
    }
    free(frames);
}

/* Whether the reply names another value than the request for this member. A bridge that could not
 * read the request names none. */
static bool contradicts(const json_t *asked, const json_t *header, const char *name)
{
    const json_t *sent = json_object_get(asked, name);
    const json_t *returned = json_object_get(header, name);
    return sent != NULL && returned != NULL && !json_equal(sent, returned);
}

static const char *find_fault(const json_t *asked, const json_t *header)
{
    const json_t *status = json_object_get(header, "status_code");
    if (!json_is_object(header)) {
        return "its header is no JSON object";
    }
    if (!json_is_integer(status) || json_integer_value(status) < 100 ||
        json_integer_value(status) > 599) {
        return "its header has no status_code from 100 to 599";
    }
    if (contradicts(asked, header, "request_id")) {
        return "it is the reply to another request_id";
    }
    if (contradicts(asked, header, "transaction_id")) {
        return "it is the reply to another transaction_id";
    }
    return NULL;
}

int reply_read(zmq_msg_t *frames, size_t count, const json_t *asked, struct arizmq_reply **out,
               const char **why)
{
    json_t *header = NULL;
    struct arizmq_reply *reply = NULL;
    int rc = ARIZMQ_EPROTOCOL;
    if (count < 2) {
        *why = "it has no two frames, header and body";
        goto cleanup;
    }
    header = json_loadb(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), JSON_ALLOW_NUL, NULL);
    *why = find_fault(asked, header);
    if (*why != NULL) {
        goto cleanup;
    }
    reply = malloc(sizeof *reply);
    if (reply == NULL) {
        rc = ARIZMQ_ENOMEM;
        goto cleanup;
    }
    *reply = (struct arizmq_reply){
        .frames = frames,
        .count = count,
        .header = header,
        .status_code = (int)json_integer_value(json_object_get(header, "status_code"))};
    *out = reply;
    return ARIZMQ_OK;
cleanup:
    json_decref(header);
    reply_free_frames(frames, count);
    return rc;
}

void arizmq_reply_destroy(struct arizmq_reply **self_p)
{
    struct arizmq_reply *self = *self_p;
    if (self != NULL) {
        reply_free_frames(self->frames, self->count);
        json_decref(self->header);
        free(self);
        *self_p = NULL;
    }
}

int arizmq_reply_status(const struct arizmq_reply *self)
{
    return self->status_code;
}

static const void *frame_bytes(const struct arizmq_reply *self, size_t i, size_t *length)
{
    zmq_msg_t *frame = &self->frames[i];
    *length = zmq_msg_size(frame);
    return zmq_msg_data(frame);
}

const char *arizmq_reply_header(const struct arizmq_reply *self, size_t *length)
{
    return frame_bytes(self, 0, length);
}

const char *arizmq_reply_text(const struct arizmq_reply *self, const char *name)
{
    return json_string_value(json_object_get(self->header, name));
}

bool arizmq_reply_number(const struct arizmq_reply *self, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(self->header, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (uint64_t)json_integer_value(value);
    return true;
}

const void *arizmq_reply_body(const struct arizmq_reply *self, size_t *length)
{
    return frame_bytes(self, 1, length);
}

size_t arizmq_reply_frames(const struct arizmq_reply *self)
{
    return self->count - 2;
}

const void *arizmq_reply_frame(const struct arizmq_reply *self, size_t i, size_t *length)
{
    return frame_bytes(self, i + 2, length);
}
