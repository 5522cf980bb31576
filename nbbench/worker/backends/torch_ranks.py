"""One model in several processes (ranks): PyTorch's elastic launcher starts them.

The process of the case's visit is the launcher. It starts the ranks, passes on what the first of
them reports, and says which rank it was that failed. It and the ranks speak through a store of
PyTorch's on the loopback device, so nothing is left on disk.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Optional

from ..backend import Backend, Unsupported
from ..boot import boot_command
from ..case import Case, Outcome, Phase, Status
from ..deaths import memory_kills, outcome_of_death
from ..messages import CaseFinished, Event, OfCase, PhaseChanged, RunCase, decode, encode

_MAIN = """
from nbbench.worker.backends.rank_process import main
main()
"""

_LOOK_EVERY_S = 0.1
_END_S = 2
"""Seconds that ranks have to end by themselves, once one has failed."""

_TERMINATED = -15
"""How ranks end that the launcher ends, since another one has failed."""


def run_in_ranks(
    torch: Any, backend: Backend, request: RunCase, emit: Callable[[Event], None], threads: int
) -> Outcome:
    """Run a case's ranks to their end; ``threads`` is what one process alone would have.

    Raises `Unsupported` for a case that several processes cannot run.
    """
    case = request.case
    _refuse(case)
    store = _store_on_loopback(torch)
    each = case.threads or max(1, threads // case.ranks)
    alone = request.alone or case.rounds is None  # ranks take seconds to start
    shared = replace(request, case=replace(case, threads=each), alone=alone)
    store.set("request", encode(shared))
    kills_before = memory_kills()
    with _passed_on(store, emit) as phases:
        failures = _launch(backend, case, store.port)
    outcomes = _outcomes(store, case.ranks)
    if failures:
        return _failed(case, failures, outcomes, phases[-1], kills_before)
    return _merged(case, outcomes)


def _store_on_loopback(torch: Any) -> Any:
    """A store that this process serves to those of this machine: PyTorch's own listens everywhere.

    Any other that this process would serve on its port, as the launcher's, is this one.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    return torch.distributed.TCPStore(
        "127.0.0.1", port, is_master=True, wait_for_workers=False, multi_tenant=True,
        master_listen_fd=listening.detach(),
        use_libuv=False,  # which takes no socket in PyTorch 2.4
    )  # fmt: skip


def _refuse(case: Case) -> None:
    """Raise `Unsupported` for what ranks cannot do, or do not need."""
    parallel = f"parallel {case.parallel}"
    if sys.platform == "win32":
        raise Unsupported(f"{parallel} is for Linux and macOS")
    if case.parallel == "data" and case.mode != "training":
        raise Unsupported(
            f"parallel data is for training, whose gradients are shared: for {case.mode} each rank "
            f"would do what one process does alone; give parallel none"
        )
    if case.parallel == "data" and case.batch_size % case.ranks:
        raise Unsupported(
            f"a batch of {case.batch_size} cannot be divided among {case.ranks} ranks; give a "
            f"batch size that is a multiple of {case.ranks}"
        )
    if case.execution not in ("default", "eager") or case.quantization != "none":
        raise Unsupported(f"{parallel} is for execution eager and quantization none")
    if case.energy or case.trace_memory_line_by_line:
        what = "energy" if case.energy else "memory line by line"
        raise Unsupported(f"{what} is not measured of several ranks; switch it off")
    if case.device not in ("auto", "cpu", "cuda"):
        raise Unsupported(
            f"{parallel} takes one device for each rank, and device {case.device} was asked for; "
            f"give auto, cpu or cuda"
        )


def _launch(backend: Backend, case: Case, port: int) -> Mapping[int, Any]:
    """Run the ranks to their end; what the launcher knows of those that failed, by rank."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(_END_S)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=case.ranks,
        run_id=uuid.uuid4().hex,
        rdzv_backend="static",  # it takes the store that is there, where c10d serves two more
        rdzv_endpoint=f"127.0.0.1:{port}",
        rdzv_configs={"rank": 0},
        local_addr="127.0.0.1",
        max_restarts=0,
        monitor_interval=_LOOK_EVERY_S,
        logs_specs=_no_logs(),
    )
    settings = {
        "port": port,
        "framework": case.framework,
        "backend_file": sys.modules[type(backend).__module__].__file__,
        "backend_class": type(backend).__name__,
        "device": case.device,
    }
    command, *argv = boot_command(sys.executable, _MAIN, json.dumps(settings))
    try:
        elastic_launch(config, command)(*argv)
    except ChildFailedError as error:
        return dict(error.failures)
    return {}


def _no_logs() -> Any:
    """Where the launcher writes what ranks print: nowhere, they have the worker's own stderr."""
    from torch.distributed.elastic.multiprocessing.api import LogsDest, LogsSpecs

    class NoLogs(LogsSpecs):  # type: ignore[misc]
        def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
            nowhere = dict.fromkeys(envs, "")
            return LogsDest(
                nowhere, nowhere, nowhere, nowhere, error_files=dict.fromkeys(envs, os.devnull)
            )

        @property
        def root_log_dir(self) -> str:
            return os.devnull

    return NoLogs()


