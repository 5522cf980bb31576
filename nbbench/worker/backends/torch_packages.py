"""Packages beside PyTorch and Transformers whose versions change what a model costs."""

from __future__ import annotations

from importlib import metadata

_PACKAGES = (
    "accelerate", "bitsandbytes", "compressed-tensors", "flash-attn", "gptqmodel", "hqq", "kernels",
    "mamba-ssm", "optimum-quanto", "peft", "sentence-transformers", "timm", "torchao", "triton",
)  # fmt: skip


def installed_packages() -> str:
    """Those that are installed, with their versions: "peft 0.17.1, torchao 0.13.0"."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
