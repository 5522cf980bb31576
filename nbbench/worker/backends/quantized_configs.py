"""Configurations of quantized weights: which are run, by which packages, and why others are not."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Optional

from ..backend import Unsupported
from ..case import ADAPTER_KEY, MODULES_KEY, Case

ENTRY = "quantization_config"
QUANTIZED = (ENTRY, "compression_config", "quantization")
"""What a configuration of quantized weights has; the first is Transformers' own."""

_PACKAGES = {
    "aqlm": ("accelerate", "aqlm"),
    "auto-round": ("auto-round",),
    "awq": ("accelerate", "gptqmodel"),
    "bitnet": ("accelerate",),
    "bitsandbytes": ("accelerate", "bitsandbytes"),
    "compressed-tensors": ("compressed-tensors",),
    "eetq": ("accelerate", "eetq"),
    "fbgemm_fp8": ("accelerate", "fbgemm-gpu"),
    "fp8": ("accelerate",),
    "gptq": ("accelerate", "optimum", "gptqmodel"),
    "hqq": ("hqq",),
    "quanto": ("accelerate", "optimum-quanto"),
    "quark": ("amd-quark",),
    "torchao": ("torchao",),
    "vptq": ("accelerate", "vptq"),
}
"""What Transformers needs for a method, the method's own package last where there is one."""

OF_THE_HUB = (
    "whose kernels, which the packages kernels and triton load, are code of the Hub, and nbbench "
    "runs no code of the Hub"
)

_MODULES = {"optimum-quanto": "optimum.quanto", "fbgemm-gpu": "fbgemm_gpu", "amd-quark": "quark"}
"""What is imported, where it is named otherwise than the package."""

_NOT_RUN = {
    "gguf": "whose weights are made only from a file",
    "mxfp4": OF_THE_HUB,
}


def refused(case: Case, why: str, name: str = ENTRY, values: Any = None) -> Unsupported:
    """That a quantized configuration is not measured, to be raised; ``values`` are a part's."""
    method = method_of(values or case.config.get(name)) or "a method that it does not name"
    return Unsupported(
        f"{case.model} is quantized by {method}, {why}; to measure it dense, give its "
        f"configuration as configs without {name}"
    )


def method_of(values: Any) -> str:
    """How a configuration is quantized, by Transformers' name; empty where it has none."""
    if not isinstance(values, Mapping):
        return ""
    if values.get("load_in_4bit") or values.get("load_in_8bit"):
        return "bitsandbytes"
    method = values.get("quant_method")
    return method if isinstance(method, str) else ""


def label_of(values: Mapping[str, Any]) -> str:
    """The method with its number format, as ``gptq-4bit`` and ``quanto-int8``."""
    numbers = dict(values)
    if isinstance(values.get("quant_config"), Mapping):  # hqq's
        numbers.update(values["quant_config"].get("weight_quant_params") or {})
    bits = next((numbers[name] for name in ("bits", "w_bit", "nbits") if numbers.get(name)), None)
    if values.get("load_in_4bit"):
        bits = 4
    elif values.get("load_in_8bit"):
        bits = 8
    forms = [values.get("weights"), values.get("quantization_mode"), values.get("quant_type")]
    if isinstance(forms[-1], Mapping):  # torchao's, as it is kept in files
        forms[-1] = forms[-1].get("default", {}).get("_type")
    form = next((form for form in forms if isinstance(form, str)), f"{bits}bit" if bits else "")
    return "-".join(filter(None, [method_of(values), form]))


def library_of_method(method: str) -> str:
    """The package that quantizes by a method, with its version; Transformers' own have none."""
    package = (_packages(method) or ("",))[-1]
    found = None if package == "accelerate" else _version(package)
    return f"{package} {found}" if found else f"transformers {_version('transformers')}"


def import_library(case: Case) -> None:
    """Import what quantizes, so that its memory is no part of a model's; building reports errors.

    Some start threads as they are imported, so this is for the process of one case.
    """
    package = (_packages(method_of(case.config.get(ENTRY))) or ("",))[-1]
    if not package:
        return
    with contextlib.suppress(Exception), _no_kernels_of_the_hub():
        importlib.import_module("transformers.quantizers.auto")
        importlib.import_module(_MODULES.get(package, package.replace("-", "_")))


@contextlib.contextmanager
def _no_kernels_of_the_hub() -> Iterator[None]:
    """Have the package that loads them be missing, which bitsandbytes asks as it is imported."""
    name, missing = "kernels", object()
    before = sys.modules.get(name, missing)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not missing:
            sys.modules[name] = before  # type: ignore[assignment]


def check_quantized(case: Case) -> None:
    """Raise `Unsupported` where a quantized configuration cannot be run as the case wants it."""
    method = method_of(case.config[ENTRY])
    if not method:
        raise refused(case, "and Transformers reads it only with a quant_method")
    if case.framework != "pytorch":
        raise refused(case, "which runs in PyTorch alone; give frameworks pytorch")
    if case.mode == "training":
        raise refused(case, "which is for inference and generation")
    if case.quantization != "none":
        raise refused(case, f"beside which quantization {case.quantization} cannot be; give none")
    if ADAPTER_KEY in case.config or MODULES_KEY in case.config:
        raise refused(case, "which is not measured with an adapter or sentence-transformers' parts")
    if method in _NOT_RUN:
        raise refused(case, _NOT_RUN[method])
    if method == "bitsandbytes" and label_of(case.config[ENTRY]) == method:
        raise refused(case, "and has neither load_in_4bit nor load_in_8bit")
    if method == "torchao" and _is_old():
        raise refused(case, "which is run with transformers 5 and newer")
    missing = [name for name in _packages(method) if _version(name) is None]
    if missing:
        raise refused(
            case,
            f"which needs {' and '.join(missing)} beside PyTorch; install with pip install "
            f"{' '.join(missing)}",
        )


def _packages(method: str) -> tuple[str, ...]:
    if method == "awq" and _is_old():
        return ("accelerate", "autoawq")
    return _PACKAGES.get(method, ())


def _is_old() -> bool:
    """Whether Transformers is older than 5."""
    return int((_version("transformers") or "5").partition(".")[0]) < 5


def _version(package: str) -> Optional[str]:
    try:
        return version(package) if package else None
    except PackageNotFoundError:
        return None
