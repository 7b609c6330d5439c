/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From a serial number to an event. FLOOD_LANES calls are alive at a time and take their steps in
 * turn; when all have ended, as many new ones begin. Called by flood.c for each event and by those
 * who check what arrived.
 */
#include "flood_event.h"

#include <string.h>

/* In the templates: $C the channel's id, $H the call's number in hexadecimal, $A the application,
 * $E asterisk_id, $T the time, $K the time at which the call came, $N the serial number. */
#define CHANNEL_VALUE(state)                                                                       \
    "{\"id\":\"$C\",\"name\":\"PJSIP/alice-$H\",\"state\":\"" state                                \
    "\",\"protocol_id\":\"$H@127.0.0.1\",\"caller\":{\"name\":\"Alice Lab\",\"number\":\"1001\"}," \
    "\"connected\":{\"name\":\"\",\"number\":\"\"},\"accountcode\":\"\",\"dialplan\":{"            \
    "\"context\":\"from-sip\",\"exten\":\"ivr\",\"priority\":1,\"app_name\":\"Stasis\","           \
    "\"app_data\":\"$A,sip\"},\"creationtime\":\"$K\",\"language\":\"en\"}"
#define BRIDGE_VALUE(channels)                                                                     \
    "{\"id\":\"$C-bridge\",\"technology\":\"simple_bridge\",\"bridge_type\":\"mixing\","           \
    "\"bridge_class\":\"stasis\",\"creator\":\"Stasis\",\"name\":\"\",\"channels\":[" channels     \
    "],\"creationtime\":\"$K\",\"video_mode\":\"talker\"}"
#define CHANNEL(state) "\"channel\":" CHANNEL_VALUE(state) ","
#define BRIDGE(list)   "\"bridge\":" BRIDGE_VALUE(list) ","
#define PLAYBACK(state)                                                                            \
    "\"playback\":{\"id\":\"$C-p1\",\"media_uri\":\"sound:hello-world\",\"target_uri\":"           \
    "\"channel:$C\",\"language\":\"en\",\"state\":\"" state "\"},"
#define RECORDING(state)                                                                           \
    "\"recording\":{\"name\":\"$C-rec\",\"format\":\"gsm\",\"state\":\"" state                     \
    "\",\"target_uri\":\"channel:$C\"},"
#define VARIABLE(name, value) "\"variable\":\"" name "\",\"value\":\"" value "\","
#define DEVICE                "\"device_state\":{\"name\":\"Stasis:$C\",\"state\":\"INUSE\"},"
#define QUALITY                                                                                    \
    "ssrc=123456;themssrc=654321;lp=0;rxjitter=0.000125;rxcount=412;txjitter=0.000000;"            \
    "txcount=411;rlp=0;rtt=0.000000;rxmes=87.2;txmes=0.0"

struct object_rule {
    const char *kind;
    const char *prefix; /* before the channel's id */
    const char *suffix; /* behind it */
};

static const struct object_rule of_channel = {"channel", "", ""};
static const struct object_rule of_bridge = {"bridge", "", "-bridge"};
static const struct object_rule of_playback = {"playback", "", "-p1"};
static const struct object_rule of_recording = {"recording", "", "-rec"};
static const struct object_rule of_device = {"device", "Stasis:", ""};

struct step {
    const char *type;
    const struct object_rule *object[FLOOD_OBJECTS_MAX];
    const char *channel; /* its value after this step; NULL: there is none */
    const char *bridge;
    const char *text;
};

/* Some types have a member before the type, as real ones do. */
#define STEP(before, type, first, second, channel, bridge, members)                                \
    {                                                                                              \
        type, {first, second}, channel, bridge,                                                    \
            "{" before "\"type\":\"" type "\",\"timestamp\":\"$T\"," members                       \
            "\"asterisk_id\":\"$E\",\"application\":\"$A\",\"serial\":$N}"                         \
    }
#define DOWN    CHANNEL_VALUE("Down")
#define RING    CHANNEL_VALUE("Ring")
#define UP      CHANNEL_VALUE("Up")
#define EMPTY   BRIDGE_VALUE("")
#define ENTERED BRIDGE_VALUE("\"$C\"")

