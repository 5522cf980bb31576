"""How far models' times follow the reference kernel on this machine: coefficients by call length.

    python docs/drift.py [--runs 12] [--visits 4]

Each run visits BERTs of several sizes; printed are, for each case, the standard deviations of the
logarithms of its time and of its reference from run to run, the slope of one on the other, and
what of the time's deviation is left when it is taken out.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import defaultdict

import nbbench

SIZES = {"tiny": (64, 2, 2), "small": (256, 4, 4), "mid": (512, 6, 8), "base": (768, 12, 12)}


def measure(visits: int) -> dict[str, tuple[float, float]]:
    """The mean log time and the mean log reference of each case in one run."""
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    found = {}
    report = nbbench.run(
        *SIZES,
        configs=[
            {"model_type": "bert", "vocab_size": 1000, "intermediate_size": 4 * size[0]}
            | dict(zip(names, size, strict=True))
            for size in SIZES.values()
        ],
        batch_sizes=[1, 8],
        sequence_lengths=[8, 64],
        memory=False,
        rounds=visits,
        progress=False,
    )
    for result in report.results:
        timing = result.outcome.timing
        if timing is not None and all(visit.references for visit in timing.visits):
            found[str(result.case)] = (
                statistics.fmean(math.log(statistics.median(v.samples)) for v in timing.visits),
                statistics.fmean(math.log(statistics.median(v.references)) for v in timing.visits),
            )
    return found


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--visits", type=int, default=4)
    given = parser.parse_args()
    seen = defaultdict(list)
    for _ in range(given.runs):
        for case, pair in measure(given.visits).items():
            seen[case].append(pair)
    for case, pairs in seen.items():
        times, references = zip(*pairs, strict=True)
        slope, intercept = statistics.linear_regression(references, times)
        left = [t - slope * r - intercept for t, r in zip(times, references, strict=True)]
        print(
            f"{case}: {math.exp(statistics.fmean(times)) * 1e3:.2f} ms, coefficient {slope:.2f}; "
            f"from run to run ±{statistics.stdev(times):.1%}, reference "
            f"±{statistics.stdev(references):.1%}, left ±{statistics.stdev(left):.1%}"
        )
    nbbench.close_workers()


if __name__ == "__main__":
    main()
