"""What a sweep of many cases costs beside its measuring: time, and the memory of this process.

    python docs/long_sweep.py [-n 10000]

Measures cases of the probe backend, which do nothing: once saving each as it ends, once keeping
each in a history, and once with ``resume``. Shows and compares the reports. Prints, for each step,
its seconds, the time of this process's by case, and by how much it has grown.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from fault_table import probe_site

import nbbench
from nbbench.worker.case import Status


def arguments(count: int) -> dict[str, Any]:
    """A sweep of so many cases, a hundred or fewer for each model."""
    lengths = min(count, 100)
    models = -(-count // lengths)
    return {
        "models": [f"m{number}" for number in range(models)],
        "configs": [{"model_type": "probe", "number": number} for number in range(models)],
        "frameworks": ["probe"], "batch_sizes": [1],
        "sequence_lengths": [1 + number for number in range(lengths)],
        "rounds": 1, "max_time": 0.01, "memory": False, "progress": False,
    }  # fmt: skip


def grown(step: Callable[[], Any], name: str, count: int) -> Any:
    """What a step returns; prints what it has cost."""
    process = psutil.Process()
    before, begin, spent = process.memory_info().rss, time.perf_counter(), time.process_time()
    found = step()
    seconds, spent = time.perf_counter() - begin, time.process_time() - spent
    growth = (process.memory_info().rss - before) / 2**20
    print(
        f"{name:34}{seconds:8.1f} s  {1e3 * spent / count:6.2f} ms of this process a case  "
        f"{growth:+7.1f} MiB",
        flush=True,
    )
    return found


def main() -> None:
    """Run the sweep as often as it takes, and print what each step has cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=10_000, help="cases")
    count = parser.parse_args().n
    given = arguments(count)
    with probe_site(), tempfile.TemporaryDirectory() as folder:
        os.environ["NBBENCH_HISTORY"] = str(Path(folder) / "history.sqlite")
        nbbench.run(**arguments(100), history=False)  # what is imported once
        repr(nbbench.latest())
        file = Path(folder) / "report.json"

        def run(**more: Any) -> nbbench.Report:
            begin = time.perf_counter()
            report = nbbench.run(**given, **more)
            whole = time.perf_counter() - begin
            workers = sum(result.outcome.wall_s for result in report.results)
            assert {result.outcome.status for result in report.results} == {Status.OK}
            if not more.get("resume"):
                own = 1e3 * (whole - workers) / count
                print(f"{1e3 * whole / count:.1f} ms a case, of which {own:.2f} beside workers")
            return report

        first = grown(lambda: run(history=False, save=file), "measured and saved", count)
        grown(run, "measured, with history", count)
        second = grown(lambda: run(resume=True), "resumed, all known", count)
        grown(lambda: repr(first), "shown as text", count)
        grown(lambda: first._repr_html_(), "shown in a notebook", count)
        grown(lambda: (first.speed, first.memory), "frames", count)
        grown(lambda: first.compare(second), "compared", count)
        grown(lambda: repr(first.compare(second)), "compared and shown", count)
        grown(lambda: nbbench.Report.load(file), "loaded", count)
        grown(lambda: first.to_html(Path(folder) / "page.html"), "written as a page", count)


if __name__ == "__main__":
    main()
