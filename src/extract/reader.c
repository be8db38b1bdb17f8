#include "extract/answer.h"

#include "core/drift.h"
#include "extract/news.h"
#include "extract/format.h"
#include "extract/order.h"

#include <stdlib.h>

enum {
    READER_SCRATCH_BYTES = 8 * 1024 * 1024,
    READER_FOUND_BYTES = 16 * 1024 * 1024,
    READER_HEADERS_BYTES = 256 * 1024,
    READER_RECORDS_FIRST = 64,
    ORDER_BYTES = ENTRIES_MAX * sizeof(uint64_t), /* of keys: no answer has more */
    PROMOTED_ALONE = 5, /* advertisements stand between posts: so many without one are none */
};

/* ---- records ---- */

static bool grow(struct answer *a)
{
    if (a->out->count < a->room)
        return true;
    size_t room = a->room ? a->room * 2 : READER_RECORDS_FIRST;
    struct record *records = arena_try(a->arena, room * sizeof *records);
    uint64_t *keys = arena_try(a->arena, room * sizeof *keys);
    if (!records || !keys) {
        a->failed = fail(a->fault, E_NO_MEMORY, "no memory for the records of this page");
        return false;
    }
    if (a->out->count) {
        memcpy(records, a->out->records, a->out->count * sizeof *records);
        memcpy(keys, a->keys, a->out->count * sizeof *keys);
    }
    a->out->records = records;
    a->keys = keys;
    a->room = room;
    return true;
}

/* A post and somebody's repost of it are two where the repost's own id is not known. */
static bool known(const struct answer *a, uint64_t key, const struct record *rec)
{
    for (size_t i = 0; i < a->out->count; i++) {
        const struct record *r = &a->out->records[i];
        if (a->keys[i] == key && r->kind == rec->kind && r->repost == rec->repost &&
            span_eq(r->id, rec->id))
            return true;
    }
    return false;
}

struct span answer_keep(struct answer *a, struct span s)
{
    struct span kept = arena_keep(a->arena, s);
    if (!kept.p && !a->failed)
        a->failed = fail(a->fault, E_NO_MEMORY, "no memory for the records of this page");
    return kept;
}

void answer_cursor(struct answer *a, struct span cursor)
{
    if (cursor.n > READER_CURSOR_MAX) {
        a->out->sign = FAILURE_DRIFT;
        a->out->why = SPAN("the cursor of the list is longer than any we know");
        return;
    }
    a->out->cursor = answer_keep(a, cursor);
}

static bool add_record(struct answer *a, struct record rec)
{
    uint64_t key = span_hash(rec.id, (uint64_t)rec.kind);
    if (rec.id.n && known(a, key, &rec)) {
        a->out->repeated++;
        return false;
    }
    if (!grow(a))
        return false;
    rec.id = answer_keep(a, rec.id);
    rec.author_id = answer_keep(a, rec.author_id);
    rec.reply_to = answer_keep(a, rec.reply_to);
    rec.place = answer_keep(a, rec.place);
    rec.passed_on = answer_keep(a, rec.passed_on);
    rec.json = answer_keep(a, rec.json);
    if (a->failed)
        return false;
    a->keys[a->out->count] = key;
    a->out->records[a->out->count++] = rec;
    return true;
}

static struct span section_name(enum record_section s)
{
    switch (s) {
    case SECTION_TIMELINE:
        return SPAN("timeline");
    case SECTION_PINNED:
        return SPAN("pinned");
    case SECTION_REPLY:
        return SPAN("reply");
    case SECTION_RELATED:
        return SPAN("related");
    case SECTION_MAIN:
        return SPAN("main");
    case SECTION_THREAD:
        return SPAN("thread");
    }
    return SPAN("timeline");
}

/* ---- what is not there ---- */

void answer_unavailable(struct answer *a, struct span id, struct span state, struct span words,
                        struct span where)
{
    struct reader *r = a->r;
    buf_clear(&r->text);
    struct json_w w = json_w(&r->text);
    json_open(&w);
    json_kv_cstr(&w, "schema", "xunavailable/1");
    json_kv_text(&w, "id", id.n ? id : SPAN_NONE);
    json_kv_text(&w, "state", state);
    json_kv_text(&w, "reason_text", words);
    json_kv_text(&w, "where", where);
    json_key(&w, "provenance");
    json_open(&w);
    json_kv_text(&w, "source", a->as);
    json_kv_text(&w, "op", a->op->name);
    json_kv_cstr(&w, "collected_at", a->collected);
    json_close(&w);
    json_close(&w);
    a->out->unavailable++;
    add_record(a, (struct record){.kind = RECORD_UNAVAILABLE,
                                  .id = id,
                                  .place = a->place,
                                  .json = buf_span(&r->text)});
}

