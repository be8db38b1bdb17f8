#!/bin/bash
# Site packs change under a running service: what runs keeps the pack that it started with, what comes
# next has the new one, a broken one changes nothing but the words that say where, and nothing is lost.
OUT=$1
. "$(dirname "$0")/lib.sh"
RELOADS=${RELOADS:-20}
FDS_SLACK=6 # connections of ours that are just being closed

start_practice
curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d '{"latency_ms":40}'
mkdir "$WORK/sites"
cp -R "$ROOT/sites/x" "$WORK/sites/x"
chmod -R a+rX "$WORK/sites"
two_workers
write_config
sed -i -e "s#^  path: $ROOT/sites#  path: $WORK/sites\n  reload: 200ms#" \
    -e "s#^  base_url: .*#  base_url: [\"x=$SITE\", \"second=$SITE\"]#" "$WORK/fulmar.yaml"
start_service

verbose() { call 'http://fulmar/readyz?verbose'; }
site_of() { verbose | jq -c --arg name "$1" '.sites[] | select(.name == $name)'; }
version_is() { [ "$(site_of "$1" | jq -r .version)" = "$2" ]; }
error_has() { site_of "$1" | jq -r '.last_error // ""' | grep -qE -- "$2"; }
no_error() { [ -n "$(site_of "$1")" ] && [ "$(site_of "$1" | jq -r .last_error)" = null ]; }
is_gone() { [ -z "$(site_of "$1")" ]; }
set_version() { sed -i "s/^version: .*/version: $2/" "$WORK/sites/$1/site.yaml"; }
read_by() { job "$1" | jq -r .report.pack.version; }
has_posts() { [ "$(job "$1" | jq -r '.counts.posts // 0')" -ge 20 ]; }
ended_well() { [ "$(job_state "$1")" = succeeded ] || die "$2: $(job "$1" | jq -c '{state,failure}')"; }

# ---- a better version

long=$(submit posts @practice_500 400)
wait_until 20 "the job runs" has_posts "$long"
sed -i 's/^  lang: .*/  lang: {value: changed}/' "$WORK/sites/x/maps/post.yaml"
set_version x 2
wait_until 10 "the new version is used" version_is x 2
[ "$(job_state "$long")" = active ] || die "the long job had ended before the pack was changed"
next=$(submit posts @practice_100 30)
wait_job "$next"
wait_job "$long"
ended_well "$long" "the job that ran while the pack was changed"
[ "$(read_by "$long")" = 1 ] || die "the running job was read by version $(read_by "$long")"
same_as_truth "$long" posts @practice_500 400 || die "the running job differs from the truth"
ended_well "$next" "the job after the change"
[ "$(read_by "$next")" = 2 ] || die "the next job was read by version $(read_by "$next")"
[ "$(posts_of "$next" | jq -r .lang | sort -u)" = changed ] || die "the next job was not read by the new map"
[ "$(job "$long" | jq -r '.report.pack.hash')" != "$(job "$next" | jq -r '.report.pack.hash')" ] || die "both versions have one hash"
cp "$ROOT/sites/x/maps/post.yaml" "$WORK/sites/x/maps/post.yaml"
set_version x 3
wait_until 10 "the third version is used" version_is x 3
say "reload: a running job kept its pack and equals the truth, the next one had the new pack"

# ---- a broken version

line=$(grep -n '^    capture:' "$WORK/sites/x/site.yaml" | head -1 | cut -d: -f1)
running=$(submit posts @practice_500 200)
wait_until 20 "the job runs" has_posts "$running"
sed -i "${line}s/capture/captur/" "$WORK/sites/x/site.yaml"
set_version x 4
wait_until 10 "it is refused" error_has x "x/site.yaml:$line:5: .*captur.*did you mean 'capture'"
grep -q "site.refused name=x .*x/site.yaml:$line:5: " "$WORK/service.log" || die "the log does not say where"
[ "$(metric 'fulmar_site_reloads_total{result="refused"}')" -ge 1 ] || die "the refusal was not counted"
version_is x 3 || die "the broken version is in use"
after=$(submit posts @practice_100 30)
for id in "$running" "$after"; do
    wait_job "$id"
    ended_well "$id" "a job while the pack is broken"
    [ "$(read_by "$id")" = 3 ] || die "while the pack is broken a job was read by version $(read_by "$id")"
done
same_as_truth "$running" posts @practice_500 200 || die "while the pack is broken a job differs"
# A node that is started again must not fall over what the one before had refused.
node=$(role_pids node)
kill -KILL "$node"
wait_until 20 "a new node" gone "$node"
wait_until 20 "API answers again" api_up
wait_until 30 "ready again" service_ready
version_is x 3 || die "the new node uses $(site_of x)"
error_has x "x/site.yaml:$line:5: " || die "the new node does not say that the pack is broken: $(site_of x)"
id=$(submit posts @practice_100 30)
wait_job "$id"
ended_well "$id" "a job of a new node while the pack is broken"
sed -i "${line}s/captur/capture/" "$WORK/sites/x/site.yaml"
wait_until 10 "the mended version is used" version_is x 4
no_error x || die "the old error is still shown: $(site_of x)"
say "reload: a broken pack was refused with its place and jobs went on, also with a new node"

