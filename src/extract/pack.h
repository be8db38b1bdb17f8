/* pack.h - one site pack: everything that is true of one site, as data.
 *
 * A pack is sites/NAME/site.yaml plus the map files it names. Reading it checks every key,
 * compiles the field maps into programs (map.h) and the signs into tables; after that it never
 * changes and may be shared by threads. There is no code in a pack and no loop in a map:
 * reading an answer always ends.
 *
 * Spans returned here borrow from the pack and live as long as it does. */
#pragma once

#include "base/span.h"

struct pack;

/* Reads NAME/site.yaml and the files it names below the directory sites_dirfd. Errors are
 * E_CONFIG (what the file says), E_BAD_SYNTAX (not YAML), E_NOT_FOUND (no such pack),
 * E_TOO_BIG; the words name the place: "x/site.yaml:12:5: unknown key 'operatons' in capture;
 * did you mean 'operations'?". NAME is letters, digits, '-' and '_' only. */
MUST_USE err pack_open(struct pack **out, int sites_dirfd, const char *name, struct fault *f);
/* The same from memory: the files as pack_image() gave them, perhaps among those of other packs. */
MUST_USE err pack_open_image(struct pack **out, struct span image, const char *name,
                             struct fault *f);
/* One more pack_close() is owed. Holding and closing are one thread's. */
struct pack *pack_hold(struct pack *p);
void pack_close(
    struct pack **p); /* NULL inside is fine; clears it; freed with the last holder */
/* All files of the pack, byte for byte as they were read (packs.h says how). */
struct span pack_image(const struct pack *p);
/* Members of the open object: "name":"x","version":1,"hash":"1f3a9c02". */
struct json_w;
void pack_put_name(struct json_w *w, const struct pack *p);

struct span pack_name(const struct pack *p); /* "x" */
struct span
pack_version(const struct pack *p); /* "1-1f3a9c02": number in the file, hash of all files */
struct span pack_base_url(const struct pack *p); /* "https://x.com", no slash at the end */
/* Where a job's requests go: base_url when it is not empty, else the pack's with the target's host in
 * it ("https://mastodon.social"). E_BAD_INPUT, E_TOO_BIG. */
MUST_USE err pack_base(const struct pack *p, struct span kind, struct span canonical,
                       struct span base_url, struct buf *out, struct fault *f);
/* A site on many hosts has PACK_SHARES shares, so that a host in trouble holds up few of the others:
 * the share of the target's host, 1 to PACK_SHARES; 0 for a site on one host. */
enum { PACK_SHARES = 16 };
unsigned pack_share(const struct pack *p, struct span kind, struct span canonical);
/* May a fetch of this site be redirected to any host? */
bool pack_any_redirect(const struct pack *p);
/* Names of the strategies that can show a product of a target (empty: its first), in the order in which
 * they are tried; 0 when there is no such target. At most `max` are written. */
size_t pack_strategies(const struct pack *p, struct span kind, struct span product,
                       const char **out_names, size_t max);
/* Where its sources are read from beside base_url, "NAME=URL NAME=URL". */
struct span pack_instances(const struct pack *p);
/* May a job of this kind need a page in a browser, when it is read by this strategy alone? An empty kind:
 * may any; an empty strategy: by all that the pack has. */
bool pack_needs_page(const struct pack *p, struct span kind, struct span strategy);
/* Host patterns egress may reach: "x.com", "*.twimg.com". */
size_t pack_hosts(const struct pack *p, const struct span **out_hosts);
/* URL patterns for Network.setBlockedURLs ('*' is any text). */
size_t pack_blocked(const struct pack *p, const struct span **out_patterns);

/* Names of the cookies without which nobody is logged in; may be none. */
size_t pack_login_cookies(const struct pack *p, const struct span **out_names);
/* What the site counts jobs of this kind under, when it limits a session: the API call that brings the
 * pages of the list, else the first; the kind itself where there is none. */
struct span pack_limited_as(const struct pack *p, struct span kind);

/* Checks a target as a person typed it ("@nasa", "https://x.com/nasa") and writes its one
 * canonical form: handle without @, tag without #; "name@host" with the host in lower case where the
 * site has many. E_BAD_INPUT with the reason and what is accepted. */
MUST_USE err pack_target(const struct pack *p, struct span kind, struct span input,
                         struct buf *out_canonical, struct fault *f);
/* Names of the targets ("posts", "profile", ...), in file order. */
size_t pack_targets(const struct pack *p, const struct span **out_kinds);

/* One answer to a question may come in several products ("latest", "top", "people", "media" of a
 * search). Checks the one that a job asks for; empty: the target's first. *out_name is empty where
 * the target has none; *out_users: the records of the job are users, else posts. E_BAD_INPUT with
 * what there is. */
MUST_USE err pack_product(const struct pack *p, struct span kind, struct span product,
                          struct span *out_name, bool *out_users, struct fault *f);
/* Is the target a thread, of which a job may limit the depth? */
bool pack_has_depth(const struct pack *p, struct span kind);

/* One target, to be shown. */
struct target_view {
    struct span kind, accepts, example, url;
    bool needs_session, users, depth;
    const struct span *products; /* names, the default first */
    size_t product_count;
    const struct operation *operations; /* plan.h */
    size_t operation_count;
    const struct span *sources; /* of fetch, by name */
    size_t source_count;
};
/* False when the pack has no such target. */
bool pack_target_view(const struct pack *p, struct span kind, struct target_view *out);
/* The API call of that name, or NULL. */
const struct operation *pack_operation(const struct pack *p, struct span name);

/* A page expression by name ("scroll", "retry", "state"): only these are ever evaluated in a
 * page. SPAN_NONE when unknown. What each returns is said beside it in site.yaml. */
struct span pack_expression(const struct pack *p, struct span name);
