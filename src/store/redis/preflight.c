#include "store/redis/preflight.h"

#include "base/need.h"

const char *durability_name(enum durability d)
{
    static const char *const names[] = {"memory", "replicated", "fsync", "spooled"};
    need((unsigned)d < DURABILITIES);
    return names[d];
}

/* ---- reading ---- */

static void note_setting(struct preflight_facts *facts, struct span name, struct span value)
{
    int64_t n = 0;
    if (span_is(name, "maxmemory-policy"))
        span_copy(value, facts->policy, sizeof facts->policy);
    else if (span_is(name, "appendonly"))
        facts->appends = span_is(value, "yes");
    else if (span_is(name, "appendfsync"))
        facts->sync = span_is(value, "always")     ? SYNC_ALWAYS
                      : span_is(value, "everysec") ? SYNC_EVERYSEC
                                                   : SYNC_NEVER;
    else if (span_is(name, "maxmemory") && span_int(value, &n))
        facts->memory_most = n;
    else if (span_is(name, "min-replicas-to-write") && span_int(value, &n))
        facts->replicas_least = n;
}

static void note_info(struct preflight_facts *facts, struct span info)
{
    struct span line;
    int64_t n = 0;
    while (span_next(&info, '\n', &line)) {
        size_t colon = span_find_char(line, ':');
        struct span name = span_cut(line, 0, colon),
                    value = span_trim(span_cut(line, colon + 1, line.n));
        if (span_is(name, "redis_version"))
            span_copy(value, facts->version, sizeof facts->version);
        else if (span_is(name, "run_id"))
            span_copy(value, facts->run_id, sizeof facts->run_id);
        else if (span_is(name, "connected_slaves") && span_int(value, &n))
            facts->replicas = n;
    }
    int major = 0, minor = 0;
    if (sscanf(facts->version, "%d.%d", &major, &minor) == 2)
        facts->waits_for_file = major > 7 || (major == 7 && minor >= 2);
}

err preflight_read(struct link *l, struct arena *a, struct preflight_facts *out,
                   struct fault *f)
{
    static const char *const settings[] = {"maxmemory-policy", "maxmemory", "appendonly",
                                           "appendfsync", "min-replicas-to-write"};
    struct preflight_facts facts = {.readable = true};
    struct fault refused = {0};
    struct reply r;
    err e = link_say(l, a, &r, f, "INFO", (char *)NULL);
    if (e)
        return e;
    note_info(&facts, r.text);
    for (size_t i = 0; facts.readable && i < sizeof settings / sizeof *settings; i++) {
        /* A service that is managed by others often refuses it: then nobody knows, and that is said. */
        e = link_say(l, a, &r, &refused, "CONFIG", "GET", settings[i], (char *)NULL);
        if (e && e != E_DENIED)
            return fail(f, e, "%s", refused.words);
        facts.readable = e == E_OK;
        for (size_t n = 0; !e && n + 1 < r.count; n += 2)
            note_setting(&facts, reply_text(&r, n), reply_text(&r, n + 1));
    }
    *out = facts;
    return E_OK;
}

/* "slave0:ip=127.0.0.1,port=6380,state=online,offset=1204,lag=0"; one that is sent everything anew has 0. */
static void note_replica(struct store_replication *is, struct span value)
{
    struct span part;
    int64_t offset = 0;
    while (span_next(&value, ',', &part))
        if (span_starts(part, SPAN("offset=")))
            (void)!span_int(span_cut(part, 7, part.n), &offset);
    is->least = is->replicas++ && is->least < offset ? is->least : offset;
}

err preflight_replication(struct link *l, struct arena *a, struct store_replication *out,
                          struct fault *f)
{
    struct store_replication is = {0};
    struct reply r;
    struct span line;
    err e = link_say(l, a, &r, f, "INFO", "replication", (char *)NULL);
    if (e)
        return e;
    while (span_next(&r.text, '\n', &line)) {
        size_t colon = span_find_char(line, ':');
        struct span name = span_cut(line, 0, colon),
                    value = span_trim(span_cut(line, colon + 1, line.n));
        if (span_is(name, "master_replid"))
            span_copy(value, is.history, sizeof is.history);
        else if (span_is(name, "master_repl_offset"))
            (void)!span_int(value, &is.offset);
        else if (span_starts(name, SPAN("slave")) && span_starts(value, SPAN("ip=")))
            note_replica(&is, value);
    }
    if (!is.history[0])
        return fail(f, E_STORE,
                    "Redis does not say how far its replicas are (INFO replication)");
    *out = is;
    return E_OK;
}

