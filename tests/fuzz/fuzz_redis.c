/* What a Redis answers: any bytes behind a good greeting, to each of the questions that answers are read for. Nothing but an
 * error may come of it. The first byte is the question. The scripts are not sent: this Redis runs none. */
#include "base/need.h"

#define assert_true(x)         need(x)
#define assert_int_equal(a, b) need((a) == (b))
#define assert_non_null(x)     need(x)
#include "../lib/fake_redis.h"

#include "store/find.h"
#include "store/redis/redis.h"
#include "store/redis/scripts.h"

#include <signal.h>

#define TEXT(constant, file) [SCRIPT_##constant] = {#file, "return 1"},
const struct script_row script_rows[SCRIPT_COUNT] = {SCRIPTS(TEXT)};

enum { ARENA = 8 << 20, T0 = 1000 };
static const char *const greeting[] = {
    "*5\r\n:0\r\n:1\r\n:0\r\n:0\r\n*0\r\n", /* history.lua: nothing is lost */
    "*6\r\n:0\r\n:1\r\n:1\r\n$0\r\n\r\n$0\r\n\r\n$4\r\nmine\r\n", /* open.lua */
    "*13\r\n:0\r\n:0\r\n:0\r\n:0\r\n:-1\r\n:0\r\n*0\r\n*0\r\n:0\r\n:-1\r\n:-1\r\n:0\r\n*0\r\n",
};
static struct fake_redis fake;
static struct arena *a;

/* ---- the questions; what comes of them is looked at by whoever asks, so here as well ---- */

static err ask_outlook(struct store *s, struct fault *f)
{
    struct outlook o;
    return redis_outlook(s, (wall){T0}, &o, f);
}

static err ask_reserve(struct store *s, struct fault *f)
{
    struct lease l;
    err e =
        redis_reserve(s, &(struct reserve_args){.worker = SPAN("w"), .random = 1, .request = 1},
                      (wall){T0}, a, &l, f);
    need(e || strnlen(l.id, ID_TEXT) < ID_TEXT);
    return e;
}

static err ask_accept(struct store *s, struct fault *f)
{
    struct accept_reply r;
    struct accept_args job = {.id = SPAN("job_1"),
                              .site = SPAN("x"),
                              .kind = SPAN("posts"),
                              .target = SPAN("nasa"),
                              .lane = SPAN("default/x/normal"),
                              .spec = SPAN("{}")};
    return redis_accept(s, &job, (wall){T0}, &r, f);
}

static err ask_finish(struct store *s, struct fault *f)
{
    struct finish_reply r;
    return redis_finish(s, &(struct finish_args){.id = SPAN("job_1"), .nonce = 1}, (wall){T0},
                        &r, f);
}

static err ask_commit(struct store *s, struct fault *f)
{
    struct commit_reply r;
    return redis_commit_batch(
        s, &(struct commit_args){.id = SPAN("job_1"), .nonce = 1, .cursor = SPAN("c")},
        (wall){T0}, &r, f);
}

static err ask_heartbeat(struct store *s, struct fault *f)
{
    struct heartbeat_reply r;
    return redis_heartbeat(s, SPAN("job_1"), 1, (wall){T0}, &r, f);
}

static err ask_cancel(struct store *s, struct fault *f)
{
    struct cancel_reply r;
    return redis_cancel(s, &(struct cancel_args){.id = SPAN("job_1")}, (wall){T0}, &r, f);
}

static err ask_reap(struct store *s, struct fault *f)
{
    struct reap_reply r;
    return redis_reap(s, (wall){T0}, &r, f);
}

static err ask_job(struct store *s, struct fault *f)
{
    struct job_view v;
    return redis_job(s, SPAN("job_1"), (wall){T0}, a, &v, f);
}

static err ask_jobs(struct store *s, struct fault *f)
{
    struct job_view *views;
    size_t n;
    return redis_jobs(s, &(struct jobs_query){.state = -1, .limit = 10}, (wall){T0}, a, &views,
                      &n, f);
}

static err ask_find(struct store *s, struct fault *f)
{
    struct jobs_found found;
    return redis_jobs_find(s, &(struct jobs_find){.limit = 10}, (wall){T0}, a, &found, f);
}

