"""How many threads a framework gets where it would choose otherwise than PyTorch."""

from __future__ import annotations

import os


def default_threads() -> int:
    """What PyTorch chooses by itself: OMP_NUM_THREADS, else the physical cores it may run on."""
    setting = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if setting.isdecimal() and int(setting) > 0:
        return int(setting)
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        topology = f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
        try:
            with open(topology, encoding="ascii") as siblings:
                cores.add(siblings.read().strip())
        except OSError:
            cores.add(str(processor))
    return len(cores)
