/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The books: what was published, message by message, as all subscribers together got it. Each
 * message has its place by its view's count[0]; where two got different ones in the same place, one
 * of them is wrong.
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "flood_event.h"

/* --- the head of a file, and its names */

/* As libarizmq has it: the tokens of the prefix, a begun one among them. */
static unsigned depth_of(const char *prefix)
{
    unsigned depth = 0;
    for (const char *at = prefix; *at != '\0'; at++) {
        depth += *at == '/' || at[1] == '\0';
    }
    return depth;
}

static bool is_covered(const json_t *prefixes, size_t index)
{
    const char *prefix = json_string_value(json_array_get(prefixes, index));
    for (size_t i = 0; i < json_array_size(prefixes); i++) {
        const char *other = json_string_value(json_array_get(prefixes, i));
        bool is_same = strcmp(prefix, other) == 0;
        if (i != index && strncmp(prefix, other, strlen(other)) == 0 && (!is_same || i < index)) {
            return true;
        }
    }
    return false;
}

static void take_head(struct subscriber *subscriber, const char *text)
{
    json_t *head = json_loads(text, 0, NULL);
    const json_t *prefixes = json_object_get(head, "prefixes");
    const char *name = json_string_value(json_object_get(head, "name"));
    const char *view = json_string_value(json_object_get(head, "view"));
    if (name == NULL || view == NULL || json_array_size(prefixes) == 0 ||
        json_array_size(prefixes) > 32) {
        ledger_give_up(text, "is no head of a record file");
    }
    snprintf(subscriber->name, sizeof subscriber->name, "%s", name);
    subscriber->view = strcmp(view, "events") == 0 ? VIEW_EVENTS : VIEW_OBJECTS;
    subscriber->repairs = json_is_true(json_object_get(head, "repairs"));
    subscriber->is_books = json_is_true(json_object_get(head, "books"));
    for (size_t i = 0; i < json_array_size(prefixes); i++) {
        if (!is_covered(prefixes, i)) {
            unsigned k = subscriber->prefixes_count++;
            subscriber->prefixes[k] = strdup(json_string_value(json_array_get(prefixes, i)));
            subscriber->depth[k] = depth_of(subscriber->prefixes[k]);
        }
    }
    json_decref(head);
}

bool subscriber_take(struct ledger *ledger, struct subscriber *subscriber,
                     const struct record *record, const char *text)
{
    switch ((enum record_kind)record->kind) {
    case RECORD_SUBSCRIBER:
        take_head(subscriber, text);
        return false;
    case RECORD_EPOCH:
        if (subscriber->epochs_count + 1 == EPOCHS_MAX) {
            ledger_give_up(subscriber->name, "too many epochs");
        }
        subscriber->epochs[++subscriber->epochs_count] =
            ledger_find_epoch(ledger, strtoull(text, NULL, 10));
        return false;
    case RECORD_LINK:
        if (subscriber->links_count + 1 == LINKS_MAX) {
            ledger_give_up(subscriber->name, "too many links");
        }
        subscriber->links[++subscriber->links_count] =
            (uint16_t)(ledger_link(ledger, text) - ledger->links + 1);
        return false;
    case RECORD_ENDED: /* of a stream that nothing ever came from: without an epoch */
        return false;
    default:
        if (record->epoch == 0 || record->epoch > subscriber->epochs_count ||
            record->link > subscriber->links_count) {
            ledger_give_up(subscriber->name, "a record of an epoch or link that has no name");
        }
        return record->kind == RECORD_MESSAGE || record->kind == RECORD_OTHER;
    }
}

void subscriber_release(struct subscriber *subscriber)
{
    for (unsigned i = 0; i < subscriber->prefixes_count; i++) {
        free(subscriber->prefixes[i]);
    }
}

/* --- epochs */

