"""A sweep on a cluster of Ray: four nodes on this machine, each with a processor of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import psutil
import pytest

import nbbench
from nbbench import NbbenchError
from nbbench.execution.ray_cluster.demand import Demand
from nbbench.history_database.query import history
from nbbench.worker.case import Phase, Status
from tests.conftest import wait_until

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("probe"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc"),
]

NODES = 4


@pytest.fixture(scope="module")
def cluster(probe):
    """Four nodes that know the probe backend."""
    from ray.cluster_utils import Cluster

    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(probe), root])
    os.environ.pop("OMP_NUM_THREADS", None)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [made.add_node(num_cpus=1) for _ in range(NODES)]
    ray.init(address=made.address, log_to_driver=False)
    made.wait_for_nodes()
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def arguments(count, **changes):
    config = {"model_type": "probe", "call": "wait", "wait_s": 0.002}
    return {
        "models": [f"m{number}" for number in range(count)],
        "configs": [{**config, "number": number} for number in range(count)],
        "frameworks": ["probe"], "batch_sizes": [1], "sequence_lengths": [8], "rounds": 1,
        "max_time": 0.05, "executor": "ray", "progress": False,
        "num_cpus": 1,  # by default they would wait for each other, on one machine
        **changes,
    }  # fmt: skip


@contextmanager
def occupied(folder, count):
    """Have others use so many of the nodes meanwhile."""
    free = folder / "free"

    @ray.remote(num_cpus=1)
    def occupy(path):
        while not os.path.exists(path):
            time.sleep(0.1)

    tasks = [occupy.remote(str(free)) for _ in range(count)]
    try:
        wait_until(lambda: ray.available_resources().get("CPU", 0) == NODES - count, 30)
        yield
    finally:
        free.touch()
    ray.get(tasks)


def workers(probe):
    """Processes of nbbench's workers with these probes, on all nodes."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if "nbbench.worker" in line and str(probe) in line:
            found.append(process)
    return found


def test_all_cases_are_measured_once_on_nodes_of_the_cluster(cluster):
    report = nbbench.run(**arguments(8))
    assert [result.case.model for result in report.results] == [f"m{n}" for n in range(8)]
    assert {result.outcome.status for result in report.results} == {Status.OK}
    assert {result.outcome.node for result in report.results} > {"node 1", "node 2"}
    assert len({facts.environment for facts in report.facts}) > 1
    assert report.speed["device_name"].notna().all()
    assert report._content.machine.other_load_cores is None  # that of this machine is no matter


def test_cases_that_are_compared_stay_on_one_node(cluster):
    report = nbbench.run(**arguments(2, executions=["eager", "graph"], baseline="eager", rounds=3))
    by_model = {}
    for result in report.results:
        by_model.setdefault(result.case.model, set()).add(result.outcome.node)
    assert all(len(nodes) == 1 for nodes in by_model.values())


def test_predictions_of_all_cases_share_their_time_wherever_they_run(cluster):
    """A prediction of each takes 0.65 s, and a run is given about one second for all."""
    count = {"peak": 1, "operations": 2000, "flops": 0, "moved": 0, "read": 0}
    for cases, is_predicted in ((1, True), (2, False)):
        given = arguments(cases)
        for config in given["configs"]:
            config.update(count=count, predicts=1.0, grow_kib=1)
        outcomes = [result.outcome for result in nbbench.run(**given).results]
        assert [outcome.prediction is not None for outcome in outcomes] == [is_predicted] * cases


def test_a_crash_costs_its_case_alone(cluster):
    given = arguments(3)
    given["configs"][1]["call"] = "segfault"
    report = nbbench.run(**given)
    assert [r.outcome.status.value for r in report.results] == ["ok", "crashed", "ok"]


