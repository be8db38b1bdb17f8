#!/bin/bash
# Options of a job: kinds of posts that are left out, fields of what is delivered, and only what is new
# since the last time, also over a killed worker.
OUT=$1
. "$(dirname "$0")/lib.sh"
start_practice
two_workers
start_service

ask() { # BODY → job id
    call -H 'Content-Type: application/json' -d "$1" http://fulmar/v1/jobs | jq -r '.id // empty'
}
truth_ids() { curl -sS "$SITE/$(truth_path "$@")" | jq -r .id; }

# ---- exclude

curl -sS "$SITE/$(truth_path posts @practice_500)" >"$WORK/all"
total=$(wc -l <"$WORK/all")
for kinds in '["replies"]' '["reposts"]' '["quotes","replies","reposts"]'; do
    run "{\"kind\":\"posts\",\"target\":\"@practice_500\",\"exclude\":$kinds}"
    jq -r --argjson kinds "$kinds" 'select(
        (if .kind == "repost" then ["reposts"]
         else [if .reply_to then "replies" else empty end, if .quote_of then "quotes" else empty end] end)
        | any(. as $k | $kinds | index($k)) | not) | .id' "$WORK/all" | sort >"$WORK/expected"
    posts_of "$id" | jq -r .id | sort >"$WORK/got"
    cmp -s "$WORK/expected" "$WORK/got" || die "without $kinds: $(wc -l <"$WORK/got") posts, not $(wc -l <"$WORK/expected")"
    is .verdict '"complete"' "without $kinds"
    left=$((total - $(wc -l <"$WORK/expected")))
    [ $left -gt 20 ] || die "the test has too few of $kinds"
    is .counts.filtered $left "without $kinds"
done
run '{"kind":"posts","target":"@practice_500","exclude":["replies","reposts"],"limit":100}'
is .counts.posts 100 "what is left out does not count against the limit"
say "options: posts of some kinds are left out, counted, and no end of a list ($total posts)"

# ---- include: the other way round

curl -sS "$SITE/$(truth_path replies @practice_90)" | jq -r .id | sort >"$WORK/expected"
run '{"kind":"posts","target":"@practice_90","include":["replies","quotes"]}'
posts_of "$id" | jq -r .id | sort >"$WORK/got"
cmp -s "$WORK/expected" "$WORK/got" || die "with replies: $(wc -l <"$WORK/got") posts, not $(wc -l <"$WORK/expected")"
is '[.verdict,.kind]' '["complete","posts"]' "with replies it is still the job that was ordered"
[ "$(posts_of "$id" | jq -r .provenance.op | sort -u)" = UserTweetsAndReplies ] || die "another tab was read: $(posts_of "$id" | jq -r .provenance.op | sort -u)"
fulmar get posts @practice_90 --include replies -n 3 -q >/dev/null || die "get --include: code $?"
[ -z "$(ask '{"kind":"media","target":"@practice_90","include":["reposts"]}')" ] || die "reposts of a media tab are promised"
say "options: kinds that a list leaves out are brought in"

# ---- fields

