"""The commands: words in, results out; no decisions. What is heavy is imported when it is needed."""

import dataclasses
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ecsroll.errors import EXIT_INTERRUPTED, EcsrollError, UsageError
from ecsroll.options import (
    Account,
    Alarms,
    AmiInterval,
    AnyCluster,
    Clusters,
    Config,
    Given,
    HostRoles,
    ImageParameters,
    Json,
    LaunchConfigurations,
    LaunchTemplates,
    OnAmi,
    OneCluster,
    Outside,
    Port,
    Profile,
    Publish,
    Queue,
    Quiet,
    ReadOnly,
    Region,
    Restarts,
    Seed,
    Serve,
    Shared,
    Speed,
    Tell,
    Topics,
    Verbose,
    Visibility,
    WebhookSecret,
    Yes,
    command,
    confirmation,
    named,
    readable,
)
from ecsroll.policy import SETTINGS

if TYPE_CHECKING:
    from ecsroll.model import Policy
    from ecsroll.result import Result

__all__ = ["Outside", "app", "main", "run"]


class _Interrupted(Exception):  # noqa: N818 - it is no error
    """Ctrl-C: typer would leave with 130 and say nothing."""


class _Commands(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        readable(self.get_params(ctx))
        super().format_help(ctx, formatter)

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
    epilog="To see it work: ecsroll demo. Then: ecsroll plan --cluster NAME, which changes nothing.\n\n"
    "Exit codes: 0 done, 1 a bug, 2 usage, 3 not found, 4 refused, 5 halted safely, 6 AWS, 7 held, 8 outdated, "
    "130 interrupted.",
)


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
    config: Config = None,
) -> None:
    """Replaces the EC2 hosts of ECS clusters without hurting what runs on them."""
    del version
    outside = ctx.obj if isinstance(ctx.obj, Outside) else Outside()
    ctx.obj = Shared(outside, region, profile, as_json, quiet, verbose, config)


@command(app)
def replace(
    shared: Shared,
    given: Given,
    cluster: Clusters = None,
    side_by_side: Annotated[
        bool,
        typer.Option("--side-by-side", envvar="ECSROLL_SIDE_BY_SIDE", help="Roll several clusters at the same time."),
    ] = False,
    tell: Tell = None,
    webhook_secret: WebhookSecret = None,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="ECSROLL_DRY_RUN", help="Only plan it: ecsroll plan with this policy.")
    ] = False,
) -> None:
    """Replace a cluster's outdated hosts, or go on with a roll that was cut off.

    New hosts come first. An old one is drained when its successor is ready,
    and terminated when every task on it has stopped.
    What was borrowed from the groups is given back.
    Run it again after any interruption: it goes on.

    Without --cluster, the clusters of the policy file are rolled in the order of their tables.
    """
    from ecsroll import several

    shared = shared.telling(tell, webhook_secret)
    names = list(dict.fromkeys(cluster or shared.file.clusters))
    if not names:
        raise UsageError("no cluster was named", hint="give --cluster, or a table for each in ecsroll.toml")
    named(*names)
    policies = {name: given.policy(shared.file.layers(name)) for name in names}
    if dry_run:
        _plan(shared, policies)
    at_once = (side_by_side or shared.file.side_by_side) and len(names) > 1
    if at_once and not yes:
        raise UsageError("side by side nobody can be asked for each cluster", hint="give --yes to roll without asking")
    confirm = confirmation(shared, yes=yes)
    if len(names) == 1:
        shared.finish(_replace(shared, names[0], policies[names[0]], confirm))
    if not at_once:
        shared.finish(several.in_turn("replace", names, _each(shared, policies, confirm)))
    with shared.signals(next(iter(policies.values()))) or nullcontext(lambda: None) as asked:
        shared.finish(several.side_by_side("replace", names, _each(shared, policies, confirm, asked)))


def _each(
    shared: Shared,
    policies: "dict[str, Policy]",
    confirm: Callable[[str], bool],
    asked: Callable[[], str | None] | None = None,
) -> Callable[[str], "Result"]:
    """How one of several clusters is rolled: an error is its result, and it is shown as soon as it is there."""
    from ecsroll.render import show_cluster
    from ecsroll.result import of_error

    def roll(cluster: str) -> "Result":
        try:
            result = _replace(shared, cluster, policies[cluster], confirm, asked)
        except EcsrollError as error:
            result = of_error(error, command="replace", cluster=cluster)
        show_cluster(result, shared.outside.clock.now(), out=shared.outside.out, as_json=shared.json)
        return result

    return roll


