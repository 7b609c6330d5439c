/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The opening handshake: the request's text, and every kind of answer.
 */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "arizmq/error.h"
#include "node/ws_handshake.h"

/* The example of RFC 6455, section 1.3. */
#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\n"

/* Reads from memory of exactly the text's size. */
static int read_answer(const char *text, size_t length, struct ws_answer *out)
{
    char *exact = malloc(length > 0 ? length : 1);
    cr_assert_not_null(exact);
    memcpy(exact, text, length);
    int result = ws_handshake_read(exact, length, KEY, out);
    free(exact);
    return result;
}

struct example {
    const char *name;
    const char *text;
    int result;
    int status;
    int is_accepted;
    size_t body;
    const char *reason;
};

static const struct example examples[] = {
    {"Asterisk's own", SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", 1, 101,
     1, 0, "Switching Protocols"},
    {"other case and order",
     "HTTP/1.1 101 Go\r\nsec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
     "CONNECTION:\tupgrade \r\nServer: x\r\nuPGRADE:   WebSocket  \r\n\r\n",
     1, 101, 1, 0, "Go"},
    {"a list in Connection",
     SWITCH "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" ACCEPT "\r\n", 1, 101, 1, 0,
     "Switching Protocols"},
    {"a list in Connection, the other way",
     SWITCH "Upgrade: websocket\r\nConnection: upgrade ,keep-alive\r\n" ACCEPT "\r\n", 1, 101, 1, 0,
     "Switching Protocols"},
    {"Connection twice",
     SWITCH "Upgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n" ACCEPT "\r\n",
     1, 101, 1, 0, "Switching Protocols"},
    {"no reason phrase",
     "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", 1, 101, 1, 0,
     ""},
    {"another key's accept",
     SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n",
     1, 101, 0, 0, "the 101's Sec-WebSocket-Accept does not belong to our key"},
    {"accept in another case",
     SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n\r\n",
     1, 101, 0, 0, "the 101's Sec-WebSocket-Accept does not belong to our key"},
    {"accept cut off",
     SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n",
     1, 101, 0, 0, "the 101's Sec-WebSocket-Accept does not belong to our key"},
    {"no accept", SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 1, 101, 0, 0,
     "the 101's Sec-WebSocket-Accept does not belong to our key"},
    {"no Upgrade", SWITCH "Connection: Upgrade\r\n" ACCEPT "\r\n", 1, 101, 0, 0,
     "the 101 has no Upgrade: websocket"},
    {"another Upgrade", SWITCH "Upgrade: h2c\r\nConnection: Upgrade\r\n" ACCEPT "\r\n", 1, 101, 0,
     0, "the 101 has no Upgrade: websocket"},
    {"no Connection", SWITCH "Upgrade: websocket\r\n" ACCEPT "\r\n", 1, 101, 0, 0,
     "the 101 has no Connection: Upgrade"},
    {"another Connection", SWITCH "Upgrade: websocket\r\nConnection: close\r\n" ACCEPT "\r\n", 1,
     101, 0, 0, "the 101 has no Connection: Upgrade"},
    {"Upgrade only within a word of Connection",
     SWITCH "Upgrade: websocket\r\nConnection: no-Upgrade, Upgrades\r\n" ACCEPT "\r\n", 1, 101, 0,
     0, "the 101 has no Connection: Upgrade"},
    {"an extension",
     SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT
            "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
     1, 101, 0, 0, "the 101 names an extension that was not asked for"},
    {"401 with JSON",
     "HTTP/1.1 401 Unauthorized\r\nContent-type: application/json\r\nContent-Length: 37\r\n\r\n"
     "{\"message\":\"Authentication required\"}",
     1, 401, 0, 37, "Unauthorized"},
    {"404 with HTML, no length", "HTTP/1.1 404 Not Found\r\nContent-type: text/html\r\n\r\n<html>",
     1, 404, 0, 0, "Not Found"},
    {"HTTP/1.0", "HTTP/1.0 503 Service Unavailable\r\n\r\n", 1, 503, 0, 0, "Service Unavailable"},
    {"empty Content-Length", "HTTP/1.1 400 Bad Request\r\nContent-Length:\r\n\r\n", 1, 400, 0, 0,
     "Bad Request"},
    {"empty Content-Length, digits behind",
     "HTTP/1.1 400 Bad Request\r\nContent-Length: \r\n\r\n   77", 1, 400, 0, 0, "Bad Request"},
    {"Content-Length that is no number", "HTTP/1.1 400 Bad Request\r\nContent-Length: -1\r\n\r\n",
     1, 400, 0, 0, "Bad Request"},
    {"no reason at all", "HTTP/1.1 500\r\n\r\n", 1, 500, 0, 0, ""},
    {"nothing", "", 0, 0, 0, 0, NULL},
    {"the start of HTTP", "HT", 0, 0, 0, 0, NULL},
    {"a head without an end", SWITCH "Upgrade: websocket\r\n", 0, 0, 0, 0, NULL},
    {"only line feeds", "HTTP/1.1 200 OK\n\n", 0, 0, 0, 0, NULL},
    {"another protocol's head", "SIP/2.0 200 OK\r\nVia: x\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"the manager's port", "Asterisk Call Manager/9.0.0\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"an SSH server", "SSH-2.0-OpenSSH_9.2\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"TLS", "\x15\x03\x03", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"HTTP/2", "HTTP/2 200\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"no status", "HTTP/1.1 OK\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"status below 100", "HTTP/1.1 099 x\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"negative status", "HTTP/1.1 -10 x\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"status of four digits", "HTTP/1.1 1011 x\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"no space before the status", "HTTP/1.1101 x\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
    {"an empty line", "\r\n\r\n", ARIZMQ_EINVALID, 0, 0, 0, NULL},
};

Test(ws_handshake, answers)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const struct example *example = &examples[i];
        struct ws_answer answer = {.status = -1};
        int result = read_answer(example->text, strlen(example->text), &answer);
        cr_expect_eq(result, example->result, "%s: %d", example->name, result);
        if (result != 1 || example->result != 1) {
            cr_expect_eq(answer.status, -1, "%s: written although not successful", example->name);
            continue;
        }
        const char *head_end = strstr(example->text, "\r\n\r\n") + 4;
        cr_expect_eq(answer.status, example->status, "%s: %d", example->name, answer.status);
        cr_expect_eq(answer.is_accepted, example->is_accepted, "%s: %s", example->name,
                     answer.reason);
        cr_expect_eq(answer.body, example->body, "%s: %zu", example->name, answer.body);
        cr_expect_eq(answer.head, (size_t)(head_end - example->text), "%s", example->name);
        cr_expect_str_eq(answer.reason, example->reason, "%s: %s", example->name, answer.reason);
    }
}

