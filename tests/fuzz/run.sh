#!/bin/bash
# Runs fuzz targets of a folder for some seconds each, starting from the seeds in corpus/TARGET and, where a target
# reads what a site sends, from the recordings of tests/data/shapes. run.sh FOLDER SECONDS [TARGET]
#
#   TARGETS="map html"   only these; JOBS=2: so many at a time (as many as there are processors)
#   KEEP=1               what was found and covers more than the seeds is added to them, the smallest first: files up to
#                        KEEP_FILE bytes (8192), up to KEEP_BYTES in all of a target (260000)
set -u
folder=$1 seconds=$2
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -eq 2 ]; then
    for target in ${TARGETS:-$(find "$folder" -name 'fuzz_*' -type f -executable -printf '%f\n' | sort)}; do
        echo "fuzz_${target#fuzz_}"
    done | xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" "$folder" "$seconds"
    exit
fi
corpus=$here/corpus/$3
found=$(mktemp -d)
trap 'rm -rf "$found" "$found".log "$found".more "$found".kept "$found".crashed-*' EXIT

# Recordings as inputs: the byte that chooses the source, then the file. Large ones would only slow all down.
seed() { # BYTE FILES…
    local byte=$1 file
    shift
    for file in "$@"; do
        case $file in *.expect.json) continue ;; esac
        [ -f "$file" ] && [ "$(stat -c %s "$file")" -le 12000 ] && { printf "\\x$byte" && cat "$file"; } >"$found.more/$(sha1sum <"$file" | cut -c1-40)"
    done
}
mkdir "$found.more"
shapes=$here/../data/shapes
case $3 in
fuzz_map)
    seed 00 "$shapes"/graphql/{l1,l2,l3,seq,errors}/*.json
    seed 01 "$shapes"/graphql/*/user_*.json
    seed 08 "$shapes"/graphql/cases/by_id_*.json
    seed 10 "$shapes"/graphql/cases/*.json
    ;;
fuzz_html)
    seed 00 "$shapes"/nitter/{profile,state}*.html
    seed 02 "$shapes"/nitter/*.xml
    seed 03 "$shapes"/syndication/*.json
    seed 04 "$shapes"/syndication/*.html
    seed 05 "$shapes"/oembed/*.json
    seed 06 "$shapes"/dom/*/*.html
    seed 08 "$shapes"/dom/*/thread*.html
    seed 09 "$shapes"/nitter/status.html
    seed 0a "$shapes"/nitter/people.html
    seed 0b "$shapes"/ssr/*.html
    ;;
esac

if ! "$folder/$3" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$folder/$3-" "$found" "$corpus" "$found.more" >"$found.log" 2>&1; then
    tail -40 "$found.log"
    echo "FAIL  $3: the input is beside the target, $folder/$3-*"
    exit 255
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log")

keep() { # what covers more than the seeds, the smallest first
    local file size sum kept=0
    cp -r "$corpus" "$found.kept"
    if ! "$folder/$3" -merge=1 -rss_limit_mb=2048 -timeout=10 -artifact_prefix="$found.crashed-" \
        "$found.kept" "$found" >"$found.log" 2>&1 || compgen -G "$found.crashed-*" >/dev/null; then
        tail -20 "$found.log"
        echo "FAIL  $3: what it found cannot be merged; were the packs or the target changed while it ran?"
        return 255
    fi
    sum=$(find "$corpus" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
    while read -r size file; do
        [ -e "$corpus/$(basename "$file")" ] && continue
        [ "$size" -le "${KEEP_FILE:-8192}" ] && [ $((sum + size)) -le "${KEEP_BYTES:-260000}" ] || continue
        cp "$file" "$corpus/"
        sum=$((sum + size)) kept=$((kept + 1))
    done < <(find "$found.kept" -type f -printf '%s %p\n' | sort -n)
    echo "      $3  $kept inputs kept, $(find "$corpus" -type f | wc -l) in all, $sum bytes"
}
echo "ok    $3  $runs executions"
[ -z "${KEEP:-}" ] || keep "$@"
