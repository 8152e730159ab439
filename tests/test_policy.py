"""What the options mean: durations, amounts, and every problem of them at once."""

from datetime import timedelta

import pytest

from ecsroll.errors import UsageError
from ecsroll.model import Amount, Policy
from ecsroll.policy import SETTINGS, Layer, Setting, amount, duration, noted, settle, shown, spelled, typed

Words = str | bool | list[str]

DURATIONS = {
    "0.2s": 0.2,
    "90s": 90,
    "15m": 900,
    "1.5h": 5400,
    "2h": 7200,
    "3d": 259200,
    " 5 m ": 300,
    "0s": 0,
}


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 minutes", "1h30m", "5M", ".5s", "5.s", "1e3s"])
def test_what_is_no_duration_is_told_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration: write a number and s, m, h or d"):
        duration(text)


@pytest.mark.parametrize(("text", "expected"), [("2", Amount(2)), ("0", Amount(0)), ("25%", Amount(25, percent=True))])
def test_amounts(text: str, expected: Amount) -> None:
    assert amount(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "many", "10 percent", "10%%"])
def test_what_is_no_amount_is_told_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="is neither a number of hosts nor a percentage"):
        amount(text)


SHARES = {
    "a number is itself": (Amount(3), 10, 3, 3),
    "a third of ten": (Amount(33, percent=True), 10, 4, 3),
    "a half of ten": (Amount(50, percent=True), 10, 5, 5),
    "of one host": (Amount(1, percent=True), 1, 1, 0),
    "of none": (Amount(50, percent=True), 0, 0, 0),
    "the whole": (Amount(100, percent=True), 7, 7, 7),
}


@pytest.mark.parametrize(("share", "total", "up", "down"), SHARES.values(), ids=SHARES)
def test_a_surge_is_rounded_up_and_what_may_be_unavailable_down(share: Amount, total: int, up: int, down: int) -> None:
    assert (share.of(total, up=True), share.of(total, up=False)) == (up, down)


SPELLED = {0: "0s", 45: "45s", 59.6: "1m", 60: "1m", 200: "3m 20s", 3599: "59m 59s", 3600: "1h 00m", 7500: "2h 05m"}


@pytest.mark.parametrize(("seconds", "expected"), SPELLED.items())
def test_a_duration_is_told_as_a_person_writes_it(seconds: float, expected: str) -> None:
    assert spelled(timedelta(seconds=seconds)) == expected


TYPED = {0.2: "0.2s", 90: "90s", 900: "15m", 7200: "2h", 259200: "3d", 0: "0s", 5400: "90m"}


@pytest.mark.parametrize(("seconds", "expected"), TYPED.items())
def test_a_duration_is_noted_as_an_option_takes_it(seconds: float, expected: str) -> None:
    assert typed(timedelta(seconds=seconds)) == expected
    assert duration(expected) == timedelta(seconds=seconds)


def test_no_words_mean_the_defaults() -> None:
    assert settle() == Policy()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_the_default_that_is_shown_is_the_one_that_counts(setting: Setting) -> None:
    default = getattr(Policy(), setting.becomes)
    assert default == (
        setting.read(setting.default) if setting.default else {"many": (), "flag": False}.get(setting.kind)
    )


def test_every_word_counts() -> None:
    words: dict[str, Words] = {
        "max-surge": "25%",
        "max-unavailable": "1",
        "strategy": "double",
        "canary": "0",
        "good-readings": "1",
        "boot-timeout": "5m",
        "drain-timeout": "1h",
        "poll-interval": "0.2s",
        "ami": "ami-1",
        "older-than": "7d",
        "keep-max-size": True,
        "asg": ["web", "api"],
    }
    assert settle(words) == Policy(
        surge=Amount(25, percent=True),
        unavailable=Amount(1),
        strategy="double",
        canary=0,
        good_readings=1,
        boot_timeout=timedelta(minutes=5),
        drain_timeout=timedelta(hours=1),
        poll_interval=timedelta(seconds=0.2),
        ami="ami-1",
        older_than=timedelta(days=7),
        keep_max_size=True,
        groups=("web", "api"),
    )
    assert settle({"instance": ["i-1"]}).instances == ("i-1",)
    assert settle({"all": True}).all


