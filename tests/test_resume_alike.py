"""Cases that are alike: what serves which of them in a resumed run, and what does not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.execution.resume import EarlierRuns, run_missing
from nbbench.history_database.candidates import without_ceilings
from nbbench.history_database.query import history
from nbbench.history_database.store import HistoryStore, read_result
from nbbench.machine.gpus import GpuFacts
from nbbench.machine.machine import describe_machine
from nbbench.plan.code_digest import MAX_FILES
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.report.visits import summarize_visits
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.ceilings import Ceilings
from nbbench.worker.timing import Visit
from nbbench.worker.variables import describe_variables
from tests.kept_history import GIVEN, file, folder

__all__ = ["file", "folder"]  # fixtures

pytestmark = pytest.mark.usefixtures("probe", "file")

WORKER = WorkerFacts({})


def run(*labels, config=None, **others):
    config = {"model_type": "probe", **(config or {})}
    return nbbench.run(
        **{**GIVEN, "models": list(labels), "configs": [config] * len(labels), **others}
    )


def measured_again(*labels, **others):
    """How many cases a resumed run adds to the history."""
    before = len(history())
    run(*labels, **others, resume=True)
    return len(history()) - before


def samples(report):
    return {result.case.model: result.outcome.timing.visits[0].samples for result in report.results}


def test_each_of_two_equal_models_keeps_its_own_measurement():
    first = run("a", "b")
    assert samples(first)["a"] != samples(first)["b"]
    assert samples(run("a", "b", resume=True)) == samples(first)
    assert samples(run("b", "a", resume=True)) == samples(first)
    assert len(history()) == 2


def test_one_measurement_serves_one_of_two_equal_models():
    first = run("b")
    again = run("a", "b", resume=True)
    assert samples(again)["b"] == samples(first)["b"] != samples(again)["a"]
    assert len(history()) == 2


def test_a_measurement_serves_a_model_of_another_label():
    first = run("old")
    again = run("a", "b", resume=True)
    assert samples(again)["a"] == samples(first)["old"] != samples(again)["b"]
    assert measured_again("a", "b") == 0


def test_equal_folders_keep_their_own_measurements(folder):
    for name in ("run1/last", "run2/last"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text('{"model_type": "probe"}')
    given = {**GIVEN, "models": ["./run1/last", "./run2/last"]}
    first = nbbench.run(**given)
    assert samples(nbbench.run(**given, resume=True)) == samples(first)
    assert len(set(samples(first).values())) == 2


def case_of(model, **others):
    return Case("probe", model, {"model_type": "probe"}, "given", 1, 8, rounds=40, **others)


def visited(case, count, first=0, status=Status.OK):
    """What visits of a case came to, each of them with samples of its own."""
    visits = [
        Visit((0.001 * (1 + number), 0.0011), round=number, calls_s=0.01)
        for number in range(first, first + count)
    ]
    return Result(case, Outcome(status, timing=summarize_visits(visits, case.precision, None)))


@pytest.fixture
def store(file):
    store = HistoryStore(file, describe_machine())
    yield store
    store.close()


def found(file, *cases):
    earlier = EarlierRuns(file, (), cases)
    try:
        results = [earlier.find(case, WORKER, own_process=True) for case in cases]
    finally:
        earlier.close()
    return [None if each is None else len(each.outcome.timing.visits) for each in results]


def test_what_was_measured_on_a_gpu_comes_back_with_its_name(file, store):
    """No worker opens the GPU for it; without its name it could be compared with no other run."""
    a = case_of("a", device="cuda:0")
    outcome = replace(visited(a, 40).outcome, device="cuda:0", device_name="NVIDIA L4")
    store.add(Result(a, outcome), replace(WORKER, gpu=GpuFacts(gpu="NVIDIA L4")))
    supervisor = SimpleNamespace(introduced=lambda: WORKER, own_process=True)
    events = run_missing(
        lambda *_, **__: iter(()), [a], {("probe", "kernel"): supervisor}, bool,
        earlier=EarlierRuns(file, (), [a]),
    )  # fmt: skip
    (ended,) = events
    assert ended.is_old
    assert ended.worker.gpu.gpu == "NVIDIA L4"


def test_visits_so_far_serve_the_case_that_they_are_of(file, store):
    a, b = case_of("a"), case_of("b")
    store.keep_visits(visited(a, 2), WORKER)
    store.keep_visits(visited(b, 3, first=10), WORKER)
    assert found(file, a, b) == [2, 3]
    assert found(file, b, a) == [3, 2]
    assert found(file, case_of("other"), b) == [2, 3]


def test_the_same_visits_in_two_rows_serve_one_case(file, store):
    a, b = case_of("a"), case_of("b")
    store.add(visited(a, 4), WORKER)  # interrupted
    store.keep_visits(visited(a, 19), WORKER)  # resumed behind it, and killed
    assert found(file, a, b) == [19, None]
    assert found(file, b, a) == [None, 19]


def test_fewer_visits_of_a_later_run_do_not_replace_more(file, store):
    a = case_of("a")
    store.add(visited(a, 4), WORKER)
    store.keep_visits(visited(a, 2, first=10), WORKER)
    assert found(file, a) == [4]


def test_a_case_that_was_finished_serves_though_a_later_run_was_cut_short(file, store):
    a = case_of("a")
    store.add(visited(a, 40), WORKER)
    store.add(visited(a, 2, first=100), WORKER)
    other = HistoryStore(file, describe_machine())
    other.add(visited(a, 2, first=200), WORKER)
    other.add(Result(a, Outcome(Status.CANCELLED, "cancelled")), WORKER)
    other.close()
    store.add(visited(a, 40), WORKER)
    assert found(file, a) == [40]


def test_visits_that_an_older_nbbench_kept_are_found(file, store):
    a = case_of("a")
    store.keep_visits(visited(a, 5), WORKER)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE begun_cases SET key = ?", (a.key,))
    assert found(file, a, case_of("b")) == [5, None]
    store.add(visited(a, 40), WORKER)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM begun_cases").fetchone() == (0,)


@pytest.mark.parametrize("inside", [False, True])
def test_what_changes_nothing_of_a_model_is_not_compared(inside):
    def of(name, version):
        names = {"_name_or_path": name, "transformers_version": version}
        return {"text_config": names, "parts": [names]} if inside else names

    run("m", config=of("/old/m", "4.1"))
    assert measured_again("m", config=of("/new/m", "5.0")) == 0
    assert measured_again("m", config={**of("/new/m", "5.0"), "number": 2}) == 1


def test_rows_of_an_older_nbbench_serve_by_their_key():
    run("m", config={"_name_or_path": "m"})
    with sqlite3.connect(os.environ["NBBENCH_HISTORY"]) as connection:
        connection.execute("UPDATE cases SET alike = NULL")
    assert measured_again("m", config={"_name_or_path": "m"}) == 0


def test_the_device_that_auto_was_is_the_same_by_its_name():
    run("m")
    assert measured_again("m", device="cpu") == 0


def test_what_two_runs_were_asked_for_adds_up(file):
    missing = Outcome(Status.OK)
    a = case_of("a", speed=False)
    both = EarlierRuns(file, ("ceilings", "prediction"), [a])
    for extra in ("ceilings", "prediction"):
        each = HistoryStore(file, describe_machine(), extras=[extra])
        assert both.find(a, WORKER, own_process=True) is None
        each.add(Result(a, missing), WORKER)
        each.close()
    assert both.find(a, WORKER, own_process=True) is not None  # what one lacks the other has
    both.close()


def test_ceilings_that_a_run_does_not_ask_for_are_not_taken_over(file, store):
    a = case_of("a", speed=False)
    ceilings = Ceilings("float32", 1e9, 1e9, 1e-6)
    store.add(Result(a, replace(Outcome(Status.OK), ceilings=ceilings)), WORKER)
    for extras in ((), ("ceilings",)):
        earlier = EarlierRuns(file, extras, [a])
        result = earlier.find(a, WORKER, own_process=True)
        assert (result.outcome.ceilings is None) == (not extras)
        earlier.close()


@pytest.mark.parametrize("behind", ["", "; found by 3 runs: 8 fits, 16 does not (limit 1 MB)"])
@pytest.mark.parametrize("before", ["", "AutoModel was chosen"])
def test_no_reason_says_what_ceilings_lack_that_are_not_asked_for(before, behind):
    why = "no ceilings: what a call does is not counted; measure memory, too"
    reason = "; ".join(filter(None, [before, why])) + behind
    outcome = Outcome(Status.OK, reason, searched_runs=3 if behind else None)
    kept = "; ".join(filter(None, [before, behind.removeprefix("; ")]))
    assert without_ceilings(outcome).reason == kept


def test_a_resumed_run_gives_no_reason_for_ceilings_that_it_does_not_ask_for():
    assert "no ceilings" in run("m", ceilings=True).results[0].outcome.reason
    assert run("m", resume=True).results[0].outcome.reason == ""
    assert measured_again("m", ceilings=True) == 0
    assert "no ceilings" in run("m", resume=True, ceilings=True).results[0].outcome.reason


def test_it_says_once_why_own_code_is_measured_again(folder):
    (folder / "net.py").write_text("def build():\n    return None\n")
    for number in range(MAX_FILES):
        (folder / f"a{number}.py").touch()
    given = {**GIVEN, "models": ["net.py:build"], "batch_sizes": [1, 2], "resume": True}
    del given["progress"]
    job = nbbench.submit(**given)
    assert job.wait(60)
    (text,) = job.progress.notices
    assert "cannot be compared with an earlier run" in text
    assert f"more than {MAX_FILES:,} .py files" in text
    assert "net.py" in text


def test_a_search_that_is_cut_off_keeps_all_visits_of_the_sizes_that_it_finished(tmp_path):
    log = tmp_path / "log"
    asked = {
        **GIVEN, "models": ["m"], "batch_sizes": "best", "latency_limit": "10 s", "rounds": 3,
        "max_time": 1.0,  # a visit whose building takes a third of it is the only one
        "configs": [{"model_type": "probe", "call": "wait", "wait_s": 0.002,
                     "visit_log": str(log)}],
    }  # fmt: skip
    del asked["progress"]
    job = nbbench.submit(**asked)
    while not log.exists() or log.stat().st_size < 8 * 80:
        time.sleep(0.01)
    job.cancel()
    assert job.wait(60)
    with sqlite3.connect(os.environ["NBBENCH_HISTORY"]) as connection:
        rows = connection.execute("SELECT content FROM begun_cases").fetchall()
    kept = {}
    for (content,) in rows:
        result = read_result(content)
        kept[result.case.batch_size] = len(result.outcome.timing.visits)
    assert kept[1] == kept[2] == 3


SETTINGS = {
    "ONEDNN_MAX_CPU_ISA": "AVX2", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "KMP_BLOCKTIME": "0",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OMP_WAIT_POLICY": "active", "DNNL_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1", "TORCHINDUCTOR_FREEZING": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_LAUNCH_BLOCKING": "1", "MALLOC_TOP_PAD_": "1",
    "XLA_FLAGS": "--xla_dump_to=/home/jane/dump",
}  # fmt: skip


def test_variables_that_change_time_are_compared_and_shown_without_folders(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    before = describe_variables()["settings"]
    for name, value in SETTINGS.items():
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            shown = value.replace("/home/jane/", "")
            assert f"{name}={shown}" in describe_variables()["settings"], name
            patched.setenv("MKL_VERBOSE", "0")
            assert "VERBOSE" not in describe_variables()["settings"]
    assert describe_variables()["settings"] == before


def test_what_numpy_sets_while_it_is_imported_is_no_setting(monkeypatch):
    """A worker that another thread starts meanwhile has it, where NumPy is an older one."""
    before = describe_variables()
    monkeypatch.setenv("OPENBLAS_MAIN_FREE", "1")
    assert describe_variables() == before


def test_what_was_measured_with_other_variables_is_no_answer(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    run("m")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert measured_again("m") == 1
    assert measured_again("m") == 0


def test_a_renamed_folder_is_the_same_model(folder):
    (folder / "net").mkdir()
    (folder / "net/config.json").write_text('{"model_type": "probe", "_name_or_path": "net"}')
    nbbench.run(**{**GIVEN, "models": ["./net"]})
    shutil.move(folder / "net", folder / "moved")
    (folder / "moved/config.json").write_text('{"model_type": "probe", "_name_or_path": "b"}')
    nbbench.run(**{**GIVEN, "models": ["./moved"], "resume": True})
    assert len(history()) == 1
