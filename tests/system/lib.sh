# Shared by the system tests: real processes on free loopback ports, in a folder of their own.
# Every process that a test starts is ended by its pid when the test ends, however it ends.
# shellcheck shell=bash

set -u
OUT=${OUT:?folder of the programs}
OUT=$(realpath "$OUT")
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SEED=${SEED:-7}
PRACTICE_PID="" SERVICE_PID="" API="" SITE="" CHECKS=0

WORK=$(mktemp -d "${TMPDIR:-/tmp}/fulmar-test.XXXXXX")
chmod 755 "$WORK"

say() { printf '%s\n' "$*"; }
check() { CHECKS=$((CHECKS + 1)); }
die() {
    say "FAIL: $*"
    say "--- last lines of the service"
    tail -${LOG_LINES:-40} "$WORK/service.log" 2>/dev/null
    exit 1
}

# wait_until SECONDS WORDS COMMAND…: polls a condition, never just sleeps.
wait_until() {
    local deadline=$(($(date +%s%N) / 1000000 + $1 * 1000)) words=$2
    shift 2
    until "$@"; do
        if [ $(($(date +%s%N) / 1000000)) -gt $deadline ]; then
            die "not in time: $words"
        fi
        sleep 0.02
    done
}

start_practice() { # arguments go to the practice site
    "$OUT/fulmar-practice" --seed "$SEED" --port 0 "$@" >"$WORK/practice.log" 2>&1 &
    PRACTICE_PID=$!
    wait_until 10 "practice site listens" grep -q 'listening on' "$WORK/practice.log"
    SITE=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$WORK/practice.log" | head -1)
    SITE=${SITE%/}
}

write_config() { # $WORK/extra.yaml is appended; ALLOW: more addresses that may be reached, as YAML
    cat >"$WORK/fulmar.yaml" <<EOF
api:
  port: 0
store:
  path: $WORK/state
  disk_floor: 1MiB
site:
  path: $ROOT/sites
  base_url: ["x=$SITE"]
egress:
  only: true
  allow: ["${SITE#http://}"${ALLOW:+, $ALLOW}]
$(cat "$WORK/extra.yaml" 2>/dev/null)
EOF
    chmod 644 "$WORK/fulmar.yaml"
}

two_workers() { # one browser, and little waiting between attempts; MORE: settings behind these, as YAML
    cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
browser:
  count: 1
job:
  retry_base: 50ms
  retry_cap: 200ms
${1:-}
EOF
}
start_service() {
    [ -f "$WORK/fulmar.yaml" ] || write_config
    "$OUT/fulmar" serve --config "$WORK/fulmar.yaml" >>"$WORK/service.log" 2>&1 &
    SERVICE_PID=$!
    wait_until 60 "API answers" api_up
    wait_until 90 "service is ready" service_ready
}

SOCK() { echo "$WORK/state/fulmar.sock"; }
call() { curl -sS --max-time 20 --unix-socket "$(SOCK)" "$@"; }
api_up() {
    kill -0 "$SERVICE_PID" 2>/dev/null || die "the service ended by itself"
    [ "$(call -o /dev/null -w '%{http_code}' http://fulmar/livez 2>/dev/null)" = 200 ]
}
service_ready() { [ "$(call -o /dev/null -w '%{http_code}' http://fulmar/readyz 2>/dev/null)" = 200 ]; }

