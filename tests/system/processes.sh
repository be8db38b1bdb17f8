#!/bin/bash
# What the processes owe each other: an orderly end whatever signal comes to whom, a new one for one
# that hangs, walls around a browser that was taken over, and one clear reason when nothing starts.
OUT=$1
. "$(dirname "$0")/lib.sh"
start_practice
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":30}'

setting() { # lines for the end of the configuration
    cat >"$WORK/extra.yaml"
    write_config
}
# In a session of its own, as from a terminal: its pid is the number of its process group.
start_group() {
    : >"$WORK/service.log"
    setsid "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
    SERVICE_PID=$!
    wait_until 20 "API answers" api_up
    wait_until 90 "service is ready" service_ready
}
ended_with() { # CODE WORDS
    local code
    wait_until 25 "$2: the service ends" gone "$SERVICE_PID"
    wait "$SERVICE_PID"
    code=$?
    SERVICE_PID=""
    [ $code -eq "$1" ] || die "$2: code $code, not $1"
}
has_posts() { [ "$(job "$1" | jq -r '.counts.posts // 0')" -ge 20 ]; }

# ---- signals ----

setting <<EOF
worker:
  count: 2
browser:
  count: 2
service:
  grace: 500ms
EOF
for signal in INT TERM; do
    for whom in group everybody; do
        start_group
        id=$(submit posts @practice_500 400)
        wait_until 20 "the job runs" has_posts "$id"
        if [ $whom = group ]; then
            kill "-$signal" -- "-$SERVICE_PID"
        else # as a service manager does: each of our programs by itself, the supervisor last
            # shellcheck disable=SC2046
            kill "-$signal" $(role_pids worker) $(role_pids egress) $(role_pids node)
            kill "-$signal" "$SERVICE_PID"
        fi
        ended_with 0 "$signal to the $whom"
        [ "$(logged ' error ')" = 0 ] || die "$signal to the $whom: errors in the log: $(grep ' error ' "$WORK/service.log")"
        [ "$(logged 'the supervisor is gone')" = 0 ] || die "$signal to the $whom: the supervisor was not gone"
        nothing_left || die "$signal to the $whom: left are $(ours) $(ls "$WORK/state/run")"
        start_group
        wait_job "$id" 60
        [ "$(job_state "$id")" = succeeded ] || die "$signal to the $whom: $(job "$id" | jq -c '{state,failure}')"
        same_as_truth "$id" posts @practice_500 400 || die "$signal to the $whom: differs from the truth"
        stop_service || die "the service did not stop in order"
    done
done
say "processes: INT and TERM end the service in order, and the job goes on afterwards"

# HUP means: read the site packs again. Nobody ends, whoever gets it.
start_group
node=$(role_pids node)
id=$(submit posts @practice_500 400)
wait_until 20 "the job runs" has_posts "$id"
reloads() { [ "$(logged node.reload)" -ge "$1" ]; }
kill -HUP -- "-$SERVICE_PID"
wait_until 5 "the packs are read again" reloads 1
# shellcheck disable=SC2046
kill -HUP $(role_pids worker) $(role_pids egress) $(role_pids node)
kill -HUP "$SERVICE_PID"
wait_until 5 "the packs are read again" reloads 2
wait_job "$id" 60
[ "$(job_state "$id")" = succeeded ] || die "HUP: $(job "$id" | jq -c '{state,failure}')"
[ "$(job "$id" | jq .attempts.started)" = 1 ] || die "HUP: the job was started again"
same_as_truth "$id" posts @practice_500 400 || die "HUP: differs from the truth"
[ "$(role_pids node)" = "$node" ] || die "HUP: node was replaced"
[ "$(logged ' error ')" = 0 ] || die "HUP: errors in the log: $(grep ' error ' "$WORK/service.log")"
stop_service || die "the service did not stop in order"
# When a terminal goes, what runs on it gets HUP as well, and there it means: end.
if command -v script >/dev/null; then
    : >"$WORK/service.log"
    script -qfc "exec $OUT/fulmar serve --config $WORK/fulmar.yaml 2>>$WORK/service.log" /dev/null </dev/null >/dev/null 2>&1 &
    terminal=$!
    serving() { SERVICE_PID=$(pgrep -P "$terminal" | head -1) && [ -n "$SERVICE_PID" ]; }
    wait_until 10 "the service starts on a terminal" serving
    wait_until 20 "API answers" api_up
    wait_until 90 "service is ready" service_ready
    kill -HUP "$SERVICE_PID"
    wait_until 5 "on a terminal HUP reads the packs again" reloads 1
    api_up || die "on a terminal HUP ended the service"
    kill -KILL "$terminal"
    wait "$terminal" 2>/dev/null
    wait_until 25 "without its terminal the service ends" gone "$SERVICE_PID"
    SERVICE_PID=""
    [ "$(logged 'its terminal is gone')" = 1 ] || die "the service does not say that its terminal is gone"
    nothing_left || die "without its terminal: left are $(ours) $(ls "$WORK/state/run")"
