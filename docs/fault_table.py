"""What comes of every fault in every phase of a case, with every way to run cases.

    python docs/fault_table.py [--executors fork process none ray] [--page]

Runs sweeps of the probe backend in which one case meets a fault and others do not, and checks that
the case ends with the right status and the phase in which it happened, that the others are ok, that
it takes no longer than its timeout and a little, and that no process is left. Prints a table; exits
1 where one is not as expected. ``--page`` writes docs/faults.md. With ray, which takes part where
it is installed, two nodes of a cluster are started on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

import nbbench
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.execution.job import Job
from nbbench.execution.measure import predict_cases
from nbbench.plan.plan import Plan
from nbbench.plan.result import Result
from nbbench.worker.case import Status

ROOT = Path(__file__).resolve().parent.parent
EXECUTORS = ("fork", "process", "none", "ray")
FAULTS = (
    "exception", "MemoryError", "leak", "NotImplementedError", "unsupported", "sys.exit",
    "KeyboardInterrupt", "exit code 3", "segfault", "abort", "SIGKILL", "nonsense", "hang",
    "SIGSTOP", "cancel",
)  # fmt: skip
IN_PYTHON = (*FAULTS[:7], "hang", "cancel")
"""What a process survives that measures in itself."""
PHASES = (
    "starting", "importing", "building", "warming", "measuring", "memory", "tracing",
    "predicting", "predicting alone", "a later visit",
)  # fmt: skip
WITHIN = {"predicting alone": "predicting", "a later visit": "measuring"}
"""What a phase is called in a report, where that is something else."""

STATUS = {
    **dict.fromkeys(("exception", "NotImplementedError", "sys.exit", "KeyboardInterrupt"), "error"),
    **dict.fromkeys(("MemoryError", "leak"), "oom"),
    **dict.fromkeys(("exit code 3", "segfault", "abort", "SIGKILL", "nonsense"), "crashed"),
    **dict.fromkeys(("hang", "SIGSTOP"), "timeout"),
    "unsupported": "unsupported",
    "cancel": "cancelled",
}  # fmt: skip

TIMEOUT_S = 4.0
MAX_SECONDS = TIMEOUT_S + 30
"""The most that a case may take, on a busy machine too."""
LEFT_S = 20.0
MARK = "NBBENCH_FAULT_TABLE"


@dataclass(frozen=True)
class Combination:
    """A fault in a phase, with a way to run cases."""

    fault: str
    phase: str
    executor: str

    @property
    def expected(self) -> str:
        """The status that it shall end with."""
        is_cancelled_later = self.fault == "cancel" and self.phase == "a later visit"
        if self.phase == "predicting" or is_cancelled_later:  # what was measured before stays
            return "ok"
        if self.phase == "predicting alone" and STATUS[self.fault] == "error":
            return "unsupported"
        return STATUS[self.fault]


@dataclass
class Row:
    """What came of a combination; ``wrong`` is empty where that is as expected."""

    combination: Combination
    status: str
    reason: str
    seconds: float
    wrong: str


def combinations(executors: Sequence[str]) -> list[Combination]:
    """All that make sense."""
    return [
        Combination(fault, phase, executor)
        for executor in executors
        for phase in PHASES
        for fault in (IN_PYTHON if executor == "none" else FAULTS)
        # a user's own process is visited once, and predictions are made on this machine alone
        if (executor, phase) not in (("none", "a later visit"), ("ray", "predicting alone"))
    ]


def rows_of(asked: Sequence[Combination], site: Path) -> Iterator[Row]:
    """Run combinations, as many in a sweep as can be; ``site`` has the probe backend."""
    together: dict[tuple[str, str], list[Combination]] = {}
    for each in asked:
        if each.phase == "starting" or each.fault == "cancel":
            yield from _run([each], site)
        else:
            kind = each.phase if each.phase in PHASES[6:] else "plain"
            together.setdefault((each.executor, kind), []).append(each)
    for several in together.values():
        yield from _run(several, site)


def _run(asked: list[Combination], site: Path) -> list[Row]:
    """One sweep, in which each combination is a case between others."""
    with tempfile.TemporaryDirectory() as folder:
        reached = Path(folder) / "reached"
        configs = _configs(asked, Path(folder), reached)
        given = _arguments(asked[0], configs)
        if asked[0].phase == "starting":
            fault = {"fault": asked[0].fault, "at": "starting", "reached": str(reached)}
            (site / "probe_backends" / "faulty.json").write_text(json.dumps(fault))
        begin = time.monotonic()
        results = _results(asked[0], given, reached)
        seconds = time.monotonic() - begin
    left = _left_after(asked[0].executor)
    if asked[0].phase == "starting":
        faulty = [result for result in results if result.case.framework == "faulty"]
    else:
        faulty = [result for result in results if "fault" in result.case.config]
    others = [result for result in results if result not in faulty]
    beside = _wrong_beside(asked[0], others, left)
    return [
        _row(each, result, beside, seconds if len(asked) == 1 else result.outcome.wall_s)
        for each, result in zip(asked, faulty, strict=True)
    ]


def _configs(asked: list[Combination], folder: Path, reached: Path) -> list[dict[str, Any]]:
    """Configurations: a whole one, and behind each that meets its fault another whole one."""
    configs: list[dict[str, Any]] = [{}]
    if asked[0].phase == "starting":
        return [{"model_type": "probe", "poll": True}]
    for each in asked:
        config = {"call": "fault", "fault": each.fault, "at": each.phase}
        if each.phase == "a later visit":
            config["visit_log"] = str(folder / f"visits-{len(configs)}")
        if each.fault == "cancel":
            config["reached"] = str(reached)
        configs += [config, {}]
    if asked[0].phase == "predicting alone":
        configs = [config or {"at": "predicting alone"} for config in configs]
    return [
        {"model_type": "probe", "poll": True, "number": number, **config}
        for number, config in enumerate(configs)
    ]


def _arguments(first: Combination, configs: list[dict[str, Any]]) -> dict[str, Any]:
    """The arguments of one sweep."""
    frameworks = ["probe", "faulty"] if first.phase == "starting" else ["probe"]
    away = first.executor == "ray"
    given: dict[str, Any] = {
        "models": [f"m{number}" for number in range(len(configs))],
        "configs": configs, "frameworks": frameworks, "batch_sizes": [1], "sequence_lengths": [8],
        "rounds": 2 if first.phase == "a later visit" else 1, "max_time": 0.02,
        "timeout": TIMEOUT_S, "history": False, "wait": False,
        "executor": "ray" if away else "local", "isolation": "fork" if away else first.executor,
        "trace_memory_line_by_line": first.phase == "tracing",
        "predict": first.phase == "predicting",
    }  # fmt: skip
    return given


def _results(first: Combination, given: dict[str, Any], reached: Path) -> Sequence[Result]:
    """Run a sweep, which is cancelled where the fault is that; what came of each case."""
    if first.phase == "predicting alone":
        plan = Plan.of(BenchmarkArguments(**given))
        job = Job(plan, partial(predict_cases, plan))
    else:
        job = nbbench.submit(**given)
    known = WITHIN.get(first.phase, first.phase).replace("starting", "importing faulty")
    reached_at = 0.0
    while not job.wait(0.02):
        if first.fault == "cancel" and reached.exists():
            # the phase is cancelled that this process knows of, which is a moment behind; on a
            # cluster the latest event may be another case's, and that of this one yet to come
            reached_at = reached_at or time.monotonic()
            passed = time.monotonic() - reached_at
            is_known = known in job.progress.phase and (first.executor != "ray" or passed > 1)
            if is_known or passed > 2.5:
                job.cancel()
    return job.report().results


def _wrong_beside(first: Combination, others: Iterable[Result], left: list[str]) -> str:
    """What is wrong beside the case that met its fault."""
    allowed = ["ok", "skipped"] if first.fault == "cancel" else ["ok"]
    if first.fault == "cancel" and first.executor == "ray":
        allowed.append("cancelled")  # it may run on another node
    wrong = [r for r in others if r.outcome.status.value not in allowed]
    found = [f"{r.case.model} is {r.outcome.status.value}: {r.outcome.reason}" for r in wrong[:3]]
    return "; ".join(found + [f"left: {process}" for process in left])


def _row(asked: Combination, result: Result, beside: str, seconds: float) -> Row:
    outcome, wrong = result.outcome, [beside] if beside else []
    phase = WITHIN.get(asked.phase, asked.phase)
    if outcome.status.value != asked.expected:
        wrong.append(f"{outcome.status.value}, not {asked.expected}")
    named = phase in outcome.reason or (outcome.phase is not None and outcome.phase.value == phase)
    if outcome.status is not Status.OK and not named:
        wrong.append(f"names no phase {phase}")
    if seconds > MAX_SECONDS:
        wrong.append(f"took {seconds:.0f} s")
    return Row(asked, outcome.status.value, outcome.reason, seconds, "; ".join(wrong))


def _left_after(executor: str) -> list[str]:
    """The processes of workers that are left, after a while in which they end."""
    if executor != "ray":  # there they end when they have had nothing to do for a moment
        nbbench.close_workers()
    deadline = time.monotonic() + LEFT_S
    while (left := _workers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def _workers() -> list[str]:
    """Processes of workers that this one has started, itself or by a cluster."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.info["cmdline"] or [])
            if "nbbench.worker" not in line or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) == os.environ.get(MARK):
                found.append(f"process {process.pid}")
    return found


