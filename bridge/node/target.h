/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where an Asterisk is and how to speak to it: what the WebSocket and the HTTP side of a link
 * share.
 */
#ifndef ARIZMQ_NODE_TARGET_H
#define ARIZMQ_NODE_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <libwebsockets.h>

/* All strings are borrowed. */
struct target {
    struct lws_context *context;
    struct lws_vhost *vhost; /* holds the TLS settings */
    const char *address;     /* numeric, so that nothing waits for DNS */
    const char *host;        /* as in the URL: the Host header, and the name that TLS verifies */
    uint16_t port;
    bool use_tls;
    bool verify;               /* TLS: the certificate and its name */
    const char *authorization; /* value of the Authorization header */
    uint64_t max_message_bytes;
};

/* The LCCSCF_ flags for a connection to it, 0 without TLS. */
static inline int target_tls_flags(const struct target *target)
{
    if (!target->use_tls) {
        return 0;
    }
    return target->verify ? LCCSCF_USE_SSL
                          : LCCSCF_USE_SSL | LCCSCF_ALLOW_SELFSIGNED | LCCSCF_ALLOW_EXPIRED |
                                LCCSCF_ALLOW_INSECURE | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
}

enum { TARGET_AUTHORITY_SIZE = 280 };

/* Writes HOST:PORT, as in a Host header, with brackets around an IPv6 address. libwebsockets takes
 * the name that TLS verifies from there, up to the first colon: an address in brackets gives one
 * that no certificate bears, while ::1 without them would give none, and so nothing to verify. */
static inline void target_print_authority(const struct target *target,
                                          char out[TARGET_AUTHORITY_SIZE])
{
    bool is_ipv6 = strchr(target->host, ':') != NULL;
    snprintf(out, TARGET_AUTHORITY_SIZE, is_ipv6 ? "[%s]:%u" : "%s:%u", target->host, target->port);
}

/* How libwebsockets is to connect to it for `path`; the caller adds protocol, method and owner, and
 * gives room for the authority, which is borrowed while connecting. */
static inline struct lws_client_connect_info
target_connect_info(const struct target *target, const char *path,
                    char authority[TARGET_AUTHORITY_SIZE])
{
    target_print_authority(target, authority);
    return (struct lws_client_connect_info){
        .context = target->context,
        .vhost = target->vhost,
        .address = target->address,
        .port = target->port,
        .ssl_connection = target_tls_flags(target),
        .path = path,
        .host = authority,
        .origin = authority,
        .alpn = "http/1.1",
    };
}

#endif
