#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Check reports: python3 check_report.py FILE...

Both schemas, and what a schema cannot say: no key twice, integers written as
integers, nesting, key order, addresses that lead to task rows, and whether maps hold
what they say: sizes, counts, nodes.
"""
import functools
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
MAX_NESTING = 127


MANY = 16                       # of a long list the schema is asked about so many
STORAGE = (24, 28, 29, 32)
CONTENT = ("value", "entries", "percpu_entries", "percpu_hash_entries", "arena", "ringbuf", "stack_trace", "fd_array")
CPUS = re.compile("^([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*)?$")


class Problem(Exception):
    pass


class Float(float):
    """Written with a fraction or exponent, which only a node of kind float may be."""


def load(path):
    def pairs(items):
        seen = {}
        for k, v in items:
            if k in seen:
                raise Problem("key %r twice in one object" % k)
            seen[k] = v
        return seen

    def no_constant(text):
        raise Problem("%s is not JSON" % text)

    with open(path, encoding="utf-8") as f:
        return json.load(f, object_pairs_hook=pairs, parse_float=Float,
                         parse_constant=no_constant)


def nesting(v):
    if isinstance(v, dict):
        return 1 + max(map(nesting, v.values()), default=0)
    if isinstance(v, list):
        return 1 + max(map(nesting, v), default=0)
    return 0


def resolve(schema, root):
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "else" in schema and "properties" not in schema:
        return resolve(schema["else"], root)
    return schema


def check_order(v, schema, root, where):
    """The schema lists properties in the order in which they are written."""
    schema = resolve(schema, root)
    if isinstance(v, list):
        for i, item in enumerate(v):
            if item is not None:
                check_order(item, schema.get("items", {}), root, "%s[%d]" % (where, i))
    elif isinstance(v, dict):
        order = list(schema.get("properties", {}))
        known = [k for k in v if k in order]
        if known != sorted(known, key=order.index):
            raise Problem("%s: keys are out of order: %s" % (where, ", ".join(known)))
        if order and known != list(v)[:len(known)]:
            raise Problem("%s: an unknown key stands before known ones" % where)
        for k in known:
            check_order(v[k], schema["properties"][k], root, where + "." + k)


def check_omissions(v, schema, root, where):
    schema = resolve(schema, root)
    if isinstance(v, list):
        for i, item in enumerate(v):
            if item is not None:
                check_omissions(item, schema.get("items", {}), root, "%s[%d]" % (where, i))
    elif isinstance(v, dict):
        for k, sub in schema.get("properties", {}).items():
            if k not in v:
                continue
            empty = {"none": v[k] is None, "empty": v[k] in ([], ""), "false": v[k] is False,
                     "zero": v[k] == 0}.get(sub.get("x-omit-when"), False)
            if empty:
                raise Problem("%s.%s: %r should be left out" % (where, k, v[k]))
            check_omissions(v[k], sub, root, where + "." + k)


def check_addresses(report):
    kt = report["ktdump"]
    cut = kt["incomplete"] or any(m["section"] in ("task", "list") for m in kt["missing"])
    for s in kt.get("sections", []):
        cut = cut or (s["table"] == "task" and s["seen"] != s["rows"])
    if cut or "tasks" not in kt:
        return
    rows = {t["kva"] for t in kt["tasks"]}
    for q in report.get("rq_scx_states", []):
        for kva in q["runnable_task_kvas"]:
            if kva not in rows:
                raise Problem("runnable task 0x%x of CPU %d has no row" % (kva, q["cpu"]))
    for q in report.get("dsq_states", []) + [q for q in kt.get("dsqs", []) if "task_kvas" in q]:
        for kva in q["task_kvas"]:
            if kva not in rows:
                raise Problem("queued task 0x%x of DSQ 0x%x has no row" % (kva, q["id"]))


def check_floats(v, where):
    if isinstance(v, Float):
        raise Problem("%s: %r is written with a fraction or exponent" % (where, v))
    if isinstance(v, int) and not -(1 << 63) <= v < 1 << 64:
        raise Problem("%s: %d does not fit 64 bits" % (where, v))
    if isinstance(v, list):
        for i, item in enumerate(v):
            check_floats(item, "%s[%d]" % (where, i))
    elif isinstance(v, dict):
        for k, item in v.items():
            if not (k == "value" and v.get("kind") == "float"):
                check_floats(item, where + "." + k)


# ----------------------------------------------------------------------- maps

def need(ok, where, what, *args):
    if not ok:
        raise Problem("%s: %s" % (where, what % args))


def hex_len(text, where):
    """How many bytes; to turn them there and back costs a tenth of what a regular expression does."""
    try:
        data = bytes.fromhex(text)
    except (TypeError, ValueError):
        data = None
    need(data is not None and data.hex(" ") == text, where, "%.60r is not hex", text)
    return len(data)


def check_node(n, where, strings=False):
    kind = n["kind"]
    if kind in ("int", "uint"):
        low, high = (-(1 << 63), 1 << 63) if kind == "int" else (0, 1 << 64)
        need(type(n["value"]) is int and low <= n["value"] < high, where, "%r is no %s", n["value"], kind)
        if kind == "uint":
            need(n["bits"] > 64 or n["value"] >> n["bits"] == 0, where, "%d does not fit %d bits", n["value"], n["bits"])
    elif kind == "struct":
        for m in n["members"]:
            check_node(m["value"], "%s.%s" % (where, m["name"]))
    elif kind == "array":
        need(len(n["elements"]) <= min(n["len"], 4096), where, "%d elements of %d", len(n["elements"]), n["len"])
        for i, e in enumerate(n["elements"]):
            check_node(e, "%s[%d]" % (where, i))
    elif kind == "cpu_list":
        need(CPUS.match(n["cpus"]), where, "%r is no list of CPUs", n["cpus"])
    elif kind == "ptr":
        need(0 <= n["value"] < 1 << 64, where, "%r is no address", n["value"])
        need(not ("deref" in n and "deref_skipped_reason" in n), where, "followed and skipped")
        if "deref" in n:
            check_node(n["deref"], where + "*")
    elif kind == "bytes":
        if not strings:
            hex_len(n["hex"], where)
    elif kind == "truncated":
        need(n["had"] < n["needed"], where, "%d bytes of %d are not too few", n["had"], n["needed"])
        check_node(n["partial"], where)


def check_entry(e, m, row, where):
    """Sizes are the map's, unless an error of the map says that something is wrong."""
    key_size = 8 if m["map_type"] in STORAGE else row["key_size"]
    sizes = {"key_hex": key_size, "value_hex": m["value_size"]}
    for k, size in sizes.items():
        if k in e:
            n = hex_len(e[k], where + "." + k)
            need(n <= size if m.get("error") else n == size, where, "%s has %d bytes of %d", k, n, size)
    for k in ("key", "value", "payload"):
        if isinstance(e.get(k), dict):
            check_node(e[k], where + "." + k)
    for i, n in enumerate(e.get("per_cpu", [])):
        if n is not None:
            check_node(n, "%s.per_cpu[%d]" % (where, i))


