/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The forms in which arizmq writes a message.
 */
#ifndef ARIZMQ_CLI_PRINT_H
#define ARIZMQ_CLI_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "arizmq/subscriber.h"
#include "cli/message.h"

enum print_form {
    PRINT_FORM_HUMAN,  /* one line of columns and facts */
    PRINT_FORM_JSON,   /* one JSON object a line, the event as it came */
    PRINT_FORM_PRETTY, /* topic, stamp and the event indented, then an empty line */
    PRINT_FORM_TOPICS, /* the topic alone */
};

struct print_style {
    enum print_form form;
    enum message_view view; /* tells the human form what the topic's tokens are */
    bool use_color;         /* human and pretty */
};

/* Writes the message. Failures are the stream's: the caller asks ferror(). */
void print_message(FILE *out, const struct print_style *style, const struct message *message);

/* Writes an object of a snapshot, which no message looks like: in JSON its line begins {"object":,
 * in the other forms with the word object. */
void print_object(FILE *out, const struct print_style *style, const struct arizmq_object *object);

#endif
