"""A report's plots, its page, and its reprs."""

from __future__ import annotations

import builtins
import re
from dataclasses import replace

import pytest

import nbbench
from nbbench.errors import ArgumentError, OutputError
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.html_page import results_html
from nbbench.report.plots import MissingPlots, forest
from nbbench.report.report import Report
from nbbench.report.verdict import Verdict
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.memory_profile import MemoryProfile
from tests.test_original_tables import timing

MIB = 2**20


def result(model, batch, length, median, **outcome):
    took = replace(timing(median), ci_low_s=0.9 * median, ci_high_s=1.2 * median)
    memory = MemoryProfile("m", baseline=100 * MIB, weights=50 * MIB, activations=batch * MIB,
                           peak=(150 + batch) * MIB)  # fmt: skip
    known = {"timing": took, "memory": memory, "device": "cpu", "tokens_per_call": 8, **outcome}
    return Result(Case("pytorch", model, {}, "given", batch, length), Outcome(Status.OK, **known))


def out_of_memory(model, batch, length):
    case = Case("pytorch", model, {}, "given", batch, length)
    return Result(case, Outcome(Status.OOM, "memory <ran> out", Phase.WARMING))


REPORT = Report(
    [result(m, b, n, 0.001 * b * n) for m in ("a", "b_c") for b in (1, 2) for n in (8, 16)]
    + [out_of_memory("a", 4, 16)],
    MachineFacts(cpu="a processor", nbbench_version="1"),
    {("pytorch", "kernel"): WorkerFacts({"framework": "PyTorch", "framework_version": "2"})},
)


def lines_of(plot):
    return {c.get_label(): c for c in plot.axes.containers}


def test_latency_is_by_length_in_milliseconds_with_intervals():
    plot = REPORT.plot.latency()
    lines = lines_of(plot)
    assert set(lines) == {"a, batch 1", "a, batch 2", "b_c, batch 1", "b_c, batch 2"}
    data, _, (bars,) = lines["a, batch 2"].lines
    assert data.get_xydata().tolist() == [[8, 16], [16, 32]]
    ends = [list(segment[:, 1]) for segment in bars.get_segments()]
    assert ends == [pytest.approx([14.4, 19.2]), pytest.approx([28.8, 38.4])]
    assert plot.axes.get_xlabel() == "sequence length (tokens)"
    assert plot.axes.get_ylabel() == "median time of a call (ms, logarithmic)"
    assert "oom" in [text.get_text() for text in plot.axes.texts]


def test_scaling_is_samples_per_second_by_batch_size():
    data = lines_of(REPORT.plot.scaling())["a, length 8"].lines[0]
    assert data.get_xydata().tolist() == [[1, 125], [2, 125]]


def test_memory_is_bars_by_what_the_model_adds_or_lines_where_there_are_many():
    few = REPORT.plot.memory().axes
    assert len(few.patches) == 8 * 2
    assert few.get_xlabel() == "memory that the model adds (MiB)"
    many = (
        Report([result("a", b, 8, 0.1) for b in range(1, 30)], MachineFacts(), {})
        .plot.memory()
        .axes
    )
    assert not many.patches
    assert many.lines[0].get_xydata()[0].tolist() == [1, 51]


def test_a_peak_that_is_not_divided_is_one_bar_above_what_the_process_holds():
    whole = MemoryProfile("m", baseline=100 * MIB, peak=180 * MIB)
    both = [result("a", 1, 8, 0.1), result("b", 1, 8, 0.1, memory=whole)]
    axes = Report(both, MachineFacts(), {}).plot.memory().axes
    handles, labels = axes.get_legend_handles_labels()
    assert labels == ["weights", "the call", "weights and the call"]
    assert [patch.get_width() for patch in handles[-1].patches] == [0, 80]


def test_what_the_process_holds_without_a_model_is_told_and_not_drawn():
    axes = REPORT.plot.memory().axes
    assert axes.get_title() == "Memory\nbeside 100 MiB of Python and libraries"
    assert [text.get_text() for text in axes.texts][:2] == ["peak 151", "peak 151"]
    widest = max(patch.get_x() + patch.get_width() for patch in axes.patches)
    assert widest == pytest.approx(52)
    assert axes.get_xlim()[1] < 2 * widest  # models differ to the eye


