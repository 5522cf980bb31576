"""Other GPUs than NVIDIA's, by stand-ins for what PyTorch has of them: none of them was met yet."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.worker.backend import Unsupported
from nbbench.worker.backends.torch_devices import open_device
from nbbench.worker.backends.torch_gpu import GpuDevice, MpsDevice
from tests.test_cuda import MIB, FakeCuda


class FakeMps:
    """Work that is asked for is done when it is waited for, a millisecond later."""

    def __init__(self):
        self.allocated = 0

    def synchronize(self):
        time.sleep(0.001)

    def empty_cache(self):
        pass

    def current_allocated_memory(self):
        return self.allocated

    def driver_allocated_memory(self):
        return self.allocated + MIB


def fake_torch(cuda=0, xpu=0, mps=False, hip=None):
    found = FakeMps()
    return SimpleNamespace(
        cuda=FakeCuda(devices=cuda),
        xpu=FakeCuda(devices=xpu),
        mps=found,
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        version=SimpleNamespace(cuda=None if hip else "13.0", hip=hip),
        zeros=lambda *_, device: None,
    )


@pytest.mark.parametrize(
    ("there", "wanted", "name"),
    [
        ({"xpu": 1}, "auto", "xpu:0"),
        ({"xpu": 2}, "xpu:1", "xpu:1"),
        ({"mps": True}, "auto", "mps"),
        ({"mps": True, "xpu": 1}, "mps", "mps"),
        ({"cuda": 1, "xpu": 1}, "auto", "cuda:0"),
        ({"mps": True}, "cpu", "cpu"),
        ({"cuda": 1, "hip": "6.2"}, "cuda", "cuda:0"),
    ],
)
def test_the_device_is_the_one_that_was_asked_for(there, wanted, name):
    assert open_device(fake_torch(**there), wanted).name == name


def test_on_a_processor_pytorch_computes_in_the_thread_that_calls_it():
    assert open_device(fake_torch(), "cpu").computes_in_caller


@pytest.mark.parametrize(
    ("there", "wanted", "sentence"),
    [
        ({}, "xpu", "sees no Intel GPU"),
        ({}, "mps", "sees no Apple GPU"),
        ({"xpu": 1}, "xpu:1", "sees 1 of them"),
        ({"hip": "6.2"}, "cuda", "sees no CUDA device"),
    ],
)
def test_a_device_that_is_not_there_is_unsupported(there, wanted, sentence):
    with pytest.raises(Unsupported, match=sentence):
        open_device(fake_torch(**there), wanted)


def test_an_intel_gpu_is_timed_by_events_and_its_peak_is_the_allocators():
    torch = fake_torch(xpu=1)
    device = GpuDevice(torch, 0, "xpu")
    marks = device.marks()
    for at in (0, 5, 12):
        torch.xpu.now_ms = at
        marks.mark()
    assert marks.seconds() == pytest.approx([0.005, 0.007])
    device.memory.before_model()
    torch.xpu.allocate(10 * MIB)
    device.memory.after_model()
    device.memory.start()
    torch.xpu.allocate(4 * MIB)
    torch.xpu.allocate(-4 * MIB)
    profile = device.memory.stop(parameters=None)
    assert (profile.weights, profile.activations) == (10 * MIB, 4 * MIB)
    assert profile.method == "XPU allocator"


def test_only_nvidias_driver_is_asked_by_a_uuid():
    assert GpuDevice(fake_torch(cuda=1), 0).gpu_uuid == "GPU-fa4e"
    assert GpuDevice(fake_torch(cuda=1, hip="6.2"), 0).gpu_uuid is None
    assert GpuDevice(fake_torch(xpu=1), 0, "xpu").gpu_uuid is None


def test_an_apple_gpu_is_waited_for_and_its_peak_is_what_was_seen():
    torch = fake_torch(mps=True)
    device = MpsDevice(torch)
    assert device.stopwatch(lambda: None, 1) >= 0.001  # the work is done, and not only asked for
    marks = device.marks()
    marks.mark()
    marks.mark()
    assert marks.seconds()[0] >= 0.001
    device.memory.before_model()
    torch.mps.allocated = 10 * MIB
    device.memory.after_model()
    device.memory.start()
    torch.mps.allocated = 16 * MIB
    time.sleep(0.05)
    torch.mps.allocated = 10 * MIB
    profile = device.memory.stop(parameters=None)
    assert (profile.weights, profile.activations) == (10 * MIB, 6 * MIB)
    assert profile.reserved == 11 * MIB


@pytest.mark.parametrize("device", ["xpu", "xpu:1", "mps", "cuda:3"])
def test_they_can_be_asked_for(device):
    assert nbbench.BenchmarkArguments(models=["m"], device=device).device == device


@pytest.mark.parametrize("device", ["mps:1", "rocm", "xpu:x"])
def test_and_others_not(device):
    with pytest.raises(nbbench.ArgumentError, match="is not one of auto, cpu, cuda"):
        nbbench.BenchmarkArguments(models=["m"], device=device)
