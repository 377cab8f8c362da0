"""A process for each contender and setting, which measures when it is asked to and is stopped in between.

Threads, wait policy and instruction set are fixed when a library is loaded, so each setting has a process of its own.
Between its turns a process is stopped, so that threads that spin while they wait take nothing from the others.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from contenders import CONTENDERS, Setting
from setting import COORDINATES, STEPS, Run


class Worker:
    """The parent's side: `rate` asks for one measurement."""

    def __init__(self, name: str, setting: Setting) -> None:
        self.name, self.setting = name, setting
        environment = {**os.environ, **setting.environment, **CONTENDERS[name].environment}
        command = [sys.executable, str(Path(__file__)), name, str(setting.threads)]
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def rate(self, replicas: int, seconds: float) -> float:
        """Particle-steps per second over about so long, after what it takes to compile and warm up."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps([replicas, seconds]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        if not answer:
            raise RuntimeError(f"{self.name} ({self.setting}) ended without an answer at {replicas} replicas")
        return float(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()


def seconds_of(run: Run, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        run()
    return time.perf_counter() - start


def measured(run: Run, replicas: int, seconds: float) -> float:
    """One run tells how many fill the time, and is the measurement where it does so alone."""
    work, first = replicas * COORDINATES * STEPS, seconds_of(run, 1)
    if first >= seconds:
        return work / first
    times = round(seconds / first)
    return work * times / seconds_of(run, times)


def serve(name: str, threads: int) -> None:
    """Answer each line [replicas, seconds] with a rate; nothing else may reach the pipe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # JAX sizes its pool by the affinity.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    runs: dict[int, Any] = {}
    for line in sys.stdin:
        replicas, seconds = json.loads(line)
        if replicas not in runs:
            runs.clear()
            runs[replicas] = CONTENDERS[name].prepare(replicas, threads)
            runs[replicas]()  # compiles, and touches the memory
        print(measured(runs[replicas], replicas, seconds), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
