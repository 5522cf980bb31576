"""The history: every case that ends is kept, found again, and in nobody's way."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing
from datetime import datetime

import pytest

import nbbench
from nbbench import ArgumentError, NbbenchError, OutputError
from nbbench.cli import main
from nbbench.execution.fork_server import ForkServers
from nbbench.execution.progress import Progress
from nbbench.history_database.database import history_file, open_history
from nbbench.history_database.exchange import export_history, import_history
from nbbench.history_database.prune import prune_history
from nbbench.history_database.query import history, moment_of
from nbbench.history_database.store import HistoryStore, machine_hash
from nbbench.machine.gpus import GpuFacts
from nbbench.machine.machine import describe_machine
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.worker.case import Case, Outcome, Status
from tests.kept_history import GIVEN, ended, file

__all__ = ["file"]  # fixtures

pytestmark = pytest.mark.usefixtures("probe")

KILLS = int(os.environ.get("NBBENCH_TEST_KILLS", "20"))


def probes(*numbers, **config):
    """Configurations of the probe backend, and labels for them."""
    return {
        "models": [f"m{number}" for number in numbers],
        "configs": [{"model_type": "probe", "number": number, **config} for number in numbers],
    }


def arguments(*numbers, config=()):
    given = {
        "frameworks": ["probe"], "batch_sizes": [1], "sequence_lengths": [8], "rounds": 1,
        "max_time": 0.05,
    }  # fmt: skip
    return {**probes(*numbers, **dict(config)), **given}


def run(*numbers, config=(), **others):
    return nbbench.run(**{**arguments(*numbers, config=config), "progress": False, **others})


def case(**changes):
    made = Case("probe", "m", {"model_type": "probe"}, "given", 1, 8)
    return dataclasses.replace(made, **changes)


def test_each_case_that_ends_is_kept_with_its_environment_and_machine(file):
    report = run(1, 2)
    kept = history()
    assert len(kept) == 2
    assert list(kept.frame["model"]) == ["m1", "m2"]
    assert list(kept.frame["median_s"]) == pytest.approx(list(report.speed["median_s"]))
    assert set(kept.frame["framework_version"]) == {"1"}
    assert kept.reports()[0].results == report.results


def test_frames_and_reports_of_none_are_empty(file):
    assert history().frame.empty
    assert history().reports() == []


@pytest.mark.parametrize("word", ["off", "OFF", "0", "none"])
def test_it_is_switched_off_by_the_environment(word, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", word)
    assert history_file() is None
    run(1)
    with pytest.raises(OutputError, match="switched off"):
        history()


def test_it_is_switched_off_by_an_argument(file):
    run(1, history=False)
    assert not file.exists()


@pytest.mark.parametrize(
    ("mounts", "shared"),
    [
        ("/dev/sda / ext4 rw 0 0\nserver:/home {folder} nfs4 rw 0 0", True),
        ("server:/ / nfs rw 0 0\n/dev/sda {folder} ext4 rw 0 0", False),
        ("/dev/sda {folder} ext4 rw 0 0\n//server/home {folder} cifs rw 0 0", True),
        ("server:/home {folder}er lustre rw 0 0", False),
        ("me@server: {folder}/my\\040data fuse.sshfs rw 0 0", True),
        ("/dev/sdb {folder} fuseblk rw 0 0", False),
        ("no mount", False),
    ],
)
def test_it_is_in_wal_mode_only_where_no_other_machine_has_it(
    tmp_path, monkeypatch, mounts, shared
):
    """A file stands in for the system's own list of what is mounted."""
    fake_mounts = tmp_path / "mounts"
    fake_mounts.write_text("")
    monkeypatch.setattr("nbbench.history_database.network_folders.MOUNTS", fake_mounts)
    file = tmp_path / "my data" / "history.sqlite"
    for is_mounted in (False, True):  # one that is there is changed
        if is_mounted:
            fake_mounts.write_text(mounts.format(folder=tmp_path) + "\n")
        with closing(open_history(file)) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            (level,) = connection.execute("PRAGMA synchronous").fetchone()
        assert (mode, level) == (("delete", 2) if is_mounted and shared else ("wal", 1))


