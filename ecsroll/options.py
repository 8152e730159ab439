"""The options of the commands, and what is behind them: one row of ``policy.SETTINGS``, one option.

A command is a function that takes ``shared`` (the options that every command has) and, if it wants a policy, ``given``;
``command`` gives it the options, and what they say.
"""

import dataclasses
import getpass
import inspect
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer
from typer.core import TyperCommand

from ecsroll.clock import Clock, SystemClock
from ecsroll.errors import UsageError
from ecsroll.policy import SETTINGS, Layer, Setting, settle
from ecsroll.policy_file import PolicyFile, find
from ecsroll.signals import ending

if TYPE_CHECKING:
    from ecsroll.aws import Aws, Clients
    from ecsroll.events import Event
    from ecsroll.model import Policy
    from ecsroll.render import LiveScreen, QuietScreen
    from ecsroll.result import Result
    from ecsroll.signals import Signals
    from ecsroll.sinks import Sinks

__all__ = [
    "Account",
    "Alarms",
    "AmiInterval",
    "AnyCluster",
    "Clusters",
    "Config",
    "Given",
    "HostRoles",
    "ImageParameters",
    "Json",
    "LaunchConfigurations",
    "LaunchTemplates",
    "OnAmi",
    "OneCluster",
    "Outside",
    "Port",
    "Profile",
    "Publish",
    "Queue",
    "Quiet",
    "ReadOnly",
    "Region",
    "Restarts",
    "Seed",
    "Serve",
    "Shared",
    "Speed",
    "Tell",
    "Topics",
    "Verbose",
    "Visibility",
    "WebhookSecret",
    "Yes",
    "command",
    "confirmation",
    "named",
    "readable",
]


@dataclass
class Outside:
    """Everything that the commands reach of the world; tests give another one."""

    clients: "Clients | None" = None
    clock: Clock = field(default_factory=SystemClock)
    workers: int = 8
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    ask: Callable[[str], bool] | None = None
    """How a question is asked; None: on the terminal, if there is one."""
    certificate: Callable[[str], bytes] | None = None
    """Where SNS's certificates come from; None: from SNS."""
    ending: Callable[[], AbstractContextManager[Callable[[], int]]] = ending
    """What waits for the signal that ends an endpoint."""


@dataclass
class Shared:
    """The options that every command takes."""

    outside: Outside
    region: str | None = None
    profile: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    config: str | None = None
    tell: tuple[str, ...] = ()
    """Places that are told facts, as ``--tell`` names them."""
    signing: str = ""
    """The reference to the secret that signs what webhooks get."""
    from_environment: frozenset[str] = frozenset()
    """The command's parameters that nobody typed: a variable says them."""
    drawn: "LiveScreen | None" = None
    """The picture that is on the terminal, once there is one."""

    @cached_property
    def file(self) -> PolicyFile:
        """The policy file; an empty one where there is none. Raises UsageError with every problem of it."""
        return find(self.config, Path.cwd())

    def at(self, cluster: str) -> "Shared":
        """The same, where the file says that the cluster is."""
        region, profile = self.file.place(cluster)
        return dataclasses.replace(self, region=self.region or region, profile=self.profile or profile)

    @property
    def live(self) -> bool:
        """Whether somebody watches: a terminal that can be drawn on, and nothing else asked for."""
        drawn = self.outside.err.isatty() and os.environ.get("TERM") != "dumb"
        return drawn and not (self.json or self.quiet or self.verbose)

    def aws(self, *, call_timeout: float = 20.0) -> "Aws":
        """The way to AWS, with credentials and region checked."""
        from ecsroll.aws import Aws, session

        clients = self.outside.clients or session(self.region, self.profile, call_timeout=call_timeout)
        return Aws(clients, self.outside.clock, workers=self.outside.workers, trouble=None if self.quiet else self.say)

    def signals(self, policy: "Policy", what: str = "undoing what moves no task") -> "Signals | None":
        """How Ctrl-C and SIGTERM stop a roll; a test that is not the main thread goes without."""
        from ecsroll.signals import Signals

        if threading.current_thread() is not threading.main_thread():
            return None
        return Signals(policy.stop_grace.total_seconds(), self.say, what)

    def say(self, line: str) -> None:
        """A line for whoever watches: above the picture, where one is drawn, which would be drawn over it."""
        if self.drawn is not None:
            self.drawn.remark(line)
        else:
            print(line, file=self.outside.err, flush=True)

    def screen(self, title: str, cluster: str, *, one_of_many: bool = False) -> "QuietScreen":
        """Where the story of a cluster is told; where several are told at once, every line says whose it is."""
        from ecsroll.render import JsonScreen, LiveScreen, PlainScreen, QuietScreen, console_for

        if self.json:
            return JsonScreen(self.outside.out, cluster)
        if self.quiet:
            return QuietScreen()
        console = console_for(self.outside.err)
        if self.live and not one_of_many:
            self.drawn = LiveScreen(console, title)
            return self.drawn
        return PlainScreen(console, self.verbose, f"{cluster}  " if one_of_many else "")

    def telling(self, places: Sequence[str] | None, signing: str | None) -> "Shared":
        """The same, telling facts to those places."""
        return dataclasses.replace(self, tell=tuple(places or ()), signing=signing or "")

    def sinks(self, report: "Callable[[Event], None]") -> "Sinks":
        """The places that are told facts; ``report`` hears of those that take none. Raises UsageError for no place."""
        from ecsroll.render import sentence
        from ecsroll.sinks import Sinks, sinks_of

        def way() -> "Aws":
            aws = self.aws().unguarded()
            aws.patience = 5.0  # a roll does not wait for them
            return aws

        found = sinks_of(self.tell, way, self.outside.clock, err=self.outside.err, signing=self.signing)
        return Sinks(found, self.outside.clock, sentence, report)

    def invite(self, cluster: str, event: "Event") -> None:
        """Say how the simulated AWS is reached: words to paste, so without the time of day before each."""
        from ecsroll.render import show_endpoint

        if self.json or self.quiet:
            self.screen("", cluster).event(event)
        else:
            show_endpoint(event, err=self.outside.err)

    def finish(self, result: "Result") -> NoReturn:
        """Show the result, and leave with its exit code."""
        from ecsroll.render import show_result, show_story

        if not (self.json or self.quiet):
            show_story(result, err=self.outside.err)
        show_result(result, out=self.outside.out, as_json=self.json)
        raise typer.Exit(result.exit_code)


