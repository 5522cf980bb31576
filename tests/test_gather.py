"""Reports of many people as one: each with its machine, none lost, none mixed up with another."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

import nbbench
from nbbench.cli import main
from nbbench.errors import ArgumentError
from nbbench.machine.gpus import GpuFacts
from nbbench.machine.machine import MachineFacts
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.overwriting import check_over_tables
from nbbench.report.report import Report
from nbbench.report.verdict import Verdict
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.public_listing import FIXTURE
from tests.test_comparison import result_of, visits_of

GPU = GpuFacts(gpu="a GPU", gpu_ram_mb=16000)


def report_of(seconds, cpu="one processor", *, gpu=None, seed=0, models=("m",), **more):
    """A report of each model eager and compiled, on a machine of its own."""
    random = np.random.default_rng(seed)
    results = [
        result_of(visits_of(random, seconds * part), model=model, execution=execution)
        for model in models
        for part, execution in ((1.0, "eager"), (0.5, "compile"))
    ]
    if gpu:
        results = [replace(r, outcome=replace(r.outcome, device="cuda:0")) for r in results]
    worker = WorkerFacts({"framework": "PyTorch", "threads": 2}, gpu or GpuFacts())
    machine = MachineFacts(cpu=cpu, cpu_cores_usable=2, nbbench_version="1")
    return Report(results, machine, {("pytorch", "kernel"): worker}, **more)


@pytest.fixture
def folder(tmp_path):
    """Files of three people: two have the same processor, and one has a GPU."""
    reports = tmp_path / "reports"
    (reports / "more").mkdir(parents=True)
    report_of(0.010).save(reports / "alice.nbbench.json")
    report_of(0.011, seed=1).save(reports / "bob.nbbench.json")
    report_of(0.002, gpu=GPU, seed=2).save(reports / "more" / "carol.json")
    return reports


def test_each_row_keeps_its_machine_and_none_is_lost(folder, tmp_path):
    gathered = nbbench.gather(folder)
    speed = gathered.speed
    assert speed.node.tolist() == ["alice"] * 2 + ["bob"] * 2 + ["carol"] * 2
    assert speed.device_name.tolist() == ["one processor"] * 4 + ["a GPU"] * 2
    assert [each.environment for each in gathered.facts] == [
        f"kernel on {name}" for name in ("alice", "bob", "carol")
    ]
    assert [each.machine.cpu for each in gathered.facts] == ["one processor"] * 3
    assert len(gathered.memory) == len(gathered.summary) == 6
    assert gathered.summary.node.tolist() == speed.node.tolist()
    assert len(set(gathered.environment.columns)) == 3
    assert len({line.get_label() for line in gathered.plot.latency().axes.containers}) == 6
    again = Report.load(gathered.save(tmp_path / "all.nbbench.json"))
    assert again == gathered
    assert len(again.results) == 6


def test_machines_are_compared_unpaired_and_ways_within_a_machine(folder):
    gathered = nbbench.gather(folder)
    by_device = gathered.compare(by="device_name").frame
    assert by_device.node.tolist() == ["carol", "carol"]
    assert by_device.verdict.tolist() == ["faster", "faster"]
    by_execution = gathered.compare(by="execution").frame
    assert by_execution.node.tolist() == ["alice", "bob", "carol"]
    for frame, name in zip((nbbench.Report.load(file).compare().frame for file in [
        folder / "alice.nbbench.json", folder / "bob.nbbench.json", folder / "more" / "carol.json"
    ]), ("alice", "bob", "carol"), strict=True):  # fmt: skip
        mine = by_execution[by_execution.node == name]
        assert mine.ratio.tolist() == frame.ratio.tolist()  # not beside another one's machine
        assert mine.ratio_low.tolist() == frame.ratio_low.tolist()
    first = gathered.compare(gathered)
    assert len(first.differences) == 6
    assert not first.unmatched
    assert {difference.ratio for difference in first.differences} == {1.0}


def test_the_same_case_of_one_machine_stays_twice_and_each_has_its_verdict(folder):
    report_of(0.010, seed=3).save(folder / "again.nbbench.json")
    gathered = nbbench.gather(folder / "alice.nbbench.json", folder / "again.nbbench.json")
    assert gathered.speed.node.tolist() == ["alice"] * 2 + ["again"] * 2
    with_baseline = Report(
        gathered.results, gathered._content.machine, gathered._content.workers, "eager"
    )
    assert [bool(text) for text in with_baseline.summary.verdict] == [False, True] * 2
    assert "alice" in repr(gathered)
    assert "again" in gathered.to_markdown()


def test_the_best_of_many_machines_is_named_with_its_file(folder):
    choice = nbbench.gather(folder).best(by="latency", model="m", execution="eager")
    assert choice.frame.node.tolist() == ["carol"]
    assert "carol" in repr(choice)
    mine = nbbench.gather(folder / "alice.nbbench.json", folder / "bob.nbbench.json")
    front = mine.pareto("latency", "memory")
    assert set(front.frame.node) <= {"alice", "bob"}


def test_files_are_named_apart_shortly_and_without_their_folder(tmp_path):
    long = "a-very-long-name-of-a-machine-that-somebody-has-in-a-rack"
    for name in ("a/x", "b/x", "c/x (2)", f"a/{long}-1", f"a/{long}-2", "a/\x1b[2J"):
        file = tmp_path / "home" / f"{name}.nbbench.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        report_of(0.01, seed=len(list(tmp_path.rglob("*.json")))).save(file)
    gathered = nbbench.gather(tmp_path)
    nodes = list(dict.fromkeys(gathered.speed.node))
    assert len(nodes) == 6
    assert all(len(node) <= 32 and "\x1b" not in node for node in nodes)
    text = json.dumps(gathered.to_dict())
    assert "home" not in text
    assert str(tmp_path) not in text


def test_paths_may_be_a_list_too(folder):
    alice, bob = sorted(folder.glob("*.json"))
    for given in ([[alice, bob]], [[str(alice)], bob], [folder.glob("*.json")]):
        assert set(nbbench.gather(*given).speed.node) == {"alice", "bob"}
    with pytest.raises(nbbench.ArgumentError, match="nothing was given"):
        nbbench.gather([])


def test_a_copy_is_named_and_counts_once(folder, tmp_path):
    text = (folder / "alice.nbbench.json").read_text(encoding="utf-8")
    shutil.copy(folder / "alice.nbbench.json", folder / "twin.nbbench.json")
    (folder / "windows.json").write_bytes(text.replace("\n", "\r\n").encode("utf-16"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gathered = nbbench.gather(folder)
    assert set(gathered.speed.node) == {"alice", "bob", "carol"}
    first, second = (str(each.message) for each in caught)
    assert re.search("twin.*is a copy of .*alice.*, and they count once", first)
    assert "windows.json" in second


def warned_of(folder, results):
    """The warnings of gathering a folder, by name, which has so many results."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(nbbench.gather(folder).results) == results
    return sorted(str(each.message).replace(str(folder), "") for each in caught)


