# SPDX-License-Identifier: GPL-2.0-only
"""Goes over every leaf of a report and of the facts of the dump: equal or different.

  python3 compare.py REPORT.json FACTS.json

A path is written as in jq, with [] for every index: ktdump.tasks[].scx.flags. What
cannot be compared is in not-compared.txt, by path and with the reason; a key that only
one side has is a difference.

Some values in the facts are no plain values, each for one reason:
  {"any": [...]}            one of these: an address may have several names
  {"since": T, "plus": N}   N and the time since T: the idle time of an idle CPU, read
                            at some moment between the freeze and its release
  {"unknown": "why"}        the dump has no such thing for this one element
  {"octets": "00ff"}        a list of bytes: millions of them are compared at once
"""
import json
import math
import os
import random
import sys

THIN = 12
HERE = os.path.dirname(os.path.abspath(__file__))

# Lists whose elements have a name of their own; all others are compared by position.
KEYS = {"ktdump.tasks": "kva", "ktdump.dsqs": "kva", "ktdump.progs": "kva", "ktdump.maps": "kva", "ktdump.schedulers": "kva",
        "ktdump.btf": "kva", "ktdump.maps[].facts": "name", "maps": "map_kva"}
# Of these not even the order means anything.
UNORDERED = {"ktdump.btf", "ktdump.maps[].facts"}
ABSENT = "(absent)"
SPECIAL = {"any", "since", "unknown", "octets"}


def skips():
    """Blocks of not-compared.txt: paths, then the reason on indented lines.

    Two sets of paths: those left out wholly, and those that the reader may say it
    does not know ("partly").
    """
    whole, partly = set(), set()
    with open(os.path.join(HERE, "not-compared.txt")) as f:
        lines = [line.rstrip() for line in f if not line.startswith("#")]
    for block in "\n".join(lines).strip().split("\n\n"):
        paths = [line for line in block.splitlines() if not line.startswith("\t")]
        assert paths and any(line.startswith("\t") for line in block.splitlines()), f"a path without a reason: {block}"
        for path in paths:
            (partly if path.endswith(" partly") else whole).add(path.removesuffix(" partly"))
    return whole, partly


class Pattern:
    """All places with one path: whether they are compared, and how that went."""

    def __init__(self, name, whole, partly):
        self.name, self.whole, self.partly = name, whole, partly
        self.skip = next((p for p in whole if name == p or name.startswith((p + ".", p + "[]"))), None)
        self.key = KEYS.get(name)
        self.counts = [0, 0, 0]  # equal, different, not compared
        self.below = {}

    def under(self, key):
        if key not in self.below:
            name = key if not self.name else self.name + key if key == "[]" else f"{self.name}.{key}"
            self.below[key] = Pattern(name, self.whole, self.partly)
        return self.below[key]

    def all(self):
        yield self
        for one in self.below.values():
            yield from one.all()


class Result:
    def __init__(self, root, different):
        patterns = list(root.all())
        self.by_path = {p.name: p.counts for p in patterns if any(p.counts)}
        self.equal, _, self.skipped = (sum(c[i] for c in self.by_path.values()) for i in range(3))
        self.different = different

    def counts(self):
        return f"{self.equal} leaves equal, {len(self.different)} different, {self.skipped} not compared"

    def text(self):
        lines = [self.counts(), ""] + self.different + [""]
        lines += [f"{n[0]:8} equal {n[1]:7} different {n[2]:7} not compared  {path}" for path, n in sorted(self.by_path.items())]
        return "\n".join(lines) + "\n"


