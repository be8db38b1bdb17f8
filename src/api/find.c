/* find.c - jobs by what they are: the list of jobs, and what is done to many of them. */
#include "api/count.h"
#include "api/cursor.h"
#include "api/inside.h"
#include "api/order.h"
#include "api/terms.h"
#include "api/view.h"

#include "base/need.h"
#include "base/text.h"
#include "core/labels.h"
#include "store/dead.h"

enum {
    LIST_LIMIT = 50,
    LIST_MAX = 200,
    EXAMPLES = 10,
    COUNT_MOST = 10000,
    COUNT_MS = 500, /* apart from the page itself */
    DRY_MS = 1000,
    WORD_MAX = 63,
};

static const char *const classes[] = {"interactive", "normal", "bulk", "quarantine", NULL};

/* ---- a filter ---- */

static unsigned bit(enum job_state state)
{
    return 1U << state;
}

static const char *const *state_names(void)
{
    static const char *names[JOB_STATES + 1];
    for (int i = 0; i < JOB_STATES; i++)
        names[i] = job_state_name((enum job_state)i);
    return names;
}

/* Where the target of a filter is written as the job has it: without the @ and the #. */
struct texts {
    const char *name;
    struct span *to;
    size_t most;
};
enum { TEXTS = 5 };
static void list_texts(struct jobs_filter *by, struct texts out[TEXTS])
{
    out[0] = (struct texts){"site", &by->site, WORD_MAX};
    out[1] = (struct texts){"kind", &by->kind, WORD_MAX};
    out[2] = (struct texts){"tenant", &by->tenant, LANE_WORD_MAX};
    out[3] = (struct texts){"target", &by->target, STORE_TARGET_MAX};
    out[4] = (struct texts){"queue", &by->lane, LANE_NAME - 1};
}

/* ---- of a query ---- */

static bool query_states(struct request *r, unsigned *out)
{
    struct span text, one;
    enum job_state state;
    if (!request_query(r, "state", &text))
        return true;
    while (span_next(&text, ',', &one)) {
        if (!job_state_parse(one, &state)) {
            answer_problem(
                r, 400, "bad_parameter",
                "state must be scheduled, ready, active, succeeded, dead, cancelled, "
                "expired or blocked, or some of them with commas between");
            return false;
        }
        *out |= bit(state);
    }
    return true;
}

static bool query_choice(struct request *r, const char *name, const char *const *names,
                         int *out)
{
    struct span text;
    if (!request_query(r, name, &text))
        return true;
    for (int i = 0; names[i]; i++)
        if (span_is(text, names[i])) {
            *out = i;
            return true;
        }
    const char *near = text_nearest(text, names);
    struct buf known = BUF(1024);
    for (size_t i = 0; names[i]; i++)
        buf_fmt(&known, "%s%s", i ? ", " : "", names[i]);
    answer_problem(r, 400, "bad_parameter", "%s is none of %.*s%s%s", name,
                   SP(buf_span(&known)), near ? "; did you mean " : "", near ? near : "");
    buf_free(&known);
    return false;
}

static bool query_texts(struct request *r, struct arena *a, struct jobs_filter *by)
{
    struct texts all[TEXTS];
    struct span text;
    list_texts(by, all);
    for (int i = 0; i < TEXTS; i++) {
        if (!request_query(r, all[i].name, &text))
            continue;
        if (!text.n || text.n > all[i].most) {
            answer_problem(r, 400, "bad_parameter", "%s must have 1 to %zu bytes", all[i].name,
                           all[i].most);
            return false;
        }
        *all[i].to = arena_keep(a, text);
    }
    return true;
}

static const char label_prefix[] = "label.";

/* ?label.team=press */
static bool query_labels(struct request *r, struct arena *a, struct span *out)
{
    struct query_pair pairs[LABELS_MOST];
    struct labels labels = {0};
    struct buf text = BUF(LABELS_TEXT);
    size_t count = request_query_all(r, label_prefix, pairs, LABELS_MOST);
    bool fine = count <= LABELS_MOST;
    for (size_t i = 0; fine && i < count; i++)
        fine = label_name_valid(pairs[i].name) && label_value_valid(pairs[i].value) &&
               labels_set(&labels, pairs[i].name, pairs[i].value);
    labels_write(&labels, &text);
    *out = arena_keep(a, buf_span(&text));
    buf_free(&text);
    if (!fine)
        answer_problem(r, 400, "bad_parameter",
                       "a label is asked for as label.NAME=VALUE, such as label.team=press; at "
                       "most %d of them",
                       LABELS_MOST);
    return fine;
}

