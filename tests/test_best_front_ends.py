"""``--best`` and ``--within`` in the shell, the magic and the form, on real cases."""

from __future__ import annotations

import json
import re

import pytest
from IPython.core.error import UsageError

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.cli import main
from nbbench.errors import ArgumentError
from nbbench.notebook.completion import suggestions
from nbbench.notebook.form import Form
from nbbench.report.budget import budget_of_texts, check_against
from tests.conftest import wait_until

FLAGS = ["--frameworks", "probe", "-s", "8", "-b", "1", "2", "--max-time", "0.1"]


@pytest.fixture
def folder(probe, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    return str(tmp_path)


def test_the_shell_prints_the_best_below_the_table(folder, capsys, tmp_path):
    saved = tmp_path / "x.nbbench.json"
    best = ["--best", "throughput", "--within", "latency=1h", "memory=1TB"]
    assert (
        main(["run", folder, *FLAGS, *best, "--price-per-hour", "3600", "--save", str(saved)]) == 0
    )
    table, _, below = capsys.readouterr().out.partition("best by throughput")
    assert "cost/1k samples" in table
    assert "within latency 1h, memory 1TB" in below
    assert "surely" in below
    report = nbbench.Report.load(saved)
    costs = report.speed.cost_per_thousand_samples
    assert costs.tolist() == pytest.approx((1000 / report.speed.samples_per_s).tolist())
    assert json.loads(saved.read_text())["price_per_hour"] == 3600


def test_the_growing_csv_has_the_costs(folder, tmp_path):
    import pandas as pd

    tables = tmp_path / "csv"
    assert main(["run", folder, *FLAGS, "--price-per-hour", "1", "--csv", str(tables)]) == 0
    assert pd.read_csv(tables / "speed.csv").cost_per_thousand_samples.notna().all()


def test_a_best_that_was_not_measured_loses_no_table(folder, capsys):
    within = ["--within", "environment=nowhere"]
    assert main(["run", folder, *FLAGS, "--best", "latency", *within]) == 0
    printed = capsys.readouterr().out
    assert "peak MiB" in printed
    assert "no best: no case has environment 'nowhere'" in printed


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--best", "mmlu"], "best: 'mmlu' is nothing that a run measures; give one of latency"),
        (["--best", "latncy"], "did you mean 'latency'?"),
        (
            ["--best", "latency=5ms"],
            "has a limit; give the quantity alone, and limits with --within",
        ),
        (["--within", "latency=fast"], "latency: 'fast' is no time"),
        (["--best", "ttft"], "ttft is had of generation alone (generation=True)"),
        (["--best", "cost_per_thousand_samples"], "where an hour has a price"),
        (["--within", "mode=training"], "mode 'training' is none that is measured (inference)"),
        (["--best", "decode_tokens_per_s"], "is had of generation alone (generation=True)"),
        (["--best", "latency", "--no-speed"], "is had where time is measured (speed=True)"),
        (["--within", "sequence_length=64"], "sequence_length '64' is none that is measured ("),
        (["--within", "dtype=float16"], "dtype 'float16' is none that is measured (float32)"),
        (["--within", "new_tokens=8"], "new_tokens '8' is none that is measured (none is)"),
        (["--within", "memory=4"], "memory: '4' is no size of memory"),
        (["--price-per-hour", "0"], "price_per_hour"),
        (["--price-per-hour", "much"], "price_per_hour"),
    ],
)
def test_what_is_wrong_is_one_sentence_before_anything_is_measured(
    flags, sentence, folder, capsys, shell
):
    assert main(["run", folder, *FLAGS, *flags]) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == ""
    with pytest.raises(UsageError, match=re.escape(sentence)):
        shell.run_line_magic("tfbench", " ".join([folder, *FLAGS, *flags]))


@pytest.mark.parametrize(
    ("values", "within"),
    [
        ({"batch_sizes": "max"}, "batch_size=3"),
        ({"dtypes": "auto"}, "dtype=float16"),
        ({}, "execution=eager"),
        ({"lengths": [5, 9]}, "sequence_length=9"),
        ({"executions": "compile"}, "compile_mode=default"),
        ({"paddings": [0.5]}, "padding=0.50"),
    ],
)
def test_what_a_run_may_come_to_have_is_not_refused(values, within):
    arguments = BenchmarkArguments(models=["bert-tiny"], frameworks=["pytorch"], **values)
    check_against(budget_of_texts(None, [within]), arguments)


def test_the_magic_shows_the_best_below_the_table(shell, folder):
    flags = "--best latency --within latency=1h mode=inference --out kept"
    report = shell.run_line_magic("tfbench", f"{folder} {' '.join(FLAGS)} {flags}")
    assert shell.user_ns["kept"] is report
    for text in (repr(report), report._repr_html_(), report.to_markdown()):
        assert "best by latency within latency 1h, of mode inference" in text
    assert repr(report).index("peak MiB") < repr(report).index("best by latency")
    assert "best by" not in repr(report.with_best(None))


def test_a_background_run_keeps_the_best(shell, folder):
    line = f"{folder} {' '.join(FLAGS)} --best latency --background --out kept"
    job = shell.run_line_magic("tfbench", line)
    assert job.wait(120)
    assert "best by latency" in repr(shell.user_ns["kept"])


def test_the_form_has_a_section_for_it(folder):
    form = Form("report", models=[folder], frameworks=["probe"], sequence_lengths=[8], max_time=0.1)
    assert "--best" not in form.cell()
    form._budget._by.value = "latency"
    form._budget._within.value = "latency=fast"
    assert "is no time" in form._budget._message.value
    assert form._run_button.disabled
    form._budget._within.value = "latency=1 h, memory=1 TB"
    assert form._budget._message.value == ""
    assert not form._run_button.disabled
    head = form.cell().splitlines()[0]
    assert head == "%%tfbench --out report --best latency --within 'latency=1 h' 'memory=1 TB'"
    form.run()
    wait_until(lambda: form.report is not None and not form._running)
    html = form.report.with_best(form._ran_within)._repr_html_()
    assert "best by latency within latency 1 h, memory 1 TB" in html


def test_a_form_begins_with_what_the_line_says(shell, folder):
    line = f"{folder} --form --best memory --within latency=50ms batch_size=1"
    form = shell.run_line_magic("tfbench", line)
    assert form._budget.read() == budget_of_texts("memory", ["latency=50ms", "batch_size=1"])
    with pytest.raises(ArgumentError, match="nothing that a run measures"):
        Form(budget=budget_of_texts("mmlu", []))


def test_the_tab_key_offers_quantities_and_limits():
    def offered(text):
        return suggestions(text, 0, len(text)).texts

    assert offered("%tfbench bert-tiny --best lat") == ["latency"]
    assert offered("%tfbench bert-tiny --within ") == ["latency=", "memory=", "ttft=", "tpot="]
    assert offered("%tfbench bert-tiny --within latency=5ms m") == ["memory="]
