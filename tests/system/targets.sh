#!/bin/bash
# Every target of x with real Chromium on the practice site: tabs of a profile, rows of accounts, products of
# a search, lists, communities and threads. Records equal the truth in every field; limits, depths, a killed
# worker, and each way in which such a job fails.
OUT=$1
. "$(dirname "$0")/lib.sh"

start_practice --layout mixed # all three generations of accounts
cat >"$WORK/extra.yaml" <<EOS
worker:
  count: 4
lane:
  max_active: 4
job:
  retry_base: 200ms
  retry_cap: 1s
  fail_max: 1
EOS
start_service

order() { # JSON → job id
    call -H 'Content-Type: application/json' -d "$1" http://fulmar/v1/jobs | jq -r '.id // empty'
}
declare -a names ids truths wholes
# want NAME ORDER TRUTH-PATH [part]: the records of the job are those of the truth; part: the limit ends it
want() {
    local id
    id=$(order "$2")
    [ -n "$id" ] || die "$1: the job was not accepted: $2"
    names+=("$1") ids+=("$id") truths+=("$3") wholes+=("${4:-complete}")
}
fails() { # NAME ORDER CLASS
    local id
    id=$(order "$2")
    [ -n "$id" ] || die "$1: the job was not accepted: $2"
    names+=("$1") ids+=("$id") truths+=("") wholes+=("$3")
}
status_id() { curl -sS "$SITE/truth/status/$1?index=${2:-0}"; }

# Threads in all their shapes: an answer with a post above it, a deleted one above, none below, many below.
curl -sS "$SITE/truth/posts/practice_300" >"$WORK/world"
mapfile -t posts < <(jq -r .id "$WORK/world")
mapfile -t answers < <(jq -r 'select(.reply_to) | .id' "$WORK/world")
size() { curl -sS "$SITE/truth/thread/$1" | wc -l; }
largest=0 thread=
for id in "${posts[@]:0:40}"; do
    n=$(size "$id")
    [ "$n" -gt "$largest" ] && largest=$n thread=$id
done
[ "$largest" -gt 60 ] || die "no thread of the first 40 is large, the largest has $largest"

want replies '{"kind":"replies","target":"@practice_90"}' truth/replies/practice_90
want "replies to a limit" '{"kind":"replies","target":"@practice_90","limit":33}' "truth/replies/practice_90?limit=33" partial
want media '{"kind":"media","target":"https://x.com/practice_300"}' truth/media/practice_300
want "media to a limit" '{"kind":"media","target":"@practice_300","limit":25}' "truth/media/practice_300?limit=25" partial
want followers '{"kind":"followers","target":"@practice_170"}' truth/followers/practice_170
want "followers to a limit" '{"kind":"followers","target":"@practice_170","limit":70}' "truth/followers/practice_170?limit=70" partial
want following '{"kind":"following","target":"@practice_170"}' truth/following/practice_170
want "nobody follows" '{"kind":"followers","target":"@practice_0"}' truth/followers/practice_0 empty_confirmed
want people '{"kind":"search","target":"practice_130","product":"people"}' "truth/search?q=practice_130&product=People"
want "people to a limit" '{"kind":"hashtag","target":"#practice_130","product":"people","limit":60}' "truth/hashtag/practice_130?product=People&limit=60" partial
want "media of a search" '{"kind":"search","target":"practice_130","product":"media"}' "truth/search?q=practice_130&product=Media"
want top '{"kind":"hashtag","target":"#practice_70","product":"top"}' "truth/hashtag/practice_70?product=Top"
want latest '{"kind":"hashtag","target":"#practice_70","product":"latest"}' truth/hashtag/practice_70
want list '{"kind":"list","target":"https://x.com/i/lists/84"}' truth/list/84
want "list that never says its end" '{"kind":"list","target":"61"}' truth/list/61
want "list to a limit" '{"kind":"list","target":"200","limit":45}' "truth/list/200?limit=45" partial
want community '{"kind":"community","target":"https://x.com/i/communities/75"}' truth/community/75
want thread "{\"kind\":\"thread\",\"target\":\"https://x.com/practice_300/status/$thread\"}" "truth/thread/$thread"
for depth in 0 1 2; do
    want "thread, depth $depth" "{\"kind\":\"thread\",\"target\":\"$thread\",\"depth\":$depth}" "truth/thread/$thread?depth=$depth"
