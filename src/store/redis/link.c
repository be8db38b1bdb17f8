#include "store/redis/link.h"

#include "base/need.h"
#include "os/clock.h"
#include "os/random.h"
#include "os/secret.h"
#include "store/redis/place.h"

#include <hiredis/hiredis.h>

#include <poll.h>
#include <stdarg.h>

enum {
    PAUSE_MS = 100,
    PAUSE_MOST_MS = 5000,
    ACCESS_PAUSE_MS = 30000, /* a person has to mend it */
    WORDS_MOST = 16,         /* of link_say() */
    SHA_TEXT = 41,
    REPLY_DEPTH = 6,
};

struct link {
    struct place place;
    char prefix[LINK_NAME + 16];
    int64_t connect_ms, call_ms;
    redisContext *c; /* NULL: no connection */
    struct link_state state;
    mono again;       /* not connected again before */
    int64_t pause_ms; /* of the next failed attempt */
    char sha[SCRIPT_COUNT][SHA_TEXT];
    bool asking; /* within link_ask() */
    bool signing_in;
    bool greeting;
    err (*greet)(void *ctx, struct fault *f);
    void *ctx;
    struct arena *own; /* of replies that are looked at here only */
};

/* ---- words of a reply ---- */

static const struct reply nothing;

static const struct reply *member(const struct reply *list, size_t i)
{
    return list->kind == REPLY_LIST && i < list->count ? &list->list[i] : &nothing;
}

int64_t reply_number(const struct reply *list, size_t i)
{
    const struct reply *r = member(list, i);
    int64_t n = 0;
    if (r->kind == REPLY_TEXT && !span_int(r->text, &n))
        return 0;
    return r->kind == REPLY_NUMBER ? r->number : n;
}

struct span reply_text(const struct reply *list, size_t i)
{
    return member(list, i)->text;
}

const struct reply *reply_list(const struct reply *list, size_t i)
{
    const struct reply *r = member(list, i);
    return r->kind == REPLY_LIST ? r : &nothing;
}

static err keep_reply(const redisReply *from, int depth, struct arena *a, struct reply *out,
                      struct fault *f)
{
    struct reply r = {.kind = REPLY_NIL};
    if (from->type == REDIS_REPLY_INTEGER) {
        r.kind = REPLY_NUMBER;
        r.number = from->integer;
    } else if (from->type == REDIS_REPLY_STRING || from->type == REDIS_REPLY_STATUS ||
               from->type == REDIS_REPLY_ERROR) {
        r.kind = REPLY_TEXT;
        r.text = arena_keep(a, (struct span){from->str, from->len});
        if (!r.text.p)
            return fail(f, E_TOO_BIG, "a reply of Redis is larger than the request may hold");
    } else if (from->type == REDIS_REPLY_ARRAY) {
        r.kind = REPLY_LIST;
        r.count = from->elements;
        r.list = arena_try(a, from->elements * sizeof *r.list + 1);
        if (!r.list || depth == REPLY_DEPTH)
            return fail(f, E_TOO_BIG,
                        "a reply of Redis is larger or deeper than the request may hold");
        for (size_t i = 0; i < from->elements; i++) {
            err e = keep_reply(from->element[i], depth + 1, a, &r.list[i], f);
            if (e)
                return e;
        }
    }
    *out = r;
    return E_OK;
}

/* ---- what went wrong ---- */

static void hang_up(struct link *l)
{
    if (l->c)
        redisFree(l->c);
    l->c = NULL;
    l->state.connected = false;
}

static void pause_before_next(struct link *l, int64_t at_least_ms)
{
    int64_t ms = l->pause_ms ? l->pause_ms : PAUSE_MS;
    l->pause_ms = ms * 2 < PAUSE_MOST_MS ? ms * 2 : PAUSE_MOST_MS;
    if (ms < at_least_ms)
        ms = at_least_ms;
    l->again =
        mono_add(clock_mono(), ms / 2 + (int64_t)(random_u64() % (uint64_t)(ms / 2 + 1)));
}

/* Notes what went wrong, words it, and does to the connection what the table says. `said` may be the
 * connection's own. */
