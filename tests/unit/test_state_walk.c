/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Snapshots while the state changes under them: each shows the moment at which it was begun, as a
 * copy of the model taken then does.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "arizmq/error.h"
#include "keep/state_walk.h"
#include "random_json.h"
#include "state_model.h"

enum { ALL_KINDS = (1 << OBJECT_KINDS) - 1 };

static const char *const names[MODEL_LINKS][2] = {
    {"pbx1", "ivr"}, {"pbx1", "lab"}, {"pbx2", "ivr"}};

static struct state *state;
static struct state_link *links[MODEL_LINKS];
static struct model model;
static uint64_t seq;
static uint64_t now_ns;
static uint64_t seed;

static void set_up(void)
{
    struct config_state config = {.enabled = true, .max_objects = 100000, .max_bytes = 1U << 30};
    cr_assert_eq(state_create(&config, &state), ARIZMQ_OK);
    for (unsigned i = 0; i < MODEL_LINKS; i++) {
        model.link[i].hears_all = i == 1;
        links[i] = state_open(state, names[i][0], names[i][1], i == 1);
        cr_assert_not_null(links[i]);
    }
    now_ns = 1795444501000000000U;
    seed = random_seed(7);
}

static void tear_down(void)
{
    for (unsigned i = 0; i < MODEL_LINKS; i++) {
        state_close(&links[i]);
    }
    cr_assert_eq(state_bytes(state), 0);
    state_destroy(&state);
}

TestSuite(state_walk, .init = set_up, .fini = tear_down);

static void change(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        now_ns += random_below(&seed, 300) * 1000000U;
        unsigned link = (unsigned)random_below(&seed, MODEL_LINKS);
        struct model_event event = model_random(&seed, now_ns);
        model_send(links[link], &event, ++seq);
        model_fold(&model.link[link], &event);
    }
}

Test(state_walk, shows_one_moment_however_much_changes_meanwhile)
{
    static struct model copy;
    unsigned rounds_with_changes = 0;
    for (unsigned round = 0; round < 1000; round++) {
        change(50);
        unsigned kinds = round % 3 == 0 ? ALL_KINDS : (unsigned)random_below(&seed, ALL_KINDS) + 1;
        copy = model;
        uint64_t begun = seq;
        cr_assert_eq(state_walk_begin(state, kinds, NULL, NULL, begun), ARIZMQ_OK);
        struct snapshot *snapshot = NULL;
        while ((snapshot = state_walk_on(state, (unsigned)random_below(&seed, 10) + 1)) == NULL) {
            change((unsigned)random_below(&seed, 12));
        }
        rounds_with_changes += seq != begun;
        change(50); /* values are held, whatever becomes of their objects */
        cr_assert_eq(snapshot->seq, begun);
        cr_assert_eq(snapshot->links_count, MODEL_LINKS);
        model_assert_snapshot(&copy, snapshot, kinds);
        snapshot_destroy(&snapshot);
        cr_assert_null(snapshot);
    }
    cr_assert_gt(rounds_with_changes, 500, "nothing changed, which proves nothing");
}

Test(state_walk, takes_only_the_links_that_are_asked_for)
{
    static const struct {
        const char *node;
        const char *application;
        unsigned links[3]; /* which, and how many */
        unsigned count;
    } rows[] = {
        {"pbx1", NULL, {0, 1}, 2}, {NULL, "ivr", {0, 2}, 2}, {"pbx2", "ivr", {2}, 1},
        {"pbx2", "lab", {0}, 0},   {"pbx3", NULL, {0}, 0},
    };
    change(500);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_assert_eq(state_walk_begin(state, ALL_KINDS, rows[i].node, rows[i].application, 1),
                     ARIZMQ_OK);
        struct snapshot *snapshot = NULL;
        while ((snapshot = state_walk_on(state, 7)) == NULL) {
        }
        cr_assert_eq(snapshot->links_count, rows[i].count);
        static struct model wanted;
        for (unsigned k = 0; k < rows[i].count; k++) {
            wanted.link[k] = model.link[rows[i].links[k]];
            cr_assert_str_eq(snapshot->links[k].node, names[rows[i].links[k]][0]);
            cr_assert_str_eq(snapshot->links[k].application, names[rows[i].links[k]][1]);
            cr_assert_eq(snapshot->links[k].hears_all, rows[i].links[k] == 1);
        }
        model_assert_snapshot(&wanted, snapshot, ALL_KINDS);
        snapshot_destroy(&snapshot);
    }
}

Test(state_walk, says_what_the_link_is)
{
    state_set_up(links[0], true);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_OK);
    state_set_up(links[0], false); /* later */
    struct snapshot *snapshot = state_walk_on(state, 1000);
    cr_assert_not_null(snapshot);
    cr_assert(snapshot->links[0].is_up);
    cr_assert_not(snapshot->links[0].is_complete);
    cr_assert_not(snapshot->links[1].is_up);
    snapshot_destroy(&snapshot);
}

Test(state_walk, one_at_a_time)
{
    change(100);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_OK);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_ETOOLARGE);
    cr_assert_null(state_walk_on(state, 3));
    state_walk_abort(state);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_OK);
    struct snapshot *snapshot = state_walk_on(state, 100000);
    model_assert_snapshot(&model, snapshot, ALL_KINDS);
    snapshot_destroy(&snapshot);
}

/* A reload takes a link away, and adds one. */
Test(state_walk, a_link_that_goes_is_still_in_it_and_a_new_one_is_not)
{
    for (unsigned entries = 0; entries < 120; entries += 3) {
        change(100);
        static struct model copy;
        copy = model;
        cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_OK);
        struct snapshot *snapshot = entries > 0 ? state_walk_on(state, entries) : NULL;
        unsigned gone = entries % MODEL_LINKS;
        state_close(&links[gone]);
        struct state_link *added = state_open(state, "pbx9", "new", false);
        struct model_event event = {.kind = OBJECT_CHANNEL, .received_ns = now_ns};
        model_send(added, &event, ++seq);
        while (snapshot == NULL) {
            snapshot = state_walk_on(state, 5);
        }
        model_assert_snapshot(&copy, snapshot, ALL_KINDS);
        cr_assert_eq(snapshot->links_count, MODEL_LINKS);
        snapshot_destroy(&snapshot);
        state_close(&added);
        /* All again in their order. */
        for (unsigned i = 0; i < MODEL_LINKS; i++) {
            state_close(&links[i]);
        }
        for (unsigned i = 0; i < MODEL_LINKS; i++) {
            links[i] = state_open(state, names[i][0], names[i][1], i == 1);
        }
        memset(&model, 0, sizeof model);
        model.link[1].hears_all = true;
    }
}

Test(state_walk_end, outlives_the_state, .init = set_up)
{
    change(300);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 1), ARIZMQ_OK);
    struct snapshot *snapshot = state_walk_on(state, 100000);
    cr_assert_eq(state_walk_begin(state, ALL_KINDS, NULL, NULL, 2), ARIZMQ_OK);
    state_destroy(&state); /* one is under way */
    model_assert_snapshot(&model, snapshot, ALL_KINDS);
    snapshot_destroy(&snapshot);
}
