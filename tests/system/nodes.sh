#!/bin/bash
# Nodes on one machine share a Redis and a PostgreSQL: NODES_JOBS (200) jobs of all kinds and priorities over NODES (north
# south), KILLS (8) times one of VICTIMS (the nodes, redis, postgres) is killed, REST (1) to twice as many seconds after all is up
# again. Every job ends, records equal the truth, nothing is there
# twice, limits hold. OUT_NODE (OUT_south, ...): programs of this node, where they are others than those of the test: an
# earlier version beside a new one. Among them is a batch that one node begins and the other goes on with and seals: its callbacks come
# once, and a receiver hears of it under one id, whichever node tells it.
OUT=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
JOBS=${NODES_JOBS:-200} KILLS=${KILLS:-8} REST_LOOKS=$((20 * ${REST:-1})) MAX_ACTIVE=5
read -ra NODES <<<"${NODES:-north south}"
read -ra VICTIMS <<<"${VICTIMS:-${NODES[*]} redis postgres}"
declare -A PIDS
RECEIVER_PID="" RECEIVER=""
have_servers || { say "nodes: skipped: no Redis or PostgreSQL (make setup installs them)"; exit 0; }

node_call() { # NODE ARGS…
    local node=$1
    shift
    curl -sS --max-time 20 --unix-socket "$WORK/$node/state/fulmar.sock" "$@"
}
node_is_ready() { [ "$(node_call "$1" -o /dev/null -w '%{http_code}' http://fulmar/readyz 2>/dev/null)" = 200 ]; }
start_node() { # NODE
    local programs=OUT_$1
    mkdir -p "$WORK/$1"
    chmod 755 "$WORK/$1"
    cat >"$WORK/$1/fulmar.yaml" <<EOC
api:
  port: 0
store:
  path: $WORK/$1/state
  queue: "$QUEUE"
  archive: "$ARCHIVE"
  files: $WORK/files
  node: $1
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
  media_base: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}", "127.0.0.1:$RECEIVER"]
webhook:
  retry_base: 50ms
queue:
  coalesce: false
worker:
  count: 4
browser:
  count: 1
lane:
  max_active: $MAX_ACTIVE
job:
  navigate_timeout: 60s
  batch_timeout: 60s
  lease: 5s
  retry_base: 200ms
  retry_cap: 2s
  fail_max: 20
  crash_max: 20
EOC
    chmod 644 "$WORK/$1/fulmar.yaml"
    "${!programs:-$OUT}/fulmar" serve --config "$WORK/$1/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
    PIDS[$1]=$!
}
await_node() { wait_until 90 "node $1 is ready" node_is_ready "$1"; }
# The whole node at one moment: the service, its children, their browsers.
kill_node() {
    local pid
    # shellcheck disable=SC2046
    kill -KILL "${PIDS[$1]}" $(tree "${PIDS[$1]}") 2>/dev/null
    wait "${PIDS[$1]}" 2>/dev/null
    for pid in $(pgrep -f "$WORK/$1/state"); do kill -KILL "$pid" 2>/dev/null; done
}
stop_all() {
    local code=$? node
    for node in "${!PIDS[@]}"; do kill -TERM "${PIDS[$node]}" 2>/dev/null; done
    for node in "${!PIDS[@]}"; do
        for _ in $(seq 100); do gone "${PIDS[$node]}" && break; sleep 0.1; done
        kill_node "$node"
    done
    stop_servers
    [ -z "$RECEIVER_PID" ] || kill -KILL "$RECEIVER_PID"
    (exit $code)
    finish
}
trap stop_all EXIT

start_practice
start_redis --appendfsync always # what was answered survives its kill
start_postgres
echo ok >"$WORK/heard.mode"
: >"$WORK/heard"
"${PYTHON:-python3}" "$ROOT/tests/system/receiver.py" 0 "$WORK/heard" >"$WORK/receiver.out" 2>&1 &
RECEIVER_PID=$!
wait_until 10 "the receiver listens" grep -q 'listening on' "$WORK/receiver.out"
RECEIVER=$(sed -n 's/listening on //p' "$WORK/receiver.out")
for node in "${NODES[@]}"; do start_node "$node"; done
for node in "${NODES[@]}"; do await_node "$node"; done
node_of() { echo "${NODES[$1 % ${#NODES[@]}]}"; }

