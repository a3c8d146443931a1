#!/usr/bin/env bash
# Take a core of a live process with gdb's gcore: see usage below. Needs gdb; a bundle needs tar and
# zstd, too, and nothing else that Linux does not have anyway.
set -euo pipefail

usage() {
    cat >&2 << 'END'
usage: gcore.sh PID OUT
The process stands still while gdb writes its memory (seconds per GB), and goes on afterwards.
  OUT               a plain core, exactly at OUT, with what the process's coredump_filter names
  OUT.tar.zst       a bundle: the core, and all that rjcore needs beside it (libjvm.so, CDS archives),
                    for another machine or for later. Recommended: a core is mostly zeros
  OUT.tar           the same without compression, read in place; twice the core's room while it is made
OUT is replaced if it exists. A bundle appears under its name only when it is complete. Only its owner can
read it: heaps hold secrets.
END
    exit 2
}
die() { echo "gcore.sh: $*" >&2; exit 1; }
say() { echo "gcore.sh: $*" >&2; }

[ $# = 2 ] || usage
pid=$1 out=$2
[[ $pid =~ ^[0-9]+$ ]] || usage
command -v gdb > /dev/null || die "no gdb; run scripts/setup.sh, or install the package gdb"
[ -d "/proc/$pid" ] || die "no process $pid"

# take FILE: gdb answers 0 even when an attach or a write failed, so its words and the file are what count.
take() {
    local log
    log=$(gdb -nx -nh -batch -iex 'set debuginfod enabled off' -iex 'set pagination off' \
        -iex 'set auto-solib-add off' -iex 'set use-coredump-filter on' -ex 'set confirm off' \
        -p "$pid" -ex "gcore $1" -ex detach < /dev/null 2>&1) || true
    if [[ $log != *"Saved corefile"* || ! -s $1 ]]; then
        printf '%s\n' "$log" | tail -n 20 >&2
        rm -f "$1"
        die "gdb wrote no core of $pid to $1 (its last words are above)"
    fi
    # Guard pages end glibc's stacks from 2.42 on. gdb meets one and gives up the megabyte around it, where other
    # threads' stacks may lie: the core has zeros there.
    if [[ $log == *"Memory read failed"* ]]; then
        grep 'Memory read failed' <<< "$log" | sed 's/.*section, /gcore.sh: gdb lost /' >&2
        say "the core has zeros there; \`rjcore capture $pid\` reads such memory"
    fi
}

case $out in
    *.tar | *.tar.zst) ;;
    *.tar.* | *.tgz | *.gz | *.zst | *.xz) die "$out: a bundle is .tar or .tar.zst, anything else a plain core" ;;
    *)
        rm -f "$out"
        take "$out"
        exit
        ;;
esac

# The rest makes a bundle.
umask 077
for tool in tar sha256sum od; do
    command -v $tool > /dev/null || die "no $tool"
done
[[ $out != *.zst ]] || command -v zstd > /dev/null || die "no zstd; install it, or give a name in .tar"
# /proc/PID/root and the memory need the same rights as gdb.
[ -r "/proc/$pid/maps" ] && maps=$(cat "/proc/$pid/maps") && [ -n "$maps" ] ||
    die "cannot read the mappings of $pid; run as its user or as root"

