/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Fault 14: the process may open too few files. Where they cannot suffice it says so in one line
 * and ends with 1; where they do, it runs, and a node for which none is left is tried again.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"

TestSuite(fault_14, .timeout = 300);

/* What the daemon needs for the one link below. */
enum { NEEDED = 44 };

static char program[] = "/tmp/arizmq-ulimit-XXXXXX";

static struct daemon *start_with(unsigned files)
{
    char config[512];
    snprintf(config, sizeof config,
             "nodes:\n  - {name: pbx1, url: \"ws://127.0.0.1:%u/ari\", username: lab, "
             "password: x, apps: [ivr], backoff_min_ms: 20, backoff_max_ms: 40}\n"
             "publish:\n  - {view: events, endpoint: \"ipc://DIR/events\"}\n",
             harness_free_port());
    strcpy(program + strlen(program) - 6, "XXXXXX");
    int fd = mkstemp(program);
    cr_assert_geq(fd, 0);
    dprintf(fd, "#!/bin/sh\nulimit -n %u && exec %s \"$@\"\n", files, BUILD_DIR "/arizmqd");
    fchmod(fd, 0700);
    close(fd);
    struct daemon_options options = {.config = config, .program = program};
    struct daemon *daemon = daemon_start(&options);
    cr_assert_not_null(daemon);
    return daemon;
}

Test(fault_14, too_few_files)
{
    for (unsigned files = 10; files < NEEDED; files += 6) {
        struct daemon *daemon = start_with(files);
        char expected[160];
        snprintf(expected, sizeof expected,
                 "only %u files may be open (ulimit -n); this configuration needs %d and one for "
                 "each subscriber",
                 files, NEEDED);
        cr_assert_eq(process_wait(daemon->process, FAULT_TIMEOUT_MS), 1);
        cr_assert_not_null(daemon_await_log(daemon, "start_failed", expected, 0), "%s", expected);
        daemon_stop(&daemon, FAULT_TIMEOUT_MS);
        unlink(program);
    }
}

Test(fault_14, just_enough_files)
{
    struct daemon *daemon = start_with(NEEDED);
    for (int i = 0; i < 3; i++) {
        cr_assert_not_null(daemon_await_log(daemon, "node_retry", "pbx1/ivr: ", FAULT_TIMEOUT_MS));
    }
    cr_assert_eq(daemon_stop(&daemon, FAULT_TIMEOUT_MS), 0);
    unlink(program);
}
