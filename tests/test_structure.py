"""The package's shape: imports run one way, heavy modules load late, and no module is a drawer for odds and ends."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ematheory
from ematheory import FACE, MODULES

PACKAGE = Path(__file__).parents[1] / "ematheory"
FORBIDDEN = {"utils", "util", "helpers", "helper", "common", "misc"}

# From the bottom up: a module may import from its own layer and from those before it.
LAYERS = (
    (
        "typing",
        "files",
        "native",
        "records",
        "arithmetic",
        "running_products",
        "schedules",
        "problems",
        "conventions",
        "power_laws",
        "translation",
        "recipes",
        "published_recipes",
        "torch_recipes",
        "optimizers",
        "results",
        "recording",
    ),
    ("derivations",),
    ("timescales", "prediction", "scaling", "comparison"),
    ("simulation",),
    ("training",),
    ("claims",),
    ("report",),
    ("validation",),
    ("cli",),
)
# The one import against the chain: `Recipe.timescale()` stands on the noun, where people look for it, and is computed
# in timescales.py, which the method imports when called.
AGAINST_THE_CHAIN = {("recipes", "timescales")}
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Loaded inside functions, or in modules that are themselves loaded late.
HEAVY = ("torch", "sympy", "scipy", "matplotlib", "sklearn", "rich")


def modules() -> dict[str, Path]:
    """Every module by its dotted name below `ematheory`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path, everywhere: bool) -> list[ast.Import | ast.ImportFrom]:
    """The imports of a file: those that run when it is loaded, or all of them; never those for type checkers alone."""
    found, waiting = [], list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not is_type_checking(node) and (everywhere or not late):
            waiting.extend(
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt | ast.excepthandler)
            )
    return found


def own_imports(module: str, path: Path) -> set[str]:
    """The parts of ematheory (by first name) that a module imports, anywhere in it."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    package = [part for part in package if part]
    reached = set()
    for node in imports(path, everywhere=True):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        # A name of the public face stands for the module that defines it.
        faced = {FACE.get(alias.name, alias.name).split(".")[0] for alias in node.names}
        reached |= {base[0]} if base else faced
    return reached


def imported_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {node.module.split(".")[0]} if node.module and not node.level else set()


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_imports_run_one_way(module):
    own = module.split(".")[0]
    if own == "__main__":
        return
    assert own in RANK, f"{module} stands in no layer: add it to LAYERS"
    for reached in own_imports(module, modules()[module]) - {"__version__"}:
        assert reached in RANK, f"{module} imports {reached}, which stands in no layer"
        allowed = RANK[reached] <= RANK[own] or (module, reached) in AGAINST_THE_CHAIN
        assert allowed, f"{module} imports {reached}, which is built on it"


def test_the_reader_sees_an_import_against_the_grain(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("def f():\n    from ..claims import find\n    import torch\n")
    assert own_imports("derivations.bad", path) == {"claims"}
    assert imports(path, everywhere=False) == []


def test_the_root_imports_nothing_of_its_own():
    assert not any(node.level for node in imports(PACKAGE / "__init__.py", False) if isinstance(node, ast.ImportFrom))


@pytest.mark.parametrize("module", [name for name in modules() if name])
def test_names_say_what_is_in_them(module):
    assert not FORBIDDEN & set(module.split("."))


@pytest.mark.parametrize("module", [name for name in modules() if not name.startswith("training")])
def test_only_training_imports_torch(module):
    for node in imports(modules()[module], everywhere=True):
        assert "torch" not in imported_names(node), f"{module} imports torch"


def test_modules_open_with_what_they_are():
    silent = [name for name, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
    assert silent == []


def loaded_by(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize("name", ["optimizers.Optimizer", "training.Group", "training.RecordOptimizer"])
def test_packages_are_reached_before_anything_else_is_imported(name):
    """In a fresh interpreter: an earlier import would have made them attributes."""
    loaded_by(f"import ematheory as em; em.{name}")


def test_every_package_but_the_command_lines_is_reached():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"cli"}
    assert packages <= set(MODULES)
    for name, path in MODULES.items():
        assert ematheory.__getattr__(name).__name__ == f"ematheory.{path}"


@pytest.mark.parametrize(
    "statement",
    [
        "import ematheory",
        "import ematheory.claims; ematheory.claims.find()",
        "import ematheory.report",
        "import ematheory.validation",
        "from ematheory.cli import application; application()",
    ],
)
def test_heavy_modules_load_late(statement):
    assert not loaded_by(statement) & set(HEAVY)


def test_no_two_test_files_have_one_name():
    """pytest imports them by name alone, and stops at a second one before any test runs."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert [name for name in sorted(set(names)) if names.count(name) > 1] == []
