/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The side of a takeover that gives. Letters of the other bridge come from the command thread; the
 * links (node/link_cede.c) see for themselves when the application goes; a timer looks how far they
 * are. service.c creates it, and stops the bridge when it is over.
 */
#include "ops/cede.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "base/clock.h"
#include "gateway/takeover.h"
#include "node/link.h"
#include "ops/log.h"
#include "ops/metrics.h"

enum {
    LOOK_EVERY_MS = 10,
    SILENCE_SHARE = 3, /* of takeover_timeout_ms: so long the other bridge may be silent */
};

struct cede {
    struct cede_parts parts;
    const struct config *config; /* held */
    enum takeover_state state;
    bool is_stopping;
    bool is_opening; /* the other bridge says that it opens its connections */
    uint64_t epoch;  /* of the other bridge */
    json_t *successor;
    unsigned links_count;
    struct takeover_link *links; /* those that it wants */
    uint64_t heard_ms;           /* monotonic */
    uint64_t until_ms;
    uint64_t failed_epoch;               /* of the last one that failed: it may not try again */
    char outcome[TAKEOVER_OUTCOME_SIZE]; /* and why it did */
    lws_sorted_usec_list_t timer;
};

static void on_look(lws_sorted_usec_list_t *sul);

static void look_again(struct cede *cede)
{
    lws_sul_schedule(cede->parts.context, 0, &cede->timer, on_look, LOOK_EVERY_MS * LWS_US_PER_MS);
}

int cede_create(const struct cede_parts *parts, const struct config *config, struct cede **out)
{
    struct cede *cede = calloc(1, sizeof *cede);
    if (cede == NULL) {
        return ARIZMQ_ENOMEM;
    }
    cede->parts = *parts;
    cede->config = config_hold(config);
    *out = cede;
    return ARIZMQ_OK;
}

void cede_set_config(struct cede *self, const struct config *config)
{
    config_release(&self->config);
    self->config = config_hold(config);
}

/* Back to where no other bridge is known. */
static void forget(struct cede *cede)
{
    lws_sul_cancel(&cede->timer);
    free(cede->links);
    cede->links = NULL;
    cede->links_count = 0;
    json_decref(cede->successor);
    cede->successor = NULL;
    cede->epoch = 0;
    cede->is_opening = false;
    cede->state = TAKEOVER_NONE;
}

void cede_destroy(struct cede **self)
{
    struct cede *cede = *self;
    *self = NULL;
    if (cede != NULL) {
        forget(cede);
        config_release(&cede->config);
        free(cede);
    }
}

bool cede_is_under_way(const struct cede *self)
{
    return self->state != TAKEOVER_NONE;
}

const json_t *cede_successor(const struct cede *self)
{
    return self->state == TAKEOVER_COMPLETE ? self->successor : NULL;
}

void cede_stop(struct cede *self)
{
    lws_sul_cancel(&self->timer);
    self->is_stopping = true;
}

/* --- the links */

/* NULL where the configuration has lost it meanwhile. */
static struct link *link_of(const struct cede *cede, const struct takeover_link *link)
{
    return nodes_link(cede->parts.nodes, link->node, link->application);
}

static enum link_ceded ceded(const struct cede *cede, unsigned i)
{
    const struct link *link = link_of(cede, &cede->links[i]);
    return link != NULL ? link_ceded(link) : LINK_CEDED_DOWN;
}

static bool none_is(const struct cede *cede, enum link_ceded state)
{
    for (unsigned i = 0; i < cede->links_count; i++) {
        if (ceded(cede, i) == state) {
            return false;
        }
    }
    return true;
}

static int cede_links(struct cede *cede)
{
    int result = ARIZMQ_OK;
    for (unsigned i = 0; result == ARIZMQ_OK && i < cede->links_count; i++) {
        struct link *link = link_of(cede, &cede->links[i]);
        if (link != NULL) {
            result = link_cede(link);
        }
    }
    return result;
}

