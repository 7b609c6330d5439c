/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The layout that schemas/stamp.schema.json tells the world against the bytes that the encoder
 * writes: a reader built from the file alone must find every value of a stamp.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "arizmq/stamp.h"

static json_t *schema;
static json_t *fields;

static void load_schema(void)
{
    json_error_t error;
    schema = json_load_file(SCHEMAS "/stamp.schema.json", 0, &error);
    cr_assert_not_null(schema, "line %d: %s", error.line, error.text);
    const char *order = NULL;
    cr_assert_eq(json_unpack_ex(schema, &error, 0, "{s:{s:s, s:o}}", "layout", "byte_order", &order,
                                "fields", &fields),
                 0, "%s", error.text);
    cr_assert_str_eq(order, "big");
}

static void free_schema(void)
{
    json_decref(schema);
}

TestSuite(stamp_layout, .init = load_schema, .fini = free_schema);

static json_int_t number_of(const char *field, const char *member)
{
    size_t index;
    json_t *entry;
    json_array_foreach(fields, index, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "name")), field) == 0) {
            json_t *value = json_object_get(entry, member);
            cr_assert(json_is_integer(value), "%s has no %s", field, member);
            return json_integer_value(value);
        }
    }
    cr_assert_fail("no field %s", field);
    return 0;
}

/* The value of a field as the layout says to read it; `index` counts its repetitions. */
static uint64_t read_field(const uint8_t *frame, size_t length, const char *field, size_t index)
{
    size_t bytes = (size_t)number_of(field, "bytes");
    size_t start = (size_t)number_of(field, "offset") + index * bytes;
    cr_assert_leq(start + bytes, length, "%s[%zu] lies outside the frame", field, index);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | frame[start + i];
    }
    return value;
}

Test(stamp_layout, a_reader_built_from_it_finds_every_value)
{
    for (unsigned counts = 1; counts <= ARIZMQ_STAMP_COUNTS_MAX; counts++) {
        struct arizmq_stamp stamp = {.epoch = 0x1122334455667788,
                                     .seq = 0x8899aabbccddeeff,
                                     .received_ns = 0x0123456789abcdef,
                                     .counts = counts};
        for (unsigned i = 0; i < counts; i++) {
            stamp.count[i] = 0xfedcba9876543210 + i;
        }
        uint8_t frame[ARIZMQ_STAMP_BYTES_MAX];
        size_t length = arizmq_stamp_encode(&stamp, frame);
        cr_assert_eq(read_field(frame, length, "epoch", 0), stamp.epoch);
        cr_assert_eq(read_field(frame, length, "seq", 0), stamp.seq);
        cr_assert_eq(read_field(frame, length, "received_ns", 0), stamp.received_ns);
        for (unsigned i = 0; i < counts; i++) {
            cr_assert_eq(read_field(frame, length, "count", i), stamp.count[i], "count[%u]", i);
        }
        /* "to the end of the frame" */
        size_t end = (size_t)(number_of("count", "offset") + counts * number_of("count", "bytes"));
        cr_assert_eq(end, length);
    }
}

/* In order, without holes, each described under `properties` too, and as many counts as there can
 * be. */
Test(stamp_layout, is_complete_and_without_holes)
{
    json_int_t offset = 0;
    size_t index;
    json_t *field;
    json_t *properties = json_object_get(schema, "properties");
    json_array_foreach(fields, index, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        cr_assert_not_null(json_object_get(properties, name), "%s is no property", name);
        cr_assert(json_is_string(json_object_get(field, "unit")), "%s has no unit", name);
        cr_assert_eq(number_of(name, "offset"), offset, "%s", name);
        offset += number_of(name, "bytes");
    }
    cr_assert_eq(json_array_size(fields), json_object_size(properties));
    json_t *count = json_object_get(properties, "count");
    cr_assert_eq(json_integer_value(json_object_get(count, "maxItems")), ARIZMQ_STAMP_COUNTS_MAX);
    cr_assert_eq(number_of("count", "repeat_max"), ARIZMQ_STAMP_COUNTS_MAX);
}
