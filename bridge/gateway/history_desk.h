/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where GET arizmq/history is answered: from memory (keep/history.h), a slice of it at a time, so
 * that no command waits long; and from a further source, if there is one, for what memory does not
 * hold. Belongs to the command thread. It knows nothing of sockets or commands.
 */
#ifndef ARIZMQ_GATEWAY_HISTORY_DESK_H
#define ARIZMQ_GATEWAY_HISTORY_DESK_H

#include "gateway/history_page.h"
#include "gateway/history_query.h"
#include "gateway/reply.h"
#include "keep/history.h"
#include "ops/config.h"

struct history_desk;
struct history_job; /* a request that is not answered yet */

struct history_answer {
    bool is_refused;
    struct request_refusal refusal; /* where it is refused */
    bool has_position;              /* else the request was not understood */
    struct reply_position position;
    struct history_page page; /* where it is not refused; the caller releases it */
};

/* Called once for each request, in the command thread. */
typedef void history_done(void *owner, struct history_answer *answer);

/* Who knows what memory holds no longer: the journal. */
struct history_source {
    void *owner;

    /* Asked, in the command thread, where memory does not hold what `query` asks for: another
     * epoch, or a position before the oldest. True: history_desk_answer() will be called with
     * `ticket`, once, whenever it is ready. False: it cannot take the request, and the desk refuses
     * it as if there was no source. `query` is borrowed for the call. */
    bool (*ask)(void *owner, uint64_t ticket, const struct history_query *query);

    /* Readable when answers wait; the command thread then calls collect(), which takes the signal
     * away and calls history_desk_answer() for each. */
    int fd;
    void (*collect)(void *owner, struct history_desk *desk);
};

/* `config` and `history` are borrowed, as is `source`, NULL for none. Returns ARIZMQ_OK,
 * ARIZMQ_ENOMEM, or ARIZMQ_ETOOLARGE where `history` has no room for a reader. */
int history_desk_create(const struct config_history *config, struct history *history,
                        const struct history_source *source, struct history_desk **out);

/* Other bounds for requests from now on; `config` is borrowed in place of the one before. */
void history_desk_set_config(struct history_desk *self, const struct config_history *config);

/* Requests that are not answered yet are dropped. */
void history_desk_destroy(struct history_desk **self);

/* Takes a request with that query (request.query). Returns NULL where it is answered already, from
 * within this call; else the job, which lives until `done` is called or it is dropped. */
struct history_job *history_desk_ask(struct history_desk *self, const char *query,
                                     history_done *done, void *owner);

/* Nobody waits for the answer any more. */
void history_desk_drop(struct history_desk *self, struct history_job *job);

/* Goes on with what was begun; called once in a turn of the command thread. */
void history_desk_turn(struct history_desk *self);

/* Whether there is something to go on with at once. */
bool history_desk_is_busy(const struct history_desk *self);

/* The answer of the source, whose page, if there is one, history_page_seal() has not seen yet; it
 * is used up. Nothing happens where nobody waits for it any more. */
void history_desk_answer(struct history_desk *self, uint64_t ticket, struct history_answer *answer);

#endif
