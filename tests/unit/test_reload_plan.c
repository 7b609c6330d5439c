/* SPDX-License-Identifier: MPL-2.0 */
/* Two configurations in, a list of actions out; and that no key is without its line in the table.
 */
#include "config_helpers.h"

#include "ops/reload_keys.h"
#include "ops/reload_plan.h"

/* --- the table */

static void expect_keys(const cyaml_schema_value_t *table, const char *path)
{
    for (const cyaml_schema_field_t *field = table->mapping.fields; field->key; field++) {
        char below[128];
        snprintf(below, sizeof below, "%s%s%s", path, path[0] ? "." : "", field->key);
        const cyaml_schema_value_t *value = &field->value;
        if (value->type != CYAML_MAPPING) {
            cr_expect_not_null(reload_key_find(below), "%s has no line in reload_keys.c", below);
        }
        if (value->type == CYAML_SEQUENCE) {
            strcat(below, "[]");
            value = value->sequence.entry;
            if (value->type != CYAML_MAPPING) {
                cr_expect_not_null(reload_key_find(below), "%s", below);
            }
        }
        if (value->type == CYAML_MAPPING) {
            expect_keys(value, below);
        }
    }
}

Test(reload_keys, each_key_of_the_configuration_has_one_line)
{
    expect_keys(&config_schema, "");
    for (size_t i = 0; i < config_rules_count; i++) {
        cr_expect_not_null(reload_key_find(config_rules[i].path), "%s", config_rules[i].path);
    }
    for (size_t i = 0; i < reload_keys_count; i++) {
        cr_expect_eq(reload_key_find(reload_keys[i].path), &reload_keys[i], "%s is there twice",
                     reload_keys[i].path);
        bool is_view_kind = strcmp(reload_keys[i].path, "publish[].view") == 0;
        bool is_known = config_rule_find(reload_keys[i].path) != NULL;
        cr_expect(is_known || is_view_kind, "%s is no key", reload_keys[i].path);
    }
}

/* --- slots */

static struct config *must_place(const char *text, const char *const *taken, unsigned count)
{
    struct config *config = must_load(text, NULL);
    cr_assert_eq(config_place_nodes(config, taken, count), ARIZMQ_OK);
    return config;
}

#define NODE(name, rest)                                                                           \
    "  - {name: " name ", url: 'ws://" name ":8088/ari', username: u, password: p, apps: [x]" rest \
    "}\n"

Test(config_slots, nodes_keep_their_places_and_new_ones_take_free_ones)
{
    static const char *const taken[] = {"a", NULL, "c", "d", NULL};
    struct config *config = must_place(
        "nodes:\n" NODE("n", "") NODE("d", "") NODE("o", "") NODE("a", "") NODE("q", ""), taken, 5);
    static const char *const expected[] = {"a", "n", NULL, "d", "o", "q"};
    cr_assert_eq(config->nodes_count, 6);
    cr_assert_eq(config_count_nodes(config), 5);
    for (unsigned i = 0; i < 6; i++) {
        cr_expect_eq(config_has_node(config, i), expected[i] != NULL);
        if (expected[i]) {
            cr_expect_str_eq(config->nodes[i].name, expected[i]);
            cr_expect_eq(config->nodes[i].config, config);
        }
    }
    cr_expect_not(config_has_node(config, 6));
    config_destroy(&config);
    cr_assert_null(config);
}

Test(config_slots, where_there_is_none_left_nothing_is_changed)
{
    static const char *taken[CONFIG_SLOTS_MAX];
    for (unsigned i = 0; i < CONFIG_SLOTS_MAX; i++) {
        taken[i] = i == 4000 ? "b" : "z";
    }
    struct config *config = must_load("nodes:\n" NODE("b", "") NODE("a", ""), NULL);
    cr_assert_eq(config_place_nodes(config, taken, CONFIG_SLOTS_MAX), ARIZMQ_ETOOLARGE);
    cr_expect_eq(config->nodes_count, 2);
    cr_expect_str_eq(config->nodes[1].name, "a");
    taken[17] = NULL;
    cr_assert_eq(config_place_nodes(config, taken, CONFIG_SLOTS_MAX), ARIZMQ_OK);
    cr_expect_str_eq(config->nodes[17].name, "a");
    cr_expect_str_eq(config->nodes[4000].name, "b");
    config_destroy(&config);
}

