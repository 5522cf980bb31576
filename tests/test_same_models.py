"""Which models are one, by whatever name: of two runs, of many people's files, of older ones."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

import nbbench
from nbbench.history_database.exchange import export_history
from nbbench.history_database.filters import models_like
from nbbench.history_database.store import HistoryStore
from nbbench.plan.saved_names import saved_names, without_folders
from nbbench.report.report import Report
from nbbench.worker.case import OWN_MODEL
from tests.test_comparison import MACHINE, WORKERS, report_of, result_of, visits_of

SMALL, LARGE = {"hidden_size": 32, "layers": [1]}, {"hidden_size": 64, "layers": [2]}


def case_of(model, config=SMALL, source="folder", seed=0, **more):
    random = np.random.default_rng(seed)
    result = result_of(visits_of(random, 0.01), model=model, config=config, **more)
    return replace(result, case=replace(result.case, config_source=source))


def gathered(tmp_path, *results):
    """Each result as the file of a machine of its own, gathered."""
    for number, result in enumerate(results):
        machine = replace(MACHINE, cpu=f"processor {number}")
        Report([result], machine, WORKERS).save(tmp_path / f"{number}.nbbench.json")
    return nbbench.gather(tmp_path)


def test_models_of_one_name_are_not_compared_as_one(tmp_path):
    found = gathered(tmp_path, case_of("last"), case_of("last", LARGE))
    comparison = found.compare(by="device_name")
    assert not comparison.differences
    assert len(comparison.unmatched) == 1
    (note,) = comparison.notes
    assert "'last' is the name of 2 models" in note
    assert "hidden_size, layers" in note
    assert note in str(comparison)
    found.to_html(tmp_path / "page.html")
    assert "time ratio" not in (tmp_path / "page.html").read_text()


def test_code_that_differs_is_compared_and_noted(tmp_path):
    own = {"model_type": OWN_MODEL, "file": "net.py", "factory": "build"}
    codes = ["a1", "b2"]
    cases = [case_of("net.py:build", own, "own code", code=code) for code in codes]
    comparison = gathered(tmp_path, *cases).compare(by="device_name")
    assert len(comparison.differences) == 1
    assert "the code of 'net.py:build', or what lies beside it, is not" in comparison.notes[0]
    unknown = [case_of("net.py:build", own, "own code", code=code) for code in ("a1", "unknown 1")]
    assert not gathered(tmp_path, *unknown).compare(by="device_name").notes


def test_what_changes_nothing_of_a_model_is_no_difference(tmp_path):
    other = {**SMALL, "transformers_version": "4.0", "_name_or_path": "elsewhere"}
    comparison = gathered(tmp_path, case_of("last"), case_of("last", other)).compare(
        by="device_name"
    )
    assert len(comparison.differences) == 1
    assert not comparison.notes


@pytest.mark.parametrize(
    "more",
    [
        {"mode": "training", "optimizer": True},
        {"mode": "training", "model_class": "base"},
        {"mode": "training", "modalities": "text"},
        {"mode": "training", "inputs": {"x": {"shape": [3]}}},
        {"mode": "training", "lengths": "given", "row_lengths": (8, 32)},
    ],
)
def test_cases_that_do_other_work_are_not_compared(more, tmp_path):
    other = {"mode": "training", "lengths": "given", "row_lengths": (16, 32)}
    if "lengths" not in more:
        other = {"mode": "training"}
    one, two = case_of("m", **other), case_of("m", seed=1, **more)
    assert not report_of(two).compare(report_of(one)).differences
    assert not gathered(tmp_path, one, two).compare(by="device_name").differences
    ways = report_of(
        one, replace(two, case=replace(two.case, execution="compile", dtype="float16"))
    )
    assert not ways.compare(baseline="first").differences


def test_work_that_goes_with_an_axis_is_compared_by_it():
    for by, one, other in (
        ("mode", {"mode": "inference"}, {"mode": "training", "optimizer": True}),
        ("model", {"model": "m"}, {"model": "n", "config": LARGE, "inputs": {"x": {}}}),
        ("padding", {"padding": 0.2, "row_lengths": (8, 32)}, {"row_lengths": (32, 32)}),
    ):
        report = report_of(case_of(**{"model": "m", **one}), case_of(**{"model": "m", **other}))
        assert len(report.compare(by=by).differences) == 1


def test_models_that_are_named_alike_are_compared_with_the_first_of_their_own():
    cases = [
        case_of("m", config, execution=execution, dtype=dtype)
        for config in (SMALL, LARGE)
        for execution, dtype in (("eager", "float32"), ("compile", "float16"))
    ]
    comparison = report_of(*cases).compare(baseline="first")
    assert [d.case.config == d.other.config for d in comparison.differences] == [True, True]
    assert report_of(case_of("m"), case_of("n", LARGE)).compare(by="model").differences


@pytest.mark.parametrize(
    ("now", "before"),
    [("last", "run1/last"), ("run1/last", "last"), ("net", "/x/y/net"), ("net", "./net"),
     ("net", "C:\\nets\\net"), ("w.py:build", "sub/w.py:build"), ("net", "net/config.json")],
)  # fmt: skip
def test_a_folder_is_compared_with_itself_by_another_name(now, before):
    source = "own code" if ".py" in now else "folder"
    new, old = case_of(now, source=source), case_of(before, source=source, seed=1)
    comparison = report_of(new).compare(report_of(old))
    (difference,) = comparison.differences
    is_noted = any("in the old run" in note for note in comparison.notes)
    assert is_noted == (difference.case.model != difference.other.model)
    assert not comparison.unmatched


def test_a_folder_that_may_be_one_of_several_is_not_compared():
    both = report_of(case_of("run1/last"), case_of("run2/last"))
    assert len(report_of(case_of("last")).compare(both).unmatched) == 3
    exact = report_of(case_of("run2/last")).compare(both)
    assert [d.other.model for d in exact.differences] == ["run2/last"]
    other = report_of(case_of("run1/last"), case_of("run2/last", LARGE))
    comparison = report_of(case_of("last", LARGE)).compare(other)
    assert [d.other.model for d in comparison.differences] == ["run2/last"]
    hub = report_of(case_of("one/last", source="hub"))
    assert not report_of(case_of("two/last", source="hub")).compare(hub).differences


def test_the_keys_in_which_models_of_one_name_differ_are_named():
    comparison = report_of(case_of("last")).compare(report_of(case_of("last", LARGE)))
    assert len(comparison.unmatched) == 2
    (note,) = comparison.notes
    assert note == (
        "'last' is not the same model in both runs: their configurations differ in "
        "hidden_size, layers"
    )
    assert note in str(comparison)
    many = {f"key_{number}": number for number in range(9)}
    comparison = report_of(case_of("last", many)).compare(report_of(case_of("last", {})))
    assert "key_0, key_1, key_2 and 6 more keys" in comparison.notes[0]


def old_file(folder):
    """A report as an older version wrote it, with paths of two folders of one name."""
    paths = ["/data/secret/a/net", "./secret/b/net", "D:\\secret\\last", "secret/c/own", "gpt2"]
    config = {**SMALL, "_name_or_path": "/data/secret/net"}
    results = [case_of(path, config, "folder") for path in paths]
    folder.mkdir()
    file = folder / "old.nbbench.json"
    report_of(*results).save(file)
    content = json.loads(file.read_text())
    for entry, path in zip(content["results"], paths, strict=True):
        entry["case"]["model"] = path
        entry["case"]["config"] = config
    content["baseline"] = paths[0]
    file.write_text(json.dumps(content))
    return file


def test_the_paths_of_an_older_file_are_gone_when_it_is_written_again(tmp_path):
    file = old_file(tmp_path / "in")
    names = ["a/net", "b/net", "last", "own", "gpt2"]
    report, all_of = nbbench.Report.load(file), nbbench.gather(file)
    assert all_of.speed.model.tolist() == names
    for name, each in (("one", report), ("all", all_of)):
        each.save(tmp_path / f"{name}.json")
        each.to_html(tmp_path / f"{name}.html")
        each.to_csv(tmp_path / name)
        loaded = nbbench.Report.load(tmp_path / f"{name}.json")
        assert loaded.speed.model.tolist() == names
    written = [each for each in tmp_path.rglob("*") if each.is_file() and each != file]
    assert len(written) > 6
    assert not [each for each in written if "secret" in each.read_text()]


def test_the_paths_of_an_older_history_are_not_exported(tmp_path, monkeypatch):
    database = tmp_path / "history.sqlite"
    monkeypatch.setenv("NBBENCH_HISTORY", str(database))
    history = HistoryStore(database, MACHINE)
    config = {**SMALL, "_name_or_path": "/data/secret/net"}
    for path in ("/data/secret/a/net", "/data/secret/b/net", "secret/c/own"):
        history.add(case_of(path, config), None)
    history.add(case_of("org/model", source="hub"), None)
    history.close()
    assert export_history(database, tmp_path / "h.jsonl") == 4
    text = (tmp_path / "h.jsonl").read_text()
    assert "secret" not in text
    assert all(f'"{name}"' in text for name in ("a/net", "b/net", "own", "org/model"))


KEPT = ["net", "run1/last", "w1.py:build", "org/model", "model", "gpt2"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("ckA/net", ["net"]), ("./ckA/net", ["net"]), ("ckA/net/config.json", ["net"]),
        ("x/run1/last", ["run1/last"]), ("sub1/w1.py:build", ["w1.py:build"]),
        ("org/model", ["org/model"]), ("other/model", ["model"]), ("D:\\x\\net", ["net"]),
        ("model", ["org/model", "model"]), ("nobody/*", []), ("nets", []),
        ("*/last", ["run1/last"]),
    ],
)  # fmt: skip
def test_a_model_is_found_by_the_path_that_was_just_typed(given, found):
    assert models_like(given, KEPT) == found


def test_a_folder_that_exists_is_found_beside_one_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("org/model")
    assert models_like("org/model", KEPT) == ["org/model", "model"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("file:///tmp/secret/net", "net"), ("D:/secret/last", "last"), ("C:\\secret\\m", "m"),
        ("\\\\server\\secret\\m", "m"), ("file://server/secret/net", "net"),
        ("/x/net/config.json", "net"),
    ],
)  # fmt: skip
def test_a_path_of_any_system_goes_by_its_last_part(given, name):
    assert saved_names([(given, False)]) == {given: name}


def test_a_configuration_has_no_path_at_any_depth():
    paths = ["/home/jane/t", "C:\\Users\\jane\\nets\\t", "file:///home/jane/t", "D:/jane/t",
             "nets/jane/t"]  # fmt: skip
    config = {"parts": [{"_name_or_path": path} for path in paths], "_name_or_path": paths}
    found = without_folders(config)
    assert found == {"parts": [{"_name_or_path": "t"}] * 5, "_name_or_path": ["t"] * 5}
    own = {"_name_or_path": "org/model", "layers": [1, 2], "pad": ("a", None)}
    assert without_folders(own) == own


def test_a_configuration_file_goes_by_its_folder():
    assert saved_names([("ckA/net/config.json", True)]) == {"ckA/net/config.json": "net"}
    two = [("a/net/config.json", True), ("b/net", True)]
    assert [*saved_names(two).values()] == ["a/net", "b/net"]
