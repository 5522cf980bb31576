"""A sweep that goes on: what an earlier run has measured is taken from the history."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import OutputError
from ..history_database.alike import model_key, saved_label
from ..history_database.candidates import Candidate, without_ceilings
from ..history_database.columns import EXTRAS
from ..history_database.connection import SWITCH
from ..history_database.database import warn_twice
from ..history_database.kept_case import read_case
from ..history_database.store import HistoryStore
from ..machine.gpus import GpuFacts
from ..machine.machine import describe_machine
from ..plan.code_digest import MAX_BYTES, MAX_ENTRIES, MAX_FILES, UNKNOWN
from ..plan.plan import Plan
from ..plan.result import Result
from ..report.environment import EnvironmentKey, WorkerFacts, with_gpu_of
from ..text import counted, quoted
from ..worker.case import Case, Outcome, Status
from .events import CaseEnded, CaseVisited, Event, Notice
from .rounds import is_measured
from .supervise import Supervisor

Run = Callable[
    [Sequence[Case], Mapping[EnvironmentKey, Supervisor], Callable[[], bool]], Iterator[Event]
]
"""Carries out cases whose environments are ready; is given what says whether to stop."""

_BUSY_S = 5.0
"""How long what was measured before waits for another's write; nothing is measured meanwhile."""


@dataclass(frozen=True)
class FoundOnNode:
    """What became of a case on a node of a cluster in an earlier ``run``, by that run's own id.

    ``worker`` has the node's machine.
    """

    result: Result
    worker: WorkerFacts
    run: str


class EarlierRuns:
    """What earlier runs have measured, as far as the history can be read: the rest is measured.

    A row of the history serves one case at most. One that is kept under the label of another of
    this run's ``cases`` is left for that.
    """

    def __init__(self, file: Path, extras: Collection[str], cases: Iterable[Case] = ()) -> None:
        self._extras, self._has_noticed = extras, False
        self._notices: list[str] = []
        self._rows, self._samples = set[str](), frozenset[tuple[Any, ...]]()
        self._models = {(model_key(case), saved_label(case)) for case in cases}
        self._store = HistoryStore(
            file,
            describe_machine(),
            lambda text: warn_twice(text, self._notices.append),
            _BUSY_S,
            extras,
        )
        self._is_lost = False

    def find(self, case: Case, worker: WorkerFacts, *, own_process: bool) -> Result | None:
        """What became of the same case here, or what its visits have measured so far.

        None if there is nothing, it cannot be read, or another case of this run has taken it.
        ``own_process`` says whether visits are processes of their own.
        """
        taken = self._taken(case, lambda: self._of_case(case, worker), own_process)
        return None if taken is None else taken.result

    def find_on_nodes(
        self, case: Case, workers: Sequence[WorkerFacts], *, own_process: bool
    ) -> FoundOnNode | None:
        """What became of the same case on a node that one of these workers may be on.

        None if there is nothing, it cannot be read, or another case of this run has taken it.
        """
        nodes: dict[str, FoundOnNode] = {}
        taken = self._taken(case, lambda: self._on_nodes(case, workers, nodes), own_process)
        return None if taken is None else replace(nodes[taken.row], result=taken.result)

    def _of_case(self, case: Case, worker: WorkerFacts) -> Iterator[Candidate]:
        yield from self._store.ended(case, worker)
        if not case.searched:
            yield from self._store.visits_so_far(case, worker)

    def _on_nodes(
        self, case: Case, workers: Sequence[WorkerFacts], nodes: dict[str, FoundOnNode]
    ) -> Iterator[Candidate]:
        """What nodes have measured; ``nodes`` gets by its row where that was."""
        for worker in workers:
            for candidate in self._store.ended(case, worker):
                found = self._found_on_node(candidate, worker)
                if found is not None:
                    nodes[candidate.row] = found
                    yield candidate

    def _found_on_node(self, candidate: Candidate, worker: WorkerFacts) -> FoundOnNode | None:
        """Where a case was measured; None where that was on another device."""
        outcome = candidate.result.outcome
        is_same = outcome.device == "cpu" or outcome.device_name in (worker.gpu.gpu, outcome.device)
        kept = self._store.kept_as(candidate.row) if is_same else None
        if kept is None:
            return None
        run, machine, environment, content = kept
        try:
            case = read_case(machine, environment, content)
        except ValueError:
            return None
        return FoundOnNode(
            candidate.result, replace(case.worker or worker, machine=case.machine), run
        )

    def has_one_node(self, run: str) -> bool:
        """Whether one node alone has measured in a run's part on machines that are alike."""
        with suppress(OutputError):
            return len(self._store.nodes_of(run)) == 1
        return False

    def _taken(
        self, case: Case, find: Callable[[], Iterator[Candidate]], own_process: bool
    ) -> Candidate | None:
        """What serves a case best, which serves no other case from then on."""
        if self._is_lost:
            return None
        self._notice_unknown(case)
        try:
            candidate = self._best(case, find(), own_process)
        except OutputError as error:
            self._is_lost = True
            self._notices.append(f"{error}; what it has is measured again")
            return None
        if candidate is None:
            return None
        if is_whole(case, candidate.result, own_process=own_process) or not case.searched:
            self._rows.add(candidate.row)
            self._samples |= candidate.samples
        if "ceilings" in self._extras:
            return candidate
        result = candidate.result
        outcome = without_ceilings(result.outcome)
        return replace(candidate, result=replace(result, outcome=outcome))

    def _best(self, case: Case, found: Iterator[Candidate], own_process: bool) -> Candidate | None:
        """What is whole, of the same label if it can be; else what has the most visits."""
        own, of_others = list[Candidate](), list[Candidate]()
        label = saved_label(case)
        for candidate in found:
            is_own = candidate.label == label
            if candidate.row in self._rows or candidate.samples & self._samples:
                continue
            if not is_own and (model_key(case), candidate.label) in self._models:
                continue
            if is_own and is_whole(case, candidate.result, own_process=own_process):
                return candidate
            (own if is_own else of_others).append(candidate)
        for each in (own, of_others):
            whole = (
                candidate
                for candidate in each
                if is_whole(case, candidate.result, own_process=own_process)
            )
            best = next(whole, None) or max(
                each, key=lambda candidate: candidate.visits, default=None
            )
            if best is not None:
                return best
        return None

    def _notice_unknown(self, case: Case) -> None:
        """Say once why code that cannot be compared is measured again."""
        if case.code.startswith(UNKNOWN) and not self._has_noticed:
            self._has_noticed = True
            self._notices.append(
                f"what {quoted(saved_label(case))} runs cannot be compared with an "
                f"earlier run, and is measured again: beneath its folder are more than "
                f"{MAX_FILES:,} .py files, {MAX_BYTES >> 20} MiB of them or {MAX_ENTRIES:,} files "
                f"of any kind, or something cannot be read or found; a folder of its own helps"
            )

    def close(self) -> None:
        """Let go of the history."""
        self._store.close()

    def notices(self) -> Iterator[Notice]:
        """What a person should know of the history, and has not been given yet."""
        if self._store.unreadable:
            cases = counted(self._store.unreadable, "case")
            self._notices.append(f"{cases} of the history cannot be read: measured again")
            self._store.unreadable = 0
        while self._notices:
            yield Notice(self._notices.pop(0))


