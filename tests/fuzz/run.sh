#!/bin/bash
# Runs every fuzz target of a folder for some seconds each, as many at once as there are processors,
# starting from the seeds in corpus/TARGET. run.sh FOLDER SECONDS [TARGET]
set -u
folder=$1 seconds=$2
here=$(dirname "$0")
if [ $# -eq 2 ]; then
    find "$folder" -name 'fuzz_*' -type f -executable -printf '%f\n' | sort |
        xargs -P "$(nproc)" -n 1 "$0" "$folder" "$seconds"
    exit
fi
found=$(mktemp -d)
trap 'rm -rf "$found" "$found.log"' EXIT
if ! "$folder/$3" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$folder/$3-" "$found" "$here/corpus/$3" >"$found.log" 2>&1; then
    tail -40 "$found.log"
    echo "FAIL  $3: the input is beside the target, $folder/$3-*"
    exit 255
fi
echo "ok    $3  $(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log") executions"
