#!/usr/bin/env bash
# Install JDKs of Debian's unstable suite for the tests, on a Debian machine, into .test-deps/jdks/root.
#   setup-jdks.sh [VERSION...] [--update]
# A VERSION is a number or "newest"; without one: all that `cargo test` and scripts/matrix.sh need. What is there
# already stays as it is, unless --update asks for the suite's current builds.
# They need a newer C library than Debian 12 has, so they live in a root of their own: scripts/jdk.sh runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
all=(8 11 17 21 25 26 newest)
# What java, jcmd, jhsdb and a shell with cat need to run; the rest of their dependencies is for desktops.
base=(libc6 libc-bin libgcc-s1 libstdc++6 zlib1g dash coreutils libselinux1 libacl1 libattr1 libgmp10 libpcre2-8-0
    libssl3t64 libsystemd0)
jdks=$PWD/.test-deps/jdks
root=$jdks/root
say() { echo "setup-jdks: $*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
die() { say "$*" >&2; exit 1; }

update= versions=()
for arg; do
    case $arg in
        --update) update=1 ;;
        newest | [0-9] | [0-9][0-9]) versions+=("$arg") ;;
        *) sed -n '3,5s/^# *//p' "$0" >&2; exit 2 ;;
    esac
done
[ ${#versions[@]} -gt 0 ] || versions=("${all[@]}")
mkdir -p "$jdks"
exec 9> "$jdks/.lock"
flock 9

# Its own lists and settings: the machine's packages are not touched. The mirror is the machine's.
apt_options=(-qq -o Dir::Etc::sourcelist="$jdks/apt/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::State::lists="$jdks/apt/lists" -o Dir::Cache="$jdks/apt/cache" -o Acquire::Languages=none
    -o APT::Sandbox::User="$(id -un)")
looked=
look() { # at what the suite has, once
    [ -z "$looked" ] || return 0
    local mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
        sed -n '/security/d; s/^Debian //p' | head -n 1)
    [ -n "$mirror" ] || die "apt on this machine knows no Debian archive"
    [ -e "$key" ] || die "no $key: install debian-archive-keyring"
    rm -rf "$jdks/apt"
    mkdir -p "$jdks"/apt/{lists,cache}/partial
    echo "deb [signed-by=$key] $mirror sid main" > "$jdks/apt/sources.list"
    apt-get "${apt_options[@]}" update
    looked=1
}

if [[ " ${versions[*]} " == *" newest "* ]]; then
    if [ -n "$update" ] || [ ! -s "$jdks/newest" ]; then
        look
        newest=$(apt-cache "${apt_options[@]}" pkgnames openjdk- |
            sed -n 's/^openjdk-\([0-9]*\)-jdk-headless$/\1/p' | sort -n | tail -n 1)
        [ -n "$newest" ] || die "the suite has no openjdk-N-jdk-headless"
        echo "$newest" > "$jdks/newest"
    fi
    versions=("${versions[@]/newest/$(cat "$jdks/newest")}")
fi

packages() { # PART: sets them
    case $1 in
        base) packages=("${base[@]}") ;;
        # Without the symbols of its libjvm.so, 8's jmap and jstack open no core and no process by force.
        8) packages=(openjdk-8-{jre-headless,jdk-headless,dbg}) ;;
        *) packages=("openjdk-$1-"{jre,jdk}-headless) ;;
    esac
    # The Zero VM of an old, a middle and the newest release: one more libjvm.so, for java -zero.
    case $1 in
        8 | 17 | "$(cat "$jdks/newest" 2> /dev/null || true)") packages+=("openjdk-$1-jre-zero") ;;
    esac
}

# Stamps hold packages' versions; a part without one was interrupted.
want=() parts=()
for part in base $(printf '%s\n' "${versions[@]}" | sort -nu); do
    packages "$part"
    for p in "${packages[@]}"; do
        if [ -n "$update" ] || ! grep -qs "^${p}_" "$jdks/$part.stamp"; then
            parts+=("$part") want+=("${packages[@]}")
            break
        fi
    done
done
if [ ${#want[@]} -eq 0 ]; then
    say "all there: JDK $(printf '%s\n' "${versions[@]}" | sort -nu | tr '\n' ' ')in $root"
    exit
fi

look
say "downloading ${want[*]}"
debs=$(mktemp -d "$jdks/debs.XXXXXX")
trap 'rm -rf "$debs"' EXIT
(cd "$debs" && apt-get "${apt_options[@]}" download "${want[@]}")
mkdir -p "$root"/{usr/bin,usr/lib,usr/lib64,etc,proc,dev,tmp}
chmod 1777 "$root/tmp"
for d in bin lib lib64; do ln -sfn "usr/$d" "$root/$d"; done
# HotSpot asks who it runs as.
echo 'root:x:0:0:root:/:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
for p in "${parts[@]}"; do
    [ "$p" = base ] || rm -rf "$root/usr/lib/jvm/java-$p-openjdk-amd64"
done
# Without jmods and documents, which are half of it. Several at a time: xz takes its time.
# shellcheck disable=SC2016 # a script of its own
find "$debs" -name '*.deb' -print0 | xargs -0 -P "$(nproc)" -I{} sh -euc '
    dpkg-deb --fsys-tarfile "$1" | tar -C "$2" --keep-directory-symlink --no-same-owner \
        --exclude="*/jmods/*" --exclude="./usr/share/doc/*" --exclude="./usr/share/man/*" \
        --exclude="./usr/share/locale/*" -xf -' sh {} "$root"
# What is missing shows here and not in a test.
for p in "${parts[@]}"; do
    if [ "$p" != base ]; then
        said=$(as_root scripts/jdk.sh "$p" java -version 2>&1) || die "JDK $p does not run: $said"
        as_root scripts/jdk.sh "$p" jcmd -l > /dev/null || die "jcmd of JDK $p does not run"
        case " ${want[*]} " in *" openjdk-$p-jre-zero "*)
            as_root scripts/jdk.sh "$p" java -zero -version 2> /dev/null || die "Zero $p does not run" ;;
        esac
        say "JDK $p: $(sed -n 2p <<< "$said")"
    fi
    packages "$p"
    for f in "${packages[@]}"; do
        f=$(cd "$debs" && echo "${f}"_*.deb)
        echo "$f"
    done > "$jdks/$p.stamp"
done
