/* schema.h - the tables of the archive, and how they come to be as this version wants them.
 *
 * A step makes version n of version n − 1. Steps only add, so that nodes of the version before
 * go on with the tables for a while; where one cannot, it says which version may still write
 * (min_writer) or read (min_reader). They are taken in one transaction under an advisory lock
 * of the schema that the address leads to, so several nodes may start at once.
 *
 *   fulmar_archive    one row: which archive this is, version of its tables, who may use them
 *   fulmar_jobs       what is known of a job: the newest lease that wrote, its result, its
 * counts fulmar_results    what records belong to; `holders` jobs have it, with 0 it is on its
 * way out fulmar_records    a record in its place: ord = batch · 100000 + index in the batch
 *   fulmar_forgotten  jobs that are gone, whose evidence is not yet
 *   fulmar_evidence, fulmar_bodies, fulmar_gaps, fulmar_fields   as in store/evidence.h and
 * core/drift.h */
#pragma once

#include "store/postgres/pg.h"

enum { SCHEMA_ID = 40 };
struct schema_step {
    int64_t min_reader, min_writer; /* oldest version that may still do that */
    const char *sql;
};
extern const struct schema_step schema_steps[];
extern const size_t schema_step_count;

struct schema_wanted {
    const struct schema_step *steps; /* of version 1, 2 … count */
    size_t count;
    char id[SCHEMA_ID]; /* of the archive; empty: make one where there is none, and set */
};
/* To be run by pg_do(): makes or upgrades. E_CONFIG: of a version that this one may not write
 * for. */
err schema_bring(struct pg *p, void *wanted, struct fault *f);
/* For pg_on_connect(): still the same archive, and still one to write for. E_STORE when it is
 * another. */
err schema_check(struct pg *p, void *wanted, struct fault *f);
