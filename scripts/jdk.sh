#!/usr/bin/env bash
# Run a program of a JDK that scripts/setup-jdks.sh installed, as root:
#   jdk.sh [-b DIR]... VERSION PROGRAM ARGUMENTS...         jdk.sh newest java -version
# It becomes that program: the same process, in a root and a mount namespace of its own, which end with it. There
# this repository, the working directory and each DIR lie where they lie here; /tmp is .test-deps/jdks/root/tmp.
# To rjcore and gdb it is a process in a container. The JDKs see one another's processes (jcmd, jhsdb).
# A PROGRAM with a slash is run as it is named, e.g. /bin/sh.
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd -P)
jdks=$repo/.test-deps/jdks
export here root=$jdks/root
here=$(pwd -P)
binds=("$repo" "$here")
while [ "${1:-}" = -b ]; do
    binds+=("$(cd "$2" && pwd -P)")
    shift 2
done
[ $# -ge 2 ] || { sed -n '3,8s/^# *//p' "$0" >&2; exit 2; }
version=$1 program=$2
shift 2
[ "$version" != newest ] || version=$(cat "$jdks/newest")
[[ $program == */* ]] || program=/usr/lib/jvm/java-$version-openjdk-amd64/bin/$program
[ -e "$root$program" ] || { echo "jdk.sh: no $program: run scripts/setup-jdks.sh $version" >&2; exit 1; }
# shellcheck disable=SC2016 # a script of its own
exec unshare --mount --propagation private bash -euc '
    mount --bind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    n=$1
    shift
    for dir in "${@:1:n}"; do
        mkdir -p "$root$dir"
        mount --bind "$dir" "$root$dir"
    done
    shift "$n"
    exec unshare --root="$root" --wd="$here" -- "$@"' bash ${#binds[@]} "${binds[@]}" "$program" "$@"
