"""What files call models that are named by a path: nothing of the path is saved."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

import nbbench
from nbbench.cli import main
from nbbench.history_database.exchange import export_history
from nbbench.history_database.query import history
from nbbench.plan.reasons import without_code, without_paths
from nbbench.plan.saved_names import saved_names
from tests.kept_history import file

__all__ = ["file"]  # fixtures

pytestmark = pytest.mark.usefixtures("probe", "file")

GIVEN = {
    "frameworks": ["probe"], "sequence_lengths": [8], "rounds": 1, "max_time": 0.05,
    "progress": False,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with two model folders of one name, and a file of code."""
    folder = tmp_path / "secret project"
    for parent, values in (("one", {}), ("two", {"call": "not_implemented", "build": "raise"})):
        (folder / parent / "fold").mkdir(parents=True)
        known = {"model_type": "probe", "_name_or_path": str(folder / "where it was"), **values}
        (folder / parent / "fold" / "config.json").write_text(json.dumps(known))
    (folder / "net.py").write_text("def build():\n    return None\n")
    monkeypatch.chdir(folder)
    return folder


def test_names_that_are_no_paths_stay():
    assert saved_names([("gpt2", False), ("org/model", False), ("pack.net:build", False)]) == {}


@pytest.mark.parametrize("name", ["/data/x/fold", "/data/x/fold/", "~/x/fold", "./x/../fold"])
def test_a_folder_goes_by_its_own_name(name):
    assert saved_names([(name, True)]) == {name: "fold"}


def test_a_home_folder_is_no_name():
    home, own = os.path.expanduser("~"), "~"
    assert saved_names([(home, True)]) == {home: own}
    assert saved_names([("/home/alice", True)]) == {"/home/alice": own}


def test_names_that_are_one_get_what_makes_them_differ():
    given = ["/d/a/fold", "/d/b/fold", "/d/b/deep/gpt2", "/n.py:f", "/x/n.py:g", "/x/y"]
    labels = saved_names([*((name, True) for name in given), ("gpt2", False)])
    assert [*labels.values()] == ["a/fold", "b/fold", "deep/gpt2", "n.py:f", "n.py:g", "y"]
    twice = saved_names([("/d/fold", True), ("/d/fold/", True), ("/e/fold", True)])
    assert [*twice.values()] == ["d/fold", "d/fold (2)", "e/fold"]
    users = saved_names([("/home/alice/fold", True), ("/home/bob/fold", True)])
    assert [*users.values()] == ["fold", "fold (2)"]


def test_a_password_in_a_name_is_not_saved():
    (label,) = saved_names([("https://me:pass@hub.example/x", False)]).values()
    assert "pass" not in label


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("no file '/data/my files/x.csv' (errno 2)", "no file '…/x.csv' (errno 2)"),
        ("cannot open /data/a/b.so: no such file", "cannot open …/b.so: no such file"),
        (r"cannot open C:\Data\a\b.dll", "cannot open …/b.dll"),
        ("see ~/a/b.txt", "see …/b.txt"),
        ("PATH=/data/bin:/data/my/lib:~/x/y", "PATH=…/bin:…/lib:…/y"),
        (r"PATH=C:\a\bin;D:\b\lib", "PATH=…/bin;…/lib"),
        ("cc -I/data/a/inc -L /data/lib -isystem/data/b", "cc -I…/inc -L …/lib -isystem…/b"),
        ("scp me@host:/data/a/b", "scp me@host:…/b"),
        ("open file:///data/a/x.csv and 'file:///my data/y.csv'", "open …/x.csv and '…/y.csv'"),
        ("see https://example.org/a/b/c and org/model", None),
        ("2 tokens/s and 3/4 of a/b/c; x / y / z", None),
    ],
)
def test_of_paths_in_a_reason_the_last_part_stays(reason, kept):
    assert without_paths(reason) == (reason if kept is None else kept)


def files_of(report, folder):
    """All that is written of a report, and the texts in it."""
    report.save(folder / "r.nbbench.json")
    report.to_csv(folder / "csv")
    report.to_html(folder / "page.html")
    report.to_markdown(folder / "table.md")
    export_history(Path(os.environ["NBBENCH_HISTORY"]), folder / "h.jsonl.gz")
    nbbench.gather(folder / "r.nbbench.json").save(folder / "all.nbbench.json")
    files = (file for file in folder.rglob("*") if file.is_file() and file.suffix != ".gz")
    texts = [file.read_text() for file in files]
    return [*texts, gzip.open(folder / "h.jsonl.gz", "rt").read(), str(history().frame.to_csv())]


