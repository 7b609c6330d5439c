/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Is the peer alive? Within liveness_ms of silence a link asks twice and then gives up. Only this
 * file asks; link.c tells it when bytes came.
 *
 * The order matters. After cutting off a slow reader Asterisk may leave the connection open with a
 * frame cut in the middle; a WebSocket ping would then block its thread for good, while a text
 * frame makes it close at once. So: an unfinished frame is by itself the end; then a RESTRequest,
 * which Asterisk 22.4 and later answers and earlier ones read and ignore; and only then a ping.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link_private.h"
#include "ops/log.h"
#include "ops/metrics.h"

/* Percent of liveness_ms in silence after which each step is taken. */
enum {
    STALLED_AT = 30,
    PROBE_AT = 40,
    PING_AT = 70,
    DEAD_AT = 100,
};

static void on_watch(lws_sorted_usec_list_t *sul);

static uint64_t step_ms(const struct link *link, unsigned percent)
{
    return (uint64_t)link->node->liveness_ms * percent / 100;
}

static void watch_after(struct link *link, uint64_t silence_ms, unsigned percent)
{
    uint64_t at = step_ms(link, percent);
    uint64_t wait_ms = at > silence_ms ? at - silence_ms : 1;
    lws_sul_schedule(link->environment->context, 0, &link->watch, on_watch,
                     (lws_usec_t)(wait_ms * LWS_US_PER_MS));
}

static void write_request_id(const struct link *link, char *out, size_t size)
{
    snprintf(out, size, "arizmq-%" PRIu64 "-%" PRIu64, pipeline_epoch(link->environment->pipeline),
             link->probes);
}

static void send_probe(struct link *link)
{
    char id[64];
    char text[256];
    link->probes++;
    write_request_id(link, id, sizeof id);
    int length = snprintf(text, sizeof text,
                          "{\"type\":\"RESTRequest\",\"transaction_id\":\"\",\"request_id\":\"%s\","
                          "\"method\":\"GET\",\"uri\":\"asterisk/ping\"}",
                          id);
    if (ws_send_text(link->ws, text, (size_t)length) != ARIZMQ_OK) {
        log_debug("probe_not_sent", "%s: the connection takes no more frames", link->label);
    }
}

static void on_watch(lws_sorted_usec_list_t *sul)
{
    struct link *link = lws_container_of(sul, struct link, watch);
    uint64_t silence_ms = clock_monotonic_ms() - link->heard_ms;
    if (silence_ms >= step_ms(link, STALLED_AT) && !ws_is_between_messages(link->ws)) {
        metrics_add(METRIC_FRAMES_STALLED, 1);
        link_close(link, LINK_FRAME_STALLED, "a frame began and its rest did not come");
        return;
    }
    if (silence_ms >= step_ms(link, DEAD_AT)) {
        metrics_add(METRIC_LIVENESS_FAILURES, 1);
        link_close(link, LINK_LIVENESS, "nothing was heard, request and ping were not answered");
        return;
    }
    if (silence_ms >= step_ms(link, PING_AT)) {
        if (!link->ping_is_sent) {
            link->ping_is_sent = true;
            ws_ping(link->ws);
        }
        watch_after(link, silence_ms, DEAD_AT);
    } else if (silence_ms >= step_ms(link, PROBE_AT)) {
        if (!link->probe_is_sent) {
            link->probe_is_sent = true;
            send_probe(link);
        }
        watch_after(link, silence_ms, PING_AT);
    } else {
        watch_after(link, silence_ms,
                    silence_ms >= step_ms(link, STALLED_AT) ? PROBE_AT : STALLED_AT);
    }
}

void link_watch_start(struct link *self)
{
    link_watch_heard(self, clock_wall_ns());
    watch_after(self, 0, STALLED_AT);
}

void link_watch_again(struct link *self)
{
    lws_sul_schedule(self->environment->context, 0, &self->watch, on_watch, 1);
}

void link_watch_stop(struct link *self)
{
    lws_sul_cancel(&self->watch);
}

void link_watch_heard(struct link *self, uint64_t received_ns)
{
    self->heard_ms = clock_monotonic_ms();
    self->heard_wall_ns = received_ns;
    self->probe_is_sent = false;
    self->ping_is_sent = false;
}

bool link_watch_takes_response(const struct link *self, const struct span *request_id)
{
    char prefix[64];
    int length = snprintf(prefix, sizeof prefix, "arizmq-%" PRIu64 "-",
                          pipeline_epoch(self->environment->pipeline));
    return request_id->length > (size_t)length &&
           memcmp(request_id->bytes, prefix, (size_t)length) == 0;
}
