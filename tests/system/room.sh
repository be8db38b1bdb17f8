#!/bin/bash
# A job that needs more memory than is ever left beside others has its turn, though others come for ever.
OUT=$1
. "$(dirname "$0")/lib.sh"

# So many small jobs fit that beside all but one of them there is no room for the large one.
available=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
workers=$(((available + 7499) / 7500))
[ $workers -ge 2 ] || workers=2
small=$((available / workers - 250)) large=$((available / workers + 250 * (workers - 1) + 150))
if [ $workers -gt 6 ] || [ $small -lt 256 ] || [ $large -gt 8192 ]; then
    say "skipped: with $available MiB of memory no such jobs can be ordered"
    exit 0
fi
start_practice
two_workers "  memory_patience: 2s"
sed -i "s/count: 2/count: $workers/" "$WORK/extra.yaml"
start_service

order() { # MEMORY TARGET PRIORITY → job id
    call -H 'Content-Type: application/json' -d "$(jq -cn --argjson memory "$1" --arg target "$2" --argjson priority "$3" \
        '{kind: "posts", target: $target, limit: 40, priority: $priority, resources: {memory_mib: $memory}}')" http://fulmar/v1/jobs | jq -r '.id // empty'
}
started() { job "$1" | jq -r '.started_at // ""'; }

# ---- small ones for ever: there are always some more than run

ids=()
for ((i = 0; i < 3 * workers; i++)); do ids+=("$(order $small "@practice_$((300 + i))" 5)"); done
running() { [ "$(call "http://fulmar/v1/jobs?state=active&count=exact" | jq .counts.value)" -ge $((workers - 1)) ]; }
wait_until 60 "the first ones run" running
big=$(order $large @practice_200 9)
[ -n "$big" ] || die "the large job is refused"
big_started() {
    local waiting
    waiting=$(call "http://fulmar/v1/jobs?state=ready&limit=50&count=exact" | jq .counts.value)
    [ "$waiting" -ge $((2 * workers)) ] || ids+=("$(order $small "@practice_$((300 + ${#ids[@]}))" 5)")
    [ -n "$(started "$big")" ]
}
wait_until 120 "the large job starts while small ones wait" big_started
last=$(order $small @practice_299 5)
wait_job "$big" 120
[ "$(job_state "$big")" = succeeded ] || die "the large job: $(job "$big" | jq -c '{state,failure}')"
wait_job "$last" 240
[[ "$(started "$big")" < "$(started "$last")" ]] || die "it started behind all others"
before=0
for id in "${ids[@]}"; do
    wait_job "$id" 240
    [ "$(job_state "$id")" = succeeded ] || die "a small job: $(job "$id" | jq -c '{state,failure}')"
    [[ "$(started "$id")" < "$(started "$big")" ]] && before=$((before + 1))
done
[ "$(metric fulmar_node_emptied_total)" -ge 1 ] || die "the node did not make room"
[ "$(logged node.emptied)" -ge 1 ] || die "nothing is said of it"
say "room: of ${#ids[@]} jobs of $small MiB on $workers workers $before started before the one of $large MiB, which was ready last"
