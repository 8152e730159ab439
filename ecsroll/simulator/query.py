"""The cluster query language as the simulated AWS speaks it: the product's own reader, refusing as AWS refuses."""

from ecsroll.query import MISSING, Query, QueryError
from ecsroll.query import parse as read
from ecsroll.simulator.world import Refusal

__all__ = ["MISSING", "Query", "parse"]


def parse(expression: str) -> Query:
    """Read an expression. Raises InvalidParameterException where AWS would."""
    try:
        return read(expression)
    except QueryError as no:
        raise Refusal("InvalidParameterException", str(no)) from no
