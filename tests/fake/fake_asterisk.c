/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The fake Asterisk's start, its listening socket and its loop. It listens itself and hands each
 * connection to libwebsockets, so that it can stop listening and start again while WebSockets
 * live. The first line on stdout is "port N"; what can be said to it on stdin is in README.md.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"

enum { LISTEN_BACKLOG = 10, IDLE_TIMEOUT_S = 15, HEADERS_MAX = 16384 };

static const struct fake_version versions[] = {
    {.number = 22,
     .full = "22.10.1+dfsg+~cs6.17.60671434-1",
     .entity_id = "02:00:00:00:00:22",
     .build_date = "2026-07-20 21:35:32 UTC",
     .has_rest_over_websocket = true,
     .destroys_subscribe_all_at_close = true},
    {.number = 16,
     .full = "16.28.0~dfsg-0+deb11u10",
     .entity_id = "02:00:00:00:00:16",
     .build_date = "2026-06-15 08:03:02 UTC"},
};

struct arguments {
    struct fake *fake;
    const char *tls_cert;
    const char *tls_key;
    const char *tls_client_ca;
};

enum {
    OPTION_PORT = 1000,
    OPTION_VERSION,
    OPTION_USER,
    OPTION_PASSWORD,
    OPTION_READ_ONLY_USER,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_CLIENT_CA,
    OPTION_RECORDING,
};

static const struct argp_option options[] = {
    {"port", OPTION_PORT, "N", 0, "Port on 127.0.0.1; 0 (the default) is a free one", 0},
    {"version", OPTION_VERSION, "22|16", 0, "Which Asterisk to be; default 22", 0},
    {"user", OPTION_USER, "NAME", 0, "Default lab", 0},
    {"password", OPTION_PASSWORD, "TEXT", 0, "Default secret", 0},
    {"read-only-user", OPTION_READ_ONLY_USER, "NAME", 0, "May only read; the same password", 0},
    {"tls-cert", OPTION_TLS_CERT, "FILE", 0, "PEM certificate: serve TLS", 0},
    {"tls-key", OPTION_TLS_KEY, "FILE", 0, "PEM key of it", 0},
    {"tls-client-ca", OPTION_TLS_CLIENT_CA, "FILE", 0, "Ask clients for a certificate of it", 0},
    {"recording", OPTION_RECORDING, "FILE", 0, "What `play` without a file plays", 0},
    {0},
};

static const struct fake_version *version_find(const char *number)
{
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        if (strtol(number, NULL, 10) == versions[i].number) {
            return &versions[i];
        }
    }
    return NULL;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    struct fake *fake = arguments->fake;
    char *end = NULL;
    unsigned long port;
    switch (key) {
    case OPTION_PORT:
        port = strtoul(argument, &end, 10);
        if (!*argument || *end || port > 65535) {
            argp_error(state, "--port: \"%s\" is no port; allowed: 0 to 65535", argument);
        }
        fake->port = (uint16_t)port;
        return 0;
    case OPTION_VERSION:
        fake->version = version_find(argument);
        if (!fake->version) {
            argp_error(state, "--version: \"%s\" is not known; allowed: 22, 16", argument);
        }
        return 0;
    case OPTION_USER:
        fake->username = argument;
        return 0;
    case OPTION_PASSWORD:
        fake->password = argument;
        return 0;
    case OPTION_READ_ONLY_USER:
        fake->read_only_username = argument;
        return 0;
    case OPTION_TLS_CERT:
        arguments->tls_cert = argument;
        return 0;
    case OPTION_TLS_KEY:
        arguments->tls_key = argument;
        return 0;
    case OPTION_TLS_CLIENT_CA:
        arguments->tls_client_ca = argument;
        return 0;
    case OPTION_RECORDING:
        fake->recording = argument;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\": there are no arguments, only options", argument);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void fake_write_time(char out[32])
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    size_t length = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
    snprintf(out + length, 32 - length, ".%03d+0000", (int)(now.tv_nsec / 1000000));
}

static int bind_port(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
                    bind(fd, (struct sockaddr *)&address, sizeof address))) {
        int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

/* A socket that is bound and never listens keeps the port for us: else a connection of somebody
 * else's may get it as its own while we are not listening. */
static int reserve_port(struct fake *fake)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (fake->has_reserved) {
        return 0;
    }
    int fd = bind_port(fake->port);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &length)) {
        return -1;
    }
    fake->port = ntohs(address.sin_port);
    fake->has_reserved = true; /* until the process ends */
    return 0;
}

