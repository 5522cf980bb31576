"""Which class of Transformers a case runs."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any, Optional

from ..backend import Unsupported
from ..case import Case
from ..heads.head import ModelClass
from ..heads.labels import asks_for_loss
from ..heads.tasks import (
    all_tasks,
    class_for,
    family,
    is_base_name,
    tasks_by_ending,
    tasks_of,
)
from .model_parts import part_class

_PRETRAINING_HEADS = ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")

LIKELY_TASKS = (
    "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MASKED_LM", "IMAGE_TEXT_TO_TEXT",
    "VISION_2_SEQ", "CTC", "IMAGE_CLASSIFICATION", "SEQUENCE_CLASSIFICATION", "OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION", "UNIVERSAL_SEGMENTATION", "VIDEO_CLASSIFICATION",
    "AUDIO_CLASSIFICATION", "ZERO_SHOT_IMAGE_CLASSIFICATION",
)  # fmt: skip
"""What models that name no class are for, the likeliest first; all other tasks come after."""


GENERATING_TASKS = (
    "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "IMAGE_TEXT_TO_TEXT", "VISION_2_SEQ", "CAUSAL_LM",
)  # fmt: skip
"""What classes are for that make tokens; those of several modalities before text alone."""


_PAIRED = ("SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ")
"""What encoder-decoders are for, though some have a class for their decoder alone."""

_OF_TOKENS, _TOKENS = ("CAUSAL_LM", "MASKED_LM"), {"input_ids", "inputs", "decoder_input_ids"}
"""What models of text are for, and what they take; one of Wav2Vec2's is for it by name alone."""

_FRAMEWORKS = ("torch", "keras", "tf_keras", "tensorflow")
"""Packages whose classes have a forward method that says nothing of a model's inputs."""


@dataclass(frozen=True)
class Library:
    """Transformers, with the prefix and the base class of one framework's models."""

    transformers: Any
    base: type
    prefix: str = ""

    def class_named(self, name: str, model: str) -> Optional[Any]:
        """The model class with this name; None where there is none.

        Raises `Unsupported` for the name of something else.
        """
        name = self.prefix + name
        found = getattr(self.transformers, name, None) if name.isidentifier() else None
        if found is None:
            return None
        if not (
            isinstance(found, type) and issubclass(found, self.base) and found is not self.base
        ):
            raise Unsupported(f"the architecture {name} of {model} is no class of a model")
        return found

    def class_for(self, task: str, config: Any, model: str) -> Optional[Any]:
        """The class that this configuration's type has for a task; None where it has none."""
        found = class_for(self.transformers, task, config.model_type)
        named = None if found is None else self.class_named(found, model)
        return named if named is None or _takes(named, config) else None

    def lacks(self, name: str, model: str) -> Unsupported:
        """That there is no class with this name, to be raised."""
        version = self.transformers.__version__
        if self.prefix:
            return Unsupported(
                f"{name} has no TensorFlow class in transformers {version}; measure it with "
                f"frameworks pytorch"
            )
        return Unsupported(
            f"architecture {name} of {model} is not in transformers {version}, and code beside a "
            f"configuration is not run, but with trust_remote_code=True for a folder"
        )

    def base_model(self, config: Any) -> Optional[Any]:
        """The class without a head."""
        found = mapped(getattr(self.transformers, f"{self.prefix}AutoModel"), config)
        return found if found is None or _takes(found, config) else None


def _takes(model_class: Any, config: Any) -> bool:
    """Whether a class is built from this configuration: some mappings name that of a part alone.

    Qwen3_5ForCausalLM is built from the text_config of what is mapped to it, and some name the
    whole for a part: LlavaForConditionalGeneration for Pixtral's encoder.
    """
    taken = getattr(model_class, "config_class", None)
    if taken is None or isinstance(config, taken):
        return True
    parts = getattr(taken, "sub_configs", None) or {}
    if any(not hasattr(config, name) for name in parts):
        return False
    return not any(type(part) is taken for part in vars(config).values())


def choose_class(library: Library, config: Any, case: Case) -> Optional[ModelClass]:
    """The class that a case runs: what its configuration names, else the base model.

    In training it is one with a head. A head that serves pretraining alone (masked language
    modelling and the like) is omitted in inference unless it is asked for: nobody deploys it, and
    it would take a quarter of the time. None where there is no such class.
    """
    if case.mode == "generation":
        return _generating(library, config, case)
    named = (case.config.get("architectures") or [None])[0]
    if named is None or case.model_class == "base":
        return _known(library, _unnamed(library, config, case))
    found, note = _named(library, named, config, case)
    if case.mode == "inference":
        if case.model_class == "auto" and _name(library, found).endswith(_PRETRAINING_HEADS):
            base = library.base_model(config)
            return _known(library, base or found, note if base is None else "")
        return _known(library, found, note)
    if found is library.base_model(config) and not _has_loss(library, found):
        return _known(library, _unnamed(library, config, case))
    return _known(library, found, note)


def _generating(library: Library, config: Any, case: Case) -> Optional[ModelClass]:
    """The class that makes tokens: what the configuration names, else the likeliest for its type.

    None where its type has none. Raises `Unsupported` for an encoder: many can be run as decoders,
    but a configuration that does not say so is of one that makes no tokens.
    """
    named = (case.config.get("architectures") or [None])[0]
    if case.model_class == "base":
        raise Unsupported("a base model makes no tokens; give model_class auto or architecture")
    if named is not None:
        found, note = _named(library, named, config, case)
        if _makes_tokens(found):
            return _known(library, found, note)
        if found is not library.base_model(config):
            raise Unsupported(f"{_name(library, found)} makes no tokens one by one")
    for task in GENERATING_TASKS:
        found = library.class_for(task, config, case.model)
        if found is not None and _makes_tokens(found) and not _is_encoder(library, config, task):
            return _known(library, found)
    return None