static err troubled(struct link *l, enum trouble t, struct span said, struct fault *f)
{
    static const err codes[] = {
        [ACT_RESEND] = E_STORE,   [ACT_RESOLVE] = E_BUSY,  [ACT_LATER] = E_BUSY,
        [ACT_FULL] = E_DISK_FULL, [ACT_UNKNOWN] = E_STORE, [ACT_STOP] = E_STORE,
        [ACT_LEAVE] = E_MOVED,
    };
    const struct trouble_row *row = &trouble_rows[t];
    bool first = f && f->code == E_OK;
    err e = fail(f, codes[row->act], "%s (%s: %.*s)", row->words, l->state.server,
                 (int)(said.n < 80 ? said.n : 80), said.p);
    l->state.trouble = t;
    l->state.unknown = row->act == ACT_UNKNOWN;
    if (row->link != LINK_KEEPS) {
        hang_up(l);
        l->state.down = t;
    }
    if (t == TROUBLE_REFUSED || t == TROUBLE_CLIENTS || t == TROUBLE_SHAPE ||
        row->link == LINK_RESTS)
        pause_before_next(l, row->link == LINK_RESTS ? ACCESS_PAUSE_MS : 0);
    if (first) {
        f->wait_ms = row->wait_ms ? row->wait_ms : mono_left(l->again, clock_mono());
        f->away = true;
    }
    return e;
}

static err lost(struct link *l, const char *why, struct fault *f)
{
    return troubled(l, TROUBLE_LOST, span_of(why), f);
}

/* ---- bytes, with a deadline ---- */

static err send_all(struct link *l, struct fault *f)
{
    int done = 0;
    while (!done)
        if (redisBufferWrite(l->c, &done) != REDIS_OK)
            return lost(l, l->c->errstr, f);
    return E_OK;
}

/* One reply of those that are due. Bytes that trickle do not move the deadline. */
static err next_reply(struct link *l, mono deadline, redisReply **out, struct fault *f)
{
    void *reply = NULL;
    for (;;) {
        if (redisReaderGetReply(l->c->reader, &reply) != REDIS_OK)
            return troubled(l, TROUBLE_SHAPE, span_of(l->c->reader->errstr), f);
        if (reply) {
            *out = reply;
            return E_OK;
        }
        if (l->c->reader->len > LINK_REPLY_BYTES)
            return troubled(l, TROUBLE_SHAPE, SPAN("the reply does not end"), f);
        struct pollfd p = {.fd = l->c->fd, .events = POLLIN};
        int n = poll(&p, 1, (int)mono_left(deadline, clock_mono()));
        if (n == 0)
            return lost(l, "no reply in time", f);
        if (n > 0 && redisBufferRead(l->c) != REDIS_OK)
            return lost(l, l->c->errstr, f);
    }
}

static void put_words(struct link *l, const struct span *words, size_t count)
{
    const char *texts[WORDS_MOST];
    size_t sizes[WORDS_MOST];
    need(count <= WORDS_MOST);
    for (size_t i = 0; i < count; i++) {
        texts[i] = words[i].n ? words[i].p : "";
        sizes[i] = words[i].n;
    }
    need(redisAppendCommandArgv(l->c, (int)count, texts, sizes) == REDIS_OK);
}

/* One command that this user may not give, or that this server does not know, says nothing of others. */
static err refused(struct link *l, enum trouble t, const char *said, struct fault *f)
{
    l->state.trouble = t;
    return fail(f, E_DENIED, "Redis refuses the command (%s: %.80s)", l->state.server, said);
}

/* A reply; an error reply is E_… as the table says, what it said in the fault. */
static err receive(struct link *l, struct arena *a, struct reply *out, struct fault *f)
{
    redisReply *r = NULL;
    err e = next_reply(l, mono_add(clock_mono(), l->call_ms), &r, f);
    if (e)
        return e;
    enum trouble t =
        r->type == REDIS_REPLY_ERROR ? trouble_of((struct span){r->str, r->len}) : TROUBLE_NONE;
    if (l->asking && (t == TROUBLE_ACCESS || t == TROUBLE_SHAPE))
        e = refused(l, t, r->str, f);
    else if (t) /* what is said to a password may hold it */
        e = troubled(l, t, l->signing_in ? SPAN("signing in") : (struct span){r->str, r->len},
                     f);
    else
        e = keep_reply(r, 0, a, out, f);
    freeReplyObject(r);
    return e;
}

static err ask_words(struct link *l, const struct span *words, size_t count, struct arena *a,
                     struct reply *out, struct fault *f)
{
    put_words(l, words, count);
    err e = send_all(l, f);
    return e ? e : receive(l, a, out, f);
}

