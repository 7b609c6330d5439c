/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the parts of a link share: link.c (connect, lose, wait), link_watch.c (is it alive),
 * link_subscribe.c (does it hear all it should), link_close.c (how to leave), link_tell.c (what
 * others are told of it), link_successor.c (a second connection beside the first), link_leaving.c
 * (the first, once the second is up) and link_change.c (another configuration).
 */
#ifndef ARIZMQ_NODE_LINK_PRIVATE_H
#define ARIZMQ_NODE_LINK_PRIVATE_H

#include "node/dial.h"
#include "node/link.h"
#include "node/link_way.h"
#include "node/reconcile.h"
#include "node/rest.h"
#include "node/ws.h"

enum link_state {
    LINK_IDLE,
    LINK_CONNECTING, /* name, TCP, TLS, handshake */
    LINK_UP,         /* events may come */
    LINK_CLOSING,    /* leaving in an orderly way */
    LINK_WAITING,    /* the pause before the next attempt */
    LINK_STANDBY,    /* another client has taken the application */
    LINK_CEDED,      /* another bridge has it, or is to have it: no attempt is made */
    LINK_STOPPED,
};

/* Why a link ends; the words are in schemas/arizmq-events.schema.json. */
enum link_reason {
    LINK_CLOSED_BY_PEER,
    LINK_CONNECTION_LOST,
    LINK_LIVENESS,
    LINK_FRAME_STALLED,
    LINK_PROTOCOL_ERROR,
    LINK_INVALID_UTF8,
    LINK_REPLACED,
    LINK_STOPPING,
    LINK_REMOVED, /* the node or the application, from the configuration */
    LINK_RELOAD,  /* the configuration asks for another connection */
};

enum { LINK_RETRY_STEPS_MAX = 24 };

struct link {
    const struct link_environment *environment;
    const struct config_node *node;
    char *node_name;
    char *application;
    unsigned node_index;
    unsigned application_index;
    char *label; /* NODE/APPLICATION, for the log */
    struct link_way way;
    struct pipeline_source source;

    enum link_state state;
    lws_sorted_usec_list_t timer; /* what the state waits for */
    struct dial dial;
    struct ws *ws;
    struct rest_request *rest;

    /* Attempts */
    lws_retry_bo_t retry;
    uint32_t retry_table[LINK_RETRY_STEPS_MAX];
    uint16_t retry_count;
    uint32_t retry_delay_ms; /* the pause before this attempt */
    unsigned attempt;        /* since it was last up, from 1 */
    bool was_up;             /* once in this run */
    uint64_t up_since_ms;

    /* link_watch.c */
    lws_sorted_usec_list_t watch;
    uint64_t heard_ms;      /* monotonic: when bytes last came */
    uint64_t heard_wall_ns; /* the same on the wall clock */
    bool probe_is_sent;     /* since bytes last came */
    bool ping_is_sent;
    uint64_t probes; /* requests sent over the WebSocket */

    /* link_command.c */
    struct link_command *commands; /* sent, and not answered yet */

    /* link_subscribe.c */
    uint64_t
        complete_until_ns;   /* wall clock: events may be missing from here on; 0: none missing */
    uint64_t opened_wall_ns; /* when the connection was opened */
    lws_sorted_usec_list_t recheck;
    struct reconcile *reconcile;

    /* link_close.c */
    bool is_replaced; /* another client has taken the application since it was last up */
    enum link_reason reason;
    const char *close_detail;
    bool is_told;     /* ArizmqNodeDisconnected was published before the connection is gone */
    bool is_stopping; /* whatever the reason, it will not connect again */
    const char *removed_detail; /* link_change.c; NULL: it has not left the configuration */
    lws_sorted_usec_list_t close_timer;

    /* link_successor.c, link_leaving.c */
    struct link_successor *successor; /* NULL: none is wanted */
    struct link_leaving *leaving;     /* utlist, the oldest first */
    unsigned leaving_count;
    bool is_taken_by_own; /* the application went to a successor that was then lost */