PROBLEMS: dict[str, tuple[dict[str, Words], str]] = {
    "no way to move": ({"max-surge": "0"}, "--max-surge 0 with --max-unavailable 0 leaves no way to move"),
    "nor in percent": ({"max-surge": "0%"}, "leaves no way to move"),
    "a duration that is none": ({"boot-timeout": "soon"}, "--boot-timeout: 'soon' is no duration"),
    "an age that is none": ({"older-than": "old"}, "--older-than: 'old' is no duration"),
    "an amount that is none": ({"max-unavailable": "some"}, "--max-unavailable: 'some' is neither a number"),
    "a strategy that is none": ({"strategy": "fast"}, "--strategy: 'fast': say rolling or double"),
    "an image that is none": ({"ami": "newest"}, "--ami: 'newest' is no image: say recommended, keep, previous"),
    "a denied image that is none": ({"deny-ami": ["ami_0123"]}, "--deny-ami: 'ami_0123' is no image: give an id"),
    "an alarm without a name": ({"alarm": [""]}, "--alarm: '' is empty: a variable in a script may be unset"),
    "one of two groups without a name": ({"asg": ["web", " "]}, "--asg: ' ' is empty"),
    "fewer canaries than none": ({"canary": "-1"}, "--canary"),
    "a canary that is no number": ({"canary": "tweety"}, "--canary"),
    "no good reading": ({"good-readings": "0"}, "--good-readings: at least 1"),
    "no breath": ({"poll-interval": "0.1s"}, "--poll-interval: at least 0.2s"),
    "two ways to choose the hosts": (
        {"all": True, "instance": ["i-1"]},
        "--all and --instance each choose the hosts: give one of them",
    ),
    "a list where one value is wanted": (
        {"canary": ["1", "2"]},
        "--canary: ['1', '2'] does not fit: one value is wanted",
    ),
    "a yes where a value is wanted": ({"asg": True}, "--asg: True does not fit: a value is wanted"),
    "a word where yes or no is wanted": ({"all": "some"}, "--all: 'some' does not fit: true or false is wanted"),
}


@pytest.mark.parametrize(("words", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(words: dict[str, Words], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        settle(words)
    assert said in str(caught.value)
    assert ";" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("other", [{"max-unavailable": "1"}, {"strategy": "double"}])
def test_without_a_surge_there_are_other_ways_to_move(other: dict[str, Words]) -> None:
    assert settle({"max-surge": "0", **other}).surge == Amount(0)


def test_every_problem_is_told_at_once() -> None:
    words: dict[str, Words] = {
        "max-surge": "x",
        "strategy": "y",
        "boot-timeout": "z",
        "good-readings": "0",
        "all": True,
        "instance": ["i-1"],
        "older-than": "w",
    }
    with pytest.raises(UsageError) as caught:
        settle(words)
    for name in words:
        assert f"--{name}" in str(caught.value)


def test_of_two_layers_the_first_counts_and_each_value_says_where_it_came_from() -> None:
    file = Layer("ecsroll.toml [policy]", {"canary": "2", "max-surge": "3"})
    policy = settle(Layer("given", {"max-surge": "2"}), file)
    assert (policy.surge, policy.canary) == (Amount(2), 2)
    assert shown(policy) == {"max-surge": ("2", "given"), "canary": ("2", "ecsroll.toml [policy]")}


def test_a_problem_of_a_file_says_which() -> None:
    with pytest.raises(UsageError, match=r"--canary: 'two' is no whole number \(from ecsroll.toml \[policy\]\)"):
        settle(Layer("ecsroll.toml [policy]", {"canary": "two"}))


def test_what_is_noted_of_a_policy_can_be_typed_again() -> None:
    words: dict[str, Words] = {"asg": ["web", "api"], "ami": "ami-1", "older-than": "90d"}
    assert noted(settle(words)) == {
        "--asg": "web api",
        "--ami": "ami-1",
        "--older-than": "90d",
        "--strategy": "rolling",
    }
