"""Between kernel and worker: whatever comes damaged costs one case and one sentence, at once."""

from __future__ import annotations

import sys

import pytest

import nbbench
from nbbench.execution import worker_process
from nbbench.worker.messages import (
    PROTOCOL,
    Lines,
    ProtocolError,
    encode,
)
from tests.conftest import wait_until, worker_processes

pytestmark = pytest.mark.usefixtures("probe")

ISOLATIONS = pytest.mark.parametrize(
    "isolation",
    [
        pytest.param("fork", marks=pytest.mark.skipif(sys.platform != "linux", reason="forks")),
        "process",
    ],
)


def arguments(*configs, isolation="fork", **more):
    return {
        "frameworks": "probe",
        "configs": [{"model_type": "probe", **config} for config in configs],
        "sequence_lengths": 8,
        "max_time": 0.1,
        "rounds": 1,
        "timeout": 100.0,
        "isolation": isolation,
        **more,
    }


def probe_run(*configs, **more):
    return nbbench.run(**arguments(*configs, **more), progress=False)


@ISOLATIONS
def test_a_case_that_speaks_nonsense_is_ended_and_costs_itself_alone(isolation):
    report = probe_run({}, {"call": "nonsense"}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["ok", "crashed", "ok"]
    reason = report.speed.reason[1]
    assert "was ended while measuring, since a line is no message: b'nonsense'" in reason


@ISOLATIONS
def test_a_worker_that_is_sent_another_protocol_says_so_and_ends(isolation, monkeypatch):
    nbbench.close_workers()
    current = b'"v":%d' % PROTOCOL
    versions = iter([b'"v":1'])

    def encode_old(request):
        return encode(request).replace(current, next(versions, current))

    monkeypatch.setattr(worker_process, "encode", encode_old)
    report = probe_run({}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["crashed", "ok"]
    reason = report.speed.reason[0]
    assert "the worker has ended, since a message is of protocol 1, and this side" in reason
    assert reason.endswith("restart the kernel, as after every change of nbbench's version")


@ISOLATIONS
def test_an_exception_of_50_mib_costs_seconds(isolation):
    report = probe_run({"build": "raise_50_mib"}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["error", "ok"]
    assert len(report.results[0].outcome.detail) > 50 << 20


@ISOLATIONS
def test_infinite_numbers_in_a_configuration_reach_the_worker(isolation):
    config = {"time_step_limit": [0.0, float("inf")], "nothing": float("nan")}
    report = probe_run(config, isolation=isolation)
    assert report.speed.status.tolist() == ["ok"]


@ISOLATIONS
def test_a_process_that_the_system_kills_for_memory_is_oom(isolation, monkeypatch):
    """A fake counter stands for the system's, which counts what it kills for memory."""
    nbbench.close_workers()
    monkeypatch.setattr(worker_process, "memory_kills", lambda: -1)
    monkeypatch.setenv("PROBE_MEMORY_KILLS", "-1")
    report = probe_run({"call": "killed"}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["oom", "ok"]
    assert "the machine's memory ran out; lower batch_sizes" in report.speed.reason[0]


@ISOLATIONS
@pytest.mark.parametrize("where", ["starting", "importing"])
def test_the_phase_of_a_worker_that_is_killed_is_the_one_it_was_in(isolation, where, monkeypatch):
    nbbench.close_workers()
    config = {}
    if where == "starting":
        monkeypatch.setenv("PROBE_LOAD", "hang")
    else:
        config["import"] = "hang"
    job = nbbench.submit(**arguments(config, isolation=isolation))
    shown = {"starting": "importing probe", "importing": "importing"}[where]
    wait_until(lambda: job.progress.phase == shown)
    worker_processes()[-1].kill()
    assert job.wait(60)
    (reason,) = job.report().speed.reason
    assert reason.startswith(f"the worker died of SIGKILL while {where}")


def test_a_long_line_costs_as_much_a_byte_as_a_short_one():
    lines, piece = Lines(), b"x" * (1 << 16)
    for _ in range(800):
        assert lines.add(piece) == []
    (line,) = lines.add(b"\n")
    assert len(line) == 800 << 16
    assert lines.add(b"a\nb\nc") == [b"a", b"b"]
    assert lines.add(b"\n") == [b"c"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr("nbbench.worker.messages.MAX_MESSAGE_BYTES", 1 << 20)
    lines = Lines()
    for _ in range(16):
        lines.add(b"x" * (1 << 16))
    with pytest.raises(ProtocolError, match="longer than 1 MiB"):
        lines.add(b"x")


@ISOLATIONS
def test_a_framework_that_exits_as_it_is_imported_is_an_error_with_its_reason(
    isolation, monkeypatch
):
    nbbench.close_workers()
    monkeypatch.setenv("PROBE_LOAD", "exit")
    report = probe_run({}, isolation=isolation)
    assert report.speed.status.tolist() == ["error"]
    assert "probe cannot be started: no licence" in report.speed.reason[0]


@ISOLATIONS
def test_a_model_whose_code_exits_as_it_is_imported_costs_its_case_alone(isolation):
    report = probe_run({}, {"import": "exit"}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["ok", "error", "ok"]
    assert "SystemExit: no licence" in report.speed.reason[1]
