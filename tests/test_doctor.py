"""`nbbench doctor`: what makes numbers unsteady, against fake trees of the system's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

import nbbench
from nbbench.cli import doctor, main
from nbbench.machine import health
from nbbench.machine.drift import Drift, watch_drift
from nbbench.machine.health import Level, findings, notices
from nbbench.machine.load import BusyProcess, Load, watch_load
from nbbench.machine.machine import MachineFacts, describe_machine
from nbbench.machine.processor_names import processor_in
from nbbench.machine.reference_level import keep_levels, read_levels
from nbbench.machine.settings import Settings, read_settings
from nbbench.worker.control_groups import cpu_quota

linux = pytest.mark.skipif(sys.platform != "linux", reason="these files are Linux's")

CPU = "sys/devices/system/cpu"
FACTS = MachineFacts(
    system="Linux",
    cpu_cores_physical=4,
    cpu_cores_usable=8,
    cpu_ram_mb=16_000,
    cpu_ram_available_mb=12_000,
    cpu_governor="performance",
    cpu_turbo=False,
    cpu_smt=False,
    swap_used_mb=0,
    on_battery=False,
    power_profile="performance",
)
IDLE = Load(cores=0.1, processes=(), steal=0.0, swapped_mb=0.0)
STEADY = Drift((1.0, 1.0, 1.01))


def tree(root, files):
    """A folder with these files."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@linux
def test_what_the_system_does_not_say_is_missing(tmp_path):
    assert read_settings(tmp_path) == Settings()


@linux
def test_settings_are_those_of_the_system(tmp_path):
    files = {
        f"{CPU}/cpufreq/policy0/scaling_governor": "powersave",
        f"{CPU}/cpufreq/policy1/scaling_governor": "performance",
        f"{CPU}/cpufreq/policy2/scaling_governor": "powersave",
        f"{CPU}/cpu0/cpufreq/scaling_driver": "acpi-cpufreq",
        f"{CPU}/cpufreq/boost": "1",
        f"{CPU}/smt/active": "1",
        "sys/class/power_supply/BAT0/type": "Battery",
        "sys/class/power_supply/BAT0/status": "Discharging",
        "sys/firmware/acpi/platform_profile": "low-power",
    }
    assert read_settings(tree(tmp_path, files)) == Settings(
        governors=("powersave", "performance"),
        driver="acpi-cpufreq",
        turbo=True,
        smt=True,
        on_battery=True,
        profile="low-power",
    )


@linux
@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({f"{CPU}/intel_pstate/no_turbo": "1"}, False),
        ({f"{CPU}/intel_pstate/no_turbo": "0"}, True),
        ({f"{CPU}/cpufreq/boost": "0"}, False),
        ({f"{CPU}/cpufreq/boost": "what"}, None),
    ],
)
def test_turbo_is_read_from_either_drivers_switch(tmp_path, files, turbo):
    assert read_settings(tree(tmp_path, files)).turbo is turbo


@linux
@pytest.mark.parametrize(
    ("siblings", "smt"), [(["0,4", "1,5"], True), (["0-1"], True), (["0", "1"], False), ([], None)]
)
def test_without_the_kernels_switch_smt_is_seen_by_siblings(tmp_path, siblings, smt):
    names = [f"{CPU}/cpu{n}/topology/thread_siblings_list" for n in range(len(siblings))]
    assert read_settings(tree(tmp_path, dict(zip(names, siblings, strict=True)))).smt is smt


@linux
@pytest.mark.parametrize(
    ("supplies", "on_battery"),
    [
        ({"AC/type": "Mains", "AC/online": "1"}, None),
        ({"BAT0/type": "Battery", "BAT0/status": "Charging"}, False),
        ({"BAT0/type": "Battery", "BAT0/status": "Unknown"}, None),
        ({"m/type": "Battery", "m/status": "Discharging", "m/scope": "Device"}, None),
    ],
)
def test_only_the_machines_own_battery_counts(tmp_path, supplies, on_battery):
    files = {f"sys/class/power_supply/{name}": text for name, text in supplies.items()}
    assert read_settings(tree(tmp_path, files)).on_battery is on_battery


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        # the least of a group's own and of those above it
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/cpu.max": "50000 100000",
                "sys/fs/cgroup/a/b/cpu.max": "200000 100000",
            },
            0.5,
        ),
        # the first version, where a container sees its group at the top
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/123",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        # a group outside what this process sees
        (
            {
                "proc/self/cgroup": "0::/../../other",
                "sys/other/cpu.max": "1 100000",
                "sys/fs/cgroup/cpu.max": "max 100000",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "nonsense"}, None),
    ],
)
def test_the_quota_is_the_least_of_the_control_groups(tmp_path, files, cores):
    assert cpu_quota(tree(tmp_path, files)) == cores


