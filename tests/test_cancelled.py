"""A run that is cancelled shows what was measured, and one line for the rest, wherever it runs."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import threading
from contextlib import suppress

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbbench
from nbbench.cli import main
from nbbench.display.choose_display import NoDisplay
from nbbench.execution import job as jobs
from tests.conftest import wait_until

REST = "third probe inference, batch 8 × length 8 and 2 more: not started: the run was cancelled"


@pytest.fixture
def sweep(probe, tmp_path, monkeypatch):
    """Folders of five models: the first is measured, and the second never ends."""
    for name, call in (
        ("first", "nothing"), ("second", "hang"), ("third", "nothing"), ("fourth", "nothing"),
        ("fifth", "nothing"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        config = {"model_type": "probe", "call": call}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    return ["first", "second", "third", "fourth", "fifth"]


FLAGS = "-s 8 --frameworks probe --max-time 0.1 --rounds 1"
ONE = {"sequence_lengths": [8], "frameworks": ["probe"], "max_time": 0.1, "rounds": 1}


def when_second_runs(act):
    """Do something once the second model runs, in a thread of its own."""

    def runs():
        found = [job for job in tuple(jobs._unfinished) if job.progress.current is not None]
        return found and found[0].progress.current.model == "second"

    thread = threading.Thread(target=lambda: wait_until(runs) and act())
    thread.start()
    return thread


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def assert_one_line_for_the_rest(text):
    """Of a report in whichever form: a row for what was begun, one line for what was not."""
    assert text.count("and 2 more") == 1
    assert text.replace("**", "").count(REST) == 1
    assert "first" in text
    assert "second" in text
    assert "fourth" not in text
    assert "fifth" not in text


@pytest.mark.parametrize("form", [[], ["--tables"], ["--markdown"]])
def test_in_a_shell(sweep, capsys, form):
    thread = when_second_runs(interrupt)
    assert main(["run", *sweep, *FLAGS.split(), *form]) == 130
    thread.join()
    shown = capsys.readouterr()
    assert_one_line_for_the_rest(shown.out.split("ENVIRONMENT INFORMATION")[0])
    assert "fourth" not in shown.err
    assert shown.err.strip().endswith("3 skipped, 1 ok, 1 cancelled")


def test_by_the_magic(sweep, capsys):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "nbbench")
    thread = when_second_runs(interrupt)
    result = shell.run_cell(f"%tfbench {' '.join(sweep)} {FLAGS}", store_history=True)
    thread.join()
    InteractiveShell.clear_instance()
    result.raise_error()
    report = result.result
    assert report.speed.status.tolist() == ["ok", "cancelled", *["skipped"] * 3]
    assert_one_line_for_the_rest(capsys.readouterr().out)
    assert_one_line_for_the_rest(report.to_markdown())
    table, below = report._repr_latex_().split(r"\end{tabular}")
    assert "first" in table
    assert "third" not in table
    assert below.strip().startswith("skipped: third")
    text = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", report._repr_html_()))
    assert_one_line_for_the_rest(text.partition("config_sources")[0].replace("more :", "more:"))


def test_by_the_form(sweep, monkeypatch):
    from nbbench.notebook import live

    shown = []

    class Handle:
        def update(self, output):
            shown.append(output._repr_mimebundle_())

    monkeypatch.setattr(live, "display", lambda *_, **__: Handle())
    form = nbbench.form(*sweep, sequence_lengths=[8], frameworks=["probe"], max_time=0.1, rounds=1)
    form._results.append(live.LiveResults())
    thread = when_second_runs(form.cancel)
    form.run()
    wait_until(lambda: shown and not form._running)
    thread.join()
    text, html = shown[-1]["text/plain"], shown[-1]["text/html"]
    assert_one_line_for_the_rest(text)
    html = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", html)).partition("config_sources")[0]
    assert_one_line_for_the_rest(html.replace("more :", "more:"))


def test_beside_an_earlier_run(sweep):
    thread = when_second_runs(nbbench.cancel)
    report = nbbench.run(
        *sweep, sequence_lengths=[8], frameworks=["probe"], max_time=0.1, rounds=1, progress=False
    )
    thread.join()
    compared = report.compare(report)
    assert len(compared.frame) == 5
    for text in (repr(compared), compared.to_markdown(), compared._repr_html_()):
        assert_one_line_for_the_rest(text)


def test_before_anything_was_begun(sweep):
    running = nbbench.submit("second", sequence_lengths=[8], frameworks=["probe"])
    waiting = nbbench.submit(*sweep, sequence_lengths=[8], frameworks=["probe"])
    nbbench.cancel()
    assert waiting.wait(60)
    assert running.wait(60)
    report = waiting.report()
    for text in (repr(report), report.to_markdown(), report._repr_latex_()):
        lines = [line for line in text.splitlines() if not line.startswith("busy machine")]
        assert "".join(lines).startswith(("skipped: first", "- **skipped: first"))
        assert text.count("and 4 more") == 1
        assert "second" not in text


@pytest.mark.parametrize(
    ("moment", "statuses"),
    [
        ("__enter__", ["skipped", "cancelled"]),
        ("update", ["skipped", "cancelled"]),
        ("__exit__", ["ok"]),
    ],
)
def test_an_interrupt_of_the_display_loses_no_report(sweep, monkeypatch, moment, statuses):
    usual = getattr(NoDisplay, moment)

    def interrupted(*_):
        monkeypatch.setattr(NoDisplay, moment, usual)  # once
        raise KeyboardInterrupt

    monkeypatch.setattr(NoDisplay, moment, interrupted)
    model = "first" if moment == "__exit__" else "second"
    report = nbbench.run(model, **ONE, progress=False)
    assert report.speed.status.tolist()[0] in statuses


def test_an_error_of_the_display_leaves_no_benchmark_behind(sweep, monkeypatch):
    def fail(*_):
        raise ValueError("the display")

    monkeypatch.setattr(NoDisplay, "update", fail)
    with pytest.raises(ValueError, match="the display"):
        nbbench.run("second", **ONE, progress=False)
    wait_until(lambda: not jobs._unfinished)
    with pytest.raises(ValueError, match="the display"):
        asyncio.run(nbbench.arun("second", **ONE, progress=False))
    wait_until(lambda: not jobs._unfinished)


def test_an_interrupt_as_the_thread_begins_leaves_no_benchmark_behind(sweep, monkeypatch):
    start = threading.Thread.start

    def interrupted(thread):
        start(thread)
        if thread.name == "nbbench-job":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nbbench.run("second", **ONE, progress=False)
    assert nbbench.run("first", **ONE, progress=False).speed.status.tolist() == ["ok"]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_terminal_that_goes_away_costs_no_result(sweep, monkeypatch, when):
    ours, theirs = pty.openpty()
    stderr = open(theirs, "w")  # noqa: SIM115
    monkeypatch.setattr("sys.stderr", stderr)
    if when == "before":
        os.close(ours)
    seen = []

    def on_result(result):
        if when == "meanwhile" and not seen:
            os.close(ours)
        seen.append(result)

    report = nbbench.run("first", "third", **ONE, on_result=on_result)
    with suppress(OSError):
        stderr.close()
    assert report.speed.status.tolist() == ["ok", "ok"]
    assert len(seen) == 2
