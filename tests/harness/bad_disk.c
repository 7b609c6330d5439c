/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The C library's calls to read, write and sync, as bad_disk.h says. Other files than the journal's
 * get the real ones. Plain C without any of the project: it is loaded into whatever runs.
 */
#include "bad_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct bad_disk *bad_disk(void)
{
    static struct bad_disk own;
    static _Atomic(struct bad_disk *) shared;
    struct bad_disk *found = atomic_load(&shared);
    if (found != NULL) {
        return found;
    }
    const char *path = getenv("BAD_DISK");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory =
        fd >= 0 ? mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0) {
        close(fd);
    }
    found = memory != MAP_FAILED ? memory : &own;
    atomic_store(&shared, found);
    return found;
}

static void *next_of(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol == NULL) {
        abort();
    }
    return symbol;
}

static bool is_journal(int fd)
{
    char link[32];
    char path[512];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = saved;
    if (length <= 0) {
        return false;
    }
    path[length] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strstr(name, "journal") != NULL;
}

/* How many of the bytes may be written; -1 with errno: none. */
static ssize_t allowed(int fd, size_t length)
{
    struct bad_disk *disk = bad_disk();
    int fault = atomic_load(&disk->fault);
    if (!is_journal(fd)) {
        return (ssize_t)length;
    }
    atomic_fetch_add(&disk->writes, 1);
    if (fault == BAD_DISK_EIO) {
        atomic_fetch_add(&disk->failures, 1);
        errno = EIO;
        return -1;
    }
    if (fault != BAD_DISK_FULL) {
        return (ssize_t)length;
    }
    int64_t room = atomic_fetch_sub(&disk->room, (int64_t)length);
    if (room >= (int64_t)length) {
        return (ssize_t)length;
    }
    atomic_fetch_add(&disk->failures, 1);
    if (room > 0) {
        return (ssize_t)room;
    }
    errno = ENOSPC;
    return -1;
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL) {
        void *symbol = next_of("write");
        memcpy(&next, &symbol, sizeof next);
    }
    ssize_t most = allowed(fd, length);
    return most < 0 ? -1 : next(fd, bytes, (size_t)most);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (next == NULL) {
        void *symbol = next_of("pwrite");
        memcpy(&next, &symbol, sizeof next);
    }
    ssize_t most = allowed(fd, length);
    return most < 0 ? -1 : next(fd, bytes, (size_t)most, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (next == NULL) {
        void *symbol = next_of("pwrite64");
        memcpy(&next, &symbol, sizeof next);
    }
    ssize_t most = allowed(fd, length);
    return most < 0 ? -1 : next(fd, bytes, (size_t)most, offset);
}

static bool may_read(int fd)
{
    struct bad_disk *disk = bad_disk();
    if (atomic_load(&disk->fault) != BAD_DISK_READ_EIO || !is_journal(fd)) {
        return true;
    }
    atomic_fetch_add(&disk->failures, 1);
    errno = EIO;
    return false;
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    static ssize_t (*next)(int, void *, size_t, off_t);
    if (next == NULL) {
        void *symbol = next_of("pread");
        memcpy(&next, &symbol, sizeof next);
    }
    return may_read(fd) ? next(fd, bytes, length, offset) : -1;
}

ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset)
{
    static ssize_t (*next)(int, void *, size_t, off64_t);
    if (next == NULL) {
        void *symbol = next_of("pread64");
        memcpy(&next, &symbol, sizeof next);
    }
    return may_read(fd) ? next(fd, bytes, length, offset) : -1;
}

static int sync_with(int (*next)(int), int fd)
{
    struct bad_disk *disk = bad_disk();
    if (!is_journal(fd)) {
        return next(fd);
    }
    atomic_fetch_add(&disk->syncs, 1);
    uint32_t ms = atomic_load(&disk->sync_ms);
    if (ms > 0) {
        nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
    }
    int fault = atomic_load(&disk->fault);
    if (fault == BAD_DISK_SYNC_EIO || fault == BAD_DISK_EIO) {
        atomic_fetch_add(&disk->failures, 1);
        errno = EIO;
        return -1;
    }
    return next(fd);
}

int fsync(int fd)
{
    static int (*next)(int);
    if (next == NULL) {
        void *symbol = next_of("fsync");
        memcpy(&next, &symbol, sizeof next);
    }
    return sync_with(next, fd);
}

int fdatasync(int fd)
{
    static int (*next)(int);
    if (next == NULL) {
        void *symbol = next_of("fdatasync");
        memcpy(&next, &symbol, sizeof next);
    }
    return sync_with(next, fd);
}
