"""Tests of the screen: lines scroll above the panel, and typed text is not overwritten."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.console.fake_terminal import Glass

from trailingedge.console.screen import PROMPT, Screen, painted
from trailingedge.console.status_panel import PanelRow, StyledText
from trailingedge.notifications.panel_content import TextStyle

HINTS = "x flip"
BLOCK = ["== head", "price 1"]
FOOT = [PROMPT.rstrip(), f"  {HINTS}"]


def rows(*texts: str) -> list[PanelRow]:
    return [(StyledText(text),) for text in texts]


class Show:
    """A screen of ours on a terminal of glass."""

    def __init__(self, columns: int = 40, rows: int = 12) -> None:
        self.glass = Glass(columns, rows)
        self.screen = Screen(HINTS)

    def paint(self, *lines: str, block: list[str] | None = None, entered: bool = False) -> None:
        drawn = rows(*(BLOCK if block is None else block))
        self.glass.feed(self.screen.paint(lines, drawn, self.glass.size, entered=entered))
        assert self.glass.whole

    @property
    def said(self) -> list[str]:
        """The lines above the block, blank ones left out."""
        everything = self.glass.history + self.glass.shown
        return [line for line in everything[: -len(FOOT) - len(BLOCK)] if line]


def test_the_block_stands_at_the_bottom_and_the_lines_right_above_it() -> None:
    show = Show()
    show.paint("one", "two")
    assert show.glass.shown[-6:] == ["one", "two", *BLOCK, *FOOT]


def test_what_the_shell_wrote_before_is_pushed_up_and_not_overwritten() -> None:
    show = Show()
    show.glass.feed("$ ls\r\nREADME\r\n$ trailing-edge\r\n" * 4)
    before = show.glass.history + show.glass.shown
    show.paint("one")
    assert (show.glass.history + show.glass.shown)[:12] == before[:12]
    assert show.glass.shown[-5:] == ["one", *BLOCK, *FOOT]


def test_lines_go_into_the_history_in_order() -> None:
    show = Show()
    for number in range(30):
        show.paint(f"line {number}")
    assert show.said == [f"line {number}" for number in range(30)]


def test_what_is_being_typed_stays_where_it_is() -> None:
    show = Show()
    show.paint("one")
    show.glass.type("wh")
    show.paint("two", block=["== head", "price 2"])
    show.glass.type("y")
    assert show.glass.shown[-2] == "> why"
    assert show.glass.shown[-4:-2] == ["== head", "price 2"]


def test_enter_scrolls_nothing_and_leaves_a_fresh_row() -> None:
    show = Show()
    show.paint("one")
    show.glass.type("w\n")
    show.paint("because", entered=True)
    assert show.glass.shown[-6:] == ["one", "because", *BLOCK, *FOOT]
    show.glass.type("s")
    assert show.glass.shown[-2] == "> s"


def test_after_a_shell_had_the_screen_there_is_one_head() -> None:
    show = Show()
    show.paint("one")
    show.glass.feed(show.screen.lines_only(["in the background"]))
    show.glass.feed("[1]+  Stopped\r\n$ fg\r\n")
    show.paint("two")
    assert sum(BLOCK[0] in row for row in show.glass.shown) == 1
    assert show.glass.shown[-5:] == ["two", *BLOCK, *FOOT]


def test_a_typed_line_that_scrolled_the_screen_leaves_no_second_head() -> None:
    show = Show(columns=40, rows=12)
    show.paint("one")
    show.glass.type("x" * 100 + "\n")
    show.screen.redraw_all()
    show.paint("two", entered=True)
    assert sum(BLOCK[0] in row for row in show.glass.shown) == 1
    assert show.glass.shown[-6:] == ["one", "two", *BLOCK, *FOOT]


def test_the_longest_hints_that_fit_are_shown() -> None:
    screen = Screen("x flip, c cancel", "x flip", "x")
    for columns, hints in ((40, "  x flip, c cancel"), (17, "  x flip"), (4, "  x"), (2, " …")):
        glass = Glass(columns, 12)
        glass.feed(screen.paint([], rows("head"), glass.size))
        assert glass.shown[-1] == hints


def test_wide_letters_are_counted_as_two_columns() -> None:
    show = Show(columns=10)
    show.paint("币安人生币安人生 USDT")
    assert show.glass.shown[:8][-3:] == ["币安人生币", "安人生", "USDT"]


def test_after_the_end_of_typing_there_is_no_prompt_in_any_drawing() -> None:
    show = Show()
    show.paint("one", block=["state"])
    assert show.glass.shown[-2] == ">"
    show.screen.end_typing("Ctrl-C ends it")
    show.paint("two", block=["state"], entered=True)
    assert show.glass.shown[-2:] == ["", "  Ctrl-C ends it"]
    show.glass.resize(50, 14)
    show.paint(block=["state"])
    assert show.glass.shown[-2:] == ["", "  Ctrl-C ends it"]


def test_nothing_new_is_nothing_to_write() -> None:
    show = Show()
    show.paint("one")
    assert show.screen.paint([], rows(*BLOCK), show.glass.size) == ""


def test_a_taller_block_pushes_the_lines_up_and_does_not_fall_again() -> None:
    show = Show()
    show.paint(*(f"line {number}" for number in range(8)))
    show.paint(block=[*BLOCK, "paused"])
    assert show.glass.shown[:7] == [f"line {number}" for number in range(1, 8)]
    assert show.glass.shown[7:10] == [*BLOCK, "paused"]
    show.paint("more")
    assert show.glass.shown[-6:] == ["more", *BLOCK, "", *FOOT]


def test_a_long_line_is_broken_between_words() -> None:
    show = Show(columns=20)
    show.paint("a line of some twenty-six letters")
    assert show.said == ["a line of some", "twenty-six letters"]


@pytest.mark.parametrize("size", [(60, 20), (30, 9), (40, 8)], ids=str)
def test_after_a_resize_everything_is_drawn_again(size: tuple[int, int]) -> None:
    show = Show()
    show.paint(*(f"line {number}" for number in range(5)))
    show.glass.resize(*size)
    show.paint()
    shown = show.glass.shown
    assert shown[-4:] == [*BLOCK, *FOOT]
    assert shown[: size[1] - 4][-4:] == [f"line {number}" for number in range(1, 5)]
    assert sum(BLOCK[0] in row for row in shown) == 1


def test_a_terminal_too_small_gets_lines_alone_and_the_block_back_when_it_has_grown() -> None:
    show = Show()
    show.paint("one")
    show.glass.resize(40, 5)
    show.paint("two")
    assert "two" in show.glass.shown
    show.glass.resize(40, 12)
    show.paint("three")
    assert show.glass.shown[-7:] == ["one", "two", "three", *BLOCK, *FOOT]
    assert sum(BLOCK[0] in row for row in show.glass.shown) == 1


def test_a_block_taller_than_the_terminal_leaves_room_for_lines() -> None:
    show = Show(rows=9)
    show.paint("one", block=[f"row {number}" for number in range(12)])
    assert show.glass.shown[-6:] == ["one", "row 0", "row 1", "row 2", *FOOT]


def test_at_the_end_the_block_goes_and_the_shell_goes_on_below_the_lines() -> None:
    show = Show()
    show.paint("one")
    show.glass.type("half")
    show.glass.feed(show.screen.clear(["summary"]))
    show.glass.type("$ ")
    assert [row for row in show.glass.shown if row] == ["one", "summary", "$"]


def test_before_anything_was_drawn_leaving_is_only_the_lines() -> None:
    assert Screen(HINTS).clear(["one", "two"]) == "one\r\ntwo\r\n"


def test_in_the_background_the_cursor_is_not_moved() -> None:
    show = Show()
    show.paint("one")
    assert show.screen.lines_only(["two\nthree"]) == "two\r\nthree\r\n"


def test_no_text_from_outside_moves_the_cursor() -> None:
    show = Show()
    show.paint("Order refused: \x1b[2J\rgo\x9b\x07")
    assert show.said == [r"Order refused: \x1b[2J\rgo\x9b\x07"]


def test_tones_end_where_their_text_does() -> None:
    row = (StyledText("a"), StyledText("b", TextStyle.BAD), StyledText("", TextStyle.GOOD))
    assert painted(row) == "a\x1b[31mb\x1b[0m"


words = some.text(some.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
moves = some.lists(
    some.one_of(
        some.tuples(some.just("lines"), some.lists(words, min_size=1, max_size=4)),
        some.tuples(some.just("block"), some.lists(words, max_size=6)),
        some.tuples(some.just("keys"), some.lists(some.sampled_from(["x", "w\n", "\n"]), min_size=1, max_size=1)),
    ),
    max_size=12,
)


@given(moves=moves)
def test_whatever_happens_no_line_is_lost_and_the_block_is_whole(moves: list[tuple[str, list[str]]]) -> None:
    show, block = Show(columns=70, rows=14), list(BLOCK)
    told: list[str] = []
    show.paint(block=block)
    for what, texts in moves:
        if what == "keys":
            show.glass.type(texts[0])
            show.paint(block=block, entered="\n" in texts[0])
            continue
        lines, block = (texts, block) if what == "lines" else ([], texts)
        told += lines
        show.paint(*lines, block=block)
        shown = show.glass.shown
        top = len(shown) - 2 - max(show.screen.height, len(block))
        assert shown[top : top + len(block)] == block
        assert [line for line in show.glass.history + shown[:top] if line] == told


def test_lines_that_come_with_a_redraw_can_be_scrolled_back_to() -> None:
    show = Show()
    lines = [f"line {number}" for number in range(30)]
    show.paint("before")
    show.screen.redraw_all()
    show.paint(*lines)
    assert show.said == ["before", *lines]
