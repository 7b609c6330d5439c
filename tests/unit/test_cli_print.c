/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/facts.h"
#include "cli/human.h"
#include "cli/print.h"

#define CHANNEL                                                                                    \
    "\"channel\":{\"id\":\"1.1\",\"name\":\"PJSIP/alice-1\",\"state\":\"Up\",\"caller\":{"         \
    "\"name\":\"\",\"number\":\"1001\"},\"connected\":{\"name\":\"\",\"number\":\"\"}}"
#define CHANNEL_FACTS " PJSIP/alice-1 Up caller=1001"

static void use_utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}
TestSuite(cli_print, .init = use_utc);

static char *print(const struct print_style *style, const char *topic, const char *event)
{
    const struct message message = {
        .topic = topic,
        .topic_length = strlen(topic),
        .event = event,
        .event_length = strlen(event),
        .stamp = {.epoch = UINT64_MAX,
                  .seq = 42,
                  .received_ns = 1795444501160999999,
                  .counts = 2,
                  .count = {7, UINT64_MAX}},
    };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    print_message(out, style, &message);
    fclose(out);
    return text;
}

static void expect(struct print_style style, const char *topic, const char *event,
                   const char *expected)
{
    char *text = print(&style, topic, event);
    cr_expect_str_eq(text, expected);
    free(text);
}

static void expect_facts(const char *type, const char *event, const char *expected)
{
    json_t *json = json_loads(event, JSON_DECODE_ANY, NULL);
    cr_assert_not_null(json, "%s", event);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    facts_write(out, type, json);
    fclose(out);
    cr_expect_str_eq(text, expected);
    free(text);
    json_decref(json);
}

#define STAMP_JSON                                                                                 \
    "\"stamp\":{\"epoch\":18446744073709551615,\"seq\":42,\"received_ns\":1795444501160999999,"    \
    "\"count\":[7,18446744073709551615]}"

Test(cli_print, json_holds_the_event_as_it_came)
{
    const struct print_style style = {.form = PRINT_FORM_JSON};
    expect(style, "A/b/", "{\"z\":1.50,\"a\":[ ],\"a\":\"\\/\"}",
           "{\"topic\":\"A/b/\"," STAMP_JSON ",\"event\":{\"z\":1.50,\"a\":[ ],\"a\":\"\\/\"}}\n");
    expect(style, "\"\\/", "\n{\r\n}\n",
           "{\"topic\":\"\\\"\\\\/\"," STAMP_JSON ",\"event\": {  } }\n");
    expect(style, "A/b/", "99999999999999999999",
           "{\"topic\":\"A/b/\"," STAMP_JSON ",\"event\":99999999999999999999}\n");
    expect(style, "A/b/", "nonsense",
           "{\"topic\":\"A/b/\"," STAMP_JSON ",\"event\":\"nonsense\"}\n");
    expect(style, "A/b/", "{} {}", "{\"topic\":\"A/b/\"," STAMP_JSON ",\"event\":\"{} {}\"}\n");
}

Test(cli_print, pretty_has_topic_stamp_and_event)
{
    expect((struct print_style){.form = PRINT_FORM_PRETTY}, "A/b/", "{\"b\":\"\\u001b\xc2\x9b\"}",
           "topic A/b/\nstamp epoch 18446744073709551615 seq 42 received_ns 1795444501160999999 "
           "(14:35:01.160) count 7 18446744073709551615\n"
           "{\n  \"b\": \"\\u001B\\xc2\\x9b\"\n}\n\n");
    expect((struct print_style){.form = PRINT_FORM_PRETTY, .use_color = true}, "A/b/", "\x1b",
           "\033[1mtopic \033[0mA/b/\n\033[1mstamp \033[0mepoch 18446744073709551615 seq 42 "
           "received_ns 1795444501160999999 (14:35:01.160) count 7 18446744073709551615\n"
           "\\x1b\n\n");
}

Test(cli_print, topics_are_topics)
{
    expect((struct print_style){.form = PRINT_FORM_TOPICS}, "A/b\n/", "{}", "A/b\\x0a/\n");
}

Test(cli_print, human_takes_its_columns_from_the_topic)
{
    struct print_style style = {.form = PRINT_FORM_HUMAN};
    expect(style, "StasisEnd/ivr/pbx1/1.1/", "{" CHANNEL "}",
           "14:35:01.160 StasisEnd              pbx1     ivr      1.1" CHANNEL_FACTS "\n");
    style.view = MESSAGE_VIEW_OBJECTS;
    expect(style, "channel/1.1/StasisEnd/pbx1/", "{\"application\":\"ivr\"}",
           "14:35:01.160 StasisEnd              pbx1     ivr      channel/1.1\n");
    expect(style, "device/PJSIP%2Fbob/DeviceStateChanged/pbx1/", "{}",
           "14:35:01.160 DeviceStateChanged     pbx1     -        device/PJSIP%2Fbob\n");
}

Test(cli_print, human_copes_with_other_templates)
{
    const struct print_style style = {.form = PRINT_FORM_HUMAN};
    expect(style, "pbx1/StasisEnd/", "{\"type\":\"StasisEnd\"}",
           "14:35:01.160 StasisEnd              pbx1/StasisEnd/\n");
    expect(style, "", "\"x\"", "14:35:01.160 -                      \n");
    expect(style, "A/b/c/d/", "\x1b[2J",
           "14:35:01.160 A                      c        b        d \\x1b[2J\n");
    expect(style, "A/b/c/d/e/", "[]", "14:35:01.160 -                      A/b/c/d/e/\n");
}

