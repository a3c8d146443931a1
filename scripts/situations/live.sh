# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# What attach does, and what people type: 15 to 18.

# --- 15: exit codes
refuses() { # COMMAND...: attach must exit 1, and say why
    rj attach "$pid" "$@"
    [ "$rc" = 1 ] || fail "exit $rc of attach $*: $(said)" "1"
}
wrong_files() { # VERSION
    mkdir -m 777 "$work/files$1"
    undo rm -rf "$work/files$1"
    local dir=$work/files$1
    jvm "$1" -Xmx32m -XX:+UseSerialGC Situation idle
    echo old > "$dir/old"
    refuses jcmd GC.heap_dump "$dir/none/h.hprof"
    refuses jcmd GC.heap_dump "$dir/old"
    refuses "$dir/none/h.hprof"
    refuses dumpheap "$dir/old"
    [ "$(cat "$dir/old")" = old ] || fail "an old file was replaced" "it untouched"
    if [ "$1" -ge 21 ]; then
        refuses jcmd Thread.dump_to_file "$dir/none/t.txt"
        refuses jcmd Thread.dump_to_file "$dir/old"
    fi
    if [ "$1" -ge 17 ]; then
        refuses jcmd JFR.dump "filename=$dir/none/r.jfr"
        refuses jcmd JFR.start name=x duration=1d "filename=$dir/none/r.jfr"
        refuses jcmd Compiler.perfmap "$dir/none/p.map"
    fi
    # What works ends well.
    rj attach "$pid" jcmd GC.heap_dump "$dir/h.hprof"
    code 0
    [ -s "$dir/h.hprof" ] || fail "no file" "one"
    hprof order "$dir/h.hprof" > /dev/null || fail "a dump that is not whole though attach ended" "all of it"
    [ "$1" -lt 21 ] || { rj attach "$pid" jcmd Thread.dump_to_file "$dir/t.txt" && code 0; }
    rj attach "$pid" jcmd GC.class_histogram
    code 0
}
for version in 8 11 17 21 25 26 28; do
    situation 15 "JDK $version: files that the JVM cannot write make attach exit 1" wrong_files $version
