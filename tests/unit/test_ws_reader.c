/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The frame reader against RFC 6455, section 5: what must be delivered, whatever the pieces are in
 * which it arrives, what must be refused, and with which close code.
 */
#include <criterion/criterion.h>

#include "ops/metrics.h"
#include "reader_log.h"

enum { TEXT = FRAME_FINAL | WS_TEXT, BINARY = FRAME_FINAL | WS_BINARY, MAX_BYTES = 1 << 20 };

/* What the reader says to `stream`, fed in pieces of `first` bytes and then of `rest`. */
static struct reader_log read_stream(const struct bytes *stream, uint64_t max_message_bytes,
                                     size_t first, size_t rest)
{
    struct reader_log log;
    reader_log_begin(&log, max_message_bytes);
    reader_log_feed(&log, stream->data, first);
    struct bytes left = {.data = stream->data + first, .length = stream->length - first};
    reader_log_feed_by(&log, &left, rest);
    reader_log_end(&log);
    return log;
}

/* `stream` must give `expected`, ending with `code`, in one piece, byte by byte, and cut in two at
 * every byte up to `near` bytes from its ends and at some in the middle. */
static void expect_lines(const char *name, const struct bytes *stream, uint64_t max_message_bytes,
                         size_t near, const char *expected, int code)
{
    struct reader_log log = read_stream(stream, max_message_bytes, 0, 1);
    cr_expect_str_eq(log.text, expected, "%s, byte by byte:\n%s", name, log.text);
    cr_expect_eq(log.code, code, "%s, byte by byte: %d", name, log.code);
    reader_log_free(&log);
    size_t step = stream->length / 50 + 1;
    for (size_t cut = 0; cut <= stream->length;) {
        log = read_stream(stream, max_message_bytes, cut, stream->length);
        cr_expect_str_eq(log.text, expected, "%s, cut at %zu:\n%s", name, cut, log.text);
        cr_expect_eq(log.code, code, "%s, cut at %zu: %d", name, cut, log.code);
        reader_log_free(&log);
        bool is_near = cut < near || cut + near >= stream->length;
        cut += is_near ? 1 : step;
    }
}

static char *fill_text(size_t length)
{
    char *text = malloc(length + 1);
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)('!' + i % 90);
    }
    text[length] = '\0';
    return text;
}

/* The line that a message of fill_text() gives. */
static void expect_append(struct bytes *lines, const char *what, const void *payload, size_t length)
{
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    log_bytes(out, what, payload, length);
    fclose(out);
    bytes_append(lines, line, size);
    free(line);
}

static const char *expect_text(struct bytes *lines)
{
    bytes_append(lines, "", 1);
    return (const char *)lines->data;
}

Test(ws_reader, unfragmented_messages_of_every_length_form)
{
    static const size_t lengths[] = {0, 1, 2, 63, 64, 125, 126, 127, 4095, 65535, 65536, 200000};
    static const unsigned first_bytes[] = {TEXT, BINARY};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (size_t j = 0; j < 2; j++) {
            char name[32];
            snprintf(name, sizeof name, "%zu of %#x", lengths[i], first_bytes[j]);
            char *text = fill_text(lengths[i]);
            struct bytes stream = {0};
            struct bytes lines = {0};
            frame_append(&stream, first_bytes[j], text, lengths[i]);
            expect_append(&lines, "message", text, lengths[i]);
            /* Behind the second one there is room for the padding, so that it is read in place. */
            frame_append(&stream, first_bytes[j], text, lengths[i]);
            expect_append(&lines, "message", text, lengths[i]);
            char trailer[SCAN_PADDING] = "trailer";
            frame_append(&stream, TEXT, trailer, sizeof trailer);
            expect_append(&lines, "message", trailer, sizeof trailer);
            expect_lines(name, &stream, MAX_BYTES, 90, expect_text(&lines), 0);
            bytes_free(&stream);
            bytes_free(&lines);
            free(text);
        }
    }
}

