/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The bridge's nodes and pipeline in the test's own process, between a fake Asterisk that sends
 * numbered events and a subscriber, so that a hand-over can be asked for at any moment.
 */
#ifndef ARIZMQ_FLOW_HANDOVER_STAGE_H
#define ARIZMQ_FLOW_HANDOVER_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "gateway/feed.h"
#include "harness/fake.h"
#include "harness/subscriber.h"
#include "node/nodes.h"
#include "ops/config.h"
#include "pipeline.h"
#include "unit/loop.h"

enum { STAGE_NUMBERS_MAX = 2000000, STAGE_CONFIGS = 2 };

struct stage {
    struct fake *asterisk;
    struct fake *proxy; /* before it; the node connects to it only where a test says so */
    struct config config;
    struct config_publish publish;
    struct config_node node[STAGE_CONFIGS]; /* node[current] is in use, the other one was */
    unsigned current;
    char directory[64];
    char endpoint[96];
    struct loop loop;
    struct feed *feed;
    struct post *post;
    struct pipeline *pipeline;
    struct nodes *nodes;
    struct subscriber *subscriber;

    /* What the subscriber has got. */
    unsigned char *seen; /* of each number: how often */
    uint64_t numbers;    /* different ones */
    uint64_t doubled;
    unsigned connected;    /* ArizmqNodeConnected without hand-over */
    unsigned handed_over;  /* with */
    unsigned disconnected; /* ArizmqNodeDisconnected */
    unsigned gaps;
    unsigned replaced; /* ApplicationReplaced */
    char reason[32];   /* of the last ArizmqNodeDisconnected */

    /* What the command thread was told last. */
    enum feed_link told;
    char told_detail[FEED_DETAIL_MAX + 1];
    uint64_t answered; /* number of the last command whose answer came; 0: none */
    bool has_answer;   /* its RESTResponse came, not only its failure */
};

/* Starts all but the link, which stage_start() starts. */
void stage_create(struct stage *stage);
void stage_destroy(struct stage *stage);

/* The node's configuration of the next hand-over, a copy of the present one to be changed. */
struct config_node *stage_next(struct stage *stage);
/* Hands the links over to it. */
void stage_hand_over(struct stage *stage);

/* The link connects, and the subscriber has heard of it. */
void stage_start(struct stage *stage);

/* One turn: the loop, what the subscriber got, what the command thread is told. */
void stage_turn(struct stage *stage);

/* Numbered events, so many a second; after each replacement of a connection every other of the next
 * `late` ones still goes to the former one. */
void stage_flood(struct stage *stage, unsigned rate, unsigned late);
/* How many there were; fails the test if Asterisk had nobody to send one to. */
uint64_t stage_end_flood(struct stage *stage);

/* A command over the node's WebSocket; fails the test where it is not sent. */
void stage_send_command(struct stage *stage, uint64_t number, const char *text);

/* Everything is stopped in good order. */
void stage_stop(struct stage *stage);

#define STAGE_UNTIL(stage, condition) LOOP_UNTIL(&(stage)->loop, stage_turn(stage), condition)

/* Turns until the fake has written such an event line. */
#define STAGE_AWAIT(stage, fake, prefix) STAGE_UNTIL(stage, fake_count_events(fake, prefix) > 0)

#endif
