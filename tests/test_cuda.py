"""CUDA: against a fake driver everywhere, and on a GPU where there is one (marked gpu)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.keras import KerasTorchBackend
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.backends.torch_errors import is_out_of_memory
from nbbench.worker.backends.torch_gpu import GpuDevice
from nbbench.worker.case import Case
from nbbench.worker.messages import RunCase
from nbbench.worker.run_case import run_case
from tests.conftest import TINY_BERT

MIB = 2**20


def compiled_driver(tmp_path_factory, *options):
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("the fake driver is compiled, for Linux")
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_nvml.c")
    library = folder / "libnvidia-ml.so.1"
    command = ["cc", *options, "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def fake_driver(tmp_path_factory):
    """A folder with a library that answers as an NVIDIA driver would."""
    return compiled_driver(tmp_path_factory)


@pytest.fixture(scope="module")
def renaming_driver(tmp_path_factory):
    """One that knows throttle reasons by their new name alone."""
    return compiled_driver(tmp_path_factory, "-DRENAMED")


@pytest.fixture(scope="module")
def old_driver(tmp_path_factory):
    """One that lacks the functions that a driver may lack."""
    return compiled_driver(tmp_path_factory, "-DOLD")


def with_driver(folder, code, **environment):
    variables = {**os.environ, "LD_LIBRARY_PATH": str(folder), **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_drivers_figure_for_this_process_is_found_by_uuid(fake_driver):
    code = """
import json, os
from nbbench.worker.nvml import process_bytes
print(json.dumps([process_bytes("GPU-fa4e", os.getpid()), process_bytes("GPU-other", os.getpid()),
                  process_bytes("GPU-fa4e", 3)]))
"""
    assert with_driver(fake_driver, code) == [1234 * MIB, None, None]


def test_without_a_driver_the_figure_is_missing():
    from nbbench.worker.nvml import process_bytes

    if shutil.which("nvidia-smi"):
        pytest.skip("there is a driver")
    assert process_bytes("GPU-fa4e", os.getpid()) is None


@pytest.mark.parametrize(
    ("visible", "number"),
    [(None, 2), ("0", 1), ("1,0", 2), ("GPU-fa4e", 1), ("", 0), ("-1", 0), ("0,-1,1", 1), ("7", 0)],
)
def test_the_gpus_that_may_be_used_are_those_that_cuda_sees(fake_driver, visible, number):
    code = """
import json
from nbbench.hf import PyTorchBenchmarkArguments, TensorFlowBenchmarkArguments
from nbbench.machine.machine import describe_machine
one, other = PyTorchBenchmarkArguments(), TensorFlowBenchmarkArguments(device_idx=1)
print(json.dumps([describe_machine().num_gpus, one.n_gpu, one.is_gpu, one.device,
                  one.device_idx, one.is_tpu, other.gpu_list, other.strategy,
                  PyTorchBenchmarkArguments(cuda=False).n_gpu]))
"""
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    names = [f"/physical_device:GPU:{number}" for number in range(number)]
    device, strategy = ("cuda:0", "/gpu:1") if number else ("cpu", "/cpu:1")
    assert with_driver(fake_driver, code, **environment) == [
        number, number, number > 0, device, 0, False, names, strategy, 0,
    ]  # fmt: skip


BY_THE_BUS, ALIKE = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, {"FAKE_GPUS_ALIKE": "1"}
FIRST, SECOND = "GPU-510w", "GPU-fa4e"


@pytest.mark.parametrize(
    ("visible", "environment", "uuids"),
    [
        (None, ALIKE, [FIRST, SECOND]),
        (None, BY_THE_BUS, [FIRST, SECOND]),
        (None, {}, [None, None]),  # CUDA takes one of them to be faster
        ("1,0", ALIKE, [SECOND, FIRST]),
        ("1", BY_THE_BUS, [SECOND]),
        ("1", {}, [None]),
        ("GPU-fa4e", {}, [SECOND]),
        ("GPU-f,GPU-5", {}, [SECOND, FIRST]),
        ("GPU-f,GPU-x,GPU-5", {}, [SECOND]),
        ("GPU-", {}, []),  # which may be either
        ("MIG-abc", {}, ["MIG-abc"]),
    ],
)
def test_gpus_that_may_be_used_are_known_by_uuid(fake_driver, visible, environment, uuids):
    code = """
