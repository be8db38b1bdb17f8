#!/bin/bash
# Kill matrix: each process × each phase of a job (reserve, open, navigate, capture, commit, finish),
# with KILL and STOP. Where the process runs our code it does so to itself at a fault point
# (os/faults.h); where not, the process that drives the job is held at the point meanwhile, so that
# every blow lands in its phase and nowhere else. Each time the results equal the truth, the dead
# process is replaced within 2 s and the job taken up within 1 s of that; at the end nothing is left.
# The programs must have fault points (BUILD=points or BUILD=asan). ROLES, SIGNALS and PHASES choose.
OUT=$1
. "$(dirname "$0")/lib.sh"
REPLACED_MAX=${REPLACED_MAX:-2000} TAKEN_UP_MAX=${TAKEN_UP_MAX:-1000}

grep -q FULMAR_FAULTS "$OUT/fulmar" || die "$OUT/fulmar has no fault points: make BUILD=points"
# The folder that every process of the service may write to, and nobody else.
mkdir -m 700 "$WORK/state"
export FULMAR_FAULTS=$WORK/state/faults
head -c 128 /dev/zero >"$FULMAR_FAULTS"
chmod 666 "$FULMAR_FAULTS"

start_practice
cat >"$WORK/extra.yaml" <<EOS
worker:
  count: 2
browser:
  count: 1
  probe_every: 500ms
  probe_timeout: 1500ms
  command_timeout: 3s
job:
  lease: 3s
  grace: 500ms
  stall_timeout: 4s
  batch_timeout: 3s
  attempt_timeout: 30s
  retry_base: 50ms
  retry_cap: 200ms
  fail_max: 20
  crash_max: 10
EOS
start_service
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":10}'

# How a case comes about: "self" at the point; "held": somebody else's point holds the job while the
# process is killed from outside; "then": from the point on, the next time "egress.relay" is
# reached; "child": while the supervisor starts the node that died at the point.
CASES='
worker reserve held node.reserved 0
worker open held node.opened 0
worker navigate self worker.goto 0
worker capture self worker.page 2
worker commit self worker.records 2
worker finish self worker.finish 0
browser reserve held node.reserved 0
browser open held node.opened 0
browser navigate held worker.goto 0
browser capture held worker.page 2
browser commit held node.records 2
browser finish held worker.finish 0
node reserve self store.reserve 0
node reserve self node.reserved 0
node open self node.opened 0
node navigate self node.goto 0
node capture self node.body 2
node commit self node.records 2
node commit self store.commit 3
node commit self node.committed 2
node finish self node.finish 0
node finish self store.finish 0
node finish self node.finished 0
egress reserve held node.reserved 0
egress open held node.opened 0
egress navigate self egress.relay 0
egress capture then worker.page 2
egress commit held store.commit 3
egress finish held worker.finish 0
supervisor reserve held store.reserve 0
supervisor open held node.opened 0
supervisor navigate held worker.goto 0
supervisor capture held worker.page 2
supervisor commit held store.commit 3
supervisor finish held store.finish 0
supervisor capture child supervisor.start 0
supervisor commit child supervisor.started 0'

now_ms() { echo $(($(date +%s%N) / 1000000)); }
arm() { # POINT SIGNAL TIMES_PASSED_BEFORE
    printf -- '-%.1s%s%s\n' "$2" "$3" "$1" 1<>"$FULMAR_FAULTS"
    printf A 1<>"$FULMAR_FAULTS"
}
fired() { [ "$(head -c 1 "$FULMAR_FAULTS")" = F ]; }
# Sets who and when: the process that carried the order out, and the time.
wait_fired() { # WORDS
    wait_until 20 "$1: the point is reached ($(head -n 1 "$FULMAR_FAULTS"))" fired
    read -r who when < <(tail -c 64 "$FULMAR_FAULTS" | tr -d '\0')
}
# Milliseconds of the first line of the service's log after $when that has the words; empty: none.
logged_at() { # WORDS
    local since
    since=$(date -u -d "@$((when / 1000)).$(printf %03d $((when % 1000)))" +%Y-%m-%dT%H:%M:%S.%3NZ)
    to_ms "$(awk -v since="$since" -v words="$1" '$1 >= since && index($0, words) {print $1; exit}' "$WORK/service.log")"
}
to_ms() { [ -z "$1" ] || echo $(($(date -d "$1" +%s%N) / 1000000)); }
# The first start of the job after $when.
taken_up_at() { # JOB
    to_ms "$(call "http://fulmar/v1/jobs/$1/log" | jq -rs --argjson when "$when" \
        'def ms: (.[0:19] + "Z" | fromdate) * 1000 + (.[20:23] | tonumber);
         first(.[] | select(.event == "job.started" and (.at | ms) > $when) | .at) // empty')"
}
no_process_left() { [ -z "$(ours)" ]; }
replaced() { # ROLE COUNT OLD_PIDS
    local pids
    pids=$(role_pids "$1")
    [ "$(wc -w <<<"$pids")" -ge "$2" ] && ! grep -qxF "$3" <<<"$pids"
}

