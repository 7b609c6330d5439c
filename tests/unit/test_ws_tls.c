/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Whom wss:// trusts: by default only a certificate of a known authority that bears the node's
 * name; and what it shows of itself.
 */
#include "arizmq/error.h"
#include "conversation.h"

struct trust {
    const char *name;
    const char *host;      /* of the URL */
    const char *server;    /* its certificate */
    const char *ca;        /* NULL: the system's */
    const char *client;    /* NULL: none */
    const char *client_ca; /* whom the server demands; NULL: nobody */
    bool verify;
    bool is_trusted;
};

static const struct trust cases[] = {
    {"private authority", "localhost", "server", "ca", NULL, NULL, true, true},
    {"IP address in the certificate", "127.0.0.1", "server", "ca", NULL, NULL, true, true},
    {"another IP address", "127.0.0.1", "other", "ca", NULL, NULL, true, false},
    {"another host name", "localhost", "other", "ca", NULL, NULL, true, false},
    {"private authority unknown to the system", "localhost", "server", NULL, NULL, NULL, true,
     false},
    {"self-signed", "localhost", "self", NULL, NULL, NULL, true, false},
    {"self-signed, another authority trusted", "localhost", "self", "ca", NULL, NULL, true, false},
    {"self-signed, and itself the authority", "localhost", "self", "self", NULL, NULL, true, true},
    {"of another authority", "localhost", "server", "self", NULL, NULL, true, false},
    {"not verified: self-signed", "localhost", "self", NULL, NULL, NULL, false, true},
    {"not verified: another host name", "localhost", "other", NULL, NULL, NULL, false, true},
    {"client certificate demanded and shown", "localhost", "server", "ca", "client", "ca", true,
     true},
    {"client certificate demanded, none there", "localhost", "server", "ca", NULL, "ca", true,
     false},
    {"client certificate of another authority", "localhost", "server", "ca", "client", "self", true,
     false},
    {"client certificate shown to who did not ask", "localhost", "server", "ca", "client", NULL,
     true, true},
    {"IPv6 host is no reason to trust anybody", "::1", "other", "ca", NULL, NULL, true, false},
};

/* Keeps `text` in memory that lives as long as the process. */
static const char *file(struct certificates *certificates, const char *name, const char *suffix)
{
    char full[64];
    if (name == NULL) {
        return NULL;
    }
    snprintf(full, sizeof full, "%s%s", name, suffix);
    return certificates_path(certificates, full);
}

static void expect_trust(const struct trust *trust, struct certificates *certificates)
{
    struct conversation talk = {0};
    conversation_create_tls(
        &talk,
        &(struct peer_tls){.cert_file = file(certificates, trust->server, ".pem"),
                           .key_file = file(certificates, trust->server, ".key"),
                           .client_ca_file = file(certificates, trust->client_ca, ".pem")},
        &(struct loop_tls){.ca_file = file(certificates, trust->ca, ".pem"),
                           .cert_file = file(certificates, trust->client, ".pem"),
                           .key_file = file(certificates, trust->client, ".key")});
    talk.target.host = trust->host;
    talk.target.verify = trust->verify;
    conversation_open(&talk);
    TALK_UNTIL(&talk, peer_has_head(&talk.peer) || talk.record.ended > 0);
    cr_expect_eq(talk.record.ended == 0, trust->is_trusted, "%s: %s", trust->name,
                 talk.record.how.detail);
    cr_expect_eq(peer_has_head(&talk.peer), trust->is_trusted,
                 "%s: the request, with the password in it, was sent", trust->name);
    if (talk.record.ended == 0) {
        char *head = peer_take_head(&talk.peer);
        peer_accept_websocket(&talk.peer, head);
        free(head);
        TALK_UNTIL(&talk, talk.record.opened + talk.record.ended > 0);
        cr_expect_eq(talk.record.opened, 1, "%s: %s", trust->name, talk.record.how.detail);
        ws_abandon(&talk.ws);
    } else {
        cr_expect_eq(talk.record.how.end, WS_END_UNREACHABLE, "%s", trust->name);
        cr_expect_gt(strlen(talk.record.how.detail), 0, "%s", trust->name);
    }
    conversation_destroy(&talk);
}

Test(ws_tls, trust)
{
    struct certificates certificates;
    certificates_create(&certificates);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_trust(&cases[i], &certificates);
    }
    certificates_destroy(&certificates);
}

/* A plain server on the port that was taken to speak TLS, and the other way round. */
Test(ws_tls, tls_to_a_plain_server)
{
    struct conversation talk;
    conversation_create(&talk, false);
    talk.target.use_tls = true;
    conversation_open(&talk);
    TALK_UNTIL(&talk, talk.peer.in.length > 0);
    peer_send_text(&talk.peer, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    conversation_end(&talk, WS_END_UNREACHABLE, 0);
    conversation_destroy(&talk);
}

Test(ws_tls, plain_to_a_tls_server)
{
    struct conversation talk;
    conversation_create(&talk, true);
    talk.target.use_tls = false;
    conversation_open(&talk);
    TALK_UNTIL(&talk, talk.peer.is_eof);
    peer_close(&talk.peer);
    TALK_UNTIL(&talk, talk.record.ended > 0);
    cr_expect_eq(talk.record.opened, 0);
    conversation_destroy(&talk);
}
