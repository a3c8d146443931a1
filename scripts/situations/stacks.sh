# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# Threads and their stacks: 3, 7, 8, 30, and the locals of 34.

# thread NAME: its lines in $S/out, up to the empty line
thread() { awk -v name="\"$1\"" 'index($0, name) == 1 { on = 1 } /^$/ { on = 0 } on' "$S/out"; }

# --- 3: a mounted virtual thread that parked before
mounted() { # VERSION FLAG...
    jvm "$1" -Xmx64m -Djdk.virtualThreadScheduler.parallelism=1 "${@:2}" Situation virtual 200
    local i method
    for i in 1 2 3; do
        method=(fork precopy stop)
        capture --snapshot "${method[i - 1]}" --overwrite
        rj stack core
        code 0
        thread ForkJoinPool-1-worker-1 > carrier
        grep -q 'ForkJoinWorkerThread.run' carrier || fail "the carrier: $(grep -v deep carrier | head -n 8)" "its frames down to ForkJoinWorkerThread.run"
        grep -q 'Continuation.run(' carrier || fail "the carrier: $(grep -v deep carrier | head -n 8)" "Continuation.run on the carrier"
        [ "$(grep -c 'Situation.deep(' carrier)" = 201 ] || fail "$(grep -c 'Situation.deep(' carrier) frames of deep" "201"
        # The virtual thread's frames are not the carrier's.
        sed '/Mounted virtual thread/,$d' carrier | grep -q 'Situation\.' && fail "Situation's frames on the carrier: $(head -n 4 carrier)" "them on the virtual thread"
        sed -n '/Mounted virtual thread/,$p' carrier | grep -q 'VirtualThread.run(' || fail "no VirtualThread.run" "the virtual thread's last frame"
        rj check core
        code 0
    done
}
for version in 21 25 28; do
    situation 3 "JDK $version, interpreted: a virtual thread that parked and computes" mounted $version -Xint
    situation 3 "JDK $version, C1: a virtual thread that parked and computes" mounted $version -XX:TieredStopAtLevel=1
    situation 3 "JDK $version, C2: a virtual thread that parked and computes" mounted $version -Xcomp -XX:-TieredCompilation \
        -XX:CompileCommand=quiet -XX:CompileCommand=compileonly,Situation::deep
done

# --- 7
waiting_on() {
    jvm 8 -Xmx64m -Xcomp -XX:CompileCommand=quiet -XX:CompileCommand=compileonly,Situation::waits \
        -XX:CompileCommand=compileonly,java.lang.Object::wait -XX:+UseSerialGC Situation wait
    "$rjcore" attach "$pid" threaddump -l > theirs
    capture
    rj stack core
    code 0
    thread waits > ours
    cp theirs out
    thread waits | grep '^[[:space:]]*[-a]' > theirs.waits
    grep '^[[:space:]]*[-a]' ours > ours.waits
    grep -q . theirs.waits || fail "no thread \"waits\" in HotSpot's dump" "one"
    [ "$(grep -v locked theirs.waits)" = "$(grep -v locked ours.waits)" ] || fail "$(cat ours.waits)" "HotSpot's: $(cat theirs.waits)"
}
situation 7 "JDK 8, compiled Object.wait without locals: the line as HotSpot's" waiting_on
collections() { # VERSION FLAGS...
    jvm "$1" -Xmx64m "${@:2}" Situation collected 12
    capture
    rj info core
    code 0
    grep -E '^collector' out > line
    hides 'collector.* 0 collections' "12 collections or more"
    local n
    n=$(grep -oE '[0-9]+ collections?' line | head -n 1 | cut -d ' ' -f 1)
    [ "${n:-0}" -ge 12 ] || fail "$(cat line)" "12 collections or more"
}
for version in 11 17 21 25 28; do
    situation 7 "JDK $version, Shenandoah: info counts the collections" collections $version \
        -XX:+UnlockExperimentalVMOptions -XX:+UseShenandoahGC
