"""Work grows as the number of cases does, and no faster; what is asked beside a run is flat."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbbench.arguments.schema import BenchmarkArguments
from nbbench.execution.events import CaseEnded, CaseEvent, CaseVisited
from nbbench.execution.listeners import Autosave, KeepHistory, Recorder
from nbbench.execution.progress import Progress
from nbbench.hf.tables import former_tables
from nbbench.machine.gpus import GpuFacts
from nbbench.machine.machine import MachineFacts, describe_machine
from nbbench.plan.estimate import expected_seconds
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.report import Report
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.messages import PhaseChanged
from tests.test_plots import result


def report(count):
    """As many cases, of a few models; every tenth failed, each for a reason of its own."""
    results = []
    for number in range(count):
        known = result(
            f"model-{number % 7}", 1 + number // 7, 8 << (number % 5), 1e-3 * (number + 1)
        )
        if number % 10 == 0:
            failed = Outcome(Status.ERROR, f"failed for the {number}th time", Phase.BUILDING)
            known = Result(known.case, failed)
        results.append(known)
    return Report(results, MachineFacts(), {})


def steps(work):
    """How many instructions of Python's a piece of work takes, whatever the machine is doing."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def arguments(count):
    numbers = list(range(1, count + 1))
    names = [f"m{number}" for number in numbers]
    return lambda: BenchmarkArguments(models=names, batch_sizes=numbers, sequence_lengths=numbers)


def of_report(work):
    """Work on a report of so many cases, made beforehand."""

    def sized(count):
        whole = report(count)
        return lambda: work(whole)

    return sized


WORK = {
    "speed": of_report(lambda r: r.speed),
    "memory": of_report(lambda r: r.memory),
    "summary": of_report(lambda r: r.summary),
    "text": of_report(repr),
    "html": of_report(lambda r: r._repr_html_()),
    "markdown": of_report(lambda r: r.to_markdown()),
    "latex": of_report(lambda r: r._repr_latex_()),
    "json": of_report(lambda r: r.to_dict()),
    "tables": of_report(lambda r: former_tables(r.results, r.facts)),
    "estimate": of_report(
        lambda r: expected_seconds([known.case for known in r.results], r.results)
    ),
    "arguments": arguments,
}


@pytest.mark.parametrize("name", WORK)
def test_four_times_as_many_cases_take_about_four_times_the_steps(name):
    steps(WORK[name](10))  # what is imported or compiled once
    few, many = steps(WORK[name](100)), steps(WORK[name](400))
    assert many < 5.5 * few


