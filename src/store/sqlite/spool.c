#include "store/sqlite/spool.h"

#include "core/lane.h"
#include "store/sqlite/spool_inside.h"
#include "store/ticket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LOG_MOST = 16 << 20 };

/* Of both kinds. */
static struct count total(const struct spool *s)
{
    const struct count *j = &s->now.of[SPOOL_JOB], *b = &s->now.of[SPOOL_BATCH];
    return (struct count){j->waiting + b->waiting, j->handed_over + b->handed_over,
                          j->aside + b->aside, j->perhaps + b->perhaps};
}

/* ---- groups: whatever is written until spool_sync() ---- */

/* A statement that failed outside of a group is of nobody's concern in the next one. */
err spool_begin(struct spool *s, struct fault *f)
{
    if (!db_in_transaction(s->db) && memcmp(&s->now, &s->synced, sizeof s->now) == 0)
        db_forgive(s->db);
    return db_in_transaction(s->db) ? E_OK : db_script(s->db, "BEGIN IMMEDIATE", f);
}

static err fail_unwritten(err e, struct fault *f)
{
    return fail(f, e,
                e == E_DISK_FULL
                    ? "the disk of store.path is full: nothing was taken; free some space there"
                    : "spool.db in store.path could not be written: nothing was taken");
}

err spool_sync(struct spool *s, struct fault *f)
{
    if (!db_in_transaction(s->db)) {
        err e = db_trouble(s->db); /* SQLite took it back by itself */
        db_forgive(s->db);
        s->now = e ? s->synced : s->now;
        return e ? fail_unwritten(e, f) : E_OK;
    }
    err e = db_trouble(s->db);
    e = e ? fail_unwritten(e, f) : db_script(s->db, "COMMIT", f);
    if (e) {
        if (db_in_transaction(s->db) && db_script(s->db, "ROLLBACK", NULL))
            db_forgive(s->db);
        db_forgive(s->db);
        s->now = s->synced;
        return e;
    }
    s->synced = s->now;
    if (db_wal_bytes(s->db) > LOG_MOST)
        db_checkpoint(s->db, true);
    return E_OK;
}

err spool_row(struct db *d, enum sql id, const struct db_arg *args, size_t n,
              struct query **out, struct fault *f)
{
    err e = db_ask_args(d, id, out, f, args, n);
    if (e)
        return e;
    e = db_step(*out, f);
    if (e)
        db_end(*out);
    return e;
}

/* ---- its file ---- */

static struct buf path_of(const char *state_dir)
{
    struct buf path = BUF(4096);
    buf_fmt(&path, "%s/spool.db%c", state_dir, 0);
    return path;
}

static err count_jobs(struct db *d, struct count *out, struct fault *f)
{
    struct query *q;
    err e = spool_row(d, SQL_SPOOL_COUNT, NULL, 0, &q, f);
    if (e)
        return e;
    *out = (struct count){db_int(q, 0) - db_int(q, 1), db_int(q, 1), db_int(q, 2), 0};
    db_end(q);
    return E_OK;
}

/* What was set aside is tried again by each process: the reason may have gone with the one before. */
static err bring_back(struct spool *s, struct fault *f)
{
    err e = spool_begin(s, f);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_BACK, f, NULL, 0);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_IS_BACK, f, NULL, 0);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_UNIQUE_STRAY, f, NULL, 0);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_GIVEN_STRAY, f, NULL, 0);
    if (!e)
        e = spool_bring_back_batches(s, f);
    err synced = spool_sync(s, f);
    return e ? e : synced;
}

err spool_open(struct spool **out, const char *state_dir, int64_t most, struct fault *f)
{
    struct buf path = path_of(state_dir);
    struct spool *s = heap_new_of(struct spool);
    s->parser = json_parser_new(TICKET_MAX);
    s->ticket = BUF(TICKET_MAX);
    s->most = most;
    err e = path.failed ? fail(f, E_CONFIG, "store.path is too long")
                        : db_open(&s->db, path.p, false, f);
    buf_free(&path);
    if (!e)
        e = db_script(s->db, SPOOL_SQL, f);
    if (!e)
        e = bring_back(s, f);
    if (!e)
        e = count_jobs(s->db, &s->now.of[SPOOL_JOB], f);
    if (!e)
        e = db_number(s->db, SQL_SPOOL_PERHAPS, &s->now.of[SPOOL_JOB].perhaps, f);
    if (!e)
        e = spool_count_batches(s->db, &s->now.of[SPOOL_BATCH], f);
    s->synced = s->now;
    if (e) {
        spool_close(&s);
        return e;
    }
    *out = s;
    return E_OK;
}