static void take_back(struct cede *cede, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void take_back(struct cede *cede, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cede->outcome, sizeof cede->outcome, format, arguments);
    va_end(arguments);
    metrics_add(METRIC_TAKEOVERS_FAILED, 1);
    log_warning("takeover_failed",
                "the bridge of epoch %" PRIu64 " has not taken over: %s; going on without it",
                cede->epoch, cede->outcome);
    for (unsigned i = 0; i < cede->links_count; i++) {
        struct link *link = link_of(cede, &cede->links[i]);
        if (link != NULL) {
            link_reclaim(link);
        }
    }
    cede->failed_epoch = cede->epoch;
    forget(cede);
}

/* The first that is still here, as NODE/APPLICATION. */
static const struct takeover_link *first_not_taken(const struct cede *cede)
{
    for (unsigned i = 0; i < cede->links_count; i++) {
        enum link_ceded state = ceded(cede, i);
        if (state == LINK_CEDED_NOT || state == LINK_CEDED_NOT_YET) {
            return &cede->links[i];
        }
    }
    return NULL;
}

static void time_is_up(struct cede *cede)
{
    const struct config *config = cede->config;
    const struct takeover_link *left = first_not_taken(cede);
    if (left != NULL) {
        const struct config_node *node = &config->nodes[left->node];
        take_back(cede, "%s/%s was not taken within %" PRIu32 " ms (gateway.takeover_timeout_ms)",
                  node->name, node->apps[left->application], config->gateway.takeover_timeout_ms);
    } else {
        take_back(cede, "not done within %" PRIu32 " ms (gateway.takeover_timeout_ms)",
                  config->gateway.takeover_timeout_ms);
    }
}

static void on_look(lws_sorted_usec_list_t *sul)
{
    struct cede *cede = lws_container_of(sul, struct cede, timer);
    uint64_t now_ms = clock_monotonic_ms();
    uint32_t silence_ms = cede->config->gateway.takeover_timeout_ms / SILENCE_SHARE;
    if (now_ms >= cede->until_ms && cede->state != TAKEOVER_COMPLETE) {
        time_is_up(cede);
        return;
    }
    if (now_ms - cede->heard_ms > silence_ms) {
        take_back(cede, "nothing was heard of it for %" PRIu32 " ms", silence_ms);
        return;
    }
    if (cede->state == TAKEOVER_PREPARING) {
        if (cede_links(cede) != ARIZMQ_OK) {
            take_back(cede, "no memory");
            return;
        }
        if (none_is(cede, LINK_CEDED_NOT_YET)) {
            cede->state = TAKEOVER_UNDER_WAY;
        }
    } else if (cede->state == TAKEOVER_UNDER_WAY && cede->is_opening &&
               first_not_taken(cede) == NULL && none_is(cede, LINK_CEDED_TAKEN)) {
        cede->state = TAKEOVER_COMPLETE;
        log_info("takeover_complete", "the bridge of epoch %" PRIu64 " has every application",
                 cede->epoch);
    }
    look_again(cede);
}

/* --- what the other bridge asks */

static bool is_wanted(const struct cede *cede, unsigned node, unsigned application)
{
    for (unsigned i = 0; i < cede->links_count; i++) {
        if (cede->links[i].node == node && cede->links[i].application == application) {
            return true;
        }
    }
    return false;
}

static struct takeover_report_link report_link(const struct cede *cede, unsigned node,
                                               unsigned application)
{
    struct takeover_report_link report = {.link = {node, application}, .state = TAKEOVER_LINK_LEFT};
    const struct link *link = nodes_link(cede->parts.nodes, node, application);
    if (link == NULL || !is_wanted(cede, node, application)) {
        return report;
    }
    report.missing_since_ns = link_owed_since_ns(link);
    switch (link_ceded(link)) {
    case LINK_CEDED_NOT_YET:
    case LINK_CEDED_NOT:
        report.state = TAKEOVER_LINK_UP;
        break;
    case LINK_CEDED_TAKEN:
    case LINK_CEDED_DONE:
        report.state = TAKEOVER_LINK_TAKEN;
        break;
    case LINK_CEDED_DOWN:
        report.state = TAKEOVER_LINK_DOWN;
        break;
    }
    return report;
}

