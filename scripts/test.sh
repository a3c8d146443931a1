#!/usr/bin/env bash
# All checks and tests; installs what they need. CI runs this and nothing else.
#   test.sh [--quick]
#   --quick   the quick gear, two minutes after the build: unit tests, cores made byte by byte, the sample cores in
#             testdata, the sources' layers. It needs no JDK and installs nothing; any user can run it.
# A step that fails keeps no other from being tried. What failed is said at the end, test by test; exit code 1 then.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
usage() { sed -n '3,5s/^# *//p' "$0" >&2; exit 2; }
quick=
case $#${1:-} in
    0) ;;
    1--quick) quick=1 ;;
    *) usage ;;
esac

log=$(mktemp) setup_log=$(mktemp) setup=
# shellcheck disable=SC2317 # the trap runs it
at_exit() {
    [ -z "$setup" ] || kill "$setup" 2> /dev/null
    rm -f "$log" "$setup_log"
}
trap at_exit EXIT
done_=() failed=() said=
step() { # NAME COMMAND...
    local name=$1 start=$SECONDS result=ok which
    shift
    echo "== $name"
    "$@" 2>&1 | tee "$log"
    if [ "${PIPESTATUS[0]}" != 0 ]; then
        result=FAILED
        # As cargo and situations.sh name them; else the last that was said.
        which=$(sed -nE 's/^(test .*) \.\.\. FAILED.*/  \1/p; s/^(FAIL .*)/  \1/p; s/^(error: .*)/  \1/p' "$log" | awk '!seen[$0]++')
        failed+=("$name" "${which:-$(tail -n 3 "$log" | sed 's/^/  /')}")
        # What a failed test said stands thousands of lines above the end: again, as far as a page holds it.
        said+=$(sed -n '/^---- .* ----$/,/^failures:$/{/^failures:$/!p}' "$log" | cut -c 1-500 | head -n 80)
    fi
    done_+=("$result $name, $((SECONDS - start)) s")
}
# What Cargo.toml promises of Rust's version, by that version. Where the machine's own is that one, clippy was it.
# shellcheck disable=SC2317 # step runs it
msrv() {
    local version
    version=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
    case $(rustc --version) in "rustc $version."*) echo "rustc is $version: checked by the step before" && return ;; esac
    CARGO_TARGET_DIR=target/msrv cargo "+$version.0" check --locked --all-targets
}
at_end() {
    printf '\n== %s\n' "all steps"
    printf '%s\n' "${done_[@]}"
    [ ${#failed[@]} -gt 0 ] || exit 0
    [ -z "$said" ] || printf '\n== what they said\n%s\n' "$said"
    printf '\nFAILED: %s\n' "${failed[@]}" | sed 's/^FAILED:   */  /; /^$/d'
    exit 1
}

if [ -n "$quick" ]; then
    step "format" cargo fmt --check
    # In the profile that builds soonest. Of mutants, each of which is read once, ten percent of those of a whole run.
    export RJCORE_MUTANTS=${RJCORE_MUTANTS:-10}
    # As programs: a run of chosen tests does not build them.
    step "examples" cargo build --locked --examples
    step "unit tests and quick tests" cargo test --locked --no-fail-fast --lib --bins --test quick
    at_end
fi

step "packages" scripts/setup.sh --packages
# The rest of the set-up waits for downloads most of the time: the steps before the tests run beside it.
scripts/setup.sh > "$setup_log" 2>&1 &
setup=$!
# shellcheck disable=SC2317 # step runs it
set_up() {
    cat "$setup_log"
    return "$set_up"
}
step "shellcheck" shellcheck -x scripts/test.sh scripts/fuzz.sh scripts/situations.sh scripts/situations/*.sh
step "format" cargo fmt --check
# All in one profile: what rjcore depends on, and C libraries above all, is built once for all steps.
step "clippy" cargo clippy --locked --profile ci --all-targets -- -D warnings
step "fuzz targets" cargo clippy --manifest-path fuzz/Cargo.toml --profile ci --target-dir target --locked -- -D warnings
step "Rust's version" msrv
step "the library without the program" \
    cargo clippy --locked --profile ci --no-default-features --lib --examples -- -D warnings
export RUSTDOCFLAGS='-D warnings'
step "documents" cargo doc --locked --profile ci --no-deps --document-private-items
step "build" cargo test --locked --profile ci --no-run
wait "$setup"
set_up=$? setup=
step "set-up" set_up
# The JVMs and cores of two tests at a time fit a small machine.
step "tests" cargo test --locked --profile ci --no-fail-fast -- --test-threads=2
# What needs root, containers, control groups or huge pages; it says what this machine does not allow.
step "situations" scripts/situations.sh --rjcore target/ci/rjcore
at_end
