"""Who may import whom, and what must not be imported at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import nbbench

PACKAGE = Path(nbbench.__file__).parent
WORKER = PACKAGE / "worker"
HEAVY = {"torch", "tensorflow", "jax", "keras", "keras_hub", "tf_keras", "transformers"}


def imported(path):
    """Absolute names of all modules that a file imports, wherever in it."""
    parts = ("nbbench", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            yield ".".join(base + ([node.module] if node.module else []))


def files(folder):
    return list(folder.rglob("*.py"))


def test_the_worker_imports_the_standard_library_itself_and_in_backends_a_framework():
    for path in files(WORKER):
        for name in imported(path):
            top = name.partition(".")[0]
            allowed = top in sys.stdlib_module_names or name.startswith("nbbench.worker")
            if path.parent.name == "backends":
                allowed = allowed or top in HEAVY
            assert allowed, f"{path.name} imports {name}"


def test_everything_else_sees_only_the_workers_cases_and_messages():
    for path in files(PACKAGE):
        if WORKER in path.parents:
            continue
        for name in imported(path):
            assert name.partition(".")[0] not in HEAVY, f"{path.name} imports {name}"
            if name.startswith("nbbench.worker") and path.name != "this_kernel.py":  # runs it here
                assert name in ("nbbench.worker.case", "nbbench.worker.messages"), (
                    f"{path.name} imports {name}"
                )


def test_imports_go_one_way():
    order = {  # a room may import those with a lower number
        "_version": 0, "errors": 0, "text": 0, "worker": 0, "frameworks": 1, "machine": 1,
        "arguments": 2, "environments": 2, "plan": 3, "report": 4, "execution": 5,
        "display": 6, "api": 7, "hf": 8, "notebook": 8, "cli": 9, "__init__": 10, "__main__": 10,
    }  # fmt: skip
    lazily = {
        ("report", "hf"), ("plan", "execution"), ("machine", ""), ("cli", ""),
    }  # fmt: skip
    for path in files(PACKAGE):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for name in imported(path):
            if not name.startswith("nbbench") or room == "worker":
                continue
            target = [*name.split("."), ""][1]
            if target == room or (room, target) in lazily:
                continue
            assert order[target] < order[room], f"{room} imports {target}"


def test_importing_nbbench_loads_next_to_nothing():
    code = "import sys, nbbench; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for heavy in (*HEAVY, "pandas", "pydantic", "ipywidgets", "rich", "IPython", "numpy"):
        assert heavy not in modules.split()


def test_the_worker_is_good_for_python_3_9():
    for path in files(WORKER):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
