#include "api/order.h"

#include "extract/media.h"

#include "base/text.h"
#include "base/when.h"
#include "core/evidence.h"
#include "extract/include.h"
#include "extract/fields.h"

enum { NAMES_MAX = 32 };

struct reading {
    struct order *order;
    struct order_refusal *refusal;
    struct arena *arena;
    struct pack *const *packs;
    size_t pack_count;
    struct pack *pack;
    struct span target; /* as typed */
    wall since, until;
    bool has_since, has_until, since_last;
    struct span product;  /* as given */
    int64_t depth;        /* -1: not given */
    bool files;           /* media: download */
    const char *evidence; /* NULL: as configured */
    const char *strategy; /* NULL: as the pack says */
    unsigned exclude, include; /* enum exclude */
    struct fields fields; /* wanted of each record */
};

static const char *const members[] = {"site",     "kind",    "target",   "limit",  "since", "until",
                                      "priority", "product", "depth",    "media",  "evidence",
                                      "strategy", "exclude", "include",  "fields", "since_last", NULL};

__attribute__((format(printf, 4, 5))) static void refuse(struct reading *r, struct span pointer,
                                                         const char *code, const char *fmt, ...)
{
    if (r->refusal->error_count == ORDER_ERRORS_MAX)
        return;
    struct buf text = BUF(512);
    va_list ap;
    va_start(ap, fmt);
    buf_vfmt(&text, fmt, ap);
    va_end(ap);
    r->refusal->errors[r->refusal->error_count++] = (struct problem_error){
        .pointer = arena_keep(r->arena, pointer),
        .code = code,
        .detail = arena_keep(r->arena, buf_span(&text)),
    };
    buf_free(&text);
}

/* JSON Pointer of a top-level member (RFC 6901: ~ and / are escaped), cut where it is absurdly
 * long. */
static struct span pointer_to(struct reading *r, struct span key)
{
    struct buf text = BUF(300);
    buf_add_char(&text, '/');
    for (size_t i = 0; i < key.n && i < 128; i++) {
        if (key.p[i] == '~')
            buf_add_text(&text, "~0");
        else if (key.p[i] == '/')
            buf_add_text(&text, "~1");
        else
            buf_add_char(&text, key.p[i]);
    }
    struct span pointer = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    return pointer;
}

static bool known(struct span key)
{
    for (size_t i = 0; members[i]; i++)
        if (span_is(key, members[i]))
            return true;
    return false;
}

static struct span known_members(struct reading *r)
{
    struct buf text = BUF(1024);
    for (size_t i = 0; members[i]; i++)
        buf_fmt(&text, "%s%s", i ? ", " : "", members[i]);
    struct span kept = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    return kept;
}

static bool refuse_unknown(struct reading *r, struct json body)
{
    for (struct json_iter i = json_each(body); json_next(&i);) {
        if (known(i.key))
            continue;
        const char *near = text_nearest(i.key, members);
        if (near)
            refuse(r, pointer_to(r, i.key), "unknown_field", "did you mean \"%s\"?", near);
        else
            refuse(r, pointer_to(r, i.key), "unknown_field",
                   "known are %.*s", SP(known_members(r)));
    }
    return r->refusal->error_count > 0;
}

static bool refuse_twice(struct reading *r, struct json body)
{
    for (size_t m = 0; members[m]; m++) {
        size_t times = 0;
        for (struct json_iter i = json_each(body); json_next(&i);)
            times += span_is(i.key, members[m]);
        if (times > 1)
            refuse(r, pointer_to(r, span_of(members[m])), "duplicate_field", "given %zu times",
                   times);
    }
    return r->refusal->error_count > 0;
}

/* A member that is there and not null. */
static bool given(struct json body, const char *key, struct json *out)
{
    *out = json_get(body, span_of(key));
    return out->doc && !json_is(*out, JSON_NULL);
}

/* Names of packs or kinds, for words and for the nearest one. */
struct names {
    const char *list[NAMES_MAX + 1];
    struct buf words;
};

static void add_name(struct reading *r, struct names *n, size_t at, struct span name)
{
    if (at >= NAMES_MAX)
        return;
    n->list[at] = arena_text(r->arena, name);
    if (at)
        buf_add_text(&n->words, ", ");
    buf_add(&n->words, name);
}

static void refuse_name(struct reading *r, const char *pointer, struct span wrong,
                        struct names *n)
{
    const char *near = text_nearest(wrong, n->list);
    if (near)
        refuse(r, span_of(pointer), "unknown", "did you mean \"%s\"?", near);
    else
        refuse(r, span_of(pointer), "unknown", "known are: %.*s", SP(buf_span(&n->words)));
    buf_free(&n->words);
}

