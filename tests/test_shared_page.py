"""The page to share: what its script is given, what stands in it without one, and no network."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.report import Report
from nbbench.report.shared_page import page
from nbbench.report.sortable import SCRIPT, begin_with_numbers
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.test_comparison import pair, report_of, result_of, visits_of
from tests.test_plots import result
from tests.test_scale import report


def page_of(shown, tmp_path):
    return shown.to_html(tmp_path / "x.html").read_text(encoding="utf-8")


def plain_page(shown):
    """The page without plots and the comparison, which take the most time."""
    return page(shown.results, shown.facts, (), "x")


def tables_of(text):
    """The rows that the script is given, a list for each table."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return [json.loads(each) for each in found]


def cells_of(data):
    """The texts of each row."""
    columns = [
        [each["texts"][index] for index in each.get("rows", range(data["count"]))]
        for each in data["columns"]
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def test_the_script_is_given_every_row_as_it_reads_in_the_table():
    whole = report(60)
    data, *_ = tables_of(plain_page(whole))
    assert [column["head"] for column in data["columns"]] == list(whole.summary.columns)
    assert cells_of(data) == whole.summary.values.tolist()
    assert data["failed"] == [n for n in range(60) if n % 10 == 0]


def test_times_are_sorted_by_seconds_and_what_is_missing_has_no_number():
    data, *_ = tables_of(plain_page(report(60)))
    (time,) = [column for column in data["columns"] if column["head"] == "time"]
    micro = [None if n % 10 == 0 else pytest.approx((n + 1) * 1000) for n in range(60)]
    assert time["values"] == micro


@pytest.mark.parametrize(
    "texts",
    [
        ["1,024", "", "8.50"],
        ["0.622 [0.478, 0.809]", "1.00", ""],
        ["3.20 s, warm 1.00 s", "-4", "1e+06", "100."],
    ],
)
def test_a_column_is_of_numbers_if_each_cell_begins_with_one(texts):
    assert begin_with_numbers(texts)


@pytest.mark.parametrize(
    "texts",
    [
        ["4.57.6", "5.23.0"],
        ["900 MB", "2 GB"],
        ["7b", "13b"],
        ["1", "eager"],
        ["2026-11-01"],
        ["", ""],
        ["inf"],
    ],
)
def test_other_columns_are_of_texts(texts):
    assert not begin_with_numbers(texts)


def test_of_many_rows_the_first_stand_in_the_page_and_all_are_in_it():
    whole = report(700)
    text = plain_page(whole)
    assert text.count('<tr class="failed">') == 50
    assert "the first 500 of 700 rows" in text
    assert len(cells_of(tables_of(text)[0])) == 700
    assert "<details><summary>70 reasons why cases have no result</summary>" in text
    data = tables_of(text)[0]
    assert len(json.dumps(data)) < 700 * 200  # 10,000 rows are below 5 MB, plots included


def test_all_rows_of_few_stand_in_the_page_without_its_script():
    text = plain_page(report(60))
    static = text.partition("<script")[0]
    assert static.count("<tr") == 61
    assert "rows; the page" not in text


def test_the_page_has_one_script_and_asks_no_network():
    text = plain_page(report(20))
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-" in text
    )
    assert f"'sha256-{digest}'" in text  # so that no other script runs
    assert not re.search("https?:|fetch|XMLHttpRequest|import|innerHTML|eval", SCRIPT)
    assert "</" not in script


def test_names_end_no_script_and_are_cells_as_they_are():
    names = ["</script><script>alert(1)</script>", "<!--", "a\u2028b", "&lt;", '"];', "$'"]
    shown = Report([result(name, 1, 8, 0.1) for name in names], MachineFacts(), {})
    text = plain_page(shown)
    assert text.count("<script>") == 1
    assert [row[0] for row in cells_of(tables_of(text)[0])] == shown.summary.model.tolist()


def test_what_the_cases_differ_in_is_compared_with_a_plot(tmp_path):
    shown = pair(np.random.default_rng(0), 0.5)
    text = page_of(shown, tmp_path)
    assert "<h2>Comparison</h2>" in text
    assert "by execution, against eager" in text
    _, compared = tables_of(text)
    verdict = [column["head"] for column in compared["columns"]].index("verdict")
    assert cells_of(compared)[0][verdict] == "faster"
    assert text.count("data:image/png") == 2 + 1