Test(config_hold, the_last_holder_frees)
{
    struct config *config = must_load(ONE_NODE, NULL);
    const struct config *held = config_hold(config);
    const struct config_node *node = config_node_hold(&config->nodes[0]);
    config_destroy(&config);
    cr_expect_str_eq(held->nodes[0].name, "a");
    config_release(&held);
    cr_assert_null(held);
    cr_expect_str_eq(node->name, "a"); /* AddressSanitizer has its say, too */
    config_node_release(&node);
    cr_assert_null(node);
    config_node_release(&node);
    config_release(&held);
}

/* --- the plan */

struct pair {
    const char *before;
    const char *after;
    const char *changes;
    const char *restart; /* NULL: none */
};

#define A      NODE("a", "")
#define B      NODE("b", "")
#define EVENTS "{view: events, endpoint: 'tcp://127.0.0.1:5555'}"

/* `before` and `after` follow "nodes:\n". */
static const struct pair pairs[] = {
    /* nothing */
    {A, A, "", NULL},
    {A B, B A, "", NULL},
    {A, A "heartbeat_ms: 1000\n", "", NULL},
    {NODE("a", ", tls: {}"), A, "", NULL},
    {A,
     A "publish: [{view: events, endpoint: 'tcp://127.0.0.1:5555'},"
       " {view: objects, endpoint: 'tcp://127.0.0.1:5556'}]\n",
     "", NULL},
    {A, A "publish: [{view: objects, endpoint: 'tcp://127.0.0.1:5556'}, " EVENTS "]\n", "", NULL},
    {A "publish: [" EVENTS "]\n",
     A "publish: [{view: events, endpoint: 'tcp://127.0.0.1:5555',"
       " topic: '{type}/{app}/{node}/{id}/'}]\n",
     "", NULL},
    /* nodes */
    {A, A B, "node b added", NULL},
    {A B, B, "node a removed", NULL},
    {A, B, "node a removed; node b added", NULL},
    {"  - {name: a, url: 'ws://h:8088/ari', username: u, password: p, apps: [x]}\n",
     "  - {name: a, url: 'http://h:8088/ari/', username: u, password: p, apps: [x]}\n",
     "node a: url", NULL},
    {"  - {name: a, url: 'ws://h:8088/ari', username: u, password: p, apps: [x]}\n",
     "  - {name: a, url: 'ws://h:8089/ari', username: u, password: p, apps: [x]}\n",
     "node a: url (hand-over)", NULL},
    {"  - {name: a, url: 'ws://h:8088/ari', username: u, password: p, apps: [x]}\n",
     "  - {name: a, url: 'wss://h:8088/ari', username: u, password: p, apps: [x]}\n",
     "node a: url (hand-over)", NULL},
    {"  - {name: a, url: 'ws://h:8088/ari', username: u, password: p, apps: [x]}\n",
     "  - {name: a, url: 'ws://h:8088/ari', username: v, password: q, apps: [x]}\n",
     "node a: username (hand-over); node a: password (hand-over)", NULL},
    {"  - {name: a, url: 'wss://h/ari', username: u, password: p, apps: [x]}\n",
     "  - {name: a, url: 'wss://h/ari', username: u, password: p, apps: [x], tls: {verify: "
     "false}}\n",
     "node a: tls.verify (hand-over)", NULL},
    {A,
     NODE("a", ", connect_timeout_ms: 100, liveness_ms: 1000, backoff_min_ms: 10,"
               " backoff_max_ms: 20, on_replaced: standby, replaced_retry_ms: 100,"
               " rest: websocket, rest_connections: 1"),
     "node a: connect_timeout_ms; node a: liveness_ms; node a: backoff_min_ms; node a: "
     "backoff_max_ms; node a: on_replaced; node a: replaced_retry_ms; node a: rest; node a: "
     "rest_connections",
     NULL},
    /* applications */
    {"  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x, y]}\n",
     "  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [z, y]}\n",
     "a/x removed; a/z added", NULL},
    {"  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x, y]}\n",
     "  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [y, x]}\n", "", NULL},
    {A, NODE("a", ", subscribe_all: true"), "a/x: subscribe_all (hand-over)", NULL},
    {NODE("a", ", subscribe_all: true"), A, "a/x: no subscribe_all (reconnect)", NULL},
    {NODE("a", ", subscribe_all: true"), NODE("a", ", subscribe_all: true, subscribe_all_app: x"),
     "", NULL},
    {A, NODE("a", ", subscribe_all_app: x"), "node a: subscribe_all", NULL},
    {"  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x, y],"
     " subscribe_all: true, subscribe_all_app: x}\n",
     "  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x, y],"
     " subscribe_all: true, subscribe_all_app: y}\n",
     "a/x: no subscribe_all (reconnect); a/y: subscribe_all (hand-over)", NULL},
    {"  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [x, y],"
     " subscribe_all: true, subscribe_all_app: x}\n",
     "  - {name: a, url: 'ws://h/ari', username: u, password: p, apps: [y, z],"
     " subscribe_all: true, subscribe_all_app: z}\n",
     "a/x removed; a/z added; node a: subscribe_all", NULL},
    /* views */
    {A "publish: [" EVENTS "]\n",
     A "publish: [" EVENTS ", {view: events, endpoint: 'ipc:///tmp/two', topic: 'all/'}]\n",
     "view events on ipc:///tmp/two added", NULL},
    {A, A "publish: [" EVENTS "]\n", "view objects on tcp://127.0.0.1:5556 removed", NULL},
    {A "publish: [" EVENTS "]\n",
     A "publish: [{view: events, endpoint: 'tcp://127.0.0.1:5555', sndhwm: 5}]\n", "",
     "publish[tcp://127.0.0.1:5555].sndhwm"},
    {A "publish: [" EVENTS "]\n",
     A "publish: [{view: objects, endpoint: 'tcp://127.0.0.1:5555', sndhwm: 5}]\n", "",
     "publish[tcp://127.0.0.1:5555].view, publish[tcp://127.0.0.1:5555].sndhwm"},
    {A "publish: [" EVENTS "]\n",
     A "publish: [{view: events, endpoint: 'tcp://127.0.0.1:5555', topic: '{id}/'}]\n", "",
     "publish[tcp://127.0.0.1:5555].topic"},
    {A "publish: [{view: events, endpoint: 'tcp://127.0.0.1:*'},"
       " {view: objects, endpoint: 'tcp://127.0.0.1:*'}]\n",
     A "publish: [{view: objects, endpoint: 'tcp://127.0.0.1:*'},"
       " {view: events, endpoint: 'tcp://127.0.0.1:*'}]\n",
     "", NULL},
    /* the rest */
    {A,
     A
     "limits: {max_event_bytes: 1024, max_counters: 1, heartbeat_first_tokens: 1, coalesce_ms: 1}\n"
     "gateway: {timeout_ms: 11, max_timeout_ms: 12, answer_timeout_ms: 100, max_requests: 3,"
     " max_requests_per_node: 2, max_body_bytes: 1024, max_request_line_bytes: 256,"
     " max_reply_bytes: 1024, max_objects: 1, once_window_ms: 100, once_max_requests: 1,"
     " once_max_bytes: 1024}\n",
     "limits.max_event_bytes; limits.max_counters; limits.heartbeat_first_tokens; "
     "limits.coalesce_ms; "
     "gateway.timeout_ms; gateway.max_timeout_ms; gateway.answer_timeout_ms; gateway.max_requests; "
     "gateway.max_requests_per_node; gateway.max_body_bytes; gateway.max_request_line_bytes; "
     "gateway.max_reply_bytes; gateway.max_objects; gateway.once_window_ms; "
     "gateway.once_max_requests; gateway.once_max_bytes",
     NULL},
    {A,
     A "history: {max_bytes: 0, max_age_ms: 1000, max_page_messages: 1, max_page_bytes: 1024}\n"
       "state: {max_objects: 1, max_bytes: 1048576, reconcile_per_s: 1}\n"
       "heartbeat_ms: 10\nstop_timeout_ms: 10\nlog: {level: error}\n",
     "history.max_bytes; history.max_age_ms; history.max_page_messages; history.max_page_bytes; "
     "state.max_objects; state.max_bytes; state.reconcile_per_s; heartbeat_ms; stop_timeout_ms; "
     "log.level",
     NULL},
    {A,
     A "limits: {receive_buffer_bytes: 1024}\nio_threads: 2\n"
       "gateway: {enabled: false, endpoint: 'tcp://127.0.0.1:5559', feed_bytes: 65536,"
       " max_request_bytes: 131072}\n"
       "journal: {path: /tmp/j, max_bytes: 1048576, max_age_ms: 1000, commit_ms: 1}\n"
       "state: {enabled: false}\nstop_timeout_ms: 10\n",
     "journal.max_bytes; journal.max_age_ms; journal.commit_ms; stop_timeout_ms",
     "limits.receive_buffer_bytes, gateway.enabled, gateway.endpoint, gateway.max_request_bytes, "
     "gateway.feed_bytes, journal.path, state.enabled, io_threads"},
};

