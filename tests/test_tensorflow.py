"""TensorFlow beside PyTorch, in an environment that nbbench makes for it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

import nbbench
from nbbench import environments
from nbbench.environments import EnvironmentNotReady
from nbbench.worker import nvml
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends import tensorflow_gpu
from nbbench.worker.backends.tensorflow import TensorFlowBackend, TensorFlowModel, TrainingStep
from nbbench.worker.backends.tensorflow_gpu import GpuDevice
from nbbench.worker.boot import boot_command
from nbbench.worker.case import Case
from tests.conftest import TINY_BERT

TINY_T5 = {
    "model_type": "t5",
    "architectures": ["T5ForConditionalGeneration"],
    "d_model": 32,
    "d_ff": 64,
    "d_kv": 16,
    "num_heads": 2,
    "num_layers": 2,
    "vocab_size": 200,
    "decoder_start_token_id": 0,
}
TINY_VIT = {
    "model_type": "vit",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


@pytest.fixture(scope="module")
def interpreter():
    """The environment that nbbench makes for TensorFlow, made now unless it has been."""
    try:
        return environments.finish(environments.prepare("tensorflow", "tensorflow"), print).python
    except EnvironmentNotReady as error:
        if "go online once" in str(error):
            pytest.skip(str(error))
        raise


def measure(*configs, **arguments):
    arguments = {"frameworks": ["tensorflow"], "batch_sizes": [2], "sequence_lengths": [8],
                 "max_time": 0.3, "device": "cpu", "progress": False, **arguments}  # fmt: skip
    return nbbench.run(configs=list(configs), **arguments)


@pytest.mark.slow
@pytest.mark.newest
def test_one_table_for_both_frameworks(interpreter):
    pytest.importorskip("torch")
    report = measure(
        TINY_BERT,
        {**TINY_BERT, "model_type": "distilbert", "dim": 64, "n_layers": 2, "n_heads": 2},
        TINY_T5,
        TINY_VIT,
        frameworks=["pytorch", "tensorflow"],
    )
    speed, memory = report.speed, report.memory
    assert speed.status.tolist() == ["ok"] * 8, speed.reason.tolist()
    assert set(zip(speed.framework, speed.environment, speed.execution, strict=True)) == {
        ("pytorch", "kernel", "eager"),
        ("tensorflow", "tensorflow", "graph"),
    }
    counts = [result.outcome.parameter_count for result in report.results]
    assert counts[4:] == pytest.approx(counts[:4], rel=0.01)
    assert memory.parameters_mib[4:].tolist() == pytest.approx(
        memory.parameters_mib[:4].tolist(), rel=0.05
    )
    assert (memory.peak_mib > memory.baseline_mib).all()
    about = report.environment
    assert about.loc["framework"].tolist() == ["PyTorch", "TensorFlow"]
    assert about.loc["transformers_version", "tensorflow"].startswith("4.")
    assert about.loc["threads", "tensorflow"] == about.loc["threads", "pytorch"]
    assert about.loc["interpreter", "tensorflow"] == "made from requirements"


@pytest.mark.slow
@pytest.mark.newest
def test_eager_graph_and_xla_are_what_they_say(interpreter):
    report = measure(TINY_BERT, execution=["eager", "graph", "xla"])
    speed = report.speed.set_index("execution")
    assert speed.status.tolist() == ["ok"] * 3, speed.reason.tolist()
    # Tracing and compiling show in the first call, and nowhere else.
    first = speed.first_call_s / speed.median_s
    assert first["graph"] > 20
    assert first["xla"] > 100
    assert speed.median_s["graph"] < speed.median_s["eager"]
    assert measure(TINY_BERT, eager_mode=True).speed.execution.tolist() == ["eager"]
    assert measure(TINY_BERT, use_xla=True).speed.execution.tolist() == ["xla"]


@pytest.mark.slow
@pytest.mark.newest
def test_dtypes_are_keras_policies(interpreter):
    report = measure(TINY_BERT, dtype=["float32", "bfloat16"])
    assert report.speed.status.tolist() == ["ok", "ok"], report.speed.reason.tolist()
    assert report.speed.dtype.tolist() == ["float32", "mixed_bfloat16"]


@pytest.mark.slow
@pytest.mark.newest
def test_what_tensorflow_cannot_run_is_unsupported_and_says_why(interpreter):
    llama = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    report = measure(TINY_BERT, llama, {"model_type": "qwen9"}, sequence_lengths=[8, 600])
    assert report.speed.status.tolist() == ["ok"] + ["unsupported"] * 5
    reasons = report.speed.reason.tolist()
    assert reasons[1].startswith("sequence length 600 is more than bert-1 takes (512)")
    assert reasons[2].startswith("LlamaForCausalLM has no TensorFlow class in transformers 4.")
    assert "model type 'qwen9' is unknown to transformers" in reasons[4]
    report = measure(TINY_BERT, attention=["sdpa"])
    assert "attention sdpa is not one that TensorFlow models have" in report.speed.reason[0]


@pytest.mark.slow
@pytest.mark.newest
def test_a_device_that_is_not_there_is_unsupported(interpreter):
    report = measure(TINY_BERT, device="cuda:5")
    assert report.speed.status.tolist() == ["unsupported"]
    assert "device cuda:5 was asked for, but TensorFlow here sees" in report.speed.reason[0]


def test_transformers_5_is_refused_with_the_reason():
    pytest.importorskip("transformers", minversion="5")
    pytest.importorskip("torch")
    report = measure(TINY_BERT, environment="kernel")
    assert report.speed.status.tolist() == ["unsupported"]
    assert "tensorflow is not installed in this interpreter" in report.speed.reason[0]


@pytest.mark.slow
def test_a_hundred_forks_of_one_server_all_end_well(interpreter):
    configs = [{**TINY_BERT, "vocab_size": 100 + number} for number in range(50)]
    report = measure(*configs, execution=["graph", "eager"], max_time=0.02, isolation="fork")
    assert report.speed.status.tolist() == ["ok"] * 100, report.failures


@pytest.mark.slow
def test_memory_of_training_is_told_by_phase_where_operations_run_one_by_one():
    large = {**TINY_BERT, "hidden_size": 512, "intermediate_size": 2048, "vocab_size": 20000}
    report = measure(
        large, training=True, inference=False, optimizer=True, sequence_lengths=[64],
        execution=["eager", "graph"], max_time=0.2,
    )  # fmt: skip
    eager, graph = report.memory.iloc[0], report.memory.iloc[1]
    assert eager.gradients_mib == pytest.approx(eager.parameters_mib, rel=0.02)
    assert eager.forward_peak_mib <= eager.backward_peak_mib
    for phase in ("backward", "optimizer"):
        assert eager[f"{phase}_peak_mib"] == pytest.approx(eager.peak_mib, rel=0.3)
        assert graph[f"{phase}_peak_mib"] != graph[f"{phase}_peak_mib"]  # a graph is one piece
    # a weight, its gradient and AdamW's two numbers
    assert eager.peak_mib - eager.baseline_mib >= 3.9 * eager.parameters_mib


@pytest.mark.slow
def test_an_error_in_a_graph_is_told_by_what_went_wrong():
    speech = {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"], "hidden_size": 32,
              "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64,
              "vocab_size": 32}  # fmt: skip
    report = measure(speech, training=True, inference=False, sequence_lengths=[16],
                     execution=["graph", "eager"])  # fmt: skip
    assert report.speed.status.tolist() == ["error", "ok"]
    assert report.speed.reason[0] == "ValueError: Label values must be <= vocab_size: 32"


LABELS = """
import json
import tensorflow
from nbbench.worker.backends.tensorflow import _ids
from nbbench.worker.inputs.tensors import Input

