/* modes.c - what the service as a whole does: kept over restarts. And the epoch. */
#include "store/sqlite/inside.h"

#include "base/json.h"
#include "base/need.h"

static err read_meta(struct store *s, const char *key, int64_t *out, struct fault *f)
{
    struct query *q;
    err e = db_ask(s->db, SQL_META, &q, f, DB_T(span_of(key)));
    if (e)
        return e;
    e = db_step(q, f);
    *out = e ? 0 : db_int(q, 0);
    db_end(q);
    return e == E_END ? E_OK : e;
}

err modes_load(struct store *s, struct fault *f)
{
    int64_t mode = 0;
    err e = read_meta(s, "mode", &mode, f);
    if (!e)
        e = read_meta(s, "epoch", &s->epoch, f);
    if (!e && (mode < 0 || mode >= MODES))
        e = fail(f, E_STORE, "the job store %s is damaged (mode); restore a backup", s->path);
    if (!e)
        s->mode = (enum store_mode)mode;
    return e;
}

err modes_new_epoch(struct store *s, wall now, struct fault *f)
{
    err e = db_run(s->db, SQL_META_SET, f, DB_T(SPAN("epoch")), DB_I(s->epoch + 1), DB_NULL,
                   DB_NULL, DB_I(now.ms));
    if (!e)
        s->epoch++;
    return e;
}

err sqlite_mode_set(struct store *s, enum store_mode mode, struct span by, struct span why,
                    wall now, struct fault *f)
{
    need((unsigned)mode < MODES);
    err e = store_usable(s, f);
    s->limits_changed = true;
    if (!e)
        e = db_run(s->db, SQL_META_SET, f, DB_T(SPAN("mode")), DB_I(mode), db_text_or_null(by),
                   db_text_or_null(why), DB_I(now.ms));
    if (e)
        return e;
    struct json_w w = event_open(s);
    json_kv_cstr(&w, "mode", mode_name(mode));
    json_kv_cstr(&w, "was", mode_name(s->mode));
    json_kv_text(&w, "by", by);
    json_kv_text(&w, "why", why);
    e = event_add(s, "", "mode.changed", now, &w, f);
    if (!e)
        s->mode = mode;
    return e;
}

err sqlite_mode_get(struct store *s, struct arena *a, struct mode_view *out, struct fault *f)
{
    struct query *q;
    need(!s->reading);
    if (!s->db)
        return fail(f, E_STORE, "the job store is closed");
    err e = db_ask(s->db, SQL_META, &q, f, DB_T(SPAN("mode")));
    if (e)
        return e;
    struct mode_view v = {.mode = s->mode};
    e = db_step(q, f);
    if (!e)
        e = db_keep(q, 1, a, &v.by, f);
    if (!e)
        e = db_keep(q, 2, a, &v.why, f);
    if (!e)
        v.since_ms = db_int(q, 3);
    db_end(q);
    if (!e)
        *out = v;
    return e;
}
