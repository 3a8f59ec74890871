# SPDX-License-Identifier: GPL-2.0-only
"""What ktcollect finds in an object file."""
import os
import re
import subprocess


def object_fields(ctx, obj):
    """(type, member): (target, in the arena[, size]) of all fields that are pointers."""
    collect = os.path.join(ctx.build, "bin", "ktcollect")
    p = subprocess.run([collect, "-v", "-o", os.path.join(ctx.tmp, "none.json"), "--sched-obj", obj, "/dev/null"],
                       capture_output=True, text=True, timeout=60)
    head = re.search(r": object 0: (\d+) programs, (\d+) left out, (\d+) fields are pointers", p.stderr)
    assert head and int(head.group(1)) and head.group(2) == "0", p.stderr
    rows = re.findall(r": (\S*)\.(\S+) at (\d+): (\S+?)( in the arena)?(?:, (\d+) bytes)?$", p.stderr, re.M)
    assert len(rows) == int(head.group(3)), p.stderr
    return {(t, m): (None if target == "?" else target, bool(arena), *(int(n) for n in [size] if n))
            for t, m, _, target, arena, size in rows}
