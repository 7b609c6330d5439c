/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The real binary as an operator starts it: from the environment alone, asked to check or to show
 * its configuration, with a bad one, and on a port that is taken. Exit status 0, 1 or 2, and one
 * line that says why.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "flow/scene.h"

enum { ARGUMENTS_MAX = 8 };

#define DAEMON BUILD_DIR "/arizmqd"
#define SECRET "hidden-word"

/* A directory of its own, with a file in it. */
struct place {
    char directory[32];
    char file[64];
};

static void place_make(struct place *place)
{
    strcpy(place->directory, "/tmp/arizmq-XXXXXX");
    cr_assert_not_null(mkdtemp(place->directory));
    snprintf(place->file, sizeof place->file, "%s/config.yaml", place->directory);
}

static void place_remove(struct place *place)
{
    unlink(place->file);
    rmdir(place->directory);
}

static void place_write(struct place *place, const char *text)
{
    FILE *file = fopen(place->file, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

static bool any_line(const char *line, const void *argument)
{
    (void)line;
    (void)argument;
    return true;
}

/* Runs a command line to its end; what it writes goes to `out` and `error`, lines with their
 * newlines, malloc'd. Returns its exit status. */
static int run(const char *const *argv, char **out, char **error)
{
    char **texts[] = {out, error};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
    int status = process_wait(process, FLOW_TIMEOUT_MS);
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        FILE *file = open_memstream(texts[i], &size);
        const char *line;
        while ((line = process_await_line(process, i == 0 ? PROCESS_STDOUT : PROCESS_STDERR,
                                          any_line, NULL, 0)) != NULL) {
            fprintf(file, "%s\n", line);
        }
        fclose(file);
    }
    process_destroy(&process);
    return status;
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;
    for (; *text; text++) {
        lines += *text == '\n';
    }
    return lines;
}

#define CONFIG                                                                                     \
    "nodes:\n"                                                                                     \
    "  - {name: pbx1, url: \"ws://127.0.0.1:1/ari\", username: lab, password: " SECRET             \
    ", apps: [ivr]}\n"

TestSuite(config, .timeout = 600);

Test(config, environment_alone_makes_a_bridge)
{
    struct place place;
    place_make(&place);
    struct fake *fake = scene_start_deaf_fake();
    char url[64];
    char sockets[3][96];
    char endpoints[3][96];
    static const char *const names[] = {"events", "objects", "gateway"};
    static const char *const variables[] = {"ARIZMQ_PUBLISH_EVENTS", "ARIZMQ_PUBLISH_OBJECTS",
                                            "ARIZMQ_GATEWAY_ENDPOINT"};
    snprintf(url, sizeof url, "ARI_URL=http://127.0.0.1:%u/ari", fake->port);
    for (int i = 0; i < 3; i++) {
        snprintf(endpoints[i], sizeof endpoints[i], "ipc://%s/%s", place.directory, names[i]);
        snprintf(sockets[i], sizeof sockets[i], "%s=%.50s", variables[i], endpoints[i]);
    }
    const char *const argv[] = {"/usr/bin/env",
                                url,
                                "ARI_USERNAME=lab",
                                "ARI_PASSWORD=secret",
                                "ARI_APPLICATION=ivr,queue",
                                "ARIZMQ_HEARTBEAT_MS=100",
                                "ARIZMQ_BACKOFF_MIN_MS=10",
                                "ARIZMQ_BACKOFF_MAX_MS=20",
                                "ARIZMQ_LOG_LEVEL=debug",
                                sockets[0],
                                sockets[1],
                                sockets[2],
                                DAEMON,
                                NULL};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
    struct subscriber *events = scene_subscribe_and_join(endpoints[0]);
    struct subscriber *objects = scene_subscribe_and_join(endpoints[1]);
    scene_let_connect(fake, 2);
    struct subscriber_message message;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(subscriber_collect(events, 1, FLOW_TIMEOUT_MS, &message), 1);
        cr_assert(strcmp(message.topic, "ArizmqNodeConnected/ivr/asterisk/-/") == 0 ||
                      strcmp(message.topic, "ArizmqNodeConnected/queue/asterisk/-/") == 0,
                  "%s", message.topic);
        subscriber_message_clear(&message);
        cr_assert_eq(subscriber_collect(objects, 1, FLOW_TIMEOUT_MS, &message), 1);
        cr_assert_str_eq(message.topic, "arizmq/-/ArizmqNodeConnected/asterisk/");
        subscriber_message_clear(&message);
    }
    fake_do(fake,
            "send {\"type\":\"ChannelHold\",\"application\":\"ivr\",\"channel\":{\"id\":\"1\"}}");
    cr_assert_eq(subscriber_collect(events, 1, FLOW_TIMEOUT_MS, &message), 1);
    cr_assert_str_eq(message.topic, "ChannelHold/ivr/asterisk/1/");
    subscriber_message_clear(&message);
    cr_assert_eq(subscriber_collect(objects, 1, FLOW_TIMEOUT_MS, &message), 1);
    cr_assert_str_eq(message.topic, "channel/1/ChannelHold/asterisk/");
    subscriber_message_clear(&message);
    cr_assert_not_null(process_await_line(process, PROCESS_STDERR, process_line_contains, " debug ",
                                          FLOW_TIMEOUT_MS));
    process_signal(process, SIGTERM);
    int status = process_wait(process, FLOW_TIMEOUT_MS);
    if (status != 0) {
        process_dump(process);
    }
    cr_assert_eq(status, 0);
    process_destroy(&process);
    subscriber_destroy(&events);
    subscriber_destroy(&objects);
    fake_stop(&fake);
    for (int i = 0; i < 3; i++) {
        unlink(endpoints[i] + strlen("ipc://"));
    }
    place_remove(&place);
}

