#!/bin/bash
# Where fields come from, seen from outside: counts of every job arrive, a member of accounts that goes
# under another name shows in the table and in /metrics although every job ends well, and so does what
# nobody knows. The days before are made by moving the counts of an hour ago back by two days.
OUT=$1
. "$(dirname "$0")/lib.sh"
command -v sqlite3 >/dev/null || { say "fields: skipped, no sqlite3"; exit 0; }
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 3
job:
  batch_timeout: 3s
EOF
start_practice
start_service
mutation() {
    curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "{\"mutation\":$1}"
}
fields() { call "http://fulmar/v1/sites/x/fields?hours=24"; }
field() { fields | jq -c --arg name "$1" '.fields[] | select(.name == $name)'; }
accounts() { # COUNT: as many profiles, all ended well
    local ids=() id
    for ((i = 0; i < $1; i++)); do ids+=("$(submit profile @practice_$((100 + i)))"); done
    for id in "${ids[@]}"; do
        wait_job "$id" 60
        [ "$(job_state "$id")" = succeeded ] || die "a profile did not end well: $(job "$id" | jq -c .failure)"
    done
}

check
[ "$(fields | jq -c '[.version, .changed, (.fields | length)]')" = '[null,0,0]' ] || die "counts before any job: $(fields)"

accounts 22
posts=$(submit posts @practice_100 60)
wait_job "$posts" 60
check
[ "$(field user.created_at | jq '[.now.missing, .now.paths[0]] | add')" = 1 ] || die "accounts: $(field user.created_at)"
check
[ "$(field post.text_raw | jq '.now.records >= 60')" = true ] || die "posts: $(field post.text_raw)"
check
[ "$(job "$posts" | jq -c '[.counts.rejected, .counts.conflicts]')" = '[0,0]' ] ||
    die "a healthy job: $(job "$posts" | jq -c .counts), $(call "http://fulmar/v1/jobs/$posts/rejected" | head -c 800)"
check # every member the site sends is known, and every check holds
[ "$(fields | jq '.unknown_members | length')" = 0 ] || die "unknown: $(fields | jq -c .unknown_members)"
check
[ "$(posts_of "$posts" | jq -c '[.quality.checks[] | select(. == "fail")] | length' | sort -u)" = 0 ] ||
    die "checks: $(posts_of "$posts" | jq -c 'select(.quality.score < 100) | .quality' | head -3)"

sqlite3 -cmd '.timeout 5000' "$WORK/state/fulmar.db" 'UPDATE field_counts SET hour = hour - 48' || die "the counts could not be moved"
mutation 4 # "created_at" under another name
accounts 6
mutation 0
check
[ "$(field user.created_at | jq -c '[.now.missing, .before.missing, .changed]')" = '[1,0,"missing"]' ] ||
    die "renamed: $(field user.created_at)"
check
[ "$(fields | jq -c '[.unknown_members[] | select(.name == "user.core.posted_at") | .seen, .changed]')" = '[6,"member"]' ] ||
    die "new member: $(fields | jq -c .unknown_members)"
check
"$OUT/fulmar" site fields x --server "unix:$(SOCK)" >"$WORK/table" 2>"$WORK/note" || die "the table: $(cat "$WORK/note")"
grep -q '^! user.created_at .*missing$' "$WORK/table" || die "the table: $(head -20 "$WORK/table")"
grep -q '^! user.core.posted_at' "$WORK/table" || die "the table: $(tail -5 "$WORK/table")"
grep -q 'changed (marked !)' "$WORK/note" || die "the note: $(cat "$WORK/note")"
check
call http://fulmar/metrics >"$WORK/metrics"
grep -q "^fulmar_drift_fields{mark=\"missing\"} " "$WORK/metrics" || die "no metric"
stop_service || die "the service did not stop in order ($?)"
say "fields: a renamed member of accounts shows after 6 of them, $CHECKS checks"
