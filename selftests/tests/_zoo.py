# SPDX-License-Identifier: GPL-2.0-only
"""What the map zoo holds: the formulas of selftests/schedulers/zoo.h in other words.

A value is a node as the report has it ({"kind": "int", "bits": 8, "value": -3}).  This
shares no code with the collector, and none with the scheduler or its loader.
"""
import struct

M64 = (1 << 64) - 1
PAGE = 4096

(ARRAY, ARRAY_MULTI, ARRAY_MMAP, PERCPU_ARRAY, HASH, HASH_NOPRE, LRU, PERCPU_HASH, PERCPU_HASH_NOPRE,
 LRU_PERCPU, BIG, TASK, CGRP, INODE, SK, BSS, DATA, RODATA, DATA_X, RINGBUF, USER_RINGBUF, QUEUE, STACK,
 BLOOM, LPM, ARENA, CGROUP_STORAGE, PERCPU_CGROUP_STORAGE, RHASH, KPTR, INNER, FOREIGN) = range(1, 33)

N_BIG, N_HASH, N_HASH_NOPRE, N_LRU, N_PERCPU_HASH, N_RHASH, N_LPM, N_BLOOM = 10000, 40, 100, 30, 20, 60, 20, 50
N_MULTI, N_MMAP, N_PERCPU_ARRAY, N_OWNERS, N_KPTR, N_INNER = 7, 3, 5, 4, 4, 3
RING_CONSUMED, USER_RING_DRAINED = 100, 90
ARENA_MAX, ARENA_PAGES = 8192, 2999


def mix(seed, n):
    x = (seed * 0x9e3779b97f4a7c15 + n * 0xbf58476d1ce4e5b9) & M64
    x ^= x >> 31
    x = x * 0x94d049bb133111eb & M64
    return x ^ x >> 29


def seed(number, cpu, key):
    return number << 48 | cpu << 32 | key


def signed(v, bits):
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> (bits - 1) else v


# ------------------------------------------------------------------------ nodes

def Int(bits, v):
    return {"kind": "int", "bits": bits, "value": signed(v, bits)}


def UInt(bits, v):
    return {"kind": "uint", "bits": bits, "value": v & ((1 << bits) - 1)}


def Bool(v):
    return {"kind": "bool", "value": bool(v)}


def Float(bits, v):
    return {"kind": "float", "bits": bits, "value": v}


def Enum(bits, v, names, is_signed):
    # Bits above 2^63 come as a negative number, whatever the sign of the type.
    v = signed(v, bits) if is_signed else signed(v & ((1 << bits) - 1), 64)
    return {"kind": "enum", "bits": bits, "value": v, "variant": names.get(v), "is_signed": is_signed}


def Ptr(v, **more):
    return {"kind": "ptr", "value": v, **more}


def Bytes(data):
    return {"kind": "bytes", "hex": data.hex(" ")}


def Array(elements, length=None):
    elements = list(elements)
    return {"kind": "array", "len": len(elements) if length is None else length, "elements": elements}


def Struct(name, *members):
    return {"kind": "struct", "type_name": name, "members": [{"name": n, "value": v} for n, v in members]}


COLOR = {-3: "ZOO_RED", 0: "ZOO_GREEN", 7: "ZOO_BLUE", 0x7fffffff: "ZOO_MOST"}
FLAG = {1: "ZOO_FLAG_ONE", 2: "ZOO_FLAG_TWO", 0xfffffff0: "ZOO_FLAG_TOP"}
TINY = {-1: "ZOO_TINY_NEG", 0: "ZOO_TINY_ZERO", 5: "ZOO_TINY_FIVE"}
WIDE = {-(1 << 40): "ZOO_WIDE_NEG", 0: "ZOO_WIDE_ZERO", 1 << 41: "ZOO_WIDE_POS"}
UWIDE = {1: "ZOO_UWIDE_ONE", signed(0xfedcba9876543210, 64): "ZOO_UWIDE_TOP"}
STEP = {-3: "ZOO_DOWN", 0: "ZOO_STAY", 6: "ZOO_UP"}
MODE = {0: "ZOO_OFF", 1: "ZOO_ON", 2: "ZOO_AUTO"}


def chars(data, size):
    """A char array, zeros behind its text."""
    return Array(Int(8, b) for b in data.ljust(size, b"\0"))


def pair(left, right):
    return Struct("zoo_pair", ("left", UInt(32, left)), ("right", Int(16, right)))


