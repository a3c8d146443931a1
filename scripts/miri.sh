#!/usr/bin/env bash
# Miri over the unsafe code that it can run: the lists that a signal handler reads (src/mapped/notes.rs), by their own tests.
# It needs rustup and some minutes; it installs the nightly toolchain's miri. What maps files, makes system calls or handles
# signals is beyond Miri: scripts/test.sh runs that for real.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v rustup > /dev/null || { echo "miri.sh: rustup is not there; install it (https://rustup.rs)" >&2; exit 2; }
rustup toolchain list | grep -q '^nightly' || rustup toolchain install nightly --profile minimal
rustup component add --toolchain nightly miri rust-src
crate=$(mktemp -d)
trap 'rm -rf "$crate"' EXIT
mkdir "$crate/src"
cp src/mapped/notes.rs "$crate/src/"
printf '[package]\nname = "notes"\nversion = "0.0.0"\nedition = "2024"\n' > "$crate/Cargo.toml"
printf '#![allow(dead_code)]\nmod notes;\n' > "$crate/src/lib.rs"
# Links live as long as the process, and so do texts that a handler may be reading: they are no leaks.
cd "$crate" && MIRIFLAGS="-Zmiri-ignore-leaks" cargo +nightly miri test --quiet
