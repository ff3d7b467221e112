"""Backtest: the daemon's trading core on recorded market files, without sockets and with time that jumps.

Not to be confused with `session_replay`, which replays a recorded *session*.

`simulator.feeds` reads files into columns, `market_split` splits them by candle into `candle_segments` and
`bar_columns`, `market_memo` keeps what backtests of one market share, `engine` runs the core, `direct_exchange` is its
exchange, `tick_skipper` skips market ticks at which nothing can happen, `result_recorder` collects the results,
`backtest_report` makes a report of them, `inputs` checks what a backtest needs. `as_market` backtests the prices of a
recorded session, and compares the result with the session.

Imports: `execution`, `strategy` and `live.factory` (the core and its parameters), `simulator` (the exchange and its
files), `report`, and for `as_market` alone `session_replay`. Callers: `commands.backtest` and `sweep`;
`commands.replay`, for `as_market`; `commands.replay` and `commands.report`, to recognise files.
"""
