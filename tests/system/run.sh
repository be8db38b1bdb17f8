#!/bin/bash
# All system tests (or TESTS) against the programs in the folder given; those that kill against those in
# POINTS, which have fault points (the same folder by default). Two at a time (TOGETHER), the long ones first; those
# that measure or fill a disk by themselves. Skips with a message without Chromium. After UNTIL (seconds since 1970) none
# begins any more: those are named and counted as left out.
OUT=$1
here=$(dirname "$0")
together="nodes fence spool move failover media queues bounds room webhooks batches schedules cli practice dom faults drift targets evidence e2e options sessions reload volume fetch nitter fields"
alone="disk upgrade processes kill"

if [ "$1" = --one ]; then
    OUT=$2 test=$3 said=$4/$3
    began=$(date +%s)
    program=$OUT
    [ "$test" = practice ] && program=$OUT/fulmar-practice
    [ "$test" = kill ] || [ "$test" = media ] && program=${POINTS:-$OUT}
    [ -z "$(ls "$4"/*.failed 2>/dev/null)" ] || exit 0
    if [ "$began" -ge "${UNTIL:-$((began + 1))}" ]; then
        echo "left out  system/$test" | tee "$said.left"
        exit 0
    fi
    # The details of a failure are in the test's own last lines.
    if timeout 900 bash "$here/$test.sh" "$program" >"$said.log" 2>&1; then
        grep -a "^$test:" "$said.log" >"$said.ok"
        echo "ok    system/$test  $(($(date +%s) - began)) s" >>"$said.ok"
        cat "$said.ok"
    else
        {
            tail -60 "$said.log"
            echo "FAIL  system/$test"
        } >"$said.failed"
        cat "$said.failed"
    fi
    exit 0
fi
if [ ! -x /usr/lib/chromium/chromium-headless-shell ] && [ ! -x /usr/lib/chromium/chromium ]; then
    echo "skipped: no Chromium on this machine (make setup installs it)"
    exit 0
fi
wanted() { # of these, those of TESTS
    local test
    for test in "$@"; do
        case " ${TESTS:-$together $alone} " in *" $test "*) printf '%s\0' "$test" ;; esac
    done
}
for file in "$here"/*.sh; do
    test=$(basename "$file" .sh)
    case " $together $alone lib run servers soak versions " in *" $test "*) ;; *) echo "FAIL  system/$test is in no list of run.sh" && exit 1 ;; esac
done
for test in $TESTS; do
    case " $together $alone " in *" $test "*) ;; *) echo "FAIL  there is no system/$test" && exit 1 ;; esac
done
said=$(mktemp -d) || exit 1
trap 'rm -rf "$said"' EXIT
# shellcheck disable=SC2086
wanted $together | xargs -0 -r -P "${TOGETHER:-2}" -I '{}' bash "$0" --one "$OUT" '{}' "$said"
# shellcheck disable=SC2086
wanted $alone | xargs -0 -r -P 1 -I '{}' bash "$0" --one "$OUT" '{}' "$said"
passed=$(find "$said" -name '*.ok' | wc -l)
left=$(find "$said" -name '*.left' | wc -l)
# shellcheck disable=SC2086
all=$(wanted $together $alone | tr -cd '\0' | wc -c)
[ "$left" -eq 0 ] || echo "$left of $all system tests left out for the time that the rest took"
[ "$((passed + left))" -eq "$all" ] || { echo "FAIL  $passed of $all system tests passed" && exit 1; }
