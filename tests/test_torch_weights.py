"""Random weights that are drawn once and repeated."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from nbbench.worker.backends.torch_weights import BLOCK, repeating_draws  # noqa: E402

LARGE = (700, 1000)


def drawn(*draws):
    """Large tensors, each filled by the method of this name with these parameters."""
    torch.manual_seed(0)
    with repeating_draws(torch):
        return [
            getattr(torch.empty(LARGE, dtype=dtype), name)(*parameters)
            for name, dtype, *parameters in draws
        ]


def test_large_tensors_have_the_distribution_that_was_asked_for():
    normal, uniform, half = drawn(
        ("normal_", torch.float32, 3.0, 0.5),
        ("uniform_", torch.float32, -1.0, 5.0),
        ("normal_", torch.bfloat16, 0.0, 0.02),
    )
    assert normal.mean() == pytest.approx(3.0, abs=0.01)
    assert normal.std() == pytest.approx(0.5, rel=0.01)
    assert uniform.mean() == pytest.approx(2.0, abs=0.03)
    assert -1 <= uniform.min() < -0.99
    assert 4.99 < uniform.max() <= 5
    assert half.float().std() == pytest.approx(0.02, rel=0.01)


def test_neither_rows_nor_tensors_are_alike_and_a_seed_gives_them_again():
    wanted = [("normal_", torch.float32, 0.0, 1.0)] * 2
    one, other = drawn(*wanted)
    assert len(torch.unique(one[:, :8], dim=0)) == len(one)
    assert (one == other).float().mean() < 0.01
    assert all(torch.equal(a, b) for a, b in zip((one, other), drawn(*wanted), strict=True))


def test_small_and_strided_tensors_are_drawn_whole_and_the_methods_come_back():
    before = torch.Tensor.normal_
    with repeating_draws(torch):
        small = torch.empty(BLOCK).normal_()
        strided = torch.empty(1000, 700).t().normal_()
    assert len(torch.unique(small)) > 0.9 * BLOCK
    assert len(torch.unique(strided)) > 1.5 * BLOCK
    assert torch.Tensor.normal_ is before


WEIGHTS_OF = """
import json, sys
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case

config = {"model_type": "bert", "hidden_size": 128, "num_hidden_layers": 1,
          "num_attention_heads": 2, "intermediate_size": 128}
case = Case("pytorch", "x", config, "given", 1, 8, device="cpu", execution=sys.argv[1])
backend = TorchBackend()
backend.load()
backend.import_model(case)
device = backend.open(case)
device.memory.before_model()
model = backend.build(case, device)
device.memory.after_model()
device.memory.start()
memory = device.memory.stop(model.parameter_bytes)
print(json.dumps([memory.weights, memory.parameters]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("execution", ["eager", "compile", "torchscript"])
def test_what_an_execution_imports_is_no_part_of_the_weights(execution):
    shown = subprocess.run(
        [sys.executable, "-c", WEIGHTS_OF, execution], capture_output=True, text=True, check=True
    )
    weights, parameters = json.loads(shown.stdout.splitlines()[-1])
    assert weights - parameters < 8 << 20  # torch.compile imports 40 MiB
