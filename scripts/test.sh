#!/usr/bin/env bash
# All checks and tests; installs what they need. CI runs this and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
shellcheck -x scripts/situations.sh scripts/situations/*.sh
cargo fmt --check
cargo clippy --locked --all-targets -- -D warnings
# The library without the program.
cargo clippy --locked --no-default-features --lib --examples -- -D warnings
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items
# The JVMs and cores of two tests at a time fit a small machine.
cargo test --locked --profile ci -- --test-threads=2
# What needs root, containers, control groups or huge pages; it says what this machine does not allow.
scripts/situations.sh --rjcore target/ci/rjcore
