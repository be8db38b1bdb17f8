#!/bin/sh
# Runs test programs, as many at a time as there are processors; each alone, so that a crash stays alone.
# Prints a line a program as it ends, the output of those that fail, and a count at the end.
if [ "$1" = --one ]; then
    program=$2 said=$3/$(echo "$2" | tr / _) # some have the same name
    if timeout "${TEST_TIMEOUT:-480}" "$program" >"$said.log" 2>&1; then
        tests=$(grep -c '\[       OK' "$said.log" || true)
        skipped=$(grep -c '\[  SKIPPED' "$said.log" || true)
        {
            echo "ok    $(basename "$program")  $tests tests$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
            grep '^|' "$said.log" # tables that a program prints for everybody to see
            grep -i '^skip' "$said.log" | head -3
        } >"$said.ok"
        cat "$said.ok"
    else
        {
            echo "FAIL  $(basename "$program")  exit $?"
            tail -60 "$said.log"
        } >"$said.failed"
        cat "$said.failed"
    fi
    rm -f "$said.log"
    exit 0
fi
said=$(mktemp -d) || exit 1
trap 'rm -rf "$said"' EXIT
printf '%s\0' "$@" | xargs -0 -P "$(nproc)" -I '{}' sh "$0" --one '{}' "$said"
passed=$(find "$said" -name '*.ok' | wc -l)
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" -eq $# ]
