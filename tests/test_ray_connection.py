"""What is known of a cluster of Ray before anything runs on it, and errors where it fails."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

import nbbench
from nbbench import ArgumentError, NbbenchError
from nbbench.arguments.schema import BenchmarkArguments
from nbbench.cli import main
from nbbench.execution.ray_cluster import connection
from nbbench.execution.ray_cluster.demand import Demand
from nbbench.execution.ray_cluster.loss import loss_of
from nbbench.masked_urls import without_secrets
from nbbench.worker.case import Status
from tests.conftest import wait_until

HEAD = {"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}}
GPU = {
    "Alive": True,
    "Resources": {"CPU": 4.0, "GPU": 1.0, "accelerator_type:T4": 1.0, "fast_disk": 2.0},
}
DEAD = {"Alive": False, "Resources": {"CPU": 64.0}}


@pytest.fixture
def no_cluster(tmp_path, monkeypatch):
    """Ray, and no cluster that this process or this machine knows."""
    ray = pytest.importorskip("ray")
    if ray.is_initialized():
        pytest.skip("this process is connected to a cluster")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    return tmp_path


def run_on_ray(**changes):
    return nbbench.run("bert-tiny", executor="ray", progress=False, **changes)


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def mute():
    """A server that answers nothing, at an address that Ray has no other name for."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        server.settimeout(60)
        yield server


def address_of(server):
    return "{}:{}".format(*server.getsockname())


def test_an_address_where_nothing_listens_is_an_error(no_cluster):
    address = f"127.0.0.1:{unused_port()}"
    with pytest.raises(
        NbbenchError, match=f"the cluster '{address}'.* cannot be reached .*refused"
    ):
        run_on_ray(address=address)


def test_one_that_ray_would_take_by_itself_is_asked_too(no_cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{unused_port()}")
    with pytest.raises(NbbenchError, match=r"which RAY_ADDRESS names, cannot be reached"):
        run_on_ray()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("ray://127.0.0.1:10001", "RAY_ADDRESS: 'ray://127.0.0.1:10001' is for Ray's client"),
        ("nonsense", "'nonsense', which RAY_ADDRESS names, cannot .*; set RAY_ADDRESS as"),
    ],
)
def test_a_variable_that_names_none_is_an_error(no_cluster, monkeypatch, address, sentence):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(NbbenchError, match=sentence):
        run_on_ray()


def test_the_last_that_was_started_is_asked_too(no_cluster, monkeypatch):
    ray_utils = pytest.importorskip("ray._private.utils")
    file = ray_utils.get_ray_address_file(None)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    assert file.startswith(str(no_cluster))
    with open(file, "w") as stale:
        stale.write(f"127.0.0.1:{unused_port()}")
    with pytest.raises(NbbenchError, match=r"the last that was started .*; end it with ray stop"):
        run_on_ray()


def test_one_that_is_silent_is_an_error(no_cluster, mute, monkeypatch):
    monkeypatch.setattr("nbbench.execution.ray_cluster.connection._ANSWER_S", 1.0)
    with pytest.raises(NbbenchError, match=r"cannot be reached .*not answered within 1 s"):
        run_on_ray(address=address_of(mute))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_it_is_asked_signals_end_the_run(no_cluster, mute, number):
    argv = ["run", "bert-tiny", "--executor", "ray", "--address", address_of(mute)]
    running = subprocess.Popen(
        [sys.executable, "-m", "nbbench", *argv],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=os.path.dirname(os.path.dirname(nbbench.__file__)),
    )
    mute.accept()  # it is asked
    running.send_signal(number)
    try:
        running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        (
            "ray://127.0.0.1:10001",
            "'ray://127.0.0.1:10001' is for Ray's client, .*; run nbbench on",
        ),
        ("auto", "no cluster of Ray runs on this machine, and address is auto .*; start one"),
        ("nonsense", "'nonsense' cannot be reached .*Invalid address format"),
    ],
)
def test_an_address_that_is_none_is_an_error(no_cluster, address, sentence):
    with pytest.raises(NbbenchError, match=sentence):
        run_on_ray(address=address)


