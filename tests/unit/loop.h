/* SPDX-License-Identifier: MPL-2.0 */
/*
 * libwebsockets' loop, turned by hand: tests do so until a condition holds.
 */
#ifndef ARIZMQ_TESTS_LOOP_H
#define ARIZMQ_TESTS_LOOP_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include <criterion/criterion.h>
#include <libwebsockets.h>

#include "base/clock.h"

enum { LOOP_PATIENCE_MS = 30000, LOOP_TICK_MS = 2 };

struct loop {
    struct lws_context *context;
    struct lws_vhost *vhost;
    lws_sorted_usec_list_t tick; /* so that a turn never waits longer than that */
    void (*wake)(void *owner);   /* lws_cancel_service() was called; NULL: nobody cares */
    void *owner;
};

/* Files for TLS; NULL where there is none. */
struct loop_tls {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
};

static inline int loop_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                                void *in, size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    struct loop *loop = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED && loop->wake != NULL) {
        loop->wake(loop->owner);
    }
    return 0;
}

static inline void loop_tick(lws_sorted_usec_list_t *sul)
{
    struct loop *loop = lws_container_of(sul, struct loop, tick);
    lws_sul_schedule(loop->context, 0, sul, loop_tick, LOOP_TICK_MS * LWS_US_PER_MS);
}

/* `protocols` ends with NULL. Both the context and the vhost are as the daemon makes them. */
static inline void loop_create(struct loop *loop, const struct lws_protocols *const *protocols,
                               const struct loop_tls *tls)
{
    static const struct lws_protocols loop_protocol = {.name = "loop", .callback = loop_callback};
    lws_set_log_level(0, NULL);
    *loop = (struct loop){0};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .pt_serv_buf_size = 65536,
        .user = loop,
    };
    loop->context = lws_create_context(&info);
    cr_assert_not_null(loop->context);
    const struct lws_protocols *list[8] = {&loop_protocol};
    for (unsigned i = 0; protocols != NULL && protocols[i] != NULL; i++) {
        list[i + 1] = protocols[i];
    }
    info.pprotocols = list;
    info.vhost_name = "test";
    if (tls != NULL) {
        info.client_ssl_ca_filepath = tls->ca_file;
        info.client_ssl_cert_filepath = tls->cert_file;
        info.client_ssl_private_key_filepath = tls->key_file;
        if (tls->ca_file != NULL) {
            info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
        }
    }
    loop->vhost = lws_create_vhost(loop->context, &info);
    cr_assert_not_null(loop->vhost);
    if (tls != NULL) {
        cr_assert_eq(lws_init_vhost_client_ssl(&info, loop->vhost), 0);
    }
    loop_tick(&loop->tick);
}

static inline void loop_destroy(struct loop *loop)
{
    lws_sul_cancel(&loop->tick);
    lws_context_destroy(loop->context);
}

static inline void loop_turn(struct loop *loop)
{
    cr_assert_geq(lws_service(loop->context, 0), 0);
}

/* Turns the loop, and does `also` after each turn, until `condition` holds. */
#define LOOP_UNTIL(loop, also, condition)                                                          \
    do {                                                                                           \
        uint64_t loop_since_ms = clock_monotonic_ms();                                             \
        while (!(condition)) {                                                                     \
            loop_turn(loop);                                                                       \
            also;                                                                                  \
            cr_assert_lt(clock_monotonic_ms() - loop_since_ms, LOOP_PATIENCE_MS,                   \
                         "waited in vain for: %s", #condition);                                    \
        }                                                                                          \
    } while (0)

/* How many entries /proc/self/NAME has: threads in "task", open files in "fd". */
static inline unsigned loop_count(const char *name)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/self/%s", name);
    DIR *directory = opendir(path);
    cr_assert_not_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

#endif
