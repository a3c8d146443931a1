# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# Whether attach will work, and what doctor says of it: 10 to 14, 35.

version_answers() { # attach does what it is asked
    rj attach --timeout 20 "$pid" jcmd VM.version
    code 0
    shows 'HotSpot|OpenJDK' "the VM's version"
}
doctor_says_yes() {
    rj doctor "$pid"
    code 0
    shows 'attach will work' "attach will work"
}
doctor_says_no() {
    rj doctor "$pid"
    code 1
    hides 'attach will work' "attach will not work"
}

# --- 10: what cannot be read is not "different"
without_ptrace() {
    as=("${user[@]}")
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    by=("${no_ptrace[@]}")
    version_answers
    rj attach "$pid" stack
    code 0
    hand_over "$S"
    rj attach "$pid" "$S/h.hprof"
    code 0
    [ -s "$S/h.hprof" ] || fail "no dump" "one"
}
situation 10 "root without CAP_SYS_PTRACE, JVM of another user: attach works" without_ptrace
doctor_without_ptrace() {
    as=("${user[@]}")
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    by=("${no_ptrace[@]}")
    doctor_says_yes
    hides 'another /tmp|other /tmp|its own /tmp' "no claim of what it could not see"
    [[ $(tail -n 1 out) != *"rjcore capture"* ]] || fail "$(tail -n 1 out)" "a next command that is not refused as well"
    rj doctor --json "$pid"
    code 0
    json 'd' > /dev/null || fail "no JSON" "JSON"
}
situation 10 "root without CAP_SYS_PTRACE: doctor says yes, and claims no other /tmp" doctor_without_ptrace
refused_without_ptrace() {
    as=("${user[@]}")
    jvm 17 -Xmx32m -XX:+UseSerialGC -XX:+DisableAttachMechanism Situation idle
    by=("${no_ptrace[@]}")
    doctor_says_no
    rj capture "$pid" -o "$S/core"
    code 1
    shows 'CAP_SYS_PTRACE' "the right that capture lacks"
    [ ! -e core ] || fail "a core" "none"
    rj attach --timeout 5 "$pid" stack
    code 1
    hides 'Permission denied \(os error' "no bare errno"
}
situation 10 "root without CAP_SYS_PTRACE: what does not work says so" refused_without_ptrace
default_set() { # USER of the JVM
    pod a --user "$1" -- "/usr/lib/jvm/java-17-openjdk-amd64/bin/java" -cp "$work/classes" -Xmx32m Situation idle
    podman exec --user 0 a "$rjcore" doctor 1 > out 2> err
    rc=$?
    code 0
    hides 'another /tmp|other /tmp' "no claim of what it could not see"
    podman exec --user 0 a "$rjcore" attach 1 jcmd VM.version > out 2> err
    rc=$?
    code 0
    shows 'OpenJDK' "the VM's version"
    podman exec --user 0 a "$rjcore" ps > out 2> err
    rc=$?
    code 0
    shows '^ *1 ' "the JVM in ps"
}
situation 10 "in a container with podman's default rights, JVM of uid 1000: root's doctor and attach work" default_set 1000
situation 10 "in a container with podman's default rights, JVM of root: doctor and attach work" default_set 0

# --- 11: what is needed
no_socket() { # REASON COMMANDS... in the new root as $root
    local reason=$1
    mkdir root
    launch jvm unshare --mount --propagation private sh -c "$world" sh "$S/root" "$work" "$2" \
        setpriv --reuid "${3:-0}" --regid "${3:-0}" --clear-groups \
        "$java17/java" -XX:-UsePerfData -Xmx32m -XX:+UseSerialGC -cp /classes Situation idle
    [ -z "${4:-}" ] || nsenter -t "$pid" -m -r -w sh -c "$4"
    # What HotSpot itself can do decides.
    local works=1 t=$SECONDS
    rj doctor "$pid"
    local said=$rc
    cp out doctor.out
    limit=30 rj attach --timeout 6 "$pid" jcmd VM.version
    [ "$rc" = 0 ] || works=''
    if [ -n "$works" ]; then
        [ "$said" = 0 ] || fail "attach works, and doctor says: $(cat doctor.out)" "attach will work"
        return
    fi
    [ "$said" = 1 ] || fail "attach fails ($(head -c 150 err)), and doctor says: $(head -n 1 doctor.out)" "attach will not work, and why"
    grep -qEi "$reason" doctor.out || fail "doctor: $(cat doctor.out)" "the reason ($reason)"
    [ $((SECONDS - t)) -le 4 ] || fail "attach waited, and said: $(head -c 250 err)" "the reason at once"
    hides 'hangs|hung' "no guess about a hung thread"
}
situation 11 "a root file system that is read-only" no_socket 'read-only' 'mkdir -p $root/tmp; mount -o remount,ro,bind $root || mount -o remount,ro $root'
situation 11 "no /tmp, and a directory that is not the JVM's" no_socket '/tmp' ':' 1000
situation 11 "/tmp is not writable" no_socket '/tmp' 'mkdir -m 755 $root/tmp' 1000
situation 11 "/tmp is full" no_socket 'full|space' 'mkdir $root/tmp; mount -t tmpfs -o size=16k,mode=1777 none $root/tmp' 1000 \
    'head -c 100000 /dev/zero > /tmp/fill'
