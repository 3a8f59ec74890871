# SPDX-License-Identifier: GPL-2.0-only
"""BTF by content hash: what the guest offers, and collectors that answer badly.

The collector here is Python and shares no code with the module; docs/wire.md is its
source.
"""
import hashlib
import os
import socket
import struct
import sys
import threading
import time

from guest import HostStall
from _common import HOST_NOISE, wait_host
from robust import FAULT, fail, faults, insmod, socket_guest, timed_rmmod

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "unit"))
import ktwire  # noqa: E402

# Read when the CPUs run again.
LATE = {"exit", "text", "symbol", "timeline", "enum", "counter", "firing", "freeze", "section", "missing", "end"}

NAMES = {i: name for name, i in ktwire.TABLES.items()}


def unpack(b, at=0):
    """One msgpack value of those that the wire allows, and where the next one starts."""
    c, at = b[at], at + 1
    if c < 0x80:
        return c, at
    if c >= 0xE0:
        return c - 256, at
    if c in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[c], at
    for first, fmts in ((0xCC, "BHIQ"), (0xD0, "bhiq")):
        if first <= c < first + 4:
            fmt = ">" + fmts[c - first]
            return struct.unpack_from(fmt, b, at)[0], at + struct.calcsize(fmt)
    if 0xA0 <= c < 0xC0:
        kind, n = "str", c - 0xA0
    elif 0x90 <= c < 0xA0:
        kind, n = "array", c - 0x90
    else:
        kind, fmt = {0xC4: ("bin", ">B"), 0xC5: ("bin", ">H"), 0xC6: ("bin", ">I"), 0xD9: ("str", ">B"),
                     0xDA: ("str", ">H"), 0xDB: ("str", ">I"), 0xDC: ("array", ">H"), 0xDD: ("array", ">I")}[c]
        n = struct.unpack_from(fmt, b, at)[0]
        at += struct.calcsize(fmt)
    if kind == "array":
        values = []
        for _ in range(n):
            v, at = unpack(b, at)
            values.append(v)
        return values, at
    data = b[at:at + n]
    assert len(data) == n
    return data if kind == "bin" else data.decode("utf-8", "surrogateescape"), at + n


class Snapshot:
    """The rows of one snapshot, by table, as dicts; order of the frames in .order."""

    def __init__(self, nr):
        self.nr, self.tables, self.headers = nr, {}, {}
        self.rows = self.bytes = 0
        self.order = []

    def add(self, table, payload):
        at = 0
        while at < len(payload):
            row, at = unpack(payload, at)
            if table != "end":
                self.rows += 1
            if table not in self.headers or row == self.headers[table]:
                self.headers[table] = row
            else:
                self.tables.setdefault(table, []).append(dict(zip(self.headers[table], row)))
        if table != "end":
            self.bytes += len(payload)

    def check_end(self):
        end = self.tables["end"][0]
        assert (end["rows"], end["bytes"]) == (self.rows, self.bytes), (end, self.rows, self.bytes)

    def blobs(self):
        """Bytes by hash; pieces must come in order and without gaps."""
        found = {}
        for p in self.tables.get("blob", []):
            data = found.setdefault(p["hash"], bytearray())
            assert p["off"] == len(data), (p["off"], len(data))
            data += p["data"]
        return found


