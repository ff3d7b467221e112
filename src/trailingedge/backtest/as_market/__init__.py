"""Backtest of the market that a session recorded: shows how far a backtest agrees with the session's own trades.

`session_market` reads prices, start and request times from the record. `comparison` backtests them with the measured
latency (`request_latency`) and sets the exits side by side. `comparison_text` prints the result.

Imports: `session_replay` (the report of the session, and the values in the record), `live` (the parameters). Called by
`commands.replay`, which imports this package only for `--as-market`.
"""