Test(ws_reader, fragments_with_control_frames_between)
{
    struct bytes stream = {0};
    struct bytes lines = {0};
    frame_append_text(&stream, WS_TEXT, "Hel");
    frame_append_text(&stream, FRAME_FINAL | WS_PING, "are you there?");
    expect_append(&lines, "ping", "are you there?", 14);
    frame_append_text(&stream, WS_CONTINUATION, "");
    frame_append_text(&stream, WS_CONTINUATION, "lo ");
    frame_append_text(&stream, FRAME_FINAL | WS_PONG, "");
    expect_append(&lines, "pong", "", 0);
    char longest[WS_CONTROL_BYTES_MAX];
    memset(longest, 'p', sizeof longest);
    frame_append(&stream, FRAME_FINAL | WS_PING, longest, sizeof longest);
    expect_append(&lines, "ping", longest, sizeof longest);
    frame_append_text(&stream, FRAME_FINAL | WS_CONTINUATION, "world");
    expect_append(&lines, "message", "Hello world", 11);
    frame_append_text(&stream, WS_BINARY, "");
    frame_append_text(&stream, FRAME_FINAL | WS_CONTINUATION, "");
    expect_append(&lines, "message", "", 0);
    frame_append_text(&stream, TEXT, "next");
    expect_append(&lines, "message", "next", 4);
    frame_append(&stream, FRAME_FINAL | WS_CLOSE,
                 "\x03\xe8"
                 "bye",
                 5);
    expect_append(&lines, "close",
                  "\x03\xe8"
                  "bye",
                  5);
    uint64_t fragments = metrics_get(METRIC_FRAGMENTS);
    uint64_t controls = metrics_get(METRIC_CONTROL_FRAMES);
    struct reader_log log = read_stream(&stream, MAX_BYTES, 0, 7);
    reader_log_free(&log);
    cr_expect_eq(metrics_get(METRIC_FRAGMENTS) - fragments, 4);
    cr_expect_eq(metrics_get(METRIC_CONTROL_FRAMES) - controls, 4);
    expect_lines("fragments", &stream, MAX_BYTES, SIZE_MAX / 2, expect_text(&lines), 0);
    bytes_free(&stream);
    bytes_free(&lines);
}

Test(ws_reader, text_cut_into_fragments_anywhere)
{
    /* Two, three and four bytes for one character: fragments may end within. */
    static const char text[] = "gr\xc3\xbc\xc3\x9f dich \xe2\x82\xac \xf0\x9f\x93\x9e!";
    size_t length = sizeof text - 1;
    struct bytes lines = {0};
    expect_append(&lines, "message", text, length);
    const char *expected = expect_text(&lines);
    for (size_t first = 0; first <= length; first++) {
        for (size_t second = first; second <= length; second++) {
            struct bytes stream = {0};
            frame_append(&stream, WS_TEXT, text, first);
            frame_append(&stream, WS_CONTINUATION, text + first, second - first);
            frame_append(&stream, FRAME_FINAL | WS_CONTINUATION, text + second, length - second);
            char name[32];
            snprintf(name, sizeof name, "fragments %zu, %zu", first, second);
            expect_lines(name, &stream, MAX_BYTES, 0, expected, 0);
            bytes_free(&stream);
        }
    }
    bytes_free(&lines);
}

struct broken {
    const char *name;
    const char *error; /* a part of what is said */
    unsigned first_byte;
    unsigned second_byte;
    uint64_t length;
    bool within_message; /* comes after a first fragment */
};

