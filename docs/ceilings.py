"""Whether ceilings repeat on this machine: measured again and again, in processes of their own.

    python docs/ceilings.py [--times 8] [--threads N] [--dtypes float32 bfloat16]

Printed are the ceilings, the reference kernel's shortest time meanwhile, and how far the largest of
each lies above the smallest: as they were, and by the reference, which follows the machine's speed.
"""

from __future__ import annotations

import argparse
import os
import tempfile

TINY = {
    "model_type": "bert", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 128, "vocab_size": 1000,
}  # fmt: skip


def main() -> None:
    """Repeat what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NBBENCH_CACHE"] = folder  # the user's own are left as they are
        for dtype in asked.dtypes:
            repeat(dtype, asked.times, asked.threads)


def repeat(dtype: str, times: int, threads: int | None) -> None:
    """Measure the ceilings of one dtype so many times, and print how far they differ."""
    import nbbench
    from nbbench.machine.kept_ceilings import forget_ceilings

    found = []
    for _ in range(times):
        forget_ceilings()
        report = nbbench.run(
            "tiny", configs=[TINY], batch_sizes=[1], sequence_lengths=[8], dtypes=[dtype],
            threads=threads, rounds=1, max_time=0.1, ceilings=True, progress=False,
        )  # fmt: skip
        each = report.results[0].outcome.ceilings
        if each is None:
            print(f"{dtype}: no ceilings")
            return
        found.append(each)
        print(
            f"{dtype}: {each.flops_per_s / 1e9:8.1f} GFLOP/s  {each.bytes_per_s / 2**30:6.1f} GiB/s"
            f"  {each.operation_s * 1e6:5.2f} µs an operation"
            f"  reference {(each.reference_s or 0) * 1e6:6.1f} µs",
            flush=True,
        )
    for name in ("flops_per_s", "bytes_per_s"):
        plain = [getattr(each, name) for each in found]
        by_reference = [getattr(each, name) * (each.reference_s or 1) for each in found]
        print(f"{dtype}: {name} within {spread(plain)}; by the reference {spread(by_reference)}")


def spread(values: list[float]) -> str:
    """How far the largest and the smallest are from the middle between them."""
    low, high = min(values), max(values)
    return f"±{100 * (high - low) / (high + low):.1f} %"


if __name__ == "__main__":
    main()
