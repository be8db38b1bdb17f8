/* bulk.c - many orders in one request, each accepted or refused by itself, as if it had come alone.
 *
 * They are accepted in pieces, each one group of the store, one after the other. With an Idempotency-Key each order has a key made of
 * that and its place: a request that broke off is sent again, and goes on where it was. All or nothing is what a batch is for.
 * With `dry_run` each is looked at in the same way and none is accepted.
 *
 * Lines that are asked for as lines (Accept) may be a hundred times as many, and are accepted while the others are on their way: only
 * a piece of them is in memory. HTTP/1.1 answers when the request is whole, so what became of each waits in a file without a
 * name. A client that goes away before leaves the pieces that came accepted, and hears of none. The last line sums up; an
 * answer without it is not whole. */
#include "api/inside.h"
#include "api/order.h"

#include "base/log.h"
#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/digest.h"
#include "os/files.h"
#include "wire/problem.h"

#include <unistd.h>

enum { PIECE = 100 };

struct line { /* one order and what became of it */
    struct accept_args args;
    struct order_refusal *refusal; /* NULL: it could be read */
    char id[ID_TEXT];
    char key[DIGEST_TEXT + 32];
    struct callback_wish callback;
    struct accept_reply reply;
    err result;
    char words[512];
    int64_t wait_ms;
};

struct bulk {
    bool dry; /* nothing is accepted */
    struct line *lines;
    size_t count, at, end; /* the piece that is accepted now */
    struct store_op ops[PIECE];
    struct callback_wish *callbacks[PIECE]; /* of it */
    size_t callback_count;
    struct accept_args *would[PIECE]; /* of a dry run: those of it that can be accepted */
};

/* ---- accepting ---- */

static void keep_fault(struct line *l, err e, const struct fault *f)
{
    l->result = fault_told(e, f);
    l->wait_ms = f->wait_ms;
    snprintf(l->words, sizeof l->words, "%s", f->words);
}

/* A refused order is no failure of the piece; a store that cannot write is. */
static bool is_of_the_order(err e)
{
    return e != E_DISK_FULL &&
           (e == E_SESSION || err_class(e) == ERR_FINAL || err_class(e) == ERR_WAIT);
}

static bool is_fine(const struct line *l)
{
    return !l->refusal && !l->result;
}

/* Neither accepted nor refused: the store failed. */
static bool is_untold(const struct line *l)
{
    return !l->refusal && l->result && !is_of_the_order(l->result);
}

/* What became of each of the piece; E_OK unless the store could not write one. */
static err keep_piece(struct bulk *b, struct fault *f)
{
    const struct store_op *op = b->ops;
    err trouble = E_OK;
    for (size_t i = b->at; i < b->end; i++) {
        struct line *l = &b->lines[i];
        if (l->refusal)
            continue;
        l->reply = op->out.accept;
        keep_fault(l, op->result, &op->fault);
        if (!trouble && is_untold(l)) {
            trouble = fail(f, l->result, "%s", op->fault.words);
            f->wait_ms = l->wait_ms;
        }
        op++;
    }
    return trouble;
}

/* ---- the answer ---- */

static void put_errors(struct json_w *w, const struct order_refusal *refusal)
{
    json_key(w, "errors");
    json_open_array(w);
    for (size_t i = 0; i < refusal->error_count; i++) {
        json_open(w);
        json_kv_text(w, "pointer", refusal->errors[i].pointer);
        json_kv_cstr(w, "code", refusal->errors[i].code);
        json_kv_text(w, "detail", refusal->errors[i].detail);
        json_close(w);
    }
    json_close_array(w);
}