fi
say "processes: HUP reads the site packs again; only when the terminal is gone does it end the service, in order"

# ---- limits ----

start_group
for pid in $(role_pids worker); do
    limit() { awk -v name="$1" 'index($0, name) == 1 {print $4}' "/proc/$pid/limits"; }
    [ "$(limit 'Max open files')" = 64 ] || die "a worker may open $(limit 'Max open files') files"
    # 50 jobs of at most 5 minutes each, and a second for each.
    [ "$(limit 'Max cpu time')" = 15050 ] || die "a worker may compute for $(limit 'Max cpu time') s"
    check
done
stop_service || die "the service did not stop in order"

# ---- processes that hang ----

setting <<EOF
worker:
  count: 2
browser:
  count: 2
  probe_every: 500ms
  probe_timeout: 3s
job:
  retry_base: 50ms
  retry_cap: 200ms
  fail_max: 20
  stall_timeout: 5s
service:
  watchdog: 3s
EOF
start_group
replaced() { # ROLE OLD_PID
    local now
    now=$(role_pids "$1")
    [ -n "$now" ] && [ "$now" != "$2" ]
}
hang() { # ROLE
    local id pid began took
    id=$(submit posts @practice_500 300)
    wait_until 20 "the job runs" has_posts "$id"
    pid=$(role_pids "$1")
    began=$(date +%s%N)
    kill -STOP "$pid"
    # The watchdog of 3 s, the look that was just missed, and a machine with other work.
    wait_until 15 "$1 is replaced" replaced "$1" "$pid"
    took=$((($(date +%s%N) - began) / 1000000))
    [ "$(logged "child.silent name=$1")" -gt 0 ] || die "the log does not say that $1 was silent"
    wait_until 20 "API answers again" api_up
    wait_job "$id" 60
    [ "$(job_state "$id")" = succeeded ] || die "$1 hung: $(job "$id" | jq -c '{state,failure}')"
    same_as_truth "$id" posts @practice_500 300 || die "$1 hung: differs from the truth"
    say "processes: $1 hung, replaced after $took ms"
}
hang egress
[ "$(logged browser.killed)" = 0 ] || die "browsers were killed for a hung egress: $(grep browser.killed "$WORK/service.log")"
wait_until 20 "ready again" service_ready
hang node
wait_until 20 "ready again" service_ready
# The supervisor itself slept: nobody else is to blame.
before=$(logged child.silent)
kill -STOP "$SERVICE_PID"
sleep 5
kill -CONT "$SERVICE_PID"
sleep 2
[ "$(logged child.silent)" = "$before" ] || die "children were killed because the supervisor slept"
service_ready || die "not ready after the supervisor slept"
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left

# ---- a browser that was taken over ----

# Says as its last words what it could do. Nothing is what it should.
cat >"$WORK/evil.sh" <<EOF
#!/bin/sh
s=$WORK/state could=
head -c 1 \$s/fulmar.db >/dev/null 2>&1 && could="\$could read"
( : >\$s/evil ) 2>/dev/null && could="\$could write"
ls \$s/run >/dev/null 2>&1 && could="\$could profiles"
chmod 700 \$s 2>/dev/null && could="\$could chmod"
curl -s --max-time 1 --unix-socket \$s/fulmar.sock http://fulmar/livez >/dev/null 2>&1
[ \$? -ne 7 ] && could="\$could connect"
( : >\$TMPDIR/own ) 2>/dev/null || could="\$could not-even-its-own-folder"
echo "could:\$could" >&2
sleep 0.3
EOF
chmod 755 "$WORK/evil.sh"
setting <<EOF
browser:
  binary: $WORK/evil.sh