static void hand_report(struct cede *cede, uint64_t number, enum takeover_verdict verdict)
{
    const struct config *config = cede->config;
    unsigned room = cede->state != TAKEOVER_NONE ? config_count_links(config) : 0;
    struct takeover_report *report =
        calloc(1, sizeof *report + room * sizeof(struct takeover_report_link));
    if (report != NULL) {
        uint64_t now_ms = clock_monotonic_ms();
        report->verdict = verdict;
        report->state = cede->state;
        report->epoch = cede->epoch;
        report->seq = pipeline_seq(cede->parts.pipeline);
        report->remaining_ms = cede->until_ms > now_ms ? cede->until_ms - now_ms : 0;
        memcpy(report->outcome, cede->outcome, sizeof report->outcome);
        for (unsigned node = 0; room > 0 && node < config->nodes_count; node++) {
            unsigned apps = config_has_node(config, node) ? config->nodes[node].apps_count : 0;
            for (unsigned i = 0; i < apps; i++) {
                report->links[report->links_count++] = report_link(cede, node, i);
            }
        }
    }
    feed_hand(cede->parts.feed, FEED_TAKEOVER, number, report, free);
}

/* Takes in what the other bridge wants, and how it presents itself. */
static int remember(struct cede *cede, const struct takeover_letter *letter, size_t length)
{
    const struct takeover_link *links = (const struct takeover_link *)(letter + 1);
    size_t links_size = letter->links_count * sizeof *links;
    const char *text = (const char *)(links + letter->links_count);
    cede->links = malloc(links_size + 1);
    cede->successor = json_loadb(text, length - sizeof *letter - links_size, 0, NULL);
    if (cede->links == NULL || cede->successor == NULL) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(cede->links, links, links_size);
    cede->links_count = letter->links_count;
    cede->epoch = letter->epoch;
    return ARIZMQ_OK;
}

static enum takeover_verdict begin(struct cede *cede, const struct takeover_letter *letter,
                                   size_t length)
{
    if (remember(cede, letter, length) != ARIZMQ_OK) {
        forget(cede);
        return TAKEOVER_NO_MEMORY;
    }
    cede->state = TAKEOVER_PREPARING;
    cede->outcome[0] = '\0';
    cede->heard_ms = clock_monotonic_ms();
    cede->until_ms = cede->heard_ms + cede->config->gateway.takeover_timeout_ms;
    log_info("takeover", "the bridge of epoch %" PRIu64 " takes over %u application(s) of %u",
             cede->epoch, cede->links_count, config_count_links(cede->config));
    on_look(&cede->timer);
    return TAKEOVER_OK;
}

static enum takeover_verdict heard_of(struct cede *cede, const struct takeover_letter *letter)
{
    cede->heard_ms = clock_monotonic_ms();
    cede->is_opening = cede->is_opening || letter->is_opening;
    return TAKEOVER_OK;
}

static enum takeover_verdict judge(struct cede *cede, const struct takeover_letter *letter,
                                   size_t length)
{
    if (letter->verb == TAKEOVER_READ) {
        return TAKEOVER_OK;
    }
    if (cede->is_stopping) {
        return TAKEOVER_STOPPING;
    }
    bool is_known = cede->state != TAKEOVER_NONE && cede->epoch == letter->epoch;
    if (letter->verb == TAKEOVER_END) {
        if (!is_known) {
            return TAKEOVER_OTHER;
        }
        take_back(cede, "it has given up");
        return TAKEOVER_OK;
    }
    if (is_known) {
        return heard_of(cede, letter);
    }
    if (cede->state != TAKEOVER_NONE || cede->failed_epoch == letter->epoch) {
        return TAKEOVER_OTHER;
    }
    return letter->config == cede->config ? begin(cede, letter, length) : TAKEOVER_RELOADING;
}

void cede_read_letter(void *self, const struct post_letter *letter)
{
    struct cede *cede = self;
    const struct takeover_letter *asked = letter->bytes;
    enum takeover_verdict verdict = judge(cede, asked, letter->length);
    hand_report(cede, letter->number, verdict);
    /* The report says so: the other bridge knows that it is alone from now on. */
    if (asked->verb == TAKEOVER_BEGIN && verdict == TAKEOVER_OK &&
        cede->state == TAKEOVER_COMPLETE) {
        cede_stop(cede);
        cede->parts.is_over(cede->parts.owner);
    }
}
