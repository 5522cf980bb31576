"""A resumed run measures what no earlier one has measured, and no more."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

import nbbench
from nbbench.history_database.database import history_file
from nbbench.history_database.exchange import export_history, import_history
from nbbench.history_database.prune import prune_history
from nbbench.history_database.query import history
from nbbench.history_database.store import HistoryStore, may_pass
from nbbench.machine.machine import describe_machine
from nbbench.plan.code_digest import MAX_FILES
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.conftest import wait_until
from tests.kept_history import GIVEN, begun, ended, file, folder

__all__ = ["file", "folder"]  # fixtures

pytestmark = pytest.mark.usefixtures("probe", "file")


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def run(*models, **others):
    return nbbench.run(**{**GIVEN, "models": list(models), **others})


def probes(**config):
    return {"models": ["m"], "configs": [{"model_type": "probe", **config}]}


def is_measured_again(run_again):
    """Whether a resumed run adds to the history."""
    before = len(history())
    run_again(resume=True)
    return len(history()) > before


NET = "def build():\n    return None\n"


@pytest.mark.parametrize("name", ["net.py:build", "net:build", "pack.net:build"])
def test_own_code_that_changed_is_measured_again(folder, name):
    for source in ("net.py", "pack/__init__.py", "pack/net.py", "lib/deep/part.py"):
        write(folder / source, NET)

    def again(**others):
        return run(name, **others)

    again()
    assert not is_measured_again(again)
    own = "pack/net.py" if name.startswith("pack") else "net.py"
    for changed in (own, "lib/deep/part.py", "new.py"):
        write(folder / changed, f"{NET}# {changed}\n")
        assert is_measured_again(again), changed
        assert not is_measured_again(again), changed
    (folder / "new.py").unlink()
    write(folder / "lib/deep/part.py", NET)
    write(folder / own, NET)
    assert not is_measured_again(again)  # it is what was measured first


def test_what_is_not_of_the_own_code_is_not_compared(folder):
    write(folder / "net.py", NET)
    run("net.py:build")
    for beside in (
        ".hidden/a.py", "venv/lib/a.py", "site-packages/a.py", "__pycache__/a.py", "notes.txt",
    ):  # fmt: skip
        write(folder / beside, NET)
    write(folder / "venv/pyvenv.cfg", "")
    (folder / "loop").symlink_to(folder)
    assert not is_measured_again(lambda **others: run("net.py:build", **others))


def test_more_code_than_can_be_compared_is_measured_again(folder):
    write(folder / "net.py", NET)
    for number in range(MAX_FILES):
        (folder / f"a{number}.py").touch()
    run("net.py:build")
    assert is_measured_again(lambda **others: run("net.py:build", **others))


def test_code_of_a_model_folder_is_compared_where_it_runs(folder):
    write(folder / "mine/config.json", '{"model_type": "probe", "auto_map": {"AutoModel": "a.A"}}')
    write(folder / "mine/a.py", NET)

    def trusted(**others):
        return run("./mine", trust_remote_code=True, **others)

    with pytest.warns(UserWarning, match="not run"):
        run("./mine")
    trusted()
    assert not is_measured_again(trusted)
    write(folder / "mine/a.py", NET + "\n")
    assert is_measured_again(trusted)
    with pytest.warns(UserWarning, match="not run"):
        assert not is_measured_again(lambda **others: run("./mine", **others))


def test_what_else_of_a_model_folder_is_read_is_compared(folder):
    write(folder / "mine/config.json", '{"model_type": "probe"}')
    write(folder / "mine/tokenizer.json", "{}")
    module = '{"type": "sentence_transformers.models.%s", "path": "1_P"}'
    modules = ", ".join(module % each for each in ("Transformer", "Pooling"))
    write(folder / "mine/modules.json", f"[{modules}]")
    write(folder / "mine/1_P/config.json", "{}")

    def plain(**others):
        return run("./mine", **others)

    def of_texts(**others):
        return run("./mine", lengths=["a text", "another"], **others)

    def padded(**others):
        return run("./mine", padding=0.5, **others)

    plain()
    of_texts()
    padded()
    write(folder / "mine/tokenizer.json", '{"a": 1}')
    assert not is_measured_again(plain)
    assert is_measured_again(of_texts)
    assert is_measured_again(padded)
    write(folder / "mine/1_P/config.json", '{"a": 1}')
    assert is_measured_again(plain)


def test_a_failure_for_a_missing_package_may_pass():
    passing = (
        "gpt2 needs a package that is not installed (ImportError: no torchaudio)",
        "ModuleNotFoundError: No module named 'notyet' (net.py, line 1: import notyet)",
        "No module named 'notyet'; install it",
        "torchao is missing (pip install torchao)",
    )
    for reason in passing:
        for status in (Status.ERROR, Status.UNSUPPORTED):
            assert may_pass(Outcome(status, reason)), reason
    assert not may_pass(Outcome(Status.ERROR, "ValueError: a bug of mine (net.py, line 3)"))
    assert not may_pass(Outcome(Status.OOM, "memory ran out while installing itself"))


def test_a_failure_before_the_case_was_begun_may_pass():
    """Without a network an environment is not made, and with too many processes none starts."""
    for phase in (Phase.PREPARING, Phase.STARTING):
        assert may_pass(Outcome(Status.ERROR, "there is no network", phase))
    refused = "needs at least 5 GiB (predicted), and 4 GiB are available; nothing was run; lower it"
    assert may_pass(Outcome(Status.OOM, refused))
    full = "device cuda:0 has no memory left to begin with (out of memory); end what else holds it"
    assert may_pass(Outcome(Status.ERROR, full, Phase.BUILDING))


def test_a_failure_for_what_others_held_at_that_moment_may_pass():
    busy = "CUDA error: all CUDA-capable devices are busy or unavailable"
    for reason in (
        f"device cuda cannot be used (AcceleratorError: {busy})",
        "device cuda:1 cannot be used (RuntimeError: CUDA error: unknown error)",
        "OSError: [Errno 28] No space left on device: '/tmp/torchinductor'",
        "OSError: [Errno 122] Disk quota exceeded",
        "OSError: [Errno 24] Too many open files: 'a.py'",
        "OSError: [Errno 23] Too many open files in system",
        "RuntimeError: can't start new thread",
        "BlockingIOError: [Errno 11] Resource temporarily unavailable",
    ):
        assert may_pass(Outcome(Status.ERROR, reason, Phase.MEASURING)), reason


@pytest.mark.parametrize("call", ["missing_package", "missing_kernels"])
def test_it_measures_again_what_lacked_a_package(call):
    nbbench.run(**GIVEN, **probes(call=call))
    assert is_measured_again(lambda **others: nbbench.run(**GIVEN, **probes(call=call), **others))


COUNT = {"flops": 1, "operations": 1, "peak": 1, "moved": 1, "allocated": 1}


@pytest.mark.parametrize("extra", ["ceilings", "predict"])
def test_what_the_earlier_run_did_not_ask_for_is_measured(extra):
    asked = {**GIVEN, **probes(predicts=1.0, grow_kib=1)}
    nbbench.run(**{**asked, "predict": False})
    assert is_measured_again(lambda **others: nbbench.run(**asked, **{extra: True}, **others))
    assert not is_measured_again(lambda **others: nbbench.run(**asked, **{extra: True}, **others))
    assert not is_measured_again(lambda **others: nbbench.run(**asked, **others))


def test_what_cannot_be_had_is_asked_for_once():
    asked = {**GIVEN, **probes(), "ceilings": True, "predict": True}
    assert nbbench.run(**asked).results[0].outcome.ceilings is None
    assert not is_measured_again(lambda **others: nbbench.run(**asked, **others))


SEARCHES = {
    "largest": {"batch_sizes": "max", "memory_limit": "64 MiB", "grow_kib": 4096},
    "best": {"batch_sizes": "best", "latency_limit": "20 ms", "grow_kib": 1, "wait_s": 0.004},
}


def searched(kind, log, **others):
    given = dict(SEARCHES[kind])
    config = {name: given.pop(name) for name in ("grow_kib", "wait_s") if name in given}
    asked = {**GIVEN, **probes(call="grow", visit_log=str(log), **config), **given, **others}
    return nbbench.run(**asked)


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search_that_came_to_its_end_is_not_repeated(kind, tmp_path):
    log = tmp_path / "log"
    first = searched(kind, log)
    size = log.stat().st_size
    again = searched(kind, log, resume=True)
    assert log.stat().st_size == size
    assert again.results == first.results
    assert len(history()) == 1


@pytest.mark.parametrize("kind", SEARCHES)
def test_what_a_search_has_found_is_no_other_cases(kind, tmp_path):
    (found,) = searched(kind, tmp_path / "log").results
    plain = searched(kind, tmp_path / "log", resume=True, batch_sizes=[found.case.batch_size],
                     latency_limit=None)  # fmt: skip
    assert plain.results[0].outcome.searched_runs is None
    assert "found by" not in plain.results[0].outcome.reason


def test_a_search_that_was_cut_takes_over_the_sizes_that_it_measured(tmp_path):
    log = tmp_path / "log"
    searched("best", log)
    whole = log.stat().st_size
    with nbbench_database() as connection:
        connection.execute("DELETE FROM cases")  # as if it had been killed before its end
    (result,) = searched("best", log, resume=True).results
    assert log.stat().st_size - whole < whole / 2
    assert result.outcome.reason.count("tried for the best") == 1


def nbbench_database():
    return sqlite3.connect(os.environ["NBBENCH_HISTORY"])


def visits_kept():
    with nbbench_database() as connection:
        return connection.execute("SELECT count(*) FROM begun_cases").fetchone()[0]


def test_visits_of_a_case_that_was_killed_are_taken_over(tmp_path):
    log = tmp_path / "log"
    asked = {**GIVEN, **probes(call="hangs_in_third_visit", visit_log=str(log)), "rounds": 5}
    asked["max_time"] = 5.0  # a visit whose building takes a third of it is the only one
    site = next(path for path in sys.path if os.path.isdir(f"{path}/probe_backends"))
    code = f"import sys; sys.path.append({site!r})\nimport nbbench\nnbbench.run(**{asked!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    while not log.exists() or log.stat().st_size < 3 * 80:
        assert process.poll() is None
        time.sleep(0.02)
    wait_until(lambda: visits_kept() == 1)
    process.kill()
    process.wait()
    assert len(history()) == 0
    assert visits_kept() == 1
    nbbench.close_workers()  # a warm one has the variables of another test, and counts as another
    (result,) = nbbench.run(**asked, resume=True).results
    assert result.outcome.status is Status.OK
    assert len(result.outcome.timing.visits) == 5
    assert log.stat().st_size // 80 < 3 + 5
    assert not is_measured_again(lambda **others: nbbench.run(**asked, **others))


def cancelled_in_the_third_visit(log, **asked):
    job = nbbench.submit(**asked)
    while not log.exists() or log.stat().st_size < 3 * 80:
        time.sleep(0.02)
    job.cancel()
    assert job.wait(60)
    return job


def test_a_case_that_was_interrupted_goes_on(tmp_path):
    log = tmp_path / "log"
    asked = {**GIVEN, **probes(call="hangs_in_third_visit", visit_log=str(log)), "rounds": 4}
    asked["max_time"] = 5.0  # a visit whose building takes a third of it is the only one
    del asked["progress"]
    job = cancelled_in_the_third_visit(log, **asked)
    assert len(job.report().results[0].outcome.timing.visits) == 2
    (result,) = nbbench.run(**asked, progress=False, resume=True).results
    visits = result.outcome.timing.visits
    assert [visit.round for visit in visits] == [0, 1, 0, 1]  # two of each run
    assert [visit.run == visits[0].run for visit in visits] == [True, True, False, False]
    assert log.stat().st_size // 80 == 3 + 2


def test_what_was_measured_before_is_not_compared_as_a_neighbour(tmp_path):
    """A resumed case has rounds of its own run: none of them lay beside those of the other."""
    asked = {"rounds": 3, "baseline": "first", "max_time": 1.0}
    run(**probes(), executions=["eager"], rounds=3, max_time=1.0)
    both = run(**probes(), executions=["eager", "graph"], resume=True, **asked)
    of_runs = [{visit.run for visit in each.outcome.timing.visits} for each in both.results]
    assert len(of_runs[0]) == len(of_runs[1]) == 1
    assert not of_runs[0] & of_runs[1]
    anew = run(**probes(), executions=["eager", "graph"], **asked)
    of_runs = [{visit.run for visit in each.outcome.timing.visits} for each in anew.results]
    assert of_runs[0] == of_runs[1] != {""}


def test_visits_so_far_go_when_their_case_has_ended():
    nbbench.run(**{**GIVEN, **probes(), "rounds": 3})
    with nbbench_database() as connection:
        assert connection.execute("SELECT count(*) FROM begun_cases").fetchone() == (0,)


def test_reports_have_the_cases_in_the_runs_order(tmp_path):
    asked = {**GIVEN, "rounds": None, "max_time": 0.2, "precision": 0.4}
    config = {"model_type": "probe", "call": "wait"}
    configs = [{**config, "wait_s": each / 1000} for each in (20, 1, 10, 2)]
    report = nbbench.run(models=["d", "a", "c", "b"], configs=configs, **asked)
    assert history().reports()[0].results == report.results
    with nbbench_database() as connection:
        connection.execute("UPDATE cases SET id = 100 - id")  # as if they had ended the other way
    assert history().reports()[0].results == report.results


def test_it_is_read_without_being_written(folder):
    nbbench.run(**GIVEN, **probes())
    report = nbbench.run(
        **{**GIVEN, "models": ["m", "other"], "resume": True, "history": False},
        configs=[{"model_type": "probe"}, {"model_type": "probe", "number": 2}],
    )
    assert set(report.speed.status) == {"ok"}
    assert list(history().frame["model"]) == ["m"]


def test_a_database_of_before_gets_what_it_lacks(tmp_path):
    nbbench.run(**GIVEN, **probes())
    with nbbench_database() as connection:
        connection.execute("DROP TABLE begun_cases")
        connection.execute("DROP INDEX cases_by_planned")
        for name in ("planned", "position", "extras"):
            connection.execute(f"ALTER TABLE cases DROP COLUMN {name}")
    assert not is_measured_again(lambda **others: nbbench.run(**GIVEN, **probes(), **others))
    searched("largest", tmp_path / "log")
    assert not is_measured_again(lambda **others: searched("largest", tmp_path / "log", **others))


def test_an_imported_history_is_resumed_and_ordered_as_the_exported_one(
    file, tmp_path, monkeypatch
):
    asked = {**GIVEN, **probes(predicts=1.0, grow_kib=1), "ceilings": True, "predict": True}
    searched("largest", tmp_path / "log")
    nbbench.run(**asked)
    export_history(file, tmp_path / "h.jsonl")
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "other.sqlite"))
    assert import_history(tmp_path / "other.sqlite", tmp_path / "h.jsonl") == 2
    assert not is_measured_again(lambda **others: searched("largest", tmp_path / "log", **others))
    assert not is_measured_again(lambda **others: nbbench.run(**asked, **others))


def test_pruning_all_removes_visits_so_far(file):
    store = HistoryStore(file, describe_machine())
    result = Result(Case("probe", "m", {}, "given", 1, 8), Outcome(Status.OK))
    store.keep_visits(result, WorkerFacts({}))
    assert begun(store, result.case, WorkerFacts({})) == result
    assert ended(store, result.case, WorkerFacts({})) is None
    assert history().frame.empty
    prune_history(file, None)
    assert begun(store, result.case, WorkerFacts({})) is None
    store.close()


def test_what_is_larger_than_a_case_without_memory_is_skipped_by_a_resumed_run_too():
    asked = {**GIVEN, **probes(call="memory_error")}
    nbbench.run(**{**asked, "batch_sizes": [1]})
    for _ in range(2):
        report = nbbench.run(**{**asked, "batch_sizes": [1, 2, 4], "resume": True})
        assert report.speed.status.tolist() == ["oom", "skipped", "skipped"]
    report = nbbench.run(**{**asked, "batch_sizes": [1, 2], "resume": True, "skip_larger": False})
    assert report.speed.status.tolist() == ["oom", "oom"]


def test_a_case_that_was_begun_goes_on_beside_a_smaller_one_without_memory(tmp_path):
    log = tmp_path / "log"
    asked = {**GIVEN, **probes(call="hangs_in_third_visit", visit_log=str(log)), "rounds": 4}
    asked["max_time"] = 5.0  # a visit whose building takes a third of it is the only one
    del asked["progress"]
    job = cancelled_in_the_third_visit(log, **{**asked, "batch_sizes": [2]})
    store = HistoryStore(history_file(), describe_machine())
    result = job.report().results[0]
    smaller = replace(result.case, batch_size=1)
    outcome = Outcome(Status.OOM, "memory ran out", Phase.MEASURING)
    (facts,) = job.report()._content.workers.values()
    store.add(Result(smaller, outcome), facts)
    store.close()
    report = nbbench.run(**{**asked, "batch_sizes": [1, 2], "progress": False}, resume=True)
    assert report.speed.status.tolist() == ["oom", "ok"]
    assert len(report.results[1].outcome.timing.visits) == 4
