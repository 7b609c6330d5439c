/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Text to message. command.c, command_end.c and own.c call it for what Asterisk has not answered.
 */
#include "gateway/body.h"

#include <stdlib.h>

#include "arizmq/error.h"
#include "gateway/reply.h"

static void free_text(void *text, void *hint)
{
    (void)hint;
    free(text);
}

int body_from_text(char *text, size_t length, zmq_msg_t *out)
{
    if (zmq_msg_init_data(out, text, length, free_text, NULL) != 0) {
        free(text);
        return ARIZMQ_ENOMEM;
    }
    return ARIZMQ_OK;
}

void body_from_error(const char *message, zmq_msg_t *out)
{
    size_t length = 0;
    char *text = reply_print_error(message, &length);
    if (text == NULL || body_from_text(text, length, out) != ARIZMQ_OK) {
        zmq_msg_init(out);
    }
}
