"""EC2 as far as a roll sees it: instances, launch templates, launch configurations."""

from dataclasses import dataclass, field

__all__ = ["Instance"]


@dataclass(slots=True, eq=False)
class Instance:
    """One EC2 instance. ``state`` is EC2's own word; times are world seconds."""

    id: str
    type: str
    zone: str
    subnet_id: str
    private_ip: str
    image_id: str
    launched_at: float
    state: str = "pending"  # pending, running, shutting-down, terminated, stopping, stopped
    group: str | None = None
    template_id: str | None = None
    template_name: str | None = None
    template_version: int | None = None
    launch_configuration: str | None = None
    cluster: str | None = None
    """The ECS cluster that the user data names (``ECS_CLUSTER=``), or None: then it never registers."""
    architecture: str = "x86_64"
    tags: dict[str, str] = field(default_factory=dict)
