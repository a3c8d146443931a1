#!/usr/bin/env bash
# Run the whole matrix: every JDK x collector x form of pointers (tests/matrix/table.rs), each compared with
# HotSpot's own dump. Installs what it needs. A cell that fails does not stop the rest.
#   matrix.sh [--jdk N]... [--gc NAME]... [--form NAME]... [--jobs N] [--profile NAME] [--resume] [--list]
#   --jdk, --gc, --form   only these cells; --list names all
#   --jobs N              so many cells at a time (default: half of the CPUs)
#   --profile NAME        with rjcore as this profile of Cargo.toml builds it (default: release; ci builds sooner)
#   --resume              keep the results of cells that passed before
#   --stress              instead: random captures of a busy JVM, and jhsdb on the same cores
# Results: target/matrix/*/*.tsv, one a cell. A run of all cells writes docs/matrix-results.md and the tables in
# docs/support-matrix.md, or docs/stress-results.md. Exit code 1 if any cell did not pass.
set -euo pipefail
cd "$(dirname "$0")/.."
jdks=() gcs=() forms=() resume= list= mode=cells profile=release jobs=$((($(nproc) + 1) / 2))
usage() { sed -n '4,10s/^# *//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --jdk) jdks+=("${2:?}"); shift ;;
        --gc) gcs+=("${2:?}"); shift ;;
        --form) forms+=("${2:?}"); shift ;;
        --jobs) jobs=${2:?}; shift ;;
        --profile) profile=${2:?}; shift ;;
        --resume) resume=1 ;;
        --list) list=1 ;;
        --stress) mode=stress ;;
        *) usage ;;
    esac
    shift
done
scripts/setup.sh --quick
scripts/setup-jdks.sh
newest=$(cat .test-deps/jdks/newest)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
results=$target/matrix/$mode
mkdir -p "$results"
[ "$mode" = cells ] && limit=300 test=matrix fields=$(seq 6) || { limit=1800 test=matrix_stress fields=$(seq 10); }
cargo test --locked --profile "$profile" --no-run --test "$test" 2> "$results/build.log" ||
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

