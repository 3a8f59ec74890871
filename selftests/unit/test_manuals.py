#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Manual pages and completions: python3 test_manuals.py PATH/TO/ktcollect [NAME]...

That each option which --help tells of is in all of them, and none that is not. Prints KTAP.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import kttap  # noqa: E402
import test_validate as tv  # noqa: E402

TESTS = []
TOP = os.path.join(HERE, "..", "..")
COMMANDS = ("snapshot", "show", "diff", "html", "trace", "validate")


def test(f):
    TESTS.append(f)
    return f


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


def options(command=None):
    """What --help lists, short and long."""
    p = subprocess.run([tv.KTCOLLECT, *([command] if command else []), "--help"], capture_output=True, text=True, timeout=10)
    assert p.returncode == 0 and not p.stderr, p
    assert all(len(line) <= 90 for line in p.stdout.splitlines()), command
    return set(re.findall(r"(?m)^ +(--[a-z-]+|-[a-zA-Z](?=,| +--|$))", p.stdout)) | set(re.findall(r"(?m)^ +-[a-zA-Z], (--[a-z-]+)", p.stdout))


@test
def every_option_has_its_place():
    man, bash, zsh = read("man", "ktcollect.1.rst"), read("host", "completion", "ktcollect"), read("host", "completion", "_ktcollect")
    everything = set()
    for command in (None, *COMMANDS):
        found = options(command)
        assert len(found) > 1 or command == "validate", (command, found)
        everything |= found
        for o in found:
            assert re.search(rf"(?m)^(-[-\w, ]*[ ,])?{o}(?![\w-])", man), f"{o} of {command} is not in the manual"
            assert not o.startswith("--") or re.search(rf"{o}[ \"\n]", bash), f"{o} is not in bash's completion"
            assert re.search(rf"[{{,'*]{o}[}},\[]", zsh), f"{o} is not in zsh's completion"
    for name, text in (("bash", bash), ("zsh", zsh), ("man", re.sub(r"(?ms)^EXAMPLES.*", "", man))):
        for o in re.findall(r"(?<![\w-])--[a-z][a-z-]+", text):
            assert o in everything, f"{name} has {o}"
    for c in COMMANDS:
        assert f"**ktcollect {c}**" in man and re.search(rf"\b{c}\b", bash) and f"'{c}:" in zsh, c
    top = subprocess.run([tv.KTCOLLECT, "--help"], capture_output=True, text=True, timeout=10).stdout
    assert all(f"ktcollect {c}" in top for c in COMMANDS), top


@test
def sections_of_show():
    p = subprocess.run([tv.KTCOLLECT, "show", "--help"], capture_output=True, text=True, timeout=10)
    names = re.search(r"repeated\): ([a-z,\s-]+?)\n +--map", p.stdout).group(1).replace("\n", " ").split(",")
    names = {n.strip() for n in names}
    assert len(names) > 10
    for text in (read("man", "ktcollect.1.rst"), read("host", "completion", "ktcollect"), read("host", "completion", "_ktcollect")):
        assert all(re.search(rf"(?<![\w-]){n}(?![\w-])", text) for n in names), names


def complete(*words):
    script = f"""source {os.path.join(TOP, 'host', 'completion', 'ktcollect')}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ktcollect 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}" """
    p = subprocess.run(["bash", "-c", script, "-", "ktcollect", *words], capture_output=True, text=True, timeout=10, cwd="/proc/self/task")
    assert p.returncode == 0, p
    return p.stdout.split()


@test
def bash():
    assert complete("sh") == ["show"] and "validate" in complete("")
    assert complete("show", "--e") == ["--early"] and complete("diff", "--e") == ["--exit-code"]
    assert complete("show", "--section", "map") == ["map-list", "maps"]
    assert "--junit" in complete("--") and "--junit" not in complete("show", "--")
    with tempfile.TemporaryDirectory() as tmp:
        open(os.path.join(tmp, "report.json"), "w").close()
        assert complete("html", os.path.join(tmp, "re")) == [os.path.join(tmp, "report.json")]
        assert complete("--once", "-o", os.path.join(tmp, "re")) == [os.path.join(tmp, "report.json")]


@test
def pages_can_be_made():
    """By the tool that installs them, with nothing to complain about."""
    rst2man = shutil.which("rst2man") or shutil.which("rst2man.py")
    if not rst2man:
        raise kttap.Skip("no python3-docutils")
    pages = {name: read("man", name) for name in os.listdir(os.path.join(TOP, "man")) if name.endswith(".rst")}
    for name, doc in (("ktdump-report.5", "report.md"), ("ktdump-wire.7", "wire.md")):
        p = subprocess.run([sys.executable, os.path.join(TOP, "man", "from-docs"), name, "summary"], input=read("docs", doc),
                           capture_output=True, text=True, timeout=20, check=True)
        pages[name] = p.stdout
    assert {"ktcollect.1.rst", "ktdump.8.rst", "ktdump-report.5", "ktdump-wire.7"} <= set(pages), pages.keys()
    for name, rst in pages.items():
        p = subprocess.run([rst2man, "--halt=warning"], input=rst, capture_output=True, text=True, timeout=60)
        assert p.returncode == 0 and not p.stderr, (name, p.stderr[-500:])
        # Every heading and every table's first cell of the source is there.
        assert p.stdout.count("\n.SH ") >= 3, name
    assert "runnable_age_ms" in pages["ktdump-report.5"] and "CRC-32C" in pages["ktdump-wire.7"]


if __name__ == "__main__":
    sys.exit(tv.main(TESTS))
