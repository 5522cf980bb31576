"""Ceilings: how they are measured and kept, and what part of them a case reaches."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

import nbbench
from nbbench.machine import kept_ceilings
from nbbench.plan.result import Result
from nbbench.report.roofline import Share
from nbbench.worker import measure_ceilings
from nbbench.worker.backends.torch_gpu import GpuDevice, MpsDevice
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.ceilings import Ceilings
from nbbench.worker.measure_ceilings import (
    asking_seconds,
    buffer_bytes,
    cache_bytes,
    ceilings_of,
    free_memory,
)
from nbbench.worker.prediction import CallCount
from tests.test_cuda import FakeCuda
from tests.test_devices import FakeMps
from tests.test_original_tables import timing

TERA, GIB = 10**12, 2**30
COUNT = {"peak": 10, "operations": 100, "flops": 2 * TERA, "moved": GIB, "read": 10}


FOUND = Ceilings("float32", 1e12, 1e10, 5e-6, 2e-4)


class FakeDevice:
    """A device on which each call takes as long as it says, with other work at times."""

    name = "cpu"

    def __init__(self, disturbed=lambda number: 1.0):
        self.count, self.disturbed = 0, disturbed

    def stopwatch(self, call, times):
        self.count += 1
        return call() * times * self.disturbed(self.count)

    def reference(self):
        return lambda: 2e-4


class FakeWorks:
    """Products of at most 8 TFLOP/s, which small ones do not reach, and 100 GB a second."""

    sizes: tuple = ()

    def product(self, size):
        self.sizes = (*self.sizes, size)
        return lambda: 2 * size**3 / (8 * TERA * min(1, size / 2048))

    def moves(self, buffer, part):
        assert buffer >= 64 << 20
        assert buffer % part == 0
        return [(lambda: part / 60e9, part), (lambda: part / 100e9, part)]

    def tiny(self):
        return lambda: 24 * 5e-6, 24


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(measure_ceilings, "_LEAST_S", 0.001)


@pytest.mark.parametrize(
    "disturbed",
    [
        lambda number: 1.0,
        lambda number: 1.0 if number % 3 else 40.0,
        lambda number: 1.0 + number % 7 / 3,
        lambda number: 1.0 if number % 25 == 0 else 3.0 + number % 5,
    ],
)
def test_the_best_that_several_samples_agree_on_is_found_whatever_else_runs(quickly, disturbed):
    works = FakeWorks()
    found = ceilings_of(FakeDevice(disturbed), works, "float32")
    assert found.flops_per_s == pytest.approx(8 * TERA, rel=0.03)
    assert found.bytes_per_s == pytest.approx(100e9, rel=0.03)
    assert found.operation_s == pytest.approx(5e-6, rel=0.03)
    assert found.reference_s == pytest.approx(2e-4, rel=0.03)
    assert max(works.sizes) >= 2048


def test_sizes_end_where_larger_products_are_no_faster(quickly):
    works = FakeWorks()
    ceilings_of(FakeDevice(), works, "float32")
    assert works.sizes[-3:] == (2048, 3072, 4096)


def caches(root, sharing, size, level=3):
    """Write what the system says of a cache that so many processors share."""
    for processor in sharing:
        folder = root / f"sys/devices/system/cpu/cpu{processor}/cache/index{level}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "size").write_text(f"{size >> 10}K\n")
        (folder / "shared_cpu_list").write_text(",".join(map(str, sharing)) + "\n")


def test_the_last_caches_of_all_chips_count_once_each_and_of_threads_as_many_as_they_use(
    tmp_path, monkeypatch
):
    usable = set(range(12))
    monkeypatch.setattr(measure_ceilings.os, "sched_getaffinity", lambda _: usable, raising=False)
    assert cache_bytes(root=tmp_path) == 32 << 20  # the system says nothing
    for chip in range(4):
        caches(tmp_path, range(4 * chip, 4 * chip + 4), (32 + chip) << 20)
    for processor in usable:
        caches(tmp_path, [processor], 1 << 20, level=2)
    assert cache_bytes(root=tmp_path) == (32 + 33 + 34) << 20  # the last chip is not usable
    assert cache_bytes(2, tmp_path) == (34 + 33) << 20
    assert cache_bytes(64, tmp_path) == cache_bytes(root=tmp_path)


@pytest.mark.parametrize(
    ("caches", "free", "size"),
    [
        (32 << 20, 1 << 40, 256 << 20),
        (12 * (32 << 20), 1 << 40, 3 << 30),
        (12 * (32 << 20), 8 << 30, 1 << 30),  # an eighth of what is free
        (1 << 20, 1 << 40, 64 << 20),
        (32 << 20, 0, 64 << 20),
        (2 << 30, 1 << 40, 4 << 30),
    ],
)
def test_a_buffer_is_beyond_all_caches_and_within_the_free_memory(caches, free, size):
    assert buffer_bytes(caches, free) == size


def test_the_free_memory_is_the_containers_where_that_has_less(tmp_path):
    assert free_memory(tmp_path) >= buffer_bytes(1 << 30, 1 << 40)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   4194304 kB\n")
    assert free_memory(tmp_path) == 4 << 30
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(str(3 << 30))
    (group / "memory.current").write_text(str(1 << 30))
    assert free_memory(tmp_path) == 2 << 30


def test_a_device_without_a_reference_kernel_has_ceilings_too(quickly):
    device = FakeDevice()
    device.reference = lambda: None
    assert ceilings_of(device, FakeWorks(), "float32").reference_s is None


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def probe_run(log, **config):
    return nbbench.run(
        "p", configs=[{"model_type": "probe", "count": COUNT, "ceilings_log": str(log), **config}],
        frameworks=["probe"], batch_sizes=[1], sequence_lengths=[8], rounds=1, max_time=0.1,
        ceilings=True, progress=False,
    )  # fmt: skip


def test_they_are_measured_once_a_day(probe, cache, tmp_path, monkeypatch):
    log = tmp_path / "log"
    first, second = probe_run(log), probe_run(log)
    assert log.read_text() == "measured\n"
    found = [report.results[0].outcome.ceilings for report in (first, second)]
    assert found[0] is not None
    assert found[0] == found[1]
    tomorrow = datetime.date.today() + datetime.timedelta(days=1)
    monkeypatch.setattr(kept_ceilings, "_today", lambda: tomorrow)
    probe_run(log)
    assert log.read_text() == 2 * "measured\n"
    assert list(kept_ceilings.read_ceilings().values()) != [found[0]]
    assert len(kept_ceilings.read_ceilings()) == 1  # yesterday's were dropped


@pytest.mark.parametrize("content", ["", "{", '{"a": 3}', '{"a": {"day": "2026-01-01"}}', "[]"])
def test_a_damaged_file_is_as_good_as_none(cache, content):
    cache.mkdir()
    (cache / "ceilings.json").write_text(content)
    assert kept_ceilings.read_ceilings() == {}
    kept_ceilings.keep_ceilings("key", FOUND)
    assert kept_ceilings.read_ceilings() == {"key": FOUND}
    kept_ceilings.forget_ceilings()
    assert kept_ceilings.read_ceilings() == {}


def test_a_folder_that_cannot_be_written_is_no_problem(cache):
    cache.write_text("a file")
    kept_ceilings.keep_ceilings("key", FOUND)
    assert kept_ceilings.read_ceilings() == {}


def test_a_folder_without_locks_is_no_problem(cache, monkeypatch):
    def fake_lock(file, timeout):  # as older versions of filelock do
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(kept_ceilings, "FileLock", fake_lock)
    kept_ceilings.keep_ceilings("key", FOUND)
    assert kept_ceilings.read_ceilings() == {}


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "cannot be measured (RuntimeError: no such product)"),
        ("die", "exited with code 3"),
    ],
)
def test_where_they_cannot_be_measured_the_case_stays_and_says_why(
    probe, cache, tmp_path, how, reason
):
    report = probe_run(tmp_path / "log", ceilings=how)
    row = report.speed.iloc[0]
    assert row.status == "ok"
    assert row.median_s > 0
    assert row.flops == 2 * TERA
    assert report.speed.of_ceiling.isna().all()
    assert reason in row.reason
    assert "ceilings are missing" in repr(report)
    assert reason in " ".join(repr(report).split())
    assert kept_ceilings.read_ceilings() == {}


def test_they_are_measured_only_where_they_are_asked_for_and_of_use(probe, cache, tmp_path):
    log = tmp_path / "log"
    plain = {"model_type": "probe", "ceilings_log": str(log)}
    arguments = {"frameworks": ["probe"], "sequence_lengths": [8], "rounds": 1, "max_time": 0.1}
    nbbench.run("p", configs=[{**plain, "count": COUNT}], progress=False, **arguments)
    uncounted = nbbench.run("p", configs=[plain], ceilings=True, progress=False, **arguments)
    assert not log.exists()
    assert uncounted.speed[["flops", "tflops", "of_ceiling"]].isna().all(axis=None)
    assert uncounted.speed.bound_by.tolist() == [""]
    assert "what a call does is not counted" in uncounted.speed.reason[0]


def test_a_real_model_has_all_columns_and_they_survive_a_file(bert, cache, tmp_path):
    report = nbbench.run(**bert, threads=1, rounds=1, ceilings=True, device="cpu")
    row = report.speed.iloc[0]
    assert 1e-4 < row.ceiling_tflops < 100
    assert 0.1 < row.ceiling_gib_per_s < 10_000
    assert row.tflops < row.ceiling_tflops
    assert row.bound_by
    assert report.summary["of ceiling"].tolist() == [
        f"{100 * row.of_ceiling:.2g} %, {row.bound_by}"
    ]
    report.save(tmp_path / "x.json")
    assert nbbench.Report.load(tmp_path / "x.json").speed.equals(report.speed)


def share(median_s=1.0, asking_s=None, ceilings=None, **count):
    result = Result(
        Case("pytorch", "m", {}, "given", 1, 8),
        Outcome(
            Status.OK, timing=replace(timing(1.0), median_s=median_s), asking_s=asking_s,
            count=CallCount(**{**COUNT, **count}),
            ceilings=ceilings or Ceilings("float32", 10.0 * TERA, 10.0 * GIB, 1e-4),
        ),
    )  # fmt: skip
    return Share.of(result)


@pytest.mark.parametrize(
    ("given", "of_ceiling", "bound_by"),
    [
        ({"flops": 8 * TERA}, 0.8, "compute"),
        ({"flops": TERA, "moved": 9 * GIB}, 0.9, "memory"),
        ({"flops": 8 * TERA, "median_s": 2.0}, 0.4, "compute"),
        ({"flops": TERA, "moved": 10.4 * GIB}, 1.04, "memory"),  # as far as ceilings repeat
        ({"flops": TERA, "moved": 40 * GIB}, 0.1, "caches"),
        ({"flops": 7 * TERA, "moved": 40 * GIB}, 0.7, "compute"),
        ({"operations": 6000}, 0.2, "launches"),
        ({"operations": 4000, "flops": 5 * TERA}, 0.5, "compute"),
        ({"operations": 4000}, 0.2, "launches"),  # the largest part that is known of
        ({"operations": 1000}, 0.2, "compute"),
        ({"operations": 6000, "asking_s": 0.5}, 0.2, "compute"),  # a GPU works meanwhile
        ({"operations": 10, "asking_s": 0.95}, 0.2, "launches"),
    ],
)
def test_what_bounds_a_case(given, of_ceiling, bound_by):
    found = share(**given)
    assert found.of_ceiling == pytest.approx(of_ceiling)
    assert found.bound_by == bound_by


def test_of_a_case_that_neither_computes_nor_moves_nothing_is_claimed():
    found = share(flops=0, moved=0)
    assert (found.of_ceiling, found.bound_by, found.intensity) == (None, "", None)


@pytest.mark.parametrize("values", [(0, 1, 1), (1, -1, 1), (1, 1, float("nan"))])
def test_a_ceiling_is_a_positive_number(values):
    with pytest.raises(ValueError, match="positive"):
        Ceilings("float32", *values)


def test_asking_a_gpu_is_timed_until_the_call_returns(monkeypatch):
    from types import SimpleNamespace

    cuda, moment = FakeCuda(), [0.0]

    def call():
        cuda.log.append("call")
        moment[0] += 0.25

    def wait(*_):
        cuda.log.append("synchronize")
        moment[0] += 7  # the GPU's own time, which is none of asking's

    cuda.synchronize = wait
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"))
    device = GpuDevice(torch, 0)
    monkeypatch.setattr("time.perf_counter", lambda: moment[0])
    cuda.log.clear()
    assert device.asking_s(call) == 0.25
    assert cuda.log == ["synchronize", "call", "synchronize"]
    assert asking_seconds(device, call) == 0.25
    assert asking_seconds(FakeDevice(), call) is None
    mps = SimpleNamespace(mps=FakeMps())
    mps.mps.synchronize = wait
    assert MpsDevice(mps).asking_s(call) == 0.25
