"""What one of several processes (ranks) does of a case, step by step.

The first rank measures as a process alone would; whatever it does with the device and the model, it
has the others do too, in step with it (`Rank`, one method a step). They meet before each sample,
and its time is that of the slowest.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Optional

from ..backend import Backend, Unsupported
from ..case import Case, Outcome, Phase, Status
from ..measure import Call
from ..memory_limit import limit_memory
from ..memory_profile import MemoryProfile
from .divided_models import divide_batch, divide_weights

_NO_LIMIT = timedelta(days=7)
"""For what ranks wait for each other: how long a case may take is the supervisor's matter."""


class Rank:
    """What this process does of a case, step by step.

    ``case`` is that of all ranks, and ``own`` this process's share of it.
    """

    def __init__(self, torch: Any, backend: Backend, own: Case, case: Case, number: int) -> None:
        self._torch, self.backend, self._own, self._whole = torch, backend, own, case
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
        distributed, device = self._torch.distributed, self._own.device
        backend = "gloo"
        if device != "cpu":
            if self._number >= self._torch.cuda.device_count():
                raise Unsupported(
                    f"{self._whole.ranks} ranks want a GPU each, and PyTorch sees "
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
        self.backend.import_model(self._own)
        self.device = self.backend.open(self._own)

    def limit_memory(self, size: int) -> None:
        """Have this rank's device, or the system, refuse what goes beyond a size in bytes."""
        limit_memory(self.device, size)

    def before_model(self) -> None:
        """Take the memory's baseline."""
        self.device.memory.before_model()

    def build(self) -> None:
        """Build the model, and divide it."""
        self.model = self.backend.build(self._own, self.device)
        divide = divide_weights if self._whole.parallel == "tensor" else divide_batch
        self.model.run_as(lambda module: divide(self._torch, module, self._whole, self._own.device))

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
        profiles: list[Any] = [None] * self._whole.ranks
        self._torch.distributed.all_gather_object(
            profiles, self.device.memory.stop(parameters), group=self._control
        )
        return profiles