EOF
: >"$WORK/service.log"
setsid "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
SERVICE_PID=$!
wait_until 20 "API answers" api_up
# Outside its walls it can do all of it: the test can fail.
[ "$(TMPDIR=$WORK "$WORK/evil.sh" 2>&1)" = "could: read write profiles chmod connect" ] || die "the attempt itself does not work"
rm -f "$WORK/state/evil"
said() { grep -q 'said="*could:' "$WORK/service.log"; }
wait_until 20 "the browser's last words" said
grep 'said="*could:' "$WORK/service.log" | grep -qvE 'said="?could:"?$' && die "a browser got through: $(grep -m1 'said="*could:' "$WORK/service.log")"
say "processes: a hostile browser reaches neither the store nor the API nor other profiles"
# One that never starts is tried for ever; the log and /readyz say what to do.
wait_until 30 "the log says so" grep -q 'error.*browser.does_not_start' "$WORK/service.log"
call http://fulmar/readyz | grep -q 'no browser starts.*browser.binary' || die "/readyz says: $(call http://fulmar/readyz)"
[ "$(logged browser.does_not_start)" = 1 ] || die "it says so more than once a minute"
stop_service || die "the service did not stop in order"

# ---- a browser that does not listen goes, with all that it started ----

cat >"$WORK/deaf.sh" <<'EOF'
#!/bin/sh
trap '' TERM INT HUP
case "$1" in child) ;; *) for i in 1 2 3; do "$0" child & done ;; esac
while :; do sleep 0.2; done
EOF
chmod 755 "$WORK/deaf.sh"
setting <<EOF
browser:
  binary: $WORK/deaf.sh
  count: 1
  start_timeout: 1s
EOF
deaf() { pgrep -f "sh $WORK/deaf.sh" | sort; }
four_are_there() { [ "$(deaf | wc -l)" -ge 4 ]; }
start_deaf=$(deaf)
[ -z "$start_deaf" ] || die "deaf.sh runs already"
setsid "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
SERVICE_PID=$!
wait_until 20 "it runs with three children" four_are_there
first_deaf=$(deaf)
none_of_the_first() { [ -z "$(comm -12 <(echo "$first_deaf") <(deaf))" ]; }
wait_until 20 "all of them are gone: $(deaf | tr '\n' ' ')" none_of_the_first
wait_until 20 "another one is started" four_are_there
stop_service || die "the service did not stop in order"
[ -z "$(deaf)" ] || die "left are $(deaf | tr '\n' ' ')"
say "processes: a browser that does not listen is ended with all that it started"

# ---- nothing starts ----

refused() { # CODE PATTERN ARGUMENTS…
    local expected=$1 pattern=$2
    shift 2
    "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" "$@" >"$WORK/refused.log" 2>&1 &
    SERVICE_PID=$!
    ended_with "$expected" "$*"
    tail -1 "$WORK/refused.log" | grep -qE "^fulmar: .*$pattern" || die "$*: the last line is: $(tail -1 "$WORK/refused.log")"
    ! grep -q 'cannot cannot' "$WORK/refused.log" || die "$*: doubled words"
    check
}
setting </dev/null
cp -R "$ROOT/sites" "$WORK/sites"
echo '  broken: [' >>"$WORK/sites/x/site.yaml"
refused 78 'site.yaml' --set "site.path=$WORK/sites"
refused 78 'Permission|cannot open|No such' --set "site.path=$WORK/no-such-folder"
refused 69 'no browser at /no/such/browser' --set browser.binary=/no/such/browser --set "store.path=$WORK/fresh"
[ -z "$(ls "$WORK/fresh")" ] || die "without a browser these were made: $(ls "$WORK/fresh")"
if [ "$(id -u)" = 0 ]; then
    refused 78 "service.user is 'root'" --set service.user=root
fi
start_group
first=$SERVICE_PID
refused 69 'another service uses' --set api.port=0
refused 69 '.' --set "api.socket=$WORK/state/other.sock"
SERVICE_PID=$first
stop_service || die "the first service did not stop in order"
"$OUT/fulmar" serve --help >"$WORK/help" 2>&1 || die "serve --help: code $?"
grep -q '^usage: fulmar serve' "$WORK/help" || die "serve --help prints: $(cat "$WORK/help")"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "processes: $CHECKS reasons and results as promised"
