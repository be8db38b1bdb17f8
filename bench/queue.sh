#!/bin/bash
# queue.sh [OUT] [JOBS]: the queue in a Redis of its own, in memory with an append-only file that is synced once a second.
set -eu
out=${1:-out/release}
dir=$(mktemp -d "${TMPDIR:-/tmp}/fulmar-bench-XXXXXX")
redis-server --port 0 --unixsocket "$dir/redis.sock" --dir "$dir" --save "" --appendonly yes --appendfsync everysec \
    --logfile redis.log &
server=$!
trap 'kill "$server"; wait "$server" || true; rm -rf "$dir"' EXIT
until redis-cli -s "$dir/redis.sock" ping >/dev/null 2>&1; do kill -0 "$server"; done
"$out/bench/queue" "unix://$dir/redis.sock" "${2:-100000}"
