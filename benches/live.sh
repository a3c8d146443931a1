#!/usr/bin/env bash
# The ways to a live JVM side by side: the JDK's tools, gdb's gcore, rjcore. For docs/live.md.
#   live.sh [--mb N] [--forced-mb N] [--runs N] [--dir DIR] [--rjcore FILE] [--jattach FILE]
# Default: 200 MB used, JDK 17, G1, medians of 3; jhsdb and JDK 8's forced mode once and with 20 MB used, as they take
# minutes. Files go to --dir (/tmp).
# "gap" is the largest gap between two readings of the clock by a thread in the JVM: what its users notice.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/common.sh
mb=200 forced_mb=20 runs=3 dir=/tmp rjcore= jattach=
while [ $# -gt 0 ]; do
    case $1 in
        --mb) mb=$2 ;;
        --forced-mb) forced_mb=$2 ;;
        --runs) runs=$2 ;;
        --dir) dir=$2 ;;
        --rjcore) rjcore=$2 ;;
        --jattach) jattach=$(realpath "$2") ;;
        *) sed -n '2,6s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
scripts/setup.sh --quick > /dev/null
scripts/setup-jdks.sh 8 > /dev/null
rjcore=$(rjcore_binary "$rjcore")
workplace "$dir" live
home=/usr/lib/jvm/java-17-openjdk-amd64
# Of JDK 8, as its JVM runs it, too.
"$home/bin/javac" -encoding UTF-8 -Xlint:-options --release 8 -d "$work" tests/java/BigHeap.java tests/java/Watched.java
mkfifo "$work/in"
out=$work/file
start() { # MB CMD...: what becomes the JVM
    local mb=$1
    shift
    : > "$work/out"
    "$@" -XX:+UseG1GC -Xmx$((mb * 3 / 2))m -cp "$work" Watched "$mb" small < "$work/in" >> "$work/out" &
    jvm=$!
    exec 3> "$work/in"
    until grep -q READY "$work/out"; do sleep 0.1; done
}
stop() {
    exec 3>&-
    wait "$jvm"
    jvm=
}
gap() { # the largest since the last call
    sleep 0.05 # until the watcher has seen it
    : > "$work/out"
    echo >&3
    until grep -q GAP "$work/out"; do sleep 0.01; done
    sed -n 's/^.*GAP \([0-9.]*\).*/\1/p' "$work/out"
}
middle() { sort -n | awk '{ t[NR] = $1 } END { printf "%.0f", (t[int((NR + 1) / 2)] + t[int(NR / 2) + 1]) / 2 }'; }
method() { # NAME N CMD...
    local name=$1 n=$2 i t0
    shift 2
    : > "$work/gaps"; : > "$work/walls"
    for ((i = 0; i < n; i++)); do
        rm -f "$out"*
        gap > /dev/null
        t0=$(date +%s%N)
        "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "live: failed: $*" >&2; return 1; }
        awk -v n=$(($(date +%s%N) - t0)) 'BEGIN { print n / 1e6 }' >> "$work/walls"
        gap >> "$work/gaps"
    done
    printf '%-42s %10s ms gap %10s ms wall\n' "$name" "$(middle < "$work/gaps")" "$(middle < "$work/walls")"
}
echo "$(nproc) CPUs, load $(cut -d' ' -f1 /proc/loadavg), $mb MB, JDK 17, G1"
start "$mb" "$home/bin/java"
method "nothing, 1 s" 1 sleep 1
method "jcmd VM.version" "$runs" "$home/bin/jcmd" "$jvm" VM.version
method "rjcore attach jcmd VM.version" "$runs" "$rjcore" attach "$jvm" jcmd VM.version
[ -z "$jattach" ] || method "jattach jcmd VM.version" "$runs" "$jattach" "$jvm" jcmd VM.version
method "jstack -l" "$runs" "$home/bin/jstack" -l "$jvm"
method "rjcore attach stack" "$runs" "$rjcore" attach "$jvm" stack
[ -z "$jattach" ] || method "jattach threaddump -l" "$runs" "$jattach" "$jvm" threaddump -l
method "jmap -histo" "$runs" "$home/bin/jmap" -histo "$jvm"
method "rjcore attach inspectheap" "$runs" "$rjcore" attach "$jvm" inspectheap
method "jmap -dump" "$runs" "$home/bin/jmap" -dump:format=b,file="$out" "$jvm"
[ -z "$jattach" ] || method "jattach dumpheap" "$runs" "$jattach" "$jvm" dumpheap "$out"
method "rjcore attach dumpheap" "$runs" "$rjcore" attach "$jvm" dumpheap "$out"
method "rjcore dump --pid" "$runs" "$rjcore" dump --pid "$jvm" --overwrite -o "$out"
method "rjcore capture" "$runs" "$rjcore" capture "$jvm" --overwrite -o "$out"
method "rjcore doctor" "$runs" "$rjcore" doctor "$jvm"
method "rjcore ps" "$runs" "$rjcore" ps
method "gcore" "$runs" gcore -o "$out" "$jvm"
stop
echo "forced: $forced_mb MB, JDK 17, G1"
start "$forced_mb" "$home/bin/java"
method "jhsdb jstack --pid" 1 "$home/bin/jhsdb" jstack --pid "$jvm"
method "jhsdb jmap --binaryheap --pid" 1 "$home/bin/jhsdb" jmap --binaryheap --dumpfile "$out" --pid "$jvm"
method "rjcore dump --pid" "$runs" "$rjcore" dump --pid "$jvm" --overwrite -o "$out"
stop
echo "forced: $forced_mb MB, JDK 8, G1"
jdk8() { scripts/jdk.sh -b "$work" 8 "$@"; }
start "$forced_mb" scripts/jdk.sh -b "$work" 8 java
method "jstack -F" 1 jdk8 jstack -F "$jvm"
method "jmap -F -histo" 1 jdk8 jmap -F -histo "$jvm"
method "jmap -F -dump" 1 jdk8 jmap -F -dump:format=b,file="$out" "$jvm"
method "rjcore dump --pid" "$runs" "$rjcore" dump --pid "$jvm" --overwrite -o "$out"
stop
