import io

import pytest

from trailingedge.console.outlet import Outlet


@pytest.mark.parametrize(("encoding", "rich"), [("utf-8", True), ("ascii", False), ("cp1252", False)])
def test_few_streams_show_less_than_everything(encoding: str, *, rich: bool) -> None:
    assert Outlet(io.TextIOWrapper(io.BytesIO(), encoding=encoding)).rich is rich


def test_a_stream_that_does_not_tell_its_letters_has_the_plain_ones() -> None:
    assert not Outlet(io.StringIO()).rich


def test_letters_that_are_missing_become_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    Outlet(stream).write("gate – open\n")
    assert raw.getvalue() == b"gate ? open\n"


def test_once_nobody_reads_nothing_is_written() -> None:
    stream = io.StringIO()
    stream.close()
    outlet = Outlet(stream)
    outlet.write("one")
    outlet.write("two")