def test_it_is_searched_by_model_age_and_status(file):
    run(1)
    run(2, config={"call": "not_implemented"})
    assert len(history("m*")) == 2
    assert len(history("m1")) == 1
    assert len(history("m?")) == 0
    assert len(history(since="1 day")) == 2
    assert len(history(since="2100-01-01")) == 0
    assert list(history(status="error").frame["model"]) == ["m2"]


@pytest.mark.parametrize("given", ["yesterday", "7 moons", "", "2026-13-01", "99999999999 years"])
def test_a_time_that_is_none_gets_a_sentence(given):
    with pytest.raises(ArgumentError, match="neither a date"):
        moment_of(given)


def test_a_damaged_history_is_set_aside_and_in_nobodys_way(file):
    run(1)
    file.write_bytes(b"no database at all" * 1000)
    with pytest.warns(RuntimeWarning, match="damaged"):
        report = run(2)
    assert report.results[0].outcome.status is Status.OK
    assert list(history().frame["model"]) == ["m2"]
    assert len(list(file.parent.glob("history.damaged-*.sqlite"))) == 1


def test_one_of_a_newer_version_is_left_alone(file):
    run(1)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="newer nbbench"):
        history()
    job = nbbench.submit(**arguments(2))
    assert job.wait(60)
    assert job.report().results[0].outcome.status is Status.OK
    assert any("newer nbbench" in notice for notice in job.progress.notices)


def test_a_folder_that_cannot_be_written_costs_nothing_that_was_measured(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "file" / "history.sqlite"))
    job = nbbench.submit(**arguments(1, 2))
    assert job.wait(60)
    report = job.report()
    assert sum("history" in notice for notice in job.progress.notices) == 1
    assert [result.outcome.status for result in report.results] == [Status.OK, Status.OK]


def test_resumed_it_measures_only_what_is_missing(file):
    run(1, 2)
    seen = []
    report = run(1, 2, 3, resume=True, on_result=seen.append)
    assert [result.case.model for result in report.results] == ["m1", "m2", "m3"]
    assert len(history()) == 3
    assert report.results[:2] == history().reports()[0].results


def test_resumed_it_measures_again_what_changed(file):
    run(1)
    run(1, resume=True, precision=0.3)
    assert len(history()) == 2


def test_resumed_it_measures_nothing_twice_where_a_worker_is_killed_as_it_starts(
    file, tmp_path, monkeypatch
):
    run(1, 2)
    nbbench.close_workers()
    monkeypatch.setenv("PROBE_LOAD", f"die_once:{tmp_path / 'died'}")
    assert run(1, 2, resume=True).speed.status.tolist() == ["ok", "ok"]
    assert (tmp_path / "died").exists()
    assert len(history()) == 2


def test_resumed_it_asks_no_second_worker_where_one_cannot_start(file, monkeypatch):
    monkeypatch.setenv("PROBE_LOAD", "exit")
    nbbench.close_workers()
    started = []
    start = ForkServers.take
    monkeypatch.setattr(ForkServers, "take", lambda self: started.append(1) or start(self))
    assert set(run(1, 2, 3, 4, resume=True).speed.status) == {"error"}
    assert len(started) == 2  # one that was asked what it is, and one for the cases


def test_resumed_it_measures_again_what_may_end_otherwise(file):
    run(1, config={"call": "segfault"})
    assert list(history().frame["status"]) == ["crashed"]
    run(1, config={"call": "segfault"}, resume=True)
    assert len(history()) == 2


def test_what_failed_for_good_is_an_answer(file):
    run(1, config={"call": "not_implemented"})
    run(1, config={"call": "not_implemented"}, resume=True)
    assert len(history()) == 1


