/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The script's commands that concern the whole server: listening, applications and numbers. Called
 * by console.c with the rest of the line; the list of them is at the end. Every command answers
 * with one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console_private.h"

static void run_status(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    unsigned long status;
    if (!console_parse_number(console_next_word(&rest), 599, &status)) {
        return;
    }
    const char *kind = console_next_word(&rest);
    if (kind && strcmp(kind, "html") != 0 && strcmp(kind, "json") != 0) {
        console_error("status: \"%s\" is no kind of body; allowed: html, json", kind);
        return;
    }
    fake->upgrade_status = status == 101 ? 0 : (int)status;
    fake->upgrade_status_is_html = kind && strcmp(kind, "html") == 0;
    console_done();
}

static struct application *application_named(struct fake *fake, const char *verb, char **rest)
{
    const char *name = console_next_word(rest);
    struct application *application = name ? application_find(fake, name) : NULL;
    if (!application) {
        console_error("%s: no application \"%s\"", verb, name ? name : "");
    }
    return application;
}

static void run_replace(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    struct application *application = application_named(fake, "replace", &rest);
    if (application) {
        /* Another client has it now, one that this program does not have to play. */
        application->is_held = true;
        console_done();
        application_replace(fake, application);
    }
}

static void run_remove(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    struct application *application = application_named(fake, "remove", &rest);
    if (application) {
        application_destroy(fake, application);
        console_done();
    }
}

static void run_precreate(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *name = console_next_word(&rest);
    if (!name || application_find(fake, name)) {
        console_error("precreate: %s", name ? "the application exists" : "no name given");
        return;
    }
    application_create(fake, name)->is_held = true;
    console_done();
}

static void run_stop_listening(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    fake_stop_listening(fake);
    console_done();
}

static void run_listen(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    if (fake->listener) {
        console_error("listen: listening already on port %u", fake->port);
    } else if (fake_listen(fake)) {
        console_error("listen: port %u: %s", fake->port, strerror(errno));
    } else {
        console_ok("port=%u", fake->port);
    }
}

/* Another process from now on, which has nothing of what this one had. */
static void run_restart(struct fake *fake, struct session *session, char *rest)
{
    (void)rest;
    while ((session = session_find(fake, NULL)) != NULL) {
        session_reset(session);
    }
    objects_destroy(fake);
    objects_create(fake);
    fake_write_time(fake->startup_time);
    console_ok("startup_time=%s", fake->startup_time);
}

static void run_password(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    static char *password;
    const char *word = console_next_word(&rest);
    if (!word) {
        console_error("password: none given");
        return;
    }
    free(password);
    password = strdup(word);
    fake->password = password;
    console_done();
}

static void run_replaced_events(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *word = console_next_word(&rest);
    if (!word || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)) {
        console_error("replaced-events: \"%s\" is no choice; allowed: on, off", word ? word : "");
        return;
    }
    fake->hides_replaced = strcmp(word, "off") == 0;
    console_done();
}

static void run_drop_all(struct fake *fake, struct session *session, char *rest)
{
    (void)rest;
    unsigned dropped = 0;
    for (session = fake->sessions; session; session = session->next) {
        if (session_is_live(session)) {
            dropped++;
        }
    }
    console_ok("connections=%u", dropped);
    while ((session = session_find(fake, NULL)) != NULL) {
        session_reset(session);
    }
}

static void run_stats(struct fake *fake, struct session *session, char *rest)
{
    (void)rest;
    const struct fake_stats *stats = &fake->stats;
    unsigned connections = 0;
    for (session = fake->sessions; session; session = session->next) {
        connections += session_is_live(session);
    }
    console_ok("connections=%u connects=%llu refused=%llu rest=%llu frames_sent=%llu "
               "bytes_sent=%llu text=%llu binary=%llu ping=%llu pong=%llu close=%llu",
               connections, (unsigned long long)stats->connects, (unsigned long long)stats->refused,
               (unsigned long long)stats->rest, (unsigned long long)stats->frames_sent,
               (unsigned long long)stats->bytes_sent, (unsigned long long)stats->text_received,
               (unsigned long long)stats->binary_received,
               (unsigned long long)stats->pings_received, (unsigned long long)stats->pongs_received,
               (unsigned long long)stats->closes_received);
}

static void run_quit(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    console_done();
    fake->is_quitting = true;
    lws_cancel_service(fake->lws);
}

const struct console_command console_server_commands[] = {
    {"status", false, run_status},
    {"replace", false, run_replace},
    {"remove", false, run_remove},
    {"precreate", false, run_precreate},
    {"stop-listening", false, run_stop_listening},
    {"listen", false, run_listen},
    {"password", false, run_password},
    {"replaced-events", false, run_replaced_events},
    {"drop-all", false, run_drop_all},
    {"restart", false, run_restart},
    {"stats", false, run_stats},
    {"quit", false, run_quit},
    {0},
};
