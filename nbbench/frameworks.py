"""Which frameworks there are, and where their backends' files lie.

A backend is an entry point of the group ``nbbench.backends``: its name is the framework's, its
value ``module:Class``. The module is found but never imported here: it runs in the worker.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from .errors import NbbenchError

GROUP = "nbbench.backends"
_BUILT_IN = (
    EntryPoint("pytorch", "nbbench.worker.backends.torch:TorchBackend", GROUP),
    EntryPoint("tensorflow", "nbbench.worker.backends.tensorflow:TensorFlowBackend", GROUP),
    EntryPoint("onnxruntime", "nbbench.worker.backends.onnxruntime:OnnxRuntimeBackend", GROUP),
    EntryPoint("openvino", "nbbench.worker.backends.openvino:OpenVinoBackend", GROUP),
    EntryPoint("selftest", "nbbench.worker.backends.selftest:SelftestBackend", GROUP),
    EntryPoint("selftest-torch", "nbbench.worker.backends.selftest:SelftestTorchBackend", GROUP),
)
_UNLISTED = ("selftest", "selftest-torch")
"""They measure no model of anyone's, and so are not offered."""


@dataclass(frozen=True)
class BackendFile:
    """A backend as the worker loads it: a file and the class in it."""

    framework: str
    file: str
    class_name: str


def backend_names() -> list[str]:
    """The frameworks that are offered."""
    return sorted(_entry_points().keys() - set(_UNLISTED))


def has_backend(framework: str) -> bool:
    """Whether a framework can be asked for, offered or not."""
    return framework in _entry_points()


def find_backend(framework: str) -> BackendFile:
    """Where a framework's backend lies."""
    found = _entry_points()[framework]
    spec = importlib.util.find_spec(found.module)
    if spec is None or spec.origin is None:
        raise NbbenchError(
            f"the backend of {framework} is registered as {found.value}, which does not exist; "
            f"reinstall the package that registers it"
        )
    return BackendFile(framework, spec.origin, found.attr)


def _entry_points() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in _BUILT_IN}
    found.update((entry.name, entry) for entry in entry_points(group=GROUP))
    return found
