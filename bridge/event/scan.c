/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One pass over an event's JSON that finds the members of its outermost object. event.c calls it
 * for every event, and again for each nested object that the object table points into. The text is
 * classified 64 bytes at a time; blocks that lie inside a nested value cost no more than that.
 * It never recurses and never builds a tree, and allocates only to read a key with escapes.
 */
#include "event/scan.h"

#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "event/scan_block.h"

/* The one member that is looked for. */
struct wanted {
    const char *key;
    size_t key_length;
    struct span *value;
};

/* What the outermost object's grammar allows next. */
enum expect {
    EXPECT_OPEN,  /* the first { */
    EXPECT_COLON, /* a key, then : */
    EXPECT_COMMA, /* a value, then , or the last } */
};

struct walk {
    const char *text;
    struct scan *out;
    const struct wanted *wanted; /* NULL: all members are */
    bool is_found;               /* the wanted one */
    enum expect expect;
    unsigned depth;
    size_t begin; /* where the key or value in progress may begin */
    struct span key;
    size_t quotes[2]; /* where the last unescaped quotes of earlier blocks stand, latest first */
};

static inline bool is_space(char c)
{
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline struct span trimmed(const char *text, size_t begin, size_t end)
{
    while (begin < end && is_space(text[begin])) {
        begin++;
    }
    while (end > begin && is_space(text[end - 1])) {
        end--;
    }
    return (struct span){text + begin, end - begin};
}

/* Whether `span`, which ends outside strings, is one string and nothing else: then its first and
 * its last byte are the last two unescaped quotes up to there. */
static inline bool is_one_string(const char *text, struct span span, const size_t quotes[2])
{
    return span.length >= 2 && span.bytes == text + quotes[1] &&
           span.bytes + span.length - 1 == text + quotes[0];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at)) {
        at++;
    }
    return at;
}

/* RFC 8259, section 6. */
static bool is_number(struct span span)
{
    const char *at = span.bytes;
    const char *end = at + span.length;
    if (at < end && *at == '-') {
        at++;
    }
    if (at == end || !is_digit(*at)) {
        return false;
    }
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (at < end && *at == '.') {
        const char *fraction = at + 1;
        at = skip_digits(fraction, end);
        if (at == fraction) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) {
            at++;
        }
        const char *exponent = at;
        at = skip_digits(exponent, end);
        if (at == exponent) {
            return false;
        }
    }
    return at == end;
}

static bool span_is(struct span span, const char *word, size_t length)
{
    return span.length == length && memcmp(span.bytes, word, length) == 0;
}

static inline bool is_value(const char *text, struct span span, const size_t quotes[2])
{
    if (span.length == 0) {
        return false;
    }
    char last = span.bytes[span.length - 1];
    switch (span.bytes[0]) {
    case '"':
        return is_one_string(text, span, quotes);
    case '{':
        return last == '}';
    case '[':
        return last == ']';
    case 't':
        return span_is(span, "true", 4);
    case 'f':
        return span_is(span, "false", 5);
    case 'n':
        return span_is(span, "null", 4);
    default:
        return is_number(span);
    }
}

