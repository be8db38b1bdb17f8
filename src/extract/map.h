/* map.h - field maps: how one JSON object, or one element of a document, becomes one record.
 *
 * There is one engine and there are two locators. A map says at its top which it is for:
 * `locator: json` (as is understood) or `locator: html`, for HTML and XML.
 *
 * A map file names output members and, for each, the paths where its value may be, tried in
 * order. Reading it compiles all paths into one tree (a trie), so that running the map walks
 * each object once and fills a frame of slots; the fields are then written from the slots.
 * Depth, list lengths and output are bounded, there are no loops and no conditions on values: a
 * map always ends.
 *
 * Path syntax: members split by '.', then any of: [3] an element, [key=word] the element (or,
 * where the site sends an object, the member) whose member `key` is `word`, '*' any member or
 * element, [last] the last element.
 * "@name" at the start stands for every path of that name in the map's `prefixes`.
 *
 * In a map for documents a path is an XPath, asked of the record's element: it has to be relative.
 * {name} in it stands for the text of that name in `prefixes`. All are compiled when the pack is
 * read and asked once per record. Elements that `record` finds are taken out before the others are
 * asked: no path of a post ever sees the inside of the post it quotes, but for those that start with
 * the record's own path. */
#pragma once

#include "extract/check.h"
#include "extract/convert.h"
#include "extract/form.h"
#include "extract/place.h"
#include "extract/reader.h"

enum {
    MAP_SLOTS_MAX = 200,   /* different paths of one map */
    MAP_FIELDS_MAX = 4096, /* counters of one pack */
    MAP_LIST_MAX = 256,    /* elements taken from one list */
    MAP_NEST_MAX = 8,      /* members within members in a map file */
    MAP_RECORD_BYTES = 1024 * 1024,
};

/* ---- compiled paths ---- */
enum step_kind { STEP_MEMBER, STEP_INDEX, STEP_SELECT, STEP_ANY, STEP_LAST };
struct trie {
    enum step_kind kind;
    struct span name;       /* member; or the word a select looks for */
    struct span select_key; /* the member of an element that holds the word */
    size_t index;
    int slot;    /* where the value goes, -1 for a place on the way */
    bool open;   /* of `known`: any member may come here */
    bool lifted; /* when missing, its members are looked for one level up */
    struct trie *first, *next;
    struct trie *others, *next_other; /* children of kind ANY or SELECT */
    unsigned members, elements;       /* children of kind MEMBER or ANY; all but MEMBER */
    bool last;                        /* a child of kind LAST */
    struct trie **by_hash;            /* members only, TRIE_BUCKETS chains; NULL for few */
    struct trie *hash_next;
};

enum { TRIE_BUCKETS = 64 };
static inline unsigned trie_hash(struct span s)
{
    if (s.n == 0)
        return 0;
    return ((unsigned)s.n * 7U + (unsigned char)s.p[0] * 3U + (unsigned char)s.p[s.n - 1] * 5U +
            (unsigned char)s.p[s.n / 2]) %
           TRIE_BUCKETS;
}

/* ---- fields ---- */
enum field_kind {
    FIELD_VALUE,    /* from: one converted value */
    FIELD_CONST,    /* value: a text of the pack; null for what the source never says */
    FIELD_OBJECT,   /* members */
    FIELD_LIST,     /* each: elements of a list, by a map of their own */
    FIELD_ITEMS,    /* items: a fixed list of objects; those without their first member are left
                       out */
    FIELD_RECORD,   /* record: another object read by this same map, one level deep; `missing`:
                       members for when it is not there */
    FIELD_EXPANDED, /* expand: text with its links put in */
    FIELD_PRESENT,  /* present: true when there is something at one of the paths */
    FIELD_PICK,     /* pick: the first word whose condition holds */
    FIELD_TEMPLATE, /* template: words with {fields} in them */
    FIELD_CONTEXT,  /* context: known to the reader, not in the answer */
    FIELD_FLAGS,    /* flags: the words at whose paths something true is */
    FIELD_SAME,     /* same: two values are the same text; null when one is not there */
    FIELD_READ,     /* read: what a person reads in an element, see html_read() */
};
enum context_word {
    CONTEXT_PINNED,
    CONTEXT_OP,
    CONTEXT_COLLECTED_AT,
    CONTEXT_SECTION,
    CONTEXT_PAGE,  /* which page of the attempt, from 1 */
    CONTEXT_INDEX, /* which entry of the page, from 0 */
};