def test_the_shell_prints_the_error_alone(no_cluster, capsys):
    assert main(["run", "bert-tiny", "--executor", "ray", "--address", "127.0.0.1:1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("nbbench: error: the cluster '127.0.0.1:1'")


def test_no_file_is_written_where_there_is_no_cluster(no_cluster, tmp_path):
    saved = tmp_path / "r.json"
    with pytest.raises(NbbenchError):
        run_on_ray(address="127.0.0.1:1", save=saved)
    assert not saved.exists()


class RayThatConnectsSlowly:
    """A stand-in for Ray, which sets a handler of SIGTERM before and after it has waited."""

    def __init__(self):
        self.is_set, self.may_go_on = threading.Event(), threading.Event()
        self.has_ended = threading.Event()

    def is_initialized(self):
        return False

    def init(self, **_):
        set_handler(IGNORED)
        self.is_set.set()
        self.may_go_on.wait()
        set_handler(IGNORED)
        self.has_ended.set()


IGNORED = 1
"""The system's number for a signal that is ignored."""


def handler_of_sigterm():
    """What the system calls at SIGTERM."""
    return ctypes.pythonapi.PyOS_getsig(signal.SIGTERM)


def set_handler(handler):
    """Set what the system calls at SIGTERM, unseen by Python."""
    ctypes.pythonapi.PyOS_setsig(signal.SIGTERM, handler)


@pytest.fixture
def slow_ray(monkeypatch):
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_int]
    put.restype, put.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    ray, before = RayThatConnectsSlowly(), handler_of_sigterm()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(connection, "_answers", lambda *_: True)
    yield ray
    ray.may_go_on.set()
    ray.has_ended.wait()
    set_handler(before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("is_cancelled", [True, False])
def test_where_connecting_is_given_up_sigterm_is_as_before(slow_ray, monkeypatch, is_cancelled):
    before = handler_of_sigterm()
    if is_cancelled:
        assert connection.connected("a:1", slow_ray.is_set.is_set) is None
    else:
        monkeypatch.setattr(connection, "_CONNECT_S", 0.0)
        with pytest.raises(NbbenchError, match="not within 0 s"):
            connection.connected("a:1", lambda: not slow_ray.is_set.wait())
    assert handler_of_sigterm() == before
    set_handler(IGNORED)
    slow_ray.may_go_on.set()
    wait_until(lambda: handler_of_sigterm() == before)  # once Ray has connected after all


def test_without_ray_it_is_an_error_as_in_the_shell(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NbbenchError, match=r"needs Ray; pip install \"nbbench\[ray\]\""):
        run_on_ray()
    job = nbbench.submit("bert-tiny", executor="ray")
    assert job.wait(60)
    with pytest.raises(NbbenchError, match="needs Ray"):
        job.report()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"resources": {"CPU": 1}}, "resources: CPU has an argument of its own; give num_cpus"),
        ({"resources": {"memory": 1e9}}, "resources: memory is Ray's own; give num_cpus"),
        ({"num_cpus": float("inf")}, "num_cpus"),
        ({"num_gpus": float("inf")}, "num_gpus"),
        ({"resources": {"GPU": 1}}, "resources: GPU has an argument of its own; give num_gpus"),
        ({"num_gpus": 1.5}, "num_gpus: 1.5 is neither a part of one GPU nor whole ones"),
        ({"isolation": "none"}, "isolation none .* executor ray"),
    ],
)
def test_arguments_that_ray_cannot_follow_are_refused(given, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        run_on_ray(**given)


def test_arguments_of_a_cluster_without_one_are_refused():
    with pytest.raises(ArgumentError, match="num_cpus"):
        nbbench.run("m", num_cpus=2)


@pytest.mark.parametrize(
    ("asked", "lack"),
    [
        ({}, ""),
        ({"num_cpus": 4, "num_gpus": 1, "accelerator_type": "T4"}, ""),
        ({"num_cpus": 99}, "no node has 99 processors; the largest has 4"),
        ({"num_gpus": 2}, "no node has 2 GPUs; the largest has 1"),
        ({"accelerator_type": "A100"}, "no node has the accelerator 'A100'; nodes have T4"),
        ({"resources": {"tape": 1}}, "no node has the resource 'tape'; nodes have fast_disk"),
        (
            {"resources": {"fast_disk": 3}},
            "no node has 3 of the resource 'fast_disk'; the largest has 2",
        ),
    ],
)
def test_what_no_node_has_is_named(asked, lack):
    nodes = [HEAD, GPU, DEAD]
    assert Demand.of(BenchmarkArguments(models=["m"], executor="ray", **asked), nodes).lack(
        nodes
    ) == (lack)


def test_what_nodes_have_only_in_parts_or_not_at_all_is_named():
    asked = BenchmarkArguments(models=["m"], executor="ray", num_cpus=4, num_gpus=1)
    other = {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}}
    large = {"Alive": True, "Resources": {"CPU": 8.0}}
    lack = Demand.of(asked, [other, large]).lack([other, large])
    assert lack == "no single node has all of 4 processors and 1 GPU"
    assert Demand.of(asked, []).lack([DEAD]) == "no node of the cluster is alive"
    without_gpu = Demand.of(BenchmarkArguments(models=["m"], executor="ray", num_gpus=1), [HEAD])
    assert without_gpu.lack([HEAD]) == "no node has a GPU"


class RayTaskError(Exception):
    """A stand-in for Ray's error of this name, as it is printed."""


class WorkerCrashedError(Exception):
    """A stand-in for Ray's."""


def test_what_ray_lost_is_named_without_its_traceback():
    text = (
        "\x1b[36mray::measured_on_node()\x1b[39m (pid=1, ip=10.0.0.7)\n"
        "ray.exceptions.RaySystemError: System error: No module named 'nbbench'\ntraceback: …\n"
        "ModuleNotFoundError: No module named 'nbbench'"
    )
    missing = loss_of(RayTaskError(text), "")
    assert missing.status is Status.ERROR
    assert missing.reason.startswith("node 10.0.0.7 has no nbbench; install it there")
    older = loss_of(RayTaskError(text.replace("'nbbench'", "'nbbench.execution.new'")), "")
    assert "node 10.0.0.7 has another version of nbbench" in older.reason
    assert loss_of(WorkerCrashedError(), "node 2").reason == "the process of Ray on node 2 died"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'ray://127.0.0.1:10001' is", "'ray://127.0.0.1:10001' is"),
        ('("https://host:80/x").', '("https://host:80/x").'),
        ("'https://user:pass@host/x', or", "'https://****@host/x', or"),
        ("https://user:12'", "https://****"),
        ("'https://user:12'3@host'", "'https://****@host'"),
    ],
)
def test_the_quote_behind_a_url_is_no_part_of_it(text, shown):
    assert without_secrets(text) == shown
