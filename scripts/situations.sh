#!/usr/bin/env bash
# Try with the running program what real use found wrong: one line a situation. Run it as root, on Debian 12.
#   situations.sh [--rjcore FILE] [--keep] [NUMBER...]
# A NUMBER is that of the situation in docs/situations.md; without one all are tried. FILE is the rjcore to try,
# by default target/ci/rjcore, which is built if it is not there. --keep leaves the logs.
#   ok 13 TEXT          it is right
#   FAIL 13 TEXT: ...   what was seen, and what was expected
#   OPEN 13 TEXT: ...   the same, where it is a limit that is known, or a time, which hangs on the machine
#   CANNOT 13 TEXT: ... this machine does not allow it: nothing was tried
# Those that failed are named again at the end. Exit code 1 if one failed, else 0.
set -u
cd "$(dirname "$0")/.." || exit
repo=$PWD
deps=$repo/.test-deps

rjcore='' keep='' wanted=()
while [ $# -gt 0 ]; do
    case $1 in
        --rjcore) rjcore=$(realpath -- "${2:?--rjcore FILE}") && shift ;;
        --keep) keep=1 ;;
        [0-9] | [0-9][0-9]) wanted+=("$1") ;;
        *) sed -n '2,10s/^# *//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
[ "$(id -u)" = 0 ] || { echo "situations.sh: run it as root" >&2; exit 2; }
if [ -z "$rjcore" ]; then
    rjcore=$repo/target/ci/rjcore
    [ -x "$rjcore" ] || cargo build --locked --profile ci || exit 1
fi

# Where users other than root come to, too; they need a copy of rjcore and of the classes.
work=$(mktemp -d /tmp/rjcore-situations.XXXXXX)
chmod 755 "$work"
# shellcheck source=scripts/situations/lib.sh
. scripts/situations/lib.sh
trap at_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
set_up || exit 1
for theme in capture heap stacks live door cores people; do
    # shellcheck disable=SC1090 # one of the files beside lib.sh
    . "scripts/situations/$theme.sh"
done
summary