void spool_close(struct spool **s)
{
    if (!*s)
        return;
    db_close(&(*s)->db);
    json_parser_free(&(*s)->parser);
    buf_free(&(*s)->ticket);
    free(*s);
    *s = NULL;
}

/* ---- adding ---- */

err spool_read_key(struct query *q, uint64_t hash, struct spool_reply *out, bool *out_waits,
                   struct fault *f)
{
    struct spool_reply reply = {.replayed = true};
    err e = E_OK;
    if ((uint64_t)db_int(q, 1) != hash)
        e = fail(
            f, E_BAD_INPUT,
            "this Idempotency-Key was used with another body; use a new key for a new request");
    span_copy(db_text(q, 0), reply.id, sizeof reply.id);
    *out_waits = db_int(q, 2) == 0;
    db_end(q);
    if (!e)
        *out = reply;
    return e;
}

/* An earlier request with this key, and whether its job waits; E_END: there is none. */
static err find_request(struct spool *s, const struct accept_args *job, struct spool_reply *out,
                        bool *out_waits, struct fault *f)
{
    struct lane_name lane;
    struct query *q;
    if (!job->idempotency_key.n || !lane_name_parse(job->lane, &lane))
        return E_END;
    err e = spool_row(s->db, SQL_SPOOL_KEY,
                      DB_ARGS(DB_T(lane.tenant), DB_T(job->idempotency_key)), &q, f);
    return e ? e : spool_read_key(q, job->request_hash, out, out_waits, f);
}

bool spool_may_know(const struct spool *s, enum spool_kind kind, enum spool_known known)
{
    const struct count *is = &s->now.of[kind];
    return is->waiting > 0 || (known == SPOOL_ALL && is->handed_over > 0);
}

err spool_find(struct spool *s, const struct accept_args *job, enum spool_known known,
               struct spool_reply *out, struct fault *f)
{
    bool waits = true;
    struct spool_reply reply;
    if (!spool_may_know(s, SPOOL_JOB, known))
        return E_END;
    err e = find_request(s, job, &reply, &waits, f);
    if (!waits && known == SPOOL_WAITS)
        return E_END;
    if (!e)
        *out = reply;
    return e;
}

bool spool_entry(struct spool *s, struct span id, bool *out_waits)
{
    struct query *q;
    struct spool_batch_has has;
    if (!spool_row(s->db, SQL_SPOOL_HAS, DB_ARGS(DB_T(id)), &q, NULL)) {
        *out_waits = db_int(q, 0) == 0;
        db_end(q);
        return true;
    }
    if (!spool_batch_has(s, id, &has))
        return false;
    *out_waits = has.state == 0 && !has.given;
    return true;
}

static err say_aside(const char *what, struct span id, struct span why, struct fault *f)
{
    return fail(
        f, E_STORE,
        "%s %.*s was accepted while the queue was away and could not be handed over: %.*s",
        what, SP(span_cut(id, 0, 60)), SP(span_cut(why, 0, 120)));
}

static const char *word_of(struct span id)
{
    return span_starts(id, SPAN("bat_")) ? "batch" : "job";
}

static err find_aside(struct spool *s, struct span id, struct fault *f)
{
    struct query *q;
    struct spool_batch_has has;
    if (spool_row(s->db, SQL_SPOOL_IS_ASIDE, DB_ARGS(DB_T(id)), &q, NULL))
        return spool_batch_has(s, id, &has) && has.state == 2
                   ? say_aside(has.is_batch ? "batch" : "job", id, span_of(has.why), f)
                   : E_OK;
    err e = say_aside("job", id, db_text(q, 0), f);
    db_end(q);
    return e;
}

err spool_has(struct spool *s, struct span id, struct fault *f)
{
    bool waits = false;
    struct count all = total(s);
    if (all.waiting > all.perhaps && spool_entry(s, id, &waits) && waits)
        return fail(
            f, E_BUSY,
            "%s %.*s was accepted while the queue was away and waits on this node; it is "
            "handed over as soon as the queue is back",
            word_of(id), SP(span_cut(id, 0, 60)));
    return all.aside > 0 ? find_aside(s, id, f) : E_OK;
}

