#!/bin/sh
# clang-tidy with the checks of .clang-tidy over the C files given; any finding fails.
cd "$(dirname "$0")/.." || exit 1
flags=$(pkg-config --cflags libuv libmicrohttpd libcurl simdjson libxml-2.0 yaml-0.1 sqlite3 hiredis libpq libseccomp libcares)
# shellcheck disable=SC2086
clang-tidy --quiet --warnings-as-errors='*' "$@" -- -std=gnu17 -D_GNU_SOURCE -Isrc \
    '-DFULMAR_VERSION="0"' $flags 2>/dev/null
