"""Code of the user's own: a factory of models, and what stands beside it.

It is imported in the process of one case, and for each anew. Its folder stands last on the path,
so that a file of it never hides a library.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.machinery
import importlib.util
import inspect
import linecache
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Optional

from .case import Case

_REMOTE = "transformers_modules"
"""The package under which Transformers imports the code of a model's folder."""


class OwnCodeError(Exception):
    """The user's code is not as it has to be; the message says so in one sentence."""


class OwnCode:
    """An imported module of the user's, with the factory that the case names.

    ``inputs`` and ``loss`` are the functions of these names beside the factory, or None.
    """

    def __init__(self, case: Case) -> None:
        self.label = f"{case.config.get('file') or case.config['module']}:{case.config['factory']}"
        self._module = _imported(case)
        self._factory = self._named(case.config["factory"])
        self.inputs = self._function("inputs")
        self.loss = self._function("loss")

    def make(self, is_model: Callable[[Any], bool], wanted: str) -> Any:
        """The model that the factory returns; ``wanted`` is what it has to be, in messages.

        A model that stands in the module is taken as it is.
        """
        made = self._factory
        if not is_model(made):
            if not callable(made):
                raise OwnCodeError(
                    f"{self.label} is of type {type(made).__name__}; give a function that returns "
                    f"{wanted}"
                )
            made = made()
        if not is_model(made):
            raise OwnCodeError(f"{self.label} returned {_kind(made)}, and has to return {wanted}")
        return made

    def made_inputs(self, case: Case) -> Any:
        """What the user's ``inputs`` returns for this case."""
        assert self.inputs is not None
        known = {"batch_size": case.batch_size, "sequence_length": case.sequence_length}
        parameters = inspect.signature(self.inputs).parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        names = {each.name for each in parameters}
        unknown = [
            each.name
            for each in parameters
            if each.default is each.empty
            and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
            and (each.name not in known or each.kind is each.POSITIONAL_ONLY)
        ]
        if unknown:
            raise OwnCodeError(
                f"the function inputs beside {self.label} wants {', '.join(unknown)}; it may take "
                f"batch_size and sequence_length"
            )
        return self.inputs(**{n: value for n, value in known.items() if takes_all or n in names})

    def _named(self, name: str) -> Any:
        if not hasattr(self._module, name):
            near = difflib.get_close_matches(name, list(vars(self._module)), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise OwnCodeError(
                f"{self.label.rpartition(':')[0]} has no {name!r}; give a function of it that "
                f"returns a model{hint}"
            )
        return getattr(self._module, name)

    def _function(self, name: str) -> Optional[Callable[..., Any]]:
        found = getattr(self._module, name, None)
        return found if inspect.isfunction(found) else None


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"a value of type {type(value).__name__}"


_of_last: set[str] = set()
"""The names of the user's modules that this process has imported before, for another case."""


def _imported(case: Case) -> ModuleType:
    """The module that the case names, run anew, as is what it imports from its folder."""
    folder = os.path.dirname(case.source) if "file" in case.config else case.source
    for name in _of_last:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    linecache.checkcache()
    before = set(sys.modules)
    try:
        return _imported_anew(case, folder)
    finally:
        _of_last.clear()
        _of_last.update(
            name
            for name in set(sys.modules) - before
            if folder and _is_own_file(getattr(sys.modules[name], "__file__", None) or "", folder)
        )


def _imported_anew(case: Case, folder: str) -> ModuleType:
    if folder and folder not in sys.path:
        sys.path.append(folder)
    if "file" in case.config:
        name = os.path.splitext(os.path.basename(case.source))[0]
        if name in sys.modules:
            name = f"own_{name}"  # a file may be called as a library is
        spec = importlib.util.spec_from_file_location(name, case.source)
        assert spec is not None
        return _run(spec)
    name = str(case.config["module"])
    if folder:  # it comes before an installed one of the same name
        found = importlib.machinery.PathFinder.find_spec(name.partition(".")[0], [folder])
        if found is not None and found.loader is not None:
            _run(found)
    return _import_module(name)


def _run(spec: importlib.machinery.ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        assert spec.loader is not None
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise
        raise OwnCodeError(
            f"there is no module {missing!r} in this interpreter or in the current folder; give "
            f"the path of its file, like {name.replace('.', '/')}.py:FUNCTION, or install it"
        ) from None


def _is_own_file(file: str, folder: str) -> bool:
    """Whether a file lies in a folder, and is none of an installed library's in it."""
    inner = os.path.realpath(file)[len(os.path.realpath(folder)) :]
    below = os.path.realpath(file).startswith(os.path.join(os.path.realpath(folder), ""))
    return below and "site-packages" not in inner and "dist-packages" not in inner


def own_line(error: BaseException, case: Case) -> str:
    """The last line of the user's code that an exception came through; empty where there is none.

    Like ``net.py, line 12: x = self.first(x)``.
    """
    if not case.runs_foreign_code:
        return ""
    found: Optional[tuple[str, int]] = None
    frames = error.__traceback__
    while frames is not None:
        frame = frames.tb_frame
        if _is_of(frame.f_code.co_filename, frame.f_globals.get("__name__") or "", case):
            found = frame.f_code.co_filename, frames.tb_lineno
        frames = frames.tb_next
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        found = error.filename, error.lineno
    if found is None:
        return ""
    file, number = found
    text = linecache.getline(file, number).strip()
    where = f"{os.path.basename(file)}, line {number}"
    return f"{where}: {text}" if text else where


def _is_of(file: str, module: str, case: Case) -> bool:
    """Whether a line of this file is the user's code."""
    top = module.partition(".")[0]
    if top == __name__.partition(".")[0]:
        return False
    if not case.is_own:
        return top == _REMOTE
    if "file" in case.config:
        return _is_own_file(file, os.path.dirname(case.source))
    own = case.config["module"].partition(".")[0]
    return top == own or bool(case.source and _is_own_file(file, case.source))