/* Is this entry that of the post that the thread is about? Where the post itself is not there, only
 * the name of its entry tells. */
static bool is_focus(const struct answer *a, const struct seen *s)
{
    struct span focus = a->r->focus;
    return focus.n && s->section == SECTION_TIMELINE && s->entry.n > focus.n &&
           span_ends(s->entry, focus) && s->entry.p[s->entry.n - focus.n - 1] == '-';
}

/* Instead of the record that the answer is about: what that means for the job. */
static void sign_absence(struct answer *a, struct span state, struct span words)
{
    struct sign sign = signs_of_state(&a->r->pack->signs, state);
    a->out->sign = sign.is;
    a->out->why = sign.why.p ? sign.why : answer_keep(a, words);
    a->out->state = sign.state;
}

static struct span where_of(const struct seen *s)
{
    return s->section == SECTION_REPLY ? SPAN("reply") : SPAN("top");
}

/* True when an object of the "unavailable" kinds stands there; it is then noted. */
static bool absent(struct answer *a, const struct seen *s)
{
    const struct signs *signs = &a->r->pack->signs;
    struct absent what;
    if (!signs_absence(signs, s->object, &what))
        return false;
    answer_unavailable(a, answer_keep(a, what.id), what.state, what.words, where_of(s));
    if (s->section != SECTION_MAIN && !is_focus(a, s))
        return true;
    sign_absence(a, what.state, what.words);
    if (s->what == SEEN_USER && a->out->sign == FAILURE_SUSPENDED)
        a->out->user_suspended = true;
    return true;
}

/* ---- posts and users ---- */

static struct map_run run_of(struct answer *a, struct json_w *w, enum record_section section)
{
    return (struct map_run){
        .w = w,
        .scratch = a->r->scratch,
        .hits = a->r->hits,
        .base_url = a->r->pack->base_url,
        .op = a->op->name,
        .collected_at = span_of(a->collected),
        .doc = a->doc,
        .page_url = a->r->page_url,
        .section = section_name(section),
        .pinned = section == SECTION_PINNED,
        .page = a->op->role == OP_TIMELINE ? a->r->page : -1,
        .index = a->out->entries ? (int64_t)a->out->entries - 1 : -1,
        .failed = CHECK_COUNT,
    };
}

static struct span text_of(struct map_run *run, const struct field *f, const struct frame *fr)
{
    if (!f)
        return SPAN_NONE;
    struct field quiet = *f;
    quiet.counter = -1;
    struct value v = map_value(run, &quiet, fr);
    return v.kind == VALUE_TEXT ? v.text : SPAN_NONE;
}

static int64_t number_of(struct map_run *run, const struct field *f, const struct frame *fr)
{
    if (!f)
        return -1;
    struct field quiet = *f;
    quiet.counter = -1;
    struct value v = map_value(run, &quiet, fr);
    return v.kind == VALUE_INT ? v.number : -1;
}

static bool fact_of(struct map_run *run, const struct field *f, const struct frame *fr)
{
    struct field quiet;
    if (!f)
        return false;
    quiet = *f;
    quiet.counter = -1;
    struct value v = map_value(run, &quiet, fr);
    return v.kind == VALUE_BOOL && v.number != 0;
}

static void note_facts(struct answer *a, struct map_run *run, const struct frame *fr)
{
    const struct map *m = fr->map;
    a->out->user_id = answer_keep(a, text_of(run, m->id, fr));
    a->out->user_protected = fact_of(run, m->fact_protected, fr);
    a->out->user_suspended = fact_of(run, m->fact_suspended, fr);
    a->out->user_posts = number_of(run, m->fact_posts, fr);
    a->out->user_media = number_of(run, m->fact_media, fr);
    a->out->user_followers = number_of(run, m->fact_followers, fr);
    a->out->user_following = number_of(run, m->fact_following, fr);
    struct span state = map_state(fr);
    if (state.p) {
        struct sign sign = signs_of_state(&a->r->pack->signs, state);
        a->out->user_shut = sign.is;
        a->out->user_shut_why = sign.why;
    }
}

