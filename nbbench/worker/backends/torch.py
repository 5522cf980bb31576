"""PyTorch, running Hugging Face Transformers models."""

from __future__ import annotations

import inspect
import itertools
from typing import Any, Optional

from ..backend import Device, Unsupported, library_of, refuse_tpu
from ..case import ADAPTER_KEY, MODULES_KEY, Case
from ..inputs.tensors import Input
from ..measure import Call
from ..own_code import OwnCode
from ..training_labels import describe_case
from .adapters import adapted_class, with_adapter
from .cpu import CpuDevice
from .own_torch import OwnCalls, build_own, tensors_in
from .real_inputs import refuse_padding, rows_of, with_length, with_padding
from .reference_kernels import torch_layers
from .remote_code import remote_class
from .sentence_models import encoder_class, sentence_architecture, sentence_model
from .torch_weights import repeating_draws
from .transformers_models import (
    make_config,
    model_class_named,
    named_architecture,
    quieten,
    unnamed_class,
)

REQUIREMENTS = ("torch>=2.4", "transformers>=4.50")
"""What must be installed; read from this source by what has not imported it."""


_EXECUTIONS = ("eager", "compile", "torchscript")


class TorchBackend:
    """The ``pytorch`` framework."""

    def load(self) -> None:
        """Import torch and transformers, quietly."""
        quieten()
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
            "cuda": torch.version.cuda,
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
        self._model_class(make_config(self.transformers, case), case)

    def open(self, case: Case) -> Device:
        """``cpu``, or a CUDA device by its number; ``auto`` takes CUDA where there is one."""
        wanted = case.device
        refuse_tpu(wanted)
        if case.execution == "compile":  # what it imports is no part of the model's weights
            self.torch.compile(self.torch.nn.Identity())
        if wanted == "cpu" or (wanted == "auto" and not self.torch.cuda.is_available()):
            return CpuDevice(lambda: torch_layers(self.torch, "cpu"))
        if not self.torch.cuda.is_available():
            built = "sees no CUDA device" if self.torch.version.cuda else "was built without CUDA"
            raise Unsupported(
                f"device {wanted} was asked for, but PyTorch here {built}; give device cpu or auto"
            )
        from .torch_cuda import CudaDevice

        index = int(wanted.partition(":")[2] or 0)
        if index >= self.torch.cuda.device_count():
            count = self.torch.cuda.device_count()
            raise Unsupported(
                f"device {wanted} was asked for, but PyTorch sees {count} of them; count from 0"
            )
        return CudaDevice(self.torch, index)

    def build(self, case: Case, device: Device) -> TorchModel:
        """The model in the case's dtype, in evaluation mode, on the device."""
        torch = self.torch
        if case.execution not in ("default", *_EXECUTIONS):
            raise Unsupported(
                f"execution {case.execution} is not one that PyTorch has; use "
                f"{', '.join(_EXECUTIONS)}"
            )
        if case.execution == "torchscript" and case.mode == "training":
            raise Unsupported("execution torchscript is for inference; train with eager or compile")
        if torch.get_num_threads() != (case.threads or self._threads):
            torch.set_num_threads(case.threads or self._threads)
        torch.manual_seed(case.seed)
        if case.is_own:
            model = build_own(torch, self._own, case).to(device.name)
            calls = OwnCalls(torch, model, self._own, case)
            calls.complete(device.name)
            return TorchModel(torch, model, case, device.name, calls)
        config = make_config(self.transformers, case)
        model_class = self._model_class(config, case)
        config.name_or_path = ""
        self._set_dtype(config, case.dtype)
        if case.execution == "torchscript":
            config.use_cache = False  # a trace gives tensors and no cache object
        options = {} if case.attention == "default" else {"attn_implementation": case.attention}
        try:
            with repeating_draws(torch):
                model = model_class._from_config(config, **options)
        except (ValueError, ImportError) as error:
            if options:  # this model has no such attention, or its package is missing
                raise Unsupported(_first_sentence(error)) from error
            raise
        return self._completed(model, case, device.name)

    def _completed(self, model: Any, case: Case, device: str) -> TorchModel:
        """The model on the device, with what its folder adds to it."""
        torch, inner, architecture = self.torch, model, type(model).__name__
        library = library_of(model)
        if ADAPTER_KEY in case.config:
            model = with_adapter(model, case)
            architecture += f" + {case.config[ADAPTER_KEY].get('peft_type')}"
        if MODULES_KEY in case.config:
            architecture = sentence_architecture(model, case)
            inner = model = sentence_model(torch, model, case)
        model = model.train(case.mode == "training").to(device)
        made = TorchModel(torch, model, case, device, inner=inner)
        made.architecture, made.library = architecture, library
        return made

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch tells of the host's memory only by the message of a RuntimeError."""
        if isinstance(error, (MemoryError, self.torch.OutOfMemoryError)):
            return True
        messages = (
            "can't allocate memory",
            "not enough memory",
            "CUDA out of memory",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "Storage size calculation overflowed",
            "Cannot allocate memory",
        )
        return isinstance(error, (RuntimeError, OSError)) and any(
            part in str(error) for part in messages
        )

    def _model_class(self, config: Any, case: Case) -> Any:
        """The class that the config names, or the base model."""
        transformers, version = self.transformers, self.transformers.__version__
        own = remote_class(transformers, case) if case.trust_remote_code else None
        if MODULES_KEY in case.config:
            own = own or encoder_class(transformers, config, case)
        own = own or adapted_class(transformers, config, case)
        if own is not None:
            return own
        named = named_architecture(config, case)
        if named is None:
            found = unnamed_class(transformers, config, case)
            if found is None:
                what = "model" if case.mode == "inference" else "model with a head to train"
                raise Unsupported(
                    f"{config.model_type} has no PyTorch {what} in transformers {version}"
                )
            return found
        base = transformers.PreTrainedModel
        found = model_class_named(transformers, named, base, case.model)
        if found is None:
            raise Unsupported(
                f"architecture {named} of {case.model} is not in transformers {version}, and code "
                f"beside a configuration is not run, but with trust_remote_code=True for a folder"
            )
        return found

    def _set_dtype(self, config: Any, dtype: str) -> None:
        """Have the model built in this dtype; ``auto`` is what the config names, else float32."""
        if dtype == "auto":
            dtype = str(getattr(config, "dtype", None) or "float32").replace("torch.", "")
        name = "dtype" if int(self.transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
        setattr(config, name, getattr(self.torch, dtype))


class TorchModel:
    """A model and the inputs of its case: one of Transformers, or with ``own`` the user's.

    ``inner`` is the model that the inputs are for, where another one is wrapped around it.
    """

    def __init__(
        self,
        torch: Any,
        model: Any,
        case: Case,
        device: str,
        own: Optional[OwnCalls] = None,
        inner: Optional[Any] = None,
    ) -> None:
        self._torch, self._model, self._case, self._device = torch, model, case, device
        self._own, self._inner = own, model if inner is None else inner
        self.architecture = type(model).__name__
        self.execution = "eager" if case.execution == "default" else case.execution
        self.library = library_of(model)
        self._run = torch.compile(model) if self.execution == "compile" else model
        self.parameter_count = sum(p.numel() for p in model.parameters())
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in itertools.chain(model.parameters(), model.buffers())
        }
        self.parameter_bytes = sum(storages.values())
        dtype = model.dtype if own is None else own.dtype
        self.dtype = str(dtype).replace("torch.", "")
        self._inputs: dict[str, Any] = {}
        self._by_position: tuple[Any, ...] = ()
        self.real_tokens: Optional[int] = None
        self.padded_to: Optional[int] = None
        self._optimizer: Any = None
        self._loss: Any = None

    def prepare(self) -> tuple[Call, Optional[int]]:
        """One forward pass under inference mode, or one training step, on seeded inputs."""
        torch, case = self._torch, self._case
        if self._own is not None and not self._own.is_of_transformers:
            refuse_padding(case)
            made = self._own.inputs(self._device)
            self._by_position, self._inputs = made.by_position, made.by_name
            return self._prepared(made.tokens)
        inner = self._inner
        rows = rows_of(inner.config, case)
        case = with_length(case, rows)
        parameters = inspect.signature(inner.forward).parameters
        inputs = describe_case(parameters, inner.config, case, type(inner).__name__)
        generator = torch.Generator().manual_seed(case.seed)
        self._inputs = {spec.name: self._tensor(spec, generator) for spec in inputs.tensors}
        if rows is not None:
            self.real_tokens, self.padded_to = rows.real_tokens, rows.length
        self._inputs = with_padding(
            self._inputs, rows, case, lambda tensor: tensor.tolist(),
            lambda lists, tensor: torch.tensor(lists, dtype=tensor.dtype, device=tensor.device),
        )  # fmt: skip
        return self._prepared(inputs.tokens)

    def _prepared(self, tokens: Optional[int]) -> tuple[Call, Optional[int]]:
        if self._case.mode == "training":
            if self._case.optimizer:
                self._optimizer = self._torch.optim.AdamW(self._model.parameters(), lr=1e-6)
            return self._step, tokens
        return self._inference(), tokens

    def _inference(self) -> Call:
        """One forward pass; what has to be traced is traced in the first."""
        torch, inputs, by_position = self._torch, self._inputs, self._by_position

        def forward() -> object:
            with torch.inference_mode():
                return self._run(*by_position, **inputs)

        def traced() -> object:
            if self._run is self._model:
                with torch.no_grad():  # what is traced in inference mode runs in no other
                    run = torch.jit.trace(
                        _tensors_alone(torch, self._model, len(by_position), list(inputs)),
                        (*by_position, *inputs.values()),
                        check_trace=False,
                    )
                self._run = lambda *first, **given: run(*first, *given.values())
            return forward()

        return traced if self.execution == "torchscript" else forward

    def training_phases(self) -> list[tuple[str, Call]]:
        """Forward, backward and, where there is one, the optimizer's step."""
        phases: list[tuple[str, Call]] = [("forward", self._forward), ("backward", self._backward)]
        if self._optimizer is not None:
            phases.append(("optimizer", self._optimizer.step))
        return phases

    def gradient_bytes(self) -> Optional[int]:
        """Bytes of the gradients that the parameters hold."""
        gradients = (p.grad for p in self._model.parameters() if p.grad is not None)
        return int(sum(g.numel() * g.element_size() for g in gradients))

    def _step(self) -> None:
        self._forward()
        self._backward()
        if self._optimizer is not None:
            self._optimizer.step()

    def _forward(self) -> None:
        """Free the last step's gradients, and run the model to its loss."""
        self._model.zero_grad(set_to_none=True)
        output = self._run(*self._by_position, **self._inputs)
        self._loss = output[0] if self._own is None else self._own.loss(output)

    def _backward(self) -> None:
        loss, self._loss = self._loss, None
        loss.backward()

    def _tensor(self, spec: Input, generator: Any) -> Any:
        torch = self._torch
        if spec.kind == "ids":
            made = torch.randint(spec.bound, spec.shape, generator=generator, dtype=torch.int64)
        elif spec.kind == "ones":
            made = torch.ones(spec.shape, dtype=torch.int64)
        else:
            made = torch.randn(spec.shape, generator=generator, dtype=torch.float32)
            made = made.to(self._model.dtype)
        return made.to(self._device)


def _tensors_alone(torch: Any, model: Any, unnamed: int, names: list[str]) -> Any:
    """A module that takes all inputs in order, the last of them the named ones.

    It returns the output's tensors in a tuple: more than tensors a trace cannot return.
    """

    class Traceable(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            named = dict(zip(names, tensors[unnamed:]))
            return tuple(tensors_in(torch, self.model(*tensors[:unnamed], **named)))

    return Traceable()


def _first_sentence(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].partition(". ")[0]
