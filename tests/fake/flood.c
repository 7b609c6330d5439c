/* SPDX-License-Identifier: MPL-2.0 */
/*
 * `flood`: numbered events at a given rate, to whoever has the applications at that moment. Where
 * nobody has, they happen all the same and are dropped, as Asterisk drops them. The truth log says
 * of each what became of it. Called by the console and by libwebsockets' timers; flood_event.c
 * makes the events.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "console_private.h"
#include "flood_event.h"

enum {
    TICK_US = 1000,
    EVENTS_PER_TICK = 5000, /* so that the console is heard */
    TARGETS_MAX = 16,
    /* More than this unsent on one connection, and the flood waits; nothing is dropped for it. */
    BACKLOG_MAX = 16 << 20,
    RATE_MAX = 10000000,
    HUGE_MAX = 64 << 20,
};

/* One application's numbers, which go on from flood to flood. */
struct flood_source {
    char app[FLOOD_APP_MAX + 1];
    uint64_t serial; /* the last one */
    /* What the truth log has not been told yet: first to `serial`, all with the same fate. */
    uint64_t first;
    unsigned connection; /* a session's id; 0: dropped */
    unsigned owner;      /* who had the application last */
    unsigned former;     /* and before that */
    unsigned long late;  /* so many more events in which the former one may have a part */
    struct flood_source *prev;
    struct flood_source *next;
};

struct flood {
    struct fake *fake;
    struct flood_source *targets[TARGETS_MAX];
    unsigned targets_count;
    uint64_t wanted;
    uint64_t happened;
    uint64_t sent;
    unsigned rate;
    unsigned long huge_every; /* 0: none */
    unsigned long huge_bytes;
    unsigned long broken_every; /* 0: none */
    unsigned long late;
    struct timespec start;
    lws_sorted_usec_list_t timer;
};

static uint64_t elapsed_us(const struct flood *flood)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - flood->start.tv_sec) * 1000000 +
                      (now.tv_nsec - flood->start.tv_nsec) / 1000);
}

/* --- The truth log */

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void truth_end_run(struct fake *fake, struct flood_source *source)
{
    if (source->first == 0) {
        return;
    }
    if (fake->truth) {
        fprintf(fake->truth, "%s %" PRIu64 " %s %u %" PRIu64 " %" PRIu64 "\n",
                source->connection ? "sent" : "dropped", wall_ns(), source->app, source->connection,
                source->first, source->serial);
    }
    source->first = 0;
}

/* source->serial has just happened. */
static void truth_add(struct fake *fake, struct flood_source *source, unsigned connection)
{
    if (source->first != 0 && source->connection != connection) {
        source->serial--;
        truth_end_run(fake, source);
        source->serial++;
    }
    if (source->first == 0) {
        source->first = source->serial;
        source->connection = connection;
    }
}

static void truth_flush(struct fake *fake)
{
    struct flood_source *source;
    DL_FOREACH(fake->flood_sources, source)
    {
        truth_end_run(fake, source);
    }
    if (fake->truth) {
        fflush(fake->truth);
    }
}

/* --- Events */

/* Puts a member of `length` bytes before the others. */
static void send_padded(struct session *session, const struct flood_event *event, char pad,
                        size_t length)
{
    static const char begin[] = "{\"pad\":\"";
    struct bytes text = {0};
    bytes_append(&text, begin, sizeof begin - 1);
    for (size_t i = 0; i < length; i++) {
        bytes_append(&text, &pad, 1);
    }
    bytes_append(&text, "\",", 2);
    bytes_append(&text, event->text + 1, event->length - 1);
    session_send_text(session, (const char *)text.data, text.length);
    bytes_free(&text);
}

static void send_event(struct flood *flood, const struct flood_source *source,
                       struct session *session)
{
    struct flood_event event;
    flood_event_make(source->app, flood->fake->version->entity_id, source->serial, &event);
    if (flood->broken_every && source->serial % flood->broken_every == 0) {
        send_padded(session, &event, '\xff', 1);
    } else if (flood->huge_every && source->serial % flood->huge_every == 0) {
        send_padded(session, &event, 'x', flood->huge_bytes);
    } else {
        session_send_text(session, event.text, event.length);
    }
    flood->sent++;
}

static struct session *owner_of(const struct flood *flood, const struct flood_source *source)
{
    const struct application *application = application_find(flood->fake, source->app);
    struct session *owner = application ? application->owner : NULL;
    return owner && owner->state == SESSION_OPEN ? owner : NULL;
}