static err ask_events(struct store *s, struct fault *f)
{
    struct event_view *events;
    size_t n;
    return redis_events(s, 0, SPAN_NONE, 10, a, &events, &n, f);
}

static err ask_lanes(struct store *s, struct fault *f)
{
    struct lane_view *lanes;
    size_t n;
    struct span next;
    return redis_lanes(s, &(struct lanes_query){.limit = 10}, (wall){T0}, a, &lanes, &n, &next,
                       f);
}

static err ask_nodes(struct store *s, struct fault *f)
{
    struct node_view *nodes;
    size_t n;
    return redis_nodes(s, (wall){T0}, a, &nodes, &n, f);
}

static err ask_sessions(struct store *s, struct fault *f)
{
    struct session_view *list;
    size_t n;
    return redis_sessions(s, SPAN_NONE, SPAN_NONE, (wall){T0}, a, &list, &n, f);
}

static err ask_schedules(struct store *s, struct fault *f)
{
    struct schedules_list list;
    return redis_schedules(s, &(struct schedules_query){.tenant = SPAN("t"), .limit = 10}, a,
                           &list, f);
}

static err ask_due(struct store *s, struct fault *f)
{
    struct schedules_due due;
    return redis_schedules_due(s, (wall){T0}, (wall){T0}, false, a, &due, f);
}

static err ask_deliveries(struct store *s, struct fault *f)
{
    struct delivery_view *list;
    size_t n;
    return redis_deliveries(
        s, &(struct deliveries_query){.webhook = SPAN("wh_1"), .state = -1, .limit = 10}, a,
        &list, &n, f);
}

static err ask_webhooks(struct store *s, struct fault *f)
{
    struct webhook_view *list;
    size_t n;
    return redis_webhooks(s, a, &list, &n, f);
}

static err ask_batches(struct store *s, struct fault *f)
{
    struct batch_view *list;
    size_t n;
    bool more;
    return redis_batches(s, SPAN_NONE, 10, a, &list, &n, &more, f);
}

static err ask_operations(struct store *s, struct fault *f)
{
    struct operation_view *list;
    size_t n;
    return redis_operations(s, SPAN_NONE, 10, a, &list, &n, f);
}

static err ask_audit(struct store *s, struct fault *f)
{
    struct audit_reply r;
    return redis_audit(s, (wall){T0}, &r, f);
}

static err (*const questions[])(struct store *s, struct fault *f) = {
    ask_outlook,  ask_reserve, ask_accept,     ask_finish,    ask_commit, ask_heartbeat,
    ask_cancel,   ask_reap,    ask_job,        ask_jobs,      ask_find,   ask_events,
    ask_lanes,    ask_nodes,   ask_sessions,   ask_schedules, ask_due,    ask_deliveries,
    ask_webhooks, ask_batches, ask_operations, ask_audit,
};

/* ---- */

static void begin(void)
{
    signal(SIGPIPE, SIG_IGN);
    a = arena_new(ARENA);
    fake_make(&fake);
    for (size_t i = 0; i < sizeof greeting / sizeof *greeting; i++)
        fake.plays[i].reply = greeting[i];
    fake.raw_behind = sizeof greeting / sizeof *greeting;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fault f = {0};
    struct store *s;
    struct redis_config config = {.callers_time = true};
    struct store_limits limits = {.lease_ms = 1000};
    if (n == 0)
        return 0;
    if (!a)
        begin();
    arena_reset(a);
    fake.asked = 0;
    fake.raw = (const char *)bytes + 1;
    fake.raw_count = n - 1;
    config.url = span_of(fake.url);
    fake_listen(&fake);
    need(redis_open(&s, &config, &limits, 7, (wall){T0}, &f) == E_OK);
    need(redis_begin(s, &f) == E_OK);
    err e = questions[bytes[0] % (sizeof questions / sizeof *questions)](s, &f);
    need(!e || e == E_END || f.words[0]);
    need(redis_commit(s, &f) == E_OK);
    redis_close(&s);
    fake_deafen(&fake); /* it looks at these bytes no more */
    return 0;
}
