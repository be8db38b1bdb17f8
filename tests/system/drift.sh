#!/bin/bash
# The site changes under us, in every way of practice/mutate.c, in its API and in its pages. Each change is
# either read all the same (record for record the truth, or null where the site no longer says it), and then
# it shows: as a share of fields that come from other paths, or not at all, or as a member that nobody knows.
# Or the records that could not be read are counted and the job is no longer complete. Or it ends as drift.
# Never a wrong record, and never a success that hides that something is missing. EVERY=n: each n-th change only.
OUT=$1
if [ -z "${PART:-}" ]; then # side by side, each with a service and a site of its own
    PART=api "$0" "$OUT" &
    api=$!
    PART=page "$0" "$OUT" &
    page=$!
    trap 'kill $api $page 2>/dev/null' INT TERM
    bad=0
    wait $api || bad=1
    wait $page || bad=1
    exit $bad
fi
. "$(dirname "$0")/lib.sh"
cat >"$WORK/extra.yaml" <<EOF
worker:
  count: 3
job:
  batch_timeout: 5s
  retry_base: 50ms
  retry_cap: 100ms
  fail_max: 1
EOF
start_practice
start_service
panel() { # JSON; what is not named ends
    curl -sS -o /dev/null -X DELETE "$SITE/panel/faults"
    [ "$1" = '{}' ] || curl -sS -o /dev/null -X POST -H 'Content-Type: application/json' "$SITE/panel/faults" -d "$1"
}
list_of() { # MEMBER NUMBER: name of a mutation
    sed -n "/^} $1\[/,/^};/s/^ *{\"\([^\"]*\)\", .*/\1/p" "$ROOT/practice/mutate.c" | sed -n "$2p"
}
count_of() { sed -n "s/^enum {.*[{ ]$1 = \([0-9]*\)[ ,}].*/\1/p" "$ROOT/practice/mutate.h"; }
LESS='def less($truth): . as $got
  | if $got == null or $got == $truth then true
    elif ($got | type) == "object" and ($truth | type) == "object" then
      ($got | keys) == ($truth | keys) and all($got | keys[]; . as $k | $got[$k] | less($truth[$k]))
    elif ($got | type) == "array" and ($truth | type) == "array" then
      ($got | length) == ($truth | length) and all(range($got | length); . as $i | $got[$i] | less($truth[$i]))
    else false end;
  # A text that is said to be cut is no claim about the whole one.
  def honest($truth): if .text_truncated == true and $truth.text_truncated == false
    then with_entries(if .key | IN("text", "text_raw", "text_truncated", "urls", "hashtags", "cashtags", "mentions") then .value = null else . end)
    else . end | less($truth);'

# ---- what was counted of fields since the last time

