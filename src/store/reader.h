/* reader.h - a second pair of eyes on an open store, for queries that would hold its thread up.
 *
 * A reader is a store that only reads rows: store_job(), _jobs, _items, _events, _evidence_list,
 * _evidence_read, _file, _fields, _drift, _session, _sessions, _schedule…, _batch…, _operation…, _dead_groups, _webhook,
 * _webhooks, _deliver…. What
 * the store knows by heart (lanes, limits, mode, what may start) it does not know. One thread at a time uses it, and not
 * the one that owns the store. It sees at least what was committed when store_reader_begin() was called,
 * the same until store_reader_end(), and is cut off with E_TIMEOUT after its time, so that it keeps the log of the store
 * from being shortened no longer than that. */
#pragma once

#include "store/store.h"

/* Whether stores of this kind have readers; otherwise their own thread reads. */
bool store_has_readers(const struct store *s);
/* most_ms: from store_reader_begin() on. The store must outlive it. */
MUST_USE err store_reader_open(struct store **out, struct store *of, int64_t most_ms,
                               struct fault *f);
void store_reader_close(struct store **reader);
/* Waits while the store shortens its log. E_STORE while the store itself cannot be read. */
MUST_USE err store_reader_begin(struct store *reader, struct fault *f);
/* Jobs whose `waiting` is not known yet, as that is by heart: for store_reader_finish(). In the arena,
 * which must not be reset before. */
struct unsure {
    struct job_view *jobs;
    size_t count;
    struct unsure *next;
};
/* True: the store waits for this to shorten its log: its thread should call store_idle(). */
bool store_reader_end(struct store *reader, struct unsure **out_unsure);
/* A reading is cut off now, and each one that begins after this: for stopping. Any thread. */
void store_reader_stop(struct store *reader);

/* ---- what was not looked at when the store was opened ---- */
bool store_check_due(const struct store *s);
/* The next piece, a table with its indexes: *place counts them, from 0. On a reader between begin and end, which
 * should have minutes for one: it makes way by itself when the log is to be shortened. E_END: all was looked at. E_TIMEOUT: it made way;
 * ask again. E_STORE: damaged; the words name the file and the page or row. */
MUST_USE err store_reader_check(struct store *reader, int64_t *place, struct fault *f);

/* On the store's own thread. */
void store_reader_finish(struct store *of, struct unsure *unsure, wall now);
