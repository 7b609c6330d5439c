/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Truth logs of the fake Asterisk (tests/fake/README.md): the fate of each event of its floods.
 */
#include "ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct flood {
    unsigned long huge_every;
    unsigned long huge_bytes;
    unsigned long broken_every;
};

static bool is_multiple(uint64_t serial, unsigned long every)
{
    return every > 0 && serial % every == 0;
}

static void take_run(struct ledger *ledger, const char *node, const struct flood *flood,
                     const char *line)
{
    char app[65] = "";
    char name[NAME_MAX_BYTES];
    uint64_t wall_ns = 0;
    uint32_t connection = 0;
    uint32_t first = 0;
    uint32_t last = 0;
    bool is_sent = strncmp(line, "sent ", 5) == 0;
    const char *rest = line + strcspn(line, " ");
    if ((!is_sent && strncmp(line, "dropped ", 8) != 0) ||
        sscanf(rest, "%" SCNu64 " %64s %" SCNu32 " %" SCNu32 " %" SCNu32, &wall_ns, app,
               &connection, &first, &last) != 5 ||
        (connection > 0) != is_sent || first > last) {
        ledger_give_up(line, "is no line of a truth log");
    }
    snprintf(name, sizeof name, "%s/%s", node, app);
    struct truth *truth = &ledger_link(ledger, name)->truth;
    if (first != truth->count + 1) {
        ledger_give_up(line, "the truth log leaves an event out");
    }
    truth->fates = ledger_grow(truth->fates, &truth->capacity, last, sizeof *truth->fates);
    for (uint32_t serial = first; serial <= last; serial++) {
        truth->fates[serial] = (struct fate){
            .wall_ns = wall_ns,
            .connection = connection,
            .is_refusable =
                is_multiple(serial, flood->huge_every) || is_multiple(serial, flood->broken_every),
        };
    }
    truth->count = last;
    truth->connections = connection > truth->connections ? connection : truth->connections;
}

void truth_read(struct ledger *ledger, const char *node, const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512];
    struct flood flood = {0};
    if (file == NULL || fgets(line, sizeof line, file) == NULL ||
        sscanf(line, "truth 1 %63s", ledger->entity_id) != 1) {
        ledger_give_up(path, file == NULL ? strerror(errno) : "is no truth log");
    }
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "flood ", 6) != 0) {
            take_run(ledger, node, &flood, line);
        } else if (sscanf(line, "flood %*u %*u %*u huge=%lu:%lu broken=%lu", &flood.huge_every,
                          &flood.huge_bytes, &flood.broken_every) != 3) {
            ledger_give_up(line, "is no line of a truth log");
        }
    }
    fclose(file);
}
