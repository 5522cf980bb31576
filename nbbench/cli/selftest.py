"""``nbbench selftest``: whether nbbench measures right on this machine."""

from __future__ import annotations

from ..arguments.flags import FlagParser
from ..selftest import FULL, QUICK, Check, Sizes, Verdict, checks, passed
from ..text import counted

_ABOUT = """\
Check on this machine that nbbench measures right, in two or three minutes: known waits, known
memory, torch.utils.benchmark beside it, a case against itself, and one whose calls last 5 %
longer.

Exit code 0: all is well; 1: something is not, or cannot be told on so busy a machine; 130:
interrupted."""

_WIDTHS = (46, 22, 11)


def command(argv: list[str]) -> int:
    """Check, and print each result as it comes."""
    parser = FlagParser("nbbench selftest", _ABOUT)
    parser.add_argument(
        "--quick", action="store_true", default=None, help="fewer checks, in half a minute"
    )
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    return show(QUICK if values.get("quick") else FULL)


def show(sizes: Sizes) -> int:
    """Print the table, a line as its check ends; the exit code."""
    _print_line("check", "expected", "verdict", "found")
    found: list[Check] = []
    for check in checks(sizes):
        found.append(check)
        _print_line(check.name, check.expected, check.verdict.value, check.found)
    wrong = [c for c in found if c.verdict in (Verdict.FAILED, Verdict.UNSURE)]
    skipped = sum(check.verdict is Verdict.SKIPPED for check in found)
    end = f", {skipped} skipped" if skipped else ""
    if passed(found):
        print(f"all is well: {counted(len(found) - skipped, 'check')}{end}")
        return 0
    print(f"not well: {len(wrong)} of {counted(len(found), 'check')}{end}; see nbbench doctor")
    return 1


def _print_line(*cells: str) -> None:
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    print("  ".join([*padded, cells[-1]]), flush=True)
