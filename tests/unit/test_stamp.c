/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>

#include "arizmq/error.h"
#include "arizmq/stamp.h"

Test(stamp, has_the_layout_of_the_wire)
{
    struct arizmq_stamp stamp = {
        .epoch = 0x0102030405060708, .seq = 1, .received_ns = 2, .counts = 2, .count = {3, 0xff}};
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    cr_assert_eq(arizmq_stamp_encode(&stamp, bytes), 40);
    static const uint8_t expected[40] = {1, 2, 3,        4,        5,        6,
                                         7, 8, [15] = 1, [23] = 2, [31] = 3, [39] = 0xff};
    cr_assert_arr_eq(bytes, expected, sizeof expected);
}

Test(stamp, comes_back_as_it_went)
{
    struct arizmq_stamp stamp = {.epoch = UINT64_MAX,
                                 .seq = 42,
                                 .received_ns = 1795444501160000000,
                                 .counts = ARIZMQ_STAMP_COUNTS_MAX};
    for (unsigned i = 0; i < stamp.counts; i++) {
        stamp.count[i] = (uint64_t)i << 40;
    }
    uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX];
    size_t length = arizmq_stamp_encode(&stamp, bytes);
    cr_assert_eq(length, ARIZMQ_STAMP_BYTES_MAX);
    struct arizmq_stamp back;
    cr_assert_eq(arizmq_stamp_decode(bytes, length, &back), ARIZMQ_OK);
    cr_assert_eq(back.epoch, stamp.epoch);
    cr_assert_eq(back.seq, stamp.seq);
    cr_assert_eq(back.received_ns, stamp.received_ns);
    cr_assert_eq(back.counts, stamp.counts);
    cr_assert_arr_eq(back.count, stamp.count, sizeof stamp.count);
}

Test(stamp, refuses_lengths_that_no_stamp_has)
{
    static const uint8_t bytes[ARIZMQ_STAMP_BYTES_MAX + 8];
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct arizmq_stamp out;
        int fits = length % 8 == 0 && length >= 32 && length <= ARIZMQ_STAMP_BYTES_MAX;
        cr_assert_eq(arizmq_stamp_decode(bytes, length, &out), fits ? ARIZMQ_OK : ARIZMQ_EINVALID,
                     "length %zu", length);
    }
}
