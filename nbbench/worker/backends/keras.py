"""Keras 3 over keras-hub, on TensorFlow, JAX or PyTorch.

keras-hub reads a Hugging Face configuration and makes its own backbone of it: the model without a
head. Its inputs are named as Keras names them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

from ..backend import Device, Unsupported
from ..case import Case
from ..exceptions import text_of
from ..measure import Call
from ..own_code import OwnCode
from ..processors import default_threads
from .cpu import CpuDevice
from .keras_model import KerasModel
from .own_keras import OwnInputsOfKeras, build_own
from .tensorflow import MIXED, TensorFlowBackend
from .torch import TorchBackend
from .torch_forks import gpus_left_alone
from .transformers_models import make_config, quieten


class _KerasOver:
    """What the three have in common; each says what lies underneath.

    The first of ``executions`` is the default. Transformers fills in what a configuration leaves
    to its defaults and keras-hub insists on.
    """

    below: str
    """What ``KERAS_BACKEND`` is set to; also the name of the package underneath."""

    executions: Sequence[str]

    def load(self) -> None:
        """Import Keras, keras-hub and what lies underneath, without running any of it."""
        quieten()
        os.environ["KERAS_BACKEND"] = self.below
        self.framework: Any = self._import_below()
        import keras
        import keras_hub
        import transformers

        self.keras: Any = keras
        self.keras_hub: Any = keras_hub
        self.transformers: Any = transformers

    def environment(self) -> dict[str, Any]:
        """Versions and settings that change what Keras does."""
        return {
            "framework": "Keras",
            "framework_version": self.keras.__version__,
            "keras_hub_version": self.keras_hub.__version__,
            "keras_backend": self.below,
            f"{self.below}_version": self.framework.__version__,
            "transformers_version": self.transformers.__version__,
            "threads": default_threads(),
        }

    def import_model(self, case: Case) -> None:
        """Import the module of the case's configuration, or the user's own.

        keras-hub has imported its models.
        """
        if case.is_own:
            self._own = OwnCode(case)
            return
        make_config(self.transformers, case)

    def build(self, case: Case, device: Device) -> KerasModel:
        """The backbone with random weights, in the dtype policy that the case's dtype means."""
        self._refuse_what_keras_has_not(case)
        self.keras.utils.set_random_seed(case.seed % 2**32)
        if case.is_own:
            return self._own_model(case)
        config = make_config(self.transformers, case)
        dtype = case.dtype
        if dtype == "auto":
            dtype = str(getattr(config, "dtype", None) or "float32").replace("torch.", "")
        self.keras.config.set_dtype_policy(MIXED.get(dtype, dtype))
        return self._model(self._backbone(config, case), case, config)

    def _own_model(self, case: Case) -> KerasModel:
        """The user's model; one that has no weights before its first call is called once."""
        if case.dtype != "auto":
            self.keras.config.set_dtype_policy(MIXED.get(case.dtype, case.dtype))
        model = build_own(self.keras, self._own, case)
        inputs = OwnInputsOfKeras(self.keras, model, self._own, case)
        if not model.built:
            model(inputs.made()[0], training=False)
        return self._model(model, case, own=inputs)

    def _model(
        self, model: Any, case: Case, config: Any = None, own: Optional[OwnInputsOfKeras] = None
    ) -> KerasModel:
        execution = self.executions[0] if case.execution == "default" else case.execution
        forward = partial(self.forward, model, execution)
        return KerasModel(self.keras, model, execution, forward, case, config, own)

    def forward(self, model: Any, execution: str, inputs: Any) -> Call:
        """The call of a model on inputs, executed so; nothing of it is traced or compiled yet."""
        raise NotImplementedError

    def _import_below(self) -> Any:
        """Import what lies underneath; the module."""
        raise NotImplementedError

    def _refuse_what_keras_has_not(self, case: Case) -> None:
        """Raise `Unsupported` for arguments that have no meaning here."""
        if case.execution not in ("default", *self.executions):
            raise Unsupported(
                f"execution {case.execution} is not one that Keras on {self.below} has; use "
                f"{' or '.join(self.executions)}"
            )
        if case.mode == "training":
            raise Unsupported(
                f"{case.framework} measures inference alone; train with pytorch or tensorflow"
            )
        if case.attention != "default":
            raise Unsupported(
                f"attention {case.attention} cannot be chosen in Keras; leave it at default"
            )
        if case.model_class == "architecture":
            raise Unsupported(
                f"{case.framework} measures the backbone alone; give model_class auto or base"
            )

    def _backbone(self, config: Any, case: Case) -> Any:
        """The model that keras-hub makes of a Transformers configuration; no weights are read."""
        complete = {name: getattr(config, name, None) for name in config.attribute_map}
        complete.update(json.loads(config.to_json_string(use_diff=False)))
        complete.update(case.config)
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(complete)
            (Path(folder) / "config.json").write_text(text, encoding="utf-8")
            try:
                return self.keras_hub.models.Backbone.from_preset(folder, load_weights=False)
            except ValueError as error:
                if "no converter" not in str(error):
                    raise
        raise Unsupported(
            f"model type {complete['model_type']!r} has no converter in keras-hub "
            f"{self.keras_hub.__version__}; measure it with frameworks pytorch"
        )


