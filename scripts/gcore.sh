#!/usr/bin/env bash
# Take a core of a live process with gdb's gcore, exactly at OUT: gcore.sh PID OUT
# The process stands still meanwhile and goes on afterwards.
set -euo pipefail
[ $# = 2 ] || { echo "usage: gcore.sh PID OUT" >&2; exit 2; }
pid=$1 out=$2
command -v gdb > /dev/null || { echo "gcore.sh: no gdb; run scripts/setup.sh" >&2; exit 1; }
[ -d "/proc/$pid" ] || { echo "gcore.sh: no process $pid" >&2; exit 1; }
rm -f "$out"
# gdb answers 0 even when an attach or a write failed, so its words and the file are what count.
log=$(gdb -nx -nh -batch -iex 'set debuginfod enabled off' -iex 'set pagination off' \
    -iex 'set auto-solib-add off' -ex 'set confirm off' -p "$pid" \
    -ex "gcore $out" -ex detach < /dev/null 2>&1) || true
if [[ $log != *"Saved corefile"* || ! -s $out ]]; then
    printf '%s\n' "$log" | tail -n 20 >&2
    rm -f "$out"
    echo "gcore.sh: gdb wrote no core of $pid to $out (its last words are above)" >&2
    exit 1
fi
