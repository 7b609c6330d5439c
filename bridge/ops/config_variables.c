/* SPDX-License-Identifier: MPL-2.0 */
/*
 * The names of the environment: each ARIZMQ_… is known, belongs to somebody else, or is refused
 * with the nearest known one. config_env_apply() calls it first. It looks at no value.
 */
#include "arizmq/error.h"
#include "ops/config_internal.h"

#include <string.h>

#define PREFIX "ARIZMQ_"

/* Those of the command line client, of ./check and ./demo, and of the tests. */
#define OTHER_PROGRAMS "^ARIZMQ_(CONNECT|GATEWAY_CONNECT|CACHE|JOBS|TEST_.*)$"

/* Kubernetes gives every container variables for each service of the namespace; those of services
 * called arizmq or arizmq-something look like ours. */
#define SERVICE_LINK                                                                               \
    "^ARIZMQ(_[A-Z0-9_]+)?_"                                                                       \
    "(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)" \
    "$"

enum {
    NAME_BYTES = 256,
    DISTANCE_MAX = 3, /* letters that may be wrong for a name to be suggested */
};

/* The variable of each rule, then of each view; NULL: it has none. */
static const char *known_variable(size_t i)
{
    return i < config_rules_count ? config_rules[i].variable
                                  : config_views[i - config_rules_count].variable;
}

static bool is_ours(const char *name)
{
    for (size_t i = 0; i < config_rules_count + CONFIG_VIEWS; i++) {
        const char *variable = known_variable(i);
        if (variable && strcmp(variable, name) == 0) {
            return true;
        }
    }
    return false;
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Levenshtein's distance, one row at a time; both are shorter than NAME_BYTES. */
static size_t edit_distance(const char *one, const char *other)
{
    size_t row[NAME_BYTES];
    size_t length = strlen(other);
    for (size_t i = 0; i <= length; i++) {
        row[i] = i;
    }
    for (size_t line = 1; *one != '\0'; one++, line++) {
        size_t diagonal = row[0];
        row[0] = line;
        for (size_t i = 1; i <= length; i++) {
            size_t above = row[i];
            row[i] = least(least(row[i], row[i - 1]) + 1, diagonal + (*one != other[i - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

/* The known variable that is most like `name`, NULL if none is. */
static const char *nearest_variable(const char *name)
{
    const char *nearest = NULL;
    size_t best = least(DISTANCE_MAX, strlen(name + strlen(PREFIX)) / 2) + 1;
    for (size_t i = 0; i < config_rules_count + CONFIG_VIEWS; i++) {
        const char *variable = known_variable(i);
        if (variable && strncmp(variable, PREFIX, strlen(PREFIX)) == 0) {
            size_t distance = edit_distance(name, variable);
            if (distance < best) {
                best = distance;
                nearest = variable;
            }
        }
    }
    return nearest;
}

static int refuse_unknown(struct config_tree *tree, const char *name)
{
    const char *nearest = nearest_variable(name);
    return config_refuse_variable(tree, name,
                                  "is an unknown variable%s%s; allowed: see "
                                  "docker/arizmqd.example.yaml",
                                  nearest ? "; the nearest is " : "", nearest ? nearest : "");
}

int config_variables_check(struct config_tree *tree, char *const *environment)
{
    for (char *const *entry = environment; entry && *entry; entry++) {
        if (strncmp(*entry, PREFIX, strlen(PREFIX)) != 0) {
            continue;
        }
        char name[NAME_BYTES];
        size_t length = least(strcspn(*entry, "="), sizeof name - 1);
        snprintf(name, sizeof name, "%.*s", (int)length, *entry);
        if (!is_ours(name) && !config_pattern_matches(OTHER_PROGRAMS, name) &&
            !config_pattern_matches(SERVICE_LINK, name)) {
            return refuse_unknown(tree, name);
        }
    }
    return ARIZMQ_OK;
}
