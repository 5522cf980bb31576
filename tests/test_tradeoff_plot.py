"""The plot of a trade-off: its front, its axes, and labels that do not overlap."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from nbbench.errors import ArgumentError
from tests.test_best import THREE, failed, report, row

pytest.importorskip("matplotlib")


def labels(plot):
    return [text for text in plot.axes.texts if text.get_text()]


def test_the_front_is_a_line_and_points_have_labels():
    plot = THREE.plot.tradeoff()
    line = next(line for line in plot.axes.lines if line.get_zorder() == 1)
    assert line.get_xydata().tolist() == [[10, 100], [11.5, 80]]
    assert {text.get_text() for text in labels(plot)} == {"small", "middle", "large"}
    assert plot.axes.get_xlabel() == "time of a call (ms, logarithmic)"
    assert plot.axes.get_ylabel() == "peak memory (MiB, logarithmic)"
    assert plot.png().startswith(b"\x89PNG")


def scattered(count, seed):
    drawn = random.Random(seed)
    cases = []
    for number in range(count):
        median = 10 ** drawn.uniform(-3, 0)
        peak = drawn.randint(50, 5000)
        cases.append(row(f"org/model-{number}", median, 0.9 * median, 1.2 * median, peak))
    return report(*cases)


@pytest.mark.parametrize(("count", "seed"), [(3, 0), (8, 1), (25, 2), (25, 3), (80, 4)])
def test_no_label_covers_another_or_leaves_the_axes(count, seed, tmp_path):
    from matplotlib.text import Text

    plot = scattered(count, seed).plot.tradeoff()
    plot.save(tmp_path / "x.png")  # which lays everything out again
    plot.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(label) for label in labels(plot)]
    frame = plot.axes.get_window_extent()
    assert boxes
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)
    left = count - len(boxes)
    assert (f"{left} point" in plot.axes.get_title()) == (left > 0)


def test_other_quantities_and_axes_of_ones_own_are_drawn():
    from matplotlib.figure import Figure

    mine = THREE.with_column("quality $x", {"small": 0, "middle": -1, "large": 2})
    axes = Figure().add_subplot()
    plot = mine.plot.tradeoff(x="memory", y="quality $x", ax=axes)
    assert plot.axes is axes
    assert plot.png()
    figure = Figure(layout="constrained").subfigures(1, 2)[0]
    assert THREE.plot.tradeoff(ax=figure.add_subplot()).axes.texts


def test_one_case_and_none_are_drawn_or_refused():
    one = report(row("alone", 0.01, 0.01, 0.01))
    assert [text.get_text() for text in labels(one.plot.tradeoff())] == ["alone"]
    with pytest.raises(ArgumentError, match="there is nothing to choose from"):
        report(failed("a")).plot.tradeoff()
    with pytest.raises(ArgumentError, match="x and y are both latency"):
        THREE.plot.tradeoff(y="latency")
    with pytest.raises(ArgumentError, match="is nothing to choose by"):
        THREE.plot.tradeoff(y="speed")


def test_the_page_has_it_where_there_are_cases_to_compare(tmp_path):
    page = THREE.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4  # the comparison, too
    alone = report(row("alone", 0.01, 0.01, 0.01)).to_html(tmp_path / "y.html")
    assert alone.read_text(encoding="utf-8").count("data:image/png;base64,") == 2
