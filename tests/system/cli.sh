#!/bin/bash
# The command line as people and scripts use it: forms of what comes, waiting, status, top on a terminal of 80 columns, and
# following while the node is killed again and again.
OUT=$1
. "$(dirname "$0")/lib.sh"
start_practice
two_workers
start_service
FULMAR_SERVER="unix:$(SOCK)"
export FULMAR_SERVER XDG_CONFIG_HOME="$WORK"
fulmar() { "$OUT/fulmar" "$@"; }
expect() { # CODE COMMAND…: its output is in $WORK/out and $WORK/err
    local code=$1 got
    shift
    "$@" >"$WORK/out" 2>"$WORK/err"
    got=$?
    check
    [ $got = "$code" ] || die "$*: ended with $got, not $code: $(tail -n 3 "$WORK/out" "$WORK/err")"
}
has() { grep -q -- "$1" "$WORK/out" || die "no '$1' in: $(head -30 "$WORK/out")"; }

# ---- forms

expect 0 fulmar get posts @practice_100 -n 20 -o jsonl
cp "$WORK/out" "$WORK/posts"
expect 0 fulmar get posts @practice_100 -n 20 --jq .id
cmp -s "$WORK/out" <(jq -r .id "$WORK/posts") || die "--jq .id differs from jq"
expect 0 fulmar get posts @practice_100 -n 20 -o csv --columns id,counts.like
[ "$(tail -n +2 "$WORK/out" | tr -d '\r')" = "$(jq -r '"\(.id),\(.counts.like // "")"' "$WORK/posts")" ] || die "csv: $(cat "$WORK/out")"
expect 0 fulmar jobs list -o jsonl --jq '[.id, .state, .counts.posts] | @tsv'
cmp -s "$WORK/out" <(fulmar api GET /v1/jobs | jq -r '.data[] | [.id, .state, .counts.posts] | @tsv') || die "--jq of a list differs from jq"
id=$(jq -r .id "$WORK/posts" | head -1)
[ -n "$id" ] || die "no posts"
fulmar jobs list -o jsonl 2>"$WORK/err" | head -1 >/dev/null
[ "${PIPESTATUS[0]}" != 70 ] && [ ! -s "$WORK/err" ] || die "a pipe that closes: $(cat "$WORK/err")"
say "cli: forms agree with jq over the same answers"

# ---- waiting

expect 0 fulmar jobs create posts @practice_100 -n 5 --wait
expect 0 fulmar jobs create posts @practice_500 -n 5 --max-age 1h --wait=60s --jq '.counts.posts'
has '^5$'
expect 7 fulmar jobs create posts @suspended_one --wait
panel '{"latency_ms":3000}'
expect 3 fulmar jobs create posts @practice_500 --wait=500ms
id=$(head -1 "$WORK/out")
expect 0 fulmar jobs cancel "$id" --force
expect 4 fulmar jobs wait "$id"
panel '{"latency_ms":0}'
say "cli: waiting ends as the job does, and with 3 when the time is over"

# ---- completion

completes() { # EXPECTED WORD…: what bash offers for the last word
    local expected=$1 got
    shift
    # shellcheck disable=SC2016
    got=$(PATH="$OUT:$PATH" bash -c 'source <(fulmar completion bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _fulmar fulmar "${COMP_WORDS[COMP_CWORD]}"
        printf "%s " "${COMPREPLY[@]}"' - "$@" 2>/dev/null)
    check
    # shellcheck disable=SC2053 # a pattern
    [[ "$got" == $expected ]] || die "completion of $*: '$got', not $expected"
}
completes 'create cancel conflicts ' fulmar jobs c
completes "*$id*" fulmar jobs show ''
completes "$id " fulmar jobs show "${id%?}"
completes 'json jsonl ' fulmar jobs list --output = js
completes 'default/x/normal ' fulmar queues pause def
completes '*posts *followers *' fulmar get ''
completes "$WORK/fulmar.yaml " fulmar config check "$WORK/fulmar.y"
completes ' ' fulmar jobs show "" --server unix:/nobody ''
for shell in zsh fish; do
    command -v $shell >/dev/null || continue
    fulmar completion $shell >"$WORK/complete.$shell"
    $shell -n "$WORK/complete.$shell" || die "$shell cannot read its completion"
done
say "cli: a shell completes verbs, flags, ids, queues, kinds and files"

# ---- status

expect 0 fulmar status
has '^ok *service'
expect 0 fulmar workers list -o jsonl --jq .state
[ "$(grep -c . "$WORK/out")" = 2 ] || die "workers: $(cat "$WORK/out")"
expect 0 fulmar workers show 1
has '^served '
expect 5 fulmar workers show 99
expect 0 fulmar browsers list
has '^ *1  ready'
expect 0 fulmar queues metrics default/x/normal
has '^ended  *[1-9]'
expect 0 fulmar queues set default/x/normal --max-depth 500 --overflow drop_last
expect 0 fulmar queues show default/x/normal --jq '[.own.max_depth, .own.overflow]'
has '^\[500,"drop_last"\]$'
expect 0 fulmar queues set default/x/normal --max-depth default --overflow default --default-priority 7
expect 0 fulmar queues show default/x/normal
has '^priority  *7 (own: 7)$'
expect 0 fulmar limits explain
has '^priority  *7: the queue has one'
expect 0 fulmar queues set default/x/normal --default-priority default
expect 64 fulmar queues set default/x/normal --default-priority 10
expect 0 fulmar nodes list --jq '.data[].state'
has '^up$'
expect 0 fulmar queues pause default/x/normal --reason 'to see it'
expect 0 fulmar status
has 'to look at'
has 'warn *queue .*paused by'
expect 0 fulmar queues resume default/x/normal
expect 0 fulmar mode set draining --reason 'to see it'
expect 10 fulmar status -q
has 'FAIL *service .*draining'
expect 10 fulmar status --jq '.checks[] | select(.state == "fail") | .name'
has '^service$'
expect 0 fulmar mode set normal
expect 69 fulmar status --server "unix:$WORK/nobody.sock"
say "cli: status says what is wrong, and ends with 10"

# ---- top

on_screen() { python3 "$ROOT/tests/system/screen.py" "$@"; }
panel '{"latency_ms":500}'
id=$(fulmar jobs create posts @practice_500 -q)
wait_until 30 "the job runs" eval '[ "$(fulmar jobs show $id --jq .state)" = active ]'
expect 0 on_screen q "$OUT/fulmar" top --every 200ms
has '^QUEUE'
has "$id"
expect 130 on_screen ^C "$OUT/fulmar" top --every 200ms
expect 0 on_screen 'p?rq' "$OUT/fulmar" top --every 200ms
has 'hold the picture'
ROWS=6 COLUMNS=20 expect 0 on_screen q "$OUT/fulmar" top --every 200ms
expect 0 fulmar top
has '^QUEUE'
fulmar jobs cancel "$id" -q
say "cli: top fits into 80 columns and 24 rows, and gives the terminal back, also after Ctrl-C"

# ---- following over kills

node_pid() { role_pids node | head -1; }
kill_node() {
    local node
    node=$(node_pid)
    kill -KILL "$node"
    wait_until 20 "node $node is gone" gone "$node"
}
followed() { [ "$(wc -l <"$WORK/events.$1")" -ge "$2" ]; }
panel '{"latency_ms":250}'
"$OUT/fulmar" follow --server "unix:$(SOCK)" -o jsonl >"$WORK/events.all" 2>"$WORK/follow.all.err" &
follow_all=$!
streams() { [ "$(call http://fulmar/metrics | awk '$1 == "fulmar_sse_clients" {print $2}')" = "$1" ]; }
wait_until 20 "everything is followed" streams 1
id=$(fulmar jobs create posts @practice_500 -q)
"$OUT/fulmar" jobs follow "$id" --server "unix:$(SOCK)" -o jsonl >"$WORK/events.one" 2>"$WORK/follow.one.err" &
follow_one=$!
# Each kill comes when there is something behind the last one.
for kills in 1 2 3; do
    wait_until 60 "events before kill $kills" followed one $((kills * 3))
    kill_node
done
wait_job "$id" 120
wait "$follow_one"
code=$?
[ $code = 0 ] || die "jobs follow ended with $code: $(tail -n 3 "$WORK/follow.one.err")"
fulmar jobs log "$id" -o jsonl >"$WORK/log"
jq .seq "$WORK/log" >"$WORK/expected"
jq .seq "$WORK/events.one" | cmp -s - "$WORK/expected" || die "jobs follow: $(diff <(jq .seq "$WORK/events.one") "$WORK/expected" | head -5)"
[ "$(grep -c started "$WORK/log")" -ge 2 ] || die "the kills did not reach the job: $(cat "$WORK/log")"
last=$(tail -1 "$WORK/expected")
all_followed() { [ "$(tail -1 "$WORK/events.all" | jq .seq)" -ge "$last" ]; }
wait_until 20 "the last event is followed" all_followed
kill -INT $follow_all
wait "$follow_all"
[ $? = 130 ] || die "follow ended otherwise than with 130"
jq -c --arg id "$id" 'select(.job == $id) | .seq' "$WORK/events.all" | cmp -s - "$WORK/expected" \
    || die "follow: $(diff <(jq --arg id "$id" 'select(.job == $id) | .seq' "$WORK/events.all") "$WORK/expected" | head -5)"
[ "$(jq .seq "$WORK/events.all" | sort -n | uniq -d | wc -l)" = 0 ] || die "follow: an event came twice"
grep -q reconnecting "$WORK/follow.one.err" || die "nothing was said about the cut"
same_as_truth "$id" posts @practice_500 || die "the job that was followed"
expect 0 fulmar jobs follow "$id" --jq .seq
cmp -s "$WORK/out" "$WORK/expected" || die "a job that has ended is followed otherwise"
say "cli: following loses no event and doubles none over three kills of the node ($(wc -l <"$WORK/expected") events)"
stop_service || die "stopping: exit $?"
expect 69 fulmar jobs list
say "cli: $CHECKS checks"
