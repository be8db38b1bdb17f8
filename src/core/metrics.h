/* metrics.h - every metric: THE table. A row gives name, type, unit, label values and help; the row
 * gives the number, the /metrics text and the docs page. Labels come from closed lists. Thread-safe. */
#pragma once

#include "base/span.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*  X(id, "fulmar_name", type, "label key or empty", "label values", "help") – histograms are in ms,
 *  exposed in seconds. */
#define METRICS_TABLE(X)                                                                                                                                                                          \
    X(JOBS_SUBMITTED, "fulmar_jobs_submitted_total", METRIC_COUNTER, "", "", "jobs accepted")                                                                                                     \
    X(JOBS_FINISHED, "fulmar_jobs_finished_total", METRIC_COUNTER, "outcome",                                                                                                                     \
      "complete partial empty_confirmed sampled dead cancelled expired",                                                                                                                          \
      "jobs ended, by outcome")                                                                                                                                                                   \
    X(JOB_FAILURES, "fulmar_job_failures_total", METRIC_COUNTER, "class",                                                                                                                         \
      "bad_input not_found protected suspended withheld login_required session_invalid rate_limited blocked network timeout stuck browser drift empty_suspect resource crash cancelled internal", \
      "attempts that failed, by class")                                                                                                                                                           \
    X(JOBS, "fulmar_jobs", METRIC_GAUGE, "state",                                                                                                                                                 \
      "blocked scheduled ready active succeeded dead cancelled expired",                                                                                                                          \
      "jobs in the store, by state")                                                                                                                                                              \
    X(RUNNABLE, "fulmar_jobs_runnable", METRIC_GAUGE, "", "",                                                                                                                                     \
      "ready jobs of lanes that nothing holds up: what more workers would take")                                                                                                                  \
    X(JOBS_DELETED, "fulmar_jobs_deleted_total", METRIC_COUNTER, "limit",                                                                                                                         \
      "age jobs bytes dead_age dead_jobs",                                                                                                                                                        \
      "ended jobs deleted, by the limit that was exceeded: store.retention*, dead.retention*")                                                                                                    \
    X(QUEUE_LOOKED, "fulmar_queue_looked_timestamp_seconds", METRIC_GAUGE, "", "",                                                                                                                \
      "when this node last asked the queue what it could do, and was answered: seconds since 1970")                                                                                               \
    X(QUEUE_SILENT, "fulmar_queue_wake_silent_ms", METRIC_GAUGE, "", "",                                                                                                                          \
      "of several machines: so long whoever tells this node of work has had no answer; 0 while that is well, or not asked")                                                                       \
    X(QUEUE_REPAIRS, "fulmar_queue_repairs_total", METRIC_COUNTER, "", "",                                                                                                                        \
      "entries of a shared queue that did not say what its jobs say, and were put right")                                                                                                         \
    X(QUEUE_LOSSES, "fulmar_queue_losses_total", METRIC_COUNTER, "", "",                                                                                                                          \
      "times that the shared queue was found to have lost what this node knew of")                                                                                                                \
    X(QUEUE_LOST, "fulmar_queue_lost_total", METRIC_COUNTER, "what", "events jobs",                                                                                                               \
      "what it had lost: events at least, and jobs that this node had accepted")                                                                                                                  \
    X(SPOOL, "fulmar_spool_jobs", METRIC_GAUGE, "state", "waiting handed_over aside stuck",                                                                                                       \
      "jobs on this node's disk, those of batches included, that were taken while the queue was away: those that it does not have yet, those that are kept until they are "                       \
      "safe there, those that could not be handed over; of those that wait, those that the queue does not take though it is there")                                                               \
    X(SPOOL_AGE, "fulmar_spool_oldest_ms", METRIC_GAUGE, "", "",                                                                                                                                  \
      "since when the first of those that wait has been there")                                                                                                                                   \
    X(SPOOLED, "fulmar_spooled_jobs_total", METRIC_COUNTER, "outcome",                                                                                                                            \
      "taken handed_over aside kept not_kept",                                                                                                                                                    \
      "jobs taken while the queue was away, and what became of them; copies of others (store.spool: always)")                                                                                     \
    X(RECORD_BYTES, "fulmar_record_bytes", METRIC_GAUGE, "", "",                                                                                                                                  \
      "bytes of records of ended jobs, dead ones apart")                                                                                                                                          \
    X(LANES, "fulmar_lanes", METRIC_GAUGE, "state",                                                                                                                                               \
      "open full blocked breaker_open paused session",                                                                                                                                            \
      "lanes with jobs, by what holds them up")                                                                                                                                                   \
    X(NODES, "fulmar_nodes", METRIC_GAUGE, "state", "up stopping stopped silent",                                                                                                                 \
      "nodes that share the store, as this one sees them")                                                                                                                                        \
    X(QUEUE_WAIT, "fulmar_queue_wait_seconds", METRIC_HISTOGRAM, "", "",                                                                                                                          \
      "from accepted or due to started")                                                                                                                                                          \
    X(JOB_DURATION, "fulmar_job_duration_seconds", METRIC_HISTOGRAM, "", "",                                                                                                                      \
      "from start to end of an attempt")                                                                                                                                                          \
    X(JOB_STALE, "fulmar_jobs_duplicate_execution_total", METRIC_COUNTER, "", "",                                                                                                                 \
      "calls of a lease that was no longer held")                                                                                                                                                 \
    X(POSTS, "fulmar_posts_extracted_total", METRIC_COUNTER, "", "", "posts committed")                                                                                                           \
    X(REJECTED, "fulmar_records_rejected_total", METRIC_COUNTER, "", "",                                                                                                                          \
      "records kept apart: they failed a check")                                                                                                                                                  \
    X(CONFLICTS, "fulmar_record_conflicts_total", METRIC_COUNTER, "", "",                                                                                                                         \
      "records whose two readings disagree in a field")                                                                                                                                           \
    X(DRIFT, "fulmar_drift_fields", METRIC_GAUGE, "mark", "missing fallback member",                                                                                                              \
      "fields of all sites that are not read as in the week before; fulmar site fields names them")                                                                                               \
    X(SCHEDULE_SLOTS, "fulmar_schedule_slots_total", METRIC_COUNTER, "outcome",                                                                                                                   \
      "made pending skipped missed",                                                                                                                                                              \
      "slots of schedules that were due: job made; to be made when the running one has ended; left out as one was still alive; not run, nobody was there")                                        \
    X(WEBHOOKS, "fulmar_webhooks", METRIC_GAUGE, "", "", "webhooks that are switched on")                                                                                                         \
    X(WEBHOOK_DELIVERIES, "fulmar_webhook_deliveries_total", METRIC_COUNTER, "outcome",                                                                                                           \
      "delivered failed dead",                                                                                                                                                                    \
      "attempts to deliver an event to a webhook: it arrived; it did not, and is tried again or was the last try; deliveries that were given up")                                                 \
    X(WEBHOOK_MISSED, "fulmar_webhook_missed_events_total", METRIC_COUNTER, "", "",                                                                                                               \
      "events that retention took before a webhook could be told of them")                                                                                                                        \
    X(WORKERS_DESIRED, "fulmar_workers_desired", METRIC_GAUGE, "", "",                                                                                                                            \
      "workers that would have work now: busy ones, and one for each job that nothing but workers holds up; as many as there may be at most")                                                     \
    X(WORKERS, "fulmar_workers", METRIC_GAUGE, "state", "starting idle busy stopping",                                                                                                            \
      "worker processes by state")                                                                                                                                                                \
    X(WORKER_RESTARTS, "fulmar_worker_restarts_total", METRIC_COUNTER, "reason",                                                                                                                  \
      "crash retired killed packs version",                                                                                                                                                       \
      "workers replaced; packs: for others that were reloaded; version: it had read others than node")                                                                                            \
    X(SITE_RELOADS, "fulmar_site_reloads_total", METRIC_COUNTER, "result",                                                                                                                        \
      "loaded refused removed", "changes of site packs, by what became of them")                                                                                                                  \
    X(BROWSERS, "fulmar_browsers", METRIC_GAUGE, "state", "starting ready draining",                                                                                                              \
      "browsers by state")                                                                                                                                                                        \
    X(BROWSER_LAUNCHES, "fulmar_browser_launches_total", METRIC_COUNTER, "result",                                                                                                                \
      "ok failed", "browser starts")                                                                                                                                                              \
    X(NODE_EMPTIED, "fulmar_node_emptied_total", METRIC_COUNTER, "", "",                                                                                                                          \
      "times that this node took no job until one that needs much memory had room")                                                                                                               \
    X(BROWSER_EXITS, "fulmar_browser_exits_total", METRIC_COUNTER, "reason",                                                                                                                      \
      "crash recycle_age recycle_asked recycle_jobs recycle_memory probe_failed hang shutdown",                                                                                                   \
      "browser ends")                                                                                                                                                                             \
    X(BROWSER_CONTEXTS, "fulmar_browser_contexts", METRIC_GAUGE, "", "", "contexts open")                                                                                                         \
    X(RENDERER_CRASHES, "fulmar_renderer_crashes_total", METRIC_COUNTER, "", "",                                                                                                                  \
      "pages that crashed or were killed")                                                                                                                                                        \
    X(CDP_COMMANDS, "fulmar_cdp_commands_total", METRIC_COUNTER, "result",                                                                                                                        \
      "ok error timeout dropped", "DevTools commands")                                                                                                                                            \
    X(PROBE_FAILURES, "fulmar_browser_probe_failures_total", METRIC_COUNTER, "", "",                                                                                                              \
      "failed health probes")                                                                                                                                                                     \
    X(HTTP_REQUESTS, "fulmar_http_requests_total", METRIC_COUNTER, "code", "2xx 3xx 4xx 5xx",                                                                                                     \
      "HTTP answers")                                                                                                                                                                             \
    X(STORE_TX, "fulmar_store_tx_seconds", METRIC_HISTOGRAM, "", "", "one group commit")                                                                                                          \
    X(STORE_OPS, "fulmar_store_operations_total", METRIC_COUNTER, "result",                                                                                                                       \
      "ok refused failed", "store operations")                                                                                                                                                    \
    X(EVIDENCE, "fulmar_evidence_pieces_total", METRIC_COUNTER, "result", "kept not_kept",                                                                                                        \
      "pieces of evidence offered to the store")                                                                                                                                                  \
    X(EVIDENCE_BYTES, "fulmar_evidence_bytes", METRIC_GAUGE, "", "",                                                                                                                              \
      "bytes of evidence on the disk, compressed")                                                                                                                                                \
    X(JOBS_REPAIRED, "fulmar_jobs_repaired_total", METRIC_COUNTER, "", "",                                                                                                                        \
      "dead jobs that succeeded when their evidence was read again")                                                                                                                              \
    X(FILES, "fulmar_files", METRIC_GAUGE, "", "", "media files kept")                                                                                                                            \
    X(FILE_BYTES, "fulmar_file_bytes", METRIC_GAUGE, "", "", "bytes of media files kept")                                                                                                         \
    X(DOWNLOADS, "fulmar_downloads_total", METRIC_COUNTER, "outcome", "kept reused failed",                                                                                                       \
      "media files asked for, by outcome")                                                                                                                                                        \
    X(DOWNLOAD_BYTES, "fulmar_download_bytes_total", METRIC_COUNTER, "", "",                                                                                                                      \
      "bytes of media files fetched")                                                                                                                                                             \
    X(STORE_READS_CUT, "fulmar_store_reads_cut_total", METRIC_COUNTER, "", "",                                                                                                                    \
      "answers that took longer to read than store.read_timeout, or kept the log from being shortened, and were cut off")                                                                         \
    X(STORE_CHECK, "fulmar_store_check", METRIC_GAUGE, "", "",                                                                                                                                    \
      "0: the store's file was looked at wholly and is sound; 1: a large one is still looked at; 2: it is damaged, as the log says")                                                              \
    X(CLOCK_AHEAD, "fulmar_clock_ahead_ms", METRIC_GAUGE, "", "",                                                                                                                                 \
      "milliseconds that the clock on the wall is ahead of the store's time, which follows it by a tenth of what passes")                                                                         \
    X(CLOCK_STEPS, "fulmar_clock_steps_total", METRIC_COUNTER, "", "",                                                                                                                            \
      "times that the clock on the wall was set by more than a second, or was found wrong at the start")                                                                                          \
    X(MISSED_WAKEUPS, "fulmar_store_missed_wakeups_total", METRIC_COUNTER, "", "",                                                                                                                \
      "work found only by the safety poll; must stay 0")                                                                                                                                          \
    X(LOOP_SLOW, "fulmar_loop_slow_callbacks_total", METRIC_COUNTER, "", "",                                                                                                                      \
      "callbacks that held the loop above 2 ms")                                                                                                                                                  \
    X(SSE_CLIENTS, "fulmar_sse_clients", METRIC_GAUGE, "", "", "event streams open")

#define METRIC_ID(id, name, type, key, values, help) METRIC_##id,
enum metric_id { METRICS_TABLE(METRIC_ID) METRICS_COUNT };
#undef METRIC_ID

/* label: index into the row's values (0 when it has none); out of range counts as bug. */
void metric_add(enum metric_id id, int label, int64_t n);
void metric_set(enum metric_id id, int label, int64_t v);
void metric_time(enum metric_id id, int64_t ms);
int64_t metric_get(enum metric_id id, int label);
/* Index of a label value by name, or -1. */
int metric_label(enum metric_id id, struct span value);
/* Prometheus text 0.0.4 of all rows, zeros included. */
void metrics_write(struct buf *out);