class Comparison:
    """A path is (that of what it is in, its own key); it becomes text where values differ."""

    def __init__(self, report, facts):
        self.root, self.different = Pattern("", *skips()), []
        kt = report["ktdump"]
        self.start = kt["trigger"]["mono_ns"]
        self.end = self.start + kt["freeze"]["held_ns"]
        self.stacks(kt, facts["ktdump"])
        self.value(None, self.root, report, facts)

    def stacks(self, report, facts):
        """Only max_stacks waiting tasks have a stack, and the report says so: those that wait longest."""
        said = any("max_stacks" in m["reason"] for m in report["missing"])
        have = {t["kva"] for t in report["tasks"] if "stack" in t}
        ages = {t["kva"]: max(0, t["scx"]["runnable_age_jiffies"]) for t in facts["tasks"] if "stack" in t}
        youngest = min((ages[kva] for kva in have if kva in ages), default=0)
        for t in facts["tasks"]:
            if "stack" in t and said and t["kva"] not in have and ages[t["kva"]] <= youngest:
                del t["stack"]

    def leaf(self, path, pattern, report, facts):
        if self.same(report, facts):
            pattern.counts[0] += 1
        else:
            pattern.counts[1] += 1
            self.different.append(f"{text(path)}: report {show(report)}, dump {show(facts)}")

    def same(self, report, facts):
        if isinstance(facts, dict) and "any" in facts:
            return report in facts["any"]
        if isinstance(facts, dict) and "since" in facts:
            at = report - facts["plus"] + facts["since"] if isinstance(report, int) else 0
            return self.start <= at <= self.end
        if isinstance(facts, float):
            # 0.0 and -0.0 are not the same.
            return isinstance(report, float) and math.copysign(1, report) == math.copysign(1, facts) and report == facts
        return type(report) is type(facts) and report == facts

    def value(self, path, pattern, report, facts):
        kinds = type(report), type(facts)
        special = kinds[1] is dict and not SPECIAL.isdisjoint(facts)
        if pattern.skip or (special and "unknown" in facts and pattern.name in pattern.partly):
            pattern.counts[2] += leaves(report)
        elif kinds[0] is dict and kinds[1] is dict and cast(report, facts):
            # The reader does not read programs: to it this is the number that BTF says.
            pattern.counts[2] += leaves(report) - 1
            self.value((path, "value"), pattern.under("value"), report.get("value", ABSENT), facts["value"])
        elif kinds[0] is dict and kinds[1] is dict and not special:
            for key in report if report.keys() == facts.keys() else dict.fromkeys((*report, *facts)):
                self.value((path, key), pattern.under(key), report.get(key, ABSENT), facts.get(key, ABSENT))
        elif kinds[0] is list and kinds[1] is list:
            self.lists(path, pattern, report, facts)
        elif kinds[0] is list and special and "octets" in facts:
            self.octets(path, pattern, report, bytes.fromhex(facts["octets"]))
        elif kinds[0] in (dict, list) and facts == ABSENT and report:
            # Every leaf of it is one that nobody has verified.
            for key, v in report.items() if kinds[0] is dict else enumerate(report):
                self.value((path, key), pattern.under(key if kinds[0] is dict else "[]"), v, ABSENT)
        else:
            self.leaf(path, pattern, report, facts)

    def octets(self, path, pattern, report, facts):
        if is_octets(report) and bytes(report) == facts:
            pattern.under("[]").counts[0] += len(facts)
        else:
            self.lists(path, pattern, report, list(facts))

    def lists(self, path, pattern, report, facts):
        if pattern.key:
            self.named(path, pattern, report, facts)
            return
        if len(report) != len(facts):
            self.leaf((path, "length"), pattern.under("length"), len(report), len(facts))
        below = pattern.under("[]")
        for i in range(max(len(report), len(facts))):
            self.value((path, i), below, *(v[i] if i < len(v) else ABSENT for v in (report, facts)))
        if not report and not facts:
            self.leaf(path, pattern, report, facts)

    def named(self, path, pattern, report, facts):
        """A list whose elements are known by one of their members."""
        key = pattern.key
        ours, theirs = ({v[key]: v for v in lst} for lst in (report, facts))
        if pattern.name not in UNORDERED:
            self.leaf((path, "order"), pattern.under("order"), [v[key] for v in report], [v[key] for v in facts])
        for k in dict.fromkeys((*ours, *theirs)):
            name = f"[{key}={k if isinstance(k, str) else hex(k)}]"
            self.value((path, name), pattern.under("[]"), ours.get(k, ABSENT), theirs.get(k, ABSENT))


def cast(report, facts):
    """Whether the report shows a number of 64 bits as the pointer that programs use it as."""
    return (report.get("kind") == "ptr" and str(report.get("cast_annotation")).startswith("cast→") and
            facts.get("kind") == "uint" and facts.get("bits") == 64)


