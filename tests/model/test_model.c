/* The parts of the model that no store has yet, by scenario, and all of it at random: the invariants
 * hold after every step. MODEL_STEPS=n sets how many (300000). */
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct model m;
static struct model_rules rules;
static int64_t nonces;

static int set_up(void **state)
{
    (void)state;
    rules = model_rules_of_design();
    model_init(&m);
    for (int64_t i = 0; i < 4; i++)
        model_lane_add(
            &m, (struct model_lane){
                    .tenant = i % 2, .weight = 100 * (i + 1), .max_active = 2, .burst = 1});
    nonces = 0;
    return 0;
}

static enum model_word accept(struct model_accept a)
{
    return model_accept(&m, &rules, &a, a.run_at).word;
}

static struct model_lease lease(int64_t job)
{
    struct model_reply r = model_reserve(&m, &rules, 0, 0, ++nonces, 0, 0, rules.lease_ms, 0);
    assert_int_equal(r.word, MODEL_OK);
    assert_int_equal(r.job, job);
    return (struct model_lease){job, nonces, m.epoch};
}

static void finish(struct model_lease l, enum model_budget budget)
{
    struct model_ending ending = {.budget = budget};
    assert_int_equal(model_finish(&m, &rules, l, ending, 0).word, MODEL_OK);
}

/* S42: after each kind of ending the key is free at once; S43: a replay is refused while it is not. */
static void a_unique_key_ends_with_its_job(void **state)
{
    (void)state;
    int64_t id = 1;
    for (int ending = 0; ending < 5; ending++, id++) {
        assert_int_equal(accept((struct model_accept){.id = id, .unique = 9, .expires_at = 50}),
                         MODEL_OK);
        assert_int_equal(accept((struct model_accept){.id = 99, .unique = 9}), MODEL_TAKEN);
        if (ending == 0)
            model_cancel(&m, &rules, id, false, 0);
        else if (ending == 1)
            assert_int_equal(model_expire(&m, &rules, 50).n, 1);
        else if (ending == 2)
            finish(lease(id), MODEL_PERMANENT);
        else if (ending == 3)
            finish(lease(id), MODEL_DONE);
        else
            lease(id), model_cancel(&m, &rules, id, true, 0);
    }
    assert_int_equal(accept((struct model_accept){.id = 20, .unique = 9}), MODEL_OK);
    struct model_reply r = model_replay(&m, &rules, 3, false, 0);
    assert_int_equal(r.word, MODEL_TAKEN);
    assert_int_equal(r.job, 20);
    struct model_accept newer = {.id = 21, .unique = 9, .conflict = MODEL_REPLACE_WAITING};
    assert_int_equal(model_accept(&m, &rules, &newer, 0).word, MODEL_OK);
    assert_int_equal(model_find(&m, 20)->state, MODEL_CANCELLED);
}

/* S75, S76: whatever becomes of the children, the parent goes on once, and not before the seal. */
static void a_parent_goes_on_when_the_last_child_ended(void **state)
{
    (void)state;
    assert_int_equal(accept((struct model_accept){.id = 1, .lane = 1, .waits_for = 1}),
                     MODEL_OK);
    assert_int_equal(accept((struct model_accept){.id = 2, .lane = 1, .waits_for = 1}),
                     MODEL_TAKEN);
    for (int64_t id = 3; id <= 4; id++)
        assert_int_equal(accept((struct model_accept){.id = id, .batch = 1}), MODEL_OK);
    finish(lease(3), MODEL_PERMANENT);
    model_cancel(&m, &rules, 4, false, 0);
    assert_int_equal(model_find(&m, 1)->state, MODEL_BLOCKED);
    assert_int_equal(model_retain(&m, 1, 10).n, 0); /* the parent needs them */
    model_seal(&m, &rules, 1, 0);
    assert_int_equal(model_find(&m, 1)->state, MODEL_READY);
    assert_int_equal(accept((struct model_accept){.id = 5, .batch = 1}), MODEL_FINAL);
}

/* S85: sessions in turn; when none is usable nothing starts and nothing is charged. */
static void a_lane_with_sessions_waits_for_one(void **state)
{
    (void)state;
    model_session_add(&m, (struct model_session){.pool = 1, .blocked_until = 500});
    model_session_add(&m, (struct model_session){.pool = 1, .emit_ms = 100});
    m.lanes[0].pool = 1;
    for (int64_t id = 1; id <= 3; id++)
        assert_int_equal(accept((struct model_accept){.id = id}), MODEL_OK);
    struct model_lease first = lease(1);
    assert_int_equal(model_find(&m, 1)->session, 2);
    static struct model before;
    before = m;
    assert_int_equal(model_reserve(&m, &rules, 1, 0, 77, 0, 0, 1000, 99).word, MODEL_NONE);
    assert_memory_equal(&m, &before, sizeof m);
    struct model_ending bad = {.budget = MODEL_RELEASE, .session_rest = 9000};
    assert_int_equal(model_finish(&m, &rules, first, bad, 0).word, MODEL_OK);
    assert_int_equal(model_reserve(&m, &rules, 1, 0, 77, 0, 0, 1000, 400).word, MODEL_NONE);
    assert_int_equal(model_reserve(&m, &rules, 1, 0, 77, 0, 0, 1000, 500).session, 1);
}

