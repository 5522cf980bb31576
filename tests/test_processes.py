"""No process outlives its run: whoever is killed, hangs or was stopped, nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from uuid import uuid4

import psutil
import pytest

import nbbench
from nbbench.api import start
from tests.conftest import wait_until, worker_processes

pytestmark = [
    pytest.mark.usefixtures("probe"),
    pytest.mark.skipif(sys.platform != "linux", reason="guards are for Linux"),
]


@pytest.fixture
def mark(monkeypatch):
    """A word that all processes of a run carry, in a variable or an argument."""
    word = f"mark-{uuid4().hex}"
    monkeypatch.setenv("NBBENCH_TEST_MARK", word)
    yield word
    nbbench.close_workers()
    for process in marked(word):
        process.kill()


def marked(word, by_argument=False):
    """The living processes that carry a word, but for this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            carried = word in process.cmdline()
            if not by_argument:
                carried = carried or word in process.environ().values()
            if carried:
                found.append(process)
    return found


def named(word):
    """Those that carry it as an argument: what a case has left behind."""
    return marked(word, by_argument=True)


def arguments(isolation="fork", **config):
    return {
        "frameworks": "probe",
        "configs": [{"model_type": "probe", **config}],
        "sequence_lengths": 8,
        "max_time": 0.1,
        "rounds": 1,
        "isolation": isolation,
    }


def kernel(isolation="fork", **config):
    """A process that runs a benchmark, as a notebook's kernel does."""
    site = next(path for path in sys.path if os.path.isdir(f"{path}/probe_backends"))
    code = (
        f"import sys; sys.path.append({site!r})\nimport nbbench\n"
        f"nbbench.run(**{arguments(isolation, **config)!r}, progress=False)"
    )
    return subprocess.Popen([sys.executable, "-c", code])


def end_of(process):
    """Its status as a parent sees it."""
    process.kill()
    process.wait()


def chain_of_worker():
    """A worker's processes, each the parent of the next: two guards, the server, the case."""
    chain = worker_processes()[:1]
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        while True:
            chain.append(chain[-1].children()[0])
    return chain


@pytest.mark.parametrize("how", ["ends", "times_out", "is_cancelled"])
def test_what_a_case_has_started_ends_with_it_in_sessions_of_its_own_too(mark, isolation, how):
    wait_s = 0 if how == "ends" else 1000
    config = {"call": "daemon", "mark": mark, "wait_s": wait_s}
    limits = {"timeout": 3.0} if how == "times_out" else {}
    job = start(nbbench.BenchmarkArguments(**arguments(isolation, **config), **limits))
    if how == "is_cancelled":
        wait_until(lambda: named(mark))
        job.cancel()
    assert job.wait(60)
    status = {"ends": "ok", "times_out": "timeout", "is_cancelled": "cancelled"}[how]
    assert job.report().speed.status.tolist() == [status]
    wait_until(lambda: not named(mark), seconds=20)


@pytest.mark.parametrize("victim", range(4))
def test_whichever_process_of_a_worker_is_killed_its_case_leaves_nothing(mark, victim, isolation):
    """The victims: two guards, the server, and with fork the case itself."""
    config = {"call": "daemon", "mark": mark, "wait_s": 1000}
    job = start(nbbench.BenchmarkArguments(**arguments(isolation, **config)))
    wait_until(lambda: named(mark))
    chain = chain_of_worker()[: 4 if isolation == "fork" else 3]
    chain[min(victim, len(chain) - 1)].kill()
    assert job.wait(60)
    (reason,) = job.report().speed.reason
    assert "died of SIGKILL while warming" in reason
    wait_until(lambda: not named(mark), seconds=20)
    nbbench.close_workers()
    wait_until(lambda: not marked(mark), seconds=20)


@pytest.mark.parametrize("how", ["hang", "stop"])
@pytest.mark.parametrize("where", ["load", "import"])
def test_a_worker_that_hangs_ends_when_the_kernel_is_killed(
    mark, monkeypatch, where, how, isolation
):
    if where == "load":
        monkeypatch.setenv("PROBE_LOAD", how)
    process = kernel(isolation, **({"import": how} if where == "import" else {}))
    wait_until(lambda: len(marked(mark)) >= 4)  # kernel, guards, worker
    time.sleep(0.5)
    end_of(process)
    wait_until(lambda: not marked(mark), seconds=20)


