/* backup.c - fulmar backup: works on the files of the store, with or without a service. */
#include "cli/inside.h"

#include "base/when.h"
#include "store/backup.h"

static int exit_of(err e)
{
    if (e == E_CONFLICT)
        return EXIT_CONFLICT;
    return e == E_STORE ? EXIT_DATA : cli_exit_of(e);
}

static void print_json(struct cli *c, const char *file, const struct backup_view *v)
{
    char last[WHEN_TEXT];
    struct buf text = BUF(8192);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "object", "backup");
    json_kv_cstr(&w, "file", file);
    json_kv_int(&w, "bytes", v->bytes);
    json_kv_int(&w, "jobs", v->jobs);
    json_kv_int(&w, "live", v->live);
    json_kv_int(&w, "epoch", v->epoch);
    json_kv_cstr(&w, "last_event_at", v->last_ms ? when_text((wall){v->last_ms}, last) : NULL);
    json_close(&w);
    cli_put(c, buf_span(&text));
    buf_free(&text);
}

static void print_words(const char *what, const char *file, const struct backup_view *v)
{
    char last[WHEN_TEXT];
    printf("%s %s: %lld jobs, %lld of them have not ended, %lld bytes", what, file,
           (long long)v->jobs, (long long)v->live, (long long)v->bytes);
    if (v->last_ms)
        printf(", last event at %s", when_text((wall){v->last_ms}, last));
    printf("\n");
}

static const struct {
    const char *name, *done;
} acts[] = {{"create", "backup"}, {"verify", "sound:"}, {"restore", "restored from"}};
enum { CREATE, VERIFY, RESTORE, ACTS };

static int act_of(const char *word)
{
    for (int i = 0; i < ACTS; i++) {
        if (strcmp(word, acts[i].name) == 0)
            return i;
    }
    return ACTS;
}

static err run(int act, const char *state_dir, const char *file, struct backup_view *v,
               struct fault *f)
{
    if (act == CREATE)
        return store_backup_make(state_dir, file, v, f);
    if (act == VERIFY)
        return store_backup_check(file, v, f);
    return store_backup_restore(state_dir, file, v, f);
}

int backup_run(struct cli *c)
{
    char state_dir[CONFIG_PATH_MAX] = "";
    struct backup_view v;
    struct fault f = {0};
    int act = c->word_count == 3 ? act_of(c->words[1]) : ACTS;
    if (act == ACTS)
        return cli_usage("backup", "say create, verify or restore, and a FILE");
    int code = act == VERIFY ? 0 : cli_settings(c);
    if (code)
        return code;
    err e = act == VERIFY ? E_OK : config_state_dir(&c->settings, state_dir, &f);
    if (!e)
        e = run(act, state_dir, c->words[2], &v, &f);
    if (e) {
        cli_say("%s", f.words);
        return exit_of(e);
    }
    if (c->json)
        print_json(c, c->words[2], &v);
    else
        print_words(acts[act].done, c->words[2], &v);
    return EXIT_DONE;
}
