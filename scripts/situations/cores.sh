# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# Cores and the commands that read them: 24 to 27, 29, 31.

# kernel_core COMMAND...: runs a JVM that says READY, kills it with SIGABRT, leaves its core in ./core
kernel_core() {
    kernel_cores
    before=(prlimit --core=unlimited)
    "$@"
    kill -ABRT "$pid"
    until_true 30 core_written || fail "no core of the kernel: $(ls)" "one"
}

# --- 24: cut cores
cut_kernel_core() { # GC
    kernel_core jvm 17 -Xmx64m "-XX:+Use${1}GC" -XX:-UsePerfData Situation live 20
    rj histo --json core
    code 0
    local all of
    all=$(bytes_of '[B')
    # Behind the heap and before libjvm's data: the kernel writes in the order of addresses.
    of=$(elf libjvm-data core)
    [ "${of:-0}" -gt 1000000 ] || fail "no segment of libjvm's data in the core" "one"
    truncate -s "$of" core
    rj histo --json core
    hides 'give the libjvm|--jvm' "no call for a libjvm.so that is there"
    code 3
    [ "$(bytes_of '[B')" -ge $((all * 9 / 10)) ] || fail "$(bytes_of '[B') of $all bytes of byte[]" "nine tenths"
    rj dump core -o h.hprof
    code 3
    hides 'give the libjvm|--jvm' "no call for a libjvm.so that is there"
    [ "$(hprof counts h.hprof | awk '$1 == "byte[]" { print $2 }')" -gt 20000 ] || fail "few arrays in the dump" "most"
    rj check core
    shows 'cut|truncated|promise|not in the file' "that the core is cut off"
    rj info core
    code 0 3
}
for gc in Serial Parallel G1; do
    situation 24 "the kernel's core of $gc, cut before libjvm's data: the heap is read all the same" cut_kernel_core $gc
done
cut_message() { # by ulimit -c
    kernel_cores
    before=(prlimit "--core=$((30 << 20))")
    jvm 17 -Xmx64m -XX:+UseSerialGC -XX:-UsePerfData Situation live 20
    kill -ABRT "$pid"
    until_true 30 core_written || fail "no core of the kernel" "one"
    rj histo core
    code 1 3
    hides 'give the libjvm|with --jvm' "no call for a libjvm.so that is there"
    shows 'cut|ulimit|truncated' "that the core is cut off"
    rj stack core
    hides 'give the libjvm|with --jvm' "no call for a libjvm.so that is there"
    rj check core
    shows 'cut|ulimit|truncated|promise' "that the core is cut off"
    hides 'give the libjvm|with --jvm' "no call for a libjvm.so that is there"
}
situation 24 "a core cut by ulimit -c: what is missing is said to be cut off" cut_message
cut_own_core() { # GC
    jvm 17 -Xmx64m "-XX:+Use${1}GC" Situation live 20
    capture
    rj histo --json core
    code 0
    local all size
    all=$(bytes_of '[B')
    size=$(stat -c %s core)
    # Nine tenths of it.
    truncate -s $((size * 9 / 10)) core
    rj histo --json core
    code 0 3 # 0 if nothing that counts was in there
    hides '--jvm' "no call for a libjvm.so"
    [ "$rc" = 3 ] || [ "$(bytes_of '[B')" = "$all" ] || fail "exit 0 with $(bytes_of '[B') of $all bytes of byte[]" "exit 3"
    [ "$(bytes_of '[B')" -ge $((all / 10)) ] || fail "$(bytes_of '[B') of $all bytes of byte[]" "a good part of it: the heap is what was cut"
    rj dump core -o h.hprof
    code 0 3
    # Two thirds off.
    truncate -s $((size / 3)) core
    rj info core
    code 0 3
    shows 'HotSpot 17' "the VM: what is needed first stands first"
    hides '--jvm' "no call for a libjvm.so"
    rj stack --no-heap core
    code 0 3
}
for gc in Serial G1 Z; do
    situation 24 "our own core of $gc, cut off: it still opens" cut_own_core $gc
done

