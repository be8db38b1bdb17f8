/* store.c - fulmar store move: works on stores that no service uses. */
#include "cli/inside.h"

#include "os/clock.h"
#include "os/files.h"
#include "os/random.h"
#include "os/sandbox.h"
#include "store/configured.h"
#include "store/mover.h"
#include "store/sqlite/spool.h"
#include "store/sqlite/transfer.h"
#include "store/transfer_shared.h"

#include <limits.h>
#include <pwd.h>
#include <unistd.h>

enum { SAY_EVERY_MS = 1000 };

struct side {
    const char *flag, *address;
    char name[TRANSFER_NAME]; /* empty: the address is none */
    struct transfer *store;
};
struct moving {
    struct cli *cli;
    struct store_limits limits;
    struct side from, to;
    enum mover_act act;
    mono said;
    struct mover_result result;
    char made[PATH_MAX]; /* the target's folder, when there is none before; empty: there is */
};

/* ---- which store ---- */

static bool is_embedded(const char *address)
{
    return span_starts(span_of(address), SPAN("sqlite:"));
}

/* The folder of an embedded store; of any other, this machine's. */
static err folder_of(struct moving *m, const char *address, char out[PATH_MAX], struct fault *f)
{
    static const struct span file = {"/fulmar.db", sizeof "/fulmar.db" - 1};
    struct span path =
        is_embedded(address) ? span_cut(span_of(address), 7, SIZE_MAX) : SPAN_NONE;
    if (!path.n)
        return config_state_dir(&m->cli->settings, out, f);
    if (span_ends(path, file))
        path.n -= file.n;
    span_copy(path, out, PATH_MAX);
    return E_OK;
}

static err open_embedded(struct moving *m, struct side *side, bool make, struct fault *f)
{
    char dir[PATH_MAX];
    err e = folder_of(m, side->address, dir, f);
    if (!e)
        e = transfer_sqlite_name(dir, side->name, f);
    return e ? e : transfer_sqlite(&side->store, dir, make, &m->limits, f);
}

/* What root writes the service could not read: it becomes whom the service does, or did. */
static err become_owner(struct moving *m, struct fault *f)
{
    char dir[PATH_MAX], name[CONFIG_USER_MAX];
    bool makes = is_embedded(m->cli->to) && !is_embedded(m->cli->from) && m->act == MOVER_MOVE;
    err e = folder_of(m, is_embedded(m->cli->from) ? m->cli->from : m->cli->to, dir, f);
    if (e || geteuid() != 0)
        return e;
    const struct passwd *user = getpwnam(config_user(&m->cli->settings, name));
    bool there = access(dir, F_OK) == 0;
    if (!there && is_embedded(m->cli->from) && is_embedded(m->cli->to)) {
        e = folder_of(m, m->cli->to, dir,
                      f); /* the source is gone: the target's owner is told */
        there = !e && access(dir, F_OK) == 0;
    }
    if (e)
        return e;
    if (!there && !makes)
        return E_OK;
    if (!there && !user)
        return fail(f, E_CONFIG, "there is no user '%s': create it or set service.user", name);
    if (!there)
        e = files_make_folder_of(dir, user->pw_uid, user->pw_gid, f);
    return e ? e : sandbox_become_owner(dir, f);
}

/* A move that is refused leaves no empty store where none was, nor its folder: one that is not begun has not written there. Whose
 * file it is the store itself knows, which has the lock; a folder with anything in it stays. */
static void note_folder(struct moving *m)
{
    if (m->act == MOVER_MOVE && is_embedded(m->cli->to) &&
        !folder_of(m, m->cli->to, m->made, NULL) && access(m->made, F_OK) == 0)
        m->made[0] = '\0';
}

static void close_both(struct moving *m, bool refused)
{
    bool back = refused && m->act == MOVER_MOVE && !m->result.id[0];
    if (m->from.store)
        m->from.store->ops->close(&m->from.store);
    if (m->to.store && back)
        transfer_sqlite_undo(m->to.store);
    if (m->to.store)
        m->to.store->ops->close(&m->to.store);
    if (back && m->made[0])
        (void)rmdir(m->made);
}

