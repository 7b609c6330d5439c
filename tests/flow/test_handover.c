/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A link handed over to a second connection, under numbered events: whatever happens to the second
 * connection, or to the first while the second is being made, each number comes once, or what is
 * missing was told.
 */
#include <stdio.h>
#include <string.h>

#include "flow/handover_stage.h"
#include "ops/metrics.h"

TestSuite(handover, .timeout = 600);

static struct stage stage;

/* The bridge and its subscriber are one thread here, which a sanitizer slows down. */
#ifdef SANITIZED
enum { RATE = 1000, MANY = 4 };
#else
enum { RATE = 10000, MANY = 20 };
#endif

static void begin(void)
{
    stage_create(&stage);
    stage_start(&stage);
}

/* Every number has come, once, and nothing else was told. */
static void expect_all(void)
{
    uint64_t last = stage_end_flood(&stage);
    STAGE_UNTIL(&stage, stage.numbers == last);
    cr_assert_eq(stage.doubled, 0);
    cr_assert_eq(stage.gaps, 0);
    cr_assert_eq(stage.disconnected, 0);
    cr_assert_eq(stage.connected, 1);
}

static void end(void)
{
    stage_stop(&stage);
    stage_destroy(&stage);
}

Test(handover, many_times_under_events)
{
    enum { LATE = 14 };
    begin();
    stage_flood(&stage, RATE, LATE);
    for (unsigned i = 1; i <= MANY; i++) {
        uint64_t before = stage.numbers;
        STAGE_UNTIL(&stage, stage.numbers >= before + 1000);
        stage_next(&stage);
        stage_hand_over(&stage);
        STAGE_UNTIL(&stage, stage.handed_over == i);
    }
    uint64_t before = stage.numbers;
    STAGE_UNTIL(&stage, stage.numbers >= before + 1000);
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    expect_all();
    cr_assert_eq(stage.replaced, MANY);
    cr_assert_eq(metrics_get(METRIC_HANDOVERS), MANY);
    /* The application is as it was: nothing was unsubscribed, and asked for again. */
    fake_do(stage.asterisk, "stats");
    cr_assert_eq(fake_count_events(stage.asterisk, "rest DELETE"), 0);
    cr_assert_eq(fake_count_events(stage.asterisk, "rest POST"), 0);
    cr_assert_eq(fake_count_events(stage.asterisk, "closed id="), MANY);
    cr_assert_eq(fake_count_events(stage.asterisk, "closed id=1 app=ivr code=1000"), 1);
    end();
}

/* An eventFilter of the application keeps ApplicationReplaced back: the close handshake of each old
 * connection proves that all of it has come. */
Test(handover, replaced_is_filtered_out)
{
    enum { HANDOVERS = 3, LATE = 14 };
    begin();
    fake_do(stage.asterisk, "replaced-events off");
    stage_flood(&stage, RATE, LATE);
    for (unsigned i = 1; i <= HANDOVERS; i++) {
        uint64_t before = stage.numbers;
        STAGE_UNTIL(&stage, stage.numbers >= before + 1000);
        stage_next(&stage);
        stage_hand_over(&stage);
        STAGE_UNTIL(&stage, stage.handed_over == i);
    }
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    expect_all();
    cr_assert_eq(stage.replaced, 0);
    fake_do(stage.asterisk, "stats");
    for (unsigned i = 1; i <= HANDOVERS; i++) {
        char closed[64];
        snprintf(closed, sizeof closed, "closed id=%u app=ivr code=1000", i);
        cr_assert_eq(fake_count_events(stage.asterisk, closed), 1, "no %s", closed);
    }
    cr_assert_eq(fake_count_events(stage.asterisk, "rest DELETE"), 0);
    end();
}

/* Until it connects the first connection goes on, and the trouble can be seen. */
static void expect_trouble(const char *detail)
{
    stage_flood(&stage, 5000, 0);
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, metrics_get(METRIC_HANDOVERS_FAILED) >= 3);
    uint64_t before = stage.numbers;
    STAGE_UNTIL(&stage, stage.numbers >= before + 500);
    cr_assert_eq(stage.told, FEED_LINK_UP);
    cr_assert_eq(strncmp(stage.told_detail, "hand-over: ", 11), 0, "%s", stage.told_detail);
    cr_assert_not_null(strstr(stage.told_detail, detail), "%s", stage.told_detail);
}

