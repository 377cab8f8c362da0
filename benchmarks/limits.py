"""How fast the update and the noise are alone, and what bounds each on this CPU.

parts.cpp is compiled with setup.py's flags, whole and with a part left out. The instructions of each part are counted
in the machine code (objdump), and how many the CPU does per second is measured: divisions with roots, which share a
unit, and instructions that any vector unit does.
"""

from __future__ import annotations

import ast
import ctypes
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import ours
from setting import COORDINATES

import ematheory as em

ROOT = Path(__file__).parents[1]
PARTS = {"whole": (True, True), "update": (False, True), "noise": (True, False)}
STEPS, ROUNDS = 2000, 7
# Sixteen operations each (parts.cpp).
TIMES, OPERATIONS = 200_000, 16


def flags_of(isa: str) -> list[str]:
    """The compiler's flags for one instruction set, read from setup.py without running it."""
    names = {"LANGUAGE", "ARITHMETIC", "X86_LEVELS"}
    found: dict[str, Any] = {}
    for node in ast.parse((ROOT / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names:
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return [*found["LANGUAGE"], *found["ARITHMETIC"], *found["X86_LEVELS"].get(isa.removeprefix("x86-64-"), [])]


def compiled(isa: str, part: str, folder: Path) -> Path:
    draws, updates = (str(is_in).lower() for is_in in PARTS[part])
    target = folder / f"{part}.so"
    defined = [f"-DEMATHEORY_DRAWS={draws}", f"-DEMATHEORY_UPDATES={updates}"]
    source = str(ROOT / "benchmarks" / "parts.cpp")
    subprocess.run(["c++", "-O3", "-shared", *flags_of(isa), *defined, source, "-o", str(target)], check=True)
    return target


def seconds(call: Any, *given: Any) -> float:
    start = time.perf_counter()
    call(*given)
    return time.perf_counter() - start


def kernel(library: ctypes.CDLL) -> Any:
    """A call of `STEPS` updates on `COORDINATES` cells on one thread."""
    block = ours.block(1, np.float32, steps=STEPS)
    arrays = [block[name] for name in ("state", "problem_coefficients", "coefficients")]
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]

    def run(kept: Any = arrays) -> None:
        library.run_parts(ctypes.c_int64(COORDINATES), ctypes.c_int64(STEPS), *pointers)

    return run


def part_rates(libraries: dict[str, ctypes.CDLL]) -> dict[str, float]:
    """Particle-steps per second on one thread of each part, in turns."""
    kernels = {part: kernel(library) for part, library in libraries.items()}
    spent: dict[str, list[float]] = {part: [] for part in kernels}
    for part in list(kernels) * ROUNDS:
        spent[part].append(seconds(kernels[part]))
    return {part: COORDINATES * STEPS / median(times) for part, times in spent.items()}


def instruction_times(library: ctypes.CDLL) -> dict[str, float]:
    """Seconds a vector: of a division and a root, of a product, and of an exclusive or."""
    found = {}
    for name in ("divide_and_root", "multiply", "exclude"):
        call = getattr(library, name)
        times = [seconds(call, ctypes.c_int64(TIMES)) for _ in range(ROUNDS)]
        found[name] = min(times) / (TIMES * OPERATIONS)
    return found


def functions(library: Path) -> dict[str, list[tuple[int, str, str]]]:
    """The machine code by function: (address, instruction, operands)."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(library)], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, list[tuple[int, str, str]]] = {}
    name = ""
    for line in text.splitlines():
        if heading := re.match(r"[0-9a-f]+ <(.+)>:", line):
            name = heading[1]
        elif code := re.match(r"\s+([0-9a-f]+):\s+(\S+)\s*(.*)", line):
            found.setdefault(name, []).append((int(code[1], 16), code[2], code[3]))
    return found


def innermost(code: list[tuple[int, str, str]], holds: str) -> list[tuple[int, str, str]]:
    """The shortest loop that holds an instruction, or all of the code where it stands in none."""
    loops = [code]
    for address, name, operands in code:
        target = re.match(r"([0-9a-f]+)", operands)
        if name.startswith("j") and target and int(target[1], 16) < address:
            body = [line for line in code if int(target[1], 16) <= line[0] <= address]
            loops += [body] if any(line[1].startswith(holds) for line in body) else []
    return min(loops, key=len)


def mix(library: Path, holds: str) -> Counter[str]:
    """The vector instructions, by name, of the loop around the instruction named, in the kernel and not the probes."""
    candidates = [
        innermost(code, holds)
        for name, code in functions(library).items()
        if name.startswith("_ZN9ematheory") and any(line[1].startswith(holds) for line in code)
    ]
    return Counter(
        name + (" load" if "broadcast" in name and "(" in operands else "")
        for _, name, operands in max(candidates, key=len)
        if re.search(r"%[xyz]mm", operands)
    )


def bounds(counts: Counter[str], vectors: int, times: dict[str, float]) -> dict[str, float]:
    """The least seconds that a vector of particle-steps takes by each bound: the divider, products, the issue ports.

    Divisions and roots share one unit; products of floats and words have half of the ports; every instruction that is
    not a move has one of them. A move may come with another instruction, or go to the memory's own ports: left out.
    """
    divided = sum(count for name, count in counts.items() if name.startswith(("vdiv", "vsqrt", "divp", "sqrtp")))
    products = sum(count for name, count in counts.items() if name.startswith(("vmul", "vpmul", "mulp", "pmul")))
    moved = sum(count for name, count in counts.items() if name.startswith(("vmov", "mov")) or name.endswith("load"))
    issued = counts.total() - moved
    return {
        "divider": divided / 2 * times["divide_and_root"] / vectors,
        "products": products * times["multiply"] / vectors,
        "issue ports": issued * times["exclude"] / vectors,
    }


def described(part: str, rate: float, counts: Counter[str], vectors: int, lanes: int, times: Any) -> dict[str, Any]:
    """A part's rate, its instructions per vector of particle-steps, and the bound that is nearest."""
    limits = {name: lanes / seconds for name, seconds in bounds(counts, vectors, times).items() if seconds}
    nearest = min(limits, key=lambda name: limits[name])
    per_vector = {name: count / vectors for name, count in counts.most_common()}
    return {
        "part": part, "rate": rate, "bounds": limits, "bound_by": nearest, "share_of_bound": rate / limits[nearest],
        "instructions_per_vector": per_vector,
    }  # fmt: skip


def measure() -> dict[str, Any]:
    """Rates on one thread of the whole, the update and the noise; the share of the sum of times; what bounds each."""
    isa = em.isas()[-1]
    with tempfile.TemporaryDirectory() as folder:
        paths = {part: compiled(isa, part, Path(folder)) for part in PARTS}
        libraries = {part: ctypes.CDLL(str(path)) for part, path in paths.items()}
        rates = part_rates(libraries)
        one_after_another = 1 / (1 / rates["update"] + 1 / rates["noise"])
        found = {**rates, "one_after_another": one_after_another, "share": rates["whole"] / one_after_another}
        if isa not in ("x86-64-v3", "x86-64-v4"):
            return found
        times, lanes = instruction_times(libraries["whole"]), libraries["whole"].lanes_per_vector()
        update, noise = mix(paths["update"], "vdivps"), mix(paths["noise"], "vpmuludq")
        # An update divides once; four normals take two roots.
        parts = [
            described("update", rates["update"], update, update["vdivps"], lanes, times),
            described("noise", rates["noise"], noise, 2 * noise["vsqrtps"], lanes, times),
        ]
    return {**found, "seconds_per_vector": times, "parts": parts}
