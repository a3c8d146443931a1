# shellcheck shell=bash
# shellcheck disable=SC2154,SC2094,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# What is in the heap and in the dump: 2, 4, 5, 6, 9.

# --- 2: what only native code holds
native_roots() { # VERSION FLAGS...
    local version=$1
    shift
    if [ ! -e "$work/libnative.so" ]; then
        limit 60 cc -shared -fPIC -I"$java17/../include" -I"$java17/../include/linux" -o "$work/libnative.so" \
            "$repo/scripts/situations/native.c" || fail "no library" "cc to make one"
    fi
    jvm "$version" -Xmx128m "$@" Situation native "$work/libnative.so"
    capture
    rj histo --json core
    code 0
    local lost
    lost=$(json "' '.join(n for n, t, b in [('local-references', '[I', 36000000), ('pushed-frame', '[J', 8000000),
        ('attached-thread', '[D', 4000000), ('global-reference', '[S', 2000000)]
        if sum(c['bytes'] for c in d['classes'] if c['name'] == t) < b)")
    [ -z "$lost" ] || fail "lost what these alone hold: $lost" "all of it: HotSpot's own histogram has it"
    rj dump core -o heap.hprof
    code 0
    hprof counts heap.hprof > counts
    [ "$(awk '$1 == "int[]" { print $2 }' counts)" -ge 41 ] || fail "$(grep '^int' counts) in the dump" "int[] 41 or more"
}
for version in 11 17 21 25 26 28; do
    situation 2 "JDK $version, ZGC: arrays that only JNI references hold" native_roots $version \
        -XX:+UnlockExperimentalVMOptions -XX:+UseZGC
    [ $version != 21 ] || situation 2 "JDK 21, generational ZGC: arrays that only JNI references hold" native_roots 21 \
        -XX:+UseZGC -XX:+ZGenerational
    situation 2 "JDK $version, Shenandoah: arrays that only JNI references hold" native_roots $version \
        -XX:+UnlockExperimentalVMOptions -XX:+UseShenandoahGC
done

# --- 4: early updates
early() { # VERSION FLAGS...
    jvm "$@" -Xmx64m Situation live 20
    capture
    rj histo --json core
    code 0
    [ "$(bytes_of '[B')" -ge 760000 ] || fail "$(bytes_of '[B') bytes of byte[]" "the program's"
    rj dump core -o heap.hprof
    code 0
    rj stack core
    code 0
    rj check core
    code 0
}
for version in 11.0.5 17.0.2 21.0.2; do
    for gc in Serial Parallel G1; do
        situation 4 "JDK $version (an early update), $gc: nothing is damaged" early $version "-XX:+Use${gc}GC"
    done
done
for gc in Z Shenandoah; do
    situation 4 "JDK 21.0.2 (an early update), $gc: nothing is damaged" early 21.0.2 "-XX:+Use${gc}GC"
done

# --- 5: arrays beyond HPROF's 32 bits
beyond() {
    local free
    free=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
    [ "$free" -ge 9 ] || cannot "it takes 9 GB of memory, there are $free"
    jvm 17 -XX:+UseSerialGC -Xmx4200m -Xmn8m Situation one-array 1073741900
    local n
    n=$(limit 300 "$rjcore" dump --pid "$pid" -o - 2> err | limit 300 python3 "$repo/scripts/situations/hprof.py" arrays -)
    # HotSpot: (2^32 - 1 - 18 bytes of head) / 4
    [ "$n" = 1073741819 ] || fail "${n:-no} elements ($(tail -n 1 err))" "1073741819 as HotSpot writes"
}
situation 5 "int[1073741900] is cut where HotSpot cuts it" beyond

# --- 6: stack traces of unmounted virtual threads
traces_first() { # VERSION
    jvm "$1" -Xmx64m Situation parked 50
    capture
    rj dump core -o heap.hprof
    code 0
    local late
    late=$(hprof order heap.hprof)
    [ "$late" = 0 ] || fail "$late traces and frames behind the first segment" "none: one-pass readers lose them"
    [ "$(hprof roots heap.hprof | awk '$1 == "thread" { print $2 }')" -ge 51 ] || fail "few roots of threads" "50 virtual ones and more"
}
for version in 21 25 28; do
    situation 6 "JDK $version: the traces of parked virtual threads stand before the objects" traces_first $version
done

# --- 9: flat value objects
flat() {
    mkdir "$work/flat" 2> /dev/null
    cat > "$work/flat/Flat.java" << 'END'
import java.util.*;
public class Flat {
    value record Point(int x, int y) { }
    value static class Small { byte a; byte b; Small(int i) { a = (byte) i; b = (byte) (i + 1); } }
    static class Holder { Point p; Small s; Integer n; Object o = "o"; Holder(int i) { p = new Point(i, i + 1); s = new Small(i); n = i + 7; } }
    static Holder[] all = new Holder[10];
    static Small[] smalls = new Small[5];
    static Integer[] numbers = new Integer[20];
    public static void main(String[] a) throws Exception {
        for (int i = 0; i < all.length; i++) all[i] = new Holder(i);
        all[9].p = null;
        for (int i = 0; i < smalls.length; i++) smalls[i] = new Small(i);
        for (int i = 0; i < numbers.length; i++) numbers[i] = 1000 + i;
        System.out.println("READY");
        Thread.sleep(1000000);
    }
}
END
    limit 60 "$repo/scripts/jdk.sh" -b "$work" 28 javac --enable-preview --release 28 -d "$work/flat" "$work/flat/Flat.java" \
        > javac.log 2>&1 || fail "javac 28: $(cat javac.log)" "value classes in 28"
    launch jvm "$repo/scripts/jdk.sh" -b "$work" 28 java --enable-preview -cp "$work/flat" -Xmx64m "$@" Flat
    rm -f "$work/flat/hotspot.hprof"
    hotspot GC.heap_dump -all "$work/flat/hotspot.hprof" > log2 || fail "HotSpot's dump: $(cat log2)" "one"
    capture
    rj histo core
    code 0
    rj dump core -o heap.hprof
    code 0
    local class
    for class in Flat.Holder 'Flat$Holder' 'Flat$Small' 'Flat$Point'; do
        hprof fields "$work/flat/hotspot.hprof" "$class" > theirs
        hprof fields heap.hprof "$class" > ours
        cmp -s theirs ours || fail "$class: $(diff ours theirs | head -n 4)" "HotSpot's fields"
    done
    hprof fields "$work/flat/hotspot.hprof" 'Flat$Small' | grep -q . || cannot "this 28 writes no flat values itself"
    hprof fields heap.hprof 'Flat$Holder' | grep -q 'p={x=3 y=4}' || fail "$(hprof fields heap.hprof 'Flat$Holder' | sed -n 4p)" "p={x=3 y=4}"
    hprof counts "$work/flat/hotspot.hprof" | grep -E '^(Flat|java.lang.Integer |java.time)' > theirs
    hprof counts heap.hprof | grep -E '^(Flat|java.lang.Integer |java.time)' > ours
    cmp -s theirs ours || fail "$(diff ours theirs | head -n 4)" "HotSpot's counts"
}
situation 9 "28 --enable-preview, G1: flat values are written as HotSpot writes them, exit 0" flat -XX:+UseG1GC
situation 9 "28 --enable-preview, Serial, wide references: flat values" flat -XX:+UseSerialGC -XX:-UseCompressedOops
situation 9 "28 --enable-preview, ZGC: flat values" flat -XX:+UseZGC
