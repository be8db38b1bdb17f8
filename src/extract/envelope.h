/* envelope.h - the paper around the records: instructions, entries, modules, cursors, roots.
 *
 * Which members carry what is data (maps/timeline.yaml); the walk is here. It tells its caller
 * about each thing in page order and never recurses: a timeline has instructions, entries,
 * module items. */
#pragma once

#include "extract/reader.h"
#include "extract/signs.h"

enum {
    ENTRIES_MAX = 5000, /* looked at on one page, items of modules included */
    ROOT_STEPS_MAX = 12,
    ROOT_DEPTH_MAX = 64, /* of a repeated step: as deep as JSON may be at all */
};

enum carries { CARRIES_ENTRIES, CARRIES_ENTRY, CARRIES_ITEMS, CARRIES_END };
struct envelope_step {
    struct span is;
    enum carries carries;
    const char *path; /* of the entries, the entry, the items, or the word of an end */
    const char *module; /* of the id of the module that items are added to; NULL none */
    bool pinned;
    const struct span *values; /* words that mean "no more" */
    size_t value_count;
};
struct root_path { /* members; an empty one stands for every element */
    struct span step[ROOT_STEPS_MAX];
    size_t count;
    bool repeats; /* the last member again below each object found, to the bottom */
};
struct envelope {
    struct span instructions, type;
    const struct envelope_step *steps;
    size_t step_count;
    struct paths id, content, item, items, module_item, module_item_id, promoted, kind;
    struct paths sort; /* of an entry: what it is sorted by; may be empty */
    struct paths post, post_holder, user, user_holder, tombstone, cursor_type, cursor_value;
    const struct span *bottoms, *mores, *post_kinds, *user_kinds, *skips, *relateds, *replies;
    size_t more_count, user_kind_count, bottom_count, post_kind_count, skip_count, related_count, reply_count;
    const struct root_path *post_roots, *user_roots;
    size_t post_root_count, user_root_count;
    struct paths root_cursor, data;
    struct paths empty; /* an empty object here is a timeline without entries */
    struct paths missing; /* an empty object here: there is no such thing */
};

void envelope_read(struct form *f, const struct ynode *root, struct envelope *out);
/* A list of root paths below a key: members by '.', "[*]" for every element, "." for the answer
 * itself. A "+" at the end: what is found has the same member below it, and so on ("replies[*]+": a
 * tree, each reply before its own replies; "parent+": a chain, its far end first). Returns the number;
 * the rows lie in the arena. */
size_t envelope_read_roots(struct form *f, const struct ynode *map, const char *key,
                           const struct root_path **out);

enum sighting { SEEN_POST, SEEN_USER, SEEN_PROMOTED, SEEN_TOMBSTONE, SEEN_CURSOR, SEEN_MORE, SEEN_END };
struct seen {
    enum sighting what;
    struct json
        object; /* post or user: the record's object, JSON_MISSING when its place is empty */
    struct span text; /* cursor value, tombstone text */
    struct span entry; /* id of the entry or item */
    enum record_section section;
    struct span sort;  /* of an entry that is one thing; empty for things of a module */
    bool alone;        /* an entry that is one thing, not one of a module */
    bool holder_empty; /* the place was there and empty: gone or not sent */
};
typedef bool envelope_on_seen(void *ctx, const struct seen *s); /* false stops the walk */

/* Walks the first list of instructions below root, or root itself when it is one bare entry.
 * False when there is no timeline in it. */
bool envelope_walk(const struct envelope *e, struct json root, envelope_on_seen *on_seen,
                   void *ctx);
/* Objects at the first root path that has any. Returns how many were told. */
size_t envelope_roots(const struct root_path *paths, size_t count, struct json root,
                      enum sighting what, envelope_on_seen *on_seen, void *ctx);
