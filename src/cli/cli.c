#include "cli/cli.h"

#include "cli/inside.h"

#include "base/text.h"
#include "base/when.h"

#include <signal.h>
#include <unistd.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

enum {
    IN_GET = 1,
    IN_JOBS = 2,
    IN_DOCTOR = 4,
    IN_CONFIG = 8,
    IN_VERSION = 16,
    IN_SERVE = 32,
    IN_SITE = 64,
    IN_ARTIFACTS = 128,
    IN_REPLAY = 256,
    IN_SCHEDULES = 512,
    IN_CREATE = 1024, /* jobs create: an order like that of get */
    IN_QUEUES = 2048,
    IN_LIMITS = 4096,
    IN_BREAKERS = 8192,
    IN_MODE = 16384,
    IN_SESSIONS = 32768,
    IN_BATCHES = 65536,
    IN_DEAD = 131072,
    IN_OPERATIONS = 262144,
    IN_WEBHOOKS = 524288,
    IN_BACKUP = 1 << 24,
    IN_MANY = IN_BATCHES | IN_DEAD | IN_OPERATIONS,
    IN_ORDER = IN_GET | IN_CREATE,
    IN_WISH = IN_ORDER | IN_SCHEDULES | IN_BATCHES, /* what a job is to collect */
    IN_CONTROL = IN_QUEUES | IN_LIMITS | IN_BREAKERS | IN_MODE,
    IN_SERVED = IN_GET | IN_CREATE | IN_JOBS | IN_ARTIFACTS | IN_REPLAY | IN_SCHEDULES |
                IN_SESSIONS | IN_CONTROL | IN_MANY | IN_WEBHOOKS,
    /* everything but the service itself */
    IN_CLIENT = IN_SERVED | IN_DOCTOR | IN_CONFIG | IN_VERSION | IN_SITE | IN_BACKUP,
    IN_ALL = IN_CLIENT | IN_SERVE,
};

/* ---- the tables ---- */

