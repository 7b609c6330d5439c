/* SPDX-License-Identifier: MPL-2.0 */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

void sockets_fail(const char *what)
{
    fprintf(stderr, "%s%s%s\n", what, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int sockets_connect(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        sockets_fail("connect");
    }
    return fd;
}

int sockets_listen(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, length) != 0 ||
        listen(fd, SOMAXCONN) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        sockets_fail("listen");
    }
    printf("port %u\n", ntohs(address.sin_port));
    return fd;
}

void sockets_write(int fd, const void *data, size_t length)
{
    const uint8_t *at = data;
    while (length > 0) {
        ssize_t written = send(fd, at, length, MSG_NOSIGNAL);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd poller = {.fd = fd, .events = POLLOUT};
            poll(&poller, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            sockets_fail("send");
        } else if (written > 0) {
            at += written;
            length -= (size_t)written;
        }
    }
}

void sockets_read(int fd, void *data, size_t length)
{
    uint8_t *at = data;
    while (length > 0) {
        ssize_t got = recv(fd, at, length, 0);
        if (got == 0) {
            errno = 0;
            sockets_fail("the peer closed the connection");
        }
        if (got < 0 && errno != EINTR) {
            sockets_fail("recv");
        }
        if (got > 0) {
            at += got;
            length -= (size_t)got;
        }
    }
}

uint64_t sockets_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}
