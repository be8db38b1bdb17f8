/* What the queue in Redis promises beside the scenarios, which run on every store: several nodes share it, a lost reply
 * changes nothing, a broken index is mended, records never run ahead of the cursor. */
#include "../lib/scenario.h"

#include "store/redis/inside.h"
#include "store/thread.h"
#include "store/together.h"

#include "core/retry.h"
#include "store/dead.h"

#include <string.h>

/* ---- asking the server itself ---- */

static struct reply heard;

static void ask(const char *const *words)
{
    struct redis_place *p = w->place;
    struct span spans[16];
    size_t n = 0;
    while (words[n]) {
        spans[n] = span_of(words[n]);
        n++;
    }
    w->f = (struct fault){0};
    if (link_ask(p->watch, spans, n, w->a, &heard, &w->f))
        fail_msg("%s: %s", words[0], w->f.words);
}
#define ASK(...) ask((const char *const[]){__VA_ARGS__, NULL})

static struct store *open_node(const char *name)
{
    struct redis_place *p = w->place;
    struct store *s;
    struct redis_config config = {.url = span_of(p->server.url),
                                  .node = span_of(name),
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .callers_time = true};
    w->f = (struct fault){0};
    if (redis_open(&s, &config, &w->limits, 7, now(), &w->f))
        fail_msg("open: %s", w->f.words);
    return s;
}

/* ---- several nodes ---- */

static void nodes_share_one_queue_and_a_restart_gives_back_what_was_its_own(void **state)
{
    (void)state;
    struct store *own = w->s, *other = open_node("other");
    accept_many("x/normal", 4);
    struct lease a = start_next(), b, c;
    w->s = other;
    b = start_next();
    assert_string_not_equal(a.id, b.id);
    assert_int_equal(view(a.id).state, JOB_ACTIVE);
    c = start_next();
    finish(&c, FAILURE_NONE);
    w->s = own;
    assert_int_equal(view(c.id).state, JOB_SUCCEEDED);
    store_close(&other); /* dies, and comes back */
    other = open_node("other");
    assert_int_equal(view(b.id).state, JOB_READY);
    assert_int_equal(view(b.id).n_release, 1);
    assert_int_equal(view(a.id).state, JOB_ACTIVE); /* nobody else's */
    assert_int_equal(heartbeat(&a, NULL), E_OK);
    assert_int_equal(heartbeat(&b, NULL), E_STALE);
    w->s = other;
    assert_string_equal(lease_next().id, b.id); /* in front of its lane */
    w->s = own;
    store_close(&other);
}

/* One page of what a node does when it opens the store; what it was told to go on behind, and is told. */
static void open_page(struct link *link, const char *node, char time[24], char member[64])
{
    char at[24], conf[17 * 8] = {0};
    snprintf(at, sizeof at, "%lld", (long long)w->now);
    const struct span args[] = {span_of(at),   {conf, sizeof conf}, SPAN(""),
                                span_of(node), SPAN("1"),           SPAN("1"),
                                span_of(time), span_of(member)};
    assert_int_equal(link_run(link, SCRIPT_OPEN, args, 8, w->a, &heard, &w->f), E_OK);
    assert_int_equal(reply_number(&heard, 0), 0);
    span_copy(reply_text(&heard, 3), time, 24);
    span_copy(reply_text(&heard, 4), member, 64);
}

static void a_restart_gives_back_all_that_was_its_own_whatever_others_do_meanwhile(void **state)
{
    (void)state;
    enum { EACH = 100, ENDED = 40 };
    struct redis_place *p = w->place;
    struct store *own = w->s, *other = open_node("other");
    static struct lease mine[EACH];
    struct link *link = NULL;
    char time[24] = "", member[64] = "";
    int pages = 0, ended = 0;
    accept_many("x/normal", 2 * EACH);
    for (int i = 0; i < EACH; i++) {
        w->s = own;
        mine[i] = start_next();
        w->s = other;
        start_next();
    }
    store_close(&other); /* dies, and comes back */
    w->s = own;
    struct link_config config = {.url = span_of(p->server.url), .name = SPAN("q")};
    assert_int_equal(link_new(&link, &config, &w->f), E_OK);
    do {
        open_page(link, "other", time, member);
        for (int i = 0; i < ENDED / 2 && ended < ENDED; i++)
            finish(&mine[ended++], FAILURE_NONE);
        for (int i = ENDED; i < EACH; i++)
            assert_int_equal(heartbeat(&mine[i], NULL), E_OK);
        w->now++;
    } while (time[0] && ++pages < 20);
    link_free(&link);
    assert_true(pages >= 2 && pages < 20);
    assert_int_equal(outlook().by_state[JOB_READY], EACH);
    assert_int_equal(outlook().by_state[JOB_ACTIVE], EACH - ENDED);
}

