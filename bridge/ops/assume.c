/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The side of a takeover that takes. service.c creates it in place of starting the nodes; a timer
 * looks at what the other bridges answer and how long they have been silent. If one of them does
 * not cede after all, it takes its applications back; this bridge waits for that, so that nobody's
 * subscriptions are touched, and ends.
 */
#include "ops/assume.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "node/link.h"
#include "ops/assume_peer.h"
#include "ops/log.h"

enum {
    PEERS_MAX = 16,
    LOOK_EVERY_MS = 10,
    ASK_EVERY_MS = 100,
    ASKING_TIMEOUT_MS = 10000, /* for the first answer, and for being let */
    SILENCE_SHARE = 3,         /* as in cede.c */
    GIVE_BACK_MS = 5000,
};

enum phase {
    PHASE_WAITING,     /* for subscribers */
    PHASE_ASKING,      /* until all let this bridge open its connections */
    PHASE_TAKING,      /* until all say that it has all */
    PHASE_GIVING_BACK, /* until they have taken theirs back */
    PHASE_OVER,
};

struct assume {
    struct assume_parts parts;
    enum phase phase;
    unsigned peers_count;
    struct assume_peer peers[PEERS_MAX];
    json_t *request; /* the body of POST arizmq/takeover */
    uint64_t until_ms;
    lws_sorted_usec_list_t timer;
};

static void on_look(lws_sorted_usec_list_t *sul);

static void look_in(struct assume *assume, uint32_t wait_ms)
{
    lws_sul_schedule(assume->parts.context, 0, &assume->timer, on_look,
                     (lws_usec_t)wait_ms * LWS_US_PER_MS);
}

/* --- life */

int assume_create(const struct config *config, const char *endpoints, struct assume **out,
                  char *error, size_t error_size)
{
    struct assume *assume = calloc(1, sizeof *assume);
    char *list = strdup(endpoints);
    int result = assume == NULL || list == NULL ? ARIZMQ_ENOMEM : ARIZMQ_OK;
    if (result != ARIZMQ_OK) {
        snprintf(error, error_size, "--takeover: no memory");
    }
    char *rest = list;
    for (char *each; result == ARIZMQ_OK && (each = strsep(&rest, ",")) != NULL;) {
        if (assume->peers_count == PEERS_MAX) {
            snprintf(error, error_size, "--takeover: more than %d endpoints", PEERS_MAX);
            result = ARIZMQ_ETOOLARGE;
            break;
        }
        result = assume_peer_introduce(&assume->peers[assume->peers_count++], each, config, error,
                                       error_size);
    }
    free(list);
    if (result != ARIZMQ_OK) {
        assume_destroy(&assume);
        return result;
    }
    *out = assume;
    return ARIZMQ_OK;
}

void assume_destroy(struct assume **self)
{
    struct assume *assume = *self;
    *self = NULL;
    if (assume == NULL) {
        return;
    }
    lws_sul_cancel(&assume->timer);
    for (unsigned i = 0; i < assume->peers_count; i++) {
        assume_peer_close(&assume->peers[i]);
    }
    json_decref(assume->request);
    free(assume);
}

/* Who this bridge is, and what it wants. */
static json_t *print_request(const struct assume_parts *parts)
{
    const struct config *config = parts->config;
    json_t *views = json_array();
    for (unsigned i = 0; i < config->publish_count; i++) {
        json_array_append_new(views, json_pack("{s:s, s:s}", "view",
                                               config_view_name(config->publish[i].view),
                                               "endpoint", config->publish[i].endpoint));
    }
    json_t *links = json_object();
    for (unsigned i = 0; i < config->nodes_count; i++) {
        json_t *apps = json_array();
        for (unsigned k = 0; k < config->nodes[i].apps_count; k++) {
            json_array_append_new(apps, json_string(config->nodes[i].apps[k]));
        }
        json_object_set_new(links, config->nodes[i].name, apps);
    }
    json_t *request = json_object();
    json_object_set_new(request, "epoch", json_integer((json_int_t)parts->epoch));
    json_object_set_new(request, "version", json_string(ARIZMQ_VERSION));
    json_object_set_new(request, "views", views);
    if (config->gateway.enabled) {
        json_object_set_new(request, "gateway",
                            json_pack("{s:s}", "endpoint", config->gateway.endpoint));
    }
    json_object_set_new(request, "links", links);
    return request;
}

void assume_begin(struct assume *self, const struct assume_parts *parts, uint32_t wait_ms)
{
    self->parts = *parts;
    self->request = print_request(parts);
    self->until_ms = clock_monotonic_ms() + wait_ms;
    log_info("takeover", "in %u ms %u running bridge(s) will be asked to cede", wait_ms,
             self->peers_count);
    look_in(self, LOOK_EVERY_MS);
}

/* --- giving back */