static void put_refused(struct json_w *w, const struct line *l)
{
    if (l->refusal) {
        json_kv_int(w, "status", l->refusal->status);
        json_kv_cstr(w, "code", l->refusal->code);
        json_kv_text(w, "detail", l->refusal->detail);
        json_kv_bool(w, "retryable", false);
        put_errors(w, l->refusal);
        return;
    }
    struct accept_problem p = accept_problem(l->result, l->key[0] != '\0');
    json_kv_int(w, "status", p.status);
    json_kv_cstr(w, "code", p.code);
    json_kv_cstr(w, "detail", is_untold(l) ? err_text(l->result) : l->words);
    json_kv_bool(w, "retryable", p.retryable || err_class(l->result) == ERR_RETRY);
}

static void put_accepted(struct json_w *w, const struct line *l)
{
    json_kv_int(w, "status", l->reply.existing ? 200 : 202);
    json_kv_cstr(w, "job", l->reply.id);
    if (!l->reply.replayed)
        json_kv_cstr(w, "state", job_state_name(l->reply.state));
    json_kv_bool(w, "replayed", l->reply.replayed);
    json_kv_bool(w, "existing", l->reply.existing);
    json_kv_cstr(w, "durability", jobs_durability(l->reply.durability, l->reply.confirmed));
}

/* What would be accepted. */
static void put_acceptable(struct json_w *w, const struct line *l)
{
    json_kv_int(w, "status", 202);
    json_kv_text(w, "lane", l->args.lane);
    json_kv_int(w, "priority", l->args.prio);
}

static void put_line(struct json_w *w, const struct bulk *b, const struct line *l,
                     int64_t index)
{
    json_open(w);
    json_kv_int(w, "index", index);
    if (is_fine(l) && b->dry)
        put_acceptable(w, l);
    else if (is_fine(l))
        put_accepted(w, l);
    else
        put_refused(w, l);
    json_close(w);
}

static void put_sums(struct json_w *w, const struct bulk *b, int64_t accepted, int64_t refused)
{
    if (b->dry) {
        json_kv_cstr(w, "action", "create");
        json_kv_int(w, "count", accepted);
        json_kv_cstr(w, "count_kind", "exact");
    } else {
        json_kv_int(w, "accepted", accepted);
    }
    json_kv_int(w, "refused", refused);
}

static const char *object_of(const struct bulk *b)
{
    return b->dry ? "dry_run" : "bulk";
}

static int status_of(const struct bulk *b)
{
    return b->dry ? 200 : 207;
}

static void answer(struct call *c)
{
    const struct bulk *b = c->more;
    int64_t accepted = 0, refused = 0;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", object_of(b));
    json_key(&w, "results");
    json_open_array(&w);
    for (size_t i = 0; i < b->count; i++) {
        const struct line *l = &b->lines[i];
        put_line(&w, b, l, (int64_t)i);
        accepted += is_fine(l);
        refused += !is_fine(l);
    }
    json_close_array(&w);
    put_sums(&w, b, accepted, refused);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, status_of(b), &body, NULL);
}

static void next_piece(struct call *c);

static void count_submitted(const struct bulk *b)
{
    for (size_t i = b->at; !b->dry && i < b->end; i++) {
        const struct line *l = &b->lines[i];
        if (is_fine(l) && !l->reply.replayed && !l->reply.existing)
            metric_add(METRIC_JOBS_SUBMITTED, 0, 1);
    }
}

static void on_piece(struct call *c)
{
    struct bulk *b = c->more;
    c->op.fault = (struct fault){0};
    c->op.result = keep_piece(b, &c->op.fault);
    count_submitted(b);
    if (call_failed(c))
        return;
    b->at = b->end;
    next_piece(c);
}

/* How many of the next piece are to be asked for; 0: all are refused. */
static size_t begin_piece(struct bulk *b)
{
    size_t n = 0;
    b->end = b->count - b->at < PIECE ? b->count : b->at + PIECE;
    b->callback_count = 0;
    for (size_t i = b->at; i < b->end; i++) {
        struct line *l = &b->lines[i];
        if (l->refusal)
            continue;
        b->would[n] = &l->args;
        b->ops[n++] = (struct store_op){.in.accept = l->args};
        if (l->callback.webhook.n)
            b->callbacks[b->callback_count++] = &l->callback;
    }
    return n;
}

