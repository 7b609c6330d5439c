/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Waiting for a subscriber's sockets: with zmq_poll() within arizmq_subscriber_receive(), or by the
 * program's own loop, which gets one epoll descriptor for all of them. What to wait for changes
 * with the phases of the listeners, so it is looked up before each wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "client/subscriber_private.h"

enum { WAIT_MS_MAX = 3600000, UNWATCHED_MS = 100, MS_PER_S = 1000, NS_PER_MS = 1000000 };

static size_t list_items(struct arizmq_subscriber *self, uint64_t *deadline_ms)
{
    size_t count = 0;
    *deadline_ms = UINT64_MAX;
    for (size_t i = 0; i < self->count; i++) {
        uint64_t at_ms = listener_deadline_ms(self->listeners[i]);
        *deadline_ms = at_ms < *deadline_ms ? at_ms : *deadline_ms;
        count += listener_poll_items(self->listeners[i], self->items + count);
    }
    return count;
}

int subscriber_wait(struct arizmq_subscriber *self, uint64_t now_ms, uint64_t until_ms)
{
    uint64_t deadline_ms = 0;
    size_t count = list_items(self, &deadline_ms);
    deadline_ms = until_ms < deadline_ms ? until_ms : deadline_ms;
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    long timeout_ms = left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (long)left_ms;
    if (zmq_poll(self->items, (int)count, timeout_ms) >= 0) {
        return ARIZMQ_OK;
    }
    return zmq_errno() == EINTR ? ARIZMQ_ETIMEOUT : ARIZMQ_EIO;
}

void subscriber_wait_close(struct subscriber_wait *wait)
{
    if (wait->epoll_fd >= 0) {
        close(wait->epoll_fd);
    }
    if (wait->timer_fd >= 0) {
        close(wait->timer_fd);
    }
    free(wait->watched);
    *wait = (struct subscriber_wait){.epoll_fd = -1, .timer_fd = -1};
}

static int watch(const struct subscriber_wait *wait, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    int rc = epoll_ctl(wait->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return rc == 0 || errno == EEXIST ? ARIZMQ_OK : ARIZMQ_EIO;
}

int subscriber_wait_open(struct arizmq_subscriber *self)
{
    struct subscriber_wait *wait = &self->wait;
    if (wait->epoll_fd < 0) {
        wait->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        wait->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        wait->watched = calloc(self->count * LISTENER_ITEMS, sizeof *wait->watched);
        if (wait->epoll_fd < 0 || wait->timer_fd < 0 || wait->watched == NULL ||
            watch(wait, wait->timer_fd) != ARIZMQ_OK) {
            int error = errno;
            subscriber_wait_close(wait);
            errno = error;
            return ARIZMQ_EIO;
        }
        subscriber_wait_prepare(self);
    }
    return wait->epoll_fd;
}

static void set_timer(const struct subscriber_wait *wait, uint64_t deadline_ms)
{
    struct itimerspec at = {0}; /* zero: off */
    if (deadline_ms != UINT64_MAX) {
        at.it_value.tv_sec = (time_t)(deadline_ms / MS_PER_S);
        at.it_value.tv_nsec = (long)(deadline_ms % MS_PER_S) * NS_PER_MS + 1;
    }
    timerfd_settime(wait->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static bool is_among(const zmq_pollitem_t *items, size_t count, int fd)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].fd == fd) {
            return true;
        }
    }
    return false;
}

void subscriber_wait_prepare(struct arizmq_subscriber *self)
{
    struct subscriber_wait *wait = &self->wait;
    if (wait->epoll_fd < 0) {
        return;
    }
    uint64_t deadline_ms = 0;
    size_t count = list_items(self, &deadline_ms);
    for (size_t i = 0; i < count; i++) {
        size_t size = sizeof self->items[i].fd;
        zmq_getsockopt(self->items[i].socket, ZMQ_FD, &self->items[i].fd, &size);
    }
    for (size_t i = 0; i < wait->watched_count; i++) {
        if (!is_among(self->items, count, wait->watched[i])) {
            /* It may be closed already, and out of the set by that. */
            epoll_ctl(wait->epoll_fd, EPOLL_CTL_DEL, wait->watched[i], NULL);
        }
    }
    bool are_watched = true;
    wait->watched_count = count;
    for (size_t i = 0; i < count; i++) {
        wait->watched[i] = self->items[i].fd;
        /* Each time: a number that was in the set may have been closed and given to another. */
        are_watched = watch(wait, self->items[i].fd) == ARIZMQ_OK && are_watched;
    }
    if (!are_watched) { /* the kernel has no room: look again soon */
        uint64_t soon_ms = clock_monotonic_ms() + UNWATCHED_MS;
        deadline_ms = soon_ms < deadline_ms ? soon_ms : deadline_ms;
    }
    set_timer(wait, deadline_ms);
}
