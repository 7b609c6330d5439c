/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One direction of one proxied connection: bytes are read into a queue, wait as long as the faults
 * say, and are written. Called by fault_proxy.c when poll() says that a socket is ready. It never
 * closes a socket.
 */
#include "proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

enum { CHUNK_BYTES = 65536, QUEUE_MAX = 4 << 20 };

uint64_t proxy_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool proxy_flow_wants_to_read(const struct proxy_flow *flow, const struct proxy_faults *faults)
{
    return !flow->source_has_ended && !faults->is_stalled && flow->queued_bytes < QUEUE_MAX;
}

uint64_t proxy_flow_next_write(const struct proxy_flow *flow, const struct proxy_faults *faults)
{
    if (faults->is_stalled || faults->is_black_hole) {
        return UINT64_MAX;
    }
    if (flow->queue) {
        return flow->queue->due_ms;
    }
    bool end_is_due = flow->source_has_ended && !flow->end_is_forwarded && flow->pass_left != 0;
    return end_is_due ? 0 : UINT64_MAX;
}

enum proxy_flow_result proxy_flow_read(struct proxy_flow *flow, const struct proxy_faults *faults,
                                       int source)
{
    struct proxy_chunk *chunk = malloc(sizeof *chunk + CHUNK_BYTES);
    if (!chunk) {
        return PROXY_FLOW_BROKEN;
    }
    ssize_t n = recv(source, chunk->data, CHUNK_BYTES, MSG_DONTWAIT);
    if (n <= 0) {
        int error = n < 0 ? errno : 0;
        free(chunk);
        if (error == EAGAIN || error == EINTR) {
            return PROXY_FLOW_GOES_ON;
        }
        flow->source_has_ended = true;
        return error && !faults->is_black_hole ? PROXY_FLOW_BROKEN : PROXY_FLOW_GOES_ON;
    }
    size_t length = (size_t)n;
    if (faults->is_black_hole) {
        length = 0;
    } else if (flow->pass_left != PROXY_UNLIMITED && (int64_t)length > flow->pass_left) {
        length = (size_t)flow->pass_left;
    }
    if (flow->pass_left != PROXY_UNLIMITED) {
        flow->pass_left -= (int64_t)length;
    }
    if (length == 0) {
        free(chunk);
        bool is_over = flow->pass_left == 0 && !flow->queue && !faults->holds_after;
        return is_over && !faults->is_black_hole ? PROXY_FLOW_TRUNCATED : PROXY_FLOW_GOES_ON;
    }
    chunk->length = length;
    chunk->sent = 0;
    chunk->due_ms = proxy_now_ms() + faults->delay_ms;
    DL_APPEND(flow->queue, chunk);
    flow->queued_bytes += length;
    return PROXY_FLOW_GOES_ON;
}

enum proxy_flow_result proxy_flow_write(struct proxy_flow *flow, const struct proxy_faults *faults,
                                        int sink)
{
    struct proxy_chunk *chunk = flow->queue;
    if (!chunk) {
        flow->end_is_forwarded = true;
        shutdown(sink, SHUT_WR);
        return PROXY_FLOW_GOES_ON;
    }
    size_t length = chunk->length - chunk->sent;
    if (faults->slice_bytes && length > faults->slice_bytes) {
        length = faults->slice_bytes;
    }
    ssize_t n = send(sink, chunk->data + chunk->sent, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? PROXY_FLOW_GOES_ON : PROXY_FLOW_BROKEN;
    }
    chunk->sent += (size_t)n;
    flow->queued_bytes -= (size_t)n;
    flow->forwarded_bytes += (uint64_t)n;
    if (chunk->sent == chunk->length) {
        DL_DELETE(flow->queue, chunk);
        free(chunk);
    }
    bool is_over = flow->pass_left == 0 && !flow->queue && !faults->holds_after;
    return is_over ? PROXY_FLOW_TRUNCATED : PROXY_FLOW_GOES_ON;
}

void proxy_flow_free(struct proxy_flow *flow)
{
    struct proxy_chunk *chunk;
    struct proxy_chunk *next;
    DL_FOREACH_SAFE(flow->queue, chunk, next)
    {
        DL_DELETE(flow->queue, chunk);
        free(chunk);
    }
}
