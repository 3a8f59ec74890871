# SPDX-License-Identifier: GPL-2.0-only
"""What the collector costs: a leaf of a map beside bpftool, a byte of a stream beside a plain pass.

Instructions are what is compared: they are the same on a busy machine. In the guest, which
is where maps are, its clock counts them (QEMU's icount), the kernel's too; on the host
valgrind does.
"""
import os
import re
import statistics
import subprocess
import tempfile

import _streams
import ktcost
from _common import with_libraries
from _results import PATH, record
from maps import ROOMY, Zoo, compare_bpftool
from overhead import clocked

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.dirname(PATH)
ROUNDS = 5
BPFTOOL_TARGET = 1 / 5
PLAIN_TARGET = 2
STREAMS = {"small": os.path.join(BENCH, "stream"), "zoo": os.path.join(BENCH, "stream-2")}  # as --record names them
SNAPSHOT = "echo >/sys/module/ktdump/parameters/snapshot"


def snapshot(r, to, params=""):
    """What a collector would get of the scheduler as it is now, in a file of the guest."""
    # Nobody listens there.
    r.insmod(f"{ROOMY} port=1 {params}")
    r.g.sh(SNAPSHOT)
    r.g.wait_for(f"cat /dev/ktdump >{to}", timeout=120)
    r.rmmod()
    r.g.sh(f"! ktcollect --btf-cache none -o /dev/null {to} 2>&1 | grep partial", timeout=300)


def clock(g, command):
    """Instructions that a command takes: the time that its processes ran, by the guest's clock, one a nanosecond.

    Not how long it took: a guest that waits goes by the time of its host.
    """
    stat = "grep ^usage_usec /sys/fs/cgroup/bench/cpu.stat"
    out = g.sh(f"mkdir -p /sys/fs/cgroup/bench; {stat}; sh -c 'echo $$ >/sys/fs/cgroup/bench/cgroup.procs; exec taskset 4 {command} "
               f">/dev/null 2>&1' && {stat}", timeout=300)
    before, after = re.findall(r"^usage_usec (\d+)$", out, re.M)
    return (int(after) - int(before)) * 1000


def build_plain(ctx):
    subprocess.run(["make", "-s", "-C", os.path.join(REPO, "selftests"), "mpjson"], check=True)
    return os.path.join(BENCH, "mpjson")


def spread(ratios):
    ratios = sorted(ratios)
    return {"ratio": statistics.median(ratios), "lowest": ratios[0], "highest": ratios[-1]}


def in_words(ratio):
    return f"{ratio['ratio']:.3f} ({ratio['lowest']:.3f} to {ratio['highest']:.3f})"


