/* SPDX-License-Identifier: MPL-2.0 */
/*
 * One entry for each request id: a digest of what was asked and, once there is one, the reply. The
 * command thread looks up every request that has an id before it runs it, and stores every reply to
 * such a one. Answered entries are in a list in the order of their answers, from which they leave;
 * those under way are in no list and never leave by themselves. It sends nothing and waits for
 * nothing.
 */
#include "gateway/once.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

/* A failed allocation must not end the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum { DIGEST_BYTES = 32 };

/* SHA-256, of a request. */
struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

struct once_entry {
    UT_hash_handle hh;
    struct once_entry *prev, *next; /* utlist, of those that are answered */
    bool is_answered;
    uint64_t answered_ms;
    struct digest asked;
    struct once_reply reply;
    zmq_msg_t body;
    char *texts; /* of reply; NULL: none of them needs to be freed */
    size_t bytes;
    char key[]; /* see key_make() */
};

struct once {
    const struct config_gateway *config;
    EVP_MD *sha256;
    EVP_MD_CTX *context;
    uint64_t seed; /* so that nobody can choose ids that collide */
    struct once_entry *by_key;
    struct once_entry *answered; /* the one answered longest ago first */
    uint64_t bytes;
};

/* What is told where no memory was to be had for the reply itself. */
#define OWN_REPLY(identifier, status, word, reason)                                                \
    [REPLY_##identifier] = {                                                                       \
        .source = "bridge", .status_code = (status), .reason_phrase = (reason), .error = (word)},
static const struct reply own_replies[] = {REPLY_ERRORS(OWN_REPLY)};
#undef OWN_REPLY

int once_create(const struct config_gateway *config, struct once **out)
{
    struct once *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    self->config = config;
    self->seed = clock_wall_ns() ^ (uint64_t)(uintptr_t)self;
    self->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    self->context = EVP_MD_CTX_new();
    if (self->sha256 == NULL || self->context == NULL) {
        once_destroy(&self);
        return ARIZMQ_ENOMEM;
    }
    *out = self;
    return ARIZMQ_OK;
}

/* Forgets what the entry has of a reply. */
static void reply_clear(struct once *self, struct once_entry *entry)
{
    if (!entry->is_answered) {
        return;
    }
    DL_DELETE(self->answered, entry);
    self->bytes -= entry->bytes;
    zmq_msg_close(&entry->body);
    free(entry->texts);
    entry->texts = NULL;
    entry->bytes = 0;
    entry->is_answered = false;
}

static void entry_drop(struct once *self, struct once_entry *entry)
{
    reply_clear(self, entry);
    HASH_DEL(self->by_key, entry); /* NOLINT(clang-analyzer-core.NullDereference): it is in there */
    free(entry);
}

void once_destroy(struct once **self)
{
    if (*self == NULL) {
        return;
    }
    struct once_entry *entry = NULL;
    struct once_entry *next = NULL;
    HASH_ITER(hh, (*self)->by_key, entry, next)
    {
        entry_drop(*self, entry);
    }
    EVP_MD_CTX_free((*self)->context);
    EVP_MD_free((*self)->sha256);
    free(*self);
    *self = NULL;
}

/* The bytes under which uthash keeps an entry: seed, scope with its NUL, request id. No two pairs
 * have the same. */
struct key {
    size_t length;
    char bytes[sizeof(uint64_t) + ONCE_SCOPE_MAX + 1 + REQUEST_ID_MAX];
};

static struct key key_of(const struct once *self, const char *scope, const char *request_id)
{
    struct key key = {.length = sizeof self->seed};
    size_t scope_length = strlen(scope);
    size_t id_length = strlen(request_id);
    assert(scope_length <= ONCE_SCOPE_MAX && id_length <= REQUEST_ID_MAX);
    memcpy(key.bytes, &self->seed, sizeof self->seed);
    memcpy(key.bytes + key.length, scope, scope_length + 1);
    key.length += scope_length + 1;
    memcpy(key.bytes + key.length, request_id, id_length);
    key.length += id_length;
    return key;
}

static struct once_entry *entry_find(const struct once *self, const struct key *key)
{
    struct once_entry *entry = NULL;
    HASH_FIND(hh, self->by_key, key->bytes, key->length, entry);
    return entry;
}

/* NULL: no memory. */
static struct once_entry *entry_add(struct once *self, const struct key *key)
{
    struct once_entry *entry = calloc(1, sizeof *entry + key->length);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->key, key->bytes, key->length);
    HASH_ADD_KEYPTR(hh, self->by_key, entry->key, key->length, entry);
    if (entry->hh.tbl == NULL) { /* uthash found no memory */
        free(entry);
        return NULL;
    }
    return entry;
}

/* One field of the digest, behind its length, so that nothing can move from one into the next. One
 * that is not there differs from an empty one. */
static bool digest_add(EVP_MD_CTX *context, const char *bytes, size_t length)
{
    uint64_t prefix = bytes == NULL ? UINT64_MAX : length;
    return EVP_DigestUpdate(context, &prefix, sizeof prefix) == 1 &&
           (bytes == NULL || EVP_DigestUpdate(context, bytes, length) == 1);
}

static bool digest_add_text(EVP_MD_CTX *context, const char *text)
{
    return digest_add(context, text, text == NULL ? 0 : strlen(text));
}

/* Of all that a repetition must have in common with the first. False: no memory. */
static bool digest_make(struct once *self, const struct request *request, struct digest *out)
{
    EVP_MD_CTX *context = self->context;
    return EVP_DigestInit_ex2(context, self->sha256, NULL) == 1 &&
           digest_add_text(context, request->method) && digest_add_text(context, request->uri) &&
           digest_add_text(context, request->query) && digest_add_text(context, request->node) &&
           digest_add_text(context, request->app) &&
           digest_add_text(context, request->content_type) &&
           digest_add(context, request->body, request->body_length) &&
           EVP_DigestFinal_ex(context, out->bytes, NULL) == 1;
}

