/* page.h - the paper around the records of a document or of a plain JSON answer: which elements are
 * records and of what kind, where the cursor is, what the page says of itself. Data of the pack,
 * read once; the walk is in document.c. */
#pragma once

#include "extract/envelope.h"
#include "extract/xpath.h"

enum { PAGE_RULES_MAX = 16, PAGE_PLACES_MAX = 4 };

enum page_format { PAGE_JSON, PAGE_HTML, PAGE_XML };
enum page_kind {
    PAGE_POST,
    PAGE_USER,
    PAGE_PROMOTED,
    PAGE_UNAVAILABLE,
    PAGE_SKIP,
    PAGE_UNKNOWN, /* has to be a record, and is none that we know: counts as one not read */
};
/* XPaths asked of an item; the first that holds decides. */
struct page_kind_rule {
    enum page_kind is;
    const struct html_path *when;
    int counter; /* where several rules tell the same: which of them did; -1 not counted */
    unsigned way;
};
struct page_section_rule {
    enum record_section is;
    const struct html_path *when;
    int counter;
    unsigned way;
};
/* What the page says in place of records. words.p NULL: the text that the path finds; else these
 * words stand for it, for what has no text of its own. */
struct page_state {
    const struct html_path *path;
    struct span words;
};

/* Records of one answer that stand in several places, as a post, what it answers and what answers it. */
struct page_part {
    struct root_path path;
    enum record_section section;
};

struct page {
    enum page_format format;
    const struct html_path *script; /* HTML: the answer is the JSON in this element */
    /* JSON */
    const struct root_path *roots;
    size_t root_count;
    const struct root_path *user_roots;
    size_t user_root_count;
    struct page_part parts[PAGE_RULES_MAX]; /* in place of roots: all of them, in this order */
    size_t part_count;
    struct paths next;      /* the cursor; a list whose answer has none ends there */
    bool next_link;         /* it is the URL of the header Link with rel="next" */
    struct paths pinned_at; /* of an item: has this word when it is pinned */
    struct span pinned_is;
    struct paths known; /* there in every answer we know; its absence is drift */
    struct sign blank;  /* an object without members */
    /* HTML and XML */
    const struct html_path *unpack; /* elements whose text is HTML */
    const struct html_path *items;
    struct page_kind_rule kinds[PAGE_RULES_MAX];
    size_t kind_count;
    struct page_section_rule sections[PAGE_RULES_MAX];
    size_t section_count;
    /* of items: which of them it was is counted */
    const struct html_path *places[PAGE_PLACES_MAX];
    size_t place_count;
    int place_counter;
    const struct html_path *gone_text, *gone_id; /* of an item that is unavailable */
    const struct html_path *cursor;              /* as it stands in a URL */
    struct span cursor_header;      /* lower case: the response header that has it */
    const struct html_path *head;   /* the account whose page it is */
    const struct html_path *schema; /* the same, as JSON in a script */
    struct page_state states[PAGE_RULES_MAX];
    size_t state_count;
    const struct html_path *frame; /* there on every page we know; its absence is drift */
    /* Both */
    enum record_section section; /* when no rule says more */
    struct sign none;            /* a page we know, with nothing on it and no word why */
    struct sign_table answers;   /* by status, when the body says nothing */
};

void page_read(struct form *f, const struct ynode *root, struct html_paths *paths,
               struct page *out);
struct map_counters;
/* Counters for places, and for kinds and sections that several rules tell; `name` stands before them ("dom.pinned"). */
void page_count_rules(struct page *p, struct span name, struct map_counters *counters);
