"""Whatever is on the wire is a message or refused in a sentence, at both ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import nbbench
from nbbench.execution import worker_process
from nbbench.worker.case import Case, Outcome, Phase, Status
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
from nbbench.worker.timing import Timing, Visit

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("probe")

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
        message, sentence = None, "none"
        try:
            message = decode(line, side)
        except ProtocolError as error:
            sentence = str(error)
        if message is not None:
            assert decode(encode(message), side)
        assert 0 < len(sentence) < 1000
        assert "\n" not in sentence


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
    _, errors = ends_of_a_worker_that_is_sent(line.replace(b"\n", b" "), isolation)
    assert b"Traceback" not in errors
