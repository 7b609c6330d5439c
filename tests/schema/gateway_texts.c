/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Lends the gateway's own code to test_gateway.py. `gateway_texts errors` prints REPLY_ERRORS, one
 * line each; `replies` prints headers as the gateway sends them; `requests` says for each line of
 * its input, a request's header, what request_read() says.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "gateway/reply.h"
#include "gateway/request.h"

static const struct config_gateway limits = {.timeout_ms = 5000,
                                             .max_timeout_ms = 600000,
                                             .max_body_bytes = 40960,
                                             .max_request_line_bytes = 4096};

static void print_errors(void)
{
    for (unsigned i = 0; i < REPLY_ERRORS_COUNT; i++) {
        enum reply_error error = (enum reply_error)i;
        printf("%s %d %s\n", reply_error_word(error), reply_error_status(error),
               reply_error_reason(error));
    }
}

static int print_reply(const struct reply *reply, const struct request *request)
{
    size_t length;
    char *text = reply_print(reply, request, &length);
    int result = text == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
    if (text != NULL) {
        puts(text);
    }
    free(text);
    return result;
}

static bool has_position(enum reply_error error)
{
    return error == REPLY_EPOCH_CHANGED || error == REPLY_COMPACTED || error == REPLY_FUTURE;
}

static int print_replies(void)
{
    const struct request request = {
        .request_id = "7f3a", .transaction_id = "t", .uri = "channels/1690.12/play"};
    struct reply reply = {.source = "asterisk",
                          .status_code = 201,
                          .reason_phrase = "Created",
                          .content_type = "application/json",
                          .node = "pbx1",
                          .elapsed_ns = 3200000};
    int result = print_reply(&reply, &request);
    reply.content_type = NULL;
    reply.reason_phrase = "\xff";
    reply.status_code = 404;
    result |= print_reply(&reply, NULL);
    reply = (struct reply){.source = "bridge", .status_code = 200, .reason_phrase = "OK"};
    result |= print_reply(&reply, &request);
    struct reply_position position = {
        .epoch = 1795444501160000, .oldest = 17, .newest = 16, .is_page = true, .last = 16};
    reply.position = &position;
    result |= print_reply(&reply, &request);
    position = (struct reply_position){.epoch = 1795444501160000,
                                       .oldest = 17,
                                       .newest = 1050,
                                       .is_page = true,
                                       .first = 1044,
                                       .last = 1050,
                                       .count = 5,
                                       .more = true};
    result |= print_reply(&reply, &request);
    position.is_page = false;
    position.first = 0;
    for (unsigned i = 0; i < REPLY_ERRORS_COUNT; i++) {
        enum reply_error error = (enum reply_error)i;
        reply.status_code = reply_error_status(error);
        reply.reason_phrase = reply_error_reason(error);
        reply.error = reply_error_word(error);
        reply.content_type = "application/json";
        reply.position = has_position(error) ? &position : NULL;
        result |= print_reply(&reply, i % 2 == 0 ? &request : NULL);
    }
    return result;
}

static void judge_requests(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, stdin)) > 0) {
        struct request request;
        struct request_refusal refusal;
        int result = request_read((struct span){line, (size_t)length - 1}, (struct span){NULL, 0},
                                  &limits, &request, &refusal);
        puts(result == ARIZMQ_OK ? "accepted" : refusal.message);
        request_release(&request);
    }
    free(line);
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "errors") == 0) {
        print_errors();
    } else if (strcmp(what, "replies") == 0) {
        return print_replies();
    } else if (strcmp(what, "requests") == 0) {
        judge_requests();
    } else {
        fprintf(stderr, "usage: gateway_texts errors|replies|requests\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
