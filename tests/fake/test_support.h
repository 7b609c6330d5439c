/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the tests of fake_asterisk share.
 */
#ifndef ARIZMQ_FAKE_TEST_SUPPORT_H
#define ARIZMQ_FAKE_TEST_SUPPORT_H

#include <criterion/criterion.h>

#include "client.h"
#include "harness/fake.h"

#define TARGET     "/ari/events?app=ivr"
#define TARGET_ALL "/ari/events?app=ivr&subscribeAll=true"

#define PING_REQUEST                                                                               \
    "{\"type\":\"RESTRequest\",\"request_id\":\"%d\",\"method\":\"GET\",\"uri\":\"asterisk/"       \
    "ping\"}"

/* With the options given, or none; fails the test when it does not start. */
struct fake *test_start(const char *const *options);
/* Expects exit status 0. */
void test_stop(struct fake **fake);

/* GET over HTTP with the usual credentials; the body, malloc'd, with *status set. */
char *test_get(const struct fake *fake, const char *target, int *status);

/* GETs applications/NAME and expects this status. */
void test_expect_application(const struct fake *fake, const char *name, int status);

/* Replaces every time such as 2026-11-23T14:35:56.513+0000 by T, in place. */
void test_normalise_times(char *text);

/* Reads one text and expects exactly `expected`. */
void test_expect_text(struct client *client, const char *expected);
/* Reads one close frame and expects this code. */
void test_expect_close(struct client *client, int code);

#endif
