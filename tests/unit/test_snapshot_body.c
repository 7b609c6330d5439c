/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Bodies of snapshots: every kind with its id, values byte for byte, and what is no snapshot.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "arizmq/error.h"
#include "client/snapshot_body.h"

#define BEGINNING "{\"epoch\":1795444501000000,\"seq\":42,\"links\":[]"

static int create(const char *text, struct snapshot_body **out)
{
    return snapshot_body_create(text, strlen(text), out);
}

Test(snapshot_body, every_kind_has_its_id)
{
    static const struct {
        const char *text;
        const char *kind;
        const char *id;
        const char *value;
    } objects[] = {
        {"\"channels\" : [ "
         "{\"node\":\"n\",\"app\":\"a\",\"value\":{\"x\":\"}]\\\"\",\"id\":\"1.1\"}} , ",
         "channel", "1.1", "{\"x\":\"}]\\\"\",\"id\":\"1.1\"}"},
        {"{\"value\":{\"id\":\"\\u00e9\"},\"app\":\"a\",\"node\":\"n\",\"more\":[1]}]", "channel",
         "\xc3\xa9", "{\"id\":\"\\u00e9\"}"},
        {",\"deviceStates\":[{\"node\":\"n\",\"app\":\"a\",\"value\":{\"name\":\"PJSIP/"
         "a\",\"n\":1.50}}]",
         "device", "PJSIP/a", "{\"name\":\"PJSIP/a\",\"n\":1.50}"},
        {",\"endpoints\":[{\"node\":\"n\",\"app\":\"a\",\"value\":{\"technology\":\"PJSIP\","
         "\"resource\":\"b\"}}]",
         "endpoint", "PJSIP/b", "{\"technology\":\"PJSIP\",\"resource\":\"b\"}"},
        {",\"recordings\":[{\"node\":\"n\",\"app\":\"a\",\"value\":{\"name\":\"r\"}}]", "recording",
         "r", "{\"name\":\"r\"}"},
        {",\"playbacks\":[{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":\"p\"}}]", "playback",
         "p", "{\"id\":\"p\"}"},
        {",\"bridges\":[{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":\"b\"}}],\"unknown\":[7]",
         "bridge", "b", "{\"id\":\"b\"}"},
    };
    /* The order of the lists is the reader's. */
    static const unsigned order[] = {0, 1, 6, 5, 4, 3, 2};
    char text[2048] = BEGINNING ",";
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        strcat(text, objects[i].text);
    }
    strcat(text, "}");
    struct snapshot_body *body = NULL;
    cr_assert_eq(create(text, &body), ARIZMQ_OK);
    cr_assert_eq(snapshot_body_epoch(body), 1795444501000000);
    cr_assert_eq(snapshot_body_seq(body), 42);
    struct arizmq_object object;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        cr_assert_eq(snapshot_body_next(body, &object), ARIZMQ_OK, "%zu", i);
        cr_assert_str_eq(object.kind, objects[order[i]].kind);
        cr_assert_str_eq(object.id, objects[order[i]].id);
        cr_assert_str_eq(object.node, "n");
        cr_assert_str_eq(object.app, "a");
        cr_assert_eq(object.value_length, strlen(objects[order[i]].value));
        cr_assert_arr_eq(object.value, objects[order[i]].value, object.value_length);
    }
    cr_assert_eq(snapshot_body_next(body, &object), ARIZMQ_ENOTFOUND);
    cr_assert_eq(snapshot_body_next(body, &object), ARIZMQ_ENOTFOUND);
    snapshot_body_destroy(&body);
}

Test(snapshot_body, empty_lists)
{
    struct snapshot_body *body = NULL;
    struct arizmq_object object;
    cr_assert_eq(create(BEGINNING ",\"channels\":[ ],\"bridges\":[]}", &body), ARIZMQ_OK);
    cr_assert_eq(snapshot_body_next(body, &object), ARIZMQ_ENOTFOUND);
    snapshot_body_destroy(&body);
}

Test(snapshot_body, what_has_ended)
{
    struct snapshot_body *body = NULL;
    cr_assert_eq(create(BEGINNING ",\"ended\":[{\"id\":\"1\"}]}", &body), ARIZMQ_OK);
    struct span ended = snapshot_body_ended(body);
    cr_assert_eq(ended.length, strlen("[{\"id\":\"1\"}]"));
    cr_assert_arr_eq(ended.bytes, "[{\"id\":\"1\"}]", ended.length);
    snapshot_body_destroy(&body);
    cr_assert_eq(create(BEGINNING "}", &body), ARIZMQ_OK);
    cr_assert_eq(snapshot_body_ended(body).length, 0);
    snapshot_body_destroy(&body);
}

Test(snapshot_body, what_is_none_is_refused)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "no",
                                         "{\"seq\":1,\"links\":[]}",
                                         "{\"epoch\":1,\"links\":[]}",
                                         "{\"epoch\":1,\"seq\":1}",
                                         "{\"epoch\":\"1\",\"seq\":1,\"links\":[]}",
                                         "{\"epoch\":-1,\"seq\":1,\"links\":[]}",
                                         "{\"epoch\":1.5,\"seq\":1,\"links\":[]}",
                                         "{\"epoch\":99999999999999999999,\"seq\":1,\"links\":[]}",
                                         "{\"epoch\":1,\"seq\":1,\"links\":{}}",
                                         BEGINNING,
                                         BEGINNING ",\"channels\":{}}",
                                         BEGINNING ",\"ended\":{}}",
                                         BEGINNING ",\"channels\":7}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct snapshot_body *body = NULL;
        cr_assert_eq(create(bodies[i], &body), ARIZMQ_EPROTOCOL, "%s", bodies[i]);
        cr_assert_null(body);
    }
}

Test(snapshot_body, element_that_is_none_is_refused)
{
    static const char *const elements[] = {
        "7",
        "{}",
        "[]",
        "{\"node\":\"n\",\"app\":\"a\"}",
        "{\"node\":\"n\",\"value\":{\"id\":\"1\"}}",
        "{\"app\":\"a\",\"value\":{\"id\":\"1\"}}",
        "{\"node\":7,\"app\":\"a\",\"value\":{\"id\":\"1\"}}",
        "{\"node\":\"n\\u0000\",\"app\":\"a\",\"value\":{\"id\":\"1\"}}",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":{}}",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":[]}",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":7}}",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":\"1\"}}{",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":\"1\"}} 7",
        "{\"node\":\"n\",\"app\":\"a\",\"value\":{\"id\":\"1\"}},",
        "{\"node\":\"n\" \"app\":\"a\",\"value\":{\"id\":\"1\"}}"};
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        char text[512] = BEGINNING ",\"channels\":[";
        struct snapshot_body *body = NULL;
        struct arizmq_object object;
        strcat(strcat(text, elements[i]), "]}");
        int rc = create(text, &body);
        while (rc == ARIZMQ_OK) {
            rc = snapshot_body_next(body, &object);
        }
        cr_assert_eq(rc, ARIZMQ_EPROTOCOL, "%s: %d", elements[i], rc);
        snapshot_body_destroy(&body);
    }
}