static struct session *open_session(const struct fake *fake, unsigned id)
{
    struct session *each;
    DL_FOREACH(fake->sessions, each)
    {
        if (each->id == id && each->state == SESSION_OPEN) {
            return each;
        }
    }
    return NULL;
}

/* Who gets the next event. After a replacement every other of the first ones still goes to the
 * former connection, where `late` asks for that. */
static struct session *receiver_of(const struct flood *flood, struct flood_source *source)
{
    struct session *owner = owner_of(flood, source);
    if (!owner) {
        return NULL;
    }
    if (owner->id != source->owner) {
        source->former = source->owner;
        source->owner = owner->id;
        source->late = flood->late;
    }
    if (source->late > 0) {
        struct session *former = open_session(flood->fake, source->former);
        source->late = former ? source->late - 1 : 0;
        return former && source->late % 2 == 0 ? former : owner;
    }
    return owner;
}

static void happen(struct flood *flood)
{
    struct flood_source *source = flood->targets[flood->happened % flood->targets_count];
    struct session *receiver = receiver_of(flood, source);
    source->serial++;
    truth_add(flood->fake, source, receiver ? receiver->id : 0);
    if (receiver) {
        send_event(flood, source, receiver);
    }
    flood->happened++;
}

static bool is_backlogged(const struct flood *flood)
{
    for (unsigned i = 0; i < flood->targets_count; i++) {
        const struct session *owner = owner_of(flood, flood->targets[i]);
        if (owner && owner->out.length - owner->out_sent > BACKLOG_MAX) {
            return true;
        }
    }
    return false;
}

/* --- Time */

static void flood_end(struct flood **self, const char *how)
{
    struct flood *flood = *self;
    *self = NULL;
    lws_sul_cancel(&flood->timer);
    console_event(
        "flood %s events=%" PRIu64 " sent=%" PRIu64 " dropped=%" PRIu64 " elapsed_us=%" PRIu64, how,
        flood->happened, flood->sent, flood->happened - flood->sent, elapsed_us(flood));
    free(flood);
}

static void flood_tick(lws_sorted_usec_list_t *timer)
{
    struct flood *flood = lws_container_of(timer, struct flood, timer);
    struct fake *fake = flood->fake;
    uint64_t due = elapsed_us(flood) * flood->rate / 1000000 + 1;
    due = due < flood->wanted ? due : flood->wanted;
    for (unsigned i = 0; i < EVENTS_PER_TICK && flood->happened < due && !is_backlogged(flood);
         i++) {
        happen(flood);
    }
    truth_flush(fake);
    for (unsigned i = 0; i < flood->targets_count; i++) {
        struct session *owner = owner_of(flood, flood->targets[i]);
        struct session *former = open_session(fake, flood->targets[i]->former);
        if (former) {
            session_flush(former);
        }
        if (owner) {
            session_flush(owner);
        }
    }
    if (flood->happened == flood->wanted) {
        flood_end(&fake->flood, "done");
    } else {
        lws_sul_schedule(fake->lws, 0, &flood->timer, flood_tick, TICK_US);
    }
}

/* --- Commands */

static struct flood_source *source_of(struct fake *fake, const char *app)
{
    struct flood_source *source;
    DL_FOREACH(fake->flood_sources, source)
    {
        if (strcmp(source->app, app) == 0) {
            return source;
        }
    }
    source = calloc(1, sizeof *source);
    if (!source) {
        abort();
    }
    snprintf(source->app, sizeof source->app, "%s", app);
    DL_APPEND(fake->flood_sources, source);
    return source;
}

/* huge=EVERY:BYTES, broken=EVERY, late=N or an application. False after an error was answered. */
static bool parse_word(struct flood *flood, char *word)
{
    if (strncmp(word, "huge=", 5) == 0) {
        char *bytes = strchr(word, ':');
        if (bytes) {
            *bytes++ = '\0';
        }
        return console_parse_number(word + 5, FLOOD_SERIAL_MAX, &flood->huge_every) &&
               console_parse_number(bytes, HUGE_MAX, &flood->huge_bytes);
    }
    if (strncmp(word, "broken=", 7) == 0) {
        return console_parse_number(word + 7, FLOOD_SERIAL_MAX, &flood->broken_every);
    }
    if (strncmp(word, "late=", 5) == 0) {
        return console_parse_number(word + 5, FLOOD_SERIAL_MAX, &flood->late);
    }
    if (strlen(word) > FLOOD_APP_MAX || flood->targets_count == TARGETS_MAX) {
        console_error("flood: at most %d applications with names of at most %d bytes", TARGETS_MAX,
                      FLOOD_APP_MAX);
        return false;
    }
    flood->targets[flood->targets_count++] = source_of(flood->fake, word);
    return true;
}

