#!/usr/bin/env bash
# jhsdb of JDK 17 finds three or four objects in a ZGC heap, writes a dump of them, and says that all went well.
#
# A good guess: where the serviceability agent cannot walk a collector's heap, jhsdb says so and fails; a histogram
# that comes out with a total is a histogram.
# What is so: of a JVM with -XX:+UseZGC `jhsdb jmap --histo` prints one line, three or four int[], and a total, and `--binaryheap` says
# "heap written" of a dump with all classes, with roots in threads, and with those arrays and no more: all roots lead
# to objects that are not in it. Both exit with 0. `jhsdb jmap --heap` of the same process knows how much of the heap is used.
# Seen 2026-11-29: JDK 17.0.21.1+2 (Debian's openjdk-17-jdk-headless 17.0.21.1+2-1~deb12u1), against its own
# jcmd GC.class_histogram with some 10,000 objects. The dump read with VisualVM 2.1.5's heap library (Debian's).
# It matters: of a hung JVM or its core jhsdb is the JDK's only tool, and such a dump looks like an idle program's.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
version=17.0.21.1+2-1~deb12u1
{ apt-get -qq -o APT::Sandbox::User=root download openjdk-17-{jre,jdk}-headless=$version visualvm=2.1.5-1 &&
    for deb in *.deb; do dpkg -x "$deb" . || exit; done; } || { echo "could not install"; exit 2; }
bin=usr/lib/jvm/java-17-openjdk-amd64/bin
lib=$(printf %s: usr/share/visualvm/visualvm/modules/org-graalvm-visualvm-lib-jfluid*.jar)
cat > Idle.java << 'END'
public class Idle {
    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > Count.java << 'END'
import org.graalvm.visualvm.lib.jfluid.heap.*;
public class Count {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new java.io.File(args[0]));
        int missing = 0;
        for (Object root : heap.getGCRoots()) if (((GCRoot) root).getInstance() == null) missing++;
        System.out.println(heap.getAllInstancesIterator().hasNext() + " " + heap.getSummary().getTotalLiveInstances()
            + " objects, " + heap.getAllClasses().size() + " classes, " + heap.getGCRoots().size() + " roots, "
            + missing + " of them lead nowhere");
    }
}
END
$bin/javac -cp "$lib" Idle.java Count.java
mkfifo in
$bin/java -XX:+UseZGC -Xmx64m -cp . Idle < in > out &
jvm=$!
exec 3> in
for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
total=$($bin/jcmd $jvm GC.class_histogram | awk '$1 == "Total" { print $2 }')
rc=0
$bin/jhsdb jmap --histo --pid $jvm > histo 2>&1 || rc=$?
$bin/jhsdb jmap --binaryheap --dumpfile jhsdb.hprof --pid $jvm > dump 2>&1 || rc=$?
used=$($bin/jhsdb jmap --heap --pid $jvm 2>&1 | sed -n 's/.*ZHeap *//p')
dump=$($bin/java -cp ".:$lib" Count jhsdb.hprof 2>&1)
echo "jcmd: $total objects"
grep -A9 '^num' histo
grep 'heap written' dump
echo "exit codes: $rc; in that dump: $dump; jhsdb jmap --heap: $used"
[[ $rc == 0 && $total -gt 5000 && $(grep -cE '^[0-9]+:' histo) == 1 && $dump =~ ^true\ [0-9]\ objects.*,\ ([0-9]+)\ roots,\ ([0-9]+)\ of &&
    ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] || { echo "changed: jhsdb reads ZGC's heap, or refuses to"; exit 1; }
