/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where requests go: three nodes (pbx1 is ivr and queue, pbx2 is ivr, pbx3 is other), what they
 * have, which are up, and each rule in its order, with the words of each refusal.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistr.h>

#include "arizmq/error.h"
#include "fleet_helpers.h"
#include "gateway/route.h"

uint64_t __wrap_feed_events(const struct feed *self, unsigned node);

uint64_t __wrap_feed_events(const struct feed *self, unsigned node)
{
    (void)self, (void)node;
    return 0;
}

static struct fleet *fleet;
static struct owners *owners;

static void end(void)
{
    fleet_destroy(&fleet);
    owners_destroy(&owners);
}

/* Begins anew: all links of `nodes_count` nodes are up. */
static void begin(unsigned nodes_count)
{
    end();
    cr_assert_eq(fleet_create(fleet_config(nodes_count), &fleet), ARIZMQ_OK);
    cr_assert_eq(owners_create(200000, 200000, nodes_count, &owners), ARIZMQ_OK);
    for (unsigned i = 0; i < nodes_count; i++) {
        for (unsigned app = 0; app < fleet->nodes[i].config->apps_count; app++) {
            fleet_set_link(fleet, i, app, FEED_LINK_UP, NULL);
        }
    }
}

static void begin_three(void)
{
    begin(3);
}

TestSuite(route, .init = begin_three, .fini = end);

static void down(unsigned node)
{
    for (unsigned app = 0; app < fleet->nodes[node].config->apps_count; app++) {
        fleet_set_link(fleet, node, app, FEED_LINK_DOWN, "Connection refused");
    }
}

static void learn(unsigned node, enum object_kind kind, const char *id)
{
    owners_learn(owners, node, kind, id, strlen(id));
}

/* The decision on a request as one text: "pbx1", "all", or the refusal's status and message. The
 * uri may carry a query. */
static const char *decide(const struct request *given)
{
    static char text[REQUEST_ERROR_SIZE + 128];
    char uri[2048];
    struct request request = *given;
    snprintf(uri, sizeof uri, "%s", given->uri);
    char *query = strchr(uri, '?');
    request.uri = uri;
    request.query = query == NULL ? "" : query + 1;
    if (query != NULL) {
        *query = '\0';
    }
    struct mentions mentions;
    cr_assert_eq(mentions_read(&request, &mentions), ARIZMQ_OK);
    struct route route;
    memset(&route, 0xA5, sizeof route);
    route_find(fleet, owners, &request, &mentions, &route);
    mentions_release(&mentions);
    switch (route.verdict) {
    case ROUTE_TO_NODE:
        cr_assert(route.has_node);
        return fleet->nodes[route.node].config->name;
    case ROUTE_ASK_ALL:
        cr_assert_not(route.has_node);
        return "all";
    default:
        cr_assert_eq(route.verdict, ROUTE_REFUSED);
        const char *message = route.refusal.message;
        cr_assert_null(u8_check((const uint8_t *)message, strlen(message)));
        snprintf(text, sizeof text, "%d%s%s %s", reply_error_status(route.refusal.error),
                 route.has_node ? " " : "",
                 route.has_node ? fleet->nodes[route.node].config->name : "", message);
        return text;
    }
}

static const char *go(const char *method, const char *uri)
{
    struct request request = {.method = method, .uri = uri};
    return decide(&request);
}

static const char *go_to(const char *node, const char *uri)
{
    struct request request = {.method = "POST", .uri = uri, .node = node};
    return decide(&request);
}

static const char *go_as(const char *app, const char *uri)
{
    struct request request = {.method = "POST", .uri = uri, .app = app};
    return decide(&request);
}

Test(route, the_node_that_the_client_names)
{
    learn(0, OBJECT_CHANNEL, "a");
    cr_assert_str_eq(go_to("pbx2", "channels/a/answer"), "pbx2");
    cr_assert_str_eq(go_to("pbx2", "channels/unknown/answer"), "pbx2");
    down(1);
    cr_assert_str_eq(go_to("pbx2", "channels/a/answer"),
                     "503 pbx2 node pbx2 is down (\"Connection refused\"); nothing was sent: try "
                     "again when it is up");
    cr_assert_str_eq(go_to("pbx9\n", "channels/a/answer"),
                     "404 no node is named \"pbx9?\"; use one of pbx1, pbx2, pbx3");
}

