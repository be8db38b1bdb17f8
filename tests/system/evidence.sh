#!/bin/bash
# What jobs read, kept as evidence: nothing of a good job, all of one that is asked to show it, the last pages
# and pictures of one that fails; nothing in it that identifies anybody. With the pack mended the same
# evidence gives the records without any traffic, and a dead job is repaired.
OUT=$1
STRATEGY=capture # what the page shows instead has a part of its own below
. "$(dirname "$0")/lib.sh"
: "${WORK:?folder of the test}"
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
job:
  attempt_timeout: 15s
  grace: 1s
  batch_timeout: 3s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 1
EOF
start_practice
start_service
artifacts() { call "http://fulmar/v1/jobs/$1/artifacts"; }
count_of() { artifacts "$1" | jq "[.data[] | select(.kind == \"$2\")] | length"; }
expect_code() { # CODE COMMAND…
    local want=$1 code=0
    shift
    "$@" >"$WORK/out" 2>"$WORK/said" || code=$?
    check
    [ "$code" = "$want" ] || die "$* ended with $code, not $want: $(cat "$WORK/out" "$WORK/said")"
}

# ---- a good job ----
good=$(submit posts @practice_100 60)
wait_job "$good" 40
[ "$(artifacts "$good" | jq -c '[.data, .not_kept]')" = '[[],[]]' ] || die "a good job keeps evidence: $(artifacts "$good")"
expect_code 5 fulmar artifacts "$good"
expect_code 5 fulmar replay "$good"
grep -q 'no answer in its evidence' "$WORK/said" || die "it does not say that there is none: $(cat "$WORK/said")"

