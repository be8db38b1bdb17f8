#!/bin/bash
# Receivers of webhooks that are real: one that is well, one that is down, answers 500, is slow, loses its answers and
# redirects. Each gets every event of every job, signed, in the order of the job, under ids that stay; one holds up
# nobody; node is killed in between.
OUT=$1
. "$(dirname "$0")/lib.sh"

RECEIVERS=()
declare -A PORT PID
receiver() { # NAME: begins, on its port of before
    "${PYTHON:-python3}" "$ROOT/tests/system/receiver.py" "${PORT[$1]:-0}" "$WORK/$1" >"$WORK/$1.out" 2>&1 &
    PID[$1]=$!
    RECEIVERS+=($!)
    wait_until 10 "receiver $1 listens" grep -q 'listening on' "$WORK/$1.out"
    PORT[$1]=$(sed -n 's/listening on //p' "$WORK/$1.out")
}
down() {
    kill -KILL "${PID[$1]}"
    wait "${PID[$1]}" 2>/dev/null
}
end_receivers() { for pid in "${RECEIVERS[@]}"; do kill -KILL "$pid"; done 2>/dev/null; }
trap 'end_receivers; finish' EXIT
set_mode() { echo "$2" >"$WORK/$1.mode.new" && mv "$WORK/$1.mode.new" "$WORK/$1.mode"; }

for name in well ill; do
    set_mode $name ok
    : >"$WORK/$name"
    receiver $name
done
start_practice
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
browser:
  count: 1
webhook:
  timeout: 2s
  retry_base: 50ms
EOF
ALLOW="\"127.0.0.1:${PORT[well]}\", \"127.0.0.1:${PORT[ill]}\"" start_service
verify() { "$OUT/fulmar" webhooks verify "$@"; } # asks no service
hook() { call "http://fulmar/v1/webhooks/$1" | jq -c "$2"; }

# ---- made, and signed

fulmar webhooks add "http://127.0.0.1:${PORT[well]}/in" --types 'job.*' --name well --json >"$WORK/made" || die "add: $?"
well=$(jq -r .id "$WORK/made")
jq -r .secret "$WORK/made" >"$WORK/well.secret"
ill=$(fulmar webhooks add "http://127.0.0.1:${PORT[ill]}/in" --types 'job.*,batch.*' --json | jq -r .id)
[ "$(hook "$well" .secret)" = null ] || die "the secret is shown again"
grep -aq "$(cut -c7-30 "$WORK/well.secret")" "$WORK"/state/fulmar.db* "$WORK/service.log" && die "a secret lies about"
fulmar webhooks add ftp://127.0.0.1/ 2>/dev/null && die "a webhook by FTP was made"
fulmar webhooks add http://127.0.0.1/ --types job.finnished 2>"$WORK/err" && die "a type that there is none was taken"
grep -q 'job.finished' "$WORK/err" || die "no word on what was meant: $(cat "$WORK/err")"

JOBS=()
run_jobs() { # COUNT
    local id
    for _ in $(seq "$1"); do
        id=$(submit posts @practice_7 5)
        [ -n "$id" ] || die "not accepted"
        JOBS+=("$id")
        wait_job "$id"
    done
}
log_of() { call "http://fulmar/v1/jobs/$1/log" | grep -c .; }
# The events of a job as the receiver had them for the first time: 1, 2, 3 … and all of them.
in_order() { # RECEIVER JOB
    local got wanted
    got=$(jq -r --arg j "$2:" 'select(.id | startswith($j)) | .id | ltrimstr($j)' "$WORK/$1" | awk '!seen[$0]++' | paste -sd' ')
    wanted=$(seq -s' ' "$(log_of "$2")")
    [ "$got" = "$wanted" ] || die "receiver $1, job $2: $got, not $wanted"
    check
}
has_all() { # RECEIVER: each job's last event
    local job
    for job in "${JOBS[@]}"; do
        grep -qF "\"id\": \"$job:$(log_of "$job")\"" "$WORK/$1" || return 1
    done
}
signed() { # all that the receiver got is signed with its secret
    local line
    while read -r line; do
        jq -j .body <<<"$line" >"$WORK/body"
        verify -q "$(jq -r .id <<<"$line")" "$(jq -r .timestamp <<<"$line")" "$(jq -r .signature <<<"$line")" \
            --secret "$WORK/$1.secret" <"$WORK/body" || die "a signature is not right: $line"
    done <"$WORK/$1"
    check
}

