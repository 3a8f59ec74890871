# SPDX-License-Identifier: GPL-2.0-only
"""What schedulers' allocators in arenas have given out, and their static regions.

Of docs/report.md, "Allocators in arenas". What the structs are called and how the tree
hangs together is the schedulers' library's own; their layout is in the programs' BTF.
"""
from .btf import ARRAY, DATASEC, FWD, PTR, STRUCT, UNION, signed, size_of, unsupported

FANOUT, LEVELS, SHOWN = 512, 3, 4096
ELEM = range(16, 4097)  # bytes of a slot
NESTED = 8
OWN = {"scx_alloc_stats", "scx_allocator", "scx_static", "sdt_chunk", "sdt_data", "sdt_desc", "sdt_id", "sdt_pool"}


class Slots:
    """What the renderer wants to know about addresses in arenas."""

    def __init__(self):
        self.types, self.shown, self.nodes, self.regions = {}, set(), set(), []

    def rendered(self, kva):
        """It is in the list of allocations already, or is a part of a tree."""
        return kva in self.shown or kva in self.nodes

    def region(self, kva):
        """Name of the static region in whose used part this is; None."""
        return next((name for start, size, name in self.regions if start <= kva < start + size), None)

    def at(self, kva):
        """(Btf, type, bytes of header in front of it), None: nothing whose type is known begins here."""
        return self.types.get(kva)


def member(t, name):
    """(offset, its type) of a member, also of one in an anonymous struct; None."""
    for n, type_id, bit, width in t.members:
        if n == name and not width:
            return bit // 8, t.btf.peel(type_id)
        inner = t.btf.peel(type_id) if not n else None
        found = member(inner, name) if inner and inner.kind in (STRUCT, UNION) else None
        if found:
            return bit // 8 + found[0], found[1]
    return None


def load(mem, kva, size):
    data = mem.have(kva, size) if kva else b""
    return int.from_bytes(data, "little") if len(data) == size else None


def field(mem, t, kva, name):
    """Value of a number or pointer in the struct at kva; None: cannot be read."""
    found = member(t, name)
    return load(mem, kva + found[0], size_of(found[1])) if found and kva else None