def test_resuming_without_a_history_says_so(monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", "off")
    with pytest.raises(NbbenchError, match="resume needs the history"):
        run(1, resume=True)


def test_another_machine_or_version_is_no_answer(file):
    machine, worker = describe_machine(), WorkerFacts({"framework_version": "1"})
    store = HistoryStore(file, machine)
    store.add(Result(case(), Outcome(Status.OK)), worker)
    assert ended(store, case(), worker) is not None
    assert ended(store, case(model="another label"), worker) is not None
    assert ended(store, case(batch_size=2), worker) is None
    assert ended(store, case(), WorkerFacts({"framework_version": "2"})) is None
    other = dataclasses.replace(machine, cpu="another")
    assert machine_hash(other) != machine_hash(machine)
    assert ended(HistoryStore(file, other), case(), worker) is None


def test_what_ran_out_of_memory_is_no_answer_where_there_is_more(file):
    worker, small = WorkerFacts({"framework_version": "1"}), describe_machine()
    large = dataclasses.replace(small, cpu_ram_mb=2 * small.cpu_ram_mb)
    limited = case(memory_limit=2**30)
    store = HistoryStore(file, small)
    for each in (case(), limited):
        store.add(Result(each, Outcome(Status.OOM, "out of memory")), worker)
    store.add(Result(case(batch_size=2), Outcome(Status.OK)), worker)
    assert ended(store, case(), worker) is not None
    store = HistoryStore(file, large)
    assert ended(store, case(), worker) is None
    assert ended(store, limited, worker) is not None
    assert ended(store, case(batch_size=2), worker) is not None


def test_each_case_is_shown_with_the_gpu_and_the_machine_that_it_had(file):
    """Which say nothing of the environment: cases of one may have met several."""
    here = describe_machine()
    store = HistoryStore(file, here)
    facts = WorkerFacts({"framework": "PyTorch", "framework_version": "1"})
    for number, (gpu, cpu) in enumerate([(None, None), ("L4", None), (None, "EPYC"), ("T4", None)]):
        machine = None if cpu is None else dataclasses.replace(here, cpu=cpu)
        worker = dataclasses.replace(facts, gpu=GpuFacts(gpu=gpu), machine=machine)
        store.add(Result(case(batch_size=1 + number), Outcome(Status.OK)), worker)
        assert ended(store, case(batch_size=1 + number), facts) is not None or cpu
    with sqlite3.connect(file) as connection:
        kept = connection.execute("SELECT content FROM environments ORDER BY id").fetchall()
    environments = [json.loads(content) for (content,) in kept]
    met = [(each["gpu"]["gpu"], (each["machine"] or {}).get("cpu")) for each in environments]
    assert met == [(None, None), ("L4", None), (None, "EPYC"), ("T4", None)]


def test_exported_cases_come_back_once(file, tmp_path):
    report = run(1, 2)
    exported, other = tmp_path / "cases.jsonl.gz", tmp_path / "other.sqlite"
    assert export_history(file, exported) == 2
    assert import_history(other, exported) == 2
    assert import_history(other, exported) == 0
    assert history(file=other).reports()[0].results == report.results


def test_a_case_of_texts_is_known_though_they_are_in_no_file(file, tmp_path):
    store, exported = HistoryStore(file, describe_machine()), tmp_path / "h.jsonl"
    store.add(Result(case(texts=("a text of mine",)), Outcome(Status.OK)), WorkerFacts({}))
    store.close()
    export_history(file, exported)
    assert "a text of mine" not in exported.read_text()
    assert import_history(file, exported) == 0
    lines = [json.loads(line) for line in exported.read_text().splitlines()]
    assert lines[-1].pop("key") == case(texts=("a text of mine",)).key
    exported.write_text("\n".join(map(json.dumps, lines)))  # as an older nbbench wrote it
    assert import_history(tmp_path / "other.sqlite", exported) == 1


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"format": "nbbench history", "version": 9}\n', "[1",
     '{"format": "nbbench history", "version": 1}\n{"run": 1}\n'],
)  # fmt: skip
def test_a_file_that_is_no_export_is_refused_whole(file, tmp_path, content):
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(content)
    with pytest.raises(OutputError, match="no exported history"):
        import_history(file, wrong)
    assert len(history()) == 0


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the local zone cannot be changed here")
@pytest.mark.parametrize("zone", ["Europe/Berlin", ":America/New_York", "", "no such zone"])
def test_times_are_local_ones_in_summer_and_in_winter(file, zone, monkeypatch):
    run(1, 2)
    moments = [1_700_000_000, 1_720_000_000]  # in November, and in July
    with sqlite3.connect(file) as connection:
        for number, moment in enumerate(moments, 1):
            connection.execute("UPDATE cases SET ended = ? WHERE id = ?", (moment, number))
    monkeypatch.setenv("TZ", zone)
    try:
        time.tzset()
        shown = [str(each.replace(tzinfo=None)) for each in history().frame["ended"]]
        assert shown == [str(datetime.fromtimestamp(moment)) for moment in moments]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_old_is_pruned(file):
    run(1)
    assert prune_history(file, moment_of("1 day")) == 0
    assert prune_history(file, None) == 1
    connection = open_history(file)
    for table in ("cases", "runs", "environments"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_case_is_drawn_over_time_with_what_changed(file):
    pytest.importorskip("matplotlib")
    report = run(1)
    run(1)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE runs SET machine = json_set(machine, '$.cpu', 'Z80') WHERE id=2")
    plot = report.plot.history()
    assert len(plot.axes.containers[0].lines[0].get_xdata()) == 2
    assert [text.get_text() for text in plot.axes.texts] == ["Z80"]


def test_labels_of_changes_do_not_cover_each_other(file, tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    result = run(1, history=False).results[0]
    begun = time.time() - 9e6
    moments = [0, 3e5, 3e5 + 60, 3e5 + 90, 6e6, 6.05e6, 6.1e6, 6.15e6, 6.2e6, 9e6]
    for number, moment in enumerate(moments):
        machine = dataclasses.replace(describe_machine(), cpu=f"processor {number}")
        store = HistoryStore(file, machine)
        store.add(result, WorkerFacts({"framework_version": "1"}))
        store.close()
        with sqlite3.connect(file) as connection:
            connection.execute(
                "UPDATE cases SET ended = ? WHERE id = ?", (begun + moment, number + 1)
            )
    plot = nbbench.Report([result], describe_machine(), {}).plot.history()
    (tmp_path / "plot.png").write_bytes(plot.png())  # which lays it out
    renderer = FigureCanvasAgg(plot.figure).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in plot.axes.texts]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])
    texts = [text.get_text() for text in plot.axes.texts]
    assert texts[0] == "processor 1; processor 2; processor 3"
    assert all("processor" in text for text in texts)
    assert len(plot.axes.lines) >= len(moments) - 1  # a dotted line for each all the same


