"""Checks: what `doctor` and `check` look at before a start, each with a result for people and machines.

`local` needs no network: settings, key file, folders, sockets. `online` makes the queries of a start at the exchange
(`live.start_queries`); `market_stream_check` and `canary_order` are its last two steps. `result` is what
each check returns, `check_target` what a command is given to connect with, `short_session` the connection itself.

It may import what `commands` may: everything but `app` and `main`. The commands `check`, `doctor` and `report` and the
reader of the account's history use it.
"""
