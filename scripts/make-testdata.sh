#!/usr/bin/env bash
# Make the sample cores anew: testdata/cores/*.core.zst and their README.md.
# Each is a gcore of tests/java/Sample.java, cut down by `rjcore trim` and compressed. Needs scripts/setup.sh.
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

Real cores of `tests/java/Sample.java`, taken with `scripts/gcore.sh`, cut down with `rjcore trim` to what
rjcore reads, compressed with zstd. No JDK and no libjvm is needed to read them.
`scripts/make-testdata.sh` makes them anew and writes this file.

| core | JVM | flags | taken | gcore | trimmed | compressed |
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
    rm -f "$tmp/small"
    "$rjcore" trim "$tmp/gcore" -o "$tmp/small"
    zstd -q -19 -f "$tmp/small" -o "$out/$name.core.zst"
    version=$("$home/bin/java" -version 2>&1 | sed -n 3p)
    size() { stat -c %s "$1" | numfmt --to=si; }
    echo "| $name | $version | \`$flags\` | $(date -u +%F) | $(size "$tmp/gcore") | $(size "$tmp/small") | $(size "$out/$name.core.zst") |" >> "$out/README.md"
    # What lies in the repository must be readable as it is.
    "$rjcore" histo "$out/$name.core.zst" --top 1 > /dev/null
    rm -f "$tmp/gcore" "$tmp/small"
}

sample jdk17-serial "$jdk17" -XX:+UseSerialGC
sample jdk17-g1 "$jdk17" -XX:+UseG1GC
sample jdk25-serial .test-deps/temurin-25 -XX:+UseSerialGC
sample jdk25-g1 .test-deps/temurin-25 -XX:+UseG1GC
cat "$out/README.md"
# Under 5 MB each and 25 MB in all, for good.
find "$out" -size +5000k | { ! grep .; } || { echo "make-testdata: too large" >&2; exit 1; }
