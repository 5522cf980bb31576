"""Every type of model in the catalogue gets inputs that it takes."""

from __future__ import annotations

import collections
import json
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import nbbench
from tests.conftest import TINY_BERT
from tests.test_inputs import script

SMALLEST = (
    "albert-base-v2", "bart-base", "bert-tiny", "bloom-560m", "clip-vit-base-patch32",
    "deberta-v3-small", "dinov2-small", "distilbert-base-uncased", "distilgpt2",
    "electra-small-discriminator", "gemma-3-270m", "modernbert-base", "opt-125m", "opus-mt-en-de",
    "pythia-160m", "qwen2.5-0.5b", "qwen3-0.6b", "resnet-50", "roberta-base", "smollm2-135m",
    "t5-small", "vit-base-patch16-224", "wav2vec2-base", "whisper-tiny", "xlm-roberta-base",
)  # fmt: skip
LARGE = {"gemma", "gemma2", "mistral", "phi", "phi3", "smollm3"}
"""Types that have no small model in the catalogue."""


@pytest.mark.slow
def test_every_type_of_model_runs():
    pytest.importorskip("torch")
    types = {config["model_type"] for config in nbbench.catalogue().values()}
    assert {nbbench.catalogue()[name]["model_type"] for name in SMALLEST} == types - LARGE
    report = nbbench.run(
        *SMALLEST,
        batch_sizes=[2],
        sequence_lengths=[16],
        max_time=0.01,
        device="cpu",
        progress=False,
    )
    failed = report.speed[report.speed.status != "ok"]
    assert failed.empty, failed[["model", "reason"]].to_dict("records")
    memory = report.memory
    near = memory.weights_mib / memory.parameters_mib
    assert (
        near.between(0.95, 1.1).all()
        or (memory.weights_mib - memory.parameters_mib).abs().max() < 12
    )
    lengths = report.speed.set_index("model").sequence_length
    assert lengths.isna().sum() == 3  # images have none
    tokens = report.speed.set_index("model").tokens_per_s
    assert tokens[["whisper-tiny", "distilgpt2"]].gt(0).all()
    assert tokens[["wav2vec2-base", "resnet-50"]].isna().all()  # frames and patches are none


@pytest.mark.slow
@pytest.mark.newest
def test_a_share_of_the_types_that_transformers_has_runs_in_both_modes(tmp_path):
    pytest.importorskip("torch")
    sweep, results = script("sweep_architectures"), tmp_path / "results.jsonl"
    types = sweep.every(16)
    sweep.swept(sys.executable, types, results)
    rows = sweep.read(results)
    assert len(rows) == 2 * len(types)
    known = re.findall(r"^\| (\S+) \| error", sweep.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    new = [row for row in rows if sweep.verdict(row) == "error" and row["type"] not in known]
    assert new == []
    count = collections.Counter((row["mode"], sweep.verdict(row)) for row in rows)
    for mode, least in (("inference", 0.95), ("training", 0.85)):
        models = sum(n for (of, what), n in count.items() if of == mode and what != "no model")
        failed = [row for row in rows if row["mode"] == mode and row["status"] != "ok"]
        assert count[mode, "ok"] >= least * models, json.dumps(failed, indent=1)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("XForDepth cannot be trained like this: Training is not implemented yet", "no model"),
        ("X cannot be trained like this: X does not support training for now.", "no model"),
        ("X cannot be trained like this: Training is not supported at the moment", "no model"),
        ("X cannot be trained like this: Training is not yet supported", "no model"),
        ("X cannot be trained like this: SuperGlue is not trainable, no labels", "no model"),
        ("X has no loss to train it by; give a config", "no model"),
        ("X has no PyTorch model with a head to train in transformers 5", "no model"),
        ("X cannot be trained like this: use_weighted_layer_sum wants all", "unsupported"),
        ("X requires the timm library but it was not found; install it", "unsupported"),
    ],
)  # fmt: skip
def test_what_refuses_to_be_trained_counts_as_a_type_without_a_model(reason, verdict):
    sweep = script("sweep_architectures")
    row = {"type": "x", "mode": "training", "status": "unsupported", "phase": "memory"}
    assert sweep.verdict({**row, "reason": reason}) == verdict