@dataclass(frozen=True, slots=True)
class Given:
    """What was said of the policy on the command line and in the environment."""

    layers: tuple[Layer, ...]

    def policy(self, below: Sequence[Layer] = ()) -> "Policy":
        """The policy that it means, over the layers ``below``. Raises UsageError with every problem of it."""
        return dataclasses.replace(settle(*self.layers, *below), by=_whoami())


def _whoami() -> str:
    """Who rolls, for whoever is told that the cluster is held. In a container a user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"


# Help --------------------------------------------------------------------------------------------------------------


def readable(options: Sequence[Any]) -> None:
    """Leave out of their help what takes the room of sentences at 80 columns, and is told once for all of them.

    To be called just before it is shown: a process ends with that.
    """
    for option in options:
        option.show_envvar, option.secondary_opts = False, []
        if option.is_flag:
            option.metavar = ""  # else "<bool>", as if it took a value
        elif option.metavar is None:
            option.metavar = {"int": "N", "float": "N"}.get(option.bare_type(), "WORD")


class _Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        readable(self.get_params(ctx))
        super().format_help(ctx, formatter)


_EPILOG = "TIME is 90s, 15m, 2h or 3d. Each option can be an environment variable: --max-surge is ECSROLL_MAX_SURGE."
_FLAGS = " --no-all takes back what ecsroll.toml says of --all, and so for the other flags of a policy."


# Options -----------------------------------------------------------------------------------------------------------

_AWS = "AWS and output"
OneCluster = Annotated[
    str, typer.Option("--cluster", metavar="NAME", envvar="ECSROLL_CLUSTER", help="The ECS cluster's name.")
]
AnyCluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="NAME", envvar="ECSROLL_CLUSTER", help="The ECS cluster's name; without it, any."
    ),
]
Clusters = Annotated[
    list[str] | None,
    typer.Option("--cluster", metavar="NAME", envvar="ECSROLL_CLUSTER", help="A cluster; may be given several times."),
]
Tell = Annotated[
    list[str] | None,
    typer.Option(
        "--tell",
        metavar="PLACE",
        envvar="ECSROLL_TELL",
        help="Tell facts to arn:aws:sns:..., bus:NAME, slack:REFERENCE, webhook:URL, lines:PATH or log; "
        "may be given several times.",
    ),
]
WebhookSecret = Annotated[
    str | None,
    typer.Option(
        "--webhook-secret",
        metavar="SECRET",
        envvar="ECSROLL_WEBHOOK_SECRET",
        help="Sign what webhooks get with this secret: env:NAME, ssm:/parameter or secret:name.",
    ),
]
Publish = Annotated[
    str | None,
    typer.Option(
        "--publish",
        metavar="TOPIC",
        envvar="ECSROLL_PUBLISH",
        help="Tell this SNS topic of what is outdated, in the schema of AWS's ECS topic.",
    ),
]
Queue = Annotated[
    str | None, typer.Option("--queue", metavar="URL", envvar="ECSROLL_QUEUE", help="The address of the SQS queue.")
]
Restarts = Annotated[
    bool,
    typer.Option(
        "--restarts",
        envvar="ECSROLL_RESTARTS",
        help="Also ask CloudWatch, once a minute, for containers that are restarted inside their tasks.",
    ),
]
Topics = Annotated[
    list[str] | None,
    typer.Option(
        "--topic",
        metavar="TOPIC",
        envvar="ECSROLL_TOPIC",
        help="Also believe this SNS topic of another account; may be given several times.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", envvar="ECSROLL_YES", help="Do not ask.")]


Region = Annotated[
    str | None,
    typer.Option("--region", metavar="NAME", envvar="ECSROLL_REGION", help="AWS region.", rich_help_panel=_AWS),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", envvar="ECSROLL_PROFILE", help="AWS profile.", rich_help_panel=_AWS),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        envvar="ECSROLL_JSON",
        help="One JSON object a line on stdout; the last is the result.",
        rich_help_panel=_AWS,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", envvar="ECSROLL_QUIET", help="Only the result.", rich_help_panel=_AWS)]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", envvar="ECSROLL_VERBOSE", help="Plain lines, every change of every wait.", rich_help_panel=_AWS
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="ECSROLL_CONFIG",
        help="The policy file; without it, ecsroll.toml in this folder if there is one.",
        rich_help_panel=_AWS,
    ),
]
_SHARED: Mapping[str, tuple[Any, Any]] = {
    "region": (Region, None),
    "profile": (Profile, None),
    "as_json": (Json, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
    "config": (Config, None),
}
"""Taken before and after a command's name: parameter -> (annotation, default)."""


