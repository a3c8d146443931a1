"""Facts of an HPROF file, read by its public format alone. FILE "-" is standard input.

hprof.py order FILE          how many STACK_TRACE and STACK_FRAME records stand behind the first heap segment
hprof.py roots FILE          lines "KIND COUNT"
hprof.py counts FILE         lines "CLASS INSTANCES" (arrays of primitives by type, of objects by class)
hprof.py arrays FILE         elements of the longest array of primitives
hprof.py fields FILE CLASS   the fields of the instances of CLASS, a line each; references as {fields} if not null
"""
import collections
import struct
import sys

SIZES = {2: 0, 4: 1, 5: 2, 6: 4, 7: 8, 8: 1, 9: 2, 10: 4, 11: 8}
NAMES = {4: "boolean", 5: "char", 6: "float", 7: "double", 8: "byte", 9: "short", 10: "int", 11: "long"}
# Roots: tag to (name, bytes behind the object's id; i counts ids)
ROOTS = {0xFF: ("unknown", 0, 0), 1: ("jni-global", 0, 1), 2: ("jni-local", 8, 0), 3: ("java-frame", 8, 0),
         4: ("native-stack", 4, 0), 5: ("sticky-class", 0, 0), 6: ("thread-block", 4, 0), 7: ("monitor", 0, 0),
         8: ("thread", 8, 0)}


class Hprof:
    def __init__(self, file):
        self.f = file
        while self.f.read(1) != b"\0":
            pass
        self.ids = struct.unpack(">I", self.f.read(4))[0]
        self.f.read(8)
        SIZES[2] = self.ids
        self.strings, self.class_names = {}, {}
        self.late, self.roots, self.counts = 0, collections.Counter(), collections.Counter()
        self.longest = 0
        self.classes, self.instances, self.array_ids = {}, {}, collections.Counter()
        self.segments = 0
        while head := self.f.read(9):
            tag, _, length = struct.unpack(">BII", head)
            if tag in (0x0C, 0x1C):
                self.segments += 1
                self.segment(length)
                continue
            body = self.f.read(length)
            if tag == 1:
                self.strings[self.id(body, 0)] = body[self.ids:].decode("utf-8", "replace")
            elif tag == 2:
                self.class_names[self.id(body, 4)] = self.id(body, 8 + self.ids)
            elif tag in (4, 5) and self.segments:
                self.late += 1

    def id(self, data, at):
        return int.from_bytes(data[at:at + self.ids], "big")

    def take(self, n):
        self.left -= n
        return self.f.read(n)

    def skip(self, n):
        self.left -= n
        while n:
            n -= len(self.f.read(min(n, 1 << 22))) or sys.exit("the file ends within an array")

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def segment(self, length):
        self.left = length
        ids = self.ids
        while self.left > 0:
            tag = self.number(1)
            if tag in ROOTS:
                name, more, more_ids = ROOTS[tag]
                self.take(ids + more + more_ids * ids)
                self.roots[name] += 1
            elif tag == 0x20:
                self.class_dump()
            elif tag == 0x21:
                at = self.number(ids)
                self.take(4)
                klass = self.number(ids)
                self.instances[at] = (klass, self.take(self.number(4)))
            elif tag == 0x22:
                self.take(ids + 4)
                n = self.number(4)
                self.array_ids[self.number(ids)] += 1
                self.skip(n * ids)
            elif tag == 0x23:
                self.take(ids + 4)
                n = self.number(4)
                kind = self.number(1)
                self.counts[NAMES[kind] + "[]"] += 1
                self.longest = max(self.longest, n)
                self.skip(n * SIZES[kind])
            else:
                sys.exit(f"a record with tag {tag:#x} in a heap segment")

    def class_dump(self):
        ids = self.ids
        at = self.number(ids)
        self.take(4)
        above = self.number(ids)
        self.take(5 * ids + 4)
        for _ in range(self.number(2)):
            self.take(2)
            self.take(SIZES[self.number(1)])
        for _ in range(self.number(2)):
            self.take(ids)
            self.take(SIZES[self.number(1)])
        self.classes[at] = (above, [(self.number(ids), self.number(1)) for _ in range(self.number(2))])

    def name(self, klass):
        return self.strings.get(self.class_names.get(klass), "?").replace("/", ".")

    def fields(self, at, depth=0):
        klass, data = self.instances[at]
        out, pos = [], 0
        while klass:
            above, fields = self.classes[klass]
            for name, kind in fields:
                v = int.from_bytes(data[pos:pos + SIZES[kind]], "big")
                pos += SIZES[kind]
                if kind == 2:
                    v = "null" if v == 0 else self.fields(v, depth + 1) if v in self.instances and depth < 3 else "object"
                out.append(f"{self.strings.get(name)}={v}")
            klass = above
        return "{" + " ".join(out) + "}"


def main():
    what, name = sys.argv[1:3]
    h = Hprof(sys.stdin.buffer if name == "-" else open(name, "rb"))
    if what == "order":
        print(h.late)
    elif what == "roots":
        print("\n".join(f"{k} {n}" for k, n in sorted(h.roots.items())))
    elif what == "counts":
        for klass, _ in h.instances.values():
            h.counts[h.name(klass)] += 1
        for klass, n in h.array_ids.items():
            h.counts[h.name(klass)] += n
        print("\n".join(f"{k} {n}" for k, n in sorted(h.counts.items())))
    elif what == "arrays":
        print(h.longest)
    elif what == "fields":
        print("\n".join(sorted(h.fields(at) for at, (k, _) in h.instances.items() if h.name(k) == sys.argv[3])))
    else:
        sys.exit(__doc__)


main()