static bool query_filter(struct request *r, struct arena *a, struct jobs_filter *by)
{
    static const char *const yes_no[] = {"false", "true", NULL};
    const char *failures[FAILURE_COUNT + 1] = {NULL};
    int held = 0;
    for (int i = 0; i < FAILURE_COUNT; i++)
        failures[i] = failure_name((enum failure_class)i);
    *by = jobs_filter_all();
    if (!query_states(r, &by->states) || !query_texts(r, a, by) ||
        !query_labels(r, a, &by->labels) || !query_choice(r, "class", classes, &by->class) ||
        !query_choice(r, "failure", failures, &by->failure) ||
        !query_choice(r, "held", yes_no, &held) ||
        !query_time(r, "created_after", &by->since_ms) ||
        !query_time(r, "created_before", &by->until_ms))
        return false;
    by->held = held != 0;
    return true;
}

/* ---- GET /v1/jobs ---- */

enum { SORT_NEWEST, SORT_OLDEST, SORT_ENDED_LAST, SORT_ENDED_FIRST };
static const char *const sorts[] = {"-created_at", "created_at", "-finished_at", "finished_at",
                                    NULL};
static const unsigned ended_states = 0xf0;

enum counting { COUNT_NONE, COUNT_ESTIMATE, COUNT_EXACT };
static const char *const countings[] = {"none", "estimate", "exact", NULL};

struct listing {
    struct jobs_find find;
    struct jobs_found found;
    struct cursor at; /* of this list; where it stands is filled in */
    bool by_cursor;
    enum counting counting;
    int64_t total; /* jobs in these states */
    struct count count;
};

static err run_list(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct listing *l = args;
    return store_jobs_find(s, &l->find, now, a, &l->found, f);
}

static void add_link(struct buf *out, struct request *r, const char *cursor)
{
    static const char *const kept[] = {
        "limit",         "sort",           "state", "site",   "kind",
        "tenant",        "target",         "queue", "class",  "failure",
        "created_after", "created_before", "held",  "fields", NULL};
    buf_fmt(out, "</v1/jobs?cursor=%s", cursor);
    for (size_t i = 0; kept[i]; i++)
        request_query_copy(r, kept[i], out);
    struct query_pair pairs[LABELS_MOST];
    size_t count = request_query_all(r, label_prefix, pairs, LABELS_MOST);
    for (size_t i = 0; i < count; i++)
        buf_fmt(out, "&%s%.*s=%.*s", label_prefix, SP(pairs[i].name), SP(pairs[i].raw));
    buf_add_text(out, ">; rel=\"next\"");
    buf_add_char(out, '\0');
}

static void put_count(struct json_w *w, const struct count *n)
{
    json_key(w, "counts");
    json_open(w);
    json_kv_cstr(w, "kind", n->more ? "gte" : n->guessed ? "estimate" : "exact");
    json_kv_int(w, "value", n->value);
    json_close(w);
}

/* Behind this many rows of the page: one more was asked for; or not all was looked at. False: there is no more. */
static bool stand_behind(struct listing *l, size_t rows)
{
    bool cut = l->found.count > rows;
    const struct job_view *last = cut ? &l->found.jobs[rows - 1] : NULL;
    span_copy(span_of(cut ? last->id : l->found.next), l->at.id, sizeof l->at.id);
    if (l->find.by_end)
        l->at.place = cut ? last->finished_ms : l->found.next_ended_ms;
    else
        l->at.place = cut ? last->number : l->found.next_number;
    return l->at.id[0] != '\0';
}

static void answer_listed(struct call *c)
{
    struct listing *l = c->more;
    size_t most = l->found.count < c->page ? l->found.count : c->page;
    char cursor[CURSOR_TEXT] = "";
    struct buf body = answer_buf(), link = BUF(8192);
    struct json_w w = view_list(&body);
    bool more =
        stand_behind(l, pick_jobs(c->request, c->api->json, l->found.jobs, most, &body, &w));
    view_list_page(&w, c->page, more ? span_of(l->at.id) : SPAN_NONE);
    json_kv_cstr(&w, "next_cursor", more ? cursor_write(&l->at, cursor) : NULL);
    json_close(&w);
    if (l->counting != COUNT_NONE)
        put_count(&w, &l->count);
    json_close(&w);
    buf_add_char(&body, '\n');
    if (more)
        add_link(&link, c->request, cursor);
    answer_json(c->request, 200, &body,
                (const char *const[]){link.n && !link.failed ? "Link" : NULL, link.p, NULL});
    buf_free(&link);
}

