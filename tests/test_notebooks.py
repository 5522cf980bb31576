"""The notebooks run from top to bottom, as a reader would run them."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"


LONG = (pytest.mark.slow, pytest.mark.newest)
MARKS = {
    "pytorch_and_tensorflow": pytest.mark.slow,
    "before_training": LONG,
    "choosing_under_a_budget": pytest.mark.slow,
    "colab": LONG,
    "compile_or_not": LONG,
    "does_it_fit": pytest.mark.slow,
    "fewer_bits": pytest.mark.slow,
    "largest_batch": pytest.mark.slow,
    "latency_budget": pytest.mark.slow,
    "quickstart": LONG,
    "choosing_a_model": LONG,
    "sharing_a_result": LONG,
}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=MARKS.get(path.stem, ()))
        for path in sorted(FOLDER.glob("*.ipynb"))
    ],
)
def test_the_notebook_runs(path, tmp_path):
    pytest.importorskip("torch")
    if path.stem == "fewer_bits":
        pytest.importorskip("torchao")
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=240, resources=resources).execute()
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    assert any("<table" in output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_is_kept_small_and_names_no_folder_of_its_author(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert "/home/" not in text
    assert "site-packages" not in text