work= filter=
clean_up() {
    # The process may be gone by now.
    [ -z "$filter" ] || echo "0x$filter" 2> /dev/null > "/proc/$pid/coredump_filter" || true
    filter=
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# What a core can be large: all mappings, but for shared files (lib/modules, with what is not copied).
size=0 ranges=() paths=() gone=()
while read -r range perms _ _ _ path; do
    deleted=
    [[ $path != *" (deleted)" ]] || deleted=1
    path=${path% (deleted)}
    shared_file=
    [[ $perms != *s || $path != /* || -n $deleted || $path == /memfd:* ]] || shared_file=1
    [[ -n $shared_file || $path == '[v'* ]] || size=$((size + 16#${range#*-} - 16#${range%-*}))
    # A name with an octal escape holds a line break: nobody's libjvm.so.
    [[ $path == */libjvm.so || $path == *.jsa ]] && [[ $path == /* && $path != *\\* ]] || continue
    # The first mapping of each file will do: its pages are the same.
    for seen in "${paths[@]}"; do [ "$seen" != "$path" ] || continue 2; done
    ranges+=("$range") paths+=("$path") gone+=("$deleted")
done <<< "$maps"
[[ "${paths[*]}" == *"/libjvm.so"* ]] || die "process $pid has no libjvm.so: it is no HotSpot JVM"

dir=$(dirname -- "$out")
resident=$(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status") * 1024))
more=$size
[[ $out != *.zst ]] || more=$resident
need=$((size + more + (256 << 20)))
# room BYTES: whether that many are free beside OUT
room() {
    local free
    free=$(($(df -Pk -- "$dir" | awk 'NR == 2 { print $4 }') * 1024))
    [ "$free" -ge "$1" ] ||
        die "no room: $dir has $((free >> 20)) MB, this may take $(($1 >> 20)) MB while it is made; give another place"
}
room "$need"
work=$(mktemp -d -- "$dir/.gcore.XXXXXX")

# build_id FILE: in hex, or -
build_id() {
    local id=
    ! command -v readelf > /dev/null || id=$(readelf -n "$1" 2> /dev/null | sed -n 's/.*Build ID: //p' | head -n 1) || true
    # Without binutils: the note's head (sizes 4 and 20, type 3, GNU) lies in the first pages.
    [ -n "$id" ] || id=$(od -An -v -tx1 -N 65536 -- "$1" | tr -d ' \n' |
        grep -o '040000001400000003000000474e5500[0-9a-f]\{40\}' | head -n 1 | cut -c 33-) || true
    echo "${id:--}"
}

# Anonymous memory, private and shared (ZGC's heap), and ELF headers. Private files as a whole only if one
# that is needed could not be copied: gdb takes lib/modules for one, which is large and of no use. What
# the process changed of a private file counts as anonymous, the rest is in the copies.
needed=0x13 list=
# The files come first: if the process dies, the core is lost and nothing else.
for i in "${!paths[@]}"; do
    range=${ranges[i]} path=${paths[i]} deleted=${gone[i]}
    name=files$path
    mkdir -p -- "$work/$(dirname -- "$name")"
    # map_files is the mapped file itself, even if it was replaced; it takes more rights. root leads
    # into the process's container.
    if ! cat "/proc/$pid/map_files/$range" > "$work/$name" 2> /dev/null; then
        rm -f "$work/$name"
        if [ -n "$deleted" ] || ! cat "/proc/$pid/root$path" > "$work/$name" 2> /dev/null; then
            rm -f "$work/$name"
            say "$path cannot be read and is not in the bundle${deleted:+ (it was deleted: root may)}; the core will hold it"
            needed=0x17
            continue
        fi
    fi
    sum=$(sha256sum < "$work/$name")
    list+="$(stat -c %s -- "$work/$name") ${sum%% *} $(build_id "$work/$name") $name"$'\n'
done

filter=$(cat "/proc/$pid/coredump_filter")
echo $needed > "/proc/$pid/coredump_filter" || die "cannot set coredump_filter of $pid; run as its user or as root"
say "process $pid stands still while up to $((size >> 20)) MB are written"
taken=$(date -u +%Y-%m-%dT%H:%M:%SZ)
take "$work/core"
echo "0x$filter" 2> /dev/null > "/proc/$pid/coredump_filter" || true
filter=
say "process $pid goes on; packing"
{
    echo "rjcore bundle 1"
    echo "pid $pid"
    echo "taken $taken"
    echo "coredump_filter $needed"
    echo "# size, sha256, build-id, name in this tar; below files/ lies what the process had below /"
    printf '%s' "$list"
    # No checksum of the core: it would take longer than the core did. Its headers tell if it is cut off.
    echo "$(stat -c %s -- "$work/core") - - core"
} > "$work/MANIFEST"

# The small members first: what is cut off is the core's end.
pack() { tar -C "$work" -cf - MANIFEST files core; }
case $out in
    *.zst)
        room $((resident / 2))
        pack | zstd -q -T0 -o "$work/bundle"
        ;;
    *)
        room "$(stat -c %s -- "$work/core")"
        pack > "$work/bundle"
        ;;
esac
chmod 600 -- "$work/bundle"
mv -f -- "$work/bundle" "$out"
say "$out: $(($(stat -c %s -- "$out") >> 20)) MB"