/* The newest are not like the others where a list is bounded in time: such ones are counted. */
static void count_listed(struct call *c, struct listing *l)
{
    const struct jobs_filter *by = &l->find.filter;
    bool guess = l->counting == COUNT_ESTIMATE && !by->since_ms && !by->until_ms;
    l->count = (struct count){.filter = *by,
                              .most = guess ? INT64_MAX : COUNT_MOST,
                              .most_ms = COUNT_MS,
                              .guess = guess,
                              .total = l->total,
                              .value = (int64_t)l->found.count};
    count_start(c, &l->count, answer_listed);
}

static void on_listed(struct call *c)
{
    struct listing *l = c->more;
    if (c->op.result == E_NOT_FOUND && l->by_cursor) {
        answer_problem(c->request, 410, "cursor_expired",
                       "the job where the cursor stands is gone: begin without a cursor");
        return;
    }
    if (call_failed(c))
        return;
    if (l->counting == COUNT_NONE)
        answer_listed(c);
    else
        count_listed(c, l);
}

/* ---- of a request whose answer was lost ---- */

struct keyed {
    struct span tenant, key;
    struct job_view job;
    bool found;
};

static err run_keyed(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct keyed *k = args;
    char id[ID_TEXT];
    err e = store_keyed(s, k->tenant, k->key, now, id, f);
    if (!e)
        e = store_job(s, span_of(id), now, a, &k->job, f);
    k->found = !e;
    if (e == E_NOT_FOUND) { /* nor is a job there that was deleted meanwhile */
        *f = (struct fault){0};
        return E_OK;
    }
    return e;
}

static void on_keyed(struct call *c)
{
    const struct keyed *k = c->more;
    if (call_failed(c))
        return;
    struct buf body = answer_buf();
    struct json_w w = view_list(&body);
    if (k->found)
        view_job(&w, &k->job, c->api->json, false);
    answer_list(c->request, 200, &body, &w, 1, SPAN_NONE);
}

static void list_keyed(struct api *a, struct request *r, struct span id, struct span key)
{
    static const char *const with[] = {"idempotency_key", "tenant", "fields", NULL};
    struct span other = request_query_unknown(r, with), tenant = SPAN("default");
    struct call *c = call_new(a, r, id);
    struct keyed *k = arena_get(c->op.arena, sizeof *k);
    if (other.n) {
        answer_problem(r, 400, "bad_parameter",
                       "a request with that key made one job at most: with idempotency_key "
                       "only tenant and fields can be given, not %.*s",
                       SP(span_cut(other, 0, 40)));
        return;
    }
    (void)request_query(r, "tenant", &tenant);
    if (!key_read(key, c->key) || !tenant.n || tenant.n > LANE_WORD_MAX) {
        answer_problem(r, 400, "bad_parameter",
                       "idempotency_key must be the 1 to %d visible characters of the request",
                       REQUEST_KEY_MAX);
        return;
    }
    *k = (struct keyed){.tenant = arena_keep(c->op.arena, tenant), .key = span_of(c->key)};
    c->more = k;
    call_work(c, STORE_READ, run_keyed, k, on_keyed);
}

/* What a list is about, as its cursor has it: what must stay the same from page to page. */
static const char *const marked[CURSOR_MARKS] = {
    "state", "site",    "kind", "tenant",        "target",         "queue",
    "class", "failure", "held", "created_after", "created_before", "label"};
static void mark(const struct jobs_filter *by, uint16_t out[CURSOR_MARKS])
{
    const int64_t numbers[] = {by->states, by->class + 1, by->failure + 1,
                               by->held,   by->since_ms,  by->until_ms};
    struct span n[6];
    for (size_t i = 0; i < 6; i++)
        n[i] = (struct span){(const char *)&numbers[i], numbers[i] ? sizeof numbers[i] : 0};
    const struct span values[CURSOR_MARKS] = {n[0],       by->site, by->kind, by->tenant,
                                              by->target, by->lane, n[1],     n[2],
                                              n[3],       n[4],     n[5],     by->labels};
    for (size_t i = 0; i < CURSOR_MARKS; i++)
        out[i] = cursor_mark(values[i]);
}

