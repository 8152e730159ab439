"""``ecsroll replace`` from the words to the exit code, on a stage; and what all commands have in common."""

import errno
import re
from collections.abc import Callable
from io import StringIO

import pytest

from ecsroll.cli import app, run
from ecsroll.simulator.door import Call
from ecsroll.simulator.stage import GroupSet, ServiceSet, Stage, set_stage
from ecsroll.simulator.world import Refusal
from tests.console import Terminal, denying, ecsroll, outside
from tests.deeds import recommended_again
from tests.scenarios import images, run_a_task

API = ServiceSet(name="api", count=2)
QUICK = ("--canary", "0", "--good-readings", "1")
ROLL = ("replace", "--cluster", "demo", "--yes", *QUICK)


def stage_of(hosts: int = 2, **members: object) -> Stage:
    return set_stage(GroupSet(hosts=hosts, **members), services=(API,))  # type: ignore[arg-type]


def changing(stage: Stage) -> list[Call]:
    return [call for call in stage.sim.door.calls if call.changes]


# replace -----------------------------------------------------------------------------------------------------------


def test_every_host_is_replaced() -> None:
    stage = stage_of()
    ran = ecsroll(stage, *ROLL)
    assert ran.code == 0, ran
    assert images(stage) == [stage.new_image["web"]] * 2
    assert ran.out.splitlines()[-1] == "done: every outdated host was replaced"
    assert "2 replaced, 0 left" in ran.out


def test_the_story_is_on_stderr_and_the_result_on_stdout() -> None:
    ran = ecsroll(stage_of(), *ROLL)
    assert "terminate " in ran.err
    assert "terminate " not in ran.out
    assert "done:" not in ran.err


def test_nothing_to_do_is_a_success_that_changes_nothing() -> None:
    stage = stage_of(age=0)
    ran = ecsroll(stage, *ROLL)
    assert (ran.code, ran.out) == (0, "nothing: every host runs what its group is to launch\n")
    assert changing(stage) == []


def test_a_second_roll_has_nothing_to_do() -> None:
    stage = stage_of()
    ecsroll(stage, *ROLL)
    assert ecsroll(stage, *ROLL, "--json").result["result"] == "nothing"


def test_who_is_asked_is_told_what_is_about_to_happen_first() -> None:
    questions: list[str] = []

    def declines(question: str) -> bool:
        questions.append(question)
        return False

    stage = stage_of()
    ran = ecsroll(stage, "replace", "--cluster", "demo", ask=declines)
    assert questions == ["Replace 2 of 2 host(s) of demo?"]
    assert (ran.code, ran.out) == (4, "")
    assert stage.old_image["web"] in ran.err
    assert stage.new_image["web"] in ran.err
    assert ran.err.splitlines()[-2] == "error: nothing was changed: the roll was declined"
    assert changing(stage) == []


def test_who_says_yes_gets_the_roll() -> None:
    ran = ecsroll(stage_of(), "replace", "--cluster", "demo", *QUICK, ask=lambda _: True)
    assert ran.code == 0


def test_a_blocking_finding_refuses_and_names_the_way_out() -> None:
    stage = stage_of()
    stage.sim.client("autoscaling").suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])
    stage.sim.door.calls.clear()
    ran = ecsroll(stage, *ROLL)
    assert ran.code == 4
    assert "EC102 blocking  web: Launch is suspended" in ran.err
    assert ran.out.splitlines()[-2:] == [
        "refused: EC102 web: Launch is suspended: no host can be replaced",
        "next   aws autoscaling resume-processes --auto-scaling-group-name web; to go on in spite of it: --allow EC102",
    ]
    assert changing(stage) == []


def test_what_is_allowed_is_a_warning_and_the_roll_goes_on() -> None:
    stage = stage_of(age=0)
    recommended_again(stage)
    refused = ecsroll(stage, *ROLL)
    assert refused.code == 4
    assert refused.out.splitlines()[-1].endswith("to go on in spite of it: --allow EC135")
    ran = ecsroll(stage, *ROLL, "--allow", "ec135")
    assert ran.code == 0
    assert "(allowed by --allow EC135)" in ran.out


def test_a_code_that_no_finding_has_can_not_be_allowed() -> None:
    stage = stage_of()
    ran = ecsroll(stage, *ROLL, "--allow", "EC999")
    assert (ran.code, changing(stage)) == (2, [])
    assert "--allow: 'EC999' is no finding's code, such as EC115" in ran.err


