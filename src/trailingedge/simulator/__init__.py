"""An embedded exchange that speaks Binance's spot WebSocket API for one symbol.

Ticks come from a feed (`feeds`: generated, recorded or live). The matching engine fills orders at these ticks.
`order_entry` checks filters and limits. Engine and order entry take and return typed values, and a backtest calls them
directly. `exchange` turns their events into JSON. `api` and `stream_session` answer requests and publish events.
`server` offers the exchange on the loopback or in memory. The same seed gives the same run, except over a real socket.

It imports `core` and `model` only: the simulator judges the daemon, so it must not share the daemon's parsers, order
logic or rounding. A mistake copied from there would go unnoticed here. Callers: `app` (simulation mode),
`live.paper_exchange` (paper mode), `backtest` (order entry and engine), `commands.exchange`, and the tests, which alone
use the virtual loop.
"""
