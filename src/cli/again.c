/* again.c - the verb replay: a job's evidence through today's pack, and what that would change.
 *
 * Reading happens here, with the pack as it lies in the folder, so that a mended one is tried before any
 * service loads it. The service stays the only writer: --apply sends it the records, and it takes them
 * only for a dead job that has not changed since it was looked at. */
#include "cli/evidence.h"
#include "cli/replay.h"

#include "base/id.h"
#include "core/job.h"
#include "store/store.h"
#include "worker/replay.h"

#include <stdio.h>

enum {
    ARENA_MAX = 1024 * 1024 * 1024,
    ANSWER_BYTES = 16 * 1024 * 1024,
    RECORDS_BYTES = 512 * 1024 * 1024,
    PART_BYTES = 512 * 1024, /* of one repair; the API takes 1 MiB */
    JOBS_MAX = 10000,
    ORD_PER_BATCH = 100000, /* positions of the store */
    SHOWN_BYTES = 100,
};

struct had {         /* what the job has, or would have */
    struct span key; /* kind and id */
    struct span json;
    bool covered; /* it came from an answer that is in the evidence */
    bool again;   /* the replay has it too */
};

struct job { /* as the service shows it */
    char id[ID_TEXT];
    struct span site, kind, target, spec, state;
    enum failure_class failure;
    int64_t limit, have, revision;
};

struct rerun { /* one job, read again */
    struct cli *c;
    struct service *s;
    struct arena *arena;
    struct json_parser *parser;
    struct job job;
    struct pieces pieces;
    size_t at; /* next piece */
    struct buf body;
    struct had *known; /* hash table */
    size_t known_size, known_count;
    int64_t outside; /* posts that are not covered */
    struct store_item *now;
    size_t now_count, now_size;
    int64_t gained, lost, changed;
    bool quiet; /* no line for each difference */
    struct replay_result result;
    bool repairs, applied;
};

/* ---- the job ---- */

static struct span keep_raw(struct arena *a, struct json v)
{
    struct buf b = BUF(128 * 1024);
    json_add_raw(&b, v);
    struct span kept = arena_keep(a, buf_span(&b));
    buf_free(&b);
    return kept;
}

static struct span keep_text(struct arena *a, struct json v, const char *path)
{
    struct span text = SPAN_NONE;
    (void)json_text(json_path(v, path), &text);
    return arena_keep(a, text);
}

static void read_job(struct rerun *r, struct json v, struct job *out)
{
    struct span class = SPAN_NONE, id = SPAN_NONE;
    *out = (struct job){.site = keep_text(r->arena, v, "site"),
                        .kind = keep_text(r->arena, v, "kind"),
                        .target = keep_text(r->arena, v, "target"),
                        .state = keep_text(r->arena, v, "state"),
                        .spec = keep_raw(r->arena, json_get(v, SPAN("options")))};
    (void)json_text(json_get(v, SPAN("id")), &id);
    span_copy(id, out->id, sizeof out->id);
    if (json_text(json_path(v, "failure.class"), &class))
        (void)failure_parse(class, &out->failure);
    (void)json_int(json_get(v, SPAN("limit")), &out->limit);
    (void)json_int(json_get(v, SPAN("revision")), &out->revision);
    (void)json_int(json_path(v, "counts.posts"), &out->have);
}

static int not_ours(void)
{
    cli_say("the answer cannot be read; is this a Fulmar service?");
    return EXIT_PROTOCOL;
}

/* Of the job as the service tells it; the answer is freed. */
static int keep_job(struct rerun *r, struct client_answer *answer)
{
    struct json v;
    int code = 0;
    if (json_parse(r->parser, buf_span(&answer->body), &v, NULL))
        code = not_ours();
    else
        read_job(r, v, &r->job);
    buf_free(&answer->body);
    return code;
}

static int ask_job(struct rerun *r, const char *id)
{
    char path[100];
    struct client_answer answer;
    snprintf(path, sizeof path, "/v1/jobs/%s", id);
    int code = evidence_ask(r->s, "GET", path, SPAN_NONE, &answer);
    if (code)
        return code;
    return keep_job(r, &answer);
}