Test(ws_handshake, an_answer_is_understood_once_its_head_is_whole)
{
    static const char text[] =
        SWITCH "Upgrade: websocket\r\nConnection: Upgrade\r\n" ACCEPT "\r\n\x81\x02hi";
    size_t head = sizeof text - 1 - 4;
    for (size_t length = 0; length < sizeof text; length++) {
        struct ws_answer answer = {0};
        int result = read_answer(text, length, &answer);
        cr_expect_eq(result, length >= head, "%zu of %zu: %d", length, head, result);
        if (result == 1) {
            cr_expect(answer.is_accepted);
            cr_expect_eq(answer.head, head);
        }
    }
}

Test(ws_handshake, over_long_parts_are_cut)
{
    char text[4096] = "HTTP/1.1 400 ";
    size_t length = strlen(text);
    memset(text + length, 'r', 3000);
    strcpy(text + length + 3000, "\r\nContent-Length: 12\r\n\r\n");
    struct ws_answer answer = {0};
    cr_assert_eq(read_answer(text, strlen(text), &answer), 1);
    cr_expect_eq(answer.status, 400);
    cr_expect_eq(answer.body, 12);
    cr_expect_eq(answer.head, strlen(text));
    cr_expect_lt(strlen(answer.reason), sizeof answer.reason);
    cr_expect_eq(strspn(answer.reason, "r"), strlen(answer.reason));
    /* A length that no size_t holds is a long body, not a short one. */
    static const char huge[] =
        "HTTP/1.1 500 x\r\nContent-Length: 99999999999999999999999999\r\n\r\n";
    cr_assert_eq(read_answer(huge, sizeof huge - 1, &answer), 1);
    cr_expect_gt(answer.body, 1 << 30);
}

Test(ws_handshake, zero_bytes_do_no_harm)
{
    static const char text[] = "HTTP/1.1 40\0 x\r\nContent-Length: 1\0\r\n\r\n";
    struct ws_answer answer = {0};
    int result = read_answer(text, sizeof text - 1, &answer);
    cr_expect_eq(result, ARIZMQ_EINVALID, "%d", result);
}

Test(ws_handshake, request)
{
    char out[1024];
    size_t length = ws_handshake_write("/ari/events?app=ivr", "pbx1.example.com", 8088, KEY,
                                       "Basic bGFiOnNlY3JldA==", out, sizeof out);
    static const char expected[] = "GET /ari/events?app=ivr HTTP/1.1\r\n"
                                   "Host: pbx1.example.com:8088\r\n"
                                   "Upgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Key: " KEY "\r\n"
                                   "Sec-WebSocket-Version: 13\r\n"
                                   "Authorization: Basic bGFiOnNlY3JldA==\r\n"
                                   "\r\n";
    cr_expect_eq(length, sizeof expected - 1);
    cr_expect_str_eq(out, expected);
    /* Room is needed for the terminating zero, too. */
    char exact[sizeof expected];
    cr_expect_eq(ws_handshake_write("/ari/events?app=ivr", "pbx1.example.com", 8088, KEY,
                                    "Basic bGFiOnNlY3JldA==", exact, sizeof exact),
                 sizeof expected - 1);
    cr_expect_eq(ws_handshake_write("/ari/events?app=ivr", "pbx1.example.com", 8088, KEY,
                                    "Basic bGFiOnNlY3JldA==", exact, sizeof exact - 1),
                 0);
}

Test(ws_handshake, request_to_an_ipv6_host)
{
    char out[1024];
    cr_assert_gt(
        ws_handshake_write("/ari/events", "2001:db8::17", 8088, KEY, "Basic x", out, sizeof out),
        0);
    cr_expect_not_null(strstr(out, "\r\nHost: [2001:db8::17]:8088\r\n"), "%s", out);
}