import json
from nbbench.execution.turn import device_name
from nbbench.machine.gpus import visible_gpus
print(json.dumps([visible_gpus(), device_name("auto")]))
"""
    if visible is not None:
        environment = {**environment, "CUDA_VISIBLE_DEVICES": visible}
    found, name = with_driver(fake_driver, code, **environment)
    assert found == uuids
    first = uuids[0] if uuids else None
    unknown = f"cuda:{visible or 0}"  # by CUDA's own number
    assert name == ("cpu" if not uuids else unknown if first is None else f"gpu {first}")


def test_the_gpu_that_a_case_ran_on_is_described_by_its_uuid(fake_driver):
    code = """
import json
from nbbench.machine.gpus import describe_gpu
from dataclasses import asdict
print(json.dumps([asdict(describe_gpu(f"GPU-{name}")) for name in ("fa4e", "510w", "0")]))
"""
    # CUDA's first GPU need not be NVML's: nothing may go by CUDA's numbers
    told, slow, unknown = with_driver(fake_driver, code, CUDA_VISIBLE_DEVICES="0")
    assert told == {
        "gpu": "Fake GPU", "gpu_ram_mb": 80 * 1024, "gpu_power_watts": 700,
        "gpu_performance_state": "P2", "gpu_clock_sm_mhz": 1980, "gpu_clock_sm_max_mhz": 2000,
        "gpu_clock_memory_mhz": 2619, "gpu_temperature_c": 67, "gpu_throttle_reasons": "none",
        "gpu_persistence": True, "gpu_driver": "580.1", "gpu_driver_cuda": "13.1",
    }  # fmt: skip
    assert slow["gpu"] == "Slow GPU"
    assert slow["gpu_throttle_reasons"] == "power cap, heat, by hardware"
    assert slow["gpu_persistence"] is False
    assert set(unknown.values()) == {None}


def test_a_case_tells_which_gpu_it_runs_on(fake_driver, probe):
    code = """
import json, sys, nbbench
sys.path.insert(0, sys.argv[1])
report = nbbench.run("m", configs=[{"model_type": "x", "gpu_uuid": "GPU-fa4e"}],
                     frameworks="probe", max_time=0.1, progress=False)
facts = report.environment["probe"]
print(json.dumps([report.speed.status.tolist(), facts["gpu"], "fa4e" in str(facts.to_dict())]))
"""
    code = code.replace("sys.argv[1]", repr(str(probe)))
    assert with_driver(fake_driver, code) == [["ok"] * 4, "Fake GPU", False]


STATES = """
import json
from dataclasses import asdict
from nbbench.worker.nvml import watched
states = []
for name in ("GPU-fa4e", "GPU-510w", "GPU-other", None):
    with watched(name) as read:
        state = read()
        states.append(None if state is None else asdict(state))
print(json.dumps(states))
"""


@pytest.mark.parametrize("driver", ["fake_driver", "renaming_driver"])
def test_a_gpus_state_is_its_clock_temperature_and_why_it_is_lowered(driver, request):
    good, hot, *unknown = with_driver(request.getfixturevalue(driver), STATES)
    assert good == {"clock_mhz": 1980, "temperature_c": 67, "throttle": []}
    assert hot["throttle"] == ["power cap", "heat, by hardware"]
    assert unknown == [None, None]


def test_what_a_driver_lacks_is_missing(old_driver):
    good, *_ = with_driver(old_driver, STATES)
    assert good == {"clock_mhz": 1980, "temperature_c": None, "throttle": None}


THROTTLED = """
import json, sys, nbbench
sys.path.insert(0, {site!r})
names = ["GPU-fa4e", "GPU-510w", "GPU-other"]
configs = [{{"model_type": "x", "gpu_uuid": name}} for name in names]
report = nbbench.run(*names, configs=configs, frameworks="probe", sequence_lengths=[8],
                     max_time=0.1, progress=False)