/* clang-format off */
static const struct step steps[] = {
    STEP("", "ChannelCreated", &of_channel, NULL, DOWN, NULL, CHANNEL("Down")),
    STEP("", "ChannelDialplan", &of_channel, NULL, RING, NULL,
         "\"dialplan_app\":\"Stasis\",\"dialplan_app_data\":\"$A,sip\"," CHANNEL("Ring")),
    STEP(VARIABLE("SIPDOMAIN", "127.0.0.1"), "ChannelVarset", &of_channel, NULL, RING, NULL,
         CHANNEL("Ring")),
    STEP(VARIABLE("SIPCALLID", "c-$H-d28be732fafde04b@127.0.0.1"), "ChannelVarset", &of_channel,
         NULL, RING, NULL, CHANNEL("Ring")),
    STEP("", "StasisStart", &of_channel, NULL, RING, NULL, "\"args\":[\"sip\"]," CHANNEL("Ring")),
    STEP("", "ChannelStateChange", &of_channel, NULL, UP, NULL, CHANNEL("Up")),
    STEP("", "DeviceStateChanged", &of_device, NULL, UP, NULL, DEVICE),
    STEP("", "PlaybackStarted", &of_playback, &of_channel, UP, NULL, PLAYBACK("playing")),
    STEP(VARIABLE("RTPAUDIOQOS", QUALITY), "ChannelVarset", &of_channel, NULL, UP, NULL,
         CHANNEL("Up")),
    STEP("", "PlaybackFinished", &of_playback, &of_channel, UP, NULL, PLAYBACK("done")),
    STEP("", "ChannelDtmfReceived", &of_channel, NULL, UP, NULL,
         "\"digit\":\"1\",\"duration_ms\":100," CHANNEL("Up")),
    STEP("", "BridgeCreated", &of_bridge, NULL, UP, EMPTY, BRIDGE("")),
    STEP("", "ChannelEnteredBridge", &of_channel, &of_bridge, UP, ENTERED,
         BRIDGE("\"$C\"") CHANNEL("Up")),
    STEP("", "RecordingStarted", &of_recording, &of_channel, UP, ENTERED, RECORDING("recording")),
    STEP(VARIABLE("BRIDGEPEER", "PJSIP/bob-$H"), "ChannelVarset", &of_channel, NULL, UP, ENTERED,
         CHANNEL("Up")),
    STEP("\"duration\":1560,", "ChannelTalkingFinished", &of_channel, NULL, UP, ENTERED,
         CHANNEL("Up")),
    STEP("", "RecordingFinished", &of_recording, &of_channel, UP, ENTERED, RECORDING("done")),
    STEP("", "ChannelLeftBridge", &of_channel, &of_bridge, UP, EMPTY, BRIDGE("") CHANNEL("Up")),
    STEP("", "BridgeDestroyed", &of_bridge, NULL, UP, NULL, BRIDGE("")),
    STEP("\"cause\":16,", "ChannelHangupRequest", &of_channel, NULL, UP, NULL, CHANNEL("Up")),
    STEP("", "StasisEnd", &of_channel, NULL, UP, NULL, CHANNEL("Up")),
    STEP("", "ChannelDestroyed", &of_channel, NULL, NULL, NULL,
         "\"cause\":16,\"cause_txt\":\"Normal Clearing\"," CHANNEL("Up")),
};
/* clang-format on */
enum { STEPS = sizeof steps / sizeof steps[0], BLOCK = STEPS * FLOOD_LANES };

/* What stands for the placeholders. */
struct values {
    const char *app;
    const char *entity_id;
    uint64_t call;
    uint64_t serial;
    char channel[FLOOD_ID_MAX];
};

/* printf() would take most of the time. */
static char *put_text(char *out, const char *text)
{
    size_t length = strlen(text);
    memcpy(out, text, length);
    return out + length;
}

static char *put_digits(char *out, uint64_t value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return out + digits;
}

static char *put_number(char *out, uint64_t value)
{
    unsigned digits = 1;
    for (uint64_t rest = value / 10; rest > 0; rest /= 10) {
        digits++;
    }
    return put_digits(out, value, digits);
}

static void values_set(struct values *values, const char *app, const char *entity_id, uint64_t call,
                       uint64_t serial)
{
    values->app = app;
    values->entity_id = entity_id;
    values->call = call;
    values->serial = serial;
    char *end = put_text(values->channel, app);
    *end++ = '.';
    *put_number(end, call) = '\0';
}