Test(route, one_node)
{
    begin(1);
    cr_assert_str_eq(go("POST", "channels/unknown/answer"), "pbx1");
    cr_assert_str_eq(go("GET", "channels/unknown"), "pbx1");
    cr_assert_str_eq(go("GET", "channels"), "pbx1");
    fleet_set_link(fleet, 0, 0, FEED_LINK_STANDBY, NULL);
    fleet_set_link(fleet, 0, 1, FEED_LINK_STANDBY, NULL);
    cr_assert_str_eq(go("POST", "channels?app=ivr"), "pbx1", "standby answers");
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, NULL);
    fleet_set_link(fleet, 0, 1, FEED_LINK_DOWN, NULL);
    cr_assert_str_eq(go("GET", "channels"), "503 pbx1 node pbx1 is down; nothing was sent: try "
                                            "again when it is up");
    cr_assert_str_eq(go_to("pbx2", "channels"), "404 no node is named \"pbx2\"; use one of pbx1");
}

Test(route, the_owner)
{
    learn(0, OBJECT_CHANNEL, "a");
    learn(1, OBJECT_CHANNEL, "b");
    learn(1, OBJECT_BRIDGE, "a");
    learn(2, OBJECT_RECORDING, "r");
    cr_assert_str_eq(go("POST", "channels/a/answer"), "pbx1");
    cr_assert_str_eq(go("DELETE", "channels/b"), "pbx2");
    cr_assert_str_eq(go("GET", "bridges/a"), "pbx2");
    cr_assert_str_eq(go("POST", "bridges/a/addChannel?channel=b"), "pbx2");
    cr_assert_str_eq(go("GET", "recordings/stored/r/file"), "pbx3");
    cr_assert_str_eq(go("POST", "recordings/stored/r/copy?destinationRecordingName=s"), "pbx3");
    cr_assert_str_eq(go("POST", "channels?endpoint=x&originator=b"), "pbx2");
    cr_assert_str_eq(go("POST", "events/user/x?application=ivr&source=bridge:a"), "pbx2");
    cr_assert_str_eq(go("POST", "channels/a/dial?caller=unknown"), "pbx1", "one owner is enough");
    down(1);
    cr_assert_str_eq(go("GET", "channels/b"),
                     "503 pbx2 node pbx2 is down (\"Connection refused\"); nothing was sent: try "
                     "again when it is up");
    cr_assert_str_eq(go("POST", "channels/a/answer"), "pbx1");
}

Test(route, an_ended_object_is_asked_for_where_it_was)
{
    learn(1, OBJECT_CHANNEL, "a");
    owners_end(owners, 1, OBJECT_CHANNEL, "a", 1);
    cr_assert_str_eq(go("POST", "channels/a/answer"), "pbx2");
    learn(0, OBJECT_BRIDGE, "b");
    cr_assert_str_eq(go("POST", "bridges/b/addChannel?channel=a"),
                     "409 bridge \"b\" is on pbx1, channel \"a\" was on pbx2; a command runs on "
                     "one node: send one for each, or say which in \"node\"");
}

Test(route, objects_of_two_nodes)
{
    learn(0, OBJECT_CHANNEL, "a");
    learn(1, OBJECT_BRIDGE, "b");
    learn(2, OBJECT_CHANNEL, "c");
    learn(1, OBJECT_CHANNEL, "c");
    cr_assert_str_eq(go("POST", "bridges/b/addChannel?channel=a"),
                     "409 bridge \"b\" is on pbx2, channel \"a\" is on pbx1; a command runs on one "
                     "node: send one for each, or say which in \"node\"");
    cr_assert_str_eq(go("GET", "channels/c"),
                     "409 channel \"c\" is on pbx3 and pbx2; a command runs on one node: send one "
                     "for each, or say which in \"node\"");
    cr_assert_str_eq(go("POST", "bridges/b/addChannel?channel=unknown,a"),
                     "409 bridge \"b\" is on pbx2, channel \"a\" is on pbx1; a command runs on one "
                     "node: send one for each, or say which in \"node\"");
    cr_assert_str_eq(go_to("pbx3", "bridges/b/addChannel?channel=a"), "pbx3");
}

Test(route, a_long_list_says_how_many_more)
{
    char uri[1024] = "bridges/b/addChannel?channel=";
    for (unsigned i = 0; i < 40; i++) {
        char id[32];
        snprintf(id, sizeof id, "channel-%u", i);
        learn(i % 3, OBJECT_CHANNEL, id);
        snprintf(uri + strlen(uri), sizeof uri - strlen(uri), "%s,", id);
    }
    learn(0, OBJECT_BRIDGE, "b");
    const char *said = go("POST", uri);
    static const char first[] = "409 bridge \"b\" is on pbx1, channel \"channel-0\" is on pbx1, ";
    cr_assert_eq(strncmp(said, first, sizeof first - 1), 0, "%s", said);
    const char *more = strstr(said, " and ");
    unsigned named = 1;
    for (const char *at = said; at < more; at++) {
        named += *at == ',';
    }
    char wanted[128];
    snprintf(wanted, sizeof wanted,
             " and %u more; a command runs on one node: send one for each, or say which in "
             "\"node\"",
             41 - named);
    cr_assert_str_eq(more, wanted);
}

