# SPDX-License-Identifier: GPL-2.0-only
"""BTF in Python, enough for what tests need."""
import struct

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF = range(1, 9)
VAR, DATASEC = 14, 15
SIGNED, CHAR, BOOL = 1, 2, 4


class Btf:
    """Types are numbered as they are added, behind those of base if there is one."""

    def __init__(self, base=None):
        self.base, self.types = base, b""
        self.strings = b"" if base else b"\0"
        self.next = base.next if base else 1
        self.str_off = len(base.strings) + base.str_off if base else 0

    def name(self, s):
        if not s:
            return 0
        off = len(self.strings) + self.str_off
        self.strings += s.encode() + b"\0"
        return off

    def add(self, name, kind, vlen, size, tail=b"", flag=False):
        self.types += struct.pack("<III", self.name(name), flag << 31 | kind << 24 | vlen, size) + tail
        self.next += 1
        return self.next - 1

    def int(self, name, size, encoding=0):
        return self.add(name, INT, 0, size, struct.pack("<I", encoding << 24 | size * 8))

    def ptr(self, to):
        return self.add("", PTR, 0, to)

    def typedef(self, name, to):
        return self.add(name, TYPEDEF, 0, to)

    def fwd(self, name, union=False):
        return self.add(name, FWD, 0, 0, flag=union)

    def array(self, of, n, index):
        return self.add("", ARRAY, 0, 0, struct.pack("<III", of, index, n))

    def struct(self, name, size, *members, kind=STRUCT):
        """Members: (name, type, offset in bytes)."""
        tail = b"".join(struct.pack("<III", self.name(n), t, off * 8) for n, t, off in members)
        return self.add(name, kind, len(members), size, tail)

    def enum(self, name, **values):
        tail = b"".join(struct.pack("<Ii", self.name(n), v) for n, v in values.items())
        return self.add(name, ENUM, len(values), 4, tail)

    def datasec(self, name, size, *members):
        """Members: (name, type, offset, size)."""
        ids = [self.add(n, VAR, 0, t, struct.pack("<I", 1)) for n, t, _, _ in members]
        tail = b"".join(struct.pack("<III", i, off, sz) for i, (_, _, off, sz) in zip(ids, members))
        return self.add(name, DATASEC, len(members), size, tail)

    def blob(self):
        return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types),
                           len(self.strings)) + self.types + self.strings