done
for id in "${posts[@]:41:6}" "${answers[@]:0:6}"; do
    want "thread $id" "{\"kind\":\"thread\",\"target\":\"$id\"}" "truth/thread/$id"
done

missing=$((posts[0] + 4194304 * 7))
fails "thread of nothing" "{\"kind\":\"thread\",\"target\":\"$missing\"}" not_found
for i in 0 1 2 3 4 5; do
    fails "thread of a suspended account $i" "{\"kind\":\"thread\",\"target\":\"$(status_id suspended_one $i)\"}" suspended
    fails "thread of a protected account $i" "{\"kind\":\"thread\",\"target\":\"$(status_id protected_one $i)\"}" protected
done
for kind in replies media followers following; do
    fails "$kind of a suspended account" "{\"kind\":\"$kind\",\"target\":\"@suspended_one\"}" suspended
    fails "$kind of a protected account" "{\"kind\":\"$kind\",\"target\":\"@protected_one\"}" protected
    fails "$kind of nobody" "{\"kind\":\"$kind\",\"target\":\"@missing_one\"}" not_found
done
fails "no such list" '{"kind":"list","target":"1404"}' not_found
fails "no such community" '{"kind":"community","target":"1404"}' not_found
fails "followers, renamed members" '{"strategy":"capture","kind":"followers","target":"@fault_drift"}' drift
fails "media, renamed members" '{"strategy":"capture","kind":"media","target":"@fault_drift"}' drift
fails "thread, renamed members" "{\"strategy\":\"capture\",\"kind\":\"thread\",\"target\":\"$(status_id fault_drift)\"}" drift
fails "followers, servers down" '{"kind":"followers","target":"@fault_5xx"}' network
fails "thread, servers down" "{\"kind\":\"thread\",\"target\":\"$(status_id fault_5xx)\"}" network
fails "followers, login wall" '{"kind":"followers","target":"@fault_login"}' login_required

ended=0
for i in "${!ids[@]}"; do
    wait_until 240 "${names[i]}: job ${ids[i]} ends ($(job "${ids[i]}" | jq -c '{state,failure}'))" job_ended "${ids[i]}"
    ended=$((ended + 1))
done
say "targets: $ended jobs ended"

# ---- against the truth

bad=0
for i in "${!ids[@]}"; do
    job "${ids[i]}" >"$WORK/job"
    check
    if [ -z "${truths[i]}" ]; then
        [ "$(jq -r '.failure.class // "none"' "$WORK/job")" = "${wholes[i]}" ] && continue
        say "${names[i]}: not ${wholes[i]}: $(jq -c '{state,verdict,failure,report}' "$WORK/job")"
        bad=$((bad + 1))
        continue
    fi
    what=$(jq -r .records "$WORK/job")
    curl -sS --fail "$SITE/${truths[i]}" | jq -cS "$MEMBERS ${what%s}" | sort >"$WORK/truth"
    call "http://fulmar/v1/jobs/${ids[i]}/$what" | jq -cS "$MEMBERS ${what%s}" | sort >"$WORK/got"
    counted=$(jq -r ".counts.$what" "$WORK/job")
    if [ "$(jq -r .verdict "$WORK/job")" != "${wholes[i]}" ] || [ "$counted" != "$(wc -l <"$WORK/truth")" ] ||
        ! cmp -s "$WORK/truth" "$WORK/got"; then
        say "${names[i]}: $(wc -l <"$WORK/got") $what, counted $counted, truth $(wc -l <"$WORK/truth"): $(jq -c '{state,verdict,end_reason,failure,report}' "$WORK/job")"
        diff "$WORK/truth" "$WORK/got" | cut -c1-400 | head -4
        bad=$((bad + 1))
    fi
done
[ $bad -eq 0 ] || die "$bad of ${#ids[@]} jobs did not end as they should"

# ---- a worker is killed in the middle of a row of accounts: it goes on where it was

curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":150}'
id=$(order '{"kind":"followers","target":"@practice_700","retry":{"max_attempts":2}}')
some_users() { [ "$(job "$id" | jq .counts.users)" -ge 100 ]; }
wait_until 60 "the first accounts are there" some_users
kill_workers
wait_job "$id" 120
[ "$(job "$id" | jq -c '[.verdict,.attempts.crashed]')" = '["complete",1]' ] || die "after the kill: $(job "$id" | jq -c '{state,verdict,failure,attempts}')"
curl -sS "$SITE/truth/followers/practice_700" | normal_users >"$WORK/truth"
call "http://fulmar/v1/jobs/$id/users" | normal_users >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "after the kill: $(wc -l <"$WORK/got") users, truth $(wc -l <"$WORK/truth")"
[ "$(job "$id" | jq .report.pages)" -lt 14 ] || die "the row was read from its start again"

