"""Run the notebooks from top to bottom and keep their outputs.

    python docs/run_notebooks.py [NAME …]

The outputs are kept small: of each output its HTML or image alone, besides its text.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
BESIDE_HTML = ("text/markdown", "text/latex")


def run(path):
    """Run one notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                for kind in BESIDE_HTML:
                    data.pop(kind, None)
    for key in ("version", "codemirror_mode", "pygments_lexer", "nbconvert_exporter"):
        notebook.metadata.language_info.pop(key, None)
    notebook.metadata.pop("widgets", None)
    nbformat.write(notebook, path)


for path in sorted(FOLDER.glob("*.ipynb")):
    if not sys.argv[1:] or path.stem in sys.argv[1:]:
        print(path.name, flush=True)
        run(path)