/* ---- records that the job has ---- */

static struct had *place_of(struct rerun *r, struct span key)
{
    size_t at = (size_t)span_hash(key, 0) & (r->known_size - 1);
    while (r->known[at].key.p && !span_eq(r->known[at].key, key))
        at = (at + 1) & (r->known_size - 1);
    return &r->known[at];
}

static bool grow_known(struct rerun *r)
{
    struct had *old = r->known;
    size_t size = r->known_size;
    if (r->known_count * 2 < size)
        return true;
    r->known_size = size ? size * 2 : 1024;
    r->known = arena_try(r->arena, r->known_size * sizeof *r->known);
    for (size_t i = 0; r->known && i < size; i++)
        if (old[i].key.p)
            *place_of(r, old[i].key) = old[i];
    return r->known != NULL;
}

static struct span key_of(struct rerun *r, int kind, struct span id)
{
    char *text = arena_fmt(r->arena, "%d:%.*s", kind, SP(id));
    return text ? span_of(text) : SPAN_NONE;
}

/* What a record is kept under. An account whose source names no id is known by its handle; a repost that the
 * page shows is the original, and has no id of its own. */
static struct span key_of_record(struct rerun *r, int kind, struct json v)
{
    struct span id = SPAN_NONE, by = SPAN_NONE, source = SPAN_NONE;
    char *text = NULL;
    (void)json_text(json_path(v, "provenance.source"), &source);
    if (!json_text(json_get(v, SPAN("id")), &id) && kind == ITEM_USER &&
        json_text(json_get(v, SPAN("screen_name")), &by))
        text = arena_fmt(r->arena, "@%.*s", SP(span_cut(by, 0, 64)));
    else if (kind == ITEM_POST && span_is(source, "dom") &&
             json_text(json_path(v, "reposted_by.screen_name"), &by))
        text = arena_fmt(r->arena, "%.*s#reposted-by=%.*s", SP(id), SP(by));
    return key_of(r, kind, text ? span_of(text) : id);
}

struct taking { /* one stream of records */
    struct rerun *r;
    int kind;
    bool covered;
    struct buf line;
    bool failed;
};

static bool take_record(struct taking *t, struct span line)
{
    struct rerun *r = t->r;
    struct json v;
    if (!grow_known(r) || json_parse(r->parser, line, &v, NULL))
        return false;
    struct had fresh = {.key = key_of_record(r, t->kind, v),
                        .json = arena_keep(r->arena, line)};
    if (!fresh.key.p || !fresh.json.p)
        return false;
    struct had *place = place_of(r, fresh.key);
    if (!place->key.p) {
        *place = fresh;
        r->known_count++;
    }
    place->covered = t->covered;
    return true;
}

static bool on_bytes(void *ctx, struct span bytes)
{
    struct taking *t = ctx;
    while (bytes.n && !t->failed) {
        size_t end = span_find_char(bytes, '\n');
        buf_add(&t->line, span_cut(bytes, 0, end));
        if (end == bytes.n)
            break;
        t->failed = t->line.failed || !take_record(t, buf_span(&t->line));
        buf_clear(&t->line);
        bytes = span_cut(bytes, end + 1, bytes.n);
    }
    return !t->failed;
}

/* All records after this batch (from the first on: 0) are, or are not, in the evidence. */
static int mark(struct rerun *r, int kind, int64_t batch, bool covered)
{
    static const char *const names[] = {"posts", "users"};
    char path[140];
    struct fault f = {0};
    struct client_answer answer;
    struct taking t = {.r = r, .kind = kind, .covered = covered, .line = BUF(4 * 1024 * 1024)};
    struct client_request q = {.method = "GET",
                               .path = path,
                               .timeout_ms = 0,
                               .stall_ms = 40000,
                               .body_max = 64 * 1024,
                               .on_bytes = on_bytes,
                               .ctx = &t};
    int n = snprintf(path, sizeof path, "/v1/jobs/%s/%s", r->job.id, names[kind]);
    if (batch > 0)
        snprintf(path + n, sizeof path - (size_t)n, "?after=%lld",
                 (long long)(batch * ORD_PER_BATCH - 1));
    err e = client_send(r->s->client, &q, &answer, &f);
    int code = t.failed ? EXIT_SOFTWARE : e ? cli_exit_of(e) : EXIT_DONE;
    if (!code && answer.status != 200)
        code = cli_problem(&answer);
    else if (code)
        cli_say("the records of %s cannot be read%s%s", r->job.id, f.words[0] ? ": " : "",
                f.words);
    buf_free(&answer.body);
    buf_free(&t.line);
    return code;
}