/* A key with escapes, such as "ty\u0070e": compared as what it means. */
static bool escaped_key_is(struct span key, const char *name, size_t name_length)
{
    /* The longest way to write a character of a name is \uXXXX. */
    if (key.length > name_length * 6 || memchr(key.bytes, '\\', key.length) == NULL) {
        return false;
    }
    json_t *text =
        json_loadb(key.bytes - 1, key.length + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = text != NULL && json_string_length(text) == name_length &&
                memcmp(json_string_value(text), name, name_length) == 0;
    json_decref(text);
    return same;
}

static bool key_is(struct span key, const char *name, size_t name_length)
{
    return span_is(key, name, name_length) || escaped_key_is(key, name, name_length);
}

enum kept { KEPT_IF_ROOM, KEPT_TYPE, KEPT_APPLICATION };

/* type and application name the topic, so they are remembered even in an object with more members
 * than there is room for. */
static enum kept kept_of(struct span key)
{
    return key_is(key, "type", 4)           ? KEPT_TYPE
           : key_is(key, "application", 11) ? KEPT_APPLICATION
                                            : KEPT_IF_ROOM;
}

/* Makes the last place free for `kept`, which must not push the other one out: what gives way is
 * the last member that is no more than an earlier `kept`, or neither. */
static struct scan_member *make_room(struct scan *out, enum kept kept)
{
    unsigned leaves = SCAN_MEMBERS_MAX - 1;
    while (leaves > 0) {
        enum kept other = kept_of(out->members[leaves].key);
        if (other == KEPT_IF_ROOM || other == kept) {
            break;
        }
        leaves--;
    }
    memmove(&out->members[leaves], &out->members[leaves + 1],
            (SCAN_MEMBERS_MAX - 1 - leaves) * sizeof out->members[0]);
    return &out->members[SCAN_MEMBERS_MAX - 1];
}

static inline void remember(struct scan *out, struct span key, struct span value)
{
    struct scan_member *slot = NULL;
    if (out->count < SCAN_MEMBERS_MAX) {
        slot = &out->members[out->count++];
    } else {
        out->dropped++;
        enum kept kept = kept_of(key);
        if (kept == KEPT_IF_ROOM) {
            return;
        }
        slot = make_room(out, kept);
    }
    slot->key = key;
    slot->value = value;
}

static inline bool end_key(struct walk *walk, size_t at, const size_t quotes[2])
{
    struct span key = trimmed(walk->text, walk->begin, at);
    if (walk->expect != EXPECT_COLON || !is_one_string(walk->text, key, quotes)) {
        return false;
    }
    walk->key = (struct span){key.bytes + 1, key.length - 2};
    walk->expect = EXPECT_COMMA;
    walk->begin = at + 1;
    return true;
}

static inline bool end_value(struct walk *walk, size_t at, const size_t quotes[2])
{
    struct span value = trimmed(walk->text, walk->begin, at);
    if (walk->expect != EXPECT_COMMA || !is_value(walk->text, value, quotes)) {
        return false;
    }
    if (walk->wanted == NULL) {
        remember(walk->out, walk->key, value);
    } else if (key_is(walk->key, walk->wanted->key, walk->wanted->key_length)) {
        *walk->wanted->value = value;
        walk->is_found = true;
    }
    walk->expect = EXPECT_COLON;
    walk->begin = at + 1;
    return true;
}

/* The last } of the outermost object, at `at`. */
static bool end_object(struct walk *walk, size_t at, const size_t quotes[2])
{
    if (walk->text[at] != '}') {
        return false;
    }
    if (walk->expect == EXPECT_COLON) { /* right only in {} */
        return walk->key.bytes == NULL && trimmed(walk->text, walk->begin, at).length == 0;
    }
    return end_value(walk, at, quotes);
}

static bool begin_object(struct walk *walk, size_t at)
{
    if (walk->text[at] != '{' || trimmed(walk->text, 0, at).length != 0) {
        return false;
    }
    walk->expect = EXPECT_COLON;
    walk->begin = at + 1;
    return true;
}

/* A nested value begins right behind its colon, and not behind another value. */
static bool may_begin_nested(const struct walk *walk, size_t at)
{
    return walk->expect == EXPECT_COMMA && trimmed(walk->text, walk->begin, at).length == 0;
}

/* Bits whose byte is escaped by a backslash before it. *carry says whether the first byte of the
 * next block is. Rare, hence not inline in the loop: Asterisk escapes little. */
static uint64_t escaped_bits(uint64_t backslash, uint64_t *carry)
{
    uint64_t escaped = 0;
    bool escapes_next = *carry != 0;
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        uint64_t bit = (uint64_t)1 << i;
        if (escapes_next) {
            escaped |= bit;
            escapes_next = false;
        } else if ((backslash & bit) != 0) {
            escapes_next = true;
        }
    }
    *carry = escapes_next;
    return escaped;
}

static inline size_t highest_bit(uint64_t bits)
{
    return 63 - (size_t)__builtin_clzll(bits);
}

/* Takes the quotes `bits` of the block at `offset` in: quotes[0] is the last one, quotes[1] the one
 * before it. */
static inline void take_quotes(size_t quotes[2], size_t offset, uint64_t bits)
{
    if (bits == 0) {
        return;
    }
    size_t last = highest_bit(bits);
    bits ^= (uint64_t)1 << last;
    quotes[1] = bits != 0 ? offset + highest_bit(bits) : quotes[0];
    quotes[0] = offset + last;
}

enum step { STEP_ON, STEP_FOUND, STEP_END, STEP_INVALID };

/* Goes through the brackets of one block and, at the outermost level, its separators. All masks
 * are outside strings. *end is set where the object ends. */
static inline __attribute__((always_inline)) enum step
walk_block(struct walk *walk, size_t offset, const struct block *block, size_t *end)
{
    uint64_t brackets = block->open | block->close;
    uint64_t pending = walk->depth == 1 ? brackets | block->separator : brackets;
    while (pending != 0) {
        uint64_t bit = pending & -pending;
        uint64_t above = ~(bit | (bit - 1));
        size_t at = offset + (size_t)__builtin_ctzll(pending);
        size_t quotes[2] = {walk->quotes[0], walk->quotes[1]};
        bool valid = true;
        if (walk->depth == 1) {
            take_quotes(quotes, offset, block->quote & (bit - 1));
        }
        if ((bit & block->open) != 0) {
            if (walk->depth == 0) {
                valid = walk->expect == EXPECT_OPEN && begin_object(walk, at);
            } else if (walk->depth == 1) {
                valid = may_begin_nested(walk, at);
            }
            walk->depth++;
        } else if ((bit & block->close) != 0) {
            if (walk->depth <= 1) {
                *end = at + 1;
                return walk->depth != 1 || !end_object(walk, at, quotes) ? STEP_INVALID
                       : walk->wanted != NULL && walk->is_found          ? STEP_FOUND
                                                                         : STEP_END;
            }
            walk->depth--;
        } else {
            valid = walk->text[at] == ':' ? end_key(walk, at, quotes) : end_value(walk, at, quotes);
        }
        if (!valid) {
            return STEP_INVALID;
        }
        if (walk->wanted != NULL && walk->is_found) {
            return STEP_FOUND;
        }
        pending = (walk->depth == 1 ? brackets | block->separator : brackets) & above;
    }
    take_quotes(walk->quotes, offset, block->quote);
    return STEP_ON;
}

