#!/usr/bin/env bash
# Compare rjcore with the JDK's own tools and with plain copying on one large heap, side by side.
#   compare.sh [--mb N] [--gc G1|Parallel|Serial] [--jdk 17|25]... [--shape small|arrays] [--runs N] [--dir DIR] [--jhsdb]
# Default: 1000 MB, G1, JDK 17 and 25, medians of 5. Cores go to --dir (default /tmp), dumps to /dev/shm.
# --jhsdb adds jhsdb's histogram of the core (minutes; JDK 17 only, the runtime of 25 here has none).
set -euo pipefail
cd "$(dirname "$0")/.."
mb=1000 gc=G1 shape=small runs=5 dir=/tmp jhsdb= jdks=()
while [ $# -gt 0 ]; do
    case $1 in
        --mb) mb=$2; shift ;;
        --gc) gc=$2; shift ;;
        --jdk) jdks+=("$2"); shift ;;
        --shape) shape=$2; shift ;;
        --runs) runs=$2; shift ;;
        --dir) dir=$2; shift ;;
        --jhsdb) jhsdb=1 ;;
        *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift
done
[ ${#jdks[@]} -gt 0 ] || jdks=(17 25)
scripts/setup.sh --quick > /dev/null
cargo build -q --locked --release
rjcore=$(realpath "${CARGO_TARGET_DIR:-target}/release/rjcore")
work=$(mktemp -d "$dir/rjcore-bench.XXXXXX")
shm=$(mktemp -d /dev/shm/rjcore-bench.XXXXXX)
jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$work" "$shm"' EXIT
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$work" tests/java/BigHeap.java
mkfifo "$work/in"

# once CMD...: seconds of one run
once() {
    local t0 t1
    t0=$(date +%s%N)
    "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "compare: failed: $*" >&2; return 1; }
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
row() { # WHAT MEDIAN MIN MAX BASE
    awk -v w="$1" -v m="$2" -v a="$3" -v b="$4" -v base="$5" \
        'BEGIN { printf "  %-34s %8.2f  [%.2f-%.2f]  %6.2f\n", w, m, a, b, (m > 0 ? base / m : 0) }'
}

echo "$(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(date -u +%F)"
for v in "${jdks[@]}"; do
    home=$jdk17
    [ "$v" = 17 ] || home=.test-deps/temurin-$v
    # A third over the live data, the least that fills without collecting all the time.
    MALLOC_ARENA_MAX=2 "$home/bin/java" "-XX:+Use${gc}GC" "-Xmx$((mb * 3 / 2))m" -cp "$work" BigHeap "$mb" "$shape" < "$work/in" > "$work/out" &
    jvm=$!
    exec 3> "$work/in"
    until grep -q READY "$work/out"; do
        kill -0 "$jvm" || { echo "compare: BigHeap did not start" >&2; exit 1; }
        sleep 0.2
    done
    jcmd_dump() { "$home/bin/jcmd" "$jvm" GC.heap_dump -all -overwrite "$shm/jcmd.hprof"; }
    read -r j ja jb < <(median 3 jcmd_dump)
    gcore_s=$(once scripts/gcore.sh "$jvm" "$work/core")
    exec 3>&-
    wait "$jvm"
    jvm=
    echo "JDK $v, $gc, $mb MB used ($shape): core $(stat -c %s "$work/core" | numfmt --to=si), HPROF $(stat -c %s "$shm/jcmd.hprof" | numfmt --to=si)"
    printf '  %-34s %8s  %s  %s\n' "" "s" "[min-max]" "jcmd's time / this"
    row "jcmd GC.heap_dump -all (live)" "$j" "$ja" "$jb" "$j"
    row "gcore" "$gcore_s" "$gcore_s" "$gcore_s" "$j"
    read -r m a b < <(median "$runs" cp "$shm/jcmd.hprof" "$shm/copy.hprof")
    row "cp of the HPROF in /dev/shm" "$m" "$a" "$b" "$j"
    rm -f "$shm/copy.hprof" "$shm/jcmd.hprof"
    cat_core() { cat "$work/core" > /dev/null; }
    read -r m a b < <(median "$runs" cat_core)
    row "cat of the core" "$m" "$a" "$b" "$j"
    read -r m a b < <(median "$runs" "$rjcore" dump "$work/core" -o "$shm/ours.hprof" --overwrite)
    row "rjcore dump to /dev/shm" "$m" "$a" "$b" "$j"
    rm -f "$shm/ours.hprof"
    read -r h a b < <(median "$runs" "$rjcore" histo "$work/core")
    row "rjcore histo" "$h" "$a" "$b" "$j"
    if [ -n "$jhsdb" ] && [ "$v" = 17 ]; then
        s=$(once "$home/bin/jhsdb" jmap --histo --exe "$home/bin/java" --core "$work/core")
        row "jhsdb jmap --histo" "$s" "$s" "$s" "$j"
        awk -v s="$s" -v h="$h" 'BEGIN { printf "  rjcore histo is %.0f times as fast as jhsdb\n", s / h }'
    fi
    rm -f "$work/core"
done
