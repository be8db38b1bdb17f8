#!/bin/sh
# Every header compiles alone.
set -eu
cd "$(dirname "$0")/.."
bad=0
while read -r header; do
    if ! printf '#include "%s"\n' "${header#src/}" |
        ${CC:-gcc} -std=gnu17 -D_GNU_SOURCE -Isrc -Wall -Wextra -Werror -fsyntax-only -x c -; then
        echo "$header does not stand alone"
        bad=1
    fi
done <<EOF
$(find src -name '*.h' | sort)
EOF
[ "$bad" -eq 0 ] && echo "headers: ok"
exit "$bad"
