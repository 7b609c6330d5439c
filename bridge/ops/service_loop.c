/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The loop that the event thread turns in is libwebsockets'; signals, and what other threads have
 * to say, come in through it.
 */
#include "ops/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "gateway/post.h"
#include "ops/log.h"
#include "ops/metrics.h"
#include "ops/service_private.h"

static void write_metrics(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        log_error("metrics", "no memory to write the metrics");
        return;
    }
    metrics_write(out);
    fclose(out);
    log_write_text(text, length);
    free(text);
}

static void read_signal(struct service *service)
{
    struct signalfd_siginfo info;
    while (read(service->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGUSR1) {
            write_metrics();
        } else if (info.ssi_signo == SIGHUP) {
            reload_begin(service->reload);
        } else if (!assume_give_up(service->assume)) {
            service_begin_stop(service, strsignal((int)info.ssi_signo));
        }
    }
}

static int service_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                            size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    struct service *service = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        read_signal(service);
    } else if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED && service->reload != NULL) {
        nodes_wake(service->nodes);
        post_take(service->post);
        reload_wake(service->reload);
    }
    return 0;
}

static const struct lws_protocols service_protocol = {.name = "arizmq-service",
                                                      .callback = service_callback};

static void on_lws_log(int level, const char *line)
{
    int length = (int)strcspn(line, "\n");
    if (level == LLL_ERR) {
        log_warning("libwebsockets", "%.*s", length, line);
    } else {
        log_debug("libwebsockets", "%.*s", length, line);
    }
}

/* Starting OpenSSL costs 4 MB of memory, which a bridge without wss:// can do without. */
static bool uses_tls(const struct config *config)
{
    for (unsigned i = 0; i < config->nodes_count; i++) {
        if (config->nodes[i].use_tls) {
            return true;
        }
    }
    return false;
}

int service_create_context(struct service *self)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (uses_tls(self->config) ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
        .pt_serv_buf_size = self->config->limits.receive_buffer_bytes,
        .user = self,
    };
    self->context = lws_create_context(&info);
    if (self->context == NULL) {
        return ARIZMQ_ENOMEM;
    }
    enum { PROTOCOLS_MAX = 8 };
    const struct lws_protocols *protocols[PROTOCOLS_MAX] = {&service_protocol};
    for (unsigned i = 0; nodes_protocols[i] != NULL; i++) {
        protocols[i + 1] = nodes_protocols[i];
    }
    info.pprotocols = protocols;
    info.vhost_name = "arizmqd";
    self->vhost = lws_create_vhost(self->context, &info);
    return self->vhost != NULL ? ARIZMQ_OK : ARIZMQ_ENOMEM;
}

void service_hold_reload(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int service_adopt_signals(struct service *self)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return ARIZMQ_EIO;
    }
    self->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (self->signals < 0) {
        return ARIZMQ_EIO;
    }
    lws_sock_file_fd_type descriptor = {.filefd = self->signals};
    struct lws *wsi = lws_adopt_descriptor_vhost(self->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                                 service_protocol.name, NULL);
    return wsi != NULL ? ARIZMQ_OK : ARIZMQ_EIO;
}