def test_no_file_has_a_path(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    models = [str(folder / "one/fold"), "two/fold/", str(folder / "net.py:build"), "/data/my/nope"]
    report = nbbench.run(*models, **GIVEN, baseline=models[0], save=out / "grown.nbbench.json")
    assert report.speed.model.tolist() == models  # as they were given
    report = report.with_column("quality", dict.fromkeys(models, 1.0))
    for text in files_of(report, out):
        assert "secret" not in text
        assert str(tmp_path) not in text
        assert "/data/my" not in text
    loaded = nbbench.Report.load(out / "r.nbbench.json")
    assert loaded.speed.model.tolist() == ["one/fold", "two/fold", "net.py:build", "nope"]
    assert loaded.speed.quality.tolist() == [1.0] * 4
    assert "one/fold" in loaded.to_markdown()
    assert sorted(history().frame.model) == ["net.py:build", "nope", "one/fold", "two/fold"]


def test_the_tables_of_a_shell_have_no_path_either(folder, tmp_path):
    out = tmp_path / "csv"
    flags = ["--frameworks", "probe", "-s", "8", "--max-time", "0.05", "--csv", str(out)]
    assert main(["run", str(folder / "one/fold"), *flags]) == 0
    assert "secret" not in "".join(file.read_text() for file in out.iterdir())


def test_a_resumed_run_finds_a_folder_by_any_of_its_names(folder):
    names = ["one/fold", "./one/fold", "one/fold/", str(folder / "one/fold")]
    nbbench.run(names[0], **GIVEN)
    for name in names:
        assert nbbench.run(name, **GIVEN, resume=True).speed.model.tolist() == [name]
    assert len(history()) == 1


@pytest.mark.parametrize("shown", ["one/fold", "./one/../one/fold/", "fold", "f*"])
def test_the_history_is_searched_by_any_of_them(folder, shown):
    nbbench.run(str(folder / "one/fold"), **GIVEN)
    found = str(folder / shown) if shown == "one/fold" else shown
    assert len(history(found)) == 1
    nbbench.run("./one/fold", "./two/fold", **GIVEN)
    assert len(history("./one/fold")) == 3  # those of one name; each says which it is


def test_a_plot_has_no_path(folder):
    report = nbbench.run(str(folder / "one/fold"), str(folder / "net.py:build"), **GIVEN)
    report = report.with_column("quality", {str(folder / "one/fold"): 1.0})
    assert [result.case.model for result in report.plot._results] == ["fold", "net.py:build"]
    assert report.plot._added.columns[0].values == {"fold": 1.0}
    report.plot.history()  # finds them by what they are


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("E: no (net.py, line 3: f(x)(y))", "E: no (net.py, line 3)"),
        ("E: a (b) c (net (1).py, line 3: x = ()", "E: a (b) c (net (1).py, line 3)"),
        ("E: at a.ini, line 3: bad (net.py, line 12: read(", "E: at a.ini, line 3: bad "
         "(net.py, line 12)"),
        ("E: no (net.py, line 3: open('a) b'))", "E: no (net.py, line 3)"),
        ("E: no (net.py, line 3)", None), ("E: (line 3: x)", None),
    ],
)  # fmt: skip
def test_of_a_line_of_code_its_number_stays(reason, kept):
    assert without_code(reason) == (reason if kept is None else kept)


def test_a_folder_is_compared_with_what_was_saved_of_it(folder, tmp_path):
    file = tmp_path / "r.nbbench.json"
    nbbench.run("./one/fold", **GIVEN, save=file)
    now = nbbench.run(str(folder / "one/fold"), **GIVEN)
    assert len(now.compare(nbbench.Report.load(file)).frame) == 1


def test_one_folder_under_two_names_has_two_rows(folder, tmp_path):
    file = tmp_path / "r.nbbench.json"
    nbbench.run("./one/fold", "one/fold", **GIVEN, save=file)
    assert nbbench.Report.load(file).speed.model.tolist() == ["fold", "fold (2)"]
