/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The server's connections are peers that share one listener, so that each takes the next client.
 * A turn of the stage is a turn of the gateway's loop and one of the server.
 */
#include "http_stage.h"

#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static char localhost[] = "localhost";
static char loopback[] = "127.0.0.1";
static char path[] = "/ari";
static char username[] = "lab";
static char password[] = "secret";

static void configure(struct stage *stage, const struct peer_tls *tls)
{
    static char names[][8] = {"pbx1", "pbx2"};
    peer_create(&stage->peer[0], tls);
    for (unsigned i = 1; i < STAGE_PEERS; i++) {
        stage->peer[i] = stage->peer[0];
    }
    stage->config.nodes = stage->node;
    stage->config.nodes_count = 2;
    stage->config.gateway.answer_timeout_ms = 20000;
    stage->config.gateway.max_reply_bytes = 1024 * 1024;
    for (unsigned i = 0; i < 2; i++) {
        stage->node[i] = (struct config_node){
            .name = names[i],
            .username = username,
            .password = password,
            .connect_timeout_ms = 10000,
            .rest_connections = 4,
            .host = tls != NULL ? localhost : loopback,
            .use_tls = tls != NULL,
            .tls = {.verify = true},
            .port = stage->peer[0].port,
            .path = path,
        };
    }
}

void stage_create(struct stage *stage)
{
    *stage = (struct stage){.epoll_fd = -1};
    configure(stage, NULL);
}

void stage_create_tls(struct stage *stage, bool asks_for_certificate)
{
    *stage = (struct stage){.epoll_fd = -1};
    struct certificates *certificates = &stage->certificates;
    certificates_create(certificates);
    struct peer_tls tls = {
        .cert_file = certificates_path(certificates, "server.pem"),
        .key_file = certificates_path(certificates, "server.key"),
        .client_ca_file = asks_for_certificate ? certificates_path(certificates, "ca.pem") : NULL,
    };
    configure(stage, &tls);
    stage->node[0].tls.ca_file = (char *)certificates_path(certificates, "ca.pem");
}

void stage_use_certificate(struct stage *stage, const char *name)
{
    char file[64];
    SSL_CTX *context = stage->peer[0].context;
    snprintf(file, sizeof file, "%s.pem", name);
    const char *path_of_file = certificates_path(&stage->certificates, file);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(context, path_of_file), 1);
    snprintf(file, sizeof file, "%s.key", name);
    path_of_file = certificates_path(&stage->certificates, file);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(context, path_of_file, SSL_FILETYPE_PEM), 1);
}

void stage_start(struct stage *stage)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    char error[256] = "";
    stage->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    cr_assert_geq(stage->epoll_fd, 0);
    cr_assert_eq(http_create(&stage->config, stage->epoll_fd, &stage->http, error, sizeof error), 0,
                 "%s", error);
}

void stage_destroy(struct stage *stage)
{
    http_destroy(&stage->http);
    if (stage->epoll_fd >= 0) {
        close(stage->epoll_fd);
    }
    for (unsigned i = 1; i < STAGE_PEERS; i++) {
        stage->peer[i].listener = -1;
        stage->peer[i].context = NULL;
        peer_destroy(&stage->peer[i]);
    }
    peer_destroy(&stage->peer[0]);
    if (stage->certificates.directory[0] != '\0') {
        certificates_destroy(&stage->certificates);
    }
}

unsigned stage_open(const struct stage *stage)
{
    unsigned count = 0;
    for (unsigned i = 0; i < STAGE_PEERS; i++) {
        count += stage->peer[i].fd >= 0;
    }
    return count;
}

static const char *find_head_end(const struct peer *peer)
{
    return peer->in.length > 0 ? memmem(peer->in.data, peer->in.length, "\r\n\r\n", 4) : NULL;
}

bool stage_take(struct stage *stage, struct peer *peer, struct stage_request *request)
{
    const char *end = find_head_end(peer);
    if (end == NULL) {
        return false;
    }
    size_t head_length = (size_t)(end - (const char *)peer->in.data) + 4;
    char *head = bytes_copy_text(peer->in.data, head_length);
    char *header = peer_header(head, "Content-Length");
    size_t length = header != NULL ? strtoull(header, NULL, 10) : 0;
    free(header);
    if (peer->in.length < head_length + length) {
        free(head);
        return false;
    }
    request->head = head;
    request->body = bytes_copy_text(peer->in.data + head_length, length);
    request->length = length;
    bytes_consume(&peer->in, head_length + length);
    stage->requests++;
    return true;
}

