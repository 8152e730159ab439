"""Every finding is said where it holds and not where it does not; what a person reads of it is a file to be judged.

``pytest --update-transcripts`` writes tests/transcripts/findings/ anew.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from textwrap import wrap

import pytest

from ecsroll.aws import Aws
from ecsroll.codes import CODES
from ecsroll.examine import examine
from ecsroll.explore import explore
from ecsroll.images import choose_images
from ecsroll.model import Finding
from ecsroll.observe import Observer
from ecsroll.preflight import allowed, preflight
from tests.deeds import with_managed
from tests.findings import CASES, Case
from tests.rolls import stage_of

FOLDER = Path(__file__).parent / "transcripts" / "findings"
SEVERITIES = ["blocking", "warning", "info"]


def said_of(case: Case) -> tuple[Finding, ...]:
    """Everything that is found before a roll."""
    stage = stage_of(*case.groups, services=case.services, quick=True)
    case.before(stage)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(0))
    observer = Observer(aws, stage.cluster, case.policy.groups, alarms=case.policy.alarms)
    seen = observer.look()
    policy = replace(case.policy, images=choose_images(case.policy.ami, seen, aws))
    stage.sim.door.calls.clear()
    found = examine(aws, observer, seen, policy).findings
    assert [call.operation for call in stage.sim.door.calls if call.changes] == []
    tweaked = case.tweak(explore(aws, observer, seen))
    return tuple(dict.fromkeys((*found, *preflight(seen, policy, tweaked))))


def test_a_managed_instance_is_no_room_for_tasks_that_are_not_meant_for_it() -> None:
    case = CASES["EC115"][0]["four tasks of half a host each, and one host less"]
    stage = stage_of(*case.groups, services=case.services, quick=True)
    aws = Aws(stage.sim, stage.sim, workers=1, chance=random.Random(0))
    observer = Observer(aws, stage.cluster)
    seen = observer.look()
    policy = replace(case.policy, images=choose_images(case.policy.ami, seen, aws))
    found = preflight(seen, policy, with_managed(explore(aws, observer, seen)))
    assert "EC115" in {finding.code for finding in found if finding.severity == "blocking"}


def shown(code: str, cases: dict[str, list[Finding]]) -> str:
    """The file: each case's sentence, then what is said of it."""
    head = f"{code}: {CODES[code]}"
    lines = [head, "=" * len(head)]
    for sentence, found in cases.items():
        lines += ["", f"{sentence[0].upper()}{sentence[1:]}:", *_lines(found)]
    return "\n".join(lines) + "\n"


def _lines(found: Iterable[Finding]) -> list[str]:
    lines = []
    for finding in found:
        said = f"{finding.code} {finding.severity}  {finding.subject}: {finding.measured}"
        lines += wrap(said, 112, initial_indent="  ", subsequent_indent="        ", break_on_hyphens=False)
        lines += wrap(
            f"-> {finding.fix}", 112, initial_indent="     ", subsequent_indent="        ", break_on_hyphens=False
        )
    return lines or ["  nothing is said."]


@pytest.mark.parametrize("code", CASES)
def test_a_finding_is_said_where_it_holds_and_nowhere_else(code: str, request: pytest.FixtureRequest) -> None:
    fires, quiet = CASES[code]
    told = {
        sentence: [finding for finding in said_of(case) if finding.code == code]
        for sentence, case in {**fires, **quiet}.items()
    }
    silent = [sentence for sentence in fires if not told[sentence]]
    loud = [sentence for sentence in quiet if sentence not in fires and told[sentence]]
    assert (silent, loud) == ([], [])
    file = FOLDER / f"{code}.txt"
    if request.config.getoption("--update-transcripts"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(shown(code, told))
    assert file.read_text() == shown(code, told), "it reads otherwise now: judge it, then pytest --update-transcripts"


def test_every_finding_has_its_cases_and_its_file() -> None:
    assert CASES.keys() == CODES.keys() - {"EC180", "EC181"}, "those are the rehearsal's own: tests/test_plan.py"
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(CASES)
    assert all(fires and quiet for fires, quiet in CASES.values())


# What is allowed


BLOCKING = Finding(code="EC115", severity="blocking", subject="api", measured="too little room", fix="add some")


def test_what_is_allowed_is_a_warning_that_says_so() -> None:
    (found,) = allowed([BLOCKING], ["EC115"])
    assert found.severity == "warning"
    assert found.measured == "too little room (allowed by --allow EC115)"


def test_what_is_not_allowed_goes_on_blocking() -> None:
    assert allowed([BLOCKING], ["EC110"]) == (BLOCKING,)


def test_the_worst_comes_first() -> None:
    found = [replace(BLOCKING, severity=each) for each in ("info", "blocking", "warning")]
    assert [finding.severity for finding in allowed(found, [])] == SEVERITIES