def check_map(m, row, nr_cpus, where):
    error, content = m.get("error"), row.get("content") or {}
    need(sum(k in m for k in CONTENT) <= 1, where, "more than one kind of content")
    if "value" in m:
        check_node(m["value"], where + ".value", m["name"].endswith(".rodata.str1.1"))
    lists = [m[k] for k in ("entries", "percpu_entries", "percpu_hash_entries") if k in m]
    for entries in lists:
        for i, e in enumerate(entries):
            check_entry(e, m, row, "%s[%d]" % (where, i))
            if nr_cpus and "per_cpu" in e:
                need(len(e["per_cpu"]) <= nr_cpus and (error or len(e["per_cpu"]) == nr_cpus), where,
                     "entry %d has %d CPUs", i, len(e["per_cpu"]))
    if "percpu_entries" in m:
        keys = [e["key"] for e in m["percpu_entries"]]
        need(keys == sorted(set(keys)) and keys[-1] < m["max_entries"], where, "keys are out of order or range")
    if "array_entries" in m:
        keys = [e["key"] for e in m["array_entries"]]
        need(keys == sorted(set(keys)) and keys[-1] < m["max_entries"], where, "keys are out of order or range")
        need(content.get("cut") or content.get("unreadable") or content.get("error") or len(keys) == m["max_entries"] or
             "not all keys are there" in (error or ""), where,
             "%d keys of %d", len(keys), m["max_entries"])
        for e in m["array_entries"]:
            check_node(e["value"], "%s[%d]" % (where, e["key"]))
    if "stack_trace" in m:
        lists.append(m["stack_trace"]["entries"])
        ids = [e["bucket_id"] for e in lists[-1]]
        need(ids == sorted(set(ids)) and all(i < m["stack_trace"]["n_buckets"] for i in ids), where, "buckets are out of order or range")
        for e in lists[-1]:
            hex_len(e["data_hex"], where)
            need("pcs" not in e or len(e["pcs"]) * 24 - 1 == len(e["data_hex"]), where, "pcs are not data_hex")
            need(m["stack_trace"].get("truncated") or len(e.get("pcs", ())) in (0, e["nr"]), where, "%d of %d pcs", len(e.get("pcs", ())), e["nr"])
    if "fd_array" in m:
        f = m["fd_array"]
        lists.append(f.get("slots", []))
        need(f["populated"] <= f["scanned"], where, "more slots than were looked at")
        need(f.get("truncated") or error or f["populated"] == len(lists[-1]), where, "%d slots of %d", len(lists[-1]), f["populated"])
        if m["map_type"] not in (18, 25):
            need(f.get("indices", []) == [s["index"] for s in lists[-1]] or error, where, "indices are not those of the slots")
    if "taken" in content and content["taken"] is not None:
        for entries in lists:
            need(len(entries) == content["taken"] or error and len(entries) < content["taken"], where,
                 "%d entries, %d taken", len(entries), content["taken"])
        if not content.get("form") in ("ringbuf", "bloom"):
            need(content["taken"] <= max(content["seen"], 1), where, "%d taken of %d", content["taken"], content["seen"])
    if "arena" in m:
        a = m["arena"]
        addrs = [p["user_addr"] for p in a.get("pages", ())]
        need(addrs == sorted(set(addrs)), where, "pages are out of order")
        for p in a.get("pages", ()):
            need(0 <= p["user_addr"] - a["user_vm_start"] < 1 << 32, where, "page 0x%x is outside of the arena", p["user_addr"])
    if "ringbuf" in m:
        r = m["ringbuf"]
        need(r["pending_bytes"] == (r["producer_pos"] - r["consumer_pos"]) % (1 << 64), where, "pending_bytes")
        for e in m.get("ringbuf_records", ()):
            n = hex_len(e["hex"], where)
            need(n < e["len"] if e.get("truncated") else n == e["len"], where, "a record has %d bytes of %d", n, e["len"])