class Peer:
    """A collector on the Unix socket of a guest.

    on_offer(peer, conn, snapshot, send) answers an OFFER; by default everything that has
    a hash is wanted.  Whole snapshots are in .done, all that began in .begun.
    """

    def __init__(self, g, on_offer=None, snapshot=Snapshot):
        self.on_offer, self.snapshot = on_offer or want_all, snapshot
        self.done, self.begun, self.offers, self.errors = [], [], 0, []
        self.conns, self.hello = [], None
        self.ack = True
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(g.uds + "_19284")
        self.server.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.server.accept()
            except OSError:
                return
            self.conns.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            self._frames(conn)
        except (OSError, EOFError):
            pass
        except Exception as e:  # the test's own thread reports it
            self.errors.append(repr(e))
        conn.close()

    def _frames(self, conn):
        seq, snap, sent = 0, None, [0]

        def send(kind, table=0, snapshot=0):
            conn.sendall(ktwire.frame(kind, table, b"", sent[0], snapshot))
            sent[0] += 1

        def take(n):
            data = bytearray()
            while len(data) < n:
                part = conn.recv(n - len(data))
                if not part:
                    raise EOFError
                data += part
            return bytes(data)

        while True:
            h = take(24)
            magic, version, kind, table, size, got, nr, crc = struct.unpack("<IBBHIIII", h)
            assert (magic, version, got) == (ktwire.MAGIC, 1, seq), (h, seq)
            assert size + 24 <= 28 << 10, size
            payload = take(size)
            # A checksum in Python takes long: the large frames are the hashes' business.
            if size < 2048:
                assert crc == ktwire.crc32c(h[:20] + b"\0\0\0\0" + payload), (kind, seq)
            seq += 1
            if kind == ktwire.HELLO:
                names, at = unpack(payload)
                self.hello = dict(zip(names, unpack(payload, at)[0]))
                send(ktwire.HELLO)
                continue
            if kind == ktwire.BEGIN:
                snap = self.snapshot(nr)
                self.begun.append(snap)
            assert nr == snap.nr, (nr, snap.nr)
            snap.order.append((kind, NAMES.get(table, table)))
            if kind == ktwire.OFFER:
                assert not payload
                self.offers += 1
                self.on_offer(self, conn, snap, send)
                continue
            snap.add(NAMES[table], payload)
            if kind == ktwire.END:
                snap.check_end()
                self.done.append(snap)
                if self.ack:
                    send(ktwire.ACK, 0, snap.nr)

    def cut(self):
        """Ends the connections there are; the guest makes a new one."""
        for conn in self.conns:
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait(self, n, timeout=60):
        wait_host(lambda: self.errors or len(self.done) >= n, timeout, f"snapshot {n}")
        assert not self.errors, self.errors
        return self.done[n - 1]

    def close(self):
        self.server.close()


def want_all(peer, conn, snap, send):
    for i, b in enumerate(snap.tables["btf"]):
        if b["hash"]:
            send(ktwire.WANT, i, snap.nr)
    send(ktwire.GO, 0, snap.nr)


def want_none(peer, conn, snap, send):
    send(ktwire.GO, 0, snap.nr)


def silent(peer, conn, snap, send):
    pass


def start(ctx, on_offer=None, params="", files=None):
    ctx.need(ctx.ktdump_ko)
    g = socket_guest(ctx, files=files)
    peer = Peer(g, on_offer)
    insmod(g, params)
    return g, peer


def end(g, peer):
    g.sh("rmmod ktdump")
    peer.close()
    assert not peer.errors, peer.errors
    g.assert_clean_log(allow=HOST_NOISE)


def no_stall(snap):
    cut = snap.tables["freeze"][0]["truncated_at_us"]
    if cut:
        raise HostStall(f"cut at {cut} us")


def check_order(snap):
    """BEGIN, BTF rows, OFFER, what was captured, BLOB rows, what is read later, END."""
    kinds = [k for k, _ in snap.order]
    tables = [t for _, t in snap.order]
    assert kinds[0] == ktwire.BEGIN and kinds[-1] == ktwire.END, snap.order
    offer = kinds.index(ktwire.OFFER)
    assert set(tables[1:offer]) == {"btf"}, snap.order
    rest = tables[offer + 1:]
    turns = ["blob" if t == "blob" else "late" if t in LATE else "captured" for t in rest]
    assert "btf" not in rest and turns == sorted(turns, key=["captured", "blob", "late"].index), snap.order
    assert "captured" in turns and "late" in turns, snap.order


def check_btf(data):
    """The header's lengths are those of the blob, and the strings end."""
    magic, version, _, hdr_len, _, type_len, str_off, str_len = struct.unpack_from("<HBBIIIII", data)
    assert (magic, version) == (0xEB9F, 1), data[:24]
    assert hdr_len + str_off + str_len <= len(data) and type_len and data[hdr_len + str_off + str_len - 1] == 0
    return data[hdr_len + str_off:hdr_len + str_off + str_len].split(b"\0")