Test(config, check_config_says_that_it_is_good)
{
    struct place place;
    char *out = NULL;
    char *error = NULL;
    place_make(&place);
    place_write(&place, CONFIG);
    const char *const argv[] = {DAEMON, "--config", place.file, "--check-config", NULL};
    cr_assert_eq(run(argv, &out, &error), 0, "%s", error);
    cr_assert_str_eq(out, "the configuration is good: 1 node(s), 2 view(s)\n");
    cr_assert_str_eq(error, "");
    free(out);
    free(error);
    place_remove(&place);
}

Test(config, dump_config_shows_all_but_the_password_and_can_be_read_again_with_one)
{
    struct place place;
    char *out = NULL;
    char *again = NULL;
    char *error = NULL;
    place_make(&place);
    place_write(&place, CONFIG);
    const char *const argv[] = {"/usr/bin/env",
                                "ARIZMQ_HEARTBEAT_MS=1234",
                                DAEMON,
                                "-c",
                                place.file,
                                "--dump-config",
                                NULL};
    cr_assert_eq(run(argv, &out, &error), 0, "%s", error);
    cr_assert_str_eq(error, "");
    cr_assert_null(strstr(out, SECRET));
    static const char *const parts[] = {"pbx1",
                                        "ws://127.0.0.1:1/ari",
                                        "heartbeat_ms: 1234",
                                        "tcp://127.0.0.1:5555",
                                        "tcp://127.0.0.1:5556",
                                        "{kind}/{id}/{type}/{node}/",
                                        "rest: http",
                                        "tcp://127.0.0.1:5558",
                                        "***"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        cr_assert_not_null(strstr(out, parts[i]), "no %s in\n%s", parts[i], out);
    }
    free(error);
    place_write(&place, out);
    const char *const argv_again[] = {"/usr/bin/env", "ARI_PASSWORD=other", DAEMON, "-c",
                                      place.file,     "--dump-config",      NULL};
    cr_assert_eq(run(argv_again, &again, &error), 0, "%s", error);
    cr_assert_str_eq(again, out);
    free(out);
    free(again);
    free(error);
    place_remove(&place);
}

