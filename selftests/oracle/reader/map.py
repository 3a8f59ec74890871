# SPDX-License-Identifier: GPL-2.0-only
"""BPF maps: what they are, whose they are, by which BTF their values are to be read."""
import hashlib

import drgn
from drgn.helpers.linux.bpf import bpf_map_for_each, bpf_prog_for_each

from . import alloc, map_content
from .btf import ARENA_SPAN, Btf, Renderer
from .kernel import fill, has, num, text
from .memory import Memory

STRUCT_OPS, ARENA = 26, 33
KPTRS, ROOTS = {"BPF_KPTR_UNREF", "BPF_KPTR_REF", "BPF_KPTR_PERCPU", "BPF_UPTR"}, {"BPF_LIST_HEAD", "BPF_RB_ROOT"}
TOOLING = {"probe_bp", "fentry_p", "func_meta_map", "probe_data", "probe_scratch", "ktstr_events"}


class Btfs:
    """The BTF objects of the kernel, by address; 0 is the kernel's own."""

    def __init__(self, k, mem):
        self.k, self.mem = k, mem
        self.own = num(k.prog["btf_vmlinux"])
        self.used, self._parsed = {}, {}

    def kva(self, btf):
        """As the report names it: vmlinux has a row of its own, in front."""
        return 0 if num(btf) == self.own else num(btf)

    def object(self, kva):
        return drgn.Object(self.k.prog, "struct btf *", kva or self.own)

    def data(self, kva):
        btf = self.object(kva)
        return self.mem.read(num(btf.data), num(btf.data_size))

    def get(self, kva):
        kva = 0 if kva == self.own else kva
        if kva not in self._parsed:
            base = num(self.object(kva).base_btf)
            self._parsed[kva] = Btf(self.data(kva), self.get(base) if base else None)
        return self._parsed[kva]

    def use(self, btf):
        if btf:
            self.used.setdefault(num(btf))

    def facts(self):
        rows = []
        for kva in (0, *self.used):
            btf, data = self.object(kva), self.data(kva)
            rows.append({"kva": kva, "id": num(btf.id) if kva else None, "name": text(btf.name), "kernel": num(btf.kernel_btf),
                         "split": bool(btf.base_btf), "size": len(data), "hash": hashlib.sha256(data).digest().hex(" "),
                         "error": None})
        return rows


class Map:
    """A struct bpf_map with what is needed to read it."""

    def __init__(self, k, m):
        self.k, self.map, self.kva, self.name = k, m, num(m), text(m.name)
        self.type, self.id = num(m.map_type), num(m.id)
        self.key_size, self.value_size, self.max_entries = num(m.key_size), num(m.value_size), num(m.max_entries)
        self.flags = num(m.map_flags)
        self.owner = 0

    def as_(self, type_name, member="map"):
        """The larger structure that this one is in."""
        return drgn.container_of(self.map, "struct " + type_name, member)[0]

    def translate(self, addr):
        """The kernel's address of one that is known to be of this map's arenas; 0: it is not."""
        for user, kern in self.arenas if addr else ():
            if user <= addr < user + ARENA_SPAN:
                return kern and kern + (addr & ARENA_SPAN - 1)
        return self.arenas[0][1] + addr if addr and self.arenas and addr < ARENA_SPAN else 0

    @property
    def left_out(self):
        return not self.owner and (self.name in TOOLING or self.name.startswith(("probe_bp.", "fentry_p.")))


def ops_type(m):
    """sched_ext_ops or the like, of a struct_ops map."""
    return text(m.as_("bpf_struct_ops_map").st_ops_desc.st_ops.name)


def ops_data(k, m):
    data = m.as_("bpf_struct_ops_map").kvalue.data
    return drgn.Object(k.prog, "struct " + ops_type(m), address=data.address_)