# The answer may be late or lost when the node is what is hit: the job is then the newest one.
submit_aside() {
    : >"$WORK/id"
    submit posts @practice_500 140 >"$WORK/id" 2>/dev/null &
    submitter=$!
}
submitted() { # WORDS; sets id
    wait "$submitter" 2>/dev/null
    id=$(cat "$WORK/id")
    [ -n "$id" ] || id=$(call 'http://fulmar/v1/jobs?limit=1' | jq -r '(.data // .jobs)[0].id // empty')
    [ -n "$id" ] && [ "$id" != "$last_id" ] || die "$1: the job is not there"
    last_id=$id
}

strike() { # ROLE SIGNAL HOW POINT SKIP; sets who (what was hit) and when
    local words="$1 $2 $4" holder
    case $3 in
    self) arm "$4" "$2" "$5" ;;
    held | then) arm "$4" STOP "$5" ;;
    child) arm worker.page STOP 2 ;;
    esac
    submit_aside
    wait_fired "$words"
    [ "$3" = self ] && return
    holder=$who
    case $3 in
    held)
        who=$(role_pids "$1")
        [ -n "$who" ] || die "$words: no such process"
        when=$(now_ms)
        # shellcheck disable=SC2086
        kill "-$2" $who 2>/dev/null
        kill -CONT "$holder" 2>/dev/null
        return
        ;;
    then)
        arm egress.relay "$2" 0
        kill -CONT "$holder"
        ;;
    child)
        arm "$4" "$2" 0
        kill -KILL "$(role_pids node)"
        ;;
    esac
    wait_fired "$words"
}

# What dies is there again in time, and so is the job. Leaves its figures in back_ms and up_ms.
in_time() { # ROLE JOB
    local back ready up
    case $1 in
    worker) back=$seen_back ready=$seen_back ;;
    browser) back=$(logged_at browser.ready) ready=$back ;;
    node | egress) back=$(logged_at "child.started name=$1") ready=$back ;;
    supervisor) back=$started_again ready=$back ;;
    esac
    [ "$1" = node ] || [ "$1" = supervisor ] && ready=$(logged_at "node.ready")
    up=$(taken_up_at "$2")
    back_ms=$((${back:-0} - when)) up_ms=0
    [ "$1" = supervisor ] && back_ms=0
    [ -n "$up" ] && up_ms=$((up - ${ready:-0}))
    [ -n "$back" ] && [ "$back_ms" -le "$REPLACED_MAX" ] && [ "$up_ms" -le "$TAKEN_UP_MAX" ]
}

run_case() { # ROLE SIGNAL PHASE HOW POINT SKIP; fails when only the times are wrong
    local id who when count words="$1 $2 $3 ($5)" seen_back="" started_again=""
    count=$(role_pids "$1" | wc -w)
    strike "$1" "$2" "$4" "$5" "$6"
    if [ "$2" = STOP ] && [ "$1" != browser ]; then
        # It goes on later, unless it was replaced: what it did meanwhile must change nothing.
        sleep 0.3
        # shellcheck disable=SC2086
        kill -CONT $who 2>/dev/null
    elif [ "$1" = supervisor ]; then
        wait "$SERVICE_PID" 2>/dev/null
        # With no node either, the browser's folder stays until the next node sweeps it.
        wait_until 10 "$words: everything follows the supervisor: $(ours)" no_process_left
        started_again=$(now_ms)
        start_service
    elif [ "$2" = KILL ]; then
        wait_until 20 "$words: replaced" replaced "$1" "$count" "$who"
        seen_back=$(now_ms)
        wait_until 20 "$words: API answers again" api_up
    fi
    submitted "$words"
    wait_job "$id" 60
    [ "$(job_state "$id")" = succeeded ] || die "$words: $(job "$id" | jq -c '{state,failure}')"
    same_as_truth "$id" posts @practice_500 140 || die "$words: differs from the truth"
    total=$((total + 1))
    [ "$2" = KILL ] || return 0
    in_time "$1" "$id" || return 1
    [ "$back_ms" -gt "$back_most" ] && back_most=$back_ms
    [ "$up_ms" -gt "$up_most" ] && up_most=$up_ms
    [ -z "${VERBOSE:-}" ] || say "     $words: replaced after $back_ms ms, job taken up $up_ms ms later"
}

total=0 last_id='' back_ms=0 up_ms=0 back_most=0 up_most=0
# The node dies before each browser does: a new node waits for nothing, while a browser that died a
# moment ago would be started after a pause, as it should.
for phase in ${PHASES:-reserve open navigate capture commit finish}; do
    for signal in ${SIGNALS:-KILL STOP}; do
        for role in ${ROLES:-worker node browser egress supervisor}; do
            while read -r case_role case_phase how point skip; do
                [ "$case_role $case_phase" = "$role $phase" ] || continue
                set -- "$role" "$signal" "$phase" "$how" "$point" "$skip"
                run_case "$@" && continue
                # A busy machine may be late once.
                say "     $role $signal $point: replaced after $back_ms ms, taken up $up_ms ms later; once more"
                run_case "$@" || die "$role $signal $point: replaced after $back_ms ms, taken up $up_ms ms later"
            done <<<"$CASES"
        done
        say "kill: $phase $signal ok"
    done
done
[ "$total" -gt 0 ] || die "no case was chosen"
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "kill: $total cases, all results equal the truth; replaced in $back_most ms, job taken up $up_most ms later, at most"