def _makes_tokens(model_class: Any) -> bool:
    can = getattr(model_class, "can_generate", None)
    return bool(can is not None and can())


def _is_encoder(library: Library, config: Any, task: str) -> bool:
    """Whether a class for this task is that of an encoder which could be run as a decoder."""
    if task != "CAUSAL_LM" or getattr(config, "is_decoder", False):
        return False
    return class_for(library.transformers, "MASKED_LM", config.model_type) is not None


def known_class(library: Library, found: Any, called: str = "") -> ModelClass:
    """What is known of a class that is not Transformers' own, or is chosen otherwise.

    It is for what the nearest class that it inherits from is for; ``called`` is the name of an auto
    class that it stands for, which says more.
    """
    names = [called, *(_name(library, each) for each in found.__mro__)]
    tasks = (tasks_of(library.transformers, name) for name in names)
    return ModelClass(found, next(filter(None, tasks), ()), _asks(library, found))


def _named(library: Library, name: str, config: Any, case: Case) -> tuple[Any, str]:
    """The class with this name, or the one that the auto class with the same ending has.

    Names are spelt otherwise where a class was renamed (T5WithLMHeadModel), or written with code
    of its own (MPTForCausalLM). A class of another family (JinaBertForMaskedLM of a configuration
    whose type is bert) is another model, and its numbers are not this one's. A base model's name
    says no more than whose it is, so that only its capitals may differ.
    """
    found = library.class_named(name, case.model)
    if found is not None:
        return found, ""
    version = library.transformers.__version__
    for task in tasks_by_ending(library.transformers, name):
        found = library.class_for(task, config, case.model)
        if found is not None:
            break
    base = library.base_model(config) if found is None and is_base_name(name) else None
    if base is not None and _name(library, base).lower() == name.lower():
        found = base
    if found is None or not _is_same_family(name, _name(library, found), config.model_type):
        raise library.lacks(name, case.model)
    note = f"architecture {name} is not in transformers {version}: {found.__name__} was measured"
    return found, note


def _is_same_family(name: str, found: str, model_type: str) -> bool:
    """Whether a class's name begins as the found one's or as the model type, in any spelling."""
    return _plain(family(name)) in (_plain(family(found)), _plain(model_type))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unnamed(library: Library, config: Any, case: Case) -> Optional[Any]:
    """The class for a configuration that names none: the base model, or one to be trained."""
    if _is_encoder_of_two(library, config):
        encoder = mapped(library.transformers.AutoModelForTextEncoding, config)
        return encoder if case.mode == "inference" and not library.prefix else None
    base = library.base_model(config)
    if case.mode == "inference" and base is not None:
        return base
    likely: tuple[str, ...] = _PAIRED
    if not getattr(config, "is_encoder_decoder", False):  # most encoders can be run as decoders
        likely = ("CAUSAL_LM" if getattr(config, "is_decoder", False) else "MASKED_LM",)
    for task in (*likely, *LIKELY_TASKS, *all_tasks(library.transformers)):
        found = library.class_for(task, config, case.model)
        if found is None or (task in _OF_TOKENS and not _asks(library, found) & _TOKENS):
            continue
        if case.mode == "inference" or _has_loss(library, found):
            return found
    if case.mode == "inference":
        return None if library.prefix else part_class(library.base, config)
    return base if base is not None and _has_loss(library, base) else None


def _is_encoder_of_two(library: Library, config: Any) -> bool:
    """Whether this is an encoder-decoder's type of which the encoder alone is configured."""
    pairs = class_for(library.transformers, "SEQ_TO_SEQ_CAUSAL_LM", config.model_type)
    encoders = getattr(library.transformers, "AutoModelForTextEncoding", None)
    return (
        pairs is not None
        and getattr(config, "is_encoder_decoder", None) is False
        and encoders is not None
        and type(config) in encoders._model_mapping
    )


def _has_loss(library: Library, model_class: Any) -> bool:
    """Whether a class can be trained: heads whose forward method can be asked for a loss."""
    name, asks = _name(library, model_class), _asks(library, model_class)
    if "return_loss" in asks:
        return True
    tasks = tasks_of(library.transformers, name)
    return "PRETRAINING" in tasks or (
        asks_for_loss(asks) and (bool(tasks) or not name.endswith("Model"))
    )


def _asks(library: Library, model_class: Any) -> frozenset[str]:
    """All that a class's forward method can be given: what it passes on to its base's, too."""
    names: set[str] = set()
    for each in model_class.__mro__:
        forward = vars(each).get("call" if library.prefix else "forward")
        if forward is None or each.__module__.partition(".")[0] in _FRAMEWORKS:
            continue
        parameters = inspect.signature(forward).parameters.values()
        names.update(parameter.name for parameter in parameters)
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    return frozenset(names)


def _known(library: Library, found: Optional[Any], note: str = "") -> Optional[ModelClass]:
    if found is None:
        return None
    tasks = tasks_of(library.transformers, _name(library, found))
    return ModelClass(found, tasks, _asks(library, found), note)


def _name(library: Library, model_class: Any) -> str:
    """The name of a class, the same in all frameworks."""
    name: str = model_class.__name__
    return name[len(library.prefix) :]


def mapped(auto: Any, config: Any) -> Optional[Any]:
    """The class that one of Transformers' auto classes has for a configuration."""
    mapping = auto._model_mapping
    if type(config) not in mapping:
        return None
    try:
        found = mapping[type(config)]
    except ValueError:  # a class that its own package does not hand out
        return None
    return found[0] if isinstance(found, (tuple, list)) else found