# What a policy of IAM is to be for
Account = Annotated[
    str | None, typer.Option(metavar="DIGITS", envvar="ECSROLL_ACCOUNT", help="The account's 12 digits.")
]
ImageParameters = Annotated[
    list[str] | None,
    typer.Option(
        "--image-parameter",
        metavar="NAME",
        envvar="ECSROLL_IMAGE_PARAMETER",
        help="A parameter, tagged ecsroll:group, that a template names.",
    ),
]
LaunchTemplates = Annotated[
    list[str] | None,
    typer.Option(
        "--launch-template",
        metavar="ID",
        envvar="ECSROLL_LAUNCH_TEMPLATE",
        help="The id of a template that names the image itself.",
    ),
]
LaunchConfigurations = Annotated[
    bool,
    typer.Option(
        "--launch-configurations", envvar="ECSROLL_LAUNCH_CONFIGURATIONS", help="Groups have launch configurations."
    ),
]
HostRoles = Annotated[
    list[str] | None,
    typer.Option("--host-role", metavar="ARN", envvar="ECSROLL_HOST_ROLE", help="The role that these give to hosts."),
]
Alarms = Annotated[
    list[str] | None,
    typer.Option(
        "--alarm", metavar="NAME", envvar="ECSROLL_ALARM", help="An alarm that stops the roll: it has to be seen."
    ),
]
ReadOnly = Annotated[
    bool, typer.Option("--read-only", envvar="ECSROLL_READ_ONLY", help="For the commands that change nothing.")
]


# Of a watcher
OnAmi = Annotated[
    str,
    typer.Option(
        envvar="ECSROLL_ON_AMI",
        help="What to do about a newer image: notify, plan (what a roll would do), or replace.",
    ),
]
AmiInterval = Annotated[
    str,
    typer.Option(
        metavar="TIME", envvar="ECSROLL_AMI_INTERVAL", help="Time between two looks at AWS's image parameters."
    ),
]
Visibility = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        envvar="ECSROLL_VISIBILITY",
        help="How long a message is nobody else's; extended while a roll goes on.",
    ),
]

# Of the demo
Speed = Annotated[
    float,
    typer.Option(
        envvar="ECSROLL_SPEED",
        help="Simulated seconds a second; 0 is as fast as it can. Only a terminal is waited for.",
        min=0,
    ),
]
Seed = Annotated[int, typer.Option(envvar="ECSROLL_SEED", help="Another seed, another day.")]
Serve = Annotated[
    bool,
    typer.Option("--serve", envvar="ECSROLL_SERVE", help="Open the simulated AWS as an AWS endpoint, until Ctrl-C."),
]
Port = Annotated[
    int | None,
    typer.Option(
        envvar="ECSROLL_PORT", help="Port of 127.0.0.1 for --serve; without it, a free one.", min=0, max=65535
    ),
]