report.save({file!r})
speed = nbbench.Report.load({file!r}).speed
columns = ["throttled", "gpu_clock_before_mhz", "gpu_clock_after_mhz", "gpu_temperature_after_c"]
print(json.dumps([json.loads(speed[columns].to_json(orient="values")),
                  speed.throttle_reasons.tolist(), str(report), report._repr_html_()]))
"""


def test_a_case_says_whether_its_gpu_was_throttled(fake_driver, probe, tmp_path):
    code = THROTTLED.format(site=str(probe), file=str(tmp_path / "x.nbbench.json"))
    values, reasons, text, html = with_driver(fake_driver, code)
    assert values == [[False, 1980, 1980, 67], [True, 1980, 1980, 67], [None] * 4]
    assert reasons == ["", "power cap, heat, by hardware", ""]
    assert text.count("throttled") == 1
    assert html.count("clock was lowered (power cap, heat, by hardware)") == 1


def test_where_the_driver_lacks_them_throttle_reasons_are_missing(old_driver, probe, tmp_path):
    code = THROTTLED.format(site=str(probe), file=str(tmp_path / "x.nbbench.json"))
    values, _, text, _ = with_driver(old_driver, code)
    assert values[1] == [None, 1980, 1980, None]
    assert "throttled" not in text


CONDITIONS = """
import json
from nbbench.machine import gpus
from nbbench.machine.health import findings
from nbbench.machine.load import Load
from nbbench.machine.machine import MachineFacts
from dataclasses import asdict
gpus._sees_all_pids = lambda: {sees}
conditions = gpus.visible_conditions()
found = findings(MachineFacts(), Load(0.0, (), None, None), None, conditions)
print(json.dumps([[asdict(each) for each in conditions], gpus.other_processes(conditions),
                  {{each.check: [each.level.value, each.sentence] for each in found}}]))
"""


def test_the_doctor_finds_throttling_and_other_processes_on_a_gpu(fake_driver):
    (slow, fast), others, found = with_driver(fake_driver, CONDITIONS.format(sees=True))
    assert slow["processes"] == []
    assert [process["own"] for process in fast["processes"]] == [False, True]
    assert others == 1
    level, sentence = found["Slow GPU clock"]
    assert level == "bad"
    assert "power cap, heat, by hardware" in sentence
    assert found["Fake GPU clock"][0] == "ok"
    assert found["Fake GPU processes"][0] == "bad"
    assert "pid 1" in found["Fake GPU processes"][1]
    assert found["Slow GPU persistence"][0] == "could be steadier"


def test_in_a_container_a_gpus_processes_are_unknown_but_that_it_is_busy_is_not(fake_driver):
    (slow, fast), others, found = with_driver(fake_driver, CONDITIONS.format(sees=False))
    assert slow["processes"] is fast["processes"] is others is None
    assert "busy 55 % of the time" in found["Slow GPU processes"][1]
    assert found["Fake GPU processes"][0] == "unknown"


def test_what_an_old_driver_lacks_is_unknown_to_the_doctor(old_driver):
    _, _, found = with_driver(old_driver, CONDITIONS.format(sees=True))
    assert found["Slow GPU clock"][0] == found["Slow GPU persistence"][0] == "unknown"


FAKE_CUDA = """
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int index) { *device = index + 7; return index > 1 ? 101 : 0; }
int cuDeviceGetUuid(char *uuid, int device) { memset(uuid, device, 16); return 0; }
"""


def test_the_uuid_of_a_gpu_is_asked_of_cuda_by_its_number(tmp_path):
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("the fake CUDA is compiled, for Linux")
    (tmp_path / "fake_cuda.c").write_text(FAKE_CUDA)
    library = str(tmp_path / "libcuda.so.1")
    command = ["cc", "-shared", "-fPIC", "-o", library, str(tmp_path / "fake_cuda.c")]
    subprocess.run(command, check=True)
    code = """