def progress(count):
    """A benchmark half of whose cases have ended, and a quarter of which were visited."""
    whole = report(count)
    followed = Progress([known.case for known in whole.results])
    for known in whole.results[: count // 2]:
        followed.on_event(CaseEnded(known.case, known.outcome))
    for known in whole.results[count // 2 : 3 * count // 4]:
        if known.outcome.status is Status.OK:
            followed.on_event(CaseVisited(known.case, known.outcome))
    followed.on_event(CaseEvent(whole.results[-1].case, PhaseChanged(Phase.WARMING)))
    return followed


def refresh(followed):
    followed.line()
    assert 0 < followed.share < 1
    assert len(followed.latest_rows()) <= 100


def test_a_refresh_of_the_progress_line_costs_the_same_for_many_cases_as_for_few():
    few, many = progress(200), progress(2000)
    refresh(few)
    assert steps(lambda: refresh(many)) < 1.2 * steps(lambda: refresh(few))


def test_following_the_events_grows_hardly_faster_than_the_cases_do():
    steps(lambda: progress(10))
    assert steps(lambda: progress(800)) < 6 * steps(lambda: progress(200))  # n log n


def test_the_sums_of_the_progress_line_are_those_of_its_cases():
    followed = progress(400)
    waiting = [case for case in followed.cases if case in followed._waiting]
    known = expected_seconds(waiting, followed.results)
    assert followed._seconds_of_waiting == pytest.approx(known, rel=0.2)
    whole = report(400)
    for case in followed.cases:
        outcome = next(known.outcome for known in whole.results if known.case == case)
        followed.on_event(CaseEnded(case, outcome))
    assert followed.seconds_left() == pytest.approx(0, abs=1e-6)
    assert not followed._waiting
    assert not followed._visited


def test_the_most_similar_case_is_found():
    def of_size(model, batch, seconds):
        case = Case("pytorch", model, {}, "given", batch, 1, speed=False)
        return Result(case, Outcome(Status.OK, wall_s=seconds))

    known = [of_size("m", 1, 1), of_size("m", 8, 8), of_size("m", 64, 64), of_size("n", 9, 100)]
    asked = {1: 1, 2: 1, 5: 8, 20: 8, 30: 64, 1000: 64}
    for batch, seconds in asked.items():
        assert expected_seconds([of_size("m", batch, 0).case], known) == seconds
    assert expected_seconds([of_size("new", 9, 0).case], known) == 100
    untimed = of_size("m", 9, 0).case
    assert expected_seconds([untimed], []) == 2
    assert (
        expected_seconds([dataclasses.replace(untimed, speed=True, rounds=3, max_time=10)], [])
        == 10 + 3 * 2
    )


def followed(count, folder):
    """What saves and keeps a sweep of so many cases, whose GPU has other clocks in each of them."""
    whole = report(count)
    recorder = Recorder([known.case for known in whole.results])
    recorder.machine = describe_machine()
    number = len(list(folder.iterdir()))
    saved = Autosave(recorder, folder / f"{number}.json")
    listeners = [
        recorder,
        saved,
        KeepHistory(folder / "data" / "history.sqlite", recorder, lambda texts: None),
        Progress(recorder._cases),
    ]

    def work():
        for index, known in enumerate(whole.results):
            gpu = GpuFacts(gpu="one", gpu_clock_sm_mhz=index)
            machine = dataclasses.replace(recorder.machine, time=str(index))
            worker = WorkerFacts({"framework_version": "1"}, gpu, machine)
            for listener in listeners:
                listener.on_event(CaseEnded(known.case, known.outcome, worker))

    return work


def test_saving_and_keeping_a_case_costs_the_same_however_many_there_are(tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "history.sqlite"))
    steps(followed(10, tmp_path))
    few, many = steps(followed(25, tmp_path)), steps(followed(100, tmp_path))
    assert many < 5.5 * few


SWEEP = int(os.environ.get("NBBENCH_TEST_SWEEP", "1000"))
"""Cases; ten thousand take ten minutes."""


@pytest.mark.slow
@pytest.mark.timeout(120 + SWEEP)
def test_a_long_sweep_costs_little_beside_its_measuring(tmp_path):
    """``NBBENCH_TEST_SWEEP=10000`` measures ten thousand cases three times."""
    file = Path(__file__).parent.parent / "docs" / "long_sweep.py"
    ended = subprocess.run(
        [sys.executable, str(file), "-n", str(SWEEP)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    print(ended.stdout)
    beside = [float(ms) for ms in re.findall(r"([\d.]+) beside workers", ended.stdout)]
    grown = [float(mib) for mib in re.findall(r"([+-][\d.]+) MiB", ended.stdout)]
    assert len(beside) == 2
    assert max(beside) < 20
    assert max(grown[:3]) < 100


def test_a_value_that_is_given_twice_is_named_with_both_numbers():
    with pytest.raises(ValueError, match=r"models has 'b' twice \(numbers 2 and 4\); keep one"):
        BenchmarkArguments(models=["a", "b", "c", "b"])


@pytest.mark.slow
def test_ten_thousand_rows_take_less_than_five_seconds_each(tmp_path):
    whole = report(10_000)
    file = tmp_path / "x.json"
    works = {name: work(10_000) for name, work in WORK.items()}
    works |= {
        "save": lambda: whole.save(file),
        "load": lambda: Report.load(file),
        "csv": lambda: whole.to_csv(tmp_path),
        "page": lambda: whole.to_html(tmp_path / "x.html"),
    }
    seconds = {}
    for name, work in works.items():
        begun = time.perf_counter()
        work()
        seconds[name] = time.perf_counter() - begun
    assert {name: taken for name, taken in seconds.items() if taken > 5} == {}
    assert (tmp_path / "x.html").stat().st_size < 5e6
