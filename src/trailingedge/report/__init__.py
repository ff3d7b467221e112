"""Run reports: one `RunReport` of a session, a backtest or an account, rendered for people and machines.

`model` holds the report. It is built by `session_replay.session_report`, `backtest.backtest_report` or `from_account`,
and saved and loaded by `file_format`. `terminal`, `page`, `csv_ledger` and `json_output` render it; all of them take
derived numbers from `totals` and `tables`. Imports: accounting, notifications (wording), reconciliation, strategy and
what lies below them; never live. Called by the commands `report`, `replay` and `sweep`.
"""
