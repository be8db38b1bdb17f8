#!/bin/bash
# Sites that need no browser, from the command line to the records: what is asked, how often, and what
# becomes of limits, refusals and robots.txt. The site is a table of answers on loopback.
OUT=$1
. "$(dirname "$0")/lib.sh"

DATA=$ROOT/tests/data
cc -O1 -o "$WORK/httpd" "$ROOT/tests/system/httpd.c" || die "the site for the test cannot be built"
table() { cat >"$WORK/table.new" && mv "$WORK/table.new" "$WORK/table"; }
asked() { grep -cF -- "$1" "$WORK/asked"; }
table </dev/null
"$WORK/httpd" "$WORK/table" >"$WORK/asked" &
PRACTICE_PID=$!
wait_until 10 "the site listens" test -s "$WORK/asked"
SITE=http://127.0.0.1:$(head -1 "$WORK/asked")

cat >"$WORK/fulmar.yaml" <<EOF
api:
  port: 0
store:
  path: $WORK/state
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE", "bluesky=$SITE", "mastodon=$SITE"]
  instance: ["tweet_result=$SITE"]
  media_base: ["bluesky=$SITE", "mastodon=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"]
browser:
  count: 1
fetch:
  interval: 0ms
  contact: https://example.org/why
job:
  retry_base: 100ms
  retry_cap: 200ms
  fail_max: 2
EOF
start_service
order() { # SITE KIND TARGET [LIMIT] → job id
    local body
    body=$(jq -cn --arg site "$1" --arg kind "$2" --arg target "$3" --argjson limit "${4:-null}" \
        '{site:$site,kind:$kind,target:$target} + (if $limit then {limit:$limit} else {} end)')
    call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty'
}
expect() { # JOB JQ WANTED WORDS
    local got
    check
    got=$(job "$1" | jq -r "$2")
    [ "$got" = "$3" ] || die "$4: $2 is '$got', not '$3': $(job "$1" | jq -c '{state,verdict,end_reason,failure,report}')"
}
known() { posts_of "$1" | jq -c 'del(.collected_at,.provenance,.reposted.provenance,.quoted.provenance)' | sort; }
recorded() { cat "$@" | jq -c 'select(.schema == "post/1") | del(.collected_at,.provenance,.reposted.provenance,.quoted.provenance)' | sort; }

# ---- bluesky: two pages to their end ----

ALICE=did:plc:alice0000000000000000000
feed='/xrpc/app.bsky.feed.getAuthorFeed?actor=alice.test&filter=posts_and_author_threads&includePins=true&limit=100'
bluesky() {
    cat <<EOF
/xrpc/app.bsky.actor.getProfile?actor=alice.test 200 $DATA/bluesky/profile-1.json
$feed&cursor=2025-02-18T12%3A00%3A00Z 200 $DATA/bluesky/author_feed-2.json
$feed 200 $DATA/bluesky/author_feed-1.json
${feed%00} 200 $DATA/bluesky/author_feed-2.json
EOF
}
bluesky | table
id=$(order bluesky posts @alice.test)
wait_job "$id"
expect "$id" .state succeeded "posts"
expect "$id" .verdict complete "posts"
expect "$id" .counts.posts 13 "posts"
expect "$id" '.report.sources[0] | [.source,.pages,.posts,.state] | join(" ")' "fetch 2 13 ok" "posts"
known "$id" >"$WORK/got"
recorded "$DATA"/bluesky/author_feed-[12].records.ndjson | grep -v 3kother >"$WORK/want"
cmp "$WORK/got" "$WORK/want" || die "the records are not the recorded ones: $(diff "$WORK/got" "$WORK/want" | head -4)"
check
[ "$(asked "User-Agent: Fulmar/")" = "$(($(wc -l <"$WORK/asked") - 1))" ] || die "the client does not say who it is"
grep -q '(+https://example.org/why)' "$WORK/asked" || die "the client does not say whom to ask"
[ "$(asked '/robots.txt')" = 1 ] || die "robots.txt was asked for $(asked '/robots.txt') times"
check