# --- 25: no cost that grows with the square
below() { # MS WHAT
    [ "$rc" = 0 ] || fail "exit code $rc: $(said)" "exit code 0"
    local known="a time"
    [ "$cpu" -lt "$1" ] || fail "$cpu ms of CPU for $2" "less than $1"
}
many_classes() { # MODE
    jvm 17 -Xmx400m -XX:+UseSerialGC Situation "$1" 80000
    capture --no-check
    kill -9 "$pid"
    cpu limit 100 "$rjcore" dump core -o h.hprof
    below 5000 "the dump"
    cpu limit 100 "$rjcore" histo core
    below 3000 "the histogram"
    cpu limit 100 "$rjcore" stack core
    below 3000 "the stacks"
    cpu limit 100 "$rjcore" check core
    below 4000 "the check"
    cpu limit 100 "$rjcore" info core
    below 3000 "the info"
}
situation 25 "80,000 lambdas: no command takes seconds" many_classes lambdas
situation 25 "80,000 hidden classes by hand: no command takes seconds" many_classes classes
very_many_rjcore_threads() { # N
    zstd -qdc "$repo/testdata/cores/jdk17-g1.core.zst" > core
    cpu limit 20 "$rjcore" histo --threads "$1" core
    below 2000 "histo --threads $1"
    cpu limit 100 "$rjcore" dump --threads "$1" core -o h.hprof
    below 3000 "dump --threads $1"
    cpu limit 100 "$rjcore" stack --threads "$1" core
    below 3000 "stack --threads $1"
    cpu limit 100 "$rjcore" check --threads "$1" core
    below 3000 "check --threads $1"
}
situation 25 "--threads 1000 on a sample core" very_many_rjcore_threads 1000
situation 25 "--threads 4000 on a sample core" very_many_rjcore_threads 4000
many_java_threads() {
    jvm 17 -Xmx64m -Xss256k -XX:+UseSerialGC Situation threads 4000
    capture --no-check
    kill -9 "$pid"
    cpu limit 100 "$rjcore" stack core
    below 8000 "the stacks of 4,000 threads"
    cpu limit 100 "$rjcore" dump core -o h.hprof
    below 8000 "the dump of 4,000 threads"
}
situation 25 "4,000 Java threads: stack and dump" many_java_threads

# --- 26
trims() {
    jvm 17 -Xmx256m -XX:+UseSerialGC Situation live 120
    capture --no-check
    kill -9 "$pid"
    rj trim --zstd=3 core -o level.core.zst
    code 0
    zstd -qt level.core.zst || fail "no zstd file" "one"
    cpu limit 120 "$rjcore" trim --overwrite --zstd=3 core -o level.core.zst
    local level3=$cpu
    cpu limit 120 "$rjcore" trim core -o small.core.zst
    below $((level3 * 3 + 1000)) "trim -o x.zst, $level3 ms at level 3"
    rj histo --json small.core.zst
    code 0
    rj trim --zstd=19 --help
    code 0
    rj trim --zstd core -o named
    code 0
    zstd -qt < named || fail "no zstd file by --zstd alone" "one"
    rj trim --zstd=77 core -o x.zst
    code 2
}
situation 26 "trim -o x.zst does not take level 19's time; --zstd[=LEVEL] as in capture" trims

# --- 27: packed cores
packed() { # KIND
    local sample=$repo/testdata/cores/jdk17-serial.core.zst file
    zstd -qdc "$sample" > a.core
    rj histo a.core
    code 0
    mv out want
    # A name of its own for each, as people and systemd give them.
    case $1 in
        gz) gzip -k a.core && file=a.core.gz ;;
        xz) xz -k -1 a.core && file=a.core.xz ;;
        bz2) bzip2 -k a.core && file=a.core.bz2 ;;
        lz4) lz4 -q a.core a.core.lz4 && file=a.core.lz4 ;;
        tar.gz | tgz) tar -czf "a.$1" a.core && file=a.$1 ;;
        tar.xz) tar -cJf a.tar.xz a.core && file=a.tar.xz ;;
        tar.bz2) tar -cjf a.tar.bz2 a.core && file=a.tar.bz2 ;;
        zip) python3 -m zipfile -c a.zip a.core && file=a.zip ;;
        deflated) python3 -c 'import zipfile; z = zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED); z.write("a.core")' && file=a.zip ;;
        noname) gzip -c a.core > packed && file=packed ;;
        members) { head -c 5000000 a.core | gzip && tail -c +5000001 a.core | gzip; } > a.core.gz && file=a.core.gz ;;
    esac || fail "no $1 made" "scripts/setup.sh to have installed what packs it"
    rm -f a.core
    rj histo "$file"
    code 0
    cmp -s out want || fail "$(head -n 3 out)" "the same histogram"
    rj dump "$file" -o h.hprof
    code 0
    rj check "$file"
    code 0
}
for kind in gz xz bz2 lz4 tar.gz tgz tar.xz tar.bz2 zip deflated noname members; do
    situation 27 "a core as $kind" packed $kind
done
cut_pack() {
    zstd -qdc "$repo/testdata/cores/jdk17-serial.core.zst" | gzip | head -c 700000 > cut.core.gz
    rj check cut.core.gz
    code 1 3
    shows 'cut|truncated|ends|incomplete' "that it is cut off"
    hides 'panicked' "no panic"
    head -c 100000 /dev/urandom > noise.gz
    rj histo noise.gz
    code 1
    { zstd -qdc "$repo/testdata/cores/jdk17-serial.core.zst" | gzip && head -c 10 /dev/urandom; } > tail.gz
    rj histo tail.gz
    code 0 1 3
}
situation 27 "a gzipped core that is cut off, and no core at all" cut_pack
from_stdin() { # KIND
    local sample=$repo/testdata/cores/jdk17-serial.core.zst
    zstd -qdc "$sample" > a.core
    rj histo a.core
    mv out want
    case $1 in
        plain) tail -c +1 a.core | limit 60 "$rjcore" histo - > out 2> err ;;
        zst) limit 60 "$rjcore" histo - < "$sample" > out 2> err ;;
        gz) gzip -c a.core | limit 60 "$rjcore" histo - > out 2> err ;;
        file) limit 60 "$rjcore" histo - < a.core > out 2> err ;;
        dump) zstd -qdc "$sample" | limit 60 "$rjcore" dump - -o h.hprof > out 2> err ;;
    esac
    rc=$?
    code 0
    [ "$1" = dump ] || cmp -s out want || fail "$(head -n 3 out)" "the same histogram"
    [ "$1" != dump ] || [ -s h.hprof ] || fail "no dump" "one"
}
for kind in plain zst gz file dump; do
    situation 27 "a core from standard input ($kind)" from_stdin $kind
