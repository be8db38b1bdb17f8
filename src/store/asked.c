/* asked.c - what may be asked of a store. */
#include "store/asked.h"

#include "base/id.h"
#include "base/need.h"
#include "core/labels.h"
#include "store/sessions.h"
#include "store/ticket.h"

enum {
    KEY_MAX = 256,
    WEIGHT_MAX = 10000,
    ACTIVE_MAX = 10000,
    BURST_MAX = 10000,
    DEPTH_MAX = 10000000,
    SESSION_BURST_MAX = 1000,
    SESSION_ACTIVE_MAX = 64,
    QUEUE_FULL_WAIT_MS = 5000,
    CLOSED_WAIT_MS = 60000,
};
static const int64_t EMIT_MAX_MS = 86400000, FORCE_MAX_MS = 86400000;

/* ---- jobs ---- */

static err check_accept(const struct accept_args *a, struct fault *f)
{
    if (a->id.n == 0 || a->id.n >= ID_TEXT)
        return fail(f, E_BAD_INPUT, "the job id is not valid");
    if (a->site.n == 0 || a->site.n >= SITE_NAME || a->lane.n == 0 || a->lane.n >= LANE_NAME ||
        a->kind.n == 0)
        return fail(f, E_BAD_INPUT, "site, kind and lane of a job must be short names");
    if (a->unique_key.n > KEY_MAX)
        return fail(f, E_BAD_INPUT, "a unique key may have %d bytes", KEY_MAX);
    if ((unsigned)a->needs >= NEEDS_COUNT || (unsigned)a->on_conflict > UNIQUE_RUN_AFTER_ACTIVE)
        return fail(f, E_BAD_INPUT,
                    "what the job needs, or what to do about equal work, is not valid");
    if (a->run_at_ms < 0 || a->expires_ms < 0 || a->deadline_ms < 0 || a->attempt_ms < 0 ||
        a->stall_ms < 0)
        return fail(f, E_BAD_INPUT, "the times of a job must be 0 or more");
    if (a->max_fail < 0 || a->max_fail > STORE_FAIL_MAX)
        return fail(f, E_BAD_INPUT, "a job may fail 1 to %d times in a row", STORE_FAIL_MAX);
    if (a->spec.n > STORE_SPEC_MAX)
        return fail(f, E_BAD_INPUT, "the options may have %d bytes", STORE_SPEC_MAX);
    if (a->target.n > TARGET_MAX || a->idempotency_key.n > KEY_MAX)
        return fail(f, E_BAD_INPUT, "the target may have %d bytes, the idempotency key %d",
                    TARGET_MAX, KEY_MAX);
    if ((unsigned)a->mark > MARK_USED || a->variant.n > STORE_SPEC_MAX)
        return fail(f, E_BAD_INPUT, "the mark of the job is not valid");
    if (a->prio < 0 || a->prio > 9 || a->limit < 0)
        return fail(f, E_BAD_INPUT, "the priority must be 0 to 9, the limit 0 or more");
    if (a->pool.n &&
        (!session_pool_valid(a->pool) || !a->operation.n || a->operation.n >= SESSION_NAME))
        return fail(f, E_BAD_INPUT, "the pool of sessions is not valid");
    if (a->counts != ITEM_POST && a->counts != ITEM_USER)
        return fail(f, E_BAD_INPUT, "a job counts posts or users");
    return E_OK;
}

err asked_accept(const struct accept_args *a, struct lane_name *out, struct fault *f)
{
    err e = check_accept(a, f);
    return e ? e : asked_lane(a->lane, out, f);
}

err asked_lane(struct span name, struct lane_name *out, struct fault *f)
{
    if (name.n < LANE_NAME && lane_name_parse(name, out))
        return E_OK;
    return fail(
        f, E_BAD_INPUT,
        "\"%.*s\" is no lane; one is tenant/site/class, the class interactive, normal or bulk",
        SP(span_cut(name, 0, 60)));
}

/* ---- jobs by what they are ---- */

err asked_no_after(struct span id, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no job %.*s to go on after", SP(span_cut(id, 0, 60)));
}