/* The scan with either way to classify a block, for all members into `out`, or for one; inlined
 * into each. */
static inline __attribute__((always_inline)) int
scan_with(const char *text, size_t length, struct scan *out, const struct wanted *wanted,
          void (*classify)(const char *text, struct block *out), uint64_t (*parity)(uint64_t bits))
{
    struct walk walk = {.text = text, .out = out, .wanted = wanted, .expect = EXPECT_OPEN};
    uint64_t inside = 0; /* all ones while a string goes on from block to block */
    uint64_t carry = 0;
    if (wanted == NULL) {
        out->count = 0;
        out->dropped = 0;
        out->has_escapes = false;
    }
    for (size_t offset = 0; offset < length; offset += BLOCK_BYTES) {
        struct block block;
        classify(text + offset, &block);
        size_t left = length - offset;
        uint64_t valid = left >= BLOCK_BYTES ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1;
        block.quote &= valid;
        if (((block.backslash & valid) | carry) != 0) {
            block.quote &= ~escaped_bits(block.backslash & valid, &carry);
            if (wanted == NULL) {
                out->has_escapes = true;
            }
        }
        uint64_t in_string = parity(block.quote) ^ inside;
        inside = (uint64_t)((int64_t)in_string >> 63);
        uint64_t outside = ~in_string & valid;
        block.open &= outside;
        block.close &= outside;
        block.separator &= outside;
        size_t end = 0;
        enum step step = walk_block(&walk, offset, &block, &end);
        if (step == STEP_INVALID) {
            return ARIZMQ_EINVALID;
        }
        if (step == STEP_FOUND) {
            return ARIZMQ_OK;
        }
        if (step == STEP_END) {
            bool is_whole = wanted == NULL && trimmed(text, end, length).length == 0;
            return is_whole ? ARIZMQ_OK : ARIZMQ_EINVALID;
        }
    }
    return ARIZMQ_EINVALID; /* it never ended */
}

int scan_object_portable(const char *text, size_t length, struct scan *out)
{
    return scan_with(text, length, out, NULL, block_classify_portable, block_parity_portable);
}

static int scan_object_plain(const char *text, size_t length, struct scan *out)
{
    return scan_with(text, length, out, NULL, block_classify, block_parity_portable);
}

static int scan_member_plain(const char *text, size_t length, const struct wanted *wanted)
{
    return scan_with(text, length, NULL, wanted, block_classify, block_parity_portable);
}

#ifdef BLOCK_AVX2
static BLOCK_AVX2 int scan_object_avx2(const char *text, size_t length, struct scan *out)
{
    return scan_with(text, length, out, NULL, block_classify_avx2, block_parity_avx2);
}

static BLOCK_AVX2 int scan_member_avx2(const char *text, size_t length, const struct wanted *wanted)
{
    return scan_with(text, length, NULL, wanted, block_classify_avx2, block_parity_avx2);
}
#endif

/* What the machine can do best; chosen before main(), so that no thread has to ask. */
static int (*scan_object_best)(const char *, size_t, struct scan *) = scan_object_plain;
static int (*scan_member_best)(const char *, size_t, const struct wanted *) = scan_member_plain;

#ifdef BLOCK_AVX2
__attribute__((constructor)) static void scan_choose(void)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("pclmul")) {
        scan_object_best = scan_object_avx2;
        scan_member_best = scan_member_avx2;
    }
}
#endif

int scan_object(const char *text, size_t length, struct scan *out)
{
    return scan_object_best(text, length, out);
}

int scan_object_baseline(const char *text, size_t length, struct scan *out)
{
    return scan_object_plain(text, length, out);
}

int scan_member(const char *text, size_t length, const char *key, size_t key_length,
                struct span *out)
{
    return scan_member_best(text, length, &(struct wanted){key, key_length, out});
}

const struct span *scan_find(const struct scan *scan, const char *key, size_t key_length)
{
    for (unsigned i = scan->count; i-- > 0;) {
        const struct scan_member *member = &scan->members[i];
        if (span_is(member->key, key, key_length) ||
            (scan->has_escapes && escaped_key_is(member->key, key, key_length))) {
            return &member->value;
        }
    }
    return NULL;
}