def test_btf(ctx):
    """Every BTF object arrives whole once, the kernel's own is its file, and later it is not sent again."""
    g, peer = start(ctx)
    fail(g)
    first = peer.wait(1)
    check_order(first)
    no_stall(first)
    rows, blobs = first.tables["btf"], first.blobs()
    assert not [m for m in first.tables.get("missing", []) if m["table"] == "btf"], first.tables["missing"]
    assert (rows[0]["kva"], rows[0]["kernel"], rows[0]["split"], rows[0]["name"]) == (0, True, False, "vmlinux"), rows[0]
    assert all(b["hash"] and not b["error"] for b in rows), rows
    assert set(blobs) == {b["hash"] for b in rows}
    for b in rows:
        data = bytes(blobs[b["hash"]])
        assert len(data) == b["size"] and hashlib.sha256(data).digest() == b["hash"], b
        check_btf(data)
    own = g.sh("sha256sum /sys/kernel/btf/vmlinux").split()[0]
    assert rows[0]["hash"].hex() == own, (rows[0], own)
    # Maps and programs of the scheduler refer to what came; its types have its names.
    by_kva = {b["kva"]: b for b in rows}
    assert len(by_kva) == len(rows), rows
    mine = [b for b in rows if not b["kernel"]]
    assert mine and any(b"error_enqueue" in check_btf(bytes(blobs[b["hash"]])) for b in mine), rows
    assert any(s["table"] == "btf" and s["seen"] == len(rows) - 1 for s in first.tables["section"]), first.tables["section"]

    peer.on_offer = want_none
    fail(g, "trigger-again")
    second = peer.wait(2)
    no_stall(second)
    check_order(second)
    assert not second.tables.get("blob"), len(second.tables["blob"])
    assert second.tables["btf"][0]["hash"] == rows[0]["hash"]
    print(f"# {len(rows)} BTF objects, {sum(len(b) for b in blobs.values()) >> 10} KiB", flush=True)
    end(g, peer)


def test_no_room(ctx):
    """BTF that does not fit a quarter of what is left: the newest is kept, the rest is named; nothing else is lost."""
    if ctx.version() < (7, 1):
        ctx.skip("no sub-schedulers")
    go = threading.Event()

    def later(peer, conn, snap, send):
        assert go.wait(60)
        want_all(peer, conn, snap, send)

    g, peer = start(ctx, later, "buf_mib=1 max_tasks=64", faults(ctx))
    # Each loader brings its own BTF of 40 KiB, the same bytes or not.
    for i in range(5):
        cgroup = f"--cgroup /sys/fs/cgroup/c{i}" if i else ""
        g.sh(f"mkdir -p /sys/fs/cgroup/c{i}")
        g.start(f"scxrun {cgroup} /sub{'child' if i else 'root'}.bpf.o", log=f"/tmp/f{i}")
        g.wait_for(f"grep -q ^attached /tmp/f{i}", timeout=60)
    # The first one takes what the second lacks then.
    g.sh(f"echo fire >{FAULT}; echo fire >{FAULT}")
    go.set()
    first, snap = peer.wait(1), peer.wait(2)
    no_stall(first)
    no_stall(snap)
    assert all(b["hash"] for b in first.tables["btf"]), first.tables["btf"]
    rows = sorted((b for b in snap.tables["btf"] if not b["kernel"]), key=lambda b: b["id"])
    kept = [b for b in rows if b["hash"]]
    lost = [b for b in rows if not b["hash"]]
    assert len(rows) == 5 and kept and lost and kept == rows[-len(kept):], rows
    assert all("quarter" in b["error"] and b["size"] for b in lost), lost
    assert sum(b["size"] for b in kept) <= (1 << 20) // 4, kept
    assert {b["hash"] for b in kept} <= set(snap.blobs())
    assert snap.tables["task"] and snap.tables["map"]
    print(f"# {[s.tables['freeze'][0]['bytes'] for s in peer.done]} bytes, {len(kept)} of {len(rows)} BTF objects kept", flush=True)
    g.sh("killall scxrun; until ! pidof scxrun >/dev/null; do usleep 20000; done", timeout=60)
    end(g, peer)


