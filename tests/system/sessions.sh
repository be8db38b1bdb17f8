#!/bin/bash
# People's own logins: a search needs one, limits go from one to the next and are waited for, a refused one
# is noticed, and no cookie shows anywhere.
OUT=$1
. "$(dirname "$0")/lib.sh"
WINDOW=4
start_practice --fault login=1 --rate-limit 3/$WINDOW
two_workers "log: {level: debug}"
start_service

cookies() { curl -sS "$SITE/panel/login?member=$1&form=$2"; } # MEMBER FORM
member_is() { curl -sS -o /dev/null -d "{\"member\":$1,\"state\":\"$2\"}" "$SITE/panel/members"; }
session() { call "http://fulmar/v1/sessions/$1" | jq -c "$2"; }
ask() { # KIND TARGET LIMIT POOL → job id
    call -H 'Content-Type: application/json' http://fulmar/v1/jobs -d \
        "$(jq -cn --arg k "$1" --arg t "$2" --argjson l "$3" --arg p "$4" \
            '{kind:$k,target:$t,limit:$l,evidence:"always"} + (if $p != "" then {session:{pool:$p}} else {} end)')" |
        jq -r '.id // empty'
}
has() { # NAME FILTER EXPECTED WORDS
    local got
    got=$(session "$1" "$2")
    [ "$got" = "$3" ] || die "$4: session $1: $2 is $got, not $3: $(session "$1" .)"
}
used() { call "http://fulmar/v1/jobs/$id/log" | jq -r 'select(.data.session) | .data.session' | paste -sd' '; }

# ---- without, and with

run search 'from:ExactBay0' 20 ""
is .failure.class '"login_required"' "a search without a session"
[ "$(ask search x 5 research)" = "" ] || die "a pool without a session was accepted"
code=0
fulmar get search 'from:ExactBay0' -n 5 --pool research -q 2>"$WORK/err" || code=$?
[ $code = 11 ] && grep -q session_unavailable "$WORK/err" || die "get --pool without a session: $code $(cat "$WORK/err")"

cookies 0 netscape >"$WORK/cookies.txt"
fulmar sessions add anna --pool research --from "$WORK/cookies.txt" || die "sessions add: $?"
rm "$WORK/cookies.txt"
has anna '[.state,.cookies,.pool]' '["active",2,"research"]' "two of the three are the site's"
run search 'from:ExactBay0' 20 research
is '[.state,.counts.posts]' '["succeeded",20]' "a search with a session"
same_as_truth "$id" search 'from:ExactBay0' 20 || die "the records of a search with a session"
anna=$(call http://fulmar/v1/sessions/anna | jq -r .id)
[ "$(used)" = "$anna" ] || die "the session of the job: $(used)"
has anna '[.active,.leases_24h,.failures_in_a_row,(.last_ok_at != null),.requests_24h > 1]' '[0,1,0,true,true]' "after a job"
call "http://fulmar/v1/jobs/$id/artifacts" | jq -e '.data | length > 0' >/dev/null || die "no evidence was kept"
run posts @practice_40 40 research
is '[.state,.counts.posts]' '["succeeded",40]' "a whole timeline with a session"
say "sessions: a search without a session ends as login_required, with one it brings the right records"

# ---- a limit: the next one, then the reset

cookies 1 header | fulmar sessions add bert --pool research -q || die "sessions add from standard input: $?"
cookies 2 json >"$WORK/cookies.json"
call -H 'Content-Type: application/json' -d '{"name":"cora","pool":"spare"}' http://fulmar/v1/sessions >/dev/null
call --data-binary "@$WORK/cookies.json" http://fulmar/v1/sessions/cora/cookies >"$WORK/answer"
[ "$(jq -r .state "$WORK/answer")" = active ] || die "cookies by HTTP: $(cat "$WORK/answer")"
rm "$WORK/cookies.json"
# Three calls of a search for each in a window: 15 pages are more than two leases have, though a window ends
# in the middle of one.
run search '#practice_300' 300 research
is '[.state,.counts.posts,.attempts.failed]' '["succeeded",300,0]' "a search longer than the limits"
same_as_truth "$id" search '#practice_300' 300 || die "the records of a search over two limits"
is '.attempts.throttled >= 2' true "both sessions met their limit"
bert=$(call http://fulmar/v1/sessions/bert | jq -r .id)
# The one that was used longest ago first, then the other, then whichever limit ends first.
case "$(used)" in
"$bert $anna "*) ;;
*) die "sessions took no turns: $(used) (anna $anna bert $bert)" ;;
esac
has cora '.leases_24h' 0 "another pool is left alone"
took=$(job "$id" | jq '.timings.running_ms')
[ "$took" -ge $((WINDOW * 1000)) ] && [ "$took" -le 40000 ] || die "the resets were not waited for: $took ms"
say "sessions: limits went from one session to the next, and the reset was waited for ($took ms)"