static const struct broken broken[] = {
    {"reserved bit 1", "reserved bits", TEXT | 0x40, 2, 0, false},
    {"reserved bit 2", "reserved bits", TEXT | 0x20, 2, 0, false},
    {"reserved bit 3", "reserved bits", TEXT | 0x10, 2, 0, false},
    {"reserved bit of a ping", "reserved bits", FRAME_FINAL | 0x40 | WS_PING, 2, 0, false},
    {"masked text", "masked", TEXT, FRAME_MASKED | 2, 0, false},
    {"masked ping", "masked", FRAME_FINAL | WS_PING, FRAME_MASKED | 2, 0, false},
    {"masked continuation", "masked", FRAME_FINAL, FRAME_MASKED | 2, 0, true},
    {"0 in 16 bits", "shortest", TEXT, FRAME_LENGTH_IN_16, 0, false},
    {"125 in 16 bits", "shortest", TEXT, FRAME_LENGTH_IN_16, 125, false},
    {"0 in 64 bits", "shortest", TEXT, FRAME_LENGTH_IN_64, 0, false},
    {"126 in 64 bits", "shortest", BINARY, FRAME_LENGTH_IN_64, 126, false},
    {"65535 in 64 bits", "shortest", TEXT, FRAME_LENGTH_IN_64, 65535, false},
    {"top bit alone", "shortest", TEXT, FRAME_LENGTH_IN_64, UINT64_C(1) << 63, false},
    {"all bits", "shortest", TEXT, FRAME_LENGTH_IN_64, UINT64_MAX, false},
    {"opcode 3", "opcode", FRAME_FINAL | 0x3, 2, 0, false},
    {"opcode 4", "opcode", FRAME_FINAL | 0x4, 2, 0, false},
    {"opcode 7", "opcode", FRAME_FINAL | 0x7, 2, 0, true},
    {"opcode 11", "opcode", FRAME_FINAL | 0xb, 2, 0, false},
    {"opcode 15", "opcode", 0xf, 2, 0, false},
    {"fragmented close", "control frame is fragmented", WS_CLOSE, 2, 0, false},
    {"fragmented ping", "control frame is fragmented", WS_PING, 2, 0, true},
    {"fragmented pong", "control frame is fragmented", WS_PONG, 0, 0, false},
    {"ping of 126", "longer than 125", FRAME_FINAL | WS_PING, FRAME_LENGTH_IN_16, 126, false},
    {"close of 65536", "longer than 125", FRAME_FINAL | WS_CLOSE, FRAME_LENGTH_IN_64, 65536, true},
    {"continuation of nothing", "without a message", FRAME_FINAL | WS_CONTINUATION, 2, 0, false},
    {"open continuation of nothing", "without a message", WS_CONTINUATION, 2, 0, false},
    {"text within a message", "before the last one's final", TEXT, 2, 0, true},
    {"binary within a message", "before the last one's final", BINARY, 2, 0, true},
    {"fragment within a message", "before the last one's final", WS_TEXT, 2, 0, true},
};

Test(ws_reader, every_protocol_error_is_1002_and_names_itself)
{
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct bytes stream = {0};
        struct bytes lines = {0};
        frame_append_text(&stream, TEXT, "before");
        expect_append(&lines, "message", "before", 6);
        if (broken[i].within_message) {
            frame_append_text(&stream, WS_TEXT, "first");
        }
        frame_append_header(&stream, broken[i].first_byte, broken[i].second_byte, broken[i].length);
        size_t header_end = stream.length;
        static const char rest[300] = "payload, and whatever else comes";
        bytes_append(&stream, rest, sizeof rest);
        frame_append_text(&stream, TEXT, "never delivered");
        expect_lines(broken[i].name, &stream, MAX_BYTES, SIZE_MAX / 2, expect_text(&lines),
                     WS_CODE_PROTOCOL_ERROR);
        /* The header is enough, and what is said is the reason. */
        stream.length = header_end;
        struct reader_log log = read_stream(&stream, MAX_BYTES, 0, stream.length);
        cr_expect_eq(log.code, WS_CODE_PROTOCOL_ERROR, "%s", broken[i].name);
        cr_expect_not_null(strstr(log.error, broken[i].error), "%s: %s", broken[i].name, log.error);
        reader_log_free(&log);
        bytes_free(&stream);
        bytes_free(&lines);
    }
}