err asked_after_runs(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "job %.*s has not ended: a list in the order of ends cannot go on after it",
                SP(span_cut(id, 0, 60)));
}

err asked_filter(const struct jobs_filter *by, struct fault *f)
{
    if (by->site.n >= SITE_NAME || by->kind.n >= SITE_NAME || by->target.n > TARGET_MAX ||
        by->lane.n >= LANE_NAME || by->tenant.n > LANE_WORD_MAX ||
        by->failure >= FAILURE_COUNT || by->class >= LANE_CLASSES ||
        by->states >= 1U << JOB_STATES || by->since_ms < 0 || by->until_ms < 0 ||
        by->labels.n > LABELS_TEXT)
        return fail(f, E_BAD_INPUT, "the filter of jobs is not valid");
    return E_OK;
}

struct span asked_lane_filed(const struct jobs_filter *by, char out[FILED_LANE])
{
    snprintf(out, FILED_LANE, "%s%.*s", by->labels.n ? "+" : "", SP(by->lane));
    return span_of(out);
}

struct span asked_lane_of(struct span filed)
{
    return span_cut(filed, span_starts(filed, SPAN("+")), filed.n);
}

static bool is_or_any(struct span wanted, struct span is)
{
    return !wanted.n || span_eq(wanted, is);
}

bool jobs_filter_matches(const struct jobs_filter *by, const struct jobs_facts *job)
{
    struct lane_name lane = {0};
    if ((by->states && !(by->states & 1U << job->state)) ||
        (by->failure >= 0 && by->failure != (int)job->failure) || (by->held && !job->held) ||
        job->created_ms < by->since_ms || (by->until_ms && job->created_ms > by->until_ms))
        return false;
    if (!is_or_any(by->lane, job->lane) || !is_or_any(by->site, job->site) ||
        !is_or_any(by->kind, job->kind) || !is_or_any(by->target, job->target))
        return false;
    if (by->labels.n && !labels_match(job->spec, by->labels))
        return false;
    if (!by->tenant.n && by->class < 0)
        return true;
    return lane_name_parse(job->lane, &lane) && is_or_any(by->tenant, lane.tenant) &&
           (by->class < 0 || by->class == (int)lane.class);
}

/* ---- a job that waits is changed ---- */

static bool is_time(int64_t ms)
{
    return ms >= CHANGE_NOT && ms < STORE_HELD_MS;
}

err asked_change(const struct job_change *c, struct fault *f)
{
    if ((unsigned)c->hold > HOLD_OFF || c->prio < CHANGE_PRIO_OF_LANE || c->prio > 9 ||
        c->limit < CHANGE_NOT)
        return fail(f, E_BAD_INPUT, "the priority must be 0 to 9, the limit 0 or more");
    if (!is_time(c->run_at_ms) || !is_time(c->expires_ms) || !is_time(c->deadline_ms) ||
        !is_time(c->attempt_ms) || !is_time(c->stall_ms))
        return fail(f, E_BAD_INPUT, "the times of a job must be 0 or more");
    if (c->spec.n > STORE_SPEC_MAX || c->why.n > STORE_WHY_MAX)
        return fail(f, E_BAD_INPUT, "the options may have %d bytes, and why %d", STORE_SPEC_MAX,
                    STORE_WHY_MAX);
    struct labels labels;
    return labels_read(&labels, c->labels)
               ? E_OK
               : fail(f, E_BAD_INPUT, "the labels of a job are not valid");
}

bool asked_labels_only(const struct job_change *c)
{
    return c->labels.n && c->hold == HOLD_AS_IT_IS && c->prio == CHANGE_NOT &&
           c->run_at_ms == CHANGE_NOT && c->expires_ms == CHANGE_NOT &&
           c->deadline_ms == CHANGE_NOT && c->attempt_ms == CHANGE_NOT &&
           c->stall_ms == CHANGE_NOT && c->limit == CHANGE_NOT;
}

err asked_options_long(struct fault *f)
{
    return fail(f, E_TOO_BIG, "the options may have %d bytes", STORE_SPEC_MAX);
}