fields() { call "http://fulmar/v1/sites/x/fields?hours=24" | jq -c '[(.fields[] | .now.records as $n | {name, missing: (.now.missing * $n | round), paths: [.now.paths[] * $n | round]}), (.unknown_members[] | {name, news: .seen})]'; }
since() { # OLD NEW: what came in between, by name
    jq -nc --slurpfile a "$1" --slurpfile b "$2" '($a[0] | map({(.name): .}) | add // {}) as $old | [$b[0][] | . as $f | ($old[.name] // {}) as $o
        | if $f.news then {name, news: ($f.news - ($o.news // 0))}
          else {name, missing: ($f.missing - ($o.missing // 0)), paths: [range($f.paths | length) as $i | $f.paths[$i] - ($o.paths[$i] // 0)]} end]'
}
# marks HEALTHY NOW, of the same jobs: fields that come from a path they did not come from, or are missing more
# often, and members nobody knows
marks() {
    jq -nr --slurpfile h "$1" --slurpfile n "$2" '($h[0] | map({(.name): .}) | add) as $healthy
        | def share: (.missing / ([1, .missing + (.paths | add // 0)] | max));
          [$n[0][] | . as $f | ($healthy[.name] // {missing: 0, paths: []}) as $g
           | if $f.news then select($f.news > 0) | "new member \(.name)"
             elif any(range($f.paths | length); $f.paths[.] > 0 and ($g.paths[.] // 0) == 0) then "fallback \(.name)"
             elif ($f | share) > ($g | share) + 0.001 then "missing \(.name)" else empty end]
        | if length > 4 then .[:4] + ["…"] else . end | join(", ")'
}

# ---- one job against the truth

truth_of() { # STRATEGY KIND TARGET
    local shape=post
    case $2 in profile | followers) shape=user ;; esac
    case $2 in
    thread) curl -sS "$SITE/truth/thread/$3" ;;
    media) curl -sS "$SITE/truth/media/${3#@}" ;;
    *) curl -sS "$SITE/$(truth_path "$2" "$3")" ;;
    esac | if [ "$1" = dom ] && [ $shape = user ]; then jq -cS '{id, screen_name, name}'
    elif [ "$1" = dom ]; then jq -cS "$BOTH truth | .id += \"/\" + (.by // \"\")"
    else jq -cS "$MEMBERS $shape"; fi | sort
}
records_of() { # STRATEGY KIND ID
    local shape=post records=posts
    case $2 in profile | followers) shape=user records=users ;; esac
    call "http://fulmar/v1/jobs/$3/$records" | if [ "$1" = dom ] && [ $shape = user ]; then jq -cS '{id, screen_name, name}'
    elif [ "$1" = dom ]; then jq -cS "$BOTH ours | .id += \"/\" + (.by // \"\")"
    else jq -cS "$MEMBERS $shape"; fi | sort
}
# verdict_on: same, poorer (nothing but nulls differs), part (records are missing, no other differs), or wrong
verdict_on() { # STRATEGY KIND TARGET ID
    [ -s "$WORK/truth.$1.$2" ] || truth_of "$1" "$2" "$3" >"$WORK/truth.$1.$2"
    records_of "$1" "$2" "$4" >"$WORK/got.$name"
    if cmp -s "$WORK/truth.$1.$2" "$WORK/got.$name"; then
        echo same
        return
    fi
    jq -nr --slurpfile truth "$WORK/truth.$1.$2" --slurpfile got "$WORK/got.$name" "$LESS"' ($truth | map({(.id): .}) | add // {}) as $all
        | if ($got | map(.id) | unique | length) != ($got | length) then "wrong"
          elif any($got[]; . as $r | ($all[.id] == null) or ($r | honest($all[$r.id]) | not)) then "wrong"
          elif ($got | length) == ($truth | length) then "poorer" else "part" end'
}
wrong() { # WORDS STRATEGY KIND ID
    jq -nc --slurpfile truth "$WORK/truth.$2.$3" --slurpfile got "$WORK/got.$name" "$LESS"' ($truth | map({(.id): .}) | add // {}) as $all
        | $got[] | select(. as $r | $all[.id] == null or ($r | honest($all[$r.id]) | not)) | [., $all[.id]]' | head -2 | cut -c1-1800
    die "$1: $(job "$4" | jq -c '{state,verdict,failure,counts,report}' | cut -c1-1500)"
}
judge() { # STRATEGY KIND TARGET ID: adds to $told what became of it
    local found lost
    job "$4" >"$WORK/job.$name"
    found=$(verdict_on "$1" "$2" "$3" "$4")
    [ "$found" != wrong ] || wrong "$name: $2 $3 has wrong records" "$1" "$2" "$4"
    if [ "$(jq -r .state "$WORK/job.$name")" != succeeded ]; then
        [ "$(jq -r .failure.class "$WORK/job.$name")" = drift ] || wrong "$name: $2 $3 did not end as drift" "$1" "$2" "$4"
        told="$told, $2 drift"
        return
    fi
    survived=1
    if [ "$found" = part ]; then
        lost=$(jq '.report.unparsed + .report.rejected' "$WORK/job.$name")
        [ "$(jq -r .verdict "$WORK/job.$name")" = partial ] && [ "$lost" -gt 0 ] || wrong "$name: $2 $3 hides that records are missing" "$1" "$2" "$4"
        found="lost $lost"
    fi
    told="$told, $2 $found"
}
# weigh STRATEGY PAIRS… (of meet): while the next change is met already
weigh() {
    local pairs=("${@:2}") told="" survived="" i found=""
    for ((i = 0; i < ${#pairs[@]}; i += 2)); do judge "$1" "${pairs[i]}" "${pairs[i + 1]}" "${ids[i / 2]}"; done
    since "$WORK/before.$name" "$WORK/after.$name" >"$WORK/now.$name"
    if [ "$name" != "${name#healthy}" ]; then
        ! grep -qE 'drift|poorer|lost' <<<"$told" || die "the site as it is: $told"
        [ -z "$(jq '.[] | select(.news and .news > 0)' "$WORK/now.$name")" ] || die "the site as it is has news: $(cat "$WORK/now.$name")"
        return
    fi
    found=$(marks "$WORK/now.$usual" "$WORK/now.$name")
    say "drift: $name:$(sed 's/^,//' <<<"$told")${survived:+; $found}" | tee -a "$WORK/told"
    [ -z "$survived" ] || [ -n "$found" ] || [[ "$told" = *lost* ]] || die "$name was survived and shows nowhere: $told"
}

# ---- one change, and the jobs that meet it

weighing=""
settle() { # what is being weighed has to be fine
    [ -z "$weighing" ] || wait "$weighing" || exit 1
    weighing=""
}
meet() { # STRATEGY FAULTS: $jobs, pairs of kind and target, meet them as $name
    local i
    ids=()
    panel "$2"
    fields >"$WORK/before.$name"
    STRATEGY=$1
    for ((i = 0; i < ${#jobs[@]}; i += 2)); do ids+=("$(submit "${jobs[i]}" "${jobs[i + 1]}")"); done
    for i in "${ids[@]}"; do wait_job "$i" 60; done
    fields >"$WORK/after.$name"
    settle
    (
        trap - EXIT INT TERM
        weigh "$1" "${jobs[@]}"
    ) &
    weighing=$!
    check
}
# The same jobs on the site as it is, once: what is counted then is what is usual.
as_it_is() { # STRATEGY FAULTS
    local change=$name
    usual="healthy.$1.$(tr -cd 'a-z0-9' <<<"${jobs[*]}")"
    [ ! -e "$WORK/after.$usual" ] || return
    name=$usual
    meet "$1" "$2"
    name=$change
}
good() { # one good job in between, so that the breaker of the lane stays shut
    local id
    panel '{}'
    STRATEGY=capture
    id=$(submit posts @practice_small)
    wait_job "$id" 30
    same_as_truth "$id" posts @practice_small || die "after $name a good job differs"
}

# ---- the API

thread=$(curl -sS "$SITE/truth/posts/practice_60" | jq -r 'select(.kind == "post") | .id' | sed -n 4p)
jobs_for() { # NAME: which jobs meet the change
    case $1 in
    add_to_module_* | media_* | video_* | variants_* | bitrate_*) jobs=(posts @practice_60 media @practice_100) ;;
    items_* | related_* | reply_*) jobs=(replies @practice_60 thread "$thread") ;;
    item_* | entry_* | content_*) jobs=(posts @practice_60 thread "$thread" followers @practice_60) ;;
    id_* | names_* | time_*) jobs=(posts @practice_60 profile @practice_60) ;;
    envelope_* | instructions_* | entries_* | results_* | cursor_* | promoted_* | add_entries_* | new_* | records_*)
        jobs=(posts @practice_60 search from:practice_60)
        ;;
    *) jobs=(posts @practice_60) ;;
    esac
}
count=0 met=0
[ "$PART" = page ] || count=$(count_of MUTATIONS)
for ((number = ${FROM:-1}; number <= ${TO:-count}; number += ${EVERY:-1})); do
    met=$((met + 1))
    name=$(list_of mutations "$number")
    jobs_for "$name"
    as_it_is capture '{}'
    meet capture "{\"mutation\":$number}"
    [ $((met % 4)) != 0 ] || good
done

# ---- the page

pages=0
[ "$PART" = api ] || pages=$(count_of PAGE_MUTATIONS)
for ((number = ${PAGE_FROM:-1}; number <= ${PAGE_TO:-pages}; number += ${EVERY:-1})); do
    met=$((met + 1))
    name=page_$(list_of page_mutations "$number")
    jobs=(posts @practice_60)
    [ "$name" != page_UserCell ] || jobs=(followers @practice_60)
    as_it_is dom '{"pictures_far":1}'
    meet dom "{\"pictures_far\":1,\"mutation_page\":$number}"
    [ $((number % 4)) != 0 ] || good
done
good
settle
stop_service || die "the service did not stop in order ($?)"
tally() { grep -oE ", (posts|search|profile|media|replies|thread|followers) $1|: (posts|search|profile|media|replies|thread|followers) $1" "$WORK/told" | wc -l; }
say "drift: $met changes of the $PART: $(tally same) jobs read the same, $(tally poorer) with unknown values null, $(tally lost) without records that they count as lost, $(tally drift) ended as drift, none wrong"
