/* postgres.h - a PostgreSQL server of a test's own. Include it in the one file of a test
 * program.
 *
 * It lives in a folder of its own, listens on a socket in there and on no port, runs as an
 * unprivileged user when the test is root, and is ended by its pid. Durability is off unless
 * asked for. Where PostgreSQL is not installed postgres_start() gives NULL and says so. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct postgres {
    char bin[128], dir[64], data[128], url[256];
    bool durable;
    pid_t pid;
};

static inline void postgres_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static inline const struct passwd *postgres_user(void)
{
    const struct passwd *user = getpwnam("postgres");
    return user ? user : getpwnam("nobody");
}

/* Runs a program of PostgreSQL; its output goes to the server's log. */
static inline pid_t postgres_spawn(const struct postgres *p, const char *const *args)
{
    char path[200], log[128];
    snprintf(path, sizeof path, "%s/%s", p->bin, args[0]);
    snprintf(log, sizeof log, "%s/log", p->dir);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(fd, 1);
    dup2(fd, 2);
    const struct passwd *user = postgres_user();
    if (getuid() == 0 && user &&
        (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* also when the test is killed */
    if (chdir("/") == 0)
        execv(path, (char *const *)(uintptr_t)args);
    _exit(127);
}

static inline int postgres_wait(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static inline void postgres_hush(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

/* A connection as the owner of everything; NULL: the server does not answer. */
static inline PGconn *postgres_connect(const struct postgres *p)
{
    PGconn *conn = PQconnectdb(p->url);
    PQsetNoticeProcessor(conn, postgres_hush, NULL);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    PQfinish(conn);
    return NULL;
}

/* True: it went well; the first value of its answer is in *out. */
static inline bool postgres_say(PGconn *conn, const char *sql, char *out, size_t size)
{
    PGresult *r = PQexec(conn, sql);
    bool good = PQresultStatus(r) == PGRES_TUPLES_OK || PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!good)
        fprintf(stderr, "%s: %s", sql, PQresultErrorMessage(r));
    if (out)
        snprintf(out, size, "%s",
                 good && PQntuples(r) && PQnfields(r) ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    return good;
}

static inline bool postgres_ask(const struct postgres *p, const char *sql, char *out,
                                size_t size)
{
    PGconn *conn = postgres_connect(p);
    bool good = conn && postgres_say(conn, sql, out, size);
    PQfinish(conn);
    return good;
}

static inline bool postgres_do(const struct postgres *p, const char *sql)
{
    return postgres_ask(p, sql, NULL, 0);
}

static inline long long postgres_number(const struct postgres *p, const char *sql)
{
    char text[64] = "";
    return postgres_ask(p, sql, text, sizeof text) && text[0] ? atoll(text) : -1;
}

/* Starts the server of this folder and waits until it answers. */
static inline bool postgres_run(struct postgres *p)
{
    char socket_option[128];
    snprintf(socket_option, sizeof socket_option, "unix_socket_directories=%s", p->dir);
    const char *args[] = {"postgres",
                          "-D",
                          p->data,
                          "-c",
                          "listen_addresses=",
                          "-c",
                          socket_option,
                          "-c",
                          p->durable ? "fsync=on" : "fsync=off",
                          "-c",
                          "max_connections=30",
                          "-c",
                          "shared_buffers=32MB",
                          "-c",
                          "deadlock_timeout=50ms",
                          "-c",
                          p->durable ? "full_page_writes=on" : "full_page_writes=off",
                          NULL};
    p->pid = postgres_spawn(p, args);
    for (int i = 0; i < 6000; i++) {
        if (postgres_do(p, "SELECT 1"))
            return true;
        if (waitpid(p->pid, NULL, WNOHANG) == p->pid)
            break;
        postgres_pause();
    }
    fprintf(stderr, "the server did not start; see %s/log\n", p->dir);
    return false;
}

/* how: SIGTERM waits for clients, SIGINT cuts them, SIGQUIT is a crash. */
static inline void postgres_end(struct postgres *p, int how)
{
    if (p->pid <= 0)
        return;
    kill(p->pid, SIGCONT);
    kill(p->pid, how);
    postgres_wait(p->pid);
    p->pid = 0;
}

static inline int postgres_remove_entry(const char *path, const struct stat *st, int type,
                                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void postgres_stop(struct postgres **p)
{
    if (!*p)
        return;
    postgres_end(*p, SIGINT);
    nftw((*p)->dir, postgres_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*p);
    *p = NULL;
}

static inline bool postgres_find(struct postgres *p)
{
    glob_t found = {0};
    bool there = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0;
    if (there)
        snprintf(p->bin, sizeof p->bin, "%.*s",
                 (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
                 found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return there;
}

/* under: the folder that its own is made in; NULL: in memory, where there is room. */
static inline struct postgres *postgres_start(const char *under, bool durable)
{
    struct postgres *p = calloc(1, sizeof *p);
    const struct passwd *user = postgres_user();
    if (!postgres_find(p)) {
        printf("SKIP: PostgreSQL is not installed; make setup\n");
        free(p);
        return NULL;
    }
    snprintf(p->dir, sizeof p->dir, "%s/fulmar-pg-XXXXXX",
             under                           ? under
             : access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                             : "/tmp");
    if (!mkdtemp(p->dir)) {
        free(p);
        return NULL;
    }
    if (getuid() == 0 && user && chown(p->dir, user->pw_uid, user->pw_gid))
        perror("chown");
    p->durable = durable;
    snprintf(p->data, sizeof p->data, "%s/data", p->dir);
    snprintf(p->url, sizeof p->url, "postgresql://fulmar@/postgres?host=%s", p->dir);
    const char *args[] = {"initdb", "-D",         p->data,     "-U",
                          "fulmar", "-A",         "trust",     "-E",
                          "UTF8",   "--locale=C", "--no-sync", "--no-instructions",
                          NULL};
    if (postgres_wait(postgres_spawn(p, args)) != 0 || !postgres_run(p)) {
        fprintf(stderr, "initdb or the server failed; see %s/log\n", p->dir);
        postgres_end(p, SIGQUIT);
        abort();
    }
    return p;
}

/* Removes everything of an archive. */
static inline void postgres_clear(const struct postgres *p)
{
    if (!postgres_do(p, "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"))
        abort();
}

/* One for all tests of a program, as its group's set-up and tear-down; NULL: there is none on this machine. */
static inline struct postgres **postgres_group(void)
{
    static struct postgres *one;
    return &one;
}

static inline struct postgres *postgres_of_group(void)
{
    return *postgres_group();
}

static inline int postgres_group_start(void **state)
{
    (void)state;
    *postgres_group() = postgres_start(NULL, false);
    return 0;
}

static inline int postgres_group_stop(void **state)
{
    (void)state;
    postgres_stop(postgres_group());
    return 0;
}