fulmar() { "$OUT/fulmar" "$@" --server "unix:$(SOCK)"; }
panel() { curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$1"; }
metric() { call http://fulmar/metrics | awk -v name="$1" 'index($1, name) == 1 {n += $2} END {print n + 0}'; }
logged() { grep -cF -- "$1" "$WORK/service.log"; }

submit() { # KIND TARGET [LIMIT] → job id; STRATEGY: only this one
    local body
    body=$(jq -cn --arg kind "$1" --arg target "$2" --argjson limit "${3:-null}" --arg strategy "${STRATEGY:-}" \
        '{kind:$kind,target:$target} + (if $limit then {limit:$limit} else {} end)
         + (if $strategy != "" then {strategy:$strategy} else {} end)')
    call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty'
}
job() { call "http://fulmar/v1/jobs/$1"; }
job_state() { job "$1" | jq -r .state; }
# Without jq: this one is asked many times a second. The state of the job is the one before its verdict;
# the report has states of its own.
job_ended() { [[ "$(job "$1")" =~ '"state":"'(succeeded|dead|failed|cancelled|expired)'","verdict"' ]]; }
job_class() { job "$1" | jq -r '.failure.class // "none"'; }
wait_job() { wait_until "${2:-60}" "job $1 ends ($(job "$1" | jq -c '{state,failure}'))" job_ended "$1"; }

# Of a script with an ask() of its own, which prints the id of a job.
run() { # WHAT TO ASK…: sets id, waits
    id=$(ask "$@")
    [ -n "$id" ] || die "not accepted: $*"
    wait_job "$id"
    check
}
is() { # FILTER EXPECTED WORDS: of the job that ran last
    local got
    got=$(job "$id" | jq -c "$1")
    [ "$got" = "$2" ] || die "$3: $1 is $got, not $2: $(job "$id" | jq -c '{state,verdict,end_reason,failure,counts,attempts,report}')"
}

posts_of() { call "http://fulmar/v1/jobs/$1/posts"; }

# The members that the generator states, in one form: `post` of a post, `user` of an account.
MEMBERS='def post: {schema,id,url,kind,author,created_at,created_at_ms,text,text_raw,text_truncated,is_long,lang,
  counts,urls,hashtags,cashtags,mentions,conversation_id,reply_to,quote_of,repost_of,is_pinned,source_app,possibly_sensitive,
  media: [.media[]? | {id,key,media_key,type,url,url_orig,thumb_url,width,height,duration_ms,alt,variants}],
  card: (if .card then .card | {name,title,url,domain,poll} else null end),
  article, community, community_note,
  quoted: (if .quoted then .quoted | post else null end),
  reposted: (if .reposted then .reposted | post else null end)};
  def user: {schema,id,screen_name,name,url,created_at,description,location,website,website_tco,avatar_url,
  avatar_shape,banner_url,counts,protected,category,pinned_ids,state, verified: (.verified | {blue,type,legacy})};'
# What both know: ours from the page, the truth from the generator. A repost is its original, and who
# passed it on. A reply begins with whom it answers only in the API; a long post is cut in a list; a page
# leaves out counts that are zero, so a count that is not known looks the same.
BOTH='
  def face: {screen_name, name};
  def shown: {id, author: (.author | face), created_at, created_at_ms, lang,
    counts: (.counts | {reply, repost, like, bookmark: (.bookmark // 0), view}),
    text: (if .text_truncated or .is_long then "cut" elif .reply_to then (.text | sub("^(@[A-Za-z0-9_]+ )+"; "")) else .text end),
    links: (if .text_truncated or .is_long then null else {urls: [.urls[] | {url, expanded}], hashtags, cashtags,
      mentions: (if .reply_to then null else [.mentions[].screen_name] end)} end),
    media: [.media[]? | {type, picture: (if .type == "photo" then .url else .thumb_url end),
      alt: (if .type == "photo" then .alt else null end)}],
    reply_to: (.reply_to.screen_name // null), note: .community_note,
    card: (if .card then .card | {title, domain, poll: (if .poll then [.poll.options[] | .label] else null end)} else null end),
    quoted: (if .quoted.text then .quoted | {author: (.author | face), created_at, text: (if .text_truncated or .is_long then "cut" else .text end)} else null end)};
  def truth: . as $post | (.reposted // .) | shown + {kind: $post.kind, pinned: $post.is_pinned,
    by: (if $post.kind == "repost" then $post.author.screen_name else null end)};
  def ours: shown + {kind, pinned: .is_pinned, by: (.reposted_by.screen_name // null)};'
normal() { jq -cS "$MEMBERS post" | sort; }
normal_users() { jq -cS "$MEMBERS user" | sort; }

truth_path() { # KIND TARGET [LIMIT]
    local path
    case "$1" in
    profile) path="user/${2#@}" ;;
    posts | replies | followers | following) path="$1/${2#@}" ;;
    list | community) path="$1/$2" ;;
    hashtag) path="hashtag/${2#\#}" ;;
    search) path="search?q=$(jq -rn --arg q "$2" '$q|@uri')" ;;
    esac
    case "$path" in *\?*) path="$path&" ;; *) path="$path?" ;; esac
    echo "truth/${path}limit=${3:-100000}"
}
# same_as_truth JOB KIND TARGET [LIMIT]
same_as_truth() {
    curl -sS "$SITE/$(truth_path "${@:2}")" | normal >"$WORK/truth.$1"
    posts_of "$1" | normal >"$WORK/got.$1"
    check
    if ! cmp -s "$WORK/truth.$1" "$WORK/got.$1"; then
        say "job $1 $2 $3: $(wc -l <"$WORK/got.$1") posts, truth $(wc -l <"$WORK/truth.$1")"
        diff "$WORK/truth.$1" "$WORK/got.$1" | cut -c1-600 | head -4
        job "$1" | jq -c '{state,verdict,end_reason,failure,report}'
        return 1
    fi
    rm -f "$WORK/truth.$1" "$WORK/got.$1"
}

# Every process below the service, by parentage.
tree() { # PID
    local child
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        echo "$child"
        tree "$child"
    done
}
role_pids() { # node | egress | worker | browser | supervisor
    local pid
    [ "$1" = supervisor ] && echo "$SERVICE_PID" && return
    for pid in $(tree "$SERVICE_PID"); do
        case "$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null)" in
        "fulmar: $1 "*) echo "$pid" ;;
        *--type=*) ;;
        *chromium*--remote-debugging-pipe*) [ "$1" = browser ] && echo "$pid" ;;
        esac
    done
}
# All of them at one moment: stopped first, so that none takes over the job of another one on its way.
kill_workers() {
    local pids
    pids=$(role_pids worker)
    # shellcheck disable=SC2086
    kill -STOP $pids && kill -KILL $pids
}
ours() { pgrep -f "$WORK/state" || true; }
nothing_left() { [ -z "$(ours)" ] && [ -z "$(ls -A "$WORK/state/run" 2>/dev/null)" ]; }

