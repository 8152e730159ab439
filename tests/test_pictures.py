"""The pictures of the README are what the commands show: drawn by them, and compared.

``python -m tests.test_pictures`` draws them anew.
"""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType

from ecsroll.act import Actor
from ecsroll.aws import Aws
from ecsroll.demo import demo_stage
from ecsroll.engine import Ways, rounds
from ecsroll.images import choose_images
from ecsroll.observe import Observer
from ecsroll.policy import settle
from ecsroll.render import LiveScreen
from ecsroll.render_plan import planned
from ecsroll.tally import Tally
from tests.console import ecsroll

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
NO_FONTS = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Whoever opens one loads nothing from anywhere: the reader's own monospaced font will do."""
ASSUMPTIONS = -4
"""Where a plan's last part begins: the blank, its heading, its table, and a blank."""


def drawn(part: RenderableType, title: str, width: int) -> str:
    """As a terminal of that width shows it."""
    console = Console(file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="standard")
    console.print(part)
    return console.export_svg(title=title, code_format=NO_FONTS, unique_id="ecsroll")


def roll() -> str:
    """The demo after eleven minutes: the canary has passed, hosts go and come."""
    stage = demo_stage()
    aws = Aws(stage.sim, stage.sim, workers=1)
    observer = Observer(aws, stage.cluster)
    policy = settle({"max-surge": "2", "bake": "2m"})
    policy = replace(policy, images=choose_images(policy.ami, observer.look(), aws))
    screen = LiveScreen(
        Console(file=io.StringIO(), width=100), "ecsroll demo · nine hosts, two releases behind", policy
    )
    tally = Tally()
    for step in rounds(observer, Actor(aws, observer), policy, stage.sim, Ways(tell=screen.event)):
        tally.read(step.seen)
        screen.round(step, tally, aws)
        if tally.took >= timedelta(minutes=11):
            break
    assert screen.last is not None
    return drawn(screen.last, "ecsroll demo", 100)


def plan() -> str:
    """What ``plan`` says of the demo's cluster, down to the ways beside the one asked for."""
    words = ("plan", "--cluster", "demo", "--max-surge", "3")
    told = planned(ecsroll(demo_stage(), *words, "--json").result["plan"])
    return drawn(Group(*told[:ASSUMPTIONS]), f"ecsroll {' '.join(words)}", 100)


PICTURED: dict[str, Callable[[], str]] = {"roll": roll, "plan": plan}


@pytest.mark.parametrize("name", PICTURED)
def test_a_picture_is_what_the_command_shows(name: str) -> None:
    assert (PICTURES / f"{name}.svg").read_text() == PICTURED[name](), "python -m tests.test_pictures draws it anew"


if __name__ == "__main__":
    for name, draw in PICTURED.items():
        (PICTURES / f"{name}.svg").write_text(draw())
