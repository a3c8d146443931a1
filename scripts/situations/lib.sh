# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # most of these variables are for the files of situations
# What the situations share. A situation is a function that runs in a subshell of its own, in a directory $S of its own;
# it ends by `fail`, by `cannot`, or well. All that it makes is noted by `undo` first and undone whatever happens.
# Every command has a limit, every wait too.

passed=0 failed=0 unable=0 open=0 count=0
failures=() # the lines of those that failed, for the end
java17=/usr/lib/jvm/java-17-openjdk-amd64/bin
root=$deps/jdks/root
exec 4>&1

set_up() {
    install -m 755 "$rjcore" "$work/rjcore"
    rjcore=$work/rjcore
    mkdir "$work/classes"
    limit 120 "$java17/javac" -encoding UTF-8 --release 8 -nowarn -Xlint:none -d "$work/classes" \
        scripts/situations/*.java > "$work/javac.log" 2>&1 || { cat "$work/javac.log" >&2; return 1; }
}

limit() { timeout -k 5 "$@"; }

# situation NUMBER TEXT FUNCTION [ARGUMENT...]
situation() {
    local number=$1 text=$2 n code
    shift 2
    if [ ${#wanted[@]} -gt 0 ]; then
        for n in "${wanted[@]}" -; do [ "$n" != "$number" ] || break; done
        [ "$n" = "$number" ] || return 0
    fi
    count=$((count + 1))
    S=$work/$count
    mkdir -m 755 "$S"
    : > "$S/said"
    (
        trap undo_all EXIT
        trap 'exit 143' TERM
        cd "$S" || exit 1
        "$@"
        exit 0
    ) > "$S/log" 2>&1 4>&- < /dev/null
    code=$?
    case $code in
        0) passed=$((passed + 1)) && echo "ok $number $text" ;;
        77) unable=$((unable + 1)) && echo "CANNOT $number $text: $(cat "$S/said")" ;;
        78) open=$((open + 1)) && echo "OPEN $number $text: $(cat "$S/said")" ;;
        *)
            failed=$((failed + 1))
            [ -s "$S/said" ] || echo "the situation itself broke: $(tail -n 2 "$S/log" | tr '\n' ' ')" > "$S/said"
            failures+=("FAIL $number $text: $(cat "$S/said")")
            echo "${failures[-1]}"
            ;;
    esac
    [ -n "$keep" ] || rm -rf --one-file-system "$S"
}

# fail SEEN EXPECTED, cannot WHY: the end of a situation. One that sets `known` is a limit that docs/situations.md owns up
# to, or a figure that hangs on the machine: it is said, and is no failure.
known=''
fail() {
    echo "saw $1; expected $2${known:+ ($known)}" | tr -s '\n\t ' ' ' | cut -c 1-600 > "$S/said"
    [ -z "$known" ] || exit 78
    exit 1
}
cannot() { echo "$1" > "$S/said"; exit 77; }

# undo COMMAND...: to be run at the end, the last one first
undo() { printf '%q ' "$@" >> "$S/undo"; echo >> "$S/undo"; }
undo_all() {
    local line
    [ -e "$S/undo" ] || return 0
    tac "$S/undo" > "$S/undoing"
    rm -f "$S/undo"
    while read -r line; do eval "$line"; done < "$S/undoing" > /dev/null 2>&1
}
at_end() {
    for S in "$work"/[0-9]*; do [ ! -e "$S/undo" ] || undo_all; done
    find "$root$work" -xdev -depth -type d -empty -delete 2> /dev/null # scripts/jdk.sh made them
    if [ -n "$keep" ]; then echo "logs: $work"; else rm -rf --one-file-system "$work"; fi
}
summary() {
    local more=
    [ "$open" = 0 ] || more=", $open open"
    [ "$unable" = 0 ] || more+=", $unable cannot be tried on this machine"
    # Once more, where a log that is cut has them.
    [ "$failed" = 0 ] || printf '%s\n' '' 'What failed:' "${failures[@]}"
    echo "$passed passed, $failed failed$more"
    [ "$failed" = 0 ]
}

started() { cut -d ' ' -f 22 "/proc/$1/stat" 2> /dev/null; } # the same id and start: the same process
reap() { # PID START: ends it, and removes what a JVM leaves
    local i dir
    if [ "$(started "$1")" = "$2" ]; then
        kill -9 "$1"
        kill -CONT "$1"
        for ((i = 0; i < 100; i++)); do
            [ "$(started "$1")" = "$2" ] && [[ $(cut -d ' ' -f 3 "/proc/$1/stat") != [ZX] ]] || break
            sleep 0.05
        done
    fi
    for dir in /tmp "$root/tmp"; do rm -f "$dir/.java_pid$1" "$dir/.attach_pid$1" "$dir"/hsperfdata_*/"$1"; done
}
ours() { undo reap "$1" "$(started "$1")"; } # PID: a process to be ended