err asked_labels_full(struct span id, struct fault *f)
{
    return fail(f, E_TOO_BIG, "job %.*s would have more than %d labels", SP(id), LABELS_MOST);
}

const char *asked_change_event(enum job_hold hold)
{
    static const char *const names[] = {
        [HOLD_AS_IT_IS] = "job.changed", [HOLD_ON] = "job.held", [HOLD_OFF] = "job.unheld"};
    need((unsigned)hold < sizeof names / sizeof *names);
    return names[hold];
}

err asked_waits(struct span id, enum job_state state, struct fault *f)
{
    return fail(
        f, E_CONFLICT,
        state == JOB_ACTIVE
            ? "job %.*s is %s: only a job that waits can be changed; cancel this one, or "
              "rerun it otherwise"
            : "job %.*s is %s: only a job that waits can be changed; rerun it otherwise",
        SP(id), job_state_name(state));
}

err asked_has_more(struct span id, int64_t have, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "job %.*s has %lld records already: its limit cannot be below that", SP(id),
                (long long)have);
}

err asked_shared(struct span id, struct span with, struct fault *f)
{
    return fail(
        f, E_CONFLICT,
        "job %.*s waits for the result of job %.*s; cancel that one, or change it first",
        SP(with), SP(id));
}

err asked_revision(struct span id, int64_t revision, struct fault *f)
{
    return fail(f, E_STALE, "job %.*s was changed meanwhile: it is at revision r%lld now",
                SP(id), (long long)revision);
}

err asked_ended(struct span id, enum job_state state, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "job %.*s is %s: only a job that has ended goes; cancel it first", SP(id),
                job_state_name(state));
}

err asked_needed(struct span id, struct fault *f)
{
    return fail(
        f, E_CONFLICT,
        "another job has the result of job %.*s, or waits for it: delete that one first",
        SP(id));
}

static err come_later(err e, int64_t wait_ms, struct fault *f)
{
    if (f && !f->code)
        f->wait_ms = wait_ms;
    return e;
}

int64_t asked_least(int64_t a, int64_t b)
{
    if (a <= 0 || b <= 0)
        return a > b ? a : b;
    return a < b ? a : b;
}

err asked_mode(enum store_mode mode, struct fault *f)
{
    if (mode != MODE_DRAINING && mode != MODE_MAINTENANCE)
        return E_OK;
    err e = come_later(mode == MODE_DRAINING ? E_DRAINING : E_MAINTENANCE, CLOSED_WAIT_MS, f);
    return fail(f, e, "the service takes no jobs now (mode %s)", mode_name(mode));
}

err asked_closed(struct span lane, struct fault *f)
{
    err e = come_later(E_CLOSED, CLOSED_WAIT_MS, f);
    return fail(f, e, "lane %.*s takes no jobs now: it was closed", SP(lane));
}

err asked_depth(struct span lane, int64_t depth, struct fault *f)
{
    err e = come_later(E_BUSY, QUEUE_FULL_WAIT_MS, f);
    return fail(
        f, e,
        "%lld jobs wait in lane %.*s, as many as may (its max_depth); try again later, or "
        "raise that",
        (long long)depth, SP(lane));
}

err asked_full(int64_t ready_max, struct fault *f)
{
    err e = come_later(E_BUSY, QUEUE_FULL_WAIT_MS, f);
    return fail(f, e, "%lld jobs are waiting already; try again later", (long long)ready_max);
}

err asked_items(const struct store_item *items, size_t count, enum item_kind last,
                bool of_users, struct span job, struct fault *f)
{
    if (count > ORD_PER_BATCH)
        return fail(f, E_TOO_BIG, "a batch may hold %d records", ORD_PER_BATCH);
    for (size_t i = 0; i < count; i++) {
        const struct store_item *it = &items[i];
        if ((unsigned)it->kind > last || it->id.n == 0)
            return fail(f, E_BAD_INPUT, "record %zu of the batch has no id or an unknown kind",
                        i);
        if (it->kind == ITEM_POST && of_users)
            return fail(f, E_BAD_INPUT,
                        "record %zu of the batch is a post; job %.*s is about users", i,
                        SP(span_cut(job, 0, 60)));
    }
    return E_OK;
}

