/* view.h - a job as the API shows it. Pure.
 *
 * {"object":"job","id":…,"state":…,"verdict":…|null,"end_reason":…|null,"failure":{…}|null,…};
 * every member is always there; what is not known is null. docs/reference/http-api.md explains
 * each. */
#pragma once

#include "base/json.h"
#include "store/store.h"

/* parser checks the worker's report before it is shown as JSON; what does not parse is shown as
 * text. with_report: false leaves the report out (lists). */
void view_job(struct json_w *w, const struct job_view *job, struct json_parser *parser,
              bool with_report);

enum { VIEW_TAG = 32 };
/* The ETag of a revision: "r7" with its quotes. Returns out. */
char *view_tag(int64_t revision, char out[VIEW_TAG]);
/* Likewise of what has no revision: a digest of what people set of it. */
char *view_digest_tag(uint64_t digest, char out[VIEW_TAG]);
/* A time, or null where it is not known (0). */
void view_time(struct json_w *w, const char *key, int64_t ms);

/* {"object":"list","data":[ … ],"page":{"limit":…,"has_more":…,"next_after":…}}; no next_after: the last
 * page. What is written between the two are its rows. */
struct json_w view_list(struct buf *body);
void view_list_close(struct json_w *w, size_t limit, struct span next_after);
/* Likewise, up to within the page: what else the page and the list have follows. */
void view_list_page(struct json_w *w, size_t limit, struct span next_after);
/* The members options and labels: labels are kept among the options, and shown beside them. */
void view_options(struct json_w *w, struct span spec, struct json_parser *parser);