Test(cli_print, human_shows_how_far_a_heartbeat_is)
{
    expect((struct print_style){.form = PRINT_FORM_HUMAN}, "ArizmqHeartbeat/-/-/-/", "{}",
           "14:35:01.160 ArizmqHeartbeat        -        -        - seq=42 count=7\n");
}

Test(cli_print, families_have_colours)
{
    static const struct {
        const char *topic;
        const char *start;
    } cases[] = {{"StasisEnd/-/-/-/", "\033[1;32mStasisEnd "},
                 {"ChannelHold/-/-/-/", "\033[36mChannelHold "},
                 {"ArizmqGap/-/-/-/", "\033[1;31mArizmqGap "},
                 {"ArizmqHeartbeat/-/-/-/", "\033[2mArizmqHeartbeat "},
                 {"Novelty/-/-/-/", "\033[0mNovelty "}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct print_style style = {.form = PRINT_FORM_HUMAN, .use_color = true};
        char *text = print(&style, cases[i].topic, "{}");
        cr_expect_not_null(strstr(text, cases[i].start), "%s", text);
        cr_expect_not_null(strstr(text, "\033[0m"), "%s", text);
        free(text);
    }
}

Test(cli_print, time_without_a_calendar_day)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    human_write_time(out, 0);
    human_write_time(out, UINT64_MAX);
    fclose(out);
    cr_expect_str_eq(text, "00:00:00.00023:34:33.709");
    free(text);
}

Test(cli_print, facts_of_channels)
{
    expect_facts("ChannelStateChange", "{" CHANNEL "}", CHANNEL_FACTS);
    expect_facts("ChannelDtmfReceived", "{\"digit\":\"#\",\"duration_ms\":100," CHANNEL "}",
                 " digit=# 100ms" CHANNEL_FACTS);
    expect_facts("ChannelVarset", "{\"variable\":\"X\",\"value\":\"a b\"," CHANNEL "}",
                 " X=a b" CHANNEL_FACTS);
    expect_facts("ChannelVarset", "{\"variable\":\"X\",\"value\":\"\"}", " X=");
    expect_facts("ChannelHangupRequest", "{\"cause\":16,\"soft\":true," CHANNEL "}",
                 " cause=16 soft=true" CHANNEL_FACTS);
    expect_facts("ChannelHangupRequest", "{" CHANNEL "}", CHANNEL_FACTS);
    expect_facts("ChannelDestroyed", "{\"cause\":16,\"cause_txt\":\"Normal Clearing\"}",
                 " cause=16 (Normal Clearing)");
    expect_facts("StasisStart", "{\"args\":[\"a\",\"b\"]}", " args=a,b");
    expect_facts("StasisStart", "{\"args\":[]}", "");
    expect_facts("ChannelUserevent", "{\"eventname\":\"E\",\"userevent\":{\"a\":[1,2.5,null]}}",
                 " E {\"a\":[1,2.5,null]}");
}

Test(cli_print, facts_of_other_objects)
{
    expect_facts("Dial",
                 "{\"dialstatus\":\"RINGING\",\"dialstring\":\"bob\",\"forward\":\"\","
                 "\"peer\":{\"name\":\"PJSIP/bob-1\"},\"caller\":{\"name\":\"PJSIP/alice-1\"}}",
                 " RINGING bob caller=PJSIP/alice-1 peer=PJSIP/bob-1");
    expect_facts("BridgeCreated",
                 "{\"bridge\":{\"id\":\"b1\",\"bridge_type\":\"mixing\",\"name\":\"\","
                 "\"channels\":[\"1.1\",\"1.2\"]}}",
                 " bridge=b1 mixing channels=1.1,1.2");
    expect_facts("PlaybackStarted",
                 "{\"playback\":{\"id\":\"p\",\"media_uri\":\"sound:hi\",\"state\":\"playing\","
                 "\"target_uri\":\"channel:1.1\"}}",
                 " sound:hi playing on=channel:1.1");
    expect_facts("RecordingFailed",
                 "{\"recording\":{\"name\":\"r\",\"format\":\"gsm\",\"state\":\"failed\","
                 "\"target_uri\":\"bridge:b\",\"cause\":\"busy\"}}",
                 " r.gsm failed on=bridge:b busy");
    expect_facts("DeviceStateChanged", "{\"device_state\":{\"name\":\"PJSIP/b\",\"state\":\"X\"}}",
                 " X");
    expect_facts(
        "EndpointStateChange",
        "{\"endpoint\":{\"technology\":\"PJSIP\",\"resource\":\"b\",\"state\":\"online\"}}",
        " PJSIP/b online");
    expect_facts("ArizmqNodeDisconnected", "{\"reason\":\"closed by peer\"}", " closed by peer");
}

Test(cli_print, facts_survive_any_shape)
{
    expect_facts("ChannelDestroyed", "[]", "");
    expect_facts("ChannelDestroyed", "7", "");
    expect_facts("ChannelTransfer", "{\"refer_to\":7,\"referred_by\":{\"source_channel\":[]}}", "");
    expect_facts("NeverHeardOf", "{\"channel\":null,\"bridge\":\"text\"}", "");
}

Test(cli_print, long_values_are_cut_between_characters)
{
    char event[600] = "{\"variable\":\"X\",\"value\":\"a";
    char expected[300] = " X=a";
    for (unsigned i = 0; i < 100; i++) {
        strcat(event, "ü");
    }
    for (unsigned i = 0; i < 39; i++) { /* 1 + 2 * 39 bytes; one more would be 81 */
        strcat(expected, "ü");
    }
    strcat(event, "\"}");
    strcat(expected, "…");
    expect_facts("ChannelVarset", event, expected);
}
