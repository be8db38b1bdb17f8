/* answer.h - one answer being read: what reader.c (the page's own API) and document.c (every other
 * source) share. Private to these two. */
#pragma once

#include "extract/reader.h"
#include "extract/site.h"

struct reader {
    const struct pack *pack;
    size_t max_body;
    struct json_parser *body_parser, *header_parser;
    struct arena *scratch;          /* values of one record */
    struct arena *found;            /* what is found on one page, beside its records */
    struct buf text;                /* one record being written */
    struct buf order_keys;          /* of this answer, 8 bytes each: what its order goes by */
    struct span focus;              /* of a thread: the post it is about */
    bool focus_seen;                /* in an answer before */
    char conversation[32];          /* that it is part of; empty: not known yet */
    struct field_hits *hits, *told; /* told: as of the last reader_counts() */
    struct news *news;              /* members that no map knows */
    struct span expected_author, expected_handle;
    bool unordered; /* whatever the operation promises, this list is not in its order */
    char author_room[32];
    int64_t page;         /* timeline answers since reader_forget() */
    struct span page_url; /* borrowed: where the next document was got */
};

/* One call of reader_answer() or reader_document(). */
struct answer {
    struct reader *r;
    const struct operation *op;
    const struct map *post, *user;
    struct span as;       /* provenance.source of what is not there */
    struct html_doc *doc; /* of records that are elements */
    struct arena *arena;
    struct reading *out;
    struct fault *fault;
    char collected[WHEN_TEXT];
    uint64_t *keys; /* hash per record, beside out->records */
    size_t room;
    struct span *more; /* out->more while it grows */
    size_t more_room;
    struct span place; /* entry that is being read */
    /* the post that a thread is about was in this answer, before it */
    bool focus_seen, had_focus;
    size_t ordered;    /* records that stand in the order of the list */
    uint64_t last_key; /* of the one before */
    /* of them: stands in the wrong place; NULL: read for the first time */
    const bool *outcasts;
    bool enveloped; /* a list of instructions was found */
    err failed;
};

/* Where one record is: an object, or an element of answer.doc. */
struct record_place {
    struct json object;
    struct html_node node;
    enum record_section section;
    struct span sort;     /* as in struct seen */
    bool alone, in_order; /* as in struct seen */
    bool is_account;      /* the account whose page it is: its facts go into the reading */
};

/* A copy in the answer's arena. */
struct span answer_keep(struct answer *a, struct span s);
void answer_sign(struct answer *a, enum failure_class is, struct span why);
/* A sign of the pack, with its state; what it says becomes part of the reading. */
void answer_sign_all(struct answer *a, struct sign sign);
void answer_cursor(struct answer *a, struct span cursor);
/* What stands in place of a record; id may be empty. */
void answer_unavailable(struct answer *a, struct span id, struct span state, struct span words,
                        struct span where);
/* The line of a record that failed a check (rejected.c); .p NULL when it does not fit. */
struct span answer_rejected(struct answer *a, const struct map_run *run, struct record rec,
                            const struct record_place *at);
/* True when a record was added. */
bool answer_record(struct answer *a, const struct map *m, enum record_kind kind,
                   const struct record_place *at);
/* The callback of envelope.h; ctx is the answer. */
bool answer_on_seen(void *ctx, const struct seen *s);
/* Rate limits of the headers; *out_headers is JSON_MISSING when there are none. */
void answer_headers(struct answer *a, struct span headers_json, struct json *out_headers,
                    wall collected_at);
bool answer_fine_status(int status);
