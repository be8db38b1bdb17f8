#!/bin/bash
# X by way of others, from the command line to the records: every target that a Nitter instance can serve, as
# page and as feed, syndication behind it, and a search that X shows to nobody without a login. Both servers are
# tables of answers on loopback, with the pages of tests/data/shapes.
OUT=$1
. "$(dirname "$0")/lib.sh"

SHAPES=$ROOT/tests/data/shapes
cc -O1 -o "$WORK/httpd" "$ROOT/tests/system/httpd.c" || die "the servers for the test cannot be built"
table() { cat >"$WORK/$1.new" && mv "$WORK/$1.new" "$WORK/$1"; } # x | nitter
start() {                                                        # x | nitter → its URL in $started
    table "$1" </dev/null
    "$WORK/httpd" "$WORK/$1" >"$WORK/$1.asked" &
    wait_until 10 "$1 listens" test -s "$WORK/$1.asked"
    started=http://127.0.0.1:$(head -1 "$WORK/$1.asked")
}
start x
PRACTICE_PID=$!
SITE=$started
start nitter
NITTER_PID=$!
NITTER=$started
trap 'kill "$NITTER_PID" 2>/dev/null; finish' EXIT

cat >"$WORK/fulmar.yaml" <<EOF
api:
  port: 0
store:
  path: $WORK/state
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
  instance: ["nitter=$NITTER", "syndication=$NITTER/syndication", "tweet_result=$NITTER/cdn"]
egress:
  only: true
  allow: ["${SITE#http://}", "${NITTER#http://}"]
fetch:
  interval: 0ms
job:
  batch_timeout: 6s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 1
EOF
start_service
order() { # BODY → job id
    call -H 'Content-Type: application/json' -d "$1" http://fulmar/v1/jobs | jq -r '.id // empty'
}
told() { job "$1" | jq -c '{state,verdict,end_reason,failure,counts,report}'; }
asked() { grep -cF -- "$1" "$WORK/nitter.asked"; }
wanted() { for f in "$@"; do jq -r '.posts[].id' "$SHAPES/nitter/$f.expect.json"; done; } # in the order of the pages
# ends WORDS BODY STATE-VERDICT-POSTS-USERS: sets id
ends() {
    local got
    id=$(order "$2")
    [ -n "$id" ] || die "$1: not accepted: $2"
    wait_job "$id" 60
    check
    got=$(job "$id" | jq -r '[.state,.verdict // .failure.class,.counts.posts,.counts.users|tostring]|join(" ")')
    [ "$got" = "$3" ] || die "$1: '$got', not '$3': $(told "$id")"
}
has_ids() { # WORDS IDS…: exactly these, in this order
    local words=$1
    shift
    posts_of "$id" | jq -r .id >"$WORK/got"
    printf '%s\n' "$@" >"$WORK/want"
    check
    cmp -s "$WORK/got" "$WORK/want" || die "$words: $(diff "$WORK/got" "$WORK/want" | head -5)"
}
by() { # WORDS SOURCE…: who read the posts, as their provenance says
    local words=$1
    shift
    check
    [ "$(posts_of "$id" | jq -r .provenance.op | sort -u | tr '\n' ' ')" = "$* " ] ||
        die "$words: read by $(posts_of "$id" | jq -r .provenance.op | sort -u | tr '\n' ' ')"
}
nitter() { # lines "URL FILE" of pages, below $SHAPES/nitter
    local url file rest
    while read -r url file rest; do
        case $file in [0-9]*) echo "$url $file $rest" ;; *) echo "$url 200 $SHAPES/nitter/$file $rest" ;; esac
    done | table nitter
}
fetched='"strategy":"fetch"'

# ---- every target, as pages ----