def test_a_roll_that_halts_says_why_what_is_owed_and_what_to_do_in_its_last_lines() -> None:
    stage = stage_of(3)
    run_a_task(stage, 99_999, host=0)
    ran = ecsroll(stage, *ROLL, "--drain-timeout", "5m")
    assert ran.code == 5
    note, reason, *owed, after = ran.out.splitlines()[-5:]
    assert note.startswith("note   EC118 batch: 1 standalone task(s)")
    assert reason.startswith("halted: i-")
    assert "standalone" in reason
    assert [line.partition(" ")[0] for line in owed] == ["owed", "owed"]
    assert after == "next   ecsroll replace --cluster demo (goes on where this stopped)"


def test_a_roll_that_aws_cuts_off_says_what_is_owed_and_goes_on_later() -> None:
    stage = stage_of()

    def fail(call: Call) -> None:
        if any(call.operation == "UpdateContainerInstancesState" for call in changing(stage)):
            raise Refusal("InternalFailure", f"{call.operation} is not feeling well", status=500)

    stage.sim.door.before.append(fail)
    ran = ecsroll(stage, *ROLL, "--json")
    assert (ran.code, ran.result["result"]) == (6, "error")
    assert ran.result["hosts"] == {"replaced": 0, "remaining": 2}
    assert [entry["group"] for entry in ran.result["owed"]] == ["web", "web"]
    stage.sim.door.before.remove(fail)
    assert ecsroll(stage, *ROLL).code == 0
    assert images(stage) == [stage.new_image["web"]] * 2


def test_ctrl_c_in_the_middle_says_what_is_owed() -> None:
    stage = stage_of()

    def interrupt(call: Call) -> None:
        if call.operation == "TerminateInstanceInAutoScalingGroup":
            raise KeyboardInterrupt

    stage.sim.door.before.append(interrupt)
    ran = ecsroll(stage, *ROLL, "--json")
    assert (ran.code, ran.result["result"], ran.result["exit_code"]) == (130, "interrupted", 130)
    assert ran.result["owed"]
    assert ran.result["next"].startswith("ecsroll replace --cluster demo")


def test_ctrl_c_before_anything_was_asked() -> None:
    stage = stage_of()

    def interrupt(call: Call) -> None:
        raise KeyboardInterrupt(call.operation)

    stage.sim.door.before.append(interrupt)
    ran = ecsroll(stage, *ROLL, "--json")
    assert (ran.code, ran.result["result"]) == (130, "interrupted")
    assert ran.err.splitlines()[0] == "error: interrupted"


def test_ctrl_c_at_the_question_changes_nothing() -> None:
    def interrupt(question: str) -> bool:
        raise KeyboardInterrupt(question)

    stage = stage_of()
    assert ecsroll(stage, "replace", "--cluster", "demo", ask=interrupt).code == 130
    assert changing(stage) == []


def test_only_the_groups_that_were_named_are_rolled() -> None:
    stage = set_stage(GroupSet(name="a", hosts=1), GroupSet(name="b", hosts=1))
    assert ecsroll(stage, *ROLL, "--asg", "b").code == 0
    assert images(stage, "a") == [stage.old_image["a"]]
    assert images(stage, "b") == [stage.new_image["b"]]


def test_one_host_by_its_id() -> None:
    stage = stage_of(age=0)
    first = min(stage.sim.scaling.groups["web"].members)
    ran = ecsroll(stage, *ROLL, "--instance", first, "--json")
    assert (ran.code, ran.result["hosts"]["replaced"]) == (0, 1)
    assert stage.sim.scaling.groups["web"].members[first].state == "Terminating"


def test_an_optional_reading_that_is_denied_is_a_note_and_not_a_failure() -> None:
    stage = set_stage(GroupSet(hosts=2), services=(ServiceSet(name="api", count=2, balanced=True),))
    with denying(stage, "DescribeTargetHealth"):
        ran = ecsroll(stage, *ROLL, "--json")
    assert ran.code == 0
    assert [finding["code"] for finding in ran.result["findings"]] == ["EC190"]


# Options, before and after the command, and from the environment -----------------------------------------------------


def test_json_gives_a_line_for_each_event_and_the_result_last() -> None:
    ran = ecsroll(stage_of(), *ROLL, "--json")
    assert {line["kind"] for line in ran.events} == {"event"}
    assert ran.result["kind"] == "result"
    assert ran.err == ""


def test_global_options_mean_the_same_before_the_command() -> None:
    ran = ecsroll(stage_of(age=0), "--json", *ROLL)
    assert ran.result["result"] == "nothing"


