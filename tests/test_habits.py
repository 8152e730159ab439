"""What is learned of durations: from which traces, with which spread, and what is said of it where there are none."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecsroll.facts import activity_facts, definition_facts, service_facts, target_group_facts, task_facts
from ecsroll.habits import Habit, learn
from ecsroll.terrain import ActivityFacts, GroupFacts, HostFacts, Resources, TaskFacts, Terrain

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DEFINITION = "arn:aws:ecs:eu-west-1:1:task-definition/api:3"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def launch(began: float, took: float, instance: str = "i-0a", cause: str = "") -> ActivityFacts:
    return activity_facts(
        {
            "Description": f"Launching a new EC2 instance: {instance}",
            "Cause": cause,
            "StatusCode": "Successful",
            "StartTime": at(began),
            "EndTime": at(began + took),
        }
    )


def group(*activities: ActivityFacts) -> GroupFacts:
    return GroupFacts(
        name="web",
        arn="arn:web",
        types=(),
        templates=(),
        subnets=(),
        activities=activities,
        refreshes=(),
        hooks=(),
        warm_pool=None,
        suspended={},
        scheduled=(),
        max_lifetime=None,
        operator=None,
        provider=None,
    )


def host(name: str, launched: float, registered: float) -> HostFacts:
    return HostFacts(
        id=name,
        arn=f"arn:ci/{name}",
        group="web",
        type="m5.large",
        zone="a",
        subnet="",
        image=None,
        status="ACTIVE",
        connected=True,
        agent="",
        runtime="",
        registered=Resources(),
        remaining=Resources(),
        attributes={},
        registered_at=at(registered),
        launched_at=at(launched),
    )


def task(name: str, *, service: str | None = "api", stop_code: str = "", **moments: float) -> TaskFacts:
    members = {
        "created": "createdAt",
        "started": "startedAt",
        "stopping": "stoppingAt",
        "ended": "executionStoppedAt",
    }
    said: dict[str, Any] = {members[key]: at(value) for key, value in moments.items()}
    said |= {"taskArn": name, "taskDefinitionArn": DEFINITION, "stopCode": stop_code}
    return task_facts({**said, "group": f"service:{service}" if service else "family:api"}, frozenset())


def terrain(
    *,
    groups: Iterable[GroupFacts] = (),
    hosts: Iterable[HostFacts] = (),
    tasks: Iterable[TaskFacts] = (),
    delay: int = 0,
) -> Terrain:
    balancers = [{"targetGroupArn": "arn:tg"}] if delay else []
    service = service_facts(
        {"serviceName": "api", "serviceArn": "arn:api", "taskDefinition": DEFINITION, "loadBalancers": balancers}
    )
    containers = [{"name": "app", "memory": 64, "stopTimeout": 20}]
    definition = definition_facts({"taskDefinitionArn": DEFINITION, "containerDefinitions": containers})
    said = {"TargetGroupArn": "arn:tg", "TargetGroupName": "api-targets", "HealthCheckIntervalSeconds": 12}
    target_group = target_group_facts(said, {"deregistration_delay.timeout_seconds": str(delay)}, {})
    return Terrain(
        at=NOW,
        cluster="prod",
        hosts={each.arn: each for each in hosts},
        types={},
        definitions={DEFINITION: definition},
        services={"api": service},
        tasks={each.arn: each for each in tasks},
        target_groups={"arn:tg": target_group} if delay else {},
        groups={each.name: each for each in groups},
    )


def learned(what: Any, subject: str, **ground: Any) -> Habit:
    return learn(terrain(**ground)).find(what, subject)


# Hosts -----------------------------------------------------------------------------------------------------------


def test_boots_are_learned_from_launches_and_registrations_from_what_followed() -> None:
    launches = [launch(-day * 86400, 60, f"i-{day}") for day in range(1, 7)]
    hosts = [host(f"i-{day}", -day * 86400, -day * 86400 + 60 + 25) for day in range(1, 7)]
    boot = learned("boot", "web", groups=[group(*launches)], hosts=hosts)
    assert boot.mean == pytest.approx(60.5)
    assert (boot.samples, boot.known) == (6, True)
    assert boot.source == "from 6 launches of web in 6 days"
    assert learned("registration", "web", groups=[group(*launches)], hosts=hosts).mean == pytest.approx(25)


def test_without_activities_the_hosts_that_are_there_tell_the_whole() -> None:
    hosts = [host("i-1", -9000, -8900), host("i-2", -8000, -7880)]
    boot, registration = (learned(what, "web", groups=[group()], hosts=hosts) for what in ("boot", "registration"))
    assert boot.mean + registration.mean == pytest.approx(110)
    assert "from their launch to their registration" in boot.source


def test_a_host_that_registered_long_after_its_launch_is_no_usual_one() -> None:
    hosts = [host(f"i-{number}", -9000, -8900) for number in range(4)]
    hosts.append(host("i-late", -90000, -300))
    boot = learned("boot", "web", groups=[group()], hosts=hosts)
    assert boot.mean == pytest.approx(50)
    assert boot.samples == 4


def test_an_instance_that_was_started_again_after_it_registered_tells_nothing() -> None:
    assert not learned("boot", "web", groups=[group()], hosts=[host("i-1", -100, -9000)]).known


def test_a_group_without_a_past_gets_a_usual_value_and_it_is_said() -> None:
    boot = learned("boot", "web", groups=[group()])
    assert not boot.known
    assert boot.source == "nothing is known: a usual value"
    assert boot.low < boot.mean < boot.high


CHANGED = "At 2026-11-20T10:00:00Z a user request explicitly set group desired capacity changing the desired capacity"
STARTED = "At 2026-11-20T10:00:{}Z an instance was started in response to a difference"
CAUSES = [
    pytest.param(f"{CHANGED} from 3 to 4.  {STARTED.format('07')}", 7, id="a change, and the launch that it caused"),
    pytest.param(STARTED.format("07"), None, id="a launch that replaces a host tells no lag"),
    pytest.param("", None, id="no cause"),
]


@pytest.mark.parametrize(("cause", "lag"), CAUSES)
def test_how_soon_a_group_reacts_stands_in_the_causes(cause: str, lag: float | None) -> None:
    reaction = learned("reaction", "web", groups=[group(launch(-100, 60, cause=cause))])
    assert reaction.known is (lag is not None)
    if lag is not None:
        assert reaction.mean == lag


AGES = [
    pytest.param(1800, "in the last hour"),
    pytest.param(5 * 3600, "in 5 hours"),
    pytest.param(9 * 86400, "in 9 days"),
    pytest.param(40 * 86400, "in 6 weeks"),
]


@pytest.mark.parametrize(("age", "words"), AGES)
def test_how_far_back_it_was_looked_is_said(age: float, words: str) -> None:
    ground = {"groups": [group(launch(-age, 50))], "hosts": [host("i-0a", -age, -age + 70)]}
    assert learned("boot", "web", **ground).source == f"from 1 launches of web {words}"


# Tasks -----------------------------------------------------------------------------------------------------------


def test_starts_are_learned_from_the_tasks_that_run() -> None:
    tasks = [task(f"t{number}", created=-900, started=-900 + 20 + number) for number in range(5)]
    start = learned("start", "api", tasks=tasks)
    assert start.mean == pytest.approx(22)
    assert start.source == "from 5 tasks of api"


def test_stops_are_learned_without_the_time_that_its_targets_took_to_leave() -> None:
    tasks = [task("t1", created=-900, started=-890, stopping=-500, ended=-500 + 40 + 8)]
    stop = learned("stop", "api", tasks=tasks, delay=40)
    assert stop.mean == pytest.approx(8)
    assert "stopped in the last hour" in stop.source


IGNORED = [
    pytest.param({"stop_code": "EssentialContainerExited"}, id="it ended by itself"),
    pytest.param({"service": "gone"}, id="its service, and so its targets' delay, is not known"),
]


@pytest.mark.parametrize("how", IGNORED)
def test_stops_that_tell_nothing_are_left_out(how: dict[str, Any]) -> None:
    tasks = [task("t1", created=-900, started=-890, stopping=-500, ended=-450, **how)]
    assert not learned("stop", "api", tasks=tasks).known


def test_where_none_has_stopped_the_stop_timeout_bounds_it() -> None:
    stop = learned("stop", "api")
    assert (stop.low, stop.high, stop.known) == (1, 20, False)
    assert "its stop timeout is 20s" in stop.source


def test_settings_of_target_groups_are_taken_as_they_are() -> None:
    assert learned("deregistration", "api-targets", delay=45).span() == (45, 45)
    health = learned("health", "api-targets", delay=45)
    assert (health.low, health.high) == (2, 12)


# Numbers ---------------------------------------------------------------------------------------------------------


def test_few_values_are_known_less_well_than_many() -> None:
    few, many = (
        learned("start", "api", tasks=[task(f"t{n}", created=-900, started=-880 + n % 2) for n in range(count)])
        for count in (2, 40)
    )
    assert few.error > 5 * many.error


def test_a_lean_moves_the_middle_and_keeps_the_spread() -> None:
    habit = learned("start", "api", tasks=[task(f"t{n}", created=-900, started=-880 + n) for n in range(9)])
    (low, high), (slow_low, slow_high) = habit.span(), habit.span(1)
    assert slow_low - low == pytest.approx(habit.error)
    assert slow_high - slow_low == pytest.approx(high - low)


def test_durations_are_never_negative() -> None:
    habit = learned("stop", "api")
    low, high = habit.span(-1)
    assert 0 < low <= high


def test_who_asks_for_what_was_never_learned_is_told() -> None:
    with pytest.raises(KeyError):
        learned("boot", "nobody")
