"""One of the processes (ranks) that run a model together.

The first rank measures as a process alone would; whatever it does with the device and the model, it
has the others do too, in step with it (`Rank`, one method a step). They meet before each sample,
and its time is that of the slowest.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Optional

from ..backend import Backend, Unsupported
from ..case import Case, Outcome, Phase, Status
from ..guard import die_with_parent
from ..load import load_backend
from ..measure import Call
from ..memory_limit import limit_memory
from ..memory_profile import MemoryProfile
from ..messages import Event, Request, WorkerFailed, decode, encode
from ..run_case import outcome_of_error, run_case
from .torch_errors import first_sentence
from .torch_ranks import report_outcome

_CONNECT_S = 60
_NO_LIMIT = timedelta(days=7)
"""For what ranks wait for each other: how long a case may take is the supervisor's matter."""

_KEY_PROJECTIONS = ("k_proj", "qkv_proj", "query_key_value")
"""Layers whose output is cut into heads, in the plans of Transformers."""


def main() -> None:
    """Be the rank that the launcher's variables name, and report what came of it."""
    _end_with_the_leader()
    settings = json.loads(sys.argv[1])
    if settings["device"] == "cpu":  # else Transformers would divide the model among GPUs
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    import torch

    rank = int(os.environ["RANK"])
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
        outcome = _run(torch, store, rank, backend, request)
    report_outcome(store, rank, outcome)
    sys.stderr.flush()
    os._exit(0 if outcome.status is Status.OK else 1)


def _end_with_the_leader() -> None:
    """Be ended when the process is gone that has started this one."""
    if sys.platform == "linux":
        die_with_parent()
    leader = os.getppid()

    def watch() -> None:
        while os.getppid() == leader:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(torch: Any, store: Any, number: int, backend: Backend, request: Any) -> Outcome:
    """What comes of a case in this rank; the first rank's outcome is the case's."""
    from .leading_rank import LeadingBackend

    case = request.case
    own = _share_of(case, number, _device(torch, case.device, number))
    rank = Rank(torch, backend, own, case, number)
    try:
        rank.join()
        if number:
            return rank.follow()
    except BaseException as error:
        return outcome_of_error(backend, own, rank.phase, error)
    leading = LeadingBackend(rank)
    count = 0

    def emit(event: Event) -> None:
        nonlocal count
        rank.phase = getattr(event, "phase", rank.phase)
        store.set(f"event/{count}", encode(event))
        count += 1

    outcome = run_case(leading, own, emit, request.round, request.alone, trial=request.trial)
    if outcome.status is Status.OK:
        rank.together("end")
        if outcome.memory is not None:
            memory = replace(outcome.memory, per_rank=leading.peaks)
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


