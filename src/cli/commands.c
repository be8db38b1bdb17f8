#include "cli/commands.h"

/* clang-format off */
#define AT(member) offsetof(struct cli, member)
static const struct flag flags[] = {
    {"limit", 'n', "N", FLAG_VALUE, AT(limit), "get, schedules create, batches create: records wanted, 1-100000, else all; of lists: rows, else 20"},
    {"since", 0, "DATE", FLAG_VALUE, AT(since), "of jobs: made since then; no posts older than this: 2026-02-06 or 2026-02-06T12:00:00Z; dead: jobs that died since then"},
    {"until", 0, "DATE", FLAG_VALUE, AT(until), "of jobs: made before; no posts newer than this; dead: jobs that died before"},
    {"product", 0, "latest|top|people|media", FLAG_VALUE, AT(product), "of a search or hashtag; else latest"},
    {"depth", 0, "N", FLAG_VALUE, AT(depth), "of a thread: replies at most N steps below the post; 0 none; else all"},
    {"priority", 0, "0-9", FLAG_VALUE, AT(priority), "9 before the others of its queue, 0 after them; without it what its queue says, mostly 5; waiting makes up for it"},
    {"since-last", 0, NULL, FLAG_SWITCH, AT(since_last), "only posts that earlier jobs of the same target have not brought"},
    {"include", 0, "KINDS", FLAG_VALUE, AT(include), "bring in posts of kinds that the list leaves out: replies,reposts,quotes"},
    {"exclude", 0, "KINDS", FLAG_VALUE, AT(exclude), "leave out posts of these kinds: replies,reposts,quotes"},
    {"fields", 0, "NAMES", FLAG_VALUE, AT(fields), "only these of each record: id,text,counts.like; of jobs list: of each job"},
    {"site", 0, "SITE", FLAG_VALUE, AT(site), "site pack to use, default x; replay: or the folder of one, default that of the job; jobs cancel, queues list: only of this site"},
    {"evidence", 0, "never|on_failure|always", FLAG_VALUE, AT(evidence), "when what is read is kept; else as configured"},
    {"cron", 0, "FIELDS", FLAG_VALUE, AT(cron), "minute hour day month weekday: '30 2 * * *'; or @daily and the like"},
    {"timezone", 0, "ZONE", FLAG_VALUE, AT(timezone), "of --cron: Europe/Berlin; default UTC"},
    {"adaptive", 0, "LEAST,MOST", FLAG_VALUE, AT(adaptive), "5m,1d: as often as there is something new; needs --since-last"},
    {"wanted", 0, "N", FLAG_VALUE, AT(wanted), "of --adaptive: new posts that a run should find; default 20"},
    {"jitter", 0, "DURATION", FLAG_VALUE, AT(jitter), "each schedule is late by its own share of it"},
    {"start", 0, "DATE", FLAG_VALUE, AT(start), "no run before this"},
    {"end", 0, "DATE", FLAG_VALUE, AT(end), "no run after this"},
    {"overlap", 0, "skip|queue_one|cancel_running|allow", FLAG_VALUE, AT(overlap), "while a run is alive; else skip"},
    {"missed", 0, "once|skip|catch_up", FLAG_VALUE, AT(missed), "runs that were due while the service was down; else once"},
    {"catch-up", 0, "DURATION", FLAG_VALUE, AT(catch_up), "of --missed catch_up: how far back; default 1d"},
    {"catch-up-max", 0, "N", FLAG_VALUE, AT(catch_up_max), "of --missed catch_up: how many; 1-100"},
    {"from", 0, "DATE", FLAG_VALUE, AT(from), "of backfill, preview and replay: from when on; of sessions: the file with the cookies, else standard input; store move: the store that is moved"},
    {"to", 0, "DATE", FLAG_VALUE, AT(to), "of backfill: until when; default now; store move: the store that is filled"},
    {"pool", 0, "POOL", FLAG_VALUE, AT(pool), "with a login of this pool of sessions; sessions: the pool, default \"default\""},
    {"failed", 0, NULL, FLAG_SWITCH, AT(failed), "all dead jobs of --class"},
    {"class", 0, "CLASS", FLAG_VALUE, AT(class), "get: interactive, normal (default) or bulk: how urgent; replay --failed: how they ended, default drift"},
    {"tenant", 0, "TENANT", FLAG_VALUE, AT(tenant), "for whom the job is; tenants share the service fairly; else default"},
    {"not-before", 0, "DATE", FLAG_VALUE, AT(not_before), "it starts then at the earliest: 2026-02-06T12:00:00Z"},
    {"expires", 0, "TIME", FLAG_VALUE, AT(expires), "a job that has not started by then ends as expired: 30s, 5m, 2h, 7d"},
    {"deadline", 0, "TIME", FLAG_VALUE, AT(deadline), "nobody wants it after that: it is not tried again"},
    {"attempt-timeout", 0, "TIME", FLAG_VALUE, AT(attempt_timeout), "one attempt ends by then; else job.attempt_timeout"},
    {"idle-timeout", 0, "TIME", FLAG_VALUE, AT(idle_timeout), "an attempt without progress ends by then; else job.stall_timeout"},
    {"navigation-timeout", 0, "TIME", FLAG_VALUE, AT(navigation_timeout), "a page has opened by then; else job.navigate_timeout"},
    {"max-pages", 0, "N", FLAG_VALUE, AT(max_pages), "the job ends with what it has after so many pages, 1-100000"},
    {"max-bytes", 0, "SIZE", FLAG_VALUE, AT(max_bytes), "likewise when the site has sent so much: 64KiB to 1024GiB"},
    {"max-requests", 0, "N", FLAG_VALUE, AT(max_requests), "likewise when an attempt has asked the site so often, 1-1000000"},
    {"memory", 0, "SIZE", FLAG_VALUE, AT(memory), "an attempt that takes more is stopped, and the job has failed: 64MiB to 8GiB"},
    {"cpu", 0, "TIME", FLAG_VALUE, AT(cpu), "likewise of processor time: 30s, 5m"},
    {"min-posts", 0, "N", FLAG_VALUE, AT(min_posts), "with fewer records than these the job has failed, 1-100000"},
    {"on-empty", 0, "suspect|accept|fail", FLAG_VALUE, AT(on_empty), "nothing came: good when it is proven (suspect, default), always, or never"},
    {"require", 0, "NAMES", FLAG_VALUE, AT(require), "a record without one of these fields is kept apart: id,created_at"},
    {"unique", 0, "KEY", FLAG_VALUE, AT(unique), "at most one job with this key at a time"},
    {"on-conflict", 0, "return_existing|reject|replace|run_after_active|fresh_within", FLAG_VALUE, AT(on_conflict), "when there is one; else return_existing"},
    {"fresh-within", 0, "TIME", FLAG_VALUE, AT(fresh_within), "a result of a job with this key that is not older will do (fresh_within)"},
    {"max-age", 0, "TIME", FLAG_VALUE, AT(max_age), "a result of the same order that is not older will do"},
    {"stale-if-error", 0, "TIME", FLAG_VALUE, AT(stale_if_error), "likewise while the site cannot be read"},
    {"coalesce", 0, "yes|no", FLAG_VALUE, AT(coalesce), "equal orders at the same time are done once; else queue.coalesce"},
    {"retry-max", 0, "N", FLAG_VALUE, AT(retry_max), "so many attempts in a row that fail or crash end it, 1-20; else job.fail_max"},
    {"retry-base", 0, "TIME", FLAG_VALUE, AT(retry_base), "first delay before it is tried again: 500ms, 2s, 1h at most; else job.retry_base"},
    {"retry-cap", 0, "TIME", FLAG_VALUE, AT(retry_cap), "longest delay before it is tried again, 1d at most; else job.retry_cap"},
    {"retry-factor", 0, "N", FLAG_VALUE, AT(retry_factor), "each delay is so many times the one before, 1-10; else 2"},
    {"callback", 0, "WEBHOOK", FLAG_VALUE, AT(callback), "this webhook is told when it has ended, whatever events it is for"},
    {"force", 0, NULL, FLAG_SWITCH, AT(force), "cancel: at once, whatever its worker does; nothing of it counts any more"},
    {"grace", 0, "TIME", FLAG_VALUE, AT(grace), "jobs cancel: time a running job has to stop by itself; schedules: a run so late is not missed; both 60s unless given"},
    {"reason", 0, "TEXT", FLAG_VALUE, AT(reason), "why, for whoever finds it so"},
    {"by", 0, "NAME", FLAG_VALUE, AT(by), "who says so; else the name of the user"},
    {"verify", 0, NULL, FLAG_SWITCH, AT(verify), "store move: only compare the two stores"},
    {"abandon", 0, NULL, FLAG_SWITCH, AT(abandon), "store move: give up a move that is not done; what arrived is deleted"},
    {"gone", 0, NULL, FLAG_SWITCH, AT(gone), "store move --abandon: the other store cannot be looked at, and no service uses it, nor will"},
    {"leave-aside", 0, NULL, FLAG_SWITCH, AT(leave_aside), "store move: jobs that were set aside in this machine's spool stay there"},
    {"dry-run", 0, NULL, FLAG_SWITCH, AT(dry_run), "say what would be done, and do nothing"},
    {"yes", 'y', NULL, FLAG_SWITCH, AT(yes), "do what cannot be undone without asking"},
    {"troubled", 0, NULL, FLAG_SWITCH, AT(troubled), "list: only those that something holds up"},
    {"weight", 0, "N", FLAG_VALUE, AT(weight), "set: its share among the others, 1-10000; queues: or default"},
    {"max-running", 0, "N", FLAG_VALUE, AT(max_running), "set: jobs at once; queues: or default; limits: 0 is any number"},
    {"every", 0, "TIME", FLAG_VALUE, AT(every), "top: 200ms to 1h; sessions add: its own rate, one job in so many seconds; schedules: 30s, 15m, 2h, 7d of elapsed time; queues, limits set: least time between two starts, 0s is no limit; queues: or default"},
    {"burst", 0, "N", FLAG_VALUE, AT(burst), "set: starts that may come at once; queues: or default"},
    {"ttl", 0, "TIME", FLAG_VALUE, AT(ttl), "open, close: for how long, at most 1d; else 10m; webhooks rotate: how long the old secret signs as well, else 1d"},
    {"apply", 0, NULL, FLAG_SWITCH, AT(apply), "keep what is read now as the job's result"},
    {"warc", 0, "FILE", FLAG_VALUE, AT(warc), "write them as a WARC 1.1 file; compressed when it ends with .gz"},
    {"strategy", 0, "capture|dom|fetch", FLAG_VALUE, AT(strategy), "only this way of reading the site"},
    {"json", 0, NULL, FLAG_SWITCH, AT(json), "the same as -o json; records come one a line"},
    {"output", 'o', "table|wide|json|jsonl|csv|plain|yaml|none", FLAG_VALUE, AT(output), "the form of what comes; wide: a table with more columns; plain: columns between tabs. Else a table; records that go elsewhere than to a terminal: jsonl"},
    {"jq", 0, "EXPRESSION", FLAG_VALUE, AT(jq), "what jq makes of the JSON, texts without quotes; with -o jsonl, csv, plain of each row"},
    {"columns", 0, "NAMES", FLAG_VALUE, AT(columns), "of -o csv and -o plain, in this order: id,state,counts.posts; else all that the first rows have"},
    {"csv", 0, NULL, FLAG_SWITCH, AT(csv), "the same as -o csv"},
    {"out", 0, "FILE", FLAG_VALUE, AT(out), "get, posts, users: write the records there, all or nothing, - is standard output; with --media download a folder; artifacts: a folder"},
    {"media", 0, "urls|download", FLAG_VALUE, AT(media), "urls of media in the records (default), or their files as well"},
    {"state", 0, "STATE", FLAG_VALUE, AT(state), "webhooks deliveries: only pending, delivered or dead ones; breakers list: closed, open, half_open; else only jobs that are blocked, scheduled, ready, active, succeeded, dead, cancelled or expired"},
    {"hours", 0, "N", FLAG_VALUE, AT(hours), "fields only: the last hours that are looked at, 1-744; default 24"},
    {"targets", 0, "FILE", FLAG_VALUE, AT(targets), "create: one target a line; - is standard input"},
    {"name", 0, "TEXT", FLAG_VALUE, AT(name), "create: what the batch is called; webhooks add, set: what it is for"},
    {"open", 0, NULL, FLAG_SWITCH, AT(open), "create: leave it open; it takes more jobs until it is sealed"},
    {"partial", 0, NULL, FLAG_SWITCH, AT(partial), "create: leave out and name what cannot be accepted; else nothing is made then"},
    {"stop-after", 0, "N", FLAG_VALUE, AT(stop_after), "create: so many failed jobs cancel what has not ended; 1-1000"},
    {"parallel", 0, "N", FLAG_VALUE, AT(parallel), "create: so many of its jobs run at once, 1-1000; else as its queue allows"},
    {"on-complete", 0, "JOB", FLAG_VALUE, AT(on_complete), "create: a job when all have ended, once: 'profile @nasa'"},
    {"on-success", 0, "JOB", FLAG_VALUE, AT(on_success), "create: a job when all have succeeded, once"},
    {"key", 0, "KEY", FLAG_VALUE, AT(key), "create: asked for again with the same key it is the same batch"},
    {"kind", 0, "KIND", FLAG_VALUE, AT(kind), "only jobs of this kind: posts, search, ...; breakers list: queue, site, session, webhook, store"},
    {"fingerprint", 0, "PRINT", FLAG_VALUE, AT(fingerprint), "only this group, as dead list shows it"},
    {"all", 0, NULL, FLAG_SWITCH, AT(all), "dead retry, delete: all dead jobs; breakers list: also those that are simply closed; batches posts, users: also what another job of it has brought"},
    {"window", 0, "TIME", FLAG_VALUE, AT(window), "queues metrics: of the last so many minutes, 1m to 10m (10m)"},
    {"per-minute", 0, "N", FLAG_VALUE, AT(per_minute), "retry, retry-failed: at most so many jobs a minute, 1-6000"},
    {"reset", 0, NULL, FLAG_SWITCH, AT(reset), "retry, retry-failed: read from the beginning of the list again; else it goes on where it was"},
    {"types", 0, "NAMES", FLAG_VALUE, AT(types), "add, set: the events it is told of: job.finished,batch.*; none: only of jobs whose --callback it is; else what ends jobs and batches"},
    {"url", 0, "URL", FLAG_VALUE, AT(url), "set: where it is from now on"},
    {"secret", 0, "FILE", FLAG_VALUE, AT(secret), "add, rotate, verify: the file with the secret, - is standard input; else one is made"},
    {"no-input", 0, NULL, FLAG_SWITCH, AT(no_input), "never ask, also on a terminal"},
    {"server", 0, "ADDRESS", FLAG_VALUE, AT(server), "unix:/path or http://host:port; else $FULMAR_SERVER, the profile, the local socket"},
    {"target", 0, "TARGET", FLAG_VALUE, AT(target), "only jobs about this target, as jobs list shows it"},
    {"queue", 0, "QUEUE", FLAG_VALUE, AT(queue), "only jobs of this queue: default/x/normal"},
    {"failure", 0, "CLASS", FLAG_VALUE, AT(failure), "only jobs that ended so, or whose last attempt did: timeout, drift, ..."},
    {"held", 0, NULL, FLAG_SWITCH, AT(held), "only jobs that are held"},
    {"label", 0, "NAME=VALUE", FLAG_MANY, AT(labels), "a word to find the job again: team=press; jobs set: team= takes it back; with a filter: only jobs that have it; may come again"},
    {"oldest", 0, NULL, FLAG_SWITCH, AT(oldest), "of jobs list: the oldest first"},
    {"sort", 0, "NAME", FLAG_VALUE, AT(sort), "of jobs list: -created_at (else), created_at, -finished_at or finished_at; by finished_at only those that have ended"},
    {"count", 0, "estimate|exact", FLAG_VALUE, AT(count), "of jobs list: say how many there are; exact counts up to 10000"},
    {"cursor", 0, "CURSOR", FLAG_VALUE, AT(cursor), "of jobs list: behind the page that said so, of the same filter and order"},
    {"max-depth", 0, "N", FLAG_VALUE, AT(max_depth), "of queues set: so many jobs may wait in it, 0 any number, or default"},
    {"default-priority", 0, "0-9", FLAG_VALUE, AT(default_priority), "of queues set: what a job gets that comes without a priority, or default"},
    {"overflow", 0, "refuse|drop_last|default", FLAG_VALUE, AT(overflow), "of queues set: what becomes of one more"},
    {"wait", 0, "TIME", FLAG_MAYBE, AT(wait), "until it has ended, at most --wait=TIME: then it goes on, and the exit status is 3"},
    {"timeout", 0, "TIME", FLAG_VALUE, AT(timeout), "of wait: likewise"},
    {"cancel-on-interrupt", 0, NULL, FLAG_SWITCH, AT(cancel_on_interrupt), "Ctrl-C cancels the job as well"},
    {"after", 0, "NUMBER", FLAG_VALUE, AT(after), "of follow: events behind this one; else all of the job, and of everything from now on"},
    {"data", 'd', "TEXT", FLAG_VALUE, AT(data), "of api: the body as JSON; @FILE is a file, @- standard input"},
    {"header", 'H', "LINE", FLAG_MANY, AT(headers), "of api: one more header, 'Idempotency-Key: 7'; may come again"},
    {"paginate", 0, NULL, FLAG_SWITCH, AT(paginate), "of api: all pages of a list, one answer behind the other"},
    {"profile", 0, "PROFILE", FLAG_VALUE, AT(profile), "of ~/.config/fulmar/client.yaml; else $FULMAR_PROFILE, else the one that it names"},
    {"config", 0, "FILE", FLAG_VALUE, AT(config), "configuration; else ~/.config/fulmar/fulmar.yaml or /etc/fulmar/fulmar.yaml"},
    {"accept", 0, NULL, FLAG_SWITCH, AT(accept), "test only: what the pack reads now becomes what is expected"},
    {"set", 0, "NAME=VALUE", FLAG_VALUE, AT(set), "a setting such as api.port=8471; wins over the file; may come again"},
    {"verbose", 'v', NULL, FLAG_COUNT, AT(verbose), "say on standard error what is asked of the service; -vv also the bodies, but for secrets"},
    {"color", 0, "auto|always|never", FLAG_VALUE, AT(color), "auto: on a terminal, unless $NO_COLOR is set"},
    {"time", 0, "relative|iso", FLAG_VALUE, AT(time), "how times are said in tables; else relative on a terminal, iso elsewhere"},
    {"exit-mask", 0, NULL, FLAG_SWITCH, AT(exit_mask), "the last line on standard error has a bit for each kind of ending: 1 failed, 2 partial, 4 the site or the network, 8 blocked, 16 login, 32 input, 64 target, 128 our own"},
    {"quiet", 'q', NULL, FLAG_SWITCH, AT(quiet), "say nothing but errors"},
    {"help", 'h', NULL, FLAG_SWITCH, AT(help), "this"},
};
enum { FLAGS = sizeof flags / sizeof *flags };
#undef AT

