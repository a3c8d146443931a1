#!/usr/bin/env bash
# Who holds the memory: rjcore's answers beside those of other analysers, on the same heaps, in one run.
#   holders.sh [--shape NAME:COUNT]... [--runs N] [--peers hprof-analyzer,visualvm|none] [--limit S] [--rjcore FILE]
# Shapes: small:MB (BigHeap), and list, double, map, tree, mesh, ladder (tests/java/Shapes.java) by nodes. Default: small:1000
# list:5000000 double:2000000 map:3000000 tree:4000000 mesh:1000000 ladder:500000, medians of 3. Prints a table in
# Markdown: CPU and wall seconds, the most anonymous memory, bytes of it an object. JDK 17, G1; cores and dumps lie in
# /dev/shm. hprof-analyzer and VisualVM's library read HotSpot's dump of the same JVM; what is not done within the limit
# (600 s) is said.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/common.sh
shapes=() runs=3 peers=hprof-analyzer,visualvm limit=600 rjcore=
while [ $# -gt 0 ]; do
    case $1 in
        --shape) shapes+=("${2:?}") ;;
        --runs) runs=${2:?} ;;
        --peers) peers=${2:?} ;;
        --limit) limit=${2:?} ;;
        --rjcore) rjcore=${2:?} ;;
        *) sed -n '2,9s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
[ ${#shapes[@]} -gt 0 ] || shapes=(small:1000 list:5000000 double:2000000 map:3000000 tree:4000000 mesh:1000000 ladder:500000)
case $peers in
    *hprof-analyzer*) scripts/setup.sh > /dev/null ;;
    *) scripts/setup.sh --quick > /dev/null ;;
esac
rjcore=$(rjcore_binary "$rjcore")
deps=$PWD/.test-deps
workplace /dev/shm holders
jdk=/usr/lib/jvm/java-17-openjdk-amd64
heap_library=$deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar
"$jdk/bin/javac" -encoding UTF-8 --release 17 -d "$work" tests/java/{BigHeap,Shapes}.java
"$jdk/bin/javac" -cp "$heap_library" -d "$work" tests/java/VisualVmRetained.java
mkfifo "$work/in"

# row WHAT RUNS COMMAND...: a line of the table; the medians, the most memory
row() {
    local what=$1 count=$2 i all=
    shift 2
    for ((i = 0; i < count; i++)); do all+=$(measured "$limit" "$@")$'\n'; done
    printf '%s' "$all" | python3 -c '
import statistics, sys
what, objects = sys.argv[1], int(sys.argv[2])
rows = [line.split() for line in sys.stdin]
if any("-" in row for row in rows):
    print(f"| {what} | not done within the limit, or failed | | | |")
else:
    cpu, wall, most = zip(*[map(float, row) for row in rows])
    print(f"| {what} | {statistics.median(cpu):.2f} | {statistics.median(wall):.2f} | {max(most):.0f} | {max(most) * 1048576 / objects:.1f} |")
' "$what" "$objects"
}
# start PROGRAM ARGUMENTS...: a JVM that has made its heap; its pid in $jvm
start() {
    "$jdk/bin/java" -XX:+UseG1GC -Xmx3g -cp "$work" "$@" < "$work/in" > "$work/out" &
    jvm=$!
    exec 3> "$work/in"
    until grep -q READY "$work/out"; do
        kill -0 "$jvm" || { echo "holders: $* did not start" >&2; exit 1; }
        sleep 0.2
    done
}

for shape in "${shapes[@]}"; do
    name=${shape%%:*} count=${shape##*:}
    rm -f "$work"/{core,hprof}
    case $name in
        small) start BigHeap "$count" small ;;
        *) start Shapes "$name" "$count" ;;
    esac
    "$rjcore" capture "$jvm" -o "$work/core" > "$work/log" 2>&1
    "$jdk/bin/jcmd" "$jvm" GC.heap_dump -all "$work/hprof" > "$work/log" 2>&1
    exec 3>&-
    wait "$jvm"
    jvm=
    objects=$("$rjcore" histo "$work/core" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["total"]["instances"])')
    printf '\n### %s %s: %s objects, HPROF %s\n\n' "$name" "$count" "$objects" "$(stat -c %s "$work/hprof" | numfmt --to=si)"
    echo "| what | CPU, s | wall, s | anonymous, MB | bytes an object |"
    echo "|---|---|---|---|---|"
    row "\`rjcore retained\`" "$runs" "$rjcore" retained "$work/core"
    row "\`rjcore retained --threads 1\`" "$runs" "$rjcore" retained --threads 1 "$work/core"
    row "\`rjcore retained\` of the HPROF" "$runs" "$rjcore" retained "$work/hprof"
    row "\`rjcore leaks\`" "$runs" "$rjcore" leaks "$work/core"
    row "\`rjcore report\`" "$runs" "$rjcore" report "$work/core" -o "$work/report.html" --overwrite
    case $peers in *hprof-analyzer*) row "$("$deps/bin/hprof-analyzer" --version)" 1 "$deps/bin/hprof-analyzer" "$work/hprof" ;; esac
    case $peers in
        *visualvm*)
            row "VisualVM's library" 1 "$jdk/bin/java" -Xmx6g -cp "$work:$heap_library" -Djava.io.tmpdir="$work" VisualVmRetained "$work/hprof" 20
            ;;
    esac
done
