"""Answers that the simulated AWS does not give, and another AWS may: shorter, older, without what can be left out."""

from collections.abc import Callable
from typing import Any

from ecsroll.simulator import Simulation

__all__ = ["Change", "answering", "every", "without"]

Change = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""What was asked and what would be said -> what is said."""


def answering(sim: Simulation, operation: str, change: Change) -> None:
    """Answer the calls of one operation in another way from now on."""
    usual = sim.door.answer

    def answer(service: str, asked: str, params: dict[str, Any]) -> dict[str, Any]:
        said = usual(service, asked, params)
        return change(params, said) if asked == operation else said

    sim.door.answer = answer


def every(said: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """An answer with each of its structures changed, from the innermost outwards."""
    if isinstance(said, dict):
        return change({key: every(each, change) for key, each in said.items()})
    return [every(each, change) for each in said] if isinstance(said, list) else said


def without(*members: str) -> Change:
    """An answer that leaves these members out, wherever they would stand."""
    return lambda _, said: every(said, lambda each: {key: each[key] for key in each if key not in members})
