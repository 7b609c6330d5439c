/* SPDX-License-Identifier: MPL-2.0 */
/*
 * How Stasis applications of fake_asterisk come, change hands and go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_support.h"

TestSuite(fake_applications, .timeout = 120);

Test(fake_applications, lets_the_newest_connection_have_the_application)
{
    struct fake *fake = test_start(NULL);
    struct client *old = client_open(fake->port, TARGET_ALL);
    struct client *new = client_open(fake->port, TARGET_ALL);
    char *replaced = client_read_text(old);
    test_normalise_times(replaced);
    cr_assert_str_eq(
        replaced, "{\"type\":\"ApplicationReplaced\",\"timestamp\":\"T\",\"application\":\"ivr\","
                  "\"asterisk_id\":\"02:00:00:00:00:22\"}");
    free(replaced);
    fake_do(fake, "send app=ivr {}");
    test_expect_text(new, "{}");
    cr_assert(client_is_silent(old, 50));
    client_destroy(&new);
    cr_assert_not_null(fake_await_event(fake, "closed id=2", 20000));
    test_expect_application(fake, "ivr", 404);
    char request[128];
    snprintf(request, sizeof request, PING_REQUEST, 9);
    client_send_text(old, request);
    char *answer = client_read_text(old);
    cr_assert_not_null(strstr(answer, "\"status_code\":200"));
    free(answer);
    client_destroy(&old);
    test_stop(&fake);
}

static const char unsubscribed[] =
    "{\"name\":\"ivr\",\"channel_ids\":[],\"bridge_ids\":[],\"endpoint_ids\":[],"
    "\"device_names\":[],\"events_allowed\":[],\"events_disallowed\":[]}";
static const char subscribed[] =
    "{\"name\":\"ivr\",\"channel_ids\":[\"__AST_CHANNEL_ALL_TOPIC\"],"
    "\"bridge_ids\":[\"__AST_BRIDGE_ALL_TOPIC\"],\"endpoint_ids\":[\"__AST_ENDPOINT_ALL_TOPIC\"],"
    "\"device_names\":[\"__AST_DEVICE_STATE_ALL_TOPIC\"],\"events_allowed\":[],"
    "\"events_disallowed\":[]}";

static void expect_application_body(const struct fake *fake, const char *expected)
{
    int status;
    char *body = test_get(fake, "/ari/applications/ivr", &status);
    cr_assert_str_eq(body, expected);
    free(body);
}

Test(fake_applications, ignores_subscribe_all_for_an_application_that_exists)
{
    struct fake *fake = test_start(NULL);
    fake_do(fake, "precreate ivr");
    struct client *client = client_open(fake->port, TARGET_ALL);
    expect_application_body(fake, unsubscribed);
    client_send_text(client,
                     "{\"type\":\"RESTRequest\",\"method\":\"POST\",\"uri\":"
                     "\"applications/ivr/subscription?eventSource=channel:,bridge:,endpoint:,"
                     "deviceState:\"}");
    char *answer = client_read_text(client);
    cr_assert_not_null(strstr(answer, "\"status_code\":200"));
    free(answer);
    expect_application_body(fake, subscribed);
    client_destroy(&client);
    cr_assert_not_null(fake_await_event(fake, "closed", 20000));
    expect_application_body(fake, subscribed);
    fake_do(fake, "remove ivr");
    test_expect_application(fake, "ivr", 404);
    test_stop(&fake);
}

Test(fake_applications, replaces_an_application_by_an_unseen_client)
{
    struct fake *fake = test_start(NULL);
    struct client *client = client_open(fake->port, TARGET_ALL);
    fake_do(fake, "replace ivr");
    char *replaced = client_read_text(client);
    cr_assert_not_null(strstr(replaced, "ApplicationReplaced"));
    free(replaced);
    client_destroy(&client);
    cr_assert_not_null(fake_await_event(fake, "closed", 20000));
    test_expect_application(fake, "ivr", 200);
    test_stop(&fake);
}

Test(fake_applications, is_asterisk_16_when_told)
{
    const char *const options[] = {"--version", "16", NULL};
    struct fake *fake = test_start(options);
    struct client *client = client_open(fake->port, TARGET_ALL);
    char request[128];
    snprintf(request, sizeof request, PING_REQUEST, 1);
    client_send_text(client, request);
    cr_assert_not_null(fake_await_event(fake, "text id=1", 20000));
    cr_assert(client_is_silent(client, 50));
    client_destroy(&client);
    cr_assert_not_null(fake_await_event(fake, "closed", 20000));
    expect_application_body(fake, subscribed);
    test_stop(&fake);
}