    /* link_cede.c */
    bool is_expected;       /* the next connect takes over from another bridge */
    bool is_ceding;         /* another bridge is to take over */
    bool is_taken;          /* and has */
    bool was_standing_by;   /* before it was ceded */
    uint64_t reclaim_by_ms; /* monotonic: what is taken until then is taken back; 0: nothing */
    uint64_t owed_since_ns; /* complete_until_ns when it was taken */

    /* link_tell.c */
    enum feed_link told; /* what the command thread knows; at first it takes links to be down */
    char told_detail[FEED_DETAIL_MAX + 1];
};

/* --- link.c */

/* Goes to LINK_WAITING and tries again after a pause; `is_refusal` makes it the longest one. */
void link_retry_later(struct link *self, bool is_refusal);

/* Connects now, from any state without a connection. */
void link_connect(struct link *self);

/* From the last bytes heard on events may be missing, unless they may be since earlier. */
void link_mark_incomplete(struct link *self);

/* What came over any of the link's connections: published. */
void link_take_message(struct link *self, const struct pipeline_source *source, const char *text,
                       size_t length, uint64_t received_ns);
void link_take_refused(struct link *self, enum ws_refusal why, uint64_t length);

/* The link has a connection from now on, over `way`: `ws`, whose handler it becomes. */
void link_set_up(struct link *self, struct ws *ws, unsigned attempt, bool is_handover);

/* The request_id of a RESTResponse; false where it has none that could be ours. */
bool link_response_id(const struct event *event, struct span *out);

/* Whether an ApplicationReplaced is of this link's application. */
bool link_is_of_application(const struct link *self, const struct event *event);

/* The pauses between attempts, as the node now has them. */
void link_prepare_retry(struct link *self);

/* Begins the planned end; `detail` is static text. */
void link_end(struct link *self, enum link_reason reason, const char *detail);

/* --- link_tell.c */

void link_set_state(struct link *self, enum link_state state);

/* The link has left the configuration, for the reason given (static text): it is counted no longer,
 * and the command thread is told nothing more of it. */
void link_tell_nothing(struct link *self, const char *removed_detail);

/* Tells the command thread that the link is not connected, and why, unless it knows. */
void link_tell_down(struct link *self, const char *detail);

/* Tells the command thread why a hand-over has not come about; the link is up all the same. */
void link_tell_handover(struct link *self, const char *detail);

/* As link_tell_down(), with the reason's word before the detail. */
void link_tell_end(struct link *self, enum link_reason reason, const char *detail);

/* Publishes ArizmqNodeDisconnected. */
void link_publish_disconnected(struct link *self, enum link_reason reason, const char *detail);

/* --- link_watch.c */

void link_watch_start(struct link *self);
void link_watch_stop(struct link *self);

/* The node's liveness_ms is another now. */
void link_watch_again(struct link *self);

/* Bytes came; `received_ns` is the wall clock then. */
void link_watch_heard(struct link *self, uint64_t received_ns);

/* Whether a RESTResponse with this request_id answers one of this link's probes. */
bool link_watch_takes_response(const struct link *self, const struct span *request_id);

/* --- link_command.c; link_send_command() is in link.h */

/* Whether `event`, a RESTResponse with this request_id, answers one of `commands`, which were sent
 * over the connection that it came from; then the command thread has it. */
bool link_command_takes_response(struct link *self, struct link_command **commands,
                                 const struct span *request_id, const struct event *event);

/* Sends one over `ws` and keeps it in `commands`; see link_send_command(). */
int link_command_send(struct link_command **commands, struct ws *ws, uint64_t number,
                      const char *text, size_t length);

/* The connection has ended: what is not answered will never be. */
void link_drop_commands(struct link *self, struct link_command **commands);

/* --- link_subscribe.c */

/* The link is up: publishes the ArizmqGap of the time it was not, and sees to it that it hears all
 * it should. */
void link_subscribe_start(struct link *self);

/* Looks again whether it does, and what there is, if the link is up. */
void link_subscribe_check(struct link *self);
void link_subscribe_stop(struct link *self);

/* --- link_close.c */

