# SPDX-License-Identifier: GPL-2.0-only
"""A throw-away guest: one kernel, an initramfs, a root shell, virtio-vsock.

    with Guest(release="7.3", files={"/ktdump.ko": "build/kmod/.../ktdump.ko"}) as g:
        rc, out = g.run("insmod /ktdump.ko")

Works inside the build root (selftests/vm/in-root), standard library only.  On
the command line it boots a guest and runs one command:

    selftests/vm/in-root python3 selftests/vm/guest.py [-k 7.3] [CMD]
"""
import ctypes
import glob
import json
import lzma
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(REPO, "build", "guest")

# Kernels of selftests/kernel/setup, by kind: their build directories.
DEBUG_KERNELS = os.path.join(REPO, "build", "kernel")

# All waiting takes so much longer; for kernels that check everything they do.
pace = 1

# Built in or not, these and what they need are loaded at boot.
MODULES = ["vsock", "vmw_vsock_virtio_transport", "vsock_loopback", "qemu_fw_cfg"]

# Slow is not hung.
PATIENT = "rcupdate.rcu_cpu_stall_timeout=150 watchdog_thresh=60 workqueue.watchdog_thresh=0"

# The guest is gone for good after one of these.
FATAL = re.compile(r"Kernel panic|Oops: |BUG: unable to handle|general protection fault|Attempted to kill init")

# Nothing that a test does on purpose prints one of these.
BAD_LOG = [
    (re.compile(p), why) for p, why in (
        (r"WARNING: .*(CPU: |at |possible|suspicious)", "kernel warning"),
        (r"\bBUG: ", "kernel BUG"),
        (r"Oops: ", "oops"),
        (r"Kernel panic", "panic"),
        (r"possible circular locking|possible recursive locking|inconsistent lock state|"
         r"suspicious RCU usage|sleeping function called from invalid|scheduling while atomic|"
         r"[Ii]nvalid wait context|bad unlock balance|held lock freed|still held|non-static key", "lockdep"),
        (r"ODEBUG:|list_(add|del) corruption|slab-out-of-bounds|use-after-free(?! debug is enabled)", "corruption"),
        (r"rcu: INFO: .*(stall|detected)|RCU stall|self-detected stall", "RCU stall"),
        (r"took too long to run", "slow NMI handler"),
        (r"unregister_netdevice", "leaked network reference"),
        (r"Uhhuh\. NMI received for unknown reason", "NMI that nobody claimed"),
        (r"soft lockup|hard LOCKUP|blocked for more than", "lock-up"),
        (r"unchecked MSR access|KASAN|UBSAN|KCSAN", "sanitizer"),
    )
]

INIT = r"""#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
/bin/busybox --install -s /bin
export PATH=/bin:/sbin HOME=/ PS1= TERM=dumb
mkdir -p /proc /sys /dev /tmp /run /var/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do
	echo "+$c" >/sys/fs/cgroup/cgroup.subtree_control
done
ln -sf /proc/self/fd /dev/fd
ifconfig lo up 2>/dev/null
ulimit -l unlimited
while read -r m; do insmod "/modules/$m" || echo "guest: insmod $m failed"; done </modules/list
echo "guest: ready"
# The shell for commands.  A virtio port and not a second ttyS: under emulation
# the UART now and then keeps the last bytes of a line until more arrive.
port() { for p in /dev/vport*p1; do [ -c "$p" ] && return; done; false; }
until port; do sleep 0.05; done
exec 3<>"$p"
echo "guest: shell" >&3
setsid sh <&3 >&3 2>&1
poweroff -f
"""


class GuestError(Exception):
    """The guest did something it should not have done."""


class GuestCrash(GuestError):
    """Panic, oops or an unexpected end of QEMU."""


class EmulatorFault(GuestCrash):
    """QEMU crashed, or its emulation ran an int3 that the kernel had long patched away, or let
    a debug kernel find a bug or hang while it boots.

    With several CPU threads TCG now and then runs a stale translation of text that the
    kernel patches (a static branch flips: every scheduler that comes or goes does that).
    The breakpoint's place is not one that is being patched any more, so the kernel dies of
    it; the code in the oops has no int3 before the instruction pointer.
    """


