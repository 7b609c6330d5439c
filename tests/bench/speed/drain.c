/* SPDX-License-Identifier: MPL-2.0 */
/*
 *     bench_drain websocket PORT
 *     bench_drain zmtp PORT SUBSCRIBERS [--prefixes TEMPLATE FIRST COUNT]...
 *
 * Either the WebSocket client that a program has without a relay, or that many ZMTP subscribers: to
 * everything, or to the prefixes that the templates give (%u becomes a number from FIRST on), which
 * are dealt out to the subscribers in turn. Says `ready` once each of them has had an event, and
 * then takes a command on stdin:
 *
 *     count FIRST COUNT [stamp] [shared]    counts the events FIRST to FIRST + COUNT - 1, which
 * each subscriber is to get, or with `shared` one of them; with `stamp` also the time from sending
 * to here. Says `counting`, and in the end a line of JSON
 *
 * The end is when all have come, or when nothing came for three seconds (five, before the first).
 * Ends with stdin.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "drain.h"
#include "sockets.h"
#include "websocket.h"
#include "zmtp.h"

enum {
    TAPS_MAX = 2000,
    READY_MAX = 64,
    TICK_MS = 100,
    QUIET_MS = 3000,
    PATIENT_MS = 5000, /* before the first event */
};

struct drain {
    int epoll;
    bool is_websocket;
    struct tap *taps;
    unsigned taps_count;
    unsigned fed_count;
};

static void subscribe(const struct drain *self, const char *template, unsigned first,
                      unsigned count)
{
    const char *mark = strstr(template, "%u");
    for (unsigned i = 0; i < count; i++) {
        char prefix[256];
        if (mark != NULL) {
            snprintf(prefix, sizeof prefix, "%.*s%u%s", (int)(mark - template), template, first + i,
                     mark + 2);
        } else {
            snprintf(prefix, sizeof prefix, "%s", template);
        }
        zmtp_subscribe(self->taps[i % self->taps_count].fd, prefix);
    }
}

static void connect_taps(struct drain *self, int argc, char **argv)
{
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    for (unsigned i = 0; i < self->taps_count; i++) {
        struct tap *tap = &self->taps[i];
        tap->fd = self->is_websocket ? websocket_connect(port) : sockets_connect(port);
        tap->in = malloc(TAP_IN_BYTES);
        if (tap->in == NULL) {
            sockets_fail("no memory");
        }
        if (!self->is_websocket) {
            zmtp_shake_hands(tap->fd, "SUB");
        }
        if (!self->is_websocket && argc == 4) {
            zmtp_subscribe(tap->fd, "");
        }
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = tap}};
        if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, tap->fd, &event) != 0) {
            sockets_fail("epoll_ctl");
        }
    }
    for (int i = 4; i + 3 < argc; i += 4) {
        subscribe(self, argv[i + 1], (unsigned)strtoul(argv[i + 2], NULL, 10),
                  (unsigned)strtoul(argv[i + 3], NULL, 10));
    }
}

/* Reads what has come, or comes within that time; *has_input: there is a command. */
static void serve(struct drain *self, struct tally *tally, int timeout_ms, bool *has_input)
{
    struct epoll_event ready[READY_MAX];
    int count = epoll_wait(self->epoll, ready, READY_MAX, timeout_ms);
    *has_input = false;
    for (int i = 0; i < count; i++) {
        struct tap *tap = ready[i].data.ptr;
        if (tap == NULL) {
            *has_input = true;
            continue;
        }
        bool was_fed = tap->is_fed;
        if (!tap_read(tap, self->is_websocket, tally)) {
            errno = 0;
            sockets_fail("the relay closed the connection");
        }
        self->fed_count += tap->is_fed && !was_fed;
        if (tap->is_fed && !was_fed && self->fed_count == self->taps_count) {
            printf("ready\n");
        }
    }
}

static void report(const struct drain *self, struct tally *tally, uint64_t expected)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (unsigned i = 0; i < self->taps_count; i++) {
        uint64_t received = self->taps[i].received;
        least = received < least ? received : least;
        most = received > most ? received : most;
    }
    tally_print(tally, expected, least, most);
}

/* Heartbeats come at any time, so only what is counted ends the silence. */
static void wait_for_events(struct drain *self, struct tally *tally, uint64_t expected)
{
    uint64_t changed_ns = sockets_now_ns();
    uint64_t known = 0;
    bool has_input = false;
    for (uint64_t quiet_ms = 0;
         tally->received < expected && quiet_ms < (known > 0 ? QUIET_MS : PATIENT_MS);) {
        serve(self, tally, TICK_MS, &has_input);
        uint64_t now_ns = sockets_now_ns();
        if (tally->received != known) {
            known = tally->received;
            changed_ns = now_ns;
        }
        quiet_ms = (now_ns - changed_ns) / 1000000U;
    }
}

static void count_events(struct drain *self, const char *line)
{
    struct tally tally = {0};
    uint64_t count = 0;
    if (sscanf(line, "count %" SCNu64 " %" SCNu64, &tally.first, &count) != 2 || count == 0) {
        sockets_fail("count FIRST COUNT [stamp] [shared]");
    }
    uint64_t expected = count * (strstr(line, " shared") != NULL ? 1 : self->taps_count);
    tally.last = tally.first + count - 1;
    tally.is_timed = strstr(line, " stamp") != NULL;
    tally.latencies_max = tally.is_timed ? (size_t)expected : 0;
    tally.latencies_ns = calloc(tally.latencies_max + 1, sizeof *tally.latencies_ns);
    if (tally.latencies_ns == NULL) {
        sockets_fail("no memory");
    }
    for (unsigned i = 0; i < self->taps_count; i++) {
        self->taps[i].received = 0;
    }
    printf("counting\n");
    wait_for_events(self, &tally, expected);
    report(self, &tally, expected);
    free(tally.latencies_ns);
}

int main(int argc, char **argv)
{
    struct drain self = {.epoll = epoll_create1(EPOLL_CLOEXEC), .taps_count = 1};
    self.is_websocket = argc == 3 && strcmp(argv[1], "websocket") == 0;
    if (!self.is_websocket) {
        if (argc < 4 || argc % 4 != 0 || strcmp(argv[1], "zmtp") != 0) {
            sockets_fail("bench_drain websocket PORT, or zmtp PORT SUBSCRIBERS "
                         "[--prefixes TEMPLATE FIRST COUNT]...");
        }
        self.taps_count = (unsigned)strtoul(argv[3], NULL, 10);
    }
    if (self.taps_count == 0 || self.taps_count > TAPS_MAX) {
        sockets_fail("1 to 2000 subscribers");
    }
    self.taps = calloc(self.taps_count, sizeof *self.taps);
    if (self.taps == NULL) {
        sockets_fail("no memory");
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    connect_taps(&self, argc, argv);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};
    if (epoll_ctl(self.epoll, EPOLL_CTL_ADD, 0, &event) != 0) {
        sockets_fail("epoll_ctl");
    }
    for (;;) {
        struct tally none = {.first = 1};
        bool has_input = false;
        char line[128];
        serve(&self, &none, -1, &has_input);
        if (has_input) {
            if (fgets(line, sizeof line, stdin) == NULL) {
                return 0;
            }
            count_events(&self, line);
        }
    }
}
