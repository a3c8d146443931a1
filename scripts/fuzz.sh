#!/usr/bin/env bash
# Fuzzes rjcore's parsers with libFuzzer, guided by coverage, on stable Rust: each target for its share of the time.
#   fuzz.sh MINUTES [TARGET...]     all targets, or these; they are in fuzz/fuzz_targets
# Inputs begin with parts of the sample cores in testdata, and what a run finds new is kept in fuzz/corpus for the next. An
# input may take 256 MB of memory and 20 seconds; one that takes more, and one that panics, is a finding: it is left in
# fuzz/artifacts/TARGET, told with the command that has it again, and the exit code is 1. As many targets run at once as
# there are CPUs (JOBS=N: as many as that). At the end it says how many runs there were, and what processor time they took,
# which is less than MINUTES on a machine that has other work. It needs a C++ compiler.
# Who has nightly Rust and cargo-fuzz may run `cargo fuzz run TARGET` in fuzz/ as well, with the address sanitizer.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
usage() { sed -n '3,9s/^# *//p' "../scripts/fuzz.sh" >&2; exit 2; }
[[ ${1:-} =~ ^[1-9][0-9]*$ ]] || usage
minutes=$1
shift
command -v c++ > /dev/null || { echo "fuzz.sh: there is no C++ compiler; install g++" >&2; exit 2; }

say() { echo "fuzz: $*"; }
# Sets `seconds_taken` to what the ended children of this shell have taken of a processor.
taken() {
    local stat
    read -r -a stat < "/proc/$BASHPID/stat"
    seconds_taken=$(((stat[15] + stat[16]) / $(getconf CLK_TCK)))
}
triple=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz sets, without the sanitizer, which needs nightly: counters and comparisons for libFuzzer.
sancov=level=4,inline-8bit-counters,pc-table,trace-compares
flags=-Cpasses=sancov-module
for part in ${sancov//,/ }; do flags+=" -Cllvm-args=-sanitizer-coverage-$part"; done
export RUSTFLAGS="$flags --cfg fuzzing"
say "building"
cargo build --quiet --locked --release --target "$triple" --bins
built=$PWD/target/$triple/release
taken
building=$seconds_taken
mapfile -t all < <(basename -s .rs fuzz_targets/*.rs)
targets=("${@:-${all[@]}}")
for target in "${targets[@]}"; do
    [ -f "fuzz_targets/$target.rs" ] || { echo "fuzz.sh: no target $target; there are: ${all[*]}" >&2; exit 2; }
done
jobs=${JOBS:-$(nproc)}
seconds=$((minutes * 60 * jobs / ${#targets[@]}))
[ "$seconds" -ge 5 ] || seconds=5

fuzz() { # TARGET
    local target=$1 log code=0 found runs coverage
    mkdir -p "corpus/$target" "artifacts/$target" logs
    log=logs/$target.log
    RJCORE_SEEDS=corpus/$target "$built/$target" -runs=0 > "$log" 2>&1
    # rjcore's temporary files are small and many: in memory, if there is such a place.
    TMPDIR=$([ -w /dev/shm ] && echo /dev/shm || echo /tmp) "$built/$target" "corpus/$target" \
        -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -max_len=65536 \
        -len_control=20 -use_value_profile=1 -print_final_stats=1 -reload=0 > "$log" 2>&1 || code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)
    found=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    echo "${runs:-0}" >> "$sum"
    taken
    say "$target: ${runs:-?} runs in $seconds s ($seconds_taken s of a processor), ${coverage:-?} places covered, $([ $code = 0 ] && echo no finding || echo FOUND "$found")"
    [ $code = 0 ] && return
    grep -m 3 -E 'panicked at|ERROR: libFuzzer|rjcore-fuzz:' -A 1 "$log" | sed 's/^/  /'
    echo "  again: fuzz/target/$triple/release/$target fuzz/$found"
    return 1
}

sum=$(mktemp)
trap 'rm -f "$sum"' EXIT
failed=0 running=0
for target in "${targets[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
taken
say "$(awk '{ runs += $1 } END { print runs + 0 }' "$sum") runs in all, $(((seconds_taken - building + 30) / 60)) minutes of processor time"
exit "$failed"
