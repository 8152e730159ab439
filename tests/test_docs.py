"""Docs are tests: what is there is documented, what is documented is there, and what a reader would paste runs.

``python -m tests.test_docs`` writes docs/cli.md and the schema of ecsroll.toml anew.
"""

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ecsroll import errors
from ecsroll.cli import app
from ecsroll.codes import CODES
from ecsroll.events import KINDS
from ecsroll.policy_file import schema
from tests.console import ecsroll

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SCHEMA = ROOT / "ecsroll" / "ecsroll.schema.json"
PAGES = [*sorted(DOCS.rglob("*.md")), *(page for page in sorted(ROOT.glob("*.md")) if page.read_text().strip())]
GENERAL = "AWS and output"

HEAD = """\
# Commands

<!-- Written by `python -m tests.test_docs` from the commands themselves; a test compares. -->

An option that names a variable can be given as this environment variable, too; the option counts more.
Options that may be given several times take several words, separated by blanks, from their variable.
Durations are a number and `s`, `m`, `h` or `d`: `90s`, `15m`, `2h`, `3d`.
Exit codes are in [exit-codes.md](exit-codes.md), the JSON in [json.md](json.md).

AWS is reached as the AWS CLI reaches it: `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`, roles of tasks and instances.
`NO_COLOR` takes the colours away. On something that is no terminal, the story is plain lines.
"""


def commands() -> dict[str, Any]:
    """Every command by its name."""
    found: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return found


def options(command: Any) -> list[Any]:
    return [param for param in command.params if param.name not in {"install_completion", "show_completion"}]


