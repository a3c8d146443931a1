#!/usr/bin/env bash
# Build what is handed out: one static file for each CPU that runs on any Linux, and packages of it.
#   release.sh [--cpu x86_64|aarch64]... [--binary FILE] [--out DIR]
# Default: both CPUs, into target/release-files. For each CPU: rjcore-VERSION-CPU, stripped and without any library, its .debug file
# (gdb finds it by build-id), a Debian package with manual page and completions, a wheel (`pip install` puts rjcore on the PATH), and SHA256SUMS
# of all. --binary packages a file that is there already, for the one CPU named.
# Needs Rust's targets by rustup, dpkg-deb, python3 with pip, and for aarch64 what setup-aarch64.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."
cpus=() binary="" out=target/release-files
while [ $# -gt 0 ]; do
    case $1 in
        --cpu) cpus+=("${2:?}") ;;
        --binary) binary=${2:?} ;;
        --out) out=${2:?} ;;
        *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
[ ${#cpus[@]} -gt 0 ] || cpus=(x86_64 aarch64)
say() { echo "release: $*"; }
die() { say "$*" >&2; exit 1; }
[ -z "$binary" ] || [ ${#cpus[@]} = 1 ] || die "--binary is of one CPU: name it with --cpu"
for cpu in "${cpus[@]}"; do
    case $cpu in x86_64 | aarch64) ;; *) die "no CPU $cpu: x86_64 or aarch64" ;; esac
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
out=$(realpath "$out")
# The same input, the same bytes: nothing has the time of its making.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# PyPI's wheel, which packs one: where Python has it not, it is fetched.
if ! python3 -m wheel version > /dev/null 2>&1; then
    python3 -m pip download -q --disable-pip-version-check --no-deps -d "$work/pypi" wheel==0.45.1
    export PYTHONPATH=$work/pypi/lib
    python3 -m zipfile -e "$work"/pypi/*.whl "$PYTHONPATH"
fi

# build CPU: the program, with its symbols, as $work/CPU
build() {
    local cpu=$1 target=$1-unknown-linux-gnu linker=$1-linux-gnu-gcc
    say "building for $cpu"
    [ -d "$(rustc --print target-libdir --target "$target")" ] || rustup -q target add "$target"
    command -v "$linker" > /dev/null || die "no $linker: scripts/setup-aarch64.sh installs it"
    # glibc becomes a part of it; a build-id is what its debug file is found by.
    env "CC_${target//-/_}=$linker" "CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<< "$target")_LINKER=$linker" \
        RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,--build-id=sha1 --remap-path-prefix=$PWD=/rjcore --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
        cargo build -q --locked --profile dist --bin rjcore --target "$target"
    cp "${CARGO_TARGET_DIR:-target}/$target/dist/rjcore" "$work/$cpu"
}

# debian CPU FILE ARCHITECTURE
debian() {
    local root=$work/debian-$1 share=$work/debian-$1/usr/share
    mkdir -p "$root/DEBIAN" "$root/usr/bin" "$share/man/man1" "$share/doc/rjcore" \
        "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
    install -m 755 "$2" "$root/usr/bin/rjcore"
    gzip -9n < "$work/rjcore.1" > "$share/man/man1/rjcore.1.gz"
    cp "$work/bash" "$share/bash-completion/completions/rjcore"
    cp "$work/zsh" "$share/zsh/vendor-completions/_rjcore"
    cp "$work/fish" "$share/fish/vendor_completions.d/rjcore.fish"
    cat LICENSE-APACHE LICENSE-MIT > "$share/doc/rjcore/copyright"
    cat > "$root/DEBIAN/control" << CONTROL
Package: rjcore
Version: $version
Architecture: $3
Maintainer: rjcore
Section: devel
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f 1)
Homepage: $(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)
Description: heap dumps, thread dumps and answers from the core of a HotSpot JVM
 Captures a JVM that is hung, dying or dead as an ELF core with a short stop, and works from that core:
 HPROF dumps, stacks, histograms, who holds the memory. No JDK is needed.
CONTROL
    find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --build "$root" "$out/rjcore_${version}_$3.deb" > /dev/null
}

# wheel CPU FILE: it needs no library, so any Linux of either libc will do
wheel() {
    local root=$work/wheel-$1 info=$work/wheel-$1/rjcore-$version.dist-info
    mkdir -p "$info" "$root/rjcore-$version.data/scripts"
    install -m 755 "$2" "$root/rjcore-$version.data/scripts/rjcore"
    printf 'Metadata-Version: 2.1\nName: rjcore\nVersion: %s\nSummary: %s\nLicense: MIT OR Apache-2.0\nDescription-Content-Type: text/markdown\n\n' \
        "$version" "$(sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)" | cat - README.md > "$info/METADATA"
    printf 'Wheel-Version: 1.0\nGenerator: rjcore\nRoot-Is-Purelib: false\nTag: py3-none-manylinux2014_%s\nTag: py3-none-musllinux_1_1_%s\n' \
        "$1" "$1" > "$info/WHEEL"
    python3 -m wheel pack -d "$out" "$root" > /dev/null
}

for cpu in "${cpus[@]}"; do
    if [ -n "$binary" ]; then cp "$binary" "$work/$cpu"; else build "$cpu"; fi
    name=rjcore-$version-$cpu tool=$cpu-linux-gnu-
    command -v "${tool}objcopy" > /dev/null || die "no ${tool}objcopy: install binutils for $cpu"
    "${tool}readelf" -l "$work/$cpu" | grep -q INTERP && die "$name asks for a dynamic linker: it is not static"
    "${tool}objcopy" --only-keep-debug --compress-debug-sections "$work/$cpu" "$out/$name.debug"
    "${tool}objcopy" --strip-all "$work/$cpu" "$out/$name"
    case $cpu in x86_64) debian=amd64 ;; aarch64) debian=arm64 ;; esac
    runs=()
    [ "$cpu" = "$(uname -m)" ] || runs=("qemu-$cpu-static")
    "${runs[@]}" "$out/$name" man > "$work/rjcore.1"
    for shell in bash zsh fish; do "${runs[@]}" "$out/$name" completions "$shell" > "$work/$shell"; done
    debian "$cpu" "$out/$name" "$debian"
    wheel "$cpu" "$out/$name"
    say "$name: $(stat -c %s "$out/$name") bytes"
done
(cd "$out" && sha256sum -- rjcore* > "$work/sums" && mv "$work/sums" SHA256SUMS)
say "$(wc -l < "$out/SHA256SUMS") files in $out"