static int compare_epochs(const void *left, const void *right)
{
    const struct epoch *a = left;
    const struct epoch *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

void books_find_epochs(struct ledger *ledger, const char *path)
{
    struct record_file file;
    size_t at = 0;
    const struct record *record = NULL;
    const char *text = NULL;
    if (ledger->epochs == NULL) {
        ledger->epochs = calloc(EPOCHS_MAX, sizeof *ledger->epochs);
    }
    record_file_open(&file, path);
    while ((record = record_next(&file, &at, &text)) != NULL) {
        uint64_t number = record->kind == RECORD_EPOCH ? strtoull(text, NULL, 10) : 0;
        if (number == 0 || ledger_find_epoch(ledger, number) != NULL) {
            continue;
        }
        if (ledger->epochs == NULL || ledger->epochs_count == EPOCHS_MAX) {
            ledger_give_up(path, "too many epochs");
        }
        ledger->epochs[ledger->epochs_count++].number = number;
    }
    qsort(ledger->epochs, ledger->epochs_count, sizeof *ledger->epochs, compare_epochs);
    record_file_close(&file);
}

/* --- messages */

static char *copy_text(const char *text, size_t bytes)
{
    char *copy = malloc(bytes);
    if (copy == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
    memcpy(copy, text, bytes);
    return copy;
}

static void take_message(struct ledger *ledger, const struct subscriber *subscriber,
                         const struct record *record, const char *text)
{
    struct epoch *epoch = subscriber->epochs[record->epoch];
    struct book *book = &epoch->books[subscriber->view];
    uint32_t number = record->count[0];
    uint16_t link = subscriber->links[record->link];
    if (number == 0 || record->counts != RECORD_COUNTS) {
        ledger_fault(ledger, "%s: seq %u has a count[0] of %u and %u counts", subscriber->name,
                     record->seq, number, record->counts);
        return;
    }
    book->slots = ledger_grow(book->slots, &book->capacity, number, sizeof *book->slots);
    book->count = number > book->count ? number : book->count;
    struct slot *slot = &book->slots[number];
    if (slot->counts > 0) {
        if (slot->content != record->content || slot->stamp != record->stamp ||
            slot->seq != record->seq || slot->serial != record->serial || slot->link != link) {
            ledger_fault(ledger,
                         "%s: message %u (seq %u, serial %u) is not what others got, or got from "
                         "history (seq %u, serial %u)",
                         subscriber->name, number, record->seq, record->serial, slot->seq,
                         slot->serial);
        }
        return;
    }
    *slot = (struct slot){.content = record->content,
                          .stamp = record->stamp,
                          .seq = record->seq,
                          .serial = record->serial,
                          .link = link,
                          .counts = record->counts};
    memcpy(slot->count, record->count, sizeof slot->count);
    if (record->kind == RECORD_OTHER) {
        slot->text = copy_text(text, record->text_bytes);
    }
}

static void take_beat(const struct subscriber *subscriber, const struct record *record)
{
    struct epoch *epoch = subscriber->epochs[record->epoch];
    enum view view = subscriber->view;
    uint32_t count = epoch->beats_count[view];
    /* Room for a power of two, so that it need not be remembered. */
    if ((count & (count - 1)) == 0) {
        epoch->beats[view] =
            realloc(epoch->beats[view], (count > 0 ? 2 * count : 1) * sizeof(struct beat));
        if (epoch->beats[view] == NULL) {
            ledger_give_up("memory", "there is not enough");
        }
    }
    epoch->beats[view][epoch->beats_count[view]++] =
        (struct beat){.seq = record->seq, .count = record->count[0]};
}

void books_read(struct ledger *ledger, const char *path)
{
    struct record_file file;
    static struct subscriber subscriber;
    size_t at = 0;
    const struct record *record = NULL;
    const char *text = NULL;
    subscriber = (struct subscriber){.name = "?"};
    record_file_open(&file, path);
    while ((record = record_next(&file, &at, &text)) != NULL) {
        if (subscriber_take(ledger, &subscriber, record, text)) {
            take_message(ledger, &subscriber, record, text);
        } else if (record->kind == RECORD_HEARTBEAT) {
            take_beat(&subscriber, record);
        }
    }
    subscriber_release(&subscriber);
    record_file_close(&file);
}

/* --- what is in them */

static char *put_token(char *out, const char *token)
{
    out = stpcpy(out, token);
    *out++ = '/';
    return out;
}

void slot_make_topic(const struct ledger *ledger, struct slot *slot, enum view view)
{
    char topic[TOPIC_MAX];
    char *end = topic;
    if (slot->text != NULL) {
        slot->topic = slot->text;
        return;
    }
    const struct link *link = &ledger->links[slot->link - 1];
    struct flood_event event;
    flood_event_describe(link->app, slot->serial, &event);
    if (view == VIEW_EVENTS) {
        end = put_token(end, event.type);
        end = put_token(end, link->app);
        end = put_token(end, link->node);
        end = put_token(end, event.object[0].id);
    } else {
        unsigned object = slot->object < event.objects ? slot->object : event.objects - 1;
        end = put_token(end, event.object[object].kind);
        end = put_token(end, event.object[object].id);
        end = put_token(end, event.type);
        end = put_token(end, link->node);
    }
    slot->topic = ledger_keep(topic, (size_t)(end - topic));
}

const char *slot_event(const struct slot *slot)
{
    return slot->text != NULL ? slot->text + strlen(slot->text) + 1 : "";
}

bool slot_is_own(const struct slot *slot, const char *type)
{
    static const char begin[] = "{\"type\":\"";
    const char *event = slot_event(slot);
    size_t used = sizeof begin - 1;
    if (strncmp(event, begin, used) != 0 || strncmp(event + used, "Arizmq", 6) != 0 ||
        strncmp(event + used, "ArizmqUnparsed", 14) == 0) {
        return false;
    }
    size_t length = strlen(type);
    return length == 0 || (strncmp(event + used, type, length) == 0 && event[used + length] == '"');
}
