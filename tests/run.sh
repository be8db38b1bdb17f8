#!/bin/sh
# Runs test programs one after the other; each alone, so that a crash stays alone. Prints a line a
# program, the output of those that fail, and a count at the end.
failed=0 count=0
for program in "$@"; do
    count=$((count + 1))
    log=$(mktemp)
    if timeout "${TEST_TIMEOUT:-240}" "$program" >"$log" 2>&1; then
        tests=$(grep -c '\[       OK' "$log" || true)
        skipped=$(grep -c '\[  SKIPPED' "$log" || true)
        echo "ok    $(basename "$program")  $tests tests$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")"
        grep '^|' "$log" # tables that a program prints for everybody to see
        grep -i '^skip' "$log" | head -3
    else
        code=$?
        failed=$((failed + 1))
        echo "FAIL  $(basename "$program")  exit $code"
        tail -60 "$log"
    fi
    rm -f "$log"
done
echo "$((count - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
