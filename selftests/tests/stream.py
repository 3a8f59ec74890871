# SPDX-License-Identifier: GPL-2.0-only
"""/dev/ktdump: what waits for a collector, for guests that have no vsock."""
import base64
import gzip
import json
import os
import subprocess

from _common import FREEZE, HOST_NOISE, check, wait_host

FAIL = ("scxrun /error.bpf.o >/tmp/o & P=$!; until grep -q ^attached /tmp/o; do usleep 20000; done; "
        "work once trigger; wait $P")


def facts(path):
    """A report without what tells which way it came."""
    report = json.load(open(path))
    for b in report["ktdump"]["btf"]:
        b.pop("source", None)
    return report


def test_cat(ctx):
    """Two snapshots through cat and a console: the reports that the collector makes, fact for fact."""
    ctx.need(ctx.ktdump_ko)
    g = ctx.guest()
    g.sh(f"insmod /ktdump.ko {FREEZE} early_percent=0", timeout=60)
    rc, out = g.run("cat /dev/ktdump")
    assert rc and "No data available" in out, (rc, out)
    assert g.sh("stat -c %a /dev/ktdump").strip() == "400"
    g.sh("echo >/sys/module/ktdump/parameters/snapshot")
    g.sh(FAIL, timeout=60)
    # The second is complete when its scheduler is torn down.
    g.wait_for("cat /dev/ktdump >/tmp/s && [ $(grep -c 'error on demand' /tmp/s) -gt 0 ]", timeout=60)
    g.sh("cat /dev/ktdump | cmp - /tmp/s", timeout=60)
    rc, out = g.run("exec 3</dev/ktdump; cat /dev/ktdump; cat <&3 | cmp - /tmp/s && echo same", timeout=60)
    assert "busy" in out and out.endswith("same\n"), out
    rc, out = g.run("rmmod ktdump 3</dev/ktdump")
    assert rc and "in use" in out or "busy" in out or "temporarily" in out, out
    data = gzip.decompress(base64.b64decode(g.sh("gzip -c /tmp/s | base64", timeout=120)))
    path = os.path.join(ctx.tmp, "stream")
    with open(path, "wb") as f:
        f.write(data)
    from_file = subprocess.run([os.path.join(ctx.build, "bin", "ktcollect"), path, "-o", os.path.join(ctx.tmp, "file") + "/"],
                               stdout=subprocess.PIPE, check=True).stdout.decode().split()
    c = ctx.collector(g, output=os.path.join(ctx.tmp, "vsock") + "/")
    wait_host(lambda: g.check() or c.stdout().count(".json") == 2, 60, "two reports")
    from_vsock = c.stdout().split()
    print(f"# {len(data)} bytes", flush=True)
    assert len(from_file) == len(from_vsock) == 2, (from_file, from_vsock)
    for a, b in zip(from_file, from_vsock):
        check(a)
        assert facts(a)["ktdump"]["incomplete"] is False
        assert facts(a) == facts(b), (a, b)
    assert facts(from_file[1])["ktdump"]["exits"][0]["msg"].startswith("ktdump selftest: error on demand")
    assert {b["source"] for b in json.load(open(from_file[0]))["ktdump"]["btf"] if "source" in b} == {"stream"}
    # Once they are acknowledged they are gone.
    g.wait_for("! cat /dev/ktdump", timeout=30)
    # Kernel memory: closed where lockdown closes /proc/kcore.
    c.stop()
    g.sh("echo >/sys/module/ktdump/parameters/snapshot")
    g.wait_for("cat /dev/ktdump >/tmp/s", timeout=60)
    g.sh("mount -t securityfs securityfs /sys/kernel/security && echo confidentiality >/sys/kernel/security/lockdown")
    rc, out = g.run("cat /dev/ktdump")
    assert rc and "not permitted" in out, (rc, out[-200:])
    g.sh("rmmod ktdump && ! [ -e /dev/ktdump ]", timeout=60)
    g.assert_clean_log(allow=HOST_NOISE)


test_cat.once = True