static struct transfer_shared_config config_of(struct moving *m, struct span queue,
                                               struct span archive)
{
    const struct settings *s = &m->cli->settings;
    struct arena *a = m->cli->arena;
    return (struct transfer_shared_config){.queue = arena_text(a, queue),
                                           .archive = arena_text(a, archive),
                                           .name = arena_text(a, SETTING_S(s, store, name)),
                                           .files_dir =
                                               arena_text(a, SETTING_S(s, store, files)),
                                           .insists = SETTING(s, store, strict) == 0};
}

static err open_pair(struct moving *m, struct side *side, struct span queue,
                     struct span archive, struct fault *f)
{
    struct transfer_shared_config config = config_of(m, queue, archive);
    err e = transfer_shared_name(&config, side->name, f);
    return e ? e : transfer_shared(&side->store, &config, &m->limits, f);
}

static err open_configured(struct moving *m, struct side *side, struct fault *f)
{
    const struct settings *s = &m->cli->settings;
    struct span queue = SETTING_S(s, store, queue), archive = SETTING_S(s, store, archive);
    if (!queue.n || !archive.n)
        return fail(f, E_CONFIG,
                    "shared is the store of store.queue and store.archive: set both, or name "
                    "another configuration with --config");
    return open_pair(m, side, queue, archive, f);
}

/* The addresses of Sentinels have commas of their own. */
static bool split_pair(struct span text, struct span *queue, struct span *archive)
{
    static const struct span schemes[] = {{",postgresql://", 14}, {",postgres://", 12}};
    for (size_t i = 0; i < 2; i++) {
        size_t at = span_find(text, schemes[i]);
        if (at == text.n)
            continue;
        *queue = span_cut(text, 0, at);
        *archive = span_cut(text, at + 1, text.n);
        return true;
    }
    return false;
}

static err check_address(const struct side *side, struct fault *f)
{
    struct span text = span_of(side->address), queue, archive;
    if (span_is(text, "shared") || is_embedded(side->address) ||
        split_pair(text, &queue, &archive))
        return E_OK;
    return fail(f, E_BAD_INPUT,
                "--%s is no store: sqlite:FOLDER, REDIS,POSTGRESQL (redis://queue:6379,"
                "postgresql://fulmar@archive/fulmar), or shared",
                side->flag);
}

static err open_store(struct moving *m, struct side *side, bool make, struct fault *f)
{
    struct span queue, archive;
    if (is_embedded(side->address))
        return open_embedded(m, side, make, f);
    return split_pair(span_of(side->address), &queue, &archive)
               ? open_pair(m, side, queue, archive, f)
               : open_configured(m, side, f);
}

/* ---- what this machine has beside the source ---- */

/* The spool is that of store.queue; of which, nobody knows when it is not set. */
static bool is_of_spool(struct moving *m)
{
    char name[TRANSFER_NAME];
    struct transfer_shared_config config =
        config_of(m, SETTING_S(&m->cli->settings, store, queue), SPAN_NONE);
    return !is_embedded(m->cli->from) &&
           (!config.queue[0] || transfer_shared_name(&config, name, NULL) ||
            strcmp(name, m->from.name) == 0);
}

static err check_aside(struct moving *m, const char *dir, int64_t aside, struct fault *f)
{
    if (!aside)
        return E_OK;
    if (!m->cli->leave_aside)
        return fail(f, E_CONFLICT,
                    "%.80s/spool.db holds %lld jobs that were set aside, since the Redis does "
                    "not take them (spool.aside in the log): order them again, then add "
                    "--leave-aside",
                    dir, (long long)aside);
    cli_note(m->cli, "%lld jobs that were set aside stay in %s/spool.db", (long long)aside,
             dir);
    return E_OK;
}

/* Jobs that this machine took while the Redis was away, and that only it has. */
static err check_spool(void *ctx, struct fault *f)
{
    struct moving *m = ctx;
    char dir[CONFIG_PATH_MAX];
    struct spool_view view = {0};
    if (!is_of_spool(m))
        return E_OK;
    err e = config_state_dir(&m->cli->settings, dir, f);
    if (!e)
        e = spool_peek(dir, &view, f);
    if (e || !view.waiting)
        return e ? e : check_aside(m, dir, view.aside, f);
    return fail(f, E_CONFLICT,
                "%.80s/spool.db holds %lld jobs that the Redis does not have yet: start the "
                "service of this machine once, with store.spool, so that it hands them over",
                dir, (long long)view.waiting);
}

/* ---- what is said ---- */