static bool load(struct map_run *run, const struct map *m, const struct record_place *at,
                 struct frame *out)
{
    return at->node.at ? map_load_node(run, m, at->node, out) : map_load(m, at->object, out);
}

/* A user of a source that names no ids is known by the handle. */
static struct span id_of(struct map_run *run, const struct frame *fr)
{
    struct span id = text_of(run, fr->map->id, fr);
    struct span handle = id.n ? SPAN_NONE : text_of(run, fr->map->handle, fr);
    if (!handle.n)
        return id;
    char *text =
        arena_fmt(run->scratch, "@%.*s", (int)(handle.n > 64 ? 64 : handle.n), handle.p);
    return span_of(text);
}

/* ---- what only the list knows ---- */

/* What the order of the list goes by; false where the record has none. */
static bool order_key(const struct answer *a, const struct record_place *at,
                      const struct record *rec, uint64_t *out)
{
    int64_t key = rec->created_at.ms;
    if (a->op->order == ORDER_ENTRIES && !span_int(at->sort, &key))
        return false;
    if (a->op->order == ORDER_IDS && !span_int(rec->id, &key))
        return false;
    *out = (uint64_t)key;
    return key > 0;
}

/* Posts in a module stand where their thread does, pinned ones where they were put. A time is that of whoever
 * wrote it: no more than a remark. */
static void check_order(struct answer *a, struct map_run *run, const struct record *rec,
                        const struct record_place *at)
{
    bool times = a->op->order == ORDER_TIMES;
    uint64_t key;
    if (a->op->order == ORDER_NONE || a->r->unordered || !(at->alone || at->in_order) ||
        rec->section != SECTION_TIMELINE)
        return;
    /* Where a repost has no time of its own it has that of its original. */
    if ((times && rec->repost) || !order_key(a, at, rec, &key))
        return;
    bool fine = a->outcasts ? !a->outcasts[a->ordered] : !a->ordered || key <= a->last_key;
    check_note(&run->checks, times ? CHECK_TIMES : CHECK_ORDER, fine ? CHECK_OK : CHECK_FAIL);
    a->out->disorder += !fine;
    a->last_key = key;
    a->ordered++;
    if (!a->outcasts)
        buf_add(&a->r->order_keys, (struct span){(const char *)&key, sizeof key});
}

static void check_author(struct answer *a, struct map_run *run, const struct record *rec,
                         const struct record_place *at)
{
    struct span id = a->r->expected_author, handle = a->r->expected_handle;
    bool listed = rec->section == SECTION_TIMELINE || rec->section == SECTION_PINNED, owns;
    if (!rec->author_id.n || rec->repost || rec->section == SECTION_RELATED)
        return;
    if (id.n && at->alone)
        owns = span_eq(rec->author_id, id);
    else if (handle.n && listed)
        owns = span_eq_nocase(rec->author_id, handle);
    else
        return;
    check_note(&run->checks, CHECK_AUTHOR, owns ? CHECK_OK : CHECK_FAIL);
}

/* ---- posts and users, written ---- */

static struct record facts_of(struct map_run *run, const struct frame *frame, struct record rec)
{
    const struct map *m = frame->map;
    struct span when = text_of(run, m->created_at, frame);
    rec.id = id_of(run, frame);
    rec.author_id = text_of(run, m->author, frame);
    rec.reply_to = text_of(run, m->reply_to, frame);
    if (when.n && !when_parse(when, &rec.created_at))
        rec.created_at = (wall){0};
    rec.passed_on = text_of(run, m->repost, frame);
    rec.repost = frame->is_repost || rec.passed_on.n > 0;
    return rec;
}

/* The frame is loaded and complete: writes it and adds the record. */
static bool write_record(struct answer *a, struct map_run *run, const struct frame *frame,
                         struct record rec, const struct record_place *at)
{
    struct reader *r = a->r;
    rec = facts_of(run, frame, rec);
    if (!rec.id.n) { /* a name that is there and empty names nothing */
        a->out->unparsed++;
        return false;
    }
    if (rec.kind == RECORD_POST) {
        check_order(a, run, &rec, at);
        check_author(a, run, &rec, at);
    }
    map_write(run, frame);
    a->out->fallbacks += run->fallbacks;
    if (r->text.failed) {
        a->out->unparsed++;
        return false;
    }
    rec.json = buf_span(&r->text);
    if (run->failed != CHECK_COUNT) {
        a->out->rejected++;
        rec.json = answer_rejected(a, run, rec, at);
        rec.kind = RECORD_REJECTED;
        if (rec.json.p)
            add_record(a, rec);
        return false;
    }
    if (!add_record(a, rec))
        return false;
    a->out->posts += rec.kind == RECORD_POST;
    a->out->users += rec.kind == RECORD_USER;
    return true;
}

