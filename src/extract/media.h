/* media.h - which media of a record may be fetched, and where: section `media` of a pack. Pure.
 *
 * Only URLs that begin as one of the kind's `places` are media: profile pictures, banners, emoji and
 * the like lie elsewhere, and no answer of a site can make them pass. */
#pragma once

#include "base/json.h"
#include "extract/pack.h"

enum { MEDIA_URLS_MAX = 12 };

struct media_rule { /* of one kind of media */
    struct span kind;         /* as `type` of the record's media says: "photo" */
    const struct span *places; /* "https://pbs.twimg.com/media/" */
    const struct span *hosts;  /* the same number: of each place */
    size_t place_count;
    const struct span *tries; /* what to ask for, best first: "{stem}?format={format}&name=orig" */
    size_t try_count;
    struct span variants;     /* first of all the record's variants of this type, by bitrate */
    const struct span *types; /* types of files that are taken: "image/jpeg" */
    size_t type_count;
    int64_t bytes_max;
};

/* Whether the pack names any media. */
bool pack_has_media(const struct pack *p);
/* The rule of a kind; NULL: files of this kind are not fetched. */
const struct media_rule *pack_media(const struct pack *p, struct span kind);
/* Any place of any kind begins with this origin: "https://pbs.twimg.com" (for its robots.txt). */
bool pack_media_origin(const struct pack *p, struct span origin);

/* URLs of one media of a record, in the order in which they are to be asked for; those outside of
 * the rule's places are left out. The texts live in the arena. Returns their number. */
size_t media_urls(const struct media_rule *r, struct json media, struct arena *a,
                  struct span out[MEDIA_URLS_MAX]);
bool media_allows(const struct media_rule *r, struct span url);

/* "https://pbs.twimg.com" of "https://pbs.twimg.com/media/A.jpg". */
struct span media_origin(struct span url);