static int by_batch(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* A record's place in the store tells from which batch it came, and the evidence which batches its
 * answers gave: each run of them is marked from its first batch on, and unmarked behind its last. */
static int read_known(struct rerun *r)
{
    const struct pieces *p = &r->pieces;
    int64_t *batch = arena_get(r->arena, (p->count + 1) * sizeof *batch);
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        if (p->all[i].kind == EVIDENCE_RESPONSE)
            batch[n++] = p->all[i].batch;
    qsort(batch, n, sizeof *batch, by_batch);
    int code = EXIT_DONE;
    for (int kind = ITEM_POST; !code && kind <= ITEM_USER; kind++) {
        code = mark(r, kind, 0, false);
        for (size_t i = 0; !code && i < n; i++) {
            if (i == 0 || batch[i] > batch[i - 1] + 1)
                code = mark(r, kind, batch[i], true);
            if (!code && (i + 1 == n || batch[i + 1] > batch[i] + 1))
                code = mark(r, kind, batch[i] + 1, false);
        }
    }
    for (size_t i = 0; i < r->known_size; i++)
        r->outside += r->known[i].key.p && r->known[i].key.p[0] == '0' && !r->known[i].covered;
    return code;
}

/* ---- reading again ---- */

static err next_answer(void *ctx, struct replay_answer *out, struct fault *f)
{
    struct rerun *r = ctx;
    while (r->at < r->pieces.count && r->pieces.all[r->at].kind != EVIDENCE_RESPONSE)
        r->at++;
    if (r->at == r->pieces.count)
        return E_END;
    const struct piece *p = &r->pieces.all[r->at++];
    buf_free(&r->body);
    if (evidence_bytes(r->s, r->job.id, p, &r->body))
        return fail(f, E_STORE, "artifact %lld cannot be had", (long long)p->n);
    *out = (struct replay_answer){.attempt = p->attempt,
                                  .batch = p->batch,
                                  .strategy = p->strategy,
                                  .name = p->name,
                                  .url = p->url,
                                  .headers = p->headers,
                                  .body = buf_span(&r->body),
                                  .status = (int)p->status,
                                  .at = {p->at_ms}};
    return E_OK;
}

static bool grow_now(struct rerun *r)
{
    if (r->now_count < r->now_size)
        return true;
    size_t size = r->now_size ? r->now_size * 2 : 256;
    struct store_item *bigger = arena_try(r->arena, size * sizeof *bigger);
    if (!bigger)
        return false;
    if (r->now_count)
        memcpy(bigger, r->now, r->now_count * sizeof *bigger);
    r->now = bigger;
    r->now_size = size;
    return true;
}

static err keep_record(void *ctx, const struct frame_item *i, struct fault *f)
{
    struct rerun *r = ctx;
    if (!grow_now(r))
        return fail(f, E_TOO_BIG, "the records do not fit into memory");
    struct store_item it = {(enum item_kind)i->kind, arena_keep(r->arena, i->id), i->created_ms,
                            arena_keep(r->arena, i->json)};
    if (!it.id.p || !it.json.p)
        return fail(f, E_TOO_BIG, "the records do not fit into memory");
    r->now[r->now_count++] = it;
    return E_OK;
}

static int read_again(struct rerun *r, const struct pack *pack)
{
    struct fault f = {0};
    struct arena *job = arena_new(ARENA_MAX), *page = arena_new(ARENA_MAX);
    struct reader *reader = reader_new(pack, EVIDENCE_PIECE_MAX);
    struct replay_face face = {next_answer, keep_record, r};
    int64_t limit = r->job.limit > 0 ? r->job.limit - r->outside : 0;
    struct collect_order order = {.kind = r->job.kind,
                                  .target = r->job.target,
                                  .spec = r->job.spec,
                                  .limit = r->job.limit > 0 && limit < 1 ? 1 : limit};
    err e = replay_collect(pack, reader, r->parser, &order, &face, job, page, &r->result, &f);
    struct collect_result *end = &r->result.ending;
    end->why = arena_keep(r->arena, end->why);
    end->report = arena_keep(r->arena, end->report);
    /* What nobody can look at again may have been lost: that is never complete. */
    if (!e && end->verdict == VERDICT_COMPLETE && r->pieces.missing)
        end->verdict = VERDICT_PARTIAL;
    reader_free(&reader);
    arena_free(&job);
    arena_free(&page);
    buf_free(&r->body);
    if (!e)
        return EXIT_DONE;
    cli_say("%s: %s", r->job.id, f.words[0] ? f.words : err_text(e));
    return cli_exit_of(e);
}

/* ---- what would change ---- */

static const char *kind_name(int kind)
{
    return kind == ITEM_POST ? "post" : kind == ITEM_USER ? "user" : "unavailable";
}

static void print_change(struct rerun *r, const char *change, char sign, struct span key,
                         const struct difference *d)
{
    struct span id = span_cut(key, 2, key.n);
    const char *kind = kind_name(key.p[0] - '0'), *nothing = "(not there)";
    if (r->quiet)
        return;
    if (!r->c->json) {
        printf("%c %s %.*s%s%s", sign, kind, SP(id), d ? " " : "",
               d && d->field ? d->field : "");
        if (d)
            printf(": %s → %s",
                   d->before.n ? cli_printable(r->c, span_cut(d->before, 0, SHOWN_BYTES))
                               : nothing,
                   d->after.n ? cli_printable(r->c, span_cut(d->after, 0, SHOWN_BYTES))
                              : nothing);
        printf("\n");
        return;
    }
    struct buf line = BUF(64 * 1024);
    struct json_w w = json_w(&line);
    json_open(&w);
    json_kv_cstr(&w, "job", r->job.id);
    json_kv_cstr(&w, "change", change);
    json_kv_cstr(&w, "kind", kind);
    json_kv_text(&w, "id", id);
    if (d) {
        json_kv_cstr(&w, "field", d->field);
        json_kv_text(&w, "before", d->before);
        json_kv_text(&w, "after", d->after);
    }
    json_close(&w);
    cli_put(r->c, buf_span(&line));
    buf_free(&line);
}

struct telling {
    struct rerun *r;
    struct span key;
};

static void on_difference(void *ctx, const struct difference *d)
{
    struct telling *t = ctx;
    print_change(t->r, "changed", '~', t->key, d);
}

/* Leaves in r->now only what the job has to get. */
static void compare(struct rerun *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->now_count; i++) {
        const struct store_item *it = &r->now[i];
        struct span key = key_of(r, (int)it->kind, it->id);
        struct had *had = r->known_size ? place_of(r, key) : NULL;
        struct telling t = {r, key};
        struct replay diff = {.arena = r->arena, .on_difference = on_difference, .ctx = &t};
        bool counted = it->kind != ITEM_UNAVAILABLE;
        if (had && had->key.p) {
            had->again = true;
            if (!had->covered || span_eq(had->json, it->json))
                continue;
            replay_record(&diff, r->job.id, had->json, it->json);
            r->changed++;
        } else if (counted) {
            print_change(r, "gained", '+', key, NULL);
            r->gained++;
        }
        r->now[kept++] = *it;
    }
    r->now_count = kept;
    for (size_t i = 0; i < r->known_size; i++)
        if (r->known[i].key.p && r->known[i].covered && !r->known[i].again) {
            print_change(r, "lost", '-', r->known[i].key, NULL);
            r->lost++;
        }
}

