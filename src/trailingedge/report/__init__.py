"""Run reports: the results of a session, a backtest or an account as one `RunReport`, in several output formats.

`model` defines `RunReport`. `from_statistics` builds it for `session_replay.session_report` and
`backtest.backtest_report`, `from_account` builds it from an account's history; `file_format` saves and loads it.
`terminal`, `page`, `csv_ledger` and `json_output` render it; all of them take derived numbers from `totals` and
`tables`. Imports: accounting, notifications (wording), reconciliation, strategy and packages below them; never live.
Called by the commands `report`, `replay` and `sweep`.
"""
