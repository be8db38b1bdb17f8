#!/bin/bash
# Mixed jobs at 10 workers with random latency, 429 and cut connections: the set of posts and every
# field equal the truth; nothing is left. JOBS=60 by default.
OUT=$1
. "$(dirname "$0")/lib.sh"
JOBS=${JOBS:-60}

start_practice
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 10
browser:
  count: 2
lane:
  max_active: 10
job:
  retry_base: 200ms
  retry_cap: 2s
  fail_max: 20
EOF
start_service
faults=${FAULTS:-'{"latency_random_ms":80,"rate429":0.01,"rate429_s":1,"cut":0.005}'}
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$faults"

mapfile -t accounts < <(curl -sS "$SITE/truth/accounts?count=$((JOBS / 2))" | jq -r 'select(.state == "ok") | .screen_name')
say "e2e: $JOBS jobs, ${#accounts[@]} accounts, 10 workers"
declare -a ids kinds targets limits
began=$(date +%s%N)
for ((i = 0; i < JOBS; i++)); do
    account=${accounts[$((i % ${#accounts[@]}))]}
    limit=$((1 + (i * 7919) % 120))
    [ $((i % 20)) -eq 0 ] && limit=500
    case $((i % 10)) in
    0 | 1 | 2 | 3 | 4 | 5) kind=posts target="@$account" ;;
    6 | 7) kind=hashtag target="#practice_$((10 + i % 70))" ;;
    8) kind=search target="from:$account" ;;
    9) kind=profile target="@$account" limit=null ;;
    esac
    id=$(submit $kind "$target" $limit)
    [ -n "$id" ] || die "job $i ($kind $target) was not accepted"
    ids[i]=$id kinds[i]=$kind targets[i]=$target limits[i]=$limit
done
all_ended() {
    [ "$(call 'http://fulmar/metrics' | awk '/^fulmar_jobs\{state="(blocked|scheduled|ready|active)"/ {n += $2} END {print n + 0}')" = 0 ]
}
wait_until "${E2E_SECONDS:-420}" "all jobs end" all_ended
took=$(($(date +%s%N) / 1000000 - began / 1000000))
wrong=0
for ((i = 0; i < JOBS; i++)); do
    state=$(job_state "${ids[i]}")
    if [ "$state" != succeeded ]; then
        say "job ${ids[i]} ${kinds[i]} ${targets[i]}: $(job "${ids[i]}" | jq -c '{state,failure}')"
        wrong=$((wrong + 1))
        continue
    fi
    [ "${kinds[i]}" = profile ] && continue
    same_as_truth "${ids[i]}" "${kinds[i]}" "${targets[i]}" "${limits[i]}" || wrong=$((wrong + 1))
done
# What the figures say is what happened.
metric() { call http://fulmar/metrics | awk -v name="$1" 'index($1, name) == 1 {n += $2} END {print n + 0}'; }
for pair in "fulmar_jobs_finished_total $JOBS" "fulmar_jobs_submitted_total $JOBS" "fulmar_workers{ 10" \
    'fulmar_browsers{ 2' 'fulmar_browser_launches_total{result="ok"} 2'; do
    got=$(metric "${pair% *}")
    [ "$got" = "${pair##* }" ] || die "the metric ${pair% *} says $got, not ${pair##* }"
done
[ "$(metric 'fulmar_cdp_commands_total{result="ok"}')" -gt "$JOBS" ] || die "DevTools commands were not counted"
[ $wrong -eq 0 ] || die "$wrong of $JOBS jobs differ from the truth"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "e2e: $JOBS jobs, $CHECKS compared with the truth, 0 differences, $took ms"
