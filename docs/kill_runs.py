"""What is left of a sweep that is killed or interrupted at any moment.

    python docs/kill_runs.py [-n 200]

Runs ``nbbench run --save --csv`` over 20 cases of the probe backend, sends a signal at a random
moment, and counts what was shown and is lost, rows that are there twice, files that cannot be read,
and processes that are left after a second. Prints a line for each signal.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil

import nbbench

ROOT = Path(__file__).resolve().parent.parent
CASES = 20
SHOWN = re.compile(r"^\d+ of 20 · (\./m\d+) .* · (\w+)$", re.MULTILINE)
TAG = "NBBENCH_KILL_RUNS"


def main() -> None:
    """Send each signal as often as asked, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=200, help="runs for each signal")
    parser.add_argument("--at-once", type=int, default=2, help="runs at the same time")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_models(Path(folder))
        whole = time.monotonic()
        run(Path(folder), None, 0)
        whole = time.monotonic() - whole
        for name in ("SIGKILL", "SIGINT"):
            moments = [random.Random(i).uniform(0, 1.1 * whole) for i in range(asked.n)]
            with ThreadPoolExecutor(asked.at_once) as pool:
                found = list(pool.map(lambda at: run(Path(folder), name, at), moments))  # noqa: B023
            total = sum(found, Counter())
            print(f"{name}: {asked.n} runs within {1.1 * whole:.1f} s: ", end="")
            print(", ".join(f"{count} {what}" for what, count in sorted(total.items())), flush=True)


def make_models(folder: Path) -> None:
    """The probe backend as an installed package, and a folder for each case."""
    site = folder / "site"
    (site / "probe_backends").mkdir(parents=True)
    (site / "probe_backends" / "__init__.py").touch()
    source = ROOT / "tests" / "probe_backends" / "probe.py"
    (site / "probe_backends" / "probe.py").write_text(source.read_text())
    info = site / "probe_backends-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-backends\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[nbbench.backends]\nprobe = probe_backends.probe:ProbeBackend\n"
    )
    for number in range(CASES):
        model = folder / f"m{number}"
        model.mkdir()
        (model / "config.json").write_text(
            '{"model_type": "probe", "call": "wait", "wait_s": 0.001}'
        )


def run(folder: Path, name: str | None, at: float) -> Counter[str]:
    """One sweep, with a signal ``at`` seconds after its start; what is wrong, counted."""
    tag, out = uuid.uuid4().hex, Path(tempfile.mkdtemp(dir=folder))
    saved, tables = out / "x.nbbench.json", out / "tables"
    process = subprocess.Popen(
        [sys.executable, "-m", "nbbench", "run", *(f"./m{i}" for i in range(CASES)), "-f", "probe",
         "-s", "8", "--max-time", "0.05", "--save", str(saved), "--csv", str(tables)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder / 'site'}", TAG: tag},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    time.sleep(at)
    if name is not None:
        process.send_signal(getattr(signal, name))
    output, log = process.communicate(timeout=120)
    time.sleep(1)
    found = Counter(["with all rows" if len(SHOWN.findall(log)) == CASES else "cut short"])
    found["processes left"] += len(left(tag))
    shown = {model for model, status in SHOWN.findall(log) if status == "ok"}
    found["rows shown"] += len(shown)
    for file, rows in (("JSON", rows_of_report(saved)), ("CSV", rows_of_csv(tables / "speed.csv"))):
        if rows is None:
            found[f"{file} files unreadable"] += 1
            continue
        found[f"{file} rows lost"] += len(shown - set(rows))
        found[f"{file} rows twice"] += len(rows) - len(set(rows))
    if name != "SIGKILL":
        early = "<frozen" in log  # Python itself was not up yet, and no line of nbbench had run
        found["signals before nbbench was loaded"] += early or process.returncode == -2
        found["tracebacks"] += "Traceback" in log and not early
        found[f"exit code {process.returncode}"] += 1
        if output and saved.exists():
            printed = str(nbbench.Report.load(saved)) in output
            found["JSON files that differ from what is printed"] += not printed
    else:
        found["tracebacks"] += "Traceback" in log
    return found


def rows_of_report(file: Path) -> list[str] | None:
    """The models of a saved report; None where it cannot be read."""
    try:
        return [r.case.model for r in nbbench.Report.load(file).results] if file.exists() else []
    except nbbench.OutputError:
        return None


def rows_of_csv(file: Path) -> list[str] | None:
    """The models of a CSV file; None where it cannot be read."""
    try:
        return list(pd.read_csv(file).model) if file.exists() else []
    except (ValueError, AttributeError):
        return None


def left(tag: str) -> list[psutil.Process]:
    """The processes of a run that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(TAG) == tag and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
