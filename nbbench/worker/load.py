"""A backend by the file and the class that its entry point names."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Union

from .backend import Backend, Unsupported
from .case import Status
from .collector import without_collector
from .exceptions import first_line
from .messages import WorkerFailed

_loaded: dict[tuple[str, str, str], Backend] = {}


def load_backend(framework: str, file: str, class_name: str) -> Union[Backend, WorkerFailed]:
    """The backend with its framework imported; `Failed`, which says why, if that fails.

    A process loads a backend once, so that what it found of the framework then stays known.
    """
    known = (framework, file, class_name)
    try:
        if known in _loaded:
            return _loaded[known]
        name = f"{__package__}.backends.{Path(file).stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is not a Python module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        backend: Backend = getattr(module, class_name)()
        with without_collector():  # what an import makes stays
            backend.load()
        _loaded[known] = backend
        return backend
    except ImportError as error:
        missing = getattr(error, "name", None)
        reason = f"{framework} cannot be imported: {first_line(error)}"
        if isinstance(error, ModuleNotFoundError) and missing:
            reason = f"{missing} is not installed"
        return WorkerFailed(Status.UNSUPPORTED, reason, traceback.format_exc())
    except Unsupported as error:
        return WorkerFailed(Status.UNSUPPORTED, str(error), traceback.format_exc())
    except MemoryError as error:
        reason = f"{framework} cannot be started: memory ran out: {first_line(error)}"
        return WorkerFailed(Status.OOM, reason, traceback.format_exc())
    except BaseException as error:  # SystemExit too
        reason = f"{framework} cannot be started: {first_line(error)}"
        return WorkerFailed(Status.ERROR, reason, traceback.format_exc())
