/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Each subscriber against the books: what it got live + what it got from history + what its
 * counters told as lost = what was published under its prefixes while it was subscribed. Nothing
 * twice, nothing out of order, nothing that was not published; and each lost message lies where a
 * loss was told.
 *
 * How far its counters can know: a prefix of depth 0 or 1 from the first heartbeat to the last one
 * (or to the last message of its counter), a deeper one from its counter's first message to the
 * last, because heartbeats do not list those.
 */
#include "ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is known of one watched counter: a topic's first tokens. */
struct key {
    uint64_t hash;  /* 0: free */
    uint32_t first; /* count[0] */
    uint32_t last;
};

struct loss {
    const char *key;
    uint32_t after;
    uint32_t until;
    uint32_t missing;
};

/* The subscriber's part of one epoch. */
struct part {
    bool is_there;
    uint8_t *got; /* by count[0], a bit each */
    /* count[0] of: the heartbeat from which on all is expected, the last one, the last live
     * message. Not seq, which the messages of one event share. */
    uint32_t joined;
    uint32_t last_beat;
    uint32_t last_live;
    uint32_t last_got; /* the same, live or from history */
    struct key *keys;
    uint32_t keys_size; /* a power of two */
    uint32_t keys_used;
    struct loss *losses;
    uint32_t losses_count;
    uint32_t losses_capacity;
    uint64_t live;
    uint64_t repaired;
    uint64_t told;
};

struct account {
    struct ledger *ledger;
    struct subscriber subscriber;
    struct part *parts; /* as ledger.epochs */
    uint64_t expected;
    uint64_t missing;
    uint64_t unprovable; /* published during its stay, and beyond what its counters can know */
};

static void fault(struct account *account, const struct epoch *epoch, const struct record *record,
                  const char *what)
{
    ledger_fault_of_kind(account->ledger, what,
                         "%s: epoch %" PRIu64 ", message %u (seq %u, serial %u): %s",
                         account->subscriber.name, epoch->number, record->count[0], record->seq,
                         record->serial, what);
}

/* --- keys */

static struct key *part_find_key(struct part *part, uint64_t hash)
{
    uint64_t at = hash ^ hash >> 32;
    while (part->keys[at & (part->keys_size - 1)].hash != 0 &&
           part->keys[at & (part->keys_size - 1)].hash != hash) {
        at++;
    }
    return &part->keys[at & (part->keys_size - 1)];
}

