"""Start steps: request the exchange's rules, fee and candles, and check the settings against them.

`live.startup` runs these steps in the daemon, each with retries. `commands.checks.online` runs each
once for `doctor` and `check --online`. The order of a start is: connection, clock, logon, rules,
fee, candles, market stream, own orders, balances. Daemon and checks measure the clock and log on by
`AccountSession.open`. Each result carries the texts that describe it to people, so that daemon and
checks print the same words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.live.node_params import StartParams
from trailingedge.model.market import ZERO, BookTop, Kline, RateLimit, SymbolRules, format_plain
from trailingedge.notifications import event_messages
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession
from trailingedge.websocket.api_client import RequestCaller


@dataclass(frozen=True, slots=True)
class RulesResult:
    """The symbol's rules: as the exchange lists them, and the effective ones.

    Our settings may make the effective rules stricter. `problems` has a text for each setting that the exchange does
    not allow. Conflicts with the fee are not among them.
    """

    listed: SymbolRules
    effective: SymbolRules
    limits: tuple[RateLimit, ...]
    problems: tuple[str, ...]

    @property
    def grid(self) -> str:
        """Tick size and lot, as text."""
        return f"tick {format_plain(self.effective.tick_size)}, lot {format_plain(self.effective.step_size)}"


@dataclass(frozen=True, slots=True)
class FeeResult:
    """The account's fees. `in_force` is the maker fee that the strategy uses.

    `problems` has a text for each setting that the exchange does not allow, including conflicts with the fee.
    """

    maker: Decimal
    taker: Decimal
    in_force: Decimal
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KlinesResult:
    """The newest closed klines, oldest first. A new symbol may have too few for the channel."""

    klines: Sequence[Kline]
    text: str
    fill_channel: bool


def prices_text(rules: SymbolRules, top: BookTop) -> str:
    """Return best bid and best ask as text."""
    return f"bid {event_messages.price(rules, top.bid)}, ask {event_messages.price(rules, top.ask)}"


class StartSteps:
    """Makes the requests of a start. Each raises RequestRefused, OutcomeUnknown, SessionLost or ProtocolViolation."""

    def __init__(self, params: StartParams, api: RequestCaller, account: AccountSession) -> None:
        self._params = params
        self._api = api
        self._account = account

    async def rules(self) -> RulesResult:
        """Request the symbol's rules. Also raises ConfigError if the symbol is not listed."""
        policy = self._params.terms
        listed, limits = await market_fetch.exchange_info(self._api, self._params.symbol)
        return RulesResult(listed, policy.effective_rules(listed), limits, tuple(policy.problems(listed, ZERO)))

    async def fee(self, rules: RulesResult) -> FeeResult:
        """Request the account's fees."""
        policy = self._params.terms
        commission = await self._account.commission()
        problems = tuple(policy.problems(rules.listed, commission.lowest_maker))
        return FeeResult(
            commission.maker,
            commission.taker,
            policy.fee_in_force(commission.maker),
            problems,
            # With a problem nothing starts, so there is nothing to warn of.
            () if problems else tuple(policy.warnings(commission.maker)),
        )

    def price_warnings(self, rules: RulesResult, top: BookTop) -> tuple[str, ...]:
        """Return the warnings that depend on the symbol's price."""
        return tuple(self._params.terms.price_warnings(rules.listed, top.bid))

    async def klines(self) -> KlinesResult:
        """Request the newest closed klines, without a gap.

        The settings define how many klines are requested; a new symbol may have fewer.
        """
        params = self._params
        found = await market_fetch.klines(self._api, params.symbol, params.kline_interval, params.klines_wanted)
        text = f"{len(found)} of {params.klines_wanted}, {params.kline_interval} each"
        return KlinesResult(found, text, len(found) >= params.channel_klines)
