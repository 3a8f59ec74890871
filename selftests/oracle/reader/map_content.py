# SPDX-License-Identifier: GPL-2.0-only
"""What is in a BPF map, one function per kind of map.

Each reads the kernel's structures of that kind and returns a Content: how much there is,
numbers that only this kind has, and a function for what docs/report.md calls its content.
"""
import struct

import drgn
from drgn import Object, offsetof, sizeof
from drgn.helpers.linux.mm import page_to_phys
from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry

from .alloc import payload
from .btf import octets, signed
from .kernel import has, num, text
from .memory import PAGE

SPAN = 1 << 32  # of addresses in an arena
BUSY, DISCARD = 1 << 31, 1 << 30  # in the length of a ring buffer's record
BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID
INTERMEDIATE = 1  # of a trie's node: no entry of its own


class Content:
    """show(render) gives the keys of an entry of the report's "maps"."""

    def __init__(self, form, seen, show, facts=None, values_kva=None, stride=None, taken=None):
        self.row = {"form": form, "seen": seen, "taken": seen if taken is None else taken, "unreadable": 0, "cut": None,
                    "limit": None, "error": None, "values_kva": values_kva, "stride": stride}
        self.facts, self.show = facts or {}, show


class Thing:
    """A kernel object that a slot, a value or the owner of a storage names."""

    def __init__(self, kind, name="", pid=None, id=None):
        self.json = {"kind": kind}
        if name:
            self.json["name"] = name
        if pid is not None:
            self.json["pid"] = pid
        if id is not None:
            self.json["id"] = id
        self.label = " ".join(str(v) for v in (kind, pid, id, name) if v not in (None, ""))


def pad(n):
    return n + 7 & ~7


