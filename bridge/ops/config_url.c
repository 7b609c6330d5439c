/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What stands in one text: Asterisk's URL, taken apart by libwebsockets, a password, an endpoint to
 * bind, and a topic template, looked at token by token. The schema walk calls these for the errors
 * that a regular expression cannot explain; config_check.c for the parts. A URL with a password in
 * it is never repeated.
 */
#include "arizmq/error.h"
#include "arizmq/stamp.h"
#include "ops/config_internal.h"

#include <arpa/inet.h>
#include <libwebsockets.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define URL_ALLOWED "allowed: " CONFIG_URL_ALLOWED

void config_url_release(struct config_url *url)
{
    free(url->host);
    free(url->path);
    url->host = NULL;
    url->path = NULL;
}

bool config_url_is_same(const struct config_url *one, const struct config_url *other)
{
    return one->port == other->port && strcasecmp(one->host, other->host) == 0 &&
           strcmp(one->path, other->path) == 0;
}

static int refuse_url(const char *what, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s; " URL_ALLOWED, what);
    return ARIZMQ_EINVALID;
}

/* The usual mistakes, by name. */
static int check_url_form(const char *text, char *error, size_t error_size)
{
    static const char events[] = "/events";
    size_t length = strlen(text);
    const char *host = strstr(text, "://");
    if (strchr(text, '@')) {
        return refuse_url("contains '@': name and password go into username and password", error,
                          error_size);
    }
    if (strpbrk(text, "?#")) {
        return refuse_url("contains a query or fragment: the bridge adds its own", error,
                          error_size);
    }
    if (host && strspn(host + 3, "/") == strlen(host + 3)) {
        return refuse_url("has no host", error, error_size);
    }
    if (host && host[3 + strcspn(host + 3, "/")] == '\0') {
        return refuse_url("has no path; it usually ends in /ari", error, error_size);
    }
    if (host && strspn(strchr(host + 3, '/'), "/") == strlen(strchr(host + 3, '/'))) {
        return refuse_url("has an empty path; it usually ends in /ari", error, error_size);
    }
    if (length >= sizeof events && strcmp(text + length - (sizeof events - 1), events) == 0) {
        return refuse_url("ends in /events, which the bridge adds", error, error_size);
    }
    if (!config_pattern_matches(config_rule_find("nodes[0].url")->pattern, text)) {
        return refuse_url("has not the right form", error, error_size);
    }
    return ARIZMQ_OK;
}

int config_url_parse(const char *text, struct config_url *out, char *error, size_t error_size)
{
    int result = check_url_form(text, error, error_size);
    if (result != ARIZMQ_OK) {
        return result;
    }
    char *copy = strdup(text); /* lws_parse_uri() writes into it */
    const char *scheme;
    const char *host;
    const char *path;
    int port;
    struct in6_addr address;
    struct config_url url = {0};
    if (!copy) {
        return refuse_url("cannot be read, out of memory", error, error_size);
    }
    if (lws_parse_uri(copy, &scheme, &host, &port, &path) != 0 || port < 1 || port > UINT16_MAX) {
        result = refuse_url("has not the right form", error, error_size);
    } else if (strchr(host, ':') && inet_pton(AF_INET6, host, &address) != 1) {
        result = refuse_url("has no IPv6 address between its brackets", error, error_size);
    } else {
        size_t length = strlen(path);
        length -= length > 0 && path[length - 1] == '/';
        url.use_tls = strcmp(scheme, "wss") == 0 || strcmp(scheme, "https") == 0;
        url.port = (uint16_t)port;
        url.host = strdup(host);
        if (asprintf(&url.path, "/%.*s", (int)length, path) < 0) {
            url.path = NULL;
        }
        if (!url.host || !url.path) {
            config_url_release(&url);
            result = refuse_url("cannot be read, out of memory", error, error_size);
        }
    }
    free(copy);
    if (result == ARIZMQ_OK) {
        *out = url;
    }
    return result;
}

int config_url_check(const char *text, char *error, size_t error_size)
{
    struct config_url url;
    int result = config_url_parse(text, &url, error, error_size);
    if (result == ARIZMQ_OK) {
        config_url_release(&url);
    }
    return result;
}

