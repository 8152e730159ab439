"""What the options mean: words -> one frozen Policy, every problem of them reported together.

Each policy option is one row of ``SETTINGS``. From it come the option ``--max-surge``, the variable
``ECSROLL_MAX_SURGE``, the key ``max-surge`` of ``ecsroll.toml``, its help, its JSON schema and the docs.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from ecsroll.codes import code
from ecsroll.errors import UsageError
from ecsroll.ledger import Roll
from ecsroll.model import Amount, Patience, Policy
from ecsroll.window import Window, windows

__all__ = [
    "CARE",
    "PACE",
    "SETTINGS",
    "WHICH",
    "Layer",
    "Setting",
    "again",
    "amount",
    "choice",
    "duration",
    "noted",
    "number",
    "retyped",
    "settle",
    "shown",
    "spelled",
    "typed",
]

PACE = "How fast"
WHICH = "Which hosts, which image"
CARE = "How careful"

_IMAGE_ID = r"ami-[0-9a-zA-Z-]+"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


# Words -------------------------------------------------------------------------------------------------------------


def duration(text: str) -> timedelta:
    """``0.2s``, ``90s``, ``15m``, ``2h``, ``3d``. Raises ValueError with a sentence."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if not found:
        raise ValueError(f"{text!r} is no duration: write a number and s, m, h or d, such as 90s or 15m")
    return timedelta(seconds=float(found[1]) * _UNITS[found[2]])


def amount(text: str) -> Amount:
    """``2`` or ``25%``. Raises ValueError with a sentence."""
    found = re.fullmatch(r"(\d+)\s*(%?)", text.strip())
    if not found:
        raise ValueError(f"{text!r} is neither a number of hosts nor a percentage, such as 2 or 25%")
    return Amount(int(found[1]), percent=bool(found[2]))


def number(text: str) -> int:
    """``3``. Raises ValueError with a sentence."""
    if not re.fullmatch(r"\d{1,6}", text.strip()):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def choice(*words: str) -> Callable[[str], str]:
    """One of these words. What it gives raises ValueError with a sentence."""

    def chosen(text: str) -> str:
        if text not in words:
            raise ValueError(f"{text!r}: say {' or '.join(words)}")
        return text

    return chosen


def image(text: str) -> str:
    """``recommended``, ``keep``, ``previous`` or the id of an image. Raises ValueError with a sentence."""
    if text not in {"recommended", "keep", "previous"} and not re.fullmatch(_IMAGE_ID, text):
        raise ValueError(
            f"{text!r} is no image: say recommended, keep, previous, or an id such as ami-0123456789abcdef0"
        )
    return text


def image_id(text: str) -> str:
    """``ami-0123456789abcdef0``. Raises ValueError with a sentence."""
    if not re.fullmatch(_IMAGE_ID, text):
        raise ValueError(f"{text!r} is no image: give an id such as ami-0123456789abcdef0")
    return text


def patience(text: str) -> Patience:
    """``billing=2h``. Raises ValueError with a sentence."""
    name, given, said = text.strip().partition("=")
    if not given or not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name.strip()):
        raise ValueError(f"{text!r}: say SERVICE=DURATION, such as billing=2h")
    return Patience(name.strip(), duration(said))


def spelled(span: timedelta) -> str:
    """A duration as a person says it: ``45s``, ``3m 20s``, ``2h 05m``."""
    seconds = round(span.total_seconds())
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s" if seconds % 60 else f"{seconds // 60}m"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


def typed(span: timedelta) -> str:
    """A duration as an option takes it: ``90s``, ``15m``, ``2h``, ``3d``."""
    seconds = span.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:g}{unit}"
    return f"{seconds:g}s"


# The settings ------------------------------------------------------------------------------------------------------

_DURATION: Mapping[str, Any] = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*[smhd]$"}
_AMOUNT: Mapping[str, Any] = {"type": ["integer", "string"], "minimum": 0, "pattern": r"^\d+\s*%?$"}
_NUMBER: Mapping[str, Any] = {"type": ["integer", "string"], "minimum": 0, "pattern": r"^\d+$"}
_TEXT: Mapping[str, Any] = {"type": "string"}
_PATIENCE: Mapping[str, Any] = {"type": "string", "pattern": r"^[A-Za-z0-9_-]+=\d+(\.\d+)?\s*[smhd]$"}


