# SPDX-License-Identifier: GPL-2.0-only
"""What running a program costs."""
import os
import re
import shutil
import subprocess
import sys

# A process begins with the peak of the one that it was forked from, so that must be a small
# one. No peak is lower than what this one takes (11 MB).
MEASURE = """
import os, subprocess, sys, time
started = time.monotonic()
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
_, status, usage = os.wait4(p.pid, 0)
took = time.monotonic() - started
print(os.waitstatus_to_exitcode(status), took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, file=sys.stderr)
"""


class Cost:
    def __init__(self, line):
        rc, took, cpu, peak = line.split()
        self.rc, self.seconds, self.cpu, self.peak = int(rc), float(took), float(cpu), int(peak)


def run(argv, timeout=300, stdout=subprocess.DEVNULL):
    """Cost of a command that succeeds and says nothing on stderr."""
    p = subprocess.run([sys.executable, "-S", "-c", MEASURE, *argv], stdout=stdout, stderr=subprocess.PIPE, text=True,
                       timeout=timeout)
    assert p.stderr.count("\n") == 1, p.stderr[-2000:]
    cost = Cost(p.stderr)
    assert cost.rc == 0, (argv, cost.rc)
    return cost


VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


def can_count():
    return bool(shutil.which(VALGRIND[0]))


def counted(text):
    """Instructions, from what valgrind says."""
    return int(re.search(r"Collected : (\d+)", text).group(1))


def instructions(argv, timeout=600, stdout=subprocess.DEVNULL):
    """Of a command that succeeds, in user space."""
    p = subprocess.run([*VALGRIND, *argv], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
                       timeout=timeout)
    assert p.returncode == 0, p.stderr[-2000:]
    return counted(p.stderr)
