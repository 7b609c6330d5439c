/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A TCP proxy between the daemon and its Asterisk (or a subscriber and the daemon) that delays,
 * slices, stalls, cuts and swallows what passes. The first line on stdout is "port N"; then each
 * line on stdin is a command, answered by "ok …" or "error …", and "event …" lines tell of
 * connections. The end of stdin ends the program. Plain sockets and poll(); it never looks into
 * the bytes.
 */
#include "proxy.h"

#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum { CONNECTIONS_MAX = 1000, LINE_MAX_BYTES = 4096 };

struct proxy proxy = {.listener = -1};

int proxy_listen(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(proxy.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = error;
        return -1;
    }
    proxy.port = ntohs(address.sin_port);
    proxy.listener = fd;
    return 0;
}

void proxy_connection_close(struct proxy_connection *connection, const char *why, bool resets)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        if (resets) {
            setsockopt(connection->sockets[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        } else {
            /* The end goes out before close() may turn it into a reset for unread bytes. */
            shutdown(connection->sockets[i], SHUT_RDWR);
        }
        close(connection->sockets[i]);
        proxy.forwarded_bytes[i] += connection->flows[i].forwarded_bytes;
        proxy_flow_free(&connection->flows[i]);
    }
    printf("event closed id=%u why=%s\n", connection->id, why);
    DL_DELETE(proxy.connections, connection);
    proxy.connections_count--;
    free(connection);
}

static void proxy_accept(void)
{
    int client = accept4(proxy.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
        return;
    }
    int target = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct proxy_connection *connection = calloc(1, sizeof *connection);
    if (target < 0 || !connection || proxy.connections_count == CONNECTIONS_MAX) {
        fprintf(stderr, "fault_proxy: cannot take another connection: %s\n", strerror(errno));
        close(client);
        if (target >= 0) {
            close(target);
        }
        free(connection);
        return;
    }
    int one = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->id = ++proxy.accepted;
    connection->sockets[PROXY_UP] = client;
    connection->sockets[PROXY_DOWN] = target;
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        connection->flows[i].pass_left = proxy.faults[i].pass_bytes;
    }
    DL_APPEND(proxy.connections, connection);
    proxy.connections_count++;
    printf("event connected id=%u\n", connection->id);
    connection->is_connecting = true;
    if (connect(target, (struct sockaddr *)&proxy.target, sizeof proxy.target) < 0 &&
        errno != EINPROGRESS) {
        proxy_connection_close(connection, "target-unreachable", true);
    }
}

/* What poll() shall watch of one connection; returns when a delayed piece is due. */
static uint64_t connection_watch(const struct proxy_connection *connection, struct pollfd *polled,
                                 uint64_t now)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        polled[i] = (struct pollfd){.fd = connection->sockets[i]};
    }
    if (connection->is_connecting) {
        polled[PROXY_DOWN].events = POLLOUT;
        polled[PROXY_UP].fd = -1;
        return next;
    }
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        const struct proxy_flow *flow = &connection->flows[i];
        if (proxy_flow_wants_to_read(flow, &proxy.faults[i])) {
            polled[i].events |= POLLIN;
        }
        uint64_t due = proxy_flow_next_write(flow, &proxy.faults[i]);
        if (due <= now) {
            polled[!i].events |= POLLOUT;
        } else if (due < next) {
            next = due;
        }
    }
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        /* poll() reports a hang-up unasked, and would do so for ever while we do not want it. */
        if (polled[i].events == 0) {
            polled[i].fd = -1;
        }
    }
    return next;
}

static void connection_connected(struct proxy_connection *connection)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->sockets[PROXY_DOWN], SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        proxy_connection_close(connection, "target-unreachable", true);
        return;
    }
    connection->is_connecting = false;
}

