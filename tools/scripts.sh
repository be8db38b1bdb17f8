#!/bin/sh
# scripts.sh FOLDER: writes the scripts of src/store/redis/scripts as C, for the program that runs them. The
# names are those of SCRIPTS in scripts.h; common.lua stands before each, behind a first line "#!lua ...", and behind that
# the parts that a script names in a line "-- with ends.lua, ...".
set -eu
folder=$1
scripts=$(sed -n 's/^ *X(\([A-Z_]*\), \([a-z_]*\)).*/\1 \2/p' "$folder/../scripts.h")
[ -n "$scripts" ] || { echo "$0: scripts.h names no scripts" >&2 && exit 1; }
# Each connection sends them all: without what is only for people.
quote() { sed -e 's/^ *//' -e '/^$/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/    "&\\n"/'; }

echo '#include "store/redis/scripts.h"'
echo 'const struct script_row script_rows[SCRIPT_COUNT] = {'
echo "$scripts" | while read -r constant name; do
    file=$folder/$name.lua
    echo "    [SCRIPT_$constant] = {\"$name\","
    head -n 1 "$file" | grep '^#!' | quote || true
    for part in common.lua $(sed -n 's/^-- with \([a-z]*\.lua\)/\1/p' "$file" | tr -d ,); do
        grep -v '^ *--' "$folder/$part" | quote
    done
    grep -v -e '^#!' -e '^ *--' "$file" | quote
    echo '    },'
done
echo '};'
