"""Whatever comes damaged, from a worker or a file, costs a sentence and nothing else."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from random import Random

import pytest

import nbbench
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.messages import (
    CaseFinished,
    CaseStarted,
    Event,
    PhaseChanged,
    ProtocolError,
    Request,
    RunCase,
    SamplingProgress,
    decode,
    encode,
)
from nbbench.worker.timing import Timing, Visit
from tests.conftest import paths_in
from tests.public_listing import FIXTURE

TIMING = Timing((Visit((1.0, 2.0), references=(0.1,)),), 1.5, 1.0, 2.0, 1, 1, 0, None, None, True)
CASE = Case("pytorch", "m", {"a": [1, {"b": None}]}, "given", 8, None)
OUTCOME = Outcome(Status.OK, phase=Phase.WARMING, timing=TIMING)


@pytest.mark.parametrize(
    "message",
    [
        RunCase(CASE, 3, False),
        CaseFinished(OUTCOME),
        CaseStarted(7),
        PhaseChanged(Phase.MEASURING),
        SamplingProgress(6, 0.1, None),
    ],
)
def test_a_message_comes_out_as_it_went_in(message):
    assert decode(encode(message), Request | Event) == message


def changed(message, **values):
    content = json.loads(encode(message))
    content.update(values)
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "is no message"),
        (b"{", "is no message"),
        (b"[1]", "is no message"),
        (b'{"v":2}', "is no message"),
        (b"[" * 100_000, "is no message"),
        (changed(CaseStarted(7), v=1), "of protocol 1, and this side speaks 3"),
        (changed(CaseStarted(7), type="CaseLost"), "'CaseLost' is not expected at this end"),
        (changed(CaseStarted(7), type=["CaseStarted"]), "is not expected at this end"),
        (encode(RunCase(CASE)), "'RunCase' is not expected at this end"),
        (changed(CaseStarted(7), pid="7"), "CaseStarted is damaged: pid is not a whole number"),
        (changed(CaseStarted(7), pid=True), "pid is not a whole number"),
        (changed(CaseStarted(7), more=1), "more is not known"),
        (changed(CaseStarted(7), **{"a\nb": 1}), "a b is not known"),
        (changed(CaseStarted(7), v="\n"), "of protocol '.*n', and this side speaks 3"),
        (changed(PhaseChanged(Phase.WARMING), phase="resting"), "PhaseChanged is damaged"),
        (changed(SamplingProgress(6, 0.1, None), median_s="fast"), "median_s is not a finite"),
        (changed(CaseFinished(OUTCOME), outcome=[]), "outcome is not a mapping"),
        (changed(CaseFinished(OUTCOME), outcome={"status": "fine"}), "CaseFinished is damaged"),
        (changed(CaseFinished(OUTCOME), outcome={}), "CaseFinished is damaged"),
    ],
)
def test_a_damaged_message_is_one_error_with_a_sentence(line, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        decode(line, Event)


def test_a_message_of_50_mib_takes_seconds():
    outcome = Outcome(Status.ERROR, reason="x" * (50 << 20))
    assert len(decode(encode(CaseFinished(outcome)), Event).outcome.reason) == 50 << 20


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.update(results=5),
        lambda content: content.update(results=[5]),
        lambda content: content.update(machine=[]),
        lambda content: content.update(environments=[{}]),
        lambda content: content["machine"].update(cpu_ram_mb="much"),
        lambda content: content["results"][0]["case"].update(batch_size="8"),
        lambda content: content["results"][0]["case"].update(more=1),
        lambda content: content["results"][0]["outcome"].update(status="fine"),
        lambda content: content["results"][0]["outcome"].update(reason=None),
        lambda content: content["results"][0]["outcome"]["timing"].update(median_s=0),
        lambda content: content["results"][0]["outcome"]["timing"].update(median_s="1"),
        lambda content: content["results"][0]["outcome"]["timing"].update(visits=[]),
        lambda content: content["results"][0]["outcome"]["timing"]["visits"][0].update(samples=[]),
        lambda content: content["results"][0]["outcome"]["memory"].update(peak=0.5),
    ],
)
def test_a_damaged_report_is_refused_in_one_sentence(tmp_path, damage):
    content = nbbench.Report.load(FIXTURE).to_dict()
    damage(content)
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content))
    with pytest.raises(nbbench.OutputError, match="is a damaged report") as caught:
        nbbench.Report.load(file)
    assert "\n" not in str(caught.value)


def _lines(content):
    (lines,) = (r["outcome"]["lines"] for r in content["results"] if r["outcome"]["lines"])
    return lines


def nested(depth):
    return [nested(depth - 1)] if depth else []


def _visit(content):
    return content["results"][0]["outcome"]["timing"]["visits"][0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: _lines(content).update(steps=[[10**6, 1, None]]),
        lambda content: _lines(content).update(lines=[]),
        lambda content: content["environments"][0]["values"].update(x=nested(300)),
        lambda content: content["results"][0]["case"]["config"].update(x={"y": nested(150)}),
        lambda content: _lines(content)["steps"][0].__setitem__(0, -1),
        lambda content: _visit(content).update(references=[0.0]),
        lambda content: _visit(content).update(references=[-1.0, 1.0]),
        lambda content: _visit(content).update(samples=[5e-324]),
        lambda content: _visit(content).update(samples=[1e308, 1e308]),
        lambda content: content["results"][0]["outcome"]["timing"].update(median_s=5e-324),
    ],
)
def test_what_could_not_be_drawn_or_compared_is_damage(tmp_path, damage):
    """Figures that break only when someone looks at them are refused when they are read."""
    test_a_damaged_report_is_refused_in_one_sentence(tmp_path, damage)


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/null", None, 3, b"x", "a\0b", "x" * 5000])
def test_what_is_no_file_of_a_report_is_refused_in_one_sentence(file):
    with pytest.raises(nbbench.OutputError) as caught:
        nbbench.Report.load(file)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("path", [None, 3, b"x", "", "a\0b", "\ud800", [], float("nan")])
def test_what_is_no_path_is_refused_wherever_one_is_given(path):
    report = nbbench.Report.load(FIXTURE)
    for write in (report.save, report.to_csv, report.to_html, nbbench.Report.load):
        with pytest.raises(nbbench.OutputError, match="is no path; give that of a file"):
            write(path)


@pytest.mark.parametrize(
    "values",
    [
        {"other": "old.nbbench.json"}, {"by": []}, {"by": None}, {"baseline": []},
        {"by": "x" * 5000}, {"by": "model", "baseline": "x" * 5000}, {"matters": "5%"},
        {"matters": float("nan")}, {"matters": -1}, {"matters": None},
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_short_sentence(values):
    with pytest.raises(nbbench.ArgumentError) as caught:
        nbbench.Report.load(FIXTURE).compare(**values)
    assert len(str(caught.value)) < 500


def test_names_that_cannot_be_written_are_written_otherwise(tmp_path):
    content = nbbench.Report.load(FIXTURE).to_dict()
    content["environments"][0]["values"]["\ud800"] = 1
    file = tmp_path / "x.json"
    file.write_text(json.dumps(content))
    nbbench.Report.load(file).to_html(tmp_path / "x.html")
    assert "?" in nbbench.Report.load(file).environment.index


def test_a_configuration_nested_too_deeply_is_refused_in_one_sentence(tmp_path):
    config = {"model_type": "probe", "x": nested(150)}
    with pytest.raises(nbbench.ArgumentError, match="number 1 is nested deeper than 100 levels"):
        nbbench.run(configs=config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(nbbench.ModelNotFound, match="is nested too deeply"):
        nbbench.run(str(tmp_path))


def test_deep_nesting_is_refused_in_one_sentence(tmp_path):
    file = tmp_path / "x.json"
    file.write_text("[" * 200_000)
    with pytest.raises(nbbench.OutputError, match="cannot be read as a report"):
        nbbench.Report.load(file)


PROBE = {"frameworks": "probe", "sequence_lengths": 8, "max_time": 0.2, "progress": False}


def probe_run(*calls, **more):
    configs = [{"model_type": "probe", **call} for call in calls]
    return nbbench.run(configs=configs, **PROBE, **more)


@pytest.mark.parametrize("isolation", ["fork", "process"])
def test_a_worker_that_dies_of_a_nameless_signal_costs_its_case_alone(probe, isolation):
    report = probe_run({}, {"call": "signal_40"}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["ok", "crashed", "ok"]
    assert "signal 40" in report.speed.reason[1]


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, ValueError])
def test_whatever_on_result_raises_the_rows_are_in_the_report_and_the_file(probe, tmp_path, raised):
    def on_result(result):
        raise raised("stop")

    saved = tmp_path / "x.nbbench.json"
    with pytest.warns(RuntimeWarning, match=f"on_result failed with {raised.__name__}: stop"):
        report = probe_run({}, {}, on_result=on_result, save=saved)
    assert report.speed.status.tolist() == ["ok", "ok"]
    assert nbbench.Report.load(saved) == report


def test_what_breaks_the_measuring_itself_leaves_what_was_measured(probe, tmp_path, monkeypatch):
    from nbbench.execution import rounds

    end = rounds._Visited.end

    def break_at_the_second(visited, *more):
        if visited.case.model == "probe-2":
            raise RuntimeError("a fault of nbbench's own")
        return end(visited, *more)

    monkeypatch.setattr(rounds._Visited, "end", break_at_the_second)
    saved = tmp_path / "x.nbbench.json"
    with pytest.warns(RuntimeWarning, match="broke off with RuntimeError: a fault"):
        report = probe_run({}, {}, rounds=1, save=saved)
    assert report.speed.model.tolist()[0] == "probe-1"
    assert nbbench.Report.load(saved).speed.model.tolist()[0] == "probe-1"


def test_cancel_ends_all_that_run_or_wait_however_many(probe):
    hanging = [{"model_type": "probe", "call": "hang"}]
    arguments = {name: value for name, value in PROBE.items() if name != "progress"}
    jobs = [nbbench.submit(configs=hanging, **arguments) for _ in range(40)]
    nbbench.cancel()
    assert all(job.wait(60) for job in jobs)


def test_a_signal_amid_the_handling_of_one_does_not_wait_for_a_lock(probe):
    code = (
        "import signal, sys; import nbbench; from nbbench.cli import interrupt\n"
        "from nbbench import BenchmarkArguments\n"
        "from nbbench.execution.job import Job; from nbbench.plan.plan import Plan\n"
        "plan = Plan(BenchmarkArguments(models=['m'], frameworks=['pytorch']), [], {}, {})\n"
        "job = Job(plan, lambda is_cancelled: iter(()))\n"
        "job.wait()\n"
        "import nbbench.execution.job as jobs; jobs._unfinished.add(job)\n"
        "count = 0\n"
        "def trace(frame, event, argument):\n"  # a signal at each line of the handler
        "    global count\n"
        "    if event == 'line' and count < 10_000 and 'nbbench' in frame.f_code.co_filename:\n"
        "        count += 1; sys.settrace(None); signal.raise_signal(signal.SIGINT)\n"
        "        sys.settrace(trace)\n"
        "    return trace\n"
        "with interrupt.signals_end_runs():\n"
        "    sys.settrace(trace); signal.raise_signal(signal.SIGINT); sys.settrace(None)\n"
        "jobs._unfinished.clear()\n"
        "assert count and job._is_cancelled()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("isolation", ["fork", "process", "none"])
@pytest.mark.parametrize("raised", ["keyboard_interrupt", "system_exit"])
def test_a_case_that_interrupts_itself_is_an_error(probe, isolation, raised):
    report = probe_run({}, {"call": raised}, {}, isolation=isolation)
    assert report.speed.status.tolist() == ["ok", "error", "ok"]


HOSTILE = (
    None,
    True,
    "",
    "x",
    [],
    [[]],
    {},
    {"": {}},
    0,
    -1,
    1.5,
    10**400,
    1e308,
    "<b>$",
    "\ud800",
)


def test_any_other_value_anywhere_is_refused_or_shown(tmp_path):
    """Each part of a saved report, by each value that it should not have."""
    content = nbbench.Report.load(FIXTURE).to_dict()
    content["results"] = content["results"][:1]
    timing = content["results"][0]["outcome"]["timing"]
    for visit in timing["visits"]:
        visit["samples"] = visit["samples"][:2]
    file, random = tmp_path / "x.json", Random(1)
    for path in paths_in(content):
        for value in random.sample(HOSTILE, 4):
            damaged = copy.deepcopy(content)
            part = damaged
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = value
            file.write_text(json.dumps(damaged))
            report, sentence = None, ""
            try:
                report = nbbench.Report.load(file)
            except nbbench.OutputError as error:
                sentence = str(error)
            if report is None:
                assert len(sentence) < 500, (path, value)
                assert "\n" not in sentence, (path, value)
                continue
            try:
                _ = repr(report), report._repr_html_(), report.speed, report.memory, report.lines
                _ = report.environment, report.plot
                report.save(tmp_path / "again.json")
                assert nbbench.Report.load(tmp_path / "again.json") == report
            except Exception as error:
                raise AssertionError(f"{path}: {value!r}") from error
