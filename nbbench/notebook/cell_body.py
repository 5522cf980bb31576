"""What a ``%%tfbench`` cell's body assigns."""

from __future__ import annotations

import ast
from copy import copy
from typing import Any

from ..errors import ArgumentError
from ..text import error_text


def read_body(body: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a cell's body assigns, by whatever statement.

    The body runs on a copy of ``namespace``, so it sees the user's variables and leaves none
    behind. Names that are no arguments are refused, unless they begin with an underscore or come
    from an import or a definition. Raises `ArgumentError`, also for what goes wrong in the body.
    """
    from ..arguments.schema import BenchmarkArguments, singular_names, unknown_argument

    known = {*BenchmarkArguments.model_fields, *singular_names()}
    try:
        tree = ast.parse(body)
        code = compile(tree, "<%%tfbench>", "exec")
    except SyntaxError as error:
        where = f"line {error.lineno} of " if error.lineno else ""
        raise ArgumentError(f"{where}the cell's body is not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:  # no text of a program, or too deep
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise ArgumentError(f"the cell's body is not Python: {reason}") from None
    inner, stored = _comprehension_names(tree), _stored_names(tree)
    for name in stored:
        if name not in known and not name.startswith("_") and name not in inner:
            raise ArgumentError(
                f"{unknown_argument(name)} (a name for your own use begins with an underscore)"
            )
    values = {name: _own_value(name in known, value) for name, value in namespace.items()}
    own = _Assigned(values, stored, _global_names(tree))
    try:
        exec(code, own)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a SystemExit, too, which would end nothing but the cell
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != "<%%tfbench>":
            frames = frames.tb_next
        where = "" if frames is None else f"line {frames.tb_lineno} of "
        raise ArgumentError(f"{where}the cell's body failed with {error_text(error)}") from None
    return {name: own[name] for name in own.assigned() if name in known}


def _own_value(is_argument: bool, value: Any) -> Any:
    """A value as the body has it: a list that it may change in place is the notebook's, too."""
    return copy(value) if is_argument and type(value) in (list, dict, set) else value


class _Assigned(dict[str, Any]):
    """A copy of a namespace that records which names a program stores in it.

    An import stores a name as an assignment does, and one may store what was there already.
    """

    def __init__(
        self, namespace: dict[str, Any], stored_names: list[str], global_names: set[str]
    ) -> None:
        super().__init__(namespace)
        self._before, self._stored = namespace, dict[str, None]()
        self._global, self._surely = global_names, global_names.intersection(stored_names)

    def __setitem__(self, name: str, value: Any) -> None:
        self._stored[name] = None
        super().__setitem__(name, value)

    def assigned(self) -> list[str]:
        """The names that were stored, and are there; also those declared ``global``.

        Python stores the latter past this class: those of a function are told by their values.
        """
        missing = object()
        changed = [
            n for n in self._global if self.get(n, missing) is not self._before.get(n, missing)
        ]
        found = dict.fromkeys([*self._stored, *sorted({*self._surely, *changed})])
        return [name for name in found if name in self]


def _global_names(tree: ast.Module) -> set[str]:
    """The names that are declared ``global``, in functions, too."""
    return {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


_OWN_NAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _stored_names(tree: ast.Module) -> list[str]:
    """Names that are assigned, but not in functions and classes, which have names of their own."""
    names, nodes = [], [*ast.iter_child_nodes(tree)]
    for node in nodes:  # which grows; recursion would end at deeply nested ones
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
        if not isinstance(node, _OWN_NAMES):
            nodes += ast.iter_child_nodes(node)
    return names


def _comprehension_names(tree: ast.Module) -> set[str]:
    """Names that live in a comprehension alone."""
    kinds = (ast.comprehension,)
    return {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }
