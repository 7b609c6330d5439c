/* SPDX-License-Identifier: MPL-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include "ops/options.h"

#define PARSE(out, ...)                                                                            \
    do {                                                                                           \
        char *arguments[] = {"arizmqd", __VA_ARGS__, NULL};                                        \
        options_parse((int)(sizeof arguments / sizeof arguments[0]) - 1, arguments, out);          \
    } while (0)

Test(options, default_to_the_environment_alone)
{
    char *arguments[] = {"arizmqd", NULL};
    struct options options = {.check_config = true};
    options_parse(1, arguments, &options);
    cr_expect_null(options.config_file);
    cr_expect_null(options.log_level);
    cr_expect_not(options.check_config);
    cr_expect_not(options.dump_config);
    cr_expect_null(options.takeover);
    cr_expect_eq(options.takeover_wait_ms, 2000);
}

Test(options, are_all_read)
{
    struct options options;
    PARSE(&options, "-c", "/etc/a.yaml", "--log-level=debug");
    cr_expect_str_eq(options.config_file, "/etc/a.yaml");
    cr_expect_str_eq(options.log_level, "debug");
    PARSE(&options, "--config", "b.yaml", "--check-config");
    cr_expect_str_eq(options.config_file, "b.yaml");
    cr_expect(options.check_config);
    cr_expect_not(options.dump_config);
    PARSE(&options, "--dump-config");
    cr_expect(options.dump_config);
    PARSE(&options, "--takeover", "tcp://127.0.0.1:5558,ipc:///x", "--takeover-wait=0");
    cr_expect_str_eq(options.takeover, "tcp://127.0.0.1:5558,ipc:///x");
    cr_expect_eq(options.takeover_wait_ms, 0);
}

Test(options, version_ends_with_0, .exit_code = 0, .init = cr_redirect_stdout)
{
    struct options options;
    PARSE(&options, "--version");
    cr_assert_fail("came back");
}

Test(options, help_ends_with_0, .exit_code = 0, .init = cr_redirect_stdout)
{
    struct options options;
    PARSE(&options, "--help");
    cr_assert_fail("came back");
}

Test(options, unknown_option_ends_with_2, .exit_code = 2, .init = cr_redirect_stderr)
{
    struct options options;
    PARSE(&options, "--colour");
    cr_assert_fail("came back");
}

Test(options, argument_ends_with_2, .exit_code = 2, .init = cr_redirect_stderr)
{
    struct options options;
    PARSE(&options, "file.yaml");
    cr_assert_fail("came back");
}

Test(options, wait_that_is_no_number_ends_with_2, .exit_code = 2, .init = cr_redirect_stderr)
{
    struct options options;
    PARSE(&options, "--takeover-wait", "-1");
    cr_assert_fail("came back");
}

Test(options, missing_value_ends_with_2, .exit_code = 2, .init = cr_redirect_stderr)
{
    struct options options;
    PARSE(&options, "--config");
    cr_assert_fail("came back");
}
