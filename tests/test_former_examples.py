"""The former documentation's examples print the blocks that they printed, to the letter."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE.parent / "docs" / "former_examples.py"
KNOWN = ("framework", "use_torchscript", "eager_mode", "use_xla", "use_gpu", "use_tpu")
"""Keys of the environment whose values are the same on every machine without a GPU."""
ORIGINAL_KEYS = (
    "transformers_version", "framework_version", "python_version", "system", "cpu", "architecture",
    "date", "time", "fp16", "use_multiprocessing", "only_pretrain_model", "cpu_ram_mb", *KNOWN,
)  # fmt: skip


def normal(text):
    """What was printed, with the figures and the machine's values taken out.

    A row of a table is taken apart by its columns' widths, so one that is out of line is not known.
    """
    row = re.compile(r"^(.{30})(.{15}) (.{15}) (.{15})$")
    figure = re.compile(r"^ *(\d+(\.\d{1,3})?|< 0\.001) *$")
    lines = []
    for line in text.splitlines():
        key, _, value = line.removeprefix("- ").partition(": ")
        found = row.match(line)
        if found and figure.match(found[4]):
            cell = found[4]
            assert cell == cell.strip().center(15)
            lines.append(line[: -len(cell)] + ("<seconds>" if "." in cell else "<MiB>"))
        elif not line.startswith("- "):
            lines.append(line)
        elif key in ORIGINAL_KEYS:
            lines.append(f"- {key}: {value if key in KNOWN else '<value>'}")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.newest
@pytest.mark.parametrize(
    "framework", ["pytorch", pytest.param("tensorflow", marks=pytest.mark.slow)]
)
def test_the_examples_print_the_three_blocks(framework):
    if framework == "pytorch":
        pytest.importorskip("torch")
    command = [sys.executable, str(SCRIPT), "--tiny", framework]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    golden = HERE / "golden" / f"former_examples_{framework}.txt"
    assert normal(done.stdout) == golden.read_text(encoding="utf-8")
