"""The pictures in the README, from a real notebook.

    python docs/make_pictures.py

Needs the extras ``torch``, ``plot`` and ``browser``, and a Chromium.
"""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.browser import Notebook, jupyter, page, write_notebook  # noqa: E402

CELL = """\
%%tfbench --out report
models = ["bert-tiny", "all-MiniLM-L6-v2"]
batch_sizes = [1, 8]
sequence_lengths = [32, 1024]"""
FORM = "%tfbench --form bert-tiny -b 1 8 -s 32 128"


def main():
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_notebook(folder / "n.ipynb", "%load_ext nbbench", CELL, "report.plot.latency()", FORM)
        with jupyter("notebook", folder) as address, page(device_scale_factor=1.5) as shown:
            shown.set_viewport_size({"width": 1000, "height": 1700})
            notebook = Notebook(shown, address, "notebook", "n.ipynb")
            notebook.run(0)
            notebook.run(1).screenshot(path=HERE / "pictures" / "cell.png")
            plot = notebook.run(2)
            shown.wait_for_timeout(500)
            plot.locator(".jp-OutputArea-output img").screenshot(
                path=HERE / "pictures" / "latency.png"
            )
            form = notebook.run(3)
            form.get_by_role("button", name="Run", exact=True).click()
            form.get_by_text("4 cases in").wait_for(timeout=120_000)
            form.locator(".nbbench img").first.wait_for()
            shown.wait_for_timeout(1000)
            form.screenshot(path=HERE / "pictures" / "form.png")


if __name__ == "__main__":
    (HERE / "pictures").mkdir(exist_ok=True)
    main()