void stage_request_release(struct stage_request *request)
{
    free(request->head);
    free(request->body);
}

struct peer *stage_find_request(struct stage *stage)
{
    for (unsigned i = 0; i < STAGE_PEERS; i++) {
        if (find_head_end(&stage->peer[i]) != NULL) {
            return &stage->peer[i];
        }
    }
    return NULL;
}

static void serve_line(struct peer *peer, const char *head)
{
    char text[1024];
    int length = (int)strcspn(head, "\r");
    int shown = strncmp(head, "HEAD ", 5) == 0 ? 0 : length;
    snprintf(text, sizeof text,
             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%.*s",
             length, shown, head);
    peer_send_text(peer, text);
}

static void serve(struct stage *stage, struct peer *peer)
{
    struct stage_request request;
    while (!stage->is_silent && peer->fd >= 0 && stage_take(stage, peer, &request)) {
        if (stage->serve != NULL) {
            stage->serve(stage, peer, &request);
        } else {
            serve_line(peer, request.head);
        }
        stage_request_release(&request);
    }
}

static void turn_peer(struct stage *stage, struct peer *peer)
{
    bool was_open = peer->fd >= 0;
    peer_turn(peer);
    stage->accepts += !was_open && peer->fd >= 0;
    serve(stage, peer);
    if (peer->fd >= 0 && peer->is_eof) {
        peer_close(peer);
        peer->in.length = 0;
    } else if (peer->fd >= 0) {
        peer_turn(peer); /* what was just said */
    }
}

void stage_turn_client(struct stage *stage)
{
    http_turn(stage->http);
    struct epoll_event events[16];
    int wait_ms = http_wait_ms(stage->http);
    int count = epoll_wait(stage->epoll_fd, events, 16, wait_ms == 0 ? 0 : 1);
    for (int i = 0; i < count; i++) {
        http_ready(stage->http, events[i].data.fd, events[i].events);
    }
}

void stage_turn(struct stage *stage)
{
    stage_turn_client(stage);
    for (unsigned i = 0; i < STAGE_PEERS; i++) {
        turn_peer(stage, &stage->peer[i]);
    }
}

static void on_done(void *owner, struct exchange_answer *answer)
{
    struct ask *ask = owner;
    ask->done++;
    ask->outcome = answer->outcome;
    ask->request = NULL;
    if (answer->outcome != EXCHANGE_ANSWERED) {
        cr_assert_not_null(answer->error);
        snprintf(ask->error, sizeof ask->error, "%s", answer->error);
        return;
    }
    ask->status = answer->status_code;
    snprintf(ask->reason, sizeof ask->reason, "%s", answer->reason_phrase);
    snprintf(ask->content_type, sizeof ask->content_type, "%s",
             answer->content_type != NULL ? answer->content_type : "");
    ask->length = zmq_msg_size(answer->body);
    ask->body = bytes_copy_text(zmq_msg_data(answer->body), ask->length);
}

void ask_send_order(struct ask *ask, struct stage *stage, const struct exchange_order *order)
{
    *ask = (struct ask){.stage = stage, .order = *order};
    cr_assert_eq(http_send(stage->http, &ask->order, on_done, ask, &ask->request), 0);
    cr_assert_not_null(ask->request);
    cr_assert_eq(ask->done, 0, "told from within http_send()");
}

void ask_send(struct ask *ask, struct stage *stage, const char *method, const char *uri,
              const char *content_type, const char *body)
{
    struct exchange_order order = {.method = method,
                                   .uri = uri,
                                   .query = "",
                                   .content_type = content_type,
                                   .body = body,
                                   .body_length = body != NULL ? strlen(body) : 0};
    ask_send_order(ask, stage, &order);
}

void ask_await(struct ask *ask)
{
    STAGE_UNTIL(ask->stage, ask->done > 0);
    cr_expect_eq(ask->done, 1);
}

void ask_get(struct ask *ask, struct stage *stage, const char *uri)
{
    ask_send(ask, stage, "GET", uri, NULL, NULL);
    ask_await(ask);
}

void ask_release(struct ask *ask)
{
    cr_expect_eq(ask->done, 1, "told %u times", ask->done);
    free(ask->body);
}
