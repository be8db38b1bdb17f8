#!/bin/sh
# Checks the floors of the house: a file includes its own floor and lower ones, never upward, never
# sideways except where the table says so; each third-party header is included in exactly one file.
set -eu
cd "$(dirname "$0")/.."

bad=$(grep -rHn --include='*.c' --include='*.h' --include='*.cc' '^#include "' src | awk -F'[:"]' '
BEGIN {
    split("base=0 os=1 core=1 wire=1 loop=2 extract=2 store=3 net=3 browser=3 worker=4 pool=4 api=4 upkeep=4 cli=5 main=6", rooms, " ")
    for (i in rooms) { split(rooms[i], r, "="); floor[r[1]] = r[2] }
    # Sideways, and why: the pool starts workers and tells them their descriptors; the browser asks
    # the proxy by its control socket; the store, the loop and the browser read rules of their floor below.
    allowed["pool>worker"] = 1
    allowed["browser>net"] = 1
}
{
    n = split($1, path, "/"); from = path[2]
    split($4, target, "/"); to = target[1]
    if (from == to) next
    if (!(to in floor)) { print $1 ":" $2 ": \"" $4 "\" is in no room"; next }
    if (floor[to] < floor[from]) next
    if ((from ">" to) in allowed) next
    print $1 ":" $2 ": floor " floor[from] " (" from ") may not include floor " floor[to] " (" to ")"
}')

for header in zstd.h sodium.h zlib.h uv.h microhttpd.h curl/curl.h sqlite3.h hiredis/hiredis.h libpq-fe.h jq.h seccomp.h simdjson.h yaml.h ares.h libxml/HTMLparser.h libxml/parser.h libxml/xpath.h libxml/xpathInternals.h; do
    count=$(grep -rlE --include='*.c' --include='*.h' --include='*.cc' "#include <$header>" src | wc -l)
    if [ "$count" -gt 1 ]; then
        bad="$bad
<$header> is included in $count files; exactly one may:
$(grep -rlE --include='*.c' --include='*.h' --include='*.cc' "#include <$header>" src)"
    fi
done
# core/ and wire/ read no clock and do no I/O.
io=$(grep -rnE '\b(clock_gettime|gettimeofday|time\(NULL|open\(|fopen\(|malloc\(|socket\()' src/core src/wire || true)
[ -n "$io" ] && bad="$bad
core/ and wire/ are pure, but:
$io"

if [ -n "$bad" ]; then
    echo "$bad"
    exit 1
fi
echo "floors: ok"
