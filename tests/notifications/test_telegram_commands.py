"""Tests of the owner's commands and their confirmation codes."""

import secrets
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.confirmation_codes import CODE_TRIES, CODE_VALID_S, ConfirmationCodes
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications.telegram_commands import ACTIONS, HELP, OwnerCommands


class Owner:
    """An owner with a phone, whose commands are executed at once."""

    def __init__(self) -> None:
        self.done: list[OperatorCommand] = []
        self.told: list[str] = []
        self.arguments: list[str] = []
        self.commands = OwnerCommands(self.obey, self.told.append, "Trailing_Bot")

    def obey(self, instruction: OperatorCommand, tell: Callable[[CommandResult], None], argument: str) -> None:
        self.arguments.append(argument)
        if instruction is not OperatorCommand.PREVIEW:  # which changes nothing
            self.done.append(instruction)
        tell(CommandResult(f"{instruction.value} done"))

    def say(self, text: str, now_s: float = 0.0) -> str:
        """The answer."""
        before = len(self.told)
        self.commands.handle(text, now_s)
        [answer] = self.told[before:]
        return answer

    def line_for(self, text: str, now_s: float = 0.0) -> str:
        """The line to send back."""
        return self.say(text, now_s).splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        pytest.param("/status", OperatorCommand.STATUS, id="status"),
        pytest.param("/why", OperatorCommand.WHY, id="why"),
        pytest.param("/balance", OperatorCommand.BALANCE, id="balance"),
        pytest.param("/today", OperatorCommand.TODAY, id="today"),
        pytest.param("/daily", OperatorCommand.DAILY, id="daily"),
        pytest.param("/trades", OperatorCommand.TRADES, id="trades"),
        pytest.param("/profit", OperatorCommand.PROFIT, id="profit"),
        pytest.param("/Why@Trailing_Bot", OperatorCommand.WHY, id="addressed, in capitals"),
        pytest.param("  /why please ", OperatorCommand.WHY, id="with more words"),
    ],
)
def test_a_question_is_answered_at_once(text: str, instruction: OperatorCommand) -> None:
    owner = Owner()
    assert owner.say(text) == f"{instruction.value} done"
    assert owner.done == [instruction]


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        pytest.param("/pause", OperatorCommand.PAUSE, id="pause"),
        pytest.param("/resume", OperatorCommand.RESUME, id="resume"),
        pytest.param("/flip", OperatorCommand.FLIP, id="flip"),
        pytest.param("/cancel", OperatorCommand.CANCEL, id="cancel"),
        pytest.param("/stop", OperatorCommand.QUIT, id="stop"),
        pytest.param("/flip@trailing_bot", OperatorCommand.FLIP, id="addressed"),
    ],
)
def test_an_action_needs_the_line_that_the_bot_gives(text: str, instruction: OperatorCommand) -> None:
    owner = Owner()
    line = owner.line_for(text)
    assert owner.done == []
    assert owner.say(line, now_s=CODE_VALID_S) == f"{instruction.value} done"
    assert owner.done == [instruction]


def test_the_number_of_days_goes_with_the_command() -> None:
    owner = Owner()
    owner.say("/daily 14")
    owner.say("/trades")
    assert owner.arguments == ["14", ""]


def test_a_flip_is_confirmed_by_what_it_would_trade() -> None:
    owner = Owner()
    assert owner.say("/flip").startswith("preview done\nSend this, or its code, within 60 s")


def test_a_flip_that_is_refused_gets_no_code() -> None:
    owner = Owner()
    commands = OwnerCommands(lambda _, tell, __: tell(CommandResult("paused", done=False)), owner.told.append)
    commands.handle("/flip", 0.0)
    assert owner.told == ["paused"]


def test_a_code_is_good_once() -> None:
    owner = Owner()
    line = owner.line_for("/flip")
    owner.say(line)
    assert "wrong or has expired" in owner.say(line)
    assert owner.done == [OperatorCommand.FLIP]


def test_a_code_that_comes_late_does_nothing() -> None:
    owner = Owner()
    line = owner.line_for("/flip", now_s=10.0)
    answer = owner.say(line, now_s=10.1 + CODE_VALID_S)
    assert answer == "flip: the code is wrong or has expired. Nothing was done; /flip gives a new one"
    assert owner.done == []


def test_a_code_is_good_for_its_own_command_alone() -> None:
    owner = Owner()
    code = owner.line_for("/pause").split()[1]
    owner.say(f"/stop {code}")
    assert owner.done == []
    owner.say(f"/pause {code}")
    assert owner.done == [OperatorCommand.PAUSE]