static void a_full_lane_takes_a_better_job_in_the_place_of_its_last(void **state)
{
    (void)state;
    m.lanes[0].depth = 2;
    assert_int_equal(accept((struct model_accept){.id = 1, .prio = 5}), MODEL_OK);
    assert_int_equal(accept((struct model_accept){.id = 2, .prio = 1}), MODEL_OK);
    assert_int_equal(accept((struct model_accept){.id = 3, .prio = 9}), MODEL_FULL);
    assert_int_equal(accept((struct model_accept){.id = 3, .lane = 1}), MODEL_OK);
    m.lanes[0].drops = 1;
    assert_int_equal(accept((struct model_accept){.id = 4, .prio = 1}), MODEL_FULL);
    assert_int_equal(accept((struct model_accept){.id = 4, .prio = 9}), MODEL_OK);
    assert_int_equal(model_find(&m, 2)->state, MODEL_CANCELLED);
    assert_int_equal(model_find(&m, 1)->state, MODEL_READY);
    rules.replay_bounded = true;
    assert_int_equal(model_replay(&m, &rules, 2, false, 0).word, MODEL_FULL);
    m.lanes[0].depth = 0;
    assert_int_equal(model_replay(&m, &rules, 2, false, 0).word, MODEL_OK);
}

static void a_repeated_reserve_answers_the_same_lease(void **state)
{
    (void)state;
    accept((struct model_accept){.id = 1});
    accept((struct model_accept){.id = 2});
    struct model_reply a = model_reserve(&m, &rules, 1, 5, 100, 0, 0, 1000, 0);
    struct model_reply b = model_reserve(&m, &rules, 1, 5, 101, 0, 0, 1000, 0);
    assert_true(a.job == b.job && a.fence == b.fence && model_find(&m, 1)->nonce == 100);
    assert_int_equal(model_reserve(&m, &rules, 1, 6, 102, 0, 0, 1000, 0).job, 2);
}

static void caps_pauses_drain_and_quarantine_hold(void **state)
{
    (void)state;
    for (int64_t i = 0; i < m.lane_count; i++)
        m.lanes[i].quarantine = 4;
    m.tenant_max[0] = 1;
    accept((struct model_accept){.id = 1, .lane = 0});
    accept((struct model_accept){.id = 2, .lane = 2}); /* the same tenant */
    struct model_lease l = lease(1);
    assert_int_equal(model_reserve(&m, &rules, 0, 0, 50, 0, 0, 1000, 0).word, MODEL_NONE);
    model_started(&m, &rules, l);
    finish(l, MODEL_CRASH);
    assert_int_equal(model_find(&m, 1)->lane, 3);
    m.lanes[2].paused = 1;
    assert_int_equal(model_reserve(&m, &rules, 0, 0, 50, 0, 0, 1000, 0).word, MODEL_NONE);
    m.lanes[2].paused = 0;
    rules.active_max = 1;
    lease(2);
    assert_int_equal(model_promote(&m, &rules, 10, 5000).n, 1);
    assert_int_equal(model_reserve(&m, &rules, 0, 0, 50, 0, 0, 1000, 5000).word, MODEL_NONE);
    m.draining = 1;
    assert_int_equal(accept((struct model_accept){.id = 3}), MODEL_DRAINING);
}

/* A write of a lease from before the backup changes nothing, though nonce and fence would fit. */
static void a_backup_fences_what_came_before(void **state)
{
    (void)state;
    accept((struct model_accept){.id = 1});
    struct model_lease l = lease(1);
    model_restore(&m);
    assert_int_equal(model_heartbeat(&m, &rules, l, 1000, 0).word, MODEL_STALE);
    l.epoch = m.epoch;
    assert_int_equal(model_heartbeat(&m, &rules, l, 1000, 0).word, MODEL_STALE);
}

/* ---- everything, at random ---- */

static uint64_t random_state = 6;

static int64_t below(int64_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(random_state >> 33) % n;
}