def _one_of(*words: str) -> Mapping[str, Any]:
    return {"enum": list(words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One policy option: how it is given, what it means, and which field of the Policy it becomes."""

    name: str
    becomes: str
    help: str
    panel: str
    read: Callable[[str], Any] = str
    read_all: Callable[[Sequence[str]], tuple[Any, ...]] | None = None
    """Of one that may be given several times: all its words at once, where a value has blanks in it."""
    default: str = ""
    """As somebody would type it; empty where it is not given, or a list, or a yes or no."""
    kind: Literal["one", "many", "flag"] = "one"
    noted: bool = False
    """Written down with the roll: a rerun can not change it (DESIGN 7)."""
    takes: str = ""
    """What its value is, in a word for the help; empty where it has none."""
    schema: Mapping[str, Any] = field(default_factory=lambda: _TEXT)
    """Of one value, in ``ecsroll.toml``."""

    @property
    def option(self) -> str:
        """``--max-surge``."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """``ECSROLL_MAX_SURGE``."""
        return f"ECSROLL_{self.name.upper().replace('-', '_')}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="asg",
        becomes="groups",
        kind="many",
        noted=True,
        takes="NAME",
        panel=WHICH,
        help="Only this Auto Scaling group; may be given several times, in the order to roll them.",
    ),
    Setting(
        name="ami",
        becomes="ami",
        read=image,
        default="recommended",
        noted=True,
        takes="IMAGE",
        panel=WHICH,
        help="recommended, keep, previous, or an image id.",
    ),
    Setting(
        name="min-ami-age",
        becomes="min_ami_age",
        read=duration,
        default="0d",
        takes="TIME",
        panel=WHICH,
        schema=_DURATION,
        help="Launch no image younger than this, e.g. 7d: the newest one that is old enough is taken.",
    ),
    Setting(
        name="deny-ami",
        becomes="denied_images",
        read=image_id,
        kind="many",
        takes="IMAGE",
        panel=WHICH,
        help="Never launch this image; may be given several times.",
    ),
    Setting(
        name="older-than",
        becomes="older_than",
        read=duration,
        noted=True,
        takes="TIME",
        panel=WHICH,
        schema=_DURATION,
        help="Replace hosts older than this, whatever they run, e.g. 30d.",
    ),
    Setting(
        name="all", becomes="all", kind="flag", noted=True, panel=WHICH, help="Replace every host, whatever it runs."
    ),
    Setting(
        name="instance",
        becomes="instances",
        kind="many",
        noted=True,
        takes="ID",
        panel=WHICH,
        help="Replace this host; may be given several times.",
    ),
    Setting(
        name="max-surge",
        becomes="surge",
        read=amount,
        default="1",
        takes="N|%",
        panel=PACE,
        schema=_AMOUNT,
        help="Hosts to add while rolling, as a number or a percentage.",
    ),
    Setting(
        name="max-unavailable",
        becomes="unavailable",
        read=amount,
        default="0",
        takes="N|%",
        panel=PACE,
        schema=_AMOUNT,
        help="Hosts that may be missing meanwhile, as a number or a percentage.",
    ),
    Setting(
        name="strategy",
        becomes="strategy",
        read=choice("rolling", "double"),
        default="rolling",
        noted=True,
        takes="WORD",
        panel=PACE,
        schema=_one_of("rolling", "double"),
        help="rolling, or double: all new hosts first.",
    ),
    Setting(
        name="keep-max-size",
        becomes="keep_max_size",
        kind="flag",
        panel=PACE,
        help="Never raise the group's MaxSize.",
    ),
    Setting(
        name="poll-interval",
        becomes="poll_interval",
        read=duration,
        default="15s",
        takes="TIME",
        panel=PACE,
        schema=_DURATION,
        help="Time between two looks at the cluster.",
    ),
    Setting(
        name="canary",
        becomes="canary",
        read=number,
        default="1",
        takes="N",
        panel=CARE,
        schema=_NUMBER,
        help="Hosts drained first and kept until their tasks are healthy elsewhere; 0 for none.",
    ),
    Setting(
        name="bake",
        becomes="bake",
        read=duration,
        default="5m",
        takes="TIME",
        panel=CARE,
        schema=_DURATION,
        help="How long tasks have to stay healthy on a new host before the canary is terminated; 0s for no bake.",
    ),
    Setting(
        name="canary-inconclusive",
        becomes="canary_inconclusive",
        read=choice("halt", "go"),
        default="halt",
        takes="WORD",
        panel=CARE,
        schema=_one_of("halt", "go"),
        help="Three canaries, and all their tasks landed on old hosts: halt, or go on.",
    ),
    Setting(
        name="good-readings",
        becomes="good_readings",
        read=number,
        default="3",
        takes="N",
        panel=CARE,
        schema=_NUMBER,
        help="Good readings in a row before something counts as ready.",
    ),
    Setting(
        name="boot-timeout",
        becomes="boot_timeout",
        read=duration,
        default="15m",
        takes="TIME",
        panel=CARE,
        schema=_DURATION,
        help="How long a new host may take to become ready.",
    ),
    Setting(
        name="drain-timeout",
        becomes="drain_timeout",
        read=duration,
        default="30m",
        takes="TIME",
        panel=CARE,
        schema=_DURATION,
        help="How long a host may take to become empty.",
    ),
    Setting(
        name="drain-timeout-for",
        becomes="drain_timeouts",
        kind="many",
        read=patience,
        takes="NAME=TIME",
        panel=CARE,
        schema=_PATIENCE,
        help="Another drain timeout where tasks of this service hold the host: billing=2h; may be given several times.",
    ),
    Setting(
        name="on-drain-timeout",
        becomes="on_drain_timeout",
        read=choice("halt", "skip", "terminate"),
        default="halt",
        takes="WORD",
        panel=CARE,
        schema=_one_of("halt", "skip", "terminate"),
        help="After the drain timeout: halt, skip the host, or terminate it with what still runs on it.",
    ),
    Setting(
        name="standalone-tasks",
        becomes="standalone_tasks",
        read=choice("wait", "stop", "skip", "fail"),
        default="wait",
        takes="WORD",
        panel=CARE,
        schema=_one_of("wait", "stop", "skip", "fail"),
        help="What to do about tasks that nobody starts elsewhere: wait for them, stop them, skip their host, or halt.",
    ),
    Setting(
        name="alarm",
        becomes="alarms",
        kind="many",
        takes="NAME",
        panel=CARE,
        help="Halt when this CloudWatch alarm goes off; may be given several times. One that is on already is let be.",
    ),
    Setting(
        name="window",
        becomes="windows",
        kind="many",
        read_all=windows,
        takes="WINDOW",
        panel=CARE,
        help="Drain hosts only then: 'Mon-Fri 22:00-04:00 Europe/Berlin'; may be given several times.",
    ),
    Setting(
        name="outside-window",
        becomes="outside_window",
        read=choice("wait", "exit"),
        default="wait",
        takes="WORD",
        panel=CARE,
        schema=_one_of("wait", "exit"),
        help="Outside of every window: wait for the next one, or exit once what had begun is finished.",
    ),
    Setting(
        name="rollback-on-failure",
        becomes="rollback_on_failure",
        kind="flag",
        panel=CARE,
        help="Where a gate shuts, go back to what ran before.",
    ),
    Setting(
        name="allow",
        becomes="allow",
        read=code,
        kind="many",
        takes="CODE",
        panel=CARE,
        schema={"type": "string", "pattern": r"^[Ee][Cc]\d{3}$"},
        help="Go on in spite of this blocking finding, e.g. EC115; may be given several times.",
    ),
    Setting(
        name="lease-ttl",
        becomes="lease_ttl",
        read=duration,
        default="2m",
        takes="TIME",
        panel=CARE,
        schema=_DURATION,
        help="How long a roll that has died keeps others from the cluster.",
    ),
    Setting(
        name="stop-grace",
        becomes="stop_grace",
        read=duration,
        default="25s",
        takes="TIME",
        panel=CARE,
        schema=_DURATION,
        help="How long Ctrl-C or SIGTERM may take to undo what moves no task.",
    ),
)


# Settling ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place, each as somebody wrote it: text, a list of texts, or a yes or no."""

    source: str
    """Where they come from, for people: ``--max-surge``'s is "given", a file's its name."""
    values: Mapping[str, str | bool | Sequence[str]]


def settle(*layers: Layer | Mapping[str, str | bool | Sequence[str]]) -> Policy:
    """The policy that the layers mean; of two that say something, the first counts.

    Raises UsageError with every problem of them at once.
    """
    found = [layer if isinstance(layer, Layer) else Layer("given", layer) for layer in layers]
    problems: list[str] = []
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        layer = next((layer for layer in found if setting.name in layer.values), None)
        if layer is not None:
            sources[setting.name] = layer.source
            try:
                values[setting.becomes] = _read(setting, layer.values[setting.name])
            except ValueError as error:
                problems.append(f"{setting.option}: {error}{_where(layer)}")
    policy = Policy(**values, sources=sources)
    problems += [problem for good, problem in _rules(policy) if not good]
    if problems:
        raise UsageError("; ".join(problems), hint="ecsroll replace --help explains each option")
    return policy


def _where(layer: Layer) -> str:
    return "" if layer.source == "given" else f" (from {layer.source})"


def _read(setting: Setting, value: str | bool | Sequence[str]) -> Any:
    if setting.kind == "flag":
        if not isinstance(value, bool):
            raise _misfit(value, "true or false")
        return value
    if isinstance(value, bool):
        raise _misfit(value, "a value")
    if setting.kind == "many":
        words = [value] if isinstance(value, str) else [str(word) for word in value]
        if setting.read_all:
            return setting.read_all(words)
        empty = next((word for word in words if not word.strip()), None)
        if empty is not None:  # no alarm, because a script's variable was not set, is not what anybody wanted
            raise ValueError(f"{empty!r} is empty: a variable in a script may be unset")
        return tuple(map(setting.read, words))
    if not isinstance(value, str):
        raise _misfit(value, "one value")
    return setting.read(value)


def _misfit(value: object, wanted: str) -> ValueError:
    return ValueError(f"{value!r} does not fit: {wanted} is wanted")


def _rules(policy: Policy) -> Iterable[tuple[bool, str]]:
    """What has to hold between settings, each with the sentence for where it does not."""
    stands_still = policy.surge.value == 0 and policy.unavailable.value == 0 and policy.strategy == "rolling"
    yield not stands_still, "--max-surge 0 with --max-unavailable 0 leaves no way to move: allow one of them"
    yield policy.good_readings >= 1, "--good-readings: at least 1"
    yield policy.poll_interval >= timedelta(seconds=0.2), "--poll-interval: at least 0.2s"
    # The lease is renewed once a round, from a third of its TTL on: fewer than four rounds would be a gamble.
    yield policy.lease_ttl >= 4 * policy.poll_interval, "--lease-ttl: at least four times --poll-interval"
    ways = {"--all": policy.all, "--older-than": policy.older_than, "--instance": policy.instances}
    chosen = [option for option, given in ways.items() if given]
    yield len(chosen) <= 1, f"{' and '.join(chosen)} each choose the hosts: give one of them"


def noted(policy: Policy) -> dict[str, str]:
    """What a roll writes down of its policy: what a rerun can not change (DESIGN 7)."""
    said = {setting.option: _said(getattr(policy, setting.becomes)) for setting in SETTINGS if setting.noted}
    return {option: value for option, value in said.items() if value}


def again(cluster: str, roll: Roll | None, policy: Policy | None = None) -> str:
    """The command that goes on with a roll, to be pasted: with what was noted of it, or a rerun is refused.

    Before a roll is on record it is the policy's command.
    """
    said = roll.policy if roll else noted(policy) if policy else {}
    verb = roll.verb if roll else "replace"
    return " ".join(["ecsroll", verb, "--cluster", shlex.quote(cluster), *(_words(said) if verb == "replace" else ())])


def _words(said: Mapping[str, str]) -> Iterator[str]:
    """Noted settings as they are typed; defaults need not be."""
    for setting in SETTINGS:
        value = said.get(setting.option, setting.default)
        if setting.kind == "flag" and value:
            yield setting.option
        elif value != setting.default:
            words = value.split() if setting.kind == "many" else [value]
            yield from (part for word in words for part in (setting.option, shlex.quote(word)))


def _said(value: Any) -> str:
    """A value as somebody would type it; empty where nothing was said."""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, timedelta):
        return typed(value)
    if isinstance(value, Patience):
        return f"{value.service}={typed(value.span)}"
    if isinstance(value, Window):
        return value.said
    if isinstance(value, tuple):
        return " ".join(map(_said, value))
    return "" if value is None else str(value)


def retyped(policy: Policy) -> tuple[str, ...]:
    """The options that were typed, to be typed again with another command; what a variable or a file says holds on."""
    words: list[str] = []
    for setting in SETTINGS:
        if policy.sources.get(setting.name) != "given":
            continue
        value = getattr(policy, setting.becomes)
        if setting.kind == "flag":
            words.append(setting.option if value else f"--no-{setting.name}")
            continue
        for one in value if setting.kind == "many" else (value,):
            words += (setting.option, shlex.quote(_said(one)))
    return tuple(words)


def shown(policy: Policy) -> dict[str, tuple[str, str]]:
    """Each setting that somebody has set: ``name -> (value, where it came from)``."""
    by_name = {setting.name: setting for setting in SETTINGS}
    return {
        name: (_said(getattr(policy, by_name[name].becomes)) or "no", source) for name, source in policy.sources.items()
    }