done
names() { # VERSION FLAGS...
    jvm "$1" -Xmx64m -XX:+IgnoreUnrecognizedVMOptions -XX:-UseDynamicNumberOfCompilerThreads -XX:-UseDynamicNumberOfGCThreads "${@:2}" Situation idle
    "$rjcore" attach "$pid" threaddump > /dev/null # from now on the Attach Listener is there
    "$rjcore" attach "$pid" threaddump > theirs
    capture
    rj stack core
    code 0
    grep -oE '^"[^"]*"' theirs | sort > theirs.names
    grep -oE '^"[^"]*"' out | sort > ours.names
    [[ "$*" != 25*FlightRecording* ]] || grep -q 'JFR Sampler' theirs.names || fail "no sampler in HotSpot's dump" "one"
    cmp -s theirs.names ours.names || fail "other names than HotSpot's: $(diff ours.names theirs.names | grep '^[<>]' | head -n 6)" "the same (< ours, > HotSpot's)"
}
for version in 11 17 25; do
    situation 7 "JDK $version, Shenandoah: the VM's threads have the names that HotSpot prints, and all of them" names $version \
        -XX:+UnlockExperimentalVMOptions -XX:+UseShenandoahGC
done
for version in 8 17 21 25 28; do
    situation 7 "JDK $version, G1 with string deduplication: the VM's threads as HotSpot prints them" names $version -XX:+UseG1GC -XX:+UseStringDeduplication
done
for version in 17 25; do
    situation 7 "JDK $version with JFR: names longer than 15 characters" names $version -XX:+UseSerialGC \
        -XX:StartFlightRecording:settings=default -Xlog:jfr*=off
done
thread_roots() { # VERSION FLAGS...
    jvm "$1" -Xmx64m "${@:2}" Situation idle
    "$rjcore" attach "$pid" threaddump > /dev/null
    mkdir -m 777 "$work/dump$1" 2> /dev/null
    rm -f "$work/dump$1"/*
    "$rjcore" attach "$pid" dumpheap "$work/dump$1/h.hprof" -all > log2 || fail "HotSpot's dump: $(cat log2)" "one"
    capture
    rj dump core -o heap.hprof
    code 0
    local ours theirs
    theirs=$(hprof roots "$work/dump$1/h.hprof" | grep '^thread ')
    ours=$(hprof roots heap.hprof | grep '^thread ')
    [ "$ours" = "$theirs" ] || fail "roots: $ours" "HotSpot's $theirs"
}
for version in 17 21 25; do
    situation 7 "JDK $version: threads that HotSpot hides are no roots (StringDedupThread)" thread_roots $version \
        -XX:+UseG1GC -XX:+UseStringDeduplication
done
no_build_id() { # VERSION
    jvm "$1" -Xmx64m -XX:+UseSerialGC Situation idle
    capture
    rj stack --mixed core
    code 0
    local guessed frames
    guessed=$(grep -c '(guessed)' out)
    frames=$(grep -cE 'lib(jvm|jli|c|java|pthread)[.a-z0-9]*\+0x' out)
    [ "$frames" -gt 20 ] || fail "$frames native frames" "more than 20"
    [ "$guessed" -le $((frames / 20)) ] || fail "$guessed of $frames native frames guessed" "none: they are right"
}
for version in 11.0.5 17.0.2 21.0.2; do
    situation 7 "JDK $version, whose libjvm has no build-id: native frames are not guessed, exit 0" no_build_id $version
done
oom_core() { # VERSION
    kernel_cores
    local java=$java17/java
    [ "$1" = 17 ] || java=$deps/temurin-25/bin/java
    (ulimit -c unlimited && limit 60 "$java" -cp "$work/classes" -Xmx24m -XX:+UseSerialGC -XX:+CrashOnOutOfMemoryError \
        Situation oom > jvm.log 2>&1)
    local found
    found=$(find . -maxdepth 1 -name 'core*' -size +1M | head -n 1)
    [ -n "$found" ] || cannot "the kernel wrote no core: $(tail -n 1 jvm.log)"
    rj info "$found"
    code 0
    sed -i 's/[A-Za-z]*On[A-Za-z]*OutOfMemoryError[^ ]*//g' out # its flags do not count
    shows 'OutOfMemoryError' "that it was an OutOfMemoryError"
}
situation 7 "17: info of a crash by CrashOnOutOfMemoryError says OutOfMemoryError" oom_core 17
situation 7 "25: info of a crash by CrashOnOutOfMemoryError says OutOfMemoryError" oom_core 25

