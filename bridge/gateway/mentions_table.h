/* SPDX-License-Identifier: MPL-2.0 */
/*
 * Where ids stand in ARI's requests, as data: taken from the api-docs of Asterisk 22, of which 16
 * knows a part. mentions.c walks over a request with these tables at hand. What they do not name
 * still reaches its Asterisk; its ids are guessed at.
 */
#ifndef ARIZMQ_GATEWAY_MENTIONS_TABLE_H
#define ARIZMQ_GATEWAY_MENTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the segment behind a collection's name is. */
enum mentions_role {
    MENTIONS_ID,    /* an object's id, but for the collection's words */
    MENTIONS_APP,   /* a Stasis application's name */
    MENTIONS_WORD,  /* a part of the operation's name */
    MENTIONS_PLAIN, /* nothing of ours, nor is what follows */
};

enum { MENTIONS_WORDS_MAX = 2 };

struct mentions_collection {
    const char *name;
    const char *second; /* the segment behind the name, where the collection has two; else NULL */
    uint8_t role;       /* enum mentions_role */
    uint8_t kind;       /* enum object_kind, where the role is MENTIONS_ID */
    bool is_chosen;     /* POST {name}/{id} creates an object of that id */
    const char *words[MENTIONS_WORDS_MAX]; /* stand where an id would, and are none */
};

/* An operation's place: its collection, and its action: the word behind the id (or, of a
 * collection of words, the first one); MENTIONS_ITSELF for the object itself, MENTIONS_ALL for the
 * collection. */
#define MENTIONS_ALL    ""
#define MENTIONS_ITSELF "{}"

/* An id in the path behind an action. */
struct mentions_member {
    const char *collection;
    const char *action;
    uint8_t kind;
    bool is_chosen; /* by whoever POSTs */
};

/* How a parameter's value holds ids. */
enum mentions_form {
    MENTIONS_ONE,     /* it is one */
    MENTIONS_LIST,    /* with commas between them */
    MENTIONS_SOURCES, /* the same, each KIND:ID */
};

struct mentions_parameter {
    const char *collection; /* NULL: of any operation, and then a guess */
    const char *action;
    const char *name;
    uint8_t kind;   /* but for MENTIONS_SOURCES */
    uint8_t form;   /* enum mentions_form */
    bool is_chosen; /* by whoever POSTs */
};

extern const struct mentions_collection mentions_collections[];
extern const size_t mentions_collections_count;
extern const struct mentions_member mentions_members[];
extern const size_t mentions_members_count;
extern const struct mentions_parameter mentions_parameters[];
extern const size_t mentions_parameters_count;

#endif