def row(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    default = f"`{option.default}`" if isinstance(option.default, str | float) and option.default is not False else ""
    if isinstance(option.default, bool):
        default = ""
    variable = f"`{option.envvar}`" if option.envvar else ""
    need = " Required." if option.required else ""
    return f"| {names} | {default} | {variable} | {option.help}{need} |"


def table(some: list[Any]) -> list[str]:
    return ["| option | default | variable | |", "|---|---|---|---|", *map(row, some), ""]


def reference() -> str:
    """docs/cli.md as it has to be."""
    lines = [HEAD]
    found = commands()
    root = [option for option in options(typer.main.get_command(app)) if option.name != "help"]
    lines += ["## Everywhere", "", "Before or after the command's name.", "", *table(root)]
    for name, command in found.items():
        lines += [f"## ecsroll {name}", "", inspect.cleandoc(command.help), ""]
        own = [option for option in options(command) if getattr(option, "rich_help_panel", None) != GENERAL]
        panels = dict.fromkeys(getattr(option, "rich_help_panel", None) for option in own)
        for panel in panels:
            if panel:
                lines += [f"### {panel} ({name})", ""]
            lines += table([option for option in own if getattr(option, "rich_help_panel", None) == panel])
    return "\n".join(lines).rstrip() + "\n"


# The reference ------------------------------------------------------------------------------------------


def test_the_command_reference_is_what_the_commands_say() -> None:
    assert (DOCS / "cli.md").read_text() == reference(), "run: python -m tests.test_docs"


def test_every_command_and_every_option_has_a_help() -> None:
    for name, command in commands().items():
        assert command.help, name
        assert [option.name for option in options(command) if not option.help] == []


def test_every_option_has_its_environment_variable() -> None:
    for name in commands():
        missing = [option.name for option in options(commands()[name]) if option.name != "help" and not option.envvar]
        assert missing == []
        for option in options(commands()[name]):
            if option.envvar:
                assert option.envvar == f"ECSROLL_{option.opts[0].strip('-').upper().replace('-', '_')}"


def test_every_option_that_a_page_names_exists() -> None:
    known = {
        name
        for command in (*commands().values(), typer.main.get_command(app))
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    # What the design promises for later is named in the decisions only.
    pages = [page for page in PAGES if "decisions" not in page.parts and page.parent in {DOCS, ROOT}]
    for page in pages:
        for line in page.read_text().splitlines():
            for words in re.findall(r"`((?:\$ )?ecsroll [^`]*|--[a-z-]+[^`]*)`", line):
                unknown = [word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", words) if word not in known]
                assert unknown == [], f"{page.name}: {line}"


def test_the_folder_list_has_every_file_once() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| file | knows |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line]
    named = [name for cell in cells for name in re.findall(r"`(\w+\.py)`", cell)]
    assert sorted(named) == sorted(path.name for path in (ROOT / "ecsroll").glob("[!_]*.py"))


# Exit codes, events, findings --------------------------------------------------------------------------------


def error_classes() -> Iterator[type[errors.EcsrollError]]:
    for member in vars(errors).values():
        if inspect.isclass(member) and issubclass(member, errors.EcsrollError):
            yield member


def exit_codes() -> dict[int, str]:
    """The table of docs/exit-codes.md: a code and its row."""
    lines = (DOCS / "exit-codes.md").read_text().splitlines()
    return {int(found[1]): line for line in lines if (found := re.match(r"\| (\d+) \|", line))}


def test_every_error_class_is_in_the_table_under_its_code() -> None:
    rows = exit_codes()
    for error in error_classes():
        assert f"`{error.__name__}`" in rows[error.exit_code], error.__name__


def test_the_table_names_no_other_class_and_every_code_has_its_row() -> None:
    rows = exit_codes()
    names = {name for line in rows.values() for name in re.findall(r"`([A-Z]\w+)`", line)}
    assert names == {error.__name__ for error in error_classes()}
    others = {errors.EXIT_OK, errors.EXIT_OUTDATED, errors.EXIT_INTERRUPTED}
    assert set(rows) == {error.exit_code for error in error_classes()} | others


def test_the_tree_in_the_source_says_the_same_codes() -> None:
    tree = inspect.getdoc(errors) or ""
    for error in error_classes():
        assert re.search(rf"{error.__name__}\s+{error.exit_code}\s", tree), error.__name__


def test_what_to_do_is_said_for_every_exit_code() -> None:
    text = (DOCS / "operating.md").read_text()
    assert [code for code in exit_codes() if f"### Exit {code}" not in text] == []


def test_every_event_kind_is_documented() -> None:
    text = (DOCS / "json.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []


def test_every_finding_code_is_documented_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "ecsroll").glob("*.py"))
    written = set(re.findall(r"^## (EC\d{3})", (DOCS / "findings.md").read_text(), re.MULTILINE))
    # Two findings are told by one function, which is given the code.
    assert written == set(re.findall(r'"(EC\d{3})"', sources)) == set(CODES)


def test_every_finding_is_explained_under_its_headline() -> None:
    text = (DOCS / "findings.md").read_text()
    heads = dict(re.findall(r"^## (EC\d{3})\n\n\*\*(.+)\.\*\*", text, re.MULTILINE))
    assert heads == CODES


# Links and blocks ------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def blocks() -> list[tuple[str, str]]:
    """Every console line with a command that needs no account: where, and the command.

    ``demo --serve`` is one of them: here it is told to end as soon as it serves; ``test_serve.py`` runs what it says.
    """
    return [
        (page.name, line.removeprefix("$ "))
        for page in PAGES
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.splitlines()
        if re.match(r"\$ (ecsroll demo|ecsroll( \S+)? --help)", line)
    ]


@pytest.mark.parametrize(("page", "line"), blocks())
def test_what_a_reader_would_paste_runs(page: str, line: str) -> None:
    ran = ecsroll(None, *shlex.split(line.partition(" | ")[0])[1:])
    assert ran.code == 0, f"{page}: {ran}"


# The schema ------------------------------------------------------------------------------------------------


def test_the_schema_that_is_shipped_is_the_one_of_the_settings() -> None:
    assert json.loads(SCHEMA.read_text()) == schema(), "run: python -m tests.test_docs"


if __name__ == "__main__":
    (DOCS / "cli.md").write_text(reference())
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
