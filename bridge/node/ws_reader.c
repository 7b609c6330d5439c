/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The WebSocket frame reader: ws_raw.c feeds it what it read from the socket, up to 64 KiB at a
 * time, and it calls back for every message and control frame. Asterisk sends each event as one
 * unfragmented frame; such a frame, if it lies whole in what was read, is delivered in place. It
 * never writes and never waits.
 */
#include "node/ws_reader.h"

#include <string.h>

#include "event/scan.h"
#include "ops/metrics.h"

/* RFC 6455, section 5.2. */
enum {
    FIN_BIT = 0x80,
    RESERVED_BITS = 0x70,
    OPCODE_BITS = 0x0f,
    MASK_BIT = 0x80,
    LENGTH_BITS = 0x7f,
    LENGTH_IN_16 = 126,
    LENGTH_IN_64 = 127,
    HEADER_MIN = 2,
};

void ws_reader_init(struct ws_reader *self, const struct ws_reader_handler *handler, void *owner,
                    uint64_t max_message_bytes)
{
    *self = (struct ws_reader){.handler = handler, .owner = owner};
    ws_message_init(&self->message, max_message_bytes);
}

void ws_reader_deinit(struct ws_reader *self)
{
    ws_message_deinit(&self->message);
}

bool ws_reader_is_between_messages(const struct ws_reader *self)
{
    return !self->in_message && !self->in_payload && self->header_length == 0;
}

static size_t header_size(const uint8_t *header)
{
    switch (header[1] & LENGTH_BITS) {
    case LENGTH_IN_16:
        return HEADER_MIN + 2;
    case LENGTH_IN_64:
        return HEADER_MIN + 8;
    default:
        return HEADER_MIN;
    }
}

static uint64_t header_payload_length(const uint8_t *header)
{
    unsigned bytes = (unsigned)header_size(header) - HEADER_MIN;
    if (bytes == 0) {
        return header[1] & LENGTH_BITS;
    }
    uint64_t length = 0;
    for (unsigned i = 0; i < bytes; i++) {
        length = length << 8 | header[HEADER_MIN + i];
    }
    return length;
}

/* Why a frame with this header must not come from a server; NULL where it may. */
static const char *header_error(const struct ws_reader *self, const uint8_t *header,
                                uint64_t length)
{
    unsigned opcode = header[0] & OPCODE_BITS;
    if ((header[0] & RESERVED_BITS) != 0) {
        return "reserved bits are set, but no extension was agreed on";
    }
    if ((header[1] & MASK_BIT) != 0) {
        return "a server's frame is masked";
    }
    if ((header_size(header) == HEADER_MIN + 2 && length < LENGTH_IN_16) ||
        (header_size(header) == HEADER_MIN + 8 && (length <= UINT16_MAX || length >> 63 != 0))) {
        return "a frame's length is not written in its shortest form";
    }
    switch (opcode) {
    case WS_CONTINUATION:
        return self->in_message ? NULL : "a continuation frame without a message to continue";
    case WS_TEXT:
    case WS_BINARY:
        return self->in_message ? "a new message before the last one's final frame" : NULL;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        if ((header[0] & FIN_BIT) == 0) {
            return "a control frame is fragmented";
        }
        return length > WS_CONTROL_BYTES_MAX ? "a control frame is longer than 125 bytes" : NULL;
    default:
        return "an opcode that RFC 6455 does not define";
    }
}

static int end_message(struct ws_reader *self, const char **error)
{
    enum ws_refusal refusal = ws_message_end(&self->message);
    self->in_message = false;
    if (refusal == WS_REFUSED_NOT) {
        self->handler->message(self->owner, self->message.bytes, self->message.length);
        return 0;
    }
    self->handler->refused(self->owner, refusal, self->message.total);
    if (refusal == WS_REFUSED_UTF8) {
        *error = "a text message is not UTF-8";
        return WS_CODE_NOT_UTF8;
    }
    return 0;
}

static bool is_control(enum ws_opcode opcode)
{
    return opcode >= WS_CLOSE;
}

/* RFC 6455, sections 5.5.1 and 7.4: a code that may be sent, and a reason that is UTF-8. Returns 0
 * or the close code with which to fail the connection. */