err asked_disk(int64_t free_bytes, const char *dir, struct fault *f)
{
    return fail(
        f, E_DISK_FULL,
        "%lld MiB are free in %.120s, too little to accept a job; free some or lower store.disk_floor",
        (long long)(free_bytes >> 20), dir);
}

int64_t asked_lanes_most(int64_t lanes_max)
{
    return lanes_max > 0 ? lanes_max : LANES_MAX;
}

err asked_lanes_full(int64_t lanes_max, struct fault *f)
{
    err e = come_later(E_BUSY, CLOSED_WAIT_MS, f);
    return fail(
        f, e,
        "there are %lld lanes, as many as there may be; raise queue.lanes_max, or use fewer classes, "
        "tenants and pools: a lane goes a week after its last job",
        (long long)asked_lanes_most(lanes_max));
}

err asked_batch(const struct commit_args *args, enum item_kind counts, struct fault *f)
{
    if (args->cursor.n > STORE_CURSOR_MAX)
        return fail(f, E_BAD_INPUT, "a cursor may have %d bytes, this one has %zu",
                    STORE_CURSOR_MAX, args->cursor.n);
    if (args->filtered < 0 || args->filtered > ORD_PER_BATCH)
        return fail(f, E_TOO_BIG, "a batch may leave out %d records", ORD_PER_BATCH);
    return asked_items(args->items, args->count, ITEM_CONFLICT, counts == ITEM_USER, args->id,
                       f);
}

err asked_operation(const struct operation_args *a, struct fault *f)
{
    const struct dead_filter *by = &a->filter;
    if (!id_valid(a->id, "opr"))
        return fail(f, E_BAD_INPUT, "the id of the operation is not valid");
    if (by->site.n >= SITE_NAME || by->kind.n >= SITE_NAME || by->failure >= FAILURE_COUNT ||
        (by->fingerprint.n && !fingerprint_valid(by->fingerprint)))
        return fail(f, E_BAD_INPUT, "the filter of the operation is not valid");
    if (a->many && asked_filter(&a->jobs, NULL))
        return asked_filter(&a->jobs, f);
    if (a->many && ((unsigned)a->kind >= OPERATION_KINDS || a->most < 0 || a->prio < 0 ||
                    a->prio > 9 || a->why.n > STORE_WHY_MAX))
        return fail(f, E_BAD_INPUT,
                    "what is done to the jobs, to how many, or why is not valid");
    if (!a->many && a->kind != OPERATION_REPLAY && a->kind != OPERATION_DELETE &&
        a->kind != OPERATION_CANCEL)
        return fail(f, E_BAD_INPUT, "dead jobs can be replayed or deleted");
    if (a->per_minute < 0 || a->per_minute > OPERATION_RATE_MOST)
        return fail(f, E_BAD_INPUT, "the rate may be 1 to %d a minute", OPERATION_RATE_MOST);
    return E_OK;
}

err asked_repair(const struct repair_args *a, struct fault *f)
{
    if (a->done && (a->verdict == VERDICT_NONE || a->verdict >= VERDICT_COUNT))
        return fail(f, E_BAD_INPUT, "a job that succeeds has a verdict");
    return asked_items(a->items, a->count, ITEM_UNAVAILABLE, false, a->id, f);
}

/* ---- login sessions ---- */

err asked_session(const struct session_add *a, struct fault *f)
{
    if (a->id.n == 0 || a->id.n >= ID_TEXT || a->site.n == 0 || a->site.n >= SESSION_NAME)
        return fail(f, E_BAD_INPUT, "the session's id or site is not valid");
    if (!session_name_valid(a->name))
        return fail(f, E_BAD_INPUT,
                    "a name has 1 to 32 letters, digits, '-', '_' or '.', and does not "
                    "begin with ses_");
    if (!session_pool_valid(a->pool) || id_valid(a->pool, "ses"))
        return fail(
            f, E_BAD_INPUT,
            "a pool has 1 to 32 letters, digits, '-' or '_', and is not the id of a session");
    if (a->emit_ms < 0 || a->emit_ms > EMIT_MAX_MS || a->burst < 1 ||
        a->burst > SESSION_BURST_MAX)
        return fail(f, E_BAD_INPUT,
                    "the rate must be one job each 0 s to 24 h, with 1 to %d at once",
                    SESSION_BURST_MAX);
    if (a->max_active < 1 || a->max_active > SESSION_ACTIVE_MAX)
        return fail(f, E_BAD_INPUT, "1 to %d jobs may use a session at once",
                    SESSION_ACTIVE_MAX);
    return E_OK;
}

