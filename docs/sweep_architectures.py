"""Run a tiny model of every type that Transformers has, and count what comes of them.

    python docs/sweep_architectures.py --page --environments PYTHON [PYTHON ...] [--cache FOLDER]
    python docs/sweep_architectures.py --results FILE [--environment PYTHON] [--only TYPE ...]

The configurations are made by rule from the defaults of each configuration class: fewer layers,
heads and experts, the widths divided alike. Each runs through nbbench in both modes. What ends in
an error is tried without nbbench too (without_nbbench.py). Results go to a file, one JSON object a
line, and a sweep that was cut off goes on where it was.

The first form sweeps each environment and writes architectures.md beside this file; it keeps the
results in the cache, one file for each version of Transformers, and with --again runs once more
what is in there and was not ok. The second form sweeps one environment into a file of your own.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("architectures.md")
ALONE = Path(__file__).with_name("without_nbbench.py")
CACHE = Path(tempfile.gettempdir()) / "nbbench-architectures"

BATCH, LENGTH = 2, 16
ONE_SAMPLE = ("jev", "tvp")
"""Types whose models Transformers itself runs with one sample alone, in each version."""

MODES, AT_ONCE = ("inference", "training"), 100


def every(step: int) -> list[str]:
    """A share of the types of the installed Transformers: each that is so many after another."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return sorted(CONFIG_MAPPING)[::step]


