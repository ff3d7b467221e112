"""The benchmarks work: each measure runs with a few ticks. No test asserts how long anything takes."""

import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from tests.benchmarks import measured_processes, tick_cost, tick_to_order
from tests.benchmarks.__main__ import MEASURES, parser
from tests.benchmarks.broken_bot_apis import ApiFailure, failing_bot_api
from tests.benchmarks.exchange_replies import amount, ticks_of
from tests.benchmarks.ingest import flood, steady
from tests.benchmarks.measurements import Sample, latency_rows, quantile, table
from tests.benchmarks.price_burst import burst
from tests.benchmarks.tick_to_order import PriceDeck
from tests.terminals import needs_terminals

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the rig types into a terminal and reads /proc")


@on_linux
@needs_terminals
async def test_floor_and_daemon_follow_every_tick_a_flood_and_a_burst(tmp_path: Path) -> None:
    prices = PriceDeck(Random(0))
    async with (
        failing_bot_api(ApiFailure.HANGING) as hanging,
        measured_processes.floor() as floor,
        measured_processes.daemon(tmp_path, extra=hanging) as daemon,
    ):
        found = await tick_to_order.measure([floor, daemon], rounds=1, ticks=5, chance=Random(0))
        assert [len(seconds) for each in found.seconds.values() for seconds in each] == [5, 5]
        assert all(0 < each < 5 for rounds in found.seconds.values() for each in rounds[0])
        for process in (floor, daemon):
            frames_a_second, _ = await flood(process, 1000, prices)
            assert frames_a_second > 0
            assert len(await steady(process, 1000, 0.1, prices)) == 2
            took_s, orders = await burst(process, 100, prices)
            assert took_s > 0
            assert 1 <= orders <= 100
            assert process.cpu_s > 0
            assert process.resident_bytes > 0
    assert not any("ERROR" in line for line in daemon.lines), daemon.lines
    assert daemon.process.returncode == 0


async def test_the_floor_with_one_request_in_flight_reaches_the_final_price() -> None:
    async with measured_processes.floor(manner="newest") as floor:
        _, orders = await burst(floor, 500, PriceDeck(Random(0)))
        assert orders < 500


@on_linux
async def test_a_daemon_that_cannot_start_fails_at_once_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="STALE_AFTER_SEC"):
        async with measured_processes.daemon(tmp_path, extra={"STALE_AFTER_SEC": "-1"}):
            pass


@pytest.mark.parametrize("candles", [100, 1000])
def test_a_tick_rig_requotes_and_takes_in_klines(candles: int) -> None:
    rig = tick_cost.TickRig(candles)
    rig.closing_tick()
    rig.start_exit()
    rig.chase_tick()
    rig.chase_tick()


def test_a_price_comes_again_only_after_all_the_others() -> None:
    prices = PriceDeck(Random(0))
    dealt = [prices.next_price() for _ in range(1000)]
    assert all(len(set(dealt[start : start + 200])) == 200 for start in range(0, 1000, 200))
    assert all(one != other for one, other in pairwise(dealt))
    assert prices.unused() not in dealt


@pytest.mark.parametrize("price", ["2000.01", "1999.9", "2000", "1999.99000000"])
def test_a_price_is_the_same_in_ticks_and_as_text(price: str) -> None:
    assert Decimal(amount(ticks_of(price))) == Decimal(price)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert quantile([float(n) for n in range(1, 201)], 0.99) == 198.0


def test_a_table_shows_each_sample_against_the_first() -> None:
    samples = [Sample("floor", [[1e-6, 1e-6], [3e-6]]), Sample("subject", [[2e-6, 2e-6], [4e-6]])]
    rows = [list(row) for row in latency_rows(samples)]
    assert rows[1] == ["subject", "3", "2", "4", "2.00", "1.33", "1.33 - 2.00"]
    assert "subject" in table("title", ("", *"abcdef"), rows).splitlines()[-1]


def test_every_measure_can_be_named() -> None:
    assert parser().parse_args([*MEASURES]).names == [*MEASURES]
