"""Whether AWS has a newer image: by the versions of its parameters, one cheap call for ten families (aws-facts 2.1).

AWS announces no Linux image any more, and its public parameters send no events; so the parameter is asked.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecsroll.ami import Parameter
from ecsroll.aws import Aws
from ecsroll.families import FAMILIES
from ecsroll.images import AwsImages

__all__ = ["Newest"]


@dataclass
class Newest:
    """Remembers the parameters of the families that run, by cluster."""

    way: Callable[[str], Aws]
    seen: dict[str, dict[str, Parameter]] = field(default_factory=dict)

    def learn(self, cluster: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """From what a whole check found: which families to ask for from now on."""
        keys = {row["family"] for row in rows}
        names = {name for key in keys if key in FAMILIES for name in FAMILIES[key].parameters}
        self.seen[cluster] = AwsImages(self.way(cluster)).parameters(sorted(names)) if names else {}

    def changed(self, cluster: str) -> bool:
        """Whether a parameter has another version than when it was learned, or another value, or is gone."""
        if cluster not in self.seen:
            return True
        known = self.seen[cluster]
        return bool(known) and AwsImages(self.way(cluster)).parameters(sorted(known)) != known
