"""Other runtimes: the same classes and inputs as PyTorch's rows, exported, in one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.exported import ExportedBackend
from nbbench.worker.case import Case
from tests.conftest import TINY_BERT

CONFIGS = json.loads(Path(__file__).with_name("real_configs.json").read_text())
MODELS = (
    "all-minilm-l6-v2", "bart-large-mnli", "bert-large-uncased-squad", "bloom-560m",
    "clip-vit-base-patch32", "convnext-tiny-224", "deberta-v3-base", "distilbert-sst2",
    "electra-disc", "gemma-2-2b", "gpt2", "modernbert-base", "qwen2.5-0.5b", "qwen3-0.6b",
    "resnet-50", "roberta-base", "vit-base-patch16-224", "wav2vec2-base-960h",
)  # fmt: skip
RUNTIMES = {"onnxruntime": "OnnxRuntimeBackend", "openvino": "OpenVinoBackend"}


@pytest.fixture(params=RUNTIMES)
def runtime(request):
    """A runtime's name, where it is installed."""
    pytest.importorskip(request.param)
    pytest.importorskip("transformers.exporters")
    if request.param == "onnxruntime":
        pytest.importorskip("onnxscript")
    return request.param


def loaded(runtime):
    module = pytest.importorskip(f"nbbench.worker.backends.{runtime}")
    backend = getattr(module, RUNTIMES[runtime])()
    backend.load()
    return backend


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mode": "training"}, "not mode training"),
        ({"mode": "generation", "new_tokens": 2, "cache": "dynamic"}, "not mode generation"),
        ({"execution": "compile"}, "not execution compile"),
        ({"quantization": "int8"}, "not quantization int8"),
    ],
)
def test_what_is_not_exported_says_where_it_is_measured(runtime, values, sentence):
    backend = loaded(runtime)
    case = Case(runtime, "m", TINY_BERT, "given", 1, 8, device="cpu", **values)
    with pytest.raises(Unsupported, match=sentence) as caught:
        backend.build(case, backend.open(case))
    assert "frameworks pytorch" in str(caught.value)


def test_a_gpu_is_refused(runtime):
    backend = loaded(runtime)
    with pytest.raises(Unsupported, match="is measured on the CPU"):
        backend.open(Case(runtime, "m", TINY_BERT, "given", 1, 8, device="cuda"))


def test_a_peak_is_not_divided_into_weights_and_activations(runtime):
    backend = loaded(runtime)
    memory = backend.open(Case(runtime, "m", TINY_BERT, "given", 1, 8, device="auto")).memory
    memory.before_model()
    memory.after_model()
    memory.start()
    profile = memory.stop(100)
    assert (profile.weights, profile.activations, profile.parameters) == (None, None, 100)
    assert 0 < profile.baseline < 2 * profile.peak


def test_outputs_that_are_not_the_models_are_an_error(runtime):
    backend = loaded(runtime)
    torch = backend._eager.torch
    ones = torch.ones(2, 3)
    assert "differ from eager by 0e+00" in backend._compared({"x": ones}, {"x": ones}, "float32")
    with pytest.raises(RuntimeError, match=r"differ from eager by 5.0e-01"):
        backend._compared({"x": ones}, {"x": ones / 2}, "float32")
    with pytest.raises(RuntimeError, match="another shape"):
        backend._compared({"x": ones}, {"x": ones[:1]}, "float32")
    with pytest.raises(RuntimeError, match="nan"):
        backend._compared({"x": ones}, {"x": ones * float("nan")}, "float32")


EXTREMES = [float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 0.0]


@pytest.mark.parametrize(
    ("eager", "exported", "far"),
    [
        ([*EXTREMES, 1.0], [*EXTREMES, 1.0], "0e"),
        ([float("nan"), float("inf")], [float("nan"), float("inf")], "0e"),
        ([0.0, 0.0], [0.0, 0.0], "0e"),
        ([], [], "0e"),
        ([3e38, 1.0, 2.0, 4.0], [3e38, 1.0, 2.0, 4.0004], "1e-04"),
        ([3e38, 1.0, 2.0, 4.0], [3e38, 1.0, 3.0, 4.0], None),  # the first hides nothing
        ([3e38, 1.0, 2.0, 4.0], [2e38, 1.0, 2.0, 4.0], None),
        ([1.0, float("inf")], [1.0, float("-inf")], None),
        ([1.0, float("inf")], [1.0, 1.0], None),
        ([1.0, 1.0], [1.0, float("nan")], None),
        ([0.0, 0.0], [0.0, 1.0], None),
    ],
)
def test_outputs_are_compared_whatever_numbers_are_among_them(eager, exported, far):
    torch = pytest.importorskip("torch")
    backend = ExportedBackend()
    backend._eager.torch = torch
    pair = {"x": torch.tensor(eager)}, {"x": torch.tensor(exported)}
    if far is not None:
        assert f"differ from eager by {far}" in backend._compared(*pair, "float32")
        return
    with pytest.raises(RuntimeError, match="another model would be measured"):
        backend._compared(*pair, "float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [pytest.param(MODELS[::4], marks=pytest.mark.newest, id="some"), MODELS]
)
def test_they_stand_beside_pytorch_in_one_table_and_outputs_agree(runtime, names):
    report = nbbench.run(
        *names, configs=[CONFIGS[name] for name in names], frameworks=["pytorch", runtime],
        batch_sizes=[2], sequence_lengths=[32], max_time=0.1, rounds=1, memory=False,
        device="cpu", wait=False, progress=False,
    )  # fmt: skip
    speed = report.speed
    assert (speed.status == "ok").all(), speed[speed.status != "ok"].reason.to_list()
    exported = speed[speed.framework == runtime]
    assert exported.reason.str.contains("outputs differ from eager by").all()
    assert (exported.export_s > 0).all()
    eager = speed[speed.framework == "pytorch"].set_index("model")
    assert (exported.set_index("model").architecture == eager.architecture).all()


@pytest.mark.slow
@pytest.mark.newest
def test_later_visits_find_what_the_first_has_exported(runtime):
    report = nbbench.run(
        "bert", configs=[TINY_BERT], frameworks=[runtime], batch_sizes=[1], sequence_lengths=[8],
        rounds=3, device="cpu", wait=False, progress=False,
    )  # fmt: skip
    speed = report.speed.iloc[0]
    assert speed.status == "ok", speed.reason
    assert speed.visits == 3
    assert speed.interval == "visits"
    assert speed.wall_s < 3 * speed.export_s + 30
    memory = report.memory.iloc[0]
    assert memory[["weights_mib", "activations_mib"]].isna().all()
    assert memory.peak_mib > memory.baseline_mib > 0
