#!/bin/bash
# Every post of many accounts, by capture and by what the pages show, with 429s, cut connections, empty
# pages, repeated cursors and searches that stall: no post is missing, none came twice, every field is the
# generator's. ACCOUNTS (10) accounts practice_STEP, practice_2*STEP, ..., whose posts are as many as their
# numbers: ACCOUNTS=500 STEP=1 are 125 250 posts. STRATEGIES="capture dom".
OUT=$1
. "$(dirname "$0")/lib.sh"
ACCOUNTS=${ACCOUNTS:-10} STEP=${STEP:-14}
STRATEGIES=${STRATEGIES:-capture dom}

start_practice
cat >"$WORK/extra.yaml" <<EOV
worker:
  count: 6
browser:
  count: 2
lane:
  max_active: 6
job:
  retry_base: 200ms
  retry_cap: 2s
  fail_max: 20
EOV
start_service
faults() {
    curl -sS -o /dev/null -X DELETE "$SITE/panel/faults"
    curl -sS --fail -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$1" ||
        die "the practice site does not take these faults: $1"
}
order() { # KIND TARGET STRATEGY → job id
    call -H 'Content-Type: application/json' http://fulmar/v1/jobs \
        -d "{\"kind\":\"$1\",\"target\":\"$2\",\"strategy\":\"$3\",\"evidence\":\"never\"}" | jq -r '.id // empty'
}
left() { call http://fulmar/metrics | awk '/^fulmar_jobs\{state="(blocked|scheduled|ready|active)"/ {n += $2} END {print n + 0}'; }
all_ended() { [ "$(left)" = 0 ]; }
# What the strategy can know of a post.
of_job() { if [ "$1" = dom ]; then jq -cS "$BOTH ours"; else jq -cS "$MEMBERS post"; fi | sort; }
of_truth() { if [ "$1" = dom ]; then jq -cS "$BOTH truth"; else jq -cS "$MEMBERS post"; fi | sort; }
declare -A ids
compare() { # STRATEGY NUMBER
    local id=${ids[$2]} n
    [ "$(job_state "$id")" = succeeded ] || die "practice_$2 by $1: $(job "$id" | jq -c '{state,verdict,failure,report}')"
    curl -sS --fail "$SITE/truth/posts/practice_$2?limit=100000" | of_truth "$1" >"$WORK/truth"
    posts_of "$id" | of_job "$1" >"$WORK/got"
    n=$(wc -l <"$WORK/got")
    posts=$((posts + n))
    cmp -s "$WORK/truth" "$WORK/got" && return
    bad=$((bad + 1))
    say "practice_$2 by $1: $n posts of $2, $(comm -3 "$WORK/truth" "$WORK/got" | wc -l) lines differ: $(job "$id" | jq -c '{verdict,end_reason,report}')"
    [ $bad -gt 1 ] || diff "$WORK/truth" "$WORK/got" | cut -c1-900 | head -4
}

usual='{"rate429":0.002,"rate429_s":1,"cut":0.002,"empty_page":0.02,"repeat":0.03,"pictures_far":1}'
faults "${FAULTS:-$usual}"
for strategy in $STRATEGIES; do
    began=$(date +%s%N) posts=0 bad=0 wanted=0
    for ((i = 1; i <= ACCOUNTS; i++)); do
        n=$((i * STEP))
        ids[$n]=$(order posts "practice_$n" "$strategy")
        [ -n "${ids[$n]}" ] || die "practice_$n was not accepted"
        wanted=$((wanted + n))
    done
    wait_until "${SECONDS_MAX:-600}" "all jobs end ($(left) left)" all_ended
    took=$(($(date +%s%N) / 1000000 - began / 1000000))
    for ((i = 1; i <= ACCOUNTS; i++)); do compare "$strategy" $((i * STEP)); done
    [ $bad -eq 0 ] || die "$bad of $ACCOUNTS accounts by $strategy differ from the truth"
    [ $posts -eq $wanted ] || die "$posts posts by $strategy, not $wanted"
    say "volume: $posts posts of $ACCOUNTS accounts by $strategy in $((took / 1000)) s ($((posts * 1000 / took)) a second), every field equal to the truth"
done

# ---- a search that brings the same for ever is asked for what is older

faults '{"stall":40}'
a=$(order hashtag '#practice_90' capture)
b=$(order search from:practice_130 capture)
wait_job "$a" 60
wait_job "$b" 60
same_as_truth "$a" hashtag '#practice_90' || die "a hashtag that stalls is not whole"
same_as_truth "$b" search from:practice_130 || die "a search that stalls is not whole"
[ "$(grep -c 'job.below' "$WORK/service.log")" -ge 4 ] || die "nothing stalled"
stop_service || die "the service did not stop in order"
say "volume: searches that stall are whole all the same"
