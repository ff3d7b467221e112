"""Accounting: the result of a run in figures, and their one JSON shape.

`statistics` counts exits, fills, fees and rejections as they happen and compares the account with having done nothing;
`summary_json` writes these figures as JSON. The package may import `execution`, whose events it counts, and the
packages below it. The daemon, `notifications`, `report`, `backtest` and `sweep` use it; nothing in it trades.
"""