/* clang-format off */
static const struct flag {
    const char *name;
    char letter;       /* 0 = none */
    const char *value; /* what it takes, for the help; NULL = nothing */
    size_t at;         /* in struct cli */
    int verbs;
    const char *help;
} flags[] = {
    {"limit", 'n', "N", offsetof(struct cli, limit), IN_WISH | IN_JOBS | IN_DEAD | IN_OPERATIONS | IN_WEBHOOKS, "get, schedules create, batches create: records wanted, 1-100000, else all; of lists: rows, else 20"},
    {"since", 0, "DATE", offsetof(struct cli, since), IN_WISH | IN_DEAD, "no posts older than this: 2026-02-06 or 2026-02-06T12:00:00Z; dead: jobs that died since then"},
    {"until", 0, "DATE", offsetof(struct cli, until), IN_WISH | IN_DEAD, "no posts newer than this; dead: jobs that died before"},
    {"product", 0, "NAME", offsetof(struct cli, product), IN_WISH, "of a search or hashtag: latest (default), top, people, media"},
    {"depth", 0, "N", offsetof(struct cli, depth), IN_WISH, "of a thread: replies at most N steps below the post; 0 none; else all"},
    {"priority", 0, "0-9", offsetof(struct cli, priority), IN_WISH, "9 before the others of its queue, 5 normal, 0 after them; waiting makes up for it"},
    {"since-last", 0, NULL, offsetof(struct cli, since_last), IN_WISH, "only posts that earlier jobs of the same target have not brought"},
    {"include", 0, "KINDS", offsetof(struct cli, include), IN_WISH, "bring in posts of kinds that the list leaves out: replies,reposts,quotes"},
    {"exclude", 0, "KINDS", offsetof(struct cli, exclude), IN_WISH, "leave out posts of these kinds: replies,reposts,quotes"},
    {"fields", 0, "NAMES", offsetof(struct cli, fields), IN_WISH, "only these of each record: id,text,counts.like"},
    {"site", 0, "NAME", offsetof(struct cli, site), IN_WISH | IN_REPLAY | IN_JOBS | IN_QUEUES | IN_LIMITS | IN_SESSIONS | IN_DEAD, "site pack to use, default x; replay: or the folder of one, default that of the job; jobs cancel, queues list: only of this site"},
    {"evidence", 0, "WHEN", offsetof(struct cli, evidence), IN_WISH, "what is read is kept: never, on_failure or always; else as configured"},
    {"cron", 0, "FIELDS", offsetof(struct cli, cron), IN_SCHEDULES, "minute hour day month weekday: '30 2 * * *'; or @daily and the like"},
    {"timezone", 0, "NAME", offsetof(struct cli, timezone), IN_SCHEDULES, "of --cron: Europe/Berlin; default UTC"},
    {"adaptive", 0, "LEAST,MOST", offsetof(struct cli, adaptive), IN_SCHEDULES, "5m,1d: as often as there is something new; needs --since-last"},
    {"wanted", 0, "N", offsetof(struct cli, wanted), IN_SCHEDULES, "of --adaptive: new posts that a run should find; default 20"},
    {"jitter", 0, "DURATION", offsetof(struct cli, jitter), IN_SCHEDULES, "each schedule is late by its own share of it"},
    {"start", 0, "DATE", offsetof(struct cli, start), IN_SCHEDULES, "no run before this"},
    {"end", 0, "DATE", offsetof(struct cli, end), IN_SCHEDULES, "no run after this"},
    {"overlap", 0, "POLICY", offsetof(struct cli, overlap), IN_SCHEDULES, "while a run is alive: skip (default), queue_one, cancel_running, allow"},
    {"missed", 0, "POLICY", offsetof(struct cli, missed), IN_SCHEDULES, "runs that were due while the service was down: once (default), skip, catch_up"},
    {"catch-up", 0, "DURATION", offsetof(struct cli, catch_up), IN_SCHEDULES, "of --missed catch_up: how far back; default 1d"},
    {"catch-up-max", 0, "N", offsetof(struct cli, catch_up_max), IN_SCHEDULES, "of --missed catch_up: how many; 1-100"},
    {"from", 0, "DATE", offsetof(struct cli, from), IN_SCHEDULES | IN_SESSIONS | IN_WEBHOOKS, "of backfill, preview and replay: from when on; of sessions: the file with the cookies, else standard input"},
    {"to", 0, "DATE", offsetof(struct cli, to), IN_SCHEDULES, "of backfill: until when; default now"},
    {"pool", 0, "NAME", offsetof(struct cli, pool), IN_WISH | IN_SESSIONS, "with a login of this pool of sessions; sessions: the pool, default \"default\""},
    {"failed", 0, NULL, offsetof(struct cli, failed), IN_REPLAY, "all dead jobs of --class"},
    {"class", 0, "CLASS", offsetof(struct cli, class), IN_WISH | IN_REPLAY | IN_LIMITS | IN_DEAD, "get: interactive, normal (default) or bulk: how urgent; replay --failed: how they ended, default drift"},
    {"tenant", 0, "NAME", offsetof(struct cli, tenant), IN_WISH | IN_QUEUES | IN_LIMITS, "for whom the job is; tenants share the service fairly; else default"},
    {"not-before", 0, "DATE", offsetof(struct cli, not_before), IN_WISH, "it starts then at the earliest: 2026-02-06T12:00:00Z"},
    {"expires", 0, "TIME", offsetof(struct cli, expires), IN_WISH, "a job that has not started by then ends as expired: 30s, 5m, 2h, 7d"},
    {"deadline", 0, "TIME", offsetof(struct cli, deadline), IN_WISH, "nobody wants it after that: it is not tried again"},
    {"attempt-timeout", 0, "TIME", offsetof(struct cli, attempt_timeout), IN_WISH, "one attempt ends by then; else job.attempt_timeout"},
    {"idle-timeout", 0, "TIME", offsetof(struct cli, idle_timeout), IN_WISH, "an attempt without progress ends by then; else job.stall_timeout"},
    {"unique", 0, "KEY", offsetof(struct cli, unique), IN_WISH, "at most one job with this key at a time"},
    {"on-conflict", 0, "WHAT", offsetof(struct cli, on_conflict), IN_WISH, "when there is one: return_existing (default), reject, replace, run_after_active"},
    {"max-age", 0, "TIME", offsetof(struct cli, max_age), IN_WISH, "a result of the same order that is not older will do"},
    {"stale-if-error", 0, "TIME", offsetof(struct cli, stale_if_error), IN_WISH, "likewise while the site cannot be read"},
    {"coalesce", 0, "yes|no", offsetof(struct cli, coalesce), IN_WISH, "equal orders at the same time are done once; else queue.coalesce"},
    {"force", 0, NULL, offsetof(struct cli, force), IN_JOBS, "cancel: at once, whatever its worker does; nothing of it counts any more"},
    {"grace", 0, "TIME", offsetof(struct cli, grace), IN_JOBS | IN_SCHEDULES, "jobs cancel: time a running job has to stop by itself; schedules: a run so late is not missed; both 60s unless given"},
    {"reason", 0, "TEXT", offsetof(struct cli, reason), IN_JOBS | IN_SCHEDULES | IN_SESSIONS | IN_CONTROL, "why, for whoever finds it so"},
    {"by", 0, "NAME", offsetof(struct cli, by), IN_CONTROL, "who says so; else the name of the user"},
    {"dry-run", 0, NULL, offsetof(struct cli, dry_run), IN_JOBS | IN_QUEUES | IN_SCHEDULES | IN_DEAD | IN_BATCHES, "say what would be done, and do nothing"},
    {"yes", 'y', NULL, offsetof(struct cli, yes), IN_JOBS | IN_QUEUES | IN_DEAD, "cancel, purge, delete: do not ask"},
    {"troubled", 0, NULL, offsetof(struct cli, troubled), IN_QUEUES, "list: only those that something holds up"},
    {"weight", 0, "N", offsetof(struct cli, weight), IN_QUEUES | IN_LIMITS, "set: its share among the others, 1-10000; queues: or default"},
    {"max-running", 0, "N", offsetof(struct cli, max_running), IN_QUEUES | IN_LIMITS, "set: jobs at once; queues: or default; limits: 0 is any number"},
    {"every", 0, "TIME", offsetof(struct cli, every), IN_QUEUES | IN_LIMITS | IN_SCHEDULES | IN_SESSIONS, "sessions add: its own rate, one job in so many seconds; schedules: 30s, 15m, 2h, 7d of elapsed time; queues, limits set: least time between two starts, 0s is no limit; queues: or default"},
    {"burst", 0, "N", offsetof(struct cli, burst), IN_QUEUES | IN_LIMITS | IN_SESSIONS, "set: starts that may come at once; queues: or default"},
    {"ttl", 0, "TIME", offsetof(struct cli, ttl), IN_BREAKERS | IN_WEBHOOKS, "open, close: for how long, at most 1d; else 10m; webhooks rotate: how long the old secret signs as well, else 1d"},
    {"apply", 0, NULL, offsetof(struct cli, apply), IN_REPLAY, "keep what is read now as the job's result"},
    {"warc", 0, "FILE", offsetof(struct cli, warc), IN_ARTIFACTS, "write them as a WARC 1.1 file; compressed when it ends with .gz"},
    {"strategy", 0, "NAME", offsetof(struct cli, strategy), IN_WISH, "only this way of reading the site: capture, dom or fetch"},
    {"json", 0, NULL, offsetof(struct cli, json), IN_SERVED | IN_DOCTOR | IN_VERSION | IN_SITE | IN_BACKUP, "JSON; for records one a line"},
    {"csv", 0, NULL, offsetof(struct cli, csv), IN_GET, "CSV with a header line"},
    {"out", 'o', "FILE", offsetof(struct cli, out), IN_GET | IN_ARTIFACTS, "get: write the records there, all or nothing, - is standard output; with --media download a folder; artifacts: a folder"},
    {"media", 0, "WHAT", offsetof(struct cli, media), IN_WISH, "urls: of media in the records (default); download: their files as well"},
    {"state", 0, "STATE", offsetof(struct cli, state), IN_JOBS | IN_BATCHES | IN_WEBHOOKS, "webhooks deliveries: only pending, delivered or dead ones; else only jobs that are blocked, scheduled, ready, active, succeeded, dead, cancelled or expired"},
    {"hours", 0, "N", offsetof(struct cli, hours), IN_SITE, "fields only: the last hours that are looked at, 1-744; default 24"},
    {"targets", 0, "FILE", offsetof(struct cli, targets), IN_BATCHES, "create: one target a line; - is standard input"},
    {"name", 0, "TEXT", offsetof(struct cli, name), IN_BATCHES | IN_WEBHOOKS, "create: what the batch is called; webhooks add, set: what it is for"},
    {"open", 0, NULL, offsetof(struct cli, open), IN_BATCHES, "create: leave it open; it takes more jobs until it is sealed"},
    {"partial", 0, NULL, offsetof(struct cli, partial), IN_BATCHES, "create: leave out and name what cannot be accepted; else nothing is made then"},
    {"stop-after", 0, "N", offsetof(struct cli, stop_after), IN_BATCHES, "create: so many failed jobs cancel what has not ended; 1-1000"},
    {"parallel", 0, "N", offsetof(struct cli, parallel), IN_BATCHES, "create: so many of its jobs run at once, 1-1000; else as its queue allows"},
    {"on-complete", 0, "JOB", offsetof(struct cli, on_complete), IN_BATCHES, "create: a job when all have ended, once: 'profile @nasa'"},
    {"on-success", 0, "JOB", offsetof(struct cli, on_success), IN_BATCHES, "create: a job when all have succeeded, once"},
    {"key", 0, "KEY", offsetof(struct cli, key), IN_BATCHES, "create: asked for again with the same key it is the same batch"},
    {"kind", 0, "KIND", offsetof(struct cli, kind), IN_DEAD, "only jobs of this kind: posts, search, ..."},
    {"fingerprint", 0, "PRINT", offsetof(struct cli, fingerprint), IN_DEAD, "only this group, as dead list shows it"},
    {"all", 0, NULL, offsetof(struct cli, all), IN_DEAD | IN_BATCHES, "dead retry, delete: all dead jobs; batches posts, users: also what another job of it has brought"},
    {"per-minute", 0, "N", offsetof(struct cli, per_minute), IN_DEAD | IN_BATCHES, "retry, retry-failed: at most so many jobs a minute, 1-6000"},
    {"reset", 0, NULL, offsetof(struct cli, reset), IN_DEAD | IN_BATCHES | IN_JOBS, "retry, retry-failed: read from the beginning of the list again; else it goes on where it was"},
    {"types", 0, "NAMES", offsetof(struct cli, types), IN_WEBHOOKS, "add, set: the events it is told of: job.finished,batch.*; else what ends jobs and batches"},
    {"url", 0, "URL", offsetof(struct cli, url), IN_WEBHOOKS, "set: where it is from now on"},
    {"secret", 0, "FILE", offsetof(struct cli, secret), IN_WEBHOOKS, "add, rotate, verify: the file with the secret, - is standard input; else one is made"},
    {"server", 0, "ADDRESS", offsetof(struct cli, server), IN_SERVED | IN_SITE, "unix:/path or http://host:port; else $FULMAR_SERVER, else the local socket"},
    {"config", 0, "FILE", offsetof(struct cli, config), IN_ALL, "configuration; else ~/.config/fulmar/fulmar.yaml or /etc/fulmar/fulmar.yaml"},
    {"accept", 0, NULL, offsetof(struct cli, accept), IN_SITE, "test only: what the pack reads now becomes what is expected"},
    {"set", 0, "NAME=VALUE", offsetof(struct cli, set), IN_SERVE, "a setting such as api.port=8471; wins over the file; may come again"},
    {"quiet", 'q', NULL, offsetof(struct cli, quiet), IN_CLIENT, "say nothing but errors"},
    {"help", 'h', NULL, offsetof(struct cli, help), IN_ALL, "this"},
};
enum { FLAGS = sizeof flags / sizeof flags[0] };

