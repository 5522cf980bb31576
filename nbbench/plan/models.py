"""From a model's name to its configuration: a folder, the built-in catalogue, or the hub.

Only configurations are read. Weights are never downloaded: the worker makes random ones.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..arguments.schema import BenchmarkArguments
from ..errors import ModelNotFound, did_you_mean
from ..text import quoted
from ..worker.case import ADAPTER_KEY, MODULES_KEY, OWN_MODEL
from .catalogue import configs_by_name, types_without_length
from .code_digest import CodeDigests, digest_of_parts, digest_of_tokenizer, joined, unknown_code
from .folders import (
    ADAPTER,
    CONFIG,
    MODULES,
    adapter_sentence,
    find_adapter,
    find_config,
    folder_of,
    module_folders,
    modules_behind,
    read_config,
    refuse_path,
)
from .own_models import SOURCE, digest_of_own, find_own_model, takes_length
from .saved_names import saved_names, without_folders

HUB_TIMEOUT_S = 20.0
"""Seconds in which the hub shall have given a configuration, tries and all."""


@dataclass(frozen=True)
class ModelConfig:
    """A model's name with the configuration found for it, or why there is none.

    ``source`` says where the configuration came from: "catalogue", "hub", "folder", "given" or
    "own code". ``path`` is what the worker needs besides: the user's file, or the folder; ``code``
    is a hash of the code that runs, and of what else of the folder changes a result, ``tokenizer``
    one of what changes it where rows are padded. ``saved_as`` is what files call a model whose name
    is a path.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    source: str = ""
    problem: str = ""
    path: str = ""
    code: str = ""
    tokenizer: str = ""
    saved_as: str = ""

    @property
    def is_own(self) -> bool:
        """Whether code of the user's makes the model."""
        return self.config.get("model_type") == OWN_MODEL

    @property
    def has_own_code(self) -> bool:
        """Whether the configuration names code that came with it."""
        return bool(self.config.get("auto_map"))

    def source_with_code(self, arguments: BenchmarkArguments) -> str:
        """The source, and that the model's own code runs, where it is trusted."""
        trusted = arguments.trust_remote_code and self.has_own_code
        return f"{self.source}, its own code trusted" if trusted else self.source

    def code_in(self, environment: str, *, padded: bool) -> str:
        """The hash of the code that runs in an environment, which may have a module of its own."""
        if self.is_own and not self.path and environment != "kernel":
            return unknown_code()
        return joined([self.code, self.tokenizer]) if padded else self.code

    def has_length(self, arguments: BenchmarkArguments) -> bool:
        """Whether inputs have a sequence length, as these arguments describe them."""
        if self.is_own:
            return takes_length(self.config, arguments.inputs)
        return self.takes_length

    @property
    def takes_length(self) -> bool:
        """Whether inputs have a sequence length: not so for models of images alone."""
        return self.config.get("model_type") not in types_without_length()


