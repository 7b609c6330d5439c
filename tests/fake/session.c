/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One WebSocket after its upgrade. libwebsockets has done HTTP and TLS; from then on its reading
 * is switched off and this file reads and writes the socket itself, through a second descriptor
 * that libwebsockets polls as a plain file. Only so can frames be malformed, cut and held back on
 * purpose, every control frame of a client be seen, and events leave at full speed. Called by
 * http.c, the console and libwebsockets' loop. It never sends a ping or a pong unasked.
 */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "fake.h"
#include "session_private.h"

/* The most that one turn writes, so that the console is heard while a recording plays. */
enum { FLUSH_BUDGET = 1 << 20, WRITE_MAX = 1 << 18 };

/* So much of `out` that is written is kept before the rest is moved to its beginning. */
enum { SENT_MAX = 4 << 20 };

static void session_free(struct session *session)
{
    if (session->io || session->ws) {
        return;
    }
    DL_DELETE(session->fake->sessions, session);
    lws_sul_cancel(&session->timer);
    lws_sul_cancel(&session->write_timer);
    play_destroy(&session->play);
    bytes_free(&session->in);
    bytes_free(&session->message);
    bytes_free(&session->out);
    free(session->delayed_answer);
    free(session->apps);
    free(session->first_app);
    free(session);
}

struct session *session_create(struct fake *fake, struct lws *ws, const char *apps,
                               bool subscribe_all, const char *username)
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        return NULL;
    }
    session->fake = fake;
    session->id = ++fake->next_session_id;
    session->apps = strdup(apps);
    session->first_app = strndup(apps, strcspn(apps, ","));
    session->is_read_only =
        fake->read_only_username && strcmp(username, fake->read_only_username) == 0;
    session->ws = ws;
    session->ssl = lws_get_ssl(ws);
    session->close_code = 1006;
    if (session->ssl) {
        SSL_set_mode(session->ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    lws_rx_flow_control(ws, 0);
    lws_set_timeout(ws, NO_PENDING_TIMEOUT, 0);
    session->fd = dup(lws_get_socket_fd(ws));
    lws_sock_file_fd_type descriptor = {.filefd = session->fd};
    DL_PREPEND(fake->sessions, session);
    session->io = lws_adopt_descriptor_vhost(fake->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                             "session", NULL);
    if (!session->io) {
        session->ws = NULL;
        session_free(session);
        return NULL;
    }
    lws_set_opaque_user_data(session->io, session);
    fake->stats.connects++;
    console_event("connected id=%u app=%s subscribeAll=%s auth=%s", session->id, apps,
                  subscribe_all ? "true" : "false", username);
    char *list = strdup(apps);
    char *rest = list;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        application_register(fake, name, session, subscribe_all);
    }
    free(list);
    /* TLS may have decrypted more than the upgrade already; poll() would not tell. */
    session_read(session);
    return session;
}

bool session_is_live(const struct session *session)
{
    return session->state != SESSION_ENDED;
}

struct session *session_find(struct fake *fake, const char *app)
{
    struct session *each;
    DL_FOREACH(fake->sessions, each)
    {
        if (!session_is_live(each)) {
            continue;
        }
        if (!app || strcmp(each->apps, app) == 0) {
            return each;
        }
        const struct application *application = application_find(fake, app);
        if (application && application->owner == each) {
            return each;
        }
    }
    return NULL;
}

void session_end(struct session *session)
{
    if (session->state == SESSION_ENDED) {
        return;
    }
    if (session->play) {
        play_report(session->play, "stopped");
        play_destroy(&session->play);
    }
    application_leave(session->fake, session);
    console_event("closed id=%u app=%s code=%d", session->id, session->apps, session->close_code);
    session->state = SESSION_ENDED;
    lws_sul_cancel(&session->timer);
    lws_sul_cancel(&session->write_timer);
    if (session->fd >= 0) {
        /* Both lws parts see the hang-up and are closed by the loop. */
        shutdown(session->fd, SHUT_RDWR);
    }
}

void session_reset(struct session *session)
{
    /* Connecting a connected TCP socket to nothing makes Linux send RST, whoever else holds it. */
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    if (session->fd >= 0) {
        connect(session->fd, &nowhere, sizeof nowhere);
    }
    session_end(session);
}

/* Bytes written, 0: the peer takes no more now, -1: the connection is gone. */
static ssize_t session_write_some(struct session *session, const uint8_t *data, size_t length)
{
    ssize_t n;
    if (length > WRITE_MAX) {
        length = WRITE_MAX;
    }
    if (session->ssl) {
        int written = SSL_write(session->ssl, data, (int)length);
        if (written > 0) {
            n = written;
        } else {
            int error = SSL_get_error(session->ssl, written);
            n = error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
        }
    } else {
        n = send(session->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            n = 0;
        }
    }
    if (n > 0) {
        session->fake->stats.bytes_sent += (uint64_t)n;
    }
    return n;
}