def configs_of(python: str, only: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The tiny configurations of an environment's Transformers, made there; and its version."""
    made = subprocess.run(
        [python, __file__, "--list", *only], stdout=subprocess.PIPE, check=True, text=True
    )
    return dict(json.loads(line) for line in made.stdout.splitlines() if line.startswith('["'))


def swept(python: str, only: Iterable[str], results: Path, modes: Iterable[str] = MODES) -> None:
    """Run what is not in the file of results yet, in both modes, and add it there."""
    write(results, [row for row in read(results) if row["status"] != NOT_RUN])
    done = {(each["type"], each["mode"]) for each in read(results)}
    configs = configs_of(python, only)
    rest = [t for t in configs if (t, "inference") not in done or (t, "training") not in done]
    print(f"{len(configs)} types, {len(rest)} of them to run", file=sys.stderr)
    with results.open("a", encoding="utf-8") as file:

        def note(model_type: str, mode: str, **values: Any) -> None:
            file.write(json.dumps({"type": model_type, "mode": mode, **values}) + "\n")
            file.flush()

        for mode in modes:
            left = [t for t in configs if (t, mode) not in done]
            for model_type in [t for t in left if "error" in configs[t]]:
                reason = configs[model_type]["error"]
                note(model_type, mode, status="error", phase="building", reason=reason)
            left = [t for t in left if "error" not in configs[t]]
            for begin in range(0, len(left), AT_ONCE):
                wanted = {name: configs[name] for name in left[begin : begin + AT_ONCE]}
                longer: dict[int, list[str]] = {}

                def noted(result: Any) -> None:
                    name, mode = result.case.model, result.case.mode
                    short = _TOO_SHORT.search(result.outcome.reason)
                    if short and result.case.sequence_length == LENGTH:
                        longer.setdefault(_length(*short.groups()), []).append(name)  # noqa: B023
                    else:
                        note(name, mode, **_noted(result))

                _run(wanted, python, mode, LENGTH, noted)
                for length, names in longer.items():
                    _run({name: configs[name] for name in names}, python, mode, length, noted)
    tried_alone(python, results, configs)


def _length(least: str | None, most: str | None) -> int:
    """A length that is long enough, the same for many models; or as long as may be."""
    return int(most) if most else 2 ** math.ceil(math.log2(int(least or 1)))


_TOO_SHORT = re.compile(r"are (\d+); raise sequence_lengths|\((\d+)\); lower sequence_lengths")
"""What nbbench answers where one image or sound takes more positions than the length has, or where
the length is more than the model takes."""


def _run(
    configs: Mapping[str, dict[str, Any]],
    python: str,
    mode: str,
    length: int,
    on_result: Callable[[Any], None],
) -> None:
    """Run a case of each configuration."""
    import nbbench

    for batch in (BATCH, 1):
        names = [name for name in configs if (name in ONE_SAMPLE) == (batch == 1)]
        if names:
            nbbench.run(
                *names,
                on_result=on_result,
                configs=[configs[name] for name in names],
                environments=[python],
                inference=mode == "inference",
                training=mode == "training",
                batch_sizes=[batch],
                sequence_lengths=[length],
                **QUICK,
            )


def _noted(result: Any) -> dict[str, Any]:
    outcome = result.outcome
    return {
        "status": outcome.status.value,
        "reason": outcome.reason.partition("\n")[0],
        "phase": outcome.phase and outcome.phase.value,
        "architecture": outcome.architecture,
        "length": result.case.sequence_length,
        "seconds": round(outcome.wall_s, 2),
    }


def tried_alone(python: str, results: Path, configs: Mapping[str, dict[str, Any]]) -> None:
    """Try each error without nbbench, and add to the results how far that comes."""
    rows = read(results)
    left = [row for row in rows if row["status"] not in _NO_FAULT and "alone" not in row]
    left = [row for row in left if row["type"] in configs]
    while left:
        asked = [
            [row["type"], row["mode"], 1 if row["type"] in ONE_SAMPLE else BATCH, row.get("length"),
             configs[row["type"]]]
            for row in left
        ]  # fmt: skip
        done = subprocess.run(
            [python, str(ALONE)],
            input="".join(json.dumps(each) + "\n" for each in asked),
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if len(answers) < len(left):  # the next one ended the process
            answers.append({"alone": "calling"})
        for row, answer in zip(left, answers, strict=False):
            row |= answer
        left = left[len(answers) :]
    write(results, rows)


_NO_FAULT = ("ok", "unsupported")


QUICK: dict[str, Any] = {
    "max_time": 0.05,
    "wait": False,  # times are not what is asked for: some calls for the memory will do
    "rounds": 1,
    "speed": False,
    "threads": 1,
    "device": "cpu",
    "timeout": 30.0,
    "progress": False,
}


def read(file: Path) -> list[dict[str, Any]]:
    """The results in a file; empty where there is none yet."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def write(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Have a file hold just these results."""
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def swept_into(
    cache: Path, pythons: Iterable[str], only: Iterable[str], again: bool
) -> dict[str, Path]:
    """Sweep environments; the file of each one's results, by its version of Transformers."""
    cache.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for python in pythons:
        code = "import transformers; print(transformers.__version__)"
        asked = [python, "-c", code]
        version = subprocess.run(
            asked, stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
        files[version] = cache / f"{version}.jsonl"
        if again:
            kept = ("ok", NO_MODEL)
            write(files[version], [row for row in read(files[version]) if verdict(row) in kept])
        swept(python, only, files[version])
    return files


def page(files: Mapping[str, Path]) -> str:
    """The page of results, each file of which is of a version of Transformers."""
    heads = ["transformers", "mode", "types", *_VERDICTS, "ok of those with a model"]
    lines = [_HEAD, f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for version, file in files.items():
        for mode in MODES:
            count = collections.Counter(map(verdict, _of_mode(file, mode)))
            total = len({row["type"] for row in read(file)})
            count[NOT_RUN] += total - sum(count.values())
            cells = [str(count[verdict]) for verdict in _VERDICTS]
            share = count["ok"] / max(total - count[NO_MODEL] - count[NOT_RUN], 1)
            lines.append(f"| {version} | {mode} | {total} | {' | '.join(cells)} | {share:.1%} |")
    for version, file in files.items():
        for mode in MODES:
            lines += ["", f"## transformers {version}, {mode}: what is not ok", ""]
            rows = [row for row in _of_mode(file, mode) if verdict(row) != "ok"]
            missing = sorted(row["type"] for row in rows if verdict(row) == NO_MODEL)
            lines += [f"{NO_MODEL.capitalize()}: {', '.join(missing) or 'none'}.", ""]
            lines += ["| type | verdict | without nbbench | reason |", "| --- | --- | --- | --- |"]
            for row in rows:
                if verdict(row) not in (NO_MODEL, NOT_RUN):
                    reason = row["reason"].replace("|", "\\|").replace("<", "\\<")[:200]
                    without = _WITHOUT[row.get("alone")]
                    lines.append(f"| {row['type']} | {verdict(row)} | {without} | {reason} |")
    return "\n".join(lines) + "\n"


NO_MODEL, NOT_RUN = "no model", "not run"
_VERDICTS = ("ok", NO_MODEL, "unsupported", "error of its own", "error", NOT_RUN)

_HEAD = """# Every model type of Transformers

A tiny model of each type that Transformers has (`CONFIG_MAPPING`), run by nbbench on a CPU in both
modes: made by `python docs/sweep_architectures.py --page`, from the defaults of each configuration
class, with fewer layers, heads and experts; with two samples, or one where a model takes no more. A
type has no model where Transformers has no class for it alone, as for parts of larger models; in
training, where it has no class that can be trained: none with a loss, or one that refuses to be
trained. An error is Transformers' own where it cannot build the model from that configuration
without nbbench either. The column *without nbbench* has what comes of an error's case when
Transformers alone builds the same class in the same mode and calls it with the same inputs and
labels. A case that took more than 30 s, on a machine that had other work to do, counts as an error,
too. The environments had what some types want: torchvision, torchaudio, timm, Pillow and scipy.
"""

_WITHOUT = {None: "", "building": "cannot be built", "calling": "the call fails", "": "runs"}

_NO_CLASS = re.compile(
    r" has no (PyTorch model|loss to train it by)"
    r"| cannot be trained like this: .*"
    r"\bnot (\w+ )?(implemented|support|supported|trainable)\b"
)


def _of_mode(file: Path, mode: str) -> list[dict[str, Any]]:
    return sorted((row for row in read(file) if row["mode"] == mode), key=lambda row: row["type"])


def verdict(row: Mapping[str, Any]) -> str:
    """What a row counts as."""
    if row["status"] == "unsupported" and _NO_CLASS.search(row["reason"]):
        return NO_MODEL
    if row["status"] in (*_NO_FAULT, NOT_RUN):
        return str(row["status"])
    both = row.get("alone") == "building" and row["phase"] == "building"
    return "error of its own" if both else "error"


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--only", nargs="+", default=[], metavar="TYPE")
    parser.add_argument("--results", type=Path, metavar="FILE")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--environments", nargs="+", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="FOLDER")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE")
    parser.add_argument("--list", nargs="*", metavar="TYPE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.list is not None:
        from tiny_configs import tiny_configs  # the file beside this one

        for pair in tiny_configs(given.list):
            print(json.dumps(pair))
    elif given.page:
        files = swept_into(given.cache, given.environments, given.only, given.again)
        given.output.write_text(page(files), encoding="utf-8")
    elif given.results:
        swept(given.environment, given.only, given.results)
    else:
        parser.error("give --page for the page, or --results FILE for one environment's results")


if __name__ == "__main__":
    main()
