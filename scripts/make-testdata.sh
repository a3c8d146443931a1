#!/usr/bin/env bash
# Make the sample cores anew: testdata/cores/*.core.zst and their README.md.
# Each is a gcore of tests/java/Sample.java, cut down by `rjcore trim` and compressed. Those of aarch64 are
# qemu's. Needs scripts/setup.sh, and root: the JVMs run in namespaces of their own, with JDK and classes below /opt and
# an invented user and host, so that nothing of this machine gets into the cores.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${RJCORE:-}" ]; then # else: the program to trim with
    scripts/setup.sh --quick
    cargo build --locked --release
fi
rjcore=${RJCORE:-${CARGO_TARGET_DIR:-target}/release/rjcore}
out=testdata/cores
# Not below /tmp, which the JVMs have for themselves.
tmp=$(mktemp -d "$PWD/target/testdata.XXXXXX")
jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$tmp"' EXIT
mkdir -p "$out" "$tmp/classes"
jdk17=/usr/lib/jvm/java-17-openjdk-amd64
"$jdk17/bin/javac" -encoding UTF-8 --release 17 -d "$tmp/classes" tests/java/Sample.java
mkfifo "$tmp/in"
echo 'user:x:0:0::/home/user:/bin/sh' > "$tmp/passwd"

cat > "$out/README.md" << 'END'
# Sample cores

Real cores of `tests/java/Sample.java`, taken with `scripts/gcore.sh` (of aarch64: written by qemu's user mode),
cut down with `rjcore trim` to what rjcore reads, compressed with zstd. No JDK and no libjvm is needed to read them.
Nothing in them names the machine that they were made on: the JVMs ran in namespaces of their own, with JDK and classes
below /opt and an invented user and host. `scripts/make-testdata.sh` makes them anew and writes this file.

| core | JVM | flags | taken | core | trimmed | compressed |
|---|---|---|---|---|---|---|
END

sample() { # NAME JAVA_HOME FLAGS...
    local name=$1 home=$2 pid version
    shift 2
    local flags="-Xmx8m -XX:CompressedClassSpaceSize=16m -XX:ReservedCodeCacheSize=16m $*"
    # Containers' limits are read from files that name this machine's mounts.
    # shellcheck disable=SC2016 # a script of its own; flags are words
    env -i PATH="$PATH" tmp="$tmp" home="$home" flags="$flags -XX:-UseContainerSupport" \
        unshare --mount --uts --propagation private bash -euc '
            hostname sample
            mount -t tmpfs none /opt
            mkdir /opt/jdk /opt/sample
            mount --bind "$home" /opt/jdk
            mount --bind "$tmp/classes" /opt/sample
            mount --bind "$tmp/passwd" /etc/passwd
            mount -t tmpfs none /tmp
            cd /opt/sample
            exec env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 MALLOC_ARENA_MAX=1 /opt/jdk/bin/java $flags \
                -cp /opt/sample Sample' < "$tmp/in" > "$tmp/out" &
    jvm=$!
    exec 3> "$tmp/in"
    until grep -q READY "$tmp/out"; do
        kill -0 "$jvm" || { echo "make-testdata: Sample did not start" >&2; exit 1; }
        sleep 0.1
    done
    pid=$(sed -n 's/^READY //p' "$tmp/out")
    # There the paths are those that the JVM knows.
    nsenter --mount --target "$pid" --wd="$PWD" scripts/gcore.sh "$pid" "$tmp/gcore"
    exec 3>&-
    wait "$jvm"
    jvm=
    version=$("$home/bin/java" -version 2>&1 | sed -n 3p)
    # What the process had below /opt/jdk is there.
    mkdir -p "$tmp/root/opt"
    ln -sfn "$home" "$tmp/root/opt/jdk"
    pack "$name" "$version" "$flags" --sysroot "$tmp/root"
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
    # UTF-16 too: of strings each second byte is 0.
    local words="$PWD|$(realpath .test-deps)|$HOME/|/work/|/home/[^u]|${SUDO_USER:-$(id -un)}:"
    # A short name is in any core.
    [ "$(uname -n | wc -c)" -lt 6 ] || words+="|$(uname -n)"
    if { strings -n 4 "$tmp/small"; strings -n 4 -e l "$tmp/small"; } | grep -E -- "$words"; then
        echo "make-testdata: $name tells of this machine" >&2
        exit 1
    fi
    zstd -q --ultra -22 -f "$tmp/small" -o "$out/$name.core.zst"
    chmod 644 "$out/$name.core.zst"
    echo "| $name | $version | \`$flags\` | $(date -u +%F) | $(size "$tmp/gcore") | $(size "$tmp/small") | $(size "$out/$name.core.zst") |" >> "$out/README.md"
    # What lies in the repository must be readable as it is.
    "$rjcore" histo "$out/$name.core.zst" --top 1 > /dev/null
    rm -f "$tmp/gcore" "$tmp/small"
}

sample jdk17-serial "$jdk17" -XX:+UseSerialGC
sample jdk17-g1 "$jdk17" -XX:+UseG1GC
sample jdk25-serial "$PWD/.test-deps/temurin-25" -XX:+UseSerialGC
sample jdk25-g1 "$PWD/.test-deps/temurin-25" -XX:+UseG1GC
sample_aarch64 jdk17-g1-aarch64 17 -XX:+UseG1GC
cat "$out/README.md"
# Under 5 MB each and 25 MB in all, for good.
find "$out" -size +5000k | { ! grep .; } || { echo "make-testdata: too large" >&2; exit 1; }
