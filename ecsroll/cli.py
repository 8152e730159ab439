"""The commands: words in, results out; no decisions. What is heavy is imported when it is needed."""

import dataclasses
import getpass
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from ecsroll.clock import Clock, SystemClock
from ecsroll.errors import EXIT_INTERRUPTED, EcsrollError, UsageError
from ecsroll.signals import ending

if TYPE_CHECKING:
    from ecsroll.aws import Aws, Clients
    from ecsroll.events import Event
    from ecsroll.model import Policy
    from ecsroll.render import QuietScreen
    from ecsroll.result import Result
    from ecsroll.signals import Signals

__all__ = ["Outside", "app", "main", "run"]


class _Interrupted(Exception):  # noqa: N818 - it is no error
    """Ctrl-C: typer would leave with 130 and say nothing."""


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort) as stop:
            raise _Interrupted from stop


app = typer.Typer(
    cls=_Commands,
    name="ecsroll",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Replaces the EC2 hosts of ECS clusters without hurting what runs on them.",
    epilog="Exit codes: 0 done, 2 usage, 3 not found, 4 refused, 5 halted safely, 6 AWS, 7 held, 8 outdated.",
)


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
    ending: Callable[[], AbstractContextManager[Callable[[], int]]] = ending
    """What waits for the signal that ends an endpoint."""
    exit_code: int = 0


@dataclass
class Shared:
    """The options that every command takes."""

    outside: Outside
    region: str | None = None
    profile: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    @property
    def live(self) -> bool:
        """Whether somebody watches: a terminal that can be drawn on, and nothing else asked for."""
        drawn = self.outside.err.isatty() and os.environ.get("TERM") != "dumb"
        return drawn and not (self.json or self.quiet or self.verbose)

    def aws(self, *, call_timeout: float = 20.0) -> "Aws":
        """The way to AWS, with credentials and region checked."""
        from ecsroll.aws import Aws, session

        clients = self.outside.clients or session(self.region, self.profile, call_timeout=call_timeout)
        return Aws(clients, self.outside.clock, workers=self.outside.workers)

    def signals(self, policy: "Policy") -> "Signals | None":
        """How Ctrl-C and SIGTERM stop a roll; a test that is not the main thread goes without."""
        from ecsroll.signals import Signals

        if threading.current_thread() is not threading.main_thread():
            return None
        return Signals(policy.stop_grace.total_seconds(), lambda line: print(line, file=self.outside.err, flush=True))

    def screen(self, title: str) -> "QuietScreen":
        """Where the story is told."""
        from ecsroll.render import JsonScreen, LiveScreen, PlainScreen, QuietScreen, console_for

        if self.json:
            return JsonScreen(self.outside.out)
        if self.quiet:
            return QuietScreen()
        console = console_for(self.outside.err)
        return LiveScreen(console, title) if self.live else PlainScreen(console, self.verbose)

    def invite(self, event: "Event") -> None:
        """Say how the simulated AWS is reached: words to paste, so without the time of day before each."""
        from ecsroll.render import show_endpoint

        if self.json or self.quiet:
            self.screen("").event(event)
        else:
            show_endpoint(event, err=self.outside.err)

    def finish(self, result: "Result") -> None:
        """Show the result, and leave with its exit code."""
        from ecsroll.render import show_result

        show_result(result, out=self.outside.out, as_json=self.json)
        raise typer.Exit(result.exit_code)


# Options -----------------------------------------------------------------------------------------------------------

_AWS = "AWS and output"
Region = Annotated[
    str | None, typer.Option("--region", envvar="ECSROLL_REGION", help="AWS region.", rich_help_panel=_AWS)
]
Profile = Annotated[
    str | None, typer.Option("--profile", envvar="ECSROLL_PROFILE", help="AWS profile.", rich_help_panel=_AWS)
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
ClusterName = Annotated[str, typer.Option("--cluster", envvar="ECSROLL_CLUSTER", help="The ECS cluster's name.")]
AllClusters = Annotated[
    bool,
    typer.Option("--all-clusters", envvar="ECSROLL_ALL_CLUSTERS", help="Every cluster of this account and region."),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--asg",
        envvar="ECSROLL_ASG",
        help="Only this Auto Scaling group; may be given several times, in the order to roll them.",
    ),
]

_PACE = "How fast"
_WHICH = "Which hosts, which image"
_CARE = "How careful"


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"ecsroll {version('ecsroll')}")
        raise typer.Exit