def _option(setting: Setting) -> Any:
    """A setting as typer wants it."""
    kind: Any = {"one": str | None, "many": list[str] | None, "flag": bool | None}[setting.kind]
    names = f"{setting.option}/--no-{setting.name}" if setting.kind == "flag" else setting.option
    return Annotated[
        kind,
        typer.Option(
            names,
            envvar=setting.variable,
            help=setting.help,
            metavar=setting.takes,
            rich_help_panel=setting.panel,
            show_default=bool(setting.default),
        ),
    ]


def command(
    app: typer.Typer, name: str | None = None, *, settings: Sequence[str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command of ``app``.

    ``settings``: the names of the policy options that it takes; None for all of them. Only a function with a parameter
    ``given`` takes any.
    """

    def made(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        chosen = [entry for entry in SETTINGS if settings is None or entry.name in settings]
        chosen = chosen if "given" in signature.parameters else []
        own = [entry for entry in signature.parameters.values() if entry.name not in {"shared", "given"}]

        @wraps(function)
        def called(ctx: typer.Context, **said: Any) -> None:
            words = {entry.name: said.pop(_parameter(entry)) for entry in chosen}
            after = {key: said.pop(key) for key in _SHARED}
            given = {"given": Given(_layers(ctx, chosen, words))} if chosen else {}
            function(shared=shared_of(ctx, after), **given, **said)

        parameters = [inspect.Parameter("ctx", _BY_NAME, annotation=typer.Context), *map(_by_name, own)]
        parameters += [
            inspect.Parameter(_parameter(entry), _BY_NAME, annotation=_option(entry), default=entry.default or None)
            for entry in chosen
        ]
        parameters += [
            inspect.Parameter(key, _BY_NAME, annotation=kind, default=default)
            for key, (kind, default) in _SHARED.items()
        ]
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {entry.name: entry.annotation for entry in parameters}
        flags = _FLAGS if any(entry.kind == "flag" for entry in chosen) else ""
        return app.command(name, cls=_Command, epilog=_EPILOG + flags)(called)

    return made


_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def _by_name(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=_BY_NAME)


def _parameter(setting: Setting) -> str:
    return f"setting_{setting.becomes}"


def _layers(ctx: typer.Context, chosen: Sequence[Setting], words: Mapping[str, Any]) -> tuple[Layer, ...]:
    """What was typed, and what the environment says; each variable is a place of its own."""
    typed: dict[str, Any] = {}
    layers = []
    for setting in chosen:
        source = _source(ctx, _parameter(setting))
        if source == "ENVIRONMENT":
            layers.append(Layer(setting.variable, {setting.name: words[setting.name]}))
        elif source == "COMMANDLINE":
            typed[setting.name] = words[setting.name]
    return (Layer("given", typed), *layers)


def _source(ctx: typer.Context, parameter: str) -> str:
    source = ctx.get_parameter_source(parameter)
    return source.name if source is not None else ""


def shared_of(ctx: typer.Context, said: Mapping[str, Any]) -> Shared:
    """The options as given before or after the command's name; both places mean the same.

    Raises UsageError where they contradict one another.
    """
    before: Shared = ctx.obj
    quiet, verbose = said["quiet"] or before.quiet, said["verbose"] or before.verbose
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude one another", hint="give one of them, or none")
    return Shared(
        before.outside,
        said["region"] or before.region,
        said["profile"] or before.profile,
        said["as_json"] or before.json,
        quiet,
        verbose,
        said["config"] or before.config,
        from_environment=frozenset(name for name in ctx.params if _source(ctx, name) == "ENVIRONMENT"),
    )


def confirmation(shared: Shared, *, yes: bool) -> Callable[[str], bool]:
    """How the roll is agreed to. Raises UsageError at once where nobody can be asked."""
    if yes:
        return lambda _: True
    ask = shared.outside.ask
    if ask is None and not (sys.stdin.isatty() and shared.outside.err.isatty()):
        raise UsageError("there is no terminal to ask on", hint="give --yes to roll without being asked")
    return ask or _asked


def _asked(question: str) -> bool:
    return typer.confirm(question, err=True)


def named(*clusters: str) -> None:
    """Raises UsageError where a cluster's name is empty."""
    if not all(name.strip() for name in clusters):
        raise UsageError("--cluster is empty", hint="give the cluster's name; a variable in a script may be unset")
