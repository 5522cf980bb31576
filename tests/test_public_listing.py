"""What a user names, types and reads is as it was, but for what is listed here by name."""

from __future__ import annotations

import json

import pytest

import nbbench
from tests.public_listing import FIXTURE, FOLDER, listing, printed

RENAMED = {"dtype": "dtypes", "attention": "attentions", "execution": "executions"}
"""Arguments that take lists have plural names now; the singular is still taken."""

MOVED_TO_HF = {
    *("use_torchscript", "use_tpu", "fp16", "only_pretrain_model", "use_multiprocessing"),
}
"""What the former benchmark alone knew is in `nbbench.hf` and its tables."""

CONSTRUCTED_OTHERWISE = {
    f"nbbench.{name}" for name in ("BenchmarkArguments", "Case", "Outcome", "Job", "Report")
}
"""Classes whose objects nbbench makes itself; the arguments' names are compared below."""

RENAMED_METHODS = {"nbbench.BenchmarkArguments.executions", "nbbench.Outcome.from_dict"}
"""`executions_of`, since the argument has its name now; reports are read by `Report.load` alone."""


RENAMED_TYPE = ("'Arguments'", "'BenchmarkArguments'")
"""The base of the former classes' arguments has the original's name, since it is public."""


@pytest.fixture(scope="module")
def before():
    return json.loads((FOLDER / "listing.json").read_text())


@pytest.fixture(scope="module")
def now():
    return listing()


def test_every_public_name_is_there_with_its_signature(before, now):
    for name, signature in before["names"].items():
        if name not in CONSTRUCTED_OTHERWISE | RENAMED_METHODS:
            signature_now = now["names"][name].replace("'schema.", "'")  # nbbench's own, not hf's
            assert signature_now == signature.replace(*RENAMED_TYPE), name


def test_every_flag_is_there(before, now):
    for command, flags in before["flags"].items():
        assert set(flags) <= set(now["flags"][command])


def test_every_column_and_every_argument_is_there(before, now):
    for frame, columns in before["columns"].items():
        assert set(columns) <= set(now["columns"][frame])
    assert set(before["environment"]) - MOVED_TO_HF <= set(now["environment"])
    assert {RENAMED.get(name, name) for name in before["arguments"]} <= set(now["arguments"])


@pytest.mark.parametrize("name", ["tables.txt", "report.txt", "report.md", "report.tex"])
def test_what_is_printed_is_as_it_was(name, capsys):
    assert printed(capsys)[name] == (FOLDER / name).read_text()


def test_the_table_of_a_notebook_is_as_it_was(capsys):
    def table(html):
        return html.partition("</style>")[2].partition("<details>")[0]

    html = printed(capsys)["report.html"]
    assert table(html) == table((FOLDER / "report.html").read_text())


def test_a_report_of_version_1_loads_and_is_saved_as_version_2(tmp_path):
    report = nbbench.Report.load(FIXTURE)
    assert json.loads(FIXTURE.read_text())["version"] == 1
    saved = report.save(tmp_path / "x.nbbench.json")
    assert json.loads(saved.read_text())["version"] == 2
    assert nbbench.Report.load(saved) == report
