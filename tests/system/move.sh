#!/bin/bash
# One machine's store moves to a Redis and a PostgreSQL, and back: jobs that ended with their records, jobs that wait, a batch, a
# schedule, a webhook, evidence. The mover is killed at first; no service starts on a store that was moved; what waited
# ends where it is now.
OUT=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
have_servers || { say "move: skipped: no Redis or PostgreSQL (make setup installs them)"; exit 0; }
trap finish_with_servers EXIT

stop_service() {
    kill -TERM "$SERVICE_PID"
    wait "$SERVICE_PID"
    SERVICE_PID=""
}
# As root too: it becomes whom the store belongs to.
move() { "$OUT/fulmar" store move --config "$WORK/shared.yaml" "$@"; }
there() { move --from "sqlite:$WORK/state" --to shared "$@"; }
back() { move --from shared --to "sqlite:$WORK/state"; }
client() { "$OUT/fulmar" "$@" --server "unix:$(SOCK)" >"$WORK/client" 2>&1 || { cat "$WORK/client" && return 1; }; }
use() { cp "$WORK/$1.yaml" "$WORK/fulmar.yaml"; }
# What the API says of everything that must not change on the way.
picture() {
    local id
    for id in "${ended[@]}"; do
        posts_of "$id"
        job "$id" | jq -cS 'del(.queue_position, .waiting)'
        call "http://fulmar/v1/jobs/$id/artifacts" | jq -cS '[.data[] | {n, kind, bytes, sha256}]'
        call "http://fulmar/v1/jobs/$id/events" | jq -cS '.data // .'
    done
    call http://fulmar/v1/schedules | jq -cS '[.data[] | del(.next_run_at, .next_at)]'
    call http://fulmar/v1/batches | jq -cS .data
    call http://fulmar/v1/webhooks | jq -cS '[.data[] | {id, name, url, types, secret_print}]'
}
same_picture() { # WORDS
    picture >"$WORK/after"
    check
    diff "$WORK/before" "$WORK/after" >"$WORK/diff" || die "$1: $(cut -c1-400 "$WORK/diff" | head -6)"
}

start_practice
start_redis --appendfsync always
start_postgres
cat >"$WORK/extra.yaml" <<EOC
queue:
  coalesce: false
evidence:
  keep: always
browser:
  count: 1