/* ?cursor=: of this very list. False: answered 400. */
static bool query_cursor(struct call *c, struct listing *l)
{
    struct span text, after;
    struct cursor is;
    struct request *r = c->request;
    if (!request_query(r, "cursor", &text))
        return true;
    if (request_query(r, "after", &after)) {
        answer_problem(r, 400, "bad_parameter",
                       "a list goes on behind one of cursor and after");
        return false;
    }
    if (!cursor_read(text, &is) || is.sort > SORT_ENDED_FIRST ||
        (is.sort >= SORT_ENDED_LAST && !is.place)) {
        answer_problem(r, 400, "cursor_invalid",
                       "cursor must be the next_cursor of the page before, as it was given");
        return false;
    }
    const char *other = is.sort != l->at.sort ? "sort" : NULL;
    for (size_t i = 0; !other && i < CURSOR_MARKS; i++)
        other = is.marks[i] != l->at.marks[i] ? marked[i] : NULL;
    if (other) {
        answer_problem(
            r, 400, "cursor_invalid",
            "the cursor is of a list with another %s%s%s: ask for the same as on the "
            "page before, or begin without a cursor",
            other, is.sort != l->at.sort ? ", " : "",
            is.sort != l->at.sort ? sorts[is.sort] : "");
        return false;
    }
    l->by_cursor = true;
    l->find.after = arena_keep(c->op.arena, span_of(is.id));
    l->find.after_ended_ms = l->find.by_end ? is.place : 0;
    l->find.after_number = l->find.by_end ? 0 : is.place;
    return true;
}

/* What has not ended has no place in the order of ends. */
static bool query_sort(struct request *r, int sort, struct listing *l)
{
    unsigned *states = &l->find.filter.states;
    l->at.sort = sort;
    l->find.oldest_first = sort == SORT_OLDEST || sort == SORT_ENDED_FIRST;
    l->find.by_end = sort == SORT_ENDED_FIRST || sort == SORT_ENDED_LAST;
    if (!l->find.by_end)
        return true;
    if (*states && !(*states & ended_states)) {
        answer_problem(r, 400, "bad_parameter",
                       "sort=%s lists jobs that have ended: state must be succeeded, dead, "
                       "cancelled or expired, or some of them with commas between",
                       sorts[sort]);
        return false;
    }
    *states = *states ? *states & ended_states : ended_states;
    return true;
}

static int64_t jobs_in(const struct api *a, unsigned states)
{
    struct api_status status = {0};
    int64_t sum = 0;
    a->config.status(a->config.ctx, &status);
    for (int i = 0; i < JOB_STATES; i++)
        sum += !states || states & bit((enum job_state)i) ? status.queue.by_state[i] : 0;
    return sum;
}

static bool query_after(struct call *c, struct span *out)
{
    struct span after;
    if (!request_query(c->request, "after", &after))
        return true;
    if (!id_valid(after, "job")) {
        answer_problem(c->request, 400, "bad_parameter", "after must be the id of a job");
        return false;
    }
    *out = arena_keep(c->op.arena, after);
    return true;
}

void jobs_list(struct api *a, struct request *r, struct span id)
{
    int64_t limit = LIST_LIMIT;
    struct span key;
    int sort = SORT_NEWEST, counting = COUNT_NONE;
    if (request_query(r, "idempotency_key", &key)) {
        list_keyed(a, r, id, key);
        return;
    }
    if (!query_number(r, "limit", 1, LIST_MAX, &limit) ||
        !query_choice(r, "sort", sorts, &sort) ||
        !query_choice(r, "count", countings, &counting))
        return;
    struct call *c = call_new(a, r, id);
    struct listing *l = arena_new_of(c->op.arena, struct listing);
    l->find.limit = (size_t)limit + 1;
    l->counting = (enum counting)counting;
    c->page = (size_t)limit;
    c->more = l;
    if (!query_filter(r, c->op.arena, &l->find.filter) || !query_after(c, &l->find.after))
        return;
    mark(&l->find.filter, l->at.marks);
    if (!query_sort(r, sort, l) || !query_cursor(c, l))
        return;
    if (l->counting == COUNT_ESTIMATE)
        l->total = jobs_in(a, l->find.filter.states);
    call_work(c, STORE_READ, run_list, l, on_listed);
}

/* ---- POST /v1/jobs/actions: what is asked for ---- */

