"""From a model's name to its configuration: a folder, the built-in catalogue, or the hub.

Only configurations are read. Weights are never downloaded: the worker makes random ones.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import ModelNotFound, did_you_mean

HUB_TIMEOUT_S = 20.0
"""Seconds in which the hub shall have given a configuration, tries and all."""

_VISION_TYPES = frozenset(
    [
        "beit",
        "bit",
        "convnext",
        "convnextv2",
        "cvt",
        "data2vec-vision",
        "deit",
        "dinov2",
        "dinov3_vit",
        "efficientnet",
        "focalnet",
        "hiera",
        "levit",
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilevit",
        "mobilevitv2",
        "poolformer",
        "pvt",
        "pvt_v2",
        "regnet",
        "resnet",
        "segformer",
        "siglip_vision_model",
        "swiftformer",
        "swin",
        "swinv2",
        "van",
        "vit",
        "vit_mae",
        "vit_msn",
    ]
)
"""Model types that take images alone."""


@dataclass(frozen=True)
class ModelConfig:
    """A model's name with the configuration found for it, or why there is none.

    ``source`` says where the configuration came from: "catalogue", "hub", "folder" or "given".
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    problem: str = ""

    @property
    def takes_length(self) -> bool:
        """Whether inputs have a sequence length: not so for models of images alone."""
        return self.config.get("model_type") not in _VISION_TYPES


def find_models(arguments: BenchmarkArguments) -> list[ModelConfig]:
    """The models that the arguments name, each with its configuration.

    A name that leads nowhere has a ``problem`` instead, so that the others can run; if none leads
    anywhere, `ModelNotFound` says so.
    """
    names = arguments.model_names()
    if arguments.configs:
        return [
            ModelConfig(name, config, "given")
            for name, config in zip(names, arguments.configs, strict=True)
        ]
    models = []
    for name in names:
        try:
            models.append(find_model(name))
        except ModelNotFound as error:
            models.append(ModelConfig(name, problem=str(error)))
    if all(model.problem for model in models):
        raise ModelNotFound("; ".join(model.problem for model in models))
    return models


def find_model(name: str) -> ModelConfig:
    """The configuration of one model: a folder's, else the catalogue's, else the hub's."""
    return find_here(name) or ModelConfig(name, _read_config(_download_config(name), name), "hub")


def find_here(name: str) -> ModelConfig | None:
    """The configuration that is had without asking the hub: a folder's, else the catalogue's."""
    folder = Path(name).expanduser()
    if folder.suffix == ".json" and folder.is_file():
        return ModelConfig(name, _read_config(folder, name), "folder")
    if (folder / "config.json").is_file():
        return ModelConfig(name, _read_config(folder / "config.json", name), "folder")
    entry = _by_name().get(name.lower())
    if entry is not None:
        return ModelConfig(name, entry, "catalogue")
    if folder.is_dir() or name.startswith((".", "/", "~")):
        raise ModelNotFound(f"model folder {name!r} has no config.json; give one that has")
    return None


def catalogue() -> dict[str, dict[str, Any]]:
    """The built-in configurations by name."""
    return {name: entry["config"] for name, entry in _catalogue().items()}


@lru_cache(maxsize=1)
def _catalogue() -> dict[str, Any]:
    text = resources.files("nbbench.plan").joinpath("catalogue.json").read_text(encoding="utf-8")
    entries: dict[str, Any] = json.loads(text)
    return entries


def _by_name() -> dict[str, dict[str, Any]]:
    """The catalogue by every name that it answers to, in lower case."""
    return {
        alias.lower(): entry["config"]
        for name, entry in _catalogue().items()
        for alias in (name, entry["hub"])
    }


def _read_config(path: Path, name: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotFound(f"the config.json of {name!r} cannot be read: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelNotFound(
            f"the config.json of {name!r} has no model_type; give a Transformers configuration"
        )
    return config


def _download_config(name: str) -> Path:
    """The hub's config.json of a model, from the hub's cache where it is fresh."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing progress bar, which is not wanted here
        from huggingface_hub import errors

    try:
        return _within(HUB_TIMEOUT_S, lambda: _fetch_config(name))
    except errors.HFValidationError:
        reason = "it is no valid hub id; give a name of the catalogue, a hub id or a folder"
    except errors.GatedRepoError:
        reason = "on the hub it is gated; accept its terms there and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        reason = "the hub has no such model, or it is private: check the name, or set HF_TOKEN"
    except (errors.LocalEntryNotFoundError, TimeoutError):
        reason = (
            "the hub could not be asked for it (offline, or no answer in time); go online, or "
            "give a name of the catalogue, a folder with a config.json, or configs"
        )
    except errors.EntryNotFoundError:
        reason = "the hub's repository of that name has no config.json"
    except Exception as error:  # the transport's own errors, of whichever library it uses
        reason = f"asking the hub for it failed: {type(error).__name__}: {error}".split("\n")[0]
    hint = did_you_mean(name, _by_name())
    raise ModelNotFound(f"model {name!r} is not in the catalogue, and {reason}{hint}") from None


def _fetch_config(name: str) -> str:
    """A path in the hub's cache; asks once, where the hub's own download would retry for long."""
    import huggingface_hub
    from huggingface_hub import errors

    reached = True
    try:
        url = huggingface_hub.hf_hub_url(name, "config.json")
        huggingface_hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT_S)
    except (errors.HfHubHTTPError, errors.HFValidationError):
        raise  # the hub has answered, and this is its answer
    except Exception:  # no connection, or none wanted: what is in the cache will do
        reached = False
    return huggingface_hub.hf_hub_download(name, "config.json", local_files_only=not reached)


def _within(seconds: float, download: Callable[[], str]) -> Path:
    """What a download gives, or ``TimeoutError``: the hub's own timeout is one of several tries."""
    result: Future[str] = Future()

    def work() -> None:
        try:
            result.set_result(download())
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=work, daemon=True, name="nbbench-hub").start()
    try:
        return Path(result.result(seconds))
    except FutureTimeout:
        raise TimeoutError from None
