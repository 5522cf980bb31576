"""The process that is one of several (ranks) which run a model together."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..backend import Backend
from ..case import Case, Outcome, Phase, Status
from ..failures import outcome_of_error
from ..guard import die_with_parent
from ..load import load_backend
from ..messages import Event, Request, RunCase, WorkerFailed, decode, encode
from ..run_case import run_case
from .first_rank import FirstRankBackend
from .rank import Rank
from .torch_ranks import report_outcome

_CONNECT_S = 60


def main() -> None:
    """Be the rank that the launcher's variables name, and report what came of it."""
    _end_with_the_launcher()
    settings = json.loads(sys.argv[1])
    if settings["device"] == "cpu":  # else Transformers would divide the model among GPUs
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    import torch

    number = int(os.environ["RANK"])
    store = torch.distributed.TCPStore(
        "127.0.0.1", settings["port"], is_master=False, timeout=timedelta(seconds=_CONNECT_S)
    )
    backend = load_backend(
        settings["framework"], settings["backend_file"], settings["backend_class"]
    )
    if isinstance(backend, WorkerFailed):
        outcome = Outcome(backend.status, backend.reason, Phase.IMPORTING, detail=backend.detail)
    else:
        request = decode(store.get("request").rstrip(b"\n"), Request)
        outcome = _run(torch, store, number, backend, request)
    report_outcome(store, number, outcome)
    sys.stderr.flush()
    os._exit(0 if outcome.status is Status.OK else 1)


def _end_with_the_launcher() -> None:
    """Be ended when the process is gone that has started this one."""
    if sys.platform == "linux":
        die_with_parent()
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(torch: Any, store: Any, number: int, backend: Backend, request: Any) -> Outcome:
    """What comes of a case in this rank; the first rank's outcome is the case's."""
    case = request.case
    own = _share_of(case, number, _device(torch, case.device, number))
    rank = Rank(torch, backend, own, case, number)
    try:
        rank.join()
        if number:
            return rank.follow()
    except BaseException as error:
        return outcome_of_error(backend, own, rank.phase, error)
    first = FirstRankBackend(rank)
    count = 0

    def emit(event: Event) -> None:
        nonlocal count
        rank.phase = getattr(event, "phase", rank.phase)
        store.set(f"event/{count}", encode(event))
        count += 1

    share = RunCase(own, request.round, request.alone, trial=request.trial)
    outcome = run_case(first, share, emit)
    if outcome.status is Status.OK:
        rank.together("end")
        if outcome.memory is not None:
            memory = replace(outcome.memory, per_rank=first.peaks)
            outcome = replace(outcome, memory=memory)
    return outcome


def _device(torch: Any, wanted: str, number: int) -> str:
    """The device of a rank: a GPU of its own, or the CPU."""
    if wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available()):
        return f"cuda:{number}"
    return "cpu"


def _share_of(case: Case, number: int, device: str) -> Case:
    """What one rank runs: with data parallel its part of the batch, drawn by a seed of its own."""
    own = replace(case, parallel="none", ranks=1, device=device)
    if case.parallel != "data":
        return own
    size = case.batch_size // case.ranks
    rows = slice(number * size, (number + 1) * size)
    return replace(
        own,
        batch_size=size,
        row_lengths=case.row_lengths[rows],
        texts=case.texts[rows],
        seed=case.seed + number,
    )