def test_links_that_are_not_followed_and_pipes_are_named(folder, tmp_path):
    (folder / "dangling.json").symlink_to("nowhere.json")
    (folder / "there").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.nbbench.json")
    assert warned_of(folder, results=6) == [
        "'/dangling.json' is a link to 'nowhere.json', which is not there; it is not gathered",
        "'/there' is a link to a folder; give that folder, too",
        "passed over 1 file without a report of their own: pipe.nbbench.json",
    ]
    with pytest.raises(nbbench.OutputError, match=r"is a link to 'nowhere\.json', which is not"):
        nbbench.gather(folder / "dangling.json")


def test_paths_that_cannot_be_looked_at_are_named(folder, capsys):
    """As one is in a folder that nobody may look into."""
    long = "x" * 300
    (folder / "long.json").symlink_to(long)
    (folder / "round.json").symlink_to("round.json")
    assert warned_of(folder, results=6) == [
        "'/long.json' cannot be read: File name too long; it is not gathered",
        "'/round.json' cannot be read: Too many levels of symbolic links; it is not gathered",
    ]
    with pytest.raises(nbbench.OutputError, match="xxx' cannot be read: File name too long"):
        nbbench.gather(long)
    assert main(["gather", long]) == 2
    assert "cannot be read: File name too long; give files" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--save", "--html"])
