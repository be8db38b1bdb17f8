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
queue:
  coalesce: false # equal jobs are meant to run each
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
# The media as a list of their own are those of the records, and the result says how full the records are.
call "http://fulmar/v1/jobs/$first/media" | jq -Sc 'del(.post_id, .post_url, .created_at, .index)' >"$WORK/media"
jq -Sc '.media[]?' "$WORK/records" | cmp -s - "$WORK/media" || die "the list of media is another than in the records"
counted=$(jq -s '{records: length, media: (map(.media | length) | add), text: (map(select((.text // "") != "")) | length / 150),
    like: (map(select(.counts.like != null)) | length / 150), pictures: (map(select((.media | length) > 0)) | length / 150)}' "$WORK/records")
told=$(job "$first" | jq '.result | {records: .quality.records, media, text: .quality.field_fill.text, like: .quality.field_fill["counts.like"],
    pictures: .quality.field_fill.media}')
[ "$counted" = "$told" ] || die "the result says $told, in the records are $counted"
[ "$(report "$first" 'warnings | length')" = 1 ] || die "no warning: $(job "$first" | jq -c .report)"
[ "$(parts_on_disk)" = 0 ] || die "parts are left: $(ls "$WORK/state/files/part")"
check

# ---- the files from outside ----

read -r sum path < <(jq -r '.media[]? | select(.file) | "\(.file.sha256) \(.file.path)"' "$WORK/records" | head -1)
[ "$(call "http://fulmar/v1/files/$sum" | sha256sum | cut -d' ' -f1)" = "$sum" ] || die "the API has other bytes"
[ "$(call -r 5-9 "http://fulmar/v1/files/$sum" | od -An -tx1)" = "$(tail -c +6 "$WORK/state/$path" | head -c 5 | od -An -tx1)" ] ||
    die "the API has other bytes in a part"
[ "$(call -o /dev/null -w '%{http_code}' "http://fulmar/v1/files/${sum//[0-9]/0}")" = 404 ] || die "a file that is not there"
[ "$(call "http://fulmar/metrics" | sed -n 's/^fulmar_files //p')" = "$(files_on_disk)" ] || die "the gauge is not the disk"
check
refused=$(call -H 'Content-Type: application/json' -d '{"site":"generic-feed","kind":"posts","target":"https://a.test/feed.xml","media":"download"}' http://fulmar/v1/jobs)
[ "$(jq -r '[.status,.errors[0].pointer]|join(" ")' <<<"$refused")" = "422 /media" ] || die "a pack without files: $refused"
check

# ---- the same again: nothing is fetched twice ----

before=$(files_on_disk)
fetched=$(call http://fulmar/metrics | sed -n 's/^fulmar_downloads_total{outcome="kept"} //p')
mkdir "$WORK/beside"
"$OUT/fulmar" get posts @practice_500 -n 150 --media download --out "$WORK/beside" --server "unix:$(SOCK)" \
    2>"$WORK/get.log" || die "get ended with $?: $(cat "$WORK/get.log")"
same=$(call "http://fulmar/v1/jobs?limit=1" | jq -r '.data[0].id')
same_files "$same"
[ "$(report "$same" files_reused)" = "$files" ] || die "reused: $(job "$same" | jq -c .report)"
[ "$(files_on_disk)" = "$before" ] || die "the same files lie there twice"
[ "$(call http://fulmar/metrics | sed -n 's/^fulmar_downloads_total{outcome="kept"} //p')" = "$fetched" ] || die "fetched again"
cmp <(jq -cS . "$WORK/beside/posts.ndjson") <(jq -cS . "$WORK/records") || die "other records beside the files"
jq -r '.id as $id | .media | to_entries[]? | select(.value.file)
       | "\(.value.file.sha256)  \($id)-\(.key + 1).\(.value.file.path | sub(".*[.]"; ""))"' "$WORK/records" >"$WORK/sums"
(cd "$WORK/beside/media" && sha256sum --quiet -c "$WORK/sums") || die "files beside the records have other bytes"
[ "$(find "$WORK/beside/media" -type f | wc -l)" = "$files" ] || die "files beside the records: $(ls "$WORK/beside/media" | wc -l)"
check

# ---- two jobs that want the same at once ----

kept() { call http://fulmar/metrics | sed -n 's/^fulmar_downloads_total{outcome="kept"} //p'; }
fetched=$(kept)
one=$(order posts @practice_300 60) two=$(order posts @practice_300 60)
wait_job "$one" 60
wait_job "$two" 60
same_files "$one"
same_files "$two"
urls=$(jq -r '.media[]? | .file.url // empty' "$WORK/records" | sort -u | wc -l)
[ "$(($(kept) - fetched))" = "$urls" ] || die "two jobs fetched $(($(kept) - fetched)) files, there are $urls"
check

# ---- a service of the command's own ----

"$OUT/fulmar" get posts @practice_100 -n 30 --media urls --json --server "unix:$(SOCK)" -q >"$WORK/urls.ndjson" ||
    die "urls: $?"
jq -e 'all(.media[]?; has("file") or has("file_error") | not)' "$WORK/urls.ndjson" >/dev/null || die "files without being asked"
stop_service || die "the service did not stop in order"
"$OUT/fulmar" get posts @practice_100 -n 30 --media download --out "$WORK/own/" --config "$WORK/fulmar.yaml" \
    2>"$WORK/get.log" || die "get with a service of its own ended with $?: $(cat "$WORK/get.log")"
[ "$(find "$WORK/own/media" -type f | wc -l)" = "$(jq -s '[.[].media[]? | select(.file)] | length' "$WORK/own/posts.ndjson")" ] ||
    die "files of an embedded service"
check

# ---- limits cost files, never records ----

restart() { # LINE of the section media
    [ -z "$SERVICE_PID" ] || stop_service || die "the service did not stop in order"
    sed -i "/^media:/,/^[a-z]*:/{/^  [jt]o[bt].*_bytes:/d}; s/^media:/&\n  $1/" "$WORK/fulmar.yaml"
    start_service
}
limited() { # SETTING
    local id
    id=$(order posts @practice_700 80)
    wait_job "$id" 60
    [ "$(job "$id" | jq -r '[.state,.attempts.failed|tostring]|join(" ")')" = "succeeded 0" ] ||
        die "$1: $(job "$id" | jq -c '{state,failure,attempts}')"
    same_as_truth "$id" posts @practice_700 80 || die "$1: the records are not the truth"
    posts_of "$id" | jq -e --arg why "$1" -s 'any(.[].media[]?; .file_error.class == "resource" and (.file_error.why | test($why)))' \
        >/dev/null || die "$1: no file says so"
    check
}
restart "job_bytes: 200KiB"
limited media.job_bytes
restart "total_bytes: 0"
limited media.total_bytes
restart "total_bytes: 1GiB"

# ---- a process dies at any point: the job goes on where the part ended ----

arm() { # POINT SKIP
    printf -- '-K%s%s\n' "$2" "$1" 1<>"$FULMAR_FAULTS"
    printf A 1<>"$FULMAR_FAULTS"
}
fired() { [ "$(head -c 1 "$FULMAR_FAULTS")" = F ]; }
# Every file has a row and every row its file, once upkeep has been there.
held() { jq -r '.media[]? | .file.path // empty' "$@" | sort -u; }
nothing_loose() {
    [ "$(call http://fulmar/metrics | sed -n 's/^fulmar_files //p')" = "$(files_on_disk)" ]
}
died=0
killed() { # POINT SKIP TARGET
    local id
    arm "$1" "$2"
    id=$(order posts "$3" 60)
    wait_until 30 "$1: the point is reached" fired
    wait_until 20 "$1: API answers again" api_up
    [ -n "$id" ] || id=$(call 'http://fulmar/v1/jobs?limit=1' | jq -r '.data[0].id')
    wait_job "$id" 90
    [ "$(job_state "$id")" = succeeded ] || die "$1: $(job "$id" | jq -c '{state,failure}')"
    same_as_truth "$id" posts "$3" 60 || die "$1: the records are not the truth"
    same_files "$id"
    wait_until 60 "$1: a file without a row is left" nothing_loose
    # Only what was gone on with is a part of a file; what is cut by the site does not count.
    gone_on=$(jq -s --slurpfile truth "$WORK/truth.media" \
        '[.[].media[]? | select(.file.http_status == 206 and $truth[0][.file.url].outcome != "cut")] | length' "$WORK/records")
    [ "$1" != node.download ] || [ "$gone_on" -ge 1 ] || die "$1: nothing was gone on with"
    died=$((died + 1))
}
if [ -n "${FULMAR_FAULTS:-}" ]; then
    killed worker.download 3 @practice_201
    killed node.download 0 @practice_202
    killed node.download 7 @practice_203
    killed store.file 0 @practice_204
    killed store.file 4 @practice_205
    killed egress.relay 9 @practice_206
    [ "$(parts_on_disk)" = 0 ] || die "parts are left: $(ls "$WORK/state/files/part")"
fi

# ---- what no job holds goes ----

stop_service || die "the service did not stop in order"
sed -i 's/^store:/&\n  retention: 1s/' "$WORK/fulmar.yaml"
start_service
none_left() { [ "$(files_on_disk)" = 0 ]; }
wait_until 60 "files of jobs that are gone" none_left
check
stop_service || die "the service did not stop in order"

# ---- no room ----

if mkdir "$WORK/disk" && mount -t tmpfs -o size=40m tmpfs "$WORK/disk" 2>/dev/null; then
    # shellcheck disable=SC2064,SC2154
    trap "code=\$?; umount -l '$WORK/disk'; (exit \$code); finish" EXIT
    chmod 755 "$WORK/disk"
    unset FULMAR_FAULTS
    sed -i "s#^  path: $WORK/state#  path: $WORK/disk/state#; /^  retention:/d" "$WORK/fulmar.yaml"
    SOCK() { echo "$WORK/disk/state/fulmar.sock"; }
    start_service
    free=$(($(stat -f -c '%a * %S' "$WORK/disk") / 1024))
    dd if=/dev/zero of="$WORK/disk/filler" bs=1k count=$((free - 2048)) 2>/dev/null
    limited store.disk_floor
    stop_service || die "the service did not stop in order"
fi
say "media: $CHECKS checks, $died kills; $files files equal the truth, $failed said why not"