def test_cancelled_it_ends_on_every_node(cluster, probe):
    given = arguments(8)
    for config in given["configs"]:
        config["call"] = "hang"
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    wait_until(lambda: len(workers(probe)) >= NODES)
    begin = time.monotonic()
    job.cancel()
    assert job.wait(30)
    wait_until(lambda: not workers(probe), 30)
    print(f"cancelled: all nodes empty after {time.monotonic() - begin:.1f} s")
    statuses = [result.outcome.status.value for result in job.report().results]
    assert set(statuses) <= {"cancelled", "skipped"}
    assert statuses.count("cancelled") >= 1


def test_cancelled_it_keeps_what_was_measured_and_names_the_phase_of_what_runs(cluster, tmp_path):
    given = arguments(1, rounds=2)
    config = given["configs"][0]
    config.update(call="fault", fault="cancel", at="a later visit", visit_log=str(tmp_path / "v"))
    config["reached"] = str(tmp_path / "reached")
    other = {
        "model_type": "probe",
        "call": "fault",
        "fault": "cancel",
        "at": "building",
        "reached": str(tmp_path / "reached too"),
    }
    given["configs"].append(other)
    given["models"].append("m1")
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: (tmp_path / "reached").exists())
    wait_until(lambda: (tmp_path / "reached too").exists())
    time.sleep(0.5)  # what it has begun is known to this process
    job.cancel()
    assert job.wait(60)
    first, second = job.report().results
    assert first.outcome.status is Status.OK
    assert second.outcome.reason == "cancelled while building"
    assert second.outcome.node


def test_cancelled_it_reads_what_had_arrived(cluster):
    given = arguments(1, executions=["eager", "graph"], baseline="eager")
    given.pop("progress")
    has_ended, may_go_on = threading.Event(), threading.Event()

    def wait(_):
        has_ended.set()
        may_go_on.wait()

    job = nbbench.submit(**given, on_result=wait)
    has_ended.wait()
    wait_until(lambda: not tasks_of_ray())  # both cases have ended, of which one was read
    job.cancel()
    may_go_on.set()
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["ok", "ok"]


def test_more_groups_than_ray_is_given_at_once_are_all_measured(cluster, monkeypatch):
    monkeypatch.setattr("nbbench.execution.ray_cluster.cluster._MIN_AT_ONCE", 2)
    monkeypatch.setattr(Demand, "room", lambda *_: 1)
    report = nbbench.run(**arguments(7))
    assert report.speed.status.tolist() == ["ok"] * 7


def test_nothing_is_left_behind(cluster, probe):
    nbbench.close_workers()  # those of other tests, on no node
    nbbench.run(**arguments(4))
    wait_until(lambda: not workers(probe), 30)


def test_a_node_that_dies_costs_no_case(cluster):
    made, nodes = cluster
    given = arguments(8)
    for config in given["configs"]:
        config.update(call="wait", wait_s=1.0)
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    made.remove_node(nodes.pop(), allow_graceful=False)
    assert job.wait(120)
    report = job.report()
    assert [r.case.model for r in report.results] == [f"m{number}" for number in range(8)]
    assert {result.outcome.status for result in report.results} == {Status.OK}
    assert any("is gone" in notice for notice in job.progress.notices)
    nodes.append(made.add_node(num_cpus=1))


def test_sixty_four_cases_take_little_more_than_the_ideal_time(cluster):
    """Each waits two seconds, on four nodes: 32 s are ideal."""
    given = arguments(64, max_time=0.01, min_samples=3, memory=False, predict=False)
    for config in given["configs"]:
        config.update(call="wait", wait_s=0.5)  # a first call and three samples
    nbbench.run(**arguments(8))  # processes of Ray's own start
    begin = time.monotonic()
    report = nbbench.run(**given)
    taken = time.monotonic() - begin
    spent = sum(result.outcome.timing.visits[0].calls_s for result in report.results)
    ideal = spent / NODES
    print(f"64 cases of {spent / 64:.2f} s on {NODES} nodes: {taken:.1f} s, ideal {ideal:.1f}")
    assert {result.outcome.status for result in report.results} == {Status.OK}
    assert ideal / taken >= 0.9


