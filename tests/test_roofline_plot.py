"""The plot of the roofline: points under roofs, with labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from nbbench.errors import ArgumentError
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.report import Report
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.ceilings import Ceilings
from nbbench.worker.prediction import CallCount
from tests.test_original_tables import timing

pytest.importorskip("matplotlib")

FLOAT = Ceilings("float32", 1e12, 1e10, 1e-6)
HALF = Ceilings("bfloat16", 4e12, 1e10, 1e-6)


def row(model, flops, moved, median_s=1.0, ceilings=FLOAT, dtype="float32"):
    outcome = Outcome(
        Status.OK, device="cpu", dtype=dtype, timing=replace(timing(1.0), median_s=median_s),
        count=CallCount(1, 10, flops, moved, 1), ceilings=ceilings,
    )  # fmt: skip
    return Result(Case("pytorch", model, {}, "given", 1, 8, dtype=dtype), outcome)


def report(*results):
    return Report(list(results), MachineFacts(), {})


THREE = report(
    row("a", 10**11, 10**10),
    row("b", 5 * 10**11, 10**9),
    row("$c_1", 2 * 10**12, 10**9, ceilings=HALF, dtype="bfloat16"),
)


def roofs(plot):
    return {line.get_label(): line for line in plot.axes.lines if len(line.get_xdata()) == 3}


def labels(plot):
    return [text for text in plot.axes.texts if text.get_text()]


def test_roofs_rise_to_their_edge_and_are_labelled():
    found = roofs(THREE.plot.roofline())
    assert list(found) == [
        "cpu, float32: 1.00 TFLOP/s, 9.31 GiB/s", "cpu, bfloat16: 4.00 TFLOP/s, 9.31 GiB/s"
    ]  # fmt: skip
    first, second = (line.get_xydata().tolist() for line in found.values())
    assert first[1:] == [[100, 1], [pytest.approx(6000), 1]]
    assert first[0] == [pytest.approx(10 / 3), pytest.approx(1 / 30)]
    assert second[1:] == [[400, 4], [pytest.approx(6000), 4]]


def test_each_machine_has_its_own_roof():
    ceilings = {"small": FLOAT, "$large": replace(FLOAT, flops_per_s=4e12)}
    results = [row("a", 10**11, 10**10, ceilings=each) for each in ceilings.values()]
    moved = [
        Result(result.case, replace(result.outcome, node=node))
        for result, node in zip(results, ceilings, strict=True)
    ]
    plot = report(*moved).plot.roofline()
    assert list(roofs(plot)) == [
        "small, cpu, float32: 1.00 TFLOP/s, 9.31 GiB/s",
        r"\$large, cpu, float32: 4.00 TFLOP/s, 9.31 GiB/s",
    ]


def test_points_stand_at_their_intensity_under_their_roof_with_what_varies():
    plot = THREE.plot.roofline()
    points = [line for line in plot.axes.lines if len(line.get_xdata()) == 1]
    at = [(*line.get_xydata()[0], line.get_color()) for line in points]
    assert at == [(10, 0.1, "C0"), (500, 0.5, "C0"), (2000, 2, "C1")]
    assert [text.get_text() for text in labels(plot)] == [
        "a, float32",
        "b, float32",
        r"\$c_1, bfloat16",
    ]
    assert plot.axes.get_xscale() == plot.axes.get_yscale() == "log"
    assert plot.png().startswith(b"\x89PNG")


def test_no_label_covers_another(tmp_path):
    from matplotlib.text import Text

    many = [row(f"org/model-{n}", (1 + n % 7) * 10**10, 10**9 + n * 10**8) for n in range(40)]
    plot = report(*many).plot.roofline()
    plot.save(tmp_path / "x.png")  # which lays everything out again
    plot.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(label) for label in labels(plot)]
    assert boxes
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    left = len(many) - len(boxes)
    assert (f"{left} point" in plot.axes.get_title()) == (left > 0)


def test_without_ceilings_the_points_alone_are_drawn_and_the_title_says_why():
    plot = report(row("a", 10**11, 10**10, ceilings=None)).plot.roofline()
    assert roofs(plot) == {}
    assert "ceilings=True" in plot.axes.get_title()
    assert plot.axes.get_xscale() == plot.axes.get_yscale() == "log"


def test_it_is_drawn_on_axes_of_ones_own():
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert THREE.plot.roofline(ax=axes).axes is axes


def test_where_nothing_was_counted_it_is_refused():
    failed = Result(
        Case("pytorch", "m", {}, "given", 1, 8), Outcome(Status.OOM, "no memory", Phase.WARMING)
    )
    for results in ((), (failed,), (row("a", 0, 10),), (row("a", 10, 0),)):
        with pytest.raises(ArgumentError, match="no operations were counted"):
            report(*results).plot.roofline()
