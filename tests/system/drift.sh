#!/bin/bash
# The site changes its API under us, in every way of practice/mutate.c: each change is either read all the
# same (record for record the truth, or null where the site no longer says it), or it ends as drift. Never
# a wrong record, and never a success with less in it than there is.
OUT=$1
. "$(dirname "$0")/lib.sh"
STRATEGY=capture # what reads the page itself instead is the matter of dom.sh
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 3
job:
  batch_timeout: 3s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 2
EOF
start_practice
start_service
mutation() {
    curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "{\"mutation\":$1}"
}
count=$(sed -n 's/^enum { MUTATIONS = \([0-9]*\) }.*/\1/p' "$ROOT/practice/mutate.h")
same=0 poorer=0 drifted=0
LESS='def less($truth): . as $got
  | if $got == null or $got == $truth then true
    elif ($got | type) == "object" and ($truth | type) == "object" then
      ($got | keys) == ($truth | keys) and all($got | keys[]; . as $k | $got[$k] | less($truth[$k]))
    elif ($got | type) == "array" and ($truth | type) == "array" then
      ($got | length) == ($truth | length) and all(range($got | length); . as $i | $got[$i] | less($truth[$i]))
    else false end;'
# verdict_on ID KIND TARGET LIMIT: same, poorer (nothing but nulls differs) or wrong
verdict_on() {
    local shape=post records=posts
    [ "$2" = profile ] && shape=user records=users
    curl -sS "$SITE/$(truth_path "${@:2}")" | jq -cS "$MEMBERS $shape" | sort >"$WORK/truth"
    call "http://fulmar/v1/jobs/$1/$records" | jq -cS "$MEMBERS $shape" | sort >"$WORK/got"
    if cmp -s "$WORK/truth" "$WORK/got"; then
        echo same
    elif jq -es --slurpfile truth "$WORK/truth" "$LESS"' sort_by(.id) as $got | ($truth | sort_by(.id)) as $all
        | ($got | length) == ($all | length) and all(range($got | length); . as $i
        | ($got[$i].id == $all[$i].id) and ($got[$i] | less($all[$i])))' "$WORK/got" >/dev/null; then
        echo poorer
    else
        echo wrong
    fi
}
judge() { # ID KIND TARGET LIMIT NUMBER
    local state class have found
    wait_job "$1" 60
    state=$(job_state "$1")
    class=$(job_class "$1")
    check
    if [ "$state" = succeeded ]; then
        found=$(verdict_on "$1" "$2" "$3" "$4")
        case $found in
        same) same=$((same + 1)) ;;
        poorer) poorer=$((poorer + 1)) ;;
        wrong)
            diff "$WORK/truth" "$WORK/got" | cut -c1-600 | head -4
            die "mutation $5: $2 $3 succeeded with wrong records: $(job "$1" | jq -c '{verdict,counts,report}')"
            ;;
        esac
        say "drift: $5 $2 → read, $found"
        return
    fi
    [ "$class" = drift ] || die "mutation $5: $2 $3 ended as $class: $(job "$1" | jq -c '{state,failure,counts}')"
    # What was committed before it was seen is right as far as it goes.
    have=$(job "$1" | jq -r .counts.posts)
    if [ "$have" -gt 0 ]; then
        [ "$(verdict_on "$1" "$2" "$3" "$have")" != wrong ] || die "mutation $5: $2 $3 has wrong records"
    fi
    drifted=$((drifted + 1))
    say "drift: $5 $2 → drift: $(job "$1" | jq -r .failure.why)"
}
for ((number = 1; number <= count; number++)); do
    mutation "$number"
    posts=$(submit posts @practice_100 60)
    search=$(submit search from:practice_100 40)
    profile=$(submit profile @practice_100)
    judge "$posts" posts @practice_100 60 "$number"
    judge "$search" search from:practice_100 40 "$number"
    judge "$profile" profile @practice_100 1 "$number"
    # One good job in between, so that the lane's breaker stays shut.
    mutation 0
    good=$(submit posts @practice_small 5)
    wait_job "$good" 30
    same_as_truth "$good" posts @practice_small 5 || die "after mutation $number a good job differs"
done
stop_service || die "the service did not stop in order ($?)"
say "drift: $count changes of the API: $same jobs read the same, $poorer with unknown values null, $drifted ended as drift, none wrong"
