#!/bin/bash
# A job with media=download on the practice site, from the records to the files: every file equals the
# truth's bytes, every failure is said, the same bytes are fetched once, a killed process goes on where the
# part ended, limits and a full disk cost files but no records, and nothing is left when the jobs are gone.
# The kills need fault points (BUILD=points or asan); without them they are skipped.
OUT=$1
. "$(dirname "$0")/lib.sh"

if grep -q FULMAR_FAULTS "$OUT/fulmar"; then
    mkdir -m 700 "$WORK/state"
    export FULMAR_FAULTS=$WORK/state/faults
    head -c 128 /dev/zero >"$FULMAR_FAULTS"
    chmod 666 "$FULMAR_FAULTS"
fi
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
browser:
  count: 1
media:
  file_bytes: 1MiB
  interval: 1ms
job:
  retry_base: 50ms
  retry_cap: 200ms
  lease: 3s
EOF
start_practice
write_config
sed -i "s#^  base_url: .*#&\n  media_base: [\"x=$SITE\"]#" "$WORK/fulmar.yaml"
start_service

order() { # KIND TARGET LIMIT [MEDIA] → job id
    local body
    body=$(jq -cn --arg kind "$1" --arg target "$2" --argjson limit "$3" --arg media "${4:-download}" \
        '{kind:$kind,target:$target,limit:$limit,media:$media}')
    call -H 'Content-Type: application/json' -d "$body" http://fulmar/v1/jobs | jq -r '.id // empty'
}
report() { job "$1" | jq -r ".report.$2"; }
files_on_disk() { find "$WORK/state/files" -type f ! -path '*/part/*' 2>/dev/null | wc -l; }
parts_on_disk() { find "$WORK/state/files/part" -type f 2>/dev/null | wc -l; }

# What each media leads to by the truth: the URLs in their order, the first that is as it should be.
TRIES='def tries: if .type == "photo" then
    (.url | capture("^(?<stem>.*)[.](?<ext>[a-z]+)$")) as $u
    | ["orig","4096x4096","large"] | map("\($u.stem)?format=\($u.ext)&name=\(.)")
  else [.variants[] | select(.content_type == "video/mp4")] | sort_by(-.bitrate) | map(.url) end;'
truth_of_media() { # RECORDS → {url: truth}
    jq -r "$TRIES"' .media[]? | tries[]' "$1" | sort -u >"$WORK/urls"
    jq -rRn --arg site "$SITE" \
        'inputs | "url = \"\($site)/truth/file?url=\(@uri)\"\nwrite-out = \"\\n\""' <"$WORK/urls" |
        curl -sS -K - | grep . >"$WORK/truths"
    [ "$(wc -l <"$WORK/truths")" = "$(wc -l <"$WORK/urls")" ] || die "the truth about media is not whole"
    paste "$WORK/urls" "$WORK/truths" |
        jq -Rn 'reduce inputs as $l ({}; ($l | split("\t")) as $p | .[$p[0]] = ($p[1] | fromjson))'
}
# Lines that differ from the truth; none is right.
wrong_media() { # RECORDS TRUTH
    jq -c --slurpfile truth "$2" "$TRIES"'
      def fine: . == "fine" or . == "cut" or . == "slow" or . == "limited";
      def class: if . == "missing" or . == "no_orig" then "not_found"
                 elif . == "too_large" then "resource" else "drift" end;
      .id as $post | .media[]? | tries as $tries
      | ([$tries[] | select($truth[0][.].outcome | fine)] | first) as $url
      | if $url then select(.file.url != $url or .file.sha256 != $truth[0][$url].sha256
                            or .file.bytes != $truth[0][$url].bytes or .file.mime != $truth[0][$url].type
                            or (.file.http_status | . != 200 and . != 206)
                            or (.file.path | startswith("files/") | not))
        else select(.file_error.class != ($truth[0][$tries[0]].outcome | class) or (.file_error.why | length) == 0) end
      | {post: $post, type, url: ($url // $tries[0]), truth: $truth[0][$url // $tries[0]], file, file_error}' "$1"
}
same_files() { # JOB
    local wrong sum path
    posts_of "$1" >"$WORK/records"
    truth_of_media "$WORK/records" >"$WORK/truth.media"
    wrong=$(wrong_media "$WORK/records" "$WORK/truth.media")
    [ -z "$wrong" ] || die "$1: files differ from the truth: $(head -3 <<<"$wrong")"
    while read -r sum path; do
        [ "$(sha256sum <"$WORK/state/$path" | cut -d' ' -f1)" = "$sum" ] || die "$path has other bytes"
    done < <(jq -r '.media[]? | select(.file) | "\(.file.sha256) \(.file.path)"' "$WORK/records" | sort -u)
    check
}

# ---- a job and its files ----

first=$(order posts @practice_500 150)
[ -n "$first" ] || die "the order is refused"
wait_job "$first" 120
[ "$(job "$first" | jq -r '[.state,.options.media]|join(" ")')" = "succeeded download" ] ||
    die "the job: $(job "$first" | jq -c '{state,options,failure}')"
same_as_truth "$first" posts @practice_500 150 || die "the records are not the truth"
same_files "$first"
files=$(report "$first" files) failed=$(report "$first" files_failed)
[ "$files" = "$(jq -s '[.[].media[]? | select(.file)] | length' "$WORK/records")" ] || die "report: $files files"
[ "$failed" = "$(jq -s '[.[].media[]? | select(.file_error)] | length' "$WORK/records")" ] || die "report: $failed failed"
[ "$files" -gt 40 ] && [ "$failed" -gt 3 ] || die "too little to tell: $files files, $failed failed"
for outcome in no_orig cut too_large pretends html limited slow; do
    jq -e --arg o "$outcome" 'any(.[]; .outcome == $o)' "$WORK/truth.media" >/dev/null ||
        die "no media here is '$outcome': another SEED or more posts"
done
[ "$(report "$first" 'warnings | length')" = 1 ] || die "no warning: $(job "$first" | jq -c .report)"
[ "$(parts_on_disk)" = 0 ] || die "parts are left: $(ls "$WORK/state/files/part")"
check

stop_service || die "the service did not stop in order"
say "media: $CHECKS checks; $files files equal the truth, $failed said why not"
