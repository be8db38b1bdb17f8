#!/bin/bash
# Mistakes put in on purpose, one at a time, into a copy of the sources: the tests that are there to find
# each must find it. Prints what was put in and which test found it; exit 1 when one survives.
#
# A mutant is a file NAME.mutant:
#   what: in words, as in the design's list where it is from there
#   tests: programs to run, below tests/
#   seeds: of sim/sim, so many storms (60); what takes longer than an hour is not found
#   disk: full; the storms have a disk that is, now and then
#   file: a source, and after it sed commands for it; more files may follow
# A mutant whose commands change nothing, or that does not compile, is a mistake in the mutant.
# $1 …: names; without: all.
set -u
cd "$(dirname "$0")/../.." || exit 1
jobs=${JOBS:-2}
tree=out/mutants
here=tests/mutations
mkdir -p "$tree"
bring_up_to_date() { # only what is newer, and with the time of now: it is built again then
    for part in src tests/conform tests/unit tests/lib tests/sim tools/scripts.sh Makefile CHANGELOG.md; do
        mkdir -p "$tree/$(dirname "$part")"
        cp -ru "$part" "$tree/$(dirname "$part")/"
    done
}
build() { # PROGRAMS…
    # shellcheck disable=SC2068
    make --no-print-directory -C "$tree" -j"$jobs" OUT=out WARN=-w CWARN=-w FLAGS_release="-O1 -g" ${@/#/out/tests/} \
        >"$tree/build.log" 2>&1
}
apply() { # MUTANT: 1 when some part of it changes nothing
    local line file="" changed=0
    : >"$tree/touched"
    while IFS= read -r line; do
        case "$line" in
        what:* | tests:* | seeds:* | disk:*) ;;
        file:*)
            [ "$changed" -eq 1 ] || [ -z "$file" ] || return 1
            file=${line#file: } changed=0
            echo "$file" >>"$tree/touched"
            ;;
        *)
            cp "$tree/$file" "$tree/before"
            sed -i "$line" "$tree/$file" || return 1
            cmp -s "$tree/before" "$tree/$file" && return 1
            changed=1
            ;;
        esac
    done <"$1"
    [ "$changed" -eq 1 ]
}
restore() {
    local file
    while IFS= read -r file; do
        cp "$file" "$tree/$file"
    done <"$tree/touched"
}
storm_of() { # LOG ENDED: what a storm found, and which
    sed -n 's/^BROKEN: //p;s/^\(seed [0-9]*\), .*/(\1)/p' "$1" | tr '\n' ' ' | grep . || echo "ends the program: $2"
}
found_by() { # PROGRAMS…: the first test that fails
    local program name ended log=$tree/run.log
    for program in "$@"; do
        ended=0
        if [ "$program" = sim/sim ]; then
            timeout 3600 "$tree/out/tests/$program" count="${seeds:-60}" ${disk:+disk="$disk"} >"$log" 2>&1 || ended=$?
            [ "$ended" -eq 0 ] || [ "$ended" -eq 124 ] || { echo "$program: $(storm_of "$log" "$ended")"; return 0; }
            continue
        fi
        timeout "${TEST_TIMEOUT:-180}" "$tree/out/tests/$program" >"$log" 2>&1 || ended=$?
        if [ "$ended" -ne 0 ]; then
            name=$(grep -m1 '\[  FAILED  \]' "$log" | sed 's/.*\] //')
            [ -n "$name" ] || name="$(grep '\[ RUN' "$log" | tail -1 | sed 's/.*\] //') (ends the program: $ended)"
            echo "$program: $name"
            return 0
        fi
    done
    return 1
}

bring_up_to_date
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$here" && ls ./*.mutant | sed 's/^..//;s/\.mutant$//')
# shellcheck disable=SC2046
mapfile -t programs < <(sed -n 's/^tests: //p' $(printf "$here/%s.mutant " "${names[@]}") | tr ' ' '\n' | sort -u)
build "${programs[@]}" || { tail -20 "$tree/build.log"; exit 1; }
if who=$(found_by "${programs[@]}"); then
    echo "without a mistake $who fails"
    exit 1
fi
killed=0 survived=0
for name in "${names[@]}"; do
    mutant=$here/$name.mutant
    read -ra wanted < <(sed -n 's/^tests: //p' "$mutant")
    what=$(sed -n 's/^what: //p' "$mutant")
    seeds=$(sed -n 's/^seeds: //p' "$mutant")
    disk=$(sed -n 's/^disk: //p' "$mutant")
    if ! apply "$mutant"; then
        result="CHANGES NOTHING"
        survived=$((survived + 1))
    elif ! build "${wanted[@]}"; then
        result="DOES NOT COMPILE: $(grep -m1 error "$tree/build.log")"
        survived=$((survived + 1))
    elif who=$(found_by "${wanted[@]}"); then
        result=$who
        killed=$((killed + 1))
    else
        result="SURVIVES"
        survived=$((survived + 1))
    fi
    restore
    printf '%-22s %s\n%22s %s\n' "$name" "$what" "" "-> $result"
done
[ $# -gt 0 ] || { echo "of the design's list, and not here:"; sed 's/^/  /' "$here/others.txt"; }
echo "mutants: $killed found, $survived not"
[ "$survived" -eq 0 ]
