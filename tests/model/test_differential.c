/* The store against the model: the same random operations, and after each the same answer and the
 * same state, row by row. MODEL_OPS=n sets how many operations (100000), MODEL_SEED where they
 * begin; a difference prints seed, step and the last operations.
 *
 * Two tables say where the store is not the model: operations it does not have yet, and rules that
 * it knowingly has otherwise. Who adds the one or changes the other flips a row here. */
#include "model.h"

#include "../lib/makers.h"
#include "core/retry.h"
#include "store/dead.h"
#include "store/lanes.h"

enum {
    EPISODE = 10000,
    EPISODES_MOST = 20,
    TOKENS = 16,
    LOG_LINES = 24,
    ITEM_IDS = 40,
    STORE_SEED = 7,
    RETRY_BASE = 1000,
    RETRY_CAP = 60000
};
static const int64_t T0 = 1800000000000;
/* The first are asked for, the others are where jobs of them go that crashed. */
static const char *const lane_names[] = {"x/normal",
                                         "y/interactive",
                                         "other/z/bulk",
                                         "default/x/quarantine",
                                         "default/y/quarantine",
                                         "other/z/quarantine"};
static const int64_t lane_weights[] = {300, 800, 100, 100, 100, 100};
static const int64_t lane_tenants[] = {1, 1, 0, 1, 1, 0};
static const char *const tenant_names[] = {"other", "default"};
enum { ASKED_LANES = 3, LANES = 6, TENANTS = 2, WORKERS = 4 };

/* ---- where the store is not the model ---- */

/* Rules that the store has otherwise than the design, and why it says so. `set` is what the model
 * is told; a row taken out demands the design's rule of the store. */
static const struct departure {
    const char *design, *store;
    size_t offset;    /* of a bool or a number in struct model_rules */
    int64_t number;   /* 0: a bool to be set */
    bool rare;        /* seldom reached: only a long run shows that it is needed */
    const char *only; /* the one store that departs so; NULL: all */
} departures[] = {
    {"budgets count all troubles of a job",
     "only those in a row without new posts (docs: guarantee 7)",
     offsetof(struct model_rules, progress_renews), 0, false, NULL},
    {"only an ending says whether the site is healthy",
     "an attempt that added posts says so too", offsetof(struct model_rules, progress_healthy),
     0, false, NULL},
    {"a replay raises the bounds of all budgets",
     "it starts those in a row over (throttles: as the design)",
     offsetof(struct model_rules, replay_renews), 0, false, NULL},
    {"a replay is always taken", "not while the queue is full, or takes nothing new",
     offsetof(struct model_rules, replay_bounded), 0, false, NULL},
    {"every crash is followed by a delay", "the first in a row is not",
     offsetof(struct model_rules, crash_at_once), 0, false, NULL},
    {"crashes wait as they come in a row", "as there ever were: what it brings renews no pace",
     offsetof(struct model_rules, crash_pace), 0, false, NULL},
    {"failures and crashes have a bound each", "and one together, that of the failures",
     offsetof(struct model_rules, attempts_together), 0, false, NULL},
    {"a job starts any number of times", "a thousand in a generation",
     offsetof(struct model_rules, starts_max), 1000, true, NULL},
    {"five unhealthy endings in a row open the breaker", "five of different jobs",
     offsetof(struct model_rules, bad_once_per_job), 0, false, NULL},
    {"the amnesty extends all leases", "those that lapsed",
     offsetof(struct model_rules, amnesty_lapsed), 0, false, NULL},
    {"a job may be given back 1000 times, at once",
     "30 times in a row, from the 4th with growing delays",
     offsetof(struct model_rules, release_max), 30, true, NULL},
    {"", "", offsetof(struct model_rules, releases_free), 3, false, NULL},
    {"items are shared and versioned", "each job keeps its own reading, the first stands",
     offsetof(struct model_rules, items_by_job), 0, false, NULL},
    {"a job and its lane wait as long as the server said", "at most a day",
     offsetof(struct model_rules, hint_max_ms), 24 * 3600 * 1000, false, NULL},
    {"a restart forgets whose turn it is, and what breakers counted",
     "it is kept: other nodes go on meanwhile", offsetof(struct model_rules, turns_stay), 0,
     false, "redis"},
};
/* Whether the row is one of the store at hand. */
static bool is_departure(const struct departure *d)
{
    return !d->only || strcmp(d->only, maker->name) == 0;
}

struct world;
/* Operations of the model. Those that the store has not got yet are left out: no function. */
static void op_accept(struct world *w), op_reserve(struct world *w),
    op_started(struct world *w), op_heartbeat(struct world *w), op_commit(struct world *w),
    op_finish(struct world *w), op_reap(struct world *w), op_cancel(struct world *w),
    op_replay(struct world *w), op_retain(struct world *w), op_restart(struct world *w),
    op_wait(struct world *w), op_pause(struct world *w), op_drain(struct world *w),
    op_cap(struct world *w), op_change(struct world *w), op_depth(struct world *w),
    op_priority(struct world *w);
static const struct op {
    const char *name;
    int weight;
    void (*run)(struct world *w);
} ops[] = {
    {"accept", 20, op_accept},
    {"reserve", 24, op_reserve},
    {"started", 8, op_started},
    {"heartbeat", 8, op_heartbeat},
    {"commit", 12, op_commit},
    {"finish", 20, op_finish},
    {"reap and promote", 9, op_reap},
    {"cancel", 3, op_cancel},
    {"retain", 2, op_retain},
    {"wait", 4, op_wait},
    {"replay (T18)", 3, op_replay},
    {"restart", 0, op_restart}, /* slow: by episode, not by weight */
    {"pause of a lane", 1, op_pause},
    {"drain", 1, op_drain},
    {"caps of tenants and of all", 1, op_cap},
    {"change, hold, let go", 4, op_change},
    {"how many may wait in a lane", 1, op_depth},
    {"priority of jobs that name none", 1, op_priority},
    {"accept into a batch, blocked jobs (T3)", 0, NULL},
    {"reserve with a session", 0, NULL},
};
enum { OPS = sizeof ops / sizeof ops[0], OP_RESTART = 11 };
_Static_assert(OP_RESTART < OPS, "the row of `restart`");

/* ---- rows as a store has them: outside of its own code ---- */

enum { COLUMNS = 25 };
struct row {
    char name[LANE_NAME];
    int64_t columns[COLUMNS];
};

