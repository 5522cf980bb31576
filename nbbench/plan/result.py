"""A case with what came of it, as reports, histories and tables have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..worker.case import Axis, Case, Outcome
from .reasons import without_code, without_paths, without_private
from .saved_names import has_folders, is_path_of, saved_names, without_folders


@dataclass(frozen=True)
class Result:
    """A case and what came of it; its reason names no home folder and no password."""

    case: Case
    outcome: Outcome

    def __post_init__(self) -> None:
        reason = without_private(self.outcome.reason) if self.outcome.reason else ""
        if reason != self.outcome.reason:
            object.__setattr__(self, "outcome", dataclasses.replace(self.outcome, reason=reason))

    def by_own_name(self) -> Result:
        """The same with what files call the model, which is no path."""
        if not self.case.saved_as:
            return self
        return Result(dataclasses.replace(self.case, model=self.case.saved_as), self.outcome)

    def as_saved(self) -> Result:
        """What files have of it: no path, no text or code of the user's, no traceback, no log."""
        case, reason, lines = self.case, self.outcome.reason, self.outcome.lines
        if lines is not None and case.runs_foreign_code:
            lines = lines.without_text()
        if not (
            case.saved_as or case.source or case.texts or reason or self.outcome.detail
            or lines is not self.outcome.lines
        ):  # fmt: skip
            return self
        if case.saved_as:
            own = case.saved_as.rpartition(":")[0] or case.saved_as
            for path, name in ((case.model, case.saved_as), (case.source, own)):
                for known in (path, without_private(path)):
                    reason = reason.replace(known, name) if _is_telling(known) else reason
        case = dataclasses.replace(self.by_own_name().case, saved_as="", source="", texts=())
        if reason and self.case.runs_foreign_code:
            reason = without_code(reason)
        reason = without_paths(reason) if reason else ""
        return Result(
            case, dataclasses.replace(self.outcome, reason=reason, detail="", lines=lines)
        )

    def value(self, axis: Axis) -> Any:
        """The case's value on an axis, as it ran where that is known."""
        ran_with: dict[str, Any] = {
            "dtype": self.outcome.dtype,
            "execution": self.outcome.execution,
            "quantization": self.outcome.quantization,
            "device_name": self.outcome.device_name,
        }
        if self.case.sequence_length is None:
            ran_with["sequence_length"] = self.outcome.sequence_length
        return ran_with.get(axis.name) or axis.value(self.case)


def with_saved_names(
    results: Sequence[Result], *, keeps_relative: bool = False
) -> tuple[Result, ...]:
    """Results of which those that older files have by a path know what files call that now.

    ``keeps_relative`` is for names like ``run1/last``, which those of today may be, too.
    """
    given = {
        result.case.model: is_path_of(
            result.case.model, "" if keeps_relative else result.case.config_source
        )
        for result in results
        if not result.case.saved_as
    }
    names = {}
    if any(is_path and has_folders(name) for name, is_path in given.items()):
        names = saved_names([*given.items()], at_hand=False)
    return tuple(_without_path(result, names) for result in results)


def _without_path(result: Result, names: Mapping[str, str]) -> Result:
    case, config = result.case, without_folders(result.case.config)
    name = case.saved_as or names.get(case.model, "")
    name = "" if name == case.model else name
    if name == case.saved_as and config == case.config:
        return result
    return Result(dataclasses.replace(case, saved_as=name, config=config), result.outcome)


def _is_telling(path: str) -> bool:
    """Whether a path is more than a dot, which stands in any sentence."""
    return bool(path.strip("./\\~")) and ("/" in path or "\\" in path)
