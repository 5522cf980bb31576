"""The instrument is right: known memory, known time, and another instrument beside it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading

import pytest

import nbbench
from nbbench.worker.resident import Polling
from nbbench.worker.runnable import computing_seconds
from tests.conftest import TINY_BERT

pytestmark = pytest.mark.usefixtures("probe")

MIB = 2**20
LONG = (pytest.mark.slow, pytest.mark.newest)


def one_probe(isolation="auto", **config):
    report = nbbench.run(
        frameworks=["probe"],
        configs=[{"model_type": "probe", **config}],
        sequence_lengths=[8],
        max_time=1.0,
        isolation=isolation,
        progress=False,
    )
    assert report.speed.status.tolist() == ["ok"], report.speed.reason[0]
    return report


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is Linux's")
@pytest.mark.parametrize("mib", [64, 256, pytest.param(1024, marks=LONG)])
def test_memory_touched_for_a_moment_is_seen_to_a_mebibyte(mib, isolation):
    memory = one_probe(isolation, call="touch", touch_mib=mib).memory.iloc[0]
    assert memory.method == "high-water mark"
    assert memory.activations_mib == pytest.approx(mib, abs=1)


@pytest.mark.parametrize("mib", [64, 256])
def test_memory_held_by_the_model_is_its_weights(mib, isolation):
    memory = one_probe(isolation, hold_mib=mib).memory.iloc[0]
    assert memory.weights_mib == pytest.approx(mib, abs=1)
    assert memory.activations_mib == pytest.approx(0, abs=1)


@pytest.mark.slow  # what polls may miss the peak unless a core is free for it
@pytest.mark.newest
def test_where_the_mark_does_not_work_memory_is_polled_and_says_so():
    memory = one_probe(call="touch", touch_mib=512, poll=True).memory.iloc[0]
    assert memory.method == "polling at 5 ms"
    assert memory.activations_mib == pytest.approx(512, rel=0.1)


def test_polling_ends_at_the_next_start_and_with_what_is_watched():
    before = set(threading.enumerate())
    polling = Polling(lambda: 7)
    for _ in range(2):  # as after a call that raised, which nothing has stopped
        polling.start()
        (thread,) = set(threading.enumerate()) - before
    assert polling.stop() == 7
    assert not thread.is_alive()
    polling.start()
    (thread,) = set(threading.enumerate()) - before
    del polling
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize(("call", "least", "most"), [("wait", 0.0, 0.4), ("compute", 0.7, 1.0)])
def test_whether_calls_wait_or_compute_is_seen(call, least, most):
    report = one_probe(call=call, wait_s=0.02)
    parts = [visit.computing for visit in report.results[0].outcome.timing.visits]
    assert least <= statistics.median(parts) <= most


@pytest.mark.parametrize(
    ("runnable", "caller", "seconds"),
    [
        ({1: 5.0}, 1, 5.0),
        ({1: 5.0, 2: 5.0, 3: 5.5}, 1, 5.0),  # threads of one operation, beside each other
        ({1: 5.0, 2: 0.1}, 1, 5.0),
        ({1: 1.0, 2: 5.0, 3: 3.0}, 1, 9.0),  # it waits for a pool, whose threads may take turns
        ({1: 5.0, 2: 5.0, 3: 4.0}, None, 14.0),
        ({2: 5.0}, 1, 5.0),
        ({}, 1, 0.0),
    ],
)
def test_a_caller_that_computes_does_so_for_no_longer_than_itself(runnable, caller, seconds):
    assert computing_seconds(runnable, caller) == seconds


@pytest.mark.slow  # not long, but it wants a quiet machine
@pytest.mark.parametrize("milliseconds", [5, 20, 100])
def test_a_known_wait_is_recovered(milliseconds):
    timing = one_probe(call="wait", wait_s=milliseconds / 1e3).speed.iloc[0]
    assert timing.median_s == pytest.approx(milliseconds / 1e3, rel=0.02)


def torch_probe(amounts, **arguments):
    pytest.importorskip("torch")
    runs = {
        amount: nbbench.run(
            "tiny",
            frameworks=["torch_probe"],
            configs=[TINY_BERT],
            batch_sizes=[2],
            sequence_lengths=[8],
            seed=amount,
            device="cpu",
            progress=False,
            **arguments,
        )
        for amount in amounts
    }
    assert all(run.speed.status[0] == "ok" for run in runs.values()), runs
    return runs


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is Linux's")
def test_memory_touched_inside_a_forward_pass_of_pytorch_is_recovered():
    runs = torch_probe([0, 64, 256, 1024], max_time=0.5)
    without = runs.pop(0).memory.activations_mib[0]
    for mib, run in runs.items():
        seen = run.memory.activations_mib[0] - without
        assert seen == pytest.approx(mib, abs=max(1, mib / 100))


@pytest.mark.slow
def test_a_wait_inside_a_forward_pass_of_pytorch_is_recovered():
    # The pass only waits, since a model's own time differs by more than 0.1 ms from case to case;
    # and it waits some ms longer than another, since waking up takes some of its own.
    runs = torch_probe([-5, -10, -25, -105])
    least = runs.pop(-5).speed.median_s[0]
    for amount, run in runs.items():
        longer = run.speed.median_s[0] - least
        assert longer == pytest.approx((-amount - 5) / 1e3, rel=0.02)


INTERLEAVED = """
import json, statistics, sys
import torch
from torch.utils.benchmark import Timer
from transformers import BertConfig, BertModel
from nbbench.worker.measure import block_size, quiet_collector, wall_stopwatch

hidden, length = map(int, sys.argv[1:])
torch.manual_seed(0)
config = BertConfig(hidden_size=hidden, num_hidden_layers=2, num_attention_heads=2)
model = BertModel(config).eval()
ids = torch.randint(1000, (2, length))

def call():
    with torch.inference_mode():
        return model(ids)

threads = torch.get_num_threads()
timer = Timer("call()", globals={"call": call}, num_threads=threads)
stopwatch = wall_stopwatch()
for _ in range(10):
    call()
calls = max(block_size(timer.timeit(10).median), 5)

def ours():
    stopwatch(call, 2)  # the timer makes two calls first, too
    return stopwatch(call, calls) / calls

def theirs():
    return timer.timeit(calls).median

ratios = []
with quiet_collector():
    for turn in range(100):  # each pair in the other order than the last
        first, second = (ours, theirs) if turn % 2 else (theirs, ours)
        a, b = first(), second()
        ratios.append(a / b if turn % 2 else b / a)
print(json.dumps(statistics.median(ratios)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "length"), [(64, 8), (256, 64), (512, 128)])
def test_times_agree_with_those_of_torch_utils_benchmark(hidden, length):
    pytest.importorskip("torch")
    command = [sys.executable, "-c", INTERLEAVED, str(hidden), str(length)]
    ratio = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"ours / torch.utils.benchmark: {ratio:.4f}")
    assert ratio == pytest.approx(1, abs=0.02)
