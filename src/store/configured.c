#include "store/configured.h"

struct store_limits configured_limits(const struct settings *s)
{
    return (struct store_limits){
        .ready_max = SETTING(s, store, ready_max),
        .disk_floor_bytes = SETTING(s, store, disk_floor),
        .fail_max = SETTING(s, job, fail_max),
        .crash_max = SETTING(s, job, crash_max),
        .throttle_max = SETTING(s, job, throttle_max),
        .retry_base_ms = SETTING(s, job, retry_base),
        .retry_cap_ms = SETTING(s, job, retry_cap),
        .lane_max_active = SETTING(s, lane, max_active),
        .lane_emit_ms = SETTING(s, lane, emit),
        .pace = {SETTING(s, lane, pace_least), SETTING(s, lane, pace_clean)},
        .lane_burst = SETTING(s, lane, burst),
        .retry_floor = SETTING(s, lane, retry_floor),
        .retry_percent = SETTING(s, lane, retry_share),
        .active_max = SETTING(s, queue, active_max),
        .lanes_max = SETTING(s, queue, lanes_max),
        .attempt_ms = SETTING(s, job, attempt_timeout),
        .lease_ms = SETTING(s, job, lease),
        .rollback_ms = SETTING(s, store, rollback_window),
        .evidence_age_ms = SETTING(s, evidence, age),
        .evidence_bytes = SETTING(s, evidence, bytes),
        .evidence_job_bytes = SETTING(s, evidence, job_bytes),
        .evidence_job_count = SETTING(s, evidence, job_count)};
}
