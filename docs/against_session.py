"""Other runtimes by nbbench, and by a plain loop over the same session, in turn in one process.

    python docs/against_session.py [--turns 200] [--threads 1]

Needs the extra runtimes. For each runtime and some sizes of BERT the script prints nbbench's call
(Transformers' runner, with tensors of PyTorch in and out) by the bare session's (arrays of NumPy in
and out), as the median of the ratios of neighbours in time, and both medians.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

BACKENDS = {"onnxruntime": "OnnxRuntimeBackend", "openvino": "OpenVinoBackend"}
SIZES = {"tiny": (64, 2), "small": (256, 4), "mid": (512, 6)}
BATCH, LENGTH = 4, 64


def calls_of(runtime: str, size: str, threads: int) -> dict[str, Callable[[], Any]]:
    """The call that nbbench measures, and the session's own."""
    from nbbench.worker.case import Case

    width, layers = SIZES[size]
    config = {
        "model_type": "bert", "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": 4, "intermediate_size": 4 * width, "vocab_size": 1000,
    }  # fmt: skip
    case = Case(runtime, size, config, "given", BATCH, LENGTH, device="cpu", threads=threads)
    module = importlib.import_module(f"nbbench.worker.backends.{runtime}")
    backend = getattr(module, BACKENDS[runtime])()
    backend.load()
    model = backend.build(case, backend.open(case))
    call, _ = model.prepare()
    (runner,) = model._runner.runners.values()
    arrays = {name: tensor.numpy() for name, tensor in model._inputs.items()}
    if runtime == "onnxruntime":
        session = runner.session
        feeds = {each.name: arrays[each.name] for each in session.get_inputs()}
        return {"nbbench": call, "plain": lambda: session.run(None, feeds)}
    feeds = {
        port.get_any_name(): arrays[port.get_any_name()] for port in runner.compiled_model.inputs
    }
    return {"nbbench": call, "plain": lambda: runner.request.infer(feeds)}


def compared(calls: dict[str, Callable[[], Any]], turns: int) -> tuple[float, float, float]:
    """The median ratio, and both medians in seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(turns):
        order.reverse()
        for name in order:
            begin = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - begin)
    pairs = zip(times["nbbench"], times["plain"], strict=True)
    ratio = statistics.median(ours / plain for ours, plain in pairs)
    return ratio, statistics.median(times["nbbench"]), statistics.median(times["plain"])


def main() -> None:
    """Compare each size in each runtime, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    print("runtime      size   nbbench ms  plain ms   ratio")
    for runtime in BACKENDS:
        for size in SIZES:
            ratio, ours, plain = compared(calls_of(runtime, size, given.threads), given.turns)
            print(f"{runtime:12} {size:6} {1e3 * ours:10.3f} {1e3 * plain:9.3f} {ratio:7.3f}")


if __name__ == "__main__":
    main()