nitter <<'EOF'
/harbour_notes?cursor=DAABCgABGown__cursor profile_2.html
/Harbour_Notes/with_replies replies.html
/harbour_notes/media profile_2.html
/harbour_notes profile.html
/search?f=tweets&q=heat%20pump%20lang%3Aen&e-nativeretweets=on&cursor=maxid%3A1234567890123 state_end.html
/search?f=tweets&q=heat%20pump%20lang%3Aen&e-nativeretweets=on&f-media=on profile_2.html
/search?f=tweets&q=heat%20pump%20lang%3Aen&e-nativeretweets=on search.html
/search?f=tweets&q=%23tides&e-nativeretweets=on&cursor= state_end.html
/search?f=tweets&q=%23tides&e-nativeretweets=on profile_2.html
/search?f=tweets&q=heat%20pump%20include%3Anativeretweets& profile_2.html
/search?f=users&q=tide&cursor=people2 state_end.html
/search?f=users&q=tide people.html
/i/lists/84 profile_2.html
/i/status/2065743640051663917 status.html
/i/status/20 state_tweet_not_found.html
/i/status/21 state_tweet_suspended.html
/i/status/22 state_tweet_protected.html
EOF
answer=$(jq -r '.posts[] | select(.section == "main") | .id' "$SHAPES/nitter/status.expect.json")
sed -i "s/2065743640051663917/$answer/" "$WORK/nitter"
# shellcheck disable=SC2046
{
    ends posts "{\"kind\":\"posts\",\"target\":\"@harbour_notes\",$fetched}" "succeeded sampled 8 1"
    has_ids posts $(wanted profile profile_2)
    ends replies "{\"kind\":\"replies\",\"target\":\"@Harbour_Notes\",$fetched}" "succeeded sampled 2 1"
    has_ids "replies are the account's own" $(jq -r '.posts[] | select(.author == "harbour_notes") | .id' "$SHAPES/nitter/replies.expect.json")
    ends media "{\"kind\":\"media\",\"target\":\"@harbour_notes\",$fetched}" "succeeded sampled 2 1"
    ends profile "{\"kind\":\"profile\",\"target\":\"@harbour_notes\",$fetched}" "succeeded complete 0 1"
    [ "$(call "http://fulmar/v1/jobs/$id/users" | jq -c '[.screen_name,.counts.followers,.provenance.source]')" = '["harbour_notes",695695,"nitter_html"]' ] ||
        die "the profile is not that of the page"
    ends search "{\"kind\":\"search\",\"target\":\"heat pump lang:en\",$fetched}" "succeeded sampled 4 0"
    has_ids search $(wanted search)
    ends "search with reposts" "{\"kind\":\"search\",\"target\":\"heat pump\",\"include\":[\"reposts\"],$fetched}" "succeeded sampled 2 0"
    ends "search for media" "{\"kind\":\"search\",\"target\":\"heat pump lang:en\",\"product\":\"media\",$fetched}" "succeeded sampled 2 0"
    by "search for media" nitter_search_media
    ends "search for people" "{\"kind\":\"search\",\"target\":\"tide\",\"product\":\"people\",$fetched}" "succeeded sampled 0 3"
    ends hashtag "{\"kind\":\"hashtag\",\"target\":\"#tides\",$fetched}" "succeeded sampled 2 0"
    ends list "{\"kind\":\"list\",\"target\":\"84\",$fetched}" "succeeded sampled 2 0"
    by list nitter_list
}
[ "$(call "http://fulmar/v1/jobs/$id/posts" | jq -r '.provenance.source' | sort -u)" = nitter_html ] || die "records do not say where they come from"
# The thread: what stands above, the post, what answers it; the same page again ends it.
ends thread "{\"kind\":\"thread\",\"target\":\"$answer\",$fetched}" "succeeded sampled 4 0"
[ "$(posts_of "$id" | jq -r .position.section | sort | uniq -c | tr -s ' ' | tr '\n' ,)" = " 1 main, 2 reply, 1 thread," ] ||
    die "the posts of a thread do not say where they stand: $(posts_of "$id" | jq -c '[.id,.position.section]')"
[ "$(asked "/i/status/$answer?cursor=NwAAnext")" -ge 1 ] || die "the next page of the thread was not asked for"
ends "a post that is gone" "{\"kind\":\"thread\",\"target\":\"20\",$fetched}" "dead not_found 0 0"
ends "a suspended author" "{\"kind\":\"thread\",\"target\":\"21\",$fetched}" "dead suspended 0 0"
ends "a protected author" "{\"kind\":\"thread\",\"target\":\"22\",$fetched}" "dead protected 0 0"
id=$(order "{\"kind\":\"search\",\"target\":\"tide\",\"product\":\"top\",$fetched}")
[ -z "$id" ] || die "a list by rank is taken for one that Nitter has"
check
say "nitter: 10 targets as pages; a list by rank is refused"

# ---- as feeds, where the pages cannot be had ----

# A feed names its next page in a header; at the end, and where feeds are off, it is not found.
nitter <<'EOF'
/harbour_notes/rss?cursor=next-1 404 -
/harbour_notes/rss feed.xml Min-Id: next-1
/harbour_notes/with_replies/rss?cursor=next-2 404 -
/harbour_notes/with_replies/rss feed_of_many.xml Min-Id: next-2
/harbour_notes/media/rss 404 -
/search/rss?f=tweets&q=tide&e-nativeretweets=on feed_of_many.xml
/search/rss?f=tweets&q=%23tides&e-nativeretweets=on feed_of_many.xml
/search/rss?f=tweets&q=tide&e-nativeretweets=on&f-media=on feed_of_many.xml
/i/lists/84/rss feed_of_many.xml
/robots.txt 404 -
/ 502 -
EOF
feed_ids=$(wanted feed)
many_ids=$(wanted feed_of_many)
# shellcheck disable=SC2086
{
    ends "feed of posts" "{\"kind\":\"posts\",\"target\":\"@harbour_notes\",$fetched}" "succeeded sampled 7 0"
    has_ids "feed of posts" $feed_ids
    by "feed of posts" nitter_feed
    ends "feed of a search" "{\"kind\":\"search\",\"target\":\"tide\",$fetched}" "succeeded sampled 7 0"
    ends "feed of a hashtag" "{\"kind\":\"hashtag\",\"target\":\"#tides\",$fetched}" "succeeded sampled 7 0"
    ends "feed of a list" "{\"kind\":\"list\",\"target\":\"84\",$fetched}" "succeeded sampled 7 0"
    has_ids "feed of a list" $many_ids
}
ends "feed of replies" "{\"kind\":\"replies\",\"target\":\"@harbour_notes\",$fetched}" "succeeded sampled 5 0"
ends "no feed of media" "{\"kind\":\"media\",\"target\":\"@harbour_notes\",$fetched}" "dead empty_suspect 0 0"
ends "people have no feed" "{\"kind\":\"search\",\"target\":\"tide\",\"product\":\"people\",$fetched}" "dead network 0 0"
say "nitter: feeds stand in for pages; one that is not found says nothing of the account"

# ---- syndication behind both, and what a page without posts proves ----

{
    echo "/robots.txt 404 -"
    echo "/syndication/srv/timeline-profile/screen-name/harbour_notes 200 $SHAPES/syndication/timeline_profile.html"
    echo "/syndication/srv/timeline-profile/screen-name/nobody_x 200 $SHAPES/syndication/timeline_profile_empty.html"
    echo "/cdn/tweet-result?id=2061528294532056046&lang=en&token= 200 $SHAPES/syndication/gif.json"
    echo "/harbour_notes 200 $SHAPES/nitter/state_empty.html"
    echo "/nobody_x 200 $SHAPES/nitter/state_empty.html"
    echo "/i/status 502 -"
} | sed "s/2061528294532056046/$(jq -r '.posts[0].id' "$SHAPES/syndication/gif.expect.json")/" | table nitter
ends "an instance that shows nothing" "{\"kind\":\"posts\",\"target\":\"@harbour_notes\",$fetched}" "succeeded sampled 7 0"
by "syndication" timeline_profile
jq -r '.posts[].id' "$SHAPES/syndication/timeline_profile.expect.json" >"$WORK/ids"
# shellcheck disable=SC2046
has_ids "syndication's page of a profile" $(cat "$WORK/ids")
ends "nobody shows anything" "{\"kind\":\"posts\",\"target\":\"@nobody_x\",$fetched}" "dead empty_suspect 0 0"
gif=$(jq -r '.posts[0].id' "$SHAPES/syndication/gif.expect.json")
ends "the post alone" "{\"kind\":\"thread\",\"target\":\"$gif\",$fetched}" "succeeded sampled 1 0"
by "the post alone" tweet_result
say "nitter: where it shows nothing syndication is asked; nothing anywhere proves nothing"

# ---- behind the login: capture ends at the wall, dom is not tried, Nitter has it ----

table x <<EOF
/i/flow/login 200 $SHAPES/dom/synthetic/state_login_wall.html Content-Type: text/html
/robots.txt 404 -
/ 302 - Location: /i/flow/login?redirect_after_login=%2Fsearch
EOF
nitter <<'EOF'
/robots.txt 404 -
/search?f=tweets&q=tide&e-nativeretweets=on profile_2.html
/harbour_notes/with_replies replies.html
/i/lists/84 profile_2.html
/harbour_notes profile.html
EOF
for body in '"kind":"search","target":"tide"' '"kind":"list","target":"84"' '"kind":"replies","target":"@harbour_notes"'; do
    ends "behind the login" "{$body}" "succeeded sampled 2 $([[ $body == *replies* ]] && echo 1 || echo 0)"
    [ "$(job "$id" | jq -c '[.report.sources[] | [.source,.state]]')" = '[["capture","login_required"],["fetch","ok"]]' ] ||
        die "behind the login: who did what: $(told "$id")"
done
ends "nobody else has followers" '{"kind":"followers","target":"@harbour_notes"}' "dead login_required 0 0"
say "nitter: what X shows to nobody without a login comes from the instance"

# ---- without an instance, and one that forbids ----

stop_service || die "the service did not end well"
nitter <<'EOF'
/robots.txt robots.txt
EOF
printf 'User-agent: *\nDisallow: /\nUser-agent: Twitterbot\nDisallow:\n' >"$WORK/robots.txt"
echo "/robots.txt 200 $WORK/robots.txt" | table nitter
rm -rf "$WORK/state"
start_service
ends "an instance as it comes forbids robots" "{\"kind\":\"posts\",\"target\":\"@harbour_notes\",$fetched}" "dead blocked 0 0"
stop_service || die "the service did not end well"
sed -i 's/^  instance: .*/  instance: ["other=https:\/\/o.test"]/' "$WORK/fulmar.yaml"
start_service
ends "without an instance" '{"kind":"search","target":"tide"}' "dead login_required 0 0"
ends "without an instance" "{\"kind\":\"search\",\"target\":\"tide\",$fetched}" "dead bad_input 0 0"
stop_service || die "the service did not end well"
nothing_left || die "left behind: $(ours)"
say "nitter: $CHECKS checks"
