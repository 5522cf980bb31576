"""Benchmarks beside the notebook: other cells run, cancelling is quick, nothing is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from uuid import uuid4

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

import nbbench
from nbbench import NbbenchError
from nbbench.api import start
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.execution.job import Job
from nbbench.plan.plan import Plan
from tests.conftest import TINY_BERT, wait_until_measuring
from tests.test_kernel import Kernel, kernel  # noqa: F401 - a fixture

LONG = """
%%tfbench --background --out report
frameworks = "probe"
configs = [{"model_type": "x", "call": "wait", "wait_s": 0.05, "n": n} for n in range(20)]
sequence_lengths = [8]
batch_sizes = [1]
max_time = 60
precision = 1e-9
"""

UNTIL_MEASURING = """
import time
deadline = time.monotonic() + 100
while "measuring" not in job.progress.phase and time.monotonic() < deadline:
    time.sleep(0.05)
print(job.progress.phase)
"""


UNTIL_SHOWN = """
import threading
for thread in threading.enumerate():
    if thread.name in ("nbbench-live", "nbbench-form"):
        thread.join()
"""


def begin(kernel):  # noqa: F811
    kernel.run("%load_ext nbbench")
    kernel.run(LONG.strip())
    kernel.run("job = _")
    assert "measuring" in kernel.run(UNTIL_MEASURING)


def test_other_cells_run_meanwhile_and_cancelling_is_quick(kernel, patience):  # noqa: F811
    begin(kernel)
    took = []
    for _ in range(10):
        before = time.monotonic()
        kernel.run("1 + 1")
        took.append(time.monotonic() - before)
    print(f"1 + 1 took at most {max(took):.3f} s")
    assert max(took) < 0.2 * patience
    cancelled = float(
        kernel.run(f"""
        begin = time.monotonic()
        job.cancel()
        assert job.wait({5 * patience})
        print(time.monotonic() - begin)
        """)
    )
    assert cancelled < 1 * patience
    kernel.run("""
        statuses = report.speed.status.tolist()  # a case that was visited keeps what that measured
        visited = [status for status in statuses if status == "ok"]
        ended = [status for status in statuses if status == "cancelled"]
        assert len(statuses) == 20 and len(ended) <= 1, report
        assert statuses.count("skipped") == 20 - len(visited) - len(ended), report
        """)


def test_a_second_run_waits_in_line_and_can_be_cancelled_there(kernel, patience):  # noqa: F811
    begin(kernel)
    kernel.run("first = job")
    kernel.run(LONG.strip().replace("--out report", "--out second"))
    said = kernel.run("job = _\nprint(job.progress.line())")
    assert "waiting for the benchmark before it" in said
    kernel.run(f"""
        job.cancel()
        assert job.wait({1 * patience}) and not first.done
        assert job.report().speed.status.tolist() == ["skipped"] * 20
        first.cancel()
        assert first.wait({5 * patience})
        """)


@pytest.mark.parametrize("end", ["restart", "interrupt and kill"])
def test_nothing_lives_on_after_the_kernel(kernel, end, patience):  # noqa: F811
    begin(kernel)
    process = kernel.process
    workers = process.children(recursive=True)
    assert len(workers) >= 2  # the server and its case
    if end == "restart":
        kernel.manager.restart_kernel(now=False)
    else:
        kernel.manager.interrupt_kernel()
        os.kill(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=5 * patience)
    assert not alive


@pytest.mark.slow
@pytest.mark.newest
def test_500_rows_are_updated_seldom_and_saved_small(probe, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{probe}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    cells = [
        "%load_ext nbbench\nimport time",
        """%%tfbench --background
frameworks = "probe"
models = [f"model-{n}" for n in range(500)]
configs = [{"model_type": "x", "call": "wait", "wait_s": 0.002, "n": n} for n in range(500)]
sequence_lengths = [8]
batch_sizes = [1]
max_time = 0.01""",
        """job = _
began, slowest = time.monotonic(), 0
while not job.wait(0.05):
    pass
print(len(job.progress.results), "in", time.monotonic() - began)""",
        "time.sleep(3)  # for the last display",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    updates = []

    class Watching(NotebookClient):
        def process_message(self, msg, cell, index):
            if msg["msg_type"] == "update_display_data":
                updates.append(time.monotonic())
            return super().process_message(msg, cell, index)

    Watching(notebook, timeout=280).execute()
    text = nbformat.writes(notebook)
    assert text.count("model-499") >= 1, text[:3000]
    print(f"{len(updates)} updates in {updates[-1] - updates[0]:.0f} s, {len(text) / 1e6:.2f} MB")
    assert len(text) < 1e6
    for begin_at in updates:
        assert sum(begin_at <= at < begin_at + 1 for at in updates) <= 5


@pytest.mark.slow
@pytest.mark.newest
def test_a_saved_notebook_shows_the_results_without_a_kernel(tmp_path):
    pytest.importorskip("torch")
    from nbconvert import HTMLExporter

    cells = [
        "%load_ext nbbench",
        f"""%%tfbench --background
models = ["tiny"]
configs = [{TINY_BERT!r}]
sequence_lengths = [8]
max_time = 0.2
device = "cpu\"""",
        f"job = _\n{UNTIL_SHOWN}",
        f"import nbbench\nform = nbbench.form('f', configs=[{TINY_BERT!r}], sequence_lengths=[8], "
        "max_time=0.2, device='cpu')\nform",
        f"form.run()\n{UNTIL_SHOWN}",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=250).execute()
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count("1 case in") == 2
    assert html.count('<td class="t">tiny</td>') + html.count('<td class="t">f</td>') == 2
    assert "data:image/png;base64," in html


