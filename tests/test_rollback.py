"""Back to what ran before: the reference and the image, whatever the roll had come to; else refused."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from ecsroll.model import Policy
from ecsroll.simulator.stage import GroupSet, Reference, ServiceSet, Stage
from ecsroll.simulator.world import Refusal
from tests import scenarios as s
from tests.console import Ran, ecsroll
from tests.rolls import cut_off, stage_of
from tests.watch import Watch

SMALL = (ServiceSet(name="api", count=3, balanced=True, deregistration_delay=5), ServiceSet(name="worker", count=2))
QUICKLY = ("--yes", "--json", "--good-readings", "1")
BAKED = (*QUICKLY, "--bake", "1m")


def staged(reference: Reference = "$Latest", hosts: int = 2, *, bad: bool = False) -> Stage:
    stage = stage_of(GroupSet(hosts=hosts, reference=reference), services=SMALL, quick=True)
    if bad:
        stage.sim.conditions.images_that_crash_tasks.add(stage.new_image["web"])
    return stage


def reference(stage: Stage) -> tuple[object, ...]:
    """How the group says what it launches, and which image that is."""
    group = s.group_of(stage)
    image = stage.sim.compute.resolve_image(str(stage.sim.scaling.fleet.source(group).data["ImageId"]))
    return (dict(group.source or {}).get("Version"), group.launch_configuration, image)


def rolled(stage: Stage, *words: str) -> Ran:
    return ecsroll(stage, "replace", "--cluster", stage.cluster, *(words or (*QUICKLY, "--canary", "0")))


def taken_back(stage: Stage, *words: str) -> Ran:
    return ecsroll(stage, "rollback", "--cluster", stage.cluster, *(words or (*QUICKLY, "--canary", "0")))


REFERENCES: tuple[Reference, ...] = ("number", "$Latest", "$Default", "mixed", "parameter", "configuration")


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_finished_roll_is_taken_back_to_the_reference_and_image_of_before(kind: Reference) -> None:
    stage = staged(kind)
    before, watch = reference(stage), Watch(stage, Policy())
    assert rolled(stage).code == 0
    assert reference(stage) != before
    ran = taken_back(stage)
    assert (ran.code, ran.result["result"], ran.result["hosts"]) == (0, "done", {"replaced": 2, "remaining": 0}), ran
    assert reference(stage) == before
    assert s.images(stage) == [stage.old_image["web"]] * 2
    assert not watch.breaches, "\n".join(watch.breaches)
    again = taken_back(stage)
    assert (again.code, again.result["result"]) == (0, "nothing")


@pytest.mark.parametrize("words", [("--canary", "0"), ("--bake", "1m")], ids=["without a canary", "with one"])
@pytest.mark.parametrize("services", [("worker",), ("api", "worker")], ids=" and ".join)
def test_an_image_that_turns_bad_long_after_its_roll_is_taken_back(services: tuple[str, ...], words: list[str]) -> None:
    """Its tasks crash wherever the image is, and go on to do so until the last of its hosts has gone."""
    stage = staged(hosts=4)
    assert rolled(stage).code == 0
    stage.sim.sleep(7200)
    _turns_bad(stage, services)
    ran = taken_back(stage, *QUICKLY, *words)
    assert (ran.code, ran.result["result"], ran.result["hosts"]) == (0, "done", {"replaced": 4, "remaining": 0}), ran
    _well_again(stage)


def test_a_mended_image_is_rolled_out_though_tasks_are_in_a_loop() -> None:
    stage = staged(hosts=4)
    assert rolled(stage).code == 0
    stage.sim.sleep(7200)
    _turns_bad(stage, ("api", "worker"))
    ran = rolled(stage, *BAKED, "--ami", stage.old_image["web"])
    assert (ran.code, ran.result["result"]) == (0, "done"), ran
    _well_again(stage)


def _turns_bad(stage: Stage, services: tuple[str, ...]) -> None:
    stage.sim.conditions.images_that_crash_tasks.add(stage.new_image["web"])
    for name in services:
        for task in list(stage.sim.clusters.find(stage.cluster).services[name].healthy):
            stage.sim.tasks.exits(task, 1)
    stage.sim.sleep(300)


def _well_again(stage: Stage) -> None:
    assert s.images(stage) == [stage.old_image["web"]] * 4
    stage.sim.sleep(120)
    services = stage.sim.clusters.find(stage.cluster).services.values()
    assert {service.name: len(service.healthy) for service in services} == {"api": 3, "worker": 2}


def test_a_roll_that_ends_while_its_rollback_is_agreed_to_is_taken_back_all_the_same() -> None:
    stage = staged()
    before = reference(stage)
    cut_off(stage, Policy(canary=0, good_readings=1), 12)

    def meanwhile(_: str) -> bool:
        return rolled(stage).code == 0

    words = [word for word in QUICKLY if word != "--yes"]
    ran = ecsroll(stage, "rollback", "--cluster", stage.cluster, *words, "--canary", "0", ask=meanwhile)
    assert (ran.code, ran.result["result"]) == (0, "done"), ran
    assert (reference(stage), s.images(stage)) == (before, [stage.old_image["web"]] * 2)


def test_a_halted_roll_is_ended_and_nothing_of_the_bad_image_stays() -> None:
    stage = staged(hosts=3, bad=True)
    before = reference(stage)
    halted = rolled(stage, *BAKED)
    assert (halted.code, halted.result["result"]) == (5, "halted"), halted
    assert "ecsroll rollback --cluster demo" in halted.result["next"]
    assert reference(stage) == before
    ran = taken_back(stage)
    assert ran.code == 0, ran
    assert (reference(stage), s.images(stage)) == (before, [stage.old_image["web"]] * 3)
    assert s.group_of(stage).desired == 3
    assert not [name for name in stage.sim.parameters._stored if name.endswith(("/roll", "/web"))]


def test_with_rollback_on_failure_the_halt_takes_itself_back() -> None:
    stage = staged(hosts=3, bad=True)
    before = reference(stage)
    ran = rolled(stage, *BAKED, "--rollback-on-failure")
    assert (ran.code, ran.result["result"]) == (5, "halted")
    assert "ended by themselves" in ran.result["reason"]
    assert "rolled back: " in ran.result["reason"]
    assert ran.result["owed"] == []
    assert (reference(stage), s.images(stage)) == (before, [stage.old_image["web"]] * 3)


def test_where_nothing_can_be_taken_back_the_halt_says_so() -> None:
    stage = staged("public", hosts=3, bad=True)
    ran = rolled(stage, *BAKED, "--rollback-on-failure")
    assert (ran.code, ran.result["result"]) == (5, "halted")
    assert "the rollback did not end: web launches what" in ran.result["reason"]


def test_a_version_that_somebody_made_since_stays_and_a_new_one_has_the_old_image() -> None:
    stage = staged("$Latest")
    assert rolled(stage).code == 0
    template = dict(s.group_of(stage).source or {})["LaunchTemplateId"]
    stage.sim.client("ec2").create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="2", LaunchTemplateData={"InstanceType": "m5.xlarge"}
    )
    assert taken_back(stage).code == 0
    assert reference(stage) == ("$Latest", None, stage.old_image["web"])
    source = stage.sim.scaling.fleet.source(s.group_of(stage)).data
    assert source["InstanceType"] == "m5.xlarge"


def test_a_rollback_that_was_cut_off_goes_on_as_a_rollback_only() -> None:
    stage = staged(hosts=3)
    assert rolled(stage).code == 0
    asked = iter([False] * 8)
    stage.sim.door.before.append(lambda call: _cut(call.operation, asked))
    assert taken_back(stage).code == 6
    stage.sim.door.before.clear()
    other = rolled(stage)
    assert (other.code, "is a rollback that is not finished" in other.result["reason"]) == (4, True), other
    assert taken_back(stage).code == 0
    assert s.images(stage) == [stage.old_image["web"]] * 3


def _cut(operation: str, left: Iterator[bool]) -> None:
    """After so many changes of states, AWS denies them."""
    if operation == "TerminateInstanceInAutoScalingGroup" and next(left, True):
        return
    if operation == "UpdateContainerInstancesState":
        raise Refusal("AccessDeniedException", "no")


REFUSED = {
    "nothing was rolled": "is on record",
    "the old image is gone": "is gone",
    "the old image is deprecated": "is deprecated since",
    "somebody gave the group another template": "which the last roll did not know",
    "the group follows a parameter of AWS": "it can not be returned to",
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_not_be_taken_back_is_refused_with_what_to_do(case: str) -> None:
    stage = staged("public" if "parameter" in case else "$Latest")
    if case != "nothing was rolled":
        assert rolled(stage).code == 0
    old = stage.sim.images.get(stage.old_image["web"])
    assert old is not None
    if "gone" in case:
        stage.sim.images._withdrawn.add(old.id)
    if "deprecated" in case:
        stage.sim.sleep(timedelta(days=900).total_seconds())
    if "template" in case:
        made = stage.sim.client("ec2").create_launch_template(
            LaunchTemplateName="other",
            LaunchTemplateData={"ImageId": stage.new_image["web"], "InstanceType": "m5.large"},
        )["LaunchTemplate"]["LaunchTemplateId"]
        stage.sim.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName="web", LaunchTemplate={"LaunchTemplateId": made, "Version": "1"}
        )
    before = reference(stage)
    ran = taken_back(stage)
    assert ran.code == 4, ran
    assert REFUSED[case] in ran.result["reason"]
    assert "--ami" in ran.result["next"] or "modules" in ran.result["next"]
    assert reference(stage) == before


def test_no_to_the_question_changes_nothing() -> None:
    stage = staged()
    assert rolled(stage).code == 0
    before = reference(stage)
    ran = ecsroll(stage, "rollback", "--cluster", stage.cluster, ask=lambda _: False)
    assert ran.code == 4
    assert reference(stage) == before


def test_a_rollback_that_left_a_host_does_not_say_to_roll_the_image_again_that_it_took_back() -> None:
    stage = staged()
    assert rolled(stage).code == 0
    s.run_a_task(stage, 900, host=0)
    ran = taken_back(stage, *QUICKLY, "--canary", "0", "--standalone-tasks", "skip")
    assert (ran.code, ran.result["hosts"]["remaining"]) == (5, 1), ran
    assert ran.result["next"].startswith("ecsroll rollback --cluster demo (once what held them is over")
    stage.sim.sleep(600)
    again = taken_back(stage)
    assert (again.code, s.images(stage)) == (0, [stage.old_image["web"]] * 2), again
