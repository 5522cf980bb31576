"""The largest size that fits and the best within a latency, found by runs; what cannot fit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.cli import main
from nbbench.errors import ArgumentError
from nbbench.execution.best_size import _best, _Measured, _next, best_size
from nbbench.execution.bracket import MAX_SIZE, Bracket, Tried
from nbbench.execution.events import CaseEnded
from nbbench.execution.too_large import TooLarge
from nbbench.hf import PyTorchBenchmark, PyTorchBenchmarkArguments
from nbbench.machine.available import available_memory
from nbbench.notebook.magic_flags import magic_parser
from nbbench.worker.backends.torch_gpu import GpuDevice
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.size_guess import guessed_bytes
from tests.conftest import TINY_BERT
from tests.test_cuda import FakeCuda

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are exact on Linux alone")


def run(probe, *configs, **arguments):
    """Run the probe, whose call holds so much for each sample, for its memory alone."""
    made = [{"model_type": "probe", "call": "grow", **config} for config in configs]
    asked = {"sequence_lengths": 1, "rounds": 1, "speed": False, "progress": False, "wait": False}
    return nbbench.run(configs=made, frameworks="probe", **{**asked, **arguments})


def only(report):
    (result,) = report.results
    return result


def held_by_one(probe):
    """Bytes that a process of the probe holds that is limited, its calls' own not counted."""
    found = only(run(probe, {"grow_kib": 1024}, batch_sizes=1, memory_limit="10 GB")).outcome
    return found.memory.peak - MIB


# ---- twenty searches


def twenty(room):
    """Twenty configurations, of which the largest batches in this room are 1 to 20."""
    configs = []
    for largest in range(1, 21):
        config = {"grow_kib": room / (largest + 0.5) / 1024}
        configs.append(config if largest % 2 else {**config, "predicts": 0.8})
    return configs


@linux
def test_the_batch_found_is_the_true_largest_in_20_of_20_searches(probe):
    nbbench.close_workers()
    others = {each.pid for each in psutil.Process().children(recursive=True)}
    room = 24 * MIB
    limit = held_by_one(probe) + room
    server = {each.pid for each in psutil.Process().children(recursive=True)} - others
    report = run(probe, *twenty(room), batch_sizes="max", memory_limit=f"{limit} B")
    assert [result.case.batch_size for result in report.results] == list(range(1, 21))
    frame = report.memory
    assert (frame["status"] == "ok").all()
    assert (frame["peak_mib"] * MIB <= limit).all()
    assert frame["memory_limit_mib"].tolist() == pytest.approx([limit / MIB] * 20)
    assert frame["searched_runs"].between(4, 15).all(), frame["searched_runs"].tolist()
    for result in report.results:
        size, runs = result.case.batch_size, result.outcome.searched_runs
        assert f"found by {runs} runs: {size} fits, {size + 1} does not (limit " in (
            result.outcome.reason
        )
    alive = {each.pid for each in psutil.Process().children(recursive=True)}
    assert server & alive  # which holds the framework, and was not ended


@linux
@pytest.mark.slow
def test_and_is_what_trying_every_size_finds(probe):
    room = 72 * MIB  # steps are larger than what a server gains over some hundred cases
    limit = f"{held_by_one(probe) + room} B"
    report = run(probe, *twenty(room), batch_sizes="max", memory_limit=limit)
    every = run(probe, *twenty(room), batch_sizes=list(range(1, 23)), memory_limit=limit)
    for found in report.results:
        fits = [
            each.case.batch_size
            for each in every.results
            if each.case.model == found.case.model and each.outcome.status is Status.OK
        ]
        assert found.case.batch_size == max(fits)


@pytest.mark.slow
@pytest.mark.parametrize(
    "asked",
    [
        {"batch_sizes": "max", "sequence_lengths": 128},
        {"batch_sizes": 64, "sequence_lengths": "max"},
        {"batch_sizes": "max", "sequence_lengths": 128, "training": True, "inference": False},
    ],
)
def test_in_pytorch_what_is_found_fits_and_twice_as_much_does_not(asked):
    pytest.importorskip("torch")
    config = {**TINY_BERT, "max_position_embeddings": 4096}
    common = {"configs": config, "memory_limit": "500 MB", "max_time": 1, "progress": False}
    found = only(nbbench.run(**asked, **common))
    assert found.outcome.status is Status.OK, found.outcome.reason
    assert found.outcome.searched_runs <= 30
    (axis,) = [name for name, value in asked.items() if value == "max"]
    size = found.case.batch_size if axis == "batch_sizes" else found.case.sequence_length
    more = only(nbbench.run(**{**asked, axis: 2 * size}, **common))
    assert more.outcome.status is Status.OOM


