"""Which device a case runs on in PyTorch, by the name that it was asked for."""

from __future__ import annotations

from typing import Any

from ..backend import Device, Unsupported, refuse_tpu
from .cpu import CpuDevice
from .reference_kernels import torch_layers, torch_layers_name
from .torch_gpu import GpuDevice, MpsDevice

_NAMES = {"cuda": "CUDA", "xpu": "Intel GPU", "mps": "Apple GPU"}
"""The kinds of GPU, in the order in which auto takes them."""


def open_device(torch: Any, wanted: str) -> Device:
    """The device with this name; ``auto`` takes the first kind of GPU that there is, else the CPU.

    Raises `Unsupported` where there is none of that name.
    """
    refuse_tpu(wanted)
    kind, _, number = wanted.partition(":")
    if kind == "auto":
        kind = next((each for each in _NAMES if _is_available(torch, each)), "cpu")
    if kind == "cpu":
        return CpuDevice(
            lambda: torch_layers(torch, "cpu"),
            lambda: torch_layers_name(torch),
            computes_in_caller=True,
        )
    if not _is_available(torch, kind):
        raise Unsupported(
            f"device {wanted} was asked for, but PyTorch here {_lacks(torch, kind)}; give device "
            f"cpu or auto"
        )
    if kind == "mps":
        return MpsDevice(torch)
    index, count = int(number or 0), getattr(torch, kind).device_count()
    if index >= count:
        raise Unsupported(
            f"device {wanted} was asked for, but PyTorch sees {count} of them; count from 0"
        )
    return GpuDevice(torch, index, kind)


def _is_available(torch: Any, kind: str) -> bool:
    if kind == "mps":
        found = getattr(getattr(torch, "backends", None), "mps", None)
        return bool(found is not None and found.is_available())
    gpus = getattr(torch, kind, None)
    return bool(gpus is not None and gpus.is_available())


def _lacks(torch: Any, kind: str) -> str:
    """Why PyTorch has no such device."""
    if kind != "cuda":
        return f"sees no {_NAMES[kind]}"
    built = torch.version.cuda or getattr(torch.version, "hip", None)
    return "sees no CUDA device" if built else "was built without CUDA"
