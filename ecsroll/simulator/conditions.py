"""What is wrong with the simulated AWS: plain data that the laws consult, changed at any moment by a scenario."""

from dataclasses import dataclass, field

__all__ = ["Conditions"]


@dataclass(slots=True)
class Conditions:
    """All empty: a calm day."""

    zones_without_capacity: set[str] = field(default_factory=set)
    launch_fails: str | None = None
    """Every launch fails with this status message."""
    images_that_never_register: set[str] = field(default_factory=set)
    images_whose_agent_never_connects: set[str] = field(default_factory=set)
    """The container instance registers, and its agent stays away."""
    images_that_crash_tasks: set[str] = field(default_factory=set)
    """Replica tasks exit with code 1 a few seconds after RUNNING."""
    images_whose_targets_stay_unhealthy: set[str] = field(default_factory=set)
    images_whose_hosts_die: dict[str, float] = field(default_factory=dict)
    """So many seconds after an instance of the image runs, it ends by itself: whatever is on it ends with it."""
    instances_without_agent: set[str] = field(default_factory=set)
    """Their agent is disconnected from now on; their containers go on running."""
    families_that_never_stop: set[str] = field(default_factory=set)
    """Tasks of these task-definition families stay in STOPPING for ever."""
    families_that_fail_to_start: set[str] = field(default_factory=set)
    """Their image can not be pulled: the tasks end with TaskFailedToStart, never having run."""
    zones_are_rebalanced: bool = False
    """ECS moves tasks between zones by itself, for services that have AZ rebalancing on (aws-facts 8.4)."""
    protection_holds_drains: bool = True
    """Whether a DRAINING instance waits for protected tasks (aws-facts 3.5: not documented, so a switch)."""
    denied_actions: set[str] = field(default_factory=set)
    """What the caller may not do, as policies name it: ``ecs:PutAttributes``, ``iam:SimulatePrincipalPolicy``."""
    termination_hook_stalls: bool = False
    """Nobody completes termination lifecycle hooks; they end at their heartbeat timeout."""