def check_maps(report):
    kt = report["ktdump"]
    rows = sorted((r for r in kt.get("maps", []) if not r.get("left_out")), key=lambda r: (r.get("id") is None, r.get("id")))
    need(len(rows) == len(report["maps"]), "$.maps", "%d maps, %d in ktdump", len(report["maps"]), len(rows))
    need(kt.get("maps_left_out", 0) == len(kt.get("maps", [])) - len(rows), "$.ktdump.maps_left_out", "is not so many")
    nr_cpus = kt.get("kernel", {}).get("nr_cpus")
    for i, (m, row) in enumerate(zip(report["maps"], rows)):
        where = "$.maps[%d] %r" % (i, m["name"])
        need(m["map_kva"] == (row["kva"] or 0), where, "ktdump has another map there")
        check_map(m, row, nr_cpus, where)


def shorter(v):
    """The same with the middle of long lists left out."""
    if isinstance(v, list):
        return [shorter(i) for i in (v if len(v) <= 2 * MANY else v[:MANY] + v[-MANY:])]
    return {k: shorter(i) for k, i in v.items()} if isinstance(v, dict) else v


def cut_pages(report):
    """Checks the bytes of arenas, millions of numbers, here and leaves little of them to the others."""
    for m in report["maps"]:
        for p in m.get("arena", {}).get("pages", ()):
            where = "%s page 0x%x" % (m["name"], p["user_addr"])
            try:
                need(len(bytes(p["bytes"])) <= 1 << 16 and bool not in set(map(type, p["bytes"])), where, "no bytes")
            except (TypeError, ValueError) as e:
                raise Problem("%s: %s" % (where, e)) from None
            del p["bytes"][8:]


def is_const(condition):
    """(key, value) when that is all that a condition asks for: so it is with the kinds of nodes."""
    if list(condition) == ["properties"] and len(condition["properties"]) == 1:
        (key, rule), = condition["properties"].items()
        if list(rule) == ["const"] and isinstance(rule["const"], str):
            return key, rule["const"]
    return None


