"""Why a class of Transformers cannot be trained, from what its forward pass raises."""

from __future__ import annotations

import re
from typing import Any, Optional

from ..backend import Unsupported
from ..exceptions import text_of
from ..heads.labels import no_loss
from .torch_errors import first_sentence

_TRAINING = re.compile(r"\btrain(ing|ed|able)?\b", re.IGNORECASE)
"""What messages name in which classes refuse to be trained."""

_OTHER_LOSS = re.compile(r"^\w*Loss\(\) missing \d+ required")
"""What Python says where a class is given the loss of another, for want of its own."""


_SIZES = re.compile(r"must match|non-empty TensorList")
"""What PyTorch says of a sum that has more weights than states, or of no states at all."""


def refusal(error: Exception, model: Any) -> Optional[Unsupported]:
    """What to raise instead where the model refuses to be trained; None for any other exception."""
    name, sentence = type(model).__name__, first_sentence(error)
    if isinstance(error, ImportError):  # some losses want a package of their own
        return Unsupported(f"{sentence}; install it to train {name}")
    if type(error) is NameError and _is_raised_in_transformers(error):
        return Unsupported(
            f"{name} cannot be trained with what is installed ({sentence}): its loss needs a "
            f"package that Transformers does without where it is missing; install pillow and scipy"
        )
    if isinstance(error, (NotImplementedError, ValueError)) and _TRAINING.search(text_of(error)):
        return Unsupported(f"{name} cannot be trained like this: {sentence}")
    if isinstance(error, TypeError) and _OTHER_LOSS.search(text_of(error)):
        return no_loss(name)
    return _dropped_layers(error, model)


def _dropped_layers(error: Exception, model: Any) -> Optional[Unsupported]:
    """That a sum over all layers is weighted, some of which were dropped."""
    config = getattr(model, "config", None)
    dropped = getattr(config, "layerdrop", None)
    if not (isinstance(error, RuntimeError) and dropped and _SIZES.search(text_of(error))):
        return None
    if not getattr(config, "use_weighted_layer_sum", False):
        return None
    return Unsupported(
        f"{type(model).__name__} cannot be trained like this: use_weighted_layer_sum wants the "
        f"states of all layers, and layerdrop {dropped} drops some; give a configuration with "
        f"layerdrop 0"
    )


def _is_raised_in_transformers(error: BaseException) -> bool:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__", ""))
    return module.startswith("transformers.")
