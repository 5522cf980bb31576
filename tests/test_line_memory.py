"""Memory line by line: what a trace sees, and what is drawn from it."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import nbbench
from nbbench.hf.line_memory import Memory, memory_summary
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.dataframes import lines_frame
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.line_trace import trace_lines
from nbbench.worker.measure import wall_stopwatch
from nbbench.worker.memory_profile import LineTrace, SourceLine
from nbbench.worker.process_memory import ProcessMemory
from nbbench.worker.resident import release_free_memory
from tests.conftest import TINY_BERT

CASE = Case("pytorch", "tiny", {}, "given", 1, 8)
MIB = 2**20


def hold(mib):
    kept = bytearray(mib * MIB)
    for page in range(0, len(kept), 4096):
        kept[page] = 1
    return kept


def call_that_holds_and_frees():
    kept = hold(64)
    del kept
    return None


def trace(call):
    release_free_memory()  # as a case does
    return trace_lines(call, wall_stopwatch(), ProcessMemory().now, "tests")


def traced_in_a_new_process(call):
    """The trace of a call that finds no memory which other tests have used and freed."""
    code = f"""
import pickle, sys
from tests.test_line_memory import {call.__name__}, trace
sys.stdout.buffer.write(pickle.dumps(trace({call.__name__})))
"""
    command = [sys.executable, "-c", code]
    return pickle.loads(subprocess.check_output(command, cwd=Path(__file__).parent.parent))


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is exact on Linux alone")
def test_a_line_is_charged_with_what_it_holds_and_frees():
    trace = traced_in_a_new_process(call_that_holds_and_frees)
    assert trace.whole
    summary = memory_summary(trace)
    own = [state for state in summary.sequential if "kept" in state.frame.line_text]
    grown = sum(s.cpu.bytes for s in own if "del" not in s.frame.line_text)
    freed = sum(s.cpu.bytes for s in own if "del kept" in s.frame.line_text)
    assert grown == pytest.approx(64 * MIB, abs=2 * MIB)
    assert freed == pytest.approx(-64 * MIB, abs=2 * MIB)
    assert summary.cumulative[0].frame.line_text.strip().startswith("kept")
    assert all(state.frame.filename == "tests/test_line_memory.py" for state in own)


def call_of_many_lines():
    for number in range(50_000):
        kept = number
    return kept


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is exact on Linux alone")
def test_no_line_is_charged_with_the_tracers_own_memory():
    trace = traced_in_a_new_process(call_of_many_lines)
    assert trace.whole
    assert len(trace.steps) > 100_000
    (_, first, _), (_, last, _), (end, _) = trace.steps[0], trace.steps[-1], trace.end
    assert max(last, end) - first < MIB


def test_what_is_not_kept_of_a_long_call_is_charged_to_none_of_its_lines(monkeypatch):
    monkeypatch.setattr("nbbench.worker.line_trace.MAX_STEPS", 1000)
    held = itertools.count(10**9, MIB)
    trace = trace_lines(call_of_many_lines, wall_stopwatch(), lambda: (next(held), None), "tests")
    assert not trace.whole
    assert {change for _, (change, _), _ in trace.changes()} == {MIB}
    result = Result(CASE, Outcome(Status.OK, lines=trace))
    text = repr(nbbench.Report([result], MachineFacts(), {}))
    assert "1,000 rows in report.lines (--csv, --tables); 1 case ran more lines than are" in text
    monkeypatch.setattr("nbbench.worker.line_trace.MAX_STEPS", len(trace.steps) + 200_000)
    assert trace_lines(call_of_many_lines, wall_stopwatch(), lambda: (1, None), "tests").whole


def test_files_have_the_numbers_of_ones_own_lines_and_not_their_text(tmp_path):
    line = SourceLine("net.py", "net", 3, "secret = x * 3.14159")
    trace = LineTrace((line,), ((0, MIB, None),), (2 * MIB, None), traced_s=1.0)
    for case, kept in (
        (CASE, True),
        (replace(CASE, trust_remote_code=True), False),
        (replace(CASE, config={"model_type": "own code"}), False),
    ):
        report = nbbench.Report([Result(case, Outcome(Status.OK, lines=trace))], MachineFacts(), {})
        assert report.lines.line.tolist() == [line.text]
        saved = report.save(tmp_path / "x.nbbench.json")
        report.to_csv(tmp_path)
        for file in (saved, tmp_path / "lines.csv"):
            assert ("secret" in file.read_text()) is kept
            assert "net.py" in file.read_text()


def test_lines_of_an_earlier_report_do_not_stay_beside_the_tables_of_another(tmp_path):
    line = SourceLine("a/b.py", "a.b", 3, "y = x")
    trace = LineTrace((line,), ((0, MIB, None),), (2 * MIB, None), traced_s=1.0)
    for lines in (trace, None):
        outcome = Outcome(Status.OK, lines=lines)
        nbbench.Report([Result(CASE, outcome)], MachineFacts(), {}).to_csv(tmp_path)
        assert (tmp_path / "lines.csv").exists() is (lines is not None)
    (tmp_path / "lines.csv").write_text("mine\n")
    nbbench.Report([Result(CASE, Outcome(Status.OK))], MachineFacts(), {}).to_csv(tmp_path)
    assert (tmp_path / "lines.csv").read_text() == "mine\n"


def test_only_the_librarys_own_lines_are_seen_and_the_old_tracer_is_put_back():
    def watcher(frame, event, argument):
        return None

    before = sys.gettrace()
    sys.settrace(watcher)
    try:
        read = ProcessMemory().now
        trace = trace_lines(call_that_holds_and_frees, wall_stopwatch(), read, "someone_elses")
        after = sys.gettrace()
    finally:
        sys.settrace(before)
    assert after is watcher
    assert trace.steps == ()
    assert memory_summary(trace) == ([], [], [], Memory(0))


def test_sums_are_by_line_and_the_total_counts_what_was_added():
    lines = tuple(SourceLine("a/b.py", "a.b", n, f"line {n}") for n in (1, 2))
    held = [(0, 10, 0), (1, 14, 1), (0, 13, 1), (1, 20, 1)]
    steps = tuple((line, cpu * MIB, gpu * MIB) for line, cpu, gpu in held)
    trace = LineTrace(lines, steps, (20 * MIB, 4 * MIB), traced_s=1.0)
    sequential, cumulative, current, total = memory_summary(trace)
    assert [state.cpu_gpu.bytes // MIB for state in sequential] == [5, -1, 7, 3]
    assert [(s.frame.line_number, s.cpu_gpu.bytes // MIB) for s in cumulative] == [(1, 12), (2, 2)]
    assert [state.cpu_gpu.bytes // MIB for state in current] == [15, 14, 21, 24]
    assert total == Memory(15 * MIB)
    assert repr(total) == "15"
    rows = lines_frame([Result(CASE, Outcome(Status.OK, lines=trace))]).to_dict("records")
    assert [row["gpu_mib"] for row in rows] == [1, 0, 0, 3]
    assert rows[-1]["held_cpu_mib"] == 20


def test_every_case_has_its_lines_and_the_cost_is_told(tmp_path):
    pytest.importorskip("torch")
    report = nbbench.run(
        "tiny", configs=[TINY_BERT], batch_sizes=[1, 2], sequence_lengths=[8], device="cpu",
        trace_memory_line_by_line=True, execution=["eager", "torchscript"], max_time=0.2,
        progress=False,
    )  # fmt: skip
    assert report.speed.status.tolist() == ["ok", "unsupported"] * 2
    assert "use execution eager" in report.speed.reason[1]
    lines = report.lines
    assert set(lines.batch_size) == {1, 2}
    assert lines.file.str.startswith("transformers/models/bert/").any()
    assert not lines.file.str.contains("site-packages").any()
    assert lines.held_gpu_mib.isna().all()
    held = report.memory.baseline_mib[0] + report.memory.weights_mib[0]
    assert lines.held_cpu_mib.min() > 0.9 * held
    assert (report.memory.traced_s > report.speed.min_s)[[0, 2]].all()
    saved = report.save(tmp_path / "x.nbbench.json")
    loaded = nbbench.Report.load(saved)
    assert loaded == report
    assert loaded.lines.equals(lines)
    plain = nbbench.run("tiny", configs=[TINY_BERT], sequence_lengths=[8], max_time=0.1,
                        progress=False)  # fmt: skip
    assert plain.lines.empty
