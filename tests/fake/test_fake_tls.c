/* SPDX-License-Identifier: MPL-2.0 */
/*
 * fake_asterisk over TLS, with and without a client's certificate.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/capture.h"
#include "test_support.h"

static char directory[] = "/tmp/arizmq-tls-XXXXXX";
static char certificate_path[64];
static char key_path[64];

/* A self-signed certificate, its own authority. */
static void certificate_write(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(certificate_path, sizeof certificate_path, "%s/cert.pem", directory);
    snprintf(key_path, sizeof key_path, "%s/key.pem", directory);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    FILE *file = fopen(certificate_path, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(key_path, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void certificate_remove(void)
{
    unlink(certificate_path);
    unlink(key_path);
    rmdir(directory);
}

TestSuite(fake_tls, .init = certificate_write, .fini = certificate_remove, .timeout = 120);

Test(fake_tls, plays_and_answers_as_without)
{
    const char *const options[] = {"--tls-cert", certificate_path, "--tls-key", key_path, NULL};
    struct capture *capture = NULL;
    cr_assert_eq(capture_load(CAPTURES_DIR "/coverage.jsonl", &capture), 0);
    struct fake *fake = test_start(options);
    struct client *client = client_connect_tls(fake->port, NULL, NULL);
    client_upgrade(client, TARGET_ALL);
    client_send_text(client, "{}");
    char *answer = client_read_text(client);
    cr_assert_not_null(strstr(answer, "No 'type' property."));
    free(answer);
    fake_do(fake, "play %s/coverage.jsonl", CAPTURES_DIR);
    for (size_t i = 0; i < capture->count; i++) {
        struct frame frame;
        cr_assert(client_read_frame(client, &frame));
        cr_assert_eq(frame.length, capture->lines[i].length, "frame %zu", i);
        cr_assert_arr_eq(frame.payload, capture->lines[i].text, capture->lines[i].length);
    }
    client_send_frame(client, true, FRAME_CLOSE, "\x03\xe8", 2);
    test_expect_close(client, 1000);
    cr_assert(client_is_at_end(client));
    client_destroy(&client);
    capture_destroy(&capture);
    test_stop(&fake);
}

Test(fake_tls, asks_for_a_client_certificate)
{
    const char *const options[] = {"--tls-cert",      certificate_path, "--tls-key", key_path,
                                   "--tls-client-ca", certificate_path, NULL};
    struct fake *fake = test_start(options);
    struct client *client = client_connect_tls(fake->port, certificate_path, key_path);
    client_upgrade(client, TARGET);
    client_destroy(&client);
    /* With TLS 1.3 the client learns of the refusal when it reads. */
    client = client_connect_tls(fake->port, NULL, NULL);
    cr_assert(client_is_at_end(client));
    client_destroy(&client);
    cr_assert_eq(fake_number(fake_do(fake, "stats"), "connects"), 1);
    test_stop(&fake);
}
