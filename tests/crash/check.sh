#!/bin/sh
# Power loss and failing disks in a short form (STRIDE: every n-th call), and each mistake that is put in on
# purpose is found. $1: the program.
set -eu
"$1" stride="${STRIDE:-32}" seeds="${SEEDS:-4}" seed="${SEED:-1}"
for mistake in sync database folder early; do
    printf '%s: ' "$mistake"
    "$1" stride=32 seeds=4 parts=power mistake="$mistake"
done
printf 'same: '
"$1" stride=8 parts=faults mistake=same
