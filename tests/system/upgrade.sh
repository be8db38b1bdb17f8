#!/bin/bash
# A new version takes over: crawls that run go on where they were, and of a storm of accepts nothing is lost.
# $1: programs; POINTS: those that were there before (another build). CRAWL_POSTS: of each crawl, 20 on a page; CRAWL_AT:
# so many each has when the other build comes. Far from the end, for the fastest must not be there yet.
OUT=$1
. "$(dirname "$0")/lib.sh"
NEW=$OUT OLD=$(realpath "${POINTS:-$OUT}")
CRAWLS=10 POSTS=${CRAWL_POSTS:-600} AT=${CRAWL_AT:-40}
start_practice
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":150}'
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: $CRAWLS
browser:
  count: 2
service:
  grace: 5s
EOF

# ---- ten crawls ----

OUT=$OLD
start_service
crawls=()
for n in $(seq $CRAWLS); do
    crawls+=("$(submit posts "@practice_$((2000 + n))" "$POSTS")")
done
on_their_way() { # all of them at once
    local id
    for id in "${crawls[@]}"; do
        [ "$(job "$id" | jq -r '.counts.posts // 0')" -ge "$AT" ] || return 1
    done
}
wait_until 300 "ten crawls are on their way" on_their_way
for id in "${crawls[@]}"; do
    [ "$(job_state "$id")" = active ] || die "crawl $id ended too early to be taken over: $(job "$id" | jq -c '{state,failure,counts}')"
done
stop_service || die "the old version did not stop in order"
nothing_left || die "the old version left $(ours) $(ls "$WORK/state/run")"
OUT=$NEW
start_service
for n in $(seq $CRAWLS); do
    id=${crawls[$((n - 1))]}
    wait_job "$id" 300
    # What the last attempt read and did not have before are whole pages, but for one.
    job "$id" | jq -e '.state == "succeeded" and (.attempts | [.started,.failed,.crashed,.throttled,.released,.voided]) == [2,0,0,0,1,0]
        and (.report.sources[-1] | .pages - 1 <= .posts / 20) and .report.duplicates <= 20' >/dev/null ||
        die "crawl $id: $(job "$id" | jq -c '{state,failure,attempts,counts,report}')"
    same_as_truth "$id" posts "@practice_$((2000 + n))" "$POSTS" || die "crawl $id differs from the truth"
done
say "upgrade: $CRAWLS crawls of $POSTS posts were taken over by another build, each released once and at most one page of it read again"

# ---- a storm of accepts ----

storm() { # NUMBER: accepts one after the other until nobody listens; lines "code id"
    local code
    while code=$(call -o "$WORK/accepted.$1" -w '%{http_code}' -H 'Content-Type: application/json' \
        -d '{"kind":"posts","target":"@practice_2500","limit":5000}' http://fulmar/v1/jobs 2>/dev/null); do
        echo "$code $(jq -r '.id // .code' "$WORK/accepted.$1")"
    done >"$WORK/storm.$1"
}
storms=()
for n in 1 2 3 4; do
    storm "$n" &
    storms+=($!)
done
enough() { [ "$(cat "$WORK"/storm.* | wc -l)" -ge 200 ]; }
wait_until 60 "two hundred accepts" enough
began=$(date +%s%N)
stop_service || die "in a storm of accepts the service did not stop in order"
took_ms=$((($(date +%s%N) - began) / 1000000))
wait "${storms[@]}"
[ "$took_ms" -le 10000 ] || die "with 5 s of grace the service took $took_ms ms to stop"
cat "$WORK"/storm.* | awk '$1 != 202 && !($1 == 503 && $2 == "draining")' >"$WORK/strange"
[ ! -s "$WORK/strange" ] || die "answers that are neither: $(sort "$WORK/strange" | uniq -c | head -5)"
start_service
accepted=0
for id in $(cat "$WORK"/storm.* | awk '$1 == 202 {print $2}'); do
    accepted=$((accepted + 1))
    [ "$(call -o /dev/null -w '%{http_code}' "http://fulmar/v1/jobs/$id")" = 200 ] || die "$id was accepted, and is not there"
done
check
refused=$(cat "$WORK"/storm.* | grep -c '^503')
say "upgrade: stopped in $took_ms ms amid a storm: $accepted accepted and there, $refused told to come back"
stop_service || die "the service did not stop in order"
