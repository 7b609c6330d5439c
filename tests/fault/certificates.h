/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Certificates for cases with TLS, made anew for each run: a good one and those that must not be
 * accepted. PEM files in a temporary directory.
 */
#ifndef ARIZMQ_FAULT_CERTIFICATES_H
#define ARIZMQ_FAULT_CERTIFICATES_H

enum { CERTIFICATES_PATH_SIZE = 96 };

struct certificates {
    char directory[48];
    char ca[CERTIFICATES_PATH_SIZE];       /* has signed the following three */
    char other_ca[CERTIFICATES_PATH_SIZE]; /* has signed nothing */
    char good[CERTIFICATES_PATH_SIZE];     /* for 127.0.0.1 and localhost */
    char good_key[CERTIFICATES_PATH_SIZE];
    char wrong_name[CERTIFICATES_PATH_SIZE]; /* for elsewhere.test */
    char wrong_name_key[CERTIFICATES_PATH_SIZE];
    char expired[CERTIFICATES_PATH_SIZE]; /* for 127.0.0.1, until yesterday */
    char expired_key[CERTIFICATES_PATH_SIZE];
};

/* Fails the test when it cannot. */
void certificates_create(struct certificates *out);

/* Removes the files. */
void certificates_destroy(struct certificates *self);

#endif