generator = tensorflow.random.Generator.from_seed(0)
labels = Input("labels", "ids", (2, 5), 9, media=3)
print(json.dumps(_ids(tensorflow, labels, generator).numpy().tolist()))
"""


@pytest.mark.slow
def test_positions_of_images_have_labels_that_no_loss_counts(interpreter):
    done = subprocess.run(boot_command(interpreter, LABELS), stdout=subprocess.PIPE, check=True)
    for row in json.loads(done.stdout):
        assert row[:3] == [-100] * 3
        assert all(0 <= label < 9 for label in row[3:])


INTERLEAVED = """
import json, os, statistics, sys, time
import gc
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends import tensorflow_gpu
from nbbench.worker.backends.tensorflow import TensorFlowBackend, TensorFlowModel, TrainingStep
from nbbench.worker.measure import block_size
from nbbench.worker.case import Case

config, length, mode = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
backend = TensorFlowBackend()
backend.load()
tf = backend.tensorflow
case = Case("tensorflow", "x", config, "given", 2, length, mode=mode,
            device="cpu")
device = backend.open(case)
call, _ = backend.build(case, device).prepare()

from transformers import BertConfig, TFBertForMaskedLM, TFBertModel  # the same by hand
training = mode == "training"
model = (TFBertForMaskedLM if training else TFBertModel)(BertConfig(**config))
inputs = {
    "input_ids": tf.random.uniform((2, length), 0, config["vocab_size"], tf.int32),
    "attention_mask": tf.ones((2, length), tf.int32),
}
if training:
    inputs["labels"] = inputs["input_ids"]

