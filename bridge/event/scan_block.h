/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sixty-four bytes of text as bit masks: bit i is set where byte i is of that class. One version
 * for SSE2, which every x86-64 has, one for any machine.
 */
#ifndef ARIZMQ_EVENT_SCAN_BLOCK_H
#define ARIZMQ_EVENT_SCAN_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK_BYTES = 64 };

struct block {
    uint64_t quote;     /* " */
    uint64_t backslash; /* \ */
    uint64_t open;      /* { [ */
    uint64_t close;     /* } ] */
    uint64_t separator; /* : , */
};

static inline void block_classify_portable(const char *text, struct block *out)
{
    struct block block = {0};
    for (unsigned i = 0; i < BLOCK_BYTES; i++) {
        uint64_t bit = (uint64_t)1 << i;
        switch (text[i]) {
        case '"':
            block.quote |= bit;
            break;
        case '\\':
            block.backslash |= bit;
            break;
        case '{':
        case '[':
            block.open |= bit;
            break;
        case '}':
        case ']':
            block.close |= bit;
            break;
        case ':':
        case ',':
            block.separator |= bit;
            break;
        default:
            break;
        }
    }
    *out = block;
}

#ifdef __SSE2__
static inline uint64_t block_bits(__m128i matches, unsigned quarter)
{
    return (uint64_t)(uint16_t)_mm_movemask_epi8(matches) << (quarter * 16);
}

static inline void block_add_quarter(const char *text, unsigned quarter, struct block *out)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i lower = _mm_set1_epi8(0x20); /* makes { of [ and } of ], and of nothing else */
    const __m128i open = _mm_set1_epi8('{');
    const __m128i close = _mm_set1_epi8('}');
    const __m128i colon = _mm_set1_epi8(':');
    const __m128i comma = _mm_set1_epi8(',');
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + (size_t)quarter * 16));
    __m128i lowered = _mm_or_si128(bytes, lower);
    __m128i separator = _mm_or_si128(_mm_cmpeq_epi8(bytes, colon), _mm_cmpeq_epi8(bytes, comma));
    out->quote |= block_bits(_mm_cmpeq_epi8(bytes, quote), quarter);
    out->backslash |= block_bits(_mm_cmpeq_epi8(bytes, backslash), quarter);
    out->open |= block_bits(_mm_cmpeq_epi8(lowered, open), quarter);
    out->close |= block_bits(_mm_cmpeq_epi8(lowered, close), quarter);
    out->separator |= block_bits(separator, quarter);
}

/* Written out, because -O2 does not unroll loops. */
static inline void block_classify(const char *text, struct block *out)
{
    struct block block = {0};
    block_add_quarter(text, 0, &block);
    block_add_quarter(text, 1, &block);
    block_add_quarter(text, 2, &block);
    block_add_quarter(text, 3, &block);
    *out = block;
}
#else
static inline void block_classify(const char *text, struct block *out)
{
    block_classify_portable(text, out);
}
#endif

#endif
