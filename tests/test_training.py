"""Training: the right head and labels for each architecture, its time, and its memory by phase."""

from __future__ import annotations

import mmap
import subprocess
import sys
import threading

import pytest

import nbbench
from tests.conftest import TINY_BERT

TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 64, "vocab_size": 300}  # fmt: skip
CONFIGS = {
    "BertForMaskedLM": {"model_type": "bert", **TINY},
    "BertForSequenceClassification": {"model_type": "bert", **TINY},
    "BertForTokenClassification": {"model_type": "bert", **TINY},
    "BertForQuestionAnswering": {"model_type": "bert", **TINY},
    "BertForPreTraining": {"model_type": "bert", **TINY},
    "ElectraForPreTraining": {"model_type": "electra", **TINY, "embedding_size": 32},
    "GPT2LMHeadModel": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2,
                        "vocab_size": 300, "bos_token_id": 1, "eos_token_id": 1},
    "LlamaForCausalLM": {"model_type": "llama", **TINY, "num_key_value_heads": 2},
    "T5ForConditionalGeneration": {"model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16,
                                   "num_heads": 2, "num_layers": 2, "vocab_size": 200,
                                   "decoder_start_token_id": 0},
    "BartForConditionalGeneration": {"model_type": "bart", "d_model": 32, "encoder_layers": 2,
                                     "decoder_layers": 2, "encoder_attention_heads": 2,
                                     "decoder_attention_heads": 2, "encoder_ffn_dim": 64,
                                     "decoder_ffn_dim": 64, "vocab_size": 300},
    "ViTForImageClassification": {"model_type": "vit", **TINY, "image_size": 32, "patch_size": 8},
    "Wav2Vec2ForCTC": {"model_type": "wav2vec2", **TINY, "vocab_size": 32},
}  # fmt: skip
UNNAMED = ("bert", "gpt2", "llama", "t5", "bart", "vit")
"""Types whose head is found without being named."""


def train(*configs, **arguments):
    arguments = {"batch_sizes": [2], "sequence_lengths": [16], "max_time": 0.2, "device": "cpu",
                 "training": True, "inference": False, "progress": False, **arguments}  # fmt: skip
    return nbbench.run(configs=list(configs), **arguments)


@pytest.fixture(autouse=True)
def _torch():
    pytest.importorskip("torch")


@pytest.mark.slow
@pytest.mark.newest
def test_every_head_gets_the_labels_that_it_takes():
    report = train(*({**config, "architectures": [name]} for name, config in CONFIGS.items()))
    assert report.speed.status.tolist() == ["ok"] * len(CONFIGS), report.speed.reason.tolist()
    assert report.speed.architecture.tolist() == list(CONFIGS)
    assert set(report.speed["mode"]) == {"training"}


def test_a_head_is_found_where_none_is_named():
    named = {config["model_type"]: name for name, config in reversed(CONFIGS.items())}
    report = train(*(CONFIGS[named[kind]] for kind in UNNAMED))
    assert report.speed.architecture.tolist() == [named[kind] for kind in UNNAMED]
    assert report.speed.status.tolist() == ["ok"] * len(UNNAMED)
    base = train({**TINY_BERT, "architectures": ["BertModel"]})
    assert base.speed.architecture.tolist() == ["BertForMaskedLM"]


def test_what_has_no_loss_is_unsupported_and_says_why():
    blip = {"model_type": "dinov2", **TINY, "architectures": ["Dinov2ForNothing"]}
    report = train(blip, {"model_type": "clip_text_model"}, TINY_BERT)
    assert report.speed.status.tolist() == ["unsupported", "unsupported", "ok"]
    assert "Dinov2ForNothing of dinov2-1 is not in transformers" in report.speed.reason[0]
    assert "no PyTorch model with a head to train" in report.speed.reason[1]


