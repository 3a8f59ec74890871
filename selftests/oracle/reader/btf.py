# SPDX-License-Identifier: GPL-2.0-only
"""BTF as the kernel has it in memory, and bytes to nodes by it.

Written from the kernel's Documentation/bpf/btf.rst and docs/report.md alone: what a
value of a map looks like in a report when somebody else decodes it.
"""
import math
import struct

(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT,
 DECL_TAG, TYPE_TAG, ENUM64) = range(1, 20)
MODIFIERS = {TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG, DECL_TAG}
# Bytes behind struct btf_type: fixed ones, and those per element.
EXTRA = {INT: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8), FUNC_PROTO: (0, 8), VAR: (4, 0),
         DATASEC: (0, 12), DECL_TAG: (4, 0), ENUM64: (0, 12)}
SIGNED, CHAR, BOOL = 1, 2, 4  # of an INT

MAX_DEPTH, MAX_ELEMENTS, MAX_BEHIND = 32, 4096, 4096
MAX_MASK = 1024
ARENA_SPAN = 1 << 32
M64 = (1 << 64) - 1


class Type:
    """One type, its numbers taken apart."""

    def __init__(self, btf, type_id, name, kind, flag, size, data):
        self.btf, self.id, self.name, self.kind, self.flag = btf, type_id, name, kind, flag
        self.size = self.type = size  # one word, used as the one or the other
        if kind == INT:
            word, = struct.unpack("<I", data)
            self.encoding, self.offset, self.bits = word >> 24 & 15, word >> 16 & 255, word & 255
        elif kind == ARRAY:
            self.elem, _, self.nelems = struct.unpack("<III", data)
        elif kind in (STRUCT, UNION):
            self.members = [(btf.string(n), t, off & 0xffffff if flag else off, off >> 24 if flag else 0)
                            for n, t, off in struct.iter_unpack("<III", data)]
        elif kind == ENUM:
            self.values = [(btf.string(n), v) for n, v in struct.iter_unpack("<Ii" if flag else "<II", data)]
        elif kind == ENUM64:
            self.values = [(btf.string(n), lo | hi << 32) for n, lo, hi in struct.iter_unpack("<III", data)]
        elif kind == DATASEC:
            self.vars = list(struct.iter_unpack("<III", data))


class Btf:
    """A blob; types are taken apart when they are asked for."""

    def __init__(self, data, base=None):
        _, _, _, hdr_len, type_off, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", data)
        self.base = base
        self._strings = data[hdr_len + str_off:hdr_len + str_off + str_len]
        self._types = data[hdr_len + type_off:hdr_len + type_off + type_len]
        self.start, self._first_string = (base.end, base.last_string) if base else (1, 0)
        self.last_string = self._first_string + str_len
        self._at, self._cache, at = [], {}, 0
        while at < len(self._types):
            self._at.append(at)
            info, = struct.unpack_from("<I", self._types, at + 4)
            fixed, each = EXTRA.get(info >> 24 & 31, (0, 0))
            at += 12 + fixed + each * (info & 0xffff)
        self.end = self.start + len(self._at)

    def string(self, off):
        if off < self._first_string:
            return self.base.string(off)
        off -= self._first_string
        return self._strings[off:self._strings.index(b"\0", off)].decode("utf-8", "replace")

    def type(self, type_id):
        """None for void and for what is not there."""
        if type_id < self.start:
            return self.base.type(type_id) if self.base else None
        if type_id >= self.end:
            return None
        if type_id not in self._cache:
            at = self._at[type_id - self.start]
            name, info, size = struct.unpack_from("<III", self._types, at)
            kind, vlen = info >> 24 & 31, info & 0xffff
            fixed, each = EXTRA.get(kind, (0, 0))
            body = self._types[at + 12:at + 12 + fixed + each * vlen]
            self._cache[type_id] = Type(self, type_id, self.string(name), kind, bool(info >> 31), size, body)
        return self._cache[type_id]

    def all(self):
        return (self.type(i) for i in range(self.start, self.end))

    def peel(self, type_id):
        """What is behind typedefs, qualifiers and tags."""
        t = self.type(type_id)
        while t and t.kind in MODIFIERS:
            t = self.type(t.type)
        return t

    def tags(self, type_id):
        t = self.type(type_id)
        while t and t.kind in MODIFIERS - {RESTRICT, DECL_TAG}:
            if t.kind == TYPE_TAG:
                yield t.name
            t = self.type(t.type)

    def body(self, name, kind):
        return next((t for t in self.all() if t.kind == kind and t.name == name), None)


