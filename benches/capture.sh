#!/usr/bin/env bash
# Captures of one live JVM side by side: rjcore, gcore, and the JDK's own heap dump.
#   capture.sh [--mb N]... [--gc G1|Z|Parallel|Serial] [--jdk 17|25] [--pages small|huge]... [--load] [--sleepers N]
#              [--ours] [--runs N] [--dir DIR] [--rjcore FILE]
# Default: 1000 and 4000 MB used, JDK 17, G1, without and with huge pages, medians of 5 (of others' tools: 3).
# Files go to --dir (/tmp), one at a time: up to the heap's limit and 4 GB more. --rjcore FILE: that binary, as it is.
# --load: the JVM makes objects all the time. --sleepers N: so many threads in it sleep. --ours: rjcore alone.
# "gap" is the largest gap between two readings of the clock by a thread in the JVM: what its users notice. "lost" is the
# work that this thread did not do from the start to the end of the command, as ms of its work before.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/common.sh
sizes=() gc=G1 jdk=17 pages=() runs=5 dir=/tmp rjcore= load=false sleepers=0 ours=
while [ $# -gt 0 ]; do
    case $1 in
        --mb) sizes+=("$2") ;;
        --gc) gc=$2 ;;
        --jdk) jdk=$2 ;;
        --pages) pages+=("$2") ;;
        --sleepers) sleepers=$2 ;;
        --load) load=true && shift && continue ;;
        --ours) ours=1 && shift && continue ;;
        --runs) runs=$2 ;;
        --dir) dir=$2 ;;
        --rjcore) rjcore=$2 ;;
        *) sed -n '2,10s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
