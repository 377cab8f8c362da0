"""Builds the native engine: one source once per instruction set, and the module that chooses among them.

Without a compiler the install succeeds and the NumPy reference serves; an error of a compiler that is there stops it.
EMATHEORY_SANITIZE holds sanitizer flags; EMATHEORY_ISAS ("portable v4") the instruction sets to compile for, where that
is not to be all; EMATHEORY_CUDA=0|1|auto, CUDACXX and CUDA_HOME govern the CUDA module, and
EMATHEORY_CUDA_ARCHS ("90" or "80 90") for which compute capabilities it is compiled.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Compiled once per instruction set.
KERNELS = ["csrc/cpu/engine.cpp", "csrc/cpu/coupled.cpp", "csrc/cpu/moments.cpp", "csrc/cpu/update.cpp"]
CUDA_ENGINE = ["csrc/cuda/engine.cu", "csrc/cuda/vectors.cu"]
HEADERS = sorted(map(str, Path("csrc").glob("*/*.h")))

# Each operation is rounded as IEEE 754 says: nothing is fused, nothing reordered.
# The SLP vectoriser of g++ 12 and later makes fmaddsub of a·b ± c even so.
ARITHMETIC = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-tree-slp-vectorize"]
LANGUAGE = ["-std=c++17", "-fPIC", "-fvisibility=hidden", "-g0", "-pthread"]
CUDA_ARITHMETIC = ["-fmad=false", "-prec-div=true", "-prec-sqrt=true", "-ftz=false"]
# One compute capability of each generation runs on all of it; the last one's PTX serves those after it, which compile
# it when they first load it. More of them would only make the build longer.
CUDA_ARCHS = ["75", "80", "90"]
X86_LEVELS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    # g++ 12 warns about its own AVX-512 header.
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512", "-Wno-uninitialized", "-Wno-maybe-uninitialized"],
}


def sanitizers() -> list[str]:
    return shlex.split(os.environ.get("EMATHEORY_SANITIZE", ""))


def find_nvcc() -> str | None:
    home = os.environ.get("CUDA_HOME")
    found = shutil.which("nvcc", path=f"{home}/bin") if home else None
    return os.environ.get("CUDACXX") or found or shutil.which("nvcc")


def wants_cuda() -> bool:
    """Whether there is a CUDA engine and an nvcc to build it with; EMATHEORY_CUDA=1 makes a lack an error."""
    choice = os.environ.get("EMATHEORY_CUDA", "auto")
    if choice not in ("0", "1", "auto"):
        raise SystemExit(f"EMATHEORY_CUDA must be 0, 1 or auto, got {choice!r}")
    found = all(map(os.path.exists, CUDA_ENGINE)) and find_nvcc() is not None
    if choice == "1" and not found:
        raise SystemExit(f"EMATHEORY_CUDA=1, but {CUDA_ENGINE} or nvcc (CUDACXX, CUDA_HOME, PATH) is missing")
    return found and choice != "0"


def extensions() -> list[Extension]:
    native = Extension(
        "ematheory._native",
        ["csrc/bind/module.cpp", "csrc/cpu/dispatch.cpp", "csrc/cpu/order.cpp"],
        depends=[*KERNELS, *HEADERS],
        language="c++",
    )
    cuda = Extension("ematheory._cuda", ["csrc/bind/cuda.cpp"], depends=[*CUDA_ENGINE, *HEADERS])
    cuda.optional = os.environ.get("EMATHEORY_CUDA") != "1"
    return [native, *([cuda] if wants_cuda() else [])]


class BuildNative(build_ext):
    """Compiles the engine apart, once per instruction set, then the module around it."""

    def finalize_options(self) -> None:
        super().finalize_options()
        # The two modules at once: nvcc's one long compilation leaves other cores idle.
        self.parallel = self.parallel or True

    def run(self) -> None:
        lack = what_is_lacking()
        if lack:
            notice = f"{lack}: installed without the native engine; the NumPy reference serves"
            print(f"\n*** ematheory: {notice} ***\n", file=sys.stderr)
            self.extensions = []
        super().run()

    def build_extension(self, ext: Extension) -> None:
        import pybind11

        ext.include_dirs = [pybind11.get_include()]
        ext.extra_compile_args = ["-O1", *LANGUAGE, *sanitizers()]
        if ext.name.endswith("_cuda"):
            self.link_cuda(ext, self.compile_cuda())
            return
        ext.extra_objects = self.compile_levels()
        listed = " ".join(f"X({level})" for level in self.levels())
        ext.define_macros = [("EMATHEORY_LEVELS(X)", listed)]
        ext.extra_link_args = ["-pthread", *sanitizers()]
        super().build_extension(ext)

    def levels(self) -> dict[str, list[str]]:
        """The flags of each instruction set that the compiler knows; `portable` is its default."""
        candidates = X86_LEVELS if platform.machine().lower() in ("x86_64", "amd64") else {}
        known = {"portable": [], **{level: flags for level, flags in candidates.items() if self.accepts(flags)}}
        asked = os.environ.get("EMATHEORY_ISAS", "").split() or list(known)
        unknown = [level for level in asked if level not in known]
        if unknown:
            raise SystemExit(f"EMATHEORY_ISAS: this compiler compiles for {', '.join(known)}, not for {unknown[0]!r}")
        return {level: known[level] for level in known if level in asked}

    def accepts(self, flags: list[str]) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "empty.cpp")
            source.write_text("")
            command = [*compiler(), *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]
            return subprocess.run(command, capture_output=True).returncode == 0

    def compile_levels(self) -> list[str]:
        wanted = [(level, flags, source) for level, flags in self.levels().items() for source in KERNELS]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(self.compile_level, *zip(*wanted, strict=True)))

    def compile_level(self, level: str, flags: list[str], source: str) -> str:
        """One object in a folder of its own: two levels in one folder would silently share the first object."""
        folder = Path(self.build_temp, "levels", level)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / Path(source).with_suffix(".o").name
        own = ["-O3", "-fno-exceptions", *LANGUAGE, *ARITHMETIC, *sanitizers(), f"-DEMATHEORY_LEVEL={level}"]
        self.spawn([*compiler(), *own, *flags, "-c", source, "-o", str(target)])
        return str(target)

    def compile_cuda(self) -> list[str]:
        folder = Path(self.build_temp, "cuda")
        folder.mkdir(parents=True, exist_ok=True)
        host = ",".join(["-fPIC", "-fvisibility=hidden", *ARITHMETIC, *sanitizers()])
        flags = ["-O3", "-std=c++17", "--threads", "0", "-Xcompiler", host, *CUDA_ARITHMETIC, *cuda_targets()]
        targets = [str(folder / Path(source).with_suffix(".o").name) for source in CUDA_ENGINE]
        for source, target in zip(CUDA_ENGINE, targets, strict=True):
            self.spawn([str(find_nvcc()), *flags, "-c", source, "-o", target])
        return targets

    def link_cuda(self, ext: Extension, engine: list[str]) -> None:
        """Link by nvcc, which alone knows where its run-time library is."""
        binding = self.compiler.compile(
            ext.sources,
            output_dir=self.build_temp,
            include_dirs=ext.include_dirs,
            extra_postargs=ext.extra_compile_args,
        )
        target = Path(self.get_ext_fullpath(ext.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        linked = [*binding, *engine, *(part for flag in sanitizers() for part in ("-Xcompiler", flag))]
        self.spawn([str(find_nvcc()), "-shared", "-cudart", "static", *linked, "-o", str(target)])


def cuda_targets() -> list[str]:
    """The flags for the compute capabilities that are wanted and that this nvcc knows, with PTX for the last one."""
    listed = subprocess.run([str(find_nvcc()), "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    known = [word.removeprefix("compute_") for word in listed.split()]
    asked = os.environ.get("EMATHEORY_CUDA_ARCHS", "").replace(",", " ").split()
    unknown = [arch for arch in asked if arch not in known]
    if unknown:
        raise SystemExit(f"EMATHEORY_CUDA_ARCHS: this nvcc compiles for {', '.join(known)}, not for {unknown[0]!r}")
    archs = asked or [arch for arch in CUDA_ARCHS if arch in known]
    exact = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in archs]
    return [*exact, f"-gencode=arch=compute_{archs[-1]},code=compute_{archs[-1]}"]


def compiler() -> list[str]:
    """The C++ compiler's command: CXX, or the one Python was built with, or c++ or g++; empty when there is none."""
    for command in (os.environ.get("CXX"), sysconfig.get_config_var("CXX"), "c++", "g++"):
        words = shlex.split(command or "")
        if words and shutil.which(words[0]):
            return words
    return []


def what_is_lacking() -> str | None:
    if not compiler():
        return "no C++ compiler (CXX, c++, g++)"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "no Python.h (on Debian: python3-dev)"
    return None


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildNative})
