/* SPDX-License-Identifier: MPL-2.0 */
/*
 * What every use of OpenSSL here has in common.
 */
#ifndef ARIZMQ_BASE_TLS_H
#define ARIZMQ_BASE_TLS_H

/* For SSL_CTX_set_default_passwd_cb(): no question on the terminal, so that an encrypted key cannot
 * be used. */
static inline int tls_give_no_passphrase(char *buffer, int size, int is_for_writing, void *data)
{
    (void)buffer;
    (void)size;
    (void)is_for_writing;
    (void)data;
    return 0;
}

#endif