/* ---- connecting ---- */

static err dial(struct link *l, const struct place_host *h, bool path, struct fault *f)
{
    struct timeval wait = {l->connect_ms / 1000, l->connect_ms % 1000 * 1000};
    snprintf(l->state.server, sizeof l->state.server, path ? "%s" : "%s:%d", h->name, h->port);
    l->c = path ? redisConnectUnixWithTimeout(h->name, wait)
                : redisConnectWithTimeout(h->name, h->port, wait);
    if (!l->c || l->c->err) {
        char why[128];
        snprintf(why, sizeof why, "%s", l->c ? l->c->errstr : "no memory");
        return troubled(l, TROUBLE_REFUSED, span_of(why), f);
    }
    struct timeval longest = {l->call_ms / 1000, l->call_ms % 1000 * 1000};
    if (redisSetTimeout(l->c, longest) != REDIS_OK)
        return troubled(l, TROUBLE_REFUSED, SPAN("its socket takes no deadline"), f);
    return E_OK;
}

static err sign_in(struct link *l, struct fault *f)
{
    const struct place *w = &l->place;
    struct reply r;
    err e = E_OK;
    l->signing_in = true;
    if (w->password[0]) {
        struct span words[] = {SPAN("AUTH"), span_of(w->user), span_of(w->password)};
        if (!w->user[0])
            words[1] = words[2];
        e = ask_words(l, words, w->user[0] ? 3 : 2, l->own, &r, f);
    }
    if (!e && w->database) {
        char number[16];
        snprintf(number, sizeof number, "%d", w->database);
        struct span words[] = {SPAN("SELECT"), span_of(number)};
        e = ask_words(l, words, 2, l->own, &r, f);
    }
    l->signing_in = false;
    return e;
}

static bool info_text(struct span info, const char *name, char *out, size_t size)
{
    struct span line;
    while (span_next(&info, '\n', &line)) {
        line = span_trim(line);
        size_t n = strlen(name);
        if (span_starts(line, span_of(name)) && line.n > n && line.p[n] == ':') {
            span_copy(span_cut(line, n + 1, line.n), out, size);
            return true;
        }
    }
    return false;
}

/* Who it is, and whether it takes writes. A server that says nothing of itself is none of ours. */
static err look_at_server(struct link *l, struct fault *f)
{
    struct reply r;
    char role[16] = "", version[16] = "";
    struct span word = SPAN("INFO");
    err e = ask_words(l, &word, 1, l->own, &r, f);
    if (e)
        return e;
    if (r.kind != REPLY_TEXT ||
        !info_text(r.text, "run_id", l->state.run_id, sizeof l->state.run_id) ||
        !info_text(r.text, "master_replid", l->state.replication_id,
                   sizeof l->state.replication_id) ||
        !info_text(r.text, "role", role, sizeof role) ||
        !info_text(r.text, "redis_version", version, sizeof version))
        return troubled(l, TROUBLE_SHAPE, SPAN("INFO names no server"), f);
    if (strtol(version, NULL, 10) < 7) {
        l->state.trouble = l->state.down = TROUBLE_SHAPE;
        hang_up(l);
        pause_before_next(l, ACCESS_PAUSE_MS);
        return fail(f, E_CONFIG, "%s is Redis %s; Fulmar needs 7 or newer", l->state.server,
                    version);
    }
    if (strcmp(role, "master") != 0)
        return troubled(l, TROUBLE_READONLY, span_of(role), f);
    return E_OK;
}

/* The first script with the same text. */
static int first_of_text(int script)
{
    int first = 0;
    while (script_rows[first].text != script_rows[script].text)
        first++;
    return first;
}

/* All scripts, and the names under which the server keeps them: the first use of one is never in the middle
 * of something else. */
static err load_scripts(struct link *l, struct fault *f)
{
    struct reply r = {0};
    for (int i = 0; i < SCRIPT_COUNT; i++) {
        struct span words[] = {SPAN("SCRIPT"), SPAN("LOAD"), span_of(script_rows[i].text)};
        if (first_of_text(i) == i)
            put_words(l, words, 3);
    }
    err e = send_all(l, f);
    for (int i = 0; !e && i < SCRIPT_COUNT; i++) {
        int first = first_of_text(i);
        if (first == i)
            e = receive(l, l->own, &r, f);
        if (first == i && !e && (r.kind != REPLY_TEXT || r.text.n != SHA_TEXT - 1))
            e = troubled(l, TROUBLE_SHAPE, SPAN("SCRIPT LOAD names no script"), f);
        if (!e)
            span_copy(first == i ? r.text : span_of(l->sha[first]), l->sha[i], SHA_TEXT);
    }
    return e;
}

