#include "store/postgres/schema.h"

#include "base/need.h"

static const int64_t LOCK_CLASS = 0x46554c4d; /* "FULM" */

/* clang-format off */
const struct schema_step schema_steps[] = {
    {1, 1,
     "CREATE TABLE fulmar_archive("
     "  one        boolean PRIMARY KEY DEFAULT true CHECK(one),"
     "  id         uuid NOT NULL,"
     "  version    bigint NOT NULL,"
     "  min_reader bigint NOT NULL,"
     "  min_writer bigint NOT NULL);"
     "CREATE TABLE fulmar_results("
     "  result  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
     "  site    text COLLATE \"C\" NOT NULL,"
     "  holders integer NOT NULL CHECK(holders >= 0));"
     "CREATE INDEX fulmar_results_free ON fulmar_results(result) WHERE holders=0;"
     /* (epoch, fence): of the newest lease that has written. shared: another job has or had this result, so
      * that who writes next takes a copy. Counts are those of the result. */
     "CREATE TABLE fulmar_jobs("
     "  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
     "  id          text COLLATE \"C\" NOT NULL UNIQUE,"
     "  epoch       bigint NOT NULL,"
     "  fence       bigint NOT NULL,"
     "  result      bigint,"
     "  shared      boolean NOT NULL DEFAULT false,"
     "  next_batch  bigint NOT NULL DEFAULT 0,"
     "  posts       bigint NOT NULL DEFAULT 0 CHECK(posts >= 0),"
     "  users       bigint NOT NULL DEFAULT 0 CHECK(users >= 0),"
     "  unavailable bigint NOT NULL DEFAULT 0 CHECK(unavailable >= 0),"
     "  rejected    bigint NOT NULL DEFAULT 0 CHECK(rejected >= 0),"
     "  conflicts   bigint NOT NULL DEFAULT 0 CHECK(conflicts >= 0),"
     "  bytes       bigint NOT NULL DEFAULT 0 CHECK(bytes >= 0)"
     ") WITH (fillfactor=70);"
     "CREATE TABLE fulmar_records("
     "  result     bigint NOT NULL,"
     "  ord        bigint NOT NULL,"
     "  created_ms bigint NOT NULL,"
     "  kind       smallint NOT NULL CHECK(kind BETWEEN 0 AND 4),"
     "  id         text COLLATE \"C\" NOT NULL,"
     "  json       text NOT NULL,"
     "  PRIMARY KEY(result,ord),"
     "  UNIQUE(result,kind,id));"
     "CREATE TABLE fulmar_forgotten(seq bigint PRIMARY KEY);"
     "CREATE TABLE fulmar_bodies("
     "  hash   text COLLATE \"C\" PRIMARY KEY,"
     "  bytes  bigint NOT NULL CHECK(bytes >= 0),"
     "  stored bigint NOT NULL CHECK(stored > 0),"
     "  refs   bigint NOT NULL CHECK(refs >= 0),"
     "  frame  bytea NOT NULL);"
     "ALTER TABLE fulmar_bodies ALTER COLUMN frame SET STORAGE EXTERNAL;" /* zstd has been there */
     "CREATE TABLE fulmar_evidence("
     "  eid      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
     "  job      bigint NOT NULL,"
     "  n        bigint NOT NULL,"
     "  kind     smallint NOT NULL CHECK(kind BETWEEN 0 AND 2),"
     "  attempt  bigint NOT NULL,"
     "  batch    bigint NOT NULL,"
     "  reason   bigint NOT NULL,"
     "  status   bigint NOT NULL,"
     "  at       bigint NOT NULL,"
     "  bytes    bigint NOT NULL,"
     "  strategy text NOT NULL,"
     "  name     text NOT NULL,"
     "  url      text NOT NULL,"
     "  headers  text NOT NULL,"
     "  hash     text COLLATE \"C\" NOT NULL,"
     "  UNIQUE(job,n));"
     "CREATE INDEX fulmar_evidence_at ON fulmar_evidence(at,eid);"
     "CREATE TABLE fulmar_gaps("
     "  job  bigint NOT NULL,"
     "  kind smallint NOT NULL CHECK(kind BETWEEN 0 AND 2),"
     "  gap  smallint NOT NULL CHECK(gap > 0),"
     "  n    bigint NOT NULL CHECK(n > 0),"
     "  PRIMARY KEY(job,kind,gap));"
     "CREATE TABLE fulmar_fields("
     "  hour    bigint NOT NULL," /* since 1970 */
     "  n       bigint NOT NULL,"
     "  path    smallint NOT NULL CHECK(path BETWEEN -2 AND 19)," /* -1 missing, -2 a member */
     "  site    text COLLATE \"C\" NOT NULL,"
     "  version text COLLATE \"C\" NOT NULL,"
     "  name    text COLLATE \"C\" NOT NULL,"
     "  PRIMARY KEY(site,version,name,path,hour)"
     ") WITH (fillfactor=70);"
     "CREATE INDEX fulmar_fields_hour ON fulmar_fields(site,hour,version,path);"},
};
/* clang-format on */
const size_t schema_step_count = sizeof schema_steps / sizeof schema_steps[0];