@app.callback()
def common(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Replaces the EC2 hosts of ECS clusters without hurting what runs on them."""
    del version
    outside = ctx.obj if isinstance(ctx.obj, Outside) else Outside()
    ctx.obj = Shared(outside, region, profile, as_json, quiet, verbose)


def _shared(
    ctx: typer.Context, region: str | None, profile: str | None, as_json: bool, quiet: bool, verbose: bool
) -> Shared:
    """The options as given before or after the command's name; both places mean the same."""
    before: Shared = ctx.obj
    return Shared(
        before.outside,
        region or before.region,
        profile or before.profile,
        as_json or before.json,
        quiet or before.quiet,
        verbose or before.verbose,
    )


@app.command()
def replace(
    ctx: typer.Context,
    cluster: ClusterName,
    asg: Groups = None,
    ami: Annotated[
        str,
        typer.Option(envvar="ECSROLL_AMI", help="recommended, keep, previous, or an image id.", rich_help_panel=_WHICH),
    ] = "recommended",
    older_than: Annotated[
        str | None,
        typer.Option(
            envvar="ECSROLL_OLDER_THAN",
            help="Replace hosts older than this, whatever they run, e.g. 30d.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", envvar="ECSROLL_ALL", help="Replace every host, whatever it runs.", rich_help_panel=_WHICH
        ),
    ] = False,
    instance: Annotated[
        list[str] | None,
        typer.Option(
            envvar="ECSROLL_INSTANCE", help="Replace this host; may be given several times.", rich_help_panel=_WHICH
        ),
    ] = None,
    max_surge: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_MAX_SURGE",
            help="Hosts to add while rolling, as a number or a percentage.",
            rich_help_panel=_PACE,
        ),
    ] = "1",
    max_unavailable: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_MAX_UNAVAILABLE", help="Hosts that may be missing meanwhile.", rich_help_panel=_PACE
        ),
    ] = "0",
    strategy: Annotated[
        str,
        typer.Option(envvar="ECSROLL_STRATEGY", help="rolling, or double: all new hosts first.", rich_help_panel=_PACE),
    ] = "rolling",
    keep_max_size: Annotated[
        bool,
        typer.Option(
            "--keep-max-size",
            envvar="ECSROLL_KEEP_MAX_SIZE",
            help="Never raise the group's MaxSize.",
            rich_help_panel=_PACE,
        ),
    ] = False,
    canary: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_CANARY",
            help="Hosts drained first and kept until their tasks are healthy elsewhere; 0 for none.",
            rich_help_panel=_CARE,
        ),
    ] = "1",
    good_readings: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_GOOD_READINGS",
            help="Good readings in a row before something counts as ready.",
            rich_help_panel=_CARE,
        ),
    ] = "3",
    boot_timeout: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_BOOT_TIMEOUT", help="How long a new host may take to become ready.", rich_help_panel=_CARE
        ),
    ] = "15m",
    drain_timeout: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_DRAIN_TIMEOUT", help="How long a host may take to become empty.", rich_help_panel=_CARE
        ),
    ] = "30m",
    poll_interval: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_POLL_INTERVAL", help="Time between two looks at the cluster.", rich_help_panel=_PACE
        ),
    ] = "15s",
    lease_ttl: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_LEASE_TTL",
            help="How long a roll that has died keeps others from the cluster.",
            rich_help_panel=_CARE,
        ),
    ] = "2m",
    stop_grace: Annotated[
        str,
        typer.Option(
            envvar="ECSROLL_STOP_GRACE",
            help="How long Ctrl-C or SIGTERM may take to undo what moves no task.",
            rich_help_panel=_CARE,
        ),
    ] = "25s",
    yes: Annotated[bool, typer.Option("--yes", "-y", envvar="ECSROLL_YES", help="Do not ask.")] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Replace a cluster's outdated hosts, or go on with a roll that was cut off.

    New hosts come first. An old one is drained when its successor is ready,
    and terminated when every task on it has stopped.
    What was borrowed from the groups is given back.
    Run it again after any interruption: it goes on.
    """
    from ecsroll.commands import replace_hosts
    from ecsroll.policy import Words, settle

    shared = _shared(ctx, region, profile, as_json, quiet, verbose)
    words = Words(
        max_surge=max_surge,
        max_unavailable=max_unavailable,
        strategy=strategy,
        canary=canary,
        good_readings=good_readings,
        boot_timeout=boot_timeout,
        drain_timeout=drain_timeout,
        poll_interval=poll_interval,
        lease_ttl=lease_ttl,
        stop_grace=stop_grace,
        ami=ami,
        older_than=older_than,
        all=every,
        keep_max_size=keep_max_size,
        groups=asg or (),
        instances=instance or (),
    )
    policy = dataclasses.replace(settle(words), by=_whoami())
    _named(cluster)
    confirm = _confirmation(shared, yes=yes)
    screen = shared.screen(f"ecsroll replace · {cluster}")
    try:
        aws = shared.aws(call_timeout=min(20.0, policy.lease_ttl.total_seconds() / 3))
        result = replace_hosts(aws, cluster, policy, screen, confirm, shared.signals(policy))
    finally:
        screen.close()
    shared.finish(result)


def _whoami() -> str:
    """Who rolls, for whoever is told that the cluster is held."""
    return f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"


def _confirmation(shared: Shared, *, yes: bool) -> Callable[[str], bool]:
    """How the roll is agreed to. Raises UsageError at once where nobody can be asked."""
    if yes:
        return lambda _: True
    ask = shared.outside.ask
    if ask is None and not (sys.stdin.isatty() and shared.outside.err.isatty()):
        raise UsageError("there is no terminal to ask on", hint="give --yes to roll without being asked")
    return ask or _asked


def _asked(question: str) -> bool:
    return typer.confirm(question, err=True)


def _named(*clusters: str) -> None:
    if not all(name.strip() for name in clusters):
        raise UsageError("--cluster is empty", hint="give the cluster's name; a variable in a script may be unset")


@app.command("check-ami")
def check_ami(
    ctx: typer.Context,
    cluster: Annotated[
        list[str] | None, typer.Option(envvar="ECSROLL_CLUSTER", help="A cluster; may be given several times.")
    ] = None,
    all_clusters: AllClusters = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", envvar="ECSROLL_EXIT_CODE", help="Exit with 8 when something is outdated.")
    ] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what runs, what is newest, how far behind it is and what changed."""
    from ecsroll.commands import check_ami as checked

    shared = _shared(ctx, region, profile, as_json, quiet, verbose)
    source = ctx.get_parameter_source("cluster")
    if all_clusters and source is not None and source.name == "ENVIRONMENT":
        cluster = None  # what was typed counts more than what is set
    if bool(cluster) == all_clusters:
        what = "--cluster and --all-clusters exclude one another" if all_clusters else "no cluster was named"
        raise UsageError(what, hint="give --cluster (several times, if you like) or --all-clusters")
    _named(*cluster or ())
    shared.finish(checked(shared.aws(), cluster or (), exit_code=exit_code))