# ---- a webhook: its key is made by the first node, and every node has it

secret=$("$OUT/fulmar" webhooks add "http://127.0.0.1:$RECEIVER/in" --types 'batch.*' --json \
    --server "unix:$WORK/north/state/fulmar.sock" | jq -r .secret)
[ "${secret#whsec_}" != "$secret" ] || die "no webhook was made"
for node in "${NODES[@]}"; do
    [ "$node" = north ] || cp -p "$WORK/north/state/fulmar.key" "$WORK/$node/state/fulmar.key"
done

# ---- an order given here is known there, and done where there is room

node_states() { node_call "$1" http://fulmar/v1/nodes | jq -r '[.data[] | .name + " " + .state] | join(", ")'; }
all_up() { [ "$(node_states "$1")" = "$(printf '%s up\n' "${NODES[@]}" | sort | paste -sd, | sed 's/,/, /g')" ]; }
for node in "${NODES[@]}"; do wait_until 20 "$node knows all nodes ($(node_states "$node"))" all_up "$node"; done

order() { # NODE KIND TARGET LIMIT [PRIORITY] → id
    node_call "$1" -H 'Content-Type: application/json' http://fulmar/v1/jobs \
        -d "{\"kind\":\"$2\",\"target\":\"$3\",\"limit\":$4,\"evidence\":\"never\",\"priority\":${5:-5}}" | jq -r '.id // empty'
}
left() { # NODE → jobs that have not ended
    node_call "$1" http://fulmar/metrics 2>/dev/null |
        awk '/^fulmar_jobs\{state="(blocked|scheduled|ready|active)"/ {n += $2; seen = 1} END {print seen ? n : "?"}'
}
# ---- while nothing comes from Redis, nobody is sent to a node

not_ready() { [ "$(node_call north -o "$WORK/answer" -w '%{http_code}' http://fulmar/readyz)" = 503 ]; }
kill -STOP "$REDIS_PID"
wait_until 30 "a node whose Redis stands still is not ready" not_ready
grep -q 'Redis' "$WORK/answer" || die "not ready, because: $(cat "$WORK/answer")"
kill -CONT "$REDIS_PID"
for node in "${NODES[@]}"; do wait_until 10 "$node is ready again" node_is_ready "$node"; done
say "nodes: a node whose Redis stands still says so, and goes on by itself"

# ---- many jobs

declare -a ids kinds targets limits
began=$(date +%s%N)
for ((i = 0; i < JOBS; i++)); do
    node=$(node_of "$i")
    kinds[i]=posts targets[i]="@practice_$((10 + i % 90))" limits[i]=$((1 + i * 7919 % 60))
    case $((i % 10)) in
    3 | 7) kinds[i]=hashtag targets[i]="#practice_$((10 + i % 70))" ;;
    5) kinds[i]=search targets[i]="from:practice_$((10 + i % 90))" ;;
    9) kinds[i]=profile limits[i]=null ;;
    esac
    ids[i]=$(order "$node" "${kinds[i]}" "${targets[i]}" "${limits[i]}" $((i * 3 % 10)))
    [ -n "${ids[i]}" ] || die "job $i was not accepted by $node"
    # Where it was not given it is known as well.
    [ $((i % 20)) != 0 ] || [ "$(node_call "$(node_of $((i + 1)))" "http://fulmar/v1/jobs/${ids[i]}" | jq -r .id)" = "${ids[i]}" ] ||
        die "the other node does not know ${ids[i]}"
done

# ---- a batch of two nodes

BATCH_JOBS=24
part() { # FROM → jobs
    seq "$1" $(($1 + BATCH_JOBS / 2 - 1)) | jq -R '{kind:"posts", target:("@practice_" + .), limit:30, evidence:"never"}' | jq -cs .
}
post_batch() { # NODE PATH KEY BODY
    node_call "$1" -H 'Content-Type: application/json' -H "Idempotency-Key: $3" "http://fulmar/v1/batches$2" -d "$4"
}
made="{\"jobs\":$(part 110),\"open\":true,\"policy\":{\"max_parallel\":3},
    \"callbacks\":{\"complete\":{\"kind\":\"profile\",\"target\":\"@practice_900\"},\"success\":{\"kind\":\"profile\",\"target\":\"@practice_901\"}}}"
batch=$(post_batch north "" one "$made" | jq -r '.id // empty')
[ -n "$batch" ] || die "no batch: $(post_batch north "" one "$made")"
[ "$(post_batch south "" one "$made" | jq -r .id)" = "$batch" ] || die "the same key is another batch at the other node"
for node in south north; do # the second time it is the same addition
    [ "$(post_batch $node "/$batch/jobs" two "{\"jobs\":$(part 122)}" | jq -c '[.added, .counts.total]')" = "[12,24]" ] ||
        die "not added once by $node"
done
[ "$(node_call south -X POST "http://fulmar/v1/batches/$batch/seal" | jq -r .sealed)" = true ] || die "not sealed"

# ---- kills

RANDOM=${SEED:-7}
most_active=0
look_at_lane() {
    local n
    n=$(redis SCARD "fulmar:{fulmar}:l:default/x/normal:a" 2>/dev/null)
    [ "${n:-0}" -le "$most_active" ] || most_active=$n
}
all_ended() {
    local node
    for node in "${NODES[@]}"; do [ "$(left "$node")" = 0 ] || return 1; done
}
declare -A killed longest
for ((k = 0; k < KILLS; k++)); do
    victim=${VICTIMS[k % ${#VICTIMS[@]}]}
    for _ in $(seq $((REST_LOOKS + RANDOM % REST_LOOKS))); do look_at_lane; sleep 0.05; done
    all_ended && break
    killed[$victim]=$((${killed[$victim]:-0} + 1))
    struck=$(date +%s%N)
    case $victim in
    redis)
        kill_redis && start_redis --appendfsync always
        for node in "${NODES[@]}"; do await_node "$node"; done
        ;;
    postgres) kill_postgres && start_postgres ;;
    *)
        kill_node "$victim"
        start_node "$victim"
        await_node "$victim"
        ;;
    esac
    ms=$((($(date +%s%N) - struck) / 1000000))
    [ "$ms" -le "${longest[$victim]:-0}" ] || longest[$victim]=$ms
done
for victim in "${VICTIMS[@]}"; do
    [ "${killed[$victim]:-0}" -ge 1 ] || [ "$KILLS" -lt ${#VICTIMS[@]} ] || die "$victim was not killed: all jobs had ended before"
done
none_left() { look_at_lane; all_ended; }
wait_until 300 "all jobs end" none_left
took=$((($(date +%s%N) - began) / 1000000))
[ "$most_active" -le $MAX_ACTIVE ] || die "$most_active jobs of the lane ran at once, at most $MAX_ACTIVE may"
[ "$most_active" -ge 3 ] || die "only $most_active jobs ran at once: nothing was shared"

# ---- what came

bad=0 posts=0
for ((i = 0; i < JOBS; i++)); do
    node=$(node_of $((i + 1))) # not the one that took the order
    state=$(node_call "$node" "http://fulmar/v1/jobs/${ids[i]}" | jq -r .state)
    case ${kinds[i]} in
    profile) records=users form=normal_users whole="" ;;
    *) records=posts form=normal whole=${limits[i]} ;;
    esac
    curl -sS "$SITE/$(truth_path "${kinds[i]}" "${targets[i]}" $whole)" | $form >"$WORK/truth"
    node_call "$node" "http://fulmar/v1/jobs/${ids[i]}/$records" | $form >"$WORK/got"
    if [ "$state" != succeeded ] || ! cmp -s "$WORK/truth" "$WORK/got"; then
        bad=$((bad + 1))
        say "job ${ids[i]} ${kinds[i]} ${targets[i]}: $state, $(wc -l <"$WORK/got") records, truth $(wc -l <"$WORK/truth")"
    fi
    [ $records = users ] || posts=$((posts + $(wc -l <"$WORK/got")))
done
[ $bad = 0 ] || die "$bad of $JOBS jobs differ from the truth"
say "nodes: $JOBS jobs of $(printf '%s\n' "${kinds[@]}" | sort -u | wc -l) kinds on ${#NODES[@]} nodes, killed on the way: $(for v in "${!killed[@]}"; do printf '%s %s times, ' "$v" "${killed[$v]}"; done)all ended within $((took / 1000)) s, $posts posts equal the truth"
say "nodes: everything was up again within $(for v in "${!longest[@]}"; do printf '%s ms (%s) ' "${longest[$v]}" "$v"; done)"
say "nodes: at most $most_active of $MAX_ACTIVE jobs of the lane at once"

# ---- the batch: complete, each callback once, each record once, and told under one id

batch_at() { node_call "$1" "http://fulmar/v1/batches/$batch" | jq -c "$2"; }
for node in north south; do
    [ "$(batch_at $node '[.state, .counts.succeeded, .counts.total]')" = '["success",24,24]' ] || die "$node: $(batch_at $node '[.state, .counts]')"
done
for name in 900 901; do
    [ "$(node_call north "http://fulmar/v1/jobs?limit=200" | jq "[.data[] | select(.target == \"practice_$name\")] | length")" = 1 ] ||
        die "the callback for practice_$name did not come once"
done
for ((i = 110; i < 110 + BATCH_JOBS; i++)); do curl -sS "$SITE/$(truth_path posts "@practice_$i" 30)"; done | normal | sort -u >"$WORK/truth"
node_call south "http://fulmar/v1/batches/$batch/posts" | normal >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "the batch has $(wc -l <"$WORK/got") posts, the truth $(wc -l <"$WORK/truth")"
heard() { jq -r '.body | fromjson | .type' "$WORK/heard" | sort | uniq -c | awk '{print $2}' | tr '\n' ' '; }
heard_all() { [ "$(heard)" = "batch.complete batch.created batch.sealed batch.success " ]; }
wait_until 60 "the receiver hears of the batch (heard: $(heard))" heard_all
[ "$(jq -r .id "$WORK/heard" | sort -u | wc -l)" = 4 ] || die "an event has two ids: $(jq -c '[.id, .body]' "$WORK/heard")"
say "nodes: a batch of two nodes is complete: callbacks once, $(wc -l <"$WORK/got") posts once, told $(wc -l <"$WORK/heard") times under 4 ids"

# ---- files of media that one node fetched are there for the other

id=$(node_call south -H 'Content-Type: application/json' http://fulmar/v1/jobs \
    -d '{"kind":"posts","target":"@practice_500","limit":60,"media":"download"}' | jq -r .id)
with_files() { [ "$(node_call south "http://fulmar/v1/jobs/$id" | jq -r .state)" = succeeded ]; }
wait_until 120 "the job with media=download ends" with_files
node_call north "http://fulmar/v1/jobs/$id/posts" | jq -r '.media[]? | select(.file) | .file.sha256' | sort -u >"$WORK/sums"
[ "$(wc -l <"$WORK/sums")" -ge 5 ] || die "only $(wc -l <"$WORK/sums") files: $(node_call north "http://fulmar/v1/jobs/$id" | jq -c .report)"
while read -r sum; do
    for node in north south; do
        [ "$(node_call $node "http://fulmar/v1/files/$sum" | sha256sum | cut -d' ' -f1)" = "$sum" ] || die "$node has other bytes of $sum"
    done
done <"$WORK/sums"
[ "$(find "$WORK/files" -type f ! -path '*/part/*' | wc -l)" = "$(wc -l <"$WORK/sums")" ] || die "files on the disk: $(find "$WORK/files" -type f | wc -l)"
say "nodes: $(wc -l <"$WORK/sums") files that one node fetched, whole at each"

# ---- a node that stops gives its jobs on

for node in "${NODES[@]:2}"; do
    kill -TERM "${PIDS[$node]}"
    wait_until 30 "$node stops" gone "${PIDS[$node]}"
done
for ((i = 0; i < 8; i++)); do last[i]=$(order south posts "@practice_$((100 + i))" 100); done
south_works() { node_call south http://fulmar/metrics | grep -q '^fulmar_workers{state="busy"} [1-9]'; }
wait_until 20 "south works" south_works
kill -TERM "${PIDS[south]}"
wait_until 30 "south stops" gone "${PIDS[south]}"
north_has_done() { [ "$(left north)" = 0 ]; }
wait_until 120 "north does what south left" north_has_done
for id in "${last[@]}"; do
    [ "$(node_call north "http://fulmar/v1/jobs/$id" | jq -r '.state')" = succeeded ] || die "job $id of the node that stopped did not succeed"
    target=$(node_call north "http://fulmar/v1/jobs/$id" | jq -r .target)
    curl -sS "$SITE/$(truth_path posts "$target" 100)" | normal >"$WORK/truth"
    node_call north "http://fulmar/v1/jobs/$id/posts" | normal >"$WORK/got"
    cmp -s "$WORK/truth" "$WORK/got" || { say "$target: $(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"; diff "$WORK/truth" "$WORK/got" | cut -c1-300 | head -6; die "job $id of the node that stopped differs from the truth"; }
done
is_stopped() { "$OUT/fulmar" nodes list --server "unix:$WORK/north/state/fulmar.sock" | grep -q '^south  *stopped '; }
wait_until 40 "north says that south stopped" is_stopped
say "nodes: what a node that stopped had begun the other one finished"

# ---- a node that starts while the Redis, or the PostgreSQL, is away is there, says so, and joins

waits_for() { # WORDS
    not_ready && grep -q "$1" "$WORK/answer"
}
joins() { # WORDS
    kill_node north
    : >"$WORK/service.log"
    start_node north
    wait_until 40 "north says that it waits for $1" waits_for "$1"
    [ "$(order north posts @practice_30 5)" = "" ] || die "a job was taken without its servers and without a spool"
}
joins_again() {
    await_node north
    [ "$(grep -c 'child.ended' "$WORK/service.log")" = 0 ] || die "a node that waited for its servers ended"
    id=$(order north posts @practice_30 5)
    wait_until 60 "a job of a node that waited" eval '[ "$(node_call north "http://fulmar/v1/jobs/$id" | jq -r .state)" = succeeded ]'
}
kill_redis
joins Redis
start_redis --appendfsync always
joins_again
kill_postgres
joins archive
start_postgres
joins_again
say "nodes: one that started without its Redis, or without its PostgreSQL, said so and joined"

# ---- a node that is asked for no worker while one reserves a job gives that back: who took the node away saw no lease

works() { "$OUT/fulmar" workers "$@" -q --server "unix:$WORK/north/state/fulmar.sock"; }
worker_is() { [ "$(node_call north http://fulmar/v1/workers/1 | jq -r "$1")" = "$2" ]; }
works scale 1 --wait=20s >"$WORK/said" || die "scale 1: $?"
works quiet 1 || die "quiet: $?"
wait_until 30 "the worker is idle" worker_is .state idle
id=$(order north posts @practice_31 5)
runnable() { [ "$(node_call north http://fulmar/v1/workers/scale | jq .runnable)" = 1 ]; }
wait_until 20 "the job may start" runnable
kill -STOP "$REDIS_PID" # its answer comes when the worker is wanted no more
works resume 1 || die "resume: $?"
wait_until 4 "the worker reserves" worker_is .state reserving
works scale 0 --wait=4s >"$WORK/said" || die "scale 0: $?"
kill -CONT "$REDIS_PID"
given_back() { node_call north "http://fulmar/v1/jobs/$id" | jq -e '.state != "active" and .attempts.started > 0' >"$WORK/answer"; }
wait_until 30 "the job is not with the worker" given_back
[ "$(node_call north "http://fulmar/v1/jobs/$id" | jq -c '[.state, .attempts.released]')" = '["ready",1]' ] ||
    die "a job that came when no worker was wanted: $(node_call north "http://fulmar/v1/jobs/$id" | jq -c '[.state, .attempts]')"
works scale 4 >"$WORK/said" || die "scale 4: $?"
ends() { [ "$(node_call north "http://fulmar/v1/jobs/$id" | jq -r .state)" = succeeded ]; }
wait_until 60 "the job ends with another worker" ends
say "nodes: a job that came when no worker was wanted any more was given back"
