"""What will be measured, and about how long that takes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest

from ..arguments.schema import BenchmarkArguments
from ..environments import choose, label
from ..errors import ModelNotFound
from ..execution.progress import expected_seconds
from .cases import Case, Result, expand
from .models import ModelConfig, find_here, find_models


@dataclass(frozen=True)
class Plan:
    """What will be measured.

    ``interpreters`` says what each framework's environments are, by their labels; ``problems``
    why a model has nothing to measure.
    """

    arguments: BenchmarkArguments
    cases: list[Case]
    interpreters: dict[tuple[str, str], str]
    problems: dict[str, str]

    @classmethod
    def of(cls, arguments: BenchmarkArguments) -> Plan:
        """Find the models and the frameworks' interpreters, and lay the cases out."""
        interpreters = _interpreters(arguments)
        models = find_models(arguments)
        cases = expand(arguments, models, list(interpreters))
        problems = {model.name: model.problem for model in models if model.problem}
        return cls(arguments, cases, interpreters, problems)


def estimate(arguments: BenchmarkArguments, known: Iterable[Result]) -> tuple[int, float]:
    """How many cases arguments make, and about how many seconds they take.

    Asks no hub: a model that is not known here is taken to have a length. The seconds are those of
    similar cases among the ``known``, or else the most that they may take.
    """
    models = []
    for name, config in zip_longest(arguments.model_names(), arguments.configs):
        with suppress(ModelNotFound):
            found = ModelConfig(name, config, "given") if config else find_here(name)
            models.append(found or ModelConfig(name))
    cases = expand(arguments, models, list(_interpreters(arguments)))
    return len(cases), expected_seconds(cases, known)


def _interpreters(arguments: BenchmarkArguments) -> dict[tuple[str, str], str]:
    """What each framework's environments are, by their labels."""
    return {
        (framework, label(said, number)): said
        for framework in arguments.frameworks
        for number, said in enumerate(
            dict.fromkeys(choose(said, framework) for said in _places(arguments)), 1
        )
    }


def _places(arguments: BenchmarkArguments) -> list[str]:
    """The environments that are asked for; without isolation it is this process's own."""
    return ["kernel"] if arguments.isolation == "none" else arguments.environments
