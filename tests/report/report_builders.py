"""Report builders for tests: a usual run, a run with every unusual case, and a run without any trade."""

import dataclasses
from decimal import Decimal

from trailingedge.accounting.metrics import Drawdown
from trailingedge.accounting.results import EquityPoint, FinishedExit, RunResults, Transfer
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.report.model import Candle, Fill, OrderLogEntry, RunReport, Sample

D = Decimal
MIDNIGHT_MS = 1_782_950_400_000  # 2026-07-02
MINUTE_MS = 60_000
DAY_MS = 86_400_000


def fill(
    number: int,
    *,
    trade_id: int,
    side: Side = Side.SELL,
    kind: ExitKind = ExitKind.TAKE_PROFIT,
    price: str = "2550.04",
    quantity: str = "1",
    fee: str = "0",
    fee_asset: str = "FDUSD",
) -> Fill:
    return Fill(
        time_ms=number + 11_500,
        trade_id=trade_id,
        order_id=trade_id + 100,
        number=number,
        kind=kind,
        side=side,
        price=D(price),
        quantity=D(quantity),
        quote=D(price) * D(quantity),
        commission=D(fee),
        commission_asset=fee_asset,
        is_maker=True,
    )


def finished(number: int, fills: tuple[Fill, ...], gain_frac: float | None, **changes: object) -> FinishedExit:
    """The exit that these fills make, ended twelve seconds after it began."""
    fees: dict[str, Decimal] = {}
    for each in fills:
        if each.commission:
            fees[each.commission_asset] = fees.get(each.commission_asset, D(0)) + each.commission
    made = FinishedExit(
        kind=fills[0].kind if fills else ExitKind.MANUAL,
        side=fills[0].side if fills else Side.BUY,
        number=number,
        cause=ExitEndReason.FILLED,
        started_ms=number,
        ended_ms=number + 12_000,
        base=sum((each.quantity for each in fills), D(0)),
        quote=sum((each.quote for each in fills), D(0)),
        replaces=2,
        fees=fees,
        mid_price=D("2552"),
        anchor_gain_frac=gain_frac,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]  # a test knows the fields


def candle(minute: int, close: float) -> Candle:
    return Candle(MIDNIGHT_MS + minute * MINUTE_MS, close - 1, close + 2, close - 3, close)


def moment(minute: int, bid: float, value: float, *, held: Regime | None = Regime.BASE, shut: bool = False) -> Sample:
    closed_ms = MIDNIGHT_MS + (minute + 1) * MINUTE_MS - 1
    known = held is not None
    return Sample(
        time_ms=closed_ms,
        bid=bid,
        value=value,
        growth=value / 2500,
        regime=held,
        anchor=2500.0 if known else None,
        high=bid + 3 if known else None,
        trail=None,
        stop=None if shut else 2487.5,
        upper=bid + 5,
        mid=bid,
        lower=bid - 5,
        gate_shut=shut,
    )


def marks_of(
    exits: tuple[FinishedExit, ...], fills: tuple[Fill, ...], trips: tuple[RoundTrip, ...], *ends: tuple[int, str, str]
) -> tuple[EquityPoint, ...]:
    """The first valuation, of 2500, and one at each of `ends`: time, bid and value."""
    found = [EquityPoint(MIDNIGHT_MS, D(2500), D(2500))]
    for number, (end_ms, bid, value) in enumerate(ends):
        last = number == len(ends) - 1
        until_ms = end_ms if last else end_ms - end_ms % DAY_MS + DAY_MS - 1
        done = [each for each in fills if last or each.time_ms <= until_ms]
        fees: dict[str, Decimal] = {}
        for each in done:
            if each.commission:
                fees[each.commission_asset] = fees.get(each.commission_asset, D(0)) + each.commission
        found.append(
            EquityPoint(
                market_ms=end_ms,
                bid=D(bid),
                value=D(value),
                growth=float(value) / 2500,
                exits=sum(last or each.ended_ms <= until_ms for each in exits),
                round_trips=sum(last or each.closed_ms <= until_ms for each in trips),
                transfers=1 if last else 0,
                fills=len(done),
                replaces=4 if last else 2,
                fees=fees,
            )
        )
    return tuple(found)