/* A job and a lane: name, then the columns in the order of same_job() and same_lanes(). */
#define SQL_JOBS                                                                                                    \
    "SELECT id,state,prio,rank,run_at,fence,coalesce(nonce,0),coalesce(lease_until,0),suspect,started,cancel_req,"  \
    "n_fail,n_crash,n_throttle,n_release,n_ok,n_void,fail_base,crash_base,release_base,progressed,next_batch,have," \
    "coalesce(finished_at,0),generation,coalesce(substr(cursor,2),'0') FROM jobs ORDER BY seq"
#define SQL_LANES                                                                              \
    "SELECT name,lane_id,pass,tat_ms,blocked_until,br_state,br_fails,br_until,br_trips,iif(pace=0,100,pace),pace_since FROM lanes"

static size_t read_rows(sqlite3_stmt *q, struct row *rows, size_t most)
{
    size_t n = 0;
    for (; n < most && sqlite3_step(q) == SQLITE_ROW; n++) {
        snprintf(rows[n].name, sizeof rows[n].name, "%s",
                 (const char *)sqlite3_column_text(q, 0));
        for (int i = 1; i < sqlite3_column_count(q); i++)
            rows[n].columns[i - 1] = sqlite3_column_int64(q, i);
    }
    sqlite3_reset(q);
    return n;
}