export results binary limit fields
one() { # CELL: run it and say its line
    local file=$results/${1// /-}.tsv code=0
    rm -f "$file"
    RJCORE_CELL=$1 RJCORE_RESULT=$file timeout -k 10 "$limit" "$binary" --exact table_is_whole > "${file%.tsv}.log" 2>&1 ||
        code=$?
    if [ -s "$file" ]; then
        rm -f "${file%.tsv}.log"
    else
        printf '%s\tfailed\t%sended with %s\n' "${1// /$'\t'}" "$(printf "0\t%.0s" $fields)" "$code" > "$file"
    fi
    cut -c 1-150 "$file"
}
export -f one
todo=()
for c in "${cells[@]}"; do
    [ -n "$resume" ] && grep -q "	passed	" "$results/${c// /-}.tsv" 2> /dev/null || todo+=("$c")
done
echo "matrix: ${#todo[@]} of ${#cells[@]} cells to run"
[ ${#todo[@]} -eq 0 ] || printf '%s\0' "${todo[@]}" | xargs -0 -P "$jobs" -I{} bash -c 'one "$1"' one {}

# The results in the table's order.
lines() { for c in "${cells[@]}"; do cat "$results/${c// /-}.tsv"; done; }
bad=$(lines | grep -cv "	passed	" || true)
echo "matrix: $((${#cells[@]} - bad)) of ${#cells[@]} cells passed"
whole=
[ "${#cells[@]}" != "$(wc -l < "$results/cells")" ] || whole=1
builds=$(sed -n 's/^openjdk-\([0-9]*\)-jdk-headless_\(.*\)_[a-z0-9]*\.deb$/\1 (\2)/p' .test-deps/jdks/*.stamp |
    sed 's/%3a/:/g' | sort -n | paste -sd ',' | sed 's/,/, /g')
head="Written by \`scripts/matrix.sh\` on $(date -u +%F), at $(git describe --always), with Debian's builds
$builds."
[ -z "$resume" ] || head+="
What had passed before was kept (--resume), and is of the builds of that time."
wrong() { # FIELD: what the cells say that did not pass
    [ "$bad" != 0 ] || return 0
    printf '\n## What did not pass\n\n'
    lines | awk -F '\t' -v f="$1" '$4 != "passed" { gsub(/`/, "", $f); printf "- %s %s %s: `%s`\n", $1, $2, $3, substr($f, 1, 300) }' |
        sed "s|$PWD/||g" # no machine's paths
}
matrix() {
    cat << END
# Results of the matrix

$head
A cell is one JVM: rjcore's dump and histogram of its core against HotSpot's own, object by object. The names are
those of \`tests/matrix/table.rs\`, which has the flags. \`scripts/matrix.sh --jdk 21 --gc g1 --form based\` runs one.

$((${#cells[@]} - bad)) of ${#cells[@]} cells passed. Differences: objects, fields, classes, roots, counts. Unparsed: bytes of the heap
that rjcore could not read as objects. Core: its size on the disk. All: from the JVM's start to the comparison's end.

| JDK | collector | form | objects | differences | unparsed bytes | core, MB | dump, ms | all, s |
|---|---|---|---|---|---|---|---|---|
END
    lines | awk -F '\t' '{ d = $4 == "passed" ? $6 : $4 == "differs" ? "**" $6 "**" : "**failed**"
        printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $5, d, $7, $8, $9, $10 }'
    wrong 11
}
rows() { # KIND
    lines | awk -F '\t' -v kind="$1" '$3 == kind { w = $4 == "passed" ? $11 : "**" ($4 == "failed" ? "failed" : $11) "**"
        printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |%s\n", $1, $2, $5, $6, $7, $8, $9, $10, w, $12,
            kind == "full" ? " " $16 " |" : "" }'
}
stress() {
    cat << END
# Captures at random moments

$head
Each line is one JVM that runs \`tests/java/StopStress.java\`: threads of all kinds, some 100 MB/s of garbage, a heap of
64 MB. \`rjcore capture\` takes 20 cores at random moments, by fork, precopy and stop in turn. Each is dumped, and the
dump opened by VisualVM's heap library and hprof-slurp, which must count the objects that rjcore says are in it.

- whole: dumped without any gap. In a collection: taken in the middle of a stop-the-world collection, where objects are
  half moved; rjcore says so. All others have gaps only where a thread had taken memory and not yet written its header.
- unparsed: bytes of the heap that are no objects: the most in a core, and of all 20.
- told: objects looked at that say what they must hold (class, contents, what they refer to). Wrong: those that did not
  hold it, outside of collections, and in them.

$((${#cells[@]} - bad)) of ${#cells[@]} lines passed: no crash, no hang, exit code 0 or 3, nothing wrong outside of collections.

| JDK | collector | captures | whole | in a collection | worst unparsed | all unparsed | told | wrong | wrong, collecting |
|---|---|---|---|---|---|---|---|---|---|
END
    rows stress
    cat << END

## In full collections

The same of a JVM that does one full collection after the other (StopStress with a fourth argument: 500,000 small
objects beside the rest, a heap of 160 MB). Said: wrong ones that rjcore itself names as half moved, not counted as wrong.

| JDK | collector | captures | whole | in a collection | worst unparsed | all unparsed | told | wrong | wrong, collecting | said |
|---|---|---|---|---|---|---|---|---|---|---|
END
    rows full
    wrong 15
    cat << END

## jhsdb on the same cores

The first core of each, read by \`jhsdb jmap --histo\` of the same JDK (8: \`jmap -histo java core\`), 120 s at most.

| JDK | collector | what it said |
|---|---|---|
END
    lines | awk -F '\t' '{ gsub(/\|/, "/", $13); printf "| %s | %s%s | %s |\n", $1, $2, $3 == "full" ? ", full" : "", substr($13, 1, 300) }'
}
# One table a collector for docs/support-matrix.md: forms down, JDKs across.
support() {
    lines | awk -F '\t' '
        function known(list, n, word,    i) { for (i = 1; i <= n; i++) if (list[i] == word) return 1; return 0 }
        { cell[$1, $2, $3] = $4 == "passed" ? "yes" : $4 == "differs" ? $6 " differ" : "fails" }
        !known(jdks, nj, $1) { jdks[++nj] = $1 }
        !known(gcs, ng, $2) { gcs[++ng] = $2 }
        !known(forms, nf, $3) { forms[++nf] = $3 }
        END {
            for (g = 1; g <= ng; g++) {
                printf "### %s\n\n| form |", gcs[g]
                for (j = 1; j <= nj; j++) printf " %s |", jdks[j]
                printf "\n|---|"
                for (j = 1; j <= nj; j++) printf "---|"
                print ""
                for (f = 1; f <= nf; f++) {
                    row = ""
                    for (j = 1; j <= nj; j++) row = row " " cell[jdks[j], gcs[g], forms[f]] " |"
                    if (row ~ /[a-z]/) print "| " forms[f] " |" row
                }
                print ""
            }
        }'
}
if [ -n "$whole" ] && [ $mode = cells ]; then
    # What lies between the two markers.
    support > "$results/support"
    sed -i -e "/<!-- matrix -->/,/<!-- end -->/{//!d}" -e "/<!-- matrix -->/r $results/support" docs/support-matrix.md
fi
if [ -n "$whole" ]; then
    [ $mode = cells ] && docs=docs/matrix-results.md write=matrix || { docs=docs/stress-results.md write=stress; }
    $write > "$docs"
    echo "matrix: wrote $docs"
fi
[ "$bad" = 0 ]
