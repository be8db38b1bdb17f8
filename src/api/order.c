#include "api/order.h"

#include "api/bounds.h"
#include "api/quality.h"

#include "extract/media.h"

#include "base/text.h"
#include "base/when.h"
#include "core/evidence.h"
#include "core/labels.h"
#include "extract/include.h"
#include "extract/fields.h"
#include "os/digest.h"

enum { NAMES_MAX = 32 };

struct reading {
    struct order *order;
    struct body body;
    struct arena *arena;
    struct pack *const *packs;
    size_t pack_count;
    struct pack *pack;
    struct span target; /* as typed */
    wall since, until;
    bool has_since, has_until, since_last;
    struct span product;       /* as given */
    struct span rerun_of;      /* job that this one repeats; empty: none */
    int64_t depth;             /* -1: not given */
    bool files;                /* media: download */
    const char *evidence;      /* NULL: as configured */
    const char *strategy;      /* NULL: as the pack says */
    unsigned exclude, include; /* enum exclude */
    struct fields fields;      /* wanted of each record */
    struct bounds bounds;
    struct order_quality quality;
    struct span labels; /* as they are kept */
};

static const char *const members[] = {
    "site",     "kind",         "target",  "limit",       "since",          "until",
    "priority", "product",      "depth",   "media",       "evidence",       "strategy",
    "exclude",  "include",      "fields",  "since_last",  "session",        "rerun_of",
    "labels",   BOUNDS_MEMBERS, "quality", TERMS_MEMBERS, FOLLOWUP_MEMBERS, NULL};

/* Names of packs or kinds, to find the nearest one. */
struct names {
    const char *list[NAMES_MAX + 1];
};

static void add_name(struct reading *r, struct names *n, size_t at, struct span name)
{
    if (at < NAMES_MAX)
        n->list[at] = arena_text(r->arena, name);
}

static void read_site(struct reading *r, struct json body)
{
    struct json v;
    struct span site = SPAN("x");
    if (body_given(body, "site", &v) && !json_text(v, &site)) {
        body_refuse(&r->body, SPAN("/site"), "type", "must be a text such as \"x\"");
        return;
    }
    struct names names = {0};
    for (size_t i = 0; i < r->pack_count; i++) {
        if (span_eq(pack_name(r->packs[i]), site))
            r->pack = r->packs[i];
        add_name(r, &names, i, pack_name(r->packs[i]));
    }
    if (!r->pack) {
        body_refuse_name(&r->body, SPAN("/site"), site, names.list);
        return;
    }
    r->order->site =
        arena_keep(r->arena, pack_name(r->pack)); /* the pack may go before the order */
}

static void read_kind(struct reading *r, struct json body)
{
    struct json v;
    struct span kind;
    if (!body_given(body, "kind", &v)) {
        body_refuse(&r->body, SPAN("/kind"), "required",
                    "says what to collect: posts, profile, hashtag or search");
        return;
    }
    if (!json_text(v, &kind)) {
        body_refuse(&r->body, SPAN("/kind"), "type", "must be a text such as \"posts\"");
        return;
    }
    if (!r->pack)
        return;
    const struct span *kinds;
    size_t count = pack_targets(r->pack, &kinds);
    struct names names = {0};
    for (size_t i = 0; i < count; i++) {
        if (span_eq(kinds[i], kind))
            r->order->kind = arena_keep(r->arena, kinds[i]);
        add_name(r, &names, i, kinds[i]);
    }
    if (!r->order->kind.n)
        body_refuse_name(&r->body, SPAN("/kind"), kind, names.list);
}

