# What the benches share; they source it.

# rjcore_binary [FILE]: FILE, or a new build
rjcore_binary() {
    if [ -n "${1:-}" ]; then
        realpath "$1"
    else
        cargo build -q --locked --release
        realpath "${CARGO_TARGET_DIR:-target}/release/rjcore"
    fi
}
# workplace DIR NAME: a new directory in DIR, $work, that goes away in the end together with the process $jvm
workplace() {
    work=$(mktemp -d "$1/rjcore-$2.XXXXXX")
    jvm=
    trap '[ -z "$jvm" ] || kill "$jvm" 2> /dev/null || true; rm -rf "$work"' EXIT
}
# measured LIMIT COMMAND...: CPU seconds, wall seconds and the most anonymous memory (MB) of one run; dashes where it fails, or
# takes more seconds than the limit
measured() {
    python3 - "$@" << 'PYTHON'
import os, subprocess, sys, time
limit, command = float(sys.argv[1]), sys.argv[2:]
begun = time.monotonic()
child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
most, over = 0, False
while True:
    pid, status, usage = os.wait4(child.pid, os.WNOHANG)
    if pid:
        break
    if time.monotonic() - begun > limit:
        child.kill()
        over = True
    try:
        for line in open(f"/proc/{child.pid}/status"):
            if line.startswith("RssAnon:"):
                most = max(most, int(line.split()[1]))
    except OSError:
        pass
    time.sleep(0.005)
if over or status:
    print("-", "-", "-")
    sys.exit()
print(f"{usage.ru_utime + usage.ru_stime:.2f} {time.monotonic() - begun:.2f} {most / 1024:.0f}")
PYTHON
}
