#!/bin/bash
# A schedule that watches an account, as docs/how-to/monitor-a-target.md says it: the first run brings what is there,
# later ones bring what is new and nothing else; node is killed across a slot, and the slot has one job all the same;
# a schedule never fires while it is paused.
OUT=$1
. "$(dirname "$0")/lib.sh"

start_practice
cat >"$WORK/extra.yaml" <<EOS
worker:
  count: 2
browser:
  count: 1
EOS
start_service
schedule() { call "http://fulmar/v1/schedules/$1"; }
runs() { call "http://fulmar/v1/schedules/$1/runs?limit=200"; }
ended_runs() { runs "$1" | jq '[.data[] | select(.state == "ended")] | length'; }
has_ended() { [ "$(ended_runs "$1")" -ge "$2" ]; }
brought() { # ids of posts of all its runs, as often as they came
    local job
    for job in $(runs "$1" | jq -r '.data[].job // empty'); do posts_of "$job" | jq -r .id; done | sort
}

GUIDE=$ROOT/docs/how-to/monitor-a-target.md
as_written() { # ACTION [MORE]: runs the command of the guide, each second instead of each quarter of an hour
    local line
    line=$(grep -m 1 "^fulmar schedules $1 " "$GUIDE") || die "the guide has no $1"
    eval "${line/--every 15m/--every 1s} ${*:2}"
}

# ---- what is new comes once

panel '{"held":60}'
as_written create 2>"$WORK/said" || die "create: $(cat "$WORK/said")"
grep -q 'growing is scheduled; next: 20' "$WORK/said" || die "create says: $(cat "$WORK/said")"
wait_until 30 "the first run ends" has_ended growing 1
first=$(runs growing | jq -r '.data[-1].job')
[ "$(job "$first" | jq -c '[.state,.counts.posts]')" = '["succeeded",240]' ] || die "first: $(job "$first" | jq -c '{state,counts,failure}')"
before=$(ended_runs growing)
panel '{"held":45}'
wait_until 30 "two more runs end" has_ended growing $((before + 2))
curl -sS "$SITE/$(truth_path posts @growing_300)" | jq -r .id | sort >"$WORK/truth"
brought growing >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "$(wc -l <"$WORK/got") posts came, $(wc -l <"$WORK/truth") are there: $(runs growing | jq -c '.data[] | [.slot,.state,.found]')"
say "schedules: $(ended_runs growing) runs brought 240 posts and 15 new ones, each once"

# ---- node dies across a slot

before=$(ended_runs growing)
panel '{"held":30}'
# shellcheck disable=SC2046
kill -KILL $(role_pids node)
wait_until 20 "API answers again" api_up
wait_until 30 "runs go on" has_ended growing $((before + 2))
as_written pause 2>/dev/null || die "pause: code $?"
quiet() { [ "$(schedule growing | jq -c '[.status.live,.status.pending]')" = '[0,0]' ]; }
wait_until 30 "the last run ends" quiet
curl -sS "$SITE/$(truth_path posts @growing_300)" | jq -r .id | sort >"$WORK/truth"
brought growing >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "after the kill $(wc -l <"$WORK/got") posts, not $(wc -l <"$WORK/truth"): $(runs growing | jq -c '.data[] | [.slot,.state,.job_state,.found]')"
twice=$(runs growing | jq -r '.data[] | select(.cause == "slot") | .slot' | sort | uniq -d)
[ -z "$twice" ] || die "a slot came twice: $twice"
[ "$(runs growing | jq '[.data[].job | select(.)] | length == (unique | length)')" = true ] || die "a job is of two slots"
say "schedules: node was killed across a slot; no slot twice, no post lost"

# The preview of the guide, as the guide prints it; and what the guide says to look at.
as_written preview >"$WORK/preview" || die "preview: code $?"
sed -n '/^LOCAL/,/^```/p' "$GUIDE" | sed '$d' | cmp -s - "$WORK/preview" || die "preview: $(cat "$WORK/preview")"
as_written show | grep -q '^paused     since .*: enough seen$' || die "show: $(as_written show)"
as_written runs --limit 200 | grep -qE 'ended +succeeded +240  job_' || die "runs: $(as_written runs)"

# ---- paused: only what is asked for

count=$(schedule growing | jq .status.fired)
as_written trigger 2>/dev/null || die "trigger: code $?"
wait_until 30 "the triggered run ends" quiet
[ "$(schedule growing | jq -c '[.status.state,.status.fired]')" = "[\"paused\",$((count + 1))]" ] || die "paused: $(schedule growing | jq -c .status)"
as_written resume 2>/dev/null || die "resume: code $?"
wait_until 30 "it goes on" has_ended growing $(($(ended_runs growing) + 1))

# ---- one whose queue takes no jobs holds up no other

fulmar schedules create stuck posts @growing_300 --class bulk --every 1s 2>/dev/null || die "create: code $?"
wait_until 30 "the other one runs" has_ended stuck 1
fulmar queues close x/bulk --reason 'somebody looks at it' 2>/dev/null || die "close: code $?"
settled=$(runs stuck | jq -r ".data[0].slot")
wait_until 30 "it goes on beside a closed queue" has_ended growing $(($(ended_runs growing) + 3))
fulmar queues open x/bulk 2>/dev/null || die "open: code $?"
goes_on() { runs stuck | jq -e --arg slot "$settled" '[.data[] | select(.state == "ended" and .slot > $slot)] | length > 0' >/dev/null; }
wait_until 30 "it runs again" goes_on
fulmar schedules delete stuck 2>/dev/null || die "delete: code $?"

as_written delete 2>/dev/null || die "delete: code $?"
[ "$(schedule growing | jq -r .code)" = not_found ] || die "it is still there"
[ "$(job "$first" | jq -r .state)" = succeeded ] || die "its jobs went with it"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "schedules: paused, triggered, resumed and deleted; a closed queue holds up its own alone"
