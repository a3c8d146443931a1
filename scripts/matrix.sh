#!/usr/bin/env bash
# Run the whole matrix: every JDK x collector x form of pointers (tests/matrix/table.rs), each compared with
# HotSpot's own dump. Installs what it needs. A cell that fails does not stop the rest.
#   matrix.sh [--jdk N]... [--gc NAME]... [--form NAME]... [--jobs N] [--resume] [--list]
#   --jdk, --gc, --form   only these cells; --list names all
#   --jobs N              so many cells at a time (default: half of the CPUs)
#   --resume              keep the results of cells that were the same before
#   --stress              instead: random captures of a busy JVM, and jhsdb on the same cores
# Results: target/matrix/*.tsv, one a cell. A run of all cells writes docs/matrix-results.md, or
# docs/stress-results.md. Exit code 1 if any cell differs.
set -euo pipefail
cd "$(dirname "$0")/.."
jdks=() gcs=() forms=() resume= list= mode=cells jobs=$((($(nproc) + 1) / 2))
usage() { sed -n '4,9s/^# *//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --jdk) jdks+=("${2:?}"); shift ;;
        --gc) gcs+=("${2:?}"); shift ;;
        --form) forms+=("${2:?}"); shift ;;
        --jobs) jobs=${2:?}; shift ;;
        --resume) resume=1 ;;
        --list) list=1 ;;
        --stress) mode=stress ;;
        *) usage ;;
    esac
    shift
done
scripts/setup.sh --quick
scripts/setup-jdks.sh --all
newest=$(cat .test-deps/jdks/newest)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
results=$target/matrix/$mode
mkdir -p "$results"
[ "$mode" = cells ] && limit=300 test=matrix || { limit=1800 test=matrix_stress; }
cargo test --locked --release --no-run --test "$test" 2> "$results/build.log" ||
    { cat "$results/build.log"; exit 1; }
binary=$(sed -n 's/.*Executable.*(\(.*\))$/\1/p' "$results/build.log")

# The binary knows the table, and names what of it is asked for.
RJCORE_CELLS=$results/cells "$binary" --exact table_is_whole > "$results/table.log" 2>&1 ||
    { cat "$results/table.log"; exit 1; }
wanted() { # WORD LIST...
    local word=$1 w
    shift
    [ $# -gt 0 ] || return 0
    for w; do [ "${w/newest/$newest}" != "$word" ] || return 0; done
    return 1
}
cells=()
while read -r jdk gc form; do
    wanted "$jdk" "${jdks[@]}" && wanted "$gc" "${gcs[@]}" && wanted "$form" "${forms[@]}" || continue
    cells+=("$jdk $gc${form:+ $form}")
done < "$results/cells"
[ -z "$list" ] || { printf '%s\n' "${cells[@]}"; exit; }
[ ${#cells[@]} -gt 0 ] || { echo "matrix: no such cell (see --list)" >&2; exit 2; }

export results binary limit
one() { # CELL: run it and say its line
    local file=$results/${1// /-}.tsv code=0
    rm -f "$file"
    RJCORE_CELL=$1 RJCORE_RESULT=$file timeout -k 10 "$limit" "$binary" --exact table_is_whole > "${file%.tsv}.log" 2>&1 ||
        code=$?
    if [ -s "$file" ]; then
        rm -f "${file%.tsv}.log"
    else
        printf '%s\tfailed\t0\t0\t0\t0\t0\t%s\tended with %s\n' "${1// /$'\t'}" "$limit" "$code" > "$file"
    fi
    cut -c 1-150 "$file"
}
export -f one
todo=()
for c in "${cells[@]}"; do
    [ -n "$resume" ] && grep -q "	same	" "$results/${c// /-}.tsv" 2> /dev/null || todo+=("$c")
done
echo "matrix: ${#todo[@]} of ${#cells[@]} cells to run"
[ ${#todo[@]} -eq 0 ] || printf '%s\0' "${todo[@]}" | xargs -0 -P "$jobs" -I{} bash -c 'one "$1"' one {}

# The results in the table's order.
lines() { for c in "${cells[@]}"; do cat "$results/${c// /-}.tsv"; done; }
bad=$(lines | grep -cv "	same	" || true)
echo "matrix: $((${#cells[@]} - bad)) of ${#cells[@]} cells are the same"
whole=
[ "${#cells[@]}" != "$(wc -l < "$results/cells")" ] || whole=1
if [ -n "$whole" ]; then
    docs=docs/matrix-results.md
    {
        cat << END
# Results of the matrix

Written by \`scripts/matrix.sh\` on $(date -u +%F), at $(git describe --always --dirty), with Debian's builds:
$(sed -n 's/^openjdk-\([0-9]*\)-jdk-headless_\(.*\)_[a-z0-9]*\.deb$/\1 (\2)/p' .test-deps/jdks/*.stamp |
            sed 's/%3a/:/g' | sort -n | tr '\n' ',' | sed 's/,$//; s/,/, /g').
A cell is one JVM: rjcore's dump and histogram of its core against HotSpot's own, object by object. Names of
cells are those of \`tests/matrix/table.rs\`, which has the flags. Time: from the start of the JVM to the end of the
comparison.

$((${#cells[@]} - bad)) of ${#cells[@]} cells are the same. Differences: objects, fields, classes, roots, counts. Unparsed: bytes of
the heap that rjcore could not read as objects.

| JDK | collector | form | objects | differences | unparsed bytes | core, MB | dump, ms | all, s |
|---|---|---|---|---|---|---|---|---|
END
        lines | awk -F '\t' '{ d = $4 == "same" ? $6 : $4 == "differs" ? "**" $6 "**" : "**failed**"
            printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $5, d, $7, $8, $9, $10 }'
        if [ "$bad" != 0 ]; then
            printf '\n## What differs\n\n'
            lines | awk -F '\t' '$4 != "same" { gsub(/`/, "", $11); printf "- %s %s %s: `%s`\n", $1, $2, $3, substr($11, 1, 300) }'
        fi
    } > "$docs"
    echo "matrix: wrote $docs"
fi
[ "$bad" = 0 ]
