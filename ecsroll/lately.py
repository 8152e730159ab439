"""What failed lately, as ECS itself remembers it.

A watcher counts in its memory, and what it counted it deletes from the queue. So one that begins (after a kill, or by
cron every few minutes) first asks ECS: else a loop that is slower than its life would never be one.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from ecsroll.answers import Answer
from ecsroll.aws import Aws, chunks
from ecsroll.stops import StoppedTask, stopped_task, verdict_on

__all__ = ["failed_lately"]


def failed_lately(aws: Aws, cluster: str, since: datetime) -> tuple[StoppedTask, ...]:
    """Tasks of services that failed since then; ECS forgets them an hour after they stopped (aws-facts 9).

    Not those of hosts that have gone, or have lost their agent: a host's end ends tasks with any exit code, and nobody
    says any more when that was. Raises AwsUnavailable and AwsRefusal.
    """
    arns = aws.pages("ecs", "list_tasks", "taskArns", cluster=cluster, desiredStatus="STOPPED")
    tasks = [_stopped(said) for said in _described(aws, cluster, "tasks", arns)]
    failed = [task for task in tasks if task is not None and task.at >= since and _counts(task)]
    hosts = sorted({task.host for task in failed if task.host})
    there = {
        said["containerInstanceArn"]
        for said in _described(aws, cluster, "containerInstances", hosts)
        if said.get("status") in {"ACTIVE", "DRAINING"} and said.get("agentConnected")
    }
    return tuple(task for task in failed if task.host in there)


def _stopped(said: Answer) -> StoppedTask | None:
    try:
        return stopped_task(said)
    except ValueError:
        return None  # a record without a time or a definition: nothing can be said of it


def _counts(task: StoppedTask) -> bool:
    return task.service is not None and verdict_on(task).kind.failed


_DESCRIBE = {"tasks": "describe_tasks", "containerInstances": "describe_container_instances"}


def _described(aws: Aws, cluster: str, member: str, arns: Sequence[str]) -> list[Answer]:
    calls = [
        partial(aws.call, "ecs", _DESCRIBE[member], cluster=cluster, **{member: list(some)})
        for some in chunks(arns, 100)
    ]
    return [said for answer in aws.gather(calls) for said in answer.get(member, ())]