/* Lets the link be taken back; *owner becomes true where it has not been yet. */
static void cede(void *owner, struct link *link)
{
    bool *is_awaited = owner;
    if (link_cede(link) != ARIZMQ_OK) {
        log_error("takeover_failed", "no memory to give an application back");
    }
    enum link_ceded state = link_ceded(link);
    *is_awaited = *is_awaited || state == LINK_CEDED_NOT || state == LINK_CEDED_NOT_YET;
}

/* Whether every link has been taken back, or there is no sense in waiting. */
static bool is_given_back(const struct assume *assume)
{
    bool is_awaited = false;
    nodes_visit_links(assume->parts.nodes, cede, &is_awaited);
    if (is_awaited && clock_monotonic_ms() >= assume->until_ms) {
        log_warning("takeover_failed", "not every application was taken back within %d ms; leaving",
                    GIVE_BACK_MS);
        return true;
    }
    return !is_awaited;
}

static void give_back(struct assume *assume)
{
    assume->phase = PHASE_GIVING_BACK;
    assume->until_ms = clock_monotonic_ms() + GIVE_BACK_MS;
    char uri[64];
    snprintf(uri, sizeof uri, "arizmq/takeover?epoch=%llu",
             (unsigned long long)assume->parts.epoch);
    for (unsigned i = 0; i < assume->peers_count; i++) {
        struct assume_peer *peer = &assume->peers[i];
        if (!peer->is_over && peer->requests > 1) {
            assume_peer_send(peer, "DELETE", uri, NULL);
        }
    }
    look_in(assume, LOOK_EVERY_MS);
}

bool assume_is_under_way(const struct assume *self)
{
    return self != NULL && self->phase != PHASE_OVER;
}

bool assume_give_up(struct assume *self)
{
    if (!assume_is_under_way(self)) {
        return false;
    }
    if (self->phase != PHASE_GIVING_BACK) {
        log_warning("takeover_failed", "given up, because this bridge is to stop");
        give_back(self);
    }
    return true;
}