static void accept_all(struct call *c, struct bulk *b, size_t n, void (*done)(struct call *))
{
    if (b->dry)
        priorities_look(c, b->would, n, done);
    else
        call_accept_all(c, b->ops, n, done);
}

/* Behind a look at the webhooks of the piece. How many are left to be asked for. */
static size_t refuse_callbacks(struct call *c, struct bulk *b)
{
    for (size_t i = b->at; i < b->end; i++) {
        struct line *l = &b->lines[i];
        if (l->refusal || !l->callback.missing)
            continue;
        l->refusal = arena_new_of(c->op.arena, struct order_refusal);
        *l->refusal = (struct order_refusal){0};
        struct body body = {l->refusal, c->op.arena};
        callbacks_refuse(&body, SPAN("/callback/webhook_id"), l->callback.webhook);
        (void)!body_fine(&body);
    }
    return begin_piece(b);
}

static void on_callbacks(struct call *c)
{
    struct bulk *b = c->more;
    size_t n = refuse_callbacks(c, b);
    if (n > 0) {
        accept_all(c, b, n, on_piece);
        return;
    }
    b->at = b->end;
    next_piece(c);
}

static void next_piece(struct call *c)
{
    struct bulk *b = c->more;
    size_t n = 0;
    for (; b->at < b->count && (n = begin_piece(b)) == 0; b->at = b->end)
        ;
    if (n > 0 && b->callback_count)
        callbacks_look(c, b->callbacks, b->callback_count, on_callbacks);
    else if (n > 0)
        accept_all(c, b, n, on_piece);
    else
        answer(c);
}

/* ---- reading ---- */

/* Of a request with a key: this order of it. No header can be the same: there are spaces in it. */
static void make_key(const struct call *c, size_t at, struct line *l)
{
    char digest[DIGEST_TEXT];
    if (c->key[0])
        snprintf(l->key, sizeof l->key, "BULK %s %zu", digest_text(span_of(c->key), digest),
                 at);
}

static void read_line(struct call *c, struct span text, size_t at, struct line *l)
{
    const struct packs *packs = c->api->config.packs;
    struct order_refusal *refusal = arena_get(c->op.arena, sizeof *refusal);
    struct order order;
    if (!order_read(&order, refusal, c->api->json, packs->pack, packs->count, text,
                    c->op.arena)) {
        l->refusal = refusal;
        return;
    }
    make_id(l->id, "job");
    make_key(c, at, l);
    l->args = order_accept(&order, c->api->config.coalesce, clock_wall());
    l->args.id = span_of(l->id);
    l->args.idempotency_key = span_of(l->key);
    l->args.request_hash = span_hash(text, 0);
    l->callback = (struct callback_wish){.webhook = order.followup.webhook,
                                         .tenant = order.terms.tenant,
                                         .key = l->args.idempotency_key};
}

static bool refuse_count(struct request *r, size_t count)
{
    if (count >= 1 && count <= BULK_MOST)
        return false;
    answer_problem(r, 422, "validation_failed",
                   "%zu orders; a request may have 1 to %d: send more of them, or a batch",
                   count, BULK_MOST);
    return true;
}

/* One order a line; empty lines are passed over. */
static bool split_lines(struct call *c, struct span **out, size_t *out_count)
{
    struct span rest = c->request->body, line;
    struct span *texts = arena_get(c->op.arena, (BULK_MOST + 1) * sizeof *texts);
    size_t n = 0;
    while (n <= BULK_MOST && span_next(&rest, '\n', &line))
        if (span_trim(line).n)
            texts[n++] = span_trim(line);
    *out = texts;
    *out_count = n;
    return !refuse_count(c->request, n);
}