static void four_nodes_together_keep_the_rate_and_the_limits_of_a_lane(void **state)
{
    (void)state;
    enum { NODES = 4, EMIT = 100, BURST = 3, MOST = 5, JOBS = 200 };
    struct store *own = w->s, *nodes[NODES];
    int64_t starts[JOBS];
    struct lease held[MOST];
    int count = 0, running = 0;
    lane_rate("x/normal", EMIT, BURST);
    lane_max_active("x/normal", MOST);
    accept_many("x/normal", JOBS);
    for (int i = 0; i < NODES; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        nodes[i] = open_node(name);
    }
    while (count < JOBS) {
        w->s = nodes[below(NODES)];
        struct lease l;
        if (reserve(&l)) {
            assert_true(running < MOST);
            starts[count++] = w->now;
            held[running++] = l;
        }
        w->s = nodes[below(NODES)]; /* whoever took it, anybody may end it */
        if (running && below(3) == 0) {
            finish(&held[0], FAILURE_NONE);
            memmove(held, held + 1, (size_t)--running * sizeof *held);
        }
        w->now += below(40);
        drop_texts();
    }
    for (int i = 0; i < JOBS; i++)
        for (int k = i; k < JOBS; k++)
            assert_true(k - i + 1 <= BURST + (starts[k] - starts[i]) / EMIT);
    for (int i = 0; i < NODES; i++)
        store_close(&nodes[i]);
    w->s = own;
}

/* ---- replies that get lost ---- */

/* The connection ends behind each call; what the link asks again gets the answer of the first time. */
static void the_same_call_again_gives_the_same_answer_and_happens_once(void **state)
{
    (void)state;
    struct lease l;
    const char *id = accept_job();
    assert_true(reserve(&l));
    assert_int_equal(commit_batch(&l, 0, 0, 3), E_OK);
    finish(&l, FAILURE_NETWORK);
    ASK("HGET", "fulmar:{q}:last", "node");
    struct span last = heard.text;
    assert_true(last.n > 0);
    /* Word for word what the link sends when it was cut: the script, and the number of the call. */
    char number[64], at[24];
    span_copy(span_cut(last, 0, span_find_char(last, '|')), number, sizeof number);
    snprintf(at, sizeof at, "%lld", (long long)w->now);
    struct span before = look();
    struct redis_place *p = w->place;
    struct span args[24] = {span_of(at), SPAN_NONE, span_of(number), SPAN("node"), span_of(id)};
    char conf[17 * 8] = {0};
    args[1] = (struct span){conf, sizeof conf};
    for (int i = 5; i < 24; i++)
        args[i] = SPAN("");
    struct link *link = NULL;
    assert_int_equal(
        link_new(&link, &(struct link_config){.url = span_of(p->server.url), .name = SPAN("q")},
                 &w->f),
        E_OK);
    assert_int_equal(link_run(link, SCRIPT_FINISH, args, 24, w->a, &heard, &w->f), E_OK);
    assert_int_equal(reply_number(&heard, 0), 0);
    assert_int_equal(reply_number(&heard, 1), JOB_SCHEDULED);
    assert_int_equal(reply_number(&heard, 2), view(id).run_at_ms - w->now);
    same_look(before, look());
    /* Under another number it is another call, and the lease is gone. */
    args[2] = SPAN("1.999");
    assert_int_equal(link_run(link, SCRIPT_FINISH, args, 24, w->a, &heard, &w->f), E_OK);
    assert_int_equal(reply_number(&heard, 0), 2);
    same_look(before, look());
    link_free(&link);
}

/* Asked for in the words of the link when it was cut. */
static void what_is_kept_to_answer_again_is_short_and_answers_whole(void **state)
{
    (void)state;
    enum { LONG = 60000, SPEC = 3, CURSOR = 17 };
    static char spec[LONG], cursor[4000];
    struct accept_args job = job_args(new_id(), "x/normal");
    struct lease l;
    struct commit_reply ignored;
    struct store_op asked[2] = {0}, *two[2] = {&asked[0], &asked[1]};
    for (int i = 0; i < 2; i++) {
        asked[i].verb = STORE_RESERVE;
        asked[i].arena = w->a;
        asked[i].in.reserve = (struct reserve_args){
            .worker = SPAN("w1"), .needs = NEEDS_PAGE, .random = 7000 + (uint64_t)i};
    }
    memset(spec, 's', sizeof spec);
    memset(cursor, 'c', sizeof cursor);
    job.spec = (struct span){spec, sizeof spec};
    accept_args(&job);
    assert_true(reserve(&l));
    struct commit_args brings = {
        .id = span_of(l.id), .nonce = l.nonce, .cursor = {cursor, sizeof cursor}};
    begin();
    assert_int_equal(store_commit_batch(w->s, &brings, now(), &ignored, &w->f), E_OK);
    commit();
    finish(&l, FAILURE_NETWORK);
    w->now += HOUR;
    (void)reap();
    accept_many("x/normal", 1);
    begin();
    store_together(w->s, two, 2, now());
    commit();
    assert_true(asked[0].answered && asked[1].answered);
    assert_string_equal(asked[0].out.lease.id, l.id);
    ASK("HGET", "fulmar:{q}:last", "node");
    assert_in_range(heard.text.n, 1, 1000);
    char number[64], conf[17 * 8] = {0};
    span_copy(span_cut(heard.text, 0, span_find_char(heard.text, '|')), number, sizeof number);
    struct span args[4] = {SPAN(""), {conf, sizeof conf}, span_of(number), SPAN("node")};
    struct redis_place *p = w->place;
    struct link *link = NULL;
    assert_int_equal(
        link_new(&link, &(struct link_config){.url = span_of(p->server.url), .name = SPAN("q")},
                 &w->f),
        E_OK);
    assert_int_equal(link_run(link, SCRIPT_TURN, args, 4, w->a, &heard, &w->f), E_OK);
    const struct reply *again = reply_list(reply_list(&heard, 1), 1);
    assert_true(span_eq(reply_text(again, 0), span_of(l.id)));
    assert_true(span_find(reply_text(again, SPEC), job.spec) < reply_text(again, SPEC).n);
    assert_true(span_eq(reply_text(again, CURSOR), brings.cursor));
    link_free(&link);
}

