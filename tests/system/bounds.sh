#!/bin/bash
# What an order allows its job to take, and what it calls a good result: each bound is reached in a real run, and the job ends
# with the exact reason.
OUT=$1
. "$(dirname "$0")/lib.sh"
id=""
start_practice
two_workers '  fail_max: 2'
start_service

ask() { # OPTIONS [KIND TARGET]: → job id
    jq -cn --argjson options "$1" --arg kind "${2:-posts}" --arg target "${3:-@practice_500}" \
        '{kind: $kind, target: $target} + $options' |
        call -H 'Content-Type: application/json' -d @- http://fulmar/v1/jobs | jq -r '.id // empty'
}
why() { job "$id" | jq -r .failure.why; }
# Many are asked for at once, and looked at one after the other: the two workers are never without one.
declare -A asked
begin() { # NAME WHAT TO ASK…
    asked[$1]=$(ask "${@:2}")
    [ -n "${asked[$1]}" ] || die "not accepted: $*"
}
ended() { # NAME: sets id, waits
    id=${asked[$1]}
    wait_job "$id" 120
    check
}

begin memory '{"resources":{"memory_mib":128}}' posts @fault_memory
begin loop '{"resources":{"cpu_s":1}}' posts @fault_loop
for strategy in capture dom; do
    begin "$strategy" "{\"strategy\":\"$strategy\",\"max_pages\":3}"
done
begin bytes '{"max_bytes":250000}'
begin requests '{"resources":{"max_requests":12}}'
begin one_request '{"resources":{"max_requests":1}}'
begin few '{"quality":{"min_posts":61}}' posts @practice_60
begin few_pages '{"max_pages":2,"quality":{"min_posts":101}}'
begin nobody '{"quality":{"on_empty":"fail"}}' followers @practice_0
begin nothing '{"strategy":"capture","quality":{"on_empty":"accept"}}' posts @fault_empty
begin fields '{"limit":30,"quality":{"required_fields":["id","reply_to.post_id"]}}'

# ---- budgets: it ends well, with what it has, and says which one it was

for strategy in capture dom; do
    ended "$strategy"
    is '[.state,.verdict,.end_reason,.counts.batches]' '["succeeded","partial","budget",3]' "three pages ($strategy)"
    is '.report.budget' '{"name":"max_pages","most":3,"used":3}' "which budget ($strategy)"
    is '.counts.posts > 0 and .counts.posts < 500' true "pages that were read stay ($strategy)"
done
fulmar jobs show "$id" | grep -qx 'budget     max_pages: 3 of 3 used' || die "jobs show: $(fulmar jobs show "$id")"
fulmar jobs show "$id" | grep -qx 'options    strategy=dom max_pages=3' || die "jobs show: $(fulmar jobs show "$id")"

ended bytes
is '[.state,.verdict,.end_reason,.report.budget.name,.report.budget.most]' '["succeeded","partial","budget","max_bytes",250000]' "so many bytes"
is '.usage.net_bytes >= 250000 and .usage.net_bytes < 1000000 and .report.budget.used >= 250000' true "bytes are those of the usage"
is '.counts.posts > 0 and .counts.posts < 500' true "what came is kept"

ended requests
is '[.state,.verdict,.end_reason,.report.budget.name]' '["succeeded","partial","budget","resources.max_requests"]' "so many requests"
is '.usage.requests >= 12 and .counts.posts > 0' true "requests are those of the usage"

# Not enough for anything: no success, and no use in trying again.
ended one_request
is '[.state,.failure.class,.attempts.started]' '["dead","resource",1]' "one request"
[[ "$(why)" == "resources.max_requests (1) was used up before anything was read: "* ]] || die "one request: $(why)"
say "bounds: budgets end a job with what it has, and say which one it was"

# ---- ceilings: the attempt is stopped, and is the last one

ended memory
is '[.state,.failure.class,.attempts.started]' '["dead","resource",1]' "a page that takes all memory"
[[ "$(why)" =~ ^the\ attempt\ took\ [0-9]+\ MiB\ of\ memory,\ resources.memory_mib\ allows\ 128$ ]] || die "a page that takes all memory: $(why)"
ended loop
is '[.state,.failure.class,.attempts.started]' '["dead","resource",1]' "a page that computes for ever"
[[ "$(why)" =~ ^the\ attempt\ took\ [0-9]+\ ms\ of\ a\ processor,\ resources.cpu_s\ allows\ 1\ s$ ]] || die "a page that computes for ever: $(why)"
say "bounds: what goes above a ceiling is stopped once"

# ---- what a good result is

ended few
is '[.state,.failure.class,.attempts.started,.counts.posts]' '["dead","empty_suspect",2,60]' "too few"
[ "$(why)" = "60 posts came, and quality.min_posts asks for 61" ] || die "too few: $(why)"
[ "$(posts_of "$id" | wc -l)" = 60 ] || die "what came cannot be read"
ended few_pages
is '[.state,.failure.class,.attempts.started]' '["dead","empty_suspect",1]' "too few, and no more may be read"
ended nobody
is '[.state,.failure.class,.attempts.started]' '["dead","empty_suspect",1]' "nobody is not good enough"
[ "$(why)" = "there are no users, and quality.on_empty is fail" ] || die "nobody: $(why)"
ended nothing
is '[.state,.verdict,.counts.posts,.report.accepted_empty,.attempts.started]' '["succeeded","partial",0,true,1]' "nothing, without proof"

ended fields
is '[.state,.counts.posts]' '["succeeded",30]' "posts that answer something"
is '.counts.rejected > 10' true "others are kept apart"
posts_of "$id" | jq -se 'all(.reply_to.post_id != null)' >/dev/null || die "a post without the field is among the results"
call "http://fulmar/v1/jobs/$id/rejected" |
    jq -se 'length > 10 and all(.schema == "xrejected/1" and .check == "required_fields" and .record.reply_to.post_id == null)' >/dev/null ||
    die "rejected: $(call "http://fulmar/v1/jobs/$id/rejected" | head -1)"

# ---- the time of a page

panel '{"latency_ms":1500}'
run '{"timeouts":{"navigation_s":1}}'
is '[.state,.failure.class,.attempts.started]' '["dead","timeout",2]' "a page that is late"
[ "$(why)" = "the site did not answer the page within 1000 ms (timeouts.navigation_s)" ] || die "a page that is late: $(why)"
panel '{"latency_ms":0}'

fulmar get posts @practice_100 -n 5 --require reply_to.post_id --memory 1GiB --cpu 1m --max-requests 900 --max-bytes 50MiB --navigation-timeout 9s \
    --min-posts 5 --on-empty fail -q --json >"$WORK/out" || die "get with all of them: code $?"
[ "$(jq -s length "$WORK/out")" = 5 ] || die "get with all of them: $(wc -l <"$WORK/out") posts"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "bounds: $CHECKS jobs ended for the reason that their order gives"
