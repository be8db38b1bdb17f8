#!/bin/bash
# A node of several machines takes SPOOL_JOBS (40) jobs while the Redis is away, onto its own disk; it is killed with all its
# processes, and started while the Redis is away still; then that comes back, and each job that was answered ends once, with
# what it was asked for. So does each job of a batch, which is complete once, with its callback.
# A full spool and a full disk say so.
OUT=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
JOBS=${SPOOL_JOBS:-40} MANY=10 # of them in one request
BATCH=25                       # jobs of the batch, besides
ALL=$((JOBS + BATCH))          # that wait then
have_servers || { say "spool: skipped: no Redis or PostgreSQL (make setup installs them)"; exit 0; }
trap finish_with_servers EXIT

config() { # DISK_FLOOR
    cat >"$WORK/fulmar.yaml" <<EOC
api:
  port: 0
store:
  path: $WORK/state
  queue: "$QUEUE"
  archive: "$ARCHIVE"
  node: only
  spool: away
  spool_max: $((ALL + 1))
  disk_floor: $1
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"]
queue:
  coalesce: false
job:
  navigate_timeout: 60s
  batch_timeout: 60s
  lease: 5s
EOC
    chmod 644 "$WORK/fulmar.yaml"
}
order() { # N [KEY [MEMBERS]] → headers in $WORK/head, body in $WORK/body; the status
    call -D "$WORK/head" -o "$WORK/body" -w '%{http_code}' -H 'Content-Type: application/json' \
        ${2:+-H "Idempotency-Key: $2"} http://fulmar/v1/jobs \
        -d "{\"kind\":\"posts\",\"target\":\"@practice_$((10 + $1))\",\"limit\":$((1 + $1)),\"evidence\":\"never\"${3:+,$3}}"
}
header() { tr -d '\r' <"$WORK/head" | sed -n "s/^$1: //Ip"; }
spooled() { call http://fulmar/metrics | sed -n "s/^fulmar_spool_jobs{state=\"$1\"} //p"; }
kill_service() {
    local pid
    # shellcheck disable=SC2046
    kill -KILL "$SERVICE_PID" $(tree "$SERVICE_PID") 2>/dev/null
    wait "$SERVICE_PID" 2>/dev/null
    for pid in $(ours); do kill -KILL "$pid" 2>/dev/null; done
    SERVICE_PID=""
}

take() { # N
    code=$(order "$1" "key-$1")
    [ "$code" = 202 ] || die "job $1 while the Redis is away: $code $(cat "$WORK/body")"
    [ "$(header Durability)" = spooled ] || die "job $1: durability $(header Durability)"
    ids[$1]=$(jq -r 'select(.state == "ready" and .target != null) | .id' "$WORK/body")
    [ -n "${ids[$1]}" ] || die "job $1 was answered with $(cat "$WORK/body")"
}

start_practice
start_redis --appendfsync always
start_postgres
config 1MiB
start_service
[ "$(order 0)" = 202 ] || die "a job with the Redis there: $(cat "$WORK/body")"
[ "$(header Durability)" = fsync ] || die "durability with the Redis there: $(header Durability)"
first=$(jq -r .id "$WORK/body")
wait_job "$first"
[ "$(order 1 '' '"hold":true,"unique":{"key":"held"}')" = 202 ] || die "a held job: $(cat "$WORK/body")"
held=$(jq -r .id "$WORK/body")

# ---- the Redis goes; jobs are taken all the same

kill_redis
declare -a ids
for ((i = 0; i < JOBS - MANY; i++)); do take $i; done
[ "$(order 3 key-3)" = 202 ] && [ "$(header Idempotency-Replayed)" = true ] && [ "$(jq -r .id "$WORK/body")" = "${ids[3]}" ] ||
    die "a repeated request while the Redis is away: $(cat "$WORK/body")"
[ "$(order 4 key-3)" = 422 ] || die "a key with another body while the Redis is away: $(cat "$WORK/body")"
# Of a unique key one waits here; whether it comes in then, the answer says, the queue decides.
[ "$(order 0 '' '"unique":{"key":"held"}')" = 202 ] && [ "$(jq -r .unique_key "$WORK/body") $(header Unique-Checked)" = "held node" ] ||
    die "a job with a unique key while the Redis is away: $(cat "$WORK/body")"
out=$(jq -r .id "$WORK/body")
[ "$(order 1 '' '"unique":{"key":"held"}')" = 200 ] && [ "$(header Unique-Match)" = "$out" ] && [ "$(jq -r '.id + .target' "$WORK/body")" = "${out}practice_10" ] ||
    die "another one with that key: $(cat "$WORK/body")"
[ "$(order 1 '' '"unique":{"key":"held","on_conflict":"reject"}')" = 409 ] && grep -q "$out" "$WORK/body" || die "one that is to be refused then: $(cat "$WORK/body")"
grep -q 'spool.fills' "$WORK/service.log" || die "nobody said that the spool fills"

# Many at once, each by itself.
bulk() { # FROM TO: their orders, one a line
    local i
    for ((i = $1; i < $2; i++)); do
        echo "{\"kind\":\"posts\",\"target\":\"@practice_$((10 + i))\",\"limit\":$((1 + i)),\"evidence\":\"never\",\"unique\":{\"key\":\"u$i\"}}"
    done
}
many() { # headers of curl; orders on standard input → the answer in $WORK/body
    call -o "$WORK/body" -w '%{http_code}' -H 'Content-Type: application/x-ndjson' "$@" --data-binary @- http://fulmar/v1/jobs/bulk
}
code=$({ bulk $((JOBS - MANY)) $((JOBS - 1)); echo "{\"kind\":\"posts\",\"target\":\"@esa\",\"unique\":{\"key\":\"u$((JOBS - MANY))\"}}"; echo '{"kind":"posts"}'; } | many -H 'Idempotency-Key: many')
[ "$code" = 207 ] || die "many orders while the Redis is away: $code $(cat "$WORK/body")"
[ "$(jq -c '[.accepted, .refused, ([.results[] | select(.durability == "spooled" and .status == 202)] | length), (.results[-2:] | map(.status))]' "$WORK/body")" = "[$MANY,1,$((MANY - 1)),[200,422]]" ] ||
    die "many orders while the Redis is away: $(cat "$WORK/body")"
jq -e '.results[-2] | .existing and .durability == "spooled"' "$WORK/body" >"$WORK/answer" && [ "$(jq -r '.results[-2].job' "$WORK/body")" = "$(jq -r '.results[0].job' "$WORK/body")" ] ||
    die "an order with the unique key of another one: $(cat "$WORK/body")"
for ((i = 0; i < MANY - 1; i++)); do ids[JOBS - MANY + i]=$(jq -r ".results[$i].job" "$WORK/body"); done
[ "$(bulk $((JOBS - MANY)) $((JOBS - 1)) | many -H 'Idempotency-Key: many')" = 207 ] &&
    [ "$(jq -c '[.results[] | select(.replayed) | .job] | length' "$WORK/body")" = $((MANY - 1)) ] || die "repeated: $(cat "$WORK/body")"
# A batch, whole or not at all.
batch() { # JOBS KEY → headers in $WORK/head, body in $WORK/body; the status
    local i orders=""
    for ((i = 0; i < $1; i++)); do orders+="${orders:+,}{\"kind\":\"posts\",\"target\":\"@practice_$((10 + i))\",\"limit\":$((1 + i % 5)),\"evidence\":\"never\"}"; done
    call -D "$WORK/head" -o "$WORK/body" -w '%{http_code}' -H 'Content-Type: application/json' -H "Idempotency-Key: $2" http://fulmar/v1/batches \
        -d "{\"name\":\"nightly\",\"jobs\":[$orders],\"callbacks\":{\"complete\":{\"kind\":\"posts\",\"target\":\"@practice_10\",\"limit\":1}}}"
}
code=$(batch $((BATCH + 10)) too-many)
[ "$code" = 503 ] && grep -q 'store.spool_max.*order fewer' "$WORK/body" || die "a batch that does not fit: $code $(cat "$WORK/body")"
code=$(batch $BATCH batch)
[ "$code $(header Durability)" = "202 spooled" ] || die "a batch while the Redis is away: $code $(header Durability) $(cat "$WORK/body")"
batch=$(jq -r --argjson n $BATCH 'select(.state == "running" and .counts.ready == $n) | .id' "$WORK/body")
[ -n "$batch" ] || die "a batch was answered with $(cat "$WORK/body")"
[ "$(call -o "$WORK/answer" -w '%{http_code}' "http://fulmar/v1/batches/$batch")" = 503 ] || die "asked about the batch: $(cat "$WORK/answer")"
[ "$(spooled waiting)" = "$ALL" ] || die "$(spooled waiting) jobs wait, not $ALL"

# ---- the node is killed with all of them, and started without the Redis

kill_service
"$OUT/fulmar" doctor --config "$WORK/fulmar.yaml" >"$WORK/answer" 2>&1
grep -q "$ALL jobs in $WORK/state/spool.db that the Redis does not have yet" "$WORK/answer" || die "fulmar doctor says nothing of what waits on the disk: $(cat "$WORK/answer")"
# One of them gets damaged on the disk.
python3 - "$WORK/state/spool.db" "${ids[5]}" <<'EOP'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("UPDATE spool SET ticket = 'no ticket' WHERE id = ?", (sys.argv[2],)).rowcount == 1
db.commit()
EOP
"$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
SERVICE_PID=$!
wait_until 20 "API answers" api_up
[ "$(call -o "$WORK/answer" -w '%{http_code}' http://fulmar/readyz)" = 503 ] && grep -q 'Redis cannot be reached' "$WORK/answer" ||
    die "a node that started without its Redis: $(cat "$WORK/answer")"
[ "$(order 3 key-3)" = 202 ] && [ "$(jq -r .id "$WORK/body")" = "${ids[3]}" ] || die "a repeated request at a node that started anew: $(cat "$WORK/body")"
[ "$(batch $BATCH batch)" = 202 ] && [ "$(jq -r '.id + " \(.counts.ready)"' "$WORK/body")" = "$batch $BATCH" ] && [ "$(header Idempotency-Replayed)" = true ] ||
    die "the batch ordered again at a node that started anew: $(cat "$WORK/body")"
take $((JOBS - 1))
[ "$(order $JOBS)" = 503 ] && grep -q "as many jobs as may wait on this node do ($((ALL + 1)))" "$WORK/body" ||
    die "a full spool: $(cat "$WORK/body")"
[ "$(spooled waiting)" = $((ALL + 1)) ] || die "$(spooled waiting) jobs wait, not $((ALL + 1))"
call http://fulmar/readyz?verbose | jq -e --argjson n $((ALL + 1)) '.spool | .waiting == $n and .most == $n and .oldest_at != null' >"$WORK/answer" ||
    die "the spool in readyz: $(call http://fulmar/readyz?verbose | jq -c .spool)"
"$OUT/fulmar" status --server "unix:$(SOCK)" >"$WORK/answer" 2>&1
grep -q "$((ALL + 1)) of $((ALL + 1)) jobs wait on this node's disk" "$WORK/answer" || die "the spool in fulmar status: $(cat "$WORK/answer")"
ages() { [ "$(call http://fulmar/metrics | sed -n 's/^fulmar_spool_oldest_ms //p')" -gt 1500 ]; }
wait_until 20 "the oldest one ages" ages
say "spool: $JOBS jobs and a batch of $BATCH were taken while the Redis was away, also by a node that started then; one more was refused"

# ---- the Redis comes back

start_redis --appendfsync always
wait_until 90 "service is ready" service_ready
call http://fulmar/v1/nodes | jq -e '.data[0].spooled >= 0' >"$WORK/answer" || die "the node says nothing of its spool: $(call http://fulmar/v1/nodes)"
is_aside() { [ "$(spooled aside)" = 1 ] && [ "$(spooled waiting)" = 0 ]; }
wait_until 20 "the damaged one is set aside" is_aside
grep -q "spool.aside.*job=${ids[5]}" "$WORK/service.log" || die "nobody named the job that is set aside"
call http://fulmar/readyz?verbose | jq -e '.spool.aside == 1' >"$WORK/answer" || die "readyz says nothing of the one that is set aside"
"$OUT/fulmar" status --server "unix:$(SOCK)" 2>&1 | grep -q "1 jobs on this node's disk could not be handed over" || die "fulmar status says nothing of it"
"$OUT/fulmar" top --server "unix:$(SOCK)" 2>&1 | grep -q "1 could not be handed over" || die "fulmar top says nothing of it"
[ "$(call -o "$WORK/answer" -w '%{http_code}' "http://fulmar/v1/jobs/${ids[5]}")" = 503 ] || die "asked about it: $(cat "$WORK/answer")"
# A dry run of a move is refused while the node is up, and changes nothing of what it has.
look() { "$OUT/fulmar" store move --from shared --to "sqlite:$WORK/target" --config "$WORK/fulmar.yaml" --dry-run "$@" >"$WORK/look" 2>&1; }
aside=${ids[5]}
look &
looking=$!
# Who orders it again, with its key, has it done.
[ "$(order 5 key-5)" = 202 ] || die "ordered again: $(cat "$WORK/body")"
ids[5]=$(jq -r .id "$WORK/body")
all_ended() {
    local id
    for id in "${ids[@]}"; do job_ended "$id" || return 1; done
}
wait_until 120 "all jobs end" all_ended
for ((i = 0; i < JOBS; i++)); do
    [ "$(job_state "${ids[i]}")" = succeeded ] || die "job ${ids[i]}: $(job "${ids[i]}" | jq -c '{state,failure}')"
    same_as_truth "${ids[i]}" posts "@practice_$((10 + i))" $((1 + i)) || die "job ${ids[i]} differs from the truth"
done
wait_until 20 "the one whose key another job has ends" job_ended "$out"
job "$out" | jq -e --arg held "$held" '.state == "cancelled" and (.failure.why | test($held))' >"$WORK/answer" || die "a job whose key another one has: $(job "$out" | jq -c '{state,failure}')"
[ "$(job_state "$held")" = scheduled ] || die "the job that has the key is $(job_state "$held")"
is_complete() { call "http://fulmar/v1/batches/$batch" | jq -e --argjson n $BATCH '.state == "success" and .counts.succeeded == $n and .callbacks.complete.job != null' >"$WORK/answer"; }
wait_until 120 "the batch is complete" is_complete
wait_until 60 "its callback ends" job_ended "$(call "http://fulmar/v1/batches/$batch" | jq -r .callbacks.complete.job)"
said=$(call --max-time 3 "http://fulmar/v1/events?job=$batch&after=0" | grep -c '^event: batch.complete')
[ "$said" = 1 ] || die "batch.complete was said $said times"
[ "$(batch $BATCH batch)" = 202 ] && [ "$(jq -r .id "$WORK/body")" = "$batch" ] || die "the batch ordered again afterwards: $(cat "$WORK/body")"
ends=$(call http://fulmar/metrics | awk '/^fulmar_jobs_finished_total/ {n += $2} END {print n}')
[ "$ends" = $((ALL + 2)) ] || die "$((ALL + 2)) jobs ended $ends times"
all=$(($(redis ZCARD "fulmar:{fulmar}:s:4") + $(redis ZCARD "fulmar:{fulmar}:s:5") + $(redis ZCARD "fulmar:{fulmar}:s:6")))
[ "$all" = $((ALL + 3)) ] || die "$all jobs ended, $((ALL + 3)) were accepted"
[ "$(spooled waiting)" = 0 ] || die "$(spooled waiting) jobs still wait"
# The queue knows their keys as well.
[ "$(order 3 key-3)" = 202 ] && [ "$(jq -r .id "$WORK/body")" = "${ids[3]}" ] || die "a repeated request afterwards: $(cat "$WORK/body")"
wait "$looking"
code=$?
[ "$code" = 11 ] && grep -q 'node only uses' "$WORK/look" || die "a dry run of a move while the node is up: $code $(cat "$WORK/look")"
[ "$(call -o "$WORK/answer" -w '%{http_code}' "http://fulmar/v1/jobs/$aside")" = 503 ] || die "after a dry run of a move: $(cat "$WORK/answer")"
[ "$(spooled aside)" = 1 ] || die "$(spooled aside) jobs are set aside after a dry run of a move"
say "spool: a node that was killed with $JOBS jobs handed them over, each ended once and equals the truth"

# ---- what is set aside is no end of a move

stop_service
for i in 1 2; do # it stays so, however often somebody looks
    look
    code=$?
    [ "$code" = 11 ] && grep -q '1 jobs that were set aside.*--leave-aside' "$WORK/look" || die "a dry run of a move: $code $(cat "$WORK/look")"
done
look --leave-aside && grep -q 'set aside stay in' "$WORK/look" && grep -q 'can be moved' "$WORK/look" || die "passed over: $(cat "$WORK/look")"
python3 - "$WORK/state/spool.db" <<'EOP'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("INSERT INTO spool SELECT number,id,tenant,at,run_at,ticket,idem_key,idem_hash,0 FROM spool_aside").rowcount == 1
db.commit()
EOP
look --leave-aside
code=$?
[ "$code" = 11 ] && grep -q '1 jobs that the Redis does not have yet' "$WORK/look" || die "one that waits is left behind: $code $(cat "$WORK/look")"

# ---- no room for more

[ "$(df -B1 --output=avail "$WORK" | tail -1)" -lt 1099511627776 ] || { say "spool: the disk is too large to be too full"; exit 0; }
config 1024GiB
start_service
kill_redis
refused() { [ "$(order 1)" = 507 ]; }
wait_until 20 "a full disk is told" refused
grep -q 'api.failed.*free some or lower store.disk_floor' "$WORK/service.log" || die "nobody said what to do about the disk"
say "spool: without room on the disk a job is refused with the way out"