@pytest.mark.parametrize(
    ("cases", "baseline", "title"),
    [
        ([{"model": "a"}, {"model": "b"}], None, "by model, against a"),
        ([{"model": "a"}, {"model": "b"}], "b", "by model, against b"),
        ([{"dtype": d, "attention": a} for d in ("float32", "bfloat16") for a in ("eager", "sdpa")],
         None, "against m pytorch inference, batch 8 × length 32, eager attention"),
        ([{"model": m, "dtype": d} for m in "ab" for d in ("float32", "float16")],
         None, "by dtype, against float32"),
        ([{"model": "a"}], None, None),
        ([{"model": "a", "seed": 1}, {"model": "a", "seed": 2}], None, None),
    ],
)  # fmt: skip
def test_a_page_compares_ways_to_run_before_models_and_never_sizes(
    cases, baseline, title, tmp_path
):
    random = np.random.default_rng(0)
    results = [result_of(visits_of(random, 0.01), **case) for case in cases]
    text = page_of(report_of(*results, baseline=baseline), tmp_path)
    assert ("<h2>Comparison</h2>" in text) == (title is not None)
    assert title is None or title in text


def test_cases_that_were_not_begun_have_no_row_in_the_comparison(tmp_path):
    rest = [Result(Case("pytorch", f"m{n}", {}, "given", 1, 8), Outcome.skipped()) for n in "123"]
    done = [result(name, 1, 8, 0.1) for name in "ab"]
    text = page_of(Report([*done, *rest], MachineFacts(), {}), tmp_path)
    assert len(cells_of(tables_of(text)[1])) == 1


@pytest.mark.parametrize("status", [Status.SKIPPED, Status.ERROR])
def test_a_report_of_nothing_but_failures_and_an_empty_one_have_a_page(status, tmp_path):
    failed = Outcome(status, "it failed", Phase.BUILDING)
    shown = Report([Result(Case("pytorch", "m", {}, "given", 1, 8), failed)], MachineFacts(), {})
    assert "it failed" in page_of(shown, tmp_path)
    assert "an empty report" in page_of(Report([], MachineFacts(), {}), tmp_path)


LONG = "a text that somebody has put into a column of their own " * 8


def long_report():
    """A report with long names, and reasons with and without spaces."""
    random = np.random.default_rng(0)
    names = ["a", "an-organisation/" + "a-model-with-a-long-name-" * 8]
    measured = [result_of(visits_of(random, 0.01 * n), model=m) for n, m in enumerate(names, 1)]
    failed = [
        Result(
            Case("pytorch", f"failed {n}", {}, "given", 1, 8),
            Outcome(Status.ERROR, reason, Phase.BUILDING),
        )
        for n, reason in enumerate((LONG, "/a/path/without/a/space" * 40))
    ]
    machine = MachineFacts(cpu="a-processor" * 40, nbbench_version="1")
    return Report([*measured, *failed], machine, {}).with_column("licence", {"a": LONG})


def test_long_cells_are_broken_with_and_without_the_script():
    shown = long_report()
    text = page(shown.results, shown.facts, (), "x", added=shown._content.added)
    static = text.partition("<script")[0]
    assert static.count('<td class="long"') == 2  # a model's name, and a licence
    assert ".nbbench td.long{white-space:normal" in text
    data, *_ = tables_of(text)
    assert sum(len(cell) > data["max_line"] for row in cells_of(data) for cell in row) == 2


def test_nothing_is_compared_where_no_case_has_a_verdict(tmp_path):
    failed = Outcome(Status.ERROR, "it failed", Phase.BUILDING)
    results = [Result(Case("pytorch", name, {}, "given", 1, 8), failed) for name in "abc"]
    for baseline in (None, "a"):
        text = page_of(Report(results, MachineFacts(), {}, baseline), tmp_path)
        assert "Comparison" not in text
    done = [result(name, 1, 8, 0.1) for name in "de"]
    assert "<h2>Comparison</h2>" in page_of(Report([*done, *results], MachineFacts(), {}), tmp_path)


def test_a_page_is_known_by_the_mark_in_its_head():
    assert '<meta name="generator" content="nbbench">' in plain_page(report(1))[:300]


def test_a_forest_of_many_ratios_shows_those_that_differ_most():
    random = np.random.default_rng(0)
    results = [
        result_of(visits_of(random, 0.01 * part), model=f"m{n}", execution=execution)
        for n in range(45)
        for part, execution in ((1.0, "eager"), (1 + n / 50, "compile"))
    ]
    axes = report_of(*results).compare(by="execution").plot().axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 40
    assert any("m44" in label for label in labels)
    assert axes.get_title() == "Comparison\nthe 40 of 45 that differ most"
