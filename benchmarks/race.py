"""The contenders side by side: each at its best setting and size, then all in turns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from statistics import median
from typing import Any

from contenders import CONTENDERS, Setting
from worker import Worker

# Sizes grow until the rate has fallen to this share of the best: beyond the cache it does not come back.
FALLEN = 0.6


def available() -> Iterator[str]:
    missing = set()
    for name, contender in CONTENDERS.items():
        try:
            import_module(contender.package)
        except ImportError as error:
            if contender.package not in missing:
                print(f"left out: whatever needs {contender.package} ({error})", file=sys.stderr)
            missing.add(contender.package)
        else:
            yield name


def rates_by_size(name: str, setting: Setting, seconds: float) -> dict[int, float]:
    found: dict[int, float] = {}
    with Worker(name, setting) as worker:
        for replicas in CONTENDERS[name].sizes:
            found[replicas] = worker.rate(replicas, seconds)
            if found[replicas] < FALLEN * max(found.values()):
                break
    return found


def search(name: str, seconds: float) -> dict[str, Any]:
    """Every setting at every size, and the best: its setting and number of replicas."""
    tried = []
    for setting in CONTENDERS[name].settings():
        for replicas, rate in rates_by_size(name, setting, seconds).items():
            tried.append({"threads": setting.threads, "policy": setting.policy, "replicas": replicas, "rate": rate})
    best = max(tried, key=lambda one: float(one["rate"]))
    print(f"{name}: {best}", file=sys.stderr)
    return {"tried": tried, **{word: best[word] for word in ("threads", "policy", "replicas")}}


def race(names: list[str], rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """By contender: its best setting, the rates of `rounds` measurements taken in turns, and their median."""
    found = {name: search(name, seconds / 2) for name in names}
    workers: dict[str, Worker] = {}
    with ExitStack() as running:
        for name, one in found.items():
            workers[name] = running.enter_context(Worker(name, Setting(one["threads"], one["policy"])))
            # Loads, compiles and stops before the next one starts.
            workers[name].rate(one["replicas"], seconds / 10)
            one["rates"] = []
        for name in names * rounds:
            found[name]["rates"].append(workers[name].rate(found[name]["replicas"], seconds))
    return {name: {**one, "rate": median(one["rates"])} for name, one in found.items()}