def is_whole(case: Case, result: Result, *, own_process: bool) -> bool:
    """Whether a result is all that a case comes to, which may be one whose size is searched."""
    sized = found_case(case, result.case) if case.searched else case
    return is_measured(sized, result.outcome, own_process=own_process)


def extras_of(arguments: BenchmarkArguments) -> frozenset[str]:
    """Which of `EXTRAS` a run asks for beside its cases."""
    asked = {"ceilings": arguments.ceilings, "prediction": arguments.predict is True}
    return frozenset(extra for extra in EXTRAS if asked[extra])


def history_to_resume(plan: Plan) -> EarlierRuns:
    """The runs that a sweep goes on from; raises `OutputError` where the history is off."""
    if plan.history_file is None:
        raise OutputError(f"resume needs the history, which {SWITCH} switches off; unset it")
    return EarlierRuns(plan.history_file, extras_of(plan.arguments), plan.cases)


def run_missing(
    run: Callable[..., Iterator[Event]],
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    earlier: EarlierRuns,
) -> Iterator[Event]:
    """Yield the end of each case that was measured before, and the events of ``run`` for the rest.

    A case was measured before if it is the same in all that changes a result, with the same
    versions and settings on the same machine, and has the extras that are asked for. One that timed
    out, crashed or was cancelled then is measured again. ``run`` gets as ``so_far`` what visits
    have measured of cases that did not come to their end, and as ``out_of_memory`` the cases for
    which there was too little.
    """
    missing, so_far = list[Case](), dict[Case, Outcome]()
    out_of_memory = list[Case]()
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced()
            found = None
            if worker is not None and not cancelled():
                found = earlier.find(case, worker, own_process=supervisor.own_process)
            if worker is None or found is None:
                missing.append(case)
            elif is_measured(case, found.outcome, own_process=supervisor.own_process):
                if found.outcome.status is Status.OOM:
                    out_of_memory.append(case)
                met = _with_gpu(worker, found.outcome)
                yield CaseEnded(case, found.outcome, met, is_old=True)
            else:
                missing.append(case)
                if not _has_compiled(found.outcome):
                    so_far[case] = found.outcome
                    yield CaseVisited(case, found.outcome, worker)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(missing, supervisors, cancelled, so_far=so_far, out_of_memory=out_of_memory)


def _with_gpu(worker: WorkerFacts, outcome: Outcome) -> WorkerFacts:
    """What a worker reports, with the GPU's name where it has not opened that for what is old."""
    name = outcome.device_name
    if outcome.device == "cpu" or name in ("", outcome.device):
        return worker
    return with_gpu_of(worker, WorkerFacts(gpu=GpuFacts(gpu=name)))


def _has_compiled(outcome: Outcome) -> bool:
    """Whether visits have compiled what those of another run do not find."""
    visits = () if outcome.timing is None else outcome.timing.visits
    return any(visit.compiled for visit in visits)


def run_unsearched(
    run: Run,
    cases: Sequence[Case],
    supervisors: Mapping[EnvironmentKey, Supervisor],
    cancelled: Callable[[], bool],
    *,
    earlier: EarlierRuns,
) -> Iterator[Event]:
    """Yield the end of each search that came to its end before, and the events of ``run``."""
    left = []
    try:
        for case in cases:
            supervisor = supervisors[case.framework, case.environment]
            worker = supervisor.introduced() if case.searched else None
            own_process, found = supervisor.own_process, None
            if worker is not None and not cancelled():
                found = earlier.find(case, worker, own_process=own_process)
            if (
                worker is None
                or found is None
                or not is_whole(case, found, own_process=own_process)
            ):
                left.append(case)
                continue
            sized, met = found_case(case, found.case), _with_gpu(worker, found.outcome)
            yield CaseEnded(case, found.outcome, met, is_old=True, found=sized)
    finally:
        earlier.close()
    yield from earlier.notices()
    yield from run(left, supervisors, cancelled)


def found_case(planned: Case, found: Case) -> Case:
    """The planned case with the size that a search has found for it."""
    sized: dict[str, Any] = {planned.searched: getattr(found, planned.searched)}
    return replace(planned, searched="", **sized)
