# SPDX-License-Identifier: GPL-2.0-only
"""A kernel in a dump: values, lists, flags, symbols, stacks."""
import bisect
import struct
import sys

import drgn
from drgn import container_of
from drgn.helpers.linux.cpumask import for_each_online_cpu, for_each_possible_cpu
from drgn.helpers.linux.percpu import per_cpu

USER_TOP = 1 << 47
CODE = -2 << 30 & (1 << 64) - 1  # the kernel, its modules, what is compiled for BPF
THUNKS = ("__x86_indirect_", "__x86_return_", "retbleed_", "srso_")


def num(obj):
    """Of an integer, an enumerator, a pointer or a bool; of an atomic what it counts."""
    while hasattr(obj, "counter") and obj.type_.unaliased().kind == drgn.TypeKind.STRUCT:
        obj = obj.counter
    return obj.value_()


def has(obj, path):
    """Whether a structure, or what a pointer points to, has this member."""
    for name in path.split("."):
        t = obj.type_.unaliased()
        if t.kind == drgn.TypeKind.POINTER:
            t = t.type.unaliased()
        if not t.has_member(name):
            return False
        obj = obj.member_(name)
    return True


def member(obj, path):
    for name in path.split("."):
        obj = obj.member_(name)
    return obj


def fill(out, obj, **paths):
    """out[key] of every member that this kernel has."""
    for key, path in paths.items():
        if has(obj, path):
            out[key] = num(member(obj, path))


def text(obj):
    """Valid UTF-8, as the report says."""
    return obj.string_().decode("utf-8", "replace")


def elf_notes(path):
    """(name, type, bytes) of each note of a dump."""
    with open(path, "rb") as f:
        head = f.read(64)
        phoff, = struct.unpack_from("<Q", head, 32)
        phentsize, phnum = struct.unpack_from("<HH", head, 54)
        f.seek(phoff)
        phdrs = f.read(phentsize * phnum)
        for i in range(phnum):
            kind, _, off, _, _, size = struct.unpack_from("<IIQQQQ", phdrs, i * phentsize)
            if kind == 4:
                f.seek(off)
                notes = f.read(size)
                break
    at = 0
    while at + 12 <= len(notes):
        namesz, descsz, kind = struct.unpack_from("<III", notes, at)
        desc = at + 12 + (namesz + 3 & ~3)
        yield notes[at + 12:at + 12 + namesz].rstrip(b"\0"), kind, notes[desc:desc + descsz]
        at = desc + (descsz + 3 & ~3)


