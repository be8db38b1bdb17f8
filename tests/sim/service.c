/* service.c - the process around the store: what has arrived is done as one group and then answered. It looks after leases and
 * schedules, and tells a receiver what happened. */
#include "sim.h"

#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const call_names[] = {
    "accept", "batch", "add to",  "seal",    "cancel",    "lane",    "mode",  "replay",
    "retry",  "fire",  "reserve", "started", "heartbeat", "records", "finish"};

/* ---- the service ---- */

int64_t store_now(const struct sim *s)
{
    return T0 + s->now + s->offset;
}

void look_ahead(struct sim *s)
{
    int64_t next = watch_ahead(&s->watch, store_now(s)), in = POLL_MS;
    for (int i = 0; s->watch.seen.startable > 0 && i < NODES; i++)
        put(s, between(s, 1, 5), WAKE, (struct message){.node = i});
    if (next != INT64_MAX && next - store_now(s) < in)
        in = next > store_now(s) ? next - store_now(s) : 1;
    if (s->tend_at <= s->now || s->now + in < s->tend_at) {
        s->tend_at = s->now + in;
        put(s, in, TEND, (struct message){0});
    }
}

void arrive(struct sim *s, struct message m)
{
    if (s->inbox_count == sizeof s->inbox / sizeof s->inbox[0])
        return; /* the listen queue is full */
    if (s->over && (m.call == LANE || m.call == MODE))
        return; /* what was said in the storm comes too late */
    s->inbox[s->inbox_count++] = m;
    if (!s->flush_set)
        put(s, between(s, 0, 8), FLUSH, m);
    s->flush_set = true;
}

/* Of clients and operators, in words. */
static void say_asked(struct sim *s, const struct message *m, const char *answer)
{
    static const char *const wishes[WISHES] = {"or the one there is", "or nothing",
                                               "in place of others",  "behind what runs",
                                               "or a fresh result",   "or a shared result"};
    static const char *const stops[] = {" by force", " within 2 s", ""};
    static const char *const acts[LANE_ACTS] = {[LANE_ACT_PAUSE] = "pause",
                                                [LANE_ACT_RESUME] = "resume",
                                                [LANE_ACT_CLOSE] = "close",
                                                [LANE_ACT_OPEN] = "open"};
    const struct watch_order *o = &s->watch.orders[m->job];
    switch (m->call) {
    case ACCEPT:
        if (o->work == WATCH_NOBODY)
            say(s, "accept job %" PRId64 ", try %" PRId64 "%s: %s", m->job, m->try,
                m->nonce == 1 ? "" : ", another body", answer);
        else
            say(s, "accept job %" PRId64 ", try %" PRId64 ", work %" PRId64 " %s: %s", m->job,
                m->try, o->work, wishes[o->wish], answer);
        return;
    case CANCEL:
        say(s, "cancel job %" PRId64 "%s: %s", m->job, stops[m->kind], answer);
        return;
    case LANE:
        say(s, "%s lane %s: %s", acts[m->kind], watch_lane_names[m->job], answer);
        return;
    case MODE:
        say(s, "the service is %s: %s", mode_name((enum store_mode)m->kind), answer);
        return;
    case REPLAY:
        say(s, "replay job %" PRId64 "%s: %s", m->job, m->kind ? "" : " from its beginning",
            answer);
        return;
    case FIRE:
        say(s, "node %d fires schedule %" PRId64 " as of %" PRId64 ": %s", m->node,
            m->due.schedule, m->due.at_ms - T0, answer);
        return;
    default:
        say(s, "%s batch %" PRId64 ": %s", call_names[m->call], m->batch, answer);
        return;
    }
}