def _replace(
    shared: Shared,
    cluster: str,
    policy: "Policy",
    confirm: Callable[[str], bool],
    asked: Callable[[], str | None] | None = None,
) -> "Result":
    """Roll one cluster. ``asked``: how a signal is heard by several at once; else this one hears it by itself."""
    from ecsroll.commands import replace_hosts
    from ecsroll.result import of_error
    from ecsroll.telling import Telling

    here = shared.at(cluster)
    screen = here.screen(f"ecsroll replace · {cluster}", cluster, one_of_many=asked is not None)
    stopping = nullcontext(asked) if asked is not None else here.signals(policy)
    told = Telling(screen, here.sinks(screen.event), cluster, shared.outside.clock)
    try:
        aws = here.aws(call_timeout=min(20.0, policy.lease_ttl.total_seconds() / 3))
        result = replace_hosts(aws, cluster, policy, told, confirm, stopping)
    except EcsrollError as error:
        told.finish(of_error(error, command="replace", cluster=cluster))
        raise
    else:
        told.finish(result)
        return result
    finally:
        screen.close()


_HOW = tuple(
    setting.name
    for setting in SETTINGS
    if not setting.noted and setting.name not in {"window", "outside-window", "rollback-on-failure", "allow"}
)
"""How to roll, without what is to be rolled and when: a rollback knows that by itself."""


@command(app)
def plan(shared: Shared, given: Given, cluster: Clusters = None) -> None:
    """Show what replace would do: how long it takes, what moves when, what stands in its way. Changes nothing.

    The roll is rehearsed on a simulated copy of the cluster, at the pace that its own past shows.
    Exits with 4 when something would make replace refuse, or halt.
    """
    names = list(dict.fromkeys(cluster or shared.file.clusters))
    if not names:
        raise UsageError("no cluster was named", hint="give --cluster, or a table for each in ecsroll.toml")
    named(*names)
    _plan(shared, {name: given.policy(shared.file.layers(name)) for name in names})


def _plan(shared: Shared, policies: "dict[str, Policy]") -> NoReturn:
    """Plan the rolls of these clusters, one after the other, and leave."""
    from ecsroll import several
    from ecsroll.plan import plan as planned
    from ecsroll.render import show_cluster
    from ecsroll.result import of_error

    def one(cluster: str) -> "Result":
        here = shared.at(cluster)
        screen = here.screen(f"ecsroll plan · {cluster}", cluster)
        try:
            return planned(here.aws(), cluster, policies[cluster], screen)
        finally:
            screen.close()

    def one_of_many(cluster: str) -> "Result":
        try:
            result = one(cluster)
        except EcsrollError as error:
            result = of_error(error, command="plan", cluster=cluster)
        show_cluster(result, shared.outside.clock.now(), out=shared.outside.out, as_json=shared.json)
        return result

    names = list(policies)
    shared.finish(one(names[0]) if len(names) == 1 else several.in_turn("plan", names, one_of_many))


@command(app, "check-ami", settings=("min-ami-age", "deny-ami"))
def check_ami(
    shared: Shared,
    given: Given,
    cluster: Clusters = None,
    all_clusters: Annotated[
        bool,
        typer.Option("--all-clusters", envvar="ECSROLL_ALL_CLUSTERS", help="Every cluster of this account and region."),
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", envvar="ECSROLL_EXIT_CODE", help="Exit with 8 when something is outdated.")
    ] = False,
    publish: Publish = None,
) -> None:
    """Show what runs, what is newest, how far behind it is and what changed."""
    from ecsroll.commands import check_ami as checked
    from ecsroll.sinks import TOPIC

    if all_clusters and "cluster" in shared.from_environment:
        cluster = None  # what was typed counts more than what is set
    if bool(cluster) == all_clusters:
        what = "--cluster and --all-clusters exclude one another" if all_clusters else "no cluster was named"
        raise UsageError(what, hint="give --cluster (several times, if you like) or --all-clusters")
    named(*cluster or ())
    if publish is not None and not TOPIC.fullmatch(publish):
        raise UsageError(
            f"--publish {publish}: this is no ARN of a topic", hint="such as arn:aws:sns:REGION:ACCOUNT:NAME"
        )
    only = cluster[0] if cluster and len(cluster) == 1 else ""  # of several, the policy of all is what they share
    policy = given.policy(shared.file.layers(only))
    shared.finish(checked(shared.at(only).aws(), cluster or (), exit_code=exit_code, policy=policy, publish=publish))


