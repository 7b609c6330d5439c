/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The sockets of libcurl in the command thread's epoll. curl says what it waits for on a socket and
 * takes that back after each transfer; a connection is left in epoll all the same as long as
 * nothing happens on it, since the next transfer waits for the same. Nothing here reads or writes.
 */
#include "gateway/http_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ops/log.h"

/* The entry of a descriptor; NULL without memory for it. */
static struct http_socket *find_socket(struct http *http, int fd)
{
    size_t index = (size_t)fd;
    if (index >= http->sockets_count) {
        size_t count = http->sockets_count == 0 ? 64 : http->sockets_count;
        while (count <= index) {
            count *= 2;
        }
        struct http_socket *sockets = realloc(http->sockets, count * sizeof *sockets);
        if (sockets == NULL) {
            return NULL;
        }
        memset(sockets + http->sockets_count, 0, (count - http->sockets_count) * sizeof *sockets);
        http->sockets = sockets;
        http->sockets_count = count;
    }
    return &http->sockets[index];
}

static void register_socket(struct http *http, int fd, struct http_socket *entry, uint32_t events)
{
    if (entry->registered == events) {
        return;
    }
    int operation = events == 0              ? EPOLL_CTL_DEL
                    : entry->registered == 0 ? EPOLL_CTL_ADD
                                             : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(http->epoll_fd, operation, fd, &event) != 0 && events != 0) {
        log_error("http_socket_failed", "%s: epoll_ctl: %s; its request will time out",
                  entry->node->config->name, strerrordesc_np(errno));
        events = 0;
    }
    entry->registered = events;
}

int http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *owner, void *unused)
{
    (void)easy;
    (void)unused;
    struct http_node *node = owner;
    struct http_socket *entry = find_socket(node->http, fd);
    if (entry == NULL) {
        /* Only a descriptor of curl's resolver can be new here. To return -1 would end the node's
         * other requests, too. */
        log_error("http_socket_failed",
                  "%s: no memory to watch a socket; its request will time out", node->config->name);
        return 0;
    }
    entry->node = node;
    entry->wanted = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                    (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (what == CURL_POLL_REMOVE) {
        entry->wanted = 0;
    }
    if (entry->wanted != 0 || !entry->is_connection) {
        register_socket(node->http, fd, entry, entry->wanted);
    }
    if (entry->wanted == 0 && !entry->is_connection) {
        entry->node = NULL;
    }
    return 0;
}

curl_socket_t http_socket_open(void *owner, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct http_handle *handle = owner;
    if (!http_request_may_be_sent(handle->request)) {
        errno = ECANCELED;
        return CURL_SOCKET_BAD; /* no connection for what must not be sent again */
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        return CURL_SOCKET_BAD;
    }
    struct http_socket *entry = find_socket(handle->node->http, fd);
    if (entry == NULL) {
        close(fd);
        errno = ENOMEM;
        return CURL_SOCKET_BAD;
    }
    *entry = (struct http_socket){.node = handle->node, .is_connection = true};
    handle->node->connections++;
    return fd;
}

int http_socket_close(void *owner, curl_socket_t fd)
{
    struct http_node *node = owner;
    struct http_socket *entry = find_socket(node->http, fd);
    if (entry != NULL) {
        register_socket(node->http, fd, entry, 0);
        node->connections--;
        *entry = (struct http_socket){0};
    }
    return close(fd);
}

void http_ready(struct http *self, int fd, uint32_t epoll_events)
{
    struct http_socket *entry =
        (size_t)fd < self->sockets_count ? &self->sockets[(size_t)fd] : NULL;
    if (entry == NULL || entry->node == NULL) {
        return; /* not curl's, or closed since epoll named it */
    }
    if (entry->wanted == 0) {
        /* An idle connection: Asterisk has closed it, which curl sees before it uses it again. */
        register_socket(self, fd, entry, 0);
        return;
    }
    bool is_broken = (epoll_events & (EPOLLERR | EPOLLHUP)) != 0;
    int events = ((epoll_events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                 ((epoll_events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                 (is_broken ? CURL_CSELECT_ERR : 0);
    http_node_act(entry->node, fd, events);
}