situation 11 "/tmp without inodes" no_socket 'inode|full|space' 'mkdir $root/tmp; mount -t tmpfs -o nr_inodes=3,mode=1777 none $root/tmp' 1000 \
    'for i in 1 2 3 4; do : > /tmp/$i; done 2> /dev/null'
writable_cwd() {
    mkdir root
    launch jvm unshare --mount --propagation private sh -c "$world" sh "$S/root" "$work" 'mkdir -m 1777 $root/tmp' \
        setpriv --reuid 1000 --regid 1000 --clear-groups \
        "$java17/java" -XX:-UsePerfData -Xmx32m -XX:+UseSerialGC -cp /classes Situation idle
    doctor_says_yes
    version_answers
}
situation 11 "a working directory that is not writable, and a /tmp that is: attach works" writable_cwd
read_only_pod() {
    pod a --read-only --read-only-tmpfs=false -- /usr/lib/jvm/java-17-openjdk-amd64/bin/java -XX:-UsePerfData \
        -cp "$work/classes" -Xmx32m Situation idle
    doctor_says_no
    shows 'read-only' "the reason: read-only"
}
situation 11 "podman run --read-only: doctor says no, and why" read_only_pod

# --- 12: switched off where the command line does not show it
printed() { ! grep -q 'Full thread dump' "$S/jvm.log" || fail "a thread dump in the JVM's output" "none"; }
switched_off() { # HOW [BY]
    echo '-XX:+DisableAttachMechanism' > options
    chmod 644 options
    case $1 in
        argfile) jvm 17 -XX:-UsePerfData -Xmx32m "@$S/options" Situation idle ;;
        relative) jvm 17 -XX:-UsePerfData -Xmx32m @options Situation idle ;;
        flags) echo '+DisableAttachMechanism' > options && jvm 17 -XX:-UsePerfData -Xmx32m "-XX:Flags=$S/options" Situation idle ;;
        vmoptions) jvm 17 -XX:-UsePerfData -Xmx32m "-XX:VMOptionsFile=$S/options" Situation idle ;;
        launcher) before=(env "JDK_JAVA_OPTIONS=@$S/options") && jvm 17 -XX:-UsePerfData -Xmx32m Situation idle ;;
        hotspotrc) echo '+DisableAttachMechanism' > .hotspotrc && jvm 17 -XX:-UsePerfData -XX:+ReadVMOptionsFile -Xmx32m Situation idle ;;
        tool) before=(env JAVA_TOOL_OPTIONS=-XX:+DisableAttachMechanism) && jvm 17 -XX:-UsePerfData -Xmx32m Situation idle ;;
        deleted) jvm 17 -XX:-UsePerfData -Xmx32m "@$S/options" Situation idle && rm options ;;
    esac
    [ -z "${2:-}" ] || by=("${no_ptrace[@]}")
    rj doctor "$pid"
    if [ "$1$2" = deletedblind ]; then
        shows 'option|file|may be' "a doubt: its options come from a file that cannot be read"
    else
        code 1
        shows 'DisableAttachMechanism' "DisableAttachMechanism"
    fi
    local t=$SECONDS
    rj attach --timeout 15 "$pid" stack
    code 1
    [ $((SECONDS - t)) -le 5 ] || fail "attach waited $((SECONDS - t)) s: $(said)" "an answer at once"
    printed
}
situation 12 "attach is switched off in an @argfile" switched_off argfile ''
situation 12 "attach is switched off in an @argfile by a relative name" switched_off relative ''
situation 12 "attach is switched off by -XX:Flags=FILE" switched_off flags ''
situation 12 "attach is switched off by -XX:VMOptionsFile=FILE" switched_off vmoptions ''
situation 12 "attach is switched off in JDK_JAVA_OPTIONS's file" switched_off launcher ''
situation 12 "attach is switched off in JAVA_TOOL_OPTIONS" switched_off tool ''
situation 12 "attach is switched off in a file that is gone: the flag is read from memory" switched_off deleted ''
situation 12 "attach is switched off in an @argfile, without the right to ptrace" switched_off argfile blind
blind_other_user() { # the JVM's user is another one, root may not ptrace
    echo '-XX:+DisableAttachMechanism' > options
    chmod 644 options
    as=("${user[@]}")
    jvm 17 -XX:-UsePerfData -Xmx32m "@$S/options" Situation idle
    by=("${no_ptrace[@]}")
    rj doctor "$pid"
    code 1
    rj attach --timeout 15 "$pid" stack
    code 1
    printed
}
situation 12 "the same, and the JVM is another user's" blind_other_user
other_options() {
    echo '-Xmx32m' > options
    jvm 17 -XX:-UsePerfData "@$S/options" Situation idle
    doctor_says_yes
    version_answers
}
situation 12 "an @argfile that switches nothing off: attach works" other_options