/* Every fragmentation of `text` in two, and one frame, must give `line`. */
static void expect_in_fragments(const char *text, size_t length, const char *line, int code)
{
    for (size_t cut = 0; cut <= length; cut++) {
        struct bytes stream = {0};
        frame_append(&stream, cut == 0 ? TEXT : WS_TEXT, text, cut == 0 ? length : cut);
        if (cut > 0) {
            frame_append(&stream, FRAME_FINAL | WS_CONTINUATION, text + cut, length - cut);
        }
        /* Room for the padding, so that a frame is looked at in place. */
        static const char pong[WS_CONTROL_BYTES_MAX];
        struct bytes lines = {0};
        bytes_append(&lines, line, strlen(line));
        frame_append(&stream, FRAME_FINAL | WS_PONG, pong, sizeof pong);
        if (code == 0) {
            expect_append(&lines, "pong", pong, sizeof pong);
        }
        expect_lines(line, &stream, MAX_BYTES, SIZE_MAX / 2, expect_text(&lines), code);
        bytes_free(&stream);
        bytes_free(&lines);
    }
}

Test(ws_reader, text_that_is_not_utf8_is_refused_with_1007)
{
    static const char *const texts[] = {
        "\x80",                     /* a continuation byte alone */
        "abc\xbf",                  /* the same at the end */
        "\xc0\xaf",                 /* overlong '/' */
        "\xc1\xbf",                 /* overlong, the largest */
        "\xe0\x80\xaf",             /* overlong in three bytes */
        "\xe0\x9f\xbf",             /* overlong, the largest in three */
        "\xf0\x80\x80\xaf",         /* overlong in four bytes */
        "\xf0\x8f\xbf\xbf",         /* overlong, the largest in four */
        "\xed\xa0\x80",             /* U+D800, the first surrogate */
        "\xed\xbf\xbf",             /* U+DFFF, the last one */
        "\xed\xa0\xbd\xed\xb8\x80", /* a pair of them */
        "\xf4\x90\x80\x80",         /* U+110000 */
        "\xf5\x80\x80\x80",         /* beyond */
        "\xf8\x88\x80\x80\x80",     /* five bytes */
        "\xfc\x84\x80\x80\x80\x80", /* six bytes */
        "\xfe",
        "\xff",
        "eight by\xc3", /* cut off after a block of eight */
        "a\xe2\x82",
        "\xf0\x9f\x93", /* cut off */
        "\xc3(",
        "\xe2(\x82",
        "\xf0\x9f(\x93",
        "{\"type\":\"ChannelVarset\",\"value\":\"M\xfcller\"}", /* Latin-1 */
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char line[64];
        snprintf(line, sizeof line, "refused utf8 %zu\n", strlen(texts[i]));
        expect_in_fragments(texts[i], strlen(texts[i]), line, WS_CODE_NOT_UTF8);
        /* The same bytes are nobody's business in a binary message. */
        struct bytes stream = {0};
        struct bytes lines = {0};
        frame_append_text(&stream, BINARY, texts[i]);
        expect_append(&lines, "message", texts[i], strlen(texts[i]));
        frame_append(&stream, BINARY, (char[SCAN_PADDING]){0}, SCAN_PADDING);
        expect_append(&lines, "message", (char[SCAN_PADDING]){0}, SCAN_PADDING);
        expect_lines("binary", &stream, MAX_BYTES, SIZE_MAX / 2, expect_text(&lines), 0);
        bytes_free(&stream);
        bytes_free(&lines);
    }
}

Test(ws_reader, utf8_of_every_length_is_delivered)
{
    static const char *const texts[] = {
        "\x7f",
        "\xc2\x80",
        "\xdf\xbf",
        "\xe0\xa0\x80",
        "\xed\x9f\xbf",
        "\xee\x80\x80",
        "\xef\xbf\xbf",
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf",
        "1234567\xc3\xbc",
        "12345678\xc3\xbc",
        "{\"value\":\"\xe2\x80\xa8 \xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bytes lines = {0};
        expect_append(&lines, "message", texts[i], strlen(texts[i]));
        expect_in_fragments(texts[i], strlen(texts[i]), expect_text(&lines), 0);
        bytes_free(&lines);
    }
}

