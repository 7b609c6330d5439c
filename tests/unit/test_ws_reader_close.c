/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Which close frames a server may send (RFC 6455, sections 5.5.1 and 7.4).
 */
#include <criterion/criterion.h>

#include "frames.h"
#include "node/ws_reader.h"

static unsigned closes_seen;

static void on_message(void *owner, const char *text, size_t length)
{
    (void)owner;
    cr_assert_fail("a message of %zu bytes: %s", length, text);
}

static void on_refused(void *owner, enum ws_refusal why, uint64_t length)
{
    (void)owner;
    cr_assert_fail("refusal %d of %llu bytes", (int)why, (unsigned long long)length);
}

static void on_control(void *owner, enum ws_opcode opcode, const uint8_t *payload, size_t length)
{
    (void)owner;
    (void)payload;
    (void)length;
    cr_assert_eq(opcode, WS_CLOSE);
    closes_seen++;
}

/* What reading one close frame with this payload gives: 0, or the code to fail with. */
static int read_close(const void *payload, size_t length)
{
    static const struct ws_reader_handler handler = {on_message, on_refused, on_control};
    struct ws_reader reader;
    struct bytes stream = {0};
    const char *error = NULL;
    closes_seen = 0;
    ws_reader_init(&reader, &handler, NULL, 1000);
    frame_append(&stream, FRAME_FINAL | WS_CLOSE, payload, length);
    int code = ws_reader_feed(&reader, stream.data, stream.length, &error);
    cr_expect_eq(closes_seen, code == 0 ? 1U : 0U);
    cr_expect_eq(error != NULL, code != 0);
    ws_reader_deinit(&reader);
    bytes_free(&stream);
    return code;
}

Test(ws_reader_close, codes)
{
    for (unsigned code = 0; code <= UINT16_MAX; code++) {
        uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        bool is_defined = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                          (code >= 3000 && code <= 4999);
        cr_expect_eq(read_close(payload, sizeof payload), is_defined ? 0 : WS_CODE_PROTOCOL_ERROR,
                     "code %u", code);
    }
}

Test(ws_reader_close, payloads)
{
    cr_expect_eq(read_close("", 0), 0);
    cr_expect_eq(read_close("\x03", 1), WS_CODE_PROTOCOL_ERROR);
    cr_expect_eq(read_close("\x03\xe8gr\xc3\xbc\xc3\x9f", 8), 0);
    cr_expect_eq(read_close("\x03\xe8gr\xfc\xdf", 6), WS_CODE_NOT_UTF8);
}
