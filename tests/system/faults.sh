#!/bin/bash
# Pages that hang, loop, crash or eat memory end with the right class inside their limits, while
# neighbours finish unharmed; facts about targets end as facts.
OUT=$1
. "$(dirname "$0")/lib.sh"
STRATEGY=capture # what reads the page itself instead is the matter of dom.sh
start_practice
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 4
browser:
  count: 1
  probe_every: 1s
  probe_timeout: 3s
job:
  navigate_timeout: 3s
  batch_timeout: 5s
  stall_timeout: 10s
  attempt_timeout: 20s
  grace: 1s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 2
  crash_max: 2
  throttle_max: 2
  memory_max: 300MiB
EOF
start_service
expect() { # TARGET CLASSES…
    local target=$1 id
    shift
    id=$(submit posts "@$target" 40)
    [ -n "$id" ] || die "$target was not accepted"
    wait_job "$id" 90
    local class
    class=$(job_class "$id")
    case " $* " in *" $class "*) ;; *) die "@$target ended as $class, not $*: $(job "$id" | jq -c .)" ;; esac
    [ -n "$(job "$id" | jq -r '.failure.why // empty')" ] || die "@$target: no words"
    say "faults: @$target → $class"
    check
    # A good job between two bad ones: five bad ones in a row would open the lane's breaker.
    id=$(submit posts @practice_small 5)
    wait_job "$id" 30
    same_as_truth "$id" posts @practice_small 5 || die "the job after @$target differs from the truth"
}
neighbour=$(submit posts @practice_500 300)
expect suspended_one suspended
expect protected_one protected
expect missing_one not_found
expect fault_never timeout stuck
expect fault_hang timeout network
expect fault_loop timeout stuck
expect fault_memory resource crash
expect fault_crash crash resource
expect fault_5xx network
expect fault_cut network
expect fault_drift drift
expect fault_empty empty_suspect
expect fault_login login_required
expect fault_429 rate_limited
expect fault_redirect network
wait_job "$neighbour" 60
same_as_truth "$neighbour" posts @practice_500 300 || die "the neighbour was harmed"
id=$(submit posts @practice_empty 10)
wait_job "$id" 30
[ "$(job "$id" | jq -r .verdict)" = empty_confirmed ] || die "practice_empty: $(job "$id" | jq -c .)"
id=$(submit posts @practice_small)
wait_job "$id" 30
[ "$(job "$id" | jq -r .verdict)" = complete ] || die "practice_small: $(job "$id" | jq -c .)"
same_as_truth "$id" posts @practice_small || die "practice_small"

# Workers that die before they have read their job: a crash, but none of the job's.
# shellcheck disable=SC2046
kill -STOP $(role_pids worker)
id=$(submit posts @practice_small)
taken_up() { [ "$(job_state "$1")" = active ]; }
wait_until 10 "a worker is given the job" taken_up "$id"
# shellcheck disable=SC2046
kill -KILL $(role_pids worker)
wait_job "$id" 30
same_as_truth "$id" posts @practice_small || die "given to dead workers: $(job "$id" | jq -c '{state,failure,attempts}')"
[ "$(job "$id" | jq '.attempts | .crashed == 0 and .released > 0')" = true ] || die "a job was charged for workers that never saw it: $(job "$id" | jq -c .attempts)"
check
id=$(submit posts @practice_huge)
wait_until 20 "practice_huge runs" test "$(job_state "$id")" = active
call -X POST "http://fulmar/v1/jobs/$id/cancel" >/dev/null
wait_job "$id" 15
[ "$(job_state "$id")" = cancelled ] || die "cancel: $(job "$id" | jq -c .)"

# A job that asks for tries and delays of its own, longer ones than those that are configured.
id=$(fulmar jobs create posts @fault_empty --strategy capture --retry-max 3 --retry-base 400ms --retry-cap 600ms --retry-factor 3 2>/dev/null)
wait_job "$id" 60
[ "$(job "$id" | jq -c '[.state,.attempts.failed,.attempts.failed_in_row,.attempts.max_failed]')" = '["dead",3,3,3]' ] ||
    die "tries of its own: $(job "$id" | jq -c '{state,failure,attempts}')"
delays=$(call "http://fulmar/v1/jobs/$id/log" | jq -c 'select(.event == "job.retrying") | .data.retry_in_ms' | paste -sd' ')
read -r first second <<<"$delays"
[ "$first" -ge 200 ] && [ "$first" -le 400 ] && [ "$second" -ge 300 ] && [ "$second" -le 600 ] || die "delays of its own: $delays"
check
# A queue with a rate goes at half of it when the site asked to wait, and says so.
queue=$(job "$id" | jq -r .lane)
fulmar queues set "$queue" --every 100ms >/dev/null || die "the queue takes no rate"
expect fault_429 rate_limited
call "http://fulmar/v1/queues/$queue" >"$WORK/queue.json"
[ "$(jq -c '[.settings.rate.every_ms, .pace.percent < 100, .pace.every_ms >= 200]' "$WORK/queue.json")" = '[100,true,true]' ] ||
    die "the queue after 429: $(cat "$WORK/queue.json")"
fulmar queues show "$queue" >"$WORK/queue.txt"
grep -q '^pace .* % of its rate, one start in [0-9]* ms, since the site asked to wait$' "$WORK/queue.txt" || die "it is not said: $(cat "$WORK/queue.txt")"
fulmar queues unblock "$queue" --reason "the site answers again" >/dev/null || die "the queue cannot be unblocked"
[ "$(call "http://fulmar/v1/queues/$queue" | jq .pace.percent)" = 100 ] || die "an unblocked queue goes at less than its rate"
check
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "faults: $CHECKS classes as promised, neighbour unharmed"
