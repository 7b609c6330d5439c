/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Straight to Asterisk through libcurl, as a C program does it that has not written HTTP itself.
 * One in flight: one easy handle. More: as many on a multi handle, each with its connection.
 */
#include "ping.h"

#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

enum { ANSWER_SIZE = 8192, TEXT_SIZE = 1024 };

struct line {
    CURL *easy;
    uint64_t sent_ns;
    size_t length;
    char answer[ANSWER_SIZE];
};

struct requester {
    struct ping_load *load;
    struct curl_slist *headers;
    char url[TEXT_SIZE];
    struct line *lines;
};

static size_t keep(char *bytes, size_t one, size_t length, void *owner)
{
    struct line *line = owner;
    (void)one;
    for (size_t i = 0; i < length && line->length < ANSWER_SIZE; i++) {
        line->answer[line->length++] = bytes[i];
    }
    return length;
}

static void prepare(struct requester *requester)
{
    struct ping_load *load = requester->load;
    char header[TEXT_SIZE];
    snprintf(header, sizeof header, "Authorization: %s", load->authorization);
    snprintf(requester->url, sizeof requester->url, "http://%s/ari/asterisk/ping", load->target);
    requester->headers = curl_slist_append(NULL, header);
    requester->lines = calloc(load->in_flight, sizeof *requester->lines);
    if (requester->headers == NULL || requester->lines == NULL) {
        ping_die("no memory for %u connections", load->in_flight);
    }
    for (uint32_t i = 0; i < load->in_flight; i++) {
        struct line *line = &requester->lines[i];
        line->easy = curl_easy_init();
        if (line->easy == NULL ||
            curl_easy_setopt(line->easy, CURLOPT_URL, requester->url) != CURLE_OK ||
            curl_easy_setopt(line->easy, CURLOPT_HTTPHEADER, requester->headers) != CURLE_OK ||
            curl_easy_setopt(line->easy, CURLOPT_PROXY, "") != CURLE_OK ||
            curl_easy_setopt(line->easy, CURLOPT_PRIVATE, line) != CURLE_OK ||
            curl_easy_setopt(line->easy, CURLOPT_WRITEFUNCTION, keep) != CURLE_OK ||
            curl_easy_setopt(line->easy, CURLOPT_WRITEDATA, line) != CURLE_OK) {
            ping_die("libcurl takes no options");
        }
    }
}

static void begin(struct line *line)
{
    line->length = 0;
    line->sent_ns = ping_now_ns();
}

static void end(struct requester *requester, const struct line *line, CURLcode code)
{
    long status = 0;
    curl_easy_getinfo(line->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 200 ||
        !ping_contains(line->answer, line->length, "\"pong\"")) {
        ping_die("a wrong answer: %s, %ld, %.*s", curl_easy_strerror(code), status,
                 (int)line->length, line->answer);
    }
    ping_answered(requester->load, line->sent_ns);
}

static void run_serial(struct requester *requester)
{
    struct line *line = &requester->lines[0];
    while (ping_left(requester->load, requester->load->answered) > 0) {
        begin(line);
        end(requester, line, curl_easy_perform(line->easy));
    }
}

static void perform(CURLM *multi)
{
    int running = 0;
    if (curl_multi_perform(multi, &running) != CURLM_OK ||
        (running > 0 && curl_multi_poll(multi, NULL, 0, 1000, NULL) != CURLM_OK)) {
        ping_die("libcurl cannot go on");
    }
}

/* Takes what has ended off the multi handle, and sends on the same lines again what is left to be
 * sent and may be. Returns how many ended; counts in *sent. */
static uint32_t turn(struct requester *requester, CURLM *multi, uint32_t may_be_sent,
                     uint32_t *sent)
{
    uint32_t ended = 0;
    int left = 0;
    CURLMsg *message = NULL;
    perform(multi);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        struct line *line = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &line);
        CURLcode code = message->data.result;
        curl_multi_remove_handle(multi, line->easy);
        end(requester, line, code);
        ended++;
        if (*sent < may_be_sent) {
            begin(line);
            curl_multi_add_handle(multi, line->easy);
            (*sent)++;
        }
    }
    return ended;
}

/* One request on each line, one after the other: Asterisk queues ten connections, and a SYN beyond
 * them is sent again after a second. */
static uint32_t connect_lines(struct requester *requester, CURLM *multi)
{
    uint32_t sent = 0;
    for (uint32_t i = 0; i < requester->load->in_flight; i++) {
        struct line *line = &requester->lines[i];
        curl_easy_setopt(line->easy, CURLOPT_FRESH_CONNECT, 1L);
        begin(line);
        curl_multi_add_handle(multi, line->easy);
        sent++;
        while (turn(requester, multi, sent, &sent) == 0) {
        }
        curl_easy_setopt(line->easy, CURLOPT_FRESH_CONNECT, 0L);
    }
    return sent;
}

static void run_parallel(struct requester *requester)
{
    struct ping_load *load = requester->load;
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)load->in_flight);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)load->in_flight);
    if (load->warm_up + load->requests < 2 * load->in_flight) {
        ping_die("%u in flight want more requests", load->in_flight);
    }
    uint32_t sent = connect_lines(requester, multi);
    for (uint32_t i = 0; i < load->in_flight; i++) {
        begin(&requester->lines[i]);
        curl_multi_add_handle(multi, requester->lines[i].easy);
        sent++;
    }
    while (ping_left(load, load->answered) > 0) {
        turn(requester, multi, load->warm_up + load->requests, &sent);
    }
    curl_multi_cleanup(multi);
}

void ping_curl(struct ping_load *load)
{
    struct requester requester = {.load = load};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    prepare(&requester);
    if (load->in_flight == 1) {
        run_serial(&requester);
    } else {
        run_parallel(&requester);
    }
    for (uint32_t i = 0; i < load->in_flight; i++) {
        curl_easy_cleanup(requester.lines[i].easy);
    }
    curl_slist_free_all(requester.headers);
    free(requester.lines);
    curl_global_cleanup();
}