def level(check, load=IDLE, drift=STEADY, **facts):
    found = findings(replace(FACTS, **facts), load, drift, [])
    (finding,) = [each for each in found if each.check == check]
    assert bool(finding.advice) == (finding.level in (Level.BAD, Level.COULD)), finding
    return finding.level


def test_a_quiet_machine_is_well():
    assert {each.level for each in findings(FACTS, IDLE, STEADY, [])} == {Level.OK}
    assert notices(FACTS) == []


@pytest.mark.parametrize(
    ("check", "facts", "expected"),
    [
        ("governor", {"cpu_governor": None}, Level.UNKNOWN),
        ("governor", {"cpu_governor": "schedutil"}, Level.COULD),
        ("governor", {"cpu_governor": "performance, powersave"}, Level.COULD),
        (
            "governor",
            {"cpu_governor": "powersave", "cpu_scaling_driver": "intel_pstate"},
            Level.COULD,
        ),
        (
            "governor",
            {"cpu_governor": "powersave", "cpu_scaling_driver": "acpi-cpufreq"},
            Level.BAD,
        ),
        (
            "governor",
            {"cpu_governor": "powersave", "cpu_scaling_driver": "amd-pstate-epp"},
            Level.COULD,
        ),
        (  # the kernel's own governor, since the driver is in its passive mode
            "governor",
            {"cpu_governor": "powersave", "cpu_scaling_driver": "amd-pstate"},
            Level.BAD,
        ),
        ("turbo", {"cpu_turbo": True}, Level.COULD),
        ("turbo", {"cpu_turbo": None}, Level.UNKNOWN),
        ("SMT", {"cpu_smt": True}, Level.COULD),
        ("SMT", {"cpu_smt": None}, Level.UNKNOWN),
        ("quota", {"cpu_quota_cores": 1.5}, Level.BAD),
        ("quota", {"cpu_quota_cores": 4.0}, Level.OK),
        ("quota", {"system": "Darwin"}, Level.UNKNOWN),
        ("swap", {"swap_used_mb": None}, Level.UNKNOWN),
        ("swap", {"swap_used_mb": 900}, Level.COULD),
        ("swap", {"swap_used_mb": 900, "cpu_ram_available_mb": 1000}, Level.BAD),
        ("power", {"on_battery": True}, Level.BAD),
        ("power", {"power_profile": "low-power"}, Level.BAD),
        ("power", {"on_battery": None, "power_profile": None}, Level.UNKNOWN),
    ],
)
def test_each_setting_has_its_level_and_its_advice(check, facts, expected):
    assert level(check, **facts) is expected


@pytest.mark.parametrize(
    ("check", "load", "expected"),
    [
        ("load", replace(IDLE, cores=1.2), Level.BAD),
        ("steal", replace(IDLE, steal=0.3), Level.BAD),
        ("steal", replace(IDLE, steal=None), Level.UNKNOWN),
        ("swap", replace(IDLE, swapped_mb=30.0), Level.BAD),
    ],
)
def test_what_others_do_has_its_level(check, load, expected):
    assert level(check, load) is expected


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (None, Level.UNKNOWN),
        (Drift((1.0, 1.1, 1.0, 1.1)), Level.COULD),
        (Drift((1.0, 2.0, 1.0, 2.0)), Level.BAD),
    ],
)
def test_drift_has_its_level(drift, expected):
    assert level("drift", drift=drift) is expected


