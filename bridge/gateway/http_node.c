/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What is constant for a node: its multi, its URL and headers, and the easy handles with all the
 * options that do not change from request to request. No environment variable and no file but those
 * of the configuration changes how an Asterisk is spoken to.
 */
#include "gateway/http_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "base/tls.h"

/* curl reads the files when it connects; what is wrong with them is to be known before. */
static int check_tls(const struct config_node *config, char *error, size_t error_size)
{
    const struct config_tls *tls = &config->tls;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        return ARIZMQ_ENOMEM;
    }
    SSL_CTX_set_default_passwd_cb(context, tls_give_no_passphrase);
    ERR_clear_error();
    const char *bad = NULL;
    if (tls->ca_file != NULL && SSL_CTX_load_verify_locations(context, tls->ca_file, NULL) != 1) {
        bad = tls->ca_file;
    } else if (tls->cert_file != NULL &&
               SSL_CTX_use_certificate_chain_file(context, tls->cert_file) != 1) {
        bad = tls->cert_file;
    } else if (tls->key_file != NULL &&
               (SSL_CTX_use_PrivateKey_file(context, tls->key_file, SSL_FILETYPE_PEM) != 1 ||
                SSL_CTX_check_private_key(context) != 1)) {
        bad = tls->key_file;
    }
    if (bad != NULL) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        snprintf(error, error_size, "%s: cannot use %s for HTTPS: %s", config->name, bad,
                 reason != NULL ? reason : "OpenSSL gives no reason");
    }
    ERR_clear_error();
    SSL_CTX_free(context);
    return bad == NULL ? ARIZMQ_OK : ARIZMQ_EINVALID;
}

/* Parsed once: of a text curl would make the same again for each request. */
static int parse_url(struct http_node *node, char *error, size_t error_size)
{
    const struct config_node *config = node->config;
    bool is_ipv6 = strchr(config->host, ':') != NULL;
    char *text = NULL;
    if (asprintf(&text, "%s://%s%s%s:%u/", config->use_tls ? "https" : "http", is_ipv6 ? "[" : "",
                 config->host, is_ipv6 ? "]" : "", config->port) < 0) {
        return ARIZMQ_ENOMEM;
    }
    node->url = curl_url();
    CURLUcode code =
        node->url != NULL ? curl_url_set(node->url, CURLUPART_URL, text, 0) : CURLUE_OUT_OF_MEMORY;
    if (code != CURLUE_OK) {
        snprintf(error, error_size, "%s: %s is no URL for HTTP: %s", config->name, text,
                 curl_url_strerror(code));
    }
    free(text);
    return code == CURLUE_OK              ? ARIZMQ_OK
           : code == CURLUE_OUT_OF_MEMORY ? ARIZMQ_ENOMEM
                                          : ARIZMQ_EINVALID;
}

static int print_authorization(struct http_node *node)
{
    const struct config_node *config = node->config;
    /* "Authorization: Basic " and base64, which makes four bytes of three. */
    static const char name[] = "Authorization: ";
    size_t size = sizeof name + 16 + (strlen(config->username) + strlen(config->password) + 4) * 2;
    node->authorization = malloc(size);
    if (node->authorization == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(node->authorization, name, sizeof name);
    return lws_http_basic_auth_gen(config->username, config->password,
                                   node->authorization + sizeof name - 1, size - sizeof name) == 0
               ? ARIZMQ_OK
               : ARIZMQ_ENOMEM;
}

/* A header without a value takes out what curl would send of itself. The first one is left out
 * where a request has a content type. */
static void chain_headers(struct http_node *node)
{
    static char no_content_type[] = "Content-Type:";
    static char no_expect[] = "Expect:";
    static char no_accept[] = "Accept:";
    char *const lines[HTTP_HEADERS_COUNT] = {no_content_type, no_expect, no_accept,
                                             node->authorization};
    for (unsigned i = 0; i < HTTP_HEADERS_COUNT; i++) {
        node->headers[i].data = lines[i];
        node->headers[i].next = i + 1 < HTTP_HEADERS_COUNT ? &node->headers[i + 1] : NULL;
    }
}

static int set_timer(CURLM *multi, long timeout_ms, void *owner)
{
    (void)multi;
    struct http_node *node = owner;
    node->has_timer = timeout_ms >= 0;
    node->timer_ms = node->has_timer ? clock_monotonic_ms() + (uint64_t)timeout_ms : 0;
    return 0;
}

bool http_node_set_connections(struct http_node *node)
{
    long connections = (long)node->config->rest_connections;
    return curl_multi_setopt(node->multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK &&
           curl_multi_setopt(node->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) == CURLM_OK;
}

static int create_multi(struct http_node *node)
{
    node->multi = curl_multi_init();
    if (node->multi == NULL) {
        return ARIZMQ_ENOMEM;
    }
    CURLM *multi = node->multi;
    bool is_set =
        http_node_set_connections(node) &&
        curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, http_socket_watch) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, node) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_TIMERDATA, node) == CURLM_OK;
    return is_set ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

