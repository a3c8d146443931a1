#!/usr/bin/env bash
# Install what tests/aarch64.rs needs, on a Debian 12 machine: JVMs of 64-bit Arm and an emulator to run them.
#   setup-aarch64.sh [--update]     --update fetches the packages again, as the suites have them now
# From apt: qemu-user-static, and gcc-aarch64-linux-gnu to link rjcore itself for that CPU (with rustup's target).
# In .test-deps/aarch64/: 17/root and 25/root, each the root of a machine with that JDK and its C library,
# unpacked from Debian's arm64 packages; the machine's own packages are not touched.
set -euo pipefail
cd "$(dirname "$0")/.."
deps=$PWD/.test-deps/aarch64
libraries=(libc6 libgcc-s1 libstdc++6 zlib1g)
say() { echo "setup-aarch64: $*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
die() { say "$*" >&2; exit 1; }

update=
case ${1:-} in
    '') ;;
    --update) update=1 ;;
    *) sed -n '3s/^# *//p' "$0" >&2; exit 2 ;;
esac
mkdir -p "$deps"
exec 9> "$deps/.lock"
flock 9

need=()
command -v qemu-aarch64-static > /dev/null || need+=(qemu-user-static)
command -v aarch64-linux-gnu-gcc > /dev/null || need+=(gcc-aarch64-linux-gnu)
[ -e /usr/aarch64-linux-gnu/lib/libc.so ] || need+=(libc6-dev-arm64-cross)
if [ ${#need[@]} -gt 0 ]; then
    say "apt-get install ${need[*]}"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "${need[@]}" > /dev/null
fi

target=aarch64-unknown-linux-gnu
if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
    command -v rustup > /dev/null || die "Rust's library for $target is not there, and no rustup to add it"
    say "rustup target add $target"
    rustup -q target add "$target"
fi

jdk() { # VERSION SUITE
    local version=$1 suite=$2 dir=$deps/$1 mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -n "$update" ] || [ ! -s "$dir/stamp" ] || return 0
    say "JDK $version of Debian $suite for arm64"
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
        sed -n '/security/d; s/^Debian //p' | head -n 1)
    [ -e "$key" ] || die "no $key: install debian-archive-keyring"
    rm -rf "$dir"
    mkdir -p "$dir"/apt/{lists,cache}/partial "$dir"/{debs,root/usr/lib}
    : > "$dir/apt/status"
    [ -n "$mirror" ] || die "apt on this machine knows no Debian archive"
    echo "deb [signed-by=$key] $mirror $suite main" > "$dir/apt/sources.list"
    local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Acquire::Languages=none
        -o Dir::Etc::sourcelist="$dir/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Cache="$dir/apt/cache"
        -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status="$dir/apt/status"
        -o APT::Sandbox::User="$(id -un)")
    apt-get "${options[@]}" update
    (cd "$dir/debs" && apt-get "${options[@]}" download "openjdk-$version-jre-headless" "${libraries[@]}")
    ln -s usr/lib "$dir/root/lib"
    local deb
    for deb in "$dir"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -C "$dir/root" --keep-directory-symlink --no-same-owner \
            --exclude="./usr/share/doc/*" --exclude="./usr/share/man/*" -xf -
    done
    # A link to /etc would lead to the machine's own.
    find "$dir/root" -type l -lname '/*' | while read -r link; do
        ln -sfnr "$dir/root$(readlink "$link")" "$link"
    done
    # What is missing shows here and not in a test.
    local java=$dir/root/usr/lib/jvm/java-$version-openjdk-arm64/bin/java said
    said=$(qemu-aarch64-static -L "$dir/root" "$java" -Xmx32m -version 2>&1) || die "it does not run: $said"
    say "  $(sed -n 2p <<< "$said")"
    (cd "$dir/debs" && echo ./*.deb) > "$dir/stamp"
    rm -rf "$dir/debs" "$dir/apt"
}

jdk 17 bookworm
jdk 25 sid
say "all there: JDK 17 and 25 for aarch64 in $deps"