static void somebody_elses_data_in_what_all_jobs_use_is_named_and_not_touched(void **state)
{
    (void)state;
    static const char *const keys[] = {"act", "s:2",  "uniq",    "words",
                                       "ev",  "wake", "bcoming", "room"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *key = arena_fmt(w->ids, "fulmar:{q}:%s", keys[i]);
        struct fault f = {0};
        store_close(&w->s);
        ASK("DEL", key);
        ASK("SADD", key, "somebody's");
        err e = redis_place_open(w->place, &w->limits, now(), &w->s, &f);
        if (!strstr(f.words, key))
            fail_msg("%s: %s", key, f.words);
        assert_int_equal(e, E_STORE);
        ASK("SCARD", key);
        assert_int_equal(heard.number, 1);
        ASK("DEL", key);
        reopen();
    }
    accept_job();
}

/* While there is little memory the jobs behind one that does not fit are looked at: all but that one start. */
static void somebody_elses_data_under_a_job_that_is_looked_past_holds_up_nobody(void **state)
{
    (void)state;
    const char *ids[3];
    for (int i = 0; i < 3; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.memory_bytes = i == 0 ? 4000 : 1000;
        ids[i] = args.id.p;
        accept_args(&args);
    }
    const char *key = arena_fmt(w->ids, "fulmar:{q}:j:%s", ids[1]);
    ASK("DEL", key);
    ASK("SADD", key, "somebody's");
    struct reserve_args little = {.needs = NEEDS_PAGE, .memory_bytes = 1000, .random = 5};
    struct lease l;
    assert_int_equal(reserve_as(&little, &l), E_OK);
    assert_string_equal(l.id, ids[2]);
    ASK("SCARD", key);
    assert_int_equal(heard.number, 1);
}

/* Nothing of them is made up: what is not there, or is not one of them, is empty. */
static void texts_of_a_job_that_are_cut_short_are_empty(void **state)
{
    (void)state;
    const char *const broken[] = {"", "x", "1:x5:po", "1:x5:posts", "1:x99:posts"};
    struct accept_args args = job_args(new_id(), "x/normal");
    accept_args(&args);
    const char *key = arena_fmt(w->ids, "fulmar:{q}:p:%s", args.id.p);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct span texts[FIXED_TEXTS];
        memset(texts, 0x5a, sizeof texts);
        fixed_read(span_of(broken[i]), texts);
        for (int t = i == 3 ? 2 : 1; t < FIXED_TEXTS; t++)
            assert_int_equal(texts[t].n, 0);
        ASK("SET", key, broken[i]);
        struct job_view v = view(args.id.p);
        assert_int_equal(v.target.n + v.spec.n, 0);
    }
    struct lease l;
    struct reserve_args any = {.needs = NEEDS_PAGE, .random = 5};
    assert_int_equal(reserve_as(&any, &l), E_OK);
    assert_int_equal(l.target.n + l.spec.n, 0);
}

/* A version to come leaves out what is empty at the end: with such a job all is done that is with any other one. */
static void texts_of_a_job_that_end_early_are_empty_for_each_transition(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.mark = MARK_USED;
    args.unique_key = SPAN("u");
    accept_args(&args);
    ASK("SET", arena_fmt(w->ids, "fulmar:{q}:p:%s", args.id.p), "1:x5:posts4:nasa2:{}");
    struct lease l = start_next();
    finish(&l, FAILURE_NOT_FOUND);
    assert_int_equal(state_of(args.id.p), JOB_DEAD);
    struct replay_args again = {.id = args.id};
    struct replay_reply reply;
    begin();
    err e = store_replay(w->s, &again, now(), &reply, &w->f);
    commit();
    assert_int_equal(e, E_OK);
    l = start_next();
    struct finish_args done = finish_args_of(&l, FAILURE_NONE);
    struct finish_reply ended;
    done.verdict = VERDICT_COMPLETE;
    assert_int_equal(try_finish(&done, &ended), E_OK);
    assert_int_equal(state_of(args.id.p), JOB_SUCCEEDED);
    assert_int_equal(walk_once(), 0);
}

