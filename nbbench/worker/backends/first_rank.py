"""The first rank's backend, device and model: whatever is done with them, all ranks do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from ..case import Case
from ..measure import Call
from ..memory_profile import MemoryProfile

if TYPE_CHECKING:
    from .rank import Rank


@dataclass(frozen=True)
class _Part:
    """A call that all ranks make, or a phase of it by name; the stopwatch alone makes it."""

    name: str

    def __call__(self) -> object:
        raise RuntimeError("a call of several ranks is made by their stopwatch alone")


class FirstRankBackend:
    """A backend that builds the model in all ranks."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._memory: Optional[_Memory] = None

    @property
    def peaks(self) -> tuple[int, ...]:
        """The highest memory of each rank, once the model was built."""
        return () if self._memory is None else tuple(self._memory.peaks)

    def load(self) -> None:
        """The framework is imported already."""

    def environment(self) -> dict[str, Any]:
        """What changes the results, of this rank."""
        return self._rank.backend.environment()

    def import_model(self, case: Case) -> None:
        """Each rank imports it by itself."""

    def open(self, case: Case) -> _Device:
        """Open the device of each rank."""
        self._rank.together("open")
        device = _Device(self._rank)
        self._memory = device.memory
        return device

    def build(self, case: Case, device: object) -> _Model:
        """Build the model in each rank."""
        self._rank.together("build")
        return _Model(self._rank)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether memory ran out in this rank."""
        return self._rank.backend.is_out_of_memory(error)


class _Device:
    """The devices of all ranks; its name and its GPU are this one's."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self.name: str = rank.device.name
        self.gpu_uuid: Optional[str] = rank.device.gpu_uuid
        self.memory = _Memory(rank)

    def limit_memory(self, size: int) -> None:
        """Limit the memory of each rank."""
        self._rank.together("limit_memory", size)

    def reference(self) -> None:
        """There is none: it would be timed in one rank, while the others wait."""

    def reference_name(self) -> str:
        """The name of none."""
        return ""

    def stopwatch(self, call: Any, times: int) -> float:
        """The seconds of the slowest rank."""
        seconds: float = self._rank.together("time", call.name, times)
        return seconds


class _Memory:
    """Watches the memory of all ranks; a profile is that of the one with the highest peak."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self.peak_costs_nothing: bool = rank.device.memory.peak_costs_nothing
        self.peaks: list[int] = []

    def before_model(self) -> None:
        """Take each rank's baseline."""
        self._rank.together("before_model")

    def after_model(self) -> None:
        """Take each rank's weights."""
        self._rank.together("after_model")

    def start(self) -> None:
        """Begin to watch in each rank."""
        self._rank.together("start_memory")

    def stop(self, parameters: Optional[int]) -> MemoryProfile:
        """The profile of the rank with the highest peak since `start`."""
        profiles: list[MemoryProfile] = self._rank.together("stop_memory")
        peaks = [profile.peak or 0 for profile in profiles]
        if parameters is not None:
            before = self.peaks or [0] * len(peaks)
            self.peaks = [max(pair) for pair in zip(before, peaks)]
        return profiles[peaks.index(max(peaks))]

    def now(self) -> tuple[int, Optional[int]]:
        """What this rank holds."""
        now: tuple[int, Optional[int]] = self._rank.device.memory.now()
        return now


class _Model:
    """The model of all ranks; what is known of it is this one's."""

    count = None
    """A call of several ranks is not counted."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rank.model, name)

    @property
    def generation(self) -> Optional[_Generation]:
        """The generation of all ranks, by this one's tokens."""
        return None if self._rank.model.generation is None else _Generation(self._rank)

    def prepare(self) -> tuple[Call, Optional[int]]:
        """Make the inputs in each rank; the call of all, and the tokens of this one."""
        tokens: Optional[int] = self._rank.together("prepare")
        return _Part(""), tokens

    def training_phases(self) -> list[tuple[str, Call]]:
        """The phases of a step of all ranks."""
        return _phases(self._rank)


class _Generation:
    """Generation in all ranks; the times of tokens are this rank's, which all wait for."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rank.model.generation, name)

    def phases(self) -> list[tuple[str, Call]]:
        """Prefill and decode of all ranks."""
        return _phases(self._rank)


def _phases(rank: Rank) -> list[tuple[str, Call]]:
    names: list[str] = rank.together("begin_phases")
    return [(name, _Part(name)) for name in names]
