"""What is written from the table of permissions: Terraform's copy of it, and the page for people.

``python -m tests.iam.written`` writes both anew; tests compare.
"""

import json
from pathlib import Path
from typing import Any

from ecsroll.permissions import PERMISSIONS, Scope, When

__all__ = ["COPY", "PAGE", "copied", "page", "write"]

ROOT = Path(__file__).parents[2]
COPY = ROOT / "terraform/modules/ecsroll/permissions.json"
PAGE = ROOT / "docs/iam.md"
BEGIN, END = "<!-- actions -->", "<!-- /actions -->"


def copied() -> str:
    """The table as the module ``ecsroll`` reads it: a statement a scope, each action with its reasons."""
    statements: dict[Scope, dict[str, Any]] = {}
    for row in PERMISSIONS:
        said = statements.setdefault(
            row.scope,
            {
                "Sid": row.scope.name,
                "When": row.scope.when,
                "Resource": row.scope.on,
                "Condition": row.scope.only_if,
                "Why": {},
            },
        )
        said["Why"].setdefault(row.action, []).append(row.why)
    for said in statements.values():
        said["Why"] = {action: "; ".join(why) for action, why in sorted(said["Why"].items())}
    return json.dumps(list(statements.values()), indent=2) + "\n"


_NEEDED = {
    When.ALWAYS: "",
    When.ALARMS: "with `--alarm`",
    When.PARAMETERS: "groups with an image parameter",
    When.TEMPLATES: "groups whose template names the image",
    When.CONFIGURATIONS: "groups with a launch configuration",
    When.LAUNCHES: "groups whose template or launch configuration names the image",
    When.QUEUES: "with `--queue`",
    When.RESTARTS: "with `watch --restarts`",
    When.TOPICS: "with `--tell arn:...` or `--publish`",
    When.BUSES: "with `--tell bus:...`",
    When.REFERRED_PARAMETERS: "with a secret `ssm:...`",
    When.REFERRED_SECRETS: "with a secret `secret:...`",
}


def page() -> str:
    """docs/iam.md with its table as it has to be."""
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{_table()}\n{END}{after}"


def _table() -> str:
    lines = ["| action | statement | what for | only for |", "|---|---|---|---|"]
    for row in PERMISSIONS:
        why = f"{row.why} (checked by AWS behind `{row.behind}`)" if row.behind else row.why
        lines.append(f"| `{row.action}` | {row.scope.name} | {why} | {_NEEDED[row.scope.when]} |")
    return "\n".join(lines)


def write() -> None:
    """Write both."""
    COPY.write_text(copied())
    PAGE.write_text(page())


if __name__ == "__main__":
    write()
