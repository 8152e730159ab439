"""ecsroll replaces the EC2 hosts of ECS clusters without hurting what runs on them."""

from importlib.metadata import version

__all__ = ["__version__"]
__version__ = version("ecsroll")
