# SPDX-License-Identifier: GPL-2.0-only
"""Very many captures, with CPUs, memory and the module itself coming and going beside them.

A few in "make check", KTDUMP_CYCLES (10,000) of each kind and a tenth as many loads of
the module in "make check-kernel".
"""
import os

import guest
from _common import HOST_NOISE, Rig
from handshake import Peer, Snapshot, want_none
from robust import FAULT, fail, faults, insmod, socket_guest

CYCLES = int(os.environ.get("KTDUMP_CYCLES", 10000 if guest.pace > 1 else 40))
# Waiting at one time; the buffer holds more.
BATCH = 20

HOTPLUG = r"""while [ ! -e /tmp/stop ]; do
	for c in 1 2 3; do for s in 0 1; do echo $s >/sys/devices/system/cpu/cpu$c/online; done; done
	echo hotplug >>/tmp/rounds-hotplug
done"""
# All memory but 96 MiB, again and again.
MEMORY = r"""mkdir /fill; mount -t tmpfs -o size=100% fill /fill; while [ ! -e /tmp/stop ]; do
	dd if=/dev/zero of=/fill/x bs=1M count=$(($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) / 1024 - 96)) 2>/dev/null
	rm -f /fill/x; echo 3 >/proc/sys/vm/drop_caches; echo memory >>/tmp/rounds-memory
done"""
UNLOADS = r"""n=0; while [ $n -lt %d ]; do
	insmod /ktdump.ko freeze_max_ms=250 cid=1 || exit 1
	(for k in fire fire_nmi fire_irq fire; do [ ! -e %s ] || echo $k >%s; done) 2>/dev/null &
	usleep $((n %% 23 * 3000)); rmmod ktdump || exit 1; wait; n=$((n+1))
done"""


class Light(Snapshot):
    """What the stream says about itself; the rest is only counted."""

    def add(self, table, payload):
        if table in ("end", "freeze"):
            super().add(table, payload)
        else:
            self.bytes += len(payload)

    def check_end(self):
        assert self.tables["end"][0]["bytes"] == self.bytes, (self.tables["end"], self.bytes)


def beside(g, *scripts):
    for text in scripts:
        g.start("sh -c '" + text.replace("'", "'\\''") + "'")


def captures(ctx, *scripts):
    """CYCLES captures of a scheduler that goes on, with the scripts beside."""
    ctx.need(ctx.ktdump_ko)
    g = socket_guest(ctx, files=faults(ctx), mem_mib=512 if guest.pace == 1 else 256)      # a debug kernel gets four times as much
    peer = Peer(g, want_none, Light)
    try:
        insmod(g)
        g.start("scxrun /simple.bpf.o", log="/tmp/s")
        g.wait_for("grep -q ^attached /tmp/s")
        g.start("work sleepers busy 8")
        beside(g, *scripts)
        done = 0
        while done < CYCLES:
            g.sh(f"i=0; while [ $i -lt {BATCH // 2} ]; do echo fire >{FAULT}; echo fire_nmi >{FAULT}; i=$((i+1)); done",
                 timeout=120)
            done += BATCH
            peer.wait(done, timeout=120)
            g.check()
        # All of them have come round at least once.
        g.wait_for(f"[ $(cat /tmp/rounds-* 2>/dev/null | sort -u | wc -l) = {len(scripts)} ]", timeout=90)
        print("# " + " ".join(g.sh("touch /tmp/stop; cat /tmp/rounds-* 2>/dev/null | sort | uniq -c").split()), flush=True)
        freezes = [s.tables["freeze"][0] for s in peer.done]
        late = sum(f["gave_up"] for f in freezes)
        print(f"# {len(freezes)} captures, held {max(f['held_ns'] for f in freezes) / 1e6:.1f} ms at most, "
              f"{late} times a CPU left by its own deadline", flush=True)
        g.sh("killall scxrun work; rmmod ktdump", timeout=60)
        g.assert_clean_log(allow=HOST_NOISE)
    finally:
        peer.close()


def test_triggers(ctx):
    """Captures of a living scheduler one after the other, from tasks and NMIs: each arrives whole in form."""
    captures(ctx)


def test_beside(ctx):
    """The same while CPUs go and come and memory runs short."""
    captures(ctx, HOTPLUG, MEMORY)


def test_unload(ctx):
    """The module is loaded and unloaded while exits come from all contexts, and schedulers and CPUs come and go."""
    with Rig(ctx, insmod=False, files=faults(ctx)) as r:
        beside(r.g, HOTPLUG, "while [ ! -e /tmp/stop ]; do scxrun --set after=3 /error.bpf.o; done")
        n = CYCLES // 20
        for _ in range(n):
            r.g.sh(UNLOADS % (2, FAULT, FAULT), timeout=150)
            r.g.assert_clean_log(allow=HOST_NOISE)
        r.g.sh("touch /tmp/stop; while pidof scxrun; do usleep 100000; done", timeout=60)
        r.insmod()
        fail(r.g)
        r.report(whole=False)
        print(f"# {2 * n} times loaded and unloaded", flush=True)


for fn in (test_triggers, test_beside, test_unload):
    fn.timeout = 180 if CYCLES < 1000 else 3600