err asked_rotation(const struct session_cookies *a, struct span print_before, const char *print,
                   struct fault *f)
{
    if (!a->rotates)
        return E_OK;
    if (!print_before.n)
        return fail(f, E_CONFLICT, "session %.*s has no cookies yet", SP(a->session));
    if (span_is(print_before, print))
        return fail(f, E_CONFLICT, "session %.*s has these cookies already", SP(a->session));
    return E_OK;
}

/* ---- batches of jobs ---- */

err asked_batch_jobs(size_t count, struct span key, struct fault *f)
{
    if (count > BATCH_ADD_MOST)
        return fail(f, E_TOO_BIG, "at most %d jobs at once; add the others to an open batch",
                    BATCH_ADD_MOST);
    if (key.n > KEY_MAX)
        return fail(f, E_BAD_INPUT, "the idempotency key may have %d bytes", KEY_MAX);
    return E_OK;
}

err asked_batch_new(const struct batch_args *a, struct fault *f)
{
    if (!id_valid(a->id, "bat"))
        return fail(f, E_BAD_INPUT, "the id of the batch is not valid");
    if (a->name.n > BATCH_NAME_MOST || a->tenant.n >= SITE_NAME)
        return fail(f, E_BAD_INPUT, "the name of a batch may have %d bytes", BATCH_NAME_MOST);
    if (a->stop_after < 0 || a->stop_after > BATCH_STOP_MOST)
        return fail(f, E_BAD_INPUT, "a batch stops after 1 to %d failures", BATCH_STOP_MOST);
    if (a->parallel < 0 || a->parallel > BATCH_PARALLEL_MOST)
        return fail(f, E_BAD_INPUT, "1 to %d jobs of a batch run at once", BATCH_PARALLEL_MOST);
    if (a->count == 0 && !a->open)
        return fail(f, E_BAD_INPUT, "a batch without jobs must be open");
    for (int i = 0; i < BATCH_CALLS; i++)
        if (a->calls[i].n > TICKET_MAX)
            return fail(f, E_TOO_BIG, "the job of a callback is too long");
    return asked_batch_jobs(a->count, a->idempotency_key, f);
}

err asked_child(const struct accept_args *job, struct fault *f)
{
    return job->idempotency_key.n
               ? fail(f, E_BAD_INPUT, "a job of a batch has no key of its own")
               : E_OK;
}

err asked_child_refused(struct batch_reply *reply, size_t index, err code, struct span words,
                        struct arena *a, struct fault *f)
{
    struct batch_refusal *r = &reply->refused[reply->refused_count];
    *r = (struct batch_refusal){.index = index, .code = code, .words = arena_keep(a, words)};
    if (!r->words.p)
        return fail(f, E_TOO_BIG, "the answer of the job store does not fit");
    reply->refused_count++;
    return E_OK;
}

err asked_batch_refused(const struct batch_reply *reply, bool whole, struct fault *f)
{
    const struct batch_refusal *first = &reply->refused[0];
    if (whole)
        return fail(f, first->code, "job %zu: %.*s", first->index, SP(first->words));
    return fail(f, first->code, "none of the jobs was accepted; job %zu: %.*s", first->index,
                SP(span_cut(first->words, 0, 120)));
}

err asked_child_there(struct span job, struct fault *f)
{
    return fail(f, E_CONFLICT, "job %.*s does this already", SP(job));
}

err asked_no_batch(struct span id, struct fault *f)
{
    return fail(f, E_NOT_FOUND, "there is no batch %.*s", SP(span_cut(id, 0, 60)));
}

err asked_batch_exists(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT, "there is a batch %.*s already", SP(id));
}