static void read_target(struct reading *r, struct json body)
{
    struct json v;
    struct span typed;
    if (!body_given(body, "target", &v)) {
        body_refuse(&r->body, SPAN("/target"), "required",
                    "says whose or which: \"@nasa\", \"#opendata\", \"heat pump lang:en\"");
        return;
    }
    if (!json_text(v, &typed)) {
        body_refuse(&r->body, SPAN("/target"), "type", "must be a text such as \"@nasa\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    struct buf canonical = BUF(4096);
    struct fault f = {0};
    err e = pack_target(r->pack, r->order->kind, typed, &canonical, &f);
    if (e)
        body_refuse(&r->body, SPAN("/target"), "pattern", "%s",
                    f.words[0] ? f.words : err_text(e));
    else
        r->order->target = arena_keep(r->arena, buf_span(&canonical));
    buf_free(&canonical);
}

/* One strategy of the target instead of all that the pack has for it. */
static void read_strategy(struct reading *r, struct json body)
{
    struct json v;
    struct span wanted;
    const char *tried[NAMES_MAX];
    if (!body_given(body, "strategy", &v))
        return;
    if (!json_text(v, &wanted)) {
        body_refuse(&r->body, SPAN("/strategy"), "type", "must be a text such as \"dom\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    size_t count = pack_strategies(r->pack, r->order->kind, r->product, tried, NAMES_MAX);
    struct names names = {0};
    for (size_t i = 0; i < count; i++) {
        if (span_is(wanted, tried[i]))
            r->strategy = tried[i];
        add_name(r, &names, i, span_of(tried[i]));
    }
    if (!r->strategy)
        body_refuse_name(&r->body, SPAN("/strategy"), wanted, names.list);
}

/* Which of the target's products; without one its first. */
static void read_product(struct reading *r, struct json body)
{
    struct json v;
    struct span name;
    struct fault f = {0};
    if (body_given(body, "product", &v) && (!json_text(v, &r->product) || !r->product.n)) {
        body_refuse(&r->body, SPAN("/product"), "type", "must be a text such as \"latest\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    err e = pack_product(r->pack, r->order->kind, r->product, &name, &r->order->users, &f);
    if (e)
        body_refuse(&r->body, SPAN("/product"), "unknown", "%s",
                    f.words[0] ? f.words : err_text(e));
}

static void read_depth(struct reading *r, struct json body)
{
    struct json v;
    r->depth = -1;
    if (!body_given(body, "depth", &v))
        return;
    if (r->pack && r->order->kind.n && !pack_has_depth(r->pack, r->order->kind))
        body_refuse(&r->body, SPAN("/depth"), "unknown",
                    "%.*s has no depth: only a thread does", SP(r->order->kind));
    else
        body_number(&r->body, body, "", "depth", 0, ORDER_DEPTH_MAX, &r->depth);
}

/* What becomes of media: their URLs in the records, or their files as well. */
static void read_media(struct reading *r, struct json body)
{
    static const char *const choices[] = {"urls", "download", NULL};
    struct json v;
    struct span text;
    if (!body_given(body, "media", &v))
        return;
    if (!json_text(v, &text)) {
        body_refuse(&r->body, SPAN("/media"), "type", "must be \"urls\" or \"download\"");
        return;
    }
    r->files = span_is(text, "download");
    const char *near = text_nearest(text, choices);
    if (!r->files && !span_is(text, "urls") && near)
        body_refuse(&r->body, SPAN("/media"), "unknown", "did you mean \"%s\"?", near);
    else if (!r->files && !span_is(text, "urls"))
        body_refuse(&r->body, SPAN("/media"), "unknown", "known are: urls, download");
    else if (r->files && r->pack && !pack_has_media(r->pack))
        body_refuse(
            &r->body, SPAN("/media"), "not_supported",
            "the site pack %.*s names no files that may be fetched; leave it out, or \"urls\"",
            (int)(r->order->site.n > 60 ? 60 : r->order->site.n), r->order->site.p);
}

static void read_evidence(struct reading *r, struct json body)
{
    struct json v;
    struct span name;
    enum evidence_keep keep;
    if (!body_given(body, "evidence", &v))
        return;
    if (json_text(v, &name) && evidence_keep_parse(name, &keep))
        r->evidence = evidence_keep_name(keep);
    else
        body_refuse(&r->body, SPAN("/evidence"), "unknown",
                    "must be never, on_failure or always");
}

/* {"pool": "research"}: with whose login. */
static void read_session(struct reading *r, struct json body)
{
    struct json v;
    if (!body_given(body, "session", &v))
        return;
    if (json_is(v, JSON_OBJECT))
        body_members(&r->body, v, "/session", (const char *const[]){"pool", NULL});
    struct span pool = SPAN_NONE;
    if (!json_is(v, JSON_OBJECT) || !json_text(json_get(v, SPAN("pool")), &pool))
        body_refuse(&r->body, SPAN("/session"), "type",
                    "must name a pool: {\"pool\": \"research\"}");
    else if (!session_pool_valid(pool))
        body_refuse(&r->body, SPAN("/session/pool"), "pattern",
                    "must be 1 to 32 letters, digits, '-' or '_'");
    else
        r->order->pool = arena_keep(r->arena, pool);
}

/* Only noted: which job this one repeats. */
static void read_rerun(struct reading *r, struct json body)
{
    body_text(&r->body, body, "", "rerun_of", ID_TEXT, &r->rerun_of);
    if (r->rerun_of.n && !id_valid(r->rerun_of, "job"))
        body_refuse(&r->body, SPAN("/rerun_of"), "pattern", "must be the id of a job");
}

static void read_label(struct body *b, struct span pointer, const struct json_iter *i,
                       bool with_gone, struct labels *out)
{
    struct span value = SPAN_NONE;
    bool gone = with_gone && json_is(i->value, JSON_NULL);
    if (!label_name_valid(i->key))
        body_refuse(b, pointer, "pattern",
                    "the name of a label is 1 to %d of A-Z, a-z, 0-9, '.', '_' and '-'",
                    LABEL_NAME_MOST);
    else if (!gone && (!json_text(i->value, &value) || !label_value_valid(value)))
        body_refuse(b, pointer, "pattern",
                    "must be a text of 1 to %d bytes without quotes, backslashes and control "
                    "characters",
                    LABEL_VALUE_MOST);
    else if (!labels_set(out, i->key, gone ? SPAN_NONE : value))
        body_refuse(b, pointer, "range", "at most %d labels", LABELS_MOST);
}

void order_labels(struct body *b, struct json object, const char *at, bool with_gone,
                  struct span *out)
{
    struct json v;
    struct labels labels = {0};
    struct buf text = BUF(LABELS_TEXT);
    if (!body_given(object, "labels", &v))
        return;
    struct span pointer = body_pointer(b, at, SPAN("labels"));
    if (!json_is(v, JSON_OBJECT))
        body_refuse(b, pointer, "type", "must be an object such as {\"team\": \"press\"}");
    for (struct json_iter i = json_each(v); json_next(&i);)
        read_label(b, body_pointer(b, arena_text(b->arena, pointer), i.key), &i, with_gone,
                   &labels);
    labels_write(&labels, &text);
    *out = arena_keep(b->arena, buf_span(&text));
    buf_free(&text);
}

static bool about_users(const struct reading *r)
{
    return r->order->users;
}

static struct span pointer_at(struct reading *r, const char *key, size_t index)
{
    return span_of(arena_fmt(r->arena, "/%s/%zu", key, index));
}

static unsigned read_kinds(struct reading *r, struct json body, const char *key,
                           const char *what)
{
    struct json list;
    unsigned kinds = 0;
    if (!body_texts(&r->body, body, "", key, "[\"replies\", \"reposts\"]", &list))
        return 0;
    if (about_users(r))
        body_refuse(&r->body, body_pointer(&r->body, "", span_of(key)), "unknown",
                    "%.*s has no posts to %s", SP(r->order->kind), what);
    size_t at = 0;
    for (struct json_iter i = json_each(list); json_next(&i); at++) {
        struct span name = SPAN_NONE;
        json_text(i.value, &name);
        const char *near = text_nearest(name, exclude_names);
        kinds |= exclude_bit(name);
        if (exclude_bit(name))
            continue;
        if (near)
            body_refuse(&r->body, pointer_at(r, key, at), "unknown", "did you mean \"%s\"?",
                        near);
        else
            body_refuse(&r->body, pointer_at(r, key, at), "unknown",
                        "known are: replies, reposts, quotes");
    }
    return kinds;
}

/* What the list leaves out by itself is asked for, where the site has a way. */
static void read_include(struct reading *r, struct json body)
{
    struct include_way way;
    struct fault f = {0};
    r->exclude = read_kinds(r, body, "exclude", "leave out");
    r->include = read_kinds(r, body, "include", "bring in");
    if (r->include & r->exclude)
        body_refuse(&r->body, SPAN("/include"), "conflict",
                    "the same kind of posts is both included and excluded");
    else if (r->include && r->pack && r->order->kind.n && !about_users(r) &&
             pack_include(r->pack, r->order->kind, r->order->target, r->include, r->arena, &way,
                          &f))
        body_refuse(&r->body, SPAN("/include"), "unknown", "%s", f.words);
}

static void read_since_last(struct reading *r, struct json body)
{
    struct json v;
    if (!body_given(body, "since_last", &v))
        return;
    if (!json_bool(v, &r->since_last))
        body_refuse(&r->body, SPAN("/since_last"), "type", "must be true or false");
    else if (r->since_last && about_users(r))
        body_refuse(&r->body, SPAN("/since_last"), "unknown", "%.*s is no list of posts",
                    SP(r->order->kind));
}

/* The options as they are kept, but for those of the list; with fields that every record has to have. */
static struct span spec_without(struct reading *r, struct json_parser *parser,
                                const char *const *left_out, const struct fields *required)
{
    struct buf text = BUF(8 * 1024), raw = BUF(8 * 1024);
    struct json_w w = json_w(&text);
    struct json spec = JSON_MISSING;
    (void)!json_parse(parser, r->order->spec, &spec, NULL);
    json_open(&w);
    for (struct json_iter i = json_each(spec); json_next(&i);) {
        bool out = false;
        for (size_t k = 0; left_out[k]; k++)
            out = out || span_is(i.key, left_out[k]);
        if (out)
            continue;
        buf_clear(&raw);
        json_add_raw(&raw, i.value);
        json_key_span(&w, i.key);
        json_put_raw(&w, buf_span(&raw));
    }
    if (required)
        order_fields_put(&w, "required_fields", required);
    json_close(&w);
    struct span kept = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    buf_free(&raw);
    return kept;
}

/* What else the mark of a target belongs to: every option but those that cut the list, or shape what
 * is delivered of it. An option that is not named here makes a list of its own: that loses nothing. */
static void write_variant(struct reading *r, struct json_parser *parser)
{
    static const char *const same_list[] = {
        "limit",    "since",     "until",          "since_last", "fields",
        "strategy", "evidence",  "media",          "priority",   "session",
        "rerun_of", "labels",    "max_pages",      "max_bytes",  "timeouts",
        "quality",  "resources", FOLLOWUP_MEMBERS, NULL};
    r->order->variant = spec_without(r, parser, same_list, &r->quality.required);
}

/* A name for everything that decides what the records are; whose the job is does not. Jobs with the same
 * name share results, so nobody must be able to make another order with it: a piece of SHA-256. */
static int64_t work_of(struct reading *r, struct json_parser *parser)
{
    static const char *const same_records[] = {
        "fields", "rerun_of", "labels", "timeouts", "resources", FOLLOWUP_MEMBERS, NULL};
    const struct order *o = r->order;
    unsigned char digest[DIGEST_BYTES];
    uint64_t work = 0;
    if (r->since_last)
        return 0;
    struct buf text = BUF(64 * 1024);
    struct json_w w = json_w(&text);
    json_open_array(&w);
    json_put_text(&w, o->site);
    json_put_text(&w, o->kind);
    json_put_text(&w, o->target);
    json_put_raw(&w, spec_without(r, parser, same_records, NULL));
    /* Of the resources this alone may end a job well, with less. */
    if (r->bounds.most[BOUND_REQUESTS])
        json_put_int(&w, r->bounds.most[BOUND_REQUESTS]);
    json_close_array(&w);
    digest_sha256(buf_span(&text), digest);
    memcpy(&work, digest, sizeof work);
    work = text.failed ? 0 : work & INT64_MAX;
    buf_free(&text);
    return (int64_t)work;
}

static enum store_mark mark_of(const struct reading *r)
{
    if (r->since_last)
        return MARK_USED;
    return about_users(r) || r->has_since || r->has_until ? MARK_STAYS : MARK_WHEN_COMPLETE;
}

static void write_kinds(struct json_w *w, const char *key, unsigned kinds)
{
    if (!kinds)
        return;
    json_key(w, key);
    json_open_array(w);
    for (unsigned i = 0; exclude_names[i]; i++)
        if (kinds & 1u << i)
            json_put_text(w, span_of(exclude_names[i]));
    json_close_array(w);
}

static void write_lists(struct reading *r, struct json_w *w)
{
    write_kinds(w, "exclude", r->exclude);
    write_kinds(w, "include", r->include);
    order_fields_put(w, "fields", &r->fields);
}

/* node looks for "media":"download" in it (pool/media.c). */
static void write_spec(struct reading *r)
{
    struct buf text = BUF(8 * 1024);
    struct json_w w = json_w(&text);
    char when[WHEN_TEXT];
    json_open(&w);
    if (r->order->limit)
        json_kv_int(&w, "limit", r->order->limit);
    if (r->has_since)
        json_kv_cstr(&w, "since", when_text(r->since, when));
    if (r->has_until)
        json_kv_cstr(&w, "until", when_text(r->until, when));
    if (r->product.n)
        json_kv_text(&w, "product", r->product);
    if (r->depth >= 0)
        json_kv_int(&w, "depth", r->depth);
    if (r->files)
        json_kv_cstr(&w, "media", "download");
    if (r->evidence)
        json_kv_cstr(&w, "evidence", r->evidence);
    if (r->strategy)
        json_kv_cstr(&w, "strategy", r->strategy);
    if (r->since_last)
        json_kv_bool(&w, "since_last", true);
    if (r->order->pool.n) {
        json_key(&w, "session");
        json_open(&w);
        json_kv_text(&w, "pool", r->order->pool);
        json_close(&w);
    }
    write_lists(r, &w);
    followup_write(&w, &r->order->followup);
    bounds_put(&w, &r->bounds);
    order_quality_put(&w, &r->quality);
    if (r->rerun_of.n)
        json_kv_text(&w, "rerun_of", r->rerun_of);
    if (r->labels.n) { /* the last member: core/labels.h */
        json_key(&w, "labels");
        json_put_raw(&w, r->labels);
    }
    json_close(&w);
    r->order->spec = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
}

static struct span lane_of(struct reading *r)
{
    const struct order *o = r->order;
    unsigned share = pack_share(r->pack, o->kind, o->target);
    const char *class = lane_class_name(o->terms.class);
    struct span lane = span_of(
        share ? arena_fmt(r->arena, "%.*s/%.*s/%s-%u", SP(o->terms.tenant), SP(o->site), class,
                          share)
              : arena_fmt(r->arena, "%.*s/%.*s/%s", SP(o->terms.tenant), SP(o->site), class));
    if (!o->pool.n)
        return lane;
    return span_of(
        arena_fmt(r->arena, "%.*s@%.*s.%.*s", SP(lane), SP(o->pool), SP(o->operation)));
}

bool order_read(struct order *out, struct order_refusal *out_refusal,
                struct json_parser *parser, struct pack *const *packs, size_t pack_count,
                struct span body, struct arena *a)
{
    *out = (struct order){0};
    *out_refusal = (struct order_refusal){0};
    struct reading r = {.order = out,
                        .body = {out_refusal, a},
                        .arena = a,
                        .packs = packs,
                        .pack_count = pack_count};
    struct json root;
    if (!body_read(&r.body, parser, body, false, members, &root))
        return false;
    int64_t prio = LANE_PRIORITY;
    struct json given;
    read_site(&r, root);
    read_kind(&r, root);
    read_target(&r, root);
    body_number(&r.body, root, "", "limit", 1, ORDER_LIMIT_MAX, &out->limit);
    body_number(&r.body, root, "", "priority", 0, 9, &prio);
    read_product(&r, root);
    read_strategy(&r, root);
    read_depth(&r, root);
    read_include(&r, root);
    enum fields_of of = about_users(&r) ? FIELDS_OF_USERS : FIELDS_OF_POSTS;
    order_fields(&r.body, root, "", "fields", of, &r.fields);
    order_quality(&r.body, root, of, out->limit, &r.quality);
    read_since_last(&r, root);
    r.has_since = body_time(&r.body, root, "", "since", &r.since);
    r.has_until = body_time(&r.body, root, "", "until", &r.until);
    read_media(&r, root);
    read_evidence(&r, root);
    read_session(&r, root);
    read_rerun(&r, root);
    order_labels(&r.body, root, "", false, &r.labels);
    if (r.has_since && r.has_until && r.since.ms >= r.until.ms)
        body_refuse(&r.body, SPAN("/until"), "range", "must be later than since");
    terms_read(&r.body, root, r.since_last, &out->terms);
    followup_read(&r.body, root, &out->followup);
    order_bounds(&r.body, root, &r.bounds);
    r.bounds.navigation_s = out->terms.navigation_s;
    if (!body_fine(&r.body))
        return false;
    out->prio = (int)prio;
    out->prio_of_lane = !body_given(root, "priority", &given);
    if (out->pool.n)
        out->operation =
            arena_keep(a, span_cut(pack_limited_as(r.pack, out->kind), 0, SESSION_NAME - 1));
    out->lane = lane_of(&r);
    out->needs =
        pack_needs_page(r.pack, out->kind, span_of(r.strategy)) ? NEEDS_PAGE : NEEDS_NOTHING;
    write_spec(&r);
    write_variant(&r, parser); /* the body is no longer there after it */
    out->mark = mark_of(&r);
    out->memory_bytes = r.bounds.most[BOUND_MEMORY] << 20;
    out->work = work_of(&r, parser);
    return true;
}

static int64_t seconds_from(int64_t instant_ms, int64_t s)
{
    return s ? instant_ms + s * 1000 : 0;
}

struct accept_args order_accept(const struct order *o, bool coalesce, wall now)
{
    const struct terms *t = &o->terms;
    int64_t from_ms = t->not_before_ms > now.ms ? t->not_before_ms : now.ms;
    return (struct accept_args){
        .site = o->site,
        .kind = o->kind,
        .target = o->target,
        .lane = o->lane,
        .pool = o->pool,
        .operation = o->operation,
        .spec = o->spec,
        .limit = o->limit,
        .counts = o->users ? ITEM_USER : ITEM_POST,
        .prio = o->prio,
        .prio_of_lane = o->prio_of_lane,
        .mark = o->mark,
        .variant = o->variant,
        .needs = o->needs,
        .memory_bytes = o->memory_bytes,
        .run_at_ms = t->not_before_ms,
        .expires_ms = seconds_from(from_ms, t->expires_s),
        .deadline_ms = seconds_from(from_ms, t->deadline_s),
        .attempt_ms = t->attempt_s * 1000,
        .stall_ms = t->idle_s * 1000,
        .max_fail = o->followup.max_attempts,
        .unique_key = t->unique_key,
        .on_conflict = t->on_conflict,
        .fresh_within_ms = t->fresh_within_s * 1000,
        .work = o->work,
        .coalesce =
            t->coalesce == COALESCE_AS_CONFIGURED ? coalesce : t->coalesce == COALESCE_YES,
        .max_age_ms = t->max_age_s * 1000,
        .stale_if_error_ms = t->stale_if_error_s * 1000,
        .held = t->hold,
    };
}
