/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Certificates for the TLS tests, made by openssl(1) when a test begins, so that none can have
 * expired and no key lies in the sources.
 */
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "peer.h"

static void run(const char *command)
{
    int status = system(command);
    cr_assert_eq(status, 0, "%s: status %d", command, status);
}

void certificates_create(struct certificates *certificates)
{
    static const struct {
        const char *name;
        const char *extension;
        bool is_signed_by_ca;
    } list[] = {
        {"ca", "basicConstraints=critical,CA:TRUE", false},
        {"server", "subjectAltName=DNS:localhost,IP:127.0.0.1", true},
        {"other", "subjectAltName=DNS:other.example,IP:192.0.2.17", true},
        {"client", "extendedKeyUsage=clientAuth", true},
        {"self", "subjectAltName=DNS:localhost,IP:127.0.0.1", false},
    };
    *certificates = (struct certificates){.directory = "/tmp/arizmq-certificates-XXXXXX"};
    cr_assert_not_null(mkdtemp(certificates->directory));
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char command[512];
        snprintf(command, sizeof command,
                 "cd %s && openssl req -x509 %s -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
                 "-nodes -days 2 -subj /CN=%s -addext %s -keyout %s.key -out %s.pem 2>log || "
                 "{ cat log >&2; exit 1; }",
                 certificates->directory, list[i].is_signed_by_ca ? "-CA ca.pem -CAkey ca.key" : "",
                 list[i].name, list[i].extension, list[i].name, list[i].name);
        run(command);
    }
}

void certificates_destroy(struct certificates *certificates)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", certificates->directory);
    run(command);
    for (unsigned i = 0; i < CERTIFICATES_PATHS; i++) {
        free(certificates->path[i]);
    }
}

const char *certificates_path(struct certificates *certificates, const char *file)
{
    char **path = &certificates->path[certificates->next++ % CERTIFICATES_PATHS];
    free(*path);
    cr_assert_gt(asprintf(path, "%s/%s", certificates->directory, file), 0);
    return *path;
}
