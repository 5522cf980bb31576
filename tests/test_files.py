"""What is measured is on the disk before it is shown, and no crash leaves half a file."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import nbbench
from nbbench.cli import main
from nbbench.cli.run import _CsvRows
from nbbench.report.atomic_write import check_writable, write_by, write_text
from nbbench.report.growing_csv import GrowingCsv
from nbbench.report.saved_json import GrowingFile

PROBE = {"frameworks": "probe", "sequence_lengths": 8, "max_time": 0.1, "progress": False}


def configs(count, **more):
    return [{"model_type": "probe", **more} for _ in range(count)]


def test_a_row_is_on_the_disk_before_it_is_shown(probe, tmp_path):
    saved, seen = tmp_path / "x.nbbench.json", []

    def on_result(result):
        seen.append((result.case.model, nbbench.Report.load(saved).speed.model.tolist()))

    nbbench.run(configs=configs(5), rounds=1, on_result=on_result, save=saved, **PROBE)
    models = [f"probe-{number}" for number in range(1, 6)]
    assert seen == [(model, models[: number + 1]) for number, model in enumerate(models)]


def test_a_row_costs_the_same_however_many_there_are(probe, tmp_path, monkeypatch):
    from nbbench.report import saved_json as files

    written = []
    write = files.write_content
    monkeypatch.setattr(
        files, "write_content", lambda file, content: written.append(write(file, content))
    )
    saved = tmp_path / "x.nbbench.json"
    report = nbbench.run(configs=configs(12), rounds=1, save=saved, **PROBE)
    assert len(written) == 2  # when the environment was new, and at the end
    assert nbbench.Report.load(saved) == report


@pytest.mark.parametrize("lost", [2, 5, 40, 700])
def test_a_torn_file_gives_all_lines_that_are_whole(probe, tmp_path, lost):
    saved = tmp_path / "x.nbbench.json"
    nbbench.run(configs=configs(3), rounds=1, save=saved, **PROBE)
    saved.write_bytes(saved.read_bytes()[:-lost])
    with pytest.warns(UserWarning, match=r"breaks off.*: \d cases had been"):
        loaded = nbbench.Report.load(saved)
    assert loaded.speed.model.tolist()[:2] == ["probe-1", "probe-2"]


def test_a_link_is_written_through_and_modes_are_kept(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    write_text(link, "after")
    assert link.is_symlink()
    assert real.read_text() == "after"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.json", "real.json"]


def test_a_new_file_has_the_usual_mode_and_no_other_file_another(tmp_path, monkeypatch):
    asked = []
    real, before = os.umask, os.umask(0o027)
    try:
        monkeypatch.setattr(os, "umask", lambda mask: asked.append(mask) or real(mask))
        written = write_text(tmp_path / "x", "text")
    finally:
        real(before)
    assert written.stat().st_mode & 0o777 == 0o640
    assert not asked
    assert os.listdir(tmp_path) == ["x"]


def test_line_ends_are_the_same_on_any_system(tmp_path, monkeypatch):
    def on_windows(path, text, encoding=None, errors=None, newline=None):
        return path.write_bytes(text.replace("\n", newline or "\r\n").encode(encoding))

    monkeypatch.setattr(Path, "write_text", on_windows)
    assert write_text(tmp_path / "x", "one\ntwo\n").read_bytes() == b"one\ntwo\n"


def test_a_failure_leaves_nothing_beside_and_the_old_file_as_it_was(tmp_path):
    file = tmp_path / "x.json"
    file.write_text("before")

    def fill_the_disk(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(nbbench.OutputError, match="No space left on device"):
        write_by(file, fill_the_disk)
    assert file.read_text() == "before"
    assert os.listdir(tmp_path) == ["x.json"]


def test_a_check_makes_and_removes_nothing_and_does_not_wait(tmp_path):
    check_writable(tmp_path / "new.json", folder=False)
    check_writable(tmp_path / "new" / "folder", folder=True)
    assert os.listdir(tmp_path) == []
    os.mkfifo(tmp_path / "pipe")
    check_writable(tmp_path / "pipe", folder=False)
    (tmp_path / "file").write_text("")
    for path, folder in (
        (tmp_path / "nowhere" / "x.json", False),
        (tmp_path / ("n" * 300), False),
        (tmp_path / "file", True),
        (tmp_path, False),
        (tmp_path / "file" / "x.json", False),
    ):
        with pytest.raises(nbbench.OutputError, match="cannot be written: "):
            check_writable(path, folder=folder)


def test_a_run_that_measured_nothing_leaves_earlier_tables_alone(probe, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "probe", "call": "hang"}')
    before = "model,median_s,framework,status,reason\nbefore,1,pytorch,ok,\n"
    (tmp_path / "speed.csv").write_text(before)
    command = [
        sys.executable, "-c",
        f"import sys; sys.path.append({str(probe)!r}); from nbbench.cli import script;"
        f" sys.exit(script())",
        "run", str(tmp_path), "-f", "probe", "-s", "8", "--csv", str(tmp_path),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "speed.csv").read_text() == before


def test_csv_rows_are_those_of_the_frames(probe, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text('{"model_type": "probe"}')
    saved = tmp_path / "x.nbbench.json"
    code = main([
        "run", str(tmp_path / "a"), str(tmp_path / "b"), "-f", "probe", "-s", "8",
        "--max-time", "0.1", "--csv", str(tmp_path / "tables"), "--save", str(saved),
    ])  # fmt: skip
    assert code == 0
    report = nbbench.Report.load(saved)
    read = pd.read_csv(tmp_path / "tables" / "speed.csv", float_precision="round_trip")
    assert read.median_s.tolist() == report.speed.median_s.tolist()
    assert json.loads(saved.read_text())["version"] == 2


def test_what_visits_have_measured_is_on_the_disk_before_their_case_ends(probe, tmp_path):
    saved, log, seen = tmp_path / "x.nbbench.json", tmp_path / "log", []

    def on_result(result):
        seen.append(nbbench.Report.load(saved))

    cases = configs(3, visit_log=str(log))
    report = nbbench.run(configs=cases, rounds=3, on_result=on_result, save=saved, **PROBE)
    assert len(seen[0].results) == 3  # one has ended, and two were visited
    assert len({result.case for result in seen[0].results}) == 3
    assert nbbench.Report.load(saved) == report


def test_a_file_that_is_damaged_in_the_middle_is_refused(probe, tmp_path):
    saved = tmp_path / "x.nbbench.json"
    nbbench.run(configs=configs(3), rounds=1, save=saved, **PROBE)
    lines = saved.read_text().split("\n")
    lines[2] = lines[2][:80]
    saved.write_text("\n".join(lines))
    with pytest.raises(nbbench.OutputError, match="cannot be read as a report"):
        nbbench.Report.load(saved)


@pytest.mark.parametrize("version", [[], {}, True, 1.0, "2", None, -1, 0, 3])
def test_a_version_that_is_none_is_one_sentence(tmp_path, version):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"format": "nbbench report", "version": version}))
    sentence = "version 3, .* upgrade nbbench" if version == 3 else "is no version"
    with pytest.raises(nbbench.OutputError, match=sentence):
        nbbench.Report.load(file)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_report_is_read_by_the_mark_that_its_text_begins_with(probe, tmp_path, encoding):
    saved = tmp_path / "x.nbbench.json"
    report = nbbench.run(configs=configs(1), rounds=1, save=saved, **PROBE)
    text = saved.read_text(encoding="utf-8")
    (tmp_path / "other.json").write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert nbbench.Report.load(tmp_path / "other.json") == report
    (tmp_path / "torn.json").write_bytes(text[:-20].replace("\n", "\r\n").encode(encoding))
    with pytest.warns(UserWarning, match="breaks off"):
        nbbench.Report.load(tmp_path / "torn.json")


def test_what_is_no_text_gets_advice_and_no_decoders_message(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xff\x00\xd8")
    with pytest.raises(nbbench.OutputError, match="no text in UTF-8 or UTF-16; give a file that"):
        nbbench.Report.load(tmp_path / "x.json")


def special_files(folder):
    """A pipe that nobody writes, a socket, and links to them and to a device that never ends."""
    os.mkfifo(folder / "pipe.json")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket.json"))
    server.close()
    (folder / "link.json").symlink_to("pipe.json")
    (folder / "zero.json").symlink_to("/dev/zero")
    return [str(folder / f"{name}.json") for name in ("pipe", "socket", "link", "zero")]


@pytest.mark.timeout(60)
def test_what_is_no_regular_file_is_refused_unopened(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "history.sqlite"))
    for file in map(os.path.relpath, special_files(tmp_path)):
        for argv in (
            ["compare", file, file], ["gather", file], ["best", file], ["plan", file],
            ["plan", "bert-tiny", "--lengths", f"{file}:text"], ["history", "import", file],
        ):  # fmt: skip
            assert main(argv) == 2
            shown = capsys.readouterr().err
            assert "Traceback" not in shown
            assert file in shown


@pytest.mark.timeout(60)
def test_pipes_in_a_models_folder_are_not_waited_for(probe, tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    for name in ("modules.json", "adapter_config.json", "tokenizer_config.json"):
        os.mkfifo(tmp_path / name)
    assert nbbench.run(str(tmp_path), rounds=1, **PROBE).speed.status.tolist() == ["ok"]


@pytest.fixture
def notes(tmp_path):
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    return notes


def test_a_run_writes_over_an_earlier_report_and_over_no_other_file(probe, tmp_path, notes, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    argv = ["run", str(tmp_path), "-f", "probe", "-s", "8", "--rounds", "1", "--max-time", "0.05"]
    assert main([*argv, "--save", str(notes)]) == 2
    error = capsys.readouterr().err
    assert "notes.md' is no report, and would be written over; give another path" in error
    with pytest.raises(nbbench.OutputError, match=r"save: .* is no report"):
        nbbench.run(configs=configs(1), rounds=1, save=notes, **PROBE)
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "torn.nbbench.json").write_text("\0" * 100)
    for name in ("new.json", "new.json", "empty.json", "torn.nbbench.json"):
        assert main([*argv, "--save", str(tmp_path / name)]) == 0
        assert nbbench.Report.load(tmp_path / name).results
    assert notes.read_text() == "mine"


def test_a_run_writes_over_its_own_tables_and_over_no_other(probe, tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    argv = ["run", str(tmp_path), "-f", "probe", "-s", "8", "--rounds", "1", "--max-time", "0.05"]
    for _ in range(2):
        assert main([*argv, "--csv", str(tmp_path / "csv")]) == 0
    for name, text in (
        *((name, "day,km\n1,2\n") for name in ("speed", "memory", "environment", "lines")),
        ("speed", "model,median_s,mine\na,1,2\n"),
        ("environment", "key,value\nPATH,/bin\n"),
    ):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.csv").write_text(text)
        assert main([*argv, "--csv", str(folder)]) == 2
        assert f"{name}.csv' is no table that nbbench wrote" in capsys.readouterr().err
        assert (folder / f"{name}.csv").read_text() == text
        assert [file.name for file in folder.iterdir()] == [f"{name}.csv"]


def test_a_run_writes_over_no_report_that_others_were_gathered_into(probe, tmp_path):
    for name in ("alice", "bob"):
        nbbench.run(configs=configs(1), seed=len(name), rounds=1, save=tmp_path / name, **PROBE)
    club = nbbench.gather(tmp_path / "alice", tmp_path / "bob").save(tmp_path / "club.json")
    before = club.read_bytes()
    with pytest.raises(nbbench.OutputError, match="is a report gathered from others, and would be"):
        nbbench.run(configs=configs(1), rounds=1, save=club, **PROBE)
    assert club.read_bytes() == before


def test_from_python_a_file_is_written_over_as_pandas_does(probe, notes):
    report = nbbench.run(configs=configs(1), rounds=1, **PROBE)
    assert nbbench.Report.load(report.save(notes)) == report
    assert report.to_html(notes).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_home_folder_is_known_wherever_a_path_is_taken(probe, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "probe"}')
    report = nbbench.run(configs=configs(1), rounds=1, save="~/x.json", **PROBE)
    assert nbbench.Report.load("~/x.json") == report
    assert nbbench.compare("~/x.json", "~/x.json").differences
    assert len(nbbench.gather("~/x.json").results) == 1
    written = [
        report.save("~/y.json"), report.to_html("~/y.html"), *report.to_csv("~/csv"),
        report.to_csv("~/csv")[0],
    ]  # fmt: skip
    assert all(file.exists() and file.is_relative_to(tmp_path) for file in written)
    report.to_markdown("~/y.md")
    assert main(["gather", "~/x.json", "--save", "~/all.json", "--html", "~/all.html"]) == 0
    run = ["run", "~", "-f", "probe", "-s", "8", "--rounds", "1", "--max-time", "0.05"]
    assert main([*run, "--save", "~/z.json", "--csv", "~/run", "--log", "~/z.log"]) == 0
    names = {"y.md", "all.json", "all.html", "z.json", "run", "z.log"}
    assert names <= {file.name for file in tmp_path.iterdir()}


def test_a_page_without_a_title_of_its_own_has_the_usual_one(probe, tmp_path):
    report = nbbench.run(configs=configs(1), rounds=1, **PROBE)
    text = report.to_html(tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<title>Benchmark</title>" in text
    for title in (5, None):
        with pytest.raises(nbbench.ArgumentError, match=f"title: {title} is no text"):
            report.to_html(tmp_path / "x.html", title=title)


def test_a_row_that_could_not_be_written_comes_with_the_next(probe, tmp_path):
    report = nbbench.run(configs=configs(3), rounds=1, **PROBE)
    saved, whole = tmp_path / "x.nbbench.json", report._content
    growing = GrowingFile(saved)
    growing.write(dataclasses.replace(whole, results=whole.results[:1]))
    assert growing._opened is not None
    growing._opened.close()
    growing._opened = open("/dev/full", "r+b")  # noqa: SIM115 - a disk that is full
    head = dataclasses.replace(whole, results=())
    with pytest.raises(nbbench.OutputError, match="cannot be written"):
        growing.add(whole.results[1], head, lambda: whole)
    growing.add(whole.results[2], head, lambda: whole)
    assert nbbench.Report.load(saved) == report


def test_two_runs_that_save_to_one_file_leave_a_readable_one(probe, tmp_path):
    reports = [nbbench.run(configs=configs(count), rounds=1, **PROBE) for count in (4, 6)]
    saved, contents = tmp_path / "x.nbbench.json", [report._content for report in reports]
    growing = [GrowingFile(saved) for _ in contents]
    for number in range(4):
        for file, content in zip(growing, contents, strict=True):
            so_far = dataclasses.replace(content, results=content.results[: number + 1])
            head = dataclasses.replace(content, results=())
            file.add(content.results[number], head, lambda so_far=so_far: so_far)
            nbbench.Report.load(saved)
    growing[0].write(contents[0])
    assert nbbench.Report.load(saved) == reports[0]


def test_two_runs_that_write_one_csv_mix_no_rows(tmp_path):
    file = tmp_path / "x.csv"
    one, other = GrowingCsv(file, ["n"]), GrowingCsv(file, ["n"])
    one.add([1])
    other.add([7])
    one.add([2])
    assert file.read_text() == "n\n7\n"
    one.write()
    assert file.read_text() == "n\n1\n2\n"


def test_csv_rows_that_could_not_be_written_come_with_the_next(tmp_path):
    growing = GrowingCsv(tmp_path / "x.csv", ["n"])
    growing.add([1])
    assert growing._opened is not None
    growing._opened.close()
    growing._opened = open("/dev/full", "a")  # noqa: SIM115 - a disk that is full
    with pytest.raises(nbbench.OutputError, match="cannot be written"):
        growing.add([2])
    growing.add([3])
    assert (tmp_path / "x.csv").read_text() == "n\n1\n2\n3\n"


def test_rows_of_a_run_that_could_not_be_written_come_with_the_next(probe, tmp_path):
    report = nbbench.run(configs=configs(3), rounds=1, **PROBE)
    rows = _CsvRows(str(tmp_path), None)

    def written(name):
        return pd.read_csv(tmp_path / f"{name}.csv").model.tolist()

    (tmp_path / "speed.csv").mkdir()
    rows.add(report.results[0])
    assert written("memory") == ["probe-1"]
    (tmp_path / "speed.csv").rmdir()
    rows.add(report.results[1])
    assert written("speed") == written("memory") == ["probe-1", "probe-2"]
    rows.finish(report)
    assert written("speed") == written("memory") == ["probe-1", "probe-2", "probe-3"]


def test_what_the_last_write_has_mended_is_no_problem(probe, tmp_path):
    jobs, problems = [], []

    def on_result(result):
        problems.append(jobs[0].problem)
        opened = jobs[0]._autosave._file
        if len(problems) == 1:
            opened._opened.close()
            opened._opened = open("/dev/full", "r+b")  # noqa: SIM115 - a disk that is full

    asked = {name: value for name, value in PROBE.items() if name != "progress"}
    saved = tmp_path / "x.nbbench.json"
    before = nbbench.submit(configs=configs(1, call="hang"), **asked)
    jobs.append(
        nbbench.submit(configs=configs(3), rounds=1, save=saved, on_result=on_result, **asked)
    )
    before.cancel()
    assert jobs[0].wait(60)
    assert problems[0] == ""
    assert "cannot be written: No space left on device" in problems[1]
    assert jobs[0].problem == ""
    assert nbbench.Report.load(saved) == jobs[0].report()


def test_all_that_has_failed_is_told(probe):
    def on_result(result):
        raise ValueError("stop")

    asked = {name: value for name, value in PROBE.items() if name != "progress"}
    job = nbbench.submit(configs=configs(1), save="/dev/full", on_result=on_result, **asked)
    assert job.wait(60)
    assert "on_result failed with ValueError: stop; '/dev/full' cannot be written" in job.problem


def test_a_pipe_gets_one_report_and_one_without_a_reader_is_a_sentence(probe, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.warns(RuntimeWarning, match="cannot be written: No such device"):
        nbbench.run(configs=configs(1), rounds=1, save=pipe, **PROBE)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    opened = os.open(pipe, os.O_RDWR)  # until cat has opened it, too
    try:
        report = nbbench.run(configs=configs(3), rounds=1, save=pipe, **PROBE)
    finally:
        os.close(opened)
    output, _ = reader.communicate(timeout=60)
    (tmp_path / "x.json").write_bytes(output)
    assert nbbench.Report.load(tmp_path / "x.json") == report


def test_a_pipe_by_its_descriptor_is_written_to(tmp_path):
    reader, writer = os.pipe()
    path = f"/dev/fd/{writer}"
    check_writable(path, folder=False)
    write_text(path, "whole")
    os.close(writer)
    with os.fdopen(reader) as opened:
        assert opened.read() == "whole"
