/* together.c - what waits at one moment, several operations in one script (accept.lua, turn.lua): the way to Redis and back,
 * what is read and written of lanes and tenants, and with "appendfsync always" the disk, is theirs together.
 *
 * A script is repeated under its number like any other: its operations are done, refused, or unknown together with it; what each
 * answers is its own. An order, an end or a word that meets foreign data under its own keys is left to be asked alone, before
 * anything of it is written; of a start the job goes out of its queue, and the next one is looked at. When the script fails in Redis all the same, by foreign data under keys that all of them use, it has happened in part:
 * what was written stays (S86), nothing is answered, and each is asked alone, which may find that it was done. */
#include "store/redis/inside.h"

#include "store/thread.h"

#include "base/need.h"

enum {
    SHARED_MOST = 32, /* in a script: Redis does nothing else meanwhile (queue.md, S65) */
};

struct shared_script {
    enum script script;
    struct store_op *ops[SHARED_MOST];
    size_t n;
    struct span words[SHARED_MOST];
};

/* Of which job a worker brings something by it, which only its lease allows. */
static struct span brings_to(const struct store_op *op)
{
    if (op->verb == STORE_COMMIT)
        return op->in.commit.id;
    if (op->verb == STORE_EVIDENCE)
        return op->in.evidence.id;
    if (op->verb == STORE_FILE_TAKE)
        return op->in.file_take.id;
    return op->verb == STORE_FILE_PUT ? op->in.file_put.id : SPAN_NONE;
}

/* Whether what the worker brought before its end is still to be done: the end would take its lease away. */
static bool has_more_before(struct store_op *const *ops, size_t at)
{
    for (size_t i = 0; ops[at]->verb == STORE_FINISH && i < at; i++) {
        struct span id = ops[i]->answered ? SPAN_NONE : brings_to(ops[i]);
        if (id.n && span_eq(id, ops[at]->in.finish.id))
            return true;
    }
    return false;
}

/* Which script does it together with others; SCRIPT_COUNT: none. What asks the archive before or behind is done alone. */
static enum script script_of(struct store_op *const *ops, size_t at)
{
    const struct store_op *op = ops[at];
    if (op->answered || has_more_before(ops, at))
        return SCRIPT_COUNT;
    if (op->verb == STORE_ACCEPT)
        return SCRIPT_ACCEPT;
    if (op->verb == STORE_FINISH)
        return op->in.finish.counts.n ? SCRIPT_COUNT : SCRIPT_TURN;
    return op->verb == STORE_RESERVE || op->verb == STORE_HEARTBEAT || op->verb == STORE_STARTED
               ? SCRIPT_TURN
               : SCRIPT_COUNT;
}

static void put_turn(struct store *s, struct call *c, const struct store_op *op)
{
    bool speaks = op->verb == STORE_STARTED || op->verb == STORE_HEARTBEAT;
    if (op->verb == STORE_RESERVE)
        reserve_put(s, c, &op->in.reserve);
    else if (speaks)
        speak_put(c, op->in.lease.id, op->in.lease.nonce,
                  op->verb == STORE_STARTED ? SPAN("started") : SPAN("heartbeat"), 0);
    else
        finish_put(s, c, &op->in.finish);
    call_text(c, op->verb == STORE_RESERVE ? SPAN("reserve")
                 : speaks                  ? SPAN("speak")
                                           : SPAN("finish"));
}

/* Puts it behind the others. A job that may not even be asked for is answered. */
static void put(struct store *s, struct shared_script *all, struct store_op *op)
{
    struct call c = {0};
    if (all->script == SCRIPT_TURN)
        put_turn(s, &c, op);
    else if ((op->result = accept_put(s, &c, &op->in.accept, &op->fault))) {
        op->answered = true;
        return;
    }
    all->words[all->n] =
        all->script == SCRIPT_ACCEPT ? accept_packed(s, &c) : call_packed(s, &c);
    all->ops[all->n++] = op;
}

static void take(struct store *s, struct store_op *op, const struct reply *r,
                 int64_t connections)
{
    struct fault *f = &op->fault;
    op->answered = said(r) != SAID_ALONE;
    if (!op->answered)
        return;
    if (op->verb == STORE_ACCEPT) {
        op->result = accept_read(s, &op->in.accept, r, connections, &op->out.accept, f);
    } else if (op->verb == STORE_RESERVE) {
        op->answered =
            said(r) != SAID_END || !reply_number(r, 1); /* else asked again at once */
        op->result = reserve_read(s, r, op->arena, &op->out.lease, f);
    } else if (op->verb == STORE_FINISH) {
        op->answered = said(r) != SAID_FIRST; /* else the archive is asked first */
        op->result = finish_read(r, op->in.finish.id, &op->out.finish, f);
    } else {
        op->result = said(r) == SAID_STALE ? fail_stale(op->in.lease.id, f) : E_OK;
        if (op->verb == STORE_HEARTBEAT && !op->result)
            op->out.heartbeat.cancel = reply_number(r, 1) != 0;
    }
}

static void run_shared(struct store *s, const struct shared_script *all, wall now)
{
    struct reply r;
    struct fault f = {0};
    int64_t connections = link_state(s->link).connections;
    err e = store_write_words(s, all->script, all->words, all->n, now, &r, &f);
    if (e && link_state(s->link).trouble == TROUBLE_SCRIPT) {
        s->broke = true;
        return;
    }
    for (size_t i = 0; i < all->n; i++) {
        if (!e) {
            take(s, all->ops[i], reply_list(&r, 1 + i), connections);
            continue;
        }
        all->ops[i]->result = e;
        all->ops[i]->fault = f;
        all->ops[i]->answered = true;
    }
}

void redis_together(struct store *s, struct store_op **ops, size_t n, wall now)
{
    need(s->in_group);
    for (size_t i = 0, next; i < n; i = next) {
        struct shared_script all = {.script = script_of(ops, i)};
        for (next = i + 1; all.script != SCRIPT_COUNT && next < n && next - i < SHARED_MOST &&
                           script_of(ops, next) == all.script;)
            next++;
        if (next - i < 2)
            continue;
        store_fresh(s);
        for (size_t k = i; k < next; k++)
            put(s, &all, ops[k]);
        if (all.n > 1)
            run_shared(s, &all, now);
    }
}
