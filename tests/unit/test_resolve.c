/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The resolver: answers, questions nobody waits for any more, and a resolver that goes while its
 * threads are at work. Meant to run under the address and the thread sanitizer, too.
 */
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "loop.h"
#include "node/resolve.h"

struct fixture {
    struct loop loop;
    struct resolver *resolver;
    unsigned threads; /* before there was a question */
};

static void on_wake(void *owner)
{
    struct fixture *fixture = owner;
    if (fixture->resolver != NULL) {
        resolver_deliver(fixture->resolver);
    }
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void fixture_create(struct fixture *fixture)
{
    loop_create(&fixture->loop, NULL, NULL);
    fixture->loop.wake = on_wake;
    fixture->loop.owner = fixture;
    fixture->resolver = resolver_create(fixture->loop.context);
    cr_assert_not_null(fixture->resolver);
    /* The first thread of all may bring another one along: a sanitizer's. */
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    pthread_join(thread, NULL);
    fixture->threads = loop_count("task");
}

/* Without turning the loop, so that answers are not fetched. */
static void wait_for_threads(const struct fixture *fixture)
{
    uint64_t since_ms = clock_monotonic_ms();
    while (loop_count("task") > fixture->threads) {
        usleep(1000);
        cr_assert_lt(clock_monotonic_ms() - since_ms, LOOP_PATIENCE_MS, "threads do not end");
    }
}

static void fixture_destroy(struct fixture *fixture)
{
    resolver_destroy(&fixture->resolver);
    cr_expect_null(fixture->resolver);
    /* What threads still hold is freed when they end. */
    wait_for_threads(fixture);
    loop_destroy(&fixture->loop);
}

struct asked {
    unsigned calls;
    struct resolve_answer answer;
    struct resolve_question *question;
};

static void on_answer(void *owner, const struct resolve_answer *answer)
{
    struct asked *asked = owner;
    asked->calls++;
    asked->answer = *answer;
    asked->question = NULL;
}

static void ask(struct fixture *fixture, const char *host, struct asked *asked)
{
    *asked = (struct asked){0};
    cr_assert_eq(resolver_ask(fixture->resolver, host, on_answer, asked, &asked->question),
                 ARIZMQ_OK);
    cr_assert_not_null(asked->question);
    cr_assert_eq(asked->calls, 0, "answered from within resolver_ask()");
}

static struct resolve_answer resolve(struct fixture *fixture, const char *host)
{
    struct asked asked;
    ask(fixture, host, &asked);
    LOOP_UNTIL(&fixture->loop, (void)0, asked.calls > 0);
    cr_expect_eq(asked.calls, 1);
    return asked.answer;
}

Test(resolve, literal_addresses)
{
    static const char *const hosts[] = {"127.0.0.1", "192.0.2.17", "::1", "2001:db8::17"};
    struct fixture fixture;
    fixture_create(&fixture);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct resolve_answer answer = resolve(&fixture, hosts[i]);
        cr_expect_eq(answer.count, 1, "%s: %u", hosts[i], answer.count);
        cr_expect_str_eq(answer.address[0], hosts[i], "%s: %s", hosts[i], answer.address[0]);
        cr_expect_null(answer.error);
    }
    fixture_destroy(&fixture);
}

Test(resolve, localhost)
{
    struct addrinfo *known = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &known) != 0) {
        cr_skip_test("this machine does not know localhost: it has no /etc/hosts");
    }
    freeaddrinfo(known);
    struct fixture fixture;
    fixture_create(&fixture);
    struct resolve_answer answer = resolve(&fixture, "localhost");
    cr_assert_gt(answer.count, 0, "%s", answer.error);
    for (unsigned i = 0; i < answer.count; i++) {
        cr_expect(strcmp(answer.address[i], "127.0.0.1") == 0 ||
                      strcmp(answer.address[i], "::1") == 0,
                  "%s", answer.address[i]);
        for (unsigned j = 0; j < i; j++) {
            cr_expect_str_neq(answer.address[i], answer.address[j], "the same twice");
        }
    }
    cr_expect_null(answer.error);
    fixture_destroy(&fixture);
}