/* The service has its own process and its own reading of the call; only its help is here. */
static int serve_run(struct cli *c)
{
    (void)c;
    return cli_usage("serve", "serve comes first: fulmar serve --config FILE");
}

static const struct verb {
    const char *name;
    int bit;
    int (*run)(struct cli *c);
    const char *usage; /* lines */
    const char *what;
    const char *more;  /* lines, in the help of the verb alone; NULL = nothing */
} verbs[] = {
    {"get", IN_GET, get_run,
     "fulmar get posts @nasa --limit 200\n"
     "fulmar get hashtag '#opendata' --since 2026-02-01 --csv --out opendata.csv\n"
     "fulmar get search 'heat pump lang:en' -n 50 --json\n"
     "fulmar get posts @nasa --exclude replies,reposts --fields created_at,text,counts.like --csv\n"
     "fulmar get search 'heat pump' --product people --limit 100\n"
     "fulmar get thread https://x.com/nasa/status/1800000000000000000 --depth 1\n"
     "fulmar get followers @nasa --csv --out followers.csv\n"
     "fulmar get posts @nasa --limit 50 --media download --out nasa/\n",
     "collect posts or users; starts a service for itself when none is running",
     "Records go to standard output: a table on a terminal, else JSON, one record a line.\n"
     "Progress and the verdict go to standard error; the exit status says how it ended.\n"
     "A file given with --out gets its name when the job has ended; a device or a pipe is\n"
     "written as records come. Ctrl-C stops following; the job of a running service goes on.\n"
     "--media download --out FOLDER/ writes FOLDER/posts.ndjson and FOLDER/media/POST-1.jpg.\n"},
    {"jobs", IN_JOBS, jobs_run,
     "fulmar jobs create posts @nasa --limit 200 --class bulk --not-before 2026-02-07\n"
     "fulmar jobs list [--state active] [--limit 20]\n"
     "fulmar jobs show JOB\n"
     "fulmar jobs cancel JOB... [--force] [--reason TEXT]\n"
     "fulmar jobs cancel --state ready [--site x] [--dry-run]\n"
     "fulmar jobs retry JOB [--reset]\n"
     "fulmar jobs log JOB\n"
     "fulmar jobs rejected JOB\n"
     "fulmar jobs conflicts JOB\n",
     "submit jobs to a running service, look at them, and stop them",
     "Without an action it lists. JOB is the id that get and jobs list print: job_...\n"
     "create submits what get would, with the same flags, prints the id and does not wait.\n"
     "cancel: a waiting job ends at once, a running one stops by itself within --grace; with --force it is\n"
     "over at once, and what its worker still brings does not count. With --state or --site all such jobs\n"
     "that have not ended, at most 1000: look first with --dry-run; it asks, or wants --yes.\n"
     "rejected: records that failed a check and are no results, with their source and the reason.\n"
     "conflicts: fields on which two readings of one record disagree.\n"},
    {"queues", IN_QUEUES, queues_run,
     "fulmar queues list [--tenant NAME] [--site x] [--troubled]\n"
     "fulmar queues show default/x/normal\n"
     "fulmar queues set press/x/bulk --max-running 2 --every 5s --weight default\n"
     "fulmar queues pause default/x/normal --reason 'the site is down'\n"
     "fulmar queues resume default/x/normal\n"
     "fulmar queues close|open|unblock QUEUE [--reason TEXT]\n"
     "fulmar queues purge QUEUE --reason TEXT [--dry-run] [--yes]\n",
     "the queues of a running service: whose turn it is, and what holds them up",
     "A queue is TENANT/SITE/CLASS; without the tenant it is that of default. pause stops starts, and what\n"
     "runs goes on; close takes no more jobs; purge cancels those that wait; unblock forgets that the site\n"
     "asked to wait. What is default is as configured (lane.*).\n"},
    {"limits", IN_LIMITS, limits_run,
     "fulmar limits show\n"
     "fulmar limits set all --max-running 8\n"
     "fulmar limits set tenant press --max-running 4 --weight 200\n"
     "fulmar limits set site x --max-running 3 --every 2s --burst 2\n"
     "fulmar limits explain [--tenant press] [--site x] [--class bulk]\n",
     "limits of all queues, of tenants and of sites; which of them wins",
     "What is not named stays as it is. They stay over restarts.\n"},
    {"breakers", IN_BREAKERS, breakers_run,
     "fulmar breakers list\n"
     "fulmar breakers open|close QUEUE --reason TEXT [--ttl 1h]\n"
     "fulmar breakers reset QUEUE\n",
     "breakers of queues whose site failed too often in a row",
     "open: no job of the queue starts; close: they start whatever the site does; both end by themselves.\n"
     "reset: closed, what was counted is forgotten, and it works by itself again.\n"},
    {"mode", IN_MODE, mode_run,
     "fulmar mode show\n"
     "fulmar mode set paused|draining|maintenance --reason TEXT\n"
     "fulmar mode set normal\n",
     "what the service as a whole does",
     "paused: takes jobs, starts none. draining: takes none, finishes those that it has. maintenance:\n"
     "neither. It stays so over restarts.\n"},
    {"schedules", IN_SCHEDULES, schedules_run,
     "fulmar schedules create nasa posts @nasa --adaptive 5m,1d --since-last\n"
     "fulmar schedules create trend hashtag '#opendata' --cron '30 2 * * *' --timezone Europe/Berlin\n"
     "fulmar schedules list\n"
     "fulmar schedules show|runs|trigger|pause|resume|delete NAME\n"
     "fulmar schedules change nasa posts @nasa --every 1h --since-last\n"
     "fulmar schedules backfill NAME --from 2026-02-01 --to 2026-02-06\n"
     "fulmar schedules preview NAME\n"
     "fulmar schedules preview --cron '30 2 * * *' --timezone Europe/Berlin --from 2026-10-24\n",
     "make a job of a running service again and again",
     "Without an action it lists. NAME is the schedule's name or its id. What a run collects is said as for\n"
     "get. With --since-last each run brings what is new. change gives all of it anew. preview shows\n"
     "the next 10 times in the time zone, --limit of them.\n"},
    {"artifacts", IN_ARTIFACTS, artifacts_run,
     "fulmar artifacts JOB [--out FOLDER] [--warc FILE.warc.gz]\n",
     "what a job read, kept as evidence: answers, screenshot, page",
     "Without --out and --warc it lists them. By default only jobs that fail keep evidence;\n"
     "see evidence.keep in the configuration, and get --evidence. Ends with 5 when there is none.\n"},
    {"replay", IN_REPLAY, replay_run,
     "fulmar replay JOB [--site FOLDER] [--apply]\n"
     "fulmar replay --failed [--class drift] [--site FOLDER] [--apply]\n",
     "read a job's evidence again with today's site pack, without any traffic",
     "Says which records would come, go or change, and how the job would end. With --apply a dead\n"
     "job that reads well now gets these records and succeeds: partial, unless the evidence shows\n"
     "the end of the list. Ends with 0 when it reads well, else as the job would end (9 the site\n"
     "changed), 5 without evidence; with --failed with 2 when some do not read well.\n"},
    {"batches", IN_BATCHES, batches_run,
     "fulmar batches create posts @nasa @esa @jaxa --limit 50 --name space\n"
     "fulmar batches create posts --targets mayors.txt --since 2026-02-01 --on-complete 'profile @nasa'\n"
     "fulmar batches list\n"
     "fulmar batches show BATCH\n"
     "fulmar batches wait BATCH\n"
     "fulmar batches jobs BATCH [--state dead]\n"
     "fulmar batches posts BATCH > posts.ndjson\n"
     "fulmar batches seal BATCH\n"
     "fulmar batches cancel BATCH [--dry-run]\n"
     "fulmar batches retry-failed BATCH [--per-minute 60] [--reset] [--dry-run]\n",
     "many targets as one: made, counted, waited for, cancelled and retried together",
     "create takes the options of get; targets are words, or lines of --targets FILE (- is standard\n"
     "input). More than 1000 are sent in parts. BATCH is the id that create and list print: bat_...\n"
     "wait ends with 0 when all jobs succeeded, 2 when some did, 1 when none did, 4 when it was cancelled.\n"
     "posts (and users) writes the records of all its jobs, one a line, as they are now.\n"},
    {"dead", IN_DEAD, dead_run,
     "fulmar dead list [--class drift] [--site x] [--kind posts] [--since 2026-02-06]\n"
     "fulmar dead show JOB\n"
     "fulmar dead retry JOB [--reset]\n"
     "fulmar dead retry --class timeout --per-minute 30 [--dry-run]\n"
     "fulmar dead retry --fingerprint PRINT\n"
     "fulmar dead delete JOB --yes\n"
     "fulmar dead delete --class not_found --yes\n",
     "jobs that failed for good, in groups of the same trouble; take them up again, or delete them",
     "A group has one failure class, site and fingerprint: numbers, names and hosts in its words do not\n"
     "count. retry and delete want a job, a filter, or --all; many jobs are an operation that goes on\n"
     "when this command has ended: fulmar operations show. delete without --yes only counts.\n"},
    {"operations", IN_OPERATIONS, operations_run,
     "fulmar operations list\n"
     "fulmar operations show OPERATION\n"
     "fulmar operations cancel OPERATION\n",
     "what touches many jobs at once, and how far it has come",
     "Without an action it lists. What a cancelled operation has done stays.\n"},
    {"sessions", IN_SESSIONS, sessions_run,
     "fulmar sessions add NAME [--pool POOL] [--site x] [--every 20] [--from cookies.txt]\n"
     "fulmar sessions cookies NAME [--from cookies.txt]\n"
     "fulmar sessions list [--pool POOL]\n"
     "fulmar sessions show NAME\n"
     "fulmar sessions validate NAME\n"
     "fulmar sessions lock NAME [--reason TEXT]\n"
     "fulmar sessions unlock NAME\n"
     "fulmar sessions remove NAME\n",
     "your own logins at a site, for jobs that name their pool (get --pool POOL)",
     "Cookies come from --from FILE or standard input, never from the command line: what an extension\n"
     "or Playwright exports as JSON, cookies.txt, or the text of a Cookie header. They are sealed on\n"
     "the disk and never shown again. NAME may also be the id, ses_...\n"
     "validate visits the site with it: 0 when it is logged in, 1 when not, 75 when the site did not say.\n"},
    {"webhooks", IN_WEBHOOKS, webhooks_run,
     "fulmar webhooks add URL [--types job.finished,batch.*] [--name TEXT] [--secret FILE]\n"
     "fulmar webhooks list\n"
     "fulmar webhooks show WEBHOOK\n"
     "fulmar webhooks set WEBHOOK [--url URL] [--types NAMES] [--name TEXT]\n"
     "fulmar webhooks enable|disable|ping|remove WEBHOOK\n"
     "fulmar webhooks deliveries WEBHOOK [--state dead]\n"
     "fulmar webhooks redeliver DELIVERY\n"
     "fulmar webhooks replay WEBHOOK --from 2026-02-06\n"
     "fulmar webhooks rotate WEBHOOK [--ttl 1d]\n"
     "fulmar webhooks verify ID TIMESTAMP SIGNATURES --secret FILE <BODY\n",
     "receivers that are told what happens: signed, at least once, in order for each job",
     "Without an action it lists. WEBHOOK is the id that add and list print: whk_..., DELIVERY that of\n"
     "deliveries: dlv_... . The secret is shown once, when it is made. verify needs no service: it says\n"
     "whether what a receiver got is from the holder of the secret, as it was sent (65 when not).\n"},
    {"serve", IN_SERVE, serve_run,
     "fulmar serve [--config FILE] [--set NAME=VALUE]...\n",
     "run the service in the foreground: API and page on http://127.0.0.1:8470",
     "Stop it with Ctrl-C or SIGTERM; jobs that were running go on at the next start.\n"
     "Every setting with its range and meaning: fulmar config init -\n"},
    {"site", IN_SITE, site_run,
     "fulmar site list\n"
     "fulmar site show x\n"
     "fulmar site check [NAME or FOLDER]\n"
     "fulmar site test x RECORDINGS [--accept]\n"
     "fulmar site diff FOLDER_BEFORE FOLDER_AFTER RECORDINGS\n"
     "fulmar site fields [NAME] [--hours 24]\n",
     "look at site packs, and try them on recorded answers without any traffic",
     "FOLDER is that of a pack, with site.yaml in it. RECORDINGS is a folder with bodies of the\n"
     "site's answers, OPERATION-anything.json; beside each may lie what is expected of it,\n"
     "OPERATION-anything.records.ndjson (test --accept writes it).\n"
     "fields asks a running service where the fields of its records came from, and marks what is\n"
     "not as it was in the days before; NAME is x unless given.\n"
     "Ends with 9 when test or diff finds a difference, 65 when a pack is broken.\n"},
    {"doctor", IN_DOCTOR, doctor_run, "fulmar doctor [--json]\n",
     "check this machine; says how to mend what is wrong",
     "Ends with 10 when something has to be mended.\n"},
    {"backup", IN_BACKUP, backup_run,
     "fulmar backup create FILE [--json]\n"
     "fulmar backup verify FILE [--json]\n"
     "fulmar backup restore FILE [--json]\n",
     "the job store in one file: take it, look at it, make it a store again",
     "create:  what the store of this configuration holds at this moment; a running service goes on.\n"
     "verify:  reads all of FILE.\n"
     "restore: makes FILE the store of this configuration, where there is none and no service runs.\n"
     "Files of media, evidence and the key of sessions lie beside the store and are not in it.\n"
     "Ends with 11 when there is a file or a store already, 65 when FILE is damaged.\n"},
    {"config", IN_CONFIG, config_run,
     "fulmar config check [FILE]\n"
     "fulmar config init [FILE]\n",
     "check the configuration, or write a sample with every setting",
     "check: without FILE it reads the one that the service would read.\n"
     "init:  FILE - is standard output; without FILE it writes ~/.config/fulmar/fulmar.yaml,\n"
     "       as root /etc/fulmar/fulmar.yaml, and says so. It never writes over a file.\n"},
    {"version", IN_VERSION, version_run, "fulmar version [--json]\n", "what this is", NULL},
};
enum { VERBS = sizeof verbs / sizeof verbs[0] };