@pytest.mark.parametrize("name", ["notes.md", "bob.nbbench.json", "x.html", "torn.nbbench.json"])
def test_no_file_is_written_over_that_gather_would_not_have_written(flag, name, folder, capsys):
    (folder / "x.html").write_text("<title>mine</title>")
    (folder / "notes.md").write_text("mine")
    (folder / "torn.nbbench.json").write_text("{")
    before = (folder / name).read_bytes()
    argv = ["gather", str(folder / "alice.nbbench.json"), flag, str(folder / name)]
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert f"{flag}: " in error
    assert f"{name}' is no " in error
    assert "would be written over; give another path" in error
    assert (folder / name).read_bytes() == before


def test_gather_writes_over_what_it_wrote_and_over_empty_files(folder, tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "tables").mkdir()
    save, page, tables = tmp_path / "all.json", tmp_path / "x.html", tmp_path / "tables"
    nbbench.Report.load(folder / "bob.nbbench.json").to_html(page, title="another page")
    argv = ["gather", str(folder), "--save", str(save), "--html", str(page), "--csv", str(tables)]
    for _ in range(2):
        assert main(argv) == 0
    assert main(["gather", str(folder), "--save", str(tmp_path / "empty")]) == 0
    (tables / "memory.csv").write_text("mine")
    assert main(argv) == 2
    assert (tables / "memory.csv").read_text() == "mine"


def test_tables_of_many_files_are_known_as_ones_own(tmp_path):
    columns = [f"pytorch (kernel on a-machine-of-somebody-{number})" for number in range(400)]
    rows = [["key", *columns], *([name, *["x"] * 400] for name in ("python_version", "framework"))]
    text = "\n".join(map(",".join, rows))
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "environment.csv").write_text(text, encoding=encoding)
        check_over_tables("--csv", tmp_path)
    (tmp_path / "environment.csv").write_text(text.replace("framework,", "mine,"))
    with pytest.raises(nbbench.OutputError, match="no table that nbbench wrote"):
        check_over_tables("--csv", tmp_path)


def test_a_gathered_report_of_nothing_is_written_over_too(tmp_path):
    Report([], MachineFacts(), {}).save(tmp_path / "none.json")
    for _ in range(2):
        argv = ["gather", str(tmp_path / "none.json"), "--save", str(tmp_path / "all.json")]
        assert main(argv) == 0


def test_a_file_counts_once_however_often_it_is_given(folder):
    alice = folder / "alice.nbbench.json"
    (folder / "link.nbbench.json").symlink_to(alice)
    assert len(nbbench.gather(folder, alice, str(alice)).results) == 6


def test_a_damaged_file_is_named_and_the_others_stay(folder):
    whole = (folder / "bob.nbbench.json").read_text(encoding="utf-8")
    (folder / "bob.nbbench.json").write_text(whole.replace('"status"', '"stat"'), encoding="utf-8")
    (folder / "empty.nbbench.json").write_text("")
    (folder / "newer.nbbench.json").write_text('{"format": "nbbench report", "version": 99}')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gathered = nbbench.gather(folder)
    assert set(gathered.speed.node) == {"alice", "carol"}
    for name in ("bob", "empty", "newer"):
        (message,) = [str(each.message) for each in caught if name in str(each.message)]
        assert message.endswith("it is not gathered")
        assert "\n" not in message


