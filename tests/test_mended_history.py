"""The history when it is damaged, locked, deleted or somebody else's: nothing measured is lost."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import zlib
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import nbbench
from nbbench import ArgumentError, OutputError
from nbbench.cli import main
from nbbench.history_database import exchange, run_history
from nbbench.history_database.database import open_history
from nbbench.history_database.exchange import export_history, import_history
from nbbench.history_database.prune import prune_damaged, prune_history
from nbbench.history_database.query import history, moment_of
from nbbench.history_database.store import HistoryStore
from nbbench.history_database.tables import APPLICATION_ID
from nbbench.machine.machine import describe_machine
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.worker.case import Case, Outcome, Status
from tests.kept_history import ended, file

__all__ = ["file"]  # fixtures

pytestmark = pytest.mark.usefixtures("probe")

WORKER = WorkerFacts({"framework_version": "1"})


def arguments(*numbers):
    """The arguments of a run of quick cases, one for each number."""
    return {
        "models": [f"m{number}" for number in numbers],
        "configs": [{"model_type": "probe", "number": number} for number in numbers],
        "frameworks": ["probe"], "batch_sizes": [1], "sequence_lengths": [8], "rounds": 1,
        "max_time": 0.05,
    }  # fmt: skip


def run(*numbers, **others):
    return nbbench.run(**arguments(*numbers), progress=False, **others)


def case(**changes):
    made = Case("probe", "m", {"model_type": "probe"}, "given", 1, 8)
    return dataclasses.replace(made, **changes)


def kept(file, count=40):
    """A history of so many cases, whose configurations are of several pages."""
    store = HistoryStore(file, describe_machine())
    for number in range(count):
        padding = os.urandom(600).hex()
        config = {"model_type": "probe", "number": number, "padding": padding}
        one = dataclasses.replace(case(), model=f"k{number}", config=config)
        store.add(Result(one, Outcome(Status.OK)), WORKER)
    store.close()
    return file


def overwrite(file, at, content):
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)


def change(file, statement, *values):
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement, values)


def aside_of(file):
    return list(file.parent.glob(f"{file.stem}.damaged-*{file.suffix}"))


def measured(**changes):
    """The job of a run of two cases, and what their statuses are."""
    job = nbbench.submit(**{**arguments(1, 2), **changes})
    assert job.wait(60)
    assert not job.problem
    return job, [result.outcome.status for result in job.report().results]


GARBAGE = b"\xa5" * 200


@pytest.mark.parametrize("at", [0, 30, 4096, 12288, 20000, 30000, 40000])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_one_that_is_damaged_inside_is_set_aside_with_what_can_be_read_kept(file, at):
    overwrite(kept(file), at, GARBAGE)
    store = HistoryStore(file, describe_machine())
    store.add(Result(case(), Outcome(Status.OK)), WORKER)
    for number in range(40):
        ended(store, case(batch_size=number + 2), WORKER)
    store.close()
    history(file=file).frame  # noqa: B018
    history(file=file).reports()
    assert "m" in set(history(file=file).frame["model"])
    with closing(open_history(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(aside_of(file)) <= 1


def test_what_can_be_read_of_a_damaged_one_goes_on(file):
    overwrite(kept(file), 30, b"\xa5" * 60)  # the head, and no case
    with pytest.warns(RuntimeWarning, match=r"damaged.*40 cases"):
        assert len(history(file=file)) == 40
    assert len(aside_of(file)) == 1
    assert [len(report.results) for report in history(file=file).reports()] == [40]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("at", [0, 30, 4096, 20000])
def test_resumed_it_measures_all_that_a_damaged_one_has_lost(file, at):
    run(1)
    kept(file)
    overwrite(file, at, GARBAGE)
    _, statuses = measured(resume=True)
    assert statuses == [Status.OK, Status.OK]
    assert {"m1", "m2"} <= set(history().frame["model"])


def test_resumed_it_measures_a_case_again_whose_row_is_damaged(file):
    run(1, 2)
    change(file, "UPDATE cases SET content = x'00112233' WHERE model = 'm1'")
    job, statuses = measured(resume=True)
    assert statuses == [Status.OK, Status.OK]
    assert any("cannot be read: measured again" in text for text in job.progress.notices)
    assert len(history(status="ok")) == 3


def in_its_place(file, what):
    if what == "a folder":
        file.unlink()
        file.mkdir()
    elif what == "newer":
        change(file, "PRAGMA user_version = 99")
    else:
        file.write_text("notes of mine")


@pytest.mark.parametrize("what", ["a folder", "newer", "notes"])
def test_resumed_it_measures_all_where_there_is_no_history_to_open(file, monkeypatch, what):
    run(1)
    named = file.with_name("mine.sqlite")
    file.rename(named)
    monkeypatch.setenv("NBBENCH_HISTORY", str(named))
    in_its_place(named, what)
    job, statuses = measured(resume=True)
    assert statuses == [Status.OK, Status.OK]
    assert any("measured again" in text for text in job.progress.notices)
    assert not aside_of(named)


@pytest.mark.parametrize("command", ["", "export out.jsonl", "prune --all", "prune --damaged"])
@pytest.mark.parametrize("what", ["notes", "another's", "a folder", "a device"])
def test_what_is_no_history_is_never_touched(tmp_path, monkeypatch, capsys, what, command):
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "notes.txt"
    if what == "notes":
        other.write_text("notes of mine, longer than the head of a database is\n" * 9)
    elif what == "another's":
        change(other, "CREATE TABLE songs (title TEXT)")
    elif what == "a folder":
        other.mkdir()
    else:
        other = Path("/dev/null")
    before = other.read_bytes() if other.is_file() else b""
    monkeypatch.setenv("NBBENCH_HISTORY", str(other))
    assert main(["history", *command.split()]) == 2
    text = capsys.readouterr().err
    assert "not an nbbench history" in text or "is a folder" in text
    assert text.count("\n") == 1
    assert before == (other.read_bytes() if other.is_file() else b"")
    assert not {path.name for path in tmp_path.iterdir()} - {"notes.txt"}


def test_one_of_before_is_marked_as_nbbenchs(file):
    kept(file, 1)
    change(file, "PRAGMA application_id = 0")
    with closing(open_history(file)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_lock_keeps_no_case_from_the_history(file):
    run(9)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def lock(result):
        if result.case.model == "m1":
            other.execute("BEGIN IMMEDIATE")
        elif result.case.model == "m3":
            other.execute("COMMIT")

    run(1, 2, 3, 4, on_result=lock)
    other.close()
    assert sorted(history().frame["model"]) == ["m1", "m2", "m3", "m4", "m9"]


def test_a_lock_until_the_end_is_named_once(file, monkeypatch):
    run(9)
    monkeypatch.setattr(run_history, "_BUSY_AT_THE_END_S", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        job, statuses = measured()
    assert statuses == [Status.OK, Status.OK]
    notices = [text for text in job.progress.notices if "history" in text]
    assert len(notices) == 1
    assert "held by another process" in notices[0]
    assert "2 cases of this run are in the report alone" in notices[0]


@pytest.mark.parametrize("after", ["m2", "m3"])
@pytest.mark.parametrize("part", ["all", "the database alone"])
def test_one_that_is_deleted_during_a_run_is_begun_anew(file, part, after):
    def delete(result):
        if result.case.model == after:
            for path in file.parent.glob("history.sqlite*" if part == "all" else "*.sqlite"):
                path.unlink()

    job, _ = measured(**arguments(1, 2, 3), on_result=delete)
    assert sum("deleted or renamed" in text for text in job.progress.notices) == 1
    assert sorted(history().frame["model"]) == ["m1", "m2", "m3"]


def test_one_that_is_renamed_during_a_run_has_what_other_runs_added(file):
    def rename(result):
        if result.case.model == "m2":
            other = HistoryStore(file, describe_machine())  # of a run that ends before this one
            other.add(Result(case(model="m7"), Outcome(Status.OK)), None)
            other.close()
            file.rename(file.with_name("backup.sqlite"))

    measured(**arguments(1, 2, 3), on_result=rename)
    others = history(file=file.with_name("backup.sqlite")).frame["model"]
    assert "m7" in set(others)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("at", [0, 4096])
def test_one_that_is_damaged_during_a_run_has_all_of_it_in_the_end(file, at):
    def damage(result):
        if result.case.model == "m2":
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            overwrite(file, at, bytes(4096))

    job, _ = measured(**arguments(1, 2, 3), on_result=damage)
    assert any("was damaged" in text for text in job.progress.notices)
    assert sorted(history().frame["model"]) == ["m1", "m2", "m3"]


def test_what_is_pruned_during_a_run_costs_none_of_the_cases_after_it(file):
    def prune(result):
        if result.case.model == "m1":
            prune_history(file, None)

    run(1, 2, 3, on_result=prune)
    assert list(history().frame["model"]) == ["m2", "m3"]


def test_an_import_holds_no_lock_while_it_reads(file, tmp_path, monkeypatch):
    exported, other = tmp_path / "cases.jsonl", tmp_path / "other.sqlite"
    export_history(kept(file), exported)
    kept(other, 1)
    monkeypatch.setattr(exchange, "_BATCH", 10)
    read = exchange._case

    def write_beside(line):
        with closing(sqlite3.connect(other, timeout=0, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
        return read(line)

    monkeypatch.setattr(exchange, "_case", write_beside)
    assert import_history(other, exported) == 40


def test_an_import_into_a_locked_history_gets_a_sentence(file, tmp_path, monkeypatch, capsys):
    exported = tmp_path / "cases.jsonl"
    export_history(kept(file, 2), exported)
    monkeypatch.setattr("nbbench.history_database.connection.connect.__defaults__", (0.05,))
    monkeypatch.setattr(
        "nbbench.history_database.database.open_history.__defaults__", (print, 0.05)
    )
    prune_history(file, None)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["history", "import", str(exported)]) == 2
    assert "held by another process" in capsys.readouterr().err


BAD = {
    "ended": [1e30, -1e12, float("nan"), float("inf"), "today", None, 253402300800.0],
    "begun": [1e30, "x"],
    "machine": [5, None, {"cpu": 5}, {"unheard": 1}],
    "environment": [5, {"values": 3}],
    "run": [5, "", "\ud800"],
    "result": [None, {}, {"case": {}, "outcome": {}}],
    "machine_hash": [7],
}


def test_an_import_names_the_lines_that_are_damaged_and_adds_the_others(file, tmp_path, recwarn):
    exported, other = tmp_path / "cases.jsonl", tmp_path / "other.sqlite"
    export_history(kept(file, 2), exported)
    head, first, second = exported.read_text().splitlines()
    entry = json.loads(first)
    bad = [json.dumps({**entry, name: value}) for name, values in BAD.items() for value in values]
    bad += ["[1", "null", "{}", "[" * 5000]
    for text in bad:
        exported.write_text("\n".join([head, second, text, first]))
        recwarn.clear()
        assert import_history(other, exported) == 2, text
        assert [str(each.message) for each in recwarn if "line 3" in str(each.message)], text
        prune_history(other, None)
    assert len(history(file=other)) == 0


def test_an_export_that_breaks_off_is_imported_as_far_as_it_goes(file, tmp_path):
    exported, other = tmp_path / "cases.jsonl.gz", tmp_path / "other.sqlite"
    export_history(kept(file), exported)
    exported.write_bytes(exported.read_bytes()[:-2000])
    with pytest.warns(UserWarning, match="damaged from here on"):
        assert 0 < import_history(other, exported) < 40


DAMAGED_ROWS = {
    "content": "UPDATE cases SET content = x'00112233' WHERE model = 'k1'",
    "text as content": "UPDATE cases SET content = 'abc' WHERE model = 'k1'",
    "another's JSON": "UPDATE cases SET content = ? WHERE model = 'k1'",
    "text as a time": "UPDATE cases SET ended = 'today' WHERE model = 'k1'",
    "a time of no year": "UPDATE cases SET ended = 1e30 WHERE model = 'k1'",
    "environment": "UPDATE environments SET content = '{\"values\": '",
    "machine": "UPDATE runs SET machine = '5'",
    "no text": "UPDATE cases SET model = CAST(x'ff41' AS TEXT) WHERE model = 'k1'",
    "text as a number": "UPDATE cases SET median_s = 'x', batch_size = 'y' WHERE model = 'k1'",
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("what", DAMAGED_ROWS)
def test_a_damaged_row_stands_in_no_others_way(file, tmp_path, capsys, what):
    kept(file, 3)
    statement = DAMAGED_ROWS[what]
    values = [zlib.compress(b'{"case": 1}')] * statement.count("?")
    change(file, statement, *values)
    assert len(history().frame) >= 2
    assert repr(history())
    assert history()._repr_html_()
    history().reports()
    assert main(["history"]) == 0
    exported = tmp_path / "cases.jsonl"
    left = export_history(file, exported)
    of_all, of_a_column = ("environment", "machine"), ("no text", "text as a number")
    assert left == (0 if what in of_all else 3 if what in of_a_column else 2)
    assert sum(len(report.results) for report in history().reports()) == left
    assert prune_damaged(file) == 3 - left
    assert export_history(file, exported) == left
    with closing(open_history(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_cannot_be_read_is_named_and_removed(file, capsys):
    kept(file, 3)
    change(file, DAMAGED_ROWS["content"])
    change(file, "UPDATE cases SET ended = 1e30 WHERE model = 'k2'")
    with pytest.warns(RuntimeWarning, match="prune --damaged"):
        assert [len(report.results) for report in history().reports()] == [1]
    assert main(["history", "prune", "--damaged"]) == 0
    assert capsys.readouterr().out == "2 cases removed\n"
    assert len(history().reports()[0].results) == 1


def test_all_are_removed_whatever_is_in_them(file):
    kept(file, 2)
    change(file, "UPDATE cases SET ended = 'today' WHERE model = 'k1'")
    assert prune_history(file, None) == 2


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_an_export_never_replaces_the_history(file, suffix):
    kept(file, 2)
    with pytest.raises(OutputError, match="the history itself"):
        export_history(file, file.with_name(file.name + suffix))
    assert len(history()) == 2


def test_an_export_replaces_an_export_alone(file, tmp_path):
    kept(file, 2)
    other = tmp_path / "notes.md"
    other.write_text("mine")
    with pytest.raises(OutputError, match="no exported history"):
        export_history(file, other)
    assert other.read_text() == "mine"
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    with pytest.raises(OutputError, match="the history itself"):
        export_history(file, link)
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert export_history(file, tmp_path / name) == 2
        assert export_history(file, tmp_path / name) == 2


@pytest.mark.parametrize(
    "line",
    ["--since 0001-01-01", "--since 9999-12-31", "prune --before 0001-01-01",
     "prune --before 9999-12-31"],
)  # fmt: skip
def test_a_date_far_away_is_a_date(file, capsys, line):
    kept(file, 1)
    assert main(["history", *line.split()]) == 0
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [{"since": 5}, {"since": b"x"}, {"since": float("nan")}, {"model": ["m0"]}, {"model": 5},
     {"status": ["ok"]}, {"key": 3}, {"framework": b"x"}, {"mode": {}}, {"file": 5}, {"file": ""}],
)  # fmt: skip
def test_what_is_searched_for_wrongly_gets_a_sentence(file, given):
    kept(file, 1)
    with pytest.raises(ArgumentError, match=next(iter(given))):
        history(**given)


def test_it_is_searched_by_a_path_and_a_span(file):
    kept(file, 1)
    assert len(history(Path("k0"), since=timedelta(days=1))) == 1
    assert len(history(status=Status.OK)) == 1
    assert len(history(since=date(2020, 1, 1))) == 1
    with pytest.raises(ArgumentError, match="neither a date"):
        moment_of(timedelta.max)


def test_a_newer_one_is_named_once(file):
    kept(file, 1)
    change(file, "PRAGMA user_version = 99")
    with pytest.raises(OutputError) as raised:
        history()
    assert str(raised.value).count("history '") == 1


def test_a_full_disk_is_named_as_what_it_is(file):
    kept(file, 1)
    store = HistoryStore(file, describe_machine())
    ended(store, case(), WORKER)
    assert store._connection is not None
    store._connection.execute("PRAGMA max_page_count = 1")
    large = case(config={"padding": os.urandom(50_000).hex()})
    with pytest.raises(OutputError, match="disk is full"):
        store.add(Result(large, Outcome(Status.OK)), WORKER)


@pytest.fixture
def unwritable():
    """A history in a folder that this process cannot write to."""
    with TemporaryDirectory() as folder:
        file = kept(Path(folder) / "history.sqlite", 3)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        own = os.geteuid()
        if own == 0:
            os.seteuid(65534)
        try:
            yield file
        finally:
            if own == 0:
                os.seteuid(0)
            Path(folder).chmod(0o755)


@pytest.mark.skipif(os.name != "posix", reason="of users and modes")
def test_one_on_a_disk_for_reading_alone_is_read(unwritable):
    assert len(history(file=unwritable).frame) == 3
    store = HistoryStore(unwritable, describe_machine())
    with pytest.raises(OutputError, match="cannot be"):
        store.add(Result(case(), Outcome(Status.OK)), WORKER)


@pytest.mark.skipif(os.name != "posix", reason="of users and modes")
def test_an_older_one_on_a_disk_for_reading_alone_shows_the_new_columns_empty(unwritable):
    folder = unwritable.parent
    os.seteuid(os.getuid())
    folder.chmod(0o755)
    change(unwritable, "ALTER TABLE cases DROP COLUMN padding")
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    assert history(file=unwritable).frame["padding"].isna().all()