err asked_batch_sealed(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT, "batch %.*s is sealed; it takes no more jobs", SP(id));
}

err asked_batch_full(struct fault *f)
{
    return fail(f, E_TOO_BIG, "a batch may have %d jobs; seal it and begin another",
                BATCH_JOBS_MOST);
}

err asked_batch_ended(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT, "all jobs of batch %.*s have ended already", SP(id));
}

err asked_batch_well(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT, "no job of batch %.*s is dead or expired", SP(id));
}

err asked_batch_busy(struct span operation, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "operation %.*s on the batch is running; wait for it, or cancel it",
                SP(operation));
}

err asked_key_used(struct fault *f)
{
    return fail(f, E_BAD_INPUT, "the idempotency key was used before with another request");
}

err asked_no_key(struct fault *f)
{
    return fail(f, E_NOT_FOUND, "no request with that key made a job lately");
}

err asked_operation_exists(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT, "there is an operation %.*s already", SP(id));
}

/* ---- lanes and limits ---- */

static bool in_range(int64_t value, int64_t least, int64_t most)
{
    return value == LANE_UNCHANGED || value == LANE_AS_CONFIGURED ||
           (value >= least && value <= most);
}

err asked_lane_change(const struct lane_change *c, struct fault *f)
{
    const struct lane_settings *set = &c->settings;
    bool says_why = c->act == LANE_ACT_PAUSE || c->act == LANE_ACT_CLOSE ||
                    c->act == LANE_ACT_BREAKER_OPEN || c->act == LANE_ACT_BREAKER_CLOSE;
    if (c->by.n > LANE_NOTE || c->why.n > LANE_NOTE)
        return fail(f, E_BAD_INPUT, "who and why may have %d bytes each", LANE_NOTE);
    if (says_why && !c->why.n)
        return fail(f, E_BAD_INPUT, "say why: whoever finds the lane so wants to know");
    if (c->act == LANE_ACT_SET &&
        (!in_range(set->weight, 1, WEIGHT_MAX) || !in_range(set->max_active, 1, ACTIVE_MAX) ||
         !in_range(set->emit_ms, 0, EMIT_MAX_MS) || !in_range(set->burst, 1, BURST_MAX) ||
         !in_range(set->depth, 0, DEPTH_MAX) || !in_range(set->overflow, 0, OVERFLOWS - 1) ||
         !in_range(set->prio, 0, LANE_PRIORITY_MAX)))
        return fail(
            f, E_BAD_INPUT,
            "weight, jobs at once and burst must be 1 to %d, the distance 0 to a day, the "
            "depth 0 to %d, the default priority 0 to %d",
            ACTIVE_MAX, DEPTH_MAX, LANE_PRIORITY_MAX);
    if ((c->act == LANE_ACT_BREAKER_OPEN || c->act == LANE_ACT_BREAKER_CLOSE) &&
        (c->hold_ms <= 0 || c->hold_ms > FORCE_MAX_MS))
        return fail(f, E_BAD_INPUT, "a breaker is held by hand for a time, a day at most");
    return E_OK;
}

const char *asked_lane_event(enum lane_act act)
{
    static const char *const names[] = {
        [LANE_ACT_SET] = "lane.changed",
        [LANE_ACT_PAUSE] = "lane.paused",
        [LANE_ACT_RESUME] = "lane.resumed",
        [LANE_ACT_CLOSE] = "lane.closed",
        [LANE_ACT_OPEN] = "lane.opened",
        [LANE_ACT_BREAKER_OPEN] = "breaker.opened",
        [LANE_ACT_BREAKER_CLOSE] = "breaker.closed",
        [LANE_ACT_BREAKER_RESET] = "breaker.reset",
        [LANE_ACT_UNBLOCK] = "lane.unblocked",
    };
    _Static_assert(sizeof names / sizeof names[0] == LANE_ACTS, "a name each");
    return names[act];
}

