"""What runtimes beside PyTorch have in common: a model of Transformers, exported, and run there.

The model is built as PyTorch builds it, with the same class and the same inputs, exported by
Transformers' own exporters and called by their runners. Its outputs are compared with the eager
model's once, which is then let go.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import logging
import math
import os
import time
import warnings
from dataclasses import replace
from typing import Any, Optional

from ..backend import Device, Unsupported
from ..case import Case
from ..exceptions import first_line
from ..measure import Call
from ..process_memory import UndividedMemory
from .cpu import CpuDevice
from .own_torch import tensors_in
from .torch import TorchBackend
from .torch_model import TorchModel

_TOLERANCE = {"float32": 0.001, "float64": 0.001}
_OTHER_TOLERANCE = 0.1
"""How far outputs may be from the eager model's, as a part of its largest number, by dtype."""

_HUGE = 100
"""How many times larger than half of them a number is that is compared with itself alone."""

_PART = 1 << 20
"""How many numbers are compared at a time, so that comparing takes little memory."""

_MAX_KEPT_BYTES = 2 << 30
"""A larger model is exported in one visit alone, and not written to disk for others."""


class ExportedBackend:
    """A runtime that a model is exported to; each has a class of its own."""

    runtime = ""
    exporter, config = "", ""

    def __init__(self) -> None:
        self._eager = TorchBackend()

    def load(self) -> None:
        """Import torch, transformers with its exporters, and the runtime."""
        self._eager.load()
        self._package: Any = importlib.import_module(self.runtime)
        self._exporters: Any = importlib.import_module("transformers.exporters")
        self._folder = ""

    def environment(self) -> dict[str, Any]:
        """PyTorch's settings, and the runtime's version."""
        facts = self._eager.environment()
        version = str(self._package.__version__).partition("-")[0]
        return {
            **facts,
            "framework": self.runtime,
            "framework_version": version,
            "exported_from": f"PyTorch {facts['framework_version']}",
        }

    def import_model(self, case: Case) -> None:
        """Import the module of the case's model class."""
        self._eager.import_model(case)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """As PyTorch says it, or Python."""
        return self._eager.is_out_of_memory(error)

    def keep_compiled_in(self, folder: str) -> None:
        """Keep the exported model there, for later visits."""
        self._folder = folder

    def open(self, case: Case) -> Device:
        """The processor alone."""
        if case.device not in ("auto", "cpu"):
            raise Unsupported(
                f"{self.runtime} is measured on the CPU, and device {case.device} was asked for; "
                f"give device cpu"
            )
        device = self._eager.open(replace(case, device="cpu"))
        assert isinstance(device, CpuDevice)
        device.memory = UndividedMemory()
        return device

    def build(self, case: Case, device: Device) -> ExportedModel:
        """The model, exported, or found where an earlier visit has kept it."""
        self._refuse(case)
        model = self._eager.build(replace(case, execution="default"), device)
        inputs, tokens = model.described_inputs()
        begin = time.perf_counter()
        runner, found = self._runner(model, inputs, case)
        export_s = time.perf_counter() - begin
        with self._eager.torch.inference_mode():
            note = self._compared(model.module(**inputs), runner(**inputs), model.dtype)
        return ExportedModel(model, runner, inputs, tokens, note, None if found else export_s)

    def _refuse(self, case: Case) -> None:
        """Raise `Unsupported` for what is not exported."""
        problem = ""
        if case.mode != "inference":
            problem = f"mode {case.mode}"
        elif case.execution != "default":
            problem = f"execution {case.execution}"
        elif case.quantization != "none":
            problem = f"quantization {case.quantization}"
        elif case.is_own:
            problem = "code of your own"
        if problem:
            raise Unsupported(
                f"{self.runtime} runs models of Transformers in inference, exported, and not "
                f"{problem}; measure that with frameworks pytorch"
            )

    def _runner(self, model: TorchModel, inputs: dict[str, Any], case: Case) -> tuple[Any, bool]:
        """What runs the exported model, and whether an earlier visit has exported it."""
        found = bool(self._folder) and os.path.exists(os.path.join(self._folder, "export.json"))
        cannot = "be exported to"
        try:
            with _quietly():
                if found:
                    made = self._exporters.ExportedModel.from_pretrained(self._folder)
                else:
                    exporter = getattr(self._exporters, self.exporter)()
                    config = getattr(self._exporters, self.config)()
                    made = exporter.export(model.module, inputs, config=config)
                threads = case.threads or self._eager.torch.get_num_threads()
                cannot = "be run in this dtype or form by"
                made.to("cpu", **self._options(threads, model.dtype))
                made(**inputs)  # some refuse a graph that they have taken
        except Exception as error:  # each exporter, and each runtime, has errors of its own
            if self.is_out_of_memory(error):
                raise
            raise Unsupported(
                f"{model.architecture} cannot {cannot} {self.runtime} "
                f"({type(error).__name__}: {first_line(error)})"
            ) from error
        if self._folder and not found and model.parameter_bytes < _MAX_KEPT_BYTES:
            with _quietly():
                made.save_pretrained(self._folder)
        return made, found

    def _options(self, threads: int, dtype: str) -> dict[str, Any]:
        """What the runner is given besides: its threads above all."""
        raise NotImplementedError

    def _compared(self, eager: Any, exported: Any, dtype: str) -> str:
        """How far outputs are from the eager model's, in a sentence; raises where it is too far."""
        far = 0.0
        torch = self._eager.torch
        pairs = list(zip(tensors_in(torch, eager), tensors_in(torch, exported)))
        for ours, theirs in pairs:
            if ours.shape != theirs.shape:
                raise RuntimeError(
                    f"an output of {self.runtime} has another shape than eager: "
                    f"{tuple(theirs.shape)}, not {tuple(ours.shape)}"
                )
            if ours.is_floating_point():
                part = _apart(torch, ours, theirs)
                far = part if math.isnan(part) else max(far, part)
        tolerance = _TOLERANCE.get(dtype, _OTHER_TOLERANCE)
        if not pairs or not far <= tolerance:
            raise RuntimeError(
                f"outputs of {self.runtime} differ from eager by {far:.1e} of the largest, more "
                f"than {tolerance:g}: another model would be measured"
            )
        return f"outputs differ from eager by {far:.0e} of the largest"