def size_of(t):
    """None for what has no size."""
    if t is None:
        return None
    if t.kind == PTR:
        return 8
    if t.kind == ARRAY:
        each = size_of(t.btf.peel(t.elem))
        return None if each is None else each * t.nelems
    return t.size if t.kind in (INT, FLOAT, ENUM, ENUM64, STRUCT, UNION) else None


def signed(v, bits):
    return v - (1 << bits) if bits and v >> (bits - 1) & 1 else v


def unsupported(why):
    return {"kind": "unsupported", "reason": why}


def octets(data):
    return {"kind": "bytes", "hex": data.hex(" ")}


def truncated(needed, had, partial):
    return {"kind": "truncated", "needed": needed, "had": had, "partial": partial}


def composite(t):
    return t is not None and t.kind in (STRUCT, UNION)


class Renderer:
    """What the values of one map are rendered with.

    mem.have(kva, n) gives the bytes from kva on, as far as they go; objects {kva: label};
    masks: addresses of CPU masks that the kernel's own table of special fields leads to.
    """

    def __init__(self, mem, nr_cpus, kernel, programs, objects, masks):
        self.mem, self.nr_cpus, self.kernel, self.programs = mem, nr_cpus, kernel, programs
        self.objects, self.masks = objects, masks
        self.arenas, self.fields, self.slots = (), None, None
        self.path = []

    def value(self, btf, type_id, data, fields=()):
        """fields: {offset: (Btf, type id, not one per CPU)} of pointers that the kernel knows more about."""
        if not btf or not type_id:
            return octets(data)
        self.fields, self.path = fields, []
        t = btf.peel(type_id)
        return self.typed(t, data, 0, 0) if t else unsupported(f"could not peel modifiers from type id {type_id}")

    # at: where in the value, None behind a pointer
    def typed(self, t, data, depth, at):
        if depth >= MAX_DEPTH:
            return unsupported(f"render depth {MAX_DEPTH} exceeded")
        if t is None:
            return unsupported("void: no value bytes to render")
        name = {INT: "int", PTR: "ptr", ENUM: "enum", ENUM64: "enum", FLOAT: "float", ARRAY: "array", STRUCT: "struct",
                UNION: "struct", DATASEC: "datasec", VAR: "var"}.get(t.kind)
        if name:
            return getattr(self, "_" + name)(t, data, depth, at)
        return unsupported("forward declaration: type body not in BTF" if t.kind == FWD else
                           "function type: no value bytes to render")

    def slice(self, t, data, depth, at):
        """As much of an object as there is."""
        size = size_of(t)
        if t.kind == ARRAY and size is not None and len(data) < size:
            return truncated(size, len(data), self.typed(t, data, depth, at))
        return self.typed(t, data, depth, at)

    # ---- scalars

    def _int(self, t, data, depth, at):
        if len(data) < t.size:
            return truncated(t.size, len(data), octets(data))
        data = data[:t.size]
        if t.encoding & BOOL:
            return {"kind": "bool", "value": any(data)}
        if t.encoding & CHAR and t.size == 1:
            return {"kind": "char", "value": data[0]}
        if t.size > 8:
            return octets(data)
        off, bits = (t.offset, t.bits) if t.bits and t.offset + t.bits <= t.size * 8 else (0, t.size * 8)
        return self.number(t, int.from_bytes(data, "little") >> off & (1 << bits) - 1, bits)

    def number(self, t, v, bits):
        if t.kind == INT and t.encoding & SIGNED:
            return {"kind": "int", "bits": bits, "value": signed(v, bits)}
        return {"kind": "uint", "bits": bits, "value": v}

    def _enum(self, t, data, depth, at):
        if len(data) < t.size:
            return truncated(t.size, len(data), octets(data))
        return self.enumerator(t, int.from_bytes(data[:t.size], "little"), t.size * 8)

    def enumerator(self, t, raw, bits):
        mask = (1 << bits) - 1
        values = [(n, v & mask) for n, v in t.values]
        variant = next((n or None for n, v in values if v == raw), False)
        if variant is False:
            variant = flag_names(values, raw)
        # The report keeps all values in 64 bits with a sign.
        return {"kind": "enum", "bits": bits, "value": signed(raw, bits if t.flag else 64), "variant": variant,
                "is_signed": t.flag}

    def _float(self, t, data, depth, at):
        if t.size not in (4, 8):
            return unsupported(f"unsupported float size {t.size}")
        if len(data) < t.size:
            return truncated(t.size, len(data), octets(data))
        v, = struct.unpack("<f" if t.size == 4 else "<d", data[:t.size])
        return {"kind": "float", "bits": t.size * 8, "value": v} if math.isfinite(v) else octets(data[:t.size])

    def bitfield(self, t, data, bit, width):
        if not 0 < width <= 64:
            return unsupported(f"bitfield width {width} out of range")
        shift = bit % 8
        cover = (shift + width + 7) // 8
        part = data[bit // 8:bit // 8 + cover]
        if len(part) < cover:
            return truncated(cover, len(part), octets(part))
        raw = int.from_bytes(part, "little") >> shift & (1 << width) - 1
        if t.kind in (ENUM, ENUM64):
            return self.enumerator(t, raw, width)
        if t.kind == INT and t.encoding & BOOL:
            return {"kind": "bool", "value": raw != 0}
        return self.number(t, raw, width)

    # ---- aggregates

    def _array(self, t, data, depth, at, tail=False):
        elem = t.btf.peel(t.elem)
        size = size_of(elem)
        nr = t.nelems
        if elem is None:
            return unsupported("array element type not resolvable" if t.elem else "array element type id not resolvable")
        if size is None:
            return unsupported("array element size not resolvable")
        if not nr and size and data:
            if not tail:
                return unsupported("flex array (BTF len=0); runtime length not representable in BTF, "
                                   f"{len(data)} bytes available at site")
            nr = len(data) // size
        out = []
        for i in range(min(nr, MAX_ELEMENTS)):
            part = data[i * size:(i + 1) * size]
            out.append(self.slice(elem, part, depth + 1, None if at is None else at + i * size))
            if len(part) < size:
                break
        return {"kind": "array", "len": nr, "elements": out}

    def _struct(self, t, data, depth, at):
        if mask_span(t):
            node = self.mask_struct(t, data)
            if node:
                return node
        node = {"kind": "struct", "type_name": t.name or None, "members": self.members(t, data, depth, at)}
        return truncated(t.size, len(data), node) if len(data) < t.size else node

    def members(self, t, data, depth, at):
        out = []
        for i, (name, type_id, bit, width) in enumerate(t.members):
            off = bit // 8
            if len(data) < t.size and off >= len(data):
                continue
            mt = t.btf.peel(type_id)
            node = None
            if mt is None:
                node = unsupported("member type modifiers unresolvable" if type_id else "member has no type id")
            elif width:
                node = self.bitfield(mt, data, bit, width)
            elif mt.kind == INT and not t.flag and (mt.bits != mt.size * 8 or mt.offset) and mt.bits <= 64:
                node = self.bitfield(mt, data, bit + mt.offset, mt.bits)
            elif bit % 8:
                node = unsupported(f"non-bitfield member at non-byte bit offset {bit}")
            elif size_of(mt) is None:
                node = unsupported("member type size unresolvable")
            if node:
                out.append({"name": name, "value": node})
                continue
            size, left = size_of(mt), data[off:]
            flexible = mt.kind == ARRAY and not mt.nelems
            # What follows the struct belongs to the array without a length at its end.
            longer = len(data) > t.size and (t.kind == UNION or i == len(t.members) - 1) and (composite(mt) or flexible)
            part = left if longer else left[:size]
            inner = None if at is None else at + off
            if not name and composite(mt) and len(part) >= size and depth + 1 < MAX_DEPTH and not mask_span(mt):
                out += self.members(mt, part, depth + 1, inner)
            elif longer and flexible and len(part) > size:
                out.append({"name": name, "value": self._array(mt, part, depth + 1, inner, tail=True)})
            else:
                out.append({"name": name, "value": self.slice(mt, part, depth + 1, inner)})
        return out

    def _datasec(self, t, data, depth, at):
        out = []
        for type_id, off, size in t.vars:
            var = t.btf.type(type_id)
            part = data[off:off + size]
            out.append({"name": var.name, "value": self.slice(t.btf.peel(var.type), part, depth + 1, at + off)})
        return {"kind": "struct", "type_name": t.name or None, "members": out}

    def _var(self, t, data, depth, at):
        return self.typed(t.btf.peel(t.type), data, depth + 1, at)

    # ---- CPU masks

    def mask_bytes(self):
        return min(-(-self.nr_cpus // 64) * 8, MAX_MASK)

    def cpu_list(self, data):
        bits = []
        for i in range(min(len(data), self.mask_bytes()) // 8):
            word = int.from_bytes(data[i * 8:i * 8 + 8], "little")
            if self.no_mask(word, i):
                break
            bits += [i * 64 + b for b in range(64) if word >> b & 1 and i * 64 + b < self.nr_cpus]
        return {"kind": "cpu_list", "cpus": ranges(bits)}

    def no_mask(self, word, i):
        """A pointer rather: its top byte is all ones where there are no CPUs."""
        return word >> 56 == 0xff and word != M64 and (i + 1) * 64 > self.nr_cpus

    def mask_struct(self, t, data):
        start, stop = mask_span(t)
        end = min(len(data), t.size)
        if end < start + 8:
            return None
        end = min(end, stop)
        node = self.cpu_list(data[start:end])
        return node if end >= min(start + self.mask_bytes(), stop) else truncated(t.size, len(data), node)

    # ---- pointers

    def pointer(self, v):
        """A node for an address of which nothing but a name is known."""
        return {"kind": "ptr", "value": v, **({"ktdump_label": self.objects[v]} if v in self.objects else {})}

    def _ptr(self, t, data, depth, at):
        if len(data) < 8:
            return truncated(8, len(data), octets(data))
        v = int.from_bytes(data[:8], "little")
        node = self.pointer(v)
        if v:
            node.update(self.behind(t, v, depth, at))
        return node

    def in_arena(self, t, v):
        """The kernel's address of the start of the 4 GiB that v is in, 0: not known; None: in none."""
        for user, kern in self.arenas:
            if user <= v < user + ARENA_SPAN:
                return kern
        return self.arenas[0][1] if self.arenas and v >> 32 == 0 and {"arena", "address_space(1)"} & set(t.btf.tags(t.type)) else None

    def behind(self, t, v, depth, at):
        if v in self.path:
            return skipped(f"cycle → {v:#x}")
        kern = self.in_arena(t, v)
        if kern is not None:
            return self.arena_object(t, v, kern and kern + (v & 0xffffffff), depth)
        btf, type_id, one_place = t.btf, t.type, None
        if at is not None and at in self.fields:
            btf, type_id, one_place = self.fields[at]
        target = btf.peel(type_id)
        if target and target.kind in (STRUCT, UNION, FWD) and target.name in ("cpumask", "bpf_cpumask"):
            return self.mask_behind(v)
        if one_place is not None and btf is not self.kernel:
            return self.object("kptr", btf, type_id, v, v, M64 - v if one_place else 0, depth)
        if size_of(target) == 0:
            return skipped("pointee BTF size is 0 (incomplete type)")
        return {}

    def arena_object(self, t, v, kva, depth):
        btf, type_id, skip, room = t.btf, t.type, 0, ARENA_SPAN - (v & 0xffffffff)
        if self.slots.rendered(kva):
            return skipped("already rendered in sdt_allocations")
        slot, target = self.slots.at(kva), btf.peel(type_id)
        # A type that says nothing of what is there; the allocator may know.
        if slot and (target is None or target.name == "sdt_data" and target.kind in (STRUCT, UNION, FWD) or
                     target.kind == FWD and not (target.name and btf.body(target.name, UNION if target.flag else STRUCT))):
            btf, type_id, skip = slot
        out = self.object("arena chase", btf, type_id, v, kva and kva + skip, room - skip, depth, skip)
        if (btf, type_id, skip) == slot:
            return {**out, "cast_annotation": "sdt_alloc"}
        region = self.slots.region(kva) if self.target("arena chase", btf, type_id)[1] else None
        return {**out, "ktdump_label": f"in scx_static {region}"} if region else out

    def mask_behind(self, v):
        want = self.mask_bytes()
        data = self.mem.have(v, want) if v in self.masks else b""
        if not data:
            return skipped(f"not captured: {want} bytes of the cpumask at {v:#x}")
        if len(data) < 8:
            return skipped(f"cpumask kptr read returned {len(data)} bytes; need at least 8")
        if self.no_mask(int.from_bytes(data[:8], "little"), 0):
            return skipped(f"cpumask kptr plausibility gate rejected: bits[0] top byte is 0xff at {v:#x} "
                           "(likely freed slab object)")
        node = self.cpu_list(data)
        return {"deref": node if len(data) >= want else truncated(want, len(data), node)}

    def object(self, what, btf, type_id, v, kva, room, depth, skip=None):
        """skip: bytes in front of it in an arena, of which all pages are known."""
        t, why = self.target(what, btf, type_id)
        if why:
            return skipped(why)
        want = min(size_of(t), MAX_BEHIND)
        data = self.mem.have(kva, min(want, room)) if kva else b""
        if not data:
            return skipped(f"not captured: {want} bytes from {v:#x} (not mapped, or not in the snapshot)" if skip is None else
                           f"arena read failed (cross-page boundary or unmapped page); needed {skip + want} bytes from {v:#x}")
        self.path.append(v)
        node = self.slice(t, data, depth + 1, None)
        self.path.pop()
        return {"deref": node}

    def target(self, what, btf, type_id):
        t = btf.peel(type_id)
        at = f"{what} target type id"
        if t is None:
            last = type_id
            while btf.type(last):
                last = btf.type(last).type
            return None, f"{at} {last} is void; chasing a void* requires runtime type info"
        type_id = t.id
        if t.kind == FWD:
            kind, word = (UNION, "union") if t.flag else (STRUCT, "struct")
            if not t.name:
                return None, f"{at} {type_id} is an anonymous {word} forward declaration; body not in this BTF"
            t = btf.body(t.name, kind) or self.elsewhere(t.name, kind)
            if t is None:
                name = btf.type(type_id).name
                return None, f"{what} target {word} {name} (type id {type_id}) is a forward declaration; body not in this BTF"
        why = {FUNC: "a function (BTF_KIND_FUNC); functions have no storage size",
               FUNC_PROTO: "a function prototype (BTF_KIND_FUNC_PROTO); prototypes have no storage size"}.get(t.kind)
        if why:
            return None, f"{at} {type_id} is {why}"
        size = size_of(t)
        if not size:
            return None, f"{at} {type_id} " + ("has unresolvable size" if size is None else "BTF size is 0 (incomplete type)")
        return t, None

    def elsewhere(self, name, kind):
        """A type that one program only declares, in another's BTF: by its name, or typedef struct {} name_t."""
        for btf in self.programs:
            found = btf.body(name, kind)
            if found:
                return found
        for btf in self.programs:
            for t in btf.all():
                if t.kind == TYPEDEF and t.name == name + "_t":
                    found = btf.type(t.type)
                    if found and found.kind == kind and not found.name:
                        return found
        return None


def skipped(why):
    return {"deref_skipped_reason": why}


def mask_span(t):
    """(first, last) byte of the bits of a struct that is a CPU mask by its name."""
    return {"cpumask": (0, t.size), "cpumask_t": (0, t.size), "llc_cpumask": (0, t.size), "scx_bitmap": (8, t.size),
            "bpf_cpumask": (0, t.size - 8 if t.size > 8 else t.size)}.get(t.name) if t.name else None


def ranges(bits):
    runs = []
    for b in bits:
        if runs and runs[-1][1] == b - 1:
            runs[-1][1] = b
        else:
            runs.append([b, b])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def flag_names(values, raw):
    """A|B where all bits have names of their own, and the type does not count 1, 2, 3."""
    single = [(n, v) for n, v in values if v & (v - 1) == 0]
    known = {v for _, v in single}
    if raw & (raw - 1) == 0 or any(1 << i not in known for i in range(64) if raw >> i & 1):
        return None
    bits = known - {0}
    if {1, 2} <= bits and (bits == {1, 2} or 3 in (v for _, v in values)):
        return None
    out = []
    for name, v in single:
        if v & raw:
            raw &= ~v
            out.append(name)
    return "|".join(out) if all(out) else None