err asked_hand(const struct hand_change *c, struct fault *f)
{
    need((unsigned)c->act < HAND_ACTS);
    if (c->by.n > LANE_NOTE || c->why.n > LANE_NOTE)
        return fail(f, E_BAD_INPUT, "who and why may have %d bytes each", LANE_NOTE);
    if (c->act != HAND_OPEN)
        return E_OK;
    if (!c->why.n)
        return fail(f, E_BAD_INPUT, "say why: whoever finds it so wants to know");
    if (c->hold_ms <= 0 || c->hold_ms > FORCE_MAX_MS)
        return fail(f, E_BAD_INPUT, "a breaker is held by hand for a time, a day at most");
    return E_OK;
}

const char *asked_hand_event(enum hand_act act)
{
    static const char *const names[] = {[HAND_OPEN] = "breaker.opened",
                                        [HAND_CLOSE] = "breaker.closed",
                                        [HAND_RESET] = "breaker.reset"};
    need((unsigned)act < HAND_ACTS);
    return names[act];
}

err asked_session_closes(struct span id, bool cookies, bool refused, bool expired,
                         struct fault *f)
{
    const char *why = !cookies  ? "has no cookies yet"
                      : refused ? "is refused by the site"
                      : expired ? "has cookies that have ended"
                                : NULL;
    return why ? fail(f, E_CONFLICT,
                      "session %.*s %s: give it others with fulmar sessions cookies",
                      SP(span_cut(id, 0, 60)), why)
               : E_OK;
}

err asked_webhook_off(struct span id, struct fault *f)
{
    return fail(f, E_CONFLICT,
                "webhook %.*s is switched off: switch it on with PATCH /v1/webhooks/%.*s "
                "{\"enabled\":true}",
                SP(id), SP(id));
}

/* "its lane was purged by anna: the site is gone" */
static void purge_words(const struct lane_purge *p, char out[PURGE_WORDS])
{
    bool by = p->by.n > 0, why = p->why.n > 0;
    snprintf(out, PURGE_WORDS, "its lane was purged%s%.*s%s%.*s", by ? " by " : "",
             SP(by ? p->by : SPAN("")), why ? ": " : "", SP(why ? p->why : SPAN("")));
}

err asked_purge(const struct lane_purge *p, char out_words[PURGE_WORDS], struct fault *f)
{
    if (p->by.n > LANE_NOTE || p->why.n > LANE_NOTE)
        return fail(f, E_BAD_INPUT, "who and why may have %d bytes each", LANE_NOTE);
    purge_words(p, out_words);
    return E_OK;
}

static bool outside(int64_t value, int64_t least, int64_t most)
{
    return value != LANE_UNCHANGED && (value < least || value > most);
}

err asked_limit(const struct limit_view *v, struct fault *f)
{
    need((unsigned)v->scope < LIMIT_SCOPES);
    if (v->scope == LIMIT_WEBHOOK && !id_valid(v->name, "whk"))
        return fail(f, E_NOT_FOUND, "there is no such webhook");
    if (v->scope == LIMIT_WEBHOOK && outside(v->max_active, 0, WEBHOOK_AT_ONCE_MOST))
        return fail(f, E_BAD_INPUT, "requests to a webhook at once must be 1 to %d, or 0 (%d)",
                    WEBHOOK_AT_ONCE_MOST, WEBHOOK_AT_ONCE);
    if (v->scope != LIMIT_ALL && v->scope != LIMIT_WEBHOOK && !lane_word_is_plain(v->name))
        return fail(f, E_BAD_INPUT, "a tenant or site is a word of letters, digits, _ and -");
    if (outside(v->max_active, 0, 1000000) || outside(v->weight, 0, WEIGHT_MAX) ||
        outside(v->emit_ms, 0, EMIT_MAX_MS) || outside(v->burst, 1, BURST_MAX))
        return fail(
            f, E_BAD_INPUT,
            "jobs at once must be 0 (any number) to 1000000, the weight 1 to %d, the distance 0 to a "
            "day, the burst 1 to %d",
            WEIGHT_MAX, BURST_MAX);
    return E_OK;
}

const char *asked_scope(enum limit_scope scope)
{
    static const char *const names[] = {"all", "tenant", "site", "webhook"};
    need((unsigned)scope < LIMIT_SCOPES);
    return names[scope];
}
