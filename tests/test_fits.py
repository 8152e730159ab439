"""What fits on a host: never, always, or by luck."""

from collections import Counter
from typing import Any

import pytest

from ecsroll.fits import Crowd, Load, Space, always_fits, larger, never_fits, smaller

HOST = Space(cpu=2048, memory=8000, gpus=1, enis=2, taken=frozenset({(22, "tcp")}))
SMALL = Space(cpu=1024, memory=4000, gpus=0, enis=2)


def tasks(count: int, name: str = "api", *, alone: bool = False, port: int = 0, **load: Any) -> Crowd:
    ports = frozenset({(port, "tcp")}) if port else frozenset()
    return Crowd(name=name, count=count, alone=alone, load=Load(ports=ports, **load))


def hosts(number: int, space: Space = HOST) -> Counter[Space]:
    return Counter({space: number})


# Never

NEVER = {
    "four halves fit on two hosts": ([tasks(4, cpu=1000)], hosts(2), {}),
    "four halves do not fit on one": ([tasks(4, cpu=1000)], hosts(1), {"api": ("cpu", 4, 2)}),
    "memory is short": ([tasks(3, memory=5000)], hosts(2), {"api": ("memory", 3, 2)}),
    "a host has one GPU": ([tasks(3, gpus=1, cpu=1)], hosts(2), {"api": ("gpus", 3, 2)}),
    "a host has two network interfaces to spare": ([tasks(5, enis=1)], hosts(2), {"api": ("enis", 5, 4)}),
    "three that keep apart need three hosts": (
        [tasks(3, alone=True, cpu=1)],
        hosts(2),
        {"api": ("one_a_host", 3, 2)},
    ),
    "two that keep apart fit on two hosts": ([tasks(2, alone=True, cpu=1)], hosts(2), {}),
    "two services that want the same port share the hosts": (
        [tasks(1, "a", port=80), tasks(2, "b", port=80)],
        hosts(2),
        {"a": ("one_a_host", 3, 2), "b": ("one_a_host", 3, 2)},
    ),
    "two services with ports of their own do not": ([tasks(2, "a", port=80), tasks(2, "b", port=81)], hosts(2), {}),
    "the port of the agent is taken everywhere": ([tasks(1, port=22)], hosts(2), {"api": ("one_a_host", 1, 0)}),
    "each alone would fit, both do not": (
        [tasks(2, "a", cpu=1100), tasks(1, "b", cpu=1200)],
        hosts(2),
        {"b": ("cpu", 3, 2)},
    ),
    "small ones beside large ones": ([tasks(2, "a", cpu=1100), tasks(2, "b", cpu=900)], hosts(2), {}),
    "thirds: two fit on a host": (
        [tasks(2, "a", cpu=700), tasks(3, "b", cpu=690)],
        hosts(2),
        {"a": ("cpu", 5, 4)},
    ),
    "all of them together are too much": (
        [tasks(3, "a", cpu=1000), tasks(5, "b", cpu=300)],
        hosts(2),
        {"a": ("cpu", 8, 7)},
    ),
    "a large and a small host hold three": ([tasks(3, cpu=1000)], hosts(1) + hosts(1, SMALL), {}),
    "and not four": ([tasks(4, cpu=1000)], hosts(1) + hosts(1, SMALL), {"api": ("cpu", 4, 3)}),
    "without hosts nothing fits": ([tasks(1, cpu=1)], hosts(0), {"api": ("cpu", 1, 0)}),
    "tasks that take nothing fit anywhere": ([tasks(99)], hosts(1), {}),
}


@pytest.mark.parametrize("name", NEVER)
def test_what_can_not_fit_is_named_with_its_numbers(name: str) -> None:
    crowds, there, wanted = NEVER[name]
    found = never_fits(crowds, there)
    assert {each: (tight.kind, tight.tasks, tight.places) for each, tight in found.items()} == wanted


# Always

HALF = tasks(1, "one", cpu=1000)
HOSTS_OF_BOTH = hosts(1) + hosts(1, SMALL)
ALWAYS = {
    "nothing is in the way": (HALF, [], hosts(1), True),
    "three other halves on two hosts leave one": (HALF, [tasks(3, cpu=1000)], hosts(2), True),
    "four other halves on two hosts leave none": (HALF, [tasks(4, cpu=1000)], hosts(2), False),
    "three small ones can shut one host of two": (HALF, [tasks(3, cpu=400)], hosts(2), True),
    "six small ones can shut both": (HALF, [tasks(6, cpu=400)], hosts(2), False),
    "five can not, though their sum could": (HALF, [tasks(5, cpu=400)], hosts(2), True),
    "a task that is more than enough shuts the host that it is on, and no other": (
        HALF,
        [tasks(1, cpu=2048)],
        hosts(2),
        True,
    ),
    "CPU shuts one, memory the other": (
        tasks(1, "one", cpu=1000, memory=4500),
        [tasks(1, "a", cpu=1500), tasks(1, "b", memory=5000)],
        hosts(2),
        False,
    ),
    "its own tasks keep it from their hosts": (tasks(3, "one", alone=True, cpu=1), [], hosts(2), False),
    "and leave it the last one": (tasks(2, "one", alone=True, cpu=1), [], hosts(2), True),
    "another service has the port on each host": (
        tasks(1, "one", port=80),
        [tasks(2, "other", port=80)],
        hosts(2),
        False,
    ),
    "another service has another port": (tasks(1, "one", port=80), [tasks(2, "other", port=81)], hosts(2), True),
    "one GPU each, and another task has it": (tasks(1, "one", gpus=1), [tasks(2, gpus=1)], hosts(2), False),
    "interfaces are left": (tasks(1, "one", enis=1), [tasks(3, enis=1)], hosts(2), True),
    "no interface is left": (tasks(1, "one", enis=1), [tasks(4, enis=1)], hosts(2), False),
    "the small host is shut first": (HALF, [tasks(1, cpu=100)], hosts(1, SMALL) + hosts(1), True),
    "both are shut": (HALF, [tasks(1, cpu=100), tasks(1, "b", cpu=1200)], hosts(1, SMALL) + hosts(1), False),
    "a host that is too small does not count": (tasks(1, "one", cpu=2000), [], hosts(3, SMALL), False),
    "nothing that runs can shut a large or a small host": (tasks(2, "one", alone=True, cpu=1), [], HOSTS_OF_BOTH, True),
    "a task that takes nothing": (tasks(1, "one"), [tasks(9, cpu=2048)], hosts(1), True),
}


@pytest.mark.parametrize("name", ALWAYS)
def test_room_that_no_placement_can_take_away(name: str) -> None:
    crowd, others, there, wanted = ALWAYS[name]
    beside: Counter[Load] = Counter()
    for other in others:
        beside[other.load] += other.count
    assert always_fits(crowd, beside, there) is wanted


def test_the_smaller_and_the_larger_of_two_hosts() -> None:
    odd = Space(cpu=4096, memory=2000, gpus=0, enis=3, taken=frozenset({(80, "tcp")}))
    assert smaller(HOST, odd) == Space(cpu=2048, memory=2000, enis=2, taken=frozenset({(22, "tcp"), (80, "tcp")}))
    assert larger(HOST, odd) == Space(cpu=4096, memory=8000, gpus=1, enis=3)
