"""EC2 as far as a roll sees it: instances, launch templates, launch configurations."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecsroll.simulator.instance_types import InstanceType, instance_type
from ecsroll.simulator.templates import Templates
from ecsroll.simulator.world import Refusal

if TYPE_CHECKING:
    from ecsroll.simulator import Simulation

__all__ = ["RESOLVE", "Compute", "Instance"]

RESOLVE = "resolve:ssm:"
RECORD_APPEARS = (0.0, 2.0)  # seconds: InvalidInstanceID.NotFound shortly after launch is normal (aws-facts 6.4)
RECORD_STAYS = 3600.0  # a terminated instance can be described for about an hour


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
    attributes: dict[str, str] = field(default_factory=dict)
    """Custom attributes that the agent registers it with (``ECS_INSTANCE_ATTRIBUTES=``)."""
    architecture: str = "x86_64"
    tags: dict[str, str] = field(default_factory=dict)
    visible_at: float = 0.0
    state_reason: str | None = None
    warm: bool = False
    """It was launched into a warm pool, and has not left it."""


class Compute:
    """The account's instances, and the subnets that they are launched into."""

    def __init__(self, sim: "Simulation") -> None:
        self.sim = sim
        self.world = sim.world
        self.templates = Templates(sim)
        self.instances: dict[str, Instance] = {}
        self.subnets: dict[str, str] = {}
        """Zone of each subnet."""
        self._default_subnets: dict[str, str] = {}
        self._addresses = 0
        self._types: dict[str, InstanceType] = {}
        for letter in "abc":
            self.know_zone(f"{self.world.region}{letter}")

    # the network

    @property
    def zones(self) -> list[str]:
        """The availability zones, by name."""
        return list(self._default_subnets)

    @property
    def vpc_id(self) -> str:
        """The one VPC."""
        return f"vpc-{_hash(self.world.account, self.world.region, 'vpc')[:17]}"

    def subnet_of(self, zone: str) -> str:
        """The default subnet of a zone."""
        if zone not in self._default_subnets:
            raise Refusal("ValidationError", f"Invalid availability zones: [{zone}]")
        return self._default_subnets[zone]

    def know_zone(self, zone: str) -> None:
        """A zone of the region, with its default subnet."""
        if zone not in self._default_subnets:
            subnet = f"subnet-{_hash(self.world.account, zone)[:17]}"
            self._default_subnets[zone] = subnet
            self.subnets[subnet] = zone

    # types

    def type_of(self, name: str) -> InstanceType | None:
        """The instance type of that name, if this EC2 has it."""
        return self._types.get(name) or instance_type(name)

    def know_type(self, kind: InstanceType) -> None:
        """A type that the catalogue lacks, or knows otherwise."""
        self._types[kind.name] = kind

    # images

    def resolve_image(self, image: str) -> str | None:
        """The image id that a template's ImageId means now; None where the parameter can not be read."""
        if image.startswith(RESOLVE):
            return self.sim.parameters.value(image.removeprefix(RESOLVE))
        return image

    # life

    def launch(
        self,
        data: dict[str, Any],
        *,
        subnet_id: str,
        group: str | None = None,
        tags: dict[str, str] | None = None,
        warm: bool = False,
        template: tuple[str, str, int] | None = None,
        launch_configuration: str | None = None,
    ) -> Instance:
        """Launch one instance from launch-template data; refuses as RunInstances does."""
        image_id, kind = self._checked(data)
        world = self.world
        made = Instance(
            id=f"i-0{world.hex(16)}",
            type=kind,
            zone=self.subnets[subnet_id],
            subnet_id=subnet_id,
            private_ip=self._address(),
            image_id=image_id,
            launched_at=world.now,
            group=group,
            cluster=_ecs_cluster(data.get("UserData")),
            attributes=_ecs_attributes(data.get("UserData")),
            visible_at=world.now + world.draw(RECORD_APPEARS),
            warm=warm,
            launch_configuration=launch_configuration,
        )
        known = self.type_of(kind)
        made.architecture = known.architecture if known else "x86_64"
        if template is not None:
            made.template_id, made.template_name, made.template_version = template
        made.tags = {**_tags_of(data), **(tags or {})}
        self.instances[made.id] = made
        world.after(world.draw(world.durations.boot(group)), lambda: self.boot(made))
        return made

    def _checked(self, data: dict[str, Any]) -> tuple[str, str]:
        said = str(data.get("ImageId") or "")
        image_id = self.resolve_image(said)
        if image_id is None:
            raise Refusal(
                "InvalidParameterValue", f"The ssm parameter {said.removeprefix(RESOLVE)} could not be resolved"
            )
        image = self.sim.images.get(image_id)
        if image is None:
            raise Refusal("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
        kind = str(data.get("InstanceType") or "m1.small")
        known = self.type_of(kind)
        if known is None:
            raise Refusal("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
        if known.architecture != image.architecture:
            raise Refusal(
                "InvalidParameterValue",
                f"The architecture '{known.architecture}' of the specified instance type does not match the "
                f"architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI that "
                "have matching architectures, and try again.",
            )
        return image_id, kind

    def boot(self, instance: Instance) -> None:
        """A launched instance runs now."""
        if instance.state != "pending":
            return
        if instance.warm:
            # A warm instance boots, runs its user data and is stopped; its agent waits (ECS_WARM_POOLS_CHECK).
            instance.state = "stopped"
            self.world.tell("instance_warmed", instance=instance)
            return
        instance.state = "running"
        self.world.tell("instance_running", instance=instance)
        lives = self.sim.conditions.images_whose_hosts_die.get(instance.image_id)
        if lives is not None:
            reason = "Server.InternalError: Internal error"
            self.world.after(lives, lambda: self.terminate(instance.id, reason))

    def start(self, instance: Instance) -> None:
        """Start a stopped instance; out of a warm pool too."""
        if instance.state != "stopped":
            return
        instance.state, instance.warm = "pending", False
        takes = self.world.draw(self.world.durations.boot(instance.group))
        self.world.after(takes, lambda: self.boot(instance))

    def stop(self, instance: Instance) -> None:
        """Stop a running instance: it keeps its id, and whoever counted on it is told."""
        if instance.state not in ("running", "pending"):
            return
        was_running = instance.state == "running"
        instance.state = "stopping"
        if was_running:
            self.world.tell("instance_stopping", instance=instance, reason="stopped")
        self.world.after(self.world.draw(self.world.durations.instance_shuts_down), lambda: self._stopped(instance))

    def _stopped(self, instance: Instance) -> None:
        if instance.state == "stopping":
            instance.state = "stopped"

    def terminate(
        self, instance_id: str, reason: str = "Client.UserInitiatedShutdown: User initiated shutdown"
    ) -> None:
        """Terminate an instance: shutting-down at once, gone in a minute; again is harmless."""
        instance = self.instances[instance_id]
        if instance.state in ("shutting-down", "terminated"):
            return
        instance.state, instance.state_reason = "shutting-down", reason
        self.world.tell("instance_stopping", instance=instance, reason="terminated")
        self.world.after(self.world.draw(self.world.durations.instance_shuts_down), lambda: self._gone(instance))

    def _gone(self, instance: Instance) -> None:
        instance.state = "terminated"
        self.world.tell("instance_gone", instance=instance)
        self.world.after(RECORD_STAYS, lambda: self._forget(instance))

    def _forget(self, instance: Instance) -> None:
        self.instances.pop(instance.id, None)

    # looking

    def visible(self) -> Iterator[Instance]:
        """The instances that EC2 can describe now, oldest first."""
        now = self.world.now
        return (instance for instance in self.instances.values() if instance.visible_at <= now)

    def must_find(self, ids: Iterable[str]) -> list[Instance]:
        """The instances of these ids; refuses all if one is unknown, or too young to be known."""
        found: list[Instance] = []
        missing: list[str] = []
        for instance_id in ids:
            if not re.fullmatch(r"i-[0-9a-f]{8,17}", instance_id):
                raise Refusal("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
            instance = self.instances.get(instance_id)
            if instance is None or instance.visible_at > self.world.now:
                missing.append(instance_id)
            else:
                found.append(instance)
        if missing:
            plural, listed = ("IDs", "s") if len(missing) > 1 else ("ID", "")
            verb = "do" if listed else "does"
            raise Refusal(
                "InvalidInstanceID.NotFound", f"The instance {plural} '{', '.join(missing)}' {verb} not exist"
            )
        return found

    def _address(self) -> str:
        self._addresses += 1
        high, low = divmod(self._addresses + 9, 250)
        return f"10.0.{high}.{low + 4}"


def _hash(*words: str) -> str:
    return hashlib.sha256("|".join(words).encode()).hexdigest()


def _tags_of(data: dict[str, Any]) -> dict[str, str]:
    return {
        tag["Key"]: tag["Value"]
        for spec in data.get("TagSpecifications") or ()
        if spec.get("ResourceType") == "instance"
        for tag in spec.get("Tags") or ()
    }


def _ecs_cluster(user_data: str | None) -> str | None:
    """The cluster that user data writes into ecs.config, as the shell or as Bottlerocket's TOML."""
    text = _text(user_data)
    found = re.search(r"ECS_CLUSTER[\"']?\s*[=,]\s*[\"']?([A-Za-z0-9_-]+)", text) or re.search(
        r"\[settings\.ecs\][^\[]*?\bcluster\s*=\s*\"([A-Za-z0-9_-]+)\"", text
    )
    return found[1] if found else None


def _ecs_attributes(user_data: str | None) -> dict[str, str]:
    """The custom attributes that user data writes into ecs.config, as one line of JSON; not Bottlerocket's."""
    found = re.search(r"ECS_INSTANCE_ATTRIBUTES=['\"]?(\{[^}]*\})", _text(user_data))
    try:
        return dict(json.loads(found[1].replace('\\"', '"'))) if found else {}
    except json.JSONDecodeError:
        return {}


def _text(user_data: str | None) -> str:
    try:
        return base64.b64decode(user_data or "", validate=True).decode(errors="replace")
    except binascii.Error:
        return ""
