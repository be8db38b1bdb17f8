/* transfer.h - all that a store holds, as rows that every kind of store gives and takes: what a move from one store to
 * another is made of (store/mover.h). Who moves knows only this header.
 *
 * A kind is a list of fields, the first of which are its key. A store gives its rows page by page, each page behind a
 * place that it understands itself; it takes rows any number of times and keeps them once. Both directions go through the
 * one shape below, and nothing is handed over beside it: so two stores hold the same when the rows that they give are the
 * same.
 *
 * The canonical form of a row is its fields in their order, each as its length, a colon and its text: numbers in decimal,
 * what is 64 bits wide in hexadecimal, bytes that lie beside the rows (evidence, files of media) as the SHA-256 of what is
 * read there. The sum of a kind is the count of its rows and the sum of their SHA-256, 64 bits at a time, without carry:
 * no order matters, and a row that is there twice counts twice. Sums are kept in MOVED_BUCKETS parts, chosen by the key,
 * so that a difference is found again by reading one part.
 *
 * What is not a row, because it begins anew in any store: leases (a running job is given back before it is moved), turns
 * of lanes, counts of the last ten minutes, parked lanes, nodes. */
#pragma once

#include "base/arena.h"
#include "base/id.h"
#include "base/when.h"
#include "os/digest.h"

enum {
    MOVED_FIELDS = 72, /* of a kind, at most */
    MOVED_PAGE = 200,  /* rows */
    MOVED_BUCKETS = 256,
};
static const size_t MOVED_PAGE_BYTES = 8 << 20; /* and one row more */

enum moved_type {
    MOVED_NUMBER, /* below 2^53 */
    MOVED_HEX,    /* 64 bits */
    MOVED_TEXT,
    MOVED_FRAME, /* bytes as compress.h writes them; what is in them counts */
    MOVED_FILE,  /* path of a file; what is in it counts. Empty: there is none */
};
struct moved_field {
    const char *name;
    enum moved_type type;
};

/* Kinds in the order in which they are moved: what a row refers to comes before it.
 * X(constant, fields, how many of them are the key, in words) */
/* clang-format off */
#define MOVED_KINDS(X) \
    X(SERVICE, service, 0, "mode and limit of all") \
    X(LIMITS, limits, 2, "limits") \
    X(LANES, lanes, 1, "lanes") \
    X(SESSIONS, sessions, 1, "login sessions") \
    X(RESTS, rests, 2, "rests of sessions") \
    X(HOURS, hours, 2, "hours of sessions") \
    X(MARKS, marks, 4, "marks") \
    X(BATCHES, batches, 2, "batches") \
    X(CALLS, calls, 2, "callbacks of batches") \
    X(ADDS, adds, 2, "additions to batches") \
    X(SCHEDULES, schedules, 1, "schedules") \
    X(OPERATIONS, operations, 2, "operations") \
    X(JOBS, jobs, 2, "jobs") \
    X(REQUESTS, requests, 2, "keys of requests") \
    X(RUNS, runs, 2, "runs of schedules") \
    X(WEBHOOKS, webhooks, 1, "webhooks") \
    X(HANDS, hands, 2, "what is held by hand") \
    X(DELIVERIES, deliveries, 2, "deliveries") \
    X(EVENTS, events, 3, "events") \
    X(RECORDS, records, 2, "records") \
    X(BODIES, bodies, 1, "bodies of evidence") \
    X(EVIDENCE, evidence, 2, "pieces of evidence") \
    X(GAPS, gaps, 3, "gaps of evidence") \
    X(FIELDS, fields, 5, "counts of fields") \
    X(FILES, files, 1, "media files") \
    X(URLS, urls, 2, "addresses of media files") \
    X(HOLDS, holds, 2, "media files of jobs") \
    X(COUNTERS, counters, 0, "last numbers")

#define MOVED_SERVICE(N, H, T, F, P) \
    N(mode) T(by) T(why) N(since) N(active_max)
#define MOVED_LIMITS(N, H, T, F, P) /* scope 1: of a tenant, 2: of a site, 3: of a webhook */ \
    N(scope) T(name) N(max_active) N(weight) N(emit_ms) N(burst) N(tat)
