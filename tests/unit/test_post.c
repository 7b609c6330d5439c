/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Letters: each goes to the reader of its kind, in the order of sending, and wakes the event
 * thread's loop; what finds no room is refused. queue.h has its own tests between two threads.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/post.h"

static struct post *post;
static char read_so_far[4096];
static unsigned wakes;

/* The context is no real one. */
static char loop[1];

void lws_cancel_service(struct lws_context *context);
void __wrap_lws_cancel_service(struct lws_context *context);

void __wrap_lws_cancel_service(struct lws_context *context)
{
    cr_assert_eq((void *)context, (void *)loop);
    wakes++;
}

static void on_letter(void *owner, const struct post_letter *letter)
{
    size_t used = strlen(read_so_far);
    cr_assert_eq((uintptr_t)letter->bytes % _Alignof(max_align_t), 0);
    snprintf(read_so_far + used, sizeof read_so_far - used, "%s%u.%llu=%.*s ", (const char *)owner,
             letter->node, (unsigned long long)letter->number, (int)letter->length,
             (const char *)letter->bytes);
}

static void create(uint32_t room)
{
    struct config config = {.gateway = {.feed_bytes = room}};
    cr_assert_eq(post_create(&config, (struct lws_context *)(void *)loop, &post), ARIZMQ_OK);
    post_set_reader(post, POST_COMMAND, on_letter, (void *)"command");
    post_set_reader(post, POST_SNAPSHOT, on_letter, (void *)"snapshot");
}

Test(post, each_letter_goes_to_the_reader_of_its_kind)
{
    create(65536);
    cr_assert_eq(post_send(post, POST_COMMAND, 1, 17, "text", 4), ARIZMQ_OK);
    cr_assert_eq(post_send(post, POST_SNAPSHOT, 0, 18, "q", 1), ARIZMQ_OK);
    cr_assert_eq(post_send(post, POST_COMMAND, 2, 19, "", 0), ARIZMQ_OK);
    cr_assert_eq(wakes, 3);
    post_take(post);
    cr_assert_str_eq(read_so_far, "command1.17=text snapshot0.18=q command2.19= ");
    read_so_far[0] = '\0';
    post_take(post);
    cr_assert_str_eq(read_so_far, "");
    post_destroy(&post);
    cr_assert_null(post);
    post_destroy(&post);
    post_take(NULL);
}

Test(post, has_room_for_two_of_the_largest_texts_and_refuses_what_does_not_fit)
{
    static char text[POST_TEXT_MAX];
    memset(text, 'x', sizeof text);
    create(1024);
    unsigned sent = 0;
    while (post_send(post, POST_COMMAND, 0, sent, text, sizeof text) == ARIZMQ_OK) {
        sent++;
        cr_assert_lt(sent, 100);
    }
    cr_assert_geq(sent, 2);
    cr_assert_eq(wakes, sent, "one that was refused wakes nobody");
    cr_assert_eq(post_send(post, POST_COMMAND, 0, sent, text, sizeof text), ARIZMQ_ETOOLARGE);
    post_take(post);
    cr_assert_eq(post_send(post, POST_COMMAND, 0, sent, text, sizeof text), ARIZMQ_OK);
    post_destroy(&post); /* with a letter in it */
}