import json
from nbbench.worker.backends.tensorflow_gpu import uuid_of
print(json.dumps([uuid_of(number) for number in range(3)]))
"""
    named = [f"GPU-{n * 4}-{n * 2}-{n * 2}-{n * 2}-{n * 6}" for n in ("07", "08")]
    assert with_driver(tmp_path, code) == [*named, None]


class FakeCuda:
    """As much of torch.cuda as a case takes: a clock and an allocator that tests can set."""

    def __init__(self, devices=1):
        self.devices, self.now_ms, self.allocated, self.peak, self.log = devices, 0.0, 0, 0, []
        self.reserved = 0

    def is_available(self):
        return self.devices > 0

    def device_count(self):
        return self.devices

    def init(self):
        self.log.append("init")

    def set_device(self, index):
        self.log.append(f"device {index}")

    def synchronize(self, *_):
        self.log.append("synchronize")

    def empty_cache(self):
        self.reserved = self.allocated + 2 * MIB

    def Event(self, enable_timing):
        assert enable_timing
        event = SimpleNamespace(at=None)
        event.record = lambda: (self.log.append("record"), setattr(event, "at", self.now_ms))
        event.elapsed_time = lambda end: end.at - event.at
        return event

    def allocate(self, size):
        self.allocated += size
        self.peak = max(self.peak, self.allocated)
        self.reserved = max(self.reserved, self.allocated + 2 * MIB)

    def memory_allocated(self, index):
        return self.allocated

    def reset_peak_memory_stats(self, index):
        self.peak = self.allocated

    def max_memory_allocated(self, index):
        return self.peak

    def memory_reserved(self, index):
        return self.reserved

    def max_memory_reserved(self, index):
        return self.reserved  # none of which is given back

    def get_device_properties(self, index):
        return SimpleNamespace(uuid="fa4e")


def fake_torch(**cuda):
    cuda = FakeCuda(**cuda)
    version = SimpleNamespace(cuda="13.0")
    return SimpleNamespace(cuda=cuda, version=version, zeros=lambda *_, device: cuda.allocate(512))


def test_time_is_between_two_events_read_after_a_synchronize():
    torch = fake_torch()
    device = GpuDevice(torch, 0)

    def call():
        torch.cuda.log.append("call")
        torch.cuda.now_ms += 7

    torch.cuda.log.clear()
    assert device.stopwatch(call, 3) == pytest.approx(0.021)
    assert torch.cuda.log == [
        "synchronize", "record", "call", "call", "call", "record", "synchronize",
    ]  # fmt: skip


def test_memory_is_the_allocators_peak_over_the_calls():
    torch = fake_torch()
    memory = GpuDevice(torch, 0).memory
    memory.before_model()
    torch.cuda.allocate(100 * MIB)
    torch.cuda.allocate(50 * MIB)  # a temporary of building, gone before the calls
    torch.cuda.allocate(-50 * MIB)
    memory.after_model()
    memory.start()
    torch.cuda.allocate(30 * MIB)
    torch.cuda.allocate(-30 * MIB)
    profile = memory.stop(parameters=100 * MIB)
    assert profile.activations == 30 * MIB
    assert profile.peak == profile.weights + profile.activations
    assert profile.reserved == profile.peak + 2 * MIB
    assert profile.method == "CUDA allocator"


class FakeModel:
    """One whose call holds a MiB for 7 ms of the fake GPU's."""

    architecture, dtype, execution, library = "Fake", "float32", "eager", "fake"
    parameter_count, parameter_bytes = 0, 10 * MIB

    def __init__(self, cuda):
        self.cuda = cuda
        cuda.allocate(10 * MIB)

    def call(self):
        self.cuda.allocate(MIB)
        self.cuda.allocate(-MIB)
        self.cuda.now_ms += 7

    def prepare(self):
        return self.call, None

    def training_phases(self):
        return [("forward", self.call)]

    def gradient_bytes(self):
        return None


