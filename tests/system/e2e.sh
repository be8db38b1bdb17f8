#!/bin/bash
# Mixed jobs at 10 workers with random latency, 429 and cut connections: the set of posts and every
# field of posts and accounts equal the truth; nothing grew and nothing is left. JOBS=60 by default.
OUT=$1
. "$(dirname "$0")/lib.sh"
JOBS=${JOBS:-60}
FDS_SLACK=6 # connections of ours that are just being closed

start_practice --layout mixed # all three generations of accounts
cat >"$WORK/extra.yaml" <<EOS
queue:
  coalesce: false # equal jobs are meant to run each
worker:
  count: 10
browser:
  count: 2
lane:
  max_active: 10
  retry_floor: 100000
job:
  retry_base: 200ms
  retry_cap: 2s
  fail_max: 20
EOS
start_service
faults=${FAULTS:-'{"latency_random_ms":80,"rate429":0.01,"rate429_s":1,"cut":0.005}'}
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$faults"

metric_is() { [ "$(metric "$1")" = "$2" ]; }
fds_of_node() { find "/proc/$(role_pids node)/fd" -mindepth 1 2>/dev/null | wc -l; }
fds_settled() { [ "$(fds_of_node)" -le $((fds_before + FDS_SLACK)) ]; }
# Names below the state folder, numbers left out: pids and slots differ when a browser was replaced. What failed
# attempts keep as evidence is the matter of evidence.sh.
files() { (cd "$WORK/state" && find . -maxdepth 2 ! -path './evidence*' | sed 's/[0-9]*//g' | sort); }
browsers_settled() { metric_is 'fulmar_browsers{state="ready"}' 2 && [ "$(metric fulmar_browser_contexts)" -ge 2 ]; }

wait_until 20 "both browsers are ready" browsers_settled
fds_before=$(fds_of_node)
files_before=$(files)

curl -sS "$SITE/truth/accounts?count=$((JOBS / 2))" >"$WORK/accounts"
mapfile -t accounts < <(jq -r 'select(.state == "ok") | .screen_name' "$WORK/accounts")
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

# ---- every record against the truth: all is fetched by two curls and brought into one form by two jqs

began=$(date +%s%N)
mkdir "$WORK/jobs" "$WORK/truth" "$WORK/got"
fetch() { echo "url = \"$1\""; echo "output = \"$2\""; } # URL FILE
for ((i = 0; i < JOBS; i++)); do
    fetch "http://fulmar/v1/jobs/${ids[i]}" "$WORK/jobs/$i"
    case ${kinds[i]} in
    profile) fetch "http://fulmar/v1/jobs/${ids[i]}/users" "$WORK/got/$i.user" ;;
    posts) # the account of a timeline comes along
        fetch "http://fulmar/v1/jobs/${ids[i]}/users" "$WORK/got/$i.user"
        fetch "http://fulmar/v1/jobs/${ids[i]}/posts" "$WORK/got/$i.post"
        ;;
    *) fetch "http://fulmar/v1/jobs/${ids[i]}/posts" "$WORK/got/$i.post" ;;
    esac
done >"$WORK/got.list"
for ((i = 0; i < JOBS; i++)); do
    limit=${limits[i]}
    case ${kinds[i]} in
    profile | posts) fetch "$SITE/$(truth_path profile "${targets[i]}")" "$WORK/truth/$i.user" ;;
    esac
    [ "${kinds[i]}" = profile ] ||
        fetch "$SITE/$(truth_path "${kinds[i]}" "${targets[i]}" "$limit")" "$WORK/truth/$i.post"
done >"$WORK/truth.list"
curl -sS --fail --unix-socket "$(SOCK)" -K "$WORK/got.list" || die "the results cannot be read"
curl -sS --fail -K "$WORK/truth.list" || die "the truth cannot be read"

bad=$(jq -c 'select(.state != "succeeded") | {id,kind,target,state,failure}' "$WORK/jobs"/*)
[ -z "$bad" ] || die "$(wc -l <<<"$bad") of $JOBS jobs did not succeed: $(head -5 <<<"$bad")"
# Each had a page of its own, and says what that took.
bad=$(jq -c 'select(.usage | .requests < 2 or .net_bytes < 1000 or .context_ms < 1 or .cpu_ms < 1 or .peak_pss_bytes < 10000000 or . == null)
             | {id,usage,timings}' "$WORK/jobs"/*)
[ -z "$bad" ] || die "$(wc -l <<<"$bad") of $JOBS jobs took what cannot be: $(head -5 <<<"$bad")"
bad=$(jq -c 'select(.timings.phases | .navigating_ms < 1 or .waiting_ms == null) | .timings' "$WORK/jobs"/*)
[ -z "$bad" ] || die "phases are not told: $(head -5 <<<"$bad")"
check
normal_all() { # FOLDER: lines ["JOB.KIND",record], members in order
    (cd "$1" && jq -cS "$MEMBERS"'
        input_filename as $name | [$name, if $name | endswith(".user") then user else post end]' -- *) | sort
}
normal_all "$WORK/truth" >"$WORK/truth.all"
normal_all "$WORK/got" >"$WORK/got.all"
if ! cmp -s "$WORK/truth.all" "$WORK/got.all"; then
    # "<" is the truth, ">" what came instead.
    diff "$WORK/truth.all" "$WORK/got.all" >"$WORK/differences"
    numbers=$(sed -nE 's@^[<>] \["([0-9]+)\..*@\1@p' "$WORK/differences" | sort -nu)
    for i in $(head -5 <<<"$numbers"); do
        say "job ${ids[i]} ${kinds[i]} ${targets[i]} ${limits[i]}: $(jq -c '{verdict,end_reason,counts,report}' "$WORK/jobs/$i")"
        grep -aE "^[<>] \[\"$i\." "$WORK/differences" | cut -c1-900 | head -2
    done
    die "$(wc -l <<<"$numbers") of $JOBS jobs differ from the truth"
fi
users=$(grep -ac '^\["[0-9]*\.user"' "$WORK/got.all") posts=$(grep -ac '^\["[0-9]*\.post"' "$WORK/got.all")
[ "$posts" -gt $((JOBS * 5)) ] && [ "$users" -gt $((JOBS / 2)) ] || die "only $posts posts and $users accounts were compared"
compared=$(($(date +%s%N) / 1000000 - began / 1000000))

# ---- what the figures say is what happened

for pair in "fulmar_jobs_finished_total $JOBS" "fulmar_jobs_submitted_total $JOBS" "fulmar_workers{ 10" \
    'fulmar_browsers{ 2' 'fulmar_browser_launches_total{result="ok"} 2'; do
    got=$(metric "${pair% *}")
    [ "$got" = "${pair##* }" ] || die "the metric ${pair% *} says $got, not ${pair##* }"
done
[ "$(metric 'fulmar_cdp_commands_total{result="ok"}')" -gt "$JOBS" ] || die "DevTools commands were not counted"

# ---- nothing grew

contexts_settled() { [ "$(metric fulmar_browser_contexts)" -le 2 ]; } # one is kept ready in each browser
wait_until 10 "contexts are closed ($(metric fulmar_browser_contexts) open)" contexts_settled
wait_until 10 "descriptors of the node: $fds_before before, $(fds_of_node) after" fds_settled
fds_after=$(fds_of_node)
files_after=$(files)
[ "$files_after" = "$files_before" ] || die "files before and after: $(diff <(echo "$files_before") <(echo "$files_after"))"

stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "e2e: $JOBS jobs in $took ms; $posts posts and $users accounts compared with the truth in $compared ms, 0 differences; descriptors of the node $fds_before, then $fds_after"
