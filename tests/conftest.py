"""What the tests share: a backend that misbehaves on demand, small models, and clean-up."""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path

import pytest

import nbbench

HERE = Path(__file__).parent
TINY_BERT = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
}


@pytest.fixture(scope="session", autouse=True)
def _no_worker_outlives_the_tests():
    yield
    nbbench.close_workers()


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """Register the probe backends of this folder, as any package would: by entry points."""
    site = tmp_path_factory.mktemp("site")
    package = site / "probe_backends"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("probe", "torch_probe"):
        source = (HERE / "probe_backends" / f"{name}.py").read_text()
        (package / f"{name}.py").write_text(source)
    metadata = site / "probe_backends-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: probe-backends\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        "[nbbench.backends]\n"
        "probe = probe_backends.probe:ProbeBackend\n"
        "torch_probe = probe_backends.torch_probe:TorchProbeBackend\n"
        "missing = probe_backends.probe:MissingBackend\n"
    )
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield site
    sys.path.remove(str(site))


@pytest.fixture(params=["fork", "process"])
def isolation(request):
    if request.param == "fork" and sys.platform != "linux":
        pytest.skip("forks are for Linux")
    return request.param


@pytest.fixture
def bert(monkeypatch):
    """Arguments for one small case of PyTorch."""
    pytest.importorskip("torch")
    return {
        "models": ["tiny"],
        "configs": [TINY_BERT],
        "batch_sizes": [2],
        "sequence_lengths": [8],
        "max_time": 0.5,
        "progress": False,
    }


def wait_until_measuring(job):
    deadline = time.monotonic() + 30
    while "measuring" not in job.progress.phase:
        assert time.monotonic() < deadline, f"still {job.progress.phase}"
        time.sleep(0.01)
