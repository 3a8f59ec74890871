# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of kernel addresses, and which pages of a range are there by the page tables."""
import struct

import drgn

PAGE = 4096
PRESENT, HUGE = 1, 1 << 7
FRAME = (1 << 52) - PAGE  # bits of a page table entry that are an address


class Memory:
    def __init__(self, prog):
        self.prog = prog
        self.hidden = set()  # pages that are mapped, but by no content of their own

    def read(self, kva, n):
        return self.prog.read(kva, n) if n else b""

    def u64(self, kva):
        return struct.unpack("<Q", self.prog.read(kva, 8))[0]

    def have(self, kva, n):
        """The bytes from kva on, as far as they go."""
        out = b""
        while len(out) < n:
            at = kva + len(out)
            part = min(n - len(out), PAGE - at % PAGE)
            if at - at % PAGE in self.hidden:
                break
            try:
                out += self.prog.read(at, part)
            except (drgn.FaultError, OverflowError):
                break
        return out

    def pages(self, start, end):
        """(address, physical address) of every page that is mapped in [start, end)."""
        pgd = self.prog["init_mm"].pgd.value_()
        shift = 48 if self.prog["pgdir_shift"].value_() == 48 else 39
        yield from self._level(self.prog.read(pgd, PAGE), start >> shift + 9 << shift + 9, shift, start, end)

    def _level(self, table, base, shift, start, end):
        size = 1 << shift
        first = max(0, (start - base) // size)
        last = min(512, -(-(end - base) // size))
        entries = struct.unpack("<512Q", table)
        for i in range(first, last):
            entry, at = entries[i], base + i * size
            if not entry & PRESENT:
                continue
            if shift == 12:
                yield at, entry & FRAME
                continue
            assert shift > 30 or not entry & HUGE, f"a huge page at {at:#x}"
            yield from self._level(self.prog.read(entry & FRAME, PAGE, physical=True), at, shift - 9, start, end)
