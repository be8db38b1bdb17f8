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
    const char *path;   /* of the entries, the entry, the items, or the word of an end */
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
/* What is counted by the sign that told it: as expected first. */
#define TALLY_TABLE(X)                                                                         \
    X(TALLY_PLACE, "place", 2)       /* the instructions: where they usually are, elsewhere */ \
    X(TALLY_POST, "post", 3)         /* all signs; its kind is unknown; its entry's name is */ \
    X(TALLY_PROMOTED, "promoted", 2) /* what it carries; how its entry is called */            \
    X(TALLY_PINNED, "pinned", 2)     /* its instruction; what it says of itself */             \
    X(TALLY_CURSOR, "cursor", 2)     /* its type; how its entry is called */                   \
    X(TALLY_BOX, "box", 2)           /* how a box is called; people inside a list of others */ \
    X(TALLY_RELATED, "related", 2)   /* how its entry is called; another conversation */
enum envelope_tally {
#define TALLY_ENUMERATE(id, name, ways) id,
    TALLY_TABLE(TALLY_ENUMERATE)
#undef TALLY_ENUMERATE
        TALLIES
};

struct envelope {
    struct span instructions, type;
    const struct envelope_step *steps;
    size_t step_count;
    struct paths id, content, item, items, module_item, module_item_id, promoted, kind;
    struct paths sort; /* of an entry: what it is sorted by; may be empty */
    struct paths post, post_holder, user, user_holder, tombstone, cursor_type, cursor_value;
    const struct span *bottoms, *mores, *post_kinds, *user_kinds, *skips, *relateds, *replies;
    size_t more_count, user_kind_count, bottom_count, post_kind_count, skip_count,
        related_count, reply_count;
    /* Second signs, where the first is not there. */
    struct paths places; /* where the list of instructions usually is */
    struct paths pinned; /* of an item: has the word `pinned_is` when it is pinned */
    struct span pinned_is;
    /* beginnings of ids, or of a part of them */
    const struct span *promoted_ids, *post_ids, *bottom_ids;
    const struct span *other_kinds; /* of items: they hold no record, and are no news */
    size_t promoted_id_count, post_id_count, bottom_id_count, other_kind_count;
    int tally[TALLIES]; /* counters, as of fields: by the first sign, by another */
    const struct root_path *post_roots, *user_roots;
    size_t post_root_count, user_root_count;
    struct paths root_cursor, data;
    struct paths empty;   /* an empty object here is a timeline without entries */
    struct paths missing; /* an empty object here: there is no such thing */
};

struct map_counters;
void envelope_read(struct form *f, const struct ynode *root, struct map_counters *counters,
                   struct envelope *out);
/* A list of root paths below a key: members by '.', "[*]" for every element, "." for the answer
 * itself. A "+" at the end: what is found has the same member below it, and so on ("replies[*]+": a
 * tree, each reply before its own replies; "parent+": a chain, its far end first). Returns the number;
 * the rows lie in the arena. */
size_t envelope_read_roots(struct form *f, const struct ynode *map, const char *key,
                           const struct root_path **out);

enum sighting {
    SEEN_POST,
    SEEN_USER,
    SEEN_PROMOTED,
    SEEN_TOMBSTONE,
    SEEN_CURSOR,
    SEEN_MORE,
    SEEN_END,
    SEEN_LIST,    /* the list of instructions itself */
    SEEN_BOX,     /* a box that is no part of the list, passed over */
    SEEN_UNREAD,  /* something that holds a record, or may, and in no way we know */
    SEEN_STRANGE, /* an item of a kind that nobody knows; text: its kind */
};
struct seen {
    enum sighting what;
    /* post or user: the record's object, JSON_MISSING when its place is empty */
    struct json object;
    struct span text;  /* cursor value, tombstone text */
    struct span entry; /* id of the entry or item */
    enum record_section section;
    struct span sort;  /* of an entry that is one thing; empty for things of a module */
    bool alone;        /* an entry that is one thing, not one of a module */
    bool in_order;     /* not of an envelope, but of a list that promises an order */
    bool holder_empty; /* the place was there and empty: gone or not sent */
    unsigned by;       /* which sign told it, as in TALLY_TABLE */
    unsigned pinned_by;
};
typedef bool envelope_on_seen(void *ctx, const struct seen *s); /* false stops the walk */

/* Walks the first list of instructions below root, or root itself when it is one bare entry.
 * False when there is no timeline in it. */
bool envelope_walk(const struct envelope *e, struct json root, envelope_on_seen *on_seen,
                   void *ctx);
/* Objects at the first root path that has any. Returns how many were told. */
size_t envelope_roots(const struct root_path *paths, size_t count, struct json root,
                      enum sighting what, envelope_on_seen *on_seen, void *ctx);