def remembering(cls):
    """
    The same validator, which does not look at what it found right before: reports of one
    program are mostly the same maps and rows, and all the rest of a check costs less. A
    node is asked for each kind whether it is that: those it need not ask the long way.
    """
    import jsonschema

    right, ask, ask_if = set(), cls.VALIDATORS["$ref"], cls.VALIDATORS["if"]

    def ref(validator, to, instance, schema):
        if not isinstance(instance, (dict, list)):
            yield from ask(validator, to, instance, schema)
            return
        # 1, 1.0 and True are equal, but not written the same.
        key = (to, repr(instance))
        if key in right:
            return
        errors = list(ask(validator, to, instance, schema))
        if not errors:
            right.add(key)
        yield from errors

    def if_(validator, condition, instance, schema):
        const = is_const(condition)
        if not const:
            yield from ask_if(validator, condition, instance, schema)
            return
        key, value = const
        way = "then" if not isinstance(instance, dict) or key not in instance or instance[key] == value else "else"
        if way in schema:
            yield from validator.descend(instance, schema[way], schema_path=way)
    return jsonschema.validators.extend(cls, {"$ref": ref, "if": if_})


@functools.cache
def validator(name, part=None):
    """A schema of ours and what checks with it, or with a part: made once, that costs more than a report."""
    import jsonschema

    with open(os.path.join(DOCS, name), encoding="utf-8") as f:
        schema = json.load(f)
    cls = jsonschema.validators.validator_for(schema)
    cls.check_schema(schema)
    cls = remembering(cls)
    return schema, cls({"$ref": f"#/$defs/{part}", "$defs": schema["$defs"]} if part else schema)


def check_schema(value, against):
    errors = sorted(against.iter_errors(value), key=lambda e: list(map(str, e.path)))
    if errors:
        e = errors[0]
        raise Problem("%s: %s" % (e.json_path, e.message[:300]))


def check_single(report, schema, ours):
    check_schema(report.get("ktdump"), ours)
    check_order(report, schema["$defs"]["FailureDumpReport"], schema, "$")
    check_omissions(report, schema["$defs"]["FailureDumpReport"], schema, "$")
    if list(report)[-1] != "ktdump":
        raise Problem("ktdump is not the last key")
    check_addresses(report)
    check_maps(report)


def check_dual(report):
    """What both have to do with each other."""
    early, late = report.get("early"), report["late"]
    numbers = (report.get("early_max_age_jiffies", 0), report.get("early_threshold_jiffies", 0))
    need((early is None) == ("early_skipped_reason" in report), "$", "early and a reason for its absence")
    need((early is None) == (numbers == (0, 0)), "$", "early and numbers %r", numbers)
    need(early is None or numbers[0] >= numbers[1] > 0, "$", "age and threshold are %r", numbers)
    need(late["ktdump"]["trigger"]["trigger"] == "exit", "$.late", "is not of an exit")
    if early is None or early["ktdump"]["snapshot"] == late["ktdump"]["snapshot"]:
        return
    check_schema(report["ktdump"]["difference"], validator("ktdump.schema.json", "difference")[1])
    need(early["ktdump"]["trigger"]["trigger"] == "early", "$.early", "is not early")
    need(early["ktdump"]["snapshot"] == late["ktdump"]["trigger"]["early_snapshot"], "$", "the early one is another's")
    need(early["ktdump"]["kernel"]["boot_id"] == late["ktdump"]["kernel"]["boot_id"], "$", "two guests")
    need(early["ktdump"]["trigger"]["mono_ns"] < late["ktdump"]["trigger"]["mono_ns"], "$", "early is later")


def check(path):
    report = load(path)
    schema, whole = validator("report.schema.json")
    _, ours = validator("ktdump.schema.json")
    singles = [report]
    if report.get("schema") == "dual":
        singles = [report[k] for k in ("early", "late") if k in report]
    for s in singles:
        cut_pages(s)

    deep = nesting(report)
    if deep > MAX_NESTING:
        raise Problem("%d levels deep" % deep)
    check_floats(report, "$")
    # These may be very long, and a validator is slow.
    short = [dict(s, **{k: shorter(s[k]) for k in ("maps", "sdt_allocations") if k in s}) for s in singles]
    if singles[0] is report:
        check_schema(short[0], whole)
    else:
        check_schema(dict(report, late=short[-1], **({"early": short[0]} if len(short) == 2 else {})), whole)
        check_order(report, schema["$defs"]["DualFailureDumpReport"], schema, "$")
        check_dual(report)
    for s in singles:
        check_single(s, schema, ours)


def main():
    sys.setrecursionlimit(20000)
    status = 0
    for path in sys.argv[1:]:
        try:
            check(path)
        except (Problem, ValueError, KeyError, OSError) as e:
            print("%s: %s: %s" % (path, type(e).__name__, e))
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
