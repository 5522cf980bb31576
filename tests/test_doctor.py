"""What the doctor sees of a machine, and what it says to do."""

from __future__ import annotations

import json

import pytest

from nbbench.cli import main
from nbbench.machine import health


def machine(root, **files):
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return {finding.name: finding for finding in health.settings(root)}


CPU = "sys__devices__system__cpu__"


@pytest.mark.parametrize(
    ("file", "text", "name", "bad"),
    [
        (f"{CPU}cpu0__cpufreq__scaling_governor", "powersave", "CPU governor", True),
        (f"{CPU}cpu0__cpufreq__scaling_governor", "performance", "CPU governor", False),
        (f"{CPU}intel_pstate__no_turbo", "0", "turbo", True),
        (f"{CPU}cpufreq__boost", "0", "turbo", False),
        (f"{CPU}smt__active", "1", "SMT siblings", True),
        ("sys__fs__cgroup__cpu.max", "150000 100000", "container quota", True),
    ],
)
def test_a_setting_that_makes_numbers_unsteady_has_a_remedy(tmp_path, file, text, name, bad):
    finding = machine(tmp_path, **{file: text})[name]
    assert bool(finding.remedy) is bad


def test_what_is_unknown_is_omitted(tmp_path):
    known = machine(tmp_path, **{"sys__fs__cgroup__cpu.max": "max 100000"})
    assert set(known) <= {"swap in use"}


def test_drift_is_a_figure():
    finding = health.drift(0.05)
    assert finding.figure.endswith("%")


def test_the_command_prints_lines_or_json(monkeypatch, capsys):
    findings = [health.Finding("turbo", "on", "switch it off"), health.Finding("swap", "0 %")]
    monkeypatch.setattr("nbbench.cli.doctor.examine", lambda: iter(findings))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == ["! turbo: on  → switch it off", "✓ swap: 0 %"]
    main(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["remedy"] == "switch it off"


def test_recalibrating_forgets_the_level(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path))
    (tmp_path / "reference.json").write_text("{}")
    assert main(["doctor", "--recalibrate"]) == 0
    assert not (tmp_path / "reference.json").exists()
