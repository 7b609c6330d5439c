/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The fleet: names, applications, what up and down mean, since when, the last error, the rates.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "fleet_helpers.h"
#include "gateway/fleet.h"

static uint64_t now_ns = 1000;

static uint64_t bent_clock(void)
{
    return now_ns;
}

static uint64_t events_of_node[2];

uint64_t __wrap_feed_events(const struct feed *self, unsigned node);

uint64_t __wrap_feed_events(const struct feed *self, unsigned node)
{
    (void)self;
    return events_of_node[node];
}

static struct fleet *new_fleet(void)
{
    clock_set_wall_source(bent_clock);
    struct fleet *fleet = NULL;
    cr_assert_eq(fleet_create(fleet_config(2), &fleet), ARIZMQ_OK);
    return fleet;
}

Test(fleet, begins_down)
{
    struct fleet *fleet = new_fleet();
    cr_assert_eq(fleet->count, 2);
    cr_assert_eq(fleet->up, 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_not(fleet_is_up(fleet, i));
        cr_assert_eq(fleet->nodes[i].since_ns, 1000);
        cr_assert_null(fleet->nodes[i].version);
        cr_assert_str_empty(fleet->nodes[i].apps[0].last_error);
    }
    fleet_destroy(&fleet);
    cr_assert_null(fleet);
    fleet_destroy(&fleet);
}

Test(fleet, finds_nodes_and_applications)
{
    struct fleet *fleet = new_fleet();
    cr_assert_eq(fleet_find(fleet, "pbx1"), 0);
    cr_assert_eq(fleet_find(fleet, "pbx2"), 1);
    cr_assert_eq(fleet_find(fleet, "pbx"), -1);
    cr_assert_eq(fleet_find(fleet, ""), -1);
    cr_assert(fleet_has_app(fleet, 0, "ivr"));
    cr_assert(fleet_has_app(fleet, 0, "queue"));
    cr_assert(fleet_has_app(fleet, 1, "ivr"));
    cr_assert_not(fleet_has_app(fleet, 1, "queue"));
    fleet_destroy(&fleet);
}

Test(fleet, a_node_is_up_where_any_link_is)
{
    struct fleet *fleet = new_fleet();
    now_ns = 2000;
    cr_assert(fleet_set_link(fleet, 0, 0, FEED_LINK_UP, NULL), "the node came up");
    now_ns = 3000;
    cr_assert_not(fleet_set_link(fleet, 0, 1, FEED_LINK_UP, NULL), "it was up already");
    cr_assert_eq(fleet->up, 1);
    cr_assert_eq(fleet->nodes[0].apps_up, 2);
    cr_assert_eq(fleet->nodes[0].since_ns, 2000);
    cr_assert_eq(fleet->nodes[0].apps[1].since_ns, 3000);
    cr_assert_not(fleet_is_up(fleet, 1));

    now_ns = 4000;
    cr_assert_not(fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, "Connection refused"));
    cr_assert(fleet_is_up(fleet, 0));
    cr_assert_not(fleet_app_is_up(fleet, 0, "ivr"));
    cr_assert(fleet_app_is_up(fleet, 0, "queue"));
    cr_assert_eq(fleet->nodes[0].since_ns, 2000);

    now_ns = 5000;
    fleet_set_link(fleet, 0, 1, FEED_LINK_DOWN, NULL);
    cr_assert_not(fleet_is_up(fleet, 0));
    cr_assert_eq(fleet->up, 0);
    cr_assert_eq(fleet->nodes[0].since_ns, 5000);
    cr_assert(fleet_set_link(fleet, 0, 1, FEED_LINK_UP, NULL), "it came up again");
    fleet_destroy(&fleet);
}

Test(fleet, standby_answers_commands)
{
    struct fleet *fleet = new_fleet();
    cr_assert(fleet_set_link(fleet, 1, 0, FEED_LINK_STANDBY, "another client has it"));
    cr_assert(fleet_is_up(fleet, 1));
    cr_assert_eq(fleet->up, 1);
    cr_assert_not(fleet_app_is_up(fleet, 1, "ivr"));
    cr_assert_eq(fleet->nodes[1].apps_up, 0);
    cr_assert_eq(fleet->nodes[1].apps_reachable, 1);
    cr_assert_str_eq(fleet->nodes[1].apps[0].last_error, "another client has it");
    cr_assert_not(fleet_set_link(fleet, 1, 0, FEED_LINK_UP, NULL), "it was up already");
    cr_assert_eq(fleet->nodes[1].apps_up, 1);
    cr_assert_eq(fleet->nodes[1].apps_reachable, 1);
    cr_assert_eq(fleet->up, 1);
    fleet_destroy(&fleet);
}

Test(fleet, the_last_error_stays)
{
    struct fleet *fleet = new_fleet();
    const struct fleet_app *app = &fleet->nodes[0].apps[0];
    now_ns = 2000;
    fleet_set_link(fleet, 0, 0, FEED_LINK_UP, "");
    now_ns = 3000;
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, "first");
    now_ns = 4000;
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, "second");
    cr_assert_str_eq(app->last_error, "second");
    cr_assert_eq(app->since_ns, 3000, "it is down since the first time");
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, "");
    fleet_set_link(fleet, 0, 0, FEED_LINK_UP, NULL);
    cr_assert_str_eq(app->last_error, "second");

    char text[400];
    memset(text, 'x', sizeof text);
    memcpy(text + FLEET_ERROR_SIZE - 3, "\xE2\x82\xAC", 3); /* would be cut in its last byte */
    text[sizeof text - 1] = '\0';
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, text);
    cr_assert_eq(strlen(app->last_error), FLEET_ERROR_SIZE - 3);
    memset(text, 'y', sizeof text - 1);
    fleet_set_link(fleet, 0, 0, FEED_LINK_DOWN, text);
    cr_assert_eq(strlen(app->last_error), FLEET_ERROR_SIZE - 1);
    fleet_destroy(&fleet);
}

Test(fleet, measures_rates)
{
    struct fleet *fleet = new_fleet();
    events_of_node[0] = 500;
    fleet->nodes[1].commands = 30;
    fleet_measure(fleet, NULL, 500);
    cr_assert_float_eq(fleet->nodes[0].events_per_s, 1000.0, 1e-9);
    cr_assert_float_eq(fleet->nodes[0].commands_per_s, 0.0, 1e-9);
    cr_assert_float_eq(fleet->nodes[1].commands_per_s, 60.0, 1e-9);

    events_of_node[0] = 700;
    fleet_measure(fleet, NULL, 0);
    cr_assert_float_eq(fleet->nodes[0].events_per_s, 1000.0, 1e-9, "no time has passed");
    fleet_measure(fleet, NULL, 2000);
    cr_assert_float_eq(fleet->nodes[0].events_per_s, 100.0, 1e-9);
    cr_assert_float_eq(fleet->nodes[1].commands_per_s, 0.0, 1e-9);
    fleet_destroy(&fleet);
}
