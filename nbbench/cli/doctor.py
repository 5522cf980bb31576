"""``nbbench doctor``: what makes numbers unsteady on this machine, and what to do."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from ..arguments.flags import FlagParser
from ..errors import OutputError
from ..machine.drift import watch_drift
from ..machine.gpus import visible_conditions
from ..machine.health import Finding, Level, findings
from ..machine.load import watch_load
from ..machine.machine import describe_machine
from ..machine.reference_level import forget_levels, read_levels
from ..text import counted

_ABOUT = """\
Look for what makes numbers unsteady on this machine: other processes, clocks, container quota,
swap, power, GPUs, and how a fixed call drifts over ten seconds. A line each, with what to do.

Exit code 0: nothing is bad; 1: something is."""

LOAD_S, DRIFT_S = 1.0, 10.0


def command(argv: list[str]) -> int:
    """Look, and print; or forget the reference's levels."""
    parser = FlagParser("nbbench doctor", _ABOUT)
    parser.add_argument("--json", action="store_true", default=None, help="print JSON")
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        default=None,
        help="forget this machine's usual speed, which the next run then sets anew",
    )
    if {"-h", "--help"} & set(argv):
        parser.print_help()
        return 0
    values = parser.read(argv)
    as_json = bool(values.get("json"))
    if values.get("recalibrate"):
        return _recalibrate(as_json)
    machine, gpus = describe_machine(), visible_conditions()
    if not as_json:
        print(f"watching this machine for {DRIFT_S + LOAD_S:.0f} s …", file=sys.stderr, flush=True)
    load, drift = watch_load(LOAD_S), watch_drift(DRIFT_S)
    found = findings(machine, load, drift, gpus)
    if as_json:
        figures: dict[str, Any] = {
            "machine": dataclasses.asdict(machine),
            "load": dataclasses.asdict(load),
            "drift": None if drift is None else {"spread": drift.spread, "range": drift.range},
            "gpus": [dataclasses.asdict(gpu) for gpu in gpus],
        }
        listed = [dataclasses.asdict(each) for each in found]
        print(json.dumps({"findings": listed, "figures": figures}, indent=1))
    else:
        print(as_lines(found))
    return 1 if any(each.level is Level.BAD for each in found) else 0


def as_lines(found: list[Finding]) -> str:
    """A line for each finding: how it is, what was looked at, what was found, what to do."""
    wide = max(len(each.check) for each in found)
    level = max(len(each.level.value) for each in found)
    return "\n".join(
        f"{each.level.value:{level}}  {each.check:{wide}}  {each.sentence}" for each in found
    )


def _recalibrate(as_json: bool) -> int:
    known = len(read_levels())
    try:
        forget_levels()
    except OSError as error:
        raise OutputError(
            f"this machine's usual speed cannot be forgotten: {error.strerror}; see that the cache "
            f"folder can be written"
        ) from None
    if as_json:
        print(json.dumps({"forgotten": known}))
    elif known:
        print(f"forgot {counted(known, 'usual speed')} of this machine; the next run sets it anew")
    else:
        print("no usual speed of this machine was known; the next run sets it")
    return 0
