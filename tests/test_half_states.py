"""A roll that was cut off between two calls that belong together: the next life goes on from exactly there.

Each row names the state, and the call around which the first life is killed; the state is looked at before the second
life begins, so that a row is about what it says.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from tests.rolls import stage_of
from tests.scenarios import group_of, hosts_of
from tests.test_crash_matrix import Life, finished
from tests.watch import Watch

POLICY = Policy(canary=1, good_readings=1, by="anna@laptop")


def is_call(operation: str, **said: Any) -> Callable[[Call], bool]:
    """The first call of that operation with these parameters."""

    def fits(call: Call) -> bool:
        return call.operation == operation and all(call.params.get(name) == value for name, value in said.items())

    return fits


def puts(part: str) -> Callable[[Call], bool]:
    """The first writing of a parameter whose name has this in it."""
    return lambda call: call.operation == "PutParameter" and part in call.params["Name"]


def sizes(call: Call) -> bool:
    return call.operation == "UpdateAutoScalingGroup" and "MinSize" in call.params


def gives_back(call: Call) -> bool:
    return sizes(call) and call.params["MinSize"] == 0


def lowers(call: Call) -> bool:
    """MinSize down to what the group wants by itself, so that a termination may shrink it."""
    return sizes(call) and call.params["MinSize"] == 3


def page(stage: Stage) -> dict[str, Any]:
    stored = stage.sim.parameters._stored["/ecsroll/demo/ledger/web"]
    found: dict[str, Any] = json.loads(stored.versions[-1].value)
    return found


def written(stage: Stage, part: str) -> bool:
    return any(part in name for name in stage.sim.parameters._stored)


def draining(stage: Stage) -> int:
    return sum(host.status == "DRAINING" and host.instance.state == "running" for host in hosts_of(stage))


def leaving(stage: Stage) -> int:
    return sum(member.state.startswith("Terminating") for member in group_of(stage).members.values())


def marked(stage: Stage) -> int:
    return sum("ecsroll.drain" in host.custom for host in hosts_of(stage))


def launches(stage: Stage) -> str | None:
    data = stage.sim.scaling.fleet.source(group_of(stage)).data
    return stage.sim.compute.resolve_image(str(data["ImageId"]))


def still_old(stage: Stage) -> bool:
    return launches(stage) == stage.old_image["web"]


def versions(stage: Stage) -> int:
    ec2 = stage.sim.client("ec2")
    template = ec2.describe_launch_templates()["LaunchTemplates"][0]
    return int(template["LatestVersionNumber"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Killed just before that call, or just after it ``landed``; then ``state`` holds."""

    call: Callable[[Call], bool]
    landed: bool = True
    state: Callable[[Stage], bool]
    reference: Reference = "number"


