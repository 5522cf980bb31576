"""What is measured is on the disk before it is shown, and no crash leaves half a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import nbbench
from nbbench.report.atomic_write import check_writable, write_text

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


@pytest.mark.parametrize("lost", [1, 5, 40, 700])
def test_a_torn_file_gives_all_lines_that_are_whole(probe, tmp_path, lost):
    saved = tmp_path / "x.nbbench.json"
    nbbench.run(configs=configs(3), rounds=1, save=saved, **PROBE)
    saved.write_bytes(saved.read_bytes()[:-lost])
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


def test_a_failure_leaves_nothing_beside_and_the_old_file_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "x.json"
    file.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "\ud800")
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
    (tmp_path / "speed.csv").write_text("before")
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
    assert (tmp_path / "speed.csv").read_text() == "before"


def test_csv_rows_are_those_of_the_frames(probe, tmp_path, capsys):
    from nbbench.cli import main

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
