/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The flood of numbered events and its truth log: what is written, what is dropped, and that the
 * log says so. Also that its events are events: calls that come, change and go.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flood_event.h"
#include "test_support.h"

TestSuite(fake_flood, .timeout = 120);

static const char entity[] = "02:00:00:00:00:22";

static char truth_path[] = "/tmp/arizmq-truth-XXXXXX";

static struct fake *start_with_truth(void)
{
    struct fake *fake = test_start(NULL);
    int fd = mkstemp(truth_path);
    cr_assert_geq(fd, 0);
    close(fd);
    fake_do(fake, "truth %s", truth_path);
    return fake;
}

/* One line of the truth log for each event. */
struct fate {
    unsigned connection; /* 0: dropped */
    unsigned times;
};

enum { EVENTS_MAX = 5000 };

struct truth {
    struct fate ivr[EVENTS_MAX + 1];
    struct fate queue[EVENTS_MAX + 1];
    char flood[256]; /* the last line that began a flood */
};

static void read_run(struct truth *truth, const char *line)
{
    char app[FLOOD_APP_MAX + 1] = "";
    uint64_t wall_ns = 0;
    unsigned connection = 0;
    uint64_t first = 0;
    uint64_t last = 0;
    const char *at = strchr(line, ' ');
    cr_assert_eq(sscanf(at, "%" SCNu64 " %64s %u %" SCNu64 " %" SCNu64, &wall_ns, app, &connection,
                        &first, &last),
                 5, "%s", line);
    cr_assert_gt(wall_ns, UINT64_C(1700000000000000000));
    cr_assert(first > 0 && first <= last && last <= EVENTS_MAX, "%s", line);
    cr_assert_eq(strncmp(line, "sent ", 5) == 0, connection > 0, "%s", line);
    struct fate *fates = strcmp(app, "ivr") == 0 ? truth->ivr : truth->queue;
    for (uint64_t i = first; i <= last; i++) {
        fates[i].connection = connection;
        fates[i].times++;
    }
}

static struct truth *stop_and_read_truth(struct fake **fake)
{
    test_stop(fake);
    struct truth *truth = calloc(1, sizeof *truth);
    FILE *file = fopen(truth_path, "r");
    cr_assert(truth != NULL && file != NULL);
    char line[256];
    cr_assert_not_null(fgets(line, sizeof line, file));
    cr_assert_str_eq(line, "truth 1 02:00:00:00:00:22\n");
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "flood ", 6) == 0) {
            strcpy(truth->flood, line);
        } else {
            read_run(truth, line);
        }
    }
    fclose(file);
    unlink(truth_path);
    return truth;
}

static void expect_event(struct client *client, const char *app, uint64_t serial)
{
    struct flood_event event;
    flood_event_make(app, entity, serial, &event);
    cr_assert_eq(event.length, strlen(event.text));
    test_expect_text(client, event.text);
}

static const char *await_done(struct fake *fake)
{
    const char *line = fake_await_event(fake, "flood done", 20000);
    cr_assert_not_null(line);
    return line;
}

Test(fake_flood, sends_numbered_events_and_says_so)
{
    struct fake *fake = start_with_truth();
    struct client *ivr = client_open(fake->port, TARGET);
    struct client *queue = client_open(fake->port, "/ari/events?app=queue");
    fake_do(fake, "flood 5000 1000000 ivr queue");
    for (uint64_t i = 1; i <= 2500; i++) {
        expect_event(ivr, "ivr", i);
        expect_event(queue, "queue", i);
    }
    cr_assert_eq(fake_number(await_done(fake), "sent"), 5000);
    fake_do(fake, "flood 2 1000 ivr"); /* the numbers go on */
    expect_event(ivr, "ivr", 2501);
    expect_event(ivr, "ivr", 2502);
    await_done(fake);
    struct truth *truth = stop_and_read_truth(&fake);
    for (unsigned i = 1; i <= 2503; i++) {
        cr_assert(truth->ivr[i].times == (i <= 2502) && truth->ivr[i].connection == (i <= 2502));
        cr_assert(truth->queue[i].times == (i <= 2500));
        cr_assert(truth->queue[i].connection == (i <= 2500 ? 2 : 0));
    }
    free(truth);
    client_destroy(&ivr);
    client_destroy(&queue);
}

