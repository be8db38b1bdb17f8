#!/bin/bash
# Measures everything of docs/reference/benchmarks.md and writes the figures into it, between its
# two markers. Takes about a quarter of an hour; the machine should do nothing else meanwhile.
#
#   bench/run.sh            all parts, then the page
#   PARTS="jobs start" …    only these; of other parts the page keeps what it has
#   PAGE= …                 leaves the page alone
#
# Parts: store archive queue extract start accept jobs scripts soak. Each has its own settings; see the head of its file.
set -u
ROOT=$(cd "$(dirname "$0")/.." && pwd)
cd "$ROOT" || exit 1
PARTS=${PARTS:-store archive queue extract start accept jobs scripts soak}
PAGE=${PAGE-$ROOT/docs/reference/benchmarks.md}
OUT=${OUT:-out/release}
RESULTS=$ROOT/out/bench
CHROMIUM=${CHROMIUM:-/usr/lib/chromium/chromium-headless-shell}
export CHROMIUM

make --no-print-directory -j"$(nproc)" OUT="$OUT" build "$OUT/bench/reference" "$OUT/bench/await" "$OUT/bench/store" "$OUT/bench/starts" "$OUT/bench/archive" "$OUT/bench/queue" "$OUT/bench/extract" ||
    exit 1
mkdir -p "$RESULTS"

# A part that fails leaves no figures; its output says why.
failed=0
part() { # NAME COMMAND…
    local name=$1
    shift
    case " $PARTS " in *" $name "*) ;; *) return ;; esac
    echo "== $name"
    rm -f "$RESULTS/$name"
    # Bash tells of every background process that a script ends; that is no news here.
    if { "$@" 2>"$RESULTS/$name.errors" | tee "$RESULTS/$name.part"; } && [ "${PIPESTATUS[0]}" -eq 0 ]; then
        mv "$RESULTS/$name.part" "$RESULTS/$name"
    else
        echo "== $name failed"
        tail -5 "$RESULTS/$name.errors"
        failed=1
    fi
}

store() { "$OUT/bench/store" "$RESULTS" && "$OUT/bench/starts" "$RESULTS"; }
part store store
part archive "$OUT/bench/archive"
part queue bench/queue.sh "$OUT"
part extract bench/extract.sh "$OUT"
part start bench/start.sh "$OUT"
part accept bench/accept.sh "$OUT"
part jobs bench/jobs.sh "$OUT"
part scripts bench/scripts/run.sh "$OUT"
part soak tests/system/soak.sh "$OUT"

# ---- the report ----

machine() {
    local memory_gib
    memory_gib=$(awk '/^MemTotal/ {printf "%.0f", $2 / 1048576}' /proc/meminfo)
    echo "Fulmar $(sed -n 's/^## \[\([0-9.]*\)\].*/\1/p' CHANGELOG.md | head -1):" \
        "$(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), $memory_gib GiB," \
        "Linux $(uname -r | cut -d- -f1), Chromium $("$CHROMIUM" --version 2>/dev/null | grep -o '[0-9][0-9.]*' | head -1)," \
        "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release)."
}
# rows FILE…: lines of name=value pairs as rows, by jobs at once, in the order of the programs.
rows() {
    cat "$@" 2>/dev/null | awk '
        /^program=/ {
            split("", v)
            for (i = 1; i <= NF; i++) { at = index($i, "="); v[substr($i, 1, at - 1)] = substr($i, at + 1) }
            if (v["program"] == "ratio") {
                row = sprintf("| %d | service ÷ reference | %s | %s | | %s | | | |", v["at_once"], v["jobs_per_min"], v["median"], v["browser_cpu"])
            } else {
                row = sprintf("| %d | %s | %.0f | %d | %d | %d | %.0f | %d | %.0f |", v["at_once"], v["program"], v["jobs_per_min"],
                    v["median_ms"], v["p95_ms"], v["browser_cpu_ms"], v["own_cpu_ms"], v["browser_pss_mb"], v["own_pss_mb"])
            }
            printf "%03d %03d %s\n", v["at_once"], NR, row
        }' | sort | cut -d' ' -f3-
}
of() { sed -n "s/.* $2=\([0-9.]*\).*/\1/p" "$RESULTS/$1" 2>/dev/null | tail -1; }
block() {
    printf '```text\n'
    cat "$RESULTS/$1"
    printf '```\n'
}
jobs_table() {
    echo '| jobs at once | program | jobs/min | median ms | p95 ms | browser CPU ms/job | own CPU ms/job | browser PSS MB | own PSS MB |'
    echo '|---:|---|---:|---:|---:|---:|---:|---:|---:|'
    rows "$RESULTS/jobs" "$RESULTS/scripts"
    echo
    grep '^puppeteer-core' "$RESULTS/scripts" 2>/dev/null | sed 's/.*/Scripts: &./'
    grep '^skipped' "$RESULTS/scripts" 2>/dev/null | sed 's/.*/Scripts: &./'
}
start_table() {
    echo "| $(of start times) starts | median ms | longest ms |"
    echo '|---|---:|---:|'
    echo "| until /livez answers 200 | $(of start livez_median_ms) | $(of start livez_max_ms) |"
    echo "| until /readyz answers 200 | $(of start readyz_median_ms) | $(of start readyz_max_ms) |"
    echo "| from SIGTERM to the end | $(of start stop_median_ms) | $(of start stop_max_ms) |"
}
accept_table() {
    echo '| jobs | median ms | p95 ms | p99 ms | longest ms |'
    echo '|---:|---:|---:|---:|---:|'
    echo "| $(of accept jobs) | $(of accept median_ms) | $(of accept p95_ms) | $(of accept p99_ms) | $(of accept max_ms) |"
}
# What the page has of this section: it was not measured here.
kept() {
    sed -n '/^<!-- figures: begin/,/^<!-- figures: end/p' "${PAGE:-/dev/null}" 2>/dev/null |
        awk -v title="### $1" '$0 == title { mine = 1; next } /^(###|<!--) / { mine = 0 } mine'
}
section() { # TITLE PART COMMAND…
    local title=$1 part=$2
    shift 2
    printf '\n### %s\n\n' "$title"
    if [ -s "$RESULTS/$part" ]; then
        printf 'Measured on %s.\n\n' "$(date -u -r "$RESULTS/$part" +%Y-%m-%d)"
        "$@"
    else
        kept "$title"
    fi
}
report() {
    machine
    section Jobs jobs jobs_table
    section "Start and stop" start start_table
    section "From accept to worker" accept accept_table
    section "Durable accepts" store block store
    section "Records into PostgreSQL" archive block archive
    section "The queue in Redis" queue block queue
    section Extraction extract block extract
    section Soak soak block soak
}
report >"$RESULTS/report.md"

# The page's text stays; only what lies between the markers is replaced.
write_page() {
    local begin='<!-- figures: begin -->' end='<!-- figures: end -->'
    if ! grep -qF "$begin" "$PAGE" || ! grep -qF "$end" "$PAGE"; then
        echo "bench: $PAGE lacks its markers" >&2
        return 1
    fi
    awk -v begin="$begin" -v end="$end" -v report="$RESULTS/report.md" '
        $0 == begin { print; print ""; while ((getline line < report) > 0) print line; skipping = 1 }
        $0 == end { skipping = 0; if (last != "") print ""; }
        !skipping && $0 != begin { print }
        { last = $0 }' "$PAGE" | cat -s >"$RESULTS/page.md" && cp "$RESULTS/page.md" "$PAGE"
}
[ -z "$PAGE" ] || write_page || exit 1
echo "figures: ${PAGE:-$RESULTS/report.md}"
exit $failed