/* clang-format on */

static const struct verb *verb_of(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

/* ---- words for people ---- */

/* A line of progress may stand where we write. */
static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
}

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    clear_progress();
    fputs("fulmar: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
    if (c->quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    clear_progress();
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

int cli_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("fulmar: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nhelp: fulmar %s%s--help\n", verb ? verb : "", verb ? " " : "");
    return EXIT_USAGE;
}

char *cli_printable(struct cli *c, struct span text)
{
    struct buf safe = BUF(64 * 1024);
    text_add_printable(&safe, span_cut(text, 0, 16 * 1024));
    char *kept = arena_text(c->arena, buf_span(&safe));
    buf_free(&safe);
    return kept ? kept : arena_fmt(c->arena, "…");
}

int cli_exit_of(err e)
{
    switch (e) {
    case E_OK:
        return EXIT_DONE;
    case E_CONFIG:
    case E_BAD_SYNTAX:
        return EXIT_CONFIG;
    case E_NOT_FOUND:
        return EXIT_NO_INPUT;
    case E_BAD_INPUT:
        return EXIT_USAGE;
    case E_NET:
        return EXIT_UNAVAILABLE;
    case E_TIMEOUT:
    case E_BUSY:
        return EXIT_TRY_LATER;
    case E_DISK_FULL:
        return EXIT_IO;
    case E_PROTOCOL:
    case E_TOO_BIG:
        return EXIT_PROTOCOL;
    default:
        return EXIT_SOFTWARE;
    }
}

/* Of an HTTP answer. */
static int exit_of_status(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return EXIT_DATA;
    case 401:
    case 403:
    case 421:
        return EXIT_NO_PERMISSION;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 429:
    case 503:
    case 504:
        return EXIT_TRY_LATER;
    case 507:
        return EXIT_IO;
    default:
        return status >= 500 ? EXIT_SOFTWARE : EXIT_PROTOCOL;
    }
}

