"""TensorFlow, running Hugging Face Transformers models of the 4.x line on Keras 2 (tf-keras)."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any, Optional

from ..backend import Device, Unsupported, library_of, refuse_tpu
from ..case import Case
from ..exceptions import text_of
from ..heads.describe import describe_case
from ..heads.head import ModelClass
from ..inputs.tensors import IGNORED, Input
from ..measure import Call
from ..processors import default_threads
from .cpu import CpuDevice
from .model_class import Library, choose_class
from .real_inputs import rows_of, with_length, with_padding
from .reference_kernels import tensorflow_layers, tensorflow_layers_name
from .transformers_models import make_config, name_padding, quieten

REQUIREMENTS = ("tensorflow>=2.16", "tf-keras>=2.16", "transformers>=4.50,<5")
"""What must be installed; transformers 5 has no TensorFlow models."""

PYTHON = ">=3.9,<3.14"
"""The versions of Python that TensorFlow is made for."""

MIXED = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
"""Keras's policies for dtypes that it computes in while it keeps weights in float32."""


class TensorFlowBackend:
    """The ``tensorflow`` framework.

    Importing TensorFlow creates no context and runs no operation, so the server may fork: a
    child creates its own. (`tests/test_tensorflow.py` forks a hundred times over.)
    """

    def load(self) -> None:
        """Import tensorflow and transformers, quietly."""
        quieten()
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        import tensorflow
        import transformers

        if int(transformers.__version__.split(".")[0]) >= 5:
            raise ImportError(
                f"transformers {transformers.__version__} has no TensorFlow models (4.57 is the "
                f"last line that has)"
            )
        import tf_keras
        import transformers.modeling_tf_utils  # what every model needs, once for all forks

        self.tensorflow: Any = tensorflow
        self.keras: Any = tf_keras
        self.transformers: Any = transformers

    def environment(self) -> dict[str, Any]:
        """Versions and settings that change what TensorFlow does."""
        built = self.tensorflow.sysconfig.get_build_info()
        return {
            "framework": "TensorFlow",
            "framework_version": self.tensorflow.__version__,
            "transformers_version": self.transformers.__version__,
            "keras_version": self.keras.__version__,
            "cuda": built.get("cuda_version"),
            "cudnn": built.get("cudnn_version"),
            "threads": default_threads(),
            "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0",
        }

    def import_model(self, case: Case) -> None:
        """Import the module of the case's model class."""
        self._model_class(make_config(self.transformers, case), case)

    def open(self, case: Case) -> Device:
        """``cpu``, or a CUDA device by its number; ``auto`` takes CUDA where there is one."""
        config, wanted = self.tensorflow.config, case.device
        refuse_tpu(wanted)
        kind, _, number = wanted.partition(":")
        if kind not in ("auto", "cpu", "cuda"):
            raise Unsupported(
                f"device {wanted} was asked for, but TensorFlow is measured on the CPU and on CUDA "
                f"devices; give device auto, cpu or cuda, or frameworks pytorch"
            )
        threads = case.threads or default_threads()
        config.threading.set_intra_op_parallelism_threads(threads)
        gpus = [] if kind == "cpu" else config.list_physical_devices("GPU")
        index = int(number or 0)
        if kind == "cuda" and index >= len(gpus):
            seen = f"{len(gpus)} of them; count from 0" if gpus else "no CUDA device"
            raise Unsupported(f"device {wanted} was asked for, but TensorFlow here sees {seen}")
        if not gpus:
            config.set_visible_devices([], "GPU")
            return CpuDevice(
                lambda: tensorflow_layers(self.tensorflow),
                lambda: tensorflow_layers_name(self.tensorflow),
            )
        from .tensorflow_gpu import GpuDevice

        config.set_visible_devices(gpus[index], "GPU")
        config.experimental.set_memory_growth(gpus[index], True)
        return GpuDevice(self.tensorflow, index)

    def build(self, case: Case, device: Device) -> TensorFlowModel:
        """The model with its variables made, in the case's dtype, on the device."""
        self.keras.utils.set_random_seed(case.seed % 2**32)
        config = make_config(self.transformers, case)
        chosen = self._model_class(config, case)
        if case.attention not in ("default", "eager"):
            raise Unsupported(
                f"attention {case.attention} is not one that TensorFlow models have; use eager"
            )
        dtype = case.dtype
        if dtype == "auto":
            dtype = str(getattr(config, "torch_dtype", None) or "float32").replace("torch.", "")
        self.keras.mixed_precision.set_global_policy(MIXED.get(dtype, dtype))
        if "SEQUENCE_CLASSIFICATION" in chosen.tasks:
            name_padding(config)
        model = chosen.type(config)
        model.build_in_name_scope()
        return TensorFlowModel(self.tensorflow, self.keras, model, case, chosen)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """TensorFlow has an error of its own for the allocators of all devices.

        Of a GPU that is full before it begins, it passes on what CUDA says.
        """
        errors = self.tensorflow.errors
        if isinstance(error, errors.InternalError):
            return "out of memory" in text_of(error).lower().replace("_", " ")
        return isinstance(error, (MemoryError, errors.ResourceExhaustedError))

    def _model_class(self, config: Any, case: Case) -> ModelClass:
        """The TensorFlow twin of the class that the config names, or the base model."""
        transformers = self.transformers
        library = Library(transformers, transformers.TFPreTrainedModel, "TF")
        found = choose_class(library, config, case)
        if found is None:
            raise Unsupported(
                f"{config.model_type} has no TensorFlow class in transformers "
                f"{transformers.__version__}; measure it with frameworks pytorch"
            )
        return found


