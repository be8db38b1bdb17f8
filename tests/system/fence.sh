#!/bin/bash
# A node that is cut off from the Redis stops its job by itself before another node may begin it: south reaches the Redis through
# a relay, which stands still for less than a lease, for a good part of one, and for good. Then the PostgreSQL is away for
# several leases: pages that were asked for are kept and nothing is begun, and it goes on when that is back.
OUT=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
have_servers || { say "fence: skipped: no Redis or PostgreSQL (make setup installs them)"; exit 0; }
declare -A PIDS
RELAY_PID=""

node_call() { # NODE ARGS…
    local node=$1
    shift
    curl -sS --max-time 20 --unix-socket "$WORK/$node/state/fulmar.sock" "$@"
}
node_is_ready() { [ "$(node_call "$1" -o /dev/null -w '%{http_code}' http://fulmar/readyz 2>/dev/null)" = 200 ]; }
start_node() { # NODE QUEUE
    mkdir -p "$WORK/$1"
    chmod 755 "$WORK/$1"
    cat >"$WORK/$1/fulmar.yaml" <<EOC
api:
  port: 0
store:
  path: $WORK/$1/state
  queue: "$2"
  archive: "$ARCHIVE"
  node: $1
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"]
worker:
  count: 1
browser:
  count: 1
job:
  navigate_timeout: 60s
  batch_timeout: 60s
  lease: 6s
EOC
    chmod 644 "$WORK/$1/fulmar.yaml"
    "$OUT/fulmar" serve --config "$WORK/$1/fulmar.yaml" >>"$WORK/$1.log" 2>&1 &
    PIDS[$1]=$!
}
stop_all() {
    local code=$? name pid
    [ -z "$RELAY_PID" ] || kill -CONT "$RELAY_PID" 2>/dev/null
    cat "$WORK"/*.log >"$WORK/service.log" 2>/dev/null
    for name in "${!PIDS[@]}"; do kill -TERM "${PIDS[$name]}" 2>/dev/null; done
    for name in "${!PIDS[@]}"; do
        for _ in $(seq 100); do gone "${PIDS[$name]}" && break; sleep 0.1; done
        # shellcheck disable=SC2046
        kill -KILL "${PIDS[$name]}" $(tree "${PIDS[$name]}") 2>/dev/null
        wait "${PIDS[$name]}" 2>/dev/null
        for pid in $(pgrep -f "$WORK/$name/state"); do kill -KILL "$pid" 2>/dev/null; done
    done
    [ -z "$RELAY_PID" ] || kill -KILL "$RELAY_PID"
    stop_servers
    (exit $code)
    finish
}
trap stop_all EXIT

start_practice
start_redis
start_postgres
"${PYTHON:-python3}" "$ROOT/tests/system/relay.py" "$WORK/relay.sock" "$WORK/redis.sock" >"$WORK/relay.out" 2>&1 &
RELAY_PID=$!
wait_until 10 "the relay listens" grep -q listening "$WORK/relay.out"
start_node north "$QUEUE"
start_node south "unix://$WORK/relay.sock"
for node in north south; do wait_until 90 "node $node is ready" node_is_ready "$node"; done
scale() { "$OUT/fulmar" workers scale "$2" --wait=20s -q --server "unix:$WORK/$1/state/fulmar.sock" >"$WORK/said" || die "scale $1 to $2: $?"; }
scale north 0

view() { node_call north "http://fulmar/v1/jobs/$id" | jq -c "$1"; }
is() { [ "$(view "$1")" = "$2" ]; }
said() { grep -c "$2 .*job=$id" "$WORK/$1.log"; } # NODE EVENT
has_said() { [ "$(said "$1" "$2")" -ge "$3" ]; }
worker_is() { [ "$(node_call "$1" http://fulmar/v1/workers/1 | jq -r .state)" = "$2" ]; }
batches() { redis HGET "fulmar:{fulmar}:j:$id" nb; }
goes_on() { [ "$(view .counts.posts)" -gt "$1" ]; }

# ---- cut off for less than its lease: nothing happens

panel '{"latency_ms":700}'
id=$(node_call north -H 'Content-Type: application/json' http://fulmar/v1/jobs \
    -d '{"kind":"posts","target":"@practice_700","limit":600,"evidence":"never"}' | jq -r .id)
wait_until 60 "the job brings posts at south" goes_on 0
kill -STOP "$RELAY_PID"
sleep 1.5 # is what is tested
kill -CONT "$RELAY_PID"
wait_until 20 "it goes on" goes_on "$(view .counts.posts)"
[ "$(said south job.fenced)" = 0 ] || die "a cut of a quarter of a lease stopped it: $(grep job.fenced "$WORK/south.log")"
is '[.attempts.started, .attempts.released]' '[1,0]' || die "attempts: $(view .attempts)"

# ---- cut off until it stopped by itself, and back before its lease was given away: it is given back without blame

kill -STOP "$RELAY_PID"
wait_until 20 "south stops it by itself" has_said south job.let_go 1
kill -CONT "$RELAY_PID"
wait_until 30 "it was given back" is .attempts.released 1
is '[.attempts.failed, .attempts.crashed]' '[0,0]' || die "blamed: $(view .attempts)"
node_call north "http://fulmar/v1/jobs/$id/events" | grep -q 'could not reach the job store' || die "no reason: $(node_call north "http://fulmar/v1/jobs/$id/events")"
wait_until 30 "it goes on" goes_on "$(view .counts.posts)"

# ---- cut off for good: the other one begins after it has stopped

scale north 1
kill -STOP "$RELAY_PID"
wait_until 60 "north has the job" has_said north job.reserved 1
at() { grep "$2 .*job=$id" "$WORK/$1.log" | tail -1 | cut -d' ' -f1; }
[ "$(said south job.let_go)" = 2 ] || die "north has it while south works on it: $(tail -5 "$WORK/south.log")"
stopped=$(at south job.let_go) began=$(at north job.reserved)
[[ "$stopped" < "$began" ]] || die "south stopped at $stopped, north began at $began"
panel '{"latency_ms":0}'
wait_until 90 "the job ends at north" is .state '"succeeded"'
kill -CONT "$RELAY_PID"
wait_until 30 "south is ready again" node_is_ready south
wait_until 30 "its worker is idle again" worker_is south idle
curl -sS "$SITE/$(truth_path posts @practice_700 600)" | normal >"$WORK/truth"
node_call south "http://fulmar/v1/jobs/$id/posts" | normal >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "$(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"
say "fence: a node that was cut off stopped its job at ${stopped#*T}, another one began it at ${began#*T}; $(wc -l <"$WORK/got") posts equal the truth"

# ---- the archive is away for several leases: what was asked for is kept, and nothing else is asked for

scale south 0
panel '{"latency_ms":400}'
order() { node_call north -H 'Content-Type: application/json' http://fulmar/v1/jobs \
    -d "{\"kind\":\"posts\",\"target\":\"$1\",\"limit\":$2,\"evidence\":\"never\"${3:-}}" | jq -r .id; }
id=$(order @practice_701 300)
wait_until 60 "the job brings posts at north" goes_on 0
kill_postgres
wait_until 60 "its page waits" has_said north job.commit_waits 1
names_archive() { [ "$(node_call "$1" -o "$WORK/answer" -w '%{http_code}' http://fulmar/readyz)" = 503 ] && grep -q archive "$WORK/answer"; }
for node in north south; do wait_until 30 "$node is not ready and names the archive" names_archive "$node"; done
first=$id id=$(order @practice_702 40)
[ -n "$id" ] || die "no job is accepted while the archive is away"
"$OUT/fulmar" workers scale 1 -q --server "unix:$WORK/south/state/fulmar.sock" >"$WORK/said" || die "scale south to 1: $?"
sleep 20 # several leases are what is tested
is .attempts.started 0 || die "a job was begun whose records could not be kept: $(view .attempts)"
second=$id id=$first
is '[.state, .attempts.started, .attempts.released]' '["active",1,0]' || die "the job did not keep its page: $(view '[.state,.attempts]')"
start_postgres
for node in north south; do wait_until 30 "$node is ready again" node_is_ready "$node"; done
panel '{"latency_ms":0}'
for id in "$first" "$second"; do
    wait_until 90 "job $id ends" is .state '"succeeded"'
    is '[.attempts.started, .attempts.released, .attempts.failed]' '[1,0,0]' || die "its pages were asked for again: $(view .attempts)"
done
curl -sS "$SITE/$(truth_path posts @practice_701 300)" | normal >"$WORK/truth"
node_call north "http://fulmar/v1/jobs/$first/posts" | normal >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "$(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"

# ---- an attempt that ends while its page waits is given back without blame, however long the archive is away

scale south 0
panel '{"latency_ms":400}'
id=$(order @practice_703 300 ',"timeouts":{"attempt_s":15}')
wait_until 60 "the job brings posts at north" goes_on 0
kill_postgres
wait_until 60 "its page waits" has_said north job.commit_waits 1
wait_until 40 "its attempt is over" has_said north job.finish_retried 1
sleep 12 # two leases are what is tested
start_postgres
panel '{"latency_ms":0}'
wait_until 30 "north is ready again" node_is_ready north
wait_until 90 "the job ends" is .state '"succeeded"'
is '[.attempts.crashed, .attempts.failed, .attempts.released]' '[0,0,1]' || die "the outage was charged to the job: $(view .attempts)"
say "fence: while the archive was away a page waited, no job began, and both ended at their first attempt"
