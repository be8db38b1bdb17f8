#!/bin/bash
# The queue from outside: tenants and their caps, a queue that is paused while its jobs run, a service that
# drains, a hanging job that is ended by force, equal jobs that share one reading of the site, an answer
# that is young enough, times, unique keys, and what the command line says of all that.
OUT=$1
. "$(dirname "$0")/lib.sh"
start_practice
cat >"$WORK/extra.yaml" <<EOS
worker:
  count: 3
  count_max: 4
browser:
  count: 1
job:
  stall_timeout: 60s
  batch_timeout: 60s
  retry_base: 50ms
  retry_cap: 200ms
EOS
start_service
send() { # METHOD PATH BODY → body; the status in $WORK/status, the head in $WORK/head
    call -X "$1" -H 'Content-Type: application/json' -D "$WORK/head" -o "$WORK/answer" -w '%{http_code}' \
        -d "$3" "http://fulmar$2" >"$WORK/status"
    cat "$WORK/answer"
}
status() { [ "$(cat "$WORK/status")" = "$1" ] || die "$2: $(cat "$WORK/status") $(cat "$WORK/answer")"; }
order() { # TARGET MEMBERS → id
    send POST /v1/jobs "{\"kind\":\"posts\",\"target\":\"$1\"$2}" | jq -r '.id // empty'
}
in_state() { [ "$(job_state "$1")" = "$2" ]; }
metric() { call http://fulmar/metrics | sed -n "s/^$1 //p"; }
waits_for() { job "$1" | jq -r '.waiting_for.reason // "nothing"'; }
queue() { call "http://fulmar/v1/queues/$1" | jq -r "$2"; }
is() { [ "$1" = "$2" ] || die "$3: $1, not $2"; check; }

# ---- two tenants share by their caps

panel '{"latency_ms":400}'
fulmar limits set tenant press --max-running 1 -q >"$WORK/limits" || die "limits set: $?"
grep -q '^tenant *press *0 *1 ' "$WORK/limits" || die "limits: $(cat "$WORK/limits")"
press=() lab=()
for i in 1 2 3; do press+=("$(order @practice_500 ",\"limit\":$((60 + i)),\"tenant\":\"press\"")"); done
for i in 1 2; do lab+=("$(order @practice_700 ",\"limit\":$((60 + i)),\"tenant\":\"lab\",\"class\":\"bulk\"")"); done
running() { queue "$1" .counts.active; }
both_run() { [ "$(running press/x/normal)" = 1 ] && [ "$(running lab/x/bulk)" = 2 ]; }
wait_until 30 "one job of press and both of lab run" both_run
is "$(waits_for "${press[2]}")" limit "the third job of press"
fulmar limits explain --tenant press | grep -q 'the limit of tenant press is the narrowest' ||
    die "explain: $(fulmar limits explain --tenant press)"
check
most=0
all_over() {
    local now
    now=$(running press/x/normal)
    [ "$now" -gt "$most" ] && most=$now
    for id in "${press[@]}" "${lab[@]}"; do job_ended "$id" || return 1; done
}
wait_until 90 "all jobs of both tenants end" all_over
is "$most" 1 "most jobs of press at once"
for id in "${press[@]}" "${lab[@]}"; do is "$(job_state "$id")" succeeded "job $id"; done
fulmar limits set tenant press --max-running 0 -q >"$WORK/limits" || die "limits set: $?"
say "queues: a tenant with one job at once never had two, and held up nobody else"

# ---- a queue is paused while a job of it runs

runs=$(order @practice_500 ',"limit":80')
wait_until 30 "the job runs" in_state "$runs" active
# A worker has it, with a page of the one browser.
has_it() { [ "$(call http://fulmar/v1/workers | jq -r --arg id "$runs" '[.data[]|select(.job==$id and .state=="running" and .pid>0 and .attempt==1)]|length')" = 1 ]; }
wait_until 10 "a worker says that it has the job" has_it
is "$(call http://fulmar/v1/workers | jq -r '.data|map(.hold // "works")|join(" ")')" "works works works scaled_in" "workers"
is "$(call http://fulmar/v1/workers/1 | jq .number)" 1 "worker 1"
is "$(call http://fulmar/v1/browsers | jq '[.data[]|select(.pid>0)]|length')" 1 "browsers"
fulmar queues pause x/normal --reason "the site is being moved" --by anna -q || die "pause: $?"
stays=$(order @practice_small ',"limit":5')
wait_job "$runs" 60
is "$(job_state "$runs")" succeeded "what ran when its queue was paused"
is "$(waits_for "$stays")" pause "what came to a paused queue"
fulmar queues list --troubled >"$WORK/list" || die "list: $?"
grep -q '^default/x/normal .*paused by anna since .*: the site is being moved$' "$WORK/list" || die "list: $(cat "$WORK/list")"
is "$(metric 'fulmar_lanes{state="paused"}')" 1 "fulmar_lanes"
is "$(metric fulmar_jobs_runnable)" 0 "fulmar_jobs_runnable"
call http://fulmar/ | grep -q 'paused by anna since' || die "the page does not say it"
is "$(call 'http://fulmar/readyz?verbose' | jq -c '[.ready,.mode,.queues.paused]')" '[true,"normal",1]' readyz
# It stays so over a restart.
stop_service || die "the service did not stop in order"
start_service
is "$(queue default/x/normal '[.paused,.stopped.by,.stopped.reason]|join("|")')" 'true|anna|the site is being moved' "after a restart"
is "$(job_state "$stays")" ready "what waits in it"
fulmar queues resume x/normal -q || die "resume: $?"
wait_job "$stays" 30
is "$(job_state "$stays")" succeeded "after resume"
is "$(call http://fulmar/v1/queues/default/x/normal/metrics | jq '.window_s == 600 and .ended >= 1')" true "what went through the queue"
# A job that is held does not start until it is released; what it is to bring may change until then.
held=$(order @practice_small ',"limit":50,"hold":true')
is "$(job "$held" | jq -c '[.state,.held]')" '["scheduled",true]' "a held job"
send PATCH "/v1/jobs/$held" '{"limit":4,"priority":9}' >/dev/null
status 200 "a change of a held job"
send POST "/v1/jobs/$held/release" '{"reason":"looked at"}' >/dev/null
status 200 "release"
wait_job "$held" 30
is "$(job "$held" | jq -c '[.state,.limit]')" '["succeeded",4]' "what was held, changed and released"
say "queues: pause stops starts and nothing else, also over a restart"

# ---- closed, purged

send POST /v1/queues/default/x/bulk/close '{"reason":"no more of this"}' >/dev/null
status 200 close
send POST /v1/jobs '{"kind":"posts","target":"@practice_small","class":"bulk"}' >/dev/null
status 503 "a closed queue"
is "$(jq -r .code "$WORK/answer")" queue_closed "a closed queue"
grep -qi '^Retry-After: 60' "$WORK/head" || die "no Retry-After: $(cat "$WORK/head")"
fulmar queues open x/bulk -q || die "open: $?"
fulmar queues pause x/bulk --reason drill -q || die "pause: $?"
for i in 1 2 3; do order @practice_small ",\"class\":\"bulk\",\"limit\":$i" >/dev/null; done
fulmar queues purge x/bulk --reason drill --dry-run 2>"$WORK/said" || die "purge --dry-run: $?"
grep -q '^3 waiting jobs would be cancelled' "$WORK/said" || die "purge --dry-run says: $(cat "$WORK/said")"
fulmar queues purge x/bulk --reason drill </dev/null 2>"$WORK/said" && die "purge asked nobody"
is "$(queue default/x/bulk .counts.ready)" 3 "after a purge that was not confirmed"
fulmar queues purge x/bulk --reason drill --yes -q || die "purge: $?"
is "$(queue default/x/bulk .counts.ready)" 0 "after a purge"
fulmar queues resume x/bulk -q || die "resume: $?"

# ---- draining: what is there is finished, nothing comes

panel '{"latency_ms":300}'
last=$(order @practice_500 ',"limit":90')
fulmar mode set draining --reason "a new version" -q >"$WORK/said" || die "mode: $?"
send POST /v1/jobs '{"kind":"posts","target":"@practice_small"}' >/dev/null
status 503 "a draining service"
is "$(jq -r .code "$WORK/answer")" draining "a draining service"
grep -qi '^Retry-After: ' "$WORK/head" || die "no Retry-After"
is "$(call -o /dev/null -w '%{http_code}' http://fulmar/readyz)" 503 "readyz of a draining service"
wait_job "$last" 60
is "$(job_state "$last")" succeeded "the job that a draining service had"
fulmar mode set paused --reason drill -q >"$WORK/said" || die "mode: $?"
held=$(order @practice_small ',"limit":6')
is "$(waits_for "$held")" mode "a job of a paused service"
fulmar mode set normal -q >"$WORK/said" || die "mode: $?"
wait_job "$held" 30
is "$(job_state "$held")" succeeded "after mode normal"
say "queues: draining finishes what is there and takes nothing; paused takes it and starts nothing"

# ---- a hanging job is ended by force

panel '{}'
hangs=$(order @fault_hang ',"limit":40,"timeouts":{"attempt_s":300,"idle_s":300}')
wait_until 30 "it runs" in_state "$hangs" active
hung() { grep -q "job.reserved job=$hangs" "$WORK/service.log"; }
wait_until 10 "its worker has it" hung
before=$(role_pids worker | sort)
fulmar jobs cancel "$hangs" --force --reason "it hangs" 2>"$WORK/said" || die "cancel --force: $?"
grep -q 'is cancelled by force' "$WORK/said" || die "cancel --force says: $(cat "$WORK/said")"
is "$(job "$hangs" | jq -r '[.state,.failure.why,(.attempts.voided|tostring)]|join("|")')" \
    'cancelled|cancelled by force: it hangs|1' "cancelled by force"
one_is_new() { [ "$(comm -12 <(echo "$before") <(role_pids worker | sort) | wc -l)" = 2 ] && [ "$(role_pids worker | wc -l)" = 3 ]; }
wait_until 10 "its worker is gone, and another one is there" one_is_new
is "$(queue default/x/normal .counts.active)" 0 "running jobs"
is "$(call "http://fulmar/v1/jobs/$hangs/log" | jq -r 'select(.event == "job.cancelled") | .data.why')" \
    "cancelled by force: it hangs" "the event"
free=()
for i in 1 2 3; do free+=("$(order @practice_small ",\"limit\":$((10 + i))")"); done
for id in "${free[@]}"; do
    wait_job "$id" 30
    is "$(job_state "$id")" succeeded "a job in the place of the one that hung"
done
# One that has pages already: what its worker still brings is stale.
panel '{"latency_ms":500}'
brings=$(order @practice_700 '')
has_posts() { [ "$(job "$brings" | jq -r .counts.posts)" -gt 0 ]; }
wait_until 30 "it has posts" has_posts
send POST "/v1/jobs/$brings/cancel" '{"force":true}' >/dev/null
status 200 "cancel by force"
posts=$(posts_of "$brings" | wc -l)
free_again() { [ "$(queue default/x/normal .counts.active)" = 0 ] && [ "$(call 'http://fulmar/readyz?verbose' | jq .workers.busy)" = 0 ]; }
wait_until 20 "the slot is free" free_again
is "$(posts_of "$brings" | wc -l)" "$posts" "posts after a cancel by force"
is "$(job_state "$brings")" cancelled "after a cancel by force"
# One that does not listen, for its worker stands still: it has its place until that is gone.
deaf=$(order @practice_710 ',"timeouts":{"attempt_s":300,"idle_s":300}')
brings=$deaf
wait_until 30 "it has posts" has_posts
worker=$(call http://fulmar/v1/workers | jq -r --arg job "$deaf" '.data[] | select(.job == $job) | .pid')
kill -STOP "$worker" || die "no worker has $deaf: $(call http://fulmar/v1/workers)"
send POST "/v1/jobs/$deaf/cancel" '{"grace_s":1}' >/dev/null
status 202 "cancel"
wait_job "$deaf" 30
is "$(job_state "$deaf")" cancelled "one that does not listen"
wait_until 10 "its worker is gone" gone "$worker"
wait_until 20 "the slot is free" free_again
panel '{}'
say "queues: by force is at once: the worker is gone, the slot free, and nothing more is written"

# ---- equal jobs at once: one reading, both have it

reserved() { grep -c 'job.reserved' "$WORK/service.log"; }
panel '{"latency_ms":200}'
was=$(reserved)
one=$(order @practice_300 ',"limit":70') two=$(order @practice_300 ',"limit":70,"tenant":"lab","fields":["text"]')
is "$(job "$two" | jq -r '[.state,.waiting_for.reason]|join(" ")')" "blocked job" "the second of two equal jobs"
wait_job "$one" 60
wait_job "$two" 10
is "$(job "$two" | jq -r '[.state,.verdict,.result.source,.result.from_job]|join(" ")')" "succeeded partial shared $one" "the second"
is "$(($(reserved) - was))" 1 "attempts for two equal jobs"
posts_of "$one" | jq -r .id >"$WORK/one"
posts_of "$two" | jq -r .id >"$WORK/two"
cmp -s "$WORK/one" "$WORK/two" && [ "$(wc -l <"$WORK/two")" = 70 ] || die "the two have not the same records"
is "$(posts_of "$two" | jq -r 'keys | join(" ")' | sort -u)" "id schema text" "fields of the second"
# Unless it says otherwise.
was=$(reserved)
one=$(order @practice_300 ',"limit":71') two=$(order @practice_300 ',"limit":71,"coalesce":false')
wait_job "$one" 60
wait_job "$two" 60
is "$(($(reserved) - was))" 2 "attempts for two equal jobs with coalesce: false"

# ---- an answer that is young enough

was=$(reserved)
young=$(order @practice_300 ',"limit":70,"max_age_s":3600')
status 202 max_age_s
is "$(jq -r '[.state,.result.source,(.result.age_s < 60)]|map(tostring)|join(" ")' "$WORK/answer")" "succeeded cache true" max_age_s
is "$(posts_of "$young" | wc -l)" 70 "posts of an answer by age"
is "$(reserved)" "$was" "attempts for an answer by age"
fulmar get posts @practice_300 -n 70 --max-age 1h --json >"$WORK/out" 2>"$WORK/said" || die "get --max-age: $?"
[ "$(wc -l <"$WORK/out")" = 70 ] && grep -q 'it is the result of job_' "$WORK/said" || die "get --max-age: $(cat "$WORK/said")"
check
# While the site cannot be read, an older one.
sleep 1.1
send POST /v1/breakers/default/x/normal/open '{"reason":"drill","ttl_s":60}' >/dev/null
status 200 "breaker open"
order @practice_300 ',"limit":70,"max_age_s":1,"stale_if_error_s":3600' >/dev/null
is "$(jq -r '[.state,.result.source]|join(" ")' "$WORK/answer")" "succeeded stale" stale_if_error_s
blocked=$(order @practice_small ',"limit":7')
is "$(waits_for "$blocked")" breaker "with the breaker open"
fulmar breakers list | grep -q '^default/x/normal *queue *open ' || die "breakers: $(fulmar breakers list)"
fulmar breakers reset x/normal -q || die "breakers reset: $?"
wait_job "$blocked" 30
say "queues: equal work is read once, and an earlier answer will do where the order says so"

# ---- times and unique keys

later=$(order @practice_small ',"limit":8,"not_before":"2099-01-01T00:00:00Z"')
is "$(job "$later" | jq -r '[.state,.not_before,.waiting_for.reason]|join(" ")')" "scheduled 2099-01-01T00:00:00.000Z time" not_before
fulmar queues pause x/interactive --reason drill -q || die "pause: $?"
brief=$(order @practice_small ',"class":"interactive","expires_s":1')
wait_job "$brief" 10
is "$(job_state "$brief")" expired expires_s
first=$(order @practice_small ',"class":"interactive","unique":{"key":"daily"}')
status 202 "the first with a key"
again=$(order @practice_500 ',"class":"interactive","unique":{"key":"daily"}')
status 200 "the second with a key"
is "$again" "$first" "the second with a key"
grep -qi "^Unique-Match: $first" "$WORK/head" || die "no Unique-Match: $(cat "$WORK/head")"
order @practice_small ',"class":"interactive","unique":{"key":"daily","on_conflict":"reject"}' >/dev/null
status 409 "the third with a key"
is "$(jq -r .code "$WORK/answer")" unique_conflict "the third with a key"
fulmar jobs cancel --state scheduled --dry-run 2>/dev/null | grep -q "$later" || die "cancel --dry-run does not name $later"
fulmar jobs cancel --state scheduled --yes -q || die "cancel by state: $?"
is "$(job_state "$later")" cancelled "cancelled by its state"
fulmar jobs cancel "$first" -q || die "cancel: $?"
fulmar queues resume x/interactive -q || die "resume: $?"
quick=$(fulmar jobs create posts @practice_small --limit 9 --class interactive --unique daily -q) || die "create: $?"
wait_job "$quick" 30
is "$(job "$quick" | jq -r '[.state,.class,.unique_key]|join(" ")')" "succeeded interactive daily" "a key is free when its job has ended"
say "queues: times and unique keys hold"

# ---- workers: quieted, stopped, killed, fewer and more of them; no job is blamed for it

panel '{"latency_ms":250}'
worker_of() { call http://fulmar/v1/workers | jq -r --arg id "$1" '.data[]|select(.job==$id)|.number'; }
has_worker() { [ -n "$(worker_of "$1")" ]; }
worker() { call "http://fulmar/v1/workers/$1" | jq -r "$2"; }
# started, failed, crashed, released
attempts() { job "$1" | jq -r '.attempts|[.started,.failed,.crashed,.released]|map(tostring)|join(" ")'; }
processes() { call http://fulmar/v1/workers | jq '[.data[]|select(.pid)]|length'; }
processes_are() { [ "$(processes)" = "$1" ]; }
works_on() { # LIMIT → ID with a worker, $n its number
    id=$(order @practice_500 ",\"limit\":$1,\"coalesce\":false")
    wait_until 30 "a worker has the job" has_worker "$id"
    n=$(worker_of "$id")
}
works_on 81
fulmar workers quiet "$n" --reason drill -q || die "quiet: $?"
is "$(worker "$n" '[.hold,.job]|join(" ")')" "quiet $id" "a quiet worker keeps its job"
wait_job "$id" 60
is "$(job_state "$id") $(attempts "$id")" "succeeded 1 0 0 0" "the job of a quiet worker"
served=$(worker "$n" .jobs_served)
few=()
for i in 1 2 3 4; do few+=("$(order @practice_small ",\"limit\":$i,\"coalesce\":false")"); done
for id in "${few[@]}"; do wait_job "$id" 60; done
is "$(worker "$n" '[.jobs_served,.state]|map(tostring)|join(" ")')" "$served idle" "a quiet worker after four jobs"
fulmar workers resume "$n" -q || die "resume: $?"
is "$(worker "$n" '.hold // "works"')" works "a resumed worker"

works_on 82
fulmar workers dump "$n" --json >"$WORK/dump" || die "dump: $?"
is "$(jq -r --arg id "$id" '[.worker.job == $id, .process.pss_bytes > 0, .process.threads > 0, .progress.lane, .page.state == "open" and .page.browser >= 1 and (.page.target | length) > 8 and .page.open_calls >= 0]|map(tostring)|join(" ")' "$WORK/dump")" \
    "true true true default/x/normal true" dump
# Where it is in its own code; the job goes on. One that is stopped cannot say it, and is none the worse for being asked.
is "$(jq -r '[.stack_missing == null, (.stack | any(startswith("channel_next+"))), (.stack | any(startswith("worker_main+")))]|map(tostring)|join(" ")' "$WORK/dump")" \
    "true true true" "the stack: $(jq -c .stack "$WORK/dump")"
pid=$(worker "$n" .pid)
kill -STOP "$pid"
fulmar workers dump "$n" --json >"$WORK/dump" || die "dump of a stopped worker: $?"
is "$(jq -r '[.stack == null, (.stack_missing | test("did not answer")), .process.state]|map(tostring)|join(" ")' "$WORK/dump")" \
    "true true T" "the dump of a stopped worker"
kill -CONT "$pid"
fulmar workers dump "$n" --json >"$WORK/dump" || die "dump: $?"
is "$(jq -r '[.stack_missing == null, .worker.job]|map(tostring)|join(" ")' "$WORK/dump") $(worker "$n" .pid)" "true $id $pid" "a worker that goes on"
fulmar workers stop "$n" -q || die "stop: $?"
no_process() { [ "$(worker "$1" '.pid // "none"')" = none ]; }
wait_until 30 "a stopped worker has no process" no_process "$n"
wait_job "$id" 60
is "$(job_state "$id") $(attempts "$id")" "succeeded 2 0 0 1" "the job of a stopped worker"
fulmar workers resume "$n" -q || die "resume: $?"
wait_until 30 "a resumed worker has a process" processes_are 3

works_on 83
pid=$(worker "$n" .pid)
fulmar workers kill "$n" -q || die "kill: $?"
wait_job "$id" 60
is "$(job_state "$id") $(attempts "$id")" "succeeded 2 0 0 1" "the job of a killed worker"
other_process() { [ "$(worker "$1" '.pid // "none"')" != none ] && [ "$(worker "$1" .pid)" != "$2" ]; }
wait_until 30 "another process takes its place" other_process "$n" "$pid"

# Scaled in while all are busy: whoever asks hears who has what, and nobody is cut off.
few=()
for i in 1 2 3; do few+=("$(order @practice_500 ",\"limit\":$((83 + i)),\"coalesce\":false")"); done
for id in "${few[@]}"; do wait_until 30 "a worker has $id" has_worker "$id"; done
fulmar workers scale --json >"$WORK/scale" || die "scale: $?"
is "$(jq -r '[.count,.most,.busy,(.leases|length)]|map(tostring)|join(" ")' "$WORK/scale")" "3 4 3 3" "three leases"
fulmar workers scale 1 --wait=60s --json >"$WORK/scale" || die "scale 1: $?"
is "$(jq -r '[.leases[]|select(.hold)]|length' "$WORK/scale")" 0 "leases of those that go"
wait_until 30 "one worker is left" processes_are 1
for id in "${few[@]}"; do
    wait_job "$id" 60
    is "$(job_state "$id") $(attempts "$id")" "succeeded 1 0 0 0" "a job of a worker that was scaled in"
done
# As many would have work as there is; with none there is work for all of them.
fulmar workers scale 0 -q >/dev/null || die "scale 0: $?"
wait_until 30 "no worker is left" processes_are 0
few=()
for i in 1 2 3 4 5 6; do few+=("$(order @practice_small ",\"limit\":$i,\"coalesce\":false")"); done
desired_is() { [ "$(call http://fulmar/v1/workers/scale | jq -r '[.runnable,.desired]|join(" ")')" = "$1" ] && [ "$(metric fulmar_workers_desired)" = "${1#* }" ]; }
wait_until 10 "six runnable jobs want four workers ($(call http://fulmar/v1/workers/scale))" desired_is "6 4"
fulmar queues pause x/normal --reason drill -q || die "pause: $?"
wait_until 10 "a paused queue wants none" desired_is "0 0"
fulmar queues resume x/normal -q || die "resume: $?"
fulmar workers scale 5 -q 2>"$WORK/said"
is "$?" 65 "more workers than may be"
grep -q 'worker.count_max' "$WORK/said" || die "scale 5: $(cat "$WORK/said")"
fulmar workers scale 4 -q >/dev/null || die "scale 4: $?"
for id in "${few[@]}"; do wait_job "$id" 60; done
is "$(processes)" 4 "workers"
wait_until 10 "nothing wants a worker" desired_is "0 0"

# A browser is replaced while a page of it is in use.
works_on 87
pid=$(call http://fulmar/v1/browsers | jq '.data[0].pid')
fulmar browsers recycle 1 -q || die "recycle: $?"
wait_job "$id" 60
is "$(job_state "$id") $(attempts "$id")" "succeeded 1 0 0 0" "the job of a browser that is replaced"
other_browser() { [ "$(call http://fulmar/v1/browsers | jq --argjson pid "$pid" '[.data[]|select(.pid==$pid)]|length')" = 0 ] && service_ready; }
wait_until 30 "another browser is there" other_browser
wait_job "$(order @practice_small ',"limit":7,"coalesce":false')" 60
stop_service || die "the service did not stop in order"
say "queues: workers are quieted, stopped, killed and scaled, a browser is replaced, and no job is blamed"
say "queues: $CHECKS checks"
