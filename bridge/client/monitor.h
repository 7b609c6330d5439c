/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What ZeroMQ tells of a socket's one connection: made, spoken over, lost.
 */
#ifndef ARIZMQ_CLIENT_MONITOR_H
#define ARIZMQ_CLIENT_MONITOR_H

enum monitor_event {
    MONITOR_NOTHING,
    MONITOR_REFUSED,   /* nobody is there, for now */
    MONITOR_CONNECTED, /* somebody accepted; what it is will show */
    MONITOR_SPEAKS,    /* and speaks ZeroMQ */
    MONITOR_LOST,
};

/* Returns a socket to poll and to read from, which monitor_close() closes; NULL with zmq_errno().
 * Before `socket` connects. */
void *monitor_open(void *context, void *socket);
void monitor_close(void **monitor, void *socket);

/* Takes the next event; MONITOR_NOTHING where none waits. */
enum monitor_event monitor_read(void *monitor);

#endif
