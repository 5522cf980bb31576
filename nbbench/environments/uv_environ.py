"""The OS variables that uv is run with: the user's own settings, which count from their folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..masked_urls import without_secrets

_SOURCES = (
    "UV_TORCH_BACKEND", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)  # fmt: skip
"""Settings of uv that decide which build of a package is installed."""

_WITH_PATHS = (
    "UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL",
    "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE", "UV_CONFIG_FILE",
)  # fmt: skip
"""Settings of uv that may name files and folders."""


_USER = re.compile(r"//[^\s/@]*@")
"""Who asks for packages, in a URL: an index is the same for all."""


def uv_environ(cache: Path | str | None) -> dict[str, str]:
    """The variables for uv, which works in another folder; ``cache`` is to be its cache, if any."""
    environ = {
        name: _from_here(value) if name in _WITH_PATHS else value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "CONDA_PREFIX")
    }
    environ.setdefault("UV_TORCH_BACKEND", "auto")  # else a laptop gets gigabytes of CUDA
    environ["NO_COLOR"] = "1"
    cache = cache or environ.get("UV_CACHE_DIR", "")
    if cache:
        environ["UV_CACHE_DIR"] = os.path.abspath(cache)  # it need not exist yet
    return environ


def sources_set(*, of_torch: bool) -> dict[str, str]:
    """The settings that decide where packages come from, without secrets; only those that are.

    ``of_torch`` says whether packages of PyTorch are among those that are installed.
    """
    found = {name: os.environ.get(name, "") for name in _SOURCES}
    found = {
        name: _from_here(value) if name in _WITH_PATHS else value
        for name, value in found.items()
        if value and (name, value) != ("UV_TORCH_BACKEND", "auto")  # which is the default here
    }
    if not of_torch:
        found.pop("UV_TORCH_BACKEND", None)
    return {name: without_secrets(_USER.sub("//", value)) for name, value in found.items()}


def _from_here(value: str) -> str:
    """A setting in which each path that exists is an absolute one."""
    return _absolute(value) or re.sub(r"[^\s,]+", lambda found: _absolute_in(found[0]), value)


def _absolute_in(word: str) -> str:
    """A word of several; an index may have its name before it, as in ``mine=./wheels``."""
    name, equals, path = word.rpartition("=")
    found = "" if "://" in word else _absolute(path)
    return f"{name}{equals}{found or path}"


def _absolute(path: str) -> str:
    return os.path.abspath(path) if os.path.exists(path) else ""
