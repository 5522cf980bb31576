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


def test_everything_else_sees_only_the_workers_messages():
    for path in files(PACKAGE):
        if WORKER in path.parents:
            continue
        for name in imported(path):
            assert name.partition(".")[0] not in HEAVY, f"{path.name} imports {name}"
            if name.startswith("nbbench.worker") and path.name != "inline.py":  # runs it here
                assert name == "nbbench.worker.messages", f"{path.name} imports {name}"


def test_imports_go_one_way():
    order = {  # a module may import those with a lower number
        "errors": 0, "gpus": 0, "words": 0, "backends": 1, "arguments": 2, "models": 3, "case": 4,
        "machine": 4, "environments": 4, "executor": 5, "line_memory": 5, "frames": 6, "table": 6,
        "plots": 6, "original_tables": 6, "flags": 6, "html": 7, "progress": 7, "report": 8,
        "plan": 8, "display": 9, "job": 10, "run": 11, "notebook": 12, "hf": 12, "cli": 13,
    }  # fmt: skip
    lazily = {
        ("display", "notebook"),
        ("table", "report"),
        ("report", "table"),
        ("plots", "report"),
        ("html", "report"),
        ("report", "original_tables"),
        ("original_tables", "report"),
        ("machine", ""),
        ("cli", ""),
        ("arguments", "backends"),
    }
    for path in files(PACKAGE):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module not in order:
            continue
        for name in imported(path):
            if not name.startswith("nbbench") or name.startswith("nbbench.worker"):
                continue
            target = [*name.split("."), ""][1]
            if target == module or (module, target) in lazily:
                continue
            assert order[target] < order[module], f"{module} imports {target}"


def test_importing_nbbench_loads_next_to_nothing():
    code = "import sys, nbbench; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for heavy in (*HEAVY, "pandas", "pydantic", "ipywidgets", "rich", "IPython", "numpy"):
        assert heavy not in modules.split()


def test_the_worker_is_good_for_python_3_9():
    for path in files(WORKER):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
