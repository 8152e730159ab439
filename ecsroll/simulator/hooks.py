"""Lifecycle hooks: who makes an instance wait on its way in or out, for how long, and what ends it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ecsroll.simulator.groups import LAUNCHING, Group, Hook, Member, Waiting
from ecsroll.simulator.world import Refusal, Timer

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["Hooks"]

LONGEST = 48 * 3600.0
HEARTBEATS = 100
Ended = Callable[[Group, Member, bool], None]
"""What happens when nobody is waited for any more; True: somebody said ABANDON."""


class Hooks:
    """The lifecycle actions under way. ``ended`` takes a member on when its last one is over."""

    def __init__(self, sim: "Simulation", ended: Ended) -> None:
        self.world = sim.world
        self.ended = ended

    def begin(self, group: Group, member: Member, transition: str) -> bool:
        """Start all hooks of a transition at once; False if there is none."""
        hooks = [hook for hook in group.hooks.values() if hook.transition == transition]
        if not hooks:
            return False
        group.move(member, "Pending:Wait" if transition == LAUNCHING else "Terminating:Wait")
        if member.activity is not None:
            member.activity.status = "MidLifecycleAction"
        for hook in hooks:
            waiting = Waiting(hook, self.world.uuid(), self.world.now, self._timer(group, member, hook))
            member.waiting[hook.name] = waiting
        for hook in hooks:
            if hook.name in member.waiting:
                token = member.waiting[hook.name].token
                self.world.tell("hook_waits", group=group.name, instance=member.instance, hook=hook.name, token=token)
        return True

    def complete(self, group: Group, member: Member, hook_name: str, result: str) -> None:
        """Somebody says CONTINUE or ABANDON."""
        if result not in ("CONTINUE", "ABANDON"):
            raise Refusal("ValidationError", "Lifecycle action result must be CONTINUE or ABANDON")
        self._end(group, member, self._must_wait(member, hook_name), result)

    def heartbeat(self, group: Group, member: Member, hook_name: str) -> None:
        """Somebody asks for another heartbeat timeout; at most 48 h or a hundred of them in all."""
        waiting = self._must_wait(member, hook_name)
        waiting.timer.cancel()
        waiting.timer = self._timer(group, member, waiting.hook, since=waiting.since)

    def cancel(self, member: Member) -> None:
        """Nobody is waited for any more."""
        for waiting in member.waiting.values():
            waiting.timer.cancel()
        member.waiting.clear()

    def by_token(self, member: Member, token: str) -> str | None:
        """The hook whose action has this token."""
        return next((name for name, waiting in member.waiting.items() if waiting.token == token), None)

    def _timer(self, group: Group, member: Member, hook: Hook, since: float | None = None) -> Timer:
        longest = min(LONGEST, HEARTBEATS * hook.heartbeat)
        left = longest if since is None else since + longest - self.world.now
        return self.world.after(min(hook.heartbeat, left), lambda: self._time_out(group, member, hook))

    def _time_out(self, group: Group, member: Member, hook: Hook) -> None:
        waiting = member.waiting.get(hook.name)
        if waiting is not None:
            self._end(group, member, waiting, hook.default_result)

    def _end(self, group: Group, member: Member, waiting: Waiting, result: str) -> None:
        waiting.timer.cancel()
        del member.waiting[waiting.hook.name]
        if result == "ABANDON":
            # ABANDON on one hook skips the remaining ones (aws-facts 5.4).
            self.cancel(member)
        if not member.waiting:
            self.ended(group, member, result == "ABANDON")

    def _must_wait(self, member: Member, hook_name: str) -> Waiting:
        waiting = member.waiting.get(hook_name)
        if waiting is None:
            raise Refusal("ValidationError", f"No active Lifecycle Action found with instance ID {member.instance.id}")
        return waiting
