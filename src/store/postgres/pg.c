#include "store/postgres/pg.h"

#include "base/need.h"
#include "os/clock.h"
#include "os/random.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

enum {
    SERVER_MIN = 130000,
    AGAIN_MAX = 6,
    AGAIN_MS = 4, /* before the first time again; doubles, with as much by chance */
    PAUSE_FIRST_MS = 100,
    PAUSE_MOST_MS = 5000,
    REST_MS = 30000,
    CONNECT_MS = 3000,      /* for a server of which the address says no connect_timeout */
    COPY_BYTES = 64 * 1024, /* sent at once */
    ARG_BYTES = 64 << 20,   /* of all arrays of one statement */
    OPTIONS_MAX = 64,
    NAME_BYTES = 16,
};
/* Types of pg_type.dat. */
enum { OID_BYTEA = 17, OID_INT8 = 20, OID_TEXT = 25, OID_TEXTS = 1009, OID_INTS = 1016 };

struct pg_rows {
    PGresult *result;
    bool *foreign; /* of the connection */
};
struct host { /* parts of the address, borrowed from `options` as spans */
    struct span name, number, port;
};
struct pg {
    PGconn *conn; /* NULL: there is none */
    PQconninfoOption *options;
    struct host hosts[PG_HOSTS];
    size_t host_count;
    char server[80]; /* the host it is connected with, or tried last; for words */
    int64_t connect_ms, statement_ms, wait_ms; /* wait_ms: for an answer, on this connection */
    int64_t statement_most_ms, margin_ms;
    pg_work *on_connect;
    void *on_connect_ctx;

    bool prepared[SQL_COUNT]; /* on this connection */
    bool made, making;        /* as pg_first_time() says */
    bool copying;
    bool foreign; /* in this attempt an answer was not what was asked for */
    struct buf args, copy;

    /* of the last attempt; NULL: none of the server or the way to it */
    const struct sqlstate_row *trouble;
    bool committing, unknown;
    int failures; /* to connect, in a row */
    mono connect_again;
};

static const char *const sql_texts[] = {
#define SQL_TEXT(id, text) text,
    SQL_TABLE(SQL_TEXT)
#undef SQL_TEXT
};
_Static_assert(sizeof sql_texts / sizeof sql_texts[0] == SQL_COUNT, "one text per statement");

/* ---- the address ---- */

