"""A folder of sentence-transformers by nbbench, and by its own ``encode``, in turn in one process.

    python docs/against_encode.py [--turns 15] [--threads 1]

Needs the packages torch, transformers and sentence-transformers. The folder is made for this: a
model of the size of all-MiniLM-L6-v2 with random weights, mean pooling and a norm. For each batch
the script prints three times, and nbbench's time by the two others: of ``encode``, and of
``encode`` with texts that are tokenised already, since nbbench measures no tokenizer. A ratio is
the median of those of neighbours in time, by the clock and by the processor's time: the second
holds on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BATCHES = ((1, 32), (4, 64), (8, 128))
"""Batch size and length of each comparison."""
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*TOKENS, *(f"w{number}" for number in range(5000))]
CONFIG = {
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": len(VOCABULARY),
}
Timed = tuple[float, float]


def make_folder(folder: Path) -> None:
    """Write a model as sentence-transformers saves one."""
    import transformers

    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    transformers.BertModel(transformers.BertConfig(**CONFIG)).save_pretrained(folder)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    listed = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(listed), encoding="utf-8")
    pooling = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")


def nbbench_call(folder: Path, batch_size: int, length: int, threads: int) -> Callable[[], Any]:
    """The call that nbbench measures for a case of the folder."""
    from nbbench.plan.models import find_model
    from nbbench.worker.backends.torch import TorchBackend
    from nbbench.worker.case import Case

    found = find_model(str(folder))
    case = Case(
        "pytorch", "folder", found.config, found.source, batch_size, length, device="cpu",
        source=found.path, threads=threads,
    )  # fmt: skip
    backend = TorchBackend()
    backend.load()
    return backend.build(case, backend.open(case)).prepare()[0]


def encoding_calls(model: Any, batch_size: int, length: int) -> dict[str, Callable[[], Any]]:
    """``encode`` of as many texts of that length, and the same without the tokenizer."""
    draw = random.Random(0)
    words = VOCABULARY[len(TOKENS) :]
    texts = [" ".join(draw.choices(words, k=length - 2)) for _ in range(batch_size)]
    name = "preprocess" if hasattr(model, "preprocess") else "tokenize"
    features = getattr(model, name)(texts)
    assert tuple(features["input_ids"].shape) == (batch_size, length)

    def encode() -> Any:
        return model.encode(
            texts, batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
        )

    def tokenised() -> Any:
        setattr(model, name, lambda *_, **__: dict(features))
        try:
            return encode()
        finally:
            delattr(model, name)

    return {"encode": encode, "tokenised": tokenised}


def timed_in_turn(calls: dict[str, Callable[[], Any]], turns: int) -> dict[str, list[Timed]]:
    """Seconds of each call by the clock and by the processor, each first in as many turns."""
    for call in calls.values():
        call()
    times: dict[str, list[Timed]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(turns):
        order.append(order.pop(0))
        for name in order:
            began = time.perf_counter(), time.process_time()
            calls[name]()
            times[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return times


def main() -> None:
    """Compare each batch, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        make_folder(Path(folder))
        model = SentenceTransformer(folder, device="cpu")
        print("batch  length  nbbench ms  encode ms  tokenised ms  nbbench by encode, tokenised")
        for batch_size, length in BATCHES:
            ours = nbbench_call(Path(folder), batch_size, length, given.threads)
            calls = {"nbbench": ours, **encoding_calls(model, batch_size, length)}
            times = timed_in_turn(calls, given.turns)
            print(f"{batch_size:5}  {length:6}  {line(times)}", flush=True)


def line(times: dict[str, list[Timed]]) -> str:
    """The medians of the times, and nbbench's by each of the others, in either time."""
    medians = [1000 * statistics.median(clock for clock, _ in each) for each in times.values()]
    found = []
    for at, kind in enumerate(("clock", "processor")):
        ratios = [
            statistics.median(
                ours[at] / other[at]
                for ours, other in zip(times["nbbench"], times[name], strict=True)
            )
            for name in ("encode", "tokenised")
        ]
        found.append(f"{kind} {ratios[0]:.3f}, {ratios[1]:.3f}")
    return "  ".join(f"{each:10.1f}" for each in medians) + "   " + "; ".join(found)


if __name__ == "__main__":
    main()
