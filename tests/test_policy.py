"""What the options mean: durations, amounts, and every problem of them at once."""

from datetime import timedelta

import pytest

from ecsroll.errors import UsageError
from ecsroll.model import Amount, Policy
from ecsroll.policy import Words, amount, duration, settle, spelled

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


def test_no_words_mean_the_defaults() -> None:
    assert settle(Words()) == Policy()


def test_every_word_counts() -> None:
    words = Words(
        max_surge="25%",
        max_unavailable="1",
        strategy="double",
        canary="0",
        good_readings="1",
        boot_timeout="5m",
        drain_timeout="1h",
        poll_interval="0.2s",
        ami="ami-1",
        older_than="7d",
        keep_max_size=True,
        groups=["web", "api"],
    )
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
    assert settle(Words(instances=["i-1"])).instances == ("i-1",)
    assert settle(Words(all=True)).all


PROBLEMS = {
    "no way to move": (Words(max_surge="0"), "--max-surge 0 with --max-unavailable 0 leaves no way to move"),
    "nor in percent": (Words(max_surge="0%"), "leaves no way to move"),
    "a duration that is none": (Words(boot_timeout="soon"), "--boot-timeout: 'soon' is no duration"),
    "an age that is none": (Words(older_than="old"), "--older-than: 'old' is no duration"),
    "an amount that is none": (Words(max_unavailable="some"), "--max-unavailable: 'some' is neither a number"),
    "a strategy that is none": (Words(strategy="fast"), "--strategy fast: say rolling or double"),
    "fewer canaries than none": (Words(canary="-1"), "--canary"),
    "a canary that is no number": (Words(canary="tweety"), "--canary"),
    "no good reading": (Words(good_readings="0"), "--good-readings: at least 1"),
    "no breath": (Words(poll_interval="0.1s"), "--poll-interval: at least 0.2s"),
    "two ways to choose the hosts": (
        Words(all=True, instances=["i-1"]),
        "--all and --instance each choose the hosts: give one of them",
    ),
}


@pytest.mark.parametrize(("words", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_problems(words: Words, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        settle(words)
    assert said in str(caught.value)
    assert ";" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("words", [Words(max_surge="0", max_unavailable="1"), Words(max_surge="0", strategy="double")])
def test_without_a_surge_there_are_other_ways_to_move(words: Words) -> None:
    assert settle(words).surge == Amount(0)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        settle(Words(max_surge="x", strategy="y", boot_timeout="z", good_readings="0", all=True, older_than="w"))
    for option in ("--max-surge", "--strategy", "--boot-timeout", "--good-readings", "--older-than", "--all"):
        assert option in str(caught.value)