static void tally(struct answer *a, enum envelope_tally what, unsigned by)
{
    int counter = a->r->pack->envelope.tally[what];
    if (counter >= 0 && a->enveloped)
        a->r->hits[counter].hits[by]++;
}

/* In a thread a plain post is the one it is about, or stands above it, or answers it. */
static enum record_section section_around(struct answer *a, struct map_run *run,
                                          const struct frame *fr, enum record_section section)
{
    if (!a->r->focus.n || section != SECTION_TIMELINE || fr->map != a->post)
        return section;
    struct span conversation = text_of(run, fr->map->conversation, fr);
    if (span_eq(id_of(run, fr), a->r->focus)) {
        a->focus_seen = true;
        span_copy(conversation, a->r->conversation, sizeof a->r->conversation);
        return SECTION_MAIN;
    }
    if (!a->focus_seen && !a->had_focus)
        return SECTION_THREAD;
    return SECTION_REPLY;
}

/* Below the post of a thread only its own conversation counts: the rest is "discover more", however its box
 * is called. */
static enum record_section section_by_conversation(struct answer *a, struct map_run *run,
                                                   const struct frame *fr,
                                                   enum record_section section)
{
    struct span own = span_of(a->r->conversation);
    struct span conversation = text_of(run, fr->map->conversation, fr);
    if (section != SECTION_REPLY || !own.n || !conversation.n || span_eq(own, conversation))
        return section;
    tally(a, TALLY_RELATED, 1);
    return SECTION_RELATED;
}

bool answer_record(struct answer *a, const struct map *m, enum record_kind kind,
                   const struct record_place *at)
{
    struct reader *r = a->r;
    struct frame frame;
    struct json_w w = json_w(&r->text);
    struct map_run run = run_of(a, &w, at->section);
    struct record rec = {
        .kind = kind, .section = at->section, .pinned = at->section == SECTION_PINNED};
    run.kind = kind == RECORD_USER ? 'u' : 'p';
    arena_reset(r->scratch);
    buf_clear(&r->text);
    bool loaded = load(&run, m, at, &frame);
    bool complete = loaded && map_complete(&run, &frame);
    run.news = r->news;
    if (loaded)
        map_look(&run, &frame);
    if (!complete) {
        if (loaded)
            map_count_missing(&run, &frame);
        a->out->unparsed++;
        return false;
    }
    rec.section = section_around(a, &run, &frame, at->section);
    rec.section = section_by_conversation(a, &run, &frame, rec.section);
    run.section = section_name(rec.section);
    if (!write_record(a, &run, &frame, rec, at))
        return false;
    bool account = kind == RECORD_USER && (a->op->role == OP_USER || at->is_account);
    if (account && a->out->user_id.n == 0)
        note_facts(a, &run, &frame);
    return true;
}

static void on_object(struct answer *a, const struct map *m, enum record_kind kind,
                      const struct seen *s)
{
    const struct record_place at = {.object = s->object,
                                    .section = s->section,
                                    .sort = s->sort,
                                    .alone = s->alone,
                                    .in_order = s->in_order};
    if (m)
        answer_record(a, m, kind, &at);
}

static void on_tombstone(struct answer *a, const struct seen *s)
{
    struct span state = signs_text_state(&a->r->pack->signs, s->text);
    a->out->entries++;
    answer_unavailable(a, SPAN_NONE, state, s->text, where_of(s));
    if (is_focus(a, s))
        sign_absence(a, state, s->text);
}

/* Beside the cursor of the list: what the page shows folded. */
static void on_more(struct answer *a, struct span cursor)
{
    struct reading *o = a->out;
    if (cursor.n > READER_CURSOR_MAX) {
        answer_cursor(a, cursor);
        return;
    }
    if (o->more_count == a->more_room) {
        size_t room = a->more_room ? a->more_room * 2 : 16;
        struct span *list = arena_try(a->arena, room * sizeof *list);
        if (!list) {
            a->failed = fail(a->fault, E_NO_MEMORY, "no memory for the cursors of this page");
            return;
        }
        if (o->more_count)
            memcpy(list, a->more, o->more_count * sizeof *list);
        o->more = a->more = list;
        a->more_room = room;
    }
    a->more[o->more_count++] = answer_keep(a, cursor);
}