done
core_pattern_pipe() {
    # As a core_pattern of "|rjcore trim - -o FILE" would be fed.
    zstd -qdc "$repo/testdata/cores/jdk25-g1.core.zst" | limit 60 "$rjcore" trim - -o kept.core.zst > out 2> err
    rc=$?
    code 0
    rj check kept.core.zst
    code 0
}
situation 27 "trim - -o FILE.zst, as a core_pattern pipe would" core_pattern_pipe

# --- 29
documented() {
    ! grep -q 'Most cores lack those of their pages' "$repo/README.md" || fail "README: Most cores lack those of their pages" "what is true of JDK 8 only"
    rj dump --help
    code 0
    shows 'gunzip|gzip -d|zcat' "the command that unpacks it for readers that cannot"
    shows 'MAT' "which reader opens it"
}
situation 29 "README and --help on libjvm's pages and gzipped dumps" documented

# --- 31
neutral() { # SAMPLE
    zstd -qdc "$repo/testdata/cores/$1" > core
    local found
    found=$(strings -n 6 core | grep -oE '(/work/|/home/|/root/|/tmp/tmp\.)[^ :]*' | grep -v '^/home/user' | sort | uniq -c | sort -rn | head -n 3)
    [ -z "$found" ] || fail "$found" "no path of the machine that made it"
}
for sample in "$repo"/testdata/cores/*.core.zst; do
    situation 31 "no path of its machine in ${sample##*/}" neutral "${sample##*/}"
done

# --- 36
writers=("dump -o" "trim -o" "trim --zstd -o" "report -o" "stack --flame")
# A file system on a loop device whose own file is cut: the beginning of FILE is in memory, what lies behind is gone.
bad_disk() { # FILE
    rm -f disk
    truncate -s 40M disk
    limit 60 mkfs.ext4 -q -F disk || cannot "no mkfs.ext4"
    mkdir -p mnt
    limit 60 mount -o loop disk mnt || cannot "no loop device"
    undo umount -l "$S/mnt"
    cp "$1" mnt/it
    sync mnt/it
    local first device
    first=$(filefrag -v -b1024 mnt/it | awk '$1 == "0:" { sub(/\.\..*/, "", $4); print $4 }')
    umount mnt
    # Without direct I/O the loop device gives zeros for what its file has not.
    device=$(losetup -f --show --direct-io=on disk) || cannot "no loop device with direct I/O"
    undo losetup -d "$device"
    limit 60 mount -o ro "$device" mnt || cannot "no loop device"
    head -c 4096 mnt/it > /dev/null
    truncate -s "$(((first + 200) & ~3))K" disk
}
does_not_read() {
    zstd -qdc "$repo/testdata/cores/jdk17-serial.core.zst" > a.core
    rj dump a.core -o a.hprof
    local command
    for command in "${writers[@]}" histo retained info; do
        bad_disk a.core
        # shellcheck disable=SC2086 # a command and its option
        case $command in
            *\ *) rj ${command%% *} mnt/it ${command#* } new ;;
            *) rj "$command" mnt/it ;;
        esac
        code 1
        shows 'mnt/it: .*(disk has an error|Input/output error)' "what cannot be read ($command)"
        [ -z "$(find . -name '*new*')" ] || fail "$(ls -A)" "no file ($command)"
        umount -d mnt
    done
    for command in leaks waste; do
        bad_disk a.hprof
        rj $command mnt/it
        code 1
        shows 'mnt/it: .*(disk has an error|Input/output error)' "what cannot be read ($command)"
        umount -d mnt
    done
}
situation 36 "a disk that does not read (a loop device whose file is cut)" does_not_read
has_no_room() {
    zstd -qdc "$repo/testdata/cores/jdk17-serial.core.zst" > a.core
    mkdir full
    mount -t tmpfs -o size=64k none full || cannot "no tmpfs"
    undo umount -l "$S/full"
    local command
    for command in "${writers[@]}"; do
        # A graph of threads is small.
        head -c 61440 /dev/zero > full/ballast
        # shellcheck disable=SC2086 # a command and its option
        rj ${command%% *} a.core ${command#* } full/new
        code 1
        shows 'full/new: No space left' "that there is no room ($command)"
        [ "$(ls -A full)" = ballast ] || fail "$(ls -A full)" "no file ($command)"
    done
    TMPDIR=$S/full rj histo "$repo/testdata/cores/jdk17-serial.core.zst"
    code 1
    shows "no room in $S/full" "where there is no room to unpack"
}
situation 36 "a file system that is full (tmpfs)" has_no_room