#define MOVED_LANES(N, H, T, F, P) \
    T(name) N(tat) N(blocked_until) N(breaker) N(breaker_fails) N(breaker_until) N(breaker_trips) N(forced_until) \
    N(own_weight) N(own_active) N(own_emit) N(own_burst) N(own_depth) N(own_overflow) N(paused) N(closed) \
    T(note_by) T(note_why) N(note_at) N(breaker_since) N(own_prio)
#define MOVED_SESSIONS(N, H, T, F, P) /* cookies: sealed */ \
    T(id) T(site) T(pool) T(name) N(emit_ms) N(burst) N(max_active) N(tat) N(used_at) N(last_ok_at) N(fails) \
    N(locked_at) T(lock_reason) N(refused_at) T(refusal) T(cookies) N(cookie_count) N(cookie_version) N(expires_at) \
    T(print) N(created_at) N(updated_at) N(revision)
#define MOVED_RESTS(N, H, T, F, P) T(session) T(operation) N(until)
#define MOVED_HOURS(N, H, T, F, P) T(session) N(hour) N(leases) N(requests)
#define MOVED_MARKS(N, H, T, F, P) T(site) T(kind) T(target) T(variant) T(posts) N(updated_at)
#define MOVED_BATCHES(N, H, T, F, P) \
    N(number) T(id) T(tenant) T(name) N(sealed) N(stopped) N(stop_after) N(parallel) N(gone_well) N(gone_other) \
    T(on_complete) T(on_success) T(key) H(hash) N(revision) N(created_at) N(updated_at) N(finished_at)
#define MOVED_CALLS(N, H, T, F, P) T(batch) N(kind) N(at) T(job) N(due) T(why)
#define MOVED_ADDS(N, H, T, F, P) T(batch) T(key) H(hash) N(added)
#define MOVED_SCHEDULES(N, H, T, F, P) /* found: posts + 1; 0 none yet */ \
    T(id) T(tenant) T(name) N(kind) T(cron) T(zone) N(interval_ms) N(least_ms) N(most_ms) N(posts_wanted) N(jitter_ms) \
    N(start_at) N(end_at) N(missed) N(overlap) N(catch_up_ms) N(catch_up_max) N(grace_ms) T(ticket) T(job) N(paused_at) \
    T(paused_by) T(paused_why) N(anchor) N(last_slot) N(next_at) T(last_job) N(fired) N(skipped) N(passed) N(found) \
    N(read_at) N(revision) N(created_at) N(updated_at)
#define MOVED_OPERATIONS(N, H, T, F, P) \
    N(number) T(id) N(kind) N(state) T(batch) N(failure) T(site) T(kind_of_job) T(fingerprint) N(since) N(until) N(reset) \
    N(per_minute) N(cursor) N(last) N(due) N(done) N(skipped) N(created_at) N(updated_at) N(finished_at) N(many) N(states) \
    N(class) T(tenant) T(target) T(lane) N(held) N(most) N(prio) T(why) T(labels)
#define MOVED_JOBS(N, H, T, F, P) /* rank: of ready ones; held_start: when a held one could start else */ \
    N(number) T(id) T(tenant) T(site) T(kind) T(target) T(spec) T(variant) T(pool) T(operation) T(lane) N(limit) N(counts) \
    N(state) N(prio) N(rank) N(run_at) N(held_start) N(over_at) N(deadline_at) N(attempt_ms) N(stall_ms) N(needs) N(memory) \
    T(unique_key) H(work) T(waits_on) N(waits_number) N(waits_how) N(source) T(shared_from) N(shared_number) N(result_age) \
    N(generation) N(events) N(fence) N(cancel_asked) N(n_fail) N(n_crash) N(n_throttle) N(n_release) N(n_ok) N(n_void) \
    N(max_fail) N(max_crash) N(max_throttle) N(fail_base) N(crash_base) N(release_base) N(next_batch) T(cursor) N(have) \
    N(users) N(bytes) N(rejected) N(conflicts) N(filtered)
#define MOVED_JOBS_REST(N, H, T, F, P) \
    N(mark) N(has_known) T(known) N(failure) N(verdict) N(end_reason) T(why) T(report) T(batch) T(fingerprint) N(revision) \
    N(created_at) N(started_at) N(finished_at) T(usage)