@contextmanager
def _passed_on(store: Any, emit: Callable[[Event], None]) -> Iterator[list[Phase]]:
    """Pass on the first rank's events meanwhile; gives the phases so far."""
    phases, over = [Phase.IMPORTING], threading.Event()

    def pass_on() -> None:
        count = 0
        while True:
            is_over = over.wait(_LOOK_EVERY_S)
            while store.check([f"event/{count}"]):
                event = decode(store.get(f"event/{count}").rstrip(b"\n"), OfCase)
                count += 1
                if isinstance(event, PhaseChanged):
                    phases.append(event.phase)
                emit(event)
            if is_over:
                return

    thread = threading.Thread(target=pass_on, daemon=True, name="nbbench-ranks")
    thread.start()
    try:
        yield phases
    finally:
        over.set()
        thread.join()


def _outcomes(store: Any, ranks: int) -> dict[int, Outcome]:
    """What ranks came to by themselves, those first that ended first."""
    found: dict[int, tuple[int, Outcome]] = {}
    for rank in range(ranks):
        if store.check([f"outcome/{rank}"]):
            line = store.get(f"outcome/{rank}").rstrip(b"\n")
            order = int(store.get(f"order/{rank}"))
            found[rank] = order, decode(line, OfCase).outcome
    return {rank: found[rank][1] for rank in sorted(found, key=lambda rank: found[rank][0])}


def _failed(
    case: Case,
    failures: Mapping[int, Any],
    outcomes: Mapping[int, Outcome],
    phase: Phase,
    kills_before: int,
) -> Outcome:
    """What comes of a case some of whose ranks have failed: the cause, not what it led to.

    The cause is a rank that died without a report, as others fail since they have lost it; else the
    rank that reported first. It is never one that PyTorch's launcher has ended because of another.
    """
    first = next(iter(failures))
    codes = {rank: failures[rank].exitcode if rank in failures else 0 for rank in range(case.ranks)}
    gone = [
        rank
        for rank in sorted(codes, key=lambda rank: rank != first)
        if rank not in outcomes and (rank == first or codes[rank] != _TERMINATED)
    ]
    reported = [rank for rank, outcome in outcomes.items() if outcome.status is not Status.OK]
    if not gone and reported and all(_has_lost_another(outcomes[rank]) for rank in reported):
        gone = [rank for rank in codes if rank not in outcomes and codes[rank] == _TERMINATED]
    if gone or not reported:
        rank = gone[0] if gone else first
        who = f"rank {rank} of {case.ranks}"
        return outcome_of_death(who, codes[rank], phase, kills_before)
    outcome = outcomes[reported[0]]
    if outcome.status is Status.UNSUPPORTED:  # which it is for each of them
        return outcome
    reason = f"rank {reported[0]} of {case.ranks}: {outcome.reason}"
    return replace(outcome, reason=reason, timing=None, memory=None)


def _has_lost_another(outcome: Outcome) -> bool:
    """Whether a rank failed since another one is gone, as what they speak through says."""
    reason = outcome.reason.lower()
    return "gloo" in reason or "nccl" in reason


def _merged(case: Case, outcomes: Mapping[int, Outcome]) -> Outcome:
    """The first rank's outcome, with the tokens of all ranks where each has some of the batch."""
    first: Optional[Outcome] = outcomes.get(0)
    if first is None:
        return Outcome(Status.CRASHED, f"rank 0 of {case.ranks} ended without an outcome")
    if case.parallel != "data":
        return first
    return replace(
        first,
        tokens_per_call=_sum([each.tokens_per_call for each in outcomes.values()]),
        real_tokens_per_call=_sum([each.real_tokens_per_call for each in outcomes.values()]),
    )


def _sum(counts: list[Optional[int]]) -> Optional[int]:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def report_outcome(store: Any, number: int, outcome: Outcome) -> None:
    """Tell the launcher what a rank came to; called in the rank."""
    store.set(f"order/{number}", str(store.add("ended", 1)))
    store.set(f"outcome/{number}", encode(CaseFinished(outcome)))
