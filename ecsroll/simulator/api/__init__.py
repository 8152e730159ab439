"""How each AWS operation is answered, one file a service, in botocore's own member names."""

import importlib

__all__ = ["load"]


def load() -> None:
    """Register every answer with the door."""
    for service in ("ecs", "ecs_work", "autoscaling", "ec2", "elbv2", "ssm", "sts", "iam", "cloudwatch"):
        importlib.import_module(f"ecsroll.simulator.api.{service}")
