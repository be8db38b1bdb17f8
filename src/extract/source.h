/* source.h - the sources of a pack: where records come from beside the page's own API. Each is a
 * name, a page (page.h) and the maps of its records.
 *
 *   sources:
 *     nitter_timeline: {role: timeline, as: nitter_html, page: maps/nitter_page.yaml,
 *                       post: maps/nitter_post.yaml, user: maps/nitter_user.yaml}
 */
#pragma once

#include "extract/map.h"
#include "extract/page.h"
#include "extract/plan.h"

enum { SOURCES_MAX = 32 };

struct source {
    struct operation op; /* name and role, as for a call of the page's own API */
    struct span as;      /* provenance.source of what is not there */
    struct span url;     /* what to fetch, with {variables}; empty: the source is not fetched */
    bool sampled;        /* an anonymous view: a sample, whose emptiness proves nothing */
    int limit;           /* most records that one request may ask for; 0: it does not say */
    struct page page;
    const struct map *post, *user, *head, *schema; /* NULL: the page has no such records */
};

/* Reads a file of the pack into a tree; the form is then that file's. */
typedef err source_load(void *ctx, struct span file, struct form *out_form,
                        struct ynode **out_root);
struct source_reading {
    source_load *load;
    void *ctx;
    struct map_counters *counters;
    struct html_paths *paths;
};
/* The section `sources` of site.yaml: a mapping, or NULL for none. Returns the rows in the arena. */
MUST_USE err sources_read(struct form *site, const struct ynode *map,
                          const struct source_reading *how, const struct source **out,
                          size_t *out_count);
