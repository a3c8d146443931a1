# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# Captures: 1, 19 to 23, 28, 32.

# --- 1: a hole that is a loss
huge() { # COLLECTOR METHOD
    exec 8> /tmp/hugetlb.lock
    limit 120 flock 8 || cannot "someone else has the huge pages (/tmp/hugetlb.lock)"
    undo sysctl -qw vm.nr_hugepages=0
    sysctl -qw vm.nr_hugepages=110
    [ "$(cat /proc/sys/vm/nr_hugepages)" = 110 ] || cannot "the machine gives no 110 huge pages (vm.nr_hugepages)"
    jvm 17 "-XX:+Use${1}GC" -XX:+UseLargePages -XX:ReservedCodeCacheSize=16m -Xms96m -Xmx96m -XX:+AlwaysPreTouch \
        -XX:NewSize=8m -XX:MaxNewSize=8m Situation arrays 24 262144 8>&-
    # Now no page is spare.
    local used
    used=$(awk '/HugePages_Total/ { t = $2 } /_Free/ { f = $2 } /_Rsvd/ { r = $2 } END { print t - f + r }' /proc/meminfo)
    [ "$used" -ge 40 ] || cannot "the JVM took $used huge pages only"
    sysctl -qw "vm.nr_hugepages=$used"
    rj capture --snapshot "$2" "$pid" -o core
    local got=$rc
    if [ "$2" = fork ] && [ "$rc" = 1 ]; then # refused: right, too
        shows 'huge' "the reason of the refusal: huge pages"
        return
    fi
    code 0 3
    rj histo --json core
    local bytes
    bytes=$(bytes_of '[I')
    if [ "${bytes:-0}" -lt $((24 * 1048576)) ]; then
        [ "$got" = 3 ] || fail "exit 0 of capture, and ${bytes:-no} bytes of int[] of 25,165,824" "whole, or exit 3"
        [ "$2" = fork ] || fail "lost ${bytes:-no} bytes of int[] of 25,165,824" "a method that keeps them"
    elif [ "$got" != 0 ]; then
        fail "exit $got of capture though all is there" "exit 0"
    fi
}
for gc in Serial Parallel G1; do
    situation 1 "huge pages (hugetlbfs), $gc: no spare page, nothing is lost" huge $gc auto
