#!/bin/bash
# The main job on the practice site: a profile, a hashtag and a search, and one against a suspended
# account, side by side, with a temporary store. Egress may reach exactly the practice site. Stops
# everything it started.
set -u
OUT=$(realpath "$1")
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/fulmar-demo.XXXXXX")
RESULTS=${DEMO_OUT:-$ROOT/out/demo}
PLAY_SITE=127.0.0.1:8471 # of the commands at the end: what they play on, and where the page is then
PLAY_PORT=8472
PRACTICE="" SERVICE=""
finish() {
    code=$?
    trap - EXIT INT TERM
    [ -n "$SERVICE" ] && kill -TERM "$SERVICE" 2>/dev/null && wait "$SERVICE" 2>/dev/null
    [ -n "$PRACTICE" ] && kill -TERM "$PRACTICE" 2>/dev/null && wait "$PRACTICE" 2>/dev/null
    rm -rf "$WORK"
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM
give_up() {
    echo "demo: $1" >&2
    tail -20 "$WORK/service.log" "$WORK/practice.log" 2>/dev/null >&2
    exit 1
}
until_true() { # TRIES COMMAND…
    local tries=$1
    shift
    for ((i = 0; i < tries; i++)); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

chmod 755 "$WORK"
mkdir -p "$RESULTS"
rm -f "$RESULTS"/*.ndjson
: >"$WORK/practice.log"
echo "1. practice site: a small server that behaves like X's web app, data from a seed"
"$OUT/fulmar-practice" --seed 7 --port 0 >"$WORK/practice.log" 2>&1 &
PRACTICE=$!
until_true 200 grep -q 'listening on' "$WORK/practice.log" || give_up "the practice site did not start"
SITE=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$WORK/practice.log" | head -1)
SITE=${SITE%/}
echo "   $SITE"

cat >"$WORK/fulmar.yaml" <<EOF
api:
  port: 0
store:
  path: $WORK/state
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"]
EOF
chmod 644 "$WORK/fulmar.yaml"
echo "2. service: supervisor, node, egress, workers, Chromium (configuration: $WORK/fulmar.yaml)"
"$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >"$WORK/service.log" 2>&1 &
SERVICE=$!
SOCKET="$WORK/state/fulmar.sock"
ready() {
    kill -0 $SERVICE 2>/dev/null || give_up "the service ended"
    [ "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$SOCKET" http://fulmar/readyz)" = 200 ]
}
until_true 600 ready || give_up "the service did not get ready"
grep -o 'node.isolation.*' "$WORK/service.log" | sed 's/^node.isolation/   isolation:/'

echo "3. five jobs, side by side"
account=$(curl -s "$SITE/truth/accounts?count=20" | jq -r 'select(.state == "ok" and .posts > 50) | .screen_name' | head -1)
get() { # NAME ARGS…
    local name=$1
    shift
    "$OUT/fulmar" get "$@" --server "unix:$SOCKET" --json --out "$RESULTS/$name.ndjson" >"$WORK/$name.out" 2>"$WORK/$name.err"
    echo $? >"$WORK/$name.code"
}
get profile profile "@$account" & jobs_pids="$!"
get hashtag hashtag "#practice_60" & jobs_pids="$jobs_pids $!"
get search search "from:$account" --limit 40 & jobs_pids="$jobs_pids $!"
get suspended posts "@suspended_one" --limit 20 & jobs_pids="$jobs_pids $!"
get posts posts "@practice_100" --limit 100 & jobs_pids="$jobs_pids $!"
jobs_now() { # a line each: kind, records, limit, state
    curl -s --unix-socket "$SOCKET" "http://fulmar/v1/jobs?limit=10" |
        jq -r '.data | reverse[] | [.kind, (if .kind == "profile" then .counts.users else .counts.posts end), .limit // 0, .state] | @tsv'
}
progress() { # the jobs in one line: how much of how much, and where they are
    jobs_now | awk -F'\t' '{
        printf("%s%s %d", (NR > 1 ? "   " : ""), $1, $2)
        if ($3) printf("/%d (%d%%)", $3, 100 * $2 / $3)
        printf(" [%s]", ($4 == "active" ? "running" : $4))
    }'
}
running() { for pid in $jobs_pids; do kill -0 "$pid" 2>/dev/null && return 0; done; return 1; }
ticks=0
while running; do
    if [ -t 1 ]; then
        printf '\r   %s\033[K' "$(progress | cut -c "1-$(($(tput cols 2>/dev/null || echo 80) - 4))")"
    elif [ $((ticks++ % 10)) -eq 5 ]; then
        echo "   $(progress)"
    fi
    sleep 0.2
done
# shellcheck disable=SC2086
wait $jobs_pids
[ -t 1 ] && printf '\r\033[K'
echo "   $(progress)"
echo
echo "4. the first posts"
jq -r 'select(.schema == "xpost/1") | [.created_at, "@" + .author.screen_name, (.counts.like // "-" | tostring), (.text | gsub("[\\n\\t]"; " ") | .[0:52])] | @tsv' \
    "$RESULTS/hashtag.ndjson" | head -6 | awk -F'\t' 'BEGIN {printf "   %-22s %-17s %7s  %s\n", "time", "author", "likes", "text"} {printf "   %-22s %-17s %7s  %s\n", $1, $2, $3, $4}'
echo
echo "5. verdicts, and what was written where"
failed=0
for name in profile hashtag search posts suspended; do
    code=$(cat "$WORK/$name.code")
    lines=0
    [ -f "$RESULTS/$name.ndjson" ] && lines=$(wc -l <"$RESULTS/$name.ndjson")
    printf '   %-10s exit %-3s %4s records  %s\n' "$name" "$code" "$lines" "$(grep -E '^(complete|partial|empty_confirmed|sampled|fulmar):' "$WORK/$name.err" | head -1)"
    want=0
    [ $name = suspended ] && want=7
    [ "$code" = $want ] || failed=1
done
echo "   records: $RESULTS/*.ndjson   (the store was temporary and is gone)"
echo
# What is left behind: a configuration to go on with. As root the service becomes another user,
# who may not be able to look into this folder: then its state is where root's services have theirs.
play_state=$RESULTS/state
[ "$(id -u)" = 0 ] && play_state=/var/lib/fulmar-demo
cat >"$RESULTS/fulmar.yaml" <<EOF
# Fulmar on the practice site, written by make demo. To undo: rm -r $play_state
api:
  port: $PLAY_PORT
store:
  path: $play_state
site:
  path: $ROOT/sites
  base_url: ["x=http://$PLAY_SITE"]
egress:
  only: true
  allow: ["$PLAY_SITE"]
EOF
near() { # a path as one would type it here
    local short
    short=$(realpath --relative-to=. "$1")
    case "$short" in ../*) echo "$1" ;; *) echo "$short" ;; esac
}
programs=$(near "$OUT")
config=$(near "$RESULTS/fulmar.yaml")
echo "6. try next, one after the other"
echo "   $programs/fulmar-practice --seed 7 --port ${PLAY_SITE#*:} &"
echo "   $programs/fulmar get posts @practice_100 --limit 20 --config $config"
echo "   $programs/fulmar serve --config $config     # the page: http://127.0.0.1:$PLAY_PORT/"
if [ $failed -ne 0 ]; then
    tail -30 "$WORK/service.log" >&2
    give_up "a job did not end as it should"
fi
exit 0
