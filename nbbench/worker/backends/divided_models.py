"""A model for one of several processes: with a part of the weights, or of the batch."""

from __future__ import annotations

from typing import Any

from ..backend import Unsupported
from ..case import Case
from .torch_errors import first_sentence

_KEY_PROJECTIONS = ("k_proj", "qkv_proj", "query_key_value")
"""Layers whose output is cut into heads, in the plans of Transformers."""


def divide_batch(torch: Any, module: Any, case: Case, device: str) -> Any:
    """The module in PyTorch's DistributedDataParallel, which shares the gradients.

    Parameters without a gradient are looked for in each step, as Transformers' own trainer does.
    """
    return torch.nn.parallel.DistributedDataParallel(
        module,
        device_ids=None if device == "cpu" else [device],
        find_unused_parameters=True,
    )


def divide_weights(torch: Any, module: Any, case: Case, device: str) -> Any:
    """The module with a part of the weights, by its own plan; `Unsupported` where it has none."""
    import transformers

    try:
        from transformers.distributed import DistributedConfig

        prepare, distribute = (
            type(module).prepare_distribute_model,
            type(module).maybe_distribute_model,
        )
    except (ImportError, AttributeError):
        raise Unsupported(
            f"Transformers {transformers.__version__} cannot divide {type(module).__name__}: "
            f"parallel tensor wants a model of Transformers 5.23 or newer"
        ) from None
    if not module.tp_plan:
        raise Unsupported(
            f"{type(module).__name__} has no plan for tensor parallel in Transformers "
            f"{transformers.__version__}; parallel data divides the batch instead"
        )
    _refuse_uneven_heads(module, case)
    try:
        config, _, mesh = prepare(DistributedConfig(tp_size=case.ranks))
        return distribute(module, config, mesh)
    except ValueError as error:
        raise Unsupported(
            f"{type(module).__name__} cannot be divided among {case.ranks} ranks: "
            f"{first_sentence(error)}"
        ) from error


def _refuse_uneven_heads(module: Any, case: Case) -> None:
    """Raise `Unsupported` where a plan divides keys by heads that are too few for the ranks."""
    divided = {name.rpartition(".")[2] for name, how in module.tp_plan.items() if how == "colwise"}
    config = module.config.get_text_config()
    for name in ("num_attention_heads", "num_key_value_heads"):
        heads = getattr(config, name, None)
        if divided & set(_KEY_PROJECTIONS) and isinstance(heads, int) and heads % case.ranks:
            raise Unsupported(
                f"{name} of {case.model} is {heads}, which cannot be divided among {case.ranks} "
                f"ranks"
            )