def test_submit_is_the_same_from_python(probe):
    job = nbbench.submit(
        configs=[{"model_type": "x", "n": n} for n in range(3)], frameworks="probe",
        sequence_lengths=[8], max_time=0.1,
    )  # fmt: skip
    assert job.wait(120)
    assert job.done
    assert job.report().speed.status.tolist() == ["ok"] * 3
    assert repr(job) == "<nbbench job of 3 cases: .done, .wait(), .cancel(), .report()>"
    assert nbbench.latest() == job.report()


@pytest.mark.skipif(sys.platform != "linux", reason="the load of others is unknown there")
def test_work_of_others_is_told(probe):
    ours = f"while True: pass  # {uuid4()}"  # and no other busy process is ended
    busy = subprocess.Popen(
        [sys.executable, "-c", ours],
        start_new_session=True,
        preexec_fn=lambda: os.fork() and os._exit(0),
    )  # fmt: skip - orphaned, so that it is no child of this process
    busy.wait()
    try:
        waiting = {"model_type": "x", "call": "wait", "wait_s": 0.05}
        report = nbbench.run(
            configs=[waiting], frameworks="probe", sequence_lengths=[8], max_time=2,
            precision=1e-9, progress=False,
        )  # fmt: skip
    finally:
        for process in psutil.process_iter(["cmdline"]):
            if process.info["cmdline"] and process.info["cmdline"][-1] == ours:
                process.kill()
    load = report.environment["probe"]["other_load_cores"]
    assert load > 0.5
    assert "busy machine: other processes keep" in repr(report)


def test_what_was_measured_last_is_not_lost_to_what_waits(probe, patience):
    small = {"frameworks": "probe", "sequence_lengths": [8], "max_time": 0.1}
    first = nbbench.submit(configs=[{"model_type": "x", "first": 1}], **small)
    assert first.wait(120)
    slow = {"model_type": "x", "call": "wait", "wait_s": 0.05}
    second = nbbench.submit(configs=[slow], **{**small, "max_time": 60, "precision": 1e-9})
    third = nbbench.submit(configs=[slow], **small)
    assert nbbench.latest() == first.report()
    wait_until_measuring(second)
    nbbench.cancel()
    assert second.wait(5 * patience)
    assert third.wait(5 * patience)
    assert nbbench.latest() == second.report()
    assert third.report().speed.status.tolist() == ["skipped"]


def test_what_was_predicted_is_not_what_was_measured_last(probe):
    config = {"model_type": "probe", "call": "grow", "grow_kib": 1, "predicts": 1.0}
    arguments = {"configs": config, "frameworks": "probe", "progress": False, "sequence_lengths": 8}
    report = nbbench.run(**arguments, max_time=0.1)
    for _ in range(21):  # more than are kept
        (predicted,) = nbbench.predict(**arguments).results
        assert predicted.outcome.prediction is not None
    assert nbbench.latest() == report


def test_a_script_that_does_not_wait_is_told(probe):
    script = (
        "import nbbench\n"
        "nbbench.submit('x', configs=[{'model_type': 'probe'}], frameworks=['probe'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(probe)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 benchmark had not ended" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def no_thread_starts():
    """Threads with a stack that no machine has."""
    before = threading.stack_size()
    threading.stack_size(2**46)
    yield
    threading.stack_size(before)


def test_where_no_thread_starts_a_benchmark_is_an_error(probe, no_thread_starts):
    with pytest.raises(NbbenchError, match="may start no more threads; raise its limits"):
        nbbench.submit(configs=[{"model_type": "x"}], frameworks="probe")


def test_where_no_other_thread_starts_it_is_the_same_error(probe):
    plan = Plan.of(BenchmarkArguments(configs=[{"model_type": "x"}], frameworks=["probe"]))

    def measure(_):
        before = threading.stack_size(2**46)
        try:
            threading.Thread(target=print).start()
        finally:
            threading.stack_size(before)
        yield

    job = Job(plan, measure)
    assert job.wait(60)
    with pytest.raises(NbbenchError, match="may start no more threads; raise its limits"):
        job.report()


def test_a_job_writes_where_it_was_begun_whatever_the_current_folder_is_later(
    probe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBBENCH_HISTORY", "history.sqlite")
    given = {
        "configs": [{"model_type": "x"}], "frameworks": "probe", "sequence_lengths": [8],
        "max_time": 0.1,
    }  # fmt: skip
    has_moved = threading.Event()
    nbbench.submit(**given, history=False, on_result=lambda _: has_moved.wait())
    job = nbbench.submit(**given, save="report.json")  # it waits for the one before
    other = tmp_path / "other"
    other.mkdir()
    (other / "report.json").write_text("notes")
    monkeypatch.chdir(other)
    monkeypatch.setenv("NBBENCH_HISTORY", "another.sqlite")
    has_moved.set()
    assert job.wait(60)
    assert [path.name for path in other.iterdir()] == ["report.json"]
    assert (other / "report.json").read_text() == "notes"
    assert len(nbbench.Report.load(tmp_path / "report.json").results) == 1
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "history.sqlite"))
    assert len(nbbench.history()) == 1


def test_a_report_that_cannot_be_made_keeps_nobody_waiting(probe, monkeypatch):
    def fail(recorder):
        raise ValueError("facts that do not merge")

    monkeypatch.setattr("nbbench.execution.listeners.Recorder.report", fail)
    arguments = BenchmarkArguments(
        configs=[{"model_type": "x"}], frameworks="probe", sequence_lengths=[8], max_time=0.1
    )
    job = start(arguments, on_end=print)
    assert job.wait(60)
    assert job.problem == "on_end failed with ValueError: facts that do not merge"
