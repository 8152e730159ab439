"""The canary: drained first and kept, judged by how its tasks fare on new hosts (DESIGN 5). Pure."""

from collections.abc import Iterator
from dataclasses import replace

from ecsroll import drain
from ecsroll.model import Host, Snapshot, Task
from ecsroll.turn import Turn

__all__ = ["TRIES", "drained_canaries", "inconclusive", "judge", "release", "sound_there", "tries_canary", "why_kept"]

TRIES = 3
"""Canaries whose tasks may all land on old hosts before the roll says that it can not tell."""

REMEMBERED = 8
"""Tasks, and twice as many hosts: the memory has to stay small, and one healthy task is enough."""


def judge(turn: Turn) -> bool:
    """The canaries' tasks must be healthy elsewhere, in n readings, and stay so while they bake on a new host.

    Before that nothing of the group is terminated, so a halt can make the canaries ACTIVE again.
    """
    _remember_hatched(turn)
    page = turn.page
    if page.canary_passed or not page.canaries:
        return False
    hosts = drained_canaries(turn)
    landed = list(_landed(turn))
    calm = turn.memory.calm + 1 if hosts and _calm(turn, hosts) else 0
    turn.memory = replace(turn.memory, calm=calm)
    _watch_bake(turn, landed)
    if calm < turn.policy.good_readings:
        return False
    if not turn.policy.bake or (_baked(turn) and not _tries_another(turn)):
        turn.page = replace(turn.page, canary_passed=True)
    elif _baked(turn) or (not landed and turn.page.bake_since is None):
        _let_go(turn)
    return False


def tries_canary(turn: Turn) -> bool:
    """Whether a canary is still to be judged: a group without replica tasks has nothing to judge one by."""
    return turn.policy.canary > 0 and not turn.page.canary_passed and _has_replicas(turn)


def _has_replicas(turn: Turn) -> bool:
    return any(drain.services_on(host, turn.seen) for host in turn.outdated)


def drained_canaries(turn: Turn) -> list[Host]:
    """Canaries as far as their drain has begun: one may have been noted by a life that did not come to drain it."""
    there = [turn.seen.hosts[name] for name in turn.page.canaries if name in turn.seen.hosts]
    return [host for host in there if host.draining or host.leaving or turn.expects("drain", host.id)]


def _calm(turn: Turn, hosts: list[Host]) -> bool:
    """The canaries are empty, what ran there is whole, and no new host has lost its agent."""
    names = {name for host in hosts for name in drain.services_on(host, turn.seen)} - turn.excused
    whole = all(_healthy(turn.seen, name) for name in names)
    lost = any(host.id in turn.memory.agentless for host in turn.live if host.launched_at > turn.page.newest)
    return whole and not lost and not any(turn.held_by(host) for host in hosts)


def _healthy(seen: Snapshot, name: str) -> bool:
    service = seen.services[name]
    return service.steady and all(
        seen.targets[arn].states.get("healthy", 0) >= service.desired
        for arn in service.target_groups
        if arn in seen.targets
    )


# The bake ----------------------------------------------------------------------------------------------------------


def _landed(turn: Turn) -> Iterator[tuple[Host, Task]]:
    """Tasks of replica services that are (or are about to be) on new hosts."""
    for host in turn.live:
        if host.launched_at > turn.page.newest and not host.draining:
            for task in turn.seen.on(host):
                known = task.service in turn.seen.services and not task.daemon
                if known and task.desired_status == "RUNNING" and not task.stopped:
                    yield host, task


def _sound(turn: Turn, host: Host, task: Task) -> bool:
    """RUNNING, and healthy by every check that there is. Two tasks of a service on one host are judged together."""
    if task.last_status != "RUNNING" or not task.healthy:
        return False
    groups = turn.seen.services[task.service or ""].target_groups
    states = [turn.seen.targets[arn].of.get(task.address or host.id, ()) for arn in groups if arn in turn.seen.targets]
    return all(said and {*said} <= {"healthy", "draining"} for said in states)