static bool parse(struct flood *flood, char *rest)
{
    unsigned long wanted = 0;
    unsigned long rate = 0;
    if (!console_parse_number(console_next_word(&rest), FLOOD_SERIAL_MAX, &wanted) ||
        !console_parse_number(console_next_word(&rest), RATE_MAX, &rate)) {
        return false;
    }
    flood->wanted = wanted;
    flood->rate = (unsigned)rate;
    for (char *word; (word = console_next_word(&rest)) != NULL;) {
        if (!parse_word(flood, word)) {
            return false;
        }
    }
    if (wanted == 0 || rate == 0 || flood->targets_count == 0) {
        console_error("flood: say how many (1 to %" PRIu64 "), how many a second (1 to %d), and to "
                      "which applications",
                      FLOOD_SERIAL_MAX, RATE_MAX);
        return false;
    }
    return true;
}

/* What the truth log must know to tell refused events from lost ones. */
static void truth_begin(const struct flood *flood)
{
    FILE *truth = flood->fake->truth;
    if (truth) {
        fprintf(truth, "flood %" PRIu64 " %" PRIu64 " %u huge=%lu:%lu broken=%lu\n", wall_ns(),
                flood->wanted, flood->rate, flood->huge_every, flood->huge_bytes,
                flood->broken_every);
    }
}

static void run_flood(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    if (fake->flood) {
        console_error("flood: one is under way");
        return;
    }
    struct flood *flood = calloc(1, sizeof *flood);
    if (!flood) {
        abort();
    }
    flood->fake = fake;
    if (!parse(flood, rest)) {
        free(flood);
        return;
    }
    truth_begin(flood);
    clock_gettime(CLOCK_MONOTONIC, &flood->start);
    fake->flood = flood;
    console_done();
    lws_sul_schedule(fake->lws, 0, &flood->timer, flood_tick, 1);
}

static void run_flood_status(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    if (fake->flood) {
        console_ok("events=%" PRIu64 " sent=%" PRIu64, fake->flood->happened, fake->flood->sent);
    } else {
        console_error("flood-status: none is under way");
    }
}

static void run_flood_stop(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    (void)rest;
    if (!fake->flood) {
        console_error("flood-stop: none is under way");
        return;
    }
    console_done();
    flood_end(&fake->flood, "stopped");
}

static void run_truth(struct fake *fake, struct session *session, char *rest)
{
    (void)session;
    const char *path = console_next_word(&rest);
    FILE *truth = path ? fopen(path, "w") : NULL;
    if (!truth) {
        console_error("truth: %s: %s", path ? path : "", path ? strerror(errno) : "no file named");
        return;
    }
    if (fake->truth) {
        fclose(fake->truth);
    }
    fake->truth = truth;
    fprintf(truth, "truth 1 %s\n", fake->version->entity_id);
    console_done();
}

void flood_forget(struct fake *fake)
{
    struct flood_source *source;
    struct flood_source *next;
    if (fake->flood) {
        flood_end(&fake->flood, "stopped");
    }
    DL_FOREACH_SAFE(fake->flood_sources, source, next)
    {
        free(source);
    }
    if (fake->truth) {
        fclose(fake->truth);
    }
}

/* --- What the flood's calls look like over REST */

static void list(const struct fake *fake, json_t *out,
                 bool (*make)(const char *app, uint64_t serial, unsigned lane, char *text))
{
    const struct flood_source *source;
    DL_FOREACH(fake->flood_sources, source)
    {
        for (unsigned lane = 0; lane < FLOOD_LANES; lane++) {
            char text[FLOOD_EVENT_MAX];
            if (make(source->app, source->serial, lane, text)) {
                json_array_append_new(out, json_loads(text, 0, NULL));
            }
        }
    }
}

void flood_list_channels(const struct fake *fake, json_t *out)
{
    list(fake, out, flood_channel_make);
}

void flood_list_bridges(const struct fake *fake, json_t *out)
{
    list(fake, out, flood_bridge_make);
}

const struct console_command console_flood_commands[] = {
    {"flood", false, run_flood},
    {"flood-status", false, run_flood_status},
    {"flood-stop", false, run_flood_stop},
    {"truth", false, run_truth},
    {0},
};