static void print_filtered(const char *before, struct span text, const char *after)
{
    struct buf safe = BUF(16 * 1024);
    text_add_printable(&safe, span_cut(text, 0, 2000));
    fprintf(stderr, "%s%.*s%s", before, SP(buf_span(&safe)), after);
    buf_free(&safe);
}

/* "limit: must be …" */
static void print_error(const char *before, struct json error)
{
    struct span pointer = SPAN("?"), detail = SPAN("");
    json_text(json_get(error, SPAN("pointer")), &pointer);
    json_text(json_get(error, SPAN("detail")), &detail);
    print_filtered(before, span_cut(pointer, span_starts(pointer, SPAN("/")), pointer.n), ": ");
    print_filtered("", detail, "\n");
}

/* The first value that was refused says more than the sentence that some were. */
static void print_detail(struct json problem, struct span detail)
{
    bool first = true;
    for (struct json_iter i = json_each(json_get(problem, SPAN("errors"))); json_next(&i);) {
        print_error(first ? "fulmar: " : "  ", i.value);
        first = false;
    }
    if (first)
        print_filtered("fulmar: ", detail, "\n");
}

int cli_problem(const struct client_answer *a)
{
    struct json_parser *parser = json_parser_new(2 * 1024 * 1024);
    struct json problem;
    struct span detail, code, id, hint;
    if (json_parse(parser, buf_span(&a->body), &problem, NULL) ||
        !json_text(json_get(problem, SPAN("detail")), &detail)) {
        cli_say("the server answered %d without saying why; is it Fulmar?", a->status);
        json_parser_free(&parser);
        return a->status >= 500 ? EXIT_SOFTWARE : EXIT_PROTOCOL;
    }
    print_detail(problem, detail);
    if (json_text(json_get(problem, SPAN("hint")), &hint))
        print_filtered("  ", hint, "\n");
    if (a->retry_after_s > 0)
        fprintf(stderr, "  try again in %lld s\n", (long long)a->retry_after_s);
    if (json_text(json_get(problem, SPAN("code")), &code) &&
        json_text(json_get(problem, SPAN("request_id")), &id)) {
        print_filtered("  ", code, " ");
        print_filtered("(", id, ")\n");
    }
    json_parser_free(&parser);
    return exit_of_status(a->status);
}

