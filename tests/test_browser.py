"""The form in real front ends: JupyterLab and Notebook 7 in a headless Chromium.

They need the extra ``browser`` and a Chromium, and are left out where either is missing.
"""

from __future__ import annotations

import time

import pytest

from tests.browser import Notebook, chromium, jupyter, page, write_notebook

pytest.importorskip("playwright")
pytest.importorskip("jupyterlab")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium"),
]

FORM = """\
%load_ext nbbench
%tfbench --form --max-time 0.3 --device cpu"""


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_the_form_is_filled_in_run_watched_and_cancelled(app, tmp_path):
    pytest.importorskip("torch")
    write_notebook(tmp_path / "form.ipynb", FORM, "")
    with jupyter(app, tmp_path) as address, page() as shown:
        notebook = Notebook(shown, address, app, "form.ipynb")
        cell = notebook.run(0)
        run = cell.get_by_role("button", name="Run", exact=True)
        cancel = cell.get_by_role("button", name="Cancel", exact=True)
        run.wait_for()
        assert run.is_disabled()  # no model yet
        assert cancel.is_disabled()

        # by keyboard alone: the model, then on to the batch sizes
        cell.get_by_label("models", exact=True).focus()
        shown.keyboard.type("bert-tiny")
        shown.keyboard.press("Enter")
        tag = cell.get_by_role("button", name="bert-tiny ×")
        tag.wait_for()
        sizes = cell.get_by_label("batch sizes", exact=True)
        sizes.focus()
        shown.keyboard.press("Control+A")
        shown.keyboard.type("1 0")
        told = cell.get_by_role("alert").filter(has_text="'0' is not a whole number above 0")
        told.wait_for()
        assert run.is_disabled()
        shown.keyboard.press("Backspace")
        shown.keyboard.type("2")
        told.wait_for(state="detached")
        cell.get_by_label("sequence lengths", exact=True).fill("8 16")
        cell.get_by_text("4 cases, about").wait_for()

        # by mouse: run, and see rows arrive
        run.click()
        rows = cell.locator(".nbbench tbody tr")
        seen = set()
        deadline = time.monotonic() + 90
        while "4 cases in" not in cell.inner_text() and time.monotonic() < deadline:
            seen.add(cell.locator(".nbbench .scroll tbody tr").count())
            shown.wait_for_timeout(50)
        assert {1, 2, 3} & seen, seen
        assert cell.locator(".nbbench .scroll tbody tr").count() == 4
        assert rows.first.inner_text().startswith("bert-tiny")
        cell.locator(".nbbench img").first.wait_for()
        assert cell.locator(".nbbench img").count() == 2
        shown.screenshot(path=tmp_path / "run.png", full_page=True)

        # the report is in the kernel
        assert notebook.ask(1, "print(report.speed.status.tolist())") == "['ok', 'ok', 'ok', 'ok']"

        # a second run is cancelled, and another cell runs meanwhile
        cell.get_by_label("sequence lengths", exact=True).fill("256 512")
        cell.get_by_label("batch sizes", exact=True).fill("64")
        cell.get_by_role("button", name="Options").press("Space")
        cell.get_by_label("rounds", exact=True).fill("1")  # so that the first case takes long
        cell.get_by_label("max time", exact=True).fill("60")
        cell.get_by_label("precision", exact=True).fill("0.00001")
        cell.get_by_role("button", name="Run", exact=True).click()
        cell.get_by_text("measuring").first.wait_for(timeout=60_000)
        assert notebook.ask(1, "1 + 1") == "2"
        begin = time.monotonic()
        cancel.click()
        cell.get_by_text("1 cancelled, 1 skipped").first.wait_for()
        assert time.monotonic() - begin < 3  # the display's own pace included
        kept = notebook.ask(1, "print(report.speed.status.tolist())")
        assert kept == "['cancelled', 'skipped']"

        # and the same as a cell
        cell.get_by_role("button", name="Copy as cell").click()
        text = cell.get_by_label("cell", exact=True)
        text.wait_for()
        assert text.input_value().splitlines()[:2] == [
            "%%tfbench --out report",
            "models = ['bert-tiny']",
        ]
        shown.screenshot(path=tmp_path / "cancelled.png", full_page=True)


WIDE = """\
import nbbench, dataclasses
known = nbbench.Report.load({file!r})
names = ["a-rather-long-organisation-name/a-model-whose-name-does-not-end-soon-v" + n for n in "12"]
known.results = tuple(
    dataclasses.replace(r, case=dataclasses.replace(r.case, model=name, execution=execution))
    for r in known.results for name in names for execution in ("eager", "torchscript")
)
known"""

PRINTED = "print(repr(known).partition('in all rows')[0].partition('unsupported: ')[0].rstrip())"


