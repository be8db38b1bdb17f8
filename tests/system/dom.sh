#!/bin/bash
# What the page shows, read by the strategy dom: record for record the truth in all that a page can
# show, under the usual faults; and where capture fails while the page still shows its posts, dom goes
# on, and nothing is doubled. Renamed test ids end as drift, never as success.
OUT=$1
. "$(dirname "$0")/lib.sh"
cat >"$WORK/extra.yaml" <<EOS
worker:
  count: 3
job:
  batch_timeout: 8s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 2
EOS
start_practice
start_service
faults() { # JSON; what is not named ends
    curl -sS -o /dev/null -X DELETE "$SITE/panel/faults"
    curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$1"
}
order() { # KIND TARGET STRATEGY [LIMIT]
    STRATEGY=${3#all} submit "$1" "$2" "${4:-null}"
}
ask() { # BODY: what the short form above has no words for
    call -H 'Content-Type: application/json' -d "$1" http://fulmar/v1/jobs | jq -r '.id // empty'
}
told() { job "$1" | jq -c '{state,verdict,end_reason,failure,counts,report}'; }

# shows_truth JOB KIND TARGET [LIMIT]
shows_truth() {
    curl -sS "$SITE/$(truth_path "${@:2}")" | jq -cS "$BOTH truth" | sort >"$WORK/truth"
    posts_of "$1" | jq -cS "$BOTH ours" | sort >"$WORK/got"
    check
    cmp -s "$WORK/truth" "$WORK/got" && return
    say "job $1 $2 $3: $(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"
    diff "$WORK/truth" "$WORK/got" | cut -c1-700 | head -6
    told "$1"
    return 1
}
in_order() { # the list is newest first; a repost stands where it was passed on, which the page does not say
    posts_of "$1" | jq -r 'select(.is_pinned | not) | select(.kind != "repost") | .id' >"$WORK/order"
    check
    sort -rn "$WORK/order" | cmp -s - "$WORK/order"
}
ends_as() { # ID STATE VERDICT-OR-CLASS
    wait_job "$1" 60
    check
    [ "$(job "$1" | jq -r '.verdict // .failure.class')" = "$3" ] && [ "$(job_state "$1")" = "$2" ] ||
        die "$1 did not end as $2 $3: $(told "$1")"
}

# ---- every field, with delays, empty pages and pictures that come late

faults '{"pictures_far":1,"latency_random_ms":60,"empty_page":0.15,"pictures_late_ms":30}'
a=$(order posts @practice_300 dom)
b=$(order hashtag '#practice_90' dom)
c=$(order search from:practice_100 dom 40)
ends_as "$a" succeeded complete
shows_truth "$a" posts @practice_300 || die "posts by dom differ from the truth"
in_order "$a" || die "posts by dom are not in the order of the page"
ends_as "$b" succeeded complete
shows_truth "$b" hashtag '#practice_90' || die "a hashtag by dom differs from the truth"
ends_as "$c" succeeded partial
[ "$(posts_of "$c" | wc -l)" = 40 ] || die "the limit was not kept: $(told "$c")"
[ "$(call "http://fulmar/v1/jobs/$a/users" | jq -r .screen_name)" = practice_300 ] || die "the account did not come along"
[ "$(job "$a" | jq .report.promoted_dropped)" -gt 0 ] || die "no advertisement was told apart: $(told "$a")"
say "dom: 390 posts equal the truth in all that the page shows"

# ---- other lists: tabs, lists, communities, and people

users_shown() { jq -cS '{id, screen_name, name}' | sort; }
faults '{"pictures_far":1}'
a=$(order replies @practice_90 dom)
b=$(order followers @practice_170 dom)
c=$(order list 84 dom)
ends_as "$a" succeeded complete
shows_truth "$a" replies @practice_90 || die "replies by dom differ from the truth"
ends_as "$b" succeeded complete
curl -sS "$SITE/truth/followers/practice_170" | users_shown >"$WORK/truth"
call "http://fulmar/v1/jobs/$b/users" | users_shown >"$WORK/got"
cmp -s "$WORK/truth" "$WORK/got" || die "followers by dom differ from the truth: $(diff "$WORK/truth" "$WORK/got" | head -5) $(told "$b")"
ends_as "$c" succeeded complete
shows_truth "$c" list 84 || die "a list by dom differs from the truth"
users_are() { # JOB TRUTH-PATH WORDS
    curl -sS "$SITE/truth/$2" | users_shown >"$WORK/truth"
    call "http://fulmar/v1/jobs/$1/users" | users_shown >"$WORK/got"
    check
    cmp -s "$WORK/truth" "$WORK/got" || die "$3 by dom differ from the truth: $(diff "$WORK/truth" "$WORK/got" | head -5) $(told "$1")"
}
a=$(order following @practice_170 dom)
b=$(order community 75 dom)
c=$(ask '{"kind":"search","target":"practice_130","product":"people","strategy":"dom"}')
ends_as "$a" succeeded complete
users_are "$a" following/practice_170 "accounts that are followed"
ends_as "$b" succeeded complete
shows_truth "$b" community 75 || die "a community by dom differs from the truth"
ends_as "$c" succeeded complete
users_are "$c" "search?q=practice_130&product=People" "people of a search"
a=$(ask '{"kind":"hashtag","target":"#practice_130","product":"people","limit":60,"strategy":"dom"}')
b=$(ask '{"kind":"hashtag","target":"#practice_70","product":"top","strategy":"dom"}')
ends_as "$a" succeeded partial
[ "$(job "$a" | jq .counts.users)" = 60 ] || die "the limit of people was not kept: $(told "$a")"
ends_as "$b" succeeded complete
curl -sS "$SITE/truth/hashtag/practice_70?product=Top" | jq -cS "$BOTH truth" | sort >"$WORK/truth"
posts_of "$b" | jq -cS "$BOTH ours" | sort >"$WORK/got"
check
cmp -s "$WORK/truth" "$WORK/got" || die "top posts by dom differ from the truth: $(diff "$WORK/truth" "$WORK/got" | cut -c1-300 | head -4)"

# ---- grids of pictures: a search for the posts with files is read in their place, and is called a sample

same_posts() { # JOB TRUTH-PATH WORDS
    curl -sS "$SITE/$2" | jq -cS "$BOTH truth" | sort >"$WORK/truth"
    posts_of "$1" | jq -cS "$BOTH ours" | sort >"$WORK/got"
    check
    cmp -s "$WORK/truth" "$WORK/got" || die "$3 by dom differ from the truth: $(diff "$WORK/truth" "$WORK/got" | cut -c1-400 | head -4) $(told "$1")"
}
a=$(order media @practice_300 dom)
b=$(ask '{"kind":"search","target":"practice_130","product":"media","strategy":"dom"}')
c=$(ask '{"kind":"hashtag","target":"#practice_130","product":"media","limit":12,"strategy":"dom"}')
d=$(order media @practice_empty dom)
ends_as "$a" succeeded sampled
same_posts "$a" "truth/search?q=from:practice_300%20filter:media" "an account's posts with files"
# As on the real site a search leaves some posts out.
curl -sS "$SITE/truth/media/practice_300" | jq -r .id | sort >"$WORK/grid"
posts_of "$a" | jq -r .id | sort | comm -13 "$WORK/grid" - >"$WORK/others"
[ -s "$WORK/others" ] && die "a search for an account's files brought others: $(head -3 "$WORK/others")"
[ "$(job "$a" | jq .counts.posts)" -lt "$(wc -l <"$WORK/grid")" ] || die "nothing was left out: what is a sample then?"
ends_as "$b" succeeded sampled
same_posts "$b" "truth/search?q=practice_130%20filter:media" "a search's posts with files"
ends_as "$c" succeeded sampled
[ "$(job "$c" | jq .counts.posts)" = 12 ] || die "the limit of posts with files was not kept: $(told "$c")"
ends_as "$d" dead empty_suspect # nothing found is no word about the account
faults '{"pictures_far":1,"renamed":1}'
a=$(order media @practice_300 all)
ends_as "$a" succeeded sampled
same_posts "$a" "truth/search?q=from:practice_300%20filter:media" "an account's posts with files, instead of capture,"
[ "$(job "$a" | jq -c '[.report.sources[] | .source]')" = '["capture","dom"]' ] || die "who read the files: $(told "$a")"
faults '{"pictures_far":1}'
say "dom: replies, a list, a community, followers, followed, people and top posts equal the truth in all that the page shows"

# ---- threads: what stands above, the post, and all that is folded below it

curl -sS "$SITE/truth/posts/practice_300" >"$WORK/world"
mapfile -t posts < <(jq -r .id "$WORK/world")
mapfile -t answers < <(jq -r 'select(.reply_to) | .id' "$WORK/world")
largest=0 thread=
for id in "${posts[@]:0:40}"; do
    n=$(curl -sS "$SITE/truth/thread/$id" | wc -l)
    [ "$n" -gt "$largest" ] && largest=$n thread=$id
done
[ "$largest" -gt 60 ] || die "no thread is large: the largest has $largest"
same_thread() { # JOB ID
    curl -sS "$SITE/truth/thread/$2" >"$WORK/whole"
    # On the page of a thread long posts are whole, and then begin with whom they answer.
    local plain='def plain: del(.pinned) | .text |= sub("^(@[A-Za-z0-9_]+ )+"; "");'
    jq -cS "$BOTH $plain walk(if type == \"object\" and .is_long then .is_long = false else . end) | truth | plain" "$WORK/whole" |
        sort >"$WORK/truth"
    posts_of "$1" | jq -cS "$BOTH $plain ours | plain" | sort >"$WORK/got"
    check
    cmp -s "$WORK/truth" "$WORK/got" && return
    say "thread $2: $(wc -l <"$WORK/got") posts, truth $(wc -l <"$WORK/truth")"
    diff "$WORK/truth" "$WORK/got" | cut -c1-500 | head -6
    told "$1"
    return 1
}
# The pictures are nearer here: three jobs at a time, one after the other.
faults '{"pictures_far":1,"latency_random_ms":40}'
declare -a threads=("$thread" "${posts[41]}" "${posts[42]}" "${answers[0]}" "${answers[1]}" "${answers[2]}") jobs=()
for id in "${threads[@]}"; do jobs+=("$(order thread "$id" dom)"); done
for i in "${!threads[@]}"; do
    ends_as "${jobs[i]}" succeeded complete
    same_thread "${jobs[i]}" "${threads[i]}" || die "a thread by dom differs from the truth"
    [ "$(posts_of "${jobs[i]}" | jq -r 'select(.position.section == "main") | .id')" = "${threads[i]}" ] || die "the post itself is not the main one"
    above=$(posts_of "${jobs[i]}" | jq -r 'select(.position.section == "thread") | .id')
    answered=$(jq -r --arg id "${threads[i]}" 'select(.id == $id) | .reply_to.post_id // empty' "$WORK/whole")
    [ -z "$above" ] || [ "$above" = "$answered" ] || die "above ${threads[i]} stands $above, not $answered"
done
a=$(ask "{\"kind\":\"thread\",\"target\":\"$thread\",\"strategy\":\"dom\",\"depth\":0}")
b=$(ask "{\"kind\":\"thread\",\"target\":\"$thread\",\"strategy\":\"dom\",\"depth\":1}")
ends_as "$a" succeeded complete
[ "$(posts_of "$a" | jq -r 'select(.position.section != "thread") | .id')" = "$thread" ] || die "depth 0 is the post alone: $(told "$a")"
ends_as "$b" succeeded partial # the page does not say whom a reply answers
[ "$(posts_of "$b" | jq -r 'select(.position.section == "reply")' | wc -l)" = 0 ] || die "a reply of unknown depth was delivered"
[ "$(job "$b" | jq '.report.unplaced > 0')" = true ] || die "replies that were left out are not said: $(told "$b")"
c=$(order thread $((posts[0] + 4194304 * 7)) dom)
ends_as "$c" dead not_found
ends_as "$(order thread "$(curl -sS "$SITE/truth/status/suspended_one?index=0")" dom)" dead suspended
ends_as "$(order thread "$(curl -sS "$SITE/truth/status/protected_one?index=0")" dom)" dead protected
ends_as "$(order thread "$(curl -sS "$SITE/truth/status/fault_5xx?index=0")" dom)" dead network
faults '{"pictures_far":1,"renamed":1}'
a=$(order thread "$thread" all)
ends_as "$a" succeeded complete
same_thread "$a" "$thread" || die "dom instead of capture: the thread differs from the truth"
[ "$(job "$a" | jq -c '[.report.sources[] | .source]')" = '["capture","dom"]' ] || die "who read the thread: $(told "$a")"
faults '{"pictures_far":1,"guest":1}'
a=$(order thread "$thread" dom)
ends_as "$a" succeeded sampled
[ "$(posts_of "$a" | jq -r .id)" = "$thread" ] || die "a visitor is shown the post alone: $(told "$a")"
faults '{"pictures_far":1}'
say "dom: threads of 1 to $largest posts equal the truth in all that the page shows"

# ---- pictures that do not come

faults '{"pictures_far":1,"pictures_late_ms":600000}'
a=$(order posts @practice_100 dom 60)
ends_as "$a" succeeded partial
[ "$(posts_of "$a" | jq -s 'map(select(.media_pending)) | length')" -gt 0 ] || die "no post waits for its pictures"
posts_of "$a" | jq -se 'all(.[]; (.media_pending | not) or .media == [])' >/dev/null || die "a picture that did not come was read"
posts_of "$a" | jq -se 'any(.[]; .text_truncated)' >/dev/null || die "no long post is said to be cut"

# ---- what the page says

faults '{}'
ends_as "$(order posts @suspended_one dom)" dead suspended
ends_as "$(order posts @protected_one dom)" dead protected
ends_as "$(order posts @missing_one dom)" dead not_found
ends_as "$(order posts @practice_empty dom)" succeeded empty_confirmed
ends_as "$(order search from:practice_empty dom)" succeeded empty_confirmed
ends_as "$(order posts @practice_small dom)" succeeded complete
ends_as "$(order profile @practice_100 dom)" succeeded complete
ends_as "$(order profile @protected_one dom)" succeeded complete
ends_as "$(order posts @fault_5xx dom)" dead network
ends_as "$(order posts @fault_empty dom)" dead empty_suspect
ends_as "$(order posts @practice_small dom)" succeeded complete
ends_as "$(order posts @fault_429 dom)" dead rate_limited
a=$(order posts @practice_100 dom)
faults '{"rate429":0.15,"rate429_s":1,"error5xx":0.1}'
b=$(order posts @practice_200 dom)
ends_as "$a" succeeded complete
ends_as "$b" succeeded complete
faults '{"pictures_far":1}'
[ "$(posts_of "$b" | jq -r '[.id, .reposted_by.screen_name] | @csv' | sort -u | wc -l)" = 200 ] || die "limits in between: $(told "$b")"

# ---- capture fails, the page still shows its posts

for fault in '"drift":1' '"renamed":1' '"mutation":7'; do
    faults "{\"pictures_far\":1,$fault}"
    a=$(order posts @practice_100 all)
    ends_as "$a" succeeded complete
    shows_truth "$a" posts @practice_100 || die "$fault: dom instead of capture differs from the truth"
    [ "$(job "$a" | jq -c '[.report.sources[] | [.source, .state != "ok"]]')" = '[["capture",true],["dom",false]]' ] ||
        die "$fault: the report does not say who did what: $(told "$a")"
    say "dom: {$fault} capture ends as $(job "$a" | jq -r '.report.sources[0].state'), dom reads all of it"
done
# In the middle of a list: what capture has committed is not committed again, reposts included.
faults '{"pictures_far":1,"latency_ms":150}'
a=$(order posts @practice_300 all)
has_some() { [ "$(job "$a" | jq .counts.posts)" -ge 60 ]; }
wait_until 30 "capture has read some" has_some
faults '{"pictures_far":1,"drift":1}'
ends_as "$a" succeeded complete
posts_of "$a" | jq -r '[(.repost_of // .id), (if .kind == "repost" then (.reposted_by.screen_name // .author.screen_name) else "" end)] | @csv' |
    sort >"$WORK/ids"
[ "$(wc -l <"$WORK/ids")" = 300 ] && [ "$(sort -u "$WORK/ids" | wc -l)" = 300 ] ||
    die "capture and dom together: $(wc -l <"$WORK/ids") posts, $(sort -u "$WORK/ids" | wc -l) of them different: $(told "$a")"
posts_of "$a" | jq -se 'map(.provenance.source) | unique == ["dom", "graphql"]' >/dev/null || die "one of them read nothing: $(told "$a")"
# What both have read of one post agrees, its files by their names too.
[ "$(job "$a" | jq -c '[.report.conflicts, .report.duplicates > 30]')" = '[0,true]' ] ||
    die "capture and dom disagree: $(told "$a") $(call "http://fulmar/v1/jobs/$a/conflicts" | head -3)"
posts_of "$a" | jq -se 'any(.[]; .provenance.source == "dom" and (.media | length) > 0 and all(.media[]; .key))' >/dev/null || die "files read by dom have no keys"
# What is true of the target, and limits, are not tried again in another way.
faults '{}'
a=$(order posts @suspended_one all)
ends_as "$a" dead suspended
[ "$(job "$a" | jq '.report.sources | length')" = 1 ] || die "a suspended account was read twice: $(told "$a")"

# ---- test ids with other names

faults '{"drift_dom":1}'
ends_as "$(order posts @practice_100 dom)" dead drift
faults '{}'
ends_as "$(order posts @practice_small dom)" succeeded complete
faults '{"drift_dom":1,"drift":1}'
ends_as "$(order posts @practice_100 all)" dead drift
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "dom: $CHECKS endings and comparisons as promised"