class Globals:
    """All structs of one name among the variables of the programs."""

    def __init__(self, mem, maps, name):
        self.mem, self.maps, self.name = mem, maps, name

    def __iter__(self):
        seen = set()
        for self.behind in (False, True):
            for m in self.maps:
                t = m.btf.peel(m.value_type) if m.type == 2 and m.max_entries == 1 and m.btf and m.value_type else None
                if not t or t.kind != DATASEC:
                    continue
                self.m, values = m, m.content.row["values_kva"]
                for type_id, off, _ in t.vars:
                    var = t.btf.type(type_id)
                    for label, found, kva in self.place(t.btf.peel(var.type), values + off, var.name, 0, False):
                        if kva not in seen:
                            seen.add(kva)
                            yield label, found, kva, m

    def place(self, t, kva, label, depth, pointed):
        if not t or depth > NESTED or not self.holds(t, depth, self.behind and not pointed):
            return
        if t.kind == PTR:
            addr, target = load(self.mem, kva, 8), t.btf.peel(t.type)
            if target and target.kind == FWD and target.name == self.name:
                target = t.btf.body(self.name, STRUCT)
            to = addr and (self.m.translate(addr) or (addr if addr >> 63 else 0))
            if to:
                yield from self.place(target, to, label, depth + 1, True)
        elif t.kind == ARRAY:
            elem = t.btf.peel(t.elem)
            for i in range(min(t.nelems, 1024)):
                yield from self.place(elem, kva + i * size_of(elem), f"{label}[{i}]", depth + 1, pointed)
        elif t.kind == STRUCT and t.name == self.name:
            if pointed == self.behind:
                yield label, t, kva
        else:
            for name, type_id, bit, width in t.members:
                if not width:
                    yield from self.place(t.btf.peel(type_id), kva + bit // 8, f"{label}.{name}" if name else label, depth + 1, pointed)

    def holds(self, t, depth, pointers):
        """One is in this type, or, when these are asked for, behind a pointer in it."""
        if not t or depth > NESTED:
            return False
        if t.kind == ARRAY:
            return self.holds(t.btf.peel(t.elem), depth + 1, pointers)
        if t.kind == PTR:
            to = t.btf.peel(t.type) if pointers else None
            return bool(to) and (to.kind == FWD and to.name == self.name or
                                 to.kind == STRUCT and self.holds(to, depth + 1, False))
        return t.kind in (STRUCT, UNION) and (t.kind == STRUCT and t.name == self.name or any(
            self.holds(t.btf.peel(type_id), depth + 1, pointers) for _, type_id, _, _ in t.members))


def payload_type(kernel, btf, size, allocator):
    """(type or None, why); kernel: names and sizes of its structs, which programs have copies of."""
    if not size:
        return None, "payload_size == 0"
    named = [t for t in btf.all() if t.kind == STRUCT and t.name and t.size == size and t.name not in OWN and
             (t.name, size) not in kernel]
    if len(named) < 2:
        return (named[0], "") if named else (None, f"no candidate of size {size}")
    stem = allocator.split(".")[-1].split("[")[0].removesuffix("_allocator")
    for fits in (lambda n: n == stem, lambda n: n == stem.removeprefix("scx_"), lambda n: n == "task_ctx",
                 lambda n: n.endswith("_arena_ctx"), lambda n: n.endswith("_task_ctx"), lambda n: n.endswith("_ctx")):
        found = [t for t in named if fits(t.name)]
        if len(found) == 1:
            return found[0], ""
    return None, f"ambiguous: {len(named)} candidates"


class Allocator:
    """One struct scx_allocator with all slots that are in use."""

    def __init__(self, mem, kernel, slots, label, t, kva, m):
        self.mem, self.slots, self.label, self.m, self.skipped, self.used = mem, slots, label, m, 0, []
        btf = t.btf
        pool, data, chunk = member(t, "pool"), btf.body("sdt_data", STRUCT), btf.body("sdt_chunk", STRUCT)
        self.desc = btf.body("sdt_desc", STRUCT)
        self.header = data.size if data else 8
        self.chunk = (member(chunk, "descs") or member(chunk, "data") or (0, None))[0] if chunk else 0
        self.elem_size = field(mem, pool[1], kva + pool[0], "elem_size")
        self.type, self.why = None, ""
        if self.elem_size in ELEM:
            self.type, self.why = payload_type(kernel, btf, self.elem_size - self.header, label)
            root = field(mem, t, kva, "root")
            if root:
                self.descend(root, 0)
        for i, (kva, _) in enumerate(self.used):
            if kva and self.type:
                for skip in (self.header, 0):
                    slots.types.setdefault(kva + self.header - skip, (btf, self.type.id, skip))
                    if i < SHOWN:
                        slots.shown.add(kva + self.header - skip)

    def descend(self, addr, level):
        kva = self.m.translate(addr)
        bitmap = load(self.mem, kva and kva + member(self.desc, "allocated")[0], FANOUT // 8)
        free, chunk = (field(self.mem, self.desc, kva, name) for name in ("nr_free", "chunk"))
        at = self.m.translate(chunk or 0)
        table = self.mem.have(at + self.chunk, FANOUT * 8) if at else b""
        if bitmap is None or free is None or free > FANOUT or len(table) < FANOUT * 8:
            self.skipped += 1
            return
        self.slots.nodes |= {kva, at}
        for i in range(FANOUT):
            to = int.from_bytes(table[i * 8:i * 8 + 8], "little")
            # Above the leaves a bit says that there is no room left below.
            if to and level < LEVELS - 1:
                self.descend(to, level + 1)
            elif to and bitmap >> i & 1:
                self.used.append((self.m.translate(to), to & 0xffffffff))

    def entry(self, render, kva, low):
        size = self.elem_size - self.header
        data = self.mem.have(kva + self.header, size) if kva else b""
        payload = render.value(self.type and self.type.btf, self.type and self.type.id, data) if len(data) == size else \
            unsupported("payload read failed: end-of-DRAM or unmapped page")
        return {"idx": signed(load(self.mem, kva, 4) or 0, 32), "genn": signed(load(self.mem, kva + 4, 4) or 0, 32), "user_addr": low,
                "payload": payload}

    def show(self, render):
        render.arenas = self.m.arenas
        out = {"allocator_name": self.label, "skipped_subtrees": self.skipped, "elem_size": self.elem_size,
               "target_type_id": self.type.id if self.type else 0}
        if self.used:
            out["entries"] = [self.entry(render, *slot) for slot in self.used[:SHOWN]]
        if len(self.used) > SHOWN:
            out["truncated"] = True
        if self.why:
            out["payload_type_reason"] = self.why
        return out


def payload(m, render, value):
    """Of an element whose value has a pointer to a slot: {"payload": node}, or {} when that is not in use."""
    t = m.btf.peel(m.value_type) if m.btf and m.value_type else None
    for _, type_id, bit, width in t.members if t and t.kind == STRUCT else ():
        ptr = m.btf.peel(type_id)
        to = m.btf.peel(ptr.type) if ptr and ptr.kind == PTR and not width and not bit % 8 else None
        if to and to.kind in (STRUCT, FWD) and to.name == "sdt_data":
            kva = m.translate(int.from_bytes(value[bit // 8:bit // 8 + 8], "little"))
            slot = render.slots.at(kva) if kva else None
            if not slot:
                return {}
            btf, type_id, skip = slot
            return {"payload": render.value(btf, type_id, render.mem.have(kva + skip, btf.type(type_id).size))}
    return {}


def static(mem, maps, slots):
    """{"scx_static_ranges": ...} when there are any."""
    ranges, skipped = [], 0
    for label, t, kva, m in Globals(mem, maps, "scx_static"):
        memory, off, most = (field(mem, t, kva, name) for name in ("memory", "off", "max_alloc_bytes"))
        if not memory or not most or most >> 32 or off is None or off > most:
            skipped += 1
            continue
        if m.translate(memory):
            slots.regions.append((m.translate(memory), off, label))
        ranges.append({"instance_name": label, "start_low32": memory & 0xffffffff, "size": off, "capacity": most})
    return {"scx_static_ranges": {**({"ranges": ranges} if ranges else {}), "skipped": skipped}} if ranges or skipped else {}


def read(mem, vmlinux, maps):
    """(allocators, what the renderer needs to know of them)."""
    slots, kernel = Slots(), {(t.name, t.size) for t in vmlinux.all() if t.kind == STRUCT}
    found = [Allocator(mem, kernel, slots, *one) for one in Globals(mem, maps, "scx_allocator")]
    return [a for a in found if a.used or a.elem_size], slots
