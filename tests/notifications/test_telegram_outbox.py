"""Tests of the outbox: its bound, the joining of alerts, the HTML and the rate limit."""

import contextlib
import logging
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.bot_api_html import BadEntities, cleaned, shown

from trailingedge.notifications.telegram_outbox import (
    MAX_ALERT_UNITS,
    MAX_MESSAGE_UNITS,
    AlertMessage,
    Outbox,
    OutgoingMessage,
    SendRateLimit,
    clean,
    mark,
    shortened,
    units,
)

NOON_MS = 1_783_080_000_000  # 2026-07-03 12:00 UTC
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
MARK_UP = st.text(st.sampled_from(list("<>&;/#x2\"' bi\n\ud83d\ude00\x00\u202e🛑=")), max_size=60)
LEVELS = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR])


def message(*letters: tuple[str, int], left_out: int = 0, at_ms: int = NOON_MS) -> OutgoingMessage:
    return OutgoingMessage(tuple(AlertMessage(text, level, at_ms) for text, level in letters), left_out)


def drained(outbox: Outbox) -> list[OutgoingMessage]:
    messages = []
    while (taken := outbox.take()) is not None:
        messages.append(taken)
    return messages


# How it looks


def test_an_alert_begins_with_where_it_comes_from() -> None:
    told = message(("ready: holding ETH", logging.INFO))
    assert told.text("PAPER ETHFDUSD", NOON_MS, marked_up=False) == "PAPER ETHFDUSD · ready: holding ETH"
    assert told.text("PAPER ETHFDUSD", NOON_MS, marked_up=True) == "<b>PAPER ETHFDUSD</b> · ready: holding ETH"


def test_a_text_that_names_the_pair_has_no_second_heading() -> None:
    told = message(("today sim ETHFDUSD, since 00:00 UTC:\nresult +0.10 %", logging.WARNING))
    assert told.text("sim ETHFDUSD", NOON_MS, marked_up=True).startswith("⚠️ today sim ETHFDUSD, since")


@pytest.mark.parametrize(
    ("level", "begins"),
    [
        pytest.param(logging.DEBUG, "live", id="debug"),
        pytest.param(logging.INFO, "live", id="news"),
        pytest.param(logging.WARNING, "⚠️ live", id="warning"),
        pytest.param(logging.ERROR, "🛑 live", id="error"),
        pytest.param(logging.CRITICAL, "🛑 live", id="worse"),
    ],
)
def test_a_locked_screen_shows_how_bad_it_is(level: int, begins: str) -> None:
    assert message(("halted", level)).text("live ETHFDUSD", NOON_MS, marked_up=False).startswith(begins)


def test_several_alerts_are_separated_under_the_mark_of_the_most_severe() -> None:
    told = message(("breakout", logging.INFO), ("halted", logging.ERROR), ("slow", logging.WARNING), left_out=12)
    assert told.text("live X", NOON_MS, marked_up=False).split("\n\n") == [
        "🛑 live X",
        "breakout",
        "🛑 halted",
        "⚠️ slow",
        "12 messages not sent; the log file has them",
    ]


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        pytest.param(59, "hard stop", id="just now"),
        pytest.param(60, "11:59 UTC · hard stop", id="a minute ago"),
        pytest.param(86_400, "02 Jul 12:00 UTC · hard stop", id="yesterday"),
    ],
)
def test_an_alert_that_comes_late_tells_its_time(age_s: int, said: str) -> None:
    told = message(("hard stop", logging.INFO), at_ms=NOON_MS - age_s * 1000)
    assert told.text("X", NOON_MS, marked_up=False) == f"X · {said}"


def test_a_line_to_send_back_can_be_copied_with_a_tap() -> None:
    told = message(("flip? Send:\n/flip 482113", logging.INFO)).text("X", NOON_MS, marked_up=True)
    assert told == "<b>X</b> · flip? Send:\n<code>/flip 482113</code>"


@given(title=ANYTHING, texts=st.lists(ANYTHING | MARK_UP, min_size=1, max_size=4), level=LEVELS)
def test_whatever_is_written_is_shown_as_it_was_written(title: str, texts: list[str], level: int) -> None:
    outbox = Outbox()
    for number, text in enumerate(texts):
        outbox.add(text, level, NOON_MS + 2000 * number)
    for told in drained(outbox):
        plain = told.text(title, NOON_MS, marked_up=False)
        assert shown(told.text(title, NOON_MS, marked_up=True)) == cleaned(plain)


@pytest.mark.parametrize("raw", ["a < b", "<b>", "</b>", "AT&T &lt", "x <y@z>", "<b>x</i>", "&#xD800"])
def test_raw_text_would_have_been_refused_or_changed(raw: str) -> None:
    with contextlib.suppress(BadEntities):
        assert shown(raw) != raw
    assert shown(message((raw, logging.INFO)).text("", NOON_MS, marked_up=True)) == f"· {raw}"


# How much fits


@given(texts=st.lists(ANYTHING.map(lambda text: text * 40), max_size=40), level=LEVELS)
def test_no_message_is_longer_than_telegram_takes(texts: list[str], level: int) -> None:
    outbox = Outbox()
    for number, text in enumerate(texts):
        outbox.add(text, level, NOON_MS + 2000 * number)
    for told in drained(outbox):
        assert units(told.text("T" * 200, NOON_MS + 90_000_000, marked_up=False)) <= MAX_MESSAGE_UNITS