class All:
    """struct zoo_all: numbers are drawn in the order in which the loader draws them."""

    def __init__(self, s):
        self.s, self.n = s, 0

    def __call__(self):
        self.n += 1
        return mix(self.s, self.n - 1)


def zoo_all(s):
    x = All(s)
    ints = [("a8", Int(8, x())), ("a16", Int(16, x())), ("a32", Int(32, x())), ("a64", Int(64, x())),
            ("b8", UInt(8, x())), ("b16", UInt(16, x())), ("b32", UInt(32, x())), ("b64", UInt(64, x())),
            ("c", Int(8, x())), ("yes", Bool(True)), ("no", Bool(False))]
    for name in ("a128", "b128"):
        high, low = x(), x()
        ints.append((name, Bytes(struct.pack("<QQ", low, high))))
    bits = [("a", UInt(3, x())), ("b", Int(5, x())), ("c", UInt(1, x())), ("d", Int(17, x())),
            ("e", UInt(33, x())), ("f", Int(20, x())), ("g", UInt(11, x())),
            ("step", Enum(4, (-3, 0, 6, -7)[x() % 4], STEP, True)), ("mode", Enum(2, x() % 4, MODE, False)),
            ("on", Bool(True)), ("off", Bool(False)), ("tail", UInt(7, x()))]
    enums = [("color", Enum(32, (-3, 0, 7, 0x7fffffff)[x() % 4], COLOR, True)),
             ("odd_color", Enum(32, 100 + x() % 100, COLOR, True)),
             ("flag", Enum(32, (1, 2, 0xfffffff0, 4)[x() % 4], FLAG, False)),
             ("tiny", Enum(8, (-1, 0, 5, 6)[x() % 4], TINY, True)),
             ("wide", Enum(64, (-(1 << 40), 0, 1 << 41, -5)[x() % 4], WIDE, True)),
             ("uwide", Enum(64, (1, 0xfedcba9876543210, 0, M64)[x() % 4], UWIDE, False))]
    first, word = x(), x()
    raw = struct.pack("<I", word & 0xffffffff)
    # Members of nameless structs and unions stand among those of the struct they are in.
    anon = [("anon_first", UInt(32, first)), ("anon_word", UInt(32, word)),
            ("anon_bytes", Array(UInt(8, b) for b in raw)),
            ("anon_low", Int(16, word)), ("anon_high", UInt(16, word >> 16))]
    nameless = Struct(None, ("x", UInt(16, x())),
                      ("inner", Struct(None, ("deep", Int(8, x())), ("deeper", Array((UInt(8, x()), UInt(8, x())))))))
    u = x()
    union = Struct("zoo_union", ("whole", UInt(64, u)), ("half", Array((Int(32, u), Int(32, u >> 32)))),
                   ("pair", pair(u, u >> 32)))
    packed = Struct("zoo_packed", ("a", UInt(8, x())), ("b", UInt(32, x())), ("c", UInt(64, x())), ("d", Int(16, x())))
    pairs = Array(pair(x(), x()) for _ in range(3))
    grid = Array(Array(Int(16, x()) for _ in range(3)) for _ in range(2))
    text = chars(b'text %d \\ "' % (x() % 1000), 16)
    rest = [("raw", Array(UInt(8, x()) for _ in range(5))), ("flags", Array(Bool(x() & 1) for _ in range(3))),
            ("qualified", UInt(32, x())), ("ptr", Ptr(x() >> 32)), ("self", Ptr(0)), ("fn", Ptr(x() >> 32))]
    return Struct("zoo_all", ("ints", Struct("zoo_ints", *ints)), ("bits", Struct("zoo_bits", *bits)),
                  ("enums", Struct("zoo_enums", *enums)), *anon, ("nameless", nameless), ("u", union),
                  ("packed", packed), ("pairs", pairs), ("grid", grid), ("text", text), *rest)


def small_name(s):
    n = mix(s, 3)
    return b"zoo-" + bytes((97 + n % 26, 97 + (n >> 8) % 26))


def small(s):
    return Struct("zoo_small", ("a", UInt(64, mix(s, 0))), ("b", Int(32, mix(s, 1))), ("c", UInt(16, mix(s, 2))),
                  ("name", chars(small_name(s), 10)))


def small_raw(s):
    return struct.pack("<QIH10s", mix(s, 0), mix(s, 1) & 0xffffffff, mix(s, 2) & 0xffff, small_name(s))


def u32(k):
    return struct.pack("<I", k)


def event_raw(number, nr):
    s = seed(number, 0, 0)
    return struct.pack("<IiQQQ", nr, signed(-nr, 32), mix(s, nr), mix(s, nr + 1000), mix(s, nr + 2000))


