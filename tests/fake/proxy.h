/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fault_proxy: forwards TCP connections to a target and spoils them as told on stdin.
 * fault_proxy.c has the loop and the sockets, proxy_commands.c the commands, proxy_flow.c one
 * direction of one connection.
 */
#ifndef ARIZMQ_FAKE_PROXY_H
#define ARIZMQ_FAKE_PROXY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* up: client to target; down: target to client. */
enum proxy_direction { PROXY_UP, PROXY_DOWN, PROXY_DIRECTIONS };

enum { PROXY_UNLIMITED = -1 };

/* What is wrong with one direction of all connections. */
struct proxy_faults {
    unsigned delay_ms;  /* each piece is forwarded that much later */
    size_t slice_bytes; /* the most that one write forwards; 0: no limit */
    bool is_stalled;    /* nothing is read or written */
    bool is_black_hole; /* everything is read and nothing forwarded, the end neither */
    int64_t pass_bytes; /* so many bytes more, for each connection; PROXY_UNLIMITED */
    bool holds_after;   /* after pass_bytes: silence; else the connection is closed */
};

struct proxy_chunk {
    struct proxy_chunk *prev;
    struct proxy_chunk *next;
    uint64_t due_ms;
    size_t length;
    size_t sent;
    uint8_t data[];
};

/* One direction of one connection. */
struct proxy_flow {
    struct proxy_chunk *queue; /* oldest first */
    size_t queued_bytes;
    int64_t pass_left; /* PROXY_UNLIMITED, or what may still pass */
    uint64_t forwarded_bytes;
    bool source_has_ended;
    bool end_is_forwarded;
};

enum proxy_flow_result {
    PROXY_FLOW_GOES_ON,
    PROXY_FLOW_BROKEN,    /* a socket failed */
    PROXY_FLOW_TRUNCATED, /* all that may pass has passed: close */
};

uint64_t proxy_now_ms(void);

bool proxy_flow_wants_to_read(const struct proxy_flow *flow, const struct proxy_faults *faults);
/* Time in ms at which the next byte may be written: now or earlier if at once, UINT64_MAX: none. */
uint64_t proxy_flow_next_write(const struct proxy_flow *flow, const struct proxy_faults *faults);
enum proxy_flow_result proxy_flow_read(struct proxy_flow *flow, const struct proxy_faults *faults,
                                       int source);
enum proxy_flow_result proxy_flow_write(struct proxy_flow *flow, const struct proxy_faults *faults,
                                        int sink);
void proxy_flow_free(struct proxy_flow *flow);

struct proxy_connection {
    struct proxy_connection *prev;
    struct proxy_connection *next;
    unsigned id;
    int sockets[PROXY_DIRECTIONS]; /* [PROXY_UP]: where up comes from, the client; then the target
                                    */
    bool is_connecting;
    struct proxy_flow flows[PROXY_DIRECTIONS];
    size_t poll_index; /* of its first socket in this turn's poll set */
};

extern struct proxy {
    struct sockaddr_in target;
    uint16_t port;
    int listener; /* -1: refuses */
    struct proxy_faults faults[PROXY_DIRECTIONS];
    struct proxy_connection *connections;
    unsigned connections_count;
    unsigned accepted;
    uint64_t forwarded_bytes[PROXY_DIRECTIONS]; /* of closed connections */
    bool is_quitting;
} proxy;

/* 0, or -1 with errno: listens on proxy.port, 0 chooses one. */
int proxy_listen(void);
/* With `resets` both peers see RST, else FIN. `why` goes into the event. */
void proxy_connection_close(struct proxy_connection *connection, const char *why, bool resets);
/* Everything passes again. */
void proxy_clear(void);
/* Does what the line says and answers it. The line is changed. */
void proxy_run(char *line);

#endif
