#!/usr/bin/env bash
# Make the sample cores anew: testdata/cores/*.core.zst and their README.md.
# Each is a gcore of tests/java/Sample.java, cut down by `rjcore trim` and compressed. Those of aarch64 are
# qemu's. Needs scripts/setup.sh, and root for those of aarch64.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --quick
cargo build --locked --release
rjcore=${CARGO_TARGET_DIR:-target}/release/rjcore
out=testdata/cores
tmp=$(mktemp -d)
jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$tmp"' EXIT
mkdir -p "$out" "$tmp/classes"
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$tmp/classes" tests/java/Sample.java
mkfifo "$tmp/in"

cat > "$out/README.md" << 'END'
# Sample cores

Real cores of `tests/java/Sample.java`, taken with `scripts/gcore.sh` (of aarch64: written by qemu's user mode),
cut down with `rjcore trim` to what rjcore reads, compressed with zstd. No JDK and no libjvm is needed to read them.
`scripts/make-testdata.sh` makes them anew and writes this file.

| core | JVM | flags | taken | core | trimmed | compressed |
|---|---|---|---|---|---|---|
END

sample() { # NAME JAVA_HOME FLAGS...
    local name=$1 home=$2 pid version
    shift 2
    local flags="-Xmx8m -XX:CompressedClassSpaceSize=16m -XX:ReservedCodeCacheSize=16m $*"
    # shellcheck disable=SC2086 # flags are words
    MALLOC_ARENA_MAX=1 "$home/bin/java" $flags -cp "$tmp/classes" Sample < "$tmp/in" > "$tmp/out" &
    jvm=$!
    exec 3> "$tmp/in"
    until grep -q READY "$tmp/out"; do
        kill -0 "$jvm" || { echo "make-testdata: Sample did not start" >&2; exit 1; }
        sleep 0.1
    done
    pid=$(sed -n 's/^READY //p' "$tmp/out")
    scripts/gcore.sh "$pid" "$tmp/gcore"
    exec 3>&-
    wait "$jvm"
    jvm=
    version=$("$home/bin/java" -version 2>&1 | sed -n 3p)
    pack "$name" "$version" "$flags"
}

# The JDK has a root of its own there, so that the core names paths of that and not of this machine.
sample_aarch64() { # NAME VERSION FLAGS...
    local name=$1 root=$PWD/.test-deps/aarch64/$2/root version home=/usr/lib/jvm/java-$2-openjdk-arm64
    shift 2
    local flags="-Xmx8m -XX:CompressedClassSpaceSize=16m -XX:ReservedCodeCacheSize=16m $*"
    mkdir -p "$root"/{proc,mnt}
    cp "$(command -v qemu-aarch64-static)" "$root/usr/qemu"
    # shellcheck disable=SC2016 # a script of its own; flags are words
    env -i PATH="$PATH" root="$root" tmp="$tmp" home="$home" flags="$flags" \
        unshare --mount --propagation private bash -euc '
            mount --bind /proc "$root/proc"
            mount --bind "$tmp" "$root/mnt"
            ulimit -c unlimited
            exec env -i MALLOC_ARENA_MAX=1 unshare --root="$root" --wd=/mnt /usr/qemu "$home/bin/java" \
                $flags -cp classes Sample' < "$tmp/in" > "$tmp/out" 2> "$tmp/err" &
    jvm=$!
    exec 3> "$tmp/in"
    until grep -q READY "$tmp/out"; do
        kill -0 "$jvm" || { echo "make-testdata: Sample did not start" >&2; cat "$tmp/err" >&2; exit 1; }
        sleep 0.1
    done
    echo 0 > "/proc/$jvm/coredump_filter" # of qemu's own core
    kill -ABRT "$jvm"
    wait "$jvm" || true
    jvm=
    exec 3>&-
    mv "$tmp"/qemu_*.core "$tmp/gcore"
    rm -f "$tmp"/core* "$root/usr/qemu"
    version=$(qemu-aarch64-static -L "$root" "$root$home/bin/java" -version 2>&1 | sed -n 3p)
    pack "$name" "$version, aarch64" "$flags" --sysroot "$root"
}

size() { stat -c %s "$1" | numfmt --to=si; }

pack() { # NAME VERSION FLAGS OPTIONS...: $tmp/gcore to a sample
    local name=$1 version=$2 flags=$3
    shift 3
    rm -f "$tmp/small"
    "$rjcore" trim "$tmp/gcore" -o "$tmp/small" "$@"
    zstd -q --ultra -22 -f "$tmp/small" -o "$out/$name.core.zst"
    chmod 644 "$out/$name.core.zst"
    echo "| $name | $version | \`$flags\` | $(date -u +%F) | $(size "$tmp/gcore") | $(size "$tmp/small") | $(size "$out/$name.core.zst") |" >> "$out/README.md"
    # What lies in the repository must be readable as it is.
    "$rjcore" histo "$out/$name.core.zst" --top 1 > /dev/null
    rm -f "$tmp/gcore" "$tmp/small"
}

sample jdk17-serial "$jdk17" -XX:+UseSerialGC
sample jdk17-g1 "$jdk17" -XX:+UseG1GC
sample jdk25-serial .test-deps/temurin-25 -XX:+UseSerialGC
sample jdk25-g1 .test-deps/temurin-25 -XX:+UseG1GC
sample_aarch64 jdk17-g1-aarch64 17 -XX:+UseG1GC
cat "$out/README.md"
# Under 5 MB each and 25 MB in all, for good.
find "$out" -size +5000k | { ! grep .; } || { echo "make-testdata: too large" >&2; exit 1; }