static err leave(struct spool *s, int64_t number, struct fault *f)
{
    static const enum sql all[] = {SQL_SPOOL_LEAVE, SQL_SPOOL_UNIQUE_LEAVE,
                                   SQL_SPOOL_GIVEN_LEAVE};
    err e = E_OK;
    for (size_t i = 0; !e && i < sizeof all / sizeof *all; i++)
        e = db_run(s->db, all[i], f, DB_I(number));
    return e;
}

/* What was handed over first, of both kinds. */
static err drop_oldest(struct spool *s, struct fault *f)
{
    struct query *q;
    int64_t number = 0, at = INT64_MAX, batch = 0, batch_at, jobs = 0;
    err e = spool_row(s->db, SQL_SPOOL_FIRST_GIVEN, NULL, 0, &q, f);
    if (e && e != E_END)
        return e;
    if (!e) {
        number = db_int(q, 0);
        at = db_int(q, 1);
        db_end(q);
    }
    e = spool_oldest_batch(s, &batch, &batch_at, &jobs, f);
    if (!e && batch_at < at)
        return spool_batch_leave(s, batch, jobs, f);
    if (!e)
        e = leave(s, number, f);
    s->now.of[SPOOL_JOB].handed_over -= !e;
    return e;
}

/* What waits anew stays: the queue may have lost it. */
err spool_make_room(struct spool *s, int64_t jobs, bool copy, struct fault *f)
{
    struct count all = total(s);
    if (copy && all.waiting + all.handed_over + jobs > s->most)
        return fail(f, E_BUSY, "there is no room for copies");
    if (!copy && all.waiting - all.perhaps + jobs > s->most)
        return jobs > 1
                   ? fail(f, E_BUSY,
                          "the queue cannot be reached, and of the %lld jobs that may wait on "
                          "this node (store.spool_max) there is room for %lld; order fewer, or "
                          "try again later",
                          (long long)s->most, (long long)(s->most - all.waiting + all.perhaps))
                   : fail(f, E_BUSY,
                          "the queue cannot be reached, and as many jobs as may wait on this "
                          "node do (%lld); try again later",
                          (long long)s->most);
    err e = spool_begin(s, f);
    while (!e && all.handed_over > 0 && all.waiting + all.handed_over + jobs > s->most) {
        e = drop_oldest(s, f);
        all = total(s);
    }
    return e;
}

err spool_ticket(struct spool *s, const struct accept_args *job, struct span *out,
                 struct fault *f)
{
    buf_clear(&s->ticket);
    err e = ticket_write(job, &s->ticket, f);
    return e ? e : buf_end(&s->ticket, out);
}

static err add(struct spool *s, const struct accept_args *job, wall now, bool copy,
               struct spool_reply *out, struct fault *f)
{
    struct lane_name lane;
    struct spool_reply reply = {0};
    struct span ticket;
    bool waits;
    if (!lane_name_parse(job->lane, &lane))
        return fail(f, E_BAD_INPUT, "%.*s is not the name of a lane", SP(job->lane));
    err e = find_request(s, job, out, &waits, f);
    if (e != E_END)
        return e;
    e = spool_entry(s, job->id, &waits)
            ? fail(f, E_CONFLICT, "there is a job %.*s already", SP(job->id))
            : spool_ticket(s, job, &ticket, f);
    if (!e)
        e = spool_make_room(s, 1, copy, f);
    if (!e)
        e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_ADD, f, DB_T(job->id), DB_T(lane.tenant), DB_I(now.ms),
                   DB_I(job->run_at_ms), DB_T(ticket), db_text_or_null(job->idempotency_key),
                   DB_I(job->request_hash));
    reply.number = e ? 0 : db_last_row(s->db);
    if (!e && job->unique_key.n)
        e = db_run(s->db, SQL_SPOOL_UNIQUE_ADD, f, DB_I(reply.number), DB_T(lane.tenant),
                   DB_T(job->unique_key));
    if (e)
        return e;
    s->now.of[SPOOL_JOB].waiting++;
    span_copy(job->id, reply.id, sizeof reply.id);
    *out = reply;
    return E_OK;
}

err spool_add(struct spool *s, const struct accept_args *job, wall now, struct spool_reply *out,
              struct fault *f)
{
    return add(s, job, now, false, out, f);
}

err spool_add_copy(struct spool *s, const struct accept_args *job, wall now,
                   const struct spool_given *given, struct fault *f)
{
    struct spool_reply reply = {0};
    err e = add(s, job, now, true, &reply, f);
    return e || !reply.number ? e : spool_handed_over(s, SPOOL_JOB, reply.number, given, f);
}

/* ---- handing over ---- */

