#!/bin/bash
# The practice site against its own truth: nothing lost, doubled or changed, over its real socket.
#
#   tests/system/practice.sh [PROGRAM]        default: out/release/fulmar-practice
#
# Needs curl and jq. Prints TAP; the exit code says whether all went well.
set -u -o pipefail

program=${1:-${FULMAR_PRACTICE:-out/release/fulmar-practice}}
seed=4711
work=$(mktemp -d)
site_pid=
checks=0
failed=0

stop_site() {
    if [ -n "$site_pid" ]; then
        kill -TERM "$site_pid" 2>/dev/null
        wait "$site_pid" 2>/dev/null
        site_code=$?
        site_pid=
    fi
}
trap 'stop_site; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# start_site OPTION... : sets $base once the site listens
start_site() {
    rm -f "$work/site" && mkfifo "$work/site"
    "$program" --port 0 --seed "$seed" "$@" >"$work/site" 2>"$work/site.err" &
    site_pid=$!
    local line=
    read -r -t 20 line <"$work/site"
    base=${line#listening on }
    case $base in
    http://*) ;;
    *)
        echo "Bail out! the site did not start: $(cat "$work/site.err")"
        exit 1
        ;;
    esac
}

# check NAME COMMAND...
check() {
    local name=$1
    shift
    checks=$((checks + 1))
    if "$@" >"$work/said" 2>&1; then
        echo "ok $checks - $name"
    else
        echo "not ok $checks - $name"
        sed 's/^/#   /' "$work/said" | head -n 20
        failed=$((failed + 1))
    fi
}

same() { [ "$1" = "$2" ] || { echo "wanted: $1"; echo "got:    $2"; return 1; }; }

# graphql OP VARIABLES [CURL OPTION...]
graphql() {
    local op=$1 variables=$2
    shift 2
    curl -s --max-time 20 -G "$base/i/api/graphql/AAAAAAAAAAAAAAAAAAAAAA/$op" \
        --data-urlencode "variables=$variables" --data-urlencode 'features={}' "$@"
}

user_id() {
    graphql UserByScreenName "$(jq -nc --arg h "$1" '{screen_name: $h}')" | jq -r '.data.user.result.rest_id'
}

# Plain results of a page, in order, without promoted entries; the reader that knows nothing of
# the generator: it goes by instructions, entries and members alone.
entries='[.. | .instructions? | arrays][0] // []'
page_posts="$entries"' | map(if .type == "TimelineAddEntries" then .entries[] else empty end)
    | map(.content.itemContent // empty | select(.promotedMetadata | not) | .tweet_results.result // empty
          | if .tweet then .tweet else . end)'
page_cursor="$entries"' | [.. | objects | select(.cursorType? == "Bottom") | .value][0] // ""'
page_ends="$entries"' | any(.type == "TimelineTerminateTimeline" and .direction == "Bottom")'

# walk OP VARIABLES FILE [CURL OPTION...]: all pages by their cursors, one post per line. Stops at a
# terminate instruction, or when a page without posts brings the cursor that was sent.
walk() {
    local op=$1 variables=$2 file=$3 cursor= next page=0 count
    shift 3
    : >"$file"
    while [ $page -lt 3000 ]; do
        page=$((page + 1))
        graphql "$op" "$(jq -c --arg c "$cursor" 'if $c == "" then . else .cursor = $c end' <<<"$variables")" \
            "$@" >"$work/page.json" || return 1
        jq -c "$page_posts | .[]" "$work/page.json" >"$work/page.posts" || return 1
        cat "$work/page.posts" >>"$file"
        count=$(wc -l <"$work/page.posts")
        next=$(jq -r "$page_cursor" "$work/page.json")
        [ "$(jq "$page_ends" "$work/page.json")" = true ] && { walk_end=said; walk_pages=$page; return 0; }
        [ "$count" -eq 0 ] && [ "$next" = "$cursor" ] && { walk_end=repeated; walk_pages=$page; return 0; }
        cursor=$next
    done
    echo "no end after $page pages"
    return 1
}