/* A list of orders: each as text of its own, since reading one needs the parser. */
static bool split_list(struct call *c, struct span **out, size_t *out_count)
{
    struct json root;
    struct request *r = c->request;
    if (json_parse(c->api->json, r->body, &root, NULL) || !json_is(root, JSON_ARRAY)) {
        answer_problem(
            r, 400, "malformed_json",
            "the body must be a list of orders, or one order a line with Content-Type: "
            "application/x-ndjson");
        return false;
    }
    if (refuse_count(r, json_count(root)))
        return false;
    struct span *texts = arena_get(c->op.arena, json_count(root) * sizeof *texts);
    struct buf one = BUF(r->body.n + 1);
    size_t n = 0;
    for (struct json_iter i = json_each(root); json_next(&i);) {
        buf_clear(&one);
        json_add_raw(&one, i.value);
        texts[n++] = arena_keep(c->op.arena, buf_span(&one));
    }
    buf_free(&one);
    *out = texts;
    *out_count = n;
    return true;
}

static bool is_lines(struct request *r)
{
    struct span type = request_header(r, "Content-Type");
    struct span media = span_trim(span_cut(type, 0, span_find_char(type, ';')));
    return span_eq_nocase(media, SPAN("application/x-ndjson")) ||
           span_eq_nocase(media, SPAN("application/jsonl"));
}

/* ---- as a stream ---- */

enum {
    TEXT_MAX = 256 * 1024,
    ORDER_MOST =
        STORE_SPEC_MAX + 2 /* with a carriage return; what is longer is cut, and refused */
};

struct flow {
    struct bulk bulk; /* of the piece, from 0 on */
    struct line lines[PIECE];
    struct buf
        text; /* orders that came and are not accepted yet; stays as it is while a piece of it is */
    size_t ends,
        tail;      /* whole lines in it, none of them empty; bytes behind the last of them */
    size_t looked; /* bytes of it that the piece is made of: the body may end meanwhile */
    int64_t number, accepted, refused;
    bool whole;       /* the body has ended */
    err stopped;      /* why no further order is accepted; E_OK: they are */
    int answers;      /* what became of each so far; −1: it was given away */
    int64_t answered; /* bytes of it */
    bool lost;        /* it could not be written */
};

static bool accepts_lines(struct request *r)
{
    struct span accepted = request_header(r, "Accept");
    return span_find(accepted, SPAN("application/x-ndjson")) < accepted.n ||
           span_find(accepted, SPAN("application/jsonl")) < accepted.n;
}

bool bulk_is_stream(struct request *r)
{
    return is_lines(r) && accepts_lines(r);
}

static void refuse_long(struct call *c, struct line *l)
{
    l->refusal = arena_get(c->op.arena, sizeof *l->refusal);
    *l->refusal = (struct order_refusal){.status = 413,
                                         .code = "body_too_large",
                                         .detail = SPAN("the order is larger than 64 KiB")};
}

/* ---- what comes ---- */

/* A whole piece is there, or no other line would fit behind. */
static bool has_piece(const struct flow *flow)
{
    return flow->ends == PIECE || flow->text.n + ORDER_MOST + 1 > TEXT_MAX;
}

/* As much as belongs to this piece. Returns how much of `bytes` that was. Empty lines and what else is blank before an
 * order are left out: they make no piece, and so bring no more time. */
static size_t add_text(struct flow *flow, struct span bytes)
{
    size_t at = 0;
    while (at < bytes.n && !has_piece(flow)) {
        if (!flow->tail)
            at += span_blank(span_cut(bytes, at, bytes.n));
        struct span rest = span_cut(bytes, at, bytes.n);
        if (!rest.n)
            break;
        size_t end = span_find_char(rest, '\n'), room = ORDER_MOST - flow->tail;
        size_t kept = end < room ? end : room;
        buf_add(&flow->text, span_cut(rest, 0, kept));
        flow->tail += kept;
        at += end;
        if (end == rest.n)
            break;
        buf_add_char(&flow->text, '\n');
        flow->ends++;
        flow->tail = 0;
        at++;
    }
    return at;
}