def test_tables_fit_beside_the_side_bar_of_a_small_jupyterlab(tmp_path):
    from tests.public_listing import FIXTURE

    write_notebook(tmp_path / "n.ipynb", WIDE.format(file=str(FIXTURE)), PRINTED)
    with jupyter("lab", tmp_path) as address, page() as shown:  # 1280 pixels wide
        notebook = Notebook(shown, address, "lab", "n.ipynb")
        assert shown.locator(".jp-DirListing").is_visible()  # the side bar is open
        table, printed = notebook.run(0), notebook.run(1)
        for width in (1000, 1280):
            shown.set_viewport_size({"width": width, "height": 1000})
            for part in table.locator(".nbbench .scroll").all():
                assert part.evaluate("e => e.scrollWidth <= e.clientWidth")
        pre = printed.locator(".jp-OutputArea-output pre")
        lines = pre.inner_text().rstrip("\n").count("\n") + 1
        height = pre.evaluate("e => e.getBoundingClientRect().height")
        line = pre.evaluate("e => parseFloat(getComputedStyle(e).lineHeight)")
        assert round(height / line) == lines  # none is broken


@pytest.fixture
def long_page(tmp_path):
    """The page of a report with 10,000 rows, of which every tenth has no time."""
    from tests.test_scale import report

    whole = report(10_000)
    return whole, whole.to_html(tmp_path / "long.html")


@pytest.mark.slow
def test_a_page_of_ten_thousand_rows_is_sorted_and_filtered_in_a_browser(long_page):
    whole, file = long_page
    times = sorted(r.outcome.timing.median_s for r in whole.results if r.outcome.timing)
    assert file.stat().st_size < 5e6
    problems, loaded = [], []
    with page() as shown:
        shown.on("console", lambda message: problems.append(message.text))
        shown.on("pageerror", lambda error: problems.append(str(error)))
        shown.on("request", lambda request: loaded.append(request.url))
        shown.goto(file.as_uri())
        table = shown.locator(".sortable").first
        rows, status = table.locator("tbody tr"), table.get_by_role("status")
        head = table.locator("th", has=shown.get_by_role("button", name="time", exact=True))
        column = table.locator("th").all_inner_texts().index("time")

        def cells():
            return [row.split("\t")[column] for row in rows.all_inner_texts()]

        assert rows.count() == 200
        assert status.inner_text() == "rows 1 to 200 of 10,000 rows"
        assert head.get_attribute("aria-sort") == "none"
        head.get_by_role("button").focus()
        shown.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        assert cells()[0].startswith(f"{times[0] * 1e3:.2f} ms")
        shown.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        assert cells()[0].startswith(f"{times[-1]:.1f} s")  # and not 999 ms
        for _ in range(49):
            table.get_by_role("button", name="next").click()
        assert status.inner_text() == "rows 9,801 to 10,000 of 10,000 rows"
        assert set(cells()) == {""}  # what is missing comes last either way
        assert table.get_by_role("button", name="next").is_disabled()
        table.get_by_role("searchbox").fill("MODEL-3 error")
        found = sum(r.case.model == "model-3" and not r.outcome.timing for r in whole.results)
        assert status.inner_text() == f"{found} rows (10,000 in all)"
        table.get_by_role("searchbox").fill("")
        took = table.evaluate(
            """table => [...table.querySelectorAll("th button")].map(button => {
                const begin = performance.now();
                button.click();
                table.getBoundingClientRect();
                return performance.now() - begin;
            })"""
        )
        assert max(took) < 1000
    assert problems == []
    assert loaded == [file.as_uri()]


def test_a_whole_head_is_clicked_and_long_texts_leave_the_page_as_wide_as_the_window(tmp_path):
    from tests.test_shared_page import long_report

    file = long_report().to_html(tmp_path / "x.html", title="y" * 300)
    with page() as shown:
        for width in (400, 1280):
            shown.set_viewport_size({"width": width, "height": 1000})
            shown.goto(file.as_uri())
            assert shown.evaluate("document.documentElement.scrollWidth") == width
            table = shown.locator(".sortable").first
            for head in table.locator("th:visible").all():
                head.scroll_into_view_if_needed()
                box, button = head.bounding_box(), head.get_by_role("button").bounding_box()
                assert box["width"] - button["width"] < 2
                assert box["width"] < 700
                for part in (0.03, 0.97):
                    before, box = head.get_attribute("aria-sort"), head.bounding_box()
                    corner = {"x": part * box["width"], "y": part * box["height"]}
                    head.click(position=corner)
                    assert head.get_attribute("aria-sort") != before
                head.get_by_role("button").press("Enter")
                assert head.get_attribute("aria-sort") == "ascending"


def test_a_page_is_read_without_its_script(tmp_path):
    from tests.test_plots import REPORT

    file = REPORT.to_html(tmp_path / "x.html")
    with page(java_script_enabled=False) as shown:
        shown.goto(file.as_uri())
        assert shown.locator(".sortable").first.locator("tbody tr").count() == 9
        assert shown.locator("input, button").count() == 0
    with page() as shown:
        shown.goto(file.as_uri())
        assert shown.locator(".sortable").first.locator("tbody tr").count() == 9
        assert shown.locator("tr.failed").count() == 1
