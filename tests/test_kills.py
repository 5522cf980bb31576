"""A kernel that is killed at any moment of a sweep leaves no process after a second."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest

from tests.test_processes import arguments, mark, marked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("probe"),
    pytest.mark.skipif(sys.platform != "linux", reason="guards are for Linux"),
]

KILLS = int(os.environ.get("NBBENCH_TEST_KILLS", "20"))
SWEEP = 20

__all__ = ["mark"]


def sweep(isolation, mark):
    """A kernel that runs twenty cases, each of which leaves processes in sessions of their own."""
    site = next(path for path in sys.path if os.path.isdir(f"{path}/probe_backends"))
    values = arguments(isolation)
    config = {"model_type": "probe", "call": "daemon", "mark": mark}
    values["configs"] = [{**config, "number": number} for number in range(SWEEP)]
    code = (
        f"import sys; sys.path.append({site!r})\nimport nbbench\n"
        f"print('begins', flush=True)\n"
        f"nbbench.run(**{values!r}, progress=False, on_result=lambda _: print('.', flush=True))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def lines_until(process, count):
    """Wait until a kernel has printed so many lines, or ends."""
    for _ in range(count):
        if not process.stdout.readline():
            return


@pytest.mark.parametrize("isolation", ["fork", "process"])
@pytest.mark.timeout(60 + 30 * KILLS)
def test_killed_at_any_moment_it_leaves_no_process_after_a_second(isolation, mark):
    left, chance = [], random.Random(isolation)
    for number in range(KILLS):
        process = sweep(isolation, mark)
        # so many lines that kills fall before the first worker, among the cases and near the end
        lines_until(process, number * (SWEEP + 2) // KILLS)
        time.sleep(chance.uniform(0.0, 0.3))
        process.kill()
        process.wait()
        process.stdout.close()
        time.sleep(1.0)
        for each in marked(mark):
            left.append((number, each.pid, " ".join(each.cmdline())[-80:]))
            each.kill()
    assert left == []
