/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fake_asterisk: a peer that behaves on ARI as Asterisk 22.10.1 and 16.28.0 were seen to behave,
 * and breaks in the ways they break when the script on stdin says so.
 *
 * Files: fake_asterisk.c (start), http.c (requests and upgrades, by libwebsockets), http_response.c
 * (responses on the wire), rest.c and objects.c (what a
 * request does), application.c (Stasis applications),
 * session.c (one WebSocket after its upgrade), play.c (recordings), flood.c (numbered events),
 * console.c and commands_*.c (the script).
 */
#ifndef ARIZMQ_FAKE_FAKE_H
#define ARIZMQ_FAKE_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>
#include <libwebsockets.h>
#include <uthash.h>

#include "frame.h"

struct fake_version {
    int number;            /* 16 or 22 */
    const char *full;      /* as in the Server header and asterisk/info */
    const char *entity_id; /* asterisk_id of every event */
    const char *build_date;
    bool has_rest_over_websocket;
    bool destroys_subscribe_all_at_close; /* 16 lets such applications live on */
};

struct fake_stats {
    uint64_t connects;
    uint64_t refused;
    uint64_t rest;
    uint64_t frames_sent; /* text messages written whole by play and send */
    uint64_t bytes_sent;  /* to established WebSockets */
    uint64_t text_received;
    uint64_t binary_received;
    uint64_t pings_received;
    uint64_t pongs_received;
    uint64_t closes_received;
};

/* What the console told to answer instead of the truth. */
struct rest_override {
    char *prefix; /* of the URI relative to /ari/; the whole URI where there is a body */
    int status;
    char *body; /* JSON text, exactly as it is sent; NULL: Asterisk's message for the status */
    struct rest_override *next;
};

/* What is wrong with the connection that carries an answer. */
enum http_fault_kind {
    HTTP_FAULT_NONE,
    HTTP_FAULT_STALL,
    HTTP_FAULT_CLOSE_BEFORE,
    HTTP_FAULT_CLOSE_AFTER_REQUEST,
    HTTP_FAULT_CLOSE_IN_HEAD,
    HTTP_FAULT_CLOSE_IN_BODY,
    HTTP_FAULT_BIG,
    HTTP_FAULT_FLOOD,
};

struct connection;
struct http_fault;

struct fake {
    struct lws_context *lws;
    struct lws_vhost *vhost;
    const struct fake_version *version;
    const char *username;
    const char *password;
    const char *read_only_username; /* NULL: none; the same password */
    const char *recording;          /* what `play` without a file plays; NULL: none */
    char startup_time[32];
    uint16_t port;
    bool has_reserved;    /* the port is kept while not listening */
    struct lws *listener; /* NULL while not listening */
    struct application *applications;
    struct session *sessions; /* newest first */
    unsigned next_session_id;
    unsigned rest_delay_ms;
    unsigned rest_idle_ms; /* 0: as the real one */
    struct rest_override *overrides;
    struct http_fault *faults;
    json_t *channels; /* by id, as ARI shows them */
    json_t *bridges;
    json_t *playbacks;
    json_t *variables; /* by CHANNEL/NAME */
    unsigned next_object_id;
    struct connection *stalled; /* utlist: whose answers wait for `rest-resume` */
    int upgrade_status;         /* 0: upgrades are accepted */
    bool upgrade_status_is_html;
    struct flood *flood;                /* NULL: none is under way */
    struct flood_source *flood_sources; /* utlist: the applications that ever were flooded */
    FILE *truth;                        /* what became of the flood's events; NULL: no log */
    bool swallows_answers; /* RESTResponses are filtered out, as an eventFilter may do */
    bool hides_replaced;   /* so is ApplicationReplaced */
    bool is_quitting;
    struct fake_stats stats;
};

/* Asterisk's time format, 2026-11-23T14:35:01.160+0000, into out. */
void fake_write_time(char out[32]);

/* 0, or -1 with errno: (re)opens the listening socket on fake->port, 0 chooses one. */
int fake_listen(struct fake *fake);
void fake_stop_listening(struct fake *fake);

/* ---- console.c ---- */

/* One line on stdout: "event …". */
void console_event(const char *format, ...) __attribute__((format(printf, 1, 2)));
int console_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t length);

/* ---- commands_rest.c ---- */

/* Frees what rest-status and the faults set. */
void console_forget_overrides(struct fake *fake);

