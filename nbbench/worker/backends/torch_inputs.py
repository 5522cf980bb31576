"""Described inputs as PyTorch's tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..inputs.tensors import IGNORED, Input


@dataclass(frozen=True)
class TorchInputs:
    """Makes inputs on a device by a seeded generator, those of real numbers in ``dtype``."""

    torch: Any
    dtype: Any
    device: str
    generator: Any

    def __call__(self, spec: Input) -> Any:
        """What the forward method is given for an input."""
        return spec.made_by(self._tensor)

    def _tensor(self, spec: Input) -> Any:
        torch, generator = self.torch, self.generator
        if spec.kind == "ids":
            made = self._ids(spec)
        elif spec.kind == "ones":
            made = torch.ones(spec.shape, dtype=torch.int64)
        elif spec.kind == "given":
            made = torch.tensor(spec.values)
        elif spec.kind == "uniform":
            made = torch.rand(spec.shape, generator=generator, dtype=torch.float32)
        else:
            made = torch.randn(spec.shape, generator=generator, dtype=torch.float32)
        if made.is_floating_point():
            made = made.to(self.dtype)
        return made.to(self.device)

    def _ids(self, spec: Input) -> Any:
        """Ids below the bound; where they have an end, it is last in each row and nowhere else."""
        torch, bound = self.torch, spec.bound if spec.end is None else spec.bound - 1
        made = torch.randint(bound, spec.shape, generator=self.generator, dtype=torch.int64)
        if spec.end is not None:
            made += made >= spec.end
            made[..., -1] = spec.end
        if spec.media:
            made[..., : spec.media] = IGNORED
        return made
