#!/usr/bin/env bash
# Compare rjcore with the JDK's own tools and with plain copying of the same bytes, side by side in one run.
#   compare.sh [--mb N]... [--gc G1|Parallel|Serial]... [--jdk 17|25]... [--shape small|arrays]... [--runs N] [--dir DIR]
#              [--jhsdb MB] [--rjcore FILE]
# Default: 1000 and 4000 MB used, G1 and Parallel, JDK 17 and 25, both shapes, medians of 5. Prints tables in Markdown.
# Cores and dumps lie in /dev/shm, so that the disk's noise stays out; rows that say so write to or read from --dir
# (/tmp). Each run writes a new file, and the one before is removed first, untimed. jhsdb takes minutes: it reads a core
# of --jhsdb MB (100; 0 leaves it out) once, and its time is scaled up.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/common.sh
sizes=() gcs=() jdks=() shapes=() runs=5 dir=/tmp jhsdb=100 rjcore=
while [ $# -gt 0 ]; do
    case $1 in
        --mb) sizes+=("${2:?}") ;;
        --gc) gcs+=("${2:?}") ;;
        --jdk) jdks+=("${2:?}") ;;
        --shape) shapes+=("${2:?}") ;;
        --runs) runs=${2:?} ;;
        --dir) dir=${2:?} ;;
        --jhsdb) jhsdb=${2:?} ;;
        --rjcore) rjcore=${2:?} ;;
        *) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