/* One that cannot be read has its number all the same: it has to make way. Ends the query. */
static err read_entry(struct spool *s, struct query *q, struct arena *a, struct spooled *out,
                      struct fault *f)
{
    struct span ticket;
    err e = E_OK;
    struct accept_args job = {0};
    struct span id = SPAN_NONE, key = SPAN_NONE, by = SPAN_NONE;
    *out = (struct spooled){
        .kind = SPOOL_JOB, .number = db_int(q, 0), .at.ms = db_int(q, 2), .jobs = 1};
    e = db_keep(q, 1, a, &id, f);
    if (!e)
        e = db_keep(q, 4, a, &ticket, f);
    if (!e)
        e = db_keep(q, 5, a, &key, f);
    if (!e)
        e = db_keep(q, 7, a, &by, f);
    if (!e)
        e = ticket_read(ticket, s->parser, a, &job, f);
    job.id = id;
    job.idempotency_key = key;
    job.replaced_by = by;
    job.run_at_ms = db_int(q, 3);
    job.request_hash = (uint64_t)db_int(q, 6);
    out->given = db_int(q, 8) != 0;
    out->job = job;
    db_end(q);
    return e;
}

err spool_next(struct spool *s, enum spool_kind kind, int64_t after, struct arena *a,
               struct spooled *out, struct fault *f)
{
    struct query *q;
    if (kind == SPOOL_BATCH)
        return spool_next_batch(s, after, a, out, f);
    err e = spool_row(s->db, SQL_SPOOL_NEXT, DB_ARGS(DB_I(after)), &q, f);
    return e ? e : read_entry(s, q, a, out, f);
}

static err live_by_itself(struct spool *s, struct span tenant, struct span key, struct arena *a,
                          struct spooled *out, struct fault *f)
{
    struct query *q;
    const struct count *is = &s->now.of[SPOOL_JOB];
    if (is->waiting == is->perhaps)
        return E_END;
    err e = spool_row(s->db, SQL_SPOOL_UNIQUE, DB_ARGS(DB_T(tenant), DB_T(key)), &q, f);
    return e ? e : read_entry(s, q, a, out, f);
}

err spool_live(struct spool *s, struct span tenant, struct span key, struct arena *a,
               struct spooled *out, struct fault *f)
{
    struct spooled in_batch;
    err e = live_by_itself(s, tenant, key, a, out, f);
    if (e && e != E_END)
        return e;
    err other = spool_live_in_batch(s, tenant, key, a, &in_batch, f);
    if (other == E_END || (!e && (other || in_batch.at.ms < out->at.ms)))
        return e;
    *out = in_batch;
    return other;
}

err spool_replace(struct spool *s, const struct spooled *live, struct span by, struct fault *f)
{
    if (live->kind == SPOOL_BATCH)
        return spool_replace_in_batch(s, live, by, f);
    err e = spool_begin(s, f);
    return e ? e : db_run(s->db, SQL_SPOOL_UNIQUE_REPLACE, f, DB_I(live->number), DB_T(by));
}

err spool_handed_over(struct spool *s, enum spool_kind kind, int64_t number,
                      const struct spool_given *given, struct fault *f)
{
    struct count *is = &s->now.of[SPOOL_JOB];
    if (kind == SPOOL_BATCH)
        return spool_batch_handed_over(s, number, given, f);
    struct span store = given->store.p ? given->store : SPAN("");
    err e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_DONE, f, DB_I(number));
    if (e || !db_changes(s->db))
        return e;
    e = db_run(s->db, SQL_SPOOL_GIVEN_ANEW, f, DB_I(number), DB_I(given->round), DB_T(store));
    bool anew = !e && db_changes(s->db) > 0;
    if (!e && !anew)
        e = db_run(s->db, SQL_SPOOL_GIVEN, f, DB_I(number), DB_I(given->round),
                   DB_I(given->at.ms), DB_T(store));
    is->waiting--;
    is->perhaps -= anew;
    is->handed_over++;
    return e;
}

err spool_set_aside(struct spool *s, enum spool_kind kind, int64_t number, struct span why,
                    struct fault *f)
{
    struct count *is = &s->now.of[SPOOL_JOB];
    if (kind == SPOOL_BATCH)
        return spool_batch_aside(s, number, why, f);
    err e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_ASIDE, f, DB_I(number), DB_T(why));
    if (!e)
        e = db_run(s->db, SQL_SPOOL_LEAVE, f, DB_I(number));
    if (e || !db_changes(s->db))
        return e;
    is->waiting--;
    is->aside++;
    struct query *
        q; /* that the queue had it once is known on: when it comes back it may be dropped for that */
    e = spool_row(s->db, SQL_SPOOL_IS_GIVEN, DB_ARGS(DB_I(number)), &q, f);
    if (e)
        return e == E_END ? E_OK : e;
    db_end(q);
    is->perhaps--;
    return E_OK;
}

