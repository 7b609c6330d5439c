/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Sixty-four bytes of text as bit masks: bit i is set where byte i is of that class. One version
 * for AVX2, which most of today's x86-64 have, one for SSE2, which all have, one for any machine.
 */
#ifndef ARIZMQ_EVENT_SCAN_BLOCK_H
#define ARIZMQ_EVENT_SCAN_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <immintrin.h>
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

/* Bit i becomes the parity of bits 0 to i: ones from each opening quote up to its closing one. */
static inline uint64_t block_parity_portable(uint64_t bits)
{
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^= bits << 32;
    return bits;
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

/* What a function that uses the following must be compiled for, and the machine must have. */
#define BLOCK_AVX2 __attribute__((target("avx2,bmi,bmi2,pclmul")))

static inline BLOCK_AVX2 uint64_t block_bits_avx2(__m256i low, __m256i high)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

static inline BLOCK_AVX2 uint64_t block_equal_avx2(__m256i low, __m256i high, char byte)
{
    const __m256i bytes = _mm256_set1_epi8(byte);
    return block_bits_avx2(_mm256_cmpeq_epi8(low, bytes), _mm256_cmpeq_epi8(high, bytes));
}

static inline BLOCK_AVX2 void block_classify_avx2(const char *text, struct block *out)
{
    const __m256i lower = _mm256_set1_epi8(0x20); /* as above */
    const __m256i colon = _mm256_set1_epi8(':');
    const __m256i comma = _mm256_set1_epi8(',');
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)text);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32));
    __m256i low_lowered = _mm256_or_si256(low, lower);
    __m256i high_lowered = _mm256_or_si256(high, lower);
    out->quote = block_equal_avx2(low, high, '"');
    out->backslash = block_equal_avx2(low, high, '\\');
    out->open = block_equal_avx2(low_lowered, high_lowered, '{');
    out->close = block_equal_avx2(low_lowered, high_lowered, '}');
    out->separator = block_bits_avx2(
        _mm256_or_si256(_mm256_cmpeq_epi8(low, colon), _mm256_cmpeq_epi8(low, comma)),
        _mm256_or_si256(_mm256_cmpeq_epi8(high, colon), _mm256_cmpeq_epi8(high, comma)));
}

static inline BLOCK_AVX2 uint64_t block_parity_avx2(uint64_t bits)
{
    const __m128i ones = _mm_set1_epi8((char)0xff);
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), ones, 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}
#else
static inline void block_classify(const char *text, struct block *out)
{
    block_classify_portable(text, out);
}
#endif

#endif