# --- 8: the Zero VM
zero() { # VERSION
    [ -e "$root/usr/lib/jvm/java-$1-openjdk-amd64/lib/zero/libjvm.so" ] || [ -e "$root/usr/lib/jvm/java-$1-openjdk-amd64/jre/lib/amd64/zero/libjvm.so" ] ||
        cannot "JDK $1 has no Zero VM in the set-up: scripts/setup-jdks.sh"
    local in_root=$1
    [ "$1" != 17 ] || in_root=in-root-17
    jvm "$in_root" -zero -Xmx64m -XX:+UseSerialGC Situation locals
    rj capture "$pid" -o core
    code 0
    rj dump core -o heap.hprof
    code 0
    rj stack core
    code 0
    hides 'nid=0x0\b|nid=0 ' "the thread's own id"
    if ! thread locals | grep -q 'Situation.locals('; then shows '\bzero\b' "the frames, or that the Zero VM's are not walked"; fi
    rj check core
    code 0
}
for version in 8 17 21 25; do
    situation 8 "JDK $version, Zero VM: capture, dump and stack of a JVM that is well end with 0" zero $version
done

# --- 30
folded() { # VERSION
    jvm "$1" -Xmx64m -Djdk.virtualThreadScheduler.parallelism=1 Situation parked 5
    capture
    rj stack --folded core
    code 0
    ! grep -vE '^[^ ].* [0-9]+$' out || fail "a line that is not \"a;b;c 1\": $(grep -vE -m 1 '^[^ ].* [0-9]+$' out)" "none"
    grep -qE '^vt-burns;.*Situation.compute.* 1$' out || fail "$(grep -m 1 burns out || head -n 3 out)" "vt-burns;...;Situation.compute 1"
    grep -qE '^idle-3;.*Situation.nap' out || fail "$(grep -m 1 idle out || head -n 3 out)" "idle-3;...;Situation.nap;..."
    grep -qE '^main;.*Thread.sleep' out || fail "$(grep -m 1 main out)" "main;...;Thread.sleep 1"
}
for version in 21 25; do
    situation 30 "JDK $version: stack --folded, virtual threads by their own names" folded $version
done

# --- 34, the frames' locals
locals() { # FLAG
    jvm 17 -Xmx64m "$1" Situation locals
    capture
    rj stack --locals core
    code 0
    thread locals > block
    [ "$1" != -Xint ] || grep -q 'a text of its own' block || fail "$(grep -A 9 'Situation.locals' block)" "the string's text"
    [ "$1" != -Xint ] || grep -qE '320255973460668|0x1234567890abc\b' block || fail "$(grep -A 9 'Situation.locals' block)" "the long"
    [ "$1" != -Xint ] || ! sed -n '/Situation.locals/,$p' block | grep -qE 'local 1: 0 ' || fail "half a long: $(grep -A 9 'Situation.locals' block)" "the long as one value"
    if awk '/Native Method\)$/ { on = 1; next } /^\tat / { on = 0 } on' out | grep -qE '^[[:space:]]+stack [0-9]'; then
        fail "stack slots of a native frame: $(awk '/Native Method\)$/ { on = 1; next } /^\tat / { on = 0 } on' out | grep -m 2 -E 'stack [0-9]')" "none"
    fi
}
situation 34 "stack --locals: a string's text, a long as one value, no slots of native frames" locals -Xint
