#!/bin/bash
# queue.sh [OUT] [JOBS]: the queue in a Redis of its own, with an append-only file that is synced once a second: what
# one node does, one thing after the other; scripts of as many plain commands by redis-benchmark; and another queue,
# BullMQ, when node, npm and the package registry are there.
set -eu
out=${1:-out/release} jobs=${2:-100000}
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/fulmar-bench-XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill "$server"; wait "$server" || true; }
    rm -rf "$dir"
}
trap finish EXIT
start() {
    redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --save "" --appendonly yes --appendfsync everysec \
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

start
"$out/bench/queue" "unix://$dir/redis.sock" "$jobs"
stop

echo
echo "redis-benchmark, a script of so many HSET on hashes of their own:"
start
for commands in 28 39; do
    for pipeline in 1 16; do
        redis-benchmark -s "$dir/redis.sock" -c 1 -P $pipeline -n 20000 -r 1000000 --csv EVAL \
            "for i = 1, $commands do redis.call('HSET', KEYS[1] .. ':' .. i, 'f', ARGV[1]) end return 1" 1 key:__rand_int__ value |
            tail -1 | tr -d '"' | awk -F, -v c=$commands -v p=$pipeline '{printf "%d commands, %d at once: %.0f a second\n", c, p, $(NF - 6)}'
    done
done
stop

echo
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "BullMQ: skipped: node and npm are not installed"
    exit 0
fi
mkdir "$dir/bullmq"
cp "$here"/bullmq/* "$dir/bullmq"
if ! (cd "$dir/bullmq" && timeout 300 npm install --no-package-lock --ignore-scripts --no-audit --no-fund) >"$dir/npm.log" 2>&1; then
    tail -5 "$dir/npm.log" >&2
    echo "BullMQ: skipped: its packages could not be installed"
    exit 0
fi
start
(cd "$dir/bullmq" && SOCKET="$dir/redis.sock" JOBS=20000 timeout 300 node bullmq.mjs)