static void on_post(struct answer *a, const struct seen *s)
{
    a->out->entries++;
    if (s->holder_empty) {
        answer_unavailable(a, SPAN_NONE, SPAN("unknown"), SPAN_NONE, where_of(s));
        if (is_focus(a, s))
            sign_absence(a, SPAN("not_found"), SPAN_NONE);
    } else if (!s->object.doc)
        a->out->unparsed++;
    else if (!absent(a, s))
        on_object(a, a->post, RECORD_POST, s);
}

static void on_user(struct answer *a, const struct seen *s)
{
    a->out->entries += a->op->role == OP_TIMELINE;
    if (s->holder_empty)
        answer_unavailable(a, SPAN_NONE, SPAN("unknown"), SPAN_NONE, SPAN("top"));
    else if (!s->object.doc)
        a->out->unparsed++;
    else if (!absent(a, s))
        on_object(a, a->user, RECORD_USER, s);
}

/* Beside the list of instructions: what no map knows, and what was not read for it. */
static void on_strange(struct answer *a, const struct seen *s)
{
    news_note(a->r->news, SPAN("timeline"), s->text);
    if (s->what != SEEN_UNREAD)
        return;
    a->out->entries++;
    a->out->unparsed++;
}

static void tally_post(struct answer *a, const struct seen *s)
{
    tally(a, TALLY_POST, s->by);
    if (s->section == SECTION_PINNED)
        tally(a, TALLY_PINNED, s->pinned_by);
    if (s->section == SECTION_RELATED)
        tally(a, TALLY_RELATED, 0);
}

bool answer_on_seen(void *ctx, const struct seen *s)
{
    struct answer *a = ctx;
    a->place = s->entry;
    switch (s->what) {
    case SEEN_LIST:
        a->enveloped = true;
        tally(a, TALLY_PLACE, s->by);
        break;
    case SEEN_BOX:
        tally(a, TALLY_BOX, s->by);
        break;
    case SEEN_UNREAD:
    case SEEN_STRANGE:
        on_strange(a, s);
        break;
    case SEEN_POST:
        tally_post(a, s);
        on_post(a, s);
        break;
    case SEEN_USER:
        on_user(a, s);
        break;
    case SEEN_PROMOTED:
        tally(a, TALLY_PROMOTED, s->by);
        a->out->entries++;
        a->out->promoted++;
        break;
    case SEEN_TOMBSTONE:
        on_tombstone(a, s);
        break;
    case SEEN_MORE:
        on_more(a, s->text);
        break;
    case SEEN_CURSOR:
        tally(a, TALLY_CURSOR, s->by);
        answer_cursor(a, s->text);
        break;
    case SEEN_END:
        a->out->terminated = true;
        break;
    }
    return !a->failed;
}

/* ---- the answer as a whole ---- */

void answer_sign(struct answer *a, enum failure_class is, struct span why)
{
    a->out->sign = is;
    a->out->why = why;
}

void answer_sign_all(struct answer *a, struct sign sign)
{
    a->out->sign = sign.is;
    a->out->why = sign.why;
    a->out->state = sign.state;
    a->out->says_empty = sign.says == SAYS_EMPTY;
    a->out->loading = sign.says == SAYS_WAIT;
    a->out->renews = sign.says == SAYS_RENEW;
    a->out->terminated = a->out->terminated || sign.says == SAYS_END;
}

/* Nothing is waited for longer: then the site is asked again, and a number in another unit cannot
 * stop a job for ever. */
enum { WAIT_MAX_S = 86400 };

static bool time_in(struct span text, int64_t *out_s)
{
    wall at = {0};
    if (!when_parse(text, &at) && !format_time(SPAN("%a, %d %b %Y %H:%M:%S %z"), text, &at))
        return false;
    *out_s = at.ms / 1000;
    return true;
}

/* Sites say it as Unix seconds, as seconds from now, or as a time. 0: not said. */
static int64_t reset_of(struct span text, int64_t now_s)
{
    int64_t n = 0;
    if (span_int(text, &n))
        n = n > 0 && n <= WAIT_MAX_S ? now_s + n : n;
    else if (!time_in(text, &n))
        return 0;
    return n <= 0 ? 0 : n < now_s + WAIT_MAX_S ? n : now_s + WAIT_MAX_S;
}