def test_alerts_that_wait_go_out_together_in_order() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.add(f"{number:03} " + "x" * 76, logging.INFO, NOON_MS)
    messages = drained(outbox)
    assert len(messages) == 3
    assert [letter.text[:3] for told in messages for letter in told.alerts] == [f"{n:03}" for n in range(100)]


def test_a_text_too_long_for_one_message_is_cut_between_characters() -> None:
    outbox = Outbox()
    outbox.add("😀" * 3000, logging.INFO, NOON_MS)
    [told] = drained(outbox)
    assert told.alerts[0].text == "😀" * (MAX_ALERT_UNITS // 2 - 1) + "…"


@given(text=ANYTHING, longest=st.integers(1, 40))
def test_what_is_cut_is_the_end(text: str, longest: int) -> None:
    short = shortened(clean(text), longest)
    assert units(short) <= longest
    assert clean(text).startswith(short.removesuffix("…"))


def test_an_empty_text_is_no_alert() -> None:
    outbox = Outbox()
    outbox.add(" \n ", logging.ERROR, NOON_MS)
    assert outbox.take() is None


# What goes when there is no room


def test_the_least_important_go_first_and_of_them_the_oldest() -> None:
    outbox = Outbox(room=3)
    for text, level in (
        ("w1", logging.WARNING),
        ("i1", logging.INFO),
        ("e1", logging.ERROR),
        ("i2", logging.INFO),
        ("w2", logging.WARNING),
        ("e2", logging.ERROR),
        ("i3", logging.INFO),
    ):
        outbox.add(text, level, NOON_MS)
    [told] = drained(outbox)
    assert [letter.text for letter in told.alerts] == ["e1", "w2", "e2"]
    assert told.left_out == 4


@given(
    letters=st.lists(st.tuples(st.integers(0, 10_000), LEVELS), unique_by=lambda letter: letter[0], max_size=60),
    room=st.integers(1, 10),
)
def test_an_alert_is_left_out_only_for_one_as_important_and_every_one_is_counted(
    letters: list[tuple[int, int]], room: int
) -> None:
    outbox = Outbox(room)
    for number, level in letters:
        outbox.add(str(number), level, NOON_MS)
        assert len(outbox) <= room
    kept = [letter for told in drained(outbox) for letter in told.alerts]
    levels = sorted((level for _, level in letters), reverse=True)
    assert Counter(letter.level for letter in kept) == Counter(levels[:room])
    order = [str(number) for number, _ in letters]
    assert [order.index(letter.text) for letter in kept] == sorted(order.index(letter.text) for letter in kept)


def test_how_many_were_left_out_is_said_once() -> None:
    outbox = Outbox(room=1)
    outbox.add("first", logging.INFO, NOON_MS)
    outbox.add("second", logging.INFO, NOON_MS)
    told = outbox.take()
    assert told is not None
    assert told.text("X", NOON_MS, marked_up=False) == "X · second\n\n1 message not sent; the log file has them"
    outbox.add("third", logging.INFO, NOON_MS)
    assert [again.left_out for again in drained(outbox)] == [0]


def test_what_could_not_be_sent_comes_first_again_with_its_count() -> None:
    outbox = Outbox(room=2)
    for text in ("lost", "first", "second"):
        outbox.add(text, logging.INFO, NOON_MS)
    told = outbox.take()
    assert told is not None
    outbox.add("third", logging.WARNING, NOON_MS)
    outbox.put_back(told)
    [again] = drained(outbox)
    assert [letter.text for letter in again.alerts] == ["second", "third"]
    assert again.left_out == 2


def test_a_repetition_within_a_second_is_sent_once_with_the_higher_level() -> None:
    outbox = Outbox()
    outbox.add("paused", logging.INFO, NOON_MS)
    outbox.add("other", logging.INFO, NOON_MS + 1)
    outbox.add("paused", logging.WARNING, NOON_MS + 2)
    outbox.add("paused", logging.INFO, NOON_MS + 1500)
    [told] = drained(outbox)
    assert [(letter.text, mark(letter.level).strip()) for letter in told.alerts] == [
        ("paused", "⚠️"),
        ("other", ""),
        ("paused", ""),
    ]


# Pace


def test_a_chat_is_written_to_once_a_second() -> None:
    pace = SendRateLimit(group=False)
    assert pace.wait_s(100.0) == 0.0
    pace.sent(100.0)
    assert pace.wait_s(100.25) == 0.75
    assert pace.wait_s(101.0) == 0.0


def test_a_group_is_written_to_twenty_times_a_minute() -> None:
    pace = SendRateLimit(group=True)
    now_s = 0.0
    sent_s = []
    for _ in range(45):
        now_s += pace.wait_s(now_s)
        pace.sent(now_s)
        sent_s.append(now_s)
    assert sent_s[:21] == [*map(float, range(20)), 60.0]
    assert all(later - earlier >= 60.0 for earlier, later in zip(sent_s, sent_s[20:], strict=False))
