"""What a container, or any other control group of Linux, leaves to this process.

Groups are nested, and each limits all that is in it, so the least of the limits counts. ``root`` is
the folder of the system's own files, ``/`` but in tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

ROOT = Path("/")

_CGROUPS = "sys/fs/cgroup"


@dataclass(frozen=True)
class MemoryLimit:
    """Bytes that a control group may hold, and those of them that are not in use."""

    total: int
    available: int


def cpu_quota(root: Path = ROOT) -> Optional[float]:
    """Cores' worth of time that this process's control groups leave it, the least of them.

    None where there is no limit, or none that can be read.
    """
    quotas = [*_quotas_of_version_2(root), *_quotas_of_version_1(root)]
    return round(min(quotas), 2) if quotas else None


def memory_limits(root: Path = ROOT) -> list[MemoryLimit]:
    """The limits on memory of this process's control groups, in no order; empty without any.

    What is cached of files and not in use counts as available, as it does for the machine.
    """
    groups = [
        (folder, "memory.max", "memory.current", "inactive_file")
        for path in _groups(root, "")
        for folder in _up_from(root / _CGROUPS, path)
    ] + [
        (folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        for path in _groups(root, "memory")
        for folder in _up_from(root / _CGROUPS / "memory", path)
    ]
    limits = []
    for folder, limit_file, usage_file, cached in groups:
        limit = read_number(folder / limit_file)  # None for "max"
        if limit is not None and limit > 0:
            used = (read_number(folder / usage_file) or 0) - _statistic(folder, cached)
            limits.append(MemoryLimit(limit, max(limit - max(used, 0), 0)))
    return limits


def _statistic(folder: Path, name: str) -> int:
    """A number of a group's ``memory.stat``; 0 where it is not known."""
    for line in (read_text(folder / "memory.stat") or "").splitlines():
        key, _, number = line.partition(" ")
        if key == name:
            with suppress(ValueError):
                return int(number)
    return 0


def _groups(root: Path, controller: str) -> Iterator[str]:
    """The paths of this process's groups under a controller; version 2 has none by name."""
    yield "/"
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if controller in names.split(",") and ".." not in path:  # that is outside what is seen
            yield path


def _up_from(folder: Path, path: str) -> Iterator[Path]:
    """A group's folder and those above it, up to ``folder``: each limits what is in it.

    A container may see its own group at the top, under a path that the host gave it.
    """
    inner = Path(path.strip("/"))
    yield from (folder / part for part in (inner, *inner.parents))


def _quotas_of_version_2(root: Path) -> Iterator[float]:
    for path in _groups(root, ""):
        for folder in _up_from(root / _CGROUPS, path):
            quota, _, period = (read_text(folder / "cpu.max") or "").partition(" ")
            with suppress(ValueError, ZeroDivisionError):
                yield int(quota) / int(period)


def _quotas_of_version_1(root: Path) -> Iterator[float]:
    mounts = [root / _CGROUPS / name for name in ("cpu", "cpu,cpuacct")]
    for path in _groups(root, "cpu"):
        for folder in (each for mount in mounts for each in _up_from(mount, path)):
            quota = read_number(folder / "cpu.cfs_quota_us")
            period = read_number(folder / "cpu.cfs_period_us")
            if quota and period and quota > 0:
                yield quota / period


def read_text(file: Path) -> Optional[str]:
    """What a small file of the system's holds; None where it cannot be read, or is empty."""
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip() or None
    return None


def read_number(file: Path) -> Optional[int]:
    """The whole number that a file of the system's holds; None where it holds none."""
    with suppress(ValueError):
        return int(read_text(file) or "")
    return None
