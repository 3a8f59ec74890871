# SPDX-License-Identifier: GPL-2.0-only
"""BPF programs."""
from drgn.helpers.linux.bpf import bpf_prog_for_each
from drgn.helpers.linux.percpu import per_cpu_ptr

from .kernel import fill, num, text

STRUCT_OPS = 27  # BPF_PROG_TYPE_STRUCT_OPS


def program(k, prog, sub):
    aux = prog.aux
    one = {"kva": num(prog), "id": None if sub else num(aux.id), "name": text(aux.name), "ksym": text(aux.ksym.name),
           "has_stats": False}
    one.update(dict.fromkeys(("cnt", "nsecs", "misses", "used_maps")))
    fill(one, prog, type="type")
    fill(one, aux, ksym_start="ksym.start", ksym_end="ksym.end", verified_insns="verified_insns", attach_btf_id="attach_btf_id",
         member_off="attach_st_ops_member_off")
    if not sub:
        one["used_maps"] = [num(aux.used_maps[i]) for i in range(num(aux.used_map_cnt))]
        one["has_stats"] = bool(prog.stats)
        if prog.stats:
            for key in ("cnt", "nsecs", "misses"):
                one[key] = sum(num(per_cpu_ptr(prog.stats, cpu).member_(key).v.a.a) for cpu in k.cpus)
    return one


def progs(k, out):
    rows = out["ktdump"]["progs"] = []
    for prog in bpf_prog_for_each(k.prog):
        rows.append(program(k, prog, False))
        for i in range(1, num(prog.aux.func_cnt)):
            rows.append(program(k, prog.aux.func[i], True))
    stats = [{key: p[key] for key in ("name", "cnt", "nsecs", "misses")} for p in rows
             if p["type"] == STRUCT_OPS and p["has_stats"]]
    if stats:
        out["prog_runtime_stats"] = stats


def facts(k, out):
    progs(k, out)