CORE = "processor\t: {0}\nCPU implementer\t: {1}\nCPU variant\t: 0x1\nCPU part\t: {2}\n\n"


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654\n", "AMD EPYC 9654"),
        (CORE.format(0, "0x41", "0xd40") + CORE.format(1, "0x41", "0xd40"), "ARM Neoverse-V1"),
        (CORE.format(0, "0x41", "0xd0c"), "ARM Neoverse-N1"),
        (CORE.format(0, "0x41", "0xd03") + CORE.format(1, "0x41", "0xd08"),
         "ARM Cortex-A53, ARM Cortex-A72"),
        (CORE.format(0, "0xc0", "0xac3"), "Ampere AmpereOne"),
        (CORE.format(0, "0x41", "0xfff"), "ARM part 0xfff"),
        (CORE.format(0, "0x99", "0x1"), "ARM implementer 0x99 part 0x001"),
        (CORE.format(0, "0x41", "0xd08") + "Model\t: Raspberry Pi 4", "Raspberry Pi 4"),
        ("processor\t: 0\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_processor_has_a_name_that_tells_it_from_others(cpuinfo, name):
    assert processor_in(cpuinfo) == name


def test_the_busiest_processes_are_named():
    busy = tuple(BusyProcess(n, f"p{n}", 1.0 / n) for n in (1, 2, 3, 4))
    (load, *_) = findings(FACTS, replace(IDLE, cores=2.1, processes=busy), STEADY, [])
    assert "2.1 cores busy: p1 (pid 1) 1.00, p2 (pid 2) 0.50, p3 (pid 3) 0.33;" in load.sentence


def test_before_a_run_the_bad_ones_alone_are_noticed_and_load_is_not():
    bad = replace(
        FACTS,
        cpu_governor="powersave",
        cpu_scaling_driver="acpi-cpufreq",
        cpu_quota_cores=0.5,
        swap_used_mb=900,
        cpu_ram_available_mb=10,
        cpu_turbo=True,
        on_battery=True,
        cpu_load_1min=50.0,
        gpu_processes=2,
    )
    assert [line.partition(":")[0] for line in notices(bad)] == [
        "governor", "quota", "swap", "GPU processes",
    ]  # fmt: skip


def test_a_run_gives_notice_of_what_is_bad_and_keeps_the_figures(probe, monkeypatch, capsys):
    limited = replace(describe_machine(), cpu_quota_cores=0.5)
    monkeypatch.setattr("nbbench.execution.job.describe_machine", lambda: limited)
    report = nbbench.run(
        configs=[{"model_type": "probe"}],
        frameworks=["probe"],
        sequence_lengths=[8],
        max_time=0.1,
    )
    assert capsys.readouterr().err.count("quota: 0.5 cores' worth of time") == 1
    assert report.environment["probe"]["cpu_quota_cores"] == 0.5
    for name in ("cpu_governor", "cpu_turbo", "cpu_smt", "swap_used_mb", "gpu_processes"):
        assert name in report.environment.index


def test_notices_stand_beside_the_line_that_a_notebook_shows():
    from nbbench.execution.progress import Progress

    progress = Progress([])
    assert progress.with_warnings("line") == "line"
    progress.warn(["quota: low"])
    assert progress.with_warnings("line") == "line · quota: low"
    assert progress.notices == ["quota: low"]


def test_a_process_that_works_is_found_with_its_cores():
    code = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as worker:
        worker.stdout.readline()
        try:
            load = watch_load(0.5)
        finally:
            worker.kill()
    found = [process for process in load.processes if process.pid == worker.pid]
    assert found, load
    assert load.cores > 0
    assert os.getpid() not in {process.pid for process in load.processes}


def test_drift_is_watched_in_windows():
    drift = watch_drift(0.5)
    assert len(drift.medians) == 2
    assert min(drift.medians) > 0
    assert drift.range >= 0


def test_where_no_process_can_be_started_drift_is_unknown(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert watch_drift(0.1) is None


@pytest.fixture
def quick_doctor(monkeypatch):
    monkeypatch.setattr(doctor, "LOAD_S", 0.05)
    monkeypatch.setattr(doctor, "DRIFT_S", 0.2)


def test_the_doctor_prints_a_line_for_each_finding(quick_doctor, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "describe_machine", lambda: replace(FACTS, on_battery=True))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (power,) = [line for line in lines if " power " in line]
    assert power.split() == [
        "bad", "power", "from", "the", "battery;", "connect", "the", "machine", "to", "the",
        "mains",
    ]  # fmt: skip


def test_the_doctor_as_json(quick_doctor, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "describe_machine", lambda: FACTS)
    monkeypatch.setattr(doctor, "watch_load", lambda seconds: IDLE)
    monkeypatch.setattr(doctor, "watch_drift", lambda seconds: STEADY)
    assert main(["doctor", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {each["check"] for each in printed["findings"]} >= {"load", "drift", "quota", "swap"}
    assert printed["figures"]["machine"]["cpu_ram_mb"] == 16_000


def test_recalibrating_forgets_the_reference(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NBBENCH_CACHE", str(tmp_path))
    keep_levels({"a": 0.001, "b": 0.002})
    assert main(["doctor", "--recalibrate"]) == 0
    assert "forgot 2 usual speeds of this machine" in capsys.readouterr().out
    assert read_levels() == {}
    assert main(["doctor", "--recalibrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"forgotten": 0}


def test_a_cache_that_cannot_be_written_is_an_error_of_one_sentence(monkeypatch, capsys):
    def refuse():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor, "forget_levels", refuse)
    assert main(["doctor", "--recalibrate"]) == 2
    assert "cannot be forgotten: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--jsom", "all"])
def test_an_argument_that_is_unknown_is_bad_usage(argument, capsys):
    assert main(["doctor", argument]) == 2
    assert argument in capsys.readouterr().err


@pytest.mark.slow  # it promises a time
def test_what_is_done_before_each_run_takes_less_than_20_ms():
    import time

    describe_machine()
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        health.notices(describe_machine())
        times.append(time.perf_counter() - begin)
    assert sorted(times)[10] < 0.02
