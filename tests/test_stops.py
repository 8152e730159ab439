"""The verdict on a stopped task: docs/events.md is the table."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from ecsroll.stops import Ended, StopKind, StoppedTask, moment, stopped_task, verdict_on

DOC = (Path(__file__).parent.parent / "docs" / "events.md").read_text()
NOON = datetime(2026, 9, 28, 12, 0, tzinfo=UTC)
TASK = "arn:aws:ecs:eu-west-1:111122223333:task/demo/c13b"


def rows() -> list[tuple[str, str, tuple[Ended, ...], str | None, str]]:
    """The table of the document, each row as what it stands for."""
    found = re.search(r"<!-- stops -->\n(.*?)<!-- /stops -->", DOC, re.DOTALL)
    assert found
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]
    return [
        ("" if code == "none" else code.strip("`"), reason, containers(exits), _service(whose), verdict.strip("`"))
        for code, reason, exits, whose, verdict in cells
    ]


def containers(exits: str) -> tuple[Ended, ...]:
    parts = [part.partition(" ") for part in exits.split(", ")]
    return tuple(Ended("app", None if code == "none" else int(code), reason) for code, _, reason in parts)


def _service(whose: str) -> str | None:
    return {"service": "web", "job": None}[whose]


def stop(**members: Any) -> StoppedTask:
    return StoppedTask(
        **{"arn": TASK, "cluster": "demo", "definition": "web:7", "at": NOON, "service": "web", **members}
    )


@pytest.mark.parametrize(("code", "reason", "exits", "service", "verdict"), rows())
def test_each_row_of_the_document_is_what_the_code_says(
    code: str, reason: str, exits: tuple[Ended, ...], service: str | None, verdict: str
) -> None:
    said = verdict_on(stop(code=code, reason=reason, containers=exits, service=service))
    assert said.kind == verdict
    assert said.why
    assert not said.why.endswith(".")


def test_the_document_has_every_stop_code_that_aws_has() -> None:
    model = botocore.session.get_session().get_service_model("ecs")
    known = set(model.shape_for("TaskStopCode").enum)  # type: ignore[attr-defined]
    assert known <= {code for code, *_ in rows()}


def test_the_document_has_every_verdict_and_says_which_ones_count() -> None:
    said = dict(re.findall(r"^\| `([a-z ]+)` \| .* \| (yes|no) \|$", DOC, re.MULTILINE))
    assert {kind: "yes" if kind.failed else "no" for kind in StopKind} == said
    assert set(StopKind) == {verdict for *_, verdict in rows()}


def test_what_a_person_reads_names_the_reason() -> None:
    oom = Ended("app", 137, "OutOfMemoryError: Container killed due to memory usage")
    table = {
        "out of memory (exit code 137)": stop(code="EssentialContainerExited", containers=(oom,)),
        "exit code 3": stop(code="EssentialContainerExited", containers=(Ended("app", 3),)),
        "did not start: CannotPullContainerError: no such manifest": stop(
            code="TaskFailedToStart", reason="CannotPullContainerError: no such manifest"
        ),
        "Task failed container health checks": stop(
            code="ServiceSchedulerInitiated", reason="Task failed container health checks"
        ),
    }
    assert [verdict_on(task).why for task in table.values()] == list(table)


# What AWS says ---------------------------------------------------------------------------------------------------


def said(**members: Any) -> dict[str, Any]:
    return {
        "taskArn": TASK,
        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/demo",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:7",
        "containerInstanceArn": "arn:aws:ecs:eu-west-1:111122223333:container-instance/demo/2dd1",
        "group": "service:web",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "createdAt": "2026-09-28T11:58:00Z",
        "startedAt": "2026-09-28T11:59:00.5Z",
        "executionStoppedAt": "2026-09-28T12:00:00Z",
        "stoppedAt": "2026-09-28T12:00:20Z",
        "containers": [{"name": "app", "exitCode": 1}],
        "version": 6,
        **members,
    }


def test_a_task_is_read_the_same_from_an_event_and_from_the_api() -> None:
    api = said(
        createdAt=NOON - timedelta(minutes=2),
        startedAt=NOON - timedelta(seconds=59.5),
        executionStoppedAt=NOON,
        stoppedAt=NOON + timedelta(seconds=20),
    )
    task = stopped_task(said())
    assert task == stopped_task(api)
    assert task is not None
    assert (task.cluster, task.service, task.definition, task.at, task.version) == ("demo", "web", "web:7", NOON, 6)
    assert (task.exit_code, task.id) == (1, "c13b")


def test_a_task_that_has_not_stopped_is_none() -> None:
    assert stopped_task(said(lastStatus="DEPROVISIONING")) is None


def test_a_standalone_task_has_no_service() -> None:
    task = stopped_task(said(group="family:report"))
    assert task is not None
    assert task.service is None


@pytest.mark.parametrize(
    "broken",
    [
        {"taskArn": None},
        {"taskArn": 7},
        {"taskDefinitionArn": ""},
        {"executionStoppedAt": "yesterday"},
        {"executionStoppedAt": 1e30},
        {"executionStoppedAt": True},
        {"executionStoppedAt": None, "stoppedAt": None},
    ],
)
def test_what_can_not_be_a_task_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        stopped_task(said(**broken))


@pytest.mark.parametrize(
    "odd",
    [
        {"containers": None},
        {"containers": [None, "app", {"exitCode": "1"}]},
        {"stopCode": 7, "stoppedReason": None},
        {"version": "6"},
        {"unknown": {"key": 1}},
    ],
)
def test_what_is_only_odd_is_read_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    task = stopped_task(said(**odd))
    assert task is not None
    assert verdict_on(task).why


def test_times_of_all_three_kinds() -> None:
    assert moment(NOON.timestamp()) == moment(NOON) == moment("2026-09-28T12:00:00Z") == moment("2026-09-28T12:00:00")
    assert moment(None) is None
