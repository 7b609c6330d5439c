/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The generator's connections, with TLS or without: accepted, read, written. answers.c says what is
 * written to them, generator.c sends events.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

#include "generator.h"
#include "sockets.h"

enum { READY_MAX = 64 };

static void end_peer(struct generator *self, struct peer *peer)
{
    for (size_t i = 0; i < self->links_count; i++) {
        if (self->links[i] == peer) {
            self->links[i] = self->links[--self->links_count];
            break;
        }
    }
    SSL_free(peer->ssl);
    close(peer->fd);
    free(peer);
}

/* The handshake is waited for: clients are on this machine and behave. */
static bool start_tls(const struct generator *self, struct peer *peer)
{
    peer->ssl = SSL_new(self->tls);
    if (peer->ssl == NULL || SSL_set_fd(peer->ssl, peer->fd) != 1) {
        sockets_fail("TLS");
    }
    bool is_fine = SSL_accept(peer->ssl) == 1;
    ERR_clear_error();
    return is_fine;
}

static void accept_peer(struct generator *self)
{
    struct peer *peer = calloc(1, sizeof *peer);
    int on = 1;
    if (peer == NULL) {
        sockets_fail("accept");
    }
    peer->fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer->fd < 0) {
        sockets_fail("accept");
    }
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = peer}};
    if ((self->tls != NULL && !start_tls(self, peer)) ||
        fcntl(peer->fd, F_SETFL, O_NONBLOCK) != 0 ||
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0) {
        end_peer(self, peer);
    }
}

/* Returns the number of bytes, 0 for none now, -1 for the end. */
static ssize_t read_some(struct peer *peer)
{
    size_t room = PEER_IN_MAX - 1 - peer->length;
    char *at = peer->in + peer->length;
    if (peer->ssl != NULL) {
        int got = SSL_read(peer->ssl, at, (int)room);
        int error = got <= 0 ? SSL_get_error(peer->ssl, got) : SSL_ERROR_NONE;
        ERR_clear_error();
        return error == SSL_ERROR_NONE ? got : error == SSL_ERROR_WANT_READ ? 0 : -1;
    }
    ssize_t got = recv(peer->fd, at, room, 0);
    return got > 0 ? got : got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void read_peer(struct generator *self, struct peer *peer)
{
    for (ssize_t got; (got = read_some(peer)) != 0;) {
        peer->length += got > 0 ? (size_t)got : 0;
        if (got < 0 || !answers_give(self, peer)) {
            end_peer(self, peer);
            return;
        }
    }
}

bool peers_serve(struct generator *self, int timeout_ms)
{
    struct epoll_event ready[READY_MAX];
    bool has_input = false;
    int count = epoll_wait(self->epoll, ready, READY_MAX, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (ready[i].data.ptr == self) {
            accept_peer(self);
        } else if (ready[i].data.ptr == NULL) {
            has_input = true;
        } else {
            read_peer(self, ready[i].data.ptr);
        }
    }
    return has_input;
}

void peers_write(struct peer *peer, const void *data, size_t length)
{
    const char *at = data;
    if (peer->ssl == NULL) {
        sockets_write(peer->fd, data, length);
        return;
    }
    while (length > 0) {
        int written = SSL_write(peer->ssl, at, (int)length);
        int error = written <= 0 ? SSL_get_error(peer->ssl, written) : SSL_ERROR_NONE;
        if (error == SSL_ERROR_WANT_WRITE) {
            struct pollfd poller = {.fd = peer->fd, .events = POLLOUT};
            poll(&poller, 1, -1);
        } else if (error != SSL_ERROR_NONE) {
            errno = 0;
            sockets_fail("TLS: the peer takes no more");
        } else {
            at += written;
            length -= (size_t)written;
        }
    }
}