# ---- asked for by signal

set_version x 5
kill -HUP "$SERVICE_PID"
wait_until 5 "SIGHUP reads it" version_is x 5
before=$(metric 'fulmar_site_reloads_total{result="loaded"}')
asked=$(logged node.reload)
asked_again() { [ "$(logged node.reload)" -gt "$asked" ]; }
kill -HUP "$SERVICE_PID"
wait_until 5 "SIGHUP is in the log" asked_again
id=$(submit posts @practice_100 30)
wait_job "$id"
ended_well "$id" "a job after SIGHUP"
[ "$(metric 'fulmar_site_reloads_total{result="loaded"}')" = "$before" ] || die "a pack that did not change was taken for a new one"

# ---- a site comes, and goes

cp -R "$WORK/sites/x" "$WORK/second"
sed -i 's/^name: x/name: second/' "$WORK/second/site.yaml"
mv "$WORK/second" "$WORK/sites/second"
wait_until 10 "the new site is there" no_error second
submit_to() { # SITE TARGET LIMIT
    call -H 'Content-Type: application/json' -d "{\"site\":\"$1\",\"kind\":\"posts\",\"target\":\"$2\",\"limit\":$3}" http://fulmar/v1/jobs
}
id=$(submit_to second @practice_100 30 | jq -r .id)
wait_job "$id"
ended_well "$id" "a job of the new site"
[ "$(job "$id" | jq -r .report.pack.name)" = second ] || die "it was not read by the new pack"
one=$(submit_to second @practice_500 300 | jq -r .id)
two=$(submit posts @practice_500 300)
wait_until 20 "both workers are busy" has_posts "$one"
wait_until 20 "both workers are busy" has_posts "$two"
queued=$(submit_to second @practice_100 30 | jq -r .id)
rm -r "$WORK/sites/second"
wait_until 10 "the site is gone" is_gone second
submit_to second @practice_100 30 | jq -e '.errors[0].pointer == "/site"' >/dev/null || die "a removed site takes jobs"
wait_job "$one"
wait_job "$two"
ended_well "$one" "the running job of the site that was removed"
same_as_truth "$one" posts @practice_500 300 || die "the running job of the removed site differs"
# Another node may have the pack, or this one again: the job is given back, and says why.
given_back() { job "$queued" | jq -e '.state == "scheduled" and .attempts.released > 3 and .attempts.failed == 0' >/dev/null; }
wait_until 20 "the waiting job of the removed site is given back: $(job "$queued" | jq -c '{state,attempts}')" given_back
job "$queued" | jq -r .failure.why | grep -q 'no site pack of that name' || die "its reason: $(job "$queued" | jq -c '{state,failure}')"
cp -R "$WORK/sites/x" "$WORK/second"
sed -i 's/^name: x/name: second/' "$WORK/second/site.yaml"
mv "$WORK/second" "$WORK/sites/second"
wait_job "$queued"
ended_well "$queued" "the waiting job of a site that was put back"
rm -r "$WORK/sites/second"
wait_until 10 "the site is gone" is_gone second
say "reload: a site came and went; its running job ended well, its waiting job when the site was put back"

# ---- again and again, under jobs

fds_of_node() { find "/proc/$(role_pids node)/fd" -mindepth 1 2>/dev/null | wc -l; }
workers_settled() { [ "$(role_pids worker | wc -l)" = 2 ] && [ "$(metric 'fulmar_workers{state="idle"}')" = 2 ]; }
wait_until 20 "both workers are idle" workers_settled
fds_before=$(fds_of_node)
fds_settled() { [ "$(fds_of_node)" -le $((fds_before + FDS_SLACK)) ]; }
declare -a ids
for ((i = 0; i < RELOADS; i++)); do
    ids+=("$(submit posts @practice_100 $((40 + i)))")
    set_version x $((100 + i))
    [ $((i % 2)) = 0 ] && kill -HUP "$SERVICE_PID"
    wait_until 10 "reload $i" version_is x $((100 + i))
done
for ((i = 0; i < RELOADS; i++)); do
    wait_job "${ids[i]}"
    ended_well "${ids[i]}" "job $i of the many reloads"
    same_as_truth "${ids[i]}" posts @practice_100 $((40 + i)) || die "job $i of the many reloads differs"
    [ "$(job "${ids[i]}" | jq -r .attempts.started)" = 1 ] || die "job $i was started again: $(job "${ids[i]}" | jq -c .attempts)"
done
wait_until 20 "both workers are idle: $(role_pids worker | wc -l)" workers_settled
wait_until 10 "descriptors of the node: $fds_before before, $(fds_of_node) after" fds_settled
fds_after=$(fds_of_node)
[ "$(metric 'fulmar_worker_restarts_total{reason="version"}')" = 0 ] || die "a worker had read other packs than node"
[ "$(logged 'site.loaded name=x version=1')" -ge "$RELOADS" ] || die "not every reload is in the log"
stop_service || die "the service did not stop in order ($?)"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
say "reload: $RELOADS reloads under jobs, every job ended at its first attempt and equals the truth; descriptors of the node $fds_before, then $fds_after"