@contextlib.contextmanager
def probe_site() -> Iterator[Path]:
    """A folder in which the probe backend is installed, which this process and workers know."""
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder)
        package, info = site / "probe_backends", site / "probe_backends-1.dist-info"
        package.mkdir()
        info.mkdir()
        (package / "__init__.py").touch()
        source = (ROOT / "tests" / "probe_backends" / "probe.py").read_text()
        (package / "probe.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-backends\nVersion: 1\n")
        (info / "entry_points.txt").write_text(
            "[nbbench.backends]\nprobe = probe_backends.probe:ProbeBackend\n"
            "faulty = probe_backends.probe:FaultyBackend\n"
        )
        sys.path.insert(0, str(site))
        yield site
        sys.path.remove(str(site))


@contextlib.contextmanager
def ray_cluster(site: Path, nodes: int = 2) -> Iterator[None]:
    """A cluster of nodes on this machine that know the probe backend."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), str(ROOT)])
    ray = importlib.import_module("ray")
    made = importlib.import_module("ray.cluster_utils").Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0}
    )
    for _ in range(nodes):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()
        made.shutdown()


def page_of(rows: Sequence[Row]) -> str:
    """The page of the documentation: a table for each executor."""
    lines = [
        "# What comes of a fault",
        "",
        "Whatever happens to a case, in whichever phase, costs that case alone: the others of the",
        "run are measured, its row says what happened and when, and no process is left. This page",
        "is made by `python docs/fault_table.py --page`, which runs every combination and checks",
        f"it: {len(rows)} combinations, {sum(not row.wrong for row in rows)} as expected. A phase",
        f"may take {TIMEOUT_S:g} s (`timeout`); the slowest case took",
        f"{max(row.seconds for row in rows):.1f} s.",
        "",
        "A case that was measured stays `ok` whatever becomes of its prediction (`predicting`);",
        "`predicting alone` is `nbbench.predict()`. A later visit meets its fault while measuring.",
        "With isolation `none` a case runs in the notebook's own process, which a crash would end.",
    ]  # fmt: skip
    for executor in EXECUTORS:
        found = {
            (row.combination.fault, row.combination.phase): row
            for row in rows
            if row.combination.executor == executor
        }
        if found:
            phases = [phase for phase in PHASES if any(p == phase for _, p in found)]
            title = "executor ray" if executor == "ray" else f"isolation {executor}"
            lines += ["", f"## {title}", "", f"| fault | {' | '.join(phases)} |"]
            lines.append("| --- " * (len(phases) + 1) + "|")
            for fault in dict.fromkeys(fault for fault, _ in found):
                cells = [_cell(found.get((fault, phase))) for phase in phases]
                lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"**{row.status}** ({row.wrong})" if row.wrong else row.status


def main() -> int:
    """Run what is asked for, and print a line for each combination; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executors", nargs="+", choices=EXECUTORS, default=EXECUTORS)
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS)
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument("--page", action="store_true", help="write docs/faults.md")
    asked = parser.parse_args()
    os.environ[MARK], rows = uuid.uuid4().hex, []
    with probe_site() as site:
        for executor in asked.executors:
            if executor == "ray" and find_spec("ray") is None:
                print("executor ray is left out: Ray is not installed")
                continue
            around = ray_cluster(site) if executor == "ray" else contextlib.nullcontext()
            with around:
                chosen = [
                    each
                    for each in combinations([executor])
                    if each.fault in asked.faults and each.phase in asked.phases
                ]
                for row in rows_of(chosen, site):
                    rows.append(row)
                    _print(row)
    wrong = sum(bool(row.wrong) for row in rows)
    print(f"{len(rows)} combinations, {wrong} not as expected")
    if asked.page:
        (ROOT / "docs" / "faults.md").write_text(page_of(rows))
    return int(wrong > 0)


def _print(row: Row) -> None:
    asked = row.combination
    what = f"{asked.executor:8}{asked.phase:17}{asked.fault:20}{row.status:12}{row.seconds:6.1f} s"
    print(f"{what}  {'WRONG: ' + row.wrong if row.wrong else row.reason[:90]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
