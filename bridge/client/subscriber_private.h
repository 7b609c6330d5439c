/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A subscriber's inside, shared by subscriber.c and subscriber_wait.c (sockets and timers).
 */
#ifndef ARIZMQ_CLIENT_SUBSCRIBER_PRIVATE_H
#define ARIZMQ_CLIENT_SUBSCRIBER_PRIVATE_H

#include "client/listener.h"

/* What others poll for us: an epoll descriptor over the sockets' descriptors and a timer. */
struct subscriber_wait {
    int epoll_fd; /* -1: nobody asked for it */
    int timer_fd;
    int *watched; /* descriptors in it, room for LISTENER_ITEMS of each endpoint */
    size_t watched_count;
};

struct arizmq_subscriber {
    struct arizmq_subscriber_options options;
    const char **prefixes;
    struct arizmq_endpoint *endpoints;
    void *own_context; /* NULL: the context is the program's */
    struct listener **listeners;
    size_t count;
    size_t turn; /* the endpoint that is asked first, modulo count */
    zmq_pollitem_t *items;
    struct subscriber_wait wait;
};

/* Waits until a listener may have something or the time has come. Returns ARIZMQ_OK;
 * ARIZMQ_ETIMEOUT where a signal was caught; ARIZMQ_EIO. */
int subscriber_wait(struct arizmq_subscriber *self, uint64_t now_ms, uint64_t until_ms);

/* Returns the descriptor for others to poll, or ARIZMQ_EIO. */
int subscriber_wait_open(struct arizmq_subscriber *self);
void subscriber_wait_close(struct subscriber_wait *wait);

/* Before others wait: what they are to wait for. */
void subscriber_wait_prepare(struct arizmq_subscriber *self);

#endif
