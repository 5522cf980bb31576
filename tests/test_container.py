"""A container's limits: its memory is what is shown, and no more threads run than it lets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbbench import ArgumentError
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.machine import machine, processors
from nbbench.worker import control_groups
from nbbench.worker.control_groups import MemoryLimit, memory_limits
from tests.test_doctor import tree

linux = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

GIB = 1 << 30
V1_MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.mark.parametrize(
    ("files", "total", "available"),
    [
        ({}, None, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"}, None, None),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "nonsense"}, None, None),
        # a container that sees its own group at the top, without and with its usage
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": str(2 * GIB)}, 2 * GIB, 2 * GIB),
        (
            {
                "proc/self/cgroup": "0::/kubepods/pod1/c1",
                "sys/fs/cgroup/memory.max": str(2 * GIB),
                "sys/fs/cgroup/memory.current": str(GIB),
                "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {GIB // 2}\nslab 3",
            },
            2 * GIB,
            2 * GIB - GIB // 2,
        ),
        # nested groups: the least limit, and the least that is available
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/memory.max": str(4 * GIB),
                "sys/fs/cgroup/a/memory.current": str(4 * GIB - 5),
                "sys/fs/cgroup/a/b/memory.max": str(3 * GIB),
                "sys/fs/cgroup/a/b/memory.current": str(GIB),
            },
            3 * GIB,
            5,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/memory.max": str(GIB),
                "sys/fs/cgroup/a/b/memory.max": "max",
            },
            GIB,
            GIB,
        ),
        # the first version
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/123",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": str(GIB),
                "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GIB // 2),
                "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}",
            },
            GIB,
            GIB,
        ),
        # both at a time, as on systems that have version 2 beside version 1
        (
            {
                "proc/self/cgroup": "4:memory:/m\n0::/u",
                "sys/fs/cgroup/memory/m/memory.limit_in_bytes": str(GIB),
                "sys/fs/cgroup/u/memory.max": str(2 * GIB),
            },
            GIB,
            GIB,
        ),
    ],
)
def test_the_limit_on_memory_is_the_least_of_the_control_groups(tmp_path, files, total, available):
    limits = memory_limits(tree(tmp_path, files))
    assert min((limit.total for limit in limits), default=None) == total
    assert min((limit.available for limit in limits), default=None) == available


def test_the_machine_shows_the_containers_memory_where_it_has_less(monkeypatch):
    plain = machine.describe_machine()
    limits = [MemoryLimit(64 << 20, 32 << 20), MemoryLimit(1 << 62, 1 << 62)]
    monkeypatch.setattr(machine, "memory_limits", lambda: limits)
    limited = machine.describe_machine()
    assert (limited.cpu_ram_mb, limited.cpu_ram_available_mb) == (64, 32)
    monkeypatch.setattr(machine, "memory_limits", lambda: limits[1:])  # as version 1 has no limit
    assert machine.describe_machine().cpu_ram_mb == plain.cpu_ram_mb


@linux
def test_in_a_real_control_group_its_memory_is_shown():
    group = V1_MEMORY / f"nbbench-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(GIB))
    except OSError:
        pytest.skip("making a group of version 1 takes rights that this process has not")
    code = (
        f"open('{group}/cgroup.procs', 'w').write('0')\n"
        "from nbbench.machine.machine import describe_machine\n"
        "facts = describe_machine()\n"
        "print(facts.cpu_ram_mb, facts.cpu_ram_available_mb)"
    )
    try:
        shown = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    finally:
        group.rmdir()
    total, available = map(int, shown.stdout.split())
    assert total == 1024
    assert 0 < available <= total


@linux
def test_threads_are_no_more_than_the_process_may_use():
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from nbbench.cli import main\n"
        "raise SystemExit(main(['run', 'bert-tiny', '--threads', '2']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "nbbench: error: threads: 2 are more than the 1 that can run at a time on the processors "
        "that this process may use; give 1 or fewer\n"
    )


@pytest.mark.parametrize(
    ("usable", "quota", "threads", "sentence"),
    [
        (8, None, 8, None),
        (8, None, 9, "more than the 8 that can run .* give 8 or fewer"),
        (2, 8.0, 3, "more than the 2 that can run"),
        (8, 1.5, 2, None),
        (8, 1.5, 3, "the 1.5 cores' worth of time that the container .* give 2 or fewer, or give"),
        (8, 0.5, 2, "give 1 or fewer"),
        (None, None, 1000, None),
    ],
)
def test_threads_that_cannot_run_at_a_time_are_refused(
    monkeypatch, tmp_path, usable, quota, threads, sentence
):
    files = {"proc/self/cgroup": "0::/"}
    if quota is not None:
        files["sys/fs/cgroup/cpu.max"] = f"{int(quota * 1000)} 1000"
    root = tree(tmp_path, files)
    monkeypatch.setattr(processors, "usable_processors", lambda: usable)
    monkeypatch.setattr(processors, "cpu_quota", lambda: control_groups.cpu_quota(root))
    if sentence is None:
        assert BenchmarkArguments(models="x", threads=threads).threads == threads
        return
    with pytest.raises(ArgumentError, match=sentence) as caught:
        BenchmarkArguments(models="x", threads=threads)
    assert list(caught.value.problems) == ["threads"]
    elsewhere = BenchmarkArguments(models="x", threads=threads, executor="ray")
    assert elsewhere.threads == threads  # a node may have more processors
    assert str(caught.value).startswith("threads: ")