int cli_settings(struct cli *c)
{
    struct fault f = {0};
    err e = config_load(c->arena, c->config, NULL, &c->settings, c->config_file, &f);
    if (!e)
        return EXIT_DONE;
    cli_say("%s", f.words[0] ? f.words : err_text(e));
    return cli_exit_of(e);
}

/* ---- small things that the verbs share ---- */

int cli_confirm(const struct cli *c, const char *verb, const char *what)
{
    if (c->yes)
        return EXIT_DONE;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return cli_usage(verb, "this %s: look first with --dry-run, then say --yes", what);
    char line[16] = "";
    fprintf(stderr, "This %s. Go on? [y/N] ", what);
    bool yes = fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
    if (!yes)
        cli_say("nothing was done");
    return yes ? EXIT_DONE : EXIT_CANCELLED;
}

int cli_action(struct cli *c, const char *verb, const char *const *actions)
{
    const char *action = c->word_count > 1 ? c->words[1] : actions[0];
    struct buf known = BUF(256);
    for (int i = 0; actions[i]; i++) {
        if (strcmp(actions[i], action) == 0) {
            buf_free(&known);
            return i;
        }
        buf_fmt(&known, "%s%s", i ? ", " : "", actions[i]);
    }
    const char *near = text_nearest(span_of(action), actions);
    if (near)
        (void)cli_usage(verb, "unknown action '%.40s'; did you mean '%s'?", action, near);
    else
        (void)cli_usage(verb, "unknown action '%.40s'; known are %.*s", action,
                        SP(buf_span(&known)));
    buf_free(&known);
    return -1;
}

