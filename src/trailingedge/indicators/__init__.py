"""Indicators: numbers calculated from closed klines.

There are two: Donchian's channel, which the strategy uses, and the average true range, which no
strategy uses. Both are pure functions and small incremental classes on floats, without I/O and
without a clock. They import `core` and `model`. They are used by `strategy`, and by the packages
that replay the strategy over old klines: `reconciliation`, `backtest` and `report`.
"""