# ---- each axis


@linux
def test_the_largest_length_and_the_most_new_tokens_are_found_too(probe):
    limit = f"{held_by_one(probe) + 20 * MIB} B"
    squares = {"grow_kib": 20 * 1024 / 50.5**2, "power": 2}  # a length of 50 fits, 51 does not
    longest = only(run(probe, squares, batch_sizes=1, sequence_lengths="max", memory_limit=limit))
    assert (longest.case.sequence_length, longest.outcome.status) == (50, Status.OK)


@linux
@pytest.mark.parametrize("takes", [5, 100])  # of which the search begins above the first
@pytest.mark.parametrize("predicts", [None, 1.0])
def test_a_largest_length_of_the_models_own_is_the_answer(probe, predicts, takes):
    config = {"grow_kib": 1, "power": 1, "takes": takes}
    config |= {} if predicts is None else {"predicts": predicts}
    report = run(probe, config, batch_sizes=1, sequence_lengths="max", memory_limit="1 GB")
    found = only(report)
    assert (found.case.sequence_length, found.outcome.status) == (takes, Status.OK)
    sentence = f"{takes} fits, the largest that the model takes (limit 1 GB)"
    assert sentence in found.outcome.reason


def test_positions_of_a_model_end_the_search(monkeypatch):
    pytest.importorskip("torch")
    config = {**TINY_BERT, "max_position_embeddings": 40}
    report = nbbench.run(
        configs=config, batch_sizes=1, sequence_lengths="max", memory_limit="2 GB", max_time=0.2,
        rounds=1, progress=False,
    )  # fmt: skip
    found = only(report)
    assert (found.case.sequence_length, found.outcome.status) == (40, Status.OK)
    assert "the largest that the model takes" in found.outcome.reason


# ---- what ends a search


@linux
def test_where_even_one_does_not_fit_the_row_is_out_of_memory(probe):
    report = run(probe, {"grow_kib": 300 * 1024}, batch_sizes="max", memory_limit="200 MiB")
    outcome = only(report).outcome
    assert outcome.status is Status.OOM
    assert outcome.reason.startswith("even batch 1 does not fit (limit 200 MiB): ")
    assert outcome.searched_runs == 1


@linux
def test_a_length_that_search_begins_with_may_be_too_long(probe):
    limit = f"{held_by_one(probe) + 20 * MIB} B"
    config = {"grow_kib": 20 * 1024 / 3.5, "power": 1}
    found = only(run(probe, config, batch_sizes=1, sequence_lengths="max", memory_limit=limit))
    assert (found.case.sequence_length, found.outcome.status) == (3, Status.OK)


@linux
def test_what_runs_away_is_refused_by_the_system_and_harms_nothing(probe):
    available = available_memory()
    config = {"grow_kib": 64 * MIB}  # 64 GiB, of which nothing could be touched safely
    outcome = only(run(probe, config, batch_sizes=1, memory_limit="200 MiB")).outcome
    assert outcome.status is Status.OOM
    assert "memory ran out while measuring memory" in outcome.reason
    assert available_memory() > available / 2


MANY_THREADS = """
import threading
from types import SimpleNamespace
from nbbench.worker.memory_limit import limit_memory
limit_memory(SimpleNamespace(name="cpu"), 1 << 20, threads=64)
threading.stack_size(8 << 20)
end = threading.Event()
for _ in range(64):
    threading.Thread(target=end.wait, daemon=True).start()
"""


@linux
def test_the_stacks_of_threads_are_no_memory_that_is_refused():
    subprocess.run([sys.executable, "-c", MANY_THREADS], check=True)


@linux
def test_another_failure_ends_the_search_and_is_the_rows(probe):
    config = {"grow_kib": 1024, "fails_at": 2}
    report = run(probe, config, batch_sizes="max", memory_limit="200 MiB")
    found = only(report)
    assert (found.case.batch_size, found.outcome.status) == (2, Status.ERROR)
    assert found.outcome.reason == (
        "RuntimeError: batch 2 is no good (in the search for the largest, after 1 run: 1 fits)"
    )


@linux
def test_without_a_limit_a_part_of_the_memory_is_one(probe, monkeypatch):
    room = held_by_one(probe) + 20 * MIB
    monkeypatch.setattr("nbbench.execution.search.available_memory", lambda: round(room / 0.9))
    found = only(run(probe, {"grow_kib": 20 * 1024 / 6.5}, batch_sizes="max"))
    assert found.case.batch_size == 6
    assert "(limit 90% of the memory available)" in found.outcome.reason
    assert found.case.memory_limit is None


