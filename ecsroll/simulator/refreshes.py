"""Instance refresh: AWS's own rolling replacement, as far as somebody else's may stand in a roll's way."""

from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.groups import COUNTED, Group, Member, stamp
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["Refresh", "Refreshes"]

ACTIVE = ("Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking")
PERIOD = 15.0
WAITS_FOR_PROTECTED = 3600.0


@dataclass(slots=True, eq=False)
class Refresh:
    """One instance refresh."""

    id: str
    group: str
    start: datetime
    preferences: dict[str, Any]
    left: dict[str, Member]
    """The members that it still has to replace."""
    total: int
    desired_configuration: dict[str, Any] = field(default_factory=dict)
    status: str = "Pending"
    reason: str = ""
    end: datetime | None = None
    stuck_since: float | None = None

    @property
    def percentage(self) -> int:
        """How much of it is done."""
        return 100 if not self.total else 100 * (self.total - len(self.left)) // self.total


class Refreshes:
    """The instance refreshes of all groups, oldest first."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.by_group: dict[str, list[Refresh]] = {}

    def active(self, group: str) -> Refresh | None:
        """The refresh that runs: one at a time."""
        return next((refresh for refresh in self.by_group.get(group, ()) if refresh.status in ACTIVE), None)

    def start(self, group: Group, preferences: dict[str, Any], desired_configuration: dict[str, Any]) -> Refresh:
        """Begin to replace the group's instances."""
        running = self.active(group.name)
        if running is not None:
            raise Refusal(
                "InstanceRefreshInProgress",
                f"An Instance Refresh is already in progress and blocks the execution of this Instance Refresh. Id: "
                f"{running.id}",
            )
        if desired_configuration:
            self.sim.scaling.launch_from(group, desired_configuration)
        left = {id_: member for id_, member in group.members.items() if self._to_replace(group, member, preferences)}
        made = Refresh(
            self.world.uuid(), group.name, self.world.time, preferences, left, len(left), desired_configuration
        )
        self.by_group.setdefault(group.name, []).append(made)
        self.world.after(PERIOD, lambda: self._step(group, made))
        return made

    def cancel(self, group: Group) -> Refresh:
        """End the running refresh; what is under way is finished by the group."""
        running = self.active(group.name)
        if running is None:
            raise Refusal("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found.")
        running.status = "Cancelling"
        self.world.after(PERIOD, lambda: self._finish(running, "Cancelled", "Cancelled due to user request."))
        return running

    def _to_replace(self, group: Group, member: Member, preferences: dict[str, Any]) -> bool:
        if member.state not in COUNTED or (
            preferences.get("ScaleInProtectedInstances") == "Ignore" and member.protected
        ):
            return False
        if not preferences.get("SkipMatching"):
            return True
        # It compares template and type, and is blind to what a parameter says (aws-facts 5.7).
        wanted = self.sim.scaling.fleet.source(group)
        instance = member.instance
        return (instance.template_id, instance.template_name, instance.template_version) != wanted.template

    def _step(self, group: Group, refresh: Refresh) -> None:
        if refresh.status not in ("Pending", "InProgress"):
            return
        refresh.status = "InProgress"
        refresh.left = {id_: m for id_, m in refresh.left.items() if group.members.get(id_) is m and m.state in COUNTED}
        if group.runs("InstanceRefresh") and group.runs("Launch") and group.runs("Terminate"):
            self._replace(group, refresh)
        settled = not group.pending and group.counted == group.desired
        if not refresh.left and settled:
            self._finish(refresh, "Successful", "")
        elif refresh.stuck_since is not None and self.world.now - refresh.stuck_since > WAITS_FOR_PROTECTED:
            self._finish(refresh, "Failed", "Instances protected from scale in could not be replaced.")
        else:
            self.world.after(PERIOD, lambda: self._step(group, refresh))

    def _replace(self, group: Group, refresh: Refresh) -> None:
        least = refresh.preferences.get("MinHealthyPercentage", 90)
        floor = min(ceil(group.desired * least / 100), group.desired - 1)
        may_go = group.states["InService"] - floor
        willing = [m for m in refresh.left.values() if self._may_replace(m, refresh)]
        refresh.stuck_since = None if willing or not refresh.left else (refresh.stuck_since or self.world.now)
        for member in willing[: max(0, may_go)]:
            now = stamp(self.world.time)
            cause = f"At {now} an instance was taken out of service in response to an instance refresh."
            self.sim.scaling.fleet.remove(group, member, cause)
            del refresh.left[member.instance.id]
        self.sim.scaling.fleet.wake(group)

    def _may_replace(self, member: Member, refresh: Refresh) -> bool:
        return not member.protected or refresh.preferences.get("ScaleInProtectedInstances") == "Refresh"

    def _finish(self, refresh: Refresh, status: str, reason: str) -> None:
        refresh.status, refresh.reason, refresh.end = status, reason, self.world.time
