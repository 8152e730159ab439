"""What each command does, as a function that returns a result; ``cli.py`` reads words, ``render.py`` shows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from ecsroll import ami
from ecsroll.act import Actor
from ecsroll.asg import owed
from ecsroll.aws import Aws
from ecsroll.decide import decide
from ecsroll.engine import Round, Ways, rounds
from ecsroll.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_OUTDATED,
    AwsRefusal,
    AwsUnavailable,
    EcsrollError,
    Halted,
    Held,
    LeaseLost,
    NotFound,
    Refused,
)
from ecsroll.events import Event
from ecsroll.examine import examine
from ecsroll.image_rules import ImageRules
from ecsroll.images import AwsImages, choose_images, group_images, rules_of
from ecsroll.lease import Lease, Standing, standing
from ecsroll.ledger import Roll
from ecsroll.model import Decision, Finding, Memory, Note, Policy, Snapshot, Wait
from ecsroll.notices import notice_text
from ecsroll.observe import Observer
from ecsroll.policy import again, noted
from ecsroll.preflight import preflight
from ecsroll.result import Result, of_error, of_interruption
from ecsroll.tally import Tally
from ecsroll.turn import outdated_by_group

__all__ = [
    "Run",
    "Screen",
    "Stopping",
    "abort",
    "check_ami",
    "check_same",
    "intended",
    "plain_wait",
    "replace_hosts",
    "still_outdated",
]


class Screen(Protocol):
    """Where a command's story is told while it goes on."""

    def intend(self, seen: Snapshot, policy: Policy, outdated: Mapping[str, int], findings: Sequence[Finding]) -> None:
        """What is about to be done, before anybody is asked."""
        ...

    def event(self, event: Event) -> None:
        """A fact."""
        ...

    def round(self, step: Round, tally: Tally, aws: Aws) -> None:
        """A new picture."""
        ...


# replace ---------------------------------------------------------------------------------------------------------


@dataclass
class _Story:
    """Tells the screen what changed: each wait once, each round's picture."""

    screen: Screen
    aws: Aws
    tally: Tally = field(default_factory=Tally)
    waits: tuple[tuple[str, str, str], ...] = ()
    last: Round | None = None

    def tell(self, step: Round) -> None:
        self.last = step
        self.tally.read(step.seen)
        waits = tuple((wait.kind, wait.subject, wait.reason) for wait in step.decision.waits)
        if waits and waits != self.waits:
            facts = {"waits": [plain_wait(wait) for wait in step.decision.waits]}
            self.screen.event(Event(kind="waiting", at=step.seen.at, facts=facts))
        self.waits = waits
        self.screen.round(step, self.tally, self.aws)


Stopping = AbstractContextManager[Callable[[], str | None]]
"""Entered while a roll goes on; what it gives says why the roll is to stop, or None."""


def replace_hosts(
    aws: Aws,
    cluster: str,
    policy: Policy,
    screen: Screen,
    confirm: Callable[[str], bool],
    stopping: Stopping | None = None,
) -> Result:
    """Roll the cluster's hosts, or go on with a roll that was cut off.

    ``confirm`` is asked once, after the intention was shown and before anything is changed. Raises EcsrollError.
    """
    observer = Observer(aws, cluster, policy.groups, alarms=policy.alarms)
    seen = observer.look()
    policy = intended(observer, seen, policy)
    decision, _ = decide(seen, Memory(), policy)
    findings = _findings(aws, observer, seen, policy, decision)
    if decision.verdict is not None and decision.verdict.result in {"nothing", "refused"}:
        if decision.verdict.result == "nothing":
            _bury_lease(aws, cluster, policy, screen)
        return _result("replace", cluster, decision, findings, Tally(), aws)
    outdated = outdated_by_group(seen, policy)
    screen.intend(seen, policy, outdated, findings)
    if any(finding.severity == "blocking" for finding in findings) and seen.roll is None:
        return _refused(cluster, findings)
    if not confirm(f"Replace {sum(outdated.values())} of {len(seen.hosts)} host(s) of {cluster}?"):
        raise Refused("nothing was changed: the roll was declined", hint="run it again and say yes, or give --yes")
    run = Run(
        command="replace",
        aws=aws,
        cluster=cluster,
        policy=policy,
        screen=screen,
        stopping=stopping or nullcontext(lambda: None),
        begin=lambda there: check_same(cluster, there.records.read().roll, policy),
    )
    result = run.go(observer, findings)
    return _rolled_back(run, result) if result.judged and policy.rollback_on_failure else result