/* A message of `length` in `frames` frames, then a small one; the bound is 1000. */
static void expect_bounded(size_t length, unsigned frames, bool has_room_behind)
{
    char name[64];
    snprintf(name, sizeof name, "%zu in %u", length, frames);
    char *text = fill_text(length);
    struct bytes stream = {0};
    struct bytes lines = {0};
    for (unsigned i = 0; i < frames; i++) {
        size_t from = length * i / frames;
        size_t to = length * (i + 1) / frames;
        frame_append(&stream,
                     (i == 0 ? WS_TEXT : WS_CONTINUATION) | (i + 1 == frames ? FRAME_FINAL : 0u),
                     text + from, to - from);
    }
    if (length <= 1000) {
        expect_append(&lines, "message", text, length);
    } else {
        char line[64];
        snprintf(line, sizeof line, "refused size %zu\n", length);
        bytes_append(&lines, line, strlen(line));
    }
    size_t next = has_room_behind ? 999 : 3;
    frame_append(&stream, TEXT, text, next);
    expect_append(&lines, "message", text, next);
    expect_lines(name, &stream, 1000, 40, expect_text(&lines), 0);
    bytes_free(&stream);
    bytes_free(&lines);
    free(text);
}

Test(ws_reader, the_bound_holds_for_frames_and_fragments)
{
    static const size_t lengths[] = {999, 1000, 1001, 1002, 5000, 70000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (unsigned frames = 1; frames <= 5; frames++) {
            expect_bounded(lengths[i], frames, false);
            expect_bounded(lengths[i], frames, true);
        }
    }
}

Test(ws_reader, announced_gigabyte_is_counted_not_kept)
{
    enum { PIECE = 65536 };
    static const uint8_t piece[PIECE];
    const uint64_t total = UINT64_C(1) << 30;
    struct reader_log log;
    reader_log_begin(&log, 4 << 20);
    struct bytes header = {0};
    frame_append_header(&header, TEXT, FRAME_LENGTH_IN_64, total);
    reader_log_feed(&log, header.data, header.length);
    cr_expect_lt(log.reader.message.capacity, 8192, "nothing has arrived yet");
    for (uint64_t fed = 0; fed < total; fed += PIECE) {
        reader_log_feed(&log, piece, PIECE);
        cr_assert_leq(log.reader.message.capacity, 2 * (4 << 20) + SCAN_PADDING);
        if (fed > 4 << 20 && fed + PIECE < total) {
            cr_assert_null(log.reader.message.bytes, "given back at %llu", (unsigned long long)fed);
            cr_assert_not(ws_reader_is_between_messages(&log.reader));
        }
    }
    cr_expect(ws_reader_is_between_messages(&log.reader));
    struct bytes next = {0};
    frame_append_text(&next, TEXT, "next");
    reader_log_feed(&log, next.data, next.length);
    reader_log_end(&log);
    struct bytes lines = {0};
    bytes_append(&lines, "refused size 1073741824\n", 24);
    expect_append(&lines, "message", "next", 4);
    cr_expect_str_eq(log.text, expect_text(&lines), "%s", log.text);
    reader_log_free(&log);
    bytes_free(&lines);
    bytes_free(&header);
    bytes_free(&next);
}

Test(ws_reader, a_large_message_s_memory_is_given_back)
{
    struct reader_log log;
    reader_log_begin(&log, MAX_BYTES);
    char *text = fill_text(500000);
    struct bytes stream = {0};
    frame_append(&stream, TEXT, text, 500000);
    reader_log_feed_by(&log, &stream, 10000);
    cr_expect_geq(log.reader.message.capacity, 500000);
    stream.length = 0;
    frame_append_text(&stream, TEXT, "small");
    reader_log_feed_by(&log, &stream, 1);
    cr_expect_leq(log.reader.message.capacity, 65536);
    reader_log_end(&log);
    reader_log_free(&log);
    bytes_free(&stream);
    free(text);
}

