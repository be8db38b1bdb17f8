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
    if ! timeout 900 bash "$here/$test.sh" "$OUT"; then
        echo "FAIL  system/$test"
        exit 1
    fi
    echo "ok    system/$test  $(($(date +%s) - began)) s"
done