Test(route, any_bytes_in_an_id)
{
    char id[300];
    memset(id, 'x', sizeof id - 1);
    memcpy(id, "\xE2\x82\xAC\xFF\x01", 5);
    id[sizeof id - 1] = '\0';
    char uri[400];
    snprintf(uri, sizeof uri, "channels/%s/answer", id);
    const char *said = go("POST", uri);
    static const char first[] = "404 no node is known to have channel \"\xE2\x82\xAC??xxx";
    cr_assert_eq(strncmp(said, first, sizeof first - 1), 0, "%s", said);
    cr_assert_not_null(strstr(said, "x...\"; check the id"));
}

Test(route, an_id_to_be_chosen)
{
    learn(0, OBJECT_CHANNEL, "busy"); /* pbx1 has most calls, so nothing new goes there */
    learn(1, OBJECT_CHANNEL, "a");
    learn(1, OBJECT_BRIDGE, "b");
    cr_assert_str_eq(go("POST", "channels?endpoint=x&channelId=new"), "pbx3");
    cr_assert_str_eq(go("POST", "channels/busy"), "pbx1", "which will say that it exists");
    cr_assert_str_eq(go("POST", "channels?endpoint=x&channelId=busy"), "pbx1");
    cr_assert_str_eq(go("POST", "bridges/b?name=x"), "pbx2");
    cr_assert_str_eq(go("POST", "bridges/new"), "pbx3");
    cr_assert_str_eq(go("POST", "channels/a/play/busy"), "pbx2", "the named one decides");
    learn(0, OBJECT_PLAYBACK, "p");
    cr_assert_str_eq(go("POST", "channels/a/play/p"), "pbx2");
    cr_assert_str_eq(go("POST", "channels/unknown/play/p"), "pbx1");
    cr_assert_str_eq(go("POST", "channels?channelId=busy&otherChannelId=a"),
                     "409 channel \"busy\" is on pbx1, channel \"a\" is on pbx2; a command runs on "
                     "one node: send one for each, or say which in \"node\"");
    owners_end(owners, 0, OBJECT_CHANNEL, "busy", 4);
    learn(0, OBJECT_CHANNEL, "busy too");
    cr_assert_str_eq(go("POST", "channels?channelId=busy"), "pbx3", "it is free again");
    owners_claim(owners, 0, OBJECT_CHANNEL, "soon", 4);
    cr_assert_str_eq(go("POST", "channels/soon/answer"), "pbx1");
}

Test(route, an_object_that_nobody_has)
{
    cr_assert_str_eq(go("GET", "channels/x"), "all");
    cr_assert_str_eq(go("HEAD", "channels/x"), "all");
    cr_assert_str_eq(go("GET", "recordings/stored/x/file"), "all");
    cr_assert_str_eq(go("POST", "channels/x/answer"),
                     "404 no node is known to have channel \"x\"; check the id, or say in \"node\" "
                     "where it is to be looked for");
    cr_assert_str_eq(go("DELETE", "bridges/x"),
                     "404 no node is known to have bridge \"x\"; check the id, or say in \"node\" "
                     "where it is to be looked for");
    down(1);
    cr_assert_str_eq(go("GET", "channels/x"), "all");
    cr_assert_str_eq(go("DELETE", "channels/x"),
                     "503 pbx2 no node is known to have channel \"x\", and these are down that may "
                     "have it: pbx2; nothing was sent: try again when they are up");
    down(0);
    cr_assert_str_eq(go("DELETE", "channels/x"),
                     "503 no node is known to have channel \"x\", and these are down that may have "
                     "it: pbx1, pbx2; nothing was sent: try again when they are up");
    down(2);
    cr_assert_str_eq(go("GET", "channels/x"),
                     "503 no node is known to have channel \"x\", and these are down that may have "
                     "it: pbx1, pbx2, pbx3; nothing was sent: try again when they are up");
}

Test(route, guesses)
{
    learn(0, OBJECT_CHANNEL, "busy");
    learn(1, OBJECT_BRIDGE, "b");
    learn(2, OBJECT_RECORDING, "r");
    cr_assert_str_eq(go("POST", "conferences/b/join"), "pbx2");
    cr_assert_str_eq(go("POST", "conferences/x?channelId=busy"), "pbx1");
    cr_assert_str_eq(go("POST", "conferences/unknown"), "pbx2", "an unknown guess is none");
    cr_assert_str_eq(go("POST", "channels/busy/archive/r"), "pbx1", "what is named goes first");
    cr_assert_str_eq(go("POST", "channels/unknown/archive/r"), "pbx3");
    cr_assert_str_eq(go("POST", "conferences/b/archive/r"),
                     "409 bridge \"b\" is on pbx2, recording \"r\" is on pbx3; a command runs on "
                     "one node: send one for each, or say which in \"node\"");
    learn(2, OBJECT_CHANNEL, "b");
    cr_assert_str_eq(go("POST", "conferences/b"),
                     "409 channel \"b\" is on pbx3, bridge \"b\" is on pbx2; a command runs on one "
                     "node: send one for each, or say which in \"node\"");
}