def test_a_gpus_peak_is_drawn_whole():
    gpu = result("a", 1, 8, 0.1)
    gpu = Result(gpu.case, replace(gpu.outcome, device="cuda:0"))
    axes = Report([gpu], MachineFacts(), {}).plot.memory().axes
    assert axes.get_title() == "Memory"


@pytest.mark.parametrize("times", [(0.001, 0.0035), (0.004, 0.02), (0.0001, 0.09), (1e-6, 900)])
def test_a_logarithmic_axis_has_four_numbers_and_says_what_it_is(times):
    results = [result("a", 1, n, t) for n, t in zip((8, 16), times, strict=True)]
    plot = Report(results, MachineFacts(), {}).plot.latency()
    plot.png()
    axis, (low, high) = plot.axes.yaxis, plot.axes.get_ylim()
    shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
    assert 4 <= len(shown) <= 13
    assert "logarithmic" in plot.axes.get_ylabel()
    texts = [axis.get_major_formatter()(tick) for tick in shown]
    assert len(set(texts)) == len(texts)
    assert not [text for text in texts if "e" in text or "^" in text]
    assert len([tick for tick in axis.get_minorticklocs() if low <= tick <= high]) > 2


def test_times_that_are_alike_are_on_a_plain_axis_from_zero():
    results = [result("a", 1, n, t) for n, t in ((8, 0.1), (16, 0.12))]
    axes = Report(results, MachineFacts(), {}).plot.latency().axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0
    assert "logarithmic" not in axes.get_ylabel()


def test_the_ends_of_intervals_are_drawn_on_a_plain_axis_too():
    wide = result("a", 1, 8, 0.1)
    took = replace(wide.outcome.timing, ci_high_s=0.3)
    wide = replace(wide, outcome=replace(wide.outcome, timing=took))
    axes = Report([wide, result("a", 1, 16, 0.1)], MachineFacts(), {}).plot.latency().axes
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[1] > 300


def test_many_lengths_have_room_for_their_numbers():
    report = Report([result("a", 1, n, 0.001 * n) for n in range(1, 200)], MachineFacts(), {})
    assert len(report.plot.latency().axes.get_xticks()) <= 13


def test_long_names_leave_room_for_what_is_drawn():
    models = [f"{'x' * 60}-{number}-{'y' * 60}" for number in range(6)]
    report = Report([result(m, b, 8, 0.1 * b) for m in models for b in (1, 4)], MachineFacts(), {})
    for plot in (report.plot.scaling(), report.plot.memory()):
        plot.figure.draw_without_rendering()
        assert plot.axes.get_position().width > 0.4
    labels = report.plot.scaling().axes.get_legend_handles_labels()[1]
    assert len(set(labels)) == 6
    assert all("…" in label and len(label) <= 40 for label in labels)


def test_a_plot_is_shown_saved_and_drawn_into_axes_that_are_there(tmp_path):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    assert REPORT.plot.latency(axes).axes is axes
    assert REPORT.plot.latency()._repr_png_().startswith(b"\x89PNG")
    REPORT.plot.latency().save(tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")
    REPORT.plot.latency().save(tmp_path / "x")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    REPORT.plot.latency().save(tmp_path / "y", format="svg")
    assert (tmp_path / "y").read_text().startswith("<?xml")


def test_a_plot_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_text("before")
    plot = REPORT.plot.latency()

    def half(file, **options):
        file.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plot.figure, "savefig", half)
    with pytest.raises(OutputError, match="No space left"):
        plot.save(tmp_path / "x.png")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("", "cannot be written: Is a directory"),
        ("x.frob", "x.frob' cannot be written: Format 'frob' is not supported"),
        ("nowhere/x.png", "x.png' cannot be written: No such file or directory"),
    ],
)
def test_a_plot_that_cannot_be_saved_is_one_sentence(file, sentence, tmp_path):
    with pytest.raises(OutputError, match=sentence):
        REPORT.plot.latency().save(tmp_path / file)
    assert not list(tmp_path.parent.glob("*.png"))