static err forget_strays(struct spool *s, struct fault *f)
{
    err e = db_run_args(s->db, SQL_SPOOL_UNIQUE_STRAY, f, NULL, 0);
    return e ? e : db_run_args(s->db, SQL_SPOOL_GIVEN_STRAY, f, NULL, 0);
}

err spool_settle(struct spool *s, int64_t before_round, struct fault *f)
{
    err e = spool_begin(s, f);
    if (!e)
        e = spool_settle_batches(s, before_round, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_SETTLE, f, DB_I(before_round));
    if (e || !db_changes(s->db))
        return e;
    s->now.of[SPOOL_JOB].handed_over -= db_changes(s->db);
    return forget_strays(s, f);
}

err spool_again(struct spool *s, int64_t *out_count, struct fault *f)
{
    struct count *is = &s->now.of[SPOOL_JOB];
    int64_t count = total(s).handed_over;
    err e = spool_begin(s, f);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_GIVEN_ALL, f, NULL, 0);
    if (!e)
        e = db_run_args(s->db, SQL_SPOOL_AGAIN, f, NULL, 0);
    if (!e)
        e = spool_again_batches(s, f);
    if (e)
        return e;
    *out_count = count;
    is->waiting += is->handed_over;
    is->perhaps += is->handed_over;
    is->handed_over = 0;
    return E_OK;
}

err spool_pass(struct spool *s, struct span store, wall by, struct fault *f)
{
    struct count *is = &s->now.of[SPOOL_JOB];
    err e = spool_pass_batches(s, store, by, f);
    if (e || is->perhaps == 0)
        return e;
    e = spool_begin(s, f);
    if (!e)
        e = db_run(s->db, SQL_SPOOL_PASSED, f, DB_T(store), DB_I(by.ms));
    if (e || !db_changes(s->db))
        return e;
    is->waiting -= db_changes(s->db);
    is->perhaps -= db_changes(s->db);
    return forget_strays(s, f);
}

err spool_look(struct spool *s, struct spool_view *out, struct fault *f)
{
    struct count all = total(s);
    int64_t job = 0, batch = 0;
    err e = db_number(s->db, SQL_SPOOL_OLDEST, &job, f);
    if (!e)
        e = db_number(s->db, SQL_SPOOL_BATCH_OLDEST, &batch, f);
    if (!e)
        *out = (struct spool_view){all.waiting, all.handed_over, all.aside, s->most,
                                   !job || (batch && batch < job) ? batch : job};
    return e;
}

/* ---- that of another process ---- */

static err peek(const char *path, struct count *out, struct fault *f)
{
    struct db *d = NULL;
    int64_t tables = 0, of_batches = 0;
    struct count batches = {0};
    err e = db_open_reader(&d, path, NULL, f);
    if (!e)
        e = db_number(d, SQL_SPOOL_TABLES, &tables, f);
    if (!e && tables == 2) /* else its first process did not get as far as these */
        e = count_jobs(d, out, f);
    if (!e) /* nor an earlier version */
        e = db_number(d, SQL_SPOOL_BATCH_TABLES, &of_batches, f);
    if (!e && of_batches)
        e = spool_count_batches(d, &batches, f);
    db_close(&d);
    out->waiting += batches.waiting;
    out->handed_over += batches.handed_over;
    out->aside += batches.aside;
    return e;
}

err spool_peek(const char *state_dir, struct spool_view *out, struct fault *f)
{
    struct buf path = path_of(state_dir);
    struct count is = {0};
    err e = E_OK;
    if (path.failed)
        e = fail(f, E_CONFIG, "store.path is too long");
    else if (access(path.p, R_OK) == 0)
        e = peek(path.p, &is, f);
    else if (errno != ENOENT && errno != ENOTDIR)
        e = fail(f, E_DENIED,
                 "cannot see whether %.100s has jobs: %s; run this as the user that the "
                 "service runs as",
                 path.p, strerror(errno));
    buf_free(&path);
    if (!e)
        *out = (struct spool_view){is.waiting, is.handed_over, is.aside, 0, 0};
    return e;
}
