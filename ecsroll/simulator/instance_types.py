"""Some of EC2's instance types: what fits on a host, and what it costs."""

from dataclasses import dataclass
from functools import cache

__all__ = ["InstanceType", "instance_type", "instance_types"]


@dataclass(frozen=True, slots=True)
class InstanceType:
    """What ``DescribeInstanceTypes`` says of a type, as far as ECS places by it."""

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    network_interfaces: int
    gpus: int = 0
    registers: int | None = None
    """MiB that the agent registers; None: what the kernel usually leaves of it (aws-facts 8.1: 3767-3885 of 4096)."""

    @property
    def usable_mib(self) -> int:
        """Memory that tasks can have."""
        return int(self.memory_mib * 0.945) if self.registers is None else self.registers


_SIZES = {
    # size: (vCPU, network interfaces)
    "large": (2, 3),
    "xlarge": (4, 4),
    "2xlarge": (8, 4),
    "4xlarge": (16, 8),
    "8xlarge": (32, 8),
    "12xlarge": (48, 8),
    "16xlarge": (64, 15),
}
_GIB_PER_VCPU = {"c": 2, "m": 4, "r": 8}
_FAMILIES = ["c5", "c6i", "c7i", "c6g", "c7g", "m5", "m6i", "m7i", "m6g", "m7g", "r5", "r6i", "r7i", "r6g", "r7g"]
_BURSTABLE = {
    # size: (vCPU, MiB, network interfaces)
    "nano": (2, 512, 2),
    "micro": (2, 1024, 2),
    "small": (2, 2048, 3),
    "medium": (2, 4096, 3),
    "large": (2, 8192, 3),
    "xlarge": (4, 16384, 4),
    "2xlarge": (8, 32768, 4),
}
_ACCELERATED = (
    InstanceType("p3.2xlarge", 8, 62464, "x86_64", 4, gpus=1),
    InstanceType("g4dn.xlarge", 4, 16384, "x86_64", 3, gpus=1),
    InstanceType("g4dn.12xlarge", 48, 196608, "x86_64", 8, gpus=4),
    InstanceType("g5.xlarge", 4, 16384, "x86_64", 4, gpus=1),
    InstanceType("g5.12xlarge", 48, 196608, "x86_64", 15, gpus=4),
    InstanceType("inf1.xlarge", 4, 8192, "x86_64", 4),
    InstanceType("inf2.xlarge", 4, 16384, "x86_64", 4),
    InstanceType("m1.small", 1, 1740, "x86_64", 2),
    InstanceType("m4.large", 2, 8192, "x86_64", 2),
    InstanceType("t1.micro", 1, 627, "x86_64", 2),
)


@cache
def _table() -> dict[str, InstanceType]:
    types = [
        InstanceType(f"{family}.{size}", vcpus, vcpus * 1024 * _GIB_PER_VCPU[family[0]], _architecture(family), enis)
        for family in _FAMILIES
        for size, (vcpus, enis) in _SIZES.items()
    ]
    types += [
        InstanceType(f"{family}.{size}", vcpus, memory, _architecture(family), enis)
        for family in ("t2", "t3", "t3a", "t4g")
        for size, (vcpus, memory, enis) in _BURSTABLE.items()
    ]
    return {each.name: each for each in (*types, *_ACCELERATED)}


def _architecture(family: str) -> str:
    return "arm64" if family.endswith("g") and family != "g" else "x86_64"


def instance_type(name: str) -> InstanceType | None:
    """The type of that name, if the simulated EC2 has it."""
    return _table().get(name)


def instance_types() -> list[InstanceType]:
    """All types, by name."""
    return [_table()[name] for name in sorted(_table())]