static void on_progress(void *ctx, const char *doing, enum moved_kind kind, int64_t rows)
{
    struct moving *m = ctx;
    mono now = clock_mono();
    if (now.ms - m->said.ms < SAY_EVERY_MS)
        return;
    m->said = now;
    cli_note(m->cli, "%s: %s, %lld", doing, moved_shapes[kind].words, (long long)rows);
}

static void print_kind(const struct mover_result *r, int kind)
{
    char from[MOVED_SUM_TEXT], to[MOVED_SUM_TEXT];
    const struct moved_sum *a = &r->from[kind], *b = &r->to[kind];
    printf("%-24s  %10lld  %16s", moved_shapes[kind].words, (long long)a->count,
           moved_sum_text(a, from));
    if (r->compared)
        printf("  %10lld  %16s%s", (long long)b->count, moved_sum_text(b, to),
               moved_same(a, b) ? "" : "  differs");
    if (r->refused[kind])
        printf("  %lld cannot be moved", (long long)r->refused[kind]);
    printf("\n");
}

static void print_table(const struct moving *m)
{
    const struct mover_result *r = &m->result;
    printf("%-24s  %10s  %16s", "", "source", "sum");
    if (r->compared)
        printf("  %10s  %16s", "target", "sum");
    printf("\n");
    for (int k = 0; k < MOVE_KINDS; k++)
        print_kind(r, k);
}

static void put_sum(struct json_w *w, const char *name, const struct moved_sum *sum)
{
    char text[MOVED_SUM_TEXT];
    json_key(w, name);
    json_open(w);
    json_kv_int(w, "count", sum->count);
    json_kv_cstr(w, "sum", moved_sum_text(sum, text));
    json_close(w);
}

static void print_json(struct moving *m)
{
    const struct mover_result *r = &m->result;
    struct buf text = BUF(64 * 1024);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "object", "store_move");
    json_kv_cstr(&w, "id", r->id[0] ? r->id : NULL);
    json_kv_cstr(&w, "from", m->from.name);
    json_kv_cstr(&w, "to", m->to.name);
    json_kv_bool(&w, "resumed", r->resumed);
    json_kv_bool(&w, "already", r->already);
    json_kv_bool(&w, "same", r->compared && r->same);
    json_key(&w, "kinds");
    json_open(&w);
    for (int k = 0; k < MOVE_KINDS; k++) {
        json_key(&w, moved_shapes[k].name);
        json_open(&w);
        put_sum(&w, "source", &r->from[k]);
        if (r->compared)
            put_sum(&w, "target", &r->to[k]);
        if (r->refused[k])
            json_kv_int(&w, "refused", r->refused[k]);
        json_close(&w);
    }
    json_close(&w);
    json_close(&w);
    cli_put(m->cli, buf_span(&text));
    buf_free(&text);
}

static bool has_rows(const struct mover_result *r)
{
    int64_t rows = 0;
    for (int k = 0; k < MOVE_KINDS; k++)
        rows += r->from[k].count + r->refused[k];
    return r->compared || rows;
}

static void say_running(const struct moving *m)
{
    if (m->result.running)
        cli_note(m->cli,
                 "%lld jobs count as running: they are given back, and go on at their "
                 "last page",
                 (long long)m->result.running);
}

/* A node goes on with no other store than it had: what moved here is one. Its own note of that goes, those of other machines are
 * named. */
static void forget_id(const struct moving *m)
{
    char dir[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX + 16];
    struct fault f = {0};
    if (config_state_dir(&m->cli->settings, dir, &f))
        return;
    snprintf(path, sizeof path, "%s/queue.id", dir);
    if (unlink(path) == 0)
        cli_note(m->cli, "%s is removed: this machine's service knew another store", path);
    cli_note(m->cli,
             "remove queue.id in store.path of every other machine that used a Redis before");
}

static void say_moved(const struct moving *m)
{
    cli_note(m->cli, "moved to %s; no service starts on %s any more", m->to.name, m->from.name);
    if (strcmp(m->to.address, "shared") == 0)
        forget_id(m);
}

