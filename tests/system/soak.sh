#!/bin/bash
# Jobs one after the other on one service: nothing grows. SOAK_JOBS=500 by default. After 20 jobs and
# at the end: processes, descriptors, memory (PSS) and files. Ours: no more than 10 % + 2 MB of growth, as
# many processes and descriptors as before. The browser is shown; it may be a replaced one.
OUT=$1
. "$(dirname "$0")/lib.sh"
JOBS=${SOAK_JOBS:-500}
FIRST=20
[ "$JOBS" -gt "$FIRST" ] || die "SOAK_JOBS must be above $FIRST"

start_practice
cat >"$WORK/extra.yaml" <<EOT
worker:
  count: 2
browser:
  count: 1
EOT
start_service
marker=$WORK/marker
touch "$marker"

role_of() { # PID
    [ "$1" = "$SERVICE_PID" ] && echo supervisor && return
    local command
    command=$(tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline")
    case "$command" in
    "fulmar: "*) command=${command#fulmar: } && echo "${command%% *}" ;;
    *chromium*) echo browser ;;
    *) echo other ;;
    esac
}
# ROLE PROCESSES DESCRIPTORS PSS_KB, a line for each role.
snapshot() {
    local pid
    for pid in "$SERVICE_PID" $(tree "$SERVICE_PID"); do
        [ -r "/proc/$pid/smaps_rollup" ] || continue
        echo "$(role_of "$pid") $(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l)" \
            "$(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup" 2>/dev/null)"
    done | awk '{ n[$1]++; fd[$1] += $2; kb[$1] += $3 }
        END { for (role in n) print role, n[role], fd[role], kb[role] }' | sort
}
leftovers() {
    find "$WORK/state/run" -mindepth 1 -maxdepth 1 2>/dev/null
    find "${TMPDIR:-/tmp}" -maxdepth 1 -newer "$marker" \
        \( -name '.org.chromium*' -o -name '.com.google*' -o -name 'scoped_dir*' -o -name 'org.chromium*' \) 2>/dev/null
}
# Processes of each role, descriptors of ours, files: what must be the same again.
shape() {
    snapshot | awk '$1 == "browser" { print $1, $2 } $1 != "browser" { print $1, $2, $3 }'
    echo "files $(leftovers | wc -l)"
}
# The shape holds still: no context is being opened or disposed of, no connection is ending.
steady() {
    shape >"$WORK/shape.a"
    sleep 0.5
    shape >"$WORK/shape.b"
    cmp -s "$WORK/shape.a" "$WORK/shape.b"
}
as_at_start() {
    shape >"$WORK/shape.now"
    cmp -s "$WORK/shape.start" "$WORK/shape.now"
}
one_job() { # NUMBER
    local id account=practice_$((300 + $1 % 50))
    id=$(submit posts "@$account" 40)
    [ -n "$id" ] || die "job $1 was not accepted"
    wait_job "$id" 60
    [ "$(job_state "$id")" = succeeded ] || die "job $1 (@$account): $(job "$id" | jq -c '{state,failure}')"
    [ $(($1 % 25)) -ne 0 ] || same_as_truth "$id" posts "@$account" 40 || die "job $1 differs from the truth"
}

began=$(date +%s)
for ((i = 1; i <= JOBS; i++)); do
    one_job $i
    if [ $i -eq $FIRST ]; then
        wait_until 30 "the service is steady after $FIRST jobs" steady
        cp "$WORK/shape.b" "$WORK/shape.start"
        snapshot >"$WORK/start"
        [ -s "$WORK/start" ] || die "the memory of the processes cannot be read"
    fi
done
took=$(($(date +%s) - began))
flat=yes
deadline=$(($(date +%s) + 30))
until as_at_start; do
    if [ "$(date +%s)" -gt $deadline ]; then
        say "processes, descriptors or files are not as at the start:"
        diff "$WORK/shape.start" "$WORK/shape.now"
        leftovers
        flat=no
        break
    fi
    sleep 0.2
done
snapshot >"$WORK/end"
join "$WORK/start" "$WORK/end" | awk '
    BEGIN { printf "%-12s %9s %13s %20s %9s\n", "process", "number", "descriptors", "PSS MB start → end", "growth" }
    {
        over = $1 != "browser" && $7 - $4 > $4 / 10 + 2048
        grown += over
        printf "%-12s %4d → %2d %6d → %4d %8.1f → %7.1f %7.1f %%%s\n", $1, $2, $5, $3, $6, $4 / 1024, $7 / 1024,
            ($7 - $4) * 100 / $4, over ? "  GREW" : ""
    }
    END { exit grown > 0 }' || flat=no
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
[ $flat = yes ] || die "something grew in $JOBS jobs"
say "soak: $JOBS jobs in $took s, $CHECKS compared with the truth, nothing grew"
