"""Energy of a call: counters that are there, that end, that are not, and that nobody may read."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest

import nbbench
from nbbench.plan.result import Result
from nbbench.report.dataframes import speed_frame
from nbbench.worker import energy_counters
from nbbench.worker.case import Case, Outcome, Status
from nbbench.worker.energy import Energy
from nbbench.worker.energy_counters import Zone, energy_of_calls
from nbbench.worker.measure import wall_stopwatch
from tests.conftest import TINY_BERT
from tests.test_cuda import fake_driver, old_driver, with_driver

__all__ = ["fake_driver", "old_driver"]  # fixtures

WATTS = 40.0


def fake_device(name, gpu_uuid=None):
    return SimpleNamespace(name=name, gpu_uuid=gpu_uuid, stopwatch=wall_stopwatch())


CPU = fake_device("cpu")


def zone(folder, name, value, number=0):
    made = folder / f"intel-rapl:{number}"
    made.mkdir(exist_ok=True)
    (made / "name").write_text(name)
    (made / "max_energy_range_uj").write_text("1000000")
    (made / "energy_uj").write_text(str(value))
    return made


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(energy_counters, "MIN_WINDOW_S", 0.05)
    monkeypatch.setattr(energy_counters, "_IDLE_S", 0.02)


def test_a_counter_that_ends_begins_anew_and_goes_on(tmp_path):
    folder = zone(tmp_path, "package-0", 900_000)
    counter = Zone(str(folder))
    assert counter.joules() == pytest.approx(0.9)
    (folder / "energy_uj").write_text("100000")
    assert counter.joules() == pytest.approx(1.1)


def test_packages_are_added_and_their_parts_are_not(tmp_path, monkeypatch, quickly):
    for number, name in enumerate(["package-0", "package-1", "psys"]):
        zone(tmp_path, name, 0, number)
    monkeypatch.setattr(energy_counters, "POWERCAP", str(tmp_path))
    began, text = time.monotonic(), Zone._text

    def rising(self, name):
        if name == "energy_uj":
            return str(int(1e6 * WATTS / 2 * (time.monotonic() - began)))
        return "1000000000" if name == "max_energy_range_uj" else text(self, name)

    monkeypatch.setattr(Zone, "_text", rising)
    found = energy_of_calls(CPU, lambda: time.sleep(0.01), 0.01)
    assert energy_of_calls(fake_device("xpu:0"), lambda: time.sleep(0.01), 0.01) is None
    assert found.source == "RAPL"
    assert found.calls == 5
    assert found.watts == pytest.approx(WATTS, rel=0.2)
    assert found.idle_w == pytest.approx(WATTS, rel=0.5)
    assert found.joules_per_call == found.joules / 5


def test_without_a_counter_energy_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(energy_counters, "POWERCAP", str(tmp_path))
    assert energy_of_calls(CPU, lambda: None, 0.01) is None
    folder = zone(tmp_path, "package-0", 5)
    (folder / "energy_uj").unlink()  # as where it is kept to root
    assert energy_of_calls(CPU, lambda: None, 0.01) is None


def test_a_counter_that_stands_still_is_no_energy_of_zero(tmp_path, monkeypatch, quickly):
    zone(tmp_path, "package-0", 5)
    monkeypatch.setattr(energy_counters, "POWERCAP", str(tmp_path))
    assert energy_of_calls(CPU, lambda: time.sleep(0.01), 0.01) is None


COUNTED = """
import json, time
from types import SimpleNamespace
from nbbench.worker import energy_counters
from nbbench.worker.measure import wall_stopwatch
device = SimpleNamespace(name="cuda:0", gpu_uuid="GPU-fa4e", stopwatch=wall_stopwatch())
energy_counters.MIN_WINDOW_S, energy_counters._IDLE_S = 0.3, 0.1
found = energy_counters.energy_of_calls(device, lambda: time.sleep(0.05), 0.05)
print(json.dumps(None if found is None else [found.source, found.watts, found.calls]))
"""


def test_a_gpus_driver_counts_its_joules(fake_driver):
    source, watts, calls = with_driver(fake_driver, COUNTED)
    assert (source, calls) == ("NVML", 6)
    assert watts == pytest.approx(250, rel=0.1)


def test_an_old_driver_counts_none(old_driver):
    assert with_driver(old_driver, COUNTED) is None


def test_a_run_has_columns_of_energy_that_are_missing_where_nothing_counts():
    pytest.importorskip("torch")
    report = nbbench.run(
        "bert", configs=[TINY_BERT], batch_sizes=[1], sequence_lengths=[8], energy=True,
        device="cpu", max_time=0.1, progress=False,
    )  # fmt: skip
    row = report.speed.iloc[0]
    assert row.status == "ok"
    if row.energy_source:
        assert row.energy_per_token_j == pytest.approx(row.energy_per_call_j / 8)
    else:
        assert math.isnan(row.energy_per_call_j)
        assert math.isnan(row.power_w)
        assert "energy is missing: neither a GPU's driver nor the processor" in str(report)


@pytest.mark.parametrize(("real", "each_j"), [(50, 0.08), (80, 0.05), (None, 0.05)])
def test_padding_is_no_token_that_energy_is_for(real, each_j):
    used = Energy("RAPL", 8.0, 2, 2.0)
    outcome = Outcome(Status.OK, tokens_per_call=80, real_tokens_per_call=real, energy=used)
    case = Case("pytorch", "m", {}, "given", 1, 80)
    assert speed_frame([Result(case, outcome)]).energy_per_token_j[0] == pytest.approx(each_j)


def test_joules_are_never_less_than_nothing():
    with pytest.raises(ValueError, match="less than nothing"):
        Energy("RAPL", -1.0, 1, 1.0)