static void read_site(struct reading *r, struct json body)
{
    struct json v;
    struct span site = SPAN("x");
    if (given(body, "site", &v) && !json_text(v, &site)) {
        refuse(r, SPAN("/site"), "type", "must be a text such as \"x\"");
        return;
    }
    struct names names = {.words = BUF(1024)};
    for (size_t i = 0; i < r->pack_count; i++) {
        if (span_eq(pack_name(r->packs[i]), site))
            r->pack = r->packs[i];
        add_name(r, &names, i, pack_name(r->packs[i]));
    }
    if (!r->pack) {
        refuse_name(r, "/site", site, &names);
        return;
    }
    r->order->site = arena_keep(r->arena, pack_name(r->pack)); /* the pack may go before the order */
    buf_free(&names.words);
}

static void read_kind(struct reading *r, struct json body)
{
    struct json v;
    struct span kind;
    if (!given(body, "kind", &v)) {
        refuse(r, SPAN("/kind"), "required",
               "says what to collect: posts, profile, hashtag or search");
        return;
    }
    if (!json_text(v, &kind)) {
        refuse(r, SPAN("/kind"), "type", "must be a text such as \"posts\"");
        return;
    }
    if (!r->pack)
        return;
    const struct span *kinds;
    size_t count = pack_targets(r->pack, &kinds);
    struct names names = {.words = BUF(1024)};
    for (size_t i = 0; i < count; i++) {
        if (span_eq(kinds[i], kind))
            r->order->kind = arena_keep(r->arena, kinds[i]);
        add_name(r, &names, i, kinds[i]);
    }
    if (!r->order->kind.n)
        refuse_name(r, "/kind", kind, &names);
    buf_free(&names.words);
}

