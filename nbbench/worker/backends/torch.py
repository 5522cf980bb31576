"""PyTorch, running Hugging Face Transformers models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..backend import Device, Unsupported, library_of
from ..case import ADAPTER_KEY, MODULES_KEY, Case, Outcome
from ..heads.head import ModelClass
from ..messages import Event, RunCase
from ..own_code import OwnCode
from ..prediction import Prediction
from .adapters import adapted_class, with_adapter
from .model_class import Library, choose_class, known_class
from .own_torch import OwnCalls, build_own
from .quantized_configs import import_library
from .quantized_models import build_quantized
from .remote_code import remote_class
from .sentence_models import encoder_class, sentence_architecture, sentence_model
from .torch_ceilings import TorchWorks
from .torch_compilation import keep_compiled_in
from .torch_devices import open_device
from .torch_errors import first_sentence, is_out_of_memory
from .torch_forks import gpus_left_alone, has_lost_gpus
from .torch_model import TorchModel
from .torch_packages import installed_packages
from .torch_prediction import predict
from .torch_quantization import quantize
from .torch_ranks import run_in_ranks
from .torch_weights import repeating_draws
from .transformers_models import (
    is_about_attention,
    make_config,
    name_padding,
    own_attention,
    parts,
    quieten,
)

REQUIREMENTS = ("torch>=2.4", "transformers>=4.50")
"""What must be installed; read from this source by what has not imported it."""


_EXECUTIONS = ("eager", "compile", "torchscript")


_WANTED = {"training": "model with a head to train", "generation": "model that makes tokens"}
"""What a configuration has no class for, by the mode."""


class TorchBackend:
    """The ``pytorch`` framework."""

    def load(self) -> None:
        """Import torch and transformers, quietly."""
        quieten()
        with gpus_left_alone():
            import torch
            import transformers
            import transformers.modeling_utils  # what every model needs, once for all forks

        self.torch: Any = torch
        self.transformers: Any = transformers
        self._threads: int = torch.get_num_threads()

    def environment(self) -> dict[str, Any]:
        """Versions and settings that change what PyTorch does."""
        torch = self.torch
        cudnn = None
        if torch.version.cuda and torch.backends.cudnn.is_available():
            cudnn = torch.backends.cudnn.version()
        return {
            "framework": "PyTorch",
            "framework_version": torch.__version__,
            "transformers_version": self.transformers.__version__,
            "packages": installed_packages(),
            "cuda": torch.version.cuda,
            "rocm": getattr(torch.version, "hip", None),
            "cudnn": cudnn,
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": torch.backends.mkldnn.is_available(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        }

    def import_model(self, case: Case) -> None:
        """Import the module of the case's model class, or the user's own."""
        if case.is_own:
            self._own = OwnCode(case)
            return
        with gpus_left_alone():
            self._model_class(make_config(self.transformers, case), case)

    def has_lost_gpus(self) -> bool:
        """Whether this process is a fork in which the GPUs that there are cannot be used."""
        return has_lost_gpus(self.torch)

    def open(self, case: Case) -> Device:
        """The device that the case names; ``auto`` takes a GPU where there is one."""
        if case.execution == "compile":  # what it imports is no part of the model's weights
            try:
                self.torch.compile(self.torch.nn.Identity())
            except RuntimeError as error:  # for a Python that is too new, say
                raise Unsupported(
                    f"torch.compile cannot be used here ({first_sentence(error)}); give executions "
                    f"eager"
                ) from error
        import_library(case)
        return open_device(self.torch, case.device)

    def build(self, case: Case, device: Device) -> TorchModel:
        """The model in the case's dtype, in evaluation mode, on the device."""
        torch = self.torch
        if case.execution not in ("default", *_EXECUTIONS):
            raise Unsupported(
                f"execution {case.execution} is not one that PyTorch has; use "
                f"{', '.join(_EXECUTIONS)}"
            )
        if case.execution == "torchscript" and case.mode != "inference":
            raise Unsupported(
                f"execution torchscript is for inference; for {case.mode} give eager or compile"
            )
        self._set_threads(case)
        torch.manual_seed(case.seed)
        if case.is_own:
            model = _on_device(torch, build_own(torch, self._own, case), device)
            calls = OwnCalls(torch, model, self._own, case)
            calls.complete(device.name)
            chosen = self._own_class(model) if calls.is_of_transformers else None
            note = self._quantized(model, case, device)
            return TorchModel(torch, model, case, device, chosen, calls, note=note)
        config = make_config(self.transformers, case)
        chosen = self._model_class(config, case)
        config.name_or_path = ""
        self._set_dtype(config, case.dtype)
        if "SEQUENCE_CLASSIFICATION" in chosen.tasks:
            name_padding(config)
        if case.execution == "torchscript":
            config.use_cache = False  # a trace gives tensors and no cache object
        if getattr(config, "quantization_config", None):
            return self._built_quantized(config, case, device, chosen)
        model = self._built(chosen.type, config, case, device)
        return self._completed(model, case, device, chosen)

    def _built_quantized(
        self, config: Any, case: Case, device: Device, chosen: ModelClass
    ) -> TorchModel:
        """The model of a configuration that is quantized itself, as its library loads it."""
        options = _attention_options(case)
        made = build_quantized(
            self.torch, case, device.name, chosen.type, config, options,
            lambda: self._built(chosen.type, config, case, device),
        )  # fmt: skip
        model = TorchModel(self.torch, made.model.eval(), case, device, chosen, note=made.note)
        model.parameter_count, model.quantization = made.parameter_count, made.label
        model.parameter_bytes = made.parameter_bytes
        return model

    def _built(self, model_class: Any, config: Any, case: Case, device: Device) -> Any:
        """The model with random weights; raises `Unsupported` for attention that it has not."""
        asked = case.attention != "default"
        try:
            with getattr(device, "draws", partial(repeating_draws, self.torch))():
                return model_class._from_config(config, **_attention_options(case))
        except (ValueError, ImportError) as error:
            sentence = first_sentence(error)
            if asked:  # this model has no such attention, or its package is missing
                raise Unsupported(sentence) from error
            own = own_attention(case.config)
            if own is not None and is_about_attention(error):
                raise Unsupported(
                    f"the configuration of {case.model} asks for attention {own}, and {sentence}; "
                    f"install what it needs, or give attentions sdpa or eager"
                ) from error
            if isinstance(error, ImportError):
                raise Unsupported(f"{sentence}; install it to measure {case.model}") from error
            raise

    def _completed(self, model: Any, case: Case, device: Device, chosen: ModelClass) -> TorchModel:
        """The model on the device, with what its folder adds to it."""
        torch, inner, architecture = self.torch, model, type(model).__name__
        library = library_of(model)
        if ADAPTER_KEY in case.config:
            model = with_adapter(model, case)
            architecture += f" + {case.config[ADAPTER_KEY].get('peft_type')}"
        if MODULES_KEY in case.config:
            architecture = sentence_architecture(model, case)
            inner = model = sentence_model(torch, model, case)
        model = _on_device(torch, model.train(case.mode == "training"), device)
        note = self._quantized(model, case, device)
        made = TorchModel(torch, model, case, device, chosen, inner=inner, note=note)
        made.architecture, made.library = architecture, library
        return made

    def _quantized(self, model: Any, case: Case, device: Device) -> str:
        """Quantize a model in place, if the case asks for it; a sentence on what was not."""
        if case.quantization == "none":
            return ""
        return quantize(self.torch, model, case, device.name)

    def _own_class(self, model: Any) -> ModelClass:
        """What is known of the class of a user's model that is one of Transformers."""
        library = Library(self.transformers, self.transformers.PreTrainedModel)
        return known_class(library, type(model))

    def run_in_ranks(self, request: RunCase, emit: Callable[[Event], None]) -> Outcome:
        """Have several processes run the case's model; `Unsupported` where they cannot."""
        return run_in_ranks(self.torch, self, request, emit, self._threads)

    def predict(self, case: Case) -> Prediction:
        """What the case will hold and do, without its memory; `Unsupported` where it cannot be."""
        if case.parallel != "none":
            raise Unsupported(
                f"parallel {case.parallel} cannot be predicted: a prediction is of one process"
            )
        return predict(self, case)

    def ceiling_works(self, case: Case, device: Device, dtype: str) -> TorchWorks:
        """The work by which the ceilings of a device are measured, with the case's threads."""
        self._set_threads(case)
        return TorchWorks(self.torch, device.name, dtype)

    def _set_threads(self, case: Case) -> None:
        wanted = case.threads or self._threads
        if self.torch.get_num_threads() != wanted:
            self.torch.set_num_threads(wanted)

    def sizes(self, case: Case) -> dict[str, Any]:
        """The case's configuration, completed by the library's own defaults; empty for own code."""
        return {} if case.is_own else dict(make_config(self.transformers, case).to_dict())

    def keep_compiled_in(self, folder: str) -> None:
        """Have what torch.compile makes be kept in a folder, and found there."""
        keep_compiled_in(folder)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch tells of the host's memory only by the message of a RuntimeError."""
        return is_out_of_memory(self.torch, error)

    def _model_class(self, config: Any, case: Case) -> ModelClass:
        """The class that the config names, or the base model."""
        transformers = self.transformers
        library = Library(transformers, transformers.PreTrainedModel)
        found = remote_class(library, case) if case.trust_remote_code else None
        if found is None and MODULES_KEY in case.config:
            found = encoder_class(library, config, case)
        if found is None:
            found = adapted_class(library, config, case) or choose_class(library, config, case)
        if found is None:
            what = _WANTED.get(case.mode, "model")
            raise Unsupported(
                f"{config.model_type} has no PyTorch {what} in transformers "
                f"{transformers.__version__}"
            )
        return found

    def _set_dtype(self, config: Any, dtype: str) -> None:
        """Have every part of the model built in this dtype.

        ``auto`` is what the config names, or else the first of its parts that does, or float32.
        """
        every = parts(config)
        if dtype == "auto":
            named = (getattr(part, "dtype", None) for part in every)
            dtype = str(next(filter(None, named), "float32")).replace("torch.", "")
        version = self.transformers.__version__.split(".")
        name = "dtype" if (int(version[0]), int(version[1])) >= (4, 56) else "torch_dtype"
        for part in every:
            setattr(part, name, getattr(self.torch, dtype))


def _on_device(torch: Any, model: Any, device: Device) -> Any:
    """The model on a device; fake tensors cannot be moved, and are there already."""
    wanted = torch.device(device.name)
    tensors = (*model.parameters(), *model.buffers())
    return model if all(t.device == wanted for t in tensors) else model.to(wanted)


def _attention_options(case: Case) -> dict[str, str]:
    """What Transformers is given to build a model with the attention that a case asks for."""
    return {} if case.attention == "default" else {"attn_implementation": case.attention}