/* Retry-After: seconds from now, also 0, or an HTTP date. */
static int64_t retry_of(struct span text, int64_t now_s)
{
    int64_t n = 0;
    if (!span_int(text, &n))
        return reset_of(text, now_s);
    return n < 0 ? 0 : now_s + (n < WAIT_MAX_S ? n : WAIT_MAX_S);
}

void answer_headers(struct answer *a, struct span headers_json, struct json *out_headers,
                    wall collected_at)
{
    const struct signs *s = &a->r->pack->signs;
    int64_t n = 0, now_s = collected_at.ms / 1000;
    struct json headers = JSON_MISSING;
    if (headers_json.n &&
        json_parse(a->r->header_parser, headers_json, &headers, &(struct fault){0}) != E_OK)
        headers = JSON_MISSING;
    if (span_int(signs_header(headers, s->header_remaining), &n) && n >= 0)
        a->out->remaining = n;
    a->out->reset_at_s = reset_of(signs_header(headers, s->header_reset), now_s);
    if (!a->out->reset_at_s)
        a->out->reset_at_s = retry_of(signs_header(headers, s->header_retry_after), now_s);
    *out_headers = headers;
}

static void read_user_answer(struct answer *a, struct json root)
{
    const struct envelope *e = &a->r->pack->envelope;
    size_t told =
        envelope_roots(e->user_roots, e->user_root_count, root, SEEN_USER, answer_on_seen, a);
    struct reading *o = a->out;
    if (a->failed || o->users || o->unavailable)
        return;
    if (told)
        answer_sign(a, FAILURE_DRIFT, SPAN("the account could not be read"));
    else if (json_is(paths_get(&e->data, root), JSON_OBJECT))
        answer_sign(a, FAILURE_NOT_FOUND, SPAN("there is no such account"));
    else
        answer_sign(a, FAILURE_DRIFT, SPAN("the answer has no data in a shape we know"));
}

/* No list of instructions: a single post, a list of users, the word that the account is gone,
 * or a timeline that is an empty object. Returns false when it is none of these. */
static bool read_without_timeline(struct answer *a, struct json root)
{
    const struct envelope *e = &a->r->pack->envelope;
    struct span cursor;
    if (envelope_roots(e->post_roots, e->post_root_count, root, SEEN_POST, answer_on_seen, a))
        return true;
    for (size_t i = 0; i < e->missing.count; i++) {
        struct json v = json_path(root, e->missing.path[i]);
        if (json_is(v, JSON_OBJECT) && json_count(v) == 0) {
            answer_sign(a, FAILURE_NOT_FOUND, SPAN("the site knows no such thing"));
            return true;
        }
    }
    for (size_t i = 0; i < e->empty.count; i++) {
        struct json v = json_path(root, e->empty.path[i]);
        if (json_is(v, JSON_OBJECT) && json_count(v) == 0)
            return true;
    }
    if (!envelope_roots(e->user_roots, e->user_root_count, root, SEEN_USER, answer_on_seen, a))
        return false;
    if (json_text(paths_get(&e->root_cursor, root), &cursor))
        answer_cursor(a, cursor);
    return a->out->users > 0 || a->out->unavailable > 0;
}

static void read_timeline_answer(struct answer *a, struct json root)
{
    const struct envelope *e = &a->r->pack->envelope;
    struct reading *o = a->out;
    bool found = envelope_walk(e, root, answer_on_seen, a) || read_without_timeline(a, root);
    size_t had_to_be = o->entries - o->promoted;
    if (a->failed || o->sign != FAILURE_NONE)
        return;
    if (a->enveloped && o->entries && !o->cursor.n && !o->terminated &&
        e->tally[TALLY_CURSOR] >= 0)
        a->r->hits[e->tally[TALLY_CURSOR]].missing++;
    if (!found)
        answer_sign(a, FAILURE_DRIFT, SPAN("the answer holds no timeline in a shape we know"));
    else if (had_to_be > 0 && o->posts == 0 && o->users == 0 && o->unavailable == 0 &&
             o->repeated == 0)
        answer_sign(a, FAILURE_DRIFT,
                    o->rejected ? SPAN("every post on the page failed its integrity checks")
                                : SPAN("the page has posts, but none could be read"));
    else if (had_to_be == 0 && o->promoted >= PROMOTED_ALONE)
        answer_sign(a, FAILURE_DRIFT,
                    SPAN("everything on the page looks like an advertisement"));
}