/* What a job is to collect, and how it stands in the queue. */
#define WISH \
    " limit since until product depth priority since-last include exclude fields site evidence strategy media" \
    " pool class tenant not-before expires deadline attempt-timeout idle-timeout navigation-timeout max-pages max-bytes max-requests memory cpu min-posts on-empty require unique on-conflict fresh-within" \
    " max-age stale-if-error coalesce retry-max retry-base retry-cap retry-factor callback label "
#define TIMES " cron timezone every adaptive wanted jitter start end "
#define SCHEDULE WISH TIMES " overlap missed catch-up catch-up-max grace dry-run "
#define DEAD " class site kind fingerprint since until "
#define WHY " reason by "
#define FILTER " state site kind tenant target queue class failure held since until label "
#define MANY FILTER " all limit dry-run yes "
#define WAIT " wait cancel-on-interrupt exit-mask "
#define CLIENT " config profile quiet verbose color time no-input help "
#define RECORDS " csv out fields limit "
#define LOCAL CLIENT " output json jq columns " /* says something without a service */
#define SERVED LOCAL " server "

static const struct command commands[] = {
    {"get", "", "KIND TARGET", SERVED WISH " csv out cancel-on-interrupt ", get_run, "the records of one target"},

    {"jobs", "list", "", SERVED FILTER " limit oldest sort count cursor fields ", jobs_run, "the newest jobs"},
    {"jobs", "create", "KIND TARGET", SERVED WISH WAIT " dry-run ", jobs_run, "submits what get would, prints the id, does not wait"},
    {"jobs", "show", "JOB", SERVED, jobs_run, "what became of it, and what it waits for"},
    {"jobs", "cancel", "[JOB...]", SERVED MANY " force grace reason ", jobs_run, "ends those that wait, asks those that run to stop"},
    {"jobs", "retry", "[JOB...]", SERVED WAIT MANY " reset per-minute ", jobs_run, "one that is dead, cancelled or expired runs again"},
    {"jobs", "rerun", "JOB", SERVED WISH WAIT, change_run, "a new job that asks for the same; flags change members"},
    {"jobs", "set", "JOB", SERVED " priority limit not-before expires deadline attempt-timeout idle-timeout label reason ", change_run, "how one that waits stands in the queue; labels of any"},
    {"jobs", "hold", "[JOB...]", SERVED MANY " reason ", change_many_run, "they do not start until they are released"},
    {"jobs", "release", "[JOB...]", SERVED MANY " reason ", change_many_run, "they may start"},
    {"jobs", "delete", "[JOB...]", SERVED MANY, change_many_run, "ended ones go, with all that they brought"},
    {"jobs", "bulk", "FILE", SERVED " key dry-run ", bulk_run, "orders of a file, one a line, each accepted or refused by itself"},
    {"jobs", "attempts", "JOB", SERVED, change_run, "what became of each attempt"},
    {"jobs", "wait", "JOB...", SERVED " timeout cancel-on-interrupt exit-mask ", jobs_run, "until they have ended"},
    {"jobs", "follow", "JOB", SERVED " after cancel-on-interrupt ", follow_run, "its events as they come, until it has ended"},
    {"jobs", "log", "JOB", SERVED, jobs_run, "its events"},
    {"jobs", "rejected", "JOB", SERVED, jobs_run, "records that failed a check"},
    {"jobs", "conflicts", "JOB", SERVED, jobs_run, "fields on which two readings disagree"},

    {"status", "", "", SERVED, status_run, "whether all is well, and if not, what is wrong"},
    {"top", "", "", CLIENT " server every ", top_run, "what it does now, drawn again every second"},
    {"follow", "", "[JOB|BATCH|OPERATION]", SERVED " after cancel-on-interrupt ", follow_run, "events as they come"},

    {"queues", "list", "", SERVED " tenant site troubled ", queues_run, "whose turn it is, and what holds them up"},
    {"queues", "show", "QUEUE", SERVED, queues_run, "one queue with its settings"},
    {"queues", "metrics", "QUEUE", SERVED " window ", queues_run, "what waits, and what went through it in ten minutes (--window: fewer)"},
    {"queues", "set", "QUEUE", SERVED WHY " max-running weight every burst max-depth overflow default-priority ", queues_run, "changes its settings"},
    {"queues", "pause", "QUEUE", SERVED WHY, queues_run, "no more starts; what runs goes on"},
    {"queues", "resume", "QUEUE", SERVED WHY, queues_run, "starts go on"},
    {"queues", "close", "QUEUE", SERVED WHY, queues_run, "takes no more jobs"},
    {"queues", "open", "QUEUE", SERVED WHY, queues_run, "takes jobs again"},
    {"queues", "unblock", "QUEUE", SERVED WHY, queues_run, "forgets that the site asked to wait"},
    {"queues", "purge", "QUEUE", SERVED WHY " dry-run yes ", queues_run, "cancels all jobs that wait in it"},

    {"workers", "list", "", SERVED, hands_run, "each, and what it does now"},
    {"workers", "show", "NUMBER", SERVED, hands_run, "one of them"},
    {"workers", "quiet", "NUMBER", SERVED " reason ", hands_run, "takes no further job; the one that it has goes on"},
    {"workers", "resume", "NUMBER", SERVED " reason ", hands_run, "takes jobs again"},
    {"workers", "stop", "NUMBER", SERVED " reason ", hands_run, "gives its job back and has no process until it is resumed"},
    {"workers", "kill", "NUMBER", SERVED " reason ", hands_run, "its process ends at once; its job is given back"},
    {"workers", "dump", "NUMBER", SERVED, hands_run, "what is known about it now"},
    {"workers", "scale", "[COUNT]", SERVED " reason wait ", hands_run, "so many of them; without a number: how many are wanted, busy, and would have work"},
    {"browsers", "list", "", SERVED, hands_run, "each, with its pages and its memory"},
    {"browsers", "show", "NUMBER", SERVED, hands_run, "one of them: its health, and why it is to be replaced"},
    {"browsers", "recycle", "NUMBER", SERVED " reason ", hands_run, "another one takes its place when its pages are done"},

    {"limits", "show", "", SERVED, limits_run, "all limits above queues"},
    {"limits", "set", "all|tenant|site|webhook [NAME]", SERVED WHY " max-running weight every burst ", limits_run, "changes one"},
    {"limits", "explain", "[webhook ID|domain HOST]", SERVED " tenant site class ", limits_run, "which limit wins, and why"},

    {"breakers", "list", "", SERVED " kind state all ", breakers_run, "those that are not simply closed"},
    {"breakers", "show", "KEY", SERVED, breakers_run, "one of them"},
    {"breakers", "open", "KEY", SERVED WHY " ttl dry-run ", breakers_run, "nothing of it starts"},
    {"breakers", "close", "KEY", SERVED WHY " ttl dry-run ", breakers_run, "it starts, whatever failed"},
    {"breakers", "reset", "KEY", SERVED WHY " ttl dry-run ", breakers_run, "closed, and it works by itself again"},

    {"nodes", "list", "", SERVED, nodes_run, "each, what it can do, and when it was last heard of"},

    {"mode", "show", "", SERVED, mode_run, "what the service does"},
    {"mode", "set", "normal|paused|draining|maintenance", SERVED WHY, mode_run, "changes it"},

    {"schedules", "list", "", SERVED " limit ", schedules_run, "all schedules"},
    {"schedules", "show", "SCHEDULE", SERVED, schedules_run, "one schedule"},
    {"schedules", "create", "NAME KIND TARGET", SERVED SCHEDULE, schedules_run, "a new one"},
    {"schedules", "change", "SCHEDULE KIND TARGET", SERVED SCHEDULE, schedules_run, "all of it anew"},
    {"schedules", "pause", "SCHEDULE", SERVED " reason dry-run ", schedules_run, "no more runs"},
    {"schedules", "resume", "SCHEDULE", SERVED " dry-run ", schedules_run, "runs go on"},
    {"schedules", "trigger", "SCHEDULE", SERVED WAIT " dry-run ", schedules_run, "one run now"},
    {"schedules", "backfill", "SCHEDULE", SERVED " from to dry-run ", schedules_run, "runs for passed slots that had none"},
    {"schedules", "preview", "[SCHEDULE]", SERVED TIMES " from limit ", schedules_run, "when it would be due"},
    {"schedules", "delete", "SCHEDULE", SERVED " dry-run ", schedules_run, "no more of it; its jobs stay"},
    {"schedules", "runs", "SCHEDULE", SERVED " limit ", schedules_run, "what became of its slots"},

    {"artifacts", "", "JOB", SERVED " out warc ", artifacts_run, "what a job read"},
    {"replay", "", "[JOB]", SERVED " site class failed apply ", replay_run, "its evidence through today's pack"},

    {"batches", "list", "", SERVED " limit ", batches_run, "the newest batches"},
    {"batches", "create", "KIND [TARGET...]", SERVED WISH WAIT " targets name open partial stop-after parallel on-complete on-success key dry-run ", batches_run, "many targets as one"},
    {"batches", "show", "BATCH", SERVED, batches_run, "how far it is"},
    {"batches", "wait", "BATCH", SERVED " timeout ", batches_run, "until all of its jobs have ended"},
    {"batches", "jobs", "BATCH", SERVED " state ", batches_run, "its jobs"},
    {"batches", "posts", "BATCH", SERVED RECORDS " all ", batches_run, "the posts of all its jobs"},
    {"batches", "users", "BATCH", SERVED RECORDS " all ", batches_run, "the users of all its jobs"},
    {"batches", "seal", "BATCH", SERVED, batches_run, "takes no more jobs"},
    {"batches", "cancel", "BATCH", SERVED " dry-run ", batches_run, "cancels what has not ended"},
    {"batches", "retry-failed", "BATCH", SERVED " per-minute reset dry-run ", batches_run, "its dead and expired jobs run again"},

    {"posts", "list", "JOB|BATCH", SERVED RECORDS " all ", records_run, "the posts that it brought"},
    {"users", "list", "JOB|BATCH", SERVED RECORDS " all ", records_run, "the users that it brought"},

    {"dead", "list", "", SERVED DEAD " limit ", dead_run, "groups of the same trouble"},
    {"dead", "show", "JOB", SERVED, dead_run, "why one failed, and what to do"},
    {"dead", "retry", "[JOB]", SERVED DEAD WAIT " all per-minute reset dry-run ", dead_run, "one, or those of a filter, run again"},
    {"dead", "delete", "[JOB]", SERVED DEAD " all yes dry-run ", dead_run, "one, or those of a filter, go"},

    {"operations", "list", "", SERVED " limit ", operations_run, "the newest"},
    {"operations", "show", "OPERATION", SERVED, operations_run, "how far it has come"},
    {"operations", "cancel", "OPERATION", SERVED, operations_run, "no further job; what is done stays"},

    {"sessions", "list", "", SERVED " pool site ", sessions_run, "with their state"},
    {"sessions", "add", "NAME", SERVED " pool site every burst from ", sessions_run, "one login, with its cookies"},
    {"sessions", "show", "SESSION", SERVED, sessions_run, "its facts, never its cookies"},
    {"sessions", "cookies", "SESSION", SERVED " from ", sessions_run, "new cookies for it"},
    {"sessions", "rotate", "SESSION", SERVED " from ", sessions_run, "other cookies in the place of those that it has"},
    {"sessions", "validate", "SESSION", SERVED, sessions_run, "visits the site with it"},
    {"sessions", "lock", "SESSION", SERVED " reason ", sessions_run, "takes it out"},
    {"sessions", "unlock", "SESSION", SERVED " reason ", sessions_run, "puts it back in"},
    {"sessions", "remove", "SESSION", SERVED " reason ", sessions_run, "forgets it"},

    {"webhooks", "list", "", SERVED, webhooks_run, "all receivers"},
    {"webhooks", "add", "URL", SERVED " types name secret ", webhooks_run, "one more; its secret is shown this once"},
    {"webhooks", "show", "WEBHOOK", SERVED, webhooks_run, "one receiver and how it does"},
    {"webhooks", "set", "WEBHOOK", SERVED " url types name ", webhooks_run, "changes what is named"},
    {"webhooks", "enable", "WEBHOOK", SERVED, webhooks_run, "it is told again"},
    {"webhooks", "disable", "WEBHOOK", SERVED, webhooks_run, "it is told nothing"},
    {"webhooks", "ping", "WEBHOOK", SERVED, webhooks_run, "sends it a delivery of type ping"},
    {"webhooks", "deliveries", "WEBHOOK", SERVED " state limit ", webhooks_run, "what became of each"},
    {"webhooks", "redeliver", "DELIVERY", SERVED, webhooks_run, "one event once more"},
    {"webhooks", "replay", "WEBHOOK", SERVED " from ", webhooks_run, "all events from a time on once more"},
    {"webhooks", "rotate", "WEBHOOK", SERVED " ttl secret ", webhooks_run, "another secret"},
    {"webhooks", "remove", "WEBHOOK", SERVED, webhooks_run, "forgets it"},
    {"webhooks", "verify", "ID TIMESTAMP SIGNATURES", LOCAL " secret ", webhooks_run, "whether standard input is signed with a secret"},

    {"api", "", "METHOD PATH", SERVED " data header paginate ", raw_run, "one request as it is said"},

    {"serve", "", "", " config set help ", serve_run, "the service itself"},

    {"site", "list", "", LOCAL, site_run, "the packs and their targets"},
    {"site", "show", "SITE", LOCAL, site_run, "what each target takes and reads"},
    {"site", "check", "[SITE]", LOCAL, site_run, "whether they are whole"},
    {"site", "test", "SITE FOLDER", LOCAL " accept ", site_run, "recorded answers against what is expected of them"},
    {"site", "diff", "FOLDER FOLDER FOLDER", LOCAL, site_run, "the same answers through two packs"},
    {"site", "fields", "[SITE]", SERVED " hours ", site_run, "where the fields of its records came from"},

    {"doctor", "", "", LOCAL, doctor_run, "checks this machine"},

    {"backup", "create", "FILE", LOCAL, backup_run, "what the store holds now"},
    {"backup", "verify", "FILE", LOCAL, backup_run, "reads all of it"},
    {"backup", "restore", "FILE", LOCAL, backup_run, "makes it a store again"},

    {"store", "move", "", LOCAL " from to dry-run verify abandon gone leave-aside quiet ", store_run, "all that one store holds, into another one"},

    {"config", "show", "", LOCAL, config_run, "what the profile says, and where each value is from"},
    {"config", "check", "[FILE]", CLIENT, config_run, "reads it; mistakes come with line and column"},
    {"config", "init", "[FILE]", CLIENT, config_run, "a sample with every setting"},

    {"completion", "", "bash|zsh|fish", " help ", completion_run, "the words of a shell's completion"},
    {"version", "", "", LOCAL, version_run, "of the program, the API and SQLite"},
    {"help", "", "[VERB] [ACTION]", " help ", help_run, "of all, of a verb, of an action"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct verb verbs[] = {
    {"get", NULL, "collect posts or users; starts a service for itself when none is running",
     "fulmar get posts @nasa --limit 200\n"
     "fulmar get hashtag '#opendata' --since 2026-02-01 --csv --out opendata.csv\n"
     "fulmar get search 'heat pump lang:en' -n 50 --json\n"
     "fulmar get posts @nasa --exclude replies,reposts --fields created_at,text,counts.like --csv\n"
     "fulmar get search 'heat pump' --product people --limit 100\n"
     "fulmar get thread https://x.com/nasa/status/1800000000000000000 --depth 1\n"
     "fulmar get followers @nasa --csv --out followers.csv\n"
     "fulmar get posts @nasa --limit 50 --media download --out nasa/\n",
     "Records go to standard output: a table on a terminal, else JSON, one record a line.\n"
     "Progress and the verdict go to standard error; the exit status says how it ended.\n"
     "A file given with --out gets its name when the job has ended; a device or a pipe is\n"
     "written as records come. Ctrl-C stops following; the job of a running service goes on.\n"
     "--media download --out FOLDER/ writes FOLDER/posts.ndjson and FOLDER/media/POST-1.jpg.\n"},
    {"jobs", "list", "submit jobs to a running service, look at them, and stop them",
     "fulmar jobs create posts @nasa --limit 200 --class bulk --not-before 2026-02-07\n"
     "fulmar jobs list [--state active] [--site x] [--failure drift] [--limit 20]\n"
     "fulmar jobs list --sort -finished_at --count estimate\n"
     "fulmar jobs list --state dead --fields id,target,failure -o jsonl\n"
     "fulmar jobs show JOB\n"
     "fulmar jobs cancel JOB... [--force] [--reason TEXT]\n"
     "fulmar jobs cancel --state ready [--site x] [--dry-run]\n"
     "fulmar jobs retry --failure timeout --since 2026-02-06 [--dry-run]\n"
     "fulmar jobs bulk orders.ndjson\n"
     "fulmar jobs retry JOB [--reset]\n"
     "fulmar jobs create posts @nasa --wait=10m\n"
     "fulmar jobs rerun JOB [--limit 500] [--wait]\n"
     "fulmar jobs set JOB --priority 9 --not-before none\n"
     "fulmar jobs hold JOB... --reason 'until the session is back'\n"
     "fulmar jobs release JOB...\n"
     "fulmar jobs delete JOB... [--yes]\n"
     "fulmar jobs attempts JOB\n"
     "fulmar jobs wait JOB... [--timeout 10m]\n"
     "fulmar jobs follow JOB\n"
     "fulmar jobs log JOB\n"
     "fulmar jobs rejected JOB\n"
     "fulmar jobs conflicts JOB\n",
     "Without an action it lists. JOB is the id that get and jobs list print: job_...\n"
     "create submits what get would, with the same flags, prints the id and does not wait, unless --wait.\n"
     "set changes one that waits; none takes a value back. A held job does not start, and its times go on.\n"
     "wait ends as the worst of them did, 3 when the time is over; follow prints what happens meanwhile.\n"
     "cancel: a waiting job ends at once, a running one stops by itself within --grace; with --force it is\n"
     "over at once, and what its worker still brings does not count. cancel, retry, hold, release and delete\n"
     "take ids, or a filter (as list does), or --all: look first with --dry-run; it asks, or wants --yes, and is\n"
     "an operation that goes on when this command has ended: fulmar operations show.\n"
     "rejected: records that failed a check and are no results, with their source and the reason.\n"
     "conflicts: fields on which two readings of one record disagree.\n"},
    {"status", NULL, "whether a running service is well, and if not, what is wrong",
     "fulmar status\n"
     "fulmar status -q\n"
     "fulmar status --jq '.checks[] | select(.state == \"fail\") | .detail'\n",
     "Ends with 10 when something has to be mended, 69 when no service answers. -q prints only what is not well.\n"},
    {"top", NULL, "what a running service does now: jobs, queues, workers, browsers, rates",
     "fulmar top\n"
     "fulmar top --every 5s\n",
     "Keys: q quit, p hold, r look now, ? help. Where standard output is no terminal it prints once.\n"},
    {"follow", NULL, "what happens to a job, a batch or an operation, or at all, as it happens",
     "fulmar follow JOB\n"
     "fulmar follow BATCH\n"
     "fulmar follow -o jsonl --jq .event\n",
     "Ends when that has ended, with its exit status; without an id with Ctrl-C. When the connection is\n"
     "lost or the service is started again, it goes on behind the last event: none is lost, none comes twice.\n"},
    {"queues", "list", "the queues of a running service: whose turn it is, and what holds them up",
     "fulmar queues list [--tenant NAME] [--site x] [--troubled]\n"
     "fulmar queues show default/x/normal\n"
     "fulmar queues metrics default/x/normal\n"
     "fulmar queues set press/x/bulk --max-running 2 --every 5s --weight default\n"
     "fulmar queues pause default/x/normal --reason 'the site is down'\n"
     "fulmar queues resume default/x/normal\n"
     "fulmar queues close|open|unblock QUEUE [--reason TEXT]\n"
     "fulmar queues purge QUEUE --reason TEXT [--dry-run] [--yes]\n",
     "A queue is TENANT/SITE/CLASS; without the tenant it is that of default. pause stops starts, and what\n"
     "runs goes on; close takes no more jobs; purge cancels those that wait; unblock forgets that the site\n"
     "asked to wait. What is default is as configured (lane.*).\n"},
    {"workers", "list", "what does the work of a node, and what each does now",
     "fulmar workers list\n"
     "fulmar workers show 1\n",
     NULL},
    {"browsers", "list", "the browsers of a node: pages, jobs served, age, memory",
     "fulmar browsers list\n"
     "fulmar browsers show 1\n",
     NULL},
    {"limits", "show", "limits of all queues, of tenants and of sites; which of them wins",
     "fulmar limits show\n"
     "fulmar limits set all --max-running 8\n"
     "fulmar limits set tenant press --max-running 4 --weight 200\n"
     "fulmar limits set site x --max-running 3 --every 2s --burst 2\n"
     "fulmar limits set webhook whk_... --max-running 2 --every 500ms\n"
     "fulmar limits explain [--tenant press] [--site x] [--class bulk] | webhook whk_...\n",
     "What is not named stays as it is. They stay over restarts.\n"},
    {"breakers", "list", "what keeps work from starting for a time: of queues, sites, sessions, webhooks, the store",
     "fulmar breakers list [--kind queue|site|session|webhook|store] [--state closed|open|half_open] [--all]\n"
     "fulmar breakers show default/x/normal | sites/x | sessions/NAME | webhooks/ID | store\n"
     "fulmar breakers open|close KEY --reason TEXT [--ttl 1h]\n"
     "fulmar breakers reset KEY\n",
     "open: no job of the queue starts; close: they start whatever the site does; both end by themselves.\n"
     "reset: closed, what was counted is forgotten, and it works by itself again.\n"},
    {"nodes", "list", "the nodes that share the store of a service",
     "fulmar nodes list\n",
     "up: heard of within 15 s. stopping: it takes no more jobs. stopped: it ended in order. silent: it hangs,\n"
     "is cut off or was killed; its jobs go on elsewhere. Forgotten after a day.\n"},
    {"mode", "show", "what the service as a whole does",
     "fulmar mode show\n"
     "fulmar mode set paused|draining|maintenance --reason TEXT\n"
     "fulmar mode set normal\n",
     "paused: takes jobs, starts none. draining: takes none, finishes those that it has. maintenance:\n"
     "neither. It stays so over restarts.\n"},
    {"schedules", "list", "make a job of a running service again and again",
     "fulmar schedules create nasa posts @nasa --adaptive 5m,1d --since-last\n"
     "fulmar schedules create trend hashtag '#opendata' --cron '30 2 * * *' --timezone Europe/Berlin\n"
     "fulmar schedules list\n"
     "fulmar schedules show|runs|trigger|pause|resume|delete NAME\n"
     "fulmar schedules change nasa posts @nasa --every 1h --since-last\n"
     "fulmar schedules backfill NAME --from 2026-02-01 --to 2026-02-06\n"
     "fulmar schedules preview NAME\n"
     "fulmar schedules preview --cron '30 2 * * *' --timezone Europe/Berlin --from 2026-10-24\n",
     "Without an action it lists. NAME is the schedule's name or its id. What a run collects is said as for\n"
     "get. With --since-last each run brings what is new. change gives all of it anew. preview shows\n"
     "the next 10 times in the time zone, --limit of them.\n"},
    {"artifacts", NULL, "what a job read, kept as evidence: answers, screenshot, page",
     "fulmar artifacts JOB [--out FOLDER] [--warc FILE.warc.gz]\n",
     "Without --out and --warc it lists them. By default only jobs that fail keep evidence;\n"
     "see evidence.keep in the configuration, and get --evidence. Ends with 5 when there is none.\n"},
    {"replay", NULL, "read a job's evidence again with today's site pack, without any traffic",
     "fulmar replay JOB [--site FOLDER] [--apply]\n"
     "fulmar replay --failed [--class drift] [--site FOLDER] [--apply]\n",
     "Says which records would come, go or change, and how the job would end. With --apply a dead\n"
     "job that reads well now gets these records and succeeds: partial, unless the evidence shows\n"
     "the end of the list. Ends with 0 when it reads well, else as the job would end (9 the site\n"
     "changed), 5 without evidence; with --failed with 2 when some do not read well.\n"},
    {"batches", "list", "many targets as one: made, counted, waited for, cancelled and retried together",
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
     "create takes the options of get; targets are words, or lines of --targets FILE (- is standard\n"
     "input). More than 1000 are sent in parts. BATCH is the id that create and list print: bat_...\n"
     "wait ends with 0 when all jobs succeeded, 2 when some did, 1 when none did, 4 when it was cancelled.\n"
     "posts (and users) writes the records of all its jobs, one a line, as they are now.\n"},
    {"posts", "list", "the posts that a job or a batch brought, however it ended",
     "fulmar posts list JOB >posts.ndjson\n"
     "fulmar posts list JOB -o csv --fields created_at,text,counts.like --out posts.csv\n"
     "fulmar posts list BATCH --all\n",
     "Also of a job that runs: what is there by now. A file gets its name when all of it is there; a stream that\n"
     "breaks leaves none. --all: of a batch also what another job of it has brought.\n"},
    {"users", "list", "the users that a job or a batch brought, however it ended",
     "fulmar users list JOB -o csv --out users.csv\n"
     "fulmar users list BATCH\n",
     "As for posts.\n"},
    {"dead", "list", "jobs that failed for good, in groups of the same trouble; take them up again, or delete them",
     "fulmar dead list [--class drift] [--site x] [--kind posts] [--since 2026-02-06]\n"
     "fulmar dead show JOB\n"
     "fulmar dead retry JOB [--reset]\n"
     "fulmar dead retry --class timeout --per-minute 30 [--dry-run]\n"
     "fulmar dead retry --fingerprint PRINT\n"
     "fulmar dead delete JOB --yes\n"
     "fulmar dead delete --class not_found --yes\n",
     "A group has one failure class, site and fingerprint: numbers, names and hosts in its words do not\n"
     "count. retry and delete want a job, a filter, or --all; many jobs are an operation that goes on\n"
     "when this command has ended: fulmar operations show. delete without --yes only counts.\n"},
    {"operations", "list", "what touches many jobs at once, and how far it has come",
     "fulmar operations list\n"
     "fulmar operations show OPERATION\n"
     "fulmar operations cancel OPERATION\n",
     "Without an action it lists. What a cancelled operation has done stays.\n"},
    {"sessions", "list", "your own logins at a site, for jobs that name their pool (get --pool POOL)",
     "fulmar sessions add NAME [--pool POOL] [--site x] [--every 20] [--from cookies.txt]\n"
     "fulmar sessions cookies NAME [--from cookies.txt]\n"
     "fulmar sessions list [--pool POOL]\n"
     "fulmar sessions show NAME\n"
     "fulmar sessions validate NAME\n"
     "fulmar sessions lock NAME [--reason TEXT]\n"
     "fulmar sessions unlock NAME\n"
     "fulmar sessions remove NAME\n",
     "Cookies come from --from FILE or standard input, never from the command line: what an extension\n"
     "or Playwright exports as JSON, cookies.txt, or the text of a Cookie header. They are sealed on\n"
     "the disk and never shown again. NAME may also be the id, ses_...\n"
     "validate visits the site with it: 0 when it is logged in, 1 when not, 75 when the site did not say.\n"},
    {"webhooks", "list", "receivers that are told what happens: signed, at least once, in order for each job",
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
     "Without an action it lists. WEBHOOK is the id that add and list print: whk_..., DELIVERY that of\n"
     "deliveries: dlv_... . The secret is shown once, when it is made. verify needs no service: it says\n"
     "whether what a receiver got is from the holder of the secret, as it was sent (65 when not).\n"},
    {"api", NULL, "one request to the service as it is said: what has no verb",
     "fulmar api GET /v1/jobs?state=dead --paginate -o jsonl\n"
     "fulmar api POST /v1/jobs -d '{\"kind\":\"posts\",\"target\":\"@nasa\"}'\n"
     "fulmar api PATCH /v1/queues/default/x/normal -d @settings.json -H 'If-Match: *'\n",
     "The answer goes to standard output as it comes, also a stream; a problem to standard error, with the exit\n"
     "status that goes with it.\n"},
    {"serve", NULL, "run the service in the foreground: API and page on http://127.0.0.1:8470",
     "fulmar serve [--config FILE] [--set NAME=VALUE]...\n",
     "Stop it with Ctrl-C or SIGTERM; jobs that were running go on at the next start.\n"
     "Every setting with its range and meaning: fulmar config init -\n"},
    {"site", "list", "look at site packs, and try them on recorded answers without any traffic",
     "fulmar site list\n"
     "fulmar site show x\n"
     "fulmar site check [NAME or FOLDER]\n"
     "fulmar site test x RECORDINGS [--accept]\n"
     "fulmar site diff FOLDER_BEFORE FOLDER_AFTER RECORDINGS\n"
     "fulmar site fields [NAME] [--hours 24]\n",
     "FOLDER is that of a pack, with site.yaml in it. RECORDINGS is a folder with bodies of the\n"
     "site's answers, OPERATION-anything.json; beside each may lie what is expected of it,\n"
     "OPERATION-anything.records.ndjson (test --accept writes it).\n"
     "fields asks a running service where the fields of its records came from, and marks what is\n"
     "not as it was in the days before; NAME is x unless given.\n"
     "Ends with 9 when test or diff finds a difference, 65 when a pack is broken.\n"},
    {"doctor", NULL, "check this machine; says how to mend what is wrong",
     "fulmar doctor [--json]\n",
     "Ends with 10 when something has to be mended.\n"},
    {"backup", NULL, "the job store in one file: take it, look at it, make it a store again",
     "fulmar backup create FILE [--json]\n"
     "fulmar backup verify FILE [--json]\n"
     "fulmar backup restore FILE [--json]\n",
     "create:  what the store of this configuration holds at this moment; a running service goes on.\n"
     "verify:  reads all of FILE.\n"
     "restore: makes FILE the store of this configuration, where there is none and no service runs.\n"
     "Files of media, evidence and the key of sessions lie beside the store and are not in it.\n"
     "Ends with 11 when there is a file or a store already, 65 when FILE is damaged.\n"},
    {"store", NULL, "move all that one store holds into another one: to several machines, and back",
     "fulmar store move --from sqlite: --to shared --dry-run\n"
     "fulmar store move --from sqlite:/var/lib/fulmar --to redis://queue:6379,postgresql://fulmar@archive/fulmar\n"
     "fulmar store move --from shared --to sqlite:/var/lib/fulmar\n",
     "A store is sqlite:FOLDER (the state directory; without FOLDER that of the configuration), or a Redis and a\n"
     "PostgreSQL, REDIS,POSTGRESQL as in store.queue and store.archive; shared: those of the configuration, whose\n"
     "passwords then stand in no command line. No service may use either. Both are marked until it is done;\n"
     "interrupted by whatever, the same command goes on. At the end both are read, and counted and summed up.\n"
     "--dry-run says what would be moved, and what cannot be. The source stays as it is, and no service starts on it\n"
     "any more; moving it back takes that away.\n"
     "Ends with 11 when a store is in use, or not what it has to be, 65 when something cannot be moved, or they differ.\n"},
    {"config", NULL, "check the configuration, write a sample with every setting, or look at the profile",
     "fulmar config check [FILE]\n"
     "fulmar config init [FILE]\n"
     "fulmar config show [--profile office]\n",
     "check: without FILE it reads the one that the service would read.\n"
     "init:  FILE - is standard output; without FILE it writes ~/.config/fulmar/fulmar.yaml,\n"
     "       as root /etc/fulmar/fulmar.yaml, and says so. It never writes over a file.\n"
     "show:  of this client: a flag wins over the environment, ./.fulmar.yaml, ~/.config/fulmar/client.yaml and\n"
     "       /etc/fulmar/client.yaml. A profile has server, config, output, site, tenant, pool and by.\n"},
    {"completion", NULL, "completion for a shell: verbs, actions, flags, ids, names and files",
     "fulmar completion bash >/etc/bash_completion.d/fulmar\n"
     "fulmar completion zsh >~/.zfunc/_fulmar\n"
     "fulmar completion fish >~/.config/fish/completions/fulmar.fish\n",
     "The shell asks this program at each Tab; ids and names are asked of the service, for 150 ms at most.\n"},
    {"version", NULL, "what this is",
     "fulmar version [--json]\n",
     NULL},
    {"help", NULL, "what a verb does, takes and gives",
     "fulmar help\n"
     "fulmar help jobs\n"
     "fulmar help jobs cancel\n"
     "fulmar help exit-codes\n",
     NULL},
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct exit_row exits[] = {
    {EXIT_DONE, "ok", "done; of a job: complete, confirmed empty, or as many records as asked for"},
    {EXIT_JOB_FAILED, "job_failed", "a job that was waited for failed"},
    {EXIT_PARTIAL, "partial", "a job is partial for another reason than its limit; some of several failed"},
    {EXIT_WAIT_TIMEOUT, "wait_timeout", "the time to wait is over; the work goes on"},
    {EXIT_CANCELLED, "cancelled", "somebody cancelled it; the answer to a question was no"},
    {EXIT_NOT_FOUND, "not_found", "the object or the target does not exist"},
    {EXIT_EMPTY, "empty_suspect", "no records, and no proof that there are none"},
    {EXIT_UNREACHED, "target_unavailable", "the target is protected, suspended or withheld"},
    {EXIT_BLOCKED, "blocked", "a challenge, or rate-limited for too long"},
    {EXIT_DRIFT, "drift", "the site answered in a shape we do not know"},
    {EXIT_UNHEALTHY, "unhealthy", "something has to be mended"},
    {EXIT_CONFLICT, "conflict", "not possible in this state"},
    {EXIT_USAGE, "usage", "wrong call: a verb, a flag or its value"},
    {EXIT_DATA, "data", "a value was refused; a file is damaged"},
    {EXIT_NO_INPUT, "no_input", "a file is not there"},
    {EXIT_UNAVAILABLE, "unavailable", "no service answers, or one cannot start here"},
    {EXIT_SOFTWARE, "software", "internal error, here or in the service"},
    {EXIT_CANNOT_CREATE, "cannot_create", "the output cannot be created"},
    {EXIT_IO, "io", "read or write error, disk full"},
    {EXIT_TRY_LATER, "try_later", "busy, stopping, draining or limited: try again"},
    {EXIT_PROTOCOL, "protocol", "what answers is not Fulmar"},
    {EXIT_NO_PERMISSION, "no_permission", "not permitted, or a login is needed"},
    {EXIT_CONFIG, "config", "the configuration is not valid"},
    {EXIT_INTERRUPTED, "interrupted", "Ctrl-C"},
    {EXIT_TERMINATED, "terminated", "SIGTERM"},
};
/* clang-format on */

const struct flag *flags_all(size_t *out_count)
{
    *out_count = FLAGS;
    return flags;
}

const struct command *commands_all(size_t *out_count)
{
    *out_count = COMMANDS;
    return commands;
}

const struct verb *verbs_all(size_t *out_count)
{
    *out_count = VERBS;
    return verbs;
}

const struct exit_row *exits_all(size_t *out_count)
{
    *out_count = sizeof exits / sizeof *exits;
    return exits;
}

const struct flag *flag_named(struct span name)
{
    for (size_t i = 0; i < FLAGS; i++)
        if (span_is(name, flags[i].name) || (name.n == 1 && flags[i].letter == name.p[0]))
            return &flags[i];
    return NULL;
}

const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const struct command *command_named(const char *verb, const char *action)
{
    const struct verb *v = verb_named(verb);
    if (!v)
        return NULL;
    if (!action)
        action = v->usual ? v->usual : "";
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].verb, verb) == 0 &&
            (!*commands[i].action || strcmp(commands[i].action, action) == 0))
            return &commands[i];
    return NULL;
}

size_t actions_of(const char *verb, const char **out, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < COMMANDS && n + 1 < most; i++)
        if (strcmp(commands[i].verb, verb) == 0 && *commands[i].action)
            out[n++] = commands[i].action;
    out[n] = NULL;
    return n;
}

bool command_takes(const struct command *command, const struct flag *flag)
{
    struct span rest = span_of(command->flags), name;
    while (span_next(&rest, ' ', &name))
        if (span_is(name, flag->name))
            return true;
    return false;
}