class Reader:
    def __init__(self, k, mem, objects, masks):
        self.k, self.mem, self.objects, self.masks = k, mem, objects, masks
        self.offsets = [num(k.prog["__per_cpu_offset"][cpu]) for cpu in k.cpus]

    def at(self, type_name, kva):
        return Object(self.k.prog, type_name, address=kva)

    # ---- objects

    def thing(self, kind, kva):
        """Notes what is at an address, so that all pointers to it get its name."""
        if not kva or kva in self.objects:
            return
        if kind == "task":
            t = self.at("struct task_struct", kva)
            made = Thing("task", text(t.comm), pid=num(t.pid))
        elif kind == "cgroup":
            kn = self.at("struct cgroup", kva).kn
            made = Thing("cgroup", text(kn.name), id=num(kn.id))
        elif kind == "inode":
            made = Thing("inode", id=num(self.at("struct inode", kva).i_ino))
        elif kind == "map":
            m = self.at("struct bpf_map", kva)
            made = Thing("map", text(m.name), id=num(m.id))
        elif kind == "prog":
            aux = self.at("struct bpf_prog", kva).aux
            made = Thing("prog", text(aux.name), id=num(aux.id))
        else:
            made = Thing(kind)
        self.objects[kva] = made

    def behind(self, m, value):
        """Notes the objects that special fields of a value point to."""
        self.follow(m.fields.known, value)

    def follow(self, known, value):
        for off, what, inside in known:
            kva, = struct.unpack_from("<Q", value, off)
            if not kva:
                continue
            if inside is not None:
                self.follow(inside, self.mem.read(kva, what))
            elif what in ("task_struct", "cgroup"):
                self.thing(what.removesuffix("_struct"), kva)
            elif what in ("cpumask", "bpf_cpumask"):
                self.masks.add(kva)

    # ---- values

    def per_cpu(self, m, pptr):
        """The values of all CPUs behind one per-CPU pointer."""
        out = [self.mem.read(pptr + off & (1 << 64) - 1, m.value_size) for off in self.offsets]
        for value in out:
            self.behind(m, value)
        return out

    def chain(self, node):
        """Nodes of an hlist or an hlist_nulls, whose end marks have bit 0 set."""
        seen = set()
        while node and not node & 1:
            assert node not in seen, "a chain with a cycle"
            seen.add(node)
            yield node
            node = self.mem.u64(node)

    # ---- arrays

    def array(self, m):
        arr = m.as_("bpf_array")
        return self.values(m, arr.value.address_, num(arr.elem_size))

    def insn_array(self, m):
        arr = m.as_("bpf_insn_array")
        return self.values(m, arr.values.address_, sizeof(self.k.prog.type("struct bpf_insn_array_value")))

    def values(self, m, kva, stride):
        data = [self.mem.read(kva + i * stride, m.value_size) for i in range(m.max_entries)]
        for value in data:
            self.behind(m, value)

        def show(m, render, objects):
            if m.max_entries == 1 and m.name.endswith(".rodata.str1.1"):
                return {"value": {"kind": "bytes", "hex": "".join(chr(b) if 0x20 <= b <= 0x7e else f"\\x{b:02x}" for b in data[0])}}
            nodes = [value_node(m, render, v) for v in data]
            out = {"value": nodes[0]}
            if len(nodes) > 1:
                out["array_entries"] = [{"key": i, "value": node} for i, node in enumerate(nodes)]
                if type_of(m) == "array":
                    out["error"] = f"multi-entry ARRAY: only key 0 of {len(nodes)} shown"
            return out
        return Content("array", m.max_entries, show, values_kva=kva, stride=stride)

    def percpu_array(self, m):
        pptrs = m.as_("bpf_array").pptrs
        rows = [self.per_cpu(m, num(pptrs[i])) for i in range(m.max_entries)]

        def show(m, render, objects):
            return {"percpu_entries": [{"key": i, "per_cpu": [value_node(m, render, v) for v in row]}
                                       for i, row in enumerate(rows)]}
        return Content("percpu_array", len(rows), show)

    # ---- hashes

    def htab_elements(self, m):
        """Addresses of the keys."""
        htab, bucket = m.as_("bpf_htab"), self.k.prog.type("struct bucket")
        size = num(htab.n_buckets) * sizeof(bucket)
        table = self.mem.read(num(htab.buckets), size)
        node, key = (offsetof(self.k.prog.type("struct htab_elem"), f) for f in ("hash_node", "key"))
        for at in range(offsetof(bucket, "head"), size, sizeof(bucket)):
            for elem in self.chain(*struct.unpack_from("<Q", table, at)):
                yield elem - node + key

    def htab_facts(self, m):
        facts = {"n_buckets": num(m.as_("bpf_htab").n_buckets)}
        if m.map.elem_count:
            counts = (self.mem.u64(num(m.map.elem_count) + off & (1 << 64) - 1) for off in self.offsets)
            # An element may have been counted on one CPU and taken off on another.
            facts["count"] = max(0, signed(sum(counts) & (1 << 64) - 1, 64))
        return facts

    def htab(self, m):
        return self.pairs(m, self.htab_elements(m), self.htab_facts(m))

    def rhash(self, m):
        ht = m.as_("bpf_rhtab").ht
        node, data = (offsetof(self.k.prog.type("struct rhtab_elem"), f) for f in ("node", "data"))

        def elements():
            tbl = ht.tbl
            while tbl:
                assert not num(tbl.nest), "a nested hash table: not read yet"
                for i in range(num(tbl.size)):
                    # Bit 0 of a bucket is its lock.
                    for at in self.chain(num(drgn.cast("unsigned long", tbl.buckets[i])) & ~1):
                        yield at - node + data
                tbl = tbl.future_tbl
        return self.pairs(m, elements(), {"count": num(ht.nelems)})

    def pairs(self, m, keys, facts):
        """Elements whose value stands behind the key, both padded to 8 bytes."""
        rows, size = [], pad(m.key_size)
        for at in keys:
            data = self.mem.read(at, size + m.value_size)
            self.behind(m, data[size:])
            rows.append((data[:m.key_size], data[size:]))
        return self.hash(rows, facts)

    def hash(self, rows, facts=None):
        def show(m, render, objects):
            return some("entries", [{**key_node(m, render, key), **typed_value(m, render, value), **payload(m, render, value)}
                                    for key, value in rows])
        return Content("hash", len(rows), show, facts)

    def percpu_htab(self, m):
        size = pad(m.key_size)
        rows = [(self.mem.read(at, m.key_size), self.per_cpu(m, self.mem.u64(at + size))) for at in self.htab_elements(m)]
        return self.percpu_hash(rows, self.htab_facts(m))

    def percpu_hash(self, rows, facts=None):
        def show(m, render, objects):
            return some("percpu_hash_entries", [{**key_node(m, render, key), "per_cpu": [value_node(m, render, v) for v in values]}
                                                for key, values in rows])
        return Content("percpu_hash", len(rows), show, facts)

    def hash_of_maps(self, m):
        rows = [(self.mem.read(at, m.key_size), self.mem.u64(at + pad(m.key_size))) for at in self.htab_elements(m)]
        for _, inner in rows:
            self.thing("map", inner)

        def show(m, render, objects):
            out = []
            for key, inner in rows:
                inner_id = num(self.at("struct bpf_map", inner).id)
                out.append({**key_node(m, render, key), "value": {"kind": "uint", "bits": 32, "value": inner_id},
                            "value_hex": inner_id.to_bytes(4, "little").hex(" "), "kva": inner, "object": objects[inner].json})
            return some("entries", out)
        return Content("slots_hash", len(rows), show, self.htab_facts(m))

    def lpm_trie(self, m):
        trie = m.as_("lpm_trie")
        size, rows = num(trie.data_size), []

        def walk(node):
            if not node:
                return
            if not num(node.flags) & INTERMEDIATE:
                data = self.mem.read(node.data.address_, size + m.value_size)
                self.behind(m, data[size:])
                rows.append((num(node.prefixlen).to_bytes(4, "little") + data[:size], data[size:]))
            walk(node.child[0])
            walk(node.child[1])
        walk(trie.root)
        return self.hash(rows, {"n_entries": num(trie.n_entries)} if has(trie, "n_entries") else {})

    def cgroup_storage(self, m):
        st, rows = m.as_("bpf_cgroup_storage_map"), []
        percpu = type_of(m).startswith("percpu")
        for node in self.k.list(st.list):
            one = self.k.around(node, "struct bpf_cgroup_storage", "list_map")
            key = self.mem.read(one.key.address_, m.key_size)
            rows.append((key, self.per_cpu(m, num(one.percpu_buf)) if percpu else
                         self.mem.read(one.buf.data.address_, m.value_size)))
        return self.percpu_hash(rows) if percpu else self.hash(rows)

    # ---- storages

    def storage(self, m):
        smap, rows = m.as_("bpf_local_storage_map"), []
        kind = {"sk": "sock", "cgrp": "cgroup"}.get(type_of(m).removesuffix("_storage"), type_of(m).removesuffix("_storage"))
        for i in range(1 << num(smap.bucket_log)):
            for node in self.chain(num(smap.buckets[i].list.first)):
                elem = self.k.around(node, "struct bpf_local_storage_elem", "map_node")
                owner = num(elem.local_storage.owner) if elem.local_storage else 0
                value = self.mem.read(elem.sdata.data.address_, m.value_size)
                self.thing(kind, owner)
                self.behind(m, value)
                rows.append((owner, value))

        def show(m, render, objects):
            return some("entries", [{"key": render.pointer(owner), "key_hex": owner.to_bytes(8, "little").hex(" "),
                                     "value": value_node(m, render, value), "value_hex": value.hex(" "), **payload(m, render, value)}
                                    for owner, value in rows])
        return Content("storage", len(rows), show)

    # ---- objects in slots

    def slots(self, m, pointers, kind=None, name="id", number=None):
        """number(address): by what user space knows the object in a slot."""
        rows = [(i, num(pointers[i])) for i in range(m.max_entries)]
        rows = [(i, kva) for i, kva in rows if kva]
        for _, kva in rows:
            if kind:
                self.thing(kind, kva)

        def show(m, render, objects):
            fd = {"populated": len(rows), "scanned": m.max_entries}
            fd.update(some("indices", [i for i, _ in rows]))
            fd.update(some("slots", [{"index": i, **self.slot(objects, kva, name, number)} for i, kva in rows]))
            return {"fd_array": fd}
        return Content("slots", len(rows), show, {"slots": m.max_entries})

    def slot(self, objects, kva, name, number):
        out = {"kva": kva}
        if number:
            out[name] = number(kva)
        if kva in objects:
            out["object"] = objects[kva].json
        return out

    def prog_array(self, m):
        return self.slots(m, m.as_("bpf_array").ptrs, "prog", "prog_id", lambda kva: num(self.at("struct bpf_prog", kva).aux.id))

    def perf_event_array(self, m):
        return self.slots(m, m.as_("bpf_array").ptrs)

    def cgroup_array(self, m):
        return self.slots(m, m.as_("bpf_array").ptrs, "cgroup")

    def array_of_maps(self, m):
        return self.slots(m, m.as_("bpf_array").ptrs, "map", "map_id", lambda kva: num(self.at("struct bpf_map", kva).id))

    def devmap(self, m):
        return self.slots(m, m.as_("bpf_dtab").netdev_map, None, "ifindex",
                          lambda kva: num(self.at("struct bpf_dtab_netdev", kva).dev.ifindex))

    def cpumap(self, m):
        return self.slots(m, m.as_("bpf_cpu_map").cpu_map)

    def xskmap(self, m):
        return self.slots(m, m.as_("xsk_map").xsk_map, "sock")

    def sockmap(self, m):
        return self.slots(m, m.as_("bpf_stab").sks, "sock")

    def reuseport_sockarray(self, m):
        return self.slots(m, m.as_("reuseport_array").ptrs, "sock")

    def slots_hash(self, rows, n_buckets):
        """rows: (key bytes, address, what more is known of it)."""
        def show(m, render, objects):
            fd = {"populated": len(rows), "scanned": len(rows)}
            fd.update(some("slots", [{**key_node(m, render, key), **self.slot(objects, kva, None, None), **more}
                                     for key, kva, more in rows]))
            return {"fd_array": fd}
        return Content("slots_hash", len(rows), show, {"n_buckets": n_buckets})

    def devmap_hash(self, m):
        dtab, rows = m.as_("bpf_dtab"), []
        for i in range(num(dtab.n_buckets)):
            for node in self.chain(num(dtab.dev_index_head[i].first)):
                dev = self.k.around(node, "struct bpf_dtab_netdev", "index_hlist")
                rows.append((num(dev.idx).to_bytes(4, "little"), num(dev.dev), {"ifindex": num(dev.dev.ifindex)}))
        return self.slots_hash(rows, num(dtab.n_buckets))

    def sockhash(self, m):
        htab, rows = m.as_("bpf_shtab"), []
        for i in range(num(htab.buckets_num)):
            for node in self.chain(num(htab.buckets[i].head.first)):
                elem = self.k.around(node, "struct bpf_shtab_elem", "node")
                self.thing("sock", num(elem.sk))
                rows.append((self.mem.read(elem.key.address_, m.key_size), num(elem.sk), {}))
        return self.slots_hash(rows, num(htab.buckets_num))

    # ---- struct_ops

    def struct_ops(self, m):
        st = m.as_("bpf_struct_ops_map")
        skip = offsetof(st.kvalue.type_, "data")
        data_kva, size = st.kvalue.data.address_, m.value_size - skip
        data, rows = self.mem.read(data_kva, size), []
        ops = self.k.prog.type("struct " + text(st.st_ops_desc.st_ops.name))
        for i in range(num(st.funcs_cnt)):
            link = st.links[i]
            if link and link.prog:
                self.thing("prog", num(link.prog))
                rows.append((member_of(ops, link.prog), num(link), link.prog))
        facts = {"state": num(st.kvalue.common.state), "kvalue_kva": st.kvalue.address_, "funcs_cnt": num(st.funcs_cnt)}
        if ops.has_member("priv"):
            facts["priv"] = num(Object(self.k.prog, ops, address=data_kva).priv)

        def show(m, render, objects):
            wrapper = m.btf.peel(m.value_type)
            inner = next(t for name, t, _, _ in wrapper.members if name == "data")
            out = [{"member": i, "name": ops.members[i].name, "kva": kva, "prog_id": num(prog.aux.id), "prog": text(prog.aux.name)}
                   for i, kva, prog in rows]
            state = self.k.enum_name("bpf_struct_ops_state", facts["state"])
            return {"value": render.value(m.btf, inner, data),
                    "struct_ops": {"state": facts["state"], "state_name": state, **some("links", out)}}
        return Content("struct_ops", len(rows), show, facts, data_kva, size)

    # ---- rings, stacks, queues, filters

    def ringbuf(self, m):
        rb = m.as_("bpf_ringbuf_map").rb[0]
        mask, consumer, producer = num(rb.mask), num(rb.consumer_pos), num(rb.producer_pos)
        facts = {"mask": mask, "consumer_pos": consumer, "producer_pos": producer}
        start = consumer
        if has(rb, "pending_pos"):
            facts["pending_pos"] = num(rb.pending_pos)
        if has(rb, "overwrite_mode"):
            facts.update(overwrite_pos=num(rb.overwrite_pos), overwrite_mode=int(num(rb.overwrite_mode)))
            # What is older has been written over.
            if facts["overwrite_mode"] and facts["overwrite_pos"] > consumer:
                start = facts["overwrite_pos"]
        at, size = rb.data.address_ + (start & mask), producer - start
        facts.update(data_kva=at, pending_taken=size)
        data = self.mem.read(at, size)

        def show(m, render, objects):
            out, off = [], 0
            while off < size:
                head, = struct.unpack_from("<I", data, off)
                length = head & ~(BUSY | DISCARD)
                one = {"pos": start + off, "len": length, "hex": data[off + 8:off + 8 + length].hex(" ")}
                one.update({name: True for name, bit in (("busy", BUSY), ("discarded", DISCARD)) if head & bit})
                out.append(one)
                off += pad(length + 8)
            return {"ringbuf": {"capacity": mask + 1, "consumer_pos": consumer, "producer_pos": producer,
                                "pending_pos": facts["pending_pos"], "pending_bytes": producer - consumer},
                    **some("ringbuf_records", out)}
        return Content("ringbuf", size, show, facts, at)

    def stack_trace(self, m):
        sm, rows = m.as_("bpf_stack_map"), []
        each = 32 if m.flags & BUILD_ID else 8
        for i in range(num(sm.n_buckets)):
            bucket = sm.buckets[i]
            if bucket:
                nr = num(bucket.nr)
                rows.append((i, nr, self.mem.read(bucket.data.address_, min(nr, m.value_size // each) * each)))

        def show(m, render, objects):
            out = []
            for i, nr, data in rows:
                one = {"bucket_id": i, "nr": nr, "data_hex": data.hex(" ")}
                if each == 8 and data:
                    one["pcs"] = list(struct.unpack(f"<{len(data) // 8}Q", data))
                out.append(one)
            return {"stack_trace": {"n_buckets": num(sm.n_buckets), "entries": out}}
        return Content("stack", len(rows), show, {"n_buckets": num(sm.n_buckets)})

    def queue(self, m):
        """A queue is read at the tail, a stack at the head: the oldest is at the tail of both."""
        qs, rows = m.as_("bpf_queue_stack"), []
        head, tail, size = num(qs.head), num(qs.tail), num(qs.size)
        while (tail + len(rows)) % size != head:
            rows.append(self.mem.read(qs.elements.address_ + (tail + len(rows)) % size * m.value_size, m.value_size))

        def show(m, render, objects):
            return some("entries", [{"key_hex": "", **typed_value(m, render, value)} for value in rows])
        return Content("queue", len(rows), show, {"head": head, "tail": tail, "size": size})

    def bloom_filter(self, m):
        bloom = m.as_("bpf_bloom_filter")
        size = num(bloom.bitset_mask) // 64 * 8 + 8
        bits = self.mem.read(bloom.bitset.address_, size)
        facts = {"bitset_mask": num(bloom.bitset_mask), "nr_hash_funcs": num(bloom.nr_hash_funcs),
                 "hash_seed": num(bloom.hash_seed), "bitset_bytes": size,
                 "popcount": int.from_bytes(bits, "little").bit_count()}

        def show(m, render, objects):
            return {"bloom_filter": {**facts, "bitset_hex": bits.hex(" ")},
                    "error": "BLOOM_FILTER is a probabilistic set; no key enumeration is possible"}
        return Content("bloom", 0, show, facts, bloom.bitset.address_)

    # ---- arenas

    def arena(self, m):
        arena = m.as_("bpf_arena")
        user, kern = arena_window(m)
        scratch, pages, scratched = self.scratch(arena), {}, 0
        for at, frame in self.mem.pages(kern, kern + SPAN):
            if frame == scratch:
                self.mem.hidden.add(at)
                scratched += 1
            else:
                pages[at - kern - user & SPAN - 1] = frame
        declared = min(m.max_entries, SPAN // PAGE)
        free = sum(num(r.rn_last) - num(r.rn_start) + 1 for r in
                   rbtree_inorder_for_each_entry("struct range_node", arena.rt.it_root.rb_root.address_of_(), "rn_rbnode"))
        facts = {"user_vm_start": user, "user_vm_end": num(arena.user_vm_end), "kern_vm_start": kern, "declared_pages": declared,
                 "populated_pages": len(pages), "reserved_pages": declared - free - len(pages) - scratched, "page_size": PAGE}
        if has(arena, "nr_pages"):
            facts["nr_pages"] = num(arena.nr_pages)
        if has(arena, "scratch_page"):
            facts["scratch_pages"] = scratched

        def show(m, render, objects):
            out = [{"user_addr": user + off, "bytes": {"octets": self.k.prog.read(pages[off], PAGE, physical=True).hex()}}
                   for off in sorted(pages)]
            return {"arena": {**facts, **some("pages", out)}}
        return Content("arena", len(pages), show, facts)

    def scratch(self, arena):
        if not has(arena, "scratch_page") or not arena.scratch_page:
            return None
        return num(page_to_phys(arena.scratch_page))


def arena_window(m):
    """(address of page 0 in user space, of its 4 GiB in the kernel): between two guards of 32 KiB."""
    arena = m.as_("bpf_arena")
    return num(arena.user_vm_start), num(arena.kern_vm.addr) + 32768


def member_of(ops, prog):
    """The number of the operation that a program stands in for."""
    if has(prog.aux, "attach_st_ops_member_off"):
        off = num(prog.aux.attach_st_ops_member_off)
        return next(i for i, f in enumerate(ops.members) if f.bit_offset == off * 8)
    return num(prog.expected_attach_type)


def type_of(m):
    """As the enumeration has it."""
    return KINDS[m.type][0]


# By enum bpf_map_type of include/uapi/linux/bpf.h.
KINDS = {
    1: ("hash", Reader.htab), 2: ("array", Reader.array), 3: ("prog_array", Reader.prog_array),
    4: ("perf_event_array", Reader.perf_event_array), 5: ("percpu_hash", Reader.percpu_htab),
    6: ("percpu_array", Reader.percpu_array), 7: ("stack_trace", Reader.stack_trace), 8: ("cgroup_array", Reader.cgroup_array),
    9: ("lru_hash", Reader.htab), 10: ("lru_percpu_hash", Reader.percpu_htab), 11: ("lpm_trie", Reader.lpm_trie),
    12: ("array_of_maps", Reader.array_of_maps), 13: ("hash_of_maps", Reader.hash_of_maps), 14: ("devmap", Reader.devmap),
    15: ("sockmap", Reader.sockmap), 16: ("cpumap", Reader.cpumap), 17: ("xskmap", Reader.xskmap),
    18: ("sockhash", Reader.sockhash),
    19: ("cgroup_storage", Reader.cgroup_storage), 20: ("reuseport_sockarray", Reader.reuseport_sockarray),
    21: ("percpu_cgroup_storage", Reader.cgroup_storage), 22: ("queue", Reader.queue), 23: ("stack", Reader.queue),
    24: ("sk_storage", Reader.storage), 25: ("devmap_hash", Reader.devmap_hash), 26: ("struct_ops", Reader.struct_ops),
    27: ("ringbuf", Reader.ringbuf), 28: ("inode_storage", Reader.storage), 29: ("task_storage", Reader.storage),
    30: ("bloom_filter", Reader.bloom_filter), 31: ("user_ringbuf", Reader.ringbuf), 32: ("cgrp_storage", Reader.storage),
    33: ("arena", Reader.arena), 34: ("insn_array", Reader.insn_array), 35: ("rhash", Reader.rhash),
}


def some(key, rows):
    """A list that stands in the report only when something is in it."""
    return {key: rows} if rows else {}


def value_node(m, render, data):
    """Of a value, by its type, else as bytes."""
    return render.value(m.btf, m.value_type, data, m.fields.behind) if m.btf and m.value_type else octets(data)


def typed_value(m, render, data):
    out = {"value": value_node(m, render, data)} if m.btf and m.value_type else {}
    return {**out, "value_hex": data.hex(" ")}


def key_node(m, render, data):
    out = {"key": render.value(m.btf, m.key_type, data)} if m.btf and m.key_type else {}
    return {**out, "key_hex": data.hex(" ")}


def read(k, mem, m, objects, masks):
    return KINDS[m.type][1](Reader(k, mem, objects, masks), m)