#define MOVED_REQUESTS(N, H, T, F, P) T(tenant) T(key) H(hash) T(job) N(at)
#define MOVED_RUNS(N, H, T, F, P) \
    T(schedule) N(number) N(slot) N(cause) N(state) N(why) N(slots) T(job) N(at) N(ended_at) N(job_state) N(found) N(fresh)
#define MOVED_WEBHOOKS(N, H, T, F, P) /* secrets: sealed */ \
    T(id) T(name) T(url) T(types) T(secret) N(secret_number) T(old_secret) N(old_until) N(enabled) N(off_at) T(off_why) \
    N(place) N(seen) N(rest_until) N(fails) N(failing_at) N(delivered) N(failed) N(dead) N(missed) N(last_ok_at) \
    N(created_at) N(updated_at) N(revision)
#define MOVED_HANDS(N, H, T, F, P) /* of: 0 a lane, 1 a session, 2 a webhook */ N(of) T(key) T(by) T(why) N(at) N(until)
#define MOVED_DELIVERIES(N, H, T, F, P) \
    N(number) T(id) T(webhook) N(seq) T(subject) T(event) T(kind) N(at) T(body) N(state) N(due) N(attempts) N(status) T(why) \
    N(ended_at)
#define MOVED_EVENTS(N, H, T, F, P) N(seq) T(subject) N(number) T(kind) N(at) T(body)
#define MOVED_RECORDS(N, H, T, F, P) T(job) N(ord) T(site) N(kind) T(id) N(created_ms) T(json)
#define MOVED_BODIES(N, H, T, F, P) T(hash) N(bytes) F(frame)
#define MOVED_EVIDENCE(N, H, T, F, P) \
    T(job) N(number) N(kind) N(attempt) N(batch) N(reason) N(status) N(at) N(bytes) T(strategy) T(name) T(url) T(headers) \
    T(hash)
#define MOVED_GAPS(N, H, T, F, P) T(job) N(kind) N(gap) N(count)
#define MOVED_FIELDS_COUNTED(N, H, T, F, P) T(site) T(version) T(name) N(path) N(hour) N(count)
#define MOVED_FILES(N, H, T, F, P) T(hash) T(suffix) T(mime) N(bytes) N(first_seen) P(file)
#define MOVED_URLS(N, H, T, F, P) T(site) T(url) T(hash) N(status) N(at)
#define MOVED_HOLDS(N, H, T, F, P) T(job) T(hash)
#define MOVED_COUNTERS(N, H, T, F, P) N(jobs) N(events) N(batches) N(operations) N(deliveries) N(runs)
/* clang-format on */

enum moved_kind {
#define MOVED_CONSTANT(constant, fields, keys, words) MOVE_##constant,
    MOVED_KINDS(MOVED_CONSTANT) MOVE_KINDS
#undef MOVED_CONSTANT
};
struct moved_shape {
    const char *name, *words;
    const struct moved_field *fields;
    size_t count, keys;
};
extern const struct moved_shape moved_shapes[MOVE_KINDS];
/* The place of a field that the kind has. */
size_t moved_at(enum moved_kind kind, const char *field);

struct moved_value {
    int64_t n;
    struct span text;
};
struct moved_row {
    struct moved_value v[MOVED_FIELDS];
};
/* Where a store goes on; all empty: at the beginning. Only the store that gave it can read it. */
struct moved_place {
    int64_t a, b;
    struct span one, two;
};
struct moved_page { /* texts in the arena of the call */
    struct moved_row *rows;
    size_t count;
    struct moved_place next;
    bool last; /* nothing is behind it; it may have rows all the same */
};

/* ---- canonical form, sums ---- */

/* E_STORE: bytes beside the row are damaged or cannot be read. */
MUST_USE err moved_write(enum moved_kind kind, const struct moved_row *row, struct buf *out,
                         struct fault *f);
/* The key as people read it: "job_… 17". */
void moved_key(enum moved_kind kind, const struct moved_row *row, struct buf *out);
/* The name of the first field in which two canonical forms of this kind differ; NULL: they are the same. */
const char *moved_differs(enum moved_kind kind, struct span one, struct span other);

struct moved_sum {
    int64_t count;
    uint64_t words[4];
};
struct moved_sums {
    struct moved_sum part[MOVED_BUCKETS];
};
size_t moved_bucket(enum moved_kind kind, const struct moved_row *row);
void moved_add(struct moved_sum *sum, struct span canonical);
struct moved_sum moved_total(const struct moved_sums *sums);
bool moved_same(const struct moved_sum *a, const struct moved_sum *b);
enum { MOVED_SUM_TEXT = 17 };
/* The first 16 digits, for people. */
char *moved_sum_text(const struct moved_sum *sum, char out[MOVED_SUM_TEXT]);