# ---- a visitor without a session is shown the post alone: that is said

curl -sS -o /dev/null -X DELETE "$SITE/panel/faults"
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"guest":1}'
id=$(order "{\"kind\":\"thread\",\"target\":\"$thread\"}")
wait_job "$id" 60
[ "$(job "$id" | jq -c '[.state,.verdict,.counts.posts]')" = '["succeeded","sampled",1]' ] || die "alone: $(job "$id" | jq -c '{state,verdict,counts,failure}')"
[ "$(posts_of "$id" | jq -r .id)" = "$thread" ] || die "another post than the one asked for"
# Nor is an account: a few posts, by their likes. Both strategies say so, also where the job stops before.
for strategy in capture dom; do
    whole=$(order "{\"kind\":\"posts\",\"target\":\"@practice_100\",\"strategy\":\"$strategy\"}")
    some=$(order "{\"kind\":\"posts\",\"target\":\"@practice_300\",\"limit\":8,\"strategy\":\"$strategy\"}")
    all=$(order "{\"kind\":\"posts\",\"target\":\"@practice_1\",\"strategy\":\"$strategy\"}")
    wait_job "$whole" 60
    wait_job "$some" 60
    wait_job "$all" 60
    [ "$(job "$whole" | jq -c '[.state,.verdict,.counts.posts <= 11]')" = '["succeeded","sampled",true]' ] ||
        die "$strategy as a guest: $(job "$whole" | jq -c '{state,verdict,end_reason,counts,failure}')"
    [ "$(job "$some" | jq -c '[.state,.verdict,.end_reason,.counts.posts]')" = '["succeeded","sampled","limit",8]' ] ||
        die "$strategy as a guest, to a limit: $(job "$some" | jq -c '{state,verdict,end_reason,counts,failure}')"
    [ "$(job "$all" | jq -r .verdict)" = complete ] || die "$strategy as a guest, all of it: $(job "$all" | jq -c '{state,verdict,counts,failure}')"
done
id=$(order "{\"kind\":\"thread\",\"target\":\"$missing\"}")
wait_job "$id" 60
[ "$(job_class "$id")" = not_found ] || die "alone and missing: $(job_class "$id")"
for state in suspended protected; do
    id=$(order "{\"kind\":\"thread\",\"target\":\"$(status_id ${state}_one)\"}")
    wait_job "$id" 60
    [ "$(job_class "$id")" = $state ] || die "alone and $state: $(job_class "$id")"
done

# ---- a page's token that is used up: the page opened anew has another

token() { # 1: the first page's, 2: every page's
    curl -sS -o /dev/null -X DELETE "$SITE/panel/faults"
    curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "{\"token\":$1}"
}
token 1
id=$(order '{"kind":"posts","target":"@practice_100","strategy":"capture"}')
other=$(order "{\"kind\":\"thread\",\"target\":\"$thread\",\"strategy\":\"capture\"}")
wait_job "$id" 60
wait_job "$other" 60
[ "$(job "$id" | jq -c '[.verdict,.counts.posts,.attempts.failed]')" = '["complete",100,0]' ] || die "after a used-up token: $(job "$id" | jq -c '{state,verdict,counts,failure,attempts}')"
[ "$(job "$other" | jq -c '[.verdict,.attempts.failed]')" = '["complete",0]' ] || die "a thread after a used-up token: $(job "$other" | jq -c '{state,verdict,counts,failure,attempts}')"
[ "$(job "$other" | jq .counts.posts)" = "$largest" ] || die "the thread after a used-up token has $(job "$other" | jq .counts.posts) posts, not $largest"
token 2
id=$(order '{"kind":"posts","target":"@practice_100","strategy":"capture"}')
wait_job "$id" 60
[ "$(job_class "$id")" = login_required ] || die "a token that is refused for ever: $(job "$id" | jq -c '{state,verdict,failure}')"

stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "targets: ${#ids[@]} jobs and a killed worker, as the truth in every field"