@tf.function
def function(inputs):
    if not training:
        return model(inputs, training=False)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(inputs, training=True)[0])
    return loss, tape.gradient(loss, model.trainable_variables)

def ours(times):
    return device.stopwatch(call, times) / times

def theirs(times):
    begin = time.perf_counter()
    for _ in range(times):
        output = function(inputs)
    output[0].numpy()
    return (time.perf_counter() - begin) / times

for _ in range(10):
    ours(1), theirs(1)
times = max(block_size(min(ours(1) for _ in range(10))), 3)
gc.disable()
pairs = {True: ([], []), False: ([], [])}
for turn in range(200):
    first, second = (ours, theirs) if turn % 2 else (theirs, ours)
    a, b = first(times), second(times)
    mine, plain = (a, b) if turn % 2 else (b, a)
    pairs[bool(turn % 2)][0].append(mine)
    pairs[bool(turn % 2)][1].append(plain)
mine, plain = (pairs[True][i] + pairs[False][i] for i in (0, 1))
print(json.dumps(statistics.median(mine) / statistics.median(plain)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hidden", "length", "mode"),
    [
        (64, 32, "inference"),
        (256, 64, "inference"),
        (512, 128, "inference"),
        (128, 32, "training"),
        (512, 64, "training"),
    ],
)
def test_medians_agree_with_a_plain_loop(interpreter, hidden, length, mode):
    config = {**TINY_BERT, "hidden_size": hidden, "intermediate_size": 4 * hidden}
    done = subprocess.run(
        boot_command(interpreter, INTERLEAVED, json.dumps(config), str(length), mode),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ratio = float(done.stdout)
    print(f"ours / plain loop: {ratio:.4f}")
    assert ratio == pytest.approx(1, abs=0.03)


class FakeGpuTensorFlow:
    """The part of TensorFlow that is asked of a GPU, on a machine that has two."""

    def __init__(self):
        self.log = []
        self.info = {"current": 100 << 20, "peak": 350 << 20}
        self.config = SimpleNamespace(
            threading=SimpleNamespace(
                set_intra_op_parallelism_threads=lambda n: self.log.append(f"threads {n}")
            ),
            list_physical_devices=lambda _: ["GPU 0", "GPU 1"],
            set_visible_devices=lambda device, _: self.log.append(f"visible {device}"),
            experimental=SimpleNamespace(
                set_memory_growth=lambda device, _: self.log.append(f"growth {device}"),
                get_memory_info=lambda name: self.log.append(f"info {name}") or self.info,
                reset_memory_stats=lambda name: self.log.append(f"reset {name}"),
            ),
        )
        synchronous = SimpleNamespace(sync_devices=lambda: self.log.append("wait"))
        self.test = SimpleNamespace(experimental=synchronous)

    def zeros(self, _):
        return SimpleNamespace(numpy=lambda: self.log.append("context"))


def opened(device):
    backend = TensorFlowBackend()
    backend.tensorflow = FakeGpuTensorFlow()
    case = Case("tensorflow", "x", {}, "given", 1, 8, device=device, threads=3)
    return backend.tensorflow, backend.open(case)


def test_on_a_fake_gpu_one_device_is_seen_and_memory_grows():
    tensorflow, device = opened("cuda:1")
    assert device.name == "cuda:1"
    assert tensorflow.log == ["threads 3", "visible GPU 1", "growth GPU 1"]
    assert opened("auto")[1].name == "cuda:0"
    assert opened("cpu")[1].name == "cpu"


@pytest.mark.parametrize(
    ("device", "sentence"),
    [("cuda:2", "sees 2 of them; count from 0"), ("xpu", "measured on the CPU and on CUDA"),
     ("mps", "measured on the CPU and on CUDA"), ("xpu:1", "give device auto, cpu or cuda")],
)  # fmt: skip
def test_a_device_that_tensorflow_has_not_is_unsupported(device, sentence):
    with pytest.raises(Unsupported, match=f"device {device} was asked for, but .*{sentence}"):
        opened(device)


class FakeKerasModel:
    trainable_variables = ("embedding", "bias")

    def __call__(self, inputs, training):
        return ["loss"]


def fake_tensor(count):
    return SimpleNamespace(
        shape=SimpleNamespace(num_elements=lambda: count), dtype=SimpleNamespace(size=4)
    )


def flattened(gradients, expand_composites):
    """As TensorFlow's: of a sparse gradient, here a tuple, its values and its indices."""
    return [part for each in gradients for part in (each if isinstance(each, tuple) else [each])]


@pytest.mark.parametrize(
    ("gradients", "size"),
    [
        ([fake_tensor(100), fake_tensor(10)], 440),
        ([(fake_tensor(30), fake_tensor(3)), None, fake_tensor(10)], 172),
        ([(fake_tensor(None), fake_tensor(None)), fake_tensor(10)], None),
    ],
)
def test_gradients_are_what_a_step_makes_and_not_what_the_variables_hold(gradients, size):
    tensorflow = SimpleNamespace(nest=SimpleNamespace(flatten=flattened))
    model = TensorFlowModel.__new__(TensorFlowModel)
    model._step = TrainingStep(tensorflow, FakeKerasModel(), None)
    assert model.gradient_bytes() is None
    model._step.backward(SimpleNamespace(gradient=lambda *_: gradients), "loss")
    assert model.gradient_bytes() == size


def test_the_phases_of_a_step_return_what_they_made_last():
    tape = SimpleNamespace(gradient=lambda loss, variables: [f"gradient of {loss}", None])
    tensorflow = SimpleNamespace(
        GradientTape=lambda: contextlib.nullcontext(tape),
        reduce_mean=lambda losses: losses,
        nest=SimpleNamespace(flatten=lambda *_, expand_composites: []),
    )
    fake_optimizer = SimpleNamespace(build=lambda _: None, apply_gradients=lambda _: None)
    model = TensorFlowModel.__new__(TensorFlowModel)
    model.execution, model._inputs = "eager", {}
    model._step = TrainingStep(tensorflow, FakeKerasModel(), fake_optimizer)
    returned = {name: call() for name, call in model.training_phases()}
    assert returned == {
        "forward": "loss", "backward": ["gradient of loss", None], "optimizer": "embedding",
    }  # fmt: skip


def test_on_a_fake_gpu_time_ends_when_its_work_is_done_and_nothing_more_is_asked_of_it():
    tensorflow = FakeGpuTensorFlow()
    device = GpuDevice(tensorflow, 0)
    device.stopwatch(lambda: tensorflow.log.append("call") or SimpleNamespace(dtype=1), 3)
    assert tensorflow.log == ["call", "call", "call", "wait"]


def test_on_a_fake_gpu_memory_is_the_allocators(monkeypatch):
    monkeypatch.setattr(tensorflow_gpu, "uuid_of", lambda index: f"GPU-{index}")
    monkeypatch.setattr(nvml, "process_bytes", lambda uuid, _: {"GPU-0": 700}[uuid])
    tensorflow = FakeGpuTensorFlow()
    memory = GpuDevice(tensorflow, 0).memory
    memory.before_model()
    memory.after_model()
    memory.start()
    profile = memory.stop(90 << 20)
    assert tensorflow.log == ["context", "info GPU:0", "reset GPU:0", "info GPU:0"]
    assert (profile.baseline, profile.process) == (700, 700)
    assert profile.weights == 100 << 20
    assert profile.activations == 250 << 20
    assert profile.peak == 350 << 20
    assert profile.method == "TensorFlow allocator"


def test_threads_are_what_pytorch_would_choose(monkeypatch):
    pytest.importorskip("torch")
    from nbbench.worker.processors import default_threads

    code = "import torch; print(torch.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert default_threads() == int(done.stdout)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert default_threads() == 1
