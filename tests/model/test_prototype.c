/* The model against the design's own prototype, which is written in Python: the same seeded
 * operations, every answer and the whole state after each. QUEUE_MODEL names the prototype's folder;
 * skipped where it or python3 is absent. MODEL_EPISODES=n sets how much (60 episodes of 300). */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { NUMBERS = 8192 };

struct line {
    char kind;
    int64_t n[NUMBERS];
    size_t count;
};

static struct model m;
static struct model_rules rules;
static int64_t seed, step;

static void start_episode(int64_t number)
{
    static const struct model_lane lanes[] = {
        {.born = 1, .weight = 100, .max_active = 2, .burst = 1},
        {.born = 2, .weight = 200, .max_active = 1, .emit_ms = 700, .burst = 2},
        {.born = 3, .weight = 50, .max_active = 3, .burst = 1},
    };
    seed = number;
    step = 0;
    rules = model_rules_of_prototype();
    rules.throttle_max = 3;
    rules.lease_ms = 1000;
    model_init(&m);
    for (int i = 0; i < 3; i++)
        model_lane_add(&m, lanes[i]);
}

static void same(const char *what, int64_t prototype, int64_t ours)
{
    if (prototype != ours)
        fail_msg("episode %lld step %lld: %s is %lld in the prototype, %lld in the model",
                 (long long)seed, (long long)step, what, (long long)prototype, (long long)ours);
}

static bool read_line(FILE *in, struct line *l)
{
    static char text[NUMBERS * 16];
    if (!fgets(text, sizeof text, in))
        return false;
    char *at = text + 1, *end = at;
    l->kind = text[0];
    for (l->count = 0; l->count < NUMBERS; l->count++, at = end) {
        l->n[l->count] = strtoll(at, &end, 10);
        if (end == at)
            break;
    }
    return true;
}

static struct model_ending ending_of(int64_t outcome, int64_t wait_ms)
{
    static const struct model_ending endings[] = {
        {MODEL_DONE, MODEL_HEALTHY, 0, 0},       {MODEL_FAIL, MODEL_NO_VERDICT, 0, 0},
        {MODEL_FAIL, MODEL_UNHEALTHY, 0, 0},     {MODEL_THROTTLE, MODEL_NO_VERDICT, 0, 0},
        {MODEL_RELEASE, MODEL_NO_VERDICT, 0, 0}, {MODEL_PERMANENT, MODEL_NO_VERDICT, 0, 0},
        {MODEL_VOID, MODEL_NO_VERDICT, 0, 0},
    };
    struct model_ending e = endings[outcome];
    e.hint_ms = e.budget == MODEL_THROTTLE ? wait_ms : 0;
    return e;
}

static void do_commit(const int64_t *n)
{
    struct model_batch_item items[8];
    for (int64_t i = 0; i < n[6]; i++)
        items[i] = (struct model_batch_item){n[7 + 2 * i], n[8 + 2 * i]};
    struct model_reply r = model_commit(&m, &rules, (struct model_lease){n[1], n[2], 1}, n[3],
                                        items, (size_t)n[6], n[4]);
    same("answer of commit", n[5], r.word);
}

static void do_accept(const int64_t *n)
{
    struct model_accept a = {
        .id = n[1], .lane = n[2], .prio = n[3], .run_at = n[4], .unique = n[5]};
    struct model_reply r = model_accept(&m, &rules, &a, n[0]);
    same("answer of accept", n[6], r.word);
    same("job of accept", n[7], r.job);
}

static void do_op(const struct line *l)
{
    const int64_t *n = l->n;
    struct model_lease lease = {n[1], n[2], 1};
    struct model_reply r;
    switch (l->kind) {
    case 'A':
        do_accept(n);
        return;
    case 'R':
        r = model_reserve(&m, &rules, 0, 0, n[2], 0, 0, n[1], n[0]);
        same("job of reserve", n[3], r.job);
        same("fence of reserve", n[4], r.fence);
        return;
    case 'H':
        r = model_heartbeat(&m, &rules, lease, n[3], n[0]);
        same("answer of heartbeat", n[4], r.word == MODEL_STALE ? MODEL_STALE : r.cancel);
        return;
    case 'C':
        do_commit(n);
        return;
    case 'F':
        same("answer of finish", n[5],
             model_finish(&m, &rules, lease, ending_of(n[3], n[4]), n[0]).word);
        return;
    case 'X':
        same("reaped", n[1], model_reap(&m, &rules, 50, n[0]).n);
        return;
    case 'P':
        same("promoted", n[1], model_promote(&m, &rules, 100, n[0]).n);
        return;
    case 'K':
        same("answer of cancel", n[3], model_cancel(&m, &rules, n[1], n[2] != 0, n[0]).word);
        return;
    case 'Y':
        r = model_replay(&m, &rules, n[1], false, n[0]);
        same("answer of replay", n[2], r.word == MODEL_OK ? 1 : r.word == MODEL_TAKEN ? 2 : 0);
        return;
    default:
        fail_msg("unknown operation %c", l->kind);
    }
}

