/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A disk as a test needs it, for files whose path holds the word "journal": full, failing, slow.
 * bad_disk.c stands in for the C library's calls, linked into a test program or loaded before the
 * libraries of another process; then the two share this struct in a file that the environment
 * variable BAD_DISK names.
 */
#ifndef ARIZMQ_HARNESS_BAD_DISK_H
#define ARIZMQ_HARNESS_BAD_DISK_H

#include <stdatomic.h>
#include <stdint.h>

enum bad_disk_fault {
    BAD_DISK_NONE,
    BAD_DISK_FULL,     /* writes: what `room` allows, perhaps a part of one, then ENOSPC */
    BAD_DISK_EIO,      /* writes: EIO */
    BAD_DISK_SYNC_EIO, /* fsync: EIO, though the writes went well */
    BAD_DISK_READ_EIO, /* reads: EIO */
};

struct bad_disk {
    _Atomic int fault;
    _Atomic int64_t room;     /* bytes */
    _Atomic uint32_t sync_ms; /* what each fsync takes more */
    _Atomic uint64_t writes;  /* how often each was called */
    _Atomic uint64_t syncs;
    _Atomic uint64_t failures; /* answered with an error, or in part */
};

/* The one of this process. */
struct bad_disk *bad_disk(void);

#endif