# a limit asks for no more than it needs, and robots.txt is remembered
feed_1='/xrpc/app.bsky.feed.getAuthorFeed?actor=alice.test&filter=posts_and_author_threads&includePins=true&limit=1 '
id=$(order bluesky profile @alice.test)
wait_job "$id"
expect "$id" .state succeeded "profile"
[ "$(call "http://fulmar/v1/jobs/$id/users" | jq -r '.id')" = "$ALICE" ] || die "the profile's record is not there"
id=$(order bluesky posts @alice.test 1)
wait_job "$id"
expect "$id" '[.state,.verdict,.end_reason,.counts.posts|tostring]|join(" ")' "succeeded partial limit 1" "a limit"
[ "$(asked "$feed_1")" -ge 1 ] || die "a limit of one asked for more: $(tail -3 "$WORK/asked")"
[ "$(asked '/robots.txt')" = 1 ] || die "robots.txt was not remembered"
check

# ---- mastodon: the host is part of the target, the next page is in a header ----

list='/api/v1/accounts/109000000000000001/statuses?'
{
    echo "/api/v1/accounts/lookup?acct=alice 200 $DATA/mastodon/account-1.json"
    echo "${list}max_id=1 200 $DATA/mastodon/statuses-2.json"
    echo "${list}exclude_replies=true&limit=40 200 $DATA/mastodon/statuses-1.json Link: <$SITE${list}max_id=1>; rel=\"next\", <$SITE${list}min_id=9>; rel=\"prev\""
} | table
# No browser has a part in it: they are all stopped meanwhile.
# shellcheck disable=SC2046
kill -STOP $(role_pids browser)
id=$(order mastodon posts @alice@Example.Test)
wait_job "$id" 10
# shellcheck disable=SC2046
kill -CONT $(role_pids browser)
expect "$id" '[.state,.verdict,.end_reason,.counts.posts,.target|tostring]|join(" ")' \
    "succeeded complete terminate 7 alice@example.test" "a Mastodon account"
known "$id" >"$WORK/got"
recorded "$DATA"/mastodon/statuses-1.records.ndjson >"$WORK/want"
cmp "$WORK/got" "$WORK/want" || die "the records are not the recorded ones: $(diff "$WORK/got" "$WORK/want" | head -4)"
check
[ -z "$(order mastodon posts @alice)" ] || die "an account without its instance is taken"
[ -z "$(order mastodon posts @alice@127.0.0.1)" ] || die "an address is taken for an instance"
check

# ---- threads and lists of accounts ----

whole() { # SITE KIND TARGET WANTED WORDS: state, verdict, posts, users
    id=$(order "$1" "$2" "$3")
    [ -n "$id" ] || die "$5: not accepted"
    wait_job "$id" 20
    expect "$id" '[.state,.verdict,.counts.posts,.counts.users|tostring]|join(" ")' "$4" "$5"
}
thread_uri=at%3A%2F%2Falice.test%2Fapp.bsky.feed.post%2F
{
    echo "/xrpc/app.bsky.feed.getPostThread?uri=${thread_uri}3tmain&depth=20&parentHeight=40 200 $DATA/bluesky/thread-1.json"
    echo "/xrpc/app.bsky.feed.getPostThread?uri=${thread_uri}3tgone& 200 $DATA/bluesky/thread-gone.json"
    echo "/xrpc/app.bsky.actor.getProfile?actor=alice.test 200 $DATA/bluesky/profile-1.json"
    echo "/xrpc/app.bsky.graph.getFollowers?actor=alice.test&limit=100&cursor=3kfollow 200 $DATA/bluesky/followers-2.json"
    echo "/xrpc/app.bsky.graph.getFollowers?actor=alice.test&limit=100 200 $DATA/bluesky/followers-1.json"
    echo "/api/v1/statuses/112000000000000103/context 200 $DATA/mastodon/context-1.json"
    echo "/api/v1/statuses/112000000000000103 200 $DATA/mastodon/status-1.json"
    echo "/api/v1/accounts/lookup?acct=alice 200 $DATA/mastodon/account-1.json"
    echo "/api/v1/accounts/109000000000000001/followers?limit=80 200 $DATA/mastodon/followers-1.json"
    echo "/tweet-result?id=1780666993079222272&lang=en&token= 200 $WORK/tweet.json"
} | table
printf '%s' '{"__typename":"Tweet","id_str":"1780666993079222272","created_at":"2024-04-17T18:37:49.000Z","text":"one &amp; only","lang":"en","favorite_count":3,"conversation_count":4,"user":{"id_str":"9","name":"Ann","screen_name":"ann"},"entities":{}}' >"$WORK/tweet.json"
# A tree, a post above it, two that are not there. It does not say that this is all.
whole bluesky thread https://bsky.app/profile/alice.test/post/3tmain "succeeded partial 6 0" "a Bluesky thread"
[ "$(call "http://fulmar/v1/jobs/$id/posts" | jq -r .position.section | sort | uniq -c | tr -s ' ' | tr '\n' ,)" = " 1 main, 3 reply, 2 thread," ] ||
    die "the posts of a thread do not say where they stand"
[ "$(call "http://fulmar/v1/jobs/$id/unavailable" | jq -r .state | sort | tr '\n' ,)" = "blocked,deleted," ] || die "what is not there is not said"
id=$(order bluesky thread https://bsky.app/profile/alice.test/post/3tgone)
wait_job "$id" 20
expect "$id" .failure.class not_found "a thread that is gone"
[ -z "$(order bluesky thread https://bsky.app/profile/alice.test)" ] || die "an account is taken for a post"
deep() { # SITE TARGET DEPTH POSTS WORDS
    body=$(jq -cn --arg site "$1" --arg target "$2" --argjson depth "$3" '{site:$site,kind:"thread",target:$target,depth:$depth}')
    id=$(call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty')
    [ -n "$id" ] || die "$5: not accepted"
    wait_job "$id" 20
    expect "$id" '[.state,.verdict,.counts.posts|tostring]|join(" ")' "succeeded partial $4" "$5"
}
# Two stand above; of the answers two are to the post itself, one is to an answer.
for depth in 0:3 1:5 2:6; do
    deep bluesky https://bsky.app/profile/alice.test/post/3tmain "${depth%:*}" "${depth#*:}" "a Bluesky thread to depth ${depth%:*}"
    deep mastodon 112000000000000103@example.test "${depth%:*}" "${depth#*:}" "a Mastodon thread to depth ${depth%:*}"
done
whole bluesky followers @alice.test "succeeded complete 0 4" "followers on Bluesky"
whole mastodon thread 112000000000000103@example.test "succeeded partial 6 0" "a Mastodon thread"
whole mastodon followers @alice@example.test "succeeded complete 0 2" "followers on Mastodon"
# One post of X, as anybody is shown it.
body=$(jq -cn '{site:"x",kind:"thread",target:"https://x.com/ann/status/1780666993079222272",strategy:"fetch"}')
id=$(call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty')
wait_job "$id" 20
expect "$id" '[.state,.verdict,.counts.posts|tostring]|join(" ")' "succeeded sampled 1" "a single post"
[ "$(call "http://fulmar/v1/jobs/$id/posts" | jq -r .text)" = "one & only" ] || die "the text of a single post is not right"
check

# ---- files of media ----

printf '\377\330\377\340 a picture' >"$WORK/a.jpg"
printf '\211PNG\r\n\032\n a picture' >"$WORK/b.png"
printf '\000\000\000\030ftypmp42 moving' >"$WORK/c.mp4"
sed 's#https://cdn.test/full/plain/did/#https://cdn.bsky.app/img/feed_fullsize/plain/did/#g' "$DATA/bluesky/author_feed-1.json" >"$WORK/feed.json"
sed 's#https://files.test/m/#https://files.Example.test/m/#g' "$DATA/mastodon/statuses-1.json" >"$WORK/statuses.json"
{
    echo "/img/feed_fullsize/plain/did/bafyimg1@jpeg 200 $WORK/a.jpg Content-Type: image/jpeg"
    echo "/img/feed_fullsize/plain/did/bafyimg2@jpeg 200 $WORK/b.png Content-Type: image/jpeg" # not what it says
    echo "/m/abc.png 200 $WORK/b.png Content-Type: image/png"
    echo "/m/def.mp4 200 $WORK/c.mp4 Content-Type: video/mp4"
    echo "/xrpc/app.bsky.actor.getProfile?actor=alice.test 200 $DATA/bluesky/profile-1.json"
    echo "${feed%100} 200 $WORK/feed.json"
    echo "/api/v1/accounts/lookup?acct=alice 200 $DATA/mastodon/account-1.json"
    echo "${list}exclude_replies=true&limit= 200 $WORK/statuses.json"
} | table
files() { # SITE TARGET → id, when the job has ended
    body=$(jq -cn --arg site "$1" --arg target "$2" '{site:$site,kind:"posts",target:$target,limit:6,media:"download"}')
    id=$(call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty')
    [ -n "$id" ] || die "files of $1: not accepted"
    wait_job "$id" 30
    expect "$id" .state succeeded "files of $1"
    posts_of "$id" | jq -c '.media[]? | [(.url | sub(".*/"; "")), .file.mime // .file_error.class, .file.sha256 // ""]' | sort -u >"$WORK/files"
}
has_file() { # NAME MIME-OR-CLASS [FILE]
    local sum=
    [ -z "${3:-}" ] || sum=$(sha256sum <"$3" | cut -d' ' -f1)
    check
    grep -qxF "[\"$1\",\"$2\",\"$sum\"]" "$WORK/files" || die "$1 is not $2: $(cat "$WORK/files")"
}
files bluesky @alice.test
has_file bafyimg1@jpeg image/jpeg "$WORK/a.jpg"
has_file bafyimg2@jpeg drift
has_file playlist.m3u8 bad_input # a playlist is no file
files mastodon @alice@Example.Test
has_file abc.png image/png "$WORK/b.png"
has_file def.mp4 video/mp4 "$WORK/c.mp4"
has_file x.bin bad_input # on a host that the instance has no part in
[ "$(asked /x.bin)" = 0 ] || die "a file was asked for outside of the instance"
[ -z "$(call -H 'Content-Type: application/json' -d "{\"site\":\"generic-feed\",\"kind\":\"posts\",\"target\":\"$SITE/feed.xml\",\"media\":\"download\"}" http://fulmar/v1/jobs | jq -r '.id // empty')" ] ||
    die "files of a feed are promised"

# ---- any feed: the target is its URL, and a redirect may lead elsewhere ----

{
    echo "/moved 301 - Location: $SITE/feed.xml"
    echo "/feed.xml 200 $DATA/generic-feed/feed-rss.xml"
    echo "/empty.xml 200 $DATA/generic-feed/feed-empty.xml"
    echo "/page 200 $DATA/generic-feed/feed-page.html"
} | table
ends() { # TARGET STATE VERDICT-OR-CLASS POSTS
    id=$(order generic-feed posts "$1")
    wait_job "$id" 30
    expect "$id" '[.state,.verdict // .failure.class,.counts.posts|tostring]|join(" ")' "$2 $3 $4" "$1"
}
ends "$SITE/moved" succeeded partial 3
known "$id" >"$WORK/got"
recorded "$DATA"/generic-feed/feed-rss.records.ndjson >"$WORK/want"
cmp "$WORK/got" "$WORK/want" || die "the items are not the recorded ones: $(diff "$WORK/got" "$WORK/want" | head -4)"
ends "$SITE/empty.xml" succeeded empty_confirmed 0
ends "$SITE/page" dead bad_input 0
ends "$SITE/nosuch" dead not_found 0
ends "http://127.0.0.1:1/feed" dead bad_input 0
ends "http://169.254.169.254/latest" dead bad_input 0
[ -z "$(order generic-feed posts "file:///etc/passwd")" ] || die "a file is taken for a feed"
[ -z "$(order generic-feed posts "https://a.test/ b")" ] || die "a broken URL is taken for a feed"
check

# ---- what a site may say ----

say_error() { printf '%s' "$1" >"$WORK/error.json"; }
refused() { # STATUS BODY HEADER FAILURE WORDS
    say_error "$2"
    { echo "/xrpc/app.bsky.actor.getProfile $1 $WORK/error.json $3"; bluesky; } | table
    id=$(order bluesky posts @alice.test)
    wait_job "$id" 30
    expect "$id" .failure.class "$4" "$5"
}
refused 400 '{"error":"InvalidRequest","message":"Profile not found"}' "" not_found "a missing account"
refused 400 '{"error":"AccountTakedown","message":"Account has been suspended"}' "" suspended "a suspended account"
refused 400 '{"error":"AccountDeactivated","message":"Account is deactivated"}' "" not_found "a deactivated account"
refused 401 '{"error":"AuthMissing","message":"Authentication Required"}' "" login_required "a login wall"
refused 403 '<html>no</html>' "" blocked "an edge that refuses"
refused 502 '{"error":"UpstreamFailure"}' "" network "trouble of the site"
refused 200 '{"renamed":true}' "" drift "a new shape"
refused 302 '' "Location: http://127.0.0.1:1/" drift "a redirect to a forbidden place"

# a limit is waited for, and the job then goes on
say_error '{"error":"RateLimitExceeded","message":"Rate Limit Exceeded"}'
{ echo "/xrpc/app.bsky.actor.getProfile 429 $WORK/error.json ratelimit-reset: $(($(date +%s) + 3))"; bluesky; } | table
id=$(order bluesky posts @alice.test)
waits() { grep -q "job.ended job=$1 .*failure=rate_limited" "$WORK/service.log"; }
wait_until 10 "the limit is seen" waits "$id"
bluesky | table
wait_job "$id" 30
expect "$id" .state succeeded "after a limit"
# What each attempt took is told by itself, and of the job together.
call "http://fulmar/v1/jobs/$id/attempts" >"$WORK/attempts"
# An answer of this machine to itself may be there within a millisecond.
jq -e '(.data | length) > 1 and ([.data[].phases | add] | add) > 0 and all(.data[]; .usage.requests > 0 and .usage.net_bytes > 0 and .usage.peak_pss_bytes > 1000000
       and .usage.context_ms == 0 and .usage.cpu_ms >= 0 and .phases.fetching_ms >= 0)' "$WORK/attempts" >/dev/null ||
    die "attempts took $(jq -c '[.data[] | .usage, .phases]' "$WORK/attempts")"
[ "$(job "$id" | jq -c '[.usage.requests, .usage.net_bytes, .usage.cpu_ms, .timings.phases.fetching_ms]')" = \
    "$(jq -c '[.data[].usage] as $u | [([$u[].requests] | add), ([$u[].net_bytes] | add), ([$u[].cpu_ms] | add),
              ([.data[].phases.fetching_ms] | add)]' "$WORK/attempts")" ] || die "together they took $(job "$id" | jq -c .usage)"
check
grep -q "job.ended job=$id .*failure=rate_limited.* retry_in_ms=[1-9][0-9][0-9][0-9]" "$WORK/service.log" ||
    die "the reset time of the limit was not kept: $(grep "job=$id" "$WORK/service.log" | tail -3)"
check

# ---- what one job took of its worker's memory is not held against the next one ----

stop_service
sed -i 's/^browser:/worker:\n  count: 1\nbrowser:/; s/interval: 0ms/interval: 400ms/' "$WORK/fulmar.yaml"
jq -c '.much = [range(3500000) | 1]' "$DATA/bluesky/author_feed-2.json" >"$WORK/large.json"
large() { echo "$feed 200 $WORK/large.json" && bluesky | grep -vF "$feed 200"; }
large | table
start_service
sized() { # MEMORY → job id
    jq -cn --argjson mib "$1" '{site:"bluesky",kind:"posts",target:"@alice.test",resources:{memory_mib:$mib}}' |
        call -H 'Content-Type: application/json' -d @- http://fulmar/v1/jobs | jq -r '.id // empty'
}
for mib in 1024 64; do
    id=$(sized "$mib")
    wait_job "$id" 30
    [ "$mib" = 64 ] || expect "$id" '.usage.peak_pss_bytes > 100000000' true "a page that takes memory"
    expect "$id" .state succeeded "$mib MiB allowed"
    bluesky | table
done

# ---- to wait for a turn at a host is no standstill, and costs no attempt ----

stop_service
sed -i 's/interval: 400ms/interval: 0ms\n  domains: ["127.0.0.1=3s"]/; s/fail_max: 2/fail_max: 1\n  stall_timeout: 1500ms/' "$WORK/fulmar.yaml"
start_service
before=$(asked '/robots.txt')
id=$(order bluesky profile @alice.test)
wait_job "$id" 30
expect "$id" '[.state, .attempts.started] | join(" ")' "succeeded 1" "a profile that had to wait for its turn"
[ "$(asked '/robots.txt')" = $((before + 1)) ] || die "there was nothing to wait for"

# ---- robots.txt that says no ----

stop_service
sed -i '/domains:/d; s/fail_max: 1/fail_max: 2/; /stall_timeout/d' "$WORK/fulmar.yaml"
printf 'User-agent: *\nDisallow: /xrpc/\n' >"$WORK/robots.txt"
{ echo "/robots.txt 200 $WORK/robots.txt"; bluesky; } | table
start_service
before=$(asked /xrpc/)
id=$(order bluesky posts @alice.test)
wait_job "$id" 30
expect "$id" .failure.class blocked "robots.txt says no"
[ "$(asked /xrpc/)" = "$before" ] || die "asked for what robots.txt forbids"
check

stop_service || die "the service did not end well"
nothing_left || die "left behind: $(ours)"
say "fetch: $CHECKS checks"