class TensorFlowModel:
    """A Transformers model and the inputs of its case."""

    def __init__(
        self, tensorflow: Any, keras: Any, model: Any, case: Case, chosen: ModelClass
    ) -> None:
        self._tensorflow, self._keras, self._model, self._case = tensorflow, keras, model, case
        self._chosen, self.note = chosen, chosen.note
        self.architecture = type(model).__name__
        self.execution = "graph" if case.execution == "default" else case.execution
        self.library = library_of(model)
        self.real_tokens: Optional[int] = None
        self.padded_to: Optional[int] = None
        self.dtype = str(model.dtype_policy.name)
        self.modalities = ""
        variables = {id(variable): variable for variable in model.variables}.values()
        self.parameter_count = sum(v.shape.num_elements() for v in model.weights)
        self.parameter_bytes = sum(v.shape.num_elements() * v.dtype.size for v in variables)

    def prepare(self) -> tuple[Call, Optional[int]]:
        """One forward pass in inference mode, or one training step, on seeded inputs."""
        tensorflow, model, case = self._tensorflow, self._model, self._case
        parameters = inspect.signature(model.call).parameters
        rows = rows_of(model.config, case)
        case = with_length(case, rows)
        described = describe_case(parameters, model.config, case, self._chosen)
        self.modalities = described.modalities
        generator = tensorflow.random.Generator.from_seed(case.seed % 2**63)
        inputs = {
            spec.name: spec.made_by(lambda each: self._tensor(each, generator))
            for spec in described.tensors
        }
        if rows is not None:
            self.real_tokens, self.padded_to = rows.real_tokens, rows.length
            rows.check(inputs, self.modalities, case.model)
        inputs = with_padding(
            inputs, rows, lambda tensor: tensor.numpy().tolist(),
            lambda lists, tensor: tensorflow.constant(lists, tensor.dtype),
        )  # fmt: skip
        call: Callable[[Any], Any] = self._forward
        if case.mode == "training":
            optimizer = self._keras.optimizers.AdamW(1e-6) if case.optimizer else None
            call = self._step = TrainingStep(tensorflow, model, optimizer)
        self._inputs = inputs
        if self.execution != "eager":
            xla = self.execution == "xla"
            call = tensorflow.function(call, jit_compile=True if xla else None)
        return lambda: call(inputs), described.tokens

    def training_phases(self) -> list[tuple[str, Call]]:
        """Forward, backward and optimizer's step where operations run one by one.

        Each returns what it made last. None of a graph, which is one piece.
        """
        if self.execution != "eager":
            return []
        step, made = self._step, {}

        def forward() -> object:
            made["tape"], made["loss"] = step.forward(self._inputs)
            return made["loss"]

        def backward() -> object:
            made["gradients"] = step.backward(made.pop("tape"), made.pop("loss"))
            return made["gradients"]

        phases: list[tuple[str, Call]] = [("forward", forward), ("backward", backward)]
        if step.optimizer is not None:
            phases.append(("optimizer", lambda: step.apply(made.pop("gradients"))))
        return phases

    def gradient_bytes(self) -> Optional[int]:
        """Bytes of the gradients that a step makes; None where their shapes are not known."""
        return self._step.gradient_bytes

    def _forward(self, given: Any) -> Any:
        return self._model(given, training=False)

    def _tensor(self, spec: Input, generator: Any) -> Any:
        tensorflow = self._tensorflow
        if spec.kind == "ids":
            return _ids(tensorflow, spec, generator)
        if spec.kind == "ones":
            return tensorflow.ones(spec.shape, tensorflow.int32)
        if spec.kind == "given":
            return tensorflow.constant(spec.values)
        if spec.kind == "uniform":
            return generator.uniform(spec.shape)
        return generator.normal(spec.shape)