def _apart(torch: Any, ours: Any, theirs: Any) -> float:
    """How far numbers are from ours, as a part of our largest; NaN if others are no numbers.

    One that is far larger than most, as those of masks are, would hide how far all others are: it
    counts for itself alone.
    """
    bound, largest, far = _HUGE * _typical(ours), 1e-6, 0.0
    for part in ours.flatten().split(_PART):
        usual = _finite_sizes(part.float())
        usual = usual[usual <= bound]
        largest = max(largest, usual.max().item() if usual.numel() else 0.0)
    for pair in zip(ours.flatten().split(_PART), theirs.flatten().split(_PART)):
        mine, other = (part.float() for part in pair)
        finite = mine.isfinite()
        if not (
            torch.equal(finite, other.isfinite())
            and torch.allclose(mine[~finite], other[~finite], equal_nan=True)
        ):
            return math.nan
        mine, other = mine[finite], other[finite]
        apart = (mine - other).abs() / mine.abs().clamp(min=largest)
        far = max(far, apart.max().item() if apart.numel() else 0.0)
    return far


def _typical(numbers: Any) -> float:
    """The median size of those that are no zeros, of some that lie evenly among them."""
    flat = numbers.flatten()
    some = _finite_sizes(flat[:: max(1, len(flat) // _PART)].float())
    some = some[some > 0]
    return float(some.median()) if some.numel() else math.inf


def _finite_sizes(numbers: Any) -> Any:
    return numbers[numbers.isfinite()].abs()


class ExportedModel:
    """A model in another runtime, called with the inputs that PyTorch's rows have."""

    execution = "exported"
    keeps_compiled = True

    def __init__(
        self,
        model: TorchModel,
        runner: Any,
        inputs: dict[str, Any],
        tokens: Optional[int],
        note: str,
        export_s: Optional[float],
    ) -> None:
        self.architecture, self.dtype, self.library = model.architecture, model.dtype, model.library
        self.parameter_count, self.parameter_bytes = model.parameter_count, model.parameter_bytes
        self.modalities = model.modalities
        self.real_tokens, self.padded_to = model.real_tokens, model.padded_to
        self.note = "; ".join(filter(None, [model.note, note]))
        self.export_s = export_s
        self._runner, self._inputs, self._tokens = runner, inputs, tokens
        model.let_go()
        gc.collect()

    def prepare(self) -> tuple[Call, Optional[int]]:
        """A call of the exported model."""
        runner, inputs = self._runner, self._inputs
        return lambda: runner(**inputs), self._tokens

    def training_phases(self) -> list[tuple[str, Call]]:
        """None: it is not trained."""
        return []

    def gradient_bytes(self) -> Optional[int]:
        """None: it has no gradients."""
        return None


@contextlib.contextmanager
def _quietly() -> Any:
    """Without what exporters and runtimes print and warn of on their way."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
