"""Several processes for one model: the slowest rank's time, each rank's memory, and lost ranks."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from uuid import uuid4

import psutil
import pytest

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.errors import ArgumentError
from nbbench.history_database.database import open_history
from nbbench.plan.result import Result
from nbbench.report.differences import compare_by
from nbbench.report.ranks import scaling_efficiency, times_of_one_rank
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.memory_profile import MemoryProfile
from nbbench.worker.summarize import summarize
from nbbench.worker.timing import Visit
from tests.conftest import wait_until

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "vocab_size": 300}  # fmt: skip
LLAMA = {"model_type": "llama", **TINY, "num_key_value_heads": 2}

OWN = '''
import os, signal, sys, time
import psutil, torch

RANK = os.environ.get("RANK")


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 64)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if RANK == "1":
            fault(self.calls)
        return self.layer(x)


def fault(calls):
    how = os.environ.get("RANKS_FAULT", "")
    if how == "slow":
        time.sleep(0.02)
    if calls == 3 and how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
    if calls == 3 and how == "raise":
        raise ValueError("no more of this")
    if calls == 3 and how == "look":
        look()
    if calls == 3 and how == "exit":
        os._exit(7)


def look():
    """Write down on which addresses the launcher and the ranks listen."""
    launcher = psutil.Process(os.getppid())
    own = {process.pid for process in (launcher, *launcher.children(recursive=True))}
    addresses = {
        connection.laddr.ip
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in own
    }
    with open(os.environ["RANKS_LISTEN"], "w") as file:
        file.write(" ".join(sorted(addresses)))


def make():
    return Model()
'''

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ranks are for Linux and macOS")


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def own(tmp_path, monkeypatch, torch):
    """Measure a module of the user's in two ranks, the second of which may have a fault."""
    (tmp_path / "own.py").write_text(OWN)
    mark = f"mark-{uuid4().hex}"
    monkeypatch.setenv("NBBENCH_TEST_MARK", mark)

    def run(how="", **arguments):
        monkeypatch.setenv("RANKS_FAULT", how)
        nbbench.close_workers()  # one that is warm has the variables of another test
        result = measure(
            models=[f"{tmp_path / 'own.py'}:make"], inputs={"x": ["batch", 64]}, **arguments
        )
        nbbench.close_workers()
        wait_until(lambda: not left(mark))
        return result

    yield run
    nbbench.close_workers()