/* What is to be written next: the rest of a frame that play began, then what was queued, then more
 * of the recording. */
static size_t session_next_output(struct session *session, const uint8_t **data, bool *is_play)
{
    *is_play = true;
    size_t length = session->play ? play_partial(session->play, data) : 0;
    if (length > 0 && session->out_sent == 0) {
        return length;
    }
    if (session->out_sent < session->out.length) {
        *is_play = false;
        *data = session->out.data + session->out_sent;
        return session->out.length - session->out_sent;
    }
    return session->play ? play_available(session->play, data) : 0;
}

static void session_output_written(struct session *session, size_t written, bool is_play)
{
    if (!is_play) {
        session->out_sent += written;
        if (session->out_sent == session->out.length) {
            session->out.length = 0;
            session->out_sent = 0;
        } else if (session->out_sent > SENT_MAX) {
            bytes_consume(&session->out, session->out_sent);
            session->out_sent = 0;
        }
        return;
    }
    play_advance(session->play, written);
    if (play_is_done(session->play)) {
        play_report(session->play, "done");
        play_destroy(&session->play);
    }
}

static void write_timer_fired(lws_sorted_usec_list_t *timer)
{
    struct session *session = lws_container_of(timer, struct session, write_timer);
    if (session->io) {
        lws_callback_on_writable(session->io);
    }
}

/* libwebsockets forgets the wish to write once the writable callback of a plain file returns, so
 * it cannot be told from inside. */
static void session_ask_writable(struct session *session)
{
    lws_sul_schedule(session->fake->lws, 0, &session->write_timer, write_timer_fired, 1);
}

void session_flush(struct session *session)
{
    if (session->is_stalled || session->state == SESSION_ENDED || !session->ws) {
        return;
    }
    size_t budget = FLUSH_BUDGET;
    const uint8_t *data = NULL;
    bool is_play = false;
    size_t length;
    while ((length = session_next_output(session, &data, &is_play)) > 0) {
        ssize_t written = budget ? session_write_some(session, data, length) : 0;
        if (written < 0) {
            session_end(session);
            return;
        }
        if (written == 0) {
            session_ask_writable(session);
            return;
        }
        budget -= (size_t)written < budget ? (size_t)written : budget;
        session_output_written(session, (size_t)written, is_play);
    }
    if (session->is_ending) {
        session_end(session);
    }
}

void session_stop_play(struct session *session)
{
    if (!session->play) {
        return;
    }
    const uint8_t *data = NULL;
    size_t length = play_partial(session->play, &data);
    if (length > 0) {
        struct bytes out = {0};
        bytes_append(&out, data, length);
        bytes_append(&out, session->out.data + session->out_sent,
                     session->out.length - session->out_sent);
        bytes_free(&session->out);
        session->out = out;
        session->out_sent = 0;
    }
    play_report(session->play, "stopped");
    play_destroy(&session->play);
}

void session_set_reading(struct session *session)
{
    bool reads = !session->is_stalled && !session->is_delayed && session->state != SESSION_STUCK &&
                 session->state != SESSION_ENDED;
    if (session->io) {
        lws_rx_flow_control(session->io, reads);
    }
}

void session_read(struct session *session)
{
    static uint8_t chunk[65536];
    while (!session->is_stalled && !session->is_delayed && session->state != SESSION_STUCK &&
           session->state != SESSION_ENDED && session->ws) {
        ssize_t n;
        if (session->ssl) {
            int got = SSL_read(session->ssl, chunk, sizeof chunk);
            int error = got > 0 ? 0 : SSL_get_error(session->ssl, got);
            if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
                return;
            }
            n = got > 0 ? got : 0;
        } else {
            n = recv(session->fd, chunk, sizeof chunk, MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                return;
            }
        }
        if (n <= 0) {
            session_end(session);
            return;
        }
        bytes_append(&session->in, chunk, (size_t)n);
        session_parse(session);
    }
}

void session_drop_websocket(struct session *session)
{
    session_end(session);
    session->ws = NULL;
    session->ssl = NULL;
    session_free(session);
}

int session_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    struct session *session = lws_get_opaque_user_data(wsi);
    if (!session) {
        return 0;
    }
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        session_read(session);
        return session->state == SESSION_ENDED ? -1 : 0;
    case LWS_CALLBACK_RAW_WRITEABLE_FILE:
        session_flush(session);
        return session->state == SESSION_ENDED ? -1 : 0;
    case LWS_CALLBACK_RAW_CLOSE_FILE:
        session_end(session);
        session->io = NULL;
        session->fd = -1; /* libwebsockets closes it */
        session_free(session);
        return 0;
    default:
        return 0;
    }
}
