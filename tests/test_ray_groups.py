"""What is known of cases on a cluster while they are on their way, which needs no Ray."""

from __future__ import annotations

import dataclasses
import time

import pytest

from nbbench.execution.events import CaseEnded, CaseEvent, CaseVisited
from nbbench.execution.ray_cluster import node_watch
from nbbench.execution.ray_cluster.demand import Demand
from nbbench.execution.ray_cluster.groups import Group, groups_of
from nbbench.execution.ray_cluster.node import Sender
from nbbench.execution.ray_cluster.node_watch import NodeWatch
from nbbench.machine.machine import MachineFacts
from nbbench.worker.case import Case, Outcome, Phase, Status
from nbbench.worker.messages import PhaseChanged
from tests.conftest import wait_until

CASE = Case("probe", "m", {"model_type": "probe"}, "given", 1, 8)
SENDER = Sender("abc", 1, 0.0, MachineFacts())
ASKED = Demand({"CPU": 2.0})


def node(cpus, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus}}


def test_cases_are_grouped_only_where_they_are_compared():
    one = CASE
    other = dataclasses.replace(one, execution="graph")
    larger = dataclasses.replace(one, batch_size=2)
    assert groups_of([one, other, larger], compared=False) == [[one], [other], [larger]]
    assert groups_of([one, other, larger], compared=True) == [[one, other], [larger]]


def test_what_hangs_in_a_search_is_the_case_that_is_searched_for():
    searched = dataclasses.replace(CASE, searched="batch_size")
    longer = dataclasses.replace(searched, sequence_length=16)
    group = Group([CASE, searched, longer])
    group.follow(CaseEnded(CASE, Outcome(Status.OK)))
    tried = dataclasses.replace(longer, batch_size=64, searched="", speed=False)
    group.follow(CaseEvent(tried, PhaseChanged(Phase.BUILDING)))
    assert group.current is longer
    assert group.cancel(searched).outcome.status is Status.SKIPPED
    group.ended.clear()
    end = group.end_silent()
    assert (end.case, end.outcome.status) == (longer, Status.TIMEOUT)
    assert "while building" in end.outcome.reason
    assert group.left == [CASE, searched]


def test_what_a_search_has_measured_stays_that_of_the_size_it_found():
    searched = dataclasses.replace(CASE, searched="batch_size")
    found = dataclasses.replace(CASE, batch_size=45)
    outcome = Outcome(Status.OK, "found by 9 runs: 45 fits")
    for end in (
        lambda group: group.end(searched, Outcome(Status.CRASHED, "node 1 is gone")),
        lambda group: group.end_silent(),
        lambda group: group.cancel(searched),
    ):
        group = Group([searched], node="node 1", silent_s=30.0)
        group.follow(CaseVisited(searched, outcome, found=found))
        ended = end(group)
        assert (ended.case, ended.found, ended.result.case) == (searched, found, found)
        assert ended.outcome.status is Status.OK
        assert ended.outcome.reason.startswith(outcome.reason)
    assert group.end(searched, Outcome(Status.ERROR, "b")).outcome.reason.endswith("fits; b")


def test_a_group_that_begins_again_knows_nothing_of_the_node_before():
    group = Group([CASE])
    group.begin()
    group.node, group.sender, group.makes_environment = "node 1", SENDER, True
    group.follow(CaseEvent(CASE, PhaseChanged(Phase.WARMING)))
    group.silent_s, group.makes_environment = 3.0, True
    group.begin()
    assert (group.tries, group.node, group.sender, group.current) == (2, "", None, None)
    assert (group.silent_s, group.phase, group.makes_environment) == (0.0, Phase.STARTING, False)


@pytest.mark.parametrize(
    ("lost_with", "given_up"),
    [([1, 1, 1], [1]), ([0, 0, 1], [0, 1]), ([0, None, 0], [0, 1]), ([None] * 3, [0, 1])],
)
def test_the_case_that_ran_each_time_that_nodes_were_lost_ends_alone(lost_with, given_up):
    cases = [CASE, dataclasses.replace(CASE, execution="graph")]
    group = Group(cases, tries=3)
    group.lost_with = [None if number is None else cases[number] for number in lost_with]
    assert group.give_up() == [cases[number] for number in given_up]
    assert (group.tries, group.lost_with) == (0, [])


@pytest.mark.parametrize("status", [Status.CRASHED, Status.ERROR, Status.TIMEOUT])
def test_visits_that_were_measured_outlive_their_nodes(status):
    group = Group([CASE], node="node 2")
    lost = Outcome(status, "node 2 is gone")
    assert group.end(CASE, lost).outcome == dataclasses.replace(lost, node="node 2")
    group.follow(CaseVisited(CASE, Outcome(Status.OK, build_s=1.0, node="node 1")))
    found = group.end(CASE, lost).outcome
    assert (found.status, found.build_s, found.node) == (Status.OK, 1.0, "node 1")
    assert found.reason == "node 2 is gone"


def test_the_room_of_a_cluster_is_that_of_its_living_nodes():
    assert ASKED.room([node(5), node(2), node(1), node(8, alive=False)]) == 3
    assert Demand({"CPU": 0.5}).room([node(2)]) == 4
    assert Demand({}).room([node(2), node(4)]) == 2
    assert Demand({"CPU": 1e-320}).room([node(2)]) > 1


class RayThatFails:
    """A cluster whose head answers every other question with an error."""

    def __init__(self):
        self.asked = 0

    def nodes(self):
        self.asked += 1
        if self.asked % 2:
            raise RuntimeError("try again")
        return [node(4), node(4)]


def test_a_head_that_answers_with_an_error_is_asked_again(monkeypatch):
    monkeypatch.setattr(node_watch, "_LOOK_AT_NODES_S", 0.0)
    monkeypatch.setattr(node_watch, "_HEAD_S", 0.5)
    monkeypatch.setattr(node_watch, "of_ray", lambda ray, name: getattr(ray, name))
    ray = RayThatFails()
    watch = NodeWatch(ray, ASKED, 60.0, [node(2)])
    assert watch.room == 1

    def has_grown():
        assert not list(watch.look(runs=True))
        return watch.room == 4

    wait_until(has_grown, 10)
    assert ray.asked >= 2
    assert not watch.problem


def test_a_head_that_answers_with_errors_alone_is_gone(monkeypatch):
    monkeypatch.setattr(node_watch, "_LOOK_AT_NODES_S", 0.0)
    monkeypatch.setattr(node_watch, "_HEAD_S", 0.3)
    monkeypatch.setattr(node_watch, "of_ray", lambda ray, name: 1 / 0)
    watch = NodeWatch(None, ASKED, 60.0, [node(2)])
    wait_until(lambda: list(watch.look(runs=True)) or watch.problem, 10)
    assert watch.problem == "the head of the cluster has answered with errors for 0.3 s"
    assert not watch.has_head


def test_a_head_that_is_silent_is_gone(monkeypatch):
    monkeypatch.setattr(node_watch, "_LOOK_AT_NODES_S", 0.0)
    monkeypatch.setattr(node_watch, "_HEAD_S", 0.3)
    monkeypatch.setattr(node_watch, "of_ray", lambda ray, name: lambda: time.sleep(5))
    watch = NodeWatch(None, ASKED, 60.0, [node(2)])

    def is_known():
        assert not list(watch.look(runs=True))
        return watch.problem

    wait_until(is_known, 4)
    assert watch.problem == "the head of the cluster has not answered for 0.3 s"
    assert not watch.has_head
