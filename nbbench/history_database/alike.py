"""Which rows of the history are of the same case, whatever its model is called."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from ..report.configurations import telling
from ..worker.case import Case


def alike_key(case: Case) -> str:
    """A hash like `Case.key`, but for what changes nothing of the model, as a folder's old name.

    Code that comes with a model may read that, too.
    """
    if case.runs_foreign_code:
        return case.key
    return dataclasses.replace(case, config=telling(case.config)).key


def model_key(case: Case) -> str:
    """A hash of a case's model alone, whatever it is called: equal for all sizes and settings."""
    config = case.config if case.runs_foreign_code else telling(case.config)
    text = json.dumps([case.framework, config, case.code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def saved_label(case: Case) -> str:
    """What the history calls a case's model."""
    return case.saved_as or case.model


def rows_alike(case: Case) -> tuple[str, list[str]]:
    """The condition of rows that are of the same case, and its values.

    Rows of before have its `Case.key` alone. What ``auto`` has measured on a device is the same as
    what was asked for by the device's name.
    """
    column = "planned" if case.searched else "key"
    selects, values = [], list[str]()
    on = [(case, "")]
    if case.device != "auto":
        on.append((dataclasses.replace(case, device="auto"), " AND cases.device = ?"))
    for each, condition in on:
        for name, key in ((column, each.key), ("alike", alike_key(each))):
            selects.append(f"SELECT id FROM cases WHERE {name} = ?{condition}")
            values += [key, case.device] if condition else [key]
    return f"cases.id IN ({' UNION '.join(selects)})", values


def visits_key(alike: str, label: str) -> str:
    """What the visits so far of a case are kept by: several of a run may be alike."""
    return f"{alike}/{label}"


LABEL_OF_VISITS = "substr(key, nullif(instr(key, '/'), 0) + 1)"
"""In SQL, the label in such a key; NULL where there is none."""


def visits_alike(case: Case) -> tuple[str, list[str]]:
    """The condition of visits so far that are of the same case, and its values."""
    key = alike_key(case)
    return "(key = ? OR (key > ? AND key < ?))", [case.key, f"{key}/", f"{key}0"]  # 0 follows /