def links(k, m):
    """(link, program) of each operation that has one."""
    st = m.as_("bpf_struct_ops_map")
    for i in range(num(st.funcs_cnt)):
        link = st.links[i]
        if link and link.prog:
            yield link, link.prog


def owners(k, maps):
    """The first scheduler whose operations or programs use a map."""
    by_kva = {m.kva: m for m in maps}
    ours = [m for m in maps if m.type == STRUCT_OPS and ops_type(m).startswith("sched_ext_ops")]
    linked = {m.kva: num(ops_data(k, m).priv) for m in ours}
    known = {num(s) for s in k.scheds}
    # One that failed before it was linked: all belong to the scheduler that ends.
    if not any(priv in known for priv in linked.values()):
        linked = dict.fromkeys(linked, k.ending)
    for m in ours:
        sched = linked[m.kva]
        if sched not in known:
            continue
        used = [m.kva]
        for _, prog in links(k, m):
            used += [num(prog.aux.used_maps[i]) for i in range(num(prog.aux.used_map_cnt))]
        for kva in used:
            if kva in by_kva and not by_kva[kva].owner:
                by_kva[kva].owner = sched
    for s in k.scheds:
        arena = num(s.arena_map) if has(s, "arena_map") else 0
        if arena in by_kva and not by_kva[arena].owner:
            by_kva[arena].owner = num(s)


def arenas_of(k, m, maps):
    """(user, kernel) address of each arena that pointers in this map may lead to, the likeliest first."""
    arenas = [a for a in maps if a.type == ARENA and map_content.arena_window(a)[0]]
    sched = next((s for s in k.scheds if num(s) == m.owner), None)
    first = m.kva if m.type == ARENA else num(sched.arena_map) if sched is not None and has(sched, "arena_map") else 0
    mine = [a for a in arenas if first and a.kva == first] + [a for a in arenas if m.owner and a.owner == m.owner and a.kva != first]
    return [map_content.arena_window(a) for a in mine or arenas]


def special(k, record):
    """Each field of a btf_record: (offset, size, type, its name, BTF of what it leads to, type there)."""
    if not record or num(record) >= (1 << 64) - 4095:
        return
    for i in range(num(record.cnt)):
        f = record.fields[i]
        name = k.enum_name("btf_field_type", num(f.type))
        btf, type_id = (f.kptr.btf, num(f.kptr.btf_id)) if name in KPTRS else \
            (f.graph_root.btf, num(f.graph_root.value_btf_id)) if name in ROOTS else (None, None)
        yield num(f.offset), num(f.size), num(f.type), name, btf, type_id


class Fields:
    """The kernel's table of special fields of one map's values.

    behind: {offset: (Btf, type, not one per CPU)} of what pointers lead to; known: those whose object is one of
    the kernel's, [(offset, name of its type, None)], or of the program's own, with the size and
    the same list for what is in it: [(offset, size, [...])].
    """

    def __init__(self, k, btfs, m):
        self.rows, self.behind = [], {}
        self.known = self.read(k, btfs, m.map.record, True)

    def read(self, k, btfs, record, top):
        known = []
        for offset, size, kind, name, btf, type_id in special(k, record):
            one = {"offset": offset, "size": size, "type": kind, "type_name": name, "btf_kva": None, "btf_id": None}
            t = btfs.get(num(btf)).type(type_id) if btf else None
            if t and top:
                btfs.use(btf)
                one.update(btf_kva=btfs.kva(btf), btf_id=type_id, **({"target": t.name} if t.name else {}))
                self.behind[offset] = btfs.get(num(btf)), type_id, name != "BPF_KPTR_PERCPU"
            if top:
                self.rows.append(one)
            if not t or name not in KPTRS - {"BPF_KPTR_PERCPU"}:
                continue
            if num(btf) == btfs.own:
                known.append((offset, t.name, None))
            elif top and not btf.kernel_btf:
                known.append((offset, t.size, self.read(k, btfs, self.record_of(btf, type_id), False)))
        return known

    @staticmethod
    def record_of(btf, type_id):
        """Of a type of the program's own."""
        tab = btf.struct_meta_tab
        found = (tab.types[i] for i in range(num(tab.cnt) if tab else 0))
        return next((meta.record for meta in found if num(meta.btf_id) == type_id), None)