const char *cli_user(struct cli *c)
{
    const char *user = c->by ? c->by : getenv("USER");
    return user && *user ? user : arena_fmt(c->arena, "user %u", (unsigned)getuid());
}

int cli_duration(const char *verb, const char *flag, const char *text, int64_t min_ms,
                 int64_t max_ms, int64_t *out_ms)
{
    int64_t ms;
    if (when_duration(span_of(text), &ms) && ms >= min_ms && ms <= max_ms &&
        (min_ms < 1000 || ms % 1000 == 0)) {
        *out_ms = ms;
        return EXIT_DONE;
    }
    return cli_usage(
        verb, "--%s must be a time such as 30s, 5m, 2h or 7d, at most %llds, not '%.40s'", flag,
        (long long)(max_ms / 1000), text);
}

int cli_number(const char *verb, const char *flag, const char *text, int64_t min, int64_t max,
               int64_t *out)
{
    int64_t n;
    if (span_int(span_of(text), &n) && n >= min && n <= max) {
        *out = n;
        return EXIT_DONE;
    }
    return cli_usage(verb, "--%s must be %lld to %lld, not '%.40s'", flag, (long long)min,
                     (long long)max, text);
}

/* ---- help ---- */

static void print_short(FILE *to)
{
    fputs("Fulmar collects public posts and says exactly how each job ended.\n"
          "\n"
          "  fulmar get posts @nasa --limit 20     posts of an account\n"
          "  fulmar get search 'heat pump' --csv   posts that match\n"
          "  fulmar serve                          run the service: API on "
          "http://127.0.0.1:8470\n"
          "  fulmar doctor                         check this machine\n"
          "\n"
          "All verbs and flags: fulmar --help. It sends no usage data anywhere.\n",
          to);
}

static void print_flags(int bits)
{
    for (size_t i = 0; i < FLAGS; i++) {
        if (!(flags[i].verbs & bits))
            continue;
        char left[64];
        snprintf(left, sizeof left, "%s%c%s --%s %s", flags[i].letter ? "-" : " ",
                 flags[i].letter ? flags[i].letter : ' ', flags[i].letter ? "," : " ",
                 flags[i].name, flags[i].value ? flags[i].value : "");
        printf("  %-22s  %s\n", left, flags[i].help);
    }
}

static void print_lines(const char *text)
{
    struct span rest = span_of(text), line;
    while (span_next(&rest, '\n', &line))
        printf("  %.*s\n", SP(line));
}

/* NULL: the whole. */
static void help(const char *name)
{
    const struct verb *verb = name ? verb_of(name) : NULL;
    if (verb) {
        printf("fulmar %s: %s\n\n", verb->name, verb->what);
        print_lines(verb->usage);
        if (verb->more) {
            printf("\n");
            print_lines(verb->more);
        }
        printf("\n");
        print_flags(verb->bit);
        return;
    }
    printf("Fulmar collects public posts and says exactly how each job ended.\n\n");
    for (size_t i = 0; i < VERBS; i++) {
        print_lines(verbs[i].usage);
        printf("      %s\n", verbs[i].what);
    }
    printf("\n");
    print_flags(IN_ALL);
    printf("\nExit status: 0 done; 1 job failed; 2 partial; 4 cancelled; 5 not found; 6 empty "
           "without proof;\n"
           "7 protected, suspended or withheld; 8 blocked or rate-limited; 9 the site changed; "
           "10 unhealthy;\n"
           "11 conflict; 64 wrong call; 65 wrong value; 66 no such file; 69 no service; 70 "
           "internal error;\n"
           "73 cannot create output; 74 read or write error; 75 try again later; 76 not our "
           "server;\n"
           "77 not permitted; 78 configuration; 130 interrupted.\n"
           "One verb: fulmar help get. All of it: man fulmar\n");
}