static size_t same_jobs(const int64_t *n)
{
    for (int64_t i = 0; i < m.job_count; i++, n += 22) {
        const struct model_job *j = &m.jobs[i];
        const int64_t ours[] = {j->id,
                                j->seq,
                                j->lane,
                                j->state,
                                j->prio,
                                j->state == MODEL_READY ? j->rank : 0,
                                j->state == MODEL_SCHEDULED ? j->run_at : 0,
                                j->fence,
                                j->nonce,
                                j->lease_until,
                                j->suspect,
                                j->cancel_asked,
                                j->n_fail,
                                j->n_crash,
                                j->n_throttle,
                                j->n_release,
                                j->n_ok,
                                j->n_void,
                                j->generation,
                                j->next_batch,
                                j->cursor,
                                j->unique};
        for (int k = 0; k < 22; k++) {
            char what[64];
            snprintf(what, sizeof what, "field %d of job %lld", k, (long long)j->id);
            same(what, n[k], ours[k]);
        }
    }
    return (size_t)m.job_count * 22;
}

static const struct model_item *find_item(int64_t id)
{
    for (int64_t i = 0; i < m.item_count; i++) {
        if (m.items[i].id == id)
            return &m.items[i];
    }
    fail_msg("item %lld is not in the model", (long long)id);
    return NULL;
}

static void same_state(const struct line *l)
{
    const int64_t *n = l->n + 4;
    same("virtual time", l->n[0], m.vtime[0]);
    same("number of jobs", l->n[1], m.job_count);
    same("number of items", l->n[3], m.item_count);
    n += same_jobs(n);
    for (int64_t i = 0; i < 3; i++, n += 8) {
        const struct model_lane *o = &m.lanes[i];
        const int64_t ours[] = {i,       o->tat,     o->blocked_until, o->paused,
                                o->pass, o->breaker, o->fails,         o->until};
        for (int k = 0; k < 8; k++)
            same("a field of a lane", n[k], ours[k]);
    }
    for (int64_t i = 0; i < m.item_count; i++, n += 5) {
        const struct model_item *o = find_item(n[0]);
        const int64_t ours[] = {o->id, o->version, o->job, o->fence, o->writes};
        for (int k = 0; k < 5; k++)
            same("a field of an item", n[k], ours[k]);
    }
    same("numbers of the state", (int64_t)l->count, n - l->n);
    const char *broken = model_check(&m, &rules);
    if (broken)
        fail_msg("episode %lld step %lld: %s", (long long)seed, (long long)step, broken);
}

static void model_and_prototype_do_the_same(void **state)
{
    (void)state;
    static struct line l;
    const char *folder = getenv("QUEUE_MODEL"), *episodes = getenv("MODEL_EPISODES");
    char path[512], command[1024];
    folder = folder ? folder : "../shared/queue-model";
    snprintf(path, sizeof path, "%s/model.py", folder);
    if (access(path, R_OK) != 0 || system("python3 -c '' 2>/dev/null") != 0) {
        printf("skipped: no python3, or no prototype in %s\n", folder);
        skip();
    }
    snprintf(command, sizeof command, "python3 -B tests/model/prototype.py '%s' %d", folder,
             episodes ? (int)strtol(episodes, NULL, 10) : 60);
    FILE *in = popen(command, "r");
    assert_non_null(in);
    int64_t all = 0;
    while (read_line(in, &l)) {
        if (l.kind == 'E') {
            start_episode(l.n[0]);
        } else if (l.kind == 'S') {
            same_state(&l);
            step++;
            all++;
        } else {
            do_op(&l);
        }
    }
    assert_int_equal(pclose(in), 0);
    assert_true(all > 1000);
    printf("%lld operations, each answer and each state the same\n", (long long)all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(model_and_prototype_do_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