/* ---- applying ---- */

static void add_item(struct json_w *w, const struct store_item *it)
{
    json_open(w);
    json_kv_cstr(w, "kind", kind_name((int)it->kind));
    json_kv_text(w, "id", it->id);
    json_kv_int(w, "created_at_ms", it->created_ms);
    json_kv_text(w, "record", it->json);
    json_close(w);
}

/* One request with as many records as fit; the last one ends the job. */
static int send_part(struct rerun *r, size_t *at)
{
    char path[100];
    struct client_answer answer;
    struct span text;
    struct buf body = BUF(64 * 1024 * 1024);
    struct json_w w = json_w(&body);
    snprintf(path, sizeof path, "/v1/jobs/%s/repair", r->job.id);
    json_open(&w);
    json_kv_int(&w, "revision", r->job.revision);
    json_key(&w, "items");
    json_open_array(&w);
    for (size_t first = *at; *at < r->now_count && (*at == first || body.n < PART_BYTES); ++*at)
        add_item(&w, &r->now[*at]);
    json_close_array(&w);
    if (*at == r->now_count) {
        json_key(&w, "finish");
        json_open(&w);
        json_kv_cstr(&w, "verdict", verdict_name(r->result.ending.verdict));
        json_kv_cstr(&w, "end_reason", end_reason_name(r->result.ending.end));
        json_kv_text(&w, "report", r->result.ending.report);
        json_close(&w);
    }
    json_close(&w);
    int code =
        buf_end(&body, &text) ? EXIT_SOFTWARE : evidence_ask(r->s, "POST", path, text, &answer);
    buf_free(&body);
    if (code)
        return code;
    return keep_job(r, &answer);
}

