#include "worker/known.h"

void known_read(struct known *k, struct span text)
{
    struct span line, ms;
    *k = (struct known){0};
    if (!span_next(&text, '\n', &line) || !span_int(line, &k->newest_ms))
        return;
    k->given = true;
    while (k->count < KNOWN_MAX && span_next(&text, '\n', &line)) {
        if (!span_next(&line, ' ', &ms) || !line.n) /* "created_ms id" */
            continue;
        k->ids[k->count++] = line;
    }
}

/* A few hundred texts, once for each post: no order is needed (and qsort() would ask the kernel how much
 * memory there is, which a worker may not). */
static bool has_id(const struct known *k, struct span id)
{
    for (size_t i = 0; id.n && i < k->count; i++)
        if (span_eq(k->ids[i], id))
            return true;
    return false;
}

static bool is_older(const struct known *k, const struct record *r)
{
    /* The date of a repost may be that of what it passes on. */
    return !r->repost && r->created_at.ms && r->created_at.ms < k->newest_ms;
}

bool known_has(const struct known *k, const struct record *r)
{
    if (!k->given || r->kind != RECORD_POST)
        return false;
    return has_id(k, r->id) || (r->pinned && is_older(k, r));
}

/* Part of the list itself, and not beside it. */
static bool in_list(const struct record *r)
{
    return r->kind == RECORD_POST && !r->pinned &&
           (r->section == SECTION_TIMELINE || r->section == SECTION_MAIN);
}

size_t known_end(struct known *k, const struct reading *r)
{
    size_t start = 0; /* of the row; of one that began on the page before: 0 */
    for (size_t i = 0; k->given && i < r->count; i++) {
        const struct record *rec = &r->records[i];
        if (!in_list(rec))
            continue;
        if (!has_id(k, rec->id) && !is_older(k, rec)) {
            k->row = 0;
            continue;
        }
        if (k->row++ == 0)
            start = i;
        if (k->row >= KNOWN_ROW)
            return start;
    }
    return r->count;
}
