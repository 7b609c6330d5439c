/* SPDX-License-Identifier: MPL-2.0 */
/* What the files of a node's tls are refused for, with real certificates and keys. */
#include "config_helpers.h"
#include "peer.h"

#define CA_ALLOWED   "; allowed: a readable PEM file of certificates"
#define CERT_ALLOWED "; allowed: a readable PEM file with a certificate"
#define KEY_ALLOWED  "; allowed: a readable PEM file with the unencrypted key of cert_file"

/* The file's line 8 is its tls; names are those of files in the certificates' directory. */
static void write_config(const struct certificates *certificates, const char *ca, const char *cert,
                         const char *key, char *text, size_t text_size)
{
    const char *directory = certificates->directory;
    snprintf(text, text_size,
             "nodes:\n"
             "  - name: a\n"
             "    url: wss://h:8089/ari\n"
             "    username: u\n"
             "    password: " SECRET "\n"
             "    apps: [x]\n"
             "    tls:\n"
             "      ca_file: %s/%s\n"
             "      cert_file: %s/%s\n"
             "      key_file: %s/%s\n",
             directory, ca, directory, cert, directory, key);
}

/* OpenSSL's reason, in brackets between the two texts, differs with its version. */
static void expect_line(const char *text, const char *begin, const char *end)
{
    struct config *untouched = NULL;
    char error[1024] = "";
    cr_assert_eq(load(text, NULL, NULL, &untouched, error, sizeof error), ARIZMQ_EINVALID,
                 "was loaded, expected: %s", begin);
    cr_assert_null(untouched);
    cr_expect_not_null(strstr(error, begin), "no %s in: %s", begin, error);
    size_t length = strlen(error);
    cr_assert_gt(length, strlen(end));
    cr_expect_str_eq(error + length - strlen(end), end);
    cr_expect_null(strchr(error, '\n'));
}

Test(config_tls, files_that_belong_together_are_taken)
{
    struct certificates certificates;
    char text[1024];
    certificates_create(&certificates);
    write_config(&certificates, "ca.pem", "client.pem", "client.key", text, sizeof text);
    struct config *config = must_load(text, NULL);
    cr_expect_not_null(strstr(config->nodes[0].tls.key_file, "/client.key"));
    config_destroy(&config);
    certificates_destroy(&certificates);
}

Test(config_tls, files_that_do_not_fit_are_named)
{
    static const struct {
        const char *ca, *cert, *key;
        const char *line; /* "8: nodes[0].tls.ca_file" */
        const char *begin;
        const char *end;
    } cases[] = {
        {"ca.key", "client.pem", "client.key", "8: nodes[0].tls.ca_file",
         "/ca.key\" cannot be loaded as certificates (", ")" CA_ALLOWED},
        {"empty", "client.pem", "client.key", "8: nodes[0].tls.ca_file",
         "/empty\" cannot be loaded as certificates (", ")" CA_ALLOWED},
        {"", "client.pem", "client.key", "8: nodes[0].tls.ca_file",
         "/\" cannot be loaded as certificates (", ")" CA_ALLOWED},
        {"ca.pem", "missing", "client.key", "9: nodes[0].tls.cert_file",
         "/missing\" cannot be read (No such file or directory)", CERT_ALLOWED},
        {"ca.pem", "client.key", "client.key", "9: nodes[0].tls.cert_file",
         "/client.key\" cannot be loaded as a certificate (", ")" CERT_ALLOWED},
        {"ca.pem", "client.pem", "client.pem", "10: nodes[0].tls.key_file",
         "/client.pem\" cannot be loaded as a key (", ")" KEY_ALLOWED},
        {"ca.pem", "client.pem", "encrypted.key", "10: nodes[0].tls.key_file",
         "/encrypted.key\" cannot be loaded as a key (", ")" KEY_ALLOWED},
        {"ca.pem", "client.pem", "other.key", "10: nodes[0].tls.key_file",
         "/other.key\" does not belong to cert_file (", ")" KEY_ALLOWED},
        {"ca.pem", "client.pem", "rsa.key", "10: nodes[0].tls.key_file",
         "/rsa.key\" does not belong to cert_file (", ")" KEY_ALLOWED},
    };
    struct certificates certificates;
    char command[512];
    certificates_create(&certificates);
    snprintf(command, sizeof command,
             "cd %s && : >empty && openssl genrsa -out rsa.key 2048 2>log && "
             "openssl pkey -in client.key -aes128 -passout pass:word -out encrypted.key",
             certificates.directory);
    cr_assert_eq(system(command), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        char line[128];
        write_config(&certificates, cases[i].ca, cases[i].cert, cases[i].key, text, sizeof text);
        snprintf(line, sizeof line, "file.yaml:%s: \"%s", cases[i].line, certificates.directory);
        expect_line(text, line, cases[i].end);
        expect_line(text, cases[i].begin, cases[i].end);
    }
    certificates_destroy(&certificates);
}