def test_what_is_no_axes_is_refused():
    for name in ("latency", "memory", "scaling"):
        with pytest.raises(ArgumentError, match="ax: 5 is no Axes"):
            getattr(REPORT.plot, name)(ax=5)


def test_hundreds_of_series_are_drawn_as_the_first_and_say_so():
    report = Report([result(f"m{n}", 1, 8, 0.1) for n in range(200)], MachineFacts(), {})
    plot = report.plot.latency()
    assert len(lines_of(plot)) == 10
    assert "the first 10 of 200 series" in [text.get_text() for text in plot.axes.texts]


def test_without_matplotlib_plots_say_so_and_a_page_has_none(monkeypatch, tmp_path):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingPlots, match=r'pip install "nbbench\[plot\]"'):
        REPORT.plot.latency()
    page = REPORT.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<table" in page
    assert "<img" not in page


def test_a_page_stands_by_itself(tmp_path):
    page = REPORT.to_html(tmp_path / "x.html", title="a <b>").read_text(encoding="utf-8")
    assert "<title>a &lt;b&gt;</title>" in page
    assert page.count("data:image/png;base64,") == 3  # the trade-off, too
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert page.count("<script>") == 1  # its own, which its own rule lets run alone
    with pytest.raises(nbbench.OutputError, match="cannot be written"):
        REPORT.to_html("/nowhere/x.html")


def test_html_marks_what_failed_and_what_is_noisy():
    noisy = result("a", 1, 8, 0.1)
    noisy = Result(noisy.case, replace(noisy.outcome, timing=replace(timing(0.1), noisy=True)))
    html = results_html([noisy, out_of_memory("a", 4, 16)])
    assert html.count('class="noisy"') == 1
    assert html.count('<tr class="failed">') == 1
    assert "memory &lt;ran&gt; out" in html


def test_markdown_and_latex_have_every_row():
    markdown, latex = REPORT._repr_markdown_(), REPORT._repr_latex_()
    assert len([line for line in markdown.splitlines() if line.startswith("|")]) == 2 + 9
    assert "- **oom: a pytorch inference, batch 4 × length 16**: memory &lt;ran> out" in markdown
    assert latex.count(r"\\") == 1 + 9
    assert r"b\_c" in latex
    assert latex.startswith(r"\begin{tabular}{")


@pytest.mark.parametrize("name", ["latency", "memory", "scaling"])
def test_where_nothing_was_measured_a_plot_says_so(name):
    report = Report([out_of_memory("a", 1, 8), out_of_memory("a", 2, 16)], MachineFacts(), {})
    plot = getattr(report.plot, name)()
    assert plot.png().startswith(b"\x89PNG")
    assert "nothing was measured" in [text.get_text() for text in plot.axes.texts]


def test_models_without_a_length_are_drawn_beside_those_with_one():
    report = Report([result("text", 1, n, 0.1) for n in (8, 16)] + [result("image", 1, None, 0.2)],
                    MachineFacts(), {})  # fmt: skip
    axes = report.plot.latency().axes
    assert "image" in [line.get_label() for line in axes.lines]
    assert [text.get_text() for text in report.plot.memory().axes.get_yticklabels()] == [
        "text, length 8", "text, length 16", "image",
    ]  # fmt: skip


def test_a_forest_has_the_colours_of_its_verdicts():
    ratios = [
        ("a", 0.5, 0.4, 0.6, Verdict.FASTER),
        ("b", 2.0, 1.9, 2.1, Verdict.SLOWER),
        ("c", 0.99, 0.985, 0.995, Verdict.SAME),
        ("d", 0.5, 0.4, 0.6, Verdict.UNSURE),
    ]
    drawn = forest(ratios).axes.containers
    assert [container.lines[0].get_color() for container in drawn] == ["C2", "C3", "0.4", "0.4"]