def _rolled_back(run: "Run", result: Result) -> Result:
    from ecsroll.rollback import after_failure  # noqa: PLC0415 - it is made of these commands

    return after_failure(result, run.aws, run.cluster, run.policy, run.screen, run.stopping)


def _findings(aws: Aws, observer: Observer, seen: Snapshot, policy: Policy, decision: Decision) -> tuple[Finding, ...]:
    """Everything worth knowing before a roll begins. One that is under way goes on, and nothing is read for it."""
    begins = seen.roll is None and decision.verdict is None
    found = examine(aws, observer, seen, policy).findings if begins else preflight(seen, policy)
    return tuple(dict.fromkeys((*found, *observer.findings.values())))


def _images(seen: Snapshot, policy: Policy, aws: Aws) -> dict[str, str]:
    return choose_images(policy.ami, seen, aws, rules_of(policy, aws.clock.now()))


def intended(observer: Observer, seen: Snapshot, policy: Policy) -> Policy:
    """The policy with the images that it means for a cluster that has just been looked at.

    Raises NotFound and Refused where it can not be rolled so: ``replace`` and ``plan`` say the same.
    """
    _check_there(observer)
    _check_instances(seen, policy)
    check_same(observer.cluster, seen.roll, policy)
    return replace(policy, images=seen.roll.images if seen.roll else _images(seen, policy, observer.aws))


def abort(
    aws: Aws,
    cluster: str,
    policy: Policy,
    screen: Screen,
    confirm: Callable[[str], bool],
    stopping: Stopping | None = None,
) -> Result:
    """End a roll, also one that has died: undo its open drains, point the groups back, give back what was borrowed."""
    observer = Observer(aws, cluster)
    seen = observer.look()
    if seen.roll is None:
        return _nothing_to_end(cluster)
    roll = seen.roll
    if not confirm(f"End roll {roll.epoch} of {cluster} and give back what it borrowed?"):
        raise Refused("nothing was changed: ending the roll was declined", hint="run it again and say yes, or --yes")
    run = Run(
        command="abort",
        aws=aws,
        cluster=cluster,
        policy=replace(policy, groups=roll.groups, images=roll.images),
        screen=screen,
        stopping=stopping or nullcontext(lambda: None),
        begin=lambda there: _end(there, roll.epoch),
    )
    return run.go(observer)


def _end(there: Observer, epoch: int) -> Result | None:
    """Note that the roll is being ended: as it reads now, since it may have gone on while the lease was waited for."""
    roll = there.records.read().roll
    if roll is None:
        return _nothing_to_end(there.cluster)
    if roll.epoch != epoch:
        name = there.cluster
        hint = f"ecsroll status --cluster {name} shows it; ecsroll abort --cluster {name} ends it"
        raise Refused(f"roll {epoch} has ended meanwhile, and roll {roll.epoch} was begun", hint=hint)
    there.records.write_roll(replace(roll, aborting=True))
    return None


def _nothing_to_end(cluster: str) -> Result:
    reason = "no roll is under way, nothing is owed"
    return Result(command="abort", result="nothing", exit_code=EXIT_OK, cluster=cluster, reason=reason)


def _check_there(observer: Observer) -> None:
    """A cluster that was deleted under its roll has nothing to roll; what was borrowed for it can be given back."""
    if observer.first is not None and observer.first.gone:
        hint = f"ecsroll abort --cluster {observer.cluster} (gives back what its roll borrowed)"
        raise NotFound(f"the cluster {observer.cluster!r} was deleted while a roll was under way", hint=hint)


def check_same(cluster: str, roll: Roll | None, policy: Policy) -> None:
    """A rerun may change pace, timeouts and gates; not what the roll is about (DESIGN 7)."""
    if roll is None:
        return
    if roll.aborting:
        hint = f"ecsroll abort --cluster {cluster} finishes that; then replace again"
        raise Refused(f"roll {roll.epoch} is being ended", hint=hint)
    if roll.back != policy.back:
        what = "a rollback" if roll.back else "no rollback, and one"
        hint = f"{again(cluster, roll)} goes on with it; ecsroll abort --cluster {cluster} ends it"
        raise Refused(f"roll {roll.epoch} is {what} that is not finished", hint=hint)
    was, now = roll.policy, noted(policy)
    if was != now:
        changed = ", ".join(sorted(option for option in {*was, *now} if was.get(option) != now.get(option)))
        raise Refused(
            f"roll {roll.epoch} is not finished, and was begun with another {changed}",
            hint=f"{again(cluster, roll)} goes on as begun; ecsroll abort --cluster {cluster} ends it first",
        )