# ---- an exhausted pool parks, and says so

# Both, and for longer than what they rest from before.
exhausted() {
    call http://fulmar/v1/sessions?pool=research | jq -e --arg soon "$(date -u -d '+20 seconds' +%FT%TZ)" \
        '[.data[].cooldowns.SearchTimeline // ""] | all(. > $soon)' >/dev/null
}
panel '{"rate429":1,"rate429_s":60}'
id=$(ask search '#practice_300' 300 research)
wait_until 20 "both sessions rest" exhausted
panel '{"rate429":0}'
waits() { [ "$(job "$id" | jq -r '.waiting_for.reason // ""')" = session ]; }
wait_until 10 "the job waits for a session" waits
is '[.state, (.waiting_for.until != null)]' '["ready",true]' "a parked job"
fulmar sessions list --pool research >"$WORK/table" || die "sessions list: $?"
grep -q 'anna.*cooling.*SearchTimeline until 20' "$WORK/table" || die "the table: $(cat "$WORK/table")"
parked=$id
run posts @practice_small 5 "" # nobody else is held up
is .state '"succeeded"' "a job beside a parked lane"
id=$parked
is .state '"ready"' "the lane is parked still"
call -X POST "http://fulmar/v1/jobs/$id/cancel" >/dev/null
wait_job "$id"
is '[.state,.attempts.failed,(.attempts.throttled == .attempts.started)]' '["cancelled",0,true]' "waiting was not charged"
say "sessions: a job of an exhausted pool says what it waits for, and holds up nobody else"

# ---- refused, locked

member_is 2 invalid
run search 'from:ExactBay0' 5 spare
is '[.state,.failure.class]' '["dead","session_invalid"]' "the only session is refused"
has cora '[.state,(.reason | test("refused"))]' '["invalid",true]' "a refused session"
[ "$(ask search x 5 spare)" = "" ] || die "a pool of refused sessions was accepted"
code=0
fulmar sessions validate cora -q 2>"$WORK/err" || code=$?
[ $code = 1 ] && grep -q 'not logged in' "$WORK/err" || die "validate a refused one: $code $(cat "$WORK/err")"
has cora .state '"invalid"' "a refused session that was looked at"
member_is 2 good
fulmar sessions validate cora -q || die "validate one that the site takes again: $?"
has cora '[.state,(.last_ok_at != null)]' '["active",true]' "the visit says that it is logged in"
[ "$(call -o "$WORK/answer" -w '%{http_code}' -H 'Content-Type: application/json' -d '{"kind":"serch"}' \
    http://fulmar/v1/sessions/cora/validate)" = 422 ] || die "validate by a kind that there is none: $(cat "$WORK/answer")"
cookies 2 header | fulmar sessions cookies cora -q || die "sessions cookies: $?"
has cora .state '"active"' "other cookies"
cookies 3 header | fulmar sessions add dora --pool spare -q || die "sessions add: $?"
member_is 2 locked
for _ in 1 2; do # whoever's turn it is
    run search 'from:ExactBay0' 5 spare
    is .state '"succeeded"' "another one of the pool goes on"
