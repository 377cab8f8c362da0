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
# Machine code: (address, instruction, operands).
Code = list[tuple[int, str, str]]


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


def functions(library: Path) -> dict[str, Code]:
    """The machine code by function: (address, instruction, operands)."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(library)], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, Code] = {}
    name = ""
    for line in text.splitlines():
        if heading := re.match(r"[0-9a-f]+ <(.+)>:", line):
            name = heading[1]
        elif code := re.match(r"\s+([0-9a-f]+):\s+(\S+)\s*(.*)", line):
            found.setdefault(name, []).append((int(code[1], 16), code[2], code[3]))
    return found


def innermost(code: Code, holds: str) -> Code:
    """The shortest loop that holds an instruction, or all of the code where it stands in none."""
    loops = [code]
    for address, name, operands in code:
        target = re.match(r"([0-9a-f]+)", operands)
        if name.startswith("j") and target and int(target[1], 16) < address:
            body = [line for line in code if int(target[1], 16) <= line[0] <= address]
            loops += [body] if any(line[1].startswith(holds) for line in body) else []
    return min(loops, key=len)


def counted(code: Code) -> Counter[str]:
    """The vector instructions by name; a broadcast from memory is a load."""
    return Counter(
        name + (" load" if "broadcast" in name and "(" in operands else "")
        for _, name, operands in code
        if re.search(r"%[xyz]mm", operands)
    )


def kernels_with(library: Path, holds: str) -> list[Code]:
    """The engine's functions with that instruction, but for those of tiles that several points share."""
    return [
        code
        for name, code in functions(library).items()
        if name.startswith("_ZN9ematheory") and "Across" not in name and any(line[1].startswith(holds) for line in code)
    ]


def per_update(library: Path) -> dict[str, float]:
    """The vector instructions of an update of one vector, which divides once."""
    counts = max((counted(innermost(code, "vdivps")) for code in kernels_with(library, "vdivps")), key=len)
    return {name: count / counts["vdivps"] for name, count in counts.items()}


# Of Philox for one vector of words: two products a round, each of two instructions, in all but the first two rounds.
PHILOX_PRODUCTS = 4 * 8


def per_normal(library: Path) -> dict[str, float]:
    """The vector instructions of one vector of normals: four come of a call of Philox and two roots.

    Words and normals are made in loops of their own, which the compiler may unroll differently.
    """
    code = max(kernels_with(library, "vpmuludq"), key=len)
    of_normals = innermost(code, "vsqrtps")
    both = len(of_normals) < len(code) and not any(line[1] == "vpmuludq" for line in of_normals)
    of_words = [line for line in code if line not in of_normals] if both else code
    found: dict[str, float] = {}
    for part in (counted(of_words), counted(of_normals) if both else Counter[str]()):
        calls = part["vpmuludq"] / PHILOX_PRODUCTS if part["vpmuludq"] else part["vsqrtps"] / 2
        for name, count in part.items():
            found[name] = found.get(name, 0.0) + count / (4 * calls)
    return found


def bounds(counts: dict[str, float], times: dict[str, float]) -> dict[str, float]:
    """The least seconds that a vector of particle-steps takes by each bound: the divider, products, the issue ports.

    Divisions and roots share one unit; products of floats and words have half of the ports; every instruction that is
    not a move has one of them. A move may come with another instruction, or go to the memory's own ports: left out.
    """
    divided = sum(count for name, count in counts.items() if name.startswith(("vdiv", "vsqrt", "divp", "sqrtp")))
    products = sum(count for name, count in counts.items() if name.startswith(("vmul", "vpmul", "mulp", "pmul")))
    moved = sum(count for name, count in counts.items() if name.startswith(("vmov", "mov")) or name.endswith("load"))
    return {
        "divider": divided / 2 * times["divide_and_root"],
        "products": products * times["multiply"],
        "issue ports": (sum(counts.values()) - moved) * times["exclude"],
    }


def described(part: str, rate: float, counts: dict[str, float], lanes: int, times: Any) -> dict[str, Any]:
    """A part's rate, its instructions per vector of particle-steps, and the bound that is nearest."""
    limits = {name: lanes / seconds for name, seconds in bounds(counts, times).items() if seconds}
    nearest = min(limits, key=lambda name: limits[name])
    return {
        "part": part, "rate": rate, "bounds": limits, "bound_by": nearest, "share_of_bound": rate / limits[nearest],
        "instructions_per_vector": dict(sorted(counts.items(), key=lambda item: -item[1])),
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
        parts = [
            described("update", rates["update"], per_update(paths["update"]), lanes, times),
            described("noise", rates["noise"], per_normal(paths["noise"]), lanes, times),
        ]
    return {**found, "seconds_per_vector": times, "parts": parts}
