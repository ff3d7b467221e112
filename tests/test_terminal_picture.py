"""The picture of a terminal, and what the one in the README shows."""

import html
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from pathlib import Path

import pytest
from tests.terminal_picture import COLOURS, DIM, Style, picture, runs

from trailingedge.model.market import SymbolRules
from trailingedge.notifications import donchian_messages

TERMINAL = Path(__file__).parent.parent / ".github" / "terminal.svg"
RULES = SymbolRules("ETHFDUSD", "ETH", "FDUSD", Decimal("0.01"), Decimal("0.0001"))


def test_a_run_of_characters_has_its_place_and_its_style() -> None:
    screen = "plain  and wide\n\x1b[2m── \x1b[0;1mbold\x1b[0m  \x1b[31m\x1b[49mred\x1b[39m  plain\n"
    assert list(runs(screen)) == [
        (0, 0, "plain", Style()),
        (0, 7, "and wide", Style()),
        (1, 0, "──", Style(dim=True)),
        (1, 3, "bold", Style(bold=True)),
        (1, 9, "red", Style(colour=31)),
        (1, 14, "plain", Style()),
    ]


def test_a_picture_is_xml_with_the_text_of_the_screen() -> None:
    drawn = ET.fromstring(picture("bid < ask & \x1b[2mdim\x1b[0m\n\n\x1b[31m>\n"))
    texts = list(drawn.iter("{http://www.w3.org/2000/svg}text"))
    assert [text.text for text in texts] == ["bid < ask &", "dim", ">"]
    assert [text.get("fill") for text in texts] == [None, DIM, COLOURS[31]]
    assert [text.get("y") for text in texts] == ["27", "27", "63"]
    assert (drawn.get("width"), drawn.get("height")) == ("145", "82")


def test_a_style_that_it_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="code 7"):
        picture("\x1b[7mreverse")


def test_the_readme_shows_alerts_in_the_words_of_today() -> None:
    shown = " ".join(html.unescape(text) for text in re.findall(r">([^<\n]+)</text>", TERMINAL.read_text("utf-8")))
    found = re.search(r"closed at ([\d.]+) FDUSD, below the channel's lower edge ([\d.]+)", shown)
    assert found is not None
    close, edge = map(Decimal, found.groups())
    assert donchian_messages.breakout(RULES, close, edge, up=False, traded=False) in shown