def test_resumed_it_measures_what_no_node_has_measured(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "h.sqlite"))
    best = {"batch_sizes": "best", "latency_limit": "5 ms"}
    nbbench.run(**arguments(2))
    nbbench.run(**arguments(1, **best))
    before = len(history())
    again = nbbench.run(**arguments(3, resume=True))
    assert [result.outcome.status for result in again.results] == [Status.OK] * 3
    *old, new = [result.outcome.node for result in again.results]
    assert all(re.match(r"earlier node \d", node) for node in old)  # all four are alike
    assert re.match(r"node \d", new)
    assert all(facts.framework_version for facts in again.facts)
    (found,) = nbbench.run(**arguments(1, **best, resume=True)).results
    assert found.outcome.reason.count("tried for the best") == 1
    assert len(history()) == before + 1


def test_resumed_it_waits_for_no_node_that_others_use(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "h.sqlite"))
    monkeypatch.setattr("nbbench.execution.ray_cluster.cluster._IN_USE_S", 0.0)
    nbbench.run(**arguments(1))
    with occupied(tmp_path, NODES - 1):
        again = nbbench.run(**arguments(2, resume=True))
    assert again.speed.status.tolist() == ["ok", "ok"]
    assert again.results[0].outcome.node == "earlier node 1"  # it may be one that is in use
    assert len(history()) == 2


def test_resumed_it_can_be_cancelled_while_nodes_say_what_they_are(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "h.sqlite"))
    monkeypatch.setattr("nbbench.execution.ray_cluster.node_watch._NO_ROOM_S", 0.5)
    given = arguments(2, resume=True)
    given.pop("progress")
    with occupied(tmp_path, NODES):
        job = nbbench.submit(**given)
        wait_until(lambda: job.progress.notices)  # that nodes are in use
        job.cancel()
        assert job.wait(60)
    assert job.report().speed.status.tolist() == ["skipped", "skipped"]


