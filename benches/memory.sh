#!/usr/bin/env bash
# Where a process's memory went: what `rjcore memory` takes.
#   memory.sh [--heap MB] [--malloc MB] [--direct MB] [--runs N] [--dir DIR] [--rjcore FILE]
# A JVM (17, G1) with so much in small objects (default 4000: 96 million of them), in pieces of 2 KB from malloc (3000) and in
# direct buffers (3000), 10 GB in all; its core lies in DIR (/dev/shm), the JVM ends before it is read. Prints a table in Markdown: medians of 5 of
# CPU and wall seconds, the most anonymous memory; beside it `histo` of the same core, which walks the heap as well, and both with one thread.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/common.sh
heap=4000 malloc=3000 direct=3000 runs=5 dir=/dev/shm rjcore=
while [ $# -gt 0 ]; do
    case $1 in
        --heap) heap=${2:?} ;;
        --malloc) malloc=${2:?} ;;
        --direct) direct=${2:?} ;;
        --runs) runs=${2:?} ;;
        --dir) dir=${2:?} ;;
        --rjcore) rjcore=${2:?} ;;
        *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
scripts/setup.sh --quick > /dev/null
rjcore=$(rjcore_binary "$rjcore")
workplace "$dir" memory
jdk=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk/bin/javac" -encoding UTF-8 --release 17 -nowarn -d "$work" tests/java/{BigHeap,Guilty,Mixed}.java 2> /dev/null
mkfifo "$work/in"
(cd "$work" && exec "$jdk/bin/java" -XX:+UseG1GC -Xmx$((heap * 13 / 10))m -XX:MaxDirectMemorySize=$((direct + 64))m \
    -cp . Mixed "$heap" "$malloc" "$direct" < in > out 2> err) &
jvm=$!
exec 9> "$work/in"
until grep -q READY "$work/out"; do
    kill -0 "$jvm" 2> /dev/null || { cat "$work/err" >&2; exit 1; }
    sleep 1
done
pid=$(sed -n 's/READY //p' "$work/out")
"$rjcore" capture "$pid" -o "$work/core" > /dev/null 2>&1
echo "$(awk '/^VmRSS/ {printf "%.1f", $2 / 1048576}' "/proc/$pid/status") GB in memory, of them $heap MB of objects, $malloc MB from malloc, $direct MB in direct buffers"
kill "$pid"
wait "$jvm" 2> /dev/null || true
jvm=
cat "$work/core" > /dev/null
echo
echo "| command | CPU s | wall s | anonymous memory MB |"
echo "|---|---|---|---|"
for command in memory histo "memory --threads 1" "histo --threads 1"; do
    for ((i = 0; i < runs; i++)); do
        # shellcheck disable=SC2086 # a command and its arguments
        measured 600 "$rjcore" $command "$work/core"
    done | python3 -c '
import statistics, sys
rows = list(zip(*[map(float, line.split()) for line in sys.stdin]))
print(f"| {sys.argv[1]} | {statistics.median(rows[0]):.2f} | {statistics.median(rows[1]):.2f} | {max(rows[2]):.0f} |")
' "$command"
done