struct path_set {
    unsigned count;
    short slot[FIELD_PATHS_MAX];
};
struct alternative {
    short slot, gate;    /* gate: taken for good when something is there; -1 none */
    struct span gate_is; /* p NULL: anything opens the gate, else only this text */
    enum conversion as;
    const struct conv_extra *extra;
    struct span otherwise; /* with a gate: what a missing value means; p NULL: null */
};
struct expand_source {
    short text, links;
    bool escaped;
};
enum { EXPAND_SOURCES_MAX = 8 };
struct expand_rule {
    struct expand_source source[EXPAND_SOURCES_MAX];
    unsigned sources;
    /* the check `links`: what begins so has to be in a list; empty: no check */
    struct span every;
    struct span url, expanded, indices; /* members of a link */
    /* Instead of `url` and `indices`: where a link is, in bytes (dotted paths), and the list in it one
     * of whose elements has `expanded`. */
    const char *from, *to;
    struct span each;
    struct path_set drop; /* lists of things whose link leaves the text */
    struct span drop_url;
};
struct pick { /* all that is said has to hold */
    struct path_set when, unless;
    struct path_set of, with; /* differ: both are there, and not the same text */
    struct path_set ends;     /* a text of at least so many bytes that ends in the word */
    struct span word;
    size_t least;
    struct span is;
};
struct map;
struct template_part {
    struct span words;
    const struct field *field; /* NULL: the words */
};
struct field {
    struct span key, label; /* "screen_name", "author.screen_name" */
    enum field_kind kind;
    bool content;    /* read from the content object (the original of a repost) */
    bool of_content; /* read from the content object alone; null when there is none */
    int counter;     /* in struct field_hits[]; -1 none */
    struct path_set when, unless; /* null unless / when something is there */
    struct path_set blank_when;   /* object: all members null */
    struct alternative alt[FIELD_PATHS_MAX];
    unsigned alts;
    struct span otherwise;      /* text when no alternative matched; p NULL: null */
    const struct field *fields; /* members, items (FIELD_OBJECT each) */
    size_t field_count;
    const struct map *element; /* FIELD_LIST */
    bool scalar;               /* FIELD_LIST: elements are values, not objects */
    struct span sign; /* FIELD_LIST: a text with this sign and members that nobody knows: a list
                                  that is not there is unknown, not empty */
    struct path_set sign_in;
    const struct pick *doubt;  /* FIELD_LIST: nor is it empty where this holds */
    const struct pick *expect; /* counted only where this holds; NULL: a plain value, always */
    const struct expand_rule *expand;
    /* FIELD_PICK; FIELD_FLAGS: `is` and `when` of each; FIELD_SAME: `when` and `unless` are
     * the two sides of the only one */
    const struct pick *picks;
    size_t pick_count;
    bool as_bool;
    const struct template_part *parts;
    size_t part_count;
    enum context_word context;
    struct html_instead_list instead; /* FIELD_READ */
};

/* Two values of the record that have to agree (check.h). */
struct check {
    enum check_id id;
    bool by_x; /* the paths of an id and of a time of the form time_x, read without detours */
    struct path_set id_at, time_at;
    struct path_set unless;   /* does not apply when something is there */
    struct path_set zero;     /* nor when one of these is a number above zero */
    struct field of, against; /* else: plain values */
    struct span argument;
    int64_t within_s;
};
/* What a record says beside its fields, of a list that stays empty. */
struct map_says {
    struct span state;        /* the pack's word */
    struct path_set when;     /* something true is there ... */
    const struct span *words; /* ... or one of these texts */
    size_t word_count;
};
/* One XPath of a map; its number is its slot. */
struct map_path {
    struct span text;
    const struct html_path *path;
    bool record; /* what it finds is taken out of the document */
    bool early;  /* asked before that: it starts with a record's path, so it means the inside */
};

