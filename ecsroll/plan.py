"""The command ``plan``: findings and forecast, side by side. It reads, and changes nothing."""

from dataclasses import replace
from functools import partial
from importlib import import_module

from ecsroll.aws import Aws
from ecsroll.commands import Screen, intended
from ecsroll.decide import decide
from ecsroll.errors import EXIT_OK
from ecsroll.examine import examine
from ecsroll.lease import standing
from ecsroll.model import Finding, Memory, Policy
from ecsroll.observe import Observer
from ecsroll.preflight import allowed
from ecsroll.result import Result
from ecsroll.turn import outdated_by_group

__all__ = ["plan"]


def plan(aws: Aws, cluster: str, policy: Policy, screen: Screen) -> Result:
    """What ``replace`` with this policy would do, how long it would take, and what would stand in its way.

    Raises NotFound and Refused as ``replace`` does before its first change.
    """
    began = aws.clock.elapsed()
    observer = Observer(aws, cluster, policy.groups, alarms=policy.alarms)
    seen = observer.look()
    policy = intended(observer, seen, policy)
    decision, _ = decide(seen, Memory(), policy)
    examining = partial(examine, aws, observer, seen, policy)
    if decision.verdict is not None and decision.verdict.result == "nothing":
        return _nothing(cluster, decision.verdict.reason, (*examining().findings, *observer.findings.values()))
    # The simulated AWS takes a third of a second to load: beside readings, nobody waits for it.
    examined, _ = aws.beside(examining, partial(import_module, "ecsroll.foreseen"))
    from ecsroll.foreseen import foreseen, result_of  # noqa: PLC0415

    outdated = outdated_by_group(seen, policy)
    # Under the lease that the roll would take: marks of every earlier one are its own.
    seen = replace(seen, epoch=standing(aws, cluster).epoch + 1)
    spent = aws.clock.elapsed() - began
    forecast, told = foreseen(examined.terrain, seen, policy, outdated, aws.clock.elapsed, spent)
    findings = _once(allowed((*examined.findings, *observer.findings.values(), *told), policy.allow))
    screen.intend(seen, policy, outdated, findings)
    return result_of(seen, policy, outdated, forecast, findings)


def _nothing(cluster: str, reason: str, findings: tuple[Finding, ...]) -> Result:
    return Result(
        command="plan",
        result="nothing",
        exit_code=EXIT_OK,
        cluster=cluster,
        reason=reason,
        findings=_once(findings),
        more={"plan": None},
    )


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(findings))