static int apply(struct rerun *r)
{
    size_t at = 0;
    int code;
    do
        code = send_part(r, &at);
    while (!code && at < r->now_count);
    r->applied = !code;
    return code;
}

/* ---- the outcome ---- */

static const char *outcome_of(const struct rerun *r)
{
    const struct collect_result *e = &r->result.ending;
    return e->failure ? failure_name(e->failure) : verdict_name(e->verdict);
}

static void print_json(struct rerun *r, enum failure_class was)
{
    struct buf line = BUF(64 * 1024);
    struct json_w w = json_w(&line);
    const struct collect_result *e = &r->result.ending;
    json_open(&w);
    json_kv_cstr(&w, "job", r->job.id);
    json_kv_cstr(&w, "was", was ? failure_name(was) : NULL);
    json_kv_cstr(&w, "failure", e->failure ? failure_name(e->failure) : NULL);
    json_kv_cstr(&w, "verdict", e->failure ? NULL : verdict_name(e->verdict));
    json_kv_cstr(&w, "end_reason", e->end ? end_reason_name(e->end) : NULL);
    json_kv_text(&w, "why", e->why.n ? e->why : SPAN_NONE);
    json_kv_int(&w, "answers", r->result.answers);
    json_kv_int(&w, "gained", r->gained);
    json_kv_int(&w, "lost", r->lost);
    json_kv_int(&w, "changed", r->changed);
    json_kv_bool(&w, "repairs", r->repairs);
    json_kv_bool(&w, "applied", r->applied);
    json_close(&w);
    cli_put(r->c, buf_span(&line));
    buf_free(&line);
}

static void say_outcome(struct rerun *r, enum failure_class was)
{
    const struct collect_result *e = &r->result.ending;
    cli_note(r->c, "%s: it %s %s; read again from %lld answers: %s%s%s", r->job.id,
             was ? "ended as" : "is", was ? failure_name(was) : "no failure",
             (long long)r->result.answers, outcome_of(r), e->why.n ? ": " : "",
             e->why.n ? cli_printable(r->c, e->why) : "");
    cli_note(r->c, "records: %lld gained, %lld lost, %lld changed", (long long)r->gained,
             (long long)r->lost, (long long)r->changed);
    if (r->pieces.missing)
        cli_note(r->c, "%lld answers were not kept: %s", (long long)r->pieces.missing,
                 cli_printable(r->c, r->pieces.why));
    if (r->applied)
        cli_note(r->c, "%s is %s now", r->job.id, cli_printable(r->c, r->job.state));
    else if (r->repairs)
        cli_note(r->c, "nothing was written; --apply makes this the job's result");
    else if (was && !e->failure)
        cli_note(r->c,
                 "what ended it is in no answer, and they hold nothing new: submit it again");
}

