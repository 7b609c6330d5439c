/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A ZeroMQ monitor for one socket. dealer.c reads it to know why no reply comes, listener.c to tell
 * that a bridge is there or gone. It never waits.
 */
#include "client/monitor.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

/* A monitor's address is its own within the context, which may be the program's. */
static atomic_uint_fast64_t numbers;

void *monitor_open(void *context, void *socket)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://arizmq-monitor-%llu",
             (unsigned long long)atomic_fetch_add(&numbers, 1));
    const int events = ZMQ_EVENT_CLOSED | ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                       ZMQ_EVENT_DISCONNECTED;
    const int unlimited = 0;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (monitor == NULL) {
        return NULL;
    }
    /* A full queue would block the I/O thread; what waits here is bounded by how often a connection
     * can be tried between two looks, ten times a second at most. */
    if (zmq_setsockopt(monitor, ZMQ_RCVHWM, &unlimited, sizeof unlimited) != 0 ||
        zmq_socket_monitor(socket, name, events) != 0 || zmq_connect(monitor, name) != 0) {
        zmq_close(monitor);
        return NULL;
    }
    return monitor;
}

void monitor_close(void **monitor, void *socket)
{
    if (*monitor != NULL) {
        zmq_socket_monitor(socket, NULL, 0);
        zmq_close(*monitor);
        *monitor = NULL;
    }
}

static enum monitor_event event_of(uint16_t number)
{
    switch (number) {
    case ZMQ_EVENT_CLOSED: /* an attempt to connect that failed */
        return MONITOR_REFUSED;
    case ZMQ_EVENT_CONNECTED:
        return MONITOR_CONNECTED;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return MONITOR_SPEAKS;
    case ZMQ_EVENT_DISCONNECTED:
        return MONITOR_LOST;
    default:
        return MONITOR_NOTHING;
    }
}

enum monitor_event monitor_read(void *monitor)
{
    zmq_msg_t frame;
    uint16_t number = 0;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT) >= (int)sizeof number) {
        memcpy(&number, zmq_msg_data(&frame), sizeof number);
        while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT) >= 0) {
        }
    }
    zmq_msg_close(&frame);
    return event_of(number);
}
