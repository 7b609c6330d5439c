/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The uri of a request: what a client writes becomes a path below a node's /ari/ and cannot become
 * anything else, whoever decodes it on the way. request_read() calls it. It does not look at what
 * the path names.
 */
#include "gateway/request_private.h"

#include <string.h>

#include "gateway/quote.h"

/* RFC 3986, 3.3 and 3.4: beside the unreserved ones, these stand for themselves. A percent sign is
 * kept since it was found to begin an escape. */
static const char kept_in_path[] = "/%:@!$&'()*+,;=";
static const char kept_in_query[] = "/%:@!$&'()*+,;=?";

void request_text_put(struct request_text *text, const char *bytes, size_t length)
{
    if (text->bytes != NULL) {
        memcpy(text->bytes + text->length, bytes, length);
    }
    text->length += length;
}

static bool is_unreserved(unsigned char byte)
{
    unsigned char letter = byte | 0x20;
    return (letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

void request_text_encode(struct request_text *text, const char *bytes, size_t length,
                         const char *kept)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t done = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (is_unreserved(byte) || (byte != '\0' && strchr(kept, byte) != NULL)) {
            continue;
        }
        char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        request_text_put(text, bytes + done, i - done);
        request_text_put(text, escape, sizeof escape);
        done = i + 1;
    }
    request_text_put(text, bytes + done, length - done);
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char letter = (char)(digit | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The byte that text.bytes[*at] stands for, escaped or not; *at moves behind it. -1 for a percent
 * sign that begins no escape. */
static int decode_byte(struct span text, size_t *at)
{
    const char *bytes = text.bytes + *at;
    if (bytes[0] != '%') {
        *at += 1;
        return (unsigned char)bytes[0];
    }
    if (text.length - *at < 3 || hex_value(bytes[1]) < 0 || hex_value(bytes[2]) < 0) {
        return -1;
    }
    *at += 3;
    return hex_value(bytes[1]) * 16 + hex_value(bytes[2]);
}

/* What is wrong with the escapes, or NULL. A line end that is escaped is refused as well: a client
 * that means one in a value has query_strings. */
static const char *find_bad_escape(struct span text)
{
    for (size_t at = 0; at < text.length;) {
        int byte = decode_byte(text, &at);
        if (byte < 0) {
            return "has a percent sign that begins no escape: write %25 for it";
        }
        if (byte < 0x20 || byte == 0x7f) {
            return "has a control byte as an escape: only values in query_strings may have one";
        }
    }
    return NULL;
}

static const char dot_segment[] = "has a segment . or ..: write the path without";

/* What is wrong with the segments, or NULL. An escaped slash ends no segment for Asterisk, which
 * splits before it decodes; but a name such as ..%2F.. would end up as the name of a file. */
static const char *find_bad_segment(struct span path)
{
    size_t segment_bytes = 0; /* since the last slash */
    size_t part_bytes = 0;    /* since the last slash, escaped ones too */
    size_t part_dots = 0;
    for (size_t at = 0; at < path.length;) {
        bool is_escape = path.bytes[at] == '%';
        int byte = decode_byte(path, &at);
        segment_bytes++;
        if (byte != '/') {
            part_bytes++;
            part_dots += byte == '.';
            continue;
        }
        if (part_bytes == part_dots && (part_dots == 1 || part_dots == 2)) {
            return dot_segment;
        }
        part_bytes = 0;
        part_dots = 0;
        if (!is_escape) {
            if (segment_bytes == 1) {
                return "has two slashes in a row: a segment must not be empty";
            }
            segment_bytes = 0;
        }
    }
    if (part_bytes == part_dots && (part_dots == 1 || part_dots == 2)) {
        return dot_segment;
    }
    return segment_bytes == 0 ? "ends with a slash: leave it out" : NULL;
}

/* A scheme (RFC 3986, 3.1) and "://", or only the latter's slashes. */
static bool is_absolute(const char *text)
{
    size_t length =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.");
    return strncmp(text + length, "://", 3) == 0 || strncmp(text, "//", 2) == 0;
}

/* What is wrong with the text as a whole, or NULL. */
static const char *find_bad_text(const char *text, size_t length)
{
    if (quote_has_control(text, length)) {
        return "has a control byte: no uri may have one";
    }
    if (strchr(text, '\\') != NULL) {
        return "has a backslash: write / between segments, and %5C where one is meant";
    }
    if (strchr(text, '#') != NULL) {
        return "has a fragment: leave it out, and write %23 where a # is meant";
    }
    if (is_absolute(text)) {
        return "is a whole URL: write the path relative to /ari/ only, such as channels";
    }
    if (text[0] == '/') {
        return "begins with a slash: write it relative to /ari/, such as channels";
    }
    if (strncmp(text, "ari/", 4) == 0 || strcmp(text, "ari") == 0) {
        return "begins with ari/: it is relative to /ari/ already, write channels/... and the like";
    }
    return NULL;
}

bool request_uri_read(struct request_reader *reader, const char *text, size_t length,
                      struct request_uri *out)
{
    size_t path_length = strcspn(text, "?");
    size_t query_begin = path_length < length ? path_length + 1 : length;
    struct request_uri uri = {.path = {text, path_length},
                              .query = {text + query_begin, length - query_begin}};
    if (path_length == 0) {
        request_refuse(reader, REPLY_BAD_REQUEST,
                       "uri has no path: write one relative to /ari/, such as channels");
        return false;
    }
    const char *problem = find_bad_text(text, length);
    if (problem == NULL) {
        problem = find_bad_escape((struct span){text, length});
    }
    if (problem == NULL) {
        problem = find_bad_segment(uri.path);
    }
    if (problem != NULL) {
        char quoted[QUOTE_SIZE];
        request_refuse(reader, REPLY_BAD_REQUEST, "uri %s %s", quote_text(text, length, quoted),
                       problem);
        return false;
    }
    *out = uri;
    return true;
}

void request_uri_put_path(struct request_text *text, const struct request_uri *uri)
{
    request_text_encode(text, uri->path.bytes, uri->path.length, kept_in_path);
}

void request_uri_put_query(struct request_text *text, const struct request_uri *uri)
{
    request_text_encode(text, uri->query.bytes, uri->query.length, kept_in_query);
}
