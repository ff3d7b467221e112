"""Notifications: the texts for people (log lines, alerts, the status, the answer to `why`), and sending them by
Telegram.

`announcer` receives each event of the trading core and sends its text to the log or to the alerts.
The texts stand in `event_messages` and the `*_messages` modules: the name of the change first, then
numbers with units, then what the bot does next. `status` holds a snapshot of the state and prints
it; `build_status` builds it. `explain` answers `why`; `query_answers` answers questions about the
balance and the day. `alert_sinks` declares the sinks of alerts; the `telegram*` modules are the
sink that reaches a phone.

The package may import everything below it in the layers, from `core` and `model` up to `accounting`; of `websocket`
only the transport's helpers. It is used by `console`, `report`, `live`, `session_replay`, `commands` and `app`.
"""