Test(ws_reader, stands_between_messages_exactly_there)
{
    struct bytes stream = {0};
    size_t ends[8] = {0};
    unsigned count = 1; /* at the very start, too */
    frame_append_text(&stream, TEXT, "one");
    ends[count++] = stream.length;
    frame_append_text(&stream, FRAME_FINAL | WS_PING, "ping");
    ends[count++] = stream.length;
    frame_append_text(&stream, WS_TEXT, "fragment");
    frame_append_text(&stream, FRAME_FINAL | WS_PONG, "pong");
    frame_append_text(&stream, WS_CONTINUATION, "");
    frame_append_text(&stream, FRAME_FINAL | WS_CONTINUATION, "end");
    ends[count++] = stream.length;
    frame_append_text(&stream, BINARY, "");
    ends[count++] = stream.length;
    char *text = fill_text(300);
    frame_append(&stream, TEXT, text, 300);
    ends[count++] = stream.length;
    struct reader_log log;
    reader_log_begin(&log, 200); /* the last one is refused */
    unsigned end = 0;
    for (size_t at = 0; at <= stream.length; at++) {
        bool expected = end < count && ends[end] == at;
        end += expected;
        cr_expect_eq(ws_reader_is_between_messages(&log.reader), expected, "at byte %zu", at);
        if (at < stream.length) {
            reader_log_feed(&log, stream.data + at, 1);
        }
    }
    cr_expect_eq(end, count);
    reader_log_end(&log);
    reader_log_free(&log);
    bytes_free(&stream);
    free(text);
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static size_t random_length(uint64_t *state)
{
    static const size_t most[] = {4, 130, 130, 700, 70000};
    return random_next(state) % most[random_next(state) % 5];
}

/* Random control frames; what is expected of them goes to `lines`. */
static void append_random_controls(struct bytes *stream, struct bytes *lines, uint64_t *state)
{
    while (random_next(state) % 4 == 0) {
        char *payload = fill_text(WS_CONTROL_BYTES_MAX);
        size_t length = random_next(state) % (WS_CONTROL_BYTES_MAX + 1);
        bool is_ping = random_next(state) % 2 == 0;
        frame_append(stream, FRAME_FINAL | (is_ping ? WS_PING : WS_PONG), payload, length);
        expect_append(lines, is_ping ? "ping" : "pong", payload, length);
        free(payload);
    }
}

static void append_random_message(struct bytes *stream, struct bytes *lines, uint64_t *state)
{
    size_t length = random_length(state);
    char *text = fill_text(length);
    size_t at = 0;
    unsigned opcode = random_next(state) % 2 == 0 ? WS_TEXT : WS_BINARY;
    while (random_next(state) % 3 == 0) {
        size_t taken = random_next(state) % (length - at + 1);
        frame_append(stream, opcode, text + at, taken);
        append_random_controls(stream, lines, state);
        at += taken;
        opcode = WS_CONTINUATION;
    }
    frame_append(stream, FRAME_FINAL | opcode, text + at, length - at);
    if (length <= 50000) {
        expect_append(lines, "message", text, length);
    } else {
        char line[64];
        snprintf(line, sizeof line, "refused size %zu\n", length);
        bytes_append(lines, line, strlen(line));
    }
    free(text);
}

Test(ws_reader, random_frames_in_random_pieces)
{
    uint64_t state = 88172645463325252U;
    for (unsigned round = 0; round < 200; round++) {
        struct bytes stream = {0};
        struct bytes lines = {0};
        for (unsigned i = 0; i < 20; i++) {
            append_random_message(&stream, &lines, &state);
            append_random_controls(&stream, &lines, &state);
        }
        const char *expected = expect_text(&lines);
        static const size_t most[] = {3, 20, 200, 5000, 65536, 1 << 24};
        for (unsigned i = 0; i < sizeof most / sizeof *most; i++) {
            struct reader_log log;
            reader_log_begin(&log, 50000);
            for (size_t at = 0; at < stream.length;) {
                size_t piece = random_next(&state) % most[i] + 1;
                piece = piece < stream.length - at ? piece : stream.length - at;
                reader_log_feed(&log, stream.data + at, piece);
                at += piece;
            }
            reader_log_end(&log);
            cr_assert_str_eq(log.text, expected, "round %u, pieces of up to %zu", round, most[i]);
            cr_assert_eq(log.code, 0);
            reader_log_free(&log);
        }
        bytes_free(&stream);
        bytes_free(&lines);
    }
}
