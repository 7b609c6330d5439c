/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What session.c (the socket) and session_frames.c (what the frames mean) need of each other.
 */
#ifndef ARIZMQ_FAKE_SESSION_PRIVATE_H
#define ARIZMQ_FAKE_SESSION_PRIVATE_H

#include "fake.h"

/* Leaves the applications, reports the close and shuts the socket down. May be called again. */
void session_end(struct session *session);
/* Reads until the socket is empty. */
void session_read(struct session *session);
/* Switches reading on or off as the session's state asks. */
void session_set_reading(struct session *session);
/* Handles the whole frames that session->in holds. */
void session_parse(struct session *session);

#endif