[ ${#sizes[@]} -gt 0 ] || sizes=(1000 4000)
[ ${#gcs[@]} -gt 0 ] || gcs=(G1 Parallel)
[ ${#jdks[@]} -gt 0 ] || jdks=(17 25)
[ ${#shapes[@]} -gt 0 ] || shapes=(small arrays)
few=$((runs < 3 ? runs : 3))
scripts/setup.sh --quick > /dev/null
scripts/setup-jdks.sh "${jdks[@]}" > /dev/null
rjcore=$(rjcore_binary "$rjcore")
workplace "$dir" disk
disk=$work
shm=$(mktemp -d /dev/shm/rjcore-shm.XXXXXX)
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$disk" "$shm"' EXIT
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$disk" tests/java/BigHeap.java
mkfifo "$disk/in"

# jdk_tool PROGRAM ARGUMENTS...: of the JDK at hand
jdk_tool() { scripts/jdk.sh -b "$disk" "$version" "$@"; }
# once CMD...: seconds of one run
once() {
    local t0 t1
    rm -f "$shm"/{ours,copy,jcmd}.hprof "$disk/ours.hprof"
    t0=$(date +%s%N)
    "$@" > "$disk/log" 2>&1 || { cat "$disk/log" >&2; echo "compare: failed: $*" >&2; return 1; }
    t1=$(date +%s%N)
    awk -v n=$((t1 - t0)) 'BEGIN { printf "%.3f\n", n / 1e9 }'
}
# median N CMD...: "median min max" of N runs
median() {
    local n=$1 i
    shift
    for ((i = 0; i < n; i++)); do once "$@" || return 1; done | sort -n |
        awk '{ t[NR] = $1 } END { m = int((NR + 1) / 2); print (NR % 2 ? t[m] : (t[m] + t[m + 1]) / 2), t[1], t[NR] }'
}
# anonymous PROGRAM ARGUMENTS...: the most anonymous memory of one run, in MB
anonymous() {
    local pid most=0 now
    rm -f "$shm/ours.hprof"
    "$@" > /dev/null 2>&1 &
    pid=$!
    while now=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2> /dev/null) && [ -n "$now" ]; do
        [ "$now" -le "$most" ] || most=$now
        sleep 0.005
    done
    wait "$pid"
    echo $((most / 1024))
}
row() { # WHAT "MEDIAN MIN MAX" ANONYMOUS: and how many times as long as cp
    awk -v w="$1" -v t="$2" -v a="$3" -v cp="$cp" \
        'BEGIN { split(t, x, " "); printf "| %s | %.2f | %.2f to %.2f | %.2f | %s |\n", w, x[1], x[2], x[3], x[1] / cp, a }'
}
scaled() { awk -v t="$1" -v f="$2" 'BEGIN { printf "%.1f %.1f %.1f", t * f, t * f, t * f }'; }
# start MB LIMIT: a JVM that has filled its heap; its pid in $jvm
start() {
    # As jdk.sh becomes java, its process is java's.
    MALLOC_ARENA_MAX=2 scripts/jdk.sh -b "$disk" "$version" java "-XX:+Use${gc}GC" "-Xmx$2m" -cp "$disk" BigHeap "$1" "$shape" \
        < "$disk/in" > "$disk/out" &
    jvm=$!
    exec 3> "$disk/in"
    until grep -q READY "$disk/out"; do
        kill -0 "$jvm" || { echo "compare: BigHeap did not start" >&2; exit 1; }
        sleep 0.2
    done
}
stop() {
    exec 3>&-
    wait "$jvm"
    jvm=
}
by_cat() { cat "$core" > /dev/null; }
cold() { sync; echo 3 > /proc/sys/vm/drop_caches; "$@"; }
dump() { "${dumping[@]}" "$@"; }

compare() { # one JDK, collector, shape and size
    local live more=() core=$shm/core cp histo
    local dumping=("$rjcore" dump "$core" -o "$shm/ours.hprof")
    start "$mb" $((mb * 3 / 2)) # a third over the live data, the least that fills without collecting all the time
    by_jcmd() { jdk_tool jcmd "$jvm" GC.heap_dump -all "$@" "$shm/jcmd.hprof"; }
    live=$(median "$few" by_jcmd)
    [ "$version" -lt 22 ] || more=("-parallel=$(nproc)") # JDK-8306441
    [ ${#more[@]} -eq 0 ] || parallel=$(median "$few" by_jcmd "${more[@]}")
    mv "$shm/jcmd.hprof" "$shm/hprof"
    captured=$(once "$rjcore" capture "$jvm" -o "$core")
    stop
    printf '\n### JDK %s, %s, %s MB used, %s\n\n' "$version" "$gc" "$mb" "$shape"
    printf 'HPROF %s; core %s, of which %s are there; captured in %s s.\n\n' "$(stat -c %s "$shm/hprof" | numfmt --to=si)" \
        "$(stat -c %s "$core" | numfmt --to=si)" "$(du -B1 "$core" | cut -f1 | numfmt --to=si)" "$captured"
    echo "| what | median, s | least to most | times cp | anonymous, MB |"
    echo "|---|---|---|---|---|"
    copies=$(median "$runs" cp "$shm/hprof" "$shm/copy.hprof")
    cp=${copies%% *}
    row "\`cp\` of the HPROF" "$copies" ""
    rm -f "$shm/hprof"
    row "\`cat\` of the core" "$(median "$runs" by_cat)" ""
    row "\`jcmd GC.heap_dump -all\`, in the JVM" "$live" ""
    [ ${#more[@]} -eq 0 ] || row "the same with \`${more[*]}\`" "$parallel" ""
    row "\`rjcore dump\`" "$(median "$runs" dump)" "$(anonymous "${dumping[@]}")"
    row "\`rjcore dump --threads 1\`" "$(median "$runs" dump --threads 1)" ""
    row "\`rjcore dump --gz\`" "$(median "$few" dump --gz)" "$(anonymous "${dumping[@]}" --gz)"
    row "\`rjcore histo\`" "$(median "$runs" "$rjcore" histo "$core")" "$(anonymous "$rjcore" histo "$core")"
    # On the disk beside it.
    cp --sparse=always "$core" "$disk/core"
    rm -f "$core"
    core=$disk/core
    dumping[2]=$core
    to_disk() { "$rjcore" dump "$core" -o "$disk/ours.hprof"; }
    row "\`rjcore dump\` to the disk" "$(median "$few" to_disk)" ""
    if [ -w /proc/sys/vm/drop_caches ]; then
        row "cold: \`cat\` of the core" "$(median "$few" cold by_cat)" ""
        row "cold: \`rjcore dump\`" "$(median "$few" cold dump)" ""
    fi
    rm -f "$core" "$shm/ours.hprof" "$disk/ours.hprof"
    if [ "$jhsdb" != 0 ]; then
        start "$jhsdb" $((jhsdb * 3 / 2))
        "$rjcore" capture "$jvm" -o "$disk/small" > "$disk/log" 2>&1
        stop
        local java=/usr/lib/jvm/java-$version-openjdk-amd64/bin/java factor
        factor=$(awk -v a="$mb" -v b="$jhsdb" 'BEGIN { print a / b }')
        histo=$(once jdk_tool jhsdb jmap --histo --exe "$java" --core "$disk/small")
        row "\`jhsdb jmap --histo\`, $jhsdb MB scaled up" "$(scaled "$histo" "$factor")" ""
        histo=$(once jdk_tool jhsdb jmap --binaryheap --dumpfile "$disk/jhsdb.hprof" --exe "$java" --core "$disk/small")
        row "\`jhsdb jmap --binaryheap\`, $jhsdb MB scaled up" "$(scaled "$histo" "$factor")" ""
        rm -f "$disk/small" "$disk/jhsdb.hprof"
    fi
}
printf '%s CPUs (%s), %s of memory, Linux %s, %s.\n' "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo | numfmt --from-unit=1024 --to=iec)" "$(uname -r)" "$(date -u +%F)"
for version in "${jdks[@]}"; do
    for gc in "${gcs[@]}"; do
        for shape in "${shapes[@]}"; do
            for mb in "${sizes[@]}"; do compare; done
        done
    done
done
