#!/usr/bin/env bash
# Nobody asks whose a core's note is: type 1 is a thread to gdb, and NT_PRSTATUS to three more readers, under any name.
#
# A good guess: a note's type has a meaning only together with its owner's name, as the ELF specification says, so a tool
# may put notes of its own into a core under a name of its own, counting types from 1, and other tools will skip them.
# What is so: of ACME's note of type 1 gdb makes a thread, with registers, if it is as large as a prstatus, and leaves
# it out otherwise. binutils, elfutils and pyelftools all call it NT_PRSTATUS, of whatever size.
# Seen 2026-11-29: gdb 13.1, binutils 2.40, elfutils 0.188 (Debian's gdb-minimal 13.1-3, binutils 2.40-2, elfutils
# 0.188-2.1), pyelftools 0.33 (PyPI).
# It matters: who writes cores must choose types for his own notes that no common note has, whatever their name. Who
# reads them and does compare the name counts fewer threads than gdb does, and is right.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
{ apt-get -qq -o APT::Sandbox::User=root download gdb-minimal=13.1-3 libipt2 libdebuginfod1=0.188-2.1 \
    binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 libctf-nobfd0=2.40-2 \
    elfutils=0.188-2.1 libasm1=0.188-2.1 libdw1=0.188-2.1 libelf1=0.188-2.1 &&
    for deb in *.deb; do dpkg -x "$deb" . || exit; done &&
    pip install -q --root-user-action=ignore --no-deps --target py pyelftools==0.33; } || { echo "could not install"; exit 2; }
export LD_LIBRARY_PATH=$dir/usr/lib/x86_64-linux-gnu PYTHONPATH=$dir/py
usr/bin/gdb --version > /dev/null || { echo "gdb's libraries are not here"; exit 2; }
python3 - << 'END'
# A core with three notes: thread 101 as the kernel writes it, and two of a tool that calls itself ACME.
from struct import pack, pack_into
def note(name, kind, data):
    pad = lambda b: b + bytes(-len(b) % 4)
    return pack("<III", len(name) + 1, len(data), kind) + pad(name + b"\0") + pad(data)
def status(thread):
    data = bytearray(336)
    pack_into("<i", data, 32, thread)
    return bytes(data)
notes = note(b"CORE", 1, status(101)) + note(b"ACME", 1, status(202)) + note(b"ACME", 1, b"version 1.0")
head = b"\x7fELF\2\1\1" + bytes(9) + pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
open("core", "wb").write(head + pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4) + notes)
END
echo "== readelf"
usr/bin/x86_64-linux-gnu-readelf -n core | tee readelf | grep -E '^ +(CORE|ACME)'
echo "== gdb"
usr/bin/gdb -nx -nh -batch -ex 'info threads' -c core 2> /dev/null | tee gdb | grep LWP
echo "== eu-readelf"
usr/bin/eu-readelf -n core | tee eu | grep -E '^ +(CORE|ACME)'
echo "== pyelftools"
python3 - << 'END' | tee py.txt
from elftools.elf.elffile import ELFFile
for segment in ELFFile(open("core", "rb")).iter_segments():
    for n in segment.iter_notes():
        print(n["n_name"], n["n_type"])
END
[[ $(grep -c 'ACME.*NT_PRSTATUS' readelf) == 2 && $(grep -c 'New LWP' gdb) == 2 && $(grep -c 'ACME.* PRSTATUS' eu) == 2 &&
    $(grep -c 'ACME NT_PRSTATUS' py.txt) == 2 ]] || { echo "changed: a reader asks whose the note is"; exit 1; }