def test_wrong_answers(ctx):
    """WANTs for rows and snapshots that were not offered, WANT and GO out of turn: ignored."""
    def wrong(peer, conn, snap, send):
        n = len(snap.tables["btf"])
        for table in (n, n + 1, 512, 513, 65535):
            send(ktwire.WANT, table, snap.nr)
        send(ktwire.WANT, 0, snap.nr + 1)
        send(ktwire.GO, 0, snap.nr + 1)
        send(ktwire.GO, 0, 0)
        send(ktwire.ACK, 0, snap.nr)
        send(77, 3, snap.nr)
        if n > 1:
            send(ktwire.WANT, 1, snap.nr)
        send(ktwire.GO, 0, snap.nr)
        send(ktwire.GO, 0, snap.nr)
        send(ktwire.WANT, 0, snap.nr)

    g, peer = start(ctx, wrong)
    msg = fail(g)
    snap = peer.wait(1)
    check_order(snap)
    assert set(snap.blobs()) == {b["hash"] for b in snap.tables["btf"][1:2]}
    assert snap.tables["exit"][0]["msg"] == msg
    assert "wants BTF that was not offered" in g.dmesg()
    assert len(peer.conns) == 1, peer.conns
    end(g, peer)


def test_dies_at_offer(ctx):
    """A collector that dies between OFFER and GO, then in the middle of a BLOB: from BEGIN again, once."""
    def die(peer, conn, snap, send):
        if peer.offers == 1:
            conn.close()
        elif peer.offers == 2:
            for i in range(len(snap.tables["btf"])):
                send(ktwire.WANT, i, snap.nr)
            send(ktwire.GO, 0, snap.nr)
            got = 0
            while got < 400000:
                got += len(conn.recv(65536))
            conn.shutdown(socket.SHUT_RDWR)
            conn.close()
        else:
            want_all(peer, conn, snap, send)

    g, peer = start(ctx, die)
    msg = fail(g)
    # The back end does not always tell the guest: 30 s each time.
    snap = peer.wait(1, timeout=120)
    check_order(snap)
    assert peer.offers == 3 and [s.nr for s in peer.begun] == [1, 1, 1], peer.begun
    assert set(snap.blobs()) == {b["hash"] for b in snap.tables["btf"]}
    assert snap.tables["exit"][0]["msg"] == msg
    fail(g, "trigger-again")
    assert peer.wait(2).nr == 2
    end(g, peer)


test_dies_at_offer.timeout = 300


def test_no_answer(ctx):
    """A collector that never answers OFFER: what was captured comes at once, the rest without BTF after 20 s."""
    g, peer = start(ctx, silent)
    fail(g, "trigger0")
    wait_host(lambda: peer.offers == 1, 30, "an offer")
    since = time.monotonic()
    first = peer.wait(1, timeout=60)
    assert 10 < time.monotonic() - since < 40, time.monotonic() - since
    no_stall(first)
    check_order(first)
    assert not first.tables.get("blob") and first.tables["task"], first.tables.keys()
    peer.on_offer = want_all
    fail(g, "trigger1")
    second = peer.wait(2, timeout=60)
    check_order(second)
    assert set(second.blobs()) == {b["hash"] for b in second.tables["btf"]}
    assert [s.nr for s in (first, second)] == [1, 2] and len(peer.conns) == 1, peer.conns
    end(g, peer)


def test_unload_at_offer(ctx):
    """rmmod while the guest waits for GO, and while it sends BLOBs that nobody reads: quick and clean."""
    for answer in (silent, stuck):
        g, peer = start(ctx, answer)
        fail(g)
        wait_host(lambda: peer.offers == 1, 30, "an offer")
        time.sleep(0.5)
        timed_rmmod(g)
        assert "1 snapshots that no collector has acknowledged" in g.dmesg()
        peer.close()
        g.assert_clean_log(allow=HOST_NOISE)
        g.kill()


def stuck(peer, conn, snap, send):
    """Wants everything and reads no more."""
    want_all(peer, conn, snap, send)
    time.sleep(60)