/* Which jobs an action can be done to, where nobody says which. */
static const struct action {
    const char *name;
    enum operation_kind kind;
    unsigned states;
} actions[] = {
    {"cancel", OPERATION_CANCEL, 0xf},   /* all that have not ended */
    {"retry", OPERATION_REPLAY, 0xe0},   /* dead, cancelled, expired */
    {"delete", OPERATION_DELETE, 0xf0},  /* all that have ended */
    {"hold", OPERATION_HOLD, 0x7},       /* all that wait */
    {"release", OPERATION_RELEASE, 0x3}, /* likewise; ready ones are held by nobody */
    {"set_priority", OPERATION_PRIORITY, 0x7},
};
enum { ACTIONS = sizeof actions / sizeof *actions };
_Static_assert(JOB_ACTIVE == 3 && JOB_EXPIRED == 7 && JOB_DEAD == 5 && JOB_SUCCEEDED == 4,
               "the bits above");

struct acting {
    struct operation_call call; /* first: operations_answer() looks at it */
    const struct action *action;
    bool dry;
    /* of a dry run */
    struct count count;
    struct jobs_found shown;
};

static void read_states(struct body *b, struct json filter, unsigned *out)
{
    struct json v;
    struct span text = SPAN_NONE;
    enum job_state state;
    bool list = body_given(filter, "state", &v) && json_is(v, JSON_ARRAY);
    if (!body_given(filter, "state", &v))
        return;
    for (struct json_iter i = json_each(v); list && json_next(&i);) {
        if (!json_text(i.value, &text) || !job_state_parse(text, &state))
            body_refuse_name(b, SPAN("/filter/state"), text, state_names());
        else
            *out |= bit(state);
    }
    if (list)
        return;
    if (!json_text(v, &text) || !job_state_parse(text, &state))
        body_refuse_name(b, SPAN("/filter/state"), text, state_names());
    else
        *out |= bit(state);
}

static void read_times(struct body *b, struct json filter, struct jobs_filter *by)
{
    wall when;
    if (body_time(b, filter, "/filter", "created_after", &when))
        by->since_ms = when.ms;
    if (body_time(b, filter, "/filter", "created_before", &when))
        by->until_ms = when.ms;
}

static void read_filter(struct body *b, struct json root, struct jobs_filter *by)
{
    static const char *const members[] = {
        "state",   "site", "kind",          "tenant",         "target", "queue", "class",
        "failure", "held", "created_after", "created_before", "labels", NULL};
    struct json filter;
    struct texts texts[TEXTS];
    *by = jobs_filter_all();
    list_texts(by, texts);
    if (!body_given(root, "filter", &filter) || !json_is(filter, JSON_OBJECT)) {
        body_refuse(b, SPAN("/filter"), "required",
                    "says which jobs: {\"state\":\"ready\",\"site\":\"x\"}; all of them: {}");
        return;
    }
    body_members(b, filter, "/filter", members);
    read_states(b, filter, &by->states);
    for (int i = 0; i < TEXTS; i++)
        body_text(b, filter, "/filter", texts[i].name, texts[i].most, texts[i].to);
    body_choice(b, filter, "/filter", "class", classes, &by->class);
    body_failure(b, filter, "/filter", "failure", &by->failure);
    body_flag(b, filter, "/filter", "held", &by->held);
    order_labels(b, filter, "/filter", false, &by->labels);
    read_times(b, filter, by);
}

static void read_action(struct body *b, struct json root, const struct action **out)
{
    const char *names[ACTIONS + 1] = {NULL};
    int at = -1;
    struct json v;
    for (int i = 0; i < ACTIONS; i++)
        names[i] = actions[i].name;
    if (!body_given(root, "action", &v))
        body_refuse(b, SPAN("/action"), "required",
                    "says what is done: cancel, retry, delete, hold, release or set_priority");
    else
        body_choice(b, root, "", "action", names, &at);
    *out = at >= 0 ? &actions[at] : NULL;
}

/* Members that belong to some actions only. */
static void read_extras(struct body *b, struct json root, const struct action *action,
                        struct operation_args *args)
{
    struct json v;
    int64_t prio = -1;
    enum operation_kind kind = action ? action->kind : OPERATION_KINDS;
    body_number(b, root, "", "priority", 0, 9, &prio);
    if (kind == OPERATION_PRIORITY && !body_given(root, "priority", &v))
        body_refuse(b, SPAN("/priority"), "required", "says which priority they get");
    if (action && kind != OPERATION_PRIORITY && body_given(root, "priority", &v))
        body_refuse(b, SPAN("/priority"), "not_supported", "only set_priority has one");
    if (action && kind != OPERATION_REPLAY && body_given(root, "reset", &v))
        body_refuse(b, SPAN("/reset"), "not_supported", "only retry can begin anew");
    args->prio = prio < 0 ? 0 : (int)prio;
}

