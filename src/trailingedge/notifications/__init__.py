"""Notifications: the texts for people (log lines, alerts, the status, the answer to `why`), and the sending of alerts
by Telegram.

`announcer` receives each event of the trading core and sends its text to the log or to the alerts. The texts are in the
`*_messages` modules. Each names the change first, then gives numbers with units, then says what the bot does next.
`status` holds a snapshot of the state and prints it; `build_status` builds it. `explain` answers `why`; `query_answers`
answers questions about the balance and the day. `alert_sinks` declares the sinks, which are objects that deliver
alerts; the `telegram*` modules are the sink that delivers to a phone.

The package may import everything below it in the layers, from `core` and `model` up to `accounting`; from `websocket`
only the helpers of the transport. It is used by `console`, `report`, `live`, `session_replay`, `commands` and `app`.
"""