/* ---- judging ---- */

size_t preflight_judge(const struct preflight_facts *facts, enum durability wanted,
                       struct preflight_finding out[PREFLIGHT_MOST])
{
    bool evicts = facts->readable && strcmp(facts->policy, "noeviction") != 0;
    const struct {
        bool so, refuses;
        const char *words;
    } rules[] = {
        {evicts && facts->memory_most > 0, true,
         "maxmemory-policy evicts keys: jobs would vanish when the memory is full; set maxmemory-policy noeviction"},
        {facts->readable && !facts->appends, true,
         "appendonly is off: a restart of Redis loses what came after the last snapshot; set appendonly yes"},
        {facts->readable && facts->appends && facts->sync == SYNC_NEVER, true,
         "appendfsync is no: a crash of the machine may lose many seconds; set appendfsync everysec, or always"},
        {facts->readable && wanted == DURABILITY_FSYNC && facts->sync != SYNC_ALWAYS &&
             !facts->waits_for_file,
         true,
         "store.durability is fsync: this Redis cannot wait for its disk (WAITAOF came with 7.2); set appendfsync always"},
        {!facts->readable, false,
         "CONFIG GET is not allowed there: whether this Redis keeps what it is given cannot be checked"},
        {wanted == DURABILITY_REPLICATED && facts->replicas == 0, false,
         "store.durability is replicated, and this Redis has no replica now: what is accepted is unconfirmed"},
        {evicts && facts->memory_most == 0, false,
         "maxmemory-policy would evict keys as soon as maxmemory is set; set maxmemory-policy noeviction"},
        {facts->readable && facts->replicas > 0 && facts->replicas_least == 0, false,
         "min-replicas-to-write is 0: a primary that was cut off takes jobs that a failover loses; set it to 1"},
    };
    _Static_assert(sizeof rules / sizeof *rules <= PREFLIGHT_MOST, "room for each");
    size_t count = 0;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].so)
            out[count++] = (struct preflight_finding){rules[i].refuses, rules[i].words};
    return count;
}

err preflight_check(struct preflight *p, struct fault *f)
{
    struct link_config config = {.url = p->url, .name = p->name};
    struct link *l = NULL;
    struct arena *a = arena_new(1 << 20);
    err e = link_new(&l, &config, f);
    if (!e) {
        e = preflight_read(l, a, &p->facts, f);
        p->passes = trouble_rows[link_state(l).trouble].passes;
    }
    if (!e)
        p->finding_count = preflight_judge(&p->facts, p->wanted, p->findings);
    for (size_t i = 0; !e && !p->insists && i < p->finding_count; i++)
        if (p->findings[i].refuses)
            e = fail(f, E_CONFIG, "%s; or set store.strict to false", p->findings[i].words);
    link_free(&l);
    arena_free(&a);
    return e;
}

/* ---- how safe what was written is ---- */

void durability_reach(struct link *l, const struct preflight_facts *facts,
                      const struct durability_args *args, struct arena *a, bool *out_reached)
{
    char replicas[24], wait[24];
    struct reply r = {0};
    err e = E_OK;
    snprintf(replicas, sizeof replicas, "%lld", (long long)args->replicas);
    snprintf(wait, sizeof wait, "%lld", (long long)args->wait_ms);
    *out_reached = args->wanted == DURABILITY_MEMORY ||
                   (args->wanted == DURABILITY_FSYNC && facts->sync == SYNC_ALWAYS);
    if (*out_reached)
        return;
    need(args->wait_ms > 0); /* 0 would be for ever */
    if (args->wanted == DURABILITY_REPLICATED)
        e = link_say(l, a, &r, NULL, "WAIT", replicas, wait, (char *)NULL);
    else if (facts->waits_for_file)
        e = link_say(l, a, &r, NULL, "WAITAOF", "1", "0", wait, (char *)NULL);
    else
        return;
    if (args->wanted == DURABILITY_REPLICATED)
        *out_reached = !e && r.kind == REPLY_NUMBER && r.number >= args->replicas;
    else
        *out_reached = !e && reply_number(&r, 0) >= 1;
}