static int code_of(const struct rerun *r, enum failure_class was)
{
    const struct collect_result *e = &r->result.ending;
    if (e->failure)
        return failure_row(e->failure)->exit_code;
    if (was && !r->repairs && !r->applied)
        return EXIT_JOB_FAILED;
    return r->lost ? EXIT_PARTIAL : EXIT_DONE;
}

/* ---- one job ---- */

/* The pack: what --site says, else the one of the job. */
static int open_pack(struct rerun *r, struct pack **out)
{
    char *name = arena_text(r->arena, r->job.site);
    return cli_open_pack(r->c, r->c->site ? r->c->site : name, out);
}

static bool has_answers(const struct pieces *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->all[i].kind == EVIDENCE_RESPONSE)
            return true;
    return false;
}

static int check_job(struct rerun *r)
{
    enum job_state state;
    if (!job_state_parse(r->job.state, &state))
        return not_ours();
    if (!job_is_final(state)) {
        cli_say("%s is %s: it may still end by itself; cancel it or wait", r->job.id,
                job_state_name(state));
        return EXIT_CONFLICT;
    }
    if (r->c->apply && state != JOB_DEAD) {
        cli_say("%s is %s: only a dead job can be repaired", r->job.id, job_state_name(state));
        return EXIT_CONFLICT;
    }
    return EXIT_DONE;
}

static int look(struct rerun *r, const char *id)
{
    struct pack *pack = NULL;
    int code = ask_job(r, id);
    if (!code)
        code = check_job(r);
    if (!code)
        code = evidence_of(r->c, r->s, r->job.id, r->arena, &r->pieces);
    if (!code && !has_answers(&r->pieces)) {
        if (!r->quiet)
            cli_say("%s has no answer in its evidence%s%s; it can only be submitted again",
                    r->job.id, r->pieces.why.n ? ": " : "",
                    r->pieces.why.n ? cli_printable(r->c, r->pieces.why) : "");
        code = EXIT_NOT_FOUND;
    }
    if (!code)
        code = open_pack(r, &pack);
    if (!code)
        code = read_known(r);
    if (!code)
        code = read_again(r, pack);
    pack_close(&pack);
    return code;
}

static int replay_job(struct rerun *r, const char *id, enum failure_class *out_was)
{
    int code = look(r, id);
    *out_was = r->job.failure;
    if (code)
        return code;
    compare(r);
    r->repairs = replay_repairs(r->job.failure, &r->result.ending, r->gained);
    if (r->repairs && r->c->apply)
        code = apply(r);
    return code ? code : code_of(r, *out_was);
}

static struct rerun rerun_new(struct cli *c, struct service *s)
{
    return (struct rerun){.c = c,
                          .s = s,
                          .arena = arena_new(RECORDS_BYTES),
                          .parser = json_parser_new(ANSWER_BYTES),
                          .body = BUF(ANSWER_BYTES)};
}

static void rerun_free(struct rerun *r)
{
    buf_free(&r->body);
    arena_free(&r->arena);
    json_parser_free(&r->parser);
}

static int replay_one(struct cli *c, struct service *s, const char *id)
{
    struct rerun r = rerun_new(c, s);
    enum failure_class was;
    int code = replay_job(&r, id, &was);
    if (r.result.answers && c->json)
        print_json(&r, was);
    if (r.result.answers)
        say_outcome(&r, was);
    rerun_free(&r);
    return code;
}

/* ---- all of a class ---- */

struct listing {
    char (*ids)[ID_TEXT];
    size_t count;
    char after[ID_TEXT];
    bool more;
};