/* Data and errors may come together: data that is there is kept, and the errors are only words.
 */
static void weigh_errors(struct answer *a, struct sign errors)
{
    struct reading *o = a->out;
    if (errors.is == FAILURE_NONE)
        return;
    struct span why = answer_keep(a, errors.why);
    if (o->posts || o->users) {
        o->why = why;
        return;
    }
    if (o->sign == FAILURE_NONE || o->sign == FAILURE_DRIFT || o->sign == FAILURE_NOT_FOUND)
        answer_sign_all(a, (struct sign){.is = errors.is, .why = why, .says = errors.says});
}

bool answer_fine_status(int status)
{
    return status == 0 || (status >= 200 && status < 300);
}

static void read_body(struct answer *a, int status, struct json headers, struct span body)
{
    struct json root;
    const struct signs *s = &a->r->pack->signs;
    struct fault ignored = {0};
    bool parsed = body.n && json_parse(a->r->body_parser, body, &root, &ignored) == E_OK &&
                  json_is(root, JSON_OBJECT);
    struct sign errors = {.is = FAILURE_NONE};
    if (parsed)
        errors = signs_errors(s, root, a->out->remaining);
    if (parsed && answer_fine_status(status)) {
        if (a->op->role == OP_USER)
            read_user_answer(a, root);
        else
            read_timeline_answer(a, root);
        weigh_errors(a, errors);
        return;
    }
    if (errors.is != FAILURE_NONE) {
        errors.why = answer_keep(a, errors.why);
        answer_sign_all(a, errors);
        return;
    }
    struct sign sign = signs_answer(s, status, headers, body);
    answer_sign(a, sign.is != FAILURE_NONE ? sign.is : FAILURE_DRIFT,
                sign.why.p ? sign.why : SPAN("the answer is not in a shape we know"));
}

/* Read once more where something stood in the wrong place: which one it is shows when all are known. What was
 * counted was counted the first time. */
static void read_in_order(struct answer *a, int status, struct json headers, struct span body)
{
    struct reader *r = a->r;
    struct answer start = *a;
    struct reading blank = *a->out;
    buf_clear(&r->order_keys);
    read_body(a, status, headers, body);
    if (a->failed || !a->out->disorder || a->op->order == ORDER_TIMES)
        return;
    size_t n = a->ordered, rows = (r->pack->counters.count + 1) * sizeof *r->hits;
    uint64_t *keys = heap_get((n + 1) * sizeof *keys);
    bool *outcasts = heap_get(n + 1);
    struct field_hits *hits = r->hits, *spare_hits = heap_get(rows);
    struct news *news = r->news, *spare_news = heap_new_of(struct news);
    memcpy(keys, r->order_keys.p, n * sizeof *keys);
    memcpy(spare_hits, hits, rows);
    *spare_news = *news;
    order_outcasts(keys, n, outcasts);
    *a->out = blank;
    *a = start;
    a->outcasts = outcasts;
    r->hits = spare_hits;
    r->news = spare_news;
    read_body(a, status, headers, body);
    r->hits = hits;
    r->news = news;
    free(keys);
    free(outcasts);
    free(spare_hits);
    free(spare_news);
}

err reader_answer(struct reader *r, const struct operation *op, int http_status,
                  struct span headers_json, struct span body, wall collected_at,
                  struct arena *arena, struct reading *out, struct fault *f)
{
    if (body.n > r->max_body)
        return fail(f, E_TOO_BIG, "answer of %.*s has %zu bytes; the limit is %zu",
                    SP(op->name), body.n, r->max_body);
    struct reading fresh = {.remaining = -1,
                            .user_posts = -1,
                            .user_media = -1,
                            .user_followers = -1,
                            .user_following = -1};
    struct answer a = {.r = r, .op = op, .arena = arena, .out = &fresh, .fault = f};
    struct json headers;
    a.had_focus = r->focus_seen;
    a.post = r->pack->post;
    a.user = r->pack->user;
    a.as = SPAN("graphql");
    when_text(collected_at, a.collected);
    answer_headers(&a, headers_json, &headers, collected_at);
    r->page += op->role == OP_TIMELINE;
    read_in_order(&a, http_status, headers, body);
    if (a.failed)
        return a.failed;
    r->focus_seen |= a.focus_seen;
    *out = fresh;
    return E_OK;
}