@command(app)
def watch(  # noqa: PLR0913, PLR0917 - an option is a parameter
    shared: Shared,
    given: Given,
    queue: Queue = None,
    cluster: Clusters = None,
    on_ami: OnAmi = "notify",
    once: Annotated[
        bool,
        typer.Option("--once", envvar="ECSROLL_ONCE", help="Empty the queue, look at the images once, and leave."),
    ] = False,
    ami_interval: AmiInterval = "5m",
    visibility: Visibility = "5m",
    restarts: Restarts = False,
    topic: Topics = None,
    tell: Tell = None,
    webhook_secret: WebhookSecret = None,
) -> None:
    """Take notices and ECS's events from a queue, look for new images, and tell somebody or start a roll.

    Alerts: crash loops, failed deployments, starts that ECS throttles, tasks without a host; with --restarts,
    containers that are restarted inside their tasks.
    Without --cluster, the clusters of the policy file are watched, else every cluster of the region.
    Without --queue, only the images are watched, and with --restarts the restarts.
    """
    from ecsroll.watching import settled, watcher

    words = {"on-ami": on_ami, "ami-interval": ami_interval, "visibility": visibility}
    wanted = settled(words, queue, cluster or list(shared.file.clusters), topic or (), restarts=restarts)
    shared = shared.telling(tell, webhook_secret)
    with shared.signals(given.policy(), "finishing what is begun") or nullcontext(lambda: None) as stopping:
        there = watcher(wanted, shared, lambda name: given.policy(shared.file.layers(name)))
        shared.finish(there.run(stopping, once=once))


@command(app, settings=("poll-interval", "stop-grace"))
def events(
    shared: Shared,
    given: Given,
    cluster: OneCluster,
    queue: Queue = None,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", envvar="ECSROLL_SINCE", help="Begin with what happened this long ago; ECS forgets after 1h."
        ),
    ] = "1h",
    once: Annotated[
        bool, typer.Option("--once", envvar="ECSROLL_ONCE", help="Show what has happened, and leave.")
    ] = False,
    topic: Topics = None,
) -> None:
    """Follow what happens on a cluster: tasks that fail, with reason and exit code, stops, services, hosts.

    Without --queue it asks ECS. A queue has to be one of its own: what is read from it is deleted.
    """
    from ecsroll.watching import tail

    named(cluster)
    shared = shared.at(cluster)
    policy = given.policy(shared.file.layers(cluster))
    with shared.signals(policy, "leaving") or nullcontext(lambda: None) as stopping:
        there = tail(shared, cluster, queue, since, policy, topic or ())
        shared.finish(there.run(stopping, once=once))


@command(app, settings=("drain-timeout", "poll-interval", "lease-ttl", "stop-grace"))
def abort(shared: Shared, given: Given, cluster: OneCluster, yes: Yes = False) -> None:
    """End a roll, also one that has died: undo its drains, point the groups back, give back what it borrowed.

    Hosts that were replaced stay as they are. A surplus host is drained like any other before it goes.
    """
    from ecsroll.commands import abort as ended

    _carry_out("abort", ended, shared, given, cluster, yes=yes)


@command(app, settings=_HOW)
def rollback(shared: Shared, given: Given, cluster: OneCluster, yes: Yes = False) -> None:
    """Go back to what ran before the last roll: the reference and the image that each group had.

    A roll that is not finished is ended first. Then the hosts of the newer image are replaced like any others.
    Refused when that image is gone or deprecated.
    """
    from ecsroll.rollback import rollback as taken_back

    _carry_out("rollback", taken_back, shared, given, cluster, yes=yes)


