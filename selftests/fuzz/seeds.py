#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Seeds for the fuzz targets: python3 seeds.py OUT, into OUT/TARGET/.

From streams of real guests (real/*.xz, and recordings where tests have left some:
build/tests/*/stream, build/demo/stream.ktd), from those that the unit tests give to
ktcollect, and from what test_cast and test_render look at. Made small: the first rows of
each table, no large BTF.

python3 seeds.py --thin STREAM TO: only that, of a recorded stream, for real/.
"""
import glob
import hashlib
import json
import lzma
import os
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(TOP, "selftests", "unit"))
import ktwire as kw  # noqa: E402

KTCOLLECT = os.path.join(TOP, "build", "bin", "ktcollect")
ROWS = 6                # of one table in one snapshot
BIG = 48 << 10          # bytes of a stream or a report
BLOB = 6 << 10          # bytes of a BTF in a stream
TABLES = {v: k for k, v in kw.TABLES.items()}


def save(target, data):
    path = os.path.join(OUT, target, hashlib.sha1(data).hexdigest()[:16])
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(data)


# ------------------------------------------------------------------------ streams

def unpack(b, at=0):
    """(value, end) of one msgpack element."""
    c = b[at]
    at += 1

    def n(size):
        return int.from_bytes(b[at:at + size], "big")
    if c < 0x80 or c >= 0xe0:
        return c - 256 * (c >= 0xe0), at
    if c in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[c], at
    if 0xcc <= c <= 0xcf:
        return n(1 << c - 0xcc), at + (1 << c - 0xcc)
    if 0xd0 <= c <= 0xd3:
        size = 1 << c - 0xd0
        return int.from_bytes(b[at:at + size], "big", signed=True), at + size
    if 0xc4 <= c <= 0xc6 or 0xd9 <= c <= 0xdb or 0xa0 <= c < 0xc0:
        size = 0 if 0xa0 <= c < 0xc0 else 1 << c - (0xd9 if c >= 0xd9 else 0xc4)
        length = n(size) if size else c & 31
        v = b[at + size:at + size + length]
        return v if c < 0xc8 and size else v.decode("utf-8", "surrogateescape"), at + size + length
    if 0x90 <= c < 0xa0 or c in (0xdc, 0xdd):
        size = {0xdc: 2, 0xdd: 4}.get(c, 0)
        length, at = n(size) if size else c & 15, at + size
        out = []
        for _ in range(length):
            v, at = unpack(b, at)
            out.append(v)
        return out, at
    raise ValueError(f"0x{c:02x}")


def frames(stream):
    """(type, table, snapshot, payload) of each that is whole."""
    at = 0
    while at + 24 <= len(stream):
        _, _, kind, table, size, _, snapshot, _ = struct.unpack_from("<IBBHIIII", stream, at)
        yield kind, table, snapshot, stream[at + 24:at + 24 + size]
        at += 24 + size


def rows(payload):
    at, out = 0, []
    while at < len(payload):
        row, end = unpack(payload, at)
        out.append((row, payload[at:end]))
        at = end
    return out


def thin(stream):
    """The first rows of each table, no large BTF; totals are right again."""
    out, seen, header, large, totals = [], {}, {}, set(), {}
    for kind, table, snapshot, payload in frames(stream):
        name, kept = TABLES.get(table), []
        if kind == kw.HELLO:
            seen, header, totals = {}, {}, {}
        for row, data in rows(payload):
            if snapshot and (snapshot, table) not in header:
                header[snapshot, table] = row
                kept.append(data)
                continue
            cols = dict(zip(header.get((snapshot, table), []), row))
            if name == "btf" and (cols.get("size") or 0) > BLOB:
                large.add(cols.get("hash"))
            if name == "blob" and cols.get("hash") in large:
                continue
            seen[snapshot, table] = seen.get((snapshot, table), 0) + 1
            if not snapshot or name in ("blob", "insn", "map", "content") or seen[snapshot, table] <= ROWS:
                kept.append(data)
        if kind in (kw.BEGIN, kw.ROWS):
            t = totals.setdefault(snapshot, [0, 0])
            t[0] += len(kept)
            t[1] += sum(map(len, kept))
        if kind == kw.END:
            kept = [kw.pack(["rows", "bytes"]), kw.pack(totals.get(snapshot, [0, 0]))]
        if kept or kind not in (kw.ROWS,):
            seq = 0 if kind == kw.HELLO else len(out)
            out.append(kw.frame(kind, table, b"".join(kept), seq, snapshot))
    return b"".join(out)


def harvest():
    """What unit tests give to ktcollect, by running them."""
    found, stream = set(), kw.Guest.stream

    def kept(guest):
        data = stream(guest)
        found.add(data)
        return data
    kw.Guest.stream = kept
    import test_casts
    import test_cli
    import test_dual
    import test_maps
    import test_reports
    import test_sdt_alloc
    import test_verdict
    sys.argv[1:] = [KTCOLLECT]
    test_cli.KTCOLLECT = test_reports.KTCOLLECT = KTCOLLECT
    test_cli.check = test_dual.check = test_verdict.check = test_reports.check = lambda path: None
    os.environ["XDG_CACHE_HOME"] = os.path.join(OUT, "cache")
    here = os.getcwd()
    for module in (test_reports, test_maps, test_casts, test_sdt_alloc, test_verdict, test_dual):
        for fn in module.TESTS:
            if "damage" in fn.__name__ or "bounded" in fn.__name__ or "many" in fn.__name__:
                continue
            with tempfile.TemporaryDirectory(prefix="ktseeds.") as tmp:
                os.chdir(tmp)
                try:
                    fn()
                except Exception:       # noqa: BLE001: the stream is there, that is enough
                    pass
                os.chdir(here)
    return found


def recordings():
    for path in sorted(glob.glob(os.path.join(HERE, "real", "*.xz"))):
        with lzma.open(path) as f:
            yield f.read()
    for path in glob.glob(os.path.join(TOP, "build/tests/*/stream")) + [os.path.join(TOP, "build/demo/stream.ktd")]:
        if os.path.exists(path):
            with open(path, "rb") as f:
                yield f.read()


# ------------------------------------------------------------------------ reports

def prune(v):
    """Lists with two elements of each form."""
    if isinstance(v, dict):
        return {k: prune(x) for k, x in v.items()}
    if not isinstance(v, list):
        return v
    forms, out = {}, []
    for x in v:
        form = json.dumps(sorted(x)) if isinstance(x, dict) else type(x).__name__
        forms[form] = forms.get(form, 0) + 1
        if forms[form] <= 2:
            out.append(prune(x))
    return out


def save_report(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as f:
        text = json.dumps(prune(json.load(f)), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
    if len(text) <= BIG:
        save("report", b"\0" + text)
    if len(text) <= BIG // 2:
        save("report", b"\xff" + text + b"\0" + text)


def save_stream(data):
    data = thin(data)
    if len(data) > BIG:
        return
    save("frame", b"\x07" + data)
    save("section", b"\0\0" + data)
    save("session", b"\x0c\xff\0\0" + data)
    with tempfile.TemporaryDirectory(prefix="ktseeds.") as tmp:
        subprocess.run([KTCOLLECT, "-", "-q", "--guess-types", "-o", tmp + "/"], input=data, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)
        for path in glob.glob(tmp + "/*.json"):
            save_report(path)


def main():
    if OUT.endswith("--thin"):
        with open(sys.argv[2], "rb") as f, lzma.open(sys.argv[3], "w", preset=9) as to:
            to.write(thin(f.read()))
        return
    for target in "frame section session render cast report".split():
        os.makedirs(os.path.join(OUT, target), exist_ok=True)
    for data in recordings():
        save_stream(data)
    for data in harvest():
        save_stream(data)
    for path in glob.glob(os.path.join(TOP, "selftests/unit/show/*.json")):
        save_report(path)
    for name in ("cast", "render"):
        env = dict(os.environ, KTDUMP_SEEDS=os.path.join(OUT, name))
        subprocess.run([os.path.join(TOP, "build/fuzz", "seed-" + name)], env=env, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
