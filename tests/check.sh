#!/bin/bash
# What `make check` runs, in the order of how soon it would tell you something. Stops at the first
# failure. PARTS picks some: build lint unit clang asan browser system.
set -eu
cd "$(dirname "$0")/.."
make="make --no-print-directory -j$(nproc)"
began=$(date +%s)
step() { echo "== $1 ($(($(date +%s) - began)) s)"; }
wants() { case " ${PARTS:-build lint unit clang asan browser system} " in *" $1 "*) true ;; *) false ;; esac; }

tests_of() { # OUT: test programs of the quick kinds
    for source in tests/unit/test_*.c tests/conform/test_*.c; do
        [ -e "$source" ] && echo "$1/${source%.c}"
    done
}

if wants build; then
    step "build with gcc"
    # shellcheck disable=SC2046
    $make build $(tests_of out/release)
fi
if wants lint; then
    step "lint"
    $make lint
fi
if wants unit; then
    step "unit and conformance tests"
    # shellcheck disable=SC2046
    tests/run.sh $(tests_of out/release)
fi
if wants clang; then
    step "build with clang"
    $make CC=clang OUT=out/clang build
fi
if wants asan; then
    step "the same tests with AddressSanitizer and UBSan"
    # shellcheck disable=SC2046
    $make BUILD=asan build $(tests_of out/asan)
    # shellcheck disable=SC2046
    ASAN_OPTIONS=detect_leaks=1 tests/run.sh $(tests_of out/asan)
fi
if wants browser; then
    step "browser tests"
    programs=""
    for source in tests/browser/test_*.c; do
        [ -e "$source" ] && programs="$programs out/release/${source%.c}"
    done
    # shellcheck disable=SC2086
    $make build $programs
    # shellcheck disable=SC2086
    tests/run.sh $programs
fi
if wants system; then
    step "system tests"
    bash tests/system/run.sh out/release
    if [ -x out/asan/fulmar ]; then
        step "system tests with AddressSanitizer and UBSan"
        JOBS=20 TESTS="e2e" bash tests/system/run.sh out/asan
    fi
fi
step "check passed"
