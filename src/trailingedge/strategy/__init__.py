"""Strategy: decides which order we want, from prices, balances and closed klines.

Everything here is a pure function of its arguments: no I/O, no clock, no logging, only the standard library's
pure modules. A tick, a restart, a backtest and a replay therefore decide alike. It may import `core`, `model` and
`indicators`.

`decide` is the entry: `execution.trading_core` calls it once per tick and follows the `OrderIntent` that it returns.
`bar_close` is called directly by `reconciliation`, to catch up with the klines that closed while we were offline. Read
`inputs`, `state`, `decide` and `decision_rules`, in this order; `plan` has the same formulas solved for the price; the
other modules each hold the arithmetic of one rule.
"""