def fake_layers(torch, _):
    """A reference kernel that holds 6 MiB, its first call 8 for good, and 4 more while it runs."""
    torch.cuda.allocate(6 * MIB)
    workspaces = [8 * MIB]

    def kernel():
        if workspaces:
            torch.cuda.allocate(workspaces.pop())
        torch.cuda.allocate(4 * MIB)
        torch.cuda.allocate(-4 * MIB)
        torch.cuda.now_ms += 0.2

    return kernel


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_the_reference_kernel_counts_for_no_peak(monkeypatch, mode):
    monkeypatch.setattr("nbbench.worker.backends.torch_gpu.torch_layers", fake_layers)
    monkeypatch.setattr("nbbench.worker.backends.torch_gpu.torch_layers_name", lambda _: "fake")
    torch = fake_torch()
    backend = SimpleNamespace(
        import_model=lambda _: None,
        open=lambda _: GpuDevice(torch, 0),
        build=lambda *_: FakeModel(torch.cuda),
    )
    case = replace(case_on("cuda"), mode=mode, max_time=1.0)
    outcome = run_case(backend, RunCase(case), lambda _: None)
    assert outcome.timing.visits[0].references
    assert outcome.memory.peak == outcome.memory.weights + MIB
    assert outcome.memory.activations == MIB
    assert outcome.memory.reserved == outcome.memory.peak + 2 * MIB
    assert outcome.memory.phases.get("forward", outcome.memory.peak) == outcome.memory.peak


class FakeRuntimeException(Exception):
    """As ONNX Runtime's, which is none of Python's own."""

    __module__ = "onnxruntime.capi"


@pytest.mark.parametrize(
    ("error", "ran_out"),
    [
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("HIP out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8 GB"), True),
        (RuntimeError("std::bad_alloc"), True),
        (FakeRuntimeException("Failed to allocate memory for requested buffer of size 4"), True),
        (FakeRuntimeException("Invalid rank for input"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
        (MemoryError(), True),
    ],
)
@pytest.mark.parametrize("is_old", [False, True])  # before 2.5 PyTorch's class was of CUDA alone
def test_memory_that_ran_out_is_known_by_what_errors_say(error, ran_out, is_old):
    own = type("OutOfMemoryError", (RuntimeError,), {})
    torch = SimpleNamespace(cuda=SimpleNamespace(OutOfMemoryError=own))
    if not is_old:
        torch.OutOfMemoryError = own
    assert is_out_of_memory(torch, own("any"))
    assert is_out_of_memory(torch, error) is ran_out


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        ("CUDA error: out of memory", "error",
         "device cuda has no memory left to begin with (CUDA error: out of memory); end what else "
         "holds it"),
        ("CUDA error: unknown error", "error",
         "device cuda cannot be used (RuntimeError: CUDA error: unknown error)"),
    ],
)  # fmt: skip
def test_a_gpu_that_cannot_be_used_is_no_fault_of_the_model(message, status, reason):
    def fails(*_, **__):
        raise RuntimeError(message)

    torch = fake_torch()
    torch.zeros = fails
    torch.OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})
    backend = TorchBackend()
    backend.torch, backend.import_model = torch, lambda _: None
    outcome = run_case(backend, RunCase(case_on("cuda")), lambda _: None)
    assert (outcome.status, outcome.reason) == (status, reason)


@pytest.mark.parametrize(
    ("wanted", "devices", "name"), [("auto", 1, "cuda:0"), ("cuda", 1, "cuda:0"),
                                    ("cuda:1", 2, "cuda:1"), ("cpu", 2, "cpu"), ("auto", 0, "cpu")]
)  # fmt: skip
def test_the_device_is_the_one_that_was_asked_for(wanted, devices, name):
    backend = TorchBackend()
    backend.torch = fake_torch(devices=devices)
    assert backend.open(case_on(wanted)).name == name


@pytest.mark.parametrize(("wanted", "devices"), [("cuda", 0), ("cuda:2", 2)])
def test_a_device_that_is_not_there_is_unsupported(wanted, devices):
    backend = TorchBackend()
    backend.torch = fake_torch(devices=devices)
    with pytest.raises(Unsupported, match=f"device {wanted} was asked for, but PyTorch"):
        backend.open(case_on(wanted))