done
no_room() { # VERSION
    mkdir -p "$work/small$1"
    mount -t tmpfs -o size=1m,mode=1777 none "$work/small$1" || cannot "no tmpfs can be mounted"
    undo umount -l "$work/small$1"
    binds=(-b "$work/small$1")
    jvm "$1" -Xmx64m -XX:+UseSerialGC Situation live 20
    refuses jcmd GC.heap_dump "$work/small$1/h.hprof"
    rm -f "$work/small$1"/*
    refuses "$work/small$1/h.hprof"
}
for version in 8 17 21 25 28; do
    situation 15 "JDK $version: a heap dump that runs out of room makes attach exit 1" no_room $version
done
unknown_command() {
    jvm 17 -Xmx32m Situation idle
    refuses jcmd No.such_command
    refuses jcmd GC.heap_dump
    rj attach "$pid" jcmd
    code 0
}
situation 15 "commands that the JVM does not know make attach exit 1" unknown_command

# --- 16: --fetch
elsewhere() { # sets pid: a JVM of another user, and a directory that is root's alone, where we stand
    mkdir -m 700 own
    mkdir theirs
    hand_over theirs
    as=("${user[@]}")
    cd theirs || exit 1
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    cd ../own || exit 1
}
fetched() { # FILE
    [ -s "$1" ] || fail "no $1 here: $(said)" "the dump"
    [ "$(stat -c '%u %a' "$1")" = "0 600" ] || fail "owner and mode $(stat -c '%u %a' "$1")" "0 600"
    hprof order "$1" > /dev/null || fail "a dump that is not whole" "all of it"
    local left
    left=$(find "$S/theirs" /tmp -maxdepth 1 -user 1000 -newer "$S/jvm.log" -type f -name '*hprof*')
    [ -z "$left" ] || fail "left on the other side: $left" "nothing"
}
fetch() {
    elsewhere
    rj attach --fetch "$pid" heap.hprof
    code 0
    fetched heap.hprof
    rj attach --fetch "$pid" dumpheap two.hprof
    code 0
    fetched two.hprof
    rj attach --fetch "$pid" jcmd GC.heap_dump three.hprof
    code 0
    fetched three.hprof
    echo old > old
    rj attach --fetch "$pid" "$PWD/old"
    code 1
    [ "$(cat old)" = old ] || fail "an old file was replaced" "it untouched"
}
situation 16 "attach --fetch: the dump of another user's JVM is here, ours, and gone there" fetch
next_command() {
    elsewhere
    rj doctor "$pid"
    code 0
    local next
    next=$(tail -n 1 "$S/out")
    [[ $next == *rjcore\ * ]] || fail "$next" "a command"
    (eval "limit 60 ${next/rjcore/$rjcore}") > "$S/out" 2> "$S/err"
    rc=$?
    code 0
    find . -name '*.hprof' -size +100k | grep -q . || fail "no dump here after: $next" "one"
}
situation 16 "doctor's next command works in a directory that is ours alone" next_command
way_out() {
    elsewhere
    rj attach "$pid" "$PWD/heap.hprof"
    code 1
    shows '--fetch' "--fetch, the way out"
    rj attach "$pid" jcmd GC.heap_dump rel.hprof
    code 0
    shows "theirs/rel.hprof|/proc/$pid/(cwd|root)" "where the file lies"
}
situation 16 "what the JVM cannot write names the way out; a relative name, where it lies" way_out
fetch_from_a_container() {
    pod a --user 1000 -- /usr/lib/jvm/java-21-openjdk-amd64/bin/java -cp "$work/classes" -Xmx32m Situation idle
    mkdir own && cd own || exit 1
    rj attach --fetch "$pid" heap.hprof
    code 0
    [ -s heap.hprof ] || fail "no dump here: $(said)" "one"
    [ "$(stat -c %u heap.hprof)" = 0 ] || fail "owner $(stat -c %u heap.hprof)" "0"
    local left
    left=$(find "/proc/$pid/root/tmp" "/proc/$pid/root/" -maxdepth 1 -name '*hprof*')
    [ -z "$left" ] || fail "left in the container: $left" "nothing"
}
situation 16 "attach --fetch out of a container" fetch_from_a_container

# --- 17: two libjvm.so
other_libjvm=$deps/temurin-25/lib/server/libjvm.so
this_libjvm=${java17%/bin}/lib/server/libjvm.so
two() { # WHAT LIBJVM... : sets pid
    [ -x "$work/launcher" ] || limit 60 cc -I"$java17/../include" -I"$java17/../include/linux" -o "$work/launcher" \
        "$repo/scripts/situations/launcher.c" -ldl || fail "no launcher" "cc to make one"
    launch jvm "$work/launcher" "$1" "$work/classes" "${@:2}"
}
lives() {
    two "$@"
    rj doctor "$pid"
    code 0
    rj capture "$pid" -o core
    code 0
    rj info core
    code 0
    shows "HotSpot $want" "the VM that lives, $want"
    hides 'unknown' "its collector"
    rj histo --json core
    code 0
    [ "$(bytes_of java.lang.Class)" -gt 10000 ] || fail "$(head -c 200 out)" "the heap"
    rj stack core
    code 0
    shows 'Situation.main' "its stacks"
    rj dump core --jvm "$lib" -o h.hprof
    code 0
    rj attach "$pid" jcmd VM.version
    code 0
}
# A copy that does not stand in for the one that libjava.so needs: its own name (SONAME) is another.
probe() { # LIBJVM: prints its copy
    mkdir -p "$S/probe"
    python3 -c 'import sys; d = open(sys.argv[1], "rb").read(); open(sys.argv[2], "wb").write(d.replace(b"\0libjvm.so\0", b"\0libjvx.so\0"))' \
        "$1" "$S/probe/libjvm.so"
    echo "$S/probe/libjvm.so"
}
probes17() { lives17 live "$(probe "$other_libjvm")" "$this_libjvm"; }
probes25() { lives25 live "$(probe "$this_libjvm")" "$other_libjvm"; }
lives17() { want=17 lib=$this_libjvm lives "$@"; }
lives25() { want=25 lib=$other_libjvm lives "$@"; }
situation 17 "a launcher loads 25's libjvm, then runs 17" probes17
situation 17 "a launcher loads 17's libjvm, then runs 25" probes25
situation 17 "a launcher runs 17, then loads 25's libjvm" lives17 first "$this_libjvm" "$other_libjvm"
situation 17 "a launcher runs 25, then loads 17's libjvm" lives25 first "$other_libjvm" "$this_libjvm"
no_vm() { # WHAT REGEX
    two "$1" "$this_libjvm"
    rj doctor "$pid"
    code 1
    shows "$2" "that there is no VM ($2)"
    hides 'hang' "no guess about hanging"
    local t=$SECONDS
    rj attach --timeout 10 "$pid" stack
    code 1
    [ $((SECONDS - t)) -le 4 ] || fail "attach waited: $(said)" "an answer at once"
    hides 'hang' "no guess about hanging"
    [ -e "/proc/$pid" ] && [[ $(cut -d ' ' -f 3 "/proc/$pid/stat") != Z ]] || fail "the process was ended" "it untouched"
    rj capture "$pid" -o core
    shows "$2" "that there is no VM ($2)"
    code 1 3
}
situation 17 "a process that loaded libjvm.so and made no VM is told as such" no_vm none 'no (Java )?VM|without a VM|not .*(created|started|made)'
situation 17 "a process whose VM was destroyed is told as such" no_vm destroyed 'destroyed|ended|exited|no VM|has shut down'

# --- 18
hidepid() {
    as=("${user[@]}")
    jvm 17 -Xmx32m Situation idle
    local inner='mount -t proc -o hidepid=2 none /proc && exec setpriv --reuid 2000 --regid 2000 --clear-groups "$@"'
    # shellcheck disable=SC2089,SC2090
    unshare --mount --propagation private sh -c 'mount -t proc -o hidepid=2 none /proc' || cannot "/proc cannot be mounted with hidepid"
    by=(unshare --mount --propagation private sh -c "$inner" sh)
    for command in doctor "attach $pid stack" capture; do
        # shellcheck disable=SC2086
        case $command in attach*) rj $command ;; *) rj "$command" "$pid" ;; esac
        code 1
        hides 'no such process|is no process|does not exist' "no claim that it is not there"
        shows 'hidepid|hidden|another user|not yours|root' "that it is hidden, or another user's"
    done
    rj doctor 4194300
    code 1
    shows 'no such process|no process' "that there is none"
}
situation 18 "/proc with hidepid=2: another user's process is not \"no such process\"" hidepid
mode_666() {
    jvm 17 -Xmx32m Situation idle
    rj attach "$pid" jcmd VM.version
    code 0
    chmod 666 "/tmp/.java_pid$pid"
    undo rm -f "/tmp/.java_pid$pid"
    limit 30 "$java17/jcmd" "$pid" VM.version > jcmd.out 2>&1 && cannot "jcmd takes such a socket here"
    rj doctor "$pid"
    shows 'mode|permission|0?666|rw-rw-rw' "the socket's mode, which jcmd refuses"
}
situation 18 "a socket of mode 666, which jcmd refuses: doctor says so" mode_666
ps_lists_no_rjcore() {
    kernel_cores
    before=(prlimit --core=unlimited)
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    echo 0x13 > "/proc/$pid/coredump_filter"
    kill -ABRT "$pid" # a core without libjvm's pages
    until_true 30 core_written
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    mkfifo pipe
    "$rjcore" dump core -o - > pipe 2> /dev/null &
    ours $!
    local it=$!
    exec 7< pipe
    head -c 1000 <&7 > /dev/null
    grep -q libjvm.so "/proc/$it/maps" || cannot "rjcore does not map libjvm.so for this core"
    rj ps
    exec 7<&-
    code 0
    ! grep -qE "^ *$it " out || fail "$(grep -E "^ *$it " out)" "no rjcore in ps"
    shows "^ *$pid .*Situation" "the JVM"
}
situation 18 "ps lists no rjcore that reads a core" ps_lists_no_rjcore
main_of_javac() {
    cat > P.java << 'END'
import javax.annotation.processing.*;
import java.util.*;
@SupportedAnnotationTypes("*")
public class P extends AbstractProcessor {
    public boolean process(Set<? extends javax.lang.model.element.TypeElement> a, RoundEnvironment r) {
        System.out.println("READY");
        try { Thread.sleep(100000); } catch (InterruptedException e) { }
        return false;
    }
}
END
    limit 60 "$java17/javac" P.java || fail "no processor" "one"
    launch jvm "$java17/javac" -processorpath . -processor P -d . -Xmaxerrs 5 P.java
    rj ps
    code 0
    grep -E "^ *$pid " out > line
    grep -qE 'com.sun.tools.javac.Main|javac' line || fail "$(cat line)" "com.sun.tools.javac.Main"
    rj doctor "$pid"
    shows 'javac' "its name"
}
situation 18 "ps names javac -Xmaxerrs 5 by its main class" main_of_javac
main_of_a_launcher() {
    two none "$this_libjvm" # makes the launcher
    launch jvm env "LAUNCH=first $work/classes $this_libjvm" "$work/launcher"
    rj ps
    code 0
    grep -E "^ *$pid " out > line
    grep -q launcher line || fail "$(cat line)" "the program, launcher"
}
situation 18 "ps names a launcher without arguments by its program" main_of_a_launcher
without_jcmd() {
    jvm 17 -Xmx32m Situation idle
    rj attach "$pid" GC.heap_info
    code 0
    shows 'garbage-first|used' "what jcmd prints"
    rj attach "$pid" VM.flags -all
    code 0
    shows 'UseG1GC' "the flags"
    rj attach "$pid" GC.no_such_thing
    code 1 2
}
situation 18 "attach PID GC.heap_info, without jcmd" without_jcmd
named() {
    mkdir named && cat > named/Watchme.java << 'END'
public class Watchme { public static void main(String[] a) throws Exception { System.out.println("READY"); Thread.sleep(1000000); } }
END
    limit 60 "$java17/javac" -d named named/Watchme.java || fail "no class" "one"
    launch jvm "$java17/java" -cp named -Xmx32m Watchme
    local first=$pid
    rj attach Watchme jcmd VM.version
    code 0
    rj doctor Watchme
    code 0
    rj capture Watchme -o core
    code 0
    rj dump --pid Watchme -o h.hprof
    code 0
    rj stack Watchme
    code 0
    shows 'Watchme.main' "its stack"
    rj histo Watchme
    code 0
    rj attach NoSuchMainClass jcmd VM.version
    code 1 2
    launch other "$java17/java" -cp named -Xmx32m Watchme
    local command
    for command in "attach Watchme jcmd VM.version" "doctor Watchme" "capture Watchme -o $S/c2" "dump --pid Watchme -o $S/h2" "stack Watchme"; do
        # shellcheck disable=SC2086
        rj $command
        code 1 2
        shows "\b$first\b" "the PID $first"
        shows "\b$pid\b" "the PID $pid"
        [ ! -e c2 ] && [ ! -e h2 ] || fail "a file" "none"
    done
}
situation 18 "main class names instead of PIDs; an ambiguous one lists the PIDs" named
reads_pids() {
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    rj stack "$pid"
    code 0
    shows 'Situation.main' "the stack"
    rj histo "$pid" --top 3
    code 0
    shows '\[B' "the histogram"
    rj info "$pid"
    code 0
    shows 'Serial' "the VM"
    rj check "$pid"
    code 0
    rj dump "$pid" -o h.hprof
    code 0
    rj trim "$pid" -o t.core
    code 0
    [ -s h.hprof ] && [ -s t.core ] || fail "no files" "them"
    limit 20 "$java17/jcmd" "$pid" VM.version > /dev/null || fail "the JVM is not well" "it to run on"
    # A file of that name comes first.
    cp "$repo/testdata/cores/jdk17-serial.core.zst" "$pid"
    rj info "$pid"
    code 0
    shows 'core +[0-9./]*[0-9]' "the file's name"
    rj stack 4194300
    code 1
    shows 'no (such )?(process|file)|neither' "that there is no such file or process"
}
situation 18 "stack, histo, info, check, dump and trim take a PID" reads_pids
fits_the_question() {
    jvm 17 -Xmx32m Situation idle
    kill -STOP "$pid"
    rj attach --timeout 1 "$pid" stack
    code 1
    hides 'rjcore dump' "no heap dump for one who asks for stacks"
    shows 'rjcore stack' "rjcore stack"
    rj attach --timeout 1 "$pid" inspectheap
    code 1
    shows 'rjcore histo' "rjcore histo"
    rj attach --timeout 1 "$pid" h.hprof
    code 1
    shows 'rjcore dump' "rjcore dump"
}
situation 18 "an attach error's next command is the one for what was asked" fits_the_question