_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*([^?#]*)", re.IGNORECASE)

_MAX_PROBLEMS = 2
"""Of how many names a message explains why they lead nowhere."""


def find_models(arguments: BenchmarkArguments) -> list[ModelConfig]:
    """The models that the arguments name, each with its configuration.

    A name that leads nowhere has a ``problem`` instead, so that the others can run; if none leads
    anywhere, `ModelNotFound` says so.
    """
    names = arguments.model_names()
    if arguments.configs:
        pairs = zip(names, arguments.configs, strict=True)
        models = [ModelConfig(name, config, "given") for name, config in pairs]
    else:
        digests = CodeDigests()
        models = [_with_code(_found_or_problem(name), arguments, digests) for name in names]
    if all(model.problem for model in models):
        shown = [model.problem for model in models[:_MAX_PROBLEMS]]
        rest = [f"and so on for {len(models) - len(shown)} more"] if models[len(shown) :] else []
        raise ModelNotFound("; ".join([*shown, *rest]))
    if not arguments.trust_remote_code:
        _warn_of_foreign_code(models)
    return _with_saved_names(models)


def _with_saved_names(models: list[ModelConfig]) -> list[ModelConfig]:
    """The models with what files call them, and with no path in their configurations."""
    names = saved_names(
        [(each.name, each.source == "folder" or "file" in each.config) for each in models]
    )
    return [
        replace(each, saved_as=names.get(each.name, ""), config=without_folders(each.config))
        for each in models
    ]


def _found_or_problem(name: str) -> ModelConfig:
    try:
        return find_model(name)
    except ModelNotFound as error:
        return ModelConfig(name, problem=str(error))


def _with_code(
    model: ModelConfig, arguments: BenchmarkArguments, digests: CodeDigests
) -> ModelConfig:
    """The model with a hash of what of its files changes a result, its configuration aside."""
    if model.is_own:
        return replace(model, code=digest_of_own(model.config, model.path, digests))
    if not model.path:
        return model
    folder, parts = Path(model.path), []
    if arguments.trust_remote_code and model.has_own_code:
        parts.append(digests.of_folder(folder))
    parts.append(digest_of_parts(folder, model.config))
    has_rows = arguments.lengths is not None or any(arguments.paddings)
    tokenizer = digest_of_tokenizer(folder) if has_rows else ""
    return replace(model, code=joined(parts), tokenizer=tokenizer)


def _warn_of_foreign_code(models: list[ModelConfig]) -> None:
    """Warn of configurations that name code of their own: what is measured is another class."""
    named = [quoted(model.name) for model in models if model.config.get("auto_map")]
    if named:
        verb, whose = ("has", "its") if len(named) == 1 else ("have", "their")
        warnings.warn(
            f"{', '.join(named)} {verb} code of {whose} own (auto_map), which is not run: "
            f"Transformers' class of {whose} model_type is measured, if there is one; "
            f"trust_remote_code=True runs the code of a folder",
            UserWarning,
            stacklevel=2,
        )


def find_model(name: str) -> ModelConfig:
    """The configuration of one model: a folder's, else the catalogue's, else the hub's."""
    return find_here(name) or ModelConfig(name, read_config(_download_config(name), name), "hub")


def find_here(name: str) -> ModelConfig | None:
    """The configuration that is had without asking the hub: a folder's, else the catalogue's."""
    adapted = _find_adapted(name)
    if adapted is not None:
        return adapted
    file = find_config(name)
    if file is not None:
        config, behind = read_config(file, name), modules_behind(name)
        config |= {MODULES_KEY: behind} if behind else {}
        return ModelConfig(name, config, "folder", path=folder_of(name))
    entry = configs_by_name().get(name.lower())
    if entry is not None:
        return ModelConfig(name, entry, "catalogue")
    _refuse_url(name)
    own = find_own_model(name)
    if own is not None:
        return ModelConfig(name, own[0], SOURCE, path=own[1])
    refuse_path(name)
    return None


def _refuse_url(name: str) -> None:
    found = _URL.match(name)
    if found is not None:
        repository = "/".join(found[1].strip("/").split("/")[:2])
        remedy = f"the model's name, like {quoted(repository)}" if repository else "a model's name"
        raise ModelNotFound(f"{quoted(name)} is the address of a page; give {remedy}")


def _find_adapted(name: str) -> ModelConfig | None:
    """The base model of an adapter's folder with the adapter, where its base is at hand."""
    adapter = find_adapter(name)
    base = None if adapter is None else adapter.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        return None
    known = configs_by_name().get(base.lower())
    for path in (str(Path(name, base)), base):
        file = find_config(path)
        if file is not None:
            config = {**read_config(file, path), ADAPTER_KEY: adapter}
            remote = "auto_map" in config  # whose code lies beside the base
            return ModelConfig(name, config, "folder", path=folder_of(path if remote else name))
    if known is None:
        return None
    return ModelConfig(name, {**known, ADAPTER_KEY: adapter}, "folder", path=folder_of(name))


def _download_config(name: str) -> Path:
    """The hub's config.json of a model, from the hub's cache where it is fresh."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing progress bar, which is not wanted here
        from huggingface_hub import errors

    try:
        return _within(HUB_TIMEOUT_S, lambda: _fetch(name, CONFIG))
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
        return _config_elsewhere(name)
    except Exception as error:  # the transport's own errors, of whichever library it uses
        reason = f"asking the hub for it failed: {type(error).__name__}: {error}".split("\n")[0]
    hint = did_you_mean(name, configs_by_name())
    raise ModelNotFound(
        f"model {quoted(name)} is not in the catalogue, and {reason}{hint}"
    ) from None


def _config_elsewhere(name: str) -> Path:
    """The configuration of a repository that has none of its own: in the folder of a module.

    Raises `ModelNotFound`, which names the base model of an adapter.
    """
    modules = _fetched_or_none(name, MODULES)
    for folder in [] if modules is None else module_folders(modules):
        found = _fetched_or_none(name, f"{folder}/{CONFIG}")
        if found is not None:
            return found
    adapter = _fetched_or_none(name, ADAPTER)
    if adapter is not None:
        raise ModelNotFound(adapter_sentence(name, adapter))
    raise ModelNotFound(
        f"model {quoted(name)} is not in the catalogue, and the hub's repository of that name has "
        f"no {CONFIG}; give one of Transformers"
    )


def _fetched_or_none(name: str, file: str) -> Path | None:
    with suppress(Exception):  # another file that is not there, or not to be had now
        return _within(HUB_TIMEOUT_S, lambda: _fetch(name, file))
    return None


def _fetch(name: str, file: str) -> str:
    """A path in the hub's cache; asks once, where the hub's own download would retry for long."""
    import huggingface_hub
    from huggingface_hub import errors

    reached = True
    try:
        url = huggingface_hub.hf_hub_url(name, file)
        huggingface_hub.get_hf_file_metadata(url, timeout=HUB_TIMEOUT_S)
    except (errors.HfHubHTTPError, errors.HFValidationError):
        raise  # the hub has answered, and this is its answer
    except Exception:  # no connection, or none wanted: what is in the cache will do
        reached = False
    return huggingface_hub.hf_hub_download(name, file, local_files_only=not reached)


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
