"""Accounting: the figures of a run's result, and the JSON format that all programs share for them.

`result_ledger` takes in fills, exits, transfers and valuations; `statistics` feeds it from the trading core's events.
`round_trips` matches sales with buys, `results` holds the facts of a run, `metrics` the formulas, `performance` all
metrics of one run, and `summary_json` writes them as JSON. The package may import `execution`, whose events it counts,
and the packages below it. The daemon, `notifications`, `report`, `backtest` and `sweep` use it; nothing in it trades.
"""