static bool read_acting(struct body *b, struct json_parser *parser, struct span text,
                        struct acting *t)
{
    static const char *const members[] = {"action",     "filter",  "limit",
                                          "per_minute", "reset",   "priority",
                                          "reason",     "dry_run", NULL};
    struct operation_args *args = &t->call.args;
    struct json root;
    if (!body_read(b, parser, text, false, members, &root))
        return false;
    read_action(b, root, &t->action);
    read_filter(b, root, &args->jobs);
    body_number(b, root, "", "limit", 1, INT32_MAX, &args->most);
    body_number(b, root, "", "per_minute", 1, OPERATION_RATE_MOST, &args->per_minute);
    body_flag(b, root, "", "reset", &args->reset);
    body_text(b, root, "", "reason", STORE_WHY_MAX, &args->why);
    body_flag(b, root, "", "dry_run", &t->dry);
    read_extras(b, root, t->action, args);
    if (!body_fine(b))
        return false;
    args->kind = t->action->kind;
    if (!args->jobs.states)
        args->jobs.states = t->action->states;
    return true;
}

/* ---- POST /v1/jobs/actions: what is done, or would be ---- */

static err run_action(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct acting *t = args;
    return store_operation_start(s, &t->call.args, now, a, &t->call.view, f);
}

/* Those that come first. */
static err run_examples(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    struct acting *t = args;
    struct jobs_find find = {
        .filter = t->call.args.jobs, .oldest_first = true, .limit = EXAMPLES};
    return store_jobs_find(s, &find, now, a, &t->shown, f);
}

static void on_counted(struct call *c)
{
    const struct acting *t = c->more;
    struct buf body = answer_buf();
    struct json_w w = json_w(&body);
    json_open(&w);
    json_kv_cstr(&w, "object", "dry_run");
    json_kv_cstr(&w, "action", t->action->name);
    json_kv_int(&w, "count", t->count.value);
    /* No more than its limit are touched. */
    bool bounded = t->call.args.most && t->count.value >= t->call.args.most;
    json_kv_cstr(&w, "count_kind", t->count.more && !bounded ? "at_least" : "exact");
    json_key(&w, "examples");
    json_open_array(&w);
    for (size_t i = 0; i < t->shown.count && (int64_t)i < t->count.value; i++)
        view_job(&w, &t->shown.jobs[i], c->api->json, false);
    json_close_array(&w);
    json_close(&w);
    buf_add_char(&body, '\n');
    answer_json(c->request, 200, &body, NULL);
}

/* As many as would be touched, COUNT_MOST at most. */
static void on_examples(struct call *c)
{
    struct acting *t = c->more;
    int64_t limit = t->call.args.most;
    if (call_failed(c))
        return;
    t->count = (struct count){.filter = t->call.args.jobs,
                              .most = limit && limit < COUNT_MOST ? limit : COUNT_MOST,
                              .most_ms = DRY_MS};
    t->count.value =
        (int64_t)t->shown.count < t->count.most ? (int64_t)t->shown.count : t->count.most;
    count_start(c, &t->count, on_counted);
}

void jobs_actions(struct api *a, struct request *r, struct span id)
{
    struct order_refusal refusal = {0};
    bool dry;
    if (!body_is_json(r) || !query_dry_run(r, &dry))
        return;
    struct call *c = call_new(a, r, id);
    struct acting *t = arena_get(c->op.arena, sizeof *t);
    *t = (struct acting){.call.args = {.many = true, .filter = {.failure = -1}}};
    if (!read_acting(&(struct body){&refusal, c->op.arena}, a->json, r->body, t)) {
        answer_refusal(r, &refusal);
        return;
    }
    if (dry || t->dry) {
        c->more = t;
        call_work(c, STORE_READ, run_examples, t, on_examples);
        return;
    }
    make_id(c->id, "opr");
    t->call.args.id = span_of(c->id);
    c->ends_jobs = t->action->kind == OPERATION_CANCEL || t->action->kind == OPERATION_DELETE;
    call_work(c, STORE_WRITE, run_action, t, operations_answer);
}