done
has cora .state '"invalid"' "a locked account"
fulmar sessions lock dora --reason 'a person looks at it' -q || die "sessions lock: $?"
fulmar sessions show dora | grep -q 'a person looks at it' || die "sessions show: $(fulmar sessions show dora)"
fulmar sessions unlock dora -q && fulmar sessions remove cora -q || die "sessions unlock, remove: $?"
[ "$(call -o /dev/null -w '%{http_code}' http://fulmar/v1/sessions/cora)" = 404 ] || die "it was not removed"
code=0
fulmar sessions cookies dora "auth_token=argv" 2>"$WORK/err" || code=$?
[ $code = 64 ] && ! grep -q argv "$WORK/err" || die "cookies on the command line: $code $(cat "$WORK/err")"
say "sessions: refused and locked ones are noticed, and the next one goes on"

# ---- nothing shows

run search 'from:ExactBay0' 5 ""
is .failure.class '"login_required"' "a job without a session, in a browser in which others had one"
# Whether a value, one on each line of standard input, is in the memory of one of these processes. That of
# the name of a header, which the page sends with one, must be: else nothing was looked at.
cat >"$WORK/memory.py" <<'EOF'
import re, sys, time
values = [line.strip().encode() for line in sys.stdin if line.strip()]
header, seen, until = b"x-csrf-token", set(), time.monotonic() + 20

def look(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            part = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not part or "[v" in line or int(part[2], 16) - int(part[1], 16) > 1 << 28:  # a sanitizer's
                continue
            try:
                memory.seek(int(part[1], 16))
                held = memory.read(int(part[2], 16) - int(part[1], 16))
            except OSError:  # given back meanwhile
                continue
            seen.update(v for v in values + [header] if v in held)

times = 0
while time.monotonic() < until and (header not in seen or times < 20):
    times += 1
    for pid in sys.argv[1:]:
        look(pid)
print("blind" if header not in seen or not values else "found" if seen & set(values) else "clean")
EOF
all_values() {
    for member in 0 1 2 3; do cookies $member header; done | tr -d ';' | tr ' ' '\n' | sed -n 's/^\(auth_token\|ct0\)=//p'
}
if [ "$(id -u)" = 0 ]; then # who may look there
    panel '{"latency_ms":300}'
    id=$(ask search '#practice_60' 60 spare)
    # shellcheck disable=SC2046
    saw=$(all_values | python3 "$WORK/memory.py" $(role_pids worker)) || die "the workers' memory cannot be read"
    [ "$saw" = clean ] || die "cookies in the memory of a worker: $saw"
    panel '{"latency_ms":0}'
    wait_job "$id"
    check
fi

{
    call http://fulmar/metrics
    call http://fulmar/
    call http://fulmar/v1/sessions
    call "http://fulmar/v1/jobs?limit=200"
    for job in $(call "http://fulmar/v1/jobs?limit=200" | jq -r '.data[].id'); do
        call "http://fulmar/v1/jobs/$job"
        for what in log posts users rejected conflicts; do call "http://fulmar/v1/jobs/$job/$what"; done
        fulmar artifacts "$job" --out "$WORK/evidence/$job" -q >&2
    done
    call --data-binary "$(cookies 0 header | sed 's/ct0/cto/')" http://fulmar/v1/sessions/dora/cookies
} >"$WORK/said" 2>>"$WORK/said.err"
grep -q 'there is no cookie ct0' "$WORK/said" || die "a login without ct0 was taken"
[ "$(find "$WORK/evidence" -type f | wc -l)" -gt 5 ] || die "too little evidence to look at"
for member in 0 1 2 3; do
    for value in $(cookies $member header | tr -d ';' | tr ' ' '\n' | sed -n 's/^\(auth_token\|ct0\)=//p'); do
        for pid in $SERVICE_PID $(role_pids worker) $(role_pids egress); do
            ! tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "$value" || die "a cookie is in a command line"
        done
        found=$(grep -rlaF "$value" "$WORK/said" "$WORK/said.err" "$WORK/service.log" "$WORK/evidence")
        [ -z "$found" ] || die "a cookie shows: $found"
        found=$(grep -rlaF --exclude-dir=run "$value" "$WORK/state")
        [ -z "$found" ] || die "a cookie lies on the disk: $found"
        check
    done
done
[ "$(stat -c %a "$WORK/state/fulmar.key")" = 600 ] || die "the key may be read by others"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "sessions: $CHECKS checks; no cookie in answers, log, evidence, command lines or on the disk"
