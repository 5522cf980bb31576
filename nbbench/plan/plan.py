"""What will be measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..arguments.schema import BenchmarkArguments
from ..environments import choose, labels
from ..worker.case import Case, varying_axes
from .baseline import check_baseline
from .cases import expand
from .models import find_models


@dataclass(frozen=True)
class Plan:
    """What will be measured.

    ``interpreters`` says what each framework's environments are, by their labels; ``problems``
    why a model has nothing to measure. ``history_file`` is where the history is kept as the run
    begins; None where it is switched off.
    """

    arguments: BenchmarkArguments
    cases: list[Case]
    interpreters: dict[tuple[str, str], str]
    problems: dict[str, str]
    history_file: Path | None = None

    @classmethod
    def of(cls, arguments: BenchmarkArguments) -> Plan:
        """Find the models and the frameworks' interpreters, and lay the cases out."""
        interpreters = interpreters_of(arguments)
        models = find_models(arguments)
        cases = expand(arguments, models, list(interpreters))
        is_default = arguments.baseline and "baseline" not in arguments.model_fields_set
        if is_default and not varying_axes(cases):  # which is for runs that compare
            arguments = arguments.model_copy(update={"baseline": None})
        check_baseline(arguments.baseline, cases)
        problems = {model.name: model.problem for model in models if model.problem}
        return cls(arguments, cases, interpreters, problems)


def interpreters_of(arguments: BenchmarkArguments) -> dict[tuple[str, str], str]:
    """What each framework's environments are, by their labels."""
    found: dict[tuple[str, str], str] = {}
    for framework in arguments.frameworks:
        chosen = [*dict.fromkeys(choose(named, framework) for named in _environments(arguments))]
        found |= {(framework, label): c for label, c in zip(labels(chosen), chosen, strict=True)}
    return found


def _environments(arguments: BenchmarkArguments) -> list[str]:
    """The environments that are asked for; without isolation it is this process's own."""
    return ["kernel"] if arguments.isolation == "none" else arguments.environments