static struct config *load_nodes(const char *text)
{
    char *whole = NULL;
    cr_assert_gt(asprintf(&whole, "nodes:\n%s", text), 0);
    struct config *config = must_load(whole, NULL);
    free(whole);
    return config;
}

/* Each name in the place of `before`. */
static void place_like(struct config *config, const struct config *before)
{
    const char *taken[8] = {NULL};
    for (unsigned i = 0; i < before->nodes_count; i++) {
        taken[i] = before->nodes[i].name;
    }
    cr_assert_eq(config_place_nodes(config, taken, before->nodes_count), ARIZMQ_OK);
}

Test(reload_plan, says_what_changes)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct config *before = load_nodes(pairs[i].before);
        struct config *after = load_nodes(pairs[i].after);
        place_like(after, before);
        struct reload_plan *plan = NULL;
        cr_assert_eq(reload_plan_create(before, after, &plan), ARIZMQ_OK);
        char changes[4096];
        char restart[1024];
        reload_plan_print(plan, changes, sizeof changes);
        reload_plan_print_restart(plan, restart, sizeof restart);
        cr_expect_str_eq(changes, pairs[i].changes, "pair %zu: %s", i, changes);
        cr_expect_str_eq(restart, pairs[i].restart ? pairs[i].restart : "", "pair %zu: %s", i,
                         restart);
        cr_expect_eq(reload_plan_is_empty(plan), pairs[i].changes[0] == '\0', "pair %zu", i);
        reload_plan_destroy(&plan);
        config_destroy(&before);
        config_destroy(&after);
    }
}

