/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Topics of texts that libFuzzer makes up, against the second way to write them. The first byte
 * chooses the template; the rest is type, application and the two parts of an id, apart at 0xF8
 * bytes, which no UTF-8 has. A template of libFuzzer's own is compiled as well.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "event/topic.h"
#include "topic_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(const char *problem)
{
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        abort();
    }
}

/* What is accepted as a template must be usable as one. */
static void compile_text(const uint8_t *data, size_t size, const struct event *event)
{
    char *text = calloc(1, size + 1);
    if (text == NULL) {
        return;
    }
    memcpy(text, data, size);
    struct topic_template template;
    struct topic topic;
    if (topic_template_compile(text, &template) == ARIZMQ_OK) {
        demand(topic_compare(text, event, NULL, &topic));
    }
    free(text);
}

static struct span next_part(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size > 0 ? memchr(*data, 0xF8, *size) : NULL;
    struct span part = {(const char *)*data, end != NULL ? (size_t)(end - *data) : *size};
    size_t used = part.length + (end != NULL);
    *data += used;
    *size -= used;
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const templates[] = {"{type}/{app}/{node}/{id}/",
                                            "{kind}/{id}/{type}/{node}/", "{id}/",
                                            "{id}/x/{id}/{app}/{id}/{type}/{id}/{node}/"};
    if (size == 0) {
        return 0;
    }
    const char *template = templates[*data & 3];
    struct event_object object = {.kind = "endpoint", .parts = (*data & 4) != 0 ? 2 : 1};
    int has_object = (*data & 8) == 0;
    struct event event = {.node = (*data & 16) != 0 ? "pbx1" : "a-node-with-a-longer.name_64"};
    data++;
    size--;
    const uint8_t *rest = data;
    size_t left = size;
    event.type = next_part(&rest, &left);
    event.application = next_part(&rest, &left);
    object.part[0] = next_part(&rest, &left);
    object.part[1] = next_part(&rest, &left);
    struct topic topic;
    demand(topic_compare(template, &event, has_object ? &object : NULL, &topic));
    compile_text(data, size, &event);
    return 0;
}
