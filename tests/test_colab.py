"""Google Colab: what it ships stays as it is, and its tables take our frames."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from uv import find_uv_bin

HERE = Path(__file__).parent
LEFT_OUT = {"torch", "transformers", "tokenizers", "nbclient", "nbformat"}
"""Pins that say nothing here: what they belong to is no dependency of nbbench's, or large."""


def uv(*words):
    command = [find_uv_bin(), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Colab's pins need Python 3.11")
def test_installing_nbbench_changes_none_of_colabs_packages(tmp_path):
    pins = dict(re.findall(r"^(\S+)==(\S+)$", (HERE / "constraints-colab.txt").read_text(), re.M))
    shipped = {name: version for name, version in pins.items() if name not in LEFT_OUT}
    place = tmp_path / "colab"
    uv("venv", "-q", "--python", sys.executable, place)
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    uv("pip", "install", "-q", "--python", python, *(f"{n}=={v}" for n, v in shipped.items()))
    said = uv("pip", "install", "--dry-run", "--python", python, HERE.parent)
    assert not re.findall(r"^ *- .*$", said, re.M), said  # nothing that is there would go
    added = {name.replace("_", "-").lower() for name in re.findall(r"^ *\+ ([^=\s]+)", said, re.M)}
    assert "nbbench" in added
    assert not added & {name.replace("_", "-") for name in shipped}


def test_frames_are_ones_that_interactive_tables_take(probe):
    """Colab's formatter wants column names that are text and values that JSON has words for."""
    import json

    import nbbench

    report = nbbench.run(
        configs=[{"model_type": "x"}, {"model_type": "x", "call": "segfault"}], frameworks="probe",
        sequence_lengths=[8], max_time=0.1, progress=False,
    )  # fmt: skip
    for frame in (report.speed, report.memory, report.environment, report.lines):
        assert all(isinstance(name, str) for name in frame.columns)
        json.loads(frame.to_json(orient="split", date_format="iso"))
