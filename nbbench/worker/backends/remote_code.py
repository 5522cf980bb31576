"""Code that came in a model's folder (``auto_map``), run where the user trusts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..exceptions import opening
from ..heads.head import ModelClass
from .model_class import Library, known_class


def remote_config(transformers: Any, case: Case) -> Any:
    """The configuration as an object of the folder's own class; None where it has none."""
    reference = _auto_map(case).get("AutoConfig")
    if reference is None:
        return None
    return _class(transformers, reference, case).from_dict(
        {k: v for k, v in case.config.items() if k != "transformers_version"}
    )


def remote_class(library: Library, case: Case) -> Optional[ModelClass]:
    """The folder's own class for this case; None where its code has none.

    That is the architecture that the configuration names, but the base model where that is asked
    for; in training one with a head.
    """
    classes = {
        name: reference
        for name, reference in _auto_map(case).items()
        if name.startswith("AutoModel") and isinstance(reference, str)
    }
    named = (case.config.get("architectures") or [None])[0]
    heads = {name: each for name, each in classes.items() if name.startswith("AutoModelFor")}
    known = heads if case.mode == "training" else classes
    autos = [name for name, each in known.items() if each.rpartition(".")[2] == named]
    if case.model_class == "base" and case.mode == "inference":
        autos = []
    autos += ["AutoModel"] if "AutoModel" in known else []
    auto = next(iter([*autos, *known]), None)
    if auto is None:
        if classes:
            raise Unsupported(
                f"the code of {case.model} has no model with a head to train; measure inference"
            )
        return None
    found = _class(library.transformers, known[auto], case)
    if not (isinstance(found, type) and issubclass(found, library.base)):
        raise Unsupported(
            f"{known[auto]} in the folder of {case.model} is no PreTrainedModel; measure it as "
            f"code of your own, FILE.py:FUNCTION"
        )
    return known_class(library, found, called=auto)


def _auto_map(case: Case) -> Mapping[str, Any]:
    found = case.config.get("auto_map")
    return found if isinstance(found, Mapping) else {}


def _class(transformers: Any, reference: Any, case: Case) -> Any:
    if not isinstance(reference, str) or "--" in reference:
        raise Unsupported(
            f"the code of {case.model} lies in another repository ({reference}); download it into "
            f"the model's folder, and name it there in auto_map"
        )
    if not case.source:
        raise Unsupported(
            f"the code of {case.model} (auto_map) is run from a folder alone; download the "
            f"repository, and give its folder"
        )
    load = transformers.dynamic_module_utils.get_class_from_dynamic_module
    try:
        return load(reference, case.source, local_files_only=True)
    except OSError as error:
        first = opening(error)
        raise Unsupported(f"the code of {case.model} cannot be loaded: {first}") from error