void reader_focus(struct reader *r, struct span post_id)
{
    r->focus = post_id;
    r->focus_seen = false;
    r->conversation[0] = '\0';
}

struct page_sign reader_page_sign(const struct pack *p, struct span page_url, int http_status,
                                  struct span state_text)
{
    struct sign s = signs_page(&p->signs, page_url, http_status, state_text);
    return (struct page_sign){.is = s.is,
                              .why = s.is ? s.why : SPAN_NONE,
                              .state = s.state,
                              .says_empty = s.says == SAYS_EMPTY,
                              .loading = s.says == SAYS_WAIT};
}

/* ---- life ---- */

struct reader *reader_new(const struct pack *p, size_t max_body)
{
    struct reader *r = heap_new_of(struct reader);
    r->pack = p;
    r->max_body = max_body;
    r->body_parser = json_parser_new(max_body);
    r->header_parser = json_parser_new(READER_HEADERS_BYTES);
    r->scratch = arena_new(READER_SCRATCH_BYTES);
    r->found = arena_new(READER_FOUND_BYTES);
    r->text = BUF(MAP_RECORD_BYTES);
    r->order_keys = BUF(ORDER_BYTES);
    r->hits = heap_get((p->counters.count + 1) * sizeof *r->hits);
    r->told = heap_get((p->counters.count + 1) * sizeof *r->told);
    r->news = heap_new_of(struct news);
    reader_forget(r);
    return r;
}

void reader_free(struct reader **r)
{
    if (!*r)
        return;
    json_parser_free(&(*r)->body_parser);
    json_parser_free(&(*r)->header_parser);
    arena_free(&(*r)->scratch);
    arena_free(&(*r)->found);
    buf_free(&(*r)->text);
    buf_free(&(*r)->order_keys);
    free((*r)->hits);
    free((*r)->told);
    free((*r)->news);
    free(*r);
    *r = NULL;
}

size_t reader_fields(const struct reader *r, const struct field_hits **out_fields)
{
    *out_fields = r->hits;
    return r->pack->counters.count;
}

void reader_expect_author(struct reader *r, struct span id)
{
    span_copy(id, r->author_room, sizeof r->author_room);
    r->expected_author = span_of(r->author_room);
}

void reader_expect_handle(struct reader *r, struct span handle)
{
    r->expected_handle = handle;
}

void reader_expect_order(struct reader *r, bool expected)
{
    r->unordered = !expected;
}

void reader_forget(struct reader *r)
{
    r->unordered = false;
    r->page = 0;
    r->expected_author = r->expected_handle = SPAN_NONE;
    *r->news = (struct news){0};
    for (size_t i = 0; i < r->pack->counters.count; i++)
        r->hits[i] = r->told[i] = r->pack->counters.row[i];
}

/* One field, as far as it was counted since the last time. */
static bool count_of(const struct field_hits *now, const struct field_hits *told,
                     struct drift_line *out)
{
    bool any = now->missing != told->missing;
    out->missing = (int64_t)(now->missing - told->missing);
    out->paths = now->paths < DRIFT_PATHS ? now->paths : DRIFT_PATHS;
    for (size_t i = 0; i < out->paths; i++) {
        out->hits[i] = (int64_t)(now->hits[i] - told->hits[i]);
        any = any || out->hits[i];
    }
    return any;
}

void reader_counts(struct reader *r, struct buf *out)
{
    size_t start = out->n;
    drift_add_version(out, r->pack->version);
    size_t head = out->n;
    for (size_t i = 0; i < r->pack->counters.count; i++) {
        struct drift_line line = {.map = r->hits[i].map, .name = r->hits[i].field};
        if (count_of(&r->hits[i], &r->told[i], &line))
            drift_add_line(out, &line);
        r->told[i] = r->hits[i];
    }
    for (size_t i = 0; i < r->news->count; i++) {
        uint64_t n = r->news->row[i].count - r->news->row[i].told;
        struct drift_line line = {.news = true, .name = span_of(r->news->row[i].name)};
        line.hits[0] = (int64_t)n;
        line.paths = 1;
        if (n)
            drift_add_line(out, &line);
        r->news->row[i].told = r->news->row[i].count;
    }
    if (out->n == head)
        out->n = start;
}