/* A connection of its own, open as long as the store is: to read the schema takes longer than all else. */
struct watch {
    sqlite3 *db;
    sqlite3_stmt *jobs, *lanes;
};
static sqlite3_stmt *prepared(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;
    if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return q;
}
static void watch_open(struct watch *watch, const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/fulmar.db", dir);
    assert_int_equal(sqlite3_open_v2(path, &watch->db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    sqlite3_db_config(watch->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    watch->jobs = prepared(watch->db, SQL_JOBS);
    watch->lanes = prepared(watch->db, SQL_LANES);
}
static void watch_close(struct watch *watch)
{
    sqlite3_finalize(watch->jobs);
    sqlite3_finalize(watch->lanes);
    sqlite3_close(watch->db);
    *watch = (struct watch){0};
}

/* Likewise of the hashes in Redis; also that each job is in the index of its state, and nowhere else. */
static const char look_script[] =
    "local P,call='fulmar:{q}:',redis.call "
    "local function N(x) return tonumber(x) or 0 end "
    "local jobs,lanes={},{} "
    "for st=0,7 do for _,id in ipairs(call('ZRANGE',P..'s:'..st,0,-1)) do "
    "local v=call('HMGET',P..'j:'..id,'sq','st','pr','rk','ra','fe','no','le','su','sd','cq','nf','nc','nt','nr','nk','nv',"
    "'fb','cb','rb','pg','nb','ha','fa','ge','ln') "
    "local m=string.format('%012d:%s',N(v[1]),id) local l=P..'l:'..(v[26] or '') "
    "local where='' "
    "for k,key in ipairs({l..':0',l..':1',P..'sched',P..'act',P..'done',P..'dead'}) do "
    "if call('ZSCORE',key,m) then where=where..k end end "
    "for k,key in ipairs({l..':b',l..':s'}) do if call('ZSCORE',key,id) then where=where..'bs' end end "
    "if call('SISMEMBER',l..':a',id)==1 then where=where..'a' end "
    "local want=({[0]='bs','3bs','1','4a','5','6','5','5'})[st] "
    "if where==want or (st==2 and where=='2') then where='' else where=' in '..where..' not '..want end "
    "local row={N(v[1]),id..where} "
    "for i=2,25 do row[#row+1]=i==7 and tonumber(v[7] or '0',16) or i==4 and N(v[4])==0 and N(v[5])-N(v[3])*30000 or N(v[i]) end "
    "row[#row+1]=N(string.sub(call('HGET',P..'t:'..id,'cu') or 'c0',2)) "
    "row[3]=st jobs[#jobs+1]=row end end "
    "table.sort(jobs,function(a,b) return a[1]<b[1] end) "
    "for _,name in ipairs(call('ZRANGE',P..'lanes',0,-1)) do "
    "local v=call('HMGET',P..'l:'..name,'n','ps','ta','bu','bs','bf','bt','tr','pc') local row={name} "
    "for i=1,8 do row[#row+1]=N(v[i]) end "
    "local pace,since=string.match(v[9] or '100 0','^(%d+) (%d+)$') "
    "row[10]=N(pace) row[11]=N(since) lanes[#lanes+1]=row end "
    "return {jobs,lanes,call('DBSIZE')}";

/* ---- the two worlds ---- */

struct world {
    void *place;
    struct store *s;
    struct watch watch;
    struct store_limits limits;
    struct row *jobs; /* as the store has them */
    size_t job_count;
    struct row lanes[8];
    size_t lane_count;
    struct arena *a;
    struct model m;
    struct model_rules rules;
    uint64_t random, seed;
    int64_t now, step, ids, nonces;
    struct model_lease tokens[TOKENS];
    int64_t token_count;
    char log[LOG_LINES][160];
    bool calm;  /* time goes slowly: leases last, much falls into one window of the breaker */
    bool shaky; /* most attempts are given back, and without a post */
    bool grouped, open;
    int64_t more; /* operations that join the open group */
    int64_t done[OPS], stale;
    int64_t requests[WORKERS];
    int64_t forgotten[2000]; /* by key: body + 1 of the request that made a job */
};

/* Where a difference leads when a test wants one: a row of `departures` that no longer makes any is
 * a row too many. */
static jmp_buf wanted;
static bool wants_difference;

static _Noreturn void differ(const struct world *w, const char *what, int64_t model,
                             int64_t store)
{
    if (wants_difference)
        longjmp(wanted, 1);
    printf("seed %llu step %lld: %s is %lld in the model, %lld in the store\n",
           (unsigned long long)w->seed, (long long)w->step, what, (long long)model,
           (long long)store);
    for (int64_t i = w->step < LOG_LINES ? 0 : w->step - LOG_LINES + 1; i <= w->step; i++)
        printf("  %lld: %s\n", (long long)i, w->log[i % LOG_LINES]);
    fflush(stdout);
    fail_msg("model and store differ");
    abort();
}

static void same(const struct world *w, const char *what, int64_t model, int64_t store)
{
    if (model != store)
        differ(w, what, model, store);
}

static uint64_t draw(struct world *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random * 0x2545f4914f6cdd1du;
}

static int64_t below(struct world *w, int64_t n)
{
    return (int64_t)(draw(w) >> 20) % n;
}

__attribute__((format(printf, 2, 3))) static void say(struct world *w, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->log[w->step % LOG_LINES], sizeof w->log[0], fmt, ap);
    va_end(ap);
}

static char *id_text(int64_t id, char out[ID_TEXT])
{
    snprintf(out, ID_TEXT, "job_%lld", (long long)id);
    return out;
}

static int64_t id_number(const char *text)
{
    return strtoll(text + 4, NULL, 10);
}

/* The delay itself is a rule of its own with its own tests; here it only has to be the same. */
static int64_t store_delay(int64_t job, int64_t n, int64_t hint_ms)
{
    char id[ID_TEXT];
    struct retry_policy policy = {.base_ms = RETRY_BASE, .cap_ms = RETRY_CAP};
    return retry_delay_ms(&policy, span_of(id_text(job, id)), n < 64 ? (int)n : 64, STORE_SEED,
                          hint_ms);
}

/* Mistakes that a store could make. The comparison must find each of them: it is the model that is
 * made to err, which comes to the same. */
static const struct mutation {
    const char *name;
    size_t offset; /* of a bool in struct model_rules */
    bool value;
} mutations[] = {
    {"no nonce: any write to an active job counts",
     offsetof(struct model_rules, any_active_writes), true},
    {"no suspect pass before a reap", offsetof(struct model_rules, reap_at_once), true},
    {"no amnesty after a sleep", offsetof(struct model_rules, amnesty), false},
    {"a lane's default priority does not count", offsetof(struct model_rules, prio_forgotten),
     true},
    {"a rate stays as it is", offsetof(struct model_rules, pace_forgotten), true},
    {"a full lane takes one more", offsetof(struct model_rules, depth_forgotten), true},
    {"a 429 is charged to the failures", offsetof(struct model_rules, throttle_is_fail), true},
    {"a probe without verdict is forgotten", offsetof(struct model_rules, probe_forgotten),
     true},
    {"a lease lost on the way is a crash", offsetof(struct model_rules, lost_is_crash), true},
    {"a released job goes behind others", offsetof(struct model_rules, released_by_time), true},
};
enum { MUTATIONS = sizeof mutations / sizeof mutations[0] };
static const struct mutation *mutation; /* in force; NULL: none */

enum { DEPARTURES = sizeof departures / sizeof departures[0] };

/* `without` departs as the design does; DEPARTURES: all rows hold. */
static struct model_rules rules_of(const struct store_limits *l, size_t without)
{
    struct model_rules r = model_rules_of_design();
    r.fail_max = l->fail_max;
    r.crash_max = l->crash_max;
    r.throttle_max = l->throttle_max;
    r.lease_ms = l->lease_ms;
    r.suspect_ms = l->lease_ms / 3;
    r.waiting_max = l->ready_max;
    r.pace_least = l->pace.least;
    r.pace_clean_ms = l->pace.clean_ms;
    r.delay = store_delay;
    for (size_t i = 0; i < DEPARTURES; i++) {
        const struct departure *d = &departures[i];
        if (i == without || !is_departure(d))
            continue;
        if (d->number)
            *(int64_t *)(void *)((char *)&r + d->offset) = d->number;
        else
            *(bool *)((char *)&r + d->offset) = true;
    }
    if (mutation)
        *(bool *)((char *)&r + mutation->offset) = mutation->value;
    return r;
}

/* ---- one operation, one group ---- */

/* In some episodes several operations form a group; the rows are looked at when it is written. */
static void begin(struct world *w)
{
    struct fault f = {0};
    if (w->open)
        return;
    if (store_begin(w->s, &f))
        fail_msg("store_begin: %s", f.words);
    w->open = true;
    w->more = w->grouped ? below(w, 6) : 0;
}

static void write_group(struct world *w)
{
    struct fault f = {0};
    if (w->open && store_commit(w->s, &f))
        fail_msg("store_commit: %s", f.words);
    w->open = false;
}

static void end(struct world *w)
{
    if (w->more-- <= 0)
        write_group(w);
}

static wall now(const struct world *w)
{
    return (wall){w->now};
}

/* What the model's answer is called by store.h. */
static err err_of(enum model_word word)
{
    static const err errs[] = {
        [MODEL_OK] = E_OK,
        [MODEL_NONE] = E_NOT_FOUND,
        [MODEL_EXISTS] = E_CONFLICT,
        [MODEL_OTHER_BODY] = E_BAD_INPUT,
        [MODEL_TAKEN] = E_CONFLICT,
        [MODEL_FULL] = E_BUSY,
        [MODEL_DRAINING] = E_DRAINING,
        [MODEL_STALE] = E_STALE,
        [MODEL_DUPLICATE] = E_OK,
        [MODEL_GAP] = E_CONFLICT,
        [MODEL_ASKED] = E_OK,
        [MODEL_FINAL] = E_CONFLICT,
    };
    return errs[word];
}

static bool model_has_key(const struct world *w, int64_t key)
{
    for (int64_t i = 0; i < w->m.job_count; i++) {
        if (w->m.jobs[i].key == key)
            return true;
    }
    return false;
}

static struct model_lease pick_token(struct world *w)
{
    if (w->token_count == 0)
        return (struct model_lease){1 + below(w, w->ids + 1), 12345, 1};
    int64_t most = w->token_count < TOKENS ? w->token_count : TOKENS;
    return w->tokens[(w->token_count - 1 - below(w, most)) % TOKENS];
}

static struct model_accept draw_accept(struct world *w)
{
    struct model_accept a = {.id = below(w, 10) ? w->ids + 1 : 1 + below(w, w->ids + 1),
                             .lane = below(w, ASKED_LANES),
                             .prio = below(w, 10),
                             .prio_free = below(w, 3) == 0,
                             .run_at = below(w, 5) ? w->now : w->now + below(w, 20000),
                             .limit = below(w, 3) ? 0 : 1 + below(w, 6),
                             .fail_max = below(w, 3),
                             .page = below(w, 3) > 0,
                             .memory = below(w, 3) ? 0 : 100 * (1 + below(w, 4))};
    if (below(w, 4) == 0) {
        a.key = 1 + below(w, 12);
        a.body = below(w, 4) ? a.key : 1 + below(w, 9);
    }
    if (below(w, 8) == 0)
        a.expires_at = w->now + 1 + below(w, 30000);
    if (below(w, 8) == 0)
        a.deadline_at = w->now + 1 + below(w, 30000);
    if (below(w, 3) == 0) {
        a.unique = 1 + below(w, 4);
        a.conflict = (enum model_conflict)below(w, 3);
    }
    return a;
}

static void op_accept(struct world *w)
{
    static const enum unique_mode modes[] = {[MODEL_RETURN_EXISTING] = UNIQUE_RETURN_EXISTING,
                                             [MODEL_REJECT] = UNIQUE_REJECT,
                                             [MODEL_REPLACE_WAITING] = UNIQUE_REPLACE_PENDING};
    if (w->m.job_count == MODEL_JOBS)
        return;
    struct model_accept a = draw_accept(w);
    say(w,
        "accept %lld lane %lld prio %lld%s in %lld limit %lld fails %lld key %lld unique %lld/%d",
        (long long)a.id, (long long)a.lane, (long long)a.prio,
        a.prio_free ? " or the lane's" : "", (long long)(a.run_at - w->now), (long long)a.limit,
        (long long)a.fail_max, (long long)a.key, (long long)a.unique, (int)a.conflict);
    char id[ID_TEXT], key[24] = "", unique[24] = "";
    if (a.key)
        snprintf(key, sizeof key, "k%lld", (long long)a.key);
    /* Keys are of a tenant: the model knows none of that, so a key names its tenant too. */
    if (a.unique)
        snprintf(unique, sizeof unique, "u%lld", (long long)a.unique);
    a.unique = a.unique ? 10 * a.unique + lane_tenants[a.lane] : 0;
    a.key = a.key ? 100 * a.key + lane_tenants[a.lane] : 0;
    struct accept_args args = {.id = span_of(id_text(a.id, id)),
                               .site = SPAN("x"),
                               .kind = SPAN("posts"),
                               .target = SPAN("nasa"),
                               .lane = span_of(lane_names[a.lane]),
                               .spec = SPAN("{}"),
                               .prio = a.prio_free ? LANE_PRIORITY : (int)a.prio,
                               .prio_of_lane = a.prio_free,
                               .limit = a.limit,
                               .max_fail = a.fail_max,
                               .needs = a.page ? NEEDS_PAGE : NEEDS_NOTHING,
                               .memory_bytes = a.memory,
                               .run_at_ms = a.run_at,
                               .expires_ms = a.expires_at,
                               .deadline_ms = a.deadline_at,
                               .unique_key = span_of(unique),
                               .on_conflict = modes[a.conflict],
                               .idempotency_key = span_of(key),
                               .request_hash = (uint64_t)a.body};
    struct accept_reply reply = {0};
    begin(w);
    err e = store_accept(w->s, &args, now(w), &reply, NULL);
    end(w);
    /* A key is remembered longer than its job. */
    if (a.key && w->forgotten[a.key] && !model_has_key(w, a.key)) {
        same(w, "answer to a request whose job is gone",
             w->forgotten[a.key] == a.body + 1 ? E_OK : E_BAD_INPUT, e);
        return;
    }
    struct model_reply r = model_accept(&w->m, &w->rules, &a, w->now);
    bool replayed = r.word == MODEL_EXISTS && a.key && model_find(&w->m, r.job)->key == a.key;
    bool existing = r.word == MODEL_TAKEN && a.conflict != MODEL_REJECT;
    same(w, "answer of accept", replayed || existing ? E_OK : err_of(r.word), e);
    if (e)
        return;
    same(w, "id of accept", r.job, id_number(reply.id));
    same(w, "replayed", replayed, reply.replayed);
    same(w, "existing", existing, reply.existing);
    if (r.word == MODEL_OK && a.key)
        w->forgotten[a.key] = a.body + 1;
    if (a.id > w->ids && r.word == MODEL_OK)
        w->ids = a.id;
}

static void op_reserve(struct world *w)
{
    struct lease l;
    int64_t nonce = 1000 + ++w->nonces, worker = below(w, WORKERS), request = 0;
    if (below(w, 3) == 0) /* numbered, and sometimes asked again */
        request =
            below(w, 2) && w->requests[worker] ? w->requests[worker] : ++w->requests[worker];
    char name[8];
    snprintf(name, sizeof name, "w%d", (int)worker);
    int64_t memory = below(w, 2) ? 0 : 1 + 100 * below(w, 4);
    int64_t least = memory || below(w, 4) ? 0 : 100 * (1 + below(w, 4));
    say(w, "reserve by %s request %lld memory %lld to %lld", name, (long long)request,
        (long long)least, (long long)memory);
    struct reserve_args args = {.worker = span_of(name),
                                .random = (uint64_t)nonce,
                                .request = (uint64_t)request,
                                .needs = NEEDS_PAGE,
                                .memory_bytes = memory,
                                .memory_least = least};
    begin(w);
    err e = store_reserve(w->s, &args, now(w), w->a, &l, NULL);
    end(w);
    struct model_reply r = model_reserve(&w->m, &w->rules, worker, request, nonce, memory,
                                         least, w->limits.lease_ms, w->now);
    same(w, "answer of reserve", r.word == MODEL_NONE ? E_END : E_OK, e);
    if (e)
        return;
    const struct model_job *j = model_find(&w->m, r.job);
    say(w, "reserve by %s request %lld gave %lld fence %lld", name, (long long)request,
        (long long)r.job, (long long)r.fence);
    same(w, "job reserved", r.job, id_number(l.id));
    same(w, "fence", r.fence, l.fence);
    same(w, "nonce", j->nonce, (int64_t)l.nonce);
    same(w, "next batch of the lease", j->next_batch, l.next_batch);
    same(w, "posts of the lease", j->have, l.have);
    same(w, "cursor of the lease", j->cursor,
         l.cursor.n ? strtoll(l.cursor.p + 1, NULL, 10) : 0);
    same(w, "quarantine", j->lane >= ASKED_LANES, l.quarantine);
    w->tokens[w->token_count++ % TOKENS] = (struct model_lease){r.job, j->nonce, 1};
}

static void op_pause(struct world *w)
{
    int64_t lane = below(w, ASKED_LANES), paused = below(w, 3) == 0;
    struct lane_change c = {.name = span_of(lane_names[lane]),
                            .act = paused ? LANE_ACT_PAUSE : LANE_ACT_RESUME,
                            .why = SPAN("to see")};
    if (!w->m.lanes[lane].born)
        return;
    say(w, "%s lane %lld", paused ? "pause" : "resume", (long long)lane);
    begin(w);
    assert_int_equal(store_lane_change(w->s, &c, now(w), NULL), E_OK);
    end(w);
    w->m.lanes[lane].paused = paused;
}

/* Mostly any number: a lane that is full lets little else happen. */
static void op_depth(struct world *w)
{
    int64_t lane = below(w, ASKED_LANES), depth = below(w, 3) ? 0 : 1 + below(w, 8);
    bool drops = below(w, 2);
    struct lane_change c = {.name = span_of(lane_names[lane]),
                            .act = LANE_ACT_SET,
                            .settings = lane_settings_all(LANE_UNCHANGED)};
    if (!w->m.lanes[lane].born)
        return;
    c.settings.depth = depth ? depth : LANE_AS_CONFIGURED;
    c.settings.overflow = drops ? OVERFLOW_DROP_LAST : OVERFLOW_REFUSE;
    say(w, "lane %lld: %lld may wait%s", (long long)lane, (long long)depth,
        drops ? ", the last makes way" : "");
    begin(w);
    assert_int_equal(store_lane_change(w->s, &c, now(w), NULL), E_OK);
    end(w);
    w->m.lanes[lane].depth = depth;
    w->m.lanes[lane].drops = drops;
}

static void op_priority(struct world *w)
{
    int64_t lane = below(w, ASKED_LANES), prio = below(w, 11);
    struct lane_change c = {.name = span_of(lane_names[lane]),
                            .act = LANE_ACT_SET,
                            .settings = lane_settings_all(LANE_UNCHANGED)};
    if (!w->m.lanes[lane].born)
        return;
    c.settings.prio = prio ? prio - 1 : LANE_AS_CONFIGURED;
    say(w, "lane %lld: default priority %lld", (long long)lane, (long long)c.settings.prio);
    begin(w);
    assert_int_equal(store_lane_change(w->s, &c, now(w), NULL), E_OK);
    end(w);
    w->m.lanes[lane].prio = prio;
}

static void op_drain(struct world *w)
{
    bool drain = below(w, 4) == 0;
    say(w, "mode %s", drain ? "draining" : "normal");
    begin(w);
    assert_int_equal(store_mode_set(w->s, drain ? MODE_DRAINING : MODE_NORMAL, SPAN("test"),
                                    SPAN("to see"), now(w), NULL),
                     E_OK);
    end(w);
    w->m.draining = drain;
}

static void op_cap(struct world *w)
{
    struct limit_view v = {
        .emit_ms = LANE_UNCHANGED, .burst = LANE_UNCHANGED, .weight = LANE_UNCHANGED};
    int64_t tenant = below(w, TENANTS + 1);
    v.max_active = below(w, 2) ? 0 : 1 + below(w, 5);
    v.scope = tenant < TENANTS ? LIMIT_TENANT : LIMIT_ALL;
    v.name = tenant < TENANTS ? span_of(tenant_names[tenant]) : SPAN("");
    say(w, "cap %lld of %s", (long long)v.max_active,
        tenant < TENANTS ? tenant_names[tenant] : "all");
    begin(w);
    assert_int_equal(store_limit_set(w->s, &v, now(w), NULL), E_OK);
    end(w);
    if (tenant < TENANTS)
        w->m.tenant_max[tenant] = v.max_active;
    else
        w->rules.active_max = v.max_active;
}

static void op_started(struct world *w)
{
    struct model_lease t = pick_token(w);
    char id[ID_TEXT];
    say(w, "started %lld by %lld", (long long)t.job, (long long)t.nonce);
    begin(w);
    err e = store_started(w->s, span_of(id_text(t.job, id)), (uint64_t)t.nonce, NULL);
    end(w);
    struct model_reply r = model_started(&w->m, &w->rules, t);
    same(w, "answer of started", err_of(r.word), e);
    w->stale += e == E_STALE;
}

static void op_heartbeat(struct world *w)
{
    struct model_lease t = pick_token(w);
    struct heartbeat_reply reply = {0};
    char id[ID_TEXT];
    say(w, "heartbeat %lld by %lld", (long long)t.job, (long long)t.nonce);
    begin(w);
    err e = store_heartbeat(w->s, span_of(id_text(t.job, id)), (uint64_t)t.nonce, now(w),
                            &reply, NULL);
    end(w);
    struct model_reply r = model_heartbeat(&w->m, &w->rules, t, w->limits.lease_ms, w->now);
    same(w, "answer of heartbeat", err_of(r.word), e);
    same(w, "cancel flag", r.cancel, reply.cancel);
    w->stale += e == E_STALE;
}

static void op_commit(struct world *w)
{
    struct model_lease t = pick_token(w);
    struct model_batch_item own[4];
    struct store_item items[4];
    char texts[4][8], id[ID_TEXT], cursor[24];
    const struct model_job *j = model_find(&w->m, t.job);
    int64_t batch = (j ? j->next_batch : 0) + (below(w, 3) ? 0 : below(w, 3) - 1);
    size_t count = w->shaky ? 0 : (size_t)below(w, 4);
    for (size_t i = 0; i < count; i++) {
        own[i] = (struct model_batch_item){below(w, ITEM_IDS), 0};
        snprintf(texts[i], sizeof texts[i], "%d", (int)own[i].id);
        items[i] =
            (struct store_item){.kind = ITEM_POST, .id = span_of(texts[i]), .json = SPAN("{}")};
    }
    snprintf(cursor, sizeof cursor, "c%lld", (long long)w->step);
    struct commit_args args = {.id = span_of(id_text(t.job, id)),
                               .nonce = (uint64_t)t.nonce,
                               .batch = batch,
                               .items = items,
                               .count = count,
                               .cursor = span_of(cursor)};
    struct commit_reply reply = {0};
    say(w, "commit %lld by %lld batch %lld, %zu items", (long long)t.job, (long long)t.nonce,
        (long long)batch, count);
    begin(w);
    err e = store_commit_batch(w->s, &args, now(w), &reply, NULL);
    end(w);
    struct model_reply r = model_commit(&w->m, &w->rules, t, batch, own, count, w->step);
    same(w, "answer of commit", err_of(r.word), e);
    same(w, "duplicate", r.word == MODEL_DUPLICATE, reply.duplicate);
    same(w, "added", r.added, reply.added);
    same(w, "posts of the job", r.have, reply.have);
    w->stale += e == E_STALE;
}

static void op_finish(struct world *w)
{
    enum { WAY_RELEASE = 9 };
    static const struct {
        enum failure_class failure;
        enum model_budget budget;
        enum model_sign sign;
    } ways[] = {
        {FAILURE_NONE, MODEL_DONE, MODEL_HEALTHY},
        {FAILURE_NONE, MODEL_DONE, MODEL_HEALTHY},
        {FAILURE_NOT_FOUND, MODEL_PERMANENT, MODEL_HEALTHY},
        {FAILURE_BAD_INPUT, MODEL_PERMANENT, MODEL_NO_VERDICT},
        {FAILURE_DRIFT, MODEL_PERMANENT, MODEL_UNHEALTHY},
        {FAILURE_NETWORK, MODEL_FAIL, MODEL_UNHEALTHY},
        {FAILURE_NETWORK, MODEL_FAIL, MODEL_UNHEALTHY},
        {FAILURE_RESOURCE, MODEL_FAIL, MODEL_NO_VERDICT},
        {FAILURE_RATE_LIMITED, MODEL_THROTTLE, MODEL_NO_VERDICT},
        [WAY_RELEASE] = {FAILURE_BROWSER, MODEL_RELEASE, MODEL_NO_VERDICT},
        {FAILURE_CRASH, MODEL_CRASH, MODEL_NO_VERDICT},
        {FAILURE_CANCELLED, MODEL_VOID, MODEL_NO_VERDICT},
    };
    struct model_lease t = pick_token(w);
    size_t k = (size_t)below(w, (int64_t)(sizeof ways / sizeof ways[0]));
    if (w->shaky && below(w, 8))
        k = WAY_RELEASE;
    struct model_ending ending = {.budget = ways[k].budget, .sign = ways[k].sign};
    if (below(w, 3) == 0)
        ending.hint_ms = below(w, 20) ? 100 + below(w, 5000) : 30 * 3600 * INT64_C(1000);
    char id[ID_TEXT];
    struct finish_args args = {.id = span_of(id_text(t.job, id)),
                               .nonce = (uint64_t)t.nonce,
                               .failure = ways[k].failure,
                               .wait_ms = ending.hint_ms,
                               .verdict = ways[k].failure ? VERDICT_NONE : VERDICT_COMPLETE};
    struct finish_reply reply = {0};
    say(w, "finish %lld by %lld: %s, hint %lld", (long long)t.job, (long long)t.nonce,
        failure_name(args.failure), (long long)ending.hint_ms);
    begin(w);
    err e = store_finish(w->s, &args, now(w), &reply, NULL);
    end(w);
    struct model_reply r = model_finish(&w->m, &w->rules, t, ending, w->now);
    same(w, "answer of finish", err_of(r.word), e);
    if (!e)
        same(w, "state after finish", r.state, reply.state);
    w->stale += e == E_STALE;
}

static void op_reap(struct world *w)
{
    struct reap_reply reply = {0};
    say(w, "reap and promote");
    begin(w);
    assert_int_equal(store_reap(w->s, now(w), &reply, NULL), E_OK);
    end(w);
    struct model_reply r = model_reap(&w->m, &w->rules, 64, w->now);
    struct model_reply x = model_expire(&w->m, &w->rules, w->now);
    struct model_reply p = model_promote(&w->m, &w->rules, 64, w->now);
    same(w, "suspected", r.suspected, reply.suspected);
    same(w, "reaped", r.n, reply.reaped);
    same(w, "expired", x.n, reply.expired);
    same(w, "promoted", p.n, reply.promoted);
}

static void op_cancel(struct world *w)
{
    int64_t job = 1 + below(w, w->ids + 1);
    bool force = below(w, 2);
    struct cancel_reply reply = {0};
    char id[ID_TEXT];
    say(w, "cancel %lld%s", (long long)job, force ? " by force" : "");
    struct cancel_args args = {.id = span_of(id_text(job, id)), .force = force};
    const struct model_job *before_it = model_find(&w->m, job);
    bool ran = before_it && before_it->state == MODEL_ACTIVE;
    begin(w);
    err e = store_cancel(w->s, &args, now(w), &reply, NULL);
    end(w);
    struct model_reply r = model_cancel(&w->m, &w->rules, job, force, w->now);
    bool before = r.word == MODEL_FINAL && r.state == MODEL_CANCELLED;
    same(w, "answer of cancel", before ? E_OK : err_of(r.word), e);
    if (e)
        return;
    same(w, "state of cancel", r.state, reply.state);
    same(w, "its worker runs", ran, reply.active);
}

/* Without reset: there the store keeps the number of the next batch, since what the job has stays. */
static void op_replay(struct world *w)
{
    int64_t job = 1 + below(w, w->ids + 1);
    struct replay_reply reply = {0};
    char id[ID_TEXT];
    say(w, "replay %lld", (long long)job);
    struct replay_args args = {.id = span_of(id_text(job, id))};
    begin(w);
    err e = store_replay(w->s, &args, now(w), &reply, NULL);
    end(w);
    same(w, "answer of replay", err_of(model_replay(&w->m, &w->rules, job, false, w->now).word),
         e);
}

static void op_change(struct world *w)
{
    struct model_change m = {.job = 1 + below(w, w->ids + 1), .prio = -1, .run_at = -1};
    m.hold = (enum model_hold)below(w, 3);
    m.expires_at = m.deadline_at = m.limit = -1;
    if (below(w, 3) == 0)
        m.prio = below(w, 10);
    if (below(w, 5) == 0)
        m.run_at = below(w, 3) ? w->now + below(w, 20000) : 0;
    if (below(w, 6) == 0)
        m.expires_at = below(w, 3) ? w->now + 1 + below(w, 30000) : 0;
    if (below(w, 6) == 0)
        m.deadline_at = below(w, 3) ? w->now + 1 + below(w, 30000) : 0;
    if (below(w, 6) == 0)
        m.limit = below(w, 6);
    char id[ID_TEXT];
    struct job_change change = {.id = span_of(id_text(m.job, id)),
                                .revision = -1,
                                .hold = (enum job_hold)m.hold,
                                .prio = m.prio,
                                .run_at_ms = m.run_at,
                                .expires_ms = m.expires_at,
                                .deadline_ms = m.deadline_at,
                                .attempt_ms = CHANGE_NOT,
                                .stall_ms = CHANGE_NOT,
                                .limit = m.limit,
                                .spec = SPAN("{}")};
    say(w, "change %lld hold %d prio %lld at %lld expires %lld deadline %lld limit %lld",
        (long long)m.job, (int)m.hold, (long long)m.prio, (long long)(m.run_at - w->now),
        (long long)(m.expires_at - w->now), (long long)(m.deadline_at - w->now),
        (long long)m.limit);
    begin(w);
    err e = store_change(w->s, &change, now(w), NULL);
    end(w);
    same(w, "answer of change", err_of(model_alter(&w->m, &w->rules, &m, w->now).word), e);
}

static void op_retain(struct world *w)
{
    int64_t age = 1 + below(w, 60000), before = w->now - age;
    struct retain_args args = {.age_ms = age, .dead_age_ms = age};
    struct retain_reply reply;
    say(w, "retain before %lld", (long long)(before - T0));
    int64_t deleted = 0;
    do { /* each store has pieces of its own size */
        begin(w);
        assert_int_equal(store_retain(w->s, &args, now(w), &reply, NULL), E_OK);
        end(w);
        deleted += reply.deleted[RETAIN_AGE] + reply.deleted[RETAIN_DEAD_AGE];
    } while (reply.more);
    same(w, "deleted", model_retain(&w->m, before, INT64_MAX).n, deleted);
}

static void op_wait(struct world *w)
{
    static const int64_t often[] = {1, 50, 500, 4000, 20000, 100000};
    int64_t ms = below(w, 200) ? often[below(w, w->calm ? 4 : 6)] : 3600 * 1000;
    say(w, "wait %lld ms", (long long)ms);
    w->now += ms;
}

/* ---- opening ---- */

static void open_store(struct world *w)
{
    struct fault f = {0};
    if (maker->open(w->place, &w->limits, now(w), &w->s, &f))
        fail_msg("open: %s", f.words);
}

static void close_store(struct world *w)
{
    write_group(w);
    watch_close(&w->watch);
    store_close(&w->s);
}

static void op_restart(struct world *w)
{
    say(w, "restart");
    close_store(w);
    open_store(w);
    model_restart(&w->m, &w->rules, w->now);
}

/* ---- the whole state, from outside ---- */

static void look_sqlite(struct world *w)
{
    if (!w->watch.db)
        watch_open(&w->watch, w->place);
    w->job_count = read_rows(w->watch.jobs, w->jobs, MODEL_JOBS + 1);
    w->lane_count = read_rows(w->watch.lanes, w->lanes, 8);
}

static size_t read_reply(const struct reply *list, size_t name, struct row *rows, size_t most)
{
    size_t n = 0;
    for (; n < list->count && n < most; n++) {
        const struct reply *r = reply_list(list, n);
        span_copy(reply_text(r, name), rows[n].name, sizeof rows[n].name);
        for (size_t i = name + 1; i < r->count; i++)
            rows[n].columns[i - name - 1] = reply_number(r, i);
    }
    return n;
}

static void look_redis(struct world *w)
{
    struct redis_place *p = w->place;
    struct reply r;
    struct fault f = {0};
    if (link_say(p->watch, w->a, &r, &f, "EVAL", look_script, "0", NULL))
        fail_msg("%s", f.words);
    w->job_count = read_reply(reply_list(&r, 0), 1, w->jobs, MODEL_JOBS + 1);
    w->lane_count = read_reply(reply_list(&r, 1), 0, w->lanes, 8);
    for (size_t i = 0; i < w->job_count; i++)
        if (strchr(w->jobs[i].name, ' '))
            fail_msg("%s", w->jobs[i].name);
    arena_reset(w->a);
}

static void (*reader_of(const struct store_maker *m))(struct world *)
{
    return m == store_makers ? look_sqlite : look_redis;
}

static void same_column(const struct world *w, const struct model_job *j, const char *what,
                        int64_t model, int64_t store)
{
    if (model == store)
        return;
    char words[80];
    snprintf(words, sizeof words, "%s of job %lld (%s)", what, (long long)j->id,
             model_state_name(j->state));
    differ(w, words, model, store);
}

static void same_job(const struct world *w, const struct model_job *j, const struct row *r)
{
    same(w, "id", j->id, id_number(r->name));
    const struct {
        const char *what;
        int64_t model;
        bool counts;
    } columns[] = {
        {"state", j->state, true},
        {"priority", j->prio, true},
        {"rank", j->rank, j->state == MODEL_READY},
        {"due time", j->run_at, j->state == MODEL_SCHEDULED},
        {"fence", j->fence, true},
        {"nonce", j->nonce, true},
        {"lease end", j->lease_until, true},
        {"suspect", j->suspect, true},
        {"started", j->started, true},
        {"cancel asked", j->cancel_asked, j->state == MODEL_ACTIVE},
        {"n_fail", j->n_fail, true},
        {"n_crash", j->n_crash, true},
        {"n_throttle", j->n_throttle, true},
        {"n_release", j->n_release, true},
        {"n_ok", j->n_ok, true},
        {"n_void", j->n_void, true},
        {"fail_base", j->fail_base, true},
        {"crash_base", j->crash_base, true},
        {"release_base", j->release_base, true},
        {"progressed", j->progressed, true},
        {"next batch", j->next_batch, true},
        {"posts", j->have, true},
        {"end", j->finished_at, true},
        {"generation", j->generation, true},
        {"cursor", j->cursor, true},
    };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (columns[i].counts)
            same_column(w, j, columns[i].what, columns[i].model, r->columns[i]);
}

static void same_lanes(const struct world *w)
{
    for (size_t n = 0; n < w->lane_count; n++) {
        int64_t lane = 0;
        while (lane < LANES && strcmp(lane_names[lane], w->lanes[n].name) != 0)
            lane++;
        assert_true(lane < LANES);
        const struct model_lane *l = &w->m.lanes[lane];
        const int64_t values[] = {
            l->born,  l->pass,  l->tat,   l->blocked_until,        l->breaker,
            l->fails, l->until, l->trips, l->pace ? l->pace : 100, l->clean_since};
        static const char *const names[] = {
            "place of a lane", "pass of a lane",   "tat of a lane",      "lane blocked until",
            "breaker",         "breaker's errors", "breaker open until", "breaker's openings",
            "pace of a lane",  "lane clean since"};
        for (int i = 0; i < 10; i++)
            same(w, names[i], values[i], w->lanes[n].columns[i]);
    }
}

static void same_outlook(struct world *w)
{
    struct outlook o;
    int64_t by_state[JOB_STATES] = {0};
    bool startable = false;
    assert_int_equal(store_outlook(w->s, now(w), &o, NULL), E_OK);
    for (int64_t i = 0; i < w->m.job_count; i++)
        by_state[w->m.jobs[i].state]++;
    for (int i = 0; i < JOB_STATES; i++)
        same(w, "count of a state", by_state[i], o.by_state[i]);
    for (int64_t i = 0; i < LANES; i++)
        startable |= model_may_start(&w->m, i, w->now);
    startable &= !w->rules.active_max || by_state[MODEL_ACTIVE] < w->rules.active_max;
    same(w, "something may start", startable, o.startable > 0);
    /* Nothing that time brings may come unannounced: the wake-up is never later than the first of it. */
    for (int64_t i = 0; i < w->m.job_count; i++) {
        const struct model_job *j = &w->m.jobs[i];
        bool timed = j->state == MODEL_SCHEDULED && j->run_at != MODEL_HELD;
        int64_t at = timed ? j->run_at : j->state == MODEL_ACTIVE ? j->lease_until : INT64_MAX;
        if (j->state < MODEL_ACTIVE && j->expires_at && j->expires_at < at)
            at = j->expires_at;
        if (j->state < MODEL_ACTIVE && j->deadline_at && j->deadline_at < at)
            at = j->deadline_at;
        if (at < o.next_ms)
            differ(w, "what time brings next", at, o.next_ms);
    }
}

static void same_state(struct world *w)
{
    reader_of(maker)(w);
    for (size_t n = 0; n < w->job_count && n < (size_t)w->m.job_count; n++)
        same_job(w, &w->m.jobs[n], &w->jobs[n]);
    same(w, "number of jobs", w->m.job_count, (int64_t)w->job_count);
    same_lanes(w);
    same_outlook(w);
    const char *broken = model_check(&w->m, &w->rules);
    if (broken) {
        printf("%s\n", broken);
        differ(w, broken, 0, 0);
    }
}

/* ---- episodes ---- */

static void start_episode(struct world *w, uint64_t seed, size_t without)
{
    *w = (struct world){.seed = seed,
                        .random = seed * 0x9e3779b97f4a7c15u + 1,
                        .now = T0,
                        .a = arena_new(1 << 20)};
    w->place = maker->make();
    w->jobs = calloc(MODEL_JOBS + 1, sizeof *w->jobs);
    for (int i = 0; i < 4; i++)
        (void)draw(w);
    w->calm = below(w, 2);
    w->shaky = below(w, 3) == 0;
    w->grouped = below(w, 3) == 0;
    w->limits = (struct store_limits){
        .ready_max = 40,
        .fail_max = 2 + below(w, 3),
        .crash_max = 1 + below(w, 3),
        .throttle_max = 2 + below(w, 3),
        .retry_base_ms = RETRY_BASE,
        .retry_cap_ms = RETRY_CAP,
        .lane_max_active = 1 + below(w, 4),
        .retry_floor = 1000000,
        .lane_emit_ms = below(w, 2) ? 0 : 300 + below(w, 800),
        .lane_burst = 1 + below(w, 3),
        .lease_ms = 3000 * (1 + below(w, 5)),
    };
    if (below(w, 2))
        w->limits.pace = (struct limit_pace_policy){1 + below(w, 60), 500 + below(w, 20000)};
    w->rules = rules_of(&w->limits, without);
    /* Of tenants whose turn is the same the store takes the one with the smaller hash. */
    assert_true(span_hash(span_of(tenant_names[0]), 0) >> 1 <
                span_hash(span_of(tenant_names[1]), 0) >> 1);
    model_init(&w->m);
    for (int64_t i = 0; i < LANES; i++)
        model_lane_add(&w->m, (struct model_lane){
                                  .weight = lane_weights[i],
                                  .tenant = lane_tenants[i],
                                  .quarantine = i < ASKED_LANES ? i + ASKED_LANES + 1 : 0,
                                  .max_active = i < ASKED_LANES ? w->limits.lane_max_active : 1,
                                  .emit_ms = w->limits.lane_emit_ms,
                                  .burst = w->limits.lane_burst});
    w->m.reaped_at = w->now;
    open_store(w);
}

static void end_episode(struct world *w)
{
    close_store(w);
    maker->remove(w->place);
    arena_free(&w->a);
    free(w->jobs);
}

static size_t pick_op(struct world *w)
{
    int64_t all = 0;
    for (size_t i = 0; i < OPS; i++)
        all += ops[i].weight;
    int64_t at = below(w, all);
    for (size_t i = 0; i < OPS; i++) {
        at -= ops[i].weight;
        if (at < 0)
            return i;
    }
    return 0;
}

static int64_t number_of(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

static struct world one;

static void run_steps(struct world *w, int64_t steps)
{
    for (w->step = 0; w->step < steps; w->step++) {
        size_t op = w->step % 997 == 996 ? OP_RESTART : pick_op(w);
        w->now += below(w, 3) ? 0 : below(w, 400);
        ops[op].run(w);
        w->done[op]++;
        arena_reset(w->a);
        if (w->open)
            continue;
        same_state(w);
        if (w->step % 256 == 0)
            store_idle(w->s);
    }
}

static void run_episode(uint64_t seed, int64_t steps, int64_t *total, int64_t *stale)
{
    start_episode(&one, seed, DEPARTURES);
    run_steps(&one, steps);
    for (size_t i = 0; i < OPS; i++)
        total[i] += one.done[i];
    *stale += one.stale;
    end_episode(&one);
}

/* Whether a run differs when the model follows the design in this one respect. */
static bool makes_a_difference(uint64_t seed, size_t departure)
{
    volatile bool differs = true;
    start_episode(&one, seed, departure);
    wants_difference = true;
    if (setjmp(wanted) == 0) {
        run_steps(&one, EPISODE);
        differs = false;
    }
    wants_difference = false;
    end_episode(&one);
    return differs;
}

static void every_departure_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < DEPARTURES; i++) {
        uint64_t seed = 1;
        if ((departures[i].rare && !number_of("MODEL_SIM", 0)) || !is_departure(&departures[i]))
            continue;
        if (maker != store_makers &&
            !departures[i].only) /* the others were seen to be needed */
            continue;
        while (seed <= EPISODES_MOST && !makes_a_difference(seed, i))
            seed++;
        if (seed <= EPISODES_MOST)
            printf("  row %zu differs in episode %llu, step %lld\n", i,
                   (unsigned long long)seed, (long long)one.step);
        assert_true(seed <= EPISODES_MOST || departures[i].rare);
    }
}

static void every_mutation_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; maker == store_makers && i < MUTATIONS; i++) {
        uint64_t seed = 1;
        mutation = &mutations[i];
        while (seed <= EPISODES_MOST && !makes_a_difference(seed, DEPARTURES))
            seed++;
        mutation = NULL;
        if (seed > EPISODES_MOST)
            fail_msg("not found: %s", mutations[i].name);
        printf("  found in episode %llu, step %lld: %s\n", (unsigned long long)seed,
               (long long)one.step, mutations[i].name);
    }
}

