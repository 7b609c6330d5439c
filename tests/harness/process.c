/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Starts the programs that tests talk to, reads what they write line by line, and sees to their
 * end. Called by fake.c and daemon.c and by tests. Reading happens only inside the calls that
 * wait; there is no thread, because a test is forked by its runner.
 */
#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arizmq/error.h"

struct line {
    char *text;
    bool is_taken;
};

struct stream {
    int fd; /* -1 after its end */
    char *partial;
    size_t partial_length;
    struct line *lines;
    size_t count;
    size_t capacity;
};

struct process {
    pid_t pid;
    int input; /* -1 after process_close_input() */
    bool has_ended;
    int status;
    struct stream streams[PROCESS_STREAMS];
};

int64_t harness_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint16_t harness_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return 0;
    }
    bool got = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
               getsockname(fd, (struct sockaddr *)&address, &length) == 0;
    close(fd);
    return got ? ntohs(address.sin_port) : 0;
}

bool process_line_begins_with(const char *line, const void *argument)
{
    return strncmp(line, argument, strlen(argument)) == 0;
}

bool process_line_contains(const char *line, const void *argument)
{
    return strstr(line, argument) != NULL;
}

/* The environment without what the tests themselves are told by it (ARIZMQ_TEST_…), which is no
 * configuration of a program that they run. The array is malloc'd. */
static char **environment_create(void)
{
    static const char own[] = "ARIZMQ_TEST_";
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    char **kept = calloc(count + 1, sizeof *kept);
    for (size_t i = 0, next = 0; kept && i < count; i++) {
        if (strncmp(environ[i], own, sizeof own - 1) != 0) {
            kept[next++] = environ[i];
        }
    }
    return kept;
}

/* In the child, between fork() and exec(): only async-signal-safe calls. */
static _Noreturn void child_exec(const char *const *argv, char *const *environment,
                                 const int pipes[3][2], pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(pipes[0][0], STDIN_FILENO) < 0 ||
        dup2(pipes[1][1], STDOUT_FILENO) < 0 || dup2(pipes[2][1], STDERR_FILENO) < 0) {
        _exit(126);
    }
    execve(argv[0], (char *const *)argv, environment);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void pipes_close(int pipes[3][2])
{
    for (int i = 0; i < 3; i++) {
        for (int end = 0; end < 2; end++) {
            if (pipes[i][end] >= 0) {
                close(pipes[i][end]);
            }
        }
    }
}

int process_start(const char *const *argv, struct process **out)
{
    int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    struct process *process = calloc(1, sizeof *process);
    char **environment = environment_create();
    if (!process || !environment || pipe2(pipes[0], O_CLOEXEC) || pipe2(pipes[1], O_CLOEXEC) ||
        pipe2(pipes[2], O_CLOEXEC)) {
        goto failed;
    }
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid < 0) {
        goto failed;
    }
    if (process->pid == 0) {
        child_exec(argv, environment, pipes, parent);
    }
    free(environment);
    process->input = pipes[0][1];
    process->streams[PROCESS_STDOUT].fd = pipes[1][0];
    process->streams[PROCESS_STDERR].fd = pipes[2][0];
    pipes[0][1] = pipes[1][0] = pipes[2][0] = -1;
    pipes_close(pipes);
    *out = process;
    return ARIZMQ_OK;
failed:
    pipes_close(pipes);
    free(environment);
    free(process);
    return ARIZMQ_EIO;
}

