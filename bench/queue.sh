#!/bin/bash
# queue.sh [OUT] [JOBS]: the queue in a Redis of its own, with an append-only file that is synced once a second (SYNC=always:
# at each turn): what one node does, one thing after the other and with many that wait at once; scripts of as many plain
# commands by redis-benchmark, as many at once; and another queue, BullMQ, when node, npm and the package registry are
# there. All of it in turns (TURNS), and the best of each counts: a neighbour that builds slows them all.
set -eu
out=${1:-out/release} jobs=${2:-40000} sync=${SYNC:-everysec} turns=${TURNS:-3}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/fulmar-bench-XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
    rm -rf "$dir"
}
trap finish EXIT
start() {
    redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --save "" --appendonly yes --appendfsync "$sync" \
        --logfile redis.log &
    server=$!
    until redis-cli -s "$dir/redis.sock" ping >/dev/null 2>&1; do kill -0 "$server"; done
}
stop() {
    kill "$server"
    wait "$server" || true
    server=
    rm -rf "$dir/appendonlydir" "$dir/redis.sock"
}
# Of lines "name|a second|µs|commands": for each name the best.
best() {
    awk -F'|' '!($1 in rate) { name[++n] = $1 }
        !($1 in rate) || $2 > rate[$1] { rate[$1] = $2 }
        !($1 in us) || $3 < us[$1] { us[$1] = $3 }
        { commands[$1] = $4 }
        END { for (i = 1; i <= n; i++) print name[i] "|" rate[name[i]] "|" us[name[i]] "|" commands[name[i]] }' "$@"
}

ours() {
    start
    "$out/bench/queue" "unix://$dir/redis.sock" "$jobs" >"$dir/said"
    stop
    sed -n 's/^| \(a[^|]*[^ |]\) *| *\([0-9.]*\) *| *\([0-9.]*\) *| *\([0-9.]*\) *|$/\1|\2|\3|\4/p' "$dir/said" >>"$dir/ours"
    grep '^bytes' "$dir/said" >"$dir/bytes"
}
benchmark() { # SCRIPTS AT ONCE, SCRIPT: how many a second
    redis-benchmark -s "$dir/redis.sock" -c 1 -P "$1" -n "$((jobs / 4))" -r 1000000 --csv EVAL "$2" 1 key:__rand_int__ value |
        tail -1 | tr -d '"' | awk -F, '{ printf "%.0f\n", $(NF - 6) }'
}
# As many HSET, on hashes of their own, as one of these has commands when it is alone in its script; and as many as its share
# is of those that several have in one.
plain() {
    start
    best "$dir/ours" >"$dir/rows"
    while IFS='|' read -r name _ _ commands; do
        pipeline=$(echo "$name" | sed -n 's/.*, \([0-9]*\) at once.*/\1/p')
        alone=$(awk -F'|' -v name="${name%, * at once}" '$1 == name { print $4 }' "$dir/rows")
        for n in "$alone" "$commands"; do # when it is alone, once
            [ "$n" = "$alone" ] && file=$dir/alone || file=$dir/share
            benchmark "${pipeline:-1}" "for i = 1, $(printf %.0f "$n") do redis.call('HSET', KEYS[1] .. ':' .. i, 'f', ARGV[1]) end return 1" |
                sed "s/^/$name|/; s/$/||/" >>"$file"
            [ "$alone" != "$commands" ] || break
        done
        [ "$alone" != "$commands" ] || tail -1 "$dir/alone" >>"$dir/share"
    done <"$dir/rows"
    for pipeline in 1 64; do
        benchmark "$pipeline" 'return 1' | sed "s/^/an empty script, $pipeline at once|/; s/$/||/" >>"$dir/empty"
    done
    stop
}
other() {
    start
    (cd "$dir/bullmq" && SOCKET="$dir/redis.sock" JOBS=$((jobs / 4)) timeout 300 node bullmq.mjs) |
        sed 's/^\(.*\): \([0-9]*\) a second$/\1|\2||/' >>"$dir/other"
    stop
}
without_other() {
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        echo "BullMQ: skipped: node and npm are not installed"
        return 0
    fi
    mkdir "$dir/bullmq"
    cp "$here"/bullmq/* "$dir/bullmq"
    (cd "$dir/bullmq" && timeout 300 npm install --no-package-lock --ignore-scripts --no-audit --no-fund) >"$dir/npm.log" 2>&1 &&
        return 1
    tail -5 "$dir/npm.log" >&2
    echo "BullMQ: skipped: its packages could not be installed"
}

skipped=$(without_other) || true
for _ in $(seq "$turns"); do
    ours
    plain
    [ -n "$skipped" ] || other
done
echo "| transition | a second | µs of the server for one | commands for one | as many HSET as it has alone, a second | of that | as many HSET as its share, a second | of that |"
echo "|---|---:|---:|---:|---:|---:|---:|---:|"
best "$dir/ours" >"$dir/rows"
for of in alone share; do
    best "$dir/$of" | cut -d'|' -f2 >"$dir/$of.rate"
done
paste -d'|' "$dir/rows" "$dir/alone.rate" "$dir/share.rate" |
    awk -F'|' '{ printf "| %s | %.0f | %.0f | %.1f | %.0f | %.0f %% | %.0f | %.0f %% |\n", $1, $2, $3, $4, $5, 100 * $2 / $5, $6, 100 * $2 / $6 }'
echo
cat "$dir/bytes"
echo
best "$dir/empty" | awk -F'|' '{ printf "%s: %.0f a second\n", $1, $2 }'
if [ -n "$skipped" ]; then
    echo "$skipped"
else
    best "$dir/other" | awk -F'|' '{ printf "%s: %.0f a second\n", $1, $2 }'
fi