def test_the_page_says_what_comes_of_an_error_without_nbbench(tmp_path):
    sweep, file = script("sweep_architectures"), tmp_path / "results.jsonl"
    error = {"mode": "training", "status": "error", "phase": "memory", "reason": "X: no"}
    rows = [{"type": name, **error, "alone": alone} for name, alone in
            (("a", "calling"), ("b", ""), ("c", "building"))]  # fmt: skip
    sweep.write(file, [*rows, {"type": "d", **error, "alone": "building", "phase": "building"}])
    lines = sweep.page({"9.9": file}).splitlines()
    assert [line for line in lines if line.endswith("| X: no |")] == [
        "| a | error | the call fails | X: no |",
        "| b | error | runs | X: no |",
        "| c | error | cannot be built | X: no |",
        "| d | error of its own | cannot be built | X: no |",
    ]


@pytest.mark.slow
def test_an_error_is_tried_without_nbbench_in_its_own_class_and_mode(tmp_path):
    pytest.importorskip("torch")
    sweep, file = script("sweep_architectures"), tmp_path / "results.jsonl"
    configs = {"bert": TINY_BERT, "superpoint": {"model_type": "superpoint"},
               "vit": {"model_type": "vit", "hidden_size": 7}}  # fmt: skip
    error = {"status": "error", "phase": "memory", "reason": "X", "length": 16}
    cases = [("bert", "inference"), ("bert", "training"), ("superpoint", "inference"),
             ("superpoint", "training"), ("vit", "training")]  # fmt: skip
    sweep.write(file, [{"type": name, "mode": mode, **error} for name, mode in cases])
    sweep.tried_alone(sys.executable, file, configs)
    assert [row["alone"] for row in sweep.read(file)] == ["", "", "", "calling", "building"]


@pytest.mark.slow
def test_one_command_sweeps_environments_and_makes_the_page(tmp_path):
    pytest.importorskip("torch")
    sweep = script("sweep_architectures")
    arguments = ["--page", "--environments", sys.executable, "--only", "bert", "superpoint",
                 "--cache", str(tmp_path / "cache"),
                 "--output", str(tmp_path / "page.md")]  # fmt: skip
    command = [sys.executable, sweep.__file__, *arguments]
    for _ in range(2):  # the second time all is in the cache
        subprocess.run(command, check=True)
    found = version("transformers")
    assert len(sweep.read(tmp_path / "cache" / f"{found}.jsonl")) == 4
    page = (tmp_path / "page.md").read_text()
    assert f"| {found} | inference | 2 | 2 | 0 |" in page
    assert f"| {found} | training | 2 | 1 | 1 |" in page


@pytest.mark.slow
def test_positions_are_counted_as_each_family_counts_them():
    pytest.importorskip("torch")
    longest = {"roberta-base": 512, "distilgpt2": 1024, "whisper-tiny": 448, "bert-tiny": 512}
    for name, length in longest.items():
        report = nbbench.run(
            name,
            batch_sizes=[1],
            sequence_lengths=[length, length + 1],
            max_time=0.01,
            progress=False,
        )
        assert report.speed.status.tolist() == ["ok", "unsupported"], name
        assert f"({length})" in report.speed.reason[1]


def executed(*executions, **arguments):
    pytest.importorskip("torch")
    configs = [{**TINY_BERT, "architectures": ["BertForSequenceClassification"]},
               {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2, "vocab_size": 500,
                "architectures": ["GPT2LMHeadModel"]}]  # fmt: skip
    return nbbench.run(
        configs=configs,
        execution=list(executions),
        batch_sizes=[2],
        sequence_lengths=[8],
        max_time=0.1,
        device="cpu",
        progress=False,
        **arguments,
    )


def test_a_traced_model_runs_and_pytorch_says_what_it_has_not():
    report = executed("eager", "torchscript", "xla")
    speed = report.speed
    assert speed.status.tolist()[:3] == ["ok", "ok", "unsupported"], speed.reason.tolist()
    if int(version("transformers").partition(".")[0]) < 5:  # their masks of decoders
        assert speed.status.tolist()[3:] == ["ok", "unsupported", "unsupported"]
        assert re.search(r"cannot trace GPT2LMHeadModel .* give executions eager", speed.reason[4])
    else:
        assert speed.status.tolist()[3:] == ["ok", "ok", "unsupported"], speed.reason.tolist()
    assert report.speed.execution.tolist() == ["eager", "torchscript", "xla"] * 2
    assert "use eager, compile, torchscript" in report.speed.reason[2]
    first = report.speed.first_call_s / report.speed.median_s
    assert first[1] > first[0]  # tracing shows in the first call
    trained = executed("torchscript", training=True, inference=False)
    assert "torchscript is for inference" in trained.speed.reason[0]


@pytest.mark.slow
def test_a_compiled_model_runs_and_compiling_shows_in_the_first_call():
    report = executed("compile", training=True)
    assert report.speed.status.tolist() == ["ok"] * 4, report.failures
    assert (report.speed.first_call_s > 20 * report.speed.median_s).all()