struct found {
    int64_t version, min_writer;
    char id[SCHEMA_ID];
};

static err read_found(struct pg *p, struct found *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_SCHEMA, &rows, f, PG_I(0));
    if (e)
        return e;
    if (pg_count(rows) == 1) {
        *out = (struct found){.version = pg_int(rows, 0, 0), .min_writer = pg_int(rows, 0, 1)};
        span_copy(pg_text(rows, 0, 2), out->id, sizeof out->id);
    } else {
        e = fail(f, E_STORE, "the archive has lost the row that says which it is");
    }
    pg_end(rows);
    return e;
}

static err may_write(const struct found *found, const struct schema_wanted *w, err otherwise,
                     struct fault *f)
{
    if (found->min_writer <= (int64_t)w->count)
        return E_OK;
    return fail(
        f, otherwise,
        "the archive's tables are of a newer Fulmar (version %lld, for version %lld and later); "
        "this one knows version %zu: upgrade it",
        (long long)found->version, (long long)found->min_writer, w->count);
}

static err is_there(struct pg *p, bool *out, struct fault *f)
{
    struct pg_rows *rows;
    err e = pg_ask(p, SQL_SCHEMA_IS_THERE, &rows, f, PG_I(0));
    if (e)
        return e;
    *out = pg_int(rows, 0, 0) != 0;
    pg_end(rows);
    return E_OK;
}

static err take_step(struct pg *p, const struct schema_wanted *w, int64_t version,
                     struct fault *f)
{
    const struct schema_step *step = &w->steps[version - 1];
    err e = pg_script(p, step->sql, f);
    if (!e && version == 1)
        e = pg_run(p, SQL_SCHEMA_MADE, f, PG_I(0));
    if (!e)
        e = pg_run(p, SQL_SCHEMA_NEXT, f, PG_I(version), PG_I(step->min_reader),
                   PG_I(step->min_writer));
    return e;
}

err schema_bring(struct pg *p, void *wanted, struct fault *f)
{
    struct schema_wanted *w = wanted;
    struct found found = {0};
    bool there = false;
    err e = pg_run(p, SQL_SCHEMA_LOCK, f, PG_I(LOCK_CLASS));
    if (!e)
        e = is_there(p, &there, f);
    if (!e && there)
        e = read_found(p, &found, f);
    if (!e)
        e = may_write(&found, w, E_CONFIG, f);
    for (int64_t next = found.version + 1; !e && next <= (int64_t)w->count; next++)
        e = take_step(p, w, next, f);
    if (!e)
        e = read_found(p, &found, f);
    if (!e)
        memcpy(w->id, found.id, sizeof w->id);
    return e;
}

err schema_check(struct pg *p, void *wanted, struct fault *f)
{
    const struct schema_wanted *w = wanted;
    struct found found = {0};
    if (!w->id[0])
        return E_OK;
    err e = read_found(p, &found, f);
    if (!e && strcmp(found.id, w->id) != 0)
        e = fail(
            f, E_STORE,
            "another archive answers at this address: %.36s, it was %.36s; restart once that is wanted",
            found.id, w->id);
    return e ? e : may_write(&found, w, E_STORE, f);
}