def _check_instances(seen: Snapshot, policy: Policy) -> None:
    """Hosts that were asked for by name have to be there; on a resumed roll some are rightly gone."""
    unknown = [name for name in policy.instances if name not in seen.hosts]
    if unknown and seen.roll is None:
        groups = ", ".join(seen.groups)
        raise NotFound(
            f"{', '.join(unknown)} is no host of {groups}",
            hint=f"ecsroll status --cluster {seen.cluster} shows the groups; check --asg",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command that changes something, from the lease to the result."""

    command: str
    aws: Aws
    cluster: str
    policy: Policy
    screen: Screen
    stopping: Stopping
    begin: Callable[[Observer], Result | None]
    """Done first under the lease, for which it may have waited while the cluster changed. A result ends the command."""

    def go(self, observer: Observer, findings: tuple[Finding, ...] = ()) -> Result:
        """Hold the cluster and roll until the verdict. What goes wrong becomes a result, with what is owed."""
        story = _Story(self.screen, self.aws)
        decision = Decision()
        try:
            with self._holding(observer) as ways:
                over = self.begin(observer)
                if over is not None:
                    return over
                for step in rounds(observer, Actor(self.aws, observer), self.policy, self.aws.clock, ways):
                    story.tell(step)
                    decision = step.decision
        except EcsrollError as error:
            told = of_error(self._as_met(error), command=self.command, cluster=self.cluster)
            result = _cut_off(told, story, self.policy)
        except KeyboardInterrupt:
            goes_on = f"{self._again} (goes on where this stopped)"
            stopped = of_interruption(command=self.command, cluster=self.cluster, after=goes_on)
            result = _cut_off(stopped, story, self.policy)
        else:
            result = _result(self.command, self.cluster, decision, (), story.tally, self.aws)
        return replace(result, findings=tuple(dict.fromkeys((*findings, *observer.findings.values()))))

    def _as_met(self, error: EcsrollError) -> EcsrollError:
        """The error with the command that goes on from here."""
        if isinstance(error, AwsRefusal) and error.code == "ClusterNotFoundException":
            hint = f"ecsroll abort --cluster {self.cluster} (gives back what was borrowed)"
            return Halted(f"the cluster {self.cluster!r} was deleted while the roll went on", hint=hint)
        if isinstance(error, AwsRefusal) and "AutoScalingGroup name not found" in error.sentence:
            # Deleted between the look and the call: the next life sees that it is gone, and what that means.
            return Halted(
                f"a group was deleted while the roll went on: {error}", hint=f"{self._again} (goes on without it)"
            )
        if isinstance(error, AwsUnavailable | LeaseLost):
            error.hint = f"{self._again} ({error.hint})"
        return error

    @property
    def _again(self) -> str:
        """The same command once more."""
        if self.command == "replace":
            return again(self.cluster, None, self.policy)
        return f"ecsroll {self.command} --cluster {self.cluster}"

    @contextmanager
    def _holding(self, observer: Observer) -> Iterator[Ways]:
        """Hold the cluster, and listen to signals."""
        lease = _lease(self.aws, self.cluster, self.policy, self.screen)
        lease.take()
        observer.epoch, self.aws.guard = lease.epoch, lease.keep
        try:
            with self.stopping as asked, _released(lease):
                yield Ways(tell=self.screen.event, keep=lease.keep, stopping=asked)
        finally:
            self.aws.guard = None  # what comes after this run has a lease of its own


def _bury_lease(aws: Aws, cluster: str, policy: Policy, screen: Screen) -> None:
    """Release what a roll left that died on its last step: there is nothing else to do. Raises Held if it lives."""
    if not standing(aws, cluster).free:
        lease = _lease(aws, cluster, policy, screen)
        lease.take()
        lease.release()


def _lease(aws: Aws, cluster: str, policy: Policy, screen: Screen) -> Lease:
    def watching(seen: Standing, patience: float) -> None:
        until = aws.clock.now() + timedelta(seconds=patience)
        reason = f"{seen.holder or 'somebody'} holds it (epoch {seen.epoch}): dead, if it is not renewed"
        wait = Wait(kind="lease", subject=cluster, reason=reason, since=aws.clock.now(), until=until)
        screen.event(Event(kind="waiting", at=aws.clock.now(), facts={"waits": [plain_wait(wait)]}))

    return Lease(
        aws,
        cluster,
        policy.by or "somebody",
        ttl=policy.lease_ttl.total_seconds(),
        windows=tuple(window.said for window in policy.windows),
        watching=watching,
    )


@contextmanager
def _released(lease: Lease) -> Iterator[None]:
    """Free the cluster on the way out, whatever happened; if AWS can not be told, the lease runs out by itself."""
    try:
        yield
    finally:
        with suppress(AwsUnavailable, AwsRefusal, Held):
            lease.release()


def _cut_off(result: Result, story: _Story, policy: Policy) -> Result:
    """A roll that ended in the middle: how far it came, and what is owed, by the last picture and the last notes."""
    step = story.last
    if step is None:
        return result
    seen = step.seen
    noted = {action.ledger.group: action.ledger for action in step.decision.actions if isinstance(action, Note)}
    pages = {**seen.ledgers, **noted}
    remaining = sum(still_outdated(seen, policy).values())
    at_first = sum(page.old for page in pages.values())
    return replace(
        result,
        replaced=(seen.roll.replaced if seen.roll else 0) + max(0, at_first - remaining),
        remaining=remaining,
        owed=tuple(entry for page in pages.values() for entry in owed(page, result.command)),
        more={"figures": _figures(story.tally, story.aws)},
    )


def _refused(cluster: str, findings: tuple[Finding, ...]) -> Result:
    blocking = [finding for finding in findings if finding.severity == "blocking"]
    first = blocking[0]
    codes = sorted({finding.code for finding in blocking})
    return Result(
        command="replace",
        result="refused",
        exit_code=Refused.exit_code,
        cluster=cluster,
        reason=f"{first.code} {first.subject}: {first.measured}",
        next=f"{first.fix}; to go on in spite of it: {' '.join(f'--allow {code}' for code in codes)}",
        findings=findings,
    )


_EXITS = {"refused": Refused.exit_code, "halted": Halted.exit_code, "interrupted": EXIT_INTERRUPTED}


def _result(
    command: str, cluster: str, decision: Decision, findings: tuple[Finding, ...], tally: Tally, aws: Aws
) -> Result:
    verdict = decision.verdict
    assert verdict is not None
    return Result(
        command=command,
        result=verdict.result,
        exit_code=_EXITS.get(verdict.result, EXIT_OK),
        cluster=cluster,
        reason=verdict.reason,
        next=verdict.next,
        replaced=verdict.replaced,
        remaining=verdict.remaining,
        owed=verdict.owed,
        findings=tuple(dict.fromkeys(findings)),
        more={"figures": _figures(tally, aws), **({"explained": list(verdict.lines)} if verdict.lines else {})},
        judged=verdict.judged,
    )


def _figures(tally: Tally, aws: Aws) -> dict[str, Any]:
    return {
        "seconds": round(tally.took.total_seconds(), 1),
        "tasks": tally.tasks,
        "moved": len(tally.moved),
        "moves_per_task": round(tally.moves, 2),
        "lowest_capacity": round(tally.lowest, 3),
        "lowest_service": tally.lowest_service,
        "peak_hosts": tally.peak,
        "calls": aws.made_calls,
        "changing_calls": aws.changes,
    }


def plain_wait(wait: Wait) -> dict[str, Any]:
    """A wait as JSON: keys as in docs/json.md."""
    return {
        "kind": wait.kind,
        "subject": wait.subject,
        "reason": wait.reason,
        "since": wait.since.isoformat() if wait.since else None,
        "until": wait.until.isoformat() if wait.until else None,
    }


def still_outdated(seen: Snapshot, policy: Policy) -> dict[str, int]:
    """Hosts that a roll under way still has to replace; empty without one, as nothing says then what is outdated."""
    return outdated_by_group(seen, policy) if seen.roll else {}


# check-ami -------------------------------------------------------------------------------------------------------


def check_ami(
    aws: Aws, clusters: Sequence[str], *, exit_code: bool, policy: Policy | None = None, publish: str | None = None
) -> Result:
    """What runs, what is newest, how far behind, what changed: for the clusters named, or for all of them.

    The newest is the newest that the policy's image rules let be launched: what ``replace`` would go to.
    ``publish``: the topic that is told of what is outdated. Raises NotFound where there is none.
    """
    everywhere = not clusters
    names = list(clusters) or _all_clusters(aws)
    rules = rules_of(policy or Policy(), aws.clock.now())
    catalogue = ami.Catalogue(AwsImages(aws))
    rows: list[dict[str, Any]] = []
    passed: list[str] = []
    for name in names:
        try:
            rows += _check_cluster(aws, name, catalogue, rules)
        except NotFound as error:
            if not everywhere:
                raise
            passed.append(f"{name}: {error}")
    behind = [row for row in rows if row["outdated"]]
    outdated = bool(behind) and exit_code
    return Result(
        command="check-ami",
        result="outdated" if outdated else "done",
        exit_code=EXIT_OUTDATED if outdated else EXIT_OK,
        cluster=names[0] if len(names) == 1 else None,
        reason=f"groups with hosts behind the newest image: {len(behind)} of {len(rows)}"
        if rows
        else "no group was found",
        next=f"ecsroll replace --cluster {behind[0]['cluster']}" if behind else "",
        remaining=sum(row["hosts_behind"] for row in rows),
        more={
            "groups": rows,
            "passed_over": passed,
            **({"published": _publish(aws, publish, rows)} if publish else {}),
        },
    )


def _publish(aws: Aws, topic: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Tell a topic, in AWS's own schema; the message's id, or None where nothing is outdated."""
    text = notice_text(rows, aws.region)
    if text is None:
        return None
    try:
        return str(aws.call("sns", "publish", TopicArn=topic, Message=text)["MessageId"])
    except AwsRefusal as no:
        if no.code in {"NotFound", "NotFoundException"}:
            raise NotFound(f"there is no topic {topic}", hint="check region and account in its ARN") from no
        raise


def _all_clusters(aws: Aws) -> list[str]:
    return sorted(arn.rpartition("/")[2] for arn in aws.pages("ecs", "list_clusters", "clusterArns"))


def _check_cluster(aws: Aws, cluster: str, catalogue: ami.Catalogue, rules: ImageRules) -> list[dict[str, Any]]:
    seen = Observer(aws, cluster, tasks=False).look()
    groups = group_images(seen)
    rows = ami.check(groups, catalogue.known(groups, rules=rules))
    return [_plain_row(cluster, row) for row in rows]


def _plain_row(cluster: str, row: ami.Row) -> dict[str, Any]:
    group, _, template = row.group.partition("/")
    newest = row.newest
    running = [
        {
            "image": used.image_id,
            "version": used.version,
            "hosts": used.hosts,
            "days_behind": _days_behind(used, newest),
            "changed": _plain_change(used.change),
        }
        for used in row.images
        if used.hosts
    ]
    return {
        "cluster": cluster,
        "group": group,
        "template": template,
        "family": row.family.key if row.family else None,
        "reason": row.reason,
        "running": running,
        "newest": {"image": newest.image_id, "version": newest.version, "agent": newest.agent} if newest else None,
        "held_back": row.held_back,
        "launches_newest": any(used.launches and newest and used.image_id == newest.image_id for used in row.images),
        "outdated": row.outdated,
        "hosts_behind": sum(used.hosts for used in row.images if used.change),
    }


def _days_behind(used: ami.InUse, newest: ami.Release | None) -> int | None:
    """None where nobody knows: it is no release, or there is none to compare it with."""
    if used.change is None and newest is not None and used.image_id == newest.image_id:
        return 0
    return used.change.days if used.change else None


def _plain_change(change: ami.Change | None) -> dict[str, Any]:
    if change is None:
        return {}
    steps = {"agent": change.agent, "runtime": change.runtime, "base": change.source_image}
    said: dict[str, Any] = {name: {"was": step.was, "now": step.now} for name, step in steps.items() if step}
    return {**said, "backwards": True} if change.backwards else said