static bool is_over(const struct once *self, const struct once_entry *entry, uint64_t now_ms)
{
    return entry->is_answered && now_ms >= entry->answered_ms &&
           now_ms - entry->answered_ms >= self->config->once_window_ms;
}

static void evict_oldest(struct once *self)
{
    entry_drop(self, self->answered);
    metrics_add(METRIC_ONCE_EVICTED, 1);
}

static void evict_beyond_count(struct once *self)
{
    while (once_count(self) > self->config->once_max_requests && self->answered != NULL) {
        evict_oldest(self);
    }
}

/* But for the one that was answered last. */
static void evict_beyond_bytes(struct once *self)
{
    while (self->bytes > self->config->once_max_bytes && self->answered != NULL &&
           self->answered != self->answered->prev) {
        evict_oldest(self);
    }
}

enum once_verdict once_look_up(struct once *self, const char *scope, const struct request *request,
                               uint64_t now_ms, struct once_entry **entry)
{
    struct digest asked;
    if (!digest_make(self, request, &asked)) {
        return ONCE_NO_MEMORY;
    }
    struct key key = key_of(self, scope, request->request_id);
    struct once_entry *found = entry_find(self, &key);
    if (found != NULL && is_over(self, found, now_ms)) { /* once_expire() has not come by yet */
        entry_drop(self, found);
        found = NULL;
    }
    if (found != NULL && memcmp(&found->asked, &asked, sizeof asked) != 0) {
        return ONCE_CONFLICT;
    }
    if (found != NULL) {
        *entry = found;
        return found->is_answered ? ONCE_ANSWERED : ONCE_UNDER_WAY;
    }
    found = entry_add(self, &key);
    if (found == NULL) {
        return ONCE_NO_MEMORY;
    }
    found->asked = asked;
    evict_beyond_count(self);
    *entry = found;
    return ONCE_NEW;
}

const struct once_reply *once_reply(const struct once_entry *entry)
{
    assert(entry->is_answered);
    return &entry->reply;
}

/* Copies a text to *at and moves it on; NULL stays NULL. */
static const char *text_put(char **at, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    char *copy = *at;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

/* Makes reply's texts copies of their own, in *texts. False: no memory, and nothing was changed. */
static bool texts_copy(struct reply *reply, char **texts, size_t *size)
{
    const char **const all[] = {&reply->source, &reply->reason_phrase, &reply->content_type,
                                &reply->node, &reply->error};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        sum += *all[i] == NULL ? 0 : strlen(*all[i]) + 1;
    }
    char *at = malloc(sum);
    if (at == NULL) {
        return false;
    }
    *texts = at;
    *size = sum;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        *all[i] = text_put(&at, *all[i]);
    }
    return true;
}

/* What is kept of a reply; body NULL: none. */
static void reply_set(struct once *self, struct once_entry *entry, const struct reply *reply,
                      zmq_msg_t *body, uint64_t now_ms)
{
    zmq_msg_init(&entry->body);
    if (body != NULL && zmq_msg_copy(&entry->body, body) == 0) {
        entry->bytes += zmq_msg_size(body);
    }
    entry->reply = (struct once_reply){.reply = *reply, .body = &entry->body};
    entry->is_answered = true;
    entry->answered_ms = now_ms;
    DL_APPEND(self->answered, entry);
    self->bytes += entry->bytes;
    evict_beyond_bytes(self);
}

void once_store(struct once *self, const char *scope, const char *request_id,
                const struct reply *reply, zmq_msg_t *body, uint64_t now_ms)
{
    struct key key = key_of(self, scope, request_id);
    struct once_entry *entry = entry_find(self, &key);
    if (entry == NULL) {
        return; /* counted where it left */
    }
    struct reply kept = *reply;
    bool is_too_large = zmq_msg_size(body) > self->config->once_max_bytes;
    if (is_too_large) {
        metrics_add(METRIC_ONCE_INCOMPLETE, 1);
        kept.content_type = NULL;
    }
    char *texts = NULL;
    size_t size = 0;
    if (texts_copy(&kept, &texts, &size)) {
        reply_clear(self, entry);
        entry->texts = texts;
        entry->bytes = size;
        reply_set(self, entry, &kept, is_too_large ? NULL : body, now_ms);
        return;
    }
    metrics_add(METRIC_ONCE_INCOMPLETE, 1);
    log_error("once", "no memory for a reply of status %d; %s", reply->status_code,
              entry->is_answered ? "its request keeps the one it had"
                                 : "whoever repeats its request gets outcome_unknown");
    if (!entry->is_answered) {
        reply_set(self, entry, &own_replies[REPLY_OUTCOME_UNKNOWN], NULL, now_ms);
    }
}

void once_forget(struct once *self, const char *scope, const char *request_id)
{
    struct key key = key_of(self, scope, request_id);
    struct once_entry *entry = entry_find(self, &key);
    if (entry != NULL) {
        entry_drop(self, entry);
    }
}

void once_expire(struct once *self, uint64_t now_ms)
{
    while (self->answered != NULL && is_over(self, self->answered, now_ms)) {
        entry_drop(self, self->answered);
    }
}

void once_set_config(struct once *self, const struct config_gateway *config)
{
    self->config = config;
    evict_beyond_count(self);
    evict_beyond_bytes(self);
}

uint32_t once_count(const struct once *self)
{
    return HASH_COUNT(self->by_key);
}

uint64_t once_bytes(const struct once *self)
{
    return self->bytes;
}