/* A bridge does not cede. Where others have ended already, this one has to stay. */
static void fail(struct assume *assume, struct assume_peer *peer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void fail(struct assume *assume, struct assume_peer *peer, const char *format, ...)
{
    char why[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    bool has_any = false;
    for (unsigned i = 0; i < assume->peers_count; i++) {
        has_any = has_any || assume->peers[i].is_over;
    }
    peer->is_over = has_any;
    log_error("takeover_failed", "the bridge at %s has not ceded: %s; %s", peer->endpoint, why,
              has_any ? "going on with what others have ceded" : "giving everything back");
    if (!has_any) {
        give_back(assume);
    }
}

/* --- what the other bridges answer */

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text != NULL ? text : "";
}

/* This bridge's link that an entry of "links" is about; NULL: it has none. */
static struct link *find_link(const struct assume *assume, const json_t *entry)
{
    const struct config *config = assume->parts.config;
    for (unsigned node = 0; node < config->nodes_count; node++) {
        if (strcmp(config->nodes[node].name, text_of(entry, "node")) != 0) {
            continue;
        }
        for (unsigned i = 0; i < config->nodes[node].apps_count; i++) {
            if (strcmp(config->nodes[node].apps[i], text_of(entry, "app")) == 0) {
                return nodes_link(assume->parts.nodes, node, i);
            }
        }
    }
    return NULL;
}

/* What is up there is to be taken over, not only connected. */
static void expect_links(const struct assume *assume, const json_t *report)
{
    size_t index = 0;
    json_t *entry = NULL;
    json_array_foreach(json_object_get(report, "links"), index, entry)
    {
        struct link *link = find_link(assume, entry);
        if (link != NULL && strcmp(text_of(entry, "state"), "up") == 0) {
            link_expect(link);
        } else if (link == NULL) {
            log_warning("takeover", "%s/%s is not in this bridge's configuration and will end",
                        text_of(entry, "node"), text_of(entry, "app"));
        }
    }
}

/* Tells what the other bridge has not told of what is missing. With `alone_since_ns` (wall clock)
 * it has not even told how far it came with what was up: 0 where it has. */
static void tell_gaps(const struct assume *assume, const struct assume_peer *peer,
                      uint64_t alone_since_ns)
{
    size_t index = 0;
    json_t *entry = NULL;
    json_array_foreach(peer->links, index, entry)
    {
        struct link *link = find_link(assume, entry);
        json_int_t since_ms = json_integer_value(json_object_get(entry, "missing_since_ms"));
        uint64_t since_ns = since_ms > 0 ? (uint64_t)since_ms * 1000000U : alone_since_ns;
        if (link != NULL && since_ns > 0) {
            link_missed_since(link, since_ns);
        }
    }
}

static void take_report(struct assume *assume, struct assume_peer *peer, const json_t *report)
{
    json_decref(peer->links);
    peer->links = json_incref(json_object_get(report, "links"));
    const char *state = text_of(report, "state");
    json_int_t timeout_ms = json_integer_value(json_object_get(report, "timeout_ms"));
    peer->timeout_ms = timeout_ms > 0 ? (uint32_t)timeout_ms : ASKING_TIMEOUT_MS;
    if (strcmp(state, "preparing") == 0) {
        return;
    }
    if (strcmp(state, "under_way") == 0) {
        if (!peer->is_ready) {
            peer->is_ready = true;
            expect_links(assume, report);
        }
    } else if (strcmp(state, "complete") == 0 && assume->phase == PHASE_TAKING) {
        peer->is_over = true;
        log_info("takeover_complete",
                 "the bridge at %s has ceded everything, and ends after seq %lld", peer->endpoint,
                 (long long)json_integer_value(json_object_get(report, "seq")));
        tell_gaps(assume, peer, 0);
    } else {
        fail(assume, peer, "its state is \"%s\": %s", state, text_of(report, "outcome"));
    }
}

/* It is gone, or about to be, and has not said how far it came: what it had may not all have been
 * published. */
static void go_on_alone(struct assume *assume, struct assume_peer *peer, const char *why)
{
    peer->is_over = true;
    log_warning("takeover_alone",
                "the bridge at %s %s before the takeover was complete; going on "
                "alone, events may be missing",
                peer->endpoint, why);
    tell_gaps(assume, peer, peer->heard_wall_ns);
}

static void take_answer(struct assume *assume, struct assume_peer *peer, int status,
                        const json_t *body)
{
    const char *message = text_of(body, "message");
    if (status == 200) {
        take_report(assume, peer, body);
    } else if (status == 503 && assume->phase == PHASE_TAKING) {
        go_on_alone(assume, peer, "is stopping");
    } else {
        fail(assume, peer, "status %d: %s", status, message);
    }
}

static void check_silence(struct assume *assume, struct assume_peer *peer, uint64_t now_ms)
{
    uint32_t silence_ms =
        assume->phase == PHASE_TAKING ? peer->timeout_ms / SILENCE_SHARE : ASKING_TIMEOUT_MS;
    if (!peer->is_asked || now_ms - peer->sent_ms <= silence_ms) {
        return;
    }
    if (assume->phase == PHASE_TAKING) {
        go_on_alone(assume, peer, "has fallen silent");
    } else {
        fail(assume, peer, "it does not answer");
    }
}

static void look_at_peer(struct assume *assume, struct assume_peer *peer)
{
    uint64_t now_ms = clock_monotonic_ms();
    json_t *body = NULL;
    int status = assume_peer_receive(peer, &body);
    if (status != 0) {
        take_answer(assume, peer, status, body);
        json_decref(body);
    } else if (!peer->is_asked && now_ms - peer->sent_ms >= ASK_EVERY_MS) {
        assume_peer_send(peer, "POST", "arizmq/takeover", assume->request);
    } else {
        check_silence(assume, peer, now_ms);
    }
}

/* --- phases */

static bool all_are(const struct assume *assume, enum phase phase)
{
    for (unsigned i = 0; i < assume->peers_count; i++) {
        const struct assume_peer *peer = &assume->peers[i];
        if (phase == PHASE_TAKING ? !peer->is_ready : !peer->is_over) {
            return false;
        }
    }
    return true;
}

static void look_at_peers(struct assume *assume)
{
    enum phase before = assume->phase;
    for (unsigned i = 0; i < assume->peers_count && assume->phase == before; i++) {
        if (!assume->peers[i].is_over) {
            look_at_peer(assume, &assume->peers[i]);
        }
    }
    if (assume->phase == PHASE_ASKING && all_are(assume, PHASE_TAKING)) {
        assume->phase = PHASE_TAKING;
        log_info("takeover", "opening the connections");
        json_object_set_new(assume->request, "opening", json_true());
        nodes_start(assume->parts.nodes);
    } else if (assume->phase == PHASE_TAKING && all_are(assume, PHASE_OVER)) {
        assume->phase = PHASE_OVER;
        log_info("takeover_done", "this bridge has taken over");
    }
}

static void on_look(lws_sorted_usec_list_t *sul)
{
    struct assume *assume = lws_container_of(sul, struct assume, timer);
    switch (assume->phase) {
    case PHASE_WAITING:
        if (clock_monotonic_ms() >= assume->until_ms) {
            assume->phase = PHASE_ASKING;
        }
        break;
    case PHASE_ASKING:
    case PHASE_TAKING:
        look_at_peers(assume);
        break;
    case PHASE_GIVING_BACK:
        if (is_given_back(assume)) {
            assume->phase = PHASE_OVER;
            assume->parts.has_failed(assume->parts.owner);
            return;
        }
        break;
    case PHASE_OVER:
        break;
    }
    if (assume->phase != PHASE_OVER) {
        look_in(assume, LOOK_EVERY_MS);
    }
}
