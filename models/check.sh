#!/bin/sh
# Runs the spin model of lease, fence and cancel: as it is no state may break it, and each mutation
# must be found out. Says so and does nothing where spin is not installed.
set -eu
cd "$(dirname "$0")"
if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
    echo "skip  models: spin is not installed (Debian package spin)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=$PWD/lease.pml

run() { # NAME FLAGS…: prints the count of errors
    name=$1
    shift
    mkdir "$work/$name"
    cd "$work/$name"
    spin "$@" -a "$model" >spin.log 2>&1 || { cat spin.log; exit 1; }
    gcc -O2 -w -DSAFETY -DNOCLAIM -DCOLLAPSE -o pan pan.c
    ./pan -m200000 -w24 >pan.log 2>&1 || { cat pan.log; exit 1; }
    if grep -qE 'max search depth too small|out of memory' pan.log; then
        cat pan.log
        exit 1
    fi
    errors=$(sed -n 's/.*errors: *\([0-9]*\).*/\1/p' pan.log)
    states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' pan.log)
}

run design
if [ "$errors" != 0 ]; then
    cat pan.log
    echo "FAIL  models: lease.pml is broken"
    exit 1
fi
echo "ok    lease.pml  $states states, none broken"
for mutation in NO_FENCE NO_SUSPECT; do
    run "$mutation" "-D$mutation"
    if [ "$errors" = 0 ]; then
        cat pan.log
        echo "FAIL  models: the mutation $mutation was not found"
        exit 1
    fi
    echo "ok    lease.pml with $mutation is found broken"
done