@linux
def test_a_cancelled_search_ends_with_what_it_knows(probe):
    job = nbbench.submit(
        configs=[{"model_type": "probe", "call": "hang"}, {"model_type": "probe"}],
        frameworks="probe", batch_sizes="max", sequence_lengths=1, memory_limit="1 GB",
    )  # fmt: skip
    while job.progress.phase != "memory":
        assert not job.wait(0.01)
    job.cancel()
    assert job.wait(60)
    statuses = [result.outcome.status for result in job.report().results]
    assert statuses == [Status.CANCELLED, Status.SKIPPED]


# ---- the bracket alone


def searched(fits, *, first=1, limit=None, peak=None, guess=0):
    """The largest size by a bracket, and the sizes that it tried."""
    bracket = Bracket(first)
    bracket.limit = limit
    while (size := bracket.next()) is not None:
        if guess and len(bracket.tried) == 1:
            bracket.guess(guess)
        held = peak(size) if peak else None
        bracket.add(Tried(size, fits(size), held if fits(size) else None))
        assert len(bracket.tried) < 60
    return bracket.fits, [each.size for each in bracket.tried]


@pytest.mark.parametrize("largest", [0, 1, 2, 3, 7, 8, 9, 100, 1023, 1024, 70_001, MAX_SIZE])
@pytest.mark.parametrize("first", [1, 8])
def test_a_bracket_doubles_and_halves_where_nothing_is_known(largest, first):
    found, tried = searched(lambda size: size <= largest, first=first)
    assert found == largest
    assert len(tried) <= 45
    assert not largest or tried.count(largest) == 3


@pytest.mark.parametrize("power", [0.5, 1, 2])
@pytest.mark.parametrize("guess", [0, 1, 50, 990, 1010, 100_000])
def test_a_line_and_a_guess_make_it_shorter_and_never_wrong(power, guess):
    limit = 10 * 1000.5**power
    held = {"peak": lambda size: round(10 * size**power), "limit": round(limit)}
    found, tried = searched(lambda size: 10 * size**power <= limit, guess=guess, **held)
    assert found == 1000
    assert len(tried) <= (9 if power == 1 and guess < 1001 else 25)


def test_a_size_that_fits_in_one_run_and_not_in_the_next_is_not_the_largest():
    bracket = Bracket(1)
    turns = {}
    while (size := bracket.next()) is not None:
        turns[size] = turns.get(size, 0) + 1
        fits = size < 10 or (size == 10 and turns[size] == 1)
        bracket.add(Tried(size, fits))
    assert (bracket.fits, bracket.fails) == (9, 10)


# ---- the best within a latency


def measured(size, call_s, width=0.0, limit_s=1.0, status=Status.OK):
    timing = SimpleNamespace(
        median_s=call_s, ci_low_s=call_s * (1 - width), ci_high_s=call_s * (1 + width)
    )
    outcome = SimpleNamespace(timing=timing, status=status)
    return _Measured(size, SimpleNamespace(outcome=outcome), timing.ci_high_s <= limit_s)


def best_of(call_s, **options):
    tried, size = {}, 1
    while size is not None:
        tried[size] = measured(size, call_s(size), **options)
        size = _next(tried)
        assert len(tried) < 40
    best = _best(tried)
    return best and best.size, sorted(tried)


def test_the_best_is_the_largest_within_the_latency_where_larger_is_faster():
    best, tried = best_of(lambda size: 0.02 * size**0.9)
    assert 0.02 * best**0.9 <= 1.0 < 0.02 * (best * 1.2) ** 0.9
    assert len(tried) < 14


def test_the_best_may_be_below_what_the_latency_allows():
    best, _ = best_of(lambda size: 0.001 * size + (0.01 if size < 24 else 0.0005 * size**1.6))
    assert best in range(16, 24)


def test_of_sizes_that_tie_the_smallest_is_taken():
    best, _ = best_of(lambda size: 0.01 * size, width=0.05)
    assert best == 1


def test_where_even_one_is_too_slow_there_is_none():
    assert best_of(lambda size: 2.0 * size) == (None, [1])


