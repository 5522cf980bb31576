"""A Jupyter front end in a headless browser, for the tests and the pictures in the docs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium():
    """The path of a Chromium that is installed, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def jupyter(app, folder, **environment):
    """A server of ``lab`` or ``notebook`` in a folder; gives its address."""
    variables = {**os.environ, "JUPYTER_CONFIG_DIR": str(folder / ".config"), **environment}
    variables["JUPYTERLAB_SETTINGS_DIR"] = str(folder / ".settings")
    news = folder / ".settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True, exist_ok=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    log = folder / "server.log"
    command = [
        sys.executable, "-m", "jupyter", app, "--no-browser", "--ip=127.0.0.1", "--port=0",
        "--allow-root", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
        f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    with log.open("w") as output:
        server = subprocess.Popen(
            command, env=variables, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )
    try:
        yield _address(log, server)
    finally:
        server.terminate()
        server.wait(20)


def _address(log, server):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError("the server did not start:\n" + log.read_text())


def write_notebook(path, *cells):
    """A notebook of code cells."""
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "cells": [
            {
                "id": f"cell-{number}",
                "cell_type": "code",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(cells)
        ],
    }
    Path(path).write_text(json.dumps(content))


@contextmanager
def page(**options):
    """An empty page of a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            yield browser.new_page(viewport={"width": 1280, "height": 1000}, **options)
        finally:
            browser.close()


class Notebook:
    """An open notebook in JupyterLab or Notebook 7."""

    def __init__(self, shown, address, app, name):
        self.page = shown
        path = "lab/tree" if app == "lab" else "notebooks"
        shown.goto(f"{address}/{path}/{name}")
        shown.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
        shown.wait_for_selector(idle, timeout=60_000, state="attached")

    def run(self, number):
        """Run a cell by its place to its end; what comes before the kernel is there is lost."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        for _ in range(10):
            cell.locator(".cm-content").click()
            self.page.keyboard.press("Control+Enter")
            self.page.wait_for_timeout(500)
            while "*" in prompt.inner_text():
                self.page.wait_for_timeout(20)
            if prompt.inner_text() not in ("[ ]:", before):
                return cell
        raise AssertionError(f"the cell does not run; its prompt is {prompt.inner_text()!r}")

    def ask(self, number, code):
        """Put code into a cell, run it, and give what it shows once it has ended."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)
        self.run(number)
        return cell.locator(".jp-OutputArea-output").last.inner_text().strip()
