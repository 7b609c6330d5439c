/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The script's commands that concern one connection: what is sent on it, and how it ends or
 * breaks. Called by console.c with the rest of the line; the list of them is at the end. Every
 * command answers with one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console_private.h"

enum { MESSAGE_MAX = 256 << 20 };

/* A valid event of exactly `size` bytes, malloc'd; NULL with *least set if that is too few. */
static char *event_build(const struct fake *fake, const char *app, size_t size, size_t *least)
{
    char time[32];
    fake_write_time(time);
    for (size_t pad_length = 0;;) {
        char *pad = malloc(pad_length + 1);
        if (!pad) {
            abort();
        }
        memset(pad, 'x', pad_length);
        pad[pad_length] = '\0';
        json_t *event =
            json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s}", "type", "ChannelUserevent",
                      "timestamp", time, "eventname", "big", "userevent", "eventname", "big", "pad",
                      pad, "asterisk_id", fake->version->entity_id, "application", app);
        char *text = json_dumps(event, JSON_COMPACT);
        json_decref(event);
        free(pad);
        size_t length = strlen(text);
        if (length == size) {
            return text;
        }
        free(text);
        if (length > size) {
            *least = length;
            return NULL;
        }
        pad_length = size - length;
    }
}

static void run_send(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    session_send_text(session, rest, strlen(rest));
    console_ok("bytes=%zu", strlen(rest));
    session_flush(session);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static void run_send_hex(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    struct bytes raw = {0};
    for (const char *at = rest; *at; at++) {
        if (*at == ' ') {
            continue;
        }
        int high = hex_digit(at[0]);
        int low = high < 0 ? -1 : hex_digit(at[1]);
        if (low < 0) {
            console_error("send-hex: \"%.2s\" is no pair of hexadecimal digits", at);
            bytes_free(&raw);
            return;
        }
        uint8_t byte = (uint8_t)(high << 4 | low);
        bytes_append(&raw, &byte, 1);
        at++;
    }
    session_send_raw(session, raw.data, raw.length);
    console_ok("bytes=%zu", raw.length);
    bytes_free(&raw);
    session_flush(session);
}

/* Bytes of a message that is too large to be built: one character again and again. */
static void run_pour(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    unsigned long size;
    if (!console_parse_number(console_next_word(&rest), MESSAGE_MAX, &size)) {
        return;
    }
    char *filler = malloc(size + 1);
    if (!filler) {
        abort();
    }
    memset(filler, *rest ? *rest : 'x', size);
    session_send_raw(session, filler, size);
    free(filler);
    console_ok("bytes=%lu", size);
    session_flush(session);
}

static void run_play(struct fake *fake, struct session *session, char *rest)
{
    const char *path = fake->recording;
    unsigned long rate = 0;
    unsigned long loop = 1;
    for (char *word; (word = console_next_word(&rest)) != NULL;) {
        if (strncmp(word, "rate=", 5) == 0) {
            if (!console_parse_number(word + 5, 10000000, &rate)) {
                return;
            }
        } else if (strncmp(word, "loop=", 5) == 0) {
            if (!console_parse_number(word + 5, 1000000000, &loop)) {
                return;
            }
        } else if (strncmp(word, "app=", 4) == 0) {
            session = session_find(fake, word + 4);
            if (!session) {
                console_error("play: no connection of app %s", word + 4);
                return;
            }
        } else {
            path = word;
        }
    }
    char error[512] = "no file given and no --recording";
    if (session->play) {
        console_error("play: this connection plays already");
        return;
    }
    struct play *play =
        path ? play_create(session, path, (unsigned)rate, (unsigned)loop, error, sizeof error)
             : NULL;
    if (!play) {
        console_error("play: %s", error);
        return;
    }
    session->play = play;
    console_ok("frames=%zu", play_lines(play));
    session_flush(session);
}

static void run_stop_play(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    (void)rest;
    if (!session->play) {
        console_error("stop-play: this connection plays nothing");
        return;
    }
    console_done();
    session_stop_play(session);
    session_flush(session);
}

/* The message of a fragment command: text as it stands, or @FILE, whose last newline is left out.
 * malloc'd; NULL after an error was answered. */
static char *message_read(const char *argument, size_t *length)
{
    if (argument[0] != '@') {
        *length = strlen(argument);
        return strdup(argument);
    }
    FILE *file = fopen(argument + 1, "r");
    char *text = NULL;
    size_t size = 0;
    ssize_t n = file ? getdelim(&text, &size, EOF, file) : -1;
    if (n < 0) {
        console_error("%s: %s", argument + 1, file ? "is empty" : strerror(errno));
        free(text);
        text = NULL;
    } else {
        *length = (size_t)n - (text[n - 1] == '\n');
    }
    if (file) {
        fclose(file);
    }
    return text;
}

/* Sends the argument as frames of at most `step` bytes; with_ping puts a ping behind the first. */
static void fragments_send(struct session *session, const char *argument, size_t first, size_t step,
                           bool with_ping)
{
    size_t length = 0;
    char *text = message_read(argument, &length);
    if (!text) {
        return;
    }
    size_t at = 0;
    unsigned frames = 0;
    do {
        size_t size = frames == 0 ? first : step;
        size = size < length - at ? size : length - at;
        frame_append(&session->out, at + size == length, frames ? FRAME_CONTINUATION : FRAME_TEXT,
                     text + at, size);
        if (with_ping && frames == 0) {
            frame_append(&session->out, true, FRAME_PING, "between", 7);
        }
        at += size;
        frames++;
    } while (at < length);
    session->fake->stats.frames_sent++;
    free(text);
    console_ok("frames=%u bytes=%zu", frames, length);
    session_flush(session);
}

static void run_fragment(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    unsigned long at;
    if (console_parse_number(console_next_word(&rest), MESSAGE_MAX, &at)) {
        fragments_send(session, rest, at, MESSAGE_MAX, false);
    }
}

static void run_fragment_every(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    fragments_send(session, rest, 1, 1, false);
}

static void run_fragment_with_ping(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    unsigned long at;
    if (console_parse_number(console_next_word(&rest), MESSAGE_MAX, &at)) {
        fragments_send(session, rest, at, MESSAGE_MAX, true);
    }
}

static void run_big(struct fake *fake, struct session *session, char *rest)
{
    unsigned long size;
    if (!console_parse_number(console_next_word(&rest), MESSAGE_MAX, &size)) {
        return;
    }
    size_t least = 0;
    char *text = event_build(fake, session->first_app, size, &least);
    if (!text) {
        console_error("big: %lu bytes are too few for an event; allowed: %zu to %d", size, least,
                      MESSAGE_MAX);
        return;
    }
    session_send_text(session, text, size);
    free(text);
    console_ok("bytes=%lu", size);
    session_flush(session);
}

static void run_close(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    unsigned long code;
    if (console_parse_number(console_next_word(&rest), 65535, &code)) {
        console_ok("code=%lu", code);
        session_close(session, (int)code, rest);
    }
}

static void run_fin(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    (void)rest;
    console_done();
    session_finish(session);
}

static void run_rst(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    (void)rest;
    console_done();
    session_reset(session);
}

static void run_cut(struct fake *fake, struct session *session, char *rest)
{
    unsigned long at;
    if (!console_parse_number(console_next_word(&rest), MESSAGE_MAX / 2, &at)) {
        return;
    }
    size_t least = 0;
    /* Long enough that the frame is not over with the close frame's four bytes. */
    size_t size = at + 1024;
    char *text = event_build(fake, session->first_app, size, &least);
    if (!text) {
        console_error("cut: cannot build an event of %zu bytes", size);
        return;
    }
    console_ok("length=%zu", size);
    session_cut(session, text, size, at);
    free(text);
}

static void run_stall(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    (void)rest;
    session_stall(session);
    console_done();
}

static void run_resume(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    (void)rest;
    console_done();
    session_resume(session);
}

static void run_ping(struct fake *fake, struct session *session, char *rest)
{
    (void)fake;
    size_t length = strlen(rest);
    if (length > 125) {
        console_error("ping: %zu bytes of payload; allowed: 0 to 125", length);
        return;
    }
    frame_append(&session->out, true, FRAME_PING, rest, length);
    console_ok("length=%zu", length);
    session_flush(session);
}

const struct console_command console_session_commands[] = {
    {"play", true, run_play},
    {"stop-play", true, run_stop_play},
    {"send", true, run_send},
    {"send-hex", true, run_send_hex},
    {"pour", true, run_pour},
    {"fragment", true, run_fragment},
    {"fragment-every", true, run_fragment_every},
    {"fragment-with-ping", true, run_fragment_with_ping},
    {"big", true, run_big},
    {"close", true, run_close},
    {"fin", true, run_fin},
    {"rst", true, run_rst},
    {"cut", true, run_cut},
    {"stall", true, run_stall},
    {"resume", true, run_resume},
    {"ping", true, run_ping},
    {0},
};