def type_name(k, number):
    name = next((n for n, v in k.enum("bpf_map_type") if v == number), None)
    return name and name.removeprefix("BPF_MAP_TYPE_").removesuffix("_DEPRECATED").lower()


def btf_of(k, btfs, m):
    """(Btf, its address, key type, value type) for the values of a map."""
    wrapped = m.type == STRUCT_OPS
    kva = btfs.kva(m.map.btf) if m.map.btf and not wrapped else 0
    key, value = num(m.map.btf_key_type_id), num(m.map.btf_vmlinux_value_type_id if wrapped else m.map.btf_value_type_id)
    return (btfs.get(kva) if key or value else None), kva, key, value


def facts(k, out):
    mem = Memory(k.prog)
    btfs = Btfs(k, mem)
    maps = [Map(k, m) for m in bpf_map_for_each(k.prog)]
    owners(k, maps)
    names = {num(s): text(s.ops.name) for s in k.scheds}
    for m in maps:
        btfs.use(m.map.btf)
    objects, masks, rows = {}, set(), []
    # All first: what one map names is known in all others.
    for m in maps:
        m.fields = Fields(k, btfs, m)
        m.content = map_content.read(k, mem, m, objects, masks)
    for prog in bpf_prog_for_each(k.prog):
        btfs.use(prog.aux.btf)
    rows = out["ktdump"]["maps"] = []
    known = out["ktdump"]["btf"] = btfs.facts()
    programs = [btfs.get(b["kva"]) for b in known if not b["kernel"]]
    render = Renderer(mem, num(k.prog["nr_cpu_ids"]), btfs.get(0), programs, {kva: o.label for kva, o in objects.items()}, masks)
    out["maps"] = []
    for m in maps:
        m.btf, m.btf_kva, m.key_type, m.value_type = btf_of(k, btfs, m)
        m.arenas = arenas_of(k, m, maps)
    allocators, render.slots = alloc.read(mem, btfs.get(0), maps)
    out.update(alloc.static(mem, maps, render.slots))
    if allocators:
        out["sdt_allocations"] = [a.show(render) for a in allocators]
    for m in maps:
        one = {"kva": m.kva, "name": m.name, "owner_sched": m.owner, "btf_kva": btfs.kva(m.map.btf) if m.map.btf else 0,
               "map_type_name": type_name(k, m.type), "content": m.content.row}
        fill(one, m.map, id="id", map_type="map_type", key_size="key_size", value_size="value_size", max_entries="max_entries",
             map_flags="map_flags", map_extra="map_extra", numa_node="numa_node", frozen="frozen",
             btf_key_type_id="btf_key_type_id", btf_value_type_id="btf_value_type_id",
             btf_vmlinux_value_type_id="btf_vmlinux_value_type_id")
        if m.owner:
            one["owner_sched_name"] = names[m.owner]
        if m.left_out:
            one["left_out"] = True
        if m.btf or one["btf_kva"]:
            one["btf"] = next({key: b[key] for key in ("id", "name", "hash")} for b in known if b["kva"] == m.btf_kva)
        if m.content.facts:
            one["facts"] = [{"name": n, "value": v} for n, v in m.content.facts.items()]
        if m.fields.rows:
            one["fields"] = m.fields.rows
        rows.append(one)
        if m.left_out:
            continue
        render.arenas = m.arenas
        top = {"name": m.name, "map_type": m.type, "value_size": m.value_size, "max_entries": m.max_entries, "map_kva": m.kva}
        top.update(m.content.show(m, render, objects))
        out["maps"].append(top)
    out["ktdump"]["maps_left_out"] = sum(m.left_out for m in maps)