Test(fake_flood, keeps_to_its_rate)
{
    struct fake *fake = test_start(NULL);
    fake_do(fake, "flood 500 1000 ivr");
    long long elapsed_us = fake_number(await_done(fake), "elapsed_us");
    cr_assert_geq(elapsed_us, 499000);
    fake_do(fake, "flood 100000000 10 ivr");
    cr_assert_str_eq(fake_command(fake, "flood 1 1 ivr"), "error flood: one is under way");
    cr_assert_leq(fake_number(fake_do(fake, "flood-status"), "events"), 100);
    fake_do(fake, "flood-stop");
    cr_assert_not_null(fake_await_event(fake, "flood stopped events=", 20000));
    cr_assert_str_eq(fake_command(fake, "flood-stop"), "error flood-stop: none is under way");
    test_stop(&fake);
}

/* What happens while nobody is there is dropped; what was written is not written again. */
Test(fake_flood, drops_what_nobody_is_there_for)
{
    struct fake *fake = start_with_truth();
    fake_do(fake, "flood 100 100000 ivr");
    cr_assert_eq(fake_number(await_done(fake), "dropped"), 100);
    struct client *first = client_open(fake->port, TARGET);
    fake_do(fake, "flood 100 100000 ivr");
    for (uint64_t i = 101; i <= 200; i++) {
        expect_event(first, "ivr", i);
    }
    await_done(fake);
    client_destroy(&first);
    cr_assert_not_null(fake_await_event(fake, "closed id=1", 20000));
    fake_do(fake, "flood 100 100000 ivr");
    await_done(fake);
    struct client *second = client_open(fake->port, TARGET);
    fake_do(fake, "flood 100 100000 ivr");
    for (uint64_t i = 301; i <= 400; i++) {
        expect_event(second, "ivr", i);
    }
    await_done(fake);
    struct truth *truth = stop_and_read_truth(&fake);
    for (unsigned i = 1; i <= 400; i++) {
        unsigned connection = i > 300 ? 2 : i > 100 && i <= 200 ? 1 : 0;
        cr_assert(truth->ivr[i].times == 1 && truth->ivr[i].connection == connection, "%u", i);
    }
    free(truth);
    client_destroy(&second);
}

/* Each event is written to exactly one of the two connections, each in order. */
Test(fake_flood, of_a_replaced_application_some_come_late)
{
    struct fake *fake = start_with_truth();
    struct client *old = client_open(fake->port, TARGET);
    fake_do(fake, "flood 4000 10000 ivr late=10");
    expect_event(old, "ivr", 1);
    struct client *new = client_open(fake->port, TARGET);
    await_done(fake);
    unsigned late = 0;
    struct truth *truth = stop_and_read_truth(&fake);
    for (unsigned i = 2; i <= 4000; i++) {
        cr_assert_eq(truth->ivr[i].times, 1);
        if (truth->ivr[i].connection == 1 && truth->ivr[i - 1].connection == 2) {
            late++;
        }
        if (truth->ivr[i].connection == 2) {
            expect_event(new, "ivr", i);
        }
    }
    cr_assert_eq(late, 5, "%u of 10 late events", late);
    char *text = NULL;
    for (unsigned i = 2; i <= 4000; i++) {
        if (truth->ivr[i].connection != 1) {
            continue;
        }
        struct flood_event event;
        flood_event_make("ivr", entity, i, &event);
        text = client_read_text(old);
        if (strstr(text, "\"ApplicationReplaced\"") != NULL) {
            free(text);
            text = client_read_text(old);
        }
        cr_assert_str_eq(text, event.text);
        free(text);
    }
    free(truth);
    client_destroy(&old);
    client_destroy(&new);
}