[ ${#sizes[@]} -gt 0 ] || sizes=(1000 4000)
[ ${#pages[@]} -gt 0 ] || pages=(small huge)
few=$((runs < 3 ? runs : 3))
scripts/setup.sh --quick > /dev/null
rjcore=$(rjcore_binary "$rjcore")
workplace "$dir" capture
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$work" tests/java/BigHeap.java tests/java/Watched.java
cc -O1 -Wall -Werror -o "$work/fork" benches/fork.c
home=$jdk17
[ "$jdk" = 17 ] || home=$PWD/.test-deps/temurin-$jdk
mkfifo "$work/in"
out=$work/file

gap() { # since the last call: the largest, the steps of work, ms
    echo >&3
    until grep -q 'GAP.*IN .' "$work/out"; do sleep 0.01; done
    awk '/^GAP/ { print $2, $4, $6 }' "$work/out"
    : > "$work/out"
}
middle() { sort -n | awk '{ t[NR] = $1 } END { printf "%.1f [%.1f-%.1f]", (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2, t[1], t[NR] }'; }
one() { sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'; }
memory() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$jvm/smaps_rollup"; } # in kB

# method NAME N CMD...: CMD writes $out; prints a row, keeps medians in $gap_ms, $wall_ms, $disk_kb, all gaps in $gaps
method() {
    local name=$1 n=$2 i t0 t1 own="" how
    shift 2
    for i in gaps walls own expected lost; do : > "$work/$i"; done
    disk_kb=0 size_kb=0
    for ((i = 0; i < n; i++)); do
        rm -f "$out"*
        sleep 0.5
        gap > /dev/null
        t0=$(date +%s%N)
        "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "capture: failed: $*" >&2; return 1; }
        t1=$(date +%s%N)
        read -r largest steps since < <(gap)
        echo "$largest" >> "$work/gaps"
        rate=${rate:-$(awk -v n="$steps" -v t="$since" 'BEGIN { print n / t }')}
        awk -v n="$steps" -v t="$since" -v r="$rate" 'BEGIN { print t - n / r }' >> "$work/lost"
        awk -v n=$((t1 - t0)) 'BEGIN { print n / 1e6 }' >> "$work/walls"
        sed -n 's/^  "pause_ms": \([0-9.]*\).*/\1/p' "$work/log" >> "$work/own"
        python3 - "$work/log" >> "$work/expected" << 'PYTHON'
import json, sys
try:
    report = json.load(open(sys.argv[1]))
    print(next(p["pause_ms"] for p in report["predicted"] if p["method"] == report["method"]))
except (ValueError, KeyError, StopIteration):
    pass
PYTHON
        disk_kb=$(du -k "$out" | cut -f1)
        size_kb=$(du -k --apparent-size "$out" | cut -f1)
    done
    how=$(sed -n 's/^  "method": "\(.*\)".*/\1/p' "$work/log")
    gap_ms=$(one < "$work/gaps") wall_ms=$(one < "$work/walls") gaps=$(awk '{ printf " %.1f", $1 }' "$work/gaps")
    expected=
    [ ! -s "$work/own" ] || own=$(middle < "$work/own")
    [ ! -s "$work/expected" ] || expected=$(one < "$work/expected")
    printf '  %-31s %-23s %-23s %9s %-25s %-27s %8d %8d\n' "$name${how:+ ($how)}" "$(middle < "$work/gaps")" "$own" \
        "$expected" "$(middle < "$work/lost")" "$(middle < "$work/walls")" $((disk_kb / 1024)) $((size_kb / 1024))
    rm -f "$out"*
}
nothing() { touch "$out"; sleep 1; }
capture() { "$rjcore" capture "$jvm" --overwrite --json -o "$out" "$@"; }
dump_pid() { "$rjcore" dump --pid "$jvm" --overwrite -o "$out"; }
dump() { "$home/bin/jcmd" "$jvm" GC.heap_dump -all -overwrite "$out"; }

echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%d GB", $2 / 1048576 + 0.5 }' /proc/meminfo), kernel $(uname -r), $(date -u +%F)"
for mb in "${sizes[@]}"; do for page in "${pages[@]}"; do
    limit=$((mb < 6000 ? mb * 3 / 2 : mb + 3000))
    [ "$gc" != Z ] || limit=$((mb * 5 / 2))
    free=$(($(df -Pk "$work" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free" -ge $((limit + 4000)) ] || { echo "capture: $dir has $free MB, $((limit + 4000)) are needed" >&2; exit 1; }
    flags="-XX:+Use${gc}GC -Xmx${limit}m -Dload=$load -Dsleepers=$sleepers"
    [ "$page" = small ] || flags+=" -XX:+UseTransparentHugePages"
    : > "$work/out"
    # shellcheck disable=SC2086 # flags are words
    MALLOC_ARENA_MAX=2 "$home/bin/java" $flags -cp "$work" Watched "$mb" small < "$work/in" >> "$work/out" &
    jvm=$!
    exec 3> "$work/in"
    until grep -q READY "$work/out"; do
        kill -0 "$jvm" || { echo "capture: Watched did not start" >&2; exit 1; }
        sleep 0.2
    done
    : > "$work/out"
    sleep 2
    # ZGC of JDK 17 maps its heap three times, and Rss counts each: Pss counts what is there.
    rss_kb=$(memory Rss) huge_kb=$(memory AnonHugePages)
    [ "$gc" != Z ] || rss_kb=$(memory Pss)
    echo "JDK $jdk, $gc, $mb MB used, $page pages: RSS $((rss_kb / 1024)) MB, $((huge_kb / 1024)) MB of it in huge pages; load $load, $sleepers sleepers; load average $(cut -d' ' -f1-2 /proc/loadavg)"
    printf '  %-31s %-23s %-23s %9s %-25s %-27s %8s %8s\n' "" "gap in the JVM, ms" "rjcore's pause_ms" "expected" "lost, ms" \
        "wall, ms" "disk MB" "size MB"
    rate=
    method "nothing" 3 nothing
    method "rjcore capture" "$runs" capture
    our_gap=$gap_ms our_wall=$wall_ms our_kb=$disk_kb our_gaps=$gaps our_huge=$(memory AnonHugePages)
    [ "$gc" = Z ] || method "rjcore --snapshot" "$runs" capture --snapshot fork
    method "rjcore --snapshot" "$runs" capture --snapshot precopy
    method "rjcore --snapshot" "$runs" capture --snapshot stop
    gcore_gap=0 gcore_wall=0
    if [ -z "$ours" ]; then
        method "rjcore --zstd" "$runs" capture --zstd
        # dump does not read ZGC's heap; gcore writes all that ZGC of JDK 17 has reserved, more than a hundred GB.
        [ "$gc" = Z ] || method "rjcore dump --pid" "$runs" dump_pid
        if [ "$gc$jdk" != Z17 ]; then
            method "gcore" "$few" scripts/gcore.sh "$jvm" "$out"
            gcore_gap=$gap_ms gcore_wall=$wall_ms
        fi
        method "jcmd GC.heap_dump -all" "$few" dump
    fi
    exec 3>&-
    wait "$jvm"
    jvm=
    "$work/fork" $((rss_kb / 1024)) "$page" "$runs" > "$work/forks"
    printf '  %-31s %s\n' "fork() of a program as large" "$(middle < "$work/forks")"
    awk -v f="$(one < "$work/forks")" -v g="$gcore_gap" -v o="$our_gap" -v w="$gcore_wall" -v ow="$our_wall" \
        -v k="$our_kb" -v r="$rss_kb" 'BEGIN {
            printf "  rjcore capture: gap %.2f of a bare fork, disk %.2f of RSS", o / f, k / r
            if (g) printf ", wall %.2f of gcore; gcore: gap %.0f times as long", ow / w, g / o
            print ""
        }'
    echo "  rjcore's gaps in order:$our_gaps ms; in huge pages afterwards: $((our_huge / 1024)) MB"
done; done
