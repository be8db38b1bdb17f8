#!/bin/sh
# Runs every fuzz target of a folder for some seconds each, with the corpus beside the sources.
folder=$1 seconds=$2
here=$(dirname "$0")
for target in "$folder"/fuzz_*; do
    case "$target" in *.o | *.d) continue ;; esac
    name=$(basename "$target")
    corpus=$(mktemp -d)
    seeds="$here/corpus/$name"
    [ -d "$seeds" ] || seeds=""
    printf '%s: ' "$name"
    # shellcheck disable=SC2086
    if ! "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 "$corpus" $seeds \
        >"$corpus.log" 2>&1; then
        tail -40 "$corpus.log"
        rm -rf "$corpus"
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */executions /p' "$corpus.log"
    rm -rf "$corpus" "$corpus.log"
done
