/* SPDX-License-Identifier: MPL-2.0 */
/*
 * From an event to the facts on its line. Two tables say which: what is particular to a type, then
 * what is said about each object that the event mentions. human.c calls it once for each event.
 *
 * A template is a list of words. {a.b} stands for the member b of the member a; a word is left out
 * when its first member is missing or empty.
 */
#include "cli/facts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/text.h"

enum { VALUE_BYTES_MAX = 80 };

struct facts_template {
    const char *name; /* a type; a trailing '*' stands for any rest */
    const char *words;
};

static const struct facts_template facts_by_type[] = {
    {"ApplicationMoveFailed", "destination={destination} args={args}"},
    {"ArizmqHeartbeat", ""},
    {"Arizmq*", "{reason} {limit} {kind}={id} from={from} to={to}"},
    {"BridgeAttendedTransfer", "{result} {destination_type}"},
    {"BridgeBlindTransfer", "{result} exten={exten}@{context}"},
    {"BridgeMerged", "from={bridge_from.id}"},
    {"BridgeVideoSourceChanged", "source={bridge.video_source_id} old={old_video_source_id}"},
    {"CallBroadcast", "called={called}"},
    {"CallClaimed", "winner={winner_app}"},
    {"ChannelDestroyed", "cause={cause} ({cause_txt})"},
    {"ChannelDialplan", "{dialplan_app}({dialplan_app_data})"},
    {"ChannelDtmfReceived", "digit={digit} {duration_ms}ms"},
    {"ChannelHangupRequest", "cause={cause} soft={soft}"},
    {"ChannelHold", "musicclass={musicclass}"},
    {"ChannelTalkingFinished", "talked={duration}ms"},
    {"ChannelTransfer", "{state} to={refer_to.requested_destination.destination} "
                        "by={referred_by.source_channel.name}"},
    {"ChannelUserevent", "{eventname} {userevent}"},
    {"ChannelVarset", "{variable}={value}"},
    {"ContactStatusChange", "{contact_info.uri} {contact_info.contact_status}"},
    {"Dial", "{dialstatus} {dialstring} caller={caller.name} peer={peer.name} forward={forward}"},
    {"PeerStatusChange", "{peer.peer_status}"},
    {"RESTResponse", "{status_code} {reason_phrase} {uri}"},
    {"StasisStart", "args={args}"},
    {"TextMessageReceived", "from={message.from} {message.body}"},
};

static const struct facts_template facts_by_member[] = {
    {"channel", "{channel.name} {channel.state} caller={channel.caller.number} "
                "({channel.caller.name}) connected={channel.connected.number}"},
    {"bridge", "bridge={bridge.id} {bridge.bridge_type} {bridge.name} channels={bridge.channels}"},
    {"playback", "{playback.media_uri} {playback.state} on={playback.target_uri}"},
    {"recording", "{recording.name}.{recording.format} {recording.state} "
                  "on={recording.target_uri} {recording.cause}"},
    {"endpoint", "{endpoint.technology}/{endpoint.resource} {endpoint.state}"},
    {"device_state", "{device_state.state}"},
};

static json_t *find_member(json_t *event, const char *path, size_t length)
{
    json_t *value = event;
    const char *end = path + length;
    while (value != NULL) {
        const char *dot = memchr(path, '.', (size_t)(end - path));
        if (dot == NULL) {
            return json_object_getn(value, path, (size_t)(end - path));
        }
        value = json_object_getn(value, path, (size_t)(dot - path));
        path = dot + 1;
    }
    return NULL;
}

static bool value_is_empty(json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

/* Writes at most VALUE_BYTES_MAX bytes, then an ellipsis; never half a character. */
static void write_cut(FILE *out, const char *bytes, size_t length)
{
    size_t kept = length;
    if (length > VALUE_BYTES_MAX) {
        kept = VALUE_BYTES_MAX;
        while (kept > 0 && ((unsigned char)bytes[kept] & 0xc0) == 0x80) {
            kept--;
        }
    }
    text_write_clean(out, bytes, kept, "");
    if (kept < length) {
        fputs("…", out);
    }
}

static void write_value(FILE *out, json_t *value)
{
    if (json_is_string(value)) {
        write_cut(out, json_string_value(value), json_string_length(value));
    } else if (json_is_array(value)) {
        size_t index = 0;
        json_t *element = NULL;
        json_array_foreach(value, index, element)
        {
            fputs(index > 0 ? "," : "", out);
            write_value(out, element);
        }
    } else if (value != NULL) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
        if (text != NULL) {
            write_cut(out, text, strlen(text));
        }
        free(text);
    }
}

/* Writes one word of a template with its members filled in. */
static void write_word(FILE *out, const char *word, size_t length, json_t *event)
{
    const char *end = word + length;
    bool is_first_member = true;
    while (word < end) {
        size_t plain = (size_t)(end - word);
        const char *brace = memchr(word, '{', plain);
        if (brace != NULL) {
            plain = (size_t)(brace - word);
        }
        const char *close = brace == NULL ? NULL : memchr(brace, '}', (size_t)(end - brace));
        json_t *value =
            close == NULL ? NULL : find_member(event, brace + 1, (size_t)(close - brace) - 1);
        if (is_first_member) {
            if (close != NULL && value_is_empty(value)) {
                return;
            }
            putc(' ', out);
            is_first_member = false;
        }
        fwrite(word, 1, plain, out);
        write_value(out, value);
        word = close == NULL ? end : close + 1;
    }
}

static void write_words(FILE *out, const char *words, json_t *event)
{
    while (*words != '\0') {
        size_t length = strcspn(words, " ");
        write_word(out, words, length, event);
        words += length;
        words += strspn(words, " ");
    }
}

static bool name_matches(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*') {
        return strncmp(pattern, name, length - 1) == 0;
    }
    return strcmp(pattern, name) == 0;
}

void facts_write(FILE *out, const char *type, json_t *event)
{
    for (size_t i = 0; i < sizeof facts_by_type / sizeof *facts_by_type; i++) {
        if (name_matches(facts_by_type[i].name, type)) {
            write_words(out, facts_by_type[i].words, event);
            break;
        }
    }
    for (size_t i = 0; i < sizeof facts_by_member / sizeof *facts_by_member; i++) {
        if (json_object_get(event, facts_by_member[i].name) != NULL) {
            write_words(out, facts_by_member[i].words, event);
        }
    }
}
