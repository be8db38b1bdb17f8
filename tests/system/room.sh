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

# ---- one that is gone meanwhile keeps nobody waiting

panel '{"latency_ms":300}'
long=$(call -H 'Content-Type: application/json' -d "$(jq -cn --argjson memory $small \
    '{kind: "posts", target: "@practice_400", limit: 600, priority: 9, resources: {memory_mib: $memory}}')" http://fulmar/v1/jobs | jq -r .id)
for ((i = 0; i < 2 * workers; i++)); do order $small "@practice_$((500 + i))" 5 >/dev/null; done
wait_until 60 "the long job runs" eval '[ "$(job_state "$long")" = active ]'
gone=$(order $large @practice_201 9)
fed=0
feed() { # small ones come until the node begins to make room
    [ "$(logged 'node.emptying ')" -ge 1 ] && return
    [ "$(call "http://fulmar/v1/jobs?state=ready&limit=50&count=exact" | jq .counts.value)" -ge 3 ] || order $small "@practice_$((600 + fed++))" 5 >/dev/null
    return 1
}
wait_until 60 "the node makes room" feed
next=$(order $small @practice_298 9)
call -X POST "http://fulmar/v1/jobs/$gone/cancel" >/dev/null
wait_until 30 "the node has seen that it is gone" eval '[ "$(logged node.emptying_ended)" -ge 1 ]'
wait_until 60 "a small one starts" eval '[ -n "$(started "$next")" ]'
[ "$(job_state "$long")" = active ] || die "it waited until nothing ran: $(job "$long" | jq -c '{state,failure}')"
panel '{"latency_ms":0}'
say "room: a node that made room for a job that was cancelled went back to work beside what still ran"

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
[ "$(metric fulmar_node_emptied_total)" -ge 2 ] || die "the node did not make room"
[ "$(logged node.emptied)" -ge 1 ] || die "nothing is said of it"
say "room: of ${#ids[@]} jobs of $small MiB on $workers workers $before started before the one of $large MiB, which was ready last"