stop_service() {
    [ -n "$SERVICE_PID" ] || return 0
    kill -TERM "$SERVICE_PID" 2>/dev/null
    wait_until 25 "the service stops" gone "$SERVICE_PID"
    wait "$SERVICE_PID" 2>/dev/null
    local code=$?
    SERVICE_PID=""
    return $code
}
gone() { ! kill -0 "$1" 2>/dev/null; }

finish() {
    local code=$?
    trap - EXIT INT TERM
    if [ -n "$SERVICE_PID" ]; then
        kill -TERM "$SERVICE_PID" 2>/dev/null
        for _ in $(seq 100); do gone "$SERVICE_PID" && break; sleep 0.1; done
        { kill -KILL "$SERVICE_PID" && wait "$SERVICE_PID"; } 2>/dev/null
    fi
    for pid in $(ours); do kill -KILL "$pid" 2>/dev/null; done
    if [ -n "$PRACTICE_PID" ]; then
        kill -KILL "$PRACTICE_PID"
        wait "$PRACTICE_PID"
    fi 2>/dev/null
    # A sanitizer's report ends a process that is then replaced: without this nobody would see it.
    if grep -aqE 'Sanitizer: |runtime error: ' "$WORK/service.log" 2>/dev/null; then
        say "FAIL: a sanitizer has something to say"
        grep -aE -A25 'Sanitizer: |runtime error: ' "$WORK/service.log" | head -40
        code=1
    fi
    if [ $code -eq 0 ] || [ -z "${KEEP:-}" ]; then rm -rf "$WORK"; else say "kept: $WORK"; fi
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM
