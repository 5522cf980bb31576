"""Models of quantized configurations, by Transformers' own quantizers, with random weights.

Transformers loads a model from tensors as it does from a file. What it quantizes while loading gets
dense random weights; what only a quantized file can have gets random tensors of that format.
"""

from __future__ import annotations

import copy
import importlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from ..backend import Unsupported
from ..case import Case
from .quantized_configs import OF_THE_HUB, label_of, library_of_method, method_of, refused
from .torch_errors import first_sentence, is_out_of_memory
from .torch_quantization import summary
from .torch_tensors import plain_tensors, storage_bytes
from .torch_weights import repeating_draws

_FROM_FILES_ALONE = ("gptq",)
"""Methods that Transformers would calibrate with texts, which it downloads."""

_IN_8_BITS = ("fp8", "mxfp8")

_DEPTH = 4
"""How deep in the attributes of a quantized layer the tensors are that it keeps beside weights."""

_SCALE, _SPREAD = 0.002, 0.02
"""The usual scale of a code, and the standard deviation of a dense weight."""


@dataclass(frozen=True)
class QuantizedModel:
    """A model, what of it was quantized, and its parameters: how many if dense, and their bytes."""

    model: Any
    note: str
    label: str
    parameter_count: int
    parameter_bytes: int


@dataclass(frozen=True)
class _Building:
    torch: Any
    case: Case
    values: Mapping[str, Any]
    model_class: Any
    config: Any  # without the entry on quantization
    options: Mapping[str, Any]
    device_map: Optional[dict[str, str]]

    @property
    def dtype(self) -> Any:
        return getattr(self.config, "dtype", None) or self.config.torch_dtype


def build_quantized(
    torch: Any,
    case: Case,
    device: str,
    model_class: Any,
    config: Any,
    options: Mapping[str, Any],
    build_dense: Callable[[], Any],
) -> QuantizedModel:
    """The model that a configuration of quantized weights is of; raises `Unsupported`.

    ``options`` are for Transformers' `from_pretrained`; ``build_dense`` makes the dense model.
    """
    values = config.quantization_config
    values = values if isinstance(values, dict) else values.to_dict()
    del config.quantization_config
    building = _Building(torch, case, values, model_class, config, options, _map(torch, device))
    if device == "mps" and method_of(values) == "bitsandbytes":
        raise refused(case, OF_THE_HUB)
    quantizer = _reported(building, lambda: _quantizer(building))
    layers, count, state = _prepared(building, quantizer, build_dense)
    with _first_error_raised(type(quantizer)) as raising:
        model = _reported(building, lambda: raising(lambda: _loaded(building, quantizer, state)))
    return _described(building, model, layers, count)


def _prepared(
    building: _Building, quantizer: Any, build_dense: Callable[[], Any]
) -> tuple[dict[str, _Layer], int, dict[str, Any]]:
    """The layers of the dense model, the number of its parameters, and the tensors to load."""
    if not quantizer.pre_quantized:
        dense = build_dense()
        return _layers(dense), _count(dense), dense.state_dict()
    with building.torch.device("meta"):
        skeleton = build_dense()
    layers, count = _layers(skeleton), _count(skeleton)
    state = _reported(building, lambda: _random_state(building, quantizer, skeleton, layers))
    return layers, count, state


def _map(torch: Any, device: str) -> Optional[dict[str, str]]:
    """Where Transformers is to put the model; None for the CPU where there is nothing else."""
    alone = device == "cpu" and not torch.cuda.is_available()
    return None if alone else {"": device}


def _reported(building: _Building, make: Callable[[], Any]) -> Any:
    """What a library makes; `Unsupported` with what it says where it cannot."""
    try:
        return make()
    except Unsupported:
        raise
    except Exception as error:
        if is_out_of_memory(building.torch, error):
            raise
        message = first_sentence(error).rstrip(".")
        if isinstance(error, (AttributeError, LookupError, TypeError)):  # no sentences, but names
            message = f"{type(error).__name__}: {message}"
        raise refused(
            building.case,
            f"which {' and '.join(_libraries(building))} cannot run so on this machine ({message})",
        ) from error


def _libraries(building: _Building) -> list[str]:
    """Transformers with its version, and the library of the method where it has one."""
    names = [library_of_method(""), library_of_method(method_of(building.values))]
    return list(dict.fromkeys(names))


def _quantizer(building: _Building) -> Any:
    """Transformers' quantizer, where its library runs on this machine without falling back."""
    auto = importlib.import_module("transformers.quantizers.auto")
    method = method_of(building.values)
    if method != "bitsandbytes" and method not in auto.AUTO_QUANTIZER_MAPPING:
        raise refused(building.case, f"which {library_of_method('')} does not know")
    config = auto.AutoQuantizationConfig.from_dict(copy.deepcopy(dict(building.values)))
    quantizer = auto.AutoHfQuantizer.from_config(config, pre_quantized=True)
    calibrated = quantizer.requires_calibration or method in _FROM_FILES_ALONE
    quantizer.pre_quantized = bool(calibrated)
    quantizer.validate_environment(
        device_map=building.device_map, dtype=building.dtype, from_tf=False, from_flax=False,
        weights_only=True,
    )  # fmt: skip
    _refuse_dense(building, quantizer.quantization_config)
    if method in _IN_8_BITS and hasattr(_kernels_of_8_bits(), "lazy_load_kernel"):
        raise refused(building.case, OF_THE_HUB)
    return quantizer


def _kernels_of_8_bits() -> Any:
    """The module whose kernels are its own in older versions of Transformers."""
    return importlib.import_module("transformers.integrations.finegrained_fp8")


def _refuse_dense(building: _Building, config: Any) -> None:
    if getattr(config, "dequantize", False):
        raise refused(building.case, "which Transformers would run with dense weights")


@contextmanager
def _first_error_raised(kind: Any) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Call something so that what a quantizer raises comes out of it.

    Transformers 5 goes on to the next layer, out of memory or not, and says only that some failed.
    """
    errors: list[Exception] = []
    make_operation = getattr(kind, "get_quantize_ops", None)

    def watched(quantizer: Any) -> Any:
        operation = make_operation(quantizer)  # type: ignore[misc]
        convert = operation.convert

        def converted(*values: Any, **named: Any) -> Any:
            try:
                return convert(*values, **named)
            except Exception as error:
                errors.append(error)
                raise

        operation.convert = converted
        return operation

    def raising(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RuntimeError as error:
            raise (errors[0] if errors else error) from error

    if make_operation is not None:
        kind.get_quantize_ops = watched
    try:
        yield raising
    finally:
        if make_operation is not None:
            kind.get_quantize_ops = make_operation


def _loaded(building: _Building, quantizer: Any, state: dict[str, Any]) -> Any:
    """The model as Transformers loads it from a file's tensors."""
    auto = importlib.import_module("transformers.quantizers.auto")
    values, config = copy.deepcopy(dict(building.values)), copy.deepcopy(building.config)
    options = dict(building.options)
    if quantizer.pre_quantized:
        config.quantization_config = values
    else:
        options["quantization_config"] = auto.AutoQuantizationConfig.from_dict(values)
    with repeating_draws(building.torch):
        model = building.model_class.from_pretrained(
            None, config=config, state_dict=state, torch_dtype=building.dtype,
            device_map=building.device_map, **options,
        )  # fmt: skip
    _refuse_dense(building, model.hf_quantizer.quantization_config)
    _refuse_decompressed(building, model)
    return model


def _refuse_decompressed(building: _Building, model: Any) -> None:
    """Raise `Unsupported` for a model that the first call makes dense, as compressed-tensors do."""
    old = any(type(module).__name__ == "CompressedLinear" for module in model.modules())
    if old or hasattr(model, "ct_decompress_hook"):
        library = library_of_method(method_of(building.values))
        raise refused(
            building.case,
            f"which {library} unpacks to dense weights in the first call, so that it runs dense",
        )


def _random_state(
    building: _Building, quantizer: Any, skeleton: Any, layers: Mapping[str, _Layer]
) -> dict[str, Any]:
    """Random tensors for the layers that a quantizer exchanges in a model without memory."""
    torch = building.torch
    shapes = {
        name: tuple(module.weight.shape)
        for name, module in skeleton.named_modules()
        if name in layers and getattr(module, "weight", None) is not None
    }
    with torch.device("meta"):
        quantizer.preprocess_model(
            model=skeleton, dtype=building.dtype, device_map=building.device_map,
            keep_in_fp32_modules=[], config=skeleton.config, checkpoint_files=None,
            use_kernels=False,
        )  # fmt: skip
    _refuse_decompressed(building, skeleton)
    modules, state = dict(skeleton.named_modules()), {}
    with repeating_draws(torch):
        for name in _quantized(skeleton, layers):
            own = dict(_own(modules[name]))
            for key, tensor in own.items():
                state[f"{name}.{key}"] = _random(torch, key, tensor, own, shapes.get(name))
    return state


def _random(
    torch: Any, name: str, tensor: Any, beside: Mapping[str, Any], shape: Optional[tuple[int, ...]]
) -> Any:
    """A tensor of a quantized layer: codes over their range, small scales, no offset."""
    dtype, size = tensor.dtype, tuple(tensor.shape)
    if name.endswith("g_idx"):  # to which group of scales an input belongs
        scales = next((each for key, each in beside.items() if "scale" in key), None)
        groups = 1 if scales is None else scales.shape[0]
        return (torch.arange(tensor.numel()) * groups // tensor.numel()).to(dtype)
    if name.endswith("shape"):
        return torch.tensor(shape or size, dtype=dtype)
    if not (dtype.is_floating_point or dtype == torch.bool):
        if "zero_point" in name:
            return torch.zeros(size, dtype=dtype)
        limits = torch.iinfo(dtype)
        return torch.randint(limits.min, limits.max, size, dtype=dtype)
    if "scale" in name:
        return torch.empty(size).uniform_(_SCALE / 2, 2 * _SCALE).to(dtype)
    if "zero" in name or name == "bias" or dtype == torch.bool:
        return torch.zeros(size, dtype=dtype)
    spread = 1.0 if dtype.itemsize == 1 else _SPREAD
    return torch.empty(size).normal_(0.0, spread).to(dtype)


def _own(module: Any) -> Iterator[tuple[str, Any]]:
    """A module's tensors that are no part of a module in it."""
    return itertools.chain(
        module.named_parameters(recurse=False), module.named_buffers(recurse=False)
    )


def _form(module: Any) -> tuple[Any, ...]:
    """A module's class, and how the numbers of its tensors are stored: all wide floats alike."""

    def stored(tensor: Any) -> str:
        is_wide = tensor.is_floating_point() and tensor.dtype.itemsize > 1
        return f"{'float' if is_wide else tensor.dtype} in {len(list(plain_tensors(tensor)))}"

    return (type(module), *sorted((name, stored(tensor)) for name, tensor in _own(module)))


class _Layer(NamedTuple):
    """A layer of a dense model: its form, and how many numbers its tensors have."""

    form: tuple[Any, ...]
    size: int


def _layers(model: Any) -> dict[str, _Layer]:
    """The layers of a dense model that have weights which may be quantized."""
    return {
        name: _Layer(_form(module), sum(tensor.numel() for _, tensor in _own(module)))
        for name, module in model.named_modules()
        if any(tensor.dim() > 1 for _, tensor in module.named_parameters(recurse=False))
    }


def _quantized(model: Any, layers: Mapping[str, _Layer]) -> list[str]:
    """The names of the layers whose form is another than in the dense model."""
    modules = dict(model.named_modules())
    return [name for name, layer in layers.items() if _form(modules[name]) != layer.form]


def _count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _described(
    building: _Building, model: Any, layers: Mapping[str, _Layer], count: int
) -> QuantizedModel:
    names, modules = _quantized(model, layers), dict(model.named_modules())
    library = library_of_method(method_of(building.values))
    if not names:
        raise refused(building.case, f"and {library} has quantized none of its layers")
    stored = [
        tensor
        for name in names
        for tensor in (
            *dict(_own(modules[name])).values(), *_beside(building.torch, modules[name], _DEPTH)
        )
    ]  # fmt: skip
    note = summary(model, f"{label_of(building.values)} by {library}", names)
    if storage_bytes(stored) >= building.dtype.itemsize * sum(layers[name].size for name in names):
        note += "; their weights are stored as dense numbers"
    total = storage_bytes(itertools.chain(model.parameters(), model.buffers(), stored))
    return QuantizedModel(model, note, label_of(building.values), count, total)


def _beside(torch: Any, value: Any, depth: int) -> Iterator[Any]:
    """The tensors in the attributes of a layer, of its weights, and of what keeps their scales."""
    if isinstance(value, torch.Tensor):
        yield value
    if isinstance(value, Mapping):
        inner = list(value.values())
    elif isinstance(value, (list, tuple)):
        inner = list(value)
    else:
        inner = [] if isinstance(value, type) else list(getattr(value, "__dict__", {}).values())
    for each in inner if depth else ():
        if not isinstance(each, torch.nn.Module):
            yield from _beside(torch, each, depth - 1)
