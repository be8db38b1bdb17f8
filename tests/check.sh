#!/bin/bash
# What `make check` runs, in the order of how soon it would tell you something. Stops at the first
# failure. PARTS picks some: build lint unit clang browser system asan fuzz rest; and kills, with sanitizers, which is
# left out otherwise for the time it takes. With TIME_FOR_MORE (seconds) no system test, and none of what looks once more
# at what was looked at before, begins later than that; what is left out is named.
set -eu
cd "$(dirname "$0")/.."
make="make --no-print-directory -j$(nproc)"
began=$(date +%s)
step() { echo "== $1 ($(($(date +%s) - began)) s)"; }
until=$((began + ${TIME_FOR_MORE:-86400}))
has_time() { # HOW TO RUN IT BY ITSELF
    [ "$(date +%s)" -lt "$until" ] && return
    step "left out for the time that the rest took: $1"
    false
}
wants() { case " ${PARTS:-build lint unit clang browser system asan fuzz rest} " in *" $1 "*) true ;; *) false ;; esac; }

tests_of() { # OUT FOLDERS…: test programs of these kinds
    local out=$1 source
    shift
    for kind in "$@"; do
        for source in tests/"$kind"/test_*.c; do
            [ -e "$source" ] && echo "$out/${source%.c}"
        done
    done
}

if wants build; then
    step "build with gcc"
    # shellcheck disable=SC2046
    $make build $(tests_of out/release unit conform model)
fi
if wants lint; then
    step "lint"
    $make lint
fi
if wants unit; then
    step "unit and conformance tests"
    # shellcheck disable=SC2046
    SCENARIOS=small MODEL_EPISODES=20 tests/run.sh $(tests_of out/release model conform unit)
    $make out/release/tests/sim/sim out/release/tests/crash/crash
    said=$(mktemp)
    { models/check.sh && COUNT=20 tests/sim/check.sh out/release/tests/sim/sim; } >"$said" 2>&1 & # beside the next one
    beside=$!
    STRIDE=96 tests/crash/check.sh out/release/tests/crash/crash || { kill "$beside"; exit 1; }
    wait "$beside" || { cat "$said"; exit 1; }
    cat "$said"
    rm -f "$said"
fi
if wants clang; then
    step "build with clang, with fault points"
    $make CC=clang BUILD=points build
fi
AT_ONCE=$(nproc) # sanitized programs and browsers compute more than they wait
if wants browser; then
    step "browser tests"
    # shellcheck disable=SC2046
    $make build $(tests_of out/release browser)
    # shellcheck disable=SC2046
    AT_ONCE=$AT_ONCE tests/run.sh $(tests_of out/release browser)
fi
if wants system; then
    step "system tests"
    $make CC=clang BUILD=points build
    # For the time it takes: every fifth change of the site, fewer jobs on two nodes, shorter crawls, and kills in four of
    # the six phases of a job; all of them: make system.
    # On a machine that took long so far two at once only wait for each other's browsers.
    TOGETHER=$((SECONDS < 500 ? 2 : 1)) UNTIL=$until NODES_JOBS=60 KILLS=4 EVERY=5 CRAWL_POSTS=500 PHASES="reserve open commit finish" POINTS=out/points \
        tests/system/run.sh out/release
fi
# What follows looks once more at what was looked at before.
# With sanitizers, of what runs on each store the embedded one: the other has programs of its own, but for three that are
# long and meet nothing that others do not; and these, which are all that the other has for what they ask.
both='test_(batches|dead|schedules|sessions|store_files|webhooks)$'
long='test_(scenarios_(keep|lanes|time|wake)|cli|archive|archive_trouble|store_clock|redis_history|redis_pieces|find|http)$'
export SCENARIOS=small
sanitized() { # KINDS… CHOICE: builds and runs the test programs that CHOICE lets through
    local choice=${*: -1} programs
    programs=$(tests_of out/asan "${@:1:$#-1}" | grep -vE 'redis_(trouble|bounds)$|test_move$' | $choice)
    # shellcheck disable=SC2086
    $make BUILD=asan build $programs
    # shellcheck disable=SC2086
    ASAN_OPTIONS=detect_leaks=1 AT_ONCE=$AT_ONCE tests/run.sh $programs
}
if wants asan && has_time "PARTS=asan tests/check.sh"; then
    step "the same tests with AddressSanitizer and UBSan"
    export UNTIL=$until
    STORE=sqlite sanitized unit conform "grep -vE $both|$long"
    $make BUILD=asan out/asan/tests/sim/sim out/asan/tests/crash/crash
    ASAN_OPTIONS=detect_leaks=0 out/asan/tests/sim/sim count=2 >/dev/null # longjmp leaves nothing to a leak check
    out/asan/tests/crash/crash stride=300 seeds=2 | tail -1
fi
if wants fuzz && has_time "PARTS=fuzz tests/check.sh"; then
    step "each fuzz target for a second"
    $make BUILD=fuzz CC=clang fuzzers
    tests/fuzz/run.sh out/fuzz/tests/fuzz 1
fi
if wants rest && has_time "PARTS=rest tests/check.sh"; then
    step "the longer tests with AddressSanitizer and UBSan, and those of both stores and of browsers"
    STORE=sqlite sanitized conform "grep -E $long"
    sanitized conform "grep -E $both"
    sanitized browser cat
fi
if wants kills && [ -x out/asan/fulmar ]; then
    step "system tests with AddressSanitizer and UBSan"
    # A sanitized program starts slower; the phase with the most of ours at work stands for all.
    REPLACED_MAX=4000 TAKEN_UP_MAX=3000 PHASES=commit TESTS=kill \
        tests/system/run.sh out/asan
fi
step "check passed"
