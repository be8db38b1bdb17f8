/* media.h - which media of a record may be fetched, and where: section `media` of a pack. Pure.
 *
 * Only URLs that begin as one of the kind's `places` are media: profile pictures, banners, emoji and
 * the like lie elsewhere, and no answer of a site can make them pass. */
#pragma once

#include "base/json.h"
#include "extract/pack.h"

enum { MEDIA_URLS_MAX = 12, MEDIA_PLACES_MAX = 8 };

struct media_rule {            /* of one kind of media */
    struct span kind;          /* as `type` of the record's media says: "photo" */
    const struct span *places; /* "https://pbs.twimg.com/media/"; "https://{host}/": that of
                                  the job's target; with "*." before {host}: those below it */
    const struct span *hosts;  /* the same number: of each place, {host} as it is */
    size_t place_count;
    /* what to ask for, best first: "{stem}?format={format}&name=orig" */
    const struct span *tries;
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
/* Any place of any kind begins with this origin: "https://pbs.twimg.com" (for its robots.txt). host: of the
 * job's target, empty where it names none. */
bool pack_media_origin(const struct pack *p, struct span origin, struct span host);
/* The host in a target as pack_target() accepted it; empty where the site has one for all. */
struct span pack_target_host(const struct pack *p, struct span kind, struct span canonical);
/* A host of the rule, "{host}" filled in; empty where there is none to fill in. */
void media_host(struct span pattern, struct span host, struct buf *out);

/* URLs of one media of a record, in the order in which they are to be asked for; those outside of
 * the rule's places are left out. The texts live in the arena. Returns their number. */
size_t media_urls(const struct media_rule *r, struct json media, struct span host,
                  struct arena *a, struct span out[MEDIA_URLS_MAX]);
bool media_allows(const struct media_rule *r, struct span url, struct span host);

/* "https://pbs.twimg.com" of "https://pbs.twimg.com/media/A.jpg". */
struct span media_origin(struct span url);