static void read_target(struct reading *r, struct json body)
{
    struct json v;
    struct span typed;
    if (!given(body, "target", &v)) {
        refuse(r, SPAN("/target"), "required",
               "says whose or which: \"@nasa\", \"#opendata\", \"heat pump lang:en\"");
        return;
    }
    if (!json_text(v, &typed)) {
        refuse(r, SPAN("/target"), "type", "must be a text such as \"@nasa\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    struct buf canonical = BUF(4096);
    struct fault f = {0};
    err e = pack_target(r->pack, r->order->kind, typed, &canonical, &f);
    if (e)
        refuse(r, SPAN("/target"), "pattern", "%s", f.words[0] ? f.words : err_text(e));
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
    if (!given(body, "strategy", &v))
        return;
    if (!json_text(v, &wanted)) {
        refuse(r, SPAN("/strategy"), "type", "must be a text such as \"dom\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    size_t count = pack_strategies(r->pack, r->order->kind, r->product, tried, NAMES_MAX);
    struct names names = {.words = BUF(1024)};
    for (size_t i = 0; i < count; i++) {
        if (span_is(wanted, tried[i]))
            r->strategy = tried[i];
        add_name(r, &names, i, span_of(tried[i]));
    }
    if (!r->strategy)
        refuse_name(r, "/strategy", wanted, &names);
    else
        buf_free(&names.words);
}

static void read_number(struct reading *r, struct json body, const char *key, int64_t min,
                        int64_t max, int64_t *value)
{
    struct json v;
    int64_t n;
    if (!given(body, key, &v))
        return;
    struct span pointer = pointer_to(r, span_of(key));
    if (!json_int(v, &n))
        refuse(r, pointer, "type", "must be a whole number");
    else if (n < min || n > max)
        refuse(r, pointer, "range", "must be %lld to %lld", (long long)min, (long long)max);
    else
        *value = n;
}

static bool read_time(struct reading *r, struct json body, const char *key, wall *out)
{
    struct json v;
    struct span text;
    if (!given(body, key, &v))
        return false;
    if (json_text(v, &text) && when_parse(text, out))
        return true;
    refuse(r, pointer_to(r, span_of(key)), "format",
           "must be a date (2026-02-06) or RFC 3339 (2026-02-06T12:00:00Z)");
    return false;
}

/* Which of the target's products; without one its first. */
static void read_product(struct reading *r, struct json body)
{
    struct json v;
    struct span name;
    struct fault f = {0};
    if (given(body, "product", &v) && (!json_text(v, &r->product) || !r->product.n)) {
        refuse(r, SPAN("/product"), "type", "must be a text such as \"latest\"");
        return;
    }
    if (!r->pack || !r->order->kind.n)
        return;
    err e = pack_product(r->pack, r->order->kind, r->product, &name, &r->order->users, &f);
    if (e)
        refuse(r, SPAN("/product"), "unknown", "%s", f.words[0] ? f.words : err_text(e));
}

static void read_depth(struct reading *r, struct json body)
{
    struct json v;
    r->depth = -1;
    if (!given(body, "depth", &v))
        return;
    if (r->pack && r->order->kind.n && !pack_has_depth(r->pack, r->order->kind))
        refuse(r, SPAN("/depth"), "unknown", "%.*s has no depth: only a thread does",
               SP(r->order->kind));
    else
        read_number(r, body, "depth", 0, ORDER_DEPTH_MAX, &r->depth);
}

/* What becomes of media: their URLs in the records, or their files as well. */
static void read_media(struct reading *r, struct json body)
{
    static const char *const choices[] = {"urls", "download", NULL};
    struct json v;
    struct span text;
    if (!given(body, "media", &v))
        return;
    if (!json_text(v, &text)) {
        refuse(r, SPAN("/media"), "type", "must be \"urls\" or \"download\"");
        return;
    }
    r->files = span_is(text, "download");
    const char *near = text_nearest(text, choices);
    if (!r->files && !span_is(text, "urls") && near)
        refuse(r, SPAN("/media"), "unknown", "did you mean \"%s\"?", near);
    else if (!r->files && !span_is(text, "urls"))
        refuse(r, SPAN("/media"), "unknown", "known are: urls, download");
    else if (r->files && r->pack && !pack_has_media(r->pack))
        refuse(r, SPAN("/media"), "not_supported",
               "the site pack %.*s names no files that may be fetched; leave it out, or \"urls\"",
               (int)(r->order->site.n > 60 ? 60 : r->order->site.n), r->order->site.p);
}

static void read_evidence(struct reading *r, struct json body)
{
    struct json v;
    struct span name;
    enum evidence_keep keep;
    if (!given(body, "evidence", &v))
        return;
    if (json_text(v, &name) && evidence_keep_parse(name, &keep))
        r->evidence = evidence_keep_name(keep);
    else
        refuse(r, SPAN("/evidence"), "unknown", "must be never, on_failure or always");
}

static bool about_users(const struct reading *r)
{
    return r->order->users;
}

/* A list of texts; false when it is not given, or was refused. */
static bool read_list(struct reading *r, struct json body, const char *key, const char *example,
                      struct json *out)
{
    if (!given(body, key, out))
        return false;
    bool texts = json_is(*out, JSON_ARRAY) && json_count(*out) > 0;
    for (struct json_iter i = json_each(*out); texts && json_next(&i);)
        texts = json_is(i.value, JSON_TEXT);
    if (!texts)
        refuse(r, pointer_to(r, span_of(key)), "type", "must be a list of texts such as %s", example);
    return texts;
}

static struct span pointer_at(struct reading *r, const char *key, size_t index)
{
    return span_of(arena_fmt(r->arena, "/%s/%zu", key, index));
}

static unsigned read_kinds(struct reading *r, struct json body, const char *key, const char *what)
{
    struct json list;
    unsigned kinds = 0;
    if (!read_list(r, body, key, "[\"replies\", \"reposts\"]", &list))
        return 0;
    if (about_users(r))
        refuse(r, pointer_to(r, span_of(key)), "unknown", "%.*s has no posts to %s", SP(r->order->kind), what);
    size_t at = 0;
    for (struct json_iter i = json_each(list); json_next(&i); at++) {
        struct span name = SPAN_NONE;
        json_text(i.value, &name);
        const char *near = text_nearest(name, exclude_names);
        kinds |= exclude_bit(name);
        if (exclude_bit(name))
            continue;
        if (near)
            refuse(r, pointer_at(r, key, at), "unknown", "did you mean \"%s\"?", near);
        else
            refuse(r, pointer_at(r, key, at), "unknown", "known are: replies, reposts, quotes");
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
        refuse(r, SPAN("/include"), "conflict", "the same kind of posts is both included and excluded");
    else if (r->include && r->pack && r->order->kind.n && !about_users(r) &&
             pack_include(r->pack, r->order->kind, r->order->target, r->include, r->arena, &way, &f))
        refuse(r, SPAN("/include"), "unknown", "%s", f.words);
}

static void read_fields(struct reading *r, struct json body)
{
    struct json list;
    if (!read_list(r, body, "fields", "[\"id\", \"text\", \"counts.like\"]", &list))
        return;
    enum fields_of of = about_users(r) ? FIELDS_OF_USERS : FIELDS_OF_POSTS;
    size_t at = 0;
    for (struct json_iter i = json_each(list); json_next(&i); at++) {
        struct span name = SPAN_NONE;
        json_text(i.value, &name);
        const char *near = fields_near(of, name);
        if (!fields_known(of, name) && near)
            refuse(r, pointer_at(r, "fields", at), "unknown", "did you mean \"%s\"?", near);
        else if (!fields_known(of, name))
            refuse(r, pointer_at(r, "fields", at), "unknown",
                   "no record has this; names are dotted paths such as \"author.name\"");
        else if (!fields_add(&r->fields, name))
            refuse(r, SPAN("/fields"), "range", "at most %d fields", FIELDS_MAX);
    }
}

static void read_since_last(struct reading *r, struct json body)
{
    struct json v;
    if (!given(body, "since_last", &v))
        return;
    if (!json_bool(v, &r->since_last))
        refuse(r, SPAN("/since_last"), "type", "must be true or false");
    else if (r->since_last && about_users(r))
        refuse(r, SPAN("/since_last"), "unknown", "%.*s is no list of posts", SP(r->order->kind));
}

/* What else the mark of a target belongs to: every option but those that cut the list, or shape what
 * is delivered of it. An option that is not named here makes a list of its own: that loses nothing. */
static void write_variant(struct reading *r, struct json_parser *parser)
{
    static const char *const same_list[] = {"limit",    "since",    "until",    "since_last",
                                            "fields",   "strategy", "evidence", "media",
                                            "priority", NULL};
    struct buf text = BUF(8 * 1024), raw = BUF(8 * 1024);
    struct json_w w = json_w(&text);
    struct json spec = JSON_MISSING;
    (void)!json_parse(parser, r->order->spec, &spec, NULL);
    json_open(&w);
    for (struct json_iter i = json_each(spec); json_next(&i);) {
        bool same = false;
        for (size_t k = 0; same_list[k]; k++)
            same = same || span_is(i.key, same_list[k]);
        if (same)
            continue;
        buf_clear(&raw);
        json_add_raw(&raw, i.value);
        json_key_span(&w, i.key);
        json_put_raw(&w, buf_span(&raw));
    }
    json_close(&w);
    r->order->variant = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
    buf_free(&raw);
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
    if (r->fields.count) {
        json_key(w, "fields");
        json_open_array(w);
        for (size_t i = 0; i < r->fields.count; i++)
            json_put_text(w, r->fields.path[i]);
        json_close_array(w);
    }
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
    write_lists(r, &w);
    json_close(&w);
    r->order->spec = arena_keep(r->arena, buf_span(&text));
    buf_free(&text);
}

static bool refused(struct order_refusal *out, int status, const char *code, const char *detail)
{
    out->status = status;
    out->code = code;
    out->detail = span_of(detail);
    return false;
}

bool order_read(struct order *out, struct order_refusal *out_refusal,
                struct json_parser *parser, struct pack *const *packs, size_t pack_count,
                struct span body, struct arena *a)
{
    *out = (struct order){0};
    *out_refusal = (struct order_refusal){0};
    struct reading r = {.order = out,
                        .refusal = out_refusal,
                        .arena = a,
                        .packs = packs,
                        .pack_count = pack_count};
    struct fault f = {0};
    struct json root;
    if (json_parse(parser, body, &root, &f)) {
        char *words = arena_fmt(a, "the body is not JSON: %s", f.words);
        return refused(out_refusal, 400, "malformed_json", words);
    }
    if (!json_is(root, JSON_OBJECT))
        return refused(out_refusal, 400, "malformed_json", "the body must be a JSON object");
    if (refuse_unknown(&r, root))
        return refused(out_refusal, 400, "unknown_field",
                       "the body has members that are not known");
    if (refuse_twice(&r, root))
        return refused(out_refusal, 400, "duplicate_field",
                       "the body names a member more than once");

    int64_t prio = ORDER_PRIORITY;
    read_site(&r, root);
    read_kind(&r, root);
    read_target(&r, root);
    read_number(&r, root, "limit", 1, ORDER_LIMIT_MAX, &out->limit);
    read_number(&r, root, "priority", 0, 9, &prio);
    read_product(&r, root);
    read_strategy(&r, root);
    read_depth(&r, root);
    read_include(&r, root);
    read_fields(&r, root);
    read_since_last(&r, root);
    r.has_since = read_time(&r, root, "since", &r.since);
    r.has_until = read_time(&r, root, "until", &r.until);
    read_media(&r, root);
    read_evidence(&r, root);
    if (r.has_since && r.has_until && r.since.ms >= r.until.ms)
        refuse(&r, SPAN("/until"), "range", "must be later than since");
    if (out_refusal->error_count)
        return refused(out_refusal, 422, "validation_failed",
                       "values were refused, see errors");
    out->prio = (int)prio;
    unsigned share = pack_share(r.pack, out->kind, out->target);
    out->lane = span_of(share ? arena_fmt(a, "%.*s/normal-%u", SP(out->site), share)
                              : arena_fmt(a, "%.*s/normal", SP(out->site)));
    write_spec(&r);
    write_variant(&r, parser); /* the body is no longer there after it */
    out->mark = mark_of(&r);
    return true;
}
