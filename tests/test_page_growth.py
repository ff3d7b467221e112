"""The lines that the live page is shown for hours are those of a daemon."""

from collections import Counter

from tests.commands.watching.feeds import STATUS, state
from tests.page_growth import lines_of

from trailingedge.live.feed_format import parse


def test_a_minute_of_lines_is_what_a_daemon_sends_in_a_minute() -> None:
    levels = {"value": "2500.00", "gain_frac": 0.0, "high": "2500.00", "hard_stop": {"price": "2300.00"}}
    found = [parse(text) for text in lines_of(parse(state()) | {"status": STATUS | levels}, 60)]
    assert Counter(each["type"] for each in found) == {"prices": 240, "status": 60, "order": 1, "fill": 1, "log": 1}
    times = [each["time"] for each in found if each["type"] == "prices"]
    assert times == sorted(set(times))
    assert times[0] > STATUS["time"]
    bids = {each["bid"] for each in found if each["type"] == "prices"}
    assert len(bids) > 20