shown=$(call -H 'Content-Type: application/json' -d '{"kind":"posts","target":"@practice_100","limit":60,"evidence":"always"}' http://fulmar/v1/jobs | jq -r .id)
wait_job "$shown" 40
[ "$(count_of "$shown" response)" -ge 4 ] || die "not every page was kept: $(artifacts "$shown")"
[ "$(count_of "$shown" screenshot)" = 0 ] || die "a good job has a picture"
expect_code 0 fulmar replay "$shown"
grep -q '0 gained, 0 lost, 0 changed' "$WORK/said" || die "the same pack reads something else: $(cat "$WORK/said")"
expect_code 11 fulmar replay "$shown" --apply
say "evidence: a good job keeps nothing, one that is asked keeps $(count_of "$shown" response) answers that read the same"

# ---- the site changes ----
panel '{"mutation":1}'
drifted=$(submit posts @practice_100 60)
second=$(submit posts @practice_500 30)
wait_job "$drifted" 40
wait_job "$second" 40
[ "$(job_class "$drifted")" = drift ] || die "$drifted ended as $(job_class "$drifted")"
panel '{"mutation":0}'
for kind in response screenshot dom; do
    [ "$(count_of "$drifted" "$kind")" -ge 1 ] || die "no $kind of the drifted job: $(artifacts "$drifted")"
done
expect_code 0 fulmar artifacts "$drifted" --out "$WORK/pieces"
[ "$(head -c 3 "$WORK"/pieces/screenshot-*.jpg | od -An -tx1 | tr -d ' ')" = ffd8ff ] || die "the screenshot is no JPEG"
grep -q 'data-testid' "$WORK"/pieces/dom-*.htm || die "the page is not in its dom"
! grep -qiE '<script|<style|onclick=' "$WORK"/pieces/dom-*.htm || die "scripts or styles are in the dom"
grep -q body_text "$WORK"/pieces/UserTweets-*.json || die "the answer is not as it came"
for file in "$WORK"/pieces/*.*; do
    [ "${file##*.}" = list ] && continue
    n=${file##*-}
    n=${n%.*}
    [ "$(sha256sum <"$file" | cut -d' ' -f1)" = "$(artifacts "$drifted" | jq -r ".data[] | select(.n == $n) | .sha256")" ] ||
        die "$file is not what its digest says"
    check
done

# ---- with today's pack, and with a mended one ----
expect_code 9 fulmar replay "$drifted"
cp -r "$ROOT/sites" "$WORK/mended"
sed -i 's/legacy\.full_text/legacy.body_text/' "$WORK/mended/x/maps/post.yaml"
before=$(job "$drifted" | jq -c '[.state,.revision,.counts]')
expect_code 0 fulmar replay "$drifted" --site "$WORK/mended/x"
grep -q 'nothing was written' "$WORK/said" || die "not said: $(cat "$WORK/said")"
grep -q '^+ post ' "$WORK/out" || die "no record is gained: $(cat "$WORK/out")"
[ "$(job "$drifted" | jq -c '[.state,.revision,.counts]')" = "$before" ] || die "a replay without --apply changed the job"
kill -STOP "$PRACTICE_PID" # no traffic: the site answers nothing meanwhile
expect_code 0 fulmar replay "$drifted" --site "$WORK/mended/x" --apply --json
kill -CONT "$PRACTICE_PID"
tail -1 "$WORK/out" | jq -e '.applied and .repairs and .verdict == "partial" and .was == "drift" and .gained > 0' >/dev/null ||
    die "not applied: $(tail -1 "$WORK/out")"
[ "$(job "$drifted" | jq -r '[.state,.verdict] | join(" ")')" = "succeeded partial" ] || die "$(job "$drifted")"
job "$drifted" | jq -e '.attempts | .failed + .crashed + .throttled + .released == 0' >/dev/null ||
    die "the attempt is still counted as failed"
have=$(job "$drifted" | jq -r .counts.posts)
[ "$have" -ge 15 ] || die "only $have posts"
same_as_truth "$drifted" posts @practice_100 "$have" || die "the repaired records differ from the truth"
expect_code 11 fulmar replay "$drifted" --site "$WORK/mended/x" --apply
expect_code 0 fulmar replay --failed --class drift --site "$WORK/mended/x"
grep -q "^$second .*would repair" "$WORK/out" || die "the table has no line for $second: $(cat "$WORK/out")"
expect_code 2 fulmar replay --failed --class drift
expect_code 0 fulmar replay --failed --class drift --site "$WORK/mended/x" --apply
[ "$(job_state "$second")" = succeeded ] || die "$second is $(job_state "$second")"
expect_code 64 fulmar replay --failed --class nonsense
say "evidence: a drifted job keeps its pages, a screenshot and the dom; the mended pack repairs it ($have posts, the truth)"

# ---- what the page shows is evidence as well ----
by_dom() { # KIND TARGET LIMIT EVIDENCE → job id
    call -H 'Content-Type: application/json' -d "{\"kind\":\"$1\",\"target\":\"$2\",\"limit\":$3,\"strategy\":\"dom\",\"evidence\":\"$4\"}" \
        http://fulmar/v1/jobs | jq -r .id
}
panel '{"pictures_far":1}'
seen=$(by_dom posts @practice_100 40 always)
wait_job "$seen" 60
[ "$(job "$seen" | jq -r '[.state,.counts.posts|tostring]|join(" ")')" = "succeeded 40" ] || die "$(job "$seen")"
[ "$(artifacts "$seen" | jq -r '[.data[] | select(.kind == "response") | [.strategy,.name] | join(" ")] | unique | join(",")')" = "dom dom" ] ||
    die "what the page showed was not kept: $(artifacts "$seen")"
expect_code 0 fulmar replay "$seen"
grep -q '0 gained, 0 lost, 0 changed' "$WORK/said" || die "the same pack reads something else of the page: $(cat "$WORK/said")"
kinds=$(by_dom profile @practice_100 1 always)
wait_job "$kinds" 60
expect_code 0 fulmar replay "$kinds"
grep -q '0 gained, 0 lost, 0 changed' "$WORK/said" || die "an account by dom reads otherwise: $(cat "$WORK/said")"
panel '{"drift_dom":1}'
moved=$(by_dom posts @practice_100 40 on_failure)
wait_job "$moved" 60
panel '{"drift_dom":0}'
[ "$(job_class "$moved")" = drift ] || die "$moved ended as $(job_class "$moved")"
[ "$(count_of "$moved" response)" -ge 1 ] || die "the page that drifted was not kept: $(artifacts "$moved")"
expect_code 9 fulmar replay "$moved"
cp -r "$ROOT/sites" "$WORK/shown"
sed -i "s/@data-testid='tweet'/@data-testid='postCell'/g; s/@data-testid != 'tweet'/@data-testid != 'postCell'/g" "$WORK/shown/x/maps/dom_page.yaml"
sed -i "s/'tweetText'/'postBody'/g" "$WORK/shown/x/maps/dom_post.yaml"
kill -STOP "$PRACTICE_PID"
expect_code 0 fulmar replay --failed --class drift --site "$WORK/shown/x"
grep -q "^$moved .*would repair" "$WORK/out" || die "the outage has no line for $moved: $(cat "$WORK/out")"
expect_code 0 fulmar replay "$moved" --site "$WORK/shown/x" --apply --json
kill -CONT "$PRACTICE_PID"
tail -1 "$WORK/out" | jq -e '.applied and .repairs and .verdict == "partial" and .was == "drift" and .gained > 0' >/dev/null ||
    die "not applied: $(tail -1 "$WORK/out")"
posts_of "$moved" | jq -cS "$BOTH ours" | sort >"$WORK/got"
curl -sS "$SITE/$(truth_path posts @practice_100)" | jq -cS "$BOTH truth" | sort >"$WORK/truth"
[ -s "$WORK/got" ] && [ -z "$(comm -23 "$WORK/got" "$WORK/truth")" ] || die "what was repaired is not the truth: $(comm -23 "$WORK/got" "$WORK/truth" | head -2)"
fulmar artifacts "$seen" --warc "$WORK/seen.warc" 2>/dev/null || die "no WARC of a page"
grep -aq 'fulmar-strategy: dom' "$WORK/seen.warc" || die "the WARC does not say that it is what the page showed"
say "evidence: what the page showed reads the same again; a mended pack repairs a dom that drifted ($(wc -l <"$WORK/got") posts, the truth)"

# ---- a strategy that drifted, made up for by the next one: what it read and a picture of its page stay ----
panel '{"drift":1}'
rescued=$(STRATEGY='' submit posts @practice_100 40)
wait_job "$rescued" 60
panel '{"drift":0}'
[ "$(job "$rescued" | jq -c '[.state,.counts.posts,[.report.sources[] | [.source,.state]]]')" = '["succeeded",40,[["capture","drift"],["dom","ok"]]]' ] ||
    die "dom did not make up for it: $(job "$rescued" | jq -c '{state,counts,report}')"
[ "$(artifacts "$rescued" | jq -c '[.data[] | select(.kind != "response") | [.kind,.reason]] | sort')" = '[["dom","drift"],["screenshot","drift"]]' ] ||
    die "no picture of the page that drifted: $(artifacts "$rescued")"
[ "$(artifacts "$rescued" | jq '[.data[] | select(.kind == "response" and .strategy == "capture" and .reason == "drift")] | length > 0')" = true ] ||
    die "what drifted was not kept: $(artifacts "$rescued")"
expect_code 0 fulmar artifacts "$rescued" --out "$WORK/rescued"
[ "$(head -c 3 "$WORK"/rescued/screenshot-*.jpg | od -An -tx1 | tr -d ' ')" = ffd8ff ] || die "the screenshot is no JPEG"
grep -q 'data-testid' "$WORK"/rescued/dom-*.htm || die "the page is not in its dom"
calm=$(STRATEGY='' submit posts @practice_100 40)
wait_job "$calm" 60
[ "$(artifacts "$calm" | jq -c '[.data, .not_kept]')" = '[[],[]]' ] || die "a good job keeps evidence: $(artifacts "$calm")"
say "evidence: a drift that another strategy made up for keeps its answers, a screenshot and the dom"

# ---- a list without posts and without a word why ----
nothing=$(submit posts @fault_empty 20)
wait_job "$nothing" 60
[ "$(job_class "$nothing")" = empty_suspect ] || die "an empty list ended as $(job_class "$nothing")"
for kind in response screenshot dom; do
    [ "$(artifacts "$nothing" | jq "[.data[] | select(.kind == \"$kind\" and .reason == \"empty_suspect\")] | length")" -ge 1 ] ||
        die "no $kind of a suspicious list: $(artifacts "$nothing")"
done

# ---- a page whose API says nothing ----
panel '{"never":1}'
silent=$(submit posts @practice_700 20)
wait_job "$silent" 60
panel '{"never":0}'
class=$(job_class "$silent")
case $class in timeout | stuck) ;; *) die "a silent page ended as $class" ;; esac
[ "$(artifacts "$silent" | jq '([.data[] | select(.kind == "screenshot")] + [.not_kept[] | select(.kind == "screenshot")]) | length')" = 1 ] ||
    die "neither a screenshot nor a reason: $(artifacts "$silent")"
expect_code 5 fulmar replay "$silent"

# ---- a page that falls silent in the middle of its list ----
panel '{"latency_ms":300}'
fell=$(submit posts @practice_700 600)
has_some() { [ "$(job "$fell" | jq .counts.posts)" -gt 0 ]; }
wait_until 30 "the first posts" has_some
panel '{"latency_ms":0,"never":1}'
wait_job "$fell" 90
panel '{"never":0}'
[ "$(job_class "$fell")" = stuck ] || die "a page that fell silent ended as $(job_class "$fell")"
for kind in screenshot dom; do
    [ "$(artifacts "$fell" | jq "[.data[] | select(.kind == \"$kind\" and .reason == \"stuck\")] | length")" -ge 1 ] ||
        die "no $kind of a page that fell silent: $(artifacts "$fell")"
done
say "evidence: a page that falls silent in the middle of its list is stuck, with a screenshot and the dom"

# ---- a page that is busy for ever: no picture, but the reason, and the job ends all the same ----
busy=$(submit posts @fault_loop 20)
wait_job "$busy" 40
[ "$(artifacts "$busy" | jq -c '[.not_kept[] | select(.reason == "page_silent") | .kind]')" = '["screenshot","dom"]' ] ||
    die "it does not say why there is no picture: $(artifacts "$busy")"
[ "$(job "$busy" | jq '.timings.running_ms < 25000')" = true ] || die "the picture delayed the end: $(job "$busy" | jq -c .timings)"
check
say "evidence: a page that never answers gives no picture; the list says why"

# ---- a browser that dies under its job: no picture of either kind, and the reason of both ----
panel '{"latency_ms":400}'
orphan=$(submit posts @practice_300 200)
is_reading() { [ "$(job "$orphan" | jq -r '.counts.posts // 0')" -ge 20 ]; }
wait_until 30 "the job reads" is_reading
# shellcheck disable=SC2046
kill -KILL $(role_pids browser)
says_gone() { [ "$(artifacts "$orphan" | jq -c '[.not_kept[] | select(.reason == "page_gone") | .kind] | sort')" = '["dom","screenshot"]' ]; }
wait_until 20 "the list says that the page is gone: $(artifacts "$orphan")" says_gone
grep -q "job.ended job=$orphan .*failure=browser" "$WORK/service.log" || die "it did not end by its browser: $(grep "$orphan" "$WORK/service.log" | tail -3)"
panel '{}'
wait_job "$orphan" 60
[ "$(job_state "$orphan")" = succeeded ] || die "the next browser did not finish it: $(job "$orphan")"
[ "$(count_of "$orphan" screenshot)" = 0 ] || die "a picture of a page that is gone"
check
say "evidence: a browser that dies under its job leaves no picture, and the list says so for both kinds"

# ---- WARC ----
fulmar artifacts "$shown" --warc "$WORK/job.warc" 2>/dev/null || die "no WARC"
fulmar artifacts "$shown" --warc "$WORK/job.warc.gz" 2>/dev/null || die "no compressed WARC"
python3 "$ROOT/tests/system/warc.py" "$WORK/job.warc" "$WORK/job.warc.gz" "$(count_of "$shown" response)" ||
    die "the WARC is not as ISO 28500 has it"
check
say "evidence: WARC 1.1, plain and compressed by record, read by another reader"

# ---- nothing that identifies anybody ----
for id in "$shown" "$drifted" "$silent" "$second" "$seen" "$moved"; do
    artifacts "$id"
    fulmar artifacts "$id" --warc "$WORK/$id.warc" 2>/dev/null
done >"$WORK/all.json"
if grep -ailE 'set-cookie|"cookie"|authorization|bearer ' "$WORK/all.json" "$WORK"/*.warc "$WORK/state/fulmar.db" "$WORK/state/fulmar.db-wal"; then
    die "a cookie or an authorization was stored"
fi
check

# ---- what is too old goes, with its files; so do files that no row names ----
stop_service || die "the service did not stop in order ($?)"
files() { find "$WORK/state/evidence" -name '*.zst' 2>/dev/null | wc -l; }
[ "$(files)" -gt 3 ] || die "there are no files"
zeros=$(printf '0%.0s' $(seq 64))
mkdir -p "$WORK/state/evidence/00"
cp "$(find "$WORK/state/evidence" -name '*.zst' | head -1)" "$WORK/state/evidence/00/$zeros.zst"
echo half >"$WORK/state/evidence/00/$zeros.new"
chown -R --reference="$WORK/state/fulmar.db" "$WORK/state/evidence"
printf 'evidence:\n  age: 1s\n' >>"$WORK/fulmar.yaml"
start_service
none_left() { [ "$(files)" = 0 ] && [ ! -e "$WORK/state/evidence/00" ]; }
wait_until 40 "old evidence and files without a row are removed" none_left
[ "$(artifacts "$second" | jq -r '.not_kept[] | select(.reason == "expired" and .kind == "response") | .count > 0')" = true ] ||
    die "it does not say that it expired: $(artifacts "$second")"
gauge_is_0() { [ "$(call http://fulmar/metrics | sed -n 's/^fulmar_evidence_bytes //p')" = 0 ]; }
wait_until 20 "the gauge is 0" gauge_is_0
expect_code 5 fulmar replay "$second"
stop_service || die "the service did not stop in order ($?)"
say "evidence: what is too old and what no row names is removed; $CHECKS checks"
