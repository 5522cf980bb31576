"""One benchmark at a time on a device, and what is shown of others that keep the machine busy."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.execution.executors import EXECUTORS
from nbbench.execution.turn import Turn, device_name
from nbbench.machine import machine
from nbbench.machine.health import busy_sentence
from nbbench.machine.machine import LoadWatch
from nbbench.report.tables import caution
from tests.conftest import wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="the load of others is unknown there")

ARGUMENTS = {"frameworks": ["probe"], "sequence_lengths": [8], "max_time": 0.2}


def model(**call):
    return [{"model_type": "probe", **call}]


@pytest.fixture
def other(probe, tmp_path):
    """A benchmark of another process, which goes on until it is killed."""
    begun = tmp_path / "begun"
    code = (
        "import pathlib, nbbench\n"
        f"arguments = {ARGUMENTS!r}\n"
        "job = nbbench.submit(configs=[{'model_type': 'probe', 'call': 'hang'}], **arguments)\n"
        "while job.progress.current is None: job.wait(0.01)\n"
        f"pathlib.Path({str(begun)!r}).touch()\n"
        "job.wait()\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(probe), *sys.path])}
    process = subprocess.Popen([sys.executable, "-c", code], env=environ)
    try:
        wait_until(begun.exists)
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_benchmark_waits_for_that_of_another_process_and_shows_it(other):
    job = nbbench.submit(configs=model(), **ARGUMENTS)
    wait_until(lambda: job.progress.notices)
    waits = f"waiting for another benchmark on this machine's cpu, process {other.pid}, begun "
    assert re.search(
        re.escape(waits) + r"\d+ s ago \(wait=False, as a flag --no-wait", job.progress.line()
    )
    assert waits in job.progress.notices[0]
    assert not job.done
    other.send_signal(signal.SIGKILL)
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["ok"]
    assert not job.report().environment["probe"]["beside_another"]


def test_no_flag_is_named_where_there_is_none(other):
    shown = []
    with Turn("cpu").taken(lambda: bool(shown), shown.append) as has_come:
        assert not has_come
    assert "waiting for another benchmark" in shown[0]
    assert "--no-wait" not in shown[0]


def test_benchmarks_of_one_process_run_in_the_order_in_which_they_came(probe):
    ended = []
    first = nbbench.submit(configs=model(call="hang"), **ARGUMENTS)
    wait_until(lambda: first.progress.current)
    jobs = [
        nbbench.submit(configs=model(), **ARGUMENTS, on_result=lambda _, n=n: ended.append(n))
        for n in range(6)
    ]
    jobs[2].cancel()
    first.cancel()
    assert all(job.wait(60) for job in jobs)
    assert [number for number in ended if number != 2] == [0, 1, 3, 4, 5]


async def run_in_an_event_loop(**arguments):
    return await nbbench.arun(**arguments)


@pytest.mark.parametrize(
    "within",
    [
        nbbench.run,
        nbbench.predict,
        lambda **arguments: asyncio.run(run_in_an_event_loop(**arguments)),
        lambda progress, **arguments: nbbench.submit(**arguments).wait(),
    ],
)
def test_within_a_benchmark_no_other_can_be_waited_for(probe, within):
    arguments = {"configs": model(), **ARGUMENTS}
    job = nbbench.submit(**arguments, on_result=lambda _: within(**arguments, progress=False))
    assert job.wait(60)
    with pytest.warns(RuntimeWarning, match="within a benchmark, as in its on_result, none can"):
        assert job.report().speed.status.tolist() == ["ok"]


def test_within_a_benchmark_another_can_be_put_in_line(probe):
    arguments, later = {"configs": model(), **ARGUMENTS}, []
    job = nbbench.submit(**arguments, on_result=lambda _: later.append(nbbench.submit(**arguments)))
    assert job.wait(60)
    assert later[0].wait(60)
    assert later[0].report().speed.status.tolist() == ["ok"]


def test_one_whose_thread_comes_late_keeps_its_place():
    early, late = Turn(None), Turn(None)
    early.enter_line()
    came = []

    def take(turn, name):
        with turn.taken(lambda: False, print):
            came.append(name)

    thread = threading.Thread(target=take, args=(late, "late"))
    thread.start()
    take(early, "early")
    thread.join()
    assert came == ["early", "late"]


def test_one_that_is_cancelled_before_its_turn_begins_nothing(probe, monkeypatch):
    first = nbbench.submit(configs=model(call="hang"), **ARGUMENTS)
    wait_until(lambda: first.progress.current)
    measured = []
    monkeypatch.setitem(EXECUTORS, "local", lambda *_: measured.append(True) or iter(()))
    second = nbbench.submit(configs=model(), **ARGUMENTS)
    second.cancel()
    assert second.wait(60)
    assert not first.done
    assert second.report().speed.status.tolist() == ["skipped"]
    first.cancel()
    assert first.wait(60)
    assert not measured


def test_one_that_waits_can_be_cancelled(other):
    job = nbbench.submit(configs=model(), **ARGUMENTS)
    wait_until(lambda: job.progress.notices)
    job.cancel()
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["skipped"]
    assert "another benchmark ran" not in repr(job.report())


def test_without_waiting_it_measures_all_the_same_and_says_so(other):
    report = nbbench.run(configs=model(), **ARGUMENTS, wait=False, progress=False)
    assert report.speed.status.tolist() == ["ok"]
    assert report.environment["probe"]["beside_another"]
    sentence = "another benchmark ran on the same device"
    for shown in (repr(report), report._repr_html_(), report.to_markdown()):
        assert sentence in shown.partition("median" if "median" in shown else "model")[0]


@pytest.mark.parametrize("folder", ["a file", "closed"])
def test_a_folder_that_cannot_be_locked_is_no_reason_not_to_measure(
    probe, tmp_path, monkeypatch, folder
):
    (tmp_path / "a file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    unusable = str(tmp_path / folder / "deeper")
    monkeypatch.setattr("platformdirs.user_runtime_dir", lambda *_, **__: unusable)
    report = nbbench.run(configs=model(), **ARGUMENTS, progress=False)
    assert report.speed.status.tolist() == ["ok"]


def test_devices_have_one_name_however_they_are_given(monkeypatch):
    monkeypatch.setattr("nbbench.execution.turn.visible_gpus", lambda: ["GPU-a", "GPU-b"])
    assert device_name("auto") == device_name("cuda") == device_name("cuda:0") == "gpu GPU-a"
    assert device_name("cuda:1") == "gpu GPU-b"
    assert device_name("cpu") == "cpu"
    monkeypatch.setattr("nbbench.execution.turn.visible_gpus", list)
    assert device_name("auto") == "cpu"


def test_what_measures_on_no_device_of_this_machine_waits_for_none_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_runtime_dir", lambda *_, **__: str(tmp_path))
    monkeypatch.setattr("nbbench.execution.turn.visible_gpus", lambda: ["GPU-a"])
    with Turn("cuda:0").taken(lambda: False, print):
        assert (tmp_path / "gpu-GPU-a.lock").exists()
    (tmp_path / "gpu-GPU-a.lock").unlink()
    with Turn(None).taken(lambda: False, print):
        assert not list(tmp_path.glob("*.lock"))


@linux
def test_a_busy_machine_is_shown_when_it_begins_and_above_the_table(probe):
    spin = f"{shlex.quote(sys.executable)} -c 'while True: pass' >/dev/null & echo $!"
    pid = int(subprocess.check_output(["sh", "-c", spin]))  # no child of this process
    try:
        job = nbbench.submit(configs=model(call="wait", wait_s=0.3), **ARGUMENTS | {"max_time": 4})
        assert job.wait(60)
    finally:
        os.kill(pid, signal.SIGKILL)
    (warning,) = job.progress.warnings
    assert warning.startswith("busy machine: other processes keep ")
    assert "threads=1" in warning
    assert job.report().facts[0].machine.other_load_cores > 0.3
    assert repr(job.report()).startswith("busy machine: other processes keep ")


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_where_ended_workers_are_not_told_from_others_there_is_no_load(system, monkeypatch):
    load = LoadWatch()
    monkeypatch.setattr(machine, "sys", SimpleNamespace(platform=system))
    assert load.cores() is None
    assert busy_sentence(load.cores()) == ""


@linux
def test_the_load_beside_a_resumed_run_that_measures_nothing_is_none_of_its_report(
    probe, tmp_path, monkeypatch
):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "h.sqlite"))
    asked = {"configs": model(call="wait", wait_s=0.001), **ARGUMENTS}
    loads = []
    for resume in (False, True):
        job = nbbench.submit(**asked, resume=resume)
        assert job.wait(60)
        loads.append(job._recorder.machine.other_load_cores)
    assert loads[0] is not None
    assert loads[1] is None


def test_this_process_is_load_as_others_are(probe):
    load = LoadWatch()
    assert load.own_cores() is None  # what a beginning costs is no load
    load.watch_own()
    end = time.monotonic() + 1.1
    while time.monotonic() < end:
        pass
    assert load.own_cores() > 0.0
    assert "this kernel or script keeps 0.5 cores busy itself" in busy_sentence(0.0, 0.5)
    assert busy_sentence(0.1, 0.1) == ""
    report = nbbench.run(configs=model(), **ARGUMENTS, progress=False, isolation="none")
    assert report.facts[0].machine.own_load_cores is None  # it is what was measured
    facts = report.facts[0]
    quiet = dataclasses.replace(facts.machine, other_load_cores=0.0, own_load_cores=0.9)
    assert "this kernel" in caution([dataclasses.replace(facts, machine=quiet)])
