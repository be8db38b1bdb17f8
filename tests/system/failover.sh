#!/bin/bash
# A Sentinel promotes a replica that was behind, under load: two nodes take FAILOVER_JOBS (60) jobs, a third of them while the
# replica is cut off, then the primary is killed. With `store.spool: always` each job that was answered ends with what it was
# asked for, none twice; the loss is noticed, the epoch rises once, and it is said. Before that the replica stands still, and who asked for
# `store.durability: replicated` is told in time that this is not known.
OUT=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/servers.sh"
JOBS=${FAILOVER_JOBS:-60} WAIT_MS=200
have_servers && command -v redis-sentinel >/dev/null || { say "failover: skipped: no Redis, Sentinel or PostgreSQL (make setup installs them)"; exit 0; }
declare -A PIDS PORTS

node_call() { # NODE ARGS…
    local node=$1
    shift
    curl -sS --max-time 20 --unix-socket "$WORK/$node/state/fulmar.sock" "$@"
}
node_is_ready() { [ "$(node_call "$1" -o /dev/null -w '%{http_code}' http://fulmar/readyz 2>/dev/null)" = 200 ]; }
start_node() { # NODE
    mkdir -p "$WORK/$1"
    chmod 755 "$WORK/$1"
    cat >"$WORK/$1/fulmar.yaml" <<EOC
api:
  port: 0
store:
  path: $WORK/$1/state
  queue: "sentinel://127.0.0.1:${PORTS[sentinel]}/main"
  archive: "$ARCHIVE"
  node: $1
  spool: always
  durability: $([ "$1" = south ] && echo replicated || echo memory)
  durability_wait: ${WAIT_MS}ms
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"]
queue:
  coalesce: false
worker:
  count: 2
browser:
  count: 1
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
    "$OUT/fulmar" serve --config "$WORK/$1/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
    PIDS[$1]=$!
}
stop_all() {
    local code=$? name pid
    for name in "${!PIDS[@]}"; do kill -TERM "${PIDS[$name]}" 2>/dev/null; done
    for name in "${!PIDS[@]}"; do
        for _ in $(seq 100); do gone "${PIDS[$name]}" && break; sleep 0.1; done
        # shellcheck disable=SC2046
        kill -KILL "${PIDS[$name]}" $(tree "${PIDS[$name]}") 2>/dev/null
        wait "${PIDS[$name]}" 2>/dev/null
        for pid in $(pgrep -f "$WORK/$name/state"); do kill -KILL "$pid" 2>/dev/null; done
    done
    stop_servers
    (exit $code)
    finish
}
trap stop_all EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
says() { redis-cli -p "${PORTS[$1]}" "${@:2}" 2>/dev/null; }
answers() { [ "$(says "$1" PING)" = PONG ]; }
start_server() { # NAME OPTIONS…
    mkdir -p "$WORK/redis-$1"
    redis-server --port "${PORTS[$1]}" --bind 127.0.0.1 --dir "$WORK/redis-$1" --save "" --appendonly yes \
        --appendfsync everysec --repl-diskless-sync-delay 0 --logfile redis.log "${@:2}" >/dev/null &
    PIDS[$1]=$!
    wait_until 20 "$1 answers" answers "$1"
}
for name in first second sentinel; do PORTS[$name]=$(free_port); done
start_practice
start_postgres
start_server first
start_server second --replicaof 127.0.0.1 "${PORTS[first]}"
cat >"$WORK/sentinel.conf" <<EOC
port ${PORTS[sentinel]}
bind 127.0.0.1
dir $WORK
logfile $WORK/sentinel.log
sentinel monitor main 127.0.0.1 ${PORTS[first]} 1
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 10000
EOC
redis-sentinel "$WORK/sentinel.conf" >/dev/null &
PIDS[sentinel]=$!
wait_until 20 "the Sentinel answers" answers sentinel
knows_the_replica() { [ "$(says sentinel SENTINEL replicas main | grep -c "^127.0.0.1:${PORTS[second]}$")" -ge 1 ]; }
wait_until 30 "the Sentinel knows the replica" knows_the_replica
copied() { says first INFO replication | grep -q 'slave0:.*state=online'; }
wait_until 20 "the replica copies" copied
for node in north south; do start_node $node; done
for node in north south; do wait_until 90 "node $node is ready" node_is_ready $node; done

order() { # NODE N → id and how safe it is; empty: it was not taken
    node_call "$1" -D "$WORK/head" http://fulmar/v1/jobs -H 'Content-Type: application/json' \
        -d "{\"kind\":\"posts\",\"target\":\"@practice_$((10 + $2))\",\"limit\":$((1 + $2 % 40)),\"evidence\":\"never\"}" | jq -r '.id // empty'
}
declare -a ids
take() { # FROM TO: each is asked for until it is taken
    local i node
    for ((i = $1; i < $2; i++)); do
        node=north
        [ $((i % 2)) = 1 ] && node=south
        while ids[i]=$(order $node "$i") && [ -z "${ids[i]}" ]; do sleep 0.05; done
    done
}
# ---- a replica that stands still