int fake_listen(struct fake *fake)
{
    int fd = reserve_port(fake) ? -1 : bind_port(fake->port);
    if (fd < 0 || listen(fd, LISTEN_BACKLOG)) {
        int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = error;
        return -1;
    }
    lws_sock_file_fd_type descriptor = {.filefd = fd};
    fake->listener = lws_adopt_descriptor_vhost(fake->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                                "listener", NULL);
    return fake->listener ? 0 : -1;
}

void fake_stop_listening(struct fake *fake)
{
    if (fake->listener) {
        /* Refuses from now on, even before the loop closes the descriptor. */
        shutdown(lws_get_socket_fd(fake->listener), SHUT_RDWR);
        lws_set_timeout(fake->listener, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        fake->listener = NULL;
    }
}

static int listener_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
                             void *in, size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    if (reason != LWS_CALLBACK_RAW_RX_FILE) {
        return 0;
    }
    struct fake *fake = lws_context_user(lws_get_context(wsi));
    if (wsi != fake->listener) {
        return -1;
    }
    int fd;
    while ((fd = accept4(lws_get_socket_fd(wsi), NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        lws_adopt_socket_vhost(fake->vhost, fd);
    }
    return 0;
}

/* Never: libwebsockets would ping idle clients, which Asterisk does not. */
static const lws_retry_bo_t no_pings = {.secs_since_valid_ping = UINT16_MAX,
                                        .secs_since_valid_hangup = UINT16_MAX};

static int fake_create_server(struct fake *fake, const struct arguments *arguments)
{
    static struct lws_protocols protocols[] = {
        {.name = "ari", .callback = http_callback, .rx_buffer_size = 4096},
        {.name = "session", .callback = session_callback},
        {.name = "console", .callback = console_callback},
        {.name = "listener", .callback = listener_callback},
        {0},
    };
    protocols[0].per_session_data_size = http_connection_size();
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
        .user = fake,
        .timeout_secs = IDLE_TIMEOUT_S,
        .keepalive_timeout = IDLE_TIMEOUT_S,
        .max_http_header_data = HEADERS_MAX,
        .max_http_header_pool = 200,
        .retry_and_idle_policy = &no_pings,
    };
    if (arguments->tls_cert) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = arguments->tls_cert;
        info.ssl_private_key_filepath = arguments->tls_key;
    }
    if (arguments->tls_client_ca) {
        info.options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
        info.ssl_ca_filepath = arguments->tls_client_ca;
    }
    fake->lws = lws_create_context(&info);
    if (fake->lws) {
        fake->vhost = lws_create_vhost(fake->lws, &info);
    }
    lws_sock_file_fd_type input = {.filefd = STDIN_FILENO};
    return fake->vhost && lws_adopt_descriptor_vhost(fake->vhost, LWS_ADOPT_RAW_FILE_DESC, input,
                                                     "console", NULL)
               ? 0
               : -1;
}

int main(int argc, char **argv)
{
    struct fake fake = {.version = &versions[0], .username = "lab", .password = "secret"};
    struct arguments arguments = {.fake = &fake};
    static const struct argp argp = {options, parse_option, NULL, "A fake Asterisk for tests.",
                                     NULL,    NULL,         NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    if ((arguments.tls_cert == NULL) != (arguments.tls_key == NULL)) {
        fprintf(stderr, "fake_asterisk: --tls-cert and --tls-key go together\n");
        return EXIT_FAILURE;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    lws_set_log_level(LLL_ERR, NULL);
    fake_write_time(fake.startup_time);
    objects_create(&fake);
    if (fake_create_server(&fake, &arguments) || fake_listen(&fake)) {
        fprintf(stderr, "fake_asterisk: cannot serve port %u: %s\n", fake.port, strerror(errno));
        return EXIT_FAILURE;
    }
    printf("port %u\n", fake.port);
    fflush(stdout);
    while (!fake.is_quitting && lws_service(fake.lws, 0) >= 0) {
    }
    flood_forget(&fake);
    lws_context_destroy(fake.lws);
    struct application *application;
    struct application *next;
    HASH_ITER(hh, fake.applications, application, next)
    {
        application_destroy(&fake, application);
    }
    console_forget_overrides(&fake);
    objects_destroy(&fake);
    return EXIT_SUCCESS;
}
