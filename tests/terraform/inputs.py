"""The inputs table of a module's README, made from its variables.tf.

    python tests/terraform/inputs.py            rewrite the tables of all modules

`test_terraform.py` compares; a table that is not what this file makes fails there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

TERRAFORM = Path(__file__).parents[2] / "terraform"
BEGIN, END = "<!-- inputs -->", "<!-- /inputs -->"


@dataclass(frozen=True)
class Variable:
    name: str
    description: str
    type: str
    default: str | None


def modules() -> list[Path]:
    """Every directory with resources or modules: the modules, the services and the examples."""
    return sorted(p.parent for p in TERRAFORM.rglob("main.tf") if ".terraform" not in p.parts)


def variables(module: Path) -> list[Variable]:
    text = (module / "variables.tf").read_text()
    return [
        variable(match[1], match[2])
        for match in re.finditer(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    ]


def variable(name: str, body: str) -> Variable:
    description = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
    if not description:
        raise ValueError(f"{name}: no description on one line")
    return Variable(
        name, description[1].replace('\\"', '"'), argument(body, "type") or "any", argument(body, "default")
    )


def argument(body: str, name: str) -> str | None:
    """The expression of an argument, over as many lines as its brackets are open, on one line and without comments."""
    start = re.search(rf"^  {name} *= *", body, re.MULTILINE)
    if not start:
        return None
    lines, depth = [], 0
    for line in body[start.end() :].splitlines():
        code = re.sub(r"\s*#.*", "", line)
        lines.append(code.strip())
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
        if depth <= 0:
            break
    return one_line(lines)


def one_line(lines: list[str]) -> str:
    text = lines[0]
    for line in filter(None, lines[1:]):
        opened, closing = text[-1] in "([{", line[0] in ")]}"
        if opened or closing:
            text = text.rstrip(",") if closing else text
            text += (" " if "{" in (text[-1], line[-1]) or line[0] == "}" else "") + line
        else:
            text += (" " if text.endswith(",") else ", ") + line
    return re.sub(r"  +", " ", text)


def table(module: Path) -> str:
    rows = ["| name | what | type | default |", "|---|---|---|---|"]
    for v in variables(module):
        default = "required" if v.default is None else f"`{v.default}`"
        rows.append(
            "| "
            + " | ".join(cell.replace("|", "\\|") for cell in (f"`{v.name}`", v.description, f"`{v.type}`", default))
            + " |"
        )
    return "\n".join(rows)


def with_table(readme: str, module: Path) -> str:
    before, rest = readme.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table(module)}\n{END}{after}"


def write() -> None:
    for module in modules():
        readme = module / "README.md"
        if readme.exists() and BEGIN in readme.read_text():
            readme.write_text(with_table(readme.read_text(), module))


if __name__ == "__main__":
    write()
