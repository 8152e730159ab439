"""Health of the targets of services: what load balancers say of their tasks. Read for the gates."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ecsroll.answers import targets_of, together
from ecsroll.model import Service, Targets

__all__ = ["TargetHealth"]


@dataclass
class TargetHealth:
    """What one process has read of it. ``optional`` makes a call that a roll can do without."""

    optional: Callable[..., dict[str, Any]]
    known: dict[str, Targets] = field(default_factory=dict)
    """By target group; as last read, where a later reading failed."""
    _delays: dict[str, timedelta] = field(default_factory=dict)

    def read(self, services: Iterable[Service]) -> None:
        """The target groups of these services, each together with its alternate if it has one."""
        some = list(services)
        others = {arn: other for service in some for arn, other in service.alternates.items()}
        for arn in sorted({arn for service in some for arn in service.target_groups}):
            pair = [self._read(each) for each in (arn, others.get(arn)) if each is not None]
            read = [targets for targets in pair if targets is not None]
            if len(read) == len(pair):
                self.known[arn] = together(read)

    def _read(self, arn: str) -> Targets | None:
        if arn not in self._delays:
            self._delays[arn] = self._deregistration_delay(arn)
        answer = self.optional("elbv2", "describe_target_health", TargetGroupArn=arn)
        return targets_of(answer, self._delays[arn]) if "TargetHealthDescriptions" in answer else None

    def _deregistration_delay(self, arn: str) -> timedelta:
        answer = self.optional("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
        said = {entry["Key"]: entry["Value"] for entry in answer.get("Attributes", ())}
        return timedelta(seconds=int(said.get("deregistration_delay.timeout_seconds", 300)))