/* As Asterisk writes times: a millisecond for each serial number, from 2026-11-01 on. */
static char *put_time(char *out, uint64_t ms)
{
    memcpy(out, "2026-11-", 8);
    out = put_digits(out + 8, 1 + ms / 86400000, 2);
    *out++ = 'T';
    out = put_digits(out, ms / 3600000 % 24, 2);
    *out++ = ':';
    out = put_digits(out, ms / 60000 % 60, 2);
    *out++ = ':';
    out = put_digits(out, ms / 1000 % 60, 2);
    *out++ = '.';
    out = put_digits(out, ms % 1000, 3);
    memcpy(out, "+0000", 5);
    return out + 5;
}

static char *put_hex(char *out, uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        *out++ = "0123456789abcdef"[value >> shift & 0xf];
    }
    return out;
}

static char *put_value(char *out, char which, const struct values *values)
{
    switch (which) {
    case 'C':
        return put_text(out, values->channel);
    case 'H':
        return put_hex(out, (uint32_t)values->call);
    case 'A':
        return put_text(out, values->app);
    case 'E':
        return put_text(out, values->entity_id);
    case 'T':
        return put_time(out, values->serial);
    case 'K':
        return put_time(out, values->call);
    default:
        return put_number(out, values->serial);
    }
}

/* Returns the length of what was written, without its NUL. */
static size_t fill(const char *template, const struct values *values, char *out)
{
    char *at = out;
    for (const char *mark; (mark = strchr(template, '$')) != NULL; template = mark + 2) {
        size_t length = (size_t)(mark - template);
        memcpy(at, template, length);
        at = put_value(at + length, mark[1], values);
    }
    at = put_text(at, template);
    *at = '\0';
    return (size_t)(at - out);
}

static const struct step *find_step(uint64_t serial, uint64_t *call)
{
    uint64_t index = serial - 1;
    *call = index / BLOCK * FLOOD_LANES + index % FLOOD_LANES + 1;
    return &steps[index % BLOCK / FLOOD_LANES];
}

static void describe(const struct step *step, const struct values *values, struct flood_event *out)
{
    out->type = step->type;
    out->objects = 0;
    out->length = 0;
    for (unsigned i = 0; i < FLOOD_OBJECTS_MAX && step->object[i] != NULL; i++) {
        const struct object_rule *rule = step->object[i];
        out->object[i].kind = rule->kind;
        char *end = put_text(out->object[i].id, rule->prefix);
        end = put_text(end, values->channel);
        *put_text(end, rule->suffix) = '\0';
        out->objects++;
    }
}

void flood_event_make(const char *app, const char *entity_id, uint64_t serial,
                      struct flood_event *out)
{
    uint64_t call = 0;
    const struct step *step = find_step(serial, &call);
    struct values values;
    values_set(&values, app, entity_id, call, serial);
    describe(step, &values, out);
    out->length = fill(step->text, &values, out->text);
}

void flood_event_describe(const char *app, uint64_t serial, struct flood_event *out)
{
    uint64_t call = 0;
    const struct step *step = find_step(serial, &call);
    struct values values;
    values_set(&values, app, "", call, serial);
    describe(step, &values, out);
}

/* The last step that the call in that lane has taken; NULL where it has taken none. */
static const struct step *last_step(const char *app, uint64_t serial, unsigned lane,
                                    struct values *values)
{
    uint64_t taken = serial % BLOCK / FLOOD_LANES + (lane < serial % FLOOD_LANES);
    values_set(values, app, "", serial / BLOCK * FLOOD_LANES + lane + 1, serial);
    return taken > 0 ? &steps[taken - 1] : NULL;
}

bool flood_channel_make(const char *app, uint64_t serial, unsigned lane, char *out)
{
    struct values values;
    const struct step *step = last_step(app, serial, lane, &values);
    if (step == NULL || step->channel == NULL) {
        return false;
    }
    fill(step->channel, &values, out);
    return true;
}

bool flood_bridge_make(const char *app, uint64_t serial, unsigned lane, char *out)
{
    struct values values;
    const struct step *step = last_step(app, serial, lane, &values);
    if (step == NULL || step->bridge == NULL) {
        return false;
    }
    fill(step->bridge, &values, out);
    return true;
}
