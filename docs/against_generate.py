"""Generation by nbbench, by a loop written by hand, and by ``generate``, in turn in one process.

    python docs/against_generate.py [--turns 15] [--threads 1] [--cache dynamic]

Needs the packages torch and transformers. For three sizes of Llama the script prints the time to
the first token and of each after it by nbbench's call, both by the hand-written loop's, and what
``generate`` takes for the whole by the hand-written loop. A ratio is the median of those of
neighbours in time. ``generate`` does more: it prepares its inputs anew for every token, has a list
of what changes the scores, and asks after each token whether every sequence has ended.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

SIZES = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
    "small": {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 8},
    "mid": {"hidden_size": 768, "num_hidden_layers": 8, "num_attention_heads": 12},
}
BATCH, PROMPT, NEW = 2, 64, 16
Times = tuple[float, float]
"""Seconds to the first token, and of each after it."""


def nbbench_model(size: str, cache: str, threads: int) -> Any:
    """The model of a case of nbbench's, prepared."""
    from nbbench.worker.backends.torch import TorchBackend
    from nbbench.worker.case import Case

    config = {"model_type": "llama", "vocab_size": 2000, **SIZES[size]}
    config["intermediate_size"] = 3 * config["hidden_size"]
    case = Case(
        "pytorch", size, config, "given", BATCH, PROMPT, mode="generation", new_tokens=NEW,
        cache=cache, device="cpu", threads=threads,
    )  # fmt: skip
    backend = TorchBackend()
    backend.load()
    model = backend.build(case, backend.open(case))
    model.prepare()
    return model


def by_nbbench(model: Any) -> Callable[[], Times]:
    """The call that nbbench measures."""

    def call() -> Times:
        model.generation()
        first, *others = model.generation.laps()[-1]
        return first, statistics.fmean(others)

    return call


def by_hand(model: Any, cache: str) -> Callable[[], Times]:
    """The same as one writes it who has read Transformers' documentation."""
    import torch
    from transformers import StaticCache

    inner, ids = model._model, model._inputs["input_ids"]

    @torch.inference_mode()
    def call() -> Times:
        begin = time.perf_counter()
        past = None
        if cache == "static":
            past = StaticCache(config=inner.config, max_cache_len=PROMPT + NEW)
        out = inner(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1:].argmax(-1)
        first = time.perf_counter()
        for _ in range(NEW - 1):
            out = inner(input_ids=token, past_key_values=out.past_key_values, use_cache=True)
            token = out.logits[:, -1:].argmax(-1)
        end = time.perf_counter()
        return first - begin, (end - first) / (NEW - 1)

    return call


def by_generate(model: Any, cache: str) -> Callable[[], float]:
    """Transformers' own method, greedily and to the same length: seconds for the whole."""
    import torch

    inner, ids = model._model, model._inputs["input_ids"]
    mask = torch.ones_like(ids)
    kind = {} if cache == "dynamic" else {"cache_implementation": cache}

    def call() -> float:
        begin = time.perf_counter()
        inner.generate(
            ids, attention_mask=mask, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False,
            pad_token_id=0, eos_token_id=None, disable_compile=True, **kind,
        )  # fmt: skip
        return time.perf_counter() - begin

    return call


def compared(size: str, given: argparse.Namespace) -> str:
    """A line on one size."""
    model = nbbench_model(size, given.cache, given.threads)
    ours, plain = by_nbbench(model), by_hand(model, given.cache)
    library = by_generate(model, given.cache)
    for call in (ours, plain, library):
        call()
    rows = []
    for turn in range(given.turns):
        calls = (ours, plain) if turn % 2 else (plain, ours)
        times = {call: call() for call in calls}
        whole = library()
        (first, each), (plain_first, plain_each) = times[ours], times[plain]
        plain_whole = plain_first + (NEW - 1) * plain_each
        rows.append((first, each, first / plain_first, each / plain_each, whole / plain_whole))
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    first, each, *ratios = medians
    return f"{size:6} {1e3 * first:8.2f} {1e3 * each:8.2f}" + "".join(f"{r:12.3f}" for r in ratios)


def main() -> None:
    """Compare each size, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", choices=["dynamic", "static"], default="dynamic")
    given = parser.parse_args()
    print("size    first ms  each ms first ratio  each ratio  generate ratio")
    for size in SIZES:
        print(compared(size, given), flush=True)


if __name__ == "__main__":
    main()
