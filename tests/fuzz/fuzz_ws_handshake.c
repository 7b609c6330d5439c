/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The answer to the opening handshake, from any bytes: what is found must lie within them, and be
 * the same as soon as the head is whole.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arizmq/error.h"
#include "node/ws_handshake.h"

static void demand(int is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

/* Reads from memory of exactly this size. */
static int read_exact(const uint8_t *data, size_t size, struct ws_answer *out)
{
    char *exact = malloc(size > 0 ? size : 1);
    demand(exact != NULL, "there is memory");
    memcpy(exact, data, size);
    int result = ws_handshake_read(exact, size, "dGhlIHNhbXBsZSBub25jZQ==", out);
    free(exact);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    struct ws_answer answer;
    memset(&answer, 0x5a, sizeof answer);
    int result = read_exact(size > 0 ? data : nothing, size, &answer);
    demand(result == 0 || result == 1 || result == ARIZMQ_EINVALID, "the result is documented");
    if (result != 1) {
        demand(answer.status == 0x5a5a5a5a, "nothing is written without success");
        return 0;
    }
    demand(answer.head >= 4 && answer.head <= size, "the head lies within the bytes");
    demand(memcmp(data + answer.head - 4, "\r\n\r\n", 4) == 0, "the head ends with an empty line");
    demand(answer.status >= 100 && answer.status <= 999, "the status has three digits");
    demand(memchr(answer.reason, '\0', sizeof answer.reason) != NULL, "the reason ends");
    demand(!answer.is_accepted || answer.status == 101, "only a 101 is accepted");
    struct ws_answer early;
    demand(read_exact(data, answer.head - 1, &early) == 0, "a head that is not whole is awaited");
    demand(read_exact(data, answer.head, &early) == 1, "the head is enough");
    demand(early.status == answer.status && early.head == answer.head &&
               early.body == answer.body && early.is_accepted == answer.is_accepted &&
               strcmp(early.reason, answer.reason) == 0,
           "what follows the head changes nothing");
    return 0;
}