def _ids(tensorflow: Any, spec: Input, generator: Any) -> Any:
    """Ids below the bound; where they have an end, it is last in each row and nowhere else.

    Of labels, those at positions of images or sounds count for no loss.
    """
    if spec.end is None:
        made = generator.uniform(spec.shape, 0, spec.bound, tensorflow.int32)
        if not spec.media:
            return made
        ignored = tensorflow.fill((*spec.shape[:-1], spec.media), IGNORED)
        return tensorflow.concat([ignored, made[..., spec.media :]], axis=-1)
    made = generator.uniform(spec.shape, 0, spec.bound - 1, tensorflow.int32)
    made += tensorflow.cast(made >= spec.end, tensorflow.int32)
    last = tensorflow.ones_like(made[..., :1]) * spec.end
    return tensorflow.concat([made[..., :-1], last], axis=-1)


class TrainingStep:
    """Forward and backward, and the optimizer's step if there is one."""

    def __init__(self, tensorflow: Any, model: Any, optimizer: Any) -> None:
        self._tensorflow, self._model, self.optimizer = tensorflow, model, optimizer
        self._variables = model.trainable_variables
        self.gradient_bytes: Optional[int] = None
        if optimizer is not None:
            optimizer.build(self._variables)

    def __call__(self, given: Any) -> Any:
        """The loss, and the gradients where nothing uses them up."""
        tape, loss = self.forward(given)
        gradients = self.backward(tape, loss)
        if self.optimizer is None:
            return loss, gradients
        self.apply(gradients)
        return loss

    def forward(self, given: Any) -> tuple[Any, Any]:
        """Run the model to its loss; the tape that keeps what the backward pass needs, and it."""
        with self._tensorflow.GradientTape() as tape:
            loss = self._tensorflow.reduce_mean(self._model(given, training=True)[0])
        return tape, loss

    def backward(self, tape: Any, loss: Any) -> Any:
        """The gradient for each variable; None for one that the loss does not depend on."""
        gradients = tape.gradient(loss, self._variables)
        self.gradient_bytes = _bytes_of(self._tensorflow, gradients)
        return gradients

    def apply(self, gradients: Any) -> Any:
        """The optimizer's step; a variable that it has changed."""
        used = [(g, v) for g, v in zip(gradients, self._variables) if g is not None]
        self.optimizer.apply_gradients(used)
        return used[-1][1]


def _bytes_of(tensorflow: Any, gradients: Any) -> Optional[int]:
    """Bytes of gradients, of which an embedding's may have the rows alone that were looked up."""
    parts = tensorflow.nest.flatten(gradients, expand_composites=True)
    sizes = [(part.shape.num_elements(), part.dtype.size) for part in parts if part is not None]
    if any(count is None for count, _ in sizes):
        return None
    return int(sum(count * size for count, size in sizes))