def tasks_of_ray():
    """The processes of Ray, started by these tests, that measure now."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "measured_on_node" in " ".join(process.cmdline()):
                found.append(process)
    return found


def test_a_process_of_ray_that_hangs_is_a_timeout_and_costs_no_other_case(cluster, monkeypatch):
    monkeypatch.setattr("nbbench.execution.ray_cluster.cluster._SILENT_S", 2.0)
    given = arguments(2, executions=["eager", "graph"], baseline="eager", timeout=4)
    given["models"], given["configs"] = given["models"][:1], given["configs"][:1]
    given["configs"][0]["wait_s"] = 1.0
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    (stopped,) = tasks_of_ray()
    stopped.suspend()
    assert job.wait(60)
    outcomes = [result.outcome for result in job.report().results]
    assert [outcome.status for outcome in outcomes] == [Status.TIMEOUT, Status.OK]
    assert re.match(r"node \d has sent nothing for \d s while warming", outcomes[0].reason)
    wait_until(lambda: not stopped.is_running(), 30)


def test_a_process_of_ray_that_is_killed_is_no_node_that_is_gone(cluster):
    given = arguments(1)
    given["configs"][0]["wait_s"] = 1.0
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    (killed,) = tasks_of_ray()
    killed.kill()
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["ok"]
    (notice,) = [notice for notice in job.progress.notices if "again" in notice]
    assert re.match(r"the process of Ray on node \d died; 1 of 1 case begins again", notice)


def test_a_case_that_takes_its_nodes_with_it_costs_none_that_is_compared_with_it(cluster, tmp_path):
    given = arguments(1, executions=["eager", "graph"], baseline="eager")
    given["configs"][0].update(call="hang", visit_log=str(tmp_path / "visits"))
    given.pop("progress")
    job = nbbench.submit(**given)

    def has_begun(count):
        log = tmp_path / "visits"
        return log.exists() and len(log.read_text().splitlines()) == count

    for number in range(1, 5):
        wait_until(lambda number=number: has_begun(number))
        (running,) = tasks_of_ray()
        time.sleep(0.5)  # what it has begun is known to this process
        wait_until(lambda: job.progress.phase == "warming")
        if number < 4:
            running.kill()
    job.cancel()
    assert job.wait(60)
    first, second = [result.outcome for result in job.report().results]
    assert (first.status, second.status) == (Status.CRASHED, Status.CANCELLED)
    assert first.reason.endswith("died, after 3 tries on nodes of the cluster")
    assert second.phase is Phase.WARMING


def test_what_no_node_has_is_refused_at_once(cluster):
    with pytest.raises(NbbenchError, match="no node has 99 processors; the largest has 1"):
        nbbench.run(**arguments(1, num_cpus=99))


def test_while_nodes_are_in_use_a_notice_says_what_cases_wait_for(cluster, monkeypatch, tmp_path):
    monkeypatch.setattr("nbbench.execution.ray_cluster.node_watch._NO_ROOM_S", 0.5)
    given = arguments(1)
    given.pop("progress")
    with occupied(tmp_path, NODES):
        job = nbbench.submit(**given)
        sentence = "nodes that have 1 processor are in use; cases wait until one is free"
        wait_until(lambda: sentence in job.progress.notices, 60)
    assert job.wait(60)
    assert job.report().speed.status.tolist() == ["ok"]


@pytest.mark.skipif(sys.platform != "linux", reason="a node has its turns on Linux alone")
def test_a_node_that_is_larger_than_others_measures_one_case_at_a_time(cluster):
    made, _ = cluster
    large = made.add_node(num_cpus=2, resources={"large": 1})
    begin = time.monotonic()
    given = arguments(2, resources={"large": 0.001}, num_cpus=None)
    for config in given["configs"]:
        config["wait_s"] = 0.5
    report = nbbench.run(**given)
    taken = time.monotonic() - begin
    made.remove_node(large)
    spent = [result.outcome.timing.visits[0].calls_s for result in report.results]
    assert {result.outcome.status for result in report.results} == {Status.OK}
    assert len({result.outcome.node for result in report.results}) == 1
    assert taken > sum(spent)


@pytest.mark.parametrize(("num_cpus", "is_set"), [(None, False), (1, True)])
def test_threads_are_the_librarys_choice_unless_processors_are_asked_for(cluster, num_cpus, is_set):
    report = nbbench.run(**arguments(1, num_cpus=num_cpus))
    (settings,) = report.environment.loc["settings"]
    assert ("OMP_NUM_THREADS=1" in settings) == is_set
    assert ("OMP_NUM_THREADS" in settings) == is_set


def test_threads_that_a_node_is_told_stay(probe):
    given = arguments(1, address="local", num_cpus=None)
    code = "import nbbench\nprint(nbbench.run(**GIVEN).environment.loc['settings'].iloc[0])"
    ended = run_script(code, given, probe, OMP_NUM_THREADS="3")
    assert "OMP_NUM_THREADS=3" in ended.stdout


HAS_TURN = """
import sys
from nbbench.execution.turn import Turn
with Turn("cpu").taken(lambda: False, print):
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_a_node_waits_for_a_benchmark_of_its_machine_that_is_on_no_cluster(cluster):
    given = arguments(1, num_cpus=None)
    given.pop("progress")
    command = [sys.executable, "-c", HAS_TURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        beside = nbbench.run(**given, wait=False, progress=False)
        job = nbbench.submit(**given)
        wait_until(lambda: job.progress.notices, 60)
        other.stdin.close()
    assert job.wait(60)
    waits = r"node \d waits for another benchmark on its machine \(wait=False"
    assert re.match(waits, job.progress.notices[0])
    for report, is_beside in ((beside, True), (job.report(), False)):
        assert report.speed.status.tolist() == ["ok"]
        (machine,) = {facts.machine for facts in report.facts}
        assert machine.beside_another == is_beside


def test_another_cluster_than_this_process_is_connected_to_is_refused(cluster):
    made, _ = cluster
    with pytest.raises(NbbenchError, match=f"connected to the cluster '{made.address}' already"):
        nbbench.run(**arguments(1, address="10.9.9.9:1234"))
    assert nbbench.run(**arguments(1, address=made.address)).speed.status.tolist() == ["ok"]


def test_a_node_without_nbbench_is_named(cluster, monkeypatch, tmp_path):
    made, _ = cluster
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].partition(os.pathsep)[0])
    bare = made.add_node(num_cpus=1, resources={"bare": 1})
    given = arguments(1, address=made.address, resources={"bare": 1})
    script = tmp_path / "script.py"  # Ray's workers find what lies beside it
    script.write_text(f"import nbbench\nprint(nbbench.run(**{given!r}).speed.reason[0])")
    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    path = os.pathsep.join([os.environ["PYTHONPATH"], root])
    environ = {**os.environ, "PYTHONPATH": path}
    ended = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    made.remove_node(bare)
    assert re.search(r"node \S+ has no nbbench; install it there.*after 3 tries", ended.stdout)


