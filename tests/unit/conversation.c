/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Set-up and take-down of the WebSocket tests' conversations, and the handler that records.
 */
#include "conversation.h"

#include "arizmq/error.h"
#include "event/scan.h"

static const struct lws_protocols *const protocols[] = {&ws_raw_protocol, &ws_role_protocol, NULL};

static void on_opened(void *owner)
{
    struct record *record = owner;
    record->opened++;
}

static void on_message(void *owner, const char *text, size_t length, uint64_t received_ns)
{
    struct record *record = owner;
    volatile char last = 0;
    for (size_t i = length; i < length + SCAN_PADDING; i++) {
        last = text[i];
    }
    (void)last;
    cr_assert_lt(record->messages, CONVERSATION_MESSAGES_MAX);
    cr_assert_eq(record->opened, 1);
    record->text[record->messages] = bytes_copy_text(text, length);
    record->length[record->messages] = length;
    record->received_ns[record->messages++] = received_ns;
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    struct record *record = owner;
    record->refused++;
    record->refusal = why;
    record->refused_length = length;
}

static void on_heard(void *owner, uint64_t received_ns)
{
    struct record *record = owner;
    cr_assert_gt(received_ns, 0U);
    record->heard++;
}

static void on_ended(void *owner, const struct ws_ended *how)
{
    struct record *record = owner;
    record->ended++;
    record->how = *how;
}

static const struct ws_handler handler = {on_opened, on_message, on_refused, on_heard, on_ended};

static void create(struct conversation *talk, const struct peer_tls *peer_tls,
                   const struct loop_tls *client_tls)
{
    loop_create(&talk->loop, protocols, client_tls);
    peer_create(&talk->peer, peer_tls);
    talk->target = (struct target){.context = talk->loop.context,
                                   .vhost = talk->loop.vhost,
                                   .address = "127.0.0.1",
                                   .host = "localhost",
                                   .port = talk->peer.port,
                                   .use_tls = talk->use_tls,
                                   .verify = true,
                                   .authorization = "Basic bGFiOnNlY3JldA==",
                                   .max_message_bytes = CONVERSATION_MAX_BYTES};
    talk->files = loop_count("fd");
}

void conversation_create(struct conversation *talk, bool use_tls)
{
    *talk = (struct conversation){.use_tls = use_tls};
    if (!use_tls) {
        create(talk, NULL, NULL);
        return;
    }
    certificates_create(&talk->certificates);
    conversation_create_tls(
        talk,
        &(struct peer_tls){.cert_file = certificates_path(&talk->certificates, "server.pem"),
                           .key_file = certificates_path(&talk->certificates, "server.key")},
        &(struct loop_tls){.ca_file = certificates_path(&talk->certificates, "ca.pem")});
}

void conversation_create_tls(struct conversation *talk, const struct peer_tls *peer_tls,
                             const struct loop_tls *client_tls)
{
    talk->use_tls = true;
    create(talk, peer_tls, client_tls);
}

void conversation_destroy(struct conversation *talk)
{
    struct record before = talk->record;
    peer_close(&talk->peer);
    LOOP_UNTIL(&talk->loop, (void)0, loop_count("fd") <= talk->files);
    cr_expect_eq(talk->record.ended, before.ended);
    cr_expect_eq(talk->record.messages, before.messages);
    cr_expect_eq(talk->record.heard, before.heard);
    loop_destroy(&talk->loop);
    peer_destroy(&talk->peer);
    if (talk->certificates.directory[0] != '\0') {
        certificates_destroy(&talk->certificates);
    }
    for (unsigned i = 0; i < talk->record.messages; i++) {
        free(talk->record.text[i]);
    }
}

void conversation_open(struct conversation *talk)
{
    cr_assert_eq(ws_open(&talk->target, "/ari/events?app=ivr", &handler, &talk->record, &talk->ws),
                 ARIZMQ_OK);
    cr_assert_not_null(talk->ws);
    cr_assert_eq(talk->record.ended, 0, "told from within ws_open()");
}

void conversation_open_up(struct conversation *talk)
{
    conversation_open(talk);
    TALK_UNTIL(talk, peer_has_head(&talk->peer) || talk->record.ended > 0);
    cr_assert_eq(talk->record.ended, 0, "%s", talk->record.how.detail);
    char *head = peer_take_head(&talk->peer);
    peer_accept_websocket(&talk->peer, head);
    free(head);
    TALK_UNTIL(talk, talk->record.opened > 0 || talk->record.ended > 0);
    cr_assert_eq(talk->record.opened, 1, "%s", talk->record.how.detail);
}

void conversation_end(struct conversation *talk, enum ws_end end, int code)
{
    TALK_UNTIL(talk, talk->record.ended > 0);
    talk->ws = NULL;
    cr_expect_eq(talk->record.ended, 1);
    cr_expect_eq(talk->record.how.end, end, "ended as %d: %s", (int)talk->record.how.end,
                 talk->record.how.detail);
    cr_expect_eq(talk->record.how.code, code, "%d: %s", talk->record.how.code,
                 talk->record.how.detail);
    TALK_UNTIL(talk, talk->peer.fd < 0 || talk->peer.is_eof);
}

void conversation_send(struct conversation *talk, unsigned first_byte, const void *payload,
                       size_t length)
{
    frame_append(&talk->peer.out, first_byte, payload, length);
}

const struct peer_frame *conversation_frame(struct conversation *talk, unsigned opcode)
{
    static struct peer_frame frame;
    bool is_there = false;
    TALK_UNTIL(talk, (is_there = peer_take_frame(&talk->peer, &frame)) || talk->peer.is_eof);
    cr_assert(is_there, "the client closed without a frame %u", opcode);
    cr_assert_eq(frame.opcode, opcode, "opcode %u", frame.opcode);
    cr_assert(frame.is_final);
    return &frame;
}
