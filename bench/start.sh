#!/bin/bash
# start.sh OUT: from the start of `fulmar serve` with an empty state folder until /livez and /readyz
# answer 200, and from SIGTERM to its end. TIMES (10) starts; the files are in the page cache.
# Resolution 2 ms (see await.c).
OUT=$1
. "$(dirname "$0")/lib.sh"
TIMES=${TIMES:-10}

start_site
write_config
for ((turn = 0; turn <= TIMES; turn++)); do
    rm -rf "$WORK/state"
    line=$("$OUT/bench/await" "$(SOCK)" "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" 2>>"$WORK/service.log") ||
        die "the service did not start"
    wait_until 5 "no process is left: $(ours)" nothing_left
    [ $turn -gt 0 ] && printf '%s\n' "$line" >>"$WORK/starts" # the first one fills the page cache
done
of() { sed "s/.*$1=\([0-9.]*\).*/\1/" "$WORK/starts" | ranks; }
read -r live _ _ live_most <<<"$(of livez_ms)"
read -r ready _ _ ready_most <<<"$(of readyz_ms)"
read -r stop _ _ stop_most <<<"$(of stop_ms)"
say "program=start times=$TIMES livez_median_ms=$live livez_max_ms=$live_most readyz_median_ms=$ready readyz_max_ms=$ready_most stop_median_ms=$stop stop_max_ms=$stop_most"
