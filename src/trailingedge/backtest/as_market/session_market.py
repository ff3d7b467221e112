"""Market of a recorded session: its prices as columns for a backtest, and the state and balances at its start.

Each bookTicker frame is a market tick at the time of its arrival. Our own orders are subtracted from the book, because
the backtest places its own. Trades are not recorded, except those that filled our orders as a maker: these are played
in the backtest. Kline frames give the price of the last trade, and the high and low of each candle.

The market begins at the session's first trading cycle. Its times are those that the session's cycles recorded.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

from trailingedge.backtest.as_market.request_latency import RequestLatency, measure
from trailingedge.core.errors import ConfigError, ProtocolViolation
from trailingedge.core.foreign_json import parse
from trailingedge.eventlog.format import FRAME_PREFIXES, RecordEntry
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import RecordHeader, SessionRecord
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.core_factory import CoreStart
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import Balance, BookTop, ExecutionReport, ExecutionType, Kline, OrderStatus, Side
from trailingedge.report.progress import InterruptRequest, ProgressBar
from trailingedge.session_replay.record_decoder import DECODE_ERRORS, decode_value
from trailingedge.simulator.feeds.columns import TickColumns
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.state import StrategyState
from trailingedge.websocket.event_parser import BookUpdate, KlineUpdate, read_stream_frame, read_top_fast

_ORDER_METHODS: Final = ("order.place", "order.cancelReplace", "order.cancel")
_OPEN: Final = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
_READ_LINES: Final = (b'["core",', b'["call",', b'["tick",', b'[">",', b'["dial",', b'["closed",', b'["skipped",')
_OK: Final = 200
_HOLE, _OVER = b'["hole",', b'["over",'

_OwnOrder: TypeAlias = tuple[Side, int, int]  # side, price, and what is left of it


@dataclass(frozen=True, slots=True)
class OperatorAct:
    """An action of the operator before the market tick `row`: a command to the strategy, a pause or its end."""

    row: int
    act: Callable[[TradingCore], None]


@dataclass(frozen=True, slots=True)
class SessionMarket:
    """The data that a backtest of the session needs.

    `state` is the strategy's state at the start, `balances` are the free balances at the start. `latency` is None if no
    request was answered. `counts` counts the events that the backtest cannot repeat, by name: calls of the core,
    "skipped" frames, "breaks" of the price stream, "off grid" prices. `own_trades` counts the trades that filled our
    orders. `has_end` is False if the daemon was killed, or still runs. `operator` has the operator's actions, oldest
    first. `speed` is the factor by which market time ran faster than the clock: 1 except in a simulation. The latency
    is in market time.
    """

    header: RecordHeader
    start: CoreStart
    state: StrategyState | None
    balances: Mapping[str, Decimal]
    columns: TickColumns
    operator: Sequence[OperatorAct]
    latency: RequestLatency | None
    counts: Mapping[str, int]
    own_trades: int
    has_end: bool
    speed: int


def read_session_market(path: Path, bar: ProgressBar, stopped: InterruptRequest) -> SessionMarket:
    """Read the market of a session. Raises ConfigError if the record is incomplete, or has no prices.

    Raises KeyboardInterrupt after Ctrl-C.
    """
    record = SessionRecord(path)
    reader, has_end = _Reader(), False
    for batch in record.batches():
        if stopped():
            raise KeyboardInterrupt
        bar.show(record.share_read, "reading the session")
        for number, each in enumerate(batch):
            if each.startswith(_HOLE):
                raise _cut(path, "lines are missing, because the disk was too slow")
            has_end = has_end or each.startswith(_OVER)
            try:
                reader.read(each)
            except DECODE_ERRORS as error:
                line = record.lines_read - len(batch) + number + 1
                raise _cut(path, f"line {line} cannot be read by this version ({error})") from error
    if record.incomplete_reason is not None:
        raise _cut(path, record.incomplete_reason)
    if reader.start is None or not reader.balances:
        raise ConfigError([f"{path}: the session ended before it was ready to trade; there is nothing to compare"])
    if not reader.columns:
        remedy = "give a session that received prices"
        raise ConfigError([f"{path}: 0 bookTicker frames after the start, and a backtest needs prices; {remedy}"])
    speed = reader.speed
    latency = measure([trip * speed for trip in reader.order_ms], [trip * speed for trip in reader.other_ms])
    return SessionMarket(
        record.header,
        reader.start,
        reader.state,
        reader.balances,
        reader.columns,
        reader.operator,
        latency,
        reader.counts,
        reader.own_trades,
        has_end,
        speed,
    )


def _cut(path: Path, why: str) -> ConfigError:
    remedy = "compare a session whose record is complete, or replay this one up to the gap with trailing-edge replay"
    return ConfigError([f"{path}: the record is incomplete ({why}), and a comparison needs a complete one; {remedy}"])


class _Reader:
    """Takes the lines of a record in order. Prices are in ticks and quantities in steps of the listed rules."""

    def __init__(self) -> None:
        self.start: CoreStart | None = None
        self.state: StrategyState | None = None
        self.balances: dict[str, Decimal] = {}
        self.columns = TickColumns()
        self.operator: list[OperatorAct] = []
        self.order_ms: list[float] = []
        self.other_ms: list[float] = []
        self.counts: Counter[str] = Counter()
        self.own_trades = 0
        self._streams: set[int] = set()  # connections with prices
        self._pending: dict[tuple[int, int], tuple[int, str]] = {}  # requests: when sent, and the method
        self._offset_ms: int | None = None  # the market's time, in milliseconds more than that of the line
        self._own: dict[int, _OwnOrder] = {}  # our open orders
        self._sent: dict[tuple[int, int], tuple[str, _OwnOrder]] = {}  # not reported yet, but maybe in the book
        self._top: BookTop | None = None
        self._behind = {Side.BUY: (0, 0), Side.SELL: (0, 0)}  # the best price and quantity of others, last seen
        self._book = (0, 0, 0, 0)  # bid, its quantity, ask, its quantity, as last added
        self._last = 0
        self._clock_ms = (0, 0)  # of the first market tick, and of the last

    @property
    def speed(self) -> int:
        """The factor by which market time ran faster than the clock: a whole number of at least 1."""
        times_ms, clock_ms = self.columns.time_ms, self._clock_ms
        passed_ms = clock_ms[1] - clock_ms[0]
        return max(1, round((times_ms[-1] - times_ms[0]) / passed_ms)) if passed_ms else 1

    def read(self, line: bytes) -> None:
        """Take one line. Raises one of DECODE_ERRORS for a line that cannot be read."""
        if line.startswith(FRAME_PREFIXES):
            _, at_ns, connection, frame = decode(line)
            self._read_frame(at_ns, connection, frame)
        elif line.startswith(_READ_LINES):
            # Of the many ticks only these tell a new offset of the market's time, or the balances.
            if line.startswith(b'["tick",') and self.balances and b'"market_ms"' not in line:
                return
            self._read_entry(decode(line))

    def _read_entry(self, entry: RecordEntry) -> None:
        match entry:
            case ("core", _, fields):
                self.start = decode_value(CoreStart, fields)
            case ("call", at_ns, method, arguments):
                self._read_call(at_ns, method, arguments)
            case ("tick", at_ns, _, _, changed, *_):
                self._read_tick(at_ns, changed)
            case (">", at_ns, connection, text):
                self._read_request(at_ns, connection, parse(text))
            case ("dial", _, connection, url) if "/stream" in url:
                self._streams.add(connection)
            case ("closed", _, connection, _):
                self.counts["breaks"] += connection in self._streams and self._offset_ms is not None
                self._sent = {key: sent for key, sent in self._sent.items() if key[0] != connection}
            case ("skipped", _, _, count):
                self.counts["skipped"] += count

    def _read_tick(self, at_ns: int, changed: Mapping[str, Any]) -> None:
        if "market_ms" in changed:
            self._offset_ms = decode_value(int, changed["market_ms"], "market_ms") - at_ns // 1_000_000
        if self.balances or "balances" not in changed:
            return
        owned = decode_value(dict[str, Balance], changed["balances"])
        self.balances = {asset: balance.free for asset, balance in owned.items()}
        self._add_book(at_ns)

    # Frames ----------------------------------------------------------------------------------

    def _read_frame(self, at_ns: int, connection: int, frame: str | bytes) -> None:
        frame = frame if isinstance(frame, bytes) else frame.encode(errors="replace")
        if connection in self._streams:
            self._read_stream_frame(at_ns, frame)
        elif frame.startswith(b'{"id":'):
            # A torn frame: the daemon went on without it.
            with suppress(*DECODE_ERRORS):
                self._read_reply(at_ns, connection, parse(frame))

    def _read_reply(self, at_ns: int, connection: int, reply: Mapping[str, Any]) -> None:
        key = connection, reply["id"]
        sent = self._pending.pop(key, None)
        if sent is not None:
            trips = self.order_ms if sent[1] in _ORDER_METHODS else self.other_ms
            trips.append((at_ns - sent[0]) / 1e6)
        if reply.get("status") != _OK:
            self._sent.pop(key, None)

    def _read_stream_frame(self, at_ns: int, frame: bytes) -> None:
        try:
            message = read_top_fast(frame) or read_stream_frame(frame)
        except ProtocolViolation:  # as in the daemon, which leaves out what it cannot read
            return
        match message:
            case BookUpdate(symbol, top) if self.start is None or symbol == self.start.listed.symbol:
                self._top = top
                self._add_book(at_ns)
            case KlineUpdate(kline=kline):
                self._add_kline(at_ns, kline)

    def _add_book(self, at_ns: int) -> None:
        """Add a market tick with the book minus our own orders."""
        top, start = self._top, self.start
        if top is None or start is None or not self.balances:
            return
        tick, step = start.listed.tick_size, start.listed.step_size
        if top.bid % tick or top.ask % tick:
            self.counts["off grid"] += 1
            return
        bid = self._without_ours(Side.BUY, int(top.bid / tick), int(top.bid_quantity / step))
        ask = self._without_ours(Side.SELL, int(top.ask / tick), int(top.ask_quantity / step))
        self._book = (*bid, *ask)
        self._last = self._last or bid[0]
        self._add(self._time_ms(at_ns), self._last)

    def _without_ours(self, side: Side, price: int, steps: int) -> tuple[int, int]:
        """Return best price and quantity of a side without our orders.

        If only our order was at the best price, the record does not show the next price behind it. The last known best
        price of others is used instead.
        """
        ours = (*self._own.values(), *(order for _, order in self._sent.values()))
        steps -= sum(left for own_side, own_price, left in ours if (own_side, own_price) == (side, price))
        if steps > 0:
            self._behind[side] = price, steps
            return price, steps
        behind, left = self._behind[side]
        beyond = max(price + 1, behind) if side is Side.SELL else max(1, min(price - 1, behind or price))
        self._behind[side] = beyond, max(1, left)
        return self._behind[side]

    def _add_kline(self, at_ns: int, kline: Kline) -> None:
        """Add the prices that a kline shows and the book does not.

        These are high and low of the candle, then its newest price.
        """
        if self.start is None or not self._book[0]:
            return
        # The last frame of a kline comes a moment after its end.
        time_ms = min(self._time_ms(at_ns), kline.close_ms)
        if time_ms < max(kline.open_ms, self.columns.time_ms[-1]):
            return
        for price in (kline.high, kline.low, kline.close):
            self._last = int(price / self.start.listed.tick_size)
            self._add(time_ms, self._last)

    # Our orders ------------------------------------------------------------------------------

    def _read_request(self, at_ns: int, connection: int, request: Mapping[str, Any]) -> None:
        key, method = (connection, request["id"]), str(request["method"])
        self._pending[key] = at_ns, method
        params = request.get("params", {})
        if self.start is None or "price" not in params or method not in _ORDER_METHODS:
            return
        price = int(decode_value(Decimal, params["price"]) / self.start.listed.tick_size)
        steps = int(decode_value(Decimal, params["quantity"]) / self.start.listed.step_size)
        if method == "order.place":  # only once none is open: the end of an earlier one may be missing in the record
            self._own.clear()
        # The book may show the order before the account stream reports it.
        self._sent[key] = params["newClientOrderId"], (Side(params["side"]), price, steps)

    def _read_call(self, at_ns: int, method: str, arguments: Mapping[str, Any]) -> None:
        if method == "on_report":
            self._read_report(at_ns, decode_value(ExecutionReport, arguments["report"]))
        elif method == "restore":
            self.state = decode_value(StrategyState, arguments["state"])
        elif method == "submit":
            command = decode_value(StrategyCommand, arguments["command"])
            self._add_act(at_ns, lambda core: core.submit(command))
        elif method == "pause":
            self._add_act(at_ns, TradingCore.pause)
        elif method == "resume":
            self._add_act(at_ns, TradingCore.resume)
        else:
            self.counts[method] += 1

    def _add_act(self, at_ns: int, act: Callable[[TradingCore], None]) -> None:
        """Add an action of the operator, and after it a market tick with an unchanged book.

        The core handles the action at this tick.
        """
        self.operator.append(OperatorAct(len(self.columns), act))
        if self.columns:
            self._add(self._time_ms(at_ns), self._last)

    def _read_report(self, at_ns: int, report: ExecutionReport) -> None:
        if self.start is None or not is_own(report.client_order_id):
            return
        tick, step = self.start.listed.tick_size, self.start.listed.step_size
        if report.execution_type is ExecutionType.TRADE and report.is_maker and self._book[0]:
            self.own_trades += 1
            self._last = int(report.last_price / tick)
            bought = report.side is Side.SELL
            self._add(self._time_ms(at_ns), self._last, int(report.last_quantity / step), bought=bought)
        if report.status in _OPEN:
            left = int((report.quantity - report.filled_quantity) / step)
            self._own[report.order_id] = report.side, int(report.price / tick), left
        else:
            self._own.pop(report.order_id, None)
        # All orders of an exit have one id, and the newest request is the one that is still on its way.
        reported = next((key for key, (name, _) in self._sent.items() if name == report.client_order_id), None)
        if reported is not None and report.execution_type is ExecutionType.NEW:
            del self._sent[reported]

    # Columns ---------------------------------------------------------------------------------

    def _time_ms(self, at_ns: int) -> int:
        clock_ms = at_ns // 1_000_000
        self._clock_ms = (self._clock_ms[0] if self.columns else clock_ms), clock_ms
        time_ms = clock_ms + (self._offset_ms or 0)
        return max(time_ms, self.columns.time_ms[-1]) if self.columns else time_ms

    def _add(self, time_ms: int, last: int, traded: int = 0, *, bought: bool = False) -> None:
        self.columns.add(time_ms, *self._book, last, traded, bought=bought)
