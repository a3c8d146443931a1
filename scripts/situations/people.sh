# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2015,SC2016 # variables are those of lib.sh; scripts in quotes are of other shells
# What people read at three in the morning: 33, 34 (its locals are in stacks.sh).

# --- 33
sender() { # VERSION
    kernel_cores
    before=(prlimit --core=unlimited)
    jvm "$1" -Xmx32m -XX:+UseSerialGC Situation idle
    local uid=1000
    until_true 5 test -e "/proc/$pid"
    # Another user's process may not signal root's: a user 0 with a known PID does.
    bash -c 'echo $$ > killer; kill -ABRT "$1"; sleep 1' bash "$pid" &
    ours $!
    until_true 30 core_written || fail "no core" "one"
    rj info core
    code 0
    uid=0
    shows "SIGABRT" "the signal"
    shows "\b$(cat killer)\b" "the PID of the sender, $(cat killer)"
    shows "(uid|user) *(id )?$uid\b" "the uid of the sender, 0"
}
situation 33 "17: who sent the SIGABRT" sender 17
sent_by_its_user() {
    kernel_cores
    before=(prlimit --core=unlimited)
    chmod 777 "$S"
    as=("${user[@]}")
    jvm 17 -Xmx32m -XX:+UseSerialGC Situation idle
    "${user[@]}" bash -c 'echo $$ > killer; kill -ABRT "$1"' bash "$pid"
    until_true 30 core_written || cannot "the kernel writes no core of another user's here"
    rj info core
    shows "SIGABRT" "the signal"
    shows "\b$(cat killer)\b" "the PID of the sender, $(cat killer)"
    shows "(uid|user) *(id )?1000\b" "the uid of the sender, 1000"
}
situation 33 "17: a SIGABRT that a user sent" sent_by_its_user
oom_then_abort() {
    kernel_cores
    before=(prlimit --core=unlimited)
    (ulimit -c unlimited && limit 60 "$java17/java" -cp "$work/classes" -Xmx24m -XX:+UseSerialGC \
        '-XX:OnOutOfMemoryError=kill -ABRT %p' Situation oom > jvm.log 2>&1)
    until_true 10 test -s core || fail "no core: $(tail -n 2 jvm.log)" "one"
    rj info core
    code 0
    shows 'SIGABRT' "the signal"
    sed -i 's/OnOutOfMemoryError[^ ]*//g' out
    shows 'OutOfMemoryError' "the OutOfMemoryError behind it"
}
situation 33 "17: an OutOfMemoryError behind kill -ABRT %p" oom_then_abort
says_of_heap() { # VERSION REGEX FLAGS...
    jvm "$1" -Xmx64m "${@:3}" Situation collected 5
    capture
    rj info core
    code 0
    shows "$2" "$2"
    local n
    n=$(grep -E '^collector' out | grep -oE '[0-9]+ [a-z ]*(collections?|cycles?)' | awk '{ n += $1 } END { print n + 0 }')
    [ "$n" -ge 5 ] || fail "$(grep -E '^collector' out)" "5 collections or more"
}
situation 33 "21, generational ZGC: generations and counts" says_of_heap 21 'young' -XX:+UseZGC -XX:+ZGenerational
situation 33 "25, ZGC: generations and counts" says_of_heap 25 'young' -XX:+UseZGC
situation 33 "17, ZGC: its counts" says_of_heap 17 'Z' -XX:+UseZGC
situation 33 "25, Shenandoah: kinds of regions and counts" says_of_heap 25 'regular|humongous|trash|collection set' -XX:+UseShenandoahGC
situation 33 "25, generational Shenandoah: generations and counts" says_of_heap 25 'young' -XX:+UnlockExperimentalVMOptions \
    -XX:+UseShenandoahGC -XX:ShenandoahGCMode=generational
had_run_for() { # VERSION
    jvm "$1" -Xmx32m -XX:+UseSerialGC Situation idle
    capture
    rj info core
    code 0
    shows 'had run for' "how long it had run"
    rj info --json core
    code 0
    local up
    up=$(json "d['vm'].get('uptime_ms')")
    [[ $up =~ ^[0-9]+ ]] || fail "uptime_ms $up" "a number"
    [ "${up%.*}" -lt 600000 ] || fail "uptime_ms $up" "less than 10 minutes"
}
for version in 17 25 26 28; do
    situation 33 "JDK $version: info says how long it had run" had_run_for $version