def left(mark):
    """The living processes that carry a variable of a run's, but for this one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if mark in process.environ().values():
                found.append(process)
    return found


def measure(**arguments):
    arguments = {"batch_sizes": [4], "sequence_lengths": [16], "max_time": 0.2, "device": "cpu",
                 "parallels": "data", "training": True, "inference": False, "progress": False,
                 **arguments}  # fmt: skip
    return nbbench.run(**arguments)


def test_two_ranks_train_on_a_batch_with_the_time_of_the_slowest(own):
    report = own("slow")
    (result,) = report.results
    assert result.outcome.status is Status.OK, result.outcome.reason + result.outcome.detail
    assert result.outcome.timing.min_s >= 0.02  # the second rank's; the first would take no time
    first, second = result.outcome.memory.per_rank
    assert result.outcome.memory.peak == max(first, second)
    assert report.memory.peak_per_rank_mib[0] == f"{first / 2**20:.1f}, {second / 2**20:.1f}"
    assert report.speed[["parallel", "ranks"]].values.tolist() == [["data", 2]]
    assert report.speed.samples_per_s[0] == pytest.approx(4 / report.speed.median_s[0])
    assert set(result.outcome.timing.phases) == {"forward", "backward"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere gloo chooses an address itself")
def test_ranks_listen_to_no_other_machine(own, tmp_path, monkeypatch):
    monkeypatch.setenv("RANKS_LISTEN", str(tmp_path / "addresses"))
    assert own("look").speed.status.tolist() == ["ok"]
    assert (tmp_path / "addresses").read_text() == "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="guards are for Linux")
@pytest.mark.parametrize("isolation", ["fork", pytest.param("process", marks=pytest.mark.slow)])
def test_a_killed_rank_is_a_crash_with_its_number(own, isolation):
    (result,) = own("SIGKILL", isolation=isolation).results
    assert result.outcome.status is Status.CRASHED
    assert result.outcome.reason.startswith("rank 1 of 2 died of SIGKILL")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("raise", Status.ERROR, "rank 1 of 2: ValueError: no more of this"),
        ("exit", Status.CRASHED, "rank 1 of 2 exited with code 7"),
        ("SIGSTOP", Status.TIMEOUT, ""),
        ("SIGTERM", Status.CRASHED, "rank 1 of 2 died of SIGTERM"),
        ("SIGINT", Status.ERROR, "rank 1 of 2: KeyboardInterrupt"),
    ],
)
def test_a_lost_rank_is_named_and_nothing_is_left(own, how, status, reason):
    (result,) = own(how, timeout=30.0).results
    assert result.outcome.status is status, result.outcome
    assert result.outcome.reason.startswith(reason)


@pytest.mark.slow
def test_each_rank_holds_a_part_of_the_weights(torch):
    report = measure(
        configs=[LLAMA, {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2,
                         "vocab_size": 300, "bos_token_id": 1, "eos_token_id": 1}],
        models=["llama", "gpt2"], parallels=["none", "tensor"], inference=True, generation=True,
        new_tokens=[3],
    )  # fmt: skip
    speed = report.speed.set_index(["model", "mode", "parallel"])
    memory = report.memory.set_index(["model", "mode", "parallel"])
    for mode in ("inference", "training", "generation"):
        assert speed.status["llama", mode, "tensor"] == "ok", speed.reason.tolist()
        whole = memory.parameters_mib["llama", mode, "none"]
        assert memory.parameters_mib["llama", mode, "tensor"] < 0.7 * whole
        assert (
            memory.parameters["llama", mode, "tensor"] == memory.parameters["llama", mode, "none"]
        )
        assert speed.scaling_efficiency["llama", mode, "tensor"] > 0
        reason = speed.reason["gpt2", mode, "tensor"]
        assert speed.status["gpt2", mode, "tensor"] == "unsupported"
        assert "has no plan for tensor parallel" in reason
    assert speed.tokens_per_s["llama", "training", "tensor"] == pytest.approx(
        4 * 16 / speed.median_s["llama", "training", "tensor"]
    )


@pytest.mark.slow
def test_models_of_the_library_train_on_rows_of_several_lengths(torch):
    bert = {"model_type": "bert", **TINY}
    report = measure(configs=[bert], lengths=[3, 5, 7, 9], optimizer=True, threads=1, ranks=[1, 2])
    assert report.speed.status.tolist() == ["ok", "ok"], report.speed.reason.tolist()
    real = [result.outcome.real_tokens_per_call for result in report.results]
    assert real == [24, 24]
    efficiency = report.speed.set_index("ranks").scaling_efficiency
    assert efficiency[1] == 1
    assert efficiency[2] > 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"inference": True, "training": False}, "parallel data is for training"),
        ({"batch_sizes": [3]}, "a batch of 3 cannot be divided among 2 ranks"),
        ({"executions": ["compile"]}, "is for execution eager and quantization none"),
        ({"trace_memory_line_by_line": True}, "memory line by line is not measured of several"),
    ],
)
def test_what_ranks_cannot_do_is_unsupported(torch, arguments, reason):
    (result,) = measure(configs=[LLAMA], **arguments).results
    assert result.outcome.status is Status.UNSUPPORTED
    assert reason in result.outcome.reason


def test_other_frameworks_have_no_ranks(probe):
    report = measure(
        configs=[{"model_type": "probe"}], frameworks=["probe"], training=False, inference=True
    )
    assert report.speed.status.tolist() == ["unsupported"]
    assert report.speed.reason[0].endswith("measure parallel data with frameworks pytorch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ranks": [4]}, "ranks is for parallels tensor or data, not asked for"),
        ({"parallel": "data", "isolation": "none"}, "parallels asks for several; keep one"),
        ({"parallel": "data", "ranks": []}, "ranks is empty"),
        ({"parallel": "data", "ranks": [65]}, "65 processes are more than one machine has use"),
        ({"parallel": "data", "batch_sizes": "max"}, "with parallels data the ranks divide it"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        BenchmarkArguments(models=["any"], **arguments)


def test_ranks_are_an_axis():
    arguments = BenchmarkArguments(models=["any"], parallels=["none", "data"], ranks=[1, 2])
    assert arguments.divisions() == [("none", 1), ("data", 1), ("data", 2)]
    assert case("data", 2).label.endswith("batch 4, data parallel on 2 ranks")
    assert case("none", 1).label.endswith("batch 4")


def case(parallel, ranks):
    return Case("pytorch", "m", {}, "", 4, None, parallel=parallel, ranks=ranks)


def result(parallel, ranks, seconds):
    timing = summarize(Visit((seconds,) * 3), 0.05)
    memory = MemoryProfile("polled", per_rank=(1 << 20,) * ranks)
    return Result(case(parallel, ranks), Outcome(Status.OK, timing=timing, memory=memory))


def test_efficiency_is_the_throughput_of_a_rank_by_that_of_one_alone():
    alone, one, four = result("none", 1, 2.0), result("data", 1, 4.0), result("data", 4, 2.0)
    times = times_of_one_rank([alone, one, four])
    assert scaling_efficiency(four, times) == 0.5  # twice as fast with four times as many
    assert scaling_efficiency(one, times) == 1.0
    assert scaling_efficiency(alone, times) is None
    assert scaling_efficiency(four, times_of_one_rank([alone, four])) == 0.25
    assert scaling_efficiency(four, times_of_one_rank([four])) is None


def test_efficiency_is_of_one_machine():
    alone, two = (
        of_node(result("none", 1, 2.0), "node 1"),
        of_node(result("data", 2, 2.0), "node 2"),
    )
    assert scaling_efficiency(two, times_of_one_rank([alone, two])) is None
    there = of_node(result("data", 2, 2.0), "node 1")
    assert scaling_efficiency(there, times_of_one_rank([alone, two])) == 0.5


def of_node(known, node):
    return replace(known, outcome=replace(known.outcome, node=node))


@pytest.mark.parametrize(
    ("by", "baseline", "ratios"),
    [
        ("parallel", "none", {("tensor", 2): 0.5, ("data", 2): 0.25, ("data", 1): 2.0}),
        ("ranks", 1, {("tensor", 2): 0.5, ("data", 2): 0.125}),
        ("parallel", "data", {("tensor", 2): 2.0, ("none", 1): 0.5}),
        (None, "none", {("tensor", 2): 0.5, ("data", 2): 0.25, ("data", 1): 2.0}),
    ],
)
def test_several_ranks_are_compared_with_one(by, baseline, ratios):
    results = [result("none", 1, 2.0), result("data", 1, 4.0), result("tensor", 2, 1.0),
               result("data", 2, 0.5)]  # fmt: skip
    each = compare_by(results, by or "", baseline).each
    assert {(d.case.parallel, d.case.ranks): d.ratio for d in each} == ratios


def test_a_baseline_without_an_axis_finds_the_one_way_of_parallel():
    results = [result("none", 1, 2.0), result("tensor", 2, 1.0)]
    (difference,) = compare_by(results).each
    assert difference.ratio == 0.5


def test_a_history_of_before_gets_the_columns(tmp_path):
    file = tmp_path / "history.sqlite"
    with contextlib.closing(open_history(file)) as connection:
        for name in ("parallel", "ranks"):
            connection.execute(f"ALTER TABLE cases DROP COLUMN {name}")
    with contextlib.closing(open_history(file)) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(cases)")}
    assert columns > {"parallel", "ranks"}