static void a_lease_whose_reply_was_lost_is_given_again(void **state)
{
    (void)state;
    struct lease first, again;
    accept_many("x/normal", 2);
    struct reserve_args args = {.needs = NEEDS_PAGE, .random = 4711};
    assert_int_equal(reserve_as(&args, &first), E_OK);
    assert_int_equal(reserve_as(&args, &again),
                     E_OK); /* by its nonce, as the link asks again */
    assert_string_equal(first.id, again.id);
    assert_int_equal(first.fence, again.fence);
    assert_int_equal(outlook().by_state[JOB_ACTIVE], 1);
}

/* ---- delays ---- */

static void delays_are_those_of_the_embedded_store(void **state)
{
    (void)state;
    static const char *const ids[] = {"a", "job_1", "job_0000042", "job_01JD0QZ8Z8Z8Z8Z8Z8Z8Z8",
                                      "12345678"};
    static const uint64_t seeds[] = {7, 0, UINT64_MAX, 0x123456789abcdef0};
    static const int64_t hints[] = {0, 120000, 86400000};
    static const struct retry_policy owns[] = {
        {0}, {.base_ms = 90}, {.cap_ms = 1700, .factor = 3}, {70000, 0, 1}};
    struct redis_place *p = w->place;
    for (size_t k = 0; k < 4; k++) {
        struct store *s;
        struct redis_config config = {.url = span_of(p->server.url),
                                      .name = SPAN("delays"),
                                      .records = &kept_records,
                                      .archive = p->archive,
                                      .callers_time = true};
        struct retry_policy policy = {.base_ms = 1000, .cap_ms = 60000};
        w->limits.fail_max = w->limits.throttle_max = 1000;
        assert_int_equal(redis_open(&s, &config, &w->limits, seeds[k], now(), &w->f), E_OK);
        struct store *own = w->s;
        w->s = s;
        for (size_t i = 0; i < 5; i++) {
            for (size_t h = 0; h < 3; h++) {
                struct accept_args args =
                    job_args(arena_fmt(w->ids, "%s-%zu%zu", ids[i], k, h), "x/normal");
                accept_args(&args);
                for (int n = 1; n <= 8; n++) {
                    w->now += 2 * 86400000LL;
                    reap();
                    lane_act("x/normal", LANE_ACT_UNBLOCK, 0);
                    struct lease l = lease_next();
                    struct finish_args done = finish_args_of(&l, FAILURE_RESOURCE);
                    struct finish_reply r;
                    done.wait_ms = hints[h];
                    done.retry = owns[(i + (size_t)n) % 4];
                    struct retry_policy wanted = retry_with(&done.retry, &policy);
                    assert_int_equal(try_finish(&done, &r), E_OK);
                    assert_int_equal(r.retry_in_ms,
                                     retry_delay_ms(&wanted, args.id, n, seeds[k], hints[h]));
                }
                cancel(args.id.p, false);
            }
        }
        w->s = own;
        store_close(&s);
    }
}

/* ---- records ---- */

static void
without_an_archive_a_batch_with_records_is_refused_and_one_without_is_not(void **state)
{
    (void)state;
    struct store *own = w->s;
    struct redis_place *p = w->place;
    struct redis_config config = {
        .url = span_of(p->server.url), .node = SPAN("bare"), .callers_time = true};
    assert_int_equal(redis_open(&w->s, &config, &w->limits, 7, now(), &w->f), E_OK);
    accept_job();
    struct lease l = start_next();
    struct span before = look();
    assert_int_equal(commit_batch(&l, 0, 0, 3), E_STORE);
    assert_non_null(strstr(w->f.words, "store.archive"));
    same_look(before, look());
    assert_int_equal(commit_batch(&l, 0, 0, 0), E_OK);
    assert_int_equal(view(l.id).next_batch, 1);
    store_close(&w->s);
    w->s = own;
}

/* The archive got a batch, and the queue was gone before it heard of it. */
static void records_that_the_cursor_never_reached_are_taken_back(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        const char *id = accept_job();
        struct lease l = start_next();
        struct redis_place *p = w->place;
        struct archive_committed c;
        struct commit_reply done;
        assert_int_equal(commit_batch(&l, 0, 0, 3), E_OK);
        struct store_item item = {.kind = ITEM_POST, .id = SPAN("ahead"), .json = SPAN("{}")};
        struct archive_commit ahead = {
            .lease = {span_of(id), l.epoch, l.fence}, .batch = 1, .items = &item, .count = 1};
        ASK("HSET", arena_fmt(w->a, "fulmar:{q}:j:%s", id), "wb",
            "2"); /* as lease.lua notes it before */
        assert_int_equal(kept_commit(p->archive, &ahead, now(), &c, &w->f), E_OK);
        assert_int_equal(items_count(id), 4);
        if (way == 0) { /* the attempt ends without it */
            assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
            assert_int_equal(items_count(id), 3);
            assert_int_equal(view(id).have, 3);
            continue;
        }
        give_back(&l, BUDGET_RELEASE); /* or somebody else goes on */
        l = start_next();
        assert_int_equal(items_count(id), 3);
        assert_int_equal(commit_sized(&l, 1, 3, 2, 0, &done), E_OK);
        assert_int_equal(done.have, 5);
        finish(&l, FAILURE_NONE);
        assert_int_equal(items_count(id), 5);
    }
}

