/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arizmq/error.h"
#include "harness/process.h"

static struct process *start_shell(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
    return process;
}

Test(process, hands_each_line_out_once_and_never_the_wrong_kind, .timeout = 60)
{
    struct process *process = start_shell("echo a 1; echo b 1; echo a 2; echo to stderr >&2");
    cr_assert_str_eq(
        process_await_line(process, PROCESS_STDOUT, process_line_begins_with, "b", 20000), "b 1");
    cr_assert_str_eq(
        process_await_line(process, PROCESS_STDOUT, process_line_begins_with, "a", 20000), "a 1");
    cr_assert_str_eq(process_await_line(process, PROCESS_STDOUT, process_line_contains, "2", 20000),
                     "a 2");
    cr_assert_null(process_await_line(process, PROCESS_STDOUT, process_line_contains, "", 20000));
    cr_assert_str_eq(
        process_await_line(process, PROCESS_STDERR, process_line_contains, "std", 20000),
        "to stderr");
    cr_assert_eq(process_count_lines(process, PROCESS_STDOUT, process_line_begins_with, "a"), 2);
    process_destroy(&process);
    cr_assert_null(process);
}

Test(process, gives_up_waiting_at_the_deadline, .timeout = 60)
{
    struct process *process = start_shell("cat");
    int64_t start = harness_now_ms();
    cr_assert_null(process_await_line(process, PROCESS_STDOUT, process_line_contains, "", 50));
    cr_assert_geq(harness_now_ms() - start, 50);
    cr_assert_eq(process_wait(process, 50), ARIZMQ_ENOTFOUND);
    process_destroy(&process);
}

Test(process, writes_lines_and_sees_the_end_of_input, .timeout = 60)
{
    struct process *process = start_shell("cat; exit 3");
    cr_assert_eq(process_write_line(process, "hello"), ARIZMQ_OK);
    cr_assert_str_eq(process_await_line(process, PROCESS_STDOUT, process_line_contains, "", 20000),
                     "hello");
    process_close_input(process);
    cr_assert_eq(process_wait(process, 20000), 3);
    cr_assert_eq(process_write_line(process, "too late"), ARIZMQ_EIO);
    cr_assert_eq(process_signal(process, SIGTERM), ARIZMQ_ECLOSED);
    process_destroy(&process);
}

Test(process, keeps_a_last_line_without_newline, .timeout = 60)
{
    struct process *process = start_shell("printf 'no newline'");
    cr_assert_str_eq(process_await_line(process, PROCESS_STDOUT, process_line_contains, "", 20000),
                     "no newline");
    process_destroy(&process);
}

Test(process, tells_which_signal_ended_it, .timeout = 60)
{
    struct process *process = start_shell("exec cat");
    uint64_t resident = 0;
    cr_assert_eq(process_resident_bytes(process, &resident), ARIZMQ_OK);
    cr_assert_gt(resident, 4096);
    cr_assert_eq(process_signal(process, SIGTERM), ARIZMQ_OK);
    cr_assert_eq(process_wait(process, 20000), 128 + SIGTERM);
    cr_assert_eq(process_resident_bytes(process, &resident), ARIZMQ_ECLOSED);
    process_destroy(&process);
}

Test(process, reports_a_program_that_is_not_there, .timeout = 60)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct process *process = NULL;
    cr_assert_eq(process_start(argv, &process), ARIZMQ_OK);
    cr_assert_not_null(
        process_await_line(process, PROCESS_STDERR, process_line_contains, "cannot run", 20000));
    cr_assert_eq(process_wait(process, 20000), 127);
    process_destroy(&process);
}

Test(process, takes_output_while_it_waits_for_the_end, .timeout = 60)
{
    /* More than a pipe holds. */
    struct process *process = start_shell("head -c 1000000 /dev/zero | tr '\\0' x; echo; exit 7");
    cr_assert_eq(process_wait(process, 20000), 7);
    const char *line =
        process_await_line(process, PROCESS_STDOUT, process_line_begins_with, "x", 20000);
    cr_assert_eq(strlen(line), 1000000);
    process_destroy(&process);
}

/* A test that dies leaves nothing behind: the middle process starts a program and is killed. */
Test(process, dies_with_the_test, .timeout = 60)
{
    int tube[2];
    cr_assert_eq(pipe(tube), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct process *process = start_shell("exec cat");
        pid_t pid = process_pid(process);
        if (write(tube[1], &pid, sizeof pid) != sizeof pid) {
            _exit(1);
        }
        pause();
        _exit(0);
    }
    pid_t program = 0;
    cr_assert_eq(read(tube[0], &program, sizeof program), sizeof program);
    cr_assert_eq(kill(program, 0), 0);
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", program);
    for (bool is_gone = false; !is_gone; usleep(5000)) {
        FILE *file = fopen(path, "r");
        char state = 'Z';
        if (file) {
            /* A zombie waits for whoever adopted it, and runs no more. */
            is_gone = fscanf(file, "%*d (%*[^)]) %c", &state) == 1 && state == 'Z';
            fclose(file);
        } else {
            is_gone = true;
        }
    }
}

Test(process, finds_a_port_that_can_be_bound)
{
    cr_assert_gt(harness_free_port(), 0);
}