int config_password_check(const char *text, char *error, size_t error_size)
{
    if (strcmp(text, CONFIG_HIDDEN) != 0) {
        return ARIZMQ_OK;
    }
    snprintf(error, error_size,
             "is \"" CONFIG_HIDDEN "\", which --dump-config shows in place of a password; allowed: "
             "the password itself");
    return ARIZMQ_EINVALID;
}

/* libzmq binds to no name: "localhost" would be looked for among the interfaces. */
static bool can_bind(const char *host)
{
    char literal[INET6_ADDRSTRLEN + 2];
    struct in6_addr address;
    if (strcmp(host, "*") == 0 || inet_pton(AF_INET, host, &address) == 1) {
        return true;
    }
    if (host[0] != '[') {
        return if_nametoindex(host) != 0;
    }
    size_t length = strcspn(host + 1, "]");
    if (length >= sizeof literal) {
        return false;
    }
    memcpy(literal, host + 1, length);
    literal[length] = '\0';
    return inet_pton(AF_INET6, literal, &address) == 1;
}

int config_endpoint_check(const char *text, char *error, size_t error_size)
{
    static const char tcp[] = "tcp://";
    const char *port = strrchr(text, ':');
    if (strncmp(text, tcp, strlen(tcp)) != 0 || port < text + strlen(tcp)) {
        return ARIZMQ_OK; /* the pattern's to judge */
    }
    size_t digits = strspn(port + 1, "0123456789");
    if (digits > 0 && port[1 + digits] == '\0' && strtoul(port + 1, NULL, 10) > UINT16_MAX) {
        snprintf(error, error_size,
                 "has a port out of range; allowed: 0 to 65535, or *, which like 0 takes a free "
                 "one");
        return ARIZMQ_EINVALID;
    }
    if (!config_pattern_matches(config_rule_find("gateway.endpoint")->pattern, text)) {
        return ARIZMQ_OK;
    }
    char host[CONFIG_QUOTED_BYTES * 4];
    char quoted[CONFIG_QUOTED_BYTES];
    snprintf(host, sizeof host, "%.*s", (int)(port - text) - (int)strlen(tcp), text + strlen(tcp));
    if (!can_bind(host)) {
        snprintf(error, error_size,
                 "has the host %s, to which nothing can be bound; allowed: an IP address, an "
                 "interface of this machine or *",
                 config_quote(host, quoted));
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}

static bool is_topic_token(const char *token, size_t length)
{
    static const char *const fields[] = {"{type}", "{app}", "{node}", "{kind}", "{id}"};
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i]) == length && memcmp(fields[i], token, length) == 0) {
            return true;
        }
    }
    return length > 0 && strspn(token, letters) == length;
}

int config_check_topic(const char *topic, char *error, size_t error_size)
{
    unsigned tokens = 0;
    for (const char *token = topic; *token != '\0'; tokens++) {
        size_t length = strcspn(token, "/");
        char copy[CONFIG_QUOTED_BYTES * 2];
        char quoted[CONFIG_QUOTED_BYTES];
        snprintf(copy, sizeof copy, "%.*s", (int)(length < sizeof copy ? length : sizeof copy),
                 token);
        if (!is_topic_token(token, length)) {
            snprintf(error, error_size,
                     "has the token %s; allowed: {type}, {app}, {node}, {kind}, {id}, or a text of "
                     "A-Z a-z 0-9 . _ -, each ended by '/'",
                     config_quote(copy, quoted));
            return ARIZMQ_EINVALID;
        }
        if (token[length] != '/') {
            snprintf(error, error_size,
                     "has the token %s without a '/' after it; allowed: tokens that are each ended "
                     "by '/'",
                     config_quote(copy, quoted));
            return ARIZMQ_EINVALID;
        }
        token += length + 1;
    }
    if (tokens < 1 || tokens > ARIZMQ_STAMP_TOKENS_MAX) {
        snprintf(error, error_size, "has %u tokens; allowed: 1 to %d, each ended by '/'", tokens,
                 ARIZMQ_STAMP_TOKENS_MAX);
        return ARIZMQ_EINVALID;
    }
    return ARIZMQ_OK;
}