static void stream_add_line(struct stream *stream, const char *text, size_t length)
{
    if (stream->count == stream->capacity) {
        stream->capacity = stream->capacity ? stream->capacity * 2 : 64;
        struct line *grown = realloc(stream->lines, stream->capacity * sizeof *grown);
        if (!grown) {
            abort();
        }
        stream->lines = grown;
    }
    char *copy = malloc(length + 1); /* not strndup(): there is no NUL behind the text */
    if (!copy) {
        abort();
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    stream->lines[stream->count++] = (struct line){.text = copy};
}

static void stream_read(struct stream *stream)
{
    char chunk[65536];
    ssize_t n = read(stream->fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        if (stream->partial_length > 0) {
            stream_add_line(stream, stream->partial, stream->partial_length);
            stream->partial_length = 0;
        }
        close(stream->fd);
        stream->fd = -1;
        return;
    }
    char *grown = realloc(stream->partial, stream->partial_length + (size_t)n);
    if (!grown) {
        abort();
    }
    stream->partial = grown;
    memcpy(grown + stream->partial_length, chunk, (size_t)n);
    stream->partial_length += (size_t)n;
    size_t begin = 0;
    char *newline;
    while ((newline = memchr(grown + begin, '\n', stream->partial_length - begin)) != NULL) {
        size_t end = (size_t)(newline - grown);
        stream_add_line(stream, grown + begin, end - begin);
        begin = end + 1;
    }
    stream->partial_length -= begin;
    memmove(grown, grown + begin, stream->partial_length);
}

/* Reads what both streams have, waiting for it at most timeout_ms. Returns 1 when something came,
 * 0 when the time was over, -1 when both streams have ended. */
static int process_pump(struct process *process, int timeout_ms)
{
    struct pollfd polled[PROCESS_STREAMS];
    bool is_open = false;
    for (int i = 0; i < PROCESS_STREAMS; i++) {
        polled[i] = (struct pollfd){.fd = process->streams[i].fd, .events = POLLIN};
        is_open = is_open || polled[i].fd >= 0;
    }
    if (!is_open) {
        return -1;
    }
    if (poll(polled, PROCESS_STREAMS, timeout_ms) <= 0) {
        return 0;
    }
    for (int i = 0; i < PROCESS_STREAMS; i++) {
        if (polled[i].revents) {
            stream_read(&process->streams[i]);
        }
    }
    return 1;
}

void process_destroy(struct process **self)
{
    struct process *process = *self;
    if (!process) {
        return;
    }
    if (!process->has_ended) {
        kill(process->pid, SIGKILL);
        waitpid(process->pid, NULL, 0);
    }
    process_close_input(process);
    for (int i = 0; i < PROCESS_STREAMS; i++) {
        struct stream *stream = &process->streams[i];
        if (stream->fd >= 0) {
            close(stream->fd);
        }
        for (size_t line = 0; line < stream->count; line++) {
            free(stream->lines[line].text);
        }
        free(stream->lines);
        free(stream->partial);
    }
    free(process);
    *self = NULL;
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

int process_write_line(struct process *process, const char *text)
{
    size_t length = strlen(text);
    char *line = malloc(length + 1);
    if (!line) {
        return ARIZMQ_ENOMEM;
    }
    memcpy(line, text, length);
    line[length] = '\n';
    /* A program that has ended must not end the test with SIGPIPE. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    sigaction(SIGPIPE, &ignore, &before);
    size_t written = 0;
    while (written <= length) {
        ssize_t n = write(process->input, line + written, length + 1 - written);
        if (n < 0 && errno != EINTR) {
            break;
        }
        written += n > 0 ? (size_t)n : 0;
    }
    sigaction(SIGPIPE, &before, NULL);
    free(line);
    return written == length + 1 ? ARIZMQ_OK : ARIZMQ_EIO;
}

void process_close_input(struct process *process)
{
    if (process->input >= 0) {
        close(process->input);
        process->input = -1;
    }
}

const char *process_await_line(struct process *process, enum process_stream stream,
                               process_line_predicate *predicate, const void *argument,
                               int timeout_ms)
{
    struct stream *lines = &process->streams[stream];
    int64_t deadline = harness_now_ms() + timeout_ms;
    size_t looked_at = 0;
    for (;;) {
        for (; looked_at < lines->count; looked_at++) {
            struct line *line = &lines->lines[looked_at];
            if (!line->is_taken && predicate(line->text, argument)) {
                line->is_taken = true;
                return line->text;
            }
        }
        if (lines->fd < 0) {
            return NULL;
        }
        /* What is there is read, even where looking through the lines took all the time there was.
         */
        int64_t left = deadline - harness_now_ms();
        int pumped = process_pump(process, left > 0 ? (int)left : 0);
        if (pumped < 0 || (pumped == 0 && left <= 0)) {
            return NULL;
        }
    }
}

size_t process_count_lines(struct process *process, enum process_stream stream,
                           process_line_predicate *predicate, const void *argument)
{
    struct stream *lines = &process->streams[stream];
    while (process_pump(process, 0) > 0) {
    }
    size_t fitting = 0;
    for (size_t i = 0; i < lines->count; i++) {
        fitting += predicate(lines->lines[i].text, argument);
    }
    return fitting;
}

void process_dump(struct process *process)
{
    static const char *const names[PROCESS_STREAMS] = {"out", "err"};
    while (process_pump(process, 0) > 0) {
    }
    for (int i = 0; i < PROCESS_STREAMS; i++) {
        for (size_t line = 0; line < process->streams[i].count; line++) {
            fprintf(stderr, "[%d %s] %s\n", process->pid, names[i],
                    process->streams[i].lines[line].text);
        }
    }
}

int process_signal(struct process *process, int signal_number)
{
    if (process->has_ended || kill(process->pid, signal_number)) {
        return ARIZMQ_ECLOSED;
    }
    return ARIZMQ_OK;
}

int process_wait(struct process *process, int timeout_ms)
{
    int64_t deadline = harness_now_ms() + timeout_ms;
    while (!process->has_ended) {
        int status;
        if (waitpid(process->pid, &status, WNOHANG) == process->pid) {
            process->has_ended = true;
            process->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            break;
        }
        if (harness_now_ms() > deadline) {
            return ARIZMQ_ENOTFOUND;
        }
        /* Output must be taken or the program might never end; its end closes the pipes, so the
         * short wait is only for one that closed them itself. */
        if (process_pump(process, 20) < 0) {
            poll(NULL, 0, 5);
        }
    }
    /* What is still in the pipes; their end is not waited for, a grandchild may hold them. */
    while (process_pump(process, 0) > 0) {
    }
    return process->status;
}

int process_resident_bytes(const struct process *process, uint64_t *out)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/statm", process->pid);
    FILE *file = fopen(path, "r");
    if (!file) {
        return ARIZMQ_ECLOSED;
    }
    unsigned long total;
    unsigned long resident;
    int fields = fscanf(file, "%lu %lu", &total, &resident);
    fclose(file);
    if (fields != 2 || resident == 0) {
        return ARIZMQ_ECLOSED;
    }
    *out = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
    return ARIZMQ_OK;
}
