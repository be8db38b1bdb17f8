#!/bin/bash
# extract.sh OUT: captured answers to finished records on one core, next to what only reading their JSON
# costs in Python (json.loads), on the same bytes. The real captures where they are, else our own.
OUT=$1
cd "$(dirname "$0")/.." || exit 1
captures=${CAPTURES:-../shared/fixtures/x/graphql}
[ -d "$captures" ] || captures=tests/data/shapes/graphql
mapfile -t files < <(find "$captures" -name '*.json' ! -name '*.expect.json' | sort)
echo "captures: ${#files[@]} files"
"$OUT/bench/extract" sites "${files[@]}" || exit 1
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 0; }
python3 -c '
import json, sys, time, resource
files = [open(name, "rb").read() for name in sys.argv[1:]]
held, size = [], 0
while size < 100_000_000:
    copy = bytes(bytearray(files[len(held) % len(files)]))
    held.append(copy)
    size += len(copy)
start = time.process_time()
for body in held:
    json.loads(body)
took = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print("program=json.loads answers=%d mb=%.1f seconds=%.2f mb_per_s=%.0f posts_per_s= users_per_s= peak_mb=%.0f peak_of_input=%.2f"
      % (len(held), size / 1e6, took, size / 1e6 / took, peak / 1e6, peak / size))' "${files[@]}"