def test_the_row_says_which_sizes_were_tried(probe):
    config = {"model_type": "probe", "call": "grow", "grow_kib": 4, "wait_s": 0.004}
    report = nbbench.run(
        configs=config, frameworks="probe", batch_sizes="best", sequence_lengths=1,
        latency_limit="1 ms", max_time=0.1, rounds=1, progress=False, wait=False,
    )  # fmt: skip
    found = only(report)
    assert (found.case.batch_size, found.outcome.status) == (1, Status.OK)
    assert "even batch 1 does not keep to 1.00 ms; tried for the best within 1.00 ms: 1 (" in (
        found.outcome.reason
    )
    assert report.speed["searched_runs"].tolist() == [1]
    assert report.speed["median_s"].iloc[0] >= 0.004


@pytest.mark.parametrize("status", [Status.OK, Status.OOM])
def test_a_search_for_the_best_that_is_cut_off_is_cancelled_whatever_its_last_size(status):
    planned = Case("probe", "m", {}, "given", 1, 8, searched="batch_size", latency_limit=0.05)

    def run(cases, supervisors, cancelled):
        yield from (CaseEnded(case, Outcome(status)) for case in cases)

    *_, ended = best_size(planned, {}, lambda: True, run)
    assert (ended.case, ended.outcome.status) == (planned, Status.CANCELLED)


# ---- larger than what ran out of memory, and what cannot fit


@linux
def test_cases_larger_than_one_that_ran_out_are_skipped(probe):
    asked = {"batch_sizes": [1, 4, 8], "sequence_lengths": [1, 2], "memory_limit": "200 MiB"}
    config = {"grow_kib": 80 * 1024, "power": 1}
    frame = run(probe, config, **asked).memory
    assert frame["status"].tolist() == ["ok", "ok", "oom", "skipped", "skipped", "skipped"]
    assert "batch 4 × length 1, which ran out of memory" in frame["reason"].iloc[3]
    frame = run(probe, config, **asked, skip_larger=False).memory
    assert frame["status"].tolist() == ["ok", "ok", "oom", "oom", "oom", "oom"]


def test_larger_is_at_least_as_large_in_all_and_else_the_same():
    case = Case("probe", "m", {}, "given", 4, 32)
    too_large = TooLarge()
    too_large.add(case)
    assert too_large.smaller_than(replace(case, batch_size=5)) == case
    assert too_large.smaller_than(replace(case, batch_size=8, sequence_length=64)) == case
    for other in (
        case,
        replace(case, batch_size=8, sequence_length=16),
        replace(case, batch_size=8, dtype="float16"),
        replace(case, batch_size=8, mode="training"),
    ):
        assert too_large.smaller_than(other) is None


def test_what_cannot_fit_is_refused_before_it_is_run(probe, monkeypatch, tmp_path):
    monkeypatch.setattr("nbbench.execution.rounds.available_memory", lambda: 1 << 30)
    large = {"hidden_size": 4096, "num_hidden_layers": 32, "vocab_size": 32000}
    log = tmp_path / "built"
    config = {"grow_kib": 2 * MIB, "predicts": 1, "sizes": large, "build_log": str(log)}
    outcome = only(run(probe, config, batch_sizes=1)).outcome
    assert outcome.status is Status.OOM
    assert outcome.reason.startswith(
        "needs at least 2 GiB (predicted), and 1 GiB are available; nothing was run"
    )
    assert not log.exists()


def test_what_is_small_is_not_predicted_and_what_cannot_be_predicted_is_run(probe, monkeypatch):
    monkeypatch.setattr("nbbench.execution.rounds.available_memory", lambda: 1 << 30)
    small = {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 1000}
    for config in (
        {"sizes": small, "predicts": 1e9},  # a prediction would have it refused
        {"sizes": {**small, "hidden_size": 40_000}},  # there is none
    ):
        outcome = only(run(probe, {"grow_kib": 64, **config}, batch_sizes=1)).outcome
        assert outcome.status is Status.OK, outcome.reason


def test_a_model_larger_than_the_machine_is_refused_in_pytorch():
    pytest.importorskip("torch")
    report = nbbench.run(
        "llama-3.1-8b", batch_sizes=8000, sequence_lengths=512, progress=False, max_time=0.1
    )
    outcome = only(report).outcome
    assert outcome.status is Status.OOM, outcome.reason
    assert "(predicted), and " in outcome.reason
    assert "nothing was run" in outcome.reason


def test_ordinary_cases_are_known_to_be_small():
    bert = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072,
            "num_attention_heads": 12, "vocab_size": 30522}  # fmt: skip
    case = Case("pytorch", "bert", bert, "catalogue", 8, 512)
    assert 440e6 < guessed_bytes(bert, case) < 8e9
    assert guessed_bytes({"text_config": bert}, case) == guessed_bytes(bert, case)
    assert guessed_bytes({"model_type": "bert", "hidden_size": "wide"}, case) == 0
    assert guessed_bytes(bert, replace(case, mode="training")) > 5e9