def test_without_any_node_left_it_ends_with_rows_that_say_so(cluster, monkeypatch):
    monkeypatch.setattr("nbbench.execution.ray_cluster.node_watch._NO_NODE_S", 3.0)
    made, nodes = cluster
    given = arguments(NODES + 1)
    for config in given["configs"]:
        config["call"] = "hang"  # else it begins on one node after the other that dies
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    while nodes:
        made.remove_node(nodes.pop(), allow_graceful=False)
    assert job.wait(120)
    speed = job.report().speed
    assert set(speed.status) == {"error"}
    assert set(speed.phase) == {"starting"}  # it may pass
    assert speed.reason.str.contains("no node has a processor, and none has come within 3 s").all()
    assert any("cases wait for a node" in notice for notice in job.progress.notices)
    nodes.extend(made.add_node(num_cpus=1) for _ in range(NODES))
    made.wait_for_nodes()


def run_script(code, given, probe, **variables):
    """A process of its own that runs code in which GIVEN stands for the arguments."""
    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(probe), root]), **variables}
    ended = subprocess.run(
        [sys.executable, "-c", code.replace("GIVEN", repr(given))],
        env=environ, capture_output=True, text=True,
    )  # fmt: skip
    print(ended.stderr[-3000:])
    return ended


HEAD_DIES = """
import sys, threading, time
import nbbench, psutil, ray
from nbbench.execution.ray_cluster import connection, node_watch

node_watch._HEAD_S, connection._ANSWER_S = 2.0, 2.0
ray.init(num_cpus=1, log_to_driver=False, include_dashboard=False, address="local")
job = nbbench.submit(**GIVEN)
while job.progress.phase != "warming":
    time.sleep(0.05)
for child in psutil.Process().children(recursive=True):
    if child.name() == "gcs_server":
        child.kill()
ended = job.wait(40)
print(ended, set(job.report().speed.reason))
try:
    nbbench.run(**GIVEN, progress=False)
except nbbench.NbbenchError as error:
    print(error)
sys.stdout.flush()
"""


def test_without_the_head_of_the_cluster_it_ends_with_rows_that_say_so(probe):
    given = arguments(2)
    given["configs"][0]["wait_s"] = 1.0
    given.pop("progress")
    ended = run_script(HEAD_DIES, given, probe)
    first, second = ended.stdout.splitlines()
    assert first == "True {'the head of the cluster has not answered for 2 s'}"
    assert second.startswith("the cluster that this process is connected to has not answered")


def test_rays_shutdown_amid_a_benchmark_leaves_a_row_for_each_case(cluster):
    made, _ = cluster
    given = arguments(NODES + 2)
    for config in given["configs"]:
        config["wait_s"] = 1.0
    given.pop("progress")
    job = nbbench.submit(**given)
    wait_until(lambda: job.progress.phase == "warming")
    ray.shutdown()
    assert job.wait(60)
    ray.init(address=made.address, log_to_driver=False)
    assert job.problem == ""
    speed = job.report().speed
    assert len(speed) == NODES + 2
    assert set(speed.status) <= {"ok", "cancelled"}
    reasons = set(speed.reason[speed.status == "cancelled"])
    assert reasons == {"Ray was shut down in this process (ray.shutdown) before it had ended"}


