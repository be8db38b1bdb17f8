#!/bin/bash
# All system tests (or TESTS) against the programs in the folder given; those that kill against those in
# POINTS, which have fault points (the same folder by default). Skips with a message without Chromium.
OUT=$1
here=$(dirname "$0")
if [ ! -x /usr/lib/chromium/chromium-headless-shell ] && [ ! -x /usr/lib/chromium/chromium ]; then
    echo "skipped: no Chromium on this machine (make setup installs it)"
    exit 0
fi
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for test in ${TESTS:-practice faults fetch nitter targets drift dom reload evidence fields options schedules queues sessions media batches volume disk processes kill e2e}; do
    began=$(date +%s)
    program=$OUT
    [ "$test" = practice ] && program=$OUT/fulmar-practice
    [ "$test" = kill ] || [ "$test" = media ] && program=${POINTS:-$OUT}
    # The details of a failure are in the test's own last lines.
    if ! timeout 900 bash "$here/$test.sh" "$program" >"$said" 2>&1; then
        tail -60 "$said"
        echo "FAIL  system/$test"
        exit 1
    fi
    grep -a "^$test:" "$said"
    echo "ok    system/$test  $(($(date +%s) - began)) s"
done