/* ---- S71: indexes that a hand broke ---- */

static void s71_a_broken_index_is_found_and_put_right_and_no_job_is_lost(void **state)
{
    (void)state;
    struct accept_args args = job_args(new_id(), "x/normal");
    args.unique_key = SPAN("u");
    args.expires_ms = w->now + HOUR;
    accept_args(&args);
    const char *ready = args.id.p, *later = new_id(), *gone = accept_in("y/bulk");
    args = job_args(later, "x/normal");
    args.run_at_ms = w->now + HOUR;
    accept_args(&args);
    struct lease l = {0};
    while (strcmp(l.id, gone) != 0) {
        l = start_next();
        if (strcmp(l.id, gone) != 0)
            give_back(&l, BUDGET_RELEASE);
    }
    accept_many("z/normal", 120);
    const char *over = accept_in("x/normal");
    cancel(over, false);
    assert_int_equal(walk_once(), 0); /* nothing is wrong with it */
    const char *member = arena_fmt(w->ids, "%012d:%s", 1, ready),
               *sleeper = arena_fmt(w->ids, "%012d:%s", 3, later),
               *runner = arena_fmt(w->ids, "%012d:%s", 2, gone);
    const char *const breaks[][5] = {
        {"ZREM", "fulmar:{q}:l:x/normal:0", member},
        {"ZREM", "fulmar:{q}:s:2", ready},
        {"ZREM", "fulmar:{q}:sched", sleeper},
        {"ZREM", "fulmar:{q}:l:x/normal:s", later},
        {"ZREM", "fulmar:{q}:act", runner},
        {"SREM", "fulmar:{q}:l:y/bulk:a", gone},
        {"SREM", "fulmar:{q}:te:default:a", gone},
        {"SREM", "fulmar:{q}:si:y:a", gone},
        {"ZREM", "fulmar:{q}:over", member},
        {"SREM", "fulmar:{q}:l:x/normal:e", over},
        {"HDEL", "fulmar:{q}:uniq", "default\nu"},
        {"ZREM", "fulmar:{q}:lanes", "z/normal"},
        {"DEL", "fulmar:{q}:l:z/normal:0"},
        {"DEL", "fulmar:{q}:tz1"},
        {"DEL", "fulmar:{q}:te:default:n"},
        {"DEL", "fulmar:{q}:l:z/normal"},
        /* and what is too much */
        {"ZADD", "fulmar:{q}:l:x/normal:0", "5", "000000000077:job_ghost"},
        {"ZADD", "fulmar:{q}:sched", "5", member},
        {"ZADD", "fulmar:{q}:act", "5", sleeper},
        {"SADD", "fulmar:{q}:l:x/normal:a", ready},
        {"SADD", "fulmar:{q}:te:default:a", "job_ghost"},
        {"HSET", "fulmar:{q}:uniq", "default\nfree", ready},
        {"ZADD", "fulmar:{q}:s:4", "1", ready},
        {"ZADD", "fulmar:{q}:done", "5", "000000000077:job_ghost"},
        {"SADD", "fulmar:{q}:l:x/normal:e", ready},
    };
    struct span before = look();
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
        ask(breaks[i]);
        int64_t repaired = walk_once();
        if (repaired == 0 && i != 13) /* turns are made anew, and not counted */
            fail_msg("%s %s was not found", breaks[i][0], breaks[i][1]);
        assert_int_equal(walk_once(), 0);
        if (strcmp(breaks[i][0], "DEL") != 0)
            same_look(before, look());
    }
    /* Everything at once; then all jobs run. */
    for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++)
        ask(breaks[i]);
    assert_true(walk_once() > 20);
    assert_int_equal(walk_once(), 0);
    finish(&l, FAILURE_NONE);
    w->now += HOUR - 1;
    for (int i = 0; i < 200 && outlook().by_state[JOB_SUCCEEDED] < 123; i++) {
        for (struct lease next; reserve(&next);)
            finish(&next, FAILURE_NONE);
        pass(1);
        drop_texts();
    }
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], 123);
}

/* ---- what retention may not delete ---- */

static const char *ended_with_work(int64_t work, int64_t max_age_ms)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.work = work;
    args.max_age_ms = max_age_ms;
    if (accept_args(&args).state == JOB_READY) {
        struct lease l = start_next();
        finish(&l, FAILURE_NONE);
    }
    assert_int_equal(state_of(args.id.p), JOB_SUCCEEDED);
    return args.id.p;
}

static int64_t work_of_retention(const struct retain_args *args)
{
    int64_t began = w->maker->work();
    assert_false(retain(args).more);
    return w->maker->work() - began;
}

static struct lease lease_of_work(int64_t work)
{
    struct accept_args args = job_args(new_id(), "x/normal");
    args.work = work;
    args.unique_key = SPAN("u");
    accept_args(&args);
    return start_next();
}

static const char *key_like(const char *pattern)
{
    ASK("KEYS", pattern);
    assert_int_equal(heard.count, 1);
    return arena_text(w->ids, reply_text(&heard, 0));
}

