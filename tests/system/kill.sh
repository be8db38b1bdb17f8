#!/bin/bash
# Kill matrix: each process × each phase of a job, with KILL and STOP. Results equal the truth each
# time; no process and no folder is left. CASES limits it ("node:KILL worker:STOP …").
OUT=$1
. "$(dirname "$0")/lib.sh"

start_practice
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
browser:
  count: 2
  probe_every: 500ms
  probe_timeout: 1500ms
  command_timeout: 3s
job:
  lease: 3s
  grace: 500ms
  stall_timeout: 4s
  batch_timeout: 3s
  attempt_timeout: 30s
  retry_base: 50ms
  retry_cap: 200ms
  fail_max: 20
  crash_max: 10
EOF
start_service
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":30}'

events() { call "http://fulmar/v1/jobs/$1/log" 2>/dev/null; }
# Phases by what can be seen from outside.
reached() { # PHASE JOB
    case $1 in
    reserve) events "$2" | grep -q job.started || job_ended "$2" ;;
    navigate) [ "$(job "$2" | jq -r '.state')" != ready ] ;;
    capture) [ "$(job "$2" | jq -r '.counts.posts // 0')" -ge 20 ] || job_ended "$2" ;;
    commit) [ "$(job "$2" | jq -r '.counts.posts // 0')" -ge 60 ] || job_ended "$2" ;;
    finish) [ "$(job "$2" | jq -r '.counts.posts // 0')" -ge 120 ] || job_ended "$2" ;;
    open) true ;;
    esac
}

total=0
run_case() { # ROLE SIGNAL PHASE
    local id pid
    id=$(submit posts @practice_500 140)
    [ -n "$id" ] || die "$1 $2 $3: job not accepted"
    wait_until 20 "$1 $2: phase $3" reached "$3" "$id"
    pid=$(role_pids "$1" | head -1)
    [ -n "$pid" ] || die "$1 $2 $3: no such process"
    kill "-$2" "$pid" 2>/dev/null
    if [ "$1" = supervisor ]; then
        wait "$SERVICE_PID" 2>/dev/null
        wait_until 10 "everything follows the supervisor: $(ours)" nothing_left
        start_service
    elif [ "$2" = KILL ]; then
        wait_until 20 "API answers again" api_up
    fi
    if [ "$2" = STOP ] && [ "$1" != browser ]; then
        # A stopped process of ours goes on later: what it did meanwhile must change nothing.
        sleep 0.3
        kill -CONT "$pid" 2>/dev/null
    fi
    wait_job "$id" 60
    [ "$(job_state "$id")" = succeeded ] || die "$1 $2 $3: $(job "$id" | jq -c '{state,failure}')"
    same_as_truth "$id" posts @practice_500 140 || die "$1 $2 $3: differs from the truth"
    total=$((total + 1))
}

for role in ${ROLES:-worker browser node egress supervisor}; do
    for signal in ${SIGNALS:-KILL STOP}; do
        [ "$role:$signal" = supervisor:STOP ] && continue
        for phase in ${PHASES:-reserve open navigate capture commit finish}; do
            run_case "$role" "$signal" "$phase"
        done
        say "kill: $role $signal ok"
    done
done
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "kill: $total cases, all results equal the truth"