run '{"kind":"posts","target":"@practice_100","limit":20,"fields":["text","counts.like","author.screen_name"]}'
keys=$(posts_of "$id" | jq -c '[paths(scalars or . == null) | map(tostring) | join(".")] | sort' | sort -u)
[ "$keys" = '["author.screen_name","counts.like","id","schema","text"]' ] || die "fields: $keys"
[ "$(call "http://fulmar/v1/jobs/$id/posts?fields=*" | jq -s '.[0] | keys | length')" -gt 30 ] || die "the whole record is not kept"
[ "$(call "http://fulmar/v1/jobs/$id/users" | jq -r .screen_name)" = practice_100 ] || die "the account does not come whole"
fulmar get posts @practice_100 -n 5 --fields created_at,counts.like --csv -q >"$WORK/csv" || die "get --fields: code $?"
[ "$(head -1 "$WORK/csv" | tr -d '\r')" = id,created_at,counts.like ] || die "columns: $(head -1 "$WORK/csv")"
[ "$(wc -l <"$WORK/csv")" = 6 ] || die "get --fields: $(wc -l <"$WORK/csv") lines"
say "options: records carry the fields that were asked for"

# ---- what is new

panel '{"held":60}'
news='{"kind":"posts","target":"@growing_300","since_last":true}'
run "$news"
is .verdict '"complete"' "the first time"
is .counts.posts 240 "the first time all is new"
run "$news"
is '[.state,.verdict,.end_reason,.counts.posts]' '["succeeded","complete","known_reached",0]' "nothing new"
panel '{"held":45}'
truth_ids posts @growing_300 >"$WORK/ids"
sed -n 2,16p "$WORK/ids" | sort >"$WORK/expected" # the first is pinned, and old
run "$news"
posts_of "$id" | jq -r .id | sort >"$WORK/got"
cmp -s "$WORK/expected" "$WORK/got" || die "15 posts are new, $(wc -l <"$WORK/got") came: $(job "$id" | jq -c '{end_reason,counts,report}')"
is '[.verdict,.end_reason,.report.gap]' '["complete","known_reached",false]' "what is new"
run "$news"
is '[.verdict,.counts.posts]' '["complete",0]' "a third time"
# Another list of the same account has a mark of its own.
run '{"kind":"posts","target":"@growing_300","since_last":true,"exclude":["reposts"]}'
is '.counts.posts > 100' true "without reposts it is another list"
# A limit that cuts what is new is said.
panel '{"held":30}'
run '{"kind":"posts","target":"@growing_300","since_last":true,"limit":5}'
is '[.verdict,.end_reason,.counts.posts,.report.gap]' '["partial","limit",5,true]' "a gap"
fulmar get posts @growing_300 --since-last --json >"$WORK/out" 2>"$WORK/err" || die "get --since-last: code $?: $(cat "$WORK/err")"
[ ! -s "$WORK/out" ] && grep -q 'complete: 0 posts.*known_reached' "$WORK/err" || die "get --since-last says: $(cat "$WORK/err")"
say "options: what is new comes once: 240 posts, none, 15, none; a gap is said"

# ---- a worker dies in between

panel '{"held":30,"latency_ms":150}'
run '{"kind":"posts","target":"@growing_400","since_last":true,"limit":300}'
is .counts.posts 300 "the first time up to the limit"
panel '{"held":0,"latency_ms":150}'
truth_ids posts @growing_400 | sed -n 2,31p | sort >"$WORK/expected"
id=$(ask '{"kind":"posts","target":"@growing_400","since_last":true}')
has_some() { [ "$(job "$id" | jq -r '.counts.posts // 0')" -ge 10 ]; }
wait_until 20 "the first page is stored" has_some
kill_workers
wait_job "$id"
posts_of "$id" | jq -r .id | sort >"$WORK/got"
cmp -s "$WORK/expected" "$WORK/got" || die "after a killed worker $(wc -l <"$WORK/got") posts, not 30: $(job "$id" | jq -c '{state,end_reason,failure,counts,report}')"
is '[.verdict,.end_reason]' '["complete","known_reached"]' "after a killed worker"
# What the killed one took is known of its page alone, which is not the whole.
call "http://fulmar/v1/jobs/$id/attempts" | jq -c '[.data[] | select(.end == "crashed" or .failure != null) | .usage]' >"$WORK/usage"
jq -e 'length > 0 and .[0].requests > 0 and all(.[]; .peak_pss_bytes == null)' "$WORK/usage" >/dev/null ||
    die "an attempt whose worker was killed says it took $(cat "$WORK/usage"): $(call "http://fulmar/v1/jobs/$id/attempts")"
is '.attempts.started >= 2' true "the worker died too late for the test"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "options: $CHECKS jobs; one whose worker was killed did not stop at its own posts"