Test(fake_flood, breaks_some_on_purpose)
{
    struct fake *fake = start_with_truth();
    struct client *client = client_open(fake->port, TARGET);
    fake_do(fake, "flood 6 1000 ivr huge=3:70000 broken=5");
    for (unsigned i = 1; i <= 6; i++) {
        struct flood_event event;
        struct frame frame;
        flood_event_make("ivr", entity, i, &event);
        cr_assert(client_read_frame(client, &frame));
        size_t pad = i % 5 == 0 ? 1 : i % 3 == 0 ? 70000 : 0;
        cr_assert_eq(frame.length, event.length + (pad > 0 ? pad + strlen("\"pad\":\"\",") : 0));
        cr_assert_eq(memchr(frame.payload, 0xff, (size_t)frame.length) != NULL, i == 5);
        size_t rest = event.length - 1;
        cr_assert_eq(memcmp(frame.payload + frame.length - rest, event.text + 1, rest), 0);
    }
    await_done(fake);
    struct truth *truth = stop_and_read_truth(&fake);
    cr_assert_not_null(strstr(truth->flood, " 6 1000 huge=3:70000 broken=5\n"), "%s", truth->flood);
    free(truth);
    client_destroy(&client);
}

Test(fake_flood, refuses_what_it_does_not_understand)
{
    static const char *const commands[] = {"flood",
                                           "flood 1",
                                           "flood 1 2",
                                           "flood 0 1 a",
                                           "flood 1 0 a",
                                           "flood x 1 a",
                                           "flood 1 1 huge=3",
                                           "flood 1 1 late= a",
                                           "truth",
                                           "truth /no/such/directory/file"};
    struct fake *fake = test_start(NULL);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *answer = fake_command(fake, "%s", commands[i]);
        cr_assert_eq(strncmp(answer, "error ", 6), 0, "%s: %s", commands[i], answer);
    }
    test_stop(&fake);
}

static json_t *list_over_rest(const struct fake *fake, const char *target)
{
    int status = 0;
    char *body = test_get(fake, target, &status);
    cr_assert_eq(status, 200);
    json_t *json = json_loads(body, 0, NULL);
    free(body);
    return json;
}

static void expect_listed(const struct fake *fake, const char *target, const json_t *alive)
{
    json_t *listed = list_over_rest(fake, target);
    cr_assert_eq(json_array_size(listed), json_object_size(alive), "%s: %zu, not %zu", target,
                 json_array_size(listed), json_object_size(alive));
    size_t i = 0;
    json_t *value = NULL;
    json_array_foreach(listed, i, value)
    {
        const char *id = json_string_value(json_object_get(value, "id"));
        cr_assert(json_equal(value, json_object_get(alive, id)), "%s", id);
    }
    json_decref(listed);
}

static void fold(json_t *alive, const json_t *event, const char *member, const char *last_type)
{
    json_t *value = json_object_get(event, member);
    const char *id = json_string_value(json_object_get(value, "id"));
    if (id == NULL) {
        return;
    }
    if (strcmp(json_string_value(json_object_get(event, "type")), last_type) == 0) {
        json_object_del(alive, id);
    } else {
        json_object_set(alive, id, value);
    }
}

/* Who folds the events has what the REST lists show, at any moment. */
Test(fake_flood, lists_over_rest_what_its_events_made)
{
    struct fake *fake = test_start(NULL);
    json_t *channels = json_object();
    json_t *bridges = json_object();
    uint64_t serial = 0;
    for (unsigned round = 1; round <= 40; round++) {
        unsigned count = round * 7 % 97;
        fake_do(fake, "flood %u 1000000 ivr", count);
        await_done(fake);
        for (uint64_t end = serial + count; serial < end;) {
            struct flood_event event;
            flood_event_make("ivr", entity, ++serial, &event);
            json_t *json = json_loads(event.text, JSON_REJECT_DUPLICATES, NULL);
            cr_assert_str_eq(json_string_value(json_object_get(json, "type")), event.type);
            cr_assert_eq((uint64_t)json_integer_value(json_object_get(json, "serial")), serial);
            fold(channels, json, "channel", "ChannelDestroyed");
            fold(bridges, json, "bridge", "BridgeDestroyed");
            json_decref(json);
        }
        expect_listed(fake, "/ari/channels", channels);
        expect_listed(fake, "/ari/bridges", bridges);
    }
    cr_assert_gt(serial, 22 * FLOOD_LANES, "no call has ended");
    json_decref(channels);
    json_decref(bridges);
    test_stop(&fake);
}