/* The fault for this URI, once less from now on; *bytes is that of HTTP_FAULT_BIG. */
enum http_fault_kind http_fault_take(struct fake *fake, const char *uri, size_t *bytes);
/* The same for HTTP_FAULT_CLOSE_BEFORE alone, which comes before the request is handled. */
bool http_fault_closes_before(struct fake *fake, const char *uri);

/* ---- application.c ---- */

enum application_topic {
    APPLICATION_CHANNELS,
    APPLICATION_BRIDGES,
    APPLICATION_ENDPOINTS,
    APPLICATION_DEVICES,
    APPLICATION_TOPICS,
};

struct application {
    char *name;
    struct session *owner;               /* NULL: nobody connected */
    json_t *sources[APPLICATION_TOPICS]; /* arrays of strings, as GET applications shows them */
    bool is_subscribe_all;               /* made by subscribeAll=true */
    bool is_held; /* stays without a connection: a channel is inside, or a stuck thread holds it */
    UT_hash_handle hh;
};

struct application *application_find(struct fake *fake, const char *name);
/* An application without a connection, as a channel inside keeps it. The caller borrows it. */
struct application *application_create(struct fake *fake, const char *name);
void application_destroy(struct fake *fake, struct application *application);

/* A WebSocket registers `name`. An application that exists is taken over as it is: its old
 * connection hears ApplicationReplaced, and subscribe_all is ignored, as in Asterisk. */
void application_register(struct fake *fake, const char *name, struct session *session,
                          bool subscribe_all);
/* The WebSocket is gone; what becomes of its applications depends on the version. */
void application_leave(struct fake *fake, struct session *session);
/* Sends ApplicationReplaced to the connection and takes the application from it. */
void application_replace(struct fake *fake, struct application *application);

json_t *application_to_json(const struct application *application);

enum application_result {
    APPLICATION_OK,
    APPLICATION_NO_SOURCE,
    APPLICATION_BAD_SCHEME,
};
/* `list` as in eventSource=: comma-separated, "channel:" without a name is the whole topic. All
 * sources are looked up before the first is changed. */
enum application_result application_subscribe(struct application *application, const char *list);
enum application_result application_unsubscribe(struct application *application, const char *list);

/* ---- rest.c ---- */

struct rest_request {
    const char *method; /* upper case */
    const char *uri;    /* relative to /ari/, decoded, without the query */
    json_t *query;      /* object of strings; the first value of each name */
    bool is_read_only;
    bool is_over_websocket;
};

struct rest_response {
    int status;
    const char *reason;
    const char *allow;        /* value of the Allow header, NULL: none */
    char *location;           /* value of the Location header, NULL: none; malloc'd */
    const char *content_type; /* NULL: no body */
    char *body;               /* NULL: none; malloc'd */
    bool is_last;             /* the connection is closed after it */
};

typedef void rest_handler(struct fake *fake, const struct rest_request *request, const char *name,
                          struct rest_response *response);

void rest_handle(struct fake *fake, const struct rest_request *request,
                 struct rest_response *response);
/* Takes `body` over. */
void rest_response_set_json(struct rest_response *response, int status, json_t *body);
void rest_response_set_message(struct rest_response *response, int status, const char *reason,
                               const char *message);
/* Asterisk's own error page, for what is below ARI. `text` may be empty. */
void rest_response_set_html(const struct fake *fake, struct rest_response *response, int status,
                            const char *text);
/* 200 with a JSON text of so many bytes, 10 at least. */
void rest_response_set_big(struct rest_response *response, size_t bytes);
void rest_response_free(struct rest_response *response);
const char *rest_reason(int status);

/* ---- rest_message.c ---- */

/* Adds the parameters in a body to those of the query. What is wrong with it, or NULL. */
const char *rest_query_add_body(json_t *query, const char *content_type, const char *body);

/* Answers a text message of a client as REST over WebSocket: the RESTResponse's text, malloc'd. */
char *rest_handle_message(struct fake *fake, struct session *session, const char *text,
                          size_t length);

/* ---- objects.c ---- */

struct rest_resource {
    const char *path; /* a '*' segment is any name and is handed to the handler */
    const char *allow;
    const char *method;
    rest_handler *handle;
};

/* channels, bridges and playbacks; ends with an entry without path. */
extern const struct rest_resource objects_resources[];

void objects_create(struct fake *fake);
void objects_destroy(struct fake *fake);

