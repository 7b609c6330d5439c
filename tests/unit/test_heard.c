/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What Asterisk answers to GET applications/{name}, and what it never should.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/heard.h"

#define ALL_CHANNELS  "\"channel_ids\":[\"__AST_CHANNEL_ALL_TOPIC\"]"
#define ALL_BRIDGES   "\"bridge_ids\":[\"__AST_BRIDGE_ALL_TOPIC\"]"
#define ALL_ENDPOINTS "\"endpoint_ids\":[\"__AST_ENDPOINT_ALL_TOPIC\"]"
#define ALL_DEVICES   "\"device_names\":[\"__AST_DEVICE_STATE_ALL_TOPIC\"]"
#define NO_EVENTS     "\"events_allowed\":[],\"events_disallowed\":[]"

static bool hears(const struct heard *heard, enum object_kind kind, const char *id)
{
    struct event_object object = {.kind = object_kind_names[kind], .parts = 1};
    object.part[0] = (struct span){id, strlen(id)};
    object.value = object.part[0]; /* of playbacks and recordings */
    const char *slash = kind == OBJECT_ENDPOINT ? strchr(id, '/') : NULL;
    if (slash != NULL) {
        object.parts = 2;
        object.part[0].length = (size_t)(slash - id);
        object.part[1] = (struct span){slash + 1, strlen(slash + 1)};
    }
    return heard_object(heard, &object);
}

static struct heard read_text(const char *text)
{
    struct heard heard;
    cr_assert_eq(heard_read(text, strlen(text), &heard), ARIZMQ_OK, "%s", text);
    return heard;
}

Test(heard, everything)
{
    static const char *const texts[] = {
        "{\"name\":\"ivr\"," ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES
        "," NO_EVENTS "}",
        /* without the lists of events, in another order */
        "{" ALL_DEVICES "," ALL_ENDPOINTS "," ALL_BRIDGES "," ALL_CHANNELS ",\"name\":\"ivr\"}",
        /* and some by name, too */
        "{\"channel_ids\":[\"1.1\",\"__AST_CHANNEL_ALL_TOPIC\",\"1.2\"]," ALL_BRIDGES
        "," ALL_ENDPOINTS "," ALL_DEVICES "}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct heard heard = read_text(texts[i]);
        cr_expect(heard_everything(&heard), "%s", texts[i]);
        cr_expect(hears(&heard, OBJECT_CHANNEL, "1795444501.7"));
        cr_expect(hears(&heard, OBJECT_BRIDGE, ""));
        cr_expect(hears(&heard, OBJECT_ENDPOINT, "PJSIP/alice"));
        cr_expect(hears(&heard, OBJECT_DEVICE, "Stasis:door"));
        cr_expect(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":\"channel:x\"}"));
        heard_release(&heard);
    }
}

Test(heard, one_kind_less_is_not_everything)
{
    static const char *const texts[] = {
        "{\"channel_ids\":[]," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES "}",
        "{" ALL_CHANNELS ",\"bridge_ids\":[\"b\"]," ALL_ENDPOINTS "," ALL_DEVICES "}",
        "{" ALL_CHANNELS "," ALL_BRIDGES ",\"endpoint_ids\":[\"PJSIP\"]," ALL_DEVICES "}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":[]}",
        /* names that only resemble those of the topics */
        "{\"channel_ids\":[\"__AST_CHANNEL_ALL_TOPIC2\"]," ALL_BRIDGES "," ALL_ENDPOINTS
        "," ALL_DEVICES "}",
        "{\"channel_ids\":[\"CHANNEL_ALL_TOPIC\"]," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES
        "}",
        "{\"channel_ids\":[\"_ALL_TOPIC\"]," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES "}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct heard heard = read_text(texts[i]);
        cr_expect_not(heard_everything(&heard), "%s", texts[i]);
        heard_release(&heard);
    }
}