/* ---- a store that is moved, or moved into ---- */

/* What a store says of a move. */
enum transfer_state {
    TRANSFER_NONE,
    TRANSFER_LEAVING,  /* it is being moved elsewhere */
    TRANSFER_LEFT,     /* it was: what it holds is of before */
    TRANSFER_ARRIVING, /* it is being filled */
    TRANSFER_CAME,     /* it was filled by that move */
};
/* No service may use it. */
bool transfer_holds(enum transfer_state state);
/* What it shows then as the number of its format: beyond that of any version, since earlier ones look at nothing else. */
enum { TRANSFER_SCHEMA = 1000 };
struct transfer_mark {
    enum transfer_state state;
    char id[ID_TEXT]; /* of the move: the same in both stores */
    char other[160];  /* the name of where to, or of where from */
    char came
        [ID_TEXT]; /* the move that filled it last, whatever became of it since; empty: none */
    int64_t at_ms;
    char archive
        [40]; /* the one that the store had then, or has now; empty: it needs none, or nobody knows */
    bool foreign; /* another one is there now, with something in it; not kept */
    int kind;     /* ARRIVING: what comes next; -1: it is being emptied */
    int64_t a, b;
    char one[768], two[9000]; /* the place of the source behind which it goes on */
};

enum {
    TRANSFER_NAME = 160
}; /* of a store: its address without a password, spelled in one way */
struct transfer;
struct transfer_ops {
    void (*close)(struct transfer **t);
    MUST_USE err (*mark)(struct transfer *t, struct transfer_mark *out, struct fault *f);
    MUST_USE err (*set_mark)(struct transfer *t, const struct transfer_mark *mark,
                             struct fault *f);
    /* E_CONFLICT: somebody uses it; may wait until nobody is heard of any more. */
    MUST_USE err (*alone)(struct transfer *t, struct fault *f);
    /* Of a source, before it is read: running jobs are given back, what an index is needed for has one. */
    MUST_USE err (*settle)(struct transfer *t, bool dry, struct fault *f);
    /* Of a source: jobs that say of themselves that they have rows, of which there are none. Adds a line about each of the first
     * ones. NULL: there cannot be any. */
    MUST_USE err (*missing)(struct transfer *t, struct buf *words, int64_t *out_count,
                            struct fault *f);
    MUST_USE err (*empty)(struct transfer *t, bool *out, struct fault *f);
    /* The mark stays, at every moment. */
    MUST_USE err (*clear)(struct transfer *t, struct fault *f);
    MUST_USE err (*out)(struct transfer *t, enum moved_kind kind,
                        const struct moved_place *place, struct arena *a,
                        struct moved_page *out, struct fault *f);
    /* Takes the rows and notes the mark with them; what is there already stays as it is. */
    MUST_USE err (*in)(struct transfer *t, enum moved_kind kind, const struct moved_page *page,
                       const struct transfer_mark *mark, struct fault *f);
    /* Why it could not take this row: E_BAD_INPUT. */
    MUST_USE err (*takes)(struct transfer *t, enum moved_kind kind, const struct moved_row *row,
                          struct fault *f);
    MUST_USE err (*epoch)(struct transfer *t, int64_t *out, struct fault *f);
    /* All is there: leases of before that epoch are told apart. */
    MUST_USE err (*finish)(struct transfer *t, int64_t epoch, struct fault *f);
};
/* E_TOO_BIG: cut off it would be another place. */
MUST_USE err transfer_mark_place(struct transfer_mark *mark, const struct moved_place *place,
                                 struct fault *f);
/* What comes next and what came, as one text; false: it is none. */
void transfer_place_write(const struct transfer_mark *mark, struct buf *out);
bool transfer_place_read(struct span text, struct transfer_mark *out);
/* What a start of the service says of such a store. E_MOVED. */
err transfer_refuse(enum transfer_state state, struct span other, struct fault *f);
struct transfer { /* the first member of every kind's own */
    const struct transfer_ops *ops;
    char name[TRANSFER_NAME];
};