/* ---- reading the call ---- */

static const struct flag *flag_named(struct span name)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (span_is(name, flags[i].name) || (name.n == 1 && flags[i].letter == name.p[0]))
            return &flags[i];
    return NULL;
}

static const char **value_at(struct cli *c, const struct flag *f)
{
    return (const char **)(void *)((char *)c + f->at);
}

static int unknown_flag(struct span name, int bits)
{
    const char *known[FLAGS + 1] = {NULL};
    size_t n = 0;
    for (size_t i = 0; i < FLAGS; i++)
        if (flags[i].verbs & bits)
            known[n++] = flags[i].name;
    const char *near = text_nearest(name, known);
    if (near)
        return cli_usage(NULL, "unknown flag '--%.*s'; did you mean '--%s'?",
                         SP(span_cut(name, 0, 60)), near);
    return cli_usage(NULL, "unknown flag '%.*s'", SP(span_cut(name, 0, 60)));
}

/* One word that begins with '-'; *at moves on when the flag's value is the next word. */
static int read_flag(struct cli *c, int argc, char **argv, int *at, bool used[FLAGS])
{
    const char *word = argv[*at];
    struct span rest = span_of(word + (word[1] == '-' ? 2 : 1));
    size_t equals = word[1] == '-' ? span_find_char(rest, '=') : rest.n;
    struct span name = span_cut(rest, 0, equals);
    const struct flag *f = flag_named(name);
    if (!f || (word[1] != '-' && name.n != 1) || (word[1] == '-' && name.n == 1))
        return unknown_flag(name, IN_ALL);
    used[f - flags] = true;
    if (!f->value) {
        if (equals < rest.n)
            return cli_usage(NULL, "--%s takes no value", f->name);
        *(bool *)(void *)((char *)c + f->at) = true;
        return EXIT_DONE;
    }
    if (equals < rest.n) {
        *value_at(c, f) = rest.p + equals + 1;
        return EXIT_DONE;
    }
    if (*at + 1 >= argc)
        return cli_usage(NULL, "--%s needs a value: %s", f->name, f->value);
    *value_at(c, f) = argv[++*at];
    return EXIT_DONE;
}

static int read_call(struct cli *c, int argc, char **argv, bool used[FLAGS])
{
    bool only_words = false;
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(argv[i], "--version") == 0 && c->word_count == 0) {
            c->words[c->word_count++] = "version";
        } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
            int code = read_flag(c, argc, argv, &i, used);
            if (code)
                return code;
        } else if (c->word_count == CLI_WORDS_MAX) {
            return cli_usage(
                NULL,
                "too many words; put a search between quotes: fulmar get search 'heat pump'");
        } else {
            c->words[c->word_count++] = argv[i];
        }
    }
    return EXIT_DONE;
}

/* jobs create takes what get takes, and not what its other actions take. */
static bool creates(const struct cli *c, const struct verb *verb)
{
    return verb->bit == IN_JOBS && c->word_count > 1 && strcmp(c->words[1], "create") == 0;
}

static int flags_fit(const struct cli *c, const struct verb *verb, const bool used[FLAGS])
{
    const char *action = creates(c, verb) ? " create" : "";
    int bits = *action ? IN_CREATE : verb->bit;
    for (size_t i = 0; i < FLAGS; i++)
        if (used[i] && !(flags[i].verbs & bits))
            return cli_usage(verb->name, "%s%s does not know --%s", verb->name, action,
                             flags[i].name);
    return EXIT_DONE;
}

static int unknown_verb(const char *word)
{
    const char *known[VERBS + 2] = {"help"};
    for (size_t i = 0; i < VERBS; i++)
        known[i + 1] = verbs[i].name;
    const char *near = text_nearest(span_of(word), known);
    if (near)
        return cli_usage(NULL, "unknown verb '%.60s'; did you mean '%s'?", word, near);
    return cli_usage(NULL, "unknown verb '%.60s'", word);
}

static int run(struct cli *c, int argc, char **argv)
{
    bool used[FLAGS] = {false};
    int code = read_call(c, argc, argv, used);
    if (code)
        return code;
    if (!c->word_count) {
        if (c->help)
            help(NULL);
        else if (argc > 1)
            return cli_usage(NULL, "a verb is missing, such as get");
        else
            print_short(stdout);
        return EXIT_DONE;
    }
    if (strcmp(c->words[0], "help") == 0) {
        if (c->word_count > 1 && !verb_of(c->words[1]))
            return unknown_verb(c->words[1]);
        help(c->word_count > 1 ? c->words[1] : NULL);
        return EXIT_DONE;
    }
    const struct verb *verb = verb_of(c->words[0]);
    if (!verb)
        return unknown_verb(c->words[0]);
    if (c->help) {
        help(verb->name);
        return EXIT_DONE;
    }
    code = flags_fit(c, verb, used);
    return code ? code : verb->run(c);
}

int cli_main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL); /* `fulmar … | head` ends quietly, whatever our parent ignores */
    static struct cli c;
    c.arena = arena_new(ARENA_MAX);
    int code = run(&c, argc, argv);
    if (fflush(stdout) && code == EXIT_DONE) {
        cli_say("standard output cannot be written");
        code = EXIT_IO;
    }
    arena_free(&c.arena);
    return code;
}
