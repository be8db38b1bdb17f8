#!/bin/bash
# The disk fills while jobs run: nobody is charged for it, nothing new is taken in, and when there is
# room again everything goes on from its last batch. Needs to mount a small file system: root only.
OUT=$1
. "$(dirname "$0")/lib.sh"
mkdir "$WORK/disk"
if ! mount -t tmpfs -o size=40m tmpfs "$WORK/disk" 2>/dev/null; then
    say "disk: skipped: no file system can be mounted here (needs root)"
    exit 0
fi
# shellcheck disable=SC2064,SC2154
trap "code=\$?; umount -l '$WORK/disk'; (exit \$code); finish" EXIT
chmod 755 "$WORK/disk"
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 2
EOF
start_practice
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":60}'
write_config
sed -i "s#^  path: $WORK/state#  path: $WORK/disk/state#" "$WORK/fulmar.yaml"
SOCK() { echo "$WORK/disk/state/fulmar.sock"; }
start_service
first=$(submit posts @practice_500 500)
second=$(submit posts @practice_700 700)
some_posts() { [ "$(job "$1" | jq -r .counts.posts)" -ge 40 ]; }
wait_until 30 "the first job has posts" some_posts "$first"
dd if=/dev/zero of="$WORK/disk/filler" bs=64k 2>/dev/null
refused() { grep -q 'job.commit_waits' "$WORK/service.log"; }
wait_until 30 "a batch is refused by the full disk" refused
answer=$(call -H 'Content-Type: application/json' -d '{"kind":"posts","target":"@practice_100"}' http://fulmar/v1/jobs)
[ "$(jq -r .status <<<"$answer")" = 507 ] || die "a full disk accepted a job: $answer"
jq -e '.detail | test("store.path")' <<<"$answer" >/dev/null || die "no way out in: $answer"
check
kept() { [ "$(job "$first" | jq -c '[.state, .attempts.released]')" = '["active",0]' ]; }
kept || die "the page that the disk has no room for was not kept: $(job "$first" | jq -c '{state,attempts}')"
rm "$WORK/disk/filler"
wait_job "$first" 60
wait_job "$second" 60
for id in $first $second; do
    [ "$(job "$id" | jq -r '.attempts.failed + .attempts.crashed + .attempts.released')" = 0 ] ||
        die "the full disk was charged to, or asked for anew, $id: $(job "$id" | jq -c '{attempts,failure}')"
done
same_as_truth "$first" posts @practice_500 500 || die "$first differs from the truth"
same_as_truth "$second" posts @practice_700 700 || die "$second differs from the truth"
stop_service || die "the service did not stop in order ($?)"
say "disk: full for a while; 2 jobs went on and equal the truth"