static void expect_handover(void)
{
    STAGE_UNTIL(&stage, stage.handed_over == 1);
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    STAGE_UNTIL(&stage, stage.told_detail[0] == '\0');
    cr_assert_eq(stage.told, FEED_LINK_UP);
    expect_all();
}

Test(handover, wrong_password)
{
    begin();
    stage_next(&stage)->password = "wrong";
    expect_trouble("401 Unauthorized");
    stage_next(&stage)->password = "secret";
    stage_hand_over(&stage);
    expect_handover();
    end();
}

Test(handover, nobody_listens)
{
    begin();
    fake_do(stage.proxy, "refuse");
    stage_next(&stage)->port = stage.proxy->port;
    expect_trouble("");
    fake_do(stage.proxy, "clear");
    expect_handover();
    end();
}

Test(handover, no_such_name)
{
    begin();
    struct config_node *next = stage_next(&stage);
    next->host = "nowhere.invalid";
    expect_trouble("");
    stage_next(&stage)->host = "localhost";
    stage_hand_over(&stage);
    expect_handover();
    end();
}

/* Asterisk takes the connection and does not answer in time. */
Test(handover, no_answer)
{
    begin();
    fake_do(stage.proxy, "black-hole");
    struct config_node *next = stage_next(&stage);
    next->port = stage.proxy->port;
    next->connect_timeout_ms = 100;
    expect_trouble("connect_timeout_ms");
    fake_do(stage.proxy, "clear");
    stage_next(&stage)->connect_timeout_ms = 10000;
    stage_hand_over(&stage);
    expect_handover();
    end();
}

/* The old connection hears of it before the new one's handshake is answered. */
Test(handover, replaced_before_it_is_up)
{
    begin();
    stage_flood(&stage, 5000, 5);
    fake_do(stage.proxy, "delay down 500");
    stage_next(&stage)->port = stage.proxy->port;
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.replaced == 1);
    cr_assert_eq(stage.handed_over, 0);
    expect_handover();
    cr_assert_eq(metrics_get(METRIC_REPLACED), 0, "that was no other client");
    end();
}

static void expect_reconnect(const char *reason)
{
    STAGE_UNTIL(&stage, stage.gaps == 1);
    cr_assert_str_eq(stage.reason, reason);
    cr_assert_eq(stage.connected, 2);
    uint64_t before = stage.numbers;
    STAGE_UNTIL(&stage, stage.numbers >= before + 100);
    cr_assert_eq(stage.doubled, 0);
    fake_do(stage.asterisk, "flood-stop");
}

/* The application has gone to the new connection, whose handshake is never answered. */
Test(handover, replaced_and_never_up)
{
    begin();
    stage_flood(&stage, 5000, 0);
    fake_do(stage.proxy, "stall down");
    struct config_node *next = stage_next(&stage);
    next->port = stage.proxy->port;
    next->connect_timeout_ms = 300;
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.replaced == 1);
    STAGE_UNTIL(&stage, stage.disconnected == 1);
    fake_do(stage.proxy, "clear");
    expect_reconnect("connection_lost");
    fake_do(stage.asterisk, "stats");
    cr_assert_eq(fake_count_events(stage.asterisk, "rest DELETE"), 0);
    end();
}

/* While the second one tries and fails, another client takes the application. */
Test(handover, another_client_takes_it)
{
    begin();
    stage_next(&stage)->password = "wrong";
    expect_trouble("401");
    fake_do(stage.asterisk, "replace ivr");
    STAGE_UNTIL(&stage, stage.told == FEED_LINK_STANDBY && stage.disconnected == 1);
    cr_assert_str_eq(stage.reason, "replaced");
    fake_do(stage.asterisk, "flood-stop");
    end();
}

/* The first one ends while the second is being made: an end like any other. */
static void expect_first_lost(const char *how, const char *reason)
{
    begin();
    stage_flood(&stage, 5000, 0);
    fake_do(stage.proxy, "stall up");
    stage_next(&stage)->port = stage.proxy->port;
    stage_hand_over(&stage);
    STAGE_AWAIT(&stage, stage.proxy, "connected");
    fake_do(stage.asterisk, "%s", how);
    STAGE_UNTIL(&stage, stage.disconnected == 1);
    fake_do(stage.proxy, "clear");
    expect_reconnect(reason);
    cr_assert_eq(stage.handed_over, 0);
    end();
}

