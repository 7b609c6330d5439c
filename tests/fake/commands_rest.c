/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The script's commands that concern REST answers: other statuses, delays, and faults of the HTTP
 * connection. Called by console.c with the rest of the line; http.c asks for the faults. Every
 * command answers with one line.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console_private.h"

static void run_rest_delay(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    unsigned long delay_ms;
    if (console_parse_number(console_next_word(&rest), 86400000, &delay_ms)) {
        fake->rest_delay_ms = (unsigned)delay_ms;
        console_done();
    }
}

static void run_rest_answers(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *word = console_next_word(&rest);
    if (!word || (strcmp(word, "on") != 0 && strcmp(word, "off") != 0)) {
        console_error("rest-answers: \"%s\" is no choice; allowed: on, off", word ? word : "");
        return;
    }
    fake->swallows_answers = strcmp(word, "off") == 0;
    console_done();
}

static void override_remove(struct fake *fake, const char *prefix)
{
    for (struct rest_override **at = &fake->overrides; *at;) {
        struct rest_override *each = *at;
        if (prefix && strcmp(each->prefix, prefix) != 0) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        free(each->prefix);
        free(each->body);
        free(each);
    }
}

/* --- Faults of the connection */

/* What is done to the answers for these URIs. */
struct http_fault {
    char *prefix; /* of the URI relative to /ari/ */
    enum http_fault_kind kind;
    size_t bytes;       /* HTTP_FAULT_BIG */
    unsigned long left; /* requests that will still meet it */
    struct http_fault *next;
};

/* NULL removes all. */
static void fault_remove(struct fake *fake, const char *prefix)
{
    for (struct http_fault **at = &fake->faults; *at;) {
        struct http_fault *each = *at;
        if (prefix && strcmp(each->prefix, prefix) != 0) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        free(each->prefix);
        free(each);
    }
}

static void fault_set(struct fake *fake, const char *prefix, enum http_fault_kind kind,
                      size_t bytes, unsigned long times)
{
    fault_remove(fake, prefix);
    struct http_fault *fault = calloc(1, sizeof *fault);
    if (!fault) {
        abort();
    }
    *fault = (struct http_fault){.prefix = strdup(prefix),
                                 .kind = kind,
                                 .bytes = bytes,
                                 .left = times,
                                 .next = fake->faults};
    fake->faults = fault;
}

static struct http_fault *fault_find(const struct fake *fake, const char *uri)
{
    for (struct http_fault *each = fake->faults; each; each = each->next) {
        if (each->left > 0 && strncmp(uri, each->prefix, strlen(each->prefix)) == 0) {
            return each;
        }
    }
    return NULL;
}

enum http_fault_kind http_fault_take(struct fake *fake, const char *uri, size_t *bytes)
{
    struct http_fault *fault = fault_find(fake, uri);
    if (!fault) {
        return HTTP_FAULT_NONE;
    }
    fault->left--;
    *bytes = fault->bytes;
    return fault->kind;
}

bool http_fault_closes_before(struct fake *fake, const char *uri)
{
    struct http_fault *fault = fault_find(fake, uri);
    if (!fault || fault->kind != HTTP_FAULT_CLOSE_BEFORE) {
        return false;
    }
    fault->left--;
    return true;
}

/* Answers with an error itself where there is no prefix. */
static const char *next_prefix(const char *verb, char **rest)
{
    const char *prefix = console_next_word(rest);
    if (!prefix) {
        console_error("%s: no URI prefix given", verb);
    }
    return prefix;
}

static void run_rest_stall(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *prefix = next_prefix("rest-stall", &rest);
    if (prefix) {
        fault_set(fake, prefix, HTTP_FAULT_STALL, 0, ULONG_MAX);
        console_done();
    }
}

static void run_rest_resume(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    for (struct http_fault *each = fake->faults; each; each = each->next) {
        each->left = each->kind == HTTP_FAULT_STALL ? 0 : each->left;
    }
    console_ok("answers=%u", http_resume(fake));
}

