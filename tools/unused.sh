#!/bin/bash
# What nothing uses goes: every metric of the table is set somewhere, and every function that leaves
# its file is called from another file of the programs (or, when its own file calls it, from a test).
set -eu
cd "$(dirname "$0")/.."
out=${1:-out/release}
bad=0
for metric in $(grep -oE '^    X\([A-Z_]+' src/core/metrics.h | sed 's/.*(//'); do
    if ! grep -rqw --include='*.c' "METRIC_$metric" src; then
        echo "core/metrics.h: $metric is never set"
        bad=1
    fi
done
# shellcheck disable=SC2046
called=$(nm -A $(find "$out" -name '*.o' -not -path '*/tests/*') | awk '$2 == "U" {print $3}' | sort -u)
# shellcheck disable=SC2046
while read -r object name; do
    file=${object#"$out/"}
    file=${file%.o}.c
    if [ -e "$file" ] && [ "$name" != main ] && ! grep -qxF "$name" <<<"$called"; then
        # What the store of several machines does not use yet: sharing and listing in the archive.
        case $file:$name in *:archive_share | *:archive_jobs) continue ;; esac
        uses=$(grep -cw "$name" "$file")
        if [ "$uses" -gt 1 ] && grep -rqw --include='*.c' "$name" tests bench; then
            continue
        elif [ "$uses" -gt 1 ]; then
            echo "$file: $name() is used in this file only: make it static"
        else
            echo "$file: nothing uses $name()"
        fi
        bad=1
    fi
done < <(nm -A $(find "$out/src" "$out/practice" -name '*.o') | sed 's/:[^ ]* / /;s/:/ /' | awk '$2 == "T" {print $1, $3}')
[ "$bad" -eq 0 ] && echo "unused: none"
exit "$bad"