static void step(int64_t *now, int64_t *ids, struct model_lease *held, int64_t *granted)
{
    struct model_lease l =
        *granted ? held[(*granted - 1 - below(*granted < 12 ? *granted : 12)) % 16]
                 : (struct model_lease){1, 1, 1};
    struct model_batch_item items[2] = {{1 + below(20), below(5)}, {1 + below(20), below(5)}};
    struct model_ending ending = {.budget = (enum model_budget)below(7),
                                  .sign = (enum model_sign)below(3),
                                  .hint_ms = below(3) ? 0 : below(5000),
                                  .session_rest = below(4) ? 0 : below(9000)};
    struct model_job *j = model_find(&m, l.job);
    *now += below(3) ? 0 : below(3000);
    switch (below(14)) {
    case 0:
    case 1:
    case 2: {
        struct model_accept a = {.id = ++*ids,
                                 .lane = below(4),
                                 .prio = below(10),
                                 .run_at = *now + below(3) * below(2000),
                                 .unique = below(3) ? 0 : 1 + below(4),
                                 .conflict = (enum model_conflict)below(3),
                                 .batch = below(3) ? 0 : 1 + below(3),
                                 .expires_at = below(5) ? 0 : *now + below(20000),
                                 .waits_for = below(9) ? 0 : 1 + below(3)};
        model_accept(&m, &rules, &a, *now);
        return;
    }
    case 3:
    case 4:
    case 5: {
        struct model_reply r = model_reserve(&m, &rules, below(4), below(2) ? 0 : 1 + below(5),
                                             1000 + *granted, 0, 0, rules.lease_ms, *now);
        if (r.word == MODEL_OK && model_find(&m, r.job)->nonce == 1000 + *granted)
            held[(*granted)++ % 16] =
                (struct model_lease){r.job, model_find(&m, r.job)->nonce, m.epoch};
        return;
    }
    case 6:
        model_started(&m, &rules, l);
        model_heartbeat(&m, &rules, l, rules.lease_ms, *now);
        return;
    case 7:
        model_commit(&m, &rules, l, j ? j->next_batch - below(2) : 0, items, 2, *now);
        return;
    case 8:
    case 9:
        model_finish(&m, &rules, l, ending, *now);
        return;
    case 10:
        model_reap(&m, &rules, 64, *now);
        model_promote(&m, &rules, 64, *now);
        model_expire(&m, &rules, *now);
        return;
    case 11:
        model_cancel(&m, &rules, 1 + below(*ids + 1), below(2), *now);
        model_replay(&m, &rules, 1 + below(*ids + 1), below(2), *now);
        return;
    case 12:
        model_retain(&m, *now - 5000, 20);
        m.lanes[below(4)].paused = below(4) == 0;
        return;
    default:
        if (below(40) == 0)
            model_seal(&m, &rules, 1 + below(3), *now);
        if (below(40) == 0)
            m.sealed[1 + below(3)] = 0; /* the next batch of that number */
        if (below(300) == 0)
            model_restart(&m, &rules, *now);
        return;
    }
}

static void all_of_it_keeps_the_invariants(void **state)
{
    (void)state;
    const char *text = getenv("MODEL_STEPS");
    int64_t steps = text ? strtoll(text, NULL, 10) : 300000, now = 1000, ids = 0, granted = 0,
            ended = 0;
    struct model_lease held[16] = {0};
    rules.fail_max = rules.throttle_max = 3;
    rules.lease_ms = 4000;
    rules.suspect_ms = 1000;
    for (int64_t i = 0; i < m.lane_count; i++)
        m.lanes[i].quarantine = 4;
    m.lanes[1].pool = 1;
    m.lanes[2].emit_ms = 400;
    m.tenant_max[1] = 3;
    model_session_add(&m, (struct model_session){.pool = 1});
    model_session_add(&m, (struct model_session){.pool = 1, .emit_ms = 900});
    for (int64_t i = 0; i < steps; i++) {
        step(&now, &ids, held, &granted);
        const char *broken = model_check(&m, &rules);
        if (broken)
            fail_msg("step %lld: %s", (long long)i, broken);
        if (m.job_count == MODEL_JOBS)
            ended += model_retain(&m, INT64_MAX, MODEL_JOBS).n;
    }
    printf("%lld steps, %lld jobs, %lld leases\n", (long long)steps, (long long)m.seq,
           (long long)granted);
    assert_true(granted > steps / 100 && m.seq > steps / 100 && ended >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_unique_key_ends_with_its_job, set_up),
        cmocka_unit_test_setup(a_parent_goes_on_when_the_last_child_ended, set_up),
        cmocka_unit_test_setup(a_lane_with_sessions_waits_for_one, set_up),
        cmocka_unit_test_setup(a_full_lane_takes_a_better_job_in_the_place_of_its_last, set_up),
        cmocka_unit_test_setup(a_repeated_reserve_answers_the_same_lease, set_up),
        cmocka_unit_test_setup(caps_pauses_drain_and_quarantine_hold, set_up),
        cmocka_unit_test_setup(a_backup_fences_what_came_before, set_up),
        cmocka_unit_test_setup(all_of_it_keeps_the_invariants, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