def arena_page_number(i):
    far = ARENA_PAGES - 3
    return i + i // 3 + 1 if i < far else (5000, 6000, ARENA_MAX - 1)[i - far]


def arena_pages(base, extra):
    """{user address: bytes}; extra: the page that the scheduler itself took from the kernel."""
    out = {}
    step = 0x9e3779b97f4a7c15
    for i in range(ARENA_PAGES):
        v = mix(seed(ARENA, 0, i), 0)
        page = struct.pack("<512Q", *[(v + w * step) & M64 for w in range(512)])
        if i < 3:
            page = arena_node(base, i) + page[40:]
        out[base + arena_page_number(i) * PAGE] = page
    out[extra] = struct.pack("<QQ", 0xa6e9a, base + arena_page_number(0) * PAGE).ljust(PAGE, b"\0")
    return out


def arena_node(base, i):
    return struct.pack("<QQ", i, base + arena_page_number((i + 1) % 3) * PAGE) + small_raw(seed(ARENA, 1, i))


def arena_list(base, i=0):
    """The pointer to node i as the report shows it: three nodes, and the last points to the first."""
    at = base + arena_page_number(i % 3) * PAGE
    if i == 3:
        return Ptr(at, deref_skipped_reason="cycle → %#x" % at)
    return Ptr(at, deref=Struct("zoo_node", ("value", UInt(64, i)), ("next", arena_list(base, i + 1)),
                                ("small", small(seed(ARENA, 1, i)))))


# ------------------------------------------------------------- comparing trees

class Diff:
    """Compares JSON trees and counts the leaves.

    What is wanted may have functions that judge a value, and keys with a "?" before them
    that may be missing.
    """

    def __init__(self):
        self.leaves, self.bad = 0, []

    def note(self, path, want, got):
        if len(self.bad) < 20:
            self.bad.append(f"{path}: {str(want)[:200]} is wanted, not {str(got)[:200]}")

    def same(self, path, want, got):
        if callable(want):
            self.leaves += 1
            if not want(got):
                self.note(path, getattr(want, "__doc__", None) or "something else", got)
        elif isinstance(want, dict) and isinstance(got, dict):
            for k in want:
                if k.startswith("?"):
                    if k[1:] in got:
                        self.same(f"{path}.{k[1:]}", want[k], got[k[1:]])
                elif k not in got:
                    self.note(f"{path}.{k}", want[k], "nothing")
                else:
                    self.same(f"{path}.{k}", want[k], got[k])
            for k in got:
                if k not in want and "?" + k not in want:
                    self.note(f"{path}.{k}", "nothing", got[k])
        elif isinstance(want, list) and isinstance(got, list):
            if len(want) != len(got):
                self.note(path, f"{len(want)} elements", len(got))
            for i, (a, b) in enumerate(zip(want, got)):
                self.same(f"{path}[{i}]", a, b)
        else:
            self.leaves += 1
            # 1, 1.0 and True are not the same; 0.0 and -0.0 are not.
            kinds = [next(t for t in (bool, float, type(v)) if isinstance(v, t)) for v in (want, got)]
            if kinds[0] is not kinds[1] or want != got or str(want) != str(got):
                self.note(path, want, got)


# ------------------------------------------------------------ the bloom filter

def _rol(v, n):
    return (v << n | v >> (32 - n)) & 0xffffffff


def jhash2(words, initval):
    """The kernel's hash of two 32-bit words."""
    m = 0xffffffff
    a = b = c = (0xdeadbeef + (len(words) << 2) + initval) & m
    a, b = (a + words[0]) & m, (b + words[1]) & m
    c = ((c ^ b) - _rol(b, 14)) & m
    a = ((a ^ c) - _rol(c, 11)) & m
    b = ((b ^ a) - _rol(a, 25)) & m
    c = ((c ^ b) - _rol(b, 16)) & m
    a = ((a ^ c) - _rol(c, 4)) & m
    b = ((b ^ a) - _rol(a, 14)) & m
    return ((c ^ b) - _rol(b, 24)) & m


def bloom_bits(hash_seed, nr_hash_funcs, mask):
    """The bits that the zoo's values have set."""
    out = set()
    for k in range(N_BLOOM):
        v = mix(seed(BLOOM, 0, k), 0)
        for i in range(nr_hash_funcs):
            out.add(jhash2((v & 0xffffffff, v >> 32), (hash_seed + i) & 0xffffffff) & mask)
    return out