/* Exit status 2 and one line on stderr that has every one of the words. */
static void must_refuse(const char *text, const char *variable, const char *option,
                        const char *const *words)
{
    struct place place;
    char *out = NULL;
    char *error = NULL;
    place_make(&place);
    const char *argv[ARGUMENTS_MAX] = {"/usr/bin/env"};
    int count = 1;
    if (variable) {
        argv[count++] = variable;
    }
    argv[count++] = DAEMON;
    if (text) {
        place_write(&place, text);
        argv[count++] = "--config";
        argv[count++] = place.file;
    }
    if (option) {
        argv[count++] = option;
    }
    cr_assert_eq(run(argv, &out, &error), 2, "%s", error);
    cr_assert_str_eq(out, "");
    cr_assert_eq(count_lines(error), 1, "not one line: %s", error);
    cr_assert_eq(strncmp(error, "arizmqd: ", strlen("arizmqd: ")), 0, "%s", error);
    cr_assert_null(strstr(error, SECRET), "%s", error);
    for (; *words; words++) {
        cr_assert_not_null(strstr(error, *words), "no \"%s\" in: %s", *words, error);
    }
    free(out);
    free(error);
    place_remove(&place);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(config, what_is_bad_is_told_in_one_line_with_status_2)
{
    must_refuse(CONFIG "heartbeat_ms: soon\n", NULL, NULL,
                WORDS("config.yaml:3: heartbeat_ms", "\"soon\"", "allowed: 10 to 3600000"));
    must_refuse(CONFIG "heart_beat: 3\n", NULL, "--check-config",
                WORDS("config.yaml:3:", "heart_beat"));
    must_refuse(CONFIG "heartbeat_ms: [1\n", NULL, "--dump-config", WORDS("config.yaml:"));
    must_refuse("heartbeat_ms: 100\n", NULL, NULL, WORDS("nodes"));
    must_refuse(CONFIG, "ARIZMQ_HEARTBEAT_MS=0", NULL,
                WORDS("ARIZMQ_HEARTBEAT_MS", "\"0\"", "allowed: 10 to 3600000"));
    must_refuse(CONFIG, "ARIZMQ_HEARTBEAT=1000", NULL,
                WORDS("ARIZMQ_HEARTBEAT:", "ARIZMQ_HEARTBEAT_MS", "allowed: see "));
    must_refuse(CONFIG, "ARI_URL=ftp://127.0.0.1/ari", NULL,
                WORDS("ARI_URL", "ftp://127.0.0.1/ari"));
    must_refuse(CONFIG "publish: [{view: calls, endpoint: 'tcp://127.0.0.1:1'}]\n", NULL, NULL,
                WORDS("config.yaml:3:", "\"calls\"", "events", "objects"));
    must_refuse(CONFIG "publish: [{view: events, endpoint: 'tcp://localhost:5555'}]\n", NULL,
                "--check-config", WORDS("config.yaml:3:", "\"localhost\"", "an IP address"));
    must_refuse("nodes:\n  - {name: a, url: 'https://h/ari', username: u, password: p, apps: [x], "
                "tls: {ca_file: /dev/null}}\n",
                NULL, "--check-config", WORDS("config.yaml:2: nodes[0].tls.ca_file", "/dev/null"));
    must_refuse(CONFIG, "ARI_PASSWORD=***", NULL, WORDS("ARI_PASSWORD", "--dump-config"));
    must_refuse(CONFIG, NULL, "--log-level=loud", WORDS("\"loud\"", "debug"));
}

Test(config, a_usage_error_has_status_2_and_help_has_0)
{
    char *out = NULL;
    char *error = NULL;
    const char *const wrong[] = {DAEMON, "--no-such-option", NULL};
    cr_assert_eq(run(wrong, &out, &error), 2);
    cr_assert_str_eq(out, "");
    cr_assert_not_null(strstr(error, "no-such-option"));
    free(out);
    free(error);
    const char *const missing[] = {DAEMON, "--config", "/nowhere/at/all.yaml", NULL};
    cr_assert_eq(run(missing, &out, &error), 2);
    cr_assert_eq(count_lines(error), 1, "%s", error);
    cr_assert_not_null(strstr(error, "/nowhere/at/all.yaml"), "%s", error);
    free(out);
    free(error);
    const char *const file[] = {DAEMON, "arizmqd.yaml", NULL};
    cr_assert_eq(run(file, &out, &error), 2);
    cr_assert_not_null(strstr(error, "use -c arizmqd.yaml\n"), "%s", error);
    free(out);
    free(error);
    const char *const help[] = {DAEMON, "--help", NULL};
    cr_assert_eq(run(help, &out, &error), 0);
    cr_assert_not_null(strstr(out, "--check-config"));
    cr_assert_str_eq(error, "");
    free(out);
    free(error);
    const char *const version[] = {DAEMON, "--version", NULL};
    cr_assert_eq(run(version, &out, &error), 0);
    cr_assert_eq(strncmp(out, "arizmqd ", strlen("arizmqd ")), 0);
    cr_assert_eq(count_lines(out), 1);
    free(out);
    free(error);
}

/* A socket that listens on a port of the kernel's choice. */
static int take_port(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_bound;
}

Test(config, endpoints_are_bound_as_the_configuration_allows_them)
{
    static const char *const endpoints[] = {"tcp://lo:*", "tcp://[::1]:*"};
    static const char *const bound[] = {"publishes on tcp://lo:", "publishes on tcp://[::1]:"};
    for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
        struct place place;
        struct process *process = NULL;
        char config[512];
        place_make(&place);
        snprintf(config, sizeof config,
                 CONFIG "publish: [{view: events, endpoint: \"%s\"}]\n"
                        "gateway: {endpoint: \"tcp://127.0.0.1:*\"}\n",
                 endpoints[i]);
        place_write(&place, config);
        const char *const argv[] = {DAEMON, "-c", place.file, NULL};
        cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
        cr_assert_not_null(process_await_line(process, PROCESS_STDERR, process_line_contains,
                                              bound[i], FLOW_TIMEOUT_MS),
                           "%s", endpoints[i]);
        process_signal(process, SIGTERM);
        cr_assert_eq(process_wait(process, FLOW_TIMEOUT_MS), 0);
        process_destroy(&process);
        place_remove(&place);
    }
}

Test(config, a_port_in_use_ends_it_with_status_1_and_its_name)
{
    struct place place;
    char *out = NULL;
    char *error = NULL;
    char config[512];
    char expected[128];
    uint16_t port = 0;
    int fd = take_port(&port);
    place_make(&place);
    snprintf(config, sizeof config,
             CONFIG "publish:\n  - {view: events, endpoint: \"tcp://127.0.0.1:*\"}\n"
                    "  - {view: objects, endpoint: \"tcp://127.0.0.1:%u\"}\n"
                    "gateway: {endpoint: \"tcp://127.0.0.1:*\"}\n",
             port);
    place_write(&place, config);
    const char *const argv[] = {DAEMON, "--config", place.file, NULL};
    cr_assert_eq(run(argv, &out, &error), 1, "%s", error);
    snprintf(expected, sizeof expected,
             "error start_failed: publish[1]: cannot bind tcp://127.0.0.1:%u: Address already in "
             "use\n",
             port);
    cr_assert_not_null(strstr(error, expected), "no \"%s\" in:\n%s", expected, error);
    cr_assert_null(strstr(error, " stopped: "));
    free(out);
    free(error);
    close(fd);
    place_remove(&place);
}
