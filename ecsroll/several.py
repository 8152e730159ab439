"""Several clusters in one run: one after the other until one does not end well, or side by side."""

import threading
from collections.abc import Callable, Sequence

from ecsroll.errors import EXIT_OK
from ecsroll.result import Result

__all__ = ["in_turn", "side_by_side"]

Roll = Callable[[str], Result]
"""Rolls one cluster to its end. What goes wrong is a result, too."""


def in_turn(command: str, clusters: Sequence[str], roll: Roll) -> Result:
    """Roll them in this order. The first that does not end well stops the run: its reason may wait in the next one."""
    results: list[Result] = []
    for cluster in clusters:
        results.append(roll(cluster))
        if results[-1].exit_code != EXIT_OK:
            break
    return _together(command, clusters, results)


def side_by_side(command: str, clusters: Sequence[str], roll: Roll) -> Result:
    """Roll them at the same time, each with a thread, a lease and a pace of its own.

    The threads end with the process: whoever stops it at once (a second Ctrl-C) stops them, too.
    """
    results: dict[str, Result] = {}

    def carry(cluster: str) -> None:
        results[cluster] = roll(cluster)

    threads = [threading.Thread(target=carry, args=(cluster,), name=cluster, daemon=True) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _together(command, clusters, [results[cluster] for cluster in clusters])


def _together(command: str, clusters: Sequence[str], results: Sequence[Result]) -> Result:
    """One result of all: the first that did not end well speaks."""
    bad = next((result for result in results if result.exit_code != EXIT_OK), None)
    speaks = bad or next((result for result in results if result.result != "nothing"), results[0])
    well = sum(result.exit_code == EXIT_OK for result in results)
    left = clusters[len(results) :]
    parts = [f"{well} of {len(clusters)} clusters ended well"]
    parts += [f"{bad.cluster}: {bad.result}: {bad.reason}"] if bad else []
    parts += [f"not begun: {', '.join(left)}"] if left else []
    return Result(
        command=command,
        result=speaks.result,
        exit_code=speaks.exit_code,
        reason="; ".join(parts),
        next=bad.next if bad else "",
        replaced=sum(result.replaced for result in results),
        remaining=sum(result.remaining for result in results),
        owed=tuple(entry for result in results for entry in result.owed),
        more={"clusters": [result.plain() for result in results], "not_begun": list(left)},
    )
