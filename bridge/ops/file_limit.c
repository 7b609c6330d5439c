/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The number of open files: raised at the start, and compared with what a configuration needs
 * before it is put to use. service.c and reload.c call it.
 */
#include "ops/file_limit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "arizmq/error.h"
#include "ops/log.h"

enum {
    FILES_WANTED = 65536, /* each subscriber and each link is one */
    FILES_NEEDED = 32,    /* without any link; libzmq aborts where it gets none */
    FILES_PER_LINK = 2,   /* its WebSocket and a request */
    FILES_OF_GATEWAY = 8, /* its socket, its loop */
    FILES_PER_NODE = 2,   /* of the gateway: libcurl's own, and a connection; more are opened where
                             more may be */
};

void file_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_WANTED) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        log_warning("file_limit", "cannot raise the number of open files to %llu: %s",
                    (unsigned long long)limit.rlim_cur, strerror(errno));
    }
}

int file_limit_check(const struct config *config, char *error, size_t error_size)
{
    bool has_gateway = config->gateway.enabled;
    unsigned needed = FILES_NEEDED + (has_gateway ? FILES_OF_GATEWAY : 0);
    for (unsigned i = 0; i < config->nodes_count; i++) {
        needed += config->nodes[i].apps_count * FILES_PER_LINK;
        needed += has_gateway && config_has_node(config, i) ? FILES_PER_NODE : 0;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed) {
        snprintf(error, error_size,
                 "only %llu files may be open (ulimit -n); this configuration needs %u and one for "
                 "each subscriber",
                 (unsigned long long)limit.rlim_cur, needed);
        return ARIZMQ_EIO;
    }
    return ARIZMQ_OK;
}
