/* SPDX-License-Identifier: MPL-2.0 */
/*
 * ARI's collections, the ids in its paths and the parameters that hold ids. Nothing but data: what
 * the columns mean stands in mentions_table.h. Parameters that hold free text (variable, value,
 * media, appArgs, name of a bridge) are left out on purpose.
 */
#include "gateway/mentions_table.h"

#include "event/objects.h"

const struct mentions_collection mentions_collections[] = {
    {"channels", NULL, MENTIONS_ID, OBJECT_CHANNEL, true, {"create", "externalMedia"}},
    {"bridges", NULL, MENTIONS_ID, OBJECT_BRIDGE, true, {NULL}},
    {"playbacks", NULL, MENTIONS_ID, OBJECT_PLAYBACK, false, {NULL}},
    {"recordings", "live", MENTIONS_ID, OBJECT_RECORDING, false, {NULL}},
    {"recordings", "stored", MENTIONS_ID, OBJECT_RECORDING, false, {NULL}},
    {"applications", NULL, MENTIONS_APP, 0, false, {NULL}},
    {"events", NULL, MENTIONS_WORD, 0, false, {NULL}},
    {"asterisk", NULL, MENTIONS_PLAIN, 0, false, {NULL}},
    {"deviceStates", NULL, MENTIONS_PLAIN, 0, false, {NULL}},
    {"endpoints", NULL, MENTIONS_PLAIN, 0, false, {NULL}},
    {"mailboxes", NULL, MENTIONS_PLAIN, 0, false, {NULL}},
    {"sounds", NULL, MENTIONS_PLAIN, 0, false, {NULL}},
};
const size_t mentions_collections_count =
    sizeof mentions_collections / sizeof mentions_collections[0];

const struct mentions_member mentions_members[] = {
    {"channels", "play", OBJECT_PLAYBACK, true},
    {"channels", "snoop", OBJECT_CHANNEL, true},
    {"bridges", "play", OBJECT_PLAYBACK, true},
    {"bridges", "videoSource", OBJECT_CHANNEL, false},
};
const size_t mentions_members_count = sizeof mentions_members / sizeof mentions_members[0];

/* clang-format off */
const struct mentions_parameter mentions_parameters[] = {
    {"channels", MENTIONS_ALL,    "channelId",      OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", MENTIONS_ALL,    "otherChannelId", OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", MENTIONS_ALL,    "originator",     OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {"channels", "create",        "channelId",      OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", "create",        "otherChannelId", OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", "create",        "originator",     OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {"channels", "externalMedia", "channelId",      OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", MENTIONS_ITSELF, "otherChannelId", OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"channels", MENTIONS_ITSELF, "originator",     OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {"channels", "dial",          "caller",         OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {"channels", "play",          "playbackId",     OBJECT_PLAYBACK,  MENTIONS_ONE, true},
    {"channels", "record",        "name",           OBJECT_RECORDING, MENTIONS_ONE, true},
    {"channels", "snoop",         "snoopId",        OBJECT_CHANNEL,   MENTIONS_ONE, true},
    {"bridges", MENTIONS_ALL,     "bridgeId",       OBJECT_BRIDGE,    MENTIONS_ONE, true},
    {"bridges", "addChannel",     "channel",        OBJECT_CHANNEL,   MENTIONS_LIST, false},
    {"bridges", "removeChannel",  "channel",        OBJECT_CHANNEL,   MENTIONS_LIST, false},
    {"bridges", "play",           "playbackId",     OBJECT_PLAYBACK,  MENTIONS_ONE, true},
    {"bridges", "record",         "name",           OBJECT_RECORDING, MENTIONS_ONE, true},
    {"recordings", "copy", "destinationRecordingName", OBJECT_RECORDING, MENTIONS_ONE, true},
    {"applications", "subscription", "eventSource", 0,                MENTIONS_SOURCES, false},
    {"events", "user",            "source",         0,                MENTIONS_SOURCES, false},
    {"events", "claim",           "channelId",      OBJECT_CHANNEL,   MENTIONS_ONE, false},

    /* Operations that do not exist yet will take these, if they take ids. */
    {NULL, NULL, "channel",                  OBJECT_CHANNEL,   MENTIONS_LIST, false},
    {NULL, NULL, "channelId",                OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {NULL, NULL, "otherChannelId",           OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {NULL, NULL, "originator",               OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {NULL, NULL, "snoopId",                  OBJECT_CHANNEL,   MENTIONS_ONE, false},
    {NULL, NULL, "bridgeId",                 OBJECT_BRIDGE,    MENTIONS_ONE, false},
    {NULL, NULL, "playbackId",               OBJECT_PLAYBACK,  MENTIONS_ONE, false},
    {NULL, NULL, "recordingName",            OBJECT_RECORDING, MENTIONS_ONE, false},
    {NULL, NULL, "destinationRecordingName", OBJECT_RECORDING, MENTIONS_ONE, false},
    {NULL, NULL, "eventSource",              0,                MENTIONS_SOURCES, false},
};
/* clang-format on */
const size_t mentions_parameters_count = sizeof mentions_parameters / sizeof mentions_parameters[0];
