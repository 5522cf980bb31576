"""A saved report with any damage is refused in a sentence, or is a report like any other."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math

import pytest

import nbbench
from nbbench.cli.compare import judge
from nbbench.report.report import Report
from tests.conftest import paths_in
from tests.fuzzing import JSON, Given, answer_or_sentence, fuzzed, st
from tests.public_listing import FIXTURE

hypothesis = pytest.importorskip("hypothesis")
pytestmark = pytest.mark.usefixtures("probe")


@pytest.fixture(scope="module")
def saved(probe):
    """The texts of real reports: of several kinds of cases and ends, and of the former version."""
    configs = [{"model_type": "probe"}, {"model_type": "probe", "call": "unsupported"}]
    report = nbbench.run(
        "good", "bad", configs=configs, frameworks="probe", sequence_lengths=[8, 16], rounds=3,
        max_time=0.05, progress=False, baseline="8",
    )  # fmt: skip
    traced = Report.load(FIXTURE).to_dict()
    for result in traced["results"]:
        timing = result["outcome"]["timing"] or {"visits": []}
        for visit in timing["visits"]:  # a few samples show all that thousands do
            visit["samples"], visit["references"] = visit["samples"][:3], visit["references"][:3]
        lines = result["outcome"]["lines"]
        if lines is not None:
            lines["steps"] = lines["steps"][:3]
            lines["lines"] = lines["lines"][: max(step[0] for step in lines["steps"]) + 1]
    return Given([report.to_dict(), traced])


NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 10**400, 2**63, 2**53, 1e308, 5e-324, True])
)  # fmt: skip


def damage(draw, content):
    """Drop, exchange, repeat or add one part."""
    paths = [*paths_in(content)]
    path = paths[draw(st.integers(0, len(paths) - 1))]
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    key = path[-1]
    kind = draw(
        st.sampled_from(["drop", "any", "number", "copy", "more", "repeat", "like", "like"])
    )
    if kind == "drop":
        del holder[key]
    elif kind == "any":
        holder[key] = draw(JSON)
    elif kind == "number":
        holder[key] = draw(NUMBERS)
    elif kind == "copy":  # something that stands elsewhere in the report
        other = content
        for step in paths[draw(st.integers(0, len(paths) - 1))]:
            other = other[step]
        holder[key] = copy.deepcopy(other)
    elif kind == "more" and isinstance(holder, dict):
        holder[draw(st.text(max_size=5))] = draw(JSON)
    elif kind == "repeat" and isinstance(holder, list):
        holder.extend(copy.deepcopy(holder) * draw(st.integers(1, 3)))
    elif type(holder[key]) is str:
        holder[key] = draw(st.text() | st.sampled_from(["ok", "training", "$", "<b>", "a" * 5000]))
    elif isinstance(holder[key], (int, float)):
        holder[key] = type(holder[key])(draw(st.integers(-2, 2**62)))
    elif isinstance(holder[key], list):
        holder[key] = holder[key][: draw(st.integers(0, 1))]
    hypothesis.note(f"{kind}: {str(holder[key])[:80] if kind != 'drop' else 'dropped'}")


@st.composite
def damaged(draw, saved):
    """The bytes of a report of which some parts or some bytes are damaged."""
    content = copy.deepcopy(saved.value[draw(st.integers(0, 1))])
    kind = draw(
        st.sampled_from(["parts"] * 12 + ["version", "bytes", "cut", "keys", "nested", "any"])
    )
    if kind == "version":
        content["version"] = draw(st.sampled_from([1, 0, 3, "2", 2.0, True, None, 10**400]) | JSON)
    if kind == "parts":
        for _ in range(draw(st.integers(1, 4))):
            damage(draw, content)
    text = json.dumps(content)
    if kind == "cut":
        text = text.replace('"results": [', '"results": [\n').replace("}, {", "},\n{")
        return Given(text[: draw(st.integers(0, len(text)))].encode())
    if kind == "keys":
        name = draw(st.sampled_from(["results", "machine", "version", "case", "timing", "samples"]))
        text = text.replace(f'"{name}":', f'"{name}": {json.dumps(draw(JSON))}, "{name}":', 1)
    if kind == "nested":
        depth = draw(st.sampled_from([60, 200, 400, 800, 5000]))
        text = text.replace("null", "[" * depth + "]" * depth, draw(st.integers(1, 9)))
    if kind == "any":
        return Given(
            draw(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
        )
    data = bytearray(text.encode())
    if kind == "bytes":
        for _ in range(draw(st.integers(1, 5))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return Given(bytes(data))


def show(report, folder):
    """All that a person can do with a report, but the plots."""
    for text in (repr(report), report._repr_html_(), report.to_markdown(), report._repr_latex_()):
        assert text.encode()
    for frame in report.frames(("summary", "speed", "memory", "environment", "lines")).values():
        assert repr(frame)
        assert all(map(math.isfinite, frame.select_dtypes("float64").dropna().to_numpy().ravel()))
    with contextlib.redirect_stdout(io.StringIO()):
        report.print_tables()
    report.to_csv(folder)
    again = Report.load(report.save(folder / "again.json"))
    assert again == report
    assert report == report


def show_comparison(comparison):
    assert repr(comparison).encode()
    assert comparison._repr_html_().encode()
    assert comparison.to_markdown().encode()
    assert repr(comparison.frame)
    assert comparison.mean is None or len(comparison.mean) == 3
    assert judge(comparison, 0.05, 0.05, True)[1]


@fuzzed(st.data(), examples=30)
def test_any_damaged_report_is_refused_in_a_sentence_or_shown(saved, tmp_path, data):
    file = tmp_path / "x.json"
    file.write_bytes(data.draw(damaged(saved)).value)
    report = answer_or_sentence(lambda: Report.load(file))
    if report is None:
        return
    show(report, tmp_path)
    good = Report.load(FIXTURE)
    for old, new in ((good, report), (report, good)):
        show_comparison(new.compare(old))
    for by in ("", "sequence_length"):
        comparison = answer_or_sentence(lambda by=by: report.compare(by=by))
        if comparison is not None:
            show_comparison(comparison)


@fuzzed(st.data(), examples=3)
def test_any_damaged_report_that_loads_has_a_page_with_plots(saved, tmp_path, data):
    pytest.importorskip("matplotlib")
    file = tmp_path / "x.json"
    file.write_bytes(data.draw(damaged(saved)).value)
    report = answer_or_sentence(lambda: Report.load(file))
    if report is not None:
        report.to_html(tmp_path / "x.html")