static void serve(struct sim *s, struct message *m)
{
    struct watch *w = &s->watch;
    struct watch_lease lease = {0};
    int64_t now = store_now(s);
    watch_note(w, now);
    switch (m->call) {
    case ACCEPT:
        m->result = watch_accept(w, m->job, m->try, m->nonce, now, &m->wait);
        break;
    case BATCH:
        m->result = watch_batch_make(w, m->batch, m->try, now, &m->wait);
        break;
    case ADD:
        m->result = watch_batch_add(w, m->batch, m->try, now, &m->wait);
        break;
    case SEAL:
        m->result = watch_batch_seal(w, m->batch, now, &m->wait);
        break;
    case CANCEL:
        m->result = watch_cancel(w, m->job,
                                 (struct watch_stop){.force = m->kind == 0,
                                                     .grace_ms = m->kind == 1 ? 2 * SECOND : 0},
                                 now, &m->cancel);
        break;
    case LANE:
        m->result = watch_lane_act(w, m->job, (enum lane_act)m->kind, now);
        break;
    case MODE:
        m->result = watch_mode(w, (enum store_mode)m->kind, now);
        break;
    case REPLAY:
        m->result = watch_replay(w, m->job, m->kind == 0, now);
        break;
    case FIRE:
        m->result = watch_fire(w, &m->due, now);
        break;
    case RETRY:
        m->result = watch_retry(w, m->batch, (uint64_t)s->order, now);
        break;
    case RESERVE:
        m->result = watch_reserve(w, (uint64_t)below(s, INT32_MAX) << 24 | (uint64_t)s->order,
                                  &m->memory, now, &lease);
        m->passed_ms = lease.passed_ms;
        m->passed_bytes = lease.passed_bytes;
        m->job = lease.job;
        m->batch = lease.next_batch;
        m->nonce = lease.nonce;
        break;
    case STARTED:
        m->result = watch_started(w, m->job, m->nonce, now);
        break;
    case HEARTBEAT:
        m->result = watch_heartbeat(w, m->job, m->nonce, now, &m->cancel);
        break;
    case RECORDS:
        m->result = watch_records(w, m->job, m->nonce, m->batch, now);
        break;
    case FINISH:
        m->result = watch_finish(w, m->job, m->nonce, m->ending, now);
        break;
    }
    watch_refused(w, call_names[m->call], m->call == BATCH || m->call == ADD, m->result, now);
    const char *answer = m->result ? err_text(m->result) : "ok";
    if (m->call >= RESERVE)
        say(s, "%s job %" PRId64 " batch %" PRId64 " of node %d.%d: %s", call_names[m->call],
            m->job, m->batch, m->node, m->worker, answer);
    else
        say_asked(s, m, answer);
}

/* As the service's own thread does it (store/thread.c): what ends jobs or keeps them alive is done with the room that the
 * ballast left, and that has to be enough; all else is told that there is none. */
static void do_with_ballast(struct sim *s)
{
    struct watch *w = &s->watch;
    watch_begin(w, store_now(s), false);
    for (size_t i = 0; i < s->inbox_count; i++) {
        struct message *m = &s->inbox[i];
        if (m->call == FINISH || m->call == HEARTBEAT || m->call == STARTED ||
            m->call == CANCEL || m->call == LANE) {
            serve(s, m);
            continue;
        }
        m->result = E_DISK_FULL;
        m->wait = true;
        w->sights[SIGHT_no_room]++;
    }
    if (watch_commit(w, store_now(s)))
        w->broken(w->ctx, "what ends jobs was not written, ballast or not");
}

void flush(struct sim *s)
{
    struct watch *w = &s->watch;
    bool lost = one_in(s, 400);
    s->flush_set = false;
    watch_begin(w, store_now(s), lost);
    for (size_t i = 0; i < s->inbox_count; i++)
        serve(s, &s->inbox[i]);
    if (!lost && watch_commit(w, store_now(s))) {
        say(s, "the group finds no room");
        do_with_ballast(s);
    }
    size_t count = s->inbox_count;
    s->inbox_count = 0;
    if (lost) {
        say(s, "power fails before the group is written");
        watch_power(w, store_now(s));
        look_ahead(s);
        return;
    }
    if (one_in(s, 400)) {
        say(s, "power fails before the answers");
        watch_power(w, store_now(s));
        look_ahead(s);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct message *m = &s->inbox[i];
        struct watch_job *j = &w->seen.jobs[m->job];
        if (m->call <= SEAL && !m->result)
            j->acknowledged = j->exists;
        if (m->call <= SEAL)
            post(s, HEARD, *m);
        else if (m->call >= RESERVE)
            post(s, ANSWER, *m);
    }
    look_ahead(s);
    if (s->steps % 64 == 0)
        watch_audit(w, store_now(s), false);
}