def test_quiet_tells_only_the_result() -> None:
    ran = ecsroll(stage_of(), *ROLL, "--quiet")
    assert ran.err == ""
    assert ran.out.splitlines()[-1].startswith("done:")


def test_verbose_tells_every_change_of_a_wait() -> None:
    plain = ecsroll(stage_of(), *ROLL)
    verbose = ecsroll(stage_of(), *ROLL, "--verbose")
    assert len(verbose.err.splitlines()) > len(plain.err.splitlines())


def test_without_verbose_each_wait_is_told_once_until_it_is_over() -> None:
    ran = ecsroll(stage_of(), *ROLL)
    boots = [line for line in ran.err.splitlines() if "wait " in line and " is Pending" in line]
    assert len(boots) == len({line.split()[2] for line in boots})


ENVIRONMENT: dict[str, tuple[dict[str, str], tuple[str, ...], int, str]] = {
    "a number from the environment is read like an option": (
        {"ECSROLL_MAX_SURGE": "much"},
        ROLL,
        2,
        "--max-surge: 'much'",
    ),
    "an option counts more than the environment": ({"ECSROLL_MAX_SURGE": "much"}, (*ROLL, "--max-surge", "1"), 0, ""),
    "the cluster": ({"ECSROLL_CLUSTER": "prod"}, ("status",), 3, "'prod'"),
    "the groups": ({"ECSROLL_ASG": "wbe"}, ROLL, 3, "'wbe'"),
    "the image": ({"ECSROLL_AMI": "newest"}, ROLL, 2, "'newest' is no image"),
    "yes": ({"ECSROLL_YES": "1"}, ("replace", "--cluster", "demo", *QUICK), 0, ""),
    "instances": ({"ECSROLL_INSTANCE": "i-1 i-2"}, ROLL, 3, "i-1, i-2"),
    "quiet": ({"ECSROLL_QUIET": "1"}, ROLL, 0, ""),
    "the cluster of the environment gives way to --all-clusters": (
        {"ECSROLL_CLUSTER": "prod"},
        ("check-ami", "--all-clusters"),
        0,
        "",
    ),
}


@pytest.mark.parametrize(("variables", "words", "code", "says"), ENVIRONMENT.values(), ids=ENVIRONMENT)
def test_the_environment(
    variables: dict[str, str], words: tuple[str, ...], code: int, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ran = ecsroll(stage_of(), *words)
    assert ran.code == code, ran
    assert says in ran.err
    assert "ECSROLL_QUIET" not in variables or ran.err == ""


def test_json_from_the_environment_holds_for_errors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECSROLL_JSON", "true")
    ran = ecsroll(stage_of(), "replace", "--fast")
    assert (ran.result["exit_code"], ran.result["command"]) == (2, "replace")


def test_the_version() -> None:
    ran = ecsroll(None, "--version")
    assert ran.code == 0


class Gone(StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, text)


class GoneTerminal(Gone, Terminal):
    """A terminal that was closed."""


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("stream", [Gone, GoneTerminal])
def test_whoever_reads_the_output_may_go_away(stream: type[Gone], words: tuple[str, ...]) -> None:
    there = outside(stage_of(age=0))
    there.out = stream()
    assert run((*ROLL, *words), there) == 130


@pytest.mark.parametrize("gone", ["out", "err"])
def test_an_error_that_nobody_reads_keeps_its_exit_code(gone: str) -> None:
    there = outside(stage_of(age=0))
    setattr(there, gone, Gone())
    assert run(("status", "--cluster", "nowhere", "--json"), there) == 3


EVERY = sorted(
    str(command.name or command.callback.__name__) for command in app.registered_commands if command.callback
)


@pytest.mark.parametrize("command", ["", *EVERY])
def test_the_help_can_be_read_at_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert ecsroll(None, *filter(None, [command]), "--help").code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [
        line for line in lines if "…" in line or re.search(r"<\w", line)
    ] == []  # no name is cut off, no yes or no has a type
    assert len(lines) < 150  # there is room for sentences beside the options


HELP: dict[str, Callable[[str], bool]] = {
    "replace": lambda said: "Run it again after any interruption" in said,
    "check-ami": lambda said: "how far behind" in said,
    "status": lambda said: "what is owed" in said,
    "demo": lambda said: "no account" in said,
}


@pytest.mark.parametrize("command", HELP)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ecsroll(None, command, "--help").code == 0
    assert HELP[command](capsys.readouterr().out)