static void where_results_are_offered_is_walked_too(void **state)
{
    (void)state;
    struct lease l = lease_of_work(5);
    finish(&l, FAILURE_NONE);
    const char *by_work = key_like("fulmar:{q}:wa:*"), *by_key = key_like("fulmar:{q}:ua:*");
    assert_int_equal(walk_once(), 0);
    ASK("DEL", by_work);
    ASK("ZADD", by_key, "7", "job_of_nobody");
    assert_int_equal(walk_once(), 2);
    ASK("ZCARD", by_work);
    assert_int_equal(heard.number, 1);
    ASK("ZCARD", by_key);
    assert_int_equal(heard.number, 1);
}

static void behind_a_script_that_failed_all_is_walked_through_at_once(void **state)
{
    (void)state;
    struct lease l = lease_of_work(5);
    accept_many("y/normal", 200);
    for (int i = 0; i < 100; i++)
        redis_idle(w->s); /* a step a second: it stands somewhere */
    for (int turn = 0; turn < 2; turn++) {
        ASK("DEL", "fulmar:{q}:s:2");
        ASK("RENAME", arena_fmt(w->a, "fulmar:{q}:e:%s", l.id), "aside");
        ASK("SET", arena_fmt(w->a, "fulmar:{q}:e:%s", l.id), "somebody else's");
        struct finish_args args = finish_args_of(&l, FAILURE_NONE);
        struct finish_reply reply;
        assert_int_equal(try_finish(&args, &reply), E_STORE);
        ASK("RENAME", "aside", arena_fmt(w->a, "fulmar:{q}:e:%s", l.id));
        for (int i = 0; i < 10; i++)
            redis_idle(w->s);
        ASK("ZCARD", "fulmar:{q}:s:2");
        if (turn == 0)
            assert_int_equal(heard.number, 200);
        else
            assert_in_range(heard.number, 0, 199); /* not for each that fails */
    }
}

static void somebody_elses_data_where_a_result_is_offered_leaves_the_job_as_it_was(void **state)
{
    (void)state;
    struct lease l = lease_of_work(5);
    finish(&l, FAILURE_NONE);
    const char *keys[] = {key_like("fulmar:{q}:wa:*"), key_like("fulmar:{q}:ua:*")};
    for (int i = 0; i < 2; i++) {
        l = lease_of_work(5);
        ASK("RENAME", keys[i], "aside");
        ASK("SET", keys[i], "somebody else's");
        struct finish_args args = finish_args_of(&l, FAILURE_NONE);
        struct finish_reply reply;
        struct span before = look();
        assert_int_equal(try_finish(&args, &reply), E_STORE);
        same_look(before, look());
        ASK("RENAME", "aside", keys[i]);
        assert_int_equal(try_finish(&args, &reply), E_OK);
        assert_int_equal(state_of(l.id), JOB_SUCCEEDED);
    }
    assert_int_equal(walk_once(), 0);
}

/* Each job has an index of its own, for its work: of such a step looks at many. */
static void a_walk_takes_few_steps_also_where_indexes_are_small(void **state)
{
    (void)state;
    enum { JOBS = 300 };
    struct audit_reply r;
    for (int i = 0; i < JOBS; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.work = i + 1;
        accept_args(&args);
    }
    int64_t walks = -1, steps = 0;
    do {
        assert_int_equal(redis_audit(w->s, now(), &r, &w->f), E_OK);
        walks = walks < 0 ? r.walks : walks;
        steps++;
    } while (r.walks < walks + 1);
    assert_in_range(steps, 10, 150);
    assert_int_equal(walk_once(), 0);
}

static void what_is_needed_holds_up_nothing_behind_it_and_is_looked_at_once(void **state)
{
    (void)state;
    enum { NEEDED = 250 };
    const struct retain_args limits = {.age_ms = HOUR};
    const char *owners[NEEDED], *behind;
    int64_t idle = work_of_retention(&limits);
    for (int i = 0; i < NEEDED; i++)
        owners[i] = ended_with_work(i + 1, 0);
    behind = ended_with_work(0, 0);
    w->now += 50 * MINUTE;
    for (int i = 0; i < NEEDED; i++)
        ended_with_work(i + 1, HOUR); /* has the result of the first */
    w->now += 11 * MINUTE;
    for (int calls = 1; retain(&limits).more; calls++)
        assert_true(calls < 5);
    assert_false(exists(behind));
    assert_int_equal(outlook().by_state[JOB_SUCCEEDED], 2 * NEEDED);
    assert_true(work_of_retention(&limits) <= idle + 20);
    /* Whoever had them is gone: then they go as well. */
    w->now += HOUR;
    for (int calls = 0; retain(&limits).more; calls++)
        assert_true(calls < 60);
    assert_false(exists(owners[0]));
    assert_int_equal(jobs_count(), 0);
}

/* ---- events ---- */