LOOKED_FOR = """
import json, torch
looked, begun = [], []
def stand_in_for_is_available():
    (looked if torch.cuda._nvml_based_avail() else begun).append(1)
    return False
torch.cuda.is_available = stand_in_for_is_available
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
backend = TorchBackend()
backend.load()
backend.import_model(Case("pytorch", "m", {"model_type": "mamba"}, "given", 1, 8))
import os, sys
print(json.dumps([len(looked) > 0, "torchao" in sys.modules, len(begun),
                  "PYTORCH_NVML_BASED_CUDA_CHECK" in os.environ]))
"""


def test_what_is_imported_before_a_fork_looks_for_gpus_and_does_not_begin_with_them(fake_driver):
    pytest.importorskip("torch")
    pytest.importorskip("torchao")
    assert with_driver(fake_driver, LOOKED_FOR) == [True, True, 0, False]


@pytest.mark.parametrize(("forked", "devices", "lost"), [(True, 1, True), (True, 0, False),
                                                         (False, 1, False)])  # fmt: skip
def test_a_fork_has_lost_the_gpus_that_its_parent_had_begun_with(forked, devices, lost):
    backend = TorchBackend()
    backend.torch = fake_torch(devices=devices)
    assert not backend.has_lost_gpus()  # of a PyTorch that does not know
    backend.torch.cuda._is_in_bad_fork = lambda: forked
    assert backend.has_lost_gpus() is lost
    keras = KerasTorchBackend()
    keras._pytorch = backend
    assert keras.has_lost_gpus() is lost


def case_on(device):
    return Case("pytorch", "tiny", TINY_BERT, "given", 1, 8, device=device)


@pytest.mark.gpu
def test_on_a_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    report = nbbench.run("bert-base-uncased", batch_sizes=[8], device="cuda", progress=False)
    assert report.speed.status.tolist() == ["ok"] * 4, report
    assert set(report.speed.device) == {"cuda:0"}
    memory = report.memory
    assert (memory.weights_mib / memory.parameters_mib).between(0.99, 1.05).all()
    assert memory.activations_mib.is_monotonic_increasing
    assert (memory.reserved_mib >= memory.peak_mib).all()
    assert report.speed.median_s.iloc[-1] > report.speed.median_s.iloc[0]
    assert report.environment["pytorch"]["use_gpu"]


@pytest.mark.gpu
def test_running_out_of_a_gpus_memory_is_an_oom_row():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    report = nbbench.run(
        "bert-tiny", batch_sizes=[1, 10_000_000], sequence_lengths=[512], device="cuda"
    )
    assert report.speed.status.tolist() == ["ok", "oom"]


ABOUT_A_GPU = """
import json, os
from dataclasses import asdict
from nbbench.machine.gpus import describe_gpu, visible_conditions, visible_gpus
from nbbench.worker.nvml import process_bytes, watched
uuid = "{uuid}"
with watched(uuid) as read:
    state = read()
print(json.dumps([process_bytes(uuid, os.getpid()), state and asdict(state), len(visible_gpus()),
                  len(visible_conditions()), asdict(describe_gpu(uuid))]))
"""


def test_of_a_driver_without_versioned_functions_figures_are_missing_at_most(tmp_path_factory):
    folder = compiled_driver(tmp_path_factory, "-DANCIENT")
    held, state, visible, conditions, facts = with_driver(
        folder, ABOUT_A_GPU.format(uuid="GPU-fa4e")
    )
    assert held == 1234 * MIB
    assert state["clock_mhz"] == 1980
    assert (visible, conditions) == (0, 0)  # it cannot count them
    assert facts["gpu"] == "Fake GPU"


def test_of_an_instance_of_a_gpu_what_the_driver_does_not_say_is_missing(tmp_path_factory):
    folder = compiled_driver(tmp_path_factory, "-DMIG")
    code = ABOUT_A_GPU.format(uuid="MIG-fa4e")
    held, state, visible, conditions, facts = with_driver(
        folder, code, CUDA_VISIBLE_DEVICES="MIG-fa4e"
    )
    assert held == 1234 * MIB
    assert (state["clock_mhz"], state["temperature_c"]) == (None, 67)
    assert (visible, conditions) == (1, 1)
    assert (facts["gpu"], facts["gpu_clock_sm_mhz"]) == ("Fake GPU", None)
