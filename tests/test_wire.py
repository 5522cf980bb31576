"""Between kernel and worker: whatever comes damaged costs one case and one sentence, at once."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nbbench
from nbbench.execution import worker_process
from nbbench.execution.worker_process import WorkerProcess
from nbbench.worker.case import Case, Outcome, Phase, Status, Timing, Visit
from nbbench.worker.messages import (
    CaseFinished,
    CaseStarted,
    DeviceOpened,
    Event,
    Lines,
    OfCase,
    PhaseChanged,
    ProtocolError,
    Request,
    RunCase,
    SamplingProgress,
    StopCase,
    WorkerFailed,
    WorkerReady,
    decode,
    encode,
)
from tests.conftest import wait_until

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
    assert "was ended while warming, since a line is no message: b'nonsense'" in reason


@ISOLATIONS
def test_a_worker_that_is_sent_another_protocol_says_so_and_ends(isolation, monkeypatch):
    nbbench.close_workers()
    send, sent = WorkerProcess.send, []

    def send_old(worker, request):
        sent.append(request)
        if len(sent) > 1:
            return send(worker, request)
        worker._process.stdin.write(encode(request).replace(b'"v":2', b'"v":1'))
        worker._process.stdin.flush()

    monkeypatch.setattr(WorkerProcess, "send", send_old)
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
    wait_until(lambda: where in job.progress.phase)
    psutil.Process().children()[-1].kill()
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
    with pytest.raises(ProtocolError, match="longer than 1 MiB"):
        for _ in range(100):
            lines.add(b"x" * (1 << 16))


TIMING = Timing((Visit((1.0, 2.0), references=(0.1,)),), 1.5, 1.0, 2.0, 1, 1, 0, None, None, True)
MESSAGES = (
    RunCase(Case("pytorch", "m", {"a": [1, {"b": None}]}, "given", 8, None), 3, False),
    StopCase(),
    WorkerReady("pytorch", 7, {"threads": 2}),
    WorkerFailed(Status.ERROR, "no", "more"),
    CaseStarted(7),
    PhaseChanged(Phase.MEASURING),
    DeviceOpened("GPU-1"),
    SamplingProgress(6, 0.1, None),
    CaseFinished(Outcome(Status.OK, phase=Phase.WARMING, timing=TIMING)),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def damaged_lines(draw):
    """A message of which a part is another, missing or new, or some bytes are."""
    content = json.loads(encode(draw(st.sampled_from(MESSAGES))))
    if draw(st.booleans()):
        target = content
        while draw(st.booleans()):
            inner = [value for value in target.values() if isinstance(value, dict) and value]
            if not inner:
                break
            target = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(sorted(target)) | st.text(max_size=8))
        if draw(st.booleans()):
            target.pop(key, None)
        else:
            target[key] = draw(JSON)
        return json.dumps(content).encode()
    line = bytearray(json.dumps(content).encode())
    for _ in range(draw(st.integers(1, 4))):
        line[draw(st.integers(0, len(line) - 1))] = draw(st.integers(0, 255))
    return bytes(line)


def is_decoded_or_refused_in_a_sentence(line):
    for side in (Request, Event, OfCase):
        try:
            message = decode(line, side)
        except ProtocolError as error:
            assert str(error)
            assert "\n" not in str(error)
            assert len(str(error)) < 1000
        else:
            with contextlib.suppress(ValueError):  # a lone half of a surrogate pair
                decode(encode(message), side)


LINES = st.binary(max_size=200) | damaged_lines()


@given(LINES)
@settings(max_examples=300, deadline=None)
def test_any_line_is_a_message_or_refused_in_a_sentence(line):
    is_decoded_or_refused_in_a_sentence(line)


@pytest.mark.slow
@given(LINES)
@settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_of_20_000_lines_is_a_message_or_refused_in_a_sentence(line):
    is_decoded_or_refused_in_a_sentence(line)


@given(st.lists(LINES, max_size=4), st.lists(st.integers(1, 50), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_lines_come_out_as_they_went_in_however_they_are_cut(lines, sizes):
    whole = [line.replace(b"\n", b"") for line in lines]
    stream = b"".join(line + b"\n" for line in whole)
    received, found, number = 0, [], Lines()
    while received < len(stream):
        size = sizes[received % len(sizes)]
        found += number.add(stream[received : received + size])
        received += size
    assert found == whole


def ends_of_a_worker_that_is_sent(line, isolation):
    """What a worker writes that is sent a line and no more, and its exit code."""
    backend = nbbench.frameworks.find_backend("probe")
    values = {
        "framework": backend.framework,
        "backend_file": backend.file,
        "backend_class": backend.class_name,
        "isolation": isolation,
        "idle_limit": 5.0,
    }
    command = worker_process.boot_command(sys.executable, worker_process._MAIN, json.dumps(values))
    done = subprocess.run(
        command, input=line + b"\n", capture_output=True, timeout=60, env=dict(os.environ)
    )
    return [decode(each, Event) for each in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("isolation", ["fork", "process"])
@given(LINES)
@settings(max_examples=5, deadline=None)
def test_a_worker_that_is_sent_any_line_answers_in_messages_and_ends(isolation, line):
    events, errors = ends_of_a_worker_that_is_sent(line.replace(b"\n", b" "), isolation)
    assert all(isinstance(event, WorkerReady | WorkerFailed | CaseStarted | OfCase)
               for event in events)  # fmt: skip
    assert b"Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["fork", "process"])
@given(LINES)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_worker_that_is_sent_any_of_200_lines_answers_in_messages_and_ends(isolation, line):
    events, errors = ends_of_a_worker_that_is_sent(line.replace(b"\n", b" "), isolation)
    assert b"Traceback" not in errors