static int64_t work_of_news(const char *id, int64_t after, size_t wanted)
{
    struct event_view *events;
    size_t n;
    int64_t began = w->maker->work();
    assert_int_equal(store_events(w->s, after, span_of(id), 100, w->a, &events, &n, &w->f),
                     E_OK);
    int64_t work = w->maker->work() - began;
    assert_int_equal(n, wanted);
    for (size_t i = 0; i < n; i++)
        assert_true(events[i].seq > after && (i == 0 || events[i].seq > events[i - 1].seq));
    return work;
}

static void new_events_of_a_job_cost_the_same_however_many_it_had(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    struct event_view *events;
    size_t n;
    const char *id = accept_job();
    struct lease l = start_next();
    accept_job(); /* others happen in between */
    int64_t few = work_of_news(id, store_last_event(w->s), 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(commit_batch(&l, i, i, 1), E_OK);
    assert_int_equal(store_events(w->s, 0, span_of(id), 10000, w->a, &events, &n, &w->f), E_OK);
    assert_int_equal(n, MANY + 2); /* that it was accepted, that it started */
    for (size_t i = 0; i < n; i++)
        assert_int_equal(events[i].number, i + 1);
    assert_true(work_of_news(id, events[n - 1].seq, 0) <= few + 40);
    assert_true(work_of_news(id, events[n - 6].seq, 5) <= few + 40);
    assert_true(work_of_news(id, events[0].seq - 1, 100) <= few + 40);
}

/* ---- a full memory ---- */

static void without_memory_nothing_comes_in_and_what_runs_ends(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    const char *id = accept_job(), *other = accept_job();
    struct lease l = start_next();
    ASK("CONFIG", "SET", "maxmemory-policy", "noeviction");
    ASK("CONFIG", "SET", "maxmemory", arena_fmt(w->a, "%lld", (long long)redis_bytes(p) / 2));
    struct accept_args args = job_args(new_id(), "fresh/normal");
    struct accept_reply reply;
    struct span before = look();
    assert_int_equal(try_accept(&args, &reply), E_DISK_FULL);
    assert_int_equal(commit_batch(&l, 0, 0, 0),
                     E_DISK_FULL); /* its worker keeps the page, and comes again */
    same_look(before, look());
    assert_false(exists(args.id.p));
    assert_int_equal(heartbeat(&l, NULL), E_OK);
    assert_int_equal(finish(&l, FAILURE_NONE).state, JOB_SUCCEEDED);
    l = start_next();
    assert_string_equal(l.id, other);
    w->now += 60000;
    reap();
    assert_int_equal(cancel(other, true).state, JOB_CANCELLED);
    ASK("CONFIG", "SET", "maxmemory", "0");
    assert_int_equal(accept_args(&args).state, JOB_READY); /* by itself, when there is room */
    assert_int_equal(state_of(id), JOB_SUCCEEDED);
}

/* ---- other people's data ---- */

static void a_queue_of_a_newer_version_is_left_alone(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct store *s;
    struct redis_config config = {.url = span_of(p->server.url), .callers_time = true};
    ASK("HSET", "fulmar:{q}:meta", "schema", "99");
    assert_int_equal(redis_open(&s, &config, &w->limits, 7, now(), &w->f), E_CONFIG);
    assert_non_null(strstr(w->f.words, "99"));
    ASK("HSET", "fulmar:{q}:meta", "schema", "1");
}

/* The clocks of nodes differ; a hold lasts as long as was heard, by the server's. */
static void a_hold_lasts_as_long_whatever_the_clock_of_the_node_says(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct store *own = w->s;
    struct redis_config config = {.url = span_of(p->server.url), .name = SPAN("held")};
    assert_int_equal(redis_open(&w->s, &config, &w->limits, 7, (wall){0}, &w->f), E_OK);
    for (int64_t off = -5 * MINUTE; off <= 5 * MINUTE; off += 10 * MINUTE) {
        w->now = view(accept_in("x/normal")).created_ms + off; /* the server's, as it were */
        lane_act("x/normal", LANE_ACT_BREAKER_OPEN, MINUTE);
        struct lane_view v = lane("x/normal");
        assert_int_equal(v.hand.until_ms - v.hand.at_ms, MINUTE);
        assert_in_range(v.breaker.until_ms - (w->now - off), MINUTE, MINUTE + 30 * SECOND);
        assert_int_equal(v.breaker_forced_until_ms, v.breaker.until_ms); /* seen as held */
        lane_act("x/normal", LANE_ACT_BREAKER_RESET, 0);
    }
    store_close(&w->s);
    w->s = own;
}

static void time_of_the_server_goes_back_a_little_unseen_and_a_lot_openly(void **state)
{
    (void)state;
    struct redis_place *p = w->place;
    struct store *own = w->s;
    struct redis_config config = {.url = span_of(p->server.url), .name = SPAN("clock")};
    assert_int_equal(redis_open(&w->s, &config, &w->limits, 7, (wall){0}, &w->f), E_OK);
    const char *id = accept_job();
    int64_t first = view(id).created_ms;
    assert_true(first > 1600000000000); /* not what the caller says */
    ASK("HGET", "fulmar:{clock}:meta", "hw");
    int64_t mark = 0;
    assert_true(span_int(heard.text, &mark));
    ASK("HSET", "fulmar:{clock}:meta", "hw", arena_fmt(w->a, "%lld", (long long)(mark + 1500)));
    id = accept_job();
    assert_true(view(id).created_ms >= mark + 1500); /* it stands still until it is there */
    ASK("HSET", "fulmar:{clock}:meta", "hw",
        arena_fmt(w->a, "%lld", (long long)(mark + 3600000)));
    id = accept_job();
    assert_true(view(id).created_ms <
                mark + 600000); /* the mark was wrong: time goes on as it is */
    store_close(&w->s);
    w->s = own;
}

static int64_t due_in(const char *index)
{
    ASK("ZCARD", arena_fmt(w->a, "fulmar:{q}:%s", index));
    return heard.number;
}

static void tend_once(void)
{
    begin();
    assert_int_equal(store_tend(w->s, now(), &w->f), E_OK);
    commit();
}

static struct operation_view cancel_labelled(const char *id)
{
    struct operation_view v;
    struct operation_args args = {.id = span_of(id),
                                  .kind = OPERATION_CANCEL,
                                  .many = true,
                                  .jobs = jobs_filter_all(),
                                  .filter = {.failure = -1}};
    args.jobs.states = 0xf;
    args.jobs.labels = SPAN("{\"team\":\"press\"}");
    begin();
    assert_int_equal(store_operation_start(w->s, &args, now(), w->a, &v, &w->f), E_OK);
    commit();
    assert_int_equal(v.state, OPERATION_RUNNING);
    return v;
}

/* Where a node that knows no labels looks for what is due there is nothing; what it cancels, or lets go, ends. */
static void an_earlier_version_finds_no_operation_by_labels(void **state)
{
    (void)state;
    enum { JOBS = 60 };
    for (int i = 0; i < JOBS; i++) {
        struct accept_args args = job_args(new_id(), "x/normal");
        args.spec = SPAN("{\"labels\":{\"team\":\"press\"}}");
        accept_args(&args);
    }
    struct operation_view v = cancel_labelled("opr_01ARZ3NDEKTSV4RRFFQ6000001");
    int64_t done = v.done;
    assert_int_equal(due_in("opdue"), 0);
    assert_int_equal(due_in("oplabel"), 1);
    assert_int_equal(outlook().next_ms, v.due_ms);
    ASK("HSET", arena_fmt(w->a, "fulmar:{q}:op:%s", v.id), "state", "2");
    w->now = v.due_ms;
    tend_once();
    assert_int_equal(due_in("oplabel"), 0);
    assert_int_equal(outlook().by_state[JOB_READY], JOBS - done);
    v = cancel_labelled("opr_01ARZ3NDEKTSV4RRFFQ6000002");
    for (int i = 0; v.state == OPERATION_RUNNING; i++) {
        assert_true(i < JOBS);
        assert_int_equal(due_in("opdue"), 0);
        w->now = v.due_ms;
        tend_once();
        assert_int_equal(store_operation(w->s, span_of(v.id), w->a, &v, &w->f), E_OK);
    }
    assert_int_equal(outlook().by_state[JOB_READY], 0);
    assert_int_equal(due_in("oplabel"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        S(nodes_share_one_queue_and_a_restart_gives_back_what_was_its_own),
        S(a_restart_gives_back_all_that_was_its_own_whatever_others_do_meanwhile),
        S(four_nodes_together_keep_the_rate_and_the_limits_of_a_lane),
        S(the_same_call_again_gives_the_same_answer_and_happens_once),
        S(what_is_kept_to_answer_again_is_short_and_answers_whole),
        S(somebody_elses_data_in_what_all_jobs_use_is_named_and_not_touched),
        S(somebody_elses_data_under_a_job_that_is_looked_past_holds_up_nobody),
        S(texts_of_a_job_that_are_cut_short_are_empty),
        S(texts_of_a_job_that_end_early_are_empty_for_each_transition),
        S(a_lease_whose_reply_was_lost_is_given_again),
        S(delays_are_those_of_the_embedded_store),
        S(without_an_archive_a_batch_with_records_is_refused_and_one_without_is_not),
        S(records_that_the_cursor_never_reached_are_taken_back),
        S(s71_a_broken_index_is_found_and_put_right_and_no_job_is_lost),
        S(where_results_are_offered_is_walked_too),
        S(behind_a_script_that_failed_all_is_walked_through_at_once),
        S(somebody_elses_data_where_a_result_is_offered_leaves_the_job_as_it_was),
        S(a_walk_takes_few_steps_also_where_indexes_are_small),
        S(what_is_needed_holds_up_nothing_behind_it_and_is_looked_at_once),
        S(new_events_of_a_job_cost_the_same_however_many_it_had),
        S(without_memory_nothing_comes_in_and_what_runs_ends),
        S(a_queue_of_a_newer_version_is_left_alone),
        S(an_earlier_version_finds_no_operation_by_labels),
        S(a_hold_lasts_as_long_whatever_the_clock_of_the_node_says),
        S(time_of_the_server_goes_back_a_little_unseen_and_a_lot_openly),
    };
    maker = &store_makers[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