/* Asks one Sentinel after the other for the primary. */
static err find_primary(struct link *l, struct place_host *out, struct fault *f)
{
    err e = E_STORE;
    struct fault last = {0};
    for (size_t i = 0; i < l->place.host_count; i++) {
        struct reply r = {0};
        struct span words[] = {SPAN("SENTINEL"), SPAN("get-master-addr-by-name"),
                               span_of(l->place.primary)};
        last = (struct fault){0};
        e = dial(l, &l->place.hosts[i], false, &last);
        if (!e)
            e = ask_words(l, words, 3, l->own, &r, &last);
        if (l->c)
            hang_up(l);
        if (!e && r.kind == REPLY_LIST && reply_text(&r, 0).n &&
            reply_text(&r, 0).n < sizeof out->name) {
            span_copy(reply_text(&r, 0), out->name, sizeof out->name);
            out->port = (int)reply_number(&r, 1);
            return E_OK;
        }
    }
    if (e)
        return troubled(l, TROUBLE_REFUSED, span_of(last.words), f);
    return troubled(l, TROUBLE_REFUSED, SPAN("no Sentinel knows a primary of this name"), f);
}

err link_foreign(struct link *l, struct fault *f)
{
    return troubled(l, TROUBLE_FOREIGN, span_of(l->prefix), f);
}

static err greet(struct link *l, struct fault *f)
{
    if (!l->greet)
        return E_OK;
    l->greeting = true;
    err e = l->greet(l->ctx, f);
    l->greeting = false;
    return e;
}

static err connect_once(struct link *l, struct fault *f)
{
    struct place_host host = l->place.hosts[0];
    arena_reset(l->own);
    err e = l->place.kind == PLACE_SENTINEL ? find_primary(l, &host, f) : E_OK;
    if (!e)
        e = dial(l, &host, l->place.kind == PLACE_UNIX, f);
    if (!e)
        e = sign_in(l, f);
    if (!e)
        e = look_at_server(l, f);
    if (!e)
        e = load_scripts(l, f);
    if (!e)
        e = greet(l, f);
    arena_reset(l->own);
    if (e) {
        bool paused = !mono_past(l->again, clock_mono());
        l->state.down = l->state.trouble;
        if (l->c)
            hang_up(l);
        if (!paused)
            pause_before_next(l, 0);
        l->state.unknown = false; /* nothing of the caller's was sent */
        return e;
    }
    l->state.connected = true;
    l->state.connections++;
    l->pause_ms = 0;
    return E_OK;
}

/* Nothing is due: whatever can be read is the other side's goodbye. */
static bool has_died(const struct link *l)
{
    struct pollfd p = {.fd = l->c->fd, .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) > 0;
}

static err connected(struct link *l, struct fault *f)
{
    if (l->c && has_died(l))
        hang_up(l);
    if (l->c)
        return E_OK;
    if (!mono_past(l->again, clock_mono())) {
        /* What the lost one had been asked is not what is asked now. */
        enum trouble why = l->state.down == TROUBLE_NONE || l->state.down == TROUBLE_LOST
                               ? TROUBLE_REFUSED
                               : l->state.down;
        err e = fail(f, E_BUSY, "%s (%s); tried again in a moment", trouble_rows[why].words,
                     l->state.server);
        if (f && f->code == e && !f->wait_ms) {
            f->wait_ms = mono_left(l->again, clock_mono());
            f->away = true;
        }
        l->state.unknown = false;
        return e;
    }
    return connect_once(l, f);
}

/* ---- calls ---- */

static void put_script(struct link *l, bool whole, enum script script, const struct span *args,
                       size_t count)
{
    const char **texts = heap_get((count + 5) * sizeof *texts);
    size_t *sizes = heap_get((count + 5) * sizeof *sizes);
    const struct span head[] = {whole ? SPAN("EVAL") : SPAN("EVALSHA"),
                                span_of(whole ? script_rows[script].text : l->sha[script]),
                                SPAN("1"), span_of(l->prefix)},
                      name = span_of(script_rows[script].name);
    for (size_t i = 0; i < count + 5; i++) {
        struct span word = i < 4 ? head[i] : i < count + 4 ? args[i - 4] : name;
        texts[i] = word.n ? word.p : "";
        sizes[i] = word.n;
    }
    need(redisAppendCommandArgv(l->c, (int)count + 5, texts, sizes) == REDIS_OK);
    free(texts);
    free(sizes);
}

