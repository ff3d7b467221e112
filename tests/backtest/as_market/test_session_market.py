"""Tests of the market of a recorded session."""

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from tests.session_replay.edited_records import Change, changed, without
from tests.session_replay.golden_sessions import path_of

from trailingedge.backtest.as_market.session_market import SessionMarket, read_session_market
from trailingedge.core.errors import ConfigError
from trailingedge.report.progress import InterruptRequest, ProgressBar

FRAMES = (b'["<', b'["+')


def read(path: Path) -> SessionMarket:
    return read_session_market(path, ProgressBar(None), InterruptRequest())


@pytest.fixture(scope="module")
def fair() -> SessionMarket:
    return read(path_of("fair"))


def test_the_market_begins_with_the_first_cycle_and_the_free_balances(fair: SessionMarket) -> None:
    # The rest of the quote is locked by another client's order.
    assert fair.balances == {"ETH": Decimal(1), "FDUSD": Decimal(125)}
    assert fair.columns.time_ms[0] == 1783000001027
    assert len(fair.start.history) > 50


def test_times_never_go_back_and_books_are_never_crossed(fair: SessionMarket) -> None:
    columns = fair.columns
    assert list(columns.time_ms) == sorted(columns.time_ms)
    assert all(0 < bid < ask for bid, ask in zip(columns.bids, columns.asks, strict=True))


def test_the_order_that_filled_is_not_in_the_book_that_filled_it(fair: SessionMarket) -> None:
    columns = fair.columns
    trades = [number for number, traded in enumerate(columns.traded) if traded]
    assert len(trades) == fair.own_trades == 3
    for number in trades:
        price, bought = columns.lasts[number], columns.buyers[number]
        if bought:  # from us: our ask was at this price
            assert columns.asks[number] > price
        else:
            assert columns.bids[number] < price


def test_what_the_operator_did_is_kept_with_its_place_in_the_market(fair: SessionMarket) -> None:
    minutes = [(fair.columns.time_ms[each.row] - 1783000000000) / 60_000 for each in fair.operator]
    assert [round(minute) for minute in minutes] == [4, 6, 8, 10]


def test_round_trips_are_measured_from_request_to_reply(fair: SessionMarket) -> None:
    assert fair.latency is not None
    assert fair.latency.of_orders
    assert 40.0 < fair.latency.median_ms < 60.0  # the simulated network's


def test_a_market_that_ran_faster_than_the_clock_has_its_latency_in_market_time(
    tmp_path: Path, fair: SessionMarket
) -> None:
    def at_a_tenth(line: bytes) -> bytes:
        """Let the line come after a tenth of its time. Its market time stays."""
        found = re.match(rb'(\["[^"]+",)(\d+)(,.*)', line)
        if found is None or line.startswith((b'["command', b'["event', b'["decision', b'["skipped', b'["session')):
            return line
        at_ns, rest = int(found[2]), found[3]
        if line.startswith(b'["tick"'):
            fields = json.loads(line)
            fields[4]["market_ms"] = at_ns // 1_000_000 + 1_783_000_000_000
            rest = b"," + json.dumps(fields[2:], separators=(",", ":"))[1:].encode()
        return found[1] + b"%d" % (at_ns // 10) + rest

    fast = read(changed(tmp_path, at_a_tenth, "fair"))
    assert (fair.speed, fast.speed) == (1, 10)
    assert fair.latency is not None
    assert fast.latency is not None
    assert fast.latency.median_ms == pytest.approx(fair.latency.median_ms, rel=1e-4)


def test_torn_frames_and_lost_connections_are_no_errors() -> None:
    assert read(path_of("faulty")).counts["breaks"] == 0
    assert read(path_of("storm")).counts["breaks"] == 3


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        pytest.param(without(*FRAMES), "0 bookTicker frames after the start", id="no prices"),
        pytest.param(without(b'["core"', b'["tick"', b'["call"'), "ended before it was ready to trade", id="no core"),
        pytest.param(
            lambda line: b'["hole",7]' if line.startswith(b'["requote"') else line,
            "the record is incomplete",
            id="a hole",
        ),
        pytest.param(
            lambda line: b'["tick",1]' if line.startswith(b'["tick"') else line, "cannot be read", id="a wrong line"
        ),
    ],
)
def test_a_record_that_gives_no_market_is_refused_in_one_line(tmp_path: Path, edit: Change, problem: str) -> None:
    path = changed(tmp_path, edit, "fair")
    with pytest.raises(ConfigError) as refused:
        read(path)
    (line,) = refused.value.problems
    assert line.startswith(f"{path}: ")
    assert problem in line


def test_a_record_that_breaks_off_is_refused_with_a_remedy(tmp_path: Path) -> None:
    whole = path_of("fair").read_bytes()
    path = tmp_path / path_of("fair").name
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ConfigError, match=r"the record is incomplete.*replay this one up to the gap with trailing-edge replay"
    ):
        read(path)


def test_a_session_that_was_killed_between_two_batches_is_read(tmp_path: Path) -> None:
    assert not read(changed(tmp_path, without(b'["over"'), "fair")).has_end


def test_ctrl_c_stops_the_reading() -> None:
    asked = InterruptRequest()
    asked.on_signal(2, None)
    with pytest.raises(KeyboardInterrupt):
        read_session_market(path_of("fair"), ProgressBar(None), asked)