class KerasBackend(_KerasOver):
    """The ``keras`` framework: Keras on TensorFlow.

    Inference of the backbone, without a head. Executed as a graph (``tf.function``) by default.
    """

    REQUIREMENTS = ("tensorflow>=2.16", "keras>=3.8", "keras-hub>=0.22", "transformers>=4.50")
    PYTHON = ">=3.10,<3.14"

    below = "tensorflow"
    executions = ("graph", "eager", "xla")

    def open(self, case: Case) -> Device:
        """``cpu``, or a CUDA device by its number; ``auto`` takes CUDA where there is one."""
        return self._tensorflow.open(case)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """TensorFlow has an error of its own for the allocators of all devices."""
        return self._tensorflow.is_out_of_memory(error)

    def forward(self, model: Any, execution: str, inputs: Any) -> Call:
        """One forward pass: operation by operation, as a graph, or compiled by XLA."""

        def forward(given: Any) -> Any:
            return model(given, training=False)

        if execution != "eager":
            xla = True if execution == "xla" else None
            forward = self.framework.function(forward, jit_compile=xla)
        return lambda: forward(inputs)

    def _import_below(self) -> Any:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        _leave_out("tensorflow_text")  # made for one line of TensorFlow, it breaks under another
        import tensorflow

        self._tensorflow = TensorFlowBackend()
        self._tensorflow.tensorflow = tensorflow
        return tensorflow


class KerasJaxBackend(_KerasOver):
    """The ``keras-jax`` framework: Keras on JAX, on the CPU alone.

    Inference of the backbone, without a head. Compiled by XLA (``jax.jit``) by default.
    """

    REQUIREMENTS = ("jax>=0.4.30", "keras>=3.8", "keras-hub>=0.22", "transformers>=4.50")
    PYTHON = ">=3.10,<3.14"

    below = "jax"
    executions = ("xla", "eager")

    def open(self, case: Case) -> Device:
        """``cpu``, which ``auto`` means, too."""
        if case.device not in ("auto", "cpu"):
            raise Unsupported(
                f"device {case.device} was asked for, but {case.framework} runs on the CPU alone"
            )
        self.framework.config.update("jax_platforms", "cpu")
        os.environ["NPROC"] = str(case.threads or default_threads())  # XLA sizes its pool by it
        self.keras.random.normal((1,), seed=0)  # starts JAX, which is no part of the weights
        name = f"JAX {self.framework.__version__}, {os.environ['NPROC']} threads"
        return CpuDevice(self._matrix_products, lambda: name)

    def _matrix_products(self) -> Call:
        """The reference kernel: some small matrix products, compiled."""
        numpy = self.framework.numpy
        factor = numpy.full((128, 128), 0.5)
        finish = self.framework.block_until_ready

        def products(given: Any) -> Any:
            for _ in range(4):
                given = numpy.matmul(given, factor) / 64
            return given

        compiled = self.framework.jit(products)
        return lambda: finish(compiled(factor))

    def build(self, case: Case, device: Device) -> KerasModel:
        """The backbone; what XLA compiled to draw its weights is thrown away."""
        model = super().build(case, device)
        self.framework.clear_caches()
        return model

    def is_out_of_memory(self, error: BaseException) -> bool:
        """XLA's error names memory in its first word."""
        return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text_of(error)

    def forward(self, model: Any, execution: str, inputs: Any) -> Call:
        """One forward pass, waited for: JAX would else begin the next beside it."""
        finish = self.framework.block_until_ready
        if execution == "eager":
            return lambda: finish(model(inputs, training=False))

        def stateless(trainable: Any, others: Any, given: Any) -> Any:
            return model.stateless_call(trainable, others, given, training=False)[0]

        compiled = self.framework.jit(stateless)
        trainable = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        return lambda: finish(compiled(trainable, others, inputs))

    def _import_below(self) -> Any:
        _leave_tensorflow_out()
        import jax

        return jax


class KerasTorchBackend(_KerasOver):
    """The ``keras-torch`` framework: Keras on PyTorch.

    Inference of the backbone, without a head, operation by operation.
    """

    REQUIREMENTS = ("torch>=2.4", "keras>=3.8", "keras-hub>=0.22", "transformers>=4.50")
    PYTHON = ">=3.10,<3.14"

    below = "torch"
    executions = ("eager",)

    def load(self) -> None:
        """Import Keras, keras-hub and PyTorch, which is to begin with no GPU."""
        with gpus_left_alone():
            super().load()

    def has_lost_gpus(self) -> bool:
        """Whether this process is a fork in which the GPUs that there are cannot be used."""
        return self._pytorch.has_lost_gpus()

    def open(self, case: Case) -> Device:
        """``cpu``, or a CUDA device by its number; ``auto`` takes CUDA where there is one."""
        device = self._pytorch.open(case)
        self.keras.device(device.name).__enter__()  # for as long as this process lives
        if case.threads is not None:
            self.framework.set_num_threads(case.threads)
        return device

    def is_out_of_memory(self, error: BaseException) -> bool:
        """PyTorch tells of the host's memory only by the message of a RuntimeError."""
        return self._pytorch.is_out_of_memory(error)

    def forward(self, model: Any, execution: str, inputs: Any) -> Call:
        """One forward pass under inference mode."""
        torch = self.framework

        def forward() -> object:
            with torch.inference_mode():
                return model(inputs, training=False)

        return forward

    def _import_below(self) -> Any:
        os.environ["KERAS_TORCH_DEVICE"] = "cpu"  # else importing Keras looks for accelerators
        _leave_tensorflow_out()
        import torch

        self._pytorch = TorchBackend()
        self._pytorch.torch = torch
        return torch


def _leave_tensorflow_out() -> None:
    """Have keras-hub do without TensorFlow where it can, from 0.32 on.

    To import it besides would take as long, and as much memory, as all the rest.
    """
    version = metadata.version("keras-hub").split(".")
    if (int(version[0]), int(version[1])) >= (0, 32):
        _leave_out("tensorflow")


def _leave_out(package: str) -> None:
    """Have importing a package fail, which keras-hub takes well: its tokenizers want it alone."""
    sys.modules.setdefault(package, None)  # type: ignore[arg-type]
