#!/bin/bash
# jobs.sh OUT: the service and the reference doing the same jobs at the same number of jobs at once.
#
# JOBS (40) jobs of POSTS (100) posts of one account of the practice site, all submitted at once, for
# each worker count in WORKERS ("1 2 4 8"). A line of name=value pairs for each program, then their
# ratio. Before it counts, as many jobs as there are workers run as a warm-up.
OUT=$1
. "$(dirname "$0")/lib.sh"
JOBS=${JOBS:-40}
WORKERS=${WORKERS:-1 2 4 8}

half_done() { [ "$(unended)" -le $((JOBS / 2)) ]; }

service() { # WORKERS BROWSERS → LINE
    local idle before after
    cat >"$WORK/extra.yaml" <<EOT
queue:
  coalesce: false # equal jobs are meant to run each
worker:
  count: $1
browser:
  count: $2
  jobs_max: 100000
  growth_max: 1000
lane:
  max_active: 64
EOT
    rm -rf "$WORK/fulmar.yaml" "$WORK/state"
    start_service
    idle=$(cost "$SERVICE_PID")
    submit_all "$1" "$POSTS"
    wait_until 120 "the warm-up ends" all_ended
    settle "$SERVICE_PID" "$(value browser_n "$idle")"
    local browsers
    browsers=$(browser_pids)
    before=$(cost "$SERVICE_PID")
    submit_all "$JOBS" "$POSTS" --parallel --parallel-max 40
    wait_until 600 "half of the jobs end" half_done
    local mem
    mem=$(memory "$SERVICE_PID")
    wait_until 600 "all jobs end" all_ended
    settle "$SERVICE_PID" "$(value browser_n "$idle")"
    after=$(cost "$SERVICE_PID")
    [ "$browsers" = "$(browser_pids)" ] || die "a browser was replaced: its CPU would be counted as ours"
    read_views "$POSTS"
    same_as_truth "$(head -1 "$WORK/ids")" posts "@$HANDLE" "$POSTS" || die "a result differs from the truth"
    stop_service || die "the service did not stop in order"
    local took seconds
    took=$(jq '.timings.running_ms' "$WORK/views" | ranks)
    seconds=$(jq -s '
        def ms: (.[:19] + "Z" | fromdate) * 1000 + (.[20:23] | tonumber);
        ((map(.finished_at | ms) | max) - (map(.created_at | ms) | min)) / 1000' "$WORK/views")
    LINE=$(awk -v jobs="$JOBS" -v workers="$1" -v browsers="$2" -v seconds="$seconds" -v took="$took" \
        -v ours="$(($(value ours_ms "$after") - $(value ours_ms "$before")))" \
        -v browser="$(($(value browser_ms "$after") - $(value browser_ms "$before")))" \
        -v ours_pss="$(value ours_pss_mb "$mem")" -v browser_pss="$(value browser_pss_mb "$mem")" 'BEGIN {
            split(took, t, " ")
            printf "program=service jobs=%d at_once=%d browsers=%d seconds=%.2f jobs_per_min=%.1f median_ms=%d p95_ms=%d browser_cpu_ms=%.0f own_cpu_ms=%.1f browser_pss_mb=%.0f own_pss_mb=%.1f\n",
                jobs, workers, browsers, seconds, jobs * 60 / seconds, t[1], t[2], browser / jobs, ours / jobs, browser_pss, ours_pss
        }')
}

start_site
for workers in $WORKERS; do
    browsers=1
    [ "$workers" -gt 4 ] && browsers=2
    service "$workers" "$browsers"
    ours=$LINE
    say "$ours"
    least=$("$OUT/bench/reference" --site "$SITE" --handle "$HANDLE" --posts "$POSTS" --jobs "$JOBS" \
        --at-once "$workers" --browsers "$browsers" --binary "$CHROMIUM") || die "the reference failed"
    say "$least"
    awk -v a="$(value jobs_per_min "$ours")" -v b="$(value jobs_per_min "$least")" -v workers="$workers" \
        -v c="$(value median_ms "$ours")" -v d="$(value median_ms "$least")" \
        -v e="$(value browser_cpu_ms "$ours")" -v f="$(value browser_cpu_ms "$least")" 'BEGIN {
            printf "program=ratio at_once=%d jobs_per_min=%.2f median=%.2f browser_cpu=%.2f\n", workers, a / b, c / d, e / f
        }'
done