/* The orders of the piece, all whole lines of the text; behind the end of the body also the last. */
static void take_piece(struct call *c, struct flow *flow)
{
    struct bulk *b = &flow->bulk;
    struct span line, rest = buf_span(&flow->text);
    if (!flow->whole)
        rest.n -= flow->tail;
    flow->looked = rest.n;
    b->lines = flow->lines;
    b->at = b->count = 0;
    memset(flow->lines, 0, sizeof flow->lines);
    while (b->count < PIECE && span_next(&rest, '\n', &line)) {
        struct line *l = &flow->lines[b->count];
        bool cut = line.n == ORDER_MOST;
        line = span_trim(line);
        if (flow->number + (int64_t)b->count == BULK_STREAM_MOST) {
            flow->stopped = E_TOO_BIG;
            break;
        }
        if (cut || line.n > STORE_SPEC_MAX)
            refuse_long(c, l);
        else
            read_line(c, line, (size_t)flow->number + b->count, l);
        b->count++;
    }
}

/* ---- what is answered ---- */

static void put_last(struct json_w *w, const struct flow *flow)
{
    json_open(w);
    json_kv_cstr(w, "object", object_of(&flow->bulk));
    put_sums(w, &flow->bulk, flow->accepted, flow->refused);
    json_kv_bool(w, "complete", !flow->stopped);
    if (flow->stopped) {
        json_kv_cstr(w, "code", fault_code(flow->stopped));
        json_kv_cstr(w, "detail", err_text(flow->stopped));
    }
    json_close(w);
}

/* Frees `out`. */
static void keep_answers(struct flow *flow, struct buf *out)
{
    struct span text;
    bool fine = !buf_end(out, &text) &&
                pwrite(flow->answers, text.p, text.n, (off_t)flow->answered) == (ssize_t)text.n;
    if (fine)
        flow->answered += (int64_t)text.n;
    else
        flow->lost = true;
    buf_free(out);
}

/* What became of the piece, which is over with it. */
static void keep_lines(struct flow *flow)
{
    const struct bulk *b = &flow->bulk;
    struct buf out = answer_buf();
    for (size_t i = 0; i < b->count; i++) {
        const struct line *l = &b->lines[i];
        struct json_w w = json_w(&out);
        put_line(&w, b, l, flow->number + (int64_t)i);
        buf_add_char(&out, '\n');
        flow->accepted += is_fine(l);
        flow->refused += !is_fine(l) && !is_untold(l);
    }
    flow->number += (int64_t)b->count;
    keep_answers(flow, &out);
    if (flow->lost && !flow->stopped)
        flow->stopped = E_DISK_FULL;
    buf_drop(&flow->text, flow->looked);
    flow->ends = 0;
    flow->tail = flow->text.n;
}

static void answer_flow(struct call *c)
{
    struct flow *flow = c->lines;
    struct buf out = BUF(1024);
    struct json_w w = json_w(&out);
    if (flow->number == 0 && !flow->stopped) {
        (void)refuse_count(c->request, 0);
        return;
    }
    put_last(&w, flow);
    buf_add_char(&out, '\n');
    keep_answers(flow, &out);
    if (flow->lost) {
        answer_problem(
            c->request, 507, "disk_full",
            "what became of the orders could not be kept; some are accepted: send all "
            "again with the same Idempotency-Key");
        return;
    }
    request_answer_file(
        c->request,
        &(struct answer){.status = status_of(&flow->bulk), .type = "application/x-ndjson"},
        flow->answers, 0, flow->answered);
    flow->answers = -1;
}

/* ---- pieces ---- */

static void accept_piece(struct call *c);

static void piece_over(struct call *c)
{
    struct flow *flow = c->lines;
    keep_lines(flow);
    if (!flow->whole)
        request_more(c->request);
    else if (flow->text.n && !flow->stopped)
        accept_piece(c);
    else
        answer_flow(c);
}

