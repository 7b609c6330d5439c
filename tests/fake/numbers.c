/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Numbered events of an application, sent to whichever connection has it at that moment, as
 * Asterisk does: when another connection takes the application over, the number goes on there. A
 * few may still go to the old connection after it was told ApplicationReplaced. What is due while
 * nobody has the application is lost, and counted. The console begins and ends them, application.c
 * and session.c say who has it.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "console_private.h"

enum { TICK_US = 1000, BATCH_MAX = 5000 };

struct numbers {
    struct fake *fake;
    char *app;
    uint64_t rate;  /* in a second */
    uint64_t count; /* 0: for ever */
    uint64_t last;  /* the number of the last one that was due */
    uint64_t lost;
    uint64_t sent_late;
    unsigned late;       /* after each replacement so many go to the old connection */
    unsigned late_left;  /* of these now */
    struct session *old; /* to which they go; NULL: none */
    struct timespec start;
    lws_sorted_usec_list_t timer;
    struct numbers *next;
};

static uint64_t elapsed_us(const struct numbers *numbers)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - numbers->start.tv_sec) * 1000000 +
                      (now.tv_nsec - numbers->start.tv_nsec) / 1000);
}

static struct numbers *numbers_find(struct fake *fake, const char *app)
{
    struct numbers *found;
    LL_FOREACH(fake->numbers, found)
    {
        if (strcmp(found->app, app) == 0) {
            return found;
        }
    }
    return NULL;
}

/* Every second one goes to the old connection, as long as there are any left. */
static struct session *receiver(struct numbers *numbers)
{
    const struct application *application = application_find(numbers->fake, numbers->app);
    struct session *owner = application ? application->owner : NULL;
    if (numbers->old && numbers->late_left > 0 && (numbers->last % 2 == 0 || !owner)) {
        numbers->late_left--;
        numbers->sent_late++;
        return numbers->old;
    }
    return owner;
}

static void send_next(struct numbers *numbers, const char *time)
{
    numbers->last++;
    struct session *session = receiver(numbers);
    if (!session || session->state != SESSION_OPEN) {
        numbers->lost++;
        return;
    }
    char text[512];
    int length = snprintf(
        text, sizeof text,
        "{\"type\":\"ChannelUserevent\",\"timestamp\":\"%s\",\"eventname\":\"number\","
        "\"userevent\":"
        "{\"eventname\":\"number\",\"n\":%llu},\"asterisk_id\":\"%s\",\"application\":\"%s\"}",
        time, (unsigned long long)numbers->last, numbers->fake->version->entity_id, numbers->app);
    session_send_text(session, text, (size_t)length);
}

static void numbers_report(const struct numbers *numbers, const char *how)
{
    console_event("numbers %s app=%s last=%llu lost=%llu late=%llu", how, numbers->app,
                  (unsigned long long)numbers->last, (unsigned long long)numbers->lost,
                  (unsigned long long)numbers->sent_late);
}

static void numbers_free(struct numbers *numbers)
{
    LL_DELETE(numbers->fake->numbers, numbers);
    lws_sul_cancel(&numbers->timer);
    free(numbers->app);
    free(numbers);
}

static void on_tick(lws_sorted_usec_list_t *timer)
{
    struct numbers *numbers = lws_container_of(timer, struct numbers, timer);
    uint64_t due = elapsed_us(numbers) * numbers->rate / 1000000;
    if (numbers->count && due > numbers->count) {
        due = numbers->count;
    }
    char time[32];
    fake_write_time(time);
    for (unsigned i = 0; numbers->last < due && i < BATCH_MAX; i++) {
        send_next(numbers, time);
    }
    const struct application *application = application_find(numbers->fake, numbers->app);
    /* In this order: a flush may end a session, and with it `old`. */
    if (numbers->old) {
        session_flush(numbers->old);
    }
    if (application && application->owner) {
        session_flush(application->owner);
    }
    if (numbers->count && numbers->last == numbers->count) {
        numbers_report(numbers, "done");
        numbers_free(numbers);
        return;
    }
    lws_sul_schedule(numbers->fake->lws, 0, timer, on_tick, TICK_US);
}

void numbers_application_replaced(struct fake *fake, const char *app, struct session *old)
{
    struct numbers *numbers = numbers_find(fake, app);
    if (numbers && old->state == SESSION_OPEN) {
        numbers->old = old;
        numbers->late_left = numbers->late;
    }
}

void numbers_session_ended(struct fake *fake, const struct session *session)
{
    struct numbers *numbers;
    LL_FOREACH(fake->numbers, numbers)
    {
        if (numbers->old == session) {
            numbers->old = NULL;
        }
    }
}

void numbers_stop_all(struct fake *fake)
{
    while (fake->numbers) {
        numbers_free(fake->numbers);
    }
}

/* rate=N, count=N and late=N, in any order. */
static bool read_options(char *rest, unsigned long *rate, unsigned long *count, unsigned long *late)
{
    const struct {
        const char *name;
        unsigned long max;
        unsigned long *value;
    } options[] = {{"rate=", 1000000, rate}, {"count=", 1000000000, count}, {"late=", 1000, late}};
    for (char *word; (word = console_next_word(&rest)) != NULL;) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            size_t length = strlen(options[i].name);
            if (strncmp(word, options[i].name, length) == 0) {
                is_known = true;
                if (!console_parse_number(word + length, options[i].max, options[i].value)) {
                    return false;
                }
            }
        }
        if (!is_known) {
            console_error("numbers: \"%s\"; allowed: rate=N count=N late=N", word);
            return false;
        }
    }
    return true;
}

static void run_numbers(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    unsigned long rate = 1000;
    unsigned long count = 0;
    unsigned long late = 0;
    const char *app = console_next_word(&rest);
    if (!app || numbers_find(fake, app)) {
        console_error("numbers: %s",
                      app ? "this application has numbers already" : "no name given");
        return;
    }
    if (!read_options(rest, &rate, &count, &late)) {
        return;
    }
    struct numbers *numbers = calloc(1, sizeof *numbers);
    if (!numbers) {
        abort();
    }
    numbers->fake = fake;
    numbers->app = strdup(app);
    numbers->rate = rate;
    numbers->count = count;
    numbers->late = (unsigned)late;
    clock_gettime(CLOCK_MONOTONIC, &numbers->start);
    LL_APPEND(fake->numbers, numbers);
    console_done();
    lws_sul_schedule(fake->lws, 0, &numbers->timer, on_tick, TICK_US);
}

static void run_stop_numbers(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *app = console_next_word(&rest);
    struct numbers *numbers = app ? numbers_find(fake, app) : NULL;
    if (!numbers) {
        console_error("stop-numbers: no numbers of \"%s\"", app ? app : "");
        return;
    }
    console_ok("last=%llu lost=%llu late=%llu", (unsigned long long)numbers->last,
               (unsigned long long)numbers->lost, (unsigned long long)numbers->sent_late);
    numbers_free(numbers);
}

const struct console_command console_numbers_commands[] = {
    {"numbers", false, run_numbers},
    {"stop-numbers", false, run_stop_numbers},
    {0},
};
