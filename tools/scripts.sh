#!/bin/sh
# scripts.sh FOLDER: writes the scripts of src/store/redis/scripts as C, for the program that runs them. The
# names are those of SCRIPTS in scripts.h. common.lua stands before each, behind a first line "#!lua ...", and behind that
# the parts that a script names in a line "-- with ends.lua, ...".
#
# Scripts with the same first line are one text, which does what the call names (NAME in common.lua): Redis keeps each text
# compiled, and what Lua keeps it looks through again and again while it clears away what calls leave. With a text for each of them
# that took a third of the time of a call. Only those that name a part that is defined at each call (it has no line "-- late") are a
# text of their own. Lua takes no function with more than 60 names of those around it, and says so when a text is loaded; what few
# functions use belongs into M, or to where it is used.
#
# Redis runs all of a script's text at each call, so what only defines things has to be cheap:
#  - a line "-- part" begins a function of its own, and so does each file: for a function that is defined in it, what stands
#    before is one step away, while among locals of the same function Lua searches for each one that it takes
#  - what is behind a line "-- late" is defined when the first of its functions M.x is asked for; it has no locals for others
#  - a number with a name in capitals becomes the number, and comments go
set -eu
folder=$1
scripts=$(sed -n 's/^ *X(\([A-Z_]*\), \([a-z_]*\)).*/\1 \2/p' "$folder/../scripts.h")
[ -n "$scripts" ] || { echo "$0: scripts.h names no scripts" >&2 && exit 1; }

# shellcheck disable=SC2016
program='
function is_name(s) { return s ~ /^[A-Z][A-Z_0-9]*$/ }
# Without a comment behind it; texts in quotes are left alone. Also puts numbers in.
function plain(line, n,    out, before, word) {
    before = ""
    while (line != "") {
        if (match(line, /^("([^"\\]|\\.)*"|'\''([^'\''\\]|\\.)*'\'')/)) {
            word = substr(line, 1, RLENGTH)
        } else if (substr(line, 1, 2) == "--") {
            break
        } else if (match(line, /^[A-Za-z_][A-Za-z_0-9]*/)) {
            word = substr(line, 1, RLENGTH)
        } else {
            match(line, /^([0-9]+|[ \t]+|.)/)
            word = substr(line, 1, RLENGTH)
        }
        line = substr(line, length(word) + 1)
        if (n && before != "." && (word in number) && !(word in bad) && line !~ /^ *=[^=]/) # not a key
            out = out number[word]
        else
            out = out word
        before = word
    }
    sub(/[ \t]+$/, "", out)
    return out
}
# Whether these are names of numbers; notes them.
function note_numbers(line,    at, names, values, i, k, n) {
    at = index(line, "=")
    n = split(substr(line, 7, (at ? at : length(line) + 1) - 7), names, ",")
    k = at ? split(substr(line, at + 1), values, ",") : 0
    for (i = 1; i <= n; i++)
        gsub(/ /, "", names[i])
    for (i = 1; i <= k; i++)
        gsub(/ /, "", values[i])
    for (i = 1; i <= n; i++)
        if (n != k || !is_name(names[i]) || values[i] !~ /^-?[0-9]+$/)
            break
    for (k = 1; k <= n; k++) {
        if (i <= n || ((names[k] in number) && number[names[k]] != values[k]))
            bad[names[k]] = 1
        number[names[k]] = values[k]
    }
    return i > n
}
function say(line) {
    gsub(/\\/, "\\\\\\\\", line)
    gsub(/"/, "\\\"", line)
    print "    \"" line "\\n\""
}
function begin_part() { say("return (function()"); ends = "end)()" ends }
function end_late() { if (late) say("end"); late = 0 }
function begin_body(name) {
    if (!bodies++)
        begin_part()
    else
        say("end)() end")
    say("if NAME == \"" name "\" then return (function()")
}
{
    indent = match($0, /[^ ]/) - 1
    line = $0
    sub(/^ */, "", line)
    if (line ~ /^-- (part|late)$/) {
        kind[++count] = substr(line, 4)
        last = kind[count] == "late" ? count : 0
        next
    }
    if (line ~ /^-- body [a-z_]+$/) {
        kind[++count] = "body"
        text[count] = substr(line, 9)
        last = 0
        next
    }
    line = plain(line, 0)
    if (line == "")
        next
    if (last && indent == 0 && match(line, /^function M\.[a-z_]+/))
        names = names substr(line, 12, RLENGTH - 11) "=" last ","
    else if (last && indent == 0 && match(line, /^M\.[a-z_]+ = /))
        names = names substr(line, 3, RLENGTH - 5) "=" last ","
    if (count && text[count] ~ /^local [A-Z][A-Z_0-9, ]*(,|=|=.*,)$/ && kind[count] == "")
        text[count] = text[count] " " line
    else
        text[++count] = line
}
END {
    for (i = 1; i <= count; i++)
        if (text[i] ~ /^local [A-Z]/)
            numbers[i] = note_numbers(text[i])
    for (i = 1; i <= count; i++) {
        if (kind[i] == "part") {
            end_late()
            begin_part()
            if (names != "")
                say("LATE_OF={" names "}")
            names = ""
        } else if (kind[i] == "body") {
            end_late()
            begin_body(text[i])
        } else if (kind[i] == "late") {
            if (!late)
                begin_part()
            end_late()
            say("LATE[" i "]=function()")
            late = 1
        } else {
            keep = !numbers[i]
            n = split(substr(text[i], 7, index(text[i], "=") - 7), all, /, */)
            for (k = 1; numbers[i] && k <= n; k++) {
                gsub(/ /, "", all[k])
                keep = keep || (all[k] in bad)
            }
            if (keep)
                say(plain(text[i], !numbers[i]))
        }
    }
    end_late()
    if (bodies)
        say("end)() end")
    if (ends != "")
        say(ends)
}'

