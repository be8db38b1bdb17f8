#!/bin/sh
# The simulation in a short form: COUNT seeds (40) keep every promise, also on a disk that is full now and then, nothing grows in STORMS (12) on one store, and each mistake that is put in on
# purpose is found. $1: the program.
set -eu
"$1" seed="${SEED:-1}" count="${COUNT:-40}"
"$1" seed="${SEED:-1}" count="${COUNT:-40}" disk=full
"$1" seed=264 disk=full # there the index of the log is what finds no room
"$1" seed="${SEED:-1}" storms="${STORMS:-12}"
for mistake in fence early loss twice sleep; do
    printf '%s: ' "$mistake"
    "$1" mistake="$mistake" count=20
done
