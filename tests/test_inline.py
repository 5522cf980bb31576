"""Isolation none: cases in this very process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

import nbbench
from nbbench.execution.this_kernel import _interrupt
from nbbench.worker.processors import default_threads
from tests.conftest import wait_until, wait_until_measuring


def run(*configs, **arguments):
    arguments = {"frameworks": "probe", "sequence_lengths": [8], "batch_sizes": [1],
                 "max_time": 0.1, "isolation": "none", "progress": False, **arguments}  # fmt: skip
    return nbbench.run(configs=[{"model_type": "x", **config} for config in configs], **arguments)


def test_cases_run_here_and_failures_are_rows(probe):
    report = run({}, {"build": "raise"}, {"call": "memory_error"}, {"call": "unsupported"})
    assert report.speed.status.tolist() == ["ok", "error", "oom", "unsupported"]
    assert not report.environment["probe"]["own_process"]


def test_memory_counts_what_this_process_holds(probe):
    held = bytearray(b"\1" * (256 << 20))
    report = run({"hold_mib": 32})
    assert report.memory.baseline_mib[0] > 256
    assert report.memory.weights_mib[0] == pytest.approx(32, abs=4)
    del held


def test_a_framework_that_is_not_here_is_told(probe):
    report = run({}, frameworks="missing")
    assert report.speed.status.tolist() == ["unsupported"]
    assert "a_framework_that_nobody_has is not installed in this process" in report.speed.reason[0]


def test_a_case_that_takes_too_long_is_interrupted(probe):
    report = run({"call": "wait", "wait_s": 1.5}, {}, timeout=2)
    assert report.speed.status.tolist() == ["timeout", "ok"]
    assert "took longer than 2 s; raise timeout" in report.speed.reason[0]


def test_nothing_is_measured_beside_a_case_that_cannot_be_stopped(probe):
    report = run({"call": "wait", "wait_s": 20.0}, {}, timeout=3)
    assert report.speed.status.tolist() == ["timeout", "error"]
    assert "could not be stopped and still runs in this process" in report.speed.reason[1]
    assert run({}).speed.status.tolist() == ["error"]  # in another benchmark, too
    wait_until(lambda: "nbbench-case" not in {each.name for each in threading.enumerate()}, 30)
    assert run({}).speed.status.tolist() == ["ok"]


class Swallows:
    """A call in whose finalizers the first interrupt is lost."""

    def __del__(self):
        time.sleep(0.2)


def test_an_interrupt_that_was_lost_comes_again():
    began = threading.Event()

    def call():
        kept = [Swallows() for _ in range(3)]
        began.set()
        while True:
            if kept:
                kept.pop()
            time.sleep(0.01)

    def target():
        with contextlib.suppress(KeyboardInterrupt):
            call()

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    began.wait()
    _interrupt(thread)
    assert not thread.is_alive()


def test_cancelling_interrupts_what_runs_and_leaves_the_rest(probe, patience):
    from nbbench.api import start
    from nbbench.arguments.schema import BenchmarkArguments

    waiting = {"model_type": "x", "call": "wait", "wait_s": 0.1}
    arguments = BenchmarkArguments(
        configs=[waiting, {**waiting, "n": 2}], frameworks="probe", sequence_lengths=[8],
        isolation="none", precision=1e-9, rounds=1,
    )  # fmt: skip
    job = start(arguments)
    wait_until_measuring(job)
    job.cancel()
    assert job.wait(5 * patience)
    assert job.report().speed.status.tolist() == ["cancelled", "skipped"]
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "nbbench-case"])


def test_another_environment_is_refused():
    with pytest.raises(nbbench.ArgumentError, match="isolation none runs cases in this process"):
        run({}, environments="/usr/bin/python3")


def test_torch_is_imported_only_where_it_is_asked_for():
    pytest.importorskip("torch")
    code = """
import os, sys, nbbench
for isolation in ("auto", "none"):
    report = nbbench.run("bert-tiny", batch_sizes=[1], sequence_lengths=[8], max_time=0.1,
                         isolation=isolation, progress=False, device="cpu")
    print(report.speed.status.tolist(), "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.splitlines() == ["['ok'] False", "['ok'] True"], done.stderr


def test_threads_are_the_default_again_after_a_run_that_set_them():
    pytest.importorskip("torch")
    default = default_threads()  # other tests may have set PyTorch's own
    said = []
    for threads in (None, 1, None):
        report = nbbench.run("bert-tiny", batch_sizes=[1], sequence_lengths=[8], max_time=0.1,
                             isolation="none", threads=threads, progress=False)  # fmt: skip
        said.append(report.environment["pytorch"]["threads"])
    assert said == [default, 1, default]
