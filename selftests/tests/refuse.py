# SPDX-License-Identifier: GPL-2.0-only
"""Where the module must not load."""
import lzma
import os
import subprocess

import guest


def unpacked(ctx, release, name):
    """A module of the kernel and what it needs, decompressed; in loading order."""
    out = []
    for path in guest.module_files(release, [name]):
        plain = os.path.join(ctx.tmp, os.path.basename(path).removesuffix(".xz"))
        with (lzma.open if path.endswith(".xz") else open)(path) as src, open(plain, "wb") as dst:
            dst.write(src.read())
        out.append(plain)
    return out


def test_no_sched_ext(ctx):
    """Debian's stock kernel is built without sched_ext: one clear line, and no module."""
    try:
        with open("/opt/kernels/without") as f:
            release = f.read().strip()
    except OSError:
        ctx.skip("the build root has no kernel without sched_ext")
    ko = os.path.join(ctx.build, "kmod", release, "ktdump.ko")
    p = subprocess.run(["make", "--no-print-directory", "module", f"KDIR=/usr/lib/modules/{release}/build"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert p.returncode == 0, p.stdout[-2000:]
    # 6.12 has crc32c() in a module of its own.
    needs = unpacked(ctx, release, "libcrc32c")
    files = {"/" + os.path.basename(path): path for path in [ko, *needs]}
    with ctx.guest(files=files, release=release) as g:
        for path in needs:
            g.sh("insmod /" + os.path.basename(path))
        before = g.sh("dmesg | grep -c 'ktdump: '; true")
        rc, out = g.run("insmod /ktdump.ko")
        assert rc and "not supported" in out, (rc, out)
        said = [line for line in g.sh("dmesg | grep 'ktdump: '").splitlines()[int(before):] if "taint" not in line]
        assert all("this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT is off)" in line for line in said), said
        # busybox's insmod tries a second way to load a module when the first fails
        assert 1 <= len(said) <= 2, said
        assert "ktdump" not in g.sh("cat /proc/modules")
        g.assert_clean_log()


test_no_sched_ext.once = True
