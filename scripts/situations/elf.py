"""Facts of an ELF core of x86-64, by the format alone.

elf.py libjvm-data CORE   where in the file the last mapping of libjvm.so starts (that of its data)
elf.py notes CORE         lines "OWNER TYPE" of its notes
"""
import struct
import sys

what, name = sys.argv[1:3]
f = open(name, "rb")
head = f.read(64)
phoff, = struct.unpack_from("<Q", head, 32)
phentsize, phnum = struct.unpack_from("<HH", head, 54)
if phnum == 0xFFFF:  # the real number is in the first section's header
    f.seek(struct.unpack_from("<Q", head, 40)[0] + 44)
    phnum, = struct.unpack("<I", f.read(4))
f.seek(phoff)
headers = [struct.unpack_from("<IIQQQQQQ", f.read(phentsize)) for _ in range(phnum)]
data = None
for kind, _, offset, _, _, size, _, _ in headers:
    if kind != 4:
        continue
    f.seek(offset)
    notes, at = f.read(size), 0
    while at + 12 <= len(notes):
        namesz, descsz, kind = struct.unpack_from("<III", notes, at)
        owner = notes[at + 12:at + 12 + namesz].rstrip(b"\0").decode("ascii", "replace")
        body = at + 12 + (namesz + 3) // 4 * 4
        if what == "notes":
            print(owner, kind)
        elif kind == 0x46494C45:  # NT_FILE
            count, _ = struct.unpack_from("<QQ", notes, body)
            names = notes[body + 16 + 24 * count:body + descsz].split(b"\0")
            data = max(struct.unpack_from("<Q", notes, body + 16 + 24 * i)[0]
                       for i in range(count) if names[i].endswith(b"/libjvm.so"))
        at = body + (descsz + 3) // 4 * 4
if what == "libjvm-data":
    print(next(offset for kind, _, offset, start, _, size, _, _ in headers if kind == 1 and start >= data))