static void model_and_store_do_the_same(void **state)
{
    (void)state;
    int64_t left = number_of("MODEL_OPS", 100000), seed = number_of("MODEL_SEED", 1),
            total[OPS] = {0}, stale = 0;
    if (maker != store_makers) /* a server is asked from outside: a tenth of it takes as long */
        left /= 10;
    for (; left > 0; left -= EPISODE, seed++)
        run_episode((uint64_t)seed, left < EPISODE ? left : EPISODE, total, &stale);
    for (size_t i = 0; i < OPS; i++) {
        if (ops[i].run)
            printf("  %9lld %s\n", (long long)total[i], ops[i].name);
    }
    printf("  %9lld answers were `stale`\n", (long long)stale);
    for (size_t i = 0; i < OPS; i++) {
        if (!ops[i].run)
            printf("  not in the store: %s\n", ops[i].name);
    }
    for (size_t i = 0; i < DEPARTURES; i++) {
        if (*departures[i].design && is_departure(&departures[i]))
            printf("  otherwise: %s; the store: %s\n", departures[i].design,
                   departures[i].store);
    }
    assert_true(stale > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(model_and_store_do_the_same),
    cmocka_unit_test(every_departure_is_one),
    cmocka_unit_test(every_mutation_is_found),
};
RUN_ON_ALL_STORES(tests)