static void say_end(const struct moving *m, err e)
{
    const struct mover_result *r = &m->result;
    const char *from = m->from.name, *to = m->to.name;
    if (r->already)
        cli_note(m->cli, "%s was moved to %s before; --verify compares them", from, to);
    else if (!e && m->act == MOVER_MOVE)
        say_moved(m);
    else if (!e && m->act == MOVER_VERIFY)
        cli_note(m->cli, "%s and %s hold the same", from, to);
    else if (!e && m->act == MOVER_LOOK && r->whole)
        cli_note(m->cli, "%s has all of it; the same move without --dry-run ends it", to);
    else if (!e && m->act == MOVER_LOOK)
        cli_note(m->cli, "all of it can be moved; nothing was");
    else if (!e && m->from.store)
        cli_note(m->cli, "given up; %s may be used again", from);
    else if (!e)
        cli_note(m->cli, "given up; what had arrived in %s is deleted", to);
}

/* ---- the verb ---- */

static int exit_of(err e)
{
    if (e == E_CONFLICT)
        return EXIT_CONFLICT;
    if (e == E_DENIED)
        return EXIT_NO_PERMISSION;
    return e == E_STORE || e == E_BAD_INPUT ? EXIT_DATA : cli_exit_of(e);
}

static int fail_with(const struct fault *f, err e)
{
    cli_say("%s", f->words);
    return exit_of(e);
}

/* It is somewhere else, or no more: what is used, or may not be touched, is there. */
static bool is_away(err e)
{
    return e == E_NOT_FOUND || e == E_STORE || e == E_BUSY || e == E_TIMEOUT || e == E_NET ||
           e == E_OS;
}

/* A move may be given up without one of its stores; whether, the mover says. */
static err open_side(struct moving *m, struct side *side, bool make, struct fault *f)
{
    err e = open_store(m, side, make, f);
    if (!e)
        span_copy(span_of(side->store->name), side->name, sizeof side->name);
    if (!is_away(e) || m->act != MOVER_ABANDON)
        return e;
    cli_note(m->cli, "%s", f->words);
    *f = (struct fault){0};
    return E_OK;
}

static err open_both(struct moving *m, struct fault *f)
{
    err e = check_address(&m->from, f);
    if (!e)
        e = check_address(&m->to, f);
    if (!e)
        e = become_owner(m, f);
    if (!e)
        e = open_side(m, &m->from, false, f);
    if (!e)
        e = open_side(m, &m->to, m->act == MOVER_MOVE, f);
    if (e == E_NOT_FOUND && m->act == MOVER_LOOK && m->from.store) {
        *f = (struct fault){0};
        return E_OK;
    }
    return e;
}

static int run(struct moving *m)
{
    struct fault f = {0};
    struct mover_config config = {.act = m->act,
                                  .from = m->from.store,
                                  .to = m->to.store,
                                  .from_name = m->from.name,
                                  .to_name = m->to.name,
                                  .gone = m->cli->gone,
                                  .now = clock_wall(),
                                  .check = check_spool,
                                  .progress = on_progress,
                                  .ctx = m};
    random_bytes(config.random, sizeof config.random);
    err e = mover_run(&config, &m->result, &f);
    if (m->cli->json)
        print_json(m);
    else if (has_rows(&m->result))
        print_table(m);
    say_running(m);
    struct span words = buf_span(&m->result.words), line;
    while (span_next(&words, '\n', &line))
        cli_say("%s", cli_printable(m->cli, line));
    say_end(m, e);
    buf_free(&m->result.words);
    return e ? fail_with(&f, e) : EXIT_DONE;
}

static bool read_act(const struct cli *c, enum mover_act *out)
{
    *out = c->dry_run   ? MOVER_LOOK
           : c->verify  ? MOVER_VERIFY
           : c->abandon ? MOVER_ABANDON
                        : MOVER_MOVE;
    return c->dry_run + c->verify + c->abandon <= 1 && (c->abandon || !c->gone);
}

int store_run(struct cli *c)
{
    struct fault f = {0};
    struct moving *m = arena_get(c->arena, sizeof *m); /* too large for a stack */
    m->cli = c;
    m->from.flag = "from";
    m->from.address = c->from;
    m->to.flag = "to";
    m->to.address = c->to;
    if (!c->from || !c->to)
        return cli_usage("store", "say --from and --to");
    if (!read_act(c, &m->act))
        return cli_usage("store",
                         "one of --dry-run, --verify and --abandon; --gone with --abandon");
    int code = cli_settings(c);
    if (code)
        return code;
    m->limits = configured_limits(&c->settings);
    note_folder(m);
    err e = open_both(m, &f);
    code = e ? fail_with(&f, e) : run(m);
    close_both(m, code != 0);
    return code;
}