SHUT_DOWN = """
import sys, threading, time
import nbbench, ray
from nbbench.execution.ray_cluster.cluster import _Cluster

has_begun, begin = threading.Event(), _Cluster._begin
_Cluster._begin = lambda *arguments: (has_begun.set(), begin(*arguments))
for delay in (0.0, 0.05, 0.1, 0.3):
    ray.init(num_cpus=1, log_to_driver=False, include_dashboard=False, address="local")
    job = nbbench.submit(**GIVEN)
    has_begun.wait()
    time.sleep(delay)
    ray.shutdown()
    ended = job.wait(40)
    has_begun.clear()
    speed = job.report().speed
    print(ended, len(speed), set(speed.status) <= {"ok", "cancelled", "skipped"}, job.problem)
    assert not ray.is_initialized()
"""


def test_rays_shutdown_at_the_begin_of_a_benchmark_leaves_rows_too(probe):
    given = arguments(150)
    given.pop("progress")
    ended = run_script(SHUT_DOWN, given, probe)
    assert ended.stdout.splitlines() == ["True 150 True "] * 4
    assert ended.returncode == 0


def test_a_cluster_that_was_started_by_hand_with_a_token_is_as_documented(probe, tmp_path):
    """The recipe of docs/clusters.md; the cluster ends with its own process, and no other does."""
    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    environ = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(probe), root]), "RAY_AUTH_TOKEN": "t" * 64,
        "RAY_AUTH_MODE": "token",
    }  # fmt: skip
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    options = ["--port", str(port), "--num-cpus", "1", "--include-dashboard=false", "--block"]
    start = os.path.join(os.path.dirname(sys.executable), "ray"), "start", "--head", *options
    head = subprocess.Popen(start, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    given = arguments(1, address=f"127.0.0.1:{port}")
    code = f"import nbbench\nprint(nbbench.run(**{given!r}).speed.status[0])"

    def run(**changes):
        return subprocess.run(
            [sys.executable, "-c", code], env={**environ, **changes}, capture_output=True, text=True
        )

    try:
        wait_until(lambda: "ok" in run().stdout, 60)
        assert "wants a token; set RAY_AUTH_MODE=token" in run(RAY_AUTH_MODE="disabled").stderr
        assert "wants a token" in run(RAY_AUTH_TOKEN="u" * 64).stderr
    finally:
        head.terminate()
        head.wait(60)


LONG = ["--rounds", "1", "--max-time", "5", "--min-samples", "900", "--executor", "ray"]


def test_a_signal_ends_a_run_in_good_order(tmp_path):
    saved = tmp_path / "r.json"
    argv = ["run", "bert-tiny", "-b", "1", "2", "3", "-s", "8", *LONG, "--address", "local"]
    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    running = subprocess.Popen(
        [sys.executable, "-m", "nbbench", *argv, "--save", saved],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root,
    )  # fmt: skip
    wait_until(saved.exists, 100)
    running.terminate()
    begin = time.monotonic()
    out, err = running.communicate(timeout=60)
    print(f"ended {time.monotonic() - begin:.1f} s after the signal")
    assert running.returncode == 130
    assert "cancelled" in out or "skipped" in out
    assert "StackTrace" not in err + out
    assert "*** SIG" not in err + out


def test_a_second_benchmark_finds_the_cluster_that_ray_made_for_the_first(probe):
    root = os.path.dirname(os.path.dirname(nbbench.__file__))
    given = arguments(1, address="local")
    code = f"import nbbench\nfor _ in '12': print(nbbench.run(**{given!r}).speed.status[0])"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(probe), root])},
    )  # fmt: skip
    assert ended.stdout.split() == ["ok", "ok"]