static void run_rest_close(struct fake *fake, struct session *session, char *rest)
{
    static const struct {
        const char *word;
        enum http_fault_kind kind;
    } points[] = {
        {"off", HTTP_FAULT_NONE},
        {"before", HTTP_FAULT_CLOSE_BEFORE},
        {"after-request", HTTP_FAULT_CLOSE_AFTER_REQUEST},
        {"in-head", HTTP_FAULT_CLOSE_IN_HEAD},
        {"in-body", HTTP_FAULT_CLOSE_IN_BODY},
    };
    (void)session;
    const char *prefix = next_prefix("rest-close", &rest);
    if (!prefix) {
        return;
    }
    const char *word = console_next_word(&rest);
    const char *times_word = console_next_word(&rest);
    unsigned long times = ULONG_MAX;
    if (times_word && !console_parse_number(times_word, ULONG_MAX, &times)) {
        return;
    }
    for (size_t i = 0; word && i < sizeof points / sizeof *points; i++) {
        if (strcmp(points[i].word, word) == 0) {
            fault_set(fake, prefix, points[i].kind, 0, times);
            console_done();
            return;
        }
    }
    console_error("rest-close: \"%s\" is no point; allowed: before, after-request, in-head, "
                  "in-body, off",
                  word ? word : "");
}

static void run_rest_big(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    unsigned long bytes;
    const char *prefix = next_prefix("rest-big", &rest);
    if (prefix && console_parse_number(console_next_word(&rest), 1UL << 30, &bytes)) {
        fault_set(fake, prefix, bytes ? HTTP_FAULT_BIG : HTTP_FAULT_NONE, bytes, ULONG_MAX);
        console_done();
    }
}

static void run_rest_flood(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *prefix = next_prefix("rest-flood", &rest);
    const char *word = prefix ? console_next_word(&rest) : NULL;
    if (word && strcmp(word, "off") != 0) {
        console_error("rest-flood: \"%s\" is no choice; allowed: off, or nothing", word);
    } else if (prefix) {
        fault_set(fake, prefix, word ? HTTP_FAULT_NONE : HTTP_FAULT_FLOOD, 0, ULONG_MAX);
        console_done();
    }
}

static void run_rest_idle_ms(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    unsigned long idle_ms;
    if (console_parse_number(console_next_word(&rest), 86400000, &idle_ms)) {
        fake->rest_idle_ms = (unsigned)idle_ms;
        console_done();
    }
}

void console_forget_overrides(struct fake *fake)
{
    override_remove(fake, NULL);
    fault_remove(fake, NULL);
}

static void override_add(struct fake *fake, const char *prefix, int status, const char *body)
{
    struct rest_override *override = calloc(1, sizeof *override);
    if (!override) {
        abort();
    }
    *override = (struct rest_override){.prefix = strdup(prefix),
                                       .status = status,
                                       .body = body ? strdup(body) : NULL,
                                       .next = fake->overrides};
    fake->overrides = override;
}

static void run_rest_status(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *prefix = console_next_word(&rest);
    unsigned long status;
    if (!prefix) {
        console_error("rest-status: no URI prefix given");
        return;
    }
    if (!console_parse_number(console_next_word(&rest), 599, &status)) {
        return;
    }
    override_remove(fake, prefix);
    if (status) {
        override_add(fake, prefix, (int)status, NULL);
    }
    console_done();
}

static void run_rest_body(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *uri = console_next_word(&rest);
    if (!uri) {
        console_error("rest-body: no URI given");
        return;
    }
    override_remove(fake, uri);
    if (rest && *rest) {
        override_add(fake, uri, 200, rest);
    }
    console_done();
}

const struct console_command console_rest_commands[] = {
    {"rest-delay", false, run_rest_delay},
    {"rest-answers", false, run_rest_answers},
    {"rest-status", false, run_rest_status},
    {"rest-stall", false, run_rest_stall},
    {"rest-resume", false, run_rest_resume},
    {"rest-close", false, run_rest_close},
    {"rest-big", false, run_rest_big},
    {"rest-flood", false, run_rest_flood},
    {"rest-idle-ms", false, run_rest_idle_ms},
    {"rest-body", false, run_rest_body},
    {0},
};