int http_node_create(struct http *http, const struct config_node *config, struct http_node **out,
                     char *error, size_t error_size)
{
    snprintf(error, error_size, "node %s: no memory for its HTTP connections", config->name);
    struct http_node *node = calloc(1, sizeof *node);
    if (node == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(node);
        return ARIZMQ_ENOMEM;
    }
    node->http = http;
    node->config = config_node_hold(config);
    int result = config->use_tls ? check_tls(config, error, error_size) : ARIZMQ_OK;
    if (result == ARIZMQ_OK) {
        result = parse_url(node, error, error_size);
    }
    if (result == ARIZMQ_OK) {
        result = print_authorization(node);
    }
    if (result == ARIZMQ_OK) {
        chain_headers(node);
        result = create_multi(node);
    }
    if (result != ARIZMQ_OK) {
        http_node_destroy(&node);
        return result;
    }
    *out = node;
    return ARIZMQ_OK;
}

static void destroy_handle(struct http_handle *handle)
{
    curl_easy_cleanup(handle->easy);
    free(handle->content_type_line);
    free(handle);
}

void http_node_destroy(struct http_node **self)
{
    struct http_node *node = *self;
    *self = NULL;
    if (node == NULL) {
        return;
    }
    for (unsigned i = 0; i < node->handles_count; i++) {
        struct http_handle *handle = node->handles[i];
        if (handle->request != NULL) {
            curl_multi_remove_handle(node->multi, handle->easy);
            http_request_free(handle->request);
        }
        destroy_handle(handle);
    }
    curl_multi_cleanup(node->multi);
    while (node->queue != NULL) {
        struct http_request *next = node->queue->next;
        http_request_free(node->queue);
        node->queue = next;
    }
    free(node->authorization);
    curl_url_cleanup(node->url);
    config_node_release(&node->config);
    free(node);
    curl_global_cleanup(); /* curl counts: one that is never put to use may outlive the others */
}

static bool set_tls(CURL *easy, const struct config_tls *tls)
{
    /* Of an authority of one's own: without curl's directory of all the others. */
    bool is_set =
        tls->ca_file == NULL || (curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file) == CURLE_OK &&
                                 curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK);
    return is_set && curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L) == CURLE_OK;
}

static bool set_protocol(CURL *easy, const struct http_node *node)
{
    const struct config_node *config = node->config;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        /* A name that is still being looked up at the timeout is left to its thread. */
        {CURLOPT_QUICK_EXIT, 1},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_HTTP09_ALLOWED, 0},
        {CURLOPT_HTTP_CONTENT_DECODING, 0},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_NETRC, CURL_NETRC_IGNORED},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_MAXAGE_CONN, HTTP_IDLE_MAX_S},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (curl_easy_setopt(easy, numbers[i].option, numbers[i].value) != CURLE_OK) {
            return false;
        }
    }
    const char *scheme = config->use_tls ? "https" : "http";
    return curl_easy_setopt(easy, CURLOPT_CURLU, node->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "arizmq/" ARIZMQ_VERSION) == CURLE_OK &&
           (!config->use_tls || set_tls(easy, &config->tls));
}

static bool set_callbacks(struct http_handle *handle)
{
    CURL *easy = handle->easy;
    return curl_easy_setopt(easy, CURLOPT_PRIVATE, handle) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->error) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, http_request_before_sending) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, http_request_read_head) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_request_read_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, http_socket_open) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, http_socket_close) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle->node) == CURLE_OK;
}

static struct http_handle *create_handle(struct http_node *node)
{
    struct http_handle *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return NULL;
    }
    handle->node = node;
    handle->easy = curl_easy_init();
    if (handle->easy == NULL || !set_protocol(handle->easy, node) || !set_callbacks(handle)) {
        destroy_handle(handle);
        return NULL;
    }
    return handle;
}

struct http_handle *http_node_take_handle(struct http_node *node, bool *is_out_of_memory)
{
    *is_out_of_memory = false;
    struct http_handle *handle = node->free_handles;
    if (handle != NULL) {
        node->free_handles = handle->next_free;
        return handle;
    }
    if (node->handles_count >= node->config->rest_connections) {
        return NULL;
    }
    handle = create_handle(node);
    if (handle != NULL) {
        node->handles[node->handles_count++] = handle;
    } else {
        *is_out_of_memory = true;
    }
    return handle;
}

void http_node_free_handle(struct http_handle *handle)
{
    handle->request = NULL;
    handle->next_free = handle->node->free_handles;
    handle->node->free_handles = handle;
}
