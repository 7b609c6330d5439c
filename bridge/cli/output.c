/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Everything that `arizmq sub` writes to standard output leaves here. A plain stdio stream resumes
 * a write that a signal cut short, and would so wait for ever for a reader that does not read;
 * this one waits for the reader and for the signal at once. It never puts the descriptor into
 * non-blocking mode: others may share it.
 */
#include "cli/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "arizmq/error.h"

enum { BUFFER_BYTES = 1 << 16 };

struct output {
    FILE *stream;
    int fd;
    int stop_fd;
    int error; /* errno of the first failure, 0: none */
};

/* Waits until the descriptor takes PIPE_BUF bytes. Returns 0 or an errno. */
static int wait_until_writable(const struct output *self)
{
    struct pollfd fds[] = {{.fd = self->fd, .events = POLLOUT},
                           {.fd = self->stop_fd, .events = POLLIN}};
    int timeout_ms = -1;
    nfds_t watched = 2;
    for (;;) {
        int ready = poll(fds, watched, timeout_ms);
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
        if (ready > 0 && fds[0].revents != 0) {
            return 0; /* an error there is for write() to tell */
        }
        if (ready == 0) {
            return ECANCELED;
        }
        if (ready > 0) { /* asked to stop: a last chance */
            watched = 1;
            timeout_ms = OUTPUT_GRACE_MS;
        }
    }
}

/* fopencookie's write: returns less than `size` for a failure. At most PIPE_BUF at once, or a pipe
 * that poll() called writable could block all the same. */
static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
    struct output *self = cookie;
    size_t done = 0;
    while (self->error == 0 && done < size) {
        self->error = wait_until_writable(self);
        if (self->error != 0) {
            break;
        }
        size_t rest = size - done;
        ssize_t written = write(self->fd, bytes + done, rest < PIPE_BUF ? rest : PIPE_BUF);
        if (written >= 0) {
            done += (size_t)written;
        } else if (errno != EINTR && errno != EAGAIN) {
            self->error = errno;
        }
    }
    return (ssize_t)done;
}

int output_create(int fd, int stop_fd, struct output **out)
{
    struct output *self = malloc(sizeof *self);
    if (self == NULL) {
        return ARIZMQ_ENOMEM;
    }
    *self = (struct output){.fd = fd, .stop_fd = stop_fd};
    self->stream = fopencookie(self, "w", (cookie_io_functions_t){.write = write_all});
    if (self->stream == NULL) {
        free(self);
        return ARIZMQ_ENOMEM;
    }
    setvbuf(self->stream, NULL, _IOFBF, BUFFER_BYTES);
    *out = self;
    return ARIZMQ_OK;
}

void output_destroy(struct output **self_p)
{
    struct output *self = *self_p;
    if (self != NULL) {
        fclose(self->stream);
        free(self);
        *self_p = NULL;
    }
}

FILE *output_stream(struct output *self)
{
    return self->stream;
}

int output_flush(struct output *self)
{
    fflush(self->stream);
    return self->error;
}

int output_error(const struct output *self)
{
    return self->error;
}