# ---- GPUs, by stand-ins: none was met for this yet


def test_a_gpus_allocator_is_given_the_limit_as_a_part():
    cuda = FakeCuda(devices=2)
    cuda.get_device_properties = lambda index: SimpleNamespace(uuid="fa4e", total_memory=16 << 30)
    given = []
    cuda.set_per_process_memory_fraction = lambda part, index: given.append((part, index))
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"))
    device = GpuDevice(torch, 1)
    device.limit_memory(4 << 30)
    device.limit_memory(64 << 30)
    assert given == [(0.25, 1), (1.0, 1)]


# ---- what may be asked for


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"batch_sizes": ["max", 8]}, "batch_sizes: max stands alone"),
        ({"batch_sizes": "max", "sequence_lengths": "max"}, "are both to be searched"),
        ({"sequence_lengths": "best"}, "sequence_lengths: 'best' is not a whole number or max"),
        ({"batch_sizes": "most"}, "batch_sizes: 'most' is not a whole number, max or best"),
        ({"batch_sizes": "best"}, "give latency_limit='50 ms'"),
        ({"latency_limit": "50 ms"}, "latency_limit is for batch_sizes best"),
        ({"batch_sizes": "best", "latency_limit": "5 mm"}, "latency_limit: '5 mm' is no time"),
        ({"memory_limit": "8"}, "memory_limit: '8' is no size of memory"),
        ({"memory_limit": "8 GB", "isolation": "none"}, "isolation none"),
        ({"batch_sizes": "max", "isolation": "none"}, "isolation none"),
        ({"batch_sizes": "max", "lengths": [5, 7]}, "lengths draws the rows"),
        ({"new_tokens": "max"}, "new_tokens is a part of generation"),
        (
            {"batch_sizes": "best", "latency_limit": "1 s", "speed": False},
            "best is found by time, and speed is off",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(asked, sentence):
    with pytest.raises(ArgumentError, match=sentence.replace("(", r"\(")):
        BenchmarkArguments(models=["m"], **asked)


def test_nothing_is_searched_to_predict_nor_in_the_former_classes():
    with pytest.raises(ArgumentError, match="nothing is run to predict; give sizes"):
        nbbench.predict("bert-base-uncased", batch_sizes="max")
    arguments = PyTorchBenchmarkArguments(models=["bert-base-uncased"], batch_sizes=["max"])
    with pytest.raises(ArgumentError, match="batch_sizes"):
        PyTorchBenchmark(arguments)


@linux
def test_it_can_be_asked_for_from_a_shell(probe, capsys, tmp_path, monkeypatch):
    file = tmp_path / "report.json"
    monkeypatch.chdir(tmp_path)
    argv = "run bert-base-uncased -f probe -b max -s 1 --memory-limit 8GB --no-speed --save"
    main([*argv.split(), str(file)])
    loaded = nbbench.Report.load(file)
    found = only(loaded)
    assert (found.case.batch_size, found.outcome.status) == (MAX_SIZE, Status.OK)
    assert "the largest that is tried (limit 8 GB)" in found.outcome.reason
    assert loaded.memory["searched_runs"].tolist() == [found.outcome.searched_runs]
    assert loaded.memory["memory_limit_mib"].tolist() == [8e9 / MIB]


def test_it_can_be_asked_for_from_the_magic_and_the_form():
    values = magic_parser().read(["m", "-b", "max", "--memory-limit", "8 GB", "--no-skip-larger"])
    assert values["batch_sizes"] == ["max"]
    assert (values["memory_limit"], values["skip_larger"]) == ("8 GB", False)
    form = nbbench.form(models=["bert-base-uncased"], batch_sizes="max", memory_limit="8 GB")
    assert form.arguments().searched == "batch_size"
    assert form.arguments().memory_limit == "8 GB"
    assert "batch_sizes" in form.cell() or "-b max" in form.cell()


def test_a_search_is_labelled_by_what_it_is_for():
    case = Case("pytorch", "m", {}, "given", 1, 8, searched="batch_size")
    assert case.label == "m pytorch inference, batch max × length 8"
    best = replace(case, latency_limit=0.05)
    assert best.label == "m pytorch inference, batch best × length 8"
    ended = CaseEnded(case, Outcome(Status.OK), found=replace(case, batch_size=37, searched=""))
    assert ended.result.case.batch_size == 37
