"""Who may import whom, and what must not be imported at all.

Each rule is a function over a folder that returns what breaks it, so that a test can plant a breach
in a copy of the package and see that the rule finds it.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import nbbench

PACKAGE = Path(nbbench.__file__).parent
HEAVY = {
    "torch", "tensorflow", "jax", "keras", "keras_hub", "tf_keras", "transformers", "peft",
    "sentence_transformers",
}  # fmt: skip

LEVELS = (
    {"masked_urls", "text"},
    {"worker", "errors", "_version"},
    {"frameworks", "machine", "paths", "units"},
    {"arguments", "environments"},
    {"plan"},
    {"report"},
    {"history_database"},
    {"execution"},
    {"display"},
    {"api"},
    {"hf", "notebook", "selftest"},
    {"cli"},
    {"__init__", "__main__"},
)
"""The rooms from the bottom up: one may import those of the levels below its own, and itself."""

LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

SEEN_OF_THE_WORKER = {
    "worker.boot",
    "worker.case",
    "worker.ceilings",
    "worker.checked",
    "worker.control_groups",
    "worker.deaths",
    "worker.memory_profile",
    "worker.messages",
    "worker.prediction",
    "worker.student_t",
    "worker.summarize",
    "worker.timing",
    "worker.variables",
}
"""What modules outside the worker may import of it."""

RUN_THE_WORKER = {"execution.this_kernel", "execution.user_calls"}
"""They measure in the user's own process, and so may import all of the worker."""


def modules(package):
    """The file of each module by its dotted name inside the package; a folder's is the folder's."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        inner = parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts
        found[".".join(inner)] = path
    return found


def room(module):
    return module.partition(".")[0]


def imported(package, path):
    """Every absolute name that a file imports: in functions and for typing only, too.

    ``from a import b`` gives ``a.b``, whether b is a module or something in one.
    """
    folder = (package.name, *path.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(folder[: len(folder) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def imports(package):
    """Pairs (importer, imported) of the package's own modules."""
    found = modules(package)
    for importer, path in found.items():
        for name in imported(package, path):
            top, _, inner = name.partition(".")
            if top != package.name:
                continue
            while inner and inner not in found:
                inner = inner.rpartition(".")[0]  # a name in that module
            yield importer, inner or "__init__"


def unknown_modules(package):
    return [f"{name} is in no room" for name in modules(package) if room(name) not in LEVEL_OF]


def upward_imports(package):
    return [
        f"{importer} imports {target}"
        for importer, target in imports(package)
        if room(importer) != room(target)
        and LEVEL_OF.get(room(target), len(LEVELS)) >= LEVEL_OF.get(room(importer), -1)
    ]


def circles(package):
    """The first circle of imports that is found, or nothing."""
    graph = {}
    for importer, target in imports(package):
        graph.setdefault(importer, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" ← ".join(error.args[1])]
    return []


def imports_into_the_worker(package):
    return [
        f"{importer} imports {target}"
        for importer, target in imports(package)
        if room(target) == "worker" != room(importer)
        and target not in SEEN_OF_THE_WORKER
        and importer not in RUN_THE_WORKER
    ]


def foreign_imports_of_the_worker(package):
    """What the worker imports beside the standard library, itself, and frameworks in backends."""
    return [
        f"{module} imports {name}"
        for module, path in modules(package).items()
        if room(module) == "worker"
        for name in imported(package, path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not f"{name}.".startswith(f"{package.name}.worker.")
        and not (module.startswith("worker.backends") and name.partition(".")[0] in HEAVY)
    ]


def frameworks_outside_the_worker(package):
    return [
        f"{module} imports {name}"
        for module, path in modules(package).items()
        if room(module) != "worker"
        for name in imported(package, path)
        if name.partition(".")[0] in HEAVY
    ]


@pytest.mark.parametrize(
    "rule",
    [
        unknown_modules,
        imports_into_the_worker,
        foreign_imports_of_the_worker,
        frameworks_outside_the_worker,
        upward_imports,
        circles,
    ],
)
def test_the_package_keeps_the_rule(rule):
    assert rule(PACKAGE) == []


def test_the_worker_is_good_for_python_3_9():
    for path in (PACKAGE / "worker").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.fixture
def copy(tmp_path):
    """The package in a folder where it can be changed."""
    return shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)


