"""Build and call models by Transformers alone: what sweep_architectures.py does with each error.

    PYTHON docs/without_nbbench.py < CASES

A line of CASES is a JSON list of a model type, a mode, a batch size, a length (null for none) and
the values of a configuration; of each, a line says how far Transformers comes without nbbench:
``building`` or ``calling`` for where it fails, nothing where it does not. The class, the inputs and
the labels are those that nbbench chooses, and no more of it is used.
"""

from __future__ import annotations

import inspect
import json
import signal
import sys
import types
from pathlib import Path
from typing import Any

AT_MOST_S = 120


def alone(
    model_type: str, mode: str, batch_size: int, length: int | None, values: dict[str, Any]
) -> str:
    """How far Transformers comes by itself: where it fails, empty where it does not."""
    import torch
    import transformers

    from nbbench.worker.backends.transformers_models import name_padding
    from nbbench.worker.case import Case

    if "error" in values:
        return "building"
    config_values = {name: value for name, value in values.items() if name != "model_type"}
    torch.manual_seed(0)
    try:
        config = transformers.AutoConfig.for_model(model_type, **config_values)
        case = Case(
            "pytorch", model_type, values, "given", batch_size, length, mode=mode, device="cpu"
        )
        chosen = _chosen(transformers, config, case)
        if "SEQUENCE_CLASSIFICATION" in chosen.tasks:
            name_padding(config)
        model = chosen.type._from_config(config).train(mode == "training")
    except Exception:
        return "building"
    try:
        _call(torch, model, case, chosen)
    except Exception:
        return "calling"
    return ""


def _chosen(transformers: Any, config: Any, case: Any) -> Any:
    """The class that nbbench measures; the base model where it finds none."""
    from nbbench.worker.backends.model_class import Library, choose_class, known_class

    library = Library(transformers, transformers.PreTrainedModel)
    found = choose_class(library, config, case)
    return found or known_class(library, transformers.AutoModel._model_mapping[type(config)])


def _call(torch: Any, model: Any, case: Any, chosen: Any) -> None:
    """One forward pass, or one step of training."""
    from nbbench.worker.backends.torch_inputs import TorchInputs
    from nbbench.worker.backends.torch_positions import read_positions
    from nbbench.worker.heads.describe import describe_case

    read_positions(torch, model)
    described = describe_case(
        inspect.signature(model.forward).parameters, model.config, case, chosen
    )
    make = TorchInputs(torch, model.dtype, "cpu", torch.Generator().manual_seed(case.seed))
    given = {each.name: make(each) for each in described.tensors}
    if case.mode == "inference":
        with torch.inference_mode():
            model(**given)
        return
    output = model(**given)
    loss = output.loss if hasattr(output, "keys") else output[0]
    loss.mean().backward()


def _without_the_rest_of_nbbench() -> None:
    """Have nbbench.worker imported by itself, as an environment that measures may lack the rest."""
    package = types.ModuleType("nbbench")
    package.__path__ = [str(Path(__file__).parents[1] / "nbbench")]
    sys.modules["nbbench"] = package


def _give_up(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    """Answer each line of standard input."""
    _without_the_rest_of_nbbench()
    signal.signal(signal.SIGALRM, _give_up)
    for line in sys.stdin:
        signal.alarm(AT_MOST_S)
        print(json.dumps({"alone": alone(*json.loads(line))}), flush=True)
        signal.alarm(0)


if __name__ == "__main__":
    main()
