"""What a resumed sweep on a cluster takes from the history, which needs no Ray."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from nbbench.execution.ray_cluster.machines import Machines
from nbbench.execution.ray_cluster.node import NodeIntroduced, of_any_gpu
from nbbench.execution.resume import EarlierRuns
from nbbench.history_database.store import HistoryStore
from nbbench.machine.gpus import GpuFacts
from nbbench.machine.machine import describe_machine
from nbbench.plan.result import Result
from nbbench.report.environment import WorkerFacts
from nbbench.worker.case import Case, Outcome, Phase, Status
from tests.kept_history import file

__all__ = ["file"]  # a fixture

CASE = Case("probe", "m", {"model_type": "probe"}, "given", 1, 8, rounds=1)
OTHER = replace(CASE, batch_size=2)
MEASURED = Outcome(Status.OK, device="cpu", device_name="a processor", node="node 1")
HERE = describe_machine()
NODE = replace(HERE, cpu="a processor")
WORKER = WorkerFacts({"framework_version": "1", "settings": ""}, machine=NODE)


def kept(file, worker=WORKER, **outcomes):
    """A run that has kept what became of cases: of `CASE`, and of `OTHER` if that is given."""
    store = HistoryStore(file, HERE)
    for name, case in (("first", CASE), ("other", OTHER)):
        if name in outcomes:
            store.add(Result(case, outcomes[name]), worker)
    store.close()


def machines(file, *workers):
    """The machines of a cluster: node 1, node 2, … with a worker each."""
    found = Machines(EarlierRuns(file, ()))
    for number, worker in enumerate(workers, 1):
        key = CASE.framework, CASE.environment
        found.add(f"node {number}", NodeIntroduced(worker.machine, {key: worker}))
    return found


def test_what_a_machine_of_the_cluster_has_measured_is_taken_with_what_was_known_of_it(file):
    load = replace(NODE, cpu_load_1min=17.0)
    kept(file, replace(WORKER, machine=load), first=MEASURED)
    ended = machines(file, WORKER).find(CASE, own_process=True)
    assert (ended.case, ended.is_old, ended.outcome) == (CASE, True, MEASURED)
    assert ended.worker == replace(WORKER, machine=load)


@pytest.mark.parametrize(
    "now",
    [
        replace(WORKER, machine=replace(NODE, cpu="another processor")),
        replace(WORKER, machine=replace(NODE, nbbench_version="0.0")),
        replace(WORKER, values={**WORKER.values, "framework_version": "2"}),
    ],
)
def test_what_another_machine_or_version_has_measured_is_not_taken(file, now):
    kept(file, first=MEASURED)
    assert machines(file, now).find(CASE, own_process=True) is None
    assert machines(file, now, WORKER).find(CASE, own_process=True).outcome.status is Status.OK


def test_what_another_gpu_has_measured_is_not_taken(file):
    kept(file, first=replace(MEASURED, device="cuda", device_name="A100"))
    one, other = (replace(WORKER, gpu=GpuFacts(gpu=name)) for name in ("A100", "T4"))
    assert machines(file, other).find(CASE, own_process=True) is None
    assert machines(file, other, one).find(CASE, own_process=True) is not None


def test_how_a_cluster_ended_and_what_was_measured_on_none_is_not_taken(file):
    lost = Outcome(Status.ERROR, "the head of the cluster has not answered", node="node 1")
    unprepared = Outcome(Status.ERROR, "no uv", Phase.PREPARING, node="node 1")
    kept(file, None, first=lost, other=unprepared)
    found = machines(file, WORKER)
    assert found.find(CASE, own_process=True) is None
    assert found.find(OTHER, own_process=True) is None
    kept(file, first=replace(MEASURED, node=""))
    assert found.find(CASE, own_process=True) is None


@pytest.mark.parametrize("of_node", [MEASURED, Outcome(Status.CRASHED, node="node 1")])
def test_what_a_node_has_measured_serves_no_run_on_one_machine(file, of_node):
    """The node may be just like this machine, which has a processor and no GPU."""
    here = replace(MEASURED, node="")
    kept(file, replace(WORKER, machine=None), first=here)
    kept(file, replace(WORKER, machine=HERE), first=of_node, other=of_node)
    earlier = EarlierRuns(file, ())
    found = [
        earlier.find(case, replace(WORKER, machine=None), own_process=True)
        for case in (CASE, OTHER)
    ]
    assert [each and each.outcome for each in found] == [here, None]


def test_a_node_of_before_has_the_name_of_the_machine_that_it_is(file):
    other = replace(WORKER, machine=replace(NODE, cpu="another processor"))
    kept(file, first=MEASURED, other=MEASURED)
    found = machines(file, other, WORKER)
    names = [found.find(case, own_process=True).outcome.node for case in (CASE, OTHER)]
    assert names == ["node 2", "node 2"]


def test_no_two_machines_have_one_name(file):
    """Of machines that are alike none can be known to be that of before."""
    two = {"first": replace(MEASURED, node="node 3"), "other": MEASURED}
    kept(file, **two)

    def names(found):
        return [found.find(case, own_process=True).outcome.node for case in (CASE, OTHER)]

    assert names(machines(file, WORKER, WORKER)) == ["earlier node 1", "earlier node 2"]
    assert names(machines(file, WORKER)) == ["earlier node 1", "earlier node 2"]
    kept(file, other=MEASURED)  # of another run, whose node 1 may be another machine
    assert names(machines(file, WORKER, WORKER)) == ["earlier node 1", "earlier node 2"]
    assert names(machines(file, WORKER)) == ["earlier node 1", "node 1"]


def test_no_machine_has_the_name_of_one_while_another_has_not_said_what_it_is(file):
    kept(file, first=MEASURED, other=MEASURED)
    found = machines(file, WORKER)
    found.asked = 2
    names = [found.find(case, own_process=True).outcome.node for case in (CASE, OTHER)]
    assert names == ["earlier node 1", "earlier node 1"]


def test_a_damaged_row_may_be_of_another_machine(file):
    kept(file, first=MEASURED, other=MEASURED)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE cases SET content = 'x' WHERE batch_size = 2")
    ended = machines(file, WORKER).find(CASE, own_process=True)
    assert ended.outcome.node == "earlier node 1"


def test_a_row_whose_machine_is_not_as_its_hash_says_is_of_a_node_of_before(file):
    """An import takes both from its file."""
    kept(file, first=MEASURED)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE runs SET machine = replace(machine, 'a processor', 'another')")
    ended = machines(file, WORKER).find(CASE, own_process=True)
    assert ended.outcome.node == "earlier node 1"


def test_which_gpus_of_its_node_a_task_has_is_no_part_of_the_environment():
    def settings(text):
        return of_any_gpu(WorkerFacts({"settings": text})).values["settings"]

    threads = "OMP_NUM_THREADS=4"
    assert settings(f"CUDA_VISIBLE_DEVICES=3, {threads}") == (
        f"CUDA_VISIBLE_DEVICES=1 GPU, {threads}"
    )
    assert settings("CUDA_VISIBLE_DEVICES=2,3") == "CUDA_VISIBLE_DEVICES=2 GPUs"
    for unchanged in ("", threads, f"CUDA_VISIBLE_DEVICES=, {threads}"):
        assert settings(unchanged) == unchanged
