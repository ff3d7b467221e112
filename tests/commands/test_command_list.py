"""The list of the commands, and the error for a word that is none."""

import pytest

from trailingedge.commands.command_list import unknown_command

PURPOSES = {"check": "check the settings", "replay": "replay a session"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("chek", "there is no command chek; did you mean check?"),
        ("REPLAY", "there is no command REPLAY; did you mean replay?"),
        ("xyz", "there is no command xyz"),
        ("a\x1b[2J", "there is no command a\\x1b[2J"),
    ],
)
def test_the_last_line_names_the_word_and_the_nearest_command(word: str, said: str) -> None:
    *listed, last = unknown_command(word, PURPOSES).splitlines()
    assert last == f"trailing-edge: {said}"
    assert [line.split()[0] for line in listed] == ["commands:", "check", "replay"]


def test_a_secret_is_not_repeated() -> None:
    token = f"{123456789}:{'aB3-' * 9}"
    assert token not in unknown_command(token, PURPOSES)