class HostStall(Exception):
    """The host was too busy with others for the guest to show what the test is about.

    Emulated CPUs are threads of a busy machine, and their freeze has a deadline.  Whoever
    runs the test begins anew, twice at most: a module that always takes too long fails.
    """


class GuestTimeout(GuestError):
    """The guest did not answer in time."""


def releases():
    """Installed kernels, the default one first."""
    try:
        with open("/opt/kernels/default") as f:
            wanted = f.read().split()
    except OSError:
        wanted = sorted((os.path.basename(os.path.dirname(p)) for p in glob.glob("/usr/lib/modules/*/build")),
                        key=lambda r: [int(n) for n in re.findall(r"\d+", r)[:3]], reverse=True)
    return [r for r in wanted if os.path.isdir(f"/usr/lib/modules/{r}")]


def debug_kernel(release):
    """The build directory of a debug kernel, None for one of Debian's."""
    path = os.path.join(DEBUG_KERNELS, release.rpartition("-")[2])
    return path if os.path.exists(os.path.join(path, "stamp")) else None


def modules_dir(release):
    return debug_kernel(release) or f"/usr/lib/modules/{release}"


def find_release(name):
    """The full release for "7.3", for a full release, or for None (the default)."""
    if name and (debug_kernel(name) or "+" in name) and os.path.isdir(modules_dir(name)):
        return name
    for r in releases():
        if name is None or r == name or r.startswith(name + "."):
            return r
    raise GuestError(f"no kernel {name or ''} in the build root (there are: {', '.join(releases()) or 'none'})")


def vmlinuz(release):
    for path in (f"{modules_dir(release)}/vmlinuz", f"/boot/vmlinuz-{release}"):
        if os.path.exists(path):
            return path
    raise GuestError(f"no vmlinuz of {release}")


# ------------------------------------------------------------------ initramfs

class Cpio:
    """Writes a "newc" archive.  Unlike cpio(1) it needs no root for nodes."""

    def __init__(self):
        self.parts, self.ino, self.dirs = [], 1, set()

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        name = name.lstrip("/").encode() + b"\0"
        head = "070701" + "".join("%08x" % v for v in (
            self.ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(name), 0))
        self.ino += 1
        for part in (head.encode() + name, data):
            self.parts.append(part + b"\0" * (-len(part) % 4))

    def mkdir(self, path):
        path = path.strip("/")
        if path and path not in self.dirs:
            self.mkdir(os.path.dirname(path))
            self.dirs.add(path)
            self._entry(path, stat.S_IFDIR | 0o755)

    def add(self, path, data, mode=0o755):
        self.mkdir(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data)

    def node(self, path, major, minor):
        self.mkdir(os.path.dirname(path))
        self._entry(path, stat.S_IFCHR | 0o600, b"", (major, minor))

    def bytes(self):
        self._entry("TRAILER!!!", 0)
        data = b"".join(self.parts)
        return data + b"\0" * (-len(data) % 512)


def module_files(release, names):
    """Paths of the modules and all they depend on, in loading order."""
    base = modules_dir(release)
    deps = {}
    with open(f"{base}/modules.dep") as f:
        for line in f:
            path, _, rest = line.partition(":")
            deps[path] = rest.split()
    by_name = {os.path.basename(p).split(".")[0].replace("-", "_"): p for p in deps}
    out = []

    def visit(path):
        for dep in reversed(deps[path]):
            visit(dep)
        if path not in out:
            out.append(path)

    for name in names:
        if name in by_name:
            visit(by_name[name])
    return [os.path.join(base, p) for p in out]


def base_archive(release):
    """busybox, init and modules; written once for each kernel and recipe."""
    path = os.path.join(CACHE, f"initramfs-{release}")
    newest = max(os.path.getmtime(p) for p in (os.path.abspath(__file__), f"{modules_dir(release)}/modules.dep"))
    if os.path.exists(path) and os.path.getmtime(path) > newest:
        return path
    ar = Cpio()
    for d in ("proc", "sys", "dev", "tmp", "run", "bin", "sbin", "modules"):
        ar.mkdir(d)
    ar.node("/dev/console", 5, 1)
    ar.node("/dev/null", 1, 3)
    busybox = shutil.which("busybox") or "/bin/busybox"
    with open(busybox, "rb") as f:
        ar.add("/bin/busybox", f.read())
    names = []
    for mod in module_files(release, MODULES):
        with open(mod, "rb") as f:
            data = f.read()
        if mod.endswith(".xz"):
            data = lzma.decompress(data)
        elif mod.endswith(".zst"):
            data = subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
        names.append(os.path.basename(mod).split(".")[0] + ".ko")
        ar.add("/modules/" + names[-1], data, 0o644)
    ar.add("/modules/list", "".join(n + "\n" for n in names).encode(), 0o644)
    ar.add("/init", INIT.encode())
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{path}.{os.getpid()}", "wb") as f:
        f.write(ar.bytes())
    os.rename(f"{path}.{os.getpid()}", path)
    return path