# The site shows a pinned post once more at its place in time; the truth names it once, first.
truth_flow() {
    curl -s "$base/truth/posts/$1" | jq -r '.id' | sort -rn
}

account_complete() { # HANDLE [CURL OPTION...]
    local handle=$1 id
    shift
    id=$(user_id "$handle")
    walk UserTweets "$(jq -nc --arg u "$id" '{userId: $u, count: 20}')" "$work/posts" "$@" || return 1
    jq -r .rest_id "$work/posts" >"$work/got"
    truth_flow "$handle" >"$work/want"
    diff "$work/want" "$work/got"
}

# What an extractor makes of a result, member by member, against the truth.
normal='
def plain: gsub("&lt;"; "<") | gsub("&gt;"; ">") | gsub("&amp;"; "&");
def post: if .tweet then .tweet else . end;
def body: . as $p
    | ($p.note_tweet.note_tweet_results.result) as $note
    | (if $note then $note.text else $p.legacy.full_text end) as $raw
    | (if $note then $note.entity_set else $p.legacy.entities end) as $set
    | [($set.urls // [])[] | . + {to: .expanded_url}]
      + (if $note then [] else [($p.legacy.entities.media // [])[0:1][] | . + {to: ""}] end)
    | sort_by(.indices[0]) as $cuts
    | reduce $cuts[] as $c ({at: 0, out: ""};
        .out += ($raw[.at:$c.indices[0]] | if $note then . else plain end) + $c.to | .at = $c.indices[1])
    | (.out + ($raw[.at:] | if $note then . else plain end)) | gsub("^\\s+|\\s+$"; "");
def counts($p): {reply: $p.legacy.reply_count, repost: $p.legacy.retweet_count, like: $p.legacy.favorite_count,
    quote: $p.legacy.quote_count, bookmark: $p.legacy.bookmark_count,
    view: ($p.views.count | if . then tonumber else null end)};
def best: (.video_info.variants | map(select(.bitrate != null)) | max_by(.bitrate) | .url);
. as $w
| (if .legacy.retweeted_status_result then (.legacy.retweeted_status_result.result | post) else . end) as $o
| {id: .rest_id, screen_name: .core.user_results.result.core.screen_name,
   text: ($o | body), lang: $o.legacy.lang,
   counts: (if $w.legacy.retweeted_status_result then counts({}) else counts($w) end),
   media: [($o.legacy.extended_entities.media // [])[]
           | if .type == "photo" then .media_url_https else best end],
   urls: [(($o.note_tweet.note_tweet_results.result.entity_set // $o.legacy.entities).urls // [])[].expanded_url],
   hashtags: [(($o.note_tweet.note_tweet_results.result.entity_set // $o.legacy.entities).hashtags // [])[].text],
   reply: .legacy.in_reply_to_status_id_str, conversation: .legacy.conversation_id_str,
   quote: ((.quoted_status_result.result // empty | post | .rest_id) // null),
   repost: (if .legacy.retweeted_status_result then $o.rest_id else null end),
   card: ($o.card.legacy.name // null)}'
expected='{id, screen_name: .author.screen_name, text, lang, counts, media: [.media[].url],
   urls: [.urls[].expanded], hashtags, reply: (.reply_to.post_id // null), conversation: .conversation_id,
   quote: .quote_of, repost: .repost_of, card: (.card.name // null)}'

records_match() { # HANDLE; after account_complete of the same
    jq -c "$normal" "$work/posts" | jq -Sc . >"$work/got" || return 1
    curl -s "$base/truth/posts/$1" | jq -c "$expected" | jq -Sc . | sort -t'"' -k 9 >"$work/all"
    jq -sc 'sort_by(.id | tonumber) | reverse | .[]' "$work/all" | jq -Sc . >"$work/want"
    diff "$work/want" "$work/got"
}

urls_and_tags_in_place() { # entity indices are code points of the text as sent
    jq -e -s 'def spans: .legacy.full_text as $t
        | [(.legacy.entities.urls // [])[], (.legacy.entities.media // [])[]
           | $t[.indices[0]:.indices[1]] == .url],
          [(.legacy.entities.hashtags // [])[] | $t[.indices[0]:.indices[1]] == "#" + .text],
          [(.legacy.entities.user_mentions // [])[] | $t[.indices[0]:.indices[1]] == "@" + .screen_name];
        [.[] | spans[]] | length > 20 and all' "$work/posts"
}

# (id >> 22) + epoch is created_at; jq counts in doubles, so the shell does the arithmetic.
snowflakes_hold() {
    curl -s "$base/truth/posts/$1" | jq -r '[., .quoted, .reposted][] | objects
        | "\(.id) \(.created_at_ms) \(.created_at | fromdate)"' >"$work/ids"
    local id ms seconds count=0
    while read -r id ms seconds; do
        count=$((count + 1))
        [ $(((id >> 22) + 1288834974657)) -eq "$ms" ] && [ $((ms / 1000)) -eq "$seconds" ] ||
            { echo "$id $ms $seconds"; return 1; }
    done <"$work/ids"
    [ $count -gt 100 ]
}

older_than_what_refers() {
    jq -e -s 'def age($a; $b): ($a | length) < ($b | length) or (($a | length) == ($b | length) and $a < $b);
        [.[] | . as $p | (.reply_to.post_id, .quote_of, .repost_of) | strings | age(.; $p.id)] | length > 10 and all' \
        <(curl -s "$base/truth/posts/$1")
}

# KEY of a photo: its first eight bytes are the media id.
media_keys_hold() {
    local key id hex count=0
    while read -r key id; do
        hex=$(tr -- '-_' '+/' <<<"$key=" | base64 -d 2>/dev/null | head -c 8 | od -An -tx1 | tr -d ' \n')
        [ $((16#$hex)) -eq "$id" ] || { echo "$key $id"; return 1; }
        count=$((count + 1))
    done < <(curl -s "$base/truth/posts/$1" | jq -r '.media[] | select(.type == "photo") | "\(.key) \(.id)"')
    [ $count -gt 5 ]
}

no_id_twice() {
    local handle
    for handle in practice_small practice_100 practice_500 fault_none $(head -n 25 "$work/accounts"); do
        curl -s "$base/truth/posts/$handle?limit=300" | jq -r .id
    done | sort >"$work/ids"
    [ "$(wc -l <"$work/ids")" -gt 2000 ] && same "" "$(uniq -d "$work/ids")"
}

search_complete() { # QUERY
    walk SearchTimeline "$(jq -nc --arg q "$1" '{rawQuery: $q, count: 20, product: "Latest"}')" "$work/posts" || return 1
    jq -r .rest_id "$work/posts" >"$work/got"
    curl -sG "$base/truth/search" --data-urlencode "q=$1" | jq -r .id >"$work/want"
    [ "$(wc -l <"$work/want")" -ge "${2:-1}" ] || { echo "only $(wc -l <"$work/want") results"; return 1; }
    diff "$work/want" "$work/got"
}

top_has_the_same() {
    walk SearchTimeline '{"rawQuery":"#practice_70","product":"Top"}' "$work/posts" || return 1
    jq -r .rest_id "$work/posts" >"$work/got"
    diff <(curl -s "$base/truth/hashtag/practice_70?product=Top" | jq -r .id) "$work/got" || return 1
    diff <(curl -s "$base/truth/hashtag/practice_70" | jq -r .id | sort) <(sort "$work/got")
}

# Everything in a page that is a record of this job, by the rules of x-web: no promoted ones, no boxes.
page_all="$entries"' | map(if .type == "TimelineAddEntries" then .entries[]
        elif .type == "TimelineAddToModule" then {entryId: .moduleEntryId, content: {items: .moduleItems}} else empty end)
    | map(select(.entryId | test("^(who-to-follow|tweetdetailrelated|toptabs)") | not)
          | if .content.items then .content.items[].item.itemContent else .content.itemContent // empty end
          | select(.promotedMetadata | not))'
page_ids="$page_all"' | map((.user_results.result // .tweet_results.result // empty) | if .tweet then .tweet else . end
    | select(.__typename == "User" or .legacy.full_text) | .rest_id)'
page_folded="$page_all"' | map(select(.cursorType // "" | startswith("ShowMore")) | .value)'

# list_complete OP VARIABLES TRUTH [AUTHOR]: a list by its Bottom cursors, in order, against the truth
list_complete() {
    local cursor= next page=0
    : >"$work/got"
    while [ $page -lt 200 ]; do
        page=$((page + 1))
        graphql "$1" "$(jq -c --arg c "$cursor" 'if $c == "" then . else .cursor = $c end' <<<"$2")" >"$work/page.json"
        jq -r "$page_ids | .[]" "$work/page.json" >"$work/page.ids" || return 1
        if [ -n "${4:-}" ]; then # posts of others are context
            jq -r --arg a "$4" "$page_all"' | map(.tweet_results.result // empty | if .tweet then .tweet else . end
                | select(.core.user_results.result.rest_id == $a) | .rest_id) | .[]' "$work/page.json" >"$work/page.ids"
        fi
        cat "$work/page.ids" >>"$work/got"
        next=$(jq -r "$page_cursor" "$work/page.json")
        jq -e "$entries"' | any(.type == "TimelineTerminateTimeline" and (.direction | test("Bottom")))' "$work/page.json" >"$work/said" && break
        [ ! -s "$work/page.ids" ] && [ "$next" = "$cursor" ] && break
        cursor=$next
    done
    curl -s "$base/truth/$3" | jq -r .id >"$work/want"
    [ -s "$work/want" ] || { echo "the truth is empty"; return 1; }
    diff "$work/want" <(awk '!seen[$0]++' "$work/got")
}
by_user() { jq -nc --arg u "$(user_id "$1")" '{userId: $u, count: 20}'; }

# thread_complete ID: every cursor that a page shows is followed once
thread_complete() {
    local -a left=("") ; local -A known=() ; local cursor
    : >"$work/got"
    while [ ${#left[@]} -gt 0 ]; do
        cursor=${left[0]} left=("${left[@]:1}")
        graphql TweetDetail "$(jq -nc --arg i "$1" --arg c "$cursor" '{focalTweetId: $i} + if $c == "" then {} else {cursor: $c} end')" >"$work/page.json"
        jq -r "$page_ids | .[]" "$work/page.json" >>"$work/got" || return 1
        while read -r cursor; do
            [ -z "$cursor" ] || [ -n "${known[$cursor]:-}" ] || { known[$cursor]=1; left+=("$cursor"); }
        done < <(jq -r "$page_cursor" "$work/page.json"; jq -r "$page_folded | .[]" "$work/page.json")
    done
    diff <(curl -s "$base/truth/thread/$1" | jq -r .id | sort) <(sort "$work/got")
}
threads_complete() {
    local id
    for id in $(curl -s "$base/truth/posts/practice_100?limit=25" | jq -r .id); do
        thread_complete "$id" || return 1
    done
}
depth_cuts() { # a thread to depth 1 has no answer to an answer
    local id
    for id in $(curl -s "$base/truth/posts/practice_100?limit=25" | jq -r .id); do
        curl -s "$base/truth/thread/$id?depth=1" | jq -e --arg id "$id" \
            'select(.id != $id and .conversation_id != .id and (.id | length) == ($id | length) and .id > $id) | .reply_to.post_id == $id' \
            >"$work/said" || [ ! -s "$work/said" ] || return 1
        grep -q false "$work/said" && { echo "$id"; return 1; }
    done
    return 0
}

status_of() { curl -s -o /dev/null --max-time 20 -w '%{http_code}' "$@"; }

limit_header() { # NAME
    tr -d '\r' <"$work/headers" | sed -n "s/^$1: //ip"
}

# ---- the world ----

start_site
curl -s "$base/truth/accounts?count=60" >"$work/accounts.json"
jq -r .screen_name "$work/accounts.json" >"$work/accounts"
some=$(jq -rs 'map(select(.posts > 120 and .posts < 400))[0].screen_name' "$work/accounts.json")

check "a small account is complete" account_complete practice_small
check "practice_100 is complete" account_complete practice_100
check "its records are what the truth says" records_match practice_100
check "entities stand where their indices say" urls_and_tags_in_place
check "a generated account is complete" account_complete "$some"
check "its records are what the truth says too" records_match "$some"
check "practice_empty is empty" account_complete practice_empty
check "practice_500 is complete although pages come empty" account_complete practice_500 \
    --data-urlencode fault=empty_page:0.4
check "and there were empty pages" test "$walk_pages" -gt 28
check "ids agree with times" snowflakes_hold practice_500
check "nothing refers to something younger" older_than_what_refers practice_500
check "photo keys carry the media id" media_keys_hold practice_500
check "no id comes twice in the world" no_id_twice
check "replies are complete" list_complete UserTweetsAndReplies "$(by_user practice_90)" replies/practice_90 \
    "$(user_id practice_90)"
check "a media grid is complete" list_complete UserMedia "$(by_user practice_300)" media/practice_300
check "followers are complete" list_complete Followers "$(by_user practice_170)" followers/practice_170
check "those whom it follows are complete" list_complete Following "$(by_user practice_170)" following/practice_170
check "people of a search are complete" list_complete SearchTimeline '{"rawQuery":"practice_130","product":"People"}' \
    "search?q=practice_130&product=People"
check "media of a search are complete" list_complete SearchTimeline '{"rawQuery":"practice_130","product":"Media"}' \
    "search?q=practice_130&product=Media"
check "a list is complete" list_complete ListLatestTweetsTimeline '{"listId":"84"}' list/84
check "a community is complete" list_complete CommunityTweetsTimeline '{"communityId":"75"}' community/75
check "threads are complete" threads_complete
check "a depth cuts a thread" depth_cuts
check "nobody follows practice_0" same "" "$(curl -s "$base/truth/followers/practice_0")"
check "there is no list 1404" same '{}' "$(graphql ListLatestTweetsTimeline '{"listId":"1404"}' | jq -c .data.list)"
check "the command tells the same truth" same "$(curl -s "$base/truth/followers/practice_170?limit=30" | md5sum)" \
    "$("$program" truth followers @practice_170 --seed $seed --limit 30 | md5sum)"
check "the handle's case does not matter" same "$(user_id practice_100)" "$(user_id PRACTICE_100)"

ends=
for handle in $(jq -r 'select(.posts > 0 and .posts < 60).screen_name' "$work/accounts.json" | head -n 12); do
    check "$handle is complete" account_complete "$handle"
    ends="$ends $walk_end"
done
check "some timelines say their end" grep -q said <<<"$ends"
check "some timelines repeat their last cursor" grep -q repeated <<<"$ends"

check "a hashtag is complete" search_complete '#practice_133' 133
check "a search in one language is complete" search_complete 'tide practice lang:ja'
check "an account's originals are complete" search_complete 'from:practice_500' 300
oldest=$(curl -s "$base/truth/posts/practice_500" | jq -r .id | sort -n | sed -n 200p)
check "max_id and since: slice a search" search_complete "from:practice_500 max_id:$oldest since:2015-01-01" 100
check "the slice begins at max_id or below" test "$(head -n 1 "$work/got")" -le "$oldest"
check "Top brings the same posts in another order" top_has_the_same
check "an empty query is refused" same 214 "$(graphql SearchTimeline '{"rawQuery":" "}' | jq '.errors[0].code')"

check "a pinned post comes first in the truth" same true \
    "$(for h in $(cat "$work/accounts"); do curl -s "$base/truth/posts/$h?limit=1"; done | jq -s 'any(.is_pinned)')"
check "suspended says so" same Suspended \
    "$(graphql UserByScreenName '{"screen_name":"suspended_one"}' | jq -r '.data.user.result.reason')"
check "missing has no user" same '{"data":{}}' "$(graphql UserByScreenName '{"screen_name":"missing_one"}')"
check "protected says so" same true \
    "$(graphql UserByScreenName '{"screen_name":"protected_one"}' | jq '.data.user.result.privacy.protected')"
check "protected shows no posts" same 0 \
    "$(graphql UserTweets "{\"userId\":\"$(user_id protected_one)\"}" | jq "$page_posts | length")"
check "user objects have no legacy in the newest layout" same false \
    "$(graphql UserByScreenName '{"screen_name":"practice_100"}' | jq '.data.user.result | has("legacy")')"

check "truth on the command line: posts" same "$("$program" truth posts @practice_100 --seed $seed | sha256sum)" \
    "$(curl -s "$base/truth/posts/practice_100" | sha256sum)"
check "truth on the command line: hashtag" same "$("$program" truth hashtag practice_40 --seed $seed --limit 30 | sha256sum)" \
    "$(curl -s "$base/truth/hashtag/practice_40?limit=30" | sha256sum)"
check "truth on the command line: search" same "$("$program" truth search 'night train' --seed $seed | sha256sum)" \
    "$(curl -s "$base/truth/search?q=night%20train" | sha256sum)"
check "truth on the command line: user" same "$("$program" truth user @practice_100 --seed $seed)" \
    "$(curl -s "$base/truth/user/practice_100")"
check "another seed is another world" test "$("$program" truth user @practice_100 --seed 1)" != \
    "$("$program" truth user @practice_100 --seed 2)"
check "the truth of a missing account is 404" same 404 "$(status_of "$base/truth/posts/missing_one")"

# ---- faults ----

api="$base/i/api/graphql/AAAAAAAAAAAAAAAAAAAAAA/UserByScreenName?variables=%7B%22screen_name%22%3A%22practice_100%22%7D"
check "a 5xx on demand" same 503 "$(status_of "$api&fault=5xx:1")"
check "a 429 on demand" same 429 "$(status_of "$api&fault=rate429:1/7")"
curl -s -D "$work/headers" "$api&fault=rate429:1/7" >"$work/body"
check "its body is plain text" same "Rate limit exceeded" "$(cat "$work/body")"
check "it says that nothing remains" same 0 "$(limit_header x-rate-limit-remaining)"
reset_in=$(($(limit_header x-rate-limit-reset) - $(date +%s)))
check "it says when it is over" test "$reset_in" -ge 5 -a "$reset_in" -le 7
check "and so does Retry-After" test "$(limit_header Retry-After)" -ge 5 -a "$(limit_header Retry-After)" -le 7
curl -s -o "$work/body" --max-time 20 "$api&fault=cut:1"
check "a cut connection is seen as one" same 18 "$?"
curl -s -o /dev/null --max-time 0.5 "$api&fault=never:1"
check "an API call that is never answered" same 28 "$?"
# Forty waits, since one that ends up to 1 ms early is seen in few of them.
for _ in $(seq 40); do
    curl -s -o /dev/null --max-time 20 -w '%{http_code} %{time_total}\n' "$api&fault=latency:20"
done >"$work/waits"
check "latency is kept" awk '$1 != 200 || $2 < 0.020 { print "one: " $0; bad = 1 } END { exit bad || NR != 40 }' "$work/waits"
check "drift renames members" same 0 "$(graphql UserTweets "{\"userId\":\"$(user_id practice_100)\"}" \
    --data-urlencode fault=drift:1 | jq '[.. | .tweet_results? | objects] | length')"
check "an unknown fault is refused" same 400 "$(status_of "$api&fault=nonsense:1")"
check "the login wall redirects" same 302 "$(status_of "$base/practice_100?fault=login_wall:1")"
check "and lets a session through" same 200 \
    "$(status_of -H 'Cookie: auth_token=x' "$base/practice_100?fault=login_wall:1")"
check "the panel sets faults" same 1 \
    "$(curl -s -X POST -d '{"error5xx":1}' "$base/panel/faults" | jq .error5xx)"
check "which are in force" same 503 "$(status_of "$api")"
check "the panel refuses what it does not know" same 422 \
    "$(status_of -X POST -d '{"errorr5xx":1}' "$base/panel/faults")"
check "the panel clears them" same 0 "$(curl -s -X DELETE "$base/panel/faults" | jq 'add')"
check "and all is well again" same 200 "$(status_of "$api")"
for kind in loop crash memory never cut 5xx drift empty 429 alert; do
    check "the page of fault_$kind is served" same 200 "$(status_of "$base/fault_$kind")"
done
check "fault_redirect never arrives" same 47 \
    "$(curl -s -o /dev/null -L --max-redirs 12 "$base/fault_redirect"; echo $?)"
check "fault_login leads to the login page" same 302 "$(status_of "$base/fault_login")"
curl -s -o /dev/null --max-time 0.5 "$base/fault_hang"
check "fault_hang sends nothing" same 28 "$?"
check "fault_5xx fails" same 503 "$(status_of -G "$base/i/api/graphql/AAAAAAAAAAAAAAAAAAAAAA/UserTweets" \
    --data-urlencode "variables={\"userId\":\"$(user_id fault_5xx)\"}")"
endless() {
    local cursor= page
    for page in 1 2 3 4 5 6; do
        graphql UserTweets "$(jq -nc --arg u "$(user_id fault_empty)" --arg c "$cursor" \
            '{userId: $u} + if $c == "" then {} else {cursor: $c} end')" >"$work/page.json"
        same 0 "$(jq "$page_posts | length" "$work/page.json")" || return 1
        [ "$(jq -r "$page_cursor" "$work/page.json")" != "$cursor" ] || return 1
        cursor=$(jq -r "$page_cursor" "$work/page.json")
    done
}
check "fault_empty leads on for ever" endless

# ---- many at once, and the end ----

hang_pids=
for n in 1 2 3 4 5 6 7 8; do
    curl -s -o /dev/null --max-time 30 "$api&fault=never:1" &
    hang_pids="$hang_pids $!"
done
check "calls that hang hold nobody up" same 200 "$(status_of "$api")"
before=$(date +%s%N)
stop_site
check "SIGTERM ends it with calls hanging" same 0 "$site_code"
check "within two seconds" test $((($(date +%s%N) - before) / 1000000)) -lt 2000
for pid in $hang_pids; do
    wait "$pid"
done

start_site --rate-limit 3/60 --layout mixed
for n in 1 2 3; do
    check "call $n of 3 is allowed" same 200 \
        "$(graphql UserByScreenName '{"screen_name":"practice_100"}' -D "$work/headers" -o "$work/body" -w '%{http_code}')"
    check "$((3 - n)) remain" same $((3 - n)) "$(limit_header x-rate-limit-remaining)"
done
check "the fourth is not" same 429 \
    "$(graphql UserByScreenName '{"screen_name":"practice_100"}' -D "$work/headers" -o "$work/body" -w '%{http_code}')"
check "it is told plainly" same "Rate limit exceeded" "$(cat "$work/body")"
check "limits are per client" same 200 \
    "$(graphql UserByScreenName '{"screen_name":"practice_100"}' -H 'Cookie: guest_id=other' -o /dev/null -w '%{http_code}')"
check "limits are per operation" same 200 \
    "$(graphql SearchTimeline '{"rawQuery":"x"}' -o /dev/null -w '%{http_code}')"
layouts=$(for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    graphql UserByScreenName "{\"screen_name\":\"practice_$n\"}" -H "Cookie: guest_id=$n" | jq -c '.data.user.result |
        if has("legacy") | not then 3 elif has("core") then 2 else 1 end'
done | sort -u | tr -d '\n')
check "a mixed site sends all three layouts" same 123 "$layouts"
port=${base##*:}
"$program" --port "$port" >/dev/null 2>"$work/said.err"
check "a port in use is exit code 69" same 69 "$?"
check "and says what to do" grep -q 'in use' "$work/said.err"
"$program" --port nonsense >/dev/null 2>&1
check "a bad number is exit code 64" same 64 "$?"
"$program" --sed 3 >/dev/null 2>"$work/said.err"
check "an unknown option is exit code 64" same 64 "$?"
check "and a near one is named" grep -q -- "--seed" "$work/said.err"
"$program" --fault latncy=3 >/dev/null 2>&1
check "an unknown fault is exit code 64" same 64 "$?"
check "--help names every fault" grep -q empty_page <("$program" --help)
stop_site

echo "1..$checks"
[ $failed -eq 0 ]