durability() { tr -d '\r' <"$WORK/head" | sed -n 's/^Durability: //Ip'; }
waited=()
ask() { # durability of one more job of south
    waited+=("$(order south ${#waited[@]})")
    [ "$(durability)" = "$1" ]
}
wait_until 20 "a job is replicated" ask replicated
kill -STOP "${PIDS[second]}"
began=$(date +%s%N)
ask unconfirmed || die "the replica stands still, and the answer says: $(durability)"
took=$((($(date +%s%N) - began) / 1000000))
[ $took -lt $((WAIT_MS + 2000)) ] || die "the answer came after $took ms, $WAIT_MS were asked for"
[ "$(says first EXISTS "fulmar:{fulmar}:j:${waited[-1]}")" = 1 ] || die "the primary does not have the job"
kill -CONT "${PIDS[second]}"
wait_until 20 "a job is replicated again" ask replicated
say "failover: with a replica that stood still the answer came after $took ms and said unconfirmed"

epoch() { says "$1" HGET 'fulmar:{fulmar}:meta' epoch; }

take 0 $((JOBS / 3))
was=$(epoch first)
# The replica hears nothing more, and what is done from here on is lost with the primary.
says second REPLICAOF 127.0.0.1 1 >/dev/null
cut() { says first INFO replication | grep -q 'connected_slaves:0'; }
wait_until 10 "the replica is cut off" cut
take $((JOBS / 3)) $((2 * JOBS / 3))
lost=$(($(says first HGET 'fulmar:{fulmar}:meta' ev) - $(says second HGET 'fulmar:{fulmar}:meta' ev)))
[ "$lost" -gt 0 ] || die "nothing would be lost"
kill -KILL "${PIDS[first]}"
wait "${PIDS[first]}" 2>/dev/null
unset "PIDS[first]"
began=$(date +%s%N)
take $((2 * JOBS / 3)) "$JOBS"
promoted() { says second INFO replication | grep -q 'role:master'; }
# One that was held up itself does nothing for 30 s (TILT).
wait_until 150 "the Sentinel promotes the replica" promoted
for node in north south; do wait_until 60 "node $node is ready again" node_is_ready $node; done
took=$((($(date +%s%N) - began) / 1000000))

all_ended() {
    local id
    for id in "${ids[@]}" "${waited[@]}"; do
        [[ "$(node_call north "http://fulmar/v1/jobs/$id")" =~ '"state":"'(succeeded|dead|cancelled|expired)'","verdict"' ]] || return 1
    done
}
wait_until 240 "all jobs end" all_ended
bad=0
for ((i = 0; i < JOBS; i++)); do
    state=$(node_call south "http://fulmar/v1/jobs/${ids[i]}" | jq -r .state)
    curl -sS "$SITE/$(truth_path posts "@practice_$((10 + i))" $((1 + i % 40)))" | normal >"$WORK/truth"
    node_call south "http://fulmar/v1/jobs/${ids[i]}/posts" | normal >"$WORK/got"
    if [ "$state" != succeeded ] || ! cmp -s "$WORK/truth" "$WORK/got"; then
        bad=$((bad + 1))
        say "job ${ids[i]}: $state, $(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"
    fi
done
[ $bad = 0 ] || die "$bad of $JOBS jobs differ from the truth"
ALL=$((JOBS + ${#waited[@]}))
[ "$(says second ZCARD 'fulmar:{fulmar}:s:4')" = "$ALL" ] || die "$(says second ZCARD 'fulmar:{fulmar}:s:4') jobs succeeded, $ALL were accepted"
[ "$(epoch second)" = $((was + 1)) ] || die "the epoch was $was and is $(epoch second)"
noticed=0
for node in north south; do
    node_call $node http://fulmar/readyz?verbose | jq -e '.lost.times >= 1 and .lost.events >= 1' >/dev/null && noticed=$((noticed + 1))
done
[ $noticed -ge 1 ] || die "no node noticed that $lost events were lost"
"$OUT/fulmar" status --server "unix:$WORK/north/state/fulmar.sock" 2>&1 | grep -q 'the Redis had lost [0-9]* events' || [ $noticed = 1 ] || die "fulmar status says nothing of it"
grep -q 'queue.lost ' "$WORK/service.log" || die "nobody said what was lost"
say "failover: $lost events were lost with the primary, $noticed nodes noticed; ready again after $took ms; all of $JOBS jobs ended once and equal the truth"