class Kernel:
    def __init__(self, vmlinux, vmcore):
        self.prog = prog = drgn.Program()
        prog.set_core_dump(vmcore)
        try:
            prog.load_debug_info([vmlinux])
        except drgn.MissingDebugInfoError as e:
            # Modules have none: nothing that is read here needs it.
            print(e, file=sys.stderr)
        notes = list(elf_notes(vmcore))
        # struct QEMUCPUState: version, size, 18 registers, 10 segments of 24 bytes, then cr[0..4].
        self.cr3 = [struct.unpack_from("<Q", desc, 8 + 18 * 8 + 10 * 24 + 3 * 8)[0] for name, _, desc in notes if name == b"QEMU"]
        # struct elf_prstatus: its registers are in the order of pt_regs.
        self.regs = [desc[112:] for name, kind, desc in notes if name == b"CORE" and kind == 1]
        self.cpus = list(for_each_possible_cpu(prog))
        self.online = set(for_each_online_cpu(prog))
        self.rqs = [per_cpu(prog["runqueues"], cpu) for cpu in self.cpus]
        self.jiffies = num(prog["jiffies_64"])
        self.hz = round(10**9 / (num(prog["clocksource_jiffies"].mult) >> 8))
        self._enums = {}
        self._load_symbols()
        self._cpu_stacks()

    # ---- values

    def symbol_value(self, name):
        """A global of any type, None where this kernel has none of that name."""
        try:
            return num(self.prog[name])
        except KeyError:
            return None

    def cstring(self, ptr):
        return text(ptr) if ptr else None

    def list(self, head):
        """Addresses of the nodes of a list_head, in order."""
        node, seen = head.next.value_(), set()
        while node != head.address_:
            assert node not in seen, "a list with a cycle"
            seen.add(node)
            yield node
            node = drgn.Object(self.prog, "struct list_head", address=node).next.value_()

    def around(self, node, type_name, path):
        """The structure around a node at that address."""
        return container_of(drgn.Object(self.prog, "void *", node), type_name, path)

    # ---- enumerations

    def enum(self, name):
        """[(name, value)] of an enumeration, in the kernel's order; None if it has none."""
        if name not in self._enums:
            try:
                t = self.prog.type(f"enum {name}")
                # Flags are bits: 1 << 31 is one more of them, whatever the compiler made of it.
                self._enums[name] = [(e.name, e.value & (1 << 8 * drgn.sizeof(t)) - 1) for e in t.enumerators]
            except LookupError:
                self._enums[name] = None
        return self._enums[name]

    def enum_name(self, enum, value):
        return next((n for n, v in self.enum(enum) or () if v == value), None)

    def flags(self, enum, value):
        """Names of the flags that are set. A mask with a shift is a field of several bits:
        of those the one enumerator that is equal; its zero only for a task's state."""
        all_ = self.enum(enum)
        names = {n for n, _ in all_}
        masks = [(n, v) for n, v in all_ if n.endswith("_MASK") and n[:-4] + "SHIFT" in names]
        out = []
        for name, v in all_:
            if name.endswith(("_MASK", "_SHIFT", "_BITS")):
                continue
            mask = next((m for _, m in masks if v and not v & ~m), None)
            if name == "SCX_TASK_NONE":
                mask = next((m for n, m in masks if n == "SCX_TASK_STATE_MASK"), None)
            if (value & mask == v) if mask else v and v & (v - 1) == 0 and value & v:
                out.append(name)
        return out

    # ---- symbols

    def _load_symbols(self):
        """kallsyms has no sizes: a symbol ends where the next one begins."""
        text_ = {}
        for s in self.prog.symbols():
            if s.kind != drgn.SymbolKind.FILE and not s.name.startswith((".L", "__crc_", "$")):
                text_.setdefault(s.address, []).append(s.name)
        self._starts, self._names = sorted(text_), text_
        self._text = [self.prog.symbol(name).address for name in ("_stext", "_einittext")]
        # All machine code made for BPF: programs, trampolines, what calls struct_ops.
        self.images = []
        for node in self.list(self.prog["bpf_kallsyms"]):
            ksym = self.around(node, "struct bpf_ksym", "lnode")
            self.images.append((num(ksym.start), num(ksym.end), text(ksym.name)))
        self.modules = []
        for node in self.list(self.prog["modules"]):
            mod = self.around(node, "struct module", "list")
            self.modules.append((text(mod.name), mod))

    def _module_symbol(self, addr):
        for name, mod in self.modules:
            for mem in mod.mem:
                start = num(mem.base)
                if not start <= addr < start + num(mem.size):
                    continue
                syms = mod.kallsyms
                all_ = sorted((num(syms.symtab[i].st_value), text(syms.strtab + num(syms.symtab[i].st_name)))
                              for i in range(1, num(syms.num_symtab)) if num(syms.symtab[i].st_shndx))
                all_ = [(v, n) for v, n in all_ if n and start <= v < start + num(mem.size)]
                at = bisect.bisect_right(all_, (addr, "\xff")) - 1
                if at < 0:
                    return None
                end = next((v for v, _ in all_[at:] if v > all_[at][0]), start + num(mem.size))
                return [f"{n}+0x{addr - v:x}/0x{end - v:x} [{name}]" for v, n in all_ if v == all_[at][0]]
        return None

    def symbol(self, addr):
        """Every name that an address may go by: several symbols may begin at one place."""
        for start, end, name in self.images:
            if start <= addr < end:
                return [f"{name}+0x{addr - start:x}/0x{end - start:x}"]
        found = self._module_symbol(addr)
        if found:
            return found
        at = bisect.bisect_right(self._starts, addr) - 1
        if not self._text[0] <= addr < self._text[1]:
            return [f"0x{addr:x}"]
        start, end = self._starts[at], self._starts[at + 1]
        return [f"{n}+0x{addr - start:x}/0x{end - start:x}" for n in self._names[start]]

    # ---- stacks

    def frames(self, pcs):
        return [{"addr": pc, "symbol": {"any": self.symbol(pc)}} for pc in pcs]

    def _cpu_stacks(self):
        """Where each CPU was before the NMI came, or before it called the hook.

        trace[cpu] are the frames from there on; interrupted[cpu] says which it was.  Where
        the hook is a kprobe, probed is its CPU: it was caught in front of an instruction too.
        """
        self.trace, self.interrupted, self.probed = {}, {}, None
        ours = [(num(mem.base), num(mem.size)) for name, mod in self.modules if name == "ktdump" for mem in mod.mem]

        def in_module(pc):
            return any(start <= pc < start + size for start, size in ours)
        for cpu in self.cpus:
            # Not by rq->curr: a CPU may be about to switch to it.
            regs = self._regs(cpu)
            frames = [f for f in self.prog.stack_trace(regs) if not f.is_inline]
            nmi = next((i for i, f in enumerate(frames) if i and f.interrupted), None)
            if nmi is not None and any("nmi" in (f.name or "") for f in frames[:nmi]):
                self.interrupted[cpu], self.trace[cpu] = True, frames[nmi:]
            else:
                # What the module calls itself, to read a clock, stands above it.
                own = max((i + 1 for i, f in enumerate(frames) if in_module(f.pc)), default=0)
                self.interrupted[cpu], self.trace[cpu] = False, frames[own:]
                probe = next((f for f in frames if f.name == "kprobe_ftrace_handler"), None)
                if probe:
                    # The machine code that called it has no unwind information.
                    regs = self._probed_regs(cpu, probe.register("rsp"))
                    self.probed, self.trace[cpu] = cpu, [f for f in self.prog.stack_trace(regs) if not f.is_inline]

    def _regs(self, cpu):
        """Where QEMU stopped it; behind the thunk that it was in to call a clock, say: no unwinder knows the way out."""
        t, data = self.prog.type("struct pt_regs"), bytearray(self.regs[cpu])
        ip, sp = drgn.offsetof(t, "ip"), drgn.offsetof(t, "sp")
        if self.in_thunk(int.from_bytes(data[ip:ip + 8], "little")):
            top = int.from_bytes(data[sp:sp + 8], "little")
            data[ip:ip + 8] = self.prog.read(top, 8)
            data[sp:sp + 8] = (top + 8).to_bytes(8, "little")
        return drgn.Object.from_bytes_(self.prog, "struct pt_regs", bytes(data))

    def in_thunk(self, pc):
        """In front of an indirect jump or a return: reached by jumps too, so without unwind information."""
        return any(name.startswith(THUNKS) for name in self.symbol(pc))

    def _probed_regs(self, cpu, sp):
        """The registers that the kprobe's caller has left on the stack: they point behind the probe."""
        ip = num(per_cpu(self.prog["current_kprobe"], cpu).addr) + 1
        for at in range(sp, sp + 4096, 8):
            regs = drgn.Object(self.prog, "struct pt_regs", address=at)
            if num(regs.ip) == ip and at < num(regs.sp) < at + 4096:
                return regs
        raise AssertionError("no registers of the kprobe on its stack")

    def trigger_cpu(self):
        """The one CPU that stands in the hook itself."""
        found = [cpu for cpu in self.cpus if cpu in self.online and not self.interrupted[cpu]]
        assert len(found) == 1, f"CPUs {found} stand in the hook"
        return found[0]


def kernel_pcs(frames):
    """Return addresses of a stack up to user mode, or to what is no code: drgn goes on where there is no unwind information."""
    out = []
    for f in frames:
        if f.pc < CODE:
            break
        out.append(f.pc)
    return out