/* What needs a restart keeps its value, so that the next reload tells of it again and nothing else
 * acts on it. */
Test(reload_plan, what_needs_a_restart_stays_as_it_is)
{
    struct config *before =
        load_nodes(A "publish: [" EVENTS "]\njournal: {path: /tmp/j}\nio_threads: 3\n");
    struct config *after =
        load_nodes(A "publish: [{view: objects, endpoint: 'tcp://127.0.0.1:5555',"
                     " topic: '{id}/', sndhwm: 7}]\n"
                     "gateway: {endpoint: 'tcp://127.0.0.1:7777', enabled: false}\n");
    place_like(after, before);
    struct reload_plan *plan = NULL;
    cr_assert_eq(reload_plan_create(before, after, &plan), ARIZMQ_OK);
    cr_expect_eq(after->publish[0].view, CONFIG_VIEW_EVENTS);
    cr_expect_null(after->publish[0].topic);
    cr_expect_eq(after->publish[0].sndhwm, before->publish[0].sndhwm);
    cr_expect_str_eq(after->gateway.endpoint, "tcp://127.0.0.1:5558");
    cr_expect(after->gateway.enabled);
    cr_expect_str_eq(after->journal.path, "/tmp/j");
    cr_expect_eq(after->io_threads, 3);
    reload_plan_destroy(&plan);
    config_destroy(&before);
    config_destroy(&after);
}

