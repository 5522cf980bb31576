"""How steady the numbers are on this machine: the figures of docs/measuring.md.

    python docs/steadiness.py runs [--count 12] [--minutes 15]   do runs agree, and across runs
    python docs/steadiness.py verdicts [--count 100]             a case against itself and against
                                                                 one 5 % slower, in one run
    python docs/steadiness.py gate [--count 20]                  nbbench compare on no change

Each prints what it counted. Three sizes of BERT, as many times each.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbbench
from nbbench.cli.compare import judge

SIZES = {
    "tiny": ({"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}, 1, 8),
    "small": ({"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}, 4, 32),
    "mid": ({"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8}, 8, 64),
}

SLOWED = '''
import time

from nbbench.worker.backends.torch import TorchBackend


class SlowedBackend(TorchBackend):
    """PyTorch, whose calls last longer by the configuration's ``slowdown``."""

    def build(self, case, device):
        model = super().build(case, device)
        prepare, slowdown = model.prepare, case.config.get("slowdown", 0.0)

        def slowed_prepare():
            call, tokens = prepare()

            def slowed():
                begin = time.perf_counter()
                call()
                end = time.perf_counter()
                end += slowdown * (end - begin)
                while time.perf_counter() < end:
                    pass

            return slowed, tokens

        model.prepare = slowed_prepare
        return model
'''


def register(folder: Path) -> None:
    """Register the slowed backend by an entry point, as any package would."""
    (folder / "slowed_backend.py").write_text(SLOWED)
    metadata = folder / "slowed_backend-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: slowed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[nbbench.backends]\nslowed = slowed_backend:SlowedBackend\n"
    )
    sys.path.insert(0, str(folder))


def measure(size: str, slowdowns: list[float], **more: object) -> nbbench.Report:
    """A run of one size, with a case for each slowdown, named a, b and so on."""
    config, batch, length = SIZES[size]
    base = {"model_type": "bert", "vocab_size": 1000, **config}
    base["intermediate_size"] = 4 * base["hidden_size"]
    return nbbench.run(
        *("abcdef"[: len(slowdowns)]),
        configs=[{**base, "slowdown": slowdown} for slowdown in slowdowns],
        frameworks=["slowed"],
        batch_sizes=[batch],
        sequence_lengths=[length],
        memory=False,
        progress=False,
        **more,
    )


def compared(size: str) -> tuple[str, str, float]:
    """The verdicts on the same case and on one 5 % slower, and the seconds a comparison took."""
    begin = time.monotonic()
    report = measure(size, [0.0, 0.0, 0.05], baseline="a")
    same, slower = report.compare().frame.verdict
    return same, slower, (time.monotonic() - begin) / 2


def count_verdicts(count: int) -> None:
    """Verdicts of as many comparisons of each kind, the sizes in turn."""
    found: dict[str, list[tuple[str, str, float]]] = {size: [] for size in SIZES}
    for number in range(count):
        size = list(SIZES)[number % len(SIZES)]
        found[size].append(compared(size))
        print(size, *found[size][-1], file=sys.stderr, flush=True)
    for size, each in found.items():
        same, slower = (dict(Counter(one[kind] for one in each)) for kind in (0, 1))
        seconds = statistics.median(one[2] for one in each)
        print(f"{size}: the same {same}; 5 % slower {slower}; {seconds:.1f} s a comparison")


def runs(count: int, minutes: float) -> None:
    """Runs spread over time: whether their intervals meet, and what comparisons across them say."""
    pause = minutes * 60 / max(count - 1, 1)
    reports: dict[str, list[nbbench.Report]] = {size: [] for size in SIZES}
    for number in range(count):
        begin = time.monotonic()
        for size in SIZES:
            reports[size].append(measure(size, [0.0, 0.05]))
        if number < count - 1:
            time.sleep(max(0.0, pause - (time.monotonic() - begin)))
    for size, found in reports.items():
        rows = [report.speed.iloc[0] for report in found]
        pairs = list(itertools.combinations(rows, 2))
        apart = sum(a.ci_low_s > b.ci_high_s or b.ci_low_s > a.ci_high_s for a, b in pairs)
        halves = [(r.ci_high_s - r.ci_low_s) / 2 / r.median_s for r in rows]
        raw = [statistics.median(report.results[0].outcome.timing.samples) for report in found]
        print(
            f"{size}: median {statistics.median(r.median_s for r in rows) * 1e3:.3f} ms; from run "
            f"to run {spread([r.median_s for r in rows]):.1%} ({spread(raw):.1%} in raw medians); "
            f"half width {statistics.median(halves):.1%}; {apart} of {len(pairs)} pairs do not "
            f"meet; visits {statistics.median(r.visits for r in rows)}, "
            f"{statistics.median(r.wall_s for r in rows):.1f} s"
        )
        across = [
            (new.compare(old), slower_than(old, new))
            for old, new in itertools.combinations(found, 2)
        ]
        called = [c.frame.verdict[0] for c, _ in across]
        different = sum(verdict in ("faster", "slower") for verdict in called)
        slower = [verdict for _, verdict in across]
        print(
            f"  across runs: {different} of {len(called)} pairs of the same case called different; "
            f"5 % slower found in {slower.count('slower')} of {len(slower)}, the other way in "
            f"{slower.count('faster')}",
            flush=True,
        )


def slower_than(old: nbbench.Report, new: nbbench.Report) -> str:
    """The verdict on the slowed case of the new run against the plain one of the old."""
    from nbbench.report.differences import compare_results

    return compare_results(new.results[1], old.results[0], paired=False).verdict.value


def spread(values: list[float]) -> float:
    """The standard deviation as a part of the mean."""
    return statistics.stdev(values) / statistics.fmean(values)


def gate(count: int) -> None:
    """The gate on no change at all."""
    codes = []
    for number in range(count):
        old, new = (measure(list(SIZES)[number % 3], [0.0]) for _ in range(2))
        codes.append(judge(new.compare(old), 0.05, 0.05, fail_unsure=True)[0])
    print({code: codes.count(code) for code in sorted(set(codes))})


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["runs", "verdicts", "gate"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--minutes", type=float, default=15.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        register(Path(folder))
        if given.what == "runs":
            runs(given.count or 12, given.minutes)
        elif given.what == "gate":
            gate(given.count or 20)
        else:
            count_verdicts(given.count or 100)
        nbbench.close_workers()


if __name__ == "__main__":
    main()
