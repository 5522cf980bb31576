"""A sweep on a cluster of Ray: four nodes on this machine, each with a processor of its own."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time

import psutil
import pytest

import nbbench
from nbbench import ArgumentError
from nbbench.execution.ray_cluster import groups_of
from nbbench.history_database.search import history
from nbbench.worker.case import Case, Status
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
        "max_time": 0.05, "executor": "ray", "progress": False, **changes,
    }  # fmt: skip


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


def test_cases_that_are_compared_stay_on_one_node(cluster):
    report = nbbench.run(**arguments(2, executions=["eager", "graph"], baseline="eager", rounds=3))
    by_model = {}
    for result in report.results:
        by_model.setdefault(result.case.model, set()).add(result.outcome.node)
    assert all(len(nodes) == 1 for nodes in by_model.values())


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


def test_more_groups_than_ray_is_given_at_once_are_all_measured(cluster, monkeypatch):
    monkeypatch.setattr("nbbench.execution.ray_cluster._groups_at_once", lambda *_: 2)
    report = nbbench.run(**arguments(7))
    assert report.speed.status.tolist() == ["ok"] * 7


def test_nothing_is_left_behind(cluster, probe):
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


def test_cases_are_grouped_only_where_they_are_compared():
    one = Case("probe", "m", {"model_type": "probe"}, "given", 1, 8)
    other = dataclasses.replace(one, execution="graph")
    larger = dataclasses.replace(one, batch_size=2)
    assert groups_of([one, other, larger], compared=False) == [[one], [other], [larger]]
    assert groups_of([one, other, larger], compared=True) == [[one, other], [larger]]


def test_arguments_of_a_cluster_without_one_are_refused():
    with pytest.raises(ArgumentError, match="num_cpus"):
        nbbench.run("m", num_cpus=2)


def test_a_cluster_that_is_not_there_is_a_sentence():
    code = (
        "import nbbench\n"
        "nbbench.run('bert-tiny', executor='ray', address='127.0.0.1:1', progress=False)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot be reached" in ended.stderr


def test_resumed_it_measures_what_no_node_has_measured(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("NBBENCH_HISTORY", str(tmp_path / "h.sqlite"))
    best = {"batch_sizes": "best", "latency_limit": "5 ms"}
    nbbench.run(**arguments(2))
    nbbench.run(**arguments(1, **best))
    before = len(history())
    again = nbbench.run(**arguments(3, resume=True))
    assert [result.outcome.status for result in again.results] == [Status.OK] * 3
    (found,) = nbbench.run(**arguments(1, **best, resume=True)).results
    assert found.outcome.reason.count("tried for the best") == 1
    assert len(history()) == before + 1
