/* SPDX-License-Identifier: MPL-2.0 */
/*
 * bench_echo: the least that a gateway can be. One thread with a ROUTER sends each request's frames
 * back and one more with the text of a ping's answer. What it takes is ZeroMQ's own time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <zmq.h>

static int echo_one(void *router)
{
    static const char pong[] = "{\"ping\":\"pong\",\"timestamp\":\"2026-11-23T13:52:54.288+0000\","
                               "\"asterisk_id\":\"02:00:00:00:00:22\"}";
    int more = 1;
    while (more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, router, 0) < 0) {
            return -1;
        }
        more = zmq_msg_more(&frame);
        if (zmq_msg_send(&frame, router, ZMQ_SNDMORE) < 0) {
            return -1;
        }
    }
    return zmq_send(router, pong, sizeof pong - 1, 0) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    if (argc != 2 || zmq_bind(router, argv[1]) != 0) {
        fprintf(stderr, "usage: bench_echo ENDPOINT\nbench_echo: %s\n", zmq_strerror(errno));
        return EXIT_FAILURE;
    }
    char endpoint[256];
    size_t size = sizeof endpoint;
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
    puts(endpoint);
    fflush(stdout);
    while (echo_one(router) == 0) {
    }
    fprintf(stderr, "bench_echo: %s\n", zmq_strerror(errno));
    return EXIT_FAILURE;
}