def test_what_cannot_be_drawn_says_why(file):
    pytest.importorskip("matplotlib")
    report = run(1, history=False)
    with pytest.raises(ArgumentError, match=r"none of these cases; .* not with history=False"):
        report.plot.history()
    failed = run(2, config={"call": "not_implemented"})
    with pytest.raises(ArgumentError, match="no times of these cases, since none of them ended ok"):
        failed.plot.history()


def test_a_summary_of_nothing_ends_in_no_colon():
    assert Progress([case()]).summary() == "0 cases in 0 s"


def test_trends_of_models_that_are_alike_are_apart_and_found_as_by_resumed_runs(file, tmp_path):
    pytest.importorskip("matplotlib")
    config = {"model_type": "probe", "call": "wait", "wait_s": 0.001}
    asked = {**GIVEN, "rounds": 3, "configs": [config, config], "models": ["one", "two"]}
    report = nbbench.run(**asked)
    axes = report.plot.history().axes
    assert [len(line.get_xdata()) for line in axes.lines[:2]] == [1, 1]
    assert {each.get_label() for each in axes.containers} == {"one", "two"}
    other = {**config, "transformers_version": "5.0"}
    again = nbbench.run(**{**asked, "models": ["one"], "configs": [other]}, resume=True)
    again.plot.history()
    saved = report.save(tmp_path / "x.nbbench.json")
    gathered = nbbench.gather(saved)
    assert {each.get_label() for each in gathered.plot.history().axes.containers} == {"one", "two"}
    elsewhere = tmp_path / "y.nbbench.json"
    elsewhere.write_text(
        re.sub(r'"device_name": "[^"]+"', '"device_name": "a GPU"', saved.read_text())
    )
    with pytest.raises(ArgumentError, match="the history has none of these cases"):
        nbbench.gather(elsewhere).plot.history()