# until SECONDS COMMAND...: waits for it to answer 0
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}
ready() { grep -qs "^READY" "$1"; }

# launch NAME COMMAND...: a program that says READY; sets pid. What it prints goes to NAME.log.
launch() {
    local name=$1
    shift
    # What runs in the background ignores these otherwise.
    env --default-signal=INT,QUIT "$@" > "$S/$name.log" 2>&1 < /dev/null &
    pid=$!
    ours "$pid"
    until_true 60 ready_or_gone "$S/$name.log" "$pid"
    ready "$S/$name.log" || fail "no READY from $name: $(tail -n 3 "$S/$name.log")" "a program that starts"
}
ready_or_gone() { ready "$1" || [ ! -e "/proc/$2/stat" ] || [[ $(cut -d ' ' -f 3 "/proc/$2/stat") = Z ]]; }

# jvm VERSION ARGUMENT...: a JVM of that JDK; sets pid. 17 runs on the host, as $as (options of setpriv) if set.
# Others live in the root of scripts/jdk.sh, as "in-root-17" does. "17.0.2" and the like are those of scripts/setup-updates.sh.
as=()
jvm() {
    local version=$1
    shift
    case $version in
        17) launch jvm "${before[@]}" "${as[@]}" "$java17/java" -cp "$work/classes" "$@" ;;
        *.*) launch jvm "${before[@]}" "$(update "$version")/bin/java" -cp "$work/classes" "$@" ;;
        *) launch jvm "${before[@]}" "$repo/scripts/jdk.sh" -b "$work" "${binds[@]}" "${version#in-root-}" java -cp "$work/classes" "$@" ;;
    esac
}
before=() binds=()
update() {
    local dir=$deps/updates/$1
    [ -x "$dir/bin/java" ] || fail "no $dir" "scripts/setup.sh to have installed it"
    echo "$dir"
}
user=(setpriv --reuid 1000 --regid 1000 --clear-groups)
no_ptrace=(setpriv --bounding-set -sys_ptrace --inh-caps -all)
hand_over() { chown 1000:1000 "$@"; }

# rj ARGUMENT...: runs rjcore, by "${by[@]}" if set; its output is in $S/out and $S/err, its exit code in rc
by=()
rj() {
    limit "${limit:-60}" "${by[@]}" "$rjcore" "$@" > "$S/out" 2> "$S/err" < /dev/null
    rc=$?
    echo "+ rjcore $* -> $rc"
    head -c 3000 "$S/out" "$S/err"
}
said() { cat "$S/err" "$S/out" | head -c 350; }
# code N...: rc must be one of them; why: what for
code() {
    local n
    for n; do [ "$rc" != "$n" ] || return 0; done
    fail "exit code $rc: $(said)" "exit code $*"
}
# shows REGEX WHAT, hides REGEX WHAT: in either output
shows() { grep -qEi -- "$1" "$S/out" "$S/err" || fail "$(said)" "$2"; }
hides() { ! grep -qEi -- "$1" "$S/out" "$S/err" || fail "\"$(grep -hEi -m 1 -- "$1" "$S/err" "$S/out" | head -c 300)\"" "$2"; }

# cpu COMMAND...: runs it; sets cpu to its processor time in ms
cpu() {
    local t
    TIMEFORMAT='%U %S'
    { time "$@" > "$S/cpu.out" 2> "$S/cpu.err" < /dev/null; rc=$?; } 2> "$S/cpu.time"
    t=$(tail -n 1 "$S/cpu.time")
    cpu=$(awk '{ printf "%d", ($1 + $2) * 1000 }' <<< "$t")
    cp "$S/cpu.out" "$S/out"
    cp "$S/cpu.err" "$S/err"
    echo "+ $* -> $rc, $cpu ms of CPU"
}