/* RFC 6761, section 6.4: names under .invalid never exist. */
Test(resolve, names_that_do_not_exist)
{
    static const char *const hosts[] = {"no-such-host.invalid", "not a name", "999.999.999.999"};
    struct fixture fixture;
    fixture_create(&fixture);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct resolve_answer answer = resolve(&fixture, hosts[i]);
        cr_expect_eq(answer.count, 0, "%s", hosts[i]);
        cr_assert_not_null(answer.error, "%s", hosts[i]);
        cr_expect_gt(strlen(answer.error), 0);
    }
    fixture_destroy(&fixture);
}

Test(resolve, many_questions_at_once)
{
    enum { QUESTIONS = 40 };
    struct fixture fixture;
    struct asked asked[QUESTIONS];
    fixture_create(&fixture);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        ask(&fixture, i % 2 == 0 ? "127.0.0.1" : "::1", &asked[i]);
    }
    for (unsigned i = 0; i < QUESTIONS; i++) {
        LOOP_UNTIL(&fixture.loop, (void)0, asked[i].calls > 0);
        cr_expect_eq(asked[i].calls, 1);
        cr_expect_str_eq(asked[i].answer.address[0], i % 2 == 0 ? "127.0.0.1" : "::1");
    }
    fixture_destroy(&fixture);
}

Test(resolve, cancelled_questions_are_not_answered)
{
    enum { QUESTIONS = 20 };
    struct fixture fixture;
    struct asked asked[QUESTIONS];
    fixture_create(&fixture);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        ask(&fixture, "127.0.0.1", &asked[i]);
        if (i % 2 == 0) {
            resolver_cancel(fixture.resolver, &asked[i].question);
            cr_expect_null(asked[i].question);
        }
    }
    /* These threads end, with their answers waiting in the list, before the loop is turned. */
    wait_for_threads(&fixture);
    for (unsigned i = 10; i < QUESTIONS; i++) {
        resolver_cancel(fixture.resolver, &asked[i].question);
        resolver_cancel(fixture.resolver, &asked[i].question); /* NULL is fine */
    }
    LOOP_UNTIL(&fixture.loop, (void)0, asked[9].calls > 0);
    cr_expect_eq(resolve(&fixture, "::1").count, 1);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        cr_expect_eq(asked[i].calls, i < 10 && i % 2 == 1, "question %u", i);
    }
    fixture_destroy(&fixture);
}

Test(resolve, destroyed_with_questions_under_way)
{
    enum { ROUNDS = 50, QUESTIONS = 8 };
    struct fixture fixture;
    struct asked asked[QUESTIONS];
    fixture_create(&fixture);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < QUESTIONS; i++) {
            ask(&fixture, i + round == 0 ? "no-such-host.invalid" : "localhost", &asked[i]);
        }
        if (round % 2 == 0) { /* some answers wait, some threads are at work */
            LOOP_UNTIL(&fixture.loop, (void)0,
                       asked[1].calls + asked[2].calls + asked[3].calls > 0);
        }
        resolver_destroy(&fixture.resolver);
        unsigned calls = 0;
        for (unsigned i = 0; i < QUESTIONS; i++) {
            calls += asked[i].calls;
        }
        loop_turn(&fixture.loop);
        for (unsigned i = 0; i < QUESTIONS; i++) {
            calls -= asked[i].calls;
        }
        cr_expect_eq(calls, 0, "somebody was told after the end");
        fixture.resolver = resolver_create(fixture.loop.context);
        cr_assert_not_null(fixture.resolver);
    }
    fixture_destroy(&fixture);
}

Test(resolve, destroyed_with_answers_nobody_fetched)
{
    struct fixture fixture;
    struct asked asked[4];
    fixture_create(&fixture);
    for (unsigned i = 0; i < 4; i++) {
        ask(&fixture, "127.0.0.1", &asked[i]);
    }
    wait_for_threads(&fixture);
    resolver_destroy(&fixture.resolver);
    resolver_destroy(&fixture.resolver); /* NULL is fine */
    loop_turn(&fixture.loop);
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq(asked[i].calls, 0);
    }
    fixture_destroy(&fixture);
}