done
situation 1 "huge pages (hugetlbfs), Serial: a fork that is asked for is refused, whole or told" huge Serial fork
situation 1 "huge pages (hugetlbfs), G1: stop and copy" huge G1 stop
squeezed() { # until 50 MB are in swap
    local mb
    for mb in 240 160 100; do echo $((mb << 20)) > "$group/$limit_file"; done
    [ "$(awk 'NR > 1 { n += $4 } END { print n + 0 }' /proc/swaps)" -ge 50000 ]
}
swapped() { # COLLECTOR: most of its memory is in swap before each capture
    fallocate -l 512M swap && chmod 600 swap && mkswap swap > /dev/null || cannot "no file of 512 MB for swap"
    undo swapoff "$S/swap"
    swapon swap || cannot "the machine takes no swap file"
    memory_group
    before=(sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group")
    jvm 17 "-XX:+Use${1}GC" -Xms200m -Xmx200m -XX:+AlwaysPreTouch Situation one-array 24000000
    before=()
    local method
    for method in fork precopy stop; do
        until_true 20 squeezed || cannot "the kernel swaps nothing out"
        echo $((2048 << 20)) > "$group/$limit_file"
        rj capture --overwrite --snapshot $method "$pid" -o core
        code 0
        rj histo --json core
        code 0
        [ "$(bytes_of '[I')" -ge 96000000 ] || fail "by $method $(bytes_of '[I') bytes of int[]" "96,000,000"
    done
}
for gc in Serial Z; do
    situation 1 "memory that is in swap, $gc: fork, precopy and stop have all of it" swapped $gc
done

# --- 19: killed by the cgroup's limit
tight() { # sets pid: a JVM that has 130 MB, writes to 96 of them all the time, and may have 75 MB more
    memory_group
    # The wrapper joins the group before the JVM is there.
    before=(sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group")
    jvm 17 -XX:+UseSerialGC -Xms140m -Xmx140m -XX:NewSize=8m -XX:MaxNewSize=8m Situation arrays 96 262144
    before=()
    local rss
    rss=$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")
    echo $((rss * 1024 + ${1:-75} * 1048576)) > "$group/$limit_file" || cannot "the group's limit cannot be set"
}
survives_the_limit() {
    tight 75
    local i
    for i in 1 2 3; do
        rj capture --overwrite "$pid" -o core
        code 0
        rj histo --json core
        [ "$(bytes_of '[I')" -ge $((96 * 1048576)) ] || fail "$(bytes_of '[I') bytes of int[]" "100,663,296"
    done
}
situation 19 "the cgroup has room for no copy: auto ends well all the same" survives_the_limit
# The JVM writes to 400 MB as fast as it can, and may have 280 MB more: a fork is begun, and must be given up in time.
given_up_in_time() {
    memory_group
    before=(sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group")
    jvm 17 -XX:+UseSerialGC -Xms460m -Xmx460m -XX:NewSize=8m -XX:MaxNewSize=8m Situation arrays 400 262144
    before=()
    local rss i
    rss=$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")
    echo $((rss * 1024 + 280 * 1048576)) > "$group/$limit_file" || cannot "the group's limit cannot be set"
    for i in 1 2 3; do
        rj capture --overwrite --json "$pid" -o core
        code 0
        rj histo --json core
        [ "$(bytes_of '[I')" -ge $((400 * 1048576)) ] || fail "$(bytes_of '[I') bytes of int[]" "419,430,400"
    done
    limit 10 "$java17/jcmd" "$pid" VM.version > /dev/null || fail "a JVM that answers no more" "one that runs on"
}
situation 19 "the cgroup has room for a part of the copy: no snapshot costs the JVM its life" given_up_in_time
keeps_the_older() {
    tight 8
    head -c 65536 /dev/urandom > core
    local was
    was=$(sha256sum core)
    rj capture --snapshot fork --overwrite "$pid" -o core
    if [ "$rc" = 0 ]; then
        rj check core
        code 0
    elif [ "$(sha256sum core)" != "$was" ]; then # refused, or given up
        fail "the older file replaced by a capture that exits $rc" "the older file, untouched"
    fi
    [ -e "/proc/$pid/stat" ] && [[ $(cut -d ' ' -f 3 "/proc/$pid/stat") != Z ]] || fail "a JVM that is gone" "one that runs on"
    local left
    left=$(find . -name '.core*' -o -name '*.part')
    [ -z "$left" ] || fail "left behind: $left" "nothing"
}
situation 19 "a fork for which there is no room replaces no older core, --overwrite or not, and ends no JVM" keeps_the_older

# --- 20: deleted files that are mapped read-only
# small_fork MB WHAT: a capture of $pid is by a fork, and smaller than that
small_fork() {
    rj capture --json "$pid" -o core
    code 0
    local how mb
    how=$(json "[v for k, v in walk(d) if k in ('snapshot', 'method') and isinstance(v, str)][0]")
    mb=$(du -m core | cut -f 1)
    [ "$how" = fork ] || fail "taken by $how" "a fork"
    [ "$mb" -lt "$1" ] || fail "a core of $mb MB" "$2"
}
deleted_map() { # SUPER
    head -c 104857600 /dev/urandom > data
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation map "$S/data"
    small_fork 60 "one without the 100 MB that nobody can write to"
}
situation 20 "a deleted file of 100 MB, mapped read-only (Lucene): taken by a fork, and not saved" deleted_map
upgraded() {
    cp -r "$java17/.." jdk 2> /dev/null
    cp -rL "$(readlink -f "$java17/../lib")" jdk.lib 2> /dev/null
    [ -s jdk.lib/modules ] || fail "no lib/modules in a copy of the JDK" "one"
    rm -rf jdk/lib && mv jdk.lib jdk/lib
    launch jvm jdk/bin/java -cp "$work/classes" -Xmx32m -XX:+UseSerialGC Situation idle
    rm -rf jdk/lib/modules
    small_fork 80 "one without lib/modules"
}
situation 20 "lib/modules deleted by an upgrade: taken by a fork, and not saved" upgraded

# --- 21: the stop with many threads
many_threads() {
    jvm 17 -Xmx64m -Xss256k -XX:+UseSerialGC Situation threads 5000
    rj capture --json --max-pause 50 "$pid" -o core
    code 0 1
    if [ "$rc" = 0 ]; then
        local ms
        ms=$(json "[v for k, v in walk(d) if k == 'pause_ms'][0]")
        known="a time"
        awk "BEGIN { exit !($ms <= 65) }" || fail "a stop of $ms ms" "50 at most, or exit 1"
    else
        [ ! -e core ] || fail "a core though it failed" "none"
        shows 'max-pause|50 ms' "which limit it was"
    fi
    known=
    limit 10 "$java17/jcmd" "$pid" VM.version > /dev/null || fail "a JVM that answers no more" "one that runs on"
}
situation 21 "--max-pause 50 bounds the stop of 5,000 threads" many_threads

# --- 22: precopy of a busy ZGC heap
busy_z() {
    jvm 17 -XX:+UseZGC -Xms256m -Xmx256m Situation arrays 100 262144
    local i ms
    for i in 1 2 3 4; do
        rj capture --overwrite --json "$pid" -o core
        # With no CPU for its threads for a second.
        ! grep -q 'not stopped within' err || known="a time"
        code 0
        ms=$(json "[v for k, v in walk(d) if k == 'pause_ms'][0]")
        known="a time"
        awk "BEGIN { exit !($ms <= 120) }" || fail "a stop of $ms ms in capture $i" "a bounded one, far below 120 ms"
    done
}
situation 22 "a ZGC heap that is written to all the time: no stop grows" busy_z

# --- 23: the JVM ends during the capture
ends_meanwhile() {
    jvm 17 -XX:+UseTransparentHugePages -XX:+UseSerialGC -Xms200m -Xmx200m -XX:+AlwaysPreTouch Situation arrays 60 262144
    mkfifo pipe
    ("$rjcore" capture "$pid" -o - > pipe 2> err; echo $? > rc) &
    ours $!
    exec 7< pipe
    head -c 1000000 <&7 > /dev/null # it is being written
    kill -9 "$pid"
    sleep 0.3
    limit 60 cat <&7 > /dev/null
    exec 7<&-
    until_true 30 test -s rc || fail "no end of capture" "one"
    cp err out
    hides 'CAP_SYS_NICE|stayed split' "no word of huge pages of a JVM that is gone, nor of a right that root has"
}
situation 23 "the JVM ends during the capture: no advice about its huge pages" ends_meanwhile

# --- 28: the note's type
note_type() {
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    capture
    local threads shown
    threads=$(find "/proc/$pid/task" -maxdepth 1 -mindepth 1 | wc -l)
    shown=$(readelf --wide -n core 2> /dev/null | grep -c NT_PRSTATUS)
    [ $((shown - threads)) -le 1 ] && [ $((threads - shown)) -le 1 ] || fail "$shown NT_PRSTATUS in readelf" "$threads"
    # 1 to 4, 6 and FILE are those of Linux; pyelftools goes by the number alone.
    elf notes core | grep '^rjcore' > own || fail "no note of rjcore's own" "one"
    ! grep -qE ' ([1-9]|1[0-9]|20)$' own || fail "type $(cut -d ' ' -f 2 own)" "a number that is no other note's"
    # gdb
    local bare
    bare=$(gdb -nx -batch -iex 'set auto-solib-add off' -iex 'set debuginfod enabled off' -ex 'info threads' -c core 2> /dev/null | grep -cE '^\*? +[0-9]+ ')
    [ "$bare" = "$shown" ] || fail "$bare threads in gdb, $shown notes" "as many"
}
situation 28 "rjcore's own note is nobody's NT_PRSTATUS (readelf, gdb)" note_type
old_notes() {
    rj info --json "$repo/testdata/cores/jdk17-g1.core.zst"
    code 0
    zstd -qdc "$repo/testdata/cores/jdk17-g1.core.zst" > core
    rj info core
    code 0
}
situation 28 "sample cores are still read" old_notes

# --- 32: caught in a collection
always_collecting() { # COLLECTOR
    jvm 17 "-XX:+Use${1}GC" -Xmx96m Situation collect 100
    rj capture "$pid" -o core
    code 0 3
    hides 'metadata' "no talk of damaged metadata"
    rj check core
    hides 'metadata that is not readable|problems? with metadata' "no talk of damaged metadata"
    if [ "$rc" != 0 ]; then shows 'collection' "that it fell into a collection"; fi
    rj stack core
    hides 'metadata that is not readable|problems? with metadata' "no talk of damaged metadata"
    code 0
}
for gc in Serial Parallel G1; do
    situation 32 "$gc that never stops collecting: it is said, and the stacks are whole" always_collecting $gc
done
often_collecting() { # COLLECTOR
    jvm 17 "-XX:+Use${1}GC" -Xmx96m Situation collect 60
    local i
    for i in 1 2 3 4; do
        rj capture --overwrite --retries 20 "$pid" -o core
        code 0
        rj check core
        code 0
    done
}
for gc in Serial G1; do
    situation 32 "$gc that collects 60 % of the time: capture takes another one by itself" often_collecting $gc
done
