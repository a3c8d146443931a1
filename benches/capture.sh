#!/usr/bin/env bash
# Captures of one live JVM side by side: rjcore, gcore, and the JDK's own heap dump.
#   capture.sh [--mb N]... [--gc G1|Z|Parallel|Serial] [--jdk 17|25] [--pages small|huge]... [--runs N] [--dir DIR]
# Default: 1000 and 4000 MB used, JDK 17, G1, without and with huge pages, medians of 5; files go to --dir (/tmp).
# "gap" is the largest gap between two readings of the clock by a thread in the JVM: what its users notice.
set -euo pipefail
cd "$(dirname "$0")/.."
sizes=() gc=G1 jdk=17 pages=() runs=5 dir=/tmp
while [ $# -gt 0 ]; do
    case $1 in
        --mb) sizes+=("$2") ;;
        --gc) gc=$2 ;;
        --jdk) jdk=$2 ;;
        --pages) pages+=("$2") ;;
        --runs) runs=$2 ;;
        --dir) dir=$2 ;;
        *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
[ ${#sizes[@]} -gt 0 ] || sizes=(1000 4000)
[ ${#pages[@]} -gt 0 ] || pages=(small huge)
scripts/setup.sh --quick > /dev/null
cargo build -q --locked --release
rjcore=$(realpath "${CARGO_TARGET_DIR:-target}/release/rjcore")
work=$(mktemp -d "$dir/rjcore-capture.XXXXXX")
jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$work"' EXIT
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$work" tests/java/BigHeap.java tests/java/Watched.java
home=$jdk17
[ "$jdk" = 17 ] || home=$PWD/.test-deps/temurin-$jdk
mkfifo "$work/in"
out=$work/file

gap() { # the largest since the last call
    echo >&3
    until grep -q GAP "$work/out"; do sleep 0.01; done
    sed -n 's/^GAP //p' "$work/out"
    : > "$work/out"
}
middle() { sort -n | awk '{ t[NR] = $1 } END { printf "%.1f [%.1f-%.1f]", (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2, t[1], t[NR] }'; }
one() { sort -n | awk '{ t[NR] = $1 } END { print (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'; }

# method NAME N CMD...: CMD writes $out; prints a row, keeps medians in $gap_ms, $wall_ms, $disk_kb
method() {
    local name=$1 n=$2 i t0 t1
    shift 2
    : > "$work/gaps"; : > "$work/walls"; : > "$work/own"; disk_kb=0 size_kb=0
    for ((i = 0; i < n; i++)); do
        rm -f "$out"*
        sleep 0.5
        gap > /dev/null
        t0=$(date +%s%N)
        "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "capture: failed: $*" >&2; return 1; }
        t1=$(date +%s%N)
        gap >> "$work/gaps"
        awk -v n=$((t1 - t0)) 'BEGIN { print n / 1e6 }' >> "$work/walls"
        sed -n 's/.*"pause_ms": \([0-9.]*\).*/\1/p' "$work/log" >> "$work/own"
        disk_kb=$(du -k "$out" | cut -f1)
        size_kb=$(du -k --apparent-size "$out" | cut -f1)
    done
    gap_ms=$(one < "$work/gaps") wall_ms=$(one < "$work/walls")
    local own=""
    [ ! -s "$work/own" ] || own=$(middle < "$work/own")
    printf '  %-30s %-26s %-24s %-26s %8d %8d\n' "$name" "$(middle < "$work/gaps")" "$own" \
        "$(middle < "$work/walls")" $((disk_kb / 1024)) $((size_kb / 1024))
    rm -f "$out"*
}
dump() { "$home/bin/jcmd" "$jvm" GC.heap_dump -all -overwrite "$out"; }

echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%d GB", $2 / 1048576 + 0.5 }' /proc/meminfo), kernel $(uname -r), $(date -u +%F)"
for mb in "${sizes[@]}"; do for page in "${pages[@]}"; do
    flags="-XX:+Use${gc}GC -Xmx$((mb * 3 / 2))m"
    [ "$gc" != Z ] || flags="-XX:+UseZGC -Xmx$((mb * 5 / 2))m"
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
    rss_kb=$(awk '/VmRSS/ { print $2 }' "/proc/$jvm/status")
    echo "JDK $jdk, $gc, $mb MB used, $page pages: RSS $((rss_kb / 1024)) MB"
    printf '  %-30s %-26s %-24s %-26s %8s %8s\n' "" "gap in the JVM, ms" "rjcore's pause_ms" "wall, ms" "disk MB" "size MB"
    method "nothing" 3 touch "$out"
    capture() { "$rjcore" capture "$jvm" --overwrite --json -o "$out" "$@"; }
    method "rjcore capture" "$runs" capture
    our_gap=$gap_ms our_wall=$wall_ms our_kb=$disk_kb
    if [ "$gc" != Z ]; then method "rjcore --snapshot precopy" "$runs" capture --snapshot precopy; fi
    method "rjcore --snapshot stop" "$runs" capture --snapshot stop
    method "rjcore --zstd" "$runs" capture --zstd
    dump_pid() { "$rjcore" dump --pid "$jvm" --overwrite -o "$out"; }
    [ "$gc" = Z ] || method "rjcore dump --pid" "$runs" dump_pid
    # gcore writes all that ZGC of JDK 17 has reserved: more than a hundred GB.
    if [ "$gc$jdk" != Z17 ]; then
        method "gcore" 3 scripts/gcore.sh "$jvm" "$out"
        awk -v g="$gap_ms" -v o="$our_gap" -v w="$wall_ms" -v ow="$our_wall" -v k="$our_kb" -v r="$rss_kb" \
            'BEGIN { printf "  gcore / rjcore: gap %.0f, wall %.1f; rjcore: disk / RSS %.2f\n", g / o, w / ow, k / r }'
    fi
    method "jcmd GC.heap_dump -all" 3 dump
    exec 3>&-
    wait "$jvm"
    jvm=
done; done
