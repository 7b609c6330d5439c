/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The daemon's configuration: defaults, then the YAML file, then the environment, then flags.
 * Every key is described in docker/arizmqd.example.yaml and schemas/config.schema.json; the
 * members here have the keys' names. Units are in the names.
 */
#ifndef ARIZMQ_OPS_CONFIG_H
#define ARIZMQ_OPS_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONFIG_NODES_MAX = 4096,
    CONFIG_PUBLISH_MAX = 16,
    /* Indexes of nodes: a node that has been removed keeps its own until nothing refers to it. */
    CONFIG_SLOTS_MAX = 2 * CONFIG_NODES_MAX,
};

/* What a link does once another client has taken its application (ApplicationReplaced). */
enum config_on_replaced {
    CONFIG_ON_REPLACED_STANDBY,   /* stays away until the daemon is restarted */
    CONFIG_ON_REPLACED_WHEN_FREE, /* asks every replaced_retry_ms; back when the app is gone (404)
                                   */
    CONFIG_ON_REPLACED_RECONNECT, /* takes it back after replaced_retry_ms */
};

enum config_view_kind {
    CONFIG_VIEW_EVENTS,  /* one message for each event */
    CONFIG_VIEW_OBJECTS, /* one message for each object that the event mentions */
};

/* How commands travel to an Asterisk. */
enum config_rest {
    CONFIG_REST_HTTP,      /* HTTP/1.1, over rest_connections kept alive */
    CONFIG_REST_WEBSOCKET, /* over the WebSocket of its first application that is up; Asterisk 22.4+
                            */
};

/* SHA-256 of a file's content; all zero: no file. */
struct config_digest {
    unsigned char bytes[32];
};

struct config_tls {
    char *ca_file;   /* PEM; NULL: the system's certificate authorities */
    char *cert_file; /* PEM client certificate, NULL: none */
    char *key_file;  /* PEM key of cert_file */
    bool verify;     /* default true */

    /* Of the files when they were loaded, so that a changed file shows. */
    struct config_digest ca_digest;
    struct config_digest cert_digest;
    struct config_digest key_digest;
};

struct config_node {
    char *name; /* [A-Za-z0-9._-]{1,64}, unique: the {node} of every topic */
    char *url;  /* ws://HOST[:PORT]/PATH, wss:// too; the path ends in /ari. http:// and https://
                   mean the same and arrive here as ws:// and wss:// */
    char *username;
    char *password;      /* from password, password_file or the environment; never printed */
    char *password_file; /* NULL where unused; its content without the final newline is the password
                          */
    char **apps;         /* at least one; each is one WebSocket */
    unsigned apps_count;
    bool subscribe_all;      /* default false; with several apps, subscribe_all_app names the one */
    char *subscribe_all_app; /* one of apps; after loading never NULL where subscribe_all is true;
                                without meaning where it is false */
    struct config_tls tls;
    uint32_t connect_timeout_ms; /* 5000: DNS, TCP, TLS and the handshake, together */
    uint32_t liveness_ms;        /* 10000: a link is closed when nothing was heard for this long */
    uint32_t backoff_min_ms;     /* 200 */
    uint32_t backoff_max_ms;     /* 30000 */
    enum config_on_replaced on_replaced; /* when_free */
    uint32_t replaced_retry_ms;          /* 30000 */
    enum config_rest rest;               /* http */
    uint32_t rest_connections;           /* 32; the most at a time, of the 100 sessions that an
                                            Asterisk has for WebSockets and REST together */

    /* Derived from url when loading. */
    bool use_tls;
    char *host; /* without brackets for IPv6 */
    uint16_t port;
    char *path; /* "/ari": no trailing slash */

    const struct config *config; /* that it belongs to; see config_node_hold() */
};

struct config_publish {
    enum config_view_kind view;
    char *endpoint; /* tcp://, ipc:// or inproc:// as zmq_bind takes it */
    char *topic;    /* template; NULL: that of the view */
    int32_t sndhwm; /* 10000 messages for each subscriber; ZeroMQ's ZMQ_SNDHWM */
};

struct config_limits {
    uint64_t max_event_bytes;        /* 4 MiB */
    uint32_t max_counters;           /* 100000 topic counters for each view and depth */
    uint32_t heartbeat_first_tokens; /* 1000: the most first tokens that a heartbeat lists */
    uint32_t coalesce_ms;            /* 0: events that come are read at once */
    uint32_t receive_buffer_bytes;   /* 65536: the most that is read from a socket in one go */
};

/* The ROUTER socket and what stands behind it. */
struct config_gateway {
    bool enabled;                   /* true */
    char *endpoint;                 /* tcp://127.0.0.1:5558; as zmq_bind takes it */
    uint32_t timeout_ms;            /* 5000: for requests that give none */
    uint32_t max_timeout_ms;        /* 600000: the most that a request may ask for */
    uint32_t answer_timeout_ms;     /* 30000: how long a connection waits for an answer before it is
                                       closed, though its client may have had a 504 long since */
    uint32_t max_requests;          /* 20000 under way, all nodes together; then 429 */
    uint32_t max_requests_per_node; /* 10000 */
    uint32_t max_request_bytes;     /* 65536: header and body frame together; then 413 */
    uint32_t max_body_bytes;        /* 40960: Asterisk takes no larger one; then 413 */
    uint32_t max_request_line_bytes; /* 4096: method, path, query; Asterisk's bound; then 413 */
    uint64_t max_reply_bytes;        /* 64 MiB: a larger answer becomes 502 */
    uint32_t max_objects;            /* 500000 whose owner is remembered */
    uint32_t feed_bytes;             /* 4 MiB between the event thread and the command thread */
    uint32_t once_window_ms;         /* 300000: how long a request_id is remembered */
    uint32_t once_max_requests;      /* 100000 of them */
    uint64_t once_max_bytes;         /* 64 MiB of stored replies */
    bool takeover;                   /* true: another bridge may take over (arizmqd --takeover) */
    uint32_t takeover_timeout_ms;    /* 10000: within which it must have done so */
};

