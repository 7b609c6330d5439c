/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the files of bench_ping share: one load, which is GET asterisk/ping so many times with so
 * many in flight, and what was measured of it.
 */
#ifndef ARIZMQ_BENCH_PING_H
#define ARIZMQ_BENCH_PING_H

#include <stddef.h>
#include <stdint.h>

enum { PING_IN_FLIGHT_MAX = 1024 };

struct ping_load {
    const char *target; /* "127.0.0.1:8088" for http and curl, else a ZeroMQ endpoint */
    const char *url;    /* zurl: what it is to get, "http://127.0.0.1:8088/ari/asterisk/ping" */
    const char *authorization; /* http, curl, zurl: "Basic bGFiOnNlY3JldA==" */
    int has_request_ids;       /* gateway: each command is to run once */
    uint32_t in_flight;
    uint32_t warm_up; /* answers before the clock starts */
    uint32_t requests;

    uint32_t answered; /* so far, those of the warm-up among them */
    uint64_t begun_ns;
    uint64_t begun_cpu_ns; /* of this process */
    uint64_t ended_ns;
    uint64_t ended_cpu_ns;
    uint64_t *latency_ns; /* room for `requests` */
};

/* Each runs the whole load; what goes wrong ends the program. With one in flight it is the
 * simplest client that there is: a blocking socket, a REQ socket. */
void ping_http(struct ping_load *load);
void ping_curl(struct ping_load *load);
void ping_gateway(struct ping_load *load);
void ping_zurl(struct ping_load *load);
void ping_echo(struct ping_load *load);

uint64_t ping_now_ns(void);

/* How many are still to be sent, where `sent` were. */
uint32_t ping_left(const struct ping_load *load, uint32_t sent);

/* An answer came, and it was good. */
void ping_answered(struct ping_load *load, uint64_t sent_ns);

/* Whether `text` stands in bytes[0..length). */
int ping_contains(const char *bytes, size_t length, const char *text);

void ping_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