run_jobs 3
wait_until 20 "both have all" eval 'has_all well && has_all ill'
for job in "${JOBS[@]}"; do in_order well "$job" && in_order ill "$job"; done
signed well
jq -r .body "$WORK/well" | jq -e 'select(.type == "job.finished") | .data | .links.job == "/v1/jobs/" + .job and .data.state == "succeeded"' |
    sort | uniq -c | grep -q ' 3 true$' || die "the body of job.finished: $(tail -1 "$WORK/well")"
line=$(tail -1 "$WORK/well") code=0
jq -j .body <<<"$line" | sed 's/succeeded/succeedee/' |
    verify -q "$(jq -r .id <<<"$line")" "$(jq -r .timestamp <<<"$line")" "$(jq -r .signature <<<"$line")" \
        --secret "$WORK/well.secret" 2>/dev/null || code=$?
[ $code = 65 ] || die "a body that was changed: $code"
old=$(($(date +%s) - 301)) code=0
signature=$(python3 -c 'import base64, hashlib, hmac, sys
secret = base64.b64decode(open(sys.argv[1]).read().strip().removeprefix("whsec_"))
print("v1," + base64.b64encode(hmac.new(secret, b"id." + sys.argv[2].encode() + b".{}", hashlib.sha256).digest()).decode())' \
    "$WORK/well.secret" "$old")
printf '{}' | verify -q id "$old" "$signature" --secret "$WORK/well.secret" 2>"$WORK/said" || code=$?
[ $code = 65 ] && grep -q 'send an old one again' "$WORK/said" || die "one of five minutes ago: $code, $(cat "$WORK/said")"
say "webhooks: two receivers got every event of three jobs, in order, signed"

# ---- down, 500, slow, answers lost, and node killed: the other one has everything at once

for how in down 500 slow lost; do
    if [ $how = down ]; then down ill; else set_mode ill $how; fi
    before=$(grep -c . "$WORK/ill")
    run_jobs 2
    wait_until 20 "the well one has all while the ill one is: $how" has_all well
    case $how in
    down) wait_until 10 "it fails" eval '[ "$(hook "$ill" ".status.failures_in_a_row > 0")" = true ]' ;;
    *) wait_until 10 "it is tried" eval '[ "$(grep -c . "$WORK/ill")" -gt '"$before"' ]' ;;
    esac
    if [ $how = slow ]; then
        node=$(role_pids node)
        kill -KILL "$node"
        wait_until 30 "another node" eval '[ -n "$(role_pids node)" ] && [ "$(role_pids node)" != '"$node"' ] && api_up && service_ready'
    fi
    set_mode ill ok
    [ $how = down ] && receiver ill
    wait_until 60 "the ill one has all after: $how" has_all ill
    check
done
for job in "${JOBS[@]}"; do in_order well "$job" && in_order ill "$job"; done
[ "$(jq -r .id "$WORK/ill" | sort | uniq -d | grep -c .)" -gt 0 ] || die "nothing came twice, though answers were lost"
wait_until 20 "nothing is open" eval '[ "$(hook "$ill" .status.pending)" = 0 ]'
[ "$(hook "$ill" '[.status.missed_events,.status.dead]')" = "[0,0]" ] || die "of the ill one: $(hook "$ill" .status)"
doubles=$(jq -r .id "$WORK/well" | sort | uniq -d | grep -c .)
say "webhooks: down, 500, slow and without an answer it still got all of ${#JOBS[@]} jobs in order; the other one never waited ($doubles twice)"

# ---- by hand

