#!/bin/bash
# Jobs one after the other on one service: nothing grows. SOAK_JOBS=500 by default. After 20 jobs and
# at the end: processes, descriptors, memory and files. Ours: as many processes as before, no more
# descriptors and files, and no more than 10 % + 2 MB of growth. The node may besides keep the pages
# of the database that came meanwhile, up to the size of its cache. The browser is shown; it may be
# a replaced one.
#
# PSS is shown. Growth is judged without its file pages: how those are divided depends on what else
# runs on the machine.
OUT=$1
. "$(dirname "$0")/lib.sh"
JOBS=${SOAK_JOBS:-500}
FIRST=20
CACHE_KB=16384 # of the store (PRAGMA cache_size)
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
# ROLE PROCESSES DESCRIPTORS PSS_KB OWN_KB, a line for each role.
snapshot() {
    local pid
    for pid in "$SERVICE_PID" $(tree "$SERVICE_PID"); do
        [ -r "/proc/$pid/smaps_rollup" ] || continue
        echo "$(role_of "$pid") $(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l)" \
            "$(awk '/^Pss:/ {pss = $2} /^Pss_(Anon|Shmem):/ {own += $2} END {print pss + 0, own + 0}' \
                "/proc/$pid/smaps_rollup" 2>/dev/null)"
    done | awk '{ n[$1]++; fd[$1] += $2; pss[$1] += $3; own[$1] += $4 }
        END { for (role in n) print role, n[role], fd[role], pss[role], own[role] }' | sort
}
database_kb() { echo $(($(stat -c %s "$WORK/state/fulmar.db") / 1024)); }
leftovers() {
    find "$WORK/state/run" -mindepth 1 -maxdepth 1 2>/dev/null
    find "${TMPDIR:-/tmp}" -maxdepth 1 -newer "$marker" \
        \( -name '.org.chromium*' -o -name '.com.google*' -o -name 'scoped_dir*' -o -name 'org.chromium*' \) 2>/dev/null
}
# ROLE PROCESSES DESCRIPTORS (of ours), and files: what must not become more.
shape() {
    snapshot | awk '{ print $1, $2, $1 == "browser" ? 0 : $3 }'
    echo "files 1 $(leftovers | wc -l)"
}
# The shape holds still: no context is being opened or disposed of, no connection is ending.
steady() {
    shape >"$WORK/shape.start"
    sleep 0.5
    shape | cmp -s - "$WORK/shape.start"
}
as_at_start() {
    shape >"$WORK/shape.now"
    awk 'NR == FNR { n[$1] = $2; most[$1] = $3; next }
        { now[$1] = $2; bad += $2 > n[$1] || $3 > most[$1] }
        END {
            # What has no role is a process that is just being started or waited for.
            for (role in n) bad += role != "other" && now[role] != n[role]
            exit bad > 0
        }' "$WORK/shape.start" "$WORK/shape.now"
}
one_job() { # NUMBER
    local id account=practice_$((300 + $1 % 50))
    id=$(submit posts "@$account" 40)
    [ -n "$id" ] || die "job $1 was not accepted"
    wait_job "$id" 60
    [ "$(job_state "$id")" = succeeded ] || die "job $1 (@$account): $(job "$id" | jq -c '{state,failure}')"
    [ $(($1 % 25)) -ne 1 ] || same_as_truth "$id" posts "@$account" 40 || die "job $1 differs from the truth"
}

began=$(date +%s)
for ((i = 1; i <= JOBS; i++)); do
    one_job $i
    if [ $i -eq $FIRST ]; then
        wait_until 30 "the service is steady after $FIRST jobs" steady
        snapshot >"$WORK/start"
        database_start=$(database_kb)
        [ -s "$WORK/start" ] || die "the memory of the processes cannot be read"
    fi
done
took=$(($(date +%s) - began))
flat=yes
deadline=$(($(date +%s) + 30))
until as_at_start; do
    if [ "$(date +%s)" -gt $deadline ]; then
        say "more processes, descriptors or files than at the start:"
        diff "$WORK/shape.start" "$WORK/shape.now"
        leftovers
        flat=no
        break
    fi
    sleep 0.2
done
snapshot >"$WORK/end"
join "$WORK/start" "$WORK/end" | awk -v database=$(($(database_kb) - database_start)) -v cache=$CACHE_KB '
    BEGIN {
        kept = database < 0 ? 0 : database > cache ? cache : database
        printf "%-12s %9s %13s %18s %18s\n", "process", "number", "descriptors", "PSS MB", "own memory MB"
    }
    {
        most = $5 * 1.1 + 2048 + ($1 == "node" ? kept : 0)
        over = $1 != "browser" && $9 > most
        grown += over
        printf "%-12s %4d → %2d %6d → %4d %8.1f → %7.1f %8.1f → %7.1f%s\n", $1, $2, $6, $3, $7, $4 / 1024,
            $8 / 1024, $5 / 1024, $9 / 1024, over ? sprintf("  more than %.1f", most / 1024) : ""
    }
    END { printf "database: %.1f MB more\n", database / 1024; exit grown > 0 }' || flat=no
stop_service || die "the service did not stop in order"
wait_until 5 "no process and no folder is left: $(ours)" nothing_left
[ $flat = yes ] || die "something grew in $JOBS jobs"
say "soak: $JOBS jobs in $took s, $CHECKS compared with the truth, nothing grew"
