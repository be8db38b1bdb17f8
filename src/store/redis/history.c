/* history.c - notices that the queue has lost what this node knows of: behind a failover, a restart that was behind, or a
 * hand that emptied it (queue.md §11, Failover). Redis copies behind the answer, so what was answered may be gone.
 *
 * Each connection begins with the question whether the last event that this node wrote is there, and whether this is the
 * store that it was; nothing else is asked before. */
#include "store/redis/inside.h"

#include "base/need.h"
#include "core/metrics.h"
#include "os/clock.h"
#include "os/files.h"

#include <fcntl.h>

enum { RECENT_MS = 300000, ID_BYTES = 64 };

/* ---- what is known ---- */

void history_note(struct store *s, int64_t event, struct span mark)
{
    if (!mark.n)
        return;
    s->history.event = event;
    span_copy(mark, s->history.mark, sizeof s->history.mark);
}

void history_accepted(struct store *s, const char *id)
{
    struct history *h = &s->history;
    struct recent *r = &h->recent[h->next++ % RECENT_JOBS];
    span_copy(span_of(id), r->id, sizeof r->id);
    r->at = clock_mono();
}

void history_forget(struct store *s, struct span id)
{
    for (size_t i = 0; i < RECENT_JOBS; i++)
        if (span_is(id, s->history.recent[i].id))
            s->history.recent[i].id[0] = '\0';
}

/* Older ones may be gone because nobody wants them any more. */
static void put_recent(const struct history *h, struct buf *out)
{
    for (size_t i = 0; i < RECENT_JOBS; i++) {
        const struct recent *r = &h->recent[i];
        if (r->id[0] && mono_left(mono_add(r->at, RECENT_MS), clock_mono()) > 0)
            buf_fmt(out, "%s\n", r->id);
    }
}

/* ---- which store it is: STATE_DIR/queue.id ---- */

static bool id_path(const struct store *s, struct buf *out)
{
    buf_fmt(out, "%s/queue.id%c", s->dir, 0);
    return s->dir[0] && !out->failed;
}

err history_open(struct store *s, struct fault *f)
{
    struct buf path = BUF(1024), text = BUF(ID_BYTES);
    err e = E_OK;
    if (id_path(s, &path)) {
        e = files_read(AT_FDCWD, path.p, ID_BYTES, &text, f);
        span_copy(span_trim(buf_span(&text)), s->history.id, sizeof s->history.id);
    }
    if (e == E_NOT_FOUND) { /* it has not used one yet */
        *f = (struct fault){0};
        e = E_OK;
    }
    buf_free(&path);
    buf_free(&text);
    return e;
}

err history_is(struct store *s, struct span id, struct fault *f)
{
    struct buf path = BUF(1024);
    bool known = span_is(id, s->history.id);
    span_copy(id, s->history.id, sizeof s->history.id);
    err e = !known && id_path(s, &path) ? files_write(path.p, id, f) : E_OK;
    buf_free(&path);
    return e;
}

/* ---- a new connection ---- */

static void note_loss(struct store *s, const struct reply *r)
{
    struct store_loss *loss = &s->history.loss;
    const struct reply *ids = reply_list(r, 4);
    s->epoch = reply_number(r, 1);
    loss->count++;
    loss->events += reply_number(r, 3);
    loss->jobs += (int64_t)ids->count;
    loss->named = 0;
    for (size_t i = 0; i < ids->count && loss->named < LOSS_NAMED; i++)
        span_copy(reply_text(ids, i), loss->ids[loss->named++], ID_TEXT);
    s->history.event = 0; /* until it writes the next one */
    s->history.call = 0;
    s->history.walks = true;
    s->history.walks_before = -1;
    s->history.walks_wanted = 1;
    metric_add(METRIC_QUEUE_LOSSES, 0, 1);
    metric_add(METRIC_QUEUE_LOST, 0, reply_number(r, 3));
    metric_add(METRIC_QUEUE_LOST, 1, (int64_t)ids->count);
}

err history_check(struct store *s, struct fault *f)
{
    struct reply r;
    struct call c = {0};
    struct buf recent = BUF(RECENT_JOBS * (ID_TEXT + 1));
    struct link_state at = link_state(s->link);
    char server[sizeof at.run_id + sizeof at.replication_id], number[2 * CALL_NUMBER] = "";
    snprintf(server, sizeof server, "%s:%s", at.run_id, at.replication_id);
    put_recent(&s->history, &recent);
    call_text(&c, span_of(s->history.id));
    call_number(&c, s->history.event);
    call_text(&c, span_of(s->history.mark));
    call_text(&c, span_of(server));
    call_text(&c, buf_span(&recent));
    if (s->history.call)
        call_number_text(s, s->history.call, number);
    call_text(&c, span_of(number));
    err e = store_look(s, SCRIPT_HISTORY, &c, (wall){0}, &r, f);
    buf_free(&recent);
    if (!e && said(&r) == SAID_NONE)
        return link_foreign(s->link, f);
    if (!e && said(&r) == SAID_TAKEN)
        return fail(
            f, E_STORE,
            "key %.*s in Redis holds a %.*s where the queue keeps a %.*s: somebody else "
            "uses this store's name; rename that key, or set another store.name",
            SP(reply_text(&r, 1)), SP(reply_text(&r, 2)), SP(reply_text(&r, 3)));
    if (!e && reply_number(&r, 2) > 0)
        note_loss(s, &r);
    return e;
}

err history_greet(void *ctx, struct fault *f)
{
    return history_check(ctx, f);
}

struct span redis_id(const struct store *s)
{
    return span_of(s->history.id);
}

const struct store_loss *redis_loss(const struct store *s)
{
    return &s->history.loss;
}