def _watch_bake(turn: Turn, landed: list[tuple[Host, Task]]) -> None:
    """Note when the first one was healthy in n readings; say which are not, and for how long that may be so."""
    good = {task.id: turn.memory.sound.get(task.id, 0) + 1 for host, task in landed if _sound(turn, host, task)}
    kept = sorted(good, key=lambda name: (-good[name], name))[:REMEMBERED]
    turn.memory = replace(turn.memory, sound={name: min(good[name], turn.policy.good_readings) for name in kept})
    if turn.page.bake_since is None and any(good[name] >= turn.policy.good_readings for name in kept):
        turn.page = replace(turn.page, bake_since=turn.seen.at)
    sick = {task.service or "" for host, task in landed} - {
        task.service or "" for host, task in landed if task.id in good
    }
    for name in sorted(sick)[:REMEMBERED]:
        reason = "its tasks on new hosts are not healthy yet"
        turn.wait("sound", name, reason, limit=turn.policy.boot_timeout)


def _baked(turn: Turn) -> bool:
    since = turn.page.bake_since
    return since is not None and turn.seen.at - since >= turn.policy.bake


def sound_there(turn: Turn) -> set[str]:
    """Services of which a task runs on a new host, healthy by every check that there is."""
    return {task.service or "" for host, task in _landed(turn) if _sound(turn, host, task)}


def _tries_another(turn: Turn) -> bool:
    """Services behind a load balancer all of whose tasks landed on old hosts: the next host is canary for them.

    A worker that runs well on the new image says nothing of targets that never become healthy there.
    """
    sound = sound_there(turn)
    drained = drained_canaries(turn)
    unproven = {
        name
        for host in drained
        for name in drain.services_on(host, turn.seen)
        if turn.seen.services[name].target_groups and name not in sound
    }
    others = [host for host in turn.old if host not in drained]
    carried = unproven & {name for host in others for name in drain.services_on(host, turn.seen)}
    return bool(carried) and turn.page.canary_tries + 1 < TRIES


def _let_go(turn: Turn) -> None:
    """What landed on old hosts proves nothing: the canary goes, and the next host is canary."""
    tries = turn.page.canary_tries + 1
    if tries < TRIES:
        turn.page = replace(turn.page, canary_tries=tries, canaries=())
        turn.memory = replace(turn.memory, calm=0)
    elif turn.policy.canary_inconclusive == "go":
        turn.page = replace(turn.page, canary_passed=True, canary_tries=tries)
    else:
        turn.page = replace(turn.page, canary_tries=tries)


def inconclusive(turn: Turn) -> str | None:
    """Three canaries, and no task of theirs came to a new host."""
    tried = turn.page.canary_tries >= TRIES and not turn.page.canary_passed
    if not tried or turn.policy.canary_inconclusive == "go":
        return None
    return (
        f"inconclusive: the tasks of {TRIES} canaries all landed on hosts of before the roll, so the new image has "
        "carried none (--canary-inconclusive go rolls on all the same)"
    )


def release(turn: Turn) -> None:
    """The roll stops: when it goes on, the trial begins anew."""
    if turn.page.canaries and not turn.page.canary_passed:
        turn.page = replace(turn.page, canaries=(), canary_tries=0, bake_since=None)


def why_kept(turn: Turn, host: Host) -> None:
    """Say what an empty canary is kept for."""
    names = ", ".join(sorted(drain.services_on(host, turn.seen)))
    since = turn.page.bake_since
    if since is None or not turn.policy.bake or turn.seen.at - since >= turn.policy.bake:
        turn.wait("canary", host.id, f"empty; kept until {names} are healthy elsewhere")
    else:
        turn.wait("canary", host.id, "empty; kept while its tasks bake on a new host", until=since + turn.policy.bake)


def _remember_hatched(turn: Turn) -> None:
    """New hosts that were ready: one that is gone later without us has ended by itself."""
    if turn.page.canary_passed or not turn.policy.canary:
        turn.memory = replace(turn.memory, hatched=(), sound={})
        return
    ready = [host.id for host in turn.ready if host.launched_at > turn.page.newest]
    # Without those that this roll drains: their end is no surprise.
    staying = {host.id for host in turn.live if not host.draining}
    known = [name for name in turn.memory.hatched if name in staying]
    turn.memory = replace(turn.memory, hatched=tuple(dict.fromkeys((*known, *ready)))[: 2 * REMEMBERED])
