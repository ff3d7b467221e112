"""Checks: what `doctor` and `check` look at before a start, each with a result for people and machines.

`local` needs no network: settings, key file, folders, sockets. `online` rehearses the exchange's part of a start with
the steps of `live.start_steps`; `stream_check` and `test_order` are its last two. `result` is what each check returns,
`environment` what a command is given to connect with.

It may import what `commands` may: everything but `app` and `main`. The commands `check`, `doctor` and `report` and the
reader of the account's history use it.
"""
