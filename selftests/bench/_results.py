# SPDX-License-Identifier: GPL-2.0-only
"""Where figures go: build/bench/results.json, one key per benchmark."""
import fcntl
import json
import os

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build", "bench", "results.json")


def record(name, value):
    """Keeps what others have written, and may be writing."""
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(PATH, encoding="utf-8") as f:
                all_of_them = json.load(f)
        except (OSError, ValueError):
            all_of_them = {}
        all_of_them[name] = value
        with open(PATH + ".part", "w", encoding="utf-8") as f:
            json.dump(all_of_them, f, indent=2)
            f.write("\n")
        os.rename(PATH + ".part", PATH)
