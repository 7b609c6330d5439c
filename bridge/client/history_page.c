/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a reply of the gateway to a page of history. repair.c reads every reply here. Nothing of it
 * is taken on trust: what does not fit is refused as a whole.
 */
#include "client/history_page.h"

#include "arizmq/error.h"
#include "arizmq/gaps.h"
#include "client/reply.h"

enum {
    STATUS_OK = 200,
    STATUS_CONFLICT = 409,
    STATUS_GONE = 410,
    STATUS_OVERLOADED = 429,
    STATUS_STOPPING = 503,
};

static int read_page(const struct arizmq_reply *reply, uint64_t after, struct history_page *out)
{
    const json_t *more = json_object_get(reply->header, "more");
    uint64_t count = 0;
    size_t frames = arizmq_reply_frames(reply);
    if (!arizmq_reply_number(reply, "last", &out->last) || out->last < after ||
        !json_is_boolean(more) || frames % MESSAGE_FRAMES != 0) {
        return ARIZMQ_EPROTOCOL;
    }
    out->count = frames / MESSAGE_FRAMES;
    out->is_more = json_is_true(more);
    bool is_counted = arizmq_reply_number(reply, "count", &count);
    /* Neither a message nor a step on: asking again would bring the same. */
    bool leads_nowhere = out->is_more && out->last == after;
    return is_counted && count == out->count && !leads_nowhere ? ARIZMQ_OK : ARIZMQ_EPROTOCOL;
}

int history_page_read(const struct arizmq_reply *reply, uint64_t after, struct history_page *out)
{
    *out = (struct history_page){.answer = HISTORY_REFUSED};
    switch (reply->status_code) {
    case STATUS_OK:
        out->answer = HISTORY_PAGE;
        return read_page(reply, after, out);
    case STATUS_GONE:
        out->answer = HISTORY_COMPACTED;
        return arizmq_reply_number(reply, "oldest", &out->oldest) && out->oldest > after + 1
                   ? ARIZMQ_OK
                   : ARIZMQ_EPROTOCOL;
    case STATUS_CONFLICT:
        out->answer = HISTORY_EPOCH_CHANGED;
        return ARIZMQ_OK;
    case STATUS_OVERLOADED:
    case STATUS_STOPPING:
        out->answer = HISTORY_BUSY;
        return ARIZMQ_OK;
    default:
        return ARIZMQ_OK;
    }
}

int history_page_message(const struct arizmq_reply *reply, size_t i, uint64_t epoch,
                         struct message *out)
{
    size_t stamp_length = 0;
    out->topic = arizmq_reply_frame(reply, MESSAGE_FRAMES * i, &out->topic_length);
    out->event = arizmq_reply_frame(reply, MESSAGE_FRAMES * i + 1, &out->event_length);
    const uint8_t *stamp = arizmq_reply_frame(reply, MESSAGE_FRAMES * i + 2, &stamp_length);
    if (arizmq_stamp_decode(stamp, stamp_length, &out->stamp) != ARIZMQ_OK ||
        out->stamp.epoch != epoch || arizmq_gaps_is_heartbeat(&out->stamp)) {
        return ARIZMQ_EPROTOCOL;
    }
    return ARIZMQ_OK;
}