static int check_close(const uint8_t *payload, size_t length, const char **error)
{
    if (length == 0) {
        return 0;
    }
    unsigned code = length == 1 ? 0 : (unsigned)payload[0] << 8 | payload[1];
    bool is_defined = (code >= 1000 && code <= 1014 && code != 1004 && code != WS_CODE_NO_STATUS &&
                       code != WS_CODE_ABNORMAL) ||
                      (code >= 3000 && code <= 4999);
    if (!is_defined) {
        *error = "a close frame without a valid code";
        return WS_CODE_PROTOCOL_ERROR;
    }
    if (!ws_text_is_utf8((const char *)payload + 2, length - 2)) {
        *error = "the reason in a close frame is not UTF-8";
        return WS_CODE_NOT_UTF8;
    }
    return 0;
}

static int end_frame(struct ws_reader *self, const char **error)
{
    self->in_payload = false;
    if (self->opcode == WS_CLOSE) {
        int code = check_close(self->control, self->control_length, error);
        if (code != 0) {
            return code;
        }
        self->has_closed = true;
    }
    if (is_control(self->opcode)) {
        metrics_add(METRIC_CONTROL_FRAMES, 1);
        self->handler->control(self->owner, self->opcode, self->control, self->control_length);
        return 0;
    }
    return self->is_final ? end_message(self, error) : 0;
}

static int begin_frame(struct ws_reader *self, const uint8_t *header, const char **error)
{
    uint64_t length = header_payload_length(header);
    *error = header_error(self, header, length);
    if (*error != NULL) {
        return WS_CODE_PROTOCOL_ERROR;
    }
    self->opcode = (enum ws_opcode)(header[0] & OPCODE_BITS);
    self->is_final = (header[0] & FIN_BIT) != 0;
    self->left = length;
    self->in_payload = true;
    self->control_length = 0;
    if (self->opcode == WS_CONTINUATION) {
        metrics_add(METRIC_FRAGMENTS, 1);
    } else if (!is_control(self->opcode)) {
        ws_message_begin(&self->message, self->opcode == WS_TEXT);
        self->in_message = true;
    }
    return length == 0 ? end_frame(self, error) : 0;
}

/* Takes header bytes until the header is whole. Returns how many it took. */
static size_t feed_header(struct ws_reader *self, const uint8_t *bytes, size_t length, int *code,
                          const char **error)
{
    size_t taken = 0;
    while (taken < length) {
        self->header[self->header_length++] = bytes[taken++];
        if (self->header_length >= HEADER_MIN && self->header_length == header_size(self->header)) {
            self->header_length = 0;
            *code = begin_frame(self, self->header, error);
            break;
        }
    }
    return taken;
}

static size_t feed_payload(struct ws_reader *self, const uint8_t *bytes, size_t length, int *code,
                           const char **error)
{
    size_t taken = self->left < length ? (size_t)self->left : length;
    if (is_control(self->opcode)) {
        memcpy(self->control + self->control_length, bytes, taken);
        self->control_length += taken;
    } else {
        ws_message_append(&self->message, (const char *)bytes, taken);
    }
    self->left -= taken;
    if (self->left == 0) {
        *code = end_frame(self, error);
    }
    return taken;
}

/* Delivers the message at `bytes` in place, if it is one unfragmented frame that lies there whole,
 * with the padding that the scan needs behind it. Returns the bytes of the frame, else 0. */
static size_t deliver_in_place(struct ws_reader *self, const uint8_t *bytes, size_t length)
{
    if (length < HEADER_MIN || self->in_message ||
        (bytes[0] != (FIN_BIT | WS_TEXT) && bytes[0] != (FIN_BIT | WS_BINARY))) {
        return 0;
    }
    size_t header = header_size(bytes);
    if (length < header) {
        return 0;
    }
    uint64_t payload = header_payload_length(bytes);
    if (payload > length || header + payload + SCAN_PADDING > length ||
        payload > self->message.max_bytes || header_error(self, bytes, payload) != NULL) {
        return 0;
    }
    const char *text = (const char *)bytes + header;
    if (bytes[0] == (FIN_BIT | WS_TEXT) && !ws_text_is_utf8(text, (size_t)payload)) {
        return 0; /* refused on the general path */
    }
    self->handler->message(self->owner, text, (size_t)payload);
    return header + (size_t)payload;
}

int ws_reader_feed(struct ws_reader *self, const uint8_t *bytes, size_t length, const char **error)
{
    int code = 0;
    while (length > 0 && code == 0 && !self->has_closed) {
        size_t taken = 0;
        if (self->in_payload) {
            taken = feed_payload(self, bytes, length, &code, error);
        } else {
            if (self->header_length == 0) {
                taken = deliver_in_place(self, bytes, length);
            }
            if (taken == 0) {
                taken = feed_header(self, bytes, length, &code, error);
            }
        }
        bytes += taken;
        length -= taken;
    }
    return code;
}
