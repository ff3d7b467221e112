"""Checks of `doctor` and `check` before a start, each with a result for people and machines.

`local` needs no network: settings, key file, folders, sockets. `online` makes the queries of a start at the exchange
(`live.start_queries`); `market_stream_check` and `canary_order` are its last two steps. `result` defines the result of
a check, `check_target` the exchange and tools to connect with, `short_session` the connection.

Like `commands`, it may import everything except `app` and `main`. The commands `check`, `doctor` and `report` and the
reader of the account's history use it.
"""
