# Shared by the measurements; builds on the system tests' helpers (processes that a measurement
# starts are ended by pid when it ends, files lie in a folder of their own).
# shellcheck shell=bash
. "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/tests/system/lib.sh"

# The network between the page and the site: every page and API answer waits so long.
LATENCY_MS=${LATENCY_MS:-80}
HANDLE=${HANDLE:-practice_500}
POSTS=${POSTS:-100}
CHROMIUM=${CHROMIUM:-/usr/lib/chromium/chromium-headless-shell}

start_site() { start_practice --fault "latency_ms=$LATENCY_MS"; }

# value NAME LINE: the value of NAME in a line of name=value pairs.
value() { printf '%s\n' "$2" | tr ' ' '\n' | sed -n "s/^$1=//p" | head -1; }

# Numbers on stdin, one a line → "median p95 p99 max", nearest rank.
ranks() {
    sort -n | awk '
        function rank(p) { i = int((NR * p + 99) / 100); return v[i < 1 ? 1 : i] }
        { v[NR] = $1 }
        END { if (NR) print rank(50), rank(95), rank(99), v[NR] }'
}

# processes PID: one line "kind pid ms" for PID and everything below it; kind is browser or ours, ms is
# the CPU it has used with that of children waited for.
processes() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v root="$1" -v tick="$(getconf CLK_TCK)" '
        {
            # The name stands in brackets and may hold spaces: numbers come after the last one.
            open = index($0, "("); rest = $0
            while ((at = index(rest, ")")) > 0) rest = substr(rest, at + 1)
            name = substr($0, open + 1); pid = $1
            split(rest, f, " ")
            parent[pid] = f[2]
            ms[pid] = (f[12] + f[13] + f[14] + f[15]) * 1000 / tick
            chromium[pid] = name ~ /^(chrom|headless)/
        }
        END {
            for (pid in parent) {
                kind = "ours"; found = 0; turns = 0
                for (p = pid; p in parent && turns < 64; p = parent[p]) {
                    if (chromium[p]) kind = "browser"
                    if (p == root) { found = 1; break }
                    turns++
                }
                if (found) print kind, pid, ms[pid]
            }
        }'
}

# cost PID → ours_ms=… browser_ms=… ours_n=… browser_n=…
cost() {
    processes "$1" | awk '
        { ms[$1] += $3; n[$1]++ }
        END { printf "ours_ms=%d browser_ms=%d ours_n=%d browser_n=%d\n", ms["ours"], ms["browser"], n["ours"], n["browser"] }'
}

# memory PID → ours_pss_mb=… browser_pss_mb=…
memory() {
    local kind pid _
    processes "$1" | while read -r kind pid _; do
        awk -v kind="$kind" '/^Pss:/ {print kind, $2}' "/proc/$pid/smaps_rollup" 2>/dev/null
    done | awk '{ kb[$1] += $2 }
        END { printf "ours_pss_mb=%.1f browser_pss_mb=%.1f\n", kb["ours"] / 1024, kb["browser"] / 1024 }'
}

# The browsers themselves, without their helpers.
browser_pids() {
    local pid
    for pid in $(tree "$SERVICE_PID"); do
        case "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")" in
        *--type=*) ;;
        *--remote-debugging-pipe*) echo "$pid" ;;
        esac
    done
}

# settle PID BROWSER_PROCESSES: waits until the renderers of ended jobs are gone.
browser_settled() { [ "$(value browser_n "$(cost "$1")")" -le "$2" ]; }
settle() {
    local turn
    for ((turn = 0; turn < 60; turn++)); do
        browser_settled "$1" "$2" && return
        sleep 0.05
    done
}

# submit_all COUNT LIMIT [CURL OPTIONS]: jobs on one connection; ids go to $WORK/ids.
submit_all() {
    local count=$1 limit=$2 i
    shift 2
    rm -rf "$WORK/answers"
    mkdir "$WORK/answers"
    for ((i = 0; i < count; i++)); do
        [ "$i" -gt 0 ] && echo next
        cat <<EOT
unix-socket = "$(SOCK)"
url = "http://fulmar/v1/jobs"
header = "Content-Type: application/json"
data = "{\"kind\":\"posts\",\"target\":\"@$HANDLE\",\"limit\":$limit}"
output = "$WORK/answers/$i"
silent
EOT
    done >"$WORK/submit.curl"
    curl --no-progress-meter "$@" -K "$WORK/submit.curl" || die "the jobs could not be submitted"
    for ((i = 0; i < count; i++)); do jq -r '.id // empty' "$WORK/answers/$i"; done >"$WORK/ids"
    [ "$(wc -l <"$WORK/ids")" -eq "$count" ] || die "not every job was accepted: $(head -c 300 "$WORK/answers/0")"
}

unended() { call http://fulmar/metrics | awk '/^fulmar_jobs\{state="(blocked|scheduled|ready|active)"/ {n += $2} END {print n + 0}'; }
all_ended() { [ "$(unended)" = 0 ]; }

# The views of all jobs of $WORK/ids, one a line, to $WORK/views. All of them must have succeeded.
read_views() { # POSTS
    local id
    while read -r id; do job "$id" | jq -c .; done <"$WORK/ids" >"$WORK/views"
    local wrong
    wrong=$(jq -c "select(.state != \"succeeded\" or .counts.posts != $1) | {id,state,counts,failure}" "$WORK/views" | head -3)
    [ -z "$wrong" ] || die "jobs did not do what they were asked: $wrong"
}