set_mode ill redirect
id=$(fulmar webhooks ping "$ill" --json | jq -r .id)
delivery() { call "http://fulmar/v1/webhooks/deliveries/$1" | jq -c "$2"; }
wait_until 10 "a redirect is a failure" eval '[ "$(delivery "$id" .last_status)" = 302 ]'
grep -q '"/elsewhere"' "$WORK/ill" && die "a redirect was followed"
set_mode ill ok
wait_until 20 "the ping arrives" eval '[ "$(delivery "$id" .state)" = "\"delivered\"" ]'
again=$(fulmar webhooks deliveries "$ill" --state delivered --json | jq -r '[.data[] | select(.type == "job.finished")][0].id')
event=$(delivery "$again" .event)
count() { jq -c "select(.id == $event)" "$WORK/ill" | grep -c .; }
had=$(count)
fulmar webhooks redeliver "$again" -q >/dev/null || die "redeliver: $?"
wait_until 10 "it comes once more, under its id" eval '[ "$(count)" = $((had + 1)) ]'
fulmar webhooks rotate "$well" --ttl 1h --json >"$WORK/rotated"
jq -r .secret "$WORK/rotated" >"$WORK/new.secret"
: >"$WORK/well"
fulmar webhooks ping "$well" -q >/dev/null
wait_until 10 "a ping after the secret was changed" eval '[ -s "$WORK/well" ]'
signed well
cp "$WORK/well" "$WORK/new"
signed new
set_mode ill 410
fulmar webhooks ping "$ill" -q >/dev/null
wait_until 10 "410 switches it off" eval '[ "$(hook "$ill" .enabled)" = false ]'
set_mode ill ok
run_jobs 1
fulmar webhooks enable "$ill" -q >/dev/null || die "enable: $?"
wait_until 20 "switched on again it goes on where it was" has_all ill
in_order ill "${JOBS[-1]}"
private=$(fulmar webhooks add http://127.0.0.1:1/ --types job.finished --json | jq -r .id)
id=$(fulmar webhooks ping "$private" --json | jq -r .id)
wait_until 10 "an address that is not allowed is refused by egress" eval '[ "$(delivery "$id" .attempts)" -gt 0 ]'
delivery "$id" .why | grep -q 'egress did not connect' || die "not refused by egress: $(delivery "$id" .why)"
fulmar webhooks remove "$private" || die "remove: $?"
call http://fulmar/metrics | grep -q '^fulmar_webhook_deliveries_total{outcome="delivered"} [1-9]' || die "no metric"
# ---- callbacks: a receiver for ends alone

calls=$(fulmar webhooks add "http://127.0.0.1:${PORT[well]}/calls" --types none --json | jq -r .id)
code=0
fulmar jobs create posts @practice_7 --callback whk_01ARZ3NDEKTSV4RRFFQ69G5FAV 2>"$WORK/err" || code=$?
[ $code = 65 ] && grep -q 'there is no webhook' "$WORK/err" || die "a callback that there is none: $code, $(cat "$WORK/err")"
job=$(fulmar jobs create posts @practice_7 --limit 5 --callback "$calls" 2>/dev/null)
dead=$(fulmar jobs create posts @missing_one --callback "$calls" 2>/dev/null)
late=$(fulmar jobs create posts @practice_7 --not-before 2099-01-01 --callback "$calls" 2>/dev/null)
run_jobs 1 # without
fulmar jobs cancel "$late" -q || die "cancel: $?"
wait_job "$job"
wait_job "$dead"
called() { jq -r 'select(.path == "/calls") | .body | fromjson | [.data.job,.type,.data.data.callback] | join(" ")' "$WORK/well" | sort -u; }
wanted() { printf '%s\n' "$job job.finished $calls" "$dead job.dead $calls" "$late job.cancelled $calls" | sort; }
wait_until 20 "each end has called" eval '[ "$(called | grep -c .)" -ge 3 ]'
wait_until 10 "all of it has arrived" eval '[ "$(hook "$calls" "[.status.pending,.status.events_behind]")" = "[0,0]" ]'
[ "$(called)" = "$(wanted)" ] || die "callbacks: $(called)"
[ "$(hook "$calls" .status.delivered)" = 3 ] || die "of the callbacks: $(hook "$calls" .status)"
jq -c 'select(.path == "/calls")' "$WORK/well" >"$WORK/calls"
jq -j .body "$WORK/calls" | grep -q '"job.started"' && die "more than ends came"
late=$(fulmar jobs create posts @practice_7 --not-before 2099-01-01 --callback "$calls" 2>/dev/null)
fulmar webhooks remove "$calls" -q || die "remove: $?"
fulmar jobs cancel "$late" -q || die "cancel: $?"
fulmar jobs log "$late" --json | grep -q "\"callback_dropped\":\"$calls\"" || die "not said to be dropped: $(fulmar jobs log "$late" --json)"
fulmar jobs show "$job" | grep -q "^callback   $calls" || die "jobs show: $(fulmar jobs show "$job")"
stop_service || die "the service ended with $?"
say "webhooks: three ends of jobs called, and nothing else of them; one whose webhook was gone says so"
say "webhooks: ping, redeliver, rotate, 410, enable and an address that is private; $CHECKS checks"
