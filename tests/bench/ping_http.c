/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Straight to Asterisk: HTTP/1.1 over connections that are kept, written by hand so that nothing is
 * in the way. One in flight: a blocking socket. More: as many connections, one request on each, and
 * epoll.
 */
#include "ping.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_SIZE = 8192, TARGET_SIZE = 256, REQUEST_SIZE = 1024 };

struct line {
    int fd;
    uint64_t sent_ns;
    size_t length;
    char answer[ANSWER_SIZE];
};

struct requester {
    struct ping_load *load;
    uint32_t sent;
    size_t length;
    char request[REQUEST_SIZE];
};

static int connect_to(const char *target)
{
    char host[TARGET_SIZE];
    snprintf(host, sizeof host, "%s", target);
    char *colon = strrchr(host, ':');
    if (colon == NULL) {
        ping_die("\"%s\" is no host:port", target);
    }
    *colon = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    int result = getaddrinfo(host, colon + 1, &hints, &address);
    if (result != 0) {
        ping_die("%s: %s", target, gai_strerror(result));
    }
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        ping_die("%s: %s", target, strerror(errno));
    }
    freeaddrinfo(address);
    return fd;
}

/* A request is far smaller than the socket's buffer, which is empty: it goes out whole. */
static void send_one(struct requester *requester, struct line *line)
{
    line->length = 0;
    line->sent_ns = ping_now_ns();
    ssize_t length = send(line->fd, requester->request, requester->length, MSG_NOSIGNAL);
    if (length != (ssize_t)requester->length) {
        ping_die("a request was not sent whole: %s", strerror(errno));
    }
    requester->sent++;
}

/* The length of the whole answer; 0 while its head is not. */
static size_t answer_length(struct line *line)
{
    line->answer[line->length] = '\0';
    const char *end = strstr(line->answer, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    const char *value = strcasestr(line->answer, "\r\nContent-Length:");
    if (value == NULL || value > end) {
        ping_die("an answer without a length: %s", line->answer);
    }
    return (size_t)(end + 4 - line->answer) +
           strtoul(value + strlen("\r\nContent-Length:"), NULL, 10);
}

/* Reads what is there, blocks where nothing is. Returns whether the answer is whole; then it was
 * checked. */
static bool read_some(struct line *line)
{
    ssize_t length = recv(line->fd, line->answer + line->length, ANSWER_SIZE - 1 - line->length, 0);
    if (length <= 0) {
        ping_die("the connection ended: %s", length == 0 ? "closed" : strerror(errno));
    }
    line->length += (size_t)length;
    size_t whole = answer_length(line);
    if (whole == 0 || line->length < whole) {
        return false;
    }
    static const char status[] = "HTTP/1.1 200 ";
    if (line->length > whole || strncmp(line->answer, status, sizeof status - 1) != 0 ||
        !ping_contains(line->answer, whole, "\"pong\"")) {
        ping_die("a wrong answer: %s", line->answer);
    }
    return true;
}

static void run_serial(struct requester *requester, struct line *line)
{
    while (ping_left(requester->load, requester->sent) > 0) {
        send_one(requester, line);
        while (!read_some(line)) {
        }
        ping_answered(requester->load, line->sent_ns);
    }
}

static void run_parallel(struct requester *requester, struct line *lines)
{
    struct ping_load *load = requester->load;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < load->in_flight; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &lines[i]};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, lines[i].fd, &event) != 0) {
            ping_die("epoll: %s", strerror(errno));
        }
        send_one(requester, &lines[i]);
    }
    while (ping_left(load, load->answered) > 0) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++) {
            struct line *line = events[i].data.ptr;
            if (!read_some(line)) {
                continue;
            }
            ping_answered(load, line->sent_ns);
            if (ping_left(load, requester->sent) > 0) {
                send_one(requester, line);
            }
        }
    }
    close(epoll_fd);
}

void ping_http(struct ping_load *load)
{
    struct requester requester = {.load = load};
    int length =
        snprintf(requester.request, sizeof requester.request,
                 "GET /ari/asterisk/ping HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n",
                 load->target, load->authorization);
    if (length < 0 || (size_t)length >= sizeof requester.request) {
        ping_die("the request is too long");
    }
    requester.length = (size_t)length;
    struct line *lines = calloc(load->in_flight, sizeof *lines);
    if (lines == NULL) {
        ping_die("no memory for %u connections", load->in_flight);
    }
    for (uint32_t i = 0; i < load->in_flight; i++) {
        lines[i].fd = connect_to(load->target);
    }
    if (load->in_flight == 1) {
        run_serial(&requester, lines);
    } else {
        run_parallel(&requester, lines);
    }
    for (uint32_t i = 0; i < load->in_flight; i++) {
        close(lines[i].fd);
    }
    free(lines);
}