/* What was published, kept in memory (keep/history.h). */
struct config_history {
    uint64_t max_bytes;  /* 64 MiB, events, topics and all that goes with them; 0: no history */
    uint32_t max_age_ms; /* 3600000 */
    uint32_t max_page_messages; /* 10000 in one reply */
    uint64_t max_page_bytes;    /* 8 MiB of events in one reply; one event may be larger */
    uint64_t max_unread_bytes;  /* 64 MiB of replies that clients have not taken yet; then 429 */
};

/* The same on disk (keep/journal.h). */
struct config_journal {
    char *path;          /* of the SQLite database; NULL: no journal */
    uint64_t max_bytes;  /* 1 GiB */
    uint64_t max_age_ms; /* 604800000: a week */
    uint32_t commit_ms;  /* 100: the most that a crash can lose */
};

/* The last value of every object (keep/state.h). */
struct config_state {
    bool enabled;             /* true */
    uint32_t max_objects;     /* 500000 */
    uint64_t max_bytes;       /* 256 MiB of their values */
    uint32_t reconcile_per_s; /* 1000: objects read again, or told as found or lost, in a second,
                                 for each link that has connected */
};

struct config {
    struct config_node *nodes; /* by slot, see config_place_nodes(); a free one's name is NULL */
    unsigned nodes_count;      /* slots; before config_place_nodes() the nodes themselves */
    struct config_publish *publish; /* default: events on 5555 and objects on 5556, loopback */
    unsigned publish_count;
    struct config_limits limits;
    struct config_gateway gateway;
    struct config_history history;
    struct config_journal journal;
    struct config_state state;
    uint32_t heartbeat_ms;    /* 1000 */
    uint32_t stop_timeout_ms; /* 5000: the most that SIGTERM may take to drain */
    int32_t io_threads;       /* 1: ZeroMQ's ZMQ_IO_THREADS */
    int log_level;            /* enum log_level; in YAML log: {level: error|warning|info|debug} */

    _Atomic unsigned
        holders; /* see config_hold(); 0: not loaded but written by hand, not counted */
};

/* Where the configuration comes from; a later member wins over an earlier one. */
struct config_source {
    const char *file;      /* path of the YAML file; NULL: none */
    char *const *environ;  /* the process's environment, NULL-terminated; NULL: none */
    const char *log_level; /* --log-level, NULL: not given */
};

/* Loads, merges and validates. Keys outside nodes and publish have a variable ARIZMQ_… each; the
 * ARI_… and node variables change the file's only node, or make one where the file has none. Which
 * they are stands in docker/arizmqd.example.yaml. An unknown ARIZMQ_… variable is refused, but for
 * those that Kubernetes sets for a service of that name (ARIZMQ_SERVICE_HOST, ARIZMQ_PORT…) and
 * those of arizmq's other programs (ARIZMQ_CONNECT, ARIZMQ_GATEWAY_CONNECT, ARIZMQ_CACHE,
 * ARIZMQ_JOBS, ARIZMQ_TEST_…).
 *
 * Returns 0 and a config that config_destroy() frees; or ARIZMQ_E…
 * with one line without newline in error[error_size], e.g.
 *
 *     /etc/arizmqd.yaml:7: nodes[0].liveness_ms: "soon" is no number; allowed: 1000 to 600000
 *
 * Passwords never appear in that line. */
int config_load(const struct config_source *source, struct config **out, char *error,
                size_t error_size);

/* Ends one hold, that of config_load() or of config_hold(); the last one frees. Any thread. *config
 * becomes NULL. */
void config_destroy(struct config **config);
void config_release(const struct config **config);

/* One more holder, in any thread: a configuration that a reload has replaced lives on until nobody
 * uses any part of it. Returns `config`. Nothing in it changes once it is shared. */
const struct config *config_hold(const struct config *config);

/* The same for whoever uses one node of it. NULL is fine. */
const struct config_node *config_node_hold(const struct config_node *node);
void config_node_release(const struct config_node **node);

/* Whether slot `index` has a node in this configuration. */
bool config_has_node(const struct config *config, unsigned index);
unsigned config_count_nodes(const struct config *config);

/* One for each node and application. */
unsigned config_count_links(const struct config *config);

/* Puts each node of a freshly loaded `config` into its slot: that of the same name in
 * taken[0..taken_count), which are the slots' names, NULL for a free one; a new node into the first
 * free slot. Returns ARIZMQ_OK, ARIZMQ_ENOMEM, or ARIZMQ_ETOOLARGE where CONFIG_SLOTS_MAX do not
 * suffice: then nothing was changed. */
int config_place_nodes(struct config *config, const char *const *taken, unsigned taken_count);

/* Writes the effective configuration as YAML, topics of the views' own included. Passwords are
 * written as "***", which config_load() refuses: put in again, it accepts the rest. */
void config_dump(const struct config *config, FILE *out);

/* "events", and the topic template of a view whose `topic` is not given. */
const char *config_view_name(enum config_view_kind view);
const char *config_view_topic(enum config_view_kind view);

/* Checks the form of a topic template: 1 to 8 tokens, each ended by '/', each either one of {type},
 * {app}, {node}, {kind}, {id} or a literal of A-Z a-z 0-9 . _ -. Returns 0; or ARIZMQ_EINVALID with
 * one line in error[error_size] that names the bad token and says what is allowed. */
int config_check_topic(const char *topic, char *error, size_t error_size);

#endif