def test_what_a_crash_has_torn_is_gathered_as_far_as_it_goes(folder):
    file = folder / "alice.nbbench.json"
    file.write_text(file.read_text(encoding="utf-8")[:-400], encoding="utf-8")
    with pytest.warns(UserWarning, match="alice.*breaks off"):
        gathered = nbbench.gather(folder)
    assert gathered.speed.node.tolist().count("alice") == 1


def test_files_of_a_folder_that_are_no_reports_are_passed_over_in_one_line(folder):
    (folder / "README.md").write_text("Our table")
    (folder / "package.json").write_text("{}")
    (folder / "weights.bin").write_bytes(b"\0" * 10_000)
    (folder / ".git").mkdir()
    shutil.copy(folder / "alice.nbbench.json", folder / ".git" / "old.nbbench.json")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gathered = nbbench.gather(folder)
    (message,) = map(str, (each.message for each in caught))
    assert message == (
        "passed over 3 files without a report of their own: README.md, package.json, weights.bin"
    )
    assert len(gathered.results) == 6


def test_what_is_given_by_name_and_is_no_report_is_a_warning(folder):
    (folder / "x.md").write_text("no report")
    with pytest.warns(UserWarning, match=r"x\.md' cannot be read as a report.*not gathered"):
        gathered = nbbench.gather(folder / "x.md", folder / "alice.nbbench.json")
    assert len(gathered.results) == 2


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        ([], "nothing was given to gather"),
        (["nowhere"], "there is no file or folder 'nowhere'"),
        (["empty"], "there is no report in 'empty'"),
        ([None], "None is no path"),
    ],
)
def test_where_there_is_nothing_it_is_one_sentence(paths, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(nbbench.NbbenchError, match=sentence):
        nbbench.gather(*paths)


def test_a_file_of_the_first_version_has_its_processor_as_device(folder):
    shutil.copy(FIXTURE, folder / "old.json")
    gathered = nbbench.gather(folder)
    mine = gathered.speed[gathered.speed.node == "old"]
    assert len(mine) == len(Report.load(FIXTURE).results)
    assert set(gathered.lines.node) == {"old"}
    assert set(mine.device_name) == {"AMD EPYC"}


def test_cases_that_never_ran_and_workers_that_never_came_up_stay(tmp_path):
    failed = Outcome(Status.ERROR, "no worker came up", Phase.STARTING)
    case = Case("pytorch", "m", {}, "given", 1, 8)
    files = [
        Report([Result(case, failed)], MachineFacts(cpu="p", nbbench_version=version), {}).save(
            tmp_path / f"{version}.json"
        )
        for version in "12"
    ]
    gathered = nbbench.gather(*files)
    assert [each.machine.cpu for each in gathered.facts] == ["p", "p"]
    assert set(gathered.speed.device_name) == {"p"}
    assert len(gathered.failures) == 2


def test_rows_of_machines_of_which_nothing_is_known_stay(tmp_path):
    for seed, name in enumerate("ab"):
        report_of(0.01, cpu=None, seed=seed).save(tmp_path / f"{name}.json")
    saved = nbbench.gather(tmp_path).save(tmp_path / "all.nbbench.json")
    again = Report.load(saved)
    assert again.speed.node.tolist() == ["a", "a", "b", "b"]
    assert set(again.speed.device_name) == {"unknown"}


def of_nodes(results, *nodes):
    return [replace(r, outcome=replace(r.outcome, node=node)) for r in results for node in nodes]


def test_a_report_of_a_cluster_is_not_written_over_and_keeps_its_nodes(tmp_path):
    machine, other = (MachineFacts(cpu=cpu) for cpu in ("small", "large"))
    workers = {
        ("pytorch", f"kernel on {node}"): WorkerFacts({"framework": "PyTorch"}, machine=known)
        for node, known in (("node 1", machine), ("node 2", other))
    }
    first, second = report_of(0.01).results
    results = [*of_nodes([first], "node 1"), *of_nodes([second], "node 2")]
    file = Report(results, machine, workers).save(tmp_path / "cluster.json")
    gathered = nbbench.gather(tmp_path)
    assert gathered.speed.node.tolist() == ["cluster: node 1", "cluster: node 2"]
    assert gathered.speed.device_name.tolist() == ["small", "large"]
    assert [each.machine.cpu for each in gathered.facts] == ["small", "large"]
    assert main(["gather", str(tmp_path), "--save", str(file)]) == 2


def test_nodes_are_compared_by_node_and_other_axes_within_each():
    first, second = report_of(0.01).results
    results = [*of_nodes([first, second], "node 1", "node 2"), *of_nodes([first], "node 3")]
    report = Report(results, MachineFacts(), {})
    by_node = report.compare(by="node").frame
    assert by_node.node.tolist() == ["node 2", "node 2", "node 3"]
    within = report.compare(by="execution").frame
    assert within.node.tolist() == ["node 1", "node 2"]
    assert not any("another machine" in reason for reason in within.reason)
    with pytest.raises(ArgumentError, match="compare by node, of which there are several"):
        report.compare(by="device_name")


def test_cases_of_two_machines_get_no_verdict_by_another_axis():
    one = of_nodes(report_of(0.01).results[:1], "node 1")
    other = of_nodes(report_of(1.0).results[1:], "node 2")
    report = Report([*one, *other], MachineFacts(), {})
    (difference,) = report.compare(by="execution").differences
    assert difference.verdict is Verdict.UNSURE
    assert difference.reason == "the other one ran on another machine (node 1)"


def test_a_case_that_began_on_one_node_and_ended_on_another_is_one_row(tmp_path):
    begun, ended = of_nodes(report_of(0.01).results[:1], "node 1", "node 2")
    file = Report([begun, ended], MachineFacts(), {}).save(tmp_path / "x.json")
    assert Report.load(file).speed.node.tolist() == ["node 2"]


def test_gathered_files_are_gathered_again_with_the_names_that_they_had(folder, tmp_path):
    nbbench.gather(folder).save(tmp_path / "club.nbbench.json")
    both = nbbench.gather(tmp_path / "club.nbbench.json", folder / "bob.nbbench.json")
    assert list(dict.fromkeys(both.speed.node)) == [
        "club: alice",
        "club: bob",
        "club: carol",
        "bob",
    ]
    assert [each.machine.cpu for each in both.facts] == ["one processor"] * 4
    assert set(both.speed.device_name) == {"one processor", "a GPU"}


def test_columns_of_ones_own_stay_where_files_agree(tmp_path):
    first = report_of(0.01, models=("m", "n")).with_column("quality", {"m": 1, "n": 2})
    first = first.with_column("licence", {"m": "free"}).with_column("score", {"m": 1}).with_price(2)
    second = report_of(0.01).with_column("quality", {"m": 1}).with_column("score", {"m": 3})
    files = [first.save(tmp_path / "a.json"), second.with_price(2).save(tmp_path / "b.json")]
    with pytest.warns(UserWarning, match="files disagree on the column 'score': left out"):
        gathered = nbbench.gather(*files)
    assert gathered.speed.quality.tolist() == [1, 1, 2, 2, 1, 1]
    assert gathered.speed.licence[0] == "free"
    assert "score" not in gathered.speed
    assert gathered.speed.cost_per_thousand_samples.notna().all()
    second.with_price(3).save(tmp_path / "b.json")
    with pytest.warns(UserWarning, match="price of an hour|'score'"):
        dearer = nbbench.gather(*files)
    assert dearer.speed.cost_per_thousand_samples.isna().all()


def test_the_command_writes_every_form_and_a_second_time_the_same(folder, tmp_path, capsys):
    table = folder / "table.nbbench.json"
    argv = [
        "gather", str(folder), "--save", str(table), "--html", str(folder / "table.html"),
        "--csv", str(tmp_path / "csv"), "--title", "Our machines", "--markdown",
    ]  # fmt: skip
    for _ in range(2):  # the table lies among the reports by then
        assert main(argv) == 0
        shown = capsys.readouterr()
        assert shown.out.startswith("| model |")
        assert len(Report.load(table).results) == 6
    assert "Our machines" in (folder / "table.html").read_text(encoding="utf-8")
    assert len((tmp_path / "csv" / "speed.csv").read_text(encoding="utf-8").splitlines()) == 7


@pytest.mark.parametrize("given", ["alice.nbbench.json", "."])
def test_no_report_that_is_gathered_is_written_over(given, folder, capsys):
    alice = folder / "alice.nbbench.json"
    before = alice.read_text(encoding="utf-8")
    assert main(["gather", str(folder / given), "--save", str(alice)]) == 2
    assert "would be written over; give another path" in capsys.readouterr().err
    assert alice.read_text(encoding="utf-8") == before


def test_a_damaged_report_is_not_written_over_either(folder, capsys):
    torn = folder / "torn.nbbench.json"
    torn.write_text('{"format": "nbbench report"')
    assert main(["gather", str(folder), "--save", str(torn)]) == 2
    assert "would be written over" in capsys.readouterr().err
    assert torn.read_text(encoding="utf-8") == '{"format": "nbbench report"'


def test_every_form_of_a_gathered_report_has_its_rows(folder, tmp_path, capsys):
    report_of(0.010, seed=3).save(folder / "twin.nbbench.json")
    gathered = nbbench.gather(folder)
    rows = ("alice", "twin", "bob", "carol")
    for text in (repr(gathered), gathered.to_markdown(), gathered._repr_html_(),
                 gathered._repr_latex_()):  # fmt: skip
        assert all(name in text for name in rows)
    gathered.print_tables()
    printed = capsys.readouterr().out
    assert printed.count("INFERENCE - SPEED - RESULT") == 1
    assert all(name in printed for name in rows)
    assert [len(gathered.frames([name])[name]) for name in ("speed", "memory")] == [8, 8]
    page = gathered.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    assert page.partition("<script")[0].count("<tr") == 9
    assert len(gathered.plot.memory().axes.get_yticklabels()) == 8


@pytest.mark.parametrize("argv", [[], ["--title", "x", "a"], ["a", "--save", "x", "--html", "x"]])
def test_bad_usage_is_one_sentence(argv, capsys):
    assert main(["gather", *argv]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_machines_that_were_busy_are_named_and_others_are_not(tmp_path):
    for name, load in (("quiet", 0.0), ("loud", 3.0)):
        report = report_of(0.01)
        machine = replace(report._content.machine, other_load_cores=load)
        Report(report.results, machine, report._content.workers).save(tmp_path / f"{name}.json")
    first = repr(nbbench.gather(tmp_path)).splitlines()[0]
    assert first == "busy machines, whose times are longer and less sure: kernel on loud"


def test_the_page_compares_the_machines_and_names_them(folder, tmp_path):
    gathered = nbbench.gather(folder)
    page = gathered.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    assert "by device name, against one processor" in page
    assert re.search(r"<summary>one processor, a GPU · nbbench 1<", page)


def test_a_gathered_file_holds_no_user_host_or_path(tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "somebody-special")
    report_of(0.01).save(tmp_path / "x.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved = nbbench.gather(tmp_path).save(tmp_path / "all.json").read_text(encoding="utf-8")
    assert "somebody-special" not in saved
    assert str(tmp_path) not in saved


def test_a_gathered_report_in_a_folder_is_not_gathered_again(folder):
    once = nbbench.gather(folder)
    once.save(folder / "table.nbbench.json")
    with pytest.warns(UserWarning, match=r"table\.nbbench\.json"):
        twice = nbbench.gather(folder)
    assert twice.results == once.results
