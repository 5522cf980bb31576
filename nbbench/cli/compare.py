"""``nbbench compare``: two saved reports beside each other, and a gate for CI."""

from __future__ import annotations

import math

from ..arguments.flags import FlagParser
from ..errors import ArgumentError
from ..report.comparison import Comparison
from ..report.report import Report
from ..report.verdict import Difference, Verdict
from ..text import quoted

_ABOUT = """\
Say what differs between two saved reports, case by case, with intervals and verdicts.

    nbbench run bert-tiny --save old.nbbench.json
    nbbench run bert-tiny --save new.nbbench.json
    nbbench compare old.nbbench.json new.nbbench.json --fail-slower 5%

With either of --fail-slower and --fail-larger a case that fails now, and did not, is a regression.

Exit code 0: no regression; 1: a case fails, or is slower or larger than is allowed; 2: bad usage;
3: it cannot be told (only with --fail-unsure), or no case stands in both reports."""

NO_REGRESSION, REGRESSION, UNSURE = 0, 1, 3


def command(argv: list[str]) -> int:
    """Compare, print, and judge."""
    parser = FlagParser("nbbench compare", _ABOUT)
    parser.add_argument("reports", nargs="*", metavar="OLD NEW", help="files that --save wrote")
    parser.add_argument(
        "--fail-slower",
        metavar="PERCENT",
        help="fail where a case is surely slower by so much: its whole interval lies above",
    )
    parser.add_argument(
        "--fail-larger",
        metavar="PERCENT",
        help="fail where a case's peak memory is larger by so much",
    )
    parser.add_argument(
        "--fail-unsure",
        action="store_true",
        default=None,
        help="fail with exit code 3 where it cannot be told: a case may be slower by so much, but "
        "not surely, its memory is not known, or it is in the old report alone",
    )
    parser.add_argument("--markdown", action="store_true", default=None, help="print Markdown")
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    files = values.get("reports", [])
    if len(files) != 2:
        raise ArgumentError(
            f"nbbench compare takes two reports, the old and the new, and {len(files)} were given"
        )
    slower = _fraction("--fail-slower", values.get("fail_slower"))
    larger = _fraction("--fail-larger", values.get("fail_larger"))
    if values.get("fail_unsure") and slower is None and larger is None:
        raise ArgumentError(
            "--fail-unsure needs --fail-slower or --fail-larger, which say how much is too much, "
            "like 5%"
        )
    old, new = map(Report.load, files)
    comparison = new.compare(old)
    print(comparison.to_markdown() if values.get("markdown") else repr(comparison))
    code, sentence = judge(comparison, slower, larger, bool(values.get("fail_unsure")))
    if sentence:
        print(sentence)
    return code


def judge(
    comparison: Comparison, slower: float | None, larger: float | None, fail_unsure: bool
) -> tuple[int, str]:
    """The exit code, and why; ``slower`` and ``larger`` are the parts that are too much.

    The sentence is empty where neither was given, and so nothing judged.
    """
    differences = comparison.differences
    judged = slower is not None or larger is not None
    worse = [_label(d) for d in differences if _is_worse(d, slower, larger)] if judged else []
    if worse:
        return REGRESSION, f"regression: {'; '.join(worse)}"
    if not any(d.ratio is not None or d.memory_ratio for d in differences):
        return UNSURE, "cannot tell: nothing was compared"
    unsure = [_label(d) for d in differences if _may_be_worse(d, slower, larger)]
    unsure += [f"{label} (in the old report alone)" for label in comparison.vanished]
    if judged and unsure:
        return UNSURE if fail_unsure else NO_REGRESSION, f"cannot tell: {'; '.join(unsure)}"
    return NO_REGRESSION, "no regression" if judged else ""


def _label(difference: Difference) -> str:
    """The case, and how it failed where the old one did not."""
    failure = f" ({difference.failure})" if difference.failure else ""
    return f"{difference.case.label}{failure}"


def _is_worse(difference: Difference, slower: float | None, larger: float | None) -> bool:
    """Whether a case fails that did not, or is surely slower, or larger, than is allowed."""
    if difference.failure:
        return True
    return _is_slower(difference, slower) or _is_larger(difference, larger)


def _is_slower(difference: Difference, by: float | None) -> bool:
    if by is None or difference.low is None or difference.verdict is not Verdict.SLOWER:
        return False
    return difference.low >= 1 + by


def _is_larger(difference: Difference, by: float | None) -> bool:
    if by is None or difference.memory_ratio is None or difference.memory != "larger":
        return False
    return difference.memory_ratio >= 1 + by


def _may_be_worse(difference: Difference, slower: float | None, larger: float | None) -> bool:
    return _may_be_slower(difference, slower) or (larger is not None and not difference.memory)


def _may_be_slower(difference: Difference, by: float | None) -> bool:
    if by is None:
        return False
    if difference.high is None or (difference.verdict is Verdict.UNSURE and difference.reason):
        return True
    return difference.high > 1 + by


def _fraction(flag: str, text: str | None) -> float | None:
    """5% or 0.05 as 0.05; a bare 5 is refused, since it may mean 5 % as well as five times."""
    if text is None:
        return None
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if 1 <= value < math.inf and not text.endswith("%"):
        raise ArgumentError(
            f"{flag}: {quoted(text)} has no unit; write {text}% or a part like 0.05"
        )
    if not 0 <= value < 10:
        raise ArgumentError(f"{flag}: {quoted(text)} is no part like 5% or 0.05")
    return value