# ---------------------------------------------------------------- accelerator

def accelerator():
    """"kvm" where it really boots a kernel, else "tcg".  Decided once."""
    note = os.path.join(CACHE, "accel")
    try:
        with open(note) as f:
            return f.read().strip()
    except OSError:
        pass
    accel = "tcg"
    # /dev/kvm alone proves nothing: nested or paravirtual KVM may be unable to
    # run a stock kernel.
    with open("/proc/cpuinfo") as f:
        capable = re.search(r"^flags\s*:.*\b(vmx|svm)\b", f.read(), re.M)
    if capable and os.access("/dev/kvm", os.R_OK | os.W_OK):
        try:
            with Guest(accel="kvm", boot_timeout=20) as g:
                g.run("true")
            accel = "kvm"
        except (GuestError, OSError) as e:
            print(f"guest: KVM does not work here ({e}); using TCG", file=sys.stderr)
    os.makedirs(CACHE, exist_ok=True)
    with open(note, "w") as f:
        f.write(accel + "\n")
    return accel


def _die_with_parent():
    """A killed test run must not leave QEMU behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def usable(device):
    """Whether a device file is there and may be opened."""
    try:
        os.close(os.open(device, os.O_RDWR))
        return True
    except OSError:
        return False


def ran_stale_code(console):
    """Whether the oops is about an int3 that is not there, outside our module: see EmulatorFault."""
    _, _, oops = console.partition("Oops: int3")
    rip = re.search(r"RIP: 0010:.*", oops)
    code = re.search(r"Code: .*?(\w\w) <", oops)
    return bool(rip and code) and "[ktdump]" not in rip.group(0) and code.group(1) != "cc"


def complaints(console, allow=()):
    """Lines of the kernel log that no test should cause."""
    out = []
    for line in console.splitlines():
        for pattern, why in BAD_LOG:
            if pattern.search(line) and not any(re.search(a, line) for a in allow):
                out.append(f"{why}: {line.strip()}")
                break
    return out


class Guest:
    """One running guest; a context manager that always cleans up."""

    def __init__(self, release=None, cpus=4, nodes=2, mem_mib=1024, cid=None, files=None,
                 log_dir=None, cmdline="", accel=None, boot_timeout=90, qemu_args=()):
        self.release = find_release(release)
        if debug_kernel(self.release):
            mem_mib *= 4        # KASAN's shadow of an arena's 4 GiB alone are 512 MiB
        self.cid = cid or random.randrange(1000, 1 << 20)
        self.uds = None
        self.boot_seconds = None
        self.accel = accel or accelerator()
        self._procs, self._agent, self._buf = [], None, b""
        self.qemu = None
        # A Unix socket path has at most 107 bytes, so not under build/.
        self._run_dir = tempfile.mkdtemp(prefix="kt-", dir="/tmp")
        self.log_dir = log_dir or self._run_dir
        os.makedirs(self.log_dir, exist_ok=True)
        self.console_path = os.path.join(self.log_dir, "console.log")
        open(self.console_path, "w").close()
        try:
            self._start(cpus, nodes, mem_mib, files or {}, cmdline, self.accel, qemu_args)
            self._boot(boot_timeout)
        except BaseException:
            self.kill()
            raise

    # ---- life

    def _spawn(self, argv, name):
        log = open(os.path.join(self.log_dir, name + ".log"), "wb")
        with log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                 preexec_fn=_die_with_parent, start_new_session=True)
        self._procs.append(p)
        return p

    def _path(self, name):
        return os.path.join(self._run_dir, name)

    def _start(self, cpus, nodes, mem_mib, files, cmdline, accel, qemu_args):
        extra = Cpio()
        for dst, src in files.items():
            with open(src, "rb") as f:
                extra.add(dst, f.read(), os.stat(src).st_mode & 0o777)
        with open(self._path("initrd"), "wb") as out:
            with open(base_archive(self.release), "rb") as base:
                shutil.copyfileobj(base, out)
            out.write(extra.bytes())

        argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-accel", "tcg,thread=multi" if accel == "tcg" else accel,
                "-machine", "q35", "-cpu", "host" if accel == "kvm" else "max",
                "-m", str(mem_mib)]
        nodes = max(1, min(nodes, cpus))
        # One socket a node: the kernel warns about caches that span nodes.
        sockets = nodes if cpus % nodes == 0 else 1
        argv += ["-smp", f"{cpus},sockets={sockets},cores={cpus // sockets}"]
        per = cpus // nodes
        for n in range(nodes):
            first, last = n * per, cpus - 1 if n == nodes - 1 else (n + 1) * per - 1
            # vhost-user needs memory that the other process can map.
            argv += ["-object", f"memory-backend-memfd,id=mem{n},size={mem_mib // nodes}M,share=on",
                     "-numa", f"node,nodeid={n},cpus={first}-{last},memdev=mem{n}"]

        argv += self._vsock()
        argv += ["-chardev", f"file,id=con,path={self.console_path}", "-serial", "chardev:con",
                 "-chardev", f"socket,id=sh,path={self._path('sh')},server=on,wait=off",
                 "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=sh,nr=1",
                 "-qmp", f"unix:{self._path('qmp')},server=on,wait=off", "-device", "vmcoreinfo",
                 "-kernel", vmlinuz(self.release), "-initrd", self._path("initrd"),
                 "-append", f"console=ttyS0 panic=-1 oops=panic {PATIENT if pace > 1 else ''} {cmdline}".strip()]
        self.qemu = self._spawn(argv + list(qemu_args), "qemu")

    def _vsock(self):
        """QEMU's arguments for virtio-vsock: the kernel's back end, else the one in user space."""
        if usable("/dev/vhost-vsock") and os.environ.get("KTDUMP_VSOCK") != "user":
            return ["-device", f"vhost-vsock-pci,guest-cid={self.cid}"]
        daemon = shutil.which("vhost-device-vsock") or "/opt/vhost-device-vsock/usr/bin/vhost-device-vsock"
        if not os.path.exists(daemon):
            raise GuestError("neither /dev/vhost-vsock nor vhost-device-vsock is here")
        self.uds = self._path("v")
        d = self._spawn([daemon, "--guest-cid", str(self.cid), "--socket", self._path("vu"),
                         "--uds-path", self.uds], "vsock")
        end = time.monotonic() + 10
        while not os.path.exists(self._path("vu")):
            if d.poll() is not None or time.monotonic() > end:
                raise GuestError(f"vhost-device-vsock did not start, see {self.log_dir}/vsock.log")
            time.sleep(0.01)
        return ["-chardev", f"socket,id=vs,path={self._path('vu')}", "-device", "vhost-user-vsock-pci,chardev=vs"]

    def collector_args(self):
        """How ktcollect is told to listen for this guest."""
        return ["--uds", self.uds] if self.uds else ["--vsock-cid", str(self.cid)]

    def _boot(self, timeout):
        start = time.monotonic()
        # What the guest says before anybody is connected is lost: connect early.
        self._wait(lambda: os.path.exists(self._path("sh")), timeout, "QEMU")
        self._agent = socket.socket(socket.AF_UNIX)
        self._agent.settimeout(0.1)
        while True:
            try:
                self._agent.connect(self._path("sh"))
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        emulated = self.accel == "tcg" and debug_kernel(self.release)
        try:
            # A debug kernel takes half a minute to boot, or hangs in it.
            self._wait(self._shell, timeout / 3 if emulated else timeout, "boot")
        except GuestTimeout as e:
            if not emulated:
                raise
            raise EmulatorFault(f"nothing of ours is there yet: {e}") from None
        self.boot_seconds = time.monotonic() - start
        bad = [c for c in self.complaints() if "BUG: " in c]
        if bad and emulated:
            raise EmulatorFault(f"nothing of ours is there yet, and {bad[0]}, see {self.console_path}")

    def _shell(self):
        """Whether the shell has said that it is there."""
        try:
            self._buf += self._agent.recv(4096)
        except socket.timeout:
            pass
        return b"guest: shell" in self._buf

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.shutdown()
        else:
            self.kill()

    def alive(self):
        return self.qemu is not None and self.qemu.poll() is None

    def check(self):
        """Raises when the guest has died."""
        text = self.console()
        bad = FATAL.search(text)
        if bad:
            # The rest of the oops is on its way; panic=-1 ends QEMU after it.
            end = time.monotonic() + 5
            while self.alive() and time.monotonic() < end:
                time.sleep(0.1)
            stale = self.accel == "tcg" and ran_stale_code(self.console())
            raise (EmulatorFault if stale else GuestCrash)(
                f"the guest crashed ({bad.group(0).strip()}), see {self.console_path}")
        if not self.alive():
            code = self.qemu.returncode
            # SIGABRT: an assertion of QEMU's own failed, which it says in qemu.log.
            fault = self.accel == "tcg" and code in (-signal.SIGABRT, -signal.SIGSEGV)
            raise (EmulatorFault if fault else GuestCrash)(f"QEMU ended with code {code}, see {self.console_path} and qemu.log")

    def _wait(self, what, timeout, name):
        end = time.monotonic() + timeout * pace
        while not what():
            self.check()
            if time.monotonic() > end:
                raise GuestTimeout(f"{name}: nothing after {timeout} s, see {self.console_path}")
            time.sleep(0.05)

    def wait_console(self, pattern, timeout=30):
        """Waits until the console matches; returns the match."""
        found = []

        def look():
            found[:] = [re.search(pattern, self.console())]
            return found[0]
        self._wait(look, timeout, f"waiting for {pattern!r}")
        return found[0]

    def shutdown(self, timeout=10):
        """Powers off; kills what does not go."""
        try:
            if self.alive() and self._agent:
                self._agent.sendall(b"sync; poweroff -f\n")
                self.qemu.wait(timeout)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self):
        if self._agent:
            self._agent.close()
            self._agent = None
        for p in reversed(self._procs):
            if p.poll() is None:
                p.kill()
            p.wait()
        self._procs = []
        if self.log_dir == self._run_dir:
            # Whoever asked for no log directory gets the log only of a crash.
            keep = tempfile.gettempdir() + f"/{os.path.basename(self._run_dir)}-console.log"
            if FATAL.search(self.console()):
                shutil.copy(self.console_path, keep)
                self.console_path = keep
        shutil.rmtree(self._run_dir, ignore_errors=True)

    # ---- work

    def console(self):
        try:
            with open(self.console_path, errors="replace") as f:
                return f.read().replace("\r", "")
        except OSError:
            return ""

    def run(self, cmd, timeout=30, check=False):
        """Runs a shell command as root; returns (exit code, output)."""
        mark = f"kt{random.randrange(1 << 40):x}"
        # The marker is put together by the guest, so an echo cannot fake it.
        line = f"( {cmd}\n) </dev/null 2>&1; printf '\\n%s%s %s\\n' {mark} . $?\n"
        self._buf = b""
        self._agent.sendall(line.encode())
        end = time.monotonic() + timeout * pace
        done = re.compile(rb"\n" + mark.encode() + rb"\. (\d+)\n")
        while True:
            m = done.search(self._buf)
            if m:
                break
            try:
                data = self._agent.recv(65536)
                self._buf += data
                if not data:
                    time.sleep(0.1)
                    self.check()
            except socket.timeout:
                self.check()
            if time.monotonic() > end:
                raise GuestTimeout(f"no answer to {cmd!r} after {timeout} s, only {self._buf[-300:]!r}, "
                                   f"see {self.console_path}")
        out = self._buf[:m.start()].decode(errors="replace").replace("\r", "")
        rc = int(m.group(1))
        if check and rc:
            raise GuestError(f"{cmd!r} exited with {rc}: {out.strip()[-500:]}")
        return rc, out

    def sh(self, cmd, timeout=30):
        """run() that wants exit code 0; returns the output."""
        return self.run(cmd, timeout, check=True)[1].strip()

    def start(self, cmd, log="/dev/null"):
        """Starts a command in the background; returns its pid."""
        return int(self.sh(f"setsid sh -c {shell_quote('exec ' + cmd)} >{log} 2>&1 & echo $!").split()[-1])

    def wait_for(self, cmd, timeout=30, every=0.2):
        """Waits until a shell command succeeds in the guest."""
        end = time.monotonic() + timeout * pace
        while True:
            rc, out = self.run(cmd, timeout=timeout)
            if rc == 0:
                return out.strip()
            if time.monotonic() > end:
                raise GuestTimeout(f"{cmd!r} still fails after {timeout} s: {out.strip()[-300:]}")
            time.sleep(every)

    def dmesg(self):
        return self.run("dmesg")[1]

    def complaints(self, allow=()):
        return complaints(self.console(), allow)

    def assert_clean_log(self, allow=()):
        """Fails when the kernel has complained; allow = patterns to overlook."""
        bad = self.complaints(allow)
        if bad:
            raise AssertionError("the kernel log has:\n" + "\n".join(bad[:10]))

    def qmp(self, command, timeout=30, **args):
        """One QMP command on a fresh connection; returns its result."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(self._path("qmp"))
            f = s.makefile("rw")
            f.readline()
            result = None
            for c, a in (("qmp_capabilities", {}), (command, args)):
                f.write(json.dumps({"execute": c, "arguments": a}) + "\n")
                f.flush()
                while True:
                    line = f.readline()
                    if not line:
                        raise GuestError(f"QMP {c}: connection lost")
                    reply = json.loads(line)
                    if "error" in reply:
                        raise GuestError(f"QMP {c}: {reply['error'].get('desc')}")
                    if "return" in reply:
                        result = reply["return"]
                        break
            return result


    def post_mortem(self):
        """What there is to see of a guest in which a test failed; one line, the rest in post-mortem.log."""
        if not self.alive() or not self._agent:
            return "the guest is gone"
        said, log = [], []

        def look(name, read, short=None):
            try:
                text = read()
                log.append(f"==== {name}\n{text}\n")
                if short:
                    said.append(short(text))
            except (GuestError, OSError, ValueError, KeyError) as e:
                log.append(f"==== {name}: {e}\n")
                said.append(f"{name}: no answer")

        # Twice: what has not moved meanwhile stands still.
        for i in (1, 2):
            look(f"registers {i}", lambda: self.qmp("human-monitor-command", timeout=10, **{"command-line": "info registers -a"}),
                 lambda text: "RIP " + " ".join(ip.lstrip("0") + (" halted" if halted == "1" else "") for ip, halted in
                                                re.findall(r"RIP=([0-9a-f]+).*?HLT=(\d)", text, re.S)))
            time.sleep(1)
        for name, cmd in (("uptime", "cat /proc/uptime"), ("kernel log", "dmesg | tail -n 60"), ("tasks", "ps -o pid,stat,time,comm"),
                          ("stacks", "cd /proc; for p in [0-9]*; do [ -s $p/stack ] && echo $p $(cat $p/comm $p/stack); done"),
                          ("sched_ext", "cat /sys/kernel/sched_ext/state /sys/kernel/debug/sched/ext"),
                          ("interrupts", "cat /proc/interrupts"), ("ktdump", "cat /sys/kernel/debug/ktdump/*")):
            look(name, lambda cmd=cmd: self.run(cmd, timeout=10)[1], str.strip if name == "uptime" else None)
            if said[-1] == f"{name}: no answer":
                break
        with open(os.path.join(self.log_dir, "post-mortem.log"), "w", encoding="utf-8", errors="replace") as f:
            f.write("\n".join(log))
        return "the guest: " + "; ".join(said)


def shell_quote(s):
    return "'" + s.replace("'", "'\\''") + "'"


def main():
    args = sys.argv[1:]
    release = None
    if args[:1] == ["-k"]:
        release, args = args[1], args[2:]
    with Guest(release=release) as g:
        print(f"guest: {g.release} is up after {g.boot_seconds:.1f} s", file=sys.stderr)
        rc, out = g.run(" ".join(args) or "uname -a", timeout=600)
        sys.stdout.write(out)
        bad = g.complaints()
        if bad:
            print("guest: the kernel log has:\n  " + "\n  ".join(bad), file=sys.stderr)
    return rc


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
