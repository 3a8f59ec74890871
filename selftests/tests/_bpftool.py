# SPDX-License-Identifier: GPL-2.0-only
"""bpftool in the guest, and its JSON beside the nodes of a report."""
import base64
import json
import os
import re
import shutil
import zlib

from _common import with_libraries


def files(ctx):
    """bpftool of the build root and its libraries, for Guest(files=...)."""
    tool = shutil.which("bpftool")
    if not tool:
        ctx.skip("the build root has no bpftool")
    return with_libraries(tool, "/bin/bpftool")


class Pairs(dict):
    """An object whose nameless members, which bpftool calls "", are spliced into it."""

    def __init__(self, pairs):
        super().__init__()
        for k, v in pairs:
            if k == "" and isinstance(v, dict):
                self.update(v)
            else:
                self[k] = v


def dump(g, map_id):
    """bpftool -j map dump: (elements, bytes of its JSON)."""
    # Packed, since the line to the guest is slow; base64, since it is a terminal.
    text = g.sh(f"bpftool -j map dump id {map_id} 2>/dev/null | gzip -1 | base64", timeout=120)
    data = zlib.decompress(base64.b64decode("".join(text.split())), 31).decode(errors="surrogateescape")
    # It prints this where JSON should be, and stops there.
    data_ok = re.sub(r"\(unsupported-kind\)", '"unsupported"', data)
    return json.loads(data_ok, object_pairs_hook=Pairs) if data.strip() else [], len(data)


def raw(hexes):
    return bytes(int(h, 16) for h in hexes)


def beside(diff, path, node, fmt):
    """Every leaf of a node of the report that bpftool's JSON has too."""
    kind = node["kind"]
    if kind == "struct":
        # A union of nothing but bytes, say, has no members there.
        for m in node["members"]:
            if m["name"] in fmt:
                beside(diff, f"{path}.{m['name']}", m["value"], fmt[m["name"]])
            else:
                diff.note(path, f"no {m['name']} (bpftool)", m["value"])
        extra = set(fmt) - {m["name"] for m in node["members"]}
        if extra:
            diff.note(path, f"{sorted(extra)} (bpftool)", "nothing")
        return
    if kind == "array" and fmt == []:
        return  # a flexible one, of which it shows nothing
    if kind == "array" and isinstance(fmt, list):
        if len(fmt) != len(node["elements"]):
            diff.note(path, f"{len(fmt)} elements (bpftool)", len(node["elements"]))
        for i, (a, b) in enumerate(zip(node["elements"], fmt)):
            beside(diff, f"{path}[{i}]", a, b)
        return
    diff.leaves += 1
    if kind == "array":
        # Text ends at the first NUL.
        data = bytes(e["value"] & 0xff for e in node["elements"])
        ok = fmt.encode(errors="surrogateescape") == data.rstrip(b"\0")
    elif kind in ("int", "uint", "char"):
        ok = number(fmt, node.get("bits", 8)) == node["value"] & ((1 << node.get("bits", 8)) - 1)
    elif kind == "bool":
        ok = (fmt is True or number(fmt, 1) == 1) == node["value"]
    elif kind == "enum":
        mask = (1 << node["bits"]) - 1
        # A bit-field of an enum is a plain number there.
        ok = fmt == node["variant"] or number(fmt, node["bits"]) == node["value"] & mask
    elif kind == "ptr":
        ok = number(fmt, 64) == node["value"]
    elif kind == "bytes":
        ok = number(fmt, 128) == int.from_bytes(bytes.fromhex(node["hex"]), "little")
    else:
        ok = False
    if not ok:
        diff.note(path, f"{fmt} (bpftool)", node)


def number(v, bits):
    """A number of bpftool's without its sign; None for what is none."""
    if isinstance(v, str):
        if not re.fullmatch(r"0x[0-9a-f]+", v):
            return None
        v = int(v, 16)
    return int(v) & ((1 << bits) - 1)