static err run_once(struct link *l, bool whole, enum script script, const struct span *args,
                    size_t count, struct arena *a, struct reply *out, struct fault *f)
{
    err e = connected(l, f);
    if (e)
        return e;
    l->state.trouble = TROUBLE_NONE;
    l->state.unknown = false;
    put_script(l, whole, script, args, count);
    e = send_all(l, f);
    return e ? e : receive(l, a, out, f);
}

/* What a second attempt at once may mend. */
static bool is_worth_repeating(const struct link *l)
{
    enum trouble_act act = trouble_rows[l->state.trouble].act;
    return act == ACT_RESEND || act == ACT_RESOLVE || l->state.trouble == TROUBLE_LOST;
}

err link_run(struct link *l, enum script script, const struct span *args, size_t count,
             struct arena *a, struct reply *out, struct fault *f)
{
    struct fault first = {0}, second = {0};
    l->state.trouble = TROUBLE_NONE;
    err e = run_once(l, false, script, args, count, a, out, &first);
    if (!e || l->greeting || !is_worth_repeating(l)) {
        if (e && f && f->code == E_OK)
            *f = first;
        return e;
    }
    bool forgot = l->state.trouble == TROUBLE_NOSCRIPT, unknown = l->state.unknown;
    if (forgot && load_scripts(l, &second)) { /* the others are gone as well */
        second = (struct fault){0};
        hang_up(l); /* replies may be due that are nobody's */
    }
    e = run_once(l, forgot, script, args, count, a, out, &second);
    if (e && unknown && !l->state.unknown) { /* the first one may have done it all the same */
        l->state.unknown = true;
        e = first.code;
        second = first;
    }
    if (e && f && f->code == E_OK)
        *f = second;
    return e;
}

err link_ask(struct link *l, const struct span *words, size_t count, struct arena *a,
             struct reply *out, struct fault *f)
{
    err e = connected(l, f);
    if (e)
        return e;
    l->state.trouble = TROUBLE_NONE;
    l->state.unknown = false;
    l->asking = true;
    e = ask_words(l, words, count, a, out, f);
    l->asking = false;
    return e;
}

err link_say(struct link *l, struct arena *a, struct reply *out, struct fault *f, ...)
{
    struct span words[WORDS_MOST];
    size_t count = 0;
    va_list list;
    va_start(list, f);
    for (const char *word; (word = va_arg(list, const char *)); count++) {
        need(count < WORDS_MOST);
        words[count] = span_of(word);
    }
    va_end(list);
    return link_ask(l, words, count, a, out, f);
}

/* ---- its life ---- */

err link_new(struct link **out, const struct link_config *config, struct fault *f)
{
    struct place place;
    err e = place_parse(config->url, &place, f);
    if (e)
        return e;
    if (!config->name.n || config->name.n > LINK_NAME ||
        span_find_char(config->name, '}') < config->name.n)
        return fail(f, E_CONFIG, "store.name has to have 1 to %d characters and no \"}\"",
                    LINK_NAME);
    struct link *l = heap_new_of(struct link);
    l->place = place;
    secret_wipe(place.password, sizeof place.password);
    l->connect_ms = config->connect_ms ? config->connect_ms : LINK_CONNECT_MS;
    l->call_ms = config->call_ms ? config->call_ms : LINK_CALL_MS;
    snprintf(l->prefix, sizeof l->prefix, "fulmar:{%.*s}:", SP(config->name));
    place_shown(&l->place, l->state.server);
    l->own = arena_new(LINK_REPLY_BYTES);
    l->greet = config->greet;
    l->ctx = config->ctx;
    *out = l;
    return E_OK;
}

void link_free(struct link **l)
{
    if (!*l)
        return;
    hang_up(*l);
    arena_free(&(*l)->own);
    secret_wipe((*l)->place.password, sizeof(*l)->place.password);
    free(*l);
    *l = NULL;
}

struct link_state link_state(const struct link *l)
{
    struct link_state state = l->state;
    state.retry_ms = l->c ? 0 : mono_left(l->again, clock_mono());
    return state;
}
