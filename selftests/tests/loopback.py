# SPDX-License-Identifier: GPL-2.0-only
"""The collector's AF_VSOCK side: it runs in the guest, the module reaches it by loopback."""
import os

from _common import check, exit_line, not_cut, with_libraries


def test_af_vsock(ctx):
    """ktcollect --vsock-cid admits the guest it was told to, by AF_VSOCK, and no other."""
    collect = os.path.join(ctx.build, "bin", "ktcollect")
    with ctx.guest(files=with_libraries(collect, "/bin/ktcollect")) as g:
        # CID 1 is this machine itself.
        g.start("ktcollect --vsock-cid 77 -o /tmp/other.json --timeout 20 -v", log="/tmp/other")
        g.wait_for("grep -q listening /tmp/other")
        g.sh("insmod /ktdump.ko cid=1 freeze_max_ms=250")
        g.wait_for("grep -q 'refused\\|not admitted\\|CID 1' /tmp/other")
        g.sh("killall ktcollect; until ! pidof ktcollect >/dev/null; do usleep 50000; done; test ! -e /tmp/other.json")
        g.start("ktcollect --vsock-cid 1 -o /tmp/r.json --once --timeout 60", log="/tmp/collector")
        g.wait_for("grep -q listening /tmp/collector")
        kind, msg = exit_line(g.sh("scxrun --set after=3 /error.bpf.o", timeout=60))
        g.wait_for("test -s /tmp/r.json && ! pidof ktcollect >/dev/null", timeout=60)
        path = os.path.join(ctx.tmp, "r.json")
        with open(path, "w") as f:
            f.write(g.run("cat /tmp/r.json", timeout=60)[1])
        report = check(path)
        not_cut(report)
        assert report["scx_sched_state"]["exit_kind"] == kind == 1025
        assert any(e.get("msg") == msg for e in report["ktdump"]["exits"]), report["ktdump"]["exits"]
        g.sh("rmmod ktdump")
        g.assert_clean_log()
