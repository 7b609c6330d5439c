/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Makes keys and certificates with OpenSSL and writes them as PEM files. Called by the cases with
 * TLS. Nothing here is secret or lasts longer than the test.
 */
#include "certificates.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAY_S = 86400 };

struct issued {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    cr_assert_not_null(extension, "%s", value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, or by itself where that is NULL. `names` is NULL for an authority. */
static struct issued issue(const struct issued *issuer, const char *common_name, const char *names,
                           bool is_expired)
{
    static long serial = 1;
    struct issued issued = {.key = EVP_EC_gen("P-256"), .certificate = X509_new()};
    X509 *certificate = issued.certificate;
    cr_assert(issued.key && certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3L * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), is_expired ? -DAY_S : DAY_S);
    X509_set_pubkey(certificate, issued.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate,
                         X509_get_subject_name(issuer ? issuer->certificate : certificate));
    if (names) {
        add_extension(certificate, NID_subject_alt_name, names);
    } else {
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    cr_assert_gt(X509_sign(certificate, issuer ? issuer->key : issued.key, EVP_sha256()), 0);
    return issued;
}

static void write_files(const struct issued *issued, const char *path, const char *key_path)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    cr_assert(PEM_write_X509(file, issued->certificate));
    fclose(file);
    if (key_path) {
        file = fopen(key_path, "w");
        cr_assert_not_null(file, "%s", key_path);
        cr_assert(PEM_write_PrivateKey(file, issued->key, NULL, NULL, 0, NULL, NULL));
        fclose(file);
    }
}

static void issued_free(struct issued *issued)
{
    EVP_PKEY_free(issued->key);
    X509_free(issued->certificate);
}

static void set_path(const struct certificates *certificates, const char *name, char *out)
{
    snprintf(out, CERTIFICATES_PATH_SIZE, "%s/%s.pem", certificates->directory, name);
}

void certificates_create(struct certificates *out)
{
    *out = (struct certificates){.directory = "/tmp/arizmq-tls-XXXXXX"};
    cr_assert_not_null(mkdtemp(out->directory));
    set_path(out, "ca", out->ca);
    set_path(out, "other-ca", out->other_ca);
    set_path(out, "good", out->good);
    set_path(out, "good-key", out->good_key);
    set_path(out, "wrong-name", out->wrong_name);
    set_path(out, "wrong-name-key", out->wrong_name_key);
    set_path(out, "expired", out->expired);
    set_path(out, "expired-key", out->expired_key);
    struct issued ca = issue(NULL, "the authority", NULL, false);
    struct issued other_ca = issue(NULL, "another authority", NULL, false);
    struct issued good = issue(&ca, "localhost", "IP:127.0.0.1,DNS:localhost", false);
    struct issued wrong_name = issue(&ca, "elsewhere.test", "DNS:elsewhere.test", false);
    struct issued expired = issue(&ca, "localhost", "IP:127.0.0.1,DNS:localhost", true);
    write_files(&ca, out->ca, NULL);
    write_files(&other_ca, out->other_ca, NULL);
    write_files(&good, out->good, out->good_key);
    write_files(&wrong_name, out->wrong_name, out->wrong_name_key);
    write_files(&expired, out->expired, out->expired_key);
    struct issued *all[] = {&ca, &other_ca, &good, &wrong_name, &expired};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        issued_free(all[i]);
    }
}

void certificates_destroy(struct certificates *self)
{
    const char *const files[] = {self->ca,       self->other_ca,   self->good,
                                 self->good_key, self->wrong_name, self->wrong_name_key,
                                 self->expired,  self->expired_key};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unlink(files[i]);
    }
    rmdir(self->directory);
}