STATES = {
    "a roll is written down, and nothing else was done": Row(
        call=puts("/roll"), state=lambda stage: written(stage, "/roll") and not written(stage, "/ledger/")
    ),
    "a target is noted, and no version was made": Row(
        call=is_call("CreateLaunchTemplateVersion"),
        landed=False,
        state=lambda stage: page(stage)["pointed"][0]["phase"] == "asking" and versions(stage) == 1,
    ),
    "a template version was made, and the group not pointed at it": Row(
        call=is_call("CreateLaunchTemplateVersion"), state=lambda stage: versions(stage) == 2 and still_old(stage)
    ),
    "a template version was made, and is not the default yet": Row(
        call=is_call("CreateLaunchTemplateVersion"),
        state=lambda stage: versions(stage) == 2 and still_old(stage),
        reference="$Default",
    ),
    "a version of $Latest was made, which is not noted as landed": Row(
        call=is_call("CreateLaunchTemplateVersion"),
        state=lambda stage: not still_old(stage) and page(stage)["pointed"][0]["phase"] == "asking",
        reference="$Latest",
    ),
    "a launch configuration was copied, and the group not pointed at it": Row(
        call=is_call("CreateLaunchConfiguration"), state=still_old, reference="configuration"
    ),
    "a parameter was put, and is not valid yet": Row(
        call=is_call("PutParameter", DataType="aws:ec2:image"), state=still_old, reference="parameter"
    ),
    "room is noted, and was not asked for": Row(
        call=sizes,
        landed=False,
        state=lambda stage: page(stage)["room"]["phase"] == "asking" and group_of(stage).min == 0,
    ),
    "room was asked for, and is not noted as landed": Row(
        call=sizes, state=lambda stage: page(stage)["room"]["phase"] == "asking" and group_of(stage).min == 4
    ),
    "AZRebalance is suspended, and room was not asked for": Row(
        call=is_call("SuspendProcesses"),
        state=lambda stage: bool(group_of(stage).suspended) and group_of(stage).min == 0,
    ),
    "a host is marked, and not drained": Row(
        call=is_call("PutAttributes"), state=lambda stage: marked(stage) == 1 and draining(stage) == 0
    ),
    "a host is drained, and was not terminated": Row(
        call=is_call("TerminateInstanceInAutoScalingGroup"),
        landed=False,
        state=lambda stage: draining(stage) == 1 and leaving(stage) == 0,
    ),
    "a host was terminated, and is not gone yet": Row(
        call=is_call("TerminateInstanceInAutoScalingGroup"), state=lambda stage: leaving(stage) == 1
    ),
    "a host is gone from its group, and is registered with ECS": Row(
        call=is_call("DeregisterContainerInstance"), landed=False, state=lambda stage: leaving(stage) >= 1
    ),
    "MinSize was given back as far as the last host needs it, and the surge not": Row(
        call=lowers,
        state=lambda stage: (
            (group_of(stage).min, group_of(stage).desired, len(page(stage)["room"]["shrinking"])) == (3, 4, 1)
        ),
    ),
    "the surge was given back, and is noted as borrowed": Row(
        call=is_call("TerminateInstanceInAutoScalingGroup", ShouldDecrementDesiredCapacity=True),
        state=lambda stage: group_of(stage).desired == 3 and page(stage)["room"]["borrowed"] == 1,
    ),
    "MinSize is to be given back, and was not": Row(
        call=gives_back,
        landed=False,
        state=lambda stage: page(stage)["room"]["phase"] == "returning" and group_of(stage).min == 3,
    ),
    "MinSize was given back, and the new hosts are protected": Row(
        call=gives_back,
        state=lambda stage: group_of(stage).min == 0 and any(m.protected for m in group_of(stage).members.values()),
    ),
    "the new hosts are unprotected, and AZRebalance is suspended": Row(
        call=is_call("SetInstanceProtection"),
        state=lambda stage: (
            not any(m.protected for m in group_of(stage).members.values()) and bool(group_of(stage).suspended)
        ),
    ),
    "AZRebalance was resumed, and the page still speaks of it": Row(
        call=is_call("ResumeProcesses"),
        state=lambda stage: not group_of(stage).suspended and page(stage)["rebalance"] == "returning",
    ),
    "the page is gone, and the roll does not say that the group is finished": Row(
        call=is_call("DeleteParameter", Name="/ecsroll/demo/ledger/web"),
        state=lambda stage: written(stage, "/roll") and not written(stage, "/ledger/"),
    ),
    "the roll is in the history, and is written down as under way": Row(
        call=puts("/history/"), state=lambda stage: written(stage, "/history/") and written(stage, "/roll")
    ),
}


@pytest.mark.parametrize("row", STATES.values(), ids=STATES)
def test_a_roll_goes_on_from_a_half_state_to_the_same_end(row: Row) -> None:
    api = ServiceSet(name="api", count=3, balanced=True, deregistration_delay=10, stop_timeout=5)
    stage = stage_of(GroupSet(hosts=3, reference=row.reference), services=(api,), quick=True)
    watch = Watch(stage, POLICY)
    assert Life(stage, dies_on=row.call, landed=row.landed).run() is None
    assert row.state(stage), "the row does not lead to the state that it names"
    finished(stage, watch, Life(stage).run())
    # Made once, whoever made it.
    assert versions(stage) <= 2 if row.reference != "configuration" else True