/* ---- http.c ---- */

int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t length);
size_t http_connection_size(void);
/* Lets go of the answers that `rest-stall` holds back; how many they were. */
unsigned http_resume(struct fake *fake);

/* ---- http_response.c ---- */

/* malloc'd; NULL where the request has no such header. */
char *http_header_copy(struct lws *wsi, enum lws_token_indexes header);
/* Writes the response, or the part of it that the fault leaves. 0, or -1 when the connection is of
 * no use any more. */
int http_response_write(struct lws *wsi, const struct rest_response *response,
                        enum http_fault_kind kind);
/* Writes a piece of a head that does not end, and asks to be called again. */
int http_response_flood(struct lws *wsi, bool is_first);

/* ---- session.c ---- */

enum session_state {
    SESSION_OPEN,
    SESSION_CLOSING,   /* we sent a close frame and wait for the peer's */
    SESSION_HALF_DEAD, /* cut in the middle of a message: see session_cut() */
    SESSION_STUCK,     /* half-dead and pinged: nothing is read or answered any more */
    SESSION_ENDED,     /* shut down; libwebsockets has still to free its part */
};

struct session {
    struct fake *fake;
    unsigned id;
    char *apps; /* as asked for: a,b */
    char *first_app;
    bool is_read_only;
    enum session_state state;
    struct lws *ws; /* libwebsockets' WebSocket: closed last */
    struct lws *io; /* the same socket, read and written by session.c */
    int fd;
    SSL *ssl; /* NULL without TLS */
    struct bytes in;
    struct bytes message; /* fragments so far */
    struct bytes out;
    size_t out_sent;
    struct play *play;
    bool is_stalled;
    bool is_delayed; /* a REST answer waits for its time; nothing else is read, as in Asterisk */
    bool is_ending;  /* end as soon as `out` is written */
    int close_code;  /* what `event closed` will tell */
    lws_sorted_usec_list_t timer; /* REST delay */
    lws_sorted_usec_list_t write_timer;
    char *delayed_answer;
    struct session *prev;
    struct session *next;
};

/* Takes over the socket of an upgraded connection. NULL when that fails. */
struct session *session_create(struct fake *fake, struct lws *ws, const char *apps,
                               bool subscribe_all, const char *username);
/* libwebsockets closed the WebSocket; the session may be freed. */
void session_drop_websocket(struct session *session);
int session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t length);

/* The newest session that still lives, of `app` where that is not NULL; or NULL. */
struct session *session_find(struct fake *fake, const char *app);
bool session_is_live(const struct session *session);

void session_send_text(struct session *session, const char *text, size_t length);
void session_send_raw(struct session *session, const void *data, size_t length);
void session_close(struct session *session, int code, const char *reason); /* code 0: no payload */
void session_finish(struct session *session);                              /* FIN after `out` */
void session_reset(struct session *session);                               /* RST, at once */
void session_cut(struct session *session, const char *text, size_t length, size_t cut_at);
/* Ends the recording at the end of the frame that is being written. */
void session_stop_play(struct session *session);
void session_stall(struct session *session);
void session_resume(struct session *session);
/* Writes what can be written; to be called after anything was queued. */
void session_flush(struct session *session);

/* ---- flood.c ---- */

struct flood;
struct flood_source;

/* Ends what is under way and frees all of it. */
void flood_forget(struct fake *fake);
/* Adds the channels or bridges of the flood's calls that are alive now. */
void flood_list_channels(const struct fake *fake, json_t *out);
void flood_list_bridges(const struct fake *fake, json_t *out);

/* ---- play.c ---- */

struct play;

/* NULL with a message in error[] when the file cannot be read or holds nothing. `loops` 0 is for
 * ever, `rate` 0 as fast as it goes. */
struct play *play_create(struct session *session, const char *path, unsigned rate, unsigned loops,
                         char *error, size_t error_size);
void play_destroy(struct play **play);
size_t play_lines(const struct play *play);

/* The bytes that may be written now; 0 when it must wait for its rate. */
size_t play_available(struct play *play, const uint8_t **data);
void play_advance(struct play *play, size_t written);
bool play_is_done(const struct play *play);
/* The rest of a frame of which a part is written already. */
size_t play_partial(const struct play *play, const uint8_t **data);
/* Writes "event play …" with the numbers; `how` is done or stopped. */
void play_report(const struct play *play, const char *how);

#endif