enum map_locator { MAP_JSON, MAP_HTML };
struct map {
    struct span name;
    enum map_locator locator;
    struct trie root;       /* MAP_JSON */
    struct map_path *paths; /* MAP_HTML: room for MAP_SLOTS_MAX */
    size_t slots;
    const struct span *unwrap; /* members that hold the real object */
    size_t unwraps;
    /* an object without this member: the first object in it that has it */
    struct span unwrap_with;
    int shape_counter;       /* enum map_shape; -1 not counted */
    struct path_set content; /* the object whose content is shown (the original of a repost) */
    const struct field *fields;
    size_t field_count;
    const struct check *checks;
    size_t check_count;
    const struct map_says *says;
    size_t says_count;
    struct trie *known;   /* members that are read or known to be unused; NULL: any may come */
    struct path_set only; /* of a list's elements: those that have one of these */
    /* Roles: fields by label; NULL when the map does not say. */
    const struct field *id, *author, *created_at;
    const struct field *handle; /* users: names the record where there is no id */
    const struct field *repost; /* there is a value: somebody passed the post on */
    const struct field *need[8];
    size_t needs;
    const struct field *inner_need[8]; /* of a record inside another; as `need` when not said */
    size_t inner_needs;
    const struct field *reply_to;     /* posts: what it answers */
    const struct field *conversation; /* posts: the one it is part of */
    const struct field *fact_protected, *fact_posts, *fact_suspended, *fact_media,
        *fact_followers, *fact_following;
};

/* Names of the pack's counters, filled while maps are read. */
struct map_counters {
    struct field_hits *row; /* MAP_FIELDS_MAX at most, grown by reading */
    size_t count;
};

/* Compiles one map file; everything goes to the form's arena, its XPaths also to `paths`. NULL when
 * the form failed. */
const struct map *map_read(struct form *f, const struct ynode *root,
                           struct map_counters *counters, struct html_paths *paths);

/* ---- running ---- */
struct map_run {
    struct json_w *w;
    struct arena *scratch;   /* reset by the caller after each record */
    struct field_hits *hits; /* the reader's counters */
    struct span base_url, op, collected_at, section;
    struct html_doc *doc; /* of a map for documents */
    struct span page_url; /* where the document was got; may be empty */
    bool pinned;
    char kind; /* 'p' a post, 'u' a user: whose checks `quality` lists; 0: without it */
    int64_t page, index; /* for `position`; negative: unknown */
    int depth;           /* 0 outermost record, 1 a quoted or reposted one */
    size_t fallbacks;
    /* of the record being written; what the reader knows is set before */
    struct check_sheet checks;
    enum check_id failed; /* the first hard check that failed, of records inside as well */
    struct news *news;    /* where members that no map knows are noted; NULL: nowhere */
    bool strange;         /* the record has some */
};
enum map_shape {
    SHAPE_USUAL,
    SHAPE_INSIDE, /* found by `unwrap_with` */
    SHAPE_LIFTED, /* members of `lift` stood one level up */
};
struct frame {
    const struct map *map;
    struct place own[MAP_SLOTS_MAX];
    struct place content[MAP_SLOTS_MAX];
    bool has_content; /* content differs from own */
    bool is_repost;   /* the map's content path leads somewhere, readable or not */
    enum map_shape shape;
    struct json object, content_object; /* what the places were filled from */
};

/* Notes the members of a loaded JSON record that no map knows. */
void map_look(struct map_run *run, const struct frame *fr);
/* Unwraps the object and fills the frame. False when it is no object. */
bool map_load(const struct map *m, struct json object, struct frame *out);
/* The same for an element of run->doc; what is found lies in run->scratch. */
bool map_load_node(struct map_run *run, const struct map *m, struct html_node node,
                   struct frame *out);
/* The value of a plain field (VALUE, CONST, CONTEXT, PRESENT, PICK, TEMPLATE). */
struct value map_value(struct map_run *run, const struct field *f, const struct frame *fr);
/* The first state that the record says of itself; .p NULL: none. */
struct span map_state(const struct frame *fr);
/* Does every needed field have a value? */
bool map_complete(struct map_run *run, const struct frame *fr);
/* Counts the needed fields that have none: of a record that is not written, nothing else is counted. */
void map_count_missing(struct map_run *run, const struct frame *fr);
/* Writes the record and, as its last member, `quality`; sets run->failed when a hard check failed on the
 * way, which is CHECK_COUNT before. */
void map_write(struct map_run *run, const struct frame *fr);
