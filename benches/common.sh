# What the benches share; they source it.

# rjcore_binary [FILE]: FILE, or a new build
rjcore_binary() {
    if [ -n "${1:-}" ]; then
        realpath "$1"
    else
        cargo build -q --locked --release
        realpath "${CARGO_TARGET_DIR:-target}/release/rjcore"
    fi
}
# workplace DIR NAME: a new directory in DIR, $work, that goes away in the end together with the process $jvm
workplace() {
    work=$(mktemp -d "$1/rjcore-$2.XXXXXX")
    jvm=
    trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$work"' EXIT
}
