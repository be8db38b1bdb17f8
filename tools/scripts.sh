#!/bin/sh
# scripts.sh FOLDER: writes the scripts of src/store/redis/scripts as C, for the program that runs them. The
# names are those of SCRIPTS in scripts.h; common.lua stands before each, behind a first line "#!lua ...", and ends.lua
# behind that where a script says "-- with ends.lua".
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
    grep -v '^ *--' "$folder/common.lua" | quote
    ! grep -q '^-- with ends.lua' "$file" || grep -v '^ *--' "$folder/ends.lua" | quote
    grep -v -e '^#!' -e '^ *--' "$file" | quote
    echo '    },'
done
echo '};'