def text(path):
    parts = []
    while path:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else key if key[0] == "[" else "." + key)
    return "".join(reversed(parts)).lstrip(".")


def is_octets(v):
    return set(map(type, v)) <= {int} and (not v or 0 <= min(v) and max(v) <= 255)


def leaves(v):
    if isinstance(v, (dict, list)) and v:
        return sum(leaves(x) for x in (v.values() if isinstance(v, dict) else v))
    return 0 if v == ABSENT else 1


def show(v):
    text = hex(v) if isinstance(v, int) and not isinstance(v, bool) and v >> 47 else json.dumps(v)
    return text if len(text) <= 300 else text[:300] + "…"


def compare(report, facts):
    done = Comparison(report, facts)
    return Result(done.root, done.different)


def lie(v):
    """Something else than this leaf: more than a freeze takes, in ns, where it is a number."""
    if isinstance(v, bool):
        return not v
    if isinstance(v, float):
        return -2 * v - 1
    return v + 10**10 if isinstance(v, int) else "" if v is None else ["something"] if isinstance(v, list) else v + "?"


def wrong(v, pattern=""):
    """A copy of a report of which every leaf is false, but for the names of list elements."""
    if isinstance(v, dict):
        name, dot = KEYS.get(pattern.removesuffix("[]")), "." if pattern else ""
        return {k: x if k == name else wrong(x, f"{pattern}{dot}{k}") for k, x in v.items()}
    if isinstance(v, list) and v:
        return [wrong(x, pattern + "[]") for x in v]
    return lie(v)


def thin(v):
    """Some of each long list: always the same ones of as many."""
    if isinstance(v, dict) and "octets" in v:
        return {"octets": bytes(thin(list(bytes.fromhex(v["octets"])))).hex()}
    if isinstance(v, dict):
        return {k: thin(x) for k, x in v.items()}
    if not isinstance(v, list):
        return v
    if len(v) > 3 * THIN:
        v = v[:THIN] + random.Random(len(v)).sample(v[THIN:-THIN], THIN) + v[-THIN:]
    return [thin(x) for x in v]


def blind_spots(report, facts):
    """Paths at which the comparison would not see a false value."""
    report, facts = ({**v, "maps": thin(v.get("maps", []))} for v in (report, facts))
    bad = wrong(report)
    # The window of the freeze is what some values are compared by.
    bad["ktdump"]["trigger"]["mono_ns"] = report["ktdump"]["trigger"]["mono_ns"]
    bad["ktdump"]["freeze"]["held_ns"] = report["ktdump"]["freeze"]["held_ns"]
    bad["ktdump"]["missing"] = report["ktdump"]["missing"]
    names = {f"{path}[].{key}" for path, key in KEYS.items()} | {f"{path}.order" for path in KEYS}
    return sorted(path for path, n in compare(bad, facts).by_path.items() if n[0] and path not in names)


def overlooked(report, facts, count=1000):
    """Makes leaves of maps false in the midst of all others: how many were not told, of how many."""
    found, chosen = [], random.Random(count)
    for _ in range(count if report.get("maps") else 0):
        v, key, unseen = report, "maps", False
        while isinstance(v[key], (dict, list)) and v[key]:
            v = v[key]
            keys = list(v) if isinstance(v, dict) else range(len(v))
            # Most leaves are deep down.
            deep = [k for k in keys if isinstance(v[k], (dict, list)) and v[k]] if chosen.random() < 0.9 else ()
            key = chosen.choice(deep or keys)
            unseen = unseen or isinstance(v, dict) and "cast_annotation" in v and key != "value"
        # A map without its address is another one; an empty list that is not is told by its length and its element.
        if key != KEYS["maps"] and not isinstance(v[key], (dict, list)) and not unseen and not any(w is v and k == key for w, k, _ in found):
            found.append((v, key, v[key]))
            v[key] = lie(v[key])
    told = len(compare(report, facts).different)
    for v, key, old in found:
        v[key] = old
    return len(found) - told, len(found)


if __name__ == "__main__":
    with open(sys.argv[1]) as a, open(sys.argv[2]) as b:
        result = compare(json.load(a), json.load(b))
    sys.stdout.write(result.text())
    sys.exit(1 if result.different else 0)
