/* SPDX-License-Identifier: MPL-2.0 */
/*
 * A node's tls: what fits its url, and whether OpenSSL can load the files and the key is that of
 * the certificate. config_check() calls it, so that --check-config knows what a start would meet.
 * What it loads is dropped again, but for a digest: the connections' own context is libwebsockets'.
 */
#include "arizmq/error.h"
#include "base/tls.h"
#include "ops/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

/* The file that is looked at. */
struct tls_file {
    struct config_tree *tree;
    char path[CONFIG_PATH_BYTES]; /* "nodes[0].tls.ca_file" */
    const char *name;
};

/* `what` is followed by OpenSSL's reason in brackets. */
static int refuse_file(const struct tls_file *file, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return config_refuse(file->tree, file->path, file->name, "%s (%s); allowed: %s", what,
                         reason ? reason : "OpenSSL gives no reason",
                         config_rule_find(file->path)->allowed);
}

static int load_key(SSL_CTX *context, const struct tls_file *file)
{
    SSL_CTX *alone = SSL_CTX_new(TLS_client_method());
    if (!alone) {
        return config_out_of_memory(file->tree);
    }
    SSL_CTX_set_default_passwd_cb(alone, tls_give_no_passphrase);
    bool is_key = SSL_CTX_use_PrivateKey_file(alone, file->name, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_free(alone);
    if (!is_key) {
        return refuse_file(file, "cannot be loaded as a key");
    }
    if (SSL_CTX_use_PrivateKey_file(context, file->name, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return refuse_file(file, "does not belong to cert_file");
    }
    return ARIZMQ_OK;
}

static int load_file(SSL_CTX *context, const struct tls_file *file)
{
    if (access(file->name, R_OK) != 0) {
        int reason = errno;
        return config_refuse(file->tree, file->path, file->name, "cannot be read (%s); allowed: %s",
                             strerrordesc_np(reason), config_rule_find(file->path)->allowed);
    }
    if (strstr(file->path, "ca_file")) {
        return SSL_CTX_load_verify_locations(context, file->name, NULL) == 1
                   ? ARIZMQ_OK
                   : refuse_file(file, "cannot be loaded as certificates");
    }
    if (strstr(file->path, "cert_file")) {
        return SSL_CTX_use_certificate_chain_file(context, file->name) == 1
                   ? ARIZMQ_OK
                   : refuse_file(file, "cannot be loaded as a certificate");
    }
    return load_key(context, file);
}

/* Feeds the digest with all that a descriptor gives. 0, or -1 with errno. */
static int digest_descriptor(EVP_MD_CTX *context, int descriptor)
{
    unsigned char piece[4096];
    ssize_t got;
    while ((got = read(descriptor, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (got > 0 && EVP_DigestUpdate(context, piece, (size_t)got) != 1) {
            errno = ENOMEM;
            return -1;
        }
    }
    return 0;
}

static int digest_file(const struct tls_file *file, struct config_digest *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(context);
        return config_out_of_memory(file->tree);
    }
    int descriptor = open(file->name, O_RDONLY | O_CLOEXEC);
    int result = descriptor < 0 ? -1 : digest_descriptor(context, descriptor);
    int reason = errno;
    if (descriptor >= 0) {
        close(descriptor);
    }
    if (result == 0 && EVP_DigestFinal_ex(context, out->bytes, NULL) != 1) {
        result = -1;
        reason = ENOMEM;
    }
    EVP_MD_CTX_free(context);
    return result == 0 ? ARIZMQ_OK
                       : config_refuse(file->tree, file->path, file->name,
                                       "cannot be read (%s); allowed: %s", strerrordesc_np(reason),
                                       config_rule_find(file->path)->allowed);
}

static int load_files(struct config_tree *tree, struct config_node *node, unsigned index)
{
    const struct {
        const char *key;
        const char *file;
        struct config_digest *digest;
    } files[] = {
        {"tls.ca_file", node->tls.ca_file, &node->tls.ca_digest},
        {"tls.cert_file", node->tls.cert_file, &node->tls.cert_digest},
        /* After its certificate. */
        {"tls.key_file", node->tls.key_file, &node->tls.key_digest},
    };
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int result = context ? ARIZMQ_OK : config_out_of_memory(tree);
    if (context) {
        SSL_CTX_set_default_passwd_cb(context, tls_give_no_passphrase);
    }
    for (size_t i = 0; result == ARIZMQ_OK && i < sizeof files / sizeof files[0]; i++) {
        if (files[i].file) {
            struct tls_file file = {.tree = tree, .name = files[i].file};
            config_node_path(index, files[i].key, file.path);
            ERR_clear_error(); /* so that the reason is this file's */
            result = load_file(context, &file);
            result = result == ARIZMQ_OK ? digest_file(&file, files[i].digest) : result;
        }
    }
    SSL_CTX_free(context);
    ERR_clear_error();
    return result;
}

/* A key of tls that is given although the connection has no TLS; NULL: none. */
static const char *useless_key(const struct config_node *node)
{
    const struct config_tls *tls = &node->tls;
    if (tls->ca_file) {
        return "tls.ca_file";
    }
    return tls->cert_file ? "tls.cert_file" : NULL; /* key_file is beside it */
}

int config_tls_check(struct config_tree *tree, struct config_node *node, unsigned index)
{
    char path[CONFIG_PATH_BYTES];
    const struct config_tls *tls = &node->tls;
    if (tls->key_file && !tls->cert_file) {
        return config_refuse(tree, config_node_path(index, "tls.key_file", path), NULL,
                             "is given without cert_file; allowed: both or neither");
    }
    if (tls->cert_file && !tls->key_file) {
        return config_refuse(tree, config_node_path(index, "tls.cert_file", path), NULL,
                             "is given without key_file; allowed: both or neither");
    }
    if (!node->use_tls && !tls->verify) {
        return config_refuse(tree, config_node_path(index, "tls.verify", path), NULL,
                             "is false, but url is without TLS; allowed: with wss:// or https:// "
                             "only");
    }
    if (!node->use_tls && useless_key(node)) {
        return config_refuse(tree, config_node_path(index, useless_key(node), path), NULL,
                             "is given, but url is without TLS; allowed: with wss:// or https:// "
                             "only");
    }
    if (node->use_tls && tls->verify && strchr(node->host, ':')) {
        /* libwebsockets cannot compare an IPv6 address with a certificate: it would never connect.
         */
        return config_refuse(tree, config_node_path(index, "url", path), node->url,
                             "is an IPv6 address, for which no certificate can be verified; "
                             "allowed: a host name, an IPv4 address, or tls: {verify: false}");
    }
    bool has_files = tls->ca_file || tls->cert_file; /* key_file is beside cert_file */
    return has_files ? load_files(tree, node, index) : ARIZMQ_OK;
}
