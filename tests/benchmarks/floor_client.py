"""Floor client: the smallest program that follows the best price with an order, with the same library and no logic.

    python tests/benchmarks/floor_client.py chase API_URL STREAM_URL

`chase` sends a prepared cancel-replace whenever a frame shows another best price. `newest` has at most one request in
flight, as a program must that tracks the outcome of its orders; the moves until the reply count as one.
Both begin with an order on the book.
"""

import asyncio
import json
import sys
import time
from typing import Final

from websockets.asyncio.client import ClientConnection, connect

STREAM: Final = "/stream?streams=ethfdusd@bookTicker"
CLIENT_ORDER_ID: Final = "floor"
PLACE: Final = (
    '{"id":1,"method":"order.place","params":{"symbol":"ETHFDUSD","side":"SELL","type":"LIMIT_MAKER",'
    f'"quantity":"1","newClientOrderId":"{CLIENT_ORDER_ID}","newOrderRespType":"RESULT","price":"2100","timestamp":%d}}}}'
)
REPLACE: Final = (
    '{"id":2,"method":"order.cancelReplace","params":{"symbol":"ETHFDUSD","side":"SELL","type":"LIMIT_MAKER",'
    f'"quantity":"1","newClientOrderId":"{CLIENT_ORDER_ID}","newOrderRespType":"RESULT","price":"%s",'
    f'"cancelReplaceMode":"STOP_ON_FAILURE","cancelOrigClientOrderId":"{CLIENT_ORDER_ID}","timestamp":%d}}}}'
)


async def chase(api: ClientConnection, stream: ClientConnection) -> None:
    """Send an order for every move."""
    best = ""

    async def drain() -> None:
        async for _ in api:
            pass

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drain())
        async for frame in stream:
            ask = json.loads(frame)["data"]["a"]
            if ask != best:
                best = ask
                await api.send(REPLACE % (ask, now_ms()))


async def newest(api: ClientConnection, stream: ClientConnection) -> None:
    """Send an order for the newest price whenever no request is in flight."""
    best = sent = ""
    waiting = False

    async def drain() -> None:
        nonlocal sent, waiting
        async for frame in api:
            if str(frame).startswith('{"id":2'):
                waiting = best != sent
                if waiting:
                    sent = best
                    await api.send(REPLACE % (best, now_ms()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(drain())
        async for frame in stream:
            best = json.loads(frame)["data"]["a"]
            if best != sent and not waiting:
                waiting, sent = True, best
                await api.send(REPLACE % (best, now_ms()))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(manner: str, api_url: str, stream_url: str) -> None:
    async with (
        connect(api_url, compression=None, proxy=None) as api,
        connect(stream_url + STREAM, compression=None, proxy=None) as stream,
    ):
        await api.send(PLACE % now_ms())
        await (chase if manner == "chase" else newest)(api, stream)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:4]))