@app.command()
def abort(
    ctx: typer.Context,
    cluster: ClusterName,
    drain_timeout: Annotated[
        str,
        typer.Option(envvar="ECSROLL_DRAIN_TIMEOUT", help="How long a surplus host may take to become empty."),
    ] = "30m",
    poll_interval: Annotated[
        str, typer.Option(envvar="ECSROLL_POLL_INTERVAL", help="Time between two looks at the cluster.")
    ] = "15s",
    lease_ttl: Annotated[
        str, typer.Option(envvar="ECSROLL_LEASE_TTL", help="How long a dead roll keeps others from the cluster.")
    ] = "2m",
    stop_grace: Annotated[
        str, typer.Option(envvar="ECSROLL_STOP_GRACE", help="How long Ctrl-C or SIGTERM may take to undo things.")
    ] = "25s",
    yes: Annotated[bool, typer.Option("--yes", "-y", envvar="ECSROLL_YES", help="Do not ask.")] = False,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """End a roll, also one that has died: undo its drains, point the groups back, give back what it borrowed.

    Hosts that were replaced stay as they are. A surplus host is drained like any other before it goes.
    """
    from ecsroll.commands import abort as ended
    from ecsroll.policy import Words, settle

    shared = _shared(ctx, region, profile, as_json, quiet, verbose)
    words = Words(drain_timeout=drain_timeout, poll_interval=poll_interval, lease_ttl=lease_ttl, stop_grace=stop_grace)
    policy = dataclasses.replace(settle(words), by=_whoami())
    _named(cluster)
    confirm = _confirmation(shared, yes=yes)
    screen = shared.screen(f"ecsroll abort · {cluster}")
    try:
        result = ended(shared.aws(), cluster, policy, screen, confirm, shared.signals(policy))
    finally:
        screen.close()
    shared.finish(result)


@app.command()
def status(
    ctx: typer.Context,
    cluster: ClusterName,
    asg: Groups = None,
    region: Region = None,
    profile: Profile = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show where a roll stands, what it waits for, and what is owed. Changes nothing."""
    from ecsroll.commands import status as standing
    from ecsroll.policy import Words, settle

    shared = _shared(ctx, region, profile, as_json, quiet, verbose)
    _named(cluster)
    shared.finish(standing(shared.aws(), cluster, settle(Words(groups=asg or ()))))


@app.command()
def demo(
    ctx: typer.Context,
    speed: Annotated[
        float,
        typer.Option(help="Simulated seconds a second; 0 is as fast as it can. Only a terminal is waited for.", min=0),
    ] = 60.0,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 1,
    serve: Annotated[
        bool, typer.Option("--serve", help="Open the simulated AWS as an AWS endpoint, until Ctrl-C.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(help="Port of 127.0.0.1 for --serve; without it, a free one.", min=0, max=65535)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Watch a whole roll on a simulated AWS: no account, nothing to set up, under 30 seconds.

    With --serve it rolls nothing: it waits to be rolled, from another terminal, by ecsroll or any AWS client.
    """
    from ecsroll.aws import Aws
    from ecsroll.commands import replace_hosts
    from ecsroll.demo import DemoClock, check_words, demo_stage, serve_demo
    from ecsroll.policy import Words, settle

    shared = _shared(ctx, None, None, as_json, quiet, verbose)
    check_words(serve=serve, port=port, speed=speed, quiet=shared.quiet)
    stage = demo_stage(seed=seed)
    if serve:
        ending = shared.outside.ending
        shared.finish(serve_demo(stage, port=port or 0, speed=speed, tell=shared.invite, ending=ending))
    screen = shared.screen("ecsroll demo · nine hosts, two releases behind")
    clock = DemoClock(stage.sim, shared.outside.clock, speed if shared.live else 0.0)
    policy = settle(Words(max_surge="2"))
    try:
        result = replace_hosts(Aws(stage.sim, clock, workers=1), stage.cluster, policy, screen, lambda _: True)
    finally:
        screen.close()
    shared.finish(dataclasses.replace(result, command="demo"))


# Running -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows still gets its sentences
    sys.exit(run(sys.argv[1:], Outside()))


def run(words: Sequence[str], outside: Outside) -> int:
    """Run one command; every way out has its exit code (docs/exit-codes.md)."""
    try:
        code = app(list(words), obj=outside, standalone_mode=False, prog_name="ecsroll")
        return code if isinstance(code, int) else 0
    except EcsrollError as error:
        return _failed(words, outside, error)
    except _Interrupted:
        return _interrupted(words, outside)
    except BrokenPipeError:
        return _nobody_reads(outside)
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.TyperException as error:
        message = _message(error)
        if not message:  # "ecsroll" alone: its help has been shown
            return UsageError.exit_code
        hint = " ".join(["ecsroll", *filter(None, [_command(words)]), "--help"])
        return _failed(words, outside, UsageError(message, hint=hint))
    except Exception as error:  # noqa: BLE001 - a bug has its exit code and its JSON line, too
        print("".join(traceback.format_exception(error)), file=outside.err, end="")
        hint = "please report it with the lines above; the same command goes on where this stopped"
        return _failed(words, outside, EcsrollError(f"a bug: {type(error).__name__}: {error}", hint=hint))


def _message(error: Any) -> str:
    """What typer has to say, in one sentence without a full stop."""
    said = str(error.format_message() if hasattr(error, "format_message") else error)
    return " ".join(said.split()).rstrip(".").replace("(env var: '", "(or ").replace("')", ")")


def _failed(words: Sequence[str], outside: Outside, error: EcsrollError) -> int:
    """An error in words on stderr, and as the last JSON line if JSON was asked for."""
    from ecsroll.render import show_error, show_result
    from ecsroll.result import of_error

    show_error(str(error), error.hint, err=outside.err)
    if _wants_json(words):
        result = of_error(error, command=_command(words), cluster=_cluster(words))
        show_result(result, out=outside.out, as_json=True)
    return error.exit_code


def _interrupted(words: Sequence[str], outside: Outside) -> int:
    """Ctrl-C before anything was changed, or where nothing is known of what was."""
    from ecsroll.render import show_error, show_result
    from ecsroll.result import of_interruption

    again = "run the same command again: it goes on where this stopped"
    show_error("interrupted", again, err=outside.err)
    if _wants_json(words):
        result = of_interruption(command=_command(words), cluster=_cluster(words), after=again)
        show_result(result, out=outside.out, as_json=True)
    return EXIT_INTERRUPTED


def _nobody_reads(outside: Outside) -> int:
    """Whoever read the output went away (``| head``): nothing can be said any more, not even at Python's own exit."""
    if outside.out is sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_INTERRUPTED


_YES = {"1", "true", "t", "yes", "y", "on"}


def _wants_json(words: Sequence[str]) -> bool:
    return "--json" in words or os.environ.get("ECSROLL_JSON", "").lower() in _YES


def _command(words: Sequence[str]) -> str:
    """The command's name: the first word that is neither a global option nor the value of one."""
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    values = {place + 1 for place, word in enumerate(words) if word in {"--region", "--profile"}}
    first = next((word for place, word in enumerate(words) if place not in values and not word.startswith("-")), "")
    return first if first in names else ""


def _cluster(words: Sequence[str]) -> str | None:
    for place, word in enumerate(words):
        if word == "--cluster" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--cluster="):
            return word.partition("=")[2]
    return os.environ.get("ECSROLL_CLUSTER")