/* Leaves in an orderly way: unsubscribes from device states where that must be done first, closes,
 * waits, and then goes on as `reason` demands. `detail` is static text for the log and the event.
 */
void link_close(struct link *self, enum link_reason reason, const char *detail);

/* Asks, over `way`, for the end of the subscription that `path` names, before a connection is
 * closed whose application nobody has taken. As rest_send(), with a bound of its own. */
int link_unsubscribe(const struct link_way *way, const char *path, rest_done *done, void *owner,
                     struct rest_request **out);

/* The answer to that, for the log. */
void link_note_unsubscribed(const struct link *self, const struct rest_answer *answer);

/* The WebSocket has ended by itself: says so, and goes on as `reason` demands. `detail` is borrowed
 * for the call. */
void link_close_lost(struct link *self, enum link_reason reason, const char *detail);

/* The WebSocket has ended while LINK_CLOSING. */
void link_close_ended(struct link *self);

/* Stands by with the way, and by the rule, as they now are. */
void link_close_stand_by(struct link *self);

/* Stops every timer and request that belongs to a connection, made or ending. */
void link_quiet(struct link *self);

/* Another client has taken the application: leaves it to that client. */
void link_close_replaced(struct link *self);

/* --- link_cede.c; the others are in link.h */

/* The application was replaced: whether by the bridge that it is ceded to. */
bool link_cede_takes_replaced(struct link *self);

/* Whether it must not connect; then it is LINK_CEDED. `stands_by`: it would not have. */
bool link_cede_holds(struct link *self, bool stands_by);

/* --- link_successor.c; link_hand_over() is in link.h */

/* The link has no connection that a successor could take over from: its attempt is given up. The
 * way remains, for link_successor_adopt(). */
void link_successor_halt(struct link *self);

/* The successor's way, if there is one, becomes the link's. There must be no connection. */
void link_successor_adopt(struct link *self);

void link_successor_destroy(struct link *self);

/* Asterisk has been asked for the application by a successor, and has not answered yet. */
bool link_successor_has_asked(const struct link *self);

/* Makes a way and room for the link to leave its connection without a successor that connects.
 * Returns ARIZMQ_OK or ARIZMQ_ENOMEM. */
int link_successor_prepare(struct link *self);

/* Goes on where link_successor_halt() or link_successor_prepare() was called, of a link that is up.
 */
void link_successor_resume(struct link *self);

/* The link leaves its connection, as link_successor_prepare() has prepared; link_connect() will
 * have the way. */
void link_successor_leave(struct link *self);
/* As link_set_max_event_bytes(), for the connections that are being made. */
void link_successor_set_max_event_bytes(struct link *self, uint64_t bytes);

/* The application was replaced on the link's connection. Whether it is the successor's doing, as
 * far as can be known now. */
bool link_successor_takes_replaced(struct link *self);

/* --- link_leaving.c */

/* Room for one connection that leaves, so that leaving cannot fail. NULL without memory. */
struct link_leaving *link_leaving_create(struct link *link);

/* Takes the link's connection from it, together with its way and the commands sent over it.
 * `is_replaced`: ApplicationReplaced has come over it already. If it never comes, nothing tells
 * whether the application left it as late as it should have; where `unsure_since_ns` (wall clock)
 * is not 0, it may have left then. `is_elsewhere`: what takes over is connected to another address,
 * where another Asterisk may be. */
void link_leaving_begin(struct link_leaving *self, bool is_replaced, uint64_t unsure_since_ns,
                        bool is_elsewhere);

/* As many as there may be are leaving: none must be begun now. */
bool link_leaving_is_full(const struct link *link);

/* Whether those that leave have had their time for late events. */
bool link_leaving_has_lingered(const struct link *link);

/* Over the last one that leaves; see link_send_command(). */
int link_leaving_send_command(struct link *link, uint64_t number, const char *text, size_t length);

/* What they waited for beside their own affairs has come about: link->is_ceding is over. */
void link_leaving_go_on(struct link *link);

/* The link is being stopped: those that leave do it now. */
void link_leaving_hurry(struct link *link);
/* They are ended at once. */
void link_leaving_abort(struct link *link);

#endif
