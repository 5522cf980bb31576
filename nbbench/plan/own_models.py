"""Models of the user's own: ``net.py:build`` or ``package.module:build``.

The code is looked at but never run: it is imported in the process that measures it.
"""

from __future__ import annotations

import ast
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import ModelNotFound
from ..text import quoted
from ..worker.case import OWN_MODEL
from .code_digest import CodeDigests, file_digest, joined, unknown_code
from .folders import file_of, has_drive

SOURCE = "own code"
"""Where the configuration of such a model is from, in a report."""

_LENGTH = "sequence_length"
_LONG = frozenset(
    ["input_ids", "inputs_embeds", "input_values", "input_features", "decoder_input_ids"]
)
"""Arguments of a forward method that have a length."""


def find_own_model(name: str) -> tuple[dict[str, Any], str] | None:
    """What a worker has to know of the user's code, and its file or the folder of its module.

    The second is empty for a module that is installed. None for a name that is no
    ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION``; raises `ModelNotFound` for half of one.
    """
    owner, colon, factory = name.rpartition(":")
    is_file = owner.lower().endswith(".py")
    if name.lower().endswith(".py") or (is_file and not factory):
        example = f"{name.rstrip(':')}:build"
        raise ModelNotFound(
            f"{quoted(name)} is a file of code, which makes a model by a function of it: name "
            f"that, too, like {quoted(example)}"
        )
    if is_file or (colon and file_of(owner) is not None):
        file = _file(owner, name)
        _check_factory(factory, name)
        known = {"model_type": OWN_MODEL, "file": file.name, "factory": factory}
        return {**known, **_seen_in(file)}, str(file)
    if has_drive(name) and factory.startswith(("/", "\\")):
        return None
    if not colon or not all(part.isidentifier() for part in owner.split(".")):
        return None
    _check_factory(factory, name)
    known = {"model_type": OWN_MODEL, "module": owner, "factory": factory}
    found = _module_file(owner)
    if found is None:
        return {**known, "takes_length": True}, ""
    folder, file = found
    return {**known, **_seen_in(file)}, "" if _is_installed(folder) else str(folder)


def digest_of_own(config: Mapping[str, Any], path: str, digests: CodeDigests) -> str:
    """The digest of the user's code: of its file or package, and of what lies beneath its folder.

    Of an installed package its own folder counts; of a module that this interpreter does not have,
    nothing can be known.
    """
    if "file" in config:
        return digests.of_file(Path(path))
    found = _module_file(config["module"])
    if found is None:
        return unknown_code()
    folder, file = found
    if path:
        return joined([digests.of_folder(folder), digests.of_file(file)])
    top = folder / config["module"].partition(".")[0]
    return digests.of_folder(top) if top.is_dir() else file_digest(file)


def takes_length(config: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> bool:
    """Whether the inputs of a model of the user's own have a sequence length."""
    if inputs:
        return any("length" in each["shape"] for each in inputs.values())
    return bool(config["takes_length"])


def _file(owner: str, name: str) -> Path:
    """The absolute path of a file of Python; raises `ModelNotFound`."""
    path = file_of(owner)
    if path is not None and path.suffix.lower() == ".py":
        return path.absolute()
    if path is not None:
        raise ModelNotFound(
            f"{quoted(name)} names no file of Python; write the code to one that ends in .py "
            f"(in a notebook by %%writefile), and give FILE.py:FUNCTION"
        )
    raise ModelNotFound(
        f"there is no file {quoted(owner)} for the model {quoted(name)}; check its path, which "
        f"counts from the current folder"
    )


def _check_factory(factory: str, name: str) -> None:
    if not factory.isidentifier():
        raise ModelNotFound(
            f"{quoted(name)} has no name of a function behind the colon; give "
            f"FILE.py:FUNCTION or MODULE:FUNCTION"
        )


def _module_file(module: str) -> tuple[Path, Path] | None:
    """The folder that a module is imported from, and its file; the current folder comes first."""
    inner = Path(*module.split("."))
    for folder in (Path.cwd(), *(Path(entry) for entry in sys.path if entry)):
        for file in (inner.with_suffix(".py"), inner / "__init__.py"):
            with suppress(OSError, ValueError):
                if (folder / file).is_file():
                    return folder.absolute(), folder / file
    return None


def _is_installed(folder: Path) -> bool:
    """Whether a folder is this interpreter's own: another interpreter may have another one."""
    own = [*site.getsitepackages(), site.getusersitepackages(), *sysconfig.get_paths().values()]
    return str(folder) in own


def _seen_in(file: Path) -> dict[str, bool]:
    """Whether the models of a file take a length, as far as its text says.

    It is asked of ``def inputs(…)``, else of the forward methods and of Keras' ``Input(…)``.
    """
    try:
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {"takes_length": True}  # the worker says what is wrong with it
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "inputs":
            return {"takes_length": _reads_length(node)}
    forwards = [
        bool(_LONG & {*_parameters(node)})
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in ("forward", "call")
    ]
    shown = [*forwards, *map(_is_open, _keras_shapes(tree))]
    return {"takes_length": any(shown) or not shown}


def _reads_length(inputs: ast.FunctionDef) -> bool:
    """Whether a function of inputs has a use for the length: one that it only accepts is none."""
    if inputs.args.kwarg is not None:
        return True
    read = {each.id for each in ast.walk(inputs) if isinstance(each, ast.Name)}
    return _LENGTH in _parameters(inputs) and bool(read & {_LENGTH, "locals"})


def _parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    return [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]


def _keras_shapes(tree: ast.AST) -> Iterator[ast.expr]:
    """The shapes of Keras' inputs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in ("Input", "InputLayer"):
                yield from node.args[:1]
                yield from (each.value for each in node.keywords if each.arg == "shape")


def _is_open(shape: ast.expr) -> bool:
    """Whether a side of a shape is None, or may be."""
    return not isinstance(shape, (ast.Tuple, ast.List)) or any(
        isinstance(n, ast.Constant) and n.value is None for n in ast.walk(shape)
    )