static void connection_serve(struct proxy_connection *connection, const struct pollfd *polled,
                             uint64_t now)
{
    if (connection->is_connecting) {
        if (polled[PROXY_DOWN].revents) {
            connection_connected(connection);
        }
        return;
    }
    for (int i = 0; i < PROXY_DIRECTIONS; i++) {
        struct proxy_flow *flow = &connection->flows[i];
        const struct proxy_faults *faults = &proxy.faults[i];
        enum proxy_flow_result result = PROXY_FLOW_GOES_ON;
        if (polled[i].revents & (POLLIN | POLLHUP | POLLERR) &&
            proxy_flow_wants_to_read(flow, faults)) {
            result = proxy_flow_read(flow, faults, connection->sockets[i]);
        }
        if (result == PROXY_FLOW_GOES_ON && polled[!i].revents & (POLLOUT | POLLHUP | POLLERR) &&
            proxy_flow_next_write(flow, faults) <= now) {
            result = proxy_flow_write(flow, faults, connection->sockets[!i]);
        }
        if (result != PROXY_FLOW_GOES_ON) {
            proxy_connection_close(connection,
                                   result == PROXY_FLOW_TRUNCATED ? "truncated" : "broken",
                                   result == PROXY_FLOW_BROKEN);
            return;
        }
    }
    if (connection->flows[PROXY_UP].end_is_forwarded &&
        connection->flows[PROXY_DOWN].end_is_forwarded) {
        proxy_connection_close(connection, "ended", false);
    }
}

static void proxy_read_commands(void)
{
    static char buffer[LINE_MAX_BYTES];
    static size_t used;
    ssize_t n = read(STDIN_FILENO, buffer + used, sizeof buffer - used);
    if (n <= 0) {
        proxy.is_quitting = n == 0 || (errno != EINTR && errno != EAGAIN);
        return;
    }
    used += (size_t)n;
    char *newline;
    while ((newline = memchr(buffer, '\n', used)) != NULL) {
        *newline = '\0';
        proxy_run(buffer);
        used -= (size_t)(newline + 1 - buffer);
        memmove(buffer, newline + 1, used);
    }
    if (used == sizeof buffer) {
        printf("error a command is at most %d bytes\n", LINE_MAX_BYTES - 1);
        used = 0;
    }
}

/* ---- the loop ---- */

static void proxy_turn(void)
{
    static struct pollfd polled[2 + CONNECTIONS_MAX * PROXY_DIRECTIONS];
    uint64_t now = proxy_now_ms();
    uint64_t next = UINT64_MAX;
    size_t count = 2;
    polled[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = proxy.listener, .events = POLLIN};
    struct proxy_connection *each;
    DL_FOREACH(proxy.connections, each)
    {
        each->poll_index = count;
        uint64_t due = connection_watch(each, polled + count, now);
        next = due < next ? due : next;
        count += PROXY_DIRECTIONS;
    }
    fflush(stdout);
    int timeout = next == UINT64_MAX ? -1 : (int)(next - now);
    if (poll(polled, count, timeout) < 0) {
        return;
    }
    struct proxy_connection *after;
    now = proxy_now_ms();
    DL_FOREACH_SAFE(proxy.connections, each, after)
    {
        connection_serve(each, polled + each->poll_index, now);
    }
    if (polled[1].revents & POLLIN) {
        proxy_accept();
    }
    if (polled[0].revents) {
        proxy_read_commands();
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    char *end = NULL;
    unsigned long port;
    switch (key) {
    case ARGP_KEY_ARG:
        port = strtoul(argument, &end, 10);
        if (state->arg_num > 0 || !*argument || *end || port == 0 || port > 65535) {
            argp_error(state, "\"%s\" is no port; allowed: one number of 1 to 65535", argument);
        }
        proxy.target.sin_port = htons((uint16_t)port);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "the target's port is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        NULL, parse_option, "TARGET_PORT", "A TCP proxy with faults, for tests; 127.0.0.1 only.",
        NULL, NULL,         NULL};
    proxy.target.sin_family = AF_INET;
    proxy.target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    proxy_clear();
    if (proxy_listen()) {
        fprintf(stderr, "fault_proxy: cannot listen: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    printf("port %u\n", proxy.port);
    while (!proxy.is_quitting) {
        proxy_turn();
    }
    while (proxy.connections) {
        proxy_connection_close(proxy.connections, "quit", false);
    }
    if (proxy.listener >= 0) {
        close(proxy.listener);
    }
    return EXIT_SUCCESS;
}