def test_the_code_alone_confirms_its_command_once() -> None:
    owner = Owner()
    pause, flip = (owner.line_for(text).split()[1] for text in ("/pause", "/flip"))
    assert owner.say(flip, now_s=CODE_VALID_S) == "flip done"
    assert "wrong or has expired" in owner.say(flip)
    owner.say(pause)
    assert owner.done == [OperatorCommand.FLIP, OperatorCommand.PAUSE]


def test_five_wrong_codes_alone_make_every_code_void() -> None:
    owner = Owner()
    lines = [owner.line_for(text) for text in ("/pause", "/flip")]
    wrong = next(f"{number:06}" for number in range(3) if all(f"{number:06}" not in line for line in lines))
    for _ in range(CODE_TRIES):
        assert "wrong or has expired" in owner.say(wrong)
    for line in lines:
        assert "wrong or has expired" in owner.say(line)
    assert owner.done == []


def test_a_slip_of_the_thumb_does_not_cost_the_code() -> None:
    owner = Owner()
    line = owner.line_for("/flip")
    owner.say(line + "0")
    owner.say(line)
    assert owner.done == [OperatorCommand.FLIP]


def test_a_code_has_six_digits_that_no_seed_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def draw(below: int) -> int:
        drawn.append(below)
        return 42

    monkeypatch.setattr(secrets, "randbelow", draw)
    assert Owner().line_for("/flip") == "/flip 000042"
    assert drawn == [1_000_000]


def test_after_five_wrong_tries_a_code_is_void_and_a_new_one_works() -> None:
    owner = Owner()
    line = owner.line_for("/flip")
    for _ in range(CODE_TRIES):
        assert "wrong or has expired" in owner.say("/flip 12345678")
    assert "wrong or has expired" in owner.say(line)
    assert owner.done == []
    owner.say(owner.line_for("/flip"))
    assert owner.done == [OperatorCommand.FLIP]


def test_the_fifth_try_may_be_the_right_one() -> None:
    owner = Owner()
    line = owner.line_for("/flip")
    for wrong in ("é", "٤٢", "\ud800", "0"):
        owner.say(f"/flip {wrong}")
    owner.say(line)
    assert owner.done == [OperatorCommand.FLIP]


@pytest.mark.parametrize("text", ["/pause@other_bot", "/pause@", "/status@trailing_bot2", "/help@other_bot", "/x@y"])
def test_a_command_for_another_bot_is_ignored(text: str) -> None:
    owner = Owner()
    owner.commands.handle(text, 0.0)
    assert (owner.told, owner.done) == ([], [])


def test_the_code_of_one_bot_confirms_nothing_at_another() -> None:
    owner = Owner()
    code = owner.line_for("/stop@trailing_bot").split()[1]
    owner.commands.handle(f"/stop@other_bot {code}", 0.0)
    assert owner.done == []


def test_asking_again_replaces_the_code() -> None:
    owner = Owner()
    first, second = owner.line_for("/flip"), owner.line_for("/flip")
    owner.say(first)
    assert owner.done == []
    owner.say(second)
    assert owner.done == [OperatorCommand.FLIP]


@pytest.mark.parametrize("text", ["/start", "/help", "/help@trailing_bot"])
def test_help_lists_all_commands(text: str) -> None:
    owner = Owner()
    assert owner.say(text) == HELP
    assert all(f"/{name} - " in HELP for name in ("status", "why", "balance", "today", *ACTIONS))


@pytest.mark.parametrize("text", ["", "hello", "/", "/sell", "status", "4821", "//flip"])
def test_an_unknown_command_does_nothing_and_gets_the_list(text: str) -> None:
    owner = Owner()
    assert owner.say(text).endswith(HELP)
    assert owner.done == []


@given(st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 200)), max_size=12), st.randoms())
def test_no_code_is_used_twice_or_late_or_for_another_command(asked: list[tuple[str, int]], chance: Random) -> None:
    codes = ConfirmationCodes()
    given_s: dict[tuple[str, str], int] = {}
    now_s = 0
    for command, passes_s in asked:
        code = codes.issue(command, now_s)
        given_s[command, code] = now_s
        now_s += passes_s
        tried = chance.choice(sorted(given_s))
        if codes.redeem(*tried, now_s):
            assert now_s - given_s.pop(tried) <= CODE_VALID_S
            assert not codes.redeem(*tried, now_s)