EOC
write_config
cp "$WORK/fulmar.yaml" "$WORK/one.yaml"
awk -v more="  queue: \"$QUEUE\"\n  archive: \"$ARCHIVE\"\n  node: first" '{print} /^  disk_floor:/ {print more}' "$WORK/one.yaml" >"$WORK/shared.yaml"
chmod 644 "$WORK"/*.yaml
start_service

declare -a ended waiting
for i in 1 2 3; do ended+=("$(submit posts "@practice_$((10 + i))" $((15 * i)))"); done
for id in "${ended[@]}"; do wait_job "$id"; done
client mode set paused --reason "a move" || die "not paused"
for i in 1 2; do waiting+=("$(submit posts "@practice_$((20 + i))" 10)"); done
printf '@practice_31\n@practice_32\n' >"$WORK/targets"
client batches create posts --targets "$WORK/targets" --limit 5 --name some --open || die "no batch was made"
client schedules create daily posts @practice_33 --cron '0 4 * * *' || die "no schedule was made"
client webhooks add http://127.0.0.1:9/in --types 'job.*' || die "no webhook was made"
[ "$(call http://fulmar/v1/batches | jq '.data | length')" = 1 ] || die "no batch was made"
[ "$(call http://fulmar/v1/schedules | jq '.data | length')" = 1 ] || die "no schedule was made"
[ "$(call http://fulmar/v1/webhooks | jq '.data | length')" = 1 ] || die "no webhook was made"

# ---- there

there >"$WORK/busy" 2>&1
[ $? = 11 ] || die "a store in use was moved: $(cat "$WORK/busy")"
picture >"$WORK/before"
stop_service
there --dry-run >"$WORK/dry" 2>&1 || die "the dry run: $(cat "$WORK/dry")"
grep -q '^jobs  *7 ' "$WORK/dry" || die "the dry run says: $(cat "$WORK/dry")"
echo 0123456789abcdef0123456789abcdef >"$WORK/state/queue.id" # of a Redis that it used before
there >/dev/null 2>&1 &
mover=$!
for _ in $(seq 10); do redis EXISTS "fulmar:{fulmar}:move" | grep -q 1 && break; sleep 0.01; done
# shellcheck disable=SC2046
kill -KILL "$mover" $(tree "$mover") 2>/dev/null
wait "$mover" 2>/dev/null
there >"$WORK/moved" 2>"$WORK/said" || die "the move: $(cat "$WORK/moved" "$WORK/said")"
check
[ ! -e "$WORK/state/queue.id" ] && grep -q 'queue.id is removed' "$WORK/said" || die "queue.id: $(cat "$WORK/said")"
there --verify >"$WORK/verified" 2>&1 || die "not the same: $(cat "$WORK/verified")"
check
grep -q differs "$WORK/verified" && die "not the same: $(cat "$WORK/verified")"
use one
timeout -k 5 20 "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >"$WORK/refused" 2>&1 && die "a service started on a store that was moved"
check
grep -q 'this store was moved to' "$WORK/refused" || die "it says: $(tail -3 "$WORK/refused")"
use shared
start_service
same_picture "the shared store is not what the embedded one was"
client mode set normal --reason "moved" || die "still paused"
for id in "${waiting[@]}"; do
    wait_job "$id"
    [ "$(job_state "$id")" = succeeded ] || die "$id is $(job_state "$id")"
done
i=0
for id in "${ended[@]}"; do
    i=$((i + 1))
    same_as_truth "$id" posts "@practice_$((10 + i))" $((15 * i)) || die "records of $id"
done
ended+=("${waiting[@]}")
say "move: on Redis and PostgreSQL, and what waited ended there"

# ---- and back

all_ended() { [ "$(call http://fulmar/metrics | awk '/^fulmar_jobs\{state="(blocked|scheduled|ready|active)"/ {n += $2} END {print n + 0}')" = 0 ]; }
wait_until 30 "the batch's jobs end" all_ended
# Waiting does not help whoever asks a node whose queue went elsewhere.
redis HSET "fulmar:{fulmar}:meta" mv 2 >/dev/null
curl -s -D "$WORK/headers" --unix-socket "$(SOCK)" "http://fulmar/v1/jobs/${waiting[0]}" -o "$WORK/elsewhere"
redis HDEL "fulmar:{fulmar}:meta" mv >/dev/null
jq -e '.status == 503 and .code == "store_moved" and .retryable == false' "$WORK/elsewhere" >/dev/null || die "it says: $(cat "$WORK/elsewhere")"
check
! grep -qi '^retry-after' "$WORK/headers" || die "waiting is advised: $(cat "$WORK/headers")"
picture >"$WORK/before"
stop_service
redis COPY "fulmar:{fulmar}:move" "fulmar:{fulmar}:kept" >/dev/null
redis SET "fulmar:{fulmar}:move" "2 mov_1 1 - 4:else-1 0 0 0:0:" >/dev/null
move --from shared --to "sqlite:$WORK/fresh" >"$WORK/moved" 2>"$WORK/said"
[ $? = 11 ] || die "a store that was moved is moved: $(cat "$WORK/moved" "$WORK/said")"
redis RENAME "fulmar:{fulmar}:kept" "fulmar:{fulmar}:move" >/dev/null
owner=$(stat -c %u "$WORK/state")
[ -z "$(ls -A "$WORK/fresh" 2>/dev/null)" ] || die "a move that is refused left $(ls -A "$WORK/fresh")"
[ ! -e "$WORK/fresh" ] || [ "$(stat -c %u "$WORK/fresh")" = "$owner" ] || die "a folder that was made is of $(stat -c %u "$WORK/fresh"): $(cat "$WORK/moved" "$WORK/said")"
back >"$WORK/moved" 2>"$WORK/said" || die "the move back: $(cat "$WORK/moved" "$WORK/said")"
[ -z "$(find "$WORK/state" "$WORK/fresh" ! -uid "$owner")" ] || die "not the store owner's: $(find "$WORK/state" "$WORK/fresh" ! -uid "$owner")"
timeout -k 5 20 "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >"$WORK/refused" 2>&1 && die "a service started on a shared store that was moved"
check
grep -q 'moved elsewhere' "$WORK/refused" && ! grep -q 'result=E_BUSY' "$WORK/refused" || die "it says: $(tail -3 "$WORK/refused")"
use one
start_service
same_picture "the embedded store is not what the shared one was"
last=$(submit posts @practice_40 5)
wait_job "$last"
[ "$(job_state "$last")" = succeeded ] || die "$last is $(job_state "$last")"
say "move: $CHECKS checks, there and back"