@pytest.mark.parametrize("value", [1e300, float("inf"), -1e19, "many", 2.5])
def test_a_number_that_no_column_can_hold_is_missing(file, value):
    add_cases(file, case(), case(batch_size=2))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE cases SET batch_size = ? WHERE batch_size = 2", (value,))
    assert history().frame.batch_size.isna().tolist() == [False, True]
    assert history()._repr_html_()


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 0}, {"batch_size": -5}, {"mode": "bogus"}, {"sequence_length": -8},
        {"precision": -1.0}, {"padding": 7.5}, {"ranks": 0}, {"max_time": 0.0},
    ],
)  # fmt: skip
def test_an_import_takes_no_case_that_cannot_be(file, tmp_path, changes):
    add_cases(file, case())
    exported = tmp_path / "x.jsonl"
    export_history(file, exported)
    head, line = exported.read_text().splitlines()
    entry = json.loads(line)
    entry["result"]["case"].update(changes)
    exported.write_text("\n".join([head, line, json.dumps(entry)]) + "\n")
    with pytest.warns(UserWarning, match=rf"line 3: .*case\.{next(iter(changes))}"):
        assert import_history(tmp_path / "other.sqlite", exported) == 1


def add_cases(file, *cases):
    store, worker = HistoryStore(file, describe_machine()), WorkerFacts({"framework_version": "1"})
    for each in cases:
        store.add(Result(each, Outcome(Status.OK, dtype=each.dtype)), worker)
    store.close()


def test_the_list_shows_in_what_cases_differ(file, capsys):
    ways = [
        {"dtype": "float32"}, {"dtype": "bfloat16"}, {"quantization": "int8"},
        {"execution": "compile"}, {"framework": "pytorch"},
    ]  # fmt: skip
    add_cases(file, *(case(**way) for way in ways))
    assert main(["history"]) == 0
    head, *rows, total = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "ended", "model", "framework", "dtype", "quantization", "execution", "batch", "length",
        "status", "time", "peak", "MiB",
    ]  # fmt: skip
    assert len({row[16:] for row in rows}) == 5
    assert total == "5 cases"
    html = history()._repr_html_()
    assert all(f"<th>{name}</th>" in html for name in ("framework", "dtype", "quantization"))
    assert main(["history", "--limit", "1"]) == 0
    assert "dtype" not in capsys.readouterr().out


def test_models_are_found_by_their_folders_name_and_in_any_letters(file, tmp_path):
    names = ["m0", "./m0", "./m0/", str(tmp_path / "m0"), "M0", "google/m0"]
    add_cases(file, *(case(model=name, seed=n) for n, name in enumerate(names)))
    for given in ("m0", "M0", "m*", "*0", "./m0", "./m0/", str(tmp_path / "m0")):
        assert len(history(given)) >= len(names) - 1
    assert history("google/*").frame["model"].tolist() == ["google/m0"]
    assert len(history("m")) == len(history("0")) == len(history("m.")) == len(history("")) == 0


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--status", "bogus"], "status: 'bogus' is not one of cancelled, crashed, error, ok, oom"),
        (["--mode", "infrence"], "mode: 'infrence' is not one of .* did you mean 'inference'"),
        (["--framework", "proble"], "framework: 'proble' is not one of .*probe"),
        (["--limit", "9" * 20], "limit: '9+' is no whole number from 1 to 9,999,999"),
        (["--limit", "9" * 5000], "limit: .* is no whole number from 1 to 9,999,999"),
        (["--limit", "0"], "limit: '0' is no whole number from 1 to"),
        (["--since", "tomorrow"], "since: 'tomorrow' is neither"),
        (["prune", "--before", "tomorrow"], "before: 'tomorrow' is neither"),
    ],
)
def test_values_that_no_case_has_are_named_with_those_that_there_are(file, argv, sentence, capsys):
    assert main(["history", *argv]) == 2
    assert re.search(sentence, capsys.readouterr().err)


