"""Stories to tell: a usual one, one with everything awkward in it, and one in which nothing happened."""

import dataclasses
from decimal import Decimal

from trailingedge.accounting.statistics import FinishedExit
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


def finished(number: int, fills: tuple[Fill, ...], result_frac: float | None, **changes: object) -> FinishedExit:
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
        slippage_frac=0.0012,
        result_frac=result_frac,
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
    return RunReport(
        symbol="ETHFDUSD",
        base_asset="ETH",
        quote_asset="FDUSD",
        tick_size=D("0.01"),
        from_ms=MIDNIGHT_MS,
        to_ms=MIDNIGHT_MS + DAY_MS + 1_200_000,
        settings={"SYMBOL": "ETHFDUSD", "FEE": ""},
        exits=(
            finished(sold_at, sold, 0.02),
            finished(bought_at - 60_000, (), None, cause=ExitEndReason.EXPIRED, slippage_frac=None, replaces=0),
            finished(bought_at, bought, -0.001, cause=ExitEndReason.DUST, slippage_frac=-0.0004),
        ),
        fills=(*sold, *bought, *under_way),
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
        replaces=4,
        rejected={-2010: 2, -1013: 1},
        first_bid=D("2500.00"),
        last_bid=D("2500.00"),
        first_value=D("2500"),
        last_value=D("2547.0000"),
        max_drawdown_frac=0.0123,
        gaps=("2026-07-02 01:00: an hour is missing",),
    )


def a_quiet_story() -> RunReport:
    """Nothing was done, and nothing is known of the market but its ends; it was not even worth anything."""
    return dataclasses.replace(
        a_story(),
        to_ms=MIDNIGHT_MS,
        exits=(),
        fills=(),
        orders=(),
        candles=(),
        samples=(),
        replaces=0,
        rejected={},
        first_value=D(0),
        last_value=D(0),
        max_drawdown_frac=0.0,
        gaps=(),
    )


def a_one_sided_story() -> RunReport:
    """It sold, and never bought back; the fees came in three assets at once."""
    report = a_story()
    return dataclasses.replace(report, exits=report.exits[:1], fills=report.fills[:2], gaps=())


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
    return dataclasses.replace(
        report,
        exits=(long, *report.exits),
        fills=(*fills, *report.fills),
        to_ms=MIDNIGHT_MS + 40 * DAY_MS + 1,
        gaps=gaps,
    )