first_line() { head -n 1 "$folder/$1.lua" | grep '^#!' || true; }
parts() { sed -n 's/^-- with \([a-z]*\.lua\)/\1/p' "$folder/$1.lua" | tr -d ,; }
# Which text a script is in.
text_of() {
    printf '%s' "$(first_line "$1")"
    for part in $(parts "$1"); do
        grep -q '^-- late$' "$folder/$part" || printf ' %s' "$part"
    done
    echo
}
names=$(echo "$scripts" | cut -d' ' -f2)
texts=$(for name in $names; do text_of "$name"; done | sort -u)

echo '#include "store/redis/scripts.h"'
echo "$texts" | while IFS= read -r text; do
    # Those with most parts first: these come in the order in which each needs what stands before.
    mine=$(for name in $names; do
        [ "$(text_of "$name")" != "$text" ] || echo "$(parts "$name" | wc -w) $name"
    done | sort -rn -s -k1,1 | cut -d' ' -f2)
    echo "static const char text_$(echo "$text" | cksum | cut -d' ' -f1)[] ="
    echo "$text" | grep -o '^#![^ ]* [^ ]*' | sed 's/.*/    "&\\n"/' || true
    {
        for part in common.lua $(for name in $mine; do parts "$name"; done | tr ' ' '\n' | awk 'NF && !seen[$0]++'); do
            cat "$folder/$part"
            echo '-- part'
        done
        for name in $mine; do
            echo "-- body $name"
            grep -v '^#!' "$folder/$name.lua"
        done
    } | awk "$program"
    echo '    ;'
done
echo 'const struct script_row script_rows[SCRIPT_COUNT] = {'
echo "$scripts" | while read -r constant name; do
    echo "    [SCRIPT_$constant] = {\"$name\", text_$(text_of "$name" | cksum | cut -d' ' -f1)},"
done
echo '};'
