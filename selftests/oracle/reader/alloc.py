# SPDX-License-Identifier: GPL-2.0-only
"""What allocators in arenas have given out: variables of struct scx_allocator.

Three levels with 512 pointers each. Of the upper two every pointer counts, of the last
one those whose bits are set. No workload has a payload whose type is known.
"""
import struct

from .btf import DATASEC, STRUCT, octets

ID = 8          # bytes of the header: number and generation


class Walk:
    def __init__(self, mem, btf, kern):
        self.mem, self.kern = mem, kern
        body = {n: btf.body(n, STRUCT) for n in ("scx_allocator", "sdt_pool", "sdt_desc")}
        self.root, self.pool = (self.at(body["scx_allocator"], n) for n in ("root", "pool"))
        self.elem_size = self.at(body["sdt_pool"], "elem_size")
        self.bits, self.chunk = (self.at(body["sdt_desc"], n) for n in ("allocated", "chunk"))
        self.trees = set()

    @staticmethod
    def at(t, name):
        return next(bit // 8 for n, _, bit, _ in t.members if n == name)

    def kva(self, addr):
        return self.kern + (addr & 0xffffffff)

    def descend(self, desc, level):
        """Addresses of slots."""
        desc = self.kva(desc)
        chunk = self.kva(self.mem.u64(desc + self.chunk))
        self.trees |= {desc, chunk}
        bits = int.from_bytes(self.mem.read(desc + self.bits, 64), "little")
        for i, addr in enumerate(struct.unpack("<512Q", self.mem.read(chunk, 4096))):
            if addr and level < 2:
                yield from self.descend(addr, level + 1)
            elif addr and bits >> i & 1:
                yield addr

    def show(self, name, kva):
        size, root = self.mem.u64(kva + self.pool + self.elem_size), self.mem.u64(kva + self.root)
        entries = []
        for addr in self.descend(root, 0) if root else ():
            data = self.mem.read(self.kva(addr), size)
            idx, genn = struct.unpack_from("<ii", data)
            entries.append({"idx": idx, "genn": genn, "user_addr": addr & 0xffffffff, "payload": octets(data[ID:])})
        return {"allocator_name": name, **({"entries": entries} if entries else {}), "skipped_subtrees": 0, "elem_size": size,
                "target_type_id": 0}


def facts(mem, maps, out, arena_of):
    """Fills sdt_allocations; the addresses of the trees. m.btf, m.value_type: of the values of a map."""
    trees, found = set(), []
    for m in maps:
        sec = m.btf.peel(m.value_type) if m.btf and m.value_type else None
        arena = arena_of(m)
        if not sec or sec.kind != DATASEC or not arena or not m.btf.body("scx_allocator", STRUCT):
            continue
        walk = Walk(mem, m.btf, arena[1])
        for var_id, off, _ in sec.vars:
            var = m.btf.type(var_id)
            t = m.btf.peel(var.type)
            if t.kind == STRUCT and t.name == "scx_allocator":
                found.append(walk.show(var.name, m.content.row["values_kva"] + off))
        trees |= walk.trees
    if found:
        out["sdt_allocations"] = found
    return trees
