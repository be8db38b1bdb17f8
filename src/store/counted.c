#include "store/counted.h"

static int64_t within(int64_t n, int64_t least, int64_t most)
{
    return n < least ? least : n > most ? most : n;
}

static void put_count(struct drift_counts *c, int64_t path, int64_t n)
{
    const int64_t most = (int64_t)1 << 40; /* sums of such counts are numbers still */
    if (path == COUNTED_MISSING)
        c->missing = within(n, 0, most);
    else
        c->hits[path < 0 ? 0 : path] = within(n, 0, most);
}

err counted_take(struct fields_view *view, const struct counted_row *row, struct arena *a,
                 struct fault *f)
{
    struct field_view *v = view->count ? &view->fields[view->count - 1] : NULL;
    int64_t first_ms =
        within(row->first_hour, 0, INT64_MAX / COUNTED_HOUR_MS) * COUNTED_HOUR_MS;
    if (row->path < COUNTED_MEMBER || row->path >= DRIFT_PATHS)
        return E_OK; /* of a version that knows more of them */
    if (!v || !span_eq(v->name, row->name)) {
        if (view->count >= COUNTED_FIELDS_MAX)
            return E_END;
        v = &view->fields[view->count++];
        *v = (struct field_view){.first_ms = first_ms, .name = arena_keep(a, row->name)};
        if (!v->name.p)
            return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    }
    v->first_ms = first_ms < v->first_ms ? first_ms : v->first_ms;
    v->member = v->member || row->path == COUNTED_MEMBER;
    put_count(&v->now, row->path, row->now);
    put_count(&v->before, row->path, row->before);
    return E_OK;
}

static int64_t records_of(const struct drift_counts *c)
{
    int64_t n = c->missing;
    for (size_t i = 0; i < DRIFT_PATHS; i++)
        n += c->hits[i];
    return n;
}

/* A member is news where the site was read before without it. */
void counted_mark(struct fields_view *view)
{
    int64_t most = 0;
    for (size_t i = 0; i < view->count; i++) {
        int64_t n = records_of(&view->fields[i].before);
        most = !view->fields[i].member && n > most ? n : most;
    }
    for (size_t i = 0; i < view->count; i++) {
        struct field_view *v = &view->fields[i];
        if (!v->member)
            v->mark = drift_judge(&v->before, &v->now);
        else if (most >= DRIFT_BEFORE && v->now.hits[0] && !v->before.hits[0])
            v->mark = DRIFT_MEMBER;
    }
}
