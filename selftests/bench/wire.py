# SPDX-License-Identifier: GPL-2.0-only
"""How much of what vsock can carry a snapshot uses.

The same bytes, through the same device, to the same host: once as a snapshot to the
collector, once as they are to a program that throws them away; and with a checksum of
each piece, as every frame has one, which an emulated CPU makes slowly.
"""
import os
import re
import socket
import statistics
import sys
import threading

from _common import wait_host
from _results import record
from maps import Zoo
from robust import socket_guest

ROUNDS = 5
TARGET = 0.9
PORT = 19286
# vhost-device-vsock hangs at larger ones, see KTD_FRAME_MAX_PAYLOAD.
CHUNKS = (16 << 10, 28 << 10)


class Sink:
    """Reads what a guest sends to PORT, and closes when it has the announced number of bytes."""

    def __init__(self, path):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        buf = bytearray(1 << 20)
        while True:
            s, _ = self.server.accept()
            with s:
                left = int.from_bytes(s.recv(8, socket.MSG_WAITALL), sys.byteorder)
                while left > 0:
                    left -= s.recv_into(buf) or left


class Line(Zoo):
    """A zoo whose vsock ends in a Unix socket."""

    def boot(self, **kw):
        return socket_guest(self.ctx, **kw)


def sent(r, nr):
    """(bytes, seconds) of the snapshot that the collector saw as the nr-th."""
    found = re.findall(r": (\d+) bytes in (\d+) ms$", r.collector.stderr(), re.M)
    return (int(found[nr][0]), int(found[nr][1]) / 1e3) if len(found) > nr else None


def test_share(ctx):
    """A snapshot of 64 MiB of arena, against as many bytes without meaning."""
    rounds = []
    with Line(ctx, "freeze_max_ms=250 buf_mib=256 sample_ms=0 prog_stats=N perf=N max_map_kib=0", mem_mib=2048) as r:
        sink = Sink(f"{r.g.uds}_{PORT}")
        r.fill("--pages 16384")
        for nr in range(ROUNDS):
            r.g.sh("echo >/sys/module/ktdump/parameters/snapshot")
            size, seconds = wait_host(lambda: r.g.check() or sent(r, nr), 300, "a snapshot")     # noqa: B023
            wait_host(lambda: len(r.paths()) > nr, 300, "its report")       # noqa: B023
            os.unlink(r.paths()[nr])
            plain, summed = (min(int(r.g.sh(f"work vsock {PORT} {size} {chunk} {how}", timeout=60)) / 1e9 for chunk in CHUNKS)
                             for how in ("", "sum"))
            rounds.append({"share": plain / seconds, "share_summed": summed / seconds, "mb": size / 1e6,
                           **{k: size / s / 1e6 for k, s in (("mb_s", seconds), ("plain_mb_s", plain), ("summed_mb_s", summed))}})
        r.taken = ROUNDS
        accel = r.g.accel
        sink.server.close()
        r.close()
    mid = {k: statistics.median(x[k] for x in rounds) for k in rounds[0]}
    shares = sorted(x["share"] for x in rounds)
    print(f"# wire: {mid['share']:.2f} of what vsock carries ({shares[0]:.2f} to {shares[-1]:.2f}; target {TARGET}), {mid['share_summed']:.2f} "
          f"of what it carries with checksums: {mid['mb']:.1f} MB at {mid['mb_s']:.0f} MB/s, and at {mid['plain_mb_s']:.0f} MB/s "
          f"as plain bytes, {mid['summed_mb_s']:.0f} MB/s with checksums")
    record(f"wire-{ctx.release}", {"accelerator": accel, "target": TARGET, "median": mid, "rounds": rounds})


test_share.timeout = 900
