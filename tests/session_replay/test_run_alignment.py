"""Tests of the unordered comparison of two runs with different timing."""

from trailingedge.session_replay.run_alignment import UnorderedComparison

SECOND_NS = 1_000_000_000
PLACE = b'[">",2,"{\\"id\\":7,\\"method\\":\\"order.place\\",\\"own\\":\\"TE-t-mr3ktwgb\\",\\"timestamp\\":1}"]'
LATER = b'[">",2,"{\\"id\\":9,\\"method\\":\\"order.place\\",\\"own\\":\\"TE-t-mr3ktwgc\\",\\"timestamp\\":2}"]'
CANCEL = b'[">",2,"{\\"id\\":8,\\"method\\":\\"order.cancel\\",\\"timestamp\\":1}"]'


def test_order_times_and_numbers_of_actions_do_not_count() -> None:
    lives = UnorderedComparison()
    lives.add_recorded([PLACE, CANCEL], 0, ())
    lives.add_replayed(CANCEL, 3 * SECOND_NS, ())
    lives.add_replayed(LATER, 5 * SECOND_NS, ())
    assert lives.overdue(100 * SECOND_NS) is None
    assert lives.unmatched(100 * SECOND_NS, finished=True) is None


def test_an_action_unmatched_for_long_is_the_difference() -> None:
    lives = UnorderedComparison()
    lives.add_replayed(CANCEL, 2 * SECOND_NS, (b"now",))
    lives.add_recorded([PLACE], SECOND_NS, (b"before",))
    assert lives.overdue(10 * SECOND_NS) is None
    difference = lives.overdue(13 * SECOND_NS)
    assert difference is not None
    assert (difference.at_ns, difference.recorded, difference.replayed) == (SECOND_NS, PLACE, None)
    assert difference.preceding == (b"before",)


def test_at_the_end_an_unmatched_action_is_a_difference_at_once() -> None:
    lives = UnorderedComparison()
    lives.add_replayed(CANCEL, SECOND_NS, ())
    assert lives.unmatched(2 * SECOND_NS, finished=False) is None
    difference = lives.unmatched(2 * SECOND_NS, finished=True)
    assert difference is not None
    assert (difference.recorded, difference.replayed) == (None, CANCEL)


def test_alerts_and_timers_are_not_compared() -> None:
    lives = UnorderedComparison()
    lives.add_recorded([b'["alert",20,"hello"]', b'["alarm",1,0.5]'], 0, ())
    assert lives.unmatched(SECOND_NS, finished=True) is None