Test(route, free_text_does_not_misroute)
{
    learn(0, OBJECT_CHANNEL, "a");
    learn(1, OBJECT_CHANNEL, "channel");
    cr_assert_str_eq(go("POST", "channels/a/variable?variable=channel&value=channel"), "pbx1");
    cr_assert_str_eq(go("GET", "asterisk/variable?variable=channel"), "pbx3");
    cr_assert_str_eq(go("GET", "endpoints/PJSIP/channel"), "pbx3");
}

Test(route, the_least_loaded)
{
    cr_assert_str_eq(go("POST", "bridges"), "pbx1");
    fleet->nodes[0].under_way = 2;
    fleet->nodes[1].under_way = 1;
    fleet->nodes[2].under_way = 1;
    cr_assert_str_eq(go("POST", "bridges"), "pbx2");
    learn(1, OBJECT_CHANNEL, "a");
    cr_assert_str_eq(go("POST", "bridges"), "pbx3");
    learn(2, OBJECT_CHANNEL, "b");
    cr_assert_str_eq(go("POST", "bridges"), "pbx1", "calls count before commands");
    down(0);
    cr_assert_str_eq(go("GET", "asterisk/info"), "pbx2");
    down(1);
    cr_assert_str_eq(go("GET", "asterisk/info"), "pbx3");
    down(2);
    cr_assert_str_eq(go("GET", "asterisk/info"),
                     "503 no node is up: pbx1, pbx2, pbx3; nothing was sent: try again when one is "
                     "up");
}

Test(route, the_application)
{
    learn(0, OBJECT_CHANNEL, "a");
    learn(0, OBJECT_CHANNEL, "b");
    learn(1, OBJECT_CHANNEL, "c");
    cr_assert_str_eq(go("POST", "channels?app=queue"), "pbx1");
    cr_assert_str_eq(go("POST", "channels?app=ivr"), "pbx2");
    cr_assert_str_eq(go("GET", "applications/other"), "pbx3");
    cr_assert_str_eq(go("POST", "events/user/x?application=queue"), "pbx1");
    cr_assert_str_eq(go("POST", "channels?app=somebody%20else"), "pbx3", "no node's business");
    cr_assert_str_eq(go_as("queue", "bridges"), "pbx1");
    cr_assert_str_eq(go_as("queue", "channels?app=other"), "pbx1", "the member goes first");
    cr_assert_str_eq(go_as("queue", "channels/c/answer"), "pbx2", "an owner goes before that");
    cr_assert_str_eq(go_as("none", "bridges"),
                     "404 no node is configured to be application \"none\"; say in \"node\" which "
                     "is meant: pbx1, pbx2, pbx3");
    fleet_set_link(fleet, 1, 0, FEED_LINK_STANDBY, "another client has it");
    cr_assert_str_eq(go("POST", "channels?app=ivr"), "pbx1");
    cr_assert_str_eq(go("DELETE", "channels/c"), "pbx2", "standby answers");
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, NULL);
    cr_assert_str_eq(go("POST", "channels?app=ivr"),
                     "503 no node is connected as application \"ivr\", which is for pbx1, pbx2; "
                     "nothing was sent: try again later, or say in \"node\" which");
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Says what a decision costs; it fails only where that is out of all proportion. */
Test(route, is_quick)
{
    enum { OBJECTS = 100000, ROUNDS = 200000 };
    begin(2);
    char uri[64];
    for (unsigned i = 0; i < OBJECTS; i++) {
        snprintf(uri, sizeof uri, "1795444501.%u", i);
        learn(i % 2, OBJECT_CHANNEL, uri);
    }
    double begun = now_ns();
    unsigned wrong = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned channel = i * 7919U % OBJECTS;
        snprintf(uri, sizeof uri, "channels/1795444501.%u/play", channel);
        struct request request = {
            .method = "POST", .uri = uri, .query = "media=sound%3Ahello-world"};
        struct mentions mentions;
        struct route route;
        cr_assert_eq(mentions_read(&request, &mentions), ARIZMQ_OK);
        route_find(fleet, owners, &request, &mentions, &route);
        wrong += route.verdict != ROUTE_TO_NODE || route.node != channel % 2;
        mentions_release(&mentions);
    }
    double each_ns = (now_ns() - begun) / ROUNDS;
    cr_assert_eq(wrong, 0);
    fprintf(stderr, "mentions_read() and route_find(): %.0f ns\n", each_ns);
    cr_assert_lt(each_ns, 50000.0);
}
