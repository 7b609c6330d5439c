/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's own counters against the books: what GET arizmq/nodes said when all was over must
 * add up, and be what was published and refused in that run.
 */
#include "ledger.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

struct published {
    uint64_t events;
    uint64_t refused_size;
    uint64_t refused_utf8;
};

/* Whether the topic, TYPE/APP/NODE/…, is of that link. */
static bool is_of(const char *topic, const char *node, const char *app)
{
    const char *at = strchr(topic, '/');
    size_t app_length = strlen(app);
    size_t node_length = strlen(node);
    return at != NULL && strncmp(at + 1, app, app_length) == 0 && at[1 + app_length] == '/' &&
           strncmp(at + 2 + app_length, node, node_length) == 0 &&
           at[2 + app_length + node_length] == '/';
}

static bool member_is(const json_t *event, const char *member, const char *wanted)
{
    const char *text = json_string_value(json_object_get(event, member));
    return text != NULL && strcmp(text, wanted) == 0;
}

/* An ArizmqRefused, by what it says itself. */
static void count_refused(struct published *sums, const struct slot *slot, const char *node,
                          const char *app)
{
    json_t *event = json_loads(slot_event(slot), 0, NULL);
    if (member_is(event, "node", node) && member_is(event, "application", app)) {
        sums->refused_size += member_is(event, "limit", "max_event_bytes");
        sums->refused_utf8 += member_is(event, "limit", "utf8");
    }
    json_decref(event);
}

static struct published count_books(const struct epoch *epoch, const char *node, const char *app)
{
    struct published sums = {0};
    const struct book *book = &epoch->books[VIEW_EVENTS];
    for (uint32_t i = 1; i <= book->count; i++) {
        const struct slot *slot = &book->slots[i];
        if (slot->counts > 0 && slot_is_own(slot, "ArizmqRefused")) {
            count_refused(&sums, slot, node, app);
        }
        sums.events += slot->counts > 0 && !slot_is_own(slot, "") && is_of(slot->topic, node, app);
    }
    return sums;
}

static uint64_t number_of(const json_t *object, const char *member)
{
    const json_t *number = json_object_get(object, member);
    if (!json_is_integer(number)) {
        ledger_give_up(member, "is no number among the counters");
    }
    return (uint64_t)json_integer_value(number);
}

static void expect(struct ledger *ledger, const char *node, const char *app, const char *what,
                   uint64_t counter, uint64_t books)
{
    if (counter != books) {
        ledger_fault(ledger, "%s/%s: the bridge counts %" PRIu64 " %s, the books have %" PRIu64,
                     node, app, counter, what, books);
    }
}

static void check_app(struct ledger *ledger, const struct epoch *epoch, const char *node,
                      const json_t *json)
{
    const char *app = json_string_value(json_object_get(json, "name"));
    const json_t *events = json_object_get(json, "events");
    const json_t *refused = json_object_get(events, "refused");
    uint64_t received = number_of(events, "received");
    uint64_t published = number_of(events, "published");
    uint64_t responses = number_of(events, "responses");
    uint64_t size = number_of(refused, "size");
    uint64_t utf8 = number_of(refused, "utf8");
    uint64_t memory = number_of(refused, "memory");
    struct published books = count_books(epoch, node, app);
    if (received != published + responses + size + utf8 + memory) {
        ledger_fault(ledger,
                     "%s/%s: received %" PRIu64 " is not published %" PRIu64 " + responses %" PRIu64
                     " + refused %" PRIu64 " + %" PRIu64 " + %" PRIu64,
                     node, app, received, published, responses, size, utf8, memory);
    }
    expect(ledger, node, app, "published", published, books.events);
    expect(ledger, node, app, "refused for their size", size, books.refused_size);
    expect(ledger, node, app, "refused for not being UTF-8", utf8, books.refused_utf8);
    ledger_report(ledger,
                  "counters    %s/%s: received %" PRIu64 " = published %" PRIu64
                  " + responses %" PRIu64 " + refused %" PRIu64 " + %" PRIu64 " + %" PRIu64,
                  node, app, received, published, responses, size, utf8, memory);
}

void counters_check(struct ledger *ledger, const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    const json_t *number = json_object_get(json, "epoch");
    const struct epoch *epoch =
        json_is_integer(number) ? ledger_find_epoch(ledger, (uint64_t)json_integer_value(number))
                                : NULL;
    if (epoch == NULL) {
        ledger_give_up(path, json == NULL ? error.text : "is of no epoch that anybody saw");
    }
    const json_t *nodes = json_object_get(json, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const json_t *apps = json_object_get(node, "apps");
        for (size_t k = 0; k < json_array_size(apps); k++) {
            check_app(ledger, epoch, json_string_value(json_object_get(node, "name")),
                      json_array_get(apps, k));
        }
    }
    json_decref(json);
}
