"""A real Jupyter kernel stays clean, whatever happens."""

from __future__ import annotations

import os
import sys
from textwrap import dedent

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

from tests.conftest import TINY_BERT, WORKER, wait_until

RUN = f"""
report = nbbench.run("tiny", configs=[{TINY_BERT!r}], batch_sizes=[1], sequence_lengths=[8],
                     max_time=0.3, idle_limit=%s)
assert report.speed.status.tolist() == ["ok"], report
"""


class Kernel:
    def __init__(self, site):
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        self.manager, self.client = start_new_kernel(
            kernel_name="python3", env={**os.environ, "PYTHONPATH": path}
        )

    def run(self, code, timeout=120):
        """Execute a cell; what it printed, or an assertion with its traceback."""
        said = []

        def hear(message):
            if message["msg_type"] == "stream":
                said.append(message["content"]["text"])

        reply = self.client.execute_interactive(
            dedent(code), output_hook=hear, timeout=timeout, store_history=True
        )
        assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
        return "".join(said)

    @property
    def process(self):
        return psutil.Process(int(self.run("import os; print(os.getpid())")))


@pytest.fixture
def kernel(probe):
    kernel = Kernel(probe)
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def test_loading_the_extension_takes_little(kernel, patience):
    kernel.run("import time, IPython, pandas")
    took = float(
        kernel.run("""
        begin = time.perf_counter()
        %load_ext nbbench
        print(time.perf_counter() - begin)
        """)
    )
    assert took < 0.3 * patience


def test_a_run_leaves_the_kernel_without_frameworks_memory_or_children(kernel, patience):
    pytest.importorskip("torch")
    if sys.platform != "linux":
        pytest.skip("resident memory is compared on Linux")
    kernel.run("import IPython, pandas, psutil, gc; pandas.DataFrame({'a': [1]})._repr_html_()")
    grown = kernel.run(f"""
        before = psutil.Process().memory_info().rss
        %load_ext nbbench
        import nbbench
        {dedent(RUN % 5).strip().replace(chr(10), chr(10) + " " * 8)}
        report._repr_html_()
        print((psutil.Process().memory_info().rss - before) / 2**20)
    """)
    print(f"the kernel grew by {float(grown.split()[-1]):.1f} MiB")
    assert float(grown.split()[-1]) <= 30
    heavy = "{'torch', 'transformers', 'tensorflow', 'jax', 'keras'}"
    assert kernel.run(f"import sys; print({heavy} & set(sys.modules))").strip() == "set()"
    process = kernel.process
    assert len(process.children()) == 1  # the server, warm
    wait_until(lambda: not process.children(), seconds=8 * patience)


@pytest.mark.parametrize("isolation", ["fork", "process"])
def test_a_killed_kernel_takes_its_workers_with_it_at_once(kernel, isolation, patience):
    kernel.run("import nbbench")
    process = kernel.process
    kernel.client.execute(
        "nbbench.run(frameworks=['probe'], configs=[{'model_type': 'probe', 'call': 'hang'}],"
        f" isolation={isolation!r})"
    )
    expected = WORKER + (2 if isolation == "fork" else 1)  # the case that hangs has a child
    wait_until(lambda: len(process.children(recursive=True)) >= expected)
    workers = process.children(recursive=True)
    ours = [w for w in workers if "nbbench" in " ".join(w.cmdline())]
    assert ours
    process.kill()
    _, alive = psutil.wait_procs(ours, timeout=2 * patience)
    assert not alive


def test_interrupting_a_cell_keeps_the_finished_rows(kernel, patience):
    kernel.run("%load_ext nbbench")
    process = kernel.process
    kernel.client.execute(
        "%%tfbench --frameworks probe --max-time 0.1 -s 8 --out report\n"
        "configs = [{'model_type': 'probe'}, {'model_type': 'probe', 'call': 'hang'},"
        " {'model_type': 'probe', 'x': 1}]"
    )
    wait_until(lambda: len(process.children(recursive=True)) >= WORKER + 2)
    kernel.manager.interrupt_kernel()
    statuses = kernel.run("print(report.speed.status.tolist())")
    assert statuses.strip() == "['ok', 'cancelled', 'skipped']"
    wait_until(lambda: len(process.children(recursive=True)) == WORKER, seconds=3 * patience)


def test_a_run_in_the_event_loop_leaves_it_free(kernel):
    said = kernel.run("""
        import asyncio, nbbench
        ticks = 0
        async def tick():
            global ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.02)
        ticking = asyncio.ensure_future(tick())
        configs = [{"model_type": "probe", "call": "wait", "wait_s": 0.05}]
        report = await nbbench.arun(frameworks=["probe"], configs=configs, sequence_lengths=[8],
                                    max_time=3, precision=1e-9)
        ticking.cancel()
        print(report.speed.status[0], ticks > 20)
    """)
    assert said.split() == ["ok", "True"]


def test_cancelling_the_task_ends_the_run(kernel, patience):
    said = kernel.run(f"""
        import asyncio, time, nbbench, psutil
        configs = [{{"model_type": "probe"}}, {{"model_type": "probe", "call": "hang"}}]
        seen = []
        task = asyncio.ensure_future(nbbench.arun(
            frameworks=["probe"], configs=configs, sequence_lengths=[8], max_time=0.1,
            on_result=seen.append))
        while len(psutil.Process().children(recursive=True)) < {WORKER + 2}:
            await asyncio.sleep(0.05)
        begin = time.monotonic()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            statuses = sorted(r.outcome.status.value for r in seen)
            print(time.monotonic() - begin < {2 * patience}, statuses)
    """)
    assert said.strip() == "True ['cancelled', 'ok']"


def test_progress_is_shown_below_the_cell_and_ends_as_one_line(kernel):
    shown = []
    kernel.client.execute_interactive(
        "import nbbench\n"
        "r = nbbench.run(frameworks=['probe'], configs=[{'model_type': 'probe', 'call': 'wait',"
        " 'wait_s': 0.1}], sequence_lengths=[8], max_time=1.5, precision=1e-9, rounds=1)",
        output_hook=lambda message: shown.append(message),
        timeout=60,
    )
    texts = [
        message["content"]["data"]["text/plain"]
        for message in shown
        if message["msg_type"] in ("display_data", "update_display_data")
    ]
    assert any("probe-1 probe inference, batch 8 × length 8 · measuring: " in t for t in texts)
    assert any("left" in text for text in texts)
    assert texts[-1].startswith("1 case in ")
    assert "1 ok" in texts[-1]