done
eight() {
    jvm 8 -Xmx32m -XX:+UseSerialGC Situation idle
    capture
    rj info core
    code 0
    shows '1\.8\.0|JDK 8|HotSpot 8' "8"
    hides 'HotSpot 25\.|JDK 25' "nothing that reads as JDK 25"
    rj check core
    hides 'HotSpot 25\.|JDK 25' "nothing that reads as JDK 25"
}
situation 33 "JDK 8 does not read as 25 (25.504-b01)" eight

# --- 34
histo_diffs() { # VERSION
    jvm "$1" -Xmx32m -XX:+UseSerialGC Situation idle
    hotspot GC.class_histogram -all > theirs || fail "$(head -n 2 theirs)" "HotSpot's histogram"
    capture
    rj histo core
    code 0
    # Name with module, as the last columns; the numbers are compared elsewhere.
    sed -nE 's/^ *[0-9]+: +([0-9,]+) +([0-9,]+) +(.*[^ ]) *$/\3/p' theirs | sort > theirs.names
    sed -nE 's/^ *[0-9]+: +([0-9,]+) +([0-9,]+) +(.*[^ ]) *$/\3/p' out | sort > ours.names
    [ "$(wc -l < theirs.names)" -gt 100 ] || fail "$(head -n 4 theirs)" "HotSpot's histogram"
    local other
    other=$(comm -3 ours.names theirs.names | wc -l)
    [ "$other" -le $(($(wc -l < theirs.names) / 20)) ] || fail "$other other names: $(comm -3 ours.names theirs.names | head -n 3)" "as jcmd prints them"
}
for version in 8 17 25; do
    situation 34 "JDK $version: histo names classes and modules as jcmd does" histo_diffs $version
done
default_name() {
    local sample=$repo/testdata/cores/jdk17-serial.core.zst
    cp "$sample" .
    rj dump jdk17-serial.core.zst
    code 0
    [ "$(find . -name '*.hprof' | wc -l)" = 1 ] || fail "$(ls)" "one .hprof"
    shows '\.hprof' "its name"
    rj dump jdk17-serial.core.zst
    code 1 2
    shows 'overwrite|exists' "that it exists"
    jvm 17 -Xmx32m Situation idle
    rj dump --pid "$pid"
    code 0
    [ "$(find . -name '*.hprof' | wc -l)" = 2 ] || fail "$(ls)" "two .hprof"
}
situation 34 "dump without -o takes a name, as capture does" default_name
json_of() { # VERSION
    jvm "$1" -Xmx64m Situation locals
    capture
    local command bad
    for command in info "info --properties" histo "histo --by-space" stack "stack --locals" "stack --mixed" "stack --group" check; do
        # shellcheck disable=SC2086
        rj $command --json core
        code 0
        bad=$(json "[k for k, v in walk(d) if type(v) is int and v >= 1 << 40 and not k.endswith(('_ms', 'flags'))][:4]")
        [ -z "$bad" ] || fail "$command: bare numbers for $bad" "addresses as \"0x...\""
        bad=$(json "[k + ' ' + str(v) for k, v in walk(d) if isinstance(v, list) and len(v) == 2 and all(type(x) in (int, float) for x in v)][:4]")
        [ -z "$bad" ] || fail "$command: bare pairs $bad" "names for both"
        bad=$(json "[k + ': ' + v for k, v in walk(d) if k in ('oops', 'class_pointers') and isinstance(v, str) and (',' in v or ' ' in v)]")
        [ -z "$bad" ] || fail "$command: prose: $bad" "fields"
    done
    rj stack --group --json core
    json "d['vm'], [k for k in d if 'taken' in k or 'time' in k or 'captured' in k][0]" > /dev/null || fail "keys $(json 'list(d)' | tr '\n' ' ')" "vm and time"
}
for version in 17 25; do
    situation 34 "JDK $version, --json: addresses as 0x..., no bare pairs, no prose" json_of $version
done
flame() {
    jvm 17 -Xmx64m Situation threads 20
    capture
    rj stack --flame f.svg core
    code 0
    grep -q 'main' f.svg || fail "no thread name main in the graph" "thread names"
    grep -qE 'WAITING|TIMED_WAITING|RUNNABLE|waiting|runnable' f.svg || fail "no states in the graph" "them"
}
situation 34 "the flame graph names threads and states" flame
cpu_digits() {
    jvm 17 -Xmx64m Situation locals
    rj capture "$pid" -o core
    code 0
    rj stack core
    code 0
    # Of the notes they have 10 ms; of what is read otherwise all digits.
    hides '^"main".* cpu=[0-9]*0\.00ms' "no digits that are not known"
}
situation 34 "CPU times have the digits that are known" cpu_digits
