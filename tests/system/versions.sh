#!/bin/bash
# This version and an earlier one on one store. $1: programs; OLD: the folder of the earlier one, built
# (`make versions` does that for a commit). First the embedded store: the new one takes it over from the old one, gives it
# back, and takes it over again, each time from a service that was killed with jobs on their way; then two nodes, one of
# each, on one Redis and PostgreSQL with kills (nodes.sh). Every job ends, and records equal the truth.
OUT=$1
. "$(dirname "$0")/lib.sh"
OLD=$(realpath "${OLD:?folder of an earlier version, built}")
NEW=$OUT JOBS=${VERSION_JOBS:-24}
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 4
job:
  lease: 5s
  retry_base: 200ms
  retry_cap: 2s
EOF
start_practice
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":150}'
declare -A limits

start_version() { # PROGRAMS ROOT
    OUT=$1
    ROOT=$2 write_config # each with its own packs
    start_service
}
kill_service() { # the whole tree at one moment
    # shellcheck disable=SC2046
    kill -KILL "$SERVICE_PID" $(tree "$SERVICE_PID") 2>/dev/null
    wait "$SERVICE_PID" 2>/dev/null
    for pid in $(pgrep -f "$WORK/state"); do kill -KILL "$pid" 2>/dev/null; done
}
give() { # FROM: jobs whose accounts begin there
    local n id
    for ((n = $1; n < $1 + JOBS; n++)); do
        id=$(submit posts "@practice_$n" $((20 + n * 7919 % 60)))
        [ -n "$id" ] || die "job $n was not accepted"
        limits[$id]="@practice_$n $((20 + n * 7919 % 60))"
    done
}
some_run() { [ "$(call http://fulmar/metrics | awk '/^fulmar_jobs\{state="succeeded"/ {print $2}')" -ge "$1" ]; }

turn=0
for version in old new old new; do
    [ $version = old ] && start_version "$OLD/out/release" "$OLD" || start_version "$NEW" "$ROOT"
    turn=$((turn + 1))
    give $((turn * 100))
    wait_until 60 "jobs of turn $turn run" some_run $((turn * JOBS / 4))
    [ $turn = 4 ] || kill_service
done
for id in "${!limits[@]}"; do
    wait_job "$id" 120
    [ "$(job_state "$id")" = succeeded ] || die "$id ${limits[$id]}: $(job "$id" | jq -c '{state,failure,attempts}')"
    # shellcheck disable=SC2086
    same_as_truth "$id" posts ${limits[$id]} || die "$id ${limits[$id]} differs from the truth"
done
[ "$(call "http://fulmar/v1/jobs?limit=200" | jq '.data | length')" = ${#limits[@]} ] || die "there are jobs that nobody gave"
say "versions: ${#limits[@]} jobs over one job store that went from the earlier version to this one, back, and here again: all equal the truth"
stop_service || die "this version did not stop in order"
OUT_south=$OLD/out/release NODES_JOBS=${NODES_JOBS:-200} KILLS=${KILLS:-12} bash "$ROOT/tests/system/nodes.sh" "$NEW"
