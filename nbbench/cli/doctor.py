"""``nbbench doctor``: what makes numbers unsteady here."""

from __future__ import annotations

import dataclasses
import json

from ..arguments.flags import FlagParser
from ..machine.health import Finding, examine
from ..machine.reference import forget_levels

_ABOUT = """\
Say what makes numbers unsteady on this machine, a line each, with what to do about it."""


def command(argv: list[str]) -> int:
    """Look, and print; 0 if nothing is bad, else 1."""
    parser = FlagParser("nbbench doctor", _ABOUT)
    parser.add_argument("--json", action="store_true", default=None, help="print JSON")
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        default=None,
        help="forget the machine's usual speed: the next benchmark sets it anew",
    )
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    if values.get("recalibrate"):
        forget_levels()
        print("the usual speed of this machine is forgotten; the next benchmark sets it anew")
        return 0
    findings = []
    for finding in examine():
        findings.append(finding)
        if not values.get("json"):
            print(_line(finding), flush=True)
    if values.get("json"):
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    return int(any(finding.remedy for finding in findings))


def _line(finding: Finding) -> str:
    mark = "!" if finding.remedy else "✓"
    remedy = f"  → {finding.remedy}" if finding.remedy else ""
    return f"{mark} {finding.name}: {finding.figure}{remedy}"
