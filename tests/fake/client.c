/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A client with no behaviour of its own: it sends what a test says and returns what came. Called
 * by the tests of fake_asterisk and fault_proxy. It never answers a ping or a close.
 */
#include "client.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/process.h"

struct client *client_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = HARNESS_TIMEOUT_MS / 1000};
    struct client *client = calloc(1, sizeof *client);
    cr_assert_not_null(client);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0,
                 "connect to port %u: %m", port);
    return client;
}

struct client *client_connect_tls(uint16_t port, const char *certificate, const char *key)
{
    struct client *client = client_connect(port);
    client->tls = SSL_CTX_new(TLS_client_method());
    if (certificate) {
        cr_assert_eq(SSL_CTX_use_certificate_file(client->tls, certificate, SSL_FILETYPE_PEM), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey_file(client->tls, key, SSL_FILETYPE_PEM), 1);
    }
    client->ssl = SSL_new(client->tls);
    SSL_set_fd(client->ssl, client->fd);
    cr_assert_eq(SSL_connect(client->ssl), 1);
    return client;
}

void client_destroy(struct client **self)
{
    struct client *client = *self;
    SSL_free(client->ssl);
    SSL_CTX_free(client->tls);
    close(client->fd);
    bytes_free(&client->in);
    free(client);
    *self = NULL;
}

void client_send(struct client *client, const void *data, size_t length)
{
    ssize_t n = client->ssl ? SSL_write(client->ssl, data, (int)length)
                            : send(client->fd, data, length, MSG_NOSIGNAL);
    cr_assert_eq(n, (ssize_t)length, "%zd of %zu bytes sent: %m", n, length);
}

/* False at the end of the connection, however it came. */
static bool client_read_more(struct client *client)
{
    static uint8_t chunk[1 << 18];
    ssize_t n = client->ssl ? SSL_read(client->ssl, chunk, sizeof chunk)
                            : recv(client->fd, chunk, sizeof chunk, 0);
    cr_assert(n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK), "nothing came in time");
    if (n <= 0) {
        return false;
    }
    bytes_consume(&client->in, client->used);
    client->used = 0;
    bytes_append(&client->in, chunk, (size_t)n);
    return true;
}

const uint8_t *client_read_bytes(struct client *client, size_t length)
{
    while (client->in.length - client->used < length) {
        if (!client_read_more(client)) {
            return NULL;
        }
    }
    client->used += length;
    return client->in.data + client->used - length;
}

bool client_is_at_end(struct client *client)
{
    return client->in.length == client->used && !client_read_more(client);
}

bool client_is_silent(struct client *client, int for_ms)
{
    struct pollfd polled = {.fd = client->fd, .events = POLLIN};
    return client->in.length == client->used && poll(&polled, 1, for_ms) == 0;
}

char *client_response_header(const struct client_response *response, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s: ", name);
    const char *at = response->headers;
    while (at) {
        size_t length = strcspn(at, "\r");
        if (strncmp(at, key, strlen(key)) == 0) {
            return strndup(at + strlen(key), length - strlen(key));
        }
        at = at[length] ? at + length + 2 : NULL;
    }
    return NULL;
}

void client_request(struct client *client, const char *request, struct client_response *out)
{
    client_send(client, request, strlen(request));
    const uint8_t *end = NULL;
    while (!end) {
        cr_assert(client_read_more(client), "the connection ended before the response");
        end = memmem(client->in.data, client->in.length, "\r\n\r\n", 4);
    }
    size_t head_length = (size_t)(end - client->in.data);
    out->head = strndup((const char *)client->in.data, head_length);
    client->used = head_length + 4;
    out->status_line = out->head;
    out->headers = strstr(out->head, "\r\n");
    if (out->headers) {
        *out->headers = '\0';
        out->headers += 2;
    }
    char *length = client_response_header(out, "Content-Length");
    out->body_length = length ? strtoul(length, NULL, 10) : 0;
    free(length);
    const uint8_t *body = client_read_bytes(client, out->body_length);
    cr_assert_not_null(body, "the body is cut off");
    out->body = strndup((const char *)body, out->body_length);
}

void client_response_free(struct client_response *response)
{
    free(response->head);
    free(response->body);
}

void client_upgrade(struct client *client, const char *target)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
             "Authorization: Basic bGFiOnNlY3JldA==\r\n\r\n",
             target);
    struct client_response response;
    client_request(client, request, &response);
    cr_assert_str_eq(response.status_line, "HTTP/1.1 101 Switching Protocols");
    client_response_free(&response);
}

struct client *client_open(uint16_t port, const char *target)
{
    struct client *client = client_connect(port);
    client_upgrade(client, target);
    return client;
}

void client_send_frame(struct client *client, bool is_final, unsigned opcode, const void *payload,
                       size_t length)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t header[FRAME_HEADER_MAX];
    size_t header_length = frame_write_header(header, is_final, (enum frame_opcode)opcode, length);
    header[1] |= 0x80;
    struct bytes frame = {0};
    bytes_append(&frame, header, header_length);
    bytes_append(&frame, mask, sizeof mask);
    bytes_append(&frame, payload, length);
    for (size_t i = 0; i < length; i++) {
        frame.data[header_length + sizeof mask + i] ^= mask[i % 4];
    }
    client_send(client, frame.data, frame.length);
    bytes_free(&frame);
}

void client_send_text(struct client *client, const char *text)
{
    client_send_frame(client, true, FRAME_TEXT, text, strlen(text));
}

bool client_read_frame(struct client *client, struct frame *frame)
{
    while (!frame_parse(client->in.data + client->used, client->in.length - client->used, frame) ||
           !frame->payload) {
        if (!client_read_more(client)) {
            return false;
        }
    }
    client->used += frame->header_length + (size_t)frame->length;
    return true;
}

char *client_read_text(struct client *client)
{
    struct frame frame;
    cr_assert(client_read_frame(client, &frame), "the connection ended");
    cr_assert_eq(frame.opcode, FRAME_TEXT);
    cr_assert(frame.is_final);
    return strndup((const char *)frame.payload, (size_t)frame.length);
}