/* A job that takes more than is left beside others waits as long as the node is patient, until what runs there has ended, and
 * for those that wait for room before it. */
static void check_large(struct sim *s)
{
    int64_t large[WATCH_ALL], count = 0,
                              came = 0; /* those that ended had their turns meanwhile */
    for (int64_t i = 0; s->crowded && i < WATCH_ALL; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[i];
        bool is_large = j->exists && s->watch.orders[i].memory_bytes > NODE_BYTES / 2;
        came += is_large;
        if (!j->exists || job_is_final(j->state))
            s->came_ms[i] = 0;
        else if (is_large)
            large[count++] = i;
    }
    for (int64_t i = 0; i < count; i++) {
        const struct watch_job *j = &s->watch.seen.jobs[large[i]];
        const struct watch_lane *l = &s->watch.seen.lanes[j->lane];
        bool held_up = l->blocked_until > store_now(s) || l->breaker_until > 0 || l->paused;
        if (s->came_ms[large[i]] == 0 || held_up)
            s->came_ms[large[i]] = s->now;
        int64_t since = s->came_ms[large[i]], waited;
        since = since > s->foul_ms ? since : s->foul_ms;
        waited = s->now - since;
        if (j->fence > 0 || j->after != WATCH_NOBODY)
            continue;
        if (waited <= LARGE_MS * came)
            continue;
        snprintf(s->why, sizeof s->why,
                 "job %" PRId64 ", which takes %" PRId64 " MiB, was passed over for %" PRId64
                 " ms",
                 large[i], s->watch.orders[large[i]].memory_bytes / MIB, waited);
        longjmp(s->end, 1);
    }
}

void tend(struct sim *s)
{
    if (s->now < s->tend_at)
        return; /* an earlier timer that was set anew */
    watch_begin(&s->watch, store_now(s), false);
    watch_tend(&s->watch, store_now(s));
    (void)watch_commit(&s->watch, store_now(s));
    look_ahead(s);
    check_large(s);
}

void look_after_schedules(struct sim *s, int node)
{
    enum { LOOK_MS = 15 * SECOND };
    struct watch_due due[WATCH_SCHEDULES];
    if (s->over)
        return;
    put(s, between(s, SECOND, LOOK_MS), LOOK, (struct message){.node = node});
    if (!s->nodes[node].up || s->nodes[node].stopped)
        return;
    watch_begin(&s->watch, store_now(s), false);
    size_t n = watch_due(&s->watch, store_now(s), due);
    if (watch_commit(&s->watch, store_now(s)))
        n = 0;
    look_ahead(s);
    for (size_t i = 0; i < n; i++)
        post(s, ARRIVE, (struct message){.call = FIRE, .node = node, .due = due[i]});
}

/* ---- what a receiver is told ---- */

void send_events(struct sim *s, int node)
{
    struct watch_sent sent[WATCH_SENT];
    put(s, between(s, 5 * SECOND, 25 * SECOND), SEND, (struct message){.node = node});
    if (!s->nodes[node].up || s->nodes[node].stopped)
        return;
    watch_begin(&s->watch, store_now(s), false);
    size_t n = watch_hook_take(&s->watch, store_now(s), sent);
    if (watch_commit(&s->watch, store_now(s)))
        n = 0;
    look_ahead(s);
    for (size_t i = 0; i < n; i++)
        post(
            s, TOLD,
            (struct message){.node = node, .life = s->nodes[node].life, .sent_event = sent[i]});
}

/* It has its troubles; and its answer may be lost, though it knows by then. */
void told(struct sim *s, struct message m)
{
    m.arrived = !one_in(s, 12);
    if (m.arrived)
        watch_hook_hear(&s->watch, &m.sent_event);
    post(s, SENT, m);
}

void sent(struct sim *s, const struct message *m)
{
    const struct node *n = &s->nodes[m->node];
    if (!n->up || n->stopped || m->life != n->life)
        return;
    watch_begin(&s->watch, store_now(s), false);
    watch_hook_done(&s->watch, &m->sent_event, m->arrived, store_now(s));
    (void)watch_commit(&s->watch, store_now(s));
    look_ahead(s);
}