# json EXPRESSION: Python's, of the JSON `d` in $S/out
json() { python3 "$repo/scripts/situations/json_of.py" "$1" < "$S/out"; }
hprof() { limit 60 python3 "$repo/scripts/situations/hprof.py" "$@"; }
elf() { limit 60 python3 "$repo/scripts/situations/elf.py" "$@"; }
# bytes_of CLASS: by the histogram in $S/out
bytes_of() { json "sum(c['bytes'] for c in d['classes'] if c['name'] == '$1')"; }

# hotspot COMMAND...: what the JVM itself says, as jcmd would print it
hotspot() { limit 60 "$rjcore" attach "$pid" jcmd "$@"; }

capture() { # a whole core of $pid in $S/core
    rj capture --max-pause 30000 "$@" "$pid" -o "$S/core" # a busy machine takes more than a second
    code 0
}

core_written() { [ -s "$S/core" ] && { [ ! -e "/proc/$pid/stat" ] || [[ $(cut -d ' ' -f 3 "/proc/$pid/stat") = Z ]]; }; }
kernel_cores() { # or the end of the situation
    [ "$(cat /proc/sys/kernel/core_pattern)" = core ] || cannot "kernel.core_pattern is not \"core\""
}

# world: a script for `unshare --mount`: a root $1 with the programs of the host, and the classes ($2/classes) in /classes;
# does $3, then runs the rest in it
world='
set -e
root=$1 work=$2
mount -t tmpfs none "$root"
for d in usr etc dev; do mkdir -p "$root/$d"; mount --rbind "/$d" "$root/$d"; done
for d in bin lib lib64; do ln -sfn "$(readlink "/$d")" "$root/$d"; done
mkdir -p "$root/proc" "$root/run" "$root/classes"
mount --rbind /proc "$root/proc"
mount --bind "$work/classes" "$root/classes"
eval "$3"
shift 3
exec chroot "$root" "$@"'

# pod NAME OPTION... -- COMMAND...: a container of podman's with the JDKs' root and $work; sets pid to the host's id
podman() {
    limit 60 env -u LISTEN_FDS podman --root "$S/podman" --runroot "$S/podman-run" --storage-driver vfs \
        --cgroup-manager cgroupfs --runtime runc "$@"
}
pod() {
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    command -v podman runc > /dev/null || cannot "no podman and runc: run scripts/setup.sh"
    mkdir -p "$S/$name"/{up,work,root}
    mount -t overlay rjcore-situations -o "lowerdir=$root,upperdir=$S/$name/up,workdir=$S/$name/work" "$S/$name/root" ||
        cannot "overlayfs cannot be mounted"
    undo umount -l "$S/$name/root"
    undo podman_rm "$name"
    podman run -d --name "$name" -e LC_ALL=C.UTF-8 --ulimit nofile=1024:1024 --ulimit nproc=4000:4000 --network none \
        --log-driver k8s-file -v "$work:$work:ro" "${options[@]}" --rootfs "$S/$name/root" "$@" > "$S/$name.id" 2> "$S/$name.err" ||
        cannot "podman starts no container: $(tail -n 1 "$S/$name.err")"
    until_true 30 pod_ready "$name" || fail "no READY in the container: $(podman logs "$name" 2>&1 | tail -n 3)" "a JVM that starts"
    pid=$(podman inspect -f '{{.State.Pid}}' "$name")
}
pod_ready() { podman logs "$1" 2>&1 | grep -q ^READY; }
podman_rm() { podman rm -f -t 0 "$1"; }

# memory_group: makes a control group for memory; sets group, and limit_file. Put a process in by $group/cgroup.procs.
memory_group() {
    local mount=$S/cgroup
    mkdir "$mount"
    if grep -q ':memory:' /proc/self/cgroup; then
        mount -t cgroup -o memory none "$mount" 2> /dev/null || cannot "the memory controller cannot be mounted"
        limit_file=memory.limit_in_bytes
    else
        mount -t cgroup2 none "$mount" 2> /dev/null || cannot "cgroup v2 cannot be mounted"
        limit_file=memory.max
    fi
    undo umount -l "$mount"
    [ "$limit_file" != memory.max ] || echo +memory > "$mount/cgroup.subtree_control" ||
        cannot "this cgroup may not give its memory controller away"
    group=$mount/rjcore-situation-$BASHPID
    mkdir "$group" 2> /dev/null || cannot "no control group may be made"
    undo until_true 5 rmdir "$group"
}
