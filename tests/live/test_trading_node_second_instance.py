"""Two nodes on one account that arm in the same millisecond: their orders have the same client order id."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.daemon_harness import (
    CASH,
    ONE_ETH,
    START_MS,
    URL,
    ConstantMarket,
    D,
    FaultyNetwork,
    NodeHarness,
    RecordingUi,
)
from tests.tight_settings import TIGHT

from trailingedge.auth.manager import KeyManager
from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.live.factory import node_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Runtime
from trailingedge.model.client_order_ids import is_own, own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.socket_dialer import Socket


@dataclass
class Duel:
    """How two nodes fared: exit codes and times of their ends, by node, and what the exchange saw."""

    exchange: Exchange
    codes: dict[int, ExitCode]
    ended_s: dict[int, float]
    first_order_s: float
    most_open: int
    outputs: list[RecordingUi]


class LaggingSocket:
    """A socket whose frames to the exchange are delayed."""

    def __init__(self, socket: Socket, clock: VirtualClock, lag_s: float) -> None:
        self._socket = socket
        self._clock = clock
        self._lag_s = lag_s
        self.receive = socket.receive
        self.close = socket.close

    def send(self, text: str) -> None:
        self._clock.call_later(self._lag_s, lambda: self._send(text))

    def _send(self, text: str) -> None:
        with suppress(SessionLost):
            self._socket.send(text)


async def dial_with_lag(network: FaultyNetwork, clock: VirtualClock, lag_s: float, url: str) -> Socket:
    socket = await network.dial(url)
    return LaggingSocket(socket, clock, lag_s) if lag_s else socket


def fight(
    balances: Mapping[str, Decimal],
    *,
    events_first: bool,
    step: str,
    lag_s: float = 0.0,
) -> Duel:
    """Flip two nodes in the same millisecond, and move the price by `step` every 0.1 s for six seconds.

    The requests of the second node reach the exchange `lag_s` later than those of the first.
    """

    async def live(clock: VirtualClock) -> Duel:
        market = ConstantMarket()
        exchange = Exchange(ExchangeSpec().for_source(market), clock, balances, market.history, keep_all=True)
        private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        api_key = exchange.register_key(private_key.public_key())
        async with LoopbackExchange(
            exchange, market, clock, listen=False, chance=Random(1), events_first=events_first
        ) as loopback:
            nodes = []
            for number in (0, 1):
                network, output = FaultyNetwork(loopback), RecordingUi()
                dial = partial(dial_with_lag, network, clock, number * lag_s)
                keys = KeyManager.from_private_key(private_key, api_key)
                runtime = Runtime(URL, keys, dial, clock, Random(number))
                node = build_node(node_params(TIGHT), runtime, output, output)
                nodes.append(NodeHarness(clock, loopback, node, network, output))
            result = Duel(exchange, {}, {}, 0.0, 0, [each.output for each in nodes])

            async def run(number: int) -> None:
                result.codes[number] = await nodes[number].node.run()
                result.ended_s[number] = clock.now_s()

            async with asyncio.TaskGroup() as tasks:
                for number in (0, 1):
                    tasks.create_task(run(number))
                    await nodes[number].ready()
                await clock.sleep(5)
                for harness in nodes:
                    harness.submit(OperatorCommand.FLIP)
                await nodes[0].until(lambda: nodes[0].own_orders)
                result.first_order_s = clock.now_s()
                for number in range(60):
                    bid = D(2500) + D(step) * (number % 7)
                    nodes[0].set_price(bid, bid + D("0.05"))
                    await clock.sleep(0.1)
                    open_orders = [order for order in exchange.account().open_orders() if is_own(order.client_order_id)]
                    result.most_open = max(result.most_open, len(open_orders))
                for harness in nodes:
                    harness.node.stop("the scenario is over")
        return result

    return run_virtual(live, start_unix_ms=START_MS)


@pytest.mark.parametrize("events_first", [True, False], ids=["reports first", "replies first"])
@pytest.mark.parametrize("balances", [ONE_ETH, CASH], ids=["both sell", "both buy"])
@pytest.mark.parametrize(
    ("step", "lag_s"),
    [
        pytest.param("0.00", 0.0, id="still"),
        pytest.param("0.03", 0.0, id="rising"),
        pytest.param("-0.03", 0.0, id="falling"),
        pytest.param("0.03", 0.25, id="rising, one slow"),
        pytest.param("-0.03", 0.9, id="falling, one very slow"),
    ],
)
def test_a_duel_with_one_number_ends_within_two_seconds(
    balances: Mapping[str, Decimal], events_first: bool, step: str, lag_s: float
) -> None:
    duel = fight(balances, events_first=events_first, step=step, lag_s=lag_s)
    (loser,) = (number for number, code in duel.codes.items() if code is ExitCode.HALTED)
    assert duel.ended_s[loser] - duel.first_order_s <= 2.0
    assert duel.codes[1 - loser] is ExitCode.OK
    assert any("second instance" in text for _, text in duel.outputs[loser].alerts)
    assert duel.most_open <= 1
    account = duel.exchange.account()
    assert account.balance("ETH").total * D(2500) + account.balance("FDUSD").total >= D(2499)
    orders = duel.exchange.account().orders.values()
    exits = [own for order in orders if (own := own_id(order.client_order_id)) and own.kind is ExitKind.MANUAL]
    assert len({own.number for own in exits}) == 1