def a_story() -> RunReport:
    """One ETH of 2500 is sold at 2550.04 in two fills, bought back the next day at 2501, and a sale is under way."""
    sold_at, bought_at, selling_at = (
        MIDNIGHT_MS + 600_000,
        MIDNIGHT_MS + DAY_MS + 600_000,
        MIDNIGHT_MS + DAY_MS + 900_000,
    )
    sold = (
        fill(sold_at, trade_id=1, quantity="0.25", fee="0.0012", fee_asset="BNB"),
        fill(sold_at, trade_id=2, quantity="0.75", fee="1.9125300", fee_asset="FDUSD"),
    )
    bought = (
        fill(
            bought_at,
            trade_id=3,
            side=Side.BUY,
            kind=ExitKind.FLUSH,
            price="2501",
            quantity="1.0188",
            fee="0.0000001",
            fee_asset="ETH",
        ),
    )
    under_way = (fill(selling_at, trade_id=4, kind=ExitKind.MANUAL, price="2499.99", quantity="0.1000"),)
    name = str(ClientOrderId(ExitKind.TAKE_PROFIT, sold_at))
    exits = (
        finished(sold_at, sold, 0.02),
        finished(bought_at - 60_000, (), None, cause=ExitEndReason.EXPIRED, mid_price=None, replaces=0),
        finished(bought_at, bought, -0.001, cause=ExitEndReason.DUST, mid_price=D("2502"), brought_frac=0.0187999),
    )
    trip = RoundTrip(
        buys=(),
        sales=(sold_at,),
        kind=ExitKind.TAKE_PROFIT,
        opened_ms=MIDNIGHT_MS,
        closed_ms=sold_at + 12_000,
        base=D(1),
        cost=D(2500),
        proceeds=D("2548.12747"),
        fees=D("1.91253"),
    )
    fills = (*sold, *bought, *under_way)
    end_ms = MIDNIGHT_MS + DAY_MS + 1_200_000
    ends = ((MIDNIGHT_MS + 119_999, "2550", "2550"), (end_ms, "2500", "2547.0000"))
    return RunReport(
        symbol="ETHFDUSD",
        tick_size=D("0.01"),
        settings={"SYMBOL": "ETHFDUSD", "FEE": ""},
        results=RunResults(
            base_asset="ETH",
            quote_asset="FDUSD",
            marks=marks_of(exits, fills, (trip,), *ends),
            exits=exits,
            round_trips=(trip,),
            transfers=(Transfer(bought_at, "deposit", {"BNB": D("0.5")}, None),),
            drawdown=Drawdown(0.0123, 3_600_000, 7_200_000, MIDNIGHT_MS + 120_000),
            in_base_ms=9_000_000,
            traded=sum((each.quote for each in fills), D(0)),
            rejected={-2010: 2, -1013: 1},
            unpriced=("BNB",),
        ),
        fills=fills,
        orders=(
            OrderLogEntry(sold_at, "placed", Side.SELL, D("2552.00"), D(1), name),
            OrderLogEntry(sold_at + 4000, "replaced", Side.SELL, D("2551.01"), D(1), name),
            OrderLogEntry(sold_at + 8000, "replaced", Side.SELL, D("2550.04"), D(1), name),
        ),
        candles=(candle(0, 2500), candle(1, 2550), candle(1441, 2501), candle(1442, 2500)),
        samples=(
            moment(0, 2500, 2500),
            moment(1, 2550, 2550, held=Regime.QUOTE, shut=True),
            moment(1441, 2501, 2548, held=None),
            moment(1442, 2500, 2547),
        ),
        gaps=("2026-07-02 01:00: an hour is missing",),
    )


def changed(report: RunReport, **changes: object) -> RunReport:
    """The report with changed results."""
    results = dataclasses.replace(report.results, **changes)  # type: ignore[arg-type]  # a test knows the fields
    return dataclasses.replace(report, results=results)


def lasting_until(report: RunReport, end_ms: int) -> RunReport:
    """The report with one more valuation at `end_ms`: nothing changed in between."""
    marks = report.results.marks
    return changed(report, marks=(*marks, dataclasses.replace(marks[-1], market_ms=end_ms)))


def a_quiet_story() -> RunReport:
    """Nothing was done, and nothing is known of the market but its ends; it was not even worth anything."""
    bare = EquityPoint(MIDNIGHT_MS, D(2500), D(0))
    results = RunResults("ETH", "FDUSD", marks=(bare, bare))
    return dataclasses.replace(a_story(), results=results, fills=(), orders=(), candles=(), samples=(), gaps=())


def a_one_sided_story() -> RunReport:
    """It sold, and never bought back; the fees came in two assets at once."""
    report = a_story()
    exits, fills = report.exits[:1], report.fills[:2]
    ends = [(mark.market_ms, str(mark.bid), str(mark.value)) for mark in report.results.marks[1:]]
    marks = marks_of(exits, fills, report.results.round_trips, *ends)
    report = changed(report, exits=exits, marks=marks)
    return dataclasses.replace(report, fills=fills, gaps=())


def a_long_story() -> RunReport:
    """A month without a market in it, gaps without number, fees in three assets, and an exit that went on and on."""
    report = a_story()
    number = MIDNIGHT_MS + 1_200_000
    fills = (
        fill(number, trade_id=5, quantity="12345678.12345678", fee="0.00012345", fee_asset="BNB"),
        fill(number, trade_id=6, quantity="0.00000001", fee="0.00123456", fee_asset="ETH"),
        fill(number, trade_id=7, quantity="1", fee="1234.56789012"),
    )
    long = finished(number, fills, 0.5, cause=ExitEndReason.FUNDS_GONE)
    gaps = tuple(f"{count} 1m klines missing: 2026-07-02 01:00 to 2026-07-02 05:00 UTC" for count in range(40))
    every, sold = (*fills, *report.fills), (long, *report.exits)
    ends = [(mark.market_ms, str(mark.bid), str(mark.value)) for mark in report.results.marks[1:]]
    ends.append((MIDNIGHT_MS + 40 * DAY_MS + 1, "2500", "2547"))
    marks = marks_of(sold, every, report.results.round_trips, *ends)
    return dataclasses.replace(changed(report, exits=sold, marks=marks), fills=every, gaps=gaps)