def test_guest(ctx):
    """The map zoo in a guest: beside bpftool -j map dump by the leaf, beside a plain pass by the byte."""
    files = {**with_libraries(os.path.join(ctx.build, "bin", "ktcollect"), "/bin/ktcollect"),
             **with_libraries(build_plain(ctx), "/bin/mpjson")}
    with Zoo(ctx, insmod=False, files=files, collect=("--record", STREAMS["small"], "--btf-cache", "none"), **clocked()) as r:
        r.scheduler("/simple.bpf.o")
        snapshot(r, "/tmp/without")
        r.insmod(ROOMY)
        r.g.sh(SNAPSHOT)
        r.report(whole=False, schemas=False)
        r.rmmod()
        r.g.sh(f"kill {r.pids['run']}")
        r.ended()
        facts = r.fill()
        # bpftool shows no page of an arena.
        snapshot(r, "/tmp/with", "max_arena_pages=0")
        snapshot(r, "/tmp/whole")
        # The maps stay, and what runs now is not in the hands of the zoo's scheduler.
        r.insmod(ROOMY)
        report, _ = r.fail(whole=False, schemas=False)
        ids = re.findall(r"^(\d+): .* name (?:z_|zoo|\.data|\.rodata)", r.g.sh("bpftool map show"), re.M)
        # In one process; it would end at the first map that it cannot read to its end.
        r.g.sh(f"echo version >/tmp/nothing; for i in {' '.join(ids)}; do bpftool -j map dump id $i >/dev/null 2>&1 && "
               "echo map dump id $i; done >/tmp/batch", timeout=120)
        dumped, size = int(r.g.sh("wc -l </tmp/batch")), int(r.g.sh("wc -c </tmp/whole"))
        collect = "ktcollect -q --btf-cache none -o /dev/null /tmp/"
        commands = {"bpftool": "bpftool -j batch file /tmp/batch", "bpftool alone": "bpftool -j batch file /tmp/nothing",
                    "ktcollect": collect + "with", "ktcollect alone": collect + "without",
                    "whole": collect + "whole", "plain": "mpjson /tmp/whole"}
        took = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                took[name].append(clock(r.g, command))
        # A leaf is what both show: counted where it is looked at whether it is the same.
        leaves, json_size, _ = compare_bpftool(r, report, facts)
        r.close()
        accel = r.g.accel
    each = {tool: [(a - b) / leaves for a, b in zip(took[tool], took[tool + " alone"])] for tool in ("bpftool", "ktcollect")}
    leaf = {**spread(a / b for a, b in zip(each["ktcollect"], each["bpftool"])), "leaves": leaves, "maps": dumped,
            "per_leaf": {tool: statistics.median(v) for tool, v in each.items()}, "target": BPFTOOL_TARGET}
    byte = {**spread(a / b for a, b in zip(took["whole"], took["plain"])), "bytes": size, "target": PLAIN_TARGET}
    print(f"# {dumped} of {len(ids)} maps, {leaves} leaves, {json_size / 1e6:.1f} MB of JSON from bpftool")
    for tool, v in leaf["per_leaf"].items():
        print(f"# {tool:10} {v:8.0f} instructions a leaf; {statistics.median(took[tool]) / 1e6:.1f} million in all, "
              f"{statistics.median(took[tool + ' alone']) / 1e6:.1f} without these maps")
    print(f"# a leaf beside bpftool: {in_words(leaf)}, target {BPFTOOL_TARGET}")
    for tool, name in (("ktcollect", "whole"), ("plain", "plain")):
        print(f"# {tool:10} {statistics.median(took[name]) / size:8.2f} instructions for a byte of {size / 1e6:.1f} MB")
    print(f"# a byte beside a plain pass: {in_words(byte)}, target {PLAIN_TARGET}", flush=True)
    record(f"host-{ctx.release}", {"kernel": ctx.release, "accelerator": accel, "instructions": took, "bpftool": leaf, "plain": byte})


test_guest.timeout = 900
test_guest.steady = 400


def median_of(costs, what):
    return statistics.median(getattr(c, what) for c in costs)


def test_plain(ctx):
    """Streams to JSON, by the byte: ktcollect, and a program that only unpacks and prints."""
    if not ktcost.can_count():
        ctx.skip("valgrind is not there to count instructions")
    plain = build_plain(ctx)
    result = {"target": PLAIN_TARGET, "streams": {}}
    print(f"# {'stream':8} {'MB':>6} {'':9} {'instr./byte':>11} {'MB/s':>6} {'peak MB':>8} {'ratio':>6}  target {PLAIN_TARGET}")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as tmp:
        streams = {name: path for name, path in STREAMS.items() if os.path.exists(path)}
        for name, data in (("entries", _streams.entries(100000)), ("pages", _streams.pages(4096))):
            streams[name] = os.path.join(tmp, name)
            with open(streams[name], "wb") as f:
                f.write(data)
        null = os.path.join(tmp, "null")
        os.symlink("/dev/null", null)
        for name, path in streams.items():
            size = os.path.getsize(path)
            commands = {"ktcollect": [os.path.join(ctx.build, "bin", "ktcollect"), "-q", "--btf-cache", "none", "-o", null, path],
                        "plain": [plain, path]}
            one = result["streams"][name] = {"bytes": size}
            costs = {tool: [] for tool in commands}
            for _ in range(ROUNDS):
                for tool, argv in commands.items():
                    costs[tool].append(ktcost.run(argv))
            for tool, argv in commands.items():
                one[tool] = {"instructions_per_byte": ktcost.instructions(argv) / size, "peak": median_of(costs[tool], "peak"),
                             "mb_per_second": size / 1e6 / median_of(costs[tool], "seconds")}
            one["ratio"] = one["ktcollect"]["instructions_per_byte"] / one["plain"]["instructions_per_byte"]
            for tool, cost in ((t, one[t]) for t in commands):
                print(f"# {name:8} {size / 1e6:>6.1f} {tool:9} {cost['instructions_per_byte']:>11.2f} {cost['mb_per_second']:>6.1f} "
                      f"{cost['peak'] / 1e6:>8.1f} {one['ratio'] if tool == 'ktcollect' else 1:>6.2f}", flush=True)
    record("plain", result)


test_plain.timeout = 600