def plant(package, module, code):
    path = package / f"{module.replace('.', '/')}.py"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{before}\n{code}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("rule", "module", "code", "breach"),
    [
        (unknown_modules, "helpers", "", "helpers is in no room"),
        (upward_imports, "plan.planted", "from ..api import run", "plan.planted imports api"),
        (upward_imports, "plan.planted", "from .. import api", "plan.planted imports api"),
        (upward_imports, "plan.planted", "import nbbench.api", "plan.planted imports api"),
        (upward_imports, "plan.planted", "from .. import run", "plan.planted imports __init__"),
        (upward_imports, "plan.planted", "def f():\n    from ..api import run",
         "plan.planted imports api"),
        (upward_imports, "plan.planted",
         "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..api import run",
         "plan.planted imports api"),
        (upward_imports, "machine.planted", "from ..frameworks import find_backend",
         "machine.planted imports frameworks"),
        (upward_imports, "worker.planted", "from ..errors import NbbenchError",
         "worker.planted imports errors"),
        (upward_imports, "api", "from .helpers import x", "api imports __init__"),
        (imports_into_the_worker, "report.planted", "from ..worker.measure import sample",
         "report.planted imports worker.measure"),
        (imports_into_the_worker, "report.planted", "from .. import worker",
         "report.planted imports worker"),
        (foreign_imports_of_the_worker, "worker.planted", "import numpy",
         "worker.planted imports numpy"),
        (foreign_imports_of_the_worker, "worker.planted", "def f():\n    import torch",
         "worker.planted imports torch"),
        (foreign_imports_of_the_worker, "worker.planted", "from ..text import counted",
         "worker.planted imports nbbench.text.counted"),
        (frameworks_outside_the_worker, "machine.planted", "def f():\n    import torch.cuda",
         "machine.planted imports torch.cuda"),
    ],
)  # fmt: skip
def test_a_planted_breach_is_found(copy, rule, module, code, breach):
    before = rule(copy)
    plant(copy, module, code)
    assert set(rule(copy)) - set(before) == {breach}


@pytest.mark.parametrize(
    "back",
    [
        "from .planted import x",
        "def f():\n    from .planted import x",
        "import typing\nif typing.TYPE_CHECKING:\n    from . import planted",
    ],
)
def test_a_planted_circle_is_found(copy, back):
    assert circles(copy) == []
    plant(copy, "plan.planted", "from .other import y")
    plant(copy, "plan.other", back)
    (circle,) = circles(copy)
    assert set(circle.split(" ← ")) == {"plan.planted", "plan.other"}


def test_importing_nbbench_loads_next_to_nothing():
    code = "import sys, nbbench; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    for heavy in (*HEAVY, "pandas", "pydantic", "ipywidgets", "rich", "IPython", "numpy"):
        assert heavy not in modules.split()


@pytest.mark.parametrize("by_jedi", [True, False])
def test_tab_shows_the_public_names_alone(by_jedi):
    from IPython.core.completer import provisionalcompleter
    from IPython.core.interactiveshell import InteractiveShell

    if by_jedi:
        pytest.importorskip("jedi")
    nbbench.run  # noqa: B018 - what has been used brings its submodules into the namespace
    public = {name for name in dir(nbbench) if not name.startswith("__")}
    assert public == set(nbbench.__all__) - {"__version__"}
    assert "__version__" in dir(nbbench)
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(user_ns={"nbbench": nbbench})
    shell.Completer.use_jedi = by_jedi
    with provisionalcompleter():
        found = shell.Completer.completions("nbbench.", 8)
        shown = {completion.text.rpartition(".")[2] for completion in found}
    InteractiveShell.clear_instance()
    assert shown == public


def test_no_module_takes_a_public_names_place():
    """Importing a module sets it in its package, over a function of that name."""
    assert {room(module) for module in modules(PACKAGE)} & set(nbbench.__all__) == set()
