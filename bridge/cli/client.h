/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What the commands that ask the gateway have in common: asking, and telling about the reply.
 */
#ifndef ARIZMQ_CLI_CLIENT_H
#define ARIZMQ_CLI_CLIENT_H

#include <stdbool.h>

#include "arizmq/gateway.h"

/* Asks the gateway. Returns 0 and the reply, for arizmq_reply_destroy(); or, after one line about
 * it on standard error, what arizmq_gateway_create() or arizmq_gateway_request() returned. */
int client_ask(const char *endpoint, const struct arizmq_request *request,
               struct arizmq_reply **out);

/* From here on SIGINT and SIGTERM end the process at once and quietly, as they do by default, but
 * also where it is the first of a container; a reader of standard output that goes away does not
 * end it. */
void client_prepare_signals(void);

/* The string member of a reply's header; `otherwise` where it has none. */
const char *client_reply_text(const struct arizmq_reply *reply, const char *name,
                              const char *otherwise);

/* The exit status that tells the reply's class: 0 for 2xx, else the first digit. */
int client_reply_exit_status(const struct arizmq_reply *reply);

/* Writes the status line to standard error: "200 OK (pbx1, 3.2 ms)". */
void client_reply_write_status(const struct arizmq_reply *reply);

/* Tells of a reply that is not 2xx, its body among it. Returns its exit status. */
int client_show_refusal(const struct arizmq_reply *reply);

/* Flushes standard output. Returns whether everything was written or its reader went away; says
 * what went wrong otherwise. */
bool client_finish_output(void);

#endif
