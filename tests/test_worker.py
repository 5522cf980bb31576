"""Every way in which a case can end is a row, and leaves nothing behind."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.api import start
from nbbench.execution.supervise import Supervisor
from nbbench.history_database.store import may_pass
from nbbench.worker import server
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.messages import CaseFinished, WorkerFailed, WorkerReady, encode
from tests.conftest import wait_until, wait_until_measuring, worker_processes

pytestmark = pytest.mark.usefixtures("probe")


def probe_run(*calls, isolation, **arguments):
    """Run probe models that do these things, one case each."""
    configs = [{"model_type": "probe", **call} for call in calls]
    arguments = {"max_time": 0.2, "sequence_lengths": [8], **arguments}
    return nbbench.run(
        frameworks=["probe"], configs=configs, isolation=isolation, progress=False, **arguments
    )


def processes_of_workers():
    """The workers and all that they have started."""
    workers = worker_processes()
    return workers + [below for worker in workers for below in worker.children(recursive=True)]


@pytest.mark.parametrize(
    ("behaviour", "status", "phase", "said"),
    [
        ({"build": "raise"}, "error", "building", "ValueError: this config cannot be built"),
        ({"call": "segfault"}, "crashed", "warming", "SIGSEGV"),
        ({"call": "exit"}, "crashed", "warming", "code 3"),
        ({"call": "memory_error"}, "oom", "warming", "no 5 GiB to be had"),
        ({"call": "unsupported"}, "unsupported", "warming", "the probe does not do this"),
    ],
)
def test_a_failure_is_a_row_that_says_so_and_the_others_stay(
    behaviour, status, phase, said, isolation
):
    report = probe_run({}, behaviour, {}, isolation=isolation)
    assert [r.outcome.status for r in report.results] == ["ok", status, "ok"]
    failed = report.speed.iloc[1]
    assert failed.phase == phase
    assert said in failed.reason
    assert failed.median_s != failed.median_s  # missing


def test_the_log_of_a_crash_is_kept_for_the_user(isolation):
    report = probe_run({"call": "segfault"}, isolation=isolation)
    assert "about to die" in report.results[0].outcome.detail


def test_nothing_that_is_printed_breaks_the_stream(isolation):
    report = probe_run({"call": "print"}, isolation=isolation)
    assert report.speed.status.tolist() == ["ok"]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"call": "stubborn"},
        *(
            pytest.param(each, marks=[pytest.mark.slow, pytest.mark.newest])
            for each in ({"build": "hang"}, {"call": "hang"})
        ),
    ],
)
def test_what_takes_too_long_times_out_and_leaves_no_process(behaviour, isolation):
    report = probe_run(behaviour, {}, isolation=isolation, timeout=4.0)
    assert report.speed.status.tolist() == ["timeout", "ok"]
    phase = "building" if "build" in behaviour else "warming"
    assert report.speed.reason[0] == f"{phase} took longer than 4 s; raise timeout"
    nbbench.close_workers()
    assert not processes_of_workers()


def test_a_missing_framework_is_told_once_for_all_its_cases():
    report = nbbench.run(
        frameworks=["probe", "missing"],
        configs=[{"model_type": "probe"}],
        sequence_lengths=[8, 16],
        max_time=0.1,
        progress=False,
    )
    assert report.speed.status.tolist() == ["ok", "ok", "unsupported", "unsupported"]
    assert report.speed.reason[2].startswith("a_framework_that_nobody_has is not installed in")


def test_an_interpreter_that_is_none_is_one_sentence():
    report = nbbench.run(
        frameworks=["probe"],
        configs=[{"model_type": "probe"}],
        sequence_lengths=[8],
        environment="/nowhere/python",
        progress=False,
    )
    assert report.speed.status.tolist() == ["error"]
    assert "there is no python at '/nowhere/python'" in report.speed.reason[0]


def test_cancelling_ends_the_running_case_at_once_and_keeps_the_finished(isolation, patience):
    arguments = nbbench.BenchmarkArguments(
        frameworks=["probe"],
        configs=[{"model_type": "probe", **call} for call in ({}, {"call": "hang"}, {})],
        sequence_lengths=[8],
        max_time=0.1,
        isolation=isolation,
        rounds=1,
    )
    job = start(arguments)
    wait_until(lambda: job.progress.results and job.progress.phase == "warming")
    begin = time.monotonic()
    job.cancel()
    assert job.wait(10 * patience)
    assert time.monotonic() - begin < 1.0 * patience
    assert job.report().speed.status.tolist() == ["ok", "cancelled", "skipped"]
    nbbench.close_workers()
    assert not processes_of_workers()


def test_the_server_stays_warm_and_goes_at_its_idle_limit(patience):
    nbbench.close_workers()
    probe_run({}, isolation="fork", idle_limit=5)
    first = {p.pid for p in processes_of_workers()}
    probe_run({}, isolation="fork", idle_limit=5)
    assert {p.pid for p in processes_of_workers()} == first
    wait_until(lambda: not worker_processes(), seconds=8 * patience)


def test_a_server_waits_for_its_first_case_however_short_its_idle_limit():
    assert probe_run({}, isolation="fork", idle_limit=1e-9).speed.status.tolist() == ["ok"]


class WorkerByScript:
    """A worker that sends these events, and is then gone."""

    alive, serves_many, introduces_itself, where = True, False, False, "here"

    def __init__(self, *events, facts=None):
        self.facts, self.events = facts or {}, list(events)

    def begin_case(self):
        pass

    def send(self, request):
        self.alive = bool(self.events)

    def receive(self, timeout):
        return self.events.pop(0) if self.events else None

    def stop(self):
        self.alive = False

    def log_tail(self):
        return ""

    close = stop


class WorkersByScript:
    """Gives these workers, in order; None stands for one that the system does not start."""

    own_process = True

    def __init__(self, *workers):
        self.facts, self.workers = {}, [*workers]

    def take(self):
        worker = self.workers.pop(0) if self.workers else None
        if worker is None:
            raise OSError(11, "Resource temporarily unavailable")
        return worker


def outcomes_of(workers, visits, timeout=60.0):
    """What becomes of so many visits."""
    supervisor, case = Supervisor(workers, timeout, bool), Case("probe", "m", {}, "given", 1, 8)
    found = []

    def followed():
        found.append((yield from supervisor.visit(case, 0, alone=True)))

    for _ in range(visits):
        list(followed())
    return found


READY = WorkerReady("probe", 1, {"framework": "probe"})
FINISHED = CaseFinished(Outcome(Status.OK))


def test_a_server_that_cannot_be_replaced_is_a_row():
    """It goes at its idle limit as a case comes, and no other starts."""
    served = WorkerByScript(facts={"framework": "probe"})
    served.serves_many = True
    (outcome,) = outcomes_of(WorkersByScript(served), 1)
    assert outcome.status is Status.ERROR
    assert "cannot be started: Resource temporarily unavailable" in outcome.reason
    assert may_pass(outcome)  # a resumed run tries again


def test_a_worker_that_does_not_start_amid_a_run_costs_one_visit():
    lacking = WorkerFailed(Status.OOM, "no memory is left")
    started = [WorkerByScript(READY, FINISHED) for _ in range(3)]
    workers = WorkersByScript(started[0], None, started[1], WorkerByScript(lacking), started[2])
    outcomes = outcomes_of(workers, 5)
    assert [each.status.value for each in outcomes] == ["ok", "error", "ok", "oom", "ok"]
    never = outcomes_of(WorkersByScript(None, WorkerByScript(READY, FINISHED)), 2)
    assert [each.status.value for each in never] == ["error", "error"]  # it is not tried again


def test_what_came_while_this_process_was_stopped_is_not_late(monkeypatch):
    now = iter(range(0, 10**6, 1000))
    clock = SimpleNamespace(monotonic=lambda: next(now))
    monkeypatch.setattr("nbbench.execution.supervise.time", clock)
    (outcome,) = outcomes_of(WorkersByScript(WorkerByScript(READY, FINISHED)), 1, timeout=60.0)
    assert outcome.status is Status.OK


def test_a_killed_server_costs_one_row_and_is_replaced():
    nbbench.close_workers()
    calls = {"call": "wait", "wait_s": 0.05}, {}
    arguments = nbbench.BenchmarkArguments(
        frameworks=["probe"],
        configs=[{"model_type": "probe", **call} for call in calls],
        sequence_lengths=[8],
        isolation="fork",
        max_time=5.0,
        precision=1e-9,
    )
    job = start(arguments)
    wait_until_measuring(job)
    (server,) = worker_processes()
    server.kill()
    assert job.wait(120)
    report = job.report()
    assert report.speed.status.tolist() == ["crashed", "ok"]
    assert "the worker died of SIGKILL while measuring" in report.speed.reason[0]


def test_where_forks_cannot_use_a_gpu_cases_on_one_have_new_processes(monkeypatch, tmp_path):
    nbbench.close_workers()
    monkeypatch.setenv("PROBE_BEGINS_WITH_GPUS", "1")
    long = {"what_no_pipe_holds": "x" * (1 << 20)}
    calls = {"visit_log": str(tmp_path / "log"), **long}, {"call": "segfault"}, {"call": "stubborn"}
    report = probe_run(*calls, isolation="fork", timeout=10.0)
    assert report.speed.status.tolist() == ["ok", "crashed", "timeout"]
    assert "SIGSEGV" in report.speed.reason[1]
    assert len(set((tmp_path / "log").read_text().split("\n"))) > 2  # each visit its process
    assert probe_run({}, isolation="fork", device="cpu").speed.status.tolist() == ["ok"]
    nbbench.close_workers()
    assert not processes_of_workers()


def test_an_outcome_that_is_sent_as_its_process_ends_is_not_lost(monkeypatch):
    reader, writer = os.pipe()
    line = encode(CaseFinished(Outcome(Status.OK)))

    def ends_at_once(_):  # after its pipe was found empty, if that was looked at before
        os.write(writer, line)
        return True

    serving = server.Server.__new__(server.Server)
    serving._open = True
    monkeypatch.setattr(server.Server, "_requests", lambda *_, **__: [])
    monkeypatch.setattr(server, "_has_ended", ends_at_once)
    try:
        assert serving._relay(0, reader) == (None, CaseFinished(Outcome(Status.OK)))
    finally:
        os.close(reader)
        os.close(writer)


def test_another_child_of_the_process_is_left_alone(isolation):
    import subprocess

    child = subprocess.Popen(["sleep", "600"])
    try:
        probe_run({"call": "segfault"}, {"build": "hang"}, isolation=isolation, timeout=4)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_workers_do_not_inherit_this_process_as_a_fork():
    nbbench.close_workers()
    probe_run({}, isolation="fork")
    (server,) = worker_processes()
    assert os.getpgid(server.pid) != os.getpgid(0)
    nbbench.close_workers()


def test_memory_that_pytorch_cannot_get_is_an_oom_row(tmp_path):
    pytest.importorskip("torch")
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.empty(10**15)\n"
        "def build():\n"
        "    return Net()\n"
    )
    report = nbbench.run(
        f"{file}:build", inputs={"x": ["batch", 2]}, batch_sizes=[1], device="cpu",
        max_time=0.1, progress=False,
    )  # fmt: skip
    assert report.speed.status.tolist() == ["oom"]
    assert report.speed.reason[0].startswith("memory ran out while warming: ")


def test_what_is_predicted_to_need_more_than_there_is_is_an_oom_row():
    pytest.importorskip("torch")
    from tests.conftest import TINY_BERT

    report = nbbench.run(
        "tiny",
        configs=[TINY_BERT],
        batch_sizes=[1, 50_000_000],
        sequence_lengths=[512],
        device="cpu",
        max_time=0.1,
        progress=False,
    )
    assert report.speed.status.tolist() == ["ok", "oom"]
    assert "(predicted)" in report.speed.reason[1]
