"""Columns of one's own in a report: given, joined, shown, kept."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import pandas as pd
import pytest

import nbbench
from nbbench.errors import ArgumentError, OutputError
from tests.test_best import THREE, choices, failed, report, row

MMLU = {"small": 25.9, "large": 60}


def test_it_stands_in_frames_and_in_the_table_and_is_kept(tmp_path):
    mine = THREE.with_column("mmlu", MMLU).with_column("license", {"small": "mit"})
    for frame in (mine.speed, mine.memory):
        assert list(frame.columns[3:5]) == ["mmlu", "license"]
        assert frame.mmlu.dtype == "float64"
        assert frame.mmlu.isna().tolist() == [False, True, False]
        assert frame.license.tolist() == ["mit", None, None]
    for text in (repr(mine), mine._repr_html_(), mine.to_markdown(), mine._repr_latex_()):
        assert "mmlu" in text
        assert "25.9" in text
        assert "mit" in text
    assert mine.summary["mmlu"].tolist() == ["25.9", "", "60"]
    loaded = nbbench.Report.load(mine.save(tmp_path / "x.nbbench.json"))
    assert loaded == mine
    assert loaded.speed.equals(mine.speed)
    assert "mmlu" in (mine.to_csv(tmp_path / "csv")[0]).read_text()
    assert "mmlu" not in THREE.speed.columns


def test_a_column_of_the_same_name_is_replaced():
    twice = THREE.with_column("mmlu", MMLU).with_column("mmlu", {"small": 1})
    assert twice.speed.mmlu.dropna().tolist() == [1.0]


def test_higher_is_better_unless_it_is_given_otherwise():
    values = {"small": 3, "middle": 2, "large": 1}
    assert choices(THREE.with_column("x", values).best(by="x")) == [("small", "best")]
    lower = THREE.with_column("x", values, higher_is_better=False)
    assert choices(lower.best(by="x")) == [("large", "best")]
    assert choices(lower.pareto("x", "latency"))[0] == ("large", "front")
    same = THREE.with_column("x", dict.fromkeys(values, 5))
    assert choices(same.best(by="x")) == [("small", "best"), ("middle", "tie"), ("large", "tie")]


def test_a_frame_is_joined_by_its_column_model_or_its_index():
    frame = pd.DataFrame({"model": ["small", "large"], "mmlu": [25, 60], "year": [2019, 2024]})
    for given in (frame, frame.set_index("model")):
        joined = THREE.join(given)
        assert joined.speed.mmlu.dropna().tolist() == [25, 60]
        assert joined.speed.year.dropna().tolist() == [2019, 2024]
    series = frame.set_index("model")["mmlu"]
    assert THREE.join(series).speed.mmlu.dropna().tolist() == [25, 60]
    assert THREE.join(MMLU, name="quality").speed.quality.dropna().tolist() == [25.9, 60]
    assert THREE.join(MMLU).speed.quality.notna().sum() == 2


def test_rows_of_other_models_are_left_out_with_a_warning():
    frame = pd.DataFrame({"model": ["small", "gpt9", "gpt8"], "mmlu": [25, 90, 80]})
    with pytest.warns(UserWarning, match="2 rows of mmlu left out: 'gpt9' .and 1 more. is no"):
        joined = THREE.join(frame)
    assert joined.speed.mmlu.dropna().tolist() == [25]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        THREE.join(frame[:1])


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("mmlu", {"smal": 1}, r"mmlu: 'smal' is no model of this report, .* did you mean 'small'"),
        ("mmlu", {}, "is no mapping; give a value for each model"),
        ("mmlu", [1, 2, 3], "is no mapping; give a value for each model"),
        ("mmlu", {"small": []}, r"mmlu: \[\] is neither a finite number nor a text"),
        ("mmlu", {"small": True}, "mmlu: True is neither a finite number nor a text"),
        ("mmlu", {"small": float("inf")}, "mmlu: inf is neither a finite number nor a text"),
        ("mmlu", {"small": 1, "large": "much"}, "mmlu has numbers and texts; give one kind"),
        ("", MMLU, "'' is no name of a column"),
        ("a\nb", MMLU, "is no name of a column"),
        ("x" * 101, MMLU, "is no name of a column"),
        (3, MMLU, "3 is no name of a column"),
        ("median_s", MMLU, "'median_s' is the name of a column that a report has by itself"),
        ("peak_mib", MMLU, "is the name of a column that a report has by itself"),
        ("latency", MMLU, "is the name of a column that a report has by itself"),
        ("batch", MMLU, "is the name of a column that a report has by itself"),
        ("time", MMLU, "is the name of a column that a report has by itself"),
        ("latency_ci_low_s", MMLU, "is the name of a column that a report has by itself"),
        ("cost/1M tokens", MMLU, "is the name of a column that a report has by itself"),
        ("choice", MMLU, "is the name of a column that a report has by itself"),
    ],
)
def test_what_is_no_column_is_refused_in_one_sentence(name, values, sentence):
    with pytest.raises(ArgumentError, match=sentence) as raised:
        THREE.with_column(name, values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "5 cannot be joined; give a DataFrame with a column model"),
        (pd.DataFrame({"model": ["small"]}), "has no column beside the model"),
        (pd.DataFrame({"model": ["x"], "q": [1]}), "q: 'x' is no model of this report"),
        (pd.DataFrame({"model": ["small", "small"], "q": [1, 2]}), "'small' stands there twice"),
        (pd.DataFrame({"q": [1, 2]}), "q: 0 .and 1 more. is no model of this report"),
        (pd.DataFrame({"model": [], "q": []}), "q has no rows"),
        ({"x": 1}, "quality: 'x' is no model of this report"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        THREE.join(given)


def test_what_is_missing_stays_missing_and_texts_are_not_best():
    missing = THREE.join(pd.DataFrame({"model": ["small", "large"], "q": [float("nan"), 1]}))
    assert missing.speed.q.dropna().tolist() == [1]
    assert THREE.with_column("q", {"small": None, "large": 2}).speed.q.dropna().tolist() == [2]
    with pytest.raises(ArgumentError, match="license has texts, of which none is best"):
        THREE.with_column("license", {"small": "mit"}).best(by="license")
    with pytest.raises(ArgumentError, match="no case has a value of q"):
        report(row("a", 0.1, 0.1, 0.1), failed("b")).with_column("q", {"b": 1}).best(by="q")


def test_a_column_of_texts_is_no_formula_and_no_markup(tmp_path):
    hostile = THREE.with_column("<b>", {"small": "=cmd|' /C calc'!A0", "large": "<script>"})
    assert "'=cmd" in hostile.to_csv(tmp_path)[0].read_text()
    page = hostile._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page.split("</style>")[1].replace("<li><b>", "")


@pytest.mark.parametrize("name", ["a{b}", "{}", "$x^$", r"$\\bad{$", "_under", "ü × 漢"])
def test_any_name_is_shown_as_it_is(name):
    mine = THREE.with_column(name, MMLU)
    choice = mine.best(by=name)
    assert choice.frame[name].tolist() == [60]
    assert name in repr(choice)
    if find_spec("matplotlib") is not None:
        assert mine.plot.tradeoff(y=name).png()


def test_a_damaged_file_is_one_sentence(tmp_path):
    saved = THREE.with_column("mmlu", MMLU).save(tmp_path / "x.nbbench.json")
    text = saved.read_text()
    for old, new in (('"price_per_hour": null', '"price_per_hour": -1'), ("25.9", "[]")):
        saved.write_text(text.replace(old, new))
        with pytest.raises(OutputError, match="is a damaged report"):
            nbbench.Report.load(saved)
