#!/bin/bash
# earlier.sh [COMMIT]: builds the programs of an earlier commit in a folder of its own below out/, and prints that folder.
# Without one: the commit before the stores last changed, which is what a running service would be brought up from.
set -eu
cd "$(dirname "$0")/.."
git rev-parse --git-dir >/dev/null 2>&1 || { echo "an earlier version needs the history of this repository" >&2; exit 1; }
commit=${1:-$(git log -1 --format=%H -- src/store)^}
commit=$(git rev-parse --verify --short "$commit^{commit}") || { echo "there is no commit $1" >&2; exit 1; }
folder=$PWD/out/versions/$commit
if [ ! -e "$folder/Makefile" ]; then
    mkdir -p "$folder"
    git archive "$commit" | tar -x -C "$folder"
fi
make --no-print-directory -C "$folder" -j"$(nproc)" build >&2
echo "$folder"
