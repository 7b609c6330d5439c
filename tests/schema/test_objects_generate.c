/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The generator of the object table, run as the build runs it: each kind of mistake in the file
 * ends it with a line that names the file and the mistake, and nothing is written.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/arizmq-objects-XXXXXX";
static char input[64];
static char output[64];

static void make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(input, sizeof input, "%s/objects.json", directory);
    snprintf(output, sizeof output, "%s/table.inc", directory);
}

static void remove_directory(void)
{
    unlink(input);
    unlink(output);
    rmdir(directory);
}

TestSuite(objects_generate, .init = make_directory, .fini = remove_directory);

/* Runs the generator over `json`; returns its exit status, and what it said in `said`. */
static int generate(const char *json, char said[1024])
{
    FILE *file = fopen(input, "w");
    cr_assert_not_null(file);
    fputs(json, file);
    fclose(file);
    char command[1024];
    snprintf(command, sizeof command, "%s %s %s 2>&1", GENERATE, input, output);
    FILE *pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    size_t length = fread(said, 1, 1023, pipe);
    said[length] = '\0';
    int status = pclose(pipe);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(objects_generate, mistakes_stop_the_build_and_are_named)
{
    static const char *const mistakes[][2] = {
        {"{", "line 1"},
        {"[]", "Expected object"},
        {"{\"types\": {\"A\": []}}", "\"*\""},
        {"{\"types\": {\"*\": []}}", "no event type"},
        {"{\"types\": {\"A\": [], \"A\": [], \"*\": []}}", "duplicate object key"},
        {"{\"types\": {\"A-b\": [], \"*\": []}}", "\"A-b\" is neither"},
        {"{\"types\": {\"A\": {}, \"*\": []}}", "types.A is not a list"},
        {"{\"types\": {\"A\": [3], \"*\": []}}", "types.A[0]: Expected object"},
        {"{\"types\": {\"A\": [], \"*\": [{\"kind\": \"chanel\", \"path\": \"a\"}]}}",
         "types.*[0]: kind \"chanel\" is none of channel"},
        {"{\"types\": {\"A\": [{\"path\": \"a\"}], \"*\": []}}", "\"kind\" is missing"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\"}], \"*\": []}}", "path"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a\", \"from\": 1}], \"*\": []}}",
         "from"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a\", \"form\": \"x\"}], "
         "\"*\": []}}",
         "form \"x\" is none of string, endpoint, uri"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a\", \"form\": \"uri\"}], "
         "\"*\": []}}",
         "remove kind"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a.b.c.d\"}], \"*\": []}}",
         "deeper than 3"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a..b\"}], \"*\": []}}",
         "\"a..b\" is not members"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a\"}, "
         "{\"kind\": \"channel\", \"path\": \"a\"}], \"*\": []}}",
         "\"a\" stands there twice"},
        {"{\"types\": {\"A\": [{\"kind\": \"bridge\", \"path\": \"a\", \"ends\": \"yes\"}], "
         "\"*\": []}}",
         "Expected true or false"},
        {"{\"types\": {\"A\": [{\"kind\": \"device\", \"path\": \"a\", \"ends\": true}], "
         "\"*\": []}}",
         "\"ends\" is for kinds channel"},
        {"{\"types\": {\"A\": [{\"form\": \"uri\", \"path\": \"a\", \"ends\": true}], \"*\": []}}",
         "\"ends\" is for form \"string\", not \"uri\""},
        {"{\"types\": {\"A\": [], \"*\": []}, \"typos\": 1}", "typos"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char said[1024];
        cr_assert_eq(generate(mistakes[i][0], said), 1, "%s: %s", mistakes[i][0], said);
        cr_assert_not_null(strstr(said, mistakes[i][1]), "%s: %s", mistakes[i][0], said);
        cr_assert_not_null(strstr(said, input), "%s does not name the file", said);
        cr_assert_neq(access(output, F_OK), 0, "%s left a table", mistakes[i][0]);
    }
}

Test(objects_generate, a_table_without_mistakes_is_written)
{
    char said[1024];
    int status = generate("{\"types\": {\"B\": [{\"kind\": \"device\", \"path\": \"a.b\"}], "
                          "\"C\": [{\"kind\": \"bridge\", \"path\": \"a\", \"ends\": true}], "
                          "\"A\": [], \"*\": []}}",
                          said);
    cr_assert_eq(status, 0, "%s", said);
    cr_assert_str_empty(said);
    cr_assert_eq(access(output, R_OK), 0);
}