@pytest.mark.parametrize("stopped", ["none", "all", "case"])
def test_a_killed_kernel_leaves_nothing_even_where_all_were_stopped(mark, stopped, isolation):
    process = kernel(isolation, call="daemon", mark=mark, wait_s=1000)
    wait_until(lambda: named(mark))
    below = psutil.Process(process.pid).children(recursive=True)
    for each in {"none": [], "all": below, "case": below[-1:]}[stopped]:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has just ended
            each.send_signal(signal.SIGSTOP)
    end_of(process)
    wait_until(lambda: not marked(mark), seconds=20)


def test_a_worker_serves_only_runs_that_it_would_have_inherited_the_same_for(mark, monkeypatch):
    def server():
        report = nbbench.run(**arguments(), progress=False)
        assert report.speed.status.tolist() == ["ok"]
        (process,) = worker_processes()  # no other stays beside it
        return process.pid

    first = server()
    assert server() == first
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    second = server()
    assert second != first
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert (server() == second) == (len(cores) == 1)
    finally:
        os.sched_setaffinity(0, cores)


def test_a_worker_has_the_current_folder_of_its_run(mark, tmp_path, monkeypatch, isolation):
    given = arguments(isolation, call="log", call_log="log", touch_mib=0)
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        nbbench.run(**given, progress=False)
        assert (folder / "log").exists()
        (folder / "log").unlink()
    folder.rmdir()
    report = nbbench.run(**arguments(isolation), progress=False)
    assert report.speed.status.tolist() == ["ok"]


def test_the_report_shows_the_variables_that_the_worker_has(mark, monkeypatch, isolation):
    """A framework may set some as it is imported, and the kernel others while a case runs."""
    monkeypatch.setenv("PROBE_SETS", "MALLOC_ARENA_MAX=7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    report = nbbench.run(
        **arguments(isolation),
        progress=False,
        on_result=lambda _: monkeypatch.setenv("OMP_NUM_THREADS", "2"),
    )
    shown = report.environment.loc["settings"].iloc[0].split(", ")
    assert {"CUDA_VISIBLE_DEVICES=", "MALLOC_ARENA_MAX=7", "OMP_NUM_THREADS=1"} <= set(shown)
    assert shown == sorted(shown)  # others are those that the tests themselves run with


def test_a_worker_that_hangs_before_it_reads_a_long_request_is_too_late(
    mark, monkeypatch, isolation
):
    monkeypatch.setenv("PROBE_LOAD", "hang")
    values = {**arguments(isolation, text="x" * (1 << 20)), "timeout": 1.0}
    job = start(nbbench.BenchmarkArguments(**values))
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["timeout"]
    wait_until(lambda: not marked(mark), seconds=20)


@pytest.mark.parametrize("how", ["killed", "cancelled"])
def test_uv_and_what_it_has_started_end_with_the_kernel_or_the_build(mark, tmp_path, how):
    """A script stands for uv while it builds a package, which takes long."""
    script, cancel = tmp_path / "uv", tmp_path / "cancel"
    script.write_text("#!/bin/sh\nsetsid sleep 1000\n")
    script.chmod(0o755)
    code = (
        f"import pathlib, uv\nuv.find_uv_bin = lambda: {str(script)!r}\n"
        f"from nbbench.environments.build import _Uv\n"
        f"list(_Uv(pathlib.Path({str(cancel)!r}).exists, None).run({mark!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    wait_until(lambda: any("sleep" in each.name() for each in marked(mark)))
    if how == "killed":
        end_of(process)
    else:
        cancel.touch()
    wait_until(lambda: not marked(mark), seconds=20)
    process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_case_that_has_left_its_group_is_cancelled_and_the_server_stays(mark):
    def run(**config):
        job = start(nbbench.BenchmarkArguments(**arguments(**config)))
        if config:
            wait_until(lambda: named(mark))
            job.cancel()
        assert job.wait(60)
        (server,) = chain_of_worker()[2:3]
        return job.report().speed.status.tolist(), server.pid

    statuses, server = run(call="leave_group", mark=mark, wait_s=1000)
    assert statuses == ["cancelled"]
    assert run() == (["ok"], server)