def test_a_framework_that_is_in_the_history_alone_is_known(file):
    add_cases(file, case(framework="former"))
    assert len(history(framework="former")) == 1
    assert len(history(framework="pytorch", mode="training", status="oom")) == 0


def test_no_text_of_the_users_is_kept(file):
    run(1)
    kept = open_history(file).execute("SELECT content FROM cases").fetchall()
    assert b"history.sqlite" not in kept[0][0]


def filled(file, count):
    """A history with so many cases."""
    store = HistoryStore(file, describe_machine())
    worker = WorkerFacts({"framework_version": "1"})
    result = run(1, history=False).results[0]
    store.add(result, worker)
    connection = open_history(file)
    names = [row[1] for row in connection.execute("PRAGMA table_info(cases)")][1:]
    shown = ", ".join("key || n AS key" if name == "key" else name for name in names)
    connection.execute(
        f"INSERT INTO cases ({', '.join(names)}) SELECT {shown} FROM cases, "
        f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count - 1})"
        " SELECT n FROM s)"
    )
    return store, result, worker


@pytest.mark.slow
def test_a_hundred_thousand_cases_stay_quick(file):
    store, result, worker = filled(file, 100_000)
    taken = []
    for number in range(50):
        changed = dataclasses.replace(result.case, seed=number + 1)
        begin = time.perf_counter()
        store.add(Result(changed, result.outcome), worker)
        taken.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    assert len(history("m1", since="1 day")) == 100_050
    query_s = time.perf_counter() - begin
    begin = time.perf_counter()
    assert len(history().frame) == 100_050
    frame_s = time.perf_counter() - begin
    print(f"append {sorted(taken)[25] * 1e3:.2f} ms, query {query_s:.2f} s, frame {frame_s:.2f} s")
    assert sorted(taken)[25] < 5e-3
    assert query_s < 1
    assert frame_s < 2


SWEEP = 12


def sweep(file, resume=True):
    """A process that runs a sweep, and goes on with it."""
    site = next(path for path in sys.path if os.path.isdir(f"{path}/probe_backends"))
    given = {
        **probes(*range(SWEEP), call="wait", wait_s=0.002), "frameworks": ["probe"],
        "batch_sizes": [1], "sequence_lengths": [8], "rounds": 1, "max_time": 0.05,
        "resume": resume, "progress": False,
    }  # fmt: skip
    code = (
        f"import json, sys; sys.path.append({site!r})\nimport nbbench\n"
        f"report = nbbench.run(**{given!r})\n"
        "print(json.dumps([[r.case.model, r.outcome.status.value] for r in report.results]))"
    )
    environ = {**os.environ, "NBBENCH_HISTORY": str(file)}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environ, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(60 + 30 * KILLS)
@pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc")
def test_after_kills_at_any_moment_every_case_is_there_once(tmp_path):
    """``NBBENCH_TEST_KILLS=200`` kills parent, worker or both two hundred times."""
    import psutil

    chance, kills, number = random.Random(0), 0, 0
    while kills < KILLS:
        file, number = tmp_path / f"{number}.sqlite", number + 1
        for _ in range(min(5, KILLS - kills)):
            process = sweep(file)
            time.sleep(chance.uniform(0.3, 1.6))
            whom, kills = chance.choice(["parent", "worker", "both"]), kills + 1
            children = psutil.Process(process.pid).children(recursive=True)
            for child in children if whom != "parent" else []:
                child.kill() if child.is_running() else None
            if whom != "worker":
                process.kill()
            process.communicate()
        last = sweep(file)
        out, err = last.communicate()
        rows = json.loads(out)
        assert [status for _, status in rows] == ["ok"] * SWEEP, err
        assert [model for model, _ in rows] == [f"m{number}" for number in range(SWEEP)]
        ok = history(file=file, status="ok").frame
        assert sorted(ok["model"]) == sorted(f"m{number}" for number in range(SWEEP))


def test_warnings_of_the_history_do_not_come_from_a_whole_one(file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(1)
        history().frame  # noqa: B018