static void part_grow_keys(struct part *part)
{
    struct key *old = part->keys;
    uint32_t old_size = part->keys_size;
    part->keys_size = old_size > 0 ? old_size * 2 : 64;
    part->keys = calloc(part->keys_size, sizeof *part->keys);
    if (part->keys == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
    for (uint32_t i = 0; i < old_size; i++) {
        if (old[i].hash != 0) {
            *part_find_key(part, old[i].hash) = old[i];
        }
    }
    free(old);
}

static uint64_t hash_key(const char *topic, unsigned depth)
{
    const char *end = topic;
    for (unsigned i = 0; i < depth; i++) {
        end = strchr(end, '/') + 1;
    }
    return record_hash(depth + 1, topic, (size_t)(end - topic)) | 1;
}

static void part_see_key(struct part *part, uint64_t hash, uint32_t number)
{
    if (part->keys_used * 2 >= part->keys_size) {
        part_grow_keys(part);
    }
    struct key *key = part_find_key(part, hash);
    if (key->hash == 0) {
        *key = (struct key){.hash = hash, .first = number};
        part->keys_used++;
    }
    key->first = number < key->first ? number : key->first;
    key->last = number > key->last ? number : key->last;
}

/* --- what the file says */

/* The index of the prefix that the topic begins with; -1: none. */
static int find_prefix(const struct subscriber *subscriber, const char *topic)
{
    for (unsigned i = 0; i < subscriber->prefixes_count; i++) {
        if (strncmp(topic, subscriber->prefixes[i], strlen(subscriber->prefixes[i])) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void take_message(struct account *account, struct part *part, const struct epoch *epoch,
                         const struct record *record)
{
    const struct book *book = &epoch->books[account->subscriber.view];
    uint32_t number = record->count[0];
    if (number == 0 || number > book->count) {
        return; /* told by books_read() */
    }
    const char *topic = book->slots[number].topic;
    int prefix = find_prefix(&account->subscriber, topic);
    if (prefix < 0) {
        fault(account, epoch, record, "it has not subscribed to that");
        return;
    }
    if (part->got[number / 8] >> number % 8 & 1) {
        fault(account, epoch, record, "it got this twice");
    }
    part->got[number / 8] |= (uint8_t)(1U << number % 8);
    part->last_got = number > part->last_got ? number : part->last_got;
    if (number <= part->joined) {
        fault(account, epoch, record, "it had not joined yet");
    }
    if (!record->repaired) {
        if (number < part->last_live) {
            fault(account, epoch, record, "it got this behind a later one");
        }
        part->last_live = number;
        part->live++;
    } else {
        part->repaired++;
    }
    part_see_key(part, hash_key(topic, account->subscriber.depth[prefix]), number);
}

static void take_loss(struct account *account, struct part *part, const struct record *record,
                      const char *key)
{
    (void)account;
    part->losses =
        ledger_grow(part->losses, &part->losses_capacity, part->losses_count, sizeof *part->losses);
    part->losses[part->losses_count++] = (struct loss){
        .key = key, .after = record->seq, .until = record->serial, .missing = record->count[0]};
    part->told += record->count[0];
}

static void take_record(struct account *account, const struct record *record, const char *text)
{
    bool is_message = subscriber_take(account->ledger, &account->subscriber, record, text);
    if (record->epoch == 0) {
        return;
    }
    struct epoch *epoch = account->subscriber.epochs[record->epoch];
    struct part *part = &account->parts[epoch - account->ledger->epochs];
    if (!part->is_there) {
        part->is_there = true;
        part->got = calloc(epoch->books[account->subscriber.view].count / 8 + 1, 1);
        if (part->got == NULL) {
            ledger_give_up("memory", "there is not enough");
        }
    }
    if (is_message) {
        take_message(account, part, epoch, record);
    } else if (record->kind == RECORD_JOINED) {
        part->joined = record->count[0];
        part->last_beat = record->count[0];
    } else if (record->kind == RECORD_HEARTBEAT && record->count[0] > part->last_beat) {
        part->last_beat = record->count[0];
    } else if (record->kind == RECORD_LOST) {
        take_loss(account, part, record, text);
    }
}

/* --- what it should have got */

/* Whether the counters would have told, had the message not come. */
static bool is_provable(const struct account *account, struct part *part, uint32_t number,
                        const char *topic, unsigned prefix)
{
    unsigned depth = account->subscriber.depth[prefix];
    struct key none = {0};
    struct key *key = part->keys_size > 0 ? part_find_key(part, hash_key(topic, depth)) : &none;
    bool is_seen = key->hash != 0;
    if (depth > 1) {
        return is_seen && number >= key->first && number <= key->last;
    }
    uint32_t end = is_seen && key->last > part->last_beat ? key->last : part->last_beat;
    return number > part->joined && number <= end;
}

static bool is_told(const struct part *part, uint32_t seq, const char *topic)
{
    for (uint32_t i = 0; i < part->losses_count; i++) {
        const struct loss *loss = &part->losses[i];
        if (seq > loss->after && seq <= loss->until &&
            strncmp(topic, loss->key, strlen(loss->key)) == 0) {
            return true;
        }
    }
    return false;
}

static void check_part(struct account *account, struct part *part, const struct epoch *epoch)
{
    const struct book *book = &epoch->books[account->subscriber.view];
    uint64_t missing = 0;
    uint64_t expected = 0;
    uint32_t end = part->last_got > part->last_beat ? part->last_got : part->last_beat;
    end = end < book->count ? end : book->count;
    for (uint32_t number = part->joined + 1; number <= end; number++) {
        const struct slot *slot = &book->slots[number];
        bool is_got = part->got[number / 8] >> number % 8 & 1;
        if (slot->counts == 0) {
            continue; /* got by nobody: whose it was is not known */
        }
        const char *topic = slot->topic;
        int prefix = find_prefix(&account->subscriber, topic);
        if (prefix < 0) {
            continue;
        }
        if (!is_got && !is_provable(account, part, number, topic, (unsigned)prefix)) {
            account->unprovable++;
            continue;
        }
        expected++;
        if (is_got) {
            continue;
        }
        missing++;
        if (!is_told(part, slot->seq, topic)) {
            ledger_fault(account->ledger,
                         "%s: epoch %" PRIu64 ": message %u (seq %u, %s) did not come, and its "
                         "counters did not tell",
                         account->subscriber.name, epoch->number, number, slot->seq, topic);
        }
    }
    /* Where nobody got some, they may be among those it was told of. */
    if (part->told < missing || part->told > missing + book->holes) {
        ledger_fault(account->ledger,
                     "%s: epoch %" PRIu64 ": %" PRIu64 " messages did not come, its counters told "
                     "of %" PRIu64,
                     account->subscriber.name, epoch->number, missing, part->told);
    }
    account->expected += expected;
    account->missing += missing;
}

/* An epoch between its first and its last of which it heard nothing. */
static void check_unheard(struct account *account, unsigned first, unsigned last)
{
    for (unsigned i = first; i < last; i++) {
        if (!account->parts[i].is_there && account->ledger->epochs[i].has_stopped) {
            ledger_fault(account->ledger, "%s: heard nothing of epoch %" PRIu64,
                         account->subscriber.name, account->ledger->epochs[i].number);
        }
    }
}

static void check_all(struct account *account)
{
    uint64_t live = 0;
    uint64_t repaired = 0;
    uint64_t told = 0;
    unsigned first = account->ledger->epochs_count;
    unsigned last = 0;
    for (unsigned i = 0; i < account->ledger->epochs_count; i++) {
        struct part *part = &account->parts[i];
        if (!part->is_there) {
            continue;
        }
        check_part(account, part, &account->ledger->epochs[i]);
        live += part->live;
        repaired += part->repaired;
        told += part->told;
        first = i < first ? i : first;
        last = i;
    }
    check_unheard(account, first, last);
    ledger_report(
        account->ledger,
        "subscriber  %s: %" PRIu64 " published to it = %" PRIu64 " got + %" PRIu64
        " from history + %" PRIu64 " told as lost; %" PRIu64 " beyond what its counters can know",
        account->subscriber.name, account->expected, live, repaired, told, account->unprovable);
    if (account->subscriber.is_books && told > 0) {
        ledger_report(account->ledger, "            it keeps the books, and has lost some");
    }
}

void subscriber_check(struct ledger *ledger, const char *path)
{
    struct record_file file;
    size_t at = 0;
    const struct record *record = NULL;
    const char *text = NULL;
    static struct account account;
    account = (struct account){.ledger = ledger, .subscriber = {.name = "?"}};
    account.parts = calloc(ledger->epochs_count + 1, sizeof *account.parts);
    if (account.parts == NULL) {
        ledger_give_up("memory", "there is not enough");
    }
    record_file_open(&file, path);
    while ((record = record_next(&file, &at, &text)) != NULL) {
        take_record(&account, record, text);
    }
    check_all(&account);
    for (unsigned i = 0; i < ledger->epochs_count; i++) {
        free(account.parts[i].got);
        free(account.parts[i].keys);
        free(account.parts[i].losses);
    }
    free(account.parts);
    subscriber_release(&account.subscriber);
    record_file_close(&file);
}
