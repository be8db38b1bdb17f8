/* settings.h - every setting: THE table. A row gives section, name, type, default, range, help.
 *
 * The reader, `fulmar config init`, the man page and /v1/system/settings all come from the rows
 * (settings.c). The file is YAML: sections of `name: value`. A mistake reads
 *   fulmar.yaml:3:5: unknown setting 'listen_portt' in 'api'; did you mean 'listen_port'?
 * Durations are ms, sizes are bytes. Pure: no I/O. */
#pragma once

#include "base/yaml.h"

enum setting_type {
    SETTING_BOOL,
    SETTING_INT,
    SETTING_DURATION,
    SETTING_SIZE,
    SETTING_TEXT,
    SETTING_LIST,
    SETTING_ENUM
};

/*  X(section, name, type, default, min, max, "choices", "help") – default is text, as in the file */
#define SETTINGS_TABLE(X)                                                                                                                                                   \
    X(api, host, SETTING_TEXT, "127.0.0.1", 0, 0, "",                                                                                                                       \
      "address the HTTP API listens on; only loopback unless a reverse proxy guards it")                                                                                    \
    X(api, port, SETTING_INT, "8470", 0, 65535, "",                                                                                                                         \
      "TCP port of the HTTP API; 0 = any free one")                                                                                                                         \
    X(api, socket, SETTING_TEXT, "", 0, 0, "",                                                                                                                              \
      "Unix socket of the HTTP API; empty = STATE/fulmar.sock")                                                                                                             \
    X(api, body_max, SETTING_SIZE, "1MiB", 1024, 33554432, "", "largest request body")                                                                                      \
    X(api, header_timeout, SETTING_DURATION, "10s", 100, 120000, "",                                                                                                        \
      "a request's head must be whole by then")                                                                                                                             \
    X(api, request_timeout, SETTING_DURATION, "30s", 100, 600000, "",                                                                                                       \
      "a request's body must be whole by then, an answer sent")                                                                                                             \
    X(api, connections_max, SETTING_INT, "8192", 16, 65536, "", "connections at once")                                                                                      \
    X(store, path, SETTING_TEXT, "", 0, 0, "",                                                                                                                              \
      "state directory; empty = the user's state directory")                                                                                                                \
    X(store, queue, SETTING_TEXT, "", 0, 0, "",                                                                                                                             \
      "Redis in which several machines share their queue: redis://[:PASSWORD@]HOST[:PORT][/DATABASE], unix:///PATH, sentinel://HOST,HOST/NAME; empty = the embedded store") \
    X(store, archive, SETTING_TEXT, "", 0, 0, "",                                                                                                                           \
      "PostgreSQL that keeps their records: postgresql://USER@HOST/DATABASE; goes with store.queue")                                                                        \
    X(store, name, SETTING_TEXT, "fulmar", 0, 0, "",                                                                                                                        \
      "name of the store that they share: several may be in one Redis")                                                                                                     \
    X(store, node, SETTING_TEXT, "", 0, 0, "",                                                                                                                              \
      "name of this machine there, the same after a restart, no two alike; empty = the name of the host")                                                                   \
    X(store, durability, SETTING_ENUM, "memory", 0, 0, "memory replicated fsync",                                                                                           \
      "how safe a job is there before its acceptance is answered: in the Redis, also in its replicas, on its disk")                                                         \
    X(store, replicas, SETTING_INT, "1", 1, 16, "",                                                                                                                         \
      "of store.durability replicated: so many replicas")                                                                                                                   \
    X(store, durability_wait, SETTING_DURATION, "1s", 1, 4000, "",                                                                                                          \
      "an acceptance waits for its durability so long; then it is answered as unconfirmed")                                                                                 \
    X(store, strict, SETTING_BOOL, "true", 0, 0, "",                                                                                                                        \
      "refuse a Redis that is set up so that it may lose what it was given")                                                                                                \
    X(store, spool, SETTING_ENUM, "off", 0, 0, "off away",                                                                                                                  \
      "of several machines, away: while the Redis is away jobs are taken onto this machine's disk, and handed over later; off: they are refused")                           \
    X(store, spool_max, SETTING_INT, "10000", 1, 1000000, "",                                                                                                               \
      "jobs that may be there at once")                                                                                                                                     \
    X(store, ready_max, SETTING_INT, "100000", 1, 10000000, "",                                                                                                             \
      "jobs that may wait; above it the API answers 503")                                                                                                                   \
    X(store, disk_floor, SETTING_SIZE, "64MiB", 0, 1099511627776, "",                                                                                                       \
      "free bytes below which no job is accepted")                                                                                                                          \
    X(store, retention, SETTING_DURATION, "30d", 1000, 315360000000, "",                                                                                                    \
      "how long ended jobs and their posts stay")                                                                                                                           \
    X(store, retention_jobs, SETTING_INT, "1000000", 0, 100000000, "",                                                                                                      \
      "ended jobs kept at most, the oldest go first; 0 = any number")                                                                                                       \
    X(store, retention_bytes, SETTING_SIZE, "0", 0, 1099511627776, "",                                                                                                      \
      "bytes of their records kept at most, the oldest jobs go first; 0 = any number")                                                                                      \
    X(store, readers, SETTING_INT, "2", 0, 16, "",                                                                                                                          \
      "threads that read for the API beside the one that writes; 0 = that one reads too")                                                                                   \
    X(store, read_timeout, SETTING_DURATION, "2s", 10, 2000, "",                                                                                                            \
      "longest time that one answer may be read for; then it is cut off with 504")                                                                                          \
    X(store, field_retention, SETTING_DURATION, "14d", 3600000, 315360000000, "",                                                                                           \
      "how long it is known which path each field of a record came from")                                                                                                   \
    X(dead, retention, SETTING_DURATION, "90d", 1000, 315360000000, "",                                                                                                     \
      "how long dead jobs stay, to be looked at or done again")                                                                                                             \
    X(dead, retention_jobs, SETTING_INT, "100000", 0, 100000000, "",                                                                                                        \
      "dead jobs kept at most, the oldest go first; 0 = any number")                                                                                                        \
    X(evidence, keep, SETTING_ENUM, "on_failure", 0, 0, "never on_failure always",                                                                                          \
      "when the answers that a job read are kept; a job may ask for another")                                                                                               \
    X(evidence, age, SETTING_DURATION, "7d", 1000, 315360000000, "",                                                                                                        \
      "how long they stay, at most as long as their job")                                                                                                                   \
    X(evidence, bytes, SETTING_SIZE, "1GiB", 0, 1099511627776, "",                                                                                                          \
      "room on the disk for all of them; the oldest go first")                                                                                                              \
    X(evidence, job_bytes, SETTING_SIZE, "32MiB", 65536, 1073741824, "",                                                                                                    \
      "bytes that are kept of one job, uncompressed")                                                                                                                       \
    X(evidence, job_count, SETTING_INT, "200", 1, 500, "", "pieces that are kept of one job")                                                                               \
    X(worker, count, SETTING_INT, "4", 1, 256, "", "job processes, one job each")                                                                                           \
    X(worker, max_jobs, SETTING_INT, "50", 1, 100000, "",                                                                                                                   \
      "jobs after which a worker is replaced")                                                                                                                              \
    X(worker, memory_max, SETTING_SIZE, "256MiB", 67108864, 4294967296, "",                                                                                                 \
      "address space of a worker for data")                                                                                                                                 \
    X(job, attempt_timeout, SETTING_DURATION, "5m", 1000, 86400000, "",                                                                                                     \
      "one attempt of a job ends by then")                                                                                                                                  \
    X(job, stall_timeout, SETTING_DURATION, "30s", 500, 3600000, "",                                                                                                        \
      "an attempt without progress ends by then")                                                                                                                           \
    X(job, navigate_timeout, SETTING_DURATION, "15s", 100, 600000, "",                                                                                                      \
      "a page has answered by then")                                                                                                                                        \
    X(job, batch_timeout, SETTING_DURATION, "15s", 100, 600000, "",                                                                                                         \
      "the next data has come by then")                                                                                                                                     \
    X(job, grace, SETTING_DURATION, "5s", 50, 600000, "",                                                                                                                   \
      "time a told worker has to stop by itself")                                                                                                                           \
    X(job, lease, SETTING_DURATION, "15s", 1000, 600000, "",                                                                                                                \
      "lease of a job; renewed every third of it")                                                                                                                          \
    X(job, memory_max, SETTING_SIZE, "450MiB", 67108864, 17179869184, "",                                                                                                   \
      "resident memory a job's page may use")                                                                                                                               \
    X(job, fail_max, SETTING_INT, "5", 1, 100, "", "failed attempts after which a job ends")                                                                                \
    X(job, crash_max, SETTING_INT, "2", 1, 100, "", "crashed attempts after which a job ends")                                                                              \
    X(job, throttle_max, SETTING_INT, "50", 1, 10000, "",                                                                                                                   \
      "throttled attempts after which a job ends")                                                                                                                          \
    X(job, retry_base, SETTING_DURATION, "2s", 1, 3600000, "",                                                                                                              \
      "first delay before a retry; doubles each time")                                                                                                                      \
    X(job, retry_cap, SETTING_DURATION, "5m", 1, 86400000, "", "longest delay before a retry")                                                                              \
    X(lane, max_active, SETTING_INT, "16", 1, 10000, "", "jobs of one lane at once")                                                                                        \
    X(lane, emit, SETTING_DURATION, "0ms", 0, 3600000, "",                                                                                                                  \
      "least time between two starts of a lane; 0 = no limit")                                                                                                              \
    X(lane, burst, SETTING_INT, "1", 1, 10000, "", "starts of a lane that may come at once")                                                                                \
    X(lane, retry_floor, SETTING_INT, "20", 0, 1000000, "",                                                                                                                 \
      "retries of one lane in ten minutes that are always let go on")                                                                                                       \
    X(lane, retry_share, SETTING_INT, "20", 0, 100, "",                                                                                                                     \
      "retries beyond that, in percent of the lane's starts in ten minutes")                                                                                                \
    X(queue, active_max, SETTING_INT, "0", 0, 1000000, "",                                                                                                                  \
      "jobs of all lanes at once; 0 = any number")                                                                                                                          \
    X(queue, lanes_max, SETTING_INT, "200000", 16, 200000, "",                                                                                                              \
      "lanes: of each tenant, site and class one")                                                                                                                          \
    X(queue, coalesce, SETTING_BOOL, "true", 0, 0, "",                                                                                                                      \
      "equal work at the same time is done once, unless an order says otherwise")                                                                                           \
    X(browser, binary, SETTING_TEXT, "", 0, 0, "",                                                                                                                          \
      "Chromium to run; empty = headless shell, else chromium")                                                                                                             \
    X(browser, count, SETTING_INT, "2", 1, 64, "", "browsers running at once")                                                                                              \
    X(browser, contexts_max, SETTING_INT, "8", 1, 64, "", "jobs in one browser at once")                                                                                    \
    X(browser, jobs_max, SETTING_INT, "200", 1, 100000, "",                                                                                                                 \
      "jobs after which a browser is replaced")                                                                                                                             \
    X(browser, age_max, SETTING_DURATION, "1h", 1000, 86400000, "",                                                                                                         \
      "age after which a browser is replaced")                                                                                                                              \
    X(browser, growth_max, SETTING_INT, "150", 100, 1000, "",                                                                                                               \
      "memory in percent of the value after its tenth job after which a browser is replaced")                                                                               \
    X(browser, probe_every, SETTING_DURATION, "10s", 100, 3600000, "",                                                                                                      \
      "time between two health probes")                                                                                                                                     \
    X(browser, probe_timeout, SETTING_DURATION, "5s", 100, 600000, "",                                                                                                      \
      "a health probe has answered by then")                                                                                                                                \
    X(browser, command_timeout, SETTING_DURATION, "5s", 50, 600000, "",                                                                                                     \
      "a DevTools command has answered by then")                                                                                                                            \
    X(browser, dispose_timeout, SETTING_DURATION, "3s", 50, 60000, "",                                                                                                      \
      "a context is disposed of by then")                                                                                                                                   \
    X(browser, start_timeout, SETTING_DURATION, "10s", 100, 600000, "",                                                                                                     \
      "a browser has answered by then")                                                                                                                                     \
    X(browser, body_max, SETTING_SIZE, "8MiB", 65536, 33554432, "",                                                                                                         \
      "largest answer of a page that is read")                                                                                                                              \
    X(browser, isolation, SETTING_ENUM, "required", 0, 0, "required landlock flags",                                                                                        \
      "least isolation: required = own network namespace; landlock; flags")                                                                                                 \
    X(fetch, contact, SETTING_TEXT, "", 0, 0, "",                                                                                                                           \
      "URL in the User-Agent of requests without a browser: who asks, and where to complain")                                                                               \
    X(fetch, timeout, SETTING_DURATION, "20s", 100, 600000, "",                                                                                                             \
      "an answer without a browser is whole by then")                                                                                                                       \
    X(fetch, interval, SETTING_DURATION, "2s", 0, 3600000, "",                                                                                                              \
      "least time between two requests without a browser to one host")                                                                                                      \
    X(fetch, body_max, SETTING_SIZE, "8MiB", 65536, 33554432, "",                                                                                                           \
      "largest answer without a browser, decoded")                                                                                                                          \
    X(webhook, timeout, SETTING_DURATION, "15s", 100, 120000, "",                                                                                                           \
      "a receiver's whole answer has come by then")                                                                                                                         \
    X(webhook, retry_base, SETTING_DURATION, "5s", 10, 60000, "",                                                                                                           \
      "before a delivery's second attempt; later ones wait 60, 360, 1440 … times as long")                                                                                  \
    X(media, file_bytes, SETTING_SIZE, "256MiB", 1024, 1099511627776, "",                                                                                                   \
      "largest media file that is fetched; the site pack may say less")                                                                                                     \
    X(media, job_bytes, SETTING_SIZE, "2GiB", 1024, 1099511627776, "",                                                                                                      \
      "media files of one job together")                                                                                                                                    \
    X(media, total_bytes, SETTING_SIZE, "20GiB", 0, 1125899906842624, "",                                                                                                   \
      "media files kept together; above it none is fetched")                                                                                                                \
    X(media, timeout, SETTING_DURATION, "2m", 1000, 3600000, "",                                                                                                            \
      "a media file is whole by then")                                                                                                                                      \
    X(media, interval, SETTING_DURATION, "500ms", 1, 3600000, "",                                                                                                           \
      "least time between two requests for media files to one host")                                                                                                        \
    X(egress, allow, SETTING_LIST, "", 0, 0, "",                                                                                                                            \
      "address:port that may be reached although private")                                                                                                                  \
    X(egress, only, SETTING_BOOL, "false", 0, 0, "", "reach only what `allow` lists")                                                                                       \
    X(egress, ports, SETTING_LIST, "80 443", 0, 0, "", "ports that may be reached")                                                                                         \
    X(egress, connect_timeout, SETTING_DURATION, "10s", 100, 120000, "",                                                                                                    \
      "an outbound connection stands by then")                                                                                                                              \
    X(egress, idle_timeout, SETTING_DURATION, "120s", 1000, 3600000, "",                                                                                                    \
      "a tunnel without a byte ends by then")                                                                                                                               \
    X(site, path, SETTING_TEXT, "", 0, 0, "",                                                                                                                               \
      "folder of the site packs; empty = beside the program")                                                                                                               \
    X(site, base_url, SETTING_LIST, "", 0, 0, "",                                                                                                                           \
      "NAME=URL: run a pack against another base URL")                                                                                                                      \
    X(site, reload, SETTING_DURATION, "2s", 0, 3600000, "",                                                                                                                 \
      "how often the folder is looked at for changed packs; a change must have rested as long; 0 = only on SIGHUP")                                                         \
    X(site, media_base, SETTING_LIST, "", 0, 0, "",                                                                                                                         \
      "NAME=URL: ask there for the media files of a pack, whatever host they name; for drills")                                                                             \
    X(site, instance, SETTING_LIST, "", 0, 0, "",                                                                                                                           \
      "NAME=URL: a server that a pack's sources may be read from, e.g. nitter=https://nitter.example")                                                                      \
    X(service, user, SETTING_TEXT, "", 0, 0, "",                                                                                                                            \
      "user to become when started as root; empty = fulmar, else nobody")                                                                                                   \
    X(service, grace, SETTING_DURATION, "5s", 100, 600000, "",                                                                                                              \
      "running jobs get this long at shutdown")                                                                                                                             \
    X(service, watchdog, SETTING_DURATION, "10s", 0, 3600000, "",                                                                                                           \
      "a process that shows no life for this long is killed and started again; at least 3s, 0 = never")                                                                     \
    X(log, level, SETTING_ENUM, "info", 0, 0, "debug info warn error", "lowest level written")                                                                              \
    X(log, format, SETTING_ENUM, "logfmt", 0, 0, "logfmt json", "form of the log lines")

