/* known.h - what earlier jobs of the same target have brought, and where a list that is in the order of
 * time goes over into it. Pure.
 *
 * One known post is no border: a list may show an old post again above new ones (a thread that goes on,
 * a post that was pinned), and the newest known posts may be deleted by now. Three posts in a row that
 * are known, or older than the newest known one, are. */
#pragma once

#include "extract/reader.h"

enum { KNOWN_MAX = 256, KNOWN_ROW = 3 };

struct known {
    bool given; /* the job asks for what is new, and there was a job before */
    int64_t newest_ms;
    struct span ids[KNOWN_MAX];
    size_t count;
    int row; /* such posts in a row at the end of the last page */
};

/* The text that the store gives (store.h); borrowed. */
void known_read(struct known *k, struct span text);
/* Leave the post out: it is known, or an old one that was pinned. */
bool known_has(const struct known *k, const struct record *r);
/* Index of the first record of the page that the job need not look at; r->count: it goes on. */
size_t known_end(struct known *k, const struct reading *r);
