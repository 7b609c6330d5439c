/* SPDX-License-Identifier: MPL-2.0 */
/*
 * getaddrinfo(3) as a case needs it, loaded before the C library's: slow.test never answers,
 * unknown.test does not exist, both.test has the addresses ::1 and 127.0.0.1 in this order,
 * silent.test 127.0.0.2 and 127.0.0.1. Every other name goes to the C library. The machine's own
 * resolver would make these cases depend on where they run.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

typedef int lookup(const char *host, const char *service, const struct addrinfo *hints,
                   struct addrinfo **out);

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    lookup *next = NULL;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&next, &symbol, sizeof next);
    if (host == NULL || strstr(host, ".test") == NULL) {
        return next(host, service, hints, out);
    }
    if (strcmp(host, "slow.test") == 0) {
        for (;;) {
            pause();
        }
    }
    bool is_silent = strcmp(host, "silent.test") == 0;
    if (!is_silent && strcmp(host, "both.test") != 0) {
        return EAI_NONAME;
    }
    struct addrinfo *second = NULL;
    int error = next(is_silent ? "127.0.0.2" : "::1", service, hints, out);
    if (error == 0) {
        error = next("127.0.0.1", service, hints, &second);
        struct addrinfo *last = *out;
        while (last->ai_next != NULL) {
            last = last->ai_next;
        }
        last->ai_next = second;
    }
    return error;
}
