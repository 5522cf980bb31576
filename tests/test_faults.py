"""Whatever happens to a case, in whichever phase, costs that case alone, and its row says so."""

from __future__ import annotations

import importlib.util
import sys
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc"),
]

FILE = Path(__file__).parent.parent / "docs" / "fault_table.py"

FIRST = {
    "fork": {
        "building": ["exception", "leak", "segfault", "sys.exit"],
        "measuring": ["abort", "KeyboardInterrupt", "unsupported", "nonsense"],
        "memory": ["SIGKILL", "MemoryError"],
        "importing": ["cancel", "exit code 3"],
        "predicting": ["segfault", "sys.exit"],
        "predicting alone": ["MemoryError"],
        "starting": ["MemoryError", "unsupported"],
    },
    "process": {"warming": ["segfault", "NotImplementedError"]},
    "none": {"memory": ["sys.exit", "KeyboardInterrupt"]},
}
"""A share of the combinations, by executor and phase, that takes a few seconds."""


@pytest.fixture(scope="module")
def table():
    """The script that makes the table of faults."""
    spec = importlib.util.spec_from_file_location("fault_table", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fault_table"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fault_table"]


@pytest.fixture
def marked(table, monkeypatch):
    monkeypatch.setenv(table.MARK, uuid4().hex)


def wrong(rows):
    return [(row.combination, row.reason, row.wrong) for row in rows if row.wrong]


@pytest.mark.parametrize("executor", FIRST)
def test_a_fault_costs_its_case_alone_and_is_named_with_its_phase(table, marked, probe, executor):
    asked = [
        table.Combination(fault, phase, executor)
        for phase, faults in FIRST[executor].items()
        for fault in faults
    ]
    rows = list(table.rows_of(asked, probe))
    assert len(rows) == len(asked)
    assert wrong(rows) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("executor", ["fork", "process", "none", "ray"])
def test_every_fault_in_every_phase(table, marked, probe, executor, monkeypatch):
    if executor == "ray":
        if find_spec("ray") is None:
            pytest.skip("Ray is not installed")
        monkeypatch.setenv("PYTHONPATH", "")  # the cluster sets it for its nodes
        with table.ray_cluster(probe):
            rows = list(table.rows_of(table.combinations([executor]), probe))
    else:
        rows = list(table.rows_of(table.combinations([executor]), probe))
    assert wrong(rows) == []


def test_what_was_measured_stays_where_a_prediction_ends_its_process(table, marked, probe):
    (row,) = table.rows_of([table.Combination("segfault", "predicting", "fork")], probe)
    assert row.status == "ok"
    assert "not predicted: the process died of SIGSEGV while predicting" in row.reason


def test_a_row_that_is_not_as_expected_is_found(table):
    combination = table.Combination("segfault", "memory", "fork")
    row = table.Row(combination, "ok", "", 0.1, "ok, not crashed")
    assert "**ok** (ok, not crashed)" in table.page_of([row])
    assert len(table.combinations(table.EXECUTORS)) >= 100