class Rank:
    """What this process does of a case, step by step.

    ``own`` is the case as this process runs it, and ``case`` that of all ranks.
    """

    def __init__(self, torch: Any, backend: Backend, own: Case, case: Case, number: int) -> None:
        self._torch, self.backend, self._case, self._all = torch, backend, own, case
        self._number = number
        self.phase = Phase.IMPORTING
        self.device: Any = None
        self.model: Any = None
        self._call: Optional[Call] = None
        self._parts: dict[str, Call] = {}
        self._known: dict[str, Any] = {}
        self._control: Any = None
        self._collect: Callable[[], object] = lambda: None

    def join(self) -> None:
        """Meet the other ranks."""
        distributed, device = self._torch.distributed, self._case.device
        backend = "gloo"
        if device != "cpu":
            if self._number >= self._torch.cuda.device_count():
                raise Unsupported(
                    f"{self._all.ranks} ranks want a GPU each, and PyTorch sees "
                    f"{self._torch.cuda.device_count()}; give fewer ranks, or device cpu"
                )
            self._torch.cuda.set_device(device)
            backend = "cpu:gloo,cuda:nccl"
        distributed.init_process_group(backend, timeout=_NO_LIMIT)
        self._control = distributed.new_group(backend="gloo", timeout=_NO_LIMIT)

    def follow(self) -> Outcome:
        """Do what the first rank does, until it has ended."""
        while True:
            step: list[Any] = [None]
            self._torch.distributed.broadcast_object_list(step, src=0, group=self._control)
            self.phase, name, arguments = step[0]
            if name == "end":
                return Outcome(Status.OK, **self._known)
            getattr(self, name)(*arguments)
            self._collect()

    def together(self, name: str, *arguments: Any) -> Any:
        """Have all ranks take a step; what it gives in this one, the first."""
        step = [(self.phase, name, arguments)]
        self._torch.distributed.broadcast_object_list(step, src=0, group=self._control)
        return None if name == "end" else getattr(self, name)(*arguments)

    def open(self) -> None:
        """Open the device."""
        self.backend.import_model(self._case)
        self.device = self.backend.open(self._case)

    def limit_memory(self, size: int) -> None:
        """Have this rank's device, or the system, refuse what goes beyond a size in bytes."""
        limit_memory(self.device, size)

    def before_model(self) -> None:
        """Take the memory's baseline."""
        self.device.memory.before_model()

    def build(self) -> None:
        """Build the model, and divide it."""
        self.model = self.backend.build(self._case, self.device)
        divide = _divide_weights if self._all.parallel == "tensor" else _divide_batch
        self.model.run_as(lambda module: divide(self._torch, module, self._all, self._case.device))

    def after_model(self) -> None:
        """Take the weights' memory."""
        gc.collect()
        self.device.memory.after_model()
        if self._number:  # the first rank does so by itself, between two samples
            gc.freeze()
            gc.disable()
            self._collect = lambda: gc.collect(0)

    def prepare(self) -> Optional[int]:
        """Make the inputs; the tokens of a call of this rank's."""
        tokens: Optional[int]
        self._call, tokens = self.model.prepare()
        real = self.model.real_tokens
        self._known["tokens_per_call"] = tokens
        self._known["real_tokens_per_call"] = tokens if real is None else real
        return tokens

    def begin_phases(self) -> list[str]:
        """Make ready to time a call phase by phase; the phases' names."""
        generation = self.model.generation
        phases = self.model.training_phases if generation is None else generation.phases
        self._parts = dict(phases())
        return list(self._parts)

    def time(self, name: str, times: int) -> float:
        """The seconds that the slowest rank takes for some calls, or for a phase of one."""
        distributed = self._torch.distributed
        call = self._parts[name] if name else self._call
        distributed.barrier(group=self._control)
        seconds = self._torch.tensor(
            [self.device.stopwatch(call, times)], dtype=self._torch.float64
        )
        distributed.all_reduce(seconds, distributed.ReduceOp.MAX, group=self._control)
        return float(seconds)

    def start_memory(self) -> None:
        """Begin to watch the memory's peak."""
        self.device.memory.start()

    def stop_memory(self) -> list[MemoryProfile]:
        """The memory of all ranks, in order."""
        parameters = None if self.model is None else self.model.parameter_bytes
        profiles: list[Any] = [None] * self._all.ranks
        self._torch.distributed.all_gather_object(
            profiles, self.device.memory.stop(parameters), group=self._control
        )
        return profiles


def _divide_batch(torch: Any, module: Any, case: Case, device: str) -> Any:
    """The module in PyTorch's DistributedDataParallel, which shares the gradients.

    Parameters without a gradient are looked for in each step, as Transformers' own trainer does.
    """
    return torch.nn.parallel.DistributedDataParallel(
        module,
        device_ids=None if device == "cpu" else [device],
        find_unused_parameters=True,
    )


def _divide_weights(torch: Any, module: Any, case: Case, device: str) -> Any:
    """The module with a part of the weights, by its own plan; `Unsupported` where it has none."""
    import transformers

    try:
        from transformers.distributed import DistributedConfig

        prepare, distribute = (
            type(module).prepare_distribute_model,
            type(module).maybe_distribute_model,
        )
    except (ImportError, AttributeError):
        raise Unsupported(
            f"Transformers {transformers.__version__} cannot divide {type(module).__name__}: "
            f"parallel tensor wants a model of Transformers 5.23 or newer"
        ) from None
    if not module.tp_plan:
        raise Unsupported(
            f"{type(module).__name__} has no plan for tensor parallel in Transformers "
            f"{transformers.__version__}"
        )
    _refuse_uneven_heads(module, case)
    try:
        config, _, mesh = prepare(DistributedConfig(tp_size=case.ranks))
        return distribute(module, config, mesh)
    except ValueError as error:
        raise Unsupported(
            f"{type(module).__name__} cannot be divided among {case.ranks} ranks: "
            f"{first_sentence(error)}"
        ) from error


def _refuse_uneven_heads(module: Any, case: Case) -> None:
    """Raise `Unsupported` where a plan divides keys by heads that are too few for the ranks."""
    divided = {name.rpartition(".")[2] for name, how in module.tp_plan.items() if how == "colwise"}
    config = module.config.get_text_config()
    for name in ("num_attention_heads", "num_key_value_heads"):
        heads = getattr(config, name, None)
        if divided & set(_KEY_PROJECTIONS) and isinstance(heads, int) and heads % case.ranks:
            raise Unsupported(
                f"{name} of {case.model} is {heads}, which cannot be divided among {case.ranks} "
                f"ranks"
            )