static const char *option(const struct pg *p, const char *keyword)
{
    for (const PQconninfoOption *o = p->options; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val;
    return NULL;
}

static size_t list_length(struct span list)
{
    size_t n = 1;
    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

/* The i-th of a list, or the only one; empty when there is none. */
static struct span list_part(struct span list, size_t i)
{
    if (list_length(list) == 1)
        return list;
    for (size_t at; i > 0 && (at = span_find_char(list, ',')) < list.n; i--)
        list = span_cut(list, at + 1, list.n);
    return span_cut(list, 0, span_find_char(list, ','));
}

static bool is_port(struct span s)
{
    int64_t port;
    return s.n == 0 || (span_int(s, &port) && port > 0 && port < 65536);
}

/* A password with a sign of its own in it ends up in the host or the port: neither is told. */
static err read_hosts(struct pg *p, struct fault *f)
{
    static const char way_out[] =
        "write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and signs such as @ : / ? # % "
        "in user and password as %40 %3A %2F %3F %23 %25";
    struct span names = span_of(option(p, "host")), numbers = span_of(option(p, "hostaddr"));
    struct span ports = span_of(option(p, "port"));
    size_t n = list_length(names.n ? names : numbers);
    if (n > PG_HOSTS)
        return fail(f, E_CONFIG, "the address of the archive names %zu hosts, at most %d", n,
                    PG_HOSTS);
    if (list_length(ports) != 1 && list_length(ports) != n)
        return fail(f, E_CONFIG, "the address of the archive has %zu ports for %zu hosts",
                    list_length(ports), n);
    for (size_t i = 0; i < n; i++) {
        struct host *h = &p->hosts[p->host_count++];
        *h = (struct host){list_part(names, i), list_part(numbers, i), list_part(ports, i)};
        if (!is_port(h->port) || span_find_char(h->name, '@') < h->name.n)
            return fail(f, E_CONFIG, "the address of the archive cannot be read; %s", way_out);
    }
    return E_OK;
}

static err read_url(struct pg *p, struct span url, struct fault *f)
{
    char text[4096], *words = NULL;
    if (url.n >= sizeof text ||
        (!span_starts(url, SPAN("postgresql://")) && !span_starts(url, SPAN("postgres://"))))
        return fail(f, E_CONFIG, "the address of the archive begins with postgresql://");
    span_copy(url, text, sizeof text);
    p->options = PQconninfoParse(text, &words);
    explicit_bzero(text, sizeof text);
    bool names_parameter = words && strstr(words, "invalid URI query parameter");
    PQfreemem(words);
    if (!p->options)
        return fail(f, E_CONFIG, "the address of the archive cannot be read%s",
                    names_parameter ? ": a parameter behind the ? is not one of libpq's"
                                    : "; it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
    return read_hosts(p, f);
}

/* Of connect_timeout, in seconds there. */
static int64_t configured_connect_ms(const struct pg *p)
{
    int64_t seconds = 0;
    if (!span_int(span_of(option(p, "connect_timeout")), &seconds) || seconds <= 0)
        return CONNECT_MS;
    return seconds < PG_WAIT_MS / 1000 ? seconds * 1000 : PG_WAIT_MS;
}

static void take_patience(struct pg *p, int64_t patience_ms)
{
    int64_t connect = patience_ms / 3, margin = connect / 3,
            statement = patience_ms - connect - margin;
    if (patience_ms <= 0)
        return;
    p->connect_ms = p->connect_ms < connect ? p->connect_ms : connect;
    p->margin_ms = p->margin_ms < margin ? p->margin_ms : margin;
    p->statement_most_ms = p->statement_most_ms < statement ? p->statement_most_ms : statement;
}

err pg_new(struct pg **out, const struct pg_config *config, struct fault *f)
{
    struct pg *p = heap_new_of(struct pg);
    p->args = BUF(ARG_BYTES);
    p->copy = BUF(COPY_BYTES + PG_ROWS_BYTES);
    err e = read_url(p, config->url, f);
    if (e) {
        pg_free(&p);
        return e;
    }
    p->connect_ms = config->connect_ms > 0 ? config->connect_ms : configured_connect_ms(p);
    p->statement_ms = config->statement_ms;
    p->statement_most_ms = PG_WAIT_MS;
    p->margin_ms = PG_MARGIN_MS;
    take_patience(p, config->patience_ms);
    *out = p;
    return E_OK;
}

static void hang_up(struct pg *p)
{
    PQfinish(p->conn);
    p->conn = NULL;
    p->copying = false;
}

void pg_free(struct pg **p)
{
    if (!*p)
        return;
    hang_up(*p);
    for (PQconninfoOption *o = (*p)->options; o && o->keyword; o++)
        if (o->val && o->dispchar[0] == '*')
            explicit_bzero(o->val, strlen(o->val));
    PQconninfoFree((*p)->options);
    buf_free(&(*p)->args);
    buf_free(&(*p)->copy);
    free(*p);
    *p = NULL;
}

void pg_on_connect(struct pg *p, pg_work *check, void *ctx)
{
    p->on_connect = check;
    p->on_connect_ctx = ctx;
}

/* ---- trouble ---- */

static bool says(struct span text, const char *secret)
{
    size_t n = strlen(secret);
    return n > 0 && span_find(text, (struct span){secret, n}) < text.n;
}

/* The first line of it, unless a secret of the address is in it. */
static struct span safe_line(const struct pg *p, const char *message)
{
    struct span line = span_of(message);
    line = span_cut(line, 0, span_find_char(line, '\n'));
    for (const PQconninfoOption *o = p->options; o->keyword; o++)
        if (o->val && o->dispchar[0] == '*' && says(line, o->val))
            return SPAN("(not told: a secret is in it)");
    return line;
}

/* How the call ends, by the table. What the server says itself stands before our words. */
static err trouble(struct pg *p, const struct sqlstate_row *row, struct span said,
                   struct fault *f)
{
    bool lost = row->act == SQLSTATE_LOST || row == &sqlstate_late;
    p->trouble = row;
    p->unknown = p->unknown || row->act == SQLSTATE_UNKNOWN || (lost && p->committing);
    if (row->act != SQLSTATE_KEEPS && row->act != SQLSTATE_AGAIN)
        hang_up(p);
    if (f && row->error == E_BUSY)
        f->wait_ms = PAUSE_FIRST_MS;
    if (f && !f->code)
        f->away = true;
    return fail(f, row->error, "archive %s: %s%.*s%s", p->server, row->words,
                SP(span_cut(said, 0, 110)),
                p->unknown ? "; it may have been done: ask again" : "");
}

/* SQLSTATE at the end of what libpq says of a refused start ("FATAL:  28P01"); empty: none. */
static struct span state_of_refusal(const char *message)
{
    struct span line = span_trim(span_of(message));
    struct span state = span_cut(line, line.n - (line.n < 5 ? line.n : 5), 5);
    for (size_t i = 0; i < state.n; i++)
        if (!((state.p[i] >= '0' && state.p[i] <= '9') ||
              (state.p[i] >= 'A' && state.p[i] <= 'Z')))
            return SPAN_NONE;
    return state.n == 5 && line.n > 5 && line.p[line.n - 6] == ' ' ? state : SPAN_NONE;
}

/* ---- waiting ---- */

static err await_socket(struct pg *p, short events, mono deadline, struct fault *f)
{
    struct pollfd poll_fd = {.fd = PQsocket(p->conn), .events = events};
    for (;;) {
        int64_t left = mono_left(deadline, clock_mono());
        int n = poll_fd.fd < 0 ? -1 : poll(&poll_fd, 1, (int)left);
        if (n > 0)
            return E_OK;
        if (n == 0 && mono_past(deadline, clock_mono()))
            return trouble(p, &sqlstate_late, SPAN_NONE, f);
        if (n < 0 && (poll_fd.fd < 0 || errno != EINTR))
            return trouble(p, &sqlstate_lost, SPAN_NONE, f);
    }
}

static mono deadline_of(const struct pg *p)
{
    return mono_add(clock_mono(), p->wait_ms);
}

/* What the server has to say is taken while our bytes do not move: it may wait for that. */
static err push(struct pg *p, mono deadline, struct fault *f)
{
    for (int left; (left = PQflush(p->conn)) != 0;) {
        if (left < 0)
            return E_OK; /* why, the result will say */
        err e = await_socket(p, POLLIN | POLLOUT, deadline, f);
        if (e)
            return e;
        if (!PQconsumeInput(p->conn))
            return E_OK;
    }
    return E_OK;
}

static err next_result(struct pg *p, mono deadline, PGresult **out, struct fault *f)
{
    while (PQisBusy(p->conn)) {
        err e = await_socket(p, POLLIN, deadline, f);
        if (e)
            return e;
        if (!PQconsumeInput(p->conn))
            break; /* PQgetResult has the reason */
    }
    *out = PQgetResult(p->conn);
    return E_OK;
}

static err failed(struct pg *p, const PGresult *r, struct fault *f)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const struct sqlstate_row *row = &sqlstate_lost;
    char words[128] = "";
    if (state)
        row = sqlstate_find(span_of(state));
    /* A server that goes away says so in its own way; what counts is that it is gone. */
    if (PQstatus(p->conn) == CONNECTION_BAD && row->act == SQLSTATE_KEEPS)
        row = &sqlstate_lost;
    if (state)
        snprintf(words, sizeof words, " (%.90s, %.5s)",
                 said ? span_copy(safe_line(p, said), (char[96]){0}, 96) : "", state);
    return trouble(p, row, span_of(words), f);
}

/* All results of what was sent; the last one that went well is kept. */
static err await_results(struct pg *p, PGresult **out, struct fault *f)
{
    mono deadline = deadline_of(p);
    PGresult *kept = NULL, *r = NULL;
    err first = E_OK;
    err e = push(p, deadline, f);
    while (!e && (e = next_result(p, deadline, &r, f)) == E_OK && r) {
        ExecStatusType status = PQresultStatus(r);
        bool good =
            status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN;
        if (!good && !first)
            first = failed(p, r, f);
        PQclear(good ? kept : r);
        kept = good ? r : kept;
        if (status == PGRES_COPY_IN || !p->conn)
            break;
    }
    e = e ? e : first;
    if (!e && !kept)
        e = trouble(p, &sqlstate_lost, SPAN_NONE, f);
    if (e) {
        PQclear(kept);
        return e;
    }
    *out = kept;
    return E_OK;
}

static err script(struct pg *p, const char *sql, PGresult **out, struct fault *f)
{
    need(p->conn);
    if (!PQsendQuery(p->conn, sql))
        return trouble(p, &sqlstate_lost, SPAN_NONE, f);
    return await_results(p, out, f);
}

err pg_script(struct pg *p, const char *sql, struct fault *f)
{
    PGresult *r = NULL;
    err e = script(p, sql, &r, f);
    PQclear(r);
    return e;
}

/* ---- connecting ---- */

/* What a server says besides its answers is for its own log. */
static void hush(void *ctx, const PGresult *r)
{
    (void)ctx;
    (void)r;
}

static err shake_hands(struct pg *p, mono deadline, struct fault *f)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    while (wants == PGRES_POLLING_READING || wants == PGRES_POLLING_WRITING) {
        err e = await_socket(p, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, f);
        if (e)
            return e;
        wants = PQconnectPoll(p->conn);
    }
    if (wants == PGRES_POLLING_OK)
        return E_OK;
    const char *message = PQerrorMessage(p->conn);
    struct span state = state_of_refusal(message);
    char words[160] = "";
    if (!state.n)
        snprintf(words, sizeof words, " (%.120s)",
                 span_copy(safe_line(p, message), (char[128]){0}, 128));
    return trouble(p, state.n ? sqlstate_find(state) : &sqlstate_refused, span_of(words), f);
}

static err check_server(struct pg *p, struct fault *f)
{
    const char *encoding = PQparameterStatus(p->conn, "server_encoding");
    int version = PQserverVersion(p->conn);
    if (version < SERVER_MIN)
        return fail(f, E_CONFIG, "archive %s: PostgreSQL %d is too old; from %d on", p->server,
                    version / 10000, SERVER_MIN / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return fail(
            f, E_CONFIG,
            "archive %s: the database's encoding is %.20s; make one with ENCODING 'UTF8'",
            p->server, encoding ? encoding : "unknown");
    return E_OK;
}

static err set_limits(struct pg *p, struct fault *f)
{
    struct pg_rows *rows;
    p->wait_ms = (p->statement_ms > 0 ? p->statement_ms : p->statement_most_ms) + p->margin_ms;
    err e = pg_ask(p, SQL_SESSION, &rows, f, PG_I(p->statement_ms), PG_I(p->statement_most_ms));
    if (e)
        return e;
    p->wait_ms = pg_int(rows, 0, 0) + p->margin_ms;
    pg_end(rows);
    return E_OK;
}

struct words_of_options {
    const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
    size_t n;
};

static void add_option(struct words_of_options *w, const char *key, const char *value)
{
    need(w->n + 1 < OPTIONS_MAX);
    w->keys[w->n] = key;
    w->values[w->n++] = value;
}

/* One host at a time: libpq goes to the next one only when it is refused, not when nobody
 * answers. */
static void start_connect(struct pg *p, const struct host *h)
{
    struct words_of_options w = {0};
    char name[256], number[64], port[8];
    add_option(&w, "keepalives_idle", "10");
    add_option(&w, "keepalives_interval", "5");
    add_option(&w, "keepalives_count", "3");
    for (const PQconninfoOption *o = p->options; o->keyword; o++)
        if (o->val)
            add_option(&w, o->keyword, o->val);
    add_option(&w, "client_encoding", "UTF8");
    add_option(&w, "fallback_application_name", "fulmar");
    if (p->host_count > 1) {
        if (!option(p, "target_session_attrs")) /* whichever of them is the primary now */
            add_option(&w, "target_session_attrs", "read-write");
        add_option(&w, "host", span_copy(h->name, name, sizeof name));
        add_option(&w, "hostaddr", span_copy(h->number, number, sizeof number));
        add_option(&w, "port", span_copy(h->port, port, sizeof port));
    }
    p->conn = PQconnectStartParams(w.keys, w.values, 0);
}

static void name_server(struct pg *p, const struct host *h)
{
    struct span name = h->name.n ? h->name : h->number;
    snprintf(p->server, sizeof p->server, "%.*s%s%.*s", SP(span_cut(name, 0, 60)),
             name.n && h->port.n ? ":" : "", SP(h->port));
    if (!p->server[0])
        snprintf(p->server, sizeof p->server, "(local)");
}

static err connect_host(struct pg *p, const struct host *h, struct fault *f)
{
    name_server(p, h);
    start_connect(p, h);
    if (!p->conn)
        bug("no memory");
    /* Words of a server that does not let us in may hold what it was told; its SQLSTATE does
     * not. */
    PQsetErrorVerbosity(p->conn, PQERRORS_SQLSTATE);
    PQsetNoticeReceiver(p->conn, hush, NULL);
    if (PQstatus(p->conn) == CONNECTION_BAD)
        return trouble(p, &sqlstate_refused, safe_line(p, PQerrorMessage(p->conn)), f);
    err e = shake_hands(p, mono_add(clock_mono(), p->connect_ms), f);
    if (e)
        return e;
    PQsetErrorVerbosity(p->conn, PQERRORS_DEFAULT);
    PQsetnonblocking(p->conn, 1);
    memset(p->prepared, 0, sizeof p->prepared);
    e = check_server(p, f);
    if (!e)
        e = set_limits(p, f);
    if (!e && p->on_connect)
        e = p->on_connect(p, p->on_connect_ctx, f);
    if (e)
        hang_up(p);
    return e;
}

static int64_t pause_ms(const struct pg *p)
{
    if (p->trouble && p->trouble->act == SQLSTATE_RESTS)
        return REST_MS;
    int64_t most = PAUSE_FIRST_MS << (p->failures < 6 ? p->failures : 6);
    most = most < PAUSE_MOST_MS ? most : PAUSE_MOST_MS;
    return most / 2 + (int64_t)(random_u64() % (uint64_t)(most / 2 + 1));
}

static err connect_any(struct pg *p, struct fault *f)
{
    int64_t left = mono_left(p->connect_again, clock_mono());
    err e = E_STORE;
    mono began = clock_mono();
    if (p->failures && left > 0) {
        if (f)
            f->wait_ms = left;
        return fail(f, E_STORE, "archive %s: no connection; tried again in %lld ms", p->server,
                    (long long)left);
    }
    for (size_t i = 0; e && i < p->host_count; i++) {
        struct fault own = {0};
        e = connect_host(p, &p->hosts[i], &own);
        if (e && f && !f->code)
            *f = own;
    }
    if (!e) {
        if (f)
            *f = (struct fault){0}; /* of a host that was tried before */
        p->failures = 0;
        return E_OK;
    }
    int64_t took = clock_mono().ms - began.ms, pause = pause_ms(p);
    /* At most half of the time is spent on it: others wait for this thread. */
    p->connect_again = mono_add(clock_mono(), pause > took ? pause : took);
    p->failures++;
    return e;
}

err pg_connected(struct pg *p, struct fault *f)
{
    if (p->conn && !PQconsumeInput(p->conn)) /* nobody asked anything: its end */
        hang_up(p);
    return p->conn ? E_OK : connect_any(p, f);
}

/* ---- transactions ---- */

/* A transaction in which something failed answers a COMMIT with ROLLBACK, and calls that a
 * success. */
static err commit(struct pg *p, struct fault *f)
{
    PGresult *r = NULL;
    p->committing = true;
    err e = script(p, "COMMIT", &r, f);
    p->committing = false;
    if (!e && strcmp(PQcmdStatus(r), "COMMIT") != 0)
        e = fail(f, E_BUG, "archive %s: an error in a transaction was passed over", p->server);
    PQclear(r);
    return e;
}

static err attempt(struct pg *p, enum pg_mode mode, pg_work *work, void *ctx, struct fault *f)
{
    p->trouble = NULL;
    p->unknown = false;
    p->foreign = false;
    err e = p->conn ? E_OK : connect_any(p, f);
    if (!e && mode == PG_WRITES)
        e = pg_script(p, "BEGIN ISOLATION LEVEL READ COMMITTED", f);
    if (!e)
        e = work(p, ctx, f);
    if (!e && p->foreign)
        e = fail(f, E_STORE,
                 "archive %s: an answer has no number where one belongs: a table that is not "
                 "Fulmar's, or of a newer version",
                 p->server);
    if (!e)
        return mode == PG_WRITES ? commit(p, f) : E_OK;
    struct fault quiet = {0};
    const struct sqlstate_row *why = p->trouble;
    if (p->copying)
        hang_up(p); /* in the middle of its rows nothing else can be said */
    else if (p->conn && mode == PG_WRITES && pg_script(p, "ROLLBACK", &quiet) && p->conn)
        hang_up(p);
    p->trouble = why;
    return e;
}

/* `had`: there was a connection; the loss of a new one is no accident of the last hours. */
static bool may_try_again(const struct pg *p, bool had, int times)
{
    if (!p->trouble || p->unknown)
        return false;
    if (p->trouble->act == SQLSTATE_LOST)
        return had && times == 0;
    return p->trouble->act == SQLSTATE_AGAIN && times < AGAIN_MAX;
}

static void pause_before(const struct pg *p, int times)
{
    if (p->trouble->act != SQLSTATE_AGAIN)
        return;
    int64_t ms = AGAIN_MS << times;
    poll(NULL, 0, (int)(ms + (int64_t)(random_u64() % (uint64_t)ms)));
}

err pg_do(struct pg *p, enum pg_mode mode, pg_work *work, void *ctx, struct fault *f)
{
    for (int times = 0;; times++) {
        struct fault own = {0};
        bool had = p->conn != NULL;
        err e = attempt(p, mode, work, ctx, &own);
        if (!e)
            return E_OK;
        if (!may_try_again(p, had, times)) {
            if (f && !f->code)
                *f = own;
            return e;
        }
        pause_before(p, times);
    }
}

bool pg_was_denied(const struct pg *p)
{
    return p->trouble && p->trouble->act == SQLSTATE_RESTS;
}

/* ---- arguments ---- */

static void put_number(char *to, int64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, v >>= 8)
        to[i] = (char)(v & 0xff);
}

static void add_number(struct buf *b, int64_t v, int bytes)
{
    char *at = buf_room(b, (size_t)bytes);
    if (!at)
        return;
    put_number(at, v, bytes);
    b->n += (size_t)bytes;
}

static void add_field(struct buf *b, struct span s)
{
    add_number(b, (int64_t)s.n, 4);
    buf_add(b, s);
}

static void add_array(struct buf *b, const struct pg_arg *a)
{
    bool ints = a->type == PG_ARG_INTS;
    add_number(b, a->count > 0, 4); /* dimensions */
    add_number(b, 0, 4);            /* no NULLs */
    add_number(b, ints ? OID_INT8 : OID_TEXT, 4);
    if (a->count > 0) {
        add_number(b, (int64_t)a->count, 4);
        add_number(b, 1, 4); /* index of the first */
    }
    for (size_t i = 0; i < a->count; i++) {
        if (ints) {
            add_number(b, 8, 4);
            add_number(b, a->ints[i], 8);
        } else {
            add_field(b, a->texts[i]);
        }
    }
}

struct bound {
    const char *values[PG_ARGS_MAX];
    int lengths[PG_ARGS_MAX], formats[PG_ARGS_MAX];
    Oid types[PG_ARGS_MAX];
    char numbers[PG_ARGS_MAX][8];
};

static Oid type_of(const struct pg_arg *a)
{
    switch (a->type) {
    case PG_ARG_INT:
        return OID_INT8;
    case PG_ARG_TEXT:
        return OID_TEXT;
    case PG_ARG_BYTES:
        return OID_BYTEA;
    case PG_ARG_INTS:
        return OID_INTS;
    case PG_ARG_TEXTS:
        return OID_TEXTS;
    case PG_ARG_SHORT:
        break; /* statements have no use for it */
    }
    bug("no such argument");
}

/* Everything goes in binary form: texts with their length, so that a zero byte in one is
 * refused, not the end of it. */
static err bind_args(struct pg *p, const struct pg_arg *args, size_t n, struct bound *b,
                     struct fault *f)
{
    size_t at[PG_ARGS_MAX + 1] = {0};
    need(n <= PG_ARGS_MAX);
    buf_clear(&p->args);
    for (size_t i = 0; i < n; i++) {
        if (args[i].type == PG_ARG_INTS || args[i].type == PG_ARG_TEXTS)
            add_array(&p->args, &args[i]);
        at[i + 1] = p->args.n;
    }
    if (p->args.failed)
        return fail(f, E_TOO_BIG, "more than the archive takes at once");
    for (size_t i = 0; i < n; i++) {
        const struct pg_arg *a = &args[i];
        b->types[i] = type_of(a);
        b->formats[i] = 1;
        if (a->type == PG_ARG_INT) {
            put_number(b->numbers[i], a->i, 8);
            b->values[i] = b->numbers[i];
            b->lengths[i] = 8;
        } else if (a->type == PG_ARG_TEXT || a->type == PG_ARG_BYTES) {
            b->values[i] = a->s.p ? a->s.p : "";
            b->lengths[i] = (int)a->s.n;
        } else {
            b->values[i] = p->args.p + at[i];
            b->lengths[i] = (int)(at[i + 1] - at[i]);
        }
    }
    return E_OK;
}

static err prepare(struct pg *p, enum sql id, const struct bound *b, size_t n, struct fault *f)
{
    char name[NAME_BYTES];
    PGresult *r = NULL;
    if (p->prepared[id])
        return E_OK;
    snprintf(name, sizeof name, "f%d", (int)id);
    if (!PQsendPrepare(p->conn, name, sql_texts[id], (int)n, b->types))
        return trouble(p, &sqlstate_lost, SPAN_NONE, f);
    err e = await_results(p, &r, f);
    PQclear(r);
    p->prepared[id] = !e;
    return e;
}

err pg_ask_args(struct pg *p, enum sql id, struct pg_rows **out, struct fault *f,
                const struct pg_arg *args, size_t n)
{
    struct bound b;
    char name[NAME_BYTES];
    PGresult *r = NULL;
    need(p->conn && !p->copying);
    err e = bind_args(p, args, n, &b, f);
    if (!e)
        e = prepare(p, id, &b, n, f);
    if (e)
        return e;
    snprintf(name, sizeof name, "f%d", (int)id);
    if (!PQsendQueryPrepared(p->conn, name, (int)n, b.values, b.lengths, b.formats, 1))
        return trouble(p, &sqlstate_lost, SPAN_NONE, f);
    e = await_results(p, &r, f);
    if (e)
        return e;
    *out = heap_new_of(struct pg_rows);
    **out = (struct pg_rows){r, &p->foreign};
    return E_OK;
}

err pg_run_args(struct pg *p, enum sql id, struct fault *f, const struct pg_arg *args, size_t n)
{
    struct pg_rows *rows = NULL;
    err e = pg_ask_args(p, id, &rows, f, args, n);
    pg_end(rows);
    return e;
}

/* ---- rows ---- */

void pg_end(struct pg_rows *r)
{
    if (!r)
        return;
    PQclear(r->result);
    free(r);
}

size_t pg_count(const struct pg_rows *r)
{
    return (size_t)PQntuples(r->result);
}

int64_t pg_int(const struct pg_rows *r, size_t row, int column)
{
    int64_t v = 0;
    if (!pg_number(pg_text(r, row, column), &v))
        *r->foreign = true;
    return v;
}

struct span pg_text(const struct pg_rows *r, size_t row, int column)
{
    if (row < pg_count(r) && column < PQnfields(r->result))
        return (struct span){PQgetvalue(r->result, (int)row, column),
                             (size_t)PQgetlength(r->result, (int)row, column)};
    *r->foreign = true;
    return SPAN("");
}

err pg_keep(const struct pg_rows *r, size_t row, int column, struct arena *a, struct span *out,
            struct fault *f)
{
    struct span kept = arena_keep(a, pg_text(r, row, column));
    if (!kept.p)
        return fail(f, E_TOO_BIG, "the answer of the archive does not fit");
    *out = kept;
    return E_OK;
}

/* ---- COPY ---- */

static err copy_out(struct pg *p, struct fault *f)
{
    mono deadline = deadline_of(p);
    err e = E_OK;
    for (int sent; (sent = PQputCopyData(p->conn, p->copy.p, (int)p->copy.n)) != 1;) {
        if (sent <
            0) /* the connection has ended; or the server has, which the close will tell */
            return PQstatus(p->conn) == CONNECTION_BAD
                       ? trouble(p, &sqlstate_lost, SPAN_NONE, f)
                       : E_OK;
        e = await_socket(p, POLLIN | POLLOUT, deadline, f);
        if (e)
            return e;
        (void)PQconsumeInput(p->conn);
    }
    buf_clear(&p->copy);
    return push(p, deadline, f);
}

err pg_copy_open(struct pg *p, const char *sql, struct fault *f)
{
    PGresult *r = NULL;
    err e = script(p, sql, &r, f);
    PQclear(r);
    if (e)
        return e;
    p->copying = true;
    buf_clear(&p->copy);
    buf_add(&p->copy, SPAN("PGCOPY\n\377\r\n\0"));
    add_number(&p->copy, 0, 4); /* flags */
    add_number(&p->copy, 0, 4); /* length of the header's extension */
    return E_OK;
}

err pg_copy_row(struct pg *p, struct fault *f, const struct pg_arg *args, size_t n)
{
    need(p->copying);
    add_number(&p->copy, (int64_t)n, 2);
    for (size_t i = 0; i < n; i++) {
        int bytes = args[i].type == PG_ARG_SHORT ? 2 : 8;
        if (args[i].type == PG_ARG_TEXT) {
            add_field(&p->copy, args[i].s);
            continue;
        }
        need(args[i].type == PG_ARG_INT || args[i].type == PG_ARG_SHORT);
        add_number(&p->copy, bytes, 4);
        add_number(&p->copy, args[i].i, bytes);
    }
    if (p->copy.failed)
        return fail(f, E_TOO_BIG, "a record is larger than the archive takes");
    return p->copy.n < COPY_BYTES ? E_OK : copy_out(p, f);
}

err pg_copy_close(struct pg *p, struct fault *f)
{
    PGresult *r = NULL;
    add_number(&p->copy, -1, 2);
    err e = copy_out(p, f);
    if (e)
        return e;
    if (PQputCopyEnd(p->conn, NULL) < 0)
        return trouble(p, &sqlstate_lost, SPAN_NONE, f);
    p->copying = false;
    e = await_results(p, &r, f);
    PQclear(r);
    return e;
}
