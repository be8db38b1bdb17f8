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
say "dom: replies, a list and followers equal the truth in all that the page shows"

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
