"""What the tests share: a backend that misbehaves on demand, small models, and clean-up."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import platformdirs
import psutil
import pytest
from packaging.version import Version

import nbbench
from nbbench.execution.job import any_unfinished
from nbbench.hf import PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments

HERE = Path(__file__).parent
WORKER = 3 if sys.platform == "linux" else 1
"""How many processes a worker is that runs no case: itself, and on Linux two guards."""

WORKER_FOLDER = str(Path(nbbench.__file__).parent / "worker")
"""What the command line of every worker has among its arguments."""

OLDER = pytest.mark.skipif(
    find_spec("transformers") is not None and Version(version("transformers")) < Version("5.23"),
    reason="older versions of Transformers build these types otherwise, or not by themselves",
)

TINY_BERT = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 1000,
}

SMALL_LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 1000,
}


def pytest_configure(config):
    """Let threads of the fast tests sleep while they wait for each other.

    By default they spin, which on a busy machine makes a call ten times as long.
    """
    if "not slow" in config.option.markexpr:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    runtime = tempfile.TemporaryDirectory()  # tests beside these have turns of their own
    os.environ["XDG_RUNTIME_DIR"] = runtime.name
    config.add_cleanup(runtime.cleanup)
    os.environ["NBBENCH_HISTORY"] = "off"  # tests of the history name files of their own
    # Environments stay from one run of the tests to the next; the user's own cache is not theirs.
    os.environ.setdefault("NBBENCH_CACHE", platformdirs.user_cache_dir("nbbench-tests"))


@pytest.fixture(
    params=[
        pytest.param(1, id="in_time", marks=pytest.mark.slow),
        pytest.param(30, id="at_any_pace"),
    ]
)
def patience(request):
    """How many times as long as promised a step may take: a promise is held on quiet machines."""
    return request.param


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
        "faulty = probe_backends.probe:FaultyBackend\n"
    )
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    yield site
    sys.path.remove(str(site))


@pytest.fixture
def shell(probe):
    """An IPython shell that has the extension and knows the probes."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def offline(monkeypatch):
    """Have the hub unreachable, as without a network, so that names of all kinds cost nothing."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.fixture
def unmeasured(monkeypatch):
    """Have benchmarks go their whole way but for the measuring, which measures nothing."""
    nothing = dict.fromkeys(["local", "ray"], lambda plan, is_cancelled: iter(()))
    monkeypatch.setattr("nbbench.api.EXECUTORS", nothing)


@pytest.fixture
def quick_samples(monkeypatch):
    """Sample for half a second at most in `nbbench.hf`, whose arguments have no max_time.

    On a busy machine every time is noisy, and each case would take the default's ten seconds.
    """
    for kind in (PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments):

        def quick(args, configs, original=kind.benchmark_arguments):
            return original(args, configs).model_copy(update={"max_time": 0.5})

        monkeypatch.setattr(kind, "benchmark_arguments", quick)


@pytest.fixture(scope="module")
def backend():
    pytest.importorskip("torch")
    from nbbench.worker.backends.torch import TorchBackend

    made = TorchBackend()
    made.load()
    return made


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


def paths_in(value, path=()):
    """The paths of all that is in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, (dict, list)):
            yield from paths_in(part, (*path, key))


def wait_until(condition, seconds=120):
    """Wait for a condition however long it takes; after ``seconds`` it is a failure."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)
    return found


def worker_processes():
    """The workers of this process, in the order of their starts; other children are not theirs."""
    begun = {}
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # one that has just ended
            if child.status() != psutil.STATUS_ZOMBIE and WORKER_FOLDER in child.cmdline():
                begun[child] = child.create_time()
    return sorted(begun, key=begun.__getitem__)  # numbers of processes begin anew now and then


@contextmanager
def first_benchmark_cancelled():
    """Cancel, from another thread, the first benchmark that is begun in here."""

    def cancel():
        wait_until(any_unfinished)
        nbbench.cancel()

    thread = threading.Thread(target=cancel, daemon=True)
    thread.start()
    yield
    thread.join()


def wait_until_measuring(job):
    wait_until(lambda: "measuring" in job.progress.phase)