def _carry_out(
    name: str, does: Callable[..., "Result"], shared: Shared, given: Given, cluster: str, *, yes: bool
) -> None:
    """A command that changes one cluster: asked for once, told on the screen, stopped by signals."""
    named(cluster)
    shared = shared.at(cluster)
    policy = given.policy(shared.file.layers(cluster))
    confirm = confirmation(shared, yes=yes)
    screen = shared.screen(f"ecsroll {name} · {cluster}", cluster)
    try:
        result = does(shared.aws(), cluster, policy, screen, confirm, shared.signals(policy))
    finally:
        screen.close()
    shared.finish(result)


@command(app, settings=("asg",))
def status(shared: Shared, given: Given, cluster: OneCluster) -> None:
    """Show where a roll stands, what it waits for, and what is owed. Changes nothing."""
    from ecsroll.standing import status as standing

    named(cluster)
    shared.finish(standing(shared.at(cluster).aws(), cluster, given.policy(shared.file.layers(cluster))))


@command(app, "iam-policy", settings=("asg",))
def iam_policy(  # noqa: PLR0913, PLR0917 - an option is a parameter
    shared: Shared,
    given: Given,
    cluster: AnyCluster = None,
    account: Account = None,
    image_parameters: ImageParameters = None,
    launch_templates: LaunchTemplates = None,
    launch_configurations: LaunchConfigurations = False,
    host_roles: HostRoles = None,
    alarms: Alarms = None,
    queue: Queue = None,
    restarts: Restarts = False,
    publish: Publish = None,
    tell: Tell = None,
    webhook_secret: WebhookSecret = None,
    read_only: ReadOnly = False,
) -> None:
    """Print the least policy that a roll needs, with the reason for each action. Asks nothing of AWS.

    The policy is on stdout, as JSON to paste; the reasons are on stderr.
    What is not named is any; how groups launch: by parameters or templates, unless it is said.
    A queue, topics, buses and secrets are in it when they are named, as for the command that uses them.
    """
    from ecsroll.aws import place_of
    from ecsroll.iam_policy import Asked
    from ecsroll.iam_policy import iam_policy as made

    region, partition = place_of(shared.region, shared.profile)
    asked = Asked(
        partition=partition,
        region=region,
        account=account,
        cluster=cluster,
        groups=given.policy().groups,
        image_parameters=image_parameters or (),
        launch_templates=launch_templates or (),
        host_roles=host_roles or (),
        queue=queue,
        publish=publish,
        tell=tell or (),
        webhook_secret=webhook_secret,
        configurations=launch_configurations,
        alarms=bool(alarms),
        restarts=restarts,
        read_only=read_only,
    )
    shared.finish(made(asked))


@command(app)
def demo(
    shared: Shared,
    speed: Speed = 60.0,
    seed: Seed = 1,
    serve: Serve = False,
    port: Port = None,
) -> None:
    """Watch a whole roll on a simulated AWS: no account, nothing to set up, under 30 seconds.

    With --serve it rolls nothing: it waits to be rolled, from another terminal, by ecsroll or any AWS client.
    """
    from ecsroll.aws import Aws
    from ecsroll.commands import replace_hosts
    from ecsroll.demo import DemoClock, check_words, demo_stage, serve_demo
    from ecsroll.policy import settle

    check_words(serve=serve, port=port, speed=speed, quiet=shared.quiet)
    stage = demo_stage(seed=seed)
    if serve:
        tell = partial(shared.invite, stage.cluster)
        shared.finish(serve_demo(stage, port=port or 0, speed=speed, tell=tell, ending=shared.outside.ending))
    screen = shared.screen("ecsroll demo · nine hosts, two releases behind", stage.cluster)
    clock = DemoClock(stage.sim, shared.outside.clock, speed if shared.live else 0.0)
    policy = settle({"max-surge": "2", "bake": "2m"})
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
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise  # completion in a shell
        return _nobody_reads(outside)  # typer takes a closed pipe for a failure of its own
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

    try:
        show_error(str(error), error.hint, err=outside.err)
        if _wants_json(words):
            result = of_error(error, command=_command(words), cluster=_cluster(words))
            show_result(result, out=outside.out, as_json=True)
    except BrokenPipeError:
        _nobody_reads(outside)
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
    for ours, stream in ((outside.out, sys.stdout), (outside.err, sys.stderr)):
        if ours is stream:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
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