def test_inference_and_training_stand_in_one_table():
    report = train(TINY_BERT, inference=True)
    assert report.speed["mode"].tolist() == ["inference", "training"]
    assert "inference" in repr(report)
    assert report.speed.architecture.tolist() == ["BertModel", "BertForMaskedLM"]


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark is Linux's")
def test_memory_of_training_is_told_by_phase():
    large = {**TINY_BERT, "hidden_size": 512, "intermediate_size": 2048, "vocab_size": 20000}
    enough = {"max_time": 10, "precision": 0.2}  # for several steps by phase, few to time
    report = train(large, optimizer=True, sequence_lengths=[64], **enough)
    memory = report.memory.iloc[0]
    assert memory.gradients_mib == pytest.approx(memory.parameters_mib, rel=0.02)
    growth = memory.peak_mib - memory.baseline_mib
    assert growth >= memory.weights_mib + memory.gradients_mib
    # AdamW keeps two numbers for each parameter, beside the parameter and its gradient.
    assert growth >= 3.9 * memory.parameters_mib
    assert memory.backward_peak_mib == pytest.approx(memory.peak_mib, rel=0.05)
    assert memory.optimizer_peak_mib > memory.baseline_mib + 3.9 * memory.parameters_mib
    phases = ["forward_peak_mib", "backward_peak_mib", "optimizer_peak_mib"]
    small = train(*[TINY_BERT] * 4, optimizer=True).memory  # where chance is most of a peak
    assert (small[phases].max(axis=1) <= small.peak_mib).all()
    assert memory[phases].max() <= memory.peak_mib
    plain = train(large, sequence_lengths=[64], **enough).memory.iloc[0]
    assert plain.weights_mib + plain.gradients_mib < plain.peak_mib - plain.baseline_mib
    assert plain.peak_mib < memory.peak_mib
    assert plain.forward_peak_mib < plain.backward_peak_mib
    assert plain.optimizer_peak_mib != plain.optimizer_peak_mib  # missing


WATCHED = """
import json, sys
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case
from nbbench.worker.messages import RunCase
from nbbench.worker.run_case import run_case

backend = TorchBackend()
backend.load()
case = Case("pytorch", "x", json.loads(sys.argv[1]), "given", 4, 64, mode="training", device="cpu",
            max_time=1.0)
outcome = run_case(backend, RunCase(case), lambda event: print(event, flush=True))
memory = outcome.memory
print(json.dumps([memory.peak, memory.baseline, memory.weights, memory.gradients]))
"""


@pytest.mark.slow  # what watches from outside needs a core of its own
@pytest.mark.newest
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_the_peak_of_training_is_what_the_kernel_shows_from_outside():
    import json

    config = {**TINY_BERT, "hidden_size": 768, "intermediate_size": 3072, "vocab_size": 30000}
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, json.dumps(config)], stdout=subprocess.PIPE, text=True
    )
    said, highest = [""], 0
    reader = threading.Thread(target=lambda: said.extend(process.stdout))
    reader.start()
    while process.poll() is None:
        with open(f"/proc/{process.pid}/statm") as statm:
            resident = int((statm.read().split() or [0, 0])[1]) * mmap.PAGESIZE
        if any(
            word in said[-1] for word in ("MEASURING", "SamplingProgress", "MEMORY")
        ):  # while it counts
            highest = max(highest, resident)
    reader.join()
    peak, baseline, weights, gradients = json.loads(said[-1])
    print(f"nbbench {peak / 2**20:.1f} MiB, from outside {highest / 2**20:.1f} MiB")
    assert peak == pytest.approx(highest, rel=0.02)
    assert peak - baseline >= weights + gradients


INTERLEAVED = """
import gc, json, statistics, sys, time
import torch
from transformers import BertConfig, BertForMaskedLM
from nbbench.worker.backends.torch import TorchBackend
from nbbench.worker.case import Case

config, length = json.loads(sys.argv[1]), int(sys.argv[2])
backend = TorchBackend()
backend.load()
case = Case("pytorch", "x", json.dumps(config), "given", 2, length, mode="training", device="cpu")
device = backend.open(case)
ours_model = backend.build(case, device)
call, _ = ours_model.prepare()

config.pop("model_type")
model = BertForMaskedLM(BertConfig(**config)).train()
ids = torch.randint(config["vocab_size"], (2, length))
mask = torch.ones_like(ids)

def theirs():
    begin = time.perf_counter()
    model.zero_grad()
    model(input_ids=ids, attention_mask=mask, labels=ids)[0].backward()
    return time.perf_counter() - begin

def ours():
    return device.stopwatch(call, 1)

for _ in range(5):
    ours(), theirs()
gc.disable()
mine, plain = [], []
for turn in range(150):
    if turn % 2:
        mine.append(ours()), plain.append(theirs())
    else:
        plain.append(theirs()), mine.append(ours())
print(json.dumps(statistics.median(mine) / statistics.median(plain)))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("hidden", "length"), [(128, 32), (512, 64)])
def test_training_takes_as_long_as_in_a_plain_loop(hidden, length):
    import json

    config = {**TINY_BERT, "hidden_size": hidden, "intermediate_size": 4 * hidden}
    done = subprocess.run(
        [sys.executable, "-c", INTERLEAVED, json.dumps(config), str(length)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    print(f"ours / plain loop: {float(done.stdout):.4f}")
    assert float(done.stdout) == pytest.approx(1, abs=0.03)