static void on_flow_piece(struct call *c)
{
    struct flow *flow = c->lines;
    struct fault f = {0};
    err e = keep_piece(&flow->bulk, &f);
    if (e) {
        log_error("api.failed", F_X("result", e), F_C("why", f.words),
                  F_S("request", c->request->id));
        flow->stopped = e;
    }
    count_submitted(&flow->bulk);
    piece_over(c);
}

static void on_flow_callbacks(struct call *c)
{
    struct bulk *b = &((struct flow *)c->lines)->bulk;
    size_t n = refuse_callbacks(c, b);
    if (n > 0)
        accept_all(c, b, n, on_flow_piece);
    else
        piece_over(c);
}

static void accept_piece(struct call *c)
{
    struct flow *flow = c->lines;
    struct bulk *b = &flow->bulk;
    arena_reset(c->op.arena);
    take_piece(c, flow);
    size_t n = begin_piece(b);
    if (n > 0 && b->callback_count)
        callbacks_look(c, b->callbacks, b->callback_count, on_flow_callbacks);
    else if (n > 0)
        accept_all(c, b, n, on_flow_piece);
    else
        piece_over(c);
}

/* Nothing is taken while a piece is accepted. What comes behind the end is passed over: the last line says so. */
static size_t take(struct request *r, struct span bytes)
{
    struct call *c = r->owner;
    struct flow *flow = c->lines;
    if (c->busy)
        return 0;
    if (!flow->stopped && r->taken + (int64_t)bytes.n > r->body_max)
        flow->stopped = E_TOO_BIG;
    if (flow->stopped)
        return bytes.n;
    size_t n = add_text(flow, bytes);
    if (has_piece(flow))
        accept_piece(c);
    return n;
}

static void end_flow(void *lines)
{
    struct flow *flow = lines;
    buf_free(&flow->text);
    if (flow->answers >= 0)
        close(flow->answers);
}

bool bulk_begin(struct api *a, struct request *r)
{
    struct fault f = {0};
    bool dry;
    struct call *c = call_new(a, r, SPAN_NONE);
    if (!query_dry_run(r, &dry) || !jobs_request_key(c))
        return false;
    struct flow *flow = heap_new_of(struct flow);
    flow->bulk.dry = dry;
    flow->text = BUF(TEXT_MAX);
    flow->answers = -1;
    c->lines = flow;
    c->lines_end = end_flow;
    err e = files_open_nameless(a->config.state_dir, &flow->answers, &f);
    if (e) {
        answer_fault(r, e, &f);
        return false;
    }
    r->take = take;
    return true;
}

/* The body has ended; the last piece of it may still be on its way. */
static void stream(struct call *c)
{
    struct flow *flow = c->lines;
    flow->whole = true;
    request_hold(c->request);
    if (c->busy)
        return;
    if (flow->text.n && !flow->stopped)
        accept_piece(c);
    else
        answer_flow(c);
}

void bulk_create(struct api *a, struct request *r, struct span id)
{
    bool lines = is_lines(r);
    if (r->take) {
        stream(r->owner);
        return;
    }
    if (!lines && !body_is_json(r))
        return;
    struct call *c = call_new(a, r, id);
    struct span *texts;
    struct bulk *b = arena_get(c->op.arena, sizeof *b);
    memset(b, 0, sizeof *b);
    c->more = b;
    if (!query_dry_run(r, &b->dry) || !jobs_request_key(c) ||
        !(lines ? split_lines(c, &texts, &b->count) : split_list(c, &texts, &b->count)))
        return;
    b->lines = arena_get(c->op.arena, b->count * sizeof *b->lines);
    memset(b->lines, 0, b->count * sizeof *b->lines);
    for (size_t i = 0; i < b->count; i++)
        read_line(c, texts[i], i, &b->lines[i]);
    next_piece(c);
}