#define SETTING_ID(section, name, type, def, min, max, choices, help) SET_##section##_##name,
enum setting_id { SETTINGS_TABLE(SETTING_ID) SETTINGS_COUNT };
#undef SETTING_ID

struct setting_row {
    const char *section, *name;
    enum setting_type type;
    const char *fallback;
    int64_t min, max;
    const char *choices, *help;
};
const struct setting_row *setting_row(enum setting_id id);

struct settings {
    struct {
        int64_t number; /* bool, int, ms, bytes, or index of the enum choice */
        /* as written; lists are separated by single spaces. Lives in the arena given */
        struct span text;
        bool given;
    } v[SETTINGS_COUNT];
};
void settings_default(struct settings *s);
/* E_CONFIG with file:line:column in the words. */
MUST_USE err settings_read(struct settings *s, struct arena *a, const char *file,
                           const struct ynode *root, struct fault *f);
/* One setting as "section.name=value" (command line, tests). */
MUST_USE err settings_set(struct settings *s, struct arena *a, struct span assignment,
                          struct fault *f);
/* A commented sample file with every setting at its default; with `s` its values and no comments. */
void settings_write(struct buf *out, const struct settings *s_or_null);

#define SETTING(s, section, name)   ((s)->v[SET_##section##_##name].number)
#define SETTING_S(s, section, name) ((s)->v[SET_##section##_##name].text)
