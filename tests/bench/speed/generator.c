/* SPDX-License-Identifier: MPL-2.0 */
/*
 *     bench_generator [--calls N | --channels N] [--tls CERTIFICATE KEY]
 *
 * Listens on a free port of 127.0.0.1 (`port N` on stdout), says `links N` whenever a WebSocket has
 * upgraded, and takes commands on stdin:
 *
 *     send COUNT RATE [stamp]    COUNT events, RATE a second (0: as fast as they are taken), dealt
 *                                out to all links in turn; with `stamp` each carries the time at
 *                                which it was sent. Answers `sent COUNT NANOSECONDS`
 *
 * Ends with stdin. An event that becomes due while the generator waits for its peer carries the
 * time at which it was due: a relay that stands still is not excused.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include "block.h"
#include "generator.h"
#include "sockets.h"

enum {
    BATCH_EVENTS = 256,            /* in one write, where they are sent as fast as they are taken */
    SERVE_EVERY_NS = 50 * 1000000, /* while events are sent */
    BLOCKED_NS = 1000000,          /* a write that takes longer had to wait for the peer */
    CALLS = 200,
};

struct run {
    uint64_t count;
    uint64_t rate;
    bool is_stamped;
    uint64_t start_ns;
    uint64_t sent;
    uint64_t blocked_until_ns; /* the end of the last write that had to wait */
    uint64_t served_ns;
    size_t next_link;
};

void generator_add_link(struct generator *self, struct peer *peer)
{
    if (self->links_count == self->links_capacity) {
        self->links_capacity = self->links_capacity * 2 + 16;
        self->links = realloc(self->links, self->links_capacity * sizeof *self->links);
        if (self->links == NULL) {
            sockets_fail("links");
        }
    }
    self->links[self->links_count++] = peer;
    printf("links %zu\n", self->links_count);
}

/* A run of an hour at a million a second does not overflow these. */
static uint64_t due_ns(const struct run *run, uint64_t n)
{
    return run->start_ns + n * 1000000000U / run->rate;
}

static uint64_t due_count(const struct run *run, uint64_t now_ns)
{
    if (run->rate == 0) {
        return run->count;
    }
    uint64_t due = (now_ns - run->start_ns) * run->rate / 1000000000U + 1;
    return due < run->count ? due : run->count;
}

static uint64_t stamp_of(const struct run *run, uint64_t n, uint64_t now_ns)
{
    if (!run->is_stamped) {
        return 0;
    }
    bool has_waited = run->rate != 0 && due_ns(run, n) < run->blocked_until_ns;
    return has_waited ? due_ns(run, n) : now_ns;
}

/* How many events lie behind each other in the block and may be written at once. */
static uint64_t batch_size(const struct generator *self, const struct run *run, uint64_t due)
{
    uint64_t most = self->links_count > 1 && run->rate != 0 ? 1 : BATCH_EVENTS;
    uint64_t to_end = self->block->count - self->seq % self->block->count;
    uint64_t size = due - run->sent;
    size = size < most ? size : most;
    return size < to_end ? size : to_end;
}

static void send_batch(struct generator *self, struct run *run, uint64_t size, uint64_t now_ns)
{
    const struct block_frame *first = NULL;
    size_t bytes = 0;
    for (uint64_t i = 0; i < size; i++) {
        const struct block_frame *frame =
            block_write(self->block, ++self->seq, stamp_of(run, run->sent + i, now_ns));
        first = first != NULL ? first : frame;
        bytes += frame->length;
    }
    struct peer *link = self->links[run->next_link++ % self->links_count];
    peers_write(link, self->block->bytes + first->offset, bytes);
    run->sent += size;
    uint64_t after_ns = run->is_stamped ? sockets_now_ns() : 0;
    if (after_ns > now_ns + BLOCKED_NS) {
        run->blocked_until_ns = after_ns;
    }
}

static void sleep_until(uint64_t time_ns)
{
    struct timespec until = {.tv_sec = (time_t)(time_ns / 1000000000U),
                             .tv_nsec = (long)(time_ns % 1000000000U)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void send_events(struct generator *self, struct run *run)
{
    run->start_ns = sockets_now_ns();
    run->served_ns = run->start_ns;
    while (run->sent < run->count) {
        uint64_t now_ns = sockets_now_ns();
        uint64_t due = due_count(run, now_ns);
        if (now_ns > run->served_ns + SERVE_EVERY_NS) {
            run->served_ns = now_ns;
            peers_serve(self, 0);
        }
        if (self->links_count == 0) {
            errno = 0;
            sockets_fail("nobody is connected");
        }
        if (due > run->sent) {
            send_batch(self, run, batch_size(self, run, due), now_ns);
        } else {
            sleep_until(due_ns(run, run->sent));
        }
    }
    printf("sent %" PRIu64 " %" PRIu64 "\n", run->sent, sockets_now_ns() - run->start_ns);
}

static void take_command(struct generator *self, const char *line)
{
    struct run run = {0};
    char word[16] = "";
    int words = sscanf(line, "send %" SCNu64 " %" SCNu64 " %15s", &run.count, &run.rate, word);
    if (words < 2 || run.count == 0 || (words == 3 && strcmp(word, "stamp") != 0)) {
        printf("error send COUNT RATE [stamp]\n");
        return;
    }
    run.is_stamped = words == 3;
    send_events(self, &run);
}

static SSL_CTX *create_tls(const char *certificate, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_file(tls, certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
        errno = 0;
        sockets_fail("the certificate or its key cannot be used");
    }
    return tls;
}

static void parse(struct generator *self, int argc, char **argv)
{
    unsigned calls = CALLS;
    unsigned channels = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--calls") == 0 && i + 1 < argc) {
            calls = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--channels") == 0 && i + 1 < argc) {
            channels = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            self->tls = create_tls(argv[i + 1], argv[i + 2]);
            i += 2;
        } else {
            sockets_fail("bench_generator [--calls N | --channels N] [--tls CERTIFICATE KEY]");
        }
    }
    if (calls == 0 || calls > BLOCK_CALLS_MAX) {
        sockets_fail("--calls: 1 to 900");
    }
    self->block = channels > 0 ? block_create_channels(channels) : block_create_calls(calls);
    if (self->block == NULL) {
        sockets_fail("no memory for the events");
    }
}

static void watch(struct generator *self, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        sockets_fail("epoll_ctl");
    }
}

int main(int argc, char **argv)
{
    struct generator self = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    parse(&self, argc, argv);
    self.listener = sockets_listen();
    watch(&self, self.listener, &self);
    watch(&self, 0, NULL);
    for (;;) {
        char line[128];
        if (peers_serve(&self, -1)) {
            if (fgets(line, sizeof line, stdin) == NULL) {
                return 0;
            }
            take_command(&self, line);
        }
    }
}
