"""Model folders: where their configuration lies, and what is missing where there is none."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ModelNotFound
from ..paths import read_text, special_kind
from ..text import quoted
from ..worker.checked import is_deep

CONFIG = "config.json"
ADAPTER = "adapter_config.json"
MODULES = "modules.json"


def find_config(name: str) -> Path | None:
    """The configuration's file, if a name is that of a folder or a JSON file that has one.

    A folder of sentence-transformers may have it in the folder of a module. Raises `ModelNotFound`
    for a name that no file can have.
    """
    path = _as_path(name)
    try:
        if path.suffix == ".json" and path.is_file():
            return path
        if (path / CONFIG).is_file():
            return path / CONFIG
        if (path / MODULES).is_file():
            found = (path / module / CONFIG for module in module_folders(path / MODULES))
            return next((file for file in found if file.is_file()), None)
    except (OSError, ValueError) as error:
        raise ModelNotFound(_no_path(name, getattr(error, "strerror", None) or error)) from None
    return None


def refuse_path(name: str) -> None:
    """Raise `ModelNotFound` for a name that can only be a path, and leads to no configuration."""
    path = _as_path(name)
    if (path / ADAPTER).is_file():
        raise ModelNotFound(adapter_sentence(name, path / ADAPTER))
    if path.is_dir():
        raise ModelNotFound(f"model folder {quoted(name)} has no {CONFIG}; give one that has")
    kind = special_kind(path)
    if kind:
        raise ModelNotFound(f"{quoted(name)} is {kind}; give a model folder with a {CONFIG}")
    if path.is_file():
        raise ModelNotFound(
            f"{quoted(name)} is a file without a configuration; give its folder, with a {CONFIG}"
        )
    only_path = name.startswith((".", "/", "~", "\\")) or has_drive(name)
    if only_path or name.endswith(".json"):
        raise ModelNotFound(f"there is no model folder {quoted(name)}; give one with a {CONFIG}")


def has_drive(name: str) -> bool:
    """Whether a name begins as a path of Windows with its drive, like ``C:/models``."""
    return re.match(r"[A-Za-z]:[\\/]", name) is not None


def adapter_sentence(name: str, file: Path) -> str:
    """What to give instead of an adapter (LoRA and the like): the model that it is for."""
    base = read_json(file, name).get("base_model_name_or_path")
    named = base and base != name
    measure = f"measure its base model, {quoted(base)}" if named else "measure its base model"
    return f"{quoted(name)} is an adapter (it has an {ADAPTER}) and no whole model; {measure}"


def find_adapter(name: str) -> dict[str, Any] | None:
    """What a folder's adapter_config.json has; None where a name is of no folder with one."""
    file = _as_path(name) / ADAPTER
    with suppress(OSError, ValueError):
        if file.is_file():
            return read_json(file, name)
    return None


def file_of(name: str) -> Path | None:
    """The file that a name is the path of; None where there is none."""
    with suppress(OSError, ValueError, RuntimeError):  # too long, a NUL, nobody's home
        path = Path(name).expanduser()
        return path if path.is_file() else None
    return None


def folder_of(name: str) -> str:
    """The absolute path of the folder that a name is of, or of whose file; empty for no path."""
    with suppress(OSError, ValueError):
        path = _as_path(name)
        if path.exists():
            return str((path if path.is_dir() else path.parent).absolute())
    return ""


def modules_behind(name: str) -> list[dict[str, str]]:
    """What a folder of sentence-transformers puts behind its transformer, in order.

    Each has a ``type`` and a ``path``. Empty where nothing pools, and for a file.
    """
    try:
        listed = _parsed(_as_path(name) / MODULES)
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(listed, list):
        return []
    behind = [
        {"type": str(each.get("type") or ""), "path": str(each.get("path") or "")}
        for each in listed[1:]
        if isinstance(each, dict)
    ]
    pools = any(each["type"].endswith("Pooling") for each in behind)
    inside = all(_inside(each["path"]) or not each["path"] for each in behind)
    return behind if pools and inside else []


def module_folders(file: Path) -> list[str]:
    """The folders of the modules that a file of sentence-transformers lists, inside its own."""
    try:
        modules = _parsed(file)
    except (OSError, ValueError, RecursionError):
        return []
    folders = (
        [each.get("path") for each in modules if isinstance(each, dict)]
        if isinstance(modules, list)
        else []
    )
    return [folder for folder in folders if isinstance(folder, str) and _inside(folder)]


def read_config(file: Path, name: str) -> dict[str, Any]:
    """A Transformers configuration from its file; raises `ModelNotFound` where it is none."""
    config = read_json(file, name)
    if not isinstance(config.get("model_type"), str):
        raise ModelNotFound(
            f"the {CONFIG} of {quoted(name)} has no model_type; give a Transformers configuration"
        )
    return config


def read_json(file: Path, name: str) -> dict[str, Any]:
    """A JSON object from a model's file; raises `ModelNotFound` where it is none."""
    too_deep = False
    try:
        values = _parsed(file)
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"the {file.name} of {quoted(name)} cannot be read: {error}") from None
    except RecursionError:
        values = None
        too_deep = True
    if too_deep or is_deep(values):
        raise ModelNotFound(f"the {file.name} of {quoted(name)} is nested too deeply")
    return values if isinstance(values, dict) else {}


def _parsed(file: Path) -> Any:
    return json.loads(read_text(file))


def _as_path(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise ModelNotFound(_no_path(name, "there is no such home folder")) from None


def _no_path(name: str, reason: object) -> str:
    return (
        f"model {quoted(name)} is no folder that can be read ({reason}); give a name of the "
        f"catalogue, a hub id or a folder"
    )


def _inside(folder: str) -> bool:
    """Whether a path leads nowhere but below the folder that it starts from."""
    path = PurePosixPath(folder.replace("\\", "/"))
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
