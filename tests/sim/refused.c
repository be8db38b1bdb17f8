/* refused.c - what is refused changes nothing: not a row of the file, whoever asks for it and however late, and nothing of what the store
 * says that it has to do. What takes its rows back by itself, as a batch does of which one job is refused, is looked at by what it
 * says alone: SQLite counts those rows as written. */
#include "look.h"

#include <inttypes.h>
#include <sqlite3.h>

/* The connection that writes: each store has one, and opens it anew after a loss of power. */
static sqlite3 *writer;

static int on_open(sqlite3 *db, const char **words, const void *routines)
{
    (void)words;
    (void)routines;
    if (sqlite3_db_readonly(db, "main") == 0)
        writer = db;
    return SQLITE_OK;
}

void refused_watch(void)
{
    sqlite3_auto_extension((void (*)(void))on_open);
}

static struct outlook outlook_of(struct watch *w, int64_t now)
{
    struct outlook o;
    struct fault f = {0};
    if (store_outlook(w->s, (wall){now}, &o, &f))
        broken(w, "no outlook: %s", f.words);
    return o;
}

void watch_note(struct watch *w, int64_t now)
{
    w->noted = (struct watch_noted){sqlite3_total_changes64(writer), outlook_of(w, now)};
}

void watch_refused(struct watch *w, const char *call, bool takes_back, err e, int64_t now)
{
    struct outlook is = outlook_of(w, now);
    int64_t written = takes_back ? 0 : sqlite3_total_changes64(writer) - w->noted.changes;
    if (e == E_OK || e == E_END) /* nothing to do is no refusal */
        return;
    if (written)
        broken(w, "%s was refused (%s), and %" PRId64 " rows were written", call, err_text(e),
               written);
    for (int i = 0; i < JOB_STATES; i++)
        if (is.by_state[i] != w->noted.outlook.by_state[i])
            broken(w, "%s was refused (%s), and other jobs are %s than before", call,
                   err_text(e), job_state_name((enum job_state)i));
    if (is.startable != w->noted.outlook.startable || is.next_ms != w->noted.outlook.next_ms)
        broken(w, "%s was refused (%s), and something else is due than before", call,
               err_text(e));
    w->sights[SIGHT_unchanged]++;
}
