#!/bin/bash
# A batch of thirty jobs of several kinds with the real service: a third of them meets a login wall and dies.
# The callback comes once, also across a kill of node; dead letters are one group; after the wall is gone
# retry-failed makes the batch a success. Bulk replay goes on after a restart.
OUT=$1
. "$(dirname "$0")/lib.sh"
: "${WORK:?folder of the test}"
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 3
lane:
  max_active: 8
  emit: 0ms
job:
  fail_max: 1
  grace: 1s
EOF
start_practice
start_service
batch() { call "http://fulmar/v1/batches/$1"; }
batch_at() { batch "$1" | jq -r "$2"; }
jobs_for() { call "http://fulmar/v1/jobs?limit=200" | jq "[.data[] | select(.target == \"$1\" and .kind == \"$2\")] | length"; }
orders() { # COUNT FROM KIND
    local i
    for i in $(seq "$1"); do echo "{\"kind\":\"$3\",\"target\":\"@practice_$(($2 + i))\",\"limit\":10}"; done | jq -cs '{jobs: .}'
}
expect_code() { # CODE COMMAND…
    local want=$1 code=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/said" || code=$?
    check
    [ "$code" = "$want" ] || die "$* ended with $code, not $want: $(cat "$WORK/out" "$WORK/said")"
}

# ---- twenty that go well, of two kinds ----
for i in $(seq 12); do echo "@practice_$((100 + i))"; done >"$WORK/targets"
expect_code 0 fulmar batches create posts --targets "$WORK/targets" --limit 10 --name thirty --open \
    --on-complete 'profile @practice_900' --on-success 'profile @practice_901'
id=$(cat "$WORK/out")
orders 8 100 profile >"$WORK/more"
for want in 8 8; do # the second time it is the same addition
    [ "$(call -H 'Content-Type: application/json' -H 'Idempotency-Key: more' -d @"$WORK/more" "http://fulmar/v1/batches/$id/jobs" |
        jq -c '[.added, .counts.total]')" = "[$want,20]" ] || die "not added once"
done
twenty_well() { [ "$(batch_at "$id" .counts.succeeded)" = 20 ]; }
wait_until 120 "twenty jobs succeed" twenty_well
[ "$(batch_at "$id" .state)" = open ] || die "it does not wait for its seal"
[ "$(jobs_for practice_900 profile)" = 0 ] || die "the callback came before the seal"

# ---- ten that meet a wall ----
panel '{"login_wall":1}'
orders 10 200 posts >"$WORK/more"
[ "$(call -H 'Content-Type: application/json' -d @"$WORK/more" "http://fulmar/v1/batches/$id/jobs" | jq .added)" = 10 ] || die "not added"
ten_dead() { [ "$(batch_at "$id" .counts.dead)" = 10 ]; }
wait_until 120 "ten jobs die" ten_dead
panel '{"login_wall":0}'
expect_code 0 fulmar batches seal "$id"
expect_code 2 fulmar batches wait "$id"
grep -q 'complete: 20 of 30 jobs succeeded, 10 failed' "$WORK/said" || die "not said: $(cat "$WORK/said")"
callback=$(batch_at "$id" .callbacks.complete.job)
[ "${callback#job_}" != "$callback" ] || die "no callback: $(batch "$id")"
wait_job "$callback" 60
[ "$(job_state "$callback")" = succeeded ] || die "the callback's job: $(job "$callback")"
[ "$(batch_at "$id" .callbacks.success.at)" = null ] || die "a success with ten dead jobs"
say "batches: thirty jobs, ten dead: complete, and the callback's job ran"

# ---- one group ----
call "http://fulmar/v1/dead-letters?class=login_required" >"$WORK/groups"
[ "$(jq -c '[.data[] | [.kind, .count]]' "$WORK/groups")" = '[["posts",10]]' ] || die "one trouble, not one group: $(cat "$WORK/groups")"
print=$(jq -r '.data[0].fingerprint' "$WORK/groups")
expect_code 0 fulmar dead list --class login_required
grep -q "$print" "$WORK/out" || die "the list does not show the group: $(cat "$WORK/out")"
expect_code 0 fulmar dead retry --fingerprint "$print" --dry-run
grep -q '10 jobs would be taken up again' "$WORK/out" || die "$(cat "$WORK/out")"

# ---- again, across a kill of node ----
expect_code 0 fulmar batches retry-failed "$id" --per-minute 60
opr=$(call "http://fulmar/v1/operations?limit=1" | jq -r '.data[0].id')
operation() { call "http://fulmar/v1/operations/$opr"; }
some_done() { [ "$(operation | jq '.done >= 3')" = true ]; }
wait_until 30 "three jobs are taken up" some_done
node=$(role_pids node)
kill -KILL "$node"
wait_until 30 "node is gone" gone "$node"
wait_until 90 "service is ready again" service_ready
expect_code 0 fulmar batches wait "$id"
grep -q 'success: 30 of 30 jobs succeeded' "$WORK/said" || die "not said: $(cat "$WORK/said")"
operation | jq -e '.state == "done" and .done == 10 and .skipped == 0' >/dev/null || die "the operation: $(operation)"
generations=$(call "http://fulmar/v1/batches/$id/jobs?limit=200" | jq -c '[.data[].generation] | group_by(.) | map([.[0], length])')
[ "$generations" = '[[0,20],[1,10]]' ] || die "not each dead job once: $generations"
wait_job "$(batch_at "$id" .callbacks.success.job)" 60
[ "$(jobs_for practice_900 profile)" = 1 ] && [ "$(jobs_for practice_901 profile)" = 1 ] || die "a callback came twice, or not"
[ "$(batch_at "$id" .callbacks.complete.job)" = "$callback" ] || die "another callback"

# ---- its records ----
fulmar batches posts "$id" >"$WORK/posts" 2>"$WORK/said" || die "$(cat "$WORK/said")"
[ "$(wc -l <"$WORK/posts")" = 220 ] || die "$(wc -l <"$WORK/posts") posts, not 220"
[ "$(jq -r .id "$WORK/posts" | sort -u | wc -l)" = 220 ] || die "a post came twice"
say "batches: the dead jobs came back one by one across a kill of node; success, each callback once, 220 posts"

# ---- cancelled while it runs ----
panel '{"latency_ms":4000}'
expect_code 0 fulmar batches create posts --targets "$WORK/targets" --limit 50
other=$(cat "$WORK/out")
some_run() { [ "$(batch_at "$other" '.counts.active > 0')" = true ]; }
wait_until 30 "some run" some_run
expect_code 0 fulmar batches cancel "$other"
expect_code 4 fulmar batches wait "$other"
[ "$(batch_at "$other" '.counts.cancelled + .counts.succeeded')" = 12 ] || die "$(batch "$other")"
panel '{"latency_ms":0}'
expect_code 11 fulmar batches cancel "$other"
[ "$(call http://fulmar/metrics | sed -n 's/^fulmar_store_missed_wakeups_total //p')" = 0 ] || die "a wake-up was missed"
stop_service || die "the service did not stop in order ($?)"
say "batches: cancelled while it ran; $CHECKS checks"
