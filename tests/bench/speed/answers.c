/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What a client of ARI is told before and between the events: the upgrade, the few resources that a
 * bridge reads after it has connected (there are no objects), RESTRequests over the WebSocket, and
 * pongs. Called by peers.c with what has come.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "../../fake/frame.h"
#include "generator.h"
#include "sockets.h"

enum { ANSWER_MAX = 2048, NAME_MAX_BYTES = 256 };

static const char application[] =
    "{\"name\":\"%s\",\"channel_ids\":[],\"bridge_ids\":[],\"endpoint_ids\":[],"
    "\"device_names\":[],\"events_allowed\":[],\"events_disallowed\":[]}";

/* Copies the value of a header; empty where there is none. */
static void copy_header(const char *head, const char *name, char out[NAME_MAX_BYTES])
{
    out[0] = '\0';
    const char *at = strcasestr(head, name);
    if (at != NULL) {
        at += strlen(name);
        at += strspn(at, " ");
        snprintf(out, NAME_MAX_BYTES, "%.*s", (int)strcspn(at, "\r"), at);
    }
}

static void write_accept(const char *key, char out[32])
{
    char text[NAME_MAX_BYTES + 64];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_length = 0;
    int length = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (EVP_Digest(text, (size_t)length, digest, &digest_length, EVP_sha1(), NULL) != 1) {
        sockets_fail("SHA-1");
    }
    EVP_EncodeBlock((unsigned char *)out, digest, (int)digest_length);
}

static void upgrade(struct generator *self, struct peer *peer, const char *head)
{
    char key[NAME_MAX_BYTES];
    char protocol[NAME_MAX_BYTES];
    char accept[32];
    char answer[ANSWER_MAX];
    copy_header(head, "\r\nSec-WebSocket-Key:", key);
    copy_header(head, "\r\nSec-WebSocket-Protocol:", protocol);
    write_accept(key, accept);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
                          accept, protocol[0] ? "Sec-WebSocket-Protocol: " : "", protocol,
                          protocol[0] ? "\r\n" : "");
    peers_write(peer, answer, (size_t)length);
    peer->is_websocket = true;
    generator_add_link(self, peer);
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The body for what lies behind /ari/; its status. */
static int write_body(const char *path, char body[ANSWER_MAX])
{
    static const char *const lists[] = {"channels", "bridges", "endpoints", "deviceStates"};
    size_t length = strcspn(path, "? ");
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (length == strlen(lists[i]) && begins(path, lists[i])) {
            strcpy(body, "[]");
            return 200;
        }
    }
    if (begins(path, "asterisk/info")) {
        strcpy(body, "{\"status\":{\"startup_time\":\"2026-11-01T00:00:00.000+0000\","
                     "\"last_reload_time\":\"2026-11-01T00:00:00.000+0000\"}}");
        return 200;
    }
    if (begins(path, "asterisk/ping")) {
        strcpy(body, "{\"asterisk_id\":\"02:00:00:00:00:22\",\"ping\":\"pong\","
                     "\"timestamp\":\"2026-11-01T00:00:00.000+0000\"}");
        return 200;
    }
    if (begins(path, "applications/")) {
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(path + 13, "/? "), path + 13);
        snprintf(body, ANSWER_MAX, application, name);
        return 200;
    }
    strcpy(body, "{\"message\":\"Resource not found\"}");
    return 404;
}

static void answer_request(struct generator *self, struct peer *peer, const char *head)
{
    char body[ANSWER_MAX];
    char answer[ANSWER_MAX * 2];
    const char *path = strstr(head, "/ari/");
    if (path != NULL && begins(path, "/ari/events")) {
        upgrade(self, peer, head);
        return;
    }
    int status = write_body(path != NULL ? path + 5 : "", body);
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                          "Content-Length: %zu\r\n\r\n%s",
                          status, status == 200 ? "OK" : "Not Found", strlen(body), body);
    peers_write(peer, answer, (size_t)length);
}

/* asterisk/ping over the WebSocket: the only thing that is asked there. */
static void answer_message(struct peer *peer, const char *text, size_t length)
{
    static const char member[] = "\"request_id\":\"";
    char answer[ANSWER_MAX];
    const char *id = memmem(text, length, member, sizeof member - 1);
    if (id == NULL) {
        return;
    }
    id += sizeof member - 1;
    size_t left = (size_t)(text + length - id);
    const char *end = memchr(id, '"', left);
    int size =
        snprintf(answer, sizeof answer,
                 "{\"type\":\"RESTResponse\",\"transaction_id\":\"\",\"request_id\":\"%.*s\","
                 "\"status_code\":200,\"reason_phrase\":\"OK\",\"uri\":\"asterisk/ping\","
                 "\"content_type\":\"application/json\",\"message_body\":\"{}\"}",
                 (int)(end != NULL ? end - id : 0), id);
    struct bytes frame = {0};
    frame_append(&frame, true, FRAME_TEXT, answer, (size_t)size);
    peers_write(peer, frame.data, frame.length);
    bytes_free(&frame);
}

/* Returns the length of what it has handled; 0: more has to come; -1: the peer closes. */
static ssize_t take_frame(struct peer *peer)
{
    struct frame frame = {0};
    if (!frame_parse((uint8_t *)peer->in, peer->length, &frame) || frame.payload == NULL) {
        return 0;
    }
    if (frame.opcode == FRAME_CLOSE) {
        return -1;
    }
    if (frame.opcode == FRAME_PING) {
        struct bytes pong = {0};
        frame_append(&pong, true, FRAME_PONG, frame.payload, (size_t)frame.length);
        peers_write(peer, pong.data, pong.length);
        bytes_free(&pong);
    } else if (frame.opcode == FRAME_TEXT) {
        answer_message(peer, (const char *)frame.payload, (size_t)frame.length);
    }
    return (ssize_t)(frame.header_length + (size_t)frame.length);
}

static ssize_t take_request(struct generator *self, struct peer *peer)
{
    peer->in[peer->length] = '\0';
    char *end = strstr(peer->in, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    end[2] = '\0';
    answer_request(self, peer, peer->in);
    return end + 4 - peer->in;
}

bool answers_give(struct generator *self, struct peer *peer)
{
    ssize_t taken = 0;
    do {
        taken = peer->is_websocket ? take_frame(peer) : take_request(self, peer);
        if (taken > 0) {
            peer->length -= (size_t)taken;
            memmove(peer->in, peer->in + taken, peer->length);
        }
    } while (taken > 0 && peer->length > 0);
    return taken >= 0 && peer->length < PEER_IN_MAX - 1;
}
