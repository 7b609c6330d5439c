/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The human form of a message: one line with columns taken from the topic, then facts from the
 * event. print.c calls it. Everything that came from the network is cleaned before it is written,
 * and a message that is not what the bridge sends still gets a line.
 */
#include "cli/human.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/facts.h"
#include "cli/text.h"

enum { TOKENS = 4, TYPE_BYTES_MAX = 64 };

/* The first entry whose beginning fits gives the colour; the numbers are SGR parameters. */
static const struct {
    const char *beginning;
    const char *sgr;
} families[] = {{"ArizmqHeartbeat", "2"}, {"Arizmq", "1;31"}, {"Stasis", "1;32"},
                {"Channel", "36"},        {"Bridge", "34"},   {"Playback", "35"},
                {"Recording", "35"},      {"Dial", "33"},     {"Call", "33"},
                {"Application", "1;33"},  {"Text", "32"},     {"Endpoint", "90"},
                {"Peer", "90"},           {"Contact", "90"},  {"DeviceState", "90"}};

struct token {
    const char *bytes;
    size_t length;
};

/* Which token of the topic is what; -1: the view's topics have no such token. */
struct columns {
    int type, node, app, kind, id;
};
static const struct columns columns_of_view[] = {
    [MESSAGE_VIEW_EVENTS] = {.type = 0, .app = 1, .node = 2, .id = 3, .kind = -1},
    [MESSAGE_VIEW_OBJECTS] = {.kind = 0, .id = 1, .type = 2, .node = 3, .app = -1},
};

/* Returns whether the topic has exactly four tokens, each ended by a slash. */
static bool topic_split(const struct message *message, struct token tokens[TOKENS])
{
    const char *start = message->topic;
    const char *end = start + message->topic_length;
    for (unsigned i = 0; i < TOKENS; i++) {
        const char *slash = memchr(start, '/', (size_t)(end - start));
        if (slash == NULL) {
            return false;
        }
        tokens[i] = (struct token){start, (size_t)(slash - start)};
        start = slash + 1;
    }
    return start == end;
}

static void write_token(FILE *out, struct token token, unsigned width)
{
    text_write_clean(out, token.bytes, token.length, "");
    for (size_t i = token.length; i < width; i++) {
        putc(' ', out);
    }
}

static const char *family_sgr(const char *type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strncmp(type, families[i].beginning, strlen(families[i].beginning)) == 0) {
            return families[i].sgr;
        }
    }
    return "0";
}

static struct token token_of_string(json_t *string)
{
    if (!json_is_string(string)) {
        return (struct token){"-", 1};
    }
    return (struct token){json_string_value(string), json_string_length(string)};
}

/* The columns after the type. */
static void write_columns(FILE *out, const struct token *tokens, enum message_view view,
                          json_t *event)
{
    const struct columns *columns = &columns_of_view[view];
    struct token app = columns->app >= 0 ? tokens[columns->app]
                                         : token_of_string(json_object_get(event, "application"));
    write_token(out, tokens[columns->node], 8);
    putc(' ', out);
    write_token(out, app, 8);
    putc(' ', out);
    if (columns->kind >= 0) {
        write_token(out, tokens[columns->kind], 0);
        putc('/', out);
    }
    write_token(out, tokens[columns->id], 0);
}

void human_write_time(FILE *out, uint64_t received_ns)
{
    time_t seconds = (time_t)(received_ns / 1000000000u);
    struct tm local;
    char text[16];
    if (localtime_r(&seconds, &local) == NULL ||
        strftime(text, sizeof text, "%H:%M:%S", &local) == 0) {
        fputs("--:--:--.---", out);
        return;
    }
    fprintf(out, "%s.%03u", text, (unsigned)(received_ns / 1000000u % 1000u));
}

void human_write(FILE *out, const struct message *message, enum message_view view, json_t *event,
                 bool use_color)
{
    struct token tokens[TOKENS];
    bool is_of_view = topic_split(message, tokens);
    struct token type = is_of_view ? tokens[columns_of_view[view].type]
                                   : token_of_string(json_object_get(event, "type"));
    char type_name[TYPE_BYTES_MAX];
    snprintf(type_name, sizeof type_name, "%.*s", (int)type.length, type.bytes);

    human_write_time(out, message->stamp.received_ns);
    putc(' ', out);
    if (use_color) {
        fprintf(out, "\033[%sm", family_sgr(type_name));
    }
    write_token(out, type, 22);
    fputs(use_color ? "\033[0m " : " ", out);
    if (is_of_view) {
        write_columns(out, tokens, view, event);
    } else {
        text_write_clean(out, message->topic, message->topic_length, "");
    }
    if (strcmp(type_name, "ArizmqHeartbeat") == 0) {
        fprintf(out, " seq=%" PRIu64 " count=%" PRIu64, message->stamp.seq,
                message->stamp.count[0]);
    }
    if (event == NULL) {
        putc(' ', out);
        text_write_clean(out, message->event, message->event_length, "");
    } else {
        facts_write(out, type_name, event);
    }
    putc('\n', out);
}
