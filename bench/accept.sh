#!/bin/bash
# accept.sh OUT: how long an accepted job waits for its worker when a worker is free.
#
# Bursts of as many jobs (limit 1) as there are workers (8), one each 20 ms (50 a second); the next
# burst comes when all have ended. So it is the service that is measured, not the length of a queue.
# The time is started_at - created_at of the job views, in whole ms. BURSTS is 25 by default.
OUT=$1
. "$(dirname "$0")/lib.sh"
BURSTS=${BURSTS:-25}
BURST=8

start_site
cat >"$WORK/extra.yaml" <<EOT
queue:
  coalesce: false # equal jobs are meant to run each
worker:
  count: $BURST
lane:
  max_active: 64
EOT
start_service
: >"$WORK/waits"
for ((turn = -1; turn < BURSTS; turn++)); do
    submit_all $BURST 1 --rate 50/s
    wait_until 60 "a burst ends" all_ended
    [ $turn -lt 0 ] && continue # warm-up
    read_views 1
    jq .timings.queued_ms "$WORK/views" >>"$WORK/waits"
done
stop_service || die "the service did not stop in order"
read -r median p95 p99 most <<<"$(ranks <"$WORK/waits")"
say "program=accept jobs=$(wc -l <"$WORK/waits") median_ms=$median p95_ms=$p95 p99_ms=$p99 max_ms=$most"
