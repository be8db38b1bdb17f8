#!/bin/bash
# Holds tests/conform/scenarios.md against the tests: every scenario has one row, what a row names is there,
# what a state says is so, and every test called after a scenario is in the row of that scenario; the tests that
# docs/explanation/queue.md, archive.md and delivery.md name are there, too.
set -eu
cd "$(dirname "$0")/.."
table=tests/conform/scenarios.md
bad=0
wrong() {
    echo "$table: $*"
    bad=1
}
# Whether the file has a test of that name: a function that cmocka is told of, not just any word.
has_test() {
    grep -qE "^(static void )?$2\(" "tests/$1" && [ "$(grep -cw "$2" "tests/$1")" -gt 1 ]
}
next=1 proved=0 part=0 later=0 redis=0
while IFS='|' read -r _ number _ tests state why _; do
    number=$(xargs <<<"$number") state=$(xargs <<<"$state") why=$(xargs -0 <<<"$why")
    [ "$number" = "S$next" ] || wrong "S$next has no row, or not in its place ($number)"
    next=$((next + 1))
    count=0
    for test in $tests; do
        count=$((count + 1))
        file=${test%%:*}
        if [ ! -e "tests/$file" ]; then
            wrong "$number: there is no tests/$file"
        elif [ "$file" != "$test" ] && ! has_test "$file" "${test#*:}"; then
            wrong "$number: tests/$file has no test ${test#*:}"
        fi
    done
    case "$state" in
    proved)
        proved=$((proved + 1))
        [ "$count" -gt 0 ] || wrong "$number is proved by nothing"
        ;;
    "in part")
        part=$((part + 1))
        [ "$count" -gt 0 ] && [ -n "$why" ] || wrong "$number: in part of what, and what not?"
        ;;
    "not yet")
        later=$((later + 1))
        [ -n "$why" ] || wrong "$number: not yet, and why?"
        ;;
    "needs Redis") redis=$((redis + 1)) ;;
    *) wrong "$number: unknown state \"$state\"" ;;
    esac
done < <(grep -E '^\| S[0-9]+ \|' "$table")
[ "$next" -eq 89 ] || wrong "$((next - 1)) rows, there are 88 scenarios"
while IFS=: read -r file name; do
    number=$((10#$(sed 's/^s\([0-9]*\)_.*/\1/' <<<"$name")))
    grep -E "^\| S$number \|" "$table" | grep -qF "${file#tests/}:$name" || wrong "$file: $name is not in the row of S$number"
done < <(grep -HoE '^static void s[0-9]+_[a-z0-9_]+' tests/conform/*.c | sed 's/static void //')
for promises in docs/explanation/queue.md docs/explanation/archive.md docs/explanation/delivery.md; do
    while read -r test; do
        file=${test%%:*}
        [ -e "tests/$file" ] && { [ "$file" = "$test" ] || has_test "$file" "${test#*:}"; } && continue
        echo "$promises: there is no tests/$test"
        bad=1
    done < <(grep -oE '`[a-z]+/[a-z_]+\.(c|sh)(:[a-z0-9_]+)?`' "$promises" | tr -d '`')
done
[ "$bad" -eq 0 ] && echo "scenarios: $proved proved, $part in part, $later not yet, $redis need Redis"
exit "$bad"