Test(reload_plan, slots_and_views_for_those_who_carry_it_out)
{
    struct config *before = load_nodes(NODE("a", "") NODE("b", "") NODE("c", ""));
    struct config *after = load_nodes(
        "  - {name: c, url: 'ws://z/ari', username: u, password: p,"
        " apps: [x]}\n" NODE("d", "") NODE(
            "a",
            ", liveness_ms: 5000") "publish: [{view: objects, endpoint: 'tcp://127.0.0.1:5556'},"
                                   " {view: events, endpoint: 'ipc:///tmp/n'}]\n");
    place_like(after, before);
    struct reload_plan *plan = NULL;
    cr_assert_eq(reload_plan_create(before, after, &plan), ARIZMQ_OK);
    cr_assert_eq(plan->slots_count, 4);
    cr_expect_eq(plan->slots[0], 0);
    cr_expect_eq(plan->slots[1], RELOAD_IS_REMOVED);
    cr_expect_eq(plan->slots[2], RELOAD_IS_HANDED_OVER);
    cr_expect_eq(plan->slots[3], RELOAD_IS_ADDED);
    cr_expect_eq(plan->view_from[0], 1);
    cr_expect_eq(plan->view_from[1], -1);
    cr_expect(reload_app_is_removed(plan, 1, "x"));
    cr_expect_not(reload_app_is_removed(plan, 0, "x"));
    cr_expect(reload_app_is_removed(plan, 0, "y"));
    reload_plan_destroy(&plan);
    config_destroy(&before);
    config_destroy(&after);
}

static void change_file(const char *path, const char *content)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(content, file);
    fclose(file);
}

/* The same configuration, read again after a file that it names has changed. */
Test(reload_plan, a_changed_password_file_is_a_change)
{
    char *path = NULL;
    write_file("old", 3, &path);
    char *text = NULL;
    cr_assert_gt(asprintf(&text,
                          "  - {name: a, url: 'ws://h/ari', username: u, password_file: '%s',"
                          " apps: [x]}\n",
                          path),
                 0);
    struct config *before = load_nodes(text);
    struct config *same = load_nodes(text);
    change_file(path, "new\n");
    struct config *after = load_nodes(text);
    unlink(path);
    struct reload_plan *plan = NULL;
    cr_assert_eq(reload_plan_create(before, same, &plan), ARIZMQ_OK);
    cr_expect(reload_plan_is_empty(plan));
    reload_plan_destroy(&plan);
    cr_assert_eq(reload_plan_create(before, after, &plan), ARIZMQ_OK);
    char changes[256];
    reload_plan_print(plan, changes, sizeof changes);
    cr_expect_str_eq(changes, "node a: password (hand-over)");
    reload_plan_destroy(&plan);
    config_destroy(&before);
    config_destroy(&same);
    config_destroy(&after);
    free(text);
    free(path);
}

Test(reload_plan, a_line_that_is_too_long_says_how_much_is_missing)
{
    struct config *before = load_nodes(A);
    struct config *after =
        load_nodes(A NODE("b1", "") NODE("b2", "") NODE("b3", "") NODE("b4", ""));
    place_like(after, before);
    struct reload_plan *plan = NULL;
    cr_assert_eq(reload_plan_create(before, after, &plan), ARIZMQ_OK);
    char changes[64];
    reload_plan_print(plan, changes, sizeof changes);
    cr_expect_str_eq(changes, "node b1 added; node b2 added; and 2 more");
    reload_plan_destroy(&plan);
    config_destroy(&before);
    config_destroy(&after);
}