Test(handover, first_is_closed)
{
    expect_first_lost("close 1001", "closed_by_peer");
}

Test(handover, first_is_reset)
{
    expect_first_lost("rst", "connection_lost");
}

/* Handed over, and then the first one ends before it has said that it delivered all. */
Test(handover, first_ends_early)
{
    begin();
    fake_do(stage.proxy, "clear");
    struct config_node *next = stage_next(&stage);
    next->port = stage.proxy->port;
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.handed_over == 1);
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    cr_assert_eq(stage.gaps, 0);
    /* What comes down to the first one is held back by the proxy, and then lost. */
    fake_do(stage.proxy, "stall down");
    stage_next(&stage)->port = stage.asterisk->port;
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.handed_over == 2);
    cr_assert_eq(stage.replaced, 1);
    fake_do(stage.proxy, "reset");
    STAGE_UNTIL(&stage, stage.gaps == 1);
    cr_assert_eq(stage.disconnected, 0);
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    end();
}

/* Answers that come late over the first one are handed on. */
Test(handover, commands_under_way)
{
    begin();
    fake_do(stage.asterisk, "rest-delay 1500");
    static const char request[] =
        "{\"type\":\"RESTRequest\",\"request_id\":\"arizmq-command-7\",\"method\":\"GET\","
        "\"uri\":\"asterisk/ping\"}";
    stage_send_command(&stage, 7, request);
    stage_next(&stage);
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.handed_over == 1);
    STAGE_UNTIL(&stage, stage.answered == 7);
    cr_assert(stage.has_answer);
    fake_do(stage.asterisk, "rest-delay 0");
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    cr_assert_eq(stage.gaps, 0);
    end();
}

/* Asked for again and again before any is done: the last one counts. */
Test(handover, one_after_the_other)
{
    begin();
    stage_flood(&stage, 5000, 3);
    for (int i = 0; i < 50; i++) {
        stage_next(&stage)->password = i % 2 ? "secret" : "wrong";
        stage_hand_over(&stage);
        for (int k = 0; k < i; k++) {
            loop_turn(&stage.loop);
            stage_turn(&stage);
        }
    }
    STAGE_UNTIL(&stage, stage.handed_over >= 1);
    STAGE_UNTIL(&stage, metrics_get(METRIC_LINKS_LEAVING) == 0);
    uint64_t before = stage.numbers;
    STAGE_UNTIL(&stage, stage.numbers >= before + 500);
    expect_all();
    end();
}

/* SIGTERM while the second one is being made, and in the linger of the first. */
Test(handover, stopped_meanwhile)
{
    begin();
    fake_do(stage.proxy, "stall up");
    stage_next(&stage)->port = stage.proxy->port;
    stage_hand_over(&stage);
    STAGE_AWAIT(&stage, stage.proxy, "connected");
    end();
    begin();
    stage_next(&stage);
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.handed_over == 1);
    uint64_t since_ms = clock_monotonic_ms();
    end();
    cr_assert_lt(clock_monotonic_ms() - since_ms, LOOP_PATIENCE_MS);
}

/* A link that is not connected takes the new way at once. */
Test(handover, of_a_link_that_is_down)
{
    stage_create(&stage);
    stage_next(&stage)->password = "wrong";
    stage.node[!stage.current].backoff_max_ms = 600000;
    stage_hand_over(&stage);
    nodes_start(stage.nodes);
    STAGE_UNTIL(&stage, metrics_get(METRIC_CONNECTS_REFUSED) == 1);
    stage_next(&stage)->password = "secret";
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.connected == 1);
    cr_assert_eq(stage.handed_over, 0);
    end();
}

Test(handover, of_a_link_in_standby)
{
    begin();
    fake_do(stage.asterisk, "replace ivr");
    STAGE_UNTIL(&stage, stage.told == FEED_LINK_STANDBY);
    stage_next(&stage)->on_replaced = CONFIG_ON_REPLACED_RECONNECT;
    stage_hand_over(&stage);
    STAGE_UNTIL(&stage, stage.gaps == 1);
    cr_assert_eq(stage.connected, 2);
    end();
}