# --- 13: another one's live socket
shared_tmp() { # COMMAND that starts one with the /tmp $S/shared: sets pid
    mkdir -m 1777 shared
    cp -r "$work/classes" shared/ # in their /tmp
    "$1" a
    local first=$pid
    "$1" b
    rj attach "$first" jcmd VM.version
    code 0
    [ -S "$S/shared/.java_pid1" ] || fail "no socket in the shared /tmp" "that of the first JVM"
    rj doctor "$pid"
    hides 'safe|rm /proc' "no advice to remove the other's live socket"
    code 1
    rj attach --timeout 5 "$pid" jcmd VM.version
    code 1
    [ -S "$S/shared/.java_pid1" ] || fail "the first JVM's socket is gone" "it untouched"
    rj attach "$first" jcmd VM.version
    code 0
}
by_unshare() {
    launch "$1" unshare --mount --net --pid --fork --kill-child --propagation private sh -c \
        'mount -t proc none /proc && mount --bind "$0" /tmp && cd / && exec "$@"' "$S/shared" \
        "$java17/java" -Xmx32m -XX:-UsePerfData -cp /tmp/classes Situation idle
    pid=$(pgrep -P "$pid")
}
by_podman() {
    pod "$1" -v "$S/shared:/tmp" -- /usr/lib/jvm/java-17-openjdk-amd64/bin/java -XX:-UsePerfData -cp /tmp/classes \
        -Xmx32m Situation idle
}
situation 13 "two containers (unshare) with net namespaces of their own share /tmp: no live socket is called left over" shared_tmp by_unshare
situation 13 "two containers (podman) share /tmp: no live socket is called left over" shared_tmp by_podman
left_over() {
    jvm 17 -Xmx32m Situation idle
    python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('/tmp/.java_pid$pid')"
    undo rm -f "/tmp/.java_pid$pid"
    rj doctor "$pid"
    shows 'stale|left|nobody' "that it is a left-over one"
    version_answers
}
situation 13 "a socket that is really left over is still told" left_over

# --- 14
alt_temp() {
    mkdir -m 1777 "$work/alt" 2> /dev/null
    jvm 28 -XX:+IgnoreUnrecognizedVMOptions -XX:+UnlockDiagnosticVMOptions "-XX:AltTempDir=$work/alt" -Xmx32m Situation idle
    doctor_says_yes
    version_answers
    # It listens now.
    [ -n "$(find "$work/alt" -name '.java_pid*')" ] || cannot "this 28 does not know AltTempDir"
    version_answers
    doctor_says_yes
    rj ps
    code 0
    shows "^ *$pid .*28" "the JVM in ps"
}
situation 14 "28 with -XX:AltTempDir: doctor, attach and ps find its door" alt_temp

# --- 35
doctor_of_1() {
    rj doctor 1
    code 1
    hides 'run as root|run .* as root|sudo' "no advice to be what one is"
}
situation 35 "doctor 1 as root: not \"run as root\"" doctor_of_1
doctor_of_1_as_nobody() {
    by=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    rj doctor 1
    code 1
    hides 'another /tmp|other /tmp' "no claim of what it could not see"
}
situation 35 "doctor 1 as nobody: no claim of another /tmp" doctor_of_1_as_nobody
doctor_as_nobody() {
    jvm 17 -Xmx32m Situation idle
    by=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    rj doctor "$pid"
    code 1
    hides 'another /tmp|other /tmp' "no claim of what it could not see"
    shows 'user|root' "whose it is"
}
situation 35 "doctor as nobody of root's JVM: no claim of another /tmp" doctor_as_nobody
