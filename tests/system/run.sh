#!/bin/bash
# All system tests against the programs in the folder given. Skips with a message without Chromium.
OUT=$1
here=$(dirname "$0")
if [ ! -x /usr/lib/chromium/chromium-headless-shell ] && [ ! -x /usr/lib/chromium/chromium ]; then
    echo "skipped: no Chromium on this machine (make setup installs it)"
    exit 0
fi
for test in ${TESTS:-practice faults kill e2e}; do
    [ -f "$here/$test.sh" ] || continue
    began=$(date +%s)
    program=$OUT
    [ "$test" = practice ] && program=$OUT/fulmar-practice
    # The details of a failure are in the test's own last lines.
    if ! timeout 900 bash "$here/$test.sh" "$program" >"${TMPDIR:-/tmp}/fulmar-system.$$" 2>&1; then
        tail -60 "${TMPDIR:-/tmp}/fulmar-system.$$"
        rm -f "${TMPDIR:-/tmp}/fulmar-system.$$"
        echo "FAIL  system/$test"
        exit 1
    fi
    grep -aE '^(faults|kill|e2e):' "${TMPDIR:-/tmp}/fulmar-system.$$"
    rm -f "${TMPDIR:-/tmp}/fulmar-system.$$"
    echo "ok    system/$test  $(($(date +%s) - began)) s"
done
