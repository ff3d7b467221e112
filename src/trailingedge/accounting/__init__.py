"""Accounting: the result of a run in figures, and their one JSON shape.

`statistics` counts exits, fills, fees and rejections as they happen and compares the account with having done nothing;
`summary_json` writes that for machines. It imports everything up to `execution`, whose events it counts. The daemon,
`notifications`, `report`, `backtest` and `sweep` use it; nothing in it trades.
"""
