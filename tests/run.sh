#!/bin/sh
# Runs test programs, half as many again at a time as there are processors, as most of them wait for a disk, a
# server or a clock (AT_ONCE: another number); each alone, so that a crash stays alone. Those that take longest begin first. Prints a line a
# program as it ends, with its seconds, the output of those that fail, and a count at the end. After UNTIL (seconds since
# 1970) none begins any more: those are named and counted as left out.
longest="test_redis_trouble test_prototype test_scenarios_keep test_differential test_batches test_archive_trouble
    test_store_clock test_cli test_archive test_scenarios_lanes test_redis_history test_scenarios_wake test_redis_pieces
    test_move"
# These only compute. Those that talk with a server go first whenever they have an answer: else each of their many
# answers would wait for the end of a slice of time.
computing=" test_prototype test_differential test_explore test_model "
if [ "$1" = --one ]; then
    program=$2 said=$3/$(echo "$2" | tr / _) # some have the same name
    began=$(date +%s) idle=
    if [ "$began" -ge "${UNTIL:-$((began + 1))}" ]; then
        echo "left out  $(basename "$program")" | tee "$said.left"
        exit 0
    fi
    case "$computing" in *" $(basename "$program") "*) command -v chrt >/dev/null && idle="chrt --idle 0" ;; esac
    # shellcheck disable=SC2086
    if timeout "${TEST_TIMEOUT:-480}" $idle "$program" >"$said.log" 2>&1; then
        tests=$(grep -c '\[       OK' "$said.log" || true)
        skipped=$(grep -c '\[  SKIPPED' "$said.log" || true)
        {
            echo "ok    $(basename "$program")  $tests tests$([ "$skipped" -gt 0 ] && echo ", $skipped skipped")  $(($(date +%s) - began)) s"
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
in_order() { # the programs given, one a line
    for name in $longest; do
        printf '%s\n' "$@" | grep "/$name\$"
    done
    printf '%s\n' "$@"
}
in_order "$@" | awk '!seen[$0]++' | tr '\n' '\0' | xargs -0 -P "${AT_ONCE:-$(($(nproc) * 3 / 2))}" -I '{}' sh "$0" --one '{}' "$said"
passed=$(find "$said" -name '*.ok' | wc -l)
left=$(find "$said" -name '*.left' | wc -l)
echo "$passed passed, $(($# - passed - left)) failed$([ "$left" -eq 0 ] || echo ", $left left out for the time that the rest took")"
[ "$((passed + left))" -eq $# ]