Test(heard, some)
{
    struct heard heard = read_text("{\"name\":\"ivr\",\"channel_ids\":[\"1.1\",\"1.1\","
                                   "\"J\\u00fc\\\"\"],\"bridge_ids\":[\"b\"],"
                                   "\"endpoint_ids\":[\"PJSIP/alice\",\"PJSIP/"
                                   "alice\"],\"device_names\":[\"Stasis:door\"]," NO_EVENTS "}");
    cr_expect(hears(&heard, OBJECT_CHANNEL, "1.1"));
    cr_expect(hears(&heard, OBJECT_CHANNEL, "J\xc3\xbc\""));
    cr_expect_not(hears(&heard, OBJECT_CHANNEL, "1.10"));
    cr_expect_not(hears(&heard, OBJECT_CHANNEL, "1."));
    cr_expect_not(hears(&heard, OBJECT_CHANNEL, "b"));
    cr_expect(hears(&heard, OBJECT_BRIDGE, "b"));
    cr_expect(hears(&heard, OBJECT_ENDPOINT, "PJSIP/alice"));
    cr_expect_not(hears(&heard, OBJECT_ENDPOINT, "PJSIP/bob"));
    cr_expect(hears(&heard, OBJECT_DEVICE, "Stasis:door"));
    cr_expect_not(hears(&heard, OBJECT_DEVICE, "Stasis:"));
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":\"channel:1.1\"}"));
    cr_expect(hears(&heard, OBJECT_RECORDING, "{\"target_uri\":\"bridge:b\"}"));
    cr_expect_not(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":\"channel:b\"}"));
    cr_expect_not(hears(&heard, OBJECT_RECORDING, "{\"target_uri\":\"bridge:1.1\"}"));
    /* Better one too many. */
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":\"channel\"}"));
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":\"endpoint:x\"}"));
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "{\"target_uri\":7}"));
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "{}"));
    cr_expect(hears(&heard, OBJECT_PLAYBACK, "no JSON"));
    cr_expect(hears(&heard, OBJECT_RECORDING, ""));
    struct event_object own = {.kind = "arizmq", .parts = 1, .part = {{"1.1", 3}}};
    cr_expect_not(heard_object(&heard, &own));
    heard_release(&heard);
    heard_release(&heard); /* an empty one is fine */
    cr_expect_not(heard_everything(&heard));
}

Test(heard, what_is_no_application_is_refused_whole)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "null",
        "\"ivr\"",
        "{\"message\":\"Application not found\"}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS "}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES,
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS "," ALL_DEVICES "}x",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":{}}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":null}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":\"x\"}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":[\"x\",1]}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":[[\"x\"]]}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":[\"\\u0000\"]}",
        "{" ALL_CHANNELS "," ALL_BRIDGES "," ALL_ENDPOINTS ",\"device_names\":[\"\xff\"]}",
    };
    struct heard before;
    memset(&before, 0x5a, sizeof before);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct heard heard = before;
        cr_expect_eq(heard_read(texts[i], strlen(texts[i]), &heard), ARIZMQ_EINVALID, "%s",
                     texts[i]);
        cr_expect_eq(memcmp(&heard, &before, sizeof heard), 0, "%s: something was written",
                     texts[i]);
    }
}

Test(heard, an_id_longer_than_any_is_heard_of_by_whoever_hears_all)
{
    char id[4096];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    memcpy(id, "PJSIP/", 6);
    struct heard some = read_text("{\"channel_ids\":[],\"bridge_ids\":[],\"endpoint_ids\":[],"
                                  "\"device_names\":[]}");
    struct heard all =
        read_text("{\"channel_ids\":[],\"bridge_ids\":[]," ALL_ENDPOINTS ",\"device_names\":[]}");
    cr_expect_not(hears(&some, OBJECT_ENDPOINT, id));
    cr_expect(hears(&all, OBJECT_ENDPOINT, id));
    heard_release(&some);
    heard_release(&all);
}

Test(heard, very_many)
{
    enum { IDS = 100000 };
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    cr_assert_not_null(out);
    fputs("{\"channel_ids\":[", out);
    for (unsigned i = 0; i < IDS; i++) {
        fprintf(out, "%s\"1795444501.%u\"", i > 0 ? "," : "", i);
    }
    fputs("],\"bridge_ids\":[],\"endpoint_ids\":[],\"device_names\":[]}", out);
    fclose(out);
    struct heard heard = read_text(text);
    free(text); /* what was read has its own */
    cr_expect(hears(&heard, OBJECT_CHANNEL, "1795444501.0"));
    cr_expect(hears(&heard, OBJECT_CHANNEL, "1795444501.99999"));
    cr_expect_not(hears(&heard, OBJECT_CHANNEL, "1795444501.100000"));
    heard_release(&heard);
}
