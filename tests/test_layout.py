"""Printed tables fit the terminal, and pages the notebook; no column is lost."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.html_page import results_html
from nbbench.report.layout import Table, fit, short_labels
from nbbench.report.report import Report
from nbbench.report.tables import as_text
from nbbench.text import printed_width, shortened
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.test_plots import out_of_memory, result

LONG = "an-organisation-with-a-long-name/a-model-whose-name-does-not-end-soon-uncased"


def varied(**axes):
    """A noisy result whose case has these axes."""
    known = result(LONG, 8, 512, 0.123)
    timing = replace(known.outcome.timing, noisy=True)
    case = replace(known.case, **axes)
    return Result(case, replace(known.outcome, timing=timing))


def test_a_default_beside_one_other_value_is_named():
    named = [varied(attention=attention) for attention in ("default", "eager")]
    shown = Report(named, MachineFacts(), {}).summary
    assert shown.attention.tolist() == ["default", "eager"]
    ways = (("eager", ""), ("compile", "default"))
    compiled = [varied(execution=execution, compile_mode=mode) for execution, mode in ways]
    shown = Report(compiled, MachineFacts(), {}).summary
    assert "attention" not in shown
    assert "compile mode" not in shown  # which follows from the execution


def wide_report():
    results = [
        varied(mode=mode, dtype=dtype, execution=execution, attention=attention, model=model)
        for model in (LONG, LONG + "-v2")
        for mode in ("inference", "training")
        for dtype in ("float32", "bfloat16")
        for execution in ("eager", "torchscript")
        for attention in ("eager", "flash_attention_2")
    ]
    return Report([*results, out_of_memory(LONG, 8, 512)], MachineFacts(), {})


def table_lines(text):
    """The lines of the tables: all before what all rows share or why cases failed."""
    return re.split(r"^(?:in all rows|oom|skipped|error): ", text, flags=re.MULTILINE)[
        0
    ].splitlines()


@pytest.mark.parametrize("width", [200, 120, 100, 80])
def test_no_line_of_a_table_is_wider_than_the_terminal_and_no_column_is_lost(width):
    report = wide_report()
    text = as_text(report.results, report.facts, None, width)
    assert max(map(printed_width, table_lines(text))) <= width
    for head in report.summary.columns:
        assert head in text
    for cell in ("8", "512", "158.0"):
        assert cell in text


def test_what_is_the_same_in_all_rows_goes_below_and_models_stay_apart():
    report = wide_report()
    text = as_text(report.results, report.facts, None, 80)
    assert "in all rows: batch 8, length 512" in text
    first = [line.split()[0] for line in table_lines(text) if "…" in line]
    assert len(set(first)) == 2


def test_a_table_that_fits_is_as_it_is_and_a_file_has_no_width(tmp_path):
    report = wide_report()
    text = as_text(report.results, report.facts)
    assert LONG in text.splitlines()[1]
    assert text == as_text(report.results, report.facts, None, 10_000)
    assert len({len(line) for line in text.splitlines()[: 1 + len(report.results)]}) == 1


@pytest.mark.parametrize("columns", [80, 120])
def test_a_real_terminal_is_filled_and_not_overrun(tmp_path, columns):
    file = wide_report().save(tmp_path / "x.nbbench.json")
    code = f"import nbbench; print(nbbench.Report.load({str(file)!r}))"
    ours, theirs = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns)}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, env=environ)
    os.close(theirs)
    output = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        output += chunk
    assert process.wait(60) == 0
    lines = table_lines(output.decode().replace("\r\n", "\n"))
    assert columns - 25 < max(map(printed_width, lines)) <= columns


def test_one_row_keeps_its_sizes():
    table = Table(["model", "batch", "time"], [[LONG, "8", "1 s"]], ("model", "batch"))
    (fitting,) = fit(table, 40).tables
    assert fitting.heads == ["model", "batch", "time"]


def test_an_overlong_table_is_divided_and_each_part_names_its_rows():
    heads = ["model", *(f"column {number}" for number in range(20))]
    rows = [["a", *map(str, range(20))], ["b", *map(str, range(20))]]
    layout = fit(Table(heads, rows, ("model",)), 40)
    assert [head for table in layout.tables for head in table.heads[1:]] == heads[1:]
    assert {table.heads[0] for table in layout.tables} == {"model"}
    assert all([row[0] for row in table.rows] == ["a", "b"] for table in layout.tables)


def test_labels_lose_their_middle_and_no_two_become_one():
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("abc", 7) == "abc"
    assert printed_width(shortened("模" * 30, 9)) <= 9
    labels = [f"{'x' * 30}{number}{'y' * 30}" for number in range(10)]
    assert short_labels(labels, 16)[labels[7]] == "xxxxxx…7…yyyyyy"
    at_both_ends = [f"{number}{'z' * 99}{number}" * 2 for number in range(100)]
    inside = [f"{'x' * 30}{'ab'[n % 2] * 40}{n}{'cd'[n % 2] * 40}" for n in range(40)]
    for hard in (labels, ["x", *labels], at_both_ends, inside):
        short = short_labels(hard, 16)
        assert len(set(short.values())) == len(hard)
        assert max(map(printed_width, short.values())) <= 16 + len("x (40)")
    assert set(short_labels(["a", "b"], 16).values()) == {"a", "b"}


def test_html_shows_long_names_in_full_to_a_pointer():
    html = results_html(wide_report().results)
    assert f'title="{LONG}"' in html
    assert f">{LONG}<" not in html
    for head in wide_report().summary.columns:
        assert f">{head}</th>" in html or head in ("batch", "length")


def test_the_tables_of_a_page_have_a_column_for_each_head():
    for table in re.findall(r"<table>.*?</table>", results_html(wide_report().results)):
        heads = table.count("<th ")
        assert {row.count("<td") for row in table.split("<tr")[2:]} == {heads}


def skipped(model, batch=1):
    return Result(Case("pytorch", model, {}, "given", batch, 8), Outcome.skipped())


def cancelled_report(count=2000):
    cancelled = Outcome(Status.CANCELLED, "cancelled while measuring", Phase.MEASURING)
    results = [result("done", 1, 8, 0.1), replace(skipped("cut"), outcome=cancelled)]
    rest = [skipped("never", batch) for batch in range(1, count + 1)]
    return Report([*results, *rest], MachineFacts(), {})


def test_a_cancelled_run_is_what_was_measured_and_one_line_for_the_rest(capsys, tmp_path):
    report = cancelled_report()
    report.print_tables()
    page = report.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    for text in (repr(report), capsys.readouterr().out, report.to_markdown(), page):
        assert text.count("never pytorch inference") == 1
        assert "1,999 more" in text
        assert "done" in text
    assert report.summary.model.tolist() == ["done", "cut"]
    assert report._repr_latex_().count("never") == 1
    assert len(report.speed) == 2002


def test_a_run_that_was_cancelled_before_it_began_is_one_line(capsys):
    report = Report([skipped("a"), skipped("b")], MachineFacts(nbbench_version="1"), {})
    assert repr(report).splitlines()[0] == (
        "skipped: a pytorch inference, batch 1 × length 8 and 1 more: not started: the run was "
        "cancelled before it"
    )
    report.print_tables()
    for text in (report.to_markdown(), report._repr_html_(), report._repr_latex_()):
        assert isinstance(text, str)
    assert len(report.summary) == 0


def test_a_log_of_a_cancelled_run_has_no_line_for_what_was_not_begun(capfd):
    from nbbench.display.log import LogDisplay
    from nbbench.execution.events import CaseEnded
    from nbbench.execution.progress import Progress

    report = cancelled_report(50)
    progress = Progress([r.case for r in report.results])
    with LogDisplay(progress):
        for r in report.results:
            progress.on_event(CaseEnded(r.case, r.outcome))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1].endswith("50 skipped, 1 ok, 1 cancelled")


def test_progress_is_shown_nowhere_without_a_console(monkeypatch):
    from nbbench.display.choose_display import NoDisplay, display_for
    from nbbench.execution.progress import Progress

    monkeypatch.setattr("sys.stderr", None)
    assert isinstance(display_for(Progress([]), shown=True), NoDisplay)


class Tee:
    """What many a script puts in a stream's stead: it writes and flushes, and has nothing more."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [Tee, closed])
def test_a_stream_in_the_terminals_stead_costs_neither_run_nor_table(monkeypatch, stream):
    from nbbench.display.choose_display import display_for
    from nbbench.execution.events import CaseEnded
    from nbbench.execution.progress import Progress

    report = cancelled_report(1)
    stdout, stderr = stream(), stream()
    monkeypatch.setattr("sys.stdout", stdout)
    monkeypatch.setattr("sys.stderr", stderr)
    progress = Progress([r.case for r in report.results])
    with display_for(progress, shown=True) as display:
        progress.on_event(CaseEnded(report.results[0].case, report.results[0].outcome))
        display.update()
    assert "done" in repr(report)
    if stream is Tee:
        assert stderr.text.startswith("1 of 3 · done")


def test_pictures_in_the_readme_are_there():
    root = Path(__file__).parent.parent
    for name in re.findall(r"docs/pictures/[\w.-]+", (root / "README.md").read_text()):
        assert (root / name).is_file()