static int list_page(struct cli *c, struct service *s, enum failure_class class,
                     struct listing *l)
{
    struct rerun r = rerun_new(c, s);
    char path[120];
    struct client_answer answer;
    struct json v;
    struct job job;
    snprintf(path, sizeof path, "/v1/jobs?state=dead&limit=200%s%s",
             l->after[0] ? "&after=" : "", l->after);
    int code = evidence_ask(s, "GET", path, SPAN_NONE, &answer);
    if (!code && json_parse(r.parser, buf_span(&answer.body), &v, NULL))
        code = not_ours();
    l->more = false;
    if (!code) {
        for (struct json_iter i = json_each(json_get(v, SPAN("data"))); json_next(&i);) {
            read_job(&r, i.value, &job);
            if (job.failure == class && l->count < JOBS_MAX)
                memcpy(l->ids[l->count++], job.id, sizeof job.id);
        }
        (void)json_bool(json_path(v, "page.has_more"), &l->more);
        span_copy(keep_text(r.arena, v, "page.next_after"), l->after, sizeof l->after);
    }
    buf_free(&answer.body);
    rerun_free(&r);
    return code;
}

static void print_row(struct cli *c, const struct rerun *r, enum failure_class was, int code)
{
    struct span target = span_cut(r->job.target, 0, 24);
    const char *now = code == EXIT_NOT_FOUND && !r->result.answers ? "no evidence"
                      : r->result.answers                          ? outcome_of(r)
                                                                   : "not read";
    printf("%-31s  %-24s  %-14s  %-14s  %7lld  %6lld  %8lld  %s\n", r->job.id,
           cli_printable(c, target), failure_name(was), now, (long long)r->gained,
           (long long)r->lost, (long long)r->changed,
           r->applied   ? "applied"
           : r->repairs ? "would repair"
                        : "-");
}

static int replay_all(struct cli *c, struct service *s, enum failure_class class)
{
    struct listing l = {.ids = arena_get(c->arena, JOBS_MAX * sizeof *l.ids), .more = true};
    size_t well = 0;
    int code = EXIT_DONE;
    while (!code && l.more)
        code = list_page(c, s, class, &l);
    if (code)
        return code;
    if (!l.count) {
        cli_note(c, "no dead job ended as %s", failure_name(class));
        return EXIT_DONE;
    }
    if (!c->json)
        printf("%-31s  %-24s  %-14s  %-14s  %7s  %6s  %8s  %s\n", "JOB", "TARGET", "WAS", "NOW",
               "GAINED", "LOST", "CHANGED", "REPAIR");
    for (size_t i = 0; i < l.count; i++) {
        struct rerun r = rerun_new(c, s);
        enum failure_class was;
        r.quiet = true;
        int one = replay_job(&r, l.ids[i], &was);
        well += one == EXIT_DONE;
        if (c->json)
            print_json(&r, was);
        else
            print_row(c, &r, was, one);
        rerun_free(&r);
    }
    cli_note(c, "%zu of %zu read well%s", well, l.count,
             well && !c->apply ? "; --apply makes this their result" : "");
    return well == l.count ? EXIT_DONE : EXIT_PARTIAL;
}

/* ---- the verb ---- */

static int check_call(struct cli *c, const char *id, enum failure_class *out_class)
{
    *out_class = FAILURE_DRIFT;
    if (c->class && !failure_parse(span_of(c->class), out_class))
        return cli_usage("replay", "--class must be a failure such as drift, not '%.40s'",
                         c->class);
    if (c->class && !c->failed)
        return cli_usage("replay", "--class goes with --failed");
    if (c->failed == (id != NULL) || c->word_count > 2)
        return cli_usage("replay", "replay needs the id of one job, or --failed");
    if (id && !id_valid(span_of(id), "job")) {
        cli_say("'%s' is not the id of a job; fulmar jobs list shows them",
                cli_printable(c, span_of(id)));
        return EXIT_DATA;
    }
    return EXIT_DONE;
}

int replay_run(struct cli *c)
{
    const char *id = c->word_count > 1 ? c->words[1] : NULL;
    enum failure_class class;
    struct service service;
    int code = check_call(c, id, &class);
    if (!code)
        code = cli_settings(c);
    if (!code)
        code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    code = id ? replay_one(c, &service, id) : replay_all(c, &service, class);
    service_close(&service);
    return code;
}
