/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The server of the connection tests. Everything is nonblocking, for the client under test runs in
 * the same thread; it never answers by itself, except that TLS does its handshake.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/evp.h>

void peer_create(struct peer *peer, const struct peer_tls *tls)
{
    *peer = (struct peer){.fd = -1};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_geq(peer->listener, 0);
    cr_assert_eq(bind(peer->listener, (struct sockaddr *)&address, length), 0);
    cr_assert_eq(listen(peer->listener, 8), 0);
    cr_assert_eq(getsockname(peer->listener, (struct sockaddr *)&address, &length), 0);
    peer->port = ntohs(address.sin_port);
    if (tls == NULL || tls->cert_file == NULL) {
        return;
    }
    peer->context = SSL_CTX_new(TLS_server_method());
    cr_assert_not_null(peer->context);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(peer->context, tls->cert_file), 1, "%s",
                 tls->cert_file);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(peer->context, tls->key_file, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_mode(peer->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (tls->client_ca_file != NULL) {
        cr_assert_eq(SSL_CTX_load_verify_locations(peer->context, tls->client_ca_file, NULL), 1);
        SSL_CTX_set_verify(peer->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
}

static void peer_drop(struct peer *peer)
{
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    peer->fd = -1;
    peer->is_up = false;
    peer->out.length = 0;
}

void peer_stop_listening(struct peer *peer)
{
    if (peer->listener >= 0) {
        close(peer->listener);
    }
    peer->listener = -1;
}

void peer_destroy(struct peer *peer)
{
    peer_drop(peer);
    peer_stop_listening(peer);
    SSL_CTX_free(peer->context);
    bytes_free(&peer->in);
    bytes_free(&peer->out);
}

void peer_close(struct peer *peer)
{
    if (peer->is_up && peer->ssl != NULL) {
        SSL_shutdown(peer->ssl);
    }
    peer_drop(peer);
    peer->is_closed = true;
}

void peer_reset(struct peer *peer)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    peer_drop(peer);
    peer->is_closed = true;
}

static void peer_accept(struct peer *peer)
{
    if (peer->fd >= 0 || peer->listener < 0) {
        return;
    }
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer->fd < 0) {
        return;
    }
    peer->is_eof = false;
    peer->is_closed = false;
    if (peer->context != NULL) {
        peer->ssl = SSL_new(peer->context);
        SSL_set_fd(peer->ssl, peer->fd);
    }
}

/* Returns what recv() or SSL_read() would, negative with nothing to read. */
static ssize_t peer_read(struct peer *peer, void *buffer, size_t size)
{
    if (peer->ssl == NULL) {
        ssize_t length = recv(peer->fd, buffer, size, 0);
        return length < 0 && errno != EAGAIN ? 0 : length;
    }
    int length = SSL_read(peer->ssl, buffer, (int)size);
    if (length > 0) {
        return length;
    }
    int error = SSL_get_error(peer->ssl, length);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static void peer_write_queued(struct peer *peer)
{
    while (peer->out.length > 0) {
        ssize_t written = peer->ssl != NULL
                              ? SSL_write(peer->ssl, peer->out.data, (int)peer->out.length)
                              : send(peer->fd, peer->out.data, peer->out.length, MSG_NOSIGNAL);
        if (written <= 0) {
            return;
        }
        bytes_consume(&peer->out, (size_t)written);
    }
}

void peer_turn(struct peer *peer)
{
    peer_accept(peer);
    if (peer->fd < 0 || peer->is_eof) {
        return;
    }
    if (!peer->is_up && peer->ssl != NULL) {
        int result = SSL_accept(peer->ssl);
        if (result != 1) {
            int error = SSL_get_error(peer->ssl, result);
            peer->is_eof = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
            return;
        }
    }
    peer->is_up = true;
    peer->was_up = true;
    peer_write_queued(peer);
    char buffer[16384];
    ssize_t length = 0;
    while ((length = peer_read(peer, buffer, sizeof buffer)) > 0) {
        bytes_append(&peer->in, buffer, (size_t)length);
    }
    peer->is_eof = length == 0;
}

void peer_send(struct peer *peer, const void *bytes, size_t length)
{
    bytes_append(&peer->out, bytes, length);
}

void peer_send_text(struct peer *peer, const char *text)
{
    peer_send(peer, text, strlen(text));
}

static size_t head_length(const struct peer *peer)
{
    const char *end =
        peer->in.length > 0 ? memmem(peer->in.data, peer->in.length, "\r\n\r\n", 4) : NULL;
    return end == NULL ? 0 : (size_t)(end - (const char *)peer->in.data) + 4;
}

bool peer_has_head(const struct peer *peer)
{
    return head_length(peer) > 0;
}

char *peer_take_head(struct peer *peer)
{
    size_t length = head_length(peer);
    char *head = strndup((const char *)peer->in.data, length);
    bytes_consume(&peer->in, length);
    return head;
}

char *peer_header(const char *head, const char *name)
{
    for (const char *line = strchr(head, '\n'); line != NULL; line = strchr(line, '\n')) {
        line++;
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':') {
            const char *value = line + strlen(name) + 1;
            value += strspn(value, " ");
            return strndup(value, strcspn(value, "\r"));
        }
    }
    return NULL;
}

void peer_accept_websocket(struct peer *peer, const char *head)
{
    char *key = peer_header(head, "Sec-WebSocket-Key");
    cr_assert_not_null(key, "%s", head);
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char accept[64];
    int length = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    free(key);
    cr_assert_eq(EVP_Digest(text, (size_t)length, digest, NULL, EVP_sha1(), NULL), 1);
    EVP_EncodeBlock(accept, digest, 20);
    char answer[256];
    snprintf(answer, sizeof answer,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             (const char *)accept);
    peer_send_text(peer, answer);
}

bool peer_take_frame(struct peer *peer, struct peer_frame *frame)
{
    const uint8_t *at = peer->in.data;
    size_t have = peer->in.length;
    if (have < 2) {
        return false;
    }
    unsigned bits = (at[1] & 0x7f) == 126 ? 16 : (at[1] & 0x7f) == 127 ? 64 : 0;
    size_t used = 2 + bits / 8;
    uint64_t length = bits == 0 ? at[1] & 0x7f : 0;
    if (have < used + 4) {
        return false;
    }
    for (size_t i = 2; i < used; i++) {
        length = length << 8 | at[i];
    }
    cr_assert_neq(at[1] & 0x80, 0, "a client's frame is not masked");
    cr_assert_eq(at[0] & 0x70, 0, "reserved bits");
    cr_assert_leq(length, sizeof frame->payload);
    if (have < used + 4 + length) {
        return false;
    }
    frame->is_final = (at[0] & 0x80) != 0;
    frame->opcode = at[0] & 0x0f;
    frame->length = (size_t)length;
    memcpy(frame->mask, at + used, 4);
    for (size_t i = 0; i < length; i++) {
        frame->payload[i] = at[used + 4 + i] ^ frame->mask[i % 4];
    }
    bytes_consume(&peer->in, used + 4 + (size_t)length);
    return true;
}
