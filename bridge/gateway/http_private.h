/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the files http*.c share; nobody else includes this.
 *
 * Each node has a curl multi of its own, so that its connections are counted by themselves, though
 * two nodes may have the same host and port. http.c queues and starts, http_request.c is one
 * request from curl's options to its outcome, http_node.c what is constant for a node,
 * http_socket.c curl's sockets in epoll, http_change.c nodes that come, change and go.
 */
#ifndef ARIZMQ_GATEWAY_HTTP_PRIVATE_H
#define ARIZMQ_GATEWAY_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "gateway/http.h"

enum {
    HTTP_HEAD_MAX_BYTES = 256 * 1024,
    /* Asterisk queues ten connections; a SYN beyond them is lost, and sent again after a second. */
    HTTP_CONNECTING_MAX = 4,
    HTTP_IDLE_MAX_S = 12, /* curl cuts the fraction off; Asterisk closes after 15.0 s */
    HTTP_REASON_SIZE = 256,
    HTTP_ERROR_SIZE = 512,
    HTTP_CONNECTIONS_MAX = 90, /* the most that nodes[].rest_connections may be */
};

/* By descriptor. A connection stays in epoll while it is idle, which spares two calls for each
 * request; curl's other descriptors, whose end nobody tells us of, do not. */
struct http_socket {
    struct http_node *node; /* NULL: not curl's */
    uint32_t wanted;        /* by curl, 0: nothing */
    uint32_t registered;    /* in epoll, 0: it is not there */
    bool is_connection;
};

struct http_request {
    struct exchange_order order;
    exchange_done *done;
    void *owner;
    struct http_node *node;
    struct http_handle *handle; /* NULL: it is in the queue */
    bool is_safe;               /* may be sent twice */
    unsigned sends;             /* times that it was, or may have been, sent */
    uint64_t sent_ms;           /* monotonic; the last time */
    long connects;              /* connections made for it so far */
    long written;               /* bytes of it written before the last sending */
    const char *refusal;        /* why the answer cannot be passed on; static text, NULL: it can */
    size_t head_bytes;
    bool is_interim;    /* the head that comes is of a 1xx answer */
    bool is_head_whole; /* of the answer itself */
    char *body;         /* owned */
    size_t body_length;
    size_t body_capacity;
    struct http_request *prev, *next; /* utlist: the node's queue, or what it has sent */
};

/* One request at a time; curl joins it to whichever connection is free. */
struct http_handle {
    CURL *easy;
    struct http_node *node;
    struct http_request *request;   /* NULL: it is free */
    struct curl_slist content_type; /* the first of the headers, where there is a body */
    char *content_type_line;        /* owned */
    char method[17];                /* that curl has; "" for its own choice */
    char reason[HTTP_REASON_SIZE];
    char error[CURL_ERROR_SIZE];
    struct http_handle *next_free;
};

enum { HTTP_HEADERS_COUNT = 4 };

struct http_node {
    struct http *http;
    const struct config_node *config; /* held */
    CURLM *multi;
    CURLU *url;          /* "http://[::1]:8088/" */
    char *authorization; /* whole line */
    struct curl_slist headers[HTTP_HEADERS_COUNT];
    struct http_handle *handles[HTTP_CONNECTIONS_MAX];
    unsigned handles_count;
    struct http_handle *free_handles; /* the last used first */
    struct http_request *queue;       /* utlist, the oldest first */
    struct http_request *sent;        /* utlist, the one sent longest ago first */
    unsigned queued;
    unsigned under_way;   /* on a handle: connecting, sent, or over and not told yet */
    unsigned on_wire;     /* of these: sent */
    unsigned connections; /* open: being made, in use, idle */
    bool has_finished;    /* some may be over and not told yet */
    bool has_timer;
    uint64_t timer_ms;             /* monotonic: when curl wants to be called */
    struct http_node *prev, *next; /* utlist, of http->replaced */
};

struct http {
    const struct config *config; /* held */
    int epoll_fd;
    struct http_node **nodes;   /* CONFIG_SLOTS_MAX, by slot; NULL: there is none */
    unsigned slots;             /* of these that may be in use */
    struct http_node *replaced; /* utlist: others stand in their places, they end what they began */
    struct http_socket *sockets; /* by descriptor */
    size_t sockets_count;
};

/* --- http.c */

/* curl_multi_socket_action(). */
void http_node_act(struct http_node *node, curl_socket_t fd, int events);

/* --- http_socket.c */

/* curl's CURLMOPT_SOCKETFUNCTION, CURLOPT_OPENSOCKETFUNCTION (of a handle) and
 * CURLOPT_CLOSESOCKETFUNCTION (of a node). */
int http_socket_watch(CURL *easy, curl_socket_t fd, int what, void *node, void *unused);
curl_socket_t http_socket_open(void *handle, curlsocktype purpose, struct curl_sockaddr *address);
int http_socket_close(void *node, curl_socket_t fd);

/* Takes a request that is not on a handle out of its node's queue. */
void http_unqueue(struct http_request *request);

/* --- http_node.c; http_node_create() and http_node_destroy() are in http.h */

/* Tells curl how many connections there may be. False without memory. */
bool http_node_set_connections(struct http_node *node);

/* A free handle, or a new one; NULL: all are in use, or there is no memory, which *is_out_of_memory
 * tells. */
struct http_handle *http_node_take_handle(struct http_node *node, bool *is_out_of_memory);
void http_node_free_handle(struct http_handle *handle);

/* --- http_request.c */

/* The callbacks of a handle. */
int http_request_before_sending(void *handle, char *peer, char *local, int peer_port,
                                int local_port);
size_t http_request_read_head(char *line, size_t one, size_t length, void *handle);
size_t http_request_read_body(char *bytes, size_t one, size_t length, void *handle);

/* Whether curl may put it on a connection: not where it was sent and must not be sent again. */
bool http_request_may_be_sent(const struct http_request *request);

/* Gives curl the options of this request. Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int http_request_prepare(struct http_handle *handle, struct http_request *request);

/* Takes it off its handle, which is free then. */
void http_request_detach(struct http_request *request);

/* The transfer ended with `code`: detaches, calls `done`, frees. */
void http_request_end(struct http_request *request, CURLcode code);

/* The same, where it is we who ended it. `why` is a line's end. */
void http_request_fail(struct http_request *request, enum exchange_outcome outcome,
                       const char *why);

void http_request_free(struct http_request *request);

#endif
